/* SPDX-License-Identifier: MIT */
/*
 * What the I/O half needs of the other half of the runtime. Sees the runtime's headers, not the
 * host's.
 */
#include "event.h"
#include "internal.h"
#include "px.h"

void *calloc(size_t, size_t);
void free(void *);
_Noreturn void abort(void);
void *mmap(void *, size_t, int, int, int, long);
int munmap(void *, size_t);
int clock_gettime(int, void *);
int vsnprintf(char *, size_t, const char *, __builtin_va_list);
int dprintf(int, const char *, ...);

_Thread_local struct px_thread host_self;
_Thread_local int host_signal;
struct px_process px_first_process;
static struct motor_start start;
static struct px_limits nofile = {1024, 1024};
extern void *engine_connector;
motor_handle kernel_gate(void *object);

struct px_thread *px_self(void)
{
    return &host_self;
}

/* Of a machine with processors to spare, so that waits begin with a look. */
const volatile struct motor_kinfo *px_kinfo(void)
{
    static const volatile struct motor_kinfo info = {.unhurried_cpus = 2};
    return &info;
}

void host_thread(void)
{
    host_self.process = &px_first_process;
}

void host_start(void)
{
    struct px_process *p = &px_first_process;
    host_thread();
    p->start = &start;
    p->net = kernel_gate(engine_connector);
    p->tty = kernel_gate(engine_connector);
    p->limit[RLIMIT_NOFILE] = nofile;
    px_files_prepare(p);
    px_files_start(p);
}

void host_set_nofile(unsigned limit)
{
    px_first_process.limit[RLIMIT_NOFILE].soft = limit;
}

uint64_t px_limit(unsigned resource)
{
    return resource == RLIMIT_NOFILE
               ? __atomic_load_n(&px_first_process.limit[RLIMIT_NOFILE].soft, __ATOMIC_RELAXED)
               : RLIM_INFINITY;
}

bool px_interrupted(void)
{
    return false;
}

void px_take_interruption(void) {}

static bool bad(const void *p)
{
    return (uint64_t)p < 4096;
}

long px_copy_in(void *to, const void *user, size_t size)
{
    if (size && bad(user))
        return -EFAULT;
    memcpy(to, user, size);
    return 0;
}

long px_copy_out(void *user, const void *from, size_t size)
{
    if (size && bad(user))
        return -EFAULT;
    memcpy(user, from, size);
    return 0;
}

long px_zero_out(void *user, size_t size)
{
    memset(user, 0, size);
    return 0;
}

long px_copy_string(char *to, const char *user, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!(to[i] = user[i]))
            return (long)i;
    return -ENAMETOOLONG;
}

long px_load32(const uint32_t *user, uint32_t *value)
{
    return px_copy_in(value, user, 4);
}

long px_store32(uint32_t *user, uint32_t value)
{
    return px_copy_out(user, &value, 4);
}

void *px_alloc(size_t size)
{
    return calloc(1, size);
}

void px_free(void *p)
{
    free(p);
}

void *px_map(size_t size)
{
    void *p = mmap(NULL, size, 3, 0x4022, -1, 0);
    return p == (void *)-1 ? NULL : p;
}

void *px_map_below(size_t size)
{
    return px_map(size);
}

int64_t px_map_unforked(motor_handle vmo, size_t size)
{
    return motor_map(0, vmo, 0, 0, size, MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_NOFORK);
}

void px_unmap(void *p, size_t size)
{
    munmap(p, size);
}

static uint64_t clock_ns(int clock)
{
    struct px_timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.sec * 1000000000u + (uint64_t)t.nsec;
}

uint64_t px_realtime(void)
{
    return clock_ns(CLOCK_REALTIME);
}

uint64_t px_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t px_deadline_ms(int ms)
{
    return ms < 0 ? MOTOR_NEVER : px_now() + (uint64_t)ms * 1000000u;
}

uint64_t px_deadline_after(const struct px_timespec *t)
{
    return px_now() + (uint64_t)t->sec * 1000000000u + (uint64_t)t->nsec;
}

uint64_t px_deadline_realtime(uint64_t ns)
{
    uint64_t now = clock_ns(CLOCK_REALTIME);
    return px_now() + (ns > now ? ns - now : 0);
}

long px_deadline_in(const void *user, uint64_t *deadline)
{
    *deadline = user ? px_deadline_after(user) : MOTOR_NEVER;
    return 0;
}

uint64_t px_timespec_ns(const struct px_timespec *t)
{
    return (uint64_t)t->sec * 1000000000u + (uint64_t)t->nsec;
}

long px_timespec_in(const void *user, struct px_timespec *t)
{
    return px_copy_in(t, user, sizeof *t);
}

long px_sigmask_temporary(const void *set, size_t size)
{
    (void)set, (void)size;
    return 0;
}

bool px_signal_deaf(int sig)
{
    (void)sig;
    return true;
}

long px_sys_kill(int pid, int sig)
{
    (void)pid, (void)sig;
    return 0;
}

long px_sys_rt_sigqueueinfo(int pid, int sig, const void *user)
{
    (void)pid, (void)sig, (void)user;
    return 0;
}

void px_signal_self(int sig, int code)
{
    (void)code;
    host_signal = sig;
}

void px_fatal(const char *what)
{
    dprintf(2, "runtime: %s\n", what);
    abort();
}

size_t px_format(char *to, size_t size, const char *format, ...)
{
    __builtin_va_list args;
    __builtin_va_start(args, format);
    int n = vsnprintf(to, size, format, args);
    __builtin_va_end(args);
    return (size_t)n < size ? (size_t)n : size - 1;
}

/* There are no children here. */
motor_handle px_vfork_embryo(struct px_vfork *v)
{
    (void)v;
    return 0;
}

/* Signals, and so signalfds, are the other half's. */
const struct px_ops px_signalfd_ops;

void px_signalfd_list(struct px_file *f)
{
    (void)f;
}
