/* SPDX-License-Identifier: MIT */
/* Files on a file system in memory: what is hot costs no device. */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB    (1ul << 20)
#define HOT    CALLS_FOLDER "/hot"
#define FOLDER CALLS_FOLDER "/folder"

static int hot = -1;
static char *buffer;

static void setup_hot(void)
{
    if (!buffer)
        buffer = malloc(MIB);
    memset(buffer, 'x', MIB);
    hot = must(open(HOT, O_RDWR | O_CREAT | O_TRUNC, 0644), "open");
    if (write(hot, buffer, MIB) != (ssize_t)MIB)
        fail("write");
}

static void teardown_hot(void)
{
    close(hot);
    unlink(HOT);
}

static void run_open(uint64_t n)
{
    while (n--)
        must(close(must(open(HOT, O_RDONLY), "open")), "close");
}

static void run_stat(uint64_t n)
{
    struct stat s;
    while (n--)
        must(stat(HOT, &s), "stat");
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
        close(must(open(CALLS_FOLDER "/new", O_RDWR | O_CREAT | O_EXCL, 0644), "open"));
        must(unlink(CALLS_FOLDER "/new"), "unlink");
    }
}

#define ENTRIES 1000

static void entry(char *name, int i)
{
    sprintf(name, FOLDER "/an-entry-with-a-name-%04d", i);
}

static void setup_folder(void)
{
    char name[128];
    must(mkdir(FOLDER, 0755), "mkdir");
    for (int i = 0; i < ENTRIES; i++) {
        entry(name, i);
        close(must(open(name, O_WRONLY | O_CREAT, 0644), "open"));
    }
}

static void run_readdir(uint64_t n)
{
    static char records[32768];
    while (n--) {
        int fd = must(open(FOLDER, O_RDONLY | O_DIRECTORY), "open");
        while (must(syscall(SYS_getdents64, fd, records, sizeof records), "getdents64") > 0)
            ;
        close(fd);
    }
}

static void teardown_folder(void)
{
    char name[128];
    for (int i = 0; i < ENTRIES; i++) {
        entry(name, i);
        unlink(name);
    }
    rmdir(FOLDER);
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
    {"readdir_1000", setup_folder, run_readdir, teardown_folder, 0},
    {0},
};
