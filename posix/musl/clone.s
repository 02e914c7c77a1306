# SPDX-License-Identifier: MIT
#
# int __clone(int (*func)(void *), void *stack, int flags, void *arg, pid_t *ptid, void *tls,
# pid_t *ctid)
#
# The child comes back from the call with our callee-saved registers, so func and arg travel in
# two of them, and with rsp exactly at `stack`, so nothing is stored there: its first use is the
# call of func.

.text
.hidden __sysinfo
.global __clone
.hidden __clone
.type   __clone,@function
__clone:
	push %rbp
	mov %rsp,%rbp
	push %rbx
	push %r12
	mov %rdi,%rbx
	mov %rcx,%r12
	and $-16,%rsi
	mov $56,%edi               # SYS_clone
	xchg %rsi,%rdx             # a1 = flags, a2 = stack
	mov %r8,%rcx               # a3 = ptid
	mov 16(%rbp),%r8           # a4 = ctid; a5 = tls is in r9 already
	call *__sysinfo(%rip)
	test %eax,%eax
	jz 1f
	pop %r12
	pop %rbx
	pop %rbp
	ret

1:	xor %ebp,%ebp              # the outermost frame of the new thread
	mov %r12,%rdi
	call *%rbx
	mov %eax,%esi
	mov $60,%edi               # SYS_exit
	call *__sysinfo(%rip)
	hlt
.size __clone,.-__clone
