/* SPDX-License-Identifier: MIT */
/*
 * Damaged disks: random changes of an image, most of them with the checksums made right or turned
 * off so that they get past those; then everything is read, and random operations follow. Whatever
 * they answer, nothing crashes, nothing hangs, and no request is outside of the disk.
 */
#include "model.h"

#include "../../../sysio/fs/ext4/ext4_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct disk good, bad;
static struct model model;
static uint32_t budget;

static int64_t anywhere(void *context, void *page, uint64_t size)
{
    (void)context;
    memset(page, 0x55, 1);
    return (int64_t)size;
}

static int64_t nowhere(void *context, void *page, uint64_t size)
{
    static uint8_t sum;
    (void)context;
    for (uint64_t i = 0; i < size; i += 512)
        sum ^= ((uint8_t *)page)[i];
    return (int64_t)size;
}

struct visit {
    char names[64][256];
    uint32_t count;
};

static bool note(void *context, uint64_t ino, uint64_t next, unsigned type, const char *name,
                 size_t length)
{
    struct visit *v = context;
    (void)ino, (void)next, (void)type;
    memcpy(v->names[v->count], name, length);
    v->names[v->count][length] = 0;
    return ++v->count < 64;
}

static void change(struct ext4_node *n)
{
    switch (random_below(6)) {
    case 0:
        ext4_write(n, random_below(100000), 1 + random_below(20000), anywhere, NULL);
        break;
    case 1:
        ext4_truncate(n, random_below(100000));
        break;
    case 2:
        ext4_punch(n, random_below(50000), random_below(50000));
        break;
    case 3:
        ext4_allocate(n, random_below(100000), 1 + random_below(50000), false);
        break;
    }
}

static void attributes(struct ext4_node *n)
{
    static char list[4096];
    static uint8_t value[4096] = {1, 2, 3};
    int64_t size = ext4_xattr_list(n, list, sizeof list);
    for (int64_t at = 0; at < size; at += (int64_t)strlen(list + at) + 1)
        ext4_xattr_get(n, list + at, value, random_below(2) ? sizeof value : 20);
    if (random_below(3) == 0)
        ext4_xattr_set(n, size > 0 && random_below(2) ? list : "user.new",
                       random_below(3) ? value : NULL, random_below(300), random_below(3));
}

static void walk(struct ext4_node *dir, unsigned depth)
{
    struct visit *v = calloc(1, sizeof *v);
    ext4_list(dir, 0, note, v);
    for (uint32_t i = 0; i < v->count && budget; i++, budget--) {
        struct ext4_node *n, *new;
        struct ext4_attributes a;
        const char *name = v->names[i];
        char target[PAGE_BYTES];
        if (ext4_lookup(dir, name, strlen(name), &n))
            continue;
        ext4_attributes(n, &a);
        if (S_ISDIR(a.mode) && depth < 6)
            walk(n, depth + 1);
        else if (S_ISLNK(a.mode))
            ext4_readlink(n, target, sizeof target);
        else
            ext4_read(n, 0, a.size < 300000 ? a.size : 300000, nowhere, NULL);
        if (S_ISREG(a.mode) && random_below(2))
            change(n);
        attributes(n);
        struct ext4_new made = {.mode = S_IFREG | 0644};
        char new_name[20];
        snprintf(new_name, sizeof new_name, "z%u", random_below(1000));
        switch (random_below(8)) {
        case 0:
            ext4_unlink(dir, name, strlen(name));
            break;
        case 1:
            if (!S_ISDIR(a.mode))
                ext4_rename(dir, name, strlen(name), dir, new_name, strlen(new_name),
                            random_below(2));
            break;
        case 2:
            if (!ext4_create(dir, new_name, strlen(new_name), &made, &new))
                ext4_put(new);
            break;
        case 3:
            ext4_link(dir, new_name, strlen(new_name), n);
            break;
        case 4:
            ext4_fsync(n, &(uint32_t){0});
            break;
        }
        ext4_put(n);
    }
    free(v);
}

static void use(void *arg)
{
    (void)arg;
    struct ext4_options options = {.cache_bytes = 1 << 18, .now = test_now, .log = quiet_log};
    struct ext4 *fs;
    struct ext4_node *root;
    if (ext4_mount(&bad.device, &options, &fs))
        return;
    budget = 150;
    if (!ext4_root(fs, &root)) {
        walk(root, 0);
        ext4_sync(fs);
        ext4_put(root);
    }
    ext4_unmount(fs);
}

/* A byte, a word, or a whole run of bytes changes. */
static void damage(uint8_t *at, uint64_t size)
{
    uint64_t i = random_below((uint32_t)size);
    static const uint32_t values[] = {0, 1, 0x7fffffff, 0xffffffff, 0x8000, 0xffff, 12, 1024};
    uint32_t value = random_below(2) ? values[random_below(8)] : random_below(1u << 16);
    uint32_t width = 1u << random_below(3);
    memcpy(at + i, &value, i + width <= size ? width : 1);
}

/* Blocks that the good image uses: damage goes there. */
static uint64_t used_block(void)
{
    for (;;) {
        uint64_t at = (uint64_t)random_below((uint32_t)(good.device.size >> 10)) << 10;
        for (uint32_t i = 0; i < 1024; i++)
            if (good.bytes[at + i])
                return at;
    }
}

static void make_bad(void)
{
    bad.device = good.device;
    memcpy(bad.bytes, good.bytes, good.device.size);
    bad.pending_count = 0;
    struct ext4_super *s = (struct ext4_super *)(bad.bytes + 1024);
    if (random_below(8) == 0)
        damage(bad.bytes + 1024, 1024);
    for (uint32_t i = 1 + random_below(12); i; i--)
        damage(bad.bytes + (random_below(3) ? used_block() : 1024 * random_below(600)), 1024);
    if (random_below(10)) /* the super block's own checksum is right */
        s->s_checksum = super_checksum(s);
    bad.fail_after = random_below(10) ? 0 : 1 + random_below(300);
}

static void fill(void *arg)
{
    (void)arg;
    struct ext4_options options = {.cache_bytes = 1 << 20, .now = test_now, .log = quiet_log};
    struct ext4 *fs;
    if (ext4_mount(&good.device, &options, &fs))
        fail("mount");
    for (uint32_t i = 0; i < 700; i++)
        model_step(&model, fs);
    ext4_sync(fs);
    if (random_below(2)) { /* as after a power cut: the journal is full */
        memcpy(bad.bytes, good.bytes, good.device.size);
        ext4_unmount(fs);
        memcpy(good.bytes, bad.bytes, good.device.size);
    } else {
        ext4_unmount(fs);
    }
}

static void one(const char *options, uint32_t rounds)
{
    model = (struct model){.names = 60, .file_max = 60000};
    model_init(&model);
    disk_make(&good, 4 << 20, options);
    bad.bytes = malloc(good.device.size);
    disk_run(&good, fill, NULL);
    for (uint32_t i = 0; i < rounds; i++) {
        uint64_t seed = test_seed;
        make_bad();
        if (verbose)
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        disk_run(&bad, use, NULL);
    }
    free(bad.bytes);
    model_free(&model);
    disk_free(&good);
    printf("ok: %s: %u damaged images\n", options, rounds);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    test_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint32_t rounds = argc > 2 ? (uint32_t)atoi(argv[2]) : 600;
    verbose = getenv("VERBOSE");
    one("-b 1024 -N 512 -J size=1 -O ^metadata_csum", rounds);
    one("-b 1024 -N 512 -J size=1", rounds / 2);
    one("-b 1024 -N 512 -J size=1 -O ^metadata_csum,^64bit", rounds);
    return 0;
}
