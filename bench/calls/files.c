/* SPDX-License-Identifier: MIT */
/*
 * Files. They are made below /tmp, on a file system in memory, or where the line "folder" says: on
 * a disk. The rows of disk_rows make sense only there.
 */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB         (1ul << 20)
#define FOLDER_ROOM 160u /* of a path in the folder */
#define PATH_ROOM   224u /* of one below that */

static int hot = -1;
static char *buffer;
static char hot_path[FOLDER_ROOM], new_path[FOLDER_ROOM], renamed_path[FOLDER_ROOM];
static char folder[FOLDER_ROOM];

bool files_folder(const char *path)
{
    if (strlen(path) + sizeof "/renamed" > FOLDER_ROOM)
        errno = ENAMETOOLONG;
    else if (!mkdir(path, 0755) || errno == EEXIST)
        errno = 0;
    if (errno)
        return false;
    sprintf(hot_path, "%s/hot", path);
    sprintf(new_path, "%s/new", path);
    sprintf(renamed_path, "%s/renamed", path);
    sprintf(folder, "%s/folder", path);
    return true;
}

static void setup_hot(void)
{
    if (!buffer)
        buffer = malloc(MIB);
    memset(buffer, 'x', MIB);
    hot = must(open(hot_path, O_RDWR | O_CREAT | O_TRUNC, 0644), "open");
    if (write(hot, buffer, MIB) != (ssize_t)MIB)
        fail("write");
}

static void teardown_hot(void)
{
    close(hot);
    unlink(hot_path);
}

static void run_open(uint64_t n)
{
    while (n--)
        must(close(must(open(hot_path, O_RDONLY), "open")), "close");
}

static void run_stat(uint64_t n)
{
    struct stat s;
    while (n--)
        must(stat(hot_path, &s), "stat");
}

static void run_fstat(uint64_t n)
{
    struct stat s;
    while (n--)
        must(fstat(hot, &s), "fstat");
}

static void run_read_4k(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (pread(hot, buffer, 4096, (off_t)(i % 256 * 4096)) != 4096)
            fail("pread");
}

static void run_read_1m(uint64_t n)
{
    while (n--)
        if (pread(hot, buffer, MIB, 0) != (ssize_t)MIB)
            fail("pread");
}

static void run_write_4k(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (pwrite(hot, buffer, 4096, (off_t)(i % 256 * 4096)) != 4096)
            fail("pwrite");
}

/* The file starts anew after 16 MiB, which is part of the figure: 1/4,096 of a truncation of as
 * much. */
static void run_append(uint64_t n)
{
    must(lseek(hot, 0, SEEK_END), "lseek");
    for (uint64_t i = 1; i <= n; i++) {
        if (write(hot, buffer, 4096) != 4096)
            fail("write");
        if (i % 4096 == 0) {
            must(ftruncate(hot, 0), "ftruncate");
            must(lseek(hot, 0, SEEK_SET), "lseek");
        }
    }
    must(ftruncate(hot, 0), "ftruncate");
}

static void run_write_fsync(uint64_t n)
{
    while (n--) {
        if (pwrite(hot, buffer, 4096, 0) != 4096)
            fail("pwrite");
        must(fsync(hot), "fsync");
    }
}

static void run_create(uint64_t n)
{
    while (n--) {
        close(must(open(new_path, O_RDWR | O_CREAT | O_EXCL, 0644), "open"));
        must(unlink(new_path), "unlink");
    }
}

static void setup_rename(void)
{
    close(must(open(new_path, O_RDWR | O_CREAT | O_TRUNC, 0644), "open"));
}

/* There and back: two renames each. */
static void run_rename(uint64_t n)
{
    while (n--) {
        must(rename(new_path, renamed_path), "rename");
        must(rename(renamed_path, new_path), "rename");
    }
}

static void teardown_rename(void)
{
    unlink(new_path);
    unlink(renamed_path);
}

#define ENTRIES 1000

static void entry(char *name, int i)
{
    snprintf(name, PATH_ROOM, "%s/an-entry-with-a-name-%04d", folder, i);
}

static void setup_folder(void)
{
    char name[PATH_ROOM];
    must(mkdir(folder, 0755), "mkdir");
    for (int i = 0; i < ENTRIES; i++) {
        entry(name, i);
        close(must(open(name, O_WRONLY | O_CREAT, 0644), "open"));
    }
}

static void run_readdir(uint64_t n)
{
    static char records[32768];
    while (n--) {
        int fd = must(open(folder, O_RDONLY | O_DIRECTORY), "open");
        while (must(syscall(SYS_getdents64, fd, records, sizeof records), "getdents64") > 0)
            ;
        close(fd);
    }
}

static void teardown_folder(void)
{
    char name[PATH_ROOM];
    for (int i = 0; i < ENTRIES; i++) {
        entry(name, i);
        unlink(name);
    }
    rmdir(folder);
}

#define COLD_MIB 64

static void setup_cold(void)
{
    setup_hot();
    for (int i = 1; i < COLD_MIB; i++)
        if (write(hot, buffer, MIB) != (ssize_t)MIB)
            fail("write");
    must(fsync(hot), "fsync");
}

/* From the first byte to the last, after the system was told to forget them. */
static void run_cold(uint64_t n)
{
    while (n--) {
        errno = posix_fadvise(hot, 0, 0, POSIX_FADV_DONTNEED);
        if (errno)
            fail("posix_fadvise");
        for (uint64_t at = 0; at < COLD_MIB * MIB; at += 128 << 10)
            if (pread(hot, buffer, 128 << 10, (off_t)at) != 128 << 10)
                fail("pread");
    }
}

const struct row file_rows[] = {
    {"open_close", setup_hot, run_open, teardown_hot, 0},
    {"stat", setup_hot, run_stat, teardown_hot, 0},
    {"fstat", setup_hot, run_fstat, teardown_hot, 0},
    {"read_4k", setup_hot, run_read_4k, teardown_hot, 0},
    {"read_1m", setup_hot, run_read_1m, teardown_hot, 0},
    {"write_4k", setup_hot, run_write_4k, teardown_hot, 0},
    {"append_4k", setup_hot, run_append, teardown_hot, 0},
    {"write_fsync", setup_hot, run_write_fsync, teardown_hot, 0},
    {"create_unlink", NULL, run_create, NULL, 0},
    {"rename_twice", setup_rename, run_rename, teardown_rename, 0},
    {"readdir_1000", setup_folder, run_readdir, teardown_folder, 0},
    {0},
};

/* Not for a file system in memory. */
const struct row disk_rows[] = {
    {"read_cold_64m", setup_cold, run_cold, teardown_hot, 0},
    {0},
};
