/* SPDX-License-Identifier: MIT */
/*
 * Pseudoterminals and jobs: names, modes, a session's terminal, signals that are typed, background
 * processes, window sizes, hang-up. What bytes become is judged by tests/host/sysio/tty_linux.c.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static char name[64];
static volatile sig_atomic_t got;

static void on_signal(int signal)
{
    got = signal;
}

static int open_master(void)
{
    int m = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(m >= 0 && !grantpt(m));
    CHECK(open(ptsname(m), O_RDWR | O_NOCTTY) < 0 && errno == EIO); /* locked */
    CHECK(!unlockpt(m));
    strcpy(name, ptsname(m));
    return m;
}

static void test_names(void)
{
    struct stat by_name, by_fd;
    int m = open_master(), s = open(name, O_RDWR | O_NOCTTY);
    CHECK(s >= 0 && isatty(s) && isatty(m));
    CHECK(!strcmp(ttyname(s), name));
    CHECK(!fstat(s, &by_fd) && !stat(name, &by_name));
    CHECK(by_fd.st_ino == by_name.st_ino && by_fd.st_dev == by_name.st_dev);
    CHECK(S_ISCHR(by_fd.st_mode) && by_fd.st_rdev == by_name.st_rdev);
    close(s);
    close(m);
    while (!stat(name, &by_name)) /* its server hears of the close a moment later */
        usleep(1000);
    CHECK(errno == ENOENT);
}

static void test_modes(void)
{
    struct termios t, u;
    struct winsize w = {.ws_row = 33, .ws_col = 77}, got_size;
    char bytes[16];
    int m = open_master(), s = open(name, O_RDWR | O_NOCTTY);
    CHECK(!tcgetattr(s, &t) && t.c_lflag & ICANON && t.c_lflag & ECHO && t.c_cc[VINTR] == 3);
    CHECK(!ioctl(m, TIOCSWINSZ, &w) && !ioctl(s, TIOCGWINSZ, &got_size));
    CHECK(got_size.ws_row == 33 && got_size.ws_col == 77);
    CHECK(write(m,
                "ab\x7f"
                "c\n",
                5) == 5);
    CHECK(read(s, bytes, sizeof bytes) == 3 && !memcmp(bytes, "ac\n", 3));
    CHECK(read(m, bytes, sizeof bytes) == 8 && !memcmp(bytes, "ab\b \bc\r\n", 8));
    cfmakeraw(&t);
    t.c_cc[VMIN] = 3;
    CHECK(!tcsetattr(s, TCSANOW, &t) && !tcgetattr(s, &u) && !(u.c_lflag & ICANON));
    CHECK(write(m, "x\r", 2) == 2);
    struct pollfd p = {s, POLLIN, 0};
    CHECK(poll(&p, 1, 20) == 0); /* two of three bytes */
    CHECK(write(m, "y", 1) == 1 && poll(&p, 1, 5000) == 1);
    CHECK(read(s, bytes, sizeof bytes) == 3 && !memcmp(bytes, "x\ry", 3));
    t.c_cc[VMIN] = 0;
    t.c_cc[VTIME] = 1;
    CHECK(!tcsetattr(s, TCSANOW, &t) && read(s, bytes, sizeof bytes) == 0);
    CHECK(write(s, "\n", 1) == 1 && read(m, bytes, sizeof bytes) == 1);
    close(s);
    errno = 0;
    CHECK(read(m, bytes, sizeof bytes) == -1 && errno == EIO);
    close(m);
}

/* Steps of parent and child, in memory that both have. */
static _Atomic int *steps;

static void say(int step)
{
    CHECK(atomic_load(steps) == step - 1);
    atomic_store(steps, step);
}

static void hear(int step)
{
    while (atomic_load(steps) < step)
        usleep(1000);
}

static void catch (int signal, int flags)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = flags};
    sigaction(signal, &a, NULL);
}

/* The session's leader: its terminal, typed signals, a job in the background, the hang-up. */
static int leader(void)
{
    char line[32];
    CHECK(setsid() == getpid());
    CHECK(open("/dev/tty", O_RDWR) < 0 && errno == ENXIO);
    int s = open(name, O_RDWR);
    CHECK(s >= 0 && tcgetsid(s) == getpid() && tcgetpgrp(s) == getpid());
    int same = open("/dev/tty", O_RDWR);
    CHECK(same >= 0 && tcgetpgrp(same) == getpid());
    catch (SIGINT, 0);
    catch (SIGWINCH, SA_RESTART);
    say(1);
    CHECK(read(s, line, sizeof line) == -1 && errno == EINTR && got == SIGINT);
    say(2);
    hear(3);
    CHECK(got == SIGWINCH);

    pid_t job = fork();
    if (job == 0) {
        setpgid(0, 0);
        CHECK(read(s, line, sizeof line) == 3 && !memcmp(line, "fg\n", 3));
        _exit(44);
    }
    setpgid(job, job);
    int status;
    CHECK(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status));
    CHECK(WSTOPSIG(status) == SIGTTIN);
    CHECK(!tcsetpgrp(s, job) && !kill(-job, SIGCONT));
    say(4);
    CHECK(waitpid(job, &status, 0) == job && WIFEXITED(status) && WEXITSTATUS(status) == 44);
    signal(SIGTTOU, SIG_IGN); /* or it would be stopped: it is in the background itself now */
    CHECK(!tcsetpgrp(s, getpgrp()));
    CHECK(tcsetpgrp(s, 30000) == -1 && (errno == EPERM || errno == ESRCH));

    catch (SIGHUP, 0);
    got = 0;
    sigset_t hup, old;
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    sigprocmask(SIG_BLOCK, &hup, &old);
    say(5);
    while (got != SIGHUP)
        sigsuspend(&old);
    CHECK(read(s, line, sizeof line) == 0);
    CHECK(write(s, "x", 1) == -1 && errno == EIO);
    return 7;
}

static void test_session(void)
{
    int status, m = open_master();
    struct winsize w = {.ws_row = 10, .ws_col = 10};
    steps = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(steps != MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        close(m);
        _exit(leader());
    }
    hear(1);
    CHECK(write(m, "\3", 1) == 1);
    hear(2);
    CHECK(!ioctl(m, TIOCSWINSZ, &w));
    say(3);
    hear(4);
    CHECK(write(m, "fg\n", 3) == 3);
    hear(5);
    close(m);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

int main(void)
{
    alarm(60);
    test_names();
    test_modes();
    test_session();
    return 0;
}
