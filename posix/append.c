/* SPDX-License-Identifier: MIT */
/*
 * Appending without calls (struct io_append in <motor/io.h>): what a descriptor appends again and
 * again goes into a ring that the engine lends, and that it empties before anybody looks at the
 * file. A write that does not fit is a call, which empties it as well.
 *
 * The ring stays mapped until the descriptor's file goes; the next one takes its place. Who only
 * looks at it does not wait for that: he makes a call.
 */
#include "file.h"

#define ASK_AFTER     6u /* calls that could have been saved; twice as many after each question */
#define ASK_AFTER_MAX 4096u
#define RECORD_MAX    16384u /* of what is larger, the copy costs more than the call */

static void ask(struct px_file *f)
{
    struct motor_msg msg = {.op = IO_HOT, .word = {IO_HOT_RING}, .deadline = MOTOR_NEVER};
    struct io_append *was = f->file.ring;
    if (px_call(f->handle, &msg) < 0 || msg.nhandles != 1)
        return;
    int64_t at = -MOTOR_EBUSY;
    if (px_trylock(&f->file.ring_lock)) { /* it is locked for good in a child of a thread */
        at = motor_map(0, msg.handle[0], 0, (uint64_t)was, sizeof *was,
                       MOTOR_PROT_READ | MOTOR_PROT_WRITE | (was ? MOTOR_MAP_FIXED : 0));
        if (at >= 0)
            f->file.ring = (struct io_append *)at;
        px_unlock(&f->file.ring_lock);
    }
    motor_handle_close(msg.handle[0]);
}

void px_appended(struct px_file *f)
{
    uint32_t after = f->file.ask_after ? f->file.ask_after : ASK_AFTER;
    const struct io_append *r = f->file.ring;
    if ((f->file.mode & S_IFMT) != S_IFREG)
        return;
    if (r && __atomic_load_n(&r->end, __ATOMIC_RELAXED) != IO_APPEND_GONE) { /* it was full */
        f->file.ask_after = ASK_AFTER;
        f->file.appends = 0;
    } else if (++f->file.appends >= after) {
        f->file.appends = 0;
        f->file.ask_after = PX_MIN(after * 2, ASK_AFTER_MAX);
        ask(f);
    }
}

long px_append(struct px_file *f, const struct px_io *io, bool anywhere, uint64_t *offset)
{
    struct io_append *r = f->file.ring;
    uint64_t end = r ? __atomic_load_n(&r->end, __ATOMIC_ACQUIRE) : IO_APPEND_GONE;
    uint64_t n = io->left, at = end % IO_APPEND_ROOM;
    if (end >= IO_APPEND_PAUSED || (!anywhere && *offset != end) || n > RECORD_MAX ||
        n > IO_APPEND_ROOM - at ||
        end + n - __atomic_load_n(&r->taken, __ATOMIC_ACQUIRE) > IO_APPEND_ROOM)
        return -1;
    if (px_io_look(io, r->bytes + at, n) < 0)
        return -1;
    __atomic_store_n(&r->time, px_realtime(), __ATOMIC_RELAXED);
    if (!__atomic_compare_exchange_n(&r->end, &end, end + n, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_RELAXED))
        return -1;
    *offset = end + n;
    return (long)n;
}

bool px_append_is_taken(struct px_file *f, uint64_t size)
{
    if (!px_trylock(&f->file.ring_lock))
        return false;
    const struct io_append *r = f->file.ring;
    bool is = r && __atomic_load_n(&r->end, __ATOMIC_ACQUIRE) == size;
    px_unlock(&f->file.ring_lock);
    return is;
}

void px_append_free(struct px_file *f)
{
    if (f->file.ring)
        motor_unmap(0, (uint64_t)f->file.ring, sizeof *f->file.ring);
    f->file.ring = NULL;
}
