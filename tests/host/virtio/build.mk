# SPDX-License-Identifier: MIT
# sysio's virtio on the host, under sanitizers, with hypervisors that lie.

VIRTIO_FUZZ_FLAGS := -std=gnu17 -O1 -g -Wall -Wextra -Isdk/include -DVIRTIO_HOST_TEST -DMOTOR_SYSCALL_EXTERN \
  -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=alignment -fno-sanitize-recover=undefined

$(BUILD)/tests/host/virtio/virtio_fuzz: tests/host/virtio/virtio_fuzz.c $(wildcard sysio/virtio/*.[ch] sdk/include/motor/*.h)
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(VIRTIO_FUZZ_FLAGS) -o $@ $(filter %.c,$^)

$(BUILD)/tests/host/virtio_fuzz: $(BUILD)/tests/host/virtio/virtio_fuzz
	@printf '#!/bin/sh\nASAN_OPTIONS=detect_leaks=0 exec "$${0%%/*}/virtio/virtio_fuzz" "$${SEED:-1}" "$${ROUNDS:-300}"\n' >$@
	@chmod +x $@

HOST_TESTS += $(BUILD)/tests/host/virtio_fuzz
