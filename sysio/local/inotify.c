/* SPDX-License-Identifier: MIT */
/*
 * inotify instances: what programs read and wait for. The events come from the fs engine
 * (inotify_queue.h), which notifies this one; the watches are there, too. Events that were read
 * stay in the queue until it is certain that the reader has got them.
 */
#include "../fs/watches.h"
#include "../tty/session.h"
#include "inotify_queue.h"
#include "local.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define READ_MOST 65536u /* bytes, by one call */

struct instance {
    struct tty_object object;
    uint64_t badge;
    uint32_t refs;
    struct inotify_queue *queue;
    struct instance *next;
};

static struct instance *instances;
static uint64_t count;

static struct instance *instance_of(struct tty_object *o)
{
    return (struct instance *)((char *)o - offsetof(struct instance, object));
}

/* The last read is not going to be undone. */
static void settle(struct instance *i)
{
    inotify_queue_given(i->queue, true);
}

static int64_t inotify_read(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                            bool *eof, uint64_t *again)
{
    static _Alignas(8) uint8_t bytes[READ_MOST];
    struct instance *i = instance_of(o);
    (void)since, (void)eof, (void)again;
    settle(i);
    int64_t n = inotify_queue_give(i->queue, bytes, size < READ_MOST ? size : READ_MOST);
    if (n <= 0)
        return n;
    int64_t written = token_write(token, 0, bytes, (uint64_t)n);
    if (written == n)
        return n;
    inotify_queue_given(i->queue, false);
    return written < 0 ? written : -EFAULT;
}

static int64_t inotify_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    (void)o, (void)token, (void)size;
    return -EBADF;
}

static void inotify_undo(struct tty_object *o, bool write)
{
    (void)write;
    inotify_queue_given(instance_of(o)->queue, false);
}

void inotify_told(void)
{
    for (struct instance *i = instances; i; i = i->next)
        i->object.news = inotify_queue_added(i->queue) * 2 + 1; /* odd: never 0 */
}

static uint32_t inotify_ready(struct tty_object *o)
{
    struct instance *i = instance_of(o);
    settle(i);
    return inotify_queue_bytes(i->queue) ? POLLIN | POLLRDNORM : 0;
}

static int64_t inotify_control(struct tty_object *o, struct motor_event *ev, bool waited)
{
    struct instance *i = instance_of(o);
    (void)waited;
    if (ev->word[0] != FIONREAD)
        return -ENOTTY;
    settle(i);
    uint32_t bytes = (uint32_t)inotify_queue_bytes(i->queue);
    int64_t n = event_write(ev, 0, &bytes, sizeof bytes);
    return n < 0 ? n : n < (int64_t)sizeof bytes ? -EFAULT : 0;
}

static const struct tty_ops inotify_ops = {
    .read = inotify_read,
    .write = inotify_write,
    .undo = inotify_undo,
    .control = inotify_control,
    .ready = inotify_ready,
};

/* ---- life ---- */

static void instance_free(struct instance *i)
{
    struct instance **link = &instances;
    while (*link && *link != i)
        link = &(*link)->next;
    if (*link)
        *link = i->next;
    session_forget(&i->object);
    if (i->badge)
        badge_remove(&tty_engine.badges, i->badge);
    if (i->queue) {
        inotify_queue_close(i->queue);
        watches_queue_closed();
    }
    count--;
    free(i);
}

static void instance_opened(struct tty_object *o)
{
    instance_of(o)->refs++;
}

static void instance_closed(struct tty_object *o)
{
    struct instance *i = instance_of(o);
    if (--i->refs == 0)
        instance_free(i);
}

static struct instance *instance_new(uint32_t uid, int *error)
{
    struct instance *i = memory_low() ? NULL : calloc(1, sizeof *i);
    *error = -ENOMEM;
    if (!i)
        return NULL;
    count++;
    i->object = (struct tty_object){.badge_kind = BADGE_OBJECT,
                                    .ops = &inotify_ops,
                                    .opened = instance_opened,
                                    .closed = instance_closed,
                                    .news = 1,
                                    .mode = 0600,
                                    .path = "anon_inode:inotify"};
    i->refs = 1;
    i->badge = badge_add(&tty_engine.badges, &i->object);
    if (i->badge)
        i->queue = inotify_queue_new(i->badge, uid, error);
    if (i->queue) {
        i->next = instances;
        return instances = i;
    }
    instance_free(i);
    return NULL;
}

void inotify_open(struct motor_event *ev)
{
    int error;
    struct instance *i = instance_new(ev->uid, &error);
    int64_t gate = i ? engine_gate(&tty_engine, i->badge) : error;
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, gate < 0 ? gate : 0);
    if (gate >= 0)
        engine_reply_handle(r, (motor_handle)gate, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    else if (i)
        instance_free(i);
}

void inotify_objects_init(void)
{
    counter_register("tty", "inotify_instances", &count);
}
