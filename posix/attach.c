/* SPDX-License-Identifier: MIT */
/*
 * Sockets that came from another process, by fork, exec or a message: they get a slot in a session
 * of this process when they are first used (IO_ATTACH in <motor/io.h>). Their bytes flow through
 * one process's slot at a time; who is told of readiness elsewhere asks for them.
 */
#include "socket.h"
#include "stream.h"

/* ---- arriving ---- */

static long no_slot(struct px_file *f, struct px_io *io, uint32_t flags)
{
    (void)f, (void)io, (void)flags;
    return -EIO;
}

static uint32_t never_ready(struct px_file *f, uint32_t events, bool arm)
{
    (void)f, (void)events, (void)arm;
    return POLLERR;
}

/* Of one that could not get a slot. */
const struct px_ops px_remote_ops = {.name = "socket",
                                     .read = no_slot,
                                     .write = no_slot,
                                     .ready = never_ready,
                                     .stat = px_socket_stat,
                                     .release = px_socket_release,
                                     .pass = px_socket_pass,
                                     .socket = &px_inet_ops};

static const struct px_ops *ops_of(const struct px_file *f)
{
    return f->kind == PX_DATAGRAM ? &px_datagram_ops
           : f->stream.listening  ? &px_listener_ops
                                  : &px_stream_ops;
}

static long attach(struct px_file *f, struct px_session *s, uint64_t how, uint64_t *bits)
{
    struct motor_msg msg = {
        .op = IO_ATTACH, .nhandles = 1, .handle = {s->gate}, .deadline = MOTOR_NEVER};
    msg.word[0] = how;
    long result = px_call(f->handle, &msg);
    if (result < 0)
        return result;
    *bits = msg.word[1];
    return msg.word[0] < IO_SLOTS ? (long)msg.word[0] : -EIO;
}

void px_socket_arrive(struct px_file *f)
{
    struct px_net *n = px_net();
    struct px_stream *t = &f->stream;
    uint64_t bits;
    long slot;
    struct px_session *s = px_session_get(PX_SESSION_NET, &slot);
    if (!s)
        return;
    px_lock(&n->open_lock); /* two threads may meet here */
    if (f->remote && (slot = attach(f, s, 0, &bits)) >= 0) {
        t->session = s;
        t->index = (uint32_t)slot;
        t->slot = &s->slots[slot];
        t->rx_tail = t->tx_head = 0;
        t->ring_page = 0;
        t->shared = t->listening;
        px_session_attach(s, t->index, f);
        px_lock(&n->lock);
        f->ops = ops_of(f);
        px_unlock(&n->lock);
        __atomic_store_n(&f->remote, false, __ATOMIC_RELEASE);
    }
    px_unlock(&n->open_lock);
}

void px_stream_forked(struct px_file *f)
{
    struct px_stream *t = &f->stream;
    t->rx_lock.word = t->tx_lock.word = 0;
    t->writers = 0;
    if (px_is_unmade(f)) /* another thread of the parent had just opened it */
        return;
    t->session = NULL;
    t->slot = NULL;
    f->remote = px_files()->remotes = true;
    f->ops = &px_remote_ops;
}

/* ---- coming home ---- */

long px_stream_come_home(struct px_file *f, uint32_t events)
{
    struct px_stream *t = &f->stream;
    uint64_t bits;
    if (!(px_stream_away_ready(t) & (events | POLLERR | POLLHUP)) && f->kind == PX_STREAM)
        return -EAGAIN;
    px_lock(&t->rx_lock);
    px_lock(&t->tx_lock);
    long result = 0;
    if (px_stream_away(t)) {
        result = attach(f, t->session, IO_ATTACH_HOME, &bits);
        if (result >= 0) {
            PX_SET(t->rx_tail, 0);
            if (!(bits & IO_ATTACHED_TX)) { /* ours was drained before it went elsewhere */
                if (t->ring_page)
                    px_ring_put(f);
                PX_SET(t->tx_head, 0);
            }
            result = 0;
        }
    }
    px_unlock(&t->tx_lock);
    px_unlock(&t->rx_lock);
    return result == -EAGAIN ? -EIO : result;
}

/* ---- leaving ---- */

/* Handles of connections whose records we have not taken: the engine has them back. */
static void give_back(struct px_stream *t)
{
    uint32_t head = __atomic_load_n(&t->slot->rx_head, __ATOMIC_ACQUIRE), tail = t->rx_tail;
    uint64_t place = __atomic_load_n(&t->slot->rx_place, __ATOMIC_RELAXED);
    for (struct io_accept record; px_rx_copy(t->session, place, tail, head, &record, sizeof record);
         tail += sizeof record)
        if (record.handle)
            motor_handle_close(record.handle);
    PX_SET(t->rx_tail, head);
}

void px_listener_share(struct px_file *f)
{
    struct px_stream *t = &f->stream;
    if (f->kind != PX_STREAM || !px_is_stream_file(f) || f->remote)
        return;
    px_lock(&t->rx_lock);
    t->passed |= !t->listening;
    if (t->listening && !t->shared && !t->broken) {
        struct motor_msg msg = {.op = IO_SHARE, .word = {t->rx_tail}, .deadline = MOTOR_NEVER};
        if (px_call(f->handle, &msg) >= 0) {
            give_back(t);
            t->shared = true;
        }
    }
    px_unlock(&t->rx_lock);
}

void px_listeners_share(bool exec)
{
    for (int fd = 0; (fd = px_fd_next(fd)) >= 0; fd++) {
        struct px_file *f = exec && px_fd_cloexec_get(fd) ? NULL : px_fd_get(fd);
        if (!f)
            continue;
        px_listener_share(f);
        px_file_put(f);
    }
}

/* ---- records ---- */

enum { LISTENING = 1, PEER_SET = 2 };

long px_socket_pass(struct px_file *f, struct motor_start_fd *record)
{
    const struct px_stream *t = &f->stream;
    record->protocol = MOTOR_FD_SOCKET;
    record->word[0] = (uint64_t)t->family | (uint64_t)t->type << 16 | (uint64_t)t->protocol << 32;
    record->word[1] = (t->listening ? LISTENING : 0) | (t->peer_set ? PEER_SET : 0);
    return 0;
}

struct px_file *px_socket_from_record(const struct motor_start_fd *record)
{
    uint8_t type = (uint8_t)(record->word[0] >> 16);
    struct px_file *f = px_file_new(&px_remote_ops, type == SOCK_STREAM ? PX_STREAM : PX_DATAGRAM,
                                    record->flags & 0x7fffffffu, record->handle);
    if (!f) {
        motor_handle_close(record->handle);
        return NULL;
    }
    struct px_stream *t = &f->stream;
    f->protocol = MOTOR_FD_SOCKET;
    f->remote = px_files()->remotes = true;
    t->family = (uint16_t)record->word[0];
    t->type = type;
    t->protocol = (uint16_t)(record->word[0] >> 32);
    t->listening = record->word[1] & LISTENING;
    t->passed = !t->listening;
    t->peer_set = record->word[1] & PEER_SET && type != SOCK_STREAM;
    t->low_water = 1;
    return f;
}
