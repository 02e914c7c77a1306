/* SPDX-License-Identifier: MIT */
/*
 * What goes beside datagrams, as control messages (ip(7), ipv6(7), socket(7)): to which address and
 * by which interface one came, its TTL, its traffic class, and when; and the same, said by a sender
 * for one of its own.
 */
#include "control.h"
#include "stream.h"

enum { IP_TOS = 1, IP_TTL = 2, IP_PKTINFO = 8 };
enum { IPV6_PKTINFO = 50, IPV6_HOPLIMIT = 52, IPV6_TCLASS = 67 };
enum { SCM_RIGHTS = 1, SCM_CREDENTIALS = 2, SCM_TIMESTAMP = 29, SCM_TIMESTAMPNS = 35 };

struct pktinfo4 { /* struct in_pktinfo */
    uint32_t ifindex;
    uint8_t source[4], to[4];
};
struct pktinfo6 { /* struct in6_pktinfo */
    uint8_t address[16];
    uint32_t ifindex;
};

/* ---- receiving ---- */

static void tell_time(const struct io_datagram *info, uint32_t wanted, struct px_message *m)
{
    uint64_t unit = wanted & IO_CLIENT_TIME_NS ? 1 : 1000;
    uint64_t time[2] = {info->time / 1000000000u, info->time % 1000000000u / unit};
    if (wanted & (IO_CLIENT_TIME | IO_CLIENT_TIME_NS))
        px_control_give(m, SOL_SOCKET, unit == 1 ? SCM_TIMESTAMPNS : SCM_TIMESTAMP, time,
                        sizeof time);
}

static void tell_ip(const struct io_datagram *info, uint32_t wanted, struct px_message *m)
{
    struct pktinfo4 at = {.ifindex = info->ifindex};
    int32_t ttl = info->ttl;
    memcpy(at.source, info->own, sizeof at.source);
    memcpy(at.to, info->own, sizeof at.to);
    if (wanted & IO_CLIENT_PKTINFO)
        px_control_give(m, IPPROTO_IP, IP_PKTINFO, &at, sizeof at);
    if (wanted & IO_CLIENT_TTL)
        px_control_give(m, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
    if (wanted & IO_CLIENT_TOS)
        px_control_give(m, IPPROTO_IP, IP_TOS, &info->tos, 1);
}

static void tell_ipv6(const struct io_datagram *info, uint32_t wanted, struct px_message *m)
{
    struct pktinfo6 at = {.ifindex = info->ifindex};
    int32_t hops = info->ttl, class = info->tos;
    memcpy(at.address, info->own, sizeof at.address);
    if (wanted & IO_CLIENT_PKTINFO6)
        px_control_give(m, IPPROTO_IPV6, IPV6_PKTINFO, &at, sizeof at);
    if (wanted & IO_CLIENT_HOPLIMIT)
        px_control_give(m, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof hops);
    if (wanted & IO_CLIENT_TCLASS)
        px_control_give(m, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof class);
}

void px_datagram_tell(struct px_file *f, const struct io_datagram *info, struct px_message *m)
{
    uint32_t wanted = __atomic_load_n(&f->stream.slot->client_flags, __ATOMIC_RELAXED);
    if (!(wanted & IO_CLIENT_OPTIONS))
        return;
    tell_time(info, wanted, m);
    if (info->family == AF_INET)
        tell_ip(info, wanted, m);
    else
        tell_ipv6(info, wanted, m);
}

/* ---- sending ---- */

/* The bytes of a message that must have `size`. */
static long take(void *to, const struct px_control *c, const uint8_t *data, size_t size)
{
    return c->length - sizeof *c != size ? -EINVAL : px_copy_in(to, data, size);
}

static long say_byte(uint8_t *to, const struct px_control *c, const uint8_t *data, int32_t least)
{
    int32_t number;
    long error = take(&number, c, data, sizeof number);
    if (error < 0)
        return error;
    if (number < least || number > 255)
        return -EINVAL;
    *to = (uint8_t)number;
    return 0;
}

static void say_interface(struct io_datagram *to, uint32_t ifindex)
{
    to->ifindex = ifindex;
    to->flags |= ifindex ? IO_DATAGRAM_INTERFACE : 0;
}

static void say_own(struct io_datagram *to, const uint8_t *address, size_t size)
{
    static const uint8_t any[16];
    if (!memcmp(address, any, size))
        return;
    memcpy(to->own, address, size);
    to->flags |= IO_DATAGRAM_OWN;
}

static long say_ip(const struct px_control *c, const uint8_t *data, struct io_datagram *to)
{
    struct pktinfo4 at;
    long error;
    switch (c->type) {
    case IP_PKTINFO:
        error = take(&at, c, data, sizeof at);
        if (error < 0)
            return error;
        say_interface(to, at.ifindex);
        say_own(to, at.source, sizeof at.source);
        return 0;
    case IP_TTL:
        to->flags |= IO_DATAGRAM_TTL;
        return say_byte(&to->ttl, c, data, 1);
    case IP_TOS: /* an int or a byte */
        to->flags |= IO_DATAGRAM_TOS;
        return c->length == sizeof *c + 1 ? px_copy_in(&to->tos, data, 1)
                                          : say_byte(&to->tos, c, data, 0);
    default:
        return -EINVAL;
    }
}

/* -1: as if nothing had been said. */
static long say_or_default(uint8_t *to, uint16_t flag, const struct px_control *c,
                           const uint8_t *data, struct io_datagram *record)
{
    int32_t number;
    long error = take(&number, c, data, sizeof number);
    if (error < 0 || number == -1)
        return error;
    record->flags |= flag;
    return say_byte(to, c, data, 0);
}

static long say_ipv6(const struct px_control *c, const uint8_t *data, struct io_datagram *to)
{
    struct pktinfo6 at;
    long error;
    switch (c->type) {
    case IPV6_PKTINFO:
        error = take(&at, c, data, sizeof at);
        if (error < 0)
            return error;
        say_interface(to, at.ifindex);
        say_own(to, at.address, sizeof at.address);
        return 0;
    case IPV6_HOPLIMIT:
        return say_or_default(&to->ttl, IO_DATAGRAM_TTL, c, data, to);
    case IPV6_TCLASS:
        return say_or_default(&to->tos, IO_DATAGRAM_TOS, c, data, to);
    default:
        return -EINVAL;
    }
}

long px_datagram_say(struct px_file *f, const struct px_message *m, struct io_datagram *to)
{
    struct px_control c;
    const uint8_t *data;
    uint64_t at = 0;
    long more, error = 0;
    while ((more = px_control_next(m, &at, &c, &data)) > 0 && error == 0) {
        if (c.level == IPPROTO_IP && f->stream.family == AF_INET)
            error = say_ip(&c, data, to);
        else if (c.level == IPPROTO_IPV6 && f->stream.family == AF_INET6)
            error = say_ipv6(&c, data, to);
        else if (c.level == SOL_SOCKET && c.type != SCM_RIGHTS && c.type != SCM_CREDENTIALS)
            error = -EINVAL;
    }
    return error < 0 ? error : PX_MIN(more, 0L);
}
