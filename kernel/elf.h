/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_ELF_H
#define KERNEL_ELF_H

#include <stdint.h>

struct aspace;
struct vmo;

struct elf_image { /* a loaded program */
    uint64_t base; /* added to the file's addresses; 0 for ET_EXEC */
    uint64_t entry;
    uint64_t phdr; /* address of the program headers, 0 if no segment holds them */
    uint16_t phnum;
};

/*
 * Map a static ELF64 program for x86-64 (ET_EXEC or static PIE, which relocates itself) from a file
 * inside an object. file: its bytes; offset: where they are in the object. NULL, or what is wrong.
 */
const char *elf_load(struct aspace *as, struct vmo *v, uint64_t offset, const unsigned char *file,
                     uint64_t size, struct elf_image *image);

#endif
