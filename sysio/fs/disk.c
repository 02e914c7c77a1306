/* SPDX-License-Identifier: MIT */
/*
 * ext4 behind the VFS: mounts the devices that have it, and translates. An inode here holds
 * one reference to its node; the node's owner word leads back, so that there is one inode for each.
 *
 * Mode, owner and times are changed in struct inode by the VFS, which calls disk_changed(); they
 * reach the node at the end of the message. All else is changed by ext4 and read back at once.
 */
#include "disk.h"
#include "../base/fiber.h"
#include "../base/spare.h"
#include "devices.h"
#include "pager.h"
#include "xattr.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#ifndef FALLOC_FL_ZERO_RANGE /* <linux/falloc.h>, which musl does not repeat */
#define FALLOC_FL_ZERO_RANGE 0x10
#endif

#define DISKS_MAX    16u                  /* mounted at once */
#define WRITE_BACK   (5ull * 1000000000u) /* ns that a change may stay in memory only */
#define EXT4_STATFS  0xef53u
#define COOKIE_FIRST 2u

struct disk {                    /* a mounted file system */
    struct block_device *device; /* NULL: the place is free */
    struct ext4 *fs;
    struct mount mount;
    char source[24];
    struct engine_timer timer;
    bool writing;           /* a fiber writes it back */
    struct fiber_lock lock; /* of who writes it back, and who unmounts it */
    uint32_t inodes;        /* in memory: the root, and those that somebody refers to */
};

static struct disk disks[DISKS_MAX];
static uint32_t disk_count, mounted;
static struct disk_inode *changed;
static struct spares inode_spares = {.size = sizeof(struct disk_inode)};
static const struct inode_ops disk_ops;

static struct disk_inode *of(struct inode *inode)
{
    return (struct disk_inode *)inode;
}

static struct disk *disk_of(const struct inode *inode)
{
    return (struct disk *)((char *)inode->mount - offsetof(struct disk, mount));
}

/* ---- inodes ---- */

/* What ext4 knows into the inode, unless the VFS has changed it just now. */
static void refresh(struct inode *inode)
{
    struct ext4_attributes a;
    ext4_attributes(of(inode)->node, &a);
    hot_touched(inode);
    inode->size = a.size;
    inode->nlink = a.nlink;
    inode->rdev = a.rdev;
    inode->btime = a.btime;
    if (of(inode)->changed)
        return;
    inode->mode = a.mode;
    inode->uid = a.uid;
    inode->gid = a.gid;
    inode->atime = a.atime;
    inode->mtime = a.mtime;
    inode->ctime = a.ctime;
}

void disk_refresh_node(struct ext4_node *n)
{
    struct disk_inode *i = *ext4_owner(n);
    if (!i)
        return;
    refresh(&i->inode);
}

static void set_name(struct inode *inode, struct inode *parent, const char *name, size_t length)
{
    char *copy = strndup(name, length);
    if (!copy)
        return; /* it keeps the one it had */
    free(inode->name);
    inode->name = copy;
    inode_get(parent);
    inode_put(inode->parent);
    inode->parent = parent;
    inode->linked = true;
}

/* The inode of a node; takes over the node's reference. */
static int wrap(struct mount *m, struct ext4_node *node, struct inode *parent, const char *name,
                size_t length, struct inode **out)
{
    void **owner = ext4_owner(node);
    struct disk_inode *i = *owner;
    if (i) {
        inode_get(&i->inode);
        ext4_put(node);
    } else {
        i = spare_take(&inode_spares);
        if (!i) {
            ext4_put(node);
            return -ENOMEM;
        }
        struct ext4_attributes a;
        ext4_attributes(node, &a);
        i->inode = (struct inode){.ops = &disk_ops, .mount = m, .ino = a.ino, .refs = 1};
        i->node = node;
        disk_of(&i->inode)->inodes++;
        *owner = i;
        refresh(&i->inode);
    }
    if (parent && !i->inode.linked)
        set_name(&i->inode, parent, name, length);
    *out = &i->inode;
    return 0;
}

static void write_attributes(struct disk_inode *i)
{
    struct inode *inode = &i->inode;
    struct ext4_attributes a = {.mode = inode->mode,
                                .uid = inode->uid,
                                .gid = inode->gid,
                                .atime = inode->atime,
                                .mtime = inode->mtime,
                                .ctime = inode->ctime};
    ext4_set_attributes(i->node, &a,
                        EXT4_SET_MODE | EXT4_SET_OWNER | EXT4_SET_ATIME | EXT4_SET_MTIME |
                            EXT4_SET_CTIME);
}

void disks_publish(void)
{
    while (changed) { /* others may come while one is written, and who writes more of them */
        struct disk_inode *i = changed;
        changed = i->next_changed;
        i->changed = false;
        write_attributes(i);
        inode_put(&i->inode);
    }
}

static void disk_changed(struct inode *inode)
{
    struct disk_inode *i = of(inode);
    if (i->changed)
        return;
    i->changed = true;
    inode_get(inode);
    i->next_changed = changed;
    changed = i;
}

static void disk_release(struct inode *inode)
{
    struct disk_inode *i = of(inode);
    hot_end(inode);
    disk_of(inode)->inodes--;
    *ext4_owner(i->node) = NULL;
    ext4_put(i->node);
    inode_put(inode->parent);
    free(inode->name);
    spare_give(&inode_spares, i);
}

static int disk_setattr(struct inode *inode)
{
    return ext4_read_only(disk_of(inode)->fs) ? -EROFS : 0;
}

/* ---- names ---- */

static int disk_lookup(struct inode *dir, const struct cred *who, const char *name, size_t length,
                       struct inode **out)
{
    struct ext4_node *node;
    (void)who;
    int error = ext4_lookup(of(dir)->node, name, length, &node);
    return error ? error : wrap(dir->mount, node, dir, name, length, out);
}

static struct ext4_new new_of(const struct create_args *args)
{
    return (struct ext4_new){.mode = args->mode,
                             .uid = args->uid,
                             .gid = args->gid,
                             .rdev = args->rdev,
                             .target = args->target,
                             .target_size = args->target_size};
}

static int disk_create(struct inode *dir, const char *name, size_t length,
                       const struct create_args *args, struct inode **out)
{
    struct ext4_node *node;
    struct ext4_new new = new_of(args);
    int error = ext4_create(of(dir)->node, name, length, &new, &node);
    refresh(dir);
    return error ? error : wrap(dir->mount, node, dir, name, length, out);
}

static int disk_tmpfile(struct inode *dir, const struct create_args *args, struct inode **out)
{
    struct ext4_node *node;
    struct ext4_new new = new_of(args);
    int error = ext4_tmpfile(of(dir)->node, &new, &node);
    return error ? error : wrap(dir->mount, node, NULL, NULL, 0, out);
}

static int disk_link(struct inode *dir, const char *name, size_t length, struct inode *target)
{
    int error = ext4_link(of(dir)->node, name, length, of(target)->node);
    if (!error && !target->linked)
        set_name(target, dir, name, length);
    refresh(dir);
    refresh(target);
    return error;
}

static bool has_name(const struct inode *inode, const struct inode *dir, const char *name,
                     size_t length)
{
    return inode->parent == dir && inode->name && strlen(inode->name) == length &&
           !memcmp(inode->name, name, length);
}

static int disk_unlink(struct inode *dir, const char *name, size_t length, struct inode *target)
{
    int error = ext4_unlink(of(dir)->node, name, length);
    if (!error && has_name(target, dir, name, length))
        target->linked = false;
    refresh(dir);
    refresh(target);
    return error;
}

static int disk_rename(struct inode *old_dir, const char *old_name, size_t old_length,
                       struct inode *inode, struct inode *new_dir, const char *new_name,
                       size_t new_length, struct inode *target, bool exchange)
{
    int error = ext4_rename(of(old_dir)->node, old_name, old_length, of(new_dir)->node, new_name,
                            new_length, exchange);
    if (!error) {
        if (target && exchange)
            set_name(target, old_dir, old_name, old_length);
        else if (target && has_name(target, new_dir, new_name, new_length))
            target->linked = false;
        set_name(inode, new_dir, new_name, new_length);
    }
    refresh(inode);
    refresh(old_dir);
    refresh(new_dir);
    if (target)
        refresh(target);
    return error;
}

static bool disk_empty(struct inode *dir)
{
    return ext4_empty(of(dir)->node) == 1;
}

static bool tell(void *context, uint64_t ino, uint64_t next, unsigned type, const char *name,
                 size_t length)
{
    struct dir_sink *sink = context;
    return sink->entry(sink, ino, next + COOKIE_FIRST, DTTOIF(type), name, length);
}

static int disk_readdir(struct inode *dir, const struct cred *who, uint64_t cookie,
                        struct dir_sink *sink)
{
    (void)who;
    return ext4_list(of(dir)->node, cookie - COOKIE_FIRST, tell, sink);
}

static int64_t disk_readlink(struct inode *inode, const struct cred *who, char *buffer, size_t size)
{
    (void)who;
    return ext4_readlink(of(inode)->node, buffer, size);
}

/* ---- bytes ---- */

static int disk_open(struct file *file, const struct cred *who, struct motor_reply *reply)
{
    (void)who, (void)reply;
    uint32_t mode = file->inode->mode;
    file->errors_seen = ext4_errors_seen(of(file->inode)->node);
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || (file->flags & O_PATH) ? 0 : -ENXIO;
}

static int64_t to_caller(void *context, void *page, uint64_t size)
{
    return transfer_from_buffer(context, page, size);
}

static int64_t from_caller(void *context, void *page, uint64_t size)
{
    return transfer_to_buffer(context, page, size);
}

static int64_t disk_read(struct file *file, struct transfer *t, uint64_t offset)
{
    int64_t n = ext4_read(of(file->inode)->node, offset, t->left, to_caller, t);
    if (n > 0 && !t->noted)
        inode_accessed(file->inode, file->flags);
    return n;
}

static int64_t disk_write(struct file *file, struct transfer *t, uint64_t offset)
{
    int64_t n = ext4_write(of(file->inode)->node, offset, t->left, from_caller, t);
    refresh(file->inode);
    return n;
}

static int disk_reserve(struct inode *inode, uint64_t bytes)
{
    return ext4_reserve(of(inode)->node, bytes);
}

static int64_t from_memory(void *context, void *page, uint64_t size)
{
    const uint8_t **bytes = context;
    memcpy(page, *bytes, size);
    *bytes += size;
    return (int64_t)size;
}

static int64_t disk_append(struct inode *inode, const void *bytes, uint64_t size)
{
    int64_t n = ext4_append(of(inode)->node, size, from_memory, &bytes);
    refresh(inode);
    return n;
}

static int disk_truncate(struct inode *inode, uint64_t size)
{
    int error = ext4_truncate(of(inode)->node, size);
    refresh(inode);
    return error;
}

/* The pages themselves. */
static int disk_map(struct inode *inode, bool writable, motor_handle *vmo, uint64_t *offset)
{
    *offset = 0;
    return writable && ext4_read_only(disk_of(inode)->fs)
               ? -EROFS
               : pager_object(of(inode)->node, writable, vmo);
}

static int disk_fetch(struct inode *inode)
{
    return ext4_fault(of(inode)->node, 0, false);
}

static int disk_hot(struct inode *inode, motor_handle *vmo, uint64_t *offset, bool *private)
{
    (void)private;
    return disk_map(inode, false, vmo, offset);
}

static bool disk_steady(struct inode *inode)
{
    (void)inode;
    return true;
}

static int disk_allocate(struct inode *inode, uint64_t offset, uint64_t length, uint32_t flags)
{
    int error = 0;
    if (flags & ~(uint32_t)(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE))
        return -EOPNOTSUPP;
    if (flags & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        error = ext4_punch(of(inode)->node, offset, length);
    if (!error && !(flags & FALLOC_FL_PUNCH_HOLE))
        error = ext4_allocate(of(inode)->node, offset, length, flags & FALLOC_FL_KEEP_SIZE);
    refresh(inode);
    return error;
}

static uint64_t disk_blocks(struct inode *inode)
{
    struct ext4_attributes a;
    ext4_attributes(of(inode)->node, &a);
    return a.blocks;
}

static int disk_sync(struct file *file, bool data_only)
{
    return (data_only ? ext4_datasync : ext4_fsync)(of(file->inode)->node, &file->errors_seen);
}

static void disk_forget(struct inode *inode, uint64_t from, uint64_t end)
{
    ext4_forget(of(inode)->node, from, end);
}

static int64_t disk_xattr(struct inode *inode, uint32_t op, const struct xattr *x)
{
    struct ext4_node *n = of(inode)->node;
    if (op == IO_XATTR_LIST)
        return ext4_xattr_list(n, x->value, XATTR_VALUE_MAX);
    if (op == IO_XATTR_GET)
        return ext4_xattr_get(n, x->name, x->value, XATTR_VALUE_MAX);
    int error =
        ext4_xattr_set(n, x->name, op == IO_XATTR_SET ? x->value : NULL, x->size,
                       (x->create ? EXT4_XATTR_CREATE : 0) | (x->replace ? EXT4_XATTR_REPLACE : 0));
    refresh(inode);
    return error;
}

static void disk_statfs(struct inode *inode, struct io_statfs *out)
{
    struct ext4_statfs st;
    ext4_statfs(disk_of(inode)->fs, &st);
    *out = (struct io_statfs){.type = EXT4_STATFS,
                              .bsize = st.block_size,
                              .blocks = st.blocks,
                              .bfree = st.free,
                              .bavail = st.available,
                              .files = st.inodes,
                              .ffree = st.free_inodes,
                              .namelen = FS_NAME_MAX};
}

static const struct inode_ops disk_ops = {
    .lookup = disk_lookup,
    .create = disk_create,
    .link = disk_link,
    .unlink = disk_unlink,
    .rename = disk_rename,
    .empty = disk_empty,
    .readdir = disk_readdir,
    .tmpfile = disk_tmpfile,
    .readlink = disk_readlink,
    .open = disk_open,
    .read = disk_read,
    .reads_beside = true,
    .write = disk_write,
    .reserve = disk_reserve,
    .append = disk_append,
    .truncate = disk_truncate,
    .allocate = disk_allocate,
    .map = disk_map,
    .fetch = disk_fetch,
    .hot = disk_hot,
    .steady = disk_steady,
    .xattr = disk_xattr,
    .blocks = disk_blocks,
    .setattr = disk_setattr,
    .changed = disk_changed,
    .sync = disk_sync,
    .forget = disk_forget,
    .statfs = disk_statfs,
    .release = disk_release,
};

/* ---- disks ---- */

bool disks_mounted(void)
{
    return mounted;
}

int disks_sync(void)
{
    int error = 0;
    for (uint32_t i = 0; i < disk_count; i++) {
        int status = disks[i].fs ? ext4_sync(disks[i].fs) : 0;
        error = error ? error : status;
    }
    return error;
}

uint32_t disks_reclaim(uint32_t count)
{
    uint32_t got = 0;
    for (uint32_t i = 0; i < disk_count && got < count; i++)
        if (disks[i].fs)
            got += ext4_reclaim(disks[i].fs, count - got);
    return got;
}

void disks_finish(void)
{
    work_settle(true);
    for (uint32_t i = 0; i < disk_count; i++) {
        fiber_lock(&disks[i].lock);
        if (disks[i].fs && ext4_unmount(disks[i].fs))
            log_error("fs", "%s: not all could be written", disks[i].source);
        disks[i].fs = NULL;
        fiber_unlock(&disks[i].lock);
    }
}

static void finish(void *arg)
{
    (void)arg;
    disks_finish();
}

void disks_finish_now(void)
{
    work_now(finish, NULL);
}

struct collecting {
    struct fiber *fiber;
    bool over;
};

static void collect(struct motor_event *ev)
{
    struct collecting *c = (struct collecting *)ev->word[0];
    appends_collect();
    appends_end(true);
    disks_publish();
    hot_publish();
    c->over = true;
    fiber_ready(c->fiber);
}

/* What was appended without calls goes to the files, between calls: it changes inodes. */
static void collect_appends(void)
{
    struct collecting c = {.fiber = fiber_current()};
    struct motor_event ev = {.word = {(uint64_t)(uintptr_t)&c}};
    if (!work_add(&ev, collect))
        return;
    while (!c.over)
        fiber_suspend();
}

static void write_back(void *arg)
{
    struct disk *d = arg;
    collect_appends();
    fiber_lock(&d->lock);
    if (d->fs)
        ext4_sync(d->fs);
    fiber_unlock(&d->lock);
    pagers_sweep();
    d->writing = false;
}

static void write_back_due(struct engine *e, struct engine_timer *t)
{
    struct disk *d = (struct disk *)((char *)t - offsetof(struct disk, timer));
    if (!d->writing && d->fs) {
        d->writing = true;
        if (!fiber_start(write_back, d))
            d->writing = false;
    }
    engine_timer_set(e, t, e->now + WRITE_BACK);
}

static struct timespec now(void)
{
    return fs_now();
}

static void disk_log(const char *format, ...)
{
    char line[160];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_info("ext4", "%s", line);
}

/* The directory that a file system is mounted on. */
static int make_mount_point(const char *path)
{
    struct cred root = {0};
    struct create_args args = {.mode = S_IFDIR | 0755};
    struct inode *inode;
    int error = vfs_create(mounts->root, &root, path, strlen(path), &args, &inode);
    if (!error)
        inode_put(inode);
    return error == -EEXIST ? 0 : error;
}

/* ---- mount and unmount ---- */

static bool disk_busy(struct mount *m)
{
    struct disk *d = (struct disk *)((char *)m - offsetof(struct disk, mount));
    return d->inodes > 1 || d->mount.root->refs > 1 || pagers_use(d->fs, false);
}

static void disk_settle(struct mount *m)
{
    (void)m;
    pagers_sweep();
}

static int disk_unmount(struct mount *m)
{
    struct disk *d = (struct disk *)((char *)m - offsetof(struct disk, mount));
    engine_timer_clear(&d->timer);
    work_settle(false);
    inode_put(m->root);
    fiber_lock(&d->lock);
    int error = ext4_unmount(d->fs);
    d->fs = NULL;
    fiber_unlock(&d->lock);
    d->device = NULL;
    mounted--;
    return error;
}

static int disk_remount(struct mount *m, bool read_only, const char *data)
{
    (void)data;
    struct disk *d = (struct disk *)((char *)m - offsetof(struct disk, mount));
    pagers_sweep();
    return read_only && pagers_use(d->fs, true) ? -EBUSY : ext4_remount(d->fs, read_only);
}

static const struct mount_ops mount_ops = {
    .unmount = disk_unmount, .busy = disk_busy, .settle = disk_settle, .remount = disk_remount};

static struct disk *disk_free_place(void)
{
    for (uint32_t i = 0; i < DISKS_MAX; i++)
        if (!disks[i].device && !disks[i].writing) {
            disk_count = i < disk_count ? disk_count : i + 1;
            return &disks[i];
        }
    return NULL;
}

/* The root inode of what was just opened, and the rest of the mount. */
static int disk_begin(struct disk *d)
{
    struct ext4_node *node;
    d->inodes = 0;
    int error = ext4_root(d->fs, &node);
    if (!error)
        error = wrap(&d->mount, node, NULL, NULL, 0, &d->mount.root);
    if (error) {
        ext4_unmount(d->fs);
        return error;
    }
    d->mount.ops = &mount_ops;
    d->mount.type = "ext4";
    d->mount.source = d->source;
    d->mount.read_only = ext4_read_only(d->fs);
    d->timer.fire = write_back_due;
    engine_timer_set(&fs_engine, &d->timer, fs_engine.now + WRITE_BACK);
    mounted++;
    return 0;
}

/* The root takes what its device has gained: an image that was put on a larger disk. */
static int grow_root(struct disk *d, const struct ext4_options *options)
{
    int error = ext4_grow(d->fs);
    log_info("fs", "%s: %s", d->device->name,
             error ? strerror(-error) : "the file system has grown with its device");
    ext4_unmount(d->fs);
    d->fs = NULL;
    return ext4_mount(d->device, options, &d->fs);
}

/* Opens the file system of a device: a mount that is in no tree yet. */
static int disk_open_device(struct block_device *device, bool read_only, struct disk **out)
{
    struct motor_memory_info memory = {0};
    struct disk *d = disk_free_place();
    if (!d)
        return -EMFILE;
    *d = (struct disk){.device = device};
    snprintf(d->source, sizeof d->source, "/dev/%s", device->name);
    motor_system_info(MOTOR_SINFO_MEMORY, &memory, sizeof memory);
    struct ext4_options options = {.read_only = read_only,
                                   .cache_bytes = memory.total / 4,
                                   .page_bytes = memory.total / 2,
                                   .memory = &page_pool,
                                   .now = now,
                                   .log = disk_log};
    pagers_init();
    page_pool_init(options.cache_bytes + options.page_bytes);
    int error = ext4_mount(device, &options, &d->fs);
    if (!error && !mounts && ext4_can_grow(d->fs))
        error = grow_root(d, &options);
    if (!error)
        error = disk_begin(d);
    if (error) {
        d->fs = NULL;
        d->device = NULL;
    }
    *out = d;
    return error;
}

static bool is_mounted(const struct block_device *device)
{
    for (uint32_t i = 0; i < disk_count; i++)
        if (disks[i].device == device)
            return true;
    return false;
}

bool device_is_mounted(const struct device *d)
{
    struct device *other;
    for (uint32_t i = 0; (other = device_at(i)); i++)
        if ((other == d || (other->disk == d->disk && (!other->entry || !d->entry))) &&
            is_mounted(other->block))
            return true;
    return false;
}

int disk_mount_type(const struct mount_request *r, struct mount **out)
{
    struct disk *d;
    struct device *device = device_find(r->source);
    if (!device)
        return -ENOENT;
    if (device_is_mounted(device))
        return -EBUSY;
    int error = disk_open_device(device->block, r->flags & MS_RDONLY, &d);
    if (!error)
        *out = &d->mount;
    return error;
}

/* ---- at start ---- */

struct start {
    struct block_device *device;
    const char *path;
    int error;
};

static int into_tree(struct mount *m, const char *path)
{
    int error = mounts ? make_mount_point("/mnt") : 0;
    if (!error && mounts)
        error = make_mount_point(path);
    return error ? error : vfs_mount(m, path);
}

static void mount_at_start(void *arg)
{
    struct start *s = arg;
    struct disk *d;
    s->error = disk_open_device(s->device, false, &d);
    if (!s->error) {
        s->error = into_tree(&d->mount, s->path);
        if (s->error)
            disk_unmount(&d->mount);
    }
    if (s->error)
        log_info("fs", "%s is not mounted: %s", s->device->name, strerror(-s->error));
    else
        log_info("fs", "%s is on %s", s->device->name, s->path);
}

/* Tries to mount a device; true: it is mounted now. */
static bool disk_mount(struct block_device *device, const char *path)
{
    struct start s = {device, path, -ENOMEM};
    work_now(mount_at_start, &s);
    return !s.error;
}

bool disk_mount_root(const char *what)
{
    struct device *d = device_find(what);
    if (!d) {
        log_error("fs", "root=%s: no such device; there are:", what);
        for (uint32_t i = 0; (d = device_at(i)); i++) {
            char id[GPT_GUID_TEXT] = "";
            if (d->entry)
                gpt_guid_text(d->entry->id, id);
            log_error("fs", "  %s %s", d->block->name, id);
        }
        return false;
    }
    if (!disk_mount(d->block, "/")) {
        log_error("fs", "root=%s: %s cannot be mounted", what, d->block->name);
        return false;
    }
    return true;
}

void disks_init(void)
{
    struct device *d;
    for (uint32_t i = 0; (d = device_at(i)); i++) {
        char path[16];
        if (!device_for_files(d) || is_mounted(d->block))
            continue;
        snprintf(path, sizeof path, "/mnt/%s", d->block->name);
        disk_mount(d->block, path);
    }
}
