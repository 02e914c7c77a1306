# SPDX-License-Identifier: MIT
# The kernel: $(KERNEL), linked twice so that it carries its own symbol table for backtraces.

CC_kernel := $(CC)
CC_boot := $(CC)
CFLAGS_kernel := -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
    -fno-stack-protector -fno-omit-frame-pointer -fno-strict-aliasing -fcf-protection=none \
    -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -Ikernel -Iboot -flto $(KERNEL_EXTRA)

KERNEL_SRC := $(sort $(wildcard boot/*.c boot/*.S kernel/*.c kernel/*.S kernel/arch/x86_64/*.c kernel/arch/x86_64/*.S))
KERNEL_OBJ := $(patsubst %,$(BUILD)/%.o,$(basename $(KERNEL_SRC)))
CC_boot = $(CC_kernel)
CFLAGS_boot = $(CFLAGS_kernel)
KERNEL_LD := kernel/arch/x86_64/kernel.ld
# As one program, which saves a twentieth of what it executes and what nobody calls; in one part, so that both links give the same code.
KERNEL_LINK = $(CC) $(CFLAGS_BASE) $(CFLAGS_kernel) -flto-partition=one -nostdlib -static -no-pie \
    -Wl,-T,$(KERNEL_LD) -Wl,-z,max-page-size=4096,-z,noexecstack -Wl,--build-id=none

# The first link has an empty table; the table lies behind the code, so filling it moves no function.
$(BUILD)/kernel/symbols0.s: kernel/tools/symbols.awk
	@mkdir -p $(@D)
	$(Q)awk -f $< </dev/null >$@

$(BUILD)/kernel/stage0.elf: $(KERNEL_OBJ) $(BUILD)/kernel/symbols0.s $(KERNEL_LD)
	$(Q)$(KERNEL_LINK) -o $@ $(KERNEL_OBJ) $(BUILD)/kernel/symbols0.s

$(BUILD)/kernel/symbols.s: $(BUILD)/kernel/stage0.elf kernel/tools/symbols.awk
	$(Q)nm -n $< | awk -f kernel/tools/symbols.awk >$@

$(KERNEL): $(KERNEL_OBJ) $(BUILD)/kernel/symbols.s $(KERNEL_LD)
	$(call say,LD,$@)
	$(Q)$(KERNEL_LINK) -o $@ $(KERNEL_OBJ) $(BUILD)/kernel/symbols.s

.PHONY: kernel
kernel: $(KERNEL)

# docs/syscalls.md of the build, from the one table
$(BUILD)/docs/syscalls.md: docs/gen-syscalls.sh sdk/include/motor/syscalls.def sdk/include/motor/errors.def
	@mkdir -p $(@D)
	$(Q)docs/gen-syscalls.sh >$@
