# SPDX-License-Identifier: MIT
# sysio's other parts on the host, under sanitizers: the starter of processes, the terminals.

SYSIO_TEST_BASE := $(addprefix $(BUILD)/tests/obj/san/,sysio/base/engine.o sysio/base/support.o tests/host/lib/fake_kernel.o)

$(BUILD)/tests/host/image_fuzz: $(addprefix $(BUILD)/tests/obj/san/,tests/host/sysio/image_fuzz.o sdk/lib/process_start.o) $(SYSIO_TEST_BASE)
$(BUILD)/tests/host/tty_unit: $(addprefix $(BUILD)/tests/obj/san/,tests/host/sysio/tty_unit.o sysio/tty/tty.o sysio/tty/channel.o \
  sysio/tty/port.o sysio/tty/session.o) $(SYSIO_TEST_BASE)

sysio_test_wrap := -Wl,--wrap=motor_raw_syscall
$(BUILD)/tests/host/image_fuzz $(BUILD)/tests/host/tty_unit:
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(FS_TEST_FLAGS) $(if $(filter %tty_unit,$@),$(sysio_test_wrap)) -o $@ $^ -lpthread

HOST_TESTS += $(BUILD)/tests/host/image_fuzz $(BUILD)/tests/host/tty_unit
