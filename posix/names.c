/* SPDX-License-Identifier: MIT */
/*
 * Names that are asked for again and again: stat() of a path that was asked for a few times takes
 * the attributes from the page that the fs engine keeps of the file, without a call, as long as the
 * engine's count of changed names stands still (struct io_names). When it has moved on, the next
 * stat() is a call, and if that leads to the same file the entry is good again.
 *
 * Only absolute paths; a place for each hash. Whoever does not get the lock at once makes the call.
 *
 * Kept files. When the last descriptor of a file goes that was opened for reading by such a name,
 * its handle stays here, and the next open() of the name takes it, without a call: for as long as
 * the count of names stands still, the engine would have said the same. They are given up as soon
 * as the count is seen to have moved: by a call with a path, or before this process waits for
 * events. So a file without a name may live a little longer; all together have a limit.
 * Each open is a description of its own; a file whose description other processes have, or had, is
 * not kept.
 */
#include "names.h"

#define NAMES      16u
#define HOT_AFTER  6u
#define KEEP_SHARE 64u /* of memory: what all kept files of a process may have together */
#define PAUSE      8u  /* closes of a name until it is kept again, after it was kept for nothing */

struct name {
    uint32_t hash, length, uid, gid;
    uint64_t groups;
    uint32_t uses;    /* calls that could have been saved; as much as it takes to lose the place */
    uint64_t changes; /* of names, when the path was known to lead to page's file */
    const volatile struct io_hot *page; /* NULL: not yet, or none can be had */
    /* [lock] kept */
    uint32_t stamp;      /* of this path, user and page: what was opened by them */
    motor_handle handle; /* 0: none */
    struct px_hot *hot;  /* of its bytes; NULL: none yet */
    uint32_t hot_uses, pause;
    uint64_t size; /* when it was kept */
    char text[88];
};

struct px_names {
    struct px_mutex lock;
    const volatile struct io_names *page;
    uint32_t stamps;  /* given out */
    uint32_t kept;    /* [atomic] entries with a handle */
    uint64_t kept_at; /* [atomic] what the count of changes was for all of them */
    uint64_t kept_size;
    struct name entry[NAMES];
};

/* What a fork has left: its handles and mappings have stayed behind. NULL: nothing that is whole.
 */
static struct px_names *take_inherited(void)
{
    struct px_names *c = __atomic_exchange_n(&px_proc()->names_inherited, NULL, __ATOMIC_ACQ_REL);
    if (!c || c->lock.word) /* another thread of the parent was changing it */
        return NULL;
    for (uint32_t i = 0; i < NAMES; i++) {
        px_hot_free(c->entry[i].hot);
        c->entry[i].handle = 0;
        c->entry[i].hot = NULL;
    }
    c->kept_size = c->kept = 0;
    return c;
}

static struct px_names *cache(void)
{
    struct px_names *none = NULL, *c = __atomic_load_n(&px_proc()->names, __ATOMIC_ACQUIRE);
    if (c)
        return c;
    c = take_inherited();
    if (!c)
        c = px_alloc(sizeof *c);
    if (c && !__atomic_compare_exchange_n(&px_proc()->names, &none, c, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE)) {
        px_free(c);
        c = none;
    }
    return c;
}

static bool may_be_known(const struct px_path *p)
{
    return !p->from && p->length < sizeof((struct name *)0)->text && !px_self()->has_fs_ids;
}

static uint32_t compute_hash(const struct px_path *p)
{
    uint64_t hash = p->length, word = 0;
    size_t i = 0;
    for (; i + sizeof word <= p->length; i += sizeof word) {
        memcpy(&word, p->text + i, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    for (; i < p->length; i++)
        hash = (hash ^ (uint8_t)p->text[i]) * 0x100000001b3u;
    return (uint32_t)(hash ^ hash >> 32) | 1;
}

static uint32_t hash_of(struct px_path *p)
{
    if (!p->hash)
        p->hash = compute_hash(p);
    return p->hash;
}

static struct name *place_of(struct px_names *c, uint32_t hash)
{
    return &c->entry[hash >> 16 & (NAMES - 1)];
}

static bool is_of(const struct name *n, const struct px_path *p, uint32_t hash)
{
    return n->hash == hash && n->length == p->length && n->uid == px_proc()->euid &&
           n->gid == px_proc()->egid && n->groups == px_proc()->groups &&
           memcmp(n->text, p->text, p->length) == 0;
}

static void drop_kept(struct px_names *c, struct name *n)
{
    if (!n->handle)
        return;
    motor_handle_close(n->handle);
    px_hot_free(n->hot);
    n->handle = 0;
    n->hot = NULL;
    n->pause = PAUSE;
    c->kept_size -= n->size;
    PX_SET(c->kept, c->kept - 1);
}

static void drop_all_kept(struct px_names *c)
{
    for (uint32_t i = 0; i < NAMES && c->kept; i++)
        drop_kept(c, &c->entry[i]);
}

static void forget(struct px_names *c, struct name *n)
{
    drop_kept(c, n);
    n->stamp = 0;
    if (n->page)
        motor_unmap(0, (uint64_t)n->page, 4096);
    n->page = NULL;
    n->uses = 0;
}

uint64_t px_names_changes(void)
{
    struct px_names *c = __atomic_load_n(&px_proc()->names, __ATOMIC_ACQUIRE);
    const volatile struct io_names *page = c ? __atomic_load_n(&c->page, __ATOMIC_ACQUIRE) : NULL;
    return page ? __atomic_load_n(&page->changes, __ATOMIC_ACQUIRE) : 0;
}

static bool stat_known(struct px_names *c, struct px_path *p, struct io_stat *out)
{
    uint32_t hash = hash_of(p);
    struct name *n = place_of(c, hash);
    if (!n->page || !is_of(n, p, hash) || n->changes != px_names_changes())
        return false;
    return !px_hot_is_written(n->page) && px_hot_attributes(n->page, out) &&
           !px_hot_is_written(n->page);
}

bool px_name_stat(struct px_path *p, struct io_stat *out)
{
    struct px_names *c = __atomic_load_n(&px_proc()->names, __ATOMIC_ACQUIRE);
    if (!c || !may_be_known(p) || !px_trylock(&c->lock))
        return false;
    bool known = stat_known(c, p, out);
    px_unlock(&c->lock);
    return known;
}

/* ---- learning ---- */

static const volatile void *map_page(motor_handle vmo)
{
    int64_t at = motor_map(0, vmo, 0, 0, 4096, MOTOR_PROT_READ);
    return at < 0 ? NULL : (const volatile void *)at;
}

static void make_hot(struct px_names *c, struct name *n, const struct px_path *p)
{
    struct motor_msg msg = {
        .op = IO_HOT, .in = p->text, .in_size = p->length, .deadline = MOTOR_NEVER};
    if (px_call(p->base, &msg) == 0 && msg.nhandles == 2) {
        if (!c->page)
            __atomic_store_n(&c->page, (const volatile struct io_names *)map_page(msg.handle[1]),
                             __ATOMIC_RELEASE);
        if (c->page)
            n->page = (const volatile struct io_hot *)map_page(msg.handle[0]);
        n->stamp = ++c->stamps;
        n->changes = msg.word[0];
    }
    for (uint32_t i = 0; i < msg.nhandles; i++)
        motor_handle_close(msg.handle[i]);
}

/* The entry, if it is known to lead to what `st` is of. [lock] */
static struct name *learn(struct px_names *c, struct px_path *p, const struct io_stat *st,
                          uint64_t changes)
{
    uint32_t hash = hash_of(p);
    struct name *n = place_of(c, hash);
    if (!is_of(n, p, hash)) {
        if (n->uses && --n->uses)
            return NULL;
        forget(c, n);
        *n = (struct name){.hash = hash,
                           .length = (uint32_t)p->length,
                           .uid = px_proc()->euid,
                           .gid = px_proc()->egid,
                           .groups = px_proc()->groups};
        memcpy(n->text, p->text, p->length);
    }
    if (n->page) {
        if (n->page->valid && n->page->stat.ino == st->ino && n->page->stat.dev == st->dev)
            n->changes = changes;
        else
            forget(c, n);
    } else if (++n->uses == HOT_AFTER) {
        make_hot(c, n, p);
    }
    n->uses = PX_MIN(n->uses, 2 * HOT_AFTER);
    return n->page && n->changes == changes ? n : NULL;
}

void px_name_seen(struct px_path *p, const struct io_stat *st, uint64_t changes)
{
    struct px_names *c = may_be_known(p) ? cache() : NULL;
    if (!c || !px_trylock(&c->lock))
        return;
    learn(c, p, st, changes);
    px_unlock(&c->lock);
}

/* ---- kept files ---- */

/* The entry that the path and this user have, if it still leads where it led. [lock] */
static struct name *valid_entry(struct px_names *c, struct px_path *p)
{
    uint32_t hash = hash_of(p);
    struct name *n = place_of(c, hash);
    return n->page && n->changes == px_names_changes() && is_of(n, p, hash) ? n : NULL;
}

void px_names_settle(void)
{
    struct px_names *c = __atomic_load_n(&px_proc()->names, __ATOMIC_ACQUIRE);
    if (!c || !PX_GLANCE(c->kept) || PX_GLANCE(c->kept_at) == px_names_changes() ||
        !px_trylock(&c->lock))
        return;
    drop_all_kept(c);
    px_unlock(&c->lock);
}

/* A file that is marked as opened by this entry. */
static struct px_file *file_of(struct px_names *c, struct name *n, uint32_t status)
{
    struct io_stat st = {.mode = n->page->stat.mode, .flags = n->page->stat.flags};
    struct px_file *f = px_file_from_handle(n->handle, MOTOR_FD_FILE, status, &st);
    if (f) {
        f->file.hot = n->hot;
        f->file.uses = n->hot_uses;
        f->file.place = (uint32_t)(n - c->entry);
        f->file.stamp = n->stamp;
    } else {
        px_hot_free(n->hot);
    }
    n->handle = 0;
    n->hot = NULL;
    c->kept_size -= n->size;
    PX_SET(c->kept, c->kept - 1);
    return f;
}

struct px_file *px_name_open(struct px_path *p, uint32_t status)
{
    struct px_names *c = __atomic_load_n(&px_proc()->names, __ATOMIC_ACQUIRE);
    struct px_file *f = NULL;
    px_names_settle();
    if (!c || !PX_GLANCE(c->kept) || !may_be_known(p) || px_proc()->vfork || !px_trylock(&c->lock))
        return NULL;
    struct name *n = valid_entry(c, p);
    if (n && n->handle)
        f = file_of(c, n, status);
    px_unlock(&c->lock);
    return f;
}

void px_name_opened(struct px_file *f, struct px_path *p, const struct io_stat *st,
                    uint64_t changes)
{
    struct px_names *c =
        may_be_known(p) && f->kind == PX_FILE && !px_proc()->vfork ? cache() : NULL;
    if (!c || !px_trylock(&c->lock))
        return;
    const struct name *n = learn(c, p, st, changes);
    if (n) {
        f->file.place = (uint32_t)(n - c->entry);
        f->file.stamp = n->stamp;
    }
    px_unlock(&c->lock);
}

/* [lock] */
static bool keep(struct px_names *c, struct px_file *f)
{
    struct name *n = &c->entry[f->file.place];
    uint64_t changes = px_names_changes(), room = px_kinfo()->memory_total / KEEP_SHARE;
    if (c->kept_at != changes)
        drop_all_kept(c);
    if (n->stamp != f->file.stamp || n->handle || n->changes != changes || !n->page->valid ||
        (n->pause && n->pause--))
        return false;
    n->size = (uint64_t)n->page->stat.size;
    if (n->size > room - PX_MIN(room, c->kept_size))
        return false;
    c->kept_size += n->size;
    n->handle = f->handle;
    n->hot = f->file.hot;
    n->hot_uses = f->file.uses;
    PX_SET(c->kept_at, changes);
    PX_SET(c->kept, c->kept + 1);
    f->handle = 0;
    f->file.hot = NULL;
    return true;
}

bool px_name_keep(struct px_file *f)
{
    struct px_names *c = __atomic_load_n(&px_proc()->names, __ATOMIC_ACQUIRE);
    bool alone = PX_GLANCE(f->desc->refs) == 1 && !f->desc->at_server && !px_proc()->vfork;
    if (!f->file.stamp || !alone || !c || !px_trylock(&c->lock))
        return false;
    bool kept = keep(c, f);
    px_unlock(&c->lock);
    return kept;
}

/* Put aside until the child asks for a name, for most never do: writing there would copy pages. */
void px_names_forked(struct px_process *p)
{
    if (p->names)
        p->names_inherited = p->names;
    p->names = NULL;
}

void px_names_drop(void)
{
    /* whoever does not get the lock makes the call: for a child that runs in its parent's memory */
    static struct px_names nobodys = {.lock = {1}};
    struct px_process *p = px_proc();
    struct px_names *c = __atomic_load_n(&p->names, __ATOMIC_ACQUIRE);
    if (p->vfork) {
        p->names = &nobodys;
        return;
    }
    __atomic_store_n(&p->names_inherited, NULL, __ATOMIC_RELAXED);
    if (!c)
        return;
    px_lock(&c->lock);
    for (uint32_t i = 0; i < NAMES; i++) {
        forget(c, &c->entry[i]);
        c->entry[i].hash = 0;
    }
    px_unlock(&c->lock);
}
