# SPDX-License-Identifier: MIT
# init's descriptions of services on the host, under sanitizers.

$(BUILD)/tests/host/init_config: $(addprefix $(BUILD)/tests/obj/san/,tests/host/init/config.o base/init/config.o)
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(FS_TEST_FLAGS) -o $@ $^

HOST_TESTS += $(BUILD)/tests/host/init_config
