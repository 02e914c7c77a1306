/* SPDX-License-Identifier: MIT */
/*
 * What goes beside the bytes of UNIX sockets: descriptors (SCM_RIGHTS) and who sends
 * (SCM_CREDENTIALS), in control messages as cmsg(3) lays them out. Descriptors travel in a parcel
 * (<motor/io.h>).
 */
#include "control.h"
#include "watch.h"

#define SCM_RIGHTS      1
#define SCM_CREDENTIALS 2
#define AT_ONCE         MOTOR_MSG_HANDLES

struct credentials { /* struct ucred */
    uint32_t pid, uid, gid;
};

/* ---- sending ---- */

static long parcel_need(motor_handle *parcel)
{
    struct motor_msg msg = {.op = IO_PARCEL, .deadline = MOTOR_NEVER};
    if (*parcel)
        return 0;
    long error = px_call(px_proc()->tty, &msg);
    if (error == 0)
        *parcel = msg.handle[0];
    return error;
}

/* Puts up to AT_ONCE descriptors in. */
static long put_some(motor_handle parcel, const int32_t *fds, uint32_t n)
{
    struct motor_start_fd records[AT_ONCE];
    struct px_file *files[AT_ONCE];
    struct motor_msg msg = {.op = IO_PARCEL_PUT, .in = records, .deadline = MOTOR_NEVER};
    uint32_t got = 0;
    long error = 0;
    for (; got < n && error == 0; got++) {
        struct px_file *f = files[got] = px_fd_get(fds[got]);
        if (!f) {
            error = -EBADF;
            break;
        }
        px_listener_share(f);
        if (!px_file_record(f, &records[got]))
            error = -EOPNOTSUPP;
        msg.handle[got] = records[got].handle;
    }
    msg.nhandles = got;
    msg.in_size = got * sizeof *records;
    if (error == 0)
        error = px_call(parcel, &msg);
    while (got--)
        px_file_put(files[got]);
    return error;
}

static long put_descriptors(motor_handle *parcel, const uint8_t *user, uint64_t size)
{
    int32_t fds[AT_ONCE];
    uint64_t count = size / sizeof *fds;
    if (count > IO_PARCEL_MAX)
        return -EINVAL;
    long error = count ? parcel_need(parcel) : 0;
    for (uint64_t i = 0; i < count && error == 0; i += AT_ONCE) {
        uint32_t n = (uint32_t)PX_MIN(count - i, (uint64_t)AT_ONCE);
        error = px_copy_in(fds, user + i * sizeof *fds, n * sizeof *fds);
        if (error == 0)
            error = put_some(*parcel, fds, n);
    }
    return error;
}

static long sign(motor_handle *parcel, const uint8_t *user, uint64_t size)
{
    struct credentials c;
    struct motor_msg msg = {.op = IO_PARCEL_SIGN, .deadline = MOTOR_NEVER};
    if (size != sizeof c)
        return -EINVAL;
    if (px_copy_in(&c, user, sizeof c) < 0)
        return -EFAULT;
    long error = parcel_need(parcel);
    msg.word[0] = c.pid;
    msg.word[1] = c.uid | (uint64_t)c.gid << 32;
    return error < 0 ? error : px_call(*parcel, &msg);
}

static long put_control(motor_handle *parcel, const struct px_control *c, const uint8_t *user)
{
    uint64_t size = c->length - sizeof *c;
    if (c->level != (int)SOL_SOCKET)
        return 0;
    switch (c->type) {
    case SCM_RIGHTS:
        return put_descriptors(parcel, user, size);
    case SCM_CREDENTIALS:
        return sign(parcel, user, size);
    default:
        return -EINVAL;
    }
}

long px_rights_send(const struct px_message *m, motor_handle *parcel)
{
    struct px_control c;
    const uint8_t *data;
    uint64_t at = 0;
    long more = px_control_next(m, &at, &c, &data), error = 0;
    for (; more > 0 && error == 0; more = px_control_next(m, &at, &c, &data))
        error = put_control(parcel, &c, data);
    return error < 0 ? error : PX_MIN(more, 0L);
}

/* ---- receiving ---- */

/* Descriptors from number `from` on, as many as one call gives, into fds: how many. */
static uint32_t take_some(const struct px_rights *r, uint32_t from, uint32_t most, bool cloexec,
                          int32_t *fds)
{
    struct motor_start_fd records[AT_ONCE];
    struct motor_msg msg = {.op = IO_PARCEL_TAKE,
                            .word = {from},
                            .out = records,
                            .out_size = sizeof records,
                            .deadline = MOTOR_NEVER};
    long n = px_call(r->parcel, &msg);
    uint32_t taken = 0;
    bool full = false;
    for (uint32_t i = 0; n > 0 && i < PX_MIN((uint32_t)n, msg.nhandles); i++) {
        records[i].handle = msg.handle[i];
        if (full || taken >= most) {
            motor_handle_close(msg.handle[i]);
            continue;
        }
        struct px_file *f = px_file_from_record(&records[i]);
        long fd = f ? px_fd_install(f, cloexec) : -ENFILE;
        full = fd < 0;
        if (!full)
            fds[taken++] = (int32_t)fd;
    }
    return taken;
}

static void give_descriptors(struct px_message *m, struct px_rights *r)
{
    int32_t fds[IO_PARCEL_MAX];
    uint64_t room = m->controllen - m->control_used;
    uint32_t most = room < sizeof(struct px_control) + sizeof *fds
                        ? 0
                        : (uint32_t)PX_MIN((room - sizeof(struct px_control)) / sizeof *fds,
                                           (uint64_t)IO_PARCEL_MAX);
    uint32_t want = PX_MIN(PX_MIN(r->count, IO_PARCEL_MAX), most), got = 0, n = 1;
    while (got < want && n) {
        n = take_some(r, got, want - got, m->flags & MSG_CMSG_CLOEXEC, fds + got);
        got += n;
    }
    if (got)
        px_control_give(m, SOL_SOCKET, SCM_RIGHTS, fds, got * sizeof *fds);
    if (got < r->count)
        m->out_flags |= MSG_CTRUNC;
}

void px_rights_receive(struct px_message *m, struct px_rights *r)
{
    struct credentials c = {r->pid, r->uid, r->gid};
    if (r->credentials)
        px_control_give(m, SOL_SOCKET, SCM_CREDENTIALS, &c, sizeof c);
    if (r->count && !r->parcel)
        m->out_flags |= MSG_CTRUNC;
    if (!r->parcel)
        return;
    give_descriptors(m, r);
    motor_handle_close(r->parcel);
    r->parcel = 0;
}
