/* SPDX-License-Identifier: MIT */
/*
 * Users, groups, process groups and sessions by their man pages: what each call changes for whom,
 * and every error.
 */
#include "child.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NOBODY 65534

static void uids_are(uid_t r, uid_t e, uid_t s)
{
    uid_t a, b, c;
    CHECK(getresuid(&a, &b, &c) == 0);
    if (a != r || b != e || c != s)
        FAILED("uids %u %u %u, not %u %u %u", a, b, c, r, e, s);
    CHECK(getuid() == r && geteuid() == e);
}

static void gids_are(gid_t r, gid_t e, gid_t s)
{
    gid_t a, b, c;
    CHECK(getresgid(&a, &b, &c) == 0);
    if (a != r || b != e || c != s)
        FAILED("gids %u %u %u, not %u %u %u", a, b, c, r, e, s);
    CHECK(getgid() == r && getegid() == e);
}

/* ---- users ---- */

static void test_root(void)
{
    IN_CHILD(CHECK(setuid(5) == 0); uids_are(5, 5, 5); CHECK_ERRNO(setuid(0), EPERM);
             CHECK(setuid(5) == 0));
    IN_CHILD(CHECK(seteuid(5) == 0); uids_are(0, 5, 0); CHECK(setuid(0) == 0); uids_are(0, 0, 0));
    IN_CHILD(CHECK(setreuid(5, 6) == 0); uids_are(5, 6, 6));
    IN_CHILD(CHECK(setreuid((uid_t)-1, 6) == 0); uids_are(0, 6, 6));
    IN_CHILD(CHECK(setreuid(5, (uid_t)-1) == 0); uids_are(5, 0, 0));
    IN_CHILD(CHECK(setresuid(1, 2, 3) == 0); uids_are(1, 2, 3);
             /* those who are not root permute what they have */
             CHECK(setresuid(3, 1, 2) == 0); uids_are(3, 1, 2);
             CHECK(setresuid((uid_t)-1, (uid_t)-1, 3) == 0); uids_are(3, 1, 3);
             CHECK_ERRNO(setresuid(2, (uid_t)-1, (uid_t)-1), EPERM);
             CHECK_ERRNO(setresuid(0, 0, 0), EPERM); uids_are(3, 1, 3));
    IN_CHILD(CHECK(setresuid(1, 2, 3) == 0); CHECK(seteuid(3) == 0); uids_are(1, 3, 3);
             CHECK(seteuid(1) == 0); CHECK_ERRNO(seteuid(2), EPERM); uids_are(1, 1, 3));
    IN_CHILD(CHECK(setresuid(1, 2, 3) == 0); CHECK(setuid(3) == 0); uids_are(1, 3, 3);
             CHECK_ERRNO(setuid(2), EPERM));
    IN_CHILD(CHECK(setresuid(1, 2, 3) == 0); CHECK(setreuid(2, 1) == 0); uids_are(2, 1, 1);
             CHECK_ERRNO(setreuid(3, (uid_t)-1), EPERM));
    CHECK_ERRNO(setuid((uid_t)-1), EINVAL);
    CHECK_ERRNO(syscall(SYS_getresuid, (void *)8, (void *)8, (void *)8), EFAULT);
    CHECK_ERRNO(syscall(SYS_getresgid, (void *)8, (void *)8, (void *)8), EFAULT);
    /* one's saved id survives no exec of set-id kind: what exec does is in permissions.c */
}

static void test_groups(void)
{
    gid_t list[70], got[70];
    IN_CHILD(CHECK(setgid(5) == 0); gids_are(5, 5, 5));
    IN_CHILD(CHECK(setresgid(1, 2, 3) == 0); gids_are(1, 2, 3); CHECK(setegid(7) == 0);
             gids_are(1, 7, 3));
    IN_CHILD(CHECK(setregid(5, 6) == 0); gids_are(5, 6, 6));
    IN_CHILD(CHECK(setresgid(1, 2, 3) == 0 && setuid(9) == 0); CHECK(setresgid(3, 1, 2) == 0);
             gids_are(3, 1, 2); CHECK_ERRNO(setgid(9), EPERM); CHECK_ERRNO(setegid(0), EPERM);
             CHECK_ERRNO(setregid(0, 0), EPERM); CHECK_ERRNO(setresgid(0, 1, 2), EPERM);
             CHECK(setgid(3) == 0); gids_are(3, 3, 2));
    CHECK_ERRNO(setgid((gid_t)-1), EINVAL);
    for (int i = 0; i < 70; i++)
        list[i] = (gid_t)(100 + i);
    IN_CHILD(CHECK(setgroups(3, list) == 0); CHECK(getgroups(0, NULL) == 3);
             CHECK(getgroups(70, got) == 3 && got[0] == 100 && got[1] == 101 && got[2] == 102);
             CHECK_ERRNO(getgroups(2, got), EINVAL); CHECK_ERRNO(getgroups(-1, got), EINVAL);
             CHECK_ERRNO(syscall(SYS_getgroups, 70, (void *)8), EFAULT);
             CHECK_ERRNO(syscall(SYS_setgroups, 3, (void *)8), EFAULT);
             CHECK_ERRNO(syscall(SYS_setgroups, 65537, list), EINVAL);
             IN_CHILD(CHECK(getgroups(70, got) == 3)); /* inherited */
             CHECK(setgroups(0, NULL) == 0); CHECK(getgroups(0, NULL) == 0); CHECK(setuid(9) == 0);
             CHECK_ERRNO(setgroups(1, list), EPERM));
}

/* The file system's user and group follow the effective ones. */
static void test_fs_ids(void)
{
    IN_CHILD({
        CHECK(setfsuid((uid_t)-1) == 0 && setfsgid((gid_t)-1) == 0);
        CHECK(setegid(8) == 0 && seteuid(7) == 0);
        CHECK(setfsuid((uid_t)-1) == 7 && setfsgid((gid_t)-1) == 8);
        setfsuid(9); /* not one of its own: it stays as it is */
        CHECK(setfsuid((uid_t)-1) == 7);
    });
}

/* ---- process groups and sessions ---- */

static void test_process_groups(void)
{
    int p[2];
    char c;
    CHECK_ERRNO(getpgid(0x3fffffff), ESRCH);
    CHECK_ERRNO(getpgid(-1), ESRCH);
    CHECK_ERRNO(getsid(0x3fffffff), ESRCH);
    CHECK_ERRNO(getsid(-1), ESRCH);
    CHECK_ERRNO(setpgid(0, -1), EINVAL);
    CHECK_ERRNO(setpgid(-1, 0), EINVAL);
    CHECK_ERRNO(setpgid(0x3fffffff, 0), ESRCH);
    CHECK(getpgid(0) == getpgrp() && getpgid(getpid()) == getpgrp());
    CHECK(getsid(0) == getsid(getpid()));
    CHECK(pipe(p) == 0);
    pid_t a = fork(), b;
    if (a == 0) {
        CHECK(read(p[0], &c, 1) == 1);
        _exit(0);
    }
    CHECK(setpgid(a, 0) == 0 && getpgid(a) == a);
    if ((b = fork()) == 0) {
        CHECK(getpgrp() != a);
        CHECK_ERRNO(setpgid(a, a), ESRCH); /* a sister is nobody's to move */
        CHECK_ERRNO(setpgid(0, 0x3fffffff), EPERM);
        CHECK(setpgid(0, a) == 0 && getpgrp() == a);
        CHECK(setpgid(0, 0) == 0 && getpgrp() == getpid());
        CHECK_ERRNO(setsid(), EPERM); /* it leads a group */
        _exit(0);
    }
    finish(b);
    CHECK(write(p[1], "x", 1) == 1);
    finish(a);
    IN_CHILD({
        pid_t me = getpid();
        CHECK(setsid() == me && getsid(0) == me && getpgrp() == me);
        CHECK_ERRNO(setsid(), EPERM);
        CHECK_ERRNO(setpgid(0, 0), EPERM); /* a session's leader stays */
        CHECK_ERRNO(setpgid(0, getppid()), EPERM);
        IN_CHILD({
            CHECK(getsid(0) == me && getpgrp() == me);
            CHECK(setsid() == getpid());
        });
        CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO); /* no terminal any more */
    });
    /* a child in another session */
    pid_t s = fork();
    if (s == 0) {
        CHECK(setsid() == getpid());
        CHECK(write(p[1], "r", 1) == 1);
        for (;;)
            pause();
    }
    CHECK(read(p[0], &c, 1) == 1);
    CHECK_ERRNO(setpgid(s, 0), EPERM);
    kill(s, SIGKILL);
    CHECK(waitpid(s, NULL, 0) == s);
    close(p[0]), close(p[1]);
}

/* Once it has exec'd, a child's group is its own affair. */
static void test_after_exec(void)
{
    int ready[2], end[2];
    char c;
    CHECK(pipe(ready) == 0 && pipe(end) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(end[0], 0);
        dup2(ready[1], 1);
        close(end[1]);
        execl("/proc/self/exe", "identity", "execed", (char *)NULL);
        _exit(9);
    }
    CHECK(read(ready[0], &c, 1) == 1);
    CHECK_ERRNO(setpgid(pid, 0), EACCES);
    close(end[1]);
    finish(pid);
    close(ready[0]), close(ready[1]), close(end[0]);
}

/* ---- prctl ---- */

static void test_prctl(void)
{
    char name[17] = "";
    int value = -1;
    CHECK(prctl(PR_SET_NAME, "a name that is long") == 0);
    CHECK(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "a name that is "));
    CHECK_ERRNO(prctl(PR_SET_NAME, (char *)8), EFAULT);
    CHECK_ERRNO(prctl(PR_GET_NAME, (char *)8), EFAULT);
    CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
    CHECK(prctl(PR_GET_PDEATHSIG, &value) == 0 && value == SIGUSR1);
    IN_CHILD(CHECK(prctl(PR_GET_PDEATHSIG, &value) == 0 && value == 0)); /* not inherited */
    CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
    CHECK_ERRNO(prctl(PR_GET_PDEATHSIG, 8), EFAULT);
    CHECK(prctl(PR_SET_PDEATHSIG, 0) == 0);
    CHECK(prctl(PR_GET_DUMPABLE) == 1);
    IN_CHILD(CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
             CHECK_ERRNO(prctl(PR_SET_DUMPABLE, 5), EINVAL));
    CHECK_ERRNO(prctl(0x5a5a5a5a), EINVAL);
    IN_CHILD(CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
             CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
             CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
             CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
             CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
             IN_CHILD(CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)));
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    CHECK(prctl(PR_GET_CHILD_SUBREAPER, &value) == 0 && value == 1);
    IN_CHILD(CHECK(prctl(PR_GET_CHILD_SUBREAPER, &value) == 0 && value == 0));
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
    CHECK_ERRNO(prctl(PR_GET_CHILD_SUBREAPER, 8), EFAULT);
    CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1);
    CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
    CHECK(prctl(PR_SET_KEEPCAPS, 0) == 0);
    CHECK(prctl(PR_SET_TIMERSLACK, 12345) == 0 && prctl(PR_GET_TIMERSLACK) == 12345);
}

/* ---- another effective user or group: no more for the new one's eyes, nor the old parent's ----
 */

static bool may_look(pid_t pid)
{
    char path[40], byte;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY);
    bool may = fd >= 0 && read(fd, &byte, 1) >= 0;
    if (!may)
        CHECK(errno == EACCES || errno == EPERM);
    close(fd);
    return may;
}

static bool is_closed(void)
{
    return prctl(PR_GET_DUMPABLE) != 1; /* 0, or 2 where a system says so */
}

static void test_another(const char *self)
{
    int told = -1, p[2], go[2];
    char c;
    IN_CHILD(CHECK(setegid(9) == 0 && is_closed()); CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
             CHECK(setegid(9) == 0 && !is_closed()); CHECK(seteuid(9) == 0 && is_closed());
             IN_CHILD(CHECK(is_closed())));
    IN_CHILD(CHECK(setresuid(9, 0, 9) == 0 && setresgid(9, 0, 9) == 0 && setgroups(0, NULL) == 0);
             CHECK(!is_closed())); /* these are not the effective ones */
    IN_CHILD(CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && setegid(9) == 0);
             CHECK(prctl(PR_GET_PDEATHSIG, &told) == 0 && told == 0));
    /* exec begins anew: by itself, and by a child of vfork */
    IN_CHILD(CHECK(setgid(9) == 0 && setuid(9) == 0); execl(self, self, "dumpable", NULL));
    IN_CHILD(pid_t pid = vfork(); if (pid == 0) {
        if (syscall(SYS_setresgid, 9, 9, 9) || syscall(SYS_setresuid, 9, 9, 9))
            _exit(1);
        execl(self, self, "dumpable", NULL);
        _exit(2);
    } finish(pid));
    CHECK(pipe(p) == 0 && pipe(go) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(setgid(9) == 0 && setuid(9) == 0 && write(p[1], "x", 1) == 1);
        CHECK(read(go[0], &c, 1) == 1 && prctl(PR_SET_DUMPABLE, 1) == 0);
        CHECK(write(p[1], "x", 1) == 1 && read(go[0], &c, 1) == 1);
        _exit(0);
    }
    CHECK(read(p[0], &c, 1) == 1 && may_look(pid));
    IN_CHILD(CHECK(setgid(9) == 0 && setuid(9) == 0 && !may_look(pid)));
    CHECK(write(go[1], "x", 1) == 1 && read(p[0], &c, 1) == 1);
    IN_CHILD(CHECK(setgid(9) == 0 && setuid(9) == 0 && may_look(pid)));
    CHECK(write(go[1], "x", 1) == 1);
    finish(pid);
    close(p[0]), close(p[1]), close(go[0]), close(go[1]);
}

/* The parent's end, told to a child by a signal; by a thread's end it is not what is meant here. */
static void test_death_signal(void)
{
    int p[2];
    char c;
    CHECK(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        pid_t parent = getpid();
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        sigprocmask(SIG_BLOCK, &set, NULL);
        if (fork() == 0) {
            siginfo_t info;
            CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0);
            if (getppid() == parent)
                kill(parent, SIGKILL);
            CHECK(sigwaitinfo(&set, &info) == SIGUSR2);
            CHECK(write(p[1], "d", 1) == 1);
            _exit(0);
        }
        for (;;)
            pause();
    }
    close(p[1]);
    CHECK(read(p[0], &c, 1) == 1 && c == 'd');
    CHECK(waitpid(pid, NULL, 0) == pid);
    close(p[0]);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "dumpable"))
        return is_closed();
    if (argc > 1) {
        char c;
        CHECK(write(1, "r", 1) == 1);
        CHECK(read(0, &c, 1) == 0);
        return 0;
    }
    if (geteuid() == 0) {
        test_root();
        test_groups();
        test_fs_ids();
        test_another("/proc/self/exe");
    }
    test_process_groups();
    test_after_exec();
    test_prctl();
    test_death_signal();
    puts("ok");
    return 0;
}
