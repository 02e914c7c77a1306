/* SPDX-License-Identifier: MIT */
/*
 * Waiting for files, and the process's sessions with engines.
 *
 * Who waits for files (poll, epoll_wait, a read of an eventfd) has a px_waiter and hangs px_watches
 * on the files, or its waiter on an epoll. All waiters of a process share the doorbell, so one of
 * them leads: it sleeps on the doorbell, and when it rings takes the sessions' to_client bits,
 * turns them into px_file_changed(), and wakes those that this concerns. The others sleep on words
 * of their own. A leader that has got what it waited for passes the lead on. All of it is under
 * px_net.lock.
 *
 * A thread that waits for one stream only sleeps on the slot's seq instead (stream.c).
 */
#ifndef PX_WATCH_H
#define PX_WATCH_H

#include "fd.h"

struct px_waiter {
    uint32_t word; /* futex of a follower */
    bool fired, asleep, follows;
    struct px_waiter *next, *prev;             /* followers */
    struct px_waiter *epoll_next, *epoll_prev; /* of one epoll */
    struct px_file *epoll;                     /* whose list it is on */
};

struct px_watch {
    struct px_watch *next, **link; /* the file's list */
    struct px_file *file;          /* NULL: not on a list */
    uint32_t events;               /* POLL*; ERR and HUP are always meant */
    struct px_waiter *waiter;      /* NULL: part of a px_epoll_item */
};

#define RING_CLASSES (IO_RING_ORDER_MAX - IO_RING_ORDER_MIN + 1)
struct px_ring_stack {
    uint32_t *pages, count, capacity;
};

/* As many streams keep their rings; more share, so that little memory is in use. */
#define PX_RINGS_KEPT      16u
/*
 * So many may be as large as the engine allows; with more connections that send at a time, the
 * others' are not larger than 1 << PX_RING_ORDER_MANY.
 */
#define PX_RINGS_LARGE     16u
#define PX_RING_ORDER_MANY 18u

struct px_session {
    motor_handle gate;
    uint8_t *arena;
    struct io_session *header;
    struct io_bitmap *to_client, *to_engine;
    struct io_slot *slots;
    /* [px_net.lock] by slot: struct px_file *, or what a closed one left: see session.c */
    uint64_t *owners;
    uint32_t bit_hint;

    struct px_mutex ring_lock; /* what follows; innermost */
    struct px_ring_stack free_rings[RING_CLASSES];
    uint32_t rings_end;              /* page after the last ring ever placed */
    struct px_file *oldest, *newest; /* streams that have a ring, by when they got it */
    uint32_t rings_held;             /* how many they are */
};

enum { PX_SESSION_NET, PX_SESSION_TTY, PX_SESSIONS };

struct px_net {
    struct px_mutex lock;
    struct px_waiter *leader;
    struct px_waiter *followers; /* any order */
    struct px_file *timers;      /* armed timerfds that somebody watches, soonest first */
    struct px_file *signalfds;
    struct px_loan *watched_loans; /* rings that somebody polls: see loan.h */
    bool signal_came;              /* [atomic] and the watchers of signalfds have not been told */
    struct px_session *session[PX_SESSIONS];      /* [open_lock; atomic for readers] */
    struct px_session *session_left[PX_SESSIONS]; /* [open_lock] the parent's; NULL: none */
    struct io_doorbell *doorbell;                 /* [open_lock; atomic] */
    motor_handle doorbell_vmo;
    uint32_t drained; /* the doorbell's count before the last look at the bits */
    struct px_mutex open_lock;
};

static inline struct px_net *px_net(void)
{
    return px_proc()->netstate;
}

/* ---- watch.c; "locked": the caller holds px_net.lock ---- */

void px_watch_start(struct px_process *p);
/* In a forked child: no sessions, no doorbell, nobody waits. Files' own part: px_watch_forked_file.
 */
void px_watch_forked(struct px_process *p);
void px_watch_forked_file(struct px_file *f);
void px_watch_add_locked(struct px_watch *w, struct px_file *f);
void px_watch_remove_locked(struct px_watch *w);
void px_watches_drop(struct px_file *f); /* the file goes: nobody watches it any more */

void px_fire_locked(struct px_waiter *w);
/* Something about the file may be ready that was not. */
void px_file_changed_locked(struct px_file *f);
/*
 * The same for files whose state is atomic memory of this process: after the change (SEQ_CST).
 * Cheap when nobody watches.
 */
void px_file_changed(struct px_file *f);
/* Takes what engines have signalled. Cheap when nothing has. */
void px_drain_locked(struct px_net *n);
/* Until w->fired: 0; or -ETIMEDOUT, -PX_ERESTARTSYS, -ENOMEM. Gives up the lock while it sleeps. */
long px_waiter_wait_locked(struct px_net *n, struct px_waiter *w, uint64_t deadline);
/* Until one of `events` is ready at f (0), a deadline, a signal. */
long px_file_wait(struct px_file *f, uint32_t events, uint64_t deadline);
void px_leader_kick_locked(struct px_net *n); /* it must look again (an earlier timer) */
long px_doorbell_need(struct px_net *n);      /* 0 or -ENOMEM */

/* timerfd.c */
uint64_t px_timers_run_locked(struct px_net *n); /* fires what is due; when the next one is */
void px_timer_watched_locked(struct px_file *f); /* a watch was added */
/* epoll.c */
/*
 * The item's epoll may have something to tell. true: this was an exclusive item and somebody was
 * woken, so others need not be.
 */
bool px_epoll_item_ready_locked(struct px_watch *w, bool exclusive_done);
void px_epoll_item_drop_locked(struct px_watch *w);
/*
 * In a forked child: its epoll has come along with its items, but nobody tells this process of
 * their files yet. px_epoll_arrive(), when the epoll is first used, sees to that.
 */
void px_epoll_item_forked(struct px_watch *w);
void px_epoll_arrive(struct px_file *epoll);

/* stream.c: the engine has signalled a socket's slot */
void px_stream_signalled(struct px_file *f);

/* ---- session.c ---- */

/* The session with an engine, opened when first asked for; NULL: *error says why. */
struct px_session *px_session_get(unsigned which, long *error);
/* Tells the engine that a slot has changed; wakes it if it sleeps. */
void px_session_tell(struct px_session *s, uint32_t slot);
/* Sets the slot's bit without waking the engine: it finds it when it wakes for something else. */
void px_session_mark(struct px_session *s, uint32_t slot);
void px_session_attach(struct px_session *s, uint32_t slot, struct px_file *f);
/*
 * The file goes. A tx ring that is not drained stays with the slot until the engine frees it; so do
 * accept records.
 */
void px_session_detach(struct px_session *s, uint32_t slot, uint32_t ring_page, uint32_t ring_order,
                       bool listener);
void px_session_slot_signalled_locked(struct px_session *s, uint32_t slot);
/* ops->ready of a file of the tty engine, whose bit is *bit; and when it is released. */
uint32_t px_session_poll(struct px_file *f, uint32_t *bit, uint32_t events, bool arm);
/* The same for a file with a loan: armed for as long as that lasts, if *lent comes back true. */
uint32_t px_session_poll_lent(struct px_file *f, uint32_t *bit, bool *lent);
void px_session_unpoll(uint32_t bit);
/* A free bit of a session without slots. [px_net.lock] */
long px_session_bit(struct px_session *s, struct px_file *f);
void px_session_bit_free(struct px_session *s, uint32_t bit);

/* ---- ring.c ---- */

/*
 * Ring memory of `order` for a stream with none: sets ring_page, ring_order. [f's tx_lock] false:
 * none left.
 */
bool px_ring_get(struct px_file *f, uint32_t order);
void px_ring_put(struct px_file *f);    /* [f's tx_lock] drained */
void px_ring_forget(struct px_file *f); /* the ring stays behind (see px_session_detach) */
void px_ring_free(struct px_session *s, uint32_t page, uint32_t order);

/* Is this a ring of the engine's region in which [tail, head) can lie? */
bool px_rx_check(uint64_t place, uint32_t tail, uint32_t head);
/* Where a byte of a checked ring is, and how many follow without wrapping. */
const uint8_t *px_rx_at(const struct px_session *s, uint64_t place, uint32_t index,
                        uint32_t *contiguous);
/* A copy of `size` bytes from tail on; false: fewer are there, or the ring is broken. */
bool px_rx_copy(const struct px_session *s, uint64_t place, uint32_t tail, uint32_t head, void *to,
                uint32_t size);

#endif
