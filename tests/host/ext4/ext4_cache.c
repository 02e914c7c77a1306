/* SPDX-License-Identifier: MIT */
/*
 * Which metadata blocks stay in memory. Files are looked up in the order in which they were made:
 * their inodes follow one another, but their directories, which have grown among the files' bytes,
 * are all used all the time. These fit into the cache; what comes with them because it lies beside
 * them, and each block of inodes once, must not push them out.
 */
#include "disk.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILES       16000u
#define FOLDERS     64u
#define CACHE_BYTES (2u << 20)
#define LOOKUPS     10u /* for each request, at least */

static struct disk disk;
static struct ext4 *fs;
static struct ext4_node *folders[FOLDERS];
static uint32_t requests;
static void (*disk_submit)(struct block_device *d, struct block_request *r);

static void submit(struct block_device *d, struct block_request *r)
{
    requests += r->op == BLOCK_READ;
    disk_submit(d, r);
}

static void must(const char *what, int error)
{
    if (error)
        fail("%s: %d", what, error);
}

static uint32_t folder_of(uint32_t file)
{
    return (uint32_t)((file + 1) * 0x9e3779b97f4a7c15ull >> 40) % FOLDERS;
}

static void name_of(uint32_t file, char name[32])
{
    snprintf(name, 32, "a-file-of-some-length-%06u", file);
}

static int64_t fill(void *context, void *page, uint64_t size)
{
    (void)context;
    memset(page, 'x', size);
    return (int64_t)size;
}

static struct ext4_node *root(void)
{
    struct ext4_options options = {.cache_bytes = CACHE_BYTES, .now = test_now, .log = quiet_log};
    struct ext4_node *n;
    must("mount", ext4_mount(&disk.device, &options, &fs));
    must("root", ext4_root(fs, &n));
    return n;
}

static void unmount(struct ext4_node *top)
{
    for (uint32_t i = 0; i < FOLDERS; i++)
        ext4_put(folders[i]);
    ext4_put(top);
    must("unmount", ext4_unmount(fs));
}

static void make(void)
{
    struct ext4_new folder = {.mode = S_IFDIR | 0755}, file = {.mode = S_IFREG | 0644};
    struct ext4_node *top = root(), *n;
    char name[32];
    for (uint32_t i = 0; i < FOLDERS; i++) {
        sprintf(name, "folder-%u", i);
        must(name, ext4_create(top, name, strlen(name), &folder, &folders[i]));
    }
    for (uint32_t i = 0; i < FILES; i++) {
        name_of(i, name);
        must(name, ext4_create(folders[folder_of(i)], name, strlen(name), &file, &n));
        if (ext4_write(n, 0, 100, fill, NULL) != 100)
            fail("write");
        ext4_put(n);
    }
    unmount(top);
}

static void look_up_all(void)
{
    struct ext4_node *n;
    char name[32];
    for (uint32_t i = 0; i < FILES; i++) {
        name_of(i, name);
        must(name, ext4_lookup(folders[folder_of(i)], name, strlen(name), &n));
        ext4_put(n);
    }
}

static void run(void *arg)
{
    char name[32];
    (void)arg;
    make();
    struct ext4_node *top = root();
    for (uint32_t i = 0; i < FOLDERS; i++) {
        sprintf(name, "folder-%u", i);
        must(name, ext4_lookup(top, name, strlen(name), &folders[i]));
    }
    look_up_all();
    requests = 0;
    look_up_all();
    unmount(top);
}

int main(void)
{
    disk_make(&disk, 128 << 20, "-b 4096 -N 20000");
    disk_submit = disk.device.submit;
    disk.device.submit = submit;
    disk_run(&disk, run, NULL);
    if (requests > FILES / LOOKUPS)
        fail("%u lookups took %u requests", FILES, requests);
    disk_check(&disk, "many files");
    printf("ok: %u lookups took %u requests\n", FILES, requests);
    return 0;
}
