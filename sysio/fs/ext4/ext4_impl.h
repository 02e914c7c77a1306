/* SPDX-License-Identifier: MIT */
/*
 * What ext4's files share.
 *
 *   super.c       mount, features, group descriptors, unmount; grow.c: a larger device
 *   checksum.c    crc32c, and the checksum of each structure; seal.c: when it is computed
 *   cache.c       metadata blocks in memory
 *   journal.c     transactions and their commit; recover.c: replay
 *   blocks.c      block bitmaps; inodes.c: inode bitmaps
 *   node.c        inodes in memory; orphan.c: removed, but in use or not freed yet
 *   extent.c      the tree from file blocks to disk blocks; extent_change.c: its changes
 *   pages.c       the pages of files in memory; ahead.c: reading ahead; write_back.c
 *   data.c        read, write, truncate, allocate, punch; reserve.c: appends that cannot fail
 *   share.c       files that others map
 *   dir.c         blocks of entries; htree.c: their index by hash; hash.c: the hash; list.c
 *   names.c       create, link, unlink, rename
 *   xattr.c       extended attributes
 *
 * Invariants.
 * 1. One fiber at a time is inside (`lock`), also while it waits for the device; but who reads a
 *    page that is on its way waits for it outside. What comes from the device comes at any sleep.
 * 2. A metadata block is changed only in a transaction (tx_begin .. tx_end), after
 *    journal_change(); it is written to its place only when its transaction is in the journal.
 * 3. Blocks that a transaction frees are not used again before it is committed (`held`).
 * 4. A transaction that makes blocks part of a file is committed after their data is on the disk.
 * 5. What the disk says is checked where it is used: offsets, lengths and block numbers, not only
 *    once when the block was read; another structure of a damaged disk may name the same block.
 */
#ifndef EXT4_IMPL_H
#define EXT4_IMPL_H

#include "../../base/fiber.h"
#include "ext4.h"
#include "format.h"

#define PAGE_SIZE_LOG 12u
#define PAGE_BYTES    (1u << PAGE_SIZE_LOG)

struct journal;

/* ---- metadata blocks ---- */

enum buf_kind {
    KIND_NONE, /* not looked at */
    KIND_PLAIN,
    KIND_BLOCK_BITMAP,
    KIND_INODE_BITMAP,
    KIND_DIRECTORY,
    KIND_INDEX,
    KIND_EXTENTS,
    KIND_XATTR,
};

/* The checksum that a changed block lacks until it is committed: seal.c. */
struct buf_seal {
    uint8_t kind;    /* of these, KIND_NONE: none. KIND_PLAIN: some of a block of inodes */
    uint32_t seed;   /* the node's; of a bitmap: its group; of inodes: the number of the first */
    uint32_t offset; /* of the entries of KIND_INDEX */
    uint32_t inodes; /* of KIND_PLAIN: a bit for each that has changed */
};

struct buf {
    struct ext4 *fs;
    uint64_t block;
    uint8_t *data;
    uint32_t refs;
    bool valid;
    bool logged;    /* part of the running transaction */
    bool dirty;     /* committed, but not written to its place */
    bool forgotten; /* logged, and freed since: the commit leaves it out */
    bool pooled;    /* data is of options.memory */
    bool neighbour; /* nobody has asked for it yet */
    uint8_t kind;   /* what its checksum has been verified as */
    struct buf_seal seal;
    struct buf *hash_next;
    struct buf *newer, *older; /* of those that may leave: neither in use, logged nor dirty */
};

struct buf_list {
    struct buf *newest, *oldest;
    uint32_t count;
};

struct group {
    uint64_t block_bitmap, inode_bitmap, inode_table;
    uint8_t *held; /* invariant 3: a bitmap, or NULL; see blocks.c */
    bool unsealed; /* its descriptor has changed */
};

struct range {
    uint64_t first, end;
};

struct ext4 {
    struct block_device *device;
    struct ext4_options options;
    struct fiber_lock lock;
    bool read_only, broken;
    bool can_write; /* device and features allow it */
    bool has_csum, has_gdt_csum, has_64bit;

    uint32_t block_size, block_bits; /* log2 */
    uint64_t blocks;
    uint32_t first_data_block, blocks_per_group, inodes_per_group, inodes, groups;
    uint32_t inode_size, desc_size, desc_per_block, first_ino;
    uint32_t csum_seed;
    uint64_t free_blocks, free_inodes;

    struct buf *super_buf;
    struct ext4_super *super; /* in it */
    uint8_t *mark;            /* the block as super_mark() will write it; NULL: it has */
    bool marked;              /* on the disk: needs recovery */
    struct buf **desc_bufs;   /* all group descriptors, always in memory */
    struct group *group;
    struct range *system; /* the file system's own blocks, sorted */
    uint32_t system_count;

    struct buf **buf_hash;
    uint32_t buf_hash_size, buf_count, buf_max, buf_dirty;
    struct buf_list buf_lists[2]; /* of those that may leave; 1: of neighbours */

    struct ext4_node **node_hash;
    struct ext4_node *node_newest, *node_oldest; /* without references */
    uint32_t node_count, node_idle;
    struct ext4_node *orphans;

    struct page *page_newest, *page_oldest;
    uint32_t page_count, page_max, page_dirty, page_dirty_max;
    uint32_t page_buckets; /* a power of two */
    struct page **page_hash;
    struct ext4_node *dirty_nodes;
    struct flight *flights; /* pages on their way to the disk: write_back.c */
    uint32_t flying;        /* so many */
    int write_error;        /* of the last one that failed, since pages_write_all() */

    struct journal *journal;
    uint64_t tx_number; /* of the running transaction; from 1 on */
    uint32_t held_groups;
    uint64_t held_blocks; /* free, but not to be given out yet */
    uint64_t reserved;    /* free, and kept for nodes: of all of them */
};

/* ---- nodes ---- */

struct ext4_node {
    struct ext4 *fs;
    uint32_t ino, refs;
    void *owner;
    struct ext4_inode raw;
    uint64_t size; /* as in raw */
    uint32_t csum_seed;
    struct ext4_node *hash_next;
    struct ext4_node *newer, *older; /* idle list: without references, and all is written */
    bool idle;                       /* it is in the list */
    struct ext4_node *orphan_next;   /* a list as on the disk */
    bool orphan;
    struct page *pages;       /* all of it */
    struct ext4_store *store; /* NULL: they are in memory of our own */
    uint64_t fault_next[2];   /* pages after those that faults brought: the last ones */
    uint32_t page_count, page_dirty;
    struct ext4_node *dirty_next, **dirty_link; /* in fs->dirty_nodes; link NULL: it is not */
    uint64_t mapped;           /* transaction that last changed its size, or places of its bytes */
    uint64_t ordered;          /* transaction before which its data must be written (invariant 4) */
    uint64_t truncated;        /* transaction that cuts it: data must not be written before */
    int write_error;           /* of the last write-back that failed */
    uint32_t write_errors;     /* how many have */
    bool write_error_reported; /* the last one, to somebody */
    uint64_t goal;             /* where its next block would be good */
    uint64_t reserved;         /* blocks kept for what is appended: reserve.c */
    uint64_t read_next;        /* page after the last one read: sequential readers get read-ahead */
    uint64_t read_end;         /* page after those that were asked for ahead */
    uint32_t read_window;      /* pages that the last read-ahead brought */
    struct page_read *reads;   /* on their way */
};

static inline uint32_t node_type(const struct ext4_node *n)
{
    return n->raw.i_mode & 0170000u;
}

/* ---- super.c ---- */

/* Logs, and makes the file system read-only. Result: -EIO, to return. */
int ext4_damage(struct ext4 *fs, const char *what, uint64_t where);
struct ext4_group_desc *group_desc(struct ext4 *fs, uint32_t group);
/* in a transaction */
int group_changed(struct ext4 *fs, uint32_t group);
bool groups_have_checksums(const struct ext4 *fs);
/* a range of blocks that a file may consist of */
bool blocks_valid(const struct ext4 *fs, uint64_t first, uint64_t count);
uint64_t group_first_block(const struct ext4 *fs, uint32_t group);
uint32_t group_blocks(const struct ext4 *fs, uint32_t group);      /* fewer in the last one */
uint32_t group_base_blocks(const struct ext4 *fs, uint32_t group); /* super block and descriptors */
void super_counts(struct ext4 *fs); /* the free counts into the super block */
int super_mark(struct ext4 *fs);    /* needs recovery: on the disk, before the first commit */
static inline uint32_t group_get16(uint16_t low, uint16_t high, const struct ext4 *fs)
{
    return low | (fs->desc_size >= 64 ? (uint32_t)high << 16 : 0);
}

/* ---- checksum.c ---- */

uint32_t crc32c(uint32_t seed, const void *data, size_t size);
uint32_t super_checksum(const struct ext4_super *s);
uint16_t group_checksum(struct ext4 *fs, uint32_t group, const struct ext4_group_desc *d);
void bitmap_set_checksum(struct ext4 *fs, uint32_t group, bool inodes, const uint8_t *bitmap);
bool bitmap_check(struct ext4 *fs, uint32_t group, bool inodes, const uint8_t *bitmap);
uint32_t node_csum_seed(struct ext4 *fs, uint32_t ino, uint32_t generation);
/* raw: the whole inode on the disk */
uint32_t inode_checksum(struct ext4 *fs, uint32_t ino, const uint8_t *raw);
void inode_set_checksum(struct ext4 *fs, uint32_t ino, uint8_t *raw);
/* seed: of the node whose it is, node_csum_seed() */
void extents_set_checksum(struct ext4 *fs, uint32_t seed, uint8_t *block);
bool extents_check(struct ext4_node *n, const uint8_t *block);
void dir_set_checksum(struct ext4 *fs, uint32_t seed, uint8_t *block);
bool dir_check(struct ext4_node *n, const uint8_t *block);
/* entries: offset of the first struct ext4_dx_entry */
void index_set_checksum(struct ext4 *fs, uint32_t seed, uint8_t *block, uint32_t entries);
bool index_check(struct ext4_node *n, const uint8_t *block, uint32_t entries);
uint32_t xattr_checksum(struct ext4 *fs, uint64_t block, const uint8_t *data);

/*
 * ---- seal.c: a block has changed, in a transaction; its checksum follows with the commit ----
 */

int seal_bitmap(struct buf *b, uint32_t group, bool inodes);
int seal_inode(struct buf *b, uint32_t ino, uint32_t offset);
bool seal_awaited(const struct buf *b, uint32_t offset); /* by the inode there */
int seal_directory(struct ext4_node *dir, struct buf *b);
int seal_index(struct ext4_node *dir, struct buf *b, uint32_t entries);
int seal_extents(struct ext4_node *n, struct buf *b);
/* Of all in the running transaction. */
void seal_all(struct ext4 *fs);

/* ---- cache.c ---- */

int cache_init(struct ext4 *fs);
void cache_free(struct ext4 *fs);
int buf_read(struct ext4 *fs, uint64_t block, struct buf **out);
/* a new block, zeroed, not read; EIO when the block is in use already: the disk is damaged */
int buf_new(struct ext4 *fs, uint64_t block, struct buf **out);
struct buf *buf_find(struct ext4 *fs, uint64_t block); /* without a reference; NULL */
void buf_put(struct buf *b);
/* the block is free now: nothing of it needs to be written */
void buf_forget(struct ext4 *fs, uint64_t block);
void buf_trim(struct ext4 *fs);
/* Memory is short: up to `count` leave, but a part stays. How many. */
uint32_t bufs_reclaim(struct ext4 *fs, uint32_t count);
bool cache_has_many_dirty(const struct ext4 *fs); /* they cannot leave: a checkpoint is due */
/* writes all dirty ones to their places; no flush */
int cache_write(struct ext4 *fs);
/* b is, or is not, to be written to its place; not logged any more */
void buf_set_dirty(struct buf *b, bool dirty);

/* ---- journal.c ---- */

int journal_open(struct ext4 *fs); /* after replay */
void journal_close(struct ext4 *fs);
void journal_start(struct ext4 *fs); /* writable from here on */
/*
 * From begin to end everything is one step, which a crash undoes or keeps as a whole. `credits`:
 * how many metadata blocks it changes at most; at most TX_CREDITS_MAX.
 */
#define TX_CREDITS_MAX 64u
int tx_begin(struct ext4 *fs, uint32_t credits);
/* error: what made the step fail; unchanged, unless it was 0 and the file system broke */
int tx_end(struct ext4 *fs, int error);
/* For long steps that stop in consistent states: makes room for `credits` more. */
int tx_more(struct ext4 *fs, uint32_t credits);
bool tx_running(const struct ext4 *fs); /* something waits for a commit */
int journal_change(struct ext4 *fs, struct buf *b);
int journal_revoke(struct ext4 *fs, uint64_t block);
int journal_commit(struct ext4 *fs);
/* commits, writes everything to its place, empties the journal; no more changes */
int journal_stop(struct ext4 *fs);

/* ---- recover.c: see journal_impl.h ---- */

/* ---- blocks.c ---- */

/* Up to `want` adjacent blocks near `goal`; ENOSPC. */
int blocks_allocate(struct ext4 *fs, uint64_t goal, uint32_t want, uint64_t *first, uint32_t *got);
int blocks_free(struct ext4 *fs, uint64_t first, uint64_t count);
/* of metadata: forgotten and revoked too */
int block_free_metadata(struct ext4 *fs, uint64_t block);
void blocks_release_held(struct ext4 *fs); /* after a commit */
/* free blocks that may be given out now, to who has none reserved */
uint64_t blocks_available(const struct ext4 *fs);
bool bit_test(const uint8_t *map, uint32_t bit);
void bits_set(uint8_t *map, uint32_t bit, uint32_t count);
void bits_clear(uint8_t *map, uint32_t bit, uint32_t count);
/* first clear (or set) bit in [from, end), or end */
uint32_t bits_find(const uint8_t *map, uint32_t from, uint32_t end, bool set);

/* ---- inodes.c ---- */

int inode_allocate(struct ext4 *fs, struct ext4_node *parent, bool directory, uint32_t *ino);
int inode_free(struct ext4 *fs, uint32_t ino, bool directory);
/* where the inode is: its block, and the offset in it */
int inode_place(struct ext4 *fs, uint32_t ino, uint64_t *block, uint32_t *offset);

/* ---- node.c ---- */

int node_init(struct ext4 *fs);
void node_free_all(struct ext4 *fs);
int node_get(struct ext4 *fs, uint32_t ino, struct ext4_node **out);
/* a new inode, not on the disk before node_write */
int node_create(struct ext4 *fs, uint32_t ino, const struct ext4_new *new, struct ext4_node **out);
/* for inodes of which the disk says nothing useful: orphans that are free already */
void node_put(struct ext4_node *n);
int node_write(struct ext4_node *n); /* raw to its block; in a transaction */
void node_set_size(struct ext4_node *n, uint64_t size);
void node_add_blocks(struct ext4_node *n, int64_t count);
uint64_t node_blocks(const struct ext4_node *n); /* of 512 bytes */
void node_touch(struct ext4_node *n, bool data); /* ctime, and mtime: now */
uint64_t node_xattr_block(const struct ext4_node *n);
void node_trim(struct ext4 *fs);
void node_clean(struct ext4_node *n);     /* no page of it is dirty any more */
void node_takes_off(struct ext4_node *n); /* its dirty pages are on their way: it is in no list */

/* ---- xattr.c ---- */

int xattr_release(struct ext4_node *n); /* of a file that goes; in a transaction */
/* What the attribute "system.data" has of a small file; *size: how much. */
int xattr_inline_data(struct ext4_node *n, uint8_t *to, uint32_t room, uint32_t *size);

/* ---- orphan.c ---- */

int orphan_add(struct ext4_node *n);    /* in a transaction, with node_write() */
int orphan_remove(struct ext4_node *n); /* in a transaction */
int orphan_recover(struct ext4 *fs);
/* no name and no reference: blocks and inode go */
int node_delete(struct ext4_node *n);

/* ---- extent.c ---- */

enum extent_state { EXTENT_HOLE, EXTENT_UNWRITTEN, EXTENT_WRITTEN };
struct extent {
    uint64_t block; /* of the file */
    uint64_t count; /* of a hole: to the next extent, or UINT32_MAX behind the last */
    uint64_t disk;
    enum extent_state state;
};
struct extent_level {
    struct buf *buf; /* NULL: the inode itself */
    struct ext4_extent_header *header;
    uint32_t at; /* index of the entry taken */
};
struct extent_path {
    struct extent_level level[EXTENT_DEPTH_MAX + 1];
    uint32_t depth;
};
#define EXTENT_BLOCK_MAX 0xfffffffeu

void extent_init_root(struct ext4_node *n);
/* What is at a block of the file. */
int extent_map(struct ext4_node *n, uint64_t block, struct extent *out);
/*
 * The way to the leaf entry at or before `block`; level[depth].at is UINT32_MAX when there is none.
 */
int extent_find(struct ext4_node *n, uint64_t block, struct extent_path *p);
void extent_path_put(struct extent_path *p);
struct ext4_extent *extent_entries(struct ext4_extent_header *h);
struct ext4_extent_index *extent_indexes(struct ext4_extent_header *h);
uint32_t extent_count(const struct ext4_extent *e);
uint64_t extent_disk(const struct ext4_extent *e);
bool extent_unwritten(const struct ext4_extent *e);

/* ---- extent_change.c; in a transaction; the inode is written by the caller ---- */

/* into a hole; count at most EXTENT_LEN_MAX - 1 */
int extent_insert(struct ext4_node *n, uint64_t block, uint64_t disk, uint32_t count,
                  bool unwritten);
/* blocks [from, end) become a hole and are freed; tx_more() in between */
int extent_remove(struct ext4_node *n, uint64_t from, uint64_t end);
/* of one unwritten extent */
int extent_convert(struct ext4_node *n, uint64_t block, uint32_t count);

/* ---- pages.c ---- */

struct page {
    struct ext4_node *node;
    uint64_t index;
    uint8_t *data; /* NULL: it is in the node's store, where a fault brings it */
    uint8_t dirty; /* a bit for each block */
    bool valid;
    bool hidden; /* prepared in the store: nobody finds it there, nor at page_bytes() */
    bool shared; /* users of the store may write it */
    uint32_t pins;
    struct page_read *reading; /* it is on its way: pinned, not valid */
    struct page *hash_next;
    struct page *newer, *older; /* of those that are not dirty */
    struct page *node_next, **node_link;
};

static inline uint8_t *page_bytes(struct page *p)
{
    return p->data ? p->data : p->node->store->ops->at(p->node->store, p->index);
}

int pages_init(struct ext4 *fs);
void pages_free(struct ext4 *fs);
/* The page, read if need be; pinned until page_put(). */
int page_get(struct ext4_node *n, uint64_t index, struct page **out);
/* the page, if it is there and valid; page_lookup(): or not valid */
struct page *page_find(struct ext4_node *n, uint64_t index);
/* It is valid, and to be used: not hidden any more, nor are those behind it. */
void page_show(struct page *p);
struct page *page_lookup(struct ext4_node *n, uint64_t index);
void page_put(struct page *p);
/*
 * As page_get(), for who writes the page from its first byte on: a page behind the end of the file
 * is not zeroed, and is not valid before page_filled() tells how many bytes of it were written.
 */
int page_get_to_fill(struct ext4_node *n, uint64_t index, struct page **out);
void page_filled(struct page *p, uint32_t bytes);
/* its blocks that [offset, offset + size) touches are to be written */
void page_dirty(struct page *p, uint32_t offset, uint32_t size);
/* drops whole pages from byte `from` to `end`, and zeroes their parts */
void pages_drop(struct ext4_node *n, uint64_t from, uint64_t end);
void page_clean(struct page *p); /* nothing of it is to be written any more */
/* Drops up to `count` clean pages, oldest first; how many. */
uint32_t pages_evict(struct ext4 *fs, uint32_t count);
/* A valid page into its node's store; it must be pinned, since others may have to leave for it. */
int page_to_store(struct page *p);
/* Valid pages that are adjacent, also in memory; no other leaves for them. All of them or none. */
int pages_to_store(struct page **run, uint32_t count);
/* one that is not here; NULL: no memory */
struct page *page_new(struct ext4_node *n, uint64_t index);
struct page *page_new_hidden(struct ext4_node *n, uint64_t index); /* to be prepared */
/* Adds the reads of a page's blocks; what is not on the disk is zeroed. */
int page_read_blocks(struct page *p, struct block_batch *batch);
/* After them: what is behind the end is nobody's. */
void page_read_done(struct page *p);

/* ---- write_back.c; the lock is held from begin to end ---- */

/* Hands the dirty pages to the device, after a commit if they must not come before it. */
int pages_write_begin(struct ext4_node *n);
/* the same without that commit: for the commit itself */
int pages_write_now(struct ext4_node *n);
/* All that was begun is done; no flush. A commit ends it, too. */
void pages_write_end(struct ext4 *fs);
/* Ends it by a flush, or by a commit if one is asked for and there is something to commit. */
int pages_durable(struct ext4 *fs, bool commit);
/* begin and end of one: its error */
int pages_write(struct ext4_node *n);
/* Begins all. One file's error keeps no other from the disk; at the end it is fs->write_error. */
int pages_write_all(struct ext4 *fs);

/* ---- ahead.c ---- */

/*
 * Somebody wants the pages [index, end). They are asked for unless it is one page that nobody could
 * expect; and more behind them. on: who has read what is before them goes on.
 */
void ahead_expect(struct ext4_node *n, uint64_t index, uint64_t end, bool on);
/* Asks for those of [first, end) that are not here. */
void ahead_bring(struct ext4_node *n, uint64_t first, uint64_t end);
void ahead_wait(struct page *p); /* a pinned page is not on its way any more */
/*
 * Waits for a page that is on its way, without the lock: everything may have changed after it.
 * False: it is not.
 */
bool ahead_wait_outside(struct ext4_node *n, uint64_t index);
void ahead_end(struct ext4_node *n); /* nothing is on its way to the node any more */

/* ---- data.c ---- */

/* what can be said against changing its bytes */
int data_writable(const struct ext4_node *n);
/* What goes before each transaction that writes bytes. */
int data_prepare(struct ext4_node *n);
/*
 * In a transaction: bytes of [offset, offset + size) that have a place on the disk after this;
 * whoever calls fills their pages.
 */
int64_t data_ensure(struct ext4_node *n, uint64_t offset, uint64_t size);
#define DATA_CREDITS TX_CREDITS_MAX
/* Inline data of a file into its first page. */
int data_read_inline(struct ext4_node *n, uint8_t *page);

/* ext4_write() inside of the lock */
int64_t data_put(struct ext4_node *n, uint64_t offset, uint64_t size, ext4_mover *move,
                 void *context);
int data_cut(struct ext4_node *n, uint64_t size); /* truncate, in a transaction of its own */
/* the contents of a new file, at most one block; in a transaction, with node_write() after */
int data_store(struct ext4_node *n, const void *bytes, uint32_t size);

/* ---- reserve.c ---- */

/* What is kept for the node is anybody's again; how much it was. */
uint64_t reserve_give_up(struct ext4_node *n);

/* ---- hash.c ---- */

struct dir_hash {
    uint32_t major, minor;
};
/* version: HASH_*; false: unknown */
bool dir_hash(const struct ext4 *fs, uint32_t version, const char *name, size_t length,
              struct dir_hash *out);

/* ---- dir.c ---- */

struct dir_place {
    struct buf *buf;
    uint32_t offset;
    struct ext4_dirent *entry;  /* in it */
    struct ext4_dirent *before; /* the entry before in the block, or NULL */
};

int dir_block(struct ext4_node *dir, uint64_t block, struct buf **out); /* of entries, checked */
/* any directory block, and where it is; unchecked */
int dir_block_any(struct ext4_node *dir, uint64_t block, struct buf **out);
uint32_t dir_block_count(const struct ext4_node *dir);
uint32_t dir_space(const struct ext4 *fs); /* bytes for entries in a block */
/* The entry at an offset, if it is whole and inside of `space`; else NULL. */
struct ext4_dirent *dir_entry_at(uint8_t *block, uint32_t offset, uint32_t space);
uint32_t dirent_size(size_t name_length);
int dir_find(struct ext4_node *dir, const char *name, size_t length, struct dir_place *out);
int dir_find_in_block(struct buf *b, uint32_t space, const char *name, size_t length,
                      struct dir_place *out);
int dir_add(struct ext4_node *dir, const char *name, size_t length, uint32_t ino, uint32_t type);
/* room in one block; ENOSPC: not there */
int dir_add_in_block(struct ext4_node *dir, struct buf *b, const char *name, size_t length,
                     uint32_t ino, uint32_t type);
int dir_remove(struct ext4_node *dir, struct dir_place *at);
int dir_change(struct ext4_node *dir, struct dir_place *at, uint32_t ino, uint32_t type);
int dir_make(struct ext4_node *dir, uint32_t parent); /* "." and ".." */
int dir_append_block(struct ext4_node *dir, struct buf **out, uint32_t *block);
void dir_fill_tail(struct ext4_node *dir, uint8_t *block);
int dir_is_empty(struct ext4_node *dir); /* 1: it is */
uint32_t dir_type(uint32_t mode);        /* file_type of entries */

/* ---- htree.c ---- */

bool htree_usable(const struct ext4_node *dir);
int htree_find(struct ext4_node *dir, const char *name, size_t length, struct dir_place *out);
int htree_add(struct ext4_node *dir, const char *name, size_t length, uint32_t ino, uint32_t type);
int htree_convert(
    struct ext4_node *dir); /* one full block of entries becomes an indexed directory */
/* The leaf that has `hash`, and from which hash on the next one begins (0: it is the last). */
int htree_leaf(struct ext4_node *dir, uint32_t hash, uint32_t *block, uint32_t *next_hash);
int htree_version(struct ext4_node *dir, uint32_t *version);

#endif
