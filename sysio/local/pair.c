/* SPDX-License-Identifier: MIT */
/*
 * What a pair of connected stream sockets has on loan (lend.h): a ring for each direction, when one
 * process has either end. Side s writes ring s. A loan is kept at the end of side 0, and ends
 * before either end goes.
 *
 * Nothing goes through a ring but bytes. So there is no loan while one of the two is shut, wants to
 * be told who sends or to be sent signals, or has descriptors in its queue; and whatever brings
 * such a thing about ends it first. Its bytes then come back into the readers' queues, as one
 * message each, whose memory was put aside when they were lent.
 */
#include "../tty/session.h"
#include "local.h"

#include <errno.h>
#include <sys/socket.h>

#define LARGEST (256u << 10) /* bytes of a ring */

/* The end that keeps the pair's loan; NULL: s is no stream, or has no peer. */
static struct unix_socket *keeper(const struct unix_socket *s)
{
    if (s->type != SOCK_STREAM || !s->peer)
        return NULL;
    return s->side ? s->peer : s->peer->peer;
}

static const struct lend *active_loan(const struct unix_socket *s)
{
    const struct unix_socket *k = keeper(s);
    return k && k->loan.lend && k->loan.lend->active ? k->loan.lend : NULL;
}

uint32_t unix_lent_unread(const struct unix_socket *s)
{
    const struct lend *l = active_loan(s);
    return l ? lend_used(l, 1 - s->side) : 0;
}

uint32_t unix_lent_sent(const struct unix_socket *s)
{
    const struct lend *l = active_loan(s);
    return l ? lend_used(l, s->side) : 0;
}

/* ---- the end ---- */

/* What nobody has read of the ring that `to` reads. */
static void take_back(struct unix_socket *k, struct unix_socket *to)
{
    uint32_t ring = 1 - to->side, n = lend_used(k->loan.lend, ring);
    struct message *m = k->loan.back[ring];
    k->loan.back[ring] = NULL;
    if (!n) {
        message_free(m);
        return;
    }
    lend_copy(k->loan.lend, ring, 0, m->data, n);
    m = message_cut(m, n, to->peer->account);
    m->signature = k->loan.by[ring];
    unix_queue(to, m);
}

/* overrun: because more is to be on its way than a ring can hold. */
static void loan_end(struct unix_socket *k, bool overrun)
{
    struct lend *l = k->loan.lend;
    if (!l)
        return;
    lend_end(l);
    take_back(k, k);
    take_back(k, k->peer);
    lend_lost(&k->loan.habit, l, overrun && l->size < LARGEST, tty_engine.now);
    lend_free(l);
    k->loan.lend = NULL;
    session_fire(&k->object); /* who polls the rings polls here from now on */
    session_fire(&k->peer->object);
}

struct tty_object *unix_other_end(struct tty_object *o)
{
    struct unix_socket *s = unix_of(o);
    return active_loan(s) ? &s->peer->object : NULL;
}

void unix_loan_end(struct unix_socket *s)
{
    struct unix_socket *k = keeper(s);
    if (k)
        loan_end(k, false);
}

void unix_by_call(struct unix_socket *s, uint64_t size)
{
    struct unix_socket *k = keeper(s);
    if (!k)
        return;
    struct lend *l = k->loan.lend;
    if (l && l->active)
        loan_end(k, size > l->capacity[s->side] - lend_used(l, s->side) && l->more[s->side]);
    k->loan.habit.calls++;
}

/* ---- the beginning ---- */

int64_t local_lend(struct lend *l, uint32_t side, const struct motor_event *ev)
{
    struct lend_answer a;
    if (!lend_grant(l, side, &a))
        return -EAGAIN;
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, 0);
    engine_reply_handle(r, a.vmo, LEND_RIGHTS);
    for (unsigned i = 0; i < sizeof a.word / sizeof *a.word; i++)
        r->word[i] = a.word[i];
    return CALL_ANSWERED;
}

static bool only_bytes(const struct unix_socket *s)
{
    for (const struct message *m = s->first; m; m = m->next)
        if (m->parcel)
            return false;
    return !s->shut_read && !s->shut_write && !s->pass_credentials && !s->async.on && !s->error &&
           s->peek_offset < 0;
}

static bool may_lend(const struct unix_socket *k)
{
    return only_bytes(k) && only_bytes(k->peer);
}

/* What waits for `to` goes into the ring that it will read. */
static bool fill(const struct unix_socket *k, const struct unix_socket *to)
{
    for (const struct message *m = to->first; m; m = m->next)
        if (!lend_fill(k->loan.lend, 1 - to->side, m->data + m->start, message_size(m)))
            return false;
    return true;
}

/* Who waits in a call goes to the ring, or looks again. */
static void begun(struct unix_socket *s)
{
    unix_drop_queue(s);
    tty_send_away(&s->object);
    session_fire(&s->object);
}

static int64_t loan_begin(struct unix_socket *k)
{
    struct lend *l = k->loan.lend;
    if (!may_lend(k) || !fill(k, k) || !fill(k, k->peer) || !lend_activate(l, tty_engine.now)) {
        loan_end(k, k->bytes > l->size || k->peer->bytes > l->size);
        return -EAGAIN;
    }
    begun(k);
    begun(k->peer);
    return 0;
}

static bool loan_make(struct unix_socket *k, motor_handle payer)
{
    uint64_t size = (uint64_t)LEND_SMALLEST << k->loan.habit.order;
    if (size > LARGEST)
        size = LARGEST;
    for (uint32_t i = 0; i < 2; i++)
        k->loan.back[i] = message_reserve((uint32_t)size);
    if (k->loan.back[0] && k->loan.back[1])
        k->loan.lend = lend_new(2, (uint32_t)size, payer);
    for (uint32_t i = 0; i < 2; i++) {
        const struct unix_socket *from = i ? k->peer : k;
        if (!k->loan.lend) {
            message_free(k->loan.back[i]);
            k->loan.back[i] = NULL;
        } else if (from->send_buffer > size) {
            k->loan.lend->more[i] = true;
        } else {
            k->loan.lend->capacity[i] = from->send_buffer;
        }
    }
    return k->loan.lend;
}

static int64_t loan_ask(struct unix_socket *k, uint32_t side, const struct motor_event *ev)
{
    if (!lend_worth(&k->loan.habit) || !may_lend(k) || !ev->nhandles)
        return -EAGAIN;
    if (k->loan.lend && k->loan.lend->granted[side])
        loan_end(k, false);
    if (!k->loan.lend && !loan_make(k, ev->handle[0]))
        return -EAGAIN;
    k->loan.by[side] = signature_of(ev);
    return local_lend(k->loan.lend, side, ev);
}

int64_t unix_loan(struct unix_socket *s, const struct motor_event *ev)
{
    struct unix_socket *k = keeper(s);
    if (s->type != SOCK_STREAM)
        return -EOPNOTSUPP;
    if (!k)
        return -EAGAIN;
    if (!ev->word[0])
        return loan_ask(k, s->side, ev);
    if (!k->loan.lend || !k->loan.lend->granted[s->side])
        return -EAGAIN;
    k->loan.lend->ready[s->side] = true;
    return lend_ready(k->loan.lend) ? loan_begin(k) : 0;
}
