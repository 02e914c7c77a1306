/* SPDX-License-Identifier: MIT */
/*
 * The loader of the first program. Text and data are mapped from the bundle in place, private; what
 * lies beyond a segment's file bytes is zeroed or anonymous. Other programs are loaded by user
 * space.
 */
#include "elf.h"
#include "arch/x86_64/arch.h"
#include "aspace.h"
#include "random.h"
#include "vmo.h"
#include <motor/abi.h>

#define PHDRS_MAX       32u
#define SPAN_MAX        (1ull << 30)
#define PIE_BASE        0x0000555500000000ull
#define PIE_RANDOM_BITS 28 /* pages */

#define ET_EXEC   2
#define ET_DYN    3
#define EM_X86_64 62
#define PT_LOAD   1
#define PT_INTERP 3

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

static const char *check_header(const struct elf_header *h, uint64_t size)
{
    static const uint8_t magic[6] = {0x7f, 'E', 'L', 'F', 2, 1};
    if (size < sizeof(*h) || __builtin_memcmp(h->ident, magic, sizeof(magic)) != 0) {
        return "it is not an ELF64 file";
    }
    if (h->machine != EM_X86_64 || (h->type != ET_EXEC && h->type != ET_DYN)) {
        return "it is not a program for x86-64";
    }
    if (h->phentsize != sizeof(struct elf_segment) || h->phnum == 0 || h->phnum > PHDRS_MAX ||
        h->phoff % 8 || h->phoff > size ||
        h->phnum * sizeof(struct elf_segment) > size - h->phoff) {
        return "its program headers are damaged";
    }
    return NULL;
}

static const char *check_segment(const struct elf_segment *s, uint64_t size)
{
    if (s->type == PT_INTERP) {
        return "it is not static";
    }
    if (s->type != PT_LOAD) {
        return NULL;
    }
    if (s->filesz > s->memsz || s->offset > size || s->filesz > size - s->offset ||
        s->offset % PAGE_SIZE != s->vaddr % PAGE_SIZE || s->vaddr >= USER_END ||
        s->memsz > SPAN_MAX || s->vaddr + s->memsz > USER_END) {
        return "a segment is damaged";
    }
    return NULL;
}

static uint64_t page_up(uint64_t n)
{
    return (n + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

static uint32_t protection(const struct elf_segment *s)
{
    return (s->flags & 4 ? MOTOR_PROT_READ : 0) | (s->flags & 2 ? MOTOR_PROT_WRITE : 0) |
           (s->flags & 1 ? MOTOR_PROT_EXEC : 0);
}

/* The file's part of a segment, and zeros to the end of its last page. */
static int64_t map_file_part(struct aspace *as, struct vmo *v, uint64_t offset, uint64_t base,
                             const struct elf_segment *s)
{
    static const uint8_t zeros[256];
    uint64_t start = (base + s->vaddr) & ~(PAGE_SIZE - 1), end = base + s->vaddr + s->filesz;
    uint64_t in_file = offset + (s->offset & ~(PAGE_SIZE - 1));
    int64_t status =
        aspace_map(as, v, in_file, start, page_up(end) - start,
                   protection(s) | MOTOR_MAP_PRIVATE | MOTOR_MAP_NOREPLACE, MOTOR_PROT_MASK);
    uint64_t clear_to =
        base + s->vaddr + s->memsz < page_up(end) ? base + s->vaddr + s->memsz : page_up(end);
    while (status >= 0 && end < clear_to) {
        uint64_t n = clear_to - end < sizeof(zeros) ? clear_to - end : sizeof(zeros);
        status = aspace_write(as, end, zeros, n);
        end += n;
    }
    return status < 0 ? status : 0;
}

static int64_t map_segment(struct aspace *as, struct vmo *v, uint64_t offset, uint64_t base,
                           const struct elf_segment *s)
{
    uint64_t file_end = base + s->vaddr, end = base + s->vaddr + s->memsz;
    int64_t status = 0;
    if (s->filesz) {
        status = map_file_part(as, v, offset, base, s);
        file_end = page_up(base + s->vaddr + s->filesz);
    }
    file_end &= ~(PAGE_SIZE - 1);
    if (status == 0 && page_up(end) > file_end) {
        status =
            aspace_map(as, NULL, 0, file_end, page_up(end) - file_end,
                       protection(s) | MOTOR_MAP_PRIVATE | MOTOR_MAP_NOREPLACE, MOTOR_PROT_MASK);
    }
    return status < 0 ? status : 0;
}

const char *elf_load(struct aspace *as, struct vmo *v, uint64_t offset, const unsigned char *file,
                     uint64_t size, struct elf_image *image)
{
    const struct elf_header *h = (const void *)file;
    const char *error = check_header(h, size);
    if (error) {
        return error;
    }
    const struct elf_segment *s = (const void *)(file + h->phoff);
    uint64_t base =
        h->type == ET_DYN ? PIE_BASE + ((random_u64() >> (64 - PIE_RANDOM_BITS)) << 12) : 0;
    *image = (struct elf_image){.base = base, .entry = base + h->entry, .phnum = h->phnum};
    for (uint32_t i = 0; i < h->phnum; i++) {
        if ((error = check_segment(&s[i], size))) {
            return error;
        }
        if (s[i].type != PT_LOAD || !s[i].memsz) {
            continue;
        }
        if (map_segment(as, v, offset, base, &s[i]) < 0) {
            return "a segment cannot be mapped";
        }
        if (h->phoff >= s[i].offset && h->phoff - s[i].offset < s[i].filesz) {
            image->phdr = base + s[i].vaddr + (h->phoff - s[i].offset);
        }
    }
    return arch_user_address_ok(image->entry) ? NULL : "its entry is no user address";
}
