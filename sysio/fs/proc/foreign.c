/* SPDX-License-Identifier: MIT */
/*
 * process_vm_readv(2) and process_vm_writev(2): bytes between the caller and the memory of another
 * process, for whoever may look inside that. In pieces, each after a new look at who that is.
 */
#include "proc.h"

#include <errno.h>

#define PIECE 4096u

static int64_t to_caller(const struct process *p, const struct motor_event *ev, uint64_t address,
                         uint64_t at, uint64_t size)
{
    uint8_t bytes[PIECE];
    size_t n = process_read(p, address, bytes, size);
    int64_t given = n ? event_write(ev, at, bytes, n) : -EFAULT;
    return given;
}

static int64_t from_caller(const struct process *p, const struct motor_event *ev, uint64_t address,
                           uint64_t at, uint64_t size)
{
    uint8_t bytes[PIECE];
    int64_t n = event_read(ev, at, bytes, size);
    if (n <= 0)
        return n < 0 ? n : -EFAULT;
    struct motor_memory_write w = {.address = address, .from = bytes, .size = (uint64_t)n};
    n = motor_process_set(p->handle, MOTOR_PSET_MEMORY, (uint64_t)&w);
    return n < 0 ? -EFAULT : n;
}

/* w0 pid, w1 address there, w2 bytes, w3 1: write */
int64_t foreign_memory_call(const struct motor_event *ev, const struct cred *who)
{
    const uint64_t *w = ev->word;
    uint64_t size = w[2] < IO_TRANSFER_MAX ? w[2] : IO_TRANSFER_MAX, done = 0;
    struct process p;
    int64_t error = process_get(&p, (uint32_t)w[0], 0), n = 0;
    if (error)
        return error;
    if (process_may_inspect(&p, who))
        error = -EPERM;
    while (!error && done < size) {
        uint64_t address = w[1] + done, piece = PIECE - address % PIECE;
        piece = piece < size - done ? piece : size - done;
        n = (w[3] ? from_caller : to_caller)(&p, ev, address, done, piece);
        done += n > 0 ? (uint64_t)n : 0;
        if (n < (int64_t)piece)
            break;
    }
    process_put(&p);
    return error ? error : done ? (int64_t)done : n;
}
