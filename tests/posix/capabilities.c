/* SPDX-License-Identifier: MIT */
/*
 * Capabilities by capget(2), capabilities(7) and prctl(2): root has some, others none, and what a
 * program was told that it has given up is gone. A system may refuse to give up a part (EPERM).
 */
#include "child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define VERSION_1 0x19980330u
#define VERSION_3 0x20080522u

struct header {
    uint32_t version;
    int pid;
};
struct word {
    uint32_t effective, permitted, inheritable;
};
struct sets {
    struct word word[2];
};

static struct sets get(int pid)
{
    struct header h = {VERSION_3, pid};
    struct sets s;
    memset(&s, 0x55, sizeof s);
    CHECK(syscall(SYS_capget, &h, &s) == 0);
    return s;
}

static int set(const struct sets *s)
{
    struct header h = {VERSION_3, 0};
    return (int)syscall(SYS_capset, &h, s);
}

static bool same(const struct sets *a, const struct sets *b)
{
    return !memcmp(a, b, sizeof *a);
}

static bool has_none(const struct sets *s)
{
    return !(s->word[0].effective | s->word[1].effective | s->word[0].permitted |
             s->word[1].permitted);
}

/* ---- errors ---- */

static void test_errors(void)
{
    struct header h = {1, 0};
    struct sets s = get(0);
    CHECK_ERRNO(syscall(SYS_capget, &h, &s), EINVAL);
    CHECK(h.version == VERSION_3); /* told what it takes */
    h.version = 1;
    CHECK(syscall(SYS_capget, &h, NULL) == 0 && h.version == VERSION_3);
    h.version = 1;
    CHECK_ERRNO(syscall(SYS_capset, &h, &s), EINVAL);
    CHECK_ERRNO(syscall(SYS_capget, (void *)8, &s), EFAULT);
    CHECK_ERRNO(syscall(SYS_capset, (void *)8, &s), EFAULT);
    h = (struct header){VERSION_3, 0};
    CHECK_ERRNO(syscall(SYS_capget, &h, (void *)8), EFAULT);
    CHECK_ERRNO(syscall(SYS_capset, &h, (void *)8), EFAULT);
    h.pid = -1;
    CHECK_ERRNO(syscall(SYS_capget, &h, &s), EINVAL);
    CHECK_ERRNO(syscall(SYS_capset, &h, &s), EPERM);
    h.pid = 0x3fffffff;
    CHECK_ERRNO(syscall(SYS_capget, &h, &s), ESRCH);
    h.pid = getppid();
    CHECK_ERRNO(syscall(SYS_capset, &h, &s), EPERM);
    h = (struct header){VERSION_1, 0};
    memset(&s, 0x55, sizeof s);
    CHECK(syscall(SYS_capget, &h, &s) == 0 && s.word[1].effective == 0x55555555);
    CHECK_ERRNO(prctl(PR_CAPBSET_READ, 64), EINVAL);
    CHECK(prctl(PR_CAPBSET_READ, 0) >= 0);
    CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
    CHECK(prctl(PR_GET_SECUREBITS) >= 0);
}

/* ---- who has which ---- */

static void test_own(void)
{
    struct sets s = get(0), again = get(getpid());
    CHECK(same(&s, &again));
    for (int i = 0; i < 2; i++)
        CHECK(!(s.word[i].effective & ~s.word[i].permitted));
    CHECK(set(&s) == 0); /* what one has one may have */
    again = get(0);
    CHECK(same(&s, &again));
}

static void others_are_refused(void)
{
    struct sets s = get(0);
    CHECK(has_none(&s));
    for (int i = 0; i < 3; i++) {
        struct sets wanted = {0};
        uint32_t *word = i == 0   ? &wanted.word[0].effective
                         : i == 1 ? &wanted.word[0].permitted
                                  : &wanted.word[0].inheritable;
        *word = 1u << 7;
        CHECK_ERRNO(set(&wanted), EPERM);
    }
    CHECK(set(&s) == 0);
    CHECK_ERRNO(prctl(PR_CAPBSET_DROP, 7), EPERM);
    CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 1), EPERM);
    CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 7, 0, 0), EPERM);
    CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 7, 0, 0) == 0);
}

static void test_users(void)
{
    struct sets root = get(0), s;
    IN_CHILD(CHECK(setuid(9) == 0); others_are_refused());
    IN_CHILD({
        CHECK(seteuid(9) == 0);
        s = get(0);
        for (int i = 0; i < 2; i++) /* may be had again with the user */
            CHECK(!s.word[i].effective && s.word[i].permitted == root.word[i].permitted);
        CHECK(seteuid(0) == 0);
        s = get(0);
        CHECK(same(&s, &root));
        CHECK(setresuid(9, 9, 9) == 0);
        s = get(0);
        CHECK(has_none(&s));
    });
    /* of another process */
    int p[2];
    char c;
    CHECK(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(setuid(9) == 0 && write(p[1], "x", 1) == 1);
        pause();
    }
    CHECK(read(p[0], &c, 1) == 1);
    s = get(pid);
    CHECK(has_none(&s));
    IN_CHILD(CHECK(setuid(9) == 0); s = get(getppid()); CHECK(same(&s, &root)));
    CHECK(kill(pid, 9) == 0 && waitpid(pid, NULL, 0) == pid);
}

/* ---- giving up ---- */

static void test_giving_up(void)
{
    struct sets root = get(0), less = root, now;
    int fd = open("/tmp/capabilities", O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0 && fchown(fd, 9, 9) == 0 && close(fd) == 0);
    for (int i = 0; i < 2; i++)
        less.word[i] = (struct word){0, 0, 0};
    IN_CHILD({
        if (set(&less) == 0) {
            now = get(0);
            CHECK(has_none(&now));
            CHECK_ERRNO(open("/tmp/capabilities", O_RDONLY), EACCES);
        } else {
            CHECK(errno == EPERM);
            now = get(0);
            CHECK(same(&now, &root));
            CHECK(open("/tmp/capabilities", O_RDONLY) >= 0);
        }
    });
    IN_CHILD({
        if (prctl(PR_CAPBSET_DROP, 7) == 0)
            CHECK(prctl(PR_CAPBSET_READ, 7) == 0);
        else
            CHECK(errno == EPERM && prctl(PR_CAPBSET_READ, 7) >= 0);
        CHECK_ERRNO(prctl(PR_CAPBSET_DROP, 64), EINVAL);
    });
    CHECK(unlink("/tmp/capabilities") == 0);
}

/* The numbers of a line of /proc/self/status. */
static uint64_t status_of(const char *name)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    CHECK(n > 0 && close(fd) == 0);
    text[n] = 0;
    const char *at = strstr(text, name);
    CHECK(at);
    return strtoull(at + strlen(name), NULL, 16);
}

static void status_is_told(void)
{
    struct sets s = get(0);
    CHECK(status_of("\nCapEff:\t") == (s.word[0].effective | (uint64_t)s.word[1].effective << 32));
    CHECK(status_of("\nCapPrm:\t") == (s.word[0].permitted | (uint64_t)s.word[1].permitted << 32));
}

static void test_proc(void)
{
    status_is_told();
    CHECK(status_of("\nNoNewPrivs:\t") == 0);
    IN_CHILD(CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
             CHECK(status_of("\nNoNewPrivs:\t") == 1));
    if (geteuid() == 0) {
        IN_CHILD(CHECK(seteuid(9) == 0); status_is_told());
        IN_CHILD(CHECK(setuid(9) == 0); status_is_told());
    }
}

int main(void)
{
    test_errors();
    test_own();
    test_proc();
    if (geteuid() != 0)
        return 0;
    test_users();
    test_giving_up();
    return 0;
}
