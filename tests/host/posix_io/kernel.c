/* SPDX-License-Identifier: MIT */
/* The system calls that the I/O half makes, on Linux. */
#define _GNU_SOURCE
#include "host.h"
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <motor/syscall.h>

#define HANDLES 65536u
static struct {
    void *object; /* gates */
    int fd;       /* 1 + of a vmo */
} handles[HANDLES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
unsigned kernel_handles, kernel_entries, kernel_notifies, kernel_pause_us;

static motor_handle add(void *object, int fd)
{
    pthread_mutex_lock(&lock);
    motor_handle h = 2;
    while (handles[h].object || handles[h].fd)
        CHECK(++h < HANDLES);
    handles[h].object = object;
    handles[h].fd = fd;
    __atomic_fetch_add(&kernel_handles, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&lock);
    return h;
}

motor_handle kernel_gate(void *object)
{
    return add(object, 0);
}

void *kernel_object(motor_handle h)
{
    if (h >= HANDLES)
        return NULL;
    pthread_mutex_lock(&lock);
    void *object = handles[h].object;
    pthread_mutex_unlock(&lock);
    return object;
}

static int vmo_fd(motor_handle h)
{
    pthread_mutex_lock(&lock);
    int fd = handles[h].fd - 1;
    pthread_mutex_unlock(&lock);
    CHECK(fd >= 0);
    return fd;
}

void *kernel_map_vmo(motor_handle vmo, uint64_t size)
{
    /* nothing follows it: who goes beyond is told */
    void *p =
        mmap(NULL, size + 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK(mmap(p, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, vmo_fd(vmo),
               0) == p);
    return p;
}

static void *map_anonymous(uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static int64_t close_handle(motor_handle h)
{
    CHECK(engine_hostile || (h < HANDLES && h));
    if (h == 1 || h >= HANDLES)
        return 0;
    pthread_mutex_lock(&lock);
    void *object = handles[h].object;
    int fd = handles[h].fd;
    CHECK(object || fd || engine_hostile);
    if ((!object && !fd) || (engine_hostile && fd)) { /* a handle out of nonsense */
        pthread_mutex_unlock(&lock);
        return -MOTOR_EHANDLE;
    }
    memset(&handles[h], 0, sizeof handles[h]);
    __atomic_fetch_sub(&kernel_handles, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&lock);
    if (fd)
        close(fd - 1);
    else
        engine_closed(object);
    return 0;
}

void kernel_pause(void)
{
    static _Thread_local uint64_t seed;
    if (!seed)
        seed = (uint64_t)gettid() * 0x9e3779b97f4a7c15u | 1;
    if (kernel_pause_us && next_random(&seed) % 64 == 0)
        usleep(1 + (useconds_t)(next_random(&seed) % kernel_pause_us));
}

static int64_t futex_wait(uint32_t *word, uint32_t expected, uint32_t flags, uint64_t deadline)
{
    kernel_pause();
    struct timespec t = {(time_t)(deadline / 1000000000u), (long)(deadline % 1000000000u)};
    int op = FUTEX_WAIT_BITSET | (flags & MOTOR_FUTEX_SHARED ? 0 : FUTEX_PRIVATE_FLAG);
    if (syscall(SYS_futex, word, op, expected, deadline == MOTOR_NEVER ? NULL : &t, NULL,
                FUTEX_BITSET_MATCH_ANY) == 0)
        return 0;
    return errno == ETIMEDOUT ? -MOTOR_ETIMEOUT
           : errno == EAGAIN  ? -MOTOR_EAGAIN
           : errno == EINTR   ? -MOTOR_EINTR
                              : -MOTOR_EFAULT;
}

void kernel_wake(uint32_t *word)
{
    kernel_pause();
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

int64_t motor_raw_syscall(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                          uint64_t f)
{
    (void)e, (void)f;
    __atomic_fetch_add(&kernel_entries, 1, __ATOMIC_RELAXED);
    switch (n) {
    case MOTOR_SYS_vmo_create: {
        int fd = memfd_create("vmo", 0);
        CHECK(fd >= 0 && ftruncate(fd, (off_t)a) == 0);
        return add(NULL, fd + 1);
    }
    case MOTOR_SYS_map:
        return (int64_t)(b ? kernel_map_vmo((motor_handle)b, e) : map_anonymous(e));
    case MOTOR_SYS_process_set: /* words that say that it has died: it does not */
        return 0;
    case MOTOR_SYS_handle_dup:
        return a ? -MOTOR_EHANDLE : 1; /* this process */
    case MOTOR_SYS_handle_close:
        return close_handle((motor_handle)a);
    case MOTOR_SYS_futex_wait:
        return futex_wait((uint32_t *)a, (uint32_t)b, (uint32_t)c, d);
    case MOTOR_SYS_futex_wake:
        return syscall(SYS_futex, a, FUTEX_WAKE | (c & MOTOR_FUTEX_SHARED ? 0 : FUTEX_PRIVATE_FLAG),
                       (int)b, NULL, NULL, 0);
    case MOTOR_SYS_notify:
        __atomic_fetch_add(&kernel_notifies, 1, __ATOMIC_RELAXED);
        engine_notify();
        return 0;
    case MOTOR_SYS_call: {
        struct motor_msg *m = (struct motor_msg *)b;
        m->nhandles &= 0xff;
        m->status = engine_call(kernel_object((motor_handle)a), m);
        return 0;
    }
    default:
        CHECK(!"a system call that the harness does not have");
        return -MOTOR_ENOSYS;
    }
}
