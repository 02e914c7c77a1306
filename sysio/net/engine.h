/* SPDX-License-Identifier: MIT */
/*
 * The net engine: sessions, sockets, interfaces and lwIP in one loop, without knowing what system
 * it runs on. The port calls in: events one by one, then net_turn(), then net_before_sleep(), and
 * sleeps until net_deadline().
 */
#ifndef NET_ENGINE_H
#define NET_ENGINE_H

#include "../stream/session.h"
#include "device.h"
#include "lwip/ip_addr.h"

struct socket;

struct net_config {
    uint64_t memory;           /* of the machine */
    struct net_device *device; /* NULL: loopback only */
    bool is_static;
    ip4_addr_t address, netmask, gateway, dns; /* when static */
    char hostname[64];
};

struct net_reply {
    int64_t status;
    uint64_t word[5];
    motor_handle handle[2]; /* moved to the caller */
    uint32_t rights[2];
    uint32_t handles;
    uint8_t data[256];
    uint32_t size;
};

struct net_counters {
    uint64_t sockets, sessions, accepted, connected, resets_sent, syns_dropped, rx_frames,
        tx_frames, rx_bytes, tx_bytes;
    uint64_t rx_dropped, tx_dropped, rx_copied, broken_streams, turns, loop_packets, loop_bytes;
    uint64_t direct_bytes, direct_segments,
        direct_connections; /* that went the short way: direct.h */
};
extern struct net_counters net_counters;
extern uint32_t net_datagram_buffer;
extern void *const net_connector; /* the object of connector gates */

bool net_init(const struct net_config *config);
void net_call(void *object, const struct motor_event *ev, struct net_reply *reply);
void net_notified(void *object);
void net_closed(void *object); /* the last handle to its gate is gone */
bool net_turn(void);           /* all the work there is; true: there is more */
bool net_marked(void);         /* whether clients that are looked at in every turn want something */
void net_show_idle(bool idle); /* tells these clients that nothing will come of us soon, or may */
bool net_before_sleep(void);   /* true: there is work after all */
void net_after_sleep(void);    /* always, after the wait, slept or not */
uint64_t net_deadline(void);

/*
 * A socket that cannot go on now: tried again in the next turn; or reset, once lwIP is not looking
 * at it.
 */
void net_retry_later(struct socket *s);              /* soon: there was no memory */
void net_retry_in(struct socket *s, uint64_t delay); /* at the latest */
void net_break_later(struct socket *s);
void net_forget(struct socket *s);
/* Frees a slot and the socket when no frame and no loopback packet can still read its tx ring. */
void net_retire(struct socket *s);
/* info.c: what IO_NETINFO answers, at most `size` bytes. */
uint32_t net_info(uint32_t what, char *buffer, uint32_t size);

#endif
