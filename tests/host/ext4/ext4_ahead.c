/* SPDX-License-Identifier: MIT */
/*
 * Reading ahead beside everything else: fibers that read a few files from end to end, by calls and
 * through a store, while others write, cut, punch, forget and remove them, with a small cache and
 * with requests that fail. Every byte is what its place says, or zero; nobody is left asleep; and
 * e2fsck finds nothing. And who reads what is here does not wait for who reads what is not.
 */
#include "../../../sysio/base/fiber.h"
#include "disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILES     4u
#define FILE_MAX  (2u << 20)
#define PAGE      4096u
#define BUFFER    (192u << 10)
#define FIBERS    6u
#define FILE_NAME ((const char[]){(char)('a' + file), 0})

static struct disk disk;
static struct ext4 *fs;
static struct ext4_node *root;
static uint32_t steps;
static bool errors; /* requests fail now and then */

static uint8_t byte_at(uint32_t file, uint64_t at)
{
    return (uint8_t)(1 + (at * 31 + (at >> 12) * 7 + file * 101) % 255);
}

struct job {
    uint32_t file;
    uint64_t at;
    bool wrong;
};

static int64_t look(void *context, void *page, uint64_t size)
{
    struct job *j = context;
    for (uint64_t i = 0; i < size; i++) {
        uint8_t b = ((uint8_t *)page)[i];
        j->wrong |= b && b != byte_at(j->file, j->at + i);
    }
    j->at += size;
    return (int64_t)size;
}

static int64_t fill(void *context, void *page, uint64_t size)
{
    struct job *j = context;
    for (uint64_t i = 0; i < size; i++)
        ((uint8_t *)page)[i] = byte_at(j->file, j->at + i);
    j->at += size;
    return (int64_t)size;
}

static void ok(const char *what, int64_t result)
{
    if (result < 0 && !(errors && result == -EIO) && result != -EROFS)
        fail("%s: %s", what, strerror((int)-result));
}

/* ---- a store: what pager.c has in the kernel ---- */

struct store {
    struct ext4_store store; /* first */
    uint32_t file;
    uint64_t size;
    uint8_t *pages[FILE_MAX / PAGE * 2];
    uint8_t *prepared[FILE_MAX / PAGE * 2];
};

static struct store *of(struct ext4_store *s)
{
    return (struct store *)s;
}

static int store_supply(struct ext4_store *s, uint64_t index, const void *pages, uint64_t count)
{
    bool short_of = random_below(16) == 0;
    count = short_of ? count / 2 : count;
    for (uint64_t i = index; count--; i++, pages = (const uint8_t *)pages + PAGE) {
        if (of(s)->pages[i] || of(s)->prepared[i])
            fail("a page is supplied twice");
        of(s)->pages[i] = malloc(PAGE);
        memcpy(of(s)->pages[i], pages, PAGE);
    }
    return short_of ? -ENOMEM : 0;
}

static int store_prepare(struct ext4_store *s, uint64_t index, uint64_t count, uint64_t *addresses)
{
    uint64_t i = 0;
    count = random_below(8) ? count : random_below((uint32_t)count + 1);
    for (; i < count; i++) {
        if (of(s)->pages[index + i] || of(s)->prepared[index + i])
            fail("a page is prepared twice");
        of(s)->prepared[index + i] = memset(malloc(PAGE), 0xa5, PAGE);
        addresses[i] = (uint64_t)(uintptr_t)of(s)->prepared[index + i];
    }
    return (int)i;
}

static void store_filled(struct ext4_store *s, uint64_t index, uint64_t count)
{
    for (; count--; index++) {
        if (!of(s)->prepared[index])
            fail("a page is filled that was not prepared");
        of(s)->pages[index] = of(s)->prepared[index];
        of(s)->prepared[index] = NULL;
    }
}

static void store_evict(struct ext4_store *s, uint64_t index, uint64_t count)
{
    while (count--) {
        free(of(s)->prepared[index]);
        of(s)->prepared[index] = NULL;
        free(of(s)->pages[index]);
        of(s)->pages[index++] = NULL;
    }
}

static uint8_t *store_at(struct ext4_store *s, uint64_t index)
{
    if (!of(s)->pages[index])
        fail("a page is not in its store");
    return of(s)->pages[index];
}

static void store_nothing(struct ext4_store *s, uint64_t index)
{
    (void)s, (void)index;
}

static int store_reserve(struct ext4_store *s, uint64_t size)
{
    (void)s, (void)size;
    return 0;
}

static void store_resize(struct ext4_store *s, uint64_t size)
{
    uint64_t pages = (size + PAGE - 1) / PAGE, all = sizeof of(s)->pages / sizeof of(s)->pages[0];
    store_evict(s, pages, all - pages);
    of(s)->size = size;
}

static void store_destroy(struct ext4_store *s)
{
    store_resize(s, 0);
    free(of(s));
}

static const struct ext4_store_ops store_ops = {.supply = store_supply,
                                                .prepare = store_prepare,
                                                .filled = store_filled,
                                                .evict = store_evict,
                                                .at = store_at,
                                                .allow = store_nothing,
                                                .clean = store_nothing,
                                                .reserve = store_reserve,
                                                .resize = store_resize,
                                                .grow = store_resize,
                                                .destroy = store_destroy};

/* As a program that has the file mapped. */
static void read_mapped(uint32_t file, struct ext4_node *n)
{
    if (!ext4_store(n)) {
        struct store *s = calloc(1, sizeof *s);
        s->store.ops = &store_ops;
        s->file = file;
        int error = ext4_share(n, &s->store);
        if (error)
            free(s);
        if (error && error != -EBUSY && error != -ENOMEM)
            ok("share", error);
        return;
    }
    uint32_t first = random_below(2) ? 0 : random_below(FILE_MAX / PAGE), count = random_below(300);
    uint32_t order = random_below(2) ? 31 : 0; /* as copies that begin with their last bytes */
    for (uint64_t at = first; at < first + count; at++) {
        uint64_t i = at ^ order;
        struct store *s = of(ext4_store(n));
        int error = s->pages[i] ? 0 : ext4_fault(n, i, false);
        if (error == -ENXIO || error == -ENOMEM)
            continue;
        ok("fault", error);
        struct job j = {file, i * PAGE, false};
        if (!error && s->pages[i])
            look(&j, s->pages[i], PAGE);
        if (j.wrong && !errors) /* else some may not have come to the disk */
            fail("file %u, page %u of its store: not what was written", file, (unsigned)i);
    }
}

static void read_calls(uint32_t file, struct ext4_node *n)
{
    uint64_t at = random_below(2) ? 0 : random_below(FILE_MAX);
    uint32_t count = random_below(20), size = 1 + random_below(BUFFER);
    while (count--) {
        struct job j = {file, at, false};
        int64_t got = ext4_read(n, at, size, look, &j);
        ok("read", got);
        if (j.wrong && !errors) /* else some may not have come to the disk */
            fail("file %u, near %llu: not what was written", file, (unsigned long long)at);
        if (got <= 0)
            break;
        at += (uint64_t)got;
    }
}

static struct ext4_node *open_file(uint32_t file)
{
    struct ext4_node *n;
    struct ext4_new new = {.mode = S_IFREG | 0644};
    int error = ext4_lookup(root, FILE_NAME, 1, &n);
    if (error == -ENOENT) {
        error = ext4_create(root, FILE_NAME, 1, &new, &n);
        error = error == -EEXIST ? ext4_lookup(root, FILE_NAME, 1, &n) : error;
    }
    if (error != -ENOENT)
        ok("open", error);
    return error ? NULL : n;
}

static void change(uint32_t file, struct ext4_node *n)
{
    uint64_t at = random_below(FILE_MAX - BUFFER), size = 1 + random_below(BUFFER);
    struct job j = {file, at, false};
    uint32_t seen = ext4_errors_seen(n);
    switch (random_below(10)) {
    case 0:
        ok("truncate", ext4_truncate(n, at));
        break;
    case 1:
        ok("punch", ext4_punch(n, at, size));
        break;
    case 2:
        ext4_forget(n, 0, UINT64_MAX);
        break;
    case 3:
        ok("fsync", ext4_fsync(n, &seen));
        break;
    case 4: {
        int error = ext4_unlink(root, FILE_NAME, 1);
        if (error != -ENOENT)
            ok("unlink", error);
        break;
    }
    default:
        ok("write", ext4_write(n, at, size, fill, &j));
    }
}

static void work(void *arg)
{
    bool reader = arg;
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t file = random_below(FILES);
        if (errors && reader && random_below(32) == 0)
            disk.fail_after = 1 + random_below(4);
        struct ext4_node *n = open_file(file);
        if (!n)
            continue;
        if (!reader)
            change(file, n);
        else
            (random_below(2) ? read_calls : read_mapped)(file, n);
        ext4_put(n);
    }
}

static void mount(void *arg)
{
    (void)arg;
    struct ext4_options options = {
        .cache_bytes = 1 << 20, .page_bytes = 3 << 20, .now = test_now, .log = quiet_log};
    if (ext4_mount(&disk.device, &options, &fs) || ext4_root(fs, &root))
        fail("mount");
}

static void unmount(void *arg)
{
    (void)arg;
    ext4_put(root);
    ok("unmount", ext4_unmount(fs));
}

static void beside_each_other(const char *options)
{
    disk_make(&disk, 24 << 20, options);
    disk_run(&disk, mount, NULL);
    for (uint32_t i = 0; i < FIBERS; i++)
        if (!fiber_start(work, i % 3 ? &disk : NULL))
            fail("no fiber");
    disk_run(&disk, work, NULL);
    disk_run(&disk, unmount, NULL);
    if (!errors)
        disk_check(&disk, options);
    disk_free(&disk);
    printf("ok: %s%s\n", options, errors ? ", with errors" : "");
    fflush(stdout);
}

/* ---- who waits for whom ---- */

static void make_two(void *arg)
{
    (void)arg;
    for (uint32_t file = 0; file < 2; file++) {
        struct ext4_node *n = open_file(file);
        struct job j = {file, 0, false};
        uint32_t seen = 0;
        if (ext4_write(n, 0, BUFFER, fill, &j) != BUFFER || ext4_fsync(n, &seen))
            fail("write");
        if (file == 1)
            ext4_forget(n, 0, UINT64_MAX);
        ext4_put(n);
    }
}

static void read_one(void *arg)
{
    struct job *j = arg;
    struct ext4_node *n = open_file(j->file);
    if (ext4_read(n, 0, BUFFER, look, j) != BUFFER || j->wrong)
        fail("read");
    ext4_put(n);
}

/* ---- a page that was to come to its place, and has not ---- */

static bool comes_to_its_place(const struct block_request *r)
{
    return r->op == BLOCK_READ && r->count && !r->parts[0].data;
}

/* Who waited for it reads it again, in another way. */
static void fault_twice(void *arg)
{
    struct ext4_node *n = open_file(1);
    (void)arg;
    while (!ext4_store(n))
        read_mapped(1, n);
    struct store *s = of(ext4_store(n));
    disk.fail_one = comes_to_its_place;
    for (uint32_t tries = 0; disk.fail_one; tries++) {
        struct job j = {1, 3 * PAGE, false};
        ext4_forget(n, 0, UINT64_MAX);
        if (tries > 100 || ext4_fault(n, 3, true) || !s->pages[3])
            fail("a page that did not come at first");
        look(&j, s->pages[3], PAGE);
        uint32_t seen = ext4_errors_seen(n);
        if (j.wrong || ext4_fsync(n, &seen))
            fail("what did not come at first");
    }
    ext4_put(n);
}

static void warm_beside_cold(void)
{
    struct job cold = {.file = 1}, warm = {.file = 0}, again = {.file = 0};
    disk_make(&disk, 24 << 20, "-b 4096 -J size=4");
    disk_run(&disk, mount, NULL);
    disk_run(&disk, make_two, NULL);
    if (!fiber_start(read_one, &cold) || cold.at)
        fail("what has to be brought is here");
    if (!fiber_start(read_one, &warm) || warm.at != BUFFER)
        fail("what is here waits for what is not");
    disk_run(&disk, read_one, &again);
    if (cold.at != BUFFER)
        fail("what has to be brought does not come");
    disk_run(&disk, fault_twice, NULL);
    disk_run(&disk, unmount, NULL);
    disk_free(&disk);
    printf("ok: warm beside cold\n");
}

/* ext4_ahead [SEED [STEPS]] */
int main(int argc, char **argv)
{
    test_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    steps = argc > 2 ? (uint32_t)atoi(argv[2]) : 400;
    verbose = getenv("VERBOSE");
    warm_beside_cold();
    beside_each_other("-b 4096 -J size=4");
    beside_each_other("-b 1024 -J size=1");
    errors = true;
    beside_each_other("-b 4096 -J size=4");
    return 0;
}
