/* SPDX-License-Identifier: MIT */
/*
 * A client of the engine, as the POSIX runtime is one: sessions, slots, rings, from the other side
 * of io.h.
 */
#ifndef TEST_NET_CLIENT_H
#define TEST_NET_CLIENT_H

#include "host.h"

struct client {
    const struct host_api *api;
    motor_handle connector, session;
    uint8_t *arena;
    struct io_session *header;
    struct io_bitmap *to_engine, *to_client;
    struct io_slot *slots;
    struct io_doorbell *bell;
    uint32_t next_page;
    uint32_t *ring_page; /* by slot */
    uint32_t *free_page; /* rings of the one size used here */
    uint32_t free_pages;
    uint32_t ring_order;
};

struct csock {
    struct client *c;
    motor_handle gate;
    uint32_t slot;
    struct io_slot *s;
    uint32_t tx_head, rx_tail;
};

void client_open(struct client *c, const struct host_api *api, uint32_t ring_order);
/* drops the session; sockets must be closed by the caller, as the kernel would */
void client_die(struct client *c);
int64_t csock_open(struct csock *s, struct client *c, int family, int type, int protocol);
int64_t csock_call(struct csock *s, uint32_t op, uint64_t w0, uint64_t w1, const void *in,
                   size_t size, struct host_reply *r);
int64_t csock_bind4(struct csock *s, uint32_t address, uint16_t port);
int64_t csock_connect4(struct csock *s, uint32_t address, uint16_t port);
bool csock_accept(struct csock *listener, struct csock *s);
uint32_t csock_send(struct csock *s, const void *bytes, uint32_t size); /* bytes taken */
uint32_t csock_recv(struct csock *s, void *bytes, uint32_t size);
bool csock_send_to(struct csock *s, uint32_t address, uint16_t port, const void *bytes,
                   uint32_t size);
/* -1: nothing */
int csock_recv_from(struct csock *s, struct io_datagram *from, void *bytes, uint32_t size);
bool csock_eof(struct csock *s);
void csock_close(struct csock *s);
uint32_t ip4(int a, int b, int c, int d);

#endif
