# SPDX-License-Identifier: MIT
# The kernel's memory code on the host, under sanitizers, against models: with the host's heap, and the kernel's heap itself.

MEMORY_TEST_KERNEL := $(wildcard kernel/aspace*.c kernel/region*.c kernel/vmo*.c) kernel/hot.c kernel/frame.c kernel/account.c kernel/tree.c \
  kernel/arch/x86_64/pagetable.c
MEMORY_TEST_HOST := $(addprefix tests/host/memory/,host.c mmu.c)
MEMORY_TEST_FLAGS := $(CFLAGS_BASE) -O1 -g -Ikernel -Iboot -Itests/host/memory -DPHYSMAP_BASE=0x200000000000ull \
  -Dsched_yield=kernel_yield -fsanitize=address,undefined -fno-sanitize=alignment,null -fno-sanitize-recover=all \
  -fno-omit-frame-pointer -Wl,--wrap=frame_alloc,--wrap=frame_alloc_zeroed,--wrap=frame_alloc_order

$(BUILD)/tests/host/memory_model: $(addprefix tests/host/memory/,model.c check.c heap.c)
$(BUILD)/tests/host/slab_model: tests/host/memory/slab_model.c kernel/slab.c

$(BUILD)/tests/host/memory_model $(BUILD)/tests/host/slab_model: $(MEMORY_TEST_HOST) $(MEMORY_TEST_KERNEL) \
  $(wildcard tests/host/memory/*.h kernel/*.h kernel/arch/x86_64/*.h sdk/include/motor/*)
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(MEMORY_TEST_FLAGS) -o $@ $(filter %.c,$^)

HOST_TESTS += $(BUILD)/tests/host/memory_model $(BUILD)/tests/host/slab_model
