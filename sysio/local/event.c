/* SPDX-License-Identifier: MIT */
/*
 * The state of eventfds, timerfds and signalfds that more than one process has. As long as one
 * process alone has such a file, its runtime keeps the state and needs no call; before a fork, an
 * exec or a message takes it elsewhere the state moves here, for good (posix/event.c), so that
 * whoever changes it wakes whoever waits, and whoever dies takes nothing along.
 *
 * COUNTER  an eventfd: read and write as eventfd(2) says, and as all objects of this engine wait
 * TIMER    a timerfd: a read gives the expirations; the engine's timer ends the waits
 * SIGNALS  a signalfd: the mask only. Which signals there are is each reader's own affair
 */
#include "../tty/session.h"
#include "local.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define COUNTER_MAX (UINT64_MAX - 1)

struct event {
    struct tty_object object;
    uint64_t badge;
    uint32_t kind, refs;
    bool semaphore;
    uint64_t value, before;  /* COUNTER: now, and before the last transfer; SIGNALS: the mask */
    uint64_t next, interval; /* TIMER: when it expires; MOTOR_NEVER: it does not */
    uint64_t due;            /* expirations up to `next` that nobody has read */
    struct engine_timer timer;
};

static uint64_t events;

static struct event *event_of(struct tty_object *o)
{
    return (struct event *)((char *)o - offsetof(struct event, object));
}

/* ---- timers ---- */

static void expire(struct event *e)
{
    uint64_t now = clock_monotonic_ns();
    if (e->next > now)
        return;
    uint64_t times = e->interval ? (now - e->next) / e->interval + 1 : 1;
    e->due += times;
    e->next = e->interval ? e->next + times * e->interval : MOTOR_NEVER;
    e->object.news += 2;
}

static void arm(struct event *e)
{
    if (e->next == MOTOR_NEVER)
        engine_timer_clear(&e->timer);
    else
        engine_timer_set(&tty_engine, &e->timer, e->next);
}

static void timer_fired(struct engine *engine, struct engine_timer *t)
{
    struct event *e = (struct event *)((char *)t - offsetof(struct event, timer));
    (void)engine;
    expire(e);
    /* a short interval is the reader's to count: the engine wakes once until somebody has read */
    if (!e->due)
        arm(e);
}

/* ---- transfers ---- */

static int64_t event_read_value(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                                bool *eof, uint64_t *again)
{
    struct event *e = event_of(o);
    uint64_t take;
    (void)eof, (void)since, (void)again;
    if (size < sizeof take || e->kind == IO_EVENT_SIGNALS)
        return -EINVAL;
    if (e->kind == IO_EVENT_TIMER) {
        expire(e);
        take = e->before = e->due;
    } else {
        take = e->semaphore && e->value ? 1 : e->value;
        e->before = e->value;
    }
    if (!take)
        return 0;
    int64_t n = token_write(token, 0, &take, sizeof take);
    if (n < (int64_t)sizeof take)
        return n < 0 ? n : -EFAULT;
    if (e->kind == IO_EVENT_TIMER) {
        e->due = 0;
        arm(e);
    } else {
        e->value -= take;
    }
    return n;
}

static int64_t event_write_value(struct tty_object *o, uint64_t token, uint64_t size)
{
    struct event *e = event_of(o);
    uint64_t add;
    if (size < sizeof add || e->kind != IO_EVENT_COUNTER)
        return -EINVAL;
    int64_t n = token_read(token, 0, &add, sizeof add);
    if (n < (int64_t)sizeof add)
        return n < 0 ? n : -EFAULT;
    if (add == UINT64_MAX)
        return -EINVAL;
    if (add > COUNTER_MAX - e->value)
        return 0;
    e->before = e->value;
    e->value += add;
    o->news += 2; /* odd: never 0 */
    return n;
}

static void event_undo(struct tty_object *o, bool write)
{
    struct event *e = event_of(o);
    (void)write;
    if (e->kind == IO_EVENT_TIMER)
        e->due += e->before;
    else
        e->value = e->before;
}

static uint32_t event_ready(struct tty_object *o)
{
    struct event *e = event_of(o);
    if (e->kind == IO_EVENT_TIMER) {
        expire(e);
        return e->due ? POLLIN | POLLRDNORM : 0;
    }
    if (e->kind == IO_EVENT_SIGNALS)
        return 0;
    return (e->value ? POLLIN | POLLRDNORM : 0) |
           (e->value < COUNTER_MAX ? POLLOUT | POLLWRNORM : 0);
}

/* ---- calls ---- */

static void tell(const struct event *e, struct motor_reply *r)
{
    r->word[0] = e->kind == IO_EVENT_TIMER ? e->next : e->value;
    r->word[1] = e->interval;
    r->word[2] = e->due;
}

static int64_t event_call(struct tty_object *o, struct motor_event *ev, void **state)
{
    struct event *e = event_of(o);
    (void)state;
    if (ev->op != IO_EVENT_SET && ev->op != IO_EVENT_GET)
        return -ENOTSOCK;
    if (ev->op == IO_EVENT_SET && e->kind == IO_EVENT_COUNTER)
        return -EINVAL;
    if (e->kind == IO_EVENT_TIMER)
        expire(e);
    tell(e, engine_reply(&tty_engine, ev->token, 0));
    if (ev->op == IO_EVENT_SET && e->kind == IO_EVENT_SIGNALS) {
        e->value = ev->word[0];
    } else if (ev->op == IO_EVENT_SET) {
        e->next = ev->word[0];
        e->interval = ev->word[1];
        e->due = ev->word[2];
        o->news += 2;
        arm(e);
    }
    return CALL_ANSWERED;
}

/* ---- life ---- */

static void event_free(struct event *e)
{
    session_forget(&e->object);
    engine_timer_clear(&e->timer);
    if (e->badge)
        badge_remove(&tty_engine.badges, e->badge);
    events--;
    free(e);
}

static void event_opened(struct tty_object *o)
{
    event_of(o)->refs++;
}

static void event_closed(struct tty_object *o)
{
    struct event *e = event_of(o);
    if (--e->refs == 0)
        event_free(e);
}

static const struct tty_ops event_ops = {
    .read = event_read_value,
    .write = event_write_value,
    .undo = event_undo,
    .ready = event_ready,
    .call = event_call,
};

static struct event *event_new(const struct motor_event *ev)
{
    static const char *const paths[] = {[IO_EVENT_COUNTER] = "anon_inode:[eventfd]",
                                        [IO_EVENT_TIMER] = "anon_inode:[timerfd]",
                                        [IO_EVENT_SIGNALS] = "anon_inode:[signalfd]"};
    struct event *e = memory_low() ? NULL : calloc(1, sizeof *e);
    if (!e)
        return NULL;
    events++;
    e->object = (struct tty_object){.badge_kind = BADGE_OBJECT,
                                    .ops = &event_ops,
                                    .opened = event_opened,
                                    .closed = event_closed,
                                    .news = 1,
                                    .mode = 0600,
                                    .path = paths[ev->word[0]]};
    e->kind = (uint32_t)ev->word[0];
    e->semaphore = e->kind == IO_EVENT_COUNTER && ev->word[1];
    e->value = e->kind == IO_EVENT_SIGNALS ? ev->word[1] : 0;
    e->next = MOTOR_NEVER;
    e->timer.fire = timer_fired;
    e->badge = badge_add(&tty_engine.badges, &e->object);
    if (e->badge)
        return e;
    event_free(e);
    return NULL;
}

void event_open(struct motor_event *ev)
{
    struct event *e = ev->word[0] <= IO_EVENT_SIGNALS ? event_new(ev) : NULL;
    int64_t gate = e ? engine_gate(&tty_engine, e->badge) : -ENFILE;
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, gate < 0 ? gate : 0);
    if (gate >= 0) {
        e->refs = 1;
        engine_reply_handle(r, (motor_handle)gate, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    } else if (e) {
        event_free(e);
    }
}

void events_init(void)
{
    counter_register("tty", "event_objects", &events);
}
