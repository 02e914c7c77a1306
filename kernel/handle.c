/* SPDX-License-Identifier: MIT */
/*
 * Handle tables. See handle.h. Index 0 is never used. A free entry has no object and names the next
 * free one; when none is free the next of those is taken that have never been used, so a fresh
 * process numbers its handles 1, 2, 3, ... and a new leaf need not be filled.
 */
#include "handle.h"
#include "frame.h"
#include "log.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"
#include "thread.h"

#define CLOSE_BATCH  32u
#define LOOK_BATCH   512u
#define LIST_BATCH   128u
#define CLONE_BATCH  64u
#define FIRST_LEAVES 8u

static struct handle_entry *entry_of(struct handle_table *t, uint32_t index)
{
    if (index == 0 || index >= t->end) {
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

/* Another leaf, which holds nothing yet. */
static int64_t add_leaf(struct handle_table *t)
{
    if (t->leaves * HANDLE_LEAF >= MOTOR_HANDLES_MAX) {
        return -MOTOR_ELIMIT;
    }
    if (t->leaves == t->leaves_max && grow_root(t) < 0) {
        return -MOTOR_ENOMEM;
    }
    struct handle_entry *leaf = kmalloc(HANDLE_LEAF * sizeof(*leaf));
    if (!leaf) {
        return -MOTOR_ENOMEM;
    }
    t->leaf[t->leaves++] = leaf;
    return 0;
}

/* The entries up to and with an index come to be, and are empty, but not among the free ones. */
static int64_t reach(struct handle_table *t, uint32_t index)
{
    int64_t status = 0;
    while (index >= t->leaves * HANDLE_LEAF && status == 0) {
        status = add_leaf(t);
    }
    for (; status == 0 && t->end <= index; t->end++) {
        t->leaf[t->end / HANDLE_LEAF][t->end % HANDLE_LEAF] = (struct handle_entry){0};
    }
    return status;
}

/* There is no free entry, and then there is one. */
static int64_t grow(struct handle_table *t)
{
    uint32_t index = t->end ? t->end : 1;
    int64_t status = reach(t, index);
    if (status == 0) {
        t->free = index;
    }
    return status;
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

static bool is_kept(const struct handle_entry *e)
{
    return (e->rights & HANDLE_KEEP) && !(e->rights & MOTOR_HANDLE_CLOEXEC);
}

/*
 * Take up to CLOSE_BATCH handles from *index on. How many; *index is where to go on, 0 at the end.
 */
static uint32_t take_unkept(struct process *p, uint32_t *index, struct object **batch)
{
    uint32_t n = 0, looked = 0;
    spin_lock(&p->lock);
    uint32_t end = p->handles.end;
    for (; *index < end && p->handles.used && n < CLOSE_BATCH && looked < LOOK_BATCH;
         ++*index, looked++) {
        struct handle_entry *e = entry_of(&p->handles, *index);
        if (e->object && !is_kept(e)) {
            batch[n++] = take(p, *index, e);
        } else if (e->object) {
            e->rights &= ~HANDLE_KEEP;
        }
    }
    if (*index >= end || !p->handles.used) {
        *index = 0;
    }
    spin_unlock(&p->lock);
    return n;
}

/* The same of a table that is closed: nothing is entered there any more. */
static uint32_t take_any(struct process *p, uint32_t *index, struct object **batch)
{
    uint32_t n = 0, looked = 0, at = *index;
    spin_lock(&p->lock);
    struct handle_table *t = &p->handles;
    for (; at < t->end && n < t->used && n < CLOSE_BATCH && looked < LOOK_BATCH; at++, looked++) {
        struct handle_entry *e = &t->leaf[at / HANDLE_LEAF][at % HANDLE_LEAF];
        if (e->object) {
            batch[n++] = e->object;
            p->hardware -= e->object->kind == OBJECT_HARDWARE;
            e->object = NULL;
        }
    }
    t->used -= n;
    *index = at >= t->end || !t->used ? 0 : at;
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

static void close_pieces(struct process *p,
                         uint32_t (*take_some)(struct process *p, uint32_t *index,
                                               struct object **batch))
{
    struct object *batch[CLOSE_BATCH];
    uint32_t index = 1;
    do {
        uint32_t n = take_some(p, &index, batch);
        for (uint32_t i = 0; i < n; i++) {
            object_handle_put(batch[i]);
        }
        sched_preempt_point();
    } while (index);
}

void handle_close_all(struct process *p)
{
    spin_lock(&p->lock);
    p->closed = true;
    spin_unlock(&p->lock);
    close_pieces(p, take_any);
    spin_lock(&p->lock);
    struct handle_table table = p->handles;
    p->handles = (struct handle_table){0};
    spin_unlock(&p->lock);
    free_table(&table);
}

void handle_close_unkept(struct process *p)
{
    close_pieces(p, take_unkept);
}

/* ---- lists of handles ---- */

/* The marks of an exec that failed later. */
static void forget_marks(struct process *p)
{
    for (uint32_t index = 1, end = 2; index < end;) {
        spin_lock(&p->lock);
        end = p->handles.end;
        for (uint32_t looked = 0; index < end && looked < LOOK_BATCH; index++, looked++) {
            entry_of(&p->handles, index)->rights &= ~HANDLE_KEEP;
        }
        spin_unlock(&p->lock);
        sched_preempt_point();
    }
}

int64_t handle_keep(struct process *p, const motor_handle *user, uint32_t count)
{
    motor_handle list[LIST_BATCH];
    if (count > MOTOR_HANDLES_MAX) {
        return -MOTOR_EINVAL;
    }
    forget_marks(p);
    for (uint32_t done = 0; done < count;) {
        uint32_t n = count - done < LIST_BATCH ? count - done : LIST_BATCH;
        if (copy_from_user(list, user + done, n * sizeof(*list)) < 0) {
            return -MOTOR_EFAULT;
        }
        spin_lock(&p->lock);
        for (uint32_t i = 0; i < n; i++) {
            struct handle_entry *e = entry_of(&p->handles, list[i]);
            if (e && e->object) {
                e->rights |= HANDLE_KEEP;
            }
        }
        spin_unlock(&p->lock);
        done += n;
        sched_preempt_point();
    }
    return 0;
}

/* All entries without an object, but for the first, which is never used. [lock] */
static void chain_free(struct handle_table *t)
{
    uint32_t next = 0;
    for (uint32_t i = t->end; i-- > 1;) {
        struct handle_entry *e = &t->leaf[i / HANDLE_LEAF][i % HANDLE_LEAF];
        if (!e->object) {
            e->next_free = next;
            next = i;
        }
    }
    t->free = next;
}

/* A handle on its way from one table to another. */
struct held {
    struct object *object;
    uint32_t rights, index;
};

/*
 * What a list of the parent's handles names, each held: how many. What is none of its own to give
 * is left out: numbers without an object, devices, and embryos (see makes_circle).
 */
static uint32_t hold_list(struct process *parent, const motor_handle *list, uint32_t n,
                          struct held *held)
{
    uint32_t count = 0;
    spin_lock(&parent->lock);
    for (uint32_t i = 0; i < n; i++) {
        struct handle_entry *e = entry_of(&parent->handles, list[i]);
        if (e && e->object && e->object->kind != OBJECT_HARDWARE && (e->rights & MOTOR_RIGHT_DUP) &&
            e->object->kind != OBJECT_PROCESS) {
            held[count++] = (struct held){e->object, e->rights & ~HANDLE_KEEP, list[i]};
            object_handle_get(e->object);
        }
    }
    spin_unlock(&parent->lock);
    return count;
}

/* Puts them at their numbers. *left: how many did not go in; these are in front then. */
static int64_t place_list(struct process *child, struct held *held, uint32_t n, uint32_t *left)
{
    struct handle_table *t = &child->handles;
    *left = 0;
    spin_lock(&child->lock);
    int64_t status = child->closed ? -MOTOR_EGONE : 0;
    for (uint32_t i = 0; i < n; i++) {
        if (status == 0 && held[i].index >= t->end) {
            status = reach(t, held[i].index);
        }
        struct handle_entry *to = status == 0 ? entry_of(t, held[i].index) : NULL;
        if (to && !to->object) {
            *to = (struct handle_entry){.object = held[i].object, .rights = held[i].rights};
            t->used++;
        } else {
            held[(*left)++] = held[i];
        }
    }
    chain_free(t);
    spin_unlock(&child->lock);
    return status;
}

int64_t handle_clone(struct process *child, struct process *parent, const motor_handle *user,
                     uint32_t count)
{
    motor_handle list[CLONE_BATCH];
    struct held held[CLONE_BATCH];
    int64_t status = count > MOTOR_HANDLES_MAX ? -MOTOR_EINVAL : 0;
    for (uint32_t done = 0; done < count && status == 0;) {
        uint32_t n = count - done < CLONE_BATCH ? count - done : CLONE_BATCH, left;
        if (copy_from_user(list, user + done, n * sizeof(*list)) < 0) {
            return -MOTOR_EFAULT;
        }
        status = place_list(child, held, hold_list(parent, list, n, held), &left);
        while (left) {
            object_handle_put(held[--left].object);
        }
        done += n;
        sched_preempt_point();
    }
    return status;
}

int64_t sys_handle_give(motor_handle embryo, const motor_handle *list, uint32_t count)
{
    struct process *to;
    int64_t status = process_lookup(embryo, MOTOR_RIGHT_INSTALL, &to);
    if (status < 0) {
        return status;
    }
    status = -MOTOR_EBUSY;
    if (embryo && __atomic_load_n(&to->state, __ATOMIC_RELAXED) == PROCESS_EMBRYO) {
        status = handle_clone(to, this_cpu()->current->process, list, count);
    }
    object_put(&to->object);
    return status;
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

struct object *handle_peek(struct process *p, motor_handle h, enum object_kind kind)
{
    struct object *o = NULL;
    spin_lock(&p->lock);
    struct handle_entry *e = entry_of(&p->handles, h);
    if (e && e->object && e->object->kind == kind) {
        o = e->object;
        object_get(o);
    }
    spin_unlock(&p->lock);
    return o;
}

struct object *handle_hold_of(struct process *p, motor_handle h, enum object_kind kind,
                              uint32_t rights)
{
    struct object *o = NULL;
    spin_lock(&p->lock);
    struct handle_entry *e = entry_of(&p->handles, h);
    if (e && e->object && e->object->kind == kind && !(rights & ~e->rights)) {
        o = e->object;
        object_handle_get(o);
    }
    spin_unlock(&p->lock);
    return o;
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
        int64_t status = lookup(h, OBJECT_PROCESS, rights, false, (struct object **)out, NULL);
        if (status == 0 && process_is_closed(*out)) {
            object_put(&(*out)->object);
            status = -MOTOR_EACCESS;
        }
        return status;
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
