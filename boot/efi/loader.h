/* SPDX-License-Identifier: MIT */
/*
 * The UEFI loader: an application on the EFI system partition that the firmware starts.
 *
 *   main.c     what is loaded, to where, and the end of the firmware's services
 *   file.c     files of the partition that it was started from
 *   memory.c   memory below 4 GiB, and the memory map as the kernel reads it
 *   enter.S    from 64-bit code to the kernel's 32-bit entry
 */
#ifndef BOOT_EFI_LOADER_H
#define BOOT_EFI_LOADER_H

#include <efi.h>

#include "../start_info.h"

extern EFI_SYSTEM_TABLE *system_table;

/* ---- main.c ---- */

/* Strings up to NULL, on the firmware's console, of which the first serial port is a part. */
void say(const char *first, ...) __attribute__((sentinel));
/* Says what went wrong, with what. */
void complain(const char *what, const char *why);

/* ---- file.c ---- */

struct file {
    unsigned char *bytes; /* on a page, below 4 GiB */
    UINT64 size;
};

/* Opens the partition that `image` came from; false, and said: it cannot be read. */
BOOLEAN files_open(EFI_HANDLE image);
/* Reads a whole file; false, and said unless it may be missing and is: it could not be. */
BOOLEAN file_read(const CHAR16 *path, const char *name, BOOLEAN optional, struct file *file);

/* ---- memory.c ---- */

#define PAGE 4096u

/* Pages below 4 GiB; NULL: there are none. */
void *memory_take(UINT64 size, EFI_MEMORY_TYPE type);
/* These pages; false: they are not free. */
BOOLEAN memory_take_at(UINT64 start, UINT64 end);
/* The map is filled by memory_map(); false: no memory for it. */
BOOLEAN memory_prepare(void);
/*
 * The firmware's memory map for the kernel: its entries and their number. key: what
 * ExitBootServices wants. False: it cannot be had. Takes no memory.
 */
BOOLEAN memory_map(struct memory_entry **map, UINT32 *entries, UINTN *key);

/* ---- enter.S ---- */

/*
 * Enters the kernel. Runs where it was copied to, below 4 GiB: enter_size bytes; gdt: as many of
 * its own as it needs, behind it.
 */
typedef void (*enter_function)(UINT64 entry, const struct start_info *info);
extern const unsigned char enter_start[], enter_end[];

#endif
