/* SPDX-License-Identifier: MIT */
/*
 * Signals, timers, ELF parsing and formatting of the runtime against a kernel and a clock made up
 * here. Three threads exist as blocks; `current` is the one whose calls are made. Interruptions are
 * recorded, not acted upon.
 */
#include "internal.h"

#include "elf.h"

void *host_map(size_t size);
_Noreturn void host_fail(const char *file, int line, const char *what);
#define CHECK(condition) \
    ((condition) ? (void)0 : host_fail(__FILE__, __LINE__, #condition " is false"))

#define THREADS 3

static struct px_thread thread[THREADS], *current = &thread[0];
static struct px_threads threads;
static struct px_process process = {.pid = 7, .uid = 3, .limit[RLIMIT_SIGPENDING] = {100, 100}};
static struct motor_start start_block;
static unsigned interrupted[THREADS];
static uint64_t now = 1000000000, armed = MOTOR_NEVER;
static int64_t ack_bits, futex_answer;
static void (*on_sleep)(void);

const volatile struct motor_kinfo *px_kinfo(void)
{
    static const volatile struct motor_kinfo info = {.unhurried_cpus = 1};
    return &info;
}

struct px_thread *px_self(void)
{
    return current;
}

int64_t motor_raw_syscall(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                          uint64_t f)
{
    (void)d;
    (void)f;
    switch (n) {
    case MOTOR_SYS_map:
        return (int64_t)host_map(e);
    case MOTOR_SYS_thread_control:
        if (b == MOTOR_THREAD_INTERRUPT) {
            interrupted[a - 1]++;
            thread[a - 1].tcb.pending |= MOTOR_UPCALL_INTERRUPT;
            return 0;
        }
        if (b == MOTOR_THREAD_ACK) {
            int64_t bits = ack_bits | current->tcb.pending;
            current->tcb.pending = 0;
            ack_bits = 0;
            return bits;
        }
        return 0;
    case MOTOR_SYS_timer_set:
        armed = c;
        return 0;
    case MOTOR_SYS_futex_wait:
        if (on_sleep) {
            on_sleep();
        }
        return futex_answer;
    case MOTOR_SYS_futex_wake:
    case MOTOR_SYS_unmap:
    case MOTOR_SYS_process_set:
    case MOTOR_SYS_signal_fetch:
        return 0;
    case MOTOR_SYS_signal_send:
        return -MOTOR_ENOENT; /* there is no other process */
    default:
        host_fail(__FILE__, __LINE__, "an unexpected kernel call");
    }
}

/* ---- the rest of the runtime, as far as it is needed ---- */

struct px_process *px_home(void)
{
    return &process;
}

motor_handle px_proc_handle(void)
{
    return 0;
}

void px_trace_attach(motor_handle handle)
{
    (void)handle;
}

void px_signalfd_came(struct px_process *p)
{
    (void)p;
}

void px_signalfd_poke(struct px_process *p)
{
    (void)p;
}

long px_sys_getpgrp(void)
{
    return process.pid;
}

uint64_t px_now(void)
{
    return now;
}

uint64_t px_realtime(void)
{
    return now + 5000000000;
}

uint64_t px_cpu_time(bool user_only)
{
    (void)user_only;
    return now / 2;
}

uint64_t px_thread_cpu_time(struct px_thread *t)
{
    (void)t;
    return now / 4;
}

long px_copy_in(void *to, const void *user, size_t size)
{
    return user ? (memcpy(to, user, size), 0) : -EFAULT;
}

long px_copy_out(void *user, const void *from, size_t size)
{
    return user ? (memcpy(user, from, size), 0) : -EFAULT;
}

long px_zero_out(void *user, size_t size)
{
    memset(user, 0, size);
    return 0;
}

long px_store32(uint32_t *user, uint32_t value)
{
    *user = value;
    return 0;
}

long px_timespec_in(const void *user, struct px_timespec *t)
{
    memcpy(t, user, sizeof(*t));
    return t->sec < 0 || t->nsec < 0 || t->nsec >= 1000000000 ? -EINVAL : 0;
}

uint64_t px_timespec_ns(const struct px_timespec *t)
{
    return (uint64_t)t->sec * 1000000000 + (uint64_t)t->nsec;
}

uint64_t px_deadline_after(const struct px_timespec *t)
{
    return now + px_timespec_ns(t);
}

long px_deadline_in(const void *user, uint64_t *deadline)
{
    *deadline = user ? px_deadline_after(user) : MOTOR_NEVER;
    return 0;
}

uint64_t px_deadline_realtime(uint64_t ns)
{
    return ns - 5000000000;
}

long px_timespec_out(void *user, uint64_t ns)
{
    struct px_timespec t = {(int64_t)(ns / 1000000000), (int64_t)(ns % 1000000000)};
    memcpy(user, &t, sizeof(t));
    return 0;
}

struct px_thread *px_thread_find(struct px_process *p, uint32_t tid)
{
    (void)p;
    for (int i = 0; i < THREADS; i++) {
        if (thread[i].tid == tid) {
            return &thread[i];
        }
    }
    return NULL;
}

_Noreturn void px_fatal(const char *what)
{
    host_fail(__FILE__, __LINE__, what);
}

/* ---- signals ---- */

static void set_up(void)
{
    process.start = &start_block;
    px_signals_prepare(&process);
    px_signals_start(&process);
    process.threads = &threads;
    px_timers_prepare(&process);
    px_timers_start(&process);
    for (int i = 0; i < THREADS; i++) { /* a list with thread 0, the main one, last */
        struct px_thread *t = &thread[i];
        t->process = &process;
        t->tid = i ? 100 + (uint32_t)i : 7;
        t->handle = (motor_handle)i + 1;
        px_pending_init(&t->pending);
        t->next = threads.first;
        threads.first = t;
        threads.count++;
    }
}

static int next_signal(struct px_siginfo *info)
{
    struct px_action a;
    uint64_t mask;
    return px_signal_next(current, info, &a, &mask);
}

static void queue(int sig, int value)
{
    struct px_siginfo info = {.signo = sig, .code = SI_QUEUE};
    info.value = (uint64_t)value;
    CHECK(px_signal_send(&process, NULL, &info) == 0);
}

static void action(int sig, uint64_t handler, uint64_t flags, uint64_t mask)
{
    struct px_action a = {handler, flags, 0, mask};
    CHECK(px_sys_rt_sigaction(sig, &a, NULL, 8) == 0);
}

static void test_order(void)
{
    struct px_siginfo info;
    px_set_mask(current, UINT64_MAX);
    for (int sig = 1; sig <= NSIG; sig++) {
        if (sig != SIGKILL && sig != SIGSTOP) {
            action(sig, 2, SA_NODEFER, 0);
        }
    }
    for (int i = 0; i < 3; i++) {
        queue(40, i);
        queue(35, i);
        queue(SIGUSR1, i);
    }
    px_signal_self(SIGSEGV, SI_KERNEL);
    CHECK(next_signal(&info) == 0);
    for (int i = 1; i < THREADS; i++) { /* nobody else takes them */
        thread[i].mask = ~PX_UNBLOCKABLE;
    }
    px_set_mask(current, 0);
    CHECK(current->work & PX_WORK_SIGNAL);
    CHECK(next_signal(&info) == SIGSEGV && info.code == SI_KERNEL);
    CHECK(next_signal(&info) == SIGUSR1 && info.value == 0);
    for (uint64_t i = 0; i < 3; i++) {
        CHECK(next_signal(&info) == 35 && info.value == i);
    }
    for (uint64_t i = 0; i < 3; i++) {
        CHECK(next_signal(&info) == 40 && info.value == i);
    }
    CHECK(next_signal(&info) == 0);
    CHECK(process.signals->queued == 0);
}

static void test_limit(void)
{
    struct px_siginfo info = {.signo = 50, .code = SI_QUEUE};
    px_set_mask(current, UINT64_MAX);
    for (int i = 0; i < 100; i++) {
        CHECK(px_signal_send(&process, NULL, &info) == 0);
    }
    CHECK(px_signal_send(&process, NULL, &info) == -EAGAIN);
    info.code = SI_USER; /* kill() always arrives */
    CHECK(px_signal_send(&process, NULL, &info) == 0);
    action(50, SIG_IGN, 0, 0);
    CHECK(process.signals->queued == 0 && process.signals->pending.set == 0);
    action(50, 2, 0, 0);
    px_set_mask(current, 0);
}

static void test_targets(void)
{
    struct px_siginfo info;
    memset(interrupted, 0, sizeof(interrupted));
    thread[1].mask = thread[2].mask = 0;
    px_set_mask(current, PX_BIT(SIGUSR2));
    px_signal_process(SIGUSR2, SI_USER); /* to somebody else */
    CHECK(interrupted[0] == 0 && interrupted[1] + interrupted[2] == 1);
    int first = interrupted[1] ? 1 : 2;
    current = &thread[first]; /* that one blocks it before it took it: passed on */
    px_set_mask(current, PX_BIT(SIGUSR2));
    CHECK(interrupted[first] == 1 && interrupted[3 - first] == 1);
    current = &thread[3 - first];
    CHECK(px_interrupted());
    CHECK(next_signal(&info) == SIGUSR2 && info.code == SI_USER && info.pid == 7 && info.uid == 3);
    CHECK(!px_interrupted());
    current = &thread[0];
    px_set_mask(current, 0);
    thread[1].mask = thread[2].mask = 0;
    /* to one thread */
    CHECK(px_sys_tgkill(7, 102, SIGUSR1) == 0 && thread[2].pending.set == PX_BIT(SIGUSR1));
    CHECK(px_sys_tgkill(7, 999, SIGUSR1) == -ESRCH && px_sys_tgkill(8, 102, SIGUSR1) == -ESRCH);
    CHECK(px_sys_tkill(102, 65) == -EINVAL && px_sys_tkill(0, 1) == -EINVAL &&
          px_sys_tkill(102, 0) == 0);
    current = &thread[2];
    CHECK(next_signal(&info) == SIGUSR1 && info.code == SI_TKILL);
    current = &thread[0];
    /* ignored: dropped at once, unless blocked */
    action(SIGUSR1, SIG_IGN, 0, 0);
    px_signal_process(SIGUSR1, SI_USER);
    CHECK(process.signals->pending.set == 0);
    action(SIGCHLD, SIG_DFL, 0, 0);
    px_signal_self(SIGCHLD, SI_USER);
    CHECK(current->pending.set == 0);
    px_set_mask(current, PX_BIT(SIGUSR1));
    px_signal_self(SIGUSR1, SI_USER);
    CHECK(current->pending.set == PX_BIT(SIGUSR1));
    px_set_mask(current, 0);
    CHECK(next_signal(&info) == SIGUSR1);
    action(SIGUSR1, 2, 0, 0);
}

static void test_masks(void)
{
    struct px_siginfo info;
    struct px_action a;
    uint64_t mask, set = PX_BIT(SIGUSR2), old;
    action(SIGUSR1, 2, SA_RESETHAND, PX_BIT(SIGTERM));
    px_signal_self(SIGUSR1, SI_USER);
    CHECK(px_signal_next(current, &info, &a, &mask) == SIGUSR1 && a.handler == 2 && mask == 0);
    CHECK(current->mask == (PX_BIT(SIGUSR1) | PX_BIT(SIGTERM)));
    CHECK(process.signals->action[SIGUSR1].handler == SIG_DFL);
    px_set_mask(current, 0);
    CHECK(px_sys_rt_sigprocmask(0, &set, &old, 8) == 0 && old == 0 && current->mask == set);
    CHECK(px_sys_rt_sigprocmask(0, NULL, &old, 8) == 0 && old == set);
    CHECK(px_sys_rt_sigprocmask(5, &set, NULL, 8) == -EINVAL &&
          px_sys_rt_sigprocmask(0, &set, NULL, 16) == -EINVAL);
    set = UINT64_MAX;
    CHECK(px_sys_rt_sigprocmask(2, &set, NULL, 8) == 0 && current->mask == ~PX_UNBLOCKABLE);
    set = 0;
    CHECK(px_sigmask_temporary(&set, 8) == 0 && current->mask == 0 &&
          (current->work & PX_WORK_RESTORE));
    CHECK(current->saved_mask == ~PX_UNBLOCKABLE);
    current->work = 0;
    CHECK(!px_fault_action(current, SIGUSR1, &a, &mask)); /* default action */
    action(SIGUSR1, 2, 0, 0);
    CHECK(px_fault_action(current, SIGUSR1, &a, &mask) && (current->mask & PX_BIT(SIGUSR1)));
    CHECK(!px_fault_action(current, SIGUSR1, &a, &mask)); /* blocked now */
    px_set_mask(current, 0);
    current->work = 0;
}

/* Somebody sends while we sleep in sigtimedwait. */
static void send_rt(void)
{
    struct px_siginfo info = {.signo = 45, .code = SI_QUEUE};
    info.value = 77;
    struct px_thread *me = current;
    current = &thread[1];
    CHECK(px_signal_send(&process, NULL, &info) == 0);
    current = me;
    on_sleep = NULL;
    futex_answer = -MOTOR_EINTR;
}

static void test_timedwait(void)
{
    uint64_t set = PX_BIT(45);
    struct px_siginfo info[3];
    struct px_timespec t = {1, 0};
    thread[1].mask = thread[2].mask = PX_BIT(45);
    px_set_mask(current, PX_BIT(45));
    on_sleep = send_rt;
    CHECK(px_sys_rt_sigtimedwait(&set, info, &t, 8) == 45 && info[0].value == 77);
    CHECK(current->waits_for == 0 && process.signals->pending.set == 0);
    futex_answer = -MOTOR_ETIMEOUT;
    CHECK(px_sys_rt_sigtimedwait(&set, info, &t, 8) == -EAGAIN);
    px_set_mask(current, 0);
    thread[1].mask = thread[2].mask = 0;
    current->work = 0;
}

/* ---- timers ---- */

struct pair {
    struct px_timespec interval, value;
};

static void test_timers(void)
{
    struct {
        uint64_t value;
        int32_t signal, notify, tid;
    } event = {9, 44, 0, 0};
    struct pair set = {{0, 10000000}, {0, 30000000}}, got;
    struct px_siginfo info;
    uint32_t id;
    action(44, 2, 0, 0);
    action(SIGALRM, 2, 0, 0);
    CHECK(px_sys_timer_create(CLOCK_MONOTONIC, &event, &id) == 0);
    CHECK(px_sys_timer_settime((int)id, 0, &set, NULL) == 0 && armed == now + 30000000);
    now += 10000000;
    CHECK(px_sys_timer_gettime((int)id, &got) == 0 && got.value.nsec == 20000000 &&
          got.interval.nsec == 10000000);
    px_set_mask(current, PX_BIT(44));
    thread[1].mask = thread[2].mask = PX_BIT(44);
    now += 20000000;
    px_timers_run();
    CHECK(armed == now + 10000000);
    now += 35000000; /* three more are due */
    px_timers_run();
    px_timers_run();
    CHECK(armed == now + 5000000);
    px_set_mask(current, 0);
    CHECK(next_signal(&info) == 44 && info.code == SI_TIMER && info.timer_value == 9 &&
          info.overrun == 3);
    CHECK(px_sys_timer_getoverrun((int)id) == 3);
    px_set_mask(current, 0);
    CHECK(next_signal(&info) == 0);
    CHECK(px_sys_timer_delete((int)id) == 0 && armed == MOTOR_NEVER &&
          px_sys_timer_delete((int)id) == -EINVAL);
    /* alarm and setitimer are one timer; seconds are rounded */
    CHECK(px_sys_alarm(5) == 0 && armed == now + 5000000000);
    now += 1200000000;
    CHECK(px_sys_alarm(0) == 4 && armed == MOTOR_NEVER);
    set = (struct pair){{0, 0}, {1, 500000}};
    CHECK(px_sys_setitimer(0, &set, NULL) == 0 && armed == now + 1500000000);
    now += 1500000000;
    armed = MOTOR_NEVER; /* the kernel's has fired */
    px_timers_run();
    CHECK(next_signal(&info) == SIGALRM && info.code == SI_KERNEL && armed == MOTOR_NEVER);
    px_set_mask(current, 0);
    set.value.nsec = 1000000;
    CHECK(px_sys_setitimer(0, &set, NULL) == -EINVAL && px_sys_setitimer(3, &set, NULL) == -EINVAL);
    /* absolute realtime */
    CHECK(px_sys_timer_create(CLOCK_REALTIME, &event, &id) == 0);
    uint64_t at = px_realtime() + 1000;
    set = (struct pair){{0, 0}, {(int64_t)(at / 1000000000), (int64_t)(at % 1000000000)}};
    CHECK(px_sys_timer_settime((int)id, TIMER_ABSTIME, &set, NULL) == 0 && armed == now + 1000);
    CHECK(px_sys_timer_delete((int)id) == 0);
    event.signal = 65;
    CHECK(px_sys_timer_create(CLOCK_REALTIME, &event, &id) == -EINVAL &&
          px_sys_timer_create(77, NULL, &id) == -EINVAL);
    for (int i = 0; i < 100; i++) {
        CHECK(px_sys_timer_create(CLOCK_MONOTONIC, NULL, &id) == 0 && id == (uint32_t)i);
    }
    for (int i = 0; i < 100; i++) {
        CHECK(px_sys_timer_delete(i) == 0);
    }
}

/* ---- ELF files, damaged ---- */

static uint8_t file[8192];

static bool read_file(void *context, uint64_t offset, void *to, size_t size)
{
    (void)context;
    if (offset > sizeof(file) || size > sizeof(file) - offset) {
        return false;
    }
    memcpy(to, file + offset, size);
    return true;
}

static void make_file(void)
{
    struct elf_header h = {.ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
                           .type = ET_DYN,
                           .machine = EM_X86_64,
                           .entry = 0x1010,
                           .phoff = 64,
                           .phentsize = 56,
                           .phnum = 3};
    struct elf_segment s[3] = {
        {PT_LOAD, PF_R, 0, 0, 0, 0x300, 0x300, 4096},
        {PT_LOAD, PF_R | PF_X, 0x1000, 0x1000, 0, 0x800, 0x800, 4096},
        {PT_LOAD, PF_R | PF_W, 0x1800, 0x2800, 0, 0x100, 0x5000, 4096},
    };
    memset(file, 0, sizeof(file));
    memcpy(file, &h, sizeof(h));
    memcpy(file + 64, s, sizeof(s));
}

static void check_program(const struct elf_program *e)
{
    uint64_t end = 0;
    CHECK(e->segments > 0 && e->low % 4096 == 0 && e->high % 4096 == 0 && e->low < e->high &&
          e->high <= ELF_USER_END);
    for (unsigned i = 0; i < e->segments; i++) {
        const struct elf_segment *s = &e->segment[i];
        CHECK(s->vaddr / 4096 * 4096 >= end && s->memsz >= s->filesz && s->vaddr >= e->low &&
              s->vaddr + s->memsz <= e->high);
        CHECK(s->offset + s->filesz <= sizeof(file) && s->offset % 4096 == s->vaddr % 4096);
        CHECK((s->flags & (PF_W | PF_X)) != (PF_W | PF_X));
        end = (s->vaddr + s->memsz + 4095) / 4096 * 4096;
    }
}

static void test_elf(void)
{
    static struct elf_program e;
    uint64_t x = 88172645463325252ull, accepted = 0;
    make_file();
    CHECK(!elf_parse(&e, (struct elf_header *)file, sizeof(struct elf_header), sizeof(file),
                     read_file, NULL));
    CHECK(!e.fixed && e.low == 0 && e.high == 0x8000 && e.phdr == 64 && e.segments == 3);
    for (int round = 0; round < 300000; round++) {
        make_file();
        for (uint64_t changes = 1 + x % 3; changes; changes--) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            uint64_t at = (x >> 8) % (64 + 3 * 56);
            switch (x & 3) {
            case 0:
                file[at] = (uint8_t)(x >> 32);
                break;
            case 1:
                file[at] ^= (uint8_t)(1u << (x >> 32 & 7));
                break;
            case 2:
                memset(file + at, (x >> 40 & 1) ? 0xff : 0, 8);
                break;
            default:
                file[at]++;
                break;
            }
        }
        if (!elf_parse(&e, (struct elf_header *)file, sizeof(struct elf_header), sizeof(file),
                       read_file, NULL)) {
            check_program(&e);
            accepted++;
        }
    }
    CHECK(accepted > 1000);
    make_file();
    CHECK(elf_parse(&e, (struct elf_header *)file, 10, sizeof(file), read_file, NULL));
    CHECK(
        elf_parse(&e, (struct elf_header *)file, sizeof(struct elf_header), 100, read_file, NULL));
}

/* ---- formatting ---- */

static void test_format(void)
{
    char text[64];
    CHECK(px_format(text, sizeof(text), "%s %d %u %x|%5d|%05d|%-4s|%c%%", "a", -5, 7u, 255u, 42,
                    -42, "b", 'z') == strlen("a -5 7 ff|   42|-0042|b   |z%"));
    CHECK(!strcmp(text, "a -5 7 ff|   42|-0042|b   |z%"));
    CHECK(px_format(text, 5, "%s", "abcdefgh") == 4 && !strcmp(text, "abcd"));
    CHECK(px_format(text, sizeof(text), "%lx %ld %.*s %p %o", 0x123456789abcul, -1l, 2, "xyz",
                    (void *)16, 8u) > 0);
    CHECK(!strcmp(text, "123456789abc -1 xy 0x10 10"));
    char bytes[32] = "0123456789abcdefghijklmnop";
    memmove(bytes + 3, bytes, 20);
    CHECK(!memcmp(bytes, "0120123456789abcdefghij", 23));
    memmove(bytes, bytes + 3, 20);
    CHECK(!memcmp(bytes, "0123456789abcdefghij", 20));
}

int main(void)
{
    set_up();
    test_order();
    test_limit();
    test_targets();
    test_masks();
    test_timedwait();
    test_timers();
    test_elf();
    test_format();
    return 0;
}
