/* SPDX-License-Identifier: MIT */
/*
 * The file system in memory: the root, filled from the bundle. An inode lives while it has links,
 * or references from open files; its bytes are a memory object (data.h), its names a hash table
 * (directory.h).
 *
 * Limits: bytes of file pages, and inodes; each write is charged with the pages it may need before
 * it is done, and the charge is corrected afterwards.
 */
#include "data.h"
#include "directory.h"
#include "tmpfs_options.h"
#include "xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <motor/bundle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE              MOTOR_PAGE_SIZE
#define TMPFS_MAGIC       0x01021994u
#define FALLOC_KEEP_SIZE  1u
#define FALLOC_PUNCH_HOLE 2u
#define FALLOC_ZERO_RANGE 0x10u

struct tmpfs_inode {
    struct inode inode;
    uint64_t charged;  /* bytes of the limit this file holds */
    uint64_t reserved; /* of it: bytes behind the end */
    struct xattr_list xattrs;
    uint32_t seals; /* F_SEAL_*; only memfd_create makes files that can get some */
    union {
        struct {
            struct data data;
            uint64_t hash; /* of a bundle file, checked at its first open */
            bool unverified;
            bool changed; /* its bytes, since it was made */
        };
        struct directory directory;
        char *target;
    };
};

static struct quota all;
static uint64_t next_ino = 1;
static const struct inode_ops tmpfs_ops;

static struct tmpfs_inode *of(struct inode *inode)
{
    return (struct tmpfs_inode *)inode;
}

/* ---- quotas ---- */

/* The mount's own; NULL: it has none. */
static struct quota *quota_of(const struct mount *m)
{
    return m->private_data;
}

static void charge_bytes(const struct mount *m, uint64_t more)
{
    all.bytes += more;
    if (quota_of(m))
        quota_of(m)->bytes += more;
}

static void charge_inodes(const struct mount *m, uint64_t more)
{
    all.inodes += more;
    if (quota_of(m))
        quota_of(m)->inodes += more;
}

static uint64_t bytes_room(const struct mount *m)
{
    uint64_t room = quota_room(&all), own = quota_of(m) ? quota_room(quota_of(m)) : room;
    return own < room ? own : room;
}

static bool inodes_full(const struct mount *m)
{
    const struct quota *q = quota_of(m);
    return all.inodes >= all.inodes_max || (q && q->inodes >= q->inodes_max);
}

uint64_t tmpfs_bytes_used(void)
{
    return all.bytes;
}

/* ---- inodes ---- */

/*
 * An inode's name refers to the directory it is, or was, in; so the end of one may be the end of a
 * chain of removed directories.
 */
static void inode_destroy(struct inode *inode)
{
    while (inode) {
        hot_end(inode);
        struct tmpfs_inode *n = of(inode);
        struct inode *parent = inode->parent;
        if (S_ISREG(inode->mode))
            data_free(&n->data);
        else if (S_ISDIR(inode->mode))
            directory_free(&n->directory);
        else if (S_ISLNK(inode->mode))
            free(n->target);
        charge_bytes(inode->mount, -(n->charged + n->xattrs.bytes));
        xattr_list_free(&n->xattrs);
        charge_inodes(inode->mount, -1ull);
        free(inode->name);
        free(n);
        inode = parent && --parent->refs == 0 && parent->nlink == 0 ? parent : NULL;
    }
}

static void tmpfs_release(struct inode *inode)
{
    if (inode->nlink == 0)
        inode_destroy(inode);
}

static void drop_if_unused(struct inode *inode)
{
    if (inode->nlink == 0 && inode->refs == 0)
        inode_destroy(inode);
}

#define SEALS       (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
#define SEALS_BYTES (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

static struct tmpfs_inode *inode_new(struct mount *m, const struct create_args *args)
{
    if (inodes_full(m) || memory_low())
        return NULL;
    struct tmpfs_inode *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    struct inode *i = &n->inode;
    i->ops = &tmpfs_ops;
    i->mount = m;
    i->ino = next_ino++;
    i->mode = args->mode;
    i->uid = args->uid;
    i->gid = args->gid;
    i->rdev = args->rdev;
    i->atime = i->mtime = i->ctime = i->btime = fs_now();
    n->seals = F_SEAL_SEAL;
    if (S_ISREG(i->mode)) {
        data_init_empty(&n->data);
    } else if (S_ISDIR(i->mode)) {
        directory_init(&n->directory);
    } else if (S_ISLNK(i->mode)) {
        n->target = malloc(args->target_size);
        if (!n->target) {
            free(n);
            return NULL;
        }
        memcpy(n->target, args->target, args->target_size);
        i->size = args->target_size;
    }
    charge_inodes(m, 1);
    return n;
}

/* ---- names ---- */

static char *name_copy(const char *name, size_t length)
{
    char *copy = malloc(length + 1);
    if (copy) {
        memcpy(copy, name, length);
        copy[length] = 0;
    }
    return copy;
}

/* Remembers a name of the inode, for paths; takes over `copy`. */
static void name_assign(struct inode *inode, struct inode *dir, char *copy)
{
    struct inode *old = inode->parent;
    free(inode->name);
    inode->name = copy;
    inode->parent = inode_get(dir);
    inode->linked = true;
    inode_put(old);
}

static void name_gone(struct inode *inode, struct inode *dir, const char *name, size_t length)
{
    if (inode->parent == dir && inode->name && strlen(inode->name) == length &&
        !memcmp(inode->name, name, length))
        inode->linked = false;
}

static void dir_changed(struct inode *dir)
{
    dir->size = of(dir)->directory.count * 20ull;
    inode_touch(dir, true);
    names_changed();
}

static int tmpfs_lookup(struct inode *dir, const struct cred *who, const char *name, size_t length,
                        struct inode **out)
{
    (void)who;
    struct entry *e = directory_find(&of(dir)->directory, name, length);
    if (!e)
        return -ENOENT;
    *out = inode_get(e->inode);
    return 0;
}

static int tmpfs_link(struct inode *dir, const char *name, size_t length, struct inode *inode)
{
    char *copy = name_copy(name, length);
    if (!copy || !directory_add(&of(dir)->directory, name, length, inode)) {
        free(copy);
        return -ENOMEM;
    }
    name_assign(inode, dir, copy);
    inode->nlink++;
    hot_changed(inode);
    if (S_ISDIR(inode->mode)) {
        inode->nlink++; /* its "." */
        dir->nlink++;   /* its ".." */
    }
    dir_changed(dir);
    return 0;
}

static int tmpfs_create(struct inode *dir, const char *name, size_t length,
                        const struct create_args *args, struct inode **out)
{
    struct tmpfs_inode *n = inode_new(dir->mount, args);
    if (!n)
        return -ENOSPC;
    int error = tmpfs_link(dir, name, length, &n->inode);
    if (error) {
        inode_destroy(&n->inode);
        return error;
    }
    *out = inode_get(&n->inode);
    return 0;
}

/* A file without links, whose name is only for those who look at its path. */
static int nameless(struct inode *dir, const struct create_args *args, const char *name,
                    struct inode **out)
{
    struct tmpfs_inode *n = inode_new(dir->mount, args);
    if (!n)
        return -ENOSPC;
    char *copy = name_copy(name, strlen(name));
    if (!copy) {
        inode_destroy(&n->inode);
        return -ENOMEM;
    }
    name_assign(&n->inode, dir, copy);
    n->inode.linked = false;
    *out = inode_get(&n->inode);
    return 0;
}

static int tmpfs_tmpfile(struct inode *dir, const struct create_args *args, struct inode **out)
{
    char name[32];
    snprintf(name, sizeof name, "#%llu", (unsigned long long)next_ino);
    return nameless(dir, args, name, out);
}

static struct mount memory_files; /* on nothing: they have no place in the tree */

bool tmpfs_is_memory_file(const struct inode *inode)
{
    return inode->mount == &memory_files;
}

int tmpfs_memory_file(const char *name, bool sealable, const struct cred *who, struct inode **out)
{
    struct create_args args = {.mode = S_IFREG | 0777, .uid = who->uid, .gid = who->gid};
    if (!memory_files.root && !tmpfs_init(&memory_files, "memfd", 0700))
        return -ENOSPC;
    int error = nameless(memory_files.root, &args, name, out);
    if (!error && sealable)
        of(*out)->seals = 0;
    return error;
}

/* One link less; the inode goes when nothing refers to it any more. */
static void unlinked(struct inode *dir, struct inode *inode)
{
    inode->nlink--;
    if (S_ISDIR(inode->mode)) {
        inode->nlink--;
        dir->nlink--;
    }
    inode_touch(inode, false);
    drop_if_unused(inode);
}

static int tmpfs_unlink(struct inode *dir, const char *name, size_t length, struct inode *inode)
{
    struct entry *e = directory_find(&of(dir)->directory, name, length);
    if (!e || e->inode != inode)
        return -ENOENT;
    directory_remove(&of(dir)->directory, e);
    name_gone(inode, dir, name, length);
    unlinked(dir, inode);
    dir_changed(dir);
    return 0;
}

static void moved_directory(struct inode *from, struct inode *to)
{
    from->nlink--;
    to->nlink++;
}

static int exchange(struct inode *old_dir, struct entry *a, struct inode *new_dir, struct entry *b)
{
    struct inode *first = a->inode, *second = b->inode;
    char *first_name = name_copy(b->name, b->length), *second_name = name_copy(a->name, a->length);
    if (!first_name || !second_name) {
        free(first_name);
        free(second_name);
        return -ENOMEM;
    }
    name_assign(first, new_dir, first_name);
    name_assign(second, old_dir, second_name);
    a->inode = second;
    b->inode = first;
    if (S_ISDIR(first->mode))
        moved_directory(old_dir, new_dir);
    if (S_ISDIR(second->mode))
        moved_directory(new_dir, old_dir);
    inode_touch(second, false);
    return 0;
}

/* The entry t gets the inode of e, which goes; t's inode loses a link. Cannot fail. */
static void replace(struct inode *old_dir, struct entry *e, struct inode *new_dir, struct entry *t,
                    char *copy)
{
    struct inode *inode = e->inode, *target = t->inode;
    name_gone(target, new_dir, t->name, t->length);
    t->inode = inode;
    directory_remove(&of(old_dir)->directory, e);
    name_assign(inode, new_dir, copy);
    if (S_ISDIR(inode->mode))
        moved_directory(old_dir, new_dir);
    unlinked(new_dir, target);
}

static int move(struct inode *old_dir, struct entry *e, struct inode *new_dir, const char *name,
                size_t length, char *copy)
{
    struct inode *inode = e->inode;
    if (!directory_add(&of(new_dir)->directory, name, length, inode))
        return -ENOMEM;
    directory_remove(&of(old_dir)->directory, e);
    name_assign(inode, new_dir, copy);
    if (S_ISDIR(inode->mode))
        moved_directory(old_dir, new_dir);
    return 0;
}

static int tmpfs_rename(struct inode *old_dir, const char *old_name, size_t old_length,
                        struct inode *inode, struct inode *new_dir, const char *new_name,
                        size_t new_length, struct inode *target, bool swap)
{
    struct entry *e = directory_find(&of(old_dir)->directory, old_name, old_length);
    struct entry *t = target ? directory_find(&of(new_dir)->directory, new_name, new_length) : NULL;
    int error = 0;
    if (!e || e->inode != inode || (target && (!t || t->inode != target)))
        return -ENOENT;
    char *copy = swap ? NULL : name_copy(new_name, new_length);
    if (!swap && !copy)
        return -ENOMEM;
    if (swap)
        error = exchange(old_dir, e, new_dir, t);
    else if (t)
        replace(old_dir, e, new_dir, t, copy);
    else
        error = move(old_dir, e, new_dir, new_name, new_length, copy);
    if (error) {
        free(copy);
        return error;
    }
    inode_touch(inode, false);
    dir_changed(old_dir);
    if (new_dir != old_dir)
        dir_changed(new_dir);
    return 0;
}

static bool tmpfs_empty(struct inode *dir)
{
    return of(dir)->directory.count == 0;
}

static int tmpfs_readdir(struct inode *dir, const struct cred *who, uint64_t cookie,
                         struct dir_sink *sink)
{
    (void)who;
    struct entry *e;
    uint32_t at = DIRECTORY_SEARCH;
    while ((e = directory_after(&of(dir)->directory, cookie, &at)))
        if (!sink->entry(sink, e->inode->ino, e->id, e->inode->mode, e->name, e->length))
            break;
    return 0;
}

static int64_t tmpfs_readlink(struct inode *inode, const struct cred *who, char *buffer,
                              size_t size)
{
    (void)who;
    size_t n = inode->size < size ? inode->size : size;
    memcpy(buffer, of(inode)->target, n);
    return (int64_t)n;
}

/* ---- bytes ---- */

static uint64_t page_up(uint64_t n)
{
    return (n + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static void recharge(struct tmpfs_inode *n)
{
    uint64_t bytes = data_committed(&n->data, n->inode.size) + n->reserved;
    charge_bytes(n->inode.mount, bytes - n->charged);
    n->charged = bytes;
}

/* How much of [offset, offset + count) may be written under the limit. */
static uint64_t affordable(struct tmpfs_inode *n, uint64_t offset, uint64_t count)
{
    uint64_t room = bytes_room(n->inode.mount) + n->reserved;
    uint64_t first = offset & ~(uint64_t)(PAGE - 1);
    /* these pages are paid for */
    uint64_t own = n->data.dense && n->data.vmo ? page_up(n->inode.size) : 0;
    if (offset + count <= own)
        return count;
    uint64_t begin = first > own ? first : own;
    uint64_t needed = page_up(offset + count) - begin;
    if (n->data.in_bundle)
        needed = page_up(offset + count > n->inode.size ? offset + count : n->inode.size);
    if (needed <= room)
        return count;
    if (n->data.in_bundle || begin + (room & ~(uint64_t)(PAGE - 1)) <= offset)
        return 0;
    return begin + (room & ~(uint64_t)(PAGE - 1)) - offset;
}

/* Before bytes change, or the object in which they are. */
static void bytes_will_change(struct tmpfs_inode *n, bool new_object)
{
    n->changed = true;
    if (new_object || n->data.cloned)
        hot_end(&n->inode);
}

static int verify(struct tmpfs_inode *n);

static int tmpfs_open(struct file *file, const struct cred *who, struct motor_reply *reply)
{
    (void)who, (void)reply;
    struct inode *inode = file->inode;
    if (S_ISREG(inode->mode))
        return verify(of(inode));
    if (S_ISDIR(inode->mode) || S_ISLNK(inode->mode) || (file->flags & O_PATH))
        return 0;
    return -ENXIO; /* FIFOs and sockets need engines of their own; device nodes are in devfs */
}

static int64_t tmpfs_read(struct file *file, struct transfer *t, uint64_t offset)
{
    struct inode *inode = file->inode;
    int64_t n = data_read(&of(inode)->data, t, offset, inode->size, t->left);
    if (n > 0)
        inode_accessed(inode, file->flags);
    return n;
}

static int64_t tmpfs_write(struct file *file, struct transfer *t, uint64_t offset)
{
    struct tmpfs_inode *n = of(file->inode);
    uint64_t count = t->left;
    if (offset > INT64_MAX - count) {
        if (offset >= INT64_MAX)
            return -EFBIG;
        count = INT64_MAX - offset;
    }
    if (count && (n->seals & SEALS_BYTES))
        return -EPERM;
    if ((n->seals & F_SEAL_GROW) && offset + count > n->inode.size) {
        if (offset >= n->inode.size)
            return count ? -EPERM : 0;
        count = n->inode.size - offset;
    }
    count = affordable(n, offset, count);
    if (!count)
        return t->left ? -ENOSPC : 0;
    bytes_will_change(n, false);
    int64_t written = data_write(&n->data, t, offset, n->inode.size, count);
    if (written > 0 && offset + (uint64_t)written > n->inode.size)
        n->inode.size = offset + (uint64_t)written;
    else if (written < 0)
        n->data.dirty = true; /* something may have reached the page behind the end */
    recharge(n);
    if (written > 0)
        inode_touch(&n->inode, true);
    return written;
}

#define PLENTY 64u /* so many times what is reserved has to be there */

static int tmpfs_reserve(struct inode *inode, uint64_t bytes)
{
    struct tmpfs_inode *n = of(inode);
    uint64_t need = page_up(inode->size + bytes) - page_up(inode->size);
    int error = 0;
    if (!bytes) {
        data_trim(&n->data, inode->size);
    } else if (n->data.in_bundle || n->data.cloned || n->data.exact || !n->data.dense ||
               !(n->seals & F_SEAL_SEAL)) { /* a seal has to stop whoever writes */
        error = -EOPNOTSUPP;
    } else if ((bytes_room(inode->mount) + n->reserved) / PLENTY < bytes) {
        error = -ENOSPC;
    } else {
        error = data_commit(&n->data, inode->size, inode->size, bytes);
    }
    if (!error) {
        n->reserved = need;
        recharge(n);
    }
    return error;
}

static int64_t tmpfs_append(struct inode *inode, const void *bytes, uint64_t size)
{
    struct tmpfs_inode *n = of(inode);
    n->changed = true;
    int error = data_append(&n->data, inode->size, bytes, size);
    if (error)
        return error;
    n->reserved -= page_up(inode->size + size) - page_up(inode->size);
    inode->size += size;
    recharge(n);
    return (int64_t)size;
}

static int tmpfs_truncate(struct inode *inode, uint64_t size)
{
    struct tmpfs_inode *n = of(inode);
    if (n->seals & (size < inode->size ? F_SEAL_SHRINK : size > inode->size ? F_SEAL_GROW : 0))
        return -EPERM;
    if (n->data.in_bundle && size && !affordable(n, 0, size < inode->size ? size : inode->size))
        return -ENOSPC;
    bytes_will_change(n, !size);
    int error = data_resize(&n->data, inode->size, size);
    if (!error)
        inode->size = size;
    recharge(n);
    if (!error)
        inode_touch(inode, true);
    return error;
}

static int tmpfs_allocate(struct inode *inode, uint64_t offset, uint64_t length, uint32_t flags)
{
    struct tmpfs_inode *n = of(inode);
    uint64_t end = offset + length;
    int error;
    bool zeroes = flags & (FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE);
    if (zeroes ? n->seals & SEALS_BYTES
               : (n->seals & F_SEAL_GROW) && end > inode->size && !(flags & FALLOC_KEEP_SIZE))
        return -EPERM;
    bytes_will_change(n, false);
    if (zeroes) {
        error = data_zero(&n->data, inode->size, offset, length);
    } else {
        uint64_t keep = (flags & FALLOC_KEEP_SIZE) && end > inode->size ? inode->size : end;
        if (keep <= offset)
            return 0; /* pages behind the end are not kept: they would only cost memory */
        if (affordable(n, offset, keep - offset) != keep - offset)
            return -ENOSPC;
        error = keep > inode->size ? data_resize(&n->data, inode->size, keep) : 0;
        if (!error && keep > inode->size)
            inode->size = keep;
        if (!error)
            error = data_commit(&n->data, inode->size, offset, keep - offset);
    }
    if (!error && !(flags & FALLOC_KEEP_SIZE) && end > inode->size) {
        error = data_resize(&n->data, inode->size, end);
        if (!error)
            inode->size = end;
    }
    recharge(n);
    if (!error)
        inode_touch(inode, true);
    return error;
}

static int tmpfs_map(struct inode *inode, bool writable, motor_handle *vmo, uint64_t *offset)
{
    struct tmpfs_inode *n = of(inode);
    uint64_t before = n->charged;
    if (writable && (n->seals & SEALS_BYTES))
        return -EPERM;
    if (writable && n->data.in_bundle && !affordable(n, 0, inode->size))
        return -ENOSPC;
    int error = data_own(&n->data, inode->size);
    if (error)
        return error;
    if (!n->data.exact && n->data.vmo_size > page_up(inode->size)) {
        uint64_t size = page_up(inode->size);
        if (motor_vmo_control(n->data.vmo, MOTOR_VMO_RESIZE, 0, size, NULL) < 0)
            return -ENOMEM;
        n->data.vmo_size = size;
    }
    n->data.exact = true;
    if (writable) {
        n->data.shared = n->data.dirty = true;
        hot_end(inode);
    }
    if (writable || before)
        recharge(n);
    *vmo = n->data.vmo;
    *offset = 0;
    return 0;
}

/* Not files with holes, which mappings may fill, nor those that mappings may write. */
static bool tmpfs_steady(struct inode *inode)
{
    struct tmpfs_inode *n = of(inode);
    return S_ISDIR(inode->mode) || (S_ISREG(inode->mode) && n->data.dense && !n->data.shared);
}

/*
 * Of a clone of the bundle a mapping sees no change of a page that is still the
 * bundle's: it is given up at the first one.
 */
static int tmpfs_hot(struct inode *inode, motor_handle *vmo, uint64_t *offset, bool *private)
{
    struct tmpfs_inode *n = of(inode);
    if (!inode->size || !tmpfs_steady(inode) || (n->data.cloned && n->changed))
        return -EOPNOTSUPP;
    int error = data_own(&n->data, inode->size);
    if (error)
        return error;
    *vmo = n->data.vmo;
    *offset = 0;
    *private = n->data.cloned;
    return 0;
}

/* Its pages are all there and paid for. Whoever can write so could not be stopped by a seal. */
static bool tmpfs_hot_write(struct inode *inode)
{
    struct tmpfs_inode *n = of(inode);
    if (n->data.cloned || !(n->seals & F_SEAL_SEAL))
        return false;
    n->changed = n->data.dirty = true;
    return true;
}

static int64_t tmpfs_copy(struct inode *from, uint64_t offset, struct inode *to, uint64_t to_offset,
                          uint64_t count)
{
    struct tmpfs_inode *source = of(from), *target = of(to);
    if (offset >= from->size)
        return 0;
    if (count > from->size - offset)
        count = from->size - offset;
    if (to_offset > INT64_MAX - count)
        return -EFBIG;
    int error = verify(source);
    if (!error && ((target->seals & SEALS_BYTES) ||
                   ((target->seals & F_SEAL_GROW) && to_offset + count > to->size)))
        error = -EPERM;
    if (error)
        return error;
    count = affordable(target, to_offset, count);
    if (!count)
        return -ENOSPC;
    bytes_will_change(target, false);
    int64_t n = data_copy(&source->data, offset, &target->data, to->size, to_offset, count);
    if (n > 0 && to_offset + (uint64_t)n > to->size)
        to->size = to_offset + (uint64_t)n;
    recharge(target);
    if (n > 0)
        inode_touch(to, true);
    return n;
}

static int64_t tmpfs_xattr(struct inode *inode, uint32_t op, const struct xattr *x)
{
    struct xattr_list *list = &of(inode)->xattrs;
    uint64_t before = list->bytes;
    int64_t status = xattr_list_do(list, op, x, bytes_room(inode->mount));
    charge_bytes(inode->mount, list->bytes - before);
    return status;
}

/* ---- seals ---- */

static int64_t tmpfs_seal(struct file *file, bool change, uint32_t add)
{
    struct tmpfs_inode *n = of(file->inode);
    if (!S_ISREG(n->inode.mode))
        return -EINVAL;
    if (!change)
        return n->seals;
    if ((file->flags & O_ACCMODE) == O_RDONLY)
        return -EPERM;
    if (add & ~SEALS)
        return -EINVAL;
    if (n->seals & F_SEAL_SEAL)
        return -EPERM;
    if (add & SEALS_BYTES & ~n->seals) {
        int error = data_seal(&n->data, n->inode.size, add & F_SEAL_WRITE);
        if (error)
            return error;
    }
    n->seals |= add;
    return 0;
}

static uint64_t tmpfs_blocks(struct inode *inode)
{
    struct tmpfs_inode *n = of(inode);
    if (!S_ISREG(inode->mode))
        return 0;
    if (n->data.dense)
        return page_up(inode->size) / 512;
    recharge(n); /* mappings may have filled holes */
    return n->charged / 512;
}

static void tmpfs_statfs(struct inode *inode, struct io_statfs *out)
{
    const struct quota *q = quota_of(inode->mount) ? quota_of(inode->mount) : &all;
    *out = (struct io_statfs){.type = TMPFS_MAGIC,
                              .bsize = PAGE,
                              .blocks = q->bytes_max / PAGE,
                              .bfree = bytes_room(inode->mount) / PAGE,
                              .files = q->inodes_max,
                              .ffree = inodes_full(inode->mount) ? 0 : q->inodes_max - q->inodes,
                              .namelen = FS_NAME_MAX};
    out->bavail = out->bfree;
}

static const struct inode_ops tmpfs_ops = {
    .lookup = tmpfs_lookup,
    .create = tmpfs_create,
    .link = tmpfs_link,
    .unlink = tmpfs_unlink,
    .rename = tmpfs_rename,
    .empty = tmpfs_empty,
    .readdir = tmpfs_readdir,
    .tmpfile = tmpfs_tmpfile,
    .readlink = tmpfs_readlink,
    .open = tmpfs_open,
    .read = tmpfs_read,
    .write = tmpfs_write,
    .reserve = tmpfs_reserve,
    .append = tmpfs_append,
    .truncate = tmpfs_truncate,
    .allocate = tmpfs_allocate,
    .map = tmpfs_map,
    .steady = tmpfs_steady,
    .hot = tmpfs_hot,
    .hot_write = tmpfs_hot_write,
    .copy = tmpfs_copy,
    .seal = tmpfs_seal,
    .xattr = tmpfs_xattr,
    .blocks = tmpfs_blocks,
    .statfs = tmpfs_statfs,
    .release = tmpfs_release,
};

/* ---- start ---- */

void tmpfs_limits(uint64_t bytes, uint64_t inodes)
{
    all.bytes_max = bytes;
    all.inodes_max = inodes;
    counter_register("fs", "tmpfs_bytes", &all.bytes);
    counter_register("fs", "tmpfs_inodes", &all.inodes);
}

bool tmpfs_init(struct mount *m, const char *source, uint32_t mode)
{
    m->type = "tmpfs";
    m->stable = true;
    m->source = source;
    struct tmpfs_inode *n = inode_new(m, &(struct create_args){.mode = S_IFDIR | mode});
    if (!n)
        return false;
    n->inode.nlink = 2;
    n->inode.linked = true;
    m->root = inode_get(&n->inode);
    return true;
}

/* ---- mount(2) ---- */

/* All names go, the deepest first; no file is open. */
static void remove_all(struct inode *top)
{
    struct inode *dir = top;
    for (;;) {
        uint32_t at = DIRECTORY_SEARCH;
        struct entry *e = directory_after(&of(dir)->directory, 0, &at);
        if (!e && dir == top)
            return;
        if (!e) {
            dir = dir->parent;
            continue;
        }
        if (S_ISDIR(e->inode->mode) && of(e->inode)->directory.count) {
            dir = e->inode;
            continue;
        }
        char name[FS_NAME_MAX]; /* the entry's own goes with it */
        size_t length = e->length;
        memcpy(name, e->name, length);
        tmpfs_unlink(dir, name, length, e->inode);
    }
}

static int tmpfs_unmount(struct mount *m)
{
    remove_all(m->root);
    m->root->nlink = 0;
    inode_put(m->root);
    free((char *)(uintptr_t)m->source);
    free(m->private_data);
    free(m);
    return 0;
}

/* Other limits, if what is there fits in; an option that is not named stays as it is. */
static int tmpfs_remount(struct mount *m, bool read_only, const char *data)
{
    struct quota *q = m->private_data;
    struct tmpfs_options o = {.limits = *q};
    (void)read_only;
    int error = tmpfs_options(data, &all, &o);
    if (error || o.limits.bytes_max < q->bytes || o.limits.inodes_max < q->inodes)
        return -EINVAL;
    *q = o.limits;
    return 0;
}

static const struct mount_ops tmpfs_mount_ops = {.unmount = tmpfs_unmount,
                                                 .remount = tmpfs_remount};

int tmpfs_mount_type(const struct mount_request *r, struct mount **out)
{
    struct tmpfs_options o = {.mode = 01777,
                              .limits = {.bytes_max = all.bytes_max, .inodes_max = all.inodes_max}};
    int error = tmpfs_options(r->data, &all, &o);
    if (error)
        return error;
    struct mount *m = calloc(1, sizeof *m);
    struct quota *q = malloc(sizeof *q);
    char *source = strdup(*r->source ? r->source : "tmpfs");
    if (q)
        *q = o.limits;
    if (m)
        m->private_data = q;
    if (!m || !q || !source || !tmpfs_init(m, source, o.mode)) {
        free(source);
        free(q);
        free(m);
        return -ENOMEM;
    }
    m->ops = &tmpfs_mount_ops;
    *out = m;
    return 0;
}

int tmpfs_add_bundle_file(struct inode *dir, const char *name, size_t length,
                          const struct create_args *args, uint64_t offset, uint64_t size,
                          uint64_t hash, struct inode **out)
{
    int error = tmpfs_create(dir, name, length, args, out);
    if (error)
        return error;
    struct tmpfs_inode *n = of(*out);
    if (size)
        data_init_bundle(&n->data, offset);
    n->inode.size = size;
    n->hash = hash;
    n->unverified = true;
    return 0;
}

extern const void *bundle_bytes; /* engine.c: where the bundle is mapped */

static int verify(struct tmpfs_inode *n)
{
    if (!n->unverified)
        return 0;
    if (n->data.in_bundle &&
        motor_bundle_hash((const char *)bundle_bytes + n->data.offset, n->inode.size) != n->hash) {
        log_error("fs", "bundle file %s is damaged", n->inode.name ? n->inode.name : "?");
        return -EIO;
    }
    n->unverified = false;
    return 0;
}
