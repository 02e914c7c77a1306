/* SPDX-License-Identifier: MIT */
/*
 * motor-image: makes a bootable disk of the base system and packages. Shared by its files.
 *
 *   options.c   the command line
 *   package.c   packages: a folder or an .mpk archive, its manifest and what it puts where
 *   manifest.c  the manifest's lines
 *   boot.c      what is booted: the kernel's file, the boot bundle, the command line
 *   esp.c       the EFI system partition, by mtools
 *   root.c      the root file system, by mke2fs and debugfs
 *   gpt.c       the partition table, and the BIOS loader's place in it
 *   domain.c    the description for libvirt
 *   command.c   running other programs; files
 *
 * Everything that goes into the image depends on its contents only: no time, no random number, no
 * owner or path of the host. Two runs over the same contents make the same image.
 */
#ifndef MOTOR_IMAGE_IMAGE_H
#define MOTOR_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bundle.h"

#define SECTOR 512u
#define MIB    (1024u * 1024u)

#define PACKAGES_MAX 64
#define PORTS_MAX    64

struct options {
    const char *out;
    uint64_t size;       /* of the disk; 0: what the contents need, and as much again */
    const char *init;    /* command of process 1; NULL: /sbin/init */
    const char *cmdline; /* more words for the kernel's command line; NULL: none */
    const char *packages[PACKAGES_MAX];
    size_t package_count;
    bool qcow2;
};

struct port {
    uint16_t number;
    bool udp;
};

/* What is known of the image before it is written. */
struct image {
    const struct options *options;
    struct bundle *root; /* the tree of the root file system */
    struct port ports[PORTS_MAX];
    size_t port_count;
    uint64_t memory;    /* bytes that the machine should have */
    uint64_t content;   /* bytes of all files in it, for the report */
    uint64_t signature; /* a hash of all contents, of which identifiers are made */

    void *kernel, *bundle; /* the files that are booted */
    size_t kernel_size, bundle_size;
    char cmdline[1024];

    int disk; /* the image, being written */
    char *disk_path;
    char *folder;                  /* for temporary files */
    uint64_t start[3], length[3];  /* of the partitions, bytes */
    uint64_t kernel_at, bundle_at; /* where the files lie on the disk, bytes */
};

enum { PART_BIOS, PART_ESP, PART_ROOT };

/* options.c: fills *o or exits. */
void options_parse(struct options *o, int argc, char **argv);

/* package.c: puts a package into the tree */
void package_add(struct image *image, const char *path);

/* manifest.c */
struct manifest_line {
    const char *file;
    unsigned number;
    char **words; /* ends in NULL */
    size_t count;
};
/* Calls each() for every line that says something. Changes the text. */
void manifest_read(const char *file, char *text,
                   void (*each)(void *context, const struct manifest_line *line), void *context);
__attribute__((noreturn)) void manifest_error(const struct manifest_line *line, const char *what);
uint64_t size_parse(const char *text); /* "64M"; 0: it is none */

/* boot.c: fills kernel, bundle and, when the tree is complete, signature and command line */
void boot_make(struct image *image);
/* an identifier of this image: a GUID as it is on disk, the same for the same contents */
void image_guid(const struct image *image, const char *what, uint8_t guid[16]);
void guid_text(const uint8_t guid[16], char text[37]);

/* esp.c: how large the partition has to be; makes it, in its place of the disk */
uint64_t esp_size(const struct image *image);
void esp_make(struct image *image);

/* root.c: likewise; the least size */
uint64_t root_size(const struct image *image);
void root_make(struct image *image);

/* gpt.c: the tables at both ends, and the BIOS loader */
void gpt_make(struct image *image);

/* domain.c: beside the image */
void domain_make(const struct image *image);

/* ---- command.c ---- */

/* Runs a program to its end; exits with its output when it fails. Words up to NULL. */
void run(const char *program, ...) __attribute__((sentinel));
/* The same, for its output, to be freed. */
char *run_output(const char *program, ...) __attribute__((sentinel));
/* A file of the SDK that this tool stands in. */
char *sdk_file(const char *relative);
/* A file whole, with a NUL behind it; exits if it cannot be read. */
char *file_load(const char *path, size_t *size);
void file_store(const char *path, const void *data, size_t size);
void disk_write(const struct image *image, uint64_t at, const void *data, size_t size);
/* A path made by printf, to be freed. */
char *path_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *must(void *memory);

/* main.c: prints "motor-image: ..." on stderr, removes what was begun, exits with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

#endif
