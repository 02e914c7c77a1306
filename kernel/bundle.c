/* SPDX-License-Identifier: MIT */
/*
 * Reading the boot bundle. It comes from outside (a file given to the VM), so every offset and size
 * is checked against the whole before use. The tables' hash is checked here, a file's when it is
 * looked up.
 */
#include "bundle.h"
#include "arch/x86_64/arch.h"

#define ENTRIES_MAX (1u << 20)

static struct {
    const unsigned char *data;
    const struct motor_bundle_header *header;
    const struct motor_bundle_entry *entries;
    const char *names;
} bundle;

static bool inside(uint64_t offset, uint64_t size, uint64_t total)
{
    return offset <= total && size <= total - offset;
}

static const char *check_header(const struct motor_bundle_header *h, uint64_t size)
{
    if (h->magic != MOTOR_BUNDLE_MAGIC) {
        return "it is not a Motor bundle (wrong magic)";
    }
    if (h->version != MOTOR_BUNDLE_VERSION) {
        return "its version is not this kernel's";
    }
    if (h->total_size > size || h->total_size % PAGE_SIZE) {
        return "it is truncated";
    }
    if (h->entries > ENTRIES_MAX || h->entries_offset % 8 ||
        !inside(h->entries_offset, h->entries * sizeof(struct motor_bundle_entry), h->total_size)) {
        return "its table of entries lies outside";
    }
    if (h->names_offset < h->entries_offset ||
        !inside(h->names_offset, h->names_size, h->total_size)) {
        return "its names lie outside";
    }
    return NULL;
}

const char *bundle_open(const void *data, uint64_t size)
{
    const struct motor_bundle_header *h = data;
    if (size < sizeof(*h)) {
        return size ? "it is shorter than a header"
                    : "there is none: give one as the boot module (-initrd)";
    }
    const char *error = check_header(h, size);
    if (error) {
        return error;
    }
    bundle.data = data;
    bundle.header = h;
    bundle.entries = (const void *)(bundle.data + h->entries_offset);
    bundle.names = (const char *)bundle.data + h->names_offset;
    uint64_t end = h->names_offset + h->names_size;
    if (motor_bundle_hash(bundle.entries, end - h->entries_offset) != h->hash) {
        return "its tables are damaged (wrong hash)";
    }
    if (!h->names_size || bundle.names[h->names_size - 1]) {
        return "its names have no end";
    }
    return NULL;
}

uint64_t bundle_size(void)
{
    return bundle.header->total_size;
}

static bool names_equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static const struct motor_bundle_entry *find(const char *path)
{
    for (uint32_t i = 0; i < bundle.header->entries; i++) {
        const struct motor_bundle_entry *e = &bundle.entries[i];
        if (e->name < bundle.header->names_size && names_equal(bundle.names + e->name, path)) {
            return e;
        }
    }
    return NULL;
}

const void *bundle_data(const struct motor_bundle_entry *e)
{
    return bundle.data + e->offset;
}

const struct motor_bundle_entry *bundle_file(const char *path, const char **error)
{
    const struct motor_bundle_entry *e = find(path);
    *error = NULL;
    if (!e || e->type != MOTOR_BUNDLE_FILE) {
        *error = "has no such file";
    } else if (e->offset % PAGE_SIZE || !inside(e->offset, e->size, bundle_size())) {
        *error = "has the file's bytes outside";
    } else if (motor_bundle_hash(bundle_data(e), e->size) != e->hash) {
        *error = "has a damaged file (wrong hash)";
    }
    return *error ? NULL : e;
}
