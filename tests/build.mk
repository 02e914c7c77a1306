# SPDX-License-Identifier: MIT
#
# Tests. POSIX programs, one file each, built with motor-cc: $(BUILD)/tests/posix/NAME runs in a VM by motor-run;
# $(BUILD)/tests/linux/NAME is made by the host's compiler. Host tests: each part's own fragment tests/host/PART/build.mk leaves executables in
# $(BUILD)/tests/host/ and adds them to HOST_TESTS. tests/run runs them all.

HOST_TESTS :=
-include $(wildcard tests/host/build.mk tests/host/*/build.mk)
include tests/kernel/build.mk

# What TESTS names; everything without it, and for patterns that make's own filter cannot match.
test_names := $(patsubst %-1cpu,%,$(patsubst %-2cpu,%,$(TESTS)))
wanted_sources := $(if $(TESTS),$(wildcard $(if $(filter-out posix/% linux/% host/% system/%,$(TESTS)),tests/posix/*.c,\
  $(patsubst tests/linux/%,tests/posix/%,$(addprefix tests/,$(addsuffix .c,$(filter posix/% linux/%,$(test_names))))))),\
  $(wildcard tests/posix/*.c))
wanted_host = $(if $(or $(if $(TESTS),,all),$(filter-out posix/% linux/% host/% system/%,$(TESTS)),$(findstring ?,$(TESTS)),$(findstring [,$(TESTS))),\
  $(1),$(filter $(addprefix $(BUILD)/tests/,$(subst *,%,$(filter host/%,$(TESTS)))),$(1)))

POSIX_TESTS := $(patsubst tests/posix/%.c,$(BUILD)/tests/posix/%,$(wanted_sources))

$(BUILD)/tests/posix/%: tests/posix/%.c $(wildcard tests/posix/*.h) $(SDK)/.motor-key
	$(call say,MOTORCC,$<)
	@mkdir -p $(@D)
	$(Q)$(SDK)/bin/motor-cc -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -pthread -o $@ $<

# The same on the host's Linux and libc, which keeps them honest.
LINUX_TESTS := $(patsubst tests/posix/%.c,$(BUILD)/tests/linux/%,$(filter-out tests/posix/queue.c,$(wanted_sources))) # queue.c tests a header of ours

$(BUILD)/tests/linux/%: tests/posix/%.c $(wildcard tests/posix/*.h)
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(CFLAGS_HOST) -O1 -Wno-stringop-overflow -Wno-nonnull -pthread -o $@ $<

$(call host_tool,httpload,tools/httpload/httpload.c)

test: all $(call port_stamp,beanstalkd) $(call port_stamp,lighttpd) $(call port_stamp,dash) $(call port_stamp,toybox) $(call port_stamp,redis) $(call port_stamp,sqlite3) $(call port_stamp,memcached) $(KTEST).bundle $(call wanted_host,$(HOST_TESTS)) $(POSIX_TESTS) $(LINUX_TESTS) $(PACKAGES)/nginx/.made $(BUILD)/host/httpload
	$(Q)set -f; tests/run $(TESTS)

# What has to pass many times in a row: hours.
.PHONY: soak
soak: all $(POSIX_TESTS) $(HOST_TESTS) $(BUILD)/host/httpload
	$(Q)tests/soak.sh
