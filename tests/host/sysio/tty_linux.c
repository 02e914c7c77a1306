/* SPDX-License-Identifier: MIT */
/*
 * Ptys against Linux's own: the same settings, the same bytes typed at the master and written by
 * the slave, in random order; what the slave reads and what comes out at the master must be the
 * same bytes in the same pieces. Settings cover all of editing, echo, mapping and output
 * processing. Flow control and jobs, whose timing is Linux's own affair, are in tty_pty.c.
 *
 * tty_linux [SEED [ROUNDS]]
 */
#include "../../../sysio/tty/session.h"
#include "../../../sysio/tty/terminal.h"
#include "../lib/fake_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static uint64_t seed;
static unsigned step;

static uint32_t below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % n;
}

static struct line_termios modes;

static _Noreturn void differ(const char *what)
{
    fprintf(stderr, "iflag %o oflag %o lflag %o\n", modes.iflag, modes.oflag, modes.lflag);
    fprintf(stderr, "tty_linux: step %u: %s\n", step, what);
    exit(1);
}

/* ---- the two sides ---- */

struct side {
    motor_handle master, slave;
    int master_fd, slave_fd;
};

static void turn(void)
{
    engine_turn(&tty_engine, false);
}

static int64_t ours(motor_handle h, uint32_t op, const void *in, uint64_t in_size, void *out,
                    uint64_t out_size, uint64_t request)
{
    struct motor_msg m = {.op = op, .in = in, .in_size = in_size, .out = out, .out_size = out_size};
    m.word[0] = request;
    m.word[1] = op == IO_CONTROL ? 0 : O_NONBLOCK;
    fake_call(h, &m, 0, 0, turn);
    return m.status;
}

static void open_both(struct side *s)
{
    uint32_t number, unlocked = 0;
    struct terminal *t;
    s->master = (motor_handle)pty_open_master(&number);
    ours(s->master, IO_CONTROL, &unlocked, 4, NULL, 0, TIOCSPTLCK);
    s->slave = (motor_handle)pty_open_slave(number, &t);
    s->master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (s->master_fd < 0 || grantpt(s->master_fd) || unlockpt(s->master_fd))
        differ("the host has no pty");
    s->slave_fd = open(ptsname(s->master_fd), O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (s->slave_fd < 0)
        differ("the host's pty does not open");
}

static void close_both(struct side *s)
{
    fake_close(s->slave);
    fake_close(s->master);
    turn();
    close(s->slave_fd);
    close(s->master_fd);
}

/* ---- comparing ---- */

static void show(const char *who, const uint8_t *bytes, int64_t n)
{
    fprintf(stderr, "%s %lld:", who, (long long)n);
    for (int64_t i = 0; i < n && i < 200; i++)
        fprintf(stderr, " %02x", bytes[i]);
    fprintf(stderr, "\n");
}

/* Reads until nothing is left: the same lines. */
static void compare_lines(const struct side *s)
{
    uint8_t a[5000], b[5000];
    for (;;) {
        uint32_t size = 1 + below(below(2) ? 8 : sizeof a);
        ssize_t n = read(s->slave_fd, a, size);
        int64_t m = ours(s->slave, IO_READ, NULL, 0, b, size, 0);
        n = n < 0 ? -errno : n;
        if (n != m || (n > 0 && memcmp(a, b, (size_t)n))) {
            show("linux", a, n);
            show("motor", b, m);
            differ("the slave reads something else");
        }
        if (n < 0)
            return;
    }
}

/* Raw bytes; how many there are at a time is chance on Linux. */
static void compare_raw(const struct side *s)
{
    static uint8_t a[1 << 16], b[1 << 16];
    int64_t n = 0, m = 0, got;
    while ((got = read(s->slave_fd, a + n, 1 + below(200))) > 0)
        n += got;
    while ((got = ours(s->slave, IO_READ, NULL, 0, b + m, 1 + below(200), 0)) > 0)
        m += got;
    if (n != m || memcmp(a, b, (size_t)n)) {
        show("linux", a, n);
        show("motor", b, m);
        differ("the slave reads something else");
    }
}

static void compare_slave(const struct side *s)
{
    if (modes.lflag & ICANON)
        compare_lines(s);
    else
        compare_raw(s);
}

/* All of the output together: how Linux cuts it is chance. */
static void compare_master(const struct side *s)
{
    static uint8_t a[1 << 16], b[1 << 16];
    int64_t n = 0, m = 0, got;
    while ((got = read(s->master_fd, a + n, sizeof a - (size_t)n)) > 0)
        n += got;
    while ((got = ours(s->master, IO_READ, NULL, 0, b + m, sizeof b - (uint64_t)m, 0)) > 0)
        m += got;
    if (n != m || memcmp(a, b, (size_t)n)) {
        show("linux", a, n);
        show("motor", b, m);
        differ("something else comes out at the master");
    }
}

/* ---- steps ---- */

static void set_modes(const struct side *s)
{
    static const uint32_t iflags[] = {ISTRIP, INLCR, IGNCR, ICRNL, IUTF8, IMAXBEL};
    static const uint32_t oflags[] = {OPOST, ONLCR, OCRNL, ONOCR, ONLRET, TAB3, OLCUC};
    static const uint32_t lflags[] = {ISIG,   ICANON, ECHO,    ECHOE, ECHOK,
                                      ECHONL, ECHOKE, ECHOCTL, IEXTEN};
    struct line_termios t;
    ours(s->slave, IO_CONTROL, NULL, 0, &t, sizeof t, TCGETS);
    t.iflag = t.oflag = t.lflag = 0;
    for (size_t i = 0; i < sizeof iflags / 4; i++)
        t.iflag |= below(4) ? 0 : iflags[i];
    for (size_t i = 0; i < sizeof oflags / 4; i++)
        t.oflag |= below(3) ? 0 : oflags[i];
    for (size_t i = 0; i < sizeof lflags / 4; i++)
        t.lflag |= below(3) ? lflags[i] : 0;
    t.lflag |= NOFLSH; /* how much of the output is still there to be flushed is chance on Linux */
    t.cc[VEOL] = below(2) ? 0 : 'x';
    t.cc[VEOL2] = below(2) ? 0 : 'y';
    t.cc[VMIN] = (uint8_t)below(2);
    t.cc[VTIME] = 0;
    modes = t;
    struct {
        struct line_termios t;
        uint8_t more[64];
    } host = {.t = t};
    if (ioctl(s->slave_fd, TCSETS, &host))
        differ("TCSETS");
    if (ours(s->slave, IO_CONTROL, &t, sizeof t, NULL, 0, TCSETS))
        differ("our TCSETS");
}

static void type(const struct side *s)
{
    static const uint8_t special[] = "\n\n\n\r\t\x7f\x7f\x15\x17\x12\x16\x04\x03\x1a\x1c"
                                     "\b\x01\x1b _ab yxz\xc3\xa9\xe2\x82\xac\xe9";
    uint8_t bytes[64];
    uint32_t n = 1 + below(below(8) ? 8 : sizeof bytes);
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = below(3) ? special[below(sizeof special - 1)] : (uint8_t)(32 + below(95));
    if (write(s->master_fd, bytes, n) != (ssize_t)n)
        differ("the host's master takes less");
    if (ours(s->master, IO_WRITE, bytes, n, NULL, 0, 0) != n)
        differ("our master takes less");
}

static void put_out(const struct side *s)
{
    static const uint8_t bytes[] = "line\nA\ttab\rB\b\x07 \x01 end é\n\r\n\t";
    uint32_t from = below(sizeof bytes - 1), n = 1 + below((uint32_t)sizeof bytes - 1 - from);
    ssize_t taken = write(s->slave_fd, bytes + from, n);
    if (taken != (ssize_t)n || ours(s->slave, IO_WRITE, bytes + from, n, NULL, 0, 0) != n)
        differ("a slave takes less");
}

/* How much the slave could read: Linux takes what was typed from a queue, whenever its worker runs.
 */
static void compare_unread(const struct side *s)
{
    struct pollfd p = {s->slave_fd, POLLIN, 0};
    uint32_t a = 0, b = 0;
    poll(&p, 1, 0);
    ours(s->slave, IO_CONTROL, NULL, 0, &b, sizeof b, FIONREAD);
    for (int i = 0; i < 50000 && !ioctl(s->slave_fd, FIONREAD, &a) && a != b; i++)
        usleep(200);
    if (a != b) {
        fprintf(stderr, "linux %u, motor %u\n", a, b);
        differ("FIONREAD");
    }
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 40;
    if (!tty_init(false))
        differ("no engine");
    for (unsigned round = 0; round < rounds; round++) {
        struct side s;
        seed = (first + round) * 0x9e3779b97f4a7c15ull | 1;
        open_both(&s);
        set_modes(&s);
        for (step = 0; step < 200; step++) {
            switch (below(12)) {
            case 0:
                /* in one mode at a time: the change itself has rules of Linux's own */
                compare_slave(&s);
                set_modes(&s);
                break;
            case 1:
            case 2:
                compare_slave(&s); /* what was typed is echoed first */
                put_out(&s);
                compare_master(&s);
                break;
            case 3:
                compare_unread(&s);
                break;
            default:
                type(&s);
            }
            if (below(2)) {
                compare_slave(&s);
                compare_master(&s);
            }
        }
        close_both(&s);
    }
    printf("tty_linux: seed %llu, %u rounds: as Linux\n", (unsigned long long)first, rounds);
    return 0;
}
