/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses: the program's sockaddr_in and sockaddr_in6, and the short form in shared
 * memory.
 */
#include "stream.h"

enum { V4_SIZE = 16, V6_SIZE = 28, V6_LEAST = 24 };

long px_address_in(struct px_address *a, const void *user, uint32_t length, uint32_t family)
{
    uint8_t bytes[V6_SIZE];
    if (length > 128 || length < 2)
        return -EINVAL;
    uint32_t size = PX_MIN(length, (uint32_t)V6_SIZE);
    if (px_copy_in(bytes, user, size) < 0)
        return -EFAULT;
    memset(a, 0, sizeof *a);
    a->family = (uint16_t)(bytes[0] | bytes[1] << 8);
    if (a->family == AF_UNSPEC && family == AF_INET) /* as Linux's sendto takes it */
        a->family = AF_INET;
    if (a->family == AF_INET) {
        if (size < V4_SIZE)
            return -EINVAL;
        memcpy(a->bytes, bytes + 4, 4);
    } else if (a->family == AF_INET6 && family == AF_INET6) {
        if (size < V6_LEAST)
            return -EINVAL;
        memcpy(a->bytes, bytes + 8, 16);
    } else {
        return -EAFNOSUPPORT;
    }
    memcpy(&a->port, bytes + 2, 2);
    return 0;
}

uint32_t px_address_format(const struct px_address *a, uint8_t sockaddr[28])
{
    memset(sockaddr, 0, V6_SIZE);
    memcpy(sockaddr, &a->family, 2);
    memcpy(sockaddr + 2, &a->port, 2);
    if (a->family == AF_INET6) {
        memcpy(sockaddr + 8, a->bytes, 16);
        return V6_SIZE;
    }
    memcpy(sockaddr + 4, a->bytes, 4);
    return V4_SIZE;
}

long px_address_out(const struct px_address *a, void *user, void *user_length)
{
    uint8_t sockaddr[V6_SIZE];
    uint32_t room;
    if (!user)
        return 0;
    if (px_load32(user_length, &room) < 0)
        return -EFAULT;
    if ((int32_t)room < 0)
        return -EINVAL;
    uint32_t length = px_address_format(a, sockaddr);
    if (px_copy_out(user, sockaddr, PX_MIN(room, length)) < 0)
        return -EFAULT;
    return px_store32(user_length, length);
}
