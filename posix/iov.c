/* SPDX-License-Identifier: MIT */
/* Vectors of buffers. */
#include "io.h"
#include "linux_io.h"

long px_vectors_get(struct px_vectors *v, const void *user, long count)
{
    v->big = NULL;
    if (count < 0 || count > IOV_MAX)
        return -EINVAL;
    struct px_vec *vec = v->small;
    size_t size = (size_t)count * sizeof *vec;
    if (count > 8 && !(vec = v->big = px_alloc(size)))
        return -ENOMEM;
    if (px_copy_in(vec, user, size) < 0) {
        px_free(v->big);
        return -EFAULT;
    }
    size_t left = 0;
    uint32_t used = 0;
    for (long i = 0; i < count; i++) {
        if ((int64_t)vec[i].length < 0) {
            px_free(v->big);
            return -EINVAL;
        }
        if (vec[i].length > MAX_RW_COUNT - left)
            vec[i].length = MAX_RW_COUNT - left;
        left += vec[i].length;
        if (vec[i].length)
            vec[used++] = vec[i];
    }
    v->io = (struct px_io){vec, used, left};
    return 0;
}

void px_io_skip_far(struct px_io *io, size_t n)
{
    io->left -= n;
    while (n) {
        size_t step = PX_MIN(n, io->vec->length);
        io->vec->base += step;
        io->vec->length -= step;
        n -= step;
        if (!io->vec->length && io->count) {
            io->vec++;
            io->count--;
        }
    }
}

/* Walks the vector without changing it: a fault must leave the caller's view as it was. */
static long copy(const struct px_io *io, size_t at, uint8_t *ours, size_t n, bool put)
{
    const struct px_vec *vec = io->vec;
    for (; n && at >= vec->length; vec++)
        at -= vec->length;
    for (size_t done = 0; done < n; vec++, at = 0) {
        size_t step = PX_MIN(n - done, vec->length - at);
        long error = put ? px_copy_out(vec->base + at, ours + done, step)
                         : px_copy_in(ours + done, vec->base + at, step);
        if (error < 0)
            return error;
        done += step;
    }
    return 0;
}

/* Nearly always all of it is in the first buffer. */
long px_io_put(struct px_io *io, const void *from, size_t n)
{
    long error = n <= io->vec->length ? px_copy_out(io->vec->base, from, n)
                                      : copy(io, 0, (uint8_t *)from, n, true);
    if (error == 0)
        px_io_skip(io, n);
    return error;
}

long px_io_take(struct px_io *io, void *to, size_t n)
{
    long error =
        n <= io->vec->length ? px_copy_in(to, io->vec->base, n) : copy(io, 0, to, n, false);
    if (error == 0)
        px_io_skip(io, n);
    return error;
}

long px_io_look(const struct px_io *io, void *to, size_t n)
{
    return copy(io, 0, to, n, false);
}

long px_io_put_far(const struct px_io *io, size_t at, const void *from, size_t n)
{
    return copy(io, at, (uint8_t *)from, n, true);
}

long px_io_look_far(const struct px_io *io, size_t at, void *to, size_t n)
{
    return copy(io, at, to, n, false);
}
