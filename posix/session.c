/* SPDX-License-Identifier: MIT */
/*
 * Sessions with engines: opening, slots, and telling. See <motor/io.h>.
 *
 * owners[slot] is the file of the slot, or, when that was closed before the engine was done with
 * the slot: page << 16 | order << 8 | LEFT_RING       a tx ring that still holds bytes
 *   tail << 16 | LEFT_LISTENER                an accept queue: connections that nobody took must be
 * closed, those before tail have been; the slot's own tail tells the engine which were accepted
 * until the engine says that the slot is free (kind IO_SLOT_FREE and the bit), or gives it
 * out again.
 */
#include "watch.h"

#define LEFT_RING     1u
#define LEFT_LISTENER 2u
#define LEFT_MASK     3u

#define OWNERS_BYTES (IO_SLOTS * sizeof(uint64_t))

/* The memory of its owners is what a forked child can use of its parent's session. [open lock] */
static uint64_t *owners_left(struct px_net *n, unsigned which)
{
    struct px_session *s = n->session_left[which];
    uint64_t *owners = s ? s->owners : NULL;
    n->session_left[which] = NULL;
    for (uint32_t i = 0; s && i < RING_CLASSES; i++)
        px_free(s->free_rings[i].pages);
    px_free(s);
    return owners;
}

/* Zeroed: new, or what was left. [open lock] */
static uint64_t *owners_new(struct px_net *n, unsigned which)
{
    uint64_t *left = owners_left(n, which);
    if (left && motor_advise((uint64_t)left, OWNERS_BYTES, MOTOR_ADVISE_DONTNEED) >= 0)
        return left;
    if (left)
        px_unmap(left, OWNERS_BYTES);
    return px_map(OWNERS_BYTES);
}

/* [open lock] */
static struct px_session *open_session(struct px_net *n, unsigned which, motor_handle connector,
                                       long *error)
{
    struct px_session *s = px_alloc(sizeof *s);
    int64_t self = motor_handle_dup(0, MOTOR_RIGHT_INSTALL | MOTOR_RIGHT_DUP);
    struct motor_msg msg = {.op = IO_SESSION_OPEN, .nhandles = 2, .deadline = MOTOR_NEVER};
    *error = -ENOMEM;
    if (!s || self < 0 || !(s->owners = owners_new(n, which)))
        goto fail;
    msg.handle[0] = (motor_handle)self;
    msg.handle[1] = n->doorbell_vmo;
    *error = px_call(connector, &msg);
    motor_handle_close((motor_handle)self);
    self = -1;
    if (*error < 0)
        goto fail;
    *error = -EIO;
    if (msg.nhandles != 2)
        goto fail;
    s->gate = msg.handle[0];
    int64_t at = px_map_unforked(msg.handle[1], IO_ARENA_SIZE);
    motor_handle_close(msg.handle[1]);
    if (at < 0) {
        motor_handle_close(s->gate);
        *error = -ENOMEM;
        goto fail;
    }
    s->arena = (uint8_t *)at;
    s->header = (struct io_session *)s->arena;
    s->to_client = (struct io_bitmap *)(s->arena + IO_ARENA_TO_CLIENT);
    s->to_engine = (struct io_bitmap *)(s->arena + IO_ARENA_TO_ENGINE);
    s->slots = (struct io_slot *)(s->arena + IO_ARENA_SLOTS);
    s->rings_end = IO_ARENA_CLIENT_RINGS / 4096;
    *error = 0;
    return s;
fail:
    if (self > 0)
        motor_handle_close((motor_handle)self);
    if (s && s->owners)
        px_unmap(s->owners, OWNERS_BYTES);
    px_free(s);
    return NULL;
}

struct px_session *px_session_get(unsigned which, long *error)
{
    struct px_net *n = px_net();
    struct px_session *s = __atomic_load_n(&n->session[which], __ATOMIC_ACQUIRE);
    if (s)
        return s;
    if ((*error = px_doorbell_need(n)) < 0)
        return NULL;
    px_lock(&n->open_lock);
    s = n->session[which];
    if (!s) {
        motor_handle connector = which == PX_SESSION_NET ? px_proc()->net : px_proc()->tty;
        *error = -ENETDOWN;
        s = connector ? open_session(n, which, connector, error) : NULL;
        if (s)
            __atomic_store_n(&n->session[which], s, __ATOMIC_RELEASE);
    }
    px_unlock(&n->open_lock);
    return s;
}

void px_session_mark(struct px_session *s, uint32_t slot)
{
    uint32_t word = slot / 64;
    __atomic_fetch_or(&s->to_engine->bits[word], 1ull << slot % 64, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&s->to_engine->summary[word / 64], 1ull << word % 64, __ATOMIC_SEQ_CST);
}

void px_session_tell(struct px_session *s, uint32_t slot)
{
    px_session_mark(s, slot);
    if (__atomic_load_n(&s->header->engine_asleep, __ATOMIC_SEQ_CST) &&
        __atomic_exchange_n(&s->header->engine_asleep, 0, __ATOMIC_SEQ_CST))
        motor_notify(s->gate);
}

/* ---- slots ---- */

/* Closes the handles of connections that were never accepted. */
static uint32_t discard_accepts(struct px_session *s, uint32_t slot, uint32_t tail)
{
    struct io_slot *shared = &s->slots[slot];
    uint32_t head = __atomic_load_n(&shared->rx_head, __ATOMIC_ACQUIRE);
    uint64_t place = __atomic_load_n(&shared->rx_place, __ATOMIC_RELAXED);
    for (struct io_accept record; px_rx_copy(s, place, tail, head, &record, sizeof record);
         tail += sizeof record)
        if (record.handle)
            motor_handle_close(record.handle);
    return tail;
}

static void settle_locked(struct px_session *s, uint32_t slot)
{
    uint64_t left = s->owners[slot];
    s->owners[slot] = 0;
    if ((left & LEFT_MASK) == LEFT_RING)
        px_ring_free(s, (uint32_t)(left >> 16), (uint32_t)(left >> 8) & 0xff);
    else if ((left & LEFT_MASK) == LEFT_LISTENER)
        discard_accepts(s, slot, (uint32_t)(left >> 16));
}

void px_session_attach(struct px_session *s, uint32_t slot, struct px_file *f)
{
    struct px_net *n = px_net();
    px_lock(&n->lock);
    if (s->owners[slot] & LEFT_MASK) {
        if ((s->owners[slot] & LEFT_MASK) == LEFT_LISTENER)
            s->owners[slot] = 0; /* the queue is gone: the slot's words are the new stream's */
        settle_locked(s, slot);
    }
    s->owners[slot] = (uint64_t)f;
    px_unlock(&n->lock);
}

void px_session_detach(struct px_session *s, uint32_t slot, uint32_t ring_page, uint32_t ring_order,
                       bool listener)
{
    struct px_net *n = px_net();
    px_lock(&n->lock);
    uint64_t left = 0;
    if (listener)
        left = (uint64_t)discard_accepts(s, slot, s->slots[slot].rx_tail) << 16 | LEFT_LISTENER;
    else if (ring_page)
        left = (uint64_t)ring_page << 16 | (uint64_t)ring_order << 8 | LEFT_RING;
    s->owners[slot] = left;
    px_unlock(&n->lock);
}

void px_session_slot_signalled_locked(struct px_session *s, uint32_t slot)
{
    uint64_t owner = s->owners[slot];
    if (owner & LEFT_MASK) {
        if (__atomic_load_n(&s->slots[slot].kind, __ATOMIC_ACQUIRE) == IO_SLOT_FREE)
            settle_locked(s, slot);
    } else if (owner) {
        struct px_file *f = (struct px_file *)owner;
        if (f->protocol == MOTOR_FD_SOCKET)
            px_stream_signalled(f);
        px_file_changed_locked(f);
    }
}

/* ---- sessions that have only bits ---- */

long px_session_bit(struct px_session *s, struct px_file *f)
{
    long result = -ENFILE;
    for (uint32_t i = 0, bit = s->bit_hint; i < IO_SLOTS && result < 0; i++, bit++)
        if (!s->owners[bit % IO_SLOTS]) {
            s->owners[bit % IO_SLOTS] = (uint64_t)f;
            s->bit_hint = (bit + 1) % IO_SLOTS;
            result = bit % IO_SLOTS;
        }
    return result;
}

void px_session_bit_free(struct px_session *s, uint32_t bit)
{
    struct px_net *n = px_net();
    px_lock(&n->lock);
    s->owners[bit] = 0;
    s->bit_hint = bit;
    px_unlock(&n->lock);
}

/* What anybody here waits for at the file: it has one bit, and so one mask. [px_net.lock] */
static uint32_t watched_events(const struct px_file *f)
{
    uint32_t events = 0;
    for (const struct px_watch *w = f->watches; w; w = w->next)
        events |= w->events;
    return events;
}

/* how: w1 of IO_POLL. What it answers in w0 is in *w0. */
static uint32_t session_poll(struct px_file *f, uint32_t *bit, uint32_t events, uint64_t how,
                             uint64_t *w0)
{
    struct px_net *n = px_net();
    struct px_session *s = __atomic_load_n(&n->session[PX_SESSION_TTY], __ATOMIC_ACQUIRE);
    struct motor_msg msg = {.op = IO_POLL, .deadline = MOTOR_NEVER};
    msg.word[0] = events | POLLERR | POLLHUP;
    if (how && s) {
        if (!*bit) {
            long free = px_session_bit(s, f);
            *bit = free < 0 ? 0 : (uint32_t)free + 1;
        }
        msg.word[0] |= watched_events(f);
        msg.word[1] = *bit ? how : 0;
        msg.word[2] = *bit - 1;
        msg.nhandles = *bit != 0;
        msg.handle[0] = s->gate;
    }
    long ready = px_call(f->handle, &msg);
    *w0 = msg.word[0];
    return ready < 0 ? POLLERR : (uint32_t)ready;
}

uint32_t px_session_poll(struct px_file *f, uint32_t *bit, uint32_t events, bool arm)
{
    uint64_t w0;
    return session_poll(f, bit, events, arm, &w0) & (events | POLLERR | POLLHUP);
}

uint32_t px_session_poll_lent(struct px_file *f, uint32_t *bit, bool *lent)
{
    uint64_t w0 = 0;
    uint32_t ready = session_poll(f, bit, 0, IO_POLL_LENT, &w0);
    *lent = w0 == 1;
    return ready;
}

void px_session_unpoll(uint32_t bit)
{
    if (bit)
        px_session_bit_free(px_net()->session[PX_SESSION_TTY], bit - 1);
}
