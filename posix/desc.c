/* SPDX-License-Identifier: MIT */
/*
 * Open file descriptions: what processes share of a file after fork. They are entries of a table in
 * memory that a fork shares; each counts the processes that have it. A process without relatives
 * has the table in memory of its own, at the same address: most that are started never fork.
 *
 * A process gives its counts back when it ends and when another program takes its place. It does so
 * itself, and only with one thread, for others could still be using them. For one that was killed
 * its parent does, when it has waited for it: a description notes its first few holders by their
 * tags, which are never used again. What is noted is counted, never the other way round, so a
 * process that is killed between the two leaves a count too many. Those of a child whose parent
 * does not wait, and of more holders than can be noted, stay until the whole family is gone.
 *
 * An exec can still fail after that. Then the process takes its counts again, from descriptions
 * that are still the ones it had: `serial` tells. One that everybody else has left meanwhile is
 * made anew.
 */
#include "fd.h"
#include "internal.h"

#define TABLE_BYTES ((uint64_t)PX_DESCS * sizeof(struct px_desc))

#define TAKING  (1u << 31) /* refs: somebody is making it his own */
#define HOLDERS (sizeof((struct px_desc *)0)->holder / sizeof(uint32_t))

/* Where a free one is likely: kept in the first entry, which is never used, for all processes. */
static uint64_t *hint(struct px_file_pool *t)
{
    return &t->descs[0].value;
}

/* Tags given out; and the end of what has ever been used: also there. */
static uint64_t *tags(struct px_file_pool *t)
{
    return &t->descs[0].offset;
}

static uint32_t *used_end(struct px_file_pool *t)
{
    return &t->descs[0].at_server;
}

/* ---- the table ---- */

/* What is asked for next comes right below: its pages and the first of these have one page table.
 */
bool px_descs_prepare(struct px_file_pool *t, const void *near)
{
    int64_t at = motor_map(0, 0, 0, (uint64_t)near - TABLE_BYTES, TABLE_BYTES,
                           MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE);
    if (at < 0)
        return false;
    t->descs = (struct px_desc *)at;
    t->descs[0].refs = 1;
    return true;
}

long px_descs_share(struct px_process *p)
{
    struct px_file_pool *t = p->files->pool;
    if (t->desc_vmo)
        return 0;
    uint64_t used = PX_MAX(*used_end(t), 1u) * sizeof(struct px_desc);
    int64_t vmo = motor_vmo_create(TABLE_BYTES, 0);
    if (vmo < 0)
        return -ENOMEM;
    if (motor_vmo_control((motor_handle)vmo, MOTOR_VMO_WRITE, 0, used, t->descs) != (int64_t)used ||
        motor_map(0, (motor_handle)vmo, 0, (uint64_t)t->descs, TABLE_BYTES,
                  MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_FIXED) < 0) {
        motor_handle_close((motor_handle)vmo);
        return -ENOMEM;
    }
    t->desc_vmo = (motor_handle)vmo;
    return 0;
}

/* ---- descriptions ---- */

uint32_t px_desc_tag(void)
{
    uint32_t tag = (uint32_t)__atomic_add_fetch(tags(px_file_pool()), 1, __ATOMIC_RELAXED);
    return tag ? tag : px_desc_tag();
}

static void note_used(struct px_file_pool *t, uint32_t end)
{
    uint32_t now = __atomic_load_n(used_end(t), __ATOMIC_RELAXED);
    while (now < end && !__atomic_compare_exchange_n(used_end(t), &now, end, false,
                                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static bool take(struct px_desc *d)
{
    uint32_t unused = 0;
    return !__atomic_load_n(&d->refs, __ATOMIC_RELAXED) &&
           __atomic_compare_exchange_n(&d->refs, &unused, TAKING, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

struct px_desc *px_desc_new(uint32_t flags)
{
    struct px_file_pool *t = px_file_pool();
    uint64_t at = __atomic_load_n(hint(t), __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < PX_DESCS; i++, at++) {
        struct px_desc *d = &t->descs[at % PX_DESCS];
        if (at % PX_DESCS == 0 || !take(d))
            continue;
        __atomic_store_n(hint(t), at % PX_DESCS + 1, __ATOMIC_RELAXED);
        d->serial++;
        d->flags = flags;
        d->offset = d->value = 0;
        d->at_server = 0;
        d->lock = 0;
        d->owner = d->signal = 0;
        d->holder[0] = t->tag;
        for (uint32_t h = 1; h < HOLDERS; h++)
            PX_SET(d->holder[h], 0);
        note_used(t, (uint32_t)(at % PX_DESCS) + 1);
        __atomic_store_n(&d->refs, 1, __ATOMIC_RELEASE);
        return d;
    }
    return NULL;
}

static bool change_holder(struct px_desc *d, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < HOLDERS; i++) {
        uint32_t tag = from;
        if (PX_GLANCE(d->holder[i]) == from &&
            __atomic_compare_exchange_n(&d->holder[i], &tag, to, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

static void count_less(struct px_desc *d)
{
    struct px_file_pool *t = px_file_pool();
    uint64_t index = (uint64_t)(d - t->descs);
    if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_RELEASE) == 0 &&
        index < __atomic_load_n(hint(t), __ATOMIC_RELAXED))
        __atomic_store_n(hint(t), index, __ATOMIC_RELAXED);
}

void px_desc_hold(struct px_desc *d, uint32_t tag)
{
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
    change_holder(d, 0, tag);
}

void px_desc_drop(struct px_desc *d, uint32_t tag)
{
    change_holder(d, tag, 0);
    count_less(d);
}

void px_desc_put(struct px_desc *d)
{
    px_desc_drop(d, px_file_pool()->tag);
}

/* ---- children ---- */

void px_descs_child(uint32_t pid)
{
    struct px_file_pool *t = px_file_pool();
    px_lock(&t->lock);
    t->children[t->next_child++ % (sizeof t->children / sizeof t->children[0])] =
        (struct px_desc_child){pid, t->child_tag};
    px_unlock(&t->lock);
}

static uint32_t child_tag_of(struct px_file_pool *t, uint32_t pid)
{
    uint32_t tag = 0;
    px_lock(&t->lock);
    for (uint32_t i = 0; i < sizeof t->children / sizeof t->children[0]; i++)
        if (t->children[i].pid == pid) {
            tag = t->children[i].tag;
            t->children[i].pid = 0;
        }
    px_unlock(&t->lock);
    return tag;
}

void px_descs_child_killed(uint32_t pid)
{
    struct px_file_pool *t = px_file_pool();
    uint32_t tag = child_tag_of(t, pid), end = __atomic_load_n(used_end(t), __ATOMIC_RELAXED);
    for (uint32_t i = 1; tag && i < PX_MIN(end, PX_DESCS); i++)
        if (change_holder(&t->descs[i], tag, 0))
            count_less(&t->descs[i]);
}

/*
 * The lock's word is the holder's pid, so that others can take it over when the holder was killed
 * in a transfer: nobody but they would know.
 */
#define LOCK_WAITED    1u
#define LOCK_LOOK_NS   10000000ull   /* whether the holder lives, at first after so long */
#define LOCK_LOOK_MOST 1000000000ull /* and at last */

static bool holder_is_dead(uint32_t word)
{
    return motor_process_label(word >> 1, MOTOR_LABEL_ALIVE, 0) != 1;
}

static bool change_lock(struct px_desc *d, uint32_t was, uint32_t word)
{
    return __atomic_compare_exchange_n(&d->lock, &was, word, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static void wait_for_lock(struct px_desc *d, uint32_t mine)
{
    uint64_t look = LOCK_LOOK_NS;
    for (;;) {
        uint32_t was = __atomic_load_n(&d->lock, __ATOMIC_RELAXED);
        if (!was && change_lock(d, 0, mine | LOCK_WAITED))
            return;
        if (!was || (!(was & LOCK_WAITED) && !change_lock(d, was, was | LOCK_WAITED)))
            continue;
        was |= LOCK_WAITED;
        long status = px_wait(&d->lock, was, PX_WAIT_SHARED | PX_WAIT_NOINTR, px_now() + look);
        if (status != -ETIMEDOUT)
            continue;
        if (holder_is_dead(was) && change_lock(d, was, mine | LOCK_WAITED))
            return;
        look = PX_MIN(2 * look, LOCK_LOOK_MOST);
    }
}

void px_desc_lock(struct px_desc *d)
{
    uint32_t mine = px_proc()->pid << 1;
    if (!change_lock(d, 0, mine))
        wait_for_lock(d, mine);
}

void px_desc_unlock(struct px_desc *d)
{
    if (__atomic_exchange_n(&d->lock, 0, __ATOMIC_RELEASE) & LOCK_WAITED)
        px_wake(&d->lock, 1, PX_WAIT_SHARED);
}

/* ---- leaving ---- */

static bool is_single(const struct px_process *p)
{
    return p->threads->count == 1;
}

static void leave(struct px_file *f, void *unused)
{
    (void)unused;
    px_desc_put(f->desc);
}

void px_descs_end(struct px_process *p)
{
    if (is_single(p) && p->files->pool->desc_vmo)
        px_files_each_locked(p->files, leave, NULL);
}

struct px_descs_left {
    uint32_t count;
    struct px_desc_left {
        struct px_file *file;
        struct px_desc was;
    } desc[];
};

static void count_file(struct px_file *f, void *count)
{
    (void)f;
    ++*(uint32_t *)count;
}

static void leave_noted(struct px_file *f, void *context)
{
    struct px_descs_left *left = context;
    left->desc[left->count++] = (struct px_desc_left){f, *f->desc};
    px_desc_put(f->desc);
}

struct px_descs_left *px_descs_leave(struct px_process *p)
{
    uint32_t count = 0;
    if (!is_single(p) || !p->files->pool->desc_vmo)
        return NULL;
    px_files_each_locked(p->files, count_file, &count);
    struct px_descs_left *left = px_alloc(sizeof *left + count * sizeof left->desc[0]);
    if (left)
        px_files_each_locked(p->files, leave_noted, left);
    return left;
}

/* A count more in a description that is still the one with this serial number. */
static bool take_again(struct px_desc *d, uint32_t serial)
{
    uint32_t refs = __atomic_load_n(&d->refs, __ATOMIC_ACQUIRE);
    do {
        if (!refs || refs & TAKING || __atomic_load_n(&d->serial, __ATOMIC_RELAXED) != serial)
            return false;
    } while (!__atomic_compare_exchange_n(&d->refs, &refs, refs + 1, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    if (__atomic_load_n(&d->serial, __ATOMIC_RELAXED) == serial) {
        change_holder(d, 0, px_file_pool()->tag);
        return true;
    }
    count_less(d);
    return false;
}

static struct px_desc *make_again(const struct px_desc *was)
{
    struct px_desc *d = px_desc_new(was->flags);
    if (!d)
        px_fatal("no open file descriptions are left");
    d->offset = was->offset;
    d->value = was->value;
    d->at_server = was->at_server;
    d->owner = was->owner;
    d->signal = was->signal;
    return d;
}

void px_descs_return(struct px_descs_left *left)
{
    for (uint32_t i = 0; left && i < left->count; i++) {
        struct px_desc_left *l = &left->desc[i];
        if (!take_again(l->file->desc, l->was.serial))
            l->file->desc = make_again(&l->was);
    }
    px_free(left);
}
