/* SPDX-License-Identifier: MIT */
/*
 * What is booted. The boot bundle holds what the system needs before it has its root: sysio, the
 * runtime, and what process 1 runs. All else is on the root file system.
 */
#include "image.h"

#include "../../boot/load/kernel_file.h"
#include <errno.h>
#include <fcntl.h>
#include <motor/bundle.h>
#include <motor/start.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INIT      "/sbin/init"
#define ARGS_MAX  63
#define LINKS_MAX 8

static void make_kernel(struct image *image)
{
    char *path = sdk_file("share/motor/kernel");
    size_t size;
    char *elf = file_load(path, &size);
    struct kernel_trailer trailer = {KERNEL_TRAILER_MAGIC, motor_bundle_hash(elf, size)};
    image->kernel_size = size + sizeof trailer;
    image->kernel = must(realloc(elf, image->kernel_size));
    memcpy((char *)image->kernel + size, &trailer, sizeof trailer);
    struct kernel_file k;
    const char *error = kernel_file_open(image->kernel, image->kernel_size, &k);
    if (error)
        die("%s: %s", path, error);
    free(path);
}

/* ---- the bundle ---- */

struct search {
    const char *path;
    struct bundle_item item;
};

static bool look(void *context, const struct bundle_item *item)
{
    struct search *s = context;
    if (strcmp(item->path, s->path))
        return true;
    s->item = *item;
    return false;
}

/* Moves a file from the tree into the bundle. */
static void take(struct image *image, struct bundle *b, const char *path)
{
    struct search s = {.path = path};
    bundle_each(image->root, look, &s);
    if (!s.item.path || !bundle_add_data(b, path, s.item.data, s.item.size, s.item.mode))
        die("the base system has no %s", path);
}

static void set_init(struct image *image, struct bundle *b)
{
    static char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", NULL};
    char *command = must(strdup(image->options->init ? image->options->init : INIT));
    char *args[ARGS_MAX + 1];
    size_t count = 0;
    for (char *word = strtok(command, " "); word; word = strtok(NULL, " ")) {
        if (count == ARGS_MAX)
            die("--init has too many words");
        args[count++] = word;
    }
    args[count] = NULL;
    struct search s = {.path = count ? args[0] : ""};
    bundle_each(image->root, look, &s);
    if (!s.item.path || s.item.type == MOTOR_BUNDLE_DIRECTORY)
        die("%s: the image has no such program for process 1", s.path);
    if (!bundle_set_run(b, 0, MOTOR_RUN_INIT, args[0], args, environment))
        die("%s", bundle_error(b));
    free(command);
}

static void make_bundle(struct image *image)
{
    char *path = path_of("%s/bundle", image->folder);
    struct bundle *b = bundle_new();
    take(image, b, MOTOR_BUNDLE_SYSIO);
    take(image, b, MOTOR_BUNDLE_RUNTIME);
    set_init(image, b);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || !bundle_write(b, fd) || close(fd))
        die("%s: %s", path, fd < 0 ? strerror(errno) : bundle_error(b));
    image->bundle = file_load(path, &image->bundle_size);
    bundle_free(b);
    free(path);
}

/* ---- identifiers ---- */

static void mix(uint64_t *hash, const void *data, size_t size)
{
    uint64_t both[3] = {*hash, motor_bundle_hash(data, size), size};
    *hash = motor_bundle_hash(both, sizeof both);
}

static bool mix_item(void *context, const struct bundle_item *item)
{
    uint32_t attributes[] = {item->type, item->mode, item->uid, item->gid};
    mix(context, item->path, strlen(item->path));
    mix(context, attributes, sizeof attributes);
    mix(context, item->data, item->size);
    return true;
}

static void make_signature(struct image *image)
{
    const struct options *o = image->options;
    uint64_t hash = 0;
    bundle_each(image->root, mix_item, &hash);
    mix(&hash, image->kernel, image->kernel_size);
    mix(&hash, image->bundle, image->bundle_size);
    mix(&hash, o->cmdline ? o->cmdline : "", o->cmdline ? strlen(o->cmdline) : 0);
    mix(&hash, &o->size, sizeof o->size);
    image->signature = hash;
}

void image_guid(const struct image *image, const char *what, uint8_t guid[16])
{
    for (uint64_t half = 0; half < 2; half++) {
        uint64_t parts[] = {image->signature, motor_bundle_hash(what, strlen(what)), half};
        uint64_t hash = motor_bundle_hash(parts, sizeof parts);
        memcpy(guid + 8 * half, &hash, 8);
    }
    guid[7] = (uint8_t)(0x80 | (guid[7] & 0x0f)); /* version 8: made in a way of our own */
    guid[8] = (uint8_t)(0x80 | (guid[8] & 0x3f));
}

void guid_text(const uint8_t g[16], char text[37])
{
    sprintf(text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", g[3],
            g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13], g[14],
            g[15]);
}

static void make_cmdline(struct image *image)
{
    const char *more = image->options->cmdline;
    uint8_t root[16];
    char text[37];
    image_guid(image, "root partition", root);
    guid_text(root, text);
    int n = snprintf(image->cmdline, sizeof image->cmdline, "root=PARTUUID=%s%s%s", text,
                     more ? " " : "", more ? more : "");
    if ((size_t)n >= sizeof image->cmdline)
        die("the kernel's command line is too long");
}

void boot_make(struct image *image)
{
    make_kernel(image);
    make_bundle(image);
    make_signature(image);
    make_cmdline(image);
}
