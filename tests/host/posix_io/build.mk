# SPDX-License-Identifier: MIT
#
# The I/O half of the POSIX runtime on the host: with a capricious engine, under sanitizers (address, and thread).

POSIX_IO_SOURCES := $(addprefix posix/,accept address append attach control datagram datagram_control desc epoll event eventfd fcntl fd file filelock hot inet inotify iov lent loan memfd mqueue names netinfo netlink path pidfd pipe poll rights ring rw select session \
    socket socket_message stream timerfd tty unix unmade watch lock)
POSIX_IO_FLAGS := -std=gnu17 -O1 -g -fno-omit-frame-pointer -Wall -Wextra -Isdk/include -DPX_HOST_TEST -DMOTOR_SYSCALL_EXTERN
POSIX_IO_RUNTIME := -ffreestanding -fno-builtin -Iposix
POSIX_IO_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined
POSIX_IO_thread := -fsanitize=thread

define posix_io_kind
$(BUILD)/posix_io/$(1)/posix/%.o $(BUILD)/posix_io/$(1)/tests/host/posix_io/seam.o: POSIX_IO_MORE := $(POSIX_IO_RUNTIME)
$(BUILD)/posix_io/$(1)/%.o: %.c
	$$(call say,HOSTCC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(HOSTCC) $$(POSIX_IO_FLAGS) $$(POSIX_IO_MORE) $$(POSIX_IO_$(1)) -MMD -MP -c -o $$@ $$<
endef
define posix_io_test
$(BUILD)/tests/host/posix_io_$(2)_$(1): $(addprefix $(BUILD)/posix_io/$(1)/,$(POSIX_IO_SOURCES:=.o) $(addprefix tests/host/posix_io/,seam.o kernel.o $(3) $(2).o))
	$$(call say,HOSTLD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(HOSTCC) $$(POSIX_IO_$(1)) -pthread -o $$@ $$^
HOST_TESTS += $(BUILD)/tests/host/posix_io_$(2)_$(1)
endef
$(foreach kind,address thread,$(eval $(call posix_io_kind,$(kind))))
$(eval $(call posix_io_test,address,streams,engine.o))
$(eval $(call posix_io_test,thread,streams,engine.o))
$(eval $(call posix_io_test,address,hostile,engine.o))
$(eval $(call posix_io_test,address,table,engine.o))
# These bring an engine of their own.
$(eval $(call posix_io_test,address,lent))
$(eval $(call posix_io_test,thread,lent))
