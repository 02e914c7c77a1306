/* SPDX-License-Identifier: MIT */
/*
 * Names: each change is one transaction's step. What a failed creation has begun is an inode
 * without links, which its last reference deletes.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define NAMES_CREDITS TX_CREDITS_MAX

static bool is_dir(const struct ext4_node *n)
{
    return node_type(n) == S_IFDIR;
}

static int dir_usable(const struct ext4_node *dir)
{
    if (!is_dir(dir))
        return -ENOTDIR;
    if (!dir->raw.i_links_count)
        return -ENOENT;
    return dir->raw.i_flags & INODE_IMMUTABLE ? -EPERM : 0;
}

/* ---- counts of links ---- */

/* Of a directory: 1 when there are too many to count. */
static int links_add(struct ext4_node *dir)
{
    if (dir->raw.i_links_count == 1)
        return 0;
    if (dir->raw.i_links_count + 1u < EXT4_LINK_MAX) {
        dir->raw.i_links_count++;
        return 0;
    }
    if (!(dir->fs->super->s_feature_ro_compat & RO_DIR_NLINK))
        return -EMLINK;
    dir->raw.i_links_count = 1;
    return 0;
}

static void links_remove(struct ext4_node *dir)
{
    if (dir->raw.i_links_count > 2)
        dir->raw.i_links_count--;
}

/* A name of n is gone; without another it is an orphan from now on. */
static int name_gone(struct ext4_node *n)
{
    if (is_dir(n) || !n->raw.i_links_count)
        n->raw.i_links_count = 0;
    else
        n->raw.i_links_count--;
    node_touch(n, false);
    return n->raw.i_links_count ? node_write(n) : orphan_add(n);
}

static int dir_changed(struct ext4_node *dir)
{
    node_touch(dir, true);
    return node_write(dir);
}

/* ---- lookup ---- */

static int entry_node(struct ext4_node *dir, const struct dir_place *at, struct ext4_node **out)
{
    struct ext4 *fs = dir->fs;
    uint32_t ino = at->entry->inode;
    if (ino > fs->inodes || (ino < fs->first_ino && ino != EXT4_ROOT_INO))
        return ext4_damage(fs, "an entry of a directory", dir->ino);
    int error = node_get(fs, ino, out);
    if (error == -ESTALE)
        return ext4_damage(fs, "an entry leads to a free inode", ino);
    if (error)
        return error;
    if (!(*out)->raw.i_links_count) {
        node_put(*out);
        return ext4_damage(fs, "an entry leads to an inode without links", ino);
    }
    return 0;
}

/* The entry and its inode; both with a reference, or neither. */
static int find(struct ext4_node *dir, const char *name, size_t length, struct dir_place *at,
                struct ext4_node **n)
{
    int error = dir_find(dir, name, length, at);
    if (error)
        return error;
    error = entry_node(dir, at, n);
    if (error)
        buf_put(at->buf);
    return error;
}

int ext4_lookup(struct ext4_node *dir, const char *name, size_t length, struct ext4_node **out)
{
    struct dir_place at;
    fiber_lock(&dir->fs->lock);
    int error = is_dir(dir) ? find(dir, name, length, &at, out) : -ENOTDIR;
    if (!error)
        buf_put(at.buf);
    fiber_unlock(&dir->fs->lock);
    return error;
}

/* 0: the name is not there. */
static int name_free(struct ext4_node *dir, const char *name, size_t length)
{
    struct dir_place at;
    int error = dir_find(dir, name, length, &at);
    if (!error)
        buf_put(at.buf);
    return !error ? -EEXIST : error == -ENOENT ? 0 : error;
}

/* ---- create ---- */

static int fill_new(struct ext4_node *dir, struct ext4_node *n, const struct ext4_new *new)
{
    if (S_ISDIR(new->mode))
        return dir_make(n, dir->ino);
    if (!S_ISLNK(new->mode))
        return 0;
    if (new->target_size < sizeof n->raw.i_block) {
        memcpy(n->raw.i_block, new->target, new->target_size);
        node_set_size(n, new->target_size);
        return 0;
    }
    extent_init_root(n);
    return data_store(n, new->target, (uint32_t) new->target_size);
}

/* A new inode, with its contents, as an orphan. */
static int node_begin(struct ext4_node *dir, const struct ext4_new *new, struct ext4_node **out)
{
    struct ext4 *fs = dir->fs;
    uint32_t ino;
    bool directory = S_ISDIR(new->mode);
    int error = inode_allocate(fs, dir, directory, &ino);
    if (error)
        return error;
    error = node_create(fs, ino, new, out);
    if (error) {
        int freed = inode_free(fs, ino, directory);
        return freed ? freed : error;
    }
    error = orphan_add(*out);
    if (!error)
        error = fill_new(dir, *out, new);
    int written = node_write(*out);
    return error ? error : written;
}

static int create(struct ext4_node *dir, const char *name, size_t length,
                  const struct ext4_new *new, struct ext4_node **out)
{
    int error = name_free(dir, name, length);
    if (!error && S_ISDIR(new->mode) && dir->raw.i_links_count + 1u >= EXT4_LINK_MAX &&
        !(dir->fs->super->s_feature_ro_compat & RO_DIR_NLINK))
        error = -EMLINK;
    if (!error)
        error = node_begin(dir, new, out);
    if (!error)
        error = dir_add(dir, name, length, (*out)->ino, dir_type(new->mode));
    if (error == -ENOSPC) {
        int written = node_write(dir); /* it may have grown */
        return written ? written : error;
    }
    if (error)
        return error;
    (*out)->raw.i_links_count = S_ISDIR(new->mode) ? 2 : 1;
    error = orphan_remove(*out);
    if (!error && S_ISDIR(new->mode))
        error = links_add(dir);
    return error ? error : dir_changed(dir);
}

int ext4_create(struct ext4_node *dir, const char *name, size_t length, const struct ext4_new *new,
                struct ext4_node **out)
{
    struct ext4 *fs = dir->fs;
    *out = NULL;
    fiber_lock(&fs->lock);
    int error = dir_usable(dir);
    if (!error && new->target_size >= fs->block_size)
        error = -ENAMETOOLONG;
    if (!error)
        error = tx_begin(fs, NAMES_CREDITS);
    if (!error) {
        error = tx_end(fs, create(dir, name, length, new, out));
        if (error && *out)
            node_put(*out);
    }
    fiber_unlock(&fs->lock);
    return error;
}

int ext4_tmpfile(struct ext4_node *dir, const struct ext4_new *new, struct ext4_node **out)
{
    struct ext4 *fs = dir->fs;
    *out = NULL;
    fiber_lock(&fs->lock);
    int error = dir_usable(dir);
    if (!error)
        error = tx_begin(fs, NAMES_CREDITS);
    if (!error) {
        error = tx_end(fs, node_begin(dir, new, out));
        if (error && *out)
            node_put(*out);
    }
    fiber_unlock(&fs->lock);
    return error;
}

/* ---- link and unlink ---- */

static int link(struct ext4_node *dir, const char *name, size_t length, struct ext4_node *target)
{
    if (is_dir(target))
        return -EPERM;
    if (!target->raw.i_links_count && !target->orphan)
        return -ENOENT;
    if (target->raw.i_links_count >= EXT4_LINK_MAX)
        return -EMLINK;
    int error = name_free(dir, name, length);
    if (!error)
        error = dir_add(dir, name, length, target->ino, dir_type(target->raw.i_mode));
    if (error == -ENOSPC) {
        int written = node_write(dir);
        return written ? written : error;
    }
    if (error)
        return error;
    target->raw.i_links_count++;
    node_touch(target, false);
    error = target->orphan ? orphan_remove(target) : node_write(target);
    return error ? error : dir_changed(dir);
}

int ext4_link(struct ext4_node *dir, const char *name, size_t length, struct ext4_node *target)
{
    struct ext4 *fs = dir->fs;
    fiber_lock(&fs->lock);
    int error = dir_usable(dir);
    if (!error)
        error = tx_begin(fs, NAMES_CREDITS);
    if (!error)
        error = tx_end(fs, link(dir, name, length, target));
    fiber_unlock(&fs->lock);
    return error;
}

static int unlink(struct ext4_node *dir, struct dir_place *at, struct ext4_node *n)
{
    int error = 0;
    if (is_dir(n)) {
        error = dir_is_empty(n);
        error = error < 0 ? error : error ? 0 : -ENOTEMPTY;
    }
    if (!error)
        error = dir_remove(dir, at);
    if (error)
        return error;
    if (is_dir(n))
        links_remove(dir);
    error = name_gone(n);
    return error ? error : dir_changed(dir);
}

int ext4_unlink(struct ext4_node *dir, const char *name, size_t length)
{
    struct ext4 *fs = dir->fs;
    struct dir_place at;
    struct ext4_node *n = NULL;
    fiber_lock(&fs->lock);
    int error = dir_usable(dir);
    if (!error)
        error = tx_begin(fs, NAMES_CREDITS);
    if (!error) {
        error = find(dir, name, length, &at, &n);
        if (!error) {
            error =
                n == dir ? ext4_damage(fs, "a directory in itself", dir->ino) : unlink(dir, &at, n);
            buf_put(at.buf);
        }
        error = tx_end(fs, error);
    }
    node_put(n);
    fiber_unlock(&fs->lock);
    return error;
}

/* ---- rename ---- */

struct rename {
    struct ext4_node *old_dir, *new_dir;
    const char *old_name, *new_name;
    size_t old_length, new_length;
    struct ext4_node *n;      /* what moves */
    struct ext4_node *target; /* what is at the new name, or NULL */
};

/* ".." of a directory that moves, and the links of its old and new parents. */
static int move_parent(struct ext4_node *n, struct ext4_node *from, struct ext4_node *to)
{
    struct dir_place at;
    if (!is_dir(n) || from == to)
        return 0;
    int error = dir_find(n, "..", 2, &at);
    if (error)
        return error == -ENOENT ? ext4_damage(n->fs, "a directory without ..", n->ino) : error;
    error = dir_change(n, &at, to->ino, dir_type(S_IFDIR));
    buf_put(at.buf);
    links_remove(from);
    return error ? error : links_add(to);
}

/* The entry at a name leads to n from now on. */
static int entry_set(struct ext4_node *dir, const char *name, size_t length, struct ext4_node *n)
{
    struct dir_place at;
    int error = dir_find(dir, name, length, &at);
    if (error)
        return error;
    error = dir_change(dir, &at, n->ino, dir_type(n->raw.i_mode));
    buf_put(at.buf);
    return error;
}

static int entry_remove(struct ext4_node *dir, const char *name, size_t length)
{
    struct dir_place at;
    int error = dir_find(dir, name, length, &at);
    if (error)
        return error;
    error = dir_remove(dir, &at);
    buf_put(at.buf);
    return error;
}

static int exchange(struct rename *r)
{
    if (!r->target)
        return -ENOENT;
    int error = entry_set(r->new_dir, r->new_name, r->new_length, r->n);
    if (!error)
        error = entry_set(r->old_dir, r->old_name, r->old_length, r->target);
    if (!error)
        error = move_parent(r->n, r->old_dir, r->new_dir);
    if (!error)
        error = move_parent(r->target, r->new_dir, r->old_dir);
    node_touch(r->target, false);
    return error ? error : node_write(r->target);
}

static int replace_check(const struct rename *r)
{
    if (is_dir(r->n) && !is_dir(r->target))
        return -ENOTDIR;
    if (!is_dir(r->n) && is_dir(r->target))
        return -EISDIR;
    if (!is_dir(r->target))
        return 0;
    if (r->target == r->old_dir || r->target == r->new_dir)
        return -ENOTEMPTY;
    int empty = dir_is_empty(r->target);
    return empty < 0 ? empty : empty ? 0 : -ENOTEMPTY;
}

static int move(struct rename *r)
{
    int error = r->target ? replace_check(r) : 0;
    if (!error && r->target)
        error = entry_set(r->new_dir, r->new_name, r->new_length, r->n);
    else if (!error)
        error =
            dir_add(r->new_dir, r->new_name, r->new_length, r->n->ino, dir_type(r->n->raw.i_mode));
    if (error == -ENOSPC) {
        int written = node_write(r->new_dir);
        return written ? written : error;
    }
    if (error)
        return error;
    error = entry_remove(r->old_dir, r->old_name, r->old_length);
    if (!error)
        error = move_parent(r->n, r->old_dir, r->new_dir);
    if (!error && r->target) {
        if (is_dir(r->target))
            links_remove(r->new_dir);
        error = name_gone(r->target);
    }
    return error;
}

static int rename_found(struct rename *r, bool swap)
{
    if (r->n == r->target)
        return 0;
    if (r->n == r->new_dir || r->n == r->old_dir || (swap && r->target == r->old_dir))
        return -EINVAL;
    int error = swap ? exchange(r) : move(r);
    if (error) /* past the checks that is a damaged disk; before them nothing has changed */
        return error;
    node_touch(r->n, false);
    error = node_write(r->n);
    if (!error)
        error = dir_changed(r->old_dir);
    return error || r->old_dir == r->new_dir ? error : dir_changed(r->new_dir);
}

static int rename_find(struct rename *r)
{
    struct dir_place at;
    int error = find(r->old_dir, r->old_name, r->old_length, &at, &r->n);
    if (error)
        return error;
    buf_put(at.buf);
    error = find(r->new_dir, r->new_name, r->new_length, &at, &r->target);
    if (!error)
        buf_put(at.buf);
    return error == -ENOENT ? 0 : error;
}

int ext4_rename(struct ext4_node *old_dir, const char *old_name, size_t old_length,
                struct ext4_node *new_dir, const char *new_name, size_t new_length, bool swap)
{
    struct ext4 *fs = old_dir->fs;
    struct rename r = {old_dir, new_dir, old_name, new_name, old_length, new_length, NULL, NULL};
    fiber_lock(&fs->lock);
    int error = dir_usable(old_dir);
    if (!error)
        error = dir_usable(new_dir);
    if (!error)
        error = tx_begin(fs, NAMES_CREDITS);
    if (!error) {
        error = rename_find(&r);
        if (!error)
            error = rename_found(&r, swap);
        error = tx_end(fs, error);
    }
    node_put(r.n);
    node_put(r.target);
    fiber_unlock(&fs->lock);
    return error;
}

/* ---- symlinks ---- */

int64_t ext4_readlink(struct ext4_node *n, char *buffer, size_t size)
{
    struct ext4 *fs = n->fs;
    uint64_t own = node_xattr_block(n) ? fs->block_size / 512 : 0;
    int64_t result;
    fiber_lock(&fs->lock);
    uint64_t length = n->size < size ? n->size : size;
    if (node_type(n) != S_IFLNK || (n->raw.i_flags & INODE_INLINE_DATA)) {
        result = -EINVAL;
    } else if (n->size < sizeof n->raw.i_block && node_blocks(n) <= own) {
        memcpy(buffer, n->raw.i_block, length);
        result = (int64_t)length;
    } else if (n->size > PAGE_BYTES) {
        result = ext4_damage(fs, "the size of a symlink", n->ino);
    } else {
        struct page *p;
        result = page_get(n, 0, &p);
        if (!result) {
            memcpy(buffer, p->data, length);
            page_put(p);
            result = (int64_t)length;
        }
    }
    fiber_unlock(&fs->lock);
    return result;
}
