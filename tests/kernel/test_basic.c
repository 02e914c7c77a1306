/* SPDX-License-Identifier: MIT */
/* Handles, information, random bytes, arguments that are wrong. */
#include "ktest.h"
#include "tests.h"

const struct test tests[] = {
#define X(name) {#name, test_##name},
    TEST_LIST(X)
#undef X
        {0}};

void test_handles(void)
{
    motor_handle e = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle d = (motor_handle)CHECK_OK(motor_handle_dup(e, MOTOR_RIGHT_READ));
    CHECK_EQ(motor_handle_dup(d, MOTOR_RIGHT_READ), -MOTOR_ERIGHTS); /* no right to duplicate */
    CHECK_EQ(motor_gate_create(d, 1, 0), -MOTOR_ERIGHTS);
    CHECK_EQ(motor_handle_dup(e, 0x100), -MOTOR_EINVAL);
    CHECK_EQ(motor_handle_close(d), 0);
    CHECK_EQ(motor_handle_close(d), -MOTOR_EHANDLE);
    CHECK_EQ(motor_handle_close(0), -MOTOR_EHANDLE);
    CHECK_EQ(motor_handle_close(0xffffffff), -MOTOR_EHANDLE);
    CHECK_EQ(motor_notify(e), -MOTOR_ETYPE);
    motor_handle g = (motor_handle)CHECK_OK(motor_gate_create(e, 7, 0));
    CHECK_EQ(motor_handle_dup(g, MOTOR_RIGHTS_ALL), -MOTOR_ERIGHTS);
    CHECK_EQ(motor_handle_close(g), 0);
    CHECK_EQ(motor_handle_close(e), 0);
}

void test_handle_table(void)
{
    enum { COUNT = 5000 };
    static motor_handle h[COUNT];
    motor_handle e = (motor_handle)CHECK_OK(motor_endpoint_create());
    for (int i = 0; i < COUNT; i++) {
        h[i] = (motor_handle)CHECK_OK(motor_handle_dup(e, MOTOR_RIGHTS_ALL));
    }
    for (int i = 0; i < COUNT; i += 2) {
        CHECK_EQ(motor_handle_close(h[i]), 0);
    }
    for (int i = 0; i < COUNT; i += 2) {
        h[i] = (motor_handle)CHECK_OK(motor_handle_dup(e, MOTOR_RIGHTS_ALL));
        CHECK(h[i] < COUNT + 64); /* used again, not grown */
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(motor_handle_close(h[i]), 0);
    }
    CHECK_EQ(motor_handle_close(e), 0);
}

void test_info(void)
{
    static struct motor_boot_info boot;
    struct motor_counters a, b;
    struct motor_process_info self;
    struct motor_log_record record = {0};
    uint32_t cpu = ~0u, pids[4] = {0};
    CHECK_EQ(motor_system_info(MOTOR_SINFO_COUNTERS, &a, sizeof(a)), 0);
    CHECK_EQ(motor_system_info(MOTOR_SINFO_COUNTERS, &b, sizeof(b)), 0);
    CHECK_EQ(b.syscalls - a.syscalls, 1);
    CHECK_EQ(motor_system_info(MOTOR_SINFO_COUNTERS, &a, 8), -MOTOR_EINVAL);
    CHECK_EQ(motor_system_info(MOTOR_SINFO_BOOT, &boot, sizeof(boot)), 0);
    CHECK(boot.bundle_size > 0);
    CHECK_EQ(motor_system_info(MOTOR_SINFO_CPU, &cpu, sizeof(cpu)), 0);
    CHECK(cpu < 64);
    CHECK_EQ(motor_debug_write("a line\n", 7), 7);
    do {
        record.sequence += record.length != 0;
        CHECK_EQ(motor_system_info(MOTOR_SINFO_LOG, &record, sizeof(record)), 0);
    } while (record.length != 6 || __builtin_memcmp(record.text, "a line", 6));
    record.sequence++;
    CHECK_EQ(motor_system_info(MOTOR_SINFO_LOG, &record, sizeof(record)), -MOTOR_ENOENT);
    CHECK_EQ(motor_system_info(MOTOR_SINFO_LOG, &record, 8), -MOTOR_EINVAL);
    CHECK_EQ(motor_system_info(MOTOR_SINFO_PROCESSES, pids, sizeof(pids)), 1);
    CHECK_EQ(pids[0], 1);
    CHECK_EQ(motor_process_info(0, MOTOR_PINFO_BASIC, &self, sizeof(self)), 0);
    CHECK_EQ(self.pid, 1);
    CHECK_EQ(self.state, 1);
    CHECK_EQ(self.threads, 1);
    CHECK(self.memory_private > 0 && self.memory_virtual > 0);
    CHECK_EQ(motor_process_set(0, MOTOR_PSET_NAME, (uint64_t) "ktest\tx"), 0);
    CHECK_EQ(motor_process_info(0, MOTOR_PINFO_BASIC, &self, sizeof(self)), 0);
    CHECK_EQ(memcmp(self.name, "ktest?x", 8), 0);
}

void test_random_bytes(void)
{
    uint64_t a[512] = {0}, b[512] = {0};
    CHECK_EQ(motor_random(a, sizeof(a), 0), sizeof(a));
    CHECK_EQ(motor_random(b, sizeof(b), 0), sizeof(b));
    int ones = 0, same = 0;
    for (int i = 0; i < 512; i++) {
        for (uint64_t v = a[i]; v; v &= v - 1) {
            ones++;
        }
        same += a[i] == b[i];
    }
    CHECK(same == 0);
    CHECK(ones > 512 * 32 - 600 && ones < 512 * 32 + 600);
    CHECK_EQ(motor_random(a, 100, 1), 0); /* adds entropy: we are a driver */
    CHECK_EQ(motor_random(a, 8, 2), -MOTOR_EINVAL);
}

static void in_child(uint64_t argument, motor_handle h)
{
    (void)argument;
    (void)h;
    uint64_t word = 1;
    static struct motor_boot_info boot;
    int64_t a = motor_random(&word, 8, 1),
            b = motor_system_info(MOTOR_SINFO_BOOT, &boot, sizeof(boot));
    motor_process_exit(0, a == -MOTOR_EACCESS && b == -MOTOR_EACCESS ? 0 : 1);
}

void test_bad_arguments(void)
{
    void *kernel = (void *)0xffffffff80000000, *hole = (void *)0x1000,
         *strange = (void *)0x8000000000000000;
    void *bad[] = {kernel, hole, strange, (void *)-1};
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(motor_system_info(MOTOR_SINFO_COUNTERS, bad[i], sizeof(struct motor_counters)),
                 -MOTOR_EFAULT);
        CHECK_EQ(motor_debug_write(bad[i], 10), -MOTOR_EFAULT);
        CHECK_EQ(motor_random(bad[i], 10, 0), -MOTOR_EFAULT);
        CHECK_EQ(motor_thread_create(0, bad[i]), -MOTOR_EFAULT);
        CHECK(motor_futex_wait((void *)((uint64_t)bad[i] & ~3ull), 0, 0, 0, 0) == -MOTOR_EFAULT);
        CHECK_EQ(motor_futex_wake_list(bad[i], 1, 0), -MOTOR_EFAULT);
    }
    struct motor_thread_start start = {.rip = (uint64_t)kernel};
    CHECK_EQ(motor_thread_create(0, &start), -MOTOR_EINVAL);
    CHECK_EQ(motor_thread_control(0, MOTOR_THREAD_SET_FS, (uint64_t)strange), -MOTOR_EINVAL);
    CHECK_EQ(motor_raw_syscall(MOTOR_SYSCALL_BASE + 1000, 0, 0, 0, 0, 0, 0), -38);
    CHECK_EQ(motor_raw_syscall(39, 0, 0, 0, 0, 0, 0), -38);
    motor_handle p = spawn(in_child, 0, 0, NULL);
    CHECK_EQ(wait_dead(p), 0);
    motor_handle_close(p);
}

/* Memory that begins with the caller's bytes, here and in another process. */
void test_copied_mapping(void)
{
    const uint32_t flags = MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE | MOTOR_MAP_COPY;
    uint64_t top, size = 2 * PAGE + 100;
    char *from = allocate(4 * PAGE);
    for (uint64_t i = 0; i < 3 * PAGE; i++) {
        from[i] = (char)(i % 251);
    }
    for (int of_another = 0; of_another < 2; of_another++) {
        motor_handle p = of_another ? make_embryo(&top) : 0;
        int64_t at = CHECK_OK(motor_map(p, 0, (uint64_t)from + 33, 0, size, flags));
        if (!p) {
            const char *to = (const char *)at;
            CHECK(memcmp(to, from + 33, size) == 0);
            for (uint64_t i = size; i < 3 * PAGE; i++) {
                CHECK_EQ(to[i], 0);
            }
            from[33]++;
            CHECK(to[0] != from[33]);
        }
        CHECK_EQ(motor_unmap(p, (uint64_t)at, 3 * PAGE), 0);
        /* of what cannot be read nothing is left, and an object has bytes of its own */
        CHECK_EQ(motor_map(p, 0, (uint64_t)from + 3 * PAGE, (uint64_t)at, 3 * PAGE,
                           flags | MOTOR_MAP_NOREPLACE),
                 -MOTOR_EFAULT);
        CHECK_EQ(
            motor_map(p, 0, 0xffffffff80000000, (uint64_t)at, PAGE, flags | MOTOR_MAP_NOREPLACE),
            -MOTOR_EFAULT);
        CHECK_EQ(motor_map(p, 0, UINT64_MAX - 10, (uint64_t)at, PAGE, flags), -MOTOR_EFAULT);
        motor_handle vmo = (motor_handle)CHECK_OK(motor_vmo_create(PAGE, 0));
        CHECK_EQ(motor_map(p, vmo, (uint64_t)from, 0, PAGE, flags), -MOTOR_EINVAL);
        CHECK_EQ(motor_map(p, 0, (uint64_t)from, 0, PAGE, flags | MOTOR_PROT_EXEC), -MOTOR_EACCESS);
        CHECK_EQ(motor_map(p, 0, 0, (uint64_t)at, 3 * PAGE, MOTOR_PROT_READ | MOTOR_MAP_NOREPLACE),
                 at);
        motor_handle_close(vmo);
        if (p) {
            motor_handle_close(p);
        } else {
            CHECK_EQ(motor_unmap(0, (uint64_t)at, 3 * PAGE), 0);
        }
    }
    CHECK_EQ(motor_unmap(0, (uint64_t)from, 4 * PAGE), 0);
}

/* The serial port's "transmitter empty" interrupt, by its ISA number; a driver may use ports. */
void test_interrupt(void)
{
    struct motor_event e;
    struct motor_msi msi;
    CHECK_EQ(motor_irq_create(MOTOR_BOOT_SELF, MOTOR_IRQ_LINE_ISA, 4, NULL), -MOTOR_ETYPE);
    CHECK_EQ(motor_irq_create(MOTOR_BOOT_HARDWARE, 9, 4, NULL), -MOTOR_EINVAL);
    CHECK(motor_irq_create(MOTOR_BOOT_HARDWARE, MOTOR_IRQ_LINE_ISA, 1000, NULL) < 0);
    motor_handle irq =
        (motor_handle)CHECK_OK(motor_irq_create(MOTOR_BOOT_HARDWARE, MOTOR_IRQ_LINE_ISA, 4, NULL));
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle gate = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 4, 0));
    CHECK_EQ(motor_bind(irq, gate), 0);
    CHECK_EQ(motor_bind(irq, gate), -MOTOR_EEXIST);
    CHECK_EQ(motor_bind(gate, gate), -MOTOR_ERIGHTS);
    for (int i = 0; i < 20; i++) {
        uint8_t cause;
        __asm__ volatile("outb %0, %1" : : "a"((uint8_t)2), "d"((uint16_t)0x3f9));
        CHECK_EQ(motor_serve(endpoint, NULL, 0, &e, 1, now() + 2000 * MS), 1);
        CHECK(e.kind == MOTOR_EVENT_NOTIFY && e.badge == 4);
        __asm__ volatile("inb %1, %0" : "=a"(cause) : "d"((uint16_t)0x3fa));
        __asm__ volatile("outb %0, %1" : : "a"((uint8_t)0), "d"((uint16_t)0x3f9));
        CHECK_EQ(motor_irq_ack(irq), 0);
    }
    motor_handle_close(irq);
    irq = (motor_handle)CHECK_OK(motor_irq_create(MOTOR_BOOT_HARDWARE, MOTOR_IRQ_MSI, 0, &msi));
    CHECK((msi.address & 0xfff00000) == 0xfee00000);
    motor_handle_close(irq);
    motor_handle_close(gate);
    motor_handle_close(endpoint);
}
