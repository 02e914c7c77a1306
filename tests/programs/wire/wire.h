/* SPDX-License-Identifier: MIT */
/*
 * TCP tortured across a wire: one program for both machines. `serve` does to each connection what
 * its request says; `drive` makes the requests and checks what comes of them. tests/system/
 * net-torture.sh runs one in a VM and one on the host, and then the other way round.
 */
#ifndef TEST_WIRE_H
#define TEST_WIRE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum operation {
    ECHO,   /* everything comes back, then the end */
    SOURCE, /* `count` bytes of stream `seed`, the end; then the client's stream seed + 1 is read */
    SINK,   /* the same in the other order; no reading for `option` ms before and in the middle */
    RESET,  /* at stage `option` */
    BACKLOG, /* a listener with a backlog of `count`; option: 0 accepts late, 1 closes it, 2 is
                bound only */
    URGENT,  /* tells what it has read */
    DRIVE,   /* drives the client's own server at port `count`; option: rounds */
    STATUS,  /* how many connections there are */
};
enum reset_stage { AT_ONCE, AFTER_READING, AFTER_WRITING, UNREAD, RESET_STAGES };

struct request { /* as it is sent; both machines are little-endian */
    uint32_t operation, seed, count, option;
};

/* Reports, and ends the process: its peer then sees the connections break. */
_Noreturn __attribute__((format(printf, 3, 4))) void wire_failed(const char *file, int line,
                                                                 const char *format, ...);
#define FAILED(...) wire_failed(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(x)    ((x) ? (void)0 : FAILED("%s", #x))

/* A connection gets timeouts that only a hang reaches, and buffers of any size. */
void wire_prepare(int fd, unsigned *random);
void wire_keep_alive(int fd); /* if the wire is lossy */
unsigned wire_random(unsigned *random, unsigned n);
void wire_sleep(unsigned ms);
void wire_abort(int fd); /* close() with a reset */
/* All of it. false: the connection was reset. */
bool wire_send(int fd, const void *bytes, size_t size);
bool wire_receive(int fd, void *bytes, size_t size);
/* Part of a stream, in writes (reads) of all sizes. false: reset. */
bool wire_send_stream(int fd, unsigned *random, uint32_t seed, uint32_t count);
/* Reads until the end, or until count bytes have come. The number of bytes; -1: reset. */
int64_t wire_receive_stream(int fd, unsigned *random, uint32_t seed, uint32_t count);

/* The wire loses frames: resets may be lost, so keepalive finds what is dead. */
extern bool wire_lossy;

_Noreturn void wire_serve(uint16_t port);
void wire_drive(struct in_addr host, uint16_t port, unsigned seed, unsigned threads,
                unsigned rounds);
/* The server drives ours, at own_port of this machine. Returns when it is done. */
void wire_drive_back(struct in_addr host, uint16_t port, unsigned seed, unsigned rounds,
                     uint16_t own_port);
/* Waits until the server has no connection left. */
void wire_settle(struct in_addr host, uint16_t port);
/* Connections that only wait, beside all others. */
void wire_idle_open(struct in_addr host, uint16_t port, unsigned count);
void wire_idle_close(void);

#endif
