/* SPDX-License-Identifier: MIT */
/*
 * Files that are opened and closed again and again, which a system may do without asking anybody:
 * each open finds what the name leads to now, for who asks now, and is a description of its own.
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NAME  "/tmp/hot-opens"
#define OTHER "/tmp/hot-opens-2"
#define TIMES 40

static void make(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void expect(const char *text)
{
    char bytes[64] = "";
    struct stat s;
    int fd = open(NAME, O_RDONLY);
    CHECK(fd >= 0 && fstat(fd, &s) == 0 && s.st_size == (off_t)strlen(text));
    CHECK(read(fd, bytes, sizeof bytes) == (ssize_t)strlen(text) && strcmp(bytes, text) == 0);
    close(fd);
}

static void expect_often(const char *text)
{
    for (int i = 0; i < TIMES; i++)
        expect(text);
}

static void test_names(void)
{
    make(NAME, "one");
    expect_often("one");
    make(OTHER, "another");
    CHECK0(rename(OTHER, NAME));
    expect_often("another");
    CHECK0(unlink(NAME));
    CHECK_ERRNO(open(NAME, O_RDONLY), ENOENT);
    make(OTHER, "linked");
    CHECK0(symlink(OTHER, NAME));
    expect_often("linked");
    CHECK_ERRNO(open(NAME, O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERRNO(open(NAME, O_RDONLY | O_CREAT | O_EXCL, 0644), EEXIST);
    CHECK_ERRNO(open(NAME, O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK0(unlink(NAME));
    CHECK_ERRNO(open(NAME, O_RDONLY), ENOENT);
    CHECK0(rename(OTHER, NAME));
    expect_often("linked");
}

static void test_bytes(void)
{
    make(NAME, "short");
    expect_often("short");
    make(NAME, "somewhat longer");
    expect_often("somewhat longer");
    CHECK0(truncate(NAME, 4));
    expect_often("some");
    int fd = open(NAME, O_RDONLY | O_TRUNC); /* asks for more than to read */
    CHECK(fd >= 0);
    close(fd);
    expect_often("");
}

static void test_descriptions(void)
{
    char bytes[8];
    make(NAME, "abcdef");
    expect_often("abcdef");
    int one = open(NAME, O_RDONLY | O_CLOEXEC), two = open(NAME, O_RDONLY | O_NONBLOCK);
    CHECK(one >= 0 && two >= 0 && fcntl(one, F_GETFD) == FD_CLOEXEC && fcntl(two, F_GETFD) == 0);
    CHECK(!(fcntl(one, F_GETFL) & O_NONBLOCK) && fcntl(two, F_GETFL) & O_NONBLOCK);
    CHECK(read(one, bytes, 3) == 3 && lseek(two, 0, SEEK_CUR) == 0);
    CHECK_ERRNO(write(one, "x", 1), EBADF);
    close(one);
    one = open(NAME, O_RDONLY);
    CHECK(lseek(one, 0, SEEK_CUR) == 0 && lseek(two, 2, SEEK_SET) == 2);
    CHECK(lseek(one, 0, SEEK_CUR) == 0);
    close(one);
    close(two);
    one = open(NAME, O_RDWR);
    CHECK(one >= 0 && pwrite(one, "x", 1, 0) == 1);
    close(one);
    expect("xbcdef");
}

/* In a child of its own: who may not, may not, however often it was opened before. */
static void test_users(void)
{
    int status;
    if (geteuid() != 0)
        return;
    make(NAME, "secret");
    CHECK0(chmod(NAME, 0600));
    expect_often("secret");
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        expect_often("secret");
        CHECK(setegid(1000) == 0 && seteuid(1000) == 0);
        CHECK_ERRNO(open(NAME, O_RDONLY), EACCES);
        CHECK(seteuid(0) == 0 && setegid(0) == 0);
        expect_often("secret");
        CHECK0(chmod(NAME, 0644));
        int mine = open(NAME, O_RDONLY); /* goes while another user runs */
        CHECK(setegid(1000) == 0 && seteuid(1000) == 0);
        expect_often("secret");
        close(mine);
        CHECK(seteuid(0) == 0);
        CHECK0(chmod(NAME, 0600));
        CHECK0(seteuid(1000));
        CHECK_ERRNO(open(NAME, O_RDONLY), EACCES);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK0(chmod("/tmp", 0700));
    expect_often("secret");
    CHECK0(chmod("/tmp", 01777));
}

static void test_fork(void)
{
    int status;
    char bytes[8];
    make(NAME, "family");
    expect_often("family");
    int fd = open(NAME, O_RDONLY);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        expect_often("family");
        CHECK(read(fd, bytes, 2) == 2);
        close(fd);
        expect_often("family");
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(lseek(fd, 0, SEEK_CUR) == 2); /* one description */
    close(fd);
    expect_often("family");
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        make(OTHER, "changed");
        _exit(rename(OTHER, NAME) == 0 ? 0 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    expect_often("changed");
    if (vfork() == 0) {
        fd = open(NAME, O_RDONLY);
        _exit(fd >= 0 && close(fd) == 0 ? 0 : 1);
    }
    CHECK(wait(&status) > 0 && status == 0);
    expect_often("changed");
}

static void test_limit(void)
{
    int fds[64];
    make(NAME, "many");
    expect_often("many");
    for (int i = 0; i < 64; i++)
        CHECK((fds[i] = open(NAME, O_RDONLY)) >= 0);
    for (int i = 0; i < 64; i++)
        CHECK0(close(fds[i]));
    CHECK_ERRNO(close(fds[0]), EBADF);
    expect_often("many");
    CHECK0(unlink(NAME));
    CHECK(poll(NULL, 0, 1) == 0);
    CHECK_ERRNO(open(NAME, O_RDONLY), ENOENT);
}

/* Threads that open, beside one that changes what they find. */
static int stop;

static void *opener(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        char bytes[8];
        int fd = open(NAME, O_RDONLY);
        CHECK(fd >= 0 && read(fd, bytes, 8) == 4 &&
              (!memcmp(bytes, "aaaa", 4) || !memcmp(bytes, "bbbb", 4)));
        CHECK0(close(fd));
    }
    return unused;
}

static void test_threads(void)
{
    pthread_t threads[2];
    make(NAME, "aaaa");
    for (int i = 0; i < 2; i++)
        CHECK0(pthread_create(&threads[i], NULL, opener, NULL));
    for (int i = 0; i < 60; i++) {
        make(OTHER, i % 2 ? "aaaa" : "bbbb");
        CHECK0(rename(OTHER, NAME));
        usleep(1000);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        CHECK0(pthread_join(threads[i], NULL));
    expect("aaaa");
}

int main(void)
{
    test_names();
    test_bytes();
    test_descriptions();
    test_users();
    test_fork();
    test_limit();
    test_threads();
    CHECK0(unlink(NAME));
    return 0;
}
