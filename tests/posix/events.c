/* SPDX-License-Identifier: MIT */
/*
 * eventfd, timerfd, poll, select and epoll on them: counters, blocking, readiness, edges, one-shot,
 * nesting, many threads.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include "check.h"

static void put(int fd, uint64_t n)
{
    CHECK(write(fd, &n, 8) == 8);
}

static uint64_t take(int fd)
{
    uint64_t n;
    return read(fd, &n, 8) == 8 ? n : 0;
}

/* ---- eventfd ---- */

static void *add_later(void *fd)
{
    sleep_ms(20);
    put((int)(intptr_t)fd, 5);
    return NULL;
}

static void *take_later(void *fd)
{
    sleep_ms(20);
    CHECK(take((int)(intptr_t)fd) > 5);
    return NULL;
}

static void counters(void)
{
    uint64_t n;
    pthread_t t;
    int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(take(fd) == 3);
    CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
    CHECK_ERRNO(read(fd, &n, 7), EINVAL);
    put(fd, 4);
    put(fd, 6);
    CHECK(take(fd) == 10);
    n = UINT64_MAX;
    CHECK_ERRNO(write(fd, &n, 8), EINVAL);
    put(fd, UINT64_MAX - 1);
    n = 1;
    CHECK_ERRNO(write(fd, &n, 8), EAGAIN);
    CHECK(take(fd) == UINT64_MAX - 1);
    CHECK(lseek(fd, 0, SEEK_CUR) == 0);
    close(fd);
    fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    CHECK(take(fd) == 1 && take(fd) == 1);
    CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
    close(fd);
    fd = eventfd(0, 0);
    CHECK0(pthread_create(&t, NULL, add_later, (void *)(intptr_t)fd));
    CHECK(take(fd) == 5);
    pthread_join(t, NULL);
    put(fd, UINT64_MAX - 3);
    CHECK0(pthread_create(&t, NULL, take_later, (void *)(intptr_t)fd));
    put(fd, 7); /* waits for the reader */
    pthread_join(t, NULL);
    CHECK(take(fd) == 7);
    close(fd);
    CHECK_ERRNO(eventfd(0, 0x100), EINVAL);
}

/* ---- timerfd ---- */

static void timers(void)
{
    struct itimerspec t = {.it_value.tv_nsec = 20000000}, now;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    double start = seconds_now();
    CHECK(fd >= 0 && timerfd_settime(fd, 0, &t, NULL) == 0);
    CHECK(timerfd_gettime(fd, &now) == 0 && now.it_value.tv_sec == 0 && now.it_value.tv_nsec > 0 &&
          now.it_value.tv_nsec <= 20000000);
    CHECK(take(fd) == 1 && seconds_now() - start >= 0.02);
    CHECK(timerfd_gettime(fd, &now) == 0 && now.it_value.tv_nsec == 0);
    t.it_interval.tv_nsec = 5000000;
    CHECK(timerfd_settime(fd, 0, &t, NULL) == 0);
    sleep_ms(60);
    CHECK(take(fd) >= 8);
    CHECK(take(fd) >= 1);
    memset(&t, 0, sizeof t);
    CHECK(timerfd_settime(fd, 0, &t, &now) == 0 && now.it_interval.tv_nsec == 5000000);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    uint64_t n;
    CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
    struct pollfd p = {fd, POLLIN, 0};
    CHECK(poll(&p, 1, 10) == 0);
    t.it_value.tv_nsec = 10000000;
    start = seconds_now();
    CHECK(timerfd_settime(fd, 0, &t, NULL) == 0 && poll(&p, 1, 10000) == 1 && p.revents == POLLIN);
    CHECK(seconds_now() - start >= 0.01 && seconds_now() - start < 5);
    CHECK(take(fd) == 1);
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    t.it_value = at; /* now: expires at once */
    CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL) == 0 && poll(&p, 1, 1000) == 1 &&
          take(fd) == 1);
    t.it_value.tv_nsec = 1000000000;
    CHECK_ERRNO(timerfd_settime(fd, 0, &t, NULL), EINVAL);
    close(fd);
    fd = timerfd_create(CLOCK_REALTIME, 0);
    clock_gettime(CLOCK_REALTIME, &at);
    t.it_value = at;
    t.it_value.tv_nsec += 10000000;
    if (t.it_value.tv_nsec >= 1000000000) {
        t.it_value.tv_sec++;
        t.it_value.tv_nsec -= 1000000000;
    }
    CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL) == 0 && take(fd) == 1);
    close(fd);
    CHECK_ERRNO(timerfd_create(77, 0), EINVAL);
}

/* ---- poll and select ---- */

static void *put_later(void *fd)
{
    sleep_ms(30);
    put((int)(intptr_t)fd, 1);
    return NULL;
}

static void polling(void)
{
    pthread_t t;
    enum { MANY = 300 };
    struct pollfd p[MANY];
    int a = eventfd(0, 0), b = eventfd(0, 0);
    p[0] = (struct pollfd){a, POLLIN, 99};
    p[1] = (struct pollfd){b, POLLIN | POLLOUT, 99};
    p[2] = (struct pollfd){-1, POLLIN, 99};
    CHECK(poll(p, 3, 0) == 1 && p[0].revents == 0 && p[1].revents == POLLOUT && p[2].revents == 0);
    p[2].fd = 987;
    CHECK(poll(p, 3, -1) == 2 && p[2].revents == POLLNVAL);
    double start = seconds_now();
    CHECK(poll(p, 1, 30) == 0 && seconds_now() - start >= 0.03);
    CHECK0(pthread_create(&t, NULL, put_later, (void *)(intptr_t)a));
    CHECK(poll(p, 1, -1) == 1 && p[0].revents == POLLIN);
    pthread_join(t, NULL);
    take(a);
    for (int i = 0; i < MANY; i++)
        p[i] = (struct pollfd){i == 250 ? b : a, POLLIN, 0};
    CHECK0(pthread_create(&t, NULL, put_later, (void *)(intptr_t)b));
    CHECK(poll(p, MANY, 10000) == 1 && p[250].revents == POLLIN);
    pthread_join(t, NULL);
    int file = open("/dev/null", O_RDWR);
    p[0] = (struct pollfd){file, POLLIN | POLLOUT, 0};
    CHECK(poll(p, 1, -1) == 1 && p[0].revents == (POLLIN | POLLOUT));
    close(file);
    CHECK(poll(NULL, 0, 10) == 0);
    CHECK_ERRNO(poll((void *)8, 1, 0), EFAULT);

    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(a, &in);
    FD_SET(b, &in);
    FD_SET(a, &out);
    struct timeval tv = {1, 0};
    CHECK(select((a > b ? a : b) + 1, &in, &out, NULL, &tv) == 2 && !FD_ISSET(a, &in) &&
          FD_ISSET(b, &in) && FD_ISSET(a, &out));
    take(b);
    FD_ZERO(&in);
    FD_SET(a, &in);
    tv = (struct timeval){0, 20000};
    start = seconds_now();
    CHECK(select(a + 1, &in, NULL, NULL, &tv) == 0 && !FD_ISSET(a, &in) &&
          seconds_now() - start >= 0.02);
    FD_SET(30, &in);
    CHECK_ERRNO(select(31, &in, NULL, NULL, NULL), EBADF);
    tv.tv_sec = -1;
    CHECK_ERRNO(select(0, NULL, NULL, NULL, &tv), EINVAL);
    tv = (struct timeval){0, 10000};
    CHECK(select(0, NULL, NULL, NULL, &tv) == 0);
    close(a);
    close(b);
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void signals(void)
{
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval soon = {.it_value.tv_usec = 20000};
    int fd = eventfd(0, 0), ep = epoll_create1(0);
    struct pollfd p = {fd, POLLIN, 0};
    struct epoll_event e = {.events = EPOLLIN};
    sigset_t none, alarms;
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_ERRNO(poll(&p, 1, 5000), EINTR); /* also with SA_RESTART */
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_ERRNO(epoll_wait(ep, &e, 1, 5000), EINTR);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_ERRNO(select(0, NULL, NULL, NULL, NULL), EINTR);
    /* Blocked outside, open inside. */
    sigemptyset(&none);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarms, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK(poll(&p, 1, 50) == 0);
    CHECK_ERRNO(ppoll(&p, 1, NULL, &none), EINTR);
    setitimer(ITIMER_REAL, &soon, NULL);
    sleep_ms(40);
    CHECK_ERRNO(epoll_pwait(ep, &e, 1, 5000, &none), EINTR);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_ERRNO(pselect(0, NULL, NULL, NULL, NULL, &none), EINTR);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGALRM));
    sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    sa.sa_flags = 0;
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    uint64_t n;
    CHECK_ERRNO(read(fd, &n, 8), EINTR);
    close(fd);
    close(ep);
}

/* ---- epoll ---- */

static void epolls(void)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef0}, out[8];
    int ep = epoll_create1(EPOLL_CLOEXEC), a = eventfd(0, EFD_NONBLOCK),
        b = eventfd(0, EFD_NONBLOCK);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, a, &e) == 0);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, a, &e), EEXIST);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, b, &e), ENOENT);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, b, NULL), ENOENT);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
    CHECK_ERRNO(epoll_ctl(a, EPOLL_CTL_ADD, b, &e), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, 998, &e), EBADF);
    int file = open("/", O_RDONLY);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, file, &e), EPERM);
    close(file);
    CHECK_ERRNO(epoll_wait(ep, out, 0, 0), EINVAL);
    CHECK(epoll_wait(ep, out, 8, 0) == 0);
    double start = seconds_now();
    CHECK(epoll_wait(ep, out, 8, 25) == 0 && seconds_now() - start >= 0.025);
    put(a, 1); /* level: again and again */
    for (int i = 0; i < 3; i++)
        CHECK(epoll_wait(ep, out, 8, -1) == 1 && out[0].events == EPOLLIN &&
              out[0].data.u64 == 0x123456789abcdef0);
    take(a);
    CHECK(epoll_wait(ep, out, 8, 0) == 0);
    e.events = EPOLLIN | EPOLLET; /* edge: once for each change */
    CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, a, &e) == 0 && epoll_wait(ep, out, 8, 0) == 0);
    put(a, 1);
    CHECK(epoll_wait(ep, out, 8, 100) == 1 && epoll_wait(ep, out, 8, 0) == 0);
    put(a, 1);
    CHECK(epoll_wait(ep, out, 8, 100) == 1 && epoll_wait(ep, out, 8, 0) == 0);
    e.events = EPOLLIN | EPOLLONESHOT;
    CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, a, &e) == 0);
    CHECK(epoll_wait(ep, out, 8, 100) == 1 && epoll_wait(ep, out, 8, 0) == 0);
    put(a, 1);
    CHECK(epoll_wait(ep, out, 8, 0) == 0);
    CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, a, &e) == 0 && epoll_wait(ep, out, 8, 100) == 1);
    e.events = EPOLLIN | EPOLLOUT;
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, b, &e) == 0 && epoll_wait(ep, out, 8, 100) == 1 &&
          out[0].events == EPOLLOUT);
    CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, b, NULL) == 0 && epoll_wait(ep, out, 8, 0) == 0);
    /* Closing the last descriptor removes it, closing a duplicate does not. */
    e.events = EPOLLIN;
    CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, a, &e) == 0 && epoll_wait(ep, out, 8, 0) == 1);
    int copy = dup(a);
    close(a);
    CHECK(epoll_wait(ep, out, 8, 0) == 1);
    close(copy);
    CHECK(epoll_wait(ep, out, 8, 0) == 0);
    /* Nested. */
    int inner = epoll_create1(0);
    e.data.u32 = 1;
    CHECK(epoll_ctl(inner, EPOLL_CTL_ADD, b, &e) == 0 &&
          epoll_ctl(ep, EPOLL_CTL_ADD, inner, &e) == 0);
    CHECK_ERRNO(epoll_ctl(inner, EPOLL_CTL_ADD, ep, &e), ELOOP);
    CHECK(epoll_wait(ep, out, 8, 0) == 0);
    put(b, 1);
    CHECK(epoll_wait(ep, out, 8, 100) == 1);
    struct pollfd p = {ep, POLLIN, 0};
    CHECK(poll(&p, 1, 100) == 1 && p.revents == POLLIN);
    take(b);
    CHECK(epoll_wait(ep, out, 8, 0) == 0 && poll(&p, 1, 0) == 0);
    close(inner);
    close(b);
    /* Many ready: all come, a few at a time, none twice before the others. */
    enum { MANY = 100 };
    int fds[MANY];
    for (int i = 0; i < MANY; i++) {
        fds[i] = eventfd(1, 0);
        e.data.u32 = (uint32_t)i;
        CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e) == 0);
    }
    bool seen[MANY] = {0};
    for (int round = 0; round < MANY / 4; round++) {
        CHECK(epoll_wait(ep, out, 4, 0) == 4);
        for (int i = 0; i < 4; i++) {
            CHECK(!seen[out[i].data.u32]);
            seen[out[i].data.u32] = true;
        }
    }
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    CHECK(epoll_wait(ep, out, 8, 0) == 0);
    close(ep);
}

/* ---- threads ---- */

enum { WORKERS = 8, TOKENS = 20000 };
static int shared_epoll, tokens, finished;
static unsigned taken;

static void *worker(void *arg)
{
    struct epoll_event e;
    (void)arg;
    for (;;) {
        CHECK(epoll_wait(shared_epoll, &e, 1, 20000) == 1);
        if (e.data.fd == finished)
            return NULL;
        uint64_t n;
        if (read(tokens, &n, 8) == 8)
            __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
        else
            CHECK(errno == EAGAIN);
    }
}

static void many_threads(uint32_t mode)
{
    pthread_t t[WORKERS];
    shared_epoll = epoll_create1(0);
    tokens = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);
    finished = eventfd(0, 0);
    taken = 0;
    struct epoll_event e = {.events = EPOLLIN | mode, .data.fd = tokens};
    CHECK(epoll_ctl(shared_epoll, EPOLL_CTL_ADD, tokens, &e) == 0);
    e = (struct epoll_event){.events = EPOLLIN, .data.fd = finished};
    CHECK(epoll_ctl(shared_epoll, EPOLL_CTL_ADD, finished, &e) == 0);
    for (int i = 0; i < WORKERS; i++)
        CHECK0(pthread_create(&t[i], NULL, worker, NULL));
    for (int i = 0; i < TOKENS; i++)
        put(tokens, 1);
    while (__atomic_load_n(&taken, __ATOMIC_RELAXED) < TOKENS)
        sleep_ms(1);
    put(finished, 1);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(t[i], NULL);
    CHECK(taken == TOKENS);
    close(shared_epoll);
    close(tokens);
    close(finished);
}

/* A ring of threads, each waiting in its own way for its predecessor. */
enum { RING = 6, LAPS = 500 };
static int ring[RING];

static void *ring_member(void *arg)
{
    int i = (int)(intptr_t)arg, ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN};
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, ring[i], &e) == 0);
    for (int lap = 0; lap < LAPS; lap++) {
        struct pollfd p = {ring[i], POLLIN, 0};
        fd_set set;
        FD_ZERO(&set);
        FD_SET(ring[i], &set);
        if (i % 3 == 0)
            CHECK(poll(&p, 1, 20000) == 1);
        else if (i % 3 == 1)
            CHECK(epoll_wait(ep, &e, 1, 20000) == 1);
        else if (lap % 2)
            CHECK(select(ring[i] + 1, &set, NULL, NULL, NULL) == 1);
        CHECK(take(ring[i]) == 1);
        put(ring[(i + 1) % RING], 1);
    }
    close(ep);
    return NULL;
}

static void ring_of_threads(void)
{
    pthread_t t[RING];
    for (int i = 0; i < RING; i++)
        ring[i] = eventfd(0, 0);
    for (int i = 0; i < RING; i++)
        CHECK0(pthread_create(&t[i], NULL, ring_member, (void *)(intptr_t)i));
    put(ring[0], 1);
    for (int i = 0; i < RING; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < RING; i++)
        close(ring[i]);
}

int main(void)
{
    counters();
    timers();
    polling();
    signals();
    epolls();
    many_threads(0);
    ring_of_threads();
    return 0;
}
