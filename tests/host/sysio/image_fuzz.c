/* SPDX-License-Identifier: MIT */
/*
 * motor_image_map() against damaged ELF files: it may refuse, but what it maps lies inside the
 * place it reserved and inside the file, is never writable and executable at once, and the entry is
 * in it.
 *
 *   image_fuzz [SEED [ROUNDS]]
 */
#include "../lib/fake_kernel.h"

#include <motor/process.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(c)  ((c) ? (void)0 : (fprintf(stderr, "image_fuzz.c:%d: %s\n", __LINE__, #c), abort()))
#define PLACE     0x7f0000000000ull
#define FILE_SIZE (5 * 4096u)

static uint64_t state, reserved;
static uint8_t file[FILE_SIZE];

static uint64_t rnd64(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}

static int64_t on_map(motor_handle vmo, uint64_t offset, uint64_t address, uint64_t length,
                      uint32_t flags)
{
    (void)vmo, (void)offset;
    if (!address) {
        CHECK(!reserved && !(flags & MOTOR_PROT_MASK));
        reserved = length;
        return PLACE;
    }
    CHECK((flags & MOTOR_MAP_FIXED) && address >= PLACE && length <= reserved &&
          address - PLACE <= reserved - length);
    CHECK(!((flags & MOTOR_PROT_WRITE) && (flags & MOTOR_PROT_EXEC)));
    CHECK(!(flags & MOTOR_PROT_WRITE) || (flags & MOTOR_MAP_PRIVATE));
    return (int64_t)address;
}

static void make(void)
{
    Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
                    .e_type = ET_DYN,
                    .e_machine = EM_X86_64,
                    .e_version = 1,
                    .e_entry = 0x1010,
                    .e_phoff = 64,
                    .e_ehsize = 64,
                    .e_phentsize = 56,
                    .e_phnum = 4};
    Elf64_Phdr p[4] = {
        {.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = 0x300, .p_memsz = 0x300, .p_align = 4096},
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_X,
         .p_offset = 0x1000,
         .p_vaddr = 0x1000,
         .p_filesz = 0x1234,
         .p_memsz = 0x1234},
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_W,
         .p_offset = 0x3100,
         .p_vaddr = 0x4100,
         .p_filesz = 0x800,
         .p_memsz = 0x5000},
        {.p_type = PT_DYNAMIC, .p_vaddr = 0x4100},
    };
    memset(file, 0, sizeof file);
    memcpy(file, &h, sizeof h);
    memcpy(file + 64, p, sizeof p);
}

static int64_t map_file(uint64_t size, struct motor_image *image)
{
    uint8_t *copy = malloc(FILE_SIZE); /* so that the sanitizer sees its end */
    memcpy(copy, file, FILE_SIZE);
    motor_handle vmo = fake_vmo_of(copy, FILE_SIZE);
    reserved = 0;
    int64_t status = motor_image_map(1, vmo, size, 0, image);
    fake_close(vmo);
    free(copy);
    if (status == 0)
        CHECK(image->entry - PLACE < reserved);
    return status;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
             rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : 300000, good = 0;
    struct motor_image image;
    state = seed * 0x9e3779b97f4a7c15ull + 1;
    fake_map = on_map;
    make();
    CHECK(map_file(FILE_SIZE, &image) == 0 && image.entry == PLACE + 0x1010 &&
          image.end == PLACE + 0xa000);
    for (uint64_t i = 0; i < rounds; i++) {
        make();
        for (unsigned n = 1 + rnd64() % 3; n; n--) {
            uint64_t at = rnd64() % (64 + 4 * 56), value = rnd64() >> (rnd64() % 64);
            memcpy(file + (at & ~7ull), &value, rnd64() % 2 ? 8 : 1 + rnd64() % 4);
        }
        good += map_file(rnd64() % 8 ? FILE_SIZE : rnd64() % FILE_SIZE, &image) == 0;
    }
    CHECK(fake_live_objects() == 0);
    printf("image_fuzz: seed %llu: %llu files, %llu mapped\n", (unsigned long long)seed,
           (unsigned long long)rounds, (unsigned long long)good);
    return 0;
}
