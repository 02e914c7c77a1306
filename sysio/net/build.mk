# SPDX-License-Identifier: MIT
#
# lwIP for sysio, from its pinned source (ports.mk): the files we use, and our own tcp_in.c, tcp_out.c and icmp_in.c, which
# take in lwIP's. Included by
# sysio/build.mk, which links LWIP_OBJECTS; everything in sysio/net is compiled with lwIP's headers.

LWIP := $(call source,lwip)/src
LWIP_STAMP := $(call source_stamp,lwip)
LWIP_FILES := $(addprefix core/,def dns inet_chksum init ip mem memp netif pbuf raw stats sys tcp timeouts udp) \
  $(addprefix core/ipv4/,dhcp etharp igmp ip4 ip4_addr ip4_frag) \
  $(addprefix core/ipv6/,ethip6 inet6 ip6 ip6_addr ip6_frag mld6 nd6) netif/ethernet
LWIP_FLAGS := -Isysio/net/lwip -I$(LWIP)/include -Wno-address
LWIP_OBJECTS := $(LWIP_FILES:%=$(BUILD)/sysio/lwip/%.o)

$(BUILD)/sysio/net/%.o: CFLAGS_sysio += $(LWIP_FLAGS)
$(patsubst %.c,$(BUILD)/%.o,$(wildcard sysio/net/*.c)): | $(LWIP_STAMP)

$(BUILD)/sysio/lwip/core/init.o $(BUILD)/tests/host/net/lwip/core/init.o: LWIP_FLAGS += -DNET_LWIP_CHECKS

$(LWIP_OBJECTS): $(BUILD)/sysio/lwip/%.o: $(LWIP_STAMP) $(wildcard sysio/net/lwip/*.h sysio/net/lwip/*/*.h sysio/net/lwip/*/*/*.h)
	$(call say,CC,$(LWIP)/$*.c)
	@mkdir -p $(@D)
	$(Q)$(or $(CC_sysio),$(CC)) $(filter-out -Werror,$(CFLAGS_BASE)) $(CFLAGS_sysio) $(LWIP_FLAGS) -MMD -MP -c -o $@ $(LWIP)/$*.c

-include $(LWIP_OBJECTS:.o=.d)
