/* SPDX-License-Identifier: MIT */
/* Addresses of eth0: static ones, or DHCP and router advertisements; routes; resolv.conf. */
#ifndef NET_CONFIG_H
#define NET_CONFIG_H

#include "engine.h"

void net_configure(const struct net_config *config);
/* ADDR/PREFIX[:GATEWAY[:DNS]] */
bool net_config_parse(struct net_config *config, const char *text);
uint32_t net_resolver_text(char *buffer, uint32_t size); /* resolv.conf; result: bytes */
extern uint64_t net_config_changed; /* counts changes of addresses and name servers */

#endif
