/* SPDX-License-Identifier: MIT */
/* IO_NETINFO: the texts of /proc/net that are about the engine, in Linux's columns (proc_net(5)).
 */
#include "proc_net.h"
#include "engine.h"
#include "lwip/etharp.h"
#include "lwip/stats.h"
#include "netif.h"
#include "pcb.h"
#include <stdarg.h>
#include <stdio.h>

/* Linux's numbers: flags of routes and of neighbours, scopes and flags of addresses */
enum { RTF_UP_ = 1, RTF_GATEWAY_ = 2 };
enum { ATF_COM_ = 2, ARPHRD_ETHER_ = 1 };
enum { SCOPE_HOST = 0x10, SCOPE_LINK = 0x20, IFA_F_TENTATIVE_ = 0x40, IFA_F_PERMANENT_ = 0x80 };

#define RTO_MIN_MS (3u * TCP_SLOW_INTERVAL)
#define RTO_MAX_MS (RTO_MIN_MS << 7) /* the last of lwIP's back-offs */

struct text {
    char *bytes;
    uint32_t size, used;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->bytes + t->used, t->size - t->used, format, args);
    va_end(args);
    if (n > 0 && (uint32_t)n < t->size - t->used)
        t->used += (uint32_t)n; /* else: the text ends before this */
}

/* ---- dev ---- */

struct traffic {
    uint64_t bytes, packets, dropped;
};

static void put_device(struct text *t, const char *name, struct traffic in, struct traffic out)
{
    put(t, "%6s: %7llu %7llu    0 %4llu    0     0          0         0 ", name,
        (unsigned long long)in.bytes, (unsigned long long)in.packets,
        (unsigned long long)in.dropped);
    put(t, "%8llu %7llu    0 %4llu    0     0       0          0\n", (unsigned long long)out.bytes,
        (unsigned long long)out.packets, (unsigned long long)out.dropped);
}

static void put_dev(struct text *t)
{
    const struct net_counters *c = &net_counters;
    struct traffic own = {c->loop_bytes + c->direct_bytes, c->loop_packets + c->direct_segments, 0};
    put(t,
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "
        "drop fifo colls carrier compressed\n");
    put_device(t, "lo", own, own);
    if (net_eth.input)
        put_device(t, "eth0", (struct traffic){c->rx_bytes, c->rx_frames, c->rx_dropped},
                   (struct traffic){c->tx_bytes, c->tx_frames, c->tx_dropped});
}

/* ---- route, arp, if_inet6 ---- */

static void put_route(struct text *t)
{
    uint32_t own = netif_ip4_addr(&net_eth)->addr, mask = netif_ip4_netmask(&net_eth)->addr,
             gateway = netif_ip4_gw(&net_eth)->addr;
    put(t, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n");
    if (!net_eth.input || !own)
        return;
    if (gateway)
        put(t, "eth0\t00000000\t%08X\t%04X\t0\t0\t0\t00000000\t0\t0\t0\n", gateway,
            RTF_UP_ | RTF_GATEWAY_);
    put(t, "eth0\t%08X\t00000000\t%04X\t0\t0\t0\t%08X\t0\t0\t0\n", own & mask, RTF_UP_, mask);
}

static void put_arp(struct text *t)
{
    put(t, "IP address       HW type     Flags       HW address            Mask     Device\n");
    for (uint32_t i = 0; i < ARP_TABLE_SIZE; i++) {
        ip4_addr_t *ip;
        struct netif *n;
        struct eth_addr *eth;
        if (!etharp_get_entry(i, &ip, &n, &eth))
            continue;
        const uint8_t *a = eth->addr;
        put(t, "%-16s 0x%-10x0x%-10x%02x:%02x:%02x:%02x:%02x:%02x     *        eth0\n",
            ip4addr_ntoa(ip), ARPHRD_ETHER_, ATF_COM_, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
}

static void put_inet6(struct text *t, struct netif *n, const char *name, uint32_t prefix)
{
    for (uint32_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        const ip6_addr_t *a = netif_ip6_addr(n, i);
        uint8_t state = netif_ip6_addr_state(n, i);
        uint32_t scope = ip6_addr_isloopback(a)    ? SCOPE_HOST
                         : ip6_addr_islinklocal(a) ? SCOPE_LINK
                                                   : 0;
        if (ip6_addr_isinvalid(state))
            continue;
        put(t, "%08x%08x%08x%08x %02x %02x %02x %02x %8s\n", lwip_ntohl(a->addr[0]),
            lwip_ntohl(a->addr[1]), lwip_ntohl(a->addr[2]), lwip_ntohl(a->addr[3]),
            netif_get_index(n), prefix, scope,
            IFA_F_PERMANENT_ | (ip6_addr_istentative(state) ? IFA_F_TENTATIVE_ : 0), name);
    }
}

static void put_if_inet6(struct text *t)
{
    put_inet6(t, &net_loop, "lo", 128);
    if (net_eth.input)
        put_inet6(t, &net_eth, "eth0", 64);
}

/* ---- snmp ---- */

static void count_established(struct tcp_pcb *pcb, void *count)
{
    *(uint32_t *)count += pcb->state == ESTABLISHED || pcb->state == CLOSE_WAIT;
}

static void put_ip(struct text *t, const struct stats_mib2 *m)
{
    put(t, "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams "
           "InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout "
           "ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates\n");
    put(t, "Ip: 2 %u %u %u %u %u %u %u %u %u %u %u 0 %u %u %u %u %u %u\n", IP_DEFAULT_TTL,
        m->ipinreceives, m->ipinhdrerrors, m->ipinaddrerrors, m->ipforwdatagrams,
        m->ipinunknownprotos, m->ipindiscards, m->ipindelivers, m->ipoutrequests, m->ipoutdiscards,
        m->ipoutnoroutes, m->ipreasmreqds, m->ipreasmoks, m->ipreasmfails, m->ipfragoks,
        m->ipfragfails, m->ipfragcreates);
}

static void put_icmp(struct text *t, const struct stats_mib2 *m)
{
    put(t, "Icmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs "
           "InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps "
           "OutMsgs OutErrors OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects "
           "OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps\n");
    put(t, "Icmp: %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u 0 0 0 %u %u 0 0 0 0\n",
        m->icmpinmsgs, m->icmpinerrors, (unsigned)lwip_stats.icmp.chkerr, m->icmpindestunreachs,
        m->icmpintimeexcds, m->icmpinparmprobs, m->icmpinsrcquenchs, m->icmpinredirects,
        m->icmpinechos, m->icmpinechoreps, m->icmpintimestamps, m->icmpintimestampreps,
        m->icmpinaddrmasks, m->icmpinaddrmaskreps, m->icmpoutmsgs, m->icmpouterrors,
        m->icmpoutdestunreachs, m->icmpouttimeexcds, m->icmpoutechos, m->icmpoutechoreps);
}

static void put_tcp_udp(struct text *t, const struct stats_mib2 *m)
{
    uint32_t established = 0;
    net_pcb_each(count_established, &established);
    put(t, "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails "
           "EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n");
    put(t, "Tcp: 1 %u %u -1 %u %u %u %u %u %u %u %u %u %u %u\n", RTO_MIN_MS, RTO_MAX_MS,
        m->tcpactiveopens, m->tcppassiveopens, m->tcpattemptfails, m->tcpestabresets, established,
        m->tcpinsegs, m->tcpoutsegs, m->tcpretranssegs, m->tcpinerrs, m->tcpoutrsts,
        (unsigned)lwip_stats.tcp.chkerr);
    put(t, "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors "
           "InCsumErrors\n");
    put(t, "Udp: %u %u %u %u 0 0 %u\n", m->udpindatagrams, m->udpnoports, m->udpinerrors,
        m->udpoutdatagrams, (unsigned)lwip_stats.udp.chkerr);
}

static void put_snmp(struct text *t)
{
    put_ip(t, &lwip_stats.mib2);
    put_icmp(t, &lwip_stats.mib2);
    put_tcp_udp(t, &lwip_stats.mib2);
}

uint32_t net_proc_text(uint32_t what, char *bytes, uint32_t size)
{
    static void (*const texts[])(struct text *) = {put_dev, put_route, put_snmp, put_arp,
                                                   put_if_inet6};
    struct text t = {bytes, size, 0};
    if (size && what < sizeof texts / sizeof *texts)
        texts[what](&t);
    return t.used;
}
