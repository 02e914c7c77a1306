/* SPDX-License-Identifier: MIT */
/*
 * Names that are asked for again and again: stat() of a path that was asked for a few times takes
 * the attributes from the page that the fs engine keeps of the file, without a call, as long as the
 * engine's count of changed names stands still (struct io_names). When it has moved on, the next
 * stat() is a call, and if that leads to the same file the entry is good again.
 *
 * Only absolute paths; a place for each hash. Whoever does not get the lock at once makes the call.
 */
#include "names.h"

#define NAMES     16u
#define HOT_AFTER 6u

struct name {
    uint32_t hash, length, uid, gid;
    uint32_t uses;    /* calls that could have been saved; as much as it takes to lose the place */
    uint64_t changes; /* of names, when the path was known to lead to page's file */
    const volatile struct io_hot *page; /* NULL: not yet, or none can be had */
    char text[88];
};

struct px_names {
    struct px_mutex lock;
    const volatile struct io_names *page;
    struct name entry[NAMES];
};

static struct px_names *cache(void)
{
    struct px_names *none = NULL, *c = __atomic_load_n(&px_proc()->names, __ATOMIC_ACQUIRE);
    if (c)
        return c;
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
    return !p->from && p->length < sizeof((struct name *)0)->text;
}

static uint32_t hash_of(const struct px_path *p)
{
    uint64_t hash = p->length;
    for (size_t i = 0; i < p->length; i++)
        hash = (hash ^ (uint8_t)p->text[i]) * 0x100000001b3u;
    return (uint32_t)(hash ^ hash >> 32);
}

static bool is_of(const struct name *n, const struct px_path *p, uint32_t hash)
{
    return n->hash == hash && n->length == p->length && n->uid == px_proc()->euid &&
           n->gid == px_proc()->egid && memcmp(n->text, p->text, p->length) == 0;
}

static void forget(struct name *n)
{
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

static bool stat_known(struct px_names *c, const struct px_path *p, struct io_stat *out)
{
    uint32_t hash = hash_of(p);
    struct name *n = &c->entry[hash % NAMES];
    if (!n->page || !is_of(n, p, hash) || n->changes != px_names_changes())
        return false;
    return !n->page->writer && px_hot_attributes(n->page, out) && !n->page->writer;
}

bool px_name_stat(const struct px_path *p, struct io_stat *out)
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
        n->changes = msg.word[0];
    }
    for (uint32_t i = 0; i < msg.nhandles; i++)
        motor_handle_close(msg.handle[i]);
}

static void learn(struct px_names *c, const struct px_path *p, const struct io_stat *st,
                  uint64_t changes)
{
    uint32_t hash = hash_of(p);
    struct name *n = &c->entry[hash % NAMES];
    if (!is_of(n, p, hash)) {
        if (n->uses && --n->uses)
            return;
        forget(n);
        *n = (struct name){.hash = hash,
                           .length = (uint32_t)p->length,
                           .uid = px_proc()->euid,
                           .gid = px_proc()->egid};
        memcpy(n->text, p->text, p->length);
    }
    if (n->page) {
        if (n->page->valid && n->page->stat.ino == st->ino && n->page->stat.dev == st->dev)
            n->changes = changes;
        else
            forget(n);
    } else if (++n->uses == HOT_AFTER) {
        make_hot(c, n, p);
    }
    n->uses = PX_MIN(n->uses, 2 * HOT_AFTER);
}

void px_name_seen(const struct px_path *p, const struct io_stat *st, uint64_t changes)
{
    struct px_names *c = may_be_known(p) ? cache() : NULL;
    if (!c || !px_trylock(&c->lock))
        return;
    learn(c, p, st, changes);
    px_unlock(&c->lock);
}
