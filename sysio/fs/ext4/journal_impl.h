/* SPDX-License-Identifier: MIT */
/* The journal (jbd2) on the disk, big-endian, and in memory: for journal.c and recover.c. */
#ifndef EXT4_JOURNAL_IMPL_H
#define EXT4_JOURNAL_IMPL_H

#include "ext4_impl.h"

#define JOURNAL_MAGIC 0xc03b3998u

enum { JB_DESCRIPTOR = 1, JB_COMMIT, JB_SUPER_V1, JB_SUPER_V2, JB_REVOKE };

struct jb_header {
    uint32_t magic, type, sequence;
};

#define JFEATURE_REVOKE       0x1u
#define JFEATURE_64BIT        0x2u
#define JFEATURE_ASYNC_COMMIT 0x4u
#define JFEATURE_CSUM_V2      0x8u
#define JFEATURE_CSUM_V3      0x10u
#define JCHECKSUM_CRC32C      4u

struct jb_super {
    struct jb_header header;
    uint32_t block_size, max_length, first;
    uint32_t sequence, start;
    uint32_t error;
    uint32_t feature_compat, feature_incompat, feature_ro_compat;
    uint8_t uuid[16];
    uint32_t users, dynamic_super, max_transaction, max_trans_data;
    uint8_t checksum_type, pad_1[3];
    uint32_t fast_commit_blocks, head;
    uint32_t pad_2[40];
    uint32_t checksum;
    uint8_t user_ids[768];
};
_Static_assert(sizeof(struct jb_super) == 1024, "the journal's super block");

/* Tags of a descriptor block: with CSUM_V3, and without (then 8 bytes, or 12 with 64BIT). */
struct jb_tag3 {
    uint32_t block, flags, block_high, checksum;
};
struct jb_tag {
    uint32_t block;
    uint16_t checksum, flags;
    uint32_t block_high;
};
#define TAG_ESCAPED   1u
#define TAG_SAME_UUID 2u
#define TAG_LAST      8u

struct jb_commit {
    struct jb_header header;
    uint8_t checksum_type, checksum_size, pad[2];
    uint32_t checksum[8];
    uint64_t seconds;
    uint32_t nanoseconds;
} __attribute__((packed));

struct jb_revoke {
    struct jb_header header;
    uint32_t count; /* bytes used, with this header */
};

static inline uint32_t be32(uint32_t x)
{
    return __builtin_bswap32(x);
}

struct journal_run { /* adjacent blocks of the journal's file */
    uint32_t first, count;
    uint64_t disk;
};

struct journal {
    struct journal_run *runs;
    uint32_t run_count;
    uint32_t first, end; /* the log's blocks: [first, end) of the file */
    uint32_t csum_seed;
    uint32_t features;      /* incompatible */
    struct jb_super *super; /* a block's worth of memory */

    uint32_t sequence; /* of the running transaction */
    uint32_t head;     /* where it will be written */
    uint32_t free;     /* blocks of the log that hold nothing which is needed */
    uint32_t reserve;  /* invariant between steps: free is at least this */
    uint32_t tx_max;   /* blocks in one transaction */
    bool begun;        /* the disk says that there is a log: from the first commit on */

    /* the running transaction */
    bool in_step;
    bool changed; /* by the step */
    struct buf **tx;
    uint32_t tx_count, tx_room;
    uint64_t *revoked;
    uint32_t revoked_count, revoked_room;
};

uint64_t journal_disk_block(const struct journal *j, uint32_t block); /* 0: none */
uint32_t journal_super_checksum(const struct jb_super *s);
uint32_t journal_next(const struct journal *j, uint32_t block);
int journal_write_super(struct ext4 *fs, uint32_t start, uint32_t sequence);
/* Writes what the log has to its places; sets the sequence to go on with. */
int journal_replay(struct ext4 *fs);

#endif
