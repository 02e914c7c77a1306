/* SPDX-License-Identifier: MIT */
/* Threads, futexes, scheduling. */
#include "ktest.h"
#include "tests.h"

static uint32_t counter;

static void count_up(void *argument)
{
    (void)argument;
    __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
}

void test_threads(void)
{
    struct worker w;
    counter = 0;
    for (int i = 0; i < 100; i++) {
        worker_start(&w, count_up, NULL);
        worker_join(&w);
    }
    CHECK_EQ(counter, 100);
}

void test_many_threads(void)
{
    enum { COUNT = 200 };
    static struct worker w[COUNT];
    counter = 0;
    for (int i = 0; i < COUNT; i++) {
        worker_start(&w[i], count_up, NULL);
    }
    for (int i = 0; i < COUNT; i++) {
        worker_join(&w[i]);
    }
    CHECK_EQ(counter, COUNT);
}

static void spin_until_set(void *argument)
{
    while (!__atomic_load_n((uint32_t *)argument, __ATOMIC_RELAXED)) {
    }
}

void test_thread_control(void)
{
    uint32_t stop = 0;
    struct worker w;
    volatile struct motor_kinfo *kinfo = (void *)MOTOR_KINFO_ADDRESS;
    uint64_t all = kinfo->cpus >= 63 ? INT64_MAX : (1ull << kinfo->cpus) - 1;
    CHECK_EQ(motor_thread_control(0, MOTOR_THREAD_GET_AFFINITY, 0), all);
    worker_start(&w, spin_until_set, &stop);
    for (uint32_t cpu = 0; cpu < kinfo->cpus; cpu++) { /* move it about while it runs */
        uint32_t here;
        CHECK_EQ(motor_thread_control(w.handle, MOTOR_THREAD_SET_AFFINITY, 1ull << cpu), 0);
        CHECK_EQ(motor_thread_control(0, MOTOR_THREAD_SET_AFFINITY, 1ull << cpu), 0);
        CHECK_EQ(motor_system_info(MOTOR_SINFO_CPU, &here, sizeof(here)), 0);
        CHECK_EQ(here, cpu);
        pause_ns(10 * MS);
    }
    CHECK_EQ(motor_thread_control(0, MOTOR_THREAD_SET_AFFINITY, 0), -MOTOR_EINVAL);
    CHECK_EQ(motor_thread_control(0, MOTOR_THREAD_SET_AFFINITY, ~0ull), 0);
    CHECK(motor_thread_control(w.handle, MOTOR_THREAD_GET_CPU_TIME, 0) > 0);
    CHECK_EQ(motor_thread_control(w.handle, MOTOR_THREAD_SET_PRIORITY, 40), -MOTOR_EINVAL);
    CHECK_EQ(motor_thread_control(w.handle, MOTOR_THREAD_SET_PRIORITY, 39), 0);
    CHECK_EQ(motor_thread_control(w.handle, MOTOR_THREAD_SET_FS, 0), -MOTOR_EINVAL);
    CHECK_EQ(motor_thread_control(0, 99, 0), -MOTOR_ENOSYS);
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    worker_join(&w);
    uint64_t fs;
    static uint64_t tls[2] = {0x1234, 0x5678};
    CHECK_EQ(motor_thread_control(0, MOTOR_THREAD_SET_FS, (uint64_t)tls), 0);
    motor_thread_yield();
    __asm__ volatile("mov %%fs:8, %0" : "=r"(fs));
    CHECK_EQ(fs, 0x5678);
}

/* ---- futexes ---- */

static uint32_t word;

static void wait_on_word(void *argument)
{
    int64_t status = motor_futex_wait(&word, 0, 0, NEVER, 0);
    *(int64_t *)argument = status;
    __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
}

/* How many threads sleep on a word; counted by moving them to another one and back. */
static int64_t sleepers(uint32_t *on, uint32_t flags)
{
    static uint32_t aside;
    int64_t n = motor_futex_requeue(on, 0, &aside, 1000, flags);
    CHECK_EQ(motor_futex_requeue(&aside, 0, on, 1000, flags), n);
    return n;
}

static void await_sleepers(uint32_t *on, uint32_t flags, int64_t expected)
{
    for (uint64_t limit = now() + 30000 * MS; sleepers(on, flags) != expected && now() < limit;) {
        pause_ns(MS);
    }
    CHECK_EQ(sleepers(on, flags), expected);
}

static void await_count(uint32_t expected)
{
    for (int i = 0; i < 30000 && __atomic_load_n(&counter, __ATOMIC_SEQ_CST) != expected; i++) {
        pause_ns(MS);
    }
    CHECK_EQ(counter, expected);
}

void test_futex(void)
{
    int64_t result[8];
    struct worker w[8];
    word = 5;
    CHECK_EQ(motor_futex_wait(&word, 4, 0, NEVER, 0), -MOTOR_EAGAIN);
    CHECK_EQ(motor_futex_wait(&word, 5, 0, 0, 0), -MOTOR_ETIMEOUT);
    uint64_t start = now();
    CHECK_EQ(motor_futex_wait(&word, 5, 0, start + 20 * MS, 0), -MOTOR_ETIMEOUT);
    CHECK(now() - start >= 20 * MS && now() - start < 500 * MS);
    CHECK_EQ(motor_futex_wait((uint32_t *)((char *)&word + 1), 5, 0, 0, 0), -MOTOR_EINVAL);
    CHECK_EQ(motor_futex_wait(&word, 5, 0x80, 0, 0), -MOTOR_EINVAL);
    CHECK_EQ(motor_futex_wake(&word, 1, 0), 0);
    word = counter = 0;
    for (int i = 0; i < 8; i++) {
        worker_start(&w[i], wait_on_word, &result[i]);
    }
    await_sleepers(&word, 0, 8);
    CHECK_EQ(motor_futex_wake(&word, 3, 0), 3);
    await_count(3);
    uint32_t *list[2] = {&counter, &word};
    CHECK_EQ(motor_futex_wake_list(list, 2, 0), 5);
    CHECK_EQ(motor_futex_wake_list(list, 257, 0), -MOTOR_EINVAL);
    for (int i = 0; i < 8; i++) {
        worker_join(&w[i]);
        CHECK_EQ(result[i], 0);
    }
}

void test_futex_requeue(void)
{
    int64_t result[6];
    struct worker w[6];
    static uint32_t target;
    word = counter = 0;
    for (int i = 0; i < 6; i++) {
        worker_start(&w[i], wait_on_word, &result[i]);
    }
    await_sleepers(&word, 0, 6);
    CHECK_EQ(motor_futex_requeue(&word, 1, &target, 3, 0), 4);
    await_count(1);
    CHECK_EQ(motor_futex_wake(&word, 100, 0), 2);
    await_count(3);
    CHECK_EQ(motor_futex_wake(&target, 100, 0), 3);
    for (int i = 0; i < 6; i++) {
        worker_join(&w[i]);
    }
}

struct shared_pair {
    uint32_t *a, *b; /* the same word of an object, mapped twice */
};

static void wait_shared(void *argument)
{
    struct shared_pair *p = argument;
    CHECK_EQ(motor_futex_wait(p->a, 0, MOTOR_FUTEX_SHARED, NEVER, 0), 0);
}

void test_futex_shared(void)
{
    struct worker w;
    motor_handle v = (motor_handle)CHECK_OK(motor_vmo_create(PAGE, 0));
    uint32_t prot = MOTOR_PROT_READ | MOTOR_PROT_WRITE;
    struct shared_pair p = {(void *)CHECK_OK(motor_map(0, v, 0, 0, PAGE, prot)),
                            (void *)CHECK_OK(motor_map(0, v, 0, 0, PAGE, prot))};
    worker_start(&w, wait_shared, &p);
    await_sleepers(p.b, MOTOR_FUTEX_SHARED, 1);
    *p.b = 1;
    CHECK_EQ(motor_futex_wake(p.b, 1, 0), 0); /* private: another key */
    CHECK_EQ(motor_futex_wake(p.b, 1, MOTOR_FUTEX_SHARED), 1);
    worker_join(&w);
    motor_unmap(0, (uint64_t)p.a, PAGE);
    motor_unmap(0, (uint64_t)p.b, PAGE);
    motor_handle_close(v);
}

enum { ROUNDS = 2000 };
static uint32_t ball;

static void wait_for(uint32_t side)
{
    uint32_t value;
    while (((value = __atomic_load_n(&ball, __ATOMIC_SEQ_CST)) & 1) != side) {
        motor_futex_wait(&ball, value, 0, NEVER, 0);
    }
}

static void hit(void)
{
    __atomic_fetch_add(&ball, 1, __ATOMIC_SEQ_CST);
    motor_futex_wake(&ball, 1, 0);
}

static void player(void *argument)
{
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        wait_for(1);
        hit();
    }
}

void test_futex_pingpong(void)
{
    struct worker w;
    ball = 0;
    worker_start(&w, player, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        hit();
        wait_for(0);
    }
    worker_join(&w);
    CHECK_EQ(ball, 2 * ROUNDS);
}

/* ---- scheduling ---- */

struct runner {
    uint32_t *stop;
    uint64_t turns;
};

static void run_until_stopped(void *argument)
{
    struct runner *r = argument;
    while (!__atomic_load_n(r->stop, __ATOMIC_RELAXED)) {
        r->turns++;
    }
}

/*
 * Hogs share; a sleeper among them still wakes in time; an urgent thread gets much more than a lazy
 * one.
 */
void test_fairness(void)
{
    volatile struct motor_kinfo *kinfo = (void *)MOTOR_KINFO_ADDRESS;
    uint32_t stop = 0, hogs = kinfo->cpus * 2 < 16 ? kinfo->cpus * 2 : 16;
    static struct worker w[17];
    static struct runner r[17];
    for (uint32_t i = 0; i < hogs; i++) {
        r[i] = (struct runner){.stop = &stop};
        worker_start(&w[i], run_until_stopped, &r[i]);
    }
    uint64_t start = now(), worst = 0;
    while (now() - start < 300 * MS) {
        uint64_t before = now();
        pause_ns(2 * MS);
        uint64_t late = now() - before - 2 * MS;
        worst = late > worst ? late : worst;
    }
    /*
     * several virtual CPUs may have fewer real ones, which others use as well: then it takes a
     * while
     */
    bool all_ran = false;
    for (uint64_t limit = now() + 30000 * MS; !all_ran && now() < limit; pause_ns(2 * MS)) {
        all_ran = true;
        for (uint32_t i = 0; i < hogs; i++) {
            all_ran &= __atomic_load_n(&r[i].turns, __ATOMIC_RELAXED) > 0;
        }
    }
    int64_t least = INT64_MAX, most = 0;
    for (uint32_t i = 0; i < hogs; i++) {
        int64_t ns = motor_thread_control(w[i].handle, MOTOR_THREAD_GET_CPU_TIME, 0);
        least = ns < least ? ns : least;
        most = ns > most ? ns : most;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < hogs; i++) {
        worker_join(&w[i]);
    }
    say("  hogs ran %ld to %ld us, a sleeper was at most %lu us late\n", least / 1000, most / 1000,
        worst / 1000);
    CHECK(all_ran);
    CHECK(kinfo->cpus > 1 || least * 4 > most);
}

/* Whether kinfo says so within a while, which other CPUs may need. */
static bool becomes_unhurried(uint32_t cpus)
{
    const volatile struct motor_kinfo *kinfo = (void *)MOTOR_KINFO_ADDRESS;
    for (uint64_t limit = now() + 10000 * MS; now() < limit;) {
        if (kinfo->unhurried_cpus == cpus) {
            return true;
        }
    }
    say("  unhurried_cpus is %u, not %u\n", kinfo->unhurried_cpus, cpus);
    return false;
}

void test_unhurried(void)
{
    const volatile struct motor_kinfo *kinfo = (void *)MOTOR_KINFO_ADDRESS;
    static struct worker w[64];
    uint32_t stop = 0, n = 0, cpus = kinfo->cpus < 64 ? kinfo->cpus : 63;
    CHECK(becomes_unhurried(cpus > 1));
    for (; n < cpus - 1; n++) {
        worker_start(&w[n], spin_until_set, &stop);
    }
    CHECK(becomes_unhurried(cpus > 1 ? cpus : 0));
    worker_start(&w[n++], spin_until_set, &stop); /* one too many */
    CHECK(becomes_unhurried(0));
    CHECK_EQ(motor_thread_control(w[0].handle, MOTOR_THREAD_SET_AFFINITY, 1), 0);
    CHECK(becomes_unhurried(0));
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    while (n) {
        worker_join(&w[--n]);
    }
    CHECK(becomes_unhurried(cpus > 1));
}
