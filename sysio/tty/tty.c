/* SPDX-License-Identifier: MIT */
/* The tty engine's messages: reads and writes that may have to wait, and the end of the program. */
#include "../local/local.h"
#include "session.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <motor/channel.h>
#include <motor/start.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>

struct engine tty_engine;

/* A call put aside until its object can go on. */
struct waiting {
    struct waiting *next;
    struct tty_object *object;
    struct motor_event *event; /* but for IO_READ and IO_WRITE: all of it */
    uint64_t token, size;
    uint64_t since, again; /* ns: when it came; when to try it again at the latest, 0: never */
    uint32_t op;
    bool peek;
    void *state; /* of the object's call() */
};

static struct tty_object objects[TTY_OBJECTS];
static struct waiting *waiting; /* oldest first */
static struct engine_timer again;
static uint64_t pass; /* counts the times that those who wait are tried */
static bool channel;
/* The end of the machine: the first one that is asked for is what happens. */
static struct {
    bool begun, sent;
    bool power;     /* power_gate ends it, in `mode`; else whoever called TTY_FINISH does */
    uint32_t mode;  /* MOTOR_POWER_* */
    uint64_t token; /* of TTY_FINISH */
    uint32_t frame, size;
    char bytes[512];
} finish;
static motor_handle power_gate; /* 0: the machine ends here */

bool tty_has_channel(void)
{
    return channel;
}

int64_t tty_open(uint32_t kind)
{
    return kind < TTY_OBJECTS ? engine_gate(&tty_engine, kind + 1) : -EINVAL;
}

int64_t tty_ask(struct motor_msg *m)
{
    int64_t gate = engine_gate(&tty_engine, TTY_CONTROL + 1);
    if (gate < 0)
        return gate;
    int64_t status = motor_call((motor_handle)gate, m);
    motor_handle_close((motor_handle)gate);
    return status < 0 ? to_errno(status) : m->status;
}

int64_t tty_of_session(uint32_t session, struct tty_session *out)
{
    struct motor_msg m = {.op = TTY_SESSION, .word = {session}, .deadline = MOTOR_NEVER};
    int64_t status = tty_ask(&m);
    out->rdev = m.word[0];
    out->foreground = (uint32_t)m.word[1];
    return status;
}

int64_t tty_open_device(uint32_t op, uint32_t number, const struct tty_opener *who,
                        uint64_t word[2])
{
    struct motor_msg m = {
        .op = op, .word = {number, who->pid, who->session, who->no_ctty}, .deadline = MOTOR_NEVER};
    int64_t status = tty_ask(&m);
    word[0] = m.word[0];
    word[1] = m.word[1];
    return status < 0 ? status : m.handle[0];
}

struct tty_object *object_of(uint64_t badge)
{
    if (badge - 1 < TTY_OBJECTS)
        return &objects[badge - 1];
    struct tty_object *o = badge_get(&tty_engine.badges, badge);
    return o && o->badge_kind == BADGE_OBJECT ? o : NULL;
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

/* Tries a call; false: it must wait. */
static bool attempt(struct waiting *w, bool waited)
{
    struct tty_object *o = w->object;
    bool eof = false;
    int64_t n;
    w->again = 0;
    if (w->op == IO_CONTROL) {
        n = o->ops->control(o, w->event, waited);
        if (n == CONTROL_DRAIN)
            return false;
        engine_reply(&tty_engine, w->token, n);
        return true;
    }
    if (w->op != IO_READ && w->op != IO_WRITE) {
        n = o->ops->call(o, w->event, &w->state);
        if (n != CALL_WAIT && n != CALL_ANSWERED)
            engine_reply(&tty_engine, w->token, n);
        return n != CALL_WAIT;
    }
    n = w->op == IO_READ ? o->ops->read(o, w->token, w->size, w->since, &eof, &w->again)
                         : o->ops->write(o, w->token, w->size);
    if (n == 0 && !eof && w->size)
        return false;
    if ((!engine_reply_now(&tty_engine, w->token, n) || w->peek) && n >= 0 && w->size)
        o->ops->undo(o, w->op == IO_WRITE);
    return true;
}

static bool others_wait(const struct waiting *like)
{
    for (struct waiting *w = waiting; w; w = w->next)
        if (w->object == like->object && w->op == like->op)
            return true;
    return false;
}

static void put_aside(const struct waiting *call, const struct motor_event *ev)
{
    struct waiting *w = malloc(sizeof *w), **link = &waiting;
    struct motor_event *copy = w && ev ? malloc(sizeof *copy) : NULL;
    if (!w || (ev && !copy)) {
        free(w);
        if (call->state)
            call->object->ops->cancel(call->object, call->event, call->state);
        engine_reply(&tty_engine, call->token, -ENOMEM);
        return;
    }
    *w = *call;
    if (ev)
        *(w->event = copy) = *ev;
    while (*link)
        link = &(*link)->next;
    *link = w;
}

static void read_or_write(struct motor_event *ev, struct tty_object *o)
{
    struct waiting call = {.object = o,
                           .token = ev->token,
                           .size = ev->op == IO_READ ? ev->out_size : ev->in_size,
                           .since = tty_engine.now,
                           .op = ev->op,
                           .peek = ev->op == IO_READ && ev->word[2] == IO_READ_PEEK};
    bool asks = o->terminal && (ev->op == IO_READ || o->terminal->termios.lflag & TOSTOP);
    if (ev->op == IO_READ ? o->no_read : o->no_write)
        engine_reply(&tty_engine, ev->token, -EBADF);
    else if (asks && ev->word[2] != 1 && job_background(o->terminal, ev))
        engine_reply(&tty_engine, ev->token, -IO_EBACKGROUND);
    else if (others_wait(&call) || !attempt(&call, false)) {
        if (ev->word[1] & O_NONBLOCK)
            engine_reply(&tty_engine, ev->token, -EAGAIN);
        else
            put_aside(&call, NULL);
    }
}

static void control(struct motor_event *ev, struct tty_object *o)
{
    struct waiting call = {.object = o, .event = ev, .token = ev->token, .op = IO_CONTROL};
    if (!o->ops->control)
        engine_reply(&tty_engine, ev->token, -ENOTTY);
    else if (!attempt(&call, false))
        put_aside(&call, ev);
}

void tty_call(struct motor_event *ev, struct tty_object *o)
{
    struct waiting call = {.object = o, .event = ev, .token = ev->token, .op = ev->op};
    if (!attempt(&call, false))
        put_aside(&call, ev);
}

void tty_send_away(const struct tty_object *o)
{
    for (struct waiting **link = &waiting, *w; (w = *link);) {
        bool transfer =
            w->op == IO_READ || w->op == IO_WRITE || w->op == IO_SEND || w->op == IO_RECEIVE;
        if (w->object != o || !transfer) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        engine_reply(&tty_engine, w->token, -IO_ELENT);
        free(w->event);
        free(w);
    }
}

static bool drained(const struct tty_object *o)
{
    return !o->terminal || terminal_drained(o->terminal);
}

/*
 * Those who wait, in order; each object and direction stops at its first that must go on waiting.
 */
static void retry_waiting(void)
{
    uint64_t soonest = 0;
    pass++;
    for (struct waiting **link = &waiting, *w; (w = *link);) {
        uint64_t *passed = &w->object->passed[w->op == IO_WRITE];
        bool moves = w->op == IO_READ || w->op == IO_WRITE;
        bool ready = w->op == IO_CONTROL ? drained(w->object) : !moves || *passed != pass;
        if (!ready || !attempt(w, true)) {
            if (moves)
                *passed = pass;
            if (w->again && (!soonest || w->again < soonest))
                soonest = w->again;
            link = &w->next;
            continue;
        }
        *link = w->next;
        free(w->event);
        free(w);
    }
    if (soonest)
        engine_timer_set(&tty_engine, &again, soonest);
    else
        engine_timer_clear(&again);
}

static void again_fire(struct engine *e, struct engine_timer *t)
{
    (void)e, (void)t; /* the end of the turn tries them */
}

static void cancel(uint64_t token)
{
    if (mqueue_cancel(token))
        return;
    for (struct waiting **link = &waiting, *w; (w = *link); link = &w->next) {
        if (w->token != token)
            continue;
        *link = w->next;
        if (w->state)
            w->object->ops->cancel(w->object, w->event, w->state);
        free(w->event);
        free(w);
        /* MOTOR_CALL_CONFIRM: it wants to know that nothing happened */
        engine_reply(&tty_engine, token, -EINTR);
        return;
    }
}

/* ---- the end ---- */

void tty_set_power(motor_handle gate)
{
    power_gate = gate;
}

uint32_t tty_power_mode(void)
{
    return finish.mode;
}

static void finish_begin(struct motor_event *ev)
{
    if (finish.begun)
        return; /* the machine ends before there is an answer */
    int64_t n = event_read(ev, 0, finish.bytes, sizeof finish.bytes);
    finish.begun = true;
    finish.token = ev->token;
    finish.frame = (uint32_t)ev->word[0];
    finish.size = n < 0 ? 0 : (uint32_t)n;
    finish.sent = !channel;
}

/* Answered only when it is refused. */
static void power_begin(struct motor_event *ev)
{
    if (ev->uid || ev->word[0] > IO_POWER_RESET) {
        engine_reply(&tty_engine, ev->token, ev->uid ? -EPERM : -EINVAL);
        return;
    }
    if (finish.begun)
        return;
    finish.begun = finish.power = true;
    finish.mode = ev->word[0] == IO_POWER_OFF ? MOTOR_POWER_OFF : MOTOR_POWER_RESET;
    finish.frame = MOTOR_FRAME_EXIT;
    finish.size = sizeof(uint32_t); /* the status of a program that succeeded: 0 */
    finish.sent = !channel;
}

static void finish_try(void)
{
    if (!finish.begun)
        return;
    if (!finish.sent)
        finish.sent = channel_frame(finish.frame, finish.bytes, finish.size);
    if (channel)
        channel_turn_end();
    if (!finish.sent || !console_drained() || (channel && !channel_drained()))
        return;
    if (finish.power && power_gate)
        motor_notify(power_gate);
    else if (finish.power)
        motor_power(MOTOR_BOOT_HARDWARE, finish.mode, 0);
    if (finish.token) {
        engine_reply(&tty_engine, finish.token, 0);
        engine_flush(&tty_engine);
        finish.token = 0;
    }
}

/* ---- the other calls ---- */

static void stat_object(struct motor_event *ev, struct tty_object *o)
{
    uint64_t now = clock_realtime_ns();
    struct io_stat st = {.dev = 0xff,
                         .ino = o->number + 1,
                         .mode = o->mode,
                         .nlink = 1,
                         .rdev = o->rdev,
                         .blksize = 4096};
    st.atime = st.mtime = st.ctime = st.btime = (int64_t)(now / 1000000000u);
    if (o->ops->stat)
        o->ops->stat(o, &st);
    engine_reply_data(engine_reply(&tty_engine, ev->token, ev->in_size ? -ENOTDIR : 0), &tty_engine,
                      &st, sizeof st);
}

static void give_gate(struct motor_event *ev, int64_t h, uint64_t word0, uint64_t word1)
{
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, h < 0 ? h : 0);
    if (h >= 0) {
        engine_reply_handle(r, (motor_handle)h, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
        r->word[0] = word0;
        r->word[1] = word1;
    }
}

static void call_connector(struct motor_event *ev)
{
    if (ev->op == IO_SESSION_OPEN)
        session_open(ev);
    else if (local_connector_call(ev))
        return;
    else if (ev->op == IO_POWER)
        power_begin(ev);
    else
        give_gate(ev, ev->op == IO_TTY_OPEN ? tty_open((uint32_t)ev->word[0]) : -ENOSYS,
                  MOTOR_FD_TTY, 0);
}

static struct tty_object *other_end(struct tty_object *o)
{
    return o->ops->other_end ? o->ops->other_end(o) : NULL;
}

static int64_t poll_object(struct motor_event *ev, struct tty_object *o)
{
    uint32_t mask = (uint32_t)ev->word[0] | POLLERR | POLLHUP, ready = o->ops->ready(o) & mask;
    if ((ready && !o->news) || !ev->word[1])
        return ready;
    if (!ev->nhandles || ev->handle[0] != MOTOR_HANDLE_OWN)
        return -EINVAL;
    bool lent = ev->word[1] == IO_POLL_LENT && other_end(o);
    if (!lent && other_end(o))
        o->ops->settle(o);
    ready = o->ops->ready(o) & mask;
    int64_t error = session_arm(ev->own_badge[0], ev->word[2], o, mask, lent);
    if (error || !lent)
        return error ? error : ready;
    engine_reply(&tty_engine, ev->token, ready)->word[0] = 1;
    return CALL_ANSWERED;
}

static int64_t path_of(struct motor_event *ev, const struct tty_object *o)
{
    char path[32];
    if (o->path)
        return event_write(ev, 0, o->path, strlen(o->path));
    int n = o->label ? snprintf(path, sizeof path, "%s:[%u]", o->label, o->number)
                     : snprintf(path, sizeof path, "/dev/pts/%u", o->number);
    return event_write(ev, 0, path, (uint64_t)n);
}

static void call_object(struct motor_event *ev, struct tty_object *o)
{
    int64_t status = -ENOSYS;
    if (o->ops->call && ev->op >= IO_SESSION_OPEN) {
        tty_call(ev, o);
        return;
    }
    switch (ev->op) {
    case IO_READ:
    case IO_WRITE:
        read_or_write(ev, o);
        return;
    case IO_STAT:
        stat_object(ev, o);
        return;
    case IO_CONTROL:
        control(ev, o);
        return;
    case IO_POLL:
        status = poll_object(ev, o);
        if (status == CALL_ANSWERED)
            return;
        break;
    case IO_PATH:
        status = path_of(ev, o);
        break;
    case IO_SYNC:
    case IO_TRUNCATE:
    case IO_ALLOCATE:
        status = -EINVAL;
        break;
    case IO_CHMOD:
    case IO_CHOWN:
        status = ev->in_size ? -ENOTDIR : o->ops->change ? o->ops->change(o, ev) : -EPERM;
        break;
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

/* ---- the engine ---- */

/* A terminal by its device; *t: which. */
static int64_t open_device(const struct motor_event *ev, struct terminal **t)
{
    uint32_t session = (uint32_t)ev->word[2];
    *t = NULL;
    switch (ev->op) {
    case TTY_OPEN_CONSOLE:
        *t = console_terminal();
        return tty_open(IO_TTY_CONSOLE);
    case TTY_OPEN_SLAVE:
        return pty_open_slave((uint32_t)ev->word[0], t);
    default: /* TTY_OPEN_CONTROLLING */
        *t = job_terminal_of(session);
        if (!*t)
            return -ENXIO;
        return *t == console_terminal() ? tty_open(IO_TTY_CONSOLE) : pty_reopen(*t);
    }
}

static void tell_session(const struct motor_event *ev)
{
    const struct terminal *t = ev->word[0] ? job_terminal_of((uint32_t)ev->word[0]) : NULL;
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, t ? 0 : -ENXIO);
    r->word[0] = t ? t->rdev : 0;
    r->word[1] = t ? t->foreground : 0;
}

/* From sysio itself. */
static void call_control(struct motor_event *ev)
{
    struct terminal *t;
    uint32_t number;
    int64_t h;
    switch (ev->op) {
    case TTY_FINISH:
        finish_begin(ev);
        return;
    case TTY_SESSION:
        tell_session(ev);
        return;
    case TTY_UNIX_SOCKETS:
        engine_reply(&tty_engine, ev->token, unix_list(ev));
        return;
    case TTY_OPEN_MASTER:
        h = pty_open_master(&number);
        give_gate(ev, h, number, h < 0 ? 0 : pty_generation(number));
        return;
    case TTY_OPEN_LOG:
        give_gate(ev, kmsg_open(ev->word[0]), MOTOR_FD_TTY, 0);
        return;
    case TTY_OPEN_TRACE:
        give_gate(ev, tracing_open((uint32_t)ev->word[0]), MOTOR_FD_TTY, 0);
        return;
    case TTY_OPEN_CONSOLE:
    case TTY_OPEN_SLAVE:
    case TTY_OPEN_CONTROLLING:
        h = open_device(ev, &t);
        if (h >= 0 && !ev->word[3])
            job_opened(t, (uint32_t)ev->word[1], (uint32_t)ev->word[2]);
        give_gate(ev, h, MOTOR_FD_TTY, 0);
        return;
    default:
        engine_reply(&tty_engine, ev->token, -ENOSYS);
    }
}

static void closed(uint64_t badge)
{
    struct tty_object *o = object_of(badge);
    if (o && o->closed)
        o->closed(o);
    else if (!o && !session_closed(badge))
        parcel_closed(badge);
}

/* Who shares a ring with another has moved an index that the other polls for. */
static bool ring_moved(uint64_t badge)
{
    struct tty_object *o = object_of(badge), *other = o ? other_end(o) : NULL;
    if (other)
        session_tell_lent(other);
    return o;
}

static void notified(uint64_t badge)
{
    if (badge == TTY_UART_IRQ + 1)
        console_interrupt();
    else if (badge == TTY_CHANNEL_IRQ + 1)
        channel_interrupt();
    else if (badge == TTY_INOTIFY + 1)
        inotify_told();
    else if (!ring_moved(badge) && !pidfd_process_ended(badge))
        job_leader_ended(badge);
}

static void called(struct motor_event *ev)
{
    struct tty_object *o = object_of(ev->badge);
    if (o)
        call_object(ev, o);
    else if (ev->badge == TTY_CONNECTOR + 1)
        call_connector(ev);
    else if (ev->badge == TTY_CONTROL + 1)
        call_control(ev);
    else if (ev->badge & RENDEZVOUS)
        rendezvous_call(ev);
    else if (!parcel_call(ev))
        engine_reply(&tty_engine, ev->token, -ENOSYS);
}

static void tty_event(struct engine *e, struct motor_event *ev)
{
    (void)e;
    switch (ev->kind) {
    case MOTOR_EVENT_CANCEL:
        cancel(ev->token);
        break;
    case MOTOR_EVENT_CLOSED:
        closed(ev->badge);
        break;
    case MOTOR_EVENT_NOTIFY:
        notified(ev->badge);
        break;
    case MOTOR_EVENT_CALL:
        called(ev);
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
    garbage_collect();
    session_tell();
    finish_try();
}

static void tty_before_answer(struct engine *e)
{
    (void)e;
    session_tell();
}

/* What an object is when there is no channel: all of them are the console. */
static const struct tty_object console_object = {
    .badge_kind = BADGE_OBJECT,
    .ops = &terminal_ops,
    .mode = S_IFCHR | 0620,
    .rdev = 5 << 8 | 1,
    .path = "/dev/console",
};

static void objects_set(void)
{
    static const uint32_t frames[TTY_OBJECTS] = {
        [IO_TTY_STDOUT] = MOTOR_FRAME_STDOUT,
        [IO_TTY_STDERR] = MOTOR_FRAME_STDERR,
        [IO_TTY_TRACE] = MOTOR_FRAME_TRACE,
        [IO_TTY_MISSING] = MOTOR_FRAME_MISSING,
    };
    static const char *const paths[] = {"/dev/console", "/dev/stdin", "/dev/stdout",
                                        "/dev/stderr",  "/dev/trace", "/dev/missing"};
    for (uint32_t i = 0; i < TTY_OBJECTS; i++) {
        struct tty_object *o = &objects[i];
        *o = console_object;
        o->terminal = console_terminal();
        if (channel && i >= IO_TTY_STDIN)
            *o = (struct tty_object){.badge_kind = BADGE_OBJECT,
                                     .ops = &channel_ops,
                                     .mode = S_IFIFO | 0600,
                                     .no_read = i != IO_TTY_STDIN,
                                     .no_write = i == IO_TTY_STDIN,
                                     .channel_frame = frames[i],
                                     .path = paths[i]};
        o->number = i;
    }
    objects[IO_TTY_TRACE].no_read = objects[IO_TTY_MISSING].no_read = true;
}

bool tty_init(bool channel_wanted)
{
    if (!engine_init(&tty_engine, "tty", tty_event) || !console_init())
        return false;
    tty_engine.turn_end = tty_turn_end;
    tty_engine.before_answer = tty_before_answer;
    again.fire = again_fire;
    struct motor_memory_info memory = {0};
    motor_system_info(MOTOR_SINFO_MEMORY, &memory, sizeof memory);
    local_init(memory.total);
    channel = channel_wanted && channel_init();
    objects_set();
    return true;
}
