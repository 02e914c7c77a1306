/* SPDX-License-Identifier: MIT */
/*
 * Threads under stress: a thousand at once, every kind of mutex, conditions, cancellation in each
 * way, thread-local data, timers, signals between threads, C11 threads, churn. Each part checks
 * totals that a lost wake-up, a lost signal or a torn update would change; a hang is caught by the
 * time limit of the driver.
 */
#include "check.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <threads.h>

#define MANY 1000

/*
 * ---- a thousand threads at once: stacks, TLS, keys with destructors, one mutex, one condition,
 * one barrier ----
 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_key_t key;
static unsigned arrived, serial_threads;
static atomic_uint destroyed;
static _Thread_local uint64_t local[4];

static void key_destroy(void *value)
{
    atomic_fetch_add(&destroyed, (unsigned)(uintptr_t)value != 0);
}

static void *one_of_many(void *argument)
{
    uintptr_t id = (uintptr_t)argument;
    char stack[8192];
    memset(stack, (int)id, sizeof stack);
    for (int i = 0; i < 4; i++)
        local[i] = id * 4 + (unsigned)i;
    CHECK0(pthread_setspecific(key, (void *)(id + 1)));
    CHECK0(pthread_mutex_lock(&lock));
    arrived++;
    if (arrived == MANY)
        CHECK0(pthread_cond_broadcast(&all_here));
    while (arrived < MANY)
        CHECK0(pthread_cond_wait(&all_here, &lock));
    CHECK0(pthread_mutex_unlock(&lock));
    int result = pthread_barrier_wait(&barrier);
    CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
    if (result) {
        pthread_mutex_lock(&lock);
        serial_threads++;
        pthread_mutex_unlock(&lock);
    }
    for (int i = 0; i < 4; i++)
        CHECK(local[i] == id * 4 + (unsigned)i);
    for (size_t i = 0; i < sizeof stack; i += 512)
        CHECK(stack[i] == (char)id);
    CHECK(pthread_getspecific(key) == (void *)(id + 1));
    return (void *)(id * 3);
}

static void test_many(void)
{
    static pthread_t thread[MANY];
    pthread_attr_t attributes;
    CHECK0(pthread_key_create(&key, key_destroy));
    CHECK0(pthread_barrier_init(&barrier, NULL, MANY));
    CHECK0(pthread_attr_init(&attributes));
    CHECK0(pthread_attr_setstacksize(&attributes, 64 * 1024));
    for (uintptr_t i = 0; i < MANY; i++)
        CHECK0(pthread_create(&thread[i], &attributes, one_of_many, (void *)i));
    for (uintptr_t i = 0; i < MANY; i++) {
        void *result;
        CHECK0(pthread_join(thread[i], &result));
        CHECK(result == (void *)(i * 3));
    }
    CHECK(serial_threads == 1);
    CHECK(atomic_load(&destroyed) == MANY);
    CHECK0(pthread_barrier_destroy(&barrier));
    CHECK0(pthread_key_delete(key));
    CHECK0(pthread_attr_destroy(&attributes));
}

/* ---- mutex kinds ---- */

static pthread_mutex_t kinds[5];
static unsigned long guarded[5];

static void mutex_make(pthread_mutex_t *m, int type, int protocol, int robust)
{
    pthread_mutexattr_t a;
    CHECK0(pthread_mutexattr_init(&a));
    CHECK0(pthread_mutexattr_settype(&a, type));
    CHECK0(pthread_mutexattr_setprotocol(&a, protocol));
    CHECK0(pthread_mutexattr_setrobust(&a, robust));
    CHECK0(pthread_mutex_init(m, &a));
    CHECK0(pthread_mutexattr_destroy(&a));
}

static void *mutex_user(void *argument)
{
    (void)argument;
    for (int round = 0; round < 2000; round++) {
        for (int k = 0; k < 5; k++) {
            CHECK0(pthread_mutex_lock(&kinds[k]));
            unsigned long seen = guarded[k];
            if (round % 64 == 0)
                sched_yield();
            guarded[k] = seen + 1;
            CHECK0(pthread_mutex_unlock(&kinds[k]));
        }
    }
    return NULL;
}

static void *robust_owner(void *m)
{
    CHECK0(pthread_mutex_lock(m));
    return NULL; /* dies holding it */
}

static void test_mutex_kinds(void)
{
    pthread_t thread[8];
    mutex_make(&kinds[0], PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
    mutex_make(&kinds[1], PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
    mutex_make(&kinds[2], PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
    mutex_make(&kinds[3], PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST);
    mutex_make(&kinds[4], PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
    for (int i = 0; i < 8; i++)
        CHECK0(pthread_create(&thread[i], NULL, mutex_user, NULL));
    for (int i = 0; i < 8; i++)
        CHECK0(pthread_join(thread[i], NULL));
    for (int k = 0; k < 5; k++)
        CHECK(guarded[k] == 16000);

    CHECK0(pthread_mutex_lock(&kinds[1]));
    CHECK0(pthread_mutex_lock(&kinds[1]));
    CHECK0(pthread_mutex_unlock(&kinds[1]));
    CHECK0(pthread_mutex_unlock(&kinds[1]));
    CHECK(pthread_mutex_unlock(&kinds[1]) == EPERM);
    CHECK0(pthread_mutex_lock(&kinds[2]));
    CHECK(pthread_mutex_lock(&kinds[2]) == EDEADLK);
    CHECK(pthread_mutex_trylock(&kinds[2]) == EBUSY);
    CHECK0(pthread_mutex_unlock(&kinds[2]));

    CHECK0(pthread_create(&thread[0], NULL, robust_owner, &kinds[3]));
    CHECK0(pthread_join(thread[0], NULL));
    CHECK(pthread_mutex_lock(&kinds[3]) == EOWNERDEAD);
    CHECK0(pthread_mutex_consistent(&kinds[3]));
    CHECK0(pthread_mutex_unlock(&kinds[3]));

    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    soon.tv_sec += soon.tv_nsec / 1000000000;
    soon.tv_nsec %= 1000000000;
    CHECK0(pthread_mutex_lock(&kinds[0]));
    CHECK(pthread_mutex_timedlock(&kinds[0], &soon) == ETIMEDOUT);
    CHECK0(pthread_mutex_unlock(&kinds[0]));
    for (int k = 0; k < 5; k++)
        CHECK0(pthread_mutex_destroy(&kinds[k]));
}

/* ---- a bounded queue between producers and consumers ---- */

#define ITEMS 20000u
static struct {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    unsigned slot[16], head, tail;
    uint64_t taken_sum;
    unsigned taken;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .not_empty = PTHREAD_COND_INITIALIZER,
           .not_full = PTHREAD_COND_INITIALIZER};

static void *producer(void *argument)
{
    for (unsigned i = (unsigned)(uintptr_t)argument; i < ITEMS; i += 4) {
        CHECK0(pthread_mutex_lock(&queue.lock));
        while (queue.head - queue.tail == 16)
            CHECK0(pthread_cond_wait(&queue.not_full, &queue.lock));
        queue.slot[queue.head++ % 16] = i;
        CHECK0(pthread_cond_signal(&queue.not_empty));
        CHECK0(pthread_mutex_unlock(&queue.lock));
    }
    return NULL;
}

static void *consumer(void *argument)
{
    (void)argument;
    CHECK0(pthread_mutex_lock(&queue.lock));
    while (queue.taken < ITEMS) {
        if (queue.head == queue.tail) {
            CHECK0(pthread_cond_wait(&queue.not_empty, &queue.lock));
            continue;
        }
        queue.taken_sum += queue.slot[queue.tail++ % 16];
        if (++queue.taken == ITEMS)
            CHECK0(pthread_cond_broadcast(&queue.not_empty));
        CHECK0(pthread_cond_signal(&queue.not_full));
    }
    CHECK0(pthread_mutex_unlock(&queue.lock));
    return NULL;
}

static void test_conditions(void)
{
    pthread_t thread[8];
    for (uintptr_t i = 0; i < 8; i++)
        CHECK0(pthread_create(&thread[i], NULL, i < 4 ? producer : consumer, (void *)i));
    for (int i = 0; i < 8; i++)
        CHECK0(pthread_join(thread[i], NULL));
    CHECK(queue.taken == ITEMS && queue.taken_sum == (uint64_t)ITEMS * (ITEMS - 1) / 2);

    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t c;
    pthread_condattr_t a;
    struct timespec t;
    CHECK0(pthread_condattr_init(&a));
    CHECK0(pthread_condattr_setclock(&a, CLOCK_MONOTONIC));
    CHECK0(pthread_cond_init(&c, &a));
    double start = seconds_now();
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += 30000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    CHECK0(pthread_mutex_lock(&m));
    CHECK(pthread_cond_timedwait(&c, &m, &t) == ETIMEDOUT);
    CHECK0(pthread_mutex_unlock(&m));
    CHECK(seconds_now() - start >= 0.0299);
}

/* ---- cancellation ---- */

static sem_t ready;
static atomic_uint cleaned;
static int wait_pair[2];

static void cleanup(void *argument)
{
    (void)argument;
    atomic_fetch_add(&cleaned, 1);
}

static void unlock(void *m)
{
    pthread_mutex_unlock(m);
    cleanup(NULL);
}

static void *cancel_in_read(void *argument)
{
    char byte;
    (void)argument;
    pthread_cleanup_push(cleanup, NULL);
    sem_post(&ready);
    for (;;)
        CHECK(read(wait_pair[0], &byte, 1) == -1);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *cancel_in_sleep(void *argument)
{
    (void)argument;
    pthread_cleanup_push(cleanup, NULL);
    sem_post(&ready);
    for (;;)
        sleep(1000);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *cancel_in_condition(void *argument)
{
    static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    (void)argument;
    pthread_mutex_lock(&m);
    pthread_cleanup_push(unlock, &m);
    sem_post(&ready);
    for (;;)
        pthread_cond_wait(&never, &m);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *cancel_spinning(void *argument)
{
    (void)argument;
    pthread_cleanup_push(cleanup, NULL);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    sem_post(&ready);
    for (;;)
        ;
    pthread_cleanup_pop(0);
    return NULL;
}

static void *cancel_disabled(void *argument)
{
    int old;
    (void)argument;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    pthread_cleanup_push(cleanup, NULL);
    sem_post(&ready);
    sleep_ms(2);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    for (;;)
        pthread_testcancel();
    pthread_cleanup_pop(0);
    return NULL;
}

static int socket_pair_over_loopback(int pair[2]); /* below */

static void test_cancellation(void)
{
    static void *(*const victim[])(void *) = {cancel_in_read, cancel_in_sleep, cancel_in_condition,
                                              cancel_spinning, cancel_disabled};
    unsigned rounds = 0;
    CHECK(sem_init(&ready, 0, 0) == 0);
    CHECK(socket_pair_over_loopback(wait_pair) == 0);
    for (int repeat = 0; repeat < 60; repeat++) {
        for (size_t v = 0; v < sizeof victim / sizeof *victim; v++, rounds++) {
            pthread_t thread;
            void *result;
            CHECK0(pthread_create(&thread, NULL, victim[v], NULL));
            while (sem_wait(&ready) < 0)
                CHECK(errno == EINTR);
            if (repeat % 3 == 0)
                sleep_ms(1);
            CHECK0(pthread_cancel(thread));
            CHECK0(pthread_join(thread, &result));
            CHECK(result == PTHREAD_CANCELED);
        }
    }
    CHECK(atomic_load(&cleaned) == rounds);
    close(wait_pair[0]);
    close(wait_pair[1]);
}

/* ---- signals between threads ---- */

static atomic_uint usr1_total;
static _Thread_local volatile sig_atomic_t usr1_here;
static atomic_bool signals_done;

static void on_usr1(int signal)
{
    (void)signal;
    int saved = errno;
    usr1_here++;
    atomic_fetch_add(&usr1_total, 1);
    errno = saved;
}

static void *signal_target(void *argument)
{
    unsigned long work = 0;
    (void)argument;
    sem_post(&ready);
    while (!atomic_load(&signals_done)) {
        work++;
        if (work % 1000 == 0)
            sched_yield();
        if (work % 100000 == 0)
            usleep(100);
    }
    return (void *)(uintptr_t)usr1_here;
}

static void *signal_waiter(void *argument)
{
    sigset_t set;
    unsigned seen = 0;
    (void)argument;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    sem_post(&ready);
    for (;;) {
        siginfo_t info;
        int signal = sigwaitinfo(&set, &info);
        if (signal < 0) {
            CHECK(errno == EINTR);
            continue;
        }
        CHECK(signal == SIGRTMIN + 1 && info.si_code == SI_QUEUE);
        if (info.si_value.sival_int < 0)
            return (void *)(uintptr_t)seen;
        CHECK((unsigned)info.si_value.sival_int == seen);
        seen++;
    }
}

static void test_signals(void)
{
    pthread_t target[4], waiter;
    sigset_t set;
    uintptr_t received = 0;
    struct sigaction action = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
    void *result;

    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    for (int i = 0; i < 4; i++) {
        CHECK0(pthread_create(&target[i], NULL, signal_target, NULL));
        while (sem_wait(&ready) < 0)
            ;
    }
    /* each must be seen before the next: standard signals do not queue */
    for (unsigned n = 0; n < 400; n++) {
        unsigned before = atomic_load(&usr1_total);
        CHECK0(pthread_kill(target[n % 4], SIGUSR1));
        while (atomic_load(&usr1_total) == before)
            sched_yield();
    }
    atomic_store(&signals_done, true);
    for (int i = 0; i < 4; i++) {
        CHECK0(pthread_join(target[i], &result));
        received += (uintptr_t)result;
    }
    CHECK(received == 400 && atomic_load(&usr1_total) == 400);

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    CHECK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
    CHECK0(pthread_create(&waiter, NULL, signal_waiter, NULL));
    while (sem_wait(&ready) < 0)
        ;
    for (int n = 0; n < 200; n++)
        CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = n}) == 0);
    CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = -1}) == 0);
    CHECK0(pthread_join(waiter, &result));
    CHECK((uintptr_t)result == 200);
}

/* ---- timers ---- */

static atomic_uint timer_signals, timer_threads;

static void on_timer(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    if (info->si_code == SI_TIMER && info->si_value.sival_int == 77)
        atomic_fetch_add(&timer_signals, 1);
}

static void timer_thread(union sigval value)
{
    if (value.sival_int == 78)
        atomic_fetch_add(&timer_threads, 1);
}

static void test_timers(void)
{
    struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct itimerspec every = {{0, 2000000}, {0, 2000000}};
    timer_t by_signal, by_thread;
    CHECK(sigaction(SIGRTMIN + 2, &action, NULL) == 0);
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2, .sigev_value.sival_int = 77};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &by_signal) == 0);
    struct sigevent thread_event = {.sigev_notify = SIGEV_THREAD,
                                    .sigev_notify_function = timer_thread,
                                    .sigev_value.sival_int = 78};
    CHECK(timer_create(CLOCK_REALTIME, &thread_event, &by_thread) == 0);
    CHECK(timer_settime(by_signal, 0, &every, NULL) == 0);
    CHECK(timer_settime(by_thread, 0, &every, NULL) == 0);
    double start = seconds_now();
    while (atomic_load(&timer_signals) < 20 || atomic_load(&timer_threads) < 20) {
        CHECK(seconds_now() - start < 60);
        sleep_ms(1);
    }
    CHECK(timer_delete(by_signal) == 0);
    CHECK(timer_delete(by_thread) == 0);
    unsigned after = atomic_load(&timer_signals);
    sleep_ms(10);
    CHECK(atomic_load(&timer_signals) == after);
}

/* ---- C11 threads, read-write locks, once, semaphores ---- */

static mtx_t c11_lock;
static cnd_t c11_change;
static tss_t c11_key;
static once_flag c11_once = ONCE_FLAG_INIT;
static atomic_int once_calls;
static int c11_turn;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static unsigned long rw_a, rw_b;

static void count_once(void)
{
    atomic_fetch_add(&once_calls, 1);
}

static int c11_player(void *argument)
{
    int me = (int)(intptr_t)argument;
    call_once(&c11_once, count_once);
    CHECK(tss_set(c11_key, argument) == thrd_success);
    for (int round = 0; round < 300; round++) {
        CHECK(mtx_lock(&c11_lock) == thrd_success);
        while (c11_turn % 4 != me)
            CHECK(cnd_wait(&c11_change, &c11_lock) == thrd_success);
        c11_turn++;
        CHECK(cnd_broadcast(&c11_change) == thrd_success);
        CHECK(mtx_unlock(&c11_lock) == thrd_success);
    }
    CHECK(tss_get(c11_key) == argument);
    return me + 100;
}

static void *rw_user(void *writer)
{
    for (int i = 0; i < 2000; i++) {
        if (writer) {
            CHECK0(pthread_rwlock_wrlock(&rwlock));
            rw_a++;
            if (i % 50 == 0)
                sched_yield();
            rw_b++;
        } else {
            CHECK0(pthread_rwlock_rdlock(&rwlock));
            CHECK(rw_a == rw_b);
        }
        CHECK0(pthread_rwlock_unlock(&rwlock));
    }
    return NULL;
}

static void test_others(void)
{
    thrd_t player[4];
    pthread_t user[6];
    CHECK(mtx_init(&c11_lock, mtx_timed | mtx_recursive) == thrd_success);
    CHECK(cnd_init(&c11_change) == thrd_success);
    CHECK(tss_create(&c11_key, NULL) == thrd_success);
    for (intptr_t i = 0; i < 4; i++)
        CHECK(thrd_create(&player[i], c11_player, (void *)i) == thrd_success);
    for (int i = 0; i < 4; i++) {
        int result;
        CHECK(thrd_join(player[i], &result) == thrd_success && result == i + 100);
    }
    CHECK(c11_turn == 1200 && atomic_load(&once_calls) == 1);
    for (uintptr_t i = 0; i < 6; i++)
        CHECK0(pthread_create(&user[i], NULL, rw_user, (void *)(uintptr_t)(i % 3 == 0)));
    for (int i = 0; i < 6; i++)
        CHECK0(pthread_join(user[i], NULL));
    CHECK(rw_a == 4000 && rw_b == 4000);
}

/* ---- churn: threads that nobody joins ---- */

static sem_t finished;

static void *short_life(void *argument)
{
    (void)argument;
    sem_post(&finished);
    return NULL;
}

static void test_churn(void)
{
    pthread_attr_t a;
    CHECK(sem_init(&finished, 0, 0) == 0);
    CHECK0(pthread_attr_init(&a));
    CHECK0(pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED));
    CHECK0(pthread_attr_setstacksize(&a, PTHREAD_STACK_MIN > 16384 ? PTHREAD_STACK_MIN : 16384));
    for (int i = 0; i < 2000; i++) {
        pthread_t thread;
        int result;
        while ((result = pthread_create(&thread, &a, short_life, NULL)) == EAGAIN)
            sleep_ms(1); /* detached threads end a little after their last word */
        CHECK0(result);
        if (i % 8 == 7)
            for (int n = 0; n < 8; n++)
                while (sem_wait(&finished) < 0)
                    CHECK(errno == EINTR);
    }
}

static int socket_pair_over_loopback(int pair[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        return -1;
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (pair[0] < 0 || connect(pair[0], (struct sockaddr *)&address, size) < 0)
        return -1;
    pair[1] = accept(listener, NULL, NULL);
    close(listener);
    return pair[1] < 0 ? -1 : 0;
}

int main(void)
{
    test_many();
    test_mutex_kinds();
    test_conditions();
    test_cancellation();
    test_signals();
    test_timers();
    test_others();
    test_churn();
    return 0;
}
