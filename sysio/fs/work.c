/* SPDX-License-Identifier: MIT */
/*
 * Calls that may wait for a disk: a queue, and one fiber that empties it. Calls are served one
 * after the other because the walk along a path keeps its state in static memory (vfs.c), and what
 * they change of an inode is written at their ends; the engine's loop goes on meanwhile. Reads of
 * open files and of mapped pages have none of that: each runs in a fiber of its own.
 */
#include "../base/fiber.h"
#include "../base/spare.h"
#include "devices.h"
#include "fs.h"

#include <errno.h>
#include <stdlib.h>

#define BESIDE_MAX 16u

struct work {
    struct motor_event event;
    void (*handle)(struct motor_event *ev);
    struct work *next;
};

static struct work *first, **last = &first;
static bool running;
static unsigned beside;       /* fibers of work_beside() */
static struct fiber *settles; /* who waits for them to end: none begins */
static struct spares spares = {.size = sizeof(struct work)};

static void work_free(struct work *w)
{
    for (unsigned i = 0; i < w->event.nhandles && i < MOTOR_MSG_HANDLES; i++)
        if (w->event.handle[i] && w->event.handle[i] != MOTOR_HANDLE_OWN)
            motor_handle_close(w->event.handle[i]);
    spare_give(&spares, w);
}

static void work_all(void *arg)
{
    (void)arg;
    while (first) {
        struct work *w = first;
        w->handle(&w->event);
        first = w->next;
        if (!first)
            last = &first;
        work_free(w);
    }
    running = false;
}

static struct work *work_new(const struct motor_event *ev, void (*handle)(struct motor_event *ev))
{
    struct work *w = spare_take(&spares);
    if (w)
        *w = (struct work){.event = *ev, .handle = handle};
    return w;
}

static void handles_taken(struct motor_event *ev)
{
    for (unsigned i = 0; i < ev->nhandles && i < MOTOR_MSG_HANDLES; i++)
        if (ev->handle[i] != MOTOR_HANDLE_OWN)
            ev->handle[i] = 0;
}

static void work_one(void *arg)
{
    struct work *w = arg;
    w->handle(&w->event);
    work_free(w);
    if (!--beside && settles)
        fiber_ready(settles);
}

bool work_beside(struct motor_event *ev, void (*handle)(struct motor_event *ev))
{
    struct work *w = beside < BESIDE_MAX && !settles ? work_new(ev, handle) : NULL;
    if (!w)
        return false;
    beside++;
    if (!fiber_start(work_one, w)) {
        beside--;
        spare_give(&spares, w);
        return false;
    }
    handles_taken(ev);
    return true;
}

void work_settle(bool for_good)
{
    settles = fiber_current();
    while (beside)
        fiber_suspend();
    if (!for_good)
        settles = NULL;
}

bool work_add(struct motor_event *ev, void (*handle)(struct motor_event *ev))
{
    struct work *w = work_new(ev, handle);
    if (!w) {
        if (ev->kind == MOTOR_EVENT_CALL)
            engine_reply(&fs_engine, ev->token, -ENOMEM);
        return false;
    }
    handles_taken(ev);
    *last = w;
    last = &w->next;
    return true;
}

void work_run(void)
{
    if (!first || running)
        return;
    running = true;
    if (!fiber_start(work_all, NULL))
        running = false; /* memory may be there in a later turn */
}

bool work_now(void (*function)(void *), void *arg)
{
    if (!device_at(0)) { /* nothing to wait for */
        function(arg);
        return true;
    }
    if (!fiber_start(function, arg))
        return false;
    fs_engine.again |= devices_turn();
    while (fiber_count())
        engine_turn(&fs_engine, true);
    return true;
}
