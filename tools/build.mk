# SPDX-License-Identifier: MIT
#
# Host tools, boot bundles, and the targets that boot them: run and debug.

$(call host_tool,mkbundle,tools/mkbundle.c tools/bundle.c)
$(call host_tool,pattern,tools/pattern.c)
$(call host_tool,motor-run,$(wildcard tools/motor-run/*.c) tools/bundle.c)

# ---- bundles ----------------------------------------------------------------------------------------------------

BUNDLE_CORE := $(BUILD)/bundle-core.img
BUNDLE_BASE := $(BUILD)/bundle-base.img
BUNDLE_NGINX := $(BUILD)/bundle-nginx.img

base_directories := /dev /proc /root:700 /run /srv /tmp:1777 /var/cache /var/log /var/tmp:1777

# Programs keep their symbols, for backtraces, and lose their debug sections.
$(BUILD)/system/%: $(BUILD)/system/%.full
	$(Q)objcopy --strip-debug $< $@
$(BUILD)/system/sysio.full: $(SYSIO)
$(BUILD)/system/runtime.full: $(RUNTIME)
$(BUILD)/system/init.full: $(BUILD)/base/init
$(BUILD)/system/resize.full: $(BUILD)/base/resize
$(BUILD)/system/nginx.full: $(call port_stamp,nginx)
$(BUILD)/system/dash.full: $(call port_stamp,dash)
nginx_program := $(call port,nginx)/usr/sbin/nginx
dash_program := $(call port,dash)/bin/dash
$(BUILD)/system/%.full:
	@mkdir -p $(@D)
	$(Q)cp $(if $(filter %/.motor-key,$<),$($*_program),$<) $@

# What every system needs.
$(BUNDLE_CORE): $(BUILD)/host/mkbundle $(BUILD)/system/sysio $(BUILD)/system/runtime $(wildcard base/etc/*)
	$(call say,BUNDLE,$@)
	$(Q)$< $(addprefix -m ,$(base_directories)) -d base/etc:/etc \
	  -f $(BUILD)/system/sysio:/motor/sysio:500 -f $(BUILD)/system/runtime:/motor/runtime:555 $@

# The base system: init, the shell and the commands, toybox under all of its names. motor-run adds a program to it.
toybox_links = $$(sed 's,.*,-l /bin/toybox:/&,' $(call port,toybox)/links.txt)

base_files := $(BUILD)/system/init:/sbin/init:755 $(BUILD)/system/resize:/usr/bin/resize:755 \
  base/files/service.sh:/usr/sbin/service:755 base/files/strace.sh:/usr/bin/strace:755 base/files/profile:/etc/profile:644 \
  base/files/console:/etc/services.d/console:644
base_sources := $(foreach f,$(base_files),$(firstword $(subst :, ,$(f))))

$(BUNDLE_BASE): $(BUILD)/host/mkbundle $(BUNDLE_CORE) $(BUILD)/system/dash $(call port_stamp,toybox) $(base_sources)
	$(call say,BUNDLE,$@)
	$(Q)set -f; $< -i $(BUNDLE_CORE) -f $(BUILD)/system/dash:/bin/dash:755 -l dash:/bin/sh \
	  $(addprefix -f ,$(base_files)) -f $(call port,toybox)/bin/toybox:/bin/toybox:755 $(toybox_links) $@

# A whole system: init, which starts nginx and a shell on the console, and the site that nginx serves.
nginx_files := $(wildcard ports/nginx/files/*)

$(BUILD)/www/1m.bin: $(BUILD)/host/pattern
	@mkdir -p $(@D)
	$(Q)$< 1048576 >$@
	$(Q)cd $(@D) && sha256sum $(@F) >$(@F).sha256

$(BUNDLE_NGINX): $(BUILD)/host/mkbundle $(BUNDLE_BASE) $(BUILD)/system/nginx $(BUILD)/www/1m.bin $(nginx_files)
	$(call say,BUNDLE,$@)
	$(Q)$< -i $(BUNDLE_BASE) -m /var/log/nginx -m /var/cache/nginx \
	  -f $(BUILD)/system/nginx:/usr/sbin/nginx:755 \
	  -f ports/nginx/files/service:/etc/services.d/nginx:644 \
	  -f ports/nginx/files/nginx.conf:/etc/nginx/nginx.conf:644 \
	  -f $(call port,nginx)/etc/nginx/mime.types:/etc/nginx/mime.types:644 \
	  -f ports/nginx/files/index.html:/srv/www/index.html:644 \
	  -f $(BUILD)/www/1m.bin:/srv/www/1m.bin:644 -f $(BUILD)/www/1m.bin.sha256:/srv/www/1m.bin.sha256:644 \
	  -1 $@ -- /sbin/init init

include tools/image.mk

# ---- targets ----------------------------------------------------------------------------------------------------

all: $(KERNEL) $(BUNDLE_CORE) $(BUNDLE_BASE) $(BUNDLE_NGINX) sdk-system

machine = -M $(MACHINE) -c $(CPUS) -m $(MEM) -k $(KERNEL) -b $(BUNDLE_NGINX) -p $(PORT):80 $(if $(APPEND),-A '$(APPEND)')

run: all
	@tools/run.sh $(PORT) $(ACCEL) $(machine)

debug: all
	@echo "QEMU waits for a debugger. In another terminal:"
	@echo "  gdb $(KERNEL) -ex 'target remote localhost:1234'"
	@echo "and there: break kernel_main, continue. User programs: add-symbol-file with the address they run at."
	@tools/qemu.sh -a tcg -g $(machine)
