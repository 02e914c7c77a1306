/* SPDX-License-Identifier: MIT */
/* Linux socket addresses and lwIP's. On an AF_INET6 socket, IPv4 peers appear as ::ffff:a.b.c.d. */
#include "lwip/netif.h"
#include "netif.h"
#include "socket.h"
#include <errno.h>
#include <string.h>

#define LINUX_AF_INET  2
#define LINUX_AF_INET6 10

static void from_v6_bytes(const uint8_t *bytes, ip_addr_t *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint32_t words[4];
    memcpy(words, bytes, 16);
    memset(address, 0, sizeof *address);
    if (!memcmp(bytes, mapped, 12)) {
        ip_addr_set_ip4_u32(address, words[3]);
        return;
    }
    IP_ADDR6(address, words[0], words[1], words[2], words[3]);
}

static void to_v6_bytes(const ip_addr_t *address, uint8_t *bytes)
{
    memset(bytes, 0, 16);
    if (IP_IS_V6_VAL(*address)) {
        memcpy(bytes, ip_2_ip6(address)->addr, 16);
    } else if (IP_IS_V4_VAL(*address) && ip_2_ip4(address)->addr) {
        bytes[10] = bytes[11] = 0xff;
        memcpy(bytes + 12, &ip_2_ip4(address)->addr, 4);
    }
}

int address_read(const struct socket *s, const uint8_t *bytes, uint32_t size, ip_addr_t *address,
                 uint16_t *port)
{
    uint16_t family, port_be;
    if (size < 8)
        return -EINVAL;
    memcpy(&family, bytes, 2);
    memcpy(&port_be, bytes + 2, 2);
    *port = lwip_ntohs(port_be);
    memset(address, 0, sizeof *address);
    if (s->family == LINUX_AF_INET) {
        uint32_t word;
        if (size < 16)
            return -EINVAL;
        memcpy(&word, bytes + 4, 4);
        if (family != LINUX_AF_INET && !(family == 0 && !word))
            return -EAFNOSUPPORT;
        ip_addr_set_ip4_u32(address, word);
        return 0;
    }
    if (family == LINUX_AF_INET) {
        if (s->v6only || size < 16)
            return -EAFNOSUPPORT;
        uint32_t word;
        memcpy(&word, bytes + 4, 4);
        ip_addr_set_ip4_u32(address, word);
        return 0;
    }
    if (family != LINUX_AF_INET6)
        return -EAFNOSUPPORT;
    if (size < 24)
        return -EINVAL;
    from_v6_bytes(bytes + 8, address);
    if (IP_IS_V4_VAL(*address) && s->v6only)
        return -ENETUNREACH;
    if (IP_IS_V6_VAL(*address) && size >= 28 &&
        ip6_addr_has_scope(ip_2_ip6(address), IP6_UNKNOWN)) {
        uint32_t scope;
        memcpy(&scope, bytes + 24, 4);
        ip6_addr_set_zone(ip_2_ip6(address), (uint8_t)scope);
    }
    return 0;
}

uint32_t address_write(const struct socket *s, const ip_addr_t *address, uint16_t port,
                       uint8_t *bytes)
{
    uint16_t port_be = lwip_htons(port);
    if (s->family == LINUX_AF_INET) {
        memset(bytes, 0, 16);
        bytes[0] = LINUX_AF_INET;
        memcpy(bytes + 2, &port_be, 2);
        if (IP_IS_V4_VAL(*address))
            memcpy(bytes + 4, &ip_2_ip4(address)->addr, 4);
        return 16;
    }
    memset(bytes, 0, 28);
    bytes[0] = LINUX_AF_INET6;
    memcpy(bytes + 2, &port_be, 2);
    to_v6_bytes(address, bytes + 8);
    if (IP_IS_V6_VAL(*address) && ip6_addr_has_zone(ip_2_ip6(address)))
        bytes[24] = ip6_addr_zone(ip_2_ip6(address));
    return 28;
}

void address_pack(const struct socket *s, const ip_addr_t *address, uint8_t bytes[16],
                  uint16_t *family)
{
    *family = s->family;
    if (s->family == LINUX_AF_INET6) {
        to_v6_bytes(address, bytes);
        return;
    }
    memset(bytes, 0, 16);
    if (IP_IS_V4_VAL(*address))
        memcpy(bytes, &ip_2_ip4(address)->addr, 4);
}

bool address_unpack(const struct socket *s, const uint8_t bytes[16], uint16_t family,
                    ip_addr_t *address)
{
    memset(address, 0, sizeof *address);
    if (family == LINUX_AF_INET6 && s->family == LINUX_AF_INET6) {
        from_v6_bytes(bytes, address);
        return true;
    }
    if (family != LINUX_AF_INET)
        return false;
    uint32_t word;
    memcpy(&word, bytes, 4);
    ip_addr_set_ip4_u32(address, word);
    return true;
}

/* What an unbound socket is bound to. */
void address_any(const struct socket *s, ip_addr_t *address)
{
    memset(address, 0, sizeof *address);
    if (s->family == LINUX_AF_INET)
        ip_addr_set_any(0, address);
    else if (s->v6only)
        ip_addr_set_any(1, address);
    else
        IP_SET_TYPE(address, IPADDR_TYPE_ANY);
}

bool address_is_own(const ip_addr_t *address)
{
    struct netif *n;
    if (IP_IS_V4_VAL(*address) && ip4_addr_isloopback(ip_2_ip4(address)))
        return true;
    NETIF_FOREACH(n)
    {
        if (IP_IS_V4_VAL(*address)) {
            if (!ip4_addr_isany_val(*netif_ip4_addr(n)) &&
                ip4_addr_eq(netif_ip4_addr(n), ip_2_ip4(address)))
                return true;
        } else if (netif_get_ip6_addr_match(n, ip_2_ip6(address)) >= 0) {
            return true;
        }
    }
    return false;
}

bool address_is_near(const ip_addr_t *address)
{
    if (address_is_own(address) || ip_addr_ismulticast(address))
        return true;
    if (IP_IS_V4_VAL(*address))
        return ip4_addr_net_eq(ip_2_ip4(address), netif_ip4_addr(&net_eth),
                               netif_ip4_netmask(&net_eth));
    if (ip6_addr_islinklocal(ip_2_ip6(address)))
        return true;
    for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
        if (ip6_addr_isvalid(netif_ip6_addr_state(&net_eth, i)) &&
            ip6_addr_net_eq(ip_2_ip6(address), netif_ip6_addr(&net_eth, i)))
            return true;
    return false;
}
