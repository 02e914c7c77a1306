/* SPDX-License-Identifier: MIT */
/*
 * TCP sockets: bytes through the rings of a slot (<motor/io.h>), without entering the kernel while
 * there is room or data. rx_lock and tx_lock keep the readers and the writers of one socket apart;
 * nobody sleeps with them. What the engine wrote is read once and checked: a stream whose ring
 * makes no sense is broken, and gives EIO for ever.
 */
#include "stream.h"
#include "loan.h"
#include "socket.h"

/* As the engine says, and as it will say when it has seen that sending was ended here. */
static uint32_t slot_state(const struct px_stream *t)
{
    uint32_t state = __atomic_load_n(&t->slot->state, __ATOMIC_ACQUIRE);
    return PX_GLANCE(t->slot->client_flags) & IO_CLIENT_SHUT ? state | IO_STATE_TX_CLOSED : state;
}

long px_socket_error(struct px_file *f)
{
    if (!f->stream.slot)
        return -EIO;
    uint32_t *error = &f->stream.slot->error;
    if (!__atomic_load_n(error, __ATOMIC_RELAXED))
        return 0;
    uint32_t n = __atomic_exchange_n(error, 0, __ATOMIC_ACQ_REL);
    return n < 4096 ? -(long)n : -EIO;
}

long px_stream_sleep(struct px_file *f, uint32_t seq, uint64_t deadline)
{
    struct io_slot *slot = f->stream.slot;
    __atomic_fetch_add(&slot->sleepers, 1, __ATOMIC_SEQ_CST);
    long result = px_wait(&slot->seq, seq, PX_WAIT_SHARED, deadline);
    __atomic_fetch_sub(&slot->sleepers, 1, __ATOMIC_RELAXED);
    return result == -EAGAIN ? 0 : result;
}

/* What a wait's end means to send and recv. */
long px_stream_wait_error(long error, uint64_t deadline)
{
    if (error == -ETIMEDOUT)
        return -EAGAIN;
    return error == -PX_ERESTARTSYS && deadline != MOTOR_NEVER ? -EINTR : error;
}

/* ---- sending ---- */

static uint32_t send_limit(const struct px_stream *t)
{
    uint32_t limit = __atomic_load_n(&t->slot->tx_limit, __ATOMIC_RELAXED);
    return limit < 4096 ? 4096 : PX_MIN(limit, 1u << IO_RING_ORDER_MAX);
}

static uint32_t ring_order(const struct px_stream *t, uint32_t limit)
{
    uint32_t order = 32u - (uint32_t)__builtin_clz(limit - 1),
             others = PX_GLANCE(t->session->rings_held) - (t->ring_page != 0);
    return others < PX_RINGS_LARGE ? order : PX_MIN(order, PX_RING_ORDER_MANY);
}

static bool place_ring(struct px_file *f, uint32_t limit)
{
    struct px_stream *t = &f->stream;
    uint32_t order = ring_order(t, limit);
    if (t->ring_page && t->ring_order < order)
        px_ring_put(f);
    if (!t->ring_page && !px_ring_get(f, order))
        return false;
    t->ring_base = t->tx_head;
    __atomic_store_n(&t->slot->tx_place, io_place(t->ring_page, t->ring_order, t->ring_base),
                     __ATOMIC_RELAXED);
    return true;
}

static long may_send(struct px_file *f)
{
    struct px_stream *t = &f->stream;
    uint32_t state = slot_state(t);
    long error = px_socket_error(f);
    if (t->broken)
        return -EIO;
    if (error)
        return error;
    if (state & (IO_STATE_AWAY | IO_STATE_TX_WAIT | IO_STATE_LENT))
        return -EAGAIN;
    if (state & IO_STATE_TX_CLOSED)
        return -EPIPE;
    if (state & IO_STATE_CONNECTED)
        return 0;
    return state & IO_STATE_CONNECTING ? -EAGAIN : -EPIPE;
}

uint8_t *px_stream_room(struct px_file *f, size_t wanted, uint32_t *contiguous, long *error)
{
    struct px_stream *t = &f->stream;
    if ((*error = may_send(f)) < 0)
        return NULL;
    uint32_t used = t->tx_head - __atomic_load_n(&t->slot->tx_tail, __ATOMIC_ACQUIRE),
             limit = send_limit(t);
    if (!used && !place_ring(f, limit)) {
        *error = -ENOBUFS;
        return NULL;
    }
    uint32_t size = 1u << t->ring_order, at = (t->tx_head - t->ring_base) & (size - 1);
    if (used > size) {
        PX_SET(t->broken, true);
        *error = -EIO;
        return NULL;
    }
    limit = PX_MIN(limit, size);
    if (used >= limit) {
        *error = -EAGAIN;
        return NULL;
    }
    *contiguous = (uint32_t)PX_MIN(wanted, (size_t)PX_MIN(limit - used, size - at));
    return t->session->arena + (uint64_t)t->ring_page * 4096 + at;
}

bool px_stream_commit(struct px_file *f, uint32_t n)
{
    return px_stream_sent(&f->stream, n);
}

static bool writable(const struct px_stream *t)
{
    uint32_t limit = send_limit(t);
    if (slot_state(t) & IO_STATE_TX_WAIT)
        return false;
    if (PX_GLANCE(t->ring_page))
        limit = PX_MIN(limit, 1u << PX_GLANCE(t->ring_order));
    uint32_t used = PX_GLANCE(t->tx_head) - __atomic_load_n(&t->slot->tx_tail, __ATOMIC_ACQUIRE);
    return used <= limit - limit / 3;
}

bool px_stream_wish(struct px_file *f)
{
    __atomic_fetch_or(&f->stream.slot->client_flags, IO_CLIENT_WANT_SPACE, __ATOMIC_SEQ_CST);
    return slot_state(&f->stream) & IO_STATE_CONNECTED && writable(&f->stream);
}

long px_stream_await_space(struct px_file *f, uint32_t seq, uint64_t deadline)
{
    struct px_stream *t = &f->stream;
    long result = 0;
    __atomic_fetch_add(&t->writers, 1, __ATOMIC_SEQ_CST);
    if (px_stream_away(t) || !px_stream_wish(f))
        result = px_stream_sleep(f, seq, deadline);
    __atomic_fetch_sub(&t->writers, 1, __ATOMIC_RELAXED);
    return result;
}

#define SEGMENT 1448u /* of a corked stream: fewer bytes than Ethernet's stay where they are */

static uint32_t unsent(const struct px_stream *t)
{
    return PX_GLANCE(t->tx_head) - __atomic_load_n(&t->slot->tx_tail, __ATOMIC_ACQUIRE);
}

/*
 * What is corked and no whole segment waits for the end of it, or for the engine's next look at the
 * bit, which is within a second.
 */
void px_stream_tell(struct px_file *f)
{
    struct px_stream *t = &f->stream;
    if (PX_GLANCE(t->slot->client_flags) & IO_CLIENT_CORK && unsent(t) < SEGMENT)
        px_session_mark(t->session, t->index);
    else
        px_session_tell(t->session, t->index);
}

bool px_stream_set_flag(struct px_file *f, uint32_t flag, bool on)
{
    struct px_stream *t = &f->stream;
    if (f->ops != &px_stream_ops || t->listening || px_stream_elsewhere(t))
        return false;
    if (on)
        __atomic_fetch_or(&t->slot->client_flags, flag, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_and(&t->slot->client_flags, ~flag, __ATOMIC_SEQ_CST);
    if (px_stream_elsewhere(t)) /* meanwhile: the flags went along before or after */
        return false;
    if (on == (flag == IO_CLIENT_NODELAY) && unsent(t)) /* more may be sent than before */
        px_session_tell(t->session, t->index);
    return true;
}

bool px_stream_shut(struct px_file *f)
{
    struct px_stream *t = &f->stream;
    bool ours = false;
    if (f->ops != &px_stream_ops || t->listening)
        return false;
    px_lock(&t->tx_lock); /* nobody is in the middle of a write */
    uint32_t state = slot_state(t), wanted = IO_STATE_CONNECTED,
             against = IO_STATE_AWAY | IO_STATE_TX_WAIT | IO_STATE_TX_CLOSED | IO_STATE_LENT;
    if ((state & (wanted | against)) == wanted) {
        __atomic_fetch_or(&t->slot->client_flags, IO_CLIENT_SHUT, __ATOMIC_SEQ_CST);
        ours = !px_stream_elsewhere(t);
        if (!ours) /* meanwhile: before or after the engine took it along */
            __atomic_fetch_and(&t->slot->client_flags, ~IO_CLIENT_SHUT, __ATOMIC_SEQ_CST);
    }
    px_unlock(&t->tx_lock);
    if (!ours)
        return false;
    px_session_tell(t->session, t->index);
    __atomic_fetch_add(&t->slot->seq, 1, __ATOMIC_SEQ_CST); /* who sleeps for space gets EPIPE */
    if (__atomic_load_n(&t->slot->sleepers, __ATOMIC_SEQ_CST))
        px_wake(&t->slot->seq, INT32_MAX, PX_WAIT_SHARED);
    return true;
}

/* A signal has come: the wish, if it was that, is done with. Whoever still has it says so again. */
void px_stream_signalled(struct px_file *f)
{
    struct io_slot *slot = f->stream.slot;
    if (!(PX_GLANCE(slot->client_flags) & IO_CLIENT_WANT_SPACE))
        return;
    __atomic_fetch_and(&slot->client_flags, ~IO_CLIENT_WANT_SPACE, __ATOMIC_SEQ_CST);
    /*
     * Perhaps it was theirs, and newer than the signal. Who has said so, but does not sleep yet,
     * must not fall asleep any more: a wake alone would not reach it.
     */
    if (__atomic_load_n(&f->stream.writers, __ATOMIC_SEQ_CST)) {
        __atomic_fetch_add(&slot->seq, 1, __ATOMIC_SEQ_CST);
        px_wake(&slot->seq, INT32_MAX, PX_WAIT_SHARED);
    }
}

long px_stream_failed(long error, uint32_t flags)
{
    if (error == -EPIPE && !(flags & PX_IO_NOSIGNAL))
        px_signal_self(SIGPIPE, 0);
    return error;
}

/* As much as there is room for. */
static long send_some(struct px_file *f, struct px_io *io)
{
    long done = 0, error = 0;
    px_lock(&f->stream.tx_lock);
    while (io->left) { /* a buffer at a time, so that it can be given back */
        struct px_io before = *io;
        struct px_vec vec = *io->vec;
        uint32_t n;
        uint8_t *to = px_stream_room(f, vec.length, &n, &error);
        if (!to || (error = px_io_take(io, to, n)) < 0)
            break;
        if (!px_stream_commit(f, n)) {
            *io = before;
            *io->vec = vec;
            error = -EAGAIN;
            break;
        }
        done += n;
    }
    px_unlock(&f->stream.tx_lock);
    return done ? done : error;
}

static long stream_write(struct px_file *f, struct px_io *io, uint32_t flags)
{
    struct px_stream *t = &f->stream;
    uint64_t deadline = 0;
    long done = 0;
    for (;;) {
        uint32_t seq = __atomic_load_n(&t->slot->seq, __ATOMIC_ACQUIRE);
        long n = px_stream_is_lent(t) ? px_lent_write(f, io, flags, &deadline) : -PX_BY_CALL;
        if (n != -PX_BY_CALL) {
            done += PX_MAX(n, 0L);
            if (n > 0 && io->left)
                continue;
            return done ? done : px_stream_wait_error(n, deadline);
        }
        n = send_some(f, io);
        if (n > 0) {
            px_stream_tell(f);
            done += n;
        }
        if (!io->left)
            return n < 0 ? px_stream_failed(n, flags) : done;
        if (n < 0 && n != -EAGAIN)
            return done ? done : px_stream_failed(n, flags);
        if (n > 0)
            continue; /* once more: there may be room by now, and it must be known that some is
                         wanted */
        if (px_stream_is_lent(t))
            continue; /* meanwhile */
        if (px_stream_away(t)) {
            long error = px_stream_come_home(f, POLLOUT);
            if (error == 0)
                continue;
            if (error != -EAGAIN)
                return done ? done : error;
        }
        if (px_nonblock(f, flags)) {
            if (!px_stream_away(t) && px_stream_wish(f))
                continue;
            return done ? done : -EAGAIN;
        }
        if (!deadline)
            deadline = px_timeout_deadline(t->send_timeout);
        long error = px_stream_await_space(f, seq, deadline);
        if (error < 0)
            return done ? done : px_stream_wait_error(error, deadline);
    }
}

/* ---- receiving ---- */

/*
 * After a request was read, its answer's predecessor has usually been acknowledged: its ring serves
 * others.
 */
static void put_drained_ring(struct px_file *f)
{
    struct px_stream *t = &f->stream;
    if (!PX_GLANCE(t->ring_page) || PX_GLANCE(t->session->rings_held) <= PX_RINGS_KEPT ||
        __atomic_load_n(&t->slot->tx_tail, __ATOMIC_ACQUIRE) != PX_GLANCE(t->tx_head) ||
        !px_trylock(&t->tx_lock))
        return;
    if (t->ring_page && __atomic_load_n(&t->slot->tx_tail, __ATOMIC_ACQUIRE) == t->tx_head)
        px_ring_put(f);
    px_unlock(&t->tx_lock);
}

static long copy_out(struct px_file *f, struct px_io *io, uint64_t place, uint32_t n,
                     uint32_t flags)
{
    uint32_t done = 0, room;
    while (done < n) {
        const uint8_t *from = px_rx_at(f->stream.session, place, f->stream.rx_tail + done, &room);
        uint32_t step = PX_MIN(n - done, room);
        if (flags & PX_IO_DISCARD)
            px_io_skip(io, step);
        else if (px_io_put(io, from, step) < 0)
            return done ? (long)done : -EFAULT;
        done += step;
    }
    return n;
}

/* [rx_lock] Into one buffer, so that it can be given back. Bytes; 0: they flow elsewhere now. */
static long receive_piece(struct px_file *f, struct px_io *io, uint64_t place, uint32_t available,
                          uint32_t flags)
{
    struct px_io before = *io;
    struct px_vec vec = *io->vec;
    long n = copy_out(f, io, place, (uint32_t)PX_MIN((size_t)available, vec.length), flags);
    if (n > 0 && !px_stream_consume(&f->stream, (uint32_t)n)) {
        *io = before;
        *io->vec = vec;
        return 0;
    }
    return n;
}

/* [rx_lock] */
static long receive_pieces(struct px_file *f, struct px_io *io, uint32_t flags, uint32_t head)
{
    struct px_stream *t = &f->stream;
    uint64_t place = __atomic_load_n(&t->slot->rx_place, __ATOMIC_RELAXED);
    long done = 0, n = 1;
    if (head == t->rx_tail)
        return 0;
    if (t->broken || !px_rx_check(place, t->rx_tail, head)) {
        PX_SET(t->broken, true);
        return -EIO;
    }
    if (flags & PX_IO_PEEK)
        return copy_out(f, io, place, (uint32_t)PX_MIN((size_t)(head - t->rx_tail), io->left),
                        flags);
    while (io->left && head != t->rx_tail && n > 0) {
        n = receive_piece(f, io, place, head - t->rx_tail, flags);
        done += n > 0 ? n : 0;
    }
    return done ? done : n;
}

/* The bytes that are there: how many were taken; 0: none. */
static long receive_some(struct px_file *f, struct px_io *io, uint32_t flags, uint32_t *state)
{
    struct px_stream *t = &f->stream;
    long result = 0;
    px_lock(&t->rx_lock);
    *state = slot_state(t); /* before the head: with end of file, the head is final */
    if (!(*state & IO_STATE_AWAY))
        result = receive_pieces(f, io, flags, __atomic_load_n(&t->slot->rx_head, __ATOMIC_ACQUIRE));
    if (t->broken)
        result = -EIO;
    px_unlock(&t->rx_lock);
    if (result > 0 && !(flags & PX_IO_PEEK)) {
        if (slot_state(t) & IO_STATE_WANT_SPACE)
            px_session_tell(t->session, t->index);
        put_drained_ring(f);
    }
    return result;
}

/* *slept: it waited for bytes of the slot. */
static long read_bytes(struct px_file *f, struct px_io *io, uint32_t flags, bool *slept)
{
    struct px_stream *t = &f->stream;
    size_t target = flags & PX_IO_WAITALL ? io->left : PX_MIN((size_t)t->low_water, io->left);
    uint64_t deadline = 0;
    long done = 0;
    for (;;) {
        uint32_t state = 0, seq = __atomic_load_n(&t->slot->seq, __ATOMIC_ACQUIRE);
        long n = px_stream_is_lent(t) ? px_lent_read(f, io, flags, &deadline) : -PX_BY_CALL;
        if (n == -PX_BY_CALL)
            n = receive_some(f, io, flags, &state);
        if (n < 0)
            return done ? done : px_stream_wait_error(n, deadline);
        done += n;
        if (!io->left || (n && flags & PX_IO_PEEK) || (done && (size_t)done >= target))
            return done;
        if (n || state & IO_STATE_LENT)
            continue;
        if (state & IO_STATE_AWAY) {
            long error = px_stream_come_home(f, POLLIN);
            if (error == 0)
                continue;
            if (error != -EAGAIN)
                return done ? done : error;
            if (px_nonblock(f, flags))
                return done ? done : -EAGAIN;
            goto sleep;
        }
        if (px_stream_elsewhere(t))
            continue; /* meanwhile */
        if (!done) {
            long error = px_socket_error(f);
            if (error)
                return error;
        }
        if (state & IO_STATE_RX_EOF)
            return done;
        if (!(state & (IO_STATE_CONNECTED | IO_STATE_CONNECTING)))
            return done ? done : -ENOTCONN;
        if (px_nonblock(f, flags))
            return done ? done : -EAGAIN;
    sleep:
        if (!deadline)
            deadline = px_timeout_deadline(t->receive_timeout);
        long result = px_stream_sleep(f, seq, deadline);
        if (result < 0)
            return done ? done : px_stream_wait_error(result, deadline);
        *slept = true;
    }
}

static long stream_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    bool slept = false;
    long n = read_bytes(f, io, flags, &slept);
    if (n > 0 && slept)
        px_lent_wanted(f);
    return n;
}

/* ---- readiness ---- */

static uint32_t stream_ready(struct px_file *f, uint32_t events, bool arm)
{
    struct px_stream *t = &f->stream;
    uint32_t ready = 0;
    if (px_stream_is_lent(t) && px_lent_ready(f, events, arm, &ready))
        return ready;
    uint32_t state = slot_state(t);
    if (state & IO_STATE_AWAY)
        return px_stream_away_ready(t);
    uint32_t unread = __atomic_load_n(&t->slot->rx_head, __ATOMIC_ACQUIRE) - PX_GLANCE(t->rx_tail);
    /* it is over, even if the state does not say so yet */
    if (__atomic_load_n(&t->slot->error, __ATOMIC_RELAXED) || PX_GLANCE(t->broken))
        return POLLERR | POLLHUP | POLLIN | POLLRDNORM | POLLRDHUP | POLLOUT | POLLWRNORM;
    if (unread && unread >= t->low_water)
        ready |= POLLIN | POLLRDNORM;
    if (state & IO_STATE_RX_EOF)
        ready |= POLLIN | POLLRDNORM | POLLRDHUP | (state & IO_STATE_TX_CLOSED ? POLLHUP : 0);
    if (state & IO_STATE_TX_CLOSED)
        return ready | POLLOUT | POLLWRNORM;
    if (state & IO_STATE_CONNECTED) {
        if (events & (POLLOUT | POLLWRNORM) && (writable(t) || (arm && px_stream_wish(f))))
            ready |= POLLOUT | POLLWRNORM;
    } else if (!(state & IO_STATE_CONNECTING)) {
        ready |= POLLOUT | POLLWRNORM | POLLHUP;
    }
    return ready;
}

static uint32_t listener_ready(struct px_file *f, uint32_t events, bool arm)
{
    struct px_stream *t = &f->stream;
    (void)events, (void)arm;
    uint32_t ready = 0, state = slot_state(t);
    if (state & IO_STATE_AWAY)
        return px_stream_away_ready(t);
    if (__atomic_load_n(&t->slot->rx_head, __ATOMIC_ACQUIRE) != PX_GLANCE(t->rx_tail))
        ready |= POLLIN | POLLRDNORM;
    if (__atomic_load_n(&t->slot->error, __ATOMIC_RELAXED) || PX_GLANCE(t->broken))
        ready |= POLLERR;
    if (state & IO_STATE_RX_EOF)
        ready |= POLLIN | POLLRDNORM | POLLRDHUP | POLLHUP;
    return ready;
}

/* ---- connecting ---- */

long px_stream_connected(struct px_file *f, uint32_t flags, uint64_t deadline)
{
    struct px_stream *t = &f->stream;
    for (;;) {
        uint32_t seq = __atomic_load_n(&t->slot->seq, __ATOMIC_ACQUIRE), state = slot_state(t);
        if (state & IO_STATE_AWAY) { /* begun by another process */
            long error = px_stream_come_home(f, POLLOUT);
            if (error == 0)
                continue;
        } else if (!(state & IO_STATE_CONNECTING)) {
            t->connecting = false;
            long error = px_socket_error(f);
            return error ? error : state & IO_STATE_CONNECTED ? 0 : -ECONNABORTED;
        }
        if (px_nonblock(f, flags))
            return -EALREADY;
        long error = px_stream_sleep(f, seq, deadline);
        if (error == -ETIMEDOUT)
            return -EINPROGRESS;
        if (error < 0)
            return px_stream_wait_error(error, deadline);
    }
}

/* ---- life ---- */

struct px_file *px_socket_file(struct px_session *s, uint32_t slot, motor_handle h, uint32_t family,
                               uint32_t type, uint32_t protocol, uint32_t flags)
{
    bool stream = type == SOCK_STREAM;
    struct px_file *f =
        px_file_new(stream ? &px_stream_ops : &px_datagram_ops, stream ? PX_STREAM : PX_DATAGRAM,
                    O_RDWR | (flags & O_NONBLOCK), h);
    if (!f) {
        motor_handle_close(h);
        return NULL;
    }
    f->protocol = MOTOR_FD_SOCKET;
    f->stream.session = s;
    f->stream.slot = &s->slots[slot];
    f->stream.index = slot;
    f->stream.family = (uint16_t)family;
    f->stream.type = (uint8_t)type;
    f->stream.protocol = (uint16_t)(protocol ? protocol : stream ? IPPROTO_TCP : 17);
    f->stream.low_water = 1;
    px_session_attach(s, slot, f);
    return f;
}

void px_socket_release(struct px_file *f)
{
    struct px_stream *t = &f->stream;
    if (px_is_unmade(f))
        __atomic_fetch_sub(&px_file_pool()->unmade, 1, __ATOMIC_RELAXED);
    if (f->remote || !t->slot)
        return;
    px_loan_release(f);
    uint32_t page = 0, order = t->ring_order;
    px_lock(&t->tx_lock);
    if (t->ring_page && __atomic_load_n(&t->slot->tx_tail, __ATOMIC_ACQUIRE) == t->tx_head) {
        px_ring_put(f);
    } else if (t->ring_page) {
        page = t->ring_page;
        px_ring_forget(f);
    }
    px_unlock(&t->tx_lock);
    px_session_detach(t->session, t->index, page, order, t->listening);
}

static long stream_control(struct px_file *f, unsigned request, unsigned long argument)
{
    struct px_stream *t = &f->stream;
    uint32_t n;
    switch (request) {
    case FIONREAD:
        if (t->listening)
            return -EINVAL;
        if (!px_lent_unread(f, &n))
            n = __atomic_load_n(&t->slot->rx_head, __ATOMIC_ACQUIRE) - PX_GLANCE(t->rx_tail);
        return px_store32((uint32_t *)argument, n);
    case TIOCOUTQ:
        n = PX_GLANCE(t->tx_head) - __atomic_load_n(&t->slot->tx_tail, __ATOMIC_ACQUIRE);
        return px_store32((uint32_t *)argument, n);
    case SIOCATMARK:
        return px_store32((uint32_t *)argument, 0);
    default:
        return px_netinfo_control(request, argument);
    }
}

static long not_connected(struct px_file *f, struct px_io *io, uint32_t flags)
{
    (void)f, (void)io, (void)flags;
    return -ENOTCONN;
}

static long no_pipe(struct px_file *f, struct px_io *io, uint32_t flags)
{
    (void)f, (void)io;
    return px_stream_failed(-EPIPE, flags);
}

long px_socket_stat(struct px_file *f, struct io_stat *out)
{
    *out = (struct io_stat){.dev = 8,
                            .ino = 1 + (uint64_t)(f->desc - px_file_pool()->descs),
                            .mode = S_IFSOCK | 0777,
                            .nlink = 1,
                            .blksize = 4096};
    return 0;
}

const struct px_ops px_stream_ops = {
    .name = "socket",
    .read = stream_read,
    .write = stream_write,
    .ready = stream_ready,
    .control = stream_control,
    .stat = px_socket_stat,
    .release = px_socket_release,
    .pass = px_socket_pass,
    .socket = &px_inet_ops,
};

const struct px_ops px_listener_ops = {
    .name = "socket",
    .read = not_connected,
    .write = no_pipe,
    .ready = listener_ready,
    .control = stream_control,
    .stat = px_socket_stat,
    .release = px_socket_release,
    .pass = px_socket_pass,
    .socket = &px_inet_ops,
};
