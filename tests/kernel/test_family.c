/* SPDX-License-Identifier: MIT */
/* Families: children, waiting, zombies, groups, signals between processes, stop and continue. */
#include "ktest.h"
#include "tests.h"

/* A running copy of this program that is a child of the caller's: its pid. */
static uint32_t start_child(void (*run)(uint64_t, motor_handle), uint64_t argument)
{
    struct motor_process_info info;
    struct motor_thread_start start = {.rip = (uint64_t)run, .arg = {argument}};
    motor_handle child = make_embryo_as(MOTOR_PROCESS_CHILD, &start.rsp);
    start.rsp -= 8;
    CHECK_EQ(motor_process_info(child, MOTOR_PINFO_BASIC, &info, sizeof(info)), 0);
    motor_handle_close((motor_handle)CHECK_OK(motor_thread_create(child, &start)));
    motor_handle_close(child);
    return info.pid;
}

static void exits(uint64_t status, motor_handle unused)
{
    (void)unused;
    motor_process_exit(0, (uint32_t)status);
}

static void sleeps(uint64_t unused, motor_handle unused_too)
{
    static uint32_t word;
    (void)unused, (void)unused_too;
    for (;;) {
        motor_futex_wait(&word, 0, 0, NEVER, 0);
    }
}

/* As a runtime does: SIGCHLD interrupts, and is acknowledged. */
static int64_t wait_for(uint32_t which, uint32_t id, uint32_t options, struct motor_wait *w)
{
    int64_t status;
    while ((status = motor_process_wait(which, id, options, w)) == -MOTOR_EINTR) {
        motor_thread_control(0, MOTOR_THREAD_ACK, 0);
    }
    return status;
}

static uint32_t killed_with(uint32_t pid)
{
    struct motor_wait w = {0};
    return wait_for(MOTOR_WAIT_PID, pid, MOTOR_WAIT_EXITED, &w) == 0 && w.pid == pid && w.code == 2
               ? w.status
               : 0;
}

static int64_t send_signal(uint32_t to, uint32_t id, int32_t signo)
{
    struct motor_signal s = {.signo = signo};
    return motor_signal_send(to, id, &s);
}

/*
 * The tests run as the first process, whose children are reaped at once: so a family of its own is
 * led by a child.
 */
#define EXPECT(condition) \
    do { \
        if (!(condition)) { \
            say("  %s:%d: %s is false\n", __FILE__, __LINE__, #condition); \
            motor_process_exit(0, 1 << 8); \
        } \
    } while (0)

static void waits(uint64_t unused, motor_handle unused_too)
{
    struct motor_wait w;
    (void)unused, (void)unused_too;
    EXPECT(wait_for(MOTOR_WAIT_ANY, 0, MOTOR_WAIT_EXITED, &w) == -MOTOR_ENOENT);
    EXPECT(wait_for(MOTOR_WAIT_ANY, 0, 0, &w) == -MOTOR_EINVAL);
    EXPECT(wait_for(9, 0, MOTOR_WAIT_EXITED, &w) == -MOTOR_EINVAL);
    EXPECT(wait_for(MOTOR_WAIT_PID, 1, MOTOR_WAIT_EXITED, &w) == -MOTOR_ENOENT);
    uint32_t a = start_child(exits, 5 << 8), b = start_child(sleeps, 0);
    EXPECT(wait_for(MOTOR_WAIT_ANY, 0, MOTOR_WAIT_EXITED | MOTOR_WAIT_KEEP, &w) == 0);
    EXPECT(w.pid == a && w.code == 1 && w.status == 5);
    EXPECT(wait_for(MOTOR_WAIT_ANY, 0, MOTOR_WAIT_EXITED, &w) == 0 && w.pid == a);
    EXPECT(wait_for(MOTOR_WAIT_ANY, 0, MOTOR_WAIT_EXITED | MOTOR_WAIT_NOHANG, &w) == 0);
    EXPECT(w.pid == 0);
    EXPECT(wait_for(MOTOR_WAIT_PID, a, MOTOR_WAIT_EXITED, &w) == -MOTOR_ENOENT);
    EXPECT(send_signal(MOTOR_TO_PROCESS, b, 0) == 0);
    EXPECT(send_signal(MOTOR_TO_PROCESS, b, 65) == -MOTOR_EINVAL);
    EXPECT(send_signal(MOTOR_TO_PROCESS, 0, 9) == -MOTOR_ENOENT);
    EXPECT(send_signal(MOTOR_TO_PROCESS, 1, 9) == -MOTOR_EPERM);
    EXPECT(send_signal(MOTOR_TO_PROCESS, b, 19) == 0);
    EXPECT(wait_for(MOTOR_WAIT_ANY, 0, MOTOR_WAIT_STOPPED, &w) == 0);
    EXPECT(w.pid == b && w.code == 5 && w.status == 19);
    EXPECT(send_signal(MOTOR_TO_PROCESS, b, 18) == 0);
    EXPECT(wait_for(MOTOR_WAIT_PID, b, MOTOR_WAIT_CONTINUED, &w) == 0);
    EXPECT(w.pid == b && w.code == 6);
    EXPECT(send_signal(MOTOR_TO_PROCESS, b, 19) == 0);
    EXPECT(wait_for(MOTOR_WAIT_PID, b, MOTOR_WAIT_STOPPED, &w) == 0);
    EXPECT(send_signal(MOTOR_TO_PROCESS, b, 9) == 0); /* a stopped one dies, too */
    EXPECT(killed_with(b) == 9);
    EXPECT(send_signal(MOTOR_TO_PROCESS, b, 0) == -MOTOR_ENOENT);
    motor_process_exit(0, 0);
}

static void groups(uint64_t unused, motor_handle unused_too)
{
    (void)unused, (void)unused_too;
    uint32_t own = (uint32_t)motor_process_label(0, MOTOR_LABEL_PGID, 0);
    uint32_t a = start_child(sleeps, 0), b = start_child(sleeps, 0);
    EXPECT(motor_process_label(a, MOTOR_LABEL_PGID, 0) == own);
    EXPECT(motor_process_label(0, MOTOR_LABEL_SET_SID, 0) == -MOTOR_EPERM); /* leads a group */
    EXPECT(motor_process_label(a, MOTOR_LABEL_SET_PGID, 0) == a);
    EXPECT(motor_process_label(b, MOTOR_LABEL_SET_PGID, 30000) == -MOTOR_EPERM);
    EXPECT(motor_process_label(b, MOTOR_LABEL_SET_PGID, a) == a);
    EXPECT(motor_process_label(1, MOTOR_LABEL_SET_PGID, 0) == -MOTOR_ENOENT);
    EXPECT(motor_process_label(31000, MOTOR_LABEL_PGID, 0) == -MOTOR_ENOENT);
    EXPECT(motor_process_label(0, 77, 0) == -MOTOR_EINVAL);
    EXPECT(send_signal(MOTOR_TO_GROUP, a, 9) == 0);
    EXPECT(killed_with(a) == 9 && killed_with(b) == 9);
    EXPECT(send_signal(MOTOR_TO_GROUP, a, 9) == -MOTOR_ENOENT);
    motor_process_exit(0, 0);
}

/* Other users may not; queued signals keep their order and values. */
static void signals(uint64_t unused, motor_handle unused_too)
{
    static struct motor_signal got[8];
    struct motor_process_info self;
    (void)unused, (void)unused_too;
    EXPECT(motor_process_info(0, MOTOR_PINFO_BASIC, &self, sizeof(self)) == 0);
    for (uint64_t i = 0; i < 3; i++) {
        struct motor_signal s = {.signo = 40, .code = -1, .data = {0, i}};
        EXPECT(motor_signal_send(MOTOR_TO_PROCESS, self.pid, &s) == 0);
        s.signo = 10;
        EXPECT(motor_signal_send(MOTOR_TO_PROCESS, self.pid, &s) == 0);
    }
    EXPECT(motor_signal_fetch(got, 8) == 4); /* the standard one once */
    EXPECT(got[0].signo == 40 && got[1].signo == 10 && got[2].data[1] == 1 && got[3].data[1] == 2);
    EXPECT(motor_signal_fetch(got, 8) == 0);
    uint32_t ids[3] = {1000, 1000, 1000}, root[3] = {0, 0, 0};
    uint32_t other = start_child(sleeps, 0);
    EXPECT(motor_process_set(0, MOTOR_PSET_UIDS, (uint64_t)ids) == 0);
    EXPECT(send_signal(MOTOR_TO_PROCESS, other, 9) == -MOTOR_EPERM);
    EXPECT(send_signal(MOTOR_TO_PROCESS, other, 18) == 0); /* the same session */
    EXPECT(motor_process_set(0, MOTOR_PSET_UIDS, (uint64_t)root) == -MOTOR_EPERM);
    EXPECT(self.root == 5 && motor_process_set(0, MOTOR_PSET_ROOT, 0) == -MOTOR_EPERM);
    EXPECT(motor_debug_write("x\n", 2) == -MOTOR_EPERM);
    EXPECT(motor_process_set(0, MOTOR_PSET_UID, 0) == -MOTOR_EACCESS);
    EXPECT(motor_process_set(0, MOTOR_PSET_PROCESS_LIMIT, 2) == 0);
    EXPECT(motor_process_create(MOTOR_PROCESS_CHILD) > 0);
    EXPECT(motor_process_create(MOTOR_PROCESS_CHILD) == -MOTOR_ELIMIT);
    EXPECT(motor_process_create(MOTOR_PROCESS_INIT) == -MOTOR_EACCESS);
    motor_process_exit(0, 0); /* leaves a sleeper and an embryo behind */
}

static uint64_t processes(void)
{
    struct motor_memory_info m;
    CHECK_EQ(motor_system_info(MOTOR_SINFO_MEMORY, &m, sizeof(m)), 0);
    return m.processes;
}

void test_family(void)
{
    static void (*const run[])(uint64_t, motor_handle) = {waits, groups, signals};
    uint64_t before = processes();
    CHECK_EQ(motor_process_set(0, MOTOR_PSET_ROOT, 5), 0); /* children inherit it */
    for (int i = 0; i < 3; i++) {
        motor_handle p = spawn(run[i], 0, 0, NULL);
        CHECK_EQ(wait_dead(p), 0);
        motor_handle_close(p);
    }
    /* the sleeper that `signals` left has become ours, which nobody waits for */
    send_signal(MOTOR_TO_ALL, 0, 9);
    for (int i = 0; i < 1000 && processes() != before; i++) {
        pause_ns(MS);
    }
    CHECK_EQ(processes(), before);
    CHECK_EQ(motor_process_set(0, MOTOR_PSET_ROOT, 0), 0);
}
