/* SPDX-License-Identifier: MIT */
/* Options of UNIX sockets, SIGIO, ioctl, and their list in /proc/net/unix. */
#include "local.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define BUFFER_MIN 4608u

/* Options that are kept and have no effect here: a bit each. */
static const int remembered[] = {SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_DONTROUTE,
                                 SO_OOBINLINE, SO_REUSEPORT, SO_TIMESTAMP, SO_DEBUG};

static int remembered_bit(uint64_t name)
{
    for (unsigned i = 0; i < sizeof remembered / sizeof *remembered; i++)
        if (name == (uint64_t)remembered[i])
            return (int)i;
    return -1;
}

/* ---- setting ---- */

/* Twice what was asked for, within bounds, as on Linux. */
static uint32_t buffer_size(int32_t value, bool force)
{
    uint32_t most = force ? 1u << 24 : SOCKET_BUFFER;
    uint32_t size = value < 0 || (uint32_t)value > most ? most : (uint32_t)value;
    return size * 2 < BUFFER_MIN ? BUFFER_MIN : size * 2;
}

int64_t unix_set_option(struct unix_socket *s, struct motor_event *ev)
{
    int32_t value;
    if ((int64_t)ev->word[0] != SOL_SOCKET)
        return -EOPNOTSUPP;
    int bit = remembered_bit(ev->word[1]);
    bool force = ev->word[1] == SO_SNDBUFFORCE || ev->word[1] == SO_RCVBUFFORCE;
    if (ev->in_size < sizeof value)
        return -EINVAL;
    int64_t n = event_read(ev, 0, &value, sizeof value);
    if (n < (int64_t)sizeof value)
        return n < 0 ? n : -EFAULT;
    if (force && ev->uid)
        return -EPERM;
    unix_loan_end(s); /* the buffers' sizes and who is told the sender are of it */
    switch (ev->word[1]) {
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
        s->send_buffer = buffer_size(value, force);
        return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
        s->receive_buffer = buffer_size(value, force);
        return 0;
    case SO_PASSCRED:
        s->pass_credentials = value;
        return 0;
    case SO_PEEK_OFF:
        s->peek_offset = value;
        return 0;
    case SO_LINGER:
        return ev->in_size < sizeof(struct linger) ? -EINVAL : 0;
    case SO_PRIORITY:
        return value >= 0 && value <= 6 ? 0 : -EPERM;
    case SO_TYPE:
    case SO_PROTOCOL:
    case SO_DOMAIN:
    case SO_ERROR:
    case SO_ACCEPTCONN:
    case SO_PEERCRED:
        return -ENOPROTOOPT;
    default:
        if (bit < 0)
            return -ENOPROTOOPT;
        s->remembered = (s->remembered & ~(1u << bit)) | (value ? 1u << bit : 0);
        return 0;
    }
}

/* ---- getting ---- */

static int64_t reply(struct motor_event *ev, const void *value, size_t size)
{
    size = size < ev->out_size ? size : ev->out_size;
    engine_reply_data(engine_reply(&tty_engine, ev->token, (int64_t)size), &tty_engine, value,
                      size);
    return CALL_ANSWERED;
}

static int64_t get_number(struct unix_socket *s, uint64_t name, int32_t *value)
{
    int bit = remembered_bit(name);
    switch (name) {
    case SO_SNDBUF:
        *value = (int32_t)s->send_buffer;
        return 0;
    case SO_RCVBUF:
        *value = (int32_t)s->receive_buffer;
        return 0;
    case SO_PASSCRED:
        *value = s->pass_credentials;
        return 0;
    case SO_PEEK_OFF:
        *value = s->peek_offset;
        return 0;
    case SO_ERROR:
        *value = s->error;
        s->error = 0;
        return 0;
    case SO_ACCEPTCONN:
        *value = s->state == SOCKET_LISTENING;
        return 0;
    case SO_TYPE:
        *value = (int32_t)s->type;
        return 0;
    case SO_DOMAIN:
        *value = AF_UNIX;
        return 0;
    case SO_PROTOCOL:
    case SO_PRIORITY:
    case SO_SNDLOWAT:
        *value = name == SO_SNDLOWAT;
        return 0;
    default:
        *value = bit >= 0 && s->remembered >> bit & 1;
        return bit < 0 ? -ENOPROTOOPT : 0;
    }
}

int64_t unix_get_option(struct unix_socket *s, struct motor_event *ev)
{
    int32_t value = 0;
    if ((int64_t)ev->word[0] != SOL_SOCKET)
        return -EOPNOTSUPP;
    if (ev->word[1] == SO_PEERCRED)
        return reply(ev, &s->peer_owner, sizeof s->peer_owner);
    if (ev->word[1] == SO_LINGER)
        return reply(ev, &(struct linger){0}, sizeof(struct linger));
    int64_t error = get_number(s, ev->word[1], &value);
    return error ? error : reply(ev, &value, sizeof value);
}

int64_t unix_control(struct tty_object *o, struct motor_event *ev, bool waited)
{
    struct unix_socket *s = unix_of(o);
    uint32_t value;
    (void)waited;
    if (ev->word[0] == FIONREAD) {
        if (s->state == SOCKET_LISTENING)
            return -EINVAL;
        value = unix_next_size(s);
    } else if (ev->word[0] == TIOCOUTQ) {
        value = (uint32_t)s->account->bytes + unix_lent_sent(s);
    } else {
        return -ENOTTY;
    }
    int64_t n = event_write(ev, 0, &value, sizeof value);
    return n < 0 ? n : n < (int64_t)sizeof value ? -EFAULT : 0;
}

/* ---- SIGIO ---- */

int64_t unix_async(struct unix_socket *s, const struct motor_event *ev)
{
    unix_loan_end(s);
    return async_set(&s->async, ev);
}

void unix_news(struct unix_socket *s)
{
    s->object.news += 2; /* odd: never 0 */
    if (s->async.on)
        async_tell(&s->async);
}

/* ---- the list ---- */

static int print_socket(const struct unix_socket *s, char *line, size_t size)
{
    char name[IO_NAME_MAX + 1] = "";
    uint32_t length = s->name ? s->name->length : 0;
    for (uint32_t i = 0; i < length; i++)
        name[i] = s->name->bytes[i] ? (char)s->name->bytes[i] : '@';
    return snprintf(line, size, "%016x: %08X %08X %08X %04X %02X %5u%s%s\n", 0, s->refs + 1, 0,
                    s->state == SOCKET_LISTENING ? 0x10000 : 0, s->type,
                    s->state == SOCKET_CONNECTED ? 3 : 1, s->object.number, length ? " " : "",
                    name);
}

int64_t unix_list(struct motor_event *ev)
{
    char line[192];
    uint64_t done = 0;
    for (const struct unix_socket *s = unix_sockets; s; s = s->next) {
        uint64_t n = (uint64_t)print_socket(s, line, sizeof line);
        if (done + n > ev->out_size)
            break;
        int64_t written = event_write(ev, done, line, n);
        if (written < (int64_t)n)
            break;
        done += n;
    }
    return (int64_t)done;
}
