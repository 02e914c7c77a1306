/* SPDX-License-Identifier: MIT */
/* Extended attributes: names and rights. See xattr.h. */
#include "xattr.h"
#include "watches.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static char name_buffer[XATTR_NAME_ROOM];
static uint8_t value_buffer[XATTR_VALUE_MAX];

static bool has_prefix(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

/* Names are of a known class, and more than its prefix. */
static int check_name(const char *name)
{
    static const char *const classes[] = {"user.", "trusted.", "security."};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (has_prefix(name, classes[i]))
            return name[strlen(classes[i])] ? 0 : -EINVAL;
    return -EOPNOTSUPP;
}

static int may_use(const struct inode *inode, const struct cred *who, const char *name, bool write)
{
    if (write && inode->mount->read_only)
        return -EROFS;
    if (has_prefix(name, "security."))
        return write && who->euid ? -EPERM : 0;
    if (has_prefix(name, "trusted."))
        return !who->euid ? 0 : write ? -EPERM : -ENODATA;
    if (!S_ISREG(inode->mode) && !S_ISDIR(inode->mode))
        return write ? -EPERM : -ENODATA;
    if (write && S_ISDIR(inode->mode) && (inode->mode & S_ISVTX) && who->uid &&
        who->uid != inode->uid)
        return -EPERM;
    return vfs_permission(inode, who, write ? MAY_WRITE : MAY_READ);
}

/* Takes names out of a list that the caller may not see. */
static int64_t visible(char *list, int64_t size, const struct cred *who)
{
    int64_t kept = 0;
    for (int64_t at = 0, n; at < size; at += n) {
        n = (int64_t)strlen(list + at) + 1;
        if (who->euid && has_prefix(list + at, "trusted."))
            continue;
        memmove(list + kept, list + at, (size_t)n);
        kept += n;
    }
    return kept;
}

static int64_t answer(const struct motor_event *ev, int64_t size)
{
    if (size <= 0 || !ev->out_size)
        return size;
    if ((uint64_t)size > ev->out_size)
        return -ERANGE;
    int64_t n = event_write(ev, 0, value_buffer, (uint64_t)size);
    return n < size ? -EFAULT : size;
}

/* The name, and the value that follows it. */
static int take(struct xattr *x, const struct motor_event *ev)
{
    uint64_t length = ev->word[1];
    if (!length || length >= sizeof name_buffer)
        return -ERANGE;
    if (length > ev->in_size)
        return -EINVAL;
    x->size = ev->in_size - length;
    if (x->size > XATTR_VALUE_MAX)
        return -E2BIG;
    if (event_read(ev, 0, name_buffer, length) < (int64_t)length ||
        (x->size && event_read(ev, length, value_buffer, x->size) < (int64_t)x->size))
        return -EFAULT;
    name_buffer[length] = 0;
    if (strlen(name_buffer) != length)
        return -EINVAL;
    x->name = name_buffer;
    return check_name(name_buffer);
}

int64_t xattr_call(struct file *file, const struct cred *who, const struct motor_event *ev)
{
    struct inode *inode = file->inode;
    uint32_t op = (uint32_t)ev->word[0];
    uint64_t flags = ev->word[2];
    struct xattr x = {
        .value = value_buffer, .create = flags & XATTR_CREATE, .replace = flags & XATTR_REPLACE};
    bool write = op == IO_XATTR_SET || op == IO_XATTR_REMOVE;
    if (op > IO_XATTR_REMOVE || (flags & ~(uint64_t)(XATTR_CREATE | XATTR_REPLACE)))
        return -EINVAL;
    int64_t status = op == IO_XATTR_LIST ? 0 : take(&x, ev);
    if (!status && op != IO_XATTR_LIST)
        status = may_use(inode, who, x.name, write);
    if (!status && !inode->ops->xattr)
        status = op == IO_XATTR_LIST ? 0 : -EOPNOTSUPP;
    else if (!status)
        status = inode->ops->xattr(inode, op, &x);
    if (status < 0)
        return status;
    if (write) {
        inode_touch(inode, false);
        watch_event(inode, IN_ATTRIB);
        return 0;
    }
    if (op == IO_XATTR_LIST)
        status = visible((char *)value_buffer, status, who);
    return answer(ev, status);
}
