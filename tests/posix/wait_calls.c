/* SPDX-License-Identifier: MIT */
/*
 * wait(2), waitid(2), wait4(2) by their text: which children, which changes, what is told of them,
 * and every error.
 */
#include "check.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

/* A child that waits until it is told how to end: 0..255 to exit with, else a signal + 256. */
static pid_t child(int *tell)
{
    int p[2];
    CHECK(pipe(p) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        int how;
        close(p[1]);
        if (read(p[0], &how, sizeof how) != sizeof how)
            _exit(99);
        if (how >= 256)
            raise(how - 256);
        _exit(how);
    }
    close(p[0]);
    *tell = p[1];
    return pid;
}

static void end(int tell, int how)
{
    CHECK(write(tell, &how, sizeof how) == sizeof how);
    close(tell);
}

static void nothing(int sig)
{
    (void)sig;
}

static int raw_waitid(int which, int id, siginfo_t *info, int options, struct rusage *usage)
{
    return (int)syscall(SYS_waitid, which, id, info, options, usage);
}

/* ---- errors ---- */

static void test_errors(void)
{
    int status;
    siginfo_t info;
    CHECK_ERRNO(wait(&status), ECHILD);
    CHECK_ERRNO(waitpid(-1, &status, WNOHANG), ECHILD);
    CHECK_ERRNO(waitpid(getpid(), &status, 0), ECHILD);
    CHECK_ERRNO(waitpid(0, &status, 0), ECHILD);
    CHECK_ERRNO(waitpid(-getpgrp(), &status, 0), ECHILD);
    CHECK_ERRNO(waitpid(INT_MIN, &status, 0), ESRCH);
    CHECK_ERRNO(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
    int tell;
    pid_t pid = child(&tell);
    CHECK_ERRNO(waitpid(pid, &status, 0x100), EINVAL);
    CHECK_ERRNO(waitpid(pid, &status, WEXITED), EINVAL); /* of waitid only */
    CHECK_ERRNO(waitid(P_PID, (id_t)pid, &info, 0), EINVAL);
    CHECK_ERRNO(waitid(P_PID, (id_t)pid, &info, WNOHANG), EINVAL);
    CHECK_ERRNO(waitid(P_PID, (id_t)pid, &info, WEXITED | 0x100), EINVAL);
    CHECK_ERRNO(waitid(P_PID, 0, &info, WEXITED), EINVAL);
    CHECK_ERRNO(waitid((idtype_t)17, 1, &info, WEXITED), EINVAL);
    CHECK_ERRNO(waitid(P_PID, (id_t)getpid(), &info, WEXITED), ECHILD);
    CHECK_ERRNO(waitid(P_PGID, 0x3fffffff, &info, WEXITED), ECHILD);
    CHECK(waitpid(pid, &status, WNOHANG) == 0);
    memset(&info, 0x55, sizeof info);
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0 &&
          info.si_signo == 0);
    end(tell, 3);
    CHECK(raw_waitid(P_PID, pid, &info, WEXITED | WNOWAIT, NULL) == 0);
    CHECK_ERRNO(raw_waitid(P_PID, pid, (void *)8, WEXITED | WNOWAIT, NULL), EFAULT);
    CHECK(waitpid(pid, NULL, 0) == pid); /* nowhere is a place as well */
    pid = child(&tell);
    end(tell, 4);
    CHECK_ERRNO(syscall(SYS_wait4, pid, (void *)8, 0, NULL), EFAULT);
    CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD); /* it is gone all the same */
}

/* ---- what is told ---- */

static void check_info(const siginfo_t *i, pid_t pid, int code, int status)
{
    CHECK(i->si_signo == SIGCHLD && i->si_errno == 0);
    CHECK(i->si_pid == pid && i->si_uid == getuid());
    if (i->si_code != code || i->si_status != status)
        FAILED("code %d status %d", i->si_code, i->si_status);
}

static void test_status(void)
{
    struct rlimit none = {0, 0};
    siginfo_t info;
    int status, tell;
    setrlimit(RLIMIT_CORE, &none);
    for (int how = 0; how < 256; how += 51) {
        pid_t pid = child(&tell);
        end(tell, how);
        CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
        check_info(&info, pid, CLD_EXITED, how);
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == how);
        CHECK(!WIFSIGNALED(status) && !WIFSTOPPED(status) && !WIFCONTINUED(status));
    }
    static const int signals[] = {SIGHUP, SIGKILL, SIGTERM, SIGUSR1, SIGALRM, SIGPIPE};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
        pid_t pid = child(&tell);
        end(tell, 256 + signals[i]);
        CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0);
        check_info(&info, pid, CLD_KILLED, signals[i]);
        CHECK(wait(&status) == pid && WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        CHECK(!WIFEXITED(status) && !WCOREDUMP(status));
    }
    /* _exit takes the low eight bits */
    pid_t pid = child(&tell);
    end(tell, 255);
    CHECK(wait(&status) == pid && WEXITSTATUS(status) == 255);
}

/* ---- stop and continue ---- */

static void test_stops(void)
{
    siginfo_t info;
    int status, tell;
    pid_t pid = child(&tell);
    CHECK(setpgid(pid, 0) == 0); /* or its group may be orphaned, where SIGTSTP does not stop */
    kill(pid, SIGSTOP);
    CHECK(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT) == 0);
    check_info(&info, pid, CLD_STOPPED, SIGSTOP);
    CHECK(waitpid(pid, &status, WNOHANG) == 0); /* without WUNTRACED it is not seen */
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) &&
          WSTOPSIG(status) == SIGSTOP);
    CHECK(!WIFEXITED(status) && !WIFSIGNALED(status) && !WIFCONTINUED(status));
    CHECK(waitpid(pid, &status, WUNTRACED | WNOHANG) == 0); /* told once */
    kill(pid, SIGCONT);
    CHECK(waitid(P_PID, (id_t)pid, &info, WCONTINUED | WNOWAIT) == 0);
    check_info(&info, pid, CLD_CONTINUED, SIGCONT);
    CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
    CHECK(waitpid(pid, &status, WCONTINUED | WUNTRACED | WNOHANG) == 0);
    kill(pid, SIGTSTP);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WSTOPSIG(status) == SIGTSTP);
    kill(pid, SIGKILL); /* works on what is stopped */
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED) == 0);
    check_info(&info, pid, CLD_KILLED, SIGKILL);
    CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
    close(tell);
}

/* ---- which children ---- */

static void test_selection(void)
{
    int tell[4], status;
    pid_t pid[4];
    siginfo_t info;
    for (int i = 0; i < 4; i++) {
        pid[i] = child(&tell[i]);
        CHECK(setpgid(pid[i], i < 2 ? getpgrp() : i == 2 ? pid[2] : pid[2]) == 0);
    }
    for (int i = 3; i >= 0; i--)
        end(tell[i], 10 + i);
    for (int i = 0; i < 4; i++) /* all have ended; nothing is taken */
        CHECK(waitid(P_PID, (id_t)pid[i], &info, WEXITED | WNOWAIT) == 0);
    CHECK(waitid(P_PGID, (id_t)pid[2], &info, WEXITED) == 0);
    CHECK(info.si_pid == pid[2] || info.si_pid == pid[3]);
    CHECK(waitpid(-pid[2], &status, 0) == pid[2] + pid[3] - info.si_pid);
    CHECK_ERRNO(waitpid(-pid[2], &status, 0), ECHILD);
    CHECK(waitpid(pid[1], &status, 0) == pid[1] && WEXITSTATUS(status) == 11);
    CHECK(waitpid(0, &status, 0) == pid[0] && WEXITSTATUS(status) == 10);
    CHECK_ERRNO(waitpid(0, &status, 0), ECHILD);
    CHECK_ERRNO(wait(&status), ECHILD);
}

/* A grandchild is nobody's to wait for. */
static void test_not_mine(void)
{
    int p[2], status, tell;
    pid_t grandchild;
    CHECK(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        grandchild = child(&tell);
        CHECK(write(p[1], &grandchild, sizeof grandchild) == sizeof grandchild);
        end(tell, 5);
        CHECK(waitpid(grandchild, &status, 0) == grandchild && WEXITSTATUS(status) == 5);
        _exit(0);
    }
    CHECK(read(p[0], &grandchild, sizeof grandchild) == sizeof grandchild);
    CHECK_ERRNO(waitpid(grandchild, &status, 0), ECHILD);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    close(p[0]), close(p[1]);
}

/* ---- resource usage ---- */

static void test_usage(void)
{
    struct rusage usage, before, after;
    siginfo_t info;
    int status;
    CHECK(getrusage(RUSAGE_CHILDREN, &before) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct rusage own;
        volatile char *p = malloc(8 << 20);
        CHECK(p);
        for (size_t i = 0; i < 8 << 20; i += 4096)
            p[i] = 1;
        do { /* until it has used a little time */
            for (volatile int i = 0; i < 100000; i++)
                ;
            getrusage(RUSAGE_SELF, &own);
        } while (own.ru_utime.tv_sec == 0 && own.ru_utime.tv_usec < 20000);
        _exit(0);
    }
    memset(&usage, 0x55, sizeof usage);
    CHECK(raw_waitid(P_PID, pid, &info, WEXITED | WNOWAIT, &usage) == 0);
    CHECK(usage.ru_utime.tv_sec || usage.ru_utime.tv_usec >= 20000);
    CHECK(wait4(pid, &status, 0, &usage) == pid && status == 0);
    CHECK(usage.ru_utime.tv_sec || usage.ru_utime.tv_usec >= 20000);
    CHECK(usage.ru_maxrss >= 8 << 10);
    CHECK(getrusage(RUSAGE_CHILDREN, &after) == 0);
    struct timeval used;
    timersub(&after.ru_utime, &before.ru_utime, &used);
    CHECK(used.tv_sec || used.tv_usec >= 20000);
    CHECK(after.ru_maxrss >= 8 << 10);
    CHECK_ERRNO(getrusage(77, &after), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrusage, RUSAGE_SELF, (void *)8), EFAULT);
}

/* ---- signals ---- */

static void test_interrupted(void)
{
    struct sigaction sa = {.sa_handler = nothing};
    struct itimerval every = {{0, 5000}, {0, 5000}}, off = {{0, 0}, {0, 0}};
    int tell, status;
    siginfo_t info;
    pid_t pid = child(&tell);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    CHECK_ERRNO(waitpid(pid, &status, 0), EINTR);
    CHECK_ERRNO(waitid(P_PID, (id_t)pid, &info, WEXITED), EINTR);
    sa.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &sa, NULL);
    pid_t other = fork();
    if (other == 0) { /* after some signals */
        sleep_ms(30);
        end(tell, 6);
        _exit(0);
    }
    close(tell);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 6);
    setitimer(ITIMER_REAL, &off, NULL);
    CHECK(waitpid(other, &status, 0) == other && status == 0);
}

/* With SIGCHLD ignored, or SA_NOCLDWAIT, there is nothing to wait for; but waiting lasts. */
static void test_no_zombies(void)
{
    struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_NOCLDWAIT}, old;
    int status, tell;
    signal(SIGCHLD, SIG_IGN);
    pid_t pid = child(&tell);
    end(tell, 1);
    CHECK_ERRNO(wait(&status), ECHILD);
    CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
    sigaction(SIGCHLD, &sa, &old);
    pid = child(&tell);
    end(tell, 1);
    for (;;) { /* a handler may interrupt it: then it is asked again */
        errno = 0;
        if (waitpid(pid, &status, 0) == -1 && errno == ECHILD)
            break;
        CHECK(errno == EINTR);
    }
    signal(SIGCHLD, SIG_DFL);
    pid = child(&tell);
    end(tell, 7);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
}

static volatile siginfo_t seen;

static void on_child(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGCHLD);
    memcpy((void *)&seen, info, sizeof seen);
}

static void test_sigchld(void)
{
    struct sigaction sa = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO};
    sigset_t block, old;
    int tell, status;
    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    sigprocmask(SIG_BLOCK, &block, &old);
    sigaction(SIGCHLD, &sa, NULL);
    pid_t pid = child(&tell);
    end(tell, 42);
    while (seen.si_pid != pid)
        sigsuspend(&old);
    check_info((const siginfo_t *)&seen, pid, CLD_EXITED, 42);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 42);
    pid = child(&tell);
    kill(pid, SIGSTOP);
    while (seen.si_pid != pid)
        sigsuspend(&old);
    check_info((const siginfo_t *)&seen, pid, CLD_STOPPED, SIGSTOP);
    seen.si_pid = 0;
    kill(pid, SIGCONT);
    while (seen.si_pid != pid)
        sigsuspend(&old);
    check_info((const siginfo_t *)&seen, pid, CLD_CONTINUED, SIGCONT);
    seen.si_pid = 0;
    kill(pid, SIGKILL);
    while (seen.si_pid != pid)
        sigsuspend(&old);
    check_info((const siginfo_t *)&seen, pid, CLD_KILLED, SIGKILL);
    CHECK(waitpid(pid, &status, 0) == pid);
    close(tell);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

/* ---- threads ---- */

static void *makes_child(void *tell)
{
    return (void *)(long)child(tell);
}

static void *waits(void *pid)
{
    int status;
    CHECK(waitpid((pid_t)(long)pid, &status, 0) == (pid_t)(long)pid);
    return (void *)(long)WEXITSTATUS(status);
}

/* Children belong to the process; a thread that has gone takes none along. */
static void test_threads(void)
{
    pthread_t t;
    void *result;
    int tell;
    CHECK0(pthread_create(&t, NULL, makes_child, &tell));
    CHECK0(pthread_join(t, &result));
    pid_t pid = (pid_t)(long)result;
    CHECK0(pthread_create(&t, NULL, waits, (void *)(long)pid));
    end(tell, 9);
    CHECK0(pthread_join(t, &result));
    CHECK((long)result == 9);
}

/* Orphans go to whoever has asked for them. */
static void test_subreaper(void)
{
    int status, p[2], until[2], asked = 0;
    pid_t grandchild;
    CHECK(pipe(p) == 0 && pipe(until) == 0);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    CHECK(prctl(PR_GET_CHILD_SUBREAPER, &asked) == 0 && asked == 1);
    pid_t pid = fork();
    if (pid == 0) {
        if ((grandchild = fork()) == 0) {
            char c;
            close(until[1]);
            CHECK(read(until[0], &c, 1) == 0); /* until its parent has gone and was waited for */
            _exit(getppid() & 0x7f);
        }
        CHECK(write(p[1], &grandchild, sizeof grandchild) == sizeof grandchild);
        _exit(0);
    }
    CHECK(read(p[0], &grandchild, sizeof grandchild) == sizeof grandchild);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    close(until[1]);
    CHECK(waitpid(grandchild, &status, 0) == grandchild);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (getpid() & 0x7f));
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
    close(p[0]), close(p[1]), close(until[0]);
}

int main(void)
{
    signal(SIGCHLD, SIG_DFL);
    test_errors();
    test_status();
    test_stops();
    test_selection();
    test_not_mine();
    test_usage();
    test_interrupted();
    test_no_zombies();
    test_sigchld();
    test_threads();
    test_subreaper();
    puts("ok");
    return 0;
}
