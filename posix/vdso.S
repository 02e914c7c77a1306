/* SPDX-License-Identifier: MIT */
/*
 * What AT_SYSINFO_EHDR names: a shared object in memory with one function, as Linux has it, so that C libraries read the clock
 * by a plain call that does not even enter the runtime. Its image is this section; the function (clock.c) lies elsewhere in the
 * runtime, at its distance from here. Offsets in it are those from its start, and its one segment is loaded where it is.
 */
#define ET_DYN 3
#define EM_X86_64 62
#define PT_LOAD 1
#define PT_DYNAMIC 2
#define DT_NULL 0
#define DT_HASH 4
#define DT_STRTAB 5
#define DT_SYMTAB 6
#define DT_STRSZ 10
#define DT_SYMENT 11
#define DT_SONAME 14
#define GLOBAL_FUNCTION 0x12

	.section .rodata.vdso, "a", @progbits
	.balign 4096
	.globl px_vdso
	.hidden px_vdso
px_vdso:
	.byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0
	.quad 0
	.short ET_DYN, EM_X86_64
	.long 1
	.quad 0                         /* entry */
	.quad program_headers - px_vdso
	.quad 0                         /* section headers */
	.long 0
	.short 64, 56, 2, 64, 0, 0
program_headers:
	.long PT_LOAD, 5
	.quad 0, 0, 0                   /* offset, address, physical address */
	.quad image_end - px_vdso, image_end - px_vdso, 4096
	.long PT_DYNAMIC, 4
	.quad dynamic - px_vdso, dynamic - px_vdso, dynamic - px_vdso
	.quad dynamic_end - dynamic, dynamic_end - dynamic, 8
dynamic:
	.quad DT_SONAME, soname - strings
	.quad DT_HASH, hash - px_vdso
	.quad DT_STRTAB, strings - px_vdso
	.quad DT_STRSZ, strings_end - strings
	.quad DT_SYMTAB, symbols - px_vdso
	.quad DT_SYMENT, 24
	.quad DT_NULL, 0
dynamic_end:
hash:
	.long 1, 2                      /* one bucket; symbols with the null one */
	.long 1                         /* its first */
	.long 0, 0                      /* the next of each: none */
	.balign 8
symbols:
	.quad 0, 0, 0
	.long clock_gettime - strings
	.byte GLOBAL_FUNCTION, 0
	.short 1                        /* any section that is one */
value:
	.quad px_vdso_clock_gettime + (value - px_vdso) - .
	.quad 0
strings:
	.byte 0
clock_gettime:
	.asciz "__vdso_clock_gettime"
soname:
	.asciz "linux-vdso.so.1"
strings_end:
image_end:
