/* SPDX-License-Identifier: MIT */
/*
 * No signal is lost: queued ones in every direction between threads that compute, call, sleep, wait
 * on locks, block and unblock; and to a process whose threads come and go. Counts must agree to the
 * last one.
 */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define THREADS 6
#define EACH    2000

static atomic_int received[THREADS], to_process, tid[THREADS], finished;
static _Thread_local int self = -1;
static pthread_barrier_t barrier;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void count_thread(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    CHECK(info->si_code == SI_QUEUE && info->si_value.sival_int == self);
    atomic_fetch_add(&received[self], 1);
}

static void count_process(int sig)
{
    (void)sig;
    atomic_fetch_add(&to_process, 1);
}

static void send(int to)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGRTMIN + 4;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = to;
    while (syscall(SYS_rt_tgsigqueueinfo, getpid(), atomic_load(&tid[to]), info.si_signo, &info) <
           0) {
        CHECK(errno == EAGAIN);
        sched_yield();
    }
}

static void *storm(void *argument)
{
    sigset_t set;
    self = (int)(intptr_t)argument;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 4);
    atomic_store(&tid[self], (int)syscall(SYS_gettid));
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < EACH; i++) {
        send((self + 1 + i % (THREADS - 1)) % THREADS);
        switch (i % 7) {
        case 0:
            sched_yield();
            break;
        case 1:
            pthread_sigmask(SIG_BLOCK, &set, NULL);
            for (volatile int k = 0; k < 100; k++)
                ;
            pthread_sigmask(SIG_UNBLOCK, &set, NULL);
            break;
        case 2: {
            struct timespec t = {0, 1000};
            nanosleep(&t, NULL);
            break;
        }
        case 3:
            pthread_mutex_lock(&lock);
            sched_yield();
            pthread_mutex_unlock(&lock);
            break;
        case 4:
            syscall(SYS_getpid);
            break;
        default:
            for (volatile int k = 0; k < 300; k++)
                ;
        }
    }
    atomic_fetch_add(&finished, 1);
    double limit = seconds_now() + 60;
    while (atomic_load(&finished) < THREADS || atomic_load(&received[self]) < EACH) {
        sleep_ms(1);
        CHECK(seconds_now() < limit);
    }
    return NULL;
}

static void *short_life(void *argument)
{
    for (volatile int k = 0; k < 2000; k++)
        ;
    return argument;
}

/* Process signals while the threads that could take them end one after the other. */
static void test_retarget(void)
{
    sigset_t set;
    int sent = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 5);
    for (int round = 0; round < 300; round++) {
        pthread_t t[3];
        for (int i = 0; i < 3; i++)
            CHECK0(pthread_create(&t[i], NULL, short_life, NULL));
        if (round % 2)
            pthread_sigmask(SIG_BLOCK, &set, NULL); /* only the short ones take them */
        for (int i = 0; i < 10; i++, sent++) {
            while (sigqueue(getpid(), SIGRTMIN + 5, (union sigval){0}) < 0) {
                CHECK(errno == EAGAIN);
                sched_yield();
            }
        }
        for (int i = 0; i < 3; i++)
            CHECK0(pthread_join(t[i], NULL));
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    CHECK(atomic_load(&to_process) == sent);
}

int main(void)
{
    pthread_t t[THREADS];
    struct sigaction a = {.sa_sigaction = count_thread, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction b = {.sa_handler = count_process, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGRTMIN + 4, &a, NULL) == 0);
    CHECK(sigaction(SIGRTMIN + 5, &b, NULL) == 0);
    CHECK0(pthread_barrier_init(&barrier, NULL, THREADS));
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK0(pthread_create(&t[i], NULL, storm, (void *)i));
    for (int i = 0; i < THREADS; i++)
        CHECK0(pthread_join(t[i], NULL));
    for (int i = 0; i < THREADS; i++)
        CHECK(atomic_load(&received[i]) == EACH);
    test_retarget();
    return 0;
}
