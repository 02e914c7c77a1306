/* SPDX-License-Identifier: MIT */
/* Pipes: order, ends, atomic writes, readiness, many processes at one. */
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

static volatile sig_atomic_t got;

static void on_signal(int signal)
{
    got = signal;
}

static void test_basics(void)
{
    int p[2], unread = -1;
    char bytes[16];
    struct stat st;
    CHECK(pipe2(p, O_CLOEXEC) == 0);
    CHECK(fcntl(p[0], F_GETFD) == FD_CLOEXEC && (fcntl(p[1], F_GETFL) & O_ACCMODE) == O_WRONLY);
    CHECK(fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode));
    CHECK(write(p[1], "hello", 5) == 5 && ioctl(p[0], FIONREAD, &unread) == 0 && unread == 5);
    CHECK(read(p[0], bytes, 2) == 2 && read(p[0], bytes + 2, 14) == 3);
    CHECK(!memcmp(bytes, "hello", 5));
    CHECK(read(p[1], bytes, 1) == -1 && errno == EBADF);
    CHECK(write(p[0], bytes, 1) == -1 && errno == EBADF);
    CHECK(lseek(p[0], 0, SEEK_CUR) == -1 && errno == ESPIPE);
    struct iovec v[2] = {{"ab", 2}, {"cd", 2}};
    CHECK(writev(p[1], v, 2) == 4);
    close(p[1]);
    CHECK(read(p[0], bytes, 16) == 4 && !memcmp(bytes, "abcd", 4) && read(p[0], bytes, 16) == 0);
    close(p[0]);
    CHECK(pipe2(p, O_CREAT) == -1 && errno == EINVAL);
}

static void test_ends(void)
{
    int p[2];
    CHECK(pipe(p) == 0);
    struct pollfd in = {p[0], POLLIN, 0}, out = {p[1], POLLOUT, 0};
    CHECK(poll(&in, 1, 0) == 0 && poll(&out, 1, 0) == 1 && out.revents == POLLOUT);
    close(p[0]);
    CHECK(poll(&out, 1, 1000) == 1 && out.revents & POLLERR);
    signal(SIGPIPE, on_signal);
    CHECK(write(p[1], "x", 1) == -1 && errno == EPIPE && got == SIGPIPE);
    close(p[1]);
    CHECK(pipe(p) == 0);
    in.fd = p[0];
    close(p[1]);
    CHECK(poll(&in, 1, 1000) == 1 && in.revents == POLLHUP);
    close(p[0]);
}

static void *close_later(void *fd)
{
    usleep(20000);
    close(*(int *)fd);
    return NULL;
}

/* A pipe that is used late, by somebody else, or not at all. */
static void test_unused(void)
{
    int p[2], unread = -1, status, other;
    char byte = 0;
    struct iovec v = {&byte, 1};
    struct stat st, same;
    pthread_t thread;
    for (int way = 0; way < 6; way++) {
        CHECK(pipe(p) == 0);
        close(p[1]);
        struct pollfd in = {p[0], POLLIN, 0};
        CHECK(way != 0 || (read(p[0], &byte, 1) == 0 && read(p[0], &byte, 1) == 0));
        CHECK(way != 1 || readv(p[0], &v, 1) == 0);
        CHECK(way != 2 || (fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode)));
        CHECK(way != 3 || (ioctl(p[0], FIONREAD, &unread) == 0 && unread == 0));
        CHECK(way != 4 || fcntl(p[0], F_GETPIPE_SZ) > 0);
        CHECK(way != 5 || (poll(&in, 1, -1) == 1 && in.revents == POLLHUP));
        CHECK(read(p[0], &byte, 1) == 0 && read(p[0], &byte, 0) == 0);
        close(p[0]);
    }
    CHECK(pipe(p) == 0 && pthread_create(&thread, NULL, close_later, &p[1]) == 0);
    CHECK(read(p[0], &byte, 1) == 0); /* it sleeps until the other end is closed */
    pthread_join(thread, NULL);
    close(p[0]);
    CHECK(pipe(p) == 0 && (other = dup(p[1])) >= 0);
    close(p[1]);
    CHECK(write(other, "d", 1) == 1 && read(p[0], &byte, 1) == 1 && byte == 'd');
    CHECK(fstat(p[0], &st) == 0 && fstat(other, &same) == 0 && st.st_ino == same.st_ino);
    close(other);
    close(p[0]);
    CHECK(pipe(p) == 0);
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK(write(p[1], "x", 1) == -1 && errno == EPIPE);
    close(p[1]);
    CHECK(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(write(p[1], "f", 1) != 1);
    close(p[1]);
    CHECK(read(p[0], &byte, 1) == 1 && byte == 'f' && read(p[0], &byte, 1) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    close(p[0]);
    CHECK(pipe(p) == 0);
    pid = vfork();
    if (pid == 0)
        _exit(write(p[1], "v", 1) != 1);
    close(p[1]);
    CHECK(read(p[0], &byte, 1) == 1 && byte == 'v' && read(p[0], &byte, 1) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    close(p[0]);
}

static void test_nonblocking(void)
{
    static char bytes[PIPE_BUF];
    int p[2];
    long full = 0, n;
    CHECK(pipe2(p, O_NONBLOCK) == 0);
    CHECK(read(p[0], bytes, 1) == -1 && errno == EAGAIN);
    while ((n = write(p[1], bytes, sizeof bytes)) > 0)
        full += n;
    CHECK(n == -1 && errno == EAGAIN && full == 65536);
    CHECK(read(p[0], bytes, 100) == 100);
    CHECK(write(p[1], bytes, sizeof bytes) == -1 && errno == EAGAIN); /* all or nothing */
    struct pollfd out = {p[1], POLLOUT, 0};
    CHECK(poll(&out, 1, 0) == 0);
    CHECK(read(p[0], bytes, sizeof bytes) == sizeof bytes && poll(&out, 1, 0) == 1);
    close(p[0]);
    close(p[1]);
}

/* A pipeline of three: each byte arrives, in order, however the pieces fall. */
static void test_pipeline(void)
{
    enum { SIZE = 3000000 };
    static unsigned char bytes[10000];
    int a[2], b[2], status;
    CHECK(pipe(a) == 0 && pipe(b) == 0);
    if (fork() == 0) {
        close(a[0]), close(b[0]), close(b[1]);
        for (int i = 0; i < SIZE;) {
            int n = 1 + i * 7 % 9999;
            n = n < SIZE - i ? n : SIZE - i;
            for (int k = 0; k < n; k++)
                bytes[k] = (unsigned char)((i + k) * 31 >> 3);
            CHECK(write(a[1], bytes, (size_t)n) == n);
            i += n;
        }
        _exit(0);
    }
    if (fork() == 0) {
        close(a[1]), close(b[0]);
        ssize_t n;
        while ((n = read(a[0], bytes, 777)) > 0)
            CHECK(write(b[1], bytes, (size_t)n) == n);
        _exit(n < 0);
    }
    close(a[0]), close(a[1]), close(b[1]);
    int at = 0;
    ssize_t n;
    while ((n = read(b[0], bytes, sizeof bytes)) > 0)
        for (ssize_t k = 0; k < n; k++, at++)
            CHECK(bytes[k] == (unsigned char)(at * 31 >> 3));
    CHECK(n == 0 && at == SIZE);
    close(b[0]);
    for (int i = 0; i < 2; i++)
        CHECK(wait(&status) > 0 && status == 0);
}

/* Several writers: records of up to PIPE_BUF are never mixed. */
static void test_atomic(void)
{
    enum { WRITERS = 4, RECORDS = 300 };
    int p[2], status, seen[WRITERS] = {0};
    unsigned char record[PIPE_BUF];
    CHECK(pipe(p) == 0);
    for (int w = 0; w < WRITERS; w++)
        if (fork() == 0) {
            close(p[0]);
            for (int i = 0; i < RECORDS; i++) {
                int size = 8 + (i * 997 + w * 131) % (PIPE_BUF - 8);
                memset(record, w, (size_t)size);
                memcpy(record, &size, sizeof size);
                CHECK(write(p[1], record, (size_t)size) == size);
            }
            _exit(0);
        }
    close(p[1]);
    for (;;) {
        int size = 0, have = 0;
        ssize_t n = 0;
        while (have < (int)sizeof size &&
               (n = read(p[0], record + have, sizeof size - (size_t)have)) > 0)
            have += (int)n;
        if (!have)
            break;
        memcpy(&size, record, sizeof size);
        CHECK(size >= 8 && size <= PIPE_BUF);
        while (have < size && (n = read(p[0], record + have, (size_t)(size - have))) > 0)
            have += (int)n;
        CHECK(have == size && record[4] < WRITERS);
        for (int i = 4; i < size; i++)
            CHECK(record[i] == record[4]);
        seen[record[4]]++;
    }
    for (int w = 0; w < WRITERS; w++) {
        CHECK(seen[w] == RECORDS);
        CHECK(wait(&status) > 0 && status == 0);
    }
    close(p[0]);
}

/* A signal ends a wait, before anything has moved; SA_RESTART begins it again. */
static volatile sig_atomic_t told;

static void on_news(int signal)
{
    told += signal == SIGIO || signal == SIGUSR1;
}

static void wait_told(int at_least)
{
    for (int i = 0; i < 1000 && told < at_least; i++)
        sleep_ms(2);
    CHECK(told >= at_least);
    told = 0;
}

/* SIGIO: bytes have come, there is room, the other end has gone. */
static void test_async(void)
{
    int p[2];
    char bytes[4096] = "";
    CHECK(pipe(p) == 0);
    for (int i = 0; i < 40; i++) /* so that bytes move without a call */
        CHECK(write(p[1], "x", 1) == 1 && read(p[0], bytes, 1) == 1);
    signal(SIGIO, on_news);
    signal(SIGUSR1, on_news);
    CHECK(fcntl(p[0], F_SETOWN, getpid()) == 0);
    CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0 && fcntl(p[0], F_GETFL) & O_ASYNC);
    CHECK(write(p[1], "x", 1) == 1);
    wait_told(1);
    CHECK(fcntl(p[0], F_SETSIG, SIGUSR1) == 0);
    signal(SIGIO, SIG_DFL); /* which would kill */
    CHECK(read(p[0], bytes, 1) == 1 && write(p[1], "x", 1) == 1);
    wait_told(1);
    CHECK(fcntl(p[0], F_SETFL, 0) == 0 && !(fcntl(p[0], F_GETFL) & O_ASYNC));
    CHECK(read(p[0], bytes, 1) == 1 && write(p[1], "x", 1) == 1);
    sleep_ms(10);
    CHECK(told == 0);
    signal(SIGIO, on_news);
    CHECK(fcntl(p[1], F_SETOWN, getpid()) == 0 && fcntl(p[1], F_SETFL, O_ASYNC | O_NONBLOCK) == 0);
    while (write(p[1], bytes, sizeof bytes) > 0)
        ;
    told = 0;
    CHECK(read(p[0], bytes, sizeof bytes) == sizeof bytes);
    wait_told(1);
    CHECK(fcntl(p[1], F_SETFL, 0) == 0 && fcntl(p[0], F_SETFL, O_ASYNC) == 0);
    close(p[1]);
    wait_told(1);
    close(p[0]);
    signal(SIGIO, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
}

static void test_signals(void)
{
    int p[2], status;
    char c;
    struct sigaction a = {.sa_handler = on_signal};
    CHECK(pipe(p) == 0);
    sigaction(SIGALRM, &a, NULL);
    alarm(1);
    CHECK(read(p[0], &c, 1) == -1 && errno == EINTR);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[1]);
        CHECK(read(p[0], &c, 1) == 1);
        _exit(c);
    }
    close(p[0]);
    CHECK(write(p[1], "\7", 1) == 1);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
    got = 0;
    CHECK(write(p[1], "x", 1) == -1 && errno == EPIPE); /* the last reader has died */
    close(p[1]);
}

int main(void)
{
    test_basics();
    test_ends();
    test_unused();
    test_nonblocking();
    test_pipeline();
    test_atomic();
    test_async();
    test_signals();
    return 0;
}
