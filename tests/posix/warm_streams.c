/* SPDX-License-Identifier: MIT */
/*
 * Pipes, FIFOs, stream sockets and TCP connections between two processes that have already said
 * much to each other: whatever happens then is as it was with the first byte. pipe(7), fifo(7),
 * unix(7), tcp(7), poll(2), epoll(7), signal(7).
 */
#include "warm.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>

/* ---- looking ---- */

static void writes_hundred(void)
{
    CHECK(write(far.out, block, 100) == 100);
    say(1);
    await(2);
}

static void test_looks(void)
{
    pid_t pid = start(writes_hundred);
    await(1);
    CHECK(has_come(near.in, 100) && events(near.in, POLLIN, 0) == POLLIN);
    CHECK(read(near.in, block, 60) == 60 && unread(near.in) == 40);
    if (is_socket()) {
        CHECK(recv(near.in, block, 30, MSG_PEEK) == 30 && unread(near.in) == 40);
        CHECK(recv(near.in, block, 100, MSG_PEEK | MSG_DONTWAIT) == 40);
    }
    CHECK(read(near.in, block, sizeof block) == 40 && unread(near.in) == 0);
    CHECK(events(near.in, POLLIN, 0) == 0 && events(near.out, POLLOUT, 0) == POLLOUT);
    fcntl(near.in, F_SETFL, O_NONBLOCK);
    CHECK_ERRNO(read(near.in, block, 1), EAGAIN);
    CHECK(read(near.in, block, 0) == 0);
    say(2);
    end(pid);
}

static void reads_late(void)
{
    await(1);
    CHECK(read(far.in, block, 5) == 5);
    say(2);
    await(3);
}

static void test_outgoing(void)
{
    int left = -1;
    pid_t pid = start(reads_late);
    CHECK(write(near.out, "12345", 5) == 5);
    CHECK_ERRNO(write(near.out, nowhere, 5), EFAULT);
    if (is_socket() && kind != TCP) /* where what has arrived counts as received */
        CHECK(ioctl(near.out, TIOCOUTQ, &left) == 0 && left >= 5);
    say(1);
    await(2);
    if (is_socket())
        CHECK(ioctl(near.out, TIOCOUTQ, &left) == 0 && (left == 0 || kind == TCP));
    say(3);
    end(pid);
}

/* ---- vectors ---- */

static void sends_vectors(void)
{
    for (int i = 0; i < 300; i++) {
        char head[3] = {(char)i, 'a', 'b'}, tail[100];
        memset(tail, i * 7, sizeof tail);
        struct iovec v[4] = {{head, 3}, {"", 0}, {tail, (size_t)i % 90 + 1}, {"!", 1}};
        struct msghdr m = {.msg_iov = v, .msg_iovlen = 4};
        ssize_t whole = 3 + i % 90 + 1 + 1;
        CHECK((is_socket() && i % 2 ? sendmsg(far.out, &m, 0) : writev(far.out, v, 4)) == whole);
    }
}

static void read_whole(int fd, char *to, size_t n, bool vectors)
{
    for (size_t done = 0; done < n;) {
        size_t half = (n - done) / 2;
        struct iovec v[2] = {{to + done, half}, {to + done + half, n - done - half}};
        struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
        ssize_t got_now = !vectors               ? read(fd, to + done, n - done)
                          : is_socket() && n % 2 ? recvmsg(fd, &m, 0)
                                                 : readv(fd, v, 2);
        CHECK(got_now > 0);
        done += (size_t)got_now;
    }
}

static void test_vectors(void)
{
    pid_t pid = start(sends_vectors);
    for (int i = 0; i < 300; i++) {
        char record[200];
        size_t n = (size_t)i % 90 + 1;
        read_whole(near.in, record, n + 4, true);
        CHECK(record[0] == (char)i && equal(record + 1, "ab") && record[n + 3] == '!');
        for (size_t k = 0; k < n; k++)
            CHECK(record[3 + k] == (char)(i * 7));
    }
    CHECK(read(near.in, block, 1) == 0);
    end(pid);
}

/* ---- full ---- */

static void drains(void)
{
    uint32_t sent, had = 0;
    await(1);
    sent = step[1];
    while (had < sent) {
        ssize_t n = read(far.in, block, sizeof block);
        CHECK(n > 0);
        for (ssize_t i = 0; i < n; i++)
            CHECK(block[i] == (char)((had + (uint32_t)i) * 13 / 7));
        had += (uint32_t)n;
    }
    CHECK(had == sent);
    say(2);
    await(3);
}

/* As much as goes, in pieces of any size; then there is no room, and later there is. */
static void test_full(void)
{
    uint32_t sent = 0;
    pid_t pid = start(drains);
    fcntl(near.out, F_SETFL, O_NONBLOCK);
    for (ssize_t n = 0; n >= 0; sent += n > 0 ? (uint32_t)n : 0) {
        uint32_t size = sent % 5003 + 1;
        for (uint32_t i = 0; i < size; i++)
            block[i] = (char)((sent + i) * 13 / 7);
        n = write(near.out, block, size);
        CHECK(n > 0 || errno == EAGAIN);
        CHECK(sent < (kind == TCP ? 20000000 : 2000000));
    }
    CHECK(sent >= 32768);
    CHECK(events(near.out, POLLOUT, 0) == 0);
    step[1] = sent;
    say(1);
    CHECK(events(near.out, POLLOUT, 5000) == POLLOUT);
    await(2);
    CHECK(events(near.out, POLLOUT, 0) == POLLOUT);
    say(3);
    end(pid);
}

static void echoes_bulk(void)
{
    ssize_t n;
    while ((n = read(far.in, block, 7000)) > 0)
        for (ssize_t done = 0, w; done < n; done += w)
            CHECK((w = write(far.out, block + done, (size_t)(n - done))) > 0);
    CHECK(n == 0);
}

/* More than any buffer holds, both ways at once. */
static void test_bulk(void)
{
    enum { TOTAL = 1500000 };
    pid_t pid = start(echoes_bulk);
    uint32_t out = 0, in = 0;
    static char answer[20000];
    fcntl(near.out, F_SETFL, O_NONBLOCK);
    fcntl(near.in, F_SETFL, O_NONBLOCK);
    while (in < TOTAL) {
        struct pollfd p[2] = {{near.in, POLLIN, 0}, {near.out, out < TOTAL ? POLLOUT : 0, 0}};
        CHECK(poll(p, 2, 20000) > 0);
        if (p[1].revents & POLLOUT) {
            uint32_t size = out % 9001 + 1 < TOTAL - out ? out % 9001 + 1 : TOTAL - out;
            for (uint32_t i = 0; i < size; i++)
                block[i] = (char)((out + i) * 31 / 17);
            ssize_t n = write(near.out, block, size);
            CHECK(n > 0 || errno == EAGAIN);
            out += n > 0 ? (uint32_t)n : 0;
        }
        ssize_t n = read(near.in, answer, sizeof answer);
        CHECK(n > 0 || (n < 0 && errno == EAGAIN));
        for (ssize_t i = 0; i < n; i++)
            CHECK(answer[i] == (char)((in + (uint32_t)i) * 31 / 17));
        in += n > 0 ? (uint32_t)n : 0;
    }
    if (is_socket())
        shutdown(near.out, SHUT_WR);
    else
        close(near.out);
    fcntl(near.in, F_SETFL, 0);
    CHECK(read(near.in, answer, 1) == 0);
    end(pid);
}

/* ---- waiting ---- */

static void writes_later(void)
{
    for (uint32_t i = 1; i <= 5; i++) {
        await(i);
        sleep_ms(15);
        CHECK(write(far.out, "later", 5) == 5);
    }
    await(6);
}

static void test_waits(void)
{
    pid_t pid = start(writes_later);
    struct epoll_event ev = {EPOLLIN, {0}}, out;
    int e = epoll_create1(0);
    fd_set set;
    say(1);
    CHECK(events(near.in, POLLIN, 10000) == POLLIN && read(near.in, block, 9) == 5);
    FD_ZERO(&set);
    FD_SET(near.in, &set);
    say(2);
    CHECK(select(near.in + 1, &set, NULL, NULL, &(struct timeval){10, 0}) == 1);
    CHECK(FD_ISSET(near.in, &set) && read(near.in, block, 9) == 5);
    say(3);
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, near.in, &ev) == 0);
    CHECK(epoll_wait(e, &out, 1, 10000) == 1 && out.events == EPOLLIN);
    CHECK(epoll_wait(e, &out, 1, 0) == 1 && read(near.in, block, 9) == 5);
    ev.events = EPOLLIN | EPOLLET;
    CHECK(epoll_ctl(e, EPOLL_CTL_MOD, near.in, &ev) == 0 && epoll_wait(e, &out, 1, 0) == 0);
    say(4);
    CHECK(epoll_wait(e, &out, 1, 10000) == 1 && epoll_wait(e, &out, 1, 0) == 0);
    say(5); /* a new edge, though nothing was read */
    CHECK(epoll_wait(e, &out, 1, 10000) == 1 && read(near.in, block, 20) == 10);
    close(e);
    say(6);
    end(pid);
}

static void waits_for_end(void)
{
    CHECK(read(far.in, block, 1) == 0);
}

static void test_interrupted(void)
{
    struct sigaction act = {.sa_handler = on_signal};
    pid_t pid = start(waits_for_end);
    CHECK0(sigaction(SIGALRM, &act, NULL));
    got = 0;
    ualarm(30000, 0);
    CHECK_ERRNO(read(near.in, block, 1), EINTR);
    CHECK(got == SIGALRM);
    struct timespec short_time = {0, 20000000};
    struct pollfd p = {near.in, POLLIN, 0};
    CHECK(ppoll(&p, 1, &short_time, NULL) == 0);
    close(near.out);
    near.out = near.in;
    if (is_socket())
        near.in = near.out = open("/dev/null", O_RDONLY);
    end(pid);
}

/* ---- threads ---- */

#define THREADS 3
#define PIECES  2000

static void *thread_writes(void *unused)
{
    uint32_t piece[8];
    (void)unused;
    for (uint32_t i = 0; i < PIECES; i++) {
        for (int k = 0; k < 8; k++)
            piece[k] = i + 1;
        CHECK(write(near.out, piece, sizeof piece) == sizeof piece);
    }
    return NULL;
}

static void counts_pieces(void)
{
    static uint32_t seen[PIECES + 1];
    uint32_t piece[8];
    for (uint32_t i = 0; i < THREADS * PIECES; i++) {
        read_whole(far.in, (char *)piece, sizeof piece, false);
        for (int k = 1; k < 8; k++)
            CHECK(piece[k] == piece[0]);
        CHECK(piece[0] && piece[0] <= PIECES && ++seen[piece[0]] <= THREADS);
    }
}

static void test_threads(void)
{
    pthread_t t[THREADS];
    pid_t pid = start(counts_pieces);
    for (int i = 0; i < THREADS; i++)
        CHECK0(pthread_create(&t[i], NULL, thread_writes, NULL));
    for (int i = 0; i < THREADS; i++)
        CHECK0(pthread_join(t[i], NULL));
    end(pid);
}

/* ---- forks, execs, descriptors that are passed on ---- */

static void reads_digits(void)
{
    for (int i = 0; i < 60; i++) {
        char byte;
        CHECK(read(far.in, &byte, 1) == 1 && byte == (char)i);
    }
    CHECK(read(far.in, block, 1) == 0);
}

static void test_fork(void)
{
    pid_t pid = start(reads_digits);
    for (int i = 0; i < 60; i++) {
        char byte = (char)i;
        if (i % 7 == 0)
            IN_CHILD(CHECK(write(near.out, &byte, 1) == 1));
        else
            CHECK(write(near.out, &byte, 1) == 1);
    }
    close_link(near);
    finish(pid);
    near = (struct link){-1, -1};
    remove_fifo("there");
    remove_fifo("back");
}

static void becomes_another(void)
{
    char in[12], out[12], which[12];
    snprintf(in, sizeof in, "%d", far.in);
    snprintf(out, sizeof out, "%d", far.out);
    snprintf(which, sizeof which, "%d", (int)kind);
    CHECK(write(far.out, "before", 6) == 6);
    execl("/proc/self/exe", "warm_streams", in, out, which, (char *)NULL);
    _exit(127);
}

static int execed(char **argv)
{
    far = (struct link){atoi(argv[1]), atoi(argv[2])};
    warm(far, false);
    CHECK(write(far.out, "after", 5) == 5);
    return 0;
}

static void test_exec(void)
{
    pid_t pid = start(becomes_another);
    read_whole(near.in, block, 6, false);
    CHECK(equal(block, "before"));
    warm(near, true);
    read_whole(near.in, block, 5, false);
    CHECK(equal(block, "after") && read(near.in, block, 1) == 0);
    end(pid);
}

static void reads_from_two(void)
{
    CHECK(read(far.in, block, 1) == 1 && block[0] == '1');
    say(1);
    CHECK(read(far.in, block, 1) == 1 && block[0] == '2');
    say(2);
    CHECK(read(far.in, block, 1) == 1 && block[0] == '3');
    CHECK(read(far.in, block, 1) == 0);
}

/* The end itself goes to another process, and its first owner closes it. */
static void test_passed(void)
{
    int s[2], fd;
    pid_t pid = start(reads_from_two);
    CHECK0(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    pid_t other = fork();
    CHECK(other >= 0);
    if (other == 0) {
        close_link(near);
        CHECK(receive_fd(s[1], block, 1, &fd) == 1 && fd >= 0);
        CHECK(write(fd, "2", 1) == 1);
        await(2);
        CHECK(write(fd, "3", 1) == 1);
        _exit(0);
    }
    CHECK(write(near.out, "1", 1) == 1);
    await(1);
    send_fd(s[0], "f", near.out);
    close_link(near);
    finish(other);
    finish(pid);
    close(s[0]), close(s[1]);
    remove_fifo("there");
    remove_fifo("back");
}

/* ---- the end ---- */

static void writes_and_goes(void)
{
    CHECK(write(far.out, "last", 4) == 4);
    say(1);
    await(2);
}

static void test_last_words(void)
{
    pid_t pid = start(writes_and_goes);
    await(1);
    say(2);
    finish(pid);
    CHECK(read(near.in, block, 9) == 4 && equal(block, "last") && read(near.in, block, 9) == 0);
    if (kind == TCP) { /* it may have ended sending only; what it is sent tells */
        CHECK(events(near.in, POLLIN | POLLRDHUP, 0) == (POLLIN | POLLRDHUP));
        CHECK(write(near.out, "x", 1) == 1);
        CHECK(events(near.in, 0, 5000) & POLLHUP);
    } else {
        CHECK(events(near.in, POLLIN, 0) & POLLHUP);
    }
    signal(SIGPIPE, on_signal);
    got = 0;
    CHECK_ERRNO(write(near.out, "x", 1), EPIPE);
    CHECK(got == SIGPIPE);
    got = 0;
    if (is_socket()) {
        CHECK_ERRNO(send(near.out, "x", 1, MSG_NOSIGNAL), EPIPE);
        CHECK(!got);
    }
    forget_link();
}

static void goes_without_reading(void)
{
    await(1);
    CHECK(write(far.out, "words", 5) == 5);
    close_link(far);
    say(2);
    await(3);
}

/* Bytes that nobody will read: a socket says so after those that came. */
static void test_unread(void)
{
    pid_t pid = start(goes_without_reading);
    CHECK(write(near.out, "unread", 6) == 6);
    say(1);
    await(2);
    CHECK(read(near.in, block, 9) == 5 && equal(block, "words"));
    if (is_socket()) {
        CHECK(events(near.in, 0, kind == TCP ? 5000 : 0) & POLLERR);
        CHECK_ERRNO(read(near.in, block, 9), ECONNRESET);
    }
    CHECK(read(near.in, block, 9) == 0);
    say(3);
    end(pid);
}

static void reads_for_ever(void)
{
    for (;;)
        if (read(far.in, block, 100) <= 0)
            break;
}

/* Killed while the other one sleeps: in a read, in a write. */
static void test_killed(void)
{
    for (int writing = 0; writing < 2; writing++) {
        pid_t pid = start(writing ? (void (*)(void))pause : reads_for_ever), killer = fork();
        int status;
        CHECK(killer >= 0);
        if (killer == 0) {
            close_link(near);
            sleep_ms(30);
            kill(pid, SIGKILL);
            _exit(0);
        }
        signal(SIGPIPE, SIG_IGN);
        if (!writing)
            CHECK(read(near.in, block, 1) == 0);
        else
            for (ssize_t n = 1; n > 0;) {
                n = write(near.out, block, 30000);
                CHECK(n > 0 || errno == EPIPE || (is_socket() && errno == ECONNRESET));
            }
        finish(killer);
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        if (kind == TCP && !writing)
            CHECK(write(near.out, "x", 1) == 1 && events(near.in, 0, 5000) & POLLHUP);
        CHECK_ERRNO(write(near.out, "x", 1), EPIPE);
        forget_link();
    }
}

/* ---- FIFOs only ---- */

static void reads_all_digits(void)
{
    uint32_t sum = 0;
    ssize_t n;
    while ((n = read(far.in, block, 64)) > 0)
        for (ssize_t i = 0; i < n; i++)
            sum += (uint8_t)block[i];
    CHECK(n == 0 && sum == 20 + 30 * 2 + 10 * 3);
}

static void open_and_write(int flags, char byte, int times)
{
    char path[64];
    snprintf(path, sizeof path, "%s/there", directory);
    int fd = open(path, flags);
    CHECK(fd >= 0);
    for (int i = 0; i < times; i++)
        CHECK(write(fd, &byte, 1) == 1);
    close(fd);
}

/* Others open it meanwhile. */
static void test_more_openers(void)
{
    pid_t pid = start(reads_all_digits);
    for (int i = 0; i < 20; i++)
        CHECK(write(near.out, "\1", 1) == 1);
    IN_CHILD(open_and_write(O_WRONLY, 2, 30));
    open_and_write(O_RDWR, 3, 10);
    close_link(near);
    finish(pid);
    remove_fifo("there");
    remove_fifo("back");
}

int main(int argc, char **argv)
{
    if (argc == 4) {
        kind = (enum kind)atoi(argv[3]);
        return execed(argv);
    }
    prepare();
    for (kind = PIPES; kind < KINDS; kind++) {
        void (*const all[])(void) = {test_looks,      test_outgoing,   test_vectors, test_full,
                                     test_bulk,       test_waits,      test_threads, test_fork,
                                     test_exec,       test_passed,     test_unread,  test_killed,
                                     test_last_words, test_interrupted};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            all[i]();
        if (kind == FIFOS)
            test_more_openers();
    }
    CHECK0(rmdir(directory));
    return 0;
}
