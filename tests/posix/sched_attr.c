/* SPDX-License-Identifier: MIT */
/* sched_getattr(2) and sched_setattr(2), which libraries have no functions for. */
#include "child.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define NOBODY 65534

struct attributes { /* struct sched_attr */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t least, most;
    uint8_t later[72];
};
#define KNOWN 56u /* bytes: without what is later */

static long get(int pid, struct attributes *a, unsigned size, unsigned flags)
{
    return syscall(SYS_sched_getattr, pid, a, size, flags);
}

static long set(int pid, struct attributes *a)
{
    return syscall(SYS_sched_setattr, pid, a, 0u);
}

static long policy(void) /* musl's function is ENOSYS: it is not what POSIX wants */
{
    return syscall(SYS_sched_getscheduler, 0);
}

static void test_get(void)
{
    struct attributes a;
    memset(&a, 0xff, sizeof a);
    CHECK(get(0, &a, 48, 0) == 0 && a.size == 48 && a.policy == SCHED_OTHER && a.nice == 0);
    CHECK(a.priority == 0 && a.flags == 0 && a.least == UINT32_MAX);
    CHECK(get(getpid(), &a, sizeof a, 0) == 0 && a.size >= KNOWN && a.size <= sizeof a);
    CHECK_ERRNO(get(0, &a, 47, 0), EINVAL);
    CHECK_ERRNO(get(0, &a, 1 << 20, 0), EINVAL);
    CHECK_ERRNO(get(0, &a, 48, 1), EINVAL);
    CHECK_ERRNO(get(-1, &a, 48, 0), EINVAL);
    CHECK_ERRNO(get(0, NULL, 48, 0), EINVAL);
    CHECK_ERRNO(get(0, (void *)8, 48, 0), EFAULT);
    CHECK_ERRNO(get(gone_pid(), &a, 48, 0), ESRCH);
}

static void test_set(void)
{
    struct attributes a = {.size = KNOWN, .nice = 3}, b;
    struct sched_param p;
    CHECK(set(0, &a) == 0 && getpriority(PRIO_PROCESS, 0) == 3);
    CHECK(get(0, &b, KNOWN, 0) == 0 && b.policy == SCHED_OTHER && b.nice == 3);
    a = (struct attributes){.policy = SCHED_BATCH, .nice = 5}; /* size 0: the first version */
    CHECK(set(0, &a) == 0 && policy() == SCHED_BATCH);
    CHECK(get(0, &b, KNOWN, 0) == 0 && b.policy == SCHED_BATCH && b.nice == 5);
    a = (struct attributes){.size = 48, .flags = 8, .nice = 6}; /* KEEP_POLICY */
    CHECK(set(0, &a) == 0 && get(0, &b, 48, 0) == 0 && b.policy == SCHED_BATCH && b.nice == 6);
    CHECK_ERRNO(set(0, &(struct attributes){.size = 47}), E2BIG);
    a = (struct attributes){.size = 40};
    CHECK_ERRNO(set(0, &a), E2BIG);
    CHECK(a.size >= KNOWN);
    a = (struct attributes){.size = sizeof a, .nice = 6};
    CHECK(set(0, &a) == 0); /* what it does not know is 0 */
    a.later[71] = 1;
    CHECK_ERRNO(set(0, &a), E2BIG);
    CHECK_ERRNO(set(0, &(struct attributes){.size = 48, .policy = 77}), EINVAL);
    CHECK_ERRNO(set(0, &(struct attributes){.size = 48, .priority = 1}), EINVAL);
    CHECK_ERRNO(set(0, &(struct attributes){.size = 48, .policy = SCHED_FIFO}), EINVAL);
    CHECK_ERRNO(set(0, &(struct attributes){.size = 48, .flags = 1ull << 40}), EINVAL);
    CHECK_ERRNO(set(-1, &(struct attributes){.size = 48}), EINVAL);
    CHECK_ERRNO(set(gone_pid(), &(struct attributes){.size = 48}), ESRCH);
    CHECK_ERRNO(set(0, NULL), EINVAL);
    CHECK_ERRNO(set(0, (void *)8), EFAULT);
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &a, 1u), EINVAL);
    a = (struct attributes){.size = 48, .policy = SCHED_RR, .priority = 7};
    if (!may(CAP_SYS_NICE)) {
        CHECK_ERRNO(set(0, &a), EPERM);
        return;
    }
    CHECK(set(0, &a) == 0);
    CHECK(policy() == SCHED_RR && syscall(SYS_sched_getparam, 0, &p) == 0 && p.sched_priority == 7);
    CHECK(get(0, &b, KNOWN, 0) == 0 && b.policy == SCHED_RR && b.priority == 7 && b.nice == 0);
    a = (struct attributes){.size = 48, .nice = 6};
    CHECK(set(0, &a) == 0);
}

static void test_others(void)
{
    struct attributes a = {.size = 48, .nice = 9}, b;
    int ready[2];
    char byte;
    CHECK(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(read(ready[0], &byte, 1) == 1);
        CHECK(getpriority(PRIO_PROCESS, 0) == 9);
        _exit(0);
    }
    CHECK(set(pid, &a) == 0 && get(pid, &b, 48, 0) == 0 && b.nice == 9);
    CHECK(write(ready[1], "", 1) == 1);
    finish(pid);
    if (geteuid())
        return;
    CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    CHECK_ERRNO(set(0, &(struct attributes){.size = 48, .nice = 5}), EPERM);
    CHECK_ERRNO(set(0, &(struct attributes){.size = 48, .policy = SCHED_FIFO, .priority = 1}),
                EPERM);
    CHECK_ERRNO(set(1, &(struct attributes){.size = 48, .nice = 19}), EPERM);
    CHECK(set(0, &(struct attributes){.size = 48, .nice = 12}) == 0);
}

int main(void)
{
    test_get();
    test_set();
    test_others();
    return 0;
}
