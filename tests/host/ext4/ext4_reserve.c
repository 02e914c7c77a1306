/* SPDX-License-Identifier: MIT */
/*
 * Space that is kept for appends is there, whoever fills the disk meanwhile and however it is
 * scattered; and it is anybody's again afterwards.
 */
#include "disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEPT  65536u
#define SMALL 4000u /* files of one block, of which every second one goes */

static struct disk disk;
static struct ext4 *fs;
static struct ext4_node *root;

static int64_t fill(void *context, void *page, uint64_t size)
{
    (void)context;
    memset(page, 'x', size);
    return (int64_t)size;
}

static void must(const char *what, int64_t result)
{
    if (result < 0)
        fail("%s: %s", what, strerror((int)-result));
}

static struct ext4_node *make(const char *name)
{
    struct ext4_node *n;
    struct ext4_new new = {.mode = S_IFREG | 0644};
    must(name, ext4_create(root, name, strlen(name), &new, &n));
    return n;
}

static uint64_t free_blocks(void)
{
    struct ext4_statfs st;
    ext4_statfs(fs, &st);
    return st.free;
}

static void scatter(void)
{
    char name[32];
    for (uint32_t i = 0; i < SMALL; i++) {
        snprintf(name, sizeof name, "small-%u", i);
        struct ext4_node *n = make(name);
        must("a small file", ext4_write(n, 0, 100, fill, NULL));
        ext4_put(n);
    }
    for (uint32_t i = 0; i < SMALL; i += 2) {
        snprintf(name, sizeof name, "small-%u", i);
        must("unlink", ext4_unlink(root, name, strlen(name)));
    }
    must("sync", ext4_sync(fs));
}

/* To the last block that can be had. */
static void fill_up(struct ext4_node *n, uint64_t *at)
{
    int64_t done;
    while ((done = ext4_write(n, *at, 1 << 20, fill, NULL)) > 0)
        *at += (uint64_t)done;
    if (done != -ENOSPC)
        fail("a full disk: %lld", (long long)done);
}

static void work(void *arg)
{
    (void)arg;
    struct ext4_options options = {.cache_bytes = 4 << 20, .now = test_now, .log = quiet_log};
    if (ext4_mount(&disk.device, &options, &fs) || ext4_root(fs, &root))
        fail("mount");
    scatter();
    struct ext4_node *log = make("log"), *other = make("other");
    uint64_t size = 0, at = 0;
    must("reserve", ext4_reserve(log, KEPT));
    fill_up(other, &at);
    if (ext4_reserve(log, 2 * KEPT) != -ENOSPC)
        fail("more can be kept than there is");
    while (size < KEPT) {
        uint64_t n = 1 + random_below(3000);
        n = n < KEPT - size ? n : KEPT - size;
        int64_t done = ext4_append(log, n, fill, NULL);
        if (done != (int64_t)n)
            fail("at %llu, an append: %lld", (unsigned long long)size, (long long)done);
        size += n;
        if (random_below(10) == 0)
            must("sync", ext4_sync(fs));
    }
    if (ext4_write(other, at, 1, fill, NULL) != -ENOSPC)
        fail("what is left of it is anybody's too early");
    must("give up", ext4_reserve(log, 0));
    if (free_blocks())
        fill_up(other, &at);
    if (free_blocks())
        fail("%llu blocks stay free", (unsigned long long)free_blocks());
    ext4_put(log);
    ext4_put(other);
    ext4_put(root);
    must("unmount", ext4_unmount(fs));
}

int main(int argc, char **argv)
{
    static const char *const options[] = {"-b 1024 -J size=1 -N 5000", "-b 4096 -J size=4 -N 5000"};
    test_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    for (unsigned i = 0; i < 2; i++) {
        disk_make(&disk, 40 << 20, options[i]);
        disk_run(&disk, work, NULL);
        disk_check(&disk, options[i]);
        disk_free(&disk);
        printf("ok: %s\n", options[i]);
    }
    return 0;
}
