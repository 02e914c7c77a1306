/* SPDX-License-Identifier: MIT */
/*
 * The machine's block devices: its disks, vda, vdb and so on, and their partitions, vda1, vda2. All
 * are found at start and stay.
 */
#ifndef SYSIO_FS_DEVICES_H
#define SYSIO_FS_DEVICES_H

#include "../block/partition.h"

struct device {
    struct block_device *block;
    uint32_t disk;                     /* number of the disk that it is, or is a part of */
    const struct gpt_partition *entry; /* NULL: a whole disk */
    bool divided;                      /* a disk with partitions */
};

#define DEVICE_MAJOR 254u /* what Linux usually has for virtio disks */
#define DISK_MINORS  16u
static inline uint32_t device_minor(const struct device *d)
{
    return d->disk * DISK_MINORS + (d->entry ? d->entry->number % DISK_MINORS : 0);
}

/* Finds them. Before the engine runs. */
void devices_init(void);
struct device *device_at(uint32_t i); /* each disk before its partitions; NULL: no more */
/* By name ("vda3", "/dev/vda3") or "PARTUUID=" and a partition's GUID; NULL: there is none. */
struct device *device_find(const char *what);
/* Whether it may hold one of our file systems, by what the partition table says. */
bool device_for_files(const struct device *d);

/* disk.c: whether a file system on it, or on a part of it or the disk that it is a part of, is
 * mounted */
bool device_is_mounted(const struct device *d);

bool devices_interrupt(uint64_t badge); /* a notification of a disk's gate; false: it is of none */
bool devices_turn(void);                /* at the end of a turn: true: another one at once */

#endif
