# SPDX-License-Identifier: MIT
#
# Tests. POSIX programs, one file each, built with motor-cc: $(BUILD)/tests/posix/NAME runs in a VM by motor-run, and on
# the host as it is. Host tests: each part's own fragment tests/host/PART/build.mk leaves executables in
# $(BUILD)/tests/host/ and adds them to HOST_TESTS. tests/run runs them all.

HOST_TESTS :=
-include $(wildcard tests/host/build.mk tests/host/*/build.mk)
include tests/kernel/build.mk

POSIX_TESTS := $(patsubst tests/posix/%.c,$(BUILD)/tests/posix/%,$(wildcard tests/posix/*.c))

$(BUILD)/tests/posix/%: tests/posix/%.c $(wildcard tests/posix/*.h) $(SDK)/.motor-key
	$(call say,MOTORCC,$<)
	@mkdir -p $(@D)
	$(Q)$(SDK)/bin/motor-cc -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -pthread -o $@ $<

$(call host_tool,httpload,tools/httpload/httpload.c)

test: all $(KTEST).bundle $(HOST_TESTS) $(POSIX_TESTS) $(BUILD)/host/httpload
	$(Q)tests/run $(TESTS)
