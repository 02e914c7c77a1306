/* SPDX-License-Identifier: MIT */
/* Open-file objects: a gate each, and what reading, writing and listing needs. */
#include "../local/local.h"
#include "lock.h"
#include "watches.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <motor/start.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* ---- transfers ---- */

static int64_t transfer(struct transfer *t, struct motor_copy *copy, uint32_t direction)
{
    if (copy->length > t->left)
        copy->length = t->left;
    copy->offset = t->moved;
    if (!copy->length)
        return 0;
    int64_t n = to_errno(motor_msg_copy(t->token, copy, direction, 0));
    if (n > 0) {
        t->moved += (uint64_t)n;
        t->left -= (uint64_t)n;
    }
    return n;
}

int64_t transfer_from_vmo(struct transfer *t, motor_handle vmo, uint64_t offset, uint64_t size)
{
    return transfer(t, &(struct motor_copy){.length = size, .vmo = vmo, .vmo_offset = offset},
                    MOTOR_COPY_TO_CALLER);
}

int64_t transfer_to_vmo(struct transfer *t, motor_handle vmo, uint64_t offset, uint64_t size)
{
    return transfer(t, &(struct motor_copy){.length = size, .vmo = vmo, .vmo_offset = offset},
                    MOTOR_COPY_FROM_CALLER);
}

int64_t transfer_from_buffer(struct transfer *t, const void *buffer, uint64_t size)
{
    return transfer(t, &(struct motor_copy){.length = size, .buffer = (void *)(uintptr_t)buffer},
                    MOTOR_COPY_TO_CALLER);
}

int64_t transfer_to_buffer(struct transfer *t, void *buffer, uint64_t size)
{
    return transfer(t, &(struct motor_copy){.length = size, .buffer = buffer},
                    MOTOR_COPY_FROM_CALLER);
}

/* ---- objects ---- */

bool file_is_readable(const struct file *f)
{
    return !(f->flags & O_PATH) && (f->flags & O_ACCMODE) != O_WRONLY;
}

bool file_is_writable(const struct file *f)
{
    return !(f->flags & (O_PATH | FILE_EXEC)) && (f->flags & O_ACCMODE) != O_RDONLY;
}

/* Files that have gone, for the next ones: opening and closing is most of what there is to do. */
static struct file *spare[16];
static unsigned spares;

static struct file *take_spare(void)
{
    struct file *f = spare[--spares];
    *f = (struct file){0};
    return f;
}

static void give_back(struct file *f)
{
    if (spares < sizeof spare / sizeof *spare)
        spare[spares++] = f;
    else
        free(f);
}

struct file *file_new(struct inode *inode, uint32_t flags)
{
    struct file *f = memory_low() ? NULL : spares ? take_spare() : calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->badge = badge_add(&fs_engine.badges, f);
    if (!f->badge) {
        give_back(f);
        return NULL;
    }
    f->inode = inode;
    f->flags = flags;
    if (file_is_writable(f)) {
        inode->writers++;
        hot_others(inode, f);
    }
    inode->runners += (flags & FILE_EXEC) != 0;
    return f;
}

static void tell_closed(struct file *file)
{
    if (file->flags & O_PATH)
        return;
    watch_event(file->inode, file_is_writable(file) ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
}

void file_free(struct file *file)
{
    tell_closed(file);
    if (file->inode->ops->close)
        file->inode->ops->close(file);
    locks_file_closed(file);
    badge_remove(&fs_engine.badges, file->badge);
    if (file_is_writable(file)) {
        hot_write_end(file);
        append_end(file->inode);
        file->inode->writers--;
    }
    file->inode->runners -= (file->flags & FILE_EXEC) != 0;
    watch_gone(file->inode, 1);
    inode_put(file->inode);
    give_back(file);
}

static int truncate_for_open(struct inode *inode, const struct cred *who, uint32_t flags,
                             bool created)
{
    if (!(flags & O_TRUNC) || created || !S_ISREG(inode->mode) || (flags & O_PATH))
        return 0;
    append_end(inode);
    int error = inode->ops->truncate ? inode->ops->truncate(inode, 0) : 0;
    if (!error) {
        inode_drop_privileges(inode, who);
        watch_event(inode, IN_MODIFY);
    }
    return error;
}

/* The number lasts as long as the inode is in memory, which who meets there sees to. */
static int64_t rendezvous_gate(struct inode *inode, uint64_t rights)
{
    static uint64_t last;
    if (!inode->rendezvous)
        inode->rendezvous = ++last;
    return engine_gate(&tty_engine, RENDEZVOUS | rights | inode->rendezvous);
}

void file_rendezvous_reply(struct engine *e, struct motor_event *ev, struct inode *inode,
                           uint64_t rights, bool file)
{
    struct io_stat st;
    inode_stat(inode, &st);
    int64_t meet = rendezvous_gate(inode, rights), itself = 0;
    struct file *f = meet >= 0 && file ? file_new(inode, O_RDONLY) : NULL;
    if (!f)
        inode_put(inode);
    if (meet >= 0 && file)
        itself = f ? engine_gate(e, f->badge) : -ENFILE;
    int64_t error = meet < 0 ? meet : itself < 0 ? itself : 0;
    struct motor_reply *r = engine_reply(e, ev->token, error);
    if (error) {
        if (f)
            file_free(f);
        if (meet >= 0)
            motor_handle_close((motor_handle)meet);
        return;
    }
    engine_reply_handle(r, (motor_handle)meet, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    if (file)
        engine_reply_handle(r, (motor_handle)itself, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    r->word[0] = MOTOR_FD_FIFO;
    engine_reply_data(r, e, &st, sizeof st);
}

static uint64_t fifo_rights(uint32_t flags)
{
    uint32_t access = flags & O_ACCMODE;
    return (access == O_WRONLY ? 0 : RENDEZVOUS_READ) | (access == O_RDONLY ? 0 : RENDEZVOUS_WRITE);
}

struct motor_reply *file_open_reply(struct engine *e, struct motor_event *ev,
                                    const struct cred *who, struct inode *inode, uint32_t flags,
                                    bool created)
{
    if (S_ISFIFO(inode->mode) && !(flags & O_PATH)) {
        file_rendezvous_reply(e, ev, inode, fifo_rights(flags), true);
        return NULL;
    }
    struct file *f = file_new(inode, flags);
    if (!f) {
        inode_put(inode);
        engine_reply(e, ev->token, -ENFILE);
        return NULL;
    }
    struct motor_reply opened = {0}; /* not one of the engine's: what follows may sleep */
    int64_t error =
        f->inode->ops->open && !(flags & O_PATH) ? f->inode->ops->open(f, who, &opened) : 0;
    if (error >= 0 && !(flags & O_PATH))
        watch_event(inode, IN_OPEN);
    if (!error)
        error = truncate_for_open(inode, who, flags, created);
    struct io_stat st;
    inode_stat(inode, &st);
    struct motor_reply *r = engine_reply(e, ev->token, 0);
    opened.token = r->token;
    *r = opened;
    if (error == 1) { /* the reply has another engine's handle */
        file_free(f);
        r->status = 0;
        engine_reply_data(r, e, &st, sizeof st);
        return NULL;
    }
    int64_t gate = error ? error : engine_gate(e, f->badge);
    if (gate < 0) {
        file_free(f);
        r->status = gate == -ENOMEM ? -ENFILE : gate;
        return NULL;
    }
    engine_reply_handle(r, (motor_handle)gate, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    r->word[0] = MOTOR_FD_FILE;
    engine_reply_data(r, e, &st, sizeof st);
    return r;
}

/* ---- directories ---- */

/* struct linux_dirent64 */
struct record {
    uint64_t ino;
    int64_t off;
    uint16_t length;
    uint8_t type;
    char name[];
};

struct record_sink {
    struct dir_sink sink;
    size_t used, size;
    uint64_t last; /* cookie after what is in the buffer */
    bool full;
    uint8_t buffer[32768] __attribute__((aligned(8)));
};

static bool record_add(struct dir_sink *sink, uint64_t ino, uint64_t next, uint32_t mode,
                       const char *name, size_t length)
{
    struct record_sink *s = (struct record_sink *)sink;
    size_t size = (offsetof(struct record, name) + length + 1 + 7) & ~(size_t)7;
    if (size > s->size - s->used) {
        s->full = true;
        return false;
    }
    struct record *r = (struct record *)(s->buffer + s->used);
    memset((uint8_t *)r + size - 8, 0, 8); /* what is behind the name */
    r->ino = ino;
    r->off = (int64_t)next;
    r->length = (uint16_t)size;
    r->type = (uint8_t)IFTODT(mode);
    memcpy(r->name, name, length);
    s->used += size;
    s->last = next;
    return true;
}

int64_t file_readdir(struct file *file, const struct cred *who, uint64_t cookie,
                     struct motor_event *ev, uint64_t *next)
{
    static struct record_sink s;
    struct inode *dir = file->inode;
    s.sink.entry = record_add;
    s.used = 0;
    s.full = false;
    s.size = ev->out_size < sizeof s.buffer ? ev->out_size : sizeof s.buffer;
    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    if (dir->nlink == 0)
        return -ENOENT;
    if (cookie == 0 && record_add(&s.sink, dir->ino, 1, dir->mode, ".", 1))
        cookie = 1;
    if (cookie == 1 && !s.full) {
        struct inode *parent = vfs_parent(dir, who);
        if (record_add(&s.sink, parent->ino, 2, parent->mode, "..", 2))
            cookie = 2;
        inode_put(parent);
    }
    if (cookie >= 2 && !s.full && dir->ops->readdir) {
        int error = dir->ops->readdir(dir, who, cookie, &s.sink);
        if (error)
            return error;
    }
    if (s.full && !s.used)
        return -EINVAL;
    inode_accessed(dir, file->flags);
    *next = s.last;
    return s.used ? event_write(ev, 0, s.buffer, s.used) : 0;
}
