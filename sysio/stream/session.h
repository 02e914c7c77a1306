/* SPDX-License-Identifier: MIT */
/*
 * The engine's side of sessions: arenas, slots, signals and rings (see <motor/io.h>). What a client
 * can write is read once into a local copy and checked; nothing here is harmed by what it finds
 * there.
 *
 * Each slot has an object, the engine's (a socket). One thread owns all of it.
 */
#ifndef SYSIO_SESSION_H
#define SYSIO_SESSION_H

#include "../net/port.h"
#include <motor/io.h>

#define RING_CLASSES (IO_RING_ORDER_MAX - IO_RING_ORDER_MIN + 1)

/* One contiguous place for bytes in an arena. */
struct ring {
    uint32_t page;  /* of the arena; 0: no ring */
    uint32_t order; /* size is 1 << order */
    uint32_t base;  /* index that lies at the ring's first byte */
};

struct ring_stack { /* free rings of a class, hot ones on top */
    uint32_t *pages;
    uint32_t count, capacity;
};

struct session {
    uint32_t object_kind; /* of the engine that owns it: see the engine's object header */
    uint64_t badge;
    struct session *next, *prev;
    struct session *watch_next;     /* the engine's list */
    struct attachment *attachments; /* the engine's: slots of objects whose home is elsewhere */
    struct window arena, bell;
    motor_handle process;
    struct io_session *header;
    struct io_bitmap *to_client, *to_engine;
    struct io_slot *slots;
    struct io_doorbell *doorbell;
    void **objects; /* by slot */
    uint32_t objects_size, slots_used, slots_live;
    uint32_t free_slot; /* 1 + head of the list of free slots */
    uint32_t *free_next;
    struct ring_stack free_rings[RING_CLASSES];
    uint32_t rings_end;   /* page after the last ring ever placed */
    uint32_t rings_least; /* of the smallest size, in use */
    uint32_t idle_bytes;  /* committed, in free rings; and the least of it since ring_age() */
    uint32_t idle_least;
    uint64_t charged; /* bytes: see session_charge() */
    /* by page of the client's region: what the device reads from; 0: not known yet */
    uint64_t *physical;
    uint8_t *committed;    /* by page of the engine's region, one byte each */
    uint32_t device_reads; /* frames in flight that read the arena */
    bool watched;          /* looked at in every turn */
    bool rung;             /* something was signalled in this turn */
    bool dead;             /* the client is gone */
    uint64_t last_active;
};

/* Takes both handles, also on failure. NULL: no memory. */
struct session *session_create(motor_handle process, motor_handle doorbell);
void session_destroy(struct session *s); /* nobody uses its memory any more */

/*
 * The memory that clients cost an engine: sockets, what waits for their readers, the engine's pages
 * of arenas. Each session may hold as much as is left for all others together, so one that takes
 * all it can get leaves as much to the next. Before the first session: how much there is.
 */
void session_budget(uint64_t bytes);
bool session_charge(struct session *s, uint64_t bytes); /* false: its share is used up */
bool session_has_share(const struct session *s, uint64_t bytes);
void session_uncharge(struct session *s, uint64_t bytes);
/* for what is there already */
void session_charge_anyway(struct session *s, uint64_t bytes);
/* from one session to another, whatever its share */
void session_recharge(struct session *from, struct session *to, uint64_t bytes);
uint64_t session_idle_most(void); /* of ring memory that one may keep without using it */
/* Once a second: gives back what all sessions have kept without using it since the last time. */
void session_age_all(void);

/* slot, or -ENOMEM, -ENFILE */
int64_t session_slot_alloc(struct session *s, uint32_t kind, void *object);
void session_slot_free(struct session *s, uint32_t slot);
/* A change that the client may wait for. */
void session_signal(struct session *s, uint32_t slot);
/* Calls changed(object) for each slot whose to_engine bit is set; true if there was any. */
bool session_collect(struct session *s, void (*changed)(void *object));
/* The same for all sessions: bits that were set without telling. */
void session_collect_all(void (*changed)(void *object));
/* Before sleeping: from now on the client must notify. true: it has set bits meanwhile. */
bool session_unwatch(struct session *s);
void session_watch(struct session *s);
bool session_marked(const struct session *s); /* session_collect() would find something */
/* Rings doorbells and wakes the sleepers of everything signalled since the last flush. */
void session_flush_all(void);

/* Rings of the engine's region. */
bool ring_alloc(struct session *s, uint32_t order, struct ring *r);
void ring_free(struct session *s, struct ring *r);
/* A drained ring need not be given back: it is small, and one of few. */
bool ring_may_stay(const struct session *s, const struct ring *r);
void ring_age(struct session *s); /* see session_age_all() */
static inline uint32_t ring_size(const struct ring *r)
{
    return 1u << r->order;
}
static inline uint64_t ring_place(const struct ring *r)
{
    return r->page ? io_place(r->page, r->order, r->base) : 0;
}
/* Commits the bytes [index, index + size) of a ring of ours; false: no memory. */
bool ring_commit(struct session *s, const struct ring *r, uint32_t index, uint32_t size);
/* Where a byte is, and how many follow it without wrapping. */
static inline uint8_t *ring_at(struct session *s, const struct ring *r, uint32_t index,
                               uint32_t *contiguous)
{
    uint32_t at = (index - r->base) & (ring_size(r) - 1);
    *contiguous = ring_size(r) - at;
    return s->arena.base + (uint64_t)r->page * 4096 + at;
}
/* A place that the client wrote: false if it does not lie in the client's region. */
bool ring_check(uint64_t place, struct ring *r);
/*
 * Makes sure that the bytes of a client's ring are there, and can be read by the device. false: no
 * memory.
 */
bool ring_pin(struct session *s, const struct ring *r, uint32_t index, uint32_t size);

/* Physical address of a byte of a pinned ring; the session it belongs to, or NULL. */
struct session *session_of_address(const void *p, uint64_t *physical);
/* How many of `size` bytes of pinned rings, from such a byte on, lie side by side physically. */
uint32_t session_run(const struct session *s, const void *p, uint32_t size);

#endif
