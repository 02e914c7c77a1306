# SPDX-License-Identifier: MIT
#
# int __set_thread_area(void *p): sets the thread pointer

.text
.hidden __sysinfo
.global __set_thread_area
.hidden __set_thread_area
.type   __set_thread_area,@function
__set_thread_area:
	mov %rdi,%rdx
	mov $0x1002,%esi           # ARCH_SET_FS
	mov $158,%edi              # SYS_arch_prctl
	jmp *__sysinfo(%rip)
.size __set_thread_area,.-__set_thread_area
