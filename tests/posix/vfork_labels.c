/* SPDX-License-Identifier: MIT */
/*
 * What the child of vfork, and so posix_spawn, does before it executes is done as the child: its
 * session opens the terminal, its pid signs what it sends, its user is who opens files.
 */
#include "child.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

extern char **environ;

static int master;

static char *slave_name(void)
{
    static char name[64];
    master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    CHECK(ptsname_r(master, name, sizeof name) == 0);
    return name;
}

/* What is executed: has it the terminal of descriptor 0, in the foreground of its own session? */
static int has_terminal(void)
{
    return getsid(0) == getpid() && tcgetsid(0) == getpid() && tcgetpgrp(0) == getpid() &&
                   open("/dev/tty", O_RDWR) >= 0
               ? 0
               : 9;
}

static void test_vfork(void)
{
    const char *name = slave_name();
    pid_t pid = vfork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (setsid() != getpid() || close(0) || open(name, O_RDWR) != 0)
            _exit(8);
        execl("/proc/self/exe", "vfork_labels", "terminal", NULL);
        _exit(127);
    }
    finish(pid);
    CHECK_ERRNO(tcgetsid(master), ENOTTY); /* not ours */
    close(master);
}

#ifdef POSIX_SPAWN_SETSID
static void test_spawn(void)
{
    char *arguments[] = {"vfork_labels", "terminal", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid;
    CHECK0(posix_spawn_file_actions_init(&actions));
    CHECK0(posix_spawnattr_init(&attributes));
    CHECK0(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID));
    CHECK0(posix_spawn_file_actions_addopen(&actions, 0, slave_name(), O_RDWR, 0));
    CHECK0(posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments, environ));
    finish(pid);
    close(master);
}
#endif

static void test_signal(void)
{
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    pid_t parent = getpid(), pid = vfork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(kill(parent, SIGUSR1) != 0);
    finish(pid);
    CHECK(sigwaitinfo(&set, &info) == SIGUSR1 && info.si_pid == pid);
}

static void test_socket(void)
{
    struct ucred who;
    socklen_t size = sizeof who;
    int pair[2];
    static int made; /* the child runs in our memory */
    pid_t pid = vfork();
    CHECK(pid >= 0);
    if (pid == 0) {
        made = socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 &&
               getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &who, &size) == 0;
        _exit(0);
    }
    finish(pid);
    CHECK(made && who.pid == pid);
}

/* Only root can change its user; the child's does not touch the parent's. */
static void test_user(void)
{
    static int refused, own;
    if (getuid())
        return;
    int fd = open("/tmp/vfork-labels", O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0 && close(fd) == 0);
    pid_t pid = vfork();
    CHECK(pid >= 0);
    if (pid == 0) {
        /* by the kernel: the library's function changes every thread's */
        if (syscall(117 /* setresuid */, 1000, 1000, 1000))
            _exit(1);
        refused = open("/tmp/vfork-labels", O_RDONLY) < 0 && errno == EACCES;
        own = open("/tmp/vfork-labels-2", O_CREAT | O_WRONLY, 0600);
        _exit(0);
    }
    finish(pid);
    struct stat s;
    CHECK(refused && own >= 0 && stat("/tmp/vfork-labels-2", &s) == 0 && s.st_uid == 1000);
    CHECK(getuid() == 0 && open("/tmp/vfork-labels", O_RDONLY) >= 0);
    unlink("/tmp/vfork-labels");
    unlink("/tmp/vfork-labels-2");
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 2)
        return has_terminal();
    alarm(60);
    signal(SIGHUP, SIG_IGN);
    test_vfork();
#ifdef POSIX_SPAWN_SETSID
    test_spawn();
#endif
    test_signal();
    test_socket();
    test_user();
    return 0;
}
