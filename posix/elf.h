/* SPDX-License-Identifier: MIT */
/* The parts of ELF that loading a program and naming its functions need. */
#ifndef PX_ELF_H
#define PX_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_section {
    uint32_t name, type;
    uint64_t flags, addr, offset, size;
    uint32_t link, info;
    uint64_t addralign, entsize;
};

struct elf_symbol {
    uint32_t name;
    uint8_t info, other;
    uint16_t section;
    uint64_t value, size;
};

struct elf_dynamic {
    uint64_t tag, value;
};

struct elf_rela {
    uint64_t offset, info, addend;
};

#define ET_EXEC      2
#define ET_DYN       3
#define EM_X86_64    62
#define PT_LOAD      1
#define PT_INTERP    3
#define PT_GNU_STACK 0x6474e551
#define PF_X         1
#define PF_W         2
#define PF_R         4
#define SHT_SYMTAB   2
#define STT_FUNC     2

#define ELF_SEGMENTS_MAX 64
#define ELF_USER_END     0x00007ffffffff000ull

/* What a program file asks for. Everything in it was checked: see elf_parse(). */
struct elf_program {
    bool fixed;       /* ET_EXEC */
    bool interpreter; /* PT_INTERP */
    uint16_t segments;
    uint16_t phnum; /* program headers in the file */
    uint64_t entry;
    uint64_t low, high; /* page-aligned span of all PT_LOAD */
    /* address of the program headers in memory (before the load bias), 0: not loaded */
    uint64_t phdr;
    struct elf_segment segment[ELF_SEGMENTS_MAX];
};

/* A file whose first bytes, which hold all headers of most programs, have been read at once. */
#define ELF_HEAD_SIZE 1024u
struct elf_file {
    uint32_t handle;
    uint32_t have; /* bytes of head */
    char head[ELF_HEAD_SIZE];
};

/* Bytes of a program with so many segments; what is behind them means nothing. */
static inline size_t elf_program_size(unsigned segments)
{
    return offsetof(struct elf_program, segment) + segments * sizeof(struct elf_segment);
}

/* exec.c: fills the head from handle, 0 or an error; and the read() of elf_parse(), with a struct
 * elf_file */
long px_elf_open(struct elf_file *f, uint32_t handle);
bool px_elf_read(void *file, uint64_t offset, void *to, size_t size);

/*
 * head: the file's first bytes (have of file_size). phdrs: read by read() (bytes at an offset;
 * false: failed). NULL when fine, else what is wrong with the file.
 */
const char *elf_parse(struct elf_program *out, const struct elf_header *head, size_t have,
                      uint64_t file_size,
                      bool (*read)(void *context, uint64_t offset, void *to, size_t size),
                      void *context);

#endif
