/* SPDX-License-Identifier: MIT */
/*
 * Rings on loan for connections that have both ends here (base/lend.h, docs/decisions/0028): the
 * two clients move bytes between themselves, and the engine has no part in it. Side s writes ring
 * s.
 *
 * It is direct.c's short way, made shorter: the same must be true of both ends, and lwIP sees as
 * little of it. While a loan is active, IO_STATE_LENT is in both slots; their tx rings are empty
 * and closed (the bit that attach.c uses, too, is flipped in tx_head), their rx rings were empty
 * when it began. Whatever happens to either end, by a call, a mark in a slot, a segment or a death,
 * ends the loan first: what nobody has read goes into the rx ring of who is to read it, through
 * pbufs that were put aside when it was lent; then tx_head is as it was.
 *
 * Only who sleeps in a read asks for a loan; who polls is served as well by the slots.
 */
#include "lent.h"
#include "../base/lend.h"
#include "direct.h"
#include "heap.h"
#include "lwip/pbuf.h"
#include <errno.h>

#define CLOSED  (1u << 31)   /* flipped in tx_head, it lies outside of every ring */
#define PIECE   32768u       /* of unread bytes, in one pbuf */
#define LARGEST (256u << 10) /* bytes of a ring */

struct lent { /* of a connection, from the first question on */
    struct socket *end[2];
    struct lend *lend; /* NULL: none now */
    struct lend_habit habit;
    bool asked[2];
    struct pbuf *back[2];                   /* by ring: for its bytes when they come back */
    uint32_t counted[2], pieces_counted[2]; /* by ring: head and pieces at the last count */
    struct lent *next, **link;              /* of those with an active loan */
};

static struct lent *active;

bool lent_is_active(const struct socket *s)
{
    return s->lent && s->lent->lend && s->lent->lend->active;
}

static uint32_t side_of(const struct socket *s)
{
    return s->lent->end[1] == s;
}

uint32_t lent_unread(const struct socket *s)
{
    return lent_is_active(s) ? lend_used(s->lent->lend, 1 - side_of(s)) : 0;
}

void lent_passed(struct socket *s)
{
    if (s->lent)
        s->lent->habit.calls++;
}

/* ---- counting ---- */

/* The clients say how many pieces it was; not more than bytes. */
static void count(struct lent *c, const struct lend *l, uint32_t ring)
{
    const struct io_loan_ring *r = &l->page->ring[ring];
    uint32_t head = __atomic_load_n(&r->head, __ATOMIC_RELAXED) & ~IO_LOAN_GONE,
             pieces = __atomic_load_n(&r->pieces, __ATOMIC_RELAXED),
             bytes = io_loan_used(head, c->counted[ring]), n = pieces - c->pieces_counted[ring];
    c->counted[ring] = head;
    c->pieces_counted[ring] = pieces;
    net_counters.direct_bytes += bytes;
    direct_count(&c->end[ring]->peer, n < bytes ? n : bytes);
}

void lent_count_all(void)
{
    for (struct lent *c = active; c; c = c->next)
        for (uint32_t ring = 0; ring < 2; ring++)
            count(c, c->lend, ring);
}

/* ---- the end ---- */

static void flip_head(struct socket *s)
{
    __atomic_fetch_xor(&s->shared->tx_head, CLOSED, __ATOMIC_SEQ_CST);
}

/* What nobody has read of a ring is pending at its reader. */
static void take_back(struct lent *c, const struct lend *l, uint32_t ring)
{
    struct socket *to = c->end[1 - ring];
    struct pbuf *last = NULL, **link = &c->back[ring];
    uint32_t size = lend_used(l, ring);
    for (uint32_t done = 0; done < size; done += last->len) {
        last = *link;
        if (last->len > size - done)
            last->len = last->tot_len = (uint16_t)(size - done);
        lend_copy(l, ring, done, last->payload, last->len);
        link = &last->next;
    }
    if (*link)
        pbuf_free(*link);
    *link = NULL;
    session_uncharge(socket_payer(to), l->size);
    if (last)
        receive_put_back(to, c->back[ring], last, size);
    c->back[ring] = NULL;
}

/* Bytes flow through its slot again. */
static void reopen(struct socket *s, bool push)
{
    if (push)
        receive_push(s);
    socket_set_state(s, 0, IO_STATE_LENT);
    flip_head(s);
    socket_signal(s);
}

/* `c` may be gone after it, for who breaks the rules is reset. `parts`: see lent_part(). */
static void end(struct lent *c, bool overrun, const struct socket *parts)
{
    struct lend *l = c->lend;
    struct socket *ends[2] = {c->end[0], c->end[1]};
    if (!l)
        return;
    bool began = l->active;
    lend_end(l);
    for (uint32_t ring = 0; ring < 2; ring++) {
        if (began)
            count(c, l, ring);
        take_back(c, l, ring);
    }
    c->lend = NULL;
    lend_lost(&c->habit, l, overrun && l->size < LARGEST, port_now());
    lend_free(l);
    if (!began)
        return;
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    for (uint32_t side = 0; side < 2; side++)
        reopen(ends[side], ends[side] != parts);
}

void lent_end(struct socket *s)
{
    if (s->lent)
        end(s->lent, false, NULL);
}

void lent_part(struct socket *s)
{
    struct lent *c = s->lent;
    if (!c)
        return;
    c->end[0]->lent = c->end[1]->lent = NULL;
    end(c, false, s);
    net_heap_free(c);
}

/* ---- the beginning ---- */

/* What a ring can do is all that is to be done for it. */
static bool is_plain(const struct socket *s)
{
    uint32_t flags = __atomic_load_n(&s->shared->client_flags, __ATOMIC_SEQ_CST);
    return s->tcp->state == ESTABLISHED && s->tx_session == s->session && !s->away &&
           !s->session->dead && !s->tx_shut && !s->user_timeout &&
           !(flags & (IO_CLIENT_CORK | IO_CLIENT_SHUT));
}

static bool may_lend(const struct socket *s)
{
    return direct_open(s) && direct_open(s->twin) && is_plain(s) && is_plain(s->twin);
}

/* Nothing more can be sent there, and there is nothing in either of its rings. */
static bool close_slot(struct socket *s)
{
    uint32_t consumed;
    flip_head(s);
    return socket_read_head_moved(s) && s->tx_seen == s->tx_tail && receive_tail(s, &consumed) &&
           s->rx_head == s->rx_tail;
}

static int64_t begin(struct lent *c)
{
    struct lend *l = c->lend;
    bool first = may_lend(c->end[0]), closed = false;
    if (first) {
        first = close_slot(c->end[0]);
        closed = close_slot(c->end[1]) && first && lend_activate(l, port_now());
        if (!closed) {
            flip_head(c->end[0]);
            flip_head(c->end[1]);
        }
    }
    if (!closed) {
        end(c, false, NULL);
        return -EAGAIN;
    }
    c->counted[0] = c->counted[1] = c->pieces_counted[0] = c->pieces_counted[1] = 0;
    c->next = active;
    c->link = &active;
    if (active)
        active->link = &c->next;
    active = c;
    for (uint32_t side = 0; side < 2; side++) {
        socket_set_state(c->end[side], IO_STATE_LENT, 0);
        receive_release(c->end[side]);
        socket_signal(c->end[side]); /* who waits goes to the ring */
    }
    /* what a client has set in its slot meanwhile: after LENT, it does not */
    if (!is_plain(c->end[0]) || !is_plain(c->end[1]))
        end(c, false, NULL);
    return 0;
}

/* Room for all that a ring can hold, at the one who reads it. */
static struct pbuf *reserve(struct socket *to, uint32_t size)
{
    struct pbuf *first = NULL;
    if (!session_charge(socket_payer(to), size))
        return NULL;
    for (uint32_t n, done = 0; done < size; done += n) {
        n = size - done < PIECE ? size - done : PIECE;
        struct pbuf *p = pbuf_alloc(PBUF_RAW, (uint16_t)n, PBUF_RAM);
        if (!p) {
            if (first)
                pbuf_free(first);
            session_uncharge(socket_payer(to), size);
            return NULL;
        }
        p->next = first;
        first = p;
    }
    return first;
}

static void unreserve(struct lent *c, uint32_t ring, uint32_t size)
{
    if (!c->back[ring])
        return;
    pbuf_free(c->back[ring]);
    c->back[ring] = NULL;
    session_uncharge(socket_payer(c->end[1 - ring]), size);
}

static bool make(struct lent *c, motor_handle payer)
{
    uint32_t size = LEND_SMALLEST << c->habit.order;
    size = size < LARGEST ? size : LARGEST;
    for (uint32_t ring = 0; ring < 2; ring++)
        c->back[ring] = reserve(c->end[1 - ring], size);
    if (c->back[0] && c->back[1])
        c->lend = lend_new(2, size, payer);
    for (uint32_t ring = 0; ring < 2; ring++) {
        uint32_t limit = socket_receive_limit(c->end[1 - ring]);
        if (!c->lend) {
            unreserve(c, ring, size);
            continue;
        }
        c->lend->more[ring] = true; /* the tx ring's room comes to it */
        if (limit < size)
            c->lend->capacity[ring] = limit;
    }
    return c->lend;
}

static struct lent *lent_of(struct socket *s)
{
    if (s->lent || !s->twin)
        return s->lent;
    struct lent *c = net_heap_zalloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->end[0] = s;
    c->end[1] = s->twin;
    c->habit.calls = UINT16_MAX; /* the clients have counted for the first */
    s->lent = s->twin->lent = c;
    return c;
}

static int64_t ask(struct socket *s, const struct motor_event *ev, struct net_reply *r)
{
    struct lend_answer a;
    struct lent *c = may_lend(s) && ev->nhandles ? lent_of(s) : NULL;
    uint32_t side = c ? side_of(s) : 0;
    if (!c)
        return -EAGAIN;
    c->asked[side] = true;
    if (!c->asked[1 - side] || !lend_worth(&c->habit))
        return -EAGAIN;
    if (c->lend && c->lend->granted[side])
        end(c, false, NULL);
    if ((!c->lend && !make(c, ev->handle[0])) || !lend_grant(c->lend, side, &a))
        return -EAGAIN;
    for (uint32_t i = 0; i < sizeof a.word / sizeof *a.word; i++)
        r->word[i] = a.word[i];
    r->handle[0] = a.vmo;
    r->rights[0] = LEND_RIGHTS;
    r->handles = 1;
    return 0;
}

static int64_t ready(struct socket *s)
{
    struct lent *c = s->lent;
    if (!c || !c->lend || c->lend->active || !c->lend->granted[side_of(s)])
        return -EAGAIN;
    c->lend->ready[side_of(s)] = true;
    return lend_ready(c->lend) ? begin(c) : 0;
}

int64_t lent_call(struct socket *s, const struct motor_event *ev, struct net_reply *r)
{
    if (s->type != 1)
        return -EOPNOTSUPP;
    if (ev->word[0] == 0)
        return ask(s, ev, r);
    if (ev->word[0] == 1)
        return ready(s);
    if (lent_is_active(s)) {
        const struct lend *l = s->lent->lend;
        uint32_t side = side_of(s);
        end(s->lent, ev->word[1] > l->capacity[side] - lend_used(l, side), NULL);
    }
    return 0;
}
