/* SPDX-License-Identifier: MIT */
/*
 * Controlling terminals and jobs (POSIX, chapter 11.1). A terminal belongs to at most one session
 * and a session has at most one terminal. What is typed signals the foreground group; others of the
 * session may not read. When the session's leader ends, or the terminal is hung up, the foreground
 * group gets SIGHUP and SIGCONT, and the terminal is free.
 *
 * Labels are the kernel's: they come with each call.
 */
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

struct leader {
    enum badge_kind badge_kind;
    struct terminal *terminal;
    motor_handle process, gate;
    uint64_t badge;
};

static struct terminal *owned; /* those with a session */

bool job_background(const struct terminal *t, const struct motor_event *ev)
{
    return t->session && ev->sid == t->session && ev->pgid != t->foreground;
}

static void send_group(uint32_t group, int signal)
{
    struct motor_signal s = {.signo = signal, .code = SI_KERNEL};
    if (group)
        motor_signal_send(MOTOR_TO_GROUP, group, &s);
}

void job_signal(const struct terminal *t, int signal)
{
    send_group(t->foreground, signal);
}

struct terminal *job_terminal_of(uint32_t session)
{
    struct terminal *t = owned;
    while (t && t->session != session)
        t = t->next;
    return t;
}

/* ---- taking and leaving ---- */

static void leader_free(struct leader *l)
{
    if (l->process)
        motor_handle_close(l->process);
    if (l->gate)
        motor_handle_close(l->gate);
    if (l->badge)
        badge_remove(&tty_engine.badges, l->badge);
    free(l);
}

/* Has the engine notified when process `pid` ends. */
static struct leader *leader_watch(struct terminal *t, uint32_t pid)
{
    struct leader *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    *l = (struct leader){.badge_kind = BADGE_LEADER, .terminal = t};
    l->badge = badge_add(&tty_engine.badges, l);
    int64_t gate = l->badge ? engine_gate(&tty_engine, l->badge) : -ENOMEM;
    int64_t process = motor_process_open(pid, MOTOR_RIGHT_READ | MOTOR_RIGHT_MANAGE);
    l->gate = gate < 0 ? 0 : (motor_handle)gate;
    l->process = process < 0 ? 0 : (motor_handle)process;
    if (gate >= 0 && process >= 0 && motor_bind(l->process, l->gate) >= 0)
        return l;
    leader_free(l);
    return NULL;
}

static void leave(struct terminal *t)
{
    struct terminal **link = &owned;
    while (*link != t)
        link = &(*link)->next;
    *link = t->next;
    t->session = t->foreground = 0;
    leader_free(t->leader);
    t->leader = NULL;
}

static int64_t take(struct terminal *t, uint32_t pid, uint32_t session, uint32_t group)
{
    struct leader *l = leader_watch(t, pid);
    if (!l)
        return -ENOMEM;
    if (t->session)
        leave(t);
    t->session = session;
    t->foreground = group;
    t->leader = l;
    t->next = owned;
    owned = t;
    return 0;
}

void job_opened(struct terminal *t, uint32_t pid, uint32_t session)
{
    if (pid && pid == session && !t->session && !job_terminal_of(session))
        take(t, pid, session, pid);
}

void job_hang_up(struct terminal *t)
{
    if (!t->session)
        return;
    uint32_t leader = t->session, group = t->foreground;
    struct motor_signal hup = {.signo = SIGHUP, .code = SI_KERNEL};
    leave(t);
    motor_signal_send(MOTOR_TO_PROCESS, leader, &hup);
    if (group != leader)
        send_group(group, SIGHUP);
    send_group(group, SIGCONT);
}

void job_leader_ended(uint64_t badge)
{
    struct leader *l = badge_get(&tty_engine.badges, badge);
    if (!l || l->badge_kind != BADGE_LEADER)
        return;
    uint32_t group = l->terminal->foreground;
    leave(l->terminal);
    send_group(group, SIGHUP);
    send_group(group, SIGCONT);
}

/* ---- ioctl ---- */

static int64_t give(struct motor_event *ev, uint32_t value)
{
    int64_t n = event_write(ev, 0, &value, sizeof value);
    return n < 0 ? n : n < (int64_t)sizeof value ? -EFAULT : 0;
}

static int64_t set_foreground(struct terminal *t, struct motor_event *ev)
{
    uint32_t group = 0;
    int64_t n = event_read(ev, 0, &group, sizeof group);
    if (n < (int64_t)sizeof group)
        return n < 0 ? n : -EFAULT;
    if (!t->session || t->session != ev->sid)
        return -ENOTTY;
    if ((int32_t)group <= 0)
        return -EINVAL;
    int64_t session = motor_process_label(group, MOTOR_LABEL_GROUP_SID, 0);
    if (session < 0)
        return -ESRCH;
    if ((uint32_t)session != t->session)
        return -EPERM;
    t->foreground = group;
    return 0;
}

static int64_t set_controlling(struct terminal *t, struct motor_event *ev)
{
    if (t->session && t->session == ev->sid && ev->pid == ev->sid)
        return 0;
    if (ev->pid != ev->sid || job_terminal_of(ev->sid))
        return -EPERM;
    if (t->session && !(ev->word[1] == 1 && !ev->uid))
        return -EPERM;
    return take(t, ev->pid, ev->sid, ev->pgid);
}

static int64_t give_up(struct terminal *t, struct motor_event *ev)
{
    if (!t->session || t->session != ev->sid)
        return -ENOTTY;
    if (ev->pid != ev->sid)
        return 0; /* others of the session keep it; this one just stops using it */
    uint32_t group = t->foreground;
    leave(t);
    send_group(group, SIGHUP);
    send_group(group, SIGCONT);
    return 0;
}

int64_t job_control(struct terminal *t, struct motor_event *ev)
{
    switch (ev->word[0]) {
    case TIOCGPGRP:
        if (!t->session || t->session != ev->sid)
            return -ENOTTY;
        return give(ev, t->foreground ? t->foreground : (uint32_t)INT32_MAX);
    case TIOCSPGRP:
        return set_foreground(t, ev);
    case TIOCGSID:
        return t->session && t->session == ev->sid ? give(ev, t->session) : -ENOTTY;
    case TIOCSCTTY:
        return set_controlling(t, ev);
    case TIOCNOTTY:
        return give_up(t, ev);
    case TIOCSTI:
        return -EIO; /* nobody types in another's name */
    default:
        return -ENOTTY;
    }
}
