/* SPDX-License-Identifier: MIT */
/*
 * The names of /proc. One table describes the tree; an inode exists while somebody uses it, and
 * remembers which process it was made for, so that it does not become another's when a pid is used
 * again. The text of an open file is made at offset 0 and kept for the reads that follow, so that a
 * reader sees one moment.
 */
#include "../../local/mqueue_limits.h"
#include "../../tty/tty.h"
#include "../system_name.h"
#include "../sysv/sysv.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum place {
    ROOT,
    PROCESS,
    FDS,
    FDINFOS,
    TASKS,
    TASK,
    SYS,
    KERNEL,
    RANDOM,
    VM,
    SYSNET,
    CORE,
    SYSFS,
    INOTIFY,
    MQUEUE,
    NET,
    MOTOR,
    SYSVIPC,
    FILE_,
    CONSTANT,
    NUMBER,
    FDINFO,
    TRACE,
    LINK,
    LINK_FD,
    LINK_SELF,
    LINK_THREAD_SELF
};
#define FIRST_FILE FILE_
#define FIRST_LINK LINK

struct number {      /* that root may set, within bounds */
    uint32_t *value; /* [atomic] */
    uint32_t least, most;
};

struct row {
    enum place dir;
    const char *name;
    enum place what;
    bool private; /* only for those who may inspect the process */
    bool sized;   /* its size is that of its text when it was looked up; of others it is 0 */
    system_text *system;
    process_text *process;
    const char *constant;
    struct number number;
    int64_t (*link)(const struct process *p, char *buffer, size_t size);
};

#define DIR_(dir_, name_, what_) \
    { \
        .dir = dir_, .name = name_, .what = what_ \
    }
#define TEXT(dir_, name_, text_) \
    { \
        .dir = dir_, .name = name_, .what = FILE_, .system = text_ \
    }
#define FIXED(dir_, name_, value_) \
    { \
        .dir = dir_, .name = name_, .what = CONSTANT, .constant = value_ \
    }
#define SET(dir_, name_, ...) \
    { \
        .dir = dir_, .name = name_, .what = NUMBER, .number = { __VA_ARGS__ } \
    }
#define OWN(dir_, name_, text_) \
    { \
        .dir = dir_, .name = name_, .what = FILE_, .process = text_ \
    }
#define PRIVATE(name_, text_) \
    { \
        .dir = PROCESS, .name = name_, .what = FILE_, .process = text_, .private = true \
    }
#define LINKED(name_, link_) \
    { \
        .dir = PROCESS, .name = name_, .what = LINK, .link = link_, .private = true \
    }

static const struct row rows[] = {
    {.dir = ROOT, .name = "self", .what = LINK_SELF},
    {.dir = ROOT, .name = "thread-self", .what = LINK_THREAD_SELF},
    DIR_(ROOT, "sys", SYS),
    DIR_(ROOT, "sysvipc", SYSVIPC),
    DIR_(ROOT, "net", NET),
    DIR_(ROOT, "motor", MOTOR),
    TEXT(ROOT, "meminfo", text_meminfo),
    TEXT(ROOT, "cpuinfo", text_cpuinfo),
    TEXT(ROOT, "uptime", text_uptime),
    TEXT(ROOT, "loadavg", text_loadavg),
    TEXT(ROOT, "stat", text_system_stat),
    TEXT(ROOT, "vmstat", text_vmstat),
    TEXT(ROOT, "mounts", text_mounts),
    TEXT(ROOT, "locks", text_locks),
    TEXT(ROOT, "partitions", text_partitions),
    TEXT(ROOT, "cmdline", text_kernel_cmdline),
    FIXED(ROOT, "version", "Linux version 6.1.0-motor (Motor) #1 Motor\n"),
    FIXED(ROOT, "filesystems",
          "nodev\ttmpfs\nnodev\tdevtmpfs\nnodev\tdevpts\nnodev\tproc\n\text4\n"),
    TEXT(SYSVIPC, "shm", shm_text),
    TEXT(SYSVIPC, "sem", sem_text),
    TEXT(SYSVIPC, "msg", msg_text),
    TEXT(MOTOR, "counters", text_counters),
    /* /etc/resolv.conf leads here: there are programs that read as much of that as its size says */
    {.dir = MOTOR, .name = "resolv.conf", .what = FILE_, .system = text_resolv_conf, .sized = true},
    TEXT(NET, "tcp", text_tcp),
    TEXT(NET, "tcp6", text_tcp6),
    TEXT(NET, "udp", text_udp),
    TEXT(NET, "udp6", text_udp6),
    TEXT(NET, "raw", text_raw),
    TEXT(NET, "raw6", text_raw6),
    TEXT(NET, "unix", text_unix),
    TEXT(NET, "dev", text_dev),
    TEXT(NET, "route", text_route),
    TEXT(NET, "snmp", text_snmp),
    TEXT(NET, "arp", text_arp),
    TEXT(NET, "if_inet6", text_if_inet6),
    DIR_(SYS, "kernel", KERNEL),
    DIR_(SYS, "vm", VM),
    DIR_(SYS, "net", SYSNET),
    DIR_(SYS, "fs", SYSFS),
    DIR_(SYSFS, "mqueue", MQUEUE),
    SET(MQUEUE, "queues_max", &mqueue_limits.queues_max, 0, MQUEUE_QUEUES_MOST),
    SET(MQUEUE, "msg_max", &mqueue_limits.msg_max, 1, MQUEUE_MESSAGES_MOST),
    SET(MQUEUE, "msgsize_max", &mqueue_limits.msgsize_max, 128, MQUEUE_SIZE_MOST),
    SET(MQUEUE, "msg_default", &mqueue_limits.msg_default, 1, MQUEUE_MESSAGES_MOST),
    SET(MQUEUE, "msgsize_default", &mqueue_limits.msgsize_default, 128, MQUEUE_SIZE_MOST),
    DIR_(SYSFS, "inotify", INOTIFY),
    TEXT(INOTIFY, "max_user_instances", text_inotify_instances),
    TEXT(INOTIFY, "max_user_watches", text_inotify_watches),
    TEXT(INOTIFY, "max_queued_events", text_inotify_events),
    TEXT(KERNEL, "hostname", text_hostname),
    TEXT(KERNEL, "domainname", text_domainname),
    FIXED(KERNEL, "ostype", "Linux\n"),
    FIXED(KERNEL, "osrelease", "6.1.0-motor\n"),
    FIXED(KERNEL, "version", "#1 Motor\n"),
    FIXED(KERNEL, "pid_max", "32768\n"),
    FIXED(KERNEL, "ngroups_max", "65536\n"),
    FIXED(KERNEL, "cap_last_cap", "40\n"),
    DIR_(KERNEL, "random", RANDOM),
    TEXT(RANDOM, "uuid", text_uuid),
    TEXT(RANDOM, "boot_id", text_boot_id),
    FIXED(RANDOM, "entropy_avail", "256\n"),
    FIXED(RANDOM, "poolsize", "256\n"),
    FIXED(VM, "overcommit_memory", "0\n"),
    DIR_(SYSNET, "core", CORE),
    FIXED(CORE, "somaxconn", "4096\n"),
    OWN(PROCESS, "stat", text_stat),
    OWN(PROCESS, "statm", text_statm),
    OWN(PROCESS, "status", text_status),
    OWN(PROCESS, "comm", text_comm),
    OWN(PROCESS, "cmdline", text_cmdline),
    OWN(PROCESS, "limits", text_limits),
    OWN(PROCESS, "oom_score_adj", text_zero),
    OWN(PROCESS, "oom_score", text_zero),
    PRIVATE("environ", text_environ),
    PRIVATE("maps", text_maps),
    PRIVATE("io", text_io),
    TEXT(PROCESS, "mounts", text_mounts),
    TEXT(PROCESS, "mountinfo", text_mountinfo),
    DIR_(PROCESS, "net", NET),
    DIR_(PROCESS, "task", TASKS),
    {.dir = PROCESS, .name = "fd", .what = FDS, .private = true},
    {.dir = PROCESS, .name = "fdinfo", .what = FDINFOS, .private = true},
    {.dir = PROCESS, .name = "trace", .what = TRACE, .private = true},
    LINKED("exe", link_exe),
    LINKED("cwd", link_cwd),
    LINKED("root", link_root),
    OWN(TASK, "stat", text_stat),
    OWN(TASK, "status", text_status),
    OWN(TASK, "comm", text_comm),
};
#define ROWS (sizeof rows / sizeof *rows)

struct node {
    struct inode inode;
    enum place what;
    const struct row *row; /* NULL: the root, a process, thread or descriptor */
    uint32_t pid;          /* 0: of the system */
    uint64_t start;        /* start_ns of that process */
    uint32_t number;       /* thread id or descriptor */
};

/* An open file: who opened it, and the text. */
struct reader {
    struct cred who;
    struct text text;
};

static const struct inode_ops procfs_ops;
static struct node root_node;

static struct node *of(struct inode *inode)
{
    return (struct node *)inode;
}

static bool is_private(const struct node *n)
{
    return (n->row && n->row->private) || n->what == LINK_FD || n->what == FDINFO;
}

/* The process of a node; it must be the one that the node was made for, and open to who asks. */
static int get_process(const struct node *n, const struct cred *who, struct process *p)
{
    int error = process_get(p, n->pid, n->start);
    p->asks = process_of(who) == n->pid;
    if (!error && is_private(n) && (error = process_may_inspect(p, who)))
        process_put(p);
    return error;
}

/* ---- inodes ---- */

static uint32_t mode_of(enum place what, bool private)
{
    if (what >= FIRST_LINK)
        return S_IFLNK | 0777;
    if (what == NUMBER)
        return S_IFREG | 0644;
    if (what >= FIRST_FILE)
        return S_IFREG | (private ? 0400 : 0444);
    return S_IFDIR | (private ? 0500 : 0555);
}

static uint64_t ino_of(uint32_t pid, const struct row *row, uint32_t number)
{
    return (uint64_t)pid << 40 | (uint64_t)number << 12 | (row ? (uint64_t)(row - rows) + 2 : 1);
}

static uint64_t text_size(system_text *make)
{
    struct text t = {0};
    make(&t);
    free(t.bytes);
    return t.size;
}

struct made {
    enum place what;
    const struct row *row;
    uint32_t pid, number;
};

static int node_new(struct inode *dir, const char *name, size_t length, struct made m,
                    struct inode **out)
{
    struct node *d = of(dir), *n = calloc(1, sizeof *n);
    char *copy = n ? strndup(name, length) : NULL;
    struct process p;
    int error = copy ? 0 : -ENOMEM;
    if (!error && m.pid && !(error = process_get(&p, m.pid, d->pid ? d->start : 0)))
        process_put(&p);
    if (error) {
        free(copy);
        free(n);
        return error == -ESRCH ? -ENOENT : error;
    }
    n->what = m.what;
    n->row = m.row;
    n->pid = m.pid;
    n->number = m.number;
    n->inode = (struct inode){.ops = &procfs_ops,
                              .mount = dir->mount,
                              .mode = mode_of(m.what, is_private(n)),
                              .nlink = 1,
                              .refs = 1,
                              .parent = inode_get(dir),
                              .name = copy,
                              .linked = true,
                              .ino = ino_of(m.pid, m.row, m.number)};
    if (S_ISDIR(n->inode.mode))
        n->inode.nlink = 2;
    if (m.row && m.row->sized)
        n->inode.size = text_size(m.row->system);
    if (m.pid) {
        n->start = p.info.start_ns;
        n->inode.uid = p.info.uid;
        n->inode.gid = p.info.gid;
    }
    n->inode.atime = n->inode.mtime = n->inode.ctime = n->inode.btime = fs_now();
    *out = &n->inode;
    return 0;
}

static void procfs_release(struct inode *inode)
{
    if (inode == &root_node.inode)
        return;
    struct inode *parent = inode->parent;
    free(inode->name);
    free(inode);
    inode_put(parent);
}

/* ---- lookup ---- */

/* A whole decimal number below 2^31, or -1. */
static int64_t number(const char *name, size_t length)
{
    int64_t n = 0;
    if (!length || length > 10 || (length > 1 && name[0] == '0'))
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        n = n * 10 + name[i] - '0';
    }
    return n <= INT32_MAX ? n : -1;
}

/* Is there a descriptor, or a thread, of this number? */
static int check_number(const struct node *d, const struct cred *who, uint32_t n)
{
    struct process p;
    struct thread t;
    int error = get_process(d, who, &p);
    if (error)
        return error == -ESRCH ? -ENOENT : error;
    bool found = d->what == TASKS ? thread_find(&p, n, &t) : fd_next(&p, n) == n;
    process_put(&p);
    return found ? 0 : -ENOENT;
}

static int procfs_lookup(struct inode *dir, const struct cred *who, const char *name, size_t length,
                         struct inode **out)
{
    struct node *d = of(dir);
    int64_t n = number(name, length);
    if (d->what == ROOT && n > 0)
        return node_new(dir, name, length, (struct made){PROCESS, NULL, (uint32_t)n, 0}, out);
    if (d->what == FDS && n >= 0 && process_of(who) == d->pid)
        return FS_OWN_FD((int)n);
    if (d->what == FDS || d->what == FDINFOS || d->what == TASKS) {
        enum place what = d->what == FDS ? LINK_FD : d->what == FDINFOS ? FDINFO : TASK;
        int error = n < 0 ? -ENOENT : check_number(d, who, (uint32_t)n);
        return error ? error
                     : node_new(dir, name, length, (struct made){what, NULL, d->pid, (uint32_t)n},
                                out);
    }
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].dir == d->what && strlen(rows[i].name) == length &&
            !memcmp(rows[i].name, name, length))
            return node_new(dir, name, length,
                            (struct made){rows[i].what, &rows[i], d->pid, d->number}, out);
    return -ENOENT;
}

/* ---- listing ---- */

#define FIRST_NUMBER 4096u /* cookies of numbers: after those of rows */

static bool put_entry(struct dir_sink *sink, const struct node *d, enum place what, uint32_t n)
{
    char name[16];
    int length = snprintf(name, sizeof name, "%u", n);
    uint64_t ino = d->what == ROOT ? ino_of(n, NULL, 0) : ino_of(d->pid, NULL, n);
    return sink->entry(sink, ino, (uint64_t)n + FIRST_NUMBER + 1, mode_of(what, false), name,
                       (size_t)length);
}

static void list_processes(const struct node *d, uint64_t from, struct dir_sink *sink)
{
    uint32_t *pids, n = processes_list(&pids);
    for (uint32_t i = 0; i < n; i++)
        if (pids[i] >= from && !put_entry(sink, d, PROCESS, pids[i]))
            break;
    free(pids);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* In the order of their numbers, so that a cookie is one. */
static void list_threads(const struct node *d, const struct process *p, uint64_t from,
                         struct dir_sink *sink)
{
    struct thread t;
    uint32_t n = 0, room = p->info.threads + 16, *tids = malloc(room * sizeof *tids);
    for (uint32_t id = 1; tids && n < room && thread_get(p, id, &t); id = t.info.id + 1)
        if (t.tid >= from)
            tids[n++] = t.tid;
    if (n)
        qsort(tids, n, sizeof *tids, by_number);
    for (uint32_t i = 0; i < n; i++)
        if ((!i || tids[i] != tids[i - 1]) && !put_entry(sink, d, TASK, tids[i]))
            break;
    free(tids);
}

static int list_numbers(const struct node *d, const struct cred *who, uint64_t from,
                        struct dir_sink *sink)
{
    struct process p;
    int error = get_process(d, who, &p);
    if (error)
        return error == -ESRCH ? -ENOENT : error;
    if (d->what == TASKS)
        list_threads(d, &p, from, sink);
    else
        for (int64_t fd = from > INT32_MAX ? -1 : fd_next(&p, (uint32_t)from); fd >= 0;
             fd = fd_next(&p, (uint32_t)fd + 1))
            if (!put_entry(sink, d, d->what == FDS ? LINK_FD : FDINFO, (uint32_t)fd))
                break;
    process_put(&p);
    return 0;
}

static int procfs_readdir(struct inode *dir, const struct cred *who, uint64_t cookie,
                          struct dir_sink *sink)
{
    struct node *d = of(dir);
    uint64_t from = cookie > FIRST_NUMBER ? cookie - FIRST_NUMBER : 0;
    if (d->what == FDS && process_of(who) == d->pid)
        return FS_OWN_FD(0);
    if (d->what == FDS || d->what == FDINFOS || d->what == TASKS)
        return list_numbers(d, who, from, sink);
    for (size_t i = cookie - 2; i < ROWS; i++)
        if (rows[i].dir == d->what &&
            !sink->entry(sink, ino_of(d->pid, &rows[i], d->number), i + 3,
                         mode_of(rows[i].what, false), rows[i].name, strlen(rows[i].name)))
            return 0;
    if (d->what == ROOT)
        list_processes(d, from, sink);
    return 0;
}

/* ---- links ---- */

static int64_t self_link(const struct node *n, const struct cred *who, char *buffer, size_t size)
{
    char text[48];
    uint32_t pid = process_of(who);
    int length = n->what == LINK_SELF ? snprintf(text, sizeof text, "%u", pid)
                                      : snprintf(text, sizeof text, "%u/task/%u", pid, pid);
    size_t fits = (size_t)length < size ? (size_t)length : size;
    memcpy(buffer, text, fits);
    return (int64_t)fits;
}

static int64_t procfs_readlink(struct inode *inode, const struct cred *who, char *buffer,
                               size_t size)
{
    struct node *n = of(inode);
    struct process p;
    if (n->what == LINK_SELF || n->what == LINK_THREAD_SELF)
        return self_link(n, who, buffer, size);
    int64_t length = get_process(n, who, &p);
    if (length < 0)
        return length == -ESRCH ? -ENOENT : length;
    length =
        n->what == LINK_FD ? link_fd(&p, n->number, buffer, size) : n->row->link(&p, buffer, size);
    process_put(&p);
    return length;
}

/* ---- files ---- */

static int make_text(const struct node *n, struct reader *r)
{
    struct process p;
    struct thread thread;
    r->text.size = 0;
    if (n->row && n->row->system) {
        n->row->system(&r->text);
        return 0;
    }
    int error = get_process(n, &r->who, &p);
    if (error)
        return error;
    bool one = n->row && n->row->dir == TASK;
    if (one && !thread_find(&p, n->number, &thread))
        error = -ESRCH;
    else if (n->what == FDINFO)
        text_fdinfo(&r->text, &p, n->number);
    else
        n->row->process(&r->text, &p, one ? &thread : NULL);
    process_put(&p);
    return error;
}

static int procfs_open(struct file *file, const struct cred *who, struct motor_reply *reply)
{
    struct node *n = of(file->inode);
    struct process p;
    if (n->what == CONSTANT || n->what == NUMBER || (file->flags & O_PATH))
        return 0;
    if (n->pid) { /* the mode was judged already: this is about root's and others' set-id programs
                   */
        int error = get_process(n, who, &p);
        if (error)
            return error;
        process_put(&p);
    }
    if (n->what == TRACE)
        return device_open(TTY_OPEN_TRACE, n->pid, file, who, reply);
    if (n->what != FILE_ && n->what != FDINFO)
        return 0;
    struct reader *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->who = *who;
    r->who.root = NULL; /* which lasts as long as this call */
    file->private_data = r;
    return 0;
}

static int64_t read_number(const struct number *n, struct transfer *t, uint64_t offset)
{
    char text[16];
    uint64_t size =
        (uint64_t)snprintf(text, sizeof text, "%u\n", __atomic_load_n(n->value, __ATOMIC_RELAXED));
    return offset < size ? transfer_from_buffer(t, text + offset, size - offset) : 0;
}

/* A decimal number, spaces around it; as Linux, only at the file's beginning. */
static int64_t procfs_write(struct file *file, struct transfer *t, uint64_t offset)
{
    const struct node *n = of(file->inode);
    char text[32];
    if (n->what != NUMBER || t->left >= sizeof text)
        return -EINVAL;
    int64_t size = transfer_to_buffer(t, text, t->left);
    if (size <= 0 || offset)
        return size;
    text[size] = 0;
    const char *digits = text + strspn(text, " \t\n");
    char *end;
    unsigned long value = strtoul(digits, &end, 10);
    const struct number *to = &n->row->number;
    if (*digits < '0' || *digits > '9' || end[strspn(end, " \t\n")] || value < to->least ||
        value > to->most)
        return -EINVAL;
    __atomic_store_n(to->value, (uint32_t)value, __ATOMIC_RELAXED);
    return size;
}

static int64_t procfs_read(struct file *file, struct transfer *t, uint64_t offset)
{
    struct node *n = of(file->inode);
    struct reader *r = file->private_data;
    if (n->what == CONSTANT) {
        size_t size = strlen(n->row->constant);
        return offset < size ? transfer_from_buffer(t, n->row->constant + offset, size - offset)
                             : 0;
    }
    if (n->what == NUMBER)
        return read_number(&n->row->number, t, offset);
    if (!r)
        return -EINVAL;
    if (offset == 0 || !r->text.bytes) {
        int error = make_text(n, r);
        if (error)
            return error;
    }
    return offset < r->text.size
               ? transfer_from_buffer(t, r->text.bytes + offset, r->text.size - offset)
               : 0;
}

static void procfs_close(struct file *file)
{
    struct reader *r = file->private_data;
    if (r)
        free(r->text.bytes);
    free(r);
    file->private_data = NULL;
}

static int procfs_setattr(struct inode *inode)
{
    (void)inode;
    return -EPERM;
}

static void procfs_statfs(struct inode *inode, struct io_statfs *out)
{
    (void)inode;
    *out = (struct io_statfs){.type = 0x9fa0, .bsize = MOTOR_PAGE_SIZE, .namelen = FS_NAME_MAX};
}

static const struct inode_ops procfs_ops = {
    .lookup = procfs_lookup,
    .readdir = procfs_readdir,
    .readlink = procfs_readlink,
    .open = procfs_open,
    .close = procfs_close,
    .read = procfs_read,
    .write = procfs_write,
    .setattr = procfs_setattr,
    .statfs = procfs_statfs,
    .release = procfs_release,
};

static void root_init(struct node *n, struct mount *m)
{
    n->what = ROOT;
    n->inode = (struct inode){.ops = &procfs_ops,
                              .mount = m,
                              .mode = S_IFDIR | 0555,
                              .nlink = 2,
                              .refs = 1,
                              .ino = 1,
                              .linked = true};
    n->inode.atime = n->inode.mtime = n->inode.ctime = n->inode.btime = fs_now();
    m->type = "proc";
    m->root = &n->inode;
}

bool procfs_init(struct mount *m)
{
    root_init(&root_node, m);
    m->source = "proc";
    return vfs_mount(m, "/proc") == 0;
}

static int procfs_unmount(struct mount *m)
{
    inode_put(m->root);
    free((char *)(uintptr_t)m->source);
    free(m);
    return 0;
}

static const struct mount_ops procfs_mount_ops = {.unmount = procfs_unmount};

int procfs_mount_type(const struct mount_request *r, struct mount **out)
{
    if (*r->data)
        return -EINVAL; /* it has no options */
    struct mount *m = memory_low() ? NULL : calloc(1, sizeof *m);
    struct node *root = m ? calloc(1, sizeof *root) : NULL;
    char *source = root ? strdup(*r->source ? r->source : "proc") : NULL;
    if (!source) {
        free(root);
        free(m);
        return -ENOMEM;
    }
    root_init(root, m);
    m->source = source;
    m->ops = &procfs_mount_ops;
    *out = m;
    return 0;
}
