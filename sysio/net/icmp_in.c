/* SPDX-License-Identifier: MIT */
/*
 * lwIP's ICMP and ICMPv6, which drop what others report of datagrams and segments that did not
 * arrive. Here those are read first, and the socket that sent hears of them, with the errnos and
 * by the rules of Linux: a connected datagram socket of what is final (RFC 1122, 4.1.3.3), a stream
 * only while it is connecting. Anybody can send such a report: nothing but lengths is believed
 * before a socket is found that has sent between just these two ends.
 */
#include "lwip/opt.h"
#include "netif.h"
#include "socket.h"
#include <errno.h>

#define icmp_input  lwip_icmp_input
#define icmp6_input lwip_icmp6_input
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
void lwip_icmp_input(struct pbuf *p, struct netif *inp);
void lwip_icmp6_input(struct pbuf *p, struct netif *inp);
#include "../core/ipv4/icmp.c"
#include "../core/ipv6/icmp6.c"
#pragma GCC diagnostic pop
#undef icmp_input
#undef icmp6_input

#define HEADER       8u /* of a report; behind it, the datagram from its IP header on */
#define INNER        8u /* of its transport header: the ports, and of TCP the sequence number */
#define NEXT_TCP     6u
#define NEXT_UDP     17u
#define TYPE_PROBLEM 12u /* ICMP_PP */

struct verdict {
    uint8_t error;
    bool final;
};

/* Of ICMP_DUR, by code (RFC 792, RFC 1122, RFC 1812). */
static const struct verdict unreachable4[] = {
    {ENETUNREACH, false},  {EHOSTUNREACH, false}, {ENOPROTOOPT, true},  {ECONNREFUSED, true},
    {EMSGSIZE, false},     {EOPNOTSUPP, false},   {ENETUNREACH, true},  {EHOSTDOWN, true},
    {ENONET, true},        {ENETUNREACH, true},   {EHOSTUNREACH, true}, {ENETUNREACH, false},
    {EHOSTUNREACH, false}, {EHOSTUNREACH, true},  {EHOSTUNREACH, true}, {EHOSTUNREACH, true}};
/* Of ICMP6_TYPE_DUR (RFC 4443). */
static const struct verdict unreachable6[] = {
    {ENETUNREACH, false}, {EACCES, true}, {EHOSTUNREACH, false}, {EHOSTUNREACH, false},
    {ECONNREFUSED, true}, {EACCES, true}, {EACCES, true}};

static struct verdict verdict4(uint8_t type, uint8_t code)
{
    switch (type) {
    case ICMP_DUR:
        return code < LWIP_ARRAYSIZE(unreachable4) ? unreachable4[code] : (struct verdict){0};
    case ICMP_TE:
        return (struct verdict){EHOSTUNREACH, false};
    case TYPE_PROBLEM:
        return (struct verdict){EPROTO, true};
    default:
        return (struct verdict){0};
    }
}

static struct verdict verdict6(uint8_t type, uint8_t code)
{
    switch (type) {
    case ICMP6_TYPE_DUR:
        return code < LWIP_ARRAYSIZE(unreachable6) ? unreachable6[code] : (struct verdict){0};
    case ICMP6_TYPE_PTB:
        return (struct verdict){EMSGSIZE, false};
    case ICMP6_TYPE_TE:
        return (struct verdict){EHOSTUNREACH, false};
    case ICMP6_TYPE_PP:
        return (struct verdict){EPROTO, true};
    default:
        return (struct verdict){0};
    }
}

/* To the socket that sent what has these INNER bytes behind its IP header. */
static void report(struct net_tuple *ends, uint8_t protocol, const uint8_t *inner,
                   struct verdict verdict)
{
    ends->local_port = (uint16_t)(inner[0] << 8 | inner[1]);
    ends->remote_port = (uint16_t)(inner[2] << 8 | inner[3]);
    uint32_t seq =
        (uint32_t)inner[4] << 24 | (uint32_t)inner[5] << 16 | (uint32_t)inner[6] << 8 | inner[7];
    if (protocol == NEXT_UDP)
        datagram_unreachable(ends, verdict.error, verdict.final);
    else if (protocol == NEXT_TCP)
        tcp_unreachable(ends, seq, verdict.error);
}

static void read_report4(struct pbuf *p)
{
    uint8_t bytes[HEADER + IP_HLEN_MAX + INNER];
    uint32_t have = pbuf_copy_partial(p, bytes, sizeof bytes, 0);
    struct verdict verdict = have > HEADER ? verdict4(bytes[0], bytes[1]) : (struct verdict){0};
    const struct ip_hdr *sent = (const struct ip_hdr *)(bytes + HEADER);
    if (!verdict.error || have < HEADER + IP_HLEN || IPH_V(sent) != 4 ||
        IPH_HL_BYTES(sent) < IP_HLEN || have < HEADER + IPH_HL_BYTES(sent) + INNER ||
        IPH_OFFSET_BYTES(sent) != 0)
        return;
    if (inet_chksum_pbuf(p))
        return;
    struct net_tuple ends = {0};
    ip_addr_copy_from_ip4(ends.local, sent->src);
    ip_addr_copy_from_ip4(ends.remote, sent->dest);
    report(&ends, IPH_PROTO(sent), bytes + HEADER + IPH_HL_BYTES(sent), verdict);
}

/* Of what had no extension headers, as all that is sent here. */
static void read_report6(struct pbuf *p)
{
    uint8_t bytes[HEADER + IP6_HLEN + INNER];
    uint32_t have = pbuf_copy_partial(p, bytes, sizeof bytes, 0);
    struct verdict verdict =
        have == sizeof bytes ? verdict6(bytes[0], bytes[1]) : (struct verdict){0};
    const struct ip6_hdr *sent = (const struct ip6_hdr *)(bytes + HEADER);
    if (!verdict.error || IP6H_V(sent) != 6 ||
        ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, p->tot_len, ip6_current_src_addr(),
                          ip6_current_dest_addr()))
        return;
    struct net_tuple ends = {0};
    ip_addr_copy_from_ip6_packed(ends.local, sent->src);
    ip_addr_copy_from_ip6_packed(ends.remote, sent->dest);
    report(&ends, IP6H_NEXTH(sent), bytes + HEADER + IP6_HLEN, verdict);
}

void icmp_input(struct pbuf *p, struct netif *inp)
{
    read_report4(p);
    lwip_icmp_input(p, inp);
}

void icmp6_input(struct pbuf *p, struct netif *inp)
{
    read_report6(p);
    lwip_icmp6_input(p, inp);
}
