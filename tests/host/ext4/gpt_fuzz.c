/* SPDX-License-Identifier: MIT */
/*
 * Partition tables: those that sfdisk writes are read as it shows them, also when one of the two
 * copies is damaged; then random changes of a table, half of them with its checksums made right.
 * Whatever the table says, the partitions lie within the disk and apart from each other, requests
 * to one stay within it, and nothing outside of the disk is read (disk.c ends the test then).
 *
 * gpt_fuzz [ROUNDS [SEED]]
 */
#include "disk.h"

#include "../../../sysio/block/partition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE (4u << 20)

static const char script[] = "label: gpt\n"
                             "label-id: 11111111-2222-3333-4444-555555555555\n"
                             "first-lba: 34\n"
                             "start=64, size=64, type=21686148-6449-6E6F-744E-656564454649, "
                             "uuid=01234567-89AB-CDEF-0123-456789ABCDEF\n"
                             "start=128, size=1024, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n"
                             "start=2048, size=4096, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, "
                             "uuid=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n";

static struct disk disk;
static uint8_t good[SIZE];
static struct partition *parts;
static int count;

static void need(bool condition, const char *what)
{
    if (!condition)
        fail("gpt_fuzz: %s", what);
}

static void open_all(void *arg)
{
    (void)arg;
    count = partitions_open(&disk.device, &parts, quiet_log);
}

static void reopen(void)
{
    free(parts);
    disk_run(&disk, open_all, NULL);
}

static void write_first(void *arg)
{
    struct block_device *d = arg;
    static char sector[4096] = "the first sector";
    need(!block_transfer(d, BLOCK_WRITE, 0, sector, d->sector), "a write to a partition");
    need(block_transfer(d, BLOCK_WRITE, d->size, sector, d->sector) == -EIO, "a write behind it");
    need(block_transfer(d, BLOCK_READ, d->size - d->sector, sector, 2 * d->sector) == -EIO,
         "a read over its end");
}

static void check_good(const char *when)
{
    char id[GPT_GUID_TEXT];
    reopen();
    need(count == 3, when);
    static const struct {
        const char *name;
        uint64_t start, length;
    } wanted[3] = {{"test1", 64, 64}, {"test2", 128, 1024}, {"test3", 2048, 4096}};
    for (int i = 0; i < 3; i++) {
        need(!strcmp(parts[i].device.name, wanted[i].name), when);
        need(parts[i].entry.start == wanted[i].start * 512, when);
        need(parts[i].device.size == wanted[i].length * 512, when);
    }
    gpt_guid_text(parts[0].entry.id, id);
    need(!strcmp(id, "01234567-89ab-cdef-0123-456789abcdef"), id);
    gpt_guid_text(parts[2].entry.id, id);
    need(!strcmp(id, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"), id);
}

static void grow(void *arg)
{
    *(int *)arg = gpt_grow(&disk.device, parts[2].entry.id);
}

/* The disk becomes larger: the last partition, when it is the one meant, grows with it. */
static void check_growth(void)
{
    int grown = -1;
    char command[512];
    check_good("before it grows");
    disk_run(&disk, grow, &grown);
    need(grown == 0, "nothing to grow into");
    disk.bytes = realloc(disk.bytes, 2 * SIZE);
    memset(disk.bytes + SIZE, 0x5a, SIZE);
    disk.device.size = 2 * SIZE;
    parts[2].entry.id[0] ^= 1;
    disk_run(&disk, grow, &grown);
    need(grown == 0, "another partition's growth");
    parts[2].entry.id[0] ^= 1;
    disk_run(&disk, grow, &grown);
    need(grown == 1, "growth");
    disk_run(&disk, grow, &grown);
    need(grown == 0, "growth, again");
    reopen();
    need(count == 3 && parts[2].entry.start == 2048 * 512 && parts[0].device.size == 64 * 512,
         "the table of a grown disk");
    need(parts[2].device.size == 6u << 20, "the size of a grown partition");
    disk_save(&disk, test_file("grown"));
    snprintf(command, sizeof command,
             "PATH=$PATH:/sbin:/usr/sbin sfdisk -V %s | grep -q 'No errors detected'",
             test_file("grown"));
    need(!system(command), "sfdisk finds errors in a grown table");
    disk.bytes[512 + 60] ^= 1; /* the copy at the end is as good */
    reopen();
    need(count == 3 && parts[2].device.size == 6u << 20, "the copy of a grown table");
    disk.device.size = SIZE;
    memcpy(disk.bytes, good, SIZE);
}

static void check_guids(void)
{
    uint8_t guid[16], again[16];
    char text[GPT_GUID_TEXT];
    static const char *const wrong[] = {"",
                                        "01234567",
                                        "01234567-89ab-cdef-0123-456789abcde",
                                        "01234567-89ab-cdef-0123-456789abcdef0",
                                        "01234567-89ab-cdef-0123-456789abcdeg",
                                        "0123456789abcdef0123456789abcdef"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        need(!gpt_guid_parse(wrong[i], guid), wrong[i]);
    for (int i = 0; i < 16; i++)
        guid[i] = (uint8_t)random_below(256);
    gpt_guid_text(guid, text);
    need(gpt_guid_parse(text, again) && !memcmp(guid, again, 16), text);
}

static void load_good(void)
{
    const char *path = test_file("gpt");
    char command[512];
    FILE *f = fopen(path, "w");
    if (!f || fputs(script, f) < 0 || fclose(f))
        fail("%s: %s", path, strerror(errno));
    snprintf(command, sizeof command,
             "truncate -s %u %s.image && PATH=$PATH:/sbin:/usr/sbin sfdisk -q %s.image <%s", SIZE,
             path, path, path);
    if (system(command))
        fail("sfdisk");
    snprintf(command, sizeof command, "%s.image", path);
    disk_load(&disk, command);
    memcpy(good, disk.bytes, SIZE);
}

/* ---- damage ---- */

static uint32_t crc32(const uint8_t *p, size_t size)
{
    uint32_t crc = ~0u;
    for (; size; size--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static uint64_t get(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    memcpy(&value, at, (size_t)bytes);
    return value;
}

static void put(uint8_t *at, uint64_t value, int bytes)
{
    memcpy(at, &value, (size_t)bytes);
}

/* The checksums of the header at `sector`, as far as what it says can be followed. */
static void seal(uint64_t sector)
{
    uint8_t *h = disk.bytes + sector * 512;
    uint64_t table = get(h + 72, 8), bytes = get(h + 80, 4) * get(h + 84, 4), size = get(h + 12, 4);
    if (table < SIZE / 512 && bytes <= SIZE - table * 512)
        put(h + 88, crc32(disk.bytes + table * 512, bytes), 4);
    put(h + 16, 0, 4);
    if (size <= 512)
        put(h + 16, crc32(h, size), 4);
}

static uint64_t odd_number(void)
{
    static const uint64_t numbers[] = {0,     1,          2,    33,         34,         64,
                                       2047,  8191,       8192, 0x7fffffff, 0xffffffff, 1ull << 55,
                                       ~0ull, 1ull << 63, 127,  128};
    uint64_t n = numbers[random_below(sizeof numbers / sizeof *numbers)];
    return random_below(2) ? n : n + random_below(3) - 1;
}

static void damage(uint64_t header)
{
    static const struct {
        uint8_t at, size;
    } fields[] = {{8, 4}, {12, 4}, {24, 8}, {32, 8}, {40, 8}, {48, 8}, {72, 8}, {80, 4}, {84, 4}};
    uint8_t *h = disk.bytes + header * 512, *table = disk.bytes + get(h + 72, 8) * 512;
    for (uint32_t n = 1 + random_below(3); n; n--) {
        uint32_t field = random_below(sizeof fields / sizeof *fields), which = random_below(4);
        if (!random_below(3))
            put(h + fields[field].at, odd_number(), fields[field].size);
        else if (random_below(2))
            put(table + 128 * which + 32 + 8 * random_below(2), odd_number(), 8);
        else if (random_below(2))
            table[random_below(512)] ^= (uint8_t)(1u << random_below(8));
        else
            memcpy(table + 128 * random_below(128), table + 128 * which, 128);
    }
    if (random_below(2))
        seal(header);
}

static void check_any(void)
{
    reopen();
    need(count <= 1024, "too many partitions");
    for (int i = 0; i < count; i++) {
        struct gpt_partition *p = &parts[i].entry;
        need(p->length && p->start < disk.device.size && p->length <= disk.device.size - p->start,
             "a partition outside of the disk");
        for (int j = 0; j < i; j++) {
            struct gpt_partition *q = &parts[j].entry;
            need(p->start + p->length <= q->start || q->start + q->length <= p->start,
                 "partitions that overlap");
        }
    }
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 6000;
    uint64_t first = 1, last = SIZE / 512 - 1;
    test_seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    check_guids();
    load_good();
    check_good("the table that sfdisk wrote");
    disk_run(&disk, write_first, &parts[2].device);
    need(!strcmp((char *)disk.bytes + 2048 * 512, "the first sector"), "a partition's place");
    memcpy(disk.bytes, good, SIZE);
    check_growth();
    for (int i = 0; i < 2; i++) { /* each of the two copies damaged */
        memcpy(disk.bytes, good, SIZE);
        disk.bytes[(i ? last : first) * 512 + 60] ^= 1;
        check_good("the table with a damaged copy");
    }
    disk.bytes[first * 512 + 60] ^= 1;
    reopen();
    need(count == -EINVAL && !parts, "two damaged copies");
    memset(disk.bytes, 0, SIZE);
    reopen();
    need(count == 0 && !parts, "no table");
    for (unsigned long i = 0; i < rounds; i++) {
        memcpy(disk.bytes, good, 64 * 512);
        memcpy(disk.bytes + SIZE - 64 * 512, good + SIZE - 64 * 512, 64 * 512);
        damage(first);
        if (random_below(2))
            damage(last);
        check_any();
    }
    free(parts);
    disk_free(&disk);
    return 0;
}
