/* SPDX-License-Identifier: MIT */
/* Upcalls: faults, interruptions, the process timer, and the Linux entry. */
#include "ktest.h"
#include "tests.h"

static uint32_t seen; /* reason bits */
static uint32_t upcalls;
static struct motor_fault seen_fault;
static uint32_t seen_busy;

static void remember(struct motor_tcb *tcb, uint32_t reason)
{
    seen_busy = tcb->busy;
    seen |= reason;
    if (reason & MOTOR_UPCALL_FAULT) {
        seen_fault = tcb->fault;
        tcb->context.rip = tcb->context.r15; /* where the test wants to go on */
    } else {
        int64_t bits = motor_thread_control(0, MOTOR_THREAD_ACK, 0);
        CHECK_EQ(bits, reason);
        CHECK_EQ(tcb->pending, 0);
    }
    __atomic_fetch_add(&upcalls, 1, __ATOMIC_SEQ_CST);
}

static void expect(void)
{
    seen = upcalls = 0;
    on_upcall = remember;
}

static uint64_t load_guarded(uint64_t address)
{
    uint64_t value = 0x600d;
    __asm__ volatile("lea 1f(%%rip), %%r15\n mov (%1), %0\n1:"
                     : "+r"(value)
                     : "r"(address)
                     : "r15", "memory");
    return value;
}

void test_fault_upcall(void)
{
    expect();
    CHECK_EQ(load_guarded(0x5000), 0x600d);
    CHECK_EQ(seen, MOTOR_UPCALL_FAULT);
    CHECK_EQ(seen_busy, 2);
    CHECK_EQ(seen_fault.address, 0x5000);
    CHECK_EQ(seen_fault.vector, 14);
    CHECK_EQ(seen_fault.status, MOTOR_ENOENT);
    CHECK_EQ(own_tcb()->busy, 0);
    char *page = allocate(PAGE);
    page[0] = 1;
    CHECK_EQ(motor_protect(0, (uint64_t)page, PAGE, MOTOR_PROT_READ), 0);
    __asm__ volatile("lea 1f(%%rip), %%r15\n movb $1, (%0)\n1:" : : "r"(page) : "r15", "memory");
    CHECK_EQ(seen_fault.status, MOTOR_EACCESS);
    CHECK_EQ(motor_unmap(0, (uint64_t)page, PAGE), 0);
    motor_handle v = (motor_handle)CHECK_OK(motor_vmo_create(2 * PAGE, 0));
    page = (char *)CHECK_OK(motor_map(0, v, 0, 0, 2 * PAGE, MOTOR_PROT_READ | MOTOR_PROT_WRITE));
    page[PAGE] = 1;
    CHECK_EQ(motor_vmo_control(v, MOTOR_VMO_RESIZE, 0, PAGE, NULL), 0);
    load_guarded((uint64_t)page + PAGE);
    CHECK_EQ(seen_fault.status, MOTOR_EGONE);
    own_tcb()->busy = 1; /* inside the runtime: faults still come */
    CHECK_EQ(load_guarded(0x5000), 0x600d);
    CHECK_EQ(upcalls, 4);
    motor_unmap(0, (uint64_t)page, 2 * PAGE);
    motor_handle_close(v);
    on_upcall = NULL;
}

static uint32_t stop, started;
static int64_t first_wait, second_wait;

static void spin(void *argument)
{
    (void)argument;
    uint64_t a = 1, b = 2;
    __atomic_store_n(&started, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        /* registers survive upcalls */
        __asm__ volatile("add $1, %0; add $2, %1" : "+r"(a), "+r"(b));
        if (2 * a != b) {
            CHECK(!"registers changed");
            return;
        }
    }
}

static void wait_twice(void *argument)
{
    static uint32_t w;
    struct motor_tcb *tcb = own_tcb();
    (void)argument;
    tcb->busy = 1;
    __atomic_store_n(&started, 1, __ATOMIC_SEQ_CST);
    first_wait = motor_futex_wait(&w, 0, 0, NEVER, 0);
    second_wait = motor_futex_wait(&w, 0, 0, NEVER, 0); /* sticky: ends at once */
    CHECK_EQ(tcb->pending, MOTOR_UPCALL_INTERRUPT);
    CHECK_EQ(motor_thread_control(0, MOTOR_THREAD_ACK, 0), MOTOR_UPCALL_INTERRUPT);
    CHECK_EQ(tcb->pending, 0);
    CHECK_EQ(motor_futex_wait(&w, 0, 0, now() + MS, 0), -MOTOR_ETIMEOUT);
    tcb->busy = 0;
}

static void start_and_wait(struct worker *w, void (*run)(void *))
{
    stop = started = 0;
    worker_start(w, run, NULL);
    while (!__atomic_load_n(&started, __ATOMIC_SEQ_CST)) {
        pause_ns(MS);
    }
    pause_ns(5 * MS);
}

void test_upcall(void)
{
    struct worker w;
    expect();
    start_and_wait(&w, spin);
    for (uint32_t i = 1; i <= 50; i++) {
        CHECK_EQ(motor_thread_control(w.handle, MOTOR_THREAD_INTERRUPT, 0), 0);
        for (int k = 0; k < 2000 && (__atomic_load_n(&upcalls, __ATOMIC_SEQ_CST) != i ||
                                     __atomic_load_n(&w.tcb->busy, __ATOMIC_SEQ_CST));
             k++) {
            pause_ns(MS);
        }
        CHECK_EQ(upcalls, i);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    worker_join(&w);
    CHECK_EQ(seen, MOTOR_UPCALL_INTERRUPT);

    expect();
    start_and_wait(&w, wait_twice);
    CHECK_EQ(motor_thread_control(w.handle, MOTOR_THREAD_INTERRUPT, 0), 0);
    worker_join(&w);
    CHECK_EQ(first_wait, -MOTOR_EINTR);
    CHECK_EQ(second_wait, -MOTOR_EINTR);
    CHECK_EQ(upcalls, 0);

    /* to itself: on the way out of this call */
    CHECK_EQ(motor_thread_control(0, MOTOR_THREAD_INTERRUPT, 0), 0);
    CHECK_EQ(upcalls, 1);
    on_upcall = NULL;
}

void test_timer(void)
{
    uint32_t w = 0;
    expect();
    uint64_t start = now();
    CHECK_EQ(motor_timer_set(0, 0, start + 10 * MS, 0), 0);
    CHECK_EQ(motor_futex_wait(&w, 0, 0, NEVER, 0), -MOTOR_EINTR);
    CHECK(now() - start >= 10 * MS);
    CHECK_EQ(seen, MOTOR_UPCALL_TIMER);
    CHECK_EQ(upcalls, 1);
    CHECK_EQ(motor_timer_set(0, 0, now() + 5 * MS, 0), 0);
    for (uint64_t end = now() + 2000 * MS; now() < end && *(volatile uint32_t *)&upcalls < 2;) {
    }
    CHECK_EQ(upcalls, 2);
    CHECK_EQ(motor_timer_set(0, 0, now() + 5 * MS, 0), 0);
    CHECK_EQ(motor_timer_set(0, 0, NEVER, 0), 0);
    pause_ns(20 * MS);
    CHECK_EQ(upcalls, 2);
    CHECK_EQ(motor_timer_set(0, 1, 0, 0), -MOTOR_EINVAL);
    on_upcall = NULL;
}

/* A foreign number continues at the entry with rcx and r11 as the instruction leaves them. */
void linux_entry(void);
__asm__("linux_entry:\n mov $4711, %eax\n jmp *%rcx\n");

void test_linux_entry(void)
{
    CHECK_EQ(motor_process_set(0, MOTOR_PSET_LINUX_ENTRY, (uint64_t)linux_entry), 0);
    CHECK_EQ(motor_raw_syscall(39, 0, 0, 0, 0, 0, 0), 4711);
    CHECK_EQ(motor_process_set(0, MOTOR_PSET_LINUX_ENTRY, 0), 0);
    CHECK_EQ(motor_raw_syscall(39, 0, 0, 0, 0, 0, 0), -38);
}
