# SPDX-License-Identifier: MIT
# The kernel's memory code on the host, under sanitizers, against a model.

MEMORY_TEST_SRC := $(wildcard tests/host/memory/*.c) $(wildcard kernel/aspace*.c kernel/region*.c kernel/vmo*.c) kernel/frame.c kernel/account.c \
  kernel/tree.c kernel/arch/x86_64/pagetable.c
MEMORY_TEST_FLAGS := $(CFLAGS_BASE) -O1 -g -Ikernel -Iboot -Itests/host/memory -DPHYSMAP_BASE=0x200000000000ull -Dsched_yield=kernel_yield \
  -fsanitize=address,undefined -fno-sanitize=alignment,null -fno-sanitize-recover=all -fno-omit-frame-pointer \
  -Wl,--wrap=frame_alloc,--wrap=frame_alloc_zeroed,--wrap=frame_alloc_order

$(BUILD)/tests/host/memory_model: $(MEMORY_TEST_SRC) $(wildcard tests/host/memory/*.h kernel/*.h kernel/arch/x86_64/*.h sdk/include/motor/*)
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(MEMORY_TEST_FLAGS) -o $@ $(MEMORY_TEST_SRC)

HOST_TESTS += $(BUILD)/tests/host/memory_model
