/* SPDX-License-Identifier: MIT */
/*
 * Bytes (or records) towards the client. The ring is placed when there is something to put into it,
 * sized for what waits, and given back when it is found drained; whenever it is empty it begins
 * again at its first byte, so little memory is touched. What finds no room waits in pbufs, which
 * the window (or SO_RCVBUF) bounds; the socket's next ring is then larger, so that a stream whose
 * reader is behind is copied once.
 */
#include "engine.h"
#include "heap.h"
#include "netif.h"
#include "socket.h"
#include <string.h>

static uint32_t order_for(const struct socket *s, uint32_t size)
{
    uint32_t limit = socket_receive_limit(s) < 4096 ? 4096 : socket_receive_limit(s);
    uint32_t order = s->rx_order > IO_RING_ORDER_MIN ? s->rx_order : IO_RING_ORDER_MIN;
    while (order < IO_RING_ORDER_MAX && (1u << order) < size && (1u << order) < limit)
        order++;
    return order;
}

static bool take_tail(struct socket *s, uint32_t tail, uint32_t *consumed)
{
    *consumed = tail - s->rx_tail;
    if (*consumed > s->rx_head - s->rx_tail) {
        *consumed = 0;
        return false;
    }
    s->rx_tail = tail;
    if (s->type == 1 && s->state != SOCKET_LISTENING) {
        uint32_t open = *consumed < s->rx_unacknowledged ? *consumed : s->rx_unacknowledged;
        s->rx_unacknowledged -= open;
        while (open && s->tcp) {
            uint16_t piece = open > 0xffff ? 0xffff : (uint16_t)open;
            tcp_recved(s->tcp, piece);
            open -= piece;
        }
    }
    return true;
}

bool receive_tail(struct socket *s, uint32_t *consumed)
{
    return take_tail(s, __atomic_load_n(&s->shared->rx_tail, __ATOMIC_ACQUIRE), consumed);
}

bool receive_tail_moved(struct socket *s, uint32_t *consumed)
{
    return take_tail(s, __atomic_load_n(&s->shared->rx_tail, __ATOMIC_ACQUIRE) ^ 1u << 31,
                     consumed);
}

/* What waits has no room in the ring: the next one holds it, too. */
static void outgrow(struct socket *s)
{
    uint32_t order = s->rx.order + 1u;
    if (s->rx_order < order && ring_size(&s->rx) < socket_receive_limit(s))
        s->rx_order = (uint8_t)order;
}

/* The ring is empty: give it a place for `size` bytes, from its first byte on. */
static bool place(struct socket *s, uint32_t size)
{
    uint32_t order = order_for(s, size);
    if (s->rx.page && (s->rx.order < order || s->rx.order > order + 2))
        ring_free(s->session, &s->rx);
    if (!s->rx.page && !ring_alloc(s->session, order, &s->rx))
        return false;
    s->rx.base = s->rx_head;
    __atomic_store_n(&s->shared->rx_place, ring_place(&s->rx), __ATOMIC_RELAXED);
    return true;
}

static void copy_in(struct socket *s, uint32_t at, const uint8_t *bytes, uint32_t size)
{
    while (size) {
        uint32_t room;
        uint8_t *to = ring_at(s->session, &s->rx, at, &room);
        uint32_t n = size < room ? size : room;
        memcpy(to, bytes, n);
        at += n;
        bytes += n;
        size -= n;
    }
}

static void pending_pop(struct socket *s)
{
    struct pbuf *p = s->rx_pending;
    s->rx_pending = p->next;
    s->rx_pending_offset = 0;
    if (!p->next)
        s->rx_pending_last = NULL;
    p->next = NULL;
    p->tot_len = p->len;
    pbuf_free(p);
}

/* Copies up to `room` bytes of what is pending into the ring at rx_head. */
static uint32_t copy_pending(struct socket *s, uint32_t room)
{
    uint32_t done = 0;
    while (s->rx_pending && done < room) {
        struct pbuf *p = s->rx_pending;
        uint32_t left = p->len - s->rx_pending_offset, n = left < room - done ? left : room - done;
        if (s->type != 1 && n < left)
            break; /* records go whole */
        if (!ring_commit(s->session, &s->rx, s->rx_head + done, n))
            break;
        copy_in(s, s->rx_head + done, (uint8_t *)p->payload + s->rx_pending_offset, n);
        done += n;
        s->rx_pending_offset += n;
        s->rx_pending_size -= n;
        session_uncharge(socket_payer(s), n);
        if (s->rx_pending_offset == p->len)
            pending_pop(s);
    }
    return done;
}

static void want_space(struct socket *s, bool want)
{
    uint32_t state = s->shared->state;
    uint32_t now = want ? state | IO_STATE_WANT_SPACE : state & ~IO_STATE_WANT_SPACE;
    if (now != state)
        __atomic_store_n(&s->shared->state, now, __ATOMIC_SEQ_CST);
}

static uint32_t copy_ring(struct socket *s, struct session *from, const struct ring *ring,
                          uint32_t at, uint32_t size)
{
    uint32_t done = 0;
    while (done < size) {
        uint32_t n;
        const uint8_t *bytes = ring_at(from, ring, at + done, &n);
        n = n < size - done ? n : size - done;
        if (!ring_commit(s->session, &s->rx, s->rx_head + done, n))
            break;
        copy_in(s, s->rx_head + done, bytes, n);
        done += n;
    }
    return done;
}

uint32_t receive_move(struct socket *s, struct session *from, const struct ring *ring, uint32_t at,
                      uint32_t size)
{
    uint32_t done = 0, consumed;
    do {
        if (!receive_tail(s, &consumed)) {
            tcp_socket_break(s);
            return done;
        }
        uint32_t used = s->rx_head - s->rx_tail;
        if (!used && !place(s, size - done))
            break;
        uint32_t room = ring_size(&s->rx) - used, left = size - done,
                 n = copy_ring(s, from, ring, at + done, left < room ? left : room);
        s->rx_head += n;
        done += n;
        __atomic_store_n(&s->shared->rx_head, s->rx_head, __ATOMIC_RELEASE);
        s->rx_more = done < size;
        if (!s->rx_more || (!n && !used))
            break;
        outgrow(s);
        want_space(s, true);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } while (__atomic_load_n(&s->shared->rx_tail, __ATOMIC_SEQ_CST) != s->rx_tail);
    if (done)
        socket_signal(s);
    return done;
}

/* One round: true if the client took bytes meanwhile and there may be more to do. */
static bool push_once(struct socket *s, bool *changed)
{
    if (s->rx_pending) {
        uint32_t used = s->rx_head - s->rx_tail;
        if (!used && !place(s, s->rx_pending_size)) {
            net_retry_later(s);
            return false;
        }
        uint32_t n = copy_pending(s, s->rx.page ? ring_size(&s->rx) - used : 0);
        if (s->rx_pending)
            outgrow(s);
        if (n) {
            s->rx_head += n;
            if (s->type == 1 && s->state != SOCKET_LISTENING)
                s->rx_unacknowledged += n;
            __atomic_store_n(&s->shared->rx_head, s->rx_head, __ATOMIC_RELEASE);
            *changed = true;
        } else if (!used) {
            net_retry_later(s); /* no memory for the ring's pages */
            return false;
        }
    }
    bool want = s->rx_pending || s->rx_more ||
                (s->type == 1 && s->tcp && s->rx_unacknowledged >= net_tcp_window / 4);
    want_space(s, want);
    if (!want)
        return false;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&s->shared->rx_tail, __ATOMIC_SEQ_CST) != s->rx_tail;
}

void receive_push(struct socket *s)
{
    bool changed = false;
    uint32_t consumed;
    if (!s->shared || s->closed || s->broken)
        return;
    do {
        if (!receive_tail(s, &consumed)) {
            tcp_socket_break(s);
            return;
        }
    } while (push_once(s, &changed));
    if (!s->rx_pending && s->rx_eof && !(s->shared->state & IO_STATE_RX_EOF)) {
        socket_set_state(s, IO_STATE_RX_EOF, 0);
        changed = true;
    }
    if (changed)
        socket_signal(s);
}

bool receive_add(struct socket *s, struct pbuf *p)
{
    bool unwanted = (!s->shared && !s->listener) || s->closed || s->rx_shut;
    if (unwanted || !session_charge(socket_payer(s), p->tot_len)) {
        pbuf_free(p);
        return false;
    }
    for (struct pbuf *q = p; q; q = q->next) {
        s->rx_pending_size += q->len;
        if (!q->next) {
            if (s->rx_pending_last)
                s->rx_pending_last->next = p;
            else
                s->rx_pending = p;
            s->rx_pending_last = q;
            break;
        }
    }
    receive_push(s);
    return true;
}

void receive_put_back(struct socket *s, struct pbuf *first, struct pbuf *last, uint32_t size)
{
    if (s->rx_pending && s->rx_pending_offset)
        pbuf_remove_header(s->rx_pending, s->rx_pending_offset);
    s->rx_pending_offset = 0;
    last->next = s->rx_pending;
    s->rx_pending = first;
    if (!s->rx_pending_last)
        s->rx_pending_last = last;
    s->rx_pending_size += size;
    session_charge_anyway(socket_payer(s), size);
}

/*
 * A record of a datagram socket or an accept queue: header, then length bytes of p from offset on,
 * padded to 16.
 */
bool receive_record(struct socket *s, const void *header, uint32_t size, struct pbuf *p,
                    uint32_t offset, uint32_t length)
{
    uint32_t total = (size + length + 15) & ~15u, consumed;
    if (!s->shared || s->closed || s->rx_shut)
        return false;
    if (!receive_tail(s, &consumed)) {
        tcp_socket_break(s);
        return false;
    }
    if (s->rx_head - s->rx_tail + s->rx_pending_size + total > s->receive_buffer + 4096u)
        return false;
    struct pbuf *record = pbuf_alloc(PBUF_RAW, (uint16_t)total, PBUF_RAM);
    if (!record)
        return false;
    memcpy(record->payload, header, size);
    if (length)
        pbuf_copy_partial(p, (uint8_t *)record->payload + size, (uint16_t)length, (uint16_t)offset);
    memset((uint8_t *)record->payload + size + length, 0, total - size - length);
    return receive_add(s, record);
}

void receive_release(struct socket *s)
{
    if (!s->rx.page || s->rx_pending || s->rx_head != s->rx_tail || s->broken ||
        ring_may_stay(s->session, &s->rx))
        return;
    __atomic_store_n(&s->shared->rx_place, 0, __ATOMIC_RELAXED);
    ring_free(s->session, &s->rx);
}

void receive_drop(struct socket *s)
{
    while (s->rx_pending)
        pending_pop(s);
    session_uncharge(socket_payer(s), s->rx_pending_size);
    s->rx_pending_size = 0;
    if (s->rx.page)
        ring_free(s->session, &s->rx);
}

uint32_t receive_unread(struct socket *s)
{
    uint32_t consumed;
    if (!s->shared)
        return 0;
    if (!receive_tail(s, &consumed))
        return 1;
    return s->rx_head - s->rx_tail + s->rx_pending_size;
}
