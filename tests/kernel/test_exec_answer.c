/* SPDX-License-Identifier: MIT */
/* Answers that are programs: who becomes what, and what a handle to him is good for then. */
#include "ktest.h"
#include "tests.h"

enum { PLAIN, SELF, NO_NEW_PRIVS, CHILD };
#define SIGKILL 9u

static motor_handle endpoint, gate, other_endpoint, other_gate;

static void set_user(void)
{
    uint32_t gids[] = {6, 6, 6}, uids[] = {5, 5, 5}, list[] = {8, 9};
    struct motor_groups groups = {.gid = list, .count = 2};
    CHECK(motor_process_set(0, MOTOR_PSET_GROUPS, (uint64_t)&groups) > 0);
    CHECK_EQ(motor_process_set(0, MOTOR_PSET_GIDS, (uint64_t)gids), 0);
    CHECK_EQ(motor_process_set(0, MOTOR_PSET_UIDS, (uint64_t)uids), 0);
}

/* ---- who calls ---- */

static void client(uint64_t how, motor_handle server)
{
    struct motor_msg m = {.nhandles = how == PLAIN ? 0 : MOTOR_CALL_EXEC, .deadline = NEVER};
    struct motor_wait w = {.status = 0};
    m.word[0] = server;
    m.word[1] = (uint64_t)motor_vmo_create(PAGE, 0);
    set_user();
    if (how == NO_NEW_PRIVS) {
        CHECK_EQ(motor_process_set(0, MOTOR_PSET_NO_NEW_PRIVS, 0), -MOTOR_EINVAL);
        CHECK_EQ(motor_process_set(0, MOTOR_PSET_NO_NEW_PRIVS, 1), 0);
    }
    if (how == CHILD) {
        CHECK_OK(motor_process_create(MOTOR_PROCESS_CHILD | MOTOR_PROCESS_FROM_TEMPLATE |
                                      MOTOR_PROCESS_ACT_FOR));
    }
    int64_t status = motor_call(server, &m);
    if (how == CHILD && status == 0 && m.status == 0) { /* it started; here goes on its parent */
        motor_process_wait(MOTOR_WAIT_ANY, 0, MOTOR_WAIT_EXITED, &w);
        motor_process_exit(0, w.status << 8);
    }
    motor_process_exit(0, (uint32_t)-status << 8);
}

static struct motor_event next_call(void)
{
    struct motor_event e = {.kind = 0};
    do {
        CHECK_EQ(motor_serve(endpoint, NULL, 0, &e, 1, now() + 20000 * MS), 1);
    } while (e.kind != MOTOR_EVENT_CALL);
    return e;
}

static motor_handle program(void)
{
    return (motor_handle)CHECK_OK(motor_process_create(MOTOR_PROCESS_FROM_TEMPLATE));
}

static void answer(const struct motor_event *e, motor_handle embryo, uint64_t argument,
                   uint32_t handles)
{
    struct motor_reply r = {.token = e->token,
                            .word = {argument, 77, MOTOR_KEEP_ID},
                            .nhandles = handles,
                            .handle = {embryo},
                            .flags = MOTOR_REPLY_EXEC | (handles ? MOTOR_REPLY_MOVE : 0)};
    CHECK_EQ(motor_serve(endpoint, &r, 1, NULL, 0, 0), 0);
}

/* ---- what the program is ---- */

static void ids_are(motor_handle p, uint32_t real, uint32_t effective, uint32_t group, bool secret)
{
    struct motor_process_info i;
    CHECK_EQ(motor_process_info(p, MOTOR_PINFO_BASIC, &i, sizeof(i)), 0);
    CHECK(i.ruid == real && i.uid == effective && i.suid == effective);
    CHECK(i.rgid == group && i.gid == group && i.sgid == group);
    CHECK_EQ(i.flags, secret ? MOTOR_PROCESS_SECRET : 0);
}

/* Not root, with every right to the process. */
static void accomplice(uint64_t guarded, motor_handle p)
{
    struct motor_process_info i;
    struct motor_thread_start start = {.rip = (uint64_t)accomplice};
    uint64_t address[2] = {PAGE, 0};
    uint32_t ids[] = {5, 5, 5};
    struct motor_memory_write w = {.address = PAGE, .from = ids, .size = 4};
    int64_t wanted = guarded ? -MOTOR_EACCESS : 0;
    set_user();
    CHECK_EQ(motor_process_info(p, MOTOR_PINFO_BASIC, &i, sizeof(i)), wanted);
    if (guarded) {
        CHECK_EQ(motor_process_info(p, MOTOR_PINFO_MEMORY, address, sizeof(address)), wanted);
        CHECK_EQ(motor_process_set(p, MOTOR_PSET_MEMORY, (uint64_t)&w), wanted);
        CHECK_EQ(motor_process_set(p, MOTOR_PSET_UIDS, (uint64_t)ids), wanted);
        CHECK_EQ(motor_process_set(p, MOTOR_PSET_UPCALL_ENTRY, PAGE), wanted);
        CHECK_EQ(motor_map(p, 0, 0, 0, PAGE, MOTOR_PROT_READ), wanted);
        CHECK_EQ(motor_unmap(p, PAGE, PAGE), wanted);
        CHECK_EQ(motor_protect(p, PAGE, PAGE, MOTOR_PROT_READ), wanted);
        CHECK_EQ(motor_thread_create(p, &start), wanted);
        CHECK_EQ(motor_handle_install(p, p, 0), wanted);
        CHECK_EQ(motor_handle_give(p, &p, 1), wanted);
        CHECK_EQ(motor_timer_set(p, 0, 0, 0), wanted);
        CHECK_EQ(motor_process_exit(p, 0), wanted);
    }
    motor_process_exit(0, 0);
}

static void try_accomplice(motor_handle process, bool guarded)
{
    struct motor_thread_start start = {.rip = (uint64_t)accomplice, .arg = {guarded}};
    motor_handle p = make_embryo(&start.rsp);
    start.rsp -= 8;
    start.arg[1] = (uint64_t)CHECK_OK(motor_handle_install(p, process, MOTOR_RIGHTS_ALL));
    motor_handle_close((motor_handle)CHECK_OK(motor_thread_create(p, &start)));
    CHECK_EQ(wait_dead(p), 0);
    motor_handle_close(p);
}

/* ---- the tests ---- */

static void refused(uint64_t how, bool from_template, uint32_t handles, int64_t status)
{
    uint64_t top;
    motor_handle p = spawn(client, how, gate, NULL);
    struct motor_event e = next_call();
    motor_handle embryo = from_template ? program() : make_embryo(&top);
    answer(&e, embryo, 0, handles);
    if (!handles) {
        motor_handle_close(embryo);
    }
    CHECK_EQ(wait_dead(p), (uint32_t)-status << 8);
    motor_handle_close(p);
}

static void becomes(void)
{
    uint32_t list[2] = {0};
    struct motor_groups groups = {.gid = list, .count = 2};
    motor_handle p = spawn(client, SELF, gate, NULL);
    struct motor_event e = next_call();
    try_accomplice(p, false);
    ids_are(p, 5, 5, 6, true); /* it was another */
    answer(&e, program(), STAYS, 1);
    struct motor_process_info i = {.uid = 0};
    for (int n = 0; n < 1000 && i.uid != 77; n++) {
        pause_ns(MS);
        CHECK_EQ(motor_process_info(p, MOTOR_PINFO_BASIC, &i, sizeof(i)), 0);
    }
    ids_are(p, 5, 77, 6, true);
    CHECK_EQ(motor_process_info(p, MOTOR_PINFO_GROUPS, &groups, sizeof(groups)), 0);
    CHECK(groups.count == 2 && list[0] == 8 && list[1] == 9); /* not the embryo's */
    CHECK_EQ(i.handles, 0); /* its own are closed, and the embryo had none */
    try_accomplice(p, true);
    CHECK_EQ(motor_process_exit(p, SIGKILL), 0); /* by root */
    CHECK_EQ(wait_dead(p), SIGKILL);
    motor_handle_close(p);
}

static void passes(void)
{
    motor_handle p = spawn(client, SELF, gate, NULL), embryo = program();
    struct motor_event e = next_call();
    motor_handle theirs = (motor_handle)e.word[0], vmo = (motor_handle)e.word[1];
    struct motor_gate_info g = {.endpoint = endpoint};
    g.handle = (motor_handle)CHECK_OK(motor_handle_pass(e.token, theirs, embryo, gate));
    CHECK_EQ(motor_process_info(embryo, MOTOR_PINFO_GATE, &g, sizeof(g)), 0);
    CHECK_EQ(g.badge, 1);
    CHECK_EQ(motor_handle_pass(e.token, theirs, embryo, other_gate), -MOTOR_ETYPE);
    CHECK_EQ(motor_handle_pass(e.token, vmo, embryo, gate), -MOTOR_ETYPE);
    CHECK_EQ(motor_handle_pass(e.token, 0, embryo, gate), -MOTOR_ETYPE);
    CHECK_EQ(motor_handle_pass(e.token, theirs, embryo, endpoint), -MOTOR_ETYPE);
    CHECK_EQ(motor_handle_pass(e.token, theirs, 0, gate), -MOTOR_EBUSY);
    CHECK_EQ(motor_handle_pass(e.token, theirs, p, gate), -MOTOR_EBUSY);
    CHECK_EQ(motor_handle_pass(e.token + 1, theirs, embryo, gate), -MOTOR_EGONE);
    answer(&e, embryo, 1, 1);
    CHECK_EQ(wait_dead(p), 8 << 8);
    motor_handle_close(p);
}

void test_exec_answer(void)
{
    endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    gate = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 1, 0));
    other_endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    other_gate = (motor_handle)CHECK_OK(motor_gate_create(other_endpoint, 1, 0));
    refused(PLAIN, true, 1, -MOTOR_EACCESS);
    refused(SELF, false, 1, -MOTOR_EINVAL);
    refused(SELF, true, 0, -MOTOR_EINVAL);
    refused(NO_NEW_PRIVS, true, 1, -MOTOR_EPERM);
    becomes();
    passes();
    motor_handle p = spawn(client, CHILD, gate, NULL);
    struct motor_event e = next_call();
    answer(&e, program(), 2, 1);
    CHECK_EQ(wait_dead(p), 9 << 8);
    ids_are(p, 5, 5, 6, true);
    motor_handle_close(p);
    motor_handle_close(gate);
    motor_handle_close(endpoint);
    motor_handle_close(other_gate);
    motor_handle_close(other_endpoint);
}
