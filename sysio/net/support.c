/* SPDX-License-Identifier: MIT */
/* What lwIP asks of its platform. */
#include "lwip/arch.h"
#include "lwip/sys.h"
#include "port.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t sys_now(void)
{
    return (uint32_t)(port_now() / 1000000);
}

uint32_t net_random32(void)
{
    return port_random();
}

void net_lwip_log(const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    port_log("%s", line);
}

void net_assert_failed(const char *what, const char *file, int line)
{
    port_log("lwip: %s, %s:%d\n", what, file, line);
    abort();
}

/* The Internet checksum (not yet inverted), eight bytes at a time. */
uint16_t net_checksum(const void *data, int size)
{
    const uint8_t *p = data;
    uint64_t sum = 0, word;
    for (; size >= 8; p += 8, size -= 8) {
        memcpy(&word, p, 8);
        sum += word;
        sum += sum < word;
    }
    if (size & 4) { /* a header of 20 bytes ends so */
        uint32_t half;
        memcpy(&half, p, 4);
        sum += half;
        sum += sum < half;
        p += 4;
    }
    if (size & 3) {
        word = p[0];
        word |= size & 2 ? (uint64_t)p[1] << 8 : 0;
        word |= (size & 3) == 3 ? (uint64_t)p[2] << 16 : 0;
        sum += word;
        sum += sum < word;
    }
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)sum;
}
