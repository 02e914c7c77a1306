/* SPDX-License-Identifier: MIT */
/*
 * What only TCP has, between two processes, or two threads, that have already said much to each
 * other over the loopback: half of a connection, resets, corks, options, files, counters. tcp(7),
 * socket(7), recv(2), epoll(7). What it has in common with other streams is in warm_streams.c.
 */
#include "warm_waits.h"

#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>

/* ---- looks ---- */

static void writes_ten(void)
{
    CHECK(write(far.out, "0123456789", 10) == 10);
    await(1);
}

static void test_discard(void)
{
    pid_t pid = start(writes_ten);
    CHECK(has_come(near.in, 10));
    CHECK(recv(near.in, block, 4, MSG_PEEK | MSG_WAITALL) == 4 && equal(block, "0123"));
    CHECK(recv(near.in, block, 4, MSG_TRUNC) == 4 && unread(near.in) == 6);
    CHECK(read(near.in, block, 20) == 6 && equal(block, "456789"));
    say(1);
    end(pid);
}

static void echoes(void)
{
    ssize_t n;
    while ((n = read(far.in, block, sizeof block)) > 0)
        for (ssize_t done = 0, w; done < n; done += w)
            CHECK((w = write(far.out, block + done, (size_t)(n - done))) > 0);
    CHECK(n == 0);
}

static long segments_in(void)
{
    char line[1000];
    long n = -1;
    FILE *f = fopen("/proc/net/snmp", "r");
    CHECK(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "Tcp: %*d %*d %*d %*d %*d %*d %*d %*d %*d %ld", &n) == 1)
            break;
    fclose(f);
    CHECK(n >= 0);
    return n;
}

static void trip(int i)
{
    char byte = (char)i;
    CHECK(write(near.out, &byte, 1) == 1 && read(near.in, &byte, 1) == 1 && byte == (char)i);
}

/* Whoever looks at the machine's traffic sees it. */
static void test_counted(void)
{
    pid_t pid = start(echoes);
    long before = segments_in();
    for (int i = 0; i < 100; i++)
        trip(i);
    CHECK(segments_in() - before >= 200);
    shutdown(near.out, SHUT_WR);
    end(pid);
}

/* Options, set and asked for between two bytes. */
static void test_options(void)
{
    pid_t pid = start(echoes);
    struct tcp_info info;
    for (int i = 0; i < 200; i++) {
        socklen_t size = sizeof info;
        trip(i);
        if (i % 40 == 10)
            set(near.out, IPPROTO_TCP, TCP_NODELAY, i % 80 == 10);
        if (i % 40 == 20)
            set(near.out, SOL_SOCKET, SO_KEEPALIVE, i % 80 == 20);
        if (i % 40 == 30) {
            CHECK0(getsockopt(near.in, IPPROTO_TCP, TCP_INFO, &info, &size));
            CHECK(info.tcpi_state == 1);
        }
    }
    set(near.out, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
    trip(1);
    shutdown(near.out, SHUT_WR);
    CHECK(read(near.in, block, 1) == 0);
    end(pid);
}

/* ---- a cork ---- */

static void corks(void)
{
    double begin = seconds_now();
    set(far.out, IPPROTO_TCP, TCP_CORK, 1);
    CHECK(write(far.out, "ab", 2) == 2 && write(far.out, "cd", 2) == 2);
    sleep_ms(30);
    say(1);
    await(2);
    step[1] = seconds_now() - begin < 0.15; /* it keeps them for 200 ms */
    set(far.out, IPPROTO_TCP, TCP_CORK, 0);
    say(3);
    warm(far, false);
}

static void test_cork(void)
{
    pid_t pid = start(corks);
    await(1);
    bool nothing = unread(near.in) == 0;
    say(2);
    await(3);
    CHECK(nothing || !step[1]);
    CHECK(recv(near.in, block, 4, MSG_WAITALL) == 4 && equal(block, "abcd"));
    warm(near, true);
    end(pid);
}

/* ---- the end of one half, resets ---- */

static void shuts(void)
{
    CHECK(write(far.out, "last", 4) == 4 && shutdown(far.out, SHUT_WR) == 0);
    CHECK_ERRNO(send(far.out, "x", 1, MSG_NOSIGNAL), EPIPE);
    say(1);
    for (int i = 0; i < 50; i++)
        CHECK(recv(far.in, block, 4, MSG_WAITALL) == 4 && equal(block, "back"));
    CHECK(read(far.in, block, 1) == 0);
}

static void test_half(void)
{
    pid_t pid = start(shuts);
    await(1);
    CHECK(read(near.in, block, 9) == 4 && equal(block, "last") && read(near.in, block, 9) == 0);
    CHECK(events(near.in, POLLIN | POLLOUT | POLLRDHUP, 0) == (POLLIN | POLLOUT | POLLRDHUP));
    for (int i = 0; i < 50; i++)
        CHECK(write(near.out, "back", 4) == 4);
    CHECK0(shutdown(near.out, SHUT_WR));
    end(pid);
}

static void aborts(void)
{
    struct linger l = {1, 0};
    await(1);
    CHECK(write(far.out, "lost?", 5) == 5);
    CHECK0(setsockopt(far.out, SOL_SOCKET, SO_LINGER, &l, sizeof l));
    close_link(far);
    say(2);
    await(3);
}

static void test_abort(void)
{
    pid_t pid = start(aborts);
    int error = 0;
    socklen_t size = sizeof error;
    say(1);
    await(2);
    CHECK(events(near.in, 0, 5000) & POLLERR);
    CHECK0(getsockopt(near.in, SOL_SOCKET, SO_ERROR, &error, &size));
    CHECK(error == ECONNRESET);
    CHECK_ERRNO(send(near.out, "x", 1, MSG_NOSIGNAL), EPIPE);
    say(3);
    end(pid);
}

/* ---- what is large ---- */

static char expected(uint32_t i)
{
    return (char)(i * 31 / 17);
}

static void read_all(int fd, uint32_t size)
{
    for (uint32_t done = 0; done < size;) {
        ssize_t n = read(fd, block, size - done < sizeof block ? size - done : sizeof block);
        CHECK(n > 0);
        for (ssize_t i = 0; i < n; i++)
            CHECK(block[i] == expected(done + (uint32_t)i));
        done += (uint32_t)n;
    }
}

static void write_all(int fd, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        block[i] = expected(i);
    for (uint32_t done = 0; done < size;) {
        ssize_t n = write(fd, block + done, size - done);
        CHECK(n > 0);
        done += (uint32_t)n;
    }
}

static uint32_t size_of(uint32_t i)
{
    return i % 10 == 9 ? 1 + i * 7919 % 250000 : 1 + i * 7919 % 9000;
}

static void answers(void)
{
    for (uint32_t i = 0; i < 120; i++) {
        read_all(far.in, size_of(i));
        write_all(far.out, size_of(i * 3));
    }
}

/* Requests and answers of any size. */
static void test_sizes(void)
{
    pid_t pid = start(answers);
    for (uint32_t i = 0; i < 120; i++) {
        write_all(near.out, size_of(i));
        read_all(near.in, size_of(i * 3));
    }
    CHECK(read(near.in, block, 1) == 0);
    end(pid);
}

#define FILE_SIZE 200000u

static void sends_file(void)
{
    char name[] = "/tmp/warm-tcp-XXXXXX";
    off_t at = 0;
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    write_all(fd, FILE_SIZE);
    while (at < (off_t)FILE_SIZE)
        CHECK(sendfile(far.out, fd, &at, FILE_SIZE) > 0);
    CHECK0(unlink(name));
    warm(far, false);
}

static void test_file(void)
{
    pid_t pid = start(sends_file);
    read_all(near.in, FILE_SIZE);
    warm(near, true);
    end(pid);
}

/* ---- epoll ---- */

static void writes_when_told(void)
{
    for (uint32_t i = 1; i <= 4; i++) {
        await(i);
        CHECK(write(far.out, "x", 1) == 1);
    }
    await(5);
}

static void test_epoll(void)
{
    pid_t pid = start(writes_when_told);
    struct epoll_event ev = {EPOLLIN | EPOLLONESHOT, {0}}, out;
    int e = epoll_create1(0);
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, near.in, &ev) == 0 && epoll_wait(e, &out, 1, 20) == 0);
    say(1);
    CHECK(epoll_wait(e, &out, 1, 10000) == 1 && out.events == EPOLLIN);
    say(2); /* shot: nothing is told, until it is armed again */
    CHECK(has_come(near.in, 2) && epoll_wait(e, &out, 1, 20) == 0);
    CHECK(epoll_ctl(e, EPOLL_CTL_MOD, near.in, &ev) == 0 && epoll_wait(e, &out, 1, 0) == 1);
    ev.events = EPOLLIN | EPOLLOUT | EPOLLET;
    CHECK(epoll_ctl(e, EPOLL_CTL_MOD, near.in, &ev) == 0 && epoll_wait(e, &out, 1, 0) == 1);
    CHECK(out.events == (EPOLLIN | EPOLLOUT) && epoll_wait(e, &out, 1, 20) == 0);
    say(3);
    CHECK(epoll_wait(e, &out, 1, 10000) == 1 && out.events & EPOLLIN);
    CHECK(read(near.in, block, 9) == 3);
    say(4);
    CHECK(epoll_wait(e, &out, 1, 10000) == 1 && read(near.in, block, 9) == 1);
    close(e);
    say(5);
    end(pid);
}

/* Another thread is told of what this one reads. */
static void *polls(void *count)
{
    struct epoll_event ev = {EPOLLIN | EPOLLET, {0}}, out;
    int e = epoll_create1(0);
    CHECK0(epoll_ctl(e, EPOLL_CTL_ADD, near.in, &ev));
    __atomic_store_n((int *)count, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n((int *)count, __ATOMIC_SEQ_CST) < 60)
        if (epoll_wait(e, &out, 1, 5000) == 1 && out.events & EPOLLIN)
            __atomic_fetch_add((int *)count, 1, __ATOMIC_SEQ_CST);
        else
            CHECK(!"told of nothing");
    close(e);
    return NULL;
}

static void test_told(void)
{
    pthread_t thread;
    int count = 0;
    pid_t pid = start(echoes);
    CHECK0(pthread_create(&thread, NULL, polls, &count));
    while (!__atomic_load_n(&count, __ATOMIC_SEQ_CST))
        sleep_ms(1);
    for (int i = 0; __atomic_load_n(&count, __ATOMIC_SEQ_CST) < 60; i++)
        trip(i);
    CHECK0(pthread_join(thread, NULL));
    shutdown(near.out, SHUT_WR);
    end(pid);
}

/* ---- threads of one process ---- */

static void *echo_thread(void *unused)
{
    char byte;
    while (read(far.in, &byte, 1) == 1)
        CHECK(write(far.out, &byte, 1) == 1);
    return unused;
}

static void *read_thread(void *total)
{
    char bytes[16];
    ssize_t n;
    while ((n = read(near.in, bytes, sizeof bytes)) > 0)
        __atomic_fetch_add((int *)total, (int)n, __ATOMIC_SEQ_CST);
    CHECK(n == 0);
    return NULL;
}

/* Both ends in one process; then several read; then it ends under their feet. */
static void test_threads(void)
{
    enum { READERS = 3, BYTES = 300 };
    pthread_t echo, reader[READERS];
    int total = 0;
    make_links();
    CHECK0(pthread_create(&echo, NULL, echo_thread, NULL));
    for (int i = 0; i < 500; i++)
        trip(i);
    for (int i = 0; i < READERS; i++)
        CHECK0(pthread_create(&reader[i], NULL, read_thread, &total));
    for (int i = 0; i < BYTES; i++)
        CHECK(write(near.out, "b", 1) == 1);
    for (int i = 0; i < 5000 && __atomic_load_n(&total, __ATOMIC_SEQ_CST) < BYTES; i++)
        sleep_ms(1);
    CHECK(total == BYTES);
    CHECK0(shutdown(near.in, SHUT_RDWR));
    for (int i = 0; i < READERS; i++)
        CHECK0(pthread_join(reader[i], NULL));
    CHECK0(pthread_join(echo, NULL));
    close_link(near);
    close_link(far);
}

int main(void)
{
    prepare();
    kind = TCP;
    void (*const all[])(void) = {
        test_least, test_timeouts, test_discard, test_counted, test_options, test_cork,   test_half,
        test_abort, test_sizes,    test_file,    test_epoll,   test_told,    test_threads};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        all[i]();
    CHECK0(rmdir(directory));
    return 0;
}
