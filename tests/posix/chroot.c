/* SPDX-License-Identifier: MIT */
/* chroot(2): what it changes, and what it does not; over fork, vfork, exec and threads. */
#include "child.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define NOBODY 65534

static char jail[64];
static int outside; /* the machine's root */

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

/* The file there has this text; "": there is none. */
static int is(const char *path, const char *text)
{
    char bytes[64] = {0};
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return !*text && errno == ENOENT;
    ssize_t n = read(fd, bytes, sizeof bytes - 1);
    close(fd);
    return n >= 0 && strcmp(bytes, text) == 0;
}

static const char *in_jail(const char *name)
{
    static char path[4][128];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s%s", jail, name);
    return p;
}

static void copy_self(const char *to)
{
    static char bytes[65536];
    int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0755);
    ssize_t n;
    CHECK(in >= 0 && out >= 0);
    while ((n = read(in, bytes, sizeof bytes)) > 0)
        CHECK(write(out, bytes, (size_t)n) == n);
    close(in);
    close(out);
}

static void make_jail(void)
{
    snprintf(jail, sizeof jail, "/tmp/jail-%d", (int)getpid());
    outside = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(outside >= 0 && mkdir(jail, 0755) == 0 && mkdir(in_jail("/dir"), 0755) == 0);
    CHECK(mkdir(in_jail("/dir/deep"), 0755) == 0 && mkdir(in_jail("/closed"), 0700) == 0);
    put(in_jail("/file"), "inside");
    put(in_jail("/dir/file"), "deeper");
    put("/tmp/file", "outside");
    CHECK(symlink("/file", in_jail("/dir/absolute")) == 0);
    CHECK(symlink("../../../../file", in_jail("/dir/up")) == 0);
    CHECK(symlink("/dir", in_jail("/link")) == 0);
    CHECK(symlink("loop", in_jail("/loop")) == 0);
}

static void test_errors(void)
{
    char longest[PATH_MAX + 10];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    CHECK_ERRNO(chroot(in_jail("/nothing")), ENOENT);
    CHECK_ERRNO(chroot(""), ENOENT);
    CHECK_ERRNO(chroot(in_jail("/file")), ENOTDIR);
    CHECK_ERRNO(chroot(in_jail("/file/x")), ENOTDIR);
    CHECK_ERRNO(chroot(in_jail("/loop")), ELOOP);
    CHECK_ERRNO(chroot(longest), ENAMETOOLONG);
    CHECK_ERRNO(chroot((char *)8), EFAULT);
    IN_CHILD({
        CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
        CHECK_ERRNO(chroot(jail), EPERM);
        CHECK_ERRNO(chroot(in_jail("/closed")), EACCES);
        CHECK_ERRNO(chroot(in_jail("/nothing")), ENOENT);
    });
}

static void check_inside(void)
{
    struct stat a, b;
    char text[64];
    CHECK(is("/file", "inside") && is("/dir/file", "deeper") && is("/link/file", "deeper"));
    CHECK(is("/dir/absolute", "inside") && is("/dir/up", "inside") &&
          is("/link/absolute", "inside"));
    CHECK(is("/../../file", "inside") && is("/dir/../../../file", "inside"));
    CHECK(is("/tmp/file", "") && is(in_jail("/file"), ""));
    CHECK(stat("/", &a) == 0 && stat("/..", &b) == 0 && a.st_ino == b.st_ino &&
          a.st_dev == b.st_dev);
    CHECK(readlink("/dir/absolute", text, sizeof text) == 5);
    CHECK(access("/dir/deep", R_OK) == 0);
    CHECK_ERRNO(access("/tmp", R_OK), ENOENT);
}

static void test_paths(void)
{
    char text[PATH_MAX];
    for (int i = 0; i < 50; i++) { /* until it is known by heart */
        struct stat st;
        CHECK(stat("/tmp/file", &st) == 0 && st.st_size == 7);
        CHECK(is("/tmp/file", "outside"));
    }
    CHECK(chdir("/tmp") == 0 && chroot(jail) == 0);
    check_inside();
    /* the working directory stays where it is, outside */
    CHECK(is("file", "outside") && is("../tmp/file", "outside"));
    CHECK(!getcwd(text, sizeof text) && errno == ENOENT);
    CHECK(chdir("/dir/deep") == 0 && getcwd(text, sizeof text) && !strcmp(text, "/dir/deep"));
    CHECK(is("../file", "deeper") && is("../../../../file", "inside"));
    CHECK(chdir("../../..") == 0 && getcwd(text, sizeof text) && !strcmp(text, "/"));
    check_inside();
    /* names are made inside */
    CHECK(mkdir("/new", 0700) == 0 && rename("/new", "/newer") == 0);
    CHECK(symlink("/newer", "/to") == 0 && chdir("/to") == 0);
    CHECK(getcwd(text, sizeof text) && !strcmp(text, "/newer"));
    CHECK(link("/file", "/newer/hard") == 0 && is("hard", "inside"));
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "/socket"};
    CHECK(bind(s, (struct sockaddr *)&name, sizeof name) == 0 && listen(s, 1) == 0);
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(c, (struct sockaddr *)&name, sizeof name) == 0);
    /* a second one lies in the first */
    CHECK(chroot("/dir") == 0 && is("/file", "deeper") && is("/absolute", "deeper"));
    CHECK(is("/../file", "deeper"));
    /* what was open before leads out, as ever */
    CHECK(fchdir(outside) == 0 && is("tmp/file", "outside") && chroot(".") == 0);
    CHECK(is("/tmp/file", "outside") && is(in_jail("/newer/hard"), "inside"));
    CHECK(access(in_jail("/socket"), F_OK) == 0);
    CHECK(chdir(jail) == 0 && getcwd(text, sizeof text) && !strcmp(text, jail));
    /* of the directory itself: ".." ends there */
    CHECK(chroot(".") == 0 && is("../file", "inside"));
    CHECK(getcwd(text, sizeof text) && !strcmp(text, "/"));
    CHECK(unlink("/socket") == 0 && unlink("/newer/hard") == 0 && unlink("/to") == 0);
    CHECK(rmdir("/newer") == 0);
}

static void *in_thread(void *context)
{
    (void)context;
    check_inside();
    return NULL;
}

static void test_inherited(void)
{
    pthread_t thread;
    CHECK(chroot(jail) == 0 && chdir("/") == 0);
    CHECK0(pthread_create(&thread, NULL, in_thread, NULL));
    CHECK0(pthread_join(thread, NULL));
    IN_CHILD({
        check_inside();
        CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
        check_inside();
        CHECK_ERRNO(chroot("/dir"), EPERM);
        IN_CHILD(check_inside());
        IN_CHILD({
            execl("/self", "self", "inside", (char *)NULL);
            CHECK(errno == ENOENT); /* it needs a loader, which is not there */
        });
    });
    IN_CHILD({
        execl("/self", "self", "inside", (char *)NULL);
        CHECK(errno == ENOENT);
    });
}

/* A child's root is not its parent's; also one that runs in its parent's memory. */
static void test_children(void)
{
    int status;
    IN_CHILD({
        CHECK(chroot(jail) == 0 && chdir("/") == 0);
        check_inside();
    });
    CHECK(is("/tmp/file", "outside"));
    pid_t pid = vfork();
    if (pid == 0) {
        if (chroot(jail) || chdir("/") || !is("/file", "inside"))
            _exit(1);
        execl("/self", "self", "inside", (char *)NULL);
        _exit(errno == ENOENT ? 0 : 2);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(is("/tmp/file", "outside") && is("/file", ""));
}

static void one_of_many(int number)
{
    static char path[128], text[16];
    snprintf(path, sizeof path, "%s/%d", jail, number);
    snprintf(text, sizeof text, "%d", number);
    pid_t pid = number % 100 ? vfork() : fork();
    if (pid == 0)
        _exit(mkdir(path, 0700) || chroot(path) || chdir("/") || mkdir(text, 0700) || rmdir(text));
    finish(pid);
    CHECK(rmdir(path) == 0);
}

/* A file system that is somebody's root is busy; many roots come and go. */
static void test_many(void)
{
    char text[16];
    for (int i = 0; i < 1500; i++)
        one_of_many(i);
    if (mount("none", in_jail("/dir/deep"), "tmpfs", 0, NULL) < 0) {
        CHECK(errno == EPERM && !may(CAP_SYS_ADMIN));
        return;
    }
    int pipes[2];
    CHECK(pipe(pipes) == 0 && mkdir(in_jail("/dir/deep/root"), 0755) == 0);
    CHECK_ERRNO(mount("proc", in_jail("/file"), "proc", 0, NULL), ENOTDIR);
    CHECK_ERRNO(mount("proc", in_jail("/dir/deep/root"), "proc", 0, "nonsense"), EINVAL);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(chdir(in_jail("/dir/deep")) == 0 && chroot("root") == 0 && fchdir(outside) == 0);
        CHECK(write(pipes[1], "", 1) == 1);
        pause();
    }
    CHECK(read(pipes[0], text, 1) == 1);
    CHECK_ERRNO(umount(in_jail("/dir/deep")), EBUSY);
    int status;
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
    CHECK(umount(in_jail("/dir/deep")) == 0);
}

/* /proc once more, where a jail needs it. */
static void test_proc(void)
{
    struct stat machine, jails;
    char text[32] = {0};
    if (mount("proc", in_jail("/dir/deep"), "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL) < 0) {
        CHECK(errno == EPERM);
        return;
    }
    CHECK(stat("/proc", &machine) == 0 && stat(in_jail("/dir/deep"), &jails) == 0);
    CHECK(machine.st_dev != jails.st_dev);
    IN_CHILD({
        CHECK(chroot(jail) == 0 && chdir("/") == 0);
        CHECK(readlink("/dir/deep/self", text, sizeof text) > 0 && atoi(text) == getpid());
        int fd = open("/dir/deep/self/comm", O_RDONLY);
        CHECK(fd >= 0 && read(fd, text, sizeof text) > 0);
        CHECK(access("/dir/deep/sys/kernel/hostname", R_OK) == 0);
        CHECK(stat("/dir/deep/..", &machine) == 0 && stat("/dir", &jails) == 0);
        CHECK(machine.st_ino == jails.st_ino);
    });
    int fd = open(in_jail("/dir/deep/uptime"), O_RDONLY);
    CHECK(fd >= 0);
    CHECK_ERRNO(umount(in_jail("/dir/deep")), EBUSY);
    close(fd);
    CHECK(umount(in_jail("/dir/deep")) == 0);
    CHECK_ERRNO(access(in_jail("/dir/deep/uptime"), F_OK), ENOENT);
    CHECK(access("/proc/uptime", R_OK) == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "inside")) {
        strcpy(jail, "/tmp/jail");
        check_inside();
        return 0;
    }
    if (geteuid()) {
        CHECK_ERRNO(chroot("/"), EPERM);
        return 0;
    }
    make_jail();
    copy_self(in_jail("/self"));
    test_errors();
    IN_CHILD(test_paths());
    IN_CHILD(test_inherited());
    test_children();
    test_many();
    test_proc();
    CHECK(is("/tmp/file", "outside"));
    return 0;
}
