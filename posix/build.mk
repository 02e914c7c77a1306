# SPDX-License-Identifier: MIT
# The POSIX runtime: one static PIE without libc, $(RUNTIME), and the same with symbols beside it, $(RUNTIME).debug.

CFLAGS_posix := -ffreestanding -fPIE -mgeneral-regs-only -fno-stack-protector -fno-omit-frame-pointer \
    -fno-strict-aliasing -fcf-protection=none -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns \
    -fvisibility=hidden -Iposix $(POSIX_EXTRA)

POSIX_SRC := $(sort $(wildcard posix/*.c posix/*.S))
POSIX_OBJ := $(patsubst %,$(BUILD)/%.o,$(basename $(POSIX_SRC)))

$(RUNTIME).debug: $(POSIX_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) -nostdlib -static-pie -Wl,--no-dynamic-linker,-e,px_start,-z,text,-z,defs,-z,noexecstack,-z,norelro \
	    -Wl,-z,max-page-size=4096,-z,separate-code,--build-id=none,--hash-style=gnu -o $@ $(POSIX_OBJ)

$(RUNTIME): $(RUNTIME).debug
	$(Q)objcopy --strip-debug $< $@

.PHONY: posix
posix: $(RUNTIME)

# docs/posix-calls.md of the build, from the one table
$(BUILD)/docs/posix-calls.md: docs/gen-posix-calls.sh posix/calls.def $(wildcard posix/*.c)
	@mkdir -p $(@D)
	$(Q)docs/gen-posix-calls.sh >$@
