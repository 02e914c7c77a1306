/* SPDX-License-Identifier: MIT */
/*
 * The beginning of the fs engine: what is mounted where, the directories that must be there, and
 * handles for the first programs.
 */
#include "call.h"
#include "data.h"
#include "devices.h"
#include "sysv/sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

const void *bundle_bytes;

struct opening {
    const char *path;
    uint32_t flags;
    bool exec;
    int64_t result;
};

static void open_handle(void *arg)
{
    struct opening *o = arg;
    struct inode *inode;
    bool created;
    struct cred root = {0};
    int64_t status = vfs_open(mounts->root, &root, o->path, strlen(o->path),
                              o->exec ? O_RDONLY : o->flags, 0, &inode, &created);
    o->result = status;
    if (status)
        return;
    if (o->exec)
        status = S_ISREG(inode->mode) ? vfs_permission(inode, &root, MAY_EXEC) : -EACCES;
    struct file *file = status ? NULL : file_new(inode, o->exec ? O_RDONLY | FILE_EXEC : o->flags);
    if (!file) {
        inode_put(inode);
        o->result = status ? status : -ENFILE;
        return;
    }
    if (inode->ops->open && !(o->flags & O_PATH))
        status = inode->ops->open(file, &root, NULL);
    if (!status)
        status = engine_gate(&fs_engine, file->badge);
    if (status < 0)
        file_free(file);
    o->result = status;
}

int64_t fs_open_handle(const char *path, uint32_t flags, bool exec)
{
    struct opening o = {path, flags, exec, -ENOMEM};
    work_now(open_handle, &o);
    return o.result;
}

/* Directories that must be there, whatever the bundle brings. */
static void make_directory(const char *path, uint32_t mode)
{
    struct cred root = {0};
    struct create_args args = {.mode = S_IFDIR | mode};
    struct inode *inode;
    if (!vfs_create(mounts->root, &root, path, strlen(path), &args, &inode))
        inode_put(inode);
}

static void make_base(void *arg)
{
    struct cred root = {0};
    static const char resolv[] = "/etc/resolv.conf", text[] = "/proc/motor/resolv.conf";
    struct create_args link = {
        .mode = S_IFLNK | 0777, .target = text, .target_size = sizeof text - 1};
    struct inode *inode;
    (void)arg;
    make_directory("/dev", 0755);
    make_directory("/proc", 0555);
    make_directory("/etc", 0755);
    make_directory("/root", 0700);
    make_directory("/tmp", 01777);
    make_directory("/run", 0755);
    make_directory("/var", 0755);
    make_directory("/var/tmp", 01777);
    if (!vfs_create(mounts->root, &root, resolv, sizeof resolv - 1, &link, &inode))
        inode_put(inode);
}

static struct mount root, dev, pts, proc, shm, tmp, run;

/* "/": the device that the command line names, else files in memory, filled from the bundle. */
static bool mount_root(const void *bundle, uint64_t bundle_size)
{
    char what[64];
    if (boot_option("root", what, sizeof what))
        return disk_mount_root(what);
    if (!tmpfs_init(&root, "root", 0755) || vfs_mount(&root, "/"))
        return false;
    bundle_fill(bundle, bundle_size);
    return true;
}

/* What lies over the root: devices, processes and, on a disk, what is not to outlive the machine.
 */
static void mount_rest(void *arg)
{
    bool *mounted = arg;
    *mounted = devfs_init(&dev) && devpts_init(&pts) && procfs_init(&proc) &&
               tmpfs_init(&shm, "shm", 01777) && !vfs_mount(&shm, "/dev/shm");
    if (*mounted && disks_mounted())
        *mounted = tmpfs_init(&tmp, "tmp", 01777) && !vfs_mount(&tmp, "/tmp") &&
                   tmpfs_init(&run, "run", 0755) && !vfs_mount(&run, "/run");
}

bool fs_init(const void *bundle, uint64_t bundle_size, motor_handle bundle_vmo)
{
    struct motor_memory_info memory = {0};
    bool mounted = false;
    motor_system_info(MOTOR_SINFO_MEMORY, &memory, sizeof memory);
    if (!fs_engine_init())
        return false;
    data_bundle = bundle_vmo;
    bundle_bytes = bundle;
    tmpfs_limits(memory.total / 2, memory.total / 8192 + 1024);
    locks_init(memory.total);
    sysv_init(memory.total);
    devices_init();
    if (!mount_root(bundle, bundle_size))
        return false;
    if (!work_now(make_base, NULL) || !work_now(mount_rest, &mounted) || !mounted) {
        log_error("fs", "the file systems of the base cannot be mounted");
        return false;
    }
    disks_init();
    return true;
}
