/* SPDX-License-Identifier: MIT */
/*
 * memcpy and memmove for the engines, instead of musl's: most of what they copy is a few dozen bytes (requests, records), and the rest pages.
 * musl's `rep movsq` is an instruction for each eight bytes to the emulator, and its slowest way of copying; AVX takes a third of the
 * instructions. What is left over at an end is copied together with some bytes before it, which are there already.
 * (musl's memmove copies backwards byte by byte.)
 */
#define KINFO 0x00007fffffffe000 /* MOTOR_KINFO_ADDRESS */
#define KINFO_XSAVE_MASK 64
#define XCR0_AVX 4
#define WIDE 128 /* bytes from which it pays */

.macro move_16 at
	movq \at(%rsi), %rcx
	movq \at + 8(%rsi), %r8
	movq %rcx, \at(%rdi)
	movq %r8, \at + 8(%rdi)
.endm

.macro load_64 at, a, b
	vmovdqu \at(%rsi), %ymm\a
	vmovdqu \at + 32(%rsi), %ymm\b
.endm

.macro store_64 at, a, b
	vmovdqu %ymm\a, \at(%rdi)
	vmovdqu %ymm\b, \at + 32(%rdi)
.endm

.text
.globl memmove
.type memmove, @function
.balign 32
memmove:
	movq %rdi, %rax
	subq %rsi, %rax
	cmpq %rdx, %rax
	jae memcpy                       /* forwards, which reads nothing behind what it has written */
	movq %rdi, %rax
1:	subq $16, %rdx
	jb 2f
	movq (%rsi, %rdx), %rcx
	movq 8(%rsi, %rdx), %r8
	movq %rcx, (%rdi, %rdx)
	movq %r8, 8(%rdi, %rdx)
	jmp 1b
2:	addq $16, %rdx                   /* the first few: read before any of them is written */
	jmp .Lshort
.size memmove, . - memmove

.globl memcpy
.type memcpy, @function
.balign 32
memcpy:
	movq %rdi, %rax
	cmpq $16, %rdx
	jb .Lshort
	movq -16(%rsi, %rdx), %r10
	movq -8(%rsi, %rdx), %r11
	leaq -16(%rdi, %rdx), %r9
	cmpq $WIDE, %rdx
	jae .Lwide
.Lsome:
	subq $32, %rdx
	jbe .Lrest
1:	move_16 0
	move_16 16
	addq $32, %rsi
	addq $32, %rdi
	subq $32, %rdx
	ja 1b
.Lrest:                                  /* 32 more than rdx are left, of which the last 16 are known */
	cmpq $-16, %rdx
	jle 2f
	move_16 0
2:	movq %r10, (%r9)
	movq %r11, 8(%r9)
	ret

.Lshort:
	cmpq $8, %rdx
	jb 3f
	movq (%rsi), %rcx
	movq -8(%rsi, %rdx), %r8
	movq %rcx, (%rdi)
	movq %r8, -8(%rdi, %rdx)
	ret
3:	cmpq $4, %rdx
	jb 4f
	movl (%rsi), %ecx
	movl -4(%rsi, %rdx), %r8d
	movl %ecx, (%rdi)
	movl %r8d, -4(%rdi, %rdx)
	ret
4:	testq %rdx, %rdx
	jz 5f
	movq %rdx, %r9                   /* the first, the middle and the last of up to three */
	shrq $1, %r9
	movb (%rsi), %cl
	movb (%rsi, %r9), %r8b
	movb -1(%rsi, %rdx), %r10b
	movb %cl, (%rdi)
	movb %r8b, (%rdi, %r9)
	movb %r10b, -1(%rdi, %rdx)
5:	ret

.Lwide:
	movabsq $KINFO, %rcx
	testb $XCR0_AVX, KINFO_XSAVE_MASK(%rcx)
	jz .Lsome
	subq $256, %rdx
	jb 7f
6:	load_64 0, 0, 1
	load_64 64, 2, 3
	load_64 128, 4, 5
	load_64 192, 6, 7
	store_64 0, 0, 1
	store_64 64, 2, 3
	store_64 128, 4, 5
	store_64 192, 6, 7
	addq $256, %rsi
	addq $256, %rdi
	subq $256, %rdx
	jae 6b
7:	addq $192, %rdx                  /* 64 more than rdx are left */
	js 9f
8:	load_64 0, 0, 1
	store_64 0, 0, 1
	addq $64, %rsi
	addq $64, %rdi
	subq $64, %rdx
	jns 8b
9:	vzeroupper
	addq $64, %rdx
	jmp .Lsome
.size memcpy, . - memcpy

.section .note.GNU-stack, "", @progbits
