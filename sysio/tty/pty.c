/* SPDX-License-Identifier: MIT */
/*
 * Pseudoterminals: pty(7). The slave is a terminal; the master is its driver: it reads what the
 * terminal puts out, and what it writes is typed there.
 *
 * A pty lives until both ends are closed. When the master goes the terminal is hung up; while no
 * slave is open the master reads EIO, once there was one.
 */
#include "session.h"
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>

#define OUT_SIZE 8192u

struct pty {
    struct terminal terminal;
    struct tty_object master, slave;
    uint64_t master_badge, slave_badge;
    uint32_t slaves, masters; /* gates */
    bool locked, was_open;
    bool packets;   /* TIOCPKT */
    uint8_t news;   /* TIOCPKT_* not yet read */
    uint8_t before; /* `news` and out.tail before the last read of the master */
    uint32_t before_tail;
};

static struct pty *ptys[PTY_MAX];
static uint32_t generations[PTY_MAX]; /* [atomic] */
static uint32_t last_generation;

static struct pty *pty_of(struct tty_object *o)
{
    return ptys[o->number];
}

uint32_t pty_generation(uint32_t number)
{
    return number < PTY_MAX ? __atomic_load_n(&generations[number], __ATOMIC_ACQUIRE) : 0;
}

/* ---- life ---- */

static void changed(struct terminal *t, uint32_t what)
{
    struct pty *p = (struct pty *)((char *)t - offsetof(struct pty, terminal));
    uint8_t opposite = what == TERMINAL_STOPPED   ? TIOCPKT_START
                       : what == TERMINAL_STARTED ? TIOCPKT_STOP
                                                  : 0;
    if (p->packets)
        p->news = (uint8_t)((p->news & ~opposite) | what);
}

static void pty_free(struct pty *p)
{
    __atomic_store_n(&generations[p->master.number], 0, __ATOMIC_RELEASE);
    ptys[p->master.number] = NULL;
    session_forget(&p->master);
    session_forget(&p->slave);
    if (p->master_badge)
        badge_remove(&tty_engine.badges, p->master_badge);
    if (p->slave_badge)
        badge_remove(&tty_engine.badges, p->slave_badge);
    job_hang_up(&p->terminal);
    terminal_free(&p->terminal);
    free(p);
}

static void master_closed(struct tty_object *o)
{
    struct pty *p = pty_of(o);
    if (--p->masters)
        return;
    p->terminal.hung_up = true;
    output_flush(&p->terminal);
    job_hang_up(&p->terminal);
    __atomic_store_n(&generations[o->number], 0, __ATOMIC_RELEASE);
    if (!p->slaves)
        pty_free(p);
}

static void slave_closed(struct tty_object *o)
{
    struct pty *p = pty_of(o);
    if (--p->slaves == 0 && !p->masters)
        pty_free(p);
}

static void master_opened(struct tty_object *o)
{
    pty_of(o)->masters++;
}

static void slave_opened(struct tty_object *o)
{
    pty_of(o)->slaves++;
}

static int64_t open_end(struct pty *p, struct tty_object *o)
{
    int64_t h = engine_gate(&tty_engine, o == &p->master ? p->master_badge : p->slave_badge);
    if (h >= 0)
        o->opened(o);
    return h;
}

/* ---- the master's end ---- */

static bool has_output(const struct pty *p)
{
    return !p->terminal.stopped && bytes_used(&p->terminal.out);
}

/* No slave is open any more, and nothing is left of what they wrote. */
static bool deserted(const struct pty *p)
{
    return p->was_open && !p->slaves && !bytes_used(&p->terminal.out);
}

static int64_t read_news(struct pty *p, uint64_t token)
{
    uint8_t news = p->news;
    p->news = 0;
    return token_write(token, 0, &news, 1);
}

/* One packet: a zero byte, then data. */
static int64_t read_packet(struct pty *p, uint64_t token, uint64_t size)
{
    uint8_t piece[1024] = {TIOCPKT_DATA};
    struct bytes *out = &p->terminal.out;
    uint64_t n = 1;
    while (n < sizeof piece && n < size && bytes_used(out))
        piece[n++] = bytes_take(out);
    return token_write(token, 0, piece, n);
}

static int64_t master_read(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                           bool *eof, uint64_t *again)
{
    struct pty *p = pty_of(o);
    (void)since, (void)again;
    p->before = p->news;
    p->before_tail = p->terminal.out.tail;
    *eof = !size;
    if (p->packets && p->news && size)
        return read_news(p, token);
    if (deserted(p))
        return -EIO;
    if (!size || !has_output(p))
        return 0;
    return p->packets ? read_packet(p, token, size)
                      : bytes_to_caller(&p->terminal.out, token, size);
}

static int64_t master_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    struct terminal *t = &pty_of(o)->terminal;
    uint8_t piece[1024];
    uint64_t done = 0;
    while (done < size && line_room(t)) {
        uint64_t n = size - done < sizeof piece ? size - done : sizeof piece;
        n = n < line_room(t) ? n : line_room(t);
        int64_t got = token_read(token, done, piece, n);
        if (got <= 0)
            return done ? (int64_t)done : got ? got : -EFAULT;
        for (int64_t i = 0; i < got; i++)
            line_input(t, piece[i]);
        done += (uint64_t)got;
    }
    return (int64_t)done;
}

/* What was typed has had its effects: only a reader's loss can be made good. */
static void master_undo(struct tty_object *o, bool write)
{
    struct pty *p = pty_of(o);
    if (!write) {
        p->news |= p->before;
        p->terminal.out.tail = p->before_tail;
    }
}

static uint32_t master_ready(struct tty_object *o)
{
    struct pty *p = pty_of(o);
    uint32_t events = 0;
    if (has_output(p))
        events |= POLLIN | POLLRDNORM;
    if (p->packets && p->news)
        events |= POLLIN | POLLRDNORM | POLLPRI;
    if (deserted(p))
        events |= POLLHUP;
    if (line_room(&p->terminal))
        events |= POLLOUT | POLLWRNORM;
    return events;
}

static int64_t take_int(struct motor_event *ev, uint32_t *value)
{
    int64_t n = event_read(ev, 0, value, sizeof *value);
    return n < 0 ? n : n < (int64_t)sizeof *value ? -EFAULT : 0;
}

static int64_t give_int(struct motor_event *ev, uint32_t value)
{
    int64_t n = event_write(ev, 0, &value, sizeof value);
    return n < 0 ? n : n < (int64_t)sizeof value ? -EFAULT : 0;
}

static int64_t master_control(struct tty_object *o, struct motor_event *ev, bool waited)
{
    struct pty *p = pty_of(o);
    uint32_t value = 0;
    switch (ev->word[0]) {
    case TIOCGPTN:
        return give_int(ev, o->number);
    case TIOCSPTLCK:
        if (take_int(ev, &value) < 0)
            return -EFAULT;
        p->locked = value;
        return 0;
    case TIOCGPTLCK:
        return give_int(ev, p->locked);
    case TIOCPKT:
        if (take_int(ev, &value) < 0)
            return -EFAULT;
        p->packets = value;
        p->news = 0;
        return 0;
    case TIOCGPKT:
        return give_int(ev, p->packets);
    case TIOCSIG:
        job_signal(&p->terminal, (int)ev->word[1]);
        return 0;
    case FIONREAD:
        return give_int(ev, bytes_used(&p->terminal.out));
    case TIOCGPGRP:
        return give_int(ev, p->terminal.foreground);
    case TIOCGSID:
        return p->terminal.session ? give_int(ev, p->terminal.session) : -ENOTTY;
    case TIOCSCTTY:
    case TIOCNOTTY:
        return -ENOTTY;
    default:
        return terminal_control(&p->terminal, ev, waited);
    }
}

static const struct tty_ops master_ops = {
    .read = master_read,
    .write = master_write,
    .undo = master_undo,
    .control = master_control,
    .ready = master_ready,
};

/* ---- opening ---- */

static struct pty *pty_new(uint32_t number)
{
    struct pty *p = memory_low() ? NULL : calloc(1, sizeof *p);
    if (!p || !terminal_init(&p->terminal, OUT_SIZE)) {
        free(p);
        return NULL;
    }
    p->terminal.changed = changed;
    p->terminal.pty = true;
    p->terminal.rdev = 136 << 8 | number;
    p->master = (struct tty_object){.badge_kind = BADGE_OBJECT,
                                    .ops = &master_ops,
                                    .opened = master_opened,
                                    .closed = master_closed,
                                    .number = number,
                                    .mode = S_IFCHR | 0666,
                                    .rdev = 5 << 8 | 2,
                                    .path = "/dev/ptmx"};
    p->slave = (struct tty_object){.badge_kind = BADGE_OBJECT,
                                   .ops = &terminal_ops,
                                   .terminal = &p->terminal,
                                   .opened = slave_opened,
                                   .closed = slave_closed,
                                   .number = number,
                                   .mode = S_IFCHR | 0620,
                                   .rdev = 136 << 8 | number};
    p->locked = true;
    p->master_badge = badge_add(&tty_engine.badges, &p->master);
    p->slave_badge = badge_add(&tty_engine.badges, &p->slave);
    ptys[number] = p;
    return p;
}

int64_t pty_open_master(uint32_t *number)
{
    uint32_t n = 0;
    while (n < PTY_MAX && ptys[n])
        n++;
    if (n == PTY_MAX)
        return -ENOSPC;
    struct pty *p = pty_new(n);
    if (!p)
        return -ENOMEM;
    int64_t h = p->master_badge && p->slave_badge ? open_end(p, &p->master) : -ENOMEM;
    if (h < 0) {
        pty_free(p);
        return h;
    }
    if (!++last_generation)
        ++last_generation;
    __atomic_store_n(&generations[n], last_generation, __ATOMIC_RELEASE);
    *number = n;
    return h;
}

int64_t pty_open_slave(uint32_t number, struct terminal **t)
{
    struct pty *p = number < PTY_MAX ? ptys[number] : NULL;
    if (!p || !p->masters || p->locked)
        return -EIO;
    *t = &p->terminal;
    p->was_open = true;
    return open_end(p, &p->slave);
}

int64_t pty_reopen(struct terminal *t)
{
    struct pty *p = (struct pty *)((char *)t - offsetof(struct pty, terminal));
    return t->hung_up ? -EIO : open_end(p, &p->slave);
}
