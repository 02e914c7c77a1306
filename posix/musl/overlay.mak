# SPDX-License-Identifier: MIT
#
# Appended to the config.mak of a musl build; OVERLAY is the absolute path of this folder. Explicit rules win
# over musl's pattern rules, and an earlier -I over a later one, so no upstream file is touched.

.DEFAULT_GOAL := all

CFLAGS_C99FSE += -I$(OVERLAY)

# musl makes its static library of .lo objects when the compiler makes position-independent code by default.
thread := clone syscall_cp __unmapself __set_thread_area

$(thread:%=obj/src/thread/x86_64/%.o): obj/src/thread/x86_64/%.o: $(OVERLAY)/%.s
	$(AS_CMD)
$(thread:%=obj/src/thread/x86_64/%.lo): obj/src/thread/x86_64/%.lo: $(OVERLAY)/%.s
	$(AS_CMD)
obj/src/signal/x86_64/restore.o obj/src/signal/x86_64/restore.lo: $(OVERLAY)/restore.s
	$(AS_CMD)
obj/src/process/x86_64/vfork.o obj/src/process/x86_64/vfork.lo: $(OVERLAY)/vfork.s
	$(AS_CMD)
obj/src/internal/defsysinfo.o obj/src/internal/defsysinfo.lo: $(OVERLAY)/defsysinfo.c
	$(CC_CMD)
