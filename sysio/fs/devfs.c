/* SPDX-License-Identifier: MIT */
/*
 * /dev: a fixed set of devices and links. Handles to terminals come from the tty engine. Every node
 * has an inode for good.
 */
#include "../tty/tty.h"
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <motor/start.h>
#include <string.h>
#include <sys/stat.h>

enum device {
    DEV_DIR,
    DEV_NULL,
    DEV_ZERO,
    DEV_FULL,
    DEV_RANDOM,
    DEV_CONSOLE,
    DEV_TTY,
    DEV_PTMX,
    DEV_KMSG,
    DEV_LINK
};

struct node {
    struct inode inode;
    const char *name;
    enum device device;
    const char *target; /* links */
};

static const struct inode_ops devfs_ops;
static uint64_t entropy_added;

#define CHR(name_, device_, mode_, major_, minor_) \
    { \
        .name = name_, .device = device_, .inode = { \
            .mode = S_IFCHR | mode_, \
            .rdev = (major_) << 8 | (minor_) \
        } \
    }
#define LINK(name_, target_) \
    { \
        .name = name_, .device = DEV_LINK, .target = target_, .inode = {.mode = S_IFLNK | 0777 } \
    }

static struct node nodes[] = {
    {.name = "", .device = DEV_DIR, .inode = {.mode = S_IFDIR | 0755}},
    CHR("null", DEV_NULL, 0666, 1, 3),
    CHR("zero", DEV_ZERO, 0666, 1, 5),
    CHR("full", DEV_FULL, 0666, 1, 7),
    CHR("random", DEV_RANDOM, 0666, 1, 8),
    CHR("urandom", DEV_RANDOM, 0666, 1, 9),
    CHR("console", DEV_CONSOLE, 0600, 5, 1),
    CHR("ttyS0", DEV_CONSOLE, 0620, 4, 64),
    CHR("tty", DEV_TTY, 0666, 5, 0),
    CHR("ptmx", DEV_PTMX, 0666, 5, 2),
    CHR("kmsg", DEV_KMSG, 0644, 1, 11),
    {.name = "pts", .device = DEV_DIR, .inode = {.mode = S_IFDIR | 0755}},
    {.name = "shm", .device = DEV_DIR, .inode = {.mode = S_IFDIR | S_ISVTX | 0777}},
    LINK("fd", "/proc/self/fd"),
    LINK("stdin", "/proc/self/fd/0"),
    LINK("stdout", "/proc/self/fd/1"),
    LINK("stderr", "/proc/self/fd/2"),
};
#define NODES (sizeof nodes / sizeof *nodes)

static int devfs_lookup(struct inode *dir, const struct cred *who, const char *name, size_t length,
                        struct inode **out)
{
    (void)who;
    if (dir != &nodes[0].inode)
        return -ENOENT;
    for (size_t i = 1; i < NODES; i++)
        if (strlen(nodes[i].name) == length && !memcmp(nodes[i].name, name, length)) {
            *out = inode_get(&nodes[i].inode);
            return 0;
        }
    return -ENOENT;
}

static int devfs_readdir(struct inode *dir, const struct cred *who, uint64_t cookie,
                         struct dir_sink *sink)
{
    (void)who;
    if (dir != &nodes[0].inode)
        return 0;
    for (size_t i = cookie - 1; i < NODES; i++)
        if (!sink->entry(sink, nodes[i].inode.ino, i + 2, nodes[i].inode.mode, nodes[i].name,
                         strlen(nodes[i].name)))
            break;
    return 0;
}

static int64_t devfs_readlink(struct inode *inode, const struct cred *who, char *buffer,
                              size_t size)
{
    (void)who;
    const char *target = ((struct node *)inode)->target;
    size_t n = strlen(target) < size ? strlen(target) : size;
    memcpy(buffer, target, n);
    return (int64_t)n;
}

static int devfs_open(struct file *file, const struct cred *who, struct motor_reply *reply)
{
    switch (((struct node *)file->inode)->device) {
    case DEV_TTY:
        return device_open(TTY_OPEN_CONTROLLING, 0, file, who, reply);
    case DEV_CONSOLE:
        return device_open(TTY_OPEN_CONSOLE, 0, file, who, reply);
    case DEV_KMSG:
        return device_open(TTY_OPEN_LOG, (file->flags & O_ACCMODE) != O_RDONLY, file, who, reply);
    case DEV_PTMX:
        return device_open_master(file, who, reply);
    default:
        return 0;
    }
}

static int64_t read_random(struct transfer *t)
{
    uint8_t bytes[1024];
    while (t->left) {
        uint64_t n = t->left < sizeof bytes ? t->left : sizeof bytes;
        if (motor_random(bytes, n, 0) < 0)
            break;
        int64_t moved = transfer_from_buffer(t, bytes, n);
        if (moved <= 0)
            return t->moved ? (int64_t)t->moved : moved;
    }
    return (int64_t)t->moved;
}

static int64_t read_zeros(struct transfer *t)
{
    static uint8_t zeros[65536]; /* in .bss, not in the file */
    int64_t n = 0;
    while (t->left && n >= 0)
        n = transfer_from_buffer(t, zeros, sizeof zeros);
    return t->moved ? (int64_t)t->moved : n;
}

static int64_t devfs_read(struct file *file, struct transfer *t, uint64_t offset)
{
    (void)offset;
    switch (((struct node *)file->inode)->device) {
    case DEV_NULL:
        return 0;
    case DEV_ZERO:
    case DEV_FULL:
        return read_zeros(t);
    case DEV_RANDOM:
        return read_random(t);
    default:
        return -EINVAL;
    }
}

static int64_t devfs_write(struct file *file, struct transfer *t, uint64_t offset)
{
    (void)offset;
    switch (((struct node *)file->inode)->device) {
    case DEV_NULL:
    case DEV_ZERO:
        return (int64_t)t->left;
    case DEV_FULL:
        return -ENOSPC;
    case DEV_RANDOM: { /* stirred in, for what it is worth; the first bytes are enough */
        uint8_t bytes[256];
        uint64_t left = t->left;
        int64_t n = transfer_to_buffer(t, bytes, sizeof bytes);
        if (n < 0)
            return n;
        motor_random(bytes, (size_t)n, 1);
        entropy_added += (uint64_t)n;
        return (int64_t)left;
    }
    default:
        return -EINVAL;
    }
}

static void devfs_statfs(struct inode *inode, struct io_statfs *out)
{
    (void)inode;
    *out = (struct io_statfs){.type = 0x01021994, .bsize = MOTOR_PAGE_SIZE, .namelen = FS_NAME_MAX};
}

static void devfs_release(struct inode *inode)
{
    (void)inode;
}

static const struct inode_ops devfs_ops = {
    .lookup = devfs_lookup,
    .readdir = devfs_readdir,
    .readlink = devfs_readlink,
    .open = devfs_open,
    .read = devfs_read,
    .write = devfs_write,
    .statfs = devfs_statfs,
    .release = devfs_release,
};

bool devfs_init(struct mount *m)
{
    for (size_t i = 0; i < NODES; i++) {
        struct inode *inode = &nodes[i].inode;
        inode->ops = &devfs_ops;
        inode->mount = m;
        inode->ino = i + 1;
        inode->nlink = S_ISDIR(inode->mode) ? 2 : 1;
        inode->refs = 1;
        inode->atime = inode->mtime = inode->ctime = inode->btime = fs_now();
        inode->name = (char *)(uintptr_t)nodes[i].name;
        inode->parent = i ? &nodes[0].inode : NULL;
        inode->linked = true;
    }
    nodes[0].inode.nlink = 4;
    m->type = m->source = "devtmpfs";
    m->root = &nodes[0].inode;
    counter_register("fs", "entropy_written", &entropy_added);
    return vfs_mount(m, "/dev") == 0;
}
