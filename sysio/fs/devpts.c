/* SPDX-License-Identifier: MIT */
/*
 * /dev/pts: the slaves of ptys. The tty engine has the ptys; here are their names, owners and
 * modes. A name is good as long as the pty's generation is the one that it was made for.
 */
#include "../tty/tty.h"
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <motor/start.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct slave {
    struct inode inode;
    char name[8];
    uint32_t generation;
};

static const struct inode_ops root_ops, slave_ops;
static struct inode root = {
    .ops = &root_ops, .mode = S_IFDIR | 0755, .nlink = 2, .refs = 1, .ino = 1, .linked = true};
static struct slave *slaves[PTY_MAX]; /* each with one reference */

/* ---- names ---- */

static void drop(uint32_t number)
{
    struct slave *s = slaves[number];
    slaves[number] = NULL;
    s->inode.linked = false;
    s->inode.nlink = 0;
    inode_put(&s->inode);
}

static struct slave *current(uint32_t number)
{
    if (slaves[number] && slaves[number]->generation != pty_generation(number))
        drop(number);
    return slaves[number];
}

static int64_t parse(const char *name, size_t length)
{
    uint32_t n = 0;
    if (!length || length > 4 || (name[0] == '0' && length > 1))
        return -ENOENT;
    for (size_t i = 0; i < length; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -ENOENT;
        n = n * 10 + (uint32_t)(name[i] - '0');
    }
    return n < PTY_MAX ? (int64_t)n : -ENOENT;
}

static int devpts_lookup(struct inode *dir, const struct cred *who, const char *name, size_t length,
                         struct inode **out)
{
    (void)dir, (void)who;
    int64_t n = parse(name, length);
    struct slave *s = n < 0 ? NULL : current((uint32_t)n);
    if (!s)
        return -ENOENT;
    *out = inode_get(&s->inode);
    return 0;
}

static int devpts_readdir(struct inode *dir, const struct cred *who, uint64_t cookie,
                          struct dir_sink *sink)
{
    (void)dir, (void)who;
    for (uint64_t n = cookie - 2; n < PTY_MAX; n++) {
        struct slave *s = current((uint32_t)n);
        if (s && !sink->entry(sink, s->inode.ino, n + 3, s->inode.mode, s->name, strlen(s->name)))
            break;
    }
    return 0;
}

static void devpts_statfs(struct inode *inode, struct io_statfs *out)
{
    (void)inode;
    *out = (struct io_statfs){.type = 0x1cd1, .bsize = MOTOR_PAGE_SIZE, .namelen = FS_NAME_MAX};
}

static int devpts_open(struct file *file, const struct cred *who, struct motor_reply *reply)
{
    uint32_t number = (uint32_t)file->inode->ino - 3;
    return device_open(TTY_OPEN_SLAVE, number, file, who, reply);
}

static void devpts_release(struct inode *inode)
{
    if (inode != &root)
        free(inode);
}

static const struct inode_ops root_ops = {
    .lookup = devpts_lookup,
    .readdir = devpts_readdir,
    .statfs = devpts_statfs,
    .release = devpts_release,
};

static const struct inode_ops slave_ops = {
    .open = devpts_open,
    .statfs = devpts_statfs,
    .release = devpts_release,
};

/* ---- opening ---- */

int device_open(uint32_t op, uint32_t number, const struct file *file, const struct cred *who,
                struct motor_reply *reply)
{
    struct tty_opener opener = {who->pid, who->sid, file->flags & O_NOCTTY};
    uint64_t word[2];
    int64_t h = reply ? tty_open_device(op, number, &opener, word) : -ENXIO;
    if (h < 0)
        return (int)h;
    engine_reply_handle(reply, (motor_handle)h, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    reply->word[0] = MOTOR_FD_TTY;
    return 1;
}

static struct slave *slave_new(uint32_t number, uint32_t generation, const struct cred *who)
{
    struct slave *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    snprintf(s->name, sizeof s->name, "%u", number);
    s->generation = generation;
    s->inode = (struct inode){.ops = &slave_ops,
                              .mount = root.mount,
                              .ino = number + 3,
                              .rdev = 136 << 8 | (number & 255) | (uint64_t)(number >> 8) << 20,
                              .refs = 1,
                              .mode = S_IFCHR | 0620,
                              .nlink = 1,
                              .uid = who->uid,
                              .gid = 5, /* tty */
                              .parent = &root,
                              .name = s->name,
                              .linked = true};
    s->inode.atime = s->inode.mtime = s->inode.ctime = s->inode.btime = fs_now();
    return s;
}

int device_open_master(const struct file *file, const struct cred *who, struct motor_reply *reply)
{
    struct tty_opener opener = {who->pid, who->sid, true};
    uint64_t word[2];
    (void)file;
    int64_t h = reply ? tty_open_device(TTY_OPEN_MASTER, 0, &opener, word) : -ENXIO;
    if (h < 0)
        return (int)h;
    uint32_t number = (uint32_t)word[0];
    if (slaves[number])
        drop(number);
    slaves[number] = slave_new(number, (uint32_t)word[1], who);
    if (!slaves[number]) {
        motor_handle_close((motor_handle)h);
        return -ENOMEM;
    }
    engine_reply_handle(reply, (motor_handle)h, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    reply->word[0] = MOTOR_FD_TTY;
    return 1;
}

bool devpts_init(struct mount *m)
{
    root.mount = m;
    root.atime = root.mtime = root.ctime = root.btime = fs_now();
    m->type = m->source = "devpts";
    m->root = &root;
    return vfs_mount(m, "/dev/pts") == 0;
}
