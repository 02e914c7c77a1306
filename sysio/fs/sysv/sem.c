/* SPDX-License-Identifier: MIT */
/*
 * Semaphore sets. The operations of a semop are done all at once or not yet: who must wait is
 * remembered with them, and after each change the waiters are tried, oldest first and from the
 * beginning after each that could go on.
 *
 * SEM_UNDO: what a process has changed hangs on its presence, and is taken back when that goes.
 */
#include "../proc/proc.h"
#include "sysv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>

#ifndef SEM_STAT_ANY
#define SEM_STAT_ANY 20
#endif

struct semaphore {
    int32_t value;
    uint32_t pid; /* of its last operation */
};

/* What a process's end takes back from one set. */
struct undo {
    struct set *set;
    struct presence *presence;
    struct undo *of_set, *of_process;
    int16_t adjust[];
};

struct sem_wait {
    struct sem_wait *next, **link;
    struct set *set;
    struct presence *presence;
    uint64_t token;
    struct engine_timer timer;
    uint32_t pid, count;
    uint32_t blocked; /* the operation that could not be done */
    struct sembuf op[];
};

struct set {
    struct ipc_object object;
    uint32_t count;
    int64_t otime, ctime;
    struct undo *undos;
    struct sem_wait *waits, **waits_end;
    struct semaphore sem[];
};

static struct ipc_table sets;
static uint32_t all; /* semaphores */

/* ---- sets ---- */

static int fits(const struct ipc_object *o, uint64_t count)
{
    return count <= ((const struct set *)o)->count ? 0 : -EINVAL;
}

static struct ipc_object *make(const struct ipc_get *get, int *error)
{
    if (!get->size || get->size > SEM_PER_SET) {
        *error = -EINVAL;
        return NULL;
    }
    if (get->size > SEM_ALL - all) {
        *error = -ENOSPC;
        return NULL;
    }
    struct set *s = calloc(1, sizeof *s + get->size * sizeof s->sem[0]);
    if (!s)
        return NULL;
    s->count = (uint32_t)get->size;
    s->ctime = sysv_seconds();
    s->waits_end = &s->waits;
    all += s->count;
    return &s->object;
}

static void wait_end(struct sem_wait *w, int64_t status)
{
    engine_timer_clear(&w->timer);
    if (w->presence)
        w->presence->sem_waits--;
    engine_reply(&fs_engine, w->token, status);
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    else
        w->set->waits_end = w->link;
    free(w);
}

static void undo_free(struct undo *u)
{
    struct undo **link = &u->presence->undos;
    while (*link != u)
        link = &(*link)->of_process;
    *link = u->of_process;
    link = &u->set->undos;
    while (*link != u)
        link = &(*link)->of_set;
    *link = u->of_set;
    free(u);
}

static void set_free(struct set *s)
{
    while (s->waits)
        wait_end(s->waits, -EIDRM);
    while (s->undos)
        undo_free(s->undos);
    ipc_remove(&sets, &s->object);
    all -= s->count;
    free(s);
}

/* ---- operations ---- */

static struct undo *undo_of(struct set *s, struct presence *p)
{
    for (struct undo *u = p->undos; u; u = u->of_process)
        if (u->set == s)
            return u;
    struct undo *u = calloc(1, sizeof *u + s->count * sizeof u->adjust[0]);
    if (!u)
        return NULL;
    *u = (struct undo){.set = s, .presence = p, .of_set = s->undos, .of_process = p->undos};
    s->undos = p->undos = u;
    return u;
}

static bool undoes(const struct sembuf *op, uint32_t count)
{
    while (count--)
        if (op[count].sem_flg & SEM_UNDO)
            return true;
    return false;
}

/* Takes back the first `done` operations of an attempt. */
static void take_back(struct set *s, struct undo *u, const struct sembuf *op, uint32_t done)
{
    while (done--) {
        s->sem[op[done].sem_num].value -= op[done].sem_op;
        if (op[done].sem_flg & SEM_UNDO)
            u->adjust[op[done].sem_num] += op[done].sem_op;
    }
}

/* One operation: 0, 1: it must wait, or -ERANGE. */
static int operate(struct set *s, struct undo *u, const struct sembuf *op)
{
    int32_t *value = &s->sem[op->sem_num].value, after = *value + op->sem_op;
    if (!op->sem_op)
        return *value != 0;
    if (after < 0)
        return 1;
    if (after > SEM_VALUE_MAX)
        return -ERANGE;
    if (op->sem_flg & SEM_UNDO) {
        int32_t adjust = u->adjust[op->sem_num] - op->sem_op;
        if (adjust < -SEM_VALUE_MAX - 1 || adjust > SEM_VALUE_MAX)
            return -ERANGE;
        u->adjust[op->sem_num] = (int16_t)adjust;
    }
    *value = after;
    return 0;
}

/* All of them, or none: 0; 1: *blocked has to wait; an error. */
static int attempt(struct set *s, struct presence *p, const struct sembuf *op, uint32_t count,
                   uint32_t pid, uint32_t *blocked)
{
    struct undo *u = NULL;
    int status = 0;
    uint32_t i = 0;
    if (undoes(op, count) && !(u = undo_of(s, p)))
        return -ENOMEM;
    while (i < count && (status = operate(s, u, &op[i])) == 0)
        i++;
    if (status) {
        take_back(s, u, op, i);
        *blocked = i;
        return status;
    }
    while (i--)
        s->sem[op[i].sem_num].pid = pid;
    s->otime = sysv_seconds();
    return 0;
}

/* After a change: whoever can go on does. */
static void try_waiting(struct set *s)
{
    for (struct sem_wait *w = s->waits; w;) {
        int status = attempt(s, w->presence, w->op, w->count, w->pid, &w->blocked);
        if (status == 1) {
            w = w->next;
            continue;
        }
        wait_end(w, status);
        w = s->waits;
    }
}

/* Calls that it has sent with this presence: its threads are gone, or mean harm. */
static void end_waits_of(struct presence *p)
{
    for (uint32_t i = 0; i < sets.end && p->sem_waits; i++)
        for (struct sem_wait *w = sets.slot[i] ? ((struct set *)sets.slot[i])->waits : NULL, *next;
             w; w = next) {
            next = w->next;
            if (w->presence == p)
                wait_end(w, -EINTR);
        }
}

void sem_presence_closed(struct presence *p)
{
    end_waits_of(p);
    while (p->undos) {
        struct undo *u = p->undos;
        struct set *s = u->set;
        for (uint32_t i = 0; i < s->count; i++) {
            if (!u->adjust[i])
                continue;
            int32_t value = s->sem[i].value + u->adjust[i];
            s->sem[i].value = value < 0 ? 0 : value > SEM_VALUE_MAX ? SEM_VALUE_MAX : value;
            s->sem[i].pid = p->pid;
        }
        s->otime = sysv_seconds();
        undo_free(u);
        try_waiting(s);
    }
}

static void time_is_up(struct engine *e, struct engine_timer *t)
{
    (void)e;
    wait_end((struct sem_wait *)((char *)t - offsetof(struct sem_wait, timer)), -EAGAIN);
}

void sem_cancel(uint64_t token)
{
    for (uint32_t i = 0; i < sets.end; i++)
        for (struct sem_wait *w = sets.slot[i] ? ((struct set *)sets.slot[i])->waits : NULL; w;
             w = w->next)
            if (w->token == token) {
                wait_end(w, -EINTR);
                return;
            }
}

static int check(const struct set *s, const struct sembuf *op, uint32_t count,
                 const struct cred *who)
{
    uint32_t mode = 4;
    for (uint32_t i = 0; i < count; i++) {
        if (op[i].sem_num >= s->count)
            return -EFBIG;
        if (op[i].sem_op)
            mode = 2;
    }
    return ipc_may(&s->object, who, mode);
}

/* w0 id, w1 how many, w2 until when (ns); in: struct sembuf[] */
static int64_t operate_all(const struct motor_event *ev, const struct cred *who,
                           struct presence *presence)
{
    struct sembuf op[SEM_OPS_MAX];
    struct ipc_object *o;
    uint32_t count = (uint32_t)ev->word[1], blocked;
    if (!ev->word[1])
        return -EINVAL;
    if (ev->word[1] > SEM_OPS_MAX)
        return -E2BIG;
    if (event_read(ev, 0, op, count * sizeof *op) < (int64_t)(count * sizeof *op))
        return -EFAULT;
    int error = ipc_find(&sets, ev->word[0], &o);
    struct set *s = (struct set *)o;
    if (!error)
        error = check(s, op, count, who);
    if (!error && undoes(op, count) && !presence)
        error = -ENOMEM;
    if (error)
        return error;
    int status = attempt(s, presence, op, count, who->pid, &blocked);
    if (status == 0)
        try_waiting(s);
    if (status != 1)
        return status;
    if (op[blocked].sem_flg & IPC_NOWAIT)
        return -EAGAIN;
    struct sem_wait *w = memory_low() ? NULL : malloc(sizeof *w + count * sizeof *op);
    if (!w)
        return -ENOMEM;
    *w = (struct sem_wait){.set = s,
                           .presence = presence,
                           .token = ev->token,
                           .timer = {.fire = time_is_up},
                           .pid = who->pid,
                           .count = count,
                           .blocked = blocked,
                           .link = s->waits_end};
    memcpy(w->op, op, count * sizeof *op);
    if (presence)
        presence->sem_waits++;
    *w->link = w;
    s->waits_end = &w->next;
    if (ev->word[2] != MOTOR_NEVER)
        engine_timer_set(&fs_engine, &w->timer, ev->word[2]);
    return NO_REPLY;
}

/* ---- semctl ---- */

static int64_t stat_set(const struct motor_event *ev, const struct set *s, int64_t status)
{
    struct semid_ds ds = {.sem_perm = s->object.perm,
                          .sem_otime = s->otime,
                          .sem_ctime = s->ctime,
                          .sem_nsems = s->count};
    int64_t n = event_write(ev, 0, &ds, sizeof ds);
    return n < (int64_t)sizeof ds ? -EFAULT : status;
}

static int64_t information(const struct motor_event *ev, bool info)
{
    struct seminfo i = {.semmap = SEM_ALL,
                        .semmni = IPC_IDS,
                        .semmns = SEM_ALL,
                        .semmnu = SEM_ALL,
                        .semmsl = SEM_PER_SET,
                        .semopm = SEM_OPS_MAX,
                        .semume = SEM_OPS_MAX,
                        .semusz = info ? (int)sets.used : 20,
                        .semvmx = SEM_VALUE_MAX,
                        .semaem = info ? (int)all : SEM_VALUE_MAX};
    int64_t n = event_write(ev, 0, &i, sizeof i);
    return n < (int64_t)sizeof i ? -EFAULT : sets.end ? (int64_t)sets.end - 1 : 0;
}

/* How many wait for semaphore i: to become larger, or zero. */
static int64_t count_waiting(const struct set *s, uint32_t i, bool zero)
{
    int64_t n = 0;
    for (const struct sem_wait *w = s->waits; w; w = w->next)
        n += w->op[w->blocked].sem_num == i && !w->op[w->blocked].sem_op == zero;
    return n;
}

static void set_value(struct set *s, uint32_t i, int32_t value, uint32_t pid)
{
    s->sem[i] = (struct semaphore){value, pid};
    for (struct undo *u = s->undos; u; u = u->of_set)
        u->adjust[i] = 0;
}

static int64_t get_all(const struct motor_event *ev, const struct set *s)
{
    uint16_t values[256];
    for (uint32_t done = 0, n; done < s->count; done += n) {
        n = s->count - done < 256 ? s->count - done : 256;
        for (uint32_t i = 0; i < n; i++)
            values[i] = (uint16_t)s->sem[done + i].value;
        if (event_write(ev, done * sizeof *values, values, n * sizeof *values) <
            (int64_t)(n * sizeof *values))
            return -EFAULT;
    }
    return 0;
}

static int64_t set_all(const struct motor_event *ev, struct set *s, uint32_t pid)
{
    uint16_t *values = malloc(s->count * sizeof *values);
    int64_t size = (int64_t)(s->count * sizeof *values), status = values ? 0 : -ENOMEM;
    if (values && event_read(ev, 0, values, (uint64_t)size) < size)
        status = -EFAULT;
    for (uint32_t i = 0; !status && i < s->count; i++)
        if (values[i] > SEM_VALUE_MAX)
            status = -ERANGE;
    for (uint32_t i = 0; !status && i < s->count; i++)
        set_value(s, i, values[i], pid);
    free(values);
    if (!status) {
        s->ctime = sysv_seconds();
        try_waiting(s);
    }
    return status;
}

static int64_t of_one(struct set *s, uint64_t i, uint64_t command, int32_t value,
                      const struct cred *who)
{
    if (i >= s->count)
        return -EINVAL;
    switch (command) {
    case GETVAL:
        return s->sem[i].value;
    case GETPID:
        return s->sem[i].pid;
    case GETNCNT:
    case GETZCNT:
        return count_waiting(s, (uint32_t)i, command == GETZCNT);
    default: /* SETVAL */
        set_value(s, (uint32_t)i, value, who->pid);
        s->ctime = sysv_seconds();
        try_waiting(s);
        return 0;
    }
}

static int64_t change(struct set *s, const struct motor_event *ev)
{
    struct semid_ds ds;
    if (event_read(ev, 0, &ds, sizeof ds) < (int64_t)sizeof ds)
        return -EFAULT;
    ipc_set(&s->object, &ds.sem_perm);
    s->ctime = sysv_seconds();
    return 0;
}

/* The rights that a command needs; 0: of the owner. */
static uint32_t mode_of(uint64_t command)
{
    switch (command) {
    case IPC_RMID:
    case IPC_SET:
        return 0;
    case SETVAL:
    case SETALL:
        return 2;
    default:
        return 4;
    }
}

/* w0 id, w1 command, w2 semaphore, w3 value; in, out */
static int64_t control(const struct motor_event *ev, const struct cred *who)
{
    uint64_t command = ev->word[1];
    int32_t value = (int32_t)ev->word[3];
    struct ipc_object *o;
    bool index = command == SEM_STAT || command == SEM_STAT_ANY;
    if (command == IPC_INFO || command == SEM_INFO)
        return information(ev, command == SEM_INFO);
    if (command == SETVAL && (value < 0 || value > SEM_VALUE_MAX))
        return -ERANGE;
    int error = (index ? ipc_find_index : ipc_find)(&sets, ev->word[0], &o);
    uint32_t mode = mode_of(command);
    if (!error && command != SEM_STAT_ANY && command != IO_SEM_COUNT)
        error = mode ? ipc_may(o, who, mode) : ipc_owns(o, who);
    if (error)
        return error;
    struct set *s = (struct set *)o;
    switch (command) {
    case IO_SEM_COUNT:
        return s->count;
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
        return stat_set(ev, s, index ? (int64_t)o->id : 0);
    case IPC_SET:
        return change(s, ev);
    case IPC_RMID:
        set_free(s);
        return 0;
    case GETALL:
        return get_all(ev, s);
    case SETALL:
        return set_all(ev, s, who->pid);
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
    case SETVAL:
        return of_one(s, ev->word[2], command, value, who);
    default:
        return -EINVAL;
    }
}

int64_t sem_call(const struct motor_event *ev, const struct cred *who, struct presence *presence)
{
    if (ev->op == IO_SEM_GET)
        return ipc_get(&sets, &(struct ipc_get){.who = who,
                                                .key = (int32_t)ev->word[0],
                                                .size = ev->word[1],
                                                .flags = (int32_t)ev->word[2],
                                                .fits = fits,
                                                .make = make});
    return ev->op == IO_SEM_OPERATE ? operate_all(ev, who, presence) : control(ev, who);
}

void sem_text(struct text *t)
{
    put(t,
        "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
    for (uint32_t i = 0; i < sets.end; i++) {
        const struct set *s = (const struct set *)sets.slot[i];
        if (!s)
            continue;
        const struct ipc_perm *p = &s->object.perm;
        put(t, "%10d %10u  %4o %10u %5u %5u %5u %5u %10lld %10lld\n", p->__key, s->object.id,
            p->mode, s->count, p->uid, p->gid, p->cuid, p->cgid, (long long)s->otime,
            (long long)s->ctime);
    }
}
