/* SPDX-License-Identifier: MIT */
/* The process: its state, its end, and the bookkeeping of the call table. */
#include "fd.h"
#include "internal.h"

#define CALLS                  453u
#define PRIVATE_UNMAP_AND_EXIT 0x4d0001u

PX_HOT struct px_process px_first_process;
const int32_t *px_dispatch = px_table;

/* ---- the call table ---- */

/* One string after the other, in the order of calls.def: no pointers, so nothing to relocate. */
static const char names[] =
#define CALL(number, name, ...)   #name "\0"
#define NONE(number, name, error) #name "\0"
#define GAP(from, to)
#include "calls.def"
    ;
#undef CALL
#undef NONE
#undef GAP

static const short numbers[] = {
#define CALL(number, name, ...)   number,
#define NONE(number, name, error) number,
#define GAP(from, to)
#include "calls.def"
#undef CALL
#undef NONE
#undef GAP
};

static const char errno_names[] =
#define X(name, value) #name "\0"
#include "errno.def"
    ;
#undef X
static const unsigned char errno_values[] = {
#define X(name, value) value,
#include "errno.def"
#undef X
};

static const unsigned char none_errno[CALLS] = {
#define CALL(number, name, ...)
#define NONE(number, name, error) [number] = error,
#define GAP(from, to)
#include "calls.def"
#undef CALL
#undef NONE
#undef GAP
};

static uint32_t missing_count[CALLS + 1]; /* [atomic] the last: numbers beyond */

uint32_t px_call_number(const struct px_thread *t)
{
    return (uint32_t)(t->kind == PX_ENTRY_CALL ? t->regs.rdi : t->regs.rax);
}

static const char *string_at(const char *list, size_t index)
{
    for (; index; index--) {
        list += strlen(list) + 1;
    }
    return list;
}

const char *px_call_name(uint32_t number)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i] == (short)number && number < CALLS) {
            return string_at(names, i);
        }
    }
    return NULL;
}

const char *px_errno_name(long error)
{
    for (size_t i = 0; i < sizeof(errno_values); i++) {
        if (errno_values[i] == error) {
            return string_at(errno_names, i);
        }
    }
    return NULL;
}

long px_missing(void)
{
    uint32_t n = px_call_number(px_self());
    __atomic_fetch_add(&missing_count[PX_MIN(n, CALLS)], 1, __ATOMIC_RELAXED);
    return n < CALLS && none_errno[n] ? -(long)none_errno[n] : -ENOSYS;
}

/* Numbers that are not in the table. */
long px_call_other(uint64_t a, uint64_t b);
long px_call_other(uint64_t a, uint64_t b)
{
    if (px_call_number(px_self()) == PRIVATE_UNMAP_AND_EXIT) {
        return px_unmap_and_exit((void *)a, b);
    }
    return px_missing();
}

/* ---- the end ---- */

static void write_missing(motor_handle to, const char *text, size_t size)
{
    struct motor_msg m = {
        .op = IO_WRITE, .in = text, .in_size = size, .deadline = MOTOR_NEVER, .word = {~0ull}};
    px_call(to, &m);
}

void px_report_missing(void)
{
    struct px_process *p = px_proc();
    struct motor_msg m = {.op = IO_TTY_OPEN, .word = {IO_TTY_MISSING}, .deadline = MOTOR_NEVER};
    if (!(p->start->flags & MOTOR_START_REPORT_MISSING) || px_call(p->tty, &m) < 0 || !m.nhandles) {
        return;
    }
    char text[512];
    size_t used = 0;
    for (uint32_t n = 0; n <= CALLS; n++) {
        uint32_t count = __atomic_load_n(&missing_count[n], __ATOMIC_RELAXED);
        if (count) {
            const char *name = px_call_name(n);
            used += px_format(text + used, sizeof(text) - used, "%s %u\n", name ? name : "unknown",
                              count);
        }
        if (used > sizeof(text) - 64 || (n == CALLS && used)) {
            write_missing(m.handle[0], text, used);
            used = 0;
        }
    }
}

static PX_HOT uint32_t ending; /* the first one's status counts; others wait to be killed */

void px_process_forked(struct px_process *p)
{
    p->limits.word = p->memory->lock.word = 0;
    p->attributes.subreaper = p->attributes.death_signal = 0;
    p->presence = 0; /* the parent's, which stayed there */
    ending = 0;      /* another thread of the parent may have been at it */
}

_Noreturn void px_process_end(uint32_t status)
{
    if (px_proc()->vfork) {
        px_vfork_end(status);
    }
    if (__atomic_exchange_n(&ending, 1, __ATOMIC_ACQ_REL) == 0) {
        if (!px_report_raw) {
            px_trace_end(status);
            px_report_missing();
            px_descs_end(px_proc());
        }
        motor_process_exit(0, status);
    }
    for (;;) {
        uint32_t one = 1;
        motor_futex_wait(&one, 1, MOTOR_FUTEX_NOINTR, MOTOR_NEVER, 0);
    }
}

bool px_report_raw;

/*
 * Without locks: to the kernel's log, where root's programs may write; what others say goes to
 * what their fd 2 is, if a plain call can write there.
 */
static void report_raw(const char *text, size_t length)
{
    struct motor_msg msg = {.op = IO_WRITE,
                            .word = {~0ull, O_APPEND | O_NONBLOCK},
                            .in = text,
                            .in_size = length,
                            .deadline = MOTOR_NEVER};
    if (motor_debug_write(text, length) >= 0 || !px_proc()->files) {
        return;
    }
    const struct px_file *f = (const void *)(px_files()->table[2] & ~1ull);
    if (f && (f->kind == PX_FILE || f->kind == PX_TTY || f->kind == PX_PIPE)) {
        motor_call(f->handle, &msg);
    }
}

/*
 * After a fault of the runtime itself its locks may be held for ever: then only the kernel's log is
 * safe.
 */
void px_report(const char *text, size_t length)
{
    if (px_proc()->files && !px_report_raw) {
        px_sys_write(2, text, length);
    } else {
        report_raw(text, length);
    }
}

_Noreturn void px_fatal(const char *what)
{
    char text[128];
    size_t n = px_format(text, sizeof(text), "motor runtime: %s\n", what);
    report_raw(text, n);
    motor_process_exit(0, SIGABRT);
    for (;;) {
    }
}

/* ---- limits ---- */

uint64_t px_limit(unsigned resource)
{
    return __atomic_load_n(&px_proc()->limit[resource & 15].soft, __ATOMIC_RELAXED);
}

/* The limits that the kernel keeps. */
static void publish_limit(unsigned resource, uint64_t soft)
{
    uint64_t value = PX_MIN(soft, (uint64_t)UINT32_MAX);
    if (resource == RLIMIT_NPROC) {
        motor_process_set(px_proc_handle(), MOTOR_PSET_PROCESS_LIMIT, value);
    } else if (resource == RLIMIT_SIGPENDING) {
        motor_process_set(px_proc_handle(), MOTOR_PSET_SIGNAL_LIMIT, value);
    }
}

long px_sys_prlimit64(int pid, unsigned resource, const void *new, void *old)
{
    struct px_process *p = px_proc();
    struct px_limits limit, before;
    bool other = pid && (uint32_t)pid != p->pid;
    if (resource >= 16) {
        return -EINVAL;
    }
    if (new &&px_copy_in(&limit, new, sizeof(limit)) < 0) {
        return -EFAULT;
    }
    if (new &&limit.soft > limit.hard) {
        return -EINVAL;
    }
    if (other) {
        long result = px_limit_other(pid, resource, new ? &limit : NULL, &before);
        return result < 0 || !old ? result : px_copy_out(old, &before, sizeof(before));
    }
    long status = 0;
    px_lock(&p->limits);
    before = p->limit[resource];
    if (new &&limit.hard > before.hard && p->euid != 0) {
        status = -EPERM;
    } else if (new &&resource == RLIMIT_NOFILE && limit.hard > MOTOR_HANDLES_MAX) {
        status = -EPERM;
    } else if (new) {
        p->limit[resource] = limit;
    }
    if (status == 0 && new) {
        publish_limit(resource, limit.soft);
    }
    px_unlock(&p->limits);
    if (status < 0) {
        return status;
    }
    return old ? px_copy_out(old, &before, sizeof(before)) : 0;
}

long px_sys_getrlimit(unsigned resource, void *limit)
{
    return limit ? px_sys_prlimit64(0, resource, NULL, limit) : -EFAULT;
}

long px_sys_setrlimit(unsigned resource, const void *limit)
{
    return limit ? px_sys_prlimit64(0, resource, limit, NULL) : -EFAULT;
}
