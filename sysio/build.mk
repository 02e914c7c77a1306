# SPDX-License-Identifier: MIT
#
# sysio: a static PIE linked with our own musl (the SDK's libc.a), whose system calls go to base/backend.c.
# $(SYSIO) is stripped, for the bundle; $(SYSIO).elf has the symbols.

sysio_dirs := sysio sysio/base sysio/block sysio/fs sysio/fs/ext4 sysio/fs/proc sysio/fs/sysv sysio/tty sysio/local sysio/start sysio/virtio sysio/stream sysio/net
SYSIO_SRC := $(sort $(foreach d,$(sysio_dirs),$(wildcard $(d)/*.c $(d)/*.S)))
SYSIO_OBJ := $(patsubst %,$(BUILD)/%.o,$(basename $(SYSIO_SRC))) $(BUILD)/sysio/lib/process_start.o

CFLAGS_sysio := -fPIE -fvisibility=hidden -fno-omit-frame-pointer -fno-stack-protector -ffunction-sections -fdata-sections \
    -fno-asynchronous-unwind-tables -fcf-protection=none -D_GNU_SOURCE -nostdinc -isystem $(SDK)/include \
    -isystem $(shell $(CC) -print-file-name=include)

# What handles packets, streams and messages is optimised as one program when it is linked: an HTTP request goes through a hundred small functions
# here and in lwIP, and a tenth of its instructions were their calls.
whole := $(foreach d,net lwip stream base virtio local,$(BUILD)/sysio/$(d)/%.o)
$(whole): CFLAGS_sysio += -flto

include sysio/net/build.mk

$(SYSIO_OBJ) $(LWIP_OBJECTS): | $(SDK)/.motor-key

$(BUILD)/sysio/lib/%.o: sdk/lib/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_BASE) $(CFLAGS_sysio) -MMD -MP -c -o $@ $<

# A call on a file goes through 300 small functions, among twice as much that it seldom needs: errors, other calls, mounts. They lie side by side, so
# that a create and unlink executes code of 29 pages instead of 60: each one costs after every switch of address spaces, far more so under emulation.
sysio_hot := $(BUILD)/sysio/hot.ld
$(sysio_hot): sysio/hot.txt
	@mkdir -p $(@D)
	$(Q)awk 'BEGIN { print "SECTIONS { .text.first : {" } !/^#/ { print "*(.text." $$1 " .text." $$1 ".*)" } END { print "} } INSERT BEFORE .text;" }' $< >$@

sysio_link := $(CC) $(CFLAGS_BASE) -flto=auto -nostdlib -static-pie -Wl,-z,text -Wl,-z,max-page-size=4096 \
    -Wl,-z,noexecstack -Wl,-T,$(sysio_hot) -Wl,--gc-sections -Wl,--build-id=none -Wl,-e,_start

$(SYSIO).elf: $(SYSIO_OBJ) $(LWIP_OBJECTS) $(sysio_hot) $(SDK)/.motor-key
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(sysio_link) -o $@ $(SYSIO_OBJ) $(LWIP_OBJECTS) $(SDK)/lib/libc.a \
	    $(shell $(CC) -print-libgcc-file-name)

# Without the net engine: to work on the rest when that does not build.
$(SYSIO)-nonet: $(filter-out $(BUILD)/sysio/net/% $(BUILD)/sysio/stream/%,$(SYSIO_OBJ)) $(sysio_hot) $(SDK)/.motor-key
	$(call say,LD,$@)
	$(Q)$(sysio_link) -o $@.elf $(filter %.o,$^) $(SDK)/lib/libc.a $(shell $(CC) -print-libgcc-file-name)
	$(Q)objcopy --strip-all $@.elf $@

$(SYSIO): $(SYSIO).elf
	$(Q)objcopy --strip-all $< $@

.PHONY: sysio
sysio: $(SYSIO)
