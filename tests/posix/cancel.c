/* SPDX-License-Identifier: MIT */
/*
 * Cancellation: of calls that wait, of calls that finished just in time, of loops, with clean-up in
 * order.
 */
#include "check.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static atomic_int cleaned, ready;

static void clean(void *argument)
{
    atomic_fetch_add(&cleaned, (int)(intptr_t)argument);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;

static void unlock(void *m)
{
    CHECK0(pthread_mutex_unlock(m));
}

static void *in_sleep(void *argument)
{
    pthread_cleanup_push(clean, (void *)1);
    atomic_fetch_add(&ready, 1);
    for (;;)
        sleep(100);
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_nanosleep(void *argument)
{
    struct timespec t = {1000, 0};
    pthread_cleanup_push(clean, (void *)1);
    atomic_fetch_add(&ready, 1);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    FAILED("the sleep ended");
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_condition(void *argument)
{
    CHECK0(pthread_mutex_lock(&lock));
    pthread_cleanup_push(unlock, &lock);
    pthread_cleanup_push(clean, (void *)1);
    atomic_fetch_add(&ready, 1);
    for (;;)
        CHECK0(pthread_cond_wait(&condition, &lock));
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_semaphore(void *argument)
{
    pthread_cleanup_push(clean, (void *)1);
    atomic_fetch_add(&ready, 1);
    for (;;)
        sem_wait(&semaphore);
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_sigwait(void *argument)
{
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_cleanup_push(clean, (void *)1);
    atomic_fetch_add(&ready, 1);
    for (;;)
        sigwaitinfo(&set, &info);
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_pause(void *argument)
{
    pthread_cleanup_push(clean, (void *)1);
    atomic_fetch_add(&ready, 1);
    for (;;)
        pause();
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_join(void *argument)
{
    pthread_t other;
    pthread_create(&other, NULL, in_sleep, NULL);
    pthread_cleanup_push(clean, (void *)1);
    pthread_join(other, NULL);
    pthread_cleanup_pop(0);
    (void)argument;
    return NULL;
}

static void *in_loop(void *argument)
{
    int old;
    CHECK0(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old));
    pthread_cleanup_push(clean, (void *)1);
    atomic_fetch_add(&ready, 1);
    for (volatile unsigned long i = 0;; i++)
        ;
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_testcancel(void *argument)
{
    pthread_cleanup_push(clean, (void *)1);
    atomic_fetch_add(&ready, 1);
    for (;;)
        pthread_testcancel();
    pthread_cleanup_pop(0);
    return argument;
}

static void *disabled(void *argument)
{
    int old;
    CHECK0(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
    atomic_fetch_add(&ready, 1);
    for (int i = 0; i < 5; i++)
        sleep_ms(5);
    CHECK0(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old));
    pthread_cleanup_push(clean, (void *)1);
    sleep_ms(100000);
    pthread_cleanup_pop(0);
    return argument;
}

static void cancel_one(void *(*body)(void *), int pause_ms)
{
    pthread_t t;
    void *result;
    int before = atomic_load(&ready), clean_before = atomic_load(&cleaned);
    CHECK0(pthread_create(&t, NULL, body, NULL));
    while (atomic_load(&ready) == before)
        sched_yield();
    if (pause_ms)
        sleep_ms(pause_ms);
    CHECK0(pthread_cancel(t));
    CHECK0(pthread_join(t, &result));
    CHECK(result == PTHREAD_CANCELED);
    CHECK(atomic_load(&cleaned) == clean_before + 1);
}

/* ---- a read that was cancelled has lost no byte: here with a semaphore, whose post counts ---- */

static atomic_long taken;

static void *taker(void *argument)
{
    for (;;) {
        if (sem_wait(&semaphore) == 0)
            atomic_fetch_add(&taken, 1);
    }
    return argument;
}

static void test_no_loss(void)
{
    long posted = 0;
    atomic_store(&taken, 0);
    for (int round = 0; round < 200; round++) {
        pthread_t t;
        CHECK0(pthread_create(&t, NULL, taker, NULL));
        for (int i = 0; i < 3; i++, posted++)
            sem_post(&semaphore);
        if (round % 3 == 0)
            sched_yield();
        CHECK0(pthread_cancel(t));
        CHECK0(pthread_join(t, NULL));
    }
    while (sem_trywait(&semaphore) == 0)
        atomic_fetch_add(&taken, 1);
    CHECK(atomic_load(&taken) == posted);
}

int main(void)
{
    void *(*const bodies[])(void *) = {in_sleep,      in_nanosleep, in_condition, in_semaphore,
                                       in_sigwait,    in_pause,     in_join,      in_loop,
                                       in_testcancel, disabled};
    CHECK(sem_init(&semaphore, 0, 0) == 0);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cancel_one(bodies[i], 10);
        for (int round = 0; round < 20; round++)
            cancel_one(bodies[i], 0);
    }
    test_no_loss();
    return 0;
}
