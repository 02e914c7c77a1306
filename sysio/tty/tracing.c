/* SPDX-License-Identifier: MIT */
/*
 * What a process says of its calls, for somebody who has opened /proc/PID/trace: two objects over
 * one ring. The writer is put into the process, whose runtime is told by a signal that only we can
 * send; it writes a line for each call until there is no reader. A process waits when the ring is
 * full, as it does under any tracer.
 */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#define RING_SIZE 16384u

struct tracing {
    struct tty_object reader, writer;
    uint64_t reader_badge, writer_badge;
    uint32_t readers, writers; /* gates */
    struct bytes ring;
    uint32_t before; /* head or tail before the last write or read */
};

static uint32_t last_number;

static struct tracing *of_reader(struct tty_object *o)
{
    return (struct tracing *)((char *)o - offsetof(struct tracing, reader));
}

static struct tracing *of_writer(struct tty_object *o)
{
    return (struct tracing *)((char *)o - offsetof(struct tracing, writer));
}

/* ---- the reader ---- */

static int64_t tracing_read(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                            bool *eof, uint64_t *again)
{
    struct tracing *t = of_reader(o);
    (void)since, (void)again;
    t->before = t->ring.tail;
    *eof = !size || (!bytes_used(&t->ring) && !t->writers);
    return bytes_to_caller(&t->ring, token, size);
}

static void reader_undo(struct tty_object *o, bool write)
{
    (void)write;
    of_reader(o)->ring.tail = of_reader(o)->before;
}

static uint32_t reader_ready(struct tty_object *o)
{
    struct tracing *t = of_reader(o);
    return (bytes_used(&t->ring) ? POLLIN | POLLRDNORM : 0) | (t->writers ? 0 : POLLHUP);
}

/* ---- the writer ---- */

/* Whole lines, or not yet. */
static int64_t tracing_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    struct tracing *t = of_writer(o);
    char line[2048];
    if (!t->readers)
        return -EPIPE;
    if (size > sizeof line)
        return -EINVAL;
    if (size > bytes_free(&t->ring))
        return 0;
    int64_t n = token_read(token, 0, line, size);
    if (n < (int64_t)size)
        return n < 0 ? n : -EFAULT;
    t->before = t->ring.head;
    for (int64_t i = 0; i < n; i++)
        bytes_put(&t->ring, (uint8_t)line[i]);
    return n;
}

static void writer_undo(struct tty_object *o, bool write)
{
    (void)write;
    of_writer(o)->ring.head = of_writer(o)->before;
}

static uint32_t writer_ready(struct tty_object *o)
{
    return of_writer(o)->readers ? POLLOUT | POLLWRNORM : POLLERR;
}

/* ---- life ---- */

static void tracing_free(struct tracing *t)
{
    session_forget(&t->reader);
    session_forget(&t->writer);
    if (t->reader_badge)
        badge_remove(&tty_engine.badges, t->reader_badge);
    if (t->writer_badge)
        badge_remove(&tty_engine.badges, t->writer_badge);
    free(t->ring.at);
    free(t);
}

static void reader_opened(struct tty_object *o)
{
    of_reader(o)->readers++;
}

static void writer_opened(struct tty_object *o)
{
    of_writer(o)->writers++;
}

static void reader_closed(struct tty_object *o)
{
    struct tracing *t = of_reader(o);
    if (--t->readers == 0 && !t->writers)
        tracing_free(t);
}

static void writer_closed(struct tty_object *o)
{
    struct tracing *t = of_writer(o);
    if (--t->writers == 0 && !t->readers)
        tracing_free(t);
}

static const struct tty_ops reader_ops = {
    .read = tracing_read, .undo = reader_undo, .ready = reader_ready};
static const struct tty_ops writer_ops = {
    .write = tracing_write, .undo = writer_undo, .ready = writer_ready};

static struct tracing *tracing_new(void)
{
    struct tracing *t = memory_low() ? NULL : calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->reader = (struct tty_object){.badge_kind = BADGE_OBJECT,
                                    .ops = &reader_ops,
                                    .opened = reader_opened,
                                    .closed = reader_closed,
                                    .number = ++last_number,
                                    .mode = S_IFIFO | 0400,
                                    .no_write = true};
    t->writer = t->reader;
    t->writer.ops = &writer_ops;
    t->writer.opened = writer_opened;
    t->writer.closed = writer_closed;
    t->writer.no_read = true;
    t->writer.no_write = false;
    t->ring = (struct bytes){.at = malloc(RING_SIZE), .size = RING_SIZE};
    t->reader_badge = badge_add(&tty_engine.badges, &t->reader);
    t->writer_badge = badge_add(&tty_engine.badges, &t->writer);
    if (t->ring.at && t->reader_badge && t->writer_badge)
        return t;
    tracing_free(t);
    return NULL;
}

/* Puts the writer's gate into the process and tells it so. */
static int64_t attach(uint32_t pid, motor_handle gate)
{
    int64_t process = motor_process_open(pid, MOTOR_RIGHT_READ | MOTOR_RIGHT_INSTALL);
    if (process < 0)
        return -ESRCH;
    int64_t h =
        motor_handle_install((motor_handle)process, gate, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    motor_handle_close((motor_handle)process);
    struct motor_signal s = {.signo = IO_TRACE_SIGNAL, .code = IO_TRACE_CODE};
    s.data[0] = IO_TRACE_SENDER << 32 | (uint64_t)h;
    return to_errno(h < 0 ? h : motor_signal_send(MOTOR_TO_PROCESS, pid, &s));
}

/* The first process has a pid until an init takes it. */
static bool is_this_process(uint32_t pid)
{
    struct motor_process_info own;
    return motor_process_info(0, MOTOR_PINFO_BASIC, &own, sizeof own) < 0 || own.pid == pid;
}

int64_t tracing_open(uint32_t pid)
{
    if (is_this_process(pid))
        return -EPERM; /* it has no runtime that would print, and a signal would end it */
    struct tracing *t = tracing_new();
    if (!t)
        return -ENOMEM;
    int64_t reader = engine_gate(&tty_engine, t->reader_badge);
    int64_t writer = reader < 0 ? reader : engine_gate(&tty_engine, t->writer_badge);
    if (writer < 0) {
        if (reader >= 0)
            motor_handle_close((motor_handle)reader); /* nobody is told: its badge goes */
        tracing_free(t);
        return writer;
    }
    t->readers = t->writers = 1;
    int64_t status = attach(pid, (motor_handle)writer);
    motor_handle_close((motor_handle)writer);
    if (status < 0)
        motor_handle_close((motor_handle)reader); /* both tell us, and the rest goes then */
    return status < 0 ? status : reader;
}
