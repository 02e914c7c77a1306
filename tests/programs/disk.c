/* SPDX-License-Identifier: MIT */
/*
 * For tests/system/disk.sh, on a disk at /mnt/vda.
 *
 *   disk work       what programs do with files; each call is checked
 *   disk fill       until the disk is full, and then empty again
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
#include <unistd.h>

static char buffer[65536];

static void fill(unsigned seed, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buffer[i] = (char)(seed * 31 + i * 7 + (i >> 8));
}

static int make(const char *name, int flags)
{
    int fd = open(name, O_CREAT | O_RDWR | flags, 0644);
    CHECK(fd >= 0);
    return fd;
}

static void many_files(void)
{
    char name[64], to[64];
    int count = 0;
    CHECK(!mkdir("many", 0755));
    for (int i = 0; i < 400; i++) {
        sprintf(name, "many/file-%d", i);
        int fd = make(name, O_EXCL), n = sprintf(buffer, "file %d\n", i);
        CHECK(write(fd, buffer, (size_t)n) == n && !close(fd));
    }
    for (int i = 0; i < 400; i += 4) {
        sprintf(name, "many/file-%d", i);
        CHECK(!unlink(name));
        sprintf(name, "many/file-%d", i + 1);
        sprintf(to, "many/renamed-%d", i + 1);
        CHECK(!rename(name, to));
    }
    DIR *d = opendir("many");
    CHECK(d);
    while (readdir(d))
        count++;
    CHECK(!closedir(d) && count == 302);
    errno = 0;
    CHECK(rmdir("many") && errno == ENOTEMPTY);
}

static void large_file(void)
{
    struct stat st;
    int fd = make("large", 0);
    for (unsigned i = 0; i < 60; i++) {
        fill(i, sizeof buffer);
        CHECK(write(fd, buffer, sizeof buffer) == (ssize_t)sizeof buffer);
    }
    CHECK(!fsync(fd));
    for (unsigned i = 0; i < 60; i += 7) {
        char byte;
        fill(i, 100);
        CHECK(pread(fd, &byte, 1, (off_t)(i * sizeof buffer + 99)) == 1 && byte == buffer[99]);
    }
    CHECK(!ftruncate(fd, 3000001) && !fstat(fd, &st) && st.st_size == 3000001);
    CHECK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100000, 1000000));
    CHECK(pread(fd, buffer, 1000, 500000) == 1000 && !buffer[0] && !buffer[999]);
    CHECK(!fstat(fd, &st) && st.st_blocks * 512 < 2200000 && !close(fd));
}

/* What the cache forgets is on the disk; what is not there yet it does not forget. */
static void forgotten(void)
{
    int fd = make("forgotten", 0);
    for (unsigned i = 0; i < 8; i++) {
        fill(i, sizeof buffer);
        CHECK(write(fd, buffer, sizeof buffer) == (ssize_t)sizeof buffer);
        CHECK(i % 2 || !fsync(fd));
        CHECK(!posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    }
    CHECK(!posix_fadvise(fd, 100, 70000, POSIX_FADV_DONTNEED));
    for (unsigned i = 0; i < 8; i++) {
        char bytes[100];
        fill(i, sizeof buffer);
        CHECK(pread(fd, bytes, 100, (off_t)(i * sizeof buffer + 60000)) == 100);
        CHECK(!memcmp(bytes, buffer + 60000, 100));
    }
    CHECK(!close(fd));
}

static void attributes(void)
{
    struct stat st;
    struct timespec times[2] = {{1600000000, 1}, {1700000000, 123456789}};
    int fd = make("attributes", 0);
    CHECK(!fchown(fd, 70000, 80000) && !fchmod(fd, 04751));
    CHECK(!futimens(fd, times) && !fstat(fd, &st));
    CHECK(st.st_mtim.tv_sec == 1700000000 && st.st_mtim.tv_nsec == 123456789);
    CHECK(st.st_uid == 70000 && st.st_gid == 80000);
    CHECK(!link("attributes", "again") && !stat("again", &st) && st.st_nlink == 2);
    CHECK(!symlink("many/renamed-1", "short") && !stat("short", &st) && st.st_size == 7);
    memset(buffer, 'x', 300);
    buffer[300] = 0;
    CHECK(!symlink(buffer, "long") && readlink("long", buffer + 1000, 1000) == 300);
    CHECK(!close(fd));
}

static void removed_but_open(void)
{
    struct stat st;
    int fd = make("gone", 0);
    CHECK(!unlink("gone") && write(fd, "still", 5) == 5);
    CHECK(pread(fd, buffer, 5, 0) == 5 && !memcmp(buffer, "still", 5));
    CHECK(!fstat(fd, &st) && !st.st_nlink && !close(fd));
}

static void work(void)
{
    struct statvfs before;
    CHECK(!statvfs(".", &before) && before.f_bfree < before.f_blocks && before.f_ffree);
    many_files();
    large_file();
    forgotten();
    attributes();
    removed_but_open();
    CHECK(!mkdir("deep", 0700) && !mkdir("deep/er", 0700) && !chdir("deep/er"));
    CHECK(getcwd(buffer, sizeof buffer) && !strcmp(buffer, "/mnt/vda/deep/er"));
    CHECK(!chdir("../.."));
    errno = 0;
    CHECK(rename("deep", "deep/er/down") && errno == EINVAL);
    sync();
}

static void full(void)
{
    struct statvfs st;
    int fd = make("filler", 0);
    ssize_t n;
    while ((n = write(fd, buffer, sizeof buffer)) > 0)
        ;
    CHECK(n < 0 && errno == ENOSPC && !statvfs(".", &st) && st.f_bfree < 64);
    CHECK(mkdir("none", 0755) < 0 && errno == ENOSPC);
    CHECK(!close(fd) && !unlink("filler") && !mkdir("none", 0755) && !rmdir("none"));
}

int main(int argc, char **argv)
{
    CHECK(argc > 1 && !chdir("/mnt/vda"));
    if (!strcmp(argv[1], "work"))
        work();
    else
        full();
    printf("ok\n");
    return 0;
}
