/* SPDX-License-Identifier: MIT */
/*
 * /dev: a fixed set of devices and links, and the machine's disks and partitions. Handles to
 * terminals come from the tty engine. Every node has an inode for good.
 */
#include "../tty/tty.h"
#include "fs.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <motor/start.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RNDGETENTCNT 0x80045200u /* linux/random.h */

enum kind {
    DEV_DIR,
    DEV_NULL,
    DEV_ZERO,
    DEV_FULL,
    DEV_RANDOM,
    DEV_CONSOLE,
    DEV_TTY,
    DEV_PTMX,
    DEV_KMSG,
    DEV_DISK,
    DEV_LINK
};

struct node {
    struct inode inode;
    const char *name;
    enum kind kind;
    const char *target;        /* links */
    const struct device *disk; /* DEV_DISK */
};

static const struct inode_ops devfs_ops;
static uint64_t entropy_added;

#define CHR(name_, device_, mode_, major_, minor_) \
    { \
        .name = name_, .kind = device_, .inode = { \
            .mode = S_IFCHR | mode_, \
            .rdev = (major_) << 8 | (minor_) \
        } \
    }
#define LINK(name_, target_) \
    { \
        .name = name_, .kind = DEV_LINK, .target = target_, .inode = {.mode = S_IFLNK | 0777 } \
    }

static struct node nodes[] = {
    {.name = "", .kind = DEV_DIR, .inode = {.mode = S_IFDIR | 0755}},
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
    {.name = "pts", .kind = DEV_DIR, .inode = {.mode = S_IFDIR | 0755}},
    {.name = "shm", .kind = DEV_DIR, .inode = {.mode = S_IFDIR | S_ISVTX | 0777}},
    LINK("fd", "/proc/self/fd"),
    LINK("stdin", "/proc/self/fd/0"),
    LINK("stdout", "/proc/self/fd/1"),
    LINK("stderr", "/proc/self/fd/2"),
};
#define NODES (sizeof nodes / sizeof *nodes)

static struct node *disks; /* one for each device */
static size_t disk_count;

static struct node *node_at(size_t i)
{
    return i < NODES ? &nodes[i] : i < NODES + disk_count ? &disks[i - NODES] : NULL;
}

static int devfs_lookup(struct inode *dir, const struct cred *who, const char *name, size_t length,
                        struct inode **out)
{
    (void)who;
    if (dir != &nodes[0].inode)
        return -ENOENT;
    struct node *n;
    for (size_t i = 1; (n = node_at(i)); i++)
        if (strlen(n->name) == length && !memcmp(n->name, name, length)) {
            *out = inode_get(&n->inode);
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
    struct node *n;
    for (size_t i = cookie - 1; (n = node_at(i)); i++)
        if (!sink->entry(sink, n->inode.ino, i + 2, n->inode.mode, n->name, strlen(n->name)))
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

/* What is mounted changes by its file system only, also when it was mounted after it was opened. */
static int disk_writable(const struct inode *inode)
{
    const struct device *d = ((const struct node *)inode)->disk;
    return d->block->read_only ? -EROFS : device_is_mounted(d) ? -EBUSY : 0;
}

static int64_t disk_write(const struct inode *inode, struct transfer *t, uint64_t offset)
{
    int error = disk_writable(inode);
    return error ? error : raw_write(((const struct node *)inode)->disk, t, offset);
}

static int devfs_open(struct file *file, const struct cred *who, struct motor_reply *reply)
{
    switch (((struct node *)file->inode)->kind) {
    case DEV_TTY:
        return device_open(TTY_OPEN_CONTROLLING, 0, file, who, reply);
    case DEV_CONSOLE:
        return device_open(TTY_OPEN_CONSOLE, 0, file, who, reply);
    case DEV_KMSG:
        return device_open(TTY_OPEN_LOG, (file->flags & O_ACCMODE) != O_RDONLY, file, who, reply);
    case DEV_PTMX:
        return device_open_master(file, who, reply);
    case DEV_DISK:
        return (file->flags & O_ACCMODE) == O_RDONLY ? 0 : disk_writable(file->inode);
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
    switch (((struct node *)file->inode)->kind) {
    case DEV_NULL:
        return 0;
    case DEV_ZERO:
    case DEV_FULL:
        return read_zeros(t);
    case DEV_RANDOM:
        return read_random(t);
    case DEV_DISK:
        return raw_read(((struct node *)file->inode)->disk, t, offset);
    default:
        return -EINVAL;
    }
}

static int64_t devfs_write(struct file *file, struct transfer *t, uint64_t offset)
{
    switch (((struct node *)file->inode)->kind) {
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
    case DEV_DISK:
        return disk_write(file->inode, t, offset);
    default:
        return -EINVAL;
    }
}

static int64_t devfs_control(struct file *file, struct motor_event *ev)
{
    const struct node *n = (struct node *)file->inode;
    if (n->kind == DEV_RANDOM && ev->word[0] == RNDGETENTCNT) {
        static const uint32_t bits = 256; /* as Linux: the generator has all that it can use */
        int64_t done = event_write(ev, 0, &bits, sizeof bits);
        return done < 0 ? done : done < (int64_t)sizeof bits ? -EFAULT : 0;
    }
    return n->kind == DEV_DISK ? raw_control(n->disk, ev) : -ENOTTY;
}

static int devfs_sync(struct file *file, bool data_only)
{
    const struct node *n = (struct node *)file->inode;
    (void)data_only;
    return n->kind == DEV_DISK ? block_flush(n->disk->block) : -EINVAL;
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
    .control = devfs_control,
    .sync = devfs_sync,
    .statfs = devfs_statfs,
    .release = devfs_release,
};

/* The nodes of disks and partitions; none, when there is no memory for them. */
static void make_disks(void)
{
    size_t count = 0;
    const struct device *d;
    while (device_at((uint32_t)count))
        count++;
    disks = count ? calloc(count, sizeof *disks) : NULL;
    disk_count = disks ? count : 0;
    for (uint32_t i = 0; i < disk_count && (d = device_at(i)); i++) {
        disks[i] = (struct node){.name = d->block->name,
                                 .kind = DEV_DISK,
                                 .disk = d,
                                 .inode = {.mode = S_IFBLK | 0660,
                                           .rdev = DEVICE_MAJOR << 8 | device_minor(d),
                                           .size = d->block->size}};
    }
}

bool devfs_init(struct mount *m)
{
    struct node *n;
    make_disks();
    for (size_t i = 0; (n = node_at(i)); i++) {
        struct inode *inode = &n->inode;
        inode->ops = &devfs_ops;
        inode->mount = m;
        inode->ino = i + 1;
        inode->nlink = S_ISDIR(inode->mode) ? 2 : 1;
        inode->refs = 1;
        inode->atime = inode->mtime = inode->ctime = inode->btime = fs_now();
        inode->name = (char *)(uintptr_t)n->name;
        inode->parent = i ? &nodes[0].inode : NULL;
        inode->linked = true;
    }
    nodes[0].inode.nlink = 4;
    m->type = m->source = "devtmpfs";
    m->root = &nodes[0].inode;
    counter_register("fs", "entropy_written", &entropy_added);
    return vfs_mount(m, "/dev") == 0;
}
