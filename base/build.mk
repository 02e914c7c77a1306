# SPDX-License-Identifier: MIT
#
# Programs of ours that a system has beside its ports: init, and resize. Compiled with the SDK, as any program is.

base_cc = $(SDK)/bin/motor-cc $(CFLAGS_BASE) -D_GNU_SOURCE -Os -fdata-sections -ffunction-sections -Wl,--gc-sections -o $@ $(filter %.c,$^)

$(BUILD)/base/init: $(wildcard base/init/*.[ch])
$(BUILD)/base/resize: base/files/resize.c
$(BUILD)/base/init $(BUILD)/base/resize: $(SDK)/.motor-key
	$(call say,MOTORCC,$@)
	@mkdir -p $(@D)
	$(Q)$(base_cc)
