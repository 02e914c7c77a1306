/* SPDX-License-Identifier: MIT */
/*
 * Laid over lwIP's own header of this name: a header that lwIP makes may say "don't fragment"
 * (net_ip4_flags, lwipopts.h).
 */
#ifndef NET_LWIP_PROT_IP4_H
#define NET_LWIP_PROT_IP4_H

#include_next "lwip/prot/ip4.h"

#undef IPH_OFFSET_SET
#define IPH_OFFSET_SET(hdr, off) (hdr)->_offset = (uint16_t)((off) | net_ip4_flags)

#endif
