/* SPDX-License-Identifier: MIT */
/* lwIP's view of the compiler and platform. */
#ifndef NET_LWIP_CC_H
#define NET_LWIP_CC_H

#include <stdint.h>
#include <stdlib.h>

_Noreturn void net_assert_failed(const char *what, const char *file, int line);
void net_lwip_log(const char *format, ...);
uint32_t net_random32(void);
uint16_t net_checksum(const void *data, int size);

#define LWIP_PLATFORM_DIAG(x)   net_lwip_log x
#define LWIP_PLATFORM_ASSERT(x) net_assert_failed(x, __FILE__, __LINE__)
#define LWIP_RAND()             net_random32()
#define LWIP_CHKSUM             net_checksum

#define lwip_htons(x) __builtin_bswap16(x)
#define lwip_htonl(x) __builtin_bswap32(x)

#endif
