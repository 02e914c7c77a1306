/* SPDX-License-Identifier: MIT */
/*
 * membarrier(2): what is registered first, and that a light reader and a heavy writer agree, in one
 * process and in two that share memory. The reader has no barrier of its own: the writer's call is
 * one for both.
 */
#include "child.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum {
    QUERY = 0,
    GLOBAL = 1,
    GLOBAL_EXPEDITED = 2,
    REGISTER_GLOBAL = 4,
    PRIVATE = 8,
    REGISTER_PRIVATE = 16,
    PRIVATE_CORE = 32,
    REGISTER_CORE = 64,
    REGISTRATIONS = 512
};

static int barrier(int command)
{
    return (int)syscall(SYS_membarrier, command, 0, 0);
}

static void test_commands(void)
{
    int has = barrier(QUERY);
    const int ours = GLOBAL | GLOBAL_EXPEDITED | REGISTER_GLOBAL | PRIVATE | REGISTER_PRIVATE |
                     PRIVATE_CORE | REGISTER_CORE;
    CHECK((has & ours) == ours);
    CHECK_ERRNO(syscall(SYS_membarrier, QUERY, 1, 0), EINVAL);
    CHECK_ERRNO(barrier(3), EINVAL);
    CHECK_ERRNO(barrier(1 << 20), EINVAL);
    CHECK_ERRNO(barrier(PRIVATE), EPERM);
    CHECK_ERRNO(barrier(PRIVATE_CORE), EPERM);
    CHECK(!(has & REGISTRATIONS) || barrier(REGISTRATIONS) == 0);
    CHECK(barrier(GLOBAL_EXPEDITED) == 0);
    CHECK(barrier(REGISTER_PRIVATE) == 0 && barrier(PRIVATE) == 0);
    CHECK_ERRNO(barrier(PRIVATE_CORE), EPERM);
    CHECK(barrier(REGISTER_CORE) == 0 && barrier(PRIVATE_CORE) == 0);
    CHECK(barrier(REGISTER_GLOBAL) == 0 && barrier(GLOBAL) == 0);
    CHECK(!(has & REGISTRATIONS) ||
          barrier(REGISTRATIONS) == (REGISTER_PRIVATE | REGISTER_CORE | REGISTER_GLOBAL));
    pid_t child = fork();
    if (!child)
        _exit(barrier(PRIVATE) ? 1 : 42); /* a fork keeps what is registered */
    int status;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 42);
}

static void test_affinity(void)
{
    cpu_set_t before, one, after;
    CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0 && barrier(GLOBAL) == 0);
    CHECK(sched_getaffinity(0, sizeof after, &after) == 0 && CPU_EQUAL(&after, &one));
    CHECK(sched_setaffinity(0, sizeof before, &before) == 0);
}

/* Each says that it is coming, and looks whether the other is: one of them must see the other. */
static struct shared {
    volatile int round, reader, writer, seen_by_reader, done;
} * shared;

static void *reads(void *unused)
{
    for (int round = 1; round <= shared->done; round++) {
        while (shared->round < round)
            sched_yield();
        shared->reader = round;
        __asm__ volatile("" : : : "memory");
        shared->seen_by_reader = shared->writer == round ? round : -round;
        while (shared->round == round && round < shared->done)
            sched_yield();
    }
    return unused;
}

static void writes(int command, int rounds)
{
    for (int round = 1; round <= rounds; round++) {
        shared->round = round;
        shared->writer = round;
        CHECK(barrier(command) == 0);
        bool seen = shared->reader == round;
        while (shared->seen_by_reader != round && shared->seen_by_reader != -round)
            sched_yield();
        CHECK(seen || shared->seen_by_reader == round);
    }
}

static void test_two(int command, int rounds, bool processes)
{
    pthread_t thread;
    pid_t child = 0;
    *shared = (struct shared){.done = rounds};
    if (processes && !(child = fork())) {
        barrier(REGISTER_GLOBAL);
        reads(NULL);
        _exit(0);
    }
    if (!processes)
        CHECK0(pthread_create(&thread, NULL, reads, NULL));
    writes(command, rounds);
    if (processes)
        CHECK(waitpid(child, NULL, 0) == child);
    else
        CHECK0(pthread_join(thread, NULL));
}

int main(void)
{
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    test_commands();
    test_affinity();
    test_two(PRIVATE, 500, false);
    test_two(PRIVATE_CORE, 200, false);
    test_two(GLOBAL_EXPEDITED, 100, true);
    test_two(GLOBAL, 20, true);
    return 0;
}
