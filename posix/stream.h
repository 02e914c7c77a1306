/* SPDX-License-Identifier: MIT */
/* What the files of sockets share: stream.c, datagram.c, socket.c, socket_message.c, sendfile.c. */
#ifndef PX_STREAM_H
#define PX_STREAM_H

#include "socket.h"
#include "watch.h"

/* A file for a slot of the net session; takes the handle, also on failure (NULL). */
struct px_file *px_socket_file(struct px_session *s, uint32_t slot, motor_handle h, uint32_t family,
                               uint32_t type, uint32_t protocol, uint32_t flags);
void px_socket_release(struct px_file *f);

static inline bool px_is_stream_file(const struct px_file *f)
{
    return f->protocol == MOTOR_FD_SOCKET;
}
/* ---- attach.c: sockets of several processes ---- */

/* In a forked child: it has no slot any more. */
void px_stream_forked(struct px_file *f);
long px_socket_pass(struct px_file *f, struct motor_start_fd *record);
/*
 * The socket's bytes flow elsewhere. When it is ready for one of `events`, they are made to flow
 * here: 0, or an error. -EAGAIN: it is not ready.
 */
long px_stream_come_home(struct px_file *f, uint32_t events);
static inline bool px_stream_away(const struct px_stream *t)
{
    return __atomic_load_n(&t->slot->state, __ATOMIC_ACQUIRE) & IO_STATE_AWAY;
}
/* ---- unmade.c: a TCP socket that the engine knows nothing of yet ---- */

struct px_file *px_socket_unmade(int family, unsigned flags); /* NULL: no memory */
/* It is made, and connected: what connect answers, or why it could not be made. */
long px_socket_make_connected(struct px_file *f, const void *address, unsigned length);

/* ---- lent.c: bytes through a loan (loan.h) ---- */

/* The slot is not to be used but for asking its state. */
static inline bool px_stream_is_lent(const struct px_stream *t)
{
    return __atomic_load_n(&t->slot->state, __ATOMIC_ACQUIRE) & IO_STATE_LENT;
}
/*
 * Bytes moved, or an error of a wait; -PX_BY_CALL: through the slot. The deadline is set, if it is
 * still 0.
 */
long px_lent_read(struct px_file *f, struct px_io *io, uint32_t flags, uint64_t *deadline);
long px_lent_write(struct px_file *f, struct px_io *io, uint32_t flags, uint64_t *deadline);
/* It is not lent any more: `size` bytes are to be sent, which it might have no room for. */
long px_lent_give_back(struct px_file *f, size_t size);
/* Of one that is lent: POLL* bits; false: ask the slot. [px_net.lock] */
bool px_lent_ready(struct px_file *f, uint32_t events, bool arm, uint32_t *ready);
/* Bytes to be read; false: ask the slot. */
bool px_lent_unread(struct px_file *f, uint32_t *n);
/* A read had to wait for bytes that came through the slot. */
void px_lent_wanted(struct px_file *f);

/* So is it, or the bytes flow through another slot. */
static inline bool px_stream_elsewhere(const struct px_stream *t)
{
    return __atomic_load_n(&t->slot->state, __ATOMIC_SEQ_CST) & (IO_STATE_AWAY | IO_STATE_LENT);
}

static inline uint32_t px_stream_away_ready(const struct px_stream *t)
{
    return __atomic_load_n(&t->slot->flags, __ATOMIC_ACQUIRE);
}
/*
 * Consume, and send: the engine learns of the new index. false: the bytes flow elsewhere now, and
 * nothing has happened. [rx_lock, tx_lock]
 */
static inline bool px_stream_consume(struct px_stream *t, uint32_t n)
{
    uint32_t was = t->rx_tail;
    if (!__atomic_compare_exchange_n(&t->slot->rx_tail, &was, was + n, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_RELAXED))
        return false;
    PX_SET(t->rx_tail, t->rx_tail + n);
    return true;
}
static inline bool px_stream_sent(struct px_stream *t, uint32_t n)
{
    uint32_t was = t->tx_head;
    if (!__atomic_compare_exchange_n(&t->slot->tx_head, &was, was + n, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_RELAXED))
        return false;
    PX_SET(t->tx_head, t->tx_head + n);
    return true;
}

extern const struct px_ops px_remote_ops;

/* ---- accept.c ---- */

/* A new descriptor. */
long px_accept_record(struct px_file *f, const struct io_accept *record, motor_handle handle,
                      uint32_t flags, struct px_address *peer);
long px_stream_accept(struct px_file *f, uint32_t flags, struct px_address *peer);

/* stream.c */
/* waits until it is, or has failed */
long px_stream_connected(struct px_file *f, uint32_t flags, uint64_t deadline);
/* What a wait's end means to send and recv. */
long px_stream_wait_error(long error, uint64_t deadline);
/* Sleeps until slot->seq differs from seq. 0, -ETIMEDOUT or a restart code. */
long px_stream_sleep(struct px_file *f, uint32_t seq, uint64_t deadline);
/* The pending error, taken: negated errno, or 0. */
long px_socket_error(struct px_file *f);
/*
 * Room in the tx ring for up to `wanted` bytes: where (up to `*contiguous` bytes), or NULL when
 * there is none now, with *error -EAGAIN, or another one that ends it all. [tx_lock] Then
 * px_stream_commit() of what was put there.
 */
uint8_t *px_stream_room(struct px_file *f, size_t wanted, uint32_t *contiguous, long *error);
bool px_stream_commit(struct px_file *f, uint32_t n); /* false: see px_stream_sent() */
/* After -EAGAIN: wishes for space. true: there is some already. */
bool px_stream_wish(struct px_file *f);
/*
 * The same, and sleeps (without space; seq is from before the try). 0: try again; -ETIMEDOUT or a
 * restart code.
 */
long px_stream_await_space(struct px_file *f, uint32_t seq, uint64_t deadline);
/* Bytes have been sent: the engine is told, unless it could not send them yet. */
void px_stream_tell(struct px_file *f);
/*
 * TCP_CORK and TCP_NODELAY (`flag`: IO_CLIENT_*) where the bytes flow, without a call. false: there
 * is no slot to set it in.
 */
bool px_stream_set_flag(struct px_file *f, uint32_t flag, bool on);
/* shutdown(SHUT_WR) without a call; false: the engine has to be asked. */
bool px_stream_shut(struct px_file *f);
/* Ends a transfer that has failed or sent nothing: SIGPIPE, timeouts. */
long px_stream_failed(long error, uint32_t flags);

/* datagram.c */
/* `info`: the record of the one received, with its length as it was sent. */
long px_datagram_receive(struct px_file *f, struct px_io *io, uint32_t flags,
                         struct io_datagram *info);
/* `to`: where, and what is said for this one; its length is set here. */
long px_datagram_send(struct px_file *f, struct px_io *io, uint32_t flags, struct io_datagram *to);

/* datagram_control.c */
/* Into `to`: what the program's control messages say. 0 or a negated errno. */
long px_datagram_say(struct px_file *f, const struct px_message *m, struct io_datagram *to);
/* What the socket's options ask for, into the program's control buffer. */
void px_datagram_tell(struct px_file *f, const struct io_datagram *info, struct px_message *m);

static inline uint64_t px_timeout_deadline(uint64_t timeout)
{
    return timeout ? px_now() + timeout : MOTOR_NEVER;
}

/* netinfo.c: SIOCGIF*; -ENOTTY for what is none */
long px_netinfo_control(unsigned request, unsigned long argument);
long px_socket_stat(struct px_file *f, struct io_stat *out);

/* address.c */
/* A program's sockaddr for a socket of `family`: 0, -EINVAL, -EAFNOSUPPORT, -EFAULT. */
long px_address_in(struct px_address *a, const void *user, uint32_t length, uint32_t family);
/* Stores it (cut to *user_length) and its true length. Both may be NULL: nothing happens. */
long px_address_out(const struct px_address *a, void *user, void *user_length);
uint32_t px_address_format(const struct px_address *a, uint8_t sockaddr[28]); /* its length */

#endif
