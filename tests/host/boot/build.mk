# SPDX-License-Identifier: MIT
# The readers of what loader and firmware leave (PVH start info, ACPI tables), fuzzed on the host under sanitizers.

BOOT_FUZZ_SRC := tests/host/boot/boot_fuzz.c boot/pvh.c kernel/arch/x86_64/acpi.c
BOOT_FUZZ_FLAGS := $(CFLAGS_BASE) -O1 -fno-builtin -Ikernel -Iboot -DPHYSMAP_BASE=0x200000000000ull \
  -fsanitize=address,undefined -fno-sanitize=alignment -fno-sanitize-recover=all -fno-omit-frame-pointer

$(BUILD)/tests/host/boot_fuzz: $(BOOT_FUZZ_SRC) $(wildcard boot/*.h kernel/*.h kernel/arch/x86_64/*.h)
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(BOOT_FUZZ_FLAGS) -o $@ $(BOOT_FUZZ_SRC)

# what the loaders read
$(BUILD)/tests/host/kernel_file_fuzz: $(addprefix $(BUILD)/tests/obj/san/,tests/host/boot/kernel_file_fuzz.o boot/load/kernel_file.o)
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(FS_TEST_FLAGS) -o $@ $^

HOST_TESTS += $(BUILD)/tests/host/boot_fuzz $(BUILD)/tests/host/kernel_file_fuzz
