# SPDX-License-Identifier: MIT
#
# The pure parts of the POSIX runtime on the host, under sanitizers: signals and timers over a made-up kernel and clock;
# the ELF parser with damaged files; the formatter.

POSIX_CORE := $(addprefix posix/,signal kill timers alloc string lock elf)
POSIX_CORE_FLAGS := -std=gnu17 -O1 -g -fno-omit-frame-pointer -Wall -Wextra -Isdk/include -Iposix -DPX_HOST_TEST \
    -DMOTOR_SYSCALL_EXTERN -ffreestanding -fno-builtin -fsanitize=address,undefined -fno-sanitize-recover=undefined

$(BUILD)/posix_core/%.o: %.c
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(POSIX_CORE_FLAGS) -MMD -MP -c -o $@ $<

# host.c speaks to the host's libc, core.c to the runtime: their headers exclude each other.
$(BUILD)/posix_core/tests/host/posix/host.o: tests/host/posix/host.c
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -fsanitize=address,undefined -MMD -MP -c -o $@ $<

$(BUILD)/tests/host/posix_core: $(patsubst %,$(BUILD)/posix_core/%.o,$(POSIX_CORE) tests/host/posix/core tests/host/posix/host)
	$(call say,HOSTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -fsanitize=address,undefined -o $@ $^
HOST_TESTS += $(BUILD)/tests/host/posix_core
