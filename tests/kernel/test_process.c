/* SPDX-License-Identifier: MIT */
/* Processes: birth, labels, exec, death by exit, kill and fault, and what others see of it. */
#include "ktest.h"
#include "tests.h"

static void exit_with(uint64_t status, motor_handle gate)
{
    if (gate) {
        motor_notify(gate);
    }
    motor_process_exit(0, (uint32_t)status);
}

void test_processes(void)
{
    struct motor_process_info info;
    struct motor_event e[2];
    for (uint32_t i = 0; i < 20; i++) {
        motor_handle p = spawn(exit_with, i << 8, 0, NULL);
        CHECK_EQ(wait_dead(p), i << 8);
        CHECK_EQ(motor_process_exit(p, 3), 0); /* too late, no harm */
        motor_handle_close(p);
    }
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle gate = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 5, 0));
    motor_handle p = spawn(exit_with, 0, gate, NULL);
    motor_handle_close(gate); /* the child has the only one */
    uint32_t n = 0;
    while (n < 2) {
        n += (uint32_t)CHECK_OK(motor_serve(endpoint, NULL, 0, e + n, 2 - n, now() + 5000 * MS));
    }
    CHECK(e[0].kind == MOTOR_EVENT_NOTIFY && e[1].kind == MOTOR_EVENT_CLOSED && e[1].badge == 5);
    CHECK_EQ(wait_dead(p), 0);
    motor_handle_close(p);
    motor_handle_close(endpoint);

    uint64_t top;
    motor_handle embryo = make_embryo(&top);
    CHECK_EQ(motor_process_info(embryo, MOTOR_PINFO_BASIC, &info, sizeof(info)), 0);
    CHECK(info.state == 0 && info.ppid == 1);
    CHECK_EQ(motor_process_set(embryo, MOTOR_PSET_UID, 1000), 0);
    CHECK_EQ(motor_process_set(embryo, MOTOR_PSET_UPCALL_ENTRY, 0xffffffff80000000), -MOTOR_EINVAL);
    CHECK_EQ(motor_process_set(embryo, 99, 0), -MOTOR_ENOSYS);
    motor_handle_close(embryo); /* never started */
    embryo = make_embryo(&top);
    CHECK_EQ(motor_process_exit(embryo, 9), 0);
    CHECK_EQ(wait_dead(embryo), 9);
    CHECK_EQ(motor_map(embryo, 0, 0, 0, PAGE, MOTOR_PROT_READ) < 0, 1);
    motor_handle_close(embryo);
}

void test_embryo_circle(void)
{
    uint64_t top;
    motor_handle a = make_embryo(&top), b = make_embryo(&top);
    CHECK_EQ(motor_handle_install(a, a, MOTOR_RIGHTS_ALL), -MOTOR_EBUSY);
    CHECK_EQ(motor_handle_install(a, b, MOTOR_RIGHTS_ALL), -MOTOR_EBUSY);
    motor_handle_close(a);
    motor_handle_close(b);
}

/* ---- kill ---- */

static uint32_t forever;

static void sleeper(void *argument)
{
    (void)argument;
    motor_futex_wait(&forever, 0, MOTOR_FUTEX_NOINTR, NEVER, 0);
}

static void spinner(void *argument)
{
    (void)argument;
    for (;;) {
    }
}

static void busy_family(uint64_t gate_unused, motor_handle gate)
{
    static struct worker w[8];
    (void)gate_unused;
    for (int i = 0; i < 8; i++) {
        worker_start(&w[i], i & 1 ? spinner : sleeper, NULL);
    }
    motor_notify(gate);
    motor_handle e = (motor_handle)motor_endpoint_create();
    struct motor_event event;
    motor_serve(e, NULL, 0, &event, 1, NEVER);
}

void test_kill(void)
{
    struct motor_event e;
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle gate = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 5, 0));
    for (int i = 0; i < 5; i++) {
        motor_handle p = spawn(busy_family, 0, gate, NULL);
        CHECK_EQ(motor_serve(endpoint, NULL, 0, &e, 1, now() + 5000 * MS), 1);
        CHECK_EQ(motor_process_exit(p, 9), 0);
        CHECK_EQ(wait_dead(p), 9);
        motor_handle_close(p);
    }
    motor_handle_close(gate);
    motor_handle_close(endpoint);
}

static void sleeping(uint64_t unused, motor_handle unused_too)
{
    (void)unused, (void)unused_too;
    sleeper(NULL);
}

/* A gate whose only handle is another process's: it goes with that process. */
void test_gate_elsewhere(void)
{
    struct motor_event e;
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle p = spawn(sleeping, 0, 0, NULL);
    motor_handle weak = (motor_handle)CHECK_OK(motor_handle_dup(p, MOTOR_RIGHT_READ));
    CHECK_EQ(motor_gate_create(endpoint, 9, weak), -MOTOR_ERIGHTS);
    CHECK_EQ(motor_gate_create(endpoint, 9, endpoint), -MOTOR_ETYPE);
    CHECK_EQ(motor_gate_create(p, 9, p), -MOTOR_ETYPE);
    CHECK_OK(motor_gate_create(endpoint, 9, p));
    CHECK_EQ(motor_serve(endpoint, NULL, 0, &e, 1, now() + 20 * MS), 0);
    CHECK_EQ(motor_process_exit(p, 3), 0);
    CHECK_EQ(motor_serve(endpoint, NULL, 0, &e, 1, now() + 5000 * MS), 1);
    CHECK_EQ(e.kind, MOTOR_EVENT_CLOSED);
    CHECK_EQ(e.badge, 9);
    CHECK_EQ(wait_dead(p), 3);
    CHECK_EQ(motor_gate_create(endpoint, 9, p), -MOTOR_EGONE);
    motor_handle_close(weak);
    motor_handle_close(p);
    motor_handle_close(endpoint);
}

/* A server that takes a call and dies: its caller is told. */
static void bad_server(uint64_t unused, motor_handle gate)
{
    (void)unused;
    struct motor_event e;
    struct motor_msg m = {.nhandles = 1, .deadline = NEVER};
    motor_handle endpoint = (motor_handle)motor_endpoint_create();
    m.handle[0] = (motor_handle)motor_gate_create(endpoint, 1, 0);
    motor_call(gate, &m); /* give the parent a way in */
    motor_serve(endpoint, NULL, 0, &e, 1, NEVER);
    motor_process_exit(0, 0);
}

void test_server_dies(void)
{
    static struct motor_event e;
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle gate = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 5, 0));
    motor_handle p = spawn(bad_server, 0, gate, NULL);
    CHECK_EQ(motor_serve(endpoint, NULL, 0, &e, 1, now() + 5000 * MS), 1);
    CHECK_EQ(e.nhandles, 1);
    CHECK(e.pid > 1);
    struct motor_reply r = {.token = e.token};
    CHECK_EQ(motor_serve(endpoint, &r, 1, NULL, 0, 0), 0);
    struct motor_msg m = {.deadline = NEVER};
    CHECK_EQ(motor_call(e.handle[0], &m), -MOTOR_EGONE);
    CHECK_EQ(motor_call(e.handle[0], &m), -MOTOR_EGONE);
    CHECK_EQ(wait_dead(p), 0);
    motor_handle_close(e.handle[0]);
    motor_handle_close(p);
    motor_handle_close(gate);
    motor_handle_close(endpoint);
}

/* ---- faults ---- */

static void misbehave(uint64_t how, motor_handle unused)
{
    (void)unused;
    volatile int zero = 0;
    switch (how) {
    case 0:
        *(volatile int *)8 = 1;
        break;
    case 1:
        __asm__ volatile("ud2");
        break;
    case 2:
        zero = 1000 / zero;
        break;
    case 3:
        __asm__ volatile("hlt");
        break;
    case 4:
        __asm__ volatile("int3");
        break;
    case 5:
        *(volatile char *)misbehave = 1;
        break; /* text */
    case 6:
        ((void (*)(void))allocate(PAGE))();
        break; /* not executable */
    case 7:
        *(volatile int *)0xffffffff80000000 = 1;
        break;
    case 8:
        *(volatile int *)0x8000000000000000 = 1;
        break; /* not canonical */
    case 9:
        __asm__ volatile("mov %0, %%rsp; push %%rax" : : "r"(0x8000000000000000));
        break;
    case 10:
        __asm__ volatile("cli");
        break;
    case 11:
        __asm__ volatile("mov %%cr3, %%rax" : : : "rax");
        break;
    case 12:
        __asm__ volatile("out %%al, $0x80" : : "a"(0));
        break;
    case 13:
        __asm__ volatile("mov %0, %%ds" : : "r"(0x10));
        break;
    case 14:
        __asm__ volatile("pushf; orq $0x100, (%rsp); popf; nop");
        break; /* single step */
    case 15:
        __asm__ volatile("jmp *%0" : : "r"(0xffff888000000000));
        break;
    case 16:
        ((void (*)(void))MOTOR_KINFO_ADDRESS)();
        break;
    case 17:
        __asm__ volatile("mov %0, %%rsp; syscall"
                         :
                         : "r"(0xffff888000000000), "a"(MOTOR_SYS_thread_yield));
        *(volatile int *)8 = 1;
        break;
    case 18:
        __asm__ volatile("int $0x20");
        break;
    case 19:
        __asm__ volatile("int $0x80");
        break;
    }
    motor_process_exit(0, 0x7700);
}

void test_faults(void)
{
    static const uint32_t signal[] = {11, 4,  8,  11, 5, 11, 11, 11, 11, 11,
                                      11, 11, 11, 11, 5, 11, 11, 11, 11, 11};
    for (uint32_t i = 0; i < sizeof(signal) / sizeof(signal[0]); i++) {
        motor_handle p = spawn(misbehave, i, 0, NULL);
        uint32_t status = wait_dead(p);
        if (status != signal[i]) {
            say("  fault %u:\n", i);
        }
        CHECK_EQ(status, signal[i]);
        motor_handle_close(p);
    }
}

/* ---- exec ---- */

static void after_exec(uint64_t kept, uint64_t dropped)
{
    struct motor_process_info info;
    motor_process_info(0, MOTOR_PINFO_BASIC, &info, sizeof(info));
    bool good = motor_notify((motor_handle)kept) == 0 &&
                motor_notify((motor_handle)dropped) == -MOTOR_EHANDLE && info.threads == 1 &&
                forever == 0;
    motor_process_exit(0, good ? 0x1100 : 0x2200);
}

static void execs(uint64_t unused, motor_handle gate)
{
    static struct worker w[4];
    (void)unused;
    for (int i = 0; i < 4; i++) {
        worker_start(&w[i], i & 1 ? spinner : sleeper, NULL);
    }
    motor_handle dropped =
        (motor_handle)motor_handle_dup(gate, MOTOR_RIGHT_CALL | MOTOR_HANDLE_CLOEXEC);
    struct motor_thread_start start = {.rip = (uint64_t)after_exec, .arg = {gate, dropped}};
    forever = 0;
    motor_handle embryo = make_embryo(&start.rsp);
    start.rsp -= 8;
    motor_process_exec(embryo, &start, (motor_handle[]){gate, dropped}, 2);
    motor_process_exit(0, 0x3300);
}

void test_exec(void)
{
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle gate = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 5, 0));
    for (int i = 0; i < 5; i++) {
        motor_handle p = spawn(execs, 0, gate, NULL);
        CHECK_EQ(wait_dead(p), 0x1100);
        motor_handle_close(p);
    }
    struct motor_thread_start start = {.rip = (uint64_t)after_exec};
    CHECK_EQ(motor_process_exec(0, &start, NULL, 0), -MOTOR_EHANDLE);
    CHECK_EQ(motor_process_exec(MOTOR_BOOT_SELF, &start, NULL, 0), -MOTOR_EBUSY);
    motor_handle_close(gate);
    motor_handle_close(endpoint);
}
