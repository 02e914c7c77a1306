/* SPDX-License-Identifier: MIT */
/* The descriptor table, and the life of files and descriptions. See fd.h. */
#include "fd.h"
#include "filelock.h"
#include "loan.h"
#include "names.h"
#include "socket.h"
#include "stream.h"
#include "watch.h"

#define CLOEXEC 1ull
#define WORDS   (PX_FD_MAX / 64)
#define CHUNK   (16u << 10) /* px_files are made by so many bytes, */

#define FIRST_FILES 5u /* but for the first: the working directory, the standard ones, one more */

/* of the table in its mapping: the words of the first 512 entries are in its first page */
#define TABLE_OFFSET (WORDS * sizeof(uint64_t) + 64)
#define TABLE_BYTES  (TABLE_OFFSET + PX_FD_MAX * sizeof(uint64_t))

static struct px_file *entry_file(uint64_t entry)
{
    return (struct px_file *)(entry & ~CLOEXEC);
}

/* ---- files ---- */

/* [pool lock] One that was never used; pages of the chunk appear as they are. */
static struct px_file *cut_file(struct px_file_pool *t)
{
    if ((size_t)(t->chunk_end - t->chunk) < sizeof(struct px_file)) {
        uint8_t *chunk = px_map(CHUNK);
        if (!chunk)
            return NULL;
        t->chunk = chunk;
        t->chunk_end = chunk + CHUNK;
    }
    struct px_file *f = (struct px_file *)t->chunk;
    t->chunk += sizeof *f;
    return f;
}

struct px_file *px_file_new(const struct px_ops *ops, enum px_kind kind, uint32_t flags,
                            motor_handle handle)
{
    struct px_file_pool *t = px_file_pool();
    struct px_desc *d = px_desc_new(flags);
    if (!d)
        return NULL;
    px_lock(&t->lock);
    struct px_file *f = t->free;
    if (f)
        t->free = f->next_free;
    else
        f = cut_file(t);
    px_unlock(&t->lock);
    if (!f) {
        px_desc_put(d);
        return NULL;
    }
    memset(&f->file, 0, sizeof *f - offsetof(struct px_file, file));
    f->ops = ops;
    f->desc = d;
    f->kind = (uint8_t)kind;
    f->protocol = 0;
    f->path_only = flags & O_PATH;
    f->remote = false;
    f->unmade = false;
    f->handle = handle;
    f->watches = NULL;
    __atomic_store_n(&f->refs, 1, __ATOMIC_RELEASE);
    return f;
}

void px_file_get(struct px_file *f)
{
    __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
}

static void file_free(struct px_file *f)
{
    struct px_file_pool *t = px_file_pool();
    px_watches_drop(f);
    if (f->ops->release)
        f->ops->release(f);
    if (f->handle)
        motor_handle_close(f->handle);
    px_desc_put(f->desc);
    px_lock(&t->lock);
    f->next_free = t->free;
    t->free = f;
    px_unlock(&t->lock);
}

void px_file_put(struct px_file *f)
{
    /* The last one works on a file whose count is 0 already, so that nobody finds it any more. */
    if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) == 0)
        file_free(f);
}

/* ---- looking up ---- */

bool px_file_get_unless_closed(struct px_file *f)
{
    uint32_t refs = __atomic_load_n(&f->refs, __ATOMIC_RELAXED);
    while (refs)
        if (__atomic_compare_exchange_n(&f->refs, &refs, refs + 1, true, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
    return false;
}

/* A reference to the file that *place leads to now. */
static inline struct px_file *get_from(const uint64_t *place)
{
    for (;;) {
        struct px_file *f = entry_file(__atomic_load_n(place, __ATOMIC_ACQUIRE));
        if (!f)
            return NULL;
        if (!px_file_get_unless_closed(f))
            continue; /* being closed: the entry has changed or will at once */
        if (entry_file(__atomic_load_n(place, __ATOMIC_ACQUIRE)) == f)
            return f;
        px_file_put(f);
    }
}

static struct px_file *look_up(int fd)
{
    if ((unsigned)fd >= PX_FD_MAX)
        return NULL;
    return get_from(&px_files()->table[fd]);
}

/* Of a kind that does not see to it itself. */
static struct px_file *look_up_made(int fd, unsigned but)
{
    struct px_file *f = look_up(fd);
    if (f && px_is_unmade(f) && f->kind != but)
        px_make(f); /* if that fails there is no handle, and calls say so */
    return f;
}

struct px_file *px_fd_get(int fd)
{
    return look_up_made(fd, 0);
}

static struct px_file *for_io(struct px_file *f)
{
    if (f && f->path_only) {
        px_file_put(f);
        return NULL;
    }
    if (f && f->remote)
        px_file_arrive(f);
    return f;
}

struct px_file *px_fd_get_io(int fd)
{
    return for_io(px_fd_get(fd));
}

struct px_file *px_fd_get_to_read(int fd)
{
    return for_io(look_up_made(fd, PX_PIPE));
}

struct px_file *px_fd_get_to_connect(int fd)
{
    return for_io(look_up_made(fd, PX_STREAM));
}

void px_file_arrive(struct px_file *f)
{
    if (f->kind == PX_EPOLL)
        px_epoll_arrive(f);
    else
        px_socket_arrive(f);
}

struct px_file *px_cwd_get(void)
{
    return get_from((const uint64_t *)&px_files()->cwd);
}

void px_cwd_set(struct px_file *f)
{
    struct px_file *old = __atomic_exchange_n(&px_files()->cwd, f, __ATOMIC_ACQ_REL);
    if (old)
        px_file_put(old);
}

int px_fd_next(int first)
{
    struct px_files *t = px_files();
    uint32_t end = __atomic_load_n(&t->end, __ATOMIC_ACQUIRE);
    for (uint32_t fd = (uint32_t)first; fd < end; fd++)
        if (__atomic_load_n(&t->table[fd], __ATOMIC_RELAXED))
            return (int)fd;
    return -1;
}

/* ---- the table ---- */

/* The word with the bit for fd: used or not. */
static uint64_t *used_word(const struct px_files *t, uint32_t fd)
{
    return t->table - 1 - fd / 64;
}

static void mark(struct px_files *t, uint32_t fd, bool used)
{
    uint64_t bit = 1ull << fd % 64;
    if (used) {
        *used_word(t, fd) |= bit;
        if (fd >= t->end)
            __atomic_store_n(&t->end, fd + 1, __ATOMIC_RELEASE);
    } else {
        *used_word(t, fd) &= ~bit;
        t->lowest = PX_MIN(t->lowest, fd);
    }
}

/* [t->lock] */
static long find_free(struct px_files *t, uint32_t from)
{
    uint64_t limit = PX_MIN(px_limit(RLIMIT_NOFILE), (uint64_t)PX_FD_MAX);
    uint32_t fd = PX_MAX(from, t->lowest);
    if (fd >= limit)
        return -EMFILE;
    uint64_t used = *used_word(t, fd) | ((1ull << fd % 64) - 1);
    uint32_t word = fd / 64;
    while (used == ~0ull) {
        if (++word >= WORDS)
            return -EMFILE;
        used = *used_word(t, word * 64);
    }
    fd = word * 64 + (uint32_t)__builtin_ctzll(~used);
    if (from <= t->lowest)
        t->lowest = fd;
    return fd < limit ? (long)fd : -EMFILE;
}

/* An entry that is used, and leads nowhere yet: EBADF to everybody. */
static long reserve_from(uint32_t from)
{
    struct px_files *t = px_files();
    px_lock(&t->lock);
    long fd = find_free(t, from);
    if (fd >= 0)
        mark(t, (uint32_t)fd, true);
    px_unlock(&t->lock);
    return fd;
}

long px_fd_reserve(void)
{
    return reserve_from(0);
}

void px_fd_fill(int fd, struct px_file *f, bool cloexec)
{
    __atomic_store_n(&px_files()->table[fd], (uint64_t)f | (cloexec ? CLOEXEC : 0),
                     __ATOMIC_RELEASE);
}

void px_fd_unreserve(int fd)
{
    struct px_files *t = px_files();
    px_lock(&t->lock);
    mark(t, (uint32_t)fd, false);
    px_unlock(&t->lock);
}

long px_fd_install(struct px_file *f, bool cloexec)
{
    long fd = px_fd_reserve();
    if (fd < 0)
        px_file_put(f);
    else
        px_fd_fill((int)fd, f, cloexec);
    return fd;
}

long px_fd_install_pair(struct px_file *files[2], bool cloexec, void *user)
{
    long a = px_fd_reserve(), b = a < 0 ? a : px_fd_reserve();
    int32_t fds[2] = {(int32_t)a, (int32_t)b};
    long error = b < 0 ? b : files[0] && files[1] ? px_copy_out(user, fds, sizeof fds) : -ENFILE;
    for (int i = 0; i < 2; i++) {
        if (error == 0)
            px_fd_fill(fds[i], files[i], cloexec);
        else if (files[i])
            px_file_put(files[i]);
        if (error < 0 && fds[i] >= 0)
            px_fd_unreserve(fds[i]);
    }
    return error;
}

static long close_entry(unsigned fd)
{
    struct px_files *t = px_files();
    px_lock(&t->lock);
    struct px_file *f = entry_file(__atomic_exchange_n(&t->table[fd], 0, __ATOMIC_ACQ_REL));
    if (f)
        mark(t, fd, false);
    px_unlock(&t->lock);
    if (!f)
        return -EBADF;
    px_record_locks_close(f);
    px_file_put(f);
    return 0;
}

long px_sys_close(int fd)
{
    return (unsigned)fd < PX_FD_MAX ? close_entry((unsigned)fd) : -EBADF;
}

long px_sys_close_range(unsigned first, unsigned last, unsigned flags)
{
    enum { UNSHARE = 2, CLOEXEC_ONLY = 4 };
    struct px_files *t = px_files();
    if (flags & ~(UNSHARE | CLOEXEC_ONLY) || first > last)
        return -EINVAL;
    last = PX_MIN(last, PX_FD_MAX - 1);
    for (int fd = (int)PX_MIN(first, PX_FD_MAX); (fd = px_fd_next(fd)) >= 0 && (unsigned)fd <= last;
         fd++) {
        if (!(flags & CLOEXEC_ONLY)) {
            close_entry((unsigned)fd);
            continue;
        }
        px_lock(&t->lock);
        if (t->table[fd])
            __atomic_fetch_or(&t->table[fd], CLOEXEC, __ATOMIC_RELAXED);
        px_unlock(&t->lock);
    }
    return 0;
}

/* ---- duplicates ---- */

static long dup_from(int fd, uint32_t from, bool cloexec)
{
    struct px_file *f = px_fd_get(fd);
    if (!f)
        return -EBADF;
    long to = reserve_from(from);
    if (to < 0)
        px_file_put(f);
    else
        px_fd_fill((int)to, f, cloexec);
    return to;
}

static long dup_to(int fd, int to, bool cloexec)
{
    struct px_files *t = px_files();
    if (to < 0 || (uint64_t)to >= PX_MIN(px_limit(RLIMIT_NOFILE), (uint64_t)PX_FD_MAX))
        return -EBADF;
    struct px_file *f = px_fd_get(fd);
    if (!f)
        return -EBADF;
    px_lock(&t->lock);
    bool used = *used_word(t, (uint32_t)to) >> to % 64 & 1;
    struct px_file *old = entry_file(t->table[to]);
    if (used && !old) { /* another thread is opening just this one */
        px_unlock(&t->lock);
        px_file_put(f);
        return -EBUSY;
    }
    mark(t, (uint32_t)to, true);
    __atomic_store_n(&t->table[to], (uint64_t)f | (cloexec ? CLOEXEC : 0), __ATOMIC_RELEASE);
    px_unlock(&t->lock);
    if (old) {
        px_record_locks_close(old);
        px_file_put(old);
    }
    return to;
}

long px_sys_dup(int fd)
{
    return dup_from(fd, 0, false);
}

long px_sys_dup2(int fd, int to)
{
    if (fd != to)
        return dup_to(fd, to, false);
    struct px_file *f = px_fd_get(fd);
    if (!f)
        return -EBADF;
    px_file_put(f);
    return to;
}

long px_sys_dup3(int fd, int to, int flags)
{
    if ((unsigned)flags & ~O_CLOEXEC || fd == to)
        return -EINVAL;
    return dup_to(fd, to, flags);
}

long px_fd_dup_from(int fd, unsigned long from, bool cloexec)
{
    if (from >= PX_MIN(px_limit(RLIMIT_NOFILE), (uint64_t)PX_FD_MAX))
        return -EINVAL;
    return dup_from(fd, (uint32_t)from, cloexec);
}

long px_fd_cloexec_get(int fd)
{
    uint64_t entry =
        (unsigned)fd < PX_FD_MAX ? __atomic_load_n(&px_files()->table[fd], __ATOMIC_RELAXED) : 0;
    return entry ? (long)(entry & CLOEXEC) : -EBADF;
}

long px_fd_cloexec_set(int fd, bool on)
{
    struct px_files *t = px_files();
    long result = -EBADF;
    px_lock(&t->lock);
    if ((unsigned)fd < PX_FD_MAX && t->table[fd]) {
        if (on)
            __atomic_fetch_or(&t->table[fd], CLOEXEC, __ATOMIC_RELAXED);
        else
            __atomic_fetch_and(&t->table[fd], ~CLOEXEC, __ATOMIC_RELAXED);
        result = 0;
    }
    px_unlock(&t->lock);
    return result;
}

/* ---- the beginning and the end ---- */

/* One of the same handle, that another descriptor leads to. */
static struct px_file *already_taken(const struct motor_start_fd *list, uint32_t index)
{
    for (uint32_t i = index; list[index].handle && i-- > 0;)
        if (list[i].handle == list[index].handle && (uint32_t)list[i].fd < PX_FD_MAX)
            return px_fd_get(list[i].fd);
    return NULL;
}

static void take_start_fds(const struct motor_start *start)
{
    const struct motor_start_fd *list = (const void *)((const uint8_t *)start + start->fd_table);
    for (uint32_t i = 0; i < start->fds; i++) {
        if ((uint32_t)list[i].fd >= PX_FD_MAX)
            continue;
        struct px_file *f = already_taken(list, i);
        if (!f)
            f = px_file_from_record(&list[i]);
        if (!f)
            px_fatal("no memory for the first descriptors");
        mark(px_files(), (uint32_t)list[i].fd, true);
        px_fd_fill(list[i].fd, f, list[i].flags >> 31);
    }
}

struct px_file *px_file_from_record(const struct motor_start_fd *record)
{
    if (record->protocol == MOTOR_FD_SOCKET)
        return px_socket_from_record(record);
    if (record->protocol == MOTOR_FD_UNIX)
        return px_unix_from_record(record);
    if (record->protocol == MOTOR_FD_EVENT)
        return px_event_from_record(record);
    struct io_stat st = {.mode = record->protocol == MOTOR_FD_FILE ? S_IFREG : S_IFCHR};
    if (record->protocol == MOTOR_FD_FILE) {
        struct motor_msg msg = {
            .op = IO_STAT, .out = &st, .out_size = sizeof st, .deadline = MOTOR_NEVER};
        px_call(record->handle, &msg);
    }
    struct px_file *f =
        px_file_from_handle(record->handle, record->protocol, record->flags & 0x7fffffffu, &st);
    if (f)
        f->desc->offset = record->offset;
    if (f && record->offset == IO_AT_SHARED)
        f->desc->at_server = true;
    return f;
}

bool px_file_record(struct px_file *f, struct motor_start_fd *record)
{
    px_position_share(f);
    px_file_not_kept(f); /* who gets it may lock it */
    *record =
        (struct motor_start_fd){.protocol = f->protocol,
                                .handle = f->handle,
                                .flags = px_flags(f) & 0x7fffffffu,
                                .offset = f->desc->at_server ? IO_AT_SHARED : f->desc->offset};
    if (f->ops->pass)
        return f->ops->pass(f, record) == 0;
    return f->protocol == MOTOR_FD_FILE || px_is_of_tty_engine(f);
}

uint32_t px_fd_count(void)
{
    uint32_t n = 0;
    for (int fd = 0; (fd = px_fd_next(fd)) >= 0; fd++)
        n++;
    return n;
}

uint32_t px_fd_records(struct motor_start_fd *to, uint32_t max)
{
    uint32_t n = 0;
    for (int fd = 0; (fd = px_fd_next(fd)) >= 0; fd++) {
        struct motor_start_fd record;
        struct px_file *f = px_fd_cloexec_get(fd) == 0 ? px_fd_get(fd) : NULL;
        if (!f)
            continue;
        if (px_file_record(f, &record)) {
            record.fd = fd;
            if (n < max)
                to[n] = record;
            n++;
        }
        px_file_put(f);
    }
    return n;
}

void px_fd_cloexec_unlock(void)
{
    for (int fd = 0; px_proc()->presence && (fd = px_fd_next(fd)) >= 0; fd++) {
        struct px_file *f = px_fd_cloexec_get(fd) > 0 ? px_fd_get(fd) : NULL;
        if (!f)
            continue;
        px_record_locks_close(f);
        px_file_put(f);
    }
}

static bool table_init(struct px_files *t, struct px_file_pool *pool)
{
    t->pool = pool;
    uint8_t *both = px_map_below(TABLE_BYTES);
    if (both)
        t->table = (uint64_t *)(both + TABLE_OFFSET);
    return both;
}

static void table_free(struct px_files *t)
{
    px_unmap((uint8_t *)t->table - TABLE_OFFSET, TABLE_BYTES);
    px_free(t);
}

static struct px_files *table_new(struct px_file_pool *pool)
{
    struct px_files *t = px_alloc(sizeof *t);
    if (t && table_init(t, pool))
        return t;
    px_free(t);
    return NULL;
}

void px_files_prepare(struct px_process *p)
{
    static PX_HOT struct px_file_pool pool;
    static PX_HOT struct px_files files;
    static PX_HOT struct px_file first[FIRST_FILES];
    p->files = &files;
    pool.chunk = (uint8_t *)first;
    pool.chunk_end = (uint8_t *)(first + FIRST_FILES);
    if (!(pool.bounce = px_map_below(PX_BOUNCE_SIZE)) || !px_descs_prepare(&pool, pool.bounce) ||
        !table_init(&files, &pool))
        px_fatal("no memory for the descriptor table");
    px_watch_start(p);
}

void px_files_start(struct px_process *p)
{
    struct px_files *t = p->files;
    t->pool->tag = px_desc_tag();
    struct io_stat directory = {.mode = S_IFDIR};
    t->cwd = px_file_from_handle(p->start->cwd, MOTOR_FD_FILE, O_PATH | O_DIRECTORY, &directory);
    take_start_fds(p->start);
}

/* ---- fork ---- */

static PX_HOT uint32_t fork_count; /* [px_files.lock] */

static uint32_t fork_file(struct px_file *f, enum px_fork_step step, motor_handle *keep,
                          uint32_t max, uint32_t n)
{
    struct motor_start_fd record = {.handle = f->handle};
    if (f->ops->pass)
        f->ops->pass(f, &record);
    motor_handle handles[] = {record.handle, record.second};
    px_file_not_kept(f); /* the child may lock it */
    for (int i = 0; i < 2; i++)
        if (handles[i]) {
            if (keep && n < max)
                keep[n] = handles[i];
            n++;
        }
    if (step == PX_FORK_HOLD)
        px_desc_hold(f->desc, px_file_pool()->child_tag);
    else if (step == PX_FORK_UNDO)
        px_desc_drop(f->desc, px_file_pool()->child_tag);
    return n;
}

uint32_t px_files_fork(struct px_process *p, enum px_fork_step step, motor_handle *keep,
                       uint32_t max)
{
    struct px_files *t = p->files;
    uint32_t n = 0, mark_now = ++fork_count;
    if (step == PX_FORK_HOLD)
        t->pool->child_tag = px_desc_tag();
    if (t->cwd) {
        t->cwd->mark = mark_now;
        n = fork_file(t->cwd, step, keep, max, n);
    }
    for (uint32_t fd = 0; fd < t->end; fd++) {
        struct px_file *f = entry_file(t->table[fd]);
        if (f && f->mark != mark_now) {
            f->mark = mark_now;
            n = fork_file(f, step, keep, max, n);
        }
    }
    return n;
}

static void forget_bit(uint32_t *bit)
{
    if (*bit)
        *bit = 0;
}

/* A file of the child: nobody but the table refers to it, nobody is at it. */
static void file_forked(struct px_file *f, uint32_t mark_now)
{
    if (f->mark == mark_now) {
        f->refs++;
        return;
    }
    if (f->refs != 1) { /* else it is met once, and a write would copy the page */
        f->mark = mark_now;
        f->refs = 1;
    }
    px_watch_forked_file(f);
    if (px_is_stream_file(f)) {
        px_stream_forked(f);
        px_loan_forked_file(f);
    } else if (f->kind == PX_TTY)
        forget_bit(&f->tty.bit);
    else if (f->kind == PX_PIPE || f->kind == PX_UNIX) {
        forget_bit(&f->local.bit);
        px_pipe_forked(f);
        px_loan_forked_file(f);
    } else if (px_is_event(f)) {
        forget_bit(&f->event_bit);
        if (f->kind == PX_MQUEUE)
            px_mqueue_forked(f);
    }
}

void px_files_forked(struct px_process *p)
{
    struct px_files *t = p->files;
    uint32_t mark_now = ++fork_count;
    t->lock.word = t->pool->lock.word = t->pool->bounce_lock.word = 0;
    t->pool->tag = t->pool->child_tag;
    memset(t->pool->children, 0, sizeof t->pool->children);
    px_names_forked(p);
    px_loans_forked();
    if (t->cwd)
        file_forked(t->cwd, mark_now);
    for (uint32_t fd = 0; fd < t->end; fd++) {
        struct px_file *f = entry_file(t->table[fd]);
        if (f)
            file_forked(f, mark_now);
        else if (*used_word(t, fd) >> fd % 64 & 1)
            mark(t, fd, false); /* another thread was about to open it */
    }
}

/* ---- the table of a vfork child ---- */

struct px_files *px_files_copy(struct px_process *p)
{
    struct px_files *from = p->files,
                    *to = __atomic_exchange_n(&from->pool->spare, NULL, __ATOMIC_ACQ_REL);
    if (!to && !(to = table_new(from->pool)))
        return NULL;
    px_lock(&from->lock);
    for (uint32_t fd = 0; fd < from->end; fd++) {
        uint64_t entry = from->table[fd];
        if (entry) {
            px_file_get(entry_file(entry)); /* the table's own reference keeps it */
            to->table[fd] = entry;
            mark(to, fd, true);
        }
    }
    to->lowest = 0;
    px_unlock(&from->lock);
    to->remotes = from->remotes;
    to->cwd = get_from((const uint64_t *)&from->cwd);
    return to;
}

void px_files_drop(struct px_files *t)
{
    for (uint32_t fd = 0; fd < t->end; fd++) {
        struct px_file *f = entry_file(t->table[fd]);
        t->table[fd] = 0;
        if (f)
            px_file_put(f);
    }
    for (uint32_t fd = 0; fd < t->end; fd += 64)
        *used_word(t, fd) = 0;
    t->end = t->lowest = 0;
    if (t->cwd)
        px_file_put(t->cwd);
    t->cwd = NULL;
    struct px_files *old = __atomic_exchange_n(&t->pool->spare, t, __ATOMIC_ACQ_REL);
    if (old)
        table_free(old);
}

void px_files_about(struct px_process *p)
{
    struct motor_about *a = &p->about;
    a->fd_table = (uint64_t)&p->files->table;
    a->fd_end = (uint64_t)&p->files->end;
    a->cwd = (uint64_t)&p->files->cwd;
    a->file_handle = offsetof(struct px_file, handle);
    a->file_kind = offsetof(struct px_file, ops);
    a->file_description = offsetof(struct px_file, desc);
    a->kind_name = offsetof(struct px_ops, name);
    a->description_flags = offsetof(struct px_desc, flags);
    a->description_position = offsetof(struct px_desc, offset);
}

void px_files_each_locked(struct px_files *t, void (*visit)(struct px_file *f, void *context),
                          void *context)
{
    uint32_t mark_now = ++fork_count;
    if (t->cwd) {
        t->cwd->mark = mark_now;
        visit(t->cwd, context);
    }
    for (uint32_t fd = 0; fd < t->end; fd++) {
        struct px_file *f = entry_file(t->table[fd]);
        if (!f || f->mark == mark_now)
            continue;
        if (PX_GLANCE(f->refs) != 1) /* else it is met once, and a write could copy the page */
            f->mark = mark_now;
        visit(f, context);
    }
}
