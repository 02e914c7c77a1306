/* SPDX-License-Identifier: MIT */
/* Pipes and pairs of sockets with an active loan, made by the calls that a program's runtime makes.
 */
#ifndef LENT_H
#define LENT_H

#include "../../../sysio/local/local.h"
#include "../lib/fake_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MUST(c) ((c) ? (void)0 : (fprintf(stderr, "lent.h:%d: %s\n", __LINE__, #c), abort()))

/* Of a pipe: end 0 reads, end 1 writes; of sockets: end s is side s. */
struct lent {
    bool pipe;
    motor_handle end[2];
    motor_handle loan[2]; /* 0: none */
    uint32_t size, capacity[2];
};

static inline void lent_turn(void)
{
    engine_turn(&tty_engine, false);
}

static inline int64_t lent_call(motor_handle on, struct motor_msg *m)
{
    int64_t error = fake_call_within(on, m, 0, 0, lent_turn, 3);
    return error < 0 ? INT64_MIN : m->status;
}

static inline int64_t lent_send(const struct lent *l, uint32_t end, const void *bytes, uint64_t n)
{
    struct motor_msg m = {.op = l->pipe ? IO_WRITE : IO_SEND, .in = bytes, .in_size = n};
    m.word[0] = l->pipe ? ~0ull : MSG_DONTWAIT;
    return lent_call(l->end[end], &m);
}

static inline int64_t lent_receive(const struct lent *l, uint32_t end, void *bytes, uint64_t n)
{
    struct motor_msg m = {.op = l->pipe ? IO_READ : IO_RECEIVE, .out = bytes, .out_size = n};
    m.word[0] = l->pipe ? ~0ull : MSG_DONTWAIT;
    m.word[1] = l->pipe ? 04000 : 0; /* O_NONBLOCK */
    return lent_call(l->end[end], &m);
}

static inline void lent_open(struct lent *l, bool pipe)
{
    motor_handle connector = fake_gate(tty_engine.endpoint, TTY_CONNECTOR + 1);
    struct motor_msg m = {.op = pipe ? IO_PIPE : IO_LOCAL_SOCKET};
    m.word[0] = pipe ? 0 : SOCK_STREAM;
    m.word[1] = !pipe;
    MUST(lent_call(connector, &m) == 0 && m.nhandles == 2);
    fake_close(connector);
    *l = (struct lent){.pipe = pipe, .end = {m.handle[0], m.handle[1]}};
}

/* So much has been said by calls that a loan is worth it. */
static inline void lent_warm(const struct lent *l)
{
    uint8_t byte = 7;
    for (int i = 0; i < 4; i++) {
        MUST(lent_send(l, 1, &byte, 1) == 1);
        MUST(lent_receive(l, 0, &byte, 1) == 1);
    }
}

static inline int64_t lent_ask(struct lent *l, uint32_t end)
{
    struct motor_msg m = {.op = IO_LOAN, .nhandles = 1, .handle = {l->end[end]}};
    int64_t status = lent_call(l->end[end], &m);
    if (status < 0)
        return status;
    MUST(m.nhandles == 1 && m.word[0] == end);
    if (l->loan[end])
        fake_close(l->loan[end]);
    l->loan[end] = m.handle[0];
    l->size = (uint32_t)m.word[1];
    l->capacity[end] = (uint32_t)m.word[2];
    return 0;
}

static inline int64_t lent_say_ready(const struct lent *l, uint32_t end)
{
    struct motor_msg m = {.op = IO_LOAN, .word = {1}};
    return lent_call(l->end[end], &m);
}

/* Both ask. false: it did not come to a loan. */
static inline bool lent_begin(struct lent *l)
{
    return lent_ask(l, 0) == 0 && lent_say_ready(l, 0) == 0 && lent_ask(l, 1) == 0 &&
           lent_say_ready(l, 1) == 0;
}

static inline void lent_close(struct lent *l)
{
    for (int i = 0; i < 2; i++) {
        if (l->end[i])
            fake_close(l->end[i]);
        if (l->loan[i])
            fake_close(l->loan[i]);
    }
}

#endif
