/* SPDX-License-Identifier: MIT */
/*
 * The loaders' check of the kernel's file: a sound file is placed where its segments say; then
 * files with numbers changed, most of them sealed again with a right checksum. What is accepted can
 * be placed without leaving the file or the memory that was named (sanitizers watch both).
 *
 * kernel_file_fuzz [ROUNDS [SEED]]
 */
#include "../../../boot/load/kernel_file.h"

#include <elf.h>
#include <motor/bundle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENTS   3u
#define FILE_BYTES 4096u
#define PLACE      0x100000u
#define PLACED_MAX (1u << 20) /* what is placed for real; larger claims are only checked */

static uint64_t state = 1;

static uint32_t below(uint32_t n)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((state >> 33) % n);
}

static void need(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "kernel_file_fuzz: %s\n", what);
        abort();
    }
}

struct kernel { /* a small one */
    Elf64_Ehdr header;
    Elf64_Phdr segment[SEGMENTS];
    struct {
        uint32_t name_size, value_size, type;
        char name[4];
        uint32_t value;
    } note;
    unsigned char code[FILE_BYTES - 512];
    struct kernel_trailer trailer;
};

static void seal(struct kernel *k)
{
    k->trailer = (struct kernel_trailer){KERNEL_TRAILER_MAGIC,
                                         motor_bundle_hash(k, offsetof(struct kernel, trailer))};
}

static void make(struct kernel *k)
{
    memset(k, 0, sizeof *k);
    memcpy(k->header.e_ident, "\177ELF\2\1\1", 7);
    k->header.e_type = ET_EXEC;
    k->header.e_machine = EM_X86_64;
    k->header.e_phoff = offsetof(struct kernel, segment);
    k->header.e_phentsize = sizeof(Elf64_Phdr);
    k->header.e_phnum = SEGMENTS;
    for (size_t i = 0; i < sizeof k->code; i++)
        k->code[i] = (unsigned char)below(256);
    k->segment[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                                 .p_offset = offsetof(struct kernel, code),
                                 .p_paddr = PLACE,
                                 .p_filesz = 1000,
                                 .p_memsz = 1000};
    k->segment[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                                 .p_offset = offsetof(struct kernel, code) + 1000,
                                 .p_paddr = PLACE + 4096,
                                 .p_filesz = 500,
                                 .p_memsz = 9000};
    k->segment[2] = (Elf64_Phdr){.p_type = PT_NOTE,
                                 .p_offset = offsetof(struct kernel, note),
                                 .p_filesz = sizeof k->note,
                                 .p_memsz = sizeof k->note};
    k->note.name_size = 4;
    k->note.value_size = 4;
    k->note.type = 18;
    memcpy(k->note.name, "Xen", 4);
    k->note.value = PLACE + 16;
    seal(k);
}

/* The file in memory of exactly its size, so that a look beyond it is seen. */
static const char *open_copy(const struct kernel *k, size_t size, struct kernel_file *out,
                             unsigned char **copy)
{
    *copy = malloc(size ? size : 1);
    memcpy(*copy, k, size);
    return kernel_file_open(*copy, size, out);
}

static void check_good(void)
{
    struct kernel k;
    struct kernel_file f;
    unsigned char *copy;
    make(&k);
    need(!open_copy(&k, sizeof k, &f, &copy), "a sound file is refused");
    need(f.start == PLACE && f.end == PLACE + 4096 + 9000 && f.entry == PLACE + 16, "its place");
    unsigned char *at = malloc(f.end - f.start);
    memset(at, 0xff, f.end - f.start);
    kernel_file_place(&f, at);
    need(!memcmp(at, k.code, 1000) && !memcmp(at + 4096, k.code + 1000, 500), "its bytes");
    for (size_t i = 4096 + 500; i < f.end - f.start; i++)
        need(!at[i], "memory behind a segment's bytes is not zero");
    free(at);
    free(copy);
    for (size_t size = 0; size < sizeof k; size++) {
        need(open_copy(&k, size, &f, &copy) != NULL, "a part of a file is accepted");
        free(copy);
    }
    for (int i = 0; i < 1000; i++) {
        unsigned char *byte = (unsigned char *)&k + below(sizeof k), old = *byte;
        *byte ^= (unsigned char)(1 + below(255));
        need(open_copy(&k, sizeof k, &f, &copy) != NULL, "a damaged file is accepted");
        *byte = old;
        free(copy);
    }
}

static uint64_t odd_number(void)
{
    static const uint64_t numbers[] = {0,          1,          16,          1000,
                                       4096,       FILE_BYTES, 0xfffff,     PLACE,
                                       PLACE + 64, 0x7fffffff, 0x80000000,  0xffffffff,
                                       1ull << 32, 1ull << 63, ~0ull - 999, ~0ull - 4095};
    return numbers[below(sizeof numbers / sizeof *numbers)] + below(3) - 1;
}

static void change(struct kernel *k)
{
    Elf64_Phdr *s = &k->segment[below(SEGMENTS)];
    switch (below(10)) {
    case 0:
        k->header.e_phoff = odd_number();
        break;
    case 1:
        k->header.e_phnum = (uint16_t)odd_number();
        break;
    case 2:
        s->p_type = below(5);
        break;
    case 3:
        k->note.value = (uint32_t)odd_number();
        break;
    case 4:
        s->p_paddr = odd_number();
        break;
    case 5:
        s->p_filesz = odd_number();
        break;
    case 6:
        s->p_memsz = odd_number();
        break;
    case 7:
        s->p_offset = odd_number();
        break;
    default:
        ((unsigned char *)k)[below(offsetof(struct kernel, code))] = (unsigned char)below(256);
    }
}

static int check_any(void)
{
    struct kernel k;
    struct kernel_file f;
    unsigned char *copy;
    make(&k);
    for (uint32_t n = 1 + below(3); n; n--)
        change(&k);
    if (below(8))
        seal(&k);
    int accepted = !open_copy(&k, sizeof k, &f, &copy);
    if (accepted) {
        need(f.start >= PLACE && f.end > f.start && f.end <= 1ull << 32, "a place that is none");
        need(f.entry >= f.start && f.entry < f.end, "an entry outside");
        if (f.end - f.start <= PLACED_MAX) {
            unsigned char *at = malloc(f.end - f.start);
            kernel_file_place(&f, at);
            free(at);
        }
    }
    free(copy);
    return accepted;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 100000, accepted = 0;
    state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    check_good();
    for (unsigned long i = 0; i < rounds; i++)
        accepted += (unsigned long)check_any();
    need(accepted > rounds / 100 && accepted < rounds, "the changes are too small or too large");
    printf("ok: %lu of %lu files accepted\n", accepted, rounds);
    return 0;
}
