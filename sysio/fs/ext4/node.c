/* SPDX-License-Identifier: MIT */
/*
 * Inodes in memory: a table by number. One that nobody refers to stays for a while; one that has no
 * name either is deleted with its last reference.
 */
#include "../../base/spare.h"
#include "ext4_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NODES_IDLE_MAX 1024u
#define NODE_BUCKETS   1024u

static struct spares spares = {.size = sizeof(struct ext4_node)};

static struct ext4_node **bucket(struct ext4 *fs, uint32_t ino)
{
    return &fs->node_hash[ino % NODE_BUCKETS];
}

int node_init(struct ext4 *fs)
{
    fs->node_hash = calloc(NODE_BUCKETS, sizeof *fs->node_hash);
    return fs->node_hash ? 0 : -ENOMEM;
}

static void idle_remove(struct ext4_node *n)
{
    struct ext4 *fs = n->fs;
    *(n->newer ? &n->newer->older : &fs->node_newest) = n->older;
    *(n->older ? &n->older->newer : &fs->node_oldest) = n->newer;
    fs->node_idle--;
    n->idle = false;
}

static void idle_add(struct ext4_node *n)
{
    struct ext4 *fs = n->fs;
    n->newer = NULL;
    n->older = fs->node_newest;
    *(n->older ? &n->older->newer : &fs->node_oldest) = n;
    fs->node_newest = n;
    fs->node_idle++;
    n->idle = true;
}

/* Nobody needs it now: it may be forgotten. */
static void idle_if_unused(struct ext4_node *n)
{
    if (!n->refs && !n->idle && !n->page_dirty && (!n->write_error || n->write_error_reported))
        idle_add(n);
}

void node_takes_off(struct ext4_node *n)
{
    *n->dirty_link = n->dirty_next;
    if (n->dirty_next)
        n->dirty_next->dirty_link = n->dirty_link;
    n->dirty_link = NULL;
}

void node_clean(struct ext4_node *n)
{
    if (n->dirty_link)
        node_takes_off(n);
    idle_if_unused(n);
}

static void node_destroy(struct ext4_node *n)
{
    if (n->idle)
        idle_remove(n);
    n->refs = 1; /* nor does it become idle when its pages go */
    struct ext4_node **link = bucket(n->fs, n->ino);
    while (*link != n)
        link = &(*link)->hash_next;
    *link = n->hash_next;
    if (n->orphan) { /* of a file system that cannot be written */
        for (link = &n->fs->orphans; *link != n;)
            link = &(*link)->orphan_next;
        *link = n->orphan_next;
    }
    pages_drop(n, 0, UINT64_MAX);
    if (n->store)
        n->store->ops->destroy(n->store);
    spare_give(&spares, n);
}

void node_free_all(struct ext4 *fs)
{
    for (uint32_t i = 0; i < NODE_BUCKETS; i++)
        while (fs->node_hash[i])
            node_destroy(fs->node_hash[i]);
    free(fs->node_hash);
}

void node_trim(struct ext4 *fs)
{
    while (fs->node_idle > NODES_IDLE_MAX)
        node_destroy(fs->node_oldest);
}

static uint32_t extra_size(const struct ext4_node *n)
{
    return n->fs->inode_size > EXT4_OLD_INODE ? n->raw.i_extra_isize : 0;
}

/* The fields that an inode of the disk has; all else reads as zeros. */
static size_t raw_size(const struct ext4_node *n)
{
    size_t size = EXT4_OLD_INODE + extra_size(n);
    return size < sizeof n->raw ? size : sizeof n->raw;
}

static int node_check(struct ext4_node *n)
{
    struct ext4 *fs = n->fs;
    if (fs->inode_size > EXT4_OLD_INODE &&
        (n->raw.i_extra_isize % 4 || n->raw.i_extra_isize > fs->inode_size - EXT4_OLD_INODE))
        return ext4_damage(fs, "the size of an inode", n->ino);
    memset((uint8_t *)&n->raw + raw_size(n), 0, sizeof n->raw - raw_size(n));
    n->size = n->raw.i_size_lo;
    if (S_ISREG(n->raw.i_mode) || S_ISDIR(n->raw.i_mode))
        n->size |= (uint64_t)n->raw.i_size_hi << 32;
    if (n->size > (uint64_t)EXTENT_BLOCK_MAX << fs->block_bits)
        return ext4_damage(fs, "the size of a file", n->ino);
    if (S_ISDIR(n->raw.i_mode) &&
        (!n->size || n->size & (fs->block_size - 1) || n->size >> fs->block_bits > INT32_MAX) &&
        !(n->raw.i_flags & INODE_INLINE_DATA))
        return ext4_damage(fs, "the size of a directory", n->ino);
    return 0;
}

static int node_read(struct ext4_node *n)
{
    struct ext4 *fs = n->fs;
    struct buf *b;
    uint64_t block;
    uint32_t offset;
    int error = inode_place(fs, n->ino, &block, &offset);
    if (!error)
        error = buf_read(fs, block, &b);
    if (error)
        return error;
    if (b->logged) /* perhaps by a change of this inode that is not committed */
        n->mapped = fs->tx_number;
    const uint8_t *raw = b->data + offset;
    size_t size = fs->inode_size < sizeof n->raw ? EXT4_OLD_INODE : sizeof n->raw;
    memcpy(&n->raw, raw, size);
    n->csum_seed = node_csum_seed(fs, n->ino, n->raw.i_generation);
    if (!n->raw.i_mode) {
        error = -ESTALE; /* free */
    } else if (fs->has_csum && !seal_awaited(b, offset)) {
        uint32_t stored = n->raw.i_checksum_lo, c = inode_checksum(fs, n->ino, raw);
        if (fs->inode_size > EXT4_OLD_INODE && n->raw.i_extra_isize >= 4)
            stored |= (uint32_t)n->raw.i_checksum_hi << 16;
        if (stored != c)
            error = ext4_damage(fs, "the checksum of an inode", n->ino);
    }
    buf_put(b);
    return error ? error : node_check(n);
}

static struct ext4_node *node_new(struct ext4 *fs, uint32_t ino)
{
    struct ext4_node *n = spare_take(&spares);
    if (!n)
        return NULL;
    n->fs = fs;
    n->ino = ino;
    n->refs = 1;
    n->hash_next = *bucket(fs, ino);
    *bucket(fs, ino) = n;
    uint32_t group = (ino - 1) / fs->inodes_per_group;
    n->goal = group < fs->groups ? group_first_block(fs, group) : 0;
    return n;
}

static struct ext4_node *node_find(struct ext4 *fs, uint32_t ino)
{
    struct ext4_node *n = *bucket(fs, ino);
    while (n && n->ino != ino)
        n = n->hash_next;
    return n;
}

int node_get(struct ext4 *fs, uint32_t ino, struct ext4_node **out)
{
    struct ext4_node *n = node_find(fs, ino);
    if (n) {
        n->refs++;
        if (n->idle)
            idle_remove(n);
        *out = n;
        return 0;
    }
    node_trim(fs);
    n = node_new(fs, ino);
    if (!n)
        return -ENOMEM;
    int error = node_read(n);
    if (error) {
        node_destroy(n);
        return error;
    }
    *out = n;
    return 0;
}

void node_put(struct ext4_node *n)
{
    if (!n || --n->refs)
        return;
    if (n->orphan && !n->raw.i_links_count && !n->fs->read_only) {
        n->refs = 1;
        node_delete(n);
        n->refs = 0;
    }
    if (!n->raw.i_links_count) { /* the number may come back as another inode */
        node_destroy(n);
        return;
    }
    idle_if_unused(n);
}

/* ---- fields ---- */

uint64_t node_xattr_block(const struct ext4_node *n)
{
    return n->raw.i_file_acl_lo | (n->fs->has_64bit ? (uint64_t)n->raw.i_file_acl_hi << 32 : 0);
}

void node_set_size(struct ext4_node *n, uint64_t size)
{
    bool grows = size > n->size; /* what shrinks goes with its pages: pages_drop() */
    if (size != n->size)
        n->mapped = n->fs->tx_number;
    n->size = size;
    n->raw.i_size_lo = (uint32_t)size;
    n->raw.i_size_hi = (uint32_t)(size >> 32);
    if (n->store && grows)
        n->store->ops->grow(n->store, size);
}

uint64_t node_blocks(const struct ext4_node *n)
{
    uint64_t blocks = n->raw.i_blocks_lo;
    if (n->fs->super->s_feature_ro_compat & RO_HUGE_FILE)
        blocks |= (uint64_t)n->raw.i_blocks_hi << 32;
    return n->raw.i_flags & INODE_HUGE_FILE ? blocks << (n->fs->block_bits - 9) : blocks;
}

void node_add_blocks(struct ext4_node *n, int64_t count)
{
    int64_t blocks = (int64_t)node_blocks(n) + count * (1 << (n->fs->block_bits - 9));
    blocks = blocks < 0 ? 0 : blocks;
    n->raw.i_flags &= ~INODE_HUGE_FILE;
    if (blocks >> 48) { /* too many to count in 512 bytes */
        n->raw.i_flags |= INODE_HUGE_FILE;
        blocks >>= n->fs->block_bits - 9;
    }
    n->raw.i_blocks_lo = (uint32_t)blocks;
    n->raw.i_blocks_hi = (uint16_t)(blocks >> 32);
}

/* The low two bits of the extra field extend the seconds beyond 2038, the rest is nanoseconds. */
static struct timespec time_get(uint32_t seconds, uint32_t extra)
{
    return (struct timespec){(int32_t)seconds + ((int64_t)(extra & 3) << 32), extra >> 2};
}

static void time_set(uint32_t *seconds, uint32_t *extra, struct timespec t)
{
    int64_t epoch = ((int64_t)t.tv_sec - (int32_t)t.tv_sec) >> 32;
    *seconds = (uint32_t)t.tv_sec;
    *extra = (uint32_t)(epoch & 3) | (uint32_t)t.tv_nsec << 2;
}

void node_touch(struct ext4_node *n, bool data)
{
    struct timespec now = n->fs->options.now();
    time_set(&n->raw.i_ctime, &n->raw.i_ctime_extra, now);
    if (data)
        time_set(&n->raw.i_mtime, &n->raw.i_mtime_extra, now);
}

/* Small device numbers in the first word, large ones in the second. */
static uint64_t rdev_get(const struct ext4_node *n)
{
    uint32_t old = n->raw.i_block[0], new = n->raw.i_block[1];
    if (!S_ISCHR(n->raw.i_mode) && !S_ISBLK(n->raw.i_mode))
        return 0;
    uint64_t major = old ? old >> 8 & 255 : new >> 8 & 0xfff;
    uint64_t minor = old ? old & 255 : (new & 255) | (new >> 12 & 0xfff00);
    return (major & ~0xfffull) << 32 | (major & 0xfff) << 8 | (minor & ~255ull) << 12 |
           (minor & 255);
}

static void rdev_set(struct ext4_node *n, uint64_t rdev)
{
    uint32_t major = (uint32_t)(rdev >> 8 & 0xfff),
             minor = (uint32_t)((rdev & 255) | (rdev >> 12 & 0xfff00));
    if (major < 256 && minor < 256)
        n->raw.i_block[0] = major << 8 | minor;
    else
        n->raw.i_block[1] = (minor & 255) | major << 8 | (minor & 0xfff00) << 12;
}

void ext4_attributes(struct ext4_node *n, struct ext4_attributes *out)
{
    const struct ext4_inode *i = &n->raw;
    *out = (struct ext4_attributes){
        .ino = n->ino,
        .size = n->size,
        .blocks = node_blocks(n),
        .mode = i->i_mode,
        .nlink = i->i_links_count,
        .uid = i->i_uid_lo | (uint32_t)i->i_uid_hi << 16,
        .gid = i->i_gid_lo | (uint32_t)i->i_gid_hi << 16,
        .rdev = rdev_get(n),
        .atime = time_get(i->i_atime, i->i_atime_extra),
        .mtime = time_get(i->i_mtime, i->i_mtime_extra),
        .ctime = time_get(i->i_ctime, i->i_ctime_extra),
        .btime = time_get(i->i_crtime, i->i_crtime_extra),
    };
}

static void attributes_set(struct ext4_inode *i, const struct ext4_attributes *a, unsigned which)
{
    if (which & EXT4_SET_MODE)
        i->i_mode = (uint16_t)((i->i_mode & S_IFMT) | (a->mode & 07777));
    if (which & EXT4_SET_OWNER) {
        i->i_uid_lo = (uint16_t)a->uid;
        i->i_uid_hi = (uint16_t)(a->uid >> 16);
        i->i_gid_lo = (uint16_t)a->gid;
        i->i_gid_hi = (uint16_t)(a->gid >> 16);
    }
    if (which & EXT4_SET_ATIME)
        time_set(&i->i_atime, &i->i_atime_extra, a->atime);
    if (which & EXT4_SET_MTIME)
        time_set(&i->i_mtime, &i->i_mtime_extra, a->mtime);
    if (which & EXT4_SET_CTIME)
        time_set(&i->i_ctime, &i->i_ctime_extra, a->ctime);
}

int ext4_set_attributes(struct ext4_node *n, const struct ext4_attributes *a, unsigned which)
{
    struct ext4 *fs = n->fs;
    fiber_lock(&fs->lock);
    struct ext4_inode before = n->raw;
    int error = tx_begin(fs, 2);
    if (!error) {
        attributes_set(&n->raw, a, which);
        error = tx_end(fs, memcmp(&before, &n->raw, sizeof before) ? node_write(n) : 0);
    }
    fiber_unlock(&fs->lock);
    return error;
}

/* ---- to the disk ---- */

int node_create(struct ext4 *fs, uint32_t ino, const struct ext4_new *new, struct ext4_node **out)
{
    if (node_find(fs, ino))
        return ext4_damage(fs, "an inode that is in use is free", ino);
    node_trim(fs);
    struct ext4_node *n = node_new(fs, ino);
    struct timespec now = fs->options.now();
    struct ext4_attributes a = {
        .uid = new->uid, .gid = new->gid, .atime = now, .mtime = now, .ctime = now};
    if (!n)
        return -ENOMEM;
    n->mapped = fs->tx_number;
    n->raw.i_mode = (uint16_t) new->mode;
    n->raw.i_extra_isize = fs->inode_size > EXT4_OLD_INODE ? sizeof n->raw - EXT4_OLD_INODE : 0;
    n->raw.i_generation = (uint32_t)now.tv_nsec ^ ino * 0x9e3779b1u ^ (uint32_t)now.tv_sec;
    n->csum_seed = node_csum_seed(fs, ino, n->raw.i_generation);
    attributes_set(&n->raw, &a, EXT4_SET_OWNER | EXT4_SET_ATIME | EXT4_SET_MTIME | EXT4_SET_CTIME);
    time_set(&n->raw.i_crtime, &n->raw.i_crtime_extra, now);
    if (S_ISREG(new->mode) || S_ISDIR(new->mode))
        extent_init_root(n);
    else if (S_ISCHR(new->mode) || S_ISBLK(new->mode))
        rdev_set(n, new->rdev);
    *out = n;
    return 0;
}

int node_write(struct ext4_node *n)
{
    struct ext4 *fs = n->fs;
    struct buf *b;
    uint64_t block;
    uint32_t offset;
    int error = inode_place(fs, n->ino, &block, &offset);
    if (!error)
        error = buf_read(fs, block, &b);
    if (error)
        return error;
    struct ext4_inode *raw = (struct ext4_inode *)(b->data + offset);
    if (raw->i_generation != n->raw.i_generation || !raw->i_mode) /* a new one: no attributes */
        memset(raw, 0, fs->inode_size);
    memcpy(raw, &n->raw, raw_size(n));
    error = seal_inode(b, n->ino, offset);
    buf_put(b);
    return error;
}

/* ---- references, from outside ---- */

int ext4_root(struct ext4 *fs, struct ext4_node **out)
{
    fiber_lock(&fs->lock);
    int error = node_get(fs, EXT4_ROOT_INO, out);
    if (!error && node_type(*out) != S_IFDIR) {
        node_put(*out);
        error = ext4_damage(fs, "the root is no directory", EXT4_ROOT_INO);
    }
    fiber_unlock(&fs->lock);
    return error;
}

struct ext4 *ext4_of(const struct ext4_node *n)
{
    return n->fs;
}

void **ext4_owner(struct ext4_node *n)
{
    return &n->owner;
}

void ext4_get(struct ext4_node *n)
{
    n->refs++;
}

void ext4_put(struct ext4_node *n)
{
    struct ext4 *fs = n->fs;
    if (n->refs > 1) {
        n->refs--;
        return;
    }
    fiber_lock(&fs->lock);
    node_put(n);
    fiber_unlock(&fs->lock);
}
