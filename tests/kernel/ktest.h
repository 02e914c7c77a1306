/* SPDX-License-Identifier: MIT */
/*
 * ktest: the kernel's tests, run as the first process in the place of sysio. It prints "ok NAME" or
 * "FAIL NAME: ..." lines on the kernel's log and ends the VM with status 0 if nothing failed.
 * Freestanding; one address layout, so that child processes can be made by copying its segments.
 */
#ifndef KTEST_H
#define KTEST_H

#include <motor/syscall.h>
#include <stdbool.h>

int memcmp(const void *a, const void *b, size_t n);

#define PAGE  4096ull
#define MS    ((uint64_t)1000000)
#define NEVER MOTOR_NEVER

/* ---- reporting ---- */
/* %s %d %u %x, l before d u x */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void check_failed(const char *file, int line, const char *what, int64_t got);
#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition, 0))
#define CHECK_EQ(expression, expected) \
    do { \
        int64_t got_ = (int64_t)(expression); \
        if (got_ != (int64_t)(expected)) { \
            check_failed(__FILE__, __LINE__, #expression " == " #expected, got_); \
        } \
    } while (0)
/* A handle or an address, or the test fails. */
#define CHECK_OK(expression) \
    ({ \
        int64_t got_ = (expression); \
        if (got_ < 0) { \
            check_failed(__FILE__, __LINE__, #expression, got_); \
        } \
        got_; \
    })

/* ---- machine ---- */
uint64_t now(void);
uint64_t random_next(uint64_t *state);
static inline uint64_t tsc(void)
{
    return __builtin_ia32_rdtsc();
}
void *allocate(uint64_t size); /* anonymous memory */
void pause_ns(uint64_t ns);

/* ---- threads ---- */
struct worker {
    motor_handle handle;
    uint32_t done; /* futex: 1 while it runs, 0 when it has left */
    void (*run)(void *);
    void *argument;
    struct motor_tcb *tcb;
    char *stack;
};
#define WORKER_STACK 16384ull
void worker_start(struct worker *w, void (*run)(void *), void *argument);
void worker_join(struct worker *w);
struct motor_tcb *own_tcb(void);                                  /* %gs:0 */
extern void (*on_upcall)(struct motor_tcb *tcb, uint32_t reason); /* may change tcb->context */
void upcall_entry(void);

/* ---- processes ---- */
/*
 * A running copy of this program that starts at run(argument, handle) with a stack of its own;
 * handle is sent along, 0: none.
 */
motor_handle spawn(void (*run)(uint64_t, motor_handle), uint64_t argument, motor_handle send,
                   motor_handle *thread);
motor_handle make_embryo_as(uint32_t flags, uint64_t *stack_top); /* MOTOR_PROCESS_* */
motor_handle make_embryo(uint64_t *stack_top); /* with this program's memory, not started */
uint32_t wait_dead(motor_handle process);      /* its status */
#endif
