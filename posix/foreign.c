/* SPDX-License-Identifier: MIT */
/*
 * process_vm_readv and process_vm_writev. The fs engine, which shows processes in /proc, moves the
 * bytes and judges who may; here the two lists of buffers are walked side by side.
 */
#include "io.h"
#include "linux_io.h"

/* The part of both lists that one call moves. */
struct side {
    struct px_vec *vec;
    uint32_t count;
};

static void skip(struct side *s, size_t n)
{
    s->vec->base += n;
    s->vec->length -= n;
    if (!s->vec->length) {
        s->vec++;
        s->count--;
    }
}

static long move_piece(int pid, const struct px_vec *local, const struct px_vec *remote, size_t n,
                       bool write)
{
    struct motor_msg msg = {.op = IO_PROCESS_MEMORY,
                            .word = {(uint32_t)pid, (uint64_t)remote->base, n, write},
                            .deadline = MOTOR_NEVER};
    if (write) {
        msg.in = local->base;
        msg.in_size = n;
    } else {
        msg.out = local->base;
        msg.out_size = n;
    }
    return px_call(px_proc()->root, &msg);
}

static long move(int pid, struct side local, struct side remote, bool write)
{
    long done = 0;
    while (local.count && remote.count) {
        size_t want =
            PX_MIN(PX_MIN(local.vec->length, remote.vec->length), (size_t)IO_TRANSFER_MAX);
        long n = move_piece(pid, local.vec, remote.vec, want, write);
        done += PX_MAX(n, 0L);
        if (n < (long)want)
            return done || n >= 0 ? done : n;
        skip(&local, want);
        skip(&remote, want);
    }
    return done;
}

static long transfer(int pid, const void *local, size_t local_count, const void *remote,
                     size_t remote_count, unsigned long flags, bool write)
{
    struct px_vectors here, there;
    if (flags)
        return -EINVAL;
    if (local_count > IOV_MAX || remote_count > IOV_MAX)
        return -EINVAL;
    long result = px_vectors_get(&here, local, (long)local_count);
    if (result < 0)
        return result;
    result = here.io.left ? px_vectors_get(&there, remote, (long)remote_count) : 0;
    if (result == 0 && here.io.left) {
        if (there.io.left)
            result = move(pid, (struct side){here.io.vec, here.io.count},
                          (struct side){there.io.vec, there.io.count}, write);
        px_free(there.big);
    }
    px_free(here.big);
    return result;
}

long px_sys_process_vm_readv(int pid, const void *local, size_t local_count, const void *remote,
                             size_t remote_count, unsigned long flags)
{
    return transfer(pid, local, local_count, remote, remote_count, flags, false);
}

long px_sys_process_vm_writev(int pid, const void *local, size_t local_count, const void *remote,
                              size_t remote_count, unsigned long flags)
{
    return transfer(pid, local, local_count, remote, remote_count, flags, true);
}
