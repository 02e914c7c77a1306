/* SPDX-License-Identifier: MIT */
/*
 * UNIX sockets: unix(7). The tty engine serves them (sysio/local/); a call for each transfer,
 * unless a connected pair of streams has rings on loan (loan.h). What goes beside the bytes is in
 * rights.c.
 */
#include "file.h"
#include "loan.h"
#include "socket.h"
#include "stream.h"
#include "watch.h"

#define SUN_FAMILY  2u /* bytes of a sockaddr_un before the name */
#define WITH_SENDER 1u /* of IO_RECEIVE */
#define WITH_RIGHTS 2u
#define MESSAGE_MAX (16u << 20) /* more is too long for any buffer */

static struct px_file *unix_file(motor_handle h, uint8_t type, uint32_t flags)
{
    struct px_file *f = px_file_new(&px_unix_ops, PX_UNIX, flags, h);
    if (!f) {
        motor_handle_close(h);
        return NULL;
    }
    f->protocol = MOTOR_FD_UNIX;
    f->local.type = type;
    f->local.low_water = 1;
    return f;
}

static uint64_t deadline_of(uint64_t timeout)
{
    return timeout ? px_now() + timeout : MOTOR_NEVER;
}

/* What the end of a wait means to send and recv. */
static long wait_result(long result, uint64_t deadline)
{
    if (result == -ETIMEDOUT)
        return -EAGAIN;
    return result == -PX_ERESTARTSYS && deadline != MOTOR_NEVER ? -EINTR : result;
}

/* A call that may wait, for so long. */
static long wait_call(struct px_file *f, struct motor_msg *msg, uint64_t timeout)
{
    msg->deadline = deadline_of(timeout);
    return wait_result(px_call_intr(f->handle, msg), msg->deadline);
}

/* ---- new ones ---- */

static long open_sockets(int type, int protocol, bool pair, struct motor_msg *msg)
{
    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (type == SOCK_RAW) /* as Linux has always taken it */
        type = SOCK_DGRAM;
    *msg = (struct motor_msg){
        .op = IO_LOCAL_SOCKET, .word = {(uint64_t)type, pair}, .deadline = MOTOR_NEVER};
    long error = px_proc()->tty ? px_call(px_proc()->tty, msg) : -ENFILE;
    return error < 0 ? error : msg->nhandles != (pair ? 2 : 1) ? -EIO : type;
}

long px_unix_socket(int type, int protocol, unsigned flags)
{
    struct motor_msg msg;
    long result = open_sockets(type, protocol, false, &msg);
    if (result < 0)
        return result;
    struct px_file *f = unix_file(msg.handle[0], (uint8_t)result, O_RDWR | (flags & SOCK_NONBLOCK));
    return f ? px_fd_install(f, flags & SOCK_CLOEXEC) : -ENFILE;
}

long px_unix_pair(int type, int protocol, unsigned flags, void *fds)
{
    struct motor_msg msg;
    struct px_file *ends[2];
    long result = open_sockets(type, protocol, true, &msg);
    if (result < 0)
        return result;
    for (int i = 0; i < 2; i++)
        ends[i] = unix_file(msg.handle[i], (uint8_t)result, O_RDWR | (flags & SOCK_NONBLOCK));
    return px_fd_install_pair(ends, flags & SOCK_CLOEXEC, fds);
}

struct px_file *px_unix_from_record(const struct motor_start_fd *record)
{
    struct px_file *f =
        unix_file(record->handle, (uint8_t)record->word[0], record->flags & 0x7fffffffu);
    if (f)
        px_netlink_adopt(f, record->word[0]);
    return f;
}

static long unix_pass(struct px_file *f, struct motor_start_fd *record)
{
    record->word[0] = f->local.type;
    return 0;
}

/* ---- names ---- */

struct unix_name {
    uint32_t length; /* 0: none; a path: without its NUL */
    uint8_t bytes[IO_NAME_MAX + 1];
};

/* A program's sockaddr_un. */
static long take_name(struct unix_name *n, const void *user, unsigned length)
{
    uint16_t family;
    if (length < SUN_FAMILY || length > SUN_FAMILY + IO_NAME_MAX)
        return -EINVAL;
    n->length = length - SUN_FAMILY;
    if (px_copy_in(&family, user, sizeof family) < 0 ||
        px_copy_in(n->bytes, (const uint8_t *)user + SUN_FAMILY, n->length) < 0)
        return -EFAULT;
    n->bytes[n->length] = 0;
    if (n->length && n->bytes[0])
        n->length = (uint32_t)strlen((const char *)n->bytes);
    return family == AF_UNIX ? 0 : -EINVAL;
}

static bool is_path(const struct unix_name *n)
{
    return n->length && n->bytes[0];
}

/* The rendezvous of a path; bind: of a new socket there, with its file in handle[1]. */
static long rendezvous(const struct unix_name *n, bool bind, motor_handle handle[2])
{
    struct px_path p;
    struct motor_msg msg = {.op = IO_RENDEZVOUS, .word = {bind}, .deadline = MOTOR_NEVER};
    msg.word[1] = 0777 & ~__atomic_load_n(&px_proc()->umask, __ATOMIC_RELAXED);
    long result = px_path_get(&p, AT_FDCWD, (const char *)n->bytes, false);
    if (result < 0)
        return result;
    result = px_path_call(&p, &msg, NULL);
    px_path_put(&p);
    if (result < 0)
        return result;
    handle[0] = msg.handle[0];
    handle[1] = msg.handle[1];
    return msg.nhandles == (bind ? 2 : 1) ? 0 : -EIO;
}

static long unix_bind(struct px_file *f, const void *address, unsigned length)
{
    struct unix_name n;
    long result = take_name(&n, address, length);
    if (result < 0)
        return result;
    struct motor_msg msg = {
        .op = IO_BIND, .in = n.bytes, .in_size = n.length, .deadline = MOTOR_NEVER};
    if (!is_path(&n))
        return px_call(f->handle, &msg);
    struct motor_msg bound = {.op = IO_GETNAME, .deadline = MOTOR_NEVER};
    if (px_call(f->handle, &bound) > 0)
        return -EINVAL;
    result = rendezvous(&n, true, msg.handle);
    if (result < 0)
        return result;
    motor_handle meet = msg.handle[0], file = msg.handle[1];
    msg.nhandles = 2;
    result = px_call(f->handle, &msg);
    motor_handle_close(meet);
    motor_handle_close(file);
    return result;
}

static long unix_connect(struct px_file *f, const void *address, unsigned length)
{
    struct unix_name n;
    uint16_t family = AF_UNSPEC;
    struct motor_msg msg = {.op = IO_CONNECT};
    if (length < SUN_FAMILY)
        return -EINVAL;
    if (px_copy_in(&family, address, sizeof family) < 0)
        return -EFAULT;
    msg.word[0] = px_nonblock(f, 0) ? O_NONBLOCK : 0;
    msg.word[1] = family == AF_UNSPEC;
    long result = msg.word[1] ? 0 : take_name(&n, address, length);
    if (result < 0)
        return result;
    if (msg.word[1])
        return wait_call(f, &msg, 0);
    if (!n.length)
        return -EINVAL;
    motor_handle handle[2] = {0};
    if (is_path(&n)) {
        result = rendezvous(&n, false, handle);
        if (result < 0)
            return result;
        msg.nhandles = 1;
        msg.handle[0] = handle[0];
    } else {
        msg.in = n.bytes;
        msg.in_size = n.length;
    }
    result = wait_call(f, &msg, f->local.send_timeout);
    if (handle[0])
        motor_handle_close(handle[0]);
    return result;
}

/* As a sockaddr_un. */
static void format_name(struct px_name *out, const uint8_t *bytes, uint32_t length)
{
    const uint16_t family = AF_UNIX;
    length = PX_MIN(length, IO_NAME_MAX);
    memset(out, 0, sizeof *out);
    memcpy(out->bytes, &family, sizeof family);
    memcpy(out->bytes + SUN_FAMILY, bytes, length);
    out->length = SUN_FAMILY + length + (length && bytes[0]); /* a path with its NUL */
}

static long unix_name(struct px_file *f, bool peer, struct px_name *out)
{
    uint8_t bytes[IO_NAME_MAX];
    struct motor_msg msg = {.op = IO_GETNAME,
                            .word = {peer},
                            .out = bytes,
                            .out_size = sizeof bytes,
                            .deadline = MOTOR_NEVER};
    long length = px_call(f->handle, &msg);
    if (length < 0)
        return length;
    format_name(out, bytes, (uint32_t)length);
    return 0;
}

/* ---- listening ---- */

static long unix_listen(struct px_file *f, int backlog)
{
    struct motor_msg msg = {.op = IO_LISTEN, .deadline = MOTOR_NEVER};
    msg.word[0] = (uint32_t)backlog;
    return px_call(f->handle, &msg);
}

static long unix_accept(struct px_file *f, unsigned flags, struct px_name *peer)
{
    uint8_t bytes[IO_NAME_MAX];
    struct motor_msg msg = {.op = IO_SOCKET_ACCEPT, .out = bytes, .out_size = sizeof bytes};
    long fd = px_fd_reserve();
    if (fd < 0)
        return fd;
    msg.word[0] = px_nonblock(f, 0) ? O_NONBLOCK : 0;
    long result = wait_call(f, &msg, f->local.receive_timeout);
    struct px_file *new = NULL;
    if (result >= 0) {
        new = msg.nhandles == 1
                  ? unix_file(msg.handle[0], f->local.type, O_RDWR | (flags & SOCK_NONBLOCK))
                  : NULL;
        result = new ? 0 : -ENFILE;
    }
    if (result < 0) {
        px_fd_unreserve((int)fd);
        return result;
    }
    format_name(peer, bytes, (uint32_t)msg.word[0]);
    px_fd_fill((int)fd, new, flags & SOCK_CLOEXEC);
    return fd;
}

static long unix_shutdown(struct px_file *f, int how)
{
    struct motor_msg msg = {.op = IO_SHUTDOWN, .word = {(uint64_t)how}, .deadline = MOTOR_NEVER};
    return px_call(f->handle, &msg);
}

/* ---- options ---- */

static struct px_socket_waits waits_of(struct px_file *f)
{
    return (struct px_socket_waits){&f->local.receive_timeout, &f->local.send_timeout,
                                    &f->local.low_water};
}

static long unix_set_option(struct px_file *f, int level, int name, const void *value,
                            unsigned length)
{
    struct motor_msg msg = {
        .op = IO_SETSOCKOPT, .in = value, .in_size = length, .deadline = MOTOR_NEVER};
    long result =
        level == SOL_SOCKET ? px_socket_set_waits(waits_of(f), name, value, length) : -ENOTTY;
    if (result != -ENOTTY)
        return result;
    msg.word[0] = (uint64_t)(int64_t)level;
    msg.word[1] = (uint64_t)(int64_t)name;
    return px_call(f->handle, &msg);
}

static long unix_get_option(struct px_file *f, int level, int name, uint8_t *value, uint32_t room)
{
    struct motor_msg msg = {
        .op = IO_GETSOCKOPT, .out = value, .out_size = room, .deadline = MOTOR_NEVER};
    long result =
        level == SOL_SOCKET ? px_socket_get_waits(waits_of(f), name, value, room) : -ENOTTY;
    if (result != -ENOTTY)
        return result;
    msg.word[0] = (uint64_t)(int64_t)level;
    msg.word[1] = (uint64_t)(int64_t)name;
    return px_call(f->handle, &msg);
}

/* ---- buffers: what several vectors, or more than their bytes, go through ---- */

#define STREAM_PIECE (64u << 10)

struct buffer {
    uint8_t *at;
    size_t size;
    bool mapped;
};

static bool buffer_get(struct buffer *b, size_t size)
{
    b->size = size;
    b->mapped = size > 4096;
    b->at = b->mapped ? px_map(size) : px_alloc(size);
    return b->at;
}

static void buffer_put(struct buffer *b)
{
    if (b->at && b->mapped)
        px_unmap(b->at, b->size);
    else
        px_free(b->at);
}

/* ---- through a loan ---- */

/* What is not longer goes in one piece, as programs are used to from Linux. */
#define WHOLE 1024u

static uint32_t loan_flags(struct px_file *f, uint32_t flags)
{
    return (px_nonblock(f, 0) || flags & MSG_DONTWAIT ? PX_IO_NONBLOCK : 0) |
           (flags & MSG_PEEK ? PX_IO_PEEK : 0);
}

static bool is_stream(const struct px_file *f)
{
    return f->local.type == SOCK_STREAM;
}

static long lent_write(struct px_file *f, struct px_io *io, uint32_t flags)
{
    uint64_t deadline = deadline_of(f->local.send_timeout);
    return wait_result(px_loan_write(f, io, loan_flags(f, flags), WHOLE, deadline), deadline);
}

static long lent_read(struct px_file *f, struct px_io *io, uint32_t flags, uint64_t deadline)
{
    return wait_result(px_loan_read(f, io, loan_flags(f, flags), deadline), deadline);
}

/* ---- sending ---- */

struct sending {
    motor_handle parcel, meet; /* 0: none */
    uint32_t flags;
    const struct unix_name *to; /* abstract; NULL: none */
};

/* One call with these bytes, of which the first are the name's. */
static long send_bytes(struct px_file *f, const struct sending *s, const void *bytes, size_t size,
                       bool first)
{
    struct motor_msg msg = {.op = IO_SEND, .in = bytes, .in_size = size};
    msg.word[0] = s->flags | (px_nonblock(f, 0) ? MSG_DONTWAIT : 0);
    msg.word[1] = s->to ? s->to->length : 0;
    if (first && s->parcel)
        msg.handle[msg.nhandles++] = s->parcel;
    if (s->meet)
        msg.handle[msg.nhandles++] = s->meet;
    return wait_call(f, &msg, f->local.send_timeout);
}

/* From several vectors, or behind a name, at most `most` bytes: as one piece. */
static long send_gathered(struct px_file *f, const struct sending *s, struct px_io *io, size_t most,
                          bool first)
{
    struct buffer b;
    size_t size = PX_MIN(io->left, most), name = s->to ? s->to->length : 0;
    if (!buffer_get(&b, size + name + 1))
        return -ENOMEM;
    if (s->to)
        memcpy(b.at, s->to->bytes, name);
    long n = px_io_look(io, b.at + name, size);
    if (n == 0)
        n = send_bytes(f, s, b.at, size + name, first);
    buffer_put(&b);
    if (n > 0)
        px_io_skip(io, PX_MIN((size_t)n, size));
    return n;
}

static long send_piece(struct px_file *f, const struct sending *s, struct px_io *io, bool first)
{
    if (s->to || io->count > 1)
        return send_gathered(f, s, io, is_stream(f) ? STREAM_PIECE : MESSAGE_MAX, first);
    long n = send_bytes(f, s, io->count ? io->vec->base : NULL, io->left, first);
    if (n > 0)
        px_io_skip(io, PX_MIN((size_t)n, io->left));
    return n;
}

static long send_stream_piece(struct px_file *f, const struct sending *s, struct px_io *io,
                              bool first)
{
    long n = first && s->parcel ? -PX_BY_CALL : lent_write(f, io, s->flags);
    if (n != -PX_BY_CALL)
        return n;
    n = send_piece(f, s, io, first);
    if (n > 0)
        px_loan_wanted(f);
    return n;
}

static long send_stream(struct px_file *f, const struct sending *s, struct px_io *io)
{
    long done = 0, n;
    do {
        n = send_stream_piece(f, s, io, done == 0);
        done += n > 0 ? n : 0;
    } while ((n > 0 && io->left) || n == -IO_ELENT);
    if (n == -EPIPE && !done && !(s->flags & MSG_NOSIGNAL))
        px_signal_self(SIGPIPE, 0);
    return done ? done : n;
}

static long send_all(struct px_file *f, const struct sending *s, struct px_io *io)
{
    if (is_stream(f))
        return send_stream(f, s, io);
    return io->left > MESSAGE_MAX ? -EMSGSIZE : send_piece(f, s, io, true);
}

static long take_destination(struct sending *s, const struct px_message *m, struct unix_name *n)
{
    motor_handle handle[2];
    long result = take_name(n, m->name, m->namelen);
    if (result < 0)
        return result;
    if (!n->length)
        return -EINVAL;
    if (!is_path(n)) {
        s->to = n;
        return 0;
    }
    result = rendezvous(n, false, handle);
    if (result == 0)
        s->meet = handle[0];
    return result;
}

static long unix_send(struct px_file *f, struct px_message *m)
{
    struct sending s = {.flags = m->flags};
    struct unix_name name;
    long result = 0;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (m->name && m->namelen && f->local.type == SOCK_DGRAM)
        result = take_destination(&s, m, &name);
    else if (m->name && m->namelen && is_stream(f)) {
        struct px_name peer;
        result = unix_name(f, true, &peer) < 0 ? -EOPNOTSUPP : -EISCONN;
    }
    if (result == 0 && m->control)
        result = px_rights_send(m, &s.parcel);
    if (result == 0)
        result = send_all(f, &s, m->io);
    if (s.parcel)
        motor_handle_close(s.parcel);
    if (s.meet)
        motor_handle_close(s.meet);
    return result;
}

static long unix_write(struct px_file *f, struct px_io *io, uint32_t flags)
{
    const struct sending s = {.flags = (flags & PX_IO_NONBLOCK ? MSG_DONTWAIT : 0) |
                                       (flags & PX_IO_NOSIGNAL ? MSG_NOSIGNAL : 0)};
    return send_all(f, &s, io);
}

/* ---- receiving ---- */

/* One call. `direct`: into the program's own buffer; else through one of ours. */
static long receive_call(struct px_file *f, struct px_message *m, struct motor_msg *msg)
{
    msg->op = IO_RECEIVE;
    msg->word[0] = m->flags | (px_nonblock(f, 0) ? MSG_DONTWAIT : 0);
    msg->word[1] = (m->name && f->local.type == SOCK_DGRAM ? WITH_SENDER : 0) |
                   (m->controllen ? WITH_RIGHTS : 0);
    return wait_result(px_call_intr(f->handle, msg), msg->deadline);
}

static long receive_direct(struct px_file *f, struct px_message *m, struct motor_msg *msg)
{
    size_t size = m->io->count ? m->io->vec->length : 0;
    msg->out = m->io->count ? m->io->vec->base : NULL;
    msg->out_size = size;
    long n = receive_call(f, m, msg);
    if (n > 0)
        px_io_skip(m->io, PX_MIN((size_t)n, size));
    return n;
}

static long receive_buffered(struct px_file *f, struct px_message *m, struct motor_msg *msg)
{
    struct buffer b;
    struct io_sender sender;
    size_t header = m->name && f->local.type == SOCK_DGRAM ? sizeof sender : 0;
    size_t most = is_stream(f) ? STREAM_PIECE : MESSAGE_MAX;
    size_t size = PX_MIN(m->io->left, most);
    if (!buffer_get(&b, header + size + 1))
        return -ENOMEM;
    msg->out = b.at;
    msg->out_size = header + size;
    long n = receive_call(f, m, msg);
    if (n >= 0 && header) {
        memcpy(&sender, b.at, sizeof sender);
        if (sender.length)
            format_name(&m->from, sender.name, sender.length);
    }
    if (n > 0 && px_io_put(m->io, b.at + header, PX_MIN((size_t)n, size)) < 0)
        n = -EFAULT;
    buffer_put(&b);
    return n;
}

static long receive_by_call(struct px_file *f, struct px_message *m, struct px_rights *r,
                            uint64_t deadline)
{
    struct motor_msg msg = {.deadline = deadline};
    bool buffered = (m->name && f->local.type == SOCK_DGRAM) || m->io->count > 1;
    long n = buffered ? receive_buffered(f, m, &msg) : receive_direct(f, m, &msg);
    if (n < 0)
        return n;
    if (n > 0 && is_stream(f))
        px_loan_wanted(f);
    *r = (struct px_rights){.parcel = msg.nhandles ? msg.handle[0] : 0,
                            .count = (uint32_t)msg.word[4],
                            .pid = (uint32_t)msg.word[2],
                            .uid = (uint32_t)msg.word[3],
                            .gid = (uint32_t)(msg.word[3] >> 32),
                            .credentials = msg.word[5]};
    m->out_flags |= (uint32_t)msg.word[0];
    if (m->flags & MSG_TRUNC && m->out_flags & MSG_TRUNC)
        return (long)msg.word[1];
    return n;
}

static long receive_once(struct px_file *f, struct px_message *m, struct px_rights *r,
                         uint64_t deadline)
{
    long n;
    do {
        n = is_stream(f) ? lent_read(f, m->io, m->flags, deadline) : -PX_BY_CALL;
        if (n == -PX_BY_CALL)
            n = receive_by_call(f, m, r, deadline);
    } while (n == -IO_ELENT);
    return n;
}

/* Of a stream: how many bytes must come before it is over. */
static size_t bytes_wanted(const struct px_file *f, const struct px_message *m)
{
    if (!is_stream(f) || m->flags & MSG_PEEK)
        return 0;
    return m->flags & MSG_WAITALL ? m->io->left : PX_MIN(m->io->left, (size_t)f->local.low_water);
}

static long unix_receive(struct px_file *f, struct px_message *m)
{
    struct px_rights r = {0};
    if (m->flags & MSG_OOB)
        return is_stream(f) ? -EINVAL : -EOPNOTSUPP;
    if (m->flags & MSG_ERRQUEUE)
        return -EAGAIN;
    uint64_t deadline = deadline_of(f->local.receive_timeout);
    size_t wanted = bytes_wanted(f, m);
    long done = receive_once(f, m, &r, deadline);
    if (done < 0)
        return done;
    px_rights_receive(m, &r);
    while (done > 0 && (size_t)done < wanted && !m->control_used) {
        struct px_rights ignored;
        long n = receive_once(f, m, &ignored, deadline);
        if (n <= 0)
            break;
        done += n;
    }
    return done;
}

static long read_message(struct px_file *f, struct px_io *io, uint32_t flags)
{
    struct px_message m = {.io = io, .flags = flags};
    return unix_receive(f, &m);
}

static long unix_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    uint32_t how = flags & PX_IO_NONBLOCK ? MSG_DONTWAIT : 0;
    long n = -PX_BY_CALL;
    if (f->local.low_water == 1) /* else they may have to come in several parts */
        n = lent_read(f, io, how, deadline_of(f->local.receive_timeout));
    return n == -PX_BY_CALL ? read_message(f, io, how) : n;
}

/* ---- the rest ---- */

/* As Linux counts: while not more than a quarter of the buffer waits to be read. */
static bool writable(const struct px_loan_state *s)
{
    return s->unread <= s->capacity / 4;
}

/* Of one with a loan. false: the ring is full, and who calls has more room. */
static bool lent_ready(const struct px_loan_state *s, uint32_t *ready)
{
    *ready = (s->readable ? POLLIN | POLLRDNORM : 0) |
             (writable(s) ? POLLOUT | POLLWRNORM | POLLWRBAND : 0);
    return writable(s) || !s->more;
}

static uint32_t unix_ready(struct px_file *f, uint32_t events, bool arm)
{
    struct px_loan_state s;
    uint32_t ready;
    if (px_loan_look(f, &s) && lent_ready(&s, &ready)) {
        if (!arm || !px_loan_arms(events, ready))
            return events & ready;
        uint32_t room =
            events & (POLLOUT | POLLWRNORM | POLLWRBAND) ? s.capacity - s.capacity / 4 : 0;
        if (px_loan_watch(f, true, room, &s) && lent_ready(&s, &ready))
            return events & ready;
    }
    return px_session_poll(f, &f->local.bit, events, arm);
}

static long unix_control(struct px_file *f, unsigned request, unsigned long argument)
{
    struct px_loan_state s;
    if (request != FIONREAD && request != TIOCOUTQ)
        return px_netinfo_control(request, argument); /* if_nametoindex(3) and its kin ask here */
    if (px_loan_look_alone(f, &s))
        return px_store32((uint32_t *)argument, request == FIONREAD ? s.readable : s.unread);
    return px_server_control(f, request, argument);
}

static void unix_release(struct px_file *f)
{
    px_loan_release(f);
    px_session_unpoll(f->local.bit);
}

static long unix_stat(struct px_file *f, struct io_stat *out)
{
    struct motor_msg msg = {
        .op = IO_STAT, .out = out, .out_size = sizeof *out, .deadline = MOTOR_NEVER};
    return PX_MIN(px_call(f->handle, &msg), 0L);
}

const struct px_socket_ops px_unix_socket_ops = {
    .bind = unix_bind,
    .listen = unix_listen,
    .connect = unix_connect,
    .accept = unix_accept,
    .shutdown = unix_shutdown,
    .name = unix_name,
    .set_option = unix_set_option,
    .get_option = unix_get_option,
    .send = unix_send,
    .receive = unix_receive,
};

const struct px_ops px_unix_ops = {
    .name = "socket",
    .read = unix_read,
    .write = unix_write,
    .ready = unix_ready,
    .control = unix_control,
    .stat = unix_stat,
    .release = unix_release,
    .pass = unix_pass,
    .async = px_server_async,
    .socket = &px_unix_socket_ops,
};
