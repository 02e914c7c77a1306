/* SPDX-License-Identifier: MIT */
/* The net engine as the rest of sysio sees it. */
#ifndef NET_START_H
#define NET_START_H

#include <motor/abi.h>
#include <stdbool.h>

/*
 * Starts the engine in a thread of its own, with the first virtio-net device there is
 * (virtio_scan() has run). Reads ip=ADDR/PREFIX
 * [:GATEWAY[:DNS]] and hostname= from the command line. Result: a gate of the connector
 * (IO_SESSION_OPEN, IO_NETINFO), or 0: no memory.
 */
motor_handle net_start(void);
/* The text of /etc/resolv.conf, as known by now. Any thread. */
const char *net_resolv_conf(void);

#endif
