/* SPDX-License-Identifier: MIT */
/*
 * Checking and placing the kernel's file: see kernel_file.h. The checksum says that the file is
 * whole, not that it is good: each offset and size is checked against the file as well.
 */
#include "kernel_file.h"

#include <motor/bundle.h>
#include <stdbool.h>

#define PT_LOAD        1u
#define PT_NOTE        4u
#define NOTE_PHYS32    18u
#define PHYSICAL_MAX   (1ull << 32)
#define PHYSICAL_LEAST (1ull << 20) /* what lies below is the firmware's, and ours */

struct elf_header {
    unsigned char ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct note {
    uint32_t name_size, value_size, type;
    char name[4];
    uint32_t value;
};

static bool inside(uint64_t offset, uint64_t size, uint64_t total)
{
    return offset <= total && size <= total - offset;
}

static struct segment segment_at(const unsigned char *bytes, uint32_t i)
{
    struct elf_header h;
    struct segment s;
    __builtin_memcpy(&h, bytes, sizeof h);
    __builtin_memcpy(&s, bytes + h.phoff + i * sizeof s, sizeof s);
    return s;
}

static uint32_t segment_count(const unsigned char *bytes)
{
    struct elf_header h;
    __builtin_memcpy(&h, bytes, sizeof h);
    return h.phnum;
}

static const char *trailer_check(const unsigned char *bytes, uint64_t size)
{
    struct kernel_trailer t;
    if (size < sizeof t + sizeof(struct elf_header))
        return "it is too short";
    __builtin_memcpy(&t, bytes + size - sizeof t, sizeof t);
    if (t.magic != KERNEL_TRAILER_MAGIC)
        return "it is no Motor kernel, or not all of it";
    return motor_bundle_hash(bytes, size - sizeof t) == t.hash ? NULL : "it is damaged";
}

static const char *header_check(const unsigned char *bytes, uint64_t size)
{
    struct elf_header h;
    static const unsigned char ident[] = {0x7f, 'E', 'L', 'F', 2, 1};
    __builtin_memcpy(&h, bytes, sizeof h);
    if (__builtin_memcmp(h.ident, ident, sizeof ident) || h.machine != 62)
        return "it is not an ELF file for x86-64";
    if (h.phentsize != sizeof(struct segment) || !h.phnum ||
        !inside(h.phoff, (uint64_t)h.phnum * sizeof(struct segment), size))
        return "its segments lie outside";
    return NULL;
}

/* A segment to load: widens what the kernel wants. */
static bool load_check(const struct segment *s, uint64_t size, struct kernel_file *k)
{
    if (!inside(s->offset, s->filesz, size) || s->filesz > s->memsz || s->paddr < PHYSICAL_LEAST ||
        !inside(s->paddr, s->memsz, PHYSICAL_MAX))
        return false;
    if (s->paddr < k->start)
        k->start = s->paddr;
    if (s->paddr + s->memsz > k->end)
        k->end = s->paddr + s->memsz;
    return true;
}

/* The entry, if the note is the one; notes are few and ours is alone in its segment. */
static void note_read(const struct segment *s, uint64_t size, struct kernel_file *k)
{
    struct note n;
    if (s->filesz < sizeof n || !inside(s->offset, sizeof n, size))
        return;
    __builtin_memcpy(&n, k->bytes + s->offset, sizeof n);
    if (n.name_size == 4 && n.value_size == 4 && n.type == NOTE_PHYS32 &&
        !__builtin_memcmp(n.name, "Xen", 4))
        k->entry = n.value;
}

const char *kernel_file_open(const void *bytes, uint64_t size, struct kernel_file *k)
{
    *k = (struct kernel_file){.bytes = bytes, .start = PHYSICAL_MAX};
    const char *error = trailer_check(bytes, size);
    if (!error)
        error = header_check(bytes, size);
    for (uint32_t i = 0; !error && i < segment_count(bytes); i++) {
        struct segment s = segment_at(bytes, i);
        if (s.type == PT_LOAD && !load_check(&s, size, k))
            error = "a segment lies outside";
        else if (s.type == PT_NOTE)
            note_read(&s, size, k);
    }
    if (!error && (k->entry < k->start || k->entry >= k->end))
        error = "it has no PVH entry";
    return error;
}

void kernel_file_place(const struct kernel_file *k, void *at)
{
    for (uint32_t i = 0; i < segment_count(k->bytes); i++) {
        struct segment s = segment_at(k->bytes, i);
        if (s.type != PT_LOAD)
            continue;
        unsigned char *to = (unsigned char *)at + (s.paddr - k->start);
        __builtin_memcpy(to, k->bytes + s.offset, s.filesz);
        __builtin_memset(to + s.filesz, 0, s.memsz - s.filesz);
    }
}
