/* SPDX-License-Identifier: MIT */
/* Attachments, homes that move, and listeners that several processes accept from: see attach.h. */
#include "attach.h"
#include "heap.h"
#include "lent.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NEVER_VALID (1u << 31) /* flipped in an index, it lies outside of every ring */
#define PIECE       32768u     /* of unread bytes, in one pbuf */

/* Linux's poll bits, which fit into the 16 of io_slot.flags */
enum { IN = 0x41, OUT = 0x104, ERR = 8, HUP = 0x10, RDHUP = 0x2000 };

/* ---- the list ---- */

static void unlink_session(struct attachment *a)
{
    *a->session_link = a->session_next;
    if (a->session_next)
        a->session_next->session_link = a->session_link;
}

static void link_session(struct attachment *a, struct session *session)
{
    a->session = session;
    a->session_link = &session->attachments;
    a->session_next = session->attachments;
    if (a->session_next)
        a->session_next->session_link = &a->session_next;
    session->attachments = a;
}

static struct attachment *find(struct socket *s, struct session *session)
{
    struct attachment *a = s->away;
    while (a && a->session != session)
        a = a->next;
    return a;
}

static struct attachment *add(struct socket *s, struct session *session, uint32_t slot)
{
    struct attachment *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->socket = s;
    a->slot = slot;
    link_session(a, session);
    a->next = s->away;
    s->away = a;
    session->objects[slot] = NULL; /* what its client signals there means nothing */
    return a;
}

/* Off both lists and freed; the slot is the caller's. */
static void remove_attachment(struct attachment *a)
{
    struct attachment **link = &a->socket->away;
    while (*link != a)
        link = &(*link)->next;
    *link = a->next;
    unlink_session(a);
    free(a);
}

void attach_keep_slot(struct attachment *a)
{
    remove_attachment(a);
}

/* ---- readiness ---- */

static uint32_t ready_bits(const struct socket *s)
{
    uint32_t bits = 0;
    if (s->pulled) {
        for (const struct socket *c = s->waiting; c && !bits; c = c->waiting_next)
            bits = c->ready ? IN : 0;
        return bits | (s->rx_eof ? IN | HUP | RDHUP : 0);
    }
    if (!s->shared)
        return 0;
    uint32_t state = __atomic_load_n(&s->shared->state, __ATOMIC_RELAXED);
    uint32_t queued = __atomic_load_n(&s->shared->tx_head, __ATOMIC_RELAXED) - s->tx_tail;
    if (s->rx_head != __atomic_load_n(&s->shared->rx_tail, __ATOMIC_RELAXED) || s->rx_pending)
        bits |= IN;
    if (state & IO_STATE_RX_EOF)
        bits |= IN | RDHUP | (state & IO_STATE_TX_CLOSED ? HUP : 0);
    if (state & IO_STATE_TX_CLOSED ||
        (!(state & (IO_STATE_CONNECTING | IO_STATE_TX_WAIT)) && queued <= s->send_buffer / 3 * 2))
        bits |= OUT;
    if (__atomic_load_n(&s->shared->error, __ATOMIC_RELAXED))
        bits |= ERR | IN | OUT;
    return bits;
}

void attach_signal(struct socket *s)
{
    uint16_t bits = (uint16_t)ready_bits(s);
    for (struct attachment *a = s->away; a; a = a->next) {
        __atomic_store_n(&a->session->slots[a->slot].flags, bits, __ATOMIC_SEQ_CST);
        session_signal(a->session, a->slot);
    }
}

/* ---- moving ---- */

static void copy_out(struct socket *s, uint32_t at, void *to, uint32_t size)
{
    for (uint32_t done = 0, room; done < size; done += room) {
        const uint8_t *from = ring_at(s->session, &s->rx, at + done, &room);
        room = room < size - done ? room : size - done;
        memcpy((uint8_t *)to + done, from, room);
    }
}

/*
 * How much of what begins at `at` goes into one pbuf: a piece, or a whole record. The client can
 * write there too: what is no record, and all behind it, is lost. 0: that.
 */
static uint32_t piece_size(struct socket *s, uint32_t at, uint32_t left)
{
    struct io_datagram record;
    if (s->type == 1)
        return left < PIECE ? left : PIECE;
    if (left < sizeof record)
        return 0;
    copy_out(s, at, &record, sizeof record);
    uint32_t size = (uint32_t)sizeof record + ((record.length + 15) & ~15u);
    return record.length <= 65535 && size <= left && size <= 65535 ? size : 0;
}

/* Unread bytes of the old home's ring, to stand before what is pending. False: no memory. */
static bool take_back(struct socket *s, uint32_t tail)
{
    struct pbuf *first = NULL, **link = &first, *last = NULL;
    uint32_t size = 0;
    for (uint32_t at = tail, n; (n = piece_size(s, at, s->rx_head - at)); at += n, size += n) {
        struct pbuf *p = pbuf_alloc(PBUF_RAW, (uint16_t)n, PBUF_RAM);
        if (!p) {
            while (first) {
                struct pbuf *next = first->next;
                first->next = NULL;
                pbuf_free(first);
                first = next;
            }
            return false;
        }
        copy_out(s, at, p->payload, n);
        *link = last = p;
        link = &p->next;
    }
    if (!first)
        return true;
    receive_put_back(s, first, last, size);
    s->rx_unacknowledged -= size < s->rx_unacknowledged ? size : s->rx_unacknowledged;
    return true;
}

static uint32_t flip(uint32_t *index)
{
    return __atomic_fetch_xor(index, NEVER_VALID, __ATOMIC_SEQ_CST);
}

/*
 * From here on the client of the old home can neither consume nor send: what it had done by then is
 * read exactly. 0; -EIO: it broke the rules, and the socket is reset; -ENOBUFS: nothing has
 * changed.
 */
static int leave_home(struct socket *s)
{
    struct io_slot *old = s->shared;
    uint32_t consumed;
    flip(&old->rx_tail);
    if (s->tx_session == s->session)
        flip(&old->tx_head);
    /* read, with the flip taken back, by those who check it */
    bool good = receive_tail_moved(s, &consumed);
    if (good && s->tx_session == s->session)
        good = socket_read_head_moved(s) && (s->type == 1 || datagram_send(s));
    if (!good) {
        tcp_socket_break(s);
        return -EIO;
    }
    if (!take_back(s, s->rx_tail)) {
        flip(&old->rx_tail);
        if (s->tx_session == s->session)
            flip(&old->tx_head);
        return -ENOBUFS;
    }
    if (s->rx.page)
        ring_free(s->session, &s->rx);
    return 0;
}

/* The words of a slot that becomes home; `seq` and `sleepers` go on. */
static void enter_slot(struct socket *s, struct io_slot *to, uint32_t state, uint32_t error,
                       uint32_t client_flags, bool same_tx)
{
    s->rx_head = s->rx_tail = 0;
    to->rx_head = 0;
    to->rx_place = 0;
    to->rx_limit = socket_receive_limit(s);
    to->tx_limit = s->type == 1 ? s->send_buffer : 65535;
    __atomic_store_n(&to->rx_tail, 0, __ATOMIC_RELAXED);
    if (same_tx) {
        __atomic_store_n(&to->tx_head, s->tx_seen, __ATOMIC_RELAXED);
    } else {
        to->tx_tail = 0;
        __atomic_store_n(&to->tx_head, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&to->tx_place, 0, __ATOMIC_RELAXED);
        if (s->tx_session)
            state |= IO_STATE_TX_WAIT;
    }
    __atomic_store_n(&to->client_flags, client_flags & IO_CLIENT_OPTIONS, __ATOMIC_RELAXED);
    __atomic_store_n(&to->error, error, __ATOMIC_RELAXED);
    __atomic_store_n(&to->state, state, __ATOMIC_SEQ_CST);
}

/* The tx ring is where the home is, and empty. */
static void tx_here(struct socket *s)
{
    s->tx_session = s->session;
    s->tx_shared = s->shared;
    s->tx = (struct ring){0};
    s->tx_tail = s->tx_sent = s->tx_seen = s->small_end = 0;
}

void attach_tx_drained(struct socket *s)
{
    if (s->tx_session == s->session || s->tx_tail != s->tx_seen || !s->shared)
        return;
    struct attachment *a = find(s, s->tx_session);
    if (a && a->session->dead) {
        session_slot_free(a->session, a->slot);
        remove_attachment(a);
    }
    tx_here(s);
    socket_set_state(s, 0, IO_STATE_TX_WAIT);
    socket_signal(s);
}

/* The attachment `a` becomes home, and the home an attachment. 0 or negated errno. */
static int move(struct socket *s, struct attachment *a)
{
    struct session *to = a->session, *from = s->session;
    struct io_slot *old = s->shared;
    uint32_t slot = a->slot, from_slot = s->slot;
    struct attachment *back = add(s, from, from_slot);
    if (!back)
        return -ENOMEM;
    if (s->type == 1)
        tcp_socket_take_shut(s);
    int error = leave_home(s);
    if (error) {
        if (s->shared) {
            remove_attachment(back);
            from->objects[from_slot] = s;
        }
        return error;
    }
    uint32_t client_flags = __atomic_load_n(&old->client_flags, __ATOMIC_RELAXED);
    uint32_t pending_error = __atomic_exchange_n(&old->error, 0, __ATOMIC_SEQ_CST);
    uint32_t state = old->state & ~(IO_STATE_AWAY | IO_STATE_TX_WAIT | IO_STATE_WANT_SPACE);
    if (s->rx_pending)
        state &= ~IO_STATE_RX_EOF; /* comes again when they are read */
    remove_attachment(a);
    socket_rehome(s, to);
    s->slot = slot;
    s->shared = &to->slots[slot];
    to->objects[slot] = s;
    bool same_tx = s->tx_session == to;
    if (!same_tx && s->tx_tail == s->tx_seen)
        s->tx_session = NULL; /* nothing to wait for */
    enter_slot(s, s->shared, state, pending_error, client_flags, same_tx);
    if (!s->tx_session)
        tx_here(s);
    if (from->dead && s->tx_session != from) {
        session_slot_free(from, from_slot);
        remove_attachment(back);
    } else {
        __atomic_fetch_or(&old->state, IO_STATE_AWAY, __ATOMIC_SEQ_CST);
    }
    receive_push(s);
    if (s->type == 1 && s->tx_sent != s->tx_seen)
        tcp_socket_pump(s); /* written just before */
    socket_signal(s);
    return 0;
}

/* ---- IO_ATTACH ---- */

static struct attachment *new_attachment(struct socket *s, struct session *to, int64_t *error)
{
    uint32_t kind = s->type != 1                   ? IO_SLOT_DATAGRAM
                    : s->state == SOCKET_LISTENING ? IO_SLOT_ACCEPT
                                                   : IO_SLOT_STREAM;
    int64_t slot = session_slot_alloc(to, kind, NULL);
    struct attachment *a = slot < 0 ? NULL : add(s, to, (uint32_t)slot);
    *error = slot < 0 ? slot : -ENOMEM;
    if (slot >= 0 && !a)
        session_slot_free(to, (uint32_t)slot);
    if (a)
        to->slots[slot].state = IO_STATE_AWAY;
    return a;
}

int64_t socket_attach(struct socket *s, struct session *to, bool home, uint64_t *bits)
{
    int64_t error;
    *bits = IO_ATTACHED_HOME | IO_ATTACHED_TX;
    if (s->closed)
        return -EBADF;
    if (s->session == to)
        return s->slot;
    if (s->state == SOCKET_LISTENING && !s->pulled)
        return -EOPNOTSUPP; /* whose queue is it? */
    struct attachment *a = find(s, to);
    if (!a && !(a = new_attachment(s, to, &error)))
        return error;
    uint32_t slot = a->slot;
    *bits = 0;
    if (!s->pulled && (home || s->session->dead)) {
        int status = move(s, a);
        if (status)
            return status;
        *bits = IO_ATTACHED_HOME | (s->tx_session == to && s->tx_seen ? IO_ATTACHED_TX : 0);
        return slot;
    }
    attach_signal(s);
    return slot;
}

/* ---- listeners ---- */

/* A connection whose record nobody has taken waits in the engine again. */
static void reclaim(struct socket *listener, struct socket *c)
{
    lent_end(c);
    port_gate_forget(c->object.badge);
    c->object.badge = 0;
    if (!take_back(c, c->rx_tail)) {
        tcp_socket_break(c);
        return;
    }
    if (c->rx.page)
        ring_free(c->session, &c->rx);
    c->rx_head = c->rx_tail = 0;
    session_slot_free(c->session, c->slot);
    socket_rehome(c, NULL);
    c->client_flags = socket_client_flags(c);
    c->shared = NULL;
    listener_queue(listener, c);
}

int64_t listener_share(struct socket *s, uint32_t tail)
{
    if (s->state != SOCKET_LISTENING)
        return -EINVAL;
    if (s->pulled)
        return 0;
    struct attachment *a = add(s, s->session, s->slot);
    if (!a)
        return -ENOMEM;
    s->pulled = true;
    struct socket *untaken[64];
    for (uint32_t n = 1; n;) { /* oldest first: the list is the other way round */
        n = 0;
        for (struct socket *c = s->pushed; c; c = c->pushed_next)
            if ((int32_t)(c->accept_at - tail) >= 0) {
                memmove(untaken + 1, untaken, (sizeof untaken - sizeof *untaken));
                untaken[0] = c;
                n = n < 64 ? n + 1 : 64;
            }
        for (uint32_t i = 0; i < n; i++) {
            socket_unpush(untaken[i]);
            reclaim(s, untaken[i]);
        }
        n = n == 64;
    }
    receive_drop(s);
    __atomic_fetch_or(&s->shared->state, IO_STATE_AWAY, __ATOMIC_SEQ_CST);
    struct session *home = s->session;
    socket_rehome(s, NULL);
    s->client_flags = socket_client_flags(s);
    s->shared = NULL;
    s->tx_session = NULL; /* it never had a ring: the home's slot is an attachment like others */
    if (home->dead) {
        session_slot_free(home, a->slot);
        remove_attachment(a);
    }
    attach_signal(s);
    return 0;
}

int64_t listener_pull(struct socket *s, struct session *to, struct net_reply *r)
{
    struct io_accept record = {0};
    uint16_t family;
    if (s->state != SOCKET_LISTENING || !s->pulled)
        return -EINVAL;
    struct socket *c = listener_unqueue(s);
    if (!c)
        return s->rx_eof ? -EINVAL : -EAGAIN;
    socket_rehome(c, to);
    int64_t slot = socket_expose(c);
    int64_t gate = slot < 0 ? slot : port_gate_create(c, &c->object.badge);
    if (gate < 0) {
        if (slot >= 0) {
            session_slot_free(to, c->slot);
            c->shared = NULL;
        }
        socket_rehome(c, NULL);
        listener_queue_first(s, c);
        return gate;
    }
    socket_set_state(c, IO_STATE_CONNECTED, 0);
    record.slot = c->slot;
    record.port = lwip_htons(c->peer_port);
    record.own_port = lwip_htons(c->binding.port);
    address_pack(c, &c->peer, record.address, &record.family);
    address_pack(c, &c->binding.address, record.own_address, &family);
    memcpy(r->data, &record, sizeof record);
    r->size = sizeof record;
    r->handle[0] = (motor_handle)gate;
    r->rights[0] = MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP;
    r->handles = 1;
    receive_push(c);
    attach_signal(s);
    return 0;
}

/* ---- ends ---- */

void attach_drop(struct socket *s)
{
    while (s->away) {
        struct attachment *a = s->away;
        session_slot_free(a->session, a->slot);
        remove_attachment(a);
    }
}

void attach_session_died(struct session *session)
{
    for (struct attachment *a = session->attachments, *next; a; a = next) {
        next = a->session_next;
        if (a->socket->tx_session == session)
            continue; /* its ring still holds bytes to be sent: see attach_tx_drained() */
        session_slot_free(session, a->slot);
        remove_attachment(a);
    }
}
