/* SPDX-License-Identifier: MIT */
/*
 * Access to the program's memory, which may fault. px_upcall_entry makes a fault whose rip lies between px_guard_begin
 * and px_guard_end a return of -EFAULT: every function here is a leaf that moves neither rsp nor a callee-saved register.
 * Copies: see copy.inc. Only a call by the C convention may change vector registers: after the syscall instruction, or in an upcall, they are
 * the program's.
 */
#include "../sdk/lib/copy.inc"

#define GS_KIND %gs:236 /* 0: PX_ENTRY_CALL */
.text
.globl px_guard_begin, px_guard_end
.hidden px_guard_begin, px_guard_end
.balign 64
px_guard_begin:

.macro function name
.globl \name
.hidden \name
.type \name, @function
\name:
.endm

/* long px_copy_in(void *to, const void *user, size_t size), px_copy_out(void *user, const void *from, size_t size) */
function px_copy_in
function px_copy_out
	xorl %eax, %eax
	cmpq $16, %rdx
	jb 1f
	copy_long GS_KIND
1:	copy_short

/* long px_zero_out(void *user, size_t size) */
function px_zero_out
	xorl %eax, %eax
	subq $128, %rsi
	jb 1f
4:
	.set at, 0
	.rept 16
	movq %rax, at(%rdi)
	.set at, at + 8
	.endr
	addq $128, %rdi
	subq $128, %rsi
	jae 4b
1:	addq $120, %rsi                  /* 128 - 8 */
	js 6f
5:	movq %rax, (%rdi)
	addq $8, %rdi
	subq $8, %rsi
	jns 5b
6:	addq $8, %rsi
2:	testq %rsi, %rsi
	jz 3f
	movb %al, (%rdi)
	incq %rdi
	decq %rsi
	jmp 2b
3:	ret

/* long px_copy_string(char *to, const char *user, size_t size) */
function px_copy_string
	xorl %eax, %eax
	movabsq $0x0101010101010101, %r8
	movq %r8, %r9
	shlq $7, %r9
1:	cmpq %rdx, %rax
	jae 5f
	leal (%rsi, %rax), %ecx
	testl $7, %ecx
	jz 3f                            /* an aligned word is readable if its first byte is */
2:	movb (%rsi, %rax), %cl
	movb %cl, (%rdi, %rax)
	testb %cl, %cl
	jz 6f
	incq %rax
	jmp 1b
3:	leaq 8(%rax), %rcx
	cmpq %rdx, %rcx
	ja 7f
	movq (%rsi, %rax), %r10
	movq %r10, %r11
	subq %r8, %r11
	movq %r10, %rcx
	notq %rcx
	andq %rcx, %r11
	testq %r9, %r11                  /* has it a zero byte? */
	jnz 4f
	movq %r10, (%rdi, %rax)
	addq $8, %rax
	jmp 3b
4:	movb (%rsi, %rax), %cl
	movb %cl, (%rdi, %rax)
	testb %cl, %cl
	jz 6f
	incq %rax
	jmp 4b
7:	cmpq %rdx, %rax                  /* fewer than 8 bytes are left, or none */
	jb 2b
5:	movq $-36, %rax
6:	ret

/* long px_store_pair(void *user, uint64_t a, uint64_t b) */
function px_store_pair
	movq %rsi, (%rdi)
	movq %rdx, 8(%rdi)
	xorl %eax, %eax
	ret

/* long px_load32(const uint32_t *user, uint32_t *value) */
function px_load32
	movl (%rdi), %eax
	movl %eax, (%rsi)
	xorl %eax, %eax
	ret

/* long px_store32(uint32_t *user, uint32_t value) */
function px_store32
	movl %esi, (%rdi)
	xorl %eax, %eax
	ret

/* long px_cas32(uint32_t *user, uint32_t *expected, uint32_t desired) */
function px_cas32
	movl (%rsi), %eax
	lock cmpxchgl %edx, (%rdi)
	sete %cl
	movl %eax, (%rsi)
	movzbl %cl, %eax
	ret

/* long px_fp_save(void *area, uint64_t mask), px_fp_load(const void *area, uint64_t mask). mask 0: FXSAVE */
function px_fp_save
	testq %rsi, %rsi
	jz 1f
	movl %esi, %eax
	movq %rsi, %rdx
	shrq $32, %rdx
	xsave64 (%rdi)
	xorl %eax, %eax
	ret
1:	fxsave64 (%rdi)
	xorl %eax, %eax
	ret

function px_fp_load
	testq %rsi, %rsi
	jz 1f
	movl %esi, %eax
	movq %rsi, %rdx
	shrq $32, %rdx
	xrstor64 (%rdi)
	xorl %eax, %eax
	ret
1:	fxrstor64 (%rdi)
	xorl %eax, %eax
	ret

px_guard_end:

.section .note.GNU-stack, "", @progbits
