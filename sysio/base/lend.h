/* SPDX-License-Identifier: MIT */
/*
 * Rings on loan: see struct io_loan in <motor/io.h>, and docs/decisions/0023. What is in the shared
 * page may be anything at any time: a ring with nonsense in it is empty. A loan is one engine's;
 * `now` is its clock.
 */
#ifndef SYSIO_LEND_H
#define SYSIO_LEND_H

#include <motor/io.h>
#include <stdbool.h>
#include <stdint.h>

#define LEND_SMALLEST 8192u

struct lend {
    struct io_loan *page;
    motor_handle vmo;
    uint32_t rings, size;
    uint32_t capacity[2]; /* of a ring: bytes that may be in use. Its maker may lower it, */
    bool more[2];         /* and say that more room may be had by calls */
    bool granted[2], ready[2], active, ended;
    uint64_t since;             /* ns: when it became active */
    uint32_t used[2], start[2]; /* bytes that it begins or ended with, and where those were */
};

void lends_init(uint64_t memory);
/*
 * Rings of `size` bytes (a power of two), paid for by whoever's process the handle is. NULL: no
 * memory, or too much is lent.
 */
struct lend *lend_new(uint32_t rings, uint32_t size, motor_handle payer);
/* What answers a side's IO_LOAN. The handle is the caller's. false: it could not. */
struct lend_answer {
    uint64_t word[5];
    motor_handle vmo;
};
#define LEND_RIGHTS (MOTOR_RIGHT_READ | MOTOR_RIGHT_WRITE) /* of that handle */
bool lend_grant(struct lend *l, uint32_t side, struct lend_answer *a);
/* Bytes that a ring begins with. Only before lend_activate(). */
bool lend_fill(struct lend *l, uint32_t ring, const void *bytes, uint32_t n);
static inline bool lend_ready(const struct lend *l)
{
    return l->ready[0] && l->ready[1] && !l->active;
}
/* When both sides are ready. false: one has gone meanwhile. */
bool lend_activate(struct lend *l, uint64_t now);
/* Bytes in a ring; before and after lend_end(). */
uint32_t lend_used(const struct lend *l, uint32_t ring);
/* Takes it back: nobody moves an index from now on, and who sleeps wakes. */
void lend_end(struct lend *l);
/* After that: `n` of a ring's bytes, behind the first `from`. */
void lend_copy(const struct lend *l, uint32_t ring, uint32_t from, void *to, uint32_t n);
void lend_free(struct lend *l);

/*
 * Whether to lend: not before some calls have gone by, and rarer with each loan that had to be
 * taken back soon, for an end that several processes use in turn is better served by calls.
 */
struct lend_habit {
    uint32_t calls, losses, order; /* order: the ring is LEND_SMALLEST << order */
};
bool lend_worth(const struct lend_habit *h);
/* It was taken back. overrun: because the ring was too small. */
void lend_lost(struct lend_habit *h, const struct lend *l, bool overrun, uint64_t now);

#endif
