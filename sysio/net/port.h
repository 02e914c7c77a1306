/* SPDX-License-Identifier: MIT */
/*
 * What the net engine asks of the system below it. Two implementations, chosen by the build:
 * port_motor.c, and the host's under tests/host/net.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include <motor/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t port_now(void);      /* monotonic ns, as of the beginning of this turn */
uint64_t port_realtime(void); /* ns since 1970 */
uint32_t port_random(void);
__attribute__((format(printf, 1, 2))) void port_log(const char *format, ...);

/*
 * Memory. A window is a range of addresses that shows one sparse memory object, of which every page
 * is committed before the engine touches it: a page that cannot be had would otherwise cost the
 * engine its life.
 */
struct window {
    uint8_t *base;
    uint64_t size;
    motor_handle vmo;
};
int port_window_create(struct window *w, uint64_t size, uint64_t align); /* 0 or -ENOMEM */
/* a client pays for its pages; before anything is committed. 0 or -ENOMEM */
int port_window_charge(struct window *w, motor_handle process);
/* one page of a client's object, pinned; takes the handle */
int port_window_adopt(struct window *w, motor_handle vmo);
void port_window_destroy(struct window *w);
int port_window_commit(struct window *w, uint64_t offset, uint64_t size); /* 0 or -ENOMEM */
void port_window_decommit(struct window *w, uint64_t offset, uint64_t size);
/*
 * Commits pages, pins them for the device, and tells their physical addresses (on the host: where
 * they are). 0 or -ENOMEM.
 */
int port_window_pin(struct window *w, uint64_t offset, uint64_t size, uint64_t *physical);
uint64_t port_memory_total(void);

motor_handle port_window_share(struct window *w); /* a second handle to its object; 0: no memory */

/*
 * Objects of clients. `object` comes back with what happens to the gate. Results: handles, or
 * negated Linux errnos.
 */
int64_t port_gate_create(void *object, uint64_t *badge);
void port_gate_forget(uint64_t badge);
/* The same for a gate that is the process's alone: the handle is one of that process. */
int64_t port_gate_install(motor_handle process, void *object, uint64_t *badge);
void *port_gate_object(uint64_t badge); /* NULL: none */
void port_handle_close(motor_handle h); /* 0: nothing */

/* The call being handled. */
/* not closed with the event; 0: none, or our own gate */
motor_handle port_take_handle(const struct motor_event *ev, uint32_t index);
int64_t port_call_read(const struct motor_event *ev, uint64_t offset, void *buffer, uint64_t size);
int64_t port_call_write(const struct motor_event *ev, uint64_t offset, const void *buffer,
                        uint64_t size);

/* Wakes every sleeper of the words. */
void port_wake(uint32_t *const *words, uint32_t count);

#endif
