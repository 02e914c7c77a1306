/* SPDX-License-Identifier: MIT */
/*
 * A disk as a file, for tests/system/disk.sh: /dev/vda has 1 MiB, known bytes and no file system;
 * /dev/vdb1 is mounted on /mnt/vdb1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SIZE (1 << 20)
#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("raw.c:%d: %s is false (errno %d)\n", __LINE__, #condition, errno); \
            exit(1); \
        } \
    } while (0)

static unsigned char before[SIZE], after[SIZE];

static void check_whole(int fd)
{
    CHECK(pread(fd, after, SIZE, 0) == SIZE);
    CHECK(!memcmp(before, after, SIZE));
}

static void write_at(int fd, off_t offset, size_t size, int byte)
{
    static unsigned char bytes[200000];
    memset(bytes, byte, size);
    memset(before + offset, byte, size);
    CHECK(pwrite(fd, bytes, size, offset) == (ssize_t)size);
}

static void check_numbers(int fd)
{
    struct stat st;
    uint64_t bytes = 0;
    unsigned long sectors = 0;
    int sector = 0, read_only = -1;
    CHECK(!fstat(fd, &st) && S_ISBLK(st.st_mode) && major(st.st_rdev) && minor(st.st_rdev) == 0);
    CHECK(lseek(fd, 0, SEEK_END) == SIZE && lseek(fd, 0, SEEK_SET) == 0);
    CHECK(!ioctl(fd, BLKGETSIZE64, &bytes) && bytes == SIZE);
    CHECK(!ioctl(fd, BLKGETSIZE, &sectors) && sectors == SIZE / 512);
    CHECK(!ioctl(fd, BLKSSZGET, &sector) && sector == 512);
    CHECK(!ioctl(fd, BLKROGET, &read_only) && read_only == 0);
}

static void check_edges(int fd)
{
    CHECK(pread(fd, after, 1000, SIZE - 10) == 10 && !memcmp(after, before + SIZE - 10, 10));
    CHECK(pread(fd, after, 1000, SIZE) == 0 && pread(fd, after, 1000, SIZE + 5000) == 0);
    write_at(fd, SIZE - 5, 5, 'e');
    CHECK(pwrite(fd, "0123456789", 10, SIZE - 5) == 5);
    memcpy(before + SIZE - 5, "01234", 5);
    CHECK(pwrite(fd, "x", 1, SIZE) == -1 && errno == ENOSPC);
}

int main(void)
{
    int fd = open("/dev/vda", O_RDWR);
    CHECK(fd >= 0);
    CHECK(read(fd, before, SIZE) == SIZE && lseek(fd, 0, SEEK_CUR) == SIZE);
    check_numbers(fd);
    write_at(fd, 0, 512, 'a');
    write_at(fd, 1000, 1, 'b');
    write_at(fd, 5000, 3000, 'c');
    write_at(fd, 100001, 199999, 'd');
    check_edges(fd);
    check_whole(fd);
    CHECK(!fsync(fd) && !close(fd));
    fd = open("/dev/vdb", O_RDONLY);
    CHECK(fd >= 0 && pread(fd, after, 8, 512) == 8 && !memcmp(after, "EFI PART", 8));
    CHECK(write(fd, "x", 1) == -1 && errno == EBADF && !close(fd));
    CHECK(open("/dev/vdb1", O_RDWR) == -1 && errno == EBUSY);
    CHECK(open("/dev/vdb", O_WRONLY) == -1 && errno == EBUSY);
    CHECK(open("/dev/vdb2", O_RDWR) >= 0);
    CHECK(open("/dev/vdc", O_RDONLY) == -1 && errno == ENOENT);
    puts("ok");
    return 0;
}
