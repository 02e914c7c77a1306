/* SPDX-License-Identifier: MIT */
/*
 * Paths that are asked for again and again, which a system may answer from memory: whatever happens
 * to the names on the way, or to the file, is seen by the next stat().
 */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define TOP   "/tmp/hot-names"
#define NAME  TOP "/folder/file"
#define OTHER TOP "/other"
#define TIMES 30

static void make(const char *path, off_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0 && ftruncate(fd, size) == 0 && close(fd) == 0);
}

/* Its size, the same each time. */
static off_t size_of(const char *path)
{
    struct stat s;
    off_t size = -1;
    for (int i = 0; i < TIMES; i++) {
        off_t now = stat(path, &s) == 0 ? s.st_size : -errno;
        CHECK(i == 0 || now == size);
        size = now;
    }
    return size;
}

static void test_names(void)
{
    CHECK(mkdir(TOP, 0755) == 0 && mkdir(TOP "/folder", 0755) == 0);
    CHECK(size_of(NAME) == -ENOENT);
    make(NAME, 1);
    make(OTHER, 2);
    CHECK(size_of(NAME) == 1 && size_of(OTHER) == 2);
    CHECK(rename(OTHER, NAME) == 0);
    CHECK(size_of(NAME) == 2 && size_of(OTHER) == -ENOENT);
    CHECK(unlink(NAME) == 0);
    CHECK(size_of(NAME) == -ENOENT);
    make(NAME, 3);
    CHECK(size_of(NAME) == 3);
    CHECK(rename(TOP "/folder", TOP "/moved") == 0);
    CHECK(size_of(NAME) == -ENOENT && size_of(TOP "/moved/file") == 3);
    CHECK(mkdir(TOP "/folder", 0755) == 0);
    make(NAME, 4);
    CHECK(size_of(NAME) == 4);
}

static void test_symlinks(void)
{
    struct stat s;
    make(OTHER, 5);
    CHECK(symlink(NAME, TOP "/link") == 0 && size_of(TOP "/link") == 4);
    CHECK(unlink(TOP "/link") == 0 && symlink(OTHER, TOP "/link") == 0);
    CHECK(size_of(TOP "/link") == 5);
    CHECK(lstat(TOP "/link", &s) == 0 && S_ISLNK(s.st_mode));
    CHECK(unlink(TOP "/link") == 0 && symlink("/proc/self/fd/9", TOP "/link") == 0);
    int first = open(NAME, O_RDONLY), second = open(OTHER, O_RDONLY);
    CHECK(dup2(first, 9) == 9 && size_of(TOP "/link") == 4);
    CHECK(dup2(second, 9) == 9 && size_of(TOP "/link") == 5);
    CHECK(close(first) == 0 && close(second) == 0 && close(9) == 0);
    CHECK(size_of(TOP "/link") == -ENOENT && unlink(TOP "/link") == 0);
}

static void test_attributes(void)
{
    struct stat s;
    CHECK(size_of(NAME) == 4);
    CHECK(truncate(NAME, 6) == 0 && size_of(NAME) == 6);
    int fd = open(NAME, O_WRONLY | O_APPEND);
    for (int i = 7; i < 40; i++)
        CHECK(write(fd, "x", 1) == 1 && size_of(NAME) == i);
    close(fd);
    CHECK(chmod(NAME, 0640) == 0 && stat(NAME, &s) == 0 && (s.st_mode & 07777) == 0640);
    CHECK(link(NAME, TOP "/second") == 0 && stat(NAME, &s) == 0 && s.st_nlink == 2);
    CHECK(unlink(TOP "/second") == 0 && stat(NAME, &s) == 0 && s.st_nlink == 1);
    CHECK(stat(TOP "/folder", &s) == 0 && S_ISDIR(s.st_mode) && size_of(TOP "/folder") >= 0);
    nlink_t before = s.st_nlink;
    CHECK(mkdir(TOP "/folder/sub", 0755) == 0 && stat(TOP "/folder", &s) == 0);
    CHECK(s.st_nlink == before + 1 || s.st_nlink == 1);
    CHECK(rmdir(TOP "/folder/sub") == 0);
}

/* Another process changes a name, and another user may not go there. */
static void test_processes(void)
{
    int status;
    CHECK(size_of(NAME) == 39);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(size_of(NAME) == 39 && unlink(NAME) == 0 && size_of(NAME) == -ENOENT);
        make(NAME, 8);
        CHECK(size_of(NAME) == 8);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(size_of(NAME) == 8);
    if (geteuid() != 0)
        return;
    CHECK(chmod(TOP "/folder", 0700) == 0 && size_of(NAME) == 8);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
        CHECK(size_of(NAME) == -EACCES);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* More names than anybody remembers. */
static void test_many(void)
{
    char name[64];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, TOP "/many-%d", i);
        make(name, 100 + i);
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, TOP "/many-%d", i);
            CHECK(size_of(name) == 100 + i);
        }
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, TOP "/many-%d", i);
        CHECK(unlink(name) == 0 && size_of(name) == -ENOENT);
    }
}

int main(void)
{
    if (system("rm -rf " TOP) != 0) /* of a run before; without a shell there is none */
        errno = 0;
    test_names();
    test_symlinks();
    test_attributes();
    test_processes();
    test_many();
    CHECK(unlink(NAME) == 0 && unlink(OTHER) == 0 && unlink(TOP "/moved/file") == 0);
    CHECK(rmdir(TOP "/folder") == 0 && rmdir(TOP "/moved") == 0 && rmdir(TOP) == 0);
    return 0;
}
