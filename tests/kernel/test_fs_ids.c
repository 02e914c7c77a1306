/* SPDX-License-Identifier: MIT */
/* The user and group that a thread chooses for files: what servers are told, and who may. */
#include "ktest.h"
#include "tests.h"

static int64_t choose(uint32_t what, uint64_t id)
{
    return motor_thread_control(0, what, id);
}

/* Each step is a call, so that the server sees what became of it. */
static void client(uint64_t unused, motor_handle server)
{
    (void)unused;
    struct motor_msg m = {.deadline = NEVER};
    uint32_t ids[] = {5, 6, 7}, wrong = 0;
    wrong += choose(MOTOR_THREAD_SET_FSUID, 9) != 0;
    wrong += choose(MOTOR_THREAD_SET_FSGID, 8) != 0;
    wrong += motor_call(server, &m) != 0;
    wrong += motor_process_set(0, MOTOR_PSET_UIDS, (uint64_t)ids) != 0;
    wrong += motor_call(server, &m) != 0;
    wrong += choose(MOTOR_THREAD_SET_FSUID, 0) != 6; /* not root any more */
    wrong += choose(MOTOR_THREAD_SET_FSUID, 7) != 6 || choose(MOTOR_THREAD_SET_FSUID, 5) != 7;
    wrong += choose(MOTOR_THREAD_SET_FSGID, 9) != 8;
    wrong += motor_call(server, &m) != 0;
    wrong += choose(MOTOR_THREAD_SET_FSUID, UINT32_MAX) != 5;
    wrong += choose(MOTOR_THREAD_SET_FSUID, 1ull << 32) != -MOTOR_EINVAL;
    motor_handle embryo = (motor_handle)motor_process_create(MOTOR_PROCESS_ACT_FOR);
    wrong += choose(MOTOR_THREAD_SET_FSUID, 7) != 5; /* it would remain when that has started */
    wrong += motor_call(server, &m) != 0;
    motor_process_exit(embryo, 0);
    motor_process_exit(0, wrong << 8);
}

static void nothing(void *unused)
{
    (void)unused;
}

void test_fs_ids(void)
{
    static const uint32_t told[][3] = {{0, 9, 8}, {6, 6, 8}, {6, 5, 8}, {6, 5, 8}};
    struct motor_event e = {.kind = 0};
    struct motor_reply r = {.token = 0};
    struct worker w;
    uint32_t answers = 0;
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle gate = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 1, 0));
    motor_handle p = spawn(client, 0, gate, NULL);
    for (uint32_t i = 0; i < 4;) {
        CHECK_EQ(motor_serve(endpoint, &r, answers, &e, 1, now() + 20000 * MS), 1);
        answers = 0;
        if (e.kind != MOTOR_EVENT_CALL) {
            continue;
        }
        CHECK_EQ(e.uid, told[i][0]);
        CHECK_EQ(e.fsuid, told[i][1]);
        CHECK_EQ(e.fsgid, told[i][2]);
        CHECK_EQ(e.gid, 0);
        r.token = e.token;
        answers = 1;
        i++;
    }
    CHECK_EQ(motor_serve(endpoint, &r, answers, NULL, 0, 0), 0);
    CHECK_EQ(wait_dead(p), 0);
    motor_handle_close(p);
    motor_handle_close(gate);
    motor_handle_close(endpoint);
    worker_start(&w, nothing, NULL);
    CHECK_EQ(motor_thread_control(w.handle, MOTOR_THREAD_SET_FSUID, 9), -MOTOR_EINVAL);
    worker_join(&w);
}
