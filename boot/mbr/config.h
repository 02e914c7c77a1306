/* SPDX-License-Identifier: MIT */
/*
 * What motor-image writes into the BIOS loader: into its first stage where the second is, into the
 * head of the second where kernel and bundle are. Sectors are of 512 bytes, counted from the start
 * of the disk; all is little-endian.
 */
#ifndef BOOT_MBR_CONFIG_H
#define BOOT_MBR_CONFIG_H

#define MBR_STAGE1_FIELDS 424 /* offset in the first sector of struct mbr_stage1_fields */
#define MBR_STAGE1_SIZE   440 /* what a boot sector leaves for code */
#define MBR_STAGE2_MAX    (32 * 1024)
#define MBR_STAGE2_CODE   2048 /* offset of the code in the second stage: the head lies before it */
#define MBR_MAGIC         "MOTORMBR"
#define MBR_CMDLINE_MAX   1024

#ifndef __ASSEMBLER__
#include <stdint.h>

struct mbr_stage1_fields {
    uint64_t sector; /* of the second stage */
    uint16_t count;  /* its sectors */
} __attribute__((packed));

struct mbr_config {
    char magic[8];
    uint64_t kernel_sector, kernel_size; /* bytes; 0: none */
    uint64_t bundle_sector, bundle_size;
    char cmdline[MBR_CMDLINE_MAX]; /* ends in NUL */
};
_Static_assert(sizeof(struct mbr_config) <= MBR_STAGE2_CODE, "head of the second stage");
#endif

#endif
