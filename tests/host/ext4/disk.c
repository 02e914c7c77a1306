/* SPDX-License-Identifier: MIT */
/* The disk for tests: see disk.h. */
#include "disk.h"

#include "../../../sysio/base/fiber.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t test_seed = 1;
bool verbose;
static char folder[64];
static bool keep_folder;

uint32_t random_below(uint32_t n)
{
    test_seed = test_seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((test_seed >> 33) % n);
}

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    keep_folder = true;
    exit(1);
}

void quiet_log(const char *format, ...)
{
    va_list args;
    if (!verbose)
        return;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

struct timespec test_now(void)
{
    static struct timespec now = {1700000000, 0};
    now.tv_nsec += 1000;
    if (now.tv_nsec >= 1000000000)
        now = (struct timespec){now.tv_sec + 1, now.tv_nsec - 1000000000};
    return now;
}

static void folder_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (!keep_folder && system(command))
        perror(folder);
}

const char *test_file(const char *name)
{
    static char path[4][256]; /* of the last four */
    static int turn;
    if (!folder[0]) {
        strcpy(folder, "/tmp/motor-ext4-XXXXXX");
        if (!mkdtemp(folder))
            fail("mkdtemp: %s", strerror(errno));
        atexit(folder_remove);
    }
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* ---- requests ---- */

static void log_add(struct disk *d, struct disk_write w)
{
    if (!d->recording)
        return;
    if (d->log_count == d->log_room) {
        d->log_room = d->log_room ? d->log_room * 2 : 1024;
        d->log = realloc(d->log, d->log_room * sizeof *d->log);
    }
    d->log[d->log_count++] = w;
}

static void submit(struct block_device *device, struct block_request *r)
{
    struct disk *d = (struct disk *)device;
    if (d->pending_count == sizeof d->pending / sizeof *d->pending)
        fail("too many requests");
    if (r->op == BLOCK_FLUSH)
        r->status = (int)d->log_count; /* what it covers */
    d->pending[d->pending_count++] = r;
}

static void transfer(struct disk *d, struct block_request *r)
{
    uint64_t at = r->offset;
    for (uint32_t i = 0; i < r->count; i++) {
        struct block_part *p = &r->parts[i];
        if (at + p->size > d->device.size)
            fail("a request beyond the end");
        if (!p->data && r->op == BLOCK_READ) {
            memcpy((void *)(uintptr_t)p->address, d->bytes + at, p->size);
        } else if (r->op == BLOCK_READ) {
            memcpy(p->data, d->bytes + at, p->size);
        } else {
            memcpy(d->bytes + at, p->data, p->size);
            if (d->recording) {
                struct disk_write w = {.offset = at, .size = p->size, .data = malloc(p->size)};
                memcpy(w.data, p->data, p->size);
                log_add(d, w);
            }
        }
        at += p->size;
    }
}

static void complete(struct disk *d, struct block_request *r)
{
    uint32_t covered = (uint32_t)r->status;
    r->status = 0;
    if (d->fail_after && --d->fail_after == 0) {
        r->status = -EIO;
        d->fail_after = d->fail_all;
    } else if (d->fail_one && d->fail_one(r)) {
        r->status = -EIO;
        d->fail_one = NULL;
    } else if (r->op == BLOCK_FLUSH) {
        log_add(d, (struct disk_write){.durable = covered});
    } else {
        transfer(d, r);
    }
    r->done(r);
}

static void complete_one(struct disk *d)
{
    uint32_t i = random_below(d->pending_count);
    struct block_request *r = d->pending[i];
    d->pending[i] = d->pending[--d->pending_count];
    complete(d, r);
}

void disk_run_two(struct disk *d, struct disk *other, void (*function)(void *), void *arg)
{
    if (!fiber_start(function, arg))
        fail("no fiber");
    while (fiber_count()) {
        bool served = d->pending_count || (other && other->pending_count);
        if (d->pending_count)
            complete_one(d);
        if (other && other->pending_count)
            complete_one(other);
        if (!fiber_run() && !served && fiber_count())
            fail("everything sleeps");
    }
}

void disk_run(struct disk *d, void (*function)(void *), void *arg)
{
    disk_run_two(d, NULL, function, arg);
}

/* ---- images ---- */

static void disk_init(struct disk *d, uint64_t size)
{
    memset(d, 0, sizeof *d);
    d->device = (struct block_device){
        .name = "test", .size = size, .sector = 512, .by_address = true, .submit = submit};
    d->bytes = calloc(1, size);
}

void disk_load(struct disk *d, const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f || fseek(f, 0, SEEK_END))
        fail("%s: %s", path, strerror(errno));
    disk_init(d, (uint64_t)ftell(f));
    rewind(f);
    if (fread(d->bytes, 1, d->device.size, f) != d->device.size)
        fail("%s: short", path);
    fclose(f);
}

void disk_save(const struct disk *d, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f || fwrite(d->bytes, 1, d->device.size, f) != d->device.size || fclose(f))
        fail("%s: %s", path, strerror(errno));
}

void disk_make(struct disk *d, uint64_t size, const char *options)
{
    char command[1024];
    const char *path = test_file("image");
    snprintf(command, sizeof command, "rm -f %s; /sbin/mke2fs -q -F -t ext4 %s %s %lluk >/dev/null",
             path, options, path, (unsigned long long)(size >> 10));
    if (system(command))
        fail("mke2fs %s", options);
    disk_load(d, path);
}

static void log_free(struct disk *d)
{
    for (uint32_t i = 0; i < d->log_count; i++)
        free(d->log[i].data);
    free(d->log);
    free(d->start);
    d->log = NULL;
    d->start = NULL;
    d->log_count = d->log_room = 0;
}

void disk_free(struct disk *d)
{
    log_free(d);
    free(d->bytes);
}

void disk_record(struct disk *d)
{
    log_free(d);
    d->recording = true;
    d->start = malloc(d->device.size);
    memcpy(d->start, d->bytes, d->device.size);
}

void disk_cut(const struct disk *d, uint32_t count, struct disk *out)
{
    uint32_t durable = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!d->log[i].size && d->log[i].durable > durable)
            durable = d->log[i].durable;
    disk_init(out, d->device.size);
    memcpy(out->bytes, d->start, d->device.size);
    uint32_t kept = random_below(5); /* of four, of what was not flushed */
    for (uint32_t i = 0; i < count; i++) {
        const struct disk_write *w = &d->log[i];
        if (w->size && (i < durable || random_below(4) < kept))
            memcpy(out->bytes + w->offset, w->data, w->size);
    }
}

void disk_check(const struct disk *d, const char *what)
{
    char command[1024];
    const char *path = test_file("checked");
    disk_save(d, path);
    snprintf(command, sizeof command, "/sbin/e2fsck -fn %s >%s 2>&1", path,
             test_file("e2fsck.log"));
    if (!system(command))
        return;
    snprintf(command, sizeof command, "head -40 %s >&2", test_file("e2fsck.log"));
    if (system(command))
        perror("head");
    fail("%s: e2fsck complains; the image is %s", what, path);
}
