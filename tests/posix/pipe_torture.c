/* SPDX-License-Identifier: MIT */
/*
 * Pipes and stream sockets that change hands: forks, ends passed on, processes killed in the midst
 * of a transfer. No byte is lost, doubled or out of order, a record that is written at once arrives
 * at once, and who comes after a death sees it. Argument: a seed.
 */
#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

static uint64_t state = 1;

static uint32_t chance(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static bool sockets; /* instead of pipes */

/* [0] to read, [1] to write */
static void make_pair(int ends[2])
{
    if (sockets)
        CHECK0(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    else
        CHECK0(pipe(ends));
}

/* ---- a stream of bytes that both sides know ---- */

static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i * 0x9e3779b97f4a7c15u >> 56);
}

static char buffer[70000];

static uint32_t some_size(void)
{
    uint32_t kind = chance(8);
    return 1 + chance(kind < 4 ? 8 : kind < 6 ? 600 : kind < 7 ? 5000 : sizeof buffer - 1);
}

static void write_some(int fd, uint64_t *at, uint64_t end)
{
    uint64_t n = some_size();
    n = n < end - *at ? n : end - *at;
    for (uint64_t i = 0; i < n; i++)
        buffer[i] = (char)byte_at(*at + i);
    CHECK(write(fd, buffer, n) == (ssize_t)n);
    *at += n;
}

static bool read_some(int fd, uint64_t *at)
{
    ssize_t n = read(fd, buffer, some_size());
    CHECK(n >= 0);
    for (ssize_t i = 0; i < n; i++)
        if ((uint8_t)buffer[i] != byte_at(*at + (uint64_t)i))
            FAILED("byte %llu is wrong", (unsigned long long)*at + (unsigned long long)i);
    *at += (uint64_t)n;
    return n;
}

/* Goes on in a child, or a child of the child, now and then. */
static void write_all(int fd, uint64_t end)
{
    for (uint64_t at = 0; at < end;) {
        if (chance(40) == 0) {
            uint64_t *shared =
                mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            CHECK(shared != MAP_FAILED);
            *shared = at;
            uint32_t times = chance(20);
            IN_CHILD(for (uint32_t i = 0; i < times && *shared < end; i++)
                         write_some(fd, shared, end));
            at = *shared;
            munmap(shared, 4096);
        } else
            write_some(fd, &at, end);
    }
}

static void read_all(int fd, uint64_t end)
{
    uint64_t at = 0;
    for (bool more = true; more;) {
        if (chance(40) == 0) {
            uint64_t *shared =
                mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            CHECK(shared != MAP_FAILED);
            *shared = at;
            uint32_t times = chance(20);
            IN_CHILD(for (uint32_t i = 0; i < times && read_some(fd, shared); i++););
            at = *shared;
            munmap(shared, 4096);
        } else
            more = read_some(fd, &at);
    }
    if (at != end)
        FAILED("%llu bytes of %llu", (unsigned long long)at, (unsigned long long)end);
}

static void stream(void)
{
    int ends[2];
    uint64_t end = 100000 + chance(600000);
    make_pair(ends);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        state += 77;
        close(ends[0]);
        write_all(ends[1], end);
        _exit(0);
    }
    close(ends[1]);
    read_all(ends[0], end);
    finish(pid);
    close(ends[0]);
}

/* ---- records of several writers to several readers, any of whom is killed ---- */

#define WRITERS 4
#define READERS 3
#define RECORDS 1000

struct record {
    uint32_t writer, number, check[14];
};
_Static_assert(sizeof(struct record) == 64, "whole records in any buffer");

struct board {
    uint32_t written[WRITERS];      /* of which write() has said so */
    uint8_t seen[WRITERS][RECORDS]; /* by readers */
    uint32_t lost;                  /* records that a killed reader may have had */
};

static struct board *board;

static void writer(int fd, uint32_t which)
{
    struct record r = {.writer = which};
    for (uint32_t n = board->written[which]; n < RECORDS; n++) {
        r.number = n;
        for (int i = 0; i < 14; i++)
            r.check[i] = which * 1000003 + n * 31 + (uint32_t)i;
        CHECK(write(fd, &r, sizeof r) == sizeof r);
        board->written[which] = n + 1;
    }
    _exit(0);
}

static void reader(int fd)
{
    struct record r;
    ssize_t n;
    while ((n = read(fd, &r, sizeof r)) == sizeof r) {
        CHECK(r.writer < WRITERS && r.number < RECORDS);
        for (int i = 0; i < 14; i++)
            CHECK(r.check[i] == r.writer * 1000003 + r.number * 31 + (uint32_t)i);
        __atomic_fetch_add(&board->seen[r.writer][r.number], 1, __ATOMIC_RELAXED);
    }
    CHECK(n == 0);
    _exit(0);
}

static pid_t start_writer(int ends[2], uint32_t which)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid)
        return pid;
    close(ends[0]);
    writer(ends[1], which);
    return 0;
}

static pid_t start_reader(int ends[2])
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid)
        return pid;
    close(ends[1]);
    reader(ends[0]);
    return 0;
}

static void kill_one(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
}

/*
 * A killed writer is followed by another that goes on after the last record that it knew of: so
 * that one, and only that, may come twice.
 */
static void check_board(const uint32_t killed[WRITERS])
{
    uint32_t missing = 0, doubled[WRITERS] = {0};
    for (uint32_t w = 0; w < WRITERS; w++)
        for (uint32_t n = 0; n < RECORDS; n++) {
            missing += board->seen[w][n] == 0;
            doubled[w] += board->seen[w][n] > 1 ? board->seen[w][n] - 1u : 0;
        }
    if (missing > board->lost)
        FAILED("%u records are missing, %u readers were killed", missing, board->lost);
    for (uint32_t w = 0; w < WRITERS; w++)
        if (doubled[w] > killed[w])
            FAILED("%u records of writer %u came twice, it was killed %u times", doubled[w], w,
                   killed[w]);
}

static void records(uint32_t writers_used, uint32_t readers_used)
{
    int ends[2];
    pid_t writers[WRITERS], readers[READERS];
    uint32_t killed[WRITERS] = {0};
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(board != MAP_FAILED);
    for (uint32_t w = writers_used; w < WRITERS; w++)
        memset(board->seen[w], 1, RECORDS);
    make_pair(ends);
    for (uint32_t i = 0; i < writers_used; i++)
        writers[i] = start_writer(ends, i);
    for (uint32_t i = 0; i < readers_used; i++)
        readers[i] = start_reader(ends);
    for (uint32_t kills = 3 + chance(12); kills; kills--) {
        usleep(chance(1500));
        uint32_t i = chance(writers_used + readers_used);
        if (i < writers_used) {
            kill_one(writers[i]);
            killed[i]++;
            writers[i] = start_writer(ends, i);
        } else {
            kill_one(readers[i - writers_used]);
            board->lost++;
            readers[i - writers_used] = start_reader(ends);
        }
    }
    close(ends[1]);
    for (uint32_t i = 0; i < writers_used; i++)
        finish(writers[i]);
    for (uint32_t i = 0; i < readers_used; i++)
        finish(readers[i]);
    close(ends[0]);
    check_board(killed);
    munmap(board, sizeof *board);
}

/* ---- what is seen at once ---- */

static int there[2], back[2]; /* this process writes to there[1], reads from back[0] */

static pid_t start_echo(void)
{
    make_pair(there);
    make_pair(back);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char byte;
        close(there[1]);
        close(back[0]);
        while (read(there[0], &byte, 1) == 1)
            CHECK(write(back[1], &byte, 1) == 1);
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    for (uint32_t i = chance(100); i; i--) {
        char byte = (char)i, answer;
        CHECK(write(there[1], &byte, 1) == 1 && read(back[0], &answer, 1) == 1 && answer == byte);
    }
    return pid;
}

static void deaths(void)
{
    pid_t pid = start_echo();
    char byte;
    struct pollfd p = {.fd = back[0], .events = POLLIN};
    if (chance(2))
        CHECK(write(there[1], "", 1) == 1);
    kill_one(pid);
    errno = 0;
    CHECK(write(there[1], "", 1) == -1 && errno == EPIPE);
    CHECK(poll(&p, 1, 0) == 1 && p.revents & POLLHUP);
    CHECK(fcntl(back[0], F_SETFL, O_NONBLOCK) == 0);
    ssize_t n = read(back[0], &byte, 1);
    if (n == 1)
        n = read(back[0], &byte, 1);
    CHECK(n == 0 || (sockets && n == -1 && errno == ECONNRESET && read(back[0], &byte, 1) == 0));
    close(there[1]);
    close(back[0]);
}

/* A process with both ends; its own writes are seen by its own poll and read at once. */
static void oneself(void)
{
    int ends[2];
    make_pair(ends);
    struct pollfd p = {.fd = ends[0], .events = POLLIN}, q = {.fd = ends[1], .events = POLLOUT};
    uint64_t in = 0, out = 0, end = 3000;
    CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    while (in < end) {
        int waiting = -1;
        uint64_t before = out;
        while (out < end && out - in < 3000 && chance(4))
            write_some(ends[1], &out, out + 1 + chance(500) < end ? out + 1 : end);
        CHECK(ioctl(ends[0], FIONREAD, &waiting) == 0 && waiting == (int)(out - in));
        CHECK(poll(&p, 1, 0) == (out > in));
        CHECK(poll(&q, 1, 0) == 1 || before != out);
        if (out > in)
            read_some(ends[0], &in);
    }
    close(ends[0]);
    close(ends[1]);
}

/* Another process sees by poll what was written, as soon as it can know of it. */
static void seen_at_once(void)
{
    uint32_t *turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int ends[2];
    CHECK(turn != MAP_FAILED);
    *turn = UINT32_MAX;
    make_pair(ends);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (uint32_t i = 0; i < 40; i++) {
            while (__atomic_load_n(turn, __ATOMIC_SEQ_CST) != 2 * i)
                sched_yield();
            CHECK(write(ends[1], "", 1) == 1);
            __atomic_store_n(turn, 2 * i + 1, __ATOMIC_SEQ_CST);
        }
        _exit(0);
    }
    for (uint32_t i = 0; i < 40; i++) {
        char byte;
        struct pollfd p = {.fd = ends[0], .events = POLLIN};
        CHECK(poll(&p, 1, 0) == 0);
        __atomic_store_n(turn, 2 * i, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(turn, __ATOMIC_SEQ_CST) != 2 * i + 1)
            sched_yield();
        CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
        CHECK(read(ends[0], &byte, 1) == 1);
    }
    finish(pid);
    close(ends[0]);
    close(ends[1]);
    munmap(turn, 4096);
}

/* ---- ends that are passed on ---- */

static void send_end(int to, int fd)
{
    char byte = 'e', control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec vec = {&byte, 1};
    struct msghdr m = {.msg_iov = &vec, .msg_iovlen = 1, .msg_control = control};
    m.msg_controllen = sizeof control;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    CHECK(sendmsg(to, &m, 0) == 1);
}

static int take_end(int from)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec vec = {&byte, 1};
    struct msghdr m = {.msg_iov = &vec, .msg_iovlen = 1, .msg_control = control};
    int fd;
    m.msg_controllen = sizeof control;
    CHECK(recvmsg(from, &m, 0) == 1);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    CHECK(c && c->cmsg_type == SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* Two processes take turns at the writing end, which goes to and fro between them. */
static void passed_on(void)
{
    int ends[2], post[2];
    uint64_t *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t end = 150000;
    CHECK(at != MAP_FAILED);
    make_pair(ends);
    CHECK0(socketpair(AF_UNIX, SOCK_STREAM, 0, post));
    pid_t pids[2];
    for (int side = 0; side < 2; side++) {
        pids[side] = fork();
        CHECK(pids[side] >= 0);
        if (pids[side])
            continue;
        state += (uint64_t)side + 1;
        close(ends[0]);
        close(post[1 - side]);
        int fd = side == 0 ? ends[1] : -1;
        if (side)
            close(ends[1]);
        for (bool more = true; more;) {
            if (fd < 0)
                fd = take_end(post[side]);
            for (uint32_t i = 1 + chance(30); i && *at < end; i--)
                write_some(fd, at, end);
            more = *at < end;
            send_end(post[side], fd);
            close(fd);
            fd = -1;
        }
        char byte;
        shutdown(post[side], SHUT_WR);
        while (read(post[side], &byte, 1) > 0)
            ; /* what comes still is dropped with its end */
        _exit(0);
    }
    close(ends[1]);
    close(post[0]);
    close(post[1]);
    read_all(ends[0], end);
    finish(pids[0]);
    finish(pids[1]);
    close(ends[0]);
    munmap(at, 4096);
}

int main(int argc, char **argv)
{
    state = argc > 1 ? strtoull(argv[1], NULL, 0) * 2 + 1 : 12345;
    signal(SIGPIPE, SIG_IGN);
    for (int round = 0; round < 2; round++) {
        sockets = round;
        oneself();
        for (int i = 0; i < 8; i++)
            deaths();
        seen_at_once();
        stream();
        passed_on();
        records(1, 1);
        if (!sockets) { /* of sockets nothing but a datagram is whole */
            records(WRITERS, 1);
            records(WRITERS, READERS);
        }
    }
    return 0;
}
