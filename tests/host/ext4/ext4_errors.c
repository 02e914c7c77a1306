/* SPDX-License-Identifier: MIT */
/*
 * Who is told when bytes could not be written: everybody who syncs the file, once, however the
 * write-back came about; and who opens it later, if nobody was told before.
 */
#include "disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct disk disk;
static struct ext4 *fs;

static void must(const char *what, int error, int wanted)
{
    if (error != wanted)
        fail("%s: %d, not %d", what, error, wanted);
}

static int64_t fill(void *context, void *page, uint64_t size)
{
    memset(page, *(const char *)context, size);
    return (int64_t)size;
}

static struct ext4_node *file(const char *name)
{
    struct ext4_node *root, *n;
    struct ext4_new new = {.mode = S_IFREG | 0644};
    must("root", ext4_root(fs, &root), 0);
    int error = ext4_lookup(root, name, strlen(name), &n);
    if (error == -ENOENT)
        error = ext4_create(root, name, strlen(name), &new, &n);
    must(name, error, 0);
    ext4_put(root);
    return n;
}

static void put_bytes(struct ext4_node *n, char byte)
{
    must("write", (int)ext4_write(n, 0, 5000, fill, &byte), 5000);
}

static void put(struct ext4_node *n)
{
    put_bytes(n, 'x');
}

static bool writes_bytes(const struct block_request *r)
{
    const uint8_t *data = r->count ? r->parts[0].data : NULL;
    return r->op == BLOCK_WRITE && data[0] == 'x' && data[1] == 'x';
}

/* The request that writes the file's bytes fails; those of a commit may be on their way with it. */
static void put_in_vain(struct ext4_node *n)
{
    put(n);
    disk.fail_one = writes_bytes;
    must("sync", ext4_sync(fs), -EIO);
}

static void told_once(const char *who, struct ext4_node *n, uint32_t *seen)
{
    must(who, ext4_fsync(n, seen), -EIO);
    must(who, ext4_fsync(n, seen), 0);
}

static void run(void *arg)
{
    (void)arg;
    struct ext4_options options = {.cache_bytes = 1 << 20, .now = test_now, .log = quiet_log};
    must("mount", ext4_mount(&disk.device, &options, &fs), 0);
    struct ext4_node *n = file("file"), *other = file("other");
    uint32_t a = ext4_errors_seen(n), b = ext4_errors_seen(n), elsewhere = ext4_errors_seen(other);

    put_in_vain(n);
    told_once("a", n, &a);
    told_once("b", n, &b);
    uint32_t late = ext4_errors_seen(n);
    must("opened after it was told", ext4_fsync(n, &late), 0);

    put_in_vain(n);
    uint32_t first = ext4_errors_seen(n);
    told_once("opened before anybody was told", n, &first);
    told_once("a, again", n, &a);

    put(n); /* the fsync itself */
    disk.fail_one = writes_bytes;
    told_once("who waits for it", n, &a);
    told_once("who does not", n, &b);

    put_in_vain(n); /* nobody has it open */
    ext4_put(n);
    n = file("file");
    first = ext4_errors_seen(n);
    told_once("the next to open it", n, &first);

    put_bytes(other, 'y'); /* one file's error keeps no other from the disk */
    put_in_vain(n);
    disk_record(&disk);
    must("all else is written", ext4_sync(fs), 0);
    for (uint32_t i = 0; i < disk.log_count; i++)
        if (disk.log[i].size)
            fail("something was left to be written");
    must("another file", ext4_fsync(other, &elsewhere), 0);
    ext4_put(other);
    ext4_put(n);
    must("unmount", ext4_unmount(fs), 0);
}

int main(void)
{
    disk_make(&disk, 16 << 20, "-b 4096");
    disk_run(&disk, run, NULL);
    disk_check(&disk, "after errors");
    printf("ok: errors of write-back\n");
    return 0;
}
