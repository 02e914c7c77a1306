/* SPDX-License-Identifier: MIT */
/*
 * Handle tables. See handle.h. Index 0 is never used. A free entry has no object and names the next
 * free one; a new leaf's entries are chained in order, so a fresh process numbers its handles 1, 2,
 * 3, ...
 */
#include "handle.h"
#include "frame.h"
#include "log.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"
#include "thread.h"

#define CLOSE_BATCH  32u
#define FIRST_LEAVES 8u

static struct handle_entry *entry_of(struct handle_table *t, uint32_t index)
{
    if (index == 0 || index / HANDLE_LEAF >= t->leaves) {
        return NULL;
    }
    return &t->leaf[index / HANDLE_LEAF][index % HANDLE_LEAF];
}

static int64_t grow_root(struct handle_table *t)
{
    uint32_t max = t->leaves_max ? t->leaves_max * 2 : FIRST_LEAVES;
    struct handle_entry **root = kmalloc(max * sizeof(*root));
    if (!root) {
        return -MOTOR_ENOMEM;
    }
    for (uint32_t i = 0; i < t->leaves; i++) {
        root[i] = t->leaf[i];
    }
    kfree(t->leaf);
    t->leaf = root;
    t->leaves_max = max;
    return 0;
}

static int64_t grow(struct handle_table *t)
{
    if (t->leaves * HANDLE_LEAF >= MOTOR_HANDLES_MAX) {
        return -MOTOR_ELIMIT;
    }
    if (t->leaves == t->leaves_max && grow_root(t) < 0) {
        return -MOTOR_ENOMEM;
    }
    struct handle_entry *leaf = kzalloc(HANDLE_LEAF * sizeof(*leaf));
    if (!leaf) {
        return -MOTOR_ENOMEM;
    }
    uint32_t base = t->leaves * HANDLE_LEAF;
    for (uint32_t i = 0; i + 1 < HANDLE_LEAF; i++) {
        leaf[i].next_free = base + i + 1;
    }
    t->leaf[t->leaves++] = leaf;
    t->free = base ? base : 1;
    return 0;
}

int64_t handle_insert(struct process *p, struct object *o, uint32_t rights)
{
    int64_t status = -MOTOR_EGONE;
    spin_lock(&p->lock);
    if (p->closed) {
        goto out;
    }
    if (!p->handles.free && (status = grow(&p->handles)) < 0) {
        goto out;
    }
    uint32_t index = p->handles.free;
    struct handle_entry *e = entry_of(&p->handles, index);
    p->handles.free = e->next_free;
    p->handles.used++;
    p->hardware += o->kind == OBJECT_HARDWARE;
    e->object = o;
    e->rights = rights;
    object_handle_get(o);
    status = index;
out:
    spin_unlock(&p->lock);
    return status;
}

/* [process.lock] The entry's handle count and reference pass to the caller. */
static struct object *take(struct process *p, uint32_t index, struct handle_entry *e)
{
    struct object *o = e->object;
    e->object = NULL;
    e->next_free = p->handles.free;
    p->handles.free = index;
    p->handles.used--;
    p->hardware -= o->kind == OBJECT_HARDWARE;
    return o;
}

int64_t handle_close(struct process *p, motor_handle h)
{
    struct object *o = NULL;
    spin_lock(&p->lock);
    struct handle_entry *e = entry_of(&p->handles, h);
    if (e && e->object) {
        o = take(p, h, e);
    }
    spin_unlock(&p->lock);
    if (!o) {
        return -MOTOR_EHANDLE;
    }
    object_handle_put(o);
    return 0;
}

/*
 * Take up to CLOSE_BATCH handles from *index on. How many; *index is where to go on, 0 at the end.
 */
static uint32_t take_batch(struct process *p, uint32_t *index, bool only_cloexec,
                           struct object **batch)
{
    uint32_t n = 0, looked = 0;
    spin_lock(&p->lock);
    uint32_t end = p->handles.leaves * HANDLE_LEAF;
    for (; *index < end && n < CLOSE_BATCH && looked < 4 * HANDLE_LEAF; ++*index, looked++) {
        struct handle_entry *e = entry_of(&p->handles, *index);
        if (e && e->object && (!only_cloexec || (e->rights & MOTOR_HANDLE_CLOEXEC))) {
            batch[n++] = take(p, *index, e);
        }
    }
    if (*index >= end) {
        *index = 0;
    }
    spin_unlock(&p->lock);
    return n;
}

static void free_table(struct handle_table *t)
{
    for (uint32_t i = 0; i < t->leaves; i++) {
        kfree(t->leaf[i]);
    }
    kfree(t->leaf);
    *t = (struct handle_table){0};
}

void handle_close_all(struct process *p, bool only_cloexec)
{
    struct object *batch[CLOSE_BATCH];
    uint32_t index = 1;
    if (!only_cloexec) {
        spin_lock(&p->lock);
        p->closed = true;
        spin_unlock(&p->lock);
    }
    do {
        uint32_t n = take_batch(p, &index, only_cloexec, batch);
        for (uint32_t i = 0; i < n; i++) {
            object_handle_put(batch[i]);
        }
        sched_preempt_point();
    } while (index);
    if (!only_cloexec) {
        spin_lock(&p->lock);
        struct handle_table table = p->handles;
        p->handles = (struct handle_table){0};
        spin_unlock(&p->lock);
        free_table(&table);
    }
}

static int64_t lookup(motor_handle h, enum object_kind kind, uint32_t rights, bool hold,
                      struct object **out, uint32_t *rights_out)
{
    struct process *p = this_cpu()->current->process;
    int64_t status = -MOTOR_EHANDLE;
    spin_lock(&p->lock);
    struct handle_entry *e = entry_of(&p->handles, h);
    if (!e || !e->object) {
        goto out;
    }
    status = -MOTOR_ETYPE;
    if (kind && e->object->kind != kind) {
        goto out;
    }
    status = -MOTOR_ERIGHTS;
    if (rights & ~e->rights) {
        goto out;
    }
    *out = e->object;
    if (rights_out) {
        *rights_out = e->rights;
    }
    if (hold) {
        object_handle_get(e->object);
    } else {
        object_get(e->object);
    }
    status = 0;
out:
    spin_unlock(&p->lock);
    return status;
}

int64_t handle_lookup(motor_handle h, enum object_kind kind, uint32_t rights, struct object **out,
                      uint32_t *rights_out)
{
    return lookup(h, kind, rights, false, out, rights_out);
}

int64_t handle_hold(motor_handle h, enum object_kind kind, uint32_t rights, struct object **out,
                    uint32_t *rights_out)
{
    return lookup(h, kind, rights, true, out, rights_out);
}

int64_t process_lookup(motor_handle h, uint32_t rights, struct process **out)
{
    if (h) {
        return lookup(h, OBJECT_PROCESS, rights, false, (struct object **)out, NULL);
    }
    *out = this_cpu()->current->process;
    object_get(&(*out)->object);
    return 0;
}

int64_t thread_lookup(motor_handle h, uint32_t rights, struct thread **out)
{
    if (h) {
        return lookup(h, OBJECT_THREAD, rights, false, (struct object **)out, NULL);
    }
    *out = this_cpu()->current;
    object_get(&(*out)->object);
    return 0;
}

int64_t sys_handle_close(motor_handle h)
{
    return handle_close(this_cpu()->current->process, h);
}

/* An embryo must not name an embryo: nobody would be left to close such a circle. */
static bool makes_circle(struct process *to, struct object *o)
{
    if (o->kind != OBJECT_PROCESS) {
        return false;
    }
    return __atomic_load_n(&to->state, __ATOMIC_RELAXED) == PROCESS_EMBRYO &&
           __atomic_load_n(&((struct process *)o)->state, __ATOMIC_RELAXED) == PROCESS_EMBRYO;
}

static int64_t duplicate(struct process *to, motor_handle h, uint32_t rights)
{
    struct object *o;
    uint32_t have;
    int64_t status = handle_hold(h, 0, MOTOR_RIGHT_DUP, &o, &have);
    if (status < 0) {
        return status;
    }
    if (rights & ~(MOTOR_RIGHTS_ALL | MOTOR_HANDLE_CLOEXEC)) {
        status = -MOTOR_EINVAL;
    } else if (rights & MOTOR_RIGHTS_ALL & ~have) {
        status = -MOTOR_ERIGHTS;
    } else if (makes_circle(to, o)) {
        status = -MOTOR_EBUSY;
    } else {
        status = handle_insert(to, o, rights);
    }
    object_handle_put(o);
    return status;
}

int64_t sys_handle_dup(motor_handle h, uint32_t rights)
{
    struct process *self = this_cpu()->current->process;
    if (!h) { /* a process may always name itself */
        return rights & ~(MOTOR_RIGHTS_ALL | MOTOR_HANDLE_CLOEXEC)
                   ? -MOTOR_EINVAL
                   : handle_insert(self, &self->object, rights);
    }
    return duplicate(self, h, rights);
}

int64_t sys_handle_install(motor_handle process, motor_handle h, uint32_t rights_flags)
{
    struct process *to;
    int64_t status = process_lookup(process, MOTOR_RIGHT_INSTALL, &to);
    if (status < 0) {
        return status;
    }
    status = duplicate(to, h, rights_flags);
    object_put(&to->object);
    return status;
}
