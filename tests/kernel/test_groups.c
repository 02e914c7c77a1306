/* SPDX-License-Identifier: MIT */
/* Supplementary groups: who may set which, who inherits them, and what servers are told. */
#include "ktest.h"
#include "tests.h"

enum { EXITS, CALLS };

static int64_t set(motor_handle p, const uint32_t *gid, uint32_t count)
{
    struct motor_groups g = {.gid = (uint32_t *)gid, .count = count};
    return motor_process_set(p, MOTOR_PSET_GROUPS, (uint64_t)&g);
}

static void groups_are(motor_handle p, int64_t id, const uint32_t *gid, uint32_t count)
{
    uint32_t got[8] = {0};
    struct motor_groups g = {.gid = got, .count = 8};
    CHECK_EQ(motor_process_info(p, MOTOR_PINFO_GROUPS, &g, sizeof(g)), 0);
    CHECK_EQ(g.id, id);
    CHECK_EQ(g.count, count);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ(got[i], gid[i]);
    }
}

/* ---- lists ---- */

static void refused(void)
{
    static const uint32_t descends[] = {10, 20, 15}, none[] = {10, UINT32_MAX};
    uint64_t size = MOTOR_GROUPS_MAX * sizeof(uint32_t) + PAGE;
    uint32_t *many = allocate(size);
    struct motor_groups g = {.gid = many};
    for (uint32_t i = 0; i <= MOTOR_GROUPS_MAX; i++) {
        many[i] = i;
    }
    CHECK_EQ(set(0, descends, 3), -MOTOR_EINVAL);
    CHECK_EQ(set(0, none, 2), -MOTOR_EINVAL);
    CHECK_EQ(set(0, many, MOTOR_GROUPS_MAX + 1), -MOTOR_EINVAL);
    CHECK_EQ(set(0, (const uint32_t *)PAGE, 1), -MOTOR_EFAULT);
    CHECK_EQ(set(0, (const uint32_t *)0xffffffff80000000, 1), -MOTOR_EFAULT);
    CHECK_EQ(set(0, many + 1, MOTOR_GROUPS_MAX / 2) < 0, false);
    many[MOTOR_GROUPS_MAX - 1] = 0;
    CHECK_EQ(set(0, many, MOTOR_GROUPS_MAX), -MOTOR_EINVAL);
    many[MOTOR_GROUPS_MAX - 1] = MOTOR_GROUPS_MAX;
    CHECK(set(0, many, MOTOR_GROUPS_MAX) > 0);
    CHECK_EQ(motor_process_set(0, MOTOR_PSET_GROUPS, PAGE), -MOTOR_EFAULT);
    CHECK_EQ(motor_process_info(0, MOTOR_PINFO_GROUPS, &g, sizeof(g) - 1), -MOTOR_EINVAL);
    CHECK_EQ(motor_process_info(0, MOTOR_PINFO_GROUPS, (void *)PAGE, sizeof(g)), -MOTOR_EFAULT);
    CHECK_EQ(motor_process_info(0, MOTOR_PINFO_GROUPS, &g, sizeof(g)),
             0); /* no room: none stored */
    CHECK_EQ(g.count, MOTOR_GROUPS_MAX);
    g.gid = (uint32_t *)PAGE;
    CHECK_EQ(motor_process_info(0, MOTOR_PINFO_GROUPS, &g, sizeof(g)), -MOTOR_EFAULT);
    g.gid = many;
    CHECK_EQ(motor_process_info(0, MOTOR_PINFO_GROUPS, &g, sizeof(g)), 0);
    CHECK(many[0] == 0 && many[MOTOR_GROUPS_MAX - 1] == MOTOR_GROUPS_MAX);
    motor_unmap(0, (uint64_t)many, size);
    CHECK_EQ(set(0, NULL, 0), 0);
    groups_are(0, 0, NULL, 0);
}

/* ---- other processes ---- */

/* What fails in a child, which cannot write to the log: the line is its status. */
static uint32_t wrong;
#define EXPECT(condition) ((condition) || wrong ? (void)0 : (void)(wrong = __LINE__))

static void client(uint64_t what, motor_handle server)
{
    uint32_t ids[] = {5, 5, 5}, list[] = {30};
    struct motor_msg m = {.deadline = NEVER};
    struct motor_groups g = {.count = 0};
    EXPECT(motor_process_info(0, MOTOR_PINFO_GROUPS, &g, sizeof(g)) == 0 && g.count == 2);
    EXPECT(motor_process_set(0, MOTOR_PSET_UIDS, (uint64_t)ids) == 0);
    EXPECT(set(0, list, 1) == -MOTOR_EPERM && set(0, NULL, 0) == -MOTOR_EPERM);
    motor_handle embryo = (motor_handle)motor_process_create(0);
    EXPECT(set(embryo, list, 1) == -MOTOR_EPERM);
    motor_handle_close(embryo);
    g.count = 0;
    EXPECT(motor_process_info(0, MOTOR_PINFO_GROUPS, &g, sizeof(g)) == 0 && g.count == 2);
    if (what == CALLS) {
        EXPECT(motor_call(server, &m) == 0 && motor_call(server, &m) == 0);
    }
    motor_process_exit(0, wrong << 8);
}

static void inherited(void)
{
    static const uint32_t list[] = {10, 20, 20}, other[] = {5};
    int64_t id = CHECK_OK(set(0, list, 2)), second = CHECK_OK(set(0, list, 2));
    CHECK(id > 0 && second > id);
    motor_handle p = spawn(client, EXITS, 0, NULL);
    groups_are(p, second, list, 2);
    CHECK(set(0, list, 3) > second); /* twice is as good as once */
    CHECK_EQ(wait_dead(p), 0);
    groups_are(p, second, list, 2);
    CHECK(set(p, other, 1) > second); /* nothing is wrong with a dead one */
    motor_handle_close(p);
    CHECK_EQ(set(0, NULL, 0), 0);
}

static struct motor_event next_call(motor_handle endpoint)
{
    struct motor_event e = {.kind = 0};
    do {
        CHECK_EQ(motor_serve(endpoint, NULL, 0, &e, 1, now() + 20000 * MS), 1);
    } while (e.kind != MOTOR_EVENT_CALL);
    return e;
}

static void told(void)
{
    static const uint32_t list[] = {10, 20}, other[] = {15, 16, 40};
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle gate = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 1, 0));
    uint64_t id = (uint64_t)CHECK_OK(set(0, list, 2));
    motor_handle p = spawn(client, CALLS, gate, NULL);
    CHECK_EQ(set(0, NULL, 0), 0);
    struct motor_event e = next_call(endpoint);
    CHECK_EQ(e.groups, id);
    for (uint32_t gid = 5; gid < 30; gid++) {
        CHECK_EQ(motor_caller_in_group(e.token, id, gid), gid == 10 || gid == 20);
    }
    CHECK_EQ(motor_caller_in_group(e.token, id, UINT32_MAX), 0);
    CHECK_EQ(motor_caller_in_group(e.token, id + 1, 10), -MOTOR_EGONE);
    CHECK_EQ(motor_caller_in_group(e.token, 0, 10), -MOTOR_EGONE);
    CHECK_EQ(motor_caller_in_group(e.token + (1 << 16), id, 10), -MOTOR_EGONE);
    uint64_t next = (uint64_t)CHECK_OK(set(p, other, 3));
    CHECK_EQ(motor_caller_in_group(e.token, id, 10), -MOTOR_EGONE);
    CHECK_EQ(motor_caller_in_group(e.token, next, 10), 0);
    CHECK_EQ(motor_caller_in_group(e.token, next, 40), 1);
    struct motor_reply r = {.token = e.token};
    CHECK_EQ(motor_serve(endpoint, &r, 1, NULL, 0, 0), 0);
    CHECK_EQ(motor_caller_in_group(e.token, next, 40), -MOTOR_EGONE);
    e = next_call(endpoint);
    CHECK_EQ(e.groups, next);
    CHECK_EQ(set(p, NULL, 0), 0);
    CHECK_EQ(motor_caller_in_group(e.token, next, 40), -MOTOR_EGONE);
    r.token = e.token;
    CHECK_EQ(motor_serve(endpoint, &r, 1, NULL, 0, 0), 0);
    CHECK_EQ(wait_dead(p), 0);
    motor_handle_close(p);
    motor_handle_close(gate);
    motor_handle_close(endpoint);
}

/* ---- what they cost ---- */

static uint64_t lists(void)
{
    struct motor_memory_info m = {0};
    CHECK_EQ(motor_system_info(MOTOR_SINFO_MEMORY, &m, sizeof(m)), 0);
    return m.groups;
}

static void payer(uint64_t unused, motor_handle unused_too)
{
    (void)unused, (void)unused_too;
    uint32_t *list = allocate(MOTOR_GROUPS_MAX * sizeof(*list)); /* zeros */
    EXPECT(motor_process_set(0, MOTOR_PSET_OBJECT_LIMIT, 300 << 10) == 0);
    for (int i = 0; i < 3; i++) {
        EXPECT(set(0, list, MOTOR_GROUPS_MAX) == -MOTOR_ENOMEM || i == 0);
        EXPECT(set(0, list, 1000) > 0);
        EXPECT(motor_process_set(0, MOTOR_PSET_OBJECT_LIMIT, (200 << 10) + (i & 1)) == 0);
    }
    motor_process_exit(0, wrong << 8);
}

static void paid_for(void)
{
    static const uint32_t list[] = {10};
    uint64_t before = lists();
    motor_handle p = spawn(payer, 0, 0, NULL);
    CHECK_EQ(wait_dead(p), 0);
    CHECK_EQ(lists(), before + 1);
    motor_handle_close(p);
    CHECK_EQ(lists(), before);
    CHECK(set(0, list, 1) > 0);
    p = (motor_handle)CHECK_OK(motor_process_create(0));
    CHECK_EQ(lists(), before + 1); /* one for both */
    CHECK_EQ(set(0, NULL, 0), 0);
    CHECK_EQ(lists(), before + 1);
    motor_handle_close(p);
    CHECK_EQ(lists(), before);
}

void test_groups(void)
{
    refused();
    inherited();
    told();
    paid_for();
}
