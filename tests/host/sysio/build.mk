# SPDX-License-Identifier: MIT
# sysio's other parts on the host, under sanitizers: the starter of processes, the terminals.

SYSIO_TEST_BASE := $(addprefix $(BUILD)/tests/obj/san/,sysio/base/engine.o sysio/base/support.o sysio/base/lend.o tests/host/lib/fake_kernel.o)

$(BUILD)/tests/host/image_fuzz: $(addprefix $(BUILD)/tests/obj/san/,tests/host/sysio/image_fuzz.o sdk/lib/process_start.o) $(SYSIO_TEST_BASE)
TTY_TEST := $(addprefix $(BUILD)/tests/obj/san/sysio/tty/,tty.o terminal.o line.o output.o control.o job.o kmsg.o tracing.o pty.o session.o) \
  $(addprefix $(BUILD)/tests/obj/san/sysio/local/,pipe.o event.o rendezvous.o socket.o connect.o transfer.o pair.o option.o message.o parcel.o garbage.o async.o inotify.o inotify_queue.o pidfd.o mqueue.o mqueue_table.o mqueue_notice.o mqueue_limits.o) \
  $(BUILD)/tests/obj/san/tests/host/sysio/no_console.o $(SYSIO_TEST_BASE)
$(BUILD)/tests/host/tty_unit: $(addprefix $(BUILD)/tests/obj/san/,tests/host/sysio/tty_unit.o sysio/tty/channel.o sysio/tty/port.o) $(TTY_TEST)
$(BUILD)/tests/host/tty_linux: $(addprefix $(BUILD)/tests/obj/san/tests/host/sysio/,tty_linux.o no_channel.o) $(TTY_TEST)

$(BUILD)/tests/host/button_fuzz: $(addprefix $(BUILD)/tests/obj/san/,tests/host/sysio/button_fuzz.o sysio/start/button_tables.o)

$(BUILD)/tests/host/local_fuzz: $(addprefix $(BUILD)/tests/obj/san/tests/host/sysio/,local_fuzz.o no_channel.o) $(TTY_TEST)

$(BUILD)/tests/host/loan_unit: $(addprefix $(BUILD)/tests/obj/san/tests/host/sysio/,loan_unit.o no_channel.o) $(TTY_TEST)

SYSIO_TESTS := $(addprefix $(BUILD)/tests/host/,image_fuzz tty_unit tty_linux button_fuzz local_fuzz loan_unit)
sysio_test_wrap := -Wl,--wrap=motor_raw_syscall
$(SYSIO_TESTS):
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(FS_TEST_FLAGS) $(if $(filter %tty_unit,$@),$(sysio_test_wrap)) -o $@ $^ -lpthread

HOST_TESTS += $(SYSIO_TESTS)

# The engines' memcpy under another name.
$(BUILD)/tests/host/copy: tests/host/sysio/copy.c sysio/base/memcpy.S
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(CFLAGS_HOST) -Dmemcpy=engine_memcpy -Dmemmove=engine_memmove -c -o $@.o sysio/base/memcpy.S
	$(Q)$(HOSTCC) $(CFLAGS_HOST) -o $@ tests/host/sysio/copy.c $@.o
HOST_TESTS += $(BUILD)/tests/host/copy
