/* SPDX-License-Identifier: MIT */
/* Processes, threads, signals, time. */
#include "calls.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

char *const calls_exit_argv[] = {"/usr/bin/calls", "exit", NULL};
static char *const no_environment[] = {NULL};

static void run_getppid(uint64_t n)
{
    while (n--)
        syscall(SYS_getppid);
}

static void run_clock(uint64_t n)
{
    struct timespec t;
    while (n--)
        clock_gettime(CLOCK_MONOTONIC, &t);
}

/*
 * Thread switch: two threads hand a turn to each other through two futex words: a round trip is two
 * wakes and two sleeps. Turn 0 is the end.
 */
static uint32_t turn[2];
static uint32_t turns;

static void futex_sleep_while(uint32_t *word, uint32_t value)
{
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
        syscall(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void futex_give(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

static void *futex_partner(void *unused)
{
    uint32_t seen = 1;
    for (;;) {
        futex_sleep_while(&turn[0], seen);
        seen = __atomic_load_n(&turn[0], __ATOMIC_ACQUIRE);
        if (seen == 0)
            return unused;
        futex_give(&turn[1], seen);
    }
}

static void setup_futex(void)
{
    turn[0] = turn[1] = turns = 1;
    thread_begin(futex_partner, NULL);
}

static void run_futex(uint64_t n)
{
    while (n--) {
        futex_give(&turn[0], ++turns);
        futex_sleep_while(&turn[1], turns - 1);
    }
}

static void teardown_futex(void)
{
    futex_give(&turn[0], 0);
    thread_end();
}

static void *thread_nothing(void *unused)
{
    return unused;
}

static void run_thread(uint64_t n)
{
    while (n--) {
        thread_begin(thread_nothing, NULL);
        thread_end();
    }
}

static void wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            fail("waitpid");
    if (status) {
        errno = ECHILD;
        fail("the child failed");
    }
}

static void run_fork(uint64_t n)
{
    while (n--) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        wait_for(must(pid, "fork"));
    }
}

/* The same with 64 MiB of memory in use. */
#define FORK_BYTES (64ul << 20)
static char *fork_memory;

static void setup_fork_64m(void)
{
    fork_memory =
        mmap(NULL, FORK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fork_memory == MAP_FAILED)
        fail("mmap");
    for (size_t i = 0; i < FORK_BYTES; i += 4096)
        fork_memory[i] = 1;
}

static void teardown_fork_64m(void)
{
    munmap(fork_memory, FORK_BYTES);
}

static void run_fork_exec(uint64_t n)
{
    while (n--) {
        pid_t pid = fork();
        if (pid == 0) {
            execve(calls_exit_argv[0], calls_exit_argv, no_environment);
            _exit(127);
        }
        wait_for(must(pid, "fork"));
    }
}

static void run_spawn(uint64_t n)
{
    while (n--) {
        pid_t pid;
        errno = posix_spawn(&pid, calls_exit_argv[0], NULL, NULL, calls_exit_argv, no_environment);
        if (errno)
            fail("posix_spawn");
        wait_for(pid);
    }
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

static void setup_signal(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    must(sigaction(SIGUSR1, &action, NULL), "sigaction");
}

static void run_signal(uint64_t n)
{
    while (n--)
        must(raise(SIGUSR1), "raise");
}

const struct row process_rows[] = {
    {"getppid", NULL, run_getppid, NULL, 0},
    {"clock_gettime", NULL, run_clock, NULL, 0},
    {"futex_switch", setup_futex, run_futex, teardown_futex, 0},
    {"thread_create_join", NULL, run_thread, NULL, 0},
    {"fork_wait", NULL, run_fork, NULL, 0},
    {"fork_64m_wait", setup_fork_64m, run_fork, teardown_fork_64m, 0},
    {"fork_exec_wait", NULL, run_fork_exec, NULL, 0},
    {"posix_spawn_wait", NULL, run_spawn, NULL, 0},
    {"signal_self", setup_signal, run_signal, NULL, 0},
    {0},
};
