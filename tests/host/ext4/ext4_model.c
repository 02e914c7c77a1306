/* SPDX-License-Identifier: MIT */
/*
 * Random operations on ext4 and on a model in memory, on the file systems that mke2fs makes by
 * default (of Debian 12 and 13), and on some others; with remounts; e2fsck judges the image after
 * each.
 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct disk disk;
static struct model model;
static uint32_t steps;
static uint64_t cache_bytes;

static struct ext4 *mount(bool read_only)
{
    struct ext4_options options = {
        .read_only = read_only, .cache_bytes = cache_bytes, .now = test_now, .log = quiet_log};
    struct ext4 *fs;
    int error = ext4_mount(&disk.device, &options, &fs);
    if (error || ext4_read_only(fs) != read_only)
        fail("mount: %d", error);
    return fs;
}

static void unmount(struct ext4 *fs)
{
    int error = ext4_unmount(fs);
    if (error)
        fail("unmount: %d", error);
}

static void run(void *arg)
{
    (void)arg;
    struct ext4 *fs = mount(false);
    for (uint32_t i = 0; i < steps; i++) {
        const char *what = model_step(&model, fs);
        if (verbose)
            fprintf(stderr, "%u %s\n", i, what);
        if (random_below(200) == 0 && ext4_sync(fs))
            fail("sync");
        if (random_below(400) == 0) {
            unmount(fs);
            fs = mount(false);
        }
    }
    model_compare(&model, fs);
    unmount(fs);
    fs = mount(true);
    model_compare(&model, fs);
    unmount(fs);
}

static void one(const char *options, uint64_t size, uint32_t names, uint32_t file_max,
                uint32_t count, uint64_t cache)
{
    steps = count;
    cache_bytes = cache;
    model = (struct model){.names = names, .file_max = file_max};
    model_init(&model);
    disk_make(&disk, size, options);
    disk_run(&disk, run, NULL);
    disk_check(&disk, options);
    model_free(&model);
    disk_free(&disk);
    printf("ok: %s, %llu MiB, %u steps\n", options, (unsigned long long)size >> 20, count);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    test_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint32_t n = argc > 2 ? (uint32_t)atoi(argv[2]) : 3000;
    verbose = getenv("VERBOSE");
    one("-b 4096", 64 << 20, 40, 200000, n, 8 << 20);
    one("-b 1024", 64 << 20, 40, 200000, n, 1 << 20);
    one("-b 2048 -O metadata_csum_seed,orphan_file", 48 << 20, 1500, 30000, n, 1 << 20);
    one("-b 1024 -O ^64bit,^metadata_csum,^flex_bg", 48 << 20, 40, 100000, n, 1 << 20);
    one("-b 1024 -O ^metadata_csum,uninit_bg -I 128", 48 << 20, 400, 100000, n, 1 << 20);
    one("-b 4096", 64 << 20, 3000, 5000, 2 * n, 1 << 20);
    one("-b 1024 -N 600", 8 << 20, 300, 400000, n, 1 << 20); /* full now and then */
    return 0;
}
