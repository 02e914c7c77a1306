/* SPDX-License-Identifier: MIT */
/* Rings on loan: see loan.h. What the other side writes is read once, and checked. */
#include "loan.h"
#include "watch.h"

#define ASK_FIRST 4u /* calls before the first question */
#define ASK_LAST  1024u

struct px_loan {
    uint32_t refs; /* [atomic] the file's, and of those that sleep */
    struct io_loan *shared;
    size_t mapped;
    struct io_loan_ring *in, *out; /* NULL: not in this direction */
    const uint8_t *in_bytes;
    uint8_t *out_bytes;
    uint32_t size;                      /* of a ring, */
    uint32_t in_capacity, out_capacity; /* and of it what may be in use */
    bool more;                          /* when that is not enough, a call finds more room */
    /* [px_net.lock] of one whose IO_POLL_LENT is armed: */
    struct px_file *file;         /* NULL: it is not */
    struct px_loan *next, **link; /* px_net.watched_loans */
    bool in_watched, out_watched; /* the wishes made, and not seen to be cleared yet */
};

/* ---- words that say that this process has gone ---- */

static struct {
    struct px_mutex lock;
    struct motor_robust_words *list;
    bool known; /* to the kernel */
} robust;

static bool robust_start(void)
{
    if (!robust.list)
        robust.list = px_map(sizeof *robust.list);
    if (robust.list && !robust.known)
        robust.known = motor_process_set(0, MOTOR_PSET_ROBUST_WORDS, (uint64_t)robust.list) >= 0;
    return robust.known;
}

static bool robust_add(uint32_t *word)
{
    bool done = !word;
    px_lock(&robust.lock);
    for (uint64_t i = 0; !done && robust_start() && i < MOTOR_ROBUST_WORDS_MAX; i++)
        if (!robust.list->word[i]) {
            robust.list->count = PX_MAX(robust.list->count, i + 1);
            robust.list->word[i] = (uint64_t)word;
            done = true;
        }
    px_unlock(&robust.lock);
    return done;
}

static void robust_remove(const uint32_t *word)
{
    px_lock(&robust.lock);
    for (uint64_t i = 0; word && robust.list && i < robust.list->count; i++)
        if (robust.list->word[i] == (uint64_t)word)
            robust.list->word[i] = 0;
    px_unlock(&robust.lock);
}

void px_loans_forked(void)
{
    robust.lock.word = 0;
    robust.known = false;
    if (robust.list && robust.list->count) /* else a write would copy the page for nothing */
        memset(robust.list, 0, sizeof *robust.list);
}

/* ---- life ---- */

static uint32_t *own_in(const struct px_loan *l)
{
    return l->in ? &l->in->tail : NULL;
}

static uint32_t *own_out(const struct px_loan *l)
{
    return l->out ? &l->out->head : NULL;
}

static void loan_put(struct px_loan *l)
{
    if (__atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL))
        return;
    robust_remove(own_in(l));
    robust_remove(own_out(l));
    px_unmap(l->shared, l->mapped);
    px_free(l);
}

static void unwatch_locked(struct px_loan *l)
{
    if (!l || !l->file)
        return;
    *l->link = l->next;
    if (l->next)
        l->next->link = l->link;
    l->file = NULL;
}

static struct px_loan *exchange(struct px_file *f, struct px_loan *from, struct px_loan *to)
{
    struct px_lent *o = &f->lent;
    struct px_net *n = px_net();
    px_lock(&o->in_lock);
    px_lock(&o->out_lock);
    px_lock(&n->lock);
    struct px_loan *old = o->loan;
    if (old == from) {
        unwatch_locked(old);
        o->loan = to;
    }
    px_unlock(&n->lock);
    px_unlock(&o->out_lock);
    px_unlock(&o->in_lock);
    return old;
}

/* It has ended. */
static void drop(struct px_file *f, struct px_loan *l)
{
    if (exchange(f, l, NULL) == l)
        loan_put(l);
}

static void say_gone(uint32_t *index, const uint32_t *wanted)
{
    __atomic_fetch_or(index, IO_LOAN_GONE, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(wanted, __ATOMIC_SEQ_CST))
        px_wake(index, UINT32_MAX, PX_WAIT_SHARED);
}

void px_loan_release(struct px_file *f)
{
    struct px_loan *l = f->lent.loan;
    if (!l)
        return;
    if (l->in)
        say_gone(&l->in->tail, &l->in->write_wanted);
    if (l->out)
        say_gone(&l->out->head, &l->out->read_wanted);
    drop(f, l);
}

void px_loan_forked_file(struct px_file *f)
{
    px_free(f->lent.loan); /* its memory is not mapped here */
    f->lent.loan = NULL;
    f->lent.in_lock.word = f->lent.out_lock.word = 0;
    f->lent.asking = false;
    f->lent.calls = 0;
}

/* ---- asking ---- */

/* The answer to IO_LOAN, mapped; NULL: no memory, or it makes no sense. */
static struct px_loan *loan_map(const struct motor_msg *msg, bool pipe)
{
    struct px_loan *l = px_alloc(sizeof *l);
    uint64_t side = msg->word[0], size = msg->word[1], rings = pipe ? 1 : 2;
    int64_t at = -ENOMEM;
    if (l && side < 2 && size >= 4096 && size <= 1u << 24 && !(size & (size - 1)) &&
        msg->word[2] <= size && msg->word[4] <= size)
        at = px_map_unforked(msg->handle[0], IO_LOAN_BYTES + rings * size);
    if (at < 0) {
        px_free(l);
        return NULL;
    }
    *l = (struct px_loan){.refs = 1,
                          .shared = (struct io_loan *)at,
                          .mapped = IO_LOAN_BYTES + rings * size,
                          .size = (uint32_t)size,
                          .in_capacity = (uint32_t)msg->word[4],
                          .out_capacity = (uint32_t)msg->word[2],
                          .more = msg->word[3]};
    uint8_t *bytes = (uint8_t *)at + IO_LOAN_BYTES;
    uint64_t in = pipe ? 0 : 1 - side, out = pipe ? 0 : side;
    if (!pipe || side == 0) {
        l->in = &l->shared->ring[in];
        l->in_bytes = bytes + in * size;
    }
    if (!pipe || side == 1) {
        l->out = &l->shared->ring[out];
        l->out_bytes = bytes + out * size;
    }
    return l;
}

static struct px_loan *borrow(struct px_file *f)
{
    struct motor_msg msg = {.op = IO_LOAN, .nhandles = 1, .deadline = MOTOR_NEVER};
    int64_t self = motor_handle_dup(0, MOTOR_RIGHT_INSTALL | MOTOR_RIGHT_DUP);
    if (self < 0)
        return NULL;
    msg.handle[0] = (motor_handle)self;
    long error = px_call(f->handle, &msg);
    motor_handle_close((motor_handle)self);
    if (error < 0 || msg.nhandles != 1)
        return NULL;
    struct px_loan *l = loan_map(&msg, f->kind == PX_PIPE);
    motor_handle_close(msg.handle[0]);
    if (l && robust_add(own_in(l)) && robust_add(own_out(l)))
        return l;
    if (l)
        loan_put(l);
    return NULL;
}

static bool ask(struct px_file *f)
{
    struct motor_msg ready = {.op = IO_LOAN, .word = {1}, .deadline = MOTOR_NEVER};
    struct px_loan *l = borrow(f);
    if (!l)
        return false;
    exchange(f, NULL, l); /* nobody else has: f->lent.asking */
    return px_call(f->handle, &ready) >= 0;
}

void px_loan_wanted(struct px_file *f)
{
    struct px_lent *o = &f->lent;
    uint32_t calls = PX_GLANCE(o->calls) + 1, after = PX_MAX(PX_GLANCE(o->ask_after), ASK_FIRST);
    PX_SET(o->calls, calls);
    if (calls < after || __atomic_load_n(&o->loan, __ATOMIC_RELAXED) ||
        __atomic_exchange_n(&o->asking, true, __ATOMIC_ACQUIRE))
        return;
    PX_SET(o->calls, 0);
    if (!__atomic_load_n(&o->loan, __ATOMIC_RELAXED))
        PX_SET(o->ask_after, ask(f) ? ASK_FIRST : PX_MIN(after * 2, ASK_LAST));
    __atomic_store_n(&o->asking, false, __ATOMIC_RELEASE);
}

/* ---- the rings ---- */

/* Worth a lock. */
static bool has_loan(const struct px_file *f)
{
    return __atomic_load_n(&f->lent.loan, __ATOMIC_RELAXED);
}

struct view { /* of a ring, at one moment */
    uint32_t head, tail, used;
};

/* false: it has ended, or makes no sense, which is the same. */
static bool look(const struct px_loan *l, const struct io_loan_ring *r, struct view *v)
{
    v->tail = __atomic_load_n(&r->tail, __ATOMIC_SEQ_CST);
    v->head = __atomic_load_n(&r->head, __ATOMIC_SEQ_CST);
    v->used = io_loan_used(v->head, v->tail);
    return !((v->head | v->tail) & IO_LOAN_GONE) && v->used <= l->size;
}

static bool active(const struct px_loan *l)
{
    return __atomic_load_n(&l->shared->active, __ATOMIC_ACQUIRE);
}

static bool advance(uint32_t *index, uint32_t from, size_t n)
{
    return __atomic_compare_exchange_n(index, &from, (from + (uint32_t)n) & ~IO_LOAN_GONE, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static uint32_t room(const struct px_loan *l, const struct view *v)
{
    return v->used < l->out_capacity ? l->out_capacity - v->used : 0;
}

bool px_loan_look(struct px_file *f, struct px_loan_state *out)
{
    const struct px_loan *l = f->lent.loan;
    struct view v;
    *out = (struct px_loan_state){0};
    if (!l || !active(l))
        return false;
    if (l->in) {
        if (!look(l, l->in, &v))
            return false;
        out->readable = v.used;
    }
    if (l->out) {
        if (!look(l, l->out, &v))
            return false;
        out->unread = v.used;
        out->room = room(l, &v);
        out->capacity = l->out_capacity;
        out->more = l->more;
    }
    return true;
}

bool px_loan_look_alone(struct px_file *f, struct px_loan_state *out)
{
    struct px_net *n = px_net();
    if (!has_loan(f))
        return false;
    px_lock(&n->lock);
    bool known = px_loan_look(f, out);
    px_unlock(&n->lock);
    return known;
}

/* The engine wakes this process from now on, when it is notified. */
static bool watch(struct px_file *f, struct px_loan *l)
{
    struct px_net *n = px_net();
    bool lent = l->file;
    if (!lent)
        px_session_poll_lent(f, &f->local.bit, &lent);
    if (lent && !l->file) {
        l->file = f;
        l->next = n->watched_loans;
        l->link = &n->watched_loans;
        if (l->next)
            l->next->link = &l->next;
        n->watched_loans = l;
    }
    return lent;
}

bool px_loan_watch(struct px_file *f, bool in, uint32_t out, struct px_loan_state *state)
{
    struct px_loan *l = f->lent.loan;
    if (!l || !active(l) || !watch(f, l))
        return false;
    if (in && l->in) {
        __atomic_store_n(&l->in->read_watched, 1, __ATOMIC_SEQ_CST);
        l->in_watched = true;
    }
    if (out && l->out) {
        __atomic_store_n(&l->out->write_watched, out, __ATOMIC_SEQ_CST);
        l->out_watched = true;
    }
    return px_loan_look(f, state);
}

/* A wish that was made has been cleared. */
static bool is_told(const struct px_loan *l)
{
    return (l->in_watched && !__atomic_load_n(&l->in->read_watched, __ATOMIC_SEQ_CST)) ||
           (l->out_watched && !__atomic_load_n(&l->out->write_watched, __ATOMIC_SEQ_CST));
}

void px_loans_look_locked(struct px_net *n)
{
    for (struct px_loan *l = n->watched_loans; l; l = l->next)
        if (is_told(l)) {
            l->in_watched = l->out_watched = false;
            px_file_changed_locked(l->file); /* makes them anew, if there is need */
        }
}

/*
 * Sleeps until *index is not `seen`; the wish has been made, and the ring looked at since. Gives up
 * the lock. 0: look again.
 */
static long sleep_on(struct px_file *f, struct px_loan *l, uint32_t *index, uint32_t seen,
                     struct px_mutex *lock, uint64_t deadline)
{
    __atomic_fetch_add(&l->refs, 1, __ATOMIC_RELAXED);
    px_unlock(lock);
    long result = px_wait(index, seen, PX_WAIT_SHARED, deadline);
    loan_put(l);
    px_lock(lock);
    if (f->lent.loan != l)
        return -PX_BY_CALL;
    return result == -EAGAIN ? 0 : result;
}

/* Of the other side, which polls: the engine tells it. */
static void tell(const struct px_file *f, uint32_t *watched)
{
    __atomic_store_n(watched, 0, __ATOMIC_SEQ_CST);
    motor_notify(f->handle);
}

static void wake_reader(const struct px_file *f, struct io_loan_ring *r)
{
    if (__atomic_load_n(&r->read_watched, __ATOMIC_SEQ_CST))
        tell(f, &r->read_watched);
    if (__atomic_load_n(&r->read_wanted, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&r->read_wanted, 0, __ATOMIC_SEQ_CST);
        px_wake(&r->head, UINT32_MAX, PX_WAIT_SHARED);
    }
}

/* So much of the ring is in use yet. */
static void wake_writer(const struct px_file *f, const struct px_loan *l, uint32_t used)
{
    struct io_loan_ring *r = l->in;
    uint32_t wanted = __atomic_load_n(&r->write_wanted, __ATOMIC_SEQ_CST),
             watched = __atomic_load_n(&r->write_watched, __ATOMIC_SEQ_CST),
             room = l->in_capacity - PX_MIN(l->in_capacity, used);
    if (watched && watched <= room)
        tell(f, &r->write_watched);
    if (wanted && wanted <= room) {
        __atomic_store_n(&r->write_wanted, 0, __ATOMIC_SEQ_CST);
        px_wake(&r->tail, UINT32_MAX, PX_WAIT_SHARED);
    }
}

/* ---- reading ---- */

static long copy_out(const struct px_loan *l, const struct px_io *io, uint32_t index, size_t n)
{
    uint32_t at = index & (l->size - 1);
    size_t first = PX_MIN(n, (size_t)(l->size - at));
    long error = px_io_put_at(io, 0, l->in_bytes + at, first);
    return error < 0 || n == first ? error : px_io_put_at(io, first, l->in_bytes, n - first);
}

/* What is there now; 0: nothing. */
static long read_now(const struct px_file *f, struct px_io *io, const struct view *v,
                     uint32_t flags)
{
    const struct px_loan *l = f->lent.loan;
    bool peek = flags & PX_IO_PEEK;
    size_t n = PX_MIN((size_t)v->used, io->left);
    long error = flags & PX_IO_DISCARD ? 0 : copy_out(l, io, v->tail, n);
    if (error < 0 || n == 0)
        return error;
    if (!peek && !advance(&l->in->tail, v->tail, n))
        return -PX_BY_CALL;
    px_io_skip(io, n);
    if (!peek)
        wake_writer(f, l, v->used - (uint32_t)n);
    return (long)n;
}

static long read_locked(struct px_file *f, struct px_io *io, uint32_t flags, uint64_t deadline)
{
    struct px_loan *l = f->lent.loan;
    struct view v;
    for (;;) {
        if (!look(l, l->in, &v))
            return -PX_BY_CALL;
        if (v.used)
            return read_now(f, io, &v, flags);
        if (flags & PX_IO_NONBLOCK)
            return -EAGAIN;
        __atomic_store_n(&l->in->read_wanted, 1, __ATOMIC_SEQ_CST);
        if (!look(l, l->in, &v))
            return -PX_BY_CALL;
        if (v.used)
            continue;
        long error = sleep_on(f, l, &l->in->head, v.head, &f->lent.in_lock, deadline);
        if (error < 0)
            return error;
    }
}

/* The loan to give up, after a transfer that has to be made by a call; NULL: none. */
static struct px_loan *to_drop(const struct px_file *f, const struct io_loan_ring *r)
{
    uint32_t both =
        __atomic_load_n(&r->head, __ATOMIC_RELAXED) | __atomic_load_n(&r->tail, __ATOMIC_RELAXED);
    return both & IO_LOAN_GONE ? f->lent.loan : NULL;
}

long px_loan_read(struct px_file *f, struct px_io *io, uint32_t flags, uint64_t deadline)
{
    if (!has_loan(f) || !io->left)
        return -PX_BY_CALL;
    px_lock(&f->lent.in_lock);
    struct px_loan *l = f->lent.loan, *ended = NULL;
    long result = -PX_BY_CALL;
    if (l && l->in && active(l))
        result = read_locked(f, io, flags, deadline);
    if (result == -PX_BY_CALL && (l = f->lent.loan) && l->in)
        ended = to_drop(f, l->in);
    px_unlock(&f->lent.in_lock);
    if (ended)
        drop(f, ended);
    return result;
}

/* ---- writing ---- */

static long copy_in(const struct px_loan *l, const struct px_io *io, uint32_t index, size_t n)
{
    uint32_t at = index & (l->size - 1);
    size_t first = PX_MIN(n, (size_t)(l->size - at));
    long error = px_io_look_at(io, 0, l->out_bytes + at, first);
    return error < 0 || n == first ? error : px_io_look_at(io, first, l->out_bytes, n - first);
}

static long write_now(const struct px_file *f, struct px_io *io, const struct view *v, size_t n)
{
    const struct px_loan *l = f->lent.loan;
    long error = copy_in(l, io, v->head, n);
    if (error < 0)
        return error;
    if (!advance(&l->out->head, v->head, n))
        return -PX_BY_CALL;
    px_io_skip(io, n);
    PX_SET(l->out->pieces, l->out->pieces + 1);
    wake_reader(f, l->out);
    return (long)n;
}

/* When there is no room for what must go at once. 0: look again. */
static long wait_for_room(struct px_file *f, struct px_loan *l, size_t least, size_t left,
                          uint32_t flags, uint64_t deadline)
{
    struct view v;
    if (l->more)
        return -PX_BY_CALL;
    if (flags & PX_IO_NONBLOCK)
        return -EAGAIN;
    /* not for each few bytes, if there are many to come */
    uint32_t wish = (uint32_t)PX_MAX(least, PX_MIN(left, (size_t)l->out_capacity / 2));
    __atomic_store_n(&l->out->write_wanted, wish, __ATOMIC_SEQ_CST);
    if (!look(l, l->out, &v))
        return -PX_BY_CALL;
    if (room(l, &v) >= least)
        return 0;
    return sleep_on(f, l, &l->out->tail, v.tail, &f->lent.out_lock, deadline);
}

static long write_locked(struct px_file *f, struct px_io *io, uint32_t flags, size_t whole,
                         uint64_t deadline)
{
    struct px_loan *l = f->lent.loan;
    long done = 0, result = 0;
    while (io->left && result >= 0) {
        struct view v;
        size_t least = io->left <= whole ? io->left : 1;
        if (!look(l, l->out, &v))
            result = -PX_BY_CALL;
        else if (room(l, &v) >= least)
            result = write_now(f, io, &v, PX_MIN(io->left, (size_t)room(l, &v)));
        else
            result = wait_for_room(f, l, least, io->left, flags, deadline);
        done += result > 0 ? result : 0;
    }
    return done ? done : result;
}

long px_loan_write(struct px_file *f, struct px_io *io, uint32_t flags, size_t whole,
                   uint64_t deadline)
{
    if (!has_loan(f) || !io->left)
        return -PX_BY_CALL;
    px_lock(&f->lent.out_lock);
    struct px_loan *l = f->lent.loan, *ended = NULL;
    long result = -PX_BY_CALL;
    if (l && l->out && active(l))
        result = write_locked(f, io, flags, whole, deadline);
    if (result == -PX_BY_CALL && (l = f->lent.loan) && l->out)
        ended = to_drop(f, l->out);
    px_unlock(&f->lent.out_lock);
    if (ended)
        drop(f, ended);
    return result;
}
