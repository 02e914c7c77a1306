/* SPDX-License-Identifier: MIT */
/*
 * The boot bundle: one file, loaded beside the kernel as the boot module, that holds everything the
 * system starts from: the I/O server, the runtime image, base files, and what motor-run adds.
 * Little-endian.
 *
 *   header | entries | names | targets of links | (each file's bytes, at page-aligned offsets,
 *                                                  padded with zeros to a page)
 *
 * File data is page-aligned so that the kernel's memory objects use the module's pages in place,
 * without a copy. Every field is untrusted: readers check each offset and size against the total
 * before use. `hash` is motor_bundle_hash() over the bytes named; the header's covers entries and
 * names.
 */
#ifndef MOTOR_BUNDLE_H
#define MOTOR_BUNDLE_H

#include <stddef.h>
#include <stdint.h>

#define MOTOR_BUNDLE_MAGIC   0x3144424e4f544f4dull /* "MOTONBD1" read as bytes */
#define MOTOR_BUNDLE_VERSION 1u

#define MOTOR_BUNDLE_FILE      1u
#define MOTOR_BUNDLE_DIRECTORY 2u
#define MOTOR_BUNDLE_SYMLINK   3u /* data: the target, without NUL */

struct motor_bundle_header {
    uint64_t magic;
    uint32_t version;
    uint32_t entries;
    uint64_t total_size; /* of the whole bundle, a multiple of 4096 */
    uint64_t entries_offset;
    uint64_t names_offset;
    uint64_t names_size;
    uint64_t hash; /* of [entries_offset, names_offset + names_size) */
    uint64_t reserved;
};
_Static_assert(sizeof(struct motor_bundle_header) == 64, "bundle");

struct motor_bundle_entry {
    uint32_t name; /* offset in names of an absolute path, NUL-terminated */
    uint32_t type;
    uint32_t mode; /* permission bits */
    uint32_t uid, gid;
    uint32_t reserved;
    int64_t mtime;   /* seconds */
    uint64_t offset; /* page-aligned for files; of a directory: no meaning */
    uint64_t size;   /* bytes */
    uint64_t hash;   /* of the data */
};
_Static_assert(sizeof(struct motor_bundle_entry) == 56, "bundle");

/* Well-known files. */
#define MOTOR_BUNDLE_SYSIO \
    "/motor/sysio" /* static ELF (ET_EXEC or static PIE) of the first process */
#define MOTOR_BUNDLE_RUNTIME "/motor/runtime" /* the POSIX runtime image, see <motor/start.h> */
#define MOTOR_BUNDLE_RUN     "/motor/run" /* what to start, see <motor/start.h>: struct motor_run */

/*
 * FNV-1a over 64-bit words, the last one padded with zeros: cheap enough for boot, and catches
 * damage (it is no signature).
 */
static inline uint64_t motor_bundle_hash(const void *data, uint64_t size)
{
    const unsigned char *p = data;
    uint64_t hash = 0xcbf29ce484222325ull;
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t word;
        __builtin_memcpy(&word, p, 8);
        hash = (hash ^ word) * 0x100000001b3ull;
        hash ^= hash >> 32;
    }
    if (size) {
        uint64_t word = 0;
        __builtin_memcpy(&word, p, size);
        hash = (hash ^ word) * 0x100000001b3ull;
        hash ^= hash >> 32;
    }
    return hash;
}

#endif
