# SPDX-License-Identifier: MIT
#
# Motor, from the top: `make run` boots nginx in a VM, `make test` tests everything; README.md has the rest.
#
# This file holds what all parts share. Each part's rules are in its own fragment, listed at the end. A fragment
# names its sources by wildcard and writes below $(BUILD) only. It may rely on
#
#   $(Q), $(call say,CC,file)   quiet commands and the line shown instead; V=1 shows the commands
#   $(CFLAGS_BASE)              what all our C is compiled with
#   CFLAGS_part, CC_part        set by the fragment of part/: $(BUILD)/part/x.o is made of part/x.c or part/x.S
#                               with $(CC_part) $(CFLAGS_BASE) $(CFLAGS_part), dependencies tracked
#   $(call host_tool,name,sources)   a rule for a host program, $(BUILD)/host/name
#   $(call port,name)           in ports.mk: a third-party program's build result

BUILD := build

# Shown with V=1 only.
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)'
endif

CC := gcc
HOSTCC := gcc
AR := ar
CFLAGS_BASE := -std=gnu17 -O2 -g -Wall -Wextra -Werror -Isdk/include
CFLAGS_HOST := $(CFLAGS_BASE) -D_GNU_SOURCE

# What a system is made of; the fragments of kernel/, sysio/ and posix/ make these.
KERNEL := $(BUILD)/kernel/motor.elf
SYSIO := $(BUILD)/sysio/sysio
RUNTIME := $(BUILD)/posix/runtime
SDK := $(BUILD)/sdk

# make run and make debug
PORT ?= 8080
CPUS ?= 1
MEM ?= 128M
ACCEL ?= auto
MACHINE ?= microvm

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# All processors, unless -j says otherwise.
ifeq ($(filter -j% --jobserver%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

.PHONY: all run debug test sdk deps clean help

help:
	@echo 'make run     boots nginx and a shell in QEMU; PORT=8080 CPUS=1 MEM=128M MACHINE=microvm|q35|pc ACCEL=auto|tcg|kvm'
	@echo 'make test    runs all tests; TESTS="PATTERN..." runs those whose names match'
	@echo 'make image   bootable disks, in $(BUILD)/images: nginx-lite.img and httpd.img'
	@echo 'make bench   Motor beside a Linux guest; ROWS=boot,calls a part, ROUNDS=5 pairs of runs'
	@echo 'make debug   as run, but waits for gdb'
	@echo 'make sdk     the SDK, also as an archive'
	@echo 'make deps    installs missing host packages; NO_INSTALL=1 only lists them'
	@echo 'make clean   removes $(BUILD)/'

# Host packages come before anything else is made: the stamp is an included makefile, so make brings it up to
# date first. `make -n` and `make -q` (and with them the shell's completion) install nothing.
goals := $(filter-out clean help deps,$(or $(MAKECMDGOALS),all))
ifneq ($(goals),)
flags := $(filter-out -%,$(firstword $(MAKEFLAGS)))
ifeq ($(findstring n,$(flags))$(findstring q,$(flags)),)
include $(BUILD)/host.mk
endif
endif

$(BUILD)/host.mk: host-packages.txt tools/host-setup.sh
	@tools/host-setup.sh $<
	@mkdir -p $(@D) && echo '# the packages of host-packages.txt are installed' >$@

deps:
	@tools/host-setup.sh host-packages.txt && echo 'all host packages are installed'

clean:
	rm -rf $(BUILD)

# ---- compiling ------------------------------------------------------------------------------------------------

part = $(firstword $(subst /, ,$*))
compile = $(or $(CC_$(part)),$(CC)) $(CFLAGS_BASE) $(CFLAGS_$(part)) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(compile)

$(BUILD)/%.o: %.S
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(compile) -D__ASSEMBLER__

$(BUILD)/host/%.o: %.c
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(CFLAGS_HOST) -MMD -MP -c -o $@ $<

define host_tool_rule
$(BUILD)/host/$(1): $(patsubst %.c,$(BUILD)/host/%.o,$(2))
	$$(call say,HOSTLD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(HOSTCC) $$(CFLAGS_HOST) -o $$@ $$^
endef
host_tool = $(eval $(call host_tool_rule,$(1),$(2)))

# ---- the parts ------------------------------------------------------------------------------------------------

include ports.mk
-include boot/build.mk
-include kernel/build.mk
-include posix/build.mk
-include sysio/build.mk
-include sdk/build.mk
-include base/build.mk
-include tools/build.mk
-include tests/build.mk
-include bench/build.mk

# The reference pages, each from its table.
docs: $(BUILD)/docs/syscalls.md $(BUILD)/docs/posix-calls.md

# Dependency files of earlier runs. Below src/ and ports/ other build systems keep theirs.
others := $(addprefix -o -path $(BUILD)/,src ports sdk linux)
-include $(shell find $(BUILD) \( -false $(others) \) -prune -o -name '*.d' -print 2>/dev/null)
