/* SPDX-License-Identifier: MIT */
/*
 * Access to user memory. Each range of code that may fault is in the fix-up table with the place where it continues, with
 * -MOTOR_EFAULT, if trap.c cannot bring the page. Addresses are checked first: below USER_END, without wrapping. A fault
 * handler that succeeded returns here with AC as it was in the interrupted rflags.
 */
#define USER_END 0x00007ffffffff000
#define EFAULT -6
#define EINVAL -1

.macro OPEN_USER
    cmpb $0, cpu_has_smap(%rip)
    je 90f
    stac
90:
.endm
.macro CLOSE_USER
    cmpb $0, cpu_has_smap(%rip)
    je 91f
    clac
91:
.endm
.macro FIXUP from, to, target
    .pushsection .fixup, "a"
    .quad \from, \to, \target
    .popsection
.endm
.macro CHECK_RANGE address, size
    movq $USER_END, %rax
    cmpq %rax, \size
    ja bad_address
    subq \size, %rax
    cmpq %rax, \address
    ja bad_address
.endm

    .text
bad_address:
    movq $EFAULT, %rax
    ret

/* int64_t copy_from_user(void *to, const void *from, size_t n), copy_to_user: 64-bit moves, then bytes (no rep: dear under emulation) */
    .globl copy_from_user, copy_to_user
copy_from_user:
    CHECK_RANGE %rsi, %rdx
    jmp copy_user
copy_to_user:
    CHECK_RANGE %rdi, %rdx
copy_user:
    OPEN_USER
copy_begin:
    cmpq $32, %rdx
    jb 2f
1:  movq (%rsi), %rax
    movq 8(%rsi), %rcx
    movq 16(%rsi), %r8
    movq 24(%rsi), %r9
    movq %rax, (%rdi)
    movq %rcx, 8(%rdi)
    movq %r8, 16(%rdi)
    movq %r9, 24(%rdi)
    addq $32, %rsi
    addq $32, %rdi
    subq $32, %rdx
    cmpq $32, %rdx
    jae 1b
2:  cmpq $8, %rdx
    jb 4f
3:  movq (%rsi), %rax
    movq %rax, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    subq $8, %rdx
    cmpq $8, %rdx
    jae 3b
4:  testq %rdx, %rdx
    jz 6f
5:  movb (%rsi), %al
    movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decq %rdx
    jnz 5b
6:
copy_end:
    CLOSE_USER
    xorl %eax, %eax
    ret
user_fault:
    CLOSE_USER
    movq $EFAULT, %rax
    ret
    FIXUP copy_begin, copy_end, user_fault

/* int64_t copy_string_from_user(char *to, const char *from, size_t size) */
    .globl copy_string_from_user
copy_string_from_user:
    testq %rdx, %rdx
    jz 3f
    movq $USER_END, %rcx
    OPEN_USER
string_begin:
1:  cmpq %rcx, %rsi
    jae user_fault
    movb (%rsi), %al
    movb %al, (%rdi)
    testb %al, %al
    jz 2f
    incq %rsi
    incq %rdi
    decq %rdx
    jnz 1b
string_end:
    CLOSE_USER
    movb $0, -1(%rdi)
3:  movq $EINVAL, %rax
    ret
2:  CLOSE_USER
    xorl %eax, %eax
    ret
    FIXUP string_begin, string_end, user_fault

/* int64_t user_load32(const uint32_t *from, uint32_t *value) */
    .globl user_load32
user_load32:
    movl $4, %edx
    CHECK_RANGE %rdi, %rdx
    OPEN_USER
load_begin:
    movl (%rdi), %ecx
load_end:
    CLOSE_USER
    movl %ecx, (%rsi)
    xorl %eax, %eax
    ret
    FIXUP load_begin, load_end, user_fault

/* int64_t user_store32(uint32_t *to, uint32_t value) */
    .globl user_store32
user_store32:
    movl $4, %edx
    CHECK_RANGE %rdi, %rdx
    OPEN_USER
store_begin:
    movl %esi, (%rdi)
store_end:
    CLOSE_USER
    xorl %eax, %eax
    ret
    FIXUP store_begin, store_end, user_fault

/* int64_t user_cas32(uint32_t *word, uint32_t *expected, uint32_t desired) */
    .globl user_cas32
user_cas32:
    movq %rdx, %r8
    movl $4, %edx
    CHECK_RANGE %rdi, %rdx
    movl (%rsi), %eax
    OPEN_USER
cas_begin:
    lock cmpxchgl %r8d, (%rdi)
cas_end:
    CLOSE_USER
    movl %eax, (%rsi)
    xorl %eax, %eax
    ret
    FIXUP cas_begin, cas_end, user_fault

/* void *memcpy(void *, const void *, size_t), memmove, memset, int memcmp, page_zero, page_copy */
    .globl memcpy, memmove, memset, memcmp, page_zero, page_copy
memmove:
    movq %rdi, %rax
    subq %rsi, %rax
    cmpq %rdx, %rax
    jae memcpy
    movq %rdi, %rax
    jmp 2f
1:  movq -8(%rsi,%rdx), %rcx /* from the end down */
    movq %rcx, -8(%rdi,%rdx)
    subq $8, %rdx
2:  cmpq $8, %rdx
    jae 1b
    testq %rdx, %rdx
    jz 4f
3:  movb -1(%rsi,%rdx), %cl
    movb %cl, -1(%rdi,%rdx)
    decq %rdx
    jnz 3b
4:  ret
memcpy:
    movq %rdi, %rax
    subq $32, %rdx
    jb 2f
1:  movq (%rsi), %rcx
    movq 8(%rsi), %r8
    movq 16(%rsi), %r9
    movq 24(%rsi), %r10
    movq %rcx, (%rdi)
    movq %r8, 8(%rdi)
    movq %r9, 16(%rdi)
    movq %r10, 24(%rdi)
    addq $32, %rsi
    addq $32, %rdi
    subq $32, %rdx
    jae 1b
2:  addq $24, %rdx /* 32 - 8 */
    js 4f
3:  movq (%rsi), %rcx
    movq %rcx, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    subq $8, %rdx
    jns 3b
4:  addq $8, %rdx
    jz 6f
5:  movb (%rsi), %cl
    movb %cl, (%rdi)
    incq %rsi
    incq %rdi
    decq %rdx
    jnz 5b
6:  ret
memset:
    movq %rdi, %r8
    movzbl %sil, %eax
    movabsq $0x0101010101010101, %rcx
    imulq %rcx, %rax
    subq $32, %rdx
    jb 2f
1:  movq %rax, (%rdi)
    movq %rax, 8(%rdi)
    movq %rax, 16(%rdi)
    movq %rax, 24(%rdi)
    addq $32, %rdi
    subq $32, %rdx
    jae 1b
2:  addq $24, %rdx /* 32 - 8 */
    js 4f
3:  movq %rax, (%rdi)
    addq $8, %rdi
    subq $8, %rdx
    jns 3b
4:  addq $8, %rdx
    jz 6f
5:  movb %al, (%rdi)
    incq %rdi
    decq %rdx
    jnz 5b
6:  movq %r8, %rax
    ret
memcmp:
    xorl %eax, %eax
    testq %rdx, %rdx
    jz 2f
1:  movzbl (%rdi), %eax
    movzbl (%rsi), %ecx
    subl %ecx, %eax
    jnz 2f
    incq %rdi
    incq %rsi
    decq %rdx
    jnz 1b
2:  ret
page_zero:
    xorl %eax, %eax
    movl $8, %ecx
1:
    .set at, 0
    .rept 64
    movq %rax, at(%rdi)
    .set at, at + 8
    .endr
    addq $512, %rdi
    decl %ecx
    jnz 1b
    ret
page_copy: /* by lines of the cache, where the CPU knows how to */
    movl $512, %ecx
    rep movsq
    ret

    .section .note.GNU-stack, "", @progbits
