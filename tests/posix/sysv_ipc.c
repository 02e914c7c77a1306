/* SPDX-License-Identifier: MIT */
/*
 * System V shared memory, semaphores and message queues: shmget(2), shmop(2), shmctl(2), semget(2),
 * semop(2), semctl(2), msgget(2), msgop(2), msgctl(2), with every errno that can be had.
 */
#include "check.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#ifndef MSG_EXCEPT
#define MSG_EXCEPT 020000
#endif
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

static key_t key; /* nobody else's: from the pid */
static volatile int *shared;

static pid_t start(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    return pid;
}

static void finish(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status)
        FAILED("child: status %x", status);
}

#define IN_CHILD(code) \
    do { \
        pid_t pid_ = start(); \
        if (pid_ == 0) { \
            code; \
            _exit(0); \
        } \
        finish(pid_); \
    } while (0)

static void on_signal(int sig)
{
    (void)sig;
    shared[0]++;
}

/* Signals that keep coming, so that none is too early. */
static void signals_come(int flags)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
    struct itimerval every = {{0, 5000}, {0, 5000}};
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static void become_nobody(void)
{
    CHECK(setgid(65534) == 0 && setuid(65534) == 0);
}

/* ---- shared memory ---- */

static unsigned long attached(int id)
{
    struct shmid_ds ds;
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    return ds.shm_nattch;
}

static void test_shm_get(void)
{
    struct shmid_ds ds;
    CHECK_ERRNO(shmget(key, 100, 0), ENOENT);
    CHECK_ERRNO(shmget(key, 0, IPC_CREAT | 0600), EINVAL);
    int id = shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0640);
    CHECK(id >= 0);
    CHECK_ERRNO(shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    CHECK(shmget(key, 5000, IPC_CREAT) == id && shmget(key, 0, 0) == id);
    CHECK_ERRNO(shmget(key, 5001, 0), EINVAL);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.shm_segsz == 5000 && ds.shm_nattch == 0 && ds.shm_cpid == getpid() &&
          ds.shm_lpid == 0 && ds.shm_atime == 0 && ds.shm_dtime == 0 && ds.shm_ctime > 0);
    CHECK((ds.shm_perm.mode & 0777) == 0640 && ds.shm_perm.uid == geteuid() &&
          ds.shm_perm.cuid == geteuid() && ds.shm_perm.gid == getegid() &&
          ds.shm_perm.__key == key);
    CHECK_ERRNO(shmctl(id + 1, IPC_STAT, &ds), EINVAL);
    CHECK_ERRNO(shmctl(-1, IPC_STAT, &ds), EINVAL);
    CHECK_ERRNO(shmctl(id, 99, &ds), EINVAL);
    CHECK_ERRNO(shmctl(id, IPC_STAT, (void *)8), EFAULT);
    CHECK_ERRNO((long)shmat(id + 1, NULL, 0), EINVAL);
    CHECK_ERRNO((long)shmat(id, (void *)12345, 0), EINVAL);
    CHECK_ERRNO((long)shmat(id, NULL, SHM_REMAP), EINVAL);
    CHECK_ERRNO(shmdt((void *)4096), EINVAL);
    if (geteuid() == 0)
        IN_CHILD({
            become_nobody();
            CHECK_ERRNO(shmget(key, 0, 0400), EACCES);
            CHECK(shmget(key, 0, 0) == id);
            CHECK_ERRNO((long)shmat(id, NULL, SHM_RDONLY), EACCES);
            CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EACCES);
            CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EPERM);
            CHECK_ERRNO(shmctl(id, IPC_SET, &ds), EPERM);
        });
    ds.shm_perm.mode = 0604;
    CHECK(shmctl(id, IPC_SET, &ds) == 0);
    CHECK_ERRNO(shmctl(id, IPC_SET, (void *)8), EFAULT);
    if (geteuid() == 0)
        IN_CHILD({
            become_nobody();
            char *p = shmat(id, NULL, SHM_RDONLY);
            CHECK(p != (void *)-1 && p[0] == 0);
            CHECK_ERRNO((long)shmat(id, NULL, 0), EACCES);
            CHECK(shmctl(id, IPC_STAT, &ds) == 0 && (ds.shm_perm.mode & 0777) == 0604);
        });
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EINVAL);
    CHECK_ERRNO(shmget(key, 0, 0), ENOENT);
}

static sigjmp_buf back;

static void on_fault(int sig)
{
    siglongjmp(back, sig);
}

static void test_shm_attach(void)
{
    struct shmid_ds ds;
    int id = shmget(IPC_PRIVATE, 3 * 4096, 0600);
    CHECK(id >= 0 && attached(id) == 0);
    char *p = shmat(id, NULL, 0), *q = shmat(id, NULL, SHM_RDONLY);
    CHECK(p != (void *)-1 && q != (void *)-1 && p != q && attached(id) == 2);
    p[0] = 'a', p[2 * 4096] = 'b';
    CHECK(q[0] == 'a' && q[2 * 4096] == 'b' && q[4096] == 0);
    signal(SIGSEGV, on_fault);
    if (sigsetjmp(back, 1) == 0) {
        *(volatile char *)q = 'x';
        FAILED("a segment attached for reading was written");
    }
    signal(SIGSEGV, SIG_DFL);
    CHECK(shmdt(q) == 0 && attached(id) == 1);
    CHECK_ERRNO(shmdt(q), EINVAL);
    CHECK_ERRNO((long)shmat(id, p, 0), EINVAL); /* something is there */
    CHECK(shmat(id, p + 100, SHM_RND | SHM_REMAP) == p && attached(id) == 1);
    IN_CHILD({ /* attached over fork; not any more after the end */
               CHECK(attached(id) == 2 && p[0] == 'a');
               p[1] = 'c';
               CHECK(shmat(id, NULL, 0) != (void *)-1 && attached(id) == 3);
    });
    CHECK(p[1] == 'c' && attached(id) == 1);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_atime > 0 && ds.shm_dtime > 0);
    /* marked for removal it lives until the last one lets go, and can be attached by its id */
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK(attached(id) == 1 && p[0] == 'a');
    IN_CHILD({
        char *r = shmat(id, NULL, 0);
        CHECK(r != (void *)-1 && r[0] == 'a');
        r[0] = 'd';
        CHECK(shmdt(p) == 0);
    });
    CHECK(p[0] == 'd');
    CHECK(shmdt(p) == 0);
    for (int i = 0; i < 1000 && shmctl(id, IPC_STAT, &ds) == 0; i++)
        sleep_ms(1);
    CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EINVAL);
}

/* Attachments that end by a kill and by exec. */
static void test_shm_ends(const char *self)
{
    int id = shmget(IPC_PRIVATE, 4096, 0600), status;
    CHECK(id >= 0);
    char *p = shmat(id, NULL, 0);
    CHECK(p != (void *)-1);
    pid_t pid = start();
    if (pid == 0) {
        CHECK(attached(id) == 2);
        raise(SIGKILL);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == SIGKILL && attached(id) == 1);
    IN_CHILD(execl(self, self, "end", (char *)NULL); FAILED("exec"));
    CHECK(attached(id) == 1);
    CHECK(munmap(p, 4096) == 0 && attached(id) == 0); /* this way as well */
    CHECK_ERRNO(shmdt(p), EINVAL);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

/* ---- semaphores ---- */

static int semaphore(int id, int n, int by, int flags)
{
    struct sembuf op = {(unsigned short)n, (short)by, (short)flags};
    return semop(id, &op, 1);
}

static void test_sem_get(void)
{
    struct semid_ds ds;
    union semun arg = {.buf = &ds};
    CHECK_ERRNO(semget(key, 1, 0), ENOENT);
    CHECK_ERRNO(semget(key, 0, IPC_CREAT | 0600), EINVAL);
    CHECK_ERRNO(semget(key, -1, IPC_CREAT | 0600), EINVAL);
    CHECK_ERRNO(semget(key, 1000000000, IPC_CREAT | 0600), EINVAL);
    int id = semget(key, 3, IPC_CREAT | IPC_EXCL | 0600);
    CHECK(id >= 0);
    CHECK_ERRNO(semget(key, 3, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    CHECK(semget(key, 0, 0) == id && semget(key, 3, IPC_CREAT) == id);
    CHECK_ERRNO(semget(key, 4, 0), EINVAL);
    CHECK(semctl(id, 0, IPC_STAT, arg) == 0);
    CHECK(ds.sem_nsems == 3 && ds.sem_otime == 0 && ds.sem_ctime > 0 &&
          (ds.sem_perm.mode & 0777) == 0600);
    CHECK_ERRNO(semctl(id + 1, 0, IPC_STAT, arg), EINVAL);
    CHECK_ERRNO(semctl(-1, 0, GETVAL), EINVAL);
    CHECK_ERRNO(semctl(id, 3, GETVAL), EINVAL);
    CHECK_ERRNO(semctl(id, -1, GETVAL), EINVAL);
    CHECK_ERRNO(semctl(id, 0, 99, arg), EINVAL);
    arg.buf = (void *)8;
    CHECK_ERRNO(semctl(id, 0, IPC_STAT, arg), EFAULT);
    CHECK_ERRNO(semctl(id, 0, GETALL, arg), EFAULT);
    CHECK_ERRNO(semctl(id, 0, SETALL, arg), EFAULT);
    arg.val = -1;
    CHECK_ERRNO(semctl(id, 0, SETVAL, arg), ERANGE);
    arg.val = 32768;
    CHECK_ERRNO(semctl(id, 0, SETVAL, arg), ERANGE);
    arg.val = 7;
    CHECK(semctl(id, 1, SETVAL, arg) == 0 && semctl(id, 1, GETVAL) == 7);
    CHECK(semctl(id, 1, GETPID) == getpid());
    unsigned short values[3] = {9, 9, 9};
    arg.array = values;
    CHECK(semctl(id, 0, GETALL, arg) == 0 && values[0] == 0 && values[1] == 7 && values[2] == 0);
    values[2] = 40000;
    CHECK_ERRNO(semctl(id, 0, SETALL, arg), ERANGE);
    values[0] = 1, values[2] = 3;
    CHECK(semctl(id, 0, SETALL, arg) == 0 && semctl(id, 2, GETVAL) == 3);
    if (geteuid() == 0)
        IN_CHILD({
            become_nobody();
            arg.buf = &ds;
            CHECK_ERRNO(semget(key, 0, 0400), EACCES);
            CHECK_ERRNO(semctl(id, 0, IPC_STAT, arg), EACCES);
            CHECK_ERRNO(semctl(id, 0, GETVAL), EACCES);
            CHECK_ERRNO(semctl(id, 0, IPC_RMID), EPERM);
            CHECK_ERRNO(semaphore(id, 0, 1, 0), EACCES);
            CHECK_ERRNO(semaphore(id, 0, 0, 0), EACCES);
        });
    arg.buf = &ds;
    CHECK(semctl(id, 0, IPC_STAT, arg) == 0);
    ds.sem_perm.mode = 0644;
    CHECK(semctl(id, 0, IPC_SET, arg) == 0);
    if (geteuid() == 0)
        IN_CHILD({
            become_nobody();
            CHECK(semctl(id, 1, GETVAL) == 7);
            CHECK_ERRNO(semaphore(id, 0, 1, 0), EACCES);
            arg.val = 1;
            CHECK_ERRNO(semctl(id, 0, SETVAL, arg), EACCES);
        });
    CHECK(semctl(id, 0, IPC_RMID) == 0);
    CHECK_ERRNO(semctl(id, 0, GETVAL), EINVAL);
    CHECK_ERRNO(semaphore(id, 0, 1, 0), EINVAL);
}

static void test_sem_operations(void)
{
    struct sembuf ops[600] = {{0, 1, 0}};
    struct timespec soon = {0, 1000000}, bad = {0, 2000000000};
    struct semid_ds ds;
    union semun arg;
    int id = semget(IPC_PRIVATE, 3, 0600);
    CHECK(id >= 0);
    CHECK_ERRNO(semop(id, ops, 0), EINVAL);
    CHECK_ERRNO(semop(id, ops, 501), E2BIG);
    CHECK_ERRNO(semop(id, (void *)8, 1), EFAULT);
    CHECK_ERRNO(semop(-1, ops, 1), EINVAL);
    CHECK_ERRNO(semaphore(id, 3, 1, 0), EFBIG);
    CHECK_ERRNO(semaphore(id, 0, -1, IPC_NOWAIT), EAGAIN);
    CHECK(semaphore(id, 0, 5, 0) == 0 && semaphore(id, 0, -5, 0) == 0);
    CHECK(semaphore(id, 0, 0, 0) == 0);
    CHECK(semaphore(id, 0, 1, 0) == 0);
    CHECK_ERRNO(semaphore(id, 0, 0, IPC_NOWAIT), EAGAIN);
    CHECK(semaphore(id, 0, 32766, 0) == 0);
    CHECK_ERRNO(semaphore(id, 0, 1, 0), ERANGE);
    CHECK(semaphore(id, 0, -32767, 0) == 0);
    arg.buf = &ds;
    CHECK(semctl(id, 0, IPC_STAT, arg) == 0 && ds.sem_otime > 0);
    /* all or nothing */
    ops[0] = (struct sembuf){0, 2, 0};
    ops[1] = (struct sembuf){1, -1, IPC_NOWAIT};
    ops[2] = (struct sembuf){2, 1, 0};
    CHECK_ERRNO(semop(id, ops, 3), EAGAIN);
    CHECK(semctl(id, 0, GETVAL) == 0 && semctl(id, 2, GETVAL) == 0);
    CHECK(semaphore(id, 1, 1, 0) == 0);
    CHECK(semop(id, ops, 3) == 0);
    CHECK(semctl(id, 0, GETVAL) == 2 && semctl(id, 1, GETVAL) == 0 && semctl(id, 2, GETVAL) == 1);
    /* one after the other in the list */
    ops[0] = (struct sembuf){0, -2, 0};
    ops[1] = (struct sembuf){0, 0, IPC_NOWAIT};
    ops[2] = (struct sembuf){0, 1, 0};
    CHECK(semop(id, ops, 3) == 0 && semctl(id, 0, GETVAL) == 1);
    CHECK_ERRNO(semtimedop(id, &(struct sembuf){1, -1, 0}, 1, &soon), EAGAIN);
    CHECK_ERRNO(semtimedop(id, &(struct sembuf){1, -1, 0}, 1, &bad), EINVAL);
    CHECK(semtimedop(id, &(struct sembuf){0, -1, 0}, 1, &soon) == 0);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
}

static void test_sem_waits(void)
{
    union semun arg = {.val = 0};
    int id = semget(IPC_PRIVATE, 2, 0600);
    CHECK(id >= 0);
    /* somebody waits, and is counted; then goes on */
    pid_t pid = start(), other;
    if (pid == 0) {
        CHECK(semaphore(id, 0, -2, 0) == 0);
        _exit(0);
    }
    while (semctl(id, 0, GETNCNT) != 1)
        sleep_ms(1);
    CHECK(semctl(id, 0, GETZCNT) == 0 && semctl(id, 1, GETNCNT) == 0);
    CHECK(semaphore(id, 0, 1, 0) == 0);
    CHECK(semctl(id, 0, GETNCNT) == 1);
    CHECK(semaphore(id, 0, 1, 0) == 0);
    finish(pid);
    CHECK(semctl(id, 0, GETVAL) == 0 && semctl(id, 0, GETNCNT) == 0 &&
          semctl(id, 0, GETPID) == pid);
    /* for zero; SETVAL lets go as well */
    CHECK(semaphore(id, 1, 1, 0) == 0);
    pid = start();
    if (pid == 0) {
        CHECK(semaphore(id, 1, 0, 0) == 0);
        _exit(0);
    }
    while (semctl(id, 1, GETZCNT) != 1)
        sleep_ms(1);
    CHECK(semctl(id, 1, SETVAL, arg) == 0);
    finish(pid);
    /* killed while waiting: nothing is taken */
    pid = start();
    if (pid == 0) {
        semaphore(id, 0, -1, 0);
        _exit(9);
    }
    while (semctl(id, 0, GETNCNT) != 1)
        sleep_ms(1);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    CHECK(semctl(id, 0, GETNCNT) == 0);
    CHECK(semaphore(id, 0, 1, 0) == 0 && semctl(id, 0, GETVAL) == 1);
    CHECK(semaphore(id, 0, -1, 0) == 0);
    /* a signal: EINTR, even with SA_RESTART */
    for (int flags = 0; flags < 2; flags++)
        IN_CHILD({
            signals_come(flags ? SA_RESTART : 0);
            CHECK_ERRNO(semaphore(id, 0, -1, 0), EINTR);
        });
    /* the set goes */
    pid = start();
    if (pid == 0) {
        CHECK_ERRNO(semaphore(id, 0, -1, 0), EIDRM);
        _exit(0);
    }
    other = start();
    if (other == 0) {
        struct timespec long_time = {100, 0};
        CHECK_ERRNO(semtimedop(id, &(struct sembuf){1, -1, 0}, 1, &long_time), EIDRM);
        _exit(0);
    }
    while (semctl(id, 0, GETNCNT) != 1 || semctl(id, 1, GETNCNT) != 1)
        sleep_ms(1);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
    finish(pid);
    finish(other);
}

static void test_sem_undo(const char *self)
{
    union semun arg = {.val = 10};
    char number[16];
    int id = semget(IPC_PRIVATE, 2, 0600), status;
    CHECK(id >= 0);
    CHECK(semctl(id, 0, SETVAL, arg) == 0);
    IN_CHILD({
        CHECK(semaphore(id, 0, -3, SEM_UNDO) == 0 && semaphore(id, 1, 2, SEM_UNDO) == 0);
        CHECK(semaphore(id, 0, 1, SEM_UNDO) == 0 && semaphore(id, 1, 5, 0) == 0);
        CHECK(semctl(id, 0, GETVAL) == 8 && semctl(id, 1, GETVAL) == 7);
        IN_CHILD(_exit(0)); /* a fork has nothing to undo */
        CHECK(semctl(id, 0, GETVAL) == 8);
    });
    CHECK(semctl(id, 0, GETVAL) == 10 && semctl(id, 1, GETVAL) == 5);
    pid_t pid = start(); /* killed */
    if (pid == 0) {
        CHECK(semaphore(id, 0, -10, SEM_UNDO) == 0);
        raise(SIGKILL);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == SIGKILL);
    CHECK(semctl(id, 0, GETVAL) == 10);
    IN_CHILD({ /* kept over exec: what comes after it sees the change, and then it is taken back */
               CHECK(semaphore(id, 0, -4, SEM_UNDO) == 0);
               snprintf(number, sizeof number, "%d", id);
               execl(self, self, "undo", number, (char *)NULL);
               FAILED("exec");
    });
    CHECK(semctl(id, 0, GETVAL) == 10);
    IN_CHILD({ /* SETVAL means that there is nothing to take back any more */
               CHECK(semaphore(id, 0, -4, SEM_UNDO) == 0);
               arg.val = 20;
               CHECK(semctl(id, 0, SETVAL, arg) == 0);
    });
    CHECK(semctl(id, 0, GETVAL) == 20);
    /* an undo wakes whoever waits */
    arg.val = 0;
    CHECK(semctl(id, 0, SETVAL, arg) == 0);
    CHECK(semaphore(id, 0, 1, 0) == 0);
    pid = start();
    if (pid == 0) {
        CHECK(semaphore(id, 0, -1, SEM_UNDO) == 0);
        while (semctl(id, 0, GETNCNT) != 1)
            sleep_ms(1);
        raise(SIGKILL);
    }
    while (semctl(id, 0, GETVAL) != 0)
        sleep_ms(1);
    CHECK(semaphore(id, 0, -1, 0) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == SIGKILL);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
}

/* As a lock among processes. */
static void test_sem_lock(void)
{
    int id = semget(IPC_PRIVATE, 1, 0600), status;
    CHECK(id >= 0 && semaphore(id, 0, 1, 0) == 0);
    shared[1] = 0;
    for (int i = 0; i < 3; i++)
        if (start() == 0) {
            for (int n = 0; n < 200; n++) {
                CHECK(semaphore(id, 0, -1, SEM_UNDO) == 0);
                int before = shared[1];
                sched_yield();
                shared[1] = before + 1;
                CHECK(semaphore(id, 0, 1, SEM_UNDO) == 0);
            }
            _exit(0);
        }
    for (int i = 0; i < 3; i++)
        CHECK(wait(&status) > 0 && status == 0);
    CHECK(shared[1] == 600);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
}

/* ---- messages ---- */

struct message {
    long type;
    char text[8200];
};

static int send_text(int id, long type, const char *text, int flags)
{
    struct message m = {.type = type};
    strcpy(m.text, text);
    return msgsnd(id, &m, strlen(text), flags);
}

/* What the next message of this kind is. */
static const char *receive(int id, long type, int flags)
{
    static struct message m;
    memset(&m, 0, sizeof m);
    ssize_t n = msgrcv(id, &m, sizeof m.text, type, flags);
    return n < 0 ? strerror(errno) : m.text;
}

/* MSG_COPY: what stands at a place in the queue, which stays. Not every Linux has been built with
 * it. */
static void test_looking(int id)
{
    static struct message m;
    struct msqid_ds ds;
    if (msgrcv(id, &m, 100, 0, MSG_COPY | IPC_NOWAIT) < 0 && errno == ENOSYS)
        return;
    CHECK(!strcmp(receive(id, 0, MSG_COPY | IPC_NOWAIT), "three"));
    CHECK(!strcmp(receive(id, 1, MSG_COPY | IPC_NOWAIT), "one"));
    CHECK(!strcmp(receive(id, 3, MSG_COPY | IPC_NOWAIT), "drei"));
    CHECK_ERRNO(msgrcv(id, &m, 100, 4, MSG_COPY | IPC_NOWAIT), ENOMSG);
    CHECK_ERRNO(msgrcv(id, &m, 100, -1, MSG_COPY | IPC_NOWAIT), ENOMSG);
    CHECK_ERRNO(msgrcv(id, &m, 100, 0, MSG_COPY), EINVAL);
    CHECK_ERRNO(msgrcv(id, &m, 100, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT), EINVAL);
    CHECK_ERRNO(msgrcv(id, &m, 4, 0, MSG_COPY | IPC_NOWAIT), E2BIG);
    CHECK(msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qnum == 4 && ds.msg_lrpid == 0);
}

static void test_messages(void)
{
    static struct message m;
    struct msqid_ds ds;
    CHECK_ERRNO(msgget(key, 0), ENOENT);
    int id = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
    CHECK(id >= 0);
    CHECK_ERRNO(msgget(key, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    CHECK(msgget(key, 0) == id);
    CHECK_ERRNO(msgctl(id + 1, IPC_STAT, &ds), EINVAL);
    CHECK_ERRNO(msgctl(-1, IPC_STAT, &ds), EINVAL);
    CHECK_ERRNO(msgctl(id, 99, &ds), EINVAL);
    CHECK_ERRNO(msgctl(id, IPC_STAT, (void *)8), EFAULT);
    CHECK_ERRNO(send_text(id, 0, "x", 0), EINVAL);
    CHECK_ERRNO(send_text(id, -1, "x", 0), EINVAL);
    CHECK_ERRNO(send_text(id + 1, 1, "x", 0), EINVAL);
    m.type = 1;
    CHECK_ERRNO(msgsnd(id, &m, 8193, 0), EINVAL);
    CHECK_ERRNO(msgsnd(id, &m, (size_t)-1, 0), EINVAL);
    CHECK_ERRNO(msgsnd(id, (void *)8, 1, 0), EFAULT);
    CHECK_ERRNO(msgrcv(id, &m, 10, 0, IPC_NOWAIT), ENOMSG);
    CHECK_ERRNO(msgrcv(id, &m, (size_t)-1, 0, 0), EINVAL);
    CHECK_ERRNO(msgrcv(id + 1, &m, 10, 0, 0), EINVAL);
    CHECK(send_text(id, 3, "three", 0) == 0 && send_text(id, 1, "one", 0) == 0 &&
          send_text(id, 2, "", 0) == 0 && send_text(id, 3, "drei", 0) == 0);
    CHECK(msgctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.msg_qnum == 4 && ds.msg_cbytes == 12 && ds.msg_lspid == getpid() &&
          ds.msg_lrpid == 0 && ds.msg_stime > 0 && ds.msg_rtime == 0 && ds.msg_qbytes == 16384);
    test_looking(id);
    CHECK_ERRNO(msgrcv(id, &m, 4, 3, 0), E2BIG); /* and it stays */
    CHECK_ERRNO(msgrcv(id, &m, 100, 4, IPC_NOWAIT), ENOMSG);
    CHECK(!strcmp(receive(id, 3, MSG_EXCEPT), "one"));
    CHECK(msgrcv(id, &m, 100, -2, 0) == 0 && m.type == 2); /* the lowest up to 2 */
    CHECK(msgrcv(id, &m, 3, 0, MSG_NOERROR) == 3 && m.type == 3 && !memcmp(m.text, "thr", 3));
    CHECK(!strcmp(receive(id, -100, 0), "drei"));
    CHECK(msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qnum == 0 && ds.msg_cbytes == 0 &&
          ds.msg_lrpid == getpid() && ds.msg_rtime > 0);
    if (geteuid() == 0)
        IN_CHILD({
            become_nobody();
            CHECK_ERRNO(msgget(key, 0400), EACCES);
            CHECK_ERRNO(send_text(id, 1, "x", 0), EACCES);
            CHECK_ERRNO(msgrcv(id, &m, 10, 0, IPC_NOWAIT), EACCES);
            CHECK_ERRNO(msgctl(id, IPC_STAT, &ds), EACCES);
            CHECK_ERRNO(msgctl(id, IPC_RMID, NULL), EPERM);
        });
    /* full */
    m.type = 5;
    for (int i = 0; i < 2; i++) {
        m.text[0] = (char)('0' + i);
        CHECK(msgsnd(id, &m, 8192, 0) == 0);
    }
    CHECK_ERRNO(send_text(id, 1, "x", IPC_NOWAIT), EAGAIN);
    pid_t pid = start();
    if (pid == 0) { /* waits for room */
        CHECK(send_text(id, 6, "late", 0) == 0);
        _exit(0);
    }
    sleep_ms(10);
    CHECK(msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qnum == 2);
    CHECK(receive(id, 0, 0)[0] == '0');
    finish(pid);
    CHECK(receive(id, 0, 0)[0] == '1' && !strcmp(receive(id, 0, 0), "late"));
    ds.msg_qbytes = 10;
    CHECK(msgctl(id, IPC_SET, &ds) == 0);
    CHECK_ERRNO(send_text(id, 1, "01234567890", IPC_NOWAIT), EAGAIN);
    CHECK(send_text(id, 1, "0123456789", IPC_NOWAIT) == 0);
    CHECK(!strcmp(receive(id, 1, 0), "0123456789"));
    /* waiting to receive: the right one gets it */
    for (int i = 0; i < 2; i++)
        if (start() == 0) {
            CHECK(!strcmp(receive(id, i + 1, 0), i ? "second" : "first"));
            _exit(0);
        }
    sleep_ms(10);
    CHECK(send_text(id, 2, "second", 0) == 0);
    CHECK(send_text(id, 1, "first", 0) == 0);
    for (int i = 0, status; i < 2; i++)
        CHECK(wait(&status) > 0 && status == 0);
    for (int flags = 0; flags < 2; flags++)
        IN_CHILD({
            signals_come(flags ? SA_RESTART : 0);
            CHECK_ERRNO(msgrcv(id, &m, 10, 0, 0), EINTR);
            ds.msg_qbytes = 0;
            CHECK(msgctl(id, IPC_SET, &ds) == 0);
            CHECK_ERRNO(send_text(id, 1, "x", 0), EINTR);
        });
    pid = start();
    if (pid == 0) { /* killed while it waits: the next message is not lost */
        receive(id, 0, 0);
        _exit(9);
    }
    sleep_ms(10);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    ds.msg_qbytes = 16384;
    CHECK(msgctl(id, IPC_SET, &ds) == 0);
    CHECK(send_text(id, 1, "kept", 0) == 0);
    CHECK(!strcmp(receive(id, 0, IPC_NOWAIT), "kept"));
    pid = start();
    if (pid == 0) {
        errno = 0;
        msgrcv(id, &m, 10, 0, 0);
        _exit(errno != EIDRM && errno != EINVAL); /* as it came before the end or after */
    }
    sleep_ms(10);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
    finish(pid);
    CHECK_ERRNO(send_text(id, 1, "x", 0), EINVAL);
}

/* ---- /proc/sysvipc ---- */

static void test_proc(void)
{
    int shm = shmget(key, 12345, IPC_CREAT | 0600), sem = semget(key, 4, IPC_CREAT | 0600),
        msg = msgget(key, IPC_CREAT | 0600);
    static const char *const files[] = {"shm", "sem", "msg"};
    int ids[] = {shm, sem, msg};
    for (int i = 0; i < 3; i++) {
        char path[64], line[512];
        int found = 0, k;
        unsigned id, mode, third;
        snprintf(path, sizeof path, "/proc/sysvipc/%s", files[i]);
        FILE *f = fopen(path, "r");
        CHECK(f && fgets(line, sizeof line, f) && strstr(line, "key"));
        while (fgets(line, sizeof line, f))
            if (sscanf(line, "%d %u %o %u", &k, &id, &mode, &third) == 4 && k == key)
                found += (int)id == ids[i] && (mode & 0777) == 0600 &&
                         third == (i == 0   ? 12345u
                                   : i == 1 ? 4u
                                            : 0u);
        CHECK(found == 1);
        fclose(f);
    }
    CHECK(shmctl(shm, IPC_RMID, NULL) == 0 && semctl(sem, 0, IPC_RMID) == 0 &&
          msgctl(msg, IPC_RMID, NULL) == 0);
}

int main(int argc, char **argv)
{
    static char self[256];
    if (argc > 2) { /* after exec, with something to undo */
        CHECK(semctl(atoi(argv[2]), 0, GETVAL) == 6);
        return 0;
    }
    if (argc > 1)
        return 0;
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    key = (key_t)(0x4d000000 + getpid());
    test_shm_get();
    test_shm_attach();
    test_shm_ends(self);
    test_sem_get();
    test_sem_operations();
    test_sem_waits();
    test_sem_undo(self);
    test_sem_lock();
    test_messages();
    test_proc();
    puts("ok");
    return 0;
}
