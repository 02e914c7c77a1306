# SPDX-License-Identifier: MIT
#
# The loaders of a bootable disk: $(MBR_STAGE1) and $(MBR_STAGE2) for a BIOS, $(EFI_LOADER) for UEFI. The kernel's own
# entry, boot/*.[cS], is built with the kernel. mbr/ and efi/ share load/.

MBR_STAGE1 := $(BUILD)/boot/mbr/stage1.bin
MBR_STAGE2 := $(BUILD)/boot/mbr/stage2.bin
EFI_LOADER := $(BUILD)/boot/efi/bootx64.efi

loader_flags := $(CFLAGS_BASE) -ffreestanding -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
    -fno-strict-aliasing

# ---- mbr: 32-bit C and real mode --------------------------------------------------------------------------------

# Low memory is at addresses that a compiler takes for offsets from a null pointer.
mbr_flags := $(loader_flags) -m32 -march=i686 -Os -fno-pic -fno-pie -mgeneral-regs-only -mno-red-zone \
    -fno-tree-loop-distribute-patterns --param=min-pagesize=0
mbr_src := $(wildcard boot/mbr/*.c) $(wildcard boot/load/*.c) boot/mbr/stage2.S
mbr_obj := $(patsubst boot/%,$(BUILD)/boot/mbr/%.o,$(basename $(mbr_src)))

$(BUILD)/boot/mbr/%.o: boot/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(mbr_flags) -MMD -MP -c -o $@ $<

$(BUILD)/boot/mbr/%.o: boot/%.S
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(mbr_flags) -D__ASSEMBLER__ -MMD -MP -c -o $@ $<

mbr_link = $(CC) -m32 -nostdlib -static -no-pie -Wl,-m,elf_i386,--build-id=none,-z,noexecstack,--no-warn-rwx-segments,-T,$(1) -o $@.elf $(2)

$(MBR_STAGE1): $(BUILD)/boot/mbr/mbr/stage1.o boot/mbr/stage1.ld
	$(Q)$(call mbr_link,boot/mbr/stage1.ld,$<)
	$(Q)objcopy -O binary $@.elf $@

$(MBR_STAGE2): $(mbr_obj) boot/mbr/stage2.ld
	$(Q)$(call mbr_link,boot/mbr/stage2.ld,$(mbr_obj))
	$(Q)objcopy -O binary $@.elf $@

# ---- efi --------------------------------------------------------------------------------------------------------

efi_crt0 := $(firstword $(wildcard /usr/lib/crt0-efi-x86_64.o /usr/lib/*/crt0-efi-x86_64.o /usr/lib/*/gnuefi/crt0-efi-x86_64.o))
efi_lib := $(dir $(efi_crt0))
efi_flags := $(loader_flags) -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 -DGNU_EFI_USE_MS_ABI -fpic -fshort-wchar -mno-red-zone \
    -mgeneral-regs-only -maccumulate-outgoing-args
efi_src := $(wildcard boot/efi/*.c boot/efi/*.S boot/load/*.c)
efi_obj := $(patsubst boot/%,$(BUILD)/boot/efi/%.o,$(basename $(efi_src)))
efi_sections := .text .sdata .data .rodata .dynamic .dynsym .rel .rela .rel.* .rela.* .reloc

$(BUILD)/boot/efi/%.o: boot/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(efi_flags) -MMD -MP -c -o $@ $<

$(BUILD)/boot/efi/%.o: boot/%.S
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(efi_flags) -D__ASSEMBLER__ -MMD -MP -c -o $@ $<

$(EFI_LOADER): $(efi_obj)
	$(call say,LD,$@)
	$(Q)ld -nostdlib -shared -Bsymbolic -znocombreloc -znoexecstack --no-undefined -T $(efi_lib)elf_x86_64_efi.lds -L $(efi_lib) \
	    $(efi_crt0) $(efi_obj) -o $@.so -lgnuefi $(shell $(CC) -print-libgcc-file-name)
	$(Q)objcopy $(addprefix -j ,$(efi_sections)) --target efi-app-x86_64 --subsystem=10 $@.so $@
