/* SPDX-License-Identifier: MIT */
/* Futexes that know their owner, as pthread mutexes with PTHREAD_PRIO_INHERIT use them: futex(2).
 */
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOCK_PI    6
#define UNLOCK_PI  7
#define TRYLOCK_PI 8
#define PRIVATE    128
#define WAITERS    0x80000000u

static _Atomic uint32_t word;

/* 0, or the error */
static int futex(void *at, int operation, const struct timespec *until)
{
    return syscall(SYS_futex, at, operation | PRIVATE, 0, until, NULL, 0) < 0 ? errno : 0;
}

static uint32_t self(void)
{
    return (uint32_t)gettid();
}

static void *hold(void *argument)
{
    pthread_barrier_t *step = argument;
    CHECK(futex(&word, LOCK_PI, NULL) == 0);
    pthread_barrier_wait(step);
    pthread_barrier_wait(step);
    CHECK((word & ~WAITERS) == self());
    CHECK(futex(&word, UNLOCK_PI, NULL) == 0);
    return NULL;
}

static void test_errors(void)
{
    struct timespec soon;
    pthread_barrier_t step;
    pthread_t thread;
    void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(nowhere != MAP_FAILED);
    CHECK(futex(nowhere, LOCK_PI, NULL) == EFAULT);
    CHECK(futex((char *)&word + 1, LOCK_PI, NULL) == EINVAL);
    CHECK(futex(&word, UNLOCK_PI, NULL) == EPERM);
    CHECK(futex(&word, LOCK_PI, NULL) == 0 && word == self());
    CHECK(futex(&word, LOCK_PI, NULL) == EDEADLK);
    CHECK(futex(&word, UNLOCK_PI, NULL) == 0 && word == 0);

    CHECK(pthread_barrier_init(&step, NULL, 2) == 0);
    CHECK0(pthread_create(&thread, NULL, hold, &step));
    pthread_barrier_wait(&step);
    CHECK(futex(&word, TRYLOCK_PI, NULL) == EAGAIN);
    CHECK(futex(&word, UNLOCK_PI, NULL) == EPERM);
    CHECK(clock_gettime(CLOCK_REALTIME, &soon) == 0);
    soon.tv_nsec += 20000000;
    soon.tv_sec += soon.tv_nsec / 1000000000;
    soon.tv_nsec %= 1000000000;
    CHECK(futex(&word, LOCK_PI, &soon) == ETIMEDOUT);
    pthread_barrier_wait(&step);
    CHECK0(pthread_join(thread, NULL));
    CHECK(word == 0);
}

static void *die_with_it(void *argument)
{
    (void)argument;
    CHECK(futex(&word, LOCK_PI, NULL) == 0);
    return NULL;
}

/* Without robust futexes nobody notices but who wants it. */
static void test_death(void)
{
    pthread_t thread;
    CHECK0(pthread_create(&thread, NULL, die_with_it, NULL));
    CHECK0(pthread_join(thread, NULL));
    CHECK(word);
    while (futex(&word, TRYLOCK_PI, NULL) == EAGAIN)
        sched_yield(); /* pthread_join() returns a little before the thread is gone */
    CHECK(futex(&word, LOCK_PI, NULL) == ESRCH);
    word = 0;
}

static void *hold_briefly(void *argument)
{
    (void)argument;
    CHECK(futex(&word, LOCK_PI, NULL) == 0);
    CHECK(futex(&word, UNLOCK_PI, NULL) == 0);
    return NULL;
}

static atomic_bool over;

static void *want_it(void *argument)
{
    (void)argument;
    while (!over) {
        CHECK(futex(&word, LOCK_PI, NULL) == 0);
        CHECK(futex(&word, UNLOCK_PI, NULL) == 0);
    }
    return NULL;
}

/* Owners that unlock and end: who was about to wait for one gets the lock. */
static void test_short_lives(void)
{
    pthread_t user[3];
    for (int i = 0; i < 3; i++)
        CHECK0(pthread_create(&user[i], NULL, want_it, NULL));
    for (int i = 0; i < 3000; i++) {
        pthread_t thread;
        CHECK0(pthread_create(&thread, NULL, hold_briefly, NULL));
        CHECK0(pthread_join(thread, NULL));
    }
    over = true;
    for (int i = 0; i < 3; i++)
        CHECK0(pthread_join(user[i], NULL));
    CHECK(word == 0);
}

int main(void)
{
    test_errors();
    test_death();
    test_short_lives();
    puts("ok");
    return 0;
}
