/* SPDX-License-Identifier: MIT */
/*
 * Sockets. A socket has a slot in its session's arena (what the client sees), and when it needs
 * one, a PCB of lwIP's. It lives from IO_SOCKET (or accept) until its gate is closed and its last
 * byte is acknowledged or given up.
 *
 * States of a stream:
 *   NEW -> CONNECTING -> CONNECTED -> ENDED        NEW -> LISTENING
 * ENDED: no PCB any more; what was received can still be read. `closed` (the client is gone) is
 * apart from the state: a closed socket lingers in CONNECTED until its tx ring is drained.
 */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "../stream/session.h"
#include "lwip/opt.h"
#include "lwip/raw.h"
#include "lwip/tcp.h"
#include "lwip/udp.h"
#include "pcb.h"
#include <stdbool.h>
#include <stdint.h>

enum object_kind { OBJECT_CONNECTOR = 1, OBJECT_SESSION, OBJECT_SOCKET };
struct object { /* what the port knows of: the first fields of sessions, sockets and connectors */
    uint32_t kind;
    uint64_t badge;
};

#define SYN_COUNT 6u /* Linux's tcp_syn_retries: 127 s */
/* IP_MTU_DISCOVER: what does not fit is cut in fragments; or it is not sent, and nobody cuts it */
enum { IP_PMTUDISC_DONT, IP_PMTUDISC_WANT, IP_PMTUDISC_DO, IP_PMTUDISC_PROBE };

enum socket_state {
    SOCKET_NEW,
    SOCKET_LISTENING,
    SOCKET_CONNECTING,
    SOCKET_CONNECTED,
    SOCKET_ENDED
};

struct binding { /* see ports.h */
    struct binding *next, **link;
    ip_addr_t address; /* type ANY: both families */
    uint16_t port;
    uint8_t protocol; /* IPPROTO_*; 0: not bound */
    uint8_t netif;
    bool explicit_port, explicit_address;
};

struct membership { /* of a group, by a socket */
    struct membership *next;
    ip_addr_t group;
    struct netif *netif;
};

struct socket {
    struct object object;
    struct session *session; /* with shared and slot: the home; NULL: none (see attach.h) */
    struct io_slot *shared;
    uint32_t slot;
    struct attachment *away;
    uint8_t family, type, protocol; /* Linux's AF_*, SOCK_*, IPPROTO_* */
    uint8_t state;
    uint32_t uid, pid;
    struct binding binding;
    union {
        struct tcp_pcb *tcp;
        struct tcp_pcb_listen *listen;
        struct udp_pcb *udp;
        struct raw_pcb *raw;
        void *pcb;
    };
    ip_addr_t peer; /* connected datagrams */
    uint16_t peer_port;
    bool peer_set;

    /* receiving */
    struct ring rx;
    uint32_t rx_head, rx_tail;  /* tail: as last read and checked */
    uint32_t rx_unacknowledged; /* bytes put into the ring that the window still counts */
    struct pbuf *rx_pending;    /* what the ring has no room for. Datagrams: whole records */
    uint32_t rx_pending_size;   /* sum of it */
    uint32_t rx_pending_offset; /* taken from the first pbuf */
    struct pbuf *rx_pending_last;
    bool rx_eof, rx_shut;
    uint8_t rx_order; /* of the ring that would have been large enough so far */
    bool rx_more;     /* the twin holds bytes back for want of room */

    /* sending; tx_session, tx_shared: where the ring is: behind the home until it is drained */
    struct session *tx_session;
    struct io_slot *tx_shared;
    struct ring tx;
    uint32_t tx_tail, tx_sent; /* acknowledged; handed to lwIP */
    uint32_t tx_seen;          /* head as last read and checked */
    uint32_t tx_dropped;       /* acknowledged, but not yet told by lwIP: see tcp_out.c */
    bool tx_shut, fin_sent;
    uint64_t stuck_since;  /* nothing of what is to be sent has been acknowledged; 0: not so */
    uint64_t corked_since; /* bytes wait for the end of TCP_CORK; 0: none */
    bool started;          /* the first byte has been handed to lwIP */
    uint32_t small_end;    /* where the last segment ends that was sent less than full (Nagle) */
    /* data goes back and forth: acknowledgements may wait for an answer to ride on */
    bool ping_pong;
    uint8_t received;        /* segments since the last byte was sent */
    bool later, break_later; /* on the engine's list: try again, or reset */
    struct socket *later_next, **later_link;
    struct socket *twin;         /* the other end of the connection, if it is here: see direct.h */
    struct lent *lent;           /* what both have on loan; NULL: nobody has asked. See lent.h */
    struct socket *retired_next; /* freed but for its slot: see net_retire() */
    uint64_t epoch;

    bool broken;     /* the client broke the rules of its rings: nothing moves any more */
    bool closed;     /* the client has dropped it */
    uint8_t refusal; /* the errno of a refusal by others than the peer; 0: there was none */
    bool accepted;   /* came from a listener: the accept record has been (or will be) pushed */

    /* listening */
    uint32_t backlog, syn_pending, deferred_count;
    /* of a connection whose accept record waits (deferred or no room) */
    struct socket *listener;
    struct socket *waiting, *waiting_next; /* its list, oldest first */
    struct socket **waiting_last;
    bool pulled; /* connections wait in the list, whole, for IO_ACCEPT */
    bool ready;  /* of one in that list: may be given out */
    /* connections given out by records, newest first, and where their records were */
    struct socket *pushed, *pushed_next, **pushed_link;
    struct socket *accepted_by; /* while in that list */
    uint32_t accept_at;

    /* options */
    bool v6only, reuse_address, reuse_port, broadcast, keepalive, linger_on, receive_errors;
    bool multicast_loop, multicast_all, accept_filter, dont_route, no_check, free_bind;
    bool debug, oob_inline, late_port; /* kept */
    uint32_t client_flags;             /* of IO_CLIENT_OPTIONS: while no slot has them */
    uint32_t linger, defer_accept, send_buffer, receive_buffer, low_water, user_timeout,
        max_segment;
    uint32_t keep_idle, keep_interval, keep_count, fast_open, syn_count, window_clamp;
    uint32_t priority, mark, busy_poll, incoming_cpu, not_sent_low; /* kept */
    uint32_t mtu_discover;
    struct membership *memberships;
    uint32_t membership_count;
    /* kept for getsockopt: SO_RCVTIMEO, SO_SNDTIMEO are the runtime's */
    uint32_t receive_timeout[4];
    uint8_t tos, traffic_class, ttl, hops, multicast_ttl, multicast_netif, netif;
    uint8_t congestion[16];
    uint16_t icmp_id;
};

/* ---- socket.c: life ---- */
struct socket *socket_create(struct session *s, uint32_t family, uint32_t type, uint32_t protocol,
                             int *error);
/* a slot, in shared memory. Result: slot or negated errno */
int64_t socket_expose(struct socket *s);
void socket_free(struct socket *s);    /* everything of it, at once */
void socket_closed(struct socket *s);  /* the last handle is gone */
void socket_changed(struct socket *s); /* the client has set its to_engine bit */
void socket_signal(struct socket *s);
void socket_set_state(struct socket *s, uint32_t set, uint32_t clear);
void socket_set_error(struct socket *s, int error);
/* Options that are IO_CLIENT_* (IO_CLIENT_OPTIONS). The slot has them, if there is one. */
uint32_t socket_client_flags(const struct socket *s);
void socket_set_client_flag(struct socket *s, uint32_t flag, bool on);
/* SO_RCVBUF, as far as TCP_WINDOW_CLAMP allows. */
static inline uint32_t socket_receive_limit(const struct socket *s)
{
    return s->window_clamp && s->window_clamp < s->receive_buffer ? s->window_clamp
                                                                  : s->receive_buffer;
}
int net_errno(err_t e); /* positive Linux errno */
/* of the tx ring, into tx_seen; false: the client broke the rules */
bool socket_read_head(struct socket *s);
/* Who pays for it: its home, or all together while it has none. */
struct session *socket_payer(const struct socket *s);
void socket_rehome(struct socket *s, struct session *to); /* NULL: none */
bool socket_read_head_moved(struct socket *s); /* with the bit that attach.c has flipped */
void socket_unpush(struct socket *s);          /* off its listener's list */
/* 0 or negated errno */
int socket_choose_source(const struct socket *s, const ip_addr_t *to, ip_addr_t *from);

/* the client has ended sending in its slot (IO_CLIENT_SHUT) */
void tcp_socket_take_shut(struct socket *s);
/* acknowledged bytes of which lwIP does not tell any more (socket: may be NULL) */
void tcp_socket_dropped(struct socket *s, uint32_t n);

/* ---- receive.c: rings towards the client ---- */
/* moves what is pending as far as there is room */
void receive_push(struct socket *s);
bool receive_add(struct socket *s, struct pbuf *p); /* takes the reference */
/* `size` bytes from `first` to `last` come before what is pending: they were here already. */
void receive_put_back(struct socket *s, struct pbuf *first, struct pbuf *last, uint32_t size);
/* Bytes of another ring, as many as there is room for; nothing may be pending. Result: how many. */
uint32_t receive_move(struct socket *s, struct session *from, const struct ring *ring, uint32_t at,
                      uint32_t size);
bool receive_record(struct socket *s, const void *header, uint32_t size, struct pbuf *p,
                    uint32_t offset, uint32_t length);
/* gives the ring back if it is drained */
void receive_release(struct socket *s);
void receive_drop(struct socket *s);       /* forgets all */
uint32_t receive_unread(struct socket *s); /* bytes the client has not taken */
/* reads the client's tail; false: broken (and reset) */
bool receive_tail(struct socket *s, uint32_t *consumed);
bool receive_tail_moved(struct socket *s, uint32_t *consumed); /* with the bit flipped */

/* ---- tcp.c, tcp_send.c, tcp_listen.c ---- */
int tcp_socket_connect(struct socket *s, const ip_addr_t *address, uint16_t port);
int tcp_socket_listen(struct socket *s, uint32_t backlog);
int tcp_socket_shutdown(struct socket *s, int how);
void tcp_socket_pump(struct socket *s);   /* tx ring -> lwIP */
void tcp_socket_resume(struct socket *s); /* the same; a closed one that is through is freed */
void tcp_socket_changed(struct socket *s);
void tcp_socket_close(struct socket *s); /* may free it */
/* the client broke the rules, or memory is out: reset */
void tcp_socket_break(struct socket *s);
void tcp_socket_options(struct socket *s); /* options -> PCB */
/* Somebody reports that a segment (`seq`) did not arrive: ends what is not connected yet. */
void tcp_unreachable(const struct net_tuple *ends, uint32_t seq, int error);
bool tcp_listener_takes(struct socket *s); /* segments.c: has room for one more connection */
void tcp_listener_drain(struct socket *s); /* pushes accept records that wait */
/* of a pulled listener */
void listener_queue(struct socket *s, struct socket *connection);
void listener_queue_first(struct socket *s, struct socket *connection);
struct socket *listener_unqueue(struct socket *s); /* NULL: none is ready */
void net_pcb_gone(struct tcp_pcb *pcb);            /* from pcb.c: being freed */

/* ---- datagram.c: UDP, ping and raw sockets ---- */
int datagram_open(struct socket *s); /* makes the PCB */
int datagram_bind(struct socket *s);
int datagram_connect(struct socket *s, const ip_addr_t *address, uint16_t port);
void datagram_changed(struct socket *s);
/* Sends what its client sent before: calls, and the close, come after that. */
void datagram_flush(struct socket *s);
bool datagram_send(struct socket *s); /* all up to tx_seen; false: the ring makes no sense */
void datagram_close(struct socket *s);
/* Somebody reports that what was sent between the two did not arrive; fatal: or ever will. */
void datagram_unreachable(const struct net_tuple *ends, int error, bool fatal);
/* 0, -EADDRINUSE: it is a member already, -EADDRNOTAVAIL: it is none, -ENOBUFS, -ENODEV */
int datagram_membership(struct socket *s, bool join, const ip_addr_t *group,
                        const ip_addr_t *interface_address, uint8_t netif);

/* ---- options.c ---- */
int option_set(struct socket *s, int level, int name, const uint8_t *value, uint32_t size);
/* length or negated errno */
int option_get(struct socket *s, int level, int name, uint8_t *value, uint32_t size);

/* ---- address.c ---- */
/* Linux sockaddr bytes -> address, for this socket's family; 0 or negated errno. */
int address_read(const struct socket *s, const uint8_t *bytes, uint32_t size, ip_addr_t *address,
                 uint16_t *port);
/* -> length */
uint32_t address_write(const struct socket *s, const ip_addr_t *address, uint16_t port,
                       uint8_t *bytes);
/* Fills address[16] and family as in struct io_accept and io_datagram; port is in host order. */
void address_pack(const struct socket *s, const ip_addr_t *address, uint8_t bytes[16],
                  uint16_t *family);
bool address_unpack(const struct socket *s, const uint8_t bytes[16], uint16_t family,
                    ip_addr_t *address);
void address_any(const struct socket *s, ip_addr_t *address);
bool address_is_own(const ip_addr_t *address);
bool address_is_near(const ip_addr_t *address); /* reached without a router */

#endif
