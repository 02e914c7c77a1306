/* SPDX-License-Identifier: MIT */
/* Waiters, watches, and the leader. See watch.h. */
#include "watch.h"
#include "loan.h"
#include "names.h"

void px_watch_start(struct px_process *p)
{
    static PX_HOT struct px_net net;
    p->netstate = &net;
}

/* To take it apart, which would copy pages, is for a child that needs a session. */
static void session_forget(struct px_net *n, unsigned which)
{
    if (n->session[which])
        n->session_left[which] = n->session[which];
    n->session[which] = NULL;
}

void px_watch_forked(struct px_process *p)
{
    struct px_net *n = p->netstate;
    for (unsigned i = 0; i < PX_SESSIONS; i++) /* arenas are not inherited */
        session_forget(n, i);
    n->doorbell = NULL;
    n->doorbell_vmo = 0;
    n->drained = 0;
    n->leader = n->followers = NULL;
    n->watched_loans = NULL;
    n->open_lock.word = n->lock.word = 0;
}

/* Watches of polls that other threads were in go; those of epoll items stay. */
void px_watch_forked_file(struct px_file *f)
{
    for (struct px_watch *w = f->watches, *next; w; w = next) {
        next = w->next;
        if (w->waiter)
            px_watch_remove_locked(w);
        else
            px_epoll_item_forked(w);
    }
    if (f->kind == PX_EPOLL)
        f->epoll.waiters = f->epoll.waiters_last = NULL;
}

long px_doorbell_need(struct px_net *n)
{
    if (__atomic_load_n(&n->doorbell, __ATOMIC_ACQUIRE))
        return 0;
    long result = 0;
    px_lock(&n->open_lock);
    if (!n->doorbell) {
        int64_t vmo = motor_vmo_create(4096, 0);
        int64_t at = vmo < 0 ? vmo : px_map_unforked((motor_handle)vmo, 4096);
        if (at < 0) {
            if (vmo > 0)
                motor_handle_close((motor_handle)vmo);
            result = -ENOMEM;
        } else {
            n->doorbell_vmo = (motor_handle)vmo;
            __atomic_store_n(&n->doorbell, (struct io_doorbell *)at, __ATOMIC_RELEASE);
        }
    }
    px_unlock(&n->open_lock);
    return result;
}

/* ---- watches ---- */

void px_watch_add_locked(struct px_watch *w, struct px_file *f)
{
    w->file = f;
    w->next = f->watches;
    w->link = &f->watches;
    if (w->next)
        w->next->link = &w->next;
    /* before the caller looks at the file: see px_file_changed() */
    __atomic_store_n(&f->watches, w, __ATOMIC_SEQ_CST);
    if (f->ops == &px_timerfd_ops)
        px_timer_watched_locked(f);
}

void px_watch_remove_locked(struct px_watch *w)
{
    if (!w->file)
        return;
    __atomic_store_n(w->link, w->next, __ATOMIC_RELAXED);
    if (w->next)
        w->next->link = w->link;
    w->file = NULL;
}

void px_watches_drop(struct px_file *f)
{
    struct px_net *n = px_net();
    if (!__atomic_load_n(&f->watches, __ATOMIC_ACQUIRE))
        return; /* nobody can add one: the file has no references */
    px_lock(&n->lock);
    while (f->watches) {
        struct px_watch *w = f->watches;
        px_watch_remove_locked(w);
        if (w->waiter)
            px_fire_locked(w->waiter); /* looks again and finds the descriptor gone */
        else
            px_epoll_item_drop_locked(w);
    }
    px_unlock(&n->lock);
}

void px_file_changed_locked(struct px_file *f)
{
    uint32_t wanted = POLLERR | POLLHUP;
    for (struct px_watch *w = f->watches; w; w = w->next)
        wanted |= w->events;
    if (!f->watches)
        return;
    uint32_t ready = f->ops->ready(f, wanted, true);
    bool exclusive_done = false;
    for (struct px_watch *w = f->watches, *next; ready && w; w = next) {
        next = w->next;
        if (!(ready & (w->events | POLLERR | POLLHUP)))
            continue;
        if (w->waiter)
            px_fire_locked(w->waiter);
        else
            exclusive_done |= px_epoll_item_ready_locked(w, exclusive_done);
    }
}

void px_file_changed(struct px_file *f)
{
    struct px_net *n = px_net();
    if (!__atomic_load_n(&f->watches, __ATOMIC_SEQ_CST))
        return;
    px_lock(&n->lock);
    px_file_changed_locked(f);
    px_unlock(&n->lock);
}

/* ---- what engines say ---- */

static void drain_session(struct px_session *s)
{
    struct io_bitmap *map = s->to_client;
    for (uint32_t i = 0; i < IO_SLOTS / 64 / 64; i++) {
        if (!__atomic_load_n(&map->summary[i], __ATOMIC_RELAXED))
            continue;
        uint64_t summary = __atomic_exchange_n(&map->summary[i], 0, __ATOMIC_SEQ_CST);
        for (; summary; summary &= summary - 1) {
            uint32_t word = i * 64 + (uint32_t)__builtin_ctzll(summary);
            uint64_t bits = __atomic_exchange_n(&map->bits[word], 0, __ATOMIC_SEQ_CST);
            for (; bits; bits &= bits - 1)
                px_session_slot_signalled_locked(s, word * 64 + (uint32_t)__builtin_ctzll(bits));
        }
    }
}

void px_drain_locked(struct px_net *n)
{
    if (n->watched_loans)
        px_loans_look_locked(n);
    if (!n->doorbell)
        return;
    uint32_t count = __atomic_load_n(&n->doorbell->word, __ATOMIC_ACQUIRE) & ~IO_DOORBELL_WAITING;
    if (count == n->drained)
        return;
    n->drained = count;
    for (uint32_t i = 0; i < PX_SESSIONS; i++) {
        struct px_session *s = __atomic_load_n(&n->session[i], __ATOMIC_ACQUIRE);
        if (s)
            drain_session(s);
    }
}

/* ---- waiters ---- */

void px_leader_kick_locked(struct px_net *n)
{
    if (!n->leader || !n->leader->asleep)
        return;
    __atomic_fetch_add(&n->doorbell->word, IO_DOORBELL_STEP, __ATOMIC_SEQ_CST);
    px_wake(&n->doorbell->word, 1, PX_WAIT_SHARED);
}

static void wake_follower(struct px_waiter *w)
{
    __atomic_store_n(&w->word, 1, __ATOMIC_RELEASE);
    px_wake(&w->word, 1, 0);
}

void px_fire_locked(struct px_waiter *w)
{
    struct px_net *n = px_net();
    if (w->fired)
        return;
    __atomic_store_n(&w->fired, true, __ATOMIC_RELAXED); /* linger() looks without the lock */
    if (!w->asleep)
        return;
    if (w == n->leader)
        px_leader_kick_locked(n);
    else
        wake_follower(w);
}

/* Sets the wish in `*word`, as the doorbell was before the last look. false: it has rung since. */
static bool wish(struct io_doorbell *bell, uint32_t *word)
{
    uint32_t wishing = *word | IO_DOORBELL_WAITING;
    if (*word != wishing && !__atomic_compare_exchange_n(&bell->word, word, wishing, false,
                                                         __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return false;
    *word = wishing;
    return true;
}

#define LINGER_NS 50000u

/* The net engine is at work, on another CPU, and nobody else wants ours. */
static bool worth_lingering(struct px_net *n)
{
    const struct px_session *s = __atomic_load_n(&n->session[PX_SESSION_NET], __ATOMIC_ACQUIRE);
    return PX_GLANCE(px_kinfo()->unhurried_cpus) >= 2 && s &&
           !PX_GLANCE(s->header->engine_asleep) && !PX_GLANCE(s->header->engine_idle);
}

/* Looks for a while whether the doorbell, which was `word`, rings. [gives up the lock meanwhile] */
static void linger(struct px_net *n, struct px_waiter *w, uint32_t word)
{
    uint64_t end = px_now() + LINGER_NS;
    px_unlock(&n->lock);
    while (PX_GLANCE(n->doorbell->word) == word && !PX_GLANCE(w->fired) && worth_lingering(n) &&
           px_now() < end)
        __builtin_ia32_pause();
    px_lock(&n->lock);
}

static long lead(struct px_net *n, struct px_waiter *w, uint64_t deadline)
{
    bool lingered = false;
    struct io_doorbell *bell = n->doorbell;
    long result = 0;
    n->leader = w;
    while (!w->fired) {
        uint64_t timer = px_timers_run_locked(n);
        uint32_t word = __atomic_load_n(&bell->word, __ATOMIC_SEQ_CST);
        px_drain_locked(n);
        if (w->fired || result < 0)
            break;
        if (!lingered && worth_lingering(n)) {
            lingered = true;
            linger(n, w, word);
            continue;
        }
        if (!wish(bell, &word))
            continue;
        w->asleep = true;
        px_unlock(&n->lock);
        px_names_settle();
        long r = px_wait(&bell->word, word, PX_WAIT_SHARED, PX_MIN(deadline, timer));
        px_lock(&n->lock);
        w->asleep = false;
        if (r == -ETIMEDOUT ? px_now() >= deadline : r < 0 && r != -EAGAIN)
            result = r; /* and a last look */
    }
    n->leader = NULL;
    __atomic_fetch_and(&bell->word, ~IO_DOORBELL_WAITING, __ATOMIC_RELAXED);
    return w->fired ? 0 : result;
}

static long follow(struct px_net *n, struct px_waiter *w, uint64_t deadline)
{
    w->word = 0;
    w->follows = w->asleep = true;
    w->prev = NULL;
    w->next = n->followers;
    if (w->next)
        w->next->prev = w;
    n->followers = w;
    px_unlock(&n->lock);
    px_names_settle();
    long result = px_wait(&w->word, 0, 0, deadline);
    px_lock(&n->lock);
    w->follows = w->asleep = false;
    if (w->next)
        w->next->prev = w->prev;
    if (w->prev)
        w->prev->next = w->next;
    else
        n->followers = w->next;
    return result == -EAGAIN ? 0 : result;
}

/* Somebody must listen to the doorbell as long as anybody waits. */
static void pass_lead_on(struct px_net *n)
{
    if (n->leader)
        return;
    for (struct px_waiter *w = n->followers; w; w = w->next)
        if (!w->fired) {
            wake_follower(w);
            return;
        }
}

long px_waiter_wait_locked(struct px_net *n, struct px_waiter *w, uint64_t deadline)
{
    long result = 0;
    while (!w->fired && result == 0)
        result = n->leader ? follow(n, w, deadline) : lead(n, w, deadline);
    pass_lead_on(n);
    return w->fired ? 0 : result;
}

long px_file_wait(struct px_file *f, uint32_t events, uint64_t deadline)
{
    struct px_net *n = px_net();
    struct px_waiter waiter = {0};
    struct px_watch watch = {.events = events, .waiter = &waiter};
    long result = px_doorbell_need(n);
    if (result < 0)
        return result;
    px_lock(&n->lock);
    px_watch_add_locked(&watch, f);
    if (!(f->ops->ready(f, events, true) & (events | POLLERR | POLLHUP)))
        result = px_waiter_wait_locked(n, &waiter, deadline);
    px_watch_remove_locked(&watch);
    px_unlock(&n->lock);
    return result;
}
