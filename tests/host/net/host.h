/* SPDX-License-Identifier: MIT */
/*
 * The net engine on the host. It is built as a shared object, loaded once for each machine of a
 * simulation (so each has its own lwIP), and driven through this table. Time, the wire and the
 * clients are the simulator's.
 */
#ifndef TEST_NET_HOST_H
#define TEST_NET_HOST_H

#include <motor/abi.h>
#include <motor/io.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_options {
    uint64_t memory;
    const char *ip; /* NULL: no device */
    uint8_t mac[6];
    bool checksums, merge, large;
    uint32_t seed;
    uint64_t start_ns;
    void (*frame)(void *context, const uint8_t *frame, uint32_t size); /* it sends */
    void *context;
    bool quiet;
};

struct host_reply {
    int64_t status;
    uint64_t word[5];
    motor_handle handle[2];
    uint32_t handles;
    uint8_t data[256];
    uint32_t size;
};

struct host_api {
    bool (*start)(const struct host_options *o);
    void (*set_time)(uint64_t ns);
    uint64_t (*deadline)(void);
    /* turns until there is no more to do, then before_sleep; true: something happened */
    bool (*turn)(void);
    bool (*inject)(const uint8_t *frame, uint32_t size); /* false: no buffers */
    motor_handle (*connector)(void);
    motor_handle (*process)(void); /* a fake process handle, and a page for a doorbell */
    motor_handle (*page)(void **address);
    void (*call)(motor_handle gate, struct motor_event *ev, const void *in, size_t in_size,
                 struct host_reply *r);
    void (*notify)(motor_handle gate);
    void (*close)(motor_handle h);
    void *(*memory)(motor_handle vmo); /* where an arena is, or what is on loan */
    uint64_t (*heap_used)(void);
    void (*fail_memory)(uint32_t one_in); /* 0: never */
    uint64_t (*large_frames)(void);       /* that the device has cut into segments */
    uint32_t (*info)(uint32_t what, char *buffer, uint32_t size);
};
typedef const struct host_api *(*host_api_get)(void);

/* port_host.c, for kernel_host.c */
motor_handle host_object(void *memory);
void *host_memory(motor_handle vmo);

#endif
