/* SPDX-License-Identifier: MIT */
/*
 * small_files FOLDER COUNT: what git does with its objects: COUNT small files in 256 folders, each
 * written under another name and renamed; all listed and read; renamed once more; removed. Twice,
 * after which the file system has as many free blocks and inodes as before. Tells how long each
 * part took.
 */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define FOLDERS 256u

static uint32_t count;

static uint64_t mixed(uint64_t i)
{
    i = (i + 1) * 0x9e3779b97f4a7c15ull;
    return (i ^ i >> 29) * 0xbf58476d1ce4e5b9ull;
}

/* An object's name: its folder, and 16 digits more. */
static void name_of(uint32_t i, const char *end, char *to)
{
    uint64_t h = mixed(i);
    sprintf(to, "%02x/%016llx%s", (unsigned)(h >> 56), (unsigned long long)h, end);
}

static size_t fill(uint32_t i, char *to)
{
    size_t size = 20 + mixed(i) % 300;
    for (size_t at = 0; at < size; at++)
        to[at] = (char)(i * 31 + at * 7);
    return size;
}

static void make_all(void)
{
    char name[64], temporary[64], bytes[512];
    for (uint32_t i = 0; i < FOLDERS; i++) {
        sprintf(name, "%02x", i);
        CHECK(!mkdir(name, 0755));
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t size = fill(i, bytes);
        name_of(i, "", name);
        sprintf(temporary, "%.2s/tmp_obj_%u", name, i % 100);
        int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0444);
        CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && !close(fd));
        CHECK(!rename(temporary, name));
    }
}

static void list_all(void)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < FOLDERS; i++) {
        char name[64];
        sprintf(name, "%02x", i);
        DIR *d = opendir(name);
        CHECK(d);
        for (struct dirent *e; (e = readdir(d));)
            found += e->d_name[0] != '.';
        CHECK(!closedir(d));
    }
    CHECK(found == count);
}

static void read_all(void)
{
    char name[64], bytes[512], right[512];
    for (uint32_t i = 0; i < count; i++) {
        struct stat st;
        size_t size = fill(i, right);
        name_of(i, "", name);
        int fd = open(name, O_RDONLY);
        CHECK(fd >= 0 && !fstat(fd, &st) && st.st_size == (off_t)size);
        CHECK(read(fd, bytes, sizeof bytes) == (ssize_t)size && !memcmp(bytes, right, size));
        CHECK(!close(fd));
    }
}

static void rename_all(void)
{
    char name[64], other[64];
    for (uint32_t i = 0; i < count; i++) {
        name_of(i, "", name);
        name_of(i, ".old", other);
        CHECK(!rename(name, other));
    }
}

static void remove_all(void)
{
    char name[64];
    for (uint32_t i = 0; i < count; i++) {
        name_of(i, ".old", name);
        CHECK(!unlink(name));
    }
    for (uint32_t i = 0; i < FOLDERS; i++) {
        sprintf(name, "%02x", i);
        CHECK(!rmdir(name));
    }
    sync();
}

static void timed(const char *what, void (*function)(void))
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    function();
    clock_gettime(CLOCK_MONOTONIC, &b);
    double us = (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3;
    fprintf(stderr, "%s: %.1f us each\n", what, us / count);
}

static void one_round(void)
{
    struct statvfs before, after;
    sync();
    CHECK(!statvfs(".", &before));
    CHECK(!mkdir("objects", 0755) && !chdir("objects"));
    timed("make", make_all);
    timed("list", list_all);
    timed("read", read_all);
    timed("rename", rename_all);
    timed("remove", remove_all);
    CHECK(!chdir("..") && !rmdir("objects"));
    sync();
    CHECK(!statvfs(".", &after) && after.f_ffree == before.f_ffree);
    CHECK(after.f_bfree == before.f_bfree);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3 && !chdir(argv[1]) && (count = (uint32_t)atoi(argv[2])));
    one_round();
    one_round();
    puts("ok");
    return 0;
}
