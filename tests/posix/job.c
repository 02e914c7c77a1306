/* SPDX-License-Identifier: MIT */
/*
 * Groups, sessions, signals between processes, stop and continue: what a shell with job control
 * relies on.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile int *shared; /* between all: words at 0 */

static int reap(pid_t pid)
{
    int status = -1;
    pid_t got;
    while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
        ;
    CHECK(got == pid);
    return status;
}

static void until(volatile int *word, int value)
{
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value)
        usleep(200);
}

static void set(volatile int *word, int value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static void clear(void)
{
    for (int i = 0; i < 16; i++)
        set(&shared[i], 0);
}

static _Noreturn void sleep_forever(void)
{
    for (;;)
        pause();
}

static _Noreturn void spin_forever(void)
{
    for (volatile int i = 0;; i++)
        set(&shared[8], i);
}

static void check_stop_and_continue(pid_t pid, int how)
{
    int status;
    CHECK(waitpid(pid, &status, WNOHANG | WUNTRACED) == 0);
    CHECK(kill(pid, how) == 0);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == how);
    CHECK(waitpid(pid, &status, WNOHANG | WUNTRACED) == 0); /* told once */
    int before = shared[8];
    sleep_ms(20);
    CHECK(shared[8] == before); /* really stopped */
    CHECK(kill(pid, SIGCONT) == 0);
    CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
    CHECK(waitpid(pid, &status, WNOHANG | WCONTINUED | WUNTRACED) == 0);
}

static void *thread_spins(void *argument)
{
    spin_forever();
    return argument;
}

static void test_stop(void)
{
    static const int how[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
    for (int kind = 0; kind < 3; kind++) {
        pid_t pid = fork();
        if (pid == 0) {
            pthread_t t;
            setpgid(0, 0); /* in a group that is not orphaned: its parent is in this session */
            set(&shared[0], 1);
            if (kind == 0)
                sleep_forever();
            if (kind == 2)
                CHECK0(pthread_create(&t, NULL, thread_spins, NULL));
            spin_forever();
        }
        until(&shared[0], 1);
        for (int i = 0; i < 4; i++)
            check_stop_and_continue(pid, how[i]);
        /* a stopped process can be killed */
        CHECK(kill(pid, SIGSTOP) == 0);
        int status;
        CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
        CHECK(kill(pid, SIGTERM) == 0); /* waits until it goes on */
        sleep_ms(10);
        CHECK(waitpid(pid, &status, WNOHANG) == 0);
        CHECK(kill(pid, kind ? SIGKILL : SIGCONT) == 0);
        CHECK(reap(pid) == (kind ? SIGKILL : SIGTERM));
        clear();
    }
}

/* waitid tells the same; SIGCHLD comes for stops, unless SA_NOCLDSTOP. */
static volatile sig_atomic_t told, code, status_of;

static void child_changed(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    told++;
    code = info->si_code;
    status_of = info->si_status;
}

static void test_notices(void)
{
    struct sigaction a = {.sa_sigaction = child_changed, .sa_flags = SA_SIGINFO | SA_RESTART};
    siginfo_t info;
    CHECK(sigaction(SIGCHLD, &a, NULL) == 0);
    pid_t pid = fork();
    if (pid == 0)
        sleep_forever();
    CHECK(kill(pid, SIGSTOP) == 0);
    CHECK(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT) == 0 && info.si_code == CLD_STOPPED);
    CHECK(waitid(P_PID, (id_t)pid, &info, WSTOPPED) == 0 && info.si_status == SIGSTOP);
    while (!told)
        usleep(100);
    CHECK(code == CLD_STOPPED && status_of == SIGSTOP);
    CHECK(kill(pid, SIGCONT) == 0);
    CHECK(waitid(P_ALL, 0, &info, WCONTINUED) == 0 && info.si_code == CLD_CONTINUED);
    CHECK(info.si_pid == pid && info.si_status == SIGCONT);
    while (told < 2)
        usleep(100);
    CHECK(code == CLD_CONTINUED);
    a.sa_flags |= SA_NOCLDSTOP;
    CHECK(sigaction(SIGCHLD, &a, NULL) == 0);
    CHECK(kill(pid, SIGSTOP) == 0);
    CHECK(waitid(P_PID, (id_t)pid, &info, WSTOPPED) == 0);
    CHECK(told == 2);
    CHECK(kill(pid, SIGKILL) == 0 && reap(pid) == SIGKILL);
    CHECK(told == 3 && code == CLD_KILLED && status_of == SIGKILL);
    signal(SIGCHLD, SIG_DFL);
}

/* Calls that a stop interrupts go on as if nothing had been. */
static void test_stop_in_calls(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec t = {0, 100000000};
        double start = seconds_now();
        set(&shared[0], 1);
        CHECK(nanosleep(&t, NULL) == 0);
        CHECK(seconds_now() - start >= 0.1);
        set(&shared[0], 2);
        int status;
        pid_t child = fork();
        if (child == 0) {
            until(&shared[1], 1);
            _exit(5);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 5 << 8);
        _exit(0);
    }
    int status;
    until(&shared[0], 1);
    CHECK(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid);
    CHECK(kill(pid, SIGCONT) == 0);
    until(&shared[0], 2);
    sleep_ms(10);
    CHECK(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid);
    CHECK(kill(pid, SIGCONT) == 0);
    set(&shared[1], 1);
    CHECK(reap(pid) == 0);
    clear();
}

/* Two calls that a stop and a continuation end with EINTR, without any handler (signal(7)). */
static void test_stop_ends_calls(void)
{
    for (int how = 0; how < 2; how++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct epoll_event e;
            struct timespec t = {20, 0};
            sigset_t wait;
            sigemptyset(&wait);
            sigaddset(&wait, SIGUSR1);
            sigprocmask(SIG_BLOCK, &wait, NULL);
            int ep = epoll_create1(0);
            set(&shared[0], 1);
            if (how)
                CHECK_ERRNO(epoll_wait(ep, &e, 1, 20000), EINTR);
            else
                CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &wait, NULL, &t, 8),
                            EINTR); /* musl repeats it */
            _exit(0);
        }
        int status;
        until(&shared[0], 1);
        sleep_ms(50); /* in the call by now */
        CHECK(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid);
        CHECK(kill(pid, SIGCONT) == 0);
        CHECK(reap(pid) == 0);
        clear();
    }
}

static void test_groups(void)
{
    CHECK_ERRNO(setpgid(0, -1), EINVAL);
    CHECK_ERRNO(setpgid(99999999, 0), ESRCH);
    CHECK_ERRNO(getpgid(99999999), ESRCH);
    CHECK_ERRNO(getsid(99999999), ESRCH);
    CHECK_ERRNO(setpgid(getppid(), 0), ESRCH); /* no child of ours */
    pid_t a = fork();
    if (a == 0)
        sleep_forever();
    pid_t b = fork();
    if (b == 0)
        sleep_forever();
    CHECK(setpgid(a, 0) == 0 && getpgid(a) == a && setpgid(b, a) == 0 && getpgid(b) == a);
    CHECK_ERRNO(setpgid(b, 99999999), EPERM);
    CHECK(getsid(a) == getsid(0));
    CHECK(kill(-a, 0) == 0);
    int status;
    CHECK(kill(-a, SIGSTOP) == 0);
    CHECK(waitpid(-a, &status, WUNTRACED) > 0 && WIFSTOPPED(status));
    CHECK(waitpid(-a, &status, WUNTRACED) > 0 && WIFSTOPPED(status));
    CHECK(killpg(a, SIGKILL) == 0);
    CHECK(waitpid(-a, &status, 0) > 0 && waitpid(-a, &status, 0) > 0);
    CHECK_ERRNO(waitpid(-a, &status, 0), ECHILD);
    CHECK_ERRNO(kill(-a, 0), ESRCH);
    /* a child in its own session: no business of ours */
    a = fork();
    if (a == 0) {
        CHECK(setsid() == getpid() && getpgrp() == getpid() && getsid(0) == getpid());
        CHECK_ERRNO(setsid(), EPERM);
        CHECK_ERRNO(setpgid(0, 0), EPERM);
        set(&shared[0], 1);
        sleep_forever();
    }
    until(&shared[0], 1);
    CHECK(getsid(a) == a);
    CHECK_ERRNO(setpgid(a, a), EPERM);
    CHECK(kill(a, SIGKILL) == 0 && reap(a) == SIGKILL);
    clear();
}

/* kill(0): the whole group, and the sender. */
static volatile sig_atomic_t hits;

static void hit(int sig)
{
    (void)sig;
    hits++;
}

static void test_own_group(void)
{
    pid_t leader = fork();
    if (leader == 0) {
        setpgid(0, 0);
        signal(SIGUSR1, hit);
        pid_t child = fork();
        if (child == 0) {
            set(&shared[0], 1);
            while (!hits)
                usleep(100);
            _exit(3);
        }
        until(&shared[0], 1);
        CHECK(kill(0, SIGUSR1) == 0 && hits == 1);
        CHECK(reap(child) == 3 << 8);
        _exit(0);
    }
    CHECK(reap(leader) == 0);
    clear();
}

/* A stopped group that loses its last link to the session gets SIGHUP and SIGCONT. */
static void test_orphaned_group(void)
{
    pid_t middle = fork();
    if (middle == 0) {
        setpgid(0, 0);
        pid_t child = fork();
        if (child == 0) {
            setpgid(0, 0);
            shared[1] = getpid();
            signal(SIGHUP, hit);
            set(&shared[0], 1);
            kill(getpid(), SIGSTOP);
            while (!hits)
                usleep(100);
            set(&shared[0], 2);
            /* in an orphaned group, terminal stops are ignored */
            raise(SIGTSTP);
            set(&shared[0], 3);
            _exit(0);
        }
        until(&shared[0], 1);
        int status;
        CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
        _exit(0);
    }
    CHECK(reap(middle) == 0);
    until(&shared[0], 3);
    clear();
}

/* ---- values ---- */

static int values[8], count;
static pid_t from;

static void take_value(int sig, siginfo_t *info, void *context)
{
    (void)context;
    if (count < 8) {
        values[count++] = sig * 1000 + info->si_value.sival_int;
        from = info->si_code == SI_QUEUE ? info->si_pid : -1;
    }
}

static void test_queued(void)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        struct sigaction a = {.sa_sigaction = take_value, .sa_flags = SA_SIGINFO};
        sigset_t block, old;
        sigfillset(&a.sa_mask);
        sigaction(SIGRTMIN, &a, NULL);
        sigaction(SIGRTMIN + 1, &a, NULL);
        sigaction(SIGUSR1, &a, NULL);
        sigemptyset(&block);
        sigaddset(&block, SIGRTMIN);
        sigaddset(&block, SIGRTMIN + 1);
        sigaddset(&block, SIGUSR1);
        sigprocmask(SIG_BLOCK, &block, &old);
        set(&shared[0], 1);
        until(&shared[1], 1);
        while (count < 6)
            sigsuspend(&old);
        /* a standard signal once, lowest first, each in the order sent */
        CHECK(values[0] == SIGUSR1 * 1000 + 1 && from == parent);
        CHECK(values[1] == SIGRTMIN * 1000 + 3 && values[2] == SIGRTMIN * 1000 + 4);
        CHECK(values[3] == SIGRTMIN * 1000 + 5 && values[4] == (SIGRTMIN + 1) * 1000 + 6);
        CHECK(values[5] == (SIGRTMIN + 1) * 1000 + 7 && count == 6);
        _exit(0);
    }
    until(&shared[0], 1);
    union sigval v;
    static const int order[][2] = {{1, 6}, {0, 3}, {-1, 1}, {-1, 2}, {0, 4}, {1, 7}, {0, 5}};
    for (int i = 0; i < 7; i++) {
        v.sival_int = order[i][1];
        CHECK(sigqueue(pid, order[i][0] < 0 ? SIGUSR1 : SIGRTMIN + order[i][0], v) == 0);
    }
    CHECK_ERRNO(sigqueue(99999999, SIGUSR1, v), ESRCH);
    CHECK_ERRNO(sigqueue(pid, 65, v), EINVAL);
    CHECK(sigqueue(pid, 0, v) == 0);
    set(&shared[1], 1);
    CHECK(reap(pid) == 0);
    clear();
}

static void test_permission(void)
{
    if (getuid() != 0)
        return;
    pid_t pid = fork();
    if (pid == 0) { /* another user */
        CHECK(setgid(1234) == 0 && setuid(1234) == 0);
        CHECK_ERRNO(kill(getppid(), SIGTERM), EPERM);
        CHECK_ERRNO(kill(getppid(), 0), EPERM);
        CHECK(kill(getppid(), SIGCONT) == 0); /* the same session */
        CHECK_ERRNO(setuid(0), EPERM);
        CHECK_ERRNO(setresuid(0, 0, 0), EPERM);
        pid_t own = fork();
        if (own == 0)
            sleep_forever();
        CHECK(kill(own, SIGKILL) == 0 && reap(own) == SIGKILL);
        CHECK_ERRNO(kill(99999999, 0), ESRCH);
        _exit(0);
    }
    CHECK(reap(pid) == 0);
    /* the saved id brings the effective one back */
    pid = fork();
    if (pid == 0) {
        CHECK(setresuid(1234, 1234, 0) == 0 && geteuid() == 1234);
        CHECK(seteuid(0) == 0 && geteuid() == 0 && getuid() == 1234);
        CHECK(setuid(55) == 0);
        uid_t r, e, s;
        CHECK(getresuid(&r, &e, &s) == 0 && r == 55 && e == 55 && s == 55);
        CHECK_ERRNO(seteuid(0), EPERM);
        _exit(0);
    }
    CHECK(reap(pid) == 0);
}

static void test_death_signal(void)
{
    pid_t middle = fork();
    if (middle == 0) {
        if (fork() == 0) {
            int signo;
            sigset_t wait;
            sigemptyset(&wait);
            sigaddset(&wait, SIGUSR2);
            sigprocmask(SIG_BLOCK, &wait, NULL);
            CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0);
            set(&shared[0], 1);
            CHECK(sigwait(&wait, &signo) == 0 && signo == SIGUSR2);
            set(&shared[0], 2);
            _exit(0);
        }
        until(&shared[0], 1);
        _exit(0);
    }
    CHECK(reap(middle) == 0);
    until(&shared[0], 2);
    clear();
}

static void test_subreaper(void)
{
    pid_t reaper = fork();
    if (reaper == 0) {
        int on = 0;
        CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        CHECK(prctl(PR_GET_CHILD_SUBREAPER, &on) == 0 && on == 1);
        pid_t middle = fork();
        if (middle == 0) {
            if (fork() == 0) {
                until(&shared[0], 1);
                _exit(getppid() == shared[1] ? 7 : 8);
            }
            _exit(0);
        }
        shared[1] = getpid();
        CHECK(reap(middle) == 0);
        set(&shared[0], 1);
        int status;
        CHECK(wait(&status) > 0 && status == 7 << 8); /* the grandchild is ours now */
        _exit(0);
    }
    CHECK(reap(reaper) == 0);
    clear();
}

static void *kill_process(void *argument)
{
    usleep(10000);
    CHECK(kill(*(pid_t *)argument, SIGTERM) == 0);
    return NULL;
}

/* wait is interrupted by other signals, with EINTR, unless SA_RESTART. */
static void test_wait_interrupted(void)
{
    struct sigaction a = {.sa_handler = hit};
    pthread_t t;
    pid_t parent = getpid();
    CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
    pid_t pid = fork();
    if (pid == 0)
        sleep_forever();
    pid_t other = fork();
    if (other == 0) {
        usleep(20000);
        kill(parent, SIGUSR1);
        sleep_forever();
    }
    hits = 0;
    CHECK_ERRNO(waitpid(pid, NULL, 0), EINTR);
    CHECK(hits == 1);
    CHECK(kill(other, SIGKILL) == 0 && reap(other) == SIGKILL);
    CHECK0(pthread_create(&t, NULL, kill_process, &pid));
    CHECK(reap(pid) == SIGTERM);
    CHECK0(pthread_join(t, NULL));
    signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    alarm(100);
    test_stop();
    test_notices();
    test_stop_in_calls();
    test_stop_ends_calls();
    test_groups();
    test_own_group();
    test_orphaned_group();
    test_queued();
    test_permission();
    test_death_signal();
    test_subreaper();
    test_wait_interrupted();
    return 0;
}
