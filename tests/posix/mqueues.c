/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues: mq_overview(7), mq_open(3), mq_send(3), mq_receive(3), mq_notify(3),
 * mq_getattr(3), mq_unlink(3), mq_close(3).
 */
#include "child.h"

#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define NOBODY 65534

static char name[64]; /* nobody else's: from the pid */
static volatile int *shared;

static mqd_t make(long messages, long size)
{
    struct mq_attr a = {.mq_maxmsg = messages, .mq_msgsize = size};
    mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a);
    CHECK(q >= 0);
    return q;
}

static void end(mqd_t q)
{
    CHECK(mq_close(q) == 0 && mq_unlink(name) == 0);
}

static struct timespec in_ms(long ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static void become_nobody(void)
{
    CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

/* A child is about to wait: it has had the time to begin. */
static void wait_shared(int i, int value)
{
    while (shared[i] != value)
        sleep_ms(2);
    sleep_ms(30);
}

static long queued(mqd_t q)
{
    struct mq_attr a;
    CHECK(mq_getattr(q, &a) == 0);
    return a.mq_curmsgs;
}

/* ---- names ---- */

static void test_open(void)
{
    char longest[NAME_MAX + 3];
    struct mq_attr a,
        wrong[] = {
            {.mq_maxmsg = 0, .mq_msgsize = 10},        {.mq_maxmsg = -1, .mq_msgsize = 10},
            {.mq_maxmsg = 10, .mq_msgsize = 0},        {.mq_maxmsg = 10, .mq_msgsize = -5},
            {.mq_maxmsg = 10000000, .mq_msgsize = 10}, {.mq_maxmsg = 10, .mq_msgsize = 1 << 30}};
    CHECK_ERRNO(mq_open(name, O_RDWR), ENOENT);
    CHECK_ERRNO(mq_unlink(name), ENOENT);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_ERRNO(mq_open(name, O_RDWR | O_CREAT, 0600, &wrong[i]), EINVAL);
    CHECK_ERRNO(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL), EACCES);
    CHECK_ERRNO(mq_open("/.", O_RDWR | O_CREAT, 0600, NULL), EACCES);
    CHECK_ERRNO(mq_open("/..", O_RDWR | O_CREAT, 0600, NULL), EACCES);
    CHECK_ERRNO(mq_unlink("/a/b"), EACCES);
    CHECK_ERRNO(mq_open("/", O_RDWR | O_CREAT, 0600, NULL), ENOENT);
    longest[0] = '/';
    memset(longest + 1, 'x', NAME_MAX + 1);
    longest[NAME_MAX + 2] = 0;
    CHECK_ERRNO(mq_open(longest, O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
    CHECK_ERRNO(mq_unlink(longest), ENAMETOOLONG);
    longest[NAME_MAX + 1] = 0;
    mqd_t q = mq_open(longest, O_RDONLY | O_CREAT | O_EXCL, 0600, NULL);
    CHECK(q >= 0 && mq_close(q) == 0 && mq_unlink(longest) == 0);
    CHECK(syscall(SYS_mq_open, (void *)8, O_RDWR, 0, NULL) == -1 && errno == EFAULT);
    CHECK(syscall(SYS_mq_open, name + 1, O_RDWR | O_CREAT, 0600, (void *)8) == -1 &&
          errno == EFAULT);
    CHECK(syscall(SYS_mq_unlink, (void *)8) == -1 && errno == EFAULT);

    q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);
    CHECK(q >= 0 && mq_getattr(q, &a) == 0);
    CHECK(a.mq_flags == 0 && a.mq_maxmsg == 10 && a.mq_msgsize == 8192 && a.mq_curmsgs == 0);
    CHECK(fcntl(q, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
    CHECK_ERRNO(mq_open(name, 3), EINVAL);
    a = (struct mq_attr){.mq_maxmsg = 3, .mq_msgsize = 4};
    mqd_t again = mq_open(name, O_RDONLY | O_CREAT | O_NONBLOCK, 0600, &a);
    CHECK(again >= 0 && mq_getattr(again, &a) == 0 && a.mq_maxmsg == 10);
    CHECK(a.mq_flags == O_NONBLOCK && (fcntl(again, F_GETFL) & O_NONBLOCK));
    CHECK(mq_getattr(q, &a) == 0 && a.mq_flags == 0);
    /* it outlives its name, and the name its users */
    CHECK(mq_send(q, "abc", 3, 5) == 0);
    CHECK(mq_unlink(name) == 0);
    CHECK_ERRNO(mq_open(name, O_RDWR), ENOENT);
    mqd_t other = make(2, 16);
    CHECK(queued(other) == 0 && queued(again) == 1);
    CHECK(mq_close(q) == 0 && queued(again) == 1 && mq_close(again) == 0);
    CHECK(mq_send(other, "kept", 4, 0) == 0 && mq_close(other) == 0);
    other = mq_open(name, O_RDWR);
    CHECK(other >= 0 && queued(other) == 1);
    end(other);
    CHECK_ERRNO(mq_close(other), EBADF);
}

static void test_permissions(void)
{
    struct stat st;
    if (geteuid())
        return;
    umask(022);
    mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0666, NULL);
    CHECK(fstat(q, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0644);
    CHECK(st.st_uid == geteuid() && st.st_gid == getegid() && st.st_size == 80);
    IN_CHILD({
        become_nobody();
        CHECK_ERRNO(mq_open(name, O_RDWR), EACCES);
        CHECK_ERRNO(mq_open(name, O_WRONLY | O_CREAT, 0666, NULL), EACCES);
        mqd_t r = mq_open(name, O_RDONLY);
        CHECK(r >= 0);
        CHECK_ERRNO(mq_send(r, "x", 1, 0), EBADF);
        CHECK_ERRNO(mq_unlink(name), EACCES);
        CHECK_ERRNO(fchmod(r, 0666), EPERM);
        struct mq_attr a = {.mq_maxmsg = 11, .mq_msgsize = 10};
        CHECK_ERRNO(mq_open("/other", O_RDWR | O_CREAT, 0600, &a), EINVAL);
        a = (struct mq_attr){.mq_maxmsg = 10, .mq_msgsize = 8193};
        CHECK_ERRNO(mq_open("/other", O_RDWR | O_CREAT, 0600, &a), EINVAL);
    });
    CHECK(fchmod(q, 0602) == 0 && fchown(q, 1234, -1) == 0);
    CHECK(fstat(q, &st) == 0 && (st.st_mode & 0777) == 0602 && st.st_uid == 1234);
    IN_CHILD({
        become_nobody();
        CHECK_ERRNO(mq_open(name, O_RDONLY), EACCES);
        mqd_t w = mq_open(name, O_WRONLY);
        char text[8192];
        CHECK(w >= 0 && mq_send(w, "x", 1, 0) == 0);
        CHECK_ERRNO(mq_receive(w, text, sizeof text, NULL), EBADF);
    });
    IN_CHILD({ /* whose it is may take its name, and open it by its own bits */
               CHECK(setgid(1234) == 0 && setuid(1234) == 0);
               mqd_t own = mq_open(name, O_RDWR);
               CHECK(own >= 0 && mq_unlink(name) == 0);
    });
    CHECK(mq_close(q) == 0);
    CHECK_ERRNO(mq_unlink(name), ENOENT);
}

/* ---- messages ---- */

static void test_order(void)
{
    static const unsigned priorities[] = {3, 0, 32767, 3, 7, 0, 3};
    static const char expected[] = "CEADGBF";
    char text[16];
    unsigned priority;
    mqd_t q = make(7, 16);
    for (int i = 0; i < 7; i++)
        CHECK(mq_send(q, &"ABCDEFG"[i], 1, priorities[i]) == 0);
    CHECK(queued(q) == 7);
    for (int i = 0; i < 7; i++) {
        CHECK(mq_receive(q, text, sizeof text, &priority) == 1);
        CHECK(text[0] == expected[i] && priority == priorities[text[0] - 'A']);
    }
    CHECK(mq_send(q, NULL, 0, 1) == 0 && mq_receive(q, text, sizeof text, NULL) == 0);
    /* many, in a known but scattered order: each priority first in, first out */
    CHECK(mq_close(q) == 0 && mq_unlink(name) == 0);
    struct mq_attr large = {.mq_maxmsg = 1000, .mq_msgsize = 8};
    q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &large);
    if (!may(CAP_SYS_RESOURCE)) {
        CHECK(q < 0 && errno == EINVAL);
        return;
    }
    CHECK(q >= 0);
    for (uint32_t i = 0, x = 1; i < 1000; i++, x = x * 1103515245 + 12345) {
        uint32_t m[2] = {x >> 16 & 15, i};
        CHECK(mq_send(q, (char *)m, sizeof m, m[0]) == 0);
    }
    for (uint32_t i = 0, before = 15, last = 0; i < 1000; i++) {
        uint32_t m[2];
        CHECK(mq_receive(q, (char *)m, sizeof m, &priority) == 8 && m[0] == priority);
        CHECK(m[0] < before || (m[0] == before && (m[1] > last || !last)));
        last = m[1];
        before = m[0];
    }
    end(q);
}

static void test_errors(void)
{
    char text[32];
    struct timespec bad[] = {{-1, 0}, {0, -1}, {0, 1000000000}}, past = {1, 0};
    mqd_t q = make(2, 16), r = mq_open(name, O_RDONLY), w = mq_open(name, O_WRONLY);
    int file = open("/dev/null", O_RDWR);
    CHECK(r >= 0 && w >= 0 && file >= 0);
    CHECK_ERRNO(mq_send(q, text, 17, 0), EMSGSIZE);
    CHECK_ERRNO(mq_send(q, text, (size_t)1 << 40, 0), EMSGSIZE);
    CHECK_ERRNO(mq_send(q, text, 1, 32768), EINVAL);
    CHECK_ERRNO(mq_send(r, text, 1, 0), EBADF);
    CHECK_ERRNO(mq_receive(w, text, 16, NULL), EBADF);
    CHECK_ERRNO(mq_receive(q, text, 15, NULL), EMSGSIZE);
    CHECK_ERRNO(mq_send(file, text, 1, 0), EBADF);
    CHECK_ERRNO(mq_receive(file, text, 16, NULL), EBADF);
    CHECK_ERRNO(mq_send(-1, text, 1, 0), EBADF);
    CHECK_ERRNO(mq_send(q, (char *)8, 5, 0), EFAULT);
    for (int i = 0; i < 3; i++) {
        CHECK_ERRNO(mq_timedsend(q, text, 1, 0, &bad[i]), EINVAL);
        CHECK_ERRNO(mq_timedreceive(q, text, 16, NULL, &bad[i]), EINVAL);
    }
    CHECK_ERRNO(mq_timedsend(q, text, 1, 0, (void *)8), EFAULT);
    /* a time that has passed matters only when it would have to wait */
    CHECK_ERRNO(mq_timedreceive(q, text, 16, NULL, &past), ETIMEDOUT);
    CHECK(mq_timedsend(q, "1", 1, 0, &past) == 0 && mq_timedsend(q, "2", 1, 0, &past) == 0);
    CHECK_ERRNO(mq_timedsend(q, "3", 1, 0, &past), ETIMEDOUT);
    CHECK(queued(q) == 2);
    CHECK(mq_timedreceive(q, text, 16, NULL, &past) == 1 && text[0] == '1');
    double began = seconds_now();
    struct timespec soon = in_ms(60);
    CHECK(mq_send(q, "3", 1, 0) == 0);
    CHECK_ERRNO(mq_timedsend(q, "4", 1, 0, &soon), ETIMEDOUT);
    CHECK(seconds_now() - began > 0.05);
    /* O_NONBLOCK, set and cleared */
    struct mq_attr a = {.mq_flags = O_NONBLOCK, .mq_maxmsg = 100}, old;
    CHECK(mq_setattr(q, &a, &old) == 0 && old.mq_flags == 0 && old.mq_curmsgs == 2);
    CHECK_ERRNO(mq_send(q, "4", 1, 0), EAGAIN);
    CHECK_ERRNO(mq_timedsend(q, "4", 1, 0, &bad[0]), EINVAL);
    CHECK(mq_receive(q, text, 16, NULL) == 1 && mq_receive(q, text, 16, NULL) == 1);
    CHECK_ERRNO(mq_receive(q, text, 16, NULL), EAGAIN);
    CHECK(mq_getattr(q, &a) == 0 && a.mq_flags == O_NONBLOCK && a.mq_maxmsg == 2);
    a.mq_flags = O_NONBLOCK | O_APPEND;
    CHECK_ERRNO(mq_setattr(q, &a, NULL), EINVAL);
    a.mq_flags = 0;
    CHECK(mq_setattr(q, &a, NULL) == 0 && mq_getattr(q, &a) == 0 && a.mq_flags == 0);
    CHECK_ERRNO(mq_getattr(file, &a), EBADF);
    CHECK(syscall(SYS_mq_getsetattr, q, (void *)8, NULL) == -1 && errno == EFAULT);
    CHECK(syscall(SYS_mq_getsetattr, q, NULL, (void *)8) == -1 && errno == EFAULT);
    CHECK(mq_send(q, "5", 1, 0) == 0);
    CHECK_ERRNO(syscall(SYS_mq_timedreceive, q, text, (size_t)16, (void *)8, NULL), EFAULT);
    close(file);
    mq_close(r);
    mq_close(w);
    end(q);
}

static void test_read(void)
{
    char text[128] = {0};
    mqd_t q = make(2, 16);
    CHECK(mq_send(q, "123", 3, 0) == 0 && mq_send(q, "4567", 4, 0) == 0);
    CHECK(read(q, text, sizeof text) == 79 || strlen(text) > 40);
    unsigned size = 0, pid = 9;
    CHECK(sscanf(text, "QSIZE:%u NOTIFY:%*u SIGNO:%*u NOTIFY_PID:%u", &size, &pid) == 2);
    CHECK(size == 7 && pid == 0);
    CHECK(read(q, text, sizeof text) == 0);
    end(q);
}

/* ---- waiting ---- */

static void test_wait(void)
{
    char text[16];
    unsigned priority;
    mqd_t q = make(1, 16);
    pid_t pid = fork();
    if (pid == 0) {
        shared[3] = 10;
        CHECK(mq_receive(q, text, sizeof text, &priority) == 5 && priority == 9);
        CHECK(memcmp(text, "hello", 5) == 0);
        CHECK(mq_receive(q, text, sizeof text, NULL) == 1);
        _exit(0);
    }
    wait_shared(3, 10);
    CHECK(mq_send(q, "hello", 5, 9) == 0 && mq_send(q, "1", 1, 0) == 0);
    finish(pid);
    CHECK(queued(q) == 0 && mq_send(q, "full", 4, 0) == 0);
    pid = fork();
    if (pid == 0) {
        shared[3] = 11;
        CHECK(mq_send(q, "second", 6, 1) == 0);
        shared[0] = 1;
        _exit(0);
    }
    wait_shared(3, 11);
    CHECK(shared[0] == 0);
    CHECK(mq_receive(q, text, sizeof text, NULL) == 4);
    finish(pid);
    CHECK(shared[0] == 1 && mq_receive(q, text, sizeof text, &priority) == 6 && priority == 1);
    end(q);
}

/* Who is killed while it waits has sent, and received, nothing. */
static void test_killed(void)
{
    char text[16];
    int status;
    mqd_t q = make(1, 16);
    for (int sends = 0; sends < 2; sends++) {
        if (sends)
            CHECK(mq_send(q, "first", 5, 0) == 0);
        pid_t pid[3];
        for (int i = 0; i < 3; i++)
            if ((pid[i] = fork()) == 0) {
                __atomic_fetch_add(&shared[4], 1, __ATOMIC_SEQ_CST);
                if (sends)
                    mq_send(q, "dead", 4, 31);
                else
                    mq_receive(q, text, sizeof text, NULL);
                _exit(0);
            }
        wait_shared(4, 3 * (sends + 1));
        for (int i = 0; i < 3; i++)
            CHECK(kill(pid[i], SIGKILL) == 0 && waitpid(pid[i], &status, 0) == pid[i]);
        if (!sends)
            CHECK(mq_send(q, "alive", 5, 0) == 0 && queued(q) == 1);
        CHECK(mq_receive(q, text, sizeof text, NULL) == 5 && queued(q) == 0);
    }
    end(q);
}

static void on_signal(int sig)
{
    (void)sig;
    shared[1]++;
}

static void test_interrupted(void)
{
    char text[16];
    mqd_t q = make(1, 16);
    struct sigaction sa = {.sa_handler = on_signal};
    struct itimerval every = {{0, 10000}, {0, 10000}}, never = {{0, 0}, {0, 0}};
    shared[1] = 0;
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    CHECK_ERRNO(mq_receive(q, text, sizeof text, NULL), EINTR);
    CHECK(shared[1] > 0);
    sa.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &sa, NULL);
    shared[1] = 0;
    struct timespec soon = in_ms(80);
    CHECK_ERRNO(mq_timedreceive(q, text, sizeof text, NULL, &soon), ETIMEDOUT);
    CHECK(shared[1] > 2);
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK(mq_send(q, "x", 1, 0) == 0);
    soon = in_ms(30);
    setitimer(ITIMER_REAL, &every, NULL);
    CHECK_ERRNO(mq_timedsend(q, "x", 1, 0, &soon), ETIMEDOUT);
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK(queued(q) == 1);
    end(q);
}

static void *receiver(void *context)
{
    long sum = 0;
    char text[16];
    mqd_t q = *(mqd_t *)context;
    while (mq_receive(q, text, sizeof text, NULL) > 1)
        sum += *(int *)text;
    return (void *)sum;
}

static void *sender(void *context)
{
    for (int i = 1; i <= 500; i++)
        CHECK(mq_send(*(mqd_t *)context, (char *)&i, sizeof i, (unsigned)i % 3 + 1) == 0);
    return NULL;
}

static void *cancelled(void *context)
{
    char text[16];
    mq_receive(*(mqd_t *)context, text, sizeof text, NULL);
    return NULL;
}

static void test_threads(void)
{
    pthread_t in[3], out[3], lost;
    void *result;
    long sum = 0;
    mqd_t q = make(4, 16);
    for (int i = 0; i < 3; i++) {
        CHECK0(pthread_create(&in[i], NULL, receiver, &q));
        CHECK0(pthread_create(&out[i], NULL, sender, &q));
    }
    for (int i = 0; i < 3; i++)
        CHECK0(pthread_join(out[i], NULL));
    for (int i = 0; i < 3; i++)
        CHECK(mq_send(q, "", 1, 0) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK0(pthread_join(in[i], &result));
        sum += (long)result;
    }
    CHECK(sum == 3l * 500 * 501 / 2 && queued(q) == 0);
    CHECK0(pthread_create(&lost, NULL, cancelled, &q));
    sleep_ms(20);
    CHECK0(pthread_cancel(lost));
    CHECK0(pthread_join(lost, &result));
    CHECK(result == PTHREAD_CANCELED);
    CHECK(mq_send(q, "x", 1, 0) == 0 && queued(q) == 1);
    end(q);
}

/* ---- poll ---- */

static short ready(mqd_t q)
{
    struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};
    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static void test_poll(void)
{
    char text[16];
    struct pollfd p;
    mqd_t q = make(2, 16);
    CHECK(ready(q) == POLLOUT);
    CHECK(mq_send(q, "1", 1, 0) == 0 && ready(q) == (POLLIN | POLLOUT));
    CHECK(mq_send(q, "2", 1, 0) == 0 && ready(q) == POLLIN);
    pid_t pid = fork();
    if (pid == 0) {
        shared[3] = 1;
        p = (struct pollfd){.fd = q, .events = POLLOUT};
        CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLOUT);
        CHECK(mq_receive(q, text, sizeof text, NULL) == 1);
        p.events = POLLIN;
        shared[3] = 2;
        CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLIN);
        CHECK(mq_receive(q, text, sizeof text, NULL) == 1 && text[0] == '3');
        _exit(0);
    }
    wait_shared(3, 1);
    CHECK(mq_receive(q, text, sizeof text, NULL) == 1);
    wait_shared(3, 2);
    CHECK(mq_send(q, "3", 1, 0) == 0);
    finish(pid);
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET}, got;
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, q, &event) == 0);
    CHECK(epoll_wait(epoll, &got, 1, 0) == 0);
    for (int i = 0; i < 2; i++) { /* an edge with each */
        CHECK(mq_send(q, "4", 1, 0) == 0);
        CHECK(epoll_wait(epoll, &got, 1, 1000) == 1 && got.events == EPOLLIN);
        CHECK(epoll_wait(epoll, &got, 1, 0) == 0);
    }
    close(epoll);
    end(q);
}

/* ---- where descriptors go ---- */

static void test_passed(void)
{
    int pair[2];
    char text[16], space[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec one = {text, 1};
    struct msghdr m = {
        .msg_iov = &one, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    mqd_t q = make(2, 16);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(q);
        CHECK(recvmsg(pair[1], &m, 0) == 1);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        CHECK(c && c->cmsg_type == SCM_RIGHTS);
        memcpy(&q, CMSG_DATA(c), sizeof q);
        CHECK(mq_receive(q, text, sizeof text, NULL) == 4 && memcmp(text, "sent", 4) == 0);
        CHECK(mq_send(q, "back", 4, 0) == 0);
        _exit(0);
    }
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof q), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &q, sizeof q);
    CHECK(sendmsg(pair[0], &m, 0) == 1);
    CHECK(mq_send(q, "sent", 4, 0) == 0);
    finish(pid);
    CHECK(mq_receive(q, text, sizeof text, NULL) == 4 && memcmp(text, "back", 4) == 0);
    close(pair[0]);
    close(pair[1]);
    end(q);
}

/* argv: "exec", descriptor: -1 when it must be closed */
static int after_exec(int fd)
{
    char text[16];
    if (fd < 0) {
        CHECK_ERRNO(mq_send(-fd, "x", 1, 0), EBADF);
        return 0;
    }
    CHECK(mq_receive(fd, text, sizeof text, NULL) == 5 && mq_send(fd, "after", 5, 2) == 0);
    return 0;
}

static void test_exec(const char *self)
{
    char text[16], number[16];
    mqd_t q = make(2, 16);
    CHECK(mq_send(q, "early", 5, 0) == 0);
    for (int keeps = 0; keeps < 2; keeps++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (keeps)
                fcntl(q, F_SETFD, 0);
            snprintf(number, sizeof number, "%d", keeps ? q : -q);
            execl(self, self, "exec", number, (char *)NULL);
            _exit(9);
        }
        finish(pid);
    }
    CHECK(mq_receive(q, text, sizeof text, NULL) == 5 && memcmp(text, "after", 5) == 0);
    end(q);
}

/* ---- notification ---- */

static volatile siginfo_t got;
static volatile int told, thread_value;

static void on_message(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    got = *info;
    told++;
}

static void on_thread(union sigval value)
{
    thread_value = value.sival_int;
    __atomic_fetch_add(&told, 1, __ATOMIC_SEQ_CST);
}

static void wait_told(int wanted)
{
    for (int i = 0; i < 500 && told < wanted; i++)
        sleep_ms(5);
    CHECK(told == wanted);
}

static void test_notify_signal(void)
{
    char text[16];
    struct sigaction sa = {.sa_sigaction = on_message, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigevent ask = {.sigev_notify = SIGEV_SIGNAL,
                           .sigev_signo = SIGRTMIN + 3,
                           .sigev_value = {.sival_int = 77}};
    mqd_t q = make(3, 16), again = mq_open(name, O_RDWR);
    sigaction(SIGRTMIN + 3, &sa, NULL);
    told = 0;
    CHECK_ERRNO(mq_notify(-1, &ask), EBADF);
    CHECK_ERRNO(mq_notify(-1, NULL), EBADF);
    CHECK_ERRNO(syscall(SYS_mq_notify, q, (void *)8), EFAULT);
    struct sigevent wrong = {.sigev_notify = 99};
    CHECK_ERRNO(mq_notify(q, &wrong), EINVAL);
    wrong = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
    CHECK_ERRNO(mq_notify(q, &wrong), EINVAL);
    CHECK(mq_notify(q, NULL) == 0);
    CHECK(mq_notify(q, &ask) == 0);
    CHECK_ERRNO(mq_notify(again, &ask), EBUSY);
    IN_CHILD({
        CHECK_ERRNO(mq_notify(q, &ask), EBUSY);
        CHECK(mq_notify(q, NULL) == 0); /* it is not his */
        CHECK_ERRNO(mq_notify(q, &ask), EBUSY);
        CHECK(mq_send(q, "1", 1, 0) == 0);
        shared[2] = getpid();
    });
    wait_told(1);
    CHECK(got.si_signo == SIGRTMIN + 3 && got.si_code == SI_MESGQ && got.si_value.sival_int == 77);
    CHECK(got.si_pid == shared[2] && got.si_uid == getuid());
    /* once; and only of a message that comes into the empty queue */
    CHECK(mq_send(q, "2", 1, 0) == 0 && told == 1);
    CHECK(mq_notify(again, &ask) == 0 && mq_send(q, "3", 1, 0) == 0 && told == 1);
    while (queued(q))
        CHECK(mq_receive(q, text, sizeof text, NULL) == 1);
    CHECK(mq_send(q, "4", 1, 0) == 0);
    wait_told(2);
    CHECK(got.si_pid == getpid());
    CHECK(mq_receive(q, text, sizeof text, NULL) == 1);
    /* not while somebody waits for it */
    CHECK(mq_notify(q, &ask) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        shared[3] = 12;
        CHECK(mq_receive(q, text, sizeof text, NULL) == 1);
        _exit(0);
    }
    wait_shared(3, 12);
    CHECK(mq_send(q, "5", 1, 0) == 0);
    finish(pid);
    CHECK(told == 2 && mq_send(q, "6", 1, 0) == 0);
    wait_told(3);
    CHECK(mq_receive(q, text, sizeof text, NULL) == 1);
    /* taken back; and gone with the descriptor, and with the process */
    CHECK(mq_notify(q, &ask) == 0 && mq_notify(again, NULL) == 0);
    CHECK(mq_send(q, "7", 1, 0) == 0 && mq_receive(q, text, sizeof text, NULL) == 1 && told == 3);
    CHECK(mq_notify(again, &ask) == 0 && mq_close(again) == 0);
    CHECK(mq_notify(q, &ask) == 0 && mq_notify(q, NULL) == 0);
    IN_CHILD(CHECK(mq_notify(q, &ask) == 0));
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    CHECK(mq_notify(q, &none) == 0);
    CHECK_ERRNO(mq_notify(q, &none), EBUSY);
    CHECK(mq_send(q, "8", 1, 0) == 0 && mq_notify(q, &none) == 0 && mq_notify(q, NULL) == 0);
    CHECK(told == 3);
    end(q);
}

static void test_notify_thread(void)
{
    char text[16];
    struct sigevent ask = {.sigev_notify = SIGEV_THREAD,
                           .sigev_notify_function = on_thread,
                           .sigev_value = {.sival_int = 5}};
    mqd_t q = make(3, 16);
    told = 0;
    for (int i = 1; i <= 3; i++) {
        ask.sigev_value.sival_int = i;
        CHECK(mq_notify(q, &ask) == 0);
        CHECK_ERRNO(mq_notify(q, &ask), EBUSY);
        CHECK(mq_send(q, "1", 1, 0) == 0);
        wait_told(i);
        CHECK(thread_value == i && mq_receive(q, text, sizeof text, NULL) == 1);
    }
    CHECK(mq_notify(q, &ask) == 0 && mq_notify(q, NULL) == 0);
    CHECK(mq_send(q, "2", 1, 0) == 0 && mq_receive(q, text, sizeof text, NULL) == 1);
    sleep_ms(20);
    CHECK(told == 3);
    CHECK(mq_notify(q, &ask) == 0);
    end(q);
    sleep_ms(20);
    CHECK(told == 3);
}

/* ---- limits ---- */

static long limit(const char *which)
{
    char path[64], text[32] = {0};
    snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", which);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 1);
    close(fd);
    return atol(text);
}

static void test_limits(void)
{
    CHECK(limit("queues_max") == 256 && limit("msg_max") == 10 && limit("msgsize_max") == 8192);
    CHECK(limit("msg_default") == 10 && limit("msgsize_default") == 8192);
    if (geteuid())
        return;
    IN_CHILD({
        struct rlimit r;
        CHECK(getrlimit(RLIMIT_MSGQUEUE, &r) == 0);
        r.rlim_cur = 10 * (48 + 48 + 8192) + 100;
        CHECK(setrlimit(RLIMIT_MSGQUEUE, &r) == 0);
        CHECK(setgid(NOBODY - 7) == 0 && setuid(NOBODY - 7) == 0);
        mqd_t q = mq_open(name, O_RDWR | O_CREAT, 0600, NULL);
        struct mq_attr one = {.mq_maxmsg = 1, .mq_msgsize = 5},
                       none = {.mq_maxmsg = 1, .mq_msgsize = 1};
        CHECK(q >= 0);
        CHECK_ERRNO(mq_open("/more", O_RDWR | O_CREAT, 0600, &one), EMFILE);
        none.mq_msgsize = 4;
        mqd_t fits = mq_open("/fits", O_RDWR | O_CREAT, 0600, &none);
        CHECK(fits >= 0 && mq_unlink("/fits") == 0);
        CHECK_ERRNO(mq_open("/more", O_RDWR | O_CREAT, 0600, &none), EMFILE);
        close(fits);
        fits = mq_open("/fits", O_RDWR | O_CREAT, 0600, &none);
        CHECK(fits >= 0 && mq_unlink("/fits") == 0);
        CHECK(mq_unlink(name) == 0);
    });
}

/* Where /proc/sys can be written: not in every container. */
static void test_set_limits(void)
{
    int fd = open("/proc/sys/fs/mqueue/msg_max", O_WRONLY | O_TRUNC);
    if (fd < 0)
        return;
    CHECK(write(fd, "12\n", 3) == 3 && limit("msg_max") == 12);
    close(fd);
    fd = open("/proc/sys/fs/mqueue/msg_max", O_WRONLY);
    CHECK_ERRNO(write(fd, "0\n", 2), EINVAL);
    CHECK_ERRNO(write(fd, "65537\n", 6), EINVAL);
    CHECK_ERRNO(write(fd, "x\n", 2), EINVAL);
    CHECK(limit("msg_max") == 12);
    IN_CHILD({
        become_nobody();
        CHECK_ERRNO(open("/proc/sys/fs/mqueue/msg_max", O_WRONLY), EACCES);
        struct mq_attr a = {.mq_maxmsg = 12, .mq_msgsize = 10};
        mqd_t q = mq_open(name, O_RDWR | O_CREAT, 0600, &a);
        CHECK(q >= 0 && mq_unlink(name) == 0);
    });
    close(fd);
    fd = open("/proc/sys/fs/mqueue/msg_max", O_WRONLY);
    CHECK(write(fd, "10", 2) == 2 && limit("msg_max") == 10);
    close(fd);
    fd = open("/proc/sys/fs/mqueue/queues_max", O_WRONLY);
    CHECK(write(fd, "0", 1) == 1);
    IN_CHILD({
        become_nobody();
        CHECK_ERRNO(mq_open(name, O_RDWR | O_CREAT, 0600, NULL), ENOSPC);
    });
    CHECK(pwrite(fd, "256", 3, 0) == 3 && limit("queues_max") == 256);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc > 2)
        return after_exec(atoi(argv[2]));
    snprintf(name, sizeof name, "/motor-test-%d", (int)getpid());
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    test_open();
    test_permissions();
    test_order();
    test_errors();
    test_read();
    test_wait();
    test_killed();
    test_interrupted();
    test_threads();
    test_poll();
    test_passed();
    test_exec("/proc/self/exe");
    test_notify_signal();
    test_notify_thread();
    test_limits();
    test_set_limits();
    return 0;
}
