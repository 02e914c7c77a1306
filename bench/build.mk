# SPDX-License-Identifier: MIT
#
# The benchmarks: `make bench` runs both guests beside each other (docs/benchmarks.md), ROWS=boot,calls a part, ROUNDS=N as often.
#
# The Linux guest, below $(LINUX): Debian's cloud kernel and busybox, brought by package name and not installed here, and the same
# nginx by the same recipes, compiled by the same compiler against upstream's musl.

LINUX := $(BUILD)/linux
bench_busybox := $(LINUX)/debian/busybox-static.version
bench_kernel := $(LINUX)/debian/linux-image-cloud-amd64.version

$(bench_busybox) $(bench_kernel): bench/linux/fetch-deb.sh
	$(Q)$< $(patsubst %.version,%,$(@F)) $(@D)

$(LINUX)/vmlinux: bench/linux/vmlinux.sh $(bench_kernel)
	$(call say,UNPACK,$@)
	$(Q)$< $(LINUX)/debian/boot/vmlinuz-*-cloud-amd64 $@

# ---- what Linux programs are compiled with: the SDK's driver around upstream's musl -----------------------------

linux_port = PORT_TREE=$(LINUX) tools/port.sh $(1) $($(2)_VERSION) $(3) $(call source,$(2)) $(@D) $(filter-out tools/port.sh,$^)

$(LINUX)/ports/musl/.motor-key: tools/port.sh $(call source_stamp,musl) bench/linux/musl.sh
	+$(Q)$(call linux_port,linux-musl,musl,bench/linux/musl.sh)

$(LINUX)/sdk/.motor-key: sdk/mksdk.sh $(LINUX)/ports/musl/.motor-key $(sdk_sources)
	$(call say,SDK,$(@D))
	$(Q)sdk/mksdk.sh $(@D) $(LINUX)/ports/musl $(sdk_triple) '$(sdk_binutils)' '$(sdk_gcc_binutils)'
	$(Q)sed -i 's/-D__motor__=1//; s/%{!fomit-frame-pointer:.*}}//' $(@D)/lib/motor.specs
	$(Q)cat $(LINUX)/ports/musl/.motor-key $(@D)/lib/motor.specs | sha256sum | cut -c1-32 >$@

define linux_port_rule
$(LINUX)/ports/$(1)/.motor-key: tools/port.sh $(call source_stamp,$(1)) ports/$(1)/recipe.sh $(LINUX)/sdk/.motor-key \
  $(foreach n,$($(1)_NEEDS),$(LINUX)/ports/$(n)/.motor-key)
	+$$(Q)$$(call linux_port,linux-$(1),$(1),ports/$(1)/recipe.sh)
endef
$(foreach p,zlib pcre2 nginx,$(eval $(call linux_port_rule,$(p))))

# ---- programs, the same source for both guests -----------------------------------------------------------------

bench_calls = $(1)/bin/motor-cc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -pthread -s -o $@ $(filter %.c,$^)

$(BUILD)/bench/motor/calls: $(SDK)/.motor-key
$(BUILD)/bench/linux/calls: $(LINUX)/sdk/.motor-key
$(BUILD)/bench/motor/calls $(BUILD)/bench/linux/calls: $(wildcard bench/calls/*.[ch])
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(call bench_calls,$(if $(findstring linux,$@),$(LINUX)/sdk,$(SDK)))

$(call host_tool,tsc,bench/tsc.c)

# QEMU's own floor.
$(BUILD)/bench/floor.elf: bench/floor.S
	$(call say,AS,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -nostdlib -static -no-pie -Wl,-Ttext=0x100000,-e,start,--build-id=none -o $@ $<

# What a start translates.
$(BUILD)/bench/blocks.so: bench/blocks.c
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(CFLAGS_HOST) -shared -fPIC -o $@ $<

# ---- what is booted ---------------------------------------------------------------------------------------------

bench_www := $(addprefix $(BUILD)/bench/www/,1k.bin 16k.bin 1m.bin 64m.bin)
$(BUILD)/bench/www/1k.bin: size := 1024
$(BUILD)/bench/www/16k.bin: size := 16384
$(BUILD)/bench/www/1m.bin: size := 1048576
$(BUILD)/bench/www/64m.bin: size := 67108864
$(bench_www): $(BUILD)/host/pattern
	@mkdir -p $(@D)
	$(Q)$< $(size) >$@

# small: nginx alone, for boot times and memory; calls: with the calls program beside it; large: and with the largest file. The Linux
# guest takes the program beside nginx from its command line.
bench_small := $(filter-out %/64m.bin,$(bench_www))
site = $(foreach f,$(1),$(f):/srv/www/$(notdir $(f)):644)
bench_site = $(1):/usr/sbin/nginx:755 ports/nginx/files/nginx.conf:/etc/nginx/nginx.conf:644 \
  ports/nginx/files/index.html:/srv/www/index.html:644 $(2)/etc/nginx/mime.types:/etc/nginx/mime.types:644

motor_bundle = $(BUILD)/host/mkbundle -i $(BUNDLE_CORE) -m /var/log/nginx -m /var/cache/nginx \
  $(addprefix -f ,$(call bench_site,$(BUILD)/system/nginx,$(call port,nginx)) $(BUILD)/bench/motor/calls:/usr/bin/calls:755 $(1)) \
  $(2) -e PATH=/usr/sbin:/usr/bin -e HOME=/root $@ -- /usr/sbin/nginx nginx
motor_needs := $(BUILD)/host/mkbundle $(BUNDLE_CORE) $(BUILD)/system/nginx $(nginx_files) $(BUILD)/bench/motor/calls

$(BUILD)/bench/motor-small.img: $(motor_needs) $(bench_small)
	$(call say,BUNDLE,$@)
	$(Q)$(call motor_bundle,$(call site,$(bench_small)))
$(BUILD)/bench/motor-calls.img: $(motor_needs) $(bench_small)
	$(call say,BUNDLE,$@)
	$(Q)$(call motor_bundle,$(call site,$(bench_small)),-w /usr/bin/calls)
$(BUILD)/bench/motor-large.img: $(motor_needs) $(bench_www)
	$(call say,BUNDLE,$@)
	$(Q)$(call motor_bundle,$(call site,$(bench_www)),-w /usr/bin/calls)

$(LINUX)/nginx: $(LINUX)/ports/nginx/.motor-key
	$(Q)strip -o $@ $(@D)/ports/nginx/usr/sbin/nginx
linux_initramfs = bench/linux/mkinitramfs.py $@ $(LINUX)/debian proc/ sys/ tmp/ run/ mnt/vda/ var/log/nginx/ var/cache/nginx/ \
  bench/linux/init:/init $(LINUX)/debian/bin/busybox:/bin/busybox $(addprefix module:,virtio_mmio virtio_pci virtio_net virtio_blk crc32c-intel ext4) \
  base/etc/passwd:/etc/passwd:644 base/etc/group:/etc/group:644 \
  $(call bench_site,$(LINUX)/nginx,$(LINUX)/ports/nginx) \
  $(BUILD)/bench/linux/calls:/usr/bin/calls
linux_needs := bench/linux/mkinitramfs.py bench/linux/init $(bench_busybox) $(bench_kernel) $(LINUX)/nginx $(nginx_files) \
  $(BUILD)/bench/linux/calls

$(BUILD)/bench/linux-small.img: $(linux_needs) $(bench_small)
	$(call say,CPIO,$@)
	$(Q)$(linux_initramfs) $(call site,$(bench_small))
$(BUILD)/bench/linux-large.img: $(linux_needs) $(bench_www)
	$(call say,CPIO,$@)
	$(Q)$(linux_initramfs) $(call site,$(bench_www))

bench_images := $(LINUX)/vmlinux $(addprefix $(BUILD)/bench/,floor.elf blocks.so motor-small.img motor-large.img motor-calls.img \
  linux-small.img linux-large.img)

.PHONY: bench bench-build bench-record
bench-build: all $(bench_images) $(BUILD)/host/httpload $(BUILD)/host/tsc
bench: bench-build
	@bench/bench $(if $(ROWS),--rows '$(ROWS)') $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(filter-out auto,$(ACCEL)),--accel $(ACCEL))
# Motor's counts alone, which need no Linux guest: written, and compared by tests/system/counts.sh.
bench_counts := $(BUILD)/bench/motor-calls.img $(BUILD)/host/httpload
bench-record: all $(bench_counts)
	@bench/bench --counts record
test: $(bench_counts)
