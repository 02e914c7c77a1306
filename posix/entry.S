/* SPDX-License-Identifier: MIT */
/*
 * The ways in and out of the runtime.
 *
 * px_entry        a call by the C convention: number in rdi, arguments rsi rdx rcx r8 r9 and 8(%rsp)
 * px_linux_entry  the kernel continues a `syscall` with a Linux number here: rcx return address, r11 flags
 * px_upcall_entry the kernel interrupts the program, or a fault happened; rdi: reasons
 * px_resume       the way out that can go to any context: thread->regs
 *
 * busy is 1 from the first instruction of either entry to the last of an exit. An upcall that finds it 0 interrupts the
 * program, or one of three places of this file where busy is 0 all the same:
 *   - rip is the very first instruction of an entry: nothing has happened yet, the call is rolled back;
 *   - rip lies between px_window and px_window_end: an exit of a call; thread->regs is complete, the context is not looked at.
 * After clearing busy each exit looks at tcb.pending: an interruption that came while busy was 1 left its bit there
 * before, and one that comes later is an upcall.
 */
#define GS_BUSY %gs:8
#define GS_PENDING %gs:12
#define GS_CONTEXT_RSP %gs:64 + 7 * 8
#define GS_CONTEXT_RIP %gs:64 + 16 * 8
#define GS_WORK %gs:232
#define GS_KIND %gs:236
#define GS_RAX %gs:240
#define GS_RBX %gs:248
#define GS_RCX %gs:256
#define GS_RDX %gs:264
#define GS_RSI %gs:272
#define GS_RDI %gs:280
#define GS_RBP %gs:288
#define GS_RSP %gs:296
#define GS_R8 %gs:304
#define GS_R9 %gs:312
#define GS_R10 %gs:320
#define GS_R11 %gs:328
#define GS_R12 %gs:336
#define GS_R13 %gs:344
#define GS_R14 %gs:352
#define GS_R15 %gs:360
#define GS_RIP %gs:368
#define GS_RFLAGS %gs:376
#define GS_STACK %gs:384

#define PX_CALLS 453
#define MOTOR_SYS_THREAD_EXIT 0x4d00000a
#define MOTOR_SYS_THREAD_RESUME 0x4d000027
#define THREAD_REGS 240 /* struct px_thread.regs, laid out as struct motor_context */
#define UPCALL_FAULT 0x100

.macro save_callee_saved
	movq %rbx, GS_RBX
	movq %rbp, GS_RBP
	movq %r12, GS_R12
	movq %r13, GS_R13
	movq %r14, GS_R14
	movq %r15, GS_R15
.endm

.text

/* ---- by call ---- */

.globl px_entry
.hidden px_entry
.type px_entry, @function
.balign 64
px_entry:
	movl $1, GS_BUSY
	movq %rdi, GS_RDI
	movq %rsi, GS_RSI
	movq %rdx, GS_RDX
	movq %rcx, GS_RCX
	movq %r8, GS_R8
	movq %r9, GS_R9
	save_callee_saved
	popq %rax
	movq %rax, GS_RIP
	movq %rsp, GS_RSP
	movq (%rsp), %r10
	movl $0, GS_KIND
	movq GS_STACK, %rsp
	movq px_dispatch(%rip), %rax
	cmpq $PX_CALLS, %rdi
	jae 1f
	movslq (%rax, %rdi, 4), %r11
	addq %rax, %r11
	movq %rsi, %rdi
	movq %rdx, %rsi
	movq %rcx, %rdx
	movq %r8, %rcx
	movq %r9, %r8
	movq %r10, %r9
	call *%r11
	cmpl $0, GS_WORK
	jne px_slow
	movq GS_RSP, %rsp
	subq $8, %rsp
	movq %rax, GS_RAX
px_call_exit:
	movl $0, GS_BUSY
px_window:
	cmpl $0, GS_PENDING
	jne 2f
	ret

1:	movq %rsi, %rdi                  /* no such number */
	movq %rdx, %rsi
	call px_call_other
	jmp px_slow

2:	movl $1, GS_BUSY
	movq GS_STACK, %rsp
	jmp px_slow_complete
.size px_entry, . - px_entry

/* ---- by the syscall instruction: every register but rax, rcx and r11 survives; nothing below rsp is touched ---- */

px_raw_exit:
	movq %rax, GS_RAX
	movq GS_RDI, %rdi
	movq GS_RSI, %rsi
	movq GS_RDX, %rdx
	movq GS_R8, %r8
	movq GS_R9, %r9
	movq GS_R10, %r10
	movq GS_RSP, %rsp
	movq GS_RIP, %rcx
	movq GS_RFLAGS, %r11
px_jump_exit:
	movl $0, GS_BUSY
	cmpl $0, GS_PENDING
	jne 2b
	jmp *%rcx

/*
 * ---- a call that is over, from thread->regs: what a call by the C convention keeps, and its result; and rsi, where vfork
 * has its return address ----
 */

px_return:
	movq GS_RSI, %rsi
	movq GS_RBX, %rbx
	movq GS_RBP, %rbp
	movq GS_R12, %r12
	movq GS_R13, %r13
	movq GS_R14, %r14
	movq GS_R15, %r15
	movq GS_RSP, %rsp
	movq GS_RAX, %rax
	movq GS_RIP, %rcx
	jmp px_jump_exit

/* ---- any context: thread->regs, on the runtime stack, busy is 1 ---- */

.globl px_window, px_window_end
.hidden px_window, px_window_end
px_window_end:

.globl px_resume
.hidden px_resume
.type px_resume, @function
px_resume:
	movq %gs:0, %rdi
	addq $THREAD_REGS, %rdi
	movl $MOTOR_SYS_THREAD_RESUME, %eax      /* user mode has no way to load every register at once */
	syscall
	ud2                                      /* a context that no thread can have: the fault ends the program */

px_slow_complete:                        /* regs are complete but the pending bits must be looked at */
	xorl %ebp, %ebp
	call px_leave_context
	testl %eax, %eax
	jnz px_return
	jmp px_resume
.size px_resume, . - px_resume

/* A call is over, its result in rax, and there is something to do before the program goes on. */
px_slow:
	movq %rax, %rdi
	movq GS_STACK, %rsp
	call px_leave_call
	testl %eax, %eax
	jnz px_return
	jmp px_resume

/* For handlers that made a whole new context in thread->regs themselves. */
.globl px_leave_to_context
.hidden px_leave_to_context
px_leave_to_context:
	movq GS_STACK, %rsp
	jmp px_slow_complete

.globl px_linux_entry
.hidden px_linux_entry
.type px_linux_entry, @function
.balign 64
px_linux_entry:
	movl $1, GS_BUSY
	movq %rax, GS_RAX
	movq %rdi, GS_RDI
	movq %rsi, GS_RSI
	movq %rdx, GS_RDX
	movq %r8, GS_R8
	movq %r9, GS_R9
	movq %r10, GS_R10
	save_callee_saved
	movq %rsp, GS_RSP
	movq %rcx, GS_RIP
	movq %r11, GS_RFLAGS
	movl $1, GS_KIND
	movq GS_STACK, %rsp
	movq %r10, %rcx
	cmpq $PX_CALLS, %rax
	jae 1f
	movq px_dispatch(%rip), %r10
	movslq (%r10, %rax, 4), %r11
	addq %r10, %r11
	call *%r11
	cmpl $0, GS_WORK
	je px_raw_exit
	jmp px_slow
1:	call px_call_other
	jmp px_slow
.size px_linux_entry, . - px_linux_entry

/* ---- upcalls: on the fault stack ---- */

.globl px_upcall_entry
.hidden px_upcall_entry
.type px_upcall_entry, @function
.balign 64
px_upcall_entry:
	testl $UPCALL_FAULT, %edi
	jz 2f
	movq GS_CONTEXT_RIP, %rax
	leaq px_guard_begin(%rip), %rcx
	cmpq %rcx, %rax
	jb 1f
	leaq px_guard_end(%rip), %rcx
	cmpq %rcx, %rax
	jae 1f
	movq GS_CONTEXT_RSP, %rsp        /* a guarded access: these functions are leaves and push nothing */
	movl $1, GS_BUSY
	movq $-14, %rax
	ret
1:	xorl %ebp, %ebp
	call px_fault_begin              /* the program's registers to thread->regs, or no return */
	movq GS_STACK, %rsp
	call px_fault_deliver
	jmp px_resume
2:	xorl %ebp, %ebp
	call px_interrupt_begin
	movq GS_STACK, %rsp
	call px_interrupt_deliver
	jmp px_resume
.size px_upcall_entry, . - px_upcall_entry

/* Where a handler returns to: rsp is then the address of its ucontext. */
.globl px_signal_return
.hidden px_signal_return
	nop
px_signal_return:
	movl $1, GS_BUSY
	movq %rsp, %rdi
	movq GS_STACK, %rsp
	xorl %ebp, %ebp
	call px_sigreturn
	jmp px_resume

/* void px_thread_leave(uint32_t *clear, void *unmap, size_t length): the end of this thread */
.globl px_thread_leave
.hidden px_thread_leave
px_thread_leave:
	movl $MOTOR_SYS_THREAD_EXIT, %eax
	syscall
	hlt

/* void px_enter_stack(void *top, void (*function)(void *), void *argument): continue on another stack, for good */
.globl px_enter_stack
.hidden px_enter_stack
px_enter_stack:
	movq %rdi, %rsp
	movq %rdx, %rdi
	xorl %ebp, %ebp
	call *%rsi
	hlt

/* ---- the image's entry: rdi start block, rsi base ---- */

.globl px_start
.hidden px_start
px_start:
	xorl %ebp, %ebp
	andq $-16, %rsp
	leaq px_start(%rip), %rax        /* keeps the linker from dropping it */
	leaq _DYNAMIC(%rip), %rdx
	call px_begin
	hlt

/* ---- the table ---- */

.section .rodata
.balign 64
.globl px_table
.hidden px_table
px_table:
#define CALL(number, name, ...) .org px_table + 4 * number; .hidden px_sys_##name; .long px_sys_##name - px_table;
#define NONE(number, name, error) .org px_table + 4 * number; .long px_missing - px_table;
.hidden px_missing
#define GAP(from, to) .org px_table + 4 * from; .rept to - from + 1; .long px_missing - px_table; .endr;
#include "calls.def"
#undef CALL
#undef NONE
#undef GAP

/* The same, with everything going to the tracer. */
.balign 64
.globl px_trace_table
.hidden px_trace_table
px_trace_table:
.hidden px_trace_call
.rept PX_CALLS
	.long px_trace_call - px_trace_table
.endr

.section .note.GNU-stack, "", @progbits
