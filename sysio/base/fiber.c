/* SPDX-License-Identifier: MIT */
/*
 * Fibers: see fiber.h. A fiber that has ended keeps its stack for the next one. Below each stack is
 * a page that faults, so that an overflow ends the engine instead of changing its neighbour.
 */
#include "fiber.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define GUARD    4096u
#define IDLE_MAX 16u

struct fiber {
    void *sp; /* when it does not run */
    char *memory;
    void (*function)(void *);
    void *arg;
    bool queued, waits; /* among those that are ready; in a fiber_queue */
    struct fiber *next; /* in one list: ready, idle, or of a lock or a queue */
    void *fake_stack;   /* the sanitizer's */
};

/* Saves the callee's registers and the stack pointer in *from, and goes on with `to`. */
void fiber_switch(void **from, void *to);

__asm__(".text\n"
        ".global fiber_switch\n"
        ".hidden fiber_switch\n"
        ".type fiber_switch, @function\n"
        "fiber_switch:\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbx\n"
        "    pop %rbp\n"
        "    ret\n"
        ".size fiber_switch, . - fiber_switch\n");

#ifdef __SANITIZE_ADDRESS__ /* which must know the stack in use */
void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size);
#else
static void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size)
{
    (void)save, (void)bottom, (void)size;
}
static void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size)
{
    (void)save, (void)bottom, (void)size;
}
#endif

static struct fiber *current;
static struct fiber *ready, **ready_end = &ready;
static struct fiber *idle;
static unsigned idle_count, live;
static void *loop_sp;
static const void *loop_stack;
static size_t loop_stack_size;

struct fiber *fiber_current(void)
{
    return current;
}

unsigned fiber_count(void)
{
    return live;
}

static void to_loop(struct fiber *f, bool ends)
{
    __sanitizer_start_switch_fiber(ends ? NULL : &f->fake_stack, loop_stack, loop_stack_size);
    fiber_switch(&f->sp, loop_sp);
    __sanitizer_finish_switch_fiber(f->fake_stack, &loop_stack, &loop_stack_size);
}

static void fiber_main(void)
{
    __sanitizer_finish_switch_fiber(NULL, &loop_stack, &loop_stack_size);
    struct fiber *f = current;
    f->function(f->arg);
    f->function = NULL;
    to_loop(f, true);
    abort();
}

static struct fiber *fiber_get(void)
{
    struct fiber *f = idle;
    if (f) {
        idle = f->next;
        idle_count--;
        return f;
    }
    f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->memory =
        mmap(NULL, GUARD + FIBER_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (f->memory == MAP_FAILED) {
        free(f);
        return NULL;
    }
    if (mprotect(f->memory, GUARD, PROT_NONE)) {
        munmap(f->memory, GUARD + FIBER_STACK);
        free(f);
        return NULL;
    }
    return f;
}

static void fiber_release(struct fiber *f)
{
    live--;
    if (idle_count == IDLE_MAX) {
        munmap(f->memory, GUARD + FIBER_STACK);
        free(f);
        return;
    }
    f->next = idle;
    idle = f;
    idle_count++;
}

/* From the loop to a fiber, until it sleeps or ends. */
static void enter(struct fiber *f)
{
    void *fake_stack = NULL;
    current = f;
    __sanitizer_start_switch_fiber(&fake_stack, f->memory + GUARD, FIBER_STACK);
    fiber_switch(&loop_sp, f->sp);
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
    current = NULL;
    if (!f->function)
        fiber_release(f);
}

bool fiber_start(void (*function)(void *), void *arg)
{
    assert(!current);
    struct fiber *f = fiber_get();
    if (!f)
        return false;
    /* as if fiber_main had been called, from nowhere: so the stack is aligned as the ABI wants */
    uint64_t *sp = (uint64_t *)(f->memory + GUARD + FIBER_STACK);
    *--sp = 0;
    *--sp = (uint64_t)(uintptr_t)fiber_main;
    for (int i = 0; i < 6; i++)
        *--sp = 0;
    f->sp = sp;
    f->function = function;
    f->arg = arg;
    f->queued = false;
    live++;
    enter(f);
    return true;
}

void fiber_suspend(void)
{
    struct fiber *f = current;
    assert(f);
    to_loop(f, false);
}

void fiber_ready(struct fiber *f)
{
    if (f->queued)
        return;
    f->queued = true;
    f->next = NULL;
    *ready_end = f;
    ready_end = &f->next;
}

bool fiber_run(void)
{
    assert(!current);
    bool any = ready;
    while (ready) {
        struct fiber *f = ready;
        ready = f->next;
        if (!ready)
            ready_end = &ready;
        f->queued = false;
        enter(f);
    }
    return any;
}

void fiber_lock(struct fiber_lock *l)
{
    struct fiber *f = current;
    assert(f && l->holder != f);
    if (!l->holder) {
        l->holder = f;
        return;
    }
    if (!l->first)
        l->last = &l->first;
    f->next = NULL;
    *l->last = f;
    l->last = &f->next;
    while (l->holder != f)
        fiber_suspend();
}

void fiber_unlock(struct fiber_lock *l)
{
    assert(l->holder == current);
    struct fiber *f = l->first;
    l->holder = f;
    if (f) {
        l->first = f->next;
        fiber_ready(f);
    }
}

void fiber_wait(struct fiber_queue *q)
{
    struct fiber *f = current;
    assert(f && !f->waits);
    f->waits = true;
    f->next = q->first;
    q->first = f;
    while (f->waits)
        fiber_suspend();
}

void fiber_wake_all(struct fiber_queue *q)
{
    for (struct fiber *f = q->first, *next; f; f = next) {
        next = f->next;
        f->waits = false;
        fiber_ready(f);
    }
    q->first = NULL;
}
