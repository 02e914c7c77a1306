/* SPDX-License-Identifier: MIT */
/* Who may do what: users and groups, modes of files and directories, owners, signals, ports. */
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"

#define ALICE 1101u
#define BOB   1102u
#define TEAM  1200u

static char dir[] = "/tmp/permsXXXXXX";

/* Runs as another user, in a process of its own. */
static void as(uid_t uid, gid_t gid, void (*body)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (!pid) {
        CHECK(setgroups(0, NULL) == 0 && setgid(gid) == 0 && setuid(uid) == 0);
        body();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status)
        _exit(1);
}

static void make(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && write(fd, "data", 4) == 4 && fchown(fd, uid, gid) == 0);
    CHECK(fchmod(fd, mode) == 0 && close(fd) == 0);
}

static void make_dir(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    CHECK(mkdir(name, 0700) == 0 && chown(name, uid, gid) == 0 && chmod(name, mode) == 0);
}

/* ---- ids ---- */

static void permute(void)
{
    uid_t r, e, s;
    CHECK(setresuid(ALICE, BOB, 0) == 0);
    CHECK(getresuid(&r, &e, &s) == 0 && r == ALICE && e == BOB && s == 0);
    CHECK_ERRNO(setresuid(TEAM, (uid_t)-1, (uid_t)-1), EPERM);
    CHECK(seteuid(ALICE) == 0 && geteuid() == ALICE);
    CHECK(seteuid(0) == 0 && geteuid() == 0);
    CHECK(setuid(BOB) == 0 && getresuid(&r, &e, &s) == 0 && r == BOB && e == BOB && s == BOB);
    CHECK_ERRNO(setuid(0), EPERM);
    CHECK_ERRNO(seteuid(ALICE), EPERM);
    CHECK_ERRNO(setreuid(ALICE, (uid_t)-1), EPERM);
    CHECK_ERRNO(setgid(TEAM + 1), EPERM);
    CHECK_ERRNO(setgroups(0, NULL), EPERM);
    CHECK_ERRNO(setuid((uid_t)-1), EINVAL);
}

static void change_ids(void)
{
    int status;
    pid_t pid = fork();
    if (!pid) {
        CHECK(setresgid(TEAM, TEAM, TEAM) == 0);
        permute();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- files ---- */

static void open_as_other(void)
{
    CHECK_ERRNO(open("owner", O_RDONLY), EACCES);
    CHECK_ERRNO(open("owner", O_WRONLY), EACCES);
    CHECK_ERRNO(open("readable", O_RDWR), EACCES);
    CHECK_ERRNO(open("readable", O_RDONLY | O_TRUNC), EACCES);
    CHECK_ERRNO(open("closed/inside", O_RDONLY), EACCES);
    CHECK_ERRNO(open("closed/nothing", O_RDONLY), EACCES);
    CHECK_ERRNO(open("unlisted", O_RDONLY | O_DIRECTORY), EACCES);
    CHECK_ERRNO(open("readable", O_RDONLY | O_NOATIME), EPERM);
    CHECK_ERRNO(open("new", O_WRONLY | O_CREAT, 0600), EACCES);
    CHECK_ERRNO(mkdir("new", 0700), EACCES);
    CHECK_ERRNO(symlink("x", "new"), EACCES);
    CHECK_ERRNO(truncate("readable", 0), EACCES);
    CHECK_ERRNO(chdir("closed"), EACCES);
    CHECK_ERRNO(execl("readable", "readable", NULL), EACCES);
    struct stat st;
    CHECK(stat("owner", &st) == 0 && st.st_uid == ALICE);
    CHECK_ERRNO(stat("closed/inside", &st), EACCES);
    int fd = open("readable", O_RDONLY);
    CHECK(fd >= 0);
    CHECK_ERRNO(write(fd, "x", 1), EBADF);
    close(fd);
    fd = open("unlisted/inside", O_RDONLY);
    CHECK(fd >= 0);
    close(fd);
}

static void open_as_owner(void)
{
    int fd = open("owner", O_RDWR);
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK_ERRNO(open("not-even-owner", O_RDONLY), EACCES);
    CHECK_ERRNO(open("by-group", O_WRONLY), EACCES);
    CHECK(chmod("not-even-owner", 0400) == 0);
    fd = open("not-even-owner", O_RDONLY);
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK(chmod("not-even-owner", 0) == 0);
}

static void open_as_group(void)
{
    int fd = open("by-group", O_RDONLY);
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK_ERRNO(open("by-group", O_WRONLY), EACCES);
    CHECK_ERRNO(open("not-group", O_RDONLY), EACCES);
}

static void files(void)
{
    make("owner", 0600, ALICE, TEAM);
    make("readable", 0644, ALICE, TEAM);
    make("by-group", 0040, ALICE, TEAM);
    make("not-group", 0604, ALICE, TEAM);
    make("not-even-owner", 0, ALICE, TEAM);
    make_dir("closed", 0700, ALICE, TEAM);
    make("closed/inside", 0666, ALICE, TEAM);
    make_dir("unlisted", 0711, ALICE, TEAM);
    make("unlisted/inside", 0644, ALICE, TEAM);
    as(BOB, BOB, open_as_other);
    as(ALICE, ALICE, open_as_owner);
    as(BOB, TEAM, open_as_group);
    int fd = open("not-even-owner", O_RDWR); /* root */
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK_ERRNO(execl("readable", "readable", NULL), EACCES);
}

/* What one user has read, and found by name, is not open to the next in the same process. */
static void after_a_change(void)
{
    char byte;
    struct stat st;
    CHECK(setegid(TEAM) == 0 && seteuid(ALICE) == 0);
    for (int i = 0; i < 200; i++) {
        int fd = open("closed/inside", O_RDONLY);
        CHECK(fd >= 0 && read(fd, &byte, 1) == 1 && stat("closed/inside", &st) == 0);
        close(fd);
    }
    CHECK(seteuid(0) == 0 && seteuid(BOB) == 0);
    CHECK_ERRNO(open("closed/inside", O_RDONLY), EACCES);
    CHECK_ERRNO(stat("closed/inside", &st), EACCES);
    CHECK(seteuid(0) == 0 && setegid(0) == 0);
    CHECK(stat("closed/inside", &st) == 0);
    CHECK(setegid(BOB) == 0 && seteuid(BOB) == 0);
    CHECK_ERRNO(stat("closed/inside", &st), EACCES);
    CHECK(seteuid(0) == 0 && setegid(0) == 0);
}

/* ---- owners ---- */

static void change_as_other(void)
{
    struct timespec both[2] = {{1, 0}, {2, 0}}, now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    CHECK_ERRNO(chmod("readable", 0777), EPERM);
    CHECK_ERRNO(chown("readable", BOB, (gid_t)-1), EPERM);
    CHECK_ERRNO(chown("readable", (uid_t)-1, BOB), EPERM);
    CHECK_ERRNO(utimensat(AT_FDCWD, "readable", both, 0), EPERM);
    CHECK_ERRNO(utimensat(AT_FDCWD, "readable", now, 0), EACCES);
    CHECK_ERRNO(unlink("readable"), EACCES);
    CHECK_ERRNO(rename("readable", "moved"), EACCES);
    CHECK(link("readable", "second") == -1 && (errno == EACCES || errno == EPERM));
    CHECK_ERRNO(rmdir("closed"), EACCES);
}

static void change_as_owner(void)
{
    struct stat st;
    CHECK_ERRNO(chown("readable", BOB, (gid_t)-1), EPERM);
    CHECK_ERRNO(chown("readable", (uid_t)-1, BOB), EPERM);
    CHECK(chmod("readable", 04755) == 0 && chown("readable", (uid_t)-1, TEAM) == 0);
    CHECK(stat("readable", &st) == 0 && !(st.st_mode & S_ISUID)); /* chown takes it */
    CHECK(chmod("readable", 0644) == 0);
}

static void owners(void)
{
    as(BOB, BOB, change_as_other);
    as(ALICE, TEAM, change_as_owner);
}

/* ---- sticky directories ---- */

static void in_sticky(void)
{
    CHECK_ERRNO(unlink("sticky/alice"), EPERM);
    CHECK_ERRNO(rename("sticky/alice", "sticky/stolen"), EPERM);
    int fd = open("sticky/bob", O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK_ERRNO(rename("sticky/bob", "sticky/alice"), EPERM);
    CHECK(rename("sticky/bob", "sticky/mine") == 0 && unlink("sticky/mine") == 0);
}

static void sticky(void)
{
    make_dir("sticky", 01777, 0, 0);
    make("sticky/alice", 0666, ALICE, TEAM);
    as(BOB, BOB, in_sticky);
}

/* ---- access() judges by the real ids ---- */

static void real_ids(void)
{
    make("secret", 0600, 0, 0);
    CHECK(setresuid(ALICE, 0, 0) == 0);
    CHECK_ERRNO(access("secret", R_OK), EACCES);
    CHECK_ERRNO(faccessat(AT_FDCWD, "secret", W_OK, 0), EACCES);
    CHECK(faccessat(AT_FDCWD, "secret", R_OK, AT_EACCESS) == 0);
    CHECK(access("closed/inside", R_OK) == 0);
    CHECK(setresuid(BOB, 0, 0) == 0);
    CHECK_ERRNO(access("closed/inside", F_OK), EACCES);
    CHECK(setresuid(0, 0, 0) == 0 && access("secret", R_OK | W_OK) == 0);
    CHECK_ERRNO(access("secret", X_OK), EACCES);
}

/* ---- signals, ports, priorities ---- */

static pid_t target;

static void signal_other(void)
{
    CHECK_ERRNO(kill(target, 0), EPERM);
    CHECK_ERRNO(kill(target, SIGKILL), EPERM);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, -5), EACCES);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    a.sin_port = htons(81);
    CHECK(s >= 0);
    CHECK_ERRNO(bind(s, (void *)&a, sizeof a), EACCES);
    a.sin_port = 0;
    CHECK(bind(s, (void *)&a, sizeof a) == 0);
    struct rlimit l;
    CHECK(getrlimit(RLIMIT_CORE, &l) == 0);
    l.rlim_max = l.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_CORE, &l) == 0);
    l.rlim_max = 1;
    CHECK_ERRNO(setrlimit(RLIMIT_CORE, &l), EPERM);
}

static void signals(void)
{
    target = fork();
    if (!target)
        for (;;)
            pause();
    setpgid(target, target);
    as(BOB, BOB, signal_other);
    CHECK(kill(target, SIGKILL) == 0 && waitpid(target, NULL, 0) == target);
}

int main(void)
{
    if (geteuid() != 0) /* on a host: only root can become others */
        return 0;
    umask(022);
    CHECK(mkdtemp(dir) && chmod(dir, 0755) == 0 && chdir(dir) == 0);
    change_ids();
    files();
    after_a_change();
    owners();
    sticky();
    real_ids();
    signals();
    return 0;
}
