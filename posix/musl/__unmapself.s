# SPDX-License-Identifier: MIT
#
# _Noreturn void __unmapself(void *stack, size_t size)
#
# The last act of a detached thread: it unmaps the stack that it runs on, so the call that does
# so cannot return and must end the thread too. That is one private call, with a number that
# Linux does not have.

.text
.hidden __sysinfo
.global __unmapself
.hidden __unmapself
.type   __unmapself,@function
__unmapself:
	mov %rsi,%rdx
	mov %rdi,%rsi
	mov $0x4d0001,%edi         # unmap, then exit the thread
	push %rbp                  # aligns the stack for the call
	call *__sysinfo(%rip)
	hlt
.size __unmapself,.-__unmapself
