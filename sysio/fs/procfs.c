/* SPDX-License-Identifier: MIT */
/*
 * /proc: texts made when they are read. One table describes the tree; an inode exists while
 * somebody uses it. The text of an open file is made at offset 0 and kept for the reads that
 * follow, so that a reader sees one moment.
 *
 * Processes are in a small registry of their own: the kernel's labels are only known through a
 * process handle.
 */
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- processes ---- */

struct process {
    struct process *next;
    uint32_t pid;
    motor_handle handle;
    char *exe;
    char *cmdline;
    size_t cmdline_size;
};
static struct process *processes;

static struct process *process_find(uint32_t pid)
{
    struct process *p = processes;
    while (p && p->pid != pid)
        p = p->next;
    return p;
}

void procfs_add_process(uint32_t pid, motor_handle handle, const char *exe, const char *cmdline,
                        size_t cmdline_size)
{
    struct process *p = calloc(1, sizeof *p);
    if (!p)
        return;
    p->pid = pid;
    p->handle = handle;
    p->exe = strdup(exe);
    p->cmdline = malloc(cmdline_size + 1);
    if (p->cmdline) {
        memcpy(p->cmdline, cmdline, cmdline_size);
        p->cmdline_size = cmdline_size;
    }
    struct process **link = &processes;
    while (*link && (*link)->pid < pid)
        link = &(*link)->next;
    p->next = *link;
    *link = p;
}

void procfs_remove_process(uint32_t pid)
{
    for (struct process **link = &processes; *link; link = &(*link)->next) {
        struct process *p = *link;
        if (p->pid != pid)
            continue;
        *link = p->next;
        free(p->exe);
        free(p->cmdline);
        free(p);
        return;
    }
}

static struct motor_process_info process_info(uint32_t pid)
{
    struct motor_process_info info = {.state = 2};
    struct process *p = process_find(pid);
    if (!p || motor_process_info(p->handle, MOTOR_PINFO_BASIC, &info, sizeof info) < 0)
        memset(&info, 0, sizeof info);
    return info;
}

/* ---- texts ---- */

struct text {
    char *bytes;
    size_t size, room;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    va_list args;
    for (int round = 0; round < 2; round++) {
        va_start(args, format);
        int n = vsnprintf(t->bytes ? t->bytes + t->size : NULL, t->room - t->size, format, args);
        va_end(args);
        if (n < 0)
            return;
        if ((size_t)n < t->room - t->size) {
            t->size += (size_t)n;
            return;
        }
        size_t room = t->room * 2 + (size_t)n + 256;
        char *bytes = realloc(t->bytes, room);
        if (!bytes)
            return;
        t->bytes = bytes;
        t->room = room;
    }
}

static uint64_t ticks(uint64_t ns)
{
    return ns / 10000000u; /* of 1/100 s */
}

static void text_meminfo(struct text *t, uint32_t pid)
{
    (void)pid;
    struct motor_memory_info m = {0};
    motor_system_info(MOTOR_SINFO_MEMORY, &m, sizeof m);
    put(t,
        "MemTotal:       %8llu kB\nMemFree:        %8llu kB\nMemAvailable:   %8llu kB\nBuffers:               0 kB\n"
        "Cached:         %8llu kB\nShmem:          %8llu kB\nSlab:           %8llu kB\nSwapTotal:             0 kB\n"
        "SwapFree:              0 kB\n",
        (unsigned long long)m.total / 1024, (unsigned long long)m.free / 1024,
        (unsigned long long)m.free / 1024, (unsigned long long)tmpfs_bytes_used / 1024,
        (unsigned long long)tmpfs_bytes_used / 1024, (unsigned long long)m.kernel / 1024);
}

static void text_cpuinfo(struct text *t, uint32_t pid)
{
    (void)pid;
    const struct motor_kinfo *k = kernel_info();
    uint32_t regs[12] = {0}, vendor[4] = {0}, a, b, c, d;
    __asm__("cpuid" : "=a"(a), "=b"(vendor[0]), "=c"(vendor[2]), "=d"(vendor[1]) : "a"(0));
    __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0x80000000u));
    for (uint32_t i = 0; i < 3 && a >= 0x80000004u; i++)
        __asm__("cpuid"
                : "=a"(regs[i * 4]), "=b"(regs[i * 4 + 1]), "=c"(regs[i * 4 + 2]),
                  "=d"(regs[i * 4 + 3])
                : "a"(0x80000002u + i));
    for (uint32_t i = 0; i < k->cpus; i++)
        put(t,
            "processor\t: %u\nvendor_id\t: %.12s\nmodel name\t: %.47s\ncpu MHz\t\t: %llu.%03llu\n\n",
            i, (char *)vendor, regs[0] ? (char *)regs : "x86-64",
            (unsigned long long)k->tsc_hz / 1000000u,
            (unsigned long long)k->tsc_hz / 1000u % 1000u);
}

static void text_uptime(struct text *t, uint32_t pid)
{
    (void)pid;
    uint64_t hundredths = clock_monotonic_ns() / 10000000u;
    put(t, "%llu.%02llu 0.00\n", (unsigned long long)hundredths / 100,
        (unsigned long long)hundredths % 100);
}

static void text_loadavg(struct text *t, uint32_t pid)
{
    (void)pid;
    unsigned count = 0, last = 0;
    for (struct process *p = processes; p; p = p->next)
        count++, last = p->pid;
    put(t, "0.00 0.00 0.00 1/%u %u\n", count, last);
}

static void text_stat(struct text *t, uint32_t pid)
{
    (void)pid;
    struct motor_counters c = {0};
    uint64_t user = 0, system = 0;
    motor_system_info(MOTOR_SINFO_COUNTERS, &c, sizeof c);
    for (struct process *p = processes; p; p = p->next) {
        struct motor_process_info i = process_info(p->pid);
        user += i.user_ns;
        system += i.system_ns;
    }
    put(t,
        "cpu  %llu 0 %llu 0 0 0 0 0 0 0\nintr %llu\nctxt %llu\nbtime %llu\nprocesses %u\nprocs_running 1\nprocs_blocked 0\n",
        (unsigned long long)ticks(user), (unsigned long long)ticks(system),
        (unsigned long long)c.interrupts, (unsigned long long)c.switches,
        (unsigned long long)((clock_realtime_ns() - clock_monotonic_ns()) / 1000000000u),
        processes ? processes->pid : 0);
}

static void text_mounts(struct text *t, uint32_t pid)
{
    (void)pid;
    for (struct mount *m = mounts; m; m = m->next) {
        char path[256];
        int64_t n = vfs_path(m->root, path, sizeof path, true);
        if (n > 0)
            put(t, "%s %.*s %s %s,relatime 0 0\n", m->source, (int)n, path, m->type,
                m->read_only ? "ro" : "rw");
    }
}

static void show_counter(const char *engine, const char *name, uint64_t value, void *context)
{
    put(context, "%s.%s %llu\n", engine, name, (unsigned long long)value);
}

static void text_counters(struct text *t, uint32_t pid)
{
    (void)pid;
    struct motor_counters c = {0};
    struct motor_memory_info m = {0};
    motor_system_info(MOTOR_SINFO_COUNTERS, &c, sizeof c);
    motor_system_info(MOTOR_SINFO_MEMORY, &m, sizeof m);
#define SHOW(where, field) put(t, "kernel.%s %llu\n", #field, (unsigned long long)where.field)
    SHOW(c, syscalls);
    SHOW(c, switches);
    SHOW(c, space_switches);
    SHOW(c, ipis);
    SHOW(c, faults);
    SHOW(c, tlb_flushes);
    SHOW(c, interrupts);
    SHOW(c, timer_interrupts);
    SHOW(c, calls);
    SHOW(c, direct_switches);
    SHOW(c, notifies);
    SHOW(c, futex_waits);
    SHOW(c, futex_wakes);
    SHOW(c, upcalls);
    SHOW(c, copied_bytes);
    SHOW(c, frames_zeroed);
    SHOW(m, total);
    SHOW(m, free);
    SHOW(m, kernel);
    SHOW(m, processes);
    SHOW(m, threads);
    SHOW(m, vmos);
    SHOW(m, endpoints);
    SHOW(m, gates);
    SHOW(m, handles);
    SHOW(m, regions);
#undef SHOW
    put(t, "fs.objects %u\n", fs_engine.badges.used);
    counters_each(show_counter, t);
}

static void put_uuid(struct text *t, const uint8_t *u)
{
    put(t, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\n", u[0], u[1],
        u[2], u[3], u[4], u[5], (u[6] & 15) | 64, u[7], (u[8] & 63) | 128, u[9], u[10], u[11],
        u[12], u[13], u[14], u[15]);
}

static void text_uuid(struct text *t, uint32_t pid)
{
    (void)pid;
    uint8_t bytes[16] = {0};
    motor_random(bytes, sizeof bytes, 0);
    put_uuid(t, bytes);
}

static void text_boot_id(struct text *t, uint32_t pid)
{
    static uint8_t bytes[16];
    (void)pid;
    if (!bytes[0] && !bytes[1])
        motor_random(bytes, sizeof bytes, 0);
    put_uuid(t, bytes);
}

/* N's net engine; absent in tests of this engine alone. */
__attribute__((weak)) const char *net_resolv_conf(void);

static void text_resolv_conf(struct text *t, uint32_t pid)
{
    (void)pid;
    if (net_resolv_conf)
        put(t, "%s", net_resolv_conf());
}

static void text_cmdline(struct text *t, uint32_t pid)
{
    struct process *p = process_find(pid);
    for (size_t i = 0; p && i < p->cmdline_size; i++)
        put(t, "%c", p->cmdline[i]);
}

static void text_kernel_cmdline(struct text *t, uint32_t pid)
{
    (void)pid;
    put(t, "%s\n", boot_info()->cmdline);
}

static char state_letter(const struct motor_process_info *i)
{
    return i->state == 2 ? 'Z' : 'R';
}

static void text_pid_stat(struct text *t, uint32_t pid)
{
    struct motor_process_info i = process_info(pid);
    put(t,
        "%u (%.15s) %c %u %u %u 0 -1 0 0 0 0 0 %llu %llu 0 0 20 0 %u 0 %llu %llu %llu 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 "
        "17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        pid, i.name, state_letter(&i), i.ppid, i.pgid, i.sid, (unsigned long long)ticks(i.user_ns),
        (unsigned long long)ticks(i.system_ns), i.threads, (unsigned long long)ticks(i.start_ns),
        (unsigned long long)i.memory_virtual,
        (unsigned long long)i.memory_private / MOTOR_PAGE_SIZE);
}

static void text_pid_statm(struct text *t, uint32_t pid)
{
    struct motor_process_info i = process_info(pid);
    put(t, "%llu %llu 0 0 0 %llu 0\n", (unsigned long long)i.memory_virtual / MOTOR_PAGE_SIZE,
        (unsigned long long)i.memory_private / MOTOR_PAGE_SIZE,
        (unsigned long long)i.memory_private / MOTOR_PAGE_SIZE);
}

static void text_pid_status(struct text *t, uint32_t pid)
{
    struct motor_process_info i = process_info(pid);
    put(t,
        "Name:\t%.15s\nState:\t%c\nTgid:\t%u\nPid:\t%u\nPPid:\t%u\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nVmSize:\t%8llu kB\n"
        "VmRSS:\t%8llu kB\nThreads:\t%u\n",
        i.name, state_letter(&i), pid, pid, i.ppid, i.uid, i.uid, i.uid, i.uid, i.gid, i.gid, i.gid,
        i.gid, (unsigned long long)i.memory_virtual / 1024,
        (unsigned long long)i.memory_private / 1024, i.threads);
}

static void text_pid_comm(struct text *t, uint32_t pid)
{
    put(t, "%.15s\n", process_info(pid).name);
}

/* ---- the tree ---- */

enum place {
    ROOT,
    PROCESS,
    FD,
    SYS,
    KERNEL,
    RANDOM,
    VM,
    NET,
    CORE,
    MOTOR,
    FILE_,
    CONSTANT,
    LINK_SELF,
    LINK_EXE,
    LINK_CWD_ROOT
};

static const struct row {
    enum place dir;
    const char *name;
    enum place what;
    void (*text)(struct text *, uint32_t pid);
    const char *constant;
} rows[] = {
    {ROOT, "self", LINK_SELF, NULL, NULL},
    {ROOT, "sys", SYS, NULL, NULL},
    {ROOT, "motor", MOTOR, NULL, NULL},
    {ROOT, "meminfo", FILE_, text_meminfo, NULL},
    {ROOT, "cpuinfo", FILE_, text_cpuinfo, NULL},
    {ROOT, "uptime", FILE_, text_uptime, NULL},
    {ROOT, "loadavg", FILE_, text_loadavg, NULL},
    {ROOT, "stat", FILE_, text_stat, NULL},
    {ROOT, "mounts", FILE_, text_mounts, NULL},
    {ROOT, "cmdline", FILE_, text_kernel_cmdline, NULL},
    {ROOT, "version", CONSTANT, NULL, "Linux version 6.1.0-motor (Motor) #1 SMP\n"},
    {ROOT, "filesystems", CONSTANT, NULL, "nodev\ttmpfs\nnodev\tdevtmpfs\nnodev\tproc\n"},
    {MOTOR, "counters", FILE_, text_counters, NULL},
    {MOTOR, "resolv.conf", FILE_, text_resolv_conf, NULL},
    {SYS, "kernel", KERNEL, NULL, NULL},
    {SYS, "vm", VM, NULL, NULL},
    {SYS, "net", NET, NULL, NULL},
    {KERNEL, "hostname", CONSTANT, NULL, "motor\n"},
    {KERNEL, "ostype", CONSTANT, NULL, "Linux\n"},
    {KERNEL, "osrelease", CONSTANT, NULL, "6.1.0-motor\n"},
    {KERNEL, "pid_max", CONSTANT, NULL, "4194304\n"},
    {KERNEL, "random", RANDOM, NULL, NULL},
    {RANDOM, "uuid", FILE_, text_uuid, NULL},
    {RANDOM, "boot_id", FILE_, text_boot_id, NULL},
    {VM, "overcommit_memory", CONSTANT, NULL, "0\n"},
    {NET, "core", CORE, NULL, NULL},
    {CORE, "somaxconn", CONSTANT, NULL, "4096\n"},
    {PROCESS, "stat", FILE_, text_pid_stat, NULL},
    {PROCESS, "statm", FILE_, text_pid_statm, NULL},
    {PROCESS, "status", FILE_, text_pid_status, NULL},
    {PROCESS, "comm", FILE_, text_pid_comm, NULL},
    {PROCESS, "cmdline", FILE_, text_cmdline, NULL},
    {PROCESS, "mounts", FILE_, text_mounts, NULL},
    {PROCESS, "exe", LINK_EXE, NULL, NULL},
    {PROCESS, "fd", FD, NULL, NULL},
};
#define ROWS (sizeof rows / sizeof *rows)

struct node {
    struct inode inode;
    enum place what;
    const struct row *row; /* NULL: the root, or a process */
    uint32_t pid;
};

static const struct inode_ops procfs_ops;
static struct node root_node;

static struct node *of(struct inode *inode)
{
    return (struct node *)inode;
}

static int node_new(struct inode *dir, const char *name, size_t length, enum place what,
                    const struct row *row, uint32_t pid, struct inode **out)
{
    static const uint32_t modes[] = {
        [FILE_] = S_IFREG | 0444,    [CONSTANT] = S_IFREG | 0444,      [LINK_SELF] = S_IFLNK | 0777,
        [LINK_EXE] = S_IFLNK | 0777, [LINK_CWD_ROOT] = S_IFLNK | 0777, [FD] = S_IFDIR | 0500};
    struct node *n = calloc(1, sizeof *n);
    char *copy = n ? strndup(name, length) : NULL;
    if (!copy) {
        free(n);
        return -ENOMEM;
    }
    n->what = what;
    n->row = row;
    n->pid = pid;
    n->inode = (struct inode){.ops = &procfs_ops,
                              .mount = dir->mount,
                              .mode = modes[what] ? modes[what] : S_IFDIR | 0555,
                              .nlink = 1,
                              .refs = 1,
                              .parent = inode_get(dir),
                              .name = copy,
                              .linked = true};
    n->inode.ino = (uint64_t)pid << 16 | (row ? (uint64_t)(row - rows) + 2 : 1);
    if (S_ISDIR(n->inode.mode))
        n->inode.nlink = 2;
    struct motor_process_info info = pid ? process_info(pid) : (struct motor_process_info){0};
    n->inode.uid = info.uid;
    n->inode.gid = info.gid;
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

/* A whole decimal number below 2^24, or -1. */
static int64_t number(const char *name, size_t length)
{
    int64_t n = 0;
    if (!length || length > 7 || (length > 1 && name[0] == '0'))
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        n = n * 10 + name[i] - '0';
    }
    return n;
}

static int procfs_lookup(struct inode *dir, const struct cred *who, const char *name, size_t length,
                         struct inode **out)
{
    struct node *d = of(dir);
    int64_t n = number(name, length);
    if (d->what == ROOT && n > 0 && process_find((uint32_t)n))
        return node_new(dir, name, length, PROCESS, NULL, (uint32_t)n, out);
    if (d->what == FD)
        return n >= 0 && who->pid == d->pid ? FS_OWN_FD((int)n) : -ENOENT;
    if (d->pid && !process_find(d->pid))
        return -ENOENT;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].dir == d->what && strlen(rows[i].name) == length &&
            !memcmp(rows[i].name, name, length))
            return node_new(dir, name, length, rows[i].what, &rows[i], d->pid, out);
    return -ENOENT;
}

#define FIRST_PID_COOKIE 4096u /* of /proc: after the rows */

static int procfs_readdir(struct inode *dir, const struct cred *who, uint64_t cookie,
                          struct dir_sink *sink)
{
    struct node *d = of(dir);
    if (d->what == FD)
        return who->pid == d->pid ? FS_OWN_FD(0) : 0;
    for (size_t i = cookie - 2; i < ROWS; i++) {
        if (rows[i].dir != d->what)
            continue;
        uint32_t mode = rows[i].what >= LINK_SELF ? S_IFLNK
                        : rows[i].what >= FILE_   ? S_IFREG
                                                  : S_IFDIR;
        if (!sink->entry(sink, (uint64_t)d->pid << 16 | (i + 2), i + 3, mode, rows[i].name,
                         strlen(rows[i].name)))
            return 0;
    }
    for (struct process *p = d->what == ROOT ? processes : NULL; p; p = p->next) {
        char name[16];
        if (p->pid + FIRST_PID_COOKIE < cookie)
            continue;
        int n = snprintf(name, sizeof name, "%u", p->pid);
        if (!sink->entry(sink, (uint64_t)p->pid << 16 | 1, p->pid + FIRST_PID_COOKIE + 1, S_IFDIR,
                         name, (size_t)n))
            return 0;
    }
    return 0;
}

static int64_t procfs_readlink(struct inode *inode, const struct cred *who, char *buffer,
                               size_t size)
{
    struct node *n = of(inode);
    char number[16];
    const char *target = number;
    if (n->what == LINK_SELF) {
        if (!process_find(who->pid))
            return -ENOENT;
        snprintf(number, sizeof number, "%u", who->pid);
    } else {
        struct process *p = process_find(n->pid);
        if (!p || !p->exe)
            return -ENOENT;
        target = p->exe;
    }
    size_t length = strlen(target) < size ? strlen(target) : size;
    memcpy(buffer, target, length);
    return (int64_t)length;
}

static int64_t procfs_read(struct file *file, struct transfer *t, uint64_t offset)
{
    struct node *n = of(file->inode);
    struct text *text = file->private_data;
    if (n->what == CONSTANT) {
        size_t size = strlen(n->row->constant);
        return offset < size ? transfer_from_buffer(t, n->row->constant + offset, size - offset)
                             : 0;
    }
    if (n->what != FILE_)
        return -EINVAL;
    if (n->pid && !process_find(n->pid))
        return -ESRCH;
    if (!text) {
        text = file->private_data = calloc(1, sizeof *text);
        if (!text)
            return -ENOMEM;
        n->row->text(text, n->pid);
    } else if (offset == 0) {
        text->size = 0;
        n->row->text(text, n->pid);
    }
    return offset < text->size ? transfer_from_buffer(t, text->bytes + offset, text->size - offset)
                               : 0;
}

static void procfs_close(struct file *file)
{
    struct text *text = file->private_data;
    if (text)
        free(text->bytes);
    free(text);
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
    .close = procfs_close,
    .read = procfs_read,
    .setattr = procfs_setattr,
    .statfs = procfs_statfs,
    .release = procfs_release,
};

bool procfs_init(struct mount *m)
{
    root_node.what = ROOT;
    root_node.inode = (struct inode){.ops = &procfs_ops,
                                     .mount = m,
                                     .mode = S_IFDIR | 0555,
                                     .nlink = 2,
                                     .refs = 1,
                                     .ino = 1,
                                     .linked = true};
    root_node.inode.atime = root_node.inode.mtime = root_node.inode.ctime = root_node.inode.btime =
        fs_now();
    m->type = m->source = "proc";
    m->root = &root_node.inode;
    return vfs_mount(m, "/proc") == 0;
}
