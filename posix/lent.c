/* SPDX-License-Identifier: MIT */
/*
 * A TCP socket's bytes while both ends of the connection have a loan (docs/decisions/0028). The
 * engine says so in the slot (IO_STATE_LENT) after the loan has become active, and no more before
 * the slot's own rings are used again; so who sees it set uses the loan, and who finds that the
 * loan is of no use then, because the other side has gone, or there is too little room, has it
 * ended.
 */
#include "loan.h"
#include "stream.h"

long px_lent_give_back(struct px_file *f, size_t size)
{
    struct motor_msg msg = {.op = IO_LOAN, .word = {2, size}, .deadline = MOTOR_NEVER};
    return PX_MIN(px_call(f->handle, &msg), 0L);
}

/* What is not longer goes in one piece, as programs are used to from Linux. */
#define WHOLE 1024u

static uint32_t loan_flags(struct px_file *f, uint32_t flags)
{
    return (flags & (PX_IO_PEEK | PX_IO_DISCARD)) | (px_nonblock(f, flags) ? PX_IO_NONBLOCK : 0);
}

long px_lent_read(struct px_file *f, struct px_io *io, uint32_t flags, uint64_t *deadline)
{
    struct px_stream *t = &f->stream;
    while (io->left && px_stream_is_lent(t)) {
        if (!*deadline)
            *deadline = px_timeout_deadline(t->receive_timeout);
        long n = px_loan_read(f, io, loan_flags(f, flags), *deadline);
        if (n != -PX_BY_CALL)
            return n;
        long error = px_lent_give_back(f, 0);
        if (error < 0)
            return error;
    }
    return -PX_BY_CALL;
}

long px_lent_write(struct px_file *f, struct px_io *io, uint32_t flags, uint64_t *deadline)
{
    struct px_stream *t = &f->stream;
    while (io->left && px_stream_is_lent(t)) {
        if (!*deadline)
            *deadline = px_timeout_deadline(t->send_timeout);
        long n = px_loan_write(f, io, loan_flags(f, flags), WHOLE, *deadline);
        if (n != -PX_BY_CALL)
            return n;
        long error = px_lent_give_back(f, io->left);
        if (error < 0)
            return error;
    }
    return -PX_BY_CALL;
}

/* Who wants to be told is told by the slot. */
bool px_lent_ready(struct px_file *f, uint32_t events, bool arm, uint32_t *ready)
{
    struct px_loan_state s;
    if (arm || !px_loan_look(f, &s)) {
        px_lent_give_back(f, 0);
        return false;
    }
    /* what the ring has no room for goes by the slot */
    *ready = POLLOUT | POLLWRNORM;
    if (s.readable && s.readable >= f->stream.low_water)
        *ready |= POLLIN | POLLRDNORM;
    *ready &= events;
    return true;
}

bool px_lent_unread(struct px_file *f, uint32_t *n)
{
    struct px_loan_state s;
    if (!px_stream_is_lent(&f->stream))
        return false;
    if (!px_loan_look_alone(f, &s)) {
        px_lent_give_back(f, 0);
        return false;
    }
    *n = s.readable;
    return true;
}

void px_lent_wanted(struct px_file *f)
{
    if (!__atomic_load_n(&f->watches, __ATOMIC_RELAXED))
        px_loan_wanted(f);
}
