/* SPDX-License-Identifier: MIT */
/*
 * Datagram sockets: records in the rings of a slot (struct io_datagram and the bytes, padded to
 * 16).
 */
#include "socket.h"
#include "stream.h"

static uint32_t record_size(uint32_t length)
{
    return (uint32_t)sizeof(struct io_datagram) + ((length + 15) & ~15u);
}

static long wait_error(long error, uint64_t deadline)
{
    if (error == -ETIMEDOUT)
        return -EAGAIN;
    return error == -PX_ERESTARTSYS && deadline != MOTOR_NEVER ? -EINTR : error;
}

/* ---- receiving ---- */

static long put_bytes(struct px_file *f, struct px_io *io, uint64_t place, uint32_t at, uint32_t n)
{
    for (uint32_t done = 0, step, room; done < n; done += step) {
        const uint8_t *from = px_rx_at(f->stream.session, place, at + done, &room);
        step = PX_MIN(n - done, room);
        if (px_io_put(io, from, step) < 0)
            return -EFAULT;
    }
    return n;
}

/* The oldest record: bytes stored, or -EAGAIN. */
static long receive_one(struct px_file *f, struct px_io *io, uint32_t flags,
                        struct io_datagram *info)
{
    struct px_stream *t = &f->stream;
    uint32_t head = __atomic_load_n(&t->slot->rx_head, __ATOMIC_ACQUIRE);
    if (head == t->rx_tail)
        return t->broken ? -EIO : -EAGAIN;
    uint64_t place = __atomic_load_n(&t->slot->rx_place, __ATOMIC_RELAXED);
    if (t->broken || !px_rx_copy(t->session, place, t->rx_tail, head, info, sizeof *info) ||
        info->length > 65536 || record_size(info->length) > head - t->rx_tail) {
        PX_SET(t->broken, true);
        return -EIO;
    }
    long result = put_bytes(f, io, place, t->rx_tail + (uint32_t)sizeof *info,
                            (uint32_t)PX_MIN((size_t)info->length, io->left));
    /* one that went elsewhere meanwhile was lost on the way */
    if (result >= 0 && !(flags & PX_IO_PEEK))
        px_stream_consume(t, record_size(info->length));
    return result;
}

long px_datagram_receive(struct px_file *f, struct px_io *io, uint32_t flags,
                         struct io_datagram *info)
{
    struct px_stream *t = &f->stream;
    uint64_t deadline = 0;
    for (;;) {
        uint32_t seq = __atomic_load_n(&t->slot->seq, __ATOMIC_ACQUIRE);
        long error = px_socket_error(f);
        if (error)
            return error;
        px_lock(&t->rx_lock);
        long result = px_stream_away(t) ? -EAGAIN : receive_one(f, io, flags, info);
        px_unlock(&t->rx_lock);
        uint32_t state = __atomic_load_n(&t->slot->state, __ATOMIC_ACQUIRE);
        if (result >= 0 && state & IO_STATE_WANT_SPACE)
            px_session_tell(t->session, t->index);
        if (result != -EAGAIN)
            return result;
        if (state & IO_STATE_AWAY && px_stream_come_home(f, POLLIN) == 0)
            continue;
        if (state & IO_STATE_RX_EOF) {
            info->length = 0;
            return 0;
        }
        if (px_nonblock(f, flags))
            return -EAGAIN;
        if (!deadline)
            deadline = px_timeout_deadline(t->receive_timeout);
        error = px_stream_sleep(f, seq, deadline);
        if (error < 0)
            return wait_error(error, deadline);
    }
}

static long datagram_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    struct io_datagram info;
    return px_datagram_receive(f, io, flags, &info);
}

/* ---- sending ---- */

#define SEND_ORDER   18u /* of the ring: a few of the largest records */
#define DATAGRAM_MAX 65507u

static void put_ring_bytes(struct px_stream *t, uint32_t at, const void *from, uint32_t n)
{
    uint32_t size = 1u << t->ring_order;
    uint8_t *ring = t->session->arena + (uint64_t)t->ring_page * 4096;
    for (uint32_t done = 0, step; done < n; done += step) {
        uint32_t offset = (at + done - t->ring_base) & (size - 1);
        step = PX_MIN(n - done, size - offset);
        memcpy(ring + offset, (const uint8_t *)from + done, step);
    }
}

static long take_ring_bytes(struct px_stream *t, uint32_t at, struct px_io *io, uint32_t n)
{
    uint32_t size = 1u << t->ring_order;
    uint8_t *ring = t->session->arena + (uint64_t)t->ring_page * 4096;
    for (uint32_t done = 0, step; done < n; done += step) {
        uint32_t offset = (at + done - t->ring_base) & (size - 1);
        step = PX_MIN(n - done, size - offset);
        if (px_io_take(io, ring + offset, step) < 0)
            return -EFAULT;
    }
    return n;
}

static uint32_t send_used(const struct px_stream *t)
{
    return PX_GLANCE(t->tx_head) - __atomic_load_n(&t->slot->tx_tail, __ATOMIC_ACQUIRE);
}

static bool writable(const struct px_stream *t)
{
    return send_used(t) <= (1u << SEND_ORDER) / 2;
}

/* [tx_lock] */
static long send_one(struct px_file *f, struct px_io *io, struct io_datagram *header)
{
    struct px_stream *t = &f->stream;
    uint32_t length = (uint32_t)io->left, used = send_used(t);
    header->length = length;
    if (!used) {
        if (!t->ring_page && !px_ring_get(f, SEND_ORDER))
            return -ENOBUFS;
        t->ring_base = t->tx_head;
        __atomic_store_n(&t->slot->tx_place, io_place(t->ring_page, t->ring_order, t->ring_base),
                         __ATOMIC_RELAXED);
    }
    uint32_t size = 1u << t->ring_order;
    if (used > size) {
        PX_SET(t->broken, true);
        return -EIO;
    }
    if (record_size(length) > size)
        return -EMSGSIZE;
    if (size - used < record_size(length))
        return -EAGAIN;
    put_ring_bytes(t, t->tx_head, header, sizeof *header);
    long result = take_ring_bytes(t, t->tx_head + (uint32_t)sizeof *header, io, length);
    if (result < 0)
        return result;
    px_stream_sent(t, record_size(length)); /* else: lost on the way */
    return length;
}

long px_datagram_send(struct px_file *f, struct px_io *io, uint32_t flags, struct io_datagram *to)
{
    struct px_stream *t = &f->stream;
    uint64_t deadline = 0;
    if (io->left > PX_MIN(__atomic_load_n(&t->slot->tx_limit, __ATOMIC_RELAXED), DATAGRAM_MAX))
        return -EMSGSIZE;
    if (!to->family && !t->peer_set)
        return -EDESTADDRREQ;
    for (;;) {
        uint32_t seq = __atomic_load_n(&t->slot->seq, __ATOMIC_ACQUIRE);
        uint32_t state = __atomic_load_n(&t->slot->state, __ATOMIC_ACQUIRE);
        long error = px_socket_error(f);
        if (error)
            return error;
        if (t->broken)
            return -EIO;
        if (state & IO_STATE_TX_CLOSED)
            return px_stream_failed(-EPIPE, flags);
        if (state & IO_STATE_AWAY && (error = px_stream_come_home(f, POLLIN | POLLOUT)) < 0)
            return error;
        px_lock(&t->tx_lock);
        long result = send_one(f, io, to);
        px_unlock(&t->tx_lock);
        if (result >= 0)
            px_session_tell(t->session, t->index);
        if (result != -EAGAIN)
            return result;
        bool nonblock = px_nonblock(f, flags);
        if (!nonblock && !deadline)
            deadline = px_timeout_deadline(t->send_timeout);
        __atomic_fetch_add(&t->writers, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_or(&t->slot->client_flags, IO_CLIENT_WANT_SPACE, __ATOMIC_SEQ_CST);
        error = writable(t) ? 0 : nonblock ? -ETIMEDOUT : px_stream_sleep(f, seq, deadline);
        __atomic_fetch_sub(&t->writers, 1, __ATOMIC_RELAXED);
        if (error < 0)
            return wait_error(error, deadline);
    }
}

static long datagram_write(struct px_file *f, struct px_io *io, uint32_t flags)
{
    struct io_datagram to = {0};
    return px_datagram_send(f, io, flags, &to);
}

/* ---- the rest ---- */

static uint32_t datagram_ready(struct px_file *f, uint32_t events, bool arm)
{
    struct px_stream *t = &f->stream;
    uint32_t state = __atomic_load_n(&t->slot->state, __ATOMIC_ACQUIRE), ready = 0;
    if (state & IO_STATE_AWAY)
        return px_stream_away_ready(t) | POLLOUT | POLLWRNORM;
    if (__atomic_load_n(&t->slot->rx_head, __ATOMIC_ACQUIRE) != PX_GLANCE(t->rx_tail))
        ready |= POLLIN | POLLRDNORM;
    if (__atomic_load_n(&t->slot->error, __ATOMIC_RELAXED) || PX_GLANCE(t->broken))
        ready |= POLLERR;
    if (state & IO_STATE_RX_EOF)
        ready |= POLLIN | POLLRDNORM | POLLRDHUP | (state & IO_STATE_TX_CLOSED ? POLLHUP : 0);
    bool space = state & IO_STATE_TX_CLOSED || writable(t);
    if (!space && arm && events & (POLLOUT | POLLWRNORM)) {
        __atomic_fetch_or(&t->slot->client_flags, IO_CLIENT_WANT_SPACE, __ATOMIC_SEQ_CST);
        space = writable(t);
    }
    return ready | (space ? POLLOUT | POLLWRNORM : 0);
}

static long datagram_control(struct px_file *f, unsigned request, unsigned long argument)
{
    struct px_stream *t = &f->stream;
    if (request == FIONREAD) { /* the size of the next one */
        struct io_datagram header = {0};
        px_lock(&t->rx_lock);
        px_rx_copy(t->session, __atomic_load_n(&t->slot->rx_place, __ATOMIC_RELAXED), t->rx_tail,
                   __atomic_load_n(&t->slot->rx_head, __ATOMIC_ACQUIRE), &header, sizeof header);
        px_unlock(&t->rx_lock);
        return px_store32((uint32_t *)argument, header.length);
    }
    if (request == TIOCOUTQ)
        return px_store32((uint32_t *)argument, send_used(t));
    return px_netinfo_control(request, argument);
}

const struct px_ops px_datagram_ops = {
    .name = "socket",
    .read = datagram_read,
    .write = datagram_write,
    .ready = datagram_ready,
    .control = datagram_control,
    .stat = px_socket_stat,
    .release = px_socket_release,
    .pass = px_socket_pass,
    .socket = &px_inet_ops,
};
