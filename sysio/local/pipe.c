/* SPDX-License-Identifier: MIT */
/*
 * Pipes and FIFOs: pipe(7), fifo(7). Two objects, a reader and a writer (and for FIFOs one that is
 * both), over one ring that the engine keeps: bytes move by calls, so a pipe whose writer is killed
 * in the middle is as good as any other. A ring comes with the first bytes, small, and grows to the
 * pipe's capacity as it fills; all rings together have a bound, at which they stop growing. Each
 * pipe counts there for a small one from the beginning, so that its first bytes are never refused
 * for it.
 *
 * When one process reads and one writes, they get a ring on loan (lend.h), and what follows here is
 * not asked any more. Whatever comes as a call, but for a look, ends the loan first: then the bytes
 * are here again.
 *
 * A FIFO is the pipe of its file's rendezvous, from the first open to the last close.
 *
 * Packets (O_DIRECT): each lies in the ring behind its length in two bytes.
 */
#include "../tty/session.h"
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define CAPACITY     65536u
#define CAPACITY_MAX (1u << 20) /* for others than root: /proc/sys/fs/pipe-max-size */
#define ROOT_MAX     (16u << 20)
#define SMALL        4096u
_Static_assert(SMALL >= PIPE_BUF, "what must be atomic fits in the smallest ring");

struct pipe {
    struct tty_object reader, writer, both;
    uint64_t reader_badge, writer_badge, both_badge;
    uint32_t readers, writers;           /* gates, or opens that wait for the other end */
    uint32_t reader_opens, writer_opens; /* that there have been */
    struct bytes ring;
    uint32_t capacity;
    uint32_t before_head, before_tail; /* before the last write and read */
    bool packets;
    struct async async[3]; /* of reader, writer, both */
    struct lend *lend;     /* ring 0; side 0 reads, side 1 writes. NULL: none */
    struct lend_habit habit;
    uint64_t id; /* FIFO: its rendezvous; 0: none */
    motor_handle file;
    struct pipe *next_fifo;
};

static uint64_t rings_bytes, rings_limit;
static uint32_t last_number;
static struct pipe *fifos;

static struct pipe *pipe_of(struct tty_object *o);

/* ---- SIGIO ---- */

enum { READER, WRITER, BOTH };

static uint32_t which_end(const struct tty_object *o)
{
    return o->no_write ? READER : o->no_read ? WRITER : BOTH;
}

/* There is something to read, or room to write: for those who are at `end`. */
static void tell(const struct pipe *p, uint32_t end)
{
    async_tell(&p->async[end]);
    async_tell(&p->async[BOTH]);
}

static bool tells(const struct pipe *p)
{
    return p->async[READER].on || p->async[WRITER].on || p->async[BOTH].on;
}

/* ---- the ring ---- */

/* What a pipe counts for. */
static uint32_t ring_share(const struct bytes *r)
{
    return r->size > SMALL ? r->size : SMALL;
}

static bool ring_resize(struct pipe *p, uint32_t size)
{
    struct bytes *r = &p->ring, new = {.size = size};
    if (size > ring_share(r) && (rings_bytes + size > rings_limit || memory_low()))
        return false;
    if (!(new.at = malloc(size)))
        return false;
    while (bytes_used(r))
        bytes_put(&new, bytes_take(r));
    rings_bytes += size;
    rings_bytes -= ring_share(r);
    free(r->at);
    *r = new;
    return true;
}

/* Room for n bytes, or as much as there can be. */
static uint32_t ring_room(struct pipe *p, uint64_t n)
{
    struct bytes *r = &p->ring;
    if (!p->lend && !bytes_used(r) && r->size > SMALL && n <= SMALL)
        ring_resize(p, SMALL);
    while (bytes_free(r) < n && r->size < p->capacity &&
           ring_resize(p, r->size ? r->size * 2 : SMALL))
        ;
    return bytes_free(r);
}

/* ---- the loan ---- */

static uint32_t pipe_used(const struct pipe *p)
{
    return p->lend && p->lend->active ? lend_used(p->lend, 0) : bytes_used(&p->ring);
}

/* There is room for them: our ring is as large as long as there is a loan. */
static void take_bytes(struct pipe *p)
{
    struct bytes *r = &p->ring;
    uint32_t n = lend_used(p->lend, 0);
    r->head = r->tail = 0;
    lend_copy(p->lend, 0, 0, r->at, n);
    r->head = n;
    p->reader.news += 2;
    p->both.news += 2;
}

/* overrun: because more is to be in the pipe than the ring can hold. */
static void loan_end(struct pipe *p, bool overrun)
{
    struct lend *l = p->lend;
    if (!l)
        return;
    lend_end(l);
    if (l->active)
        take_bytes(p);
    lend_lost(&p->habit, l, overrun && l->size < p->capacity, tty_engine.now);
    lend_free(l);
    p->lend = NULL;
    session_fire(&p->reader); /* who polls the ring polls here from now on */
    session_fire(&p->writer);
}

/* Who waits in a call goes to the ring, or looks again. */
static int64_t loan_begin(struct pipe *p)
{
    struct bytes *r = &p->ring;
    uint32_t used = bytes_used(r), at = r->tail & (r->size - 1);
    uint32_t first = r->size - at < used ? r->size - at : used;
    if (!lend_fill(p->lend, 0, r->at + at, first) || !lend_fill(p->lend, 0, r->at, used - first) ||
        !lend_activate(p->lend, tty_engine.now)) {
        loan_end(p, used > p->lend->size);
        return -EAGAIN;
    }
    r->tail = r->head;
    for (int i = 0; i < 3; i++) {
        struct tty_object *const ends[] = {&p->reader, &p->writer, &p->both};
        tty_send_away(ends[i]);
        session_fire(ends[i]);
    }
    return 0;
}

static uint32_t loan_size(const struct pipe *p)
{
    uint64_t size = (uint64_t)LEND_SMALLEST << p->habit.order;
    return size < p->capacity ? (uint32_t)size : p->capacity;
}

static int64_t loan_ask(struct pipe *p, uint32_t side, const struct motor_event *ev)
{
    if (!lend_worth(&p->habit) || !p->readers || !p->writers || !ev->nhandles || tells(p))
        return -EAGAIN;
    if (p->lend && p->lend->granted[side])
        loan_end(p, false);
    if (p->ring.size < loan_size(p) && !ring_resize(p, loan_size(p)))
        return -EAGAIN;
    if (!p->lend && !(p->lend = lend_new(1, loan_size(p), ev->handle[0])))
        return -EAGAIN;
    p->lend->more[0] = p->lend->size < p->capacity;
    return local_lend(p->lend, side, ev);
}

static int64_t loan_call(struct pipe *p, struct tty_object *o, const struct motor_event *ev)
{
    uint32_t side = o == &p->writer;
    if (o == &p->both || p->packets || p->capacity > CAPACITY_MAX || p->capacity < LEND_SMALLEST)
        return -EOPNOTSUPP;
    if (!ev->word[0])
        return loan_ask(p, side, ev);
    if (!p->lend || !p->lend->granted[side])
        return -EAGAIN;
    p->lend->ready[side] = true;
    return lend_ready(p->lend) ? loan_begin(p) : 0;
}

static void pipe_settle(struct tty_object *o)
{
    loan_end(pipe_of(o), false);
}

static struct tty_object *pipe_other_end(struct tty_object *o)
{
    struct pipe *p = pipe_of(o);
    bool lent = p->lend && p->lend->active;
    return !lent || o == &p->both ? NULL : o == &p->reader ? &p->writer : &p->reader;
}

/* A transfer by a call. */
static void by_call(struct pipe *p, uint64_t size)
{
    if (p->lend && p->lend->active)
        loan_end(p, size > p->lend->size - lend_used(p->lend, 0));
    p->habit.calls++;
}

/* ---- reading ---- */

static uint32_t packet_length(const struct bytes *r)
{
    return r->at[r->tail & (r->size - 1)] | (uint32_t)r->at[(r->tail + 1) & (r->size - 1)] << 8;
}

/* One packet; what does not fit in the buffer is lost. */
static int64_t read_packet(struct bytes *r, uint64_t token, uint64_t size)
{
    if (!bytes_used(r))
        return 0;
    uint32_t length = packet_length(r), end = r->tail + 2 + length;
    r->tail += 2;
    int64_t n = bytes_to_caller(r, token, size < length ? size : length);
    r->tail = n < 0 ? end - length - 2 : end;
    return n;
}

static int64_t pipe_read(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                         bool *eof, uint64_t *again)
{
    struct pipe *p = pipe_of(o);
    (void)since, (void)again;
    by_call(p, 0);
    p->before_tail = p->ring.tail;
    *eof = !size || (!bytes_used(&p->ring) && !p->writers);
    int64_t n =
        p->packets ? read_packet(&p->ring, token, size) : bytes_to_caller(&p->ring, token, size);
    if (n > 0 && tells(p))
        tell(p, WRITER);
    return n;
}

/* ---- writing ---- */

static int64_t fill(struct bytes *r, uint64_t token, uint64_t offset, uint64_t size)
{
    uint64_t done = 0;
    while (done < size) {
        uint32_t at = r->head & (r->size - 1);
        uint64_t n = r->size - at < size - done ? r->size - at : size - done;
        int64_t got = token_read(token, offset + done, r->at + at, n);
        if (got <= 0)
            return done ? (int64_t)done : got ? got : -EFAULT;
        r->head += (uint32_t)got;
        done += (uint64_t)got;
    }
    return (int64_t)done;
}

static int64_t write_packets(struct pipe *p, uint64_t token, uint64_t size)
{
    uint64_t done = 0;
    while (done < size) {
        uint32_t n = size - done < PIPE_BUF ? (uint32_t)(size - done) : PIPE_BUF;
        uint32_t start = p->ring.head;
        if (ring_room(p, n + 2) < n + 2)
            return p->ring.size ? (int64_t)done : -ENOMEM;
        start = p->ring.head;
        bytes_put(&p->ring, (uint8_t)n);
        bytes_put(&p->ring, (uint8_t)(n >> 8));
        int64_t got = fill(&p->ring, token, done, n);
        if (got < (int64_t)n) { /* all of a packet, or nothing */
            p->ring.head = start;
            return done ? (int64_t)done : got < 0 ? got : -EFAULT;
        }
        done += n;
    }
    return (int64_t)done;
}

static int64_t write_some(struct pipe *p, uint64_t token, uint64_t size)
{
    if (!p->readers)
        return -EPIPE;
    by_call(p, size);
    p->before_head = p->ring.head;
    p->reader.news += 2; /* odd: never 0 */
    p->both.news += 2;
    if (p->packets)
        return write_packets(p, token, size);
    uint64_t n = size < p->capacity ? size : p->capacity;
    uint32_t room = ring_room(p, n);
    if (n && !p->ring.size)
        return -ENOMEM;
    if (room < n && n <= PIPE_BUF)
        return 0; /* all at once, or not yet */
    return fill(&p->ring, token, 0, n < room ? n : room);
}

static int64_t pipe_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    struct pipe *p = pipe_of(o);
    int64_t n = write_some(p, token, size);
    if (n > 0 && tells(p))
        tell(p, READER);
    return n;
}

static void pipe_undo(struct tty_object *o, bool write)
{
    struct pipe *p = pipe_of(o);
    if (write)
        p->ring.head = p->before_head;
    else
        p->ring.tail = p->before_tail;
}

/* ---- readiness ---- */

static uint32_t readable(const struct pipe *p)
{
    return (pipe_used(p) ? POLLIN | POLLRDNORM : 0) |
           (p->writers || !p->writer_opens ? 0 : POLLHUP);
}

static uint32_t writable(const struct pipe *p)
{
    if (!p->readers)
        return POLLERR | POLLOUT | POLLWRNORM;
    return p->capacity - pipe_used(p) >= PIPE_BUF + (p->packets ? 2u : 0) ? POLLOUT | POLLWRNORM
                                                                          : 0;
}

static uint32_t pipe_ready(struct tty_object *o)
{
    struct pipe *p = pipe_of(o);
    return (o->no_read ? 0 : readable(p)) | (o->no_write ? 0 : writable(p));
}

/* ---- other calls ---- */

static int64_t pipe_control(struct tty_object *o, struct motor_event *ev, bool waited)
{
    struct pipe *p = pipe_of(o);
    uint32_t used = p->packets && bytes_used(&p->ring) ? packet_length(&p->ring) : pipe_used(p);
    (void)waited;
    if (ev->word[0] != FIONREAD)
        return -ENOTTY;
    int64_t n = event_write(ev, 0, &used, sizeof used);
    return n < 0 ? n : n < (int64_t)sizeof used ? -EFAULT : 0;
}

static int64_t set_capacity(struct pipe *p, const struct motor_event *ev)
{
    uint64_t wanted = ev->word[0], size = SMALL;
    if (!wanted)
        return p->capacity;
    loan_end(p, false);
    if (wanted > INT32_MAX)
        return -EINVAL;
    while (size < wanted)
        size *= 2;
    if (size > p->capacity && size > CAPACITY_MAX && ev->uid)
        return -EPERM;
    if (size > ROOT_MAX)
        return -ENOMEM;
    if (size < bytes_used(&p->ring))
        return -EBUSY;
    if (p->ring.size > size && !ring_resize(p, (uint32_t)size))
        return -ENOMEM;
    p->capacity = (uint32_t)size;
    return (int64_t)size;
}

/* Bytes of one pipe into another; with `stay` they remain here, too. */
static uint64_t move_bytes(struct pipe *from, struct pipe *to, uint64_t n, bool stay)
{
    uint32_t tail = from->ring.tail, room = ring_room(to, n);
    n = n < bytes_used(&from->ring) ? n : bytes_used(&from->ring);
    n = n < room ? n : room;
    to->reader.news += 2;
    to->both.news += 2;
    for (uint64_t i = 0; i < n; i++)
        bytes_put(&to->ring, bytes_take(&from->ring));
    if (stay)
        from->ring.tail = tail;
    return n;
}

static int64_t splice_to(struct pipe *p, const struct motor_event *ev)
{
    struct tty_object *o =
        ev->nhandles && ev->handle[0] == MOTOR_HANDLE_OWN ? object_of(ev->own_badge[0]) : NULL;
    if (!o || !o->label || !S_ISFIFO(o->mode) || o->no_write || p->packets)
        return -EINVAL;
    struct pipe *to = pipe_of(o);
    if (to == p || to->packets)
        return -EINVAL;
    if (!ev->word[0])
        return 0;
    if (!to->readers)
        return -EPIPE;
    loan_end(p, false);
    loan_end(to, false);
    uint64_t most = ev->word[0] < to->capacity ? ev->word[0] : to->capacity;
    uint64_t n = move_bytes(p, to, most, ev->word[2]);
    if (n) {
        tell(to, READER);
        tell(p, WRITER);
    }
    if (n || (!bytes_used(&p->ring) && !p->writers))
        return (int64_t)n;
    return ev->word[1] & O_NONBLOCK ? -EAGAIN : CALL_WAIT;
}

/* ---- life ---- */

static void pipe_free(struct pipe *p)
{
    if (p->lend)
        lend_free(p->lend);
    struct tty_object *const ends[] = {&p->reader, &p->writer, &p->both};
    const uint64_t badges[] = {p->reader_badge, p->writer_badge, p->both_badge};
    for (int i = 0; i < 3; i++) {
        session_forget(ends[i]);
        if (badges[i])
            badge_remove(&tty_engine.badges, badges[i]);
    }
    if (p->id) {
        struct pipe **link = &fifos;
        while (*link != p)
            link = &(*link)->next_fifo;
        *link = p->next_fifo;
    }
    if (p->file)
        motor_handle_close(p->file);
    rings_bytes -= ring_share(&p->ring);
    free(p->ring.at);
    free(p);
}

static void count(struct tty_object *o, uint32_t step)
{
    struct pipe *p = pipe_of(o);
    if (!o->no_read)
        p->readers += step;
    if (!o->no_write)
        p->writers += step;
}

static void end_opened(struct tty_object *o)
{
    count(o, 1);
}

static void end_closed(struct tty_object *o)
{
    struct pipe *p = pipe_of(o);
    count(o, UINT32_MAX);
    if (!p->readers || !p->writers) {
        loan_end(p, false);
        p->async[BOTH].on = false; /* an end that nobody has hears of nothing any more */
        p->async[p->readers ? WRITER : READER].on = false;
        tell(p, p->readers ? READER : WRITER);
    }
    fifo_settle(p);
}

void fifo_settle(struct pipe *p)
{
    if (!p->readers && !p->writers)
        pipe_free(p);
}

/* ---- opening a FIFO ---- */

/* Waits for an end of the other kind that is opened after this one: *state is odd, and has its
 * count. */
static void *partner_state(uint32_t opens)
{
    return (void *)((uintptr_t)opens << 1 | 1);
}

static int64_t give_end(struct motor_event *ev, struct tty_object *o)
{
    struct pipe *p = pipe_of(o);
    uint64_t badge = o == &p->reader   ? p->reader_badge
                     : o == &p->writer ? p->writer_badge
                                       : p->both_badge;
    int64_t gate = engine_gate(&tty_engine, badge);
    if (gate < 0) {
        end_closed(o);
        return gate;
    }
    engine_reply_handle(engine_reply(&tty_engine, ev->token, 0), (motor_handle)gate,
                        MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    return CALL_ANSWERED;
}

static int64_t fifo_open(struct tty_object *o, struct motor_event *ev, void **state)
{
    struct pipe *p = pipe_of(o);
    uint32_t partners = o->no_write ? p->writers : p->readers;
    uint32_t opens = o->no_write ? p->writer_opens : p->reader_opens;
    if (!(ev->badge & RENDEZVOUS))
        return -EINVAL;
    if (*state)
        return *state == partner_state(opens) ? CALL_WAIT : give_end(ev, o);
    if (!p->file)
        p->file = event_take_handle(ev, 0);
    if (o == &p->writer && !partners && ev->word[0] & O_NONBLOCK) {
        fifo_settle(p);
        return -ENXIO;
    }
    end_opened(o);
    p->reader_opens += !o->no_read;
    p->writer_opens += !o->no_write;
    if (o == &p->both || partners || ev->word[0] & O_NONBLOCK)
        return give_end(ev, o);
    *state = partner_state(opens);
    return CALL_WAIT;
}

static void fifo_cancel(struct tty_object *o, struct motor_event *ev, void *state)
{
    (void)ev, (void)state;
    end_closed(o);
}

static int64_t give_file(struct pipe *p, struct motor_event *ev)
{
    int64_t h = p->file ? motor_handle_dup(p->file, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP) : 0;
    if (h <= 0)
        return h ? to_errno(h) : -ENOENT;
    engine_reply_handle(engine_reply(&tty_engine, ev->token, 0), (motor_handle)h,
                        MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    return CALL_ANSWERED;
}

static int64_t set_async(struct pipe *p, const struct tty_object *o, const struct motor_event *ev)
{
    loan_end(p, false);
    return async_set(&p->async[which_end(o)], ev);
}

static int64_t pipe_call(struct tty_object *o, struct motor_event *ev, void **state)
{
    switch (ev->op) {
    case IO_FIFO_OPEN:
        return fifo_open(o, ev, state);
    case IO_NAMED_FILE:
        return give_file(pipe_of(o), ev);
    case IO_LOAN:
        return loan_call(pipe_of(o), o, ev);
    case IO_ASYNC:
        return set_async(pipe_of(o), o, ev);
    case IO_PIPE_SIZE:
        return set_capacity(pipe_of(o), ev);
    case IO_PIPE_SPLICE:
        return o->no_read ? -EBADF : splice_to(pipe_of(o), ev);
    default:
        return -ENOTSOCK;
    }
}

static const struct tty_ops pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .undo = pipe_undo,
    .control = pipe_control,
    .ready = pipe_ready,
    .call = pipe_call,
    .settle = pipe_settle,
    .other_end = pipe_other_end,
    .cancel = fifo_cancel,
};

static struct pipe *pipe_of(struct tty_object *o)
{
    size_t at = o->no_write  ? offsetof(struct pipe, reader)
                : o->no_read ? offsetof(struct pipe, writer)
                             : offsetof(struct pipe, both);
    return (struct pipe *)((char *)o - at);
}

static struct tty_object end(bool no_read, bool no_write)
{
    return (struct tty_object){.badge_kind = BADGE_OBJECT,
                               .ops = &pipe_ops,
                               .opened = end_opened,
                               .closed = end_closed,
                               .number = last_number,
                               .news = 1,
                               .mode = S_IFIFO | 0600,
                               .label = "pipe",
                               .no_read = no_read,
                               .no_write = no_write};
}

static struct pipe *pipe_new(bool fifo)
{
    if (memory_low() || rings_bytes + SMALL > rings_limit)
        return NULL;
    struct pipe *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    rings_bytes += SMALL;
    last_number++;
    p->capacity = CAPACITY;
    p->reader = end(false, true);
    p->writer = end(true, false);
    p->both = end(false, false);
    p->reader_badge = badge_add(&tty_engine.badges, &p->reader);
    p->writer_badge = badge_add(&tty_engine.badges, &p->writer);
    p->both_badge = fifo ? badge_add(&tty_engine.badges, &p->both) : 0;
    if (p->reader_badge && p->writer_badge && (p->both_badge || !fifo))
        return p;
    pipe_free(p);
    return NULL;
}

struct pipe *fifo_find(uint64_t id)
{
    struct pipe *p = fifos;
    while (p && p->id != id)
        p = p->next_fifo;
    if (p || !(p = pipe_new(true)))
        return p;
    p->id = id;
    p->next_fifo = fifos;
    return fifos = p;
}

struct tty_object *fifo_opener(struct pipe *p, uint32_t flags)
{
    uint32_t access = flags & O_ACCMODE;
    return access == O_RDONLY ? &p->reader : access == O_WRONLY ? &p->writer : &p->both;
}

void pipes_init(uint64_t memory)
{
    rings_limit = memory / 16;
    lends_init(memory);
    counter_register("tty", "pipe_bytes", &rings_bytes);
}

/* Gates to a new pipe's reader and writer. */
static int64_t make(bool packets, motor_handle ends[2])
{
    struct pipe *p = pipe_new(false);
    if (!p)
        return -ENFILE;
    int64_t reader = engine_gate(&tty_engine, p->reader_badge);
    int64_t writer = reader < 0 ? reader : engine_gate(&tty_engine, p->writer_badge);
    if (writer < 0) {
        if (reader >= 0)
            motor_handle_close((motor_handle)reader); /* nobody is told: its badge goes */
        pipe_free(p);
        return writer;
    }
    p->packets = packets;
    p->readers = p->writers = p->reader_opens = p->writer_opens = 1;
    ends[0] = (motor_handle)reader;
    ends[1] = (motor_handle)writer;
    return 0;
}

void pipe_open(struct motor_event *ev)
{
    motor_handle ends[2];
    int64_t status = make(ev->word[0] & O_DIRECT, ends);
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, status);
    for (int i = 0; status == 0 && i < 2; i++)
        engine_reply_handle(r, ends[i], MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
}
