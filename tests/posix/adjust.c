/* SPDX-License-Identifier: MIT */
/*
 * setpriority(2), sched_setaffinity(2), sched_setscheduler(2) and prlimit(2), of other processes:
 * what is set is seen by everybody, the process itself included, and not everybody may.
 */
#include "check.h"
#include "child.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* The calls themselves: musl's functions only say ENOSYS. */
#define sched_getscheduler(pid)    (int)syscall(SYS_sched_getscheduler, pid)
#define sched_getparam(pid, param) (int)syscall(SYS_sched_getparam, pid, param)
#define sched_setscheduler(pid, policy, param) \
    (int)syscall(SYS_sched_setscheduler, pid, policy, param)

static int commands[2], answers[2];

/* What the child says of itself; 'q': it ends. */
struct state {
    int nice, policy, priority;
    long cpus;
    struct rlimit files;
};

static struct state own_state(void)
{
    struct state s = {.nice = getpriority(PRIO_PROCESS, 0), .policy = sched_getscheduler(0)};
    struct sched_param p;
    cpu_set_t set;
    CHECK(sched_getparam(0, &p) == 0 && sched_getaffinity(0, sizeof set, &set) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &s.files) == 0);
    s.priority = p.sched_priority;
    s.cpus = CPU_COUNT(&set);
    return s;
}

static pid_t start(uid_t uid)
{
    CHECK(pipe(commands) == 0 && pipe(answers) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid)
        return pid;
    if (uid)
        CHECK(setgid(uid) == 0 && setuid(uid) == 0);
    CHECK(setpgid(0, 0) == 0);
    for (char c = 'x'; c != 'q';) {
        struct state s = own_state();
        CHECK(write(answers[1], &s, sizeof s) == sizeof s);
        CHECK(read(commands[0], &c, 1) == 1);
    }
    _exit(0);
}

static struct state told(int ask)
{
    struct state s;
    if (ask)
        CHECK(write(commands[1], "?", 1) == 1);
    CHECK(read(answers[0], &s, sizeof s) == sizeof s);
    return s;
}

static void end(pid_t pid)
{
    CHECK(write(commands[1], "q", 1) == 1);
    finish(pid);
    close(commands[0]), close(commands[1]), close(answers[0]), close(answers[1]);
}

static void test_nice(pid_t pid)
{
    CHECK(getpriority(PRIO_PROCESS, (id_t)pid) == 0);
    CHECK(setpriority(PRIO_PROCESS, (id_t)pid, 5) == 0);
    CHECK(getpriority(PRIO_PROCESS, (id_t)pid) == 5 && told(1).nice == 5);
    CHECK(setpriority(PRIO_PROCESS, (id_t)pid, 100) == 0 && told(1).nice == 19);
    CHECK(setpriority(PRIO_PGRP, (id_t)pid, 7) == 0);
    CHECK(getpriority(PRIO_PGRP, (id_t)pid) == 7 && told(1).nice == 7);
    CHECK(getpriority(PRIO_PROCESS, 0) == 0);
    if (geteuid() == 0) {
        CHECK(setpriority(PRIO_PROCESS, (id_t)pid, -3) == 0 && told(1).nice == -3);
        errno = 0;
        CHECK(getpriority(PRIO_PROCESS, (id_t)pid) == -3 && errno == 0);
        CHECK(setpriority(PRIO_PROCESS, (id_t)pid, 0) == 0);
    }
    CHECK_ERRNO(getpriority(3, 0), EINVAL);
    CHECK_ERRNO(setpriority(-1, 0, 0), EINVAL);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0x3ffffff, 0), ESRCH);
    CHECK_ERRNO(getpriority(PRIO_PROCESS, 0x3ffffff), ESRCH);
    CHECK_ERRNO(getpriority(PRIO_PGRP, 0x3ffffff), ESRCH);
    CHECK_ERRNO(setpriority(PRIO_USER, 54321, 0), ESRCH);
}

static void test_affinity(pid_t pid)
{
    cpu_set_t all, one, now;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    CHECK(sched_getaffinity(pid, sizeof now, &now) == 0 && CPU_EQUAL(&all, &now));
    CPU_ZERO(&one);
    for (int cpu = 0; !CPU_COUNT(&one); cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    CHECK(sched_setaffinity(pid, sizeof one, &one) == 0);
    CHECK(sched_getaffinity(pid, sizeof now, &now) == 0 && CPU_EQUAL(&one, &now));
    CHECK(told(1).cpus == 1 && own_state().cpus == CPU_COUNT(&all));
    CHECK(sched_setaffinity(pid, sizeof all, &all) == 0);
    CPU_ZERO(&one);
    CHECK_ERRNO(sched_setaffinity(pid, sizeof one, &one), EINVAL);
    CHECK_ERRNO(sched_setaffinity(0x3ffffff, sizeof all, &all), ESRCH);
    CHECK_ERRNO(sched_getaffinity(0x3ffffff, sizeof all, &all), ESRCH);
    CHECK_ERRNO(sched_getaffinity(-1, sizeof all, &all), ESRCH);
}

static void test_policy(pid_t pid)
{
    struct sched_param p = {0};
    CHECK(sched_getscheduler(pid) == SCHED_OTHER);
    CHECK(sched_setscheduler(pid, SCHED_BATCH, &p) == 0 && sched_getscheduler(pid) == SCHED_BATCH);
    CHECK(sched_setscheduler(pid, SCHED_OTHER, &p) == 0);
    CHECK(sched_getparam(pid, &p) == 0 && p.sched_priority == 0);
    CHECK_ERRNO(sched_getscheduler(0x3ffffff), ESRCH);
    CHECK_ERRNO(sched_getscheduler(-1), EINVAL);
    CHECK_ERRNO(sched_getparam(-1, &p), EINVAL);
    CHECK_ERRNO(sched_setscheduler(-1, SCHED_OTHER, &p), EINVAL);
    CHECK_ERRNO(sched_setscheduler(0x3ffffff, SCHED_OTHER, &p), ESRCH);
}

static void test_limits(pid_t pid)
{
    struct rlimit old, limit, now = told(1).files;
    CHECK(prlimit(pid, RLIMIT_NOFILE, NULL, &old) == 0);
    CHECK(old.rlim_cur == now.rlim_cur && old.rlim_max == now.rlim_max);
    limit = (struct rlimit){60, old.rlim_max};
    CHECK(prlimit(pid, RLIMIT_NOFILE, &limit, &now) == 0 && now.rlim_cur == old.rlim_cur);
    CHECK(told(1).files.rlim_cur == 60 && own_state().files.rlim_cur != 60);
    limit.rlim_max = 50;
    CHECK_ERRNO(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), EINVAL);
    CHECK_ERRNO(prlimit(pid, 99, NULL, &now), EINVAL);
    CHECK_ERRNO(prlimit(0x3ffffff, RLIMIT_NOFILE, NULL, &now), ESRCH);
}

/* Another user may look at some, and change nothing. */
static void test_rights(void)
{
    if (geteuid())
        return;
    pid_t pid = start(1001);
    told(0);
    IN_CHILD(CHECK(setgid(1000) == 0 && setuid(1000) == 0); struct rlimit limit; cpu_set_t set;
             CHECK(sched_getaffinity(pid, sizeof set, &set) == 0);
             CHECK(getpriority(PRIO_PROCESS, (id_t)pid) == 0);
             CHECK_ERRNO(setpriority(PRIO_PROCESS, (id_t)pid, 5), EPERM);
             CHECK_ERRNO(sched_setaffinity(pid, sizeof set, &set), EPERM);
             CHECK_ERRNO(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), EPERM));
    /* its own, but not back, nor above the hard limit */
    IN_CHILD(CHECK(setgid(1001) == 0 && setuid(1001) == 0); struct rlimit limit;
             CHECK(setpriority(PRIO_PROCESS, (id_t)pid, 5) == 0);
             CHECK_ERRNO(setpriority(PRIO_PROCESS, (id_t)pid, 3), EACCES);
             CHECK(prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0); limit.rlim_max++;
             CHECK_ERRNO(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), EPERM));
    CHECK(told(1).nice == 5);
    end(pid);
}

/*
 * What a child sets of itself is not its parent's, though one of vfork() runs in its memory and its
 * time; and the program that it executes has it.
 */
static void test_children(void)
{
    struct state before = own_state();
    cpu_set_t all, one;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    CPU_ZERO(&one);
    for (int cpu = 0; !CPU_COUNT(&one); cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    char nice[12];
    snprintf(nice, sizeof nice, "%d", before.nice + 5);
    char *const arguments[] = {(char[]){"adjust"}, nice, NULL};
    struct sched_param p = {0};
    for (int way = 0; way < 4; way++) {
        pid_t pid = way & 2 ? fork() : vfork();
        CHECK(pid >= 0);
        if (!pid) {
            if (setpriority(PRIO_PROCESS, 0, before.nice + 5) ||
                sched_setaffinity(0, sizeof one, &one) || sched_setscheduler(0, SCHED_BATCH, &p))
                _exit(2);
            if (way & 1)
                execv("/proc/self/exe", arguments);
            _exit(way & 1);
        }
        finish(pid);
        struct state after = own_state();
        CHECK(after.nice == before.nice && after.cpus == before.cpus &&
              after.policy == before.policy);
    }
    /* and one that sets nothing changes nothing, whatever those before it have set */
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    pid_t pid = vfork();
    CHECK(pid >= 0);
    if (!pid)
        _exit(0);
    finish(pid);
    CHECK(own_state().cpus == 1);
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) { /* as test_children() executes it */
        struct state s = own_state();
        return s.nice == atoi(argv[1]) && s.cpus == 1 && s.policy == SCHED_BATCH ? 0 : 3;
    }
    test_children();
    pid_t pid = start(0);
    told(0);
    test_nice(pid);
    test_affinity(pid);
    test_policy(pid);
    test_limits(pid);
    end(pid);
    test_rights();
    puts("ok");
    return 0;
}
