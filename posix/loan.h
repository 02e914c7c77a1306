/* SPDX-License-Identifier: MIT */
/*
 * Rings that a pipe or UNIX socket has on loan from the tty engine, or a TCP socket from the net
 * engine (struct io_loan in <motor/io.h>; docs/decisions/0023 and 0028): a transfer that finds one
 * makes no call.
 *
 * A loan is asked for after some transfers by calls, and ends at any moment; who finds that it has
 * makes the call instead, having moved nothing. The file's pointer to it is changed with both its
 * locks and px_net.lock, and may be used with any of them. Nobody sleeps with a lock: who sleeps on
 * an index holds a reference, for the mapping must stay.
 */
#ifndef PX_LOAN_H
#define PX_LOAN_H

#include "fd.h"

struct px_net;

/* Nothing has been moved: make the call. */
#define PX_BY_CALL 4001

/*
 * Bytes moved (io has advanced), at least one; -EAGAIN, -EFAULT, -ETIMEDOUT, -PX_ERESTARTSYS,
 * -PX_BY_CALL. flags: PX_IO_NONBLOCK, PX_IO_PEEK, PX_IO_DISCARD.
 */
long px_loan_read(struct px_file *f, struct px_io *io, uint32_t flags, uint64_t deadline);
/*
 * The same; goes on until all are moved, unless it must stop. What is left and not more than
 * `whole` bytes goes at once.
 */
long px_loan_write(struct px_file *f, struct px_io *io, uint32_t flags, size_t whole,
                   uint64_t deadline);

/* What a file with a loan has: false: it has none. */
struct px_loan_state {
    uint32_t readable;     /* bytes that can be read */
    uint32_t unread, room; /* of what it writes: those that nobody has read, and that can follow */
    uint32_t capacity;     /* and how many those are together */
    bool more;             /* more can follow, by calls */
};
bool px_loan_look(struct px_file *f, struct px_loan_state *out); /* [px_net.lock] */
bool px_loan_look_alone(struct px_file *f, struct px_loan_state *out);
/*
 * The same after a wish: when there is something to read (unless in is 0), or `out` bytes of room
 * (unless it is 0), the file's bit is set. [px_net.lock] false: it has no loan, or the engine is
 * not to be had for it.
 */
bool px_loan_watch(struct px_file *f, bool in, uint32_t out, struct px_loan_state *state);
/* Of files whose wish has been seen to: they have changed. Whatever the engine has told yet. */
void px_loans_look_locked(struct px_net *n);
/* Whether a wish is worth making: an item of EPOLLET hears of what comes to what is there. */
static inline bool px_loan_arms(uint32_t events, uint32_t ready)
{
    return events & EPOLLET || !(ready & events);
}

/* A transfer was made by a call: may ask for a loan. */
void px_loan_wanted(struct px_file *f);
/* The file goes: who shares the rings sees it now. */
void px_loan_release(struct px_file *f);
/* In a forked child: it has none. */
void px_loans_forked(void);
void px_loan_forked_file(struct px_file *f);

#endif
