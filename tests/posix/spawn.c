/* SPDX-License-Identifier: MIT */
/*
 * posix_spawn(3) and posix_spawnp: attributes, file actions in their order, what the child has and
 * has not, and errors, after which there is no child.
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

static char self[256];

/* ---- the child: tells what it finds ---- */

static int report(char **argv)
{
    const char *what = argv[2];
    if (!strcmp(what, "ids"))
        printf("%d %d %d", getpgrp() == getpid(), getsid(0) == getpid(), getpgrp());
    else if (!strcmp(what, "uids"))
        printf("%d %d %d %d", getuid(), geteuid(), getgid(), getegid());
    else if (!strcmp(what, "cwd"))
        printf("%s", getcwd((char[256]){0}, 256));
    else if (!strcmp(what, "env"))
        printf("%s %s", getenv("SPAWNED") ? getenv("SPAWNED") : "-",
               getenv("HOME_OF") ? getenv("HOME_OF") : "-");
    else if (!strcmp(what, "args"))
        for (char **a = argv + 3; *a; a++)
            printf("[%s]", *a);
    else if (!strcmp(what, "fds")) {
        for (int fd = 3; fd < 64; fd++)
            if (fcntl(fd, F_GETFD) >= 0)
                printf("%d ", fd);
    } else if (!strcmp(what, "read")) {
        char bytes[64];
        ssize_t n = read(atoi(argv[3]), bytes, sizeof bytes);
        printf("%.*s", n < 0 ? 0 : (int)n, bytes);
    } else if (!strcmp(what, "signals")) {
        struct sigaction a, b, c;
        sigset_t mask;
        sigprocmask(SIG_BLOCK, NULL, &mask);
        sigaction(SIGUSR1, NULL, &a);
        sigaction(SIGUSR2, NULL, &b);
        sigaction(SIGHUP, NULL, &c);
        printf("%d %d %d %d %d", a.sa_handler == SIG_IGN, b.sa_handler == SIG_IGN,
               c.sa_handler == SIG_DFL, sigismember(&mask, SIGTERM), sigismember(&mask, SIGINT));
    }
    fflush(stdout);
    return 17;
}

/* ---- the parent ---- */

struct spawn {
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    short flags;
    char **env;
};

static void begin(struct spawn *s)
{
    CHECK0(posix_spawnattr_init(&s->attr));
    CHECK0(posix_spawn_file_actions_init(&s->actions));
    s->flags = 0;
    s->env = environ;
}

/* What the child tells; and its pid. */
static const char *told(struct spawn *s, pid_t *pid, char **argv)
{
    static char text[4096];
    int p[2], status;
    size_t n = 0;
    ssize_t got;
    CHECK(pipe2(p, O_CLOEXEC) == 0);
    CHECK0(posix_spawn_file_actions_adddup2(&s->actions, p[1], 1));
    CHECK0(posix_spawnattr_setflags(&s->attr, s->flags));
    CHECK0(posix_spawn(pid, self, &s->actions, &s->attr, argv, s->env));
    close(p[1]);
    while ((got = read(p[0], text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = 0;
    close(p[0]);
    CHECK(waitpid(*pid, &status, 0) == *pid && WIFEXITED(status) && WEXITSTATUS(status) == 17);
    CHECK0(posix_spawnattr_destroy(&s->attr));
    CHECK0(posix_spawn_file_actions_destroy(&s->actions));
    return text;
}

#define TOLD(s, pid, ...) told(s, pid, (char *[]){"spawn", "report", __VA_ARGS__, NULL})
#define SAYS(wanted, s, pid, ...) \
    do { \
        const char *text_ = TOLD(s, pid, __VA_ARGS__); \
        if (strcmp(text_, wanted)) \
            FAILED("child said '%s', not '%s'", text_, wanted); \
    } while (0)

static void test_plain(void)
{
    struct spawn s;
    pid_t pid;
    char *env[] = {"SPAWNED=yes", NULL}, text[64];
    begin(&s);
    SAYS("[a][][two words]", &s, &pid, "args", "a", "", "two words");
    begin(&s);
    s.env = env;
    SAYS("yes -", &s, &pid, "env");
    begin(&s);
    snprintf(text, sizeof text, "0 0 %d", getpgrp());
    SAYS(text, &s, &pid, "ids");
    /* NULL for attributes and actions */
    int status;
    CHECK0(
        posix_spawn(&pid, self, NULL, NULL, (char *[]){"spawn", "report", "none", NULL}, environ));
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 17);
}

static void test_groups(void)
{
    struct spawn s;
    pid_t pid, leader;
    char text[64];
    begin(&s);
    s.flags = POSIX_SPAWN_SETPGROUP;
    CHECK0(posix_spawnattr_setpgroup(&s.attr, 0));
    const char *said = TOLD(&s, &pid, "ids");
    snprintf(text, sizeof text, "1 0 %d", pid);
    CHECK(!strcmp(said, text));
    if ((leader = fork()) == 0) {
        for (;;)
            pause();
    }
    CHECK(setpgid(leader, leader) == 0);
    begin(&s);
    s.flags = POSIX_SPAWN_SETPGROUP;
    CHECK0(posix_spawnattr_setpgroup(&s.attr, leader));
    snprintf(text, sizeof text, "0 0 %d", leader);
    SAYS(text, &s, &pid, "ids");
    kill(leader, SIGKILL);
    CHECK(waitpid(leader, NULL, 0) == leader);
#ifdef POSIX_SPAWN_SETSID
    begin(&s);
    s.flags = POSIX_SPAWN_SETSID;
    said = TOLD(&s, &pid, "ids");
    snprintf(text, sizeof text, "1 1 %d", pid);
    CHECK(!strcmp(said, text));
#endif
    /* a group that is not there */
    begin(&s);
    CHECK0(posix_spawnattr_setpgroup(&s.attr, 0x3fffffff));
    CHECK0(posix_spawnattr_setflags(&s.attr, POSIX_SPAWN_SETPGROUP));
    CHECK(posix_spawn(&pid, self, NULL, &s.attr, (char *[]){"spawn", NULL}, environ) == EPERM);
    CHECK_ERRNO(wait(NULL), ECHILD);
}

static void nothing(int sig)
{
    (void)sig;
}

static void test_signals(void)
{
    struct spawn s;
    sigset_t set, old;
    pid_t pid;
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGHUP, nothing);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, &old);
    begin(&s); /* as exec does it */
    SAYS("1 1 1 0 1", &s, &pid, "signals");
    begin(&s);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK0(posix_spawnattr_setsigdefault(&s.attr, &set));
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    CHECK0(posix_spawnattr_setsigmask(&s.attr, &set));
    s.flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    SAYS("1 0 1 1 0", &s, &pid, "signals");
    sigprocmask(SIG_SETMASK, &old, NULL);
    /* the parent is as it was */
    struct sigaction sa;
    CHECK(sigaction(SIGUSR2, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN);
    CHECK(sigaction(SIGHUP, NULL, &sa) == 0 && sa.sa_handler == nothing);
    signal(SIGUSR1, SIG_DFL), signal(SIGUSR2, SIG_DFL), signal(SIGHUP, SIG_DFL);
}

/* A copy of this program that every user reaches, wherever it was built. */
static char *copy_for_all(void)
{
    static char name[] = "/tmp/spawn-XXXXXX";
    int from = open(self, O_RDONLY), to = mkstemp(name);
    struct stat st;
    CHECK(from >= 0 && to >= 0 && fstat(from, &st) == 0);
    for (ssize_t n = 1; n > 0;)
        CHECK((n = sendfile(to, from, NULL, (size_t)st.st_size)) >= 0);
    CHECK(fchmod(to, 0755) == 0 && close(from) == 0 && close(to) == 0);
    return name;
}

static void test_ids(void)
{
    if (geteuid() != 0)
        return;
    char *copy = copy_for_all();
    pid_t outer = fork();
    CHECK(outer >= 0);
    if (outer == 0) {
        struct spawn s;
        pid_t pid;
        char text[64];
        CHECK(setresgid(0, 65534, 0) == 0 && setresuid(0, 65534, 0) == 0);
        snprintf(self, sizeof self, "%s", copy);
        begin(&s);
        SAYS("0 65534 0 65534", &s, &pid, "uids");
        begin(&s);
        s.flags = POSIX_SPAWN_RESETIDS;
        snprintf(text, sizeof text, "0 0 0 0");
        SAYS(text, &s, &pid, "uids");
        CHECK(geteuid() == 65534);
        _exit(0);
    }
    int status;
    CHECK(waitpid(outer, &status, 0) == outer && status == 0);
    CHECK(unlink(copy) == 0);
}

static void test_files(void)
{
    struct spawn s;
    pid_t pid;
    char path[] = "/tmp/spawn.XXXXXX", number[16];
    int fd = mkstemp(path), keep = dup(fd), plain = open("/dev/null", O_RDONLY),
        cloexec = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && keep >= 0 && plain >= 0 && cloexec >= 0);
    CHECK(write(fd, "contents", 8) == 8);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(keep, F_SETFD, FD_CLOEXEC);
    begin(&s);
    snprintf(number, sizeof number, "%d ", plain);
    SAYS(number, &s, &pid, "fds");
    begin(&s);
    CHECK0(posix_spawn_file_actions_addclose(&s.actions, plain));
    CHECK0(posix_spawn_file_actions_adddup2(&s.actions, cloexec, cloexec)); /* stays open */
    snprintf(number, sizeof number, "%d ", cloexec);
    SAYS(number, &s, &pid, "fds");
    CHECK(fcntl(cloexec, F_GETFD) == FD_CLOEXEC && fcntl(plain, F_GETFD) == 0);
    begin(&s); /* in their order: opened, moved, and the old one closed */
    CHECK0(posix_spawn_file_actions_addopen(&s.actions, 40, path, O_RDONLY, 0));
    CHECK0(posix_spawn_file_actions_adddup2(&s.actions, 40, 0));
    CHECK0(posix_spawn_file_actions_addclose(&s.actions, 40));
    SAYS("contents", &s, &pid, "read", "0");
    begin(&s);
    CHECK0(posix_spawn_file_actions_addopen(&s.actions, 41, "/tmp/spawn.new",
                                            O_WRONLY | O_CREAT | O_TRUNC, 0640));
    CHECK0(posix_spawn_file_actions_adddup2(&s.actions, 41, 2));
    SAYS("", &s, &pid, "none");
    struct stat st;
    CHECK(stat("/tmp/spawn.new", &st) == 0 && (st.st_mode & 0777) == (0640 & ~022));
    unlink("/tmp/spawn.new");
    begin(&s);
    CHECK0(posix_spawn_file_actions_addchdir_np(&s.actions, "/proc"));
    SAYS("/proc", &s, &pid, "cwd");
    int dir = open("/dev", O_RDONLY | O_DIRECTORY);
    begin(&s);
    CHECK0(posix_spawn_file_actions_addfchdir_np(&s.actions, dir));
    CHECK0(posix_spawn_file_actions_addclose(&s.actions, dir));
    SAYS("/dev", &s, &pid, "cwd");
    close(fd), close(keep), close(plain), close(cloexec), close(dir);
    unlink(path);
}

static void test_errors(void)
{
    char *argv[] = {"spawn", NULL}, path[] = "/tmp/spawn.XXXXXX";
    posix_spawn_file_actions_t a;
    pid_t pid;
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, "no program", 10) == 10);
    CHECK(posix_spawn(&pid, "/nowhere/at/all", NULL, NULL, argv, environ) == ENOENT);
    CHECK(posix_spawn(&pid, path, NULL, NULL, argv, environ) == EACCES);
    CHECK(posix_spawn(&pid, "/tmp", NULL, NULL, argv, environ) == EACCES);
    CHECK(fchmod(fd, 0755) == 0);
    close(fd);
    CHECK(posix_spawn(&pid, path, NULL, NULL, argv, environ) == ENOEXEC);
    CHECK(posix_spawnp(&pid, "no-such-program-anywhere", NULL, NULL, argv, environ) == ENOENT);
    CHECK0(posix_spawn_file_actions_init(&a));
    CHECK(posix_spawn_file_actions_addclose(&a, -1) == EBADF);
    CHECK(posix_spawn_file_actions_adddup2(&a, -1, 1) == EBADF);
    CHECK(posix_spawn_file_actions_addopen(&a, -1, "/", 0, 0) == EBADF);
    CHECK0(posix_spawn_file_actions_addopen(&a, 9, "/nowhere", O_RDONLY, 0));
    CHECK(posix_spawn(&pid, self, &a, NULL, argv, environ) == ENOENT);
    CHECK0(posix_spawn_file_actions_destroy(&a));
    CHECK0(posix_spawn_file_actions_init(&a));
    CHECK0(posix_spawn_file_actions_adddup2(&a, 900, 1));
    CHECK(posix_spawn(&pid, self, &a, NULL, argv, environ) == EBADF);
    CHECK0(posix_spawn_file_actions_destroy(&a));
    CHECK_ERRNO(wait(NULL), ECHILD); /* no child is left of any */
    unlink(path);
}

static void test_path(void)
{
    char directory[] = "/tmp/spawn.XXXXXX", program[64], path[128];
    pid_t pid;
    int status;
    CHECK(mkdtemp(directory));
    snprintf(program, sizeof program, "%s/spawned-by-name", directory);
    CHECK(symlink(self, program) == 0);
    snprintf(path, sizeof path, "/nowhere:%s", directory);
    CHECK(setenv("PATH", path, 1) == 0);
    CHECK0(posix_spawnp(&pid, "spawned-by-name", NULL, NULL,
                        (char *[]){"spawn", "report", "none", NULL}, environ));
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 17);
    unlink(program);
    rmdir(directory);
}

int main(int argc, char **argv)
{
    if (argc > 2)
        return report(argv);
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    umask(022);
    for (int fd = 3; fd < 64; fd++) /* what we were started with */
        close(fd);
    test_plain();
    test_groups();
    test_signals();
    test_ids();
    test_files();
    test_errors();
    test_path();
    puts("ok");
    return 0;
}
