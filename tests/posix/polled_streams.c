/* SPDX-License-Identifier: MIT */
/*
 * Pipes, FIFOs and stream sockets between two processes that have already said much to each other,
 * and wait for more by poll and epoll: poll(2), epoll(7), pipe(7), unix(7).
 */
#include "warm.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum how { POLL, LEVEL, EDGE, HOWS };
static enum how how;

struct waiter {
    int fd, epoll;
    short wanted;
};

static struct waiter waiter_of(int fd, short wanted)
{
    struct waiter w = {fd, -1, wanted};
    struct epoll_event e = {.events = (uint32_t)wanted | (how == EDGE ? (uint32_t)EPOLLET : 0)};
    if (how == POLL)
        return w;
    w.epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(w.epoll >= 0 && epoll_ctl(w.epoll, EPOLL_CTL_ADD, fd, &e) == 0);
    return w;
}

static int wait_ms(const struct waiter *w, int ms)
{
    struct epoll_event e = {.events = 0};
    if (how == POLL)
        return events(w->fd, w->wanted, ms);
    int n = epoll_wait(w->epoll, &e, 1, ms);
    CHECK(n >= 0);
    return n ? (int)e.events : 0;
}

static void waiter_end(const struct waiter *w)
{
    if (w->epoll >= 0)
        close(w->epoll);
}

/* ---- back and forth ---- */

#define ROUNDS 300

static size_t size_of(int i)
{
    return (size_t)(i * 37 % 900 + 1);
}

static void receive_one(const struct waiter *w, int i)
{
    char bytes[1000];
    CHECK(wait_ms(w, 10000) & POLLIN);
    CHECK(read(w->fd, bytes, sizeof bytes) == (ssize_t)size_of(i));
    CHECK(bytes[0] == (char)i && bytes[size_of(i) - 1] == (char)i);
}

static void send_one(int fd, int i)
{
    char bytes[1000];
    memset(bytes, i, sizeof bytes);
    CHECK(write(fd, bytes, size_of(i)) == (ssize_t)size_of(i));
}

static void answers(void)
{
    struct waiter w = waiter_of(far.in, POLLIN);
    for (int i = 0; i < ROUNDS; i++) {
        receive_one(&w, i);
        send_one(far.out, i + 1);
    }
}

static void test_rounds(void)
{
    pid_t pid = start(answers);
    struct waiter w = waiter_of(near.in, POLLIN);
    for (int i = 0; i < ROUNDS; i++) {
        send_one(near.out, i);
        receive_one(&w, i + 1);
        if (i == ROUNDS / 2)
            CHECK(wait_ms(&w, 20) == 0);
    }
    waiter_end(&w);
    end(pid);
}

/* ---- more comes to what is there ---- */

static void writes_ten(void)
{
    for (uint32_t i = 1; i <= 10; i++) {
        await(2 * i);
        CHECK(write(far.out, "x", 1) == 1);
        say(2 * i + 1);
    }
}

static void test_more(void)
{
    pid_t pid = start(writes_ten);
    struct waiter w = waiter_of(near.in, POLLIN);
    for (uint32_t i = 1; i <= 10; i++) {
        if (how == EDGE || i == 1)
            CHECK(wait_ms(&w, 5) == 0);
        say(2 * i);
        CHECK(wait_ms(&w, 10000) & POLLIN);
        await(2 * i + 1);
        if (how == EDGE) /* as it was told already, or was not yet */
            wait_ms(&w, 5);
        CHECK(unread(near.in) == (int)i);
    }
    CHECK(read(near.in, block, sizeof block) == 10);
    waiter_end(&w);
    end(pid);
}

/* ---- room ---- */

static void reads_when_told(void)
{
    size_t total = 0;
    await(1);
    sleep_ms(30);
    while (total < *(volatile uint32_t *)(step + 1)) {
        ssize_t n = read(far.in, block, sizeof block);
        CHECK(n > 0);
        total += (size_t)n;
    }
    await(2);
}

static void test_room(void)
{
    pid_t pid = start(reads_when_told);
    struct waiter w = waiter_of(near.out, POLLOUT);
    uint32_t total = 0;
    CHECK(wait_ms(&w, 0) == POLLOUT);
    CHECK(fcntl(near.out, F_SETFL, O_NONBLOCK) == 0);
    for (ssize_t n; (n = write(near.out, block, 3000)) > 0;)
        total += (uint32_t)n;
    CHECK(errno == EAGAIN && wait_ms(&w, 0) == 0);
    step[1] = total;
    say(1);
    CHECK(wait_ms(&w, 10000) == POLLOUT);
    CHECK(write(near.out, "x", 1) == 1);
    say(2);
    waiter_end(&w);
    end(pid);
}

/* One descriptor twice in a list, or in an epoll besides: each is told what it waits for. */
static void test_twice(void)
{
    pid_t pid = start(writes_ten);
    struct waiter w = waiter_of(near.in, POLLIN);
    for (uint32_t i = 1; i <= 10; i++) {
        struct pollfd p[3] = {{near.in, 0, 0}, {near.in, POLLIN, 0}, {near.in, POLLPRI, 0}};
        CHECK(poll(p, 3, 5) == 0);
        say(2 * i);
        CHECK(poll(p, 3, 10000) >= 1 && p[1].revents & POLLIN);
        await(2 * i + 1);
        CHECK(wait_ms(&w, 10000) & POLLIN && read(near.in, block, 10) == 1);
    }
    waiter_end(&w);
    end(pid);
}

/* ---- the end ---- */

static void closes(void)
{
    await(1);
    sleep_ms(20);
    close_link(far);
    await(2);
}

static void dies(void)
{
    await(1);
    sleep_ms(20);
    kill(getpid(), SIGKILL);
}

static void test_end(void)
{
    int status;
    for (int killed = 0; killed < 2; killed++) {
        pid_t pid = start(killed ? dies : closes);
        struct waiter w = waiter_of(near.in, POLLIN);
        CHECK(wait_ms(&w, 5) == 0);
        say(1);
        int seen = wait_ms(&w, 10000);
        CHECK(seen & POLLHUP && !(seen & POLLIN) == !is_socket());
        CHECK(read(near.in, block, 1) == 0);
        say(2);
        CHECK(waitpid(pid, &status, 0) == pid && status == (killed ? SIGKILL : 0));
        waiter_end(&w);
        forget_link();
    }
}

/* ---- others ---- */

static void writes_then_waits(void)
{
    for (uint32_t i = 1; i <= 20; i++) {
        await(i);
        CHECK(write(far.out, "x", 1) == 1);
    }
}

/* A child has the same end: whoever waits is told. */
static void test_fork(void)
{
    pid_t pid = start(writes_then_waits);
    struct waiter w = waiter_of(near.in, POLLIN);
    char byte;
    for (uint32_t i = 1; i <= 20; i++) {
        CHECK(wait_ms(&w, 2) == 0);
        if (i % 4 == 2) {
            IN_CHILD(struct waiter own = waiter_of(near.in, POLLIN); say(i);
                     CHECK(wait_ms(&own, 10000) & POLLIN));
            CHECK(wait_ms(&w, 10000) & POLLIN && read(near.in, &byte, 1) == 1);
        } else {
            say(i);
            CHECK(wait_ms(&w, 10000) & POLLIN && read(near.in, &byte, 1) == 1);
        }
    }
    waiter_end(&w);
    end(pid);
}

static int other_event;

static void *rings(void *unused)
{
    uint64_t one = 1;
    sleep_ms(20);
    CHECK(write(other_event, &one, sizeof one) == sizeof one);
    return unused;
}

static void *reads_one(void *unused)
{
    char byte;
    CHECK(read(near.in, &byte, 1) == 1);
    return unused;
}

/* Who waits for the stream waits for something else as well, and another thread reads. */
static void test_threads(void)
{
    pid_t pid = start(writes_then_waits);
    uint64_t value;
    pthread_t thread;
    char byte;
    other_event = eventfd(0, EFD_CLOEXEC);
    struct pollfd p[2] = {{near.in, POLLIN, 0}, {other_event, POLLIN, 0}};
    for (uint32_t i = 1; i <= 20; i++) {
        if (i % 5 == 0) {
            CHECK0(pthread_create(&thread, NULL, rings, NULL));
            CHECK(poll(p, 2, 10000) == 1 && p[1].revents == POLLIN);
            CHECK(read(other_event, &value, sizeof value) == sizeof value);
            CHECK0(pthread_join(thread, NULL));
        }
        if (i % 7 == 0) {
            CHECK0(pthread_create(&thread, NULL, reads_one, NULL));
            CHECK(poll(p, 2, 10) == 0);
            say(i);
            poll(p, 2, 10);
            CHECK0(pthread_join(thread, NULL));
            continue;
        }
        say(i);
        CHECK(poll(p, 2, 10000) == 1 && p[0].revents & POLLIN);
        CHECK(read(near.in, &byte, 1) == 1);
    }
    close(other_event);
    end(pid);
}

int main(void)
{
    prepare();
    for (kind = 0; kind < UNIX_KINDS; kind++) {
        for (how = 0; how < HOWS; how++) {
            test_rounds();
            test_more();
            test_twice();
            test_room();
            test_end();
            test_fork();
        }
        test_threads();
    }
    CHECK0(rmdir(directory));
    return 0;
}
