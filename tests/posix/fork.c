/* SPDX-License-Identifier: MIT */
/*
 * fork: memory, descriptors, signals, timers and threads of a child; from programs with threads;
 * a thousand of them leave nothing behind.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

static int reap(pid_t pid)
{
    int status = -1;
    pid_t got;
    while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
        ;
    CHECK(got == pid);
    return status;
}

/* Runs `body` in a child, which must end with 0. */
#define IN_CHILD(...) \
    do { \
        pid_t child_ = fork(); \
        CHECK(child_ >= 0); \
        if (child_ == 0) { \
            __VA_ARGS__; \
            _exit(0); \
        } \
        CHECK(reap(child_) == 0); \
    } while (0)

static int global = 1;

static void test_memory(void)
{
    static char big[1 << 20];
    int local = 2, *heap = malloc(sizeof *heap);
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(heap && shared != MAP_FAILED);
    *heap = 3;
    *shared = 4;
    memset(big, 5, sizeof big);
    IN_CHILD({
        CHECK(global == 1 && local == 2 && *heap == 3 && *shared == 4 && big[700000] == 5);
        global = local = *heap = *shared = 9;
        memset(big, 9, sizeof big);
        free(heap);
        heap = malloc(100000);
        CHECK(heap);
    });
    CHECK(global == 1 && local == 2 && *heap == 3 && *shared == 9 && big[700000] == 5);
    /* and the parent's writes do not reach the child */
    sem_t *go = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(go != MAP_FAILED && sem_init(go, 1, 0) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        while (sem_wait(go) < 0)
            ;
        CHECK(global == 1 && big[5] == 5);
        _exit(0);
    }
    global = 7;
    memset(big, 7, sizeof big);
    CHECK(sem_post(go) == 0 && reap(pid) == 0);
    global = 1;
    munmap(shared, 4096);
    munmap(go, 4096);
    free(heap);
}

static void test_registers(void)
{
    double x = 1.5, y = 2.25;
    volatile double product = x * y;
    IN_CHILD(CHECK(x * y == product && product == 3.375));
    CHECK(x * y == product);
}

static void test_identity(void)
{
    pid_t self = getpid(), group = getpgrp(), session = getsid(0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(getpid() != self && getppid() == self && getpgrp() == group);
        CHECK(getsid(0) == session && getpgid(self) == group);
        _exit(getpid() & 127);
    }
    CHECK(pid > 0 && pid != self && WEXITSTATUS(reap(pid)) == (pid & 127));
    CHECK(getpid() == self);
}

static void test_descriptors(void)
{
    int fd = open("/tmp/fork.data", O_CREAT | O_RDWR | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, "abcdef", 6) == 6);
    int copy = dup(fd);
    IN_CHILD({
        CHECK(write(fd, "gh", 2) == 2 && lseek(copy, 0, SEEK_CUR) == 8);
        CHECK(fcntl(fd, F_SETFL, O_APPEND) == 0);
        CHECK(close(copy) == 0);
    });
    CHECK(lseek(fd, 0, SEEK_CUR) == 8 && fcntl(copy, F_GETFD) == 0); /* one description */
    CHECK(fcntl(copy, F_GETFL) & O_APPEND);
    IN_CHILD({
        CHECK(close(fd) == 0 && close(copy) == 0);
        fd = open("/tmp/fork.data", O_RDONLY);
        char c;
        CHECK(fd >= 0 && read(fd, &c, 1) == 1 && c == 'a');
        CHECK(chdir("/tmp") == 0);
    });
    char cwd[100];
    CHECK(getcwd(cwd, sizeof cwd) && strcmp(cwd, "/tmp"));
    close(fd);
    close(copy);
    unlink("/tmp/fork.data");
}

static volatile sig_atomic_t hits;

static void hit(int sig)
{
    (void)sig;
    hits++;
}

static void test_signals(void)
{
    struct itimerval timer = {{0, 0}, {1000, 0}};
    sigset_t set, old;
    signal(SIGUSR1, hit);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    raise(SIGUSR1); /* pending here: not in the child */
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    IN_CHILD({
        sigset_t now;
        CHECK(sigpending(&now) == 0 && !sigismember(&now, SIGUSR1));
        CHECK(sigprocmask(SIG_SETMASK, NULL, &now) == 0 && sigismember(&now, SIGUSR2));
        CHECK(getitimer(ITIMER_REAL, &timer) == 0 && !timer.it_value.tv_sec);
        CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && hits == 0);
        raise(SIGUSR1);
        CHECK(hits == 1);
    });
    CHECK(hits == 0);
    CHECK(getitimer(ITIMER_REAL, &timer) == 0 && timer.it_value.tv_sec > 900);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && hits == 1);
    memset(&timer, 0, sizeof timer);
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    hits = 0;
    signal(SIGUSR1, SIG_DFL);
}

/* A signal handler that forks, in the middle of anything. */
static void fork_in_handler(int sig)
{
    pid_t pid = fork();
    (void)sig;
    if (pid == 0)
        _exit(33);
    int status;
    if (pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 33)
        hits++;
}

static void test_fork_in_handler(void)
{
    signal(SIGUSR1, fork_in_handler);
    for (int i = 0; i < 20; i++)
        raise(SIGUSR1);
    CHECK(hits == 20);
    hits = 0;
    signal(SIGUSR1, SIG_DFL);
}

static volatile int stop;

static void *busy(void *argument)
{
    int kind = (int)(intptr_t)argument;
    while (!stop) {
        switch (kind) {
        case 0:
            free(malloc(500));
            break;
        case 1: {
            int fd = open("/dev/null", O_RDWR);
            if (fd >= 0)
                close(fd);
            break;
        }
        case 2:
            usleep(100);
            break;
        default:
            sched_yield();
        }
    }
    return NULL;
}

static void *nothing(void *argument)
{
    return argument;
}

/* The child of a program with threads has one, and everything works in it. */
static void test_threads(void)
{
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    stop = 0;
    for (int i = 0; i < THREADS; i++)
        CHECK0(pthread_create(&thread[i], NULL, busy, (void *)(intptr_t)i));
    for (int i = 0; i < 60; i++)
        IN_CHILD({
            pthread_t t;
            void *result;
            alarm(20);
            free(malloc(3000));
            int fd = open("/dev/zero", O_RDONLY);
            CHECK(fd >= 0);
            CHECK0(pthread_create(&t, NULL, nothing, &global));
            CHECK0(pthread_join(t, &result));
            CHECK(result == &global);
        });
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        CHECK0(pthread_join(thread[i], NULL));
}

static void *forks(void *argument)
{
    for (int i = 0; i < 25; i++)
        IN_CHILD((void)argument);
    return NULL;
}

/* Several threads fork at once; a child of a thread that is not the main one. */
static void test_forking_threads(void)
{
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        CHECK0(pthread_create(&thread[i], NULL, forks, NULL));
    for (int i = 0; i < 3; i++)
        CHECK0(pthread_join(thread[i], NULL));
}

static int handlers;
static void prepare(void)
{
    handlers = handlers * 10 + 1;
}
static void parent(void)
{
    handlers = handlers * 10 + 2;
}
static void child(void)
{
    handlers = handlers * 10 + 3;
}

static void test_atfork(void)
{
    CHECK0(pthread_atfork(prepare, parent, child));
    IN_CHILD(CHECK(handlers == 13));
    CHECK(handlers == 12);
}

static void test_orphan(void)
{
    volatile pid_t *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    IN_CHILD({
        pid_t middle = getpid();
        if (fork() == 0) {
            while (getppid() == middle)
                usleep(1000);
            shared[0] = getppid();
            _exit(0);
        }
    });
    while (!shared[0])
        usleep(1000);
    CHECK(shared[0] != getpid() && shared[0] >= 1);
    CHECK_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
    munmap((void *)shared, 4096);
}

/* Whoever has waited for a parent finds its children with another, also those that have asked. */
static void test_orphan_knows(void)
{
    int go[2], answer[2];
    char byte = 0;
    CHECK0(pipe(go));
    CHECK0(pipe(answer));
    IN_CHILD({
        pid_t middle = getpid();
        if (fork() == 0) {
            byte = getppid() == middle;
            CHECK(write(answer[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1);
            byte = getppid() != middle && getppid() == getppid();
            _exit(write(answer[1], &byte, 1) == 1 ? 0 : 1);
        }
        CHECK(read(answer[0], &byte, 1) == 1 && byte == 1);
    });
    CHECK(write(go[1], "", 1) == 1);
    CHECK(read(answer[0], &byte, 1) == 1 && byte == 1);
    for (int i = 0; i < 2; i++) {
        close(go[i]);
        close(answer[i]);
    }
}

static void test_limit(void)
{
    /* as a user with few processes: EAGAIN, and no harm */
    IN_CHILD({
        struct rlimit limit = {3, 3};
        if (getuid() == 0)
            CHECK(setgid(4321) == 0 && setuid(4321) == 0);
        else
            _exit(0);
        CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
        pid_t a = fork();
        if (a == 0) {
            pause();
            _exit(0);
        }
        pid_t b = fork();
        if (b == 0) {
            pause();
            _exit(0);
        }
        CHECK(a > 0 && b > 0);
        CHECK_ERRNO(fork(), EAGAIN);
        CHECK(kill(a, SIGKILL) == 0 && reap(a) == SIGKILL);
        CHECK((a = fork()) >= 0);
        if (a == 0)
            _exit(0);
        CHECK(reap(a) == 0);
        CHECK(kill(b, SIGKILL) == 0 && reap(b) == SIGKILL);
    });
}

struct counts {
    long long value[7];
};

static int read_counts(struct counts *c)
{
    static const char *const names[] = {"kernel.processes", "kernel.threads", "kernel.vmos",
                                        "kernel.endpoints", "kernel.gates",   "kernel.handles",
                                        "kernel.regions"};
    FILE *f = fopen("/proc/motor/counters", "r");
    char name[100];
    long long value;
    if (!f)
        return 0;
    while (fscanf(f, "%99s %lld", name, &value) == 2)
        for (int i = 0; i < 7; i++)
            if (!strcmp(name, names[i]))
                c->value[i] = value;
    fclose(f);
    return 1;
}

/* The first counter that 500 children leave changed; -1: none. */
static int changed_by_children(struct counts *before, struct counts *after)
{
    if (!read_counts(before))
        return -1;
    for (int i = 0; i < 500; i++)
        IN_CHILD((void)0);
    for (int tries = 0; tries < 200; tries++) {
        read_counts(after);
        if (!memcmp(before, after, sizeof *before))
            return -1;
        sleep_ms(10); /* the last one's remains */
    }
    for (int i = 0; i < 7; i++)
        if (after->value[i] != before->value[i])
            return i;
    return -1;
}

/* The I/O server may take memory for good once, while the children run; not each time. */
static void test_leaks(void)
{
    struct counts before = {{0}}, after = {{0}};
    int changed = 0;
    for (int i = 0; i < 20; i++)
        IN_CHILD((void)0);
    for (int round = 0; changed >= 0 && round < 3; round++)
        changed = changed_by_children(&before, &after);
    if (changed >= 0)
        FAILED("counter %d went from %lld to %lld", changed, before.value[changed],
               after.value[changed]);
}

int main(void)
{
    test_memory();
    test_registers();
    test_identity();
    test_descriptors();
    test_signals();
    test_fork_in_handler();
    test_threads();
    test_forking_threads();
    test_atfork();
    test_orphan();
    test_orphan_knows();
    test_limit();
    test_leaks();
    return 0;
}
