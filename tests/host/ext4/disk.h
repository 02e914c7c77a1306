/* SPDX-License-Identifier: MIT */
/*
 * A disk for tests, in memory: completes requests in random order, later; keeps a log of writes and
 * flushes from which it can make what a power cut would leave; fails requests on demand.
 */
#ifndef TEST_EXT4_DISK_H
#define TEST_EXT4_DISK_H

#include "../../../sysio/block/block.h"
#include "../../../sysio/fs/ext4/ext4.h"

struct disk_write {
    uint64_t offset;
    uint32_t size; /* 0: a flush */
    uint8_t *data;
    uint32_t durable; /* of a flush: writes before this entry are on the disk */
};

struct disk {
    struct block_device device;
    uint8_t *bytes;
    uint8_t *start; /* the bytes when recording began */
    struct block_request *pending[4096];
    uint32_t pending_count;
    bool recording;
    struct disk_write *log;
    uint32_t log_count, log_room;
    uint64_t fail_after; /* requests until one fails; 0: none does */
    bool fail_all;       /* and all behind it */
    /* the next request that is one of these fails; NULL: none does */
    bool (*fail_one)(const struct block_request *r);
};

extern uint64_t test_seed;
uint32_t random_below(uint32_t n);

/* Makes an image with mke2fs and loads it. */
void disk_make(struct disk *d, uint64_t size, const char *mke2fs_options);
void disk_load(struct disk *d, const char *path);
void disk_save(const struct disk *d, const char *path);
void disk_free(struct disk *d);
void disk_record(struct disk *d);
/* The disk after a power cut when `count` log entries had happened, into out (a loaded disk). */
void disk_cut(const struct disk *d, uint32_t count, struct disk *out);
/* Runs function(arg) in a fiber to its end, serving the disks' requests. */
void disk_run(struct disk *d, void (*function)(void *), void *arg);
void disk_run_two(struct disk *d, struct disk *other, void (*function)(void *), void *arg);
/* e2fsck -fn finds nothing; else the test ends, and the image is kept. */
void disk_check(const struct disk *d, const char *what);
const char *test_file(const char *name); /* in a folder of this test */
/* ends the test */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void quiet_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct timespec test_now(void);
extern bool verbose;

#endif
