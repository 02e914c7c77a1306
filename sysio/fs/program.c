/* SPDX-License-Identifier: MIT */
/*
 * See program.h. A set-id program begins in a process that only this engine has a handle to. What
 * its caller brings is a start block, copied here once and checked, of which every handle is
 * replaced: by one that is made here, or by a copy of the caller's, if that is a gate of an engine
 * of sysio. The answer to the call is the process.
 */
#include "program.h"
#include "../tty/tty.h"
#include "presence.h"

#include <errno.h>
#include <fcntl.h>
#include <motor/start.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define PROGRAM_RIGHTS (MOTOR_RIGHT_READ | MOTOR_RIGHT_EXEC | MOTOR_RIGHT_DUP)
#define GATE_RIGHTS    (MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP)
#define BLOCK_MAX      (16u << 20) /* bytes: strings, and a record for each descriptor */

static motor_handle net_connector;

void program_set_net(motor_handle connector)
{
    net_connector = connector;
}

/* ---- the file ---- */

/*
 * A handle of its own to the object with a program's bytes, at *offset in it. 0: there is none, so
 * the file is read.
 */
static motor_handle program_image(struct inode *inode, uint64_t *offset)
{
    motor_handle vmo;
    if (!inode->ops->map || inode->ops->map(inode, false, &vmo, offset))
        return 0;
    inode->mapped = true;
    inode_accessed(inode, O_RDONLY);
    int64_t own = motor_handle_dup(vmo, PROGRAM_RIGHTS);
    return own < 0 ? 0 : (motor_handle)own;
}

/* What the file's set-id bits make of the caller's ids; MOTOR_KEEP_ID: they stay. */
struct ids {
    uint64_t uid, gid;
};

static struct ids ids_of(const struct inode *inode, const struct motor_event *ev)
{
    struct ids ids = {MOTOR_KEEP_ID, MOTOR_KEEP_ID};
    uint32_t mode = inode->mode, group = S_ISGID | S_IXGRP; /* without x it is no set-id bit */
    if ((inode->mount->flags & MS_NOSUID) || tmpfs_is_memory_file(inode))
        return ids;
    if ((mode & S_ISUID) && inode->uid != ev->uid)
        ids.uid = inode->uid;
    if ((mode & group) == group && inode->gid != ev->gid)
        ids.gid = inode->gid;
    return ids;
}

static bool change(const struct ids *ids)
{
    return ids->uid != MOTOR_KEEP_ID || ids->gid != MOTOR_KEEP_ID;
}

void program_reply(struct motor_event *ev, const struct cred *who, struct inode *inode)
{
    struct ids ids = ids_of(inode, ev);
    uint64_t offset = 0, size = inode->size;
    motor_handle image = program_image(inode, &offset);
    struct motor_reply *r =
        file_open_reply(&fs_engine, ev, who, inode, O_RDONLY | FILE_EXEC, false);
    if (r)
        r->word[3] = change(&ids);
    if (r && image) {
        engine_reply_handle(r, image, PROGRAM_RIGHTS);
        r->word[1] = offset;
        r->word[2] = size;
    } else if (image) {
        motor_handle_close(image);
    }
}

/* ---- the start block ---- */

struct program {
    uint64_t token;
    struct inode *inode;
    motor_handle process;
    motor_handle root; /* here: a gate of this engine */
    uint8_t *block;
    uint64_t size;
    struct motor_start *start; /* its beginning */
};

/* `count` strings from offset `at` on, each with its end. */
static bool strings_are_whole(const struct program *p, uint32_t at, uint32_t count)
{
    uint64_t from = at;
    for (; count; count--) {
        const uint8_t *end = from < p->size ? memchr(p->block + from, 0, p->size - from) : NULL;
        if (!end)
            return false;
        from = (uint64_t)(end - p->block) + 1;
    }
    return true;
}

static bool block_is_whole(const struct program *p)
{
    const struct motor_start *s = p->start;
    return s->magic == MOTOR_START_MAGIC && strings_are_whole(p, s->argv, s->argc) && s->argc &&
           strings_are_whole(p, s->envp, s->envc) && strings_are_whole(p, s->exec_path, 1) &&
           s->fd_table % 8 == 0 && s->fd_table <= p->size &&
           s->fds <= (p->size - s->fd_table) / sizeof(struct motor_start_fd);
}

static int block_take(struct program *p, const struct motor_event *ev)
{
    p->size = ev->in_size;
    if (p->size < sizeof(struct motor_start))
        return -EINVAL;
    if (p->size > BLOCK_MAX)
        return -E2BIG;
    p->block = memory_low() ? NULL : malloc(p->size);
    if (!p->block)
        return -ENOMEM;
    int64_t n = event_read(ev, 0, p->block, p->size);
    if (n < (int64_t)p->size)
        return n < 0 ? (int)n : -EFAULT;
    p->start = (struct motor_start *)p->block;
    return block_is_whole(p) ? 0 : -EINVAL;
}

/* ---- its handles ---- */

/* A handle of ours goes into the process. */
static motor_handle give(struct program *p, int64_t h, uint32_t rights, int64_t *error)
{
    if (h <= 0) {
        *error = *error ? *error : h ? h : -ENOMEM;
        return 0;
    }
    int64_t theirs = motor_handle_install(p->process, (motor_handle)h, rights);
    motor_handle_close((motor_handle)h);
    if (theirs < 0)
        *error = *error ? *error : to_errno(theirs);
    return theirs < 0 ? 0 : (motor_handle)theirs;
}

/* A gate to a file object of its own; the file system is asked as at any open. */
static int64_t open_gate(struct inode *inode, uint32_t flags)
{
    struct cred root = {0};
    struct file *f = file_new(inode, flags);
    if (!f)
        return -ENFILE;
    inode_get(inode);
    int64_t gate = inode->ops->open && !(flags & O_PATH) ? inode->ops->open(f, &root, NULL) : 0;
    if (!gate)
        gate = engine_gate(&fs_engine, f->badge);
    if (gate < 0)
        file_free(f);
    return gate;
}

/* The caller's handle, if it is a gate of the same engine as `like`; else 0. */
static motor_handle pass(const struct program *p, motor_handle theirs, motor_handle like)
{
    int64_t h = theirs && like ? motor_handle_pass(p->token, theirs, p->process, like) : 0;
    return h < 0 ? 0 : (motor_handle)h;
}

/* What a gate in the process that was passed as one of this engine leads to. */
static struct file *file_at(const struct program *p, motor_handle theirs)
{
    struct motor_gate_info info = {.handle = theirs, .endpoint = fs_engine.endpoint};
    if (!theirs || motor_process_info(p->process, MOTOR_PINFO_GATE, &info, sizeof info) < 0)
        return NULL;
    return badge_get(&fs_engine.badges, info.badge);
}

static motor_handle pass_presence(const struct program *p)
{
    motor_handle h = pass(p, p->start->presence, p->root);
    return presence_of(file_at(p, h)) ? h : 0;
}

static int64_t give_own(struct program *p, motor_handle tty)
{
    struct motor_start *s = p->start;
    int64_t error = 0;
    uint64_t offset = 0;
    uint32_t directory = O_PATH | O_DIRECTORY;
    motor_handle image = program_image(p->inode, &offset), cwd = pass(p, s->cwd, p->root);
    s->presence = pass_presence(p);
    s->root = give(p, open_gate(mounts->root, directory), GATE_RIGHTS, &error);
    s->cwd = cwd ? cwd : give(p, open_gate(mounts->root, directory), GATE_RIGHTS, &error);
    s->net = net_connector
                 ? give(p, motor_handle_dup(net_connector, GATE_RIGHTS), GATE_RIGHTS, &error)
                 : 0;
    s->tty = give(p, motor_handle_dup(tty, GATE_RIGHTS), GATE_RIGHTS, &error);
    s->exec = give(p, open_gate(p->inode, O_RDONLY | FILE_EXEC), GATE_RIGHTS, &error);
    s->image = image ? give(p, image, PROGRAM_RIGHTS, &error) : 0;
    s->image_base = offset;
    s->image_size = p->inode->size;
    s->trace = 0;
    return error;
}

/* ---- its descriptors ---- */

static motor_handle engine_of(const struct program *p, uint32_t protocol, motor_handle tty)
{
    switch (protocol) {
    case MOTOR_FD_FILE:
        return p->root;
    case MOTOR_FD_SOCKET:
        return net_connector;
    case MOTOR_FD_TTY:
    case MOTOR_FD_PIPE:
    case MOTOR_FD_UNIX:
    case MOTOR_FD_EVENT:
        return tty;
    default:
        return 0;
    }
}

/* Two descriptors with one handle are one description, so a handle is passed once. */
struct passed {
    motor_handle theirs, here;
    uint32_t protocol;
};

static int by_handle(const void *a, const void *b)
{
    const struct passed *x = a, *y = b;
    return x->theirs < y->theirs ? -1 : x->theirs > y->theirs;
}

static const struct passed *find_passed(const struct passed *list, uint32_t count, motor_handle h)
{
    struct passed key = {.theirs = h};
    return bsearch(&key, list, count, sizeof key, by_handle);
}

/* The distinct handles of the table, passed on. How many, or an error. */
static int64_t pass_all(const struct program *p, const struct motor_start_fd *fd,
                        struct passed *list, motor_handle tty)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->start->fds; i++)
        list[i] = (struct passed){.theirs = fd[i].handle, .protocol = fd[i].protocol};
    qsort(list, p->start->fds, sizeof *list, by_handle);
    for (uint32_t i = 0; i < p->start->fds; i++) {
        if (count && list[count - 1].theirs == list[i].theirs)
            continue;
        list[count] = list[i];
        list[count].here = pass(p, list[i].theirs, engine_of(p, list[i].protocol, tty));
        count++;
    }
    return count;
}

/* Descriptors whose handle is not sysio's are closed in the program. */
static int64_t pass_descriptors(struct program *p, motor_handle tty)
{
    struct motor_start *s = p->start;
    struct motor_start_fd *fd = (struct motor_start_fd *)(p->block + s->fd_table);
    struct passed *list = calloc(s->fds + 1ul, sizeof *list);
    uint32_t kept = 0;
    if (!list)
        return -ENOMEM;
    uint32_t count = (uint32_t)pass_all(p, fd, list, tty);
    for (uint32_t i = 0; i < s->fds; i++) {
        const struct passed *to = find_passed(list, count, fd[i].handle);
        bool ascends = fd[i].fd > (kept ? fd[kept - 1].fd : -1);
        if (!to || !to->here || to->protocol != fd[i].protocol || !ascends)
            continue;
        fd[kept] = fd[i];
        fd[kept].handle = to->here;
        fd[kept].second = 0;
        kept++;
    }
    s->fds = kept;
    free(list);
    return 0;
}

/* ---- the process ---- */

static void replace_rest(struct program *p)
{
    struct motor_start *s = p->start;
    s->size = (uint32_t)p->size;
    s->flags = (s->flags & MOTOR_START_RLIMITS) | MOTOR_START_SET_ID;
    s->program = s->program_size = 0; /* it reads its file itself */
    s->subreaper = s->death_signal = s->no_new_privs = 0;
}

/* The block's address in the process, or an error. */
static int64_t place_block(struct program *p)
{
    uint64_t pages = (p->size + MOTOR_PAGE_SIZE - 1) & ~(uint64_t)(MOTOR_PAGE_SIZE - 1);
    int64_t vmo = motor_vmo_create(pages, 0);
    if (vmo < 0)
        return to_errno(vmo);
    int64_t n = motor_vmo_control((motor_handle)vmo, MOTOR_VMO_WRITE, 0, p->size, p->block);
    if (n >= 0)
        n = motor_map(p->process, (motor_handle)vmo, 0, 0, pages,
                      MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE | MOTOR_MAP_POPULATE);
    motor_handle_close((motor_handle)vmo);
    return to_errno(n);
}

static void name_process(const struct program *p)
{
    const char *path = (const char *)p->block + p->start->exec_path, *slash = strrchr(path, '/');
    motor_process_set(p->process, MOTOR_PSET_NAME, (uint64_t)(uintptr_t)(slash ? slash + 1 : path));
}

static int64_t fill(struct program *p)
{
    int64_t tty = engine_gate(&tty_engine, TTY_CONNECTOR + 1);
    int64_t root = open_gate(mounts->root, O_PATH | O_DIRECTORY);
    int64_t error = tty < 0 ? tty : root < 0 ? root : 0;
    p->root = root < 0 ? 0 : (motor_handle)root;
    if (!error)
        error = give_own(p, (motor_handle)tty);
    if (!error)
        error = pass_descriptors(p, (motor_handle)tty);
    if (tty > 0)
        motor_handle_close((motor_handle)tty);
    if (root > 0)
        motor_handle_close((motor_handle)root);
    replace_rest(p);
    return error ? error : place_block(p);
}

int64_t program_set_id(struct motor_event *ev, const struct cred *who, const struct file *file)
{
    struct inode *inode = file->inode;
    struct ids ids = ids_of(inode, ev);
    struct program p = {.token = ev->token, .inode = inode};
    if (!(file->flags & FILE_EXEC))
        return -EACCES;
    int64_t at = vfs_permission(inode, who, MAY_EXEC); /* the gate may be another's */
    if (!at && !change(&ids))
        at = -EAGAIN;
    if (!at)
        at = block_take(&p, ev);
    if (!at) {
        int64_t process = motor_process_create(MOTOR_PROCESS_FROM_TEMPLATE);
        p.process = process < 0 ? 0 : (motor_handle)process;
        at = process < 0 ? to_errno(process) : fill(&p);
    }
    if (at > 0)
        name_process(&p);
    free(p.block);
    if (at < 0) {
        if (p.process)
            motor_handle_close(p.process);
        return at;
    }
    struct motor_reply *r = engine_reply(&fs_engine, ev->token, 0);
    engine_reply_handle(r, p.process, 0);
    r->flags |= MOTOR_REPLY_EXEC;
    r->word[0] = (uint64_t)at;
    r->word[1] = ids.uid;
    r->word[2] = ids.gid;
    return NO_REPLY;
}
