/* SPDX-License-Identifier: MIT */
/*
 * Reading a program file's headers. The file is untrusted: what leaves here has been checked
 * against its size and the address space.
 */
#include "elf.h"

#define PAGE        4096ull
#define IDENT_CLASS 4
#define IDENT_DATA  5

static const char *check_header(const struct elf_header *h, size_t have)
{
    static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};
    if (have < sizeof(*h) || h->ident[0] != magic[0] || h->ident[1] != magic[1] ||
        h->ident[2] != magic[2] || h->ident[3] != magic[3]) {
        return "not an ELF program";
    }
    if (h->ident[IDENT_CLASS] != 2 || h->ident[IDENT_DATA] != 1 || h->machine != EM_X86_64) {
        return "an ELF file for another machine";
    }
    if (h->type != ET_EXEC && h->type != ET_DYN) {
        return "an ELF file, but not a program";
    }
    if (h->phentsize != sizeof(struct elf_segment) || h->phnum == 0 ||
        h->phnum > ELF_SEGMENTS_MAX) {
        return "an ELF file with bad program headers";
    }
    return 0;
}

static bool segment_ok(const struct elf_segment *s, uint64_t file_size, uint64_t high)
{
    uint64_t limit = ELF_USER_END;
    return s->memsz >= s->filesz && s->offset <= file_size && s->filesz <= file_size - s->offset &&
           s->vaddr < limit && s->memsz < limit - s->vaddr && (s->vaddr - s->offset) % PAGE == 0 &&
           s->vaddr / PAGE * PAGE >= high && (s->flags & (PF_W | PF_X)) != (PF_W | PF_X);
}

const char *elf_parse(struct elf_program *out, const struct elf_header *head, size_t have,
                      uint64_t file_size,
                      bool (*read)(void *context, uint64_t offset, void *to, size_t size),
                      void *context)
{
    const char *error = check_header(head, have);
    if (error) {
        return error;
    }
    out->fixed = head->type == ET_EXEC;
    out->interpreter = false;
    out->entry = head->entry;
    out->segments = 0;
    out->phnum = head->phnum;
    out->low = UINT64_MAX;
    out->high = 0;
    out->phdr = 0;
    uint64_t table_size = head->phnum * sizeof(struct elf_segment);
    if (head->phoff > file_size || table_size > file_size - head->phoff) {
        return "an ELF file cut short";
    }
    bool entry_found = false;
    for (unsigned i = 0; i < head->phnum; i++) {
        struct elf_segment *s = &out->segment[out->segments];
        if (!read(context, head->phoff + i * sizeof(*s), s, sizeof(*s))) {
            return "an ELF file that cannot be read";
        }
        if (s->type == PT_INTERP) {
            out->interpreter = true;
        }
        if (s->type != PT_LOAD || s->memsz == 0) {
            continue;
        }
        if (!segment_ok(s, file_size, out->high)) {
            return (s->flags & (PF_W | PF_X)) == (PF_W | PF_X) ? "an ELF file with writable code"
                                                               : "an ELF file with a bad segment";
        }
        if (out->segments == 0) {
            out->low = s->vaddr / PAGE * PAGE;
        }
        out->high = (s->vaddr + s->memsz + PAGE - 1) / PAGE * PAGE;
        if (head->phoff >= s->offset && head->phoff - s->offset <= s->filesz &&
            table_size <= s->filesz - (head->phoff - s->offset)) {
            out->phdr = s->vaddr + (head->phoff - s->offset);
        }
        if ((s->flags & PF_X) && head->entry >= s->vaddr && head->entry - s->vaddr < s->memsz) {
            entry_found = true;
        }
        out->segments++;
    }
    if (!out->segments || !entry_found) {
        return "an ELF file without code at its entry";
    }
    if (out->fixed && out->low < PAGE) {
        return "an ELF file with a bad segment";
    }
    return 0;
}
