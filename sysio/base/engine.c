/* SPDX-License-Identifier: MIT */
/* The loop of an engine: batches of events in, batches of replies out. */
#include "engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- badges ---- */

static bool badge_grow(struct badge_table *t)
{
    uint32_t size = t->size ? t->size * 2 : 64;
    struct badge_slot *slots = realloc(t->slots, (size_t)size * sizeof *slots);
    if (!slots)
        return false;
    memset(slots + t->size, 0, (size_t)(size - t->size) * sizeof *slots);
    for (uint32_t i = size; i-- > t->size;) {
        slots[i].next_free = t->free;
        t->free = i + 1;
    }
    t->slots = slots;
    t->size = size;
    return true;
}

uint64_t badge_add(struct badge_table *t, void *object)
{
    if (!t->free && !badge_grow(t))
        return 0;
    uint32_t i = t->free - 1;
    struct badge_slot *s = &t->slots[i];
    t->free = s->next_free;
    s->object = object;
    s->generation++;
    t->used++;
    return (uint64_t)s->generation << 32 | (i + 1);
}

static struct badge_slot *badge_find(const struct badge_table *t, uint64_t badge)
{
    uint32_t i = (uint32_t)badge - 1;
    if (i >= t->size || t->slots[i].generation != badge >> 32 || !t->slots[i].object)
        return NULL;
    return &t->slots[i];
}

void *badge_get(const struct badge_table *t, uint64_t badge)
{
    struct badge_slot *s = badge_find(t, badge);
    return s ? s->object : NULL;
}

void badge_remove(struct badge_table *t, uint64_t badge)
{
    struct badge_slot *s = badge_find(t, badge);
    if (!s)
        return;
    s->object = NULL;
    s->next_free = t->free;
    t->free = (uint32_t)badge;
    t->used--;
}

/* ---- errors ---- */

int64_t to_errno(int64_t status)
{
    if (status >= 0)
        return status;
    switch ((enum motor_error) - status) {
    case MOTOR_EINVAL:
        return -EINVAL;
    case MOTOR_EHANDLE:
        return -EBADF;
    case MOTOR_ETYPE:
        return -EBADF;
    case MOTOR_ERIGHTS:
        return -EACCES;
    case MOTOR_ENOMEM:
        return -ENOMEM;
    case MOTOR_EFAULT:
        return -EFAULT;
    case MOTOR_ETIMEOUT:
        return -ETIMEDOUT;
    case MOTOR_EINTR:
        return -EINTR;
    case MOTOR_EAGAIN:
        return -EAGAIN;
    case MOTOR_EGONE:
        return -EPIPE;
    case MOTOR_ELIMIT:
        return -ENFILE;
    case MOTOR_EBUSY:
        return -EBUSY;
    case MOTOR_EEXIST:
        return -EEXIST;
    case MOTOR_ENOENT:
        return -ENOENT;
    case MOTOR_EACCESS:
        return -EACCES;
    case MOTOR_EPERM:
        return -EPERM;
    case MOTOR_EABSENT:
        return -IO_EABSENT;
    case MOTOR_ENOSYS:
        return -ENOSYS;
    }
    return -EIO;
}

/* ---- replies ---- */

struct motor_reply *engine_reply(struct engine *e, uint64_t token, int64_t status)
{
    if (e->nreplies == ENGINE_REPLIES)
        engine_flush(e);
    struct motor_reply *r = &e->replies[e->nreplies++];
    memset(r, 0, sizeof *r);
    r->token = token;
    r->status = status;
    return r;
}

void engine_reply_data(struct motor_reply *r, struct engine *e, const void *data, size_t size)
{
    uint8_t *copy = e->reply_data[r - e->replies];
    if (size > ENGINE_REPLY_DATA)
        size = ENGINE_REPLY_DATA;
    memcpy(copy, data, size);
    r->data = copy;
    r->size = size;
}

void engine_reply_handle(struct motor_reply *r, motor_handle h, uint32_t rights)
{
    r->rights[r->nhandles] = rights;
    r->handle[r->nhandles++] = h;
    r->flags = MOTOR_REPLY_MOVE;
}

void engine_flush(struct engine *e)
{
    if (e->before_answer)
        e->before_answer(e);
    if (e->nreplies)
        motor_serve(e->endpoint, e->replies, e->nreplies, NULL, 0, 0);
    e->nreplies = 0;
}

bool engine_reply_now(struct engine *e, uint64_t token, int64_t status)
{
    struct motor_reply r = {.token = token, .status = status, .flags = MOTOR_REPLY_CHECK};
    engine_flush(e);
    return motor_serve(e->endpoint, &r, 1, NULL, 0, 0) != -MOTOR_EGONE;
}

/* ---- events ---- */

motor_handle event_take_handle(struct motor_event *ev, unsigned i)
{
    if (i >= ev->nhandles || i >= MOTOR_MSG_HANDLES)
        return 0;
    motor_handle h = ev->handle[i];
    ev->handle[i] = 0;
    return h == MOTOR_HANDLE_OWN ? 0 : h;
}

static void event_close_handles(struct motor_event *ev)
{
    for (unsigned i = 0; i < ev->nhandles && i < MOTOR_MSG_HANDLES; i++)
        if (ev->handle[i] && ev->handle[i] != MOTOR_HANDLE_OWN)
            motor_handle_close(ev->handle[i]);
}

int64_t token_read(uint64_t token, uint64_t offset, void *buffer, uint64_t size)
{
    struct motor_copy copy = {.offset = offset, .length = size, .buffer = buffer};
    return to_errno(motor_msg_copy(token, &copy, MOTOR_COPY_FROM_CALLER, 0));
}

int64_t token_write(uint64_t token, uint64_t offset, const void *buffer, uint64_t size)
{
    struct motor_copy copy = {
        .offset = offset, .length = size, .buffer = (void *)(uintptr_t)buffer};
    return to_errno(motor_msg_copy(token, &copy, MOTOR_COPY_TO_CALLER, 0));
}

int64_t event_read(const struct motor_event *ev, uint64_t offset, void *buffer, uint64_t size)
{
    if (offset >= ev->in_size)
        return 0;
    if (size > ev->in_size - offset)
        size = ev->in_size - offset;
    if (offset + size <= MOTOR_MSG_INLINE) {
        memcpy(buffer, ev->data + offset, size);
        return (int64_t)size;
    }
    return token_read(ev->token, offset, buffer, size);
}

int64_t event_write(const struct motor_event *ev, uint64_t offset, const void *buffer,
                    uint64_t size)
{
    if (offset >= ev->out_size)
        return 0;
    if (size > ev->out_size - offset)
        size = ev->out_size - offset;
    return size ? token_write(ev->token, offset, buffer, size) : 0;
}

/* ---- timers ---- */

void engine_timer_clear(struct engine_timer *t)
{
    if (!t->link)
        return;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->link = NULL;
}

void engine_timer_set(struct engine *e, struct engine_timer *t, uint64_t at)
{
    engine_timer_clear(t);
    struct engine_timer **link = &e->timers;
    while (*link && (*link)->at <= at)
        link = &(*link)->next;
    t->at = at;
    t->next = *link;
    t->link = link;
    if (t->next)
        t->next->link = &t->next;
    *link = t;
}

static void timers_fire(struct engine *e)
{
    while (e->timers && e->timers->at <= e->now) {
        struct engine_timer *t = e->timers;
        engine_timer_clear(t);
        t->fire(e, t);
    }
}

/* ---- the loop ---- */

void engine_turn(struct engine *e, bool may_sleep)
{
    uint64_t deadline = e->again || !may_sleep ? 0 : e->timers ? e->timers->at : MOTOR_NEVER;
    e->again = false;
    int64_t n =
        motor_serve(e->endpoint, e->replies, e->nreplies, e->events, ENGINE_BATCH, deadline);
    e->nreplies = 0;
    e->now = clock_monotonic_ns();
    e->turns++;
    for (int64_t i = 0; i < n; i++) {
        e->event(e, &e->events[i]);
        event_close_handles(&e->events[i]);
        e->handled++;
    }
    timers_fire(e);
    if (e->turn_end)
        e->turn_end(e);
}

void engine_run(struct engine *e)
{
    for (;;)
        engine_turn(e, true);
}

static void *engine_thread(void *e)
{
    engine_run(e);
}

bool engine_init(struct engine *e, const char *name,
                 void (*event)(struct engine *, struct motor_event *))
{
    int64_t h = motor_endpoint_create();
    if (h < 0) {
        log_error(name, "no endpoint (%lld)", (long long)h);
        return false;
    }
    memset(e, 0, sizeof *e);
    e->name = name;
    e->event = event;
    e->endpoint = (motor_handle)h;
    e->now = clock_monotonic_ns();
    counter_register(name, "turns", &e->turns);
    counter_register(name, "events", &e->handled);
    counter_register(name, "objects", &e->badges.used);
    return true;
}

bool engine_start(struct engine *e, size_t stack_size)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack_size);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attr, engine_thread, e);
    pthread_attr_destroy(&attr);
    if (error)
        log_error(e->name, "no thread: error %d", error);
    return !error;
}

int64_t engine_gate(struct engine *e, uint64_t badge)
{
    return engine_gate_in(e, badge, 0);
}

int64_t engine_gate_in(struct engine *e, uint64_t badge, motor_handle process)
{
    return to_errno(motor_gate_create(e->endpoint, badge, process));
}
