# SPDX-License-Identifier: MIT
#
# long __syscall_cp_asm(volatile int *cancel, long n, long a1, ..., long a6)
#
# A cancellation point. pthread_cancel() sets *cancel and sends a signal, whose handler cancels
# only if the interrupted pc lies in [__cp_begin, __cp_end). A call that has not completed is
# shown to the handler rolled back to the call instruction, which lies inside; a completed one at
# its return address, which is __cp_end. The stack argument is pushed before the range and popped
# after it, so the stack is the same at every pc in the range and at __cp_cancel, to which the
# handler may go from any of them.
#
# The roll-back is "return address - 2": the call must be the two bytes ff d0.

.text
.hidden __sysinfo
.hidden __cancel
.global __cp_begin
.hidden __cp_begin
.global __cp_end
.hidden __cp_end
.global __cp_cancel
.hidden __cp_cancel
.global __syscall_cp_asm
.hidden __syscall_cp_asm
.type   __syscall_cp_asm,@function
__syscall_cp_asm:
	push 16(%rsp)              # a6
__cp_begin:
	mov (%rdi),%eax
	test %eax,%eax
	jnz __cp_cancel
	mov %rsi,%rdi              # n
	mov %rdx,%rsi              # a1
	mov %rcx,%rdx              # a2
	mov %r8,%rcx               # a3
	mov %r9,%r8                # a4
	mov 16(%rsp),%r9           # a5
	mov __sysinfo(%rip),%rax
	call *%rax
__cp_end:
	add $8,%rsp
	ret

__cp_cancel:
	call __cancel
	add $8,%rsp
	ret
.size __syscall_cp_asm,.-__syscall_cp_asm
