/* SPDX-License-Identifier: MIT */
/*
 * The kernel's memory code against a model. The model is an array: for each page of a few windows
 * of addresses, what is mapped there and what its words are. Operations are drawn at random over
 * several address spaces and objects: map, unmap, protect, remap, advise, fork, exit, loads and
 * stores of a CPU, copies by the kernel, and the objects' resize, decommit and write. Each is first
 * made to fail at its first allocation, then at its second, until it needs no more, and must have
 * changed nothing each time. In the kernel's preemption points other "threads" load and store, and
 * objects lose pages. After a number of rounds everything is counted anew (check.c); in the end
 * everything goes, and all frames must be back.
 *
 * The windows lie across the borders of tables of all levels.
 *
 * memory_model [ROUNDS [SEED]]
 */
#include "host.h"
#include "object.h"

#include <string.h>

#define RAM          (512ull << 20)
#define WINDOWS      4u
#define WINDOW_PAGES 1536u
#define PAGES        (WINDOWS * WINDOW_PAGES)
#define SPACES       6u
#define OBJECTS      5u
#define OBJECT_PAGES 700u
#define WORDS        4u

static const uint64_t window[WINDOWS] = {
    (1ull << 39) - (3ull << 20), /* tables of all levels end here */
    (5ull << 30) - (3ull << 20), /* a directory ends */
    (7ull << 30) + (64ull << 20) + PAGE_SIZE,
    ASPACE_END - WINDOW_PAGES *PAGE_SIZE, /* beside the tables of the kernel's page */
};
static const uint64_t word_at[WORDS] = {0, 8, 2048, PAGE_SIZE - 8};

enum kind { NONE, ANONYMOUS, PRIVATE, SHARED };

struct page {
    uint8_t kind, prot, max, object;
    bool nofork, wipefork;
    bool written; /* PRIVATE: has words of its own */
    uint32_t at;  /* PRIVATE, SHARED: page of the object */
    uint64_t word[WORDS];
};

struct space {
    struct aspace *as; /* NULL: none */
    struct page page[PAGES];
};

struct object_model {
    struct vmo *v;
    uint32_t pages; /* its size */
    uint64_t word[OBJECT_PAGES][WORDS];
};

static struct space spaces[SPACES];
static struct object_model objects[OBJECTS];
static struct account payer = {.refs = 1, .limit = MOTOR_NEVER}; /* of objects[0] to [2] */
/* what the operation under way may have changed halfway: not looked at meanwhile */
static const struct space *busy;
static const struct object_model *busy_object;

/* ---- addresses ---- */

static uint64_t address_of(uint32_t page)
{
    return window[page / WINDOW_PAGES] + page % WINDOW_PAGES * PAGE_SIZE;
}

static uint32_t page_of(uint64_t address) /* PAGES: in no window */
{
    for (uint32_t w = 0; w < WINDOWS; w++) {
        if (address >= window[w] && address < window[w] + WINDOW_PAGES * PAGE_SIZE) {
            return w * WINDOW_PAGES + (uint32_t)((address - window[w]) / PAGE_SIZE);
        }
    }
    return PAGES;
}

static uint32_t window_end(uint32_t page)
{
    return (page / WINDOW_PAGES + 1) * WINDOW_PAGES;
}

/* A range within a window: mostly short, sometimes aligned to tables, sometimes all of it. */
static void draw_range(uint32_t *first, uint32_t *count)
{
    uint32_t page = (uint32_t)below(PAGES);
    uint32_t most = (uint32_t[]){1, 8, 64, 600, WINDOW_PAGES}[below(5)];
    if (below(4) == 0) {
        uint64_t a = address_of(page) & ~(LARGE_SIZE - 1);
        page = page_of(a) < PAGES ? page_of(a) : page;
        most = below(2) ? 512 : 1024;
        *first = page;
        *count = most;
    } else {
        *first = page;
        *count = 1 + (uint32_t)below(most);
    }
    *count = *first + *count > window_end(page) ? window_end(page) - *first : *count;
}

static struct space *draw_space(void)
{
    struct space *s;
    do {
        s = &spaces[below(SPACES)];
    } while (!s->as);
    return s;
}

/* ---- loads and stores ---- */

static uint64_t *object_word(const struct page *p, uint32_t word)
{
    return p->at < objects[p->object].pages ? &objects[p->object].word[p->at][word] : NULL;
}

/* The word that a load sees; or NULL and the status that a fault ends with. */
static uint64_t *seen_word(struct page *p, uint32_t word, int64_t *status)
{
    *status = p->kind == NONE ? -MOTOR_ENOENT : !p->prot ? -MOTOR_EACCESS : -MOTOR_EGONE;
    if (p->kind == NONE || !p->prot) {
        return NULL;
    }
    return p->kind == ANONYMOUS || p->written ? &p->word[word] : object_word(p, word);
}

static void model_store(struct page *p, uint32_t word, uint64_t value)
{
    if (p->kind == PRIVATE && !p->written) {
        memcpy(p->word, objects[p->object].word[p->at], sizeof(p->word));
        p->written = true;
    }
    *(p->kind == SHARED ? object_word(p, word) : &p->word[word]) = value;
}

static void load(struct space *s, uint32_t page, uint32_t word)
{
    int64_t wanted;
    uint64_t got = 0, *value = seen_word(&s->page[page], word, &wanted);
    int64_t status = mmu_load(s->as, address_of(page) + word_at[word], &got);
    if (injected() && status == -MOTOR_ENOMEM) {
        return;
    }
    REQUIRE(status == (value ? 0 : wanted));
    REQUIRE(!value || got == *value);
}

static void store(struct space *s, uint32_t page, uint32_t word, uint64_t value)
{
    int64_t wanted;
    struct page *p = &s->page[page];
    bool ok = seen_word(p, word, &wanted);
    if (p->kind != NONE && !(p->prot & MOTOR_PROT_WRITE)) {
        ok = false;
        wanted = -MOTOR_EACCESS;
    }
    int64_t status = mmu_store(s->as, address_of(page) + word_at[word], value);
    if (injected() && status == -MOTOR_ENOMEM) {
        return;
    }
    REQUIRE(status == (ok ? 0 : wanted));
    if (ok) {
        model_store(p, word, value);
    }
}

static void touch(struct space *s, uint32_t page)
{
    uint32_t word = (uint32_t)below(WORDS);
    if (below(8) == 0) {
        inject(1 + below(4));
    }
    if (below(2)) {
        load(s, page, word);
    } else {
        store(s, page, word, draw());
    }
}

/* In order, as programs fill memory: batches and large pages. */
static void touch_range(struct space *s)
{
    uint32_t first, count;
    bool write = below(2);
    draw_range(&first, &count);
    for (uint32_t i = first; i < first + count; i++) {
        if (write) {
            store(s, i, 0, draw());
        } else {
            load(s, i, 0);
        }
    }
}

/* A range as the kernel copies it: whole words at one place of each page. */
static void kernel_copy(struct space *s)
{
    int64_t wanted;
    uint64_t value = draw(), got = 0;
    uint32_t page = (uint32_t)below(PAGES), word = (uint32_t)below(WORDS);
    struct page *p = &s->page[page];
    uint64_t *seen = seen_word(p, word, &wanted), address = address_of(page) + word_at[word];
    bool write = below(2), ok = seen && (!write || (p->prot & MOTOR_PROT_WRITE));
    if (below(8) == 0) {
        inject(1 + below(4));
    }
    int64_t n =
        write ? aspace_write(s->as, address, &value, 8) : aspace_read(s->as, address, &got, 8);
    if (injected() && n == -MOTOR_ENOMEM) {
        return;
    }
    REQUIRE(n == (ok ? 8 : -MOTOR_EFAULT));
    if (ok && write) {
        model_store(p, word, value);
    } else if (ok) {
        REQUIRE(got == *seen);
    }
}

static void copy_between(struct space *s)
{
    int64_t status;
    struct space *t = draw_space();
    uint32_t from = (uint32_t)below(PAGES), to = (uint32_t)below(PAGES);
    uint32_t word = (uint32_t)below(WORDS);
    struct page *p = &t->page[to];
    uint64_t *seen = seen_word(&s->page[from], word, &status);
    bool ok = seen && seen_word(p, word, &status) && (p->prot & MOTOR_PROT_WRITE);
    int64_t n = aspace_copy(t->as, address_of(to) + word_at[word], s->as,
                            address_of(from) + word_at[word], 8);
    REQUIRE(n == (ok ? 8 : -MOTOR_EFAULT));
    if (ok) {
        model_store(p, word, *seen);
    }
}

/* ---- objects ---- */

static void object_store(void)
{
    uint32_t k = (uint32_t)below(OBJECTS), page = (uint32_t)below(OBJECT_PAGES);
    uint32_t word = (uint32_t)below(WORDS);
    struct object_model *o = &objects[k];
    uint64_t value = draw(), got = 0;
    if (o == busy_object) {
        return;
    }
    int64_t n = below(2) ? vmo_write(o->v, page * PAGE_SIZE + word_at[word], &value, 8) : -1;
    if (n == 8) {
        o->word[page][word] = value;
    }
    REQUIRE(n == (page < o->pages ? 8 : 0) || n == -1);
    n = vmo_read(o->v, page * PAGE_SIZE + word_at[word], &got, 8);
    REQUIRE(n == (page < o->pages ? 8 : 0) && (!n || got == o->word[page][word]));
}

static void object_decommit(void)
{
    struct object_model *o = &objects[below(OBJECTS)];
    uint32_t first = (uint32_t)below(o->pages + 1), count = (uint32_t)below(o->pages - first + 1);
    if (o == busy_object) {
        return;
    }
    const struct object_model *was = busy_object;
    busy_object = o;
    REQUIRE(vmo_decommit(o->v, first * PAGE_SIZE, count * PAGE_SIZE) == 0);
    busy_object = was;
    memset(o->word[first], 0, count * sizeof(o->word[0]));
}

static void object_resize(void)
{
    struct object_model *o = &objects[below(OBJECTS)];
    uint32_t pages = below(4) ? OBJECT_PAGES : 1 + (uint32_t)below(OBJECT_PAGES);
    if (o == busy_object) {
        return;
    }
    const struct object_model *was = busy_object;
    busy_object = o;
    REQUIRE(vmo_resize(o->v, pages * PAGE_SIZE) == 0);
    busy_object = was;
    if (pages < o->pages) {
        memset(o->word[pages], 0, (o->pages - pages) * sizeof(o->word[0]));
    }
    o->pages = pages;
}

static void object_operation(void)
{
    switch (below(8)) {
    case 0:
        object_decommit();
        break;
    case 1:
        object_resize();
        break;
    default:
        object_store();
    }
}

/* ---- other threads, at preemption points ---- */

static void others(void)
{
    const char *was = host_doing;
    host_doing = "another thread";
    for (uint64_t n = below(3); n; n--) {
        struct space *s = draw_space();
        uint32_t page = (uint32_t)below(PAGES);
        const struct page *p = &s->page[page];
        bool changes = p->kind > ANONYMOUS && &objects[p->object] == busy_object;
        if (below(3) == 0) {
            object_operation();
        } else if (s != busy && !changes) {
            touch(s, page);
        }
    }
    host_doing = was;
}

/* ---- the calls ---- */

/*
 * Tries an operation with its first, second, ... allocation failing, until it needs none that
 * fails; gives its result then. A failed one has changed nothing: the model, which is unchanged,
 * goes on to be compared.
 */
#define WITH_FAILURES(result, call) \
    do { \
        bool inject_here = below(3) == 0; \
        for (uint64_t n = 1;; n++) { \
            inject(inject_here ? n : 0); \
            result = (call); \
            if (!injected()) { \
                break; \
            } \
            if (result != -MOTOR_ENOMEM) { /* it could do without */ \
                break; \
            } \
        } \
    } while (0)

static uint32_t draw_prot(void)
{
    static const uint32_t prots[] = {0,
                                     MOTOR_PROT_READ,
                                     MOTOR_PROT_READ | MOTOR_PROT_WRITE,
                                     MOTOR_PROT_READ | MOTOR_PROT_WRITE,
                                     MOTOR_PROT_READ | MOTOR_PROT_WRITE,
                                     MOTOR_PROT_READ | MOTOR_PROT_EXEC};
    return prots[below(6)];
}

static void map(struct space *s)
{
    uint32_t first, count, prot = draw_prot(), flags = 0, rights = MOTOR_PROT_MASK;
    enum kind kind = (enum kind)(1 + below(3));
    uint32_t object = (uint32_t)below(OBJECTS), at = (uint32_t)below(OBJECT_PAGES);
    bool stack = kind == ANONYMOUS && below(8) == 0, replace = below(3);
    draw_range(&first, &count);
    flags |= kind == PRIVATE ? MOTOR_MAP_PRIVATE : 0;
    flags |= below(10) == 0 ? MOTOR_MAP_NOFORK : 0;
    flags |= kind == ANONYMOUS && below(10) == 0 ? MOTOR_MAP_WIPEFORK : 0;
    flags |= kind != PRIVATE && below(10) == 0 ? MOTOR_MAP_POPULATE : 0;
    flags |= stack ? MOTOR_MAP_STACK : 0;
    if (kind == SHARED && below(4) == 0) {
        rights = MOTOR_PROT_READ;
        prot &= rights;
    }
    bool taken = false;
    for (uint32_t i = first; i < first + count; i++) {
        taken = taken || s->page[i].kind != NONE;
    }
    int64_t status;
    busy = s;
    WITH_FAILURES(status,
                  aspace_map(s->as, kind == ANONYMOUS ? NULL : objects[object].v, at * PAGE_SIZE,
                             address_of(first), count * PAGE_SIZE,
                             prot | flags | (replace ? MOTOR_MAP_FIXED : MOTOR_MAP_NOREPLACE),
                             rights));
    busy = NULL;
    if (taken && !replace) {
        REQUIRE(status == -MOTOR_EEXIST);
        return;
    }
    REQUIRE(status == (int64_t)address_of(first));
    for (uint32_t i = 0; i < count; i++) {
        s->page[first + i] = (struct page){
            .kind = (uint8_t)kind,
            .prot = stack && i == 0 ? 0 : (uint8_t)prot,
            .max = (uint8_t)(rights | (kind != SHARED ? MOTOR_PROT_WRITE : 0)),
            .object = (uint8_t)object,
            .at = at + i,
            .nofork = flags & MOTOR_MAP_NOFORK,
            .wipefork = flags & MOTOR_MAP_WIPEFORK,
        };
    }
}

/* Memory written in order gets large pages, where a whole one fits. */
static void fill(struct space *s)
{
    uint32_t first = (uint32_t)below(WINDOWS) * WINDOW_PAGES, count = WINDOW_PAGES;
    uint32_t prot = MOTOR_PROT_READ | MOTOR_PROT_WRITE;
    busy = s;
    REQUIRE(aspace_map(s->as, NULL, 0, address_of(first), count * PAGE_SIZE, prot | MOTOR_MAP_FIXED,
                       0) == (int64_t)address_of(first));
    busy = NULL;
    for (uint32_t i = first; i < first + count; i++) {
        s->page[i] =
            (struct page){.kind = ANONYMOUS, .prot = (uint8_t)prot, .max = MOTOR_PROT_MASK};
        store(s, i, 0, draw());
    }
}

/* Many small regions of one object: what walks over regions comes to preemption points. */
static void scatter(struct space *s)
{
    uint32_t object = (uint32_t)below(OBJECTS), prot = MOTOR_PROT_READ | MOTOR_PROT_WRITE;
    uint32_t first = (uint32_t)below(PAGES - 200);
    busy = s;
    for (uint32_t i = first; i < first + 200; i += 2) {
        bool private = below(2);
        uint32_t at = (uint32_t)below(OBJECT_PAGES), flags = private ? MOTOR_MAP_PRIVATE : 0;
        flags |= below(8) == 0 ? MOTOR_MAP_NOFORK : 0;
        REQUIRE(aspace_map(s->as, objects[object].v, at * PAGE_SIZE, address_of(i), PAGE_SIZE,
                           prot | flags | MOTOR_MAP_FIXED,
                           MOTOR_PROT_MASK) == (int64_t)address_of(i));
        s->page[i] = (struct page){.kind = private ? PRIVATE : SHARED,
                                   .prot = (uint8_t)prot,
                                   .max = MOTOR_PROT_MASK,
                                   .object = (uint8_t)object,
                                   .nofork = flags & MOTOR_MAP_NOFORK,
                                   .at = at};
    }
    busy = NULL;
}

static void map_anywhere(struct space *s)
{
    uint64_t value = 0, length = (1 + below(600)) * PAGE_SIZE;
    int64_t at;
    busy = s;
    WITH_FAILURES(at, aspace_map(s->as, NULL, 0, 0, length, MOTOR_PROT_READ | MOTOR_PROT_WRITE, 0));
    busy = NULL;
    REQUIRE(at > 0 && at % (int64_t)PAGE_SIZE == 0 && page_of((uint64_t)at) == PAGES);
    uint64_t word = (uint64_t)at + below(length / 8) * 8;
    REQUIRE(mmu_load(s->as, word, &value) == 0 && value == 0);
    REQUIRE(mmu_store(s->as, word, 1) == 0);
    if (below(16)) {
        REQUIRE(aspace_unmap(s->as, (uint64_t)at, length) == 0);
        REQUIRE(mmu_load(s->as, word, &value) == -MOTOR_ENOENT);
    }
}

static void unmap(struct space *s)
{
    int64_t status;
    uint32_t first, count;
    draw_range(&first, &count);
    busy = s;
    WITH_FAILURES(status, aspace_unmap(s->as, address_of(first), count * PAGE_SIZE));
    busy = NULL;
    REQUIRE(status == 0);
    memset(&s->page[first], 0, count * sizeof(struct page));
}

static int64_t protect_wanted(const struct space *s, uint32_t first, uint32_t count, uint32_t prot)
{
    for (uint32_t i = first; i < first + count; i++) {
        if (s->page[i].kind == NONE) {
            return -MOTOR_ENOENT;
        }
        if (prot & ~s->page[i].max) {
            return -MOTOR_EACCESS;
        }
    }
    return 0;
}

static void protect(struct space *s)
{
    int64_t status;
    uint32_t first, count, prot = draw_prot();
    draw_range(&first, &count);
    int64_t wanted = protect_wanted(s, first, count, prot);
    busy = s;
    WITH_FAILURES(status, aspace_protect(s->as, address_of(first), count * PAGE_SIZE, prot));
    busy = NULL;
    REQUIRE(status == wanted);
    for (uint32_t i = first; status == 0 && i < first + count; i++) {
        s->page[i].prot = (uint8_t)prot;
    }
}

static void advise_page(struct page *p, uint32_t advice)
{
    switch (advice) {
    case MOTOR_ADVISE_DONTNEED:
    case MOTOR_ADVISE_FREE:
        memset(p->word, 0, sizeof(p->word));
        p->written = false;
        break;
    case MOTOR_ADVISE_NOFORK:
    case MOTOR_ADVISE_FORK:
        p->nofork = advice == MOTOR_ADVISE_NOFORK;
        break;
    case MOTOR_ADVISE_WIPEFORK:
    case MOTOR_ADVISE_KEEPFORK:
        p->wipefork = advice == MOTOR_ADVISE_WIPEFORK;
        break;
    default:
        break;
    }
}

static void advise(struct space *s)
{
    int64_t status;
    uint32_t first, count, advice = 1 + (uint32_t)below(MOTOR_ADVISE_KEEPFORK);
    draw_range(&first, &count);
    for (uint32_t i = first; advice == MOTOR_ADVISE_POPULATE && i < first + count; i++) {
        if (s->page[i].kind == PRIVATE) {
            return; /* copies pages of an object that may change later */
        }
    }
    int64_t wanted = protect_wanted(s, first, count, 0);
    for (uint32_t i = first; !wanted && advice == MOTOR_ADVISE_WIPEFORK && i < first + count; i++) {
        wanted = s->page[i].kind != ANONYMOUS ? -MOTOR_EINVAL : wanted;
    }
    busy = s;
    WITH_FAILURES(status, aspace_advise(s->as, address_of(first), count * PAGE_SIZE, advice));
    busy = NULL;
    if (advice == MOTOR_ADVISE_POPULATE && status < 0) {
        return; /* pages without access, or beyond an object's end */
    }
    REQUIRE(status == wanted);
    for (uint32_t i = first; status == 0 && i < first + count; i++) {
        advise_page(&s->page[i], advice);
    }
}

/* ---- remap ---- */

/* `count` pages go to `to` and become `grown`: the new ones are as the last. */
static void model_move(struct space *s, uint32_t from, uint32_t count, uint32_t to, uint32_t grown)
{
    static struct page moved[WINDOW_PAGES];
    memcpy(moved, &s->page[from], count * sizeof(struct page));
    memset(&s->page[from], 0, count * sizeof(struct page));
    for (uint32_t i = 0; i < grown; i++) {
        if (i < count) {
            s->page[to + i] = moved[i];
            continue;
        }
        s->page[to + i] = moved[count - 1];
        s->page[to + i].at = moved[0].at + i;
        s->page[to + i].written = false;
        memset(s->page[to + i].word, 0, sizeof(moved[0].word));
    }
}

static bool range_is_free(const struct space *s, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        if (s->page[i].kind != NONE) {
            return false;
        }
    }
    return true;
}

static void remap_fixed(struct space *s, uint32_t from, uint32_t count)
{
    uint32_t to, grown;
    int64_t status;
    draw_range(&to, &grown);
    uint64_t flags = MOTOR_REMAP_MAYMOVE | MOTOR_REMAP_FIXED;
    bool overlap = to < from + count && from < to + grown;
    if (overlap || !range_is_free(s, to, grown)) { /* replaced, and gone if it then fails */
        status = aspace_remap(s->as, address_of(from), count * PAGE_SIZE, address_of(to),
                              grown * PAGE_SIZE, (uint32_t)flags);
    } else {
        WITH_FAILURES(status, aspace_remap(s->as, address_of(from), count * PAGE_SIZE,
                                           address_of(to), grown * PAGE_SIZE, (uint32_t)flags));
    }
    REQUIRE(status == (overlap ? -MOTOR_EINVAL : (int64_t)address_of(to)));
    if (!overlap) {
        model_move(s, from, count, to, grown);
    }
}

static void remap_in_place(struct space *s, uint32_t from, uint32_t count, bool at_end)
{
    int64_t status;
    uint32_t grown = 1 + (uint32_t)below(window_end(from) - from);
    bool room = grown <= count || (at_end && range_is_free(s, from + count, grown - count));
    WITH_FAILURES(
        status, aspace_remap(s->as, address_of(from), count * PAGE_SIZE, 0, grown * PAGE_SIZE, 0));
    REQUIRE(status == (room ? (int64_t)address_of(from) : -MOTOR_ENOMEM));
    if (!room) {
        return;
    }
    model_move(s, from, count, from, grown < count ? grown : count);
    if (grown > count) {
        model_move(s, from, count, from, grown);
    }
}

static void remap(struct space *s)
{
    uint32_t page = (uint32_t)below(PAGES), first, count, end;
    struct region *r = region_find(s->as, address_of(page));
    if (!r) {
        return;
    }
    uint64_t start = region_start(r), last = r->end;
    first = page_of(start) < PAGES && below(2) ? page_of(start) : page;
    end = page_of(last - PAGE_SIZE) + 1;
    count = below(2) ? end - first : 1 + (uint32_t)below(end - first);
    busy = s;
    if (below(2)) {
        remap_fixed(s, first, count);
    } else {
        remap_in_place(s, first, count, first + count == end);
    }
    busy = NULL;
}

/* ---- lives ---- */

static struct space *free_space(void)
{
    for (struct space *s = spaces; s < spaces + SPACES; s++) {
        if (!s->as) {
            return s;
        }
    }
    return NULL;
}

static void leave(struct space *s)
{
    struct aspace *as = s->as;
    s->as = NULL;
    aspace_put(as);
    mmu_forget(as);
}

static int64_t try_fork(struct aspace *parent, struct aspace **child)
{
    *child = aspace_create_empty();
    int64_t status = *child ? aspace_fork(parent, *child) : -MOTOR_ENOMEM;
    if (status < 0 && *child) {
        aspace_put(*child);
        mmu_forget(*child);
    }
    return status;
}

static void fork_space(struct space *s)
{
    int64_t status;
    struct aspace *child;
    struct space *c = free_space();
    if (!c) {
        return;
    }
    busy = s; /* a store of its own meanwhile may be seen or not */
    WITH_FAILURES(status, try_fork(s->as, &child));
    busy = NULL;
    REQUIRE(status == 0 && child->top == s->as->top && child->limit == s->as->limit);
    c->as = child;
    memcpy(c->page, s->page, sizeof(c->page));
    for (uint32_t i = 0; i < PAGES; i++) {
        if (c->page[i].nofork) {
            memset(&c->page[i], 0, sizeof(c->page[i]));
        } else if (c->page[i].wipefork) {
            memset(c->page[i].word, 0, sizeof(c->page[i].word));
        }
    }
}

static void fresh_space(void)
{
    struct space *s = free_space();
    if (s) {
        memset(s, 0, sizeof(*s));
        s->as = aspace_create();
        REQUIRE(s->as);
    }
}

static unsigned live(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < SPACES; i++) {
        n += spaces[i].as != NULL;
    }
    return n;
}

static void check(void)
{
    struct aspace *as[SPACES];
    struct vmo *vmos[OBJECTS];
    unsigned n = 0;
    for (unsigned i = 0; i < SPACES; i++) {
        if (spaces[i].as) {
            as[n++] = spaces[i].as;
        }
    }
    uint64_t paid = 0;
    host_doing = "check";
    for (unsigned i = 0; i < OBJECTS; i++) {
        vmos[i] = objects[i].v;
        paid += i < 3 ? vmo_committed(vmos[i]) : 0;
    }
    REQUIRE(payer.bytes == paid);
    check_all(as, n, vmos, OBJECTS);
}

static void everything_reads(struct space *s)
{
    host_doing = "reading all";
    for (uint32_t i = 0; i < PAGES; i++) {
        load(s, i, (uint32_t)below(WORDS));
    }
}

static void operation(void)
{
    static const struct {
        const char *name;
        unsigned weight;
        void (*run)(struct space *);
    } operations[] = {
        {"map", 10, map},
        {"fill", 1, fill},
        {"scatter", 1, scatter},
        {"map anywhere", 2, map_anywhere},
        {"unmap", 5, unmap},
        {"protect", 6, protect},
        {"advise", 5, advise},
        {"remap", 6, remap},
        {"fork", 6, fork_space},
        {"touch range", 10, touch_range},
        {"kernel copy", 20, kernel_copy},
        {"copy between", 10, copy_between},
    };
    uint64_t pick = below(150);
    struct space *s = draw_space();
    for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (pick < operations[i].weight) {
            host_doing = operations[i].name;
            operations[i].run(s);
            mmu_check(s->as);
            return;
        }
        pick -= operations[i].weight;
    }
    if (pick < 4 && live() > 1) {
        host_doing = "exit";
        leave(s);
    } else if (pick < 5) {
        host_doing = "create";
        fresh_space();
    } else if (pick < 12) {
        host_doing = "object";
        object_operation();
    } else {
        host_doing = "touch";
        touch(s, (uint32_t)below(PAGES));
    }
}

static void begin(void)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = (struct object_model){.v = vmo_create(OBJECT_PAGES * PAGE_SIZE, 0),
                                           .pages = OBJECT_PAGES};
        REQUIRE(objects[i].v && (i > 2 || vmo_charge_to(objects[i].v, &payer) == 0));
    }
    fresh_space();
    check();
    host_preempt = others;
}

static void finish(void)
{
    host_preempt = NULL;
    for (unsigned i = 0; i < SPACES; i++) {
        if (spaces[i].as) {
            everything_reads(&spaces[i]);
            leave(&spaces[i]);
        }
    }
    check();
    for (unsigned i = 0; i < OBJECTS; i++) {
        object_put(&objects[i].v->object);
    }
    REQUIRE(payer.refs == 1 && !payer.bytes);
    check_all(NULL, 0, NULL, 0);
}

int main(int argc, char **argv)
{
    uint64_t rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000;
    uint64_t seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
    draw_seed(seed);
    host_init(RAM);
    begin();
    for (host_round = 0; host_round < rounds; host_round++) {
        operation();
        if (host_round % 64 == 0) {
            check();
        }
    }
    finish();
    printf("memory_model: %lu rounds, seed %lu\n", (unsigned long)rounds, (unsigned long)seed);
    return 0;
}
