/* SPDX-License-Identifier: MIT */
/*
 * Pipes: pipe(7). Two objects, a reader and a writer, over one ring that the engine keeps: bytes
 * move by calls, so a pipe whose writer is killed in the middle is as good as any other. A ring
 * begins small and grows to the pipe's capacity as it fills; all rings together have a bound, at
 * which they stop growing.
 */
#include "session.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define CAPACITY 65536u
#define SMALL    4096u
_Static_assert(SMALL >= PIPE_BUF, "what must be atomic fits in the smallest ring");

struct pipe {
    struct tty_object reader, writer;
    uint64_t reader_badge, writer_badge;
    uint32_t readers, writers; /* gates */
    struct bytes ring;
    uint32_t before; /* head or tail before the last write or read */
};

static uint64_t rings_bytes, rings_limit;
static uint32_t last_number;

static struct pipe *of_reader(struct tty_object *o)
{
    return (struct pipe *)((char *)o - offsetof(struct pipe, reader));
}

static struct pipe *of_writer(struct tty_object *o)
{
    return (struct pipe *)((char *)o - offsetof(struct pipe, writer));
}

/* ---- the ring ---- */

static bool ring_resize(struct pipe *p, uint32_t size)
{
    struct bytes *r = &p->ring, new = {.size = size};
    if (size > r->size && (rings_bytes + size > rings_limit || memory_low()))
        return false;
    if (!(new.at = malloc(size)))
        return false;
    while (bytes_used(r))
        bytes_put(&new, bytes_take(r));
    rings_bytes += size;
    rings_bytes -= r->size;
    free(r->at);
    *r = new;
    return true;
}

/* Room for n bytes, or as much as there can be. */
static uint32_t ring_room(struct pipe *p, uint64_t n)
{
    struct bytes *r = &p->ring;
    if (!bytes_used(r) && r->size > SMALL && n <= SMALL)
        ring_resize(p, SMALL);
    while (bytes_free(r) < n && r->size < CAPACITY && ring_resize(p, r->size * 2))
        ;
    return bytes_free(r);
}

/* ---- the reader's end ---- */

static int64_t pipe_read(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                         bool *eof, uint64_t *again)
{
    struct pipe *p = of_reader(o);
    (void)since, (void)again;
    p->before = p->ring.tail;
    *eof = !size || (!bytes_used(&p->ring) && !p->writers);
    return bytes_to_caller(&p->ring, token, size);
}

static void reader_undo(struct tty_object *o, bool write)
{
    (void)write;
    of_reader(o)->ring.tail = of_reader(o)->before;
}

static uint32_t reader_ready(struct tty_object *o)
{
    struct pipe *p = of_reader(o);
    return (bytes_used(&p->ring) ? POLLIN | POLLRDNORM : 0) | (p->writers ? 0 : POLLHUP);
}

/* ---- the writer's end ---- */

static int64_t fill(struct bytes *r, uint64_t token, uint64_t size)
{
    uint64_t done = 0;
    while (done < size) {
        uint32_t at = r->head & (r->size - 1);
        uint64_t n = r->size - at < size - done ? r->size - at : size - done;
        int64_t got = token_read(token, done, r->at + at, n);
        if (got <= 0)
            return done ? (int64_t)done : got ? got : -EFAULT;
        r->head += (uint32_t)got;
        done += (uint64_t)got;
    }
    return (int64_t)done;
}

static int64_t pipe_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    struct pipe *p = of_writer(o);
    if (!p->readers)
        return -EPIPE;
    uint64_t n = size < CAPACITY ? size : CAPACITY;
    uint32_t room = ring_room(p, n);
    if (room < n && n <= PIPE_BUF)
        return 0; /* all at once, or not yet */
    p->before = p->ring.head;
    return fill(&p->ring, token, n < room ? n : room);
}

static void writer_undo(struct tty_object *o, bool write)
{
    (void)write;
    of_writer(o)->ring.head = of_writer(o)->before;
}

static uint32_t writer_ready(struct tty_object *o)
{
    struct pipe *p = of_writer(o);
    if (!p->readers)
        return POLLERR | POLLOUT | POLLWRNORM;
    return CAPACITY - bytes_used(&p->ring) >= PIPE_BUF ? POLLOUT | POLLWRNORM : 0;
}

/* ---- both ---- */

static int64_t unread(struct pipe *p, struct motor_event *ev)
{
    uint32_t used = bytes_used(&p->ring);
    if (ev->word[0] != FIONREAD)
        return -ENOTTY;
    int64_t n = event_write(ev, 0, &used, sizeof used);
    return n < 0 ? n : n < (int64_t)sizeof used ? -EFAULT : 0;
}

static int64_t reader_control(struct tty_object *o, struct motor_event *ev, bool waited)
{
    (void)waited;
    return unread(of_reader(o), ev);
}

static int64_t writer_control(struct tty_object *o, struct motor_event *ev, bool waited)
{
    (void)waited;
    return unread(of_writer(o), ev);
}

static void pipe_free(struct pipe *p)
{
    session_forget(&p->reader);
    session_forget(&p->writer);
    if (p->reader_badge)
        badge_remove(&tty_engine.badges, p->reader_badge);
    if (p->writer_badge)
        badge_remove(&tty_engine.badges, p->writer_badge);
    rings_bytes -= p->ring.size;
    free(p->ring.at);
    free(p);
}

static void reader_closed(struct tty_object *o)
{
    struct pipe *p = of_reader(o);
    if (--p->readers == 0 && !p->writers)
        pipe_free(p);
}

static void writer_closed(struct tty_object *o)
{
    struct pipe *p = of_writer(o);
    if (--p->writers == 0 && !p->readers)
        pipe_free(p);
}

static const struct tty_ops reader_ops = {
    .read = pipe_read,
    .undo = reader_undo,
    .control = reader_control,
    .ready = reader_ready,
};

static const struct tty_ops writer_ops = {
    .write = pipe_write,
    .undo = writer_undo,
    .control = writer_control,
    .ready = writer_ready,
};

static struct tty_object end(const struct tty_ops *ops, void (*closed)(struct tty_object *))
{
    return (struct tty_object){.badge_kind = BADGE_OBJECT,
                               .ops = ops,
                               .closed = closed,
                               .number = last_number,
                               .mode = S_IFIFO | 0600,
                               .no_read = !ops->read,
                               .no_write = !ops->write};
}

static struct pipe *pipe_new(void)
{
    struct pipe *p = memory_low() ? NULL : calloc(1, sizeof *p);
    if (!p)
        return NULL;
    last_number++;
    p->reader = end(&reader_ops, reader_closed);
    p->writer = end(&writer_ops, writer_closed);
    p->reader_badge = badge_add(&tty_engine.badges, &p->reader);
    p->writer_badge = badge_add(&tty_engine.badges, &p->writer);
    if (p->reader_badge && p->writer_badge && ring_resize(p, SMALL))
        return p;
    pipe_free(p);
    return NULL;
}

void pipes_init(uint64_t memory)
{
    rings_limit = memory / 16;
    counter_register("tty", "pipe_bytes", &rings_bytes);
}

int64_t pipe_open(motor_handle ends[2])
{
    struct pipe *p = pipe_new();
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
    p->readers = p->writers = 1;
    ends[0] = (motor_handle)reader;
    ends[1] = (motor_handle)writer;
    return 0;
}
