/* SPDX-License-Identifier: MIT */
/*
 * Transactions, and their way into the journal.
 *
 * Steps (tx_begin .. tx_end) join the running transaction. A commit writes, in this order: the data
 * of files that got blocks (invariant 4), and with it descriptor, revoke and metadata blocks to the
 * log; a flush; the commit block; a flush. After that the blocks are dirty, and will be written to
 * their places by a checkpoint, which happens when the log has no room for one more transaction of
 * full size, between transactions: so a block in its place never has uncommitted changes, and the
 * log is empty after each checkpoint.
 */
#include "journal_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* descriptor, revoke and commit blocks beside the metadata of one transaction */
#define TX_OVERHEAD(max) ((max) / 16 + 16)

uint64_t journal_disk_block(const struct journal *j, uint32_t block)
{
    uint32_t low = 0, high = j->run_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct journal_run *r = &j->runs[middle];
        if (block < r->first)
            high = middle;
        else if (block - r->first >= r->count)
            low = middle + 1;
        else
            return r->disk + (block - r->first);
    }
    return 0;
}

uint32_t journal_next(const struct journal *j, uint32_t block)
{
    return block + 1 == j->end ? j->first : block + 1;
}

uint32_t journal_super_checksum(const struct jb_super *s)
{
    struct jb_super copy = *s;
    copy.checksum = 0;
    return be32(crc32c(~0u, &copy, sizeof copy));
}

int journal_write_super(struct ext4 *fs, uint32_t start, uint32_t sequence)
{
    struct journal *j = fs->journal;
    j->super->start = be32(start);
    j->super->sequence = be32(sequence);
    if (j->features & (JFEATURE_CSUM_V2 | JFEATURE_CSUM_V3))
        j->super->checksum = journal_super_checksum(j->super);
    int error = block_transfer(fs->device, BLOCK_WRITE, journal_disk_block(j, 0) << fs->block_bits,
                               j->super, fs->block_size);
    return error ? error : block_flush(fs->device);
}

/* ---- open and close ---- */

static int map_runs(struct ext4_node *n, struct journal *j, uint32_t length)
{
    uint32_t room = 0;
    for (uint32_t at = 0; at < length;) {
        struct extent e;
        int error = extent_map(n, at, &e);
        if (error)
            return error;
        if (e.state != EXTENT_WRITTEN)
            return ext4_damage(n->fs, "a hole in the journal", at);
        if (j->run_count == room) {
            room = room ? room * 2 : 16;
            struct journal_run *runs = realloc(j->runs, room * sizeof *runs);
            if (!runs)
                return -ENOMEM;
            j->runs = runs;
        }
        uint32_t count = e.count < length - at ? (uint32_t)e.count : length - at;
        j->runs[j->run_count++] = (struct journal_run){at, count, e.disk};
        at += count;
    }
    return 0;
}

static int super_check(struct ext4 *fs, struct journal *j, uint32_t file_blocks)
{
    const struct jb_super *s = j->super;
    uint32_t known = JFEATURE_REVOKE | JFEATURE_64BIT | JFEATURE_CSUM_V2 | JFEATURE_CSUM_V3;
    uint32_t type = be32(s->header.type);
    if (be32(s->header.magic) != JOURNAL_MAGIC || (type != JB_SUPER_V2 && type != JB_SUPER_V1) ||
        be32(s->block_size) != fs->block_size)
        return ext4_damage(fs, "the journal's super block", 0);
    j->features = type == JB_SUPER_V2 ? be32(s->feature_incompat) : 0;
    if (j->features & ~known || (type == JB_SUPER_V2 && s->feature_ro_compat)) {
        fs->options.log("the journal has unknown features (%x)", (unsigned)j->features);
        return -EOPNOTSUPP;
    }
    if (j->features & (JFEATURE_CSUM_V2 | JFEATURE_CSUM_V3) &&
        (s->checksum_type != JCHECKSUM_CRC32C || s->checksum != journal_super_checksum(s)))
        return ext4_damage(fs, "the checksum of the journal's super block", 0);
    j->first = be32(s->first);
    j->end = be32(s->max_length);
    if (j->end > file_blocks || j->first == 0 || j->first >= j->end || j->end - j->first < 256 ||
        (s->start && (be32(s->start) < j->first || be32(s->start) >= j->end)))
        return ext4_damage(fs, "the journal's size", j->end);
    return 0;
}

int journal_open(struct ext4 *fs)
{
    struct journal *j = calloc(1, sizeof *j);
    struct ext4_node *n;
    if (!j)
        return -ENOMEM;
    fs->journal = j;
    j->super = calloc(1, fs->block_size);
    if (!j->super)
        return -ENOMEM;
    int error = node_get(fs, fs->super->s_journal_inum, &n);
    if (error)
        return error;
    uint64_t blocks = n->size >> fs->block_bits;
    if (node_type(n) != 0100000 || blocks > UINT32_MAX / 2)
        error = ext4_damage(fs, "the journal's inode", n->ino);
    if (!error)
        error = map_runs(n, j, (uint32_t)blocks);
    node_put(n);
    if (!error && !blocks)
        error = ext4_damage(fs, "the journal is empty", 0);
    if (!error)
        error = block_transfer(fs->device, BLOCK_READ, journal_disk_block(j, 0) << fs->block_bits,
                               j->super, fs->block_size);
    if (!error)
        error = super_check(fs, j, (uint32_t)blocks);
    j->csum_seed = crc32c(~0u, j->super->uuid, 16);
    j->sequence = be32(j->super->sequence);
    return error;
}

void journal_close(struct ext4 *fs)
{
    struct journal *j = fs->journal;
    if (!j)
        return;
    free(j->runs);
    free(j->super);
    free(j->tx);
    free(j->revoked);
    free(j);
    fs->journal = NULL;
}

void journal_start(struct ext4 *fs)
{
    struct journal *j = fs->journal;
    uint32_t size = j->end - j->first;
    j->tx_max = size / 4 < fs->buf_max / 2 ? size / 4 : fs->buf_max / 2;
    j->tx_max = j->tx_max > TX_CREDITS_MAX ? j->tx_max : TX_CREDITS_MAX;
    j->reserve = j->tx_max + TX_OVERHEAD(j->tx_max);
    j->head = j->first;
    j->free = size - 1;
    j->super->header.type = be32(JB_SUPER_V2);
    j->features |= JFEATURE_REVOKE;
    if (fs->has_64bit)
        j->features |= JFEATURE_64BIT;
    if (fs->has_csum) {
        j->features = (j->features & ~JFEATURE_CSUM_V2) | JFEATURE_CSUM_V3;
        j->super->checksum_type = JCHECKSUM_CRC32C;
        j->super->feature_compat = 0; /* the checksums of old */
    }
    j->super->feature_incompat = be32(j->features);
}

/* ---- steps ---- */

bool tx_running(const struct ext4 *fs)
{
    return fs->journal && (fs->journal->tx_count || fs->journal->revoked_count);
}

static int can_write(const struct ext4 *fs)
{
    return fs->broken ? -EIO : fs->read_only ? -EROFS : 0;
}

/* Fewer blocks than this to give out: a commit, if it makes more of them. */
#define BLOCKS_LOW 1024u

/* Room for `credits` more in the running transaction, else a new one. */
static int make_room(struct ext4 *fs, uint32_t credits)
{
    struct journal *j = fs->journal;
    bool held = fs->held_blocks && fs->free_blocks - fs->held_blocks < BLOCKS_LOW;
    if (!held && j->tx_count + credits <= j->tx_max && j->revoked_count <= j->tx_max * 2)
        return 0;
    return journal_commit(fs);
}

int tx_begin(struct ext4 *fs, uint32_t credits)
{
    struct journal *j = fs->journal;
    int error = can_write(fs);
    if (!error)
        error = make_room(fs, credits);
    if (error)
        return error;
    j->in_step = true;
    j->changed = false;
    return 0;
}

int tx_end(struct ext4 *fs, int error)
{
    struct journal *j = fs->journal;
    j->in_step = false;
    if ((error == -EIO || error == -ENOMEM) && j->changed) /* half of it must not be committed */
        ext4_damage(fs, "a change failed half way", 0);
    return error ? error : fs->broken ? -EIO : 0;
}

int tx_more(struct ext4 *fs, uint32_t credits)
{
    struct journal *j = fs->journal;
    j->in_step = false;
    int error = can_write(fs);
    if (!error)
        error = make_room(fs, credits);
    j->in_step = true;
    if (!error)
        j->changed = false;
    return error;
}

int journal_change(struct ext4 *fs, struct buf *b)
{
    struct journal *j = fs->journal;
    j->changed = true;
    if (b->logged)
        return 0;
    if (j->tx_count == j->tx_room) {
        uint32_t room = j->tx_room ? j->tx_room * 2 : 64;
        struct buf **tx = realloc(j->tx, room * sizeof(struct buf *));
        if (!tx)
            return ext4_damage(fs, "no memory for a transaction of blocks", room);
        j->tx = tx;
        j->tx_room = room;
    }
    j->tx[j->tx_count++] = b;
    b->logged = true;
    return 0;
}

int journal_revoke(struct ext4 *fs, uint64_t block)
{
    struct journal *j = fs->journal;
    if (j->revoked_count == j->revoked_room) {
        uint32_t room = j->revoked_room ? j->revoked_room * 2 : 64;
        uint64_t *revoked = realloc(j->revoked, room * sizeof *revoked);
        if (!revoked)
            return ext4_damage(fs, "no memory for revoked blocks", room);
        j->revoked = revoked;
        j->revoked_room = room;
    }
    j->revoked[j->revoked_count++] = block;
    return 0;
}

/* ---- commit ---- */

/* The blocks of one transaction on their way into the log. */
struct commit {
    struct ext4 *fs;
    struct block_batch batch;
    uint8_t *memory; /* descriptor, revoke and escaped blocks; freed at the end */
    uint32_t used, room;
};

static uint8_t *commit_block(struct commit *c)
{
    if (c->used == c->room)
        return NULL;
    uint8_t *block = c->memory + ((size_t)c->used++ << c->fs->block_bits);
    memset(block, 0, c->fs->block_size);
    return block;
}

static void log_write(struct commit *c, void *data)
{
    struct journal *j = c->fs->journal;
    block_batch_add(&c->batch, BLOCK_WRITE, journal_disk_block(j, j->head) << c->fs->block_bits,
                    data, c->fs->block_size);
    j->head = journal_next(j, j->head);
    j->free--;
}

static void header_fill(struct ext4 *fs, void *block, uint32_t type)
{
    *(struct jb_header *)block =
        (struct jb_header){be32(JOURNAL_MAGIC), be32(type), be32(fs->journal->sequence)};
}

/* The checksum in the last four bytes of descriptor and revoke blocks. */
static void tail_fill(struct ext4 *fs, uint8_t *block)
{
    if (!(fs->journal->features & JFEATURE_CSUM_V3))
        return;
    uint32_t crc = be32(crc32c(fs->journal->csum_seed, block, fs->block_size));
    memcpy(block + fs->block_size - 4, &crc, 4);
}

static uint32_t tail_size(const struct ext4 *fs)
{
    return fs->journal->features & JFEATURE_CSUM_V3 ? 4 : 0;
}

static uint32_t tag_size(const struct journal *j)
{
    return j->features & JFEATURE_CSUM_V3 ? 16 : j->features & JFEATURE_64BIT ? 12 : 8;
}

static uint32_t tag_fill(struct ext4 *fs, uint8_t *at, uint64_t block, uint32_t flags,
                         const uint8_t *data)
{
    struct journal *j = fs->journal;
    uint32_t sequence = be32(j->sequence);
    if (j->features & JFEATURE_CSUM_V3) {
        uint32_t crc = crc32c(crc32c(j->csum_seed, &sequence, 4), data, fs->block_size);
        struct jb_tag3 t = {be32((uint32_t)block), be32(flags), be32((uint32_t)(block >> 32)),
                            be32(crc)};
        memcpy(at, &t, sizeof t);
    } else {
        struct jb_tag t = {be32((uint32_t)block), 0, __builtin_bswap16((uint16_t)flags),
                           be32((uint32_t)(block >> 32))};
        memcpy(at, &t, tag_size(j));
    }
    if (!(flags & TAG_SAME_UUID)) {
        memset(at + tag_size(j), 0, 16);
        return tag_size(j) + 16;
    }
    return tag_size(j);
}

#define TAGS_MAX (PAGE_BYTES / 8u) /* in a block: each has 8 bytes at least */

/*
 * One descriptor block and the blocks that it describes, from tx[at] on: how many. They are
 * adjacent, and so one request if they are few.
 */
static uint32_t write_described(struct commit *c, uint32_t at)
{
    struct ext4 *fs = c->fs;
    struct journal *j = fs->journal;
    uint8_t *descriptor = commit_block(c), *described[TAGS_MAX];
    uint32_t end = fs->block_size - tail_size(fs), offset = sizeof(struct jb_header), n = 0;
    header_fill(fs, descriptor, JB_DESCRIPTOR);
    for (bool last = false; !last; n++) {
        struct buf *b = j->tx[at + n];
        uint8_t *data = b->data;
        uint32_t flags = n ? TAG_SAME_UUID : 0, magic = be32(JOURNAL_MAGIC);
        if (!memcmp(data, &magic, 4)) {
            data = commit_block(c);
            memcpy(data, b->data, fs->block_size);
            memset(data, 0, 4);
            flags |= TAG_ESCAPED;
        }
        uint32_t need = tag_size(j) + 16;
        last = at + n + 1 == j->tx_count || offset + need + tag_size(j) > end;
        flags |= last ? TAG_LAST : 0;
        offset += tag_fill(fs, descriptor + offset, b->block, flags, data);
        described[n] = data;
    }
    tail_fill(fs, descriptor);
    log_write(c, descriptor);
    for (uint32_t i = 0; i < n; i++)
        log_write(c, described[i]);
    return n;
}

static uint32_t write_revoked(struct commit *c, uint32_t at)
{
    struct ext4 *fs = c->fs;
    struct journal *j = fs->journal;
    uint8_t *block = commit_block(c);
    struct jb_revoke *r = (struct jb_revoke *)block;
    uint32_t size = j->features & JFEATURE_64BIT ? 8 : 4, offset = sizeof *r, n = 0;
    header_fill(fs, block, JB_REVOKE);
    for (; at + n < j->revoked_count && offset + size <= fs->block_size - tail_size(fs); n++) {
        uint64_t wide = __builtin_bswap64(j->revoked[at + n]);
        uint32_t narrow = be32((uint32_t)j->revoked[at + n]);
        memcpy(block + offset, size == 8 ? (void *)&wide : &narrow, size);
        offset += size;
    }
    r->count = be32(offset);
    tail_fill(fs, block);
    log_write(c, block);
    return n;
}

static int write_commit(struct commit *c)
{
    struct ext4 *fs = c->fs;
    struct journal *j = fs->journal;
    uint8_t *block = commit_block(c);
    struct jb_commit *record = (struct jb_commit *)block;
    struct timespec now = fs->options.now();
    header_fill(fs, block, JB_COMMIT);
    record->seconds = __builtin_bswap64((uint64_t)now.tv_sec);
    record->nanoseconds = be32((uint32_t)now.tv_nsec);
    if (j->features & JFEATURE_CSUM_V3)
        record->checksum[0] = be32(crc32c(j->csum_seed, block, fs->block_size));
    block_batch_begin(&c->batch, fs->device);
    log_write(c, block);
    int error = block_batch_wait(&c->batch);
    return error ? error : block_flush(fs->device);
}

/* Those that were freed again are not written anywhere. */
static void drop_forgotten(struct ext4 *fs)
{
    struct journal *j = fs->journal;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < j->tx_count; i++) {
        struct buf *b = j->tx[i];
        if (!b->forgotten) {
            j->tx[kept++] = b;
            continue;
        }
        b->forgotten = false;
        b->seal.kind = KIND_NONE;
        buf_set_dirty(b, false);
        buf_forget(fs, b->block);
    }
    j->tx_count = kept;
}

static int write_log(struct ext4 *fs)
{
    struct journal *j = fs->journal;
    struct commit c = {.fs = fs, .room = 4 + j->tx_count / 8 + j->revoked_count / 64};
    for (uint32_t i = 0; i < j->tx_count; i++) {
        uint32_t magic = be32(JOURNAL_MAGIC);
        c.room += !memcmp(j->tx[i]->data, &magic, 4);
    }
    c.memory = malloc((size_t)c.room << fs->block_bits);
    if (!c.memory)
        return -ENOMEM;
    block_batch_begin(&c.batch, fs->device);
    for (uint32_t i = 0; i < j->tx_count;)
        i += write_described(&c, i);
    for (uint32_t i = 0; i < j->revoked_count;)
        i += write_revoked(&c, i);
    int error = block_batch_wait(&c.batch);
    pages_write_end(fs); /* of an error is told who syncs the file */
    if (!error)
        error = block_flush(fs->device);
    if (!error)
        error = write_commit(&c);
    free(c.memory);
    return error;
}

/*
 * Before the first transaction: from here on a mount has to look into the log. Until then a disk
 * that is mounted looks as if it were not, since there is nothing to replay.
 */
static int log_begin(struct ext4 *fs)
{
    struct journal *j = fs->journal;
    if (j->begun)
        return 0;
    int error = super_mark(fs);
    if (!error)
        error = journal_write_super(fs, j->head, j->sequence);
    j->begun = !error;
    return error;
}

static void write_ordered(struct ext4 *fs)
{
    struct ext4_node *next;
    for (struct ext4_node *n = fs->dirty_nodes; n; n = next) {
        next = n->dirty_next;
        if (n->ordered == fs->tx_number)
            pages_write_now(n);
    }
}

static void committed(struct ext4 *fs)
{
    struct journal *j = fs->journal;
    for (uint32_t i = 0; i < j->tx_count; i++)
        buf_set_dirty(j->tx[i], true);
    fs->tx_number++;
    j->tx_count = j->revoked_count = 0;
    j->sequence++;
    blocks_release_held(fs);
}

static int checkpoint(struct ext4 *fs)
{
    struct journal *j = fs->journal;
    int error = cache_write(fs);
    if (!error)
        error = block_flush(fs->device);
    if (!error)
        error = journal_write_super(fs, j->head, j->sequence);
    if (!error)
        j->free = j->end - j->first - 1;
    return error;
}

static int fail(struct ext4 *fs, const char *what, int error)
{
    if (error) {
        fs->options.log("%s: error %d; no more changes", what, -error);
        fs->broken = fs->read_only = true;
    }
    return error;
}

int journal_commit(struct ext4 *fs)
{
    struct journal *j = fs->journal;
    if (fs->broken)
        return -EIO;
    if (!tx_running(fs))
        return 0;
    super_counts(fs);
    write_ordered(fs);
    drop_forgotten(fs);
    seal_all(fs);
    int error = log_begin(fs);
    if (!error)
        error = write_log(fs);
    pages_write_end(fs); /* if they are not yet */
    if (error)
        return fail(fs, "the journal cannot be written", error);
    committed(fs);
    if (j->free < j->reserve || cache_has_many_dirty(fs))
        return fail(fs, "metadata cannot be written", checkpoint(fs));
    return 0;
}

int journal_stop(struct ext4 *fs)
{
    struct journal *j = fs->journal;
    int error = journal_commit(fs);
    if (!error && !j->begun) /* but bytes may have been written in place */
        return block_flush(fs->device);
    if (!error)
        error = fail(fs, "metadata cannot be written", checkpoint(fs));
    if (!error)
        error = fail(fs, "the journal cannot be ended", journal_write_super(fs, 0, j->sequence));
    j->begun = false;
    return error;
}
