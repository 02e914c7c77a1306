/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes, both ways between here and debugfs: in the inode, in a block, in a block
 * that two files share; classes that are kept, but not told of; and what does not fit.
 */
#include "disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct disk disk;
static struct ext4 *fs;
static struct ext4_node *root;
static char large[700], image[256];

static void must(const char *what, int64_t got, int64_t wanted)
{
    if (got != wanted)
        fail("%s: %lld, not %lld", what, (long long)got, (long long)wanted);
}

static struct ext4_node *file(const char *name)
{
    struct ext4_node *n;
    must(name, ext4_lookup(root, name, strlen(name), &n), 0);
    return n;
}

static void has(const char *name, const char *attr, const char *wanted)
{
    char value[4096];
    struct ext4_node *n = file(name);
    must(attr, ext4_xattr_get(n, attr, value, sizeof value), (int64_t)strlen(wanted));
    if (memcmp(value, wanted, strlen(wanted)))
        fail("%s of %s", attr, name);
    ext4_put(n);
}

static int set(const char *name, const char *attr, const char *value, unsigned flags)
{
    struct ext4_node *n = file(name);
    int error = ext4_xattr_set(n, attr, value, value ? strlen(value) : 0, flags);
    ext4_put(n);
    return error;
}

static void lists(const char *name, const char *wanted)
{
    char list[256];
    struct ext4_node *n = file(name);
    must("list", ext4_xattr_list(n, list, sizeof list), (int64_t)strlen(wanted));
    for (size_t i = 0; wanted[i]; i++)
        if (list[i] != (wanted[i] == ' ' ? 0 : wanted[i]))
            fail("the list of %s", name);
    must("a short list", *wanted ? ext4_xattr_list(n, list, strlen(wanted) - 1) : -ERANGE, -ERANGE);
    ext4_put(n);
}

static void with_mount(void (*step)(void))
{
    struct ext4_options options = {.cache_bytes = 1 << 20, .now = test_now, .log = quiet_log};
    must("mount", ext4_mount(&disk.device, &options, &fs), 0);
    must("root", ext4_root(fs, &root), 0);
    step();
    ext4_put(root);
    must("unmount", ext4_unmount(fs), 0);
}

static void run(void *arg)
{
    with_mount((void (*)(void))arg);
}

static void debugfs(const char *commands)
{
    char line[4096];
    disk_save(&disk, image);
    snprintf(line, sizeof line,
             "cd $(dirname %s) && printf '%s' | debugfs -w -f - %s >/dev/null 2>debugfs.log", image,
             commands, image);
    if (system(line))
        fail("debugfs: %s", commands);
    struct block_device device = disk.device;
    disk_free(&disk);
    disk_load(&disk, image);
    disk.device.name = device.name;
}

/* What debugfs says of an attribute, by which it is found in the image. */
static void told(const char *name, const char *attr, const char *wanted)
{
    char line[4096];
    disk_save(&disk, image);
    snprintf(line, sizeof line, "test \"$(debugfs -R 'ea_get -V %s %s' %s 2>/dev/null)\" = '%s'",
             name, attr, image, wanted);
    if (system(line))
        fail("debugfs does not find %s of %s", attr, name);
}

static void make_files(void)
{
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        struct ext4_node *n;
        struct ext4_new new = {.mode = S_IFREG | 0644};
        must("create", ext4_create(root, names[i], 1, &new, &n), 0);
        ext4_put(n);
    }
}

static void read_theirs(void)
{
    has("a", "user.small", "theirs");
    has("a", "user.large", large);
    has("a", "trusted.t", "1");
    lists("c", "user.shown ");
    must("none", set("b", "user.none", NULL, 0), -ENODATA);
    must("again", set("a", "user.large", "x", EXT4_XATTR_CREATE), -EEXIST);
    must("not there", set("b", "user.large", "x", EXT4_XATTR_REPLACE), -ENODATA);
    must("a class", set("b", "system.x", "x", 0), -EOPNOTSUPP);
    must("its prefix", set("b", "user.", "x", 0), -EOPNOTSUPP);
    must("change", set("c", "user.shown", large, 0), 0);
    must("in the inode", set("b", "user.ours", "in the inode", 0), 0);
    must("empty", set("b", "security.empty", "", 0), 0);
    must("in a block", set("b", "user.block", large, 0), 0);
    must("too large", set("b", "user.too", large, 0), -ENOSPC);
    lists("b", "user.ours security.empty user.block ");
}

static void make_smaller(void)
{
    must("smaller", set("b", "user.block", "short", 0), 0);
    must("gone", set("b", "user.ours", NULL, 0), 0);
    lists("b", "security.empty user.block ");
    has("b", "user.block", "short");
}

static void change_shared(void)
{
    struct ext4_attributes a, b;
    has("a", "user.shared", large);
    has("b", "user.shared", large);
    must("a copy", set("a", "user.shared", NULL, 0), 0);
    has("b", "user.shared", large);
    must("its own", set("b", "user.shared", large + 1, 0), 0);
    must("another", set("a", "user.shared", large + 2, 0), 0);
    struct ext4_node *n = file("a"), *m = file("b");
    ext4_attributes(n, &a);
    ext4_attributes(m, &b);
    must("blocks", (int64_t)(a.blocks + b.blocks), 4);
    ext4_put(n);
    ext4_put(m);
    has("b", "user.shared", large + 1);
}

static void copy_shared(void)
{
    must("a copy", set("b", "user.shared", large + 3, 0), 0);
    has("a", "user.shared", large);
    has("b", "user.shared", large + 3);
}

/* `b` uses the block of `a`, too, which Linux does with equal ones. */
static void share(void)
{
    char commands[256], line[512];
    unsigned block;
    disk_save(&disk, image);
    snprintf(line, sizeof line, "debugfs -R 'stat a' %s 2>/dev/null | sed -n 's/^File ACL: *//p'",
             image);
    FILE *f = popen(line, "r");
    if (!f || fscanf(f, "%u", &block) != 1 || !block)
        fail("no block of attributes");
    pclose(f);
    snprintf(commands, sizeof commands, "sif b file_acl %u\\nsif b blocks 2\\n", block);
    debugfs(commands);
    disk.bytes[block * 1024ull + 4] = 2; /* h_refcount */
    disk_check(&disk, "a block that two files share");
}

static void make_shared(void)
{
    must("shared", set("a", "user.shared", large, 0), 0);
}

int main(int argc, char **argv)
{
    char commands[2048];
    test_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    verbose = getenv("VERBOSE");
    memset(large, 'L', sizeof large - 1);
    snprintf(image, sizeof image, "%s", test_file("xattr.img"));
    disk_make(&disk, 8 << 20, "-b 1024 -J size=1");
    disk_run(&disk, run, make_files);
    snprintf(commands, sizeof commands,
             "ea_set a user.small theirs\\nea_set a user.large %s\\nea_set a trusted.t 1\\n"
             "ea_set c user.shown x\\nea_set c system.hidden kept\\n",
             large);
    debugfs(commands);
    disk_run(&disk, run, read_theirs);
    disk_check(&disk, "attributes");
    told("b", "user.ours", "in the inode");
    told("b", "user.block", large);
    told("c", "system.hidden", "kept");
    told("c", "user.shown", large);
    disk_run(&disk, run, make_smaller);
    disk_check(&disk, "fewer attributes");
    told("b", "user.block", "short");
    disk_free(&disk);
    for (int i = 0; i < 2; i++) {
        disk_make(&disk, 8 << 20, "-b 1024 -J size=1 -O ^metadata_csum");
        disk_run(&disk, run, make_files);
        disk_run(&disk, run, make_shared);
        share();
        disk_run(&disk, run, i ? copy_shared : change_shared);
        disk_check(&disk, "a block that was shared");
        disk_free(&disk);
    }
    printf("ok: attributes, from and to debugfs\n");
    return 0;
}
