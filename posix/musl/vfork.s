# SPDX-License-Identifier: MIT
#
# pid_t vfork(void)
#
# The child runs on our stack before we come back, and overwrites the slot of our return address:
# it is kept in rsi, which this one call leaves as it was, in the child and in the parent.

.text
.hidden __sysinfo
.hidden __syscall_ret
.global vfork
.type   vfork,@function
vfork:
	pop %rsi
	mov $58,%edi               # SYS_vfork
	call *__sysinfo(%rip)
	push %rsi
	mov %rax,%rdi
	jmp __syscall_ret
.size vfork,.-vfork
