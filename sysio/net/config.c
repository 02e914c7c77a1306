/* SPDX-License-Identifier: MIT */
#include "config.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/ip6_addr.h"
#include "net_hooks.h"
#include "netif.h"
#include "pcb.h"
#include "socket.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t net_config_changed;
static uint32_t announced;

static void status_changed(struct netif *n)
{
    uint32_t address = netif_ip4_addr(n)->addr;
    net_config_changed++;
    if (address == announced)
        return;
    announced = address;
    net_pcb_abort_orphans();
    if (address) {
        char own[16], gateway[16];
        ip4addr_ntoa_r(netif_ip4_addr(n), own, sizeof own);
        ip4addr_ntoa_r(netif_ip4_gw(n), gateway, sizeof gateway);
        uint32_t prefix = (uint32_t)__builtin_popcount(netif_ip4_netmask(n)->addr);
        port_log("eth0 is %s/%u, gateway %s\n", own, prefix, gateway);
    }
}

void net_configure(const struct net_config *config)
{
    static char hostname[64];
    netif_set_status_callback(&net_eth, status_changed);
    netif_create_ip6_linklocal_address(&net_eth, 1);
    netif_set_ip6_autoconfig_enabled(&net_eth, 1);
    if (config->is_static) {
        ip_addr_t dns;
        netif_set_addr(&net_eth, &config->address, &config->netmask, &config->gateway);
        dns = (ip_addr_t)IPADDR4_INIT(config->dns.addr);
        dns_setserver(0, &dns);
        net_config_changed++;
        return;
    }
    memcpy(hostname, config->hostname, sizeof hostname - 1);
    netif_set_hostname(&net_eth, hostname[0] ? hostname : "motor");
    dhcp_start(&net_eth);
}

bool net_config_parse(struct net_config *config, const char *text)
{
    char copy[128], *prefix, *gateway, *dns = NULL, *end;
    if (strlen(text) >= sizeof copy)
        return false;
    strcpy(copy, text);
    prefix = strchr(copy, '/');
    if (!prefix)
        return false;
    *prefix++ = 0;
    gateway = strchr(prefix, ':');
    if (gateway) {
        *gateway++ = 0;
        dns = strchr(gateway, ':');
        if (dns)
            *dns++ = 0;
    }
    unsigned long bits = strtoul(prefix, &end, 10);
    if (*end || !*prefix || bits > 32 || !ip4addr_aton(copy, &config->address) ||
        (gateway && *gateway && !ip4addr_aton(gateway, &config->gateway)) ||
        (dns && *dns && !ip4addr_aton(dns, &config->dns)))
        return false;
    config->netmask.addr = bits ? lwip_htonl(0xffffffffu << (32 - bits)) : 0;
    config->is_static = true;
    return true;
}

uint32_t net_resolver_text(char *buffer, uint32_t size)
{
    uint32_t used = 0;
    for (uint8_t i = 0; i < DNS_MAX_SERVERS; i++) {
        const ip_addr_t *server = dns_getserver(i);
        char text[64];
        if (ip_addr_isany(server) || !ipaddr_ntoa_r(server, text, sizeof text))
            continue;
        int n = snprintf(buffer + used, size - used, "nameserver %s\n", text);
        if (n < 0 || (uint32_t)n >= size - used)
            break;
        used += (uint32_t)n;
    }
    return used;
}

/* ---- routes ---- */

struct netif *net_route4(const ip4_addr_t *source, const ip4_addr_t *destination)
{
    (void)source;
    if (ip4_addr_isloopback(destination))
        return &net_loop;
    uint32_t to = destination->addr;
    return to && to == netif_ip4_addr(&net_eth)->addr ? &net_loop : NULL;
}

struct netif *net_route6(const ip6_addr_t *source, const ip6_addr_t *destination)
{
    (void)source;
    if (ip6_addr_isloopback(destination))
        return &net_loop;
    if (net_eth.input && netif_get_ip6_addr_match(&net_eth, destination) >= 0)
        return &net_loop;
    return NULL;
}
