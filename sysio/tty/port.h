/* SPDX-License-Identifier: MIT */
/* A port of a virtio-console; see port.c. Called by the tty engine's thread, after tty_init(). */
#ifndef SYSIO_TTY_PORT_H
#define SYSIO_TTY_PORT_H

#include "../virtio/virtio.h"

#include <motor/channel.h>

/* Negotiates and sets up all queues; the caller starts the device, then calls port_start(). */
bool port_init(struct virtio_device *d, motor_handle gate, struct virtq **rx, struct virtq **tx);
/* Tells the device that we are there: it will then add its ports. */
void port_start(void);
/* After an interrupt: answers what the device has said. */
void port_turn(void);
/* The device has added the port: bytes may go out. */
bool port_is_open(void);
/* The port was taken away, or the device breaks the rules. */
bool port_broken(void);

#endif
