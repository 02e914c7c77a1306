/* SPDX-License-Identifier: MIT */
/* Sessions: life, slots, signals. Rings are in ring.c. */
#include "session.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAKES        MOTOR_WAKE_LIST_MAX
#define ARENA_ALIGN  (32ull << 30)
#define CLIENT_PAGES (IO_ARENA_RINGS_SIZE / 4096)

static uint64_t budget, charged; /* bytes: of all sessions together, used of it */
static struct session *sessions; /* all, most recently used first */
static uint32_t *wakes[WAKES];
static uint32_t wake_count;
static struct session *rung[64];
static uint32_t rung_count;

_Static_assert(sizeof(struct io_bitmap) <= 3 * 4096, "bitmaps fit in their pages");
_Static_assert(IO_ARENA_TO_ENGINE + 3 * 4096 <= IO_ARENA_SLOTS, "and come before the slots");
_Static_assert(IO_ARENA_SLOTS + IO_SLOTS * sizeof(struct io_slot) <= IO_ARENA_ENGINE_RINGS,
               "and these before the rings");

void session_budget(uint64_t bytes)
{
    budget = bytes;
}

uint64_t session_idle_most(void)
{
    return budget / 8;
}

void session_age_all(void)
{
    for (struct session *s = sessions; s; s = s->next)
        ring_age(s);
}

bool session_has_share(const struct session *s, uint64_t bytes)
{
    uint64_t left = budget > charged ? budget - charged : 0;
    return s->charged + bytes <= left;
}

void session_charge_anyway(struct session *s, uint64_t bytes)
{
    s->charged += bytes;
    charged += bytes;
}

bool session_charge(struct session *s, uint64_t bytes)
{
    if (!session_has_share(s, bytes))
        return false;
    session_charge_anyway(s, bytes);
    return true;
}

void session_uncharge(struct session *s, uint64_t bytes)
{
    s->charged -= bytes;
    charged -= bytes;
}

void session_recharge(struct session *from, struct session *to, uint64_t bytes)
{
    from->charged -= bytes;
    to->charged += bytes;
}

struct session *session_create(motor_handle process, motor_handle doorbell)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s || port_window_adopt(&s->bell, doorbell) < 0) {
        port_handle_close(process);
        if (!s)
            port_handle_close(doorbell);
        free(s);
        return NULL;
    }
    s->process = process;
    /* the client can touch all of it, so it pays for it */
    if (port_window_create(&s->arena, IO_ARENA_SIZE, ARENA_ALIGN) < 0 ||
        port_window_charge(&s->arena, process) < 0)
        goto fail;
    /* sparse: pages of it appear as they are used */
    s->physical = calloc(CLIENT_PAGES, sizeof *s->physical);
    s->committed = calloc(CLIENT_PAGES, 1);
    if (!s->physical || !s->committed || port_window_commit(&s->arena, 0, IO_ARENA_SLOTS) < 0)
        goto fail;
    s->doorbell = (struct io_doorbell *)s->bell.base;
    s->header = (struct io_session *)s->arena.base;
    s->to_client = (struct io_bitmap *)(s->arena.base + IO_ARENA_TO_CLIENT);
    s->to_engine = (struct io_bitmap *)(s->arena.base + IO_ARENA_TO_ENGINE);
    s->slots = (struct io_slot *)(s->arena.base + IO_ARENA_SLOTS);
    s->rings_end = IO_ARENA_ENGINE_RINGS / 4096;
    s->header->magic = IO_SESSION_MAGIC;
    s->header->version = 1;
    s->header->engine_asleep = 1;
    s->next = sessions;
    if (sessions)
        sessions->prev = s;
    sessions = s;
    return s;
fail:
    session_destroy(s);
    return NULL;
}

void session_destroy(struct session *s)
{
    charged -= s->charged;
    if (s->next)
        s->next->prev = s->prev;
    if (s->prev)
        s->prev->next = s->next;
    else if (sessions == s)
        sessions = s->next;
    if (s->arena.base)
        port_window_destroy(&s->arena);
    if (s->bell.base)
        port_window_destroy(&s->bell);
    if (s->process)
        port_handle_close(s->process);
    for (uint32_t i = 0; i < RING_CLASSES; i++)
        free(s->free_rings[i].pages);
    free(s->physical);
    free(s->committed);
    free(s->objects);
    free(s->free_next);
    free(s);
}

/* ---- slots ---- */

static bool grow_slots(struct session *s)
{
    uint32_t size = s->objects_size ? s->objects_size * 2 : 32; /* a page of slots */
    if (s->objects_size >= IO_SLOTS)
        return false;
    void **objects = realloc(s->objects, size * sizeof *objects);
    if (objects)
        s->objects = objects;
    uint32_t *next = realloc(s->free_next, size * sizeof *next);
    if (next)
        s->free_next = next;
    if (!objects || !next)
        return false;
    memset(s->objects + s->objects_size, 0, (size - s->objects_size) * sizeof *objects);
    s->objects_size = size;
    return true;
}

int64_t session_slot_alloc(struct session *s, uint32_t kind, void *object)
{
    uint32_t slot;
    if (s->dead)
        return -ENFILE;
    if (s->free_slot) {
        slot = s->free_slot - 1;
        s->free_slot = s->free_next[slot];
    } else {
        slot = s->slots_used;
        if (slot >= IO_SLOTS)
            return -ENFILE;
        if (slot >= s->objects_size && !grow_slots(s))
            return -ENOMEM;
        if (slot % 32 == 0 &&
            port_window_commit(&s->arena, IO_ARENA_SLOTS + (uint64_t)slot * sizeof(struct io_slot),
                               4096) < 0)
            return -ENOMEM;
        s->header->slots_used = ++s->slots_used;
    }
    struct io_slot *shared = &s->slots[slot];
    uint32_t generation = shared->generation + 1;
    memset(shared, 0, sizeof *shared);
    shared->generation = generation;
    __atomic_store_n(&shared->kind, (uint16_t)kind, __ATOMIC_RELEASE);
    s->objects[slot] = object;
    s->slots_live++;
    return slot;
}

void session_slot_free(struct session *s, uint32_t slot)
{
    __atomic_store_n(&s->slots[slot].kind, (uint16_t)IO_SLOT_FREE, __ATOMIC_RELEASE);
    if (!s->dead)
        session_signal(s, slot);
    s->objects[slot] = NULL;
    s->free_next[slot] = s->free_slot;
    s->free_slot = slot + 1;
    s->slots_live--;
}

/* ---- signals ---- */

static void bitmap_set(struct io_bitmap *map, uint32_t slot)
{
    uint32_t word = slot / 64;
    __atomic_fetch_or(&map->bits[word], 1ull << slot % 64, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&map->summary[word / 64], 1ull << word % 64, __ATOMIC_SEQ_CST);
}

static void wake(uint32_t *word)
{
    if (wake_count == WAKES) {
        port_wake(wakes, wake_count);
        wake_count = 0;
    }
    wakes[wake_count++] = word;
}

static void ring_doorbell(struct session *s)
{
    s->rung = false;
    if (s->dead)
        return;
    if (io_doorbell_ring(s->doorbell))
        wake(&s->doorbell->word);
}

void session_signal(struct session *s, uint32_t slot)
{
    struct io_slot *shared = &s->slots[slot];
    if (s->dead)
        return;
    __atomic_fetch_add(&shared->seq, 1, __ATOMIC_SEQ_CST);
    bitmap_set(s->to_client, slot);
    if (__atomic_load_n(&shared->sleepers, __ATOMIC_SEQ_CST))
        wake(&shared->seq);
    if (!s->rung) {
        s->rung = true;
        if (rung_count == sizeof rung / sizeof *rung)
            session_flush_all();
        rung[rung_count++] = s;
    }
}

void session_flush_all(void)
{
    for (uint32_t i = 0; i < rung_count; i++)
        ring_doorbell(rung[i]);
    rung_count = 0;
    if (wake_count) {
        port_wake(wakes, wake_count);
        wake_count = 0;
    }
}

static uint32_t summary_words(const struct session *s)
{
    return (s->slots_used + 64 * 64 - 1) / (64 * 64);
}

bool session_marked(const struct session *s)
{
    for (uint32_t i = 0; i < summary_words(s); i++)
        if (__atomic_load_n(&s->to_engine->summary[i], __ATOMIC_SEQ_CST))
            return true;
    return false;
}

bool session_collect(struct session *s, void (*changed)(void *object))
{
    bool any = false;
    for (uint32_t i = 0; i < summary_words(s); i++) {
        if (!__atomic_load_n(&s->to_engine->summary[i], __ATOMIC_RELAXED))
            continue;
        uint64_t summary = __atomic_exchange_n(&s->to_engine->summary[i], 0, __ATOMIC_SEQ_CST);
        for (; summary; summary &= summary - 1) {
            uint32_t word = i * 64 + (uint32_t)__builtin_ctzll(summary);
            uint64_t bits = __atomic_exchange_n(&s->to_engine->bits[word], 0, __ATOMIC_SEQ_CST);
            for (; bits; bits &= bits - 1) {
                uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
                if (slot < s->slots_used && s->objects[slot])
                    changed(s->objects[slot]);
                any = true;
            }
        }
    }
    return any;
}

void session_collect_all(void (*changed)(void *object))
{
    for (struct session *s = sessions; s; s = s->next)
        session_collect(s, changed);
}

bool session_unwatch(struct session *s)
{
    __atomic_store_n(&s->header->engine_asleep, 1, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return session_marked(s);
}

void session_watch(struct session *s)
{
    if (__atomic_load_n(&s->header->engine_asleep, __ATOMIC_RELAXED))
        __atomic_store_n(&s->header->engine_asleep, 0, __ATOMIC_SEQ_CST);
}

struct session *session_of_address(const void *p, uint64_t *physical)
{
    for (struct session *s = sessions; s; s = s->next) {
        uint64_t offset = (uint64_t)((const uint8_t *)p - s->arena.base);
        if (offset >= IO_ARENA_SIZE || offset < IO_ARENA_CLIENT_RINGS)
            continue;
        uint64_t page = s->physical[(offset - IO_ARENA_CLIENT_RINGS) / 4096];
        *physical = page ? page + offset % 4096 : 0;
        return s;
    }
    return NULL;
}

uint32_t session_run(const struct session *s, const void *p, uint32_t size)
{
    uint64_t offset = (uint64_t)((const uint8_t *)p - s->arena.base) - IO_ARENA_CLIENT_RINGS;
    const uint64_t *page = &s->physical[offset / 4096], *end = s->physical + CLIENT_PAGES;
    uint32_t run = 4096 - (uint32_t)(offset % 4096);
    for (; run < size && page + 1 < end && page[1] == page[0] + 4096; page++)
        run += 4096;
    return run < size ? run : size;
}
