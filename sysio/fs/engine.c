/* SPDX-License-Identifier: MIT */
/*
 * The fs engine's messages. Each IO_* call is decoded here or by calls_*.c (handle, path, words),
 * then done by vfs.c or by the inode's file system. All calls but those that wait for a lock, a
 * semaphore or a message are answered at once.
 */
#include "../base/fiber.h"
#include "call.h"
#include "devices.h"
#include "pager.h"
#include "proc/proc.h"
#include "program.h"
#include "system_name.h"
#include "sysv/sysv.h"
#include "watches.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>

struct engine fs_engine;

static char path_buffer[2 * IO_PATH_MAX];

int take_path(struct request *q)
{
    if (q->ev->in_size >= IO_PATH_MAX)
        return -ENAMETOOLONG;
    int64_t n = event_read(q->ev, 0, path_buffer, q->ev->in_size);
    q->path = path_buffer;
    q->size = n < 0 ? 0 : (size_t)n;
    return n < 0 ? (int)n : n < (int64_t)q->ev->in_size ? -EFAULT : 0;
}

int take_two_paths(struct request *q, size_t *first)
{
    uint64_t length = q->ev->word[0], total = q->ev->in_size;
    if (length > total)
        return -EINVAL;
    if (length >= IO_PATH_MAX || total - length >= IO_PATH_MAX)
        return -ENAMETOOLONG;
    int64_t n = event_read(q->ev, 0, path_buffer, total);
    if (n < (int64_t)total)
        return n < 0 ? (int)n : -EFAULT;
    *first = length;
    q->path = path_buffer;
    q->size = total;
    return 0;
}

int take_inode(struct request *q, bool nofollow, struct inode **out)
{
    static struct walk w;
    int error = take_path(q);
    if (error)
        return error;
    if (!q->size) {
        *out = inode_get(q->file->inode);
        return 0;
    }
    error = vfs_walk(&w, q->file->inode, &q->who, q->path, q->size, nofollow ? WALK_NOFOLLOW : 0);
    if (!error)
        *out = w.inode;
    return error;
}

struct file *second_file(struct request *q)
{
    if (!q->ev->nhandles || q->ev->handle[0] != MOTOR_HANDLE_OWN)
        return NULL;
    return badge_get(&fs_engine.badges, q->ev->own_badge[0]);
}

/* ---- the calls; each returns its status, or NO_REPLY when it has answered ---- */

static int64_t call_exec(struct request *q)
{
    struct inode *inode;
    int error = take_inode(q, q->ev->word[0] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    if (S_ISLNK(inode->mode))
        error = -ELOOP;
    else if (!S_ISREG(inode->mode) || (inode->mount->flags & MS_NOEXEC))
        error = -EACCES;
    else
        error = vfs_permission(inode, &q->who, MAY_EXEC);
    if (!error && inode->writers && !tmpfs_is_memory_file(inode)) /* whose maker may always write */
        error = -ETXTBSY;
    if (error) {
        inode_put(inode);
        return error;
    }
    program_reply(q->ev, &q->who, inode);
    return NO_REPLY;
}

static int64_t call_chroot(struct request *q)
{
    struct inode *inode;
    int error = take_inode(q, false, &inode);
    if (error)
        return error;
    error = root_change(&q->who, inode);
    inode_put(inode);
    return error;
}

static int64_t call_exec_set_id(struct request *q)
{
    return program_set_id(q->ev, &q->who, q->file);
}

static int64_t call_control(struct request *q)
{
    if (q->file->flags & O_PATH)
        return -EBADF;
    return q->file->inode->ops->control ? q->file->inode->ops->control(q->file, q->ev) : -ENOTTY;
}

static int64_t call_poll(struct request *q)
{
    if (q->file->flags & O_PATH)
        return POLLNVAL;
    return (int64_t)(q->ev->word[0] & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM));
}

static int64_t call_lock(struct request *q)
{
    return lock_call(q->file, presence_of(second_file(q)), q->ev);
}

#define MEMORY_FILE "memfd:"

static int64_t call_memory_file(struct request *q)
{
    char name[FS_NAME_MAX + 1] = MEMORY_FILE;
    struct inode *inode;
    size_t prefix = strlen(MEMORY_FILE), length = q->ev->in_size;
    if (length > FS_NAME_MAX - prefix)
        return -EINVAL;
    int error = take_path(q);
    if (error)
        return error;
    memcpy(name + prefix, q->path, length);
    error = tmpfs_memory_file(name, q->ev->word[0], &q->who, &inode);
    if (error)
        return error == -ENOSPC ? -ENOMEM : error;
    file_open_reply(&fs_engine, q->ev, &q->who, inode, O_RDWR, true);
    return NO_REPLY;
}

static int64_t call_seal(struct request *q)
{
    const struct inode_ops *ops = q->file->inode->ops;
    if (q->file->flags & O_PATH)
        return -EBADF;
    return ops->seal ? ops->seal(q->file, q->ev->word[0], (uint32_t)q->ev->word[1]) : -EINVAL;
}

static int64_t call_inotify_add(struct request *q)
{
    struct inode *inode;
    int error = take_inode(q, q->ev->word[0] & IN_DONT_FOLLOW, &inode);
    if (error)
        return error;
    int64_t result = watch_add(q->ev, &q->who, inode);
    inode_put(inode);
    return result;
}

static int64_t call_inotify_remove(struct request *q)
{
    return watch_remove(q->ev);
}

static int64_t call_presence(struct request *q)
{
    return presence_call(q->ev);
}

/* What is no file goes by the effective user and group. */
static void take_effective_ids(struct request *q)
{
    q->who.uid = q->ev->uid;
    q->who.gid = q->ev->gid;
}

static int64_t call_shm(struct request *q)
{
    take_effective_ids(q);
    return shm_call(q->ev, &q->who);
}

static int64_t call_sem(struct request *q)
{
    take_effective_ids(q);
    return sem_call(q->ev, &q->who, presence_of(second_file(q)));
}

static int64_t call_msg(struct request *q)
{
    take_effective_ids(q);
    return msg_call(q->ev, &q->who);
}

static int64_t call_system_name(struct request *q)
{
    take_effective_ids(q);
    return system_name_call(q->ev, &q->who);
}

static int64_t call_process_memory(struct request *q)
{
    take_effective_ids(q);
    return foreign_memory_call(q->ev, &q->who);
}

static int64_t call_process_adjust(struct request *q)
{
    take_effective_ids(q);
    return adjust_call(q->ev, &q->who);
}

/* Four strings, one after the other; the lengths of the first three are in the words. */
static int64_t call_mount(struct request *q)
{
    static char strings[IO_MOUNT_MAX + 4];
    const uint64_t *w = q->ev->word;
    char *string[4], *to = strings;
    uint64_t at = 0, size = q->ev->in_size;
    if (size > IO_MOUNT_MAX || w[1] > size || w[2] > size - w[1] || w[3] > size - w[1] - w[2])
        return -ENAMETOOLONG;
    uint64_t length[4] = {w[1], w[2], w[3], size - w[1] - w[2] - w[3]};
    for (int i = 0; i < 4; i++) {
        int64_t n = event_read(q->ev, at, to, length[i]);
        if (n < (int64_t)length[i])
            return n < 0 ? n : -EFAULT;
        string[i] = to;
        to[length[i]] = 0;
        to += length[i] + 1;
        at += length[i];
    }
    struct mount_request r = {.source = string[0],
                              .target = string[1],
                              .type = string[2],
                              .data = string[3],
                              .flags = (uint32_t)w[0]};
    take_effective_ids(q);
    return vfs_mount_call(q->file->inode, &q->who, &r);
}

/*
 * A file that the caller has just closed may still count: the kernel tells of it in its own time.
 * So a busy file system is looked at a second time, when what was closed before is known.
 */
static struct {
    struct motor_event event;
    struct engine_timer timer;
    bool waits;
} second_look;
#define SECOND_LOOK_NS 1000000u

static void fs_message(struct motor_event *ev);

static void look_again(struct engine *e, struct engine_timer *t)
{
    (void)e, (void)t;
    work_add(&second_look.event, fs_message);
}

static int64_t call_umount(struct request *q)
{
    bool second = second_look.waits && second_look.event.token == q->ev->token;
    int error = take_path(q);
    take_effective_ids(q);
    if (!error)
        error =
            vfs_umount_call(q->file->inode, &q->who, q->path, q->size, (uint32_t)q->ev->word[0]);
    if (second)
        second_look.waits = false;
    if (error != -EBUSY || second || second_look.waits || !device_at(0))
        return error;
    second_look.waits = true;
    second_look.event = *q->ev;
    second_look.event.nhandles = 0; /* they are closed with the first */
    second_look.timer.fire = look_again;
    engine_timer_set(&fs_engine, &second_look.timer, fs_engine.now + SECOND_LOOK_NS);
    return NO_REPLY;
}

static int64_t (*const calls[])(struct request *) = {
    [IO_OPEN] = call_open,
    [IO_STAT] = call_stat,
    [IO_READ] = call_read,
    [IO_WRITE] = call_write,
    [IO_TRUNCATE] = call_truncate,
    [IO_READDIR] = call_readdir,
    [IO_MKDIR] = call_mkdir,
    [IO_UNLINK] = call_unlink,
    [IO_RENAME] = call_rename_or_link,
    [IO_LINK] = call_rename_or_link,
    [IO_SYMLINK] = call_symlink,
    [IO_READLINK] = call_readlink,
    [IO_CHMOD] = call_chmod,
    [IO_CHOWN] = call_chown,
    [IO_UTIMENS] = call_utimens,
    [IO_ACCESS] = call_access,
    [IO_STATFS] = call_statfs,
    [IO_SYNC] = call_sync,
    [IO_MAP] = call_map,
    [IO_HOT] = call_hot,
    [IO_MKNOD] = call_mknod,
    [IO_ALLOCATE] = call_allocate,
    [IO_CONTROL] = call_control,
    [IO_POLL] = call_poll,
    [IO_PATH] = call_path,
    [IO_COPY] = call_copy,
    [IO_CHECK_DIR] = call_check_dir,
    [IO_EXEC] = call_exec,
    [IO_EXEC_SET_ID] = call_exec_set_id,
    [IO_SEEK] = call_seek,
    [IO_RENDEZVOUS] = call_rendezvous,
    [IO_LOCK] = call_lock,
    [IO_PRESENCE] = call_presence,
    [IO_MEMORY_FILE] = call_memory_file,
    [IO_SEAL] = call_seal,
    [IO_XATTR] = call_xattr,
    [IO_SHM_GET... IO_SHM_CONTROL] = call_shm,
    [IO_SEM_GET... IO_SEM_CONTROL] = call_sem,
    [IO_MSG_GET... IO_MSG_CONTROL] = call_msg,
    [IO_MOUNT] = call_mount,
    [IO_UMOUNT] = call_umount,
    [IO_CHROOT] = call_chroot,
    [IO_PROCESS_MEMORY] = call_process_memory,
    [IO_PROCESS_ADJUST] = call_process_adjust,
    [IO_SYSTEM_NAME] = call_system_name,
    [IO_ADVISE] = call_advise,
    [IO_INOTIFY_ADD] = call_inotify_add,
    [IO_INOTIFY_REMOVE] = call_inotify_remove,
};

/* Not an index of the table of badges: see badge_add(). */
#define CONTROL_BADGE 1000u

static void cancel(uint64_t token)
{
    locks_cancel(token);
    sem_cancel(token);
    msg_cancel(token);
}

static bool finished; /* the inodes of disks lead nowhere */

static struct cred cred_of(const struct motor_event *ev)
{
    return (struct cred){.pid = ev->pid,
                         .uid = ev->fsuid,
                         .gid = ev->fsgid,
                         .euid = ev->uid,
                         .sid = ev->sid,
                         .groups = ev->groups,
                         .token = ev->token};
}

/*
 * A read that has nothing to do with other calls: no position at the server, no access time to be
 * noted, and nobody appends without calls.
 */
static bool may_read_beside(const struct motor_event *ev)
{
    const struct file *f =
        ev->kind == MOTOR_EVENT_CALL && ev->op == IO_READ && ev->word[0] != IO_AT_SHARED
            ? badge_get(&fs_engine.badges, ev->badge)
            : NULL;
    return f && !finished && S_ISREG(f->inode->mode) && f->inode->ops->reads_beside &&
           !f->inode->lease && ((f->flags & O_NOATIME) || inode_access_is_noted(f->inode));
}

static void read_beside(struct motor_event *ev)
{
    struct file *f = badge_get(&fs_engine.badges, ev->badge);
    struct request q = {.ev = ev, .file = f, .who = cred_of(ev), .noted = true};
    f->reads++;
    engine_reply(&fs_engine, ev->token, call_read(&q));
    if (!--f->reads && f->closes)
        fiber_ready(f->closes);
}

static void close_file(struct file *f)
{
    f->closes = fiber_current();
    while (f->reads)
        fiber_suspend();
    file_free(f);
}

static void fs_message(struct motor_event *ev)
{
    struct engine *e = &fs_engine;
    struct file *file = badge_get(&e->badges, ev->badge);
    if (ev->kind == MOTOR_EVENT_CALL && (finished || ev->badge == CONTROL_BADGE)) {
        if (!finished) {
            appends_end(false);
            disks_finish();
        }
        finished = true;
        engine_reply(e, ev->token, ev->badge == CONTROL_BADGE ? 0 : -EIO);
    }
    if (finished)
        return;
    appends_collect();
    if (ev->kind == MOTOR_EVENT_CLOSED && file) {
        close_file(file);
        disks_publish();
        hot_publish();
        watches_publish();
        mounts_settle();
    }
    if (ev->kind == MOTOR_EVENT_CANCEL)
        cancel(ev->token);
    if (ev->kind == MOTOR_EVENT_NOTIFY && ev->badge == SHM_BADGE)
        shm_unmapped();
    if (ev->kind == MOTOR_EVENT_NOTIFY && ev->badge == WATCHES_BADGE)
        watches_closed();
    if (ev->kind != MOTOR_EVENT_CALL)
        return;
    int64_t status = -ENOSYS;
    if (!file) {
        status = -EBADF;
    } else if (ev->op < sizeof calls / sizeof *calls && calls[ev->op]) {
        struct request q = {.ev = ev, .file = file, .who = cred_of(ev)};
        status = root_find(ev->root, &q.who.root);
        if (!status)
            status = calls[ev->op](&q);
        inode_put(q.who.root);
        appends_go_on();
        disks_publish();
        hot_publish();
        watches_publish();
    }
    if (status <= FS_OWN_FD(0) && status != NO_REPLY)
        status = -status;
    if (status != NO_REPLY)
        engine_reply(e, ev->token, status);
}

static void fs_event(struct engine *e, struct motor_event *ev)
{
    (void)e;
    if (ev->kind == MOTOR_EVENT_NOTIFY && devices_interrupt(ev->badge))
        return;
    if (pager_event(ev))
        return;
    if (!device_at(0)) /* else a call may have to wait for it */
        fs_message(ev);
    else if (!may_read_beside(ev) || !work_beside(ev, read_beside))
        work_add(ev, fs_message);
}

static void fs_turn_end(struct engine *e)
{
    do
        work_run();
    while (fiber_run());
    e->again |= devices_turn();
}

bool fs_engine_init(void)
{
    if (!engine_init(&fs_engine, "fs", fs_event))
        return false;
    fs_engine.turn_end = fs_turn_end;
    return true;
}

void fs_finish(bool running)
{
    struct motor_msg m = {.deadline = MOTOR_NEVER};
    if (!disks_mounted())
        return;
    int64_t gate = running ? engine_gate(&fs_engine, CONTROL_BADGE) : -1;
    if (gate >= 0)
        motor_call((motor_handle)gate, &m);
    else if (!running)
        disks_finish_now();
}
