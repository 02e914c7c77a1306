/* SPDX-License-Identifier: MIT */
/*
 * The root file system. mke2fs makes it of a folder with the tree's names and bytes; owners, modes
 * and times, which the folder cannot have without root, are set by debugfs afterwards.
 */
#include "image.h"

#include <errno.h>
#include <motor/bundle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK    4096u
#define OVERHEAD (16u * MIB) /* journal, tables, and some room */

/* What the boot bundle holds instead, and the root directory itself. */
static bool left_out(const struct bundle_item *item)
{
    static const char motor[] = "/motor";
    size_t n = sizeof motor - 1;
    return !strcmp(item->path, "/") ||
           (!strncmp(item->path, motor, n) && (!item->path[n] || item->path[n] == '/'));
}

static bool add_size(void *context, const struct bundle_item *item)
{
    uint64_t *size = context;
    if (!left_out(item))
        *size += BLOCK + (item->size + BLOCK - 1) / BLOCK * BLOCK;
    return true;
}

uint64_t root_size(const struct image *image)
{
    uint64_t size = 0;
    bundle_each(image->root, add_size, &size);
    return size + size / 16 + OVERHEAD;
}

struct making {
    struct image *image;
    const char *folder;
    FILE *script; /* for debugfs */
    const char *epoch;
};

static void stage(const struct making *m, const struct bundle_item *item)
{
    char *path = path_of("%s%s", m->folder, item->path);
    int failed = 0;
    if (item->type == MOTOR_BUNDLE_DIRECTORY) {
        failed = mkdir(path, 0700);
    } else if (item->type == MOTOR_BUNDLE_FILE) {
        file_store(path, item->data, item->size);
    } else {
        char *target = must(strndup(item->data, item->size));
        failed = symlink(target, path);
        free(target);
    }
    if (failed)
        die("%s: %s", path, strerror(errno));
    free(path);
}

static uint32_t mode_of(const struct bundle_item *item)
{
    return item->mode | (item->type == MOTOR_BUNDLE_DIRECTORY ? S_IFDIR
                         : item->type == MOTOR_BUNDLE_FILE    ? S_IFREG
                                                              : S_IFLNK);
}

static void set(const struct making *m, const char *path, const char *field, const char *value)
{
    fprintf(m->script, "sif \"");
    for (; *path; path++)
        fprintf(m->script, "%s%c", *path == '"' ? "\"" : "", *path);
    fprintf(m->script, "\" %s %s\n", field, value);
}

static void set_all(const struct making *m, const struct bundle_item *item)
{
    static const char *const times[] = {"atime", "mtime", "ctime", "crtime"};
    char value[32];
    snprintf(value, sizeof value, "%u", item->uid);
    set(m, item->path, "uid", value);
    snprintf(value, sizeof value, "%u", item->gid);
    set(m, item->path, "gid", value);
    snprintf(value, sizeof value, "0%o", mode_of(item));
    set(m, item->path, "mode", value);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        set(m, item->path, times[i], m->epoch);
        snprintf(value, sizeof value, "%s_extra", times[i]);
        set(m, item->path, value, "0");
    }
}

static bool add(void *context, const struct bundle_item *item)
{
    const struct making *m = context;
    if (strchr(item->path, '\n'))
        die("%s: a name with a line's end in it", item->path);
    if (left_out(item))
        return true;
    stage(m, item);
    set_all(m, item);
    m->image->content += item->size;
    return true;
}

/* debugfs always ends with success: what it says tells whether it could do all. */
static void set_attributes(const struct image *image, const char *script)
{
    char *device = path_of("%s?offset=%llu", image->disk_path,
                           (unsigned long long)image->start[PART_ROOT]),
         *text = run_output("debugfs", "-w", "-f", script, device, NULL);
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        if (*line && strncmp(line, "debugfs", 7))
            die("debugfs: %s", line);
    }
    free(text);
    free(device);
}

static void make_file_system(const struct image *image, const char *folder)
{
    uint8_t guid[16];
    char uuid[37], seed[37];
    image_guid(image, "root file system", guid);
    guid_text(guid, uuid);
    image_guid(image, "hash seed", guid);
    guid_text(guid, seed);
    char *extended = path_of("offset=%llu,hash_seed=%s,root_owner=0:0,lazy_itable_init=1",
                             (unsigned long long)image->start[PART_ROOT], seed),
         *size = path_of("%lluk", (unsigned long long)image->length[PART_ROOT] / 1024);
    run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-L", "motor", "-U", uuid,
        "-E", extended, "-d", folder, image->disk_path, size, NULL);
    free(extended);
    free(size);
}

void root_make(struct image *image)
{
    char *folder = path_of("%s/root", image->folder), *script = path_of("%s/script", image->folder);
    struct making m = {image, folder, fopen(script, "w"), getenv("E2FSPROGS_FAKE_TIME")};
    char *epoch = path_of("@%s", m.epoch);
    struct bundle_item root = {.path = "/", .type = MOTOR_BUNDLE_DIRECTORY, .mode = 0755};
    m.epoch = epoch;
    if (!m.script || mkdir(folder, 0700))
        die("%s: %s", folder, strerror(errno));
    bundle_each(image->root, add, &m);
    set_all(&m, &root);
    root.path = "/lost+found";
    root.mode = 0700;
    set_all(&m, &root);
    if (fclose(m.script))
        die("%s: %s", script, strerror(errno));
    make_file_system(image, folder);
    set_attributes(image, script);
    free(epoch);
    free(folder);
    free(script);
}
