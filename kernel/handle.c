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
#define LOOK_BATCH   512u
#define LIST_BATCH   128u
#define CLONE_BATCH  64u
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

/* Another leaf, none of whose entries is among the free ones yet. */
static int64_t add_leaf(struct handle_table *t)
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
    t->leaf[t->leaves++] = leaf;
    return 0;
}

/* There is no free entry, and then there are some. */
static int64_t grow(struct handle_table *t)
{
    int64_t status = add_leaf(t);
    if (status < 0) {
        return status;
    }
    struct handle_entry *leaf = t->leaf[t->leaves - 1];
    uint32_t base = (t->leaves - 1) * HANDLE_LEAF;
    for (uint32_t i = 0; i + 1 < HANDLE_LEAF; i++) {
        leaf[i].next_free = base + i + 1;
    }
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

static bool is_kept(const struct handle_entry *e)
{
    return (e->rights & HANDLE_KEEP) && !(e->rights & MOTOR_HANDLE_CLOEXEC);
}

/*
 * Take up to CLOSE_BATCH handles from *index on. How many; *index is where to go on, 0 at the end.
 */
static uint32_t take_batch(struct process *p, uint32_t *index, bool unkept_only,
                           struct object **batch)
{
    uint32_t n = 0, looked = 0;
    spin_lock(&p->lock);
    uint32_t end = p->handles.leaves * HANDLE_LEAF;
    for (; *index < end && p->handles.used && n < CLOSE_BATCH && looked < LOOK_BATCH;
         ++*index, looked++) {
        struct handle_entry *e = entry_of(&p->handles, *index);
        if (e && e->object && !(unkept_only && is_kept(e))) {
            batch[n++] = take(p, *index, e);
        } else if (e && e->object) {
            e->rights &= ~HANDLE_KEEP;
        }
    }
    if (*index >= end || !p->handles.used) {
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

static void close_pieces(struct process *p, bool unkept_only)
{
    struct object *batch[CLOSE_BATCH];
    uint32_t index = 1;
    do {
        uint32_t n = take_batch(p, &index, unkept_only, batch);
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
    close_pieces(p, false);
    spin_lock(&p->lock);
    struct handle_table table = p->handles;
    p->handles = (struct handle_table){0};
    spin_unlock(&p->lock);
    free_table(&table);
}

void handle_close_unkept(struct process *p)
{
    close_pieces(p, true);
}

/* ---- lists of handles ---- */

/* The marks of an exec that failed later. */
static void forget_marks(struct process *p)
{
    for (uint32_t index = 1, end = 2; index < end;) {
        spin_lock(&p->lock);
        end = p->handles.leaves * HANDLE_LEAF;
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
    for (uint32_t l = t->leaves; l-- > 0;) {
        struct handle_entry *leaf = t->leaf[l];
        for (uint32_t i = HANDLE_LEAF; i-- > (l ? 0 : 1);) {
            if (!leaf[i].object) {
                leaf[i].next_free = next;
                next = l * HANDLE_LEAF + i;
            }
        }
    }
    t->free = next;
}

/*
 * What a list of the parent's handles names, each held; what is none of its own to give stays
 * empty: numbers without an object, devices, and embryos (see makes_circle).
 */
static void hold_list(struct process *parent, const motor_handle *list, uint32_t n,
                      struct handle_entry *held)
{
    spin_lock(&parent->lock);
    for (uint32_t i = 0; i < n; i++) {
        struct handle_entry *e = entry_of(&parent->handles, list[i]);
        held[i] = (struct handle_entry){0};
        if (e && e->object && e->object->kind != OBJECT_HARDWARE && (e->rights & MOTOR_RIGHT_DUP) &&
            e->object->kind != OBJECT_PROCESS) {
            held[i] = *e;
            object_handle_get(e->object);
        }
    }
    spin_unlock(&parent->lock);
}

/* Puts held entries at their numbers; those that went in are emptied. */
static int64_t place_list(struct process *child, const motor_handle *list, uint32_t n,
                          struct handle_entry *held)
{
    spin_lock(&child->lock);
    int64_t status = child->closed ? -MOTOR_EGONE : 0;
    for (uint32_t i = 0; i < n && status == 0; i++) {
        while (held[i].object && list[i] / HANDLE_LEAF >= child->handles.leaves && status == 0) {
            status = add_leaf(&child->handles);
        }
        struct handle_entry *to = status == 0 ? entry_of(&child->handles, list[i]) : NULL;
        if (held[i].object && to && !to->object) {
            *to = (struct handle_entry){.object = held[i].object,
                                        .rights = held[i].rights & ~HANDLE_KEEP};
            child->handles.used++;
            held[i].object = NULL;
        }
    }
    chain_free(&child->handles);
    spin_unlock(&child->lock);
    return status;
}

int64_t handle_clone(struct process *child, struct process *parent, const motor_handle *user,
                     uint32_t count)
{
    motor_handle list[CLONE_BATCH];
    struct handle_entry held[CLONE_BATCH];
    int64_t status = count > MOTOR_HANDLES_MAX ? -MOTOR_EINVAL : 0;
    for (uint32_t done = 0; done < count && status == 0;) {
        uint32_t n = count - done < CLONE_BATCH ? count - done : CLONE_BATCH;
        if (copy_from_user(list, user + done, n * sizeof(*list)) < 0) {
            return -MOTOR_EFAULT;
        }
        hold_list(parent, list, n, held);
        status = place_list(child, list, n, held);
        for (uint32_t i = 0; i < n; i++) {
            if (held[i].object) {
                object_handle_put(held[i].object);
            }
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
