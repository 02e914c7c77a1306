/* SPDX-License-Identifier: MIT */
/* Texts of /proc/net: see proc_net.c. */
#ifndef NET_PROC_NET_H
#define NET_PROC_NET_H

#include <stdint.h>

/* what: IO_NETINFO_* - IO_NETINFO_DEV. At most `size` bytes, whole lines. Result: how many. */
uint32_t net_proc_text(uint32_t what, char *bytes, uint32_t size);

#endif
