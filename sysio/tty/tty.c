/* SPDX-License-Identifier: MIT */
/* The tty engine's messages: reads and writes that may have to wait, and the end of the program. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <motor/channel.h>
#include <motor/start.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct engine tty_engine;

/* A call put aside until its object can go on. */
struct waiting {
    struct waiting *next;
    uint64_t token, size;
    uint32_t object, op;
};

static struct tty_object objects[TTY_OBJECTS];
static struct waiting *waiting; /* oldest first */
static bool channel;
static struct {
    uint64_t token; /* 0: none */
    bool sent;
    uint32_t frame, size;
    char bytes[512];
} finish;

bool tty_has_channel(void)
{
    return channel;
}

int64_t tty_open(uint32_t kind)
{
    return kind < TTY_OBJECTS ? engine_gate(&tty_engine, kind + 1) : -EINVAL;
}

int64_t bytes_to_caller(struct bytes *b, uint64_t token, uint64_t size)
{
    uint64_t done = 0;
    while (done < size && bytes_used(b)) {
        uint32_t at = b->tail & (b->size - 1);
        uint64_t n = b->size - at < bytes_used(b) ? b->size - at : bytes_used(b);
        if (n > size - done)
            n = size - done;
        int64_t moved = token_write(token, done, b->at + at, n);
        if (moved <= 0)
            return done ? (int64_t)done : moved ? moved : -EFAULT;
        b->tail += (uint32_t)moved;
        done += (uint64_t)moved;
    }
    return (int64_t)done;
}

/* ---- reads and writes ---- */

/* Tries a read or write; false: it must wait. */
static bool attempt(uint32_t object, uint32_t op, uint64_t token, uint64_t size)
{
    struct tty_object *o = &objects[object];
    bool eof = false;
    int64_t n = op == IO_READ ? o->read(token, size, &eof) : o->write(o, token, size);
    if (n == 0 && !eof && size)
        return false;
    if (!engine_reply_now(&tty_engine, token, n) && n >= 0 && size)
        o->undo(o, op == IO_WRITE);
    return true;
}

static bool others_wait(uint32_t object, uint32_t op)
{
    for (struct waiting *w = waiting; w; w = w->next)
        if (w->object == object && w->op == op)
            return true;
    return false;
}

static void read_or_write(struct motor_event *ev, uint32_t object)
{
    struct tty_object *o = &objects[object];
    uint64_t size = ev->op == IO_READ ? ev->out_size : ev->in_size;
    if (ev->op == IO_READ ? !o->read : !o->write) {
        engine_reply(&tty_engine, ev->token, -EBADF);
        return;
    }
    if (!others_wait(object, ev->op) && attempt(object, ev->op, ev->token, size))
        return;
    struct waiting *w = ev->word[1] & O_NONBLOCK ? NULL : malloc(sizeof *w);
    if (!w) {
        engine_reply(&tty_engine, ev->token, ev->word[1] & O_NONBLOCK ? -EAGAIN : -ENOMEM);
        return;
    }
    *w = (struct waiting){NULL, ev->token, size, object, ev->op};
    struct waiting **link = &waiting;
    while (*link)
        link = &(*link)->next;
    *link = w;
}

/*
 * Those who wait, in order; each object and direction stops at its first that must go on waiting.
 */
static void retry_waiting(void)
{
    uint32_t blocked = 0;
    for (struct waiting **link = &waiting, *w; (w = *link);) {
        uint32_t bit = 1u << (w->object * 2 + (w->op == IO_WRITE));
        if ((blocked & bit) || !attempt(w->object, w->op, w->token, w->size)) {
            blocked |= bit;
            link = &w->next;
            continue;
        }
        *link = w->next;
        free(w);
    }
}

static void cancel(uint64_t token)
{
    for (struct waiting **link = &waiting, *w; (w = *link); link = &w->next) {
        if (w->token != token)
            continue;
        *link = w->next;
        free(w);
        /* MOTOR_CALL_CONFIRM: it wants to know that nothing happened */
        engine_reply(&tty_engine, token, -EINTR);
        return;
    }
}

/* ---- the other calls ---- */

static void stat_object(struct motor_event *ev, uint32_t object)
{
    uint64_t now = clock_realtime_ns();
    struct io_stat st = {.dev = 0xff,
                         .ino = object + 1,
                         .mode = objects[object].mode,
                         .nlink = 1,
                         .rdev = objects[object].rdev,
                         .blksize = 4096};
    st.atime = st.mtime = st.ctime = st.btime = (int64_t)(now / 1000000000u);
    engine_reply_data(engine_reply(&tty_engine, ev->token, ev->in_size ? -ENOTDIR : 0), &tty_engine,
                      &st, sizeof st);
}

static void open_object(struct motor_event *ev)
{
    if (ev->op == IO_SESSION_OPEN) {
        session_open(ev);
        return;
    }
    int64_t h = ev->op == IO_TTY_OPEN ? tty_open((uint32_t)ev->word[0]) : -ENOSYS;
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, h < 0 ? h : 0);
    if (h >= 0) {
        engine_reply_handle(r, (motor_handle)h, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
        r->word[0] = MOTOR_FD_TTY;
    }
}

static uint32_t ready_events(uint32_t object)
{
    return objects[object].ready(&objects[object]);
}

static int64_t poll_object(struct motor_event *ev, uint32_t object)
{
    uint32_t mask = (uint32_t)ev->word[0] | POLLERR | POLLHUP, ready = ready_events(object) & mask;
    if (ready || !ev->word[1])
        return ready;
    if (!ev->nhandles || ev->handle[0] != MOTOR_HANDLE_OWN)
        return -EINVAL;
    return session_arm(ev->own_badge[0], ev->word[2], object, mask);
}

static void call_object(struct motor_event *ev, uint32_t object)
{
    struct tty_object *o = &objects[object];
    static const char paths[][16] = {"/dev/console", "/dev/stdin", "/dev/stdout",
                                     "/dev/stderr",  "/dev/trace", "/dev/missing"};
    int64_t status = -ENOSYS;
    switch (ev->op) {
    case IO_READ:
    case IO_WRITE:
        read_or_write(ev, object);
        return;
    case IO_STAT:
        stat_object(ev, object);
        return;
    case IO_CONTROL:
        status = o->control ? o->control(ev) : -ENOTTY;
        break;
    case IO_POLL:
        status = poll_object(ev, object);
        break;
    case IO_PATH:
        status = event_write(ev, 0, paths[object], strlen(paths[object]));
        break;
    case IO_SYNC:
        status = -EINVAL;
        break;
    case IO_TRUNCATE:
    case IO_ALLOCATE:
        status = -EINVAL;
        break;
    case IO_CHMOD:
    case IO_CHOWN:
    case IO_UTIMENS:
        status = ev->in_size ? -ENOTDIR : -EPERM;
        break;
    case IO_MAP:
        status = -ENODEV;
        break;
    default:
        status = ev->op < IO_SESSION_OPEN ? -ENOTDIR : -ENOSYS;
    }
    engine_reply(&tty_engine, ev->token, status);
}

/* ---- the end ---- */

static void finish_begin(struct motor_event *ev)
{
    int64_t n = event_read(ev, 0, finish.bytes, sizeof finish.bytes);
    finish.token = ev->token;
    finish.frame = (uint32_t)ev->word[0];
    finish.size = n < 0 ? 0 : (uint32_t)n;
    finish.sent = !channel;
}

static void finish_try(void)
{
    if (!finish.token)
        return;
    if (!finish.sent)
        finish.sent = channel_frame(finish.frame, finish.bytes, finish.size);
    if (channel)
        channel_turn_end();
    if (finish.sent && console_drained() && (!channel || channel_drained())) {
        engine_reply(&tty_engine, finish.token, 0);
        engine_flush(&tty_engine);
        finish.token = 0;
    }
}

/* ---- the engine ---- */

static void tty_event(struct engine *e, struct motor_event *ev)
{
    uint64_t number = ev->badge - 1;
    if (ev->kind == MOTOR_EVENT_CANCEL) {
        cancel(ev->token);
    } else if (ev->kind == MOTOR_EVENT_CLOSED) {
        session_closed(ev->badge);
    } else if (ev->kind == MOTOR_EVENT_NOTIFY) {
        if (number == TTY_UART_IRQ)
            console_interrupt();
        else if (number == TTY_CHANNEL_IRQ)
            channel_interrupt();
    } else if (ev->kind == MOTOR_EVENT_CALL) {
        if (number < TTY_OBJECTS)
            call_object(ev, (uint32_t)number);
        else if (number == TTY_CONNECTOR)
            open_object(ev);
        else if (number == TTY_CONTROL && ev->op == TTY_FINISH)
            finish_begin(ev);
        else
            engine_reply(e, ev->token, -ENOSYS);
    }
}

static void tty_turn_end(struct engine *e)
{
    (void)e;
    if (channel)
        channel_turn_end();
    console_turn_end();
    if (waiting)
        retry_waiting();
    if (channel)
        channel_turn_end();
    session_turn_end(ready_events);
    finish_try();
}

/* What an object is when there is no channel: all of them are the console. */
static const struct tty_object console_object = {
    .read = console_read,
    .write = console_write,
    .undo = console_undo,
    .control = console_control,
    .ready = console_ready,
    .mode = S_IFCHR | 0620,
    .rdev = 5 << 8 | 1,
};

static void objects_set(void)
{
    static const uint32_t frames[TTY_OBJECTS] = {
        [IO_TTY_STDOUT] = MOTOR_FRAME_STDOUT,
        [IO_TTY_STDERR] = MOTOR_FRAME_STDERR,
        [IO_TTY_TRACE] = MOTOR_FRAME_TRACE,
        [IO_TTY_MISSING] = MOTOR_FRAME_MISSING,
    };
    for (uint32_t i = 0; i < TTY_OBJECTS; i++)
        objects[i] = console_object;
    for (uint32_t i = IO_TTY_STDIN; channel && i < TTY_OBJECTS; i++)
        objects[i] = (struct tty_object){.read = i == IO_TTY_STDIN ? channel_read : NULL,
                                         .write = i == IO_TTY_STDIN ? NULL : channel_write,
                                         .undo = channel_undo,
                                         .ready = channel_ready,
                                         .mode = S_IFIFO | 0600,
                                         .channel_frame = frames[i]};
    objects[IO_TTY_TRACE].read = objects[IO_TTY_MISSING].read = NULL;
}

bool tty_init(bool channel_wanted)
{
    if (!engine_init(&tty_engine, "tty", tty_event) || !console_init())
        return false;
    tty_engine.turn_end = tty_turn_end;
    channel = channel_wanted && channel_init();
    objects_set();
    return true;
}
