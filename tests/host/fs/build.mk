# SPDX-License-Identifier: MIT
# The fs engine on the host, under sanitizers: against Linux itself, by hand, and fuzzed.

FS_TEST_SRC := $(addprefix sysio/fs/,append.c bundle.c calls_attributes.c calls_data.c calls_names.c data.c devfs.c devpts.c directory.c engine.c file.c groups.c hot.c lock.c mount.c presence.c program.c quota.c raw.c roots.c start.c system_name.c tmpfs.c tmpfs_options.c vfs.c watches.c work.c xattr.c xattr_list.c) $(wildcard sysio/fs/proc/*.c sysio/fs/sysv/*.c) \
  $(addprefix sysio/base/,engine.c fiber.c support.c) sysio/block/block.c sysio/local/inotify_queue.c sysio/local/mqueue_limits.c tests/host/fs/no_disks.c tests/host/lib/fake_kernel.c tests/host/fs/fs_client.c
FS_TEST_FLAGS := $(CFLAGS_BASE) -O1  -D_GNU_SOURCE -DMOTOR_SYSCALL_EXTERN -fsanitize=address,undefined -fno-sanitize-recover=all \
  -fno-omit-frame-pointer -Wno-unused-function
FS_TEST_OBJ := $(FS_TEST_SRC:%.c=$(BUILD)/tests/obj/san/%.o)
FS_TESTS := fs_linux fs_unit fs_fuzz

$(BUILD)/tests/obj/san/%.o: %.c
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(FS_TEST_FLAGS) -MMD -MP -c -o $@ $<

$(FS_TESTS:%=$(BUILD)/tests/host/%): $(BUILD)/tests/host/%: $(BUILD)/tests/obj/san/tests/host/fs/%.o $(FS_TEST_OBJ)
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(FS_TEST_FLAGS) -o $@ $^ -lpthread

HOST_TESTS += $(FS_TESTS:%=$(BUILD)/tests/host/%)
