/* SPDX-License-Identifier: MIT */
/* The machine's disks and their partitions: see devices.h. */
#include "devices.h"

#include "../base/fiber.h"
#include "../block/virtio_blk.h"
#include "fs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISKS_MAX   8u
#define DEVICES_MAX 64u
#define FIRST_BADGE 2000u /* not in the table of badges */

/* Types of partitions that are for files of ours, as they are on the disk. */
static const uint8_t linux_data[16] = {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
                                       0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4};
static const uint8_t linux_root[16] = {0xe3, 0xbc, 0x68, 0x4f, 0xcd, 0xe8, 0xb1, 0x4d,
                                       0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09};

static const char by_id[] = "PARTUUID=";

static struct device devices[DEVICES_MAX];
static struct block_device *disks[DISKS_MAX];
static uint32_t device_count, disk_count;

struct device *device_at(uint32_t i)
{
    return i < device_count ? &devices[i] : NULL;
}

struct device *device_find(const char *what)
{
    static const char folder[] = "/dev/";
    uint8_t guid[16];
    bool is_id = !strncmp(what, by_id, sizeof by_id - 1);
    if (is_id && !gpt_guid_parse(what + sizeof by_id - 1, guid))
        return NULL;
    if (!strncmp(what, folder, sizeof folder - 1))
        what += sizeof folder - 1;
    for (uint32_t i = 0; i < device_count; i++) {
        struct device *d = &devices[i];
        if (is_id ? d->entry && !memcmp(d->entry->id, guid, sizeof guid)
                  : !strcmp(d->block->name, what))
            return d;
    }
    return NULL;
}

bool device_for_files(const struct device *d)
{
    return d->entry ? !memcmp(d->entry->type, linux_data, sizeof linux_data) ||
                          !memcmp(d->entry->type, linux_root, sizeof linux_root)
                    : !d->divided;
}

bool devices_interrupt(uint64_t badge)
{
    if (badge < FIRST_BADGE || badge >= FIRST_BADGE + disk_count)
        return false;
    virtio_blk_turn(disks[badge - FIRST_BADGE], true);
    return true;
}

bool devices_turn(void)
{
    bool again = false;
    for (uint32_t i = 0; i < disk_count; i++)
        again |= virtio_blk_turn(disks[i], false);
    return again | fiber_run();
}

static void device_log(const char *format, ...)
{
    char line[160];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_info("fs", "%s", line);
}

static struct device *device_add(struct device d)
{
    if (device_count == DEVICES_MAX) {
        log_error("fs", "%s is one device too many", d.block->name);
        return NULL;
    }
    devices[device_count] = d;
    return &devices[device_count++];
}

/* The partition that root= names by its GUID gets what its disk has gained. */
static void grow_root(struct block_device *disk)
{
    char what[64];
    uint8_t id[16];
    if (!boot_option("root", what, sizeof what) || strncmp(what, by_id, sizeof by_id - 1) ||
        !gpt_guid_parse(what + sizeof by_id - 1, id))
        return;
    int grown = gpt_grow(disk, id);
    if (grown)
        log_info("fs", "%s: %s", disk->name,
                 grown > 0 ? "the root partition has grown with the disk" : strerror(-grown));
}

static void find_partitions(void *arg)
{
    struct device *whole = arg;
    grow_root(whole->block);
    struct partition *parts;
    int count = partitions_open(whole->block, &parts, device_log);
    for (int i = 0; i < count; i++)
        whole->divided |=
            device_add((struct device){
                .block = &parts[i].device, .disk = whole->disk, .entry = &parts[i].entry}) != NULL;
}

void devices_init(void)
{
    for (uint32_t i = 0; i < DISKS_MAX; i++) {
        int64_t gate = engine_gate(&fs_engine, FIRST_BADGE + i);
        struct block_device *block =
            gate < 0 ? NULL : virtio_blk_open(i, (motor_handle)gate, device_log);
        if (!block)
            return;
        disks[disk_count++] = block;
        struct device *whole = device_add((struct device){.block = block, .disk = i});
        if (whole && !work_now(find_partitions, whole))
            log_error("fs", "%s: no memory for its partitions", block->name);
    }
}
