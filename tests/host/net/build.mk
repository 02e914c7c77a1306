# SPDX-License-Identifier: MIT
#
# The net engine on the host, under sanitizers: a simulator of two machines, and fuzzers.

NET_HOST := $(BUILD)/tests/host/net
NET_HOST_SOURCES := $(addprefix sysio/net/,address attach calls config datagram direct direct_ends engine heap icmp_in info lent loopback netif options pcb ports proc_net receive socket segments support tcp tcp_in tcp_listen tcp_out tcp_send time_wait transmit) \
  sysio/stream/session sysio/stream/ring sysio/base/lend tests/host/net/port_host tests/host/net/kernel_host
NET_HOST_FLAGS := -std=gnu17 -O1 -g -fPIC -fno-omit-frame-pointer -Isdk/include -Isysio/net -Itests/host/net \
  -DMOTOR_SYSCALL_EXTERN -fsanitize=address,undefined -fno-sanitize=alignment,shift -fno-sanitize-recover=undefined

net_host_objects := $(NET_HOST_SOURCES:%=$(NET_HOST)/%.o) $(LWIP_FILES:%=$(NET_HOST)/lwip/%.o)

$(NET_HOST_SOURCES:%=$(NET_HOST)/%.o): $(NET_HOST)/%.o: %.c | $(LWIP_STAMP)
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(NET_HOST_FLAGS) $(LWIP_FLAGS) -Wall -Wextra -MMD -MP -c -o $@ $<

$(LWIP_FILES:%=$(NET_HOST)/lwip/%.o): $(NET_HOST)/lwip/%.o: $(LWIP_STAMP) $(wildcard sysio/net/lwip/*.h sysio/net/lwip/*/*.h sysio/net/lwip/*/*/*.h)
	$(call say,HOSTCC,$(LWIP)/$*.c)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(NET_HOST_FLAGS) $(LWIP_FLAGS) -MMD -MP -c -o $@ $(LWIP)/$*.c

$(NET_HOST)/engine.so: $(net_host_objects)
	$(call say,HOSTLD,$@)
	$(Q)$(HOSTCC) -shared -fsanitize=address,undefined -o $@ $^

$(NET_HOST)/old_state $(NET_HOST)/bad_peer $(NET_HOST)/closed_window $(NET_HOST)/overrun $(NET_HOST)/unreachable $(NET_HOST)/direct_ends $(NET_HOST)/lent $(NET_HOST)/options: tests/host/net/peer.c tests/host/net/peer.h
$(NET_HOST)/simulate $(NET_HOST)/fuzz $(NET_HOST)/old_state $(NET_HOST)/bad_peer $(NET_HOST)/closed_window $(NET_HOST)/overrun $(NET_HOST)/unreachable $(NET_HOST)/direct_ends $(NET_HOST)/lent $(NET_HOST)/options: $(NET_HOST)/%: tests/host/net/%.c tests/host/net/client.c tests/host/net/host.h tests/host/net/client.h $(wildcard sdk/include/motor/*.h)
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu17 -O1 -g -Wall -Wextra -Isdk/include -fsanitize=address,undefined -o $@ $(filter %.c,$^) -ldl

-include $(net_host_objects:.o=.d)

# What tests/run starts: the programs with their arguments.
define net_test_rule
$(BUILD)/tests/host/$(1): $(NET_HOST)/$(2) $(NET_HOST)/engine.so tests/host/net/build.mk
	@printf '#!/bin/sh\nexport ASAN_OPTIONS=detect_leaks=0\nd=$$$${0%%/*}/net\nexec "$$$$d/$(2)" "$$$$d/engine.so" $(3)\n' >$$@
	@chmod +x $$@
HOST_TESTS += $(BUILD)/tests/host/$(1)
endef
$(eval $(call net_test_rule,net_simulate,simulate,$$$${SEED:-1} 3))
$(eval $(call net_test_rule,net_idle,simulate,1 1 idle))
$(eval $(call net_test_rule,net_old_state,old_state,))
$(eval $(call net_test_rule,net_closed_window,closed_window,))
$(eval $(call net_test_rule,net_bad_peer,bad_peer,))
$(eval $(call net_test_rule,net_overrun,overrun,))
$(eval $(call net_test_rule,net_unreachable,unreachable,))
$(eval $(call net_test_rule,net_direct_ends,direct_ends,))
$(eval $(call net_test_rule,net_lent,lent,$$$${SEED:-1}))
$(eval $(call net_test_rule,net_options,options,))
$(eval $(call net_test_rule,net_fuzz,fuzz,-r $$$${SEED:-1} $$$${FUZZ_SECONDS:-20}))

# make fuzz-net [FUZZ_SECONDS=3600]: guided by coverage (needs clang); what it found is kept in build/fuzz/net.
NET_FUZZ := $(BUILD)/fuzz/net
NET_FUZZ_FLAGS := -std=gnu17 -O1 -g -fPIC -Isdk/include -Isysio/net -Itests/host/net -DMOTOR_SYSCALL_EXTERN -fsanitize=address,undefined,fuzzer-no-link \
  -fno-sanitize=alignment,shift,function,pointer-overflow -fno-sanitize-recover=undefined
net_fuzz_objects := $(NET_HOST_SOURCES:%=$(NET_FUZZ)/%.o) $(LWIP_FILES:%=$(NET_FUZZ)/lwip/%.o)
$(NET_FUZZ)/lwip/core/init.o: LWIP_FLAGS += -DNET_LWIP_CHECKS

$(NET_HOST_SOURCES:%=$(NET_FUZZ)/%.o): $(NET_FUZZ)/%.o: %.c | $(LWIP_STAMP)
	@mkdir -p $(@D)
	$(Q)clang $(NET_FUZZ_FLAGS) $(LWIP_FLAGS) -MMD -MP -c -o $@ $<

$(LWIP_FILES:%=$(NET_FUZZ)/lwip/%.o): $(NET_FUZZ)/lwip/%.o: $(LWIP_STAMP)
	@mkdir -p $(@D)
	$(Q)clang $(NET_FUZZ_FLAGS) $(LWIP_FLAGS) -MMD -MP -c -o $@ $(LWIP)/$*.c

$(NET_FUZZ)/engine.so: $(net_fuzz_objects)
	$(Q)clang -shared -fsanitize=address,undefined,fuzzer-no-link -o $@ $^

$(NET_FUZZ)/fuzz: tests/host/net/fuzz.c tests/host/net/client.c
	@mkdir -p $(@D)
	$(Q)clang -DLIBFUZZER -std=gnu17 -O1 -g -Isdk/include -fsanitize=address,undefined,fuzzer -o $@ $^ -ldl

.PHONY: fuzz-net
fuzz-net: $(NET_FUZZ)/engine.so $(NET_FUZZ)/fuzz
	@mkdir -p $(NET_FUZZ)/corpus
	$(Q)cd $(NET_FUZZ) && ENGINE=$$PWD/engine.so ASAN_OPTIONS=detect_leaks=0 ./fuzz -max_len=16384 -len_control=0 \
	    -max_total_time=$(or $(FUZZ_SECONDS),600) corpus
