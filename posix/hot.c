/* SPDX-License-Identifier: MIT */
/*
 * Hot files: what is read again and again is read from a mapping of the file's pages, and fstat
 * from the page of attributes beside them (struct io_hot), without a call. A descriptor's file
 * becomes hot after HOT_AFTER calls that could have been saved.
 *
 * Writes within a hot file's size need none either, after some that were calls, as long as nobody
 * else has the file open for writing or looks at it (struct io_hot: writer). The lock of the
 * description keeps those of one open file apart.
 *
 * The mappings stay until the descriptor's file goes, also when the engine has given the page up:
 * another thread may be copying from them. What the engine writes is only believed as far as
 * [0, mapped); everything that is not as expected ends in a call.
 */
#include "file.h"

#define HOT_AFTER   6u
#define HOT_TRIES   4u
#define HOT_NEVER   UINT32_MAX
#define HOT_GROWTH  (256u << 10) /* room in the mapping for a file that grows; only addresses */
#define HOT_LARGEST (1ull << 40)

struct px_hot {
    const volatile struct io_hot *page;
    const uint8_t *bytes;
    uint64_t mapped;
    /* [desc lock] for writing */
    uint8_t *to;
    struct io_hot_written *written; /* [atomic] set last; NULL: never asked, or never allowed */
    uint32_t writes;                /* calls that could have been saved, since the last question */
};

static int64_t map_object(motor_handle vmo, uint64_t offset, uint64_t size, uint32_t flags)
{
    return motor_map(0, vmo, offset, 0, size, MOTOR_PROT_READ | flags);
}

/* The mappings that the answer to IO_HOT allows; NULL: no memory. */
static struct px_hot *hot_map(const struct motor_msg *msg)
{
    struct px_hot *hot = px_alloc(sizeof *hot);
    int64_t page = hot ? map_object(msg->handle[0], 0, 4096, 0) : -MOTOR_ENOMEM;
    if (page < 0) {
        px_free(hot);
        return NULL;
    }
    hot->page = (const volatile struct io_hot *)page;
    uint64_t size = (uint64_t)hot->page->stat.size, offset = msg->word[0];
    hot->mapped = (size + HOT_GROWTH + 4095) & ~4095ull;
    int64_t bytes = size < HOT_LARGEST && offset % 4096 == 0
                        ? map_object(msg->handle[1], offset, hot->mapped,
                                     (uint32_t)msg->word[1] & MOTOR_MAP_PRIVATE)
                        : -MOTOR_EINVAL;
    if (bytes < 0) {
        motor_unmap(0, (uint64_t)page, 4096);
        px_free(hot);
        return NULL;
    }
    hot->bytes = (const uint8_t *)bytes;
    return hot;
}

void px_hot_free(struct px_hot *hot)
{
    if (!hot)
        return;
    if (hot->written) {
        motor_unmap(0, (uint64_t)hot->written, 4096);
        motor_unmap(0, (uint64_t)hot->to, hot->mapped);
    }
    motor_unmap(0, (uint64_t)hot->page, 4096);
    motor_unmap(0, (uint64_t)hot->bytes, hot->mapped);
    px_free(hot);
}

static void hot_begin(struct px_file *f)
{
    struct motor_msg msg = {.op = IO_HOT, .deadline = MOTOR_NEVER};
    struct px_hot *none = NULL, *hot = NULL;
    PX_SET(f->file.uses, HOT_NEVER);
    if ((f->file.mode & S_IFMT) != S_IFREG || !px_may_read(f) || px_call(f->handle, &msg) < 0)
        return;
    if (msg.nhandles == 2)
        hot = hot_map(&msg);
    for (uint32_t i = 0; i < msg.nhandles; i++)
        motor_handle_close(msg.handle[i]);
    if (hot && !__atomic_compare_exchange_n(&f->file.hot, &none, hot, false, __ATOMIC_RELEASE,
                                            __ATOMIC_RELAXED))
        px_hot_free(hot);
}

/* NULL: make the call. */
static const struct px_hot *hot_get(struct px_file *f)
{
    struct px_hot *hot = __atomic_load_n(&f->file.hot, __ATOMIC_ACQUIRE);
    if (hot)
        return hot->page->valid ? hot : NULL;
    uint32_t uses = PX_GLANCE(f->file.uses);
    if (uses < HOT_AFTER)
        PX_SET(f->file.uses, uses + 1);
    else if (uses != HOT_NEVER)
        hot_begin(f);
    return NULL;
}

/* In order, so that what is looked at afterwards is newer. */
static void copy_words(struct io_stat *to, const volatile struct io_stat *from)
{
    for (size_t i = 0; i < sizeof *to / 8; i++)
        ((uint64_t *)to)[i] =
            __atomic_load_n((const volatile uint64_t *)from + i, __ATOMIC_ACQUIRE);
}

/* Whether somebody else may have written what the page does not know of. */
static bool others_write(struct px_file *f, const struct px_hot *hot)
{
    const volatile struct io_hot *page = hot->page;
    if (page->appender && !px_append_is_taken(f, (uint64_t)page->stat.size))
        return true;
    if (!page->writer)
        return false;
    const struct io_hot_written *w = __atomic_load_n(&hot->written, __ATOMIC_ACQUIRE);
    return !w || __atomic_load_n(&w->time, __ATOMIC_ACQUIRE) != hot->page->written;
}

bool px_hot_attributes(const volatile struct io_hot *page, struct io_stat *out)
{
    for (unsigned i = 0; i < HOT_TRIES; i++) {
        uint32_t seq = __atomic_load_n(&page->seq, __ATOMIC_ACQUIRE);
        copy_words(out, &page->stat);
        if (!(seq & 1) && page->seq == seq)
            return page->valid;
    }
    return false;
}

bool px_hot_stat(struct px_file *f, struct io_stat *out)
{
    const struct px_hot *hot = f->kind == PX_FILE ? hot_get(f) : NULL;
    return hot && !others_write(f, hot) && px_hot_attributes(hot->page, out) &&
           !others_write(f, hot);
}

long px_hot_read(struct px_file *f, struct px_io *io, uint64_t offset)
{
    const struct px_hot *hot = hot_get(f);
    if (!hot || hot->page->read_calls || others_write(f, hot))
        return -1;
    uint64_t size = (uint64_t)__atomic_load_n(&hot->page->stat.size, __ATOMIC_ACQUIRE);
    if (size > hot->mapped)
        return -1;
    if (offset >= size)
        return 0;
    size_t n = PX_MIN(io->left, size - offset);
    return px_io_put(io, hot->bytes + offset, n) < 0 ? -1 : (long)n;
}

/* ---- writing ---- */

static void hot_write_begin(struct px_file *f, struct px_hot *hot)
{
    struct motor_msg msg = {.op = IO_HOT, .word = {IO_HOT_WRITE}, .deadline = MOTOR_NEVER};
    hot->writes = 0;
    if (px_call(f->handle, &msg) >= 0 && msg.nhandles == 2 && !hot->written) {
        int64_t to = map_object(msg.handle[1], msg.word[0], hot->mapped, MOTOR_PROT_WRITE);
        int64_t written = map_object(msg.handle[0], 0, 4096, MOTOR_PROT_WRITE);
        if (to >= 0 && written >= 0) {
            hot->to = (uint8_t *)to;
            __atomic_store_n(&hot->written, (struct io_hot_written *)written, __ATOMIC_RELEASE);
        } else if (to >= 0) {
            motor_unmap(0, (uint64_t)to, hot->mapped);
        } else if (written >= 0) {
            motor_unmap(0, (uint64_t)written, 4096);
        }
    }
    for (uint32_t i = 0; i < msg.nhandles; i++)
        motor_handle_close(msg.handle[i]);
}

/* [desc lock] May bytes up to `end` be written? If so, the time is noted. */
static bool may_write(struct px_hot *hot, uint64_t end)
{
    const volatile struct io_hot *page = hot->page;
    if (end > __atomic_load_n((const volatile uint64_t *)&page->stat.size, __ATOMIC_ACQUIRE) ||
        end > hot->mapped)
        return false;
    __atomic_exchange_n(&hot->written->time, px_realtime(), __ATOMIC_SEQ_CST);
    return page->writer && page->valid;
}

long px_hot_write(struct px_file *f, struct px_io *io, uint64_t offset)
{
    struct px_hot *hot = __atomic_load_n(&f->file.hot, __ATOMIC_ACQUIRE);
    uint64_t end;
    if (!hot || !hot->page->valid || __builtin_add_overflow(offset, io->left, &end))
        return -1;
    if (!hot->written || !hot->page->writer) {
        if (end <= (uint64_t)hot->page->stat.size && ++hot->writes == HOT_AFTER)
            hot_write_begin(f, hot);
        return -1;
    }
    size_t n = io->left;
    return may_write(hot, end) && px_io_take(io, hot->to + offset, n) == 0 ? (long)n : -1;
}

void px_hot_written(struct px_file *f)
{
    hot_get(f);
}
