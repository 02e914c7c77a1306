/* SPDX-License-Identifier: MIT */
/* The program's buffers of one transfer (iov.c). */
#ifndef PX_IO_H
#define PX_IO_H

#include "px.h"

struct px_file;
struct px_watch;
struct px_waiter;
struct px_epoll_item;

/* What one thread writes under a lock and others glance at without it. */
#define PX_GLANCE(x)     __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define PX_SET(x, value) __atomic_store_n(&(x), value, __ATOMIC_RELAXED)

struct px_vec { /* struct iovec */
    uint8_t *base;
    size_t length;
};

struct px_io {
    struct px_vec *vec; /* in the runtime's memory: what is left, from vec[0].base + 0 on */
    uint32_t count;
    size_t left; /* bytes of all */
};

struct px_vectors { /* an imported iovec array */
    struct px_io io;
    struct px_vec small[8];
    struct px_vec *big;
};

static inline void px_io_one(struct px_io *io, struct px_vec *vec, const void *base, size_t length)
{
    *vec = (struct px_vec){(uint8_t *)base, PX_MIN(length, 0x7ffff000ul)};
    *io = (struct px_io){vec, 1, vec->length};
}
/* 0, -EINVAL, -EFAULT, -ENOMEM. After 0, px_vectors_put(). */
long px_vectors_get(struct px_vectors *v, const void *user, long count);
static inline void px_vectors_put(struct px_vectors *v)
{
    px_free(v->big);
}
/* Copy n <= left bytes and advance. 0 or -EFAULT (then nothing has advanced as a whole). */
long px_io_put(struct px_io *io, const void *from, size_t n); /* into the program */
long px_io_take(struct px_io *io, void *to, size_t n);        /* out of it */
long px_io_look(const struct px_io *io, void *to, size_t n);  /* px_io_take() without advancing */
/* From so many bytes on, without advancing. What is more than the first buffer: px_io_..._far(). */
long px_io_put_far(const struct px_io *io, size_t at, const void *from, size_t n);
long px_io_look_far(const struct px_io *io, size_t at, void *to, size_t n);
static inline long px_io_put_at(const struct px_io *io, size_t at, const void *from, size_t n)
{
    return n && at + n <= io->vec->length ? px_copy_out(io->vec->base + at, from, n)
                                          : px_io_put_far(io, at, from, n);
}
static inline long px_io_look_at(const struct px_io *io, size_t at, void *to, size_t n)
{
    return n && at + n <= io->vec->length ? px_copy_in(to, io->vec->base + at, n)
                                          : px_io_look_far(io, at, to, n);
}
void px_io_skip_far(struct px_io *io, size_t n);
static inline void px_io_skip(struct px_io *io, size_t n)
{
    if (!n || n > io->vec->length) {
        px_io_skip_far(io, n);
        return;
    }
    io->left -= n;
    if (n == io->vec->length) {
        io->vec++;
        io->count--;
    } else {
        io->vec->base += n;
        io->vec->length -= n;
    }
}

/* ---- streams ---- */

struct px_address { /* as in struct io_accept */
    uint16_t family, port;
    uint8_t bytes[16];
};

struct px_lent {                       /* of a file that may have a loan: loan.h */
    struct px_mutex in_lock, out_lock; /* of transfers through it */
    struct px_loan *loan;              /* NULL: none [any of its locks] */
    bool asking;                       /* [atomic] somebody asks for one */
    uint32_t calls, ask_after;         /* transfers since the last question; until the next */
};

struct px_stream { /* sockets */
    struct px_session *session;
    struct io_slot *slot;
    uint32_t index;
    uint8_t type; /* SOCK_* */
    bool listening, connecting, named, broken, peer_set;
    bool shared; /* listening: connections are fetched by IO_ACCEPT */
    bool passed; /* a stream that was not listening yet: other processes have had it, too */
    uint16_t family;
    uint16_t protocol;
    struct px_mutex rx_lock, tx_lock;
    uint32_t rx_tail;                          /* [rx_lock] ours; the slot's is a copy */
    uint32_t tx_head;                          /* [tx_lock] */
    uint32_t ring_page, ring_order, ring_base; /* [tx_lock] page 0: none */
    uint32_t low_water;
    uint32_t writers;                       /* threads that wait for space in tx [atomic] */
    uint64_t receive_timeout, send_timeout; /* ns; 0: none */
    struct px_file *older, *newer;          /* [ring lock] list of those with a ring */
    struct px_address own, peer;            /* own: when named */
};

#endif
