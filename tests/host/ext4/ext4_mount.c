/* SPDX-License-Identifier: MIT */
/*
 * A mount that changes nothing writes nothing. The disk says that it needs recovery from just
 * before the first commit on: wherever the power is cut around that, e2fsck -p and a mount of ours
 * find all of what was made durable.
 */
#include "disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SIZE   9000u
#define ROUNDS 4u /* cuts at each point; e2fsck sees one of them before us */

static struct disk disk, cut;
static struct ext4 *fs;
static uint32_t durable; /* entries of the log when the file was */

static void must(const char *what, int64_t got, int64_t wanted)
{
    if (got != wanted)
        fail("%s: %lld, not %lld", what, (long long)got, (long long)wanted);
}

static int64_t fill(void *context, void *page, uint64_t size)
{
    (void)context;
    memset(page, 'x', size);
    return (int64_t)size;
}

static void mount(struct disk *d)
{
    struct ext4_options options = {.cache_bytes = 1 << 20, .now = test_now, .log = quiet_log};
    must("mount", ext4_mount(&d->device, &options, &fs), 0);
}

static struct ext4_node *root(void)
{
    struct ext4_node *n;
    must("root", ext4_root(fs, &n), 0);
    return n;
}

static void look(void *arg)
{
    struct ext4_node *dir, *n;
    mount(arg);
    dir = root();
    must("lookup", ext4_lookup(dir, "lost+found", 10, &n), 0);
    ext4_put(n);
    ext4_put(dir);
    must("sync", ext4_sync(fs), 0);
    must("unmount", ext4_unmount(fs), 0);
}

static void make(void *arg)
{
    struct ext4_new new = {.mode = S_IFREG | 0644};
    struct ext4_node *dir, *n;
    uint32_t seen = 0;
    mount(arg);
    dir = root();
    must("create", ext4_create(dir, "file", 4, &new, &n), 0);
    must("write", ext4_write(n, 0, SIZE, fill, NULL), SIZE);
    must("nothing is written yet", disk.log_count, 0);
    must("fsync", ext4_fsync(n, &seen), 0);
    durable = disk.log_count;
    ext4_put(n);
    ext4_put(dir);
    must("unmount", ext4_unmount(fs), 0);
}

static uint32_t writes(const struct disk *d)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->log_count; i++)
        count += d->log[i].size != 0;
    return count;
}

/* arg: the file has to be there */
static void judge(void *arg)
{
    struct ext4_node *dir, *n;
    mount(&cut);
    dir = root();
    int error = ext4_lookup(dir, "file", 4, &n);
    if (error != -ENOENT || *(bool *)arg) {
        struct ext4_attributes a;
        must("the file", error, 0);
        ext4_attributes(n, &a);
        if (a.size != SIZE && (a.size || *(bool *)arg))
            fail("the file has %llu bytes", (unsigned long long)a.size);
        ext4_put(n);
    }
    ext4_put(dir);
    must("unmount", ext4_unmount(fs), 0);
}

/* What starts a machine with this disk would run first; preen refuses what looks odd. */
static void preen(const struct disk *d)
{
    char command[1024];
    const char *path = test_file("preened");
    disk_save(d, path);
    snprintf(command, sizeof command, "/sbin/e2fsck -p %s >%s 2>&1; test $? -le 1", path,
             test_file("preen.log"));
    if (system(command))
        fail("e2fsck -p refuses %s", path);
    snprintf(command, sizeof command, "/sbin/e2fsck -fn %s >%s 2>&1", path, test_file("preen.log"));
    if (system(command))
        fail("e2fsck -p has not repaired %s", path);
}

static void cut_everywhere(const char *options)
{
    for (uint32_t at = 0; at <= disk.log_count; at++) {
        for (uint32_t i = 0; i < ROUNDS; i++) {
            bool wanted = at >= durable;
            disk_cut(&disk, at, &cut);
            if (i == 0)
                preen(&cut);
            disk_run(&cut, judge, &wanted);
            if (i == 1)
                disk_check(&cut, options);
            disk_free(&cut);
        }
    }
}

int main(void)
{
    static const char *const options[] = {"-b 1024 -J size=1", "-b 4096 -J size=4",
                                          "-b 1024 -J size=1 -O ^metadata_csum,^64bit"};
    for (uint32_t i = 0; i < sizeof options / sizeof *options; i++) {
        disk_make(&disk, 16 << 20, options[i]);
        disk_record(&disk);
        disk_run(&disk, look, &disk);
        must("writes of a mount that looks", writes(&disk), 0);
        disk_record(&disk);
        disk_run(&disk, make, &disk);
        disk_check(&disk, options[i]);
        cut_everywhere(options[i]);
        printf("ok: %s: cuts at %u writes and flushes of the first commit\n", options[i],
               disk.log_count);
        disk_free(&disk);
    }
    return 0;
}
