/* SPDX-License-Identifier: MIT */
/* A process's memory limit: of its private memory, and of the memory objects that it makes. */
#include "ktest.h"
#include "tests.h"

#define LIMIT (4ull << 20)

/* Status 1 << 8 if something does not hold: the run is in a child. */
#define EXPECT(condition) \
    do { \
        if (!(condition)) { \
            say("  %s:%d: %s is false\n", __FILE__, __LINE__, #condition); \
            motor_process_exit(0, 1 << 8); \
        } \
    } while (0)

static void objects(uint64_t unused, motor_handle unused_too)
{
    (void)unused, (void)unused_too;
    EXPECT(motor_process_set(0, MOTOR_PSET_MEMORY_LIMIT, LIMIT) == 0);
    motor_handle a = (motor_handle)motor_vmo_create(2 * LIMIT, 0),
                 b = (motor_handle)motor_vmo_create(2 * LIMIT, 0);
    EXPECT(motor_vmo_control(a, MOTOR_VMO_COMMIT, 0, LIMIT / 2, NULL) == 0);
    EXPECT(motor_vmo_control(b, MOTOR_VMO_COMMIT, 0, LIMIT, NULL) == -MOTOR_ENOMEM);
    EXPECT(motor_vmo_control(a, MOTOR_VMO_COMMITTED, 0, 0, NULL) +
               motor_vmo_control(b, MOTOR_VMO_COMMITTED, 0, 0, NULL) ==
           (int64_t)LIMIT);
    int64_t clone = motor_vmo_clone(a, 0, LIMIT);
    EXPECT(clone > 0);
    EXPECT(motor_vmo_control((motor_handle)clone, MOTOR_VMO_COMMIT, 0, PAGE, NULL) ==
           -MOTOR_ENOMEM);
    EXPECT(motor_vmo_control(a, MOTOR_VMO_DECOMMIT, 0, LIMIT / 2, NULL) == 0);
    EXPECT(motor_vmo_control((motor_handle)clone, MOTOR_VMO_COMMIT, 0, PAGE, NULL) == 0);
    motor_handle_close(b); /* what it held may be had again */
    EXPECT(motor_vmo_control(a, MOTOR_VMO_COMMIT, 0, LIMIT - PAGE, NULL) == 0);
    EXPECT(motor_vmo_create(PAGE, MOTOR_VMO_CONTIGUOUS) == -MOTOR_ENOMEM);
    motor_process_exit(0, 0);
}

#define COPY (MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE | MOTOR_MAP_COPY)

/* A copy that does not fit leaves no mapping behind. */
static void copies(uint64_t unused, motor_handle unused_too)
{
    (void)unused, (void)unused_too;
    const char *zeros = allocate(2 * LIMIT); /* reading it takes nothing but page tables */
    uint64_t at = (uint64_t)zeros - 4 * LIMIT;
    EXPECT(motor_process_set(0, MOTOR_PSET_MEMORY_LIMIT, LIMIT) == 0);
    EXPECT(motor_map(0, 0, (uint64_t)zeros, at, LIMIT, COPY | MOTOR_MAP_NOREPLACE) ==
           -MOTOR_ENOMEM);
    EXPECT(motor_unmap(0, (uint64_t)zeros, 2 * LIMIT) == 0);
    EXPECT(motor_map(0, 0, 0, at, LIMIT, MOTOR_PROT_READ | MOTOR_MAP_NOREPLACE) == (int64_t)at);
    motor_process_exit(0, 0);
}

void test_memory_limit(void)
{
    motor_handle p = spawn(objects, 0, 0, NULL);
    CHECK_EQ(wait_dead(p), 0);
    motor_handle_close(p);
    p = spawn(copies, 0, 0, NULL);
    CHECK_EQ(wait_dead(p), 0);
    motor_handle_close(p);
}
