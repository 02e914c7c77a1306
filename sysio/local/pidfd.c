/* SPDX-License-Identifier: MIT */
/*
 * pidfds: objects that are ready when a process has ended. The kernel notifies a process's watch
 * once; all that were opened for that process hang on it. A watch has a handle to the process, so
 * which one is meant stays certain when the number is used again.
 */
#include "../tty/session.h"
#include "local.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

struct process_watch {
    enum badge_kind badge_kind; /* first */
    uint32_t pid;
    bool ended;
    uint64_t badge;
    motor_handle process, gate;
    struct pidfd *pidfds;
    struct process_watch *next;
};

struct pidfd {
    struct tty_object object;
    uint64_t badge;
    uint32_t refs;
    struct process_watch *watch;
    struct pidfd *next; /* of the watch */
};

static struct process_watch *watches;
static uint64_t count;

static struct pidfd *pidfd_of(struct tty_object *o)
{
    return (struct pidfd *)((char *)o - offsetof(struct pidfd, object));
}

/* ---- watches ---- */

static void watch_free(struct process_watch *w)
{
    if (w->process)
        motor_handle_close(w->process);
    if (w->gate)
        motor_handle_close(w->gate);
    if (w->badge)
        badge_remove(&tty_engine.badges, w->badge);
    free(w);
}

static struct process_watch *watch_new(uint32_t pid, int64_t *error)
{
    int64_t process = motor_process_open(pid, MOTOR_RIGHT_READ | MOTOR_RIGHT_MANAGE);
    struct process_watch *w = process < 0 || memory_low() ? NULL : calloc(1, sizeof *w);
    *error = process == -MOTOR_ENOENT ? -ESRCH : -ENOMEM;
    if (!w) {
        if (process >= 0)
            motor_handle_close((motor_handle)process);
        return NULL;
    }
    *w = (struct process_watch){
        .badge_kind = BADGE_PROCESS, .pid = pid, .process = (motor_handle)process};
    w->badge = badge_add(&tty_engine.badges, w);
    int64_t gate = w->badge ? engine_gate(&tty_engine, w->badge) : -MOTOR_ENOMEM;
    w->gate = gate < 0 ? 0 : (motor_handle)gate;
    if (gate < 0 || motor_bind(w->process, w->gate) < 0) {
        watch_free(w);
        return NULL;
    }
    w->next = watches;
    return watches = w;
}

/* That of a process which has not ended is its number's; others are for those who have them. */
static struct process_watch *watch_get(uint32_t pid, int64_t *error)
{
    struct process_watch *w = watches;
    while (w && (w->ended || w->pid != pid))
        w = w->next;
    return w ? w : watch_new(pid, error);
}

static void watch_settle(struct process_watch *w)
{
    struct process_watch **link = &watches;
    if (w->pidfds)
        return;
    while (*link != w)
        link = &(*link)->next;
    *link = w->next;
    watch_free(w);
}

bool pidfd_process_ended(uint64_t badge)
{
    struct process_watch *w = badge_get(&tty_engine.badges, badge);
    if (!w || w->badge_kind != BADGE_PROCESS)
        return false;
    w->ended = true;
    for (struct pidfd *p = w->pidfds; p; p = p->next)
        p->object.news += 2; /* odd: never 0 */
    return true;
}

/* The number still is that process's: it runs, or nobody has waited for it. */
static bool is_there(const struct process_watch *w)
{
    struct motor_process_info mine, now;
    int64_t h = motor_process_open(w->pid, MOTOR_RIGHT_READ);
    if (h < 0)
        return false;
    bool same = motor_process_info(w->process, MOTOR_PINFO_BASIC, &mine, sizeof mine) >= 0 &&
                motor_process_info((motor_handle)h, MOTOR_PINFO_BASIC, &now, sizeof now) >= 0 &&
                mine.start_ns == now.start_ns;
    motor_handle_close((motor_handle)h);
    return same;
}

/* ---- what all objects can do ---- */

static int64_t pidfd_read(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                          bool *eof, uint64_t *again)
{
    (void)o, (void)token, (void)size, (void)since, (void)eof, (void)again;
    return -EINVAL;
}

static int64_t pidfd_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    (void)o, (void)token, (void)size;
    return -EINVAL;
}

static void pidfd_undo(struct tty_object *o, bool write)
{
    (void)o, (void)write;
}

static uint32_t pidfd_ready(struct tty_object *o)
{
    return pidfd_of(o)->watch->ended ? POLLIN | POLLRDNORM : 0;
}

static int64_t pidfd_call(struct tty_object *o, struct motor_event *ev, void **state)
{
    const struct process_watch *w = pidfd_of(o)->watch;
    (void)state;
    if (ev->op != IO_PIDFD_PID)
        return -ENOTSOCK;
    if (!is_there(w))
        return -ESRCH;
    engine_reply(&tty_engine, ev->token, 0)->word[0] = w->pid;
    return CALL_ANSWERED;
}

static const struct tty_ops pidfd_ops = {.read = pidfd_read,
                                         .write = pidfd_write,
                                         .undo = pidfd_undo,
                                         .ready = pidfd_ready,
                                         .call = pidfd_call};

/* ---- life ---- */

static void pidfd_free(struct pidfd *p)
{
    struct process_watch *w = p->watch;
    struct pidfd **link = &w->pidfds;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    watch_settle(w);
    session_forget(&p->object);
    if (p->badge)
        badge_remove(&tty_engine.badges, p->badge);
    count--;
    free(p);
}

static void pidfd_opened(struct tty_object *o)
{
    pidfd_of(o)->refs++;
}

static void pidfd_closed(struct tty_object *o)
{
    struct pidfd *p = pidfd_of(o);
    if (--p->refs == 0)
        pidfd_free(p);
}

static struct pidfd *pidfd_new(uint32_t pid, int64_t *error)
{
    struct pidfd *p = memory_low() ? NULL : calloc(1, sizeof *p);
    struct process_watch *w = p ? watch_get(pid, error) : NULL;
    if (!w) {
        free(p);
        return NULL;
    }
    *p = (struct pidfd){.object = {.badge_kind = BADGE_OBJECT,
                                   .ops = &pidfd_ops,
                                   .opened = pidfd_opened,
                                   .closed = pidfd_closed,
                                   .news = 1,
                                   .mode = 0600,
                                   .path = "anon_inode:[pidfd]"},
                        .refs = 1,
                        .watch = w,
                        .next = w->pidfds};
    w->pidfds = p;
    count++;
    p->badge = badge_add(&tty_engine.badges, &p->object);
    if (p->badge)
        return p;
    pidfd_free(p);
    return NULL;
}

void pidfd_open(struct motor_event *ev)
{
    int64_t error = -ENOMEM;
    struct pidfd *p =
        ev->word[0] && ev->word[0] <= UINT32_MAX ? pidfd_new((uint32_t)ev->word[0], &error) : NULL;
    int64_t gate = p ? engine_gate(&tty_engine, p->badge) : error;
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, gate < 0 ? gate : 0);
    if (gate >= 0)
        engine_reply_handle(r, (motor_handle)gate, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    else if (p)
        pidfd_free(p);
}

void pidfds_init(void)
{
    counter_register("tty", "pidfds", &count);
}
