/* SPDX-License-Identifier: MIT */
/*
 * inotify(7), inotify_init(2), inotify_add_watch(2), inotify_rm_watch(2): which events come of
 * which calls, in which order, how they are waited for, and every error. In a folder of its own, in
 * the one that the argument names (tests/system runs it on disks), else in /tmp.
 */
#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static char directory[4096];
static int queue;
static void *volatile nowhere = (void *)8;

/* ---- what comes ---- */

static _Alignas(struct inotify_event) char bytes[65536];
static size_t have, at;

static const struct inotify_event *next_event(int ms)
{
    struct pollfd p = {queue, POLLIN, 0};
    if (at == have) {
        if (poll(&p, 1, ms) == 0)
            return NULL;
        ssize_t n = read(queue, bytes, sizeof bytes);
        CHECK(n > 0);
        have = (size_t)n;
        at = 0;
    }
    const struct inotify_event *e = (const struct inotify_event *)(bytes + at);
    CHECK(have - at >= sizeof *e && have - at >= sizeof *e + e->len);
    CHECK(e->len % sizeof *e == 0 && (!e->len || !e->name[e->len - 1]));
    at += sizeof *e + e->len;
    return e;
}

static uint32_t cookie;

static void expect_at(int line, int watch, uint32_t mask, const char *name)
{
    const struct inotify_event *e = next_event(5000);
    if (!e)
        FAILED("line %d: no event, wanted %x of %d", line, mask, watch);
    const char *got = e->len ? e->name : "";
    if (e->wd != watch || e->mask != mask || strcmp(got, name))
        FAILED("line %d: %x of %d '%s', wanted %x of %d '%s'", line, e->mask, e->wd, got, mask,
               watch, name);
    if (mask & (IN_MOVED_FROM | IN_MOVED_TO))
        CHECK(e->cookie);
    else
        CHECK(!e->cookie);
    cookie = e->cookie;
}
#define EXPECT(watch, mask, name) expect_at(__LINE__, watch, mask, name)

static void nothing_at(int line)
{
    const struct inotify_event *e = next_event(5);
    if (e)
        FAILED("line %d: %x of %d '%s', wanted nothing", line, e->mask, e->wd,
               e->len ? e->name : "");
}
#define NOTHING() nothing_at(__LINE__)

static int watch(const char *path, uint32_t mask)
{
    int w = inotify_add_watch(queue, path, mask);
    if (w <= 0)
        FAILED("inotify_add_watch(%s, %x) gave %d", path, mask, w);
    return w;
}

static void unwatch(int w)
{
    CHECK(inotify_rm_watch(queue, w) == 0);
    EXPECT(w, IN_IGNORED, "");
    NOTHING();
}

static void make_file(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0666);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

/* ---- files ---- */

static void test_file(void)
{
    char byte;
    make_file("file", "text");
    int w = watch("file", IN_ALL_EVENTS);
    int fd = open("file", O_RDONLY);
    EXPECT(w, IN_OPEN, "");
    CHECK(read(fd, &byte, 1) == 1);
    EXPECT(w, IN_ACCESS, "");
    CHECK(pread(fd, &byte, 1, 0) == 1 && pread(fd, &byte, 1, 1) == 1);
    EXPECT(w, IN_ACCESS, ""); /* the same as the last one: once */
    NOTHING();
    CHECK(pread(fd, &byte, 1, 100) == 0);
    NOTHING();
    close(fd);
    EXPECT(w, IN_CLOSE_NOWRITE, "");
    fd = open("file", O_RDWR);
    EXPECT(w, IN_OPEN, "");
    CHECK(write(fd, "x", 1) == 1);
    EXPECT(w, IN_MODIFY, "");
    CHECK(ftruncate(fd, 10) == 0);
    EXPECT(w, IN_MODIFY, "");
    CHECK(posix_fallocate(fd, 0, 20) == 0);
    EXPECT(w, IN_MODIFY, "");
    CHECK(fchmod(fd, 0600) == 0);
    EXPECT(w, IN_ATTRIB, "");
    CHECK(fchown(fd, getuid(), getgid()) == 0);
    EXPECT(w, IN_ATTRIB, "");
    close(fd);
    EXPECT(w, IN_CLOSE_WRITE, "");
    fd = open("file", O_WRONLY | O_TRUNC); /* older Linux tells of the open afterwards */
    EXPECT(w, IN_OPEN, "");
    EXPECT(w, IN_MODIFY, "");
    close(fd);
    EXPECT(w, IN_CLOSE_WRITE, "");
    CHECK(truncate("file", 3) == 0);
    EXPECT(w, IN_MODIFY, "");
    CHECK(utimensat(AT_FDCWD, "file", NULL, 0) == 0);
    EXPECT(w, IN_ATTRIB, "");
    if (setxattr("file", "user.name", "value", 5, 0) == 0)
        EXPECT(w, IN_ATTRIB, "");
    CHECK(link("file", "other") == 0);
    EXPECT(w, IN_ATTRIB, "");
    CHECK(rename("other", "third") == 0);
    EXPECT(w, IN_MOVE_SELF, "");
    CHECK(unlink("third") == 0);
    EXPECT(w, IN_ATTRIB, "");
    fd = open("file", O_PATH);
    CHECK(fd >= 0 && close(fd) == 0);
    NOTHING();
    CHECK(stat("file", &(struct stat){0}) == 0 && access("file", R_OK) == 0);
    NOTHING();
    CHECK(unlink("file") == 0);
    EXPECT(w, IN_ATTRIB, "");
    EXPECT(w, IN_DELETE_SELF, "");
    EXPECT(w, IN_IGNORED, "");
    CHECK_ERRNO(inotify_rm_watch(queue, w), EINVAL);
}

/* It lives as long as it is open. */
static void test_open_file(void)
{
    make_file("file", "text");
    int fd = open("file", O_RDONLY), w = watch("file", IN_DELETE_SELF | IN_ATTRIB);
    CHECK(unlink("file") == 0);
    EXPECT(w, IN_ATTRIB, "");
    NOTHING();
    close(fd);
    EXPECT(w, IN_DELETE_SELF, "");
    EXPECT(w, IN_IGNORED, "");
    /* what takes its name */
    make_file("file", "text");
    make_file("new", "text");
    w = watch("file", IN_DELETE_SELF | IN_ATTRIB | IN_MOVE_SELF);
    CHECK(rename("new", "file") == 0);
    EXPECT(w, IN_ATTRIB, "");
    EXPECT(w, IN_DELETE_SELF, "");
    EXPECT(w, IN_IGNORED, "");
    CHECK(unlink("file") == 0);
}

/* ---- directories ---- */

static void test_directory(void)
{
    char byte;
    CHECK(mkdir("dir", 0777) == 0);
    int w = watch("dir", IN_ALL_EVENTS), fd = open("dir/file", O_CREAT | O_RDWR, 0600);
    EXPECT(w, IN_CREATE, "file");
    EXPECT(w, IN_OPEN, "file");
    CHECK(write(fd, "x", 1) == 1 && pread(fd, &byte, 1, 0) == 1);
    EXPECT(w, IN_MODIFY, "file");
    EXPECT(w, IN_ACCESS, "file");
    close(fd);
    EXPECT(w, IN_CLOSE_WRITE, "file");
    CHECK(chmod("dir/file", 0644) == 0);
    EXPECT(w, IN_ATTRIB, "file");
    CHECK(mkdir("dir/sub", 0755) == 0);
    EXPECT(w, IN_CREATE | IN_ISDIR, "sub");
    CHECK(chmod("dir/sub", 0700) == 0);
    EXPECT(w, IN_ATTRIB | IN_ISDIR, "sub");
    CHECK(symlink("file", "dir/link") == 0);
    EXPECT(w, IN_CREATE, "link");
    CHECK(mkfifo("dir/fifo", 0600) == 0);
    EXPECT(w, IN_CREATE, "fifo");
    CHECK(link("dir/file", "dir/hard") == 0);
    EXPECT(w, IN_CREATE, "hard");
    CHECK(rename("dir/hard", "dir/a-name-that-is-longer-than-sixteen") == 0);
    EXPECT(w, IN_MOVED_FROM, "hard");
    uint32_t first = cookie;
    EXPECT(w, IN_MOVED_TO, "a-name-that-is-longer-than-sixteen");
    CHECK(cookie == first);
    CHECK(rename("dir/sub", "moved") == 0);
    EXPECT(w, IN_MOVED_FROM | IN_ISDIR, "sub");
    CHECK(cookie != first);
    CHECK(rename("moved", "dir/sub") == 0);
    EXPECT(w, IN_MOVED_TO | IN_ISDIR, "sub");
    CHECK(unlink("dir/link") == 0);
    EXPECT(w, IN_DELETE, "link");
    CHECK(rmdir("dir/sub") == 0);
    EXPECT(w, IN_DELETE | IN_ISDIR, "sub");
    CHECK(unlink("dir/fifo") == 0 && unlink("dir/a-name-that-is-longer-than-sixteen") == 0);
    EXPECT(w, IN_DELETE, "fifo");
    EXPECT(w, IN_DELETE, "a-name-that-is-longer-than-sixteen");
    CHECK(chmod("dir", 0700) == 0); /* itself */
    EXPECT(w, IN_ATTRIB | IN_ISDIR, "");
    CHECK(rename("dir", "dir2") == 0);
    EXPECT(w, IN_MOVE_SELF, "");
    CHECK(unlink("dir2/file") == 0 && rmdir("dir2") == 0);
    EXPECT(w, IN_DELETE, "file");
    EXPECT(w, IN_DELETE_SELF, "");
    EXPECT(w, IN_IGNORED, "");
    NOTHING();
}

/* Files that were read again and again before. */
static void test_warm(void)
{
    char byte;
    make_file("file", "0123456789");
    int fd = open("file", O_RDWR);
    for (int i = 0; i < 50; i++) {
        CHECK(pread(fd, &byte, 1, i % 10) == 1 && pwrite(fd, "x", 1, i % 10) == 1);
        int again = open("file", O_RDONLY);
        CHECK(again >= 0 && read(again, &byte, 1) == 1 && close(again) == 0);
        CHECK(stat("file", &(struct stat){0}) == 0);
    }
    int end = open("log", O_CREAT | O_WRONLY | O_APPEND, 0600);
    for (int i = 0; i < 50; i++)
        CHECK(write(end, "a line\n", 7) == 7);
    int w = watch(".", IN_ALL_EVENTS & ~(IN_ACCESS | IN_OPEN | IN_CLOSE)),
        f = watch("file", IN_ACCESS);
    for (int i = 0; i < 20; i++) {
        CHECK(pwrite(fd, "y", 1, i % 10) == 1);
        EXPECT(w, IN_MODIFY, "file");
        CHECK(pread(fd, &byte, 1, i % 10) == 1);
        EXPECT(f, IN_ACCESS, "");
        CHECK(write(end, "a line\n", 7) == 7);
        EXPECT(w, IN_MODIFY, "log");
        NOTHING();
    }
    CHECK(inotify_rm_watch(queue, w) == 0);
    EXPECT(w, IN_IGNORED, "");
    unwatch(f);
    CHECK(close(end) == 0 && unlink("log") == 0);
    f = watch(".", IN_OPEN | IN_CLOSE);
    for (int i = 0; i < 20; i++) {
        int again = open("file", O_RDONLY);
        EXPECT(f, IN_OPEN, "file");
        CHECK(close(again) == 0);
        EXPECT(f, IN_CLOSE_NOWRITE, "file");
    }
    close(fd);
    EXPECT(f, IN_CLOSE_WRITE, "file");
    unwatch(f);
    CHECK(unlink("file") == 0);
}

/* ---- masks ---- */

static void test_masks(void)
{
    make_file("file", "text");
    CHECK(symlink("file", "link") == 0 && mkdir("dir", 0755) == 0);
    int w = watch("file", IN_ATTRIB);
    CHECK(inotify_add_watch(queue, "file", IN_MODIFY) == w); /* instead */
    CHECK(chmod("file", 0600) == 0);
    NOTHING();
    CHECK(inotify_add_watch(queue, "file", IN_ATTRIB | IN_MASK_ADD) == w);
    CHECK(chmod("file", 0600) == 0);
    EXPECT(w, IN_ATTRIB, "");
    CHECK(truncate("file", 2) == 0);
    EXPECT(w, IN_MODIFY, "");
    CHECK_ERRNO(inotify_add_watch(queue, "file", IN_ATTRIB | IN_MASK_CREATE), EEXIST);
    CHECK(inotify_add_watch(queue, "link", IN_MODIFY) == w);
    int l = watch("link", IN_ATTRIB | IN_DONT_FOLLOW);
    CHECK(l != w);
    CHECK_ERRNO(inotify_add_watch(queue, "file", IN_ATTRIB | IN_ONLYDIR), ENOTDIR);
    int d = watch("dir", IN_CREATE | IN_ONLYDIR | IN_ONESHOT);
    make_file("dir/a", "");
    make_file("dir/b", "");
    EXPECT(d, IN_CREATE, "a");
    EXPECT(d, IN_IGNORED, "");
    NOTHING();
    unwatch(l);
    unwatch(w);
    CHECK(unlink("dir/a") == 0 && unlink("dir/b") == 0 && rmdir("dir") == 0);
    CHECK(unlink("link") == 0 && unlink("file") == 0);
}

/* ---- waiting and reading ---- */

static void *touches(void *unused)
{
    sleep_ms(20);
    make_file("file", "new");
    return unused;
}

static void on_signal(int signal)
{
    (void)signal;
}

static void test_waiting(void)
{
    pthread_t thread;
    struct epoll_event e = {.events = EPOLLIN}, edge = {.events = EPOLLIN | EPOLLET}, out;
    struct pollfd p = {queue, POLLIN | POLLOUT, 0};
    int n, epoll = epoll_create1(0), edges = epoll_create1(0);
    make_file("file", "text");
    int w = watch("file", IN_MODIFY | IN_CLOSE_WRITE);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, queue, &e) == 0);
    CHECK(epoll_ctl(edges, EPOLL_CTL_ADD, queue, &edge) == 0);
    CHECK(poll(&p, 1, 5) == 0 && epoll_wait(epoll, &out, 1, 5) == 0);
    CHECK(ioctl(queue, FIONREAD, &n) == 0 && n == 0);
    CHECK_ERRNO(read(queue, bytes, sizeof bytes), EAGAIN);
    CHECK0(pthread_create(&thread, NULL, touches, NULL));
    CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLIN);
    CHECK(epoll_wait(epoll, &out, 1, 5000) == 1 && out.events == EPOLLIN);
    CHECK(epoll_wait(edges, &out, 1, 5000) == 1);
    CHECK0(pthread_join(thread, NULL));
    CHECK(ioctl(queue, FIONREAD, &n) == 0 && n == 2 * (int)sizeof(struct inotify_event));
    CHECK_ERRNO(read(queue, bytes, sizeof(struct inotify_event) - 1), EINVAL);
    CHECK(read(queue, bytes, sizeof(struct inotify_event) + 3) == sizeof(struct inotify_event));
    EXPECT(w, IN_CLOSE_WRITE, "");
    while (epoll_wait(edges, &out, 1, 5) == 1)
        ;
    make_file("file", "text");
    CHECK(epoll_wait(edges, &out, 1, 5000) == 1);
    EXPECT(w, IN_MODIFY, "");
    EXPECT(w, IN_CLOSE_WRITE, "");
    /* blocking, with several buffers, and interrupted */
    CHECK(fcntl(queue, F_SETFL, 0) == 0);
    CHECK0(pthread_create(&thread, NULL, touches, NULL));
    CHECK(read(queue, bytes, sizeof bytes) >= (ssize_t)sizeof(struct inotify_event));
    CHECK0(pthread_join(thread, NULL));
    fcntl(queue, F_SETFL, O_NONBLOCK);
    while (next_event(5))
        ;
    fcntl(queue, F_SETFL, 0);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    ualarm(20000, 0);
    CHECK_ERRNO(read(queue, bytes, sizeof bytes), EINTR);
    fcntl(queue, F_SETFL, O_NONBLOCK);
    CHECK_ERRNO(write(queue, "x", 1), EBADF);
    make_file("file", "text");
    CHECK_ERRNO(read(queue, nowhere, sizeof bytes), EFAULT);
    while (next_event(5)) /* Linux has lost one by that */
        ;
    close(epoll);
    close(edges);
    unwatch(w);
    CHECK(unlink("file") == 0);
}

/* What a call has done is there to be read when it returns, and when the process has ended. */
static void test_order(void)
{
    int n, status;
    const int one = sizeof(struct inotify_event);
    make_file("file", "text");
    int w = watch("file", IN_CLOSE_WRITE);
    for (int i = 0; i < 100; i++) {
        struct pollfd p = {queue, POLLIN, 0};
        close(open("file", O_WRONLY));
        CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
        EXPECT(w, IN_CLOSE_WRITE, "");
    }
    unwatch(w);
    w = watch("file", IN_MODIFY | IN_CLOSE_WRITE);
    for (int i = 0; i < 300; i++) {
        int fd = open("file", O_WRONLY);
        CHECK(write(fd, "x", 1) == 1);
        if (i % 3 == 2) {
            pid_t child = fork();
            if (!child)
                _exit(0);
            close(fd);
            CHECK(waitpid(child, &status, 0) == child);
        } else {
            close(fd);
        }
        if (i % 3)
            CHECK(ioctl(queue, FIONREAD, &n) == 0 && n == 2 * one);
        CHECK(read(queue, bytes, sizeof bytes) == 2 * one);
    }
    unwatch(w);
    CHECK(unlink("file") == 0);
}

/* The instance is one, whoever has it. */
static void test_others(void)
{
    make_file("file", "text");
    int w = watch("file", IN_MODIFY);
    IN_CHILD(CHECK(truncate("file", 1) == 0));
    EXPECT(w, IN_MODIFY, "");
    IN_CHILD(CHECK(truncate("file", 0) == 0); EXPECT(w, IN_MODIFY, "");
             CHECK(inotify_rm_watch(queue, w) == 0));
    EXPECT(w, IN_IGNORED, "");
    IN_CHILD(w = watch("file", IN_ATTRIB));
    CHECK(chmod("file", 0600) == 0);
    const struct inotify_event *e = next_event(5000);
    CHECK(e && e->mask == IN_ATTRIB);
    unwatch(e->wd);
    /* and it goes with the last one */
    IN_CHILD(int own = inotify_init(); CHECK(inotify_add_watch(own, "file", IN_MODIFY) > 0));
    CHECK(truncate("file", 3) == 0 && unlink("file") == 0);
    NOTHING();
}

/* The instance and its watches go through an exec, the events that nobody has read with them. */
static void test_exec(void)
{
    char fd[12], text[12];
    int status, w;
    make_file("file", "text");
    w = watch("file", IN_MODIFY | IN_CLOSE_WRITE);
    CHECK(truncate("file", 1) == 0);
    snprintf(fd, sizeof fd, "%d", queue);
    snprintf(text, sizeof text, "%d", w);
    pid_t child = fork();
    if (!child) {
        execl("/proc/self/exe", "inotify", "--exec", fd, text, NULL);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
    EXPECT(w, IN_MODIFY, ""); /* what the child has done after its exec */
    unwatch(w);
    CHECK(unlink("file") == 0);
}

static int after_exec(const char *fd, const char *w)
{
    queue = atoi(fd);
    EXPECT(atoi(w), IN_MODIFY, "");
    NOTHING();
    make_file("file", "new");
    EXPECT(atoi(w), IN_MODIFY, "");
    EXPECT(atoi(w), IN_CLOSE_WRITE, "");
    int other = inotify_init1(IN_NONBLOCK);
    CHECK(other >= 0 && close(other) == 0);
    CHECK(truncate("file", 0) == 0);
    return 42;
}

/* Sent in a message, it is the same one, too, and is waited for there. */
static void test_message(void)
{
    int pair[2], status, fd = queue;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof fd)];
    } control = {
        {.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    char byte = 'x';
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    make_file("file", "text");
    int w = watch("file", IN_MODIFY);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    pid_t child = fork();
    if (!child) {
        close(queue);
        CHECK(recvmsg(pair[1], &m, 0) == 1 && m.msg_controllen);
        memcpy(&queue, CMSG_DATA(&control.header), sizeof queue);
        CHECK(write(pair[1], "y", 1) == 1);
        EXPECT(w, IN_MODIFY, "");
        _exit(42);
    }
    CHECK(sendmsg(pair[0], &m, 0) == 1 && read(pair[0], &byte, 1) == 1);
    CHECK(truncate("file", 2) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
    NOTHING();
    close(pair[0]);
    close(pair[1]);
    unwatch(w);
    CHECK(unlink("file") == 0);
}

static unsigned limit(const char *name)
{
    char path[80];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/sys/fs/inotify/%s", name);
    FILE *f = fopen(path, "r");
    CHECK(f && fscanf(f, "%u", &n) == 1 && n);
    fclose(f);
    return n;
}

static void test_overflow(void)
{
    int w, events = 0, rounds = (int)limit("max_queued_events") / 2 + 500;
    bool overflow = false;
    make_file("a", "");
    make_file("b", "");
    w = watch(".", IN_ATTRIB);
    for (int i = 0; i < rounds; i++)
        CHECK(chmod("a", 0600) == 0 && chmod("b", 0600) == 0);
    for (const struct inotify_event *e; (e = next_event(5)); events++)
        if (e->mask == IN_Q_OVERFLOW) {
            CHECK(!overflow && e->wd == -1);
            overflow = true;
        }
    CHECK(overflow && events == (int)limit("max_queued_events") + 1);
    CHECK(chmod("a", 0600) == 0);
    EXPECT(w, IN_ATTRIB, "a");
    unwatch(w);
    CHECK(unlink("a") == 0 && unlink("b") == 0);
}

static void test_unmount(void)
{
    CHECK(mkdir("mounted", 0755) == 0);
    if (mount("none", "mounted", "tmpfs", 0, "") == 0) {
        make_file("mounted/file", "");
        int w = watch("mounted/file", IN_ATTRIB);
        CHECK(umount("mounted") == 0);
        EXPECT(w, IN_UNMOUNT, "");
        EXPECT(w, IN_IGNORED, "");
    }
    CHECK(rmdir("mounted") == 0);
}

/* ---- errors and limits ---- */

static void test_errors(void)
{
    make_file("file", "text");
    CHECK_ERRNO(inotify_init1(IN_CLOEXEC | 1), EINVAL);
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFL) & O_NONBLOCK);
    close(fd);
    CHECK_ERRNO(inotify_add_watch(-1, "file", IN_MODIFY), EBADF);
    CHECK_ERRNO(inotify_add_watch(fd, "file", IN_MODIFY), EBADF);
    CHECK_ERRNO(inotify_add_watch(0, "file", IN_MODIFY), EINVAL);
    CHECK_ERRNO(inotify_add_watch(queue, "file", 0), EINVAL);
    CHECK_ERRNO(inotify_add_watch(queue, "file", 0x00010000), EINVAL);
    CHECK_ERRNO(inotify_add_watch(queue, "file", IN_MODIFY | IN_MASK_ADD | IN_MASK_CREATE), EINVAL);
    CHECK_ERRNO(inotify_add_watch(queue, "nothing", IN_MODIFY), ENOENT);
    CHECK_ERRNO(inotify_add_watch(queue, "", IN_MODIFY), ENOENT);
    CHECK_ERRNO(inotify_add_watch(queue, "file/x", IN_MODIFY), ENOTDIR);
    CHECK_ERRNO(syscall(SYS_inotify_add_watch, queue, (void *)8, IN_MODIFY), EFAULT);
    memset(bytes, 'x', 5000);
    bytes[5000] = 0;
    CHECK_ERRNO(inotify_add_watch(queue, bytes, IN_MODIFY), ENAMETOOLONG);
    CHECK_ERRNO(inotify_rm_watch(-1, 1), EBADF);
    CHECK_ERRNO(inotify_rm_watch(0, 1), EINVAL);
    CHECK_ERRNO(inotify_rm_watch(queue, 0x7fffffff), EINVAL);
    CHECK_ERRNO(inotify_rm_watch(queue, -1), EINVAL);
    CHECK(chmod("file", 0200) == 0 && chmod(".", 0755) == 0);
    if (getuid() == 0)
        IN_CHILD(CHECK(setuid(77) == 0);
                 CHECK_ERRNO(inotify_add_watch(queue, "file", IN_MODIFY), EACCES));
    CHECK(unlink("file") == 0);
}

static void test_limits(void)
{
    int n = 0, fd[300], most = (int)limit("max_user_instances");
    CHECK(limit("max_queued_events") && limit("max_user_watches"));
    if (getuid() || most >= 300)
        return;
    IN_CHILD(CHECK(setuid(78) == 0); while (n < 300 && (fd[n] = inotify_init()) >= 0) n++;
             CHECK(n == most && errno == EMFILE); close(fd[0]);
             CHECK((fd[0] = inotify_init()) >= 0));
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "--exec"))
        return after_exec(argv[2], argv[3]);
    snprintf(directory, sizeof directory, "%s/inotify-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    CHECK(mkdtemp(directory) && chdir(directory) == 0);
    queue = inotify_init1(IN_NONBLOCK);
    CHECK(queue >= 0);
    test_file();
    test_open_file();
    test_directory();
    test_warm();
    test_masks();
    test_waiting();
    test_order();
    test_others();
    test_exec();
    test_message();
    test_overflow();
    test_unmount();
    test_errors();
    test_limits();
    CHECK(chdir("/") == 0 && rmdir(directory) == 0);
    return 0;
}
