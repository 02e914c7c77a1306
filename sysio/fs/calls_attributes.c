/* SPDX-License-Identifier: MIT */
/* Calls about what is kept of a file beside its bytes: attributes, rights, times. */
#include "call.h"
#include "watches.h"
#include "xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int64_t call_stat(struct request *q)
{
    struct inode *inode;
    struct io_stat st;
    int error = take_inode(q, q->ev->word[0] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    hot_others(inode, q->size ? NULL : q->file);
    inode_stat(inode, &st);
    inode_put(inode);
    engine_reply_data(engine_reply(&fs_engine, q->ev->token, 0), &fs_engine, &st, sizeof st);
    return NO_REPLY;
}

/* Owner or root may change it, and the file system must agree. */
static int setattr_check(struct request *q, struct inode *inode)
{
    if (!q->size && (q->file->flags & O_PATH))
        return -EBADF;
    int error = vfs_setattr_check(inode, &q->who);
    return error ? error : inode->ops->setattr ? inode->ops->setattr(inode) : 0;
}

int64_t call_chmod(struct request *q)
{
    struct inode *inode;
    uint32_t mode = q->ev->word[0] & 07777;
    int error = take_inode(q, q->ev->word[1] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    error = setattr_check(q, inode);
    if (!error && S_ISLNK(inode->mode))
        error = -EOPNOTSUPP;
    if (!error) {
        if (q->who.uid && !cred_in_group(&q->who, inode->gid))
            mode &= ~(uint32_t)S_ISGID;
        inode->mode = (inode->mode & S_IFMT) | mode;
        inode_touch(inode, false);
        names_changed();
        watch_event(inode, IN_ATTRIB);
    }
    inode_put(inode);
    return error;
}

/* What chown takes from the mode of anything but a directory. */
static uint32_t chown_clears(const struct inode *inode, const struct cred *who)
{
    uint32_t mode = inode->mode, clears = S_ISUID;
    if (S_ISDIR(mode))
        return 0;
    if ((mode & S_IXGRP) || (who->uid && !cred_in_group(who, inode->gid)))
        clears |= S_ISGID;
    return mode & clears;
}

int64_t call_chown(struct request *q)
{
    struct inode *inode;
    uint32_t uid = (uint32_t)q->ev->word[0], gid = (uint32_t)q->ev->word[1];
    int error = take_inode(q, q->ev->word[2] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    error = setattr_check(q, inode);
    bool owner = q->who.uid == inode->uid;
    uint32_t clears = chown_clears(inode, &q->who);
    if (error == -EPERM && uid == UINT32_MAX && gid == UINT32_MAX && !inode->ops->setattr &&
        !clears)
        error = 0; /* nothing is asked for */
    if (!error && q->who.uid && uid != UINT32_MAX && !(owner && uid == inode->uid))
        error = -EPERM;
    if (!error && q->who.uid && gid != UINT32_MAX &&
        !(owner && (gid == inode->gid || cred_in_group(&q->who, gid))))
        error = -EPERM;
    if (!error) {
        if (uid != UINT32_MAX)
            inode->uid = uid;
        if (gid != UINT32_MAX)
            inode->gid = gid;
        inode->mode &= ~clears;
        inode_touch(inode, false);
        names_changed();
        watch_event(inode, IN_ATTRIB);
    }
    inode_put(inode);
    return error;
}

static bool set_time(struct timespec *to, uint64_t sec, uint64_t nsec)
{
    if (nsec == UTIME_OMIT)
        return true;
    if (nsec == UTIME_NOW) {
        *to = fs_now();
        return true;
    }
    if (nsec > 999999999u)
        return false;
    *to = (struct timespec){(time_t)sec, (long)nsec};
    return true;
}

int64_t call_utimens(struct request *q)
{
    const uint64_t *w = q->ev->word;
    struct inode *inode;
    int error = take_inode(q, w[4] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    hot_collect(inode);
    struct timespec atime = inode->atime, mtime = inode->mtime;
    if (!set_time(&atime, w[0], w[1]) || !set_time(&mtime, w[2], w[3])) {
        error = -EINVAL;
    } else if (w[1] != UTIME_OMIT || w[3] != UTIME_OMIT) {
        error = setattr_check(q, inode);
        if (error == -EPERM && w[1] == UTIME_NOW && w[3] == UTIME_NOW)
            error = vfs_permission(inode, &q->who, MAY_WRITE);
        if (!error) {
            inode->atime = atime;
            inode->mtime = mtime;
            inode_touch(inode, false);
            watch_event(inode, w[1] == UTIME_OMIT   ? IN_MODIFY
                               : w[3] == UTIME_OMIT ? IN_ACCESS
                                                    : IN_ATTRIB); /* as Linux */
        }
    }
    inode_put(inode);
    return error;
}

/*
 * The caller's real user and group instead of the effective ones. It says that they differ, and the
 * kernel says what they are.
 */
static int take_real_ids(struct request *q)
{
    struct motor_process_info info;
    int64_t h = motor_process_open(q->ev->pid, MOTOR_RIGHT_READ);
    if (h < 0)
        return -ESRCH;
    int64_t status = motor_process_info((motor_handle)h, MOTOR_PINFO_BASIC, &info, sizeof info);
    motor_handle_close((motor_handle)h);
    if (status < 0)
        return -ESRCH;
    q->who.uid = info.ruid;
    q->who.gid = info.rgid;
    return 0;
}

int64_t call_access(struct request *q)
{
    struct inode *inode;
    if (q->ev->word[0] & ~(uint64_t)(R_OK | W_OK | X_OK))
        return -EINVAL;
    int error = q->ev->word[2] && !(q->ev->word[1] & AT_EACCESS) ? take_real_ids(q) : 0;
    if (error)
        return error;
    error = take_inode(q, q->ev->word[1] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    error = q->ev->word[0] ? vfs_permission(inode, &q->who, (uint32_t)q->ev->word[0]) : 0;
    inode_put(inode);
    return error;
}

/* Linux ST_*: the lower ones are as in mount(2). */
static uint64_t statfs_flags(const struct mount *m)
{
    uint64_t valid = 0x20, noatime = 1024, nodiratime = 2048, relatime = 4096;
    return valid | (m->read_only ? MS_RDONLY : 0) |
           (m->flags & (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS)) |
           (m->flags & MS_NOATIME ? noatime : relatime) |
           (m->flags & MS_NODIRATIME ? nodiratime : 0);
}

int64_t call_statfs(struct request *q)
{
    struct inode *inode;
    struct io_statfs st = {.bsize = MOTOR_PAGE_SIZE, .namelen = FS_NAME_MAX};
    int error = take_inode(q, false, &inode);
    if (error)
        return error;
    if (inode->ops->statfs)
        inode->ops->statfs(inode, &st);
    st.fsid = inode->mount->id;
    st.flags = statfs_flags(inode->mount);
    inode_put(inode);
    engine_reply_data(engine_reply(&fs_engine, q->ev->token, 0), &fs_engine, &st, sizeof st);
    return NO_REPLY;
}

int64_t call_xattr(struct request *q)
{
    return xattr_call(q->file, &q->who, q->ev);
}
