# SPDX-License-Identifier: MIT
# ext4 on the host, under sanitizers, on a disk in memory: against a model, with power cuts, and on damaged images.
# e2fsck is the judge.

EXT4_TEST_SRC := $(wildcard sysio/fs/ext4/*.c) sysio/block/block.c sysio/base/fiber.c tests/host/ext4/disk.c tests/host/ext4/model.c tests/host/ext4/model_attrs.c
EXT4_TEST_OBJ := $(EXT4_TEST_SRC:%.c=$(BUILD)/tests/obj/san/%.o)
EXT4_TESTS := ext4_model ext4_ahead ext4_reserve ext4_crash ext4_crash_db ext4_fuzz ext4_host ext4_grow ext4_xattr ext4_errors ext4_mount ext4_cache

$(EXT4_TESTS:%=$(BUILD)/tests/host/%): $(BUILD)/tests/host/%: $(BUILD)/tests/obj/san/tests/host/ext4/%.o $(EXT4_TEST_OBJ)
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(FS_TEST_FLAGS) -o $@ $^

$(BUILD)/tests/host/virtio_blk: $(addprefix $(BUILD)/tests/obj/san/,tests/host/ext4/virtio_blk.o sysio/block/virtio_blk.o sysio/block/block.o sysio/base/fiber.o)
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(FS_TEST_FLAGS) -o $@ $^

$(BUILD)/tests/host/gpt_fuzz: $(addprefix $(BUILD)/tests/obj/san/,tests/host/ext4/gpt_fuzz.o sysio/block/gpt.o sysio/block/gpt_grow.o sysio/block/partition.o) $(EXT4_TEST_OBJ)
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(FS_TEST_FLAGS) -o $@ $^

HOST_TESTS += $(BUILD)/tests/host/virtio_blk $(BUILD)/tests/host/gpt_fuzz
HOST_TESTS += $(EXT4_TESTS:%=$(BUILD)/tests/host/%)
-include $(EXT4_TEST_OBJ:.o=.d) $(EXT4_TESTS:%=$(BUILD)/tests/obj/san/tests/host/ext4/%.d)
