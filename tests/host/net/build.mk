# SPDX-License-Identifier: MIT
#
# The net engine on the host, under sanitizers: a simulator of two machines, and fuzzers.

NET_HOST := $(BUILD)/tests/host/net
NET_HOST_SOURCES := $(addprefix sysio/net/,address calls config datagram engine heap info loopback netif options pcb ports receive socket support tcp tcp_in) \
  sysio/stream/session sysio/stream/ring tests/host/net/port_host
NET_HOST_FLAGS := -std=gnu17 -O1 -g -fPIC -fno-omit-frame-pointer -Isdk/include -Isysio/net -Itests/host/net \
  -fsanitize=address,undefined -fno-sanitize=alignment,shift -fno-sanitize-recover=undefined

net_host_objects := $(NET_HOST_SOURCES:%=$(NET_HOST)/%.o) $(LWIP_FILES:%=$(NET_HOST)/lwip/%.o)

$(NET_HOST_SOURCES:%=$(NET_HOST)/%.o): $(NET_HOST)/%.o: %.c | $(LWIP_STAMP)
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(NET_HOST_FLAGS) $(LWIP_FLAGS) -Wall -Wextra -MMD -MP -c -o $@ $<

$(LWIP_FILES:%=$(NET_HOST)/lwip/%.o): $(NET_HOST)/lwip/%.o: $(LWIP_STAMP)
	$(call say,HOSTCC,$(LWIP)/$*.c)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(NET_HOST_FLAGS) $(LWIP_FLAGS) -MMD -MP -c -o $@ $(LWIP)/$*.c

$(NET_HOST)/engine.so: $(net_host_objects)
	$(call say,HOSTLD,$@)
	$(Q)$(HOSTCC) -shared -fsanitize=address,undefined -o $@ $^

$(NET_HOST)/simulate $(NET_HOST)/fuzz: $(NET_HOST)/%: tests/host/net/%.c tests/host/net/client.c tests/host/net/host.h tests/host/net/client.h
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu17 -O1 -g -Wall -Wextra -Isdk/include -fsanitize=address,undefined -o $@ $(filter %.c,$^) -ldl

-include $(net_host_objects:.o=.d)
