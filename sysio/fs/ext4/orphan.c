/* SPDX-License-Identifier: MIT */
/*
 * Orphans: inodes without a name that are still open, or files that are being cut. They form a list
 * on the disk, from the super block through i_dtime, so that the next mount finishes what a crash
 * interrupted: without links it is deleted, else its blocks beyond the size are freed.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

int orphan_add(struct ext4_node *n)
{
    struct ext4 *fs = n->fs;
    if (n->orphan)
        return 0;
    n->raw.i_dtime = fs->super->s_last_orphan;
    n->orphan_next = fs->orphans;
    fs->orphans = n;
    n->orphan = true;
    fs->super->s_last_orphan = n->ino;
    int error = node_write(n);
    return error ? error : journal_change(fs, fs->super_buf);
}

int orphan_remove(struct ext4_node *n)
{
    struct ext4 *fs = n->fs;
    struct ext4_node **link = &fs->orphans, *before = NULL;
    if (!n->orphan)
        return 0;
    for (; *link != n; link = &(*link)->orphan_next)
        before = *link;
    *link = n->orphan_next;
    n->orphan = false;
    uint32_t next = n->raw.i_dtime;
    n->raw.i_dtime = 0;
    int error;
    if (before) {
        before->raw.i_dtime = next;
        error = node_write(before);
    } else {
        fs->super->s_last_orphan = next;
        error = journal_change(fs, fs->super_buf);
    }
    return error ? error : node_write(n);
}

static bool has_extents(const struct ext4_node *n)
{
    return n->raw.i_flags & INODE_EXTENTS;
}

int node_delete(struct ext4_node *n)
{
    struct ext4 *fs = n->fs;
    int error = tx_begin(fs, TX_CREDITS_MAX);
    if (error)
        return error;
    pages_drop(n, 0, UINT64_MAX);
    error = has_extents(n) ? extent_remove(n, 0, (uint64_t)EXTENT_BLOCK_MAX + 1) : 0;
    if (!error)
        error = tx_more(fs, 16);
    if (!error)
        error = xattr_release(n);
    if (!error)
        error = orphan_remove(n);
    if (!error)
        error = inode_free(fs, n->ino, S_ISDIR(n->raw.i_mode));
    if (!error) {
        node_set_size(n, 0);
        n->raw.i_dtime = (uint32_t)fs->options.now().tv_sec;
        error = node_write(n);
    }
    if (error) /* it stays an orphan, for the next mount */
        ext4_damage(fs, "an inode could not be freed", n->ino);
    return tx_end(fs, error);
}

/* Takes the list of the disk over: at most as long as there are inodes. */
static int list_read(struct ext4 *fs)
{
    struct ext4_node **end = &fs->orphans;
    for (uint32_t ino = fs->super->s_last_orphan; ino;) {
        struct ext4_node *n;
        int error = node_get(fs, ino, &n);
        if (error || n->orphan || ino < fs->first_ino) {
            if (!error)
                node_put(n);
            return ext4_damage(fs, "the list of orphans", ino);
        }
        n->orphan = true;
        *end = n;
        end = &n->orphan_next;
        ino = n->raw.i_dtime;
    }
    return 0;
}

int orphan_recover(struct ext4 *fs)
{
    int error = list_read(fs);
    uint32_t count = 0;
    while (fs->orphans && !error) {
        struct ext4_node *n = fs->orphans;
        uint32_t ino = n->ino;
        if (n->raw.i_links_count)
            error = data_cut(n, n->size);
        node_put(n); /* deletes it if it has no links */
        if (!error && fs->orphans && fs->orphans->ino == ino)
            error = ext4_damage(fs, "an orphan stays", ino);
        count++;
    }
    if (count && !error)
        fs->options.log("%u orphans cleared", count);
    return error;
}
