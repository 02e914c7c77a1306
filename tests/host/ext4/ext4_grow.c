/* SPDX-License-Identifier: MIT */
/*
 * File systems that grow to the size of their disk: sizes around the edges of groups, block sizes
 * and layouts. Afterwards e2fsck finds nothing, files are what they were, and the new space can be
 * filled. And power cuts while it happens: the old size or the new one, never anything between.
 */
#include "disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MIB (1u << 20)

static struct disk disk;
static uint64_t blocks_before, blocks_after;

static void must(const char *what, int error)
{
    if (error < 0)
        fail("%s: %s", what, strerror(-error));
}

static struct ext4 *mount(void)
{
    struct ext4_options options = {.cache_bytes = 1 << 20, .now = test_now, .log = quiet_log};
    struct ext4 *fs;
    must("mount", ext4_mount(&disk.device, &options, &fs));
    if (ext4_read_only(fs))
        fail("it is read-only");
    return fs;
}

static uint64_t blocks(struct ext4 *fs)
{
    struct ext4_statfs st;
    ext4_statfs(fs, &st);
    return st.blocks;
}

static int64_t fill(void *context, void *page, uint64_t size)
{
    memset(page, *(int *)context, size);
    return (int64_t)size;
}

static int64_t check(void *context, void *page, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++)
        if (((uint8_t *)page)[i] != (uint8_t) * (int *)context)
            fail("a file has other bytes");
    return (int64_t)size;
}

/* A file of `size` bytes, or as many as there is room for. */
static void write_file(struct ext4 *fs, const char *name, int byte, uint64_t size)
{
    struct ext4_node *root, *n;
    struct ext4_new new = {.mode = S_IFREG | 0644};
    must("root", ext4_root(fs, &root));
    must(name, ext4_create(root, name, strlen(name), &new, &n));
    for (uint64_t at = 0; at < size; at += 64 << 10) {
        int64_t done = ext4_write(n, at, 64 << 10, fill, &byte);
        if (done == -ENOSPC || (done >= 0 && done < 64 << 10))
            break;
        must(name, (int)done);
    }
    ext4_put(n);
    ext4_put(root);
}

static void check_file(struct ext4 *fs, const char *name, int byte, uint64_t size)
{
    struct ext4_node *root, *n;
    must("root", ext4_root(fs, &root));
    must(name, ext4_lookup(root, name, strlen(name), &n));
    for (uint64_t at = 0; at < size; at += 64 << 10)
        must(name, (int)ext4_read(n, at, 64 << 10, check, &byte));
    ext4_put(n);
    ext4_put(root);
}

static void prepare(void *arg)
{
    struct ext4 *fs = mount();
    (void)arg;
    write_file(fs, "old", 'o', MIB);
    blocks_before = blocks(fs);
    if (ext4_can_grow(fs))
        fail("it can grow on a disk of its size");
    must("unmount", ext4_unmount(fs));
}

static void grow(void *arg)
{
    struct ext4 *fs = mount();
    (void)arg;
    if (ext4_can_grow(fs))
        must("grow", ext4_grow(fs));
    must("unmount", ext4_unmount(fs));
    fs = mount();
    if (ext4_can_grow(fs))
        fail("it can grow again");
    blocks_after = blocks(fs);
    must("unmount", ext4_unmount(fs));
}

static void use(void *arg)
{
    struct ext4 *fs = mount();
    (void)arg;
    check_file(fs, "old", 'o', MIB);
    write_file(fs, "new", 'n', ~0ull);
    check_file(fs, "new", 'n', 10 * MIB);
    must("unmount", ext4_unmount(fs));
}

static void enlarge(uint64_t size)
{
    disk.bytes = realloc(disk.bytes, size);
    /* what was on the disk before is not zero */
    memset(disk.bytes + disk.device.size, 0xa5, size - disk.device.size);
    disk.device.size = size;
}

static void try_sizes(uint64_t from, uint64_t to, const char *options)
{
    disk_make(&disk, from, options);
    disk_run(&disk, prepare, NULL);
    enlarge(to);
    disk_run(&disk, grow, NULL);
    disk_check(&disk, "grown");
    if (blocks_after < blocks_before)
        fail("%s: it has shrunk", options);
    /* all but a last group that would be too small */
    if (to - from > 40 * MIB && blocks_after < blocks_before + (to - from) / 4096 * 8 / 10)
        fail("%s: %llu blocks became %llu only", options, (unsigned long long)blocks_before,
             (unsigned long long)blocks_after);
    disk_run(&disk, use, NULL);
    disk_check(&disk, "filled");
    disk_free(&disk);
}

static void replay(void *arg)
{
    struct ext4 *fs = mount();
    (void)arg;
    check_file(fs, "old", 'o', MIB);
    must("unmount", ext4_unmount(fs));
}

static void power_cuts(void)
{
    struct disk whole;
    disk_make(&disk, 20 * MIB, "-b 4096 -g 4096");
    disk_run(&disk, prepare, NULL);
    enlarge(50 * MIB);
    disk_record(&disk);
    disk_run(&disk, grow, NULL);
    whole = disk;
    for (uint32_t cut = 0; cut <= whole.log_count; cut++) {
        disk_cut(&whole, cut, &disk);
        disk_run(&disk, replay, NULL);
        disk_check(&disk, "cut");
        disk_free(&disk);
    }
    printf("ok: %u power cuts\n", whole.log_count + 1);
    disk_free(&whole);
}

int main(int argc, char **argv)
{
    test_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    verbose = getenv("VERBOSE");
    try_sizes(20 * MIB, 100 * MIB, "-b 4096");
    try_sizes(20 * MIB, 20 * MIB + 4096, "-b 4096 -g 4096");
    try_sizes(32 * MIB, 32 * MIB + 8192, "-b 4096 -g 4096");
    try_sizes(16 * MIB, 120 * MIB, "-b 4096 -g 2048");
    try_sizes(16 * MIB, 100 * MIB + 12345 * 512, "-b 1024");
    try_sizes(40 * MIB, 100 * MIB, "-b 4096 -g 4096 -O ^flex_bg");
    try_sizes(17 * MIB, 70 * MIB, "-b 4096 -g 4096 -O ^64bit -N 512");
    power_cuts();
    return 0;
}
