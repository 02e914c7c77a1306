/* SPDX-License-Identifier: MIT */
/*
 * lwIP as the net engine uses it: one thread, raw API, everything from our heap, limits from memory
 * and not from constants. Windows are variables (net_tcp_window, net_tcp_sndbuf), set before
 * lwip_init().
 */
#ifndef NET_LWIPOPTS_H
#define NET_LWIPOPTS_H

#include <stddef.h>
#include <stdint.h>

/* System */
#define NO_SYS                         1
#define SYS_LIGHTWEIGHT_PROT           0
#define LWIP_NETCONN                   0
#define LWIP_SOCKET                    0
#define LWIP_TIMERS                    0 /* engine.c runs them */
#define LWIP_PROVIDE_ERRNO             0
#define LWIP_ERRNO_STDINCLUDE          1
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1 /* they need constants */
#define LWIP_STATS                     1
#define MEM_STATS                      0
#define MEMP_STATS                     0
#define LWIP_STATS_LARGE               1
#define MIB2_STATS                     1 /* what /proc/net/snmp shows */

/* Memory */
void *net_heap_alloc(size_t size);
void *net_heap_zalloc(size_t count, size_t size);
void net_heap_free(void *p);
#define MEM_ALIGNMENT                16
#define MEM_CUSTOM_ALLOCATOR         1
#define MEM_CUSTOM_MALLOC            net_heap_alloc
#define MEM_CUSTOM_CALLOC            net_heap_zalloc
#define MEM_CUSTOM_FREE              net_heap_free
#define MEMP_MEM_MALLOC              1
#define MEM_SIZE                     0x10000000 /* mem_size_t is 32 bits wide */
#define LWIP_SUPPORT_CUSTOM_PBUF     1
#define LWIP_PBUF_REF_T              uint16_t
#define PBUF_LINK_ENCAPSULATION_HLEN 16 /* virtio_net_hdr */
#define PBUF_POOL_SIZE               0
#define PBUF_POOL_BUFSIZE            1536

/* Link */
#define LWIP_ARP                      1
#define ARP_TABLE_SIZE                64
#define ARP_QUEUEING                  1
#define ARP_QUEUE_LEN                 64
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define ETH_PAD_SIZE                  0
#define LWIP_NETIF_LOOPBACK           0 /* loopback.c */
#define LWIP_HAVE_LOOPIF              0
#define LWIP_NETIF_STATUS_CALLBACK    1
#define LWIP_NETIF_LINK_CALLBACK      0
#define LWIP_NETIF_HOSTNAME           1
#define LWIP_CHECKSUM_CTRL_PER_NETIF  1

/* IP */
extern uint16_t net_ip4_flags; /* of what is being sent: 0, or IP_DF; network byte order */
#define LWIP_IPV4                          1
#define LWIP_IPV6                          1
#define LWIP_IPV6_SCOPES                   1
#define LWIP_IPV6_AUTOCONFIG               1
#define LWIP_IPV6_DHCP6                    0
#define LWIP_IPV6_MLD                      1
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS     2
#define LWIP_ND6_TCP_REACHABILITY_HINTS    0
#define LWIP_ND6_ALLOW_RA_UPDATES          1
#define MEMP_NUM_ND6_QUEUE                 64
#define MEMP_NUM_MLD6_GROUP                64
#define IP_REASSEMBLY                      1
#define IPV6_FRAG_COPYHEADER               1 /* pointers are wide */
#define IP_FRAG                            1
#define IP_REASS_MAX_PBUFS                 128
#define IP_OPTIONS_ALLOWED                 1
#define IP_SOF_BROADCAST                   1
#define IP_SOF_BROADCAST_RECV              0
#define LWIP_ICMP                          1
#define LWIP_BROADCAST_PING                0
#define LWIP_MULTICAST_PING                0
#define LWIP_RAW                           1
#define LWIP_IGMP                          1
#define LWIP_MULTICAST_TX_OPTIONS          1
#define LWIP_DHCP                          1
#define LWIP_DHCP_DOES_ACD_CHECK           0
#define LWIP_ACD                           0
#define DHCP_DOES_ARP_CHECK                0
#define LWIP_DHCP_BOOTP_FILE               0
#define LWIP_DHCP_MAX_DNS_SERVERS          3
#define LWIP_DNS                           1 /* as the place where DHCP and RAs leave servers */
#define DNS_MAX_SERVERS                    3
#define LWIP_UDP                           1
#define LWIP_UDPLITE                       0
#define LWIP_NETBUF_RECVINFO               1
#define LWIP_HOOK_FILENAME                 "net_hooks.h"
#define LWIP_HOOK_IP4_ROUTE_SRC(src, dest) net_route4(src, dest)
#define LWIP_HOOK_IP6_ROUTE(src, dest)     net_route6(src, dest)

/* TCP */
extern uint32_t net_tcp_window, net_tcp_sndbuf;
#define LWIP_TCP                   1
#define TCP_MSS                    65483 /* the loopback's; the wire's comes from its MTU */
#define TCP_CALCULATE_EFF_SEND_MSS 1
#ifdef NET_LWIP_CHECKS /* init.c compares constants in #if */
#define TCP_WND     262144
#define TCP_SND_BUF 262144
#else
#define TCP_WND     net_tcp_window
#define TCP_SND_BUF net_tcp_sndbuf
#endif
#define TCP_SND_QUEUELEN          0xfff0
#define TCP_OVERSIZE              0
#define TCP_QUEUE_OOSEQ           1
#define TCP_OOSEQ_MAX_PBUFS       0
#define LWIP_WND_SCALE            1
#define TCP_RCV_SCALE             5
#define LWIP_TCP_SACK_OUT         1
#define LWIP_TCP_MAX_SACK_NUM     3
#define LWIP_TCP_TIMESTAMPS       1
#define LWIP_TCP_KEEPALIVE        1
#define TCP_LISTEN_BACKLOG        0 /* accept.c counts; lwIP's is limited to 255 */
#define LWIP_TCP_PCB_NUM_EXT_ARGS 5 /* see pcb.c */
#define SO_REUSE                  0 /* ports.c decides who may bind what */
/* so that retransmission times out after 0.3 s and ACKs are delayed 50 ms */
#define TCP_TMR_INTERVAL          50
#define LWIP_TCP_RTO_TIME         1000
/*
 * Of this lwIP makes the end of LAST-ACK, however much is still to be sent. That ends when it is
 * sent or given up, like FIN-WAIT-1. (TIME-WAIT is time_wait.c's.)
 */
#define TCP_MSL                   0x3fffffffu
#ifdef NET_LWIP_CHECKS
#define TCP_SYNMAXRTX 12
#define TCP_MAXRTX    12
#else /* the table of back-offs has 13 entries, and lwIP stops at the last */
struct tcp_pcb;
uint8_t tcp_syn_retries(const struct tcp_pcb *pcb); /* TCP_SYNCNT; tcp.c */
#define TCP_SYNMAXRTX tcp_syn_retries(pcb)
                                                    /* lwIP applies it to a PCB in SYN_SENT as well */
#define TCP_MAXRTX    (pcb->state == SYN_SENT ? TCP_SYNMAXRTX : 22)
#endif
#define TCP_TTL        64
#define UDP_TTL        64
#define RAW_TTL        64
#define ICMP_TTL       64
#define IP_DEFAULT_TTL 64

#endif
