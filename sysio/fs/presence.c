/* SPDX-License-Identifier: MIT */
/* Presences of processes: see presence.h. Their gates are files without bytes, path or name. */
#include "presence.h"
#include "sysv/sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static void presence_closed(struct file *file)
{
    struct presence *p = file->private_data;
    if (!p)
        return;
    locks_presence_closed(p);
    sem_presence_closed(p);
    free(p);
}

static int presence_setattr(struct inode *inode)
{
    (void)inode;
    return -EPERM;
}

static void presence_release(struct inode *inode)
{
    (void)inode;
}

static const struct inode_ops presence_ops = {
    .close = presence_closed,
    .setattr = presence_setattr,
    .release = presence_release,
};

static struct inode presence_inode = {.ops = &presence_ops, .mode = S_IFREG, .nlink = 1};

struct presence *presence_of(const struct file *file)
{
    return file && file->inode == &presence_inode ? file->private_data : NULL;
}

/* The process that a handle names, else the caller. */
static uint32_t pid_of(const struct motor_event *ev)
{
    struct motor_process_info info;
    if (ev->nhandles && ev->handle[0] != MOTOR_HANDLE_OWN &&
        motor_process_info(ev->handle[0], MOTOR_PINFO_BASIC, &info, sizeof info) >= 0)
        return info.pid;
    return ev->pid;
}

int64_t presence_call(const struct motor_event *ev)
{
    presence_inode.mount = mounts;
    struct presence *p = memory_low() ? NULL : calloc(1, sizeof *p);
    struct file *f = p ? file_new(&presence_inode, O_PATH) : NULL;
    if (!f) {
        free(p);
        return -ENOMEM;
    }
    inode_get(&presence_inode);
    p->pid = pid_of(ev);
    f->private_data = p;
    int64_t gate = engine_gate(&fs_engine, f->badge);
    if (gate < 0) {
        file_free(f);
        return gate;
    }
    struct motor_reply *r = engine_reply(&fs_engine, ev->token, 0);
    engine_reply_handle(r, (motor_handle)gate, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    return NO_REPLY;
}
