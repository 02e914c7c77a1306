/* SPDX-License-Identifier: MIT */
/*
 * Access to the program's memory, which may fault. px_upcall_entry makes a fault whose rip lies between px_guard_begin
 * and px_guard_end a return of -EFAULT: every function here is a leaf that moves neither rsp nor a callee-saved register.
 * Copies use 64-bit moves, which are the fastest under emulation. Most are of a few dozen bytes (a request, a structure), so what is left over is
 * not copied byte by byte but with some of the bytes before it once more. What is long is copied by AVX where the processor has it: a third of
 * the instructions, hardly slower under emulation, and faster elsewhere. Only a call by the C convention may change vector registers: after
 * the syscall instruction, or in an upcall, they are the program's.
 */
#define GS_KIND %gs:236 /* 0: PX_ENTRY_CALL */
#define KINFO 0x00007fffffffe000 /* MOTOR_KINFO_ADDRESS */
#define KINFO_XSAVE_MASK 64
#define XCR0_AVX 4
#define WIDE 128 /* bytes from which it pays */
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
	cmpq $16, %rdx
	jb 5f
	movq -16(%rsi, %rdx), %r10       /* the last 16 bytes go last, over what is there already */
	movq -8(%rsi, %rdx), %r11
	leaq -16(%rdi, %rdx), %r9
	cmpq $WIDE, %rdx
	jae 8f
1:	subq $32, %rdx
	jbe 3f
2:	movq (%rsi), %rax
	movq 8(%rsi), %rcx
	movq %rax, (%rdi)
	movq %rcx, 8(%rdi)
	movq 16(%rsi), %rax
	movq 24(%rsi), %rcx
	movq %rax, 16(%rdi)
	movq %rcx, 24(%rdi)
	addq $32, %rsi
	addq $32, %rdi
	subq $32, %rdx
	ja 2b
3:	cmpq $-16, %rdx                  /* 32 more than that are left: more than the last 16? */
	jle 4f
	movq (%rsi), %rax
	movq 8(%rsi), %rcx
	movq %rax, (%rdi)
	movq %rcx, 8(%rdi)
4:	movq %r10, (%r9)
	movq %r11, 8(%r9)
	xorl %eax, %eax
	ret

5:	cmpq $8, %rdx
	jb 6f
	movq (%rsi), %rax
	movq -8(%rsi, %rdx), %rcx
	movq %rax, (%rdi)
	movq %rcx, -8(%rdi, %rdx)
	xorl %eax, %eax
	ret
6:	cmpq $4, %rdx
	jb 7f
	movl (%rsi), %eax
	movl -4(%rsi, %rdx), %ecx
	movl %eax, (%rdi)
	movl %ecx, -4(%rdi, %rdx)
	xorl %eax, %eax
	ret
7:	xorl %eax, %eax
	testq %rdx, %rdx
	jz 9f
	movq %rdx, %r9                   /* the first, the middle and the last of up to three */
	shrq $1, %r9
	movb (%rsi), %cl
	movb (%rsi, %r9), %r8b
	movb -1(%rsi, %rdx), %r10b
	movb %cl, (%rdi)
	movb %r8b, (%rdi, %r9)
	movb %r10b, -1(%rdi, %rdx)
9:	ret

8:	cmpl $0, GS_KIND
	jne 1b
	movabsq $KINFO, %rax
	testb $XCR0_AVX, KINFO_XSAVE_MASK(%rax)
	jz 1b
	subq $256, %rdx
	jb 11f
10:	vmovdqu (%rsi), %ymm0
	vmovdqu 32(%rsi), %ymm1
	vmovdqu 64(%rsi), %ymm2
	vmovdqu 96(%rsi), %ymm3
	vmovdqu 128(%rsi), %ymm4
	vmovdqu 160(%rsi), %ymm5
	vmovdqu 192(%rsi), %ymm6
	vmovdqu 224(%rsi), %ymm7
	vmovdqu %ymm0, (%rdi)
	vmovdqu %ymm1, 32(%rdi)
	vmovdqu %ymm2, 64(%rdi)
	vmovdqu %ymm3, 96(%rdi)
	vmovdqu %ymm4, 128(%rdi)
	vmovdqu %ymm5, 160(%rdi)
	vmovdqu %ymm6, 192(%rdi)
	vmovdqu %ymm7, 224(%rdi)
	addq $256, %rsi
	addq $256, %rdi
	subq $256, %rdx
	jae 10b
11:	addq $192, %rdx                  /* 64 more than that are left */
	js 13f
12:	vmovdqu (%rsi), %ymm0
	vmovdqu 32(%rsi), %ymm1
	vmovdqu %ymm0, (%rdi)
	vmovdqu %ymm1, 32(%rdi)
	addq $64, %rsi
	addq $64, %rdi
	subq $64, %rdx
	jns 12b
13:	vzeroupper
	addq $64, %rdx
	jmp 1b

/* long px_zero_out(void *user, size_t size) */
function px_zero_out
	xorl %eax, %eax
	subq $32, %rsi
	jb 1f
4:	movq %rax, (%rdi)
	movq %rax, 8(%rdi)
	movq %rax, 16(%rdi)
	movq %rax, 24(%rdi)
	addq $32, %rdi
	subq $32, %rsi
	jae 4b
1:	addq $32, %rsi
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
