/* SPDX-License-Identifier: MIT */
/*
 * Parcels: descriptors on their way from one process to another. A sender fills one by calls on its
 * gate, and sends it with a message; then it belongs to the message, until somebody receives that
 * and gets a gate to it, or to nobody when the message is dropped.
 *
 * Handles to other servers are kept, until a receiver takes them. Our own objects arrive as their
 * badges: the parcel counts as a gate of each.
 */
#include "local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE   MOTOR_MSG_HANDLES
#define TOTAL_MAX 65536u /* descriptors in all parcels together */
#define RIGHTS    (MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP)

struct entry {
    struct motor_start_fd record; /* handle: ours */
    uint64_t badge;               /* or an object of this engine */
    bool given;                   /* a receiver has it: nothing is here any more */
};

struct parcel {
    enum badge_kind badge_kind;
    uint64_t badge; /* of its gate; 0: it belongs to a message */
    bool delivered, signature_set;
    struct signature signature;
    uint32_t count;
    struct entry *entries;
};

static uint64_t total;

/* ---- what is in it ---- */

static void entry_release(struct parcel *p, struct entry *e)
{
    struct tty_object *o = e->badge ? object_of(e->badge) : NULL;
    if (e->given)
        return;
    total--;
    if (e->record.handle)
        motor_handle_close(e->record.handle);
    if (!o)
        return;
    if (is_socket(o) && !p->badge) {
        unix_of(o)->in_flight--;
        unix_in_flight--;
    }
    if (o->closed)
        o->closed(o);
}

void parcel_free(struct parcel *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        entry_release(p, &p->entries[i]);
    if (p->badge)
        badge_remove(&tty_engine.badges, p->badge);
    free(p->entries);
    free(p);
}

void parcel_sockets(const struct parcel *p, void (*visit)(struct unix_socket *s))
{
    for (uint32_t i = 0; i < p->count; i++) {
        struct tty_object *o = p->entries[i].badge ? object_of(p->entries[i].badge) : NULL;
        if (o && is_socket(o))
            visit(unix_of(o));
    }
}

uint32_t parcel_count(const struct parcel *p)
{
    return p->count;
}

bool parcel_signature(const struct parcel *p, struct signature *out)
{
    if (p->signature_set)
        *out = p->signature;
    return p->signature_set;
}

/* Sockets that only messages lead to may be garbage: whose they are is counted. */
static void in_flight(struct parcel *p, bool begin)
{
    for (uint32_t i = 0; i < p->count; i++) {
        struct tty_object *o = p->entries[i].badge ? object_of(p->entries[i].badge) : NULL;
        if (!o || !is_socket(o))
            continue;
        unix_of(o)->in_flight += begin ? 1 : UINT32_MAX;
        unix_in_flight += begin ? 1 : UINT32_MAX;
    }
}

void parcel_detach(struct parcel *p)
{
    badge_remove(&tty_engine.badges, p->badge);
    p->badge = 0;
    in_flight(p, true);
}

int64_t parcel_attach(struct parcel *p)
{
    uint64_t badge = badge_add(&tty_engine.badges, p);
    int64_t gate = badge ? engine_gate(&tty_engine, badge) : -ENOMEM;
    if (gate < 0) {
        if (badge)
            badge_remove(&tty_engine.badges, badge);
        return gate;
    }
    in_flight(p, false);
    p->badge = badge;
    p->delivered = true;
    return gate;
}

void parcel_unattach(struct parcel *p)
{
    p->delivered = false;
    parcel_detach(p);
}

struct parcel *parcel_copy(const struct parcel *p)
{
    struct parcel *copy = calloc(1, sizeof *copy);
    if (copy)
        copy->entries = calloc(p->count ? p->count : 1, sizeof *copy->entries);
    if (!copy || !copy->entries) {
        free(copy);
        return NULL;
    }
    copy->badge_kind = BADGE_PARCEL;
    for (uint32_t i = 0; i < p->count; i++) {
        struct entry e = p->entries[i];
        struct tty_object *o = e.badge ? object_of(e.badge) : NULL;
        int64_t h = e.record.handle ? motor_handle_dup(e.record.handle, RIGHTS) : 0;
        if (h < 0)
            continue;
        e.record.handle = (motor_handle)h;
        if (o && o->opened)
            o->opened(o);
        copy->entries[copy->count++] = e;
        total++;
    }
    in_flight(copy, true);
    return copy;
}

/* ---- calls ---- */

static struct parcel *find(uint64_t badge)
{
    struct parcel *p = badge_get(&tty_engine.badges, badge);
    return p && p->badge_kind == BADGE_PARCEL ? p : NULL;
}

struct parcel *parcel_find(uint64_t badge)
{
    struct parcel *p = find(badge);
    return p && !p->delivered ? p : NULL;
}

void parcel_closed(uint64_t badge)
{
    struct parcel *p = find(badge);
    if (p)
        parcel_free(p);
}

void parcel_new(struct motor_event *ev)
{
    struct parcel *p = memory_low() ? NULL : calloc(1, sizeof *p);
    int64_t gate = -ENOMEM;
    if (p) {
        p->badge_kind = BADGE_PARCEL;
        p->badge = badge_add(&tty_engine.badges, p);
        gate = p->badge ? engine_gate(&tty_engine, p->badge) : -ENOMEM;
    }
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, gate < 0 ? gate : 0);
    if (gate >= 0)
        engine_reply_handle(r, (motor_handle)gate, RIGHTS);
    else if (p)
        parcel_free(p);
}

static int64_t entry_take(struct entry *e, struct motor_event *ev, uint32_t i)
{
    e->given = false;
    e->record.handle = e->record.second = 0;
    e->badge = 0;
    if (ev->handle[i] != MOTOR_HANDLE_OWN) {
        e->record.handle = event_take_handle(ev, i);
        return e->record.handle ? 0 : -EINVAL;
    }
    struct tty_object *o = object_of(ev->own_badge[i]);
    if (!o)
        return -EINVAL;
    if (o->opened)
        o->opened(o);
    e->badge = ev->own_badge[i];
    return 0;
}

static int64_t put(struct parcel *p, struct motor_event *ev)
{
    struct motor_start_fd records[AT_ONCE];
    uint64_t n = ev->in_size / sizeof *records;
    if (p->delivered || !n || n > AT_ONCE || ev->in_size % sizeof *records || ev->nhandles != n ||
        p->count + n > IO_PARCEL_MAX)
        return -EINVAL;
    if (total + n > TOTAL_MAX || memory_low())
        return -ETOOMANYREFS;
    int64_t got = event_read(ev, 0, records, ev->in_size);
    if (got < (int64_t)ev->in_size)
        return got < 0 ? got : -EFAULT;
    struct entry *more = realloc(p->entries, (p->count + n) * sizeof *more);
    if (!more)
        return -ENOMEM;
    p->entries = more;
    for (uint32_t i = 0; i < n; i++) {
        struct entry *e = &p->entries[p->count];
        e->record = records[i];
        int64_t error = entry_take(e, ev, i);
        if (error)
            return error;
        p->count++;
        total++;
    }
    return 0;
}

/*
 * A handle for the receiver, who has it alone: it goes when he closes it (and with it a lock, say),
 * not when this parcel does. An object of ours counts as many gates as before.
 */
static int64_t entry_give(struct entry *e)
{
    int64_t h = e->given ? -EBADF : (int64_t)e->record.handle;
    if (e->badge)
        h = engine_gate(&tty_engine, e->badge);
    if (h < 0)
        return h;
    e->record.handle = 0;
    e->badge = 0;
    e->given = true;
    total--;
    return h;
}

static int64_t take(struct parcel *p, struct motor_event *ev)
{
    struct motor_start_fd records[AT_ONCE];
    uint32_t n = 0;
    if (!p->delivered)
        return -EINVAL;
    if (ev->word[0] >= p->count)
        return 0;
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, 0);
    for (; n < AT_ONCE && ev->word[0] + n < p->count; n++) {
        struct entry *e = &p->entries[ev->word[0] + n];
        int64_t h = entry_give(e);
        if (h < 0)
            break;
        records[n] = e->record;
        engine_reply_handle(r, (motor_handle)h, RIGHTS);
    }
    r->status = n ? (int64_t)n : -ENFILE;
    engine_reply_data(r, &tty_engine, records, n * sizeof *records);
    return CALL_ANSWERED;
}

/* Is that the process that asks, and one of its users? Root may say anything. */
static int64_t sign(struct parcel *p, const struct motor_event *ev)
{
    struct signature s = {(uint32_t)ev->word[0], (uint32_t)ev->word[1],
                          (uint32_t)(ev->word[1] >> 32)};
    if (p->delivered)
        return -EINVAL;
    if (ev->uid) {
        struct motor_process_info info;
        int64_t h = motor_process_open(ev->pid, MOTOR_RIGHT_READ);
        int64_t status =
            h < 0 ? h : motor_process_info((motor_handle)h, MOTOR_PINFO_BASIC, &info, sizeof info);
        if (h >= 0)
            motor_handle_close((motor_handle)h);
        if (status < 0 || s.pid != ev->pid ||
            (s.uid != info.uid && s.uid != info.ruid && s.uid != info.suid) ||
            (s.gid != info.gid && s.gid != info.rgid && s.gid != info.sgid))
            return -EPERM;
    }
    p->signature = s;
    p->signature_set = true;
    return 0;
}

bool parcel_call(struct motor_event *ev)
{
    struct parcel *p = find(ev->badge);
    if (!p)
        return false;
    int64_t status = ev->op == IO_PARCEL_PUT    ? put(p, ev)
                     : ev->op == IO_PARCEL_TAKE ? take(p, ev)
                     : ev->op == IO_PARCEL_SIGN ? sign(p, ev)
                                                : -ENOSYS;
    if (status != CALL_ANSWERED)
        engine_reply(&tty_engine, ev->token, status);
    return true;
}
