/* SPDX-License-Identifier: MIT */
/*
 * What is on the disk: the structures of "ext4 Data Structures and Algorithms" (kernel
 * documentation). Little-endian, as we are; the journal's are big-endian and in journal_format.h.
 */
#ifndef EXT4_FORMAT_H
#define EXT4_FORMAT_H

#include <stdint.h>

#define EXT4_MAGIC     0xef53u
#define EXT4_ROOT_INO  2u
#define EXT4_NAME_MAX  255u
#define EXT4_LINK_MAX  65000u
#define EXT4_SB_OFFSET 1024u
#define EXT4_N_BLOCKS  15u /* 4-byte words of i_block */

#define COMPAT_HAS_JOURNAL 0x4u
#define COMPAT_EXT_ATTR    0x8u
#define COMPAT_DIR_INDEX   0x20u

#define INCOMPAT_FILETYPE    0x2u
#define INCOMPAT_RECOVER     0x4u
#define INCOMPAT_EXTENTS     0x40u
#define INCOMPAT_64BIT       0x80u
#define INCOMPAT_FLEX_BG     0x200u
#define INCOMPAT_CSUM_SEED   0x2000u
#define INCOMPAT_INLINE_DATA 0x8000u

#define RO_SPARSE_SUPER  0x1u
#define RO_LARGE_FILE    0x2u
#define RO_HUGE_FILE     0x8u
#define RO_GDT_CSUM      0x10u
#define RO_DIR_NLINK     0x20u
#define RO_EXTRA_ISIZE   0x40u
#define RO_METADATA_CSUM 0x400u

#define STATE_CLEAN 1u
#define STATE_ERROR 2u

#define FLAG_UNSIGNED_HASH 2u

struct ext4_super {
    uint32_t s_inodes_count, s_blocks_count_lo, s_r_blocks_count_lo, s_free_blocks_count_lo;
    uint32_t s_free_inodes_count, s_first_data_block, s_log_block_size, s_log_cluster_size;
    uint32_t s_blocks_per_group, s_clusters_per_group, s_inodes_per_group, s_mtime;
    uint32_t s_wtime;
    uint16_t s_mnt_count, s_max_mnt_count, s_magic, s_state, s_errors, s_minor_rev_level;
    uint32_t s_lastcheck, s_checkinterval, s_creator_os, s_rev_level;
    uint16_t s_def_resuid, s_def_resgid;
    uint32_t s_first_ino;
    uint16_t s_inode_size, s_block_group_nr;
    uint32_t s_feature_compat, s_feature_incompat, s_feature_ro_compat;
    uint8_t s_uuid[16];
    char s_volume_name[16], s_last_mounted[64];
    uint32_t s_algorithm_usage_bitmap;
    uint8_t s_prealloc_blocks, s_prealloc_dir_blocks;
    uint16_t s_reserved_gdt_blocks;
    uint8_t s_journal_uuid[16];
    uint32_t s_journal_inum, s_journal_dev, s_last_orphan, s_hash_seed[4];
    uint8_t s_def_hash_version, s_jnl_backup_type;
    uint16_t s_desc_size;
    uint32_t s_default_mount_opts, s_first_meta_bg, s_mkfs_time, s_jnl_blocks[17];
    uint32_t s_blocks_count_hi, s_r_blocks_count_hi, s_free_blocks_count_hi;
    uint16_t s_min_extra_isize, s_want_extra_isize;
    uint32_t s_flags;
    uint8_t rest_1[0x175 - 0x164];
    uint8_t s_checksum_type;
    uint8_t rest_2[0x248 - 0x176];
    uint32_t s_overhead_clusters;
    uint8_t rest_3[0x270 - 0x24c];
    uint32_t s_checksum_seed;
    uint8_t rest_4[0x3fc - 0x274];
    uint32_t s_checksum;
};
_Static_assert(sizeof(struct ext4_super) == 1024, "the super block");

struct ext4_group_desc {
    uint32_t bg_block_bitmap_lo, bg_inode_bitmap_lo, bg_inode_table_lo;
    uint16_t bg_free_blocks_lo, bg_free_inodes_lo, bg_used_dirs_lo, bg_flags;
    uint32_t bg_exclude_bitmap_lo;
    uint16_t bg_block_bitmap_csum_lo, bg_inode_bitmap_csum_lo, bg_itable_unused_lo, bg_checksum;
    /* with 64BIT */
    uint32_t bg_block_bitmap_hi, bg_inode_bitmap_hi, bg_inode_table_hi;
    uint16_t bg_free_blocks_hi, bg_free_inodes_hi, bg_used_dirs_hi, bg_itable_unused_hi;
    uint32_t bg_exclude_bitmap_hi;
    uint16_t bg_block_bitmap_csum_hi, bg_inode_bitmap_csum_hi;
    uint32_t bg_reserved;
};
_Static_assert(sizeof(struct ext4_group_desc) == 64, "a group descriptor");

#define BG_INODE_UNINIT 1u
#define BG_BLOCK_UNINIT 2u
#define BG_INODE_ZEROED 4u

/* The part of an inode that has names here; extended attributes follow behind i_extra_isize. */
struct ext4_inode {
    uint16_t i_mode, i_uid_lo;
    uint32_t i_size_lo, i_atime, i_ctime, i_mtime, i_dtime;
    uint16_t i_gid_lo, i_links_count;
    uint32_t i_blocks_lo, i_flags, i_version;
    uint32_t i_block[EXT4_N_BLOCKS];
    uint32_t i_generation, i_file_acl_lo, i_size_hi, i_obso_faddr;
    uint16_t i_blocks_hi, i_file_acl_hi, i_uid_hi, i_gid_hi, i_checksum_lo, i_reserved;
    /* with inodes of more than 128 bytes, as far as i_extra_isize says */
    uint16_t i_extra_isize, i_checksum_hi;
    uint32_t i_ctime_extra, i_mtime_extra, i_atime_extra, i_crtime, i_crtime_extra;
    uint32_t i_version_hi, i_projid;
};
_Static_assert(sizeof(struct ext4_inode) == 160, "an inode");
#define EXT4_OLD_INODE 128u

#define INODE_IMMUTABLE   0x10u
#define INODE_APPEND      0x20u
#define INODE_INDEX       0x1000u
#define INODE_HUGE_FILE   0x40000u
#define INODE_EXTENTS     0x80000u
#define INODE_INLINE_DATA 0x10000000u

struct ext4_extent_header {
    uint16_t eh_magic, eh_entries, eh_max, eh_depth;
    uint32_t eh_generation;
};
#define EXTENT_MAGIC     0xf30au
#define EXTENT_DEPTH_MAX 5u
struct ext4_extent {
    uint32_t ee_block;
    uint16_t ee_len, ee_start_hi;
    uint32_t ee_start_lo;
};
struct ext4_extent_index {
    uint32_t ei_block, ei_leaf_lo;
    uint16_t ei_leaf_hi, ei_unused;
};
/* longer: the blocks are not written yet, and the length is what is above */
#define EXTENT_LEN_MAX 32768u

struct ext4_dirent {
    uint32_t inode;
    uint16_t rec_len;
    uint8_t name_len, file_type;
    char name[];
};
#define DIRENT_TAIL_SIZE 12u
#define DIRENT_TAIL_TYPE 0xdeu
struct ext4_dirent_tail {
    uint32_t zero;
    uint16_t rec_len;
    uint8_t zero_name_len, type;
    uint32_t checksum;
};

struct ext4_dx_entry {
    uint32_t hash, block; /* the first one's hash is struct ext4_dx_count */
};
struct ext4_dx_count {
    uint16_t limit, count;
};
struct ext4_dx_info { /* of the root, behind "." and ".." */
    uint32_t zero;
    uint8_t hash_version, info_length, indirect_levels, unused_flags;
};
#define DX_ROOT_INFO 24u /* offset in the root block */
#define DX_NODE      8u  /* entries of an inner block: behind one empty dirent */
enum { HASH_LEGACY, HASH_HALF_MD4, HASH_TEA };

struct ext4_xattr_header {
    uint32_t h_magic, h_refcount, h_blocks, h_hash, h_checksum, h_reserved[3];
};
#define XATTR_MAGIC 0xea020000u
/* sorted in a block, not in an inode; four zero bytes end them */
struct ext4_xattr_entry {
    uint8_t e_name_len, e_name_index;
    uint16_t e_value_offs; /* from the first entry in an inode, from the start of a block */
    uint32_t e_value_inum, e_value_size, e_hash;
};

#endif
