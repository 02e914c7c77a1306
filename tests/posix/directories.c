/* SPDX-License-Identifier: MIT */
/* Names: directories, listing, links, symlinks, rename, working directory, and the *at forms. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "check.h"

static char dir[] = "/tmp/dirsXXXXXX";

static void touch(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    CHECK(fd >= 0);
    close(fd);
}

static ino_t inode(const char *name)
{
    struct stat st;
    CHECK(lstat(name, &st) == 0);
    return st.st_ino;
}

static void make_and_remove(void)
{
    struct stat st;
    CHECK(mkdir("d", 0755) == 0 && stat("d", &st) == 0 && S_ISDIR(st.st_mode) && st.st_nlink >= 1);
    CHECK_ERRNO(mkdir("d", 0755), EEXIST);
    CHECK_ERRNO(mkdir("x/y", 0755), ENOENT);
    touch("d/f");
    CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
    CHECK_ERRNO(rmdir("d/f"), ENOTDIR);
    CHECK_ERRNO(unlink("d"), EISDIR);
    CHECK(unlink("d/f") == 0);
    CHECK_ERRNO(unlink("d/f"), ENOENT);
    CHECK(rmdir("d") == 0);
    CHECK_ERRNO(rmdir("."), EINVAL);
}

static void list(void)
{
    enum { COUNT = 500 };
    char name[32];
    static char seen[COUNT];
    CHECK(mkdir("l", 0755) == 0);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "l/entry-%d", i);
        touch(name);
    }
    DIR *d = opendir("l");
    CHECK(d);
    for (int round = 0; round < 2; round++) {
        int dots = 0, entries = 0, number;
        memset(seen, 0, sizeof seen);
        for (struct dirent *e; (e = readdir(d));) {
            if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) {
                dots++;
            } else {
                CHECK(sscanf(e->d_name, "entry-%d", &number) == 1 && !seen[number]);
                CHECK(e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
                seen[number] = 1;
                entries++;
            }
        }
        CHECK(dots == 2 && entries == COUNT);
        rewinddir(d);
    }
    /* Positions stay good while others are removed. */
    for (int i = 0; i < 10; i++)
        CHECK(readdir(d));
    long at = telldir(d);
    struct dirent *e = readdir(d);
    strcpy(name, e->d_name);
    seekdir(d, at);
    e = readdir(d);
    CHECK(e && !strcmp(name, e->d_name));
    closedir(d);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "l/entry-%d", i);
        CHECK(unlink(name) == 0);
    }
    CHECK(rmdir("l") == 0);
    CHECK(!opendir("l") && errno == ENOENT);
}

static void links(void)
{
    struct stat st;
    char text[PATH_MAX];
    touch("f");
    CHECK(link("f", "g") == 0 && inode("f") == inode("g") && stat("f", &st) == 0 &&
          st.st_nlink == 2);
    CHECK_ERRNO(link("f", "g"), EEXIST);
    CHECK_ERRNO(link("none", "h"), ENOENT);
    CHECK(unlink("g") == 0 && stat("f", &st) == 0 && st.st_nlink == 1);
    CHECK(symlink("f", "s") == 0 && lstat("s", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 1);
    CHECK(stat("s", &st) == 0 && S_ISREG(st.st_mode));
    CHECK(readlink("s", text, sizeof text) == 1 && text[0] == 'f');
    CHECK_ERRNO(readlink("f", text, sizeof text), EINVAL);
    CHECK_ERRNO(syscall(SYS_readlink, "s", text, 0), EINVAL); /* libc hides it */
    CHECK_ERRNO(open("s", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK(symlink("loop2", "loop1") == 0 && symlink("loop1", "loop2") == 0);
    CHECK_ERRNO(open("loop1", O_RDONLY), ELOOP);
    CHECK(symlink("nowhere", "dangling") == 0);
    CHECK_ERRNO(stat("dangling", &st), ENOENT);
    CHECK(unlink("s") == 0 && unlink("loop1") == 0 && unlink("loop2") == 0 &&
          unlink("dangling") == 0 && unlink("f") == 0);
}

static void renames(void)
{
    touch("a");
    ino_t ino = inode("a");
    CHECK(rename("a", "b") == 0 && inode("b") == ino);
    CHECK_ERRNO(rename("a", "c"), ENOENT);
    touch("c");
    CHECK(rename("b", "c") == 0 && inode("c") == ino);
    CHECK(rename("c", "c") == 0);
    CHECK(mkdir("d1", 0755) == 0 && mkdir("d2", 0755) == 0 && mkdir("d2/sub", 0755) == 0);
    CHECK_ERRNO(rename("c", "d1"), EISDIR);
    CHECK_ERRNO(rename("d1", "c"), ENOTDIR);
    CHECK_ERRNO(rename("d1", "d2"), ENOTEMPTY);
    CHECK_ERRNO(rename("d2", "d2/sub/x"), EINVAL);
    CHECK(rename("d1", "d2/moved") == 0 && rename("c", "d2/moved/c") == 0 &&
          inode("d2/moved/c") == ino);
    int fd = open("d2", O_RDONLY | O_DIRECTORY), other = open("d2/moved", O_RDONLY | O_DIRECTORY);
    CHECK(renameat(other, "c", fd, "back") == 0 && inode("d2/back") == ino);
    touch("d2/other");
    long result = syscall(SYS_renameat2, fd, "back", fd, "other", 1 /* RENAME_NOREPLACE */);
    CHECK(result == -1 && (errno == EEXIST || errno == ENOSYS || errno == EINVAL));
    close(fd);
    close(other);
    CHECK(unlink("d2/back") == 0 && unlink("d2/other") == 0 && rmdir("d2/moved") == 0 &&
          rmdir("d2/sub") == 0 && rmdir("d2") == 0);
}

static void at_forms(void)
{
    struct stat st, other;
    char text[64];
    CHECK(mkdir("at", 0755) == 0);
    int d = open("at", O_RDONLY | O_DIRECTORY);
    int fd = openat(d, "f", O_RDWR | O_CREAT, 0600);
    CHECK(d >= 0 && fd >= 0 && fstatat(d, "f", &st, 0) == 0 && stat("at/f", &other) == 0 &&
          st.st_ino == other.st_ino);
    CHECK(fstatat(fd, "", &other, AT_EMPTY_PATH) == 0 && st.st_ino == other.st_ino);
    CHECK_ERRNO(openat(fd, "x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(openat(-5, "x", O_RDONLY), EBADF);
    CHECK(openat(-5, "/dev/null", O_RDONLY) >= 0);
    CHECK(mkdirat(d, "sub", 0755) == 0 && symlinkat("f", d, "s") == 0);
    CHECK(readlinkat(d, "s", text, sizeof text) == 1);
    CHECK(linkat(d, "f", d, "h", 0) == 0 && fstatat(d, "h", &other, 0) == 0 &&
          st.st_ino == other.st_ino);
    CHECK(faccessat(d, "f", W_OK, 0) == 0 && fchmodat(d, "f", 0400, 0) == 0 &&
          fchownat(d, "f", -1, -1, 0) == 0);
    CHECK(unlinkat(d, "sub", AT_REMOVEDIR) == 0 && unlinkat(d, "s", 0) == 0 &&
          unlinkat(d, "h", 0) == 0 && unlinkat(d, "f", 0) == 0);
    CHECK_ERRNO(unlinkat(d, "f", 0x4000), EINVAL);
    close(fd);
    CHECK(rmdir("at") == 0);
    CHECK_ERRNO(openat(d, "f", O_CREAT | O_RDWR, 0600), ENOENT);
    close(d);
}

static void working_directory(void)
{
    char here[PATH_MAX], text[PATH_MAX];
    CHECK(getcwd(here, sizeof here) && !strncmp(here, "/tmp/dirs", 9));
    CHECK(mkdir("w", 0755) == 0 && mkdir("w/w2", 0755) == 0 && chdir("w/w2") == 0);
    CHECK(getcwd(text, sizeof text) && !strncmp(text, here, strlen(here)) &&
          !strcmp(text + strlen(here), "/w/w2"));
    CHECK(!getcwd(text, 5) && errno == ERANGE);
    touch("inside");
    int fd = open("../..", O_RDONLY);
    CHECK(fchdir(fd) == 0 && getcwd(text, sizeof text) && !strcmp(text, here));
    close(fd);
    CHECK(access("w/w2/inside", F_OK) == 0);
    CHECK_ERRNO(chdir("w/w2/inside"), ENOTDIR);
    CHECK_ERRNO(chdir("none"), ENOENT);
    CHECK(unlink("w/w2/inside") == 0 && rmdir("w/w2") == 0 && rmdir("w") == 0);
}

static void own_descriptors(void)
{
    char text[64], path[PATH_MAX], name[32];
    touch("open");
    int fd = open("open", O_RDWR);
    CHECK(write(fd, "data", 4) == 4);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    CHECK(realpath("open", path));
    ssize_t n = readlink(name, text, sizeof text);
    CHECK(n > 0 && (size_t)n == strlen(path) && !memcmp(text, path, (size_t)n));
    int again = open(name, O_RDONLY);
    CHECK(again >= 0 && read(again, text, 10) == 4);
    bool found = false;
    DIR *d = opendir("/proc/self/fd");
    CHECK(d);
    for (struct dirent *e; (e = readdir(d));)
        found |= atoi(e->d_name) == fd && e->d_name[0] != '.';
    CHECK(found);
    closedir(d);
    close(again);
    close(fd);
    CHECK(unlink("open") == 0);
}

int main(void)
{
    CHECK(mkdtemp(dir) && chdir(dir) == 0);
    make_and_remove();
    list();
    links();
    renames();
    at_forms();
    working_directory();
    own_descriptors();
    CHECK(chdir("/") == 0 && rmdir(dir) == 0);
    return 0;
}
