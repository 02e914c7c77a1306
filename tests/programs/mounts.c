/* SPDX-License-Identifier: MIT */
/*
 * For tests/system/mounts.sh: mount(2) and umount2(2), with ext4 on /dev/vda, which is mounted on
 * /mnt/vda at start.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILS(call, error) CHECK((call) == -1 && errno == (error))

static int make(const char *name, const char *text)
{
    int fd = open(name, O_CREAT | O_RDWR, 0755);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    return fd;
}

/* The line of /proc/mounts with " on " in it. */
static const char *line_of(const char *path)
{
    static char line[256];
    char wanted[64];
    FILE *f = fopen("/proc/mounts", "r");
    sprintf(wanted, " %s ", path);
    while (fgets(line, sizeof line, f))
        if (strstr(line, wanted)) {
            fclose(f);
            return line;
        }
    fclose(f);
    return "";
}

static void refused(void)
{
    CHECK(!mkdir("/m", 0755) && !close(make("/f", "x")));
    FAILS(mount("/dev/vda", "/m", "ext4", 0, NULL), EBUSY);
    FAILS(mount("/dev/none", "/m", "ext4", 0, NULL), ENOENT);
    FAILS(mount("none", "/m", "nonesuch", 0, NULL), ENODEV);
    FAILS(mount("none", "/f", "tmpfs", 0, NULL), ENOTDIR);
    FAILS(mount("none", "/nowhere", "tmpfs", 0, NULL), ENOENT);
    FAILS(mount("none", "/m", "tmpfs", 0, "what=1"), EINVAL);
    FAILS(mount("none", "/m", NULL, MS_REMOUNT, NULL), EINVAL);
    FAILS(umount("/m"), EINVAL);
    FAILS(umount("/nowhere"), ENOENT);
    FAILS(umount("/"), EBUSY);
    FAILS(umount2("/mnt/vda", 0x100), EINVAL);
    pid_t child = fork();
    if (!child) {
        CHECK(!setuid(1000));
        FAILS(umount("/mnt/vda"), EPERM);
        FAILS(mount("none", "/m", "tmpfs", 0, NULL), EPERM);
        exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && !status);
}

/* Everything that keeps a file system busy, one after the other. */
static void busy(void)
{
    int fd = make("/mnt/vda/file", "hello");
    FAILS(umount("/mnt/vda"), EBUSY);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED && !close(fd));
    FAILS(umount("/mnt/vda"), EBUSY);
    map[0] = 'j';
    CHECK(!munmap(map, 4096) && !chdir("/mnt/vda"));
    FAILS(umount("/mnt/vda"), EBUSY);
    CHECK(!mkdir("below", 0755) && !mount("none", "below", "tmpfs", 0, "mode=700"));
    CHECK(!chdir("/"));
    FAILS(umount("/mnt/vda"), EBUSY);
    CHECK(!umount("/mnt/vda/below") && !umount("/mnt/vda"));
    CHECK(!*line_of("/mnt/vda"));
    FAILS(access("/mnt/vda/file", F_OK), ENOENT);
}

/* While a device is mounted, its bytes are the file system's, whoever opened it before. */
static void device(void)
{
    char sector[512]; /* the first, which ext4 leaves alone */
    int fd = open("/dev/vda", O_RDWR);
    CHECK(fd >= 0 && pread(fd, sector, 512, 0) == 512 && pwrite(fd, sector, 512, 0) == 512);
    CHECK(!mount("/dev/vda", "/m", "ext4", MS_RDONLY, NULL));
    FAILS(pwrite(fd, sector, 512, 0), EBUSY);
    FAILS(open("/dev/vda", O_RDWR), EBUSY);
    CHECK(pread(fd, sector, 512, 0) == 512);
    CHECK(!umount("/m") && pwrite(fd, sector, 512, 0) == 512 && !close(fd));
}

static void options(void)
{
    struct statvfs st;
    char text[8] = "";
    CHECK(!mount("/dev/vda", "/m", "ext4", MS_RDONLY, NULL));
    CHECK(!strncmp(line_of("/m"), "/dev/vda /m ext4 ro,relatime", 28));
    int fd = open("/m/file", O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, 5) == 5 && !strcmp(text, "jello") && !close(fd));
    FAILS(open("/m/file", O_RDWR), EROFS);
    FAILS(unlink("/m/file"), EROFS);
    CHECK(!statvfs("/m", &st) && (st.f_flag & ST_RDONLY) && st.f_blocks);
    CHECK(!mount(NULL, "/m", NULL, MS_REMOUNT | MS_NOEXEC | MS_NOATIME, NULL));
    CHECK(strstr(line_of("/m"), " rw,noexec,noatime "));
    FAILS(access("/m/none", F_OK), ENOENT);
    fd = open("/m/file", O_RDWR);
    CHECK(fd >= 0 && pwrite(fd, "c", 1, 0) == 1);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED);
    CHECK(errno == EPERM);
    FAILS(execl("/m/file", "file", NULL), EACCES);
    FAILS(mount(NULL, "/m", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED && !close(fd)); /* who may write by a mapping is a writer, too */
    FAILS(mount(NULL, "/m", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY);
    map[1] = 'e';
    CHECK(!munmap(map, 4096));
    fd = open("/m/file", O_RDONLY); /* one that only reads keeps nobody from it */
    map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED && !memcmp(map, "cello", 5));
    CHECK(!close(fd) && !mount(NULL, "/m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
    FAILS(open("/m/new", O_CREAT | O_RDWR, 0600), EROFS);
    CHECK(!munmap(map, 4096) && !umount("/m"));
}

/* Detached, it goes with its last file. */
static void lazy(void)
{
    char text[8] = "";
    CHECK(!mount("/dev/vda", "/m", "ext4", 0, NULL));
    int fd = make("/m/lazy", "still");
    CHECK(!umount2("/m", MNT_DETACH));
    FAILS(access("/m/lazy", F_OK), ENOENT);
    FAILS(mount("/dev/vda", "/m", "ext4", 0, NULL), EBUSY);
    CHECK(pread(fd, text, 5, 0) == 5 && !strcmp(text, "still"));
    CHECK(!close(fd));
    CHECK(!mount("/dev/vda", "/m", "ext4", 0, NULL));
    CHECK(!access("/m/lazy", R_OK) && !umount("/m"));
}

static void memory(void)
{
    char name[64];
    struct stat st;
    for (int round = 0; round < 3; round++) {
        CHECK(!mount("things", "/m", "tmpfs", MS_NOSUID, "mode=750,size=1m"));
        CHECK(!stat("/m", &st) && (st.st_mode & 07777) == 0750);
        CHECK(!strncmp(line_of("/m"), "things /m tmpfs rw,nosuid", 25));
        for (int i = 0; i < 50; i++) {
            sprintf(name, "/m/d%d", i);
            CHECK(!mkdir(name, 0755));
            sprintf(name, "/m/d%d/file", i);
            CHECK(!close(make(name, name)));
        }
        CHECK(!mount("more", "/m", "tmpfs", 0, NULL));
        FAILS(access("/m/d1", F_OK), ENOENT);
        CHECK(!umount("/m") && !access("/m/d1/file", F_OK) && !umount("/m"));
    }
}

/* What a tmpfs may hold is what it was told when it was mounted. */
static void limits(void)
{
    static char block[65536];
    struct statvfs st;
    char name[64];
    int made = 0;
    FAILS(mount("x", "/m", "tmpfs", 0, "size=1q"), EINVAL);
    FAILS(mount("x", "/m", "tmpfs", 0, "size="), EINVAL);
    FAILS(mount("x", "/m", "tmpfs", 0, "size=99999999999999999999"), EINVAL);
    FAILS(mount("x", "/m", "tmpfs", 0, "nr_inodes=5%"), EINVAL);
    FAILS(mount("x", "/m", "tmpfs", 0, "weight=3"), EINVAL);
    CHECK(!mount("x", "/m", "tmpfs", 0, "size=512k,nr_inodes=20"));
    CHECK(!statvfs("/m", &st) && st.f_blocks == 128 && st.f_bfree == 128 && st.f_files == 20);
    int fd = open("/m/full", O_CREAT | O_RDWR, 0600);
    for (int i = 0; i < 8; i++)
        CHECK(write(fd, block, sizeof block) == (ssize_t)sizeof block);
    CHECK(write(fd, block, 1) == -1 && errno == ENOSPC);
    CHECK(!statvfs("/m", &st) && !st.f_bfree && !st.f_bavail);
    CHECK(!ftruncate(fd, 4096) && pwrite(fd, block, 4096, 4096) == 4096);
    for (; made < 30; made++) {
        sprintf(name, "/m/%d", made);
        if (mkdir(name, 0700))
            break;
    }
    CHECK(errno == ENOSPC && made == 18); /* the root and the file are there */
    CHECK(!statvfs("/m", &st) && !st.f_ffree);
    CHECK(!rmdir("/m/3") && !mkdir("/m/again", 0700));
    FAILS(mount(NULL, "/m", NULL, MS_REMOUNT, "size=4k"), EINVAL); /* less than there is */
    FAILS(mount(NULL, "/m", NULL, MS_REMOUNT, "weight=3"), EINVAL);
    CHECK(!mount(NULL, "/m", NULL, MS_REMOUNT, "size=1m,nr_inodes=30"));
    CHECK(!statvfs("/m", &st) && st.f_blocks == 256 && st.f_files == 30);
    CHECK(ftruncate(fd, 0) == 0);
    for (int i = 0; i < 16; i++)
        CHECK(pwrite(fd, block, sizeof block, i * (off_t)sizeof block) == (ssize_t)sizeof block);
    FAILS(pwrite(fd, block, 1, 1 << 20), ENOSPC);
    CHECK(!mkdir("/m/more", 0700));
    CHECK(!mount(NULL, "/m", NULL, MS_REMOUNT | MS_NOSUID, NULL)); /* the limits stay */
    CHECK(!statvfs("/m", &st) && st.f_blocks == 256 && st.f_files == 30);
    CHECK(!close(make("/tmp/beside", "others have room")));
    CHECK(!close(fd) && !umount("/m"));
    CHECK(!mount("x", "/m", "tmpfs", 0, "size=10%") && !statvfs("/m", &st));
    CHECK(st.f_blocks > 1000 && !umount("/m"));
}

/* nodev: device files are there, but open none. noexec and nosuid: see options() and memory(). */
static void no_devices(void)
{
    struct statvfs st;
    CHECK(!mount("x", "/m", "tmpfs", MS_NODEV, NULL));
    CHECK(!statvfs("/m", &st) && st.f_flag & ST_NODEV);
    CHECK(!mknod("/m/null", S_IFCHR | 0666, makedev(1, 3)));
    FAILS(open("/m/null", O_RDONLY), EACCES);
    int fd = open("/m/null", O_PATH);
    CHECK(fd >= 0 && !close(fd) && !umount("/m"));
}

int main(void)
{
    refused();
    busy();
    device();
    options();
    lazy();
    memory();
    limits();
    no_devices();
    puts("ok");
    return 0;
}
