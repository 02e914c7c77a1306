/* SPDX-License-Identifier: MIT */
/*
 * Locks, conditions, barriers and semaphores that processes share, and robust locks whose owner
 * ends in any way: by return, by exit, killed, by exec, with others waiting or nobody.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct shared {
    pthread_mutex_t lock[64];
    pthread_cond_t condition;
    pthread_barrier_t barrier;
    pthread_rwlock_t rw;
    sem_t semaphore;
    volatile int ready, value, turn;
};

static struct shared *s;

static void finish(pid_t pid, int wanted)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status != wanted)
        FAILED("child: status %x", status);
}

static void init_lock(pthread_mutex_t *m, int shared, int robust, int type, int protocol)
{
    pthread_mutexattr_t a;
    CHECK0(pthread_mutexattr_init(&a));
    CHECK0(pthread_mutexattr_setpshared(&a, shared));
    CHECK0(pthread_mutexattr_setrobust(&a, robust));
    CHECK0(pthread_mutexattr_settype(&a, type));
    CHECK0(pthread_mutexattr_setprotocol(&a, protocol));
    CHECK0(pthread_mutex_init(m, &a));
    pthread_mutexattr_destroy(&a);
}

/* ---- not robust ---- */

static void test_mutex(void)
{
    init_lock(&s->lock[0], PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_STALLED, PTHREAD_MUTEX_NORMAL,
              PTHREAD_PRIO_NONE);
    s->value = 0;
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            for (int n = 0; n < 2000; n++) {
                CHECK0(pthread_mutex_lock(&s->lock[0]));
                s->value++;
                CHECK0(pthread_mutex_unlock(&s->lock[0]));
            }
            _exit(0);
        }
    for (int i = 0, status; i < 3; i++)
        CHECK(wait(&status) > 0 && status == 0);
    CHECK(s->value == 6000);
}

static void test_condition(void)
{
    pthread_condattr_t a;
    CHECK0(pthread_condattr_init(&a));
    CHECK0(pthread_condattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_cond_init(&s->condition, &a));
    s->turn = 0;
    pid_t pid = fork();
    int me = pid == 0;
    for (int n = 0; n < 200; n++) { /* in turn */
        CHECK0(pthread_mutex_lock(&s->lock[0]));
        while (s->turn != me)
            CHECK0(pthread_cond_wait(&s->condition, &s->lock[0]));
        s->turn = !me;
        CHECK0(pthread_cond_broadcast(&s->condition));
        CHECK0(pthread_mutex_unlock(&s->lock[0]));
    }
    if (me)
        _exit(0);
    finish(pid, 0);
}

static void test_barrier(void)
{
    pthread_barrierattr_t a;
    int serial = 0, status;
    CHECK0(pthread_barrierattr_init(&a));
    CHECK0(pthread_barrierattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_barrier_init(&s->barrier, &a, 3));
    s->value = 0;
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            int mine = 0;
            for (int n = 0; n < 50; n++) {
                __atomic_fetch_add(&s->value, 1, __ATOMIC_SEQ_CST);
                int result = pthread_barrier_wait(&s->barrier);
                CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
                mine += result != 0;
                CHECK(s->value >= 3 * (n + 1));
                CHECK(pthread_barrier_wait(&s->barrier) <= 0);
            }
            _exit(mine);
        }
    for (int i = 0; i < 3; i++) {
        CHECK(wait(&status) > 0 && WIFEXITED(status));
        serial += WEXITSTATUS(status);
    }
    CHECK(serial == 50);
}

static void test_rwlock(void)
{
    pthread_rwlockattr_t a;
    CHECK0(pthread_rwlockattr_init(&a));
    CHECK0(pthread_rwlockattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_rwlock_init(&s->rw, &a));
    CHECK0(pthread_rwlock_rdlock(&s->rw));
    pid_t pid = fork();
    if (pid == 0) {
        CHECK0(pthread_rwlock_tryrdlock(&s->rw));
        CHECK0(pthread_rwlock_unlock(&s->rw));
        CHECK(pthread_rwlock_trywrlock(&s->rw) == EBUSY);
        _exit(0);
    }
    finish(pid, 0);
    CHECK0(pthread_rwlock_unlock(&s->rw));
    CHECK0(pthread_rwlock_wrlock(&s->rw));
    CHECK0(pthread_rwlock_unlock(&s->rw));
}

static void test_semaphores(void)
{
    CHECK(sem_init(&s->semaphore, 1, 0) == 0);
    CHECK_ERRNO(sem_trywait(&s->semaphore), EAGAIN);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 100; i++)
            CHECK(sem_wait(&s->semaphore) == 0);
        _exit(0);
    }
    for (int i = 0; i < 100; i++)
        CHECK(sem_post(&s->semaphore) == 0);
    finish(pid, 0);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    CHECK_ERRNO(sem_timedwait(&s->semaphore, &soon), ETIMEDOUT);
    CHECK(sem_destroy(&s->semaphore) == 0);

    char name[64]; /* named ones are files in /dev/shm */
    snprintf(name, sizeof name, "/robust-%d", (int)getpid());
    CHECK_ERRNO(sem_open(name, 0) == SEM_FAILED ? -1 : 0, ENOENT);
    sem_t *a = sem_open(name, O_CREAT | O_EXCL, 0600, 2);
    CHECK(a != SEM_FAILED);
    CHECK_ERRNO(sem_open(name, O_CREAT | O_EXCL, 0600, 2) == SEM_FAILED ? -1 : 0, EEXIST);
    pid = fork();
    if (pid == 0) {
        sem_t *b = sem_open(name, 0);
        CHECK(b != SEM_FAILED);
        for (int i = 0; i < 3; i++)
            CHECK(sem_wait(b) == 0);
        CHECK(sem_close(b) == 0);
        _exit(0);
    }
    CHECK(sem_post(a) == 0);
    finish(pid, 0);
    CHECK(sem_unlink(name) == 0);
    CHECK_ERRNO(sem_unlink(name), ENOENT);
    CHECK(sem_close(a) == 0);
}

/* ---- robust ---- */

enum how { RETURN, EXIT, KILL, EXEC, SPLIT, HOWS };

static void *keeps_lock(void *lock)
{
    CHECK0(pthread_mutex_lock(lock));
    return NULL;
}

static void *keeps_lock_and_waits(void *lock)
{
    CHECK0(pthread_mutex_lock(lock));
    s->ready = 1;
    for (;;)
        pause();
    return NULL;
}

/* Ends while it holds the lock. */
static void owner(enum how how)
{
    pthread_t t;
    if (how == SPLIT) { /* another thread holds it when the process is killed */
        CHECK0(pthread_create(&t, NULL, keeps_lock_and_waits, &s->lock[1]));
        for (;;)
            pause();
    }
    CHECK0(pthread_mutex_lock(&s->lock[1]));
    s->ready = 1;
    while (!s->value) /* until somebody is about to wait for it */
        sleep_ms(1);
    switch (how) {
    case RETURN:
        pthread_exit(NULL);
    case EXIT:
        _exit(0);
    case EXEC:
        execl("/proc/self/exe", "robust", "end", (char *)NULL);
        FAILED("exec");
    default:
        for (;;)
            pause();
    }
}

static void died_and_repaired(int expect)
{
    CHECK(pthread_mutex_lock(&s->lock[1]) == expect);
    CHECK0(pthread_mutex_consistent(&s->lock[1]));
    CHECK(pthread_mutex_consistent(&s->lock[1]) == EINVAL);
    CHECK0(pthread_mutex_unlock(&s->lock[1]));
    CHECK0(pthread_mutex_lock(&s->lock[1]));
    CHECK0(pthread_mutex_unlock(&s->lock[1]));
}

static void *waits_for_it(void *unused)
{
    died_and_repaired(EOWNERDEAD);
    return unused;
}

static void test_robust(int type, int protocol, enum how how, int wait_first)
{
    pthread_t t;
    init_lock(&s->lock[1], PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_ROBUST, type, protocol);
    s->ready = s->value = 0;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        owner(how);
    while (!s->ready)
        sleep_ms(1);
    CHECK(pthread_mutex_trylock(&s->lock[1]) == EBUSY);
    if (wait_first) {
        CHECK0(pthread_create(&t, NULL, waits_for_it, NULL));
        sleep_ms(10); /* so that it sleeps, most times */
    }
    s->value = 1;
    if (how == KILL || how == SPLIT)
        kill(pid, SIGKILL);
    finish(pid, how == KILL || how == SPLIT ? SIGKILL : 0);
    if (wait_first)
        CHECK0(pthread_join(t, NULL));
    else
        died_and_repaired(EOWNERDEAD);
    CHECK0(pthread_mutex_destroy(&s->lock[1]));
}

/* A lock that is let go without repair is of no use any more. */
static void test_not_recoverable(void)
{
    init_lock(&s->lock[1], PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_ROBUST, PTHREAD_MUTEX_NORMAL,
              PTHREAD_PRIO_NONE);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK0(pthread_mutex_lock(&s->lock[1]));
        raise(SIGKILL);
    }
    finish(pid, SIGKILL);
    CHECK(pthread_mutex_trylock(&s->lock[1]) == EOWNERDEAD);
    CHECK0(pthread_mutex_unlock(&s->lock[1]));
    CHECK(pthread_mutex_lock(&s->lock[1]) == ENOTRECOVERABLE);
    CHECK(pthread_mutex_trylock(&s->lock[1]) == ENOTRECOVERABLE);
    CHECK0(pthread_mutex_destroy(&s->lock[1]));
}

/* Many at once, some released before the end. */
static void test_many(void)
{
    for (int i = 0; i < 64; i++)
        init_lock(&s->lock[i], PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_ROBUST, PTHREAD_MUTEX_NORMAL,
                  PTHREAD_PRIO_NONE);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 64; i++)
            CHECK0(pthread_mutex_lock(&s->lock[i]));
        for (int i = 0; i < 64; i += 3)
            CHECK0(pthread_mutex_unlock(&s->lock[i]));
        raise(SIGKILL);
    }
    finish(pid, SIGKILL);
    for (int i = 0; i < 64; i++) {
        CHECK(pthread_mutex_lock(&s->lock[i]) == (i % 3 ? EOWNERDEAD : 0));
        if (i % 3)
            CHECK0(pthread_mutex_consistent(&s->lock[i]));
        CHECK0(pthread_mutex_unlock(&s->lock[i]));
    }
}

/* Private ones: among the threads of a process. */
static void test_private(void)
{
    static pthread_mutex_t m;
    pthread_t t;
    init_lock(&m, PTHREAD_PROCESS_PRIVATE, PTHREAD_MUTEX_ROBUST, PTHREAD_MUTEX_ERRORCHECK,
              PTHREAD_PRIO_NONE);
    for (int i = 0; i < 20; i++) {
        CHECK0(pthread_create(&t, NULL, keeps_lock, &m));
        CHECK0(pthread_join(t, NULL));
        CHECK(pthread_mutex_lock(&m) == EOWNERDEAD);
        CHECK(pthread_mutex_lock(&m) == EDEADLK);
        CHECK0(pthread_mutex_consistent(&m));
        CHECK0(pthread_mutex_unlock(&m));
    }
}

/* ---- the calls by themselves ---- */

struct entry {
    struct entry *next;
    uint32_t word;
};

struct head {
    struct entry *next;
    long offset;
    struct entry *pending;
};

/* Lists that lead nowhere, in circles, and to what cannot be a lock: the process ends all the same.
 */
static void test_bad_lists(void)
{
    static struct entry e[3];
    static struct head head;
    for (int kind = 0; kind < 6; kind++) {
        pid_t pid = fork();
        if (pid == 0) {
            uint32_t tid = (uint32_t)syscall(SYS_gettid);
            for (int i = 0; i < 3; i++)
                e[i] = (struct entry){&e[(i + 1) % 3], tid};
            head = (struct head){&e[0], offsetof(struct entry, word), NULL};
            if (kind == 1)
                head.next = (void *)16;
            else if (kind == 2)
                head.offset = 1;
            else if (kind == 3)
                head.offset = INT64_MAX;
            else if (kind == 4)
                head.pending = (void *)-16;
            CHECK(syscall(SYS_set_robust_list, kind == 5 ? (void *)64 : &head, sizeof head) == 0);
            _exit(0);
        }
        finish(pid, 0);
    }
    CHECK_ERRNO(syscall(SYS_set_robust_list, &head, 23), EINVAL);
    void *list;
    size_t size;
    CHECK(syscall(SYS_get_robust_list, 0, &list, &size) == 0 && size == 24);
    CHECK_ERRNO(syscall(SYS_get_robust_list, 0, (void *)8, &size), EFAULT);
    CHECK_ERRNO(syscall(SYS_get_robust_list, 0x3ffffff, &list, &size), ESRCH);
}

/* What the call promises, without a library between: the word of a shared lock after a kill. */
static void test_word(void)
{
    volatile struct entry *e = (void *)&s->lock[8];
    static struct head head;
    pid_t pid = fork();
    if (pid == 0) {
        e->next = (struct entry *)&head;
        e->word = (uint32_t)syscall(SYS_gettid) | 0x80000000u;
        head = (struct head){(struct entry *)e, offsetof(struct entry, word), NULL};
        CHECK(syscall(SYS_set_robust_list, &head, sizeof head) == 0);
        raise(SIGKILL);
    }
    finish(pid, SIGKILL);
    CHECK(e->word == (0x80000000u | 0x40000000u));
    pid = fork();
    if (pid == 0) { /* somebody else's lock stays as it is */
        e->word = (uint32_t)getppid();
        head = (struct head){(struct entry *)e, offsetof(struct entry, word), NULL};
        CHECK(syscall(SYS_set_robust_list, &head, sizeof head) == 0);
        raise(SIGKILL);
    }
    finish(pid, SIGKILL);
    CHECK(e->word == (uint32_t)getpid());
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0;
    s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(s != MAP_FAILED);
    test_mutex();
    test_condition();
    test_barrier();
    test_rwlock();
    test_semaphores();
    for (int how = 0; how < HOWS; how++)
        for (int wait = 0; wait < 2; wait++) {
            test_robust(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, how, wait);
            test_robust(PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE, how, wait);
            test_robust(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_INHERIT, how, wait);
        }
    test_not_recoverable();
    test_many();
    test_private();
    test_bad_lists();
    test_word();
    puts("ok");
    return 0;
}
