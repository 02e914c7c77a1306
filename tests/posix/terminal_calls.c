/* SPDX-License-Identifier: MIT */
/*
 * The terminal calls of termios(3) and ioctl_tty(2) on a pty: what they do, controlling terminals,
 * and every error.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>

static void finish(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status)
        FAILED("child: status %x", status);
}

static void pty(int *master, int *slave)
{
    CHECK((*master = posix_openpt(O_RDWR | O_NOCTTY)) >= 0);
    CHECK(grantpt(*master) == 0 && unlockpt(*master) == 0);
    CHECK((*slave = open(ptsname(*master), O_RDWR | O_NOCTTY)) >= 0);
}

static void raw(int fd)
{
    struct termios t;
    CHECK(tcgetattr(fd, &t) == 0);
    cfmakeraw(&t);
    CHECK(tcsetattr(fd, TCSANOW, &t) == 0);
}

static int unread(int fd)
{
    int n = -1;
    CHECK(ioctl(fd, FIONREAD, &n) == 0);
    return n;
}

static void test_errors(void)
{
    int p[2], file = open("/dev/null", O_RDWR), n;
    struct termios t;
    struct winsize w;
    CHECK(pipe(p) == 0 && file >= 0);
    int wrong[] = {p[0], file};
    for (int i = 0; i < 2; i++) {
        CHECK_ERRNO(tcgetattr(wrong[i], &t), ENOTTY);
        CHECK_ERRNO(tcsetattr(wrong[i], TCSANOW, &t), ENOTTY);
        CHECK_ERRNO(tcdrain(wrong[i]), ENOTTY);
        CHECK_ERRNO(tcflush(wrong[i], TCIFLUSH), ENOTTY);
        CHECK_ERRNO(tcflow(wrong[i], TCOON), ENOTTY);
        CHECK_ERRNO(tcsendbreak(wrong[i], 0), ENOTTY);
        CHECK_ERRNO(tcgetpgrp(wrong[i]), ENOTTY);
        CHECK_ERRNO(tcsetpgrp(wrong[i], getpgrp()), ENOTTY);
        CHECK_ERRNO(tcgetsid(wrong[i]), ENOTTY);
        CHECK_ERRNO(ioctl(wrong[i], TIOCGWINSZ, &w), ENOTTY);
        CHECK_ERRNO(ioctl(wrong[i], TIOCSCTTY, 0), ENOTTY);
        CHECK(!isatty(wrong[i]) && errno == ENOTTY);
    }
    CHECK_ERRNO(tcgetattr(-1, &t), EBADF);
    CHECK_ERRNO(tcdrain(-1), EBADF);
    CHECK_ERRNO(tcflush(1000, TCIFLUSH), EBADF);
    CHECK(!isatty(-1) && errno == EBADF);
    close(p[0]), close(p[1]), close(file);
    int master, slave;
    pty(&master, &slave);
    CHECK(isatty(slave) && isatty(master));
    CHECK_ERRNO(tcflush(slave, 7), EINVAL);
    CHECK_ERRNO(tcflow(slave, 7), EINVAL);
    CHECK(tcgetattr(slave, &t) == 0);
    CHECK_ERRNO(tcsetattr(slave, 7, &t), EINVAL);
    CHECK_ERRNO(ioctl(slave, TCGETS, 8), EFAULT);
    CHECK_ERRNO(ioctl(slave, TCSETS, 8), EFAULT);
    CHECK_ERRNO(ioctl(slave, TIOCGWINSZ, 8), EFAULT);
    CHECK_ERRNO(ioctl(slave, TIOCSWINSZ, 8), EFAULT);
    CHECK_ERRNO(ioctl(slave, FIONREAD, 8), EFAULT);
    CHECK_ERRNO(ioctl(slave, 0x5a5a, &n), ENOTTY);
    CHECK_ERRNO(tcgetpgrp(slave), ENOTTY); /* it is nobody's controlling terminal */
    CHECK_ERRNO(tcsetpgrp(slave, getpgrp()), ENOTTY);
    CHECK_ERRNO(tcgetsid(slave), ENOTTY);
    CHECK_ERRNO(ioctl(slave, TIOCGPTN, &n), ENOTTY); /* a master's */
    CHECK(ioctl(master, TIOCGPTN, &n) == 0 && n >= 0);
    close(master);
    CHECK_ERRNO(write(slave, "x", 1), EIO); /* hung up */
    char c;
    CHECK(read(slave, &c, 1) == 0);
    close(slave);
}

static void test_attributes(void)
{
    int master, slave;
    struct termios t, u;
    struct winsize w = {24, 80, 0, 0}, got;
    pty(&master, &slave);
    CHECK(tcgetattr(slave, &t) == 0);
    CHECK((t.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG));
    CHECK((t.c_oflag & (OPOST | ONLCR)) == (OPOST | ONLCR) && (t.c_iflag & ICRNL));
    CHECK(t.c_cc[VINTR] == 3 && t.c_cc[VEOF] == 4 && t.c_cc[VSUSP] == 26 && t.c_cc[VQUIT] == 28);
    CHECK(cfgetospeed(&t) == B38400 && cfgetispeed(&t) == B38400);
    u = t;
    u.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    u.c_cc[VMIN] = 3;
    u.c_cc[VTIME] = 0;
    CHECK(cfsetospeed(&u, B9600) == 0 && cfsetispeed(&u, B9600) == 0);
    CHECK(tcsetattr(slave, TCSADRAIN, &u) == 0);
    CHECK(tcgetattr(master, &t) == 0); /* the same terminal */
    CHECK(t.c_lflag == u.c_lflag && t.c_cc[VMIN] == 3 && cfgetospeed(&t) == B9600);
    CHECK_ERRNO(cfsetospeed(&t, 0x7fffffff), EINVAL);
    CHECK(ioctl(slave, TIOCSWINSZ, &w) == 0);
    CHECK(ioctl(master, TIOCGWINSZ, &got) == 0 && got.ws_row == 24 && got.ws_col == 80);
    CHECK(tcsendbreak(slave, 0) == 0);
    close(master), close(slave);
}

static void test_queues(void)
{
    int master, slave;
    char bytes[64];
    pty(&master, &slave);
    raw(slave);
    CHECK(write(master, "input", 5) == 5);
    while (unread(slave) != 5)
        sleep_ms(1);
    CHECK(tcflush(slave, TCIFLUSH) == 0 && unread(slave) == 0);
    CHECK(write(slave, "output", 6) == 6);
    CHECK(tcdrain(slave) == 0);
    CHECK(read(master, bytes, sizeof bytes) == 6 && !memcmp(bytes, "output", 6));
    /* stopped output, and started again */
    CHECK(tcflow(slave, TCOOFF) == 0);
    CHECK(fcntl(slave, F_SETFL, O_NONBLOCK) == 0 && fcntl(master, F_SETFL, O_NONBLOCK) == 0);
    (void)!write(slave, "held", 4);
    CHECK_ERRNO(read(master, bytes, sizeof bytes), EAGAIN);
    CHECK(tcflow(slave, TCOON) == 0);
    CHECK(fcntl(slave, F_SETFL, 0) == 0 && fcntl(master, F_SETFL, 0) == 0);
    CHECK(write(slave, "go", 2) == 2);
    ssize_t n = 0;
    while (n < 2 || memcmp(bytes + n - 2, "go", 2)) {
        ssize_t more = read(master, bytes + n, sizeof bytes - (size_t)n);
        CHECK(more > 0);
        n += more;
    }
    CHECK(write(master, "more", 4) == 4);
    while (unread(slave) != 4)
        sleep_ms(1);
    CHECK(tcflush(slave, TCIOFLUSH) == 0 && unread(slave) == 0);
    /* TCSAFLUSH drops what was not read */
    struct termios t;
    CHECK(write(master, "gone", 4) == 4);
    while (unread(slave) != 4)
        sleep_ms(1);
    CHECK(tcgetattr(slave, &t) == 0 && tcsetattr(slave, TCSAFLUSH, &t) == 0 && unread(slave) == 0);
    close(master), close(slave);
}

/* ---- controlling terminals ---- */

/* struct termio of System V: the lower halves, and the rest stays. */
static void test_termio(void)
{
    struct {
        uint16_t iflag, oflag, cflag, lflag;
        uint8_t line, cc[8];
    } old;
    int master, slave;
    struct termios t, u;
    pty(&master, &slave);
    CHECK(tcgetattr(slave, &t) == 0 && ioctl(slave, 0x5405 /* TCGETA */, &old) == 0);
    CHECK(old.iflag == (uint16_t)t.c_iflag && old.oflag == (uint16_t)t.c_oflag);
    CHECK(old.cflag == (uint16_t)t.c_cflag && old.lflag == (uint16_t)t.c_lflag);
    CHECK(!memcmp(old.cc, t.c_cc, sizeof old.cc));
    for (unsigned request = 0x5406; request <= 0x5408; request++) { /* TCSETA, TCSETAW, TCSETAF */
        old.lflag ^= ECHO;
        old.cc[VINTR]++;
        CHECK(ioctl(slave, request, &old) == 0 && tcgetattr(slave, &u) == 0);
        CHECK(u.c_lflag == (t.c_lflag ^ ECHO) && u.c_cc[VINTR] == t.c_cc[VINTR] + 1);
        CHECK(u.c_cc[VSUSP] == t.c_cc[VSUSP] && u.c_iflag == t.c_iflag && u.c_cflag == t.c_cflag);
        t = u;
    }
    CHECK_ERRNO(ioctl(slave, 0x5405, 8), EFAULT);
    CHECK_ERRNO(ioctl(slave, 0x5406, 8), EFAULT);
    close(master), close(slave);
}

static void on_alarm(int signal)
{
    (void)signal;
}

/* What answers at once is not interrupted. */
static void test_interruption(void)
{
    int master, slave;
    unsigned number;
    struct termios t;
    struct itimerval often = {{0, 100}, {0, 100}}, never = {0};
    pty(&master, &slave);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (double end = seconds_now() + 0.3; seconds_now() < end;)
        CHECK(ioctl(master, TIOCGPTN, &number) == 0 && tcgetattr(slave, &t) == 0);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    close(master);
    close(slave);
}

static void test_controlling(void)
{
    int master, slave;
    pty(&master, &slave);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(setsid() == getpid());
        CHECK_ERRNO(tcgetpgrp(slave), ENOTTY);
        CHECK(ioctl(slave, TIOCSCTTY, 0) == 0);
        CHECK(ioctl(slave, TIOCSCTTY, 0) == 0); /* it is already */
        CHECK(tcgetpgrp(slave) == getpid() && tcgetsid(slave) == getpid());
        int tty = open("/dev/tty", O_RDWR);
        CHECK(tty >= 0 && tcgetsid(tty) == getpid());
        CHECK_ERRNO(tcsetpgrp(slave, 0x3fffffff), ESRCH);
        CHECK_ERRNO(tcsetpgrp(slave, -1), EINVAL);
        CHECK_ERRNO(tcsetpgrp(slave, getppid()), EPERM); /* another session's */
        int other_master, other;
        pty(&other_master, &other);
        CHECK_ERRNO(ioctl(other, TIOCSCTTY, 0), EPERM); /* there is one */
        pid_t second = fork();
        if (second == 0) { /* not a leader, but of the session */
            CHECK(tcgetsid(slave) == getsid(0));
            CHECK_ERRNO(ioctl(other, TIOCSCTTY, 0), EPERM);
            CHECK(setsid() == getpid());
            CHECK_ERRNO(ioctl(slave, TIOCSCTTY, 0), EPERM); /* another session's */
            CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
            CHECK(ioctl(other, TIOCSCTTY, 0) == 0);
            _exit(0);
        }
        finish(second);
        close(other), close(other_master);
        /* given up: the session has none any more */
        signal(SIGHUP, SIG_IGN);
        signal(SIGCONT, SIG_IGN);
        CHECK(ioctl(tty, TIOCNOTTY) == 0);
        CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
        CHECK_ERRNO(ioctl(slave, TIOCNOTTY), ENOTTY);
        CHECK(ioctl(slave, TIOCSCTTY, 0) == 0); /* and may have it again */
        _exit(0);
    }
    close(slave);
    finish(pid);
    close(master);
}

int main(void)
{
    signal(SIGTTOU, SIG_IGN);
    test_errors();
    test_attributes();
    test_queues();
    test_termio();
    test_interruption();
    test_controlling();
    puts("ok");
    return 0;
}
