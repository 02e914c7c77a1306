# SPDX-License-Identifier: MIT
#
# The SDK, in $(SDK): bin/ the tools, include/ and lib/ musl and ours, share/ the kernel's user headers, the CMake
# toolchain file, and the system that motor-run boots, with libexec/. It finds itself by its own path and can be moved.
#
# Two steps: $(SDK)/.motor-key is enough to compile with, and is what ports depend on; the system images and tools that
# are built with it come after (sdk_system).

sdk_triple := x86_64-motor-linux-musl
sdk_binutils := ar ranlib strip nm objcopy objdump readelf size strings addr2line as
sdk_gcc_binutils := gcc-ar gcc-ranlib gcc-nm

sdk_sources := $(wildcard sdk/bin/* sdk/lib/* sdk/share/* sdk/libc/*/*.h sdk/include/motor/*)

$(SDK)/.motor-key: sdk/build.mk sdk/mksdk.sh $(call port_stamp,musl) $(sdk_sources)
	$(call say,SDK,$(SDK))
	$(Q)sdk/mksdk.sh $(SDK) $(call port,musl) $(sdk_triple) '$(sdk_binutils)' '$(sdk_gcc_binutils)'
	$(Q)cat $(call port_stamp,musl) $(filter-out sdk/include/%,$(filter sdk/%,$^)) | sha256sum | cut -c1-32 >$@

# motor-run, and what it boots.
sdk_system := $(SDK)/bin/motor-run $(SDK)/libexec/motor/qemu.sh \
  $(SDK)/share/motor/motor.elf $(SDK)/share/motor/base.bundle

.PHONY: sdk sdk-system
sdk-system: $(SDK)/.motor-key $(sdk_system)

$(SDK)/bin/motor-run: $(BUILD)/host/motor-run
$(SDK)/libexec/motor/qemu.sh: tools/qemu.sh
$(SDK)/share/motor/base.bundle: $(BUILD)/bundle-base.img
$(SDK)/bin/motor-run $(SDK)/libexec/motor/qemu.sh $(SDK)/share/motor/base.bundle:
	@mkdir -p $(@D)
	$(Q)cp $< $@.new && mv $@.new $@
$(SDK)/share/motor/motor.elf: $(KERNEL)
	@mkdir -p $(@D)
	$(Q)objcopy --strip-debug $< $@

# One archive, whose folder can be put anywhere.
sdk: $(BUILD)/motor-sdk.tar.gz
$(BUILD)/motor-sdk.tar.gz: $(SDK)/.motor-key $(sdk_system)
	$(call say,TAR,$@)
	$(Q)tar -czf $@ -C $(BUILD) --transform 's,^sdk,motor-sdk,' --exclude=.motor-key --owner=0 --group=0 sdk
