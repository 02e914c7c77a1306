/* SPDX-License-Identifier: MIT */
/* memcpy and memmove for the engines, instead of musl's, whose memmove copies backwards byte by byte: see copy.inc. */
#include "../../sdk/lib/copy.inc"

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
	copy_long
.Lshort:
	copy_short
.size memcpy, . - memcpy

.section .note.GNU-stack, "", @progbits
