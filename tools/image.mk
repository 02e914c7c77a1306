# SPDX-License-Identifier: MIT
#
# motor-image, what of the SDK it needs, and the disks that `make image` makes with it.

$(call host_tool,motor-image,$(wildcard tools/motor-image/*.c) tools/bundle.c boot/load/kernel_file.c base/init/config.c)

sdk_image := $(SDK)/bin/motor-image $(addprefix $(SDK)/share/motor/,kernel mbr-stage1.bin mbr-stage2.bin bootx64.efi)

sdk-system $(BUILD)/motor-sdk.tar.gz: $(sdk_image)

$(SDK)/bin/motor-image: $(BUILD)/host/motor-image
$(SDK)/share/motor/mbr-stage1.bin: $(MBR_STAGE1)
$(SDK)/share/motor/mbr-stage2.bin: $(MBR_STAGE2)
$(SDK)/share/motor/bootx64.efi: $(EFI_LOADER)
$(filter-out %/kernel,$(sdk_image)):
	@mkdir -p $(@D)
	$(Q)cp $< $@.new && mv $@.new $@
$(SDK)/share/motor/kernel: $(KERNEL)
	@mkdir -p $(@D)
	$(Q)objcopy --strip-all $< $@

# ---- packages ---------------------------------------------------------------------------------------------------

PACKAGES := $(BUILD)/packages

# $(call package_begin): the folder is empty but for what packages/NAME brings. $(call put,FILE,PATH,MODE): a file of it.
package_begin = rm -rf $(@D) && mkdir -p $(@D)/files && cp packages/$(notdir $(@D))/manifest $(@D)
put = install -D -m $(3) $(1) $(@D)/files$(2)

$(PACKAGES)/nginx/.made: $(BUILD)/system/nginx $(nginx_files) $(BUILD)/www/1m.bin $(wildcard packages/nginx/*) tools/image.mk
	$(call say,PACKAGE,$(@D))
	$(Q)$(package_begin)
	$(Q)$(call put,$(BUILD)/system/nginx,/usr/sbin/nginx,755)
	$(Q)$(call put,ports/nginx/files/nginx.conf,/etc/nginx/nginx.conf,644)
	$(Q)$(call put,$(call port,nginx)/etc/nginx/mime.types,/etc/nginx/mime.types,644)
	$(Q)$(call put,ports/nginx/files/index.html,/srv/www/index.html,644)
	$(Q)$(call put,$(BUILD)/www/1m.bin,/srv/www/1m.bin,644)
	$(Q)cp ports/nginx/files/service $(@D)/service
	$(Q)touch $@

$(BUILD)/system/lighttpd.full: $(call port_stamp,lighttpd)
lighttpd_program := $(call port,lighttpd)/usr/sbin/lighttpd

$(PACKAGES)/httpd/.made: $(BUILD)/system/lighttpd ports/lighttpd/files/lighttpd.conf $(wildcard packages/httpd/*) tools/image.mk
	$(call say,PACKAGE,$(@D))
	$(Q)$(package_begin)
	$(Q)$(call put,$(BUILD)/system/lighttpd,/usr/sbin/lighttpd,755)
	$(Q)$(call put,ports/lighttpd/files/lighttpd.conf,/etc/lighttpd.conf,644)
	$(Q)$(call put,packages/httpd/index.html,/srv/www/index.html,644)
	$(Q)cp packages/httpd/service $(@D)/service
	$(Q)touch $@

# ---- disks ------------------------------------------------------------------------------------------------------

IMAGES := $(addprefix $(BUILD)/images/,nginx-lite.img httpd.img)

.PHONY: image
image: $(IMAGES)

$(BUILD)/images/nginx-lite.img: $(PACKAGES)/nginx/.made
$(BUILD)/images/httpd.img: $(PACKAGES)/httpd/.made
$(IMAGES): $(sdk_system) $(sdk_image)
	$(call say,IMAGE,$@)
	@mkdir -p $(@D)
	$(Q)SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null)} \
	  $(SDK)/bin/motor-image -o $@ --package $(dir $(filter %/.made,$^))
