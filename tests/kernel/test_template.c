/* SPDX-License-Identifier: MIT */
/* Processes that begin with a copy of the template's memory, and what is not in it. */
#include "ktest.h"
#include "tests.h"

static uint64_t prepared;
static uint64_t *left_out;

/* Of the template's children: what was prepared, plus what the argument says, is the status. */
static void begin(uint64_t argument)
{
    while (argument == STAYS) { /* until it is ended */
        pause_ns(1000 * MS);
    }
    prepared += argument; /* in this process alone */
    uint64_t sum = prepared;
    /* its place is free: a new mapping may have it */
    if (motor_map(0, 0, 0, (uint64_t)left_out, PAGE,
                  MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_NOREPLACE) < 0) {
        sum = 98;
    }
    motor_process_exit(0, (uint32_t)sum << 8);
}

static void prepare(uint64_t wrong, motor_handle unused)
{
    (void)unused;
    struct motor_thread_start start = {.rip = (uint64_t)begin};
    prepared = 7;
    left_out = (uint64_t *)motor_map(0, 0, 0, 0, PAGE,
                                     MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_NOFORK);
    start.rsp = (uint64_t)allocate(4 * PAGE) + 4 * PAGE - 8;
    if (wrong) {
        start.rip = 0xffffffff80000000;
    }
    *left_out = 1;
    int64_t status = motor_process_set(0, MOTOR_PSET_TEMPLATE, (uint64_t)&start);
    prepared = 1000; /* too late to be in it */
    motor_process_exit(0, (uint32_t)-status << 8);
}

static uint32_t run_prepare(uint64_t wrong)
{
    motor_handle p = spawn(prepare, wrong, 0, NULL);
    uint32_t status = wait_dead(p);
    motor_handle_close(p);
    return status;
}

static void run_child(uint64_t argument, uint32_t status)
{
    motor_handle p = (motor_handle)CHECK_OK(motor_process_create(MOTOR_PROCESS_FROM_TEMPLATE));
    struct motor_thread_start start = {.arg = {argument}, .flags = MOTOR_THREAD_FROM_TEMPLATE};
    motor_handle_close((motor_handle)CHECK_OK(motor_thread_create(p, &start)));
    CHECK_EQ(wait_dead(p), status);
    motor_handle_close(p);
}

void make_template(void)
{
    CHECK_EQ(motor_process_create(MOTOR_PROCESS_FROM_TEMPLATE), -MOTOR_ENOENT);
    CHECK_EQ(motor_process_set(0, MOTOR_PSET_TEMPLATE, 8), -MOTOR_EFAULT);
    CHECK_EQ(run_prepare(1), MOTOR_EINVAL << 8);
    CHECK_EQ(run_prepare(0), 0);
}

void test_template(void)
{
    uint64_t top;
    struct motor_thread_start start = {.flags = MOTOR_THREAD_FROM_TEMPLATE};
    CHECK_EQ(run_prepare(0), MOTOR_EEXIST << 8);
    for (uint32_t i = 0; i < 5; i++) {
        run_child(i, (7 + i) << 8);
    }
    motor_handle p = make_embryo(&top);
    CHECK_EQ(motor_process_set(p, MOTOR_PSET_TEMPLATE, 0), -MOTOR_EINVAL);
    CHECK_EQ(motor_thread_create(p, &start), -MOTOR_EINVAL); /* not made from it */
    motor_handle_close(p);
    p = (motor_handle)CHECK_OK(motor_process_create(MOTOR_PROCESS_FROM_TEMPLATE));
    start.flags = MOTOR_THREAD_NO_HANDLE << 1;
    CHECK_EQ(motor_thread_create(p, &start), -MOTOR_EINVAL);
    motor_handle_close(p); /* never started */
    uint64_t made = (uint64_t)CHECK_OK(
        motor_process_create(MOTOR_PROCESS_FROM_TEMPLATE | MOTOR_PROCESS_TELL_PID));
    struct motor_process_info info;
    p = (motor_handle)made;
    CHECK_OK(motor_process_info(p, MOTOR_PINFO_BASIC, &info, sizeof(info)));
    CHECK_EQ(info.pid, made >> 32);
    start.flags = MOTOR_THREAD_FROM_TEMPLATE | MOTOR_THREAD_NO_HANDLE;
    CHECK_EQ(motor_thread_create(p, &start), 0);
    CHECK_EQ(wait_dead(p), 7 << 8);
    motor_handle_close(p);
}
