/* SPDX-License-Identifier: MIT */
/* Memory objects with a pager whose device fills their pages: MOTOR_VMO_PREPARE, MOTOR_VMO_FILLED.
 */
#include "ktest.h"
#include "tests.h"

#define PAGES 200u
#define BATCH 64u

static int64_t control(motor_handle v, uint32_t op, uint64_t page, uint64_t pages, void *buffer)
{
    return motor_vmo_control(v, op, page * PAGE, pages * PAGE, buffer);
}

static bool told(const uint64_t *addresses, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (!addresses[i] || addresses[i] % PAGE) {
            return false;
        }
        for (uint64_t k = 0; k < i; k++) {
            if (addresses[k] == addresses[i]) {
                return false;
            }
        }
    }
    return true;
}

static uint64_t committed(motor_handle v)
{
    return (uint64_t)control(v, MOTOR_VMO_COMMITTED, 0, 0, NULL) / PAGE;
}

static void not_a_driver(uint64_t unused, motor_handle v)
{
    uint64_t addresses[1];
    (void)unused;
    motor_process_exit(
        0, control(v, MOTOR_VMO_PREPARE, 0, 1, addresses) == -MOTOR_ERIGHTS ? 0 : 1 << 8);
}

void test_paged(void)
{
    static uint64_t addresses[BATCH + 1];
    static char bytes[PAGE];
    motor_handle v = (motor_handle)CHECK_OK(motor_vmo_create(PAGES * PAGE, MOTOR_VMO_PAGED)),
                 plain = (motor_handle)CHECK_OK(motor_vmo_create(PAGES * PAGE, 0));
    CHECK_EQ(control(v, MOTOR_VMO_SUPPLY, 70, 1, bytes), 0);
    CHECK_EQ(control(plain, MOTOR_VMO_PREPARE, 0, 1, addresses), -MOTOR_EINVAL);
    CHECK_EQ(control(plain, MOTOR_VMO_FILLED, 0, 1, NULL), -MOTOR_EINVAL);
    CHECK_EQ(control(v, MOTOR_VMO_PREPARE, 0, BATCH + 1, addresses), -MOTOR_EINVAL);
    CHECK_EQ(control(v, MOTOR_VMO_PREPARE, PAGES, 1, addresses), -MOTOR_EGONE);
    CHECK_EQ(control(v, MOTOR_VMO_PREPARE, 0, 1, (void *)16), -MOTOR_EFAULT);
    CHECK_EQ(committed(v), 1);
    CHECK_EQ(control(v, MOTOR_VMO_PREPARE, 0, BATCH, addresses), BATCH);
    CHECK(told(addresses, BATCH));
    CHECK_EQ(committed(v), 1 + BATCH);
    /* up to the page that is there, and none that is prepared already */
    CHECK_EQ(control(v, MOTOR_VMO_PREPARE, BATCH, BATCH, addresses), 70 - BATCH);
    CHECK_EQ(control(v, MOTOR_VMO_PREPARE, 5, 1, addresses), -MOTOR_EEXIST);
    CHECK_EQ(control(v, MOTOR_VMO_PREPARE, 70, 1, addresses), -MOTOR_EEXIST);
    /* nobody sees it, and it can be neither written nor brought */
    char *here = (char *)CHECK_OK(
        motor_map(0, v, 0, 0, PAGES * PAGE, MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PAGER));
    CHECK(motor_vmo_control(v, MOTOR_VMO_READ, 3 * PAGE, 1, bytes) < 0);
    CHECK_EQ(control(v, MOTOR_VMO_ALLOW, 3, 1, NULL), -MOTOR_ENOENT);
    CHECK_EQ(control(v, MOTOR_VMO_SUPPLY, 3, 1, bytes), 0);
    CHECK(motor_vmo_control(v, MOTOR_VMO_READ, 3 * PAGE, 1, bytes) < 0);
    CHECK_EQ(control(v, MOTOR_VMO_FILLED, 3, 1, NULL), 0);
    here[3 * PAGE] = 'x';
    CHECK_EQ(motor_vmo_control(v, MOTOR_VMO_READ, 3 * PAGE, 1, bytes), 1);
    CHECK_EQ(bytes[0], 'x');
    CHECK_EQ(control(v, MOTOR_VMO_ALLOW, 3, 1, NULL), 0);
    CHECK(motor_vmo_control(v, MOTOR_VMO_READ, 4 * PAGE, 1, bytes) < 0);
    CHECK_EQ(control(v, MOTOR_VMO_FILLED, 100, 50, NULL), 0); /* none of these was prepared */
    CHECK(motor_vmo_control(v, MOTOR_VMO_READ, 100 * PAGE, 1, bytes) < 0);
    /* taken back */
    CHECK_EQ(control(v, MOTOR_VMO_DECOMMIT, 0, PAGES, NULL), 0);
    CHECK_EQ(committed(v), 0);
    CHECK_EQ(control(v, MOTOR_VMO_PREPARE, 3, 1, addresses), 1);
    motor_handle child = spawn(not_a_driver, 0, v, NULL);
    CHECK_EQ(wait_dead(child), 0);
    motor_handle_close(child);
    motor_unmap(0, (uint64_t)here, PAGES * PAGE);
    motor_handle_close(v);
    motor_handle_close(plain);
}
