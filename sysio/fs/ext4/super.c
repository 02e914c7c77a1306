/* SPDX-License-Identifier: MIT */
/*
 * Mount and unmount: the super block, the features, the group descriptors, and which blocks are the
 * file system's own.
 */
#include "ext4_impl.h"
#include "journal_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- features ---- */

enum { WRITE_OK, READ_ONLY, REFUSE };
struct feature {
    uint32_t bit;
    int mode;
    const char *name;
};

static const struct feature incompat[] = {
    {0x1, REFUSE, "compression"},      {0x2, WRITE_OK, "filetype"},
    {0x4, WRITE_OK, "needs_recovery"}, {0x8, REFUSE, "journal_dev"},
    {0x10, REFUSE, "meta_bg"},         {0x40, WRITE_OK, "extent"},
    {0x80, WRITE_OK, "64bit"},         {0x100, READ_ONLY, "mmp"},
    {0x200, WRITE_OK, "flex_bg"},      {0x400, READ_ONLY, "ea_inode"},
    {0x1000, REFUSE, "dirdata"},       {0x2000, WRITE_OK, "metadata_csum_seed"},
    {0x4000, READ_ONLY, "large_dir"},  {0x8000, READ_ONLY, "inline_data"},
    {0x10000, REFUSE, "encrypt"},      {0x20000, REFUSE, "casefold"},
};
static const struct feature ro_compat[] = {
    {0x1, WRITE_OK, "sparse_super"},
    {0x2, WRITE_OK, "large_file"},
    {0x8, WRITE_OK, "huge_file"},
    {0x10, WRITE_OK, "uninit_bg"},
    {0x20, WRITE_OK, "dir_nlink"},
    {0x40, WRITE_OK, "extra_isize"},
    {0x100, READ_ONLY, "quota"},
    {0x200, READ_ONLY, "bigalloc"},
    {0x400, WRITE_OK, "metadata_csum"},
    {0x1000, READ_ONLY, "read-only"},
    {0x2000, READ_ONLY, "project"},
    {0x8000, READ_ONLY, "verity"},
    {0x10000, READ_ONLY, "orphan_present"},
};

/* The strictest mode of the bits that are set. */
static int features_check(struct ext4 *fs, uint32_t bits, const struct feature *known, size_t count,
                          int unknown)
{
    int worst = WRITE_OK;
    for (uint32_t bit = 1; bit; bit <<= 1) {
        const char *name = "unknown";
        int mode = unknown;
        if (!(bits & bit))
            continue;
        for (size_t i = 0; i < count; i++) {
            if (known[i].bit == bit) {
                mode = known[i].mode;
                name = known[i].name;
            }
        }
        if (mode != WRITE_OK)
            fs->options.log("feature %s (%x): %s", name, (unsigned)bit,
                            mode == REFUSE ? "refused" : "read-only");
        worst = mode > worst ? mode : worst;
    }
    return worst;
}

static int features(struct ext4 *fs)
{
    const struct ext4_super *s = fs->super;
    int a = features_check(fs, s->s_feature_incompat, incompat, sizeof incompat / sizeof *incompat,
                           REFUSE);
    int b = features_check(fs, s->s_feature_ro_compat, ro_compat,
                           sizeof ro_compat / sizeof *ro_compat, READ_ONLY);
    if (a == REFUSE)
        return -EINVAL;
    if (!(s->s_feature_incompat & INCOMPAT_FILETYPE) ||
        !(s->s_feature_incompat & INCOMPAT_EXTENTS)) {
        fs->options.log("without extent or filetype: read-only");
        fs->read_only = true, fs->can_write = false;
    }
    if (!(s->s_feature_compat & COMPAT_HAS_JOURNAL)) {
        fs->options.log("without a journal: read-only");
        fs->read_only = true, fs->can_write = false;
    }
    if (s->s_feature_compat & 0x200) {
        fs->options.log("feature sparse_super2: read-only");
        fs->read_only = true, fs->can_write = false;
    }
    if (s->s_state & STATE_ERROR) {
        fs->options.log("has errors, run e2fsck: read-only");
        fs->read_only = true, fs->can_write = false;
    }
    if (a == READ_ONLY || b == READ_ONLY)
        fs->read_only = true, fs->can_write = false;
    return 0;
}

/* ---- the super block ---- */

int ext4_damage(struct ext4 *fs, const char *what, uint64_t where)
{
    if (!fs->broken)
        fs->options.log("damaged: %s (%llu); read-only from now on", what,
                        (unsigned long long)where);
    fs->broken = fs->read_only = true;
    return -EIO;
}

static uint64_t wide(uint32_t low, uint32_t high, const struct ext4 *fs)
{
    return low | (fs->has_64bit ? (uint64_t)high << 32 : 0);
}

static bool power_of_two(uint32_t n)
{
    return n && !(n & (n - 1));
}

static bool geometry_good(struct ext4 *fs)
{
    const struct ext4_super *s = fs->super;
    uint32_t bits = fs->block_size * 8;
    fs->blocks = wide(s->s_blocks_count_lo, s->s_blocks_count_hi, fs);
    fs->first_data_block = s->s_first_data_block;
    fs->blocks_per_group = s->s_blocks_per_group;
    fs->inodes_per_group = s->s_inodes_per_group;
    fs->inodes = s->s_inodes_count;
    fs->inode_size = s->s_inode_size;
    fs->first_ino = s->s_first_ino;
    fs->desc_size = fs->has_64bit ? s->s_desc_size : 32;
    if (s->s_rev_level != 1 || s->s_log_cluster_size != s->s_log_block_size ||
        fs->first_data_block != (fs->block_size == 1024))
        return false;
    if (!power_of_two(fs->inode_size) || fs->inode_size < EXT4_OLD_INODE ||
        fs->inode_size > fs->block_size)
        return false;
    if (!power_of_two(fs->desc_size) || fs->desc_size < (fs->has_64bit ? 64u : 32u) ||
        fs->desc_size > fs->block_size)
        return false;
    fs->desc_per_block = fs->block_size / fs->desc_size;
    if (fs->blocks_per_group < 256 || fs->blocks_per_group > bits || fs->blocks_per_group % 8 ||
        fs->inodes_per_group > bits || !fs->inodes_per_group || fs->inodes_per_group % 8)
        return false;
    if (fs->blocks <= fs->first_data_block + 1 || fs->blocks > fs->device->size >> fs->block_bits)
        return false;
    uint64_t groups =
        (fs->blocks - fs->first_data_block + fs->blocks_per_group - 1) / fs->blocks_per_group;
    if (groups > UINT32_MAX / fs->inodes_per_group || groups * fs->inodes_per_group != fs->inodes)
        return false;
    fs->groups = (uint32_t)groups;
    /* all descriptors are before the end */
    return fs->first_data_block + 1 + (groups + fs->desc_per_block - 1) / fs->desc_per_block <
               fs->blocks &&
           fs->first_ino >= 11 && fs->first_ino <= fs->inodes;
}

static int super_read(struct ext4 *fs)
{
    uint8_t *sector = malloc(4096);
    struct ext4_super *s = sector ? (struct ext4_super *)(sector + EXT4_SB_OFFSET) : NULL;
    if (!sector)
        return -ENOMEM;
    int error = fs->device->size < 64 << 10
                    ? -EINVAL
                    : block_transfer(fs->device, BLOCK_READ, 0, sector, 4096);
    if (!error && (s->s_magic != EXT4_MAGIC || s->s_log_block_size > 2))
        error = -EINVAL;
    if (!error) {
        fs->block_bits = 10 + s->s_log_block_size;
        fs->block_size = 1u << fs->block_bits;
        fs->blocks = fs->device->size >> fs->block_bits; /* until it is known better */
        error = cache_init(fs);
    }
    free(sector);
    if (!error)
        error = buf_read(fs, EXT4_SB_OFFSET >> fs->block_bits, &fs->super_buf);
    if (error)
        return error;
    fs->super = (struct ext4_super *)(fs->super_buf->data + EXT4_SB_OFFSET % fs->block_size);
    s = fs->super;
    fs->has_csum = s->s_feature_ro_compat & RO_METADATA_CSUM;
    fs->has_gdt_csum = s->s_feature_ro_compat & RO_GDT_CSUM;
    fs->has_64bit = s->s_feature_incompat & INCOMPAT_64BIT;
    if (s->s_magic != EXT4_MAGIC ||
        (fs->has_csum && (s->s_checksum_type != 1 || s->s_checksum != super_checksum(s))))
        return ext4_damage(fs, "the super block's checksum", 0);
    fs->csum_seed = s->s_feature_incompat & INCOMPAT_CSUM_SEED ? s->s_checksum_seed
                                                               : crc32c(~0u, s->s_uuid, 16);
    error = features(fs);
    if (!error && !geometry_good(fs)) {
        fs->options.log("the super block makes no sense");
        error = -EINVAL;
    }
    return error;
}

void super_counts(struct ext4 *fs)
{
    struct ext4_super *s = fs->super;
    s->s_free_blocks_count_lo = (uint32_t)fs->free_blocks;
    if (fs->has_64bit)
        s->s_free_blocks_count_hi = (uint32_t)(fs->free_blocks >> 32);
    s->s_free_inodes_count = (uint32_t)fs->free_inodes;
    s->s_wtime = (uint32_t)fs->options.now().tv_sec;
    if (fs->has_csum)
        s->s_checksum = super_checksum(s);
    journal_change(fs, fs->super_buf);
}

/* To its place, outside of transactions. */
static int super_write(struct ext4 *fs, uint8_t *block)
{
    int error = block_transfer(fs->device, BLOCK_WRITE, fs->super_buf->block << fs->block_bits,
                               block, fs->block_size);
    return error ? error : block_flush(fs->device);
}

/*
 * What super_mark() will write: of now, since the block has changes of the transaction by then,
 * which must not come before it.
 */
static int mark_prepare(struct ext4 *fs)
{
    struct ext4_super *s = fs->super;
    fs->marked = s->s_feature_incompat & INCOMPAT_RECOVER;
    s->s_feature_incompat |= INCOMPAT_RECOVER;
    s->s_mtime = (uint32_t)fs->options.now().tv_sec;
    s->s_mnt_count++;
    if (fs->has_csum)
        s->s_checksum = super_checksum(s);
    if (!fs->mark)
        fs->mark = malloc(fs->block_size);
    if (!fs->mark)
        return -ENOMEM;
    memcpy(fs->mark, fs->super_buf->data, fs->block_size);
    return 0;
}

int super_mark(struct ext4 *fs)
{
    int error = super_write(fs, fs->mark);
    free(fs->mark);
    fs->mark = NULL;
    fs->marked = true;
    return error;
}

/* There is nothing to replay. */
static int super_unmark(struct ext4 *fs)
{
    fs->super->s_feature_incompat &= ~INCOMPAT_RECOVER;
    if (fs->has_csum)
        fs->super->s_checksum = super_checksum(fs->super);
    int error = fs->marked ? super_write(fs, fs->super_buf->data) : 0;
    if (error)
        fs->broken = fs->read_only = true;
    return error;
}

/* ---- groups ---- */

struct ext4_group_desc *group_desc(struct ext4 *fs, uint32_t group)
{
    return (struct ext4_group_desc *)(fs->desc_bufs[group / fs->desc_per_block]->data +
                                      group % fs->desc_per_block * fs->desc_size);
}

bool groups_have_checksums(const struct ext4 *fs)
{
    return fs->has_csum || fs->has_gdt_csum;
}

int group_changed(struct ext4 *fs, uint32_t group)
{
    fs->group[group].unsealed = true;
    return journal_change(fs, fs->desc_bufs[group / fs->desc_per_block]);
}

uint64_t group_first_block(const struct ext4 *fs, uint32_t group)
{
    return fs->first_data_block + (uint64_t)group * fs->blocks_per_group;
}

uint32_t group_blocks(const struct ext4 *fs, uint32_t group)
{
    uint64_t left = fs->blocks - group_first_block(fs, group);
    return left < fs->blocks_per_group ? (uint32_t)left : fs->blocks_per_group;
}

static bool power_of(uint32_t n, uint32_t base)
{
    while (n % base == 0)
        n /= base;
    return n == 1;
}

static bool has_super(const struct ext4 *fs, uint32_t group)
{
    if (group <= 1 || !(fs->super->s_feature_ro_compat & RO_SPARSE_SUPER))
        return true;
    return power_of(group, 3) || power_of(group, 5) || power_of(group, 7);
}

uint32_t group_base_blocks(const struct ext4 *fs, uint32_t group)
{
    uint32_t descriptors = (fs->groups + fs->desc_per_block - 1) / fs->desc_per_block;
    return has_super(fs, group) ? 1 + descriptors + fs->super->s_reserved_gdt_blocks : 0;
}

static int by_first(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static void system_add(struct ext4 *fs, uint64_t first, uint64_t count)
{
    if (count)
        fs->system[fs->system_count++] = (struct range){first, first + count};
}

/* The ranges of the file system's own blocks, sorted and joined. */
static int system_init(struct ext4 *fs)
{
    uint32_t table = fs->inodes_per_group / (fs->block_size / fs->inode_size), kept = 0;
    fs->system = malloc(4 * (size_t)fs->groups * sizeof *fs->system);
    if (!fs->system)
        return -ENOMEM;
    for (uint32_t g = 0; g < fs->groups; g++) {
        system_add(fs, group_first_block(fs, g), group_base_blocks(fs, g));
        system_add(fs, fs->group[g].block_bitmap, 1);
        system_add(fs, fs->group[g].inode_bitmap, 1);
        system_add(fs, fs->group[g].inode_table, table);
    }
    qsort(fs->system, fs->system_count, sizeof *fs->system, by_first);
    for (uint32_t i = 0; i < fs->system_count; i++) {
        struct range *r = &fs->system[i], *last = kept ? &fs->system[kept - 1] : NULL;
        if (last && r->first < last->end)
            return ext4_damage(fs, "two structures in one place", r->first);
        if (last && r->first == last->end)
            last->end = r->end;
        else
            fs->system[kept++] = *r;
    }
    fs->system_count = kept;
    fs->system[0].first = 0; /* what is before the first group is nobody's */
    return 0;
}

bool blocks_valid(const struct ext4 *fs, uint64_t first, uint64_t count)
{
    uint32_t low = 0, high = fs->system_count;
    if (!count || first >= fs->blocks || count > fs->blocks - first)
        return false;
    while (low < high) { /* the first range that ends behind `first` */
        uint32_t middle = (low + high) / 2;
        if (fs->system[middle].end <= first)
            low = middle + 1;
        else
            high = middle;
    }
    return low == fs->system_count || fs->system[low].first >= first + count;
}

static int group_read(struct ext4 *fs, uint32_t g)
{
    struct ext4_group_desc *d = group_desc(fs, g);
    bool large = fs->desc_size >= 64;
    uint32_t table = fs->inodes_per_group / (fs->block_size / fs->inode_size);
    struct group *group = &fs->group[g];
    if (groups_have_checksums(fs) && d->bg_checksum != group_checksum(fs, g, d))
        return ext4_damage(fs, "the checksum of a group descriptor", g);
    group->block_bitmap =
        d->bg_block_bitmap_lo | (large ? (uint64_t)d->bg_block_bitmap_hi << 32 : 0);
    group->inode_bitmap =
        d->bg_inode_bitmap_lo | (large ? (uint64_t)d->bg_inode_bitmap_hi << 32 : 0);
    group->inode_table = d->bg_inode_table_lo | (large ? (uint64_t)d->bg_inode_table_hi << 32 : 0);
    if (group->block_bitmap >= fs->blocks || group->inode_bitmap >= fs->blocks ||
        group->inode_table >= fs->blocks || table > fs->blocks - group->inode_table ||
        !group->block_bitmap || !group->inode_bitmap || !group->inode_table)
        return ext4_damage(fs, "a group descriptor names blocks beyond the end", g);
    fs->free_blocks += group_get16(d->bg_free_blocks_lo, d->bg_free_blocks_hi, fs);
    fs->free_inodes += group_get16(d->bg_free_inodes_lo, d->bg_free_inodes_hi, fs);
    return 0;
}

static int groups_read(struct ext4 *fs)
{
    uint32_t blocks = (fs->groups + fs->desc_per_block - 1) / fs->desc_per_block;
    int error = 0;
    fs->desc_bufs = calloc(blocks, sizeof(struct buf *));
    fs->group = calloc(fs->groups, sizeof *fs->group);
    if (!fs->desc_bufs || !fs->group)
        return -ENOMEM;
    for (uint32_t i = 0; i < blocks && !error; i++)
        error = buf_read(fs, fs->first_data_block + 1 + i, &fs->desc_bufs[i]);
    for (uint32_t g = 0; g < fs->groups && !error; g++)
        error = group_read(fs, g);
    return error ? error : system_init(fs);
}

/* ---- mount ---- */

static void fs_destroy(struct ext4 *fs)
{
    if (fs->node_hash)
        node_free_all(fs);
    if (fs->page_hash)
        pages_free(fs);
    journal_close(fs);
    for (uint32_t g = 0; fs->group && g < fs->groups; g++)
        free(fs->group[g].held);
    if (fs->buf_hash)
        cache_free(fs);
    free(fs->mark);
    free(fs->desc_bufs);
    free(fs->group);
    free(fs->system);
    free(fs);
}

/* What is read at a mount, behind the super block. */
static int fs_open(struct ext4 *fs)
{
    int error = groups_read(fs);
    if (!error)
        error = node_init(fs);
    if (!error)
        error = pages_init(fs);
    return error;
}

static struct ext4 *fs_new(struct block_device *d, const struct ext4_options *options)
{
    struct ext4 *fs = calloc(1, sizeof *fs);
    if (!fs)
        return NULL;
    fs->device = d;
    fs->options = *options;
    fs->read_only = options->read_only || d->read_only;
    fs->can_write = !d->read_only;
    fs->tx_number = 1;
    fs->lock.holder = fiber_current();
    return fs;
}

static bool replay_needed(const struct ext4 *fs)
{
    return fs->super->s_feature_compat & COMPAT_HAS_JOURNAL &&
           fs->super->s_feature_incompat & INCOMPAT_RECOVER;
}

/*
 * Replays the journal. This file system is of no use afterwards: what it has read is from before.
 * Only the first group is looked at, where the journal's inode is: descriptors of others may wait
 * in the journal for their replay (grow.c).
 */
static int replay(struct ext4 *fs)
{
    if (fs->device->read_only) {
        fs->options.log("the journal must be replayed, but the disk is read-only");
        return -EROFS;
    }
    fs->groups = 1;
    fs->inodes = fs->inodes_per_group;
    int error = fs_open(fs);
    if (!error)
        error = journal_open(fs);
    return error ? error : journal_replay(fs);
}

static int start_writing(struct ext4 *fs)
{
    int error = journal_open(fs);
    if (!error)
        error = mark_prepare(fs);
    if (error)
        return error;
    journal_start(fs);
    return orphan_recover(fs);
}

int ext4_mount(struct block_device *d, const struct ext4_options *options, struct ext4 **out)
{
    struct ext4 *fs = fs_new(d, options);
    if (!fs)
        return -ENOMEM;
    int error = super_read(fs);
    if (!error && replay_needed(fs)) {
        error = replay(fs);
        fs_destroy(fs);
        fs = error ? NULL : fs_new(d, options);
        if (!fs)
            return error ? error : -ENOMEM;
        error = super_read(fs);
    }
    if (!error)
        error = fs_open(fs);
    if (!error && !fs->read_only)
        error = start_writing(fs);
    if (error) {
        fs_destroy(fs);
        return error;
    }
    fiber_unlock(&fs->lock);
    *out = fs;
    return 0;
}

/* All is written, and the journal is empty: there is nothing to replay. */
static int stop_writing(struct ext4 *fs)
{
    int error = pages_write_all(fs);
    pages_write_end(fs);
    int stopped = journal_stop(fs);
    error = error ? error : fs->write_error ? fs->write_error : stopped;
    if (!stopped)
        stopped = super_unmark(fs);
    error = error ? error : stopped;
    return error;
}

int ext4_remount(struct ext4 *fs, bool read_only)
{
    int error = 0;
    fiber_lock(&fs->lock);
    if (read_only && !fs->read_only) {
        error = stop_writing(fs);
        if (!error) {
            journal_close(fs);
            fs->read_only = true;
        }
    } else if (!read_only && fs->read_only) {
        error = fs->broken || !fs->can_write ? -EROFS : start_writing(fs);
        fs->read_only = error != 0;
    }
    fiber_unlock(&fs->lock);
    return error;
}

int ext4_unmount(struct ext4 *fs)
{
    int error = 0;
    fiber_lock(&fs->lock);
    if (!fs->read_only) {
        error = stop_writing(fs);
    } else if (fs->broken) {
        error = -EIO;
    }
    fs_destroy(fs);
    return error;
}

int ext4_sync(struct ext4 *fs)
{
    int error = 0;
    fiber_lock(&fs->lock);
    if (fs->broken)
        error = -EIO;
    if (!fs->read_only) {
        error = pages_write_all(fs);
        int durable = pages_durable(fs, true);
        error = error ? error : fs->write_error ? fs->write_error : durable;
    }
    fiber_unlock(&fs->lock);
    return error;
}

bool ext4_read_only(const struct ext4 *fs)
{
    return fs->read_only;
}

bool ext4_broken(const struct ext4 *fs)
{
    return fs->broken;
}

void ext4_statfs(struct ext4 *fs, struct ext4_statfs *out)
{
    const struct ext4_super *s = fs->super;
    uint64_t own = 0, reserved = wide(s->s_r_blocks_count_lo, s->s_r_blocks_count_hi, fs);
    for (uint32_t i = 0; i < fs->system_count; i++)
        own += fs->system[i].end - fs->system[i].first;
    *out = (struct ext4_statfs){.block_size = fs->block_size,
                                .blocks = fs->blocks > own ? fs->blocks - own : 0,
                                .free = fs->free_blocks,
                                .inodes = fs->inodes,
                                .free_inodes = fs->free_inodes};
    out->available = fs->free_blocks > reserved ? fs->free_blocks - reserved : 0;
}
