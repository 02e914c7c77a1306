/* SPDX-License-Identifier: MIT */
/* The bytes of a memory file: see data.h. */
#include "data.h"

#include <errno.h>
#include <string.h>

#define PAGE MOTOR_PAGE_SIZE

motor_handle data_bundle;

static uint64_t page_up(uint64_t n)
{
    return (n + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

void data_init_empty(struct data *d)
{
    *d = (struct data){.dense = true};
}

void data_init_bundle(struct data *d, uint64_t offset)
{
    *d = (struct data){.in_bundle = true, .dense = true, .offset = offset};
}

void data_free(struct data *d)
{
    if (d->vmo)
        motor_handle_close(d->vmo);
    *d = (struct data){.dense = true};
}

static int resize_object(struct data *d, uint64_t bytes)
{
    int64_t status = motor_vmo_control(d->vmo, MOTOR_VMO_RESIZE, 0, bytes, NULL);
    if (status < 0)
        return -ENOSPC;
    d->vmo_size = bytes;
    return 0;
}

/* Some room to grow, so that appending does not resize for every page. */
static uint64_t roomy(const struct data *d, uint64_t size)
{
    uint64_t bytes = page_up(size);
    if (d->exact || bytes < 4 * PAGE)
        return bytes;
    return page_up(bytes + bytes / 2);
}

int data_own(struct data *d, uint64_t size)
{
    if (d->vmo)
        return 0;
    uint64_t bytes = page_up(size ? size : 1);
    int64_t h =
        d->in_bundle ? motor_vmo_clone(data_bundle, d->offset, bytes) : motor_vmo_create(bytes, 0);
    if (h < 0)
        return -ENOSPC;
    d->vmo = (motor_handle)h;
    d->vmo_size = bytes;
    if (!d->in_bundle && size)
        d->dense = false;
    d->cloned = d->in_bundle;
    d->in_bundle = false;
    return 0;
}

/* Bytes become zero; a page that is not there, or zero already, is not made for that. */
static int zero_bytes(struct data *d, uint64_t offset, uint64_t count)
{
    static uint8_t zeros[PAGE], bytes[PAGE];
    while (count) {
        uint64_t in_page = PAGE - (offset & (PAGE - 1)), n = count < in_page ? count : in_page;
        bool needed = d->dense || motor_vmo_control(d->vmo, MOTOR_VMO_READ, offset, n, bytes) < 0 ||
                      memcmp(bytes, zeros, n);
        if (needed && motor_vmo_control(d->vmo, MOTOR_VMO_WRITE, offset, n, zeros) < 0)
            return -ENOSPC;
        offset += n;
        count -= n;
    }
    return 0;
}

/*
 * Before the file grows past `size`: what a mapping wrote behind the end, in the last page, must
 * not come to light.
 */
static int clean_tail(struct data *d, uint64_t size)
{
    uint64_t in_page = size & (PAGE - 1);
    if (!d->dirty || !in_page || !d->vmo)
        return 0;
    return zero_bytes(d, size, PAGE - in_page);
}

int64_t data_read(struct data *d, struct transfer *t, uint64_t offset, uint64_t size,
                  uint64_t count)
{
    if (offset >= size)
        return 0;
    if (count > size - offset)
        count = size - offset;
    if (d->in_bundle)
        return transfer_from_vmo(t, data_bundle, d->offset + offset, count);
    if (d->vmo)
        return transfer_from_vmo(t, d->vmo, offset, count);
    int64_t status = 0;
    static uint8_t zeros[16 * PAGE]; /* in .bss, not in the file */
    for (uint64_t done = 0; done < count && status >= 0; done += sizeof zeros)
        status = transfer_from_buffer(t, zeros,
                                      count - done < sizeof zeros ? count - done : sizeof zeros);
    return status < 0 && !t->moved ? status : (int64_t)t->moved;
}

int64_t data_write(struct data *d, struct transfer *t, uint64_t offset, uint64_t size,
                   uint64_t count)
{
    int error = data_own(d, size);
    if (!error && offset > size)
        error = clean_tail(d, size);
    if (!error && offset + count > d->vmo_size)
        error = resize_object(d, roomy(d, offset + count));
    if (error)
        return error;
    if (offset > page_up(size))
        d->dense = false;
    int64_t n = transfer_to_vmo(t, d->vmo, offset, count);
    return n == -ENOMEM ? -ENOSPC : n;
}

int data_resize(struct data *d, uint64_t old_size, uint64_t new_size)
{
    if (new_size == old_size)
        return 0;
    if (new_size == 0 && !d->exact) {
        data_free(d);
        return 0;
    }
    if (!d->vmo && !d->in_bundle) { /* all zeros, and stays so */
        if (page_up(new_size) > page_up(old_size))
            d->dense = false;
        return 0;
    }
    int error = data_own(d, old_size);
    if (error)
        return error;
    if (new_size > old_size) {
        error = clean_tail(d, old_size);
        if (!error && new_size > d->vmo_size)
            error = resize_object(d, page_up(new_size));
        if (!error && page_up(new_size) > page_up(old_size))
            d->dense = false;
        return error;
    }
    error = resize_object(d, new_size); /* which clears the rest of the last page */
    return error || !(new_size & (PAGE - 1)) ? error : resize_object(d, page_up(new_size));
}

int data_seal(struct data *d, uint64_t size, bool all)
{
    int error = data_own(d, size);
    if (!error)
        error = clean_tail(d, size);
    if (error)
        return error;
    int64_t status = motor_vmo_control(d->vmo, MOTOR_VMO_SEAL, 0, all, NULL);
    return status == -MOTOR_EBUSY ? -EBUSY : status < 0 ? -EINVAL : 0;
}

int data_zero(struct data *d, uint64_t size, uint64_t offset, uint64_t count)
{
    if (offset >= size || !count)
        return 0;
    if (count > page_up(size) - offset)
        count = page_up(size) - offset;
    if (!d->vmo && !d->in_bundle)
        return 0;
    int error = data_own(d, size);
    if (error)
        return error;
    uint64_t first = page_up(offset), end = offset + count, last = end & ~(uint64_t)(PAGE - 1);
    if (first >= last)
        return zero_bytes(d, offset, count);
    if (first > offset)
        error = zero_bytes(d, offset, first - offset);
    if (!error && end > last)
        error = zero_bytes(d, last, end - last);
    if (!error && motor_vmo_control(d->vmo, MOTOR_VMO_DECOMMIT, first, last - first, NULL) < 0)
        error = -ENOSPC;
    d->dense = false;
    return error;
}

int data_commit(struct data *d, uint64_t size, uint64_t offset, uint64_t count)
{
    int error = data_own(d, size);
    uint64_t end = page_up(offset + count);
    offset &= ~(uint64_t)(PAGE - 1);
    if (!error && end > d->vmo_size)
        error = resize_object(d, end);
    if (!error && motor_vmo_control(d->vmo, MOTOR_VMO_COMMIT, offset, end - offset, NULL) < 0)
        error = -ENOSPC;
    return error;
}

void data_trim(struct data *d, uint64_t size)
{
    if (d->vmo && d->vmo_size > page_up(size))
        resize_object(d, page_up(size));
}

int data_append(struct data *d, uint64_t size, const void *bytes, uint64_t count)
{
    void *from = (void *)(uintptr_t)bytes;
    return motor_vmo_control(d->vmo, MOTOR_VMO_WRITE, size, count, from) < 0 ? -ENOSPC : 0;
}

uint64_t data_committed(struct data *d, uint64_t size)
{
    if (!d->vmo)
        return 0;
    if (d->dense)
        return page_up(size);
    int64_t n = motor_vmo_control(d->vmo, MOTOR_VMO_COMMITTED, 0, 0, NULL);
    if (n >= 0 && (uint64_t)n >= page_up(size))
        d->dense = true;
    return n < 0 ? page_up(size) : (uint64_t)n;
}

int64_t data_copy(struct data *from, uint64_t from_offset, struct data *to, uint64_t to_size,
                  uint64_t to_offset, uint64_t count)
{
    static uint8_t buffer[16 * PAGE];
    uint64_t done = 0;
    int error = data_own(to, to_size);
    if (!error && to_offset > to_size)
        error = clean_tail(to, to_size);
    if (!error && to_offset + count > to->vmo_size)
        error = resize_object(to, roomy(to, to_offset + count));
    if (!error && to_offset > page_up(to_size))
        to->dense = false;
    while (!error && done < count) {
        uint64_t n = count - done < sizeof buffer ? count - done : sizeof buffer;
        memset(buffer, 0, n);
        if (from->in_bundle)
            motor_vmo_control(data_bundle, MOTOR_VMO_READ, from->offset + from_offset + done, n,
                              buffer);
        else if (from->vmo)
            motor_vmo_control(from->vmo, MOTOR_VMO_READ, from_offset + done, n, buffer);
        if (motor_vmo_control(to->vmo, MOTOR_VMO_WRITE, to_offset + done, n, buffer) < 0)
            error = -ENOSPC;
        else
            done += n;
    }
    return done ? (int64_t)done : error;
}
