/* SPDX-License-Identifier: MIT */
/*
 * Fills the tree from the boot bundle. Nothing in the bundle is believed: a field that points
 * outside, a name without an end or a wrong hash makes the entry (or the bundle) unusable, with a
 * line in the log. File contents are checked at their first open.
 */
#include "fs.h"

#include <errno.h>
#include <motor/bundle.h>
#include <string.h>
#include <sys/stat.h>

static const struct motor_bundle_header *header_check(const void *bundle, uint64_t size)
{
    const struct motor_bundle_header *h = bundle;
    if (size < sizeof *h || h->magic != MOTOR_BUNDLE_MAGIC || h->version != MOTOR_BUNDLE_VERSION)
        return NULL;
    if (h->total_size > size || h->entries > h->total_size / sizeof(struct motor_bundle_entry))
        return NULL;
    uint64_t entries_size = h->entries * sizeof(struct motor_bundle_entry);
    if (h->entries_offset % 8 || h->entries_offset > h->total_size ||
        entries_size > h->total_size - h->entries_offset)
        return NULL;
    if (h->names_offset != h->entries_offset + entries_size ||
        h->names_size > h->total_size - h->names_offset)
        return NULL;
    if (motor_bundle_hash((const char *)bundle + h->entries_offset, entries_size + h->names_size) !=
        h->hash)
        return NULL;
    return h;
}

/* An entry's path, NULL if it has no end inside the names. */
static const char *name_of(const struct motor_bundle_header *h, const struct motor_bundle_entry *e,
                           size_t *length)
{
    const char *names = (const char *)h + h->names_offset;
    if (e->name >= h->names_size)
        return NULL;
    const char *end = memchr(names + e->name, 0, h->names_size - e->name);
    if (!end)
        return NULL;
    *length = (size_t)(end - names) - e->name;
    return names + e->name;
}

static bool extent_ok(const struct motor_bundle_header *h, const struct motor_bundle_entry *e)
{
    if (e->type == MOTOR_BUNDLE_DIRECTORY)
        return true;
    if (e->type == MOTOR_BUNDLE_FILE && e->offset % MOTOR_PAGE_SIZE)
        return false;
    return e->offset <= h->total_size && e->size <= h->total_size - e->offset;
}

static int make(struct inode *dir, const char *name, size_t length,
                const struct motor_bundle_header *h, const struct motor_bundle_entry *e,
                struct inode **out)
{
    struct create_args args = {.mode = e->mode & 07777, .uid = e->uid, .gid = e->gid};
    switch (e->type) {
    case MOTOR_BUNDLE_FILE:
        args.mode |= S_IFREG;
        return tmpfs_add_bundle_file(dir, name, length, &args, e->offset, e->size, e->hash, out);
    case MOTOR_BUNDLE_DIRECTORY:
        args.mode |= S_IFDIR;
        break;
    case MOTOR_BUNDLE_SYMLINK:
        if (!e->size || e->size >= IO_PATH_MAX)
            return -EINVAL;
        args.mode = S_IFLNK | 0777;
        args.target = (const char *)h + e->offset;
        args.target_size = e->size;
        break;
    default:
        return -EINVAL;
    }
    return dir->ops->create(dir, name, length, &args, out);
}

/* Finds or makes the directories that lead to the last component; the walk is left at that. */
static int make_parents(struct walk *w, const char *path, size_t length)
{
    static const struct cred root;
    for (size_t at = 1; at <= length; at++) {
        if (at < length && path[at] != '/')
            continue;
        int error = vfs_walk(w, mounts->root, &root, path, at, WALK_PARENT);
        if (error || at == length)
            return error;
        if (!w->inode && w->last == LAST_NORMAL) {
            struct create_args args = {.mode = S_IFDIR | 0755};
            error = w->parent->ops->create(w->parent, w->name, w->length, &args, &w->inode);
        }
        walk_done(w);
        if (error)
            return error;
    }
    return -EINVAL;
}

static int add(const struct motor_bundle_header *h, const struct motor_bundle_entry *e,
               const char *path, size_t length)
{
    static struct walk w;
    struct inode *made = NULL;
    int error = make_parents(&w, path, length);
    if (error)
        return error;
    /* made on the way to an earlier entry */
    if (w.inode && S_ISDIR(w.inode->mode) && e->type == MOTOR_BUNDLE_DIRECTORY) {
        made = inode_get(w.inode);
        made->mode = S_IFDIR | (e->mode & 07777);
        made->uid = e->uid;
        made->gid = e->gid;
    } else if (w.inode && !S_ISDIR(w.inode->mode) &&
               w.last == LAST_NORMAL) { /* a later entry replaces an earlier one */
        error = w.parent->ops->unlink(w.parent, w.name, w.length, w.inode);
        if (!error)
            error = make(w.parent, w.name, w.length, h, e, &made);
    } else if (w.inode || w.last != LAST_NORMAL) {
        error = -EEXIST;
    } else {
        error = make(w.parent, w.name, w.length, h, e, &made);
    }
    if (made) {
        made->atime = made->mtime = made->ctime = made->btime =
            (struct timespec){.tv_sec = e->mtime};
        inode_put(made);
    }
    walk_done(&w);
    return error;
}

int64_t bundle_fill(const void *bundle, uint64_t size)
{
    const struct motor_bundle_header *h = header_check(bundle, size);
    int64_t added = 0;
    if (!h) {
        log_error("fs", "the bundle is damaged");
        return -EINVAL;
    }
    const struct motor_bundle_entry *entries =
        (const void *)((const char *)bundle + h->entries_offset);
    for (uint32_t i = 0; i < h->entries; i++) {
        size_t length = 0;
        const char *path = name_of(h, &entries[i], &length);
        int error = !path || length < 2 || path[0] != '/' || !extent_ok(h, &entries[i])
                        ? -EINVAL
                        : add(h, &entries[i], path, length);
        if (error)
            log_error("fs", "bundle entry %u (%.64s): error %d", i, path ? path : "?", -error);
        else
            added++;
    }
    return added;
}

const struct motor_bundle_entry *bundle_find(const void *bundle, uint64_t size, const char *path)
{
    const struct motor_bundle_header *h = header_check(bundle, size);
    if (!h)
        return NULL;
    const struct motor_bundle_entry *entries =
                                        (const void *)((const char *)bundle + h->entries_offset),
                                    *found = NULL;
    for (uint32_t i = 0; i < h->entries; i++) {
        size_t length = 0;
        const char *name = name_of(h, &entries[i], &length);
        if (name && !strcmp(name, path) && entries[i].type == MOTOR_BUNDLE_FILE &&
            extent_ok(h, &entries[i]))
            found = &entries[i];
    }
    return found;
}
