/* SPDX-License-Identifier: MIT */
/*
 * The GUID partition table at both ends of the disk (UEFI specification, chapter 5), the protective
 * one before it, and the BIOS loader: its first stage around that, its second in a partition.
 */
#include "image.h"

#include "../../boot/mbr/config.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENTRIES      128u
#define ENTRY_SIZE   128u
#define TABLE        (ENTRIES * ENTRY_SIZE)
#define TABLE_SECTOR 2u
#define HEADER_SIZE  92u

struct header {
    char signature[8];
    uint32_t revision, size, crc, reserved;
    uint64_t self, other, first, last;
    uint8_t disk[16];
    uint64_t entries;
    uint32_t count, entry_size, entries_crc;
} __attribute__((packed));

struct entry {
    uint8_t type[16], id[16];
    uint64_t first, last, attributes;
    uint16_t name[36];
};
_Static_assert(sizeof(struct header) == HEADER_SIZE && sizeof(struct entry) == ENTRY_SIZE, "GPT");

static const struct {
    uint8_t type[16];
    const char *name, *id;
} kinds[] = {
    [PART_BIOS] = {{0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64,
                    0x45, 0x46, 0x49},
                   "BIOS boot",
                   "BIOS partition"},
    [PART_ESP] = {{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9,
                   0x3e, 0xc9, 0x3b},
                  "EFI system",
                  "EFI partition"},
    [PART_ROOT] = {{0xe3, 0xbc, 0x68, 0x4f, 0xcd, 0xe8, 0xb1, 0x4d, 0x96, 0xe7, 0xfb, 0xca, 0xf9,
                    0x84, 0xb7, 0x09},
                   "root",
                   "root partition"},
};

/* ISO 3309 */
static uint32_t crc32(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t crc = ~0u;
    for (; size; size--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void make_entries(const struct image *image, uint8_t table[TABLE])
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct entry e = {.first = image->start[i] / SECTOR,
                          .last = (image->start[i] + image->length[i]) / SECTOR - 1};
        memcpy(e.type, kinds[i].type, sizeof e.type);
        image_guid(image, kinds[i].id, e.id);
        for (size_t c = 0; kinds[i].name[c]; c++)
            e.name[c] = (uint8_t)kinds[i].name[c];
        memcpy(table + i * ENTRY_SIZE, &e, sizeof e);
    }
}

static void write_header(const struct image *image, const uint8_t table[TABLE], uint64_t sectors,
                         bool copy)
{
    uint64_t last = sectors - 1, copied_table = last - TABLE / SECTOR;
    struct header h = {.signature = {'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'},
                       .revision = 0x10000,
                       .size = HEADER_SIZE,
                       .self = copy ? last : 1,
                       .other = copy ? 1 : last,
                       .first = TABLE_SECTOR + TABLE / SECTOR,
                       .last = copied_table - 1,
                       .entries = copy ? copied_table : TABLE_SECTOR,
                       .count = ENTRIES,
                       .entry_size = ENTRY_SIZE,
                       .entries_crc = crc32(table, TABLE)};
    image_guid(image, "disk", h.disk);
    h.crc = crc32(&h, sizeof h);
    disk_write(image, h.self * SECTOR, &h, sizeof h);
    disk_write(image, h.entries * SECTOR, table, TABLE);
}

/* The first sector: the BIOS loader's first stage, and one partition that covers everything. */
static void write_first_sector(const struct image *image, uint64_t sectors, uint16_t stage2_sectors)
{
    uint8_t sector[SECTOR] = {0}, disk[16];
    size_t size;
    char *path = sdk_file("share/motor/mbr-stage1.bin"), *stage1 = file_load(path, &size);
    struct mbr_stage1_fields fields = {image->start[PART_BIOS] / SECTOR, stage2_sectors};
    uint32_t covered = sectors - 1 > UINT32_MAX ? UINT32_MAX : (uint32_t)(sectors - 1), one = 1;
    if (size != MBR_STAGE1_SIZE)
        die("%s: it has the wrong size", path);
    memcpy(sector, stage1, size);
    memcpy(sector + MBR_STAGE1_FIELDS, &fields, sizeof fields);
    image_guid(image, "disk", disk);
    memcpy(sector + 440, disk, 4);
    static const uint8_t whole[] = {0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff};
    memcpy(sector + 446, whole, sizeof whole);
    memcpy(sector + 454, &one, 4);
    memcpy(sector + 458, &covered, 4);
    sector[510] = 0x55;
    sector[511] = 0xaa;
    disk_write(image, 0, sector, sizeof sector);
    free(stage1);
    free(path);
}

static uint16_t write_stage2(struct image *image)
{
    size_t size;
    char *path = sdk_file("share/motor/mbr-stage2.bin"), *stage2 = file_load(path, &size);
    struct mbr_config c = {.kernel_sector = image->kernel_at / SECTOR,
                           .kernel_size = image->kernel_size,
                           .bundle_sector = image->bundle_at / SECTOR,
                           .bundle_size = image->bundle_size};
    if (size < MBR_STAGE2_CODE || size > image->length[PART_BIOS])
        die("%s: it has the wrong size", path);
    memcpy(c.magic, MBR_MAGIC, sizeof c.magic);
    memcpy(c.cmdline, image->cmdline, sizeof c.cmdline);
    memcpy(stage2, &c, sizeof c);
    disk_write(image, image->start[PART_BIOS], stage2, size);
    image->content += size;
    free(stage2);
    free(path);
    return (uint16_t)((size + SECTOR - 1) / SECTOR);
}

void gpt_make(struct image *image)
{
    static uint8_t table[TABLE];
    struct stat st;
    if (fstat(image->disk, &st))
        die("%s cannot be looked at", image->disk_path);
    uint64_t sectors = (uint64_t)st.st_size / SECTOR;
    make_entries(image, table);
    write_header(image, table, sectors, false);
    write_header(image, table, sectors, true);
    write_first_sector(image, sectors, write_stage2(image));
}
