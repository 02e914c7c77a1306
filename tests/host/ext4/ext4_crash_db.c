/* SPDX-License-Identifier: MIT */
/*
 * Power cuts of a database with a rollback journal, as sqlite's: the old pages are made durable in
 * a file of their own, then the new ones are written in place and made durable, then that file is
 * removed, which is the commit. Whatever a cut leaves, the database is as after some transaction,
 * not before the last one whose commit was made durable. Beside it, a number is written in place
 * and made durable, which no commit helps.
 */
#include "disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PAGES        24u
#define PAGE         1500u /* unlike any block */
#define TRANSACTIONS 150u
#define CHANGED_MAX  6u
#define CHECK_EVERY  8u

struct record { /* of the journal */
    uint32_t page, version, sum;
    uint8_t old[PAGE];
};

static struct disk disk, cut;
static struct ext4 *fs;
static struct ext4_node *root;
static uint32_t versions[TRANSACTIONS + 1][PAGES];
static uint32_t begun[TRANSACTIONS + 1], durable[TRANSACTIONS + 1], numbered[TRANSACTIONS + 1];
static uint32_t cut_at;

static void must(const char *what, int64_t got, int64_t wanted)
{
    if (got != wanted)
        fail("%s: %lld, not %lld (cut at %u)", what, (long long)got, (long long)wanted, cut_at);
}

struct piece {
    uint8_t *bytes;
};

static int64_t take(void *context, void *page, uint64_t size)
{
    struct piece *p = context;
    memcpy(p->bytes, page, size);
    p->bytes += size;
    return (int64_t)size;
}

static int64_t give(void *context, void *page, uint64_t size)
{
    struct piece *p = context;
    memcpy(page, p->bytes, size);
    p->bytes += size;
    return (int64_t)size;
}

static void put(struct ext4_node *n, uint64_t at, void *bytes, uint64_t size)
{
    struct piece p = {bytes};
    must("write", ext4_write(n, at, size, give, &p), (int64_t)size);
}

static int64_t get(struct ext4_node *n, uint64_t at, void *bytes, uint64_t size)
{
    struct piece p = {bytes};
    return ext4_read(n, at, size, take, &p);
}

static void page_fill(uint32_t page, uint32_t version, uint8_t *to)
{
    memcpy(to, &version, 4);
    for (uint32_t i = 4; i < PAGE; i++)
        to[i] = (uint8_t)(page * 37 + version * 11 + i * 3 + (i >> 7));
}

static uint32_t sum_of(const struct record *r)
{
    uint32_t sum = r->page * 77 + r->version;
    for (uint32_t i = 0; i < PAGE; i++)
        sum = sum * 31 + r->old[i];
    return sum;
}

static struct ext4_node *make(const char *name)
{
    struct ext4_node *n;
    struct ext4_new new = {.mode = S_IFREG | 0644};
    must(name, ext4_create(root, name, strlen(name), &new, &n), 0);
    return n;
}

/* Bytes and size, which is all that is looked at, by one of the ways that make them durable. */
static void make_durable(struct ext4_node *n)
{
    uint32_t seen = 0;
    must("fsync", (random_below(3) ? ext4_datasync : ext4_fsync)(n, &seen), 0);
}

/* ---- the database ---- */

static void number_set(struct ext4_node *n, uint32_t t)
{
    put(n, 0, &t, sizeof t);
    make_durable(n);
    numbered[t] = disk.log_count;
}

static void transaction(struct ext4_node *db, uint32_t t)
{
    uint32_t count = 1 + random_below(CHANGED_MAX), pages[CHANGED_MAX];
    struct ext4_node *journal = make("journal");
    memcpy(versions[t], versions[t - 1], sizeof versions[t]);
    put(journal, 0, &count, 4);
    for (uint32_t i = 0; i < count; i++) {
        struct record r = {.page = (random_below(PAGES / CHANGED_MAX)) * CHANGED_MAX + i};
        pages[i] = r.page;
        r.version = versions[t][r.page];
        page_fill(r.page, r.version, r.old);
        r.sum = sum_of(&r);
        put(journal, 4 + i * sizeof r, &r, sizeof r);
    }
    make_durable(journal);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[PAGE];
        versions[t][pages[i]] = t;
        page_fill(pages[i], t, bytes);
        put(db, pages[i] * PAGE, bytes, PAGE);
    }
    make_durable(db);
    ext4_put(journal);
    must("unlink", ext4_unlink(root, "journal", 7), 0);
    if (random_below(2)) {
        make_durable(root);
        durable[t] = disk.log_count;
    }
}

static void mount(struct disk *d)
{
    struct ext4_options options = {.cache_bytes = 1 << 18, .now = test_now, .log = quiet_log};
    must("mount", ext4_mount(&d->device, &options, &fs), 0);
    must("root", ext4_root(fs, &root), 0);
}

static void unmount(void)
{
    ext4_put(root);
    must("unmount", ext4_unmount(fs), 0);
}

static void work(void *arg)
{
    uint8_t bytes[PAGE];
    (void)arg;
    mount(&disk);
    struct ext4_node *db = make("db"), *number = make("number");
    for (uint32_t i = 0; i < PAGES; i++) {
        page_fill(i, 0, bytes);
        put(db, i * PAGE, bytes, PAGE);
    }
    number_set(number, 0);
    must("sync", ext4_sync(fs), 0);
    disk_record(&disk);
    durable[0] = numbered[0] = 1;
    for (uint32_t t = 1; t <= TRANSACTIONS; t++) {
        begun[t] = disk.log_count;
        transaction(db, t);
        number_set(number, t);
    }
    ext4_put(number);
    ext4_put(db);
    unmount();
}

/* ---- after a cut ---- */

/* A journal that is whole is written back; one that is not was never needed. */
static void roll_back(struct ext4_node *db)
{
    struct ext4_node *journal;
    struct record r;
    uint32_t count;
    int error = ext4_lookup(root, "journal", 7, &journal);
    if (error == -ENOENT)
        return;
    must("the journal", error, 0);
    bool whole = get(journal, 0, &count, 4) == 4 && count && count <= CHANGED_MAX;
    for (uint32_t i = 0; whole && i < count; i++)
        whole = get(journal, 4 + i * sizeof r, &r, sizeof r) == sizeof r && r.sum == sum_of(&r);
    for (uint32_t i = 0; whole && i < count; i++) {
        must("read", get(journal, 4 + i * sizeof r, &r, sizeof r), sizeof r);
        put(db, r.page * PAGE, r.old, PAGE);
    }
    ext4_put(journal);
}

static void number_judge(void)
{
    struct ext4_node *n;
    uint32_t found, t = 0;
    must("the number", ext4_lookup(root, "number", 6, &n), 0);
    must("read", get(n, 0, &found, sizeof found), sizeof found);
    for (uint32_t i = 0; i <= TRANSACTIONS; i++)
        if (numbered[i] && numbered[i] <= cut_at)
            t = i;
    if (found < t || found > TRANSACTIONS || (found && begun[found] > cut_at))
        fail("the number is %u, %u was durable (cut at %u)", found, t, cut_at);
    ext4_put(n);
}

static void judge(void *arg)
{
    struct ext4_node *db;
    uint32_t found[PAGES], t = 0;
    uint8_t bytes[PAGE], right[PAGE];
    (void)arg;
    mount(&cut);
    must("the database", ext4_lookup(root, "db", 2, &db), 0);
    roll_back(db);
    for (uint32_t i = 0; i < PAGES; i++) {
        must("read", get(db, i * PAGE, bytes, PAGE), PAGE);
        memcpy(&found[i], bytes, 4);
        page_fill(i, found[i], right);
        if (memcmp(bytes, right, PAGE))
            fail("page %u is of no transaction (cut at %u)", i, cut_at);
    }
    for (uint32_t i = 1; i <= TRANSACTIONS; i++)
        if (durable[i] && durable[i] <= cut_at)
            t = i;
    while (t <= TRANSACTIONS && memcmp(found, versions[t], sizeof found))
        t++;
    if (t > TRANSACTIONS || (t && begun[t] > cut_at))
        fail("the database is as after no transaction (cut at %u)", cut_at);
    ext4_put(db);
    number_judge();
    unmount();
}

/* ext4_crash_db [SEED [CUTS]] */
int main(int argc, char **argv)
{
    static const char *const options[] = {"-b 1024 -J size=1", "-b 4096 -J size=4"};
    test_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint32_t cuts = argc > 2 ? (uint32_t)atoi(argv[2]) : 120;
    verbose = getenv("VERBOSE");
    for (uint32_t o = 0; o < 2; o++) {
        memset(durable, 0, sizeof durable);
        memset(numbered, 0, sizeof numbered);
        disk_make(&disk, 16 << 20, options[o]);
        disk_run(&disk, work, NULL);
        for (uint32_t i = 0; i < cuts; i++) {
            cut_at = random_below(disk.log_count + 1);
            disk_cut(&disk, cut_at, &cut);
            disk_run(&cut, judge, NULL);
            if (i % CHECK_EVERY == 0)
                disk_check(&cut, options[o]);
            disk_free(&cut);
        }
        printf("ok: transactions: %s: %u cuts of %u writes and flushes\n", options[o], cuts,
               disk.log_count);
        fflush(stdout);
        disk_free(&disk);
    }
    return 0;
}
