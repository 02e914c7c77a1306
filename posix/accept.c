/* SPDX-License-Identifier: MIT */
/*
 * Accepting: connections come as records in the listener's ring (struct io_accept in <motor/io.h>),
 * or, once several processes have the listener, one by one from the engine's queue.
 */
#include "socket.h"
#include "stream.h"

static uint32_t state_of(const struct px_stream *t)
{
    return __atomic_load_n(&t->slot->state, __ATOMIC_ACQUIRE);
}

/* A new file for the oldest connection. 0: none there. */
static long accept_one(struct px_file *f, uint32_t flags, struct px_address *peer)
{
    struct px_stream *t = &f->stream;
    struct io_accept record;
    uint32_t head = __atomic_load_n(&t->slot->rx_head, __ATOMIC_ACQUIRE);
    if (head == t->rx_tail)
        return -EAGAIN;
    uint64_t place = __atomic_load_n(&t->slot->rx_place, __ATOMIC_RELAXED);
    if (t->broken || !px_rx_copy(t->session, place, t->rx_tail, head, &record, sizeof record) ||
        record.slot >= IO_SLOTS) {
        PX_SET(t->broken, true);
        return -EIO;
    }
    long fd = px_accept_record(f, &record, record.handle, flags, peer);
    if (fd >= 0) {
        PX_SET(t->rx_tail, t->rx_tail + (uint32_t)sizeof record);
        __atomic_exchange_n(&t->slot->rx_tail, t->rx_tail, __ATOMIC_SEQ_CST);
    }
    return fd;
}

long px_accept_record(struct px_file *f, const struct io_accept *r, motor_handle handle,
                      uint32_t flags, struct px_address *peer)
{
    struct px_stream *t = &f->stream;
    struct io_accept record = *r;
    long fd = px_fd_reserve();
    if (fd < 0)
        return fd;
    struct px_file *new =
        px_file_new(&px_stream_ops, PX_STREAM, O_RDWR | (flags & O_NONBLOCK), handle);
    if (!new) {
        px_fd_unreserve((int)fd);
        return -ENFILE;
    }
    new->protocol = MOTOR_FD_SOCKET;
    new->stream.session = t->session;
    new->stream.slot = &t->session->slots[record.slot];
    new->stream.index = record.slot;
    new->stream.type = SOCK_STREAM;
    new->stream.family = t->family;
    new->stream.protocol = t->protocol;
    new->stream.low_water = 1;
    new->stream.receive_timeout = t->receive_timeout;
    new->stream.send_timeout = t->send_timeout;
    new->stream.peer_set = new->stream.named = true;
    new->stream.peer = (struct px_address){.family = record.family, .port = record.port};
    memcpy(new->stream.peer.bytes, record.address, sizeof record.address);
    new->stream.own = (struct px_address){.family = record.family, .port = record.own_port};
    memcpy(new->stream.own.bytes, record.own_address, sizeof record.own_address);
    *peer = new->stream.peer;
    px_session_attach(t->session, record.slot, new);
    px_fd_fill((int)fd, new, flags & O_CLOEXEC);
    return fd;
}

/* From the engine's queue, which other processes accept from as well. */
static long accept_shared(struct px_file *f, uint32_t flags, struct px_address *peer)
{
    struct io_accept record;
    struct motor_msg msg = {.op = IO_ACCEPT,
                            .nhandles = 1,
                            .handle = {f->stream.session->gate},
                            .out = &record,
                            .out_size = sizeof record,
                            .deadline = MOTOR_NEVER};
    if (!(px_stream_away_ready(&f->stream) & POLLIN))
        return -EAGAIN;
    long result = px_call(f->handle, &msg);
    if (result < 0)
        return result;
    if (msg.nhandles != 1 || record.slot >= IO_SLOTS)
        return -EIO;
    result = px_accept_record(f, &record, msg.handle[0], flags, peer);
    if (result < 0) /* out of descriptors: the connection is lost, as when the limit comes later */
        motor_handle_close(msg.handle[0]);
    return result;
}

long px_stream_accept(struct px_file *f, uint32_t flags, struct px_address *peer)
{
    struct px_stream *t = &f->stream;
    uint64_t deadline = 0;
    for (;;) {
        uint32_t seq = __atomic_load_n(&t->slot->seq, __ATOMIC_ACQUIRE);
        px_lock(&t->rx_lock);
        long fd = t->shared ? accept_shared(f, flags, peer) : accept_one(f, flags, peer);
        px_unlock(&t->rx_lock);
        if (fd >= 0 && state_of(t) & IO_STATE_WANT_SPACE)
            px_session_tell(t->session, t->index);
        if (fd != -EAGAIN)
            return fd;
        long error = px_socket_error(f);
        if (error)
            return error;
        if (state_of(t) & IO_STATE_RX_EOF)
            return -EINVAL;
        if (px_nonblock(f, 0))
            return -EAGAIN;
        if (!deadline)
            deadline = px_timeout_deadline(t->receive_timeout);
        error = px_stream_sleep(f, seq, deadline);
        if (error < 0)
            return px_stream_wait_error(error, deadline);
    }
}
