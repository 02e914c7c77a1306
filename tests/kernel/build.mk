# SPDX-License-Identifier: MIT
# ktest, the kernel's tests, and a bundle in which it takes the place of sysio: tests/system/kernel.sh boots it.

CC_tests_kernel := $(CC) $(CFLAGS_BASE) -O1 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -mno-sse \
    -fcf-protection=none -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns
KTEST_SRC := $(wildcard tests/kernel/*.c)
KTEST := $(BUILD)/tests/kernel/ktest

$(KTEST): $(KTEST_SRC) $(wildcard tests/kernel/*.h) tests/kernel/ktest.ld $(wildcard sdk/include/motor/*)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC_tests_kernel) -nostdlib -static -no-pie -Wl,-T,tests/kernel/ktest.ld -Wl,-z,max-page-size=4096 \
	  -Wl,--build-id=none -o $@ $(KTEST_SRC)

$(KTEST).bundle: $(KTEST) $(BUILD)/host/mkbundle
	$(Q)$(BUILD)/host/mkbundle -f $(KTEST):/motor/sysio:500 $@

.PHONY: ktest
ktest: $(KTEST).bundle $(KERNEL)
	tools/qemu.sh -b $(KTEST).bundle -c $(CPUS) -M $(MACHINE) -m $(MEM) -n none
