/* SPDX-License-Identifier: MIT */
/* Reading the disk by the BIOS, in pieces, through memory that it reaches. */
#include "mbr.h"

#define SECTOR    512u
#define BUFFER    0x20000u
#define PIECE     127u /* sectors: more is not everywhere allowed in one call */
#define READ_CALL 0x4200u
#define RETRIES   3

struct packet {
    uint16_t size, sectors, offset, segment;
    uint64_t first;
};

static bool read_piece(uint32_t disk, uint64_t sector, uint16_t sectors)
{
    static struct packet packet;
    for (int i = 0; i < RETRIES; i++) {
        packet = (struct packet){sizeof packet, sectors, 0, BUFFER >> 4, sector};
        struct bios_registers r = {
            .eax = READ_CALL, .edx = disk, .esi = (uint32_t)(uintptr_t)&packet};
        bios_call(0x13, &r);
        if (!(r.eflags & EFLAGS_CARRY))
            return true;
    }
    return false;
}

bool disk_read(uint32_t disk, uint64_t sector, uint64_t size, void *to)
{
    while (size) {
        uint64_t whole = (size + SECTOR - 1) / SECTOR;
        uint16_t sectors = whole < PIECE ? (uint16_t)whole : PIECE;
        uint32_t bytes = size < sectors * SECTOR ? (uint32_t)size : sectors * SECTOR;
        if (!read_piece(disk, sector, sectors))
            return false;
        __builtin_memcpy(to, (const void *)BUFFER, bytes);
        to = (unsigned char *)to + bytes;
        size -= bytes;
        sector += sectors;
    }
    return true;
}
