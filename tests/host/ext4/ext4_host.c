/* SPDX-License-Identifier: MIT */
/*
 * Both ways between ext4 and the host's own tools: a tree that mke2fs put into an image reads the
 * same here, and what is copied from it to another image here, debugfs reads the same. Times,
 * owners, modes, holes, links and large directories included.
 */
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct disk from, to;
static struct ext4 *from_fs, *to_fs;
static char tree[256];

struct piece {
    uint8_t *bytes;
    uint64_t at;
};

static int64_t take(void *context, void *page, uint64_t size)
{
    struct piece *p = context;
    memcpy(p->bytes + p->at, page, size);
    p->at += size;
    return (int64_t)size;
}

static int64_t give(void *context, void *page, uint64_t size)
{
    struct piece *p = context;
    memcpy(page, p->bytes + p->at, size);
    p->at += size;
    return (int64_t)size;
}

static void shell(const char *format, const char *a, const char *b)
{
    char command[2048];
    snprintf(command, sizeof command, format, a, b);
    if (system(command))
        fail("failed: %s", command);
}

static void must(const char *what, int64_t error)
{
    if (error < 0)
        fail("%s: %s", what, strerror((int)-error));
}

static void tree_make(void)
{
    snprintf(tree, sizeof tree, "%s", test_file("tree"));
    shell(
        "mkdir %s && cd %s && mkdir many deep deep/a deep/a/b empty && "
        "i=0; while [ $i -lt 3000 ]; do echo $i >many/file-$i; i=$((i+1)); done; "
        "seq 1 400000 >large; truncate -s 5G sparse; "
        "printf end | dd of=sparse bs=1 seek=4500000000 conv=notrunc 2>/dev/null; "
        "ln -s many/file-7 short; ln -s $(printf 'x%%.0s' $(seq 300)) long; "
        "ln large deep/a/b/linked; chmod 4751 large; touch -d '2030-02-03 04:05:06.123456789' many/file-9; "
        "mkfifo fifo; chmod 700 empty; : >nothing",
        tree, tree);
}

static void compare_attributes(const char *path, const struct stat *st,
                               const struct ext4_attributes *a)
{
    if (a->mode != st->st_mode || a->uid != st->st_uid || a->gid != st->st_gid)
        fail("%s: mode or owner", path);
    if (!S_ISDIR(a->mode) && (a->size != (uint64_t)st->st_size || a->nlink != st->st_nlink))
        fail("%s: size or links", path);
    /* the root directory is mke2fs's own, and as old as that */
    if (strcmp(path, tree) && a->mtime.tv_sec != st->st_mtim.tv_sec)
        fail("%s: time", path);
}

/* A file's bytes: here and on the host, in pieces around its data. */
static void compare_bytes(struct ext4_node *n, const char *path)
{
    uint8_t *a = malloc(1 << 20), *b = malloc(1 << 20);
    int fd = open(path, O_RDONLY);
    int64_t at = 0;
    while ((at = ext4_seek(n, (uint64_t)at, false)) >= 0) {
        struct piece p = {a, 0};
        int64_t got = ext4_read(n, (uint64_t)at, 1 << 20, take, &p);
        must(path, got);
        if (pread(fd, b, (size_t)got, at) != got || memcmp(a, b, (size_t)got))
            fail("%s: bytes at %lld", path, (long long)at);
        at += got;
    }
    close(fd);
    free(a);
    free(b);
}

static void copy_bytes(struct ext4_node *n, struct ext4_node *copy, uint64_t size)
{
    uint8_t *bytes = malloc(1 << 20);
    int64_t at = 0;
    while ((at = ext4_seek(n, (uint64_t)at, false)) >= 0) {
        struct piece p = {bytes, 0}, q = {bytes, 0};
        int64_t got = ext4_read(n, (uint64_t)at, 1 << 20, take, &p);
        must("read", got);
        if (ext4_write(copy, (uint64_t)at, (uint64_t)got, give, &q) != got)
            fail("write");
        at += got;
    }
    must("truncate", ext4_truncate(copy, size));
    free(bytes);
}

/* Compares, and copies into the other image. */
static void visit(struct ext4_node *n, struct ext4_node *dir, struct ext4_node *dir_copy,
                  const char *name, const char *path)
{
    struct ext4_attributes a;
    struct ext4_node *copy = NULL;
    struct stat st;
    char target[4096];
    if (lstat(path, &st))
        fail("%s: %s", path, strerror(errno));
    ext4_attributes(n, &a);
    compare_attributes(path, &st, &a);
    struct ext4_new new = {.mode = a.mode, .uid = a.uid, .gid = a.gid, .target = target};
    if (S_ISLNK(a.mode)) {
        char host[4096];
        int64_t length = ext4_readlink(n, target, sizeof target);
        if (length != readlink(path, host, sizeof host) || memcmp(target, host, (size_t)length))
            fail("%s: target", path);
        new.target_size = (size_t)length;
    }
    if (dir) {
        must(path, ext4_create(dir_copy, name, strlen(name), &new, &copy));
    } else {
        must(path, ext4_root(to_fs, &copy));
    }
    if (S_ISREG(a.mode)) {
        compare_bytes(n, path);
        copy_bytes(n, copy, a.size);
    }
    if (S_ISDIR(a.mode)) {
        DIR *d = opendir(path);
        for (struct dirent *e; (e = readdir(d));) {
            struct ext4_node *child;
            char below[1024];
            if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
                continue;
            snprintf(below, sizeof below, "%s/%s", path, e->d_name);
            must(below, ext4_lookup(n, e->d_name, strlen(e->d_name), &child));
            visit(child, n, copy, e->d_name, below);
            ext4_put(child);
        }
        closedir(d);
    }
    must(path, ext4_set_attributes(copy, &a, EXT4_SET_MTIME | EXT4_SET_ATIME));
    ext4_put(copy);
}

static void make_copy(void *arg)
{
    struct ext4_options options = {.cache_bytes = 4 << 20, .now = test_now, .log = quiet_log};
    struct ext4_node *root;
    (void)arg;
    must("mount", ext4_mount(&to.device, &options, &to_fs));
    options.read_only = true;
    from.device.read_only = true;
    must("mount", ext4_mount(&from.device, &options, &from_fs));
    must("root", ext4_root(from_fs, &root));
    visit(root, NULL, NULL, "", tree);
    ext4_put(root);
    must("unmount", ext4_unmount(from_fs));
    must("unmount", ext4_unmount(to_fs));
}

int main(int argc, char **argv)
{
    char options[512];
    test_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    verbose = getenv("VERBOSE");
    tree_make();
    snprintf(options, sizeof options, "-d %s", tree);
    disk_make(&from, 64 << 20, options);
    disk_make(&to, 64 << 20, "");
    disk_run_two(&to, &from, make_copy, NULL);
    disk_check(&to, "the copy");
    /* debugfs copies it out, sparse files excepted, which it writes in full */
    shell("mkdir %s && cd %s && for f in many deep short long nothing; do "
          "debugfs -R \"rdump $f .\" ../checked >/dev/null 2>&1; done; "
          "debugfs -R 'dump large large' ../checked 2>/dev/null",
          test_file("out"), test_file("out"));
    shell("cd %s && for f in many deep short long nothing large; do "
          "diff -r --no-dereference %s/$f $f || exit 1; done",
          test_file("out"), tree);
    disk_free(&from);
    disk_free(&to);
    printf("ok: from mke2fs, and to debugfs\n");
    return 0;
}
