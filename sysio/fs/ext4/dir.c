/* SPDX-License-Identifier: MIT */
/*
 * Directories as blocks of entries. Entries of a block cover it without gaps; one that is removed
 * becomes room of the one before it. With checksums the last 12 bytes of a block hold one.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

uint32_t dirent_size(size_t name_length)
{
    return (uint32_t)(sizeof(struct ext4_dirent) + name_length + 3) & ~3u;
}

uint32_t dir_space(const struct ext4 *fs)
{
    return fs->block_size - (fs->has_csum ? DIRENT_TAIL_SIZE : 0);
}

uint32_t dir_block_count(const struct ext4_node *dir)
{
    return (uint32_t)(dir->size >> dir->fs->block_bits);
}

uint32_t dir_type(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return 1;
    case S_IFDIR:
        return 2;
    case S_IFCHR:
        return 3;
    case S_IFBLK:
        return 4;
    case S_IFIFO:
        return 5;
    case S_IFSOCK:
        return 6;
    case S_IFLNK:
        return 7;
    }
    return 0;
}

struct ext4_dirent *dir_entry_at(uint8_t *block, uint32_t offset, uint32_t space)
{
    struct ext4_dirent *e = (struct ext4_dirent *)(block + offset);
    if (offset > space || space - offset < sizeof *e)
        return NULL;
    if (e->rec_len % 4 || e->rec_len < dirent_size(e->name_len) || e->rec_len > space - offset)
        return NULL;
    return e;
}

int dir_block_any(struct ext4_node *dir, uint64_t block, struct buf **out)
{
    struct extent e;
    if (block >= dir_block_count(dir))
        return ext4_damage(dir->fs, "a directory's block behind its end", dir->ino);
    int error = extent_map(dir, block, &e);
    if (!error && e.state != EXTENT_WRITTEN)
        error = ext4_damage(dir->fs, "a hole in a directory", dir->ino);
    return error ? error : buf_read(dir->fs, e.disk, out);
}

int dir_block(struct ext4_node *dir, uint64_t block, struct buf **out)
{
    int error = dir_block_any(dir, block, out);
    if (error || (*out)->kind == KIND_DIRECTORY)
        return error;
    if (!dir_check(dir, (*out)->data)) {
        buf_put(*out);
        return ext4_damage(dir->fs, "the checksum of a directory", dir->ino);
    }
    (*out)->kind = KIND_DIRECTORY;
    return 0;
}

/* ---- find ---- */

int dir_find_in_block(struct buf *b, uint32_t space, const char *name, size_t length,
                      struct dir_place *out)
{
    struct ext4_dirent *before = NULL, *e;
    for (uint32_t at = 0; at < space; at += e->rec_len, before = e) {
        e = dir_entry_at(b->data, at, space);
        if (!e)
            return -EIO;
        if (e->inode && e->name_len == length && !memcmp(e->name, name, length)) {
            *out = (struct dir_place){b, at, e, before};
            return 0;
        }
    }
    return -ENOENT;
}

int dir_find(struct ext4_node *dir, const char *name, size_t length, struct dir_place *out)
{
    if (length > EXT4_NAME_MAX)
        return -ENAMETOOLONG;
    if (dir->raw.i_flags & INODE_INLINE_DATA)
        return -EOPNOTSUPP;
    if (htree_usable(dir))
        return htree_find(dir, name, length, out);
    for (uint32_t i = 0; i < dir_block_count(dir); i++) {
        struct buf *b;
        int error = dir_block(dir, i, &b);
        if (error)
            return error;
        error = dir_find_in_block(b, dir_space(dir->fs), name, length, out);
        if (!error)
            return 0; /* with the buffer's reference */
        buf_put(b);
        if (error != -ENOENT)
            return ext4_damage(dir->fs, "the entries of a directory", dir->ino);
    }
    return -ENOENT;
}

/* ---- change ---- */

static void entry_fill(struct ext4_dirent *e, const char *name, size_t length, uint32_t ino,
                       uint32_t type)
{
    e->inode = ino;
    e->name_len = (uint8_t)length;
    e->file_type = (uint8_t)type;
    memcpy(e->name, name, length);
}

int dir_add_in_block(struct ext4_node *dir, struct buf *b, const char *name, size_t length,
                     uint32_t ino, uint32_t type)
{
    uint32_t need = dirent_size(length), space = dir_space(dir->fs);
    struct ext4_dirent *e;
    for (uint32_t at = 0; at < space; at += e->rec_len) {
        e = dir_entry_at(b->data, at, space);
        if (!e)
            return ext4_damage(dir->fs, "the entries of a directory", dir->ino);
        uint32_t used = e->inode ? dirent_size(e->name_len) : 0;
        if (e->rec_len - used < need)
            continue;
        if (used) {
            struct ext4_dirent *rest = (struct ext4_dirent *)(b->data + at + used);
            rest->rec_len = (uint16_t)(e->rec_len - used);
            e->rec_len = (uint16_t)used;
            e = rest;
        }
        entry_fill(e, name, length, ino, type);
        return seal_directory(dir, b);
    }
    return -ENOSPC;
}

void dir_fill_tail(struct ext4_node *dir, uint8_t *block)
{
    struct ext4_dirent_tail *t =
        (struct ext4_dirent_tail *)(block + dir->fs->block_size - DIRENT_TAIL_SIZE);
    if (dir->fs->has_csum)
        *t = (struct ext4_dirent_tail){.rec_len = DIRENT_TAIL_SIZE, .type = DIRENT_TAIL_TYPE};
}

/* A new block at the end: one empty entry, not logged yet. */
int dir_append_block(struct ext4_node *dir, struct buf **out, uint32_t *block)
{
    struct ext4 *fs = dir->fs;
    uint32_t at = dir_block_count(dir), got;
    uint64_t disk;
    struct extent last;
    if (at >= 1u << 21) /* without large_dir: 2 GiB of 1 KiB blocks */
        return -ENOSPC;
    if (at && !extent_map(dir, at - 1, &last) && last.state == EXTENT_WRITTEN)
        dir->goal = last.disk + 1;
    int error = blocks_allocate(fs, dir->goal, 1, &disk, &got);
    if (error)
        return error;
    error = extent_insert(dir, at, disk, 1, false);
    if (error) {
        if (error == -ENOSPC && blocks_free(fs, disk, 1))
            error = -EIO;
        return error;
    }
    node_add_blocks(dir, 1);
    node_set_size(dir, dir->size + fs->block_size);
    error = buf_new(fs, disk, out);
    if (error)
        return error;
    ((struct ext4_dirent *)(*out)->data)->rec_len = (uint16_t)dir_space(fs);
    dir_fill_tail(dir, (*out)->data);
    *block = at;
    return 0;
}

static int add_linear(struct ext4_node *dir, const char *name, size_t length, uint32_t ino,
                      uint32_t type)
{
    uint32_t count = dir_block_count(dir), at;
    struct buf *b;
    int error = -ENOSPC;
    for (uint32_t i = 0; i < count && error == -ENOSPC; i++) {
        error = dir_block(dir, i, &b);
        if (error)
            return error;
        error = dir_add_in_block(dir, b, name, length, ino, type);
        buf_put(b);
    }
    if (error != -ENOSPC)
        return error;
    if (count == 1 && (dir->fs->super->s_feature_compat & COMPAT_DIR_INDEX)) {
        error = htree_convert(dir);
        return error ? error : htree_add(dir, name, length, ino, type);
    }
    error = dir_append_block(dir, &b, &at);
    if (error)
        return error;
    error = dir_add_in_block(dir, b, name, length, ino, type);
    buf_put(b);
    return error;
}

int dir_add(struct ext4_node *dir, const char *name, size_t length, uint32_t ino, uint32_t type)
{
    if (length > EXT4_NAME_MAX)
        return -ENAMETOOLONG;
    return htree_usable(dir) ? htree_add(dir, name, length, ino, type)
                             : add_linear(dir, name, length, ino, type);
}

int dir_remove(struct ext4_node *dir, struct dir_place *at)
{
    if (at->before)
        at->before->rec_len = (uint16_t)(at->before->rec_len + at->entry->rec_len);
    at->entry->inode = 0;
    return seal_directory(dir, at->buf);
}

int dir_change(struct ext4_node *dir, struct dir_place *at, uint32_t ino, uint32_t type)
{
    at->entry->inode = ino;
    at->entry->file_type = (uint8_t)type;
    if (at->buf->kind != KIND_INDEX)
        return seal_directory(dir, at->buf);
    return seal_index(dir, at->buf, DX_ROOT_INFO + 8); /* ".." of an indexed directory */
}

int dir_make(struct ext4_node *dir, uint32_t parent)
{
    struct buf *b;
    uint32_t block;
    int error = dir_append_block(dir, &b, &block);
    if (error)
        return error;
    struct ext4_dirent *dot = (struct ext4_dirent *)b->data;
    struct ext4_dirent *dot_dot = (struct ext4_dirent *)(b->data + 12);
    dot->rec_len = 12;
    dot_dot->rec_len = (uint16_t)(dir_space(dir->fs) - 12);
    entry_fill(dot, ".", 1, dir->ino, dir_type(S_IFDIR));
    entry_fill(dot_dot, "..", 2, parent, dir_type(S_IFDIR));
    error = seal_directory(dir, b);
    buf_put(b);
    return error;
}
