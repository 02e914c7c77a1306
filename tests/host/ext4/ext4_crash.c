/* SPDX-License-Identifier: MIT */
/*
 * Power cuts. Random operations on a disk that records writes and flushes; then, for many points,
 * what a disk with a volatile cache could have kept: all that was flushed, and any of the rest.
 * Each is mounted, which replays the journal. Then names, sizes and links are those after some
 * operation, not before the last one that was made durable; every byte is right; and e2fsck finds
 * nothing.
 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX   5000u
#define CHECK_EVERY 8u /* cuts, of which one is shown to e2fsck */

static struct disk disk, cut;
static struct model model;
static struct {
    uint64_t hash;
    uint32_t begun;  /* entries of the log when the operation began that led to it */
    uint32_t synced; /* entries of the log when it was durable; 0: not known to be */
} states[STEPS_MAX + 1];
static uint32_t steps, cut_at;

static const struct workload {
    const char *name;
    struct model model;
} mixed = {"mixed", {.names = 30, .file_max = 60000}},
  small = {"many small files", {.names = 300, .file_max = 3000, .weights = {55, 20, 5, 0, 0, 20}}},
  trees = {"trees", {.names = 25, .file_max = 9000, .weights = {35, 25, 30, 5, 0, 5}, .files = 2}},
  appends = {"appends",
             {.names = 12, .file_max = 200000, .weights = {10, 3, 2, 0, 0, 85}, .writes = 30}},
  truncations = {"truncations",
                 {.names = 12, .file_max = 90000, .weights = {10, 3, 2, 0, 0, 85}, .writes = 2}},
  replacements = {"replacements",
                  {.names = 16, .file_max = 20000, .weights = {25, 2, 35, 3, 5, 30}}};

static struct ext4 *mount(struct disk *d)
{
    struct ext4_options options = {.cache_bytes = 1 << 20, .now = test_now, .log = quiet_log};
    struct ext4 *fs;
    int error = ext4_mount(&d->device, &options, &fs);
    if (error || ext4_read_only(fs))
        fail("mount: %d (cut at %u)", error, cut_at);
    return fs;
}

/* The fsync of one inode makes everything before it durable, as all is in one journal. */
static void make_durable(struct ext4 *fs)
{
    struct ext4_node *root;
    uint32_t seen = 0;
    if (random_below(2)) {
        if (ext4_sync(fs))
            fail("sync");
    } else if (ext4_root(fs, &root) || ext4_fsync(root, &seen)) {
        fail("fsync");
    } else {
        ext4_put(root);
    }
}

static void work(void *arg)
{
    (void)arg;
    struct ext4 *fs = mount(&disk);
    if (ext4_sync(fs))
        fail("sync");
    disk_record(&disk);
    states[0].hash = model_hash(&model);
    states[0].synced = 1;
    for (uint32_t i = 1; i <= steps; i++) {
        states[i].begun = disk.log_count;
        const char *what = model_step(&model, fs);
        if (verbose)
            fprintf(stderr, "%u at %u: %s\n", i, disk.log_count, what);
        states[i].hash = model_hash(&model);
        if (random_below(12) == 0) {
            make_durable(fs);
            states[i].synced = disk.log_count;
        }
    }
    if (ext4_unmount(fs))
        fail("unmount");
}

static void judge(void *arg)
{
    (void)arg;
    struct ext4 *fs = mount(&cut);
    uint64_t hash = tree_hash(fs, true);
    uint32_t first = 0;
    for (uint32_t i = 1; i <= steps; i++)
        if (states[i].synced && states[i].synced <= cut_at)
            first = i;
    bool found = false;
    for (uint32_t i = first; i <= steps && (i == first || states[i].begun <= cut_at); i++)
        found |= states[i].hash == hash;
    if (!found) {
        disk_save(&cut, test_file("cut"));
        fail("cut at %u of %u: not the state after any operation from %u on (%s)", cut_at,
             disk.log_count, first, test_file("cut"));
    }
    if (ext4_unmount(fs))
        fail("unmount");
}

static void one(const struct workload *w, const char *options, uint64_t size, uint32_t count,
                uint32_t cuts)
{
    steps = count;
    memset(states, 0, sizeof states);
    model = w->model;
    model.append_only = true;
    model_init(&model);
    disk_make(&disk, size, options);
    disk_run(&disk, work, NULL);
    disk_check(&disk, options);
    for (uint32_t i = 0; i < cuts; i++) {
        cut_at = random_below(disk.log_count + 1);
        disk_cut(&disk, cut_at, &cut);
        disk_run(&cut, judge, NULL);
        if (i % CHECK_EVERY == 0)
            disk_check(&cut, options);
        disk_free(&cut);
    }
    printf("ok: %s: %s: %u cuts of %u writes and flushes\n", w->name, options, cuts,
           disk.log_count);
    fflush(stdout);
    model_free(&model);
    disk_free(&disk);
}

/* ext4_crash [SEED [CUTS]]: of each workload and kind of disk. */
int main(int argc, char **argv)
{
    static const char small_blocks[] = "-b 1024 -J size=1", large_blocks[] = "-b 4096 -J size=4";
    test_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint32_t cuts = argc > 2 ? (uint32_t)atoi(argv[2]) : 120;
    verbose = getenv("VERBOSE");
    one(&mixed, small_blocks, 8 << 20, 1500, cuts);
    one(&mixed, large_blocks, 16 << 20, 1500, cuts);
    one(&mixed, "-b 1024 -J size=1 -O ^metadata_csum,^64bit", 8 << 20, 600, cuts);
    one(&small, small_blocks, 8 << 20, 1500, cuts);
    one(&trees, small_blocks, 8 << 20, 1500, cuts);
    one(&appends, large_blocks, 16 << 20, 1000, cuts);
    one(&truncations, small_blocks, 8 << 20, 1000, cuts);
    one(&replacements, large_blocks, 16 << 20, 1500, cuts);
    return 0;
}
