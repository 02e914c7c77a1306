/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log as a device: /dev/kmsg, as Linux has it. Each read(2) gives one record; who has
 * read all waits. What is written becomes a line of the log. The kernel keeps the records, and does
 * not tell of new ones: who waits looks again now and then.
 */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define LOOK_AGAIN_NS 200000000ull
#define LINE_MAX      1024u
#define PRIORITY      6 /* informational */

struct kmsg {
    struct tty_object object;
    uint64_t badge, sequence, before;
    uint32_t gates;
};

static uint32_t last_number;

static struct kmsg *of(struct tty_object *o)
{
    return (struct kmsg *)o;
}

/* The next record; false: there is none yet. */
static bool next(const struct kmsg *k, struct motor_log_record *r)
{
    r->sequence = k->sequence;
    return motor_system_info(MOTOR_SINFO_LOG, r, sizeof *r) >= 0 && r->length <= sizeof r->text;
}

/* As Linux writes it: control characters as \xNN, and so a backslash. */
static size_t print(const struct motor_log_record *r, char *line, size_t size)
{
    int n = snprintf(line, size, "%d,%llu,%llu,-;", PRIORITY, (unsigned long long)r->sequence,
                     (unsigned long long)(r->ns / 1000));
    for (uint32_t i = 0; i < r->length; i++) {
        uint8_t c = (uint8_t)r->text[i];
        n += snprintf(line + n, size - (size_t)n,
                      c < 32 || c >= 127 || c == '\\' ? "\\x%02x" : "%c", c);
    }
    line[n++] = '\n';
    return (size_t)n;
}

static int64_t kmsg_read(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                         bool *eof, uint64_t *again)
{
    struct kmsg *k = of(o);
    struct motor_log_record r;
    char line[64 + 4 * MOTOR_LOG_TEXT];
    (void)since, (void)eof;
    k->before = k->sequence;
    if (!next(k, &r)) {
        *again = clock_monotonic_ns() + LOOK_AGAIN_NS;
        return 0;
    }
    bool lost = r.sequence != k->sequence;
    k->sequence = r.sequence;
    if (lost)
        return -EPIPE;
    size_t length = print(&r, line, sizeof line);
    if (length > size)
        return -EINVAL;
    k->sequence++;
    int64_t n = token_write(token, 0, line, length);
    return n < 0 ? n : n < (int64_t)length ? -EFAULT : n;
}

static void kmsg_undo(struct tty_object *o, bool write)
{
    if (!write)
        of(o)->sequence = of(o)->before;
}

/* A line may begin with <N>, its priority, for which the log has no place. */
static int64_t kmsg_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    char line[LINE_MAX + 1];
    (void)o;
    if (!size || size > LINE_MAX)
        return size ? -EINVAL : 0;
    int64_t n = token_read(token, 0, line, size);
    if (n < (int64_t)size)
        return n < 0 ? n : -EFAULT;
    int64_t at = 0, end = 1;
    while (end < n && line[end] >= '0' && line[end] <= '9')
        end++;
    if (n && line[0] == '<' && end > 1 && end < n && line[end] == '>')
        at = end + 1;
    if (line[n - 1] != '\n')
        line[n++] = '\n';
    motor_debug_write(line + at, (size_t)(n - at));
    return (int64_t)size;
}

static uint32_t kmsg_ready(struct tty_object *o)
{
    struct motor_log_record r;
    return POLLOUT | POLLWRNORM | (next(of(o), &r) ? POLLIN | POLLRDNORM : 0);
}

static void kmsg_opened(struct tty_object *o)
{
    of(o)->gates++;
}

static void kmsg_closed(struct tty_object *o)
{
    if (--of(o)->gates)
        return;
    session_forget(o);
    badge_remove(&tty_engine.badges, of(o)->badge);
    free(o);
}

static const struct tty_ops kmsg_ops = {
    .read = kmsg_read,
    .write = kmsg_write,
    .undo = kmsg_undo,
    .ready = kmsg_ready,
};

int64_t kmsg_open(bool writable)
{
    struct kmsg *k = memory_low() ? NULL : calloc(1, sizeof *k);
    if (!k)
        return -ENOMEM;
    k->object = (struct tty_object){.badge_kind = BADGE_OBJECT,
                                    .ops = &kmsg_ops,
                                    .opened = kmsg_opened,
                                    .closed = kmsg_closed,
                                    .number = ++last_number,
                                    .mode = S_IFCHR | 0644,
                                    .rdev = 1 << 8 | 11,
                                    .no_write = !writable,
                                    .path = "/dev/kmsg"};
    k->badge = badge_add(&tty_engine.badges, &k->object);
    int64_t gate = k->badge ? engine_gate(&tty_engine, k->badge) : -ENOMEM;
    if (gate < 0 && k->badge)
        badge_remove(&tty_engine.badges, k->badge);
    if (gate < 0)
        free(k);
    else
        k->gates = 1;
    return gate;
}
