/* SPDX-License-Identifier: MIT */
/* Rings on loan: memory, the two sides, and the end. See lend.h. */
#include "lend.h"
#include "engine.h"

#include <stdlib.h>

#define CALLS_BEFORE 4u
#define LOSSES_MAX   12u
#define SHORT_NS     20000000u /* a loan that ends sooner was not worth it */

static uint64_t lent, limit; /* bytes; lent: [atomic] by all engines together */

/* false: it would be too much. */
static bool lent_take(uint64_t bytes)
{
    if (__atomic_add_fetch(&lent, bytes, __ATOMIC_RELAXED) <= limit)
        return true;
    __atomic_sub_fetch(&lent, bytes, __ATOMIC_RELAXED);
    return false;
}

void lends_init(uint64_t memory)
{
    limit = memory / 16;
    counter_register("tty", "lent_bytes", &lent);
}

static uint64_t object_size(uint32_t rings, uint32_t size)
{
    return IO_LOAN_BYTES + (uint64_t)rings * size;
}

/* All of it is there from the beginning, so that no copy can fail. */
static bool object_make(struct lend *l, motor_handle payer)
{
    uint64_t size = object_size(l->rings, l->size);
    int64_t vmo = motor_vmo_create(size, 0);
    if (vmo < 0)
        return false;
    l->vmo = (motor_handle)vmo;
    if (motor_vmo_control(l->vmo, MOTOR_VMO_CHARGE, payer, 0, NULL) < 0 ||
        motor_vmo_control(l->vmo, MOTOR_VMO_COMMIT, 0, size, NULL) < 0)
        return false;
    int64_t at = motor_map(0, l->vmo, 0, 0, MOTOR_PAGE_SIZE, MOTOR_PROT_READ | MOTOR_PROT_WRITE);
    l->page = at < 0 ? NULL : (struct io_loan *)at;
    return at >= 0;
}

struct lend *lend_new(uint32_t rings, uint32_t size, motor_handle payer)
{
    uint64_t bytes = object_size(rings, size);
    if (memory_low() || !lent_take(bytes))
        return NULL;
    struct lend *l = calloc(1, sizeof *l);
    if (!l) {
        __atomic_sub_fetch(&lent, bytes, __ATOMIC_RELAXED);
        return NULL;
    }
    l->rings = rings;
    l->size = l->capacity[0] = l->capacity[1] = size;
    if (object_make(l, payer))
        return l;
    lend_free(l);
    return NULL;
}

bool lend_grant(struct lend *l, uint32_t side, struct lend_answer *a)
{
    uint32_t out = l->rings == 1 ? 0 : side, in = l->rings == 1 ? 0 : 1 - side;
    int64_t h = motor_handle_dup(l->vmo, MOTOR_RIGHT_READ | MOTOR_RIGHT_WRITE | MOTOR_RIGHT_DUP);
    if (h < 0)
        return false;
    a->vmo = (motor_handle)h;
    a->word[0] = side;
    a->word[1] = l->size;
    a->word[2] = l->capacity[out];
    a->word[3] = l->more[out];
    a->word[4] = l->capacity[in];
    l->granted[side] = true;
    return true;
}

bool lend_fill(struct lend *l, uint32_t ring, const void *bytes, uint32_t n)
{
    uint64_t at = IO_LOAN_BYTES + (uint64_t)ring * l->size + l->used[ring];
    if (n > l->size - l->used[ring] ||
        motor_vmo_control(l->vmo, MOTOR_VMO_WRITE, at, n, (void *)(uintptr_t)bytes) < 0)
        return false;
    l->used[ring] += n;
    return true;
}

/*
 * An owner who has gone has left his mark in his index, which is never taken away here: the other
 * one sees it as soon as the loan is active.
 */
bool lend_activate(struct lend *l, uint64_t now)
{
    for (uint32_t i = 0; i < l->rings; i++) {
        uint32_t none = 0;
        if (!__atomic_compare_exchange_n(&l->page->ring[i].head, &none, l->used[i], false,
                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ||
            __atomic_load_n(&l->page->ring[i].tail, __ATOMIC_SEQ_CST))
            return false;
        l->used[i] = 0;
    }
    __atomic_store_n(&l->page->active, 1, __ATOMIC_SEQ_CST);
    l->active = true;
    l->since = now;
    return true;
}

static uint32_t used_between(const struct lend *l, uint32_t head, uint32_t tail)
{
    uint32_t used = io_loan_used(head, tail);
    return used <= l->size ? used : 0;
}

uint32_t lend_used(const struct lend *l, uint32_t ring)
{
    const struct io_loan_ring *r = &l->page->ring[ring];
    if (l->ended || !l->active)
        return l->used[ring];
    uint32_t tail = __atomic_load_n(&r->tail, __ATOMIC_SEQ_CST);
    return used_between(l, __atomic_load_n(&r->head, __ATOMIC_SEQ_CST), tail);
}

static void wake(uint32_t *word)
{
    motor_futex_wake(word, UINT32_MAX, MOTOR_FUTEX_SHARED);
}

void lend_end(struct lend *l)
{
    l->ended = true;
    for (uint32_t i = 0; i < l->rings; i++) {
        struct io_loan_ring *r = &l->page->ring[i];
        uint32_t head = __atomic_fetch_or(&r->head, IO_LOAN_GONE, __ATOMIC_SEQ_CST);
        uint32_t tail = __atomic_fetch_or(&r->tail, IO_LOAN_GONE, __ATOMIC_SEQ_CST);
        l->used[i] = l->active ? used_between(l, head, tail) : 0;
        l->start[i] = tail & ~IO_LOAN_GONE;
        /* whatever the wishes say, which are the other side's to write, too */
        wake(&r->head);
        wake(&r->tail);
    }
}

void lend_copy(const struct lend *l, uint32_t ring, uint32_t from, void *to, uint32_t n)
{
    uint64_t base = IO_LOAN_BYTES + (uint64_t)ring * l->size;
    uint32_t at = (l->start[ring] + from) & (l->size - 1),
             first = l->size - at < n ? l->size - at : n;
    motor_vmo_control(l->vmo, MOTOR_VMO_READ, base + at, first, to);
    if (n > first)
        motor_vmo_control(l->vmo, MOTOR_VMO_READ, base, n - first, (uint8_t *)to + first);
}

void lend_free(struct lend *l)
{
    if (l->page)
        motor_unmap(0, (uint64_t)(uintptr_t)l->page, MOTOR_PAGE_SIZE);
    if (l->vmo)
        motor_handle_close(l->vmo);
    __atomic_sub_fetch(&lent, object_size(l->rings, l->size), __ATOMIC_RELAXED);
    free(l);
}

/* ---- when ---- */

bool lend_worth(const struct lend_habit *h)
{
    return h->calls >= CALLS_BEFORE << h->losses;
}

void lend_lost(struct lend_habit *h, const struct lend *l, bool overrun, uint64_t now)
{
    bool short_lived = !l->active || now - l->since < SHORT_NS;
    h->calls = 0;
    if (overrun)
        h->order++;
    else if (!short_lived)
        h->losses = 0;
    else if (h->losses < LOSSES_MAX)
        h->losses++;
}
