/* SPDX-License-Identifier: MIT */
/* Extended attributes: setxattr(2), getxattr(2), listxattr(2), removexattr(2) and xattr(7). */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static const char *folder = "/tmp"; /* or the program's argument: another file system */
static char path[64], link_path[80];
static char big[70000], *volatile bad = (char *)8;

static void finish(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status)
        FAILED("child: status %x", status);
}

/* Is it among the names? */
static int listed(const char *list, ssize_t size, const char *name)
{
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(list + at) + 1)
        if (!strcmp(list + at, name))
            return 1;
    return 0;
}

static void test_values(int fd)
{
    char value[64], list[256];
    struct stat before, after;
    CHECK(fstat(fd, &before) == 0);
    sleep_ms(20);
    CHECK_ERRNO(getxattr(path, "user.one", value, sizeof value), ENODATA);
    CHECK(setxattr(path, "user.one", "first", 5, 0) == 0);
    CHECK(fstat(fd, &after) == 0 && after.st_mtim.tv_nsec == before.st_mtim.tv_nsec &&
          (after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
           after.st_ctim.tv_nsec > before.st_ctim.tv_nsec));
    CHECK(getxattr(path, "user.one", value, sizeof value) == 5 && !memcmp(value, "first", 5));
    CHECK(fgetxattr(fd, "user.one", value, 5) == 5 && lgetxattr(path, "user.one", NULL, 0) == 5);
    CHECK_ERRNO(getxattr(path, "user.one", value, 4), ERANGE);
    CHECK(fsetxattr(fd, "user.one", "changed", 7, 0) == 0);
    CHECK(getxattr(path, "user.one", value, sizeof value) == 7 && !memcmp(value, "changed", 7));
    CHECK(setxattr(path, "user.empty", "", 0, 0) == 0);
    CHECK(getxattr(path, "user.empty", value, sizeof value) == 0);
    CHECK_ERRNO(setxattr(path, "user.one", "x", 1, XATTR_CREATE), EEXIST);
    CHECK_ERRNO(setxattr(path, "user.two", "x", 1, XATTR_REPLACE), ENODATA);
    CHECK(setxattr(path, "user.two", "x\0y", 3, XATTR_CREATE) == 0);
    CHECK(setxattr(path, "user.two", "x\0yz", 4, XATTR_REPLACE) == 0);
    CHECK(getxattr(path, "user.two", value, sizeof value) == 4 && !memcmp(value, "x\0yz", 4));
    ssize_t n = listxattr(path, list, sizeof list);
    CHECK(n >= 9 + 11 + 9 && listxattr(path, NULL, 0) == n && flistxattr(fd, list, (size_t)n) == n);
    CHECK(listed(list, n, "user.one") && listed(list, n, "user.two") &&
          listed(list, n, "user.empty") && !listed(list, n, "user.three"));
    CHECK_ERRNO(listxattr(path, list, (size_t)n - 1), ERANGE);
    CHECK(removexattr(path, "user.two") == 0);
    CHECK_ERRNO(removexattr(path, "user.two"), ENODATA);
    CHECK_ERRNO(getxattr(path, "user.two", value, sizeof value), ENODATA);
    n = llistxattr(path, list, sizeof list);
    CHECK(n > 0 && !listed(list, n, "user.two") && listed(list, n, "user.one"));
    CHECK(fremovexattr(fd, "user.empty") == 0);
    memset(big, 'b', sizeof big);
    CHECK(setxattr(path, "user.big", big, 2000, 0) == 0);
    CHECK(getxattr(path, "user.big", big + 3000, 65536) == 2000);
    CHECK(removexattr(path, "user.big") == 0);
    /* they belong to the file, not to a name of it */
    snprintf(link_path, sizeof link_path, "%s.link", path);
    CHECK(link(path, link_path) == 0);
    CHECK(getxattr(link_path, "user.one", value, sizeof value) == 7);
    CHECK(unlink(link_path) == 0);
}

static void test_errors(int fd)
{
    char value[64], name[300];
    int only = open(path, O_PATH), p[2];
    CHECK_ERRNO(setxattr(path, "nonsense", "x", 1, 0), EOPNOTSUPP);
    CHECK_ERRNO(setxattr(path, "what.ever", "x", 1, 0), EOPNOTSUPP);
    CHECK_ERRNO(getxattr(path, "what.ever", value, 1), EOPNOTSUPP);
    CHECK_ERRNO(setxattr(path, "user.", "x", 1, 0), EINVAL);
    CHECK_ERRNO(setxattr(path, "", "x", 1, 0), ERANGE);
    memset(name, 'n', sizeof name);
    memcpy(name, "user.", 5);
    name[256] = 0;
    CHECK_ERRNO(setxattr(path, name, "x", 1, 0), ERANGE);
    name[255] = 0;
    CHECK(setxattr(path, name, "x", 1, 0) == 0 && removexattr(path, name) == 0);
    CHECK_ERRNO(setxattr(path, "user.x", "x", 1, 4), EINVAL);
    CHECK_ERRNO(setxattr(path, "user.x", big, 65537, 0), E2BIG);
    CHECK_ERRNO(setxattr("/tmp/xattr/none", "user.x", "x", 1, 0), ENOENT);
    CHECK_ERRNO(setxattr("", "user.x", "x", 1, 0), ENOENT);
    CHECK_ERRNO(getxattr("/dev/null/x", "user.x", value, 1), ENOTDIR);
    CHECK_ERRNO(fsetxattr(-1, "user.x", "x", 1, 0), EBADF);
    CHECK_ERRNO(fgetxattr(only, "user.x", value, 1), EBADF);
    CHECK_ERRNO(flistxattr(only, value, 1), EBADF);
    CHECK_ERRNO(setxattr(bad, "user.x", "x", 1, 0), EFAULT);
    CHECK_ERRNO(setxattr(path, bad, "x", 1, 0), EFAULT);
    CHECK_ERRNO(setxattr(path, "user.x", bad, 1, 0), EFAULT);
    CHECK_ERRNO(getxattr(path, "user.one", bad, 64), EFAULT);
    CHECK(pipe(p) == 0);
    errno = 0;
    CHECK(fsetxattr(p[0], "user.x", "x", 1, 0) == -1 && (errno == EPERM || errno == EOPNOTSUPP));
    close(p[0]), close(p[1]), close(only);
    (void)fd;
}

/* Only files and directories have attributes of users; symlinks and devices have none. */
static void test_kinds(void)
{
    char value[64], directory[64];
    snprintf(directory, sizeof directory, "%s/xattr.d.XXXXXX", folder);
    CHECK(symlink(path, link_path) == 0);
    CHECK(getxattr(link_path, "user.one", value, sizeof value) == 7);
    CHECK_ERRNO(lsetxattr(link_path, "user.one", "x", 1, 0), EPERM);
    CHECK_ERRNO(lgetxattr(link_path, "user.one", value, sizeof value), ENODATA);
    CHECK_ERRNO(lremovexattr(link_path, "user.one"), EPERM);
    CHECK(unlink(link_path) == 0);
    CHECK_ERRNO(setxattr("/dev/null", "user.x", "x", 1, 0), EPERM);
    CHECK(mkdtemp(directory));
    CHECK(setxattr(directory, "user.x", "dir", 3, 0) == 0);
    CHECK(getxattr(directory, "user.x", value, sizeof value) == 3);
    CHECK(rmdir(directory) == 0);
}

static void test_rights(int fd)
{
    char value[64], list[256];
    if (geteuid() != 0)
        return;
    CHECK(setxattr(path, "trusted.mine", "secret", 6, 0) == 0);
    CHECK(getxattr(path, "trusted.mine", value, sizeof value) == 6);
    CHECK(setxattr(path, "security.mine", "seen", 4, 0) == 0);
    CHECK(fchmod(fd, 0644) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
        CHECK(getxattr(path, "user.one", value, sizeof value) == 7);
        CHECK_ERRNO(setxattr(path, "user.one", "x", 1, 0), EACCES);
        CHECK_ERRNO(removexattr(path, "user.one"), EACCES);
        CHECK_ERRNO(getxattr(path, "trusted.mine", value, sizeof value), ENODATA);
        CHECK_ERRNO(setxattr(path, "trusted.mine", "x", 1, 0), EPERM);
        CHECK(getxattr(path, "security.mine", value, sizeof value) == 4);
        CHECK_ERRNO(setxattr(path, "security.mine", "x", 1, 0), EPERM);
        ssize_t n = listxattr(path, list, sizeof list);
        CHECK(n > 0 && listed(list, n, "user.one") && !listed(list, n, "trusted.mine"));
        _exit(0);
    }
    finish(pid);
    CHECK(fchmod(fd, 0600) == 0);
    pid = fork();
    if (pid == 0) {
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
        CHECK_ERRNO(getxattr(path, "user.one", value, sizeof value), EACCES);
        _exit(0);
    }
    finish(pid);
    ssize_t n = listxattr(path, list, sizeof list);
    CHECK(n > 0 && listed(list, n, "trusted.mine") && listed(list, n, "security.mine"));
    CHECK(removexattr(path, "trusted.mine") == 0 && removexattr(path, "security.mine") == 0);
}

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : folder;
    snprintf(path, sizeof path, "%s/xattr.XXXXXX", folder);
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    test_values(fd);
    test_errors(fd);
    test_kinds();
    test_rights(fd);
    unlink(path);
    close(fd);
    puts("ok");
    return 0;
}
