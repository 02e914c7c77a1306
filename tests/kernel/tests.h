/* SPDX-License-Identifier: MIT */
#ifndef TESTS_H
#define TESTS_H

struct test {
    const char *name;
    void (*run)(void);
};
extern const struct test tests[]; /* ends with a NULL name */
void make_template(void);         /* before all tests, since it remains for good */
/* Who is made from it ends with 7 and its argument, but for this one. */
#define STAYS 1000u

#define TEST_LIST(X) \
    X(handles) \
    X(handle_table) \
    X(info) \
    X(random_bytes) \
    X(bad_arguments) \
    X(copied_mapping) \
    X(threads) \
    X(registers) \
    X(many_threads) \
    X(thread_control) \
    X(futex) \
    X(futex_requeue) \
    X(futex_shared) \
    X(futex_pingpong) \
    X(notify) \
    X(call) \
    X(call_sizes) \
    X(call_handles) \
    X(call_gives_up) \
    X(call_servers) \
    X(endpoint_closed) \
    X(processes) \
    X(server_dies) \
    X(kill) \
    X(gate_elsewhere) \
    X(faults) \
    X(fault_upcall) \
    X(upcall) \
    X(timer) \
    X(exec) \
    X(linux_entry) \
    X(fairness) \
    X(unhurried) \
    X(interrupt) \
    X(embryo_circle) \
    X(memory_limit) \
    X(paged) \
    X(family) \
    X(groups) \
    X(fs_ids) \
    X(template) \
    X(exec_answer) \
    X(fuzz) \
    X(costs)
#define X(name) void test_##name(void);
TEST_LIST(X)
#undef X

#endif
