/* SPDX-License-Identifier: MIT */
/* What the tests share: output, threads, child processes. See ktest.h. */
#include "ktest.h"
#include <stdarg.h>

static volatile struct motor_kinfo *const kinfo = (void *)MOTOR_KINFO_ADDRESS;

/* ---- the compiler's memory functions ---- */

void *memcpy(void *to, const void *from, size_t n)
{
    void *start = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return start;
}

void *memset(void *to, int value, size_t n)
{
    void *start = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
    return start;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    for (; n; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

/* ---- output ---- */

static char *put_number(char *p, uint64_t n, unsigned base)
{
    char digit[20];
    int i = 0;
    do {
        digit[i++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n);
    while (i) {
        *p++ = digit[--i];
    }
    return p;
}

void say(const char *format, ...)
{
    char line[512], *p = line;
    va_list list;
    va_start(list, format);
    for (; *format && p < line + sizeof(line) - 64; format++) {
        if (*format != '%') {
            *p++ = *format;
            continue;
        }
        bool wide = *++format == 'l';
        format += wide;
        if (*format == 's') {
            const char *s = va_arg(list, const char *);
            while (*s && p < line + sizeof(line) - 64) {
                *p++ = *s++;
            }
            continue;
        }
        int64_t n = wide             ? va_arg(list, int64_t)
                    : *format == 'd' ? va_arg(list, int)
                                     : va_arg(list, unsigned);
        if (*format == 'd' && n < 0) {
            *p++ = '-';
            n = -n;
        }
        p = put_number(p, (uint64_t)n, *format == 'x' ? 16 : 10);
    }
    va_end(list);
    motor_debug_write(line, (size_t)(p - line));
}

/* ---- machine ---- */

uint64_t now(void)
{
    uint32_t seq;
    uint64_t ns;
    do {
        seq = kinfo->seq;
        uint64_t ticks = tsc() - kinfo->base_tsc;
        ns = kinfo->base_ns + (uint64_t)(((unsigned __int128)ticks * kinfo->mult) >> 32);
    } while ((seq & 1) || seq != kinfo->seq);
    return ns;
}

uint64_t random_next(uint64_t *state)
{
    uint64_t x = (*state += 0x9e3779b97f4a7c15ull);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

void *allocate(uint64_t size)
{
    return (void *)CHECK_OK(
        motor_map(0, 0, 0, 0, size, MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE));
}

void pause_ns(uint64_t ns)
{
    uint32_t word = 0;
    motor_futex_wait(&word, 0, MOTOR_FUTEX_NOINTR, now() + ns, 0);
}

/* ---- threads ---- */

static void worker_main(struct worker *w)
{
    w->run(w->argument);
    motor_thread_exit(&w->done, NULL, 0);
}

void worker_start(struct worker *w, void (*run)(void *), void *argument)
{
    char *memory = allocate(WORKER_STACK);
    struct motor_tcb *tcb = (struct motor_tcb *)memory;
    tcb->self = (uint64_t)tcb;
    tcb->upcall_stack = (uint64_t)memory + 8192;
    w->run = run;
    w->argument = argument;
    w->tcb = tcb;
    w->stack = memory;
    __atomic_store_n(&w->done, 1, __ATOMIC_SEQ_CST);
    struct motor_thread_start start = {
        .rip = (uint64_t)worker_main,
        .rsp = (uint64_t)memory + WORKER_STACK - 8,
        .arg = {(uint64_t)w},
        .gs_base = (uint64_t)tcb,
    };
    w->handle = (motor_handle)CHECK_OK(motor_thread_create(0, &start));
}

void worker_join(struct worker *w)
{
    uint32_t value;
    while ((value = __atomic_load_n(&w->done, __ATOMIC_SEQ_CST))) {
        motor_futex_wait(&w->done, value, 0, NEVER, 0);
    }
    /*
     * It may still be on its way out, but no longer on its stack: thread_exit wakes us from the
     * kernel.
     */
    CHECK_EQ(motor_handle_close(w->handle), 0);
    CHECK_EQ(motor_unmap(0, (uint64_t)w->stack, WORKER_STACK), 0);
}

struct motor_tcb *own_tcb(void)
{
    struct motor_tcb *tcb;
    __asm__("mov %%gs:0, %0" : "=r"(tcb));
    return tcb;
}

void (*on_upcall)(struct motor_tcb *tcb, uint32_t reason);

__attribute__((used)) static void upcall_c(uint32_t reason)
{
    struct motor_tcb *tcb = own_tcb();
    if (on_upcall) {
        on_upcall(tcb, reason);
    }
}

/* Runs on_upcall, then continues where tcb->context says, below the red zone of its stack. */
__asm__(".globl upcall_entry\n"
        "upcall_entry:\n"
        "    call upcall_c\n"
        "    mov %gs:0, %rax\n"
        "    mov 64+56(%rax), %rcx\n" /* rsp */
        "    lea -144(%rcx), %rcx\n"
        "    mov 64+136(%rax), %rdx\n" /* rflags */
        "    mov %rdx, (%rcx)\n"
        "    mov 64+128(%rax), %rdx\n" /* rip */
        "    mov %rdx, 8(%rcx)\n"
        "    mov %rcx, %rsp\n"
        "    mov 64+8(%rax), %rbx\n"
        "    mov 64+16(%rax), %rcx\n"
        "    mov 64+24(%rax), %rdx\n"
        "    mov 64+32(%rax), %rsi\n"
        "    mov 64+40(%rax), %rdi\n"
        "    mov 64+48(%rax), %rbp\n"
        "    mov 64+64(%rax), %r8\n"
        "    mov 64+72(%rax), %r9\n"
        "    mov 64+80(%rax), %r10\n"
        "    mov 64+88(%rax), %r11\n"
        "    mov 64+96(%rax), %r12\n"
        "    mov 64+104(%rax), %r13\n"
        "    mov 64+112(%rax), %r14\n"
        "    mov 64+120(%rax), %r15\n"
        "    mov 64(%rax), %rax\n"
        "    movl $0, %gs:8\n" /* busy */
        "    popfq\n"
        "    ret $128\n");

/* ---- processes ---- */

extern char text_start[], text_end[], data_start[], data_end[];
#define CHILD_STACK 65536ull

static void copy_segment(motor_handle child, char *start, char *end, uint32_t prot)
{
    uint64_t from = (uint64_t)start & ~(PAGE - 1),
             size = (((uint64_t)end + PAGE - 1) & ~(PAGE - 1)) - from;
    motor_handle v = (motor_handle)CHECK_OK(motor_vmo_create(size, 0));
    CHECK_EQ(motor_vmo_control(v, MOTOR_VMO_WRITE, 0, size, (void *)from), size);
    CHECK_EQ(motor_map(child, v, 0, from, size, prot | MOTOR_MAP_NOREPLACE | MOTOR_MAP_PRIVATE),
             from);
    CHECK_EQ(motor_handle_close(v), 0);
}

motor_handle make_embryo_as(uint32_t flags, uint64_t *stack_top)
{
    motor_handle child = (motor_handle)CHECK_OK(motor_process_create(flags));
    copy_segment(child, text_start, text_end, MOTOR_PROT_READ | MOTOR_PROT_EXEC);
    copy_segment(child, data_start, data_end, MOTOR_PROT_READ | MOTOR_PROT_WRITE);
    *stack_top = CHILD_STACK + (uint64_t)CHECK_OK(motor_map(child, 0, 0, 0, CHILD_STACK,
                                                            MOTOR_PROT_READ | MOTOR_PROT_WRITE |
                                                                MOTOR_MAP_PRIVATE));
    return child;
}

motor_handle make_embryo(uint64_t *stack_top)
{
    return make_embryo_as(0, stack_top);
}

motor_handle spawn(void (*run)(uint64_t, motor_handle), uint64_t argument, motor_handle send,
                   motor_handle *thread)
{
    struct motor_thread_start start = {.rip = (uint64_t)run, .arg = {argument}};
    motor_handle child = make_embryo(&start.rsp);
    start.rsp -= 8;
    if (send) {
        start.arg[1] = (uint64_t)CHECK_OK(
            motor_handle_install(child, send, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP));
    }
    motor_handle t = (motor_handle)CHECK_OK(motor_thread_create(child, &start));
    if (thread) {
        *thread = t;
    } else {
        motor_handle_close(t);
    }
    return child;
}

uint32_t wait_dead(motor_handle process)
{
    struct motor_event event;
    struct motor_process_info info;
    motor_handle e = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle g = (motor_handle)CHECK_OK(motor_gate_create(e, 1, 0));
    CHECK_EQ(motor_bind(process, g), 0);
    CHECK_EQ(motor_serve(e, NULL, 0, &event, 1, now() + 20000 * MS), 1);
    CHECK_EQ(motor_process_info(process, MOTOR_PINFO_BASIC, &info, sizeof(info)), 0);
    CHECK_EQ(info.state, 2);
    CHECK_EQ(info.threads + info.handles, 0);
    motor_handle_close(g);
    motor_handle_close(e);
    return info.status;
}
