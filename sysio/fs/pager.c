/* SPDX-License-Identifier: MIT */
/*
 * Files on disks as memory objects. A file that is mapped, executed or read without calls keeps its
 * pages in a paged object (MOTOR_VMO_PAGED), which the engine has mapped too; a fault on an absent
 * page comes as a call on the object's gate, and is answered by ext4_fault().
 *
 * While programs use the object, it holds a reference to its node: a file that was closed, or even
 * removed, stays as long as it is mapped. The kernel tells when the last mapping goes. Then the
 * object stays with the node, as cache, until the node is forgotten.
 */
#include "pager.h"
#include "disk.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE        MOTOR_PAGE_SIZE
#define ROOM_MIN    (1ull << 20)
#define SIZE_LIMIT  (1ull << 44)
#define PAGER_BADGE (1ull << 63) /* else the badge is that of the table below */
#define RECLAIM     3000u        /* badge of the gate for memory; not in a table */
#define RECLAIM_LOW 512u         /* pages given back each time memory is said to be short */

struct pager {
    struct ext4_store store; /* first */
    struct ext4_node *node;
    motor_handle vmo;
    uint64_t badge;
    uint8_t *base; /* where it is mapped here: `room` bytes, more than the file has */
    uint64_t room;
    uint64_t size;        /* of the object: more than the file's, after it has grown */
    bool used;            /* holds a reference to the node */
    bool writable;        /* used, by somebody who may write */
    uint32_t errors_seen; /* by MOTOR_PAGER_SYNC, for whose caller there is no open file */
};

static struct badge_table pagers;

static struct pager *of(struct ext4_store *s)
{
    return (struct pager *)s;
}

/* ---- the store ---- */

static int control(struct pager *p, uint32_t op, uint64_t index, uint64_t length, const void *page)
{
    int64_t status = motor_vmo_control(p->vmo, op, index * PAGE, length, (void *)(uintptr_t)page);
    return status < 0 ? (int)to_errno(status) : 0;
}

static int supply(struct ext4_store *s, uint64_t index, const void *pages, uint64_t count)
{
    return control(of(s), MOTOR_VMO_SUPPLY, index, count * PAGE, pages);
}

static int prepare(struct ext4_store *s, uint64_t index, uint64_t count, uint64_t *addresses)
{
    int64_t got =
        motor_vmo_control(of(s)->vmo, MOTOR_VMO_PREPARE, index * PAGE, count * PAGE, addresses);
    return got < 0 ? 0 : (int)got;
}

static void filled(struct ext4_store *s, uint64_t index, uint64_t count)
{
    control(of(s), MOTOR_VMO_FILLED, index, count * PAGE, NULL);
}

static void evict(struct ext4_store *s, uint64_t index, uint64_t count)
{
    control(of(s), MOTOR_VMO_DECOMMIT, index, count * PAGE, NULL);
}

static uint8_t *at(struct ext4_store *s, uint64_t index)
{
    return of(s)->base + index * PAGE;
}

static void allow(struct ext4_store *s, uint64_t index)
{
    control(of(s), MOTOR_VMO_ALLOW, index, PAGE, NULL);
}

static void clean(struct ext4_store *s, uint64_t index)
{
    control(of(s), MOTOR_VMO_CLEAN, index, PAGE, NULL);
}

/* Mapped anew with twice the room, which costs nothing but addresses. */
static int reserve(struct ext4_store *s, uint64_t size)
{
    struct pager *p = of(s);
    uint64_t room = ROOM_MIN;
    if (size <= p->room)
        return 0;
    if (size > SIZE_LIMIT)
        return -ENOMEM;
    while (room < size * 2)
        room *= 2;
    int64_t base =
        motor_map(0, p->vmo, 0, 0, room, MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PAGER);
    if (base < 0)
        return -ENOMEM;
    if (p->room)
        motor_unmap(0, (uint64_t)p->base, p->room);
    p->base = (uint8_t *)base;
    p->room = room;
    return 0;
}

static void resize(struct ext4_store *s, uint64_t size)
{
    struct pager *p = of(s);
    p->size = (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    control(p, MOTOR_VMO_RESIZE, 0, p->size, NULL);
}

/* With some room, so that an append need not change the object. */
static void grow(struct ext4_store *s, uint64_t size)
{
    struct pager *p = of(s);
    uint64_t roomy = size + size / 4;
    if (size > p->size)
        resize(s, roomy < p->room ? roomy : size);
}

static void pager_free(struct pager *p)
{
    if (p->room)
        motor_unmap(0, (uint64_t)p->base, p->room);
    if (p->vmo)
        motor_handle_close(p->vmo);
    if (p->badge)
        badge_remove(&pagers, p->badge);
    free(p);
}

/* Programs that have it mapped still find nothing behind its end. */
static void destroy(struct ext4_store *s)
{
    resize(s, 0);
    pager_free(of(s));
}

static const struct ext4_store_ops ops = {
    .supply = supply,
    .prepare = prepare,
    .filled = filled,
    .evict = evict,
    .at = at,
    .allow = allow,
    .clean = clean,
    .reserve = reserve,
    .resize = resize,
    .grow = grow,
    .destroy = destroy,
};

/* ---- objects ---- */

static int pager_bind(struct pager *p)
{
    int64_t vmo = motor_vmo_create(0, MOTOR_VMO_PAGED);
    if (vmo < 0)
        return -ENOMEM;
    p->vmo = (motor_handle)vmo;
    p->badge = badge_add(&pagers, p);
    int64_t gate = p->badge ? engine_gate(&fs_engine, PAGER_BADGE | p->badge) : -ENOMEM;
    if (gate < 0)
        return -ENOMEM;
    int64_t status = motor_bind(p->vmo, (motor_handle)gate);
    motor_handle_close((motor_handle)gate);
    return status < 0 ? -ENOMEM : 0;
}

static int pager_make(struct ext4_node *n, struct pager **out)
{
    struct pager *p = memory_low() ? NULL : calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->store.ops = &ops;
    p->node = n;
    p->errors_seen = ext4_errors_seen(n);
    int error = pager_bind(p);
    if (!error)
        error = ext4_share(n, &p->store);
    if (error)
        pager_free(p);
    *out = p;
    return error;
}

int pager_object(struct ext4_node *n, bool writable, motor_handle *vmo)
{
    struct ext4_store *s = ext4_store(n);
    struct pager *p = s ? of(s) : NULL;
    int error = p ? 0 : pager_make(n, &p);
    if (error == -EBUSY && ext4_store(n)) { /* somebody made one while we waited */
        p = of(ext4_store(n));
        error = 0;
    }
    if (error)
        return error;
    if (!p->used) {
        p->used = true;
        ext4_get(n);
    }
    p->writable |= writable;
    *vmo = p->vmo;
    return 0;
}

static void let_go(struct pager *p)
{
    if (p->used && motor_vmo_control(p->vmo, MOTOR_VMO_USERS, 0, 0, NULL) == 0) {
        p->used = p->writable = false;
        ext4_put(p->node);
    }
}

void pagers_sweep(void)
{
    for (uint32_t i = 0; i < pagers.size; i++)
        if (pagers.slots[i].object)
            let_go(pagers.slots[i].object);
}

bool pagers_use(const struct ext4 *fs, bool writable)
{
    for (uint32_t i = 0; i < pagers.size; i++) {
        const struct pager *p = pagers.slots[i].object;
        if (p && (writable ? p->writable : p->used) && ext4_of(p->node) == fs)
            return true;
    }
    return false;
}

/* ---- messages ---- */

static int64_t status_of(int error)
{
    return !error ? 0 : error == -ENOMEM ? -MOTOR_ENOMEM : -MOTOR_EGONE;
}

static int64_t pager_call(struct pager *p, const struct motor_event *ev)
{
    uint64_t index = ev->word[0] / PAGE;
    bool write = ev->word[1];
    if (ev->op == MOTOR_PAGER_SYNC)
        return status_of(ext4_datasync(p->node, &p->errors_seen));
    if (ev->op != MOTOR_PAGER_FETCH)
        return -MOTOR_ENOSYS;
    int error = ext4_fault(p->node, index, write);
    if (write)
        disk_refresh_node(p->node);
    return status_of(error);
}

static void pager_message(struct motor_event *ev)
{
    struct pager *p = badge_get(&pagers, ev->badge & ~PAGER_BADGE);
    if (ev->kind == MOTOR_EVENT_NOTIFY && p) {
        let_go(p);
        mounts_settle();
    }
    if (ev->kind != MOTOR_EVENT_CALL)
        return;
    if (!p) {
        engine_reply(&fs_engine, ev->token, -MOTOR_EGONE);
        return;
    }
    ext4_get(p->node); /* it may have to wait */
    struct ext4_node *n = p->node;
    int64_t status = pager_call(p, ev);
    hot_publish();
    engine_reply(&fs_engine, ev->token, status);
    ext4_put(n);
}

/* A page that is to be read: nothing of the file changes. */
static bool reads(const struct motor_event *ev)
{
    return ev->kind == MOTOR_EVENT_CALL && ev->op == MOTOR_PAGER_FETCH && !ev->word[1];
}

static void reclaim_message(struct motor_event *ev)
{
    bool asked = ev->kind == MOTOR_EVENT_CALL;
    uint32_t got = disks_reclaim(asked ? (uint32_t)ev->word[0] : RECLAIM_LOW);
    if (asked)
        engine_reply(&fs_engine, ev->token, got);
}

bool pager_event(struct motor_event *ev)
{
    if (ev->badge == RECLAIM)
        work_add(ev, reclaim_message);
    else if (!(ev->badge & PAGER_BADGE))
        return false;
    else if (!reads(ev) || !work_beside(ev, pager_message))
        work_add(ev, pager_message);
    return true;
}

void pagers_init(void)
{
    static bool done;
    int64_t gate = done ? -1 : engine_gate(&fs_engine, RECLAIM);
    done = true;
    if (gate >= 0)
        motor_process_set(0, MOTOR_PSET_RECLAIM, (uint64_t)gate);
}
