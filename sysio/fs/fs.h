/* SPDX-License-Identifier: MIT */
/*
 * The fs engine: one tree of names over several file systems.
 *
 *   engine.c   messages: decodes each IO_* call and calls into the parts below
 *   vfs.c      path walk, permissions, and the operations on names (create, link, unlink, rename)
 *   mount.c    mount and umount
 *   groups.c   supplementary groups of who asks
 *   file.c     open-file objects: read, write, map, stat, readdir of what is open
 *   tmpfs.c devfs.c devpts.c proc/   file systems: tables of struct inode_ops
 *   roots.c    what `/` is to a process: chroot(2)
 *   hot.c      attributes in shared memory, for files that are read again and again
 *   data.c     the bytes of a tmpfs file: a memory object, or a piece of the bundle until it is
 * written bundle.c   fills the tree at start
 *
 * An inode is in memory while somebody refers to it (`refs`) or a name of its file system leads to
 * it. Everything runs in the engine's one thread; there are no locks. Functions return 0 or a
 * result, or a negated Linux errno.
 */
#ifndef SYSIO_FS_H
#define SYSIO_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <motor/io.h>

#include "../base/engine.h"

#define FS_NAME_MAX     255u
#define FS_SYMLINKS_MAX 40u
#define FS_LINK_MAX     65000u

struct inode;
struct file;
struct xattr;

/*
 * Who asks: the caller's labels, and what they mean: the directory that is `/` to him (roots.c).
 * User and group are those for files, but where a call is about something else.
 */
struct cred {
    uint32_t pid, uid, gid, sid;
    uint32_t euid;      /* what is root's, but no matter of files, goes by this one */
    struct inode *root; /* NULL: the machine's. Valid as long as the call */
    uint64_t groups;    /* the number of its list of supplementary groups; 0: none */
    uint64_t token;     /* of its call */
};
bool groups_have(const struct cred *who, uint32_t gid); /* groups.c: of a list that there is */
/* Whether it is the group of who asks, or one of its supplementary ones. */
static inline bool cred_in_group(const struct cred *who, uint32_t gid)
{
    return who->gid == gid || (who->groups && groups_have(who, gid));
}

/*
 * Where the bytes of a read or write go: the buffers of a waiting caller. `moved` counts.
 */
struct transfer {
    uint64_t token;
    uint64_t moved;
    uint64_t left;
    bool noted; /* a read: nothing of the inode is to change, also not its access time */
};
/* object -> caller's out */
int64_t transfer_from_vmo(struct transfer *t, motor_handle vmo, uint64_t offset, uint64_t size);
/* caller's in -> object */
int64_t transfer_to_vmo(struct transfer *t, motor_handle vmo, uint64_t offset, uint64_t size);
/* buffer -> caller's out */
int64_t transfer_from_buffer(struct transfer *t, const void *buffer, uint64_t size);
/* caller's in -> buffer */
int64_t transfer_to_buffer(struct transfer *t, void *buffer, uint64_t size);

/* Gets one directory entry; false: no room, stop before it. */
struct dir_sink {
    bool (*entry)(struct dir_sink *s, uint64_t ino, uint64_t next_cookie, uint32_t mode,
                  const char *name, size_t length);
};

struct create_args {
    uint32_t mode; /* with type */
    uint32_t uid, gid;
    uint64_t rdev;
    const char *target; /* symlinks */
    size_t target_size;
};

/*
 * A file system's operations; NULL: see the function in vfs.c or file.c that calls it for what the
 * caller gets. Names are never ".", ".." or empty, at most FS_NAME_MAX bytes, without '/' and NUL.
 * Permissions are checked before. An inode returned through `out` carries a reference.
 */
struct inode_ops {
    /* directories */
    int (*lookup)(struct inode *dir, const struct cred *who, const char *name, size_t length,
                  struct inode **out);
    int (*create)(struct inode *dir, const char *name, size_t length,
                  const struct create_args *args, struct inode **out);
    int (*link)(struct inode *dir, const char *name, size_t length, struct inode *target);
    /* of an empty directory, too */
    int (*unlink)(struct inode *dir, const char *name, size_t length, struct inode *target);
    /*
     * target: what new_name is now, or NULL. exchange: swap the two. Loops, types and emptiness
     * have been checked.
     */
    int (*rename)(struct inode *old_dir, const char *old_name, size_t old_length,
                  struct inode *inode, struct inode *new_dir, const char *new_name,
                  size_t new_length, struct inode *target, bool exchange);
    bool (*empty)(struct inode *dir);
    /* from cookie 2 on */
    int (*readdir)(struct inode *dir, const struct cred *who, uint64_t cookie,
                   struct dir_sink *sink);
    int (*tmpfile)(struct inode *dir, const struct create_args *args, struct inode **out);
    /* symlinks; result: length (cut at size) */
    int64_t (*readlink)(struct inode *inode, const struct cred *who, char *buffer, size_t size);
    /* files and devices */
    /* 1: a handle of another engine is in the reply */
    int (*open)(struct file *file, const struct cred *who, struct motor_reply *reply);
    void (*close)(struct file *file);
    int64_t (*read)(struct file *file, struct transfer *t, uint64_t offset);
    int64_t (*write)(struct file *file, struct transfer *t, uint64_t offset);
    int (*truncate)(struct inode *inode, uint64_t size);
    int (*allocate)(struct inode *inode, uint64_t offset, uint64_t length, uint32_t flags);
    /* the handle stays the file system's */
    int (*map)(struct inode *inode, bool writable, motor_handle *vmo, uint64_t *offset);
    /* makes sure that the engine itself can read the first page of what map() gave; NULL: it can */
    int (*fetch)(struct inode *inode);
    /* for hot.c: whether only messages change its attributes; NULL: not */
    bool (*steady)(struct inode *inode);
    /*
     * for hot.c: as map for reading. private: it must be mapped so, and hot_end() called before a
     * byte of it changes. 0, or an error: not now
     */
    int (*hot)(struct inode *inode, motor_handle *vmo, uint64_t *offset, bool *private);
    /*
     * for hot.c, after hot: whether its bytes may be written through a mapping, as long as it is
     * steady; then they may be from now on, also in the page behind the end. NULL: not
     */
    bool (*hot_write)(struct inode *inode);
    bool reads_beside; /* read() of regular files may wait while other calls are served */
    /*
     * for append.c: keeps space for so many bytes behind the end, more or less than is kept
     * already; 0: none. An error: not for this file, or there is not plenty; then what was kept
     * still is
     */
    int (*reserve)(struct inode *inode, uint64_t bytes);
    /* bytes at the end, for which space is kept; how many. The time is set by who calls */
    int64_t (*append)(struct inode *inode, const void *bytes, uint64_t size);
    int64_t (*copy)(struct inode *from, uint64_t offset, struct inode *to, uint64_t to_offset,
                    uint64_t length);
    /* IO_XATTR_* `op`: see struct xattr in xattr.h; NULL: EOPNOTSUPP */
    int64_t (*xattr)(struct inode *inode, uint32_t op, const struct xattr *x);
    /* F_GET_SEALS, or with `change` F_ADD_SEALS; NULL: EINVAL */
    int64_t (*seal)(struct file *file, bool change, uint32_t add);
    int64_t (*control)(struct file *file, struct motor_event *ev);
    uint64_t (*blocks)(struct inode *inode); /* of 512 bytes */
    int (*setattr)(struct inode *inode);     /* may refuse changes of mode, owner, times */
    void (*changed)(struct inode *inode);    /* mode, owner or times were changed */
    /* data_only: not the times; NULL: nothing to do */
    int (*sync)(struct file *file, bool data_only);
    /* its bytes in [from, end) will not be read soon: what a cache has of them may go; NULL: none
     */
    void (*forget)(struct inode *inode, uint64_t from, uint64_t end);
    void (*statfs)(struct inode *inode, struct io_statfs *out);
    /* the last reference went: free it unless a name leads to it */
    void (*release)(struct inode *inode);
};

struct mount;
/* What a mounted file system can do; NULL: it stays for good. */
struct mount_ops {
    /* nobody uses it any more: writes all, and frees the mount. For fibers */
    int (*unmount)(struct mount *m);
    bool (*busy)(struct mount *m);   /* used by more than open files; NULL: never */
    void (*settle)(struct mount *m); /* lets go what nobody uses; NULL: nothing. For fibers */
    /* data: its own options; NULL: there is nothing to do */
    int (*remount)(struct mount *m, bool read_only, const char *data);
};

/* The arguments of mount(2); strings. */
struct mount_request {
    const char *source, *target, *type, *data;
    uint32_t flags; /* Linux MS_* */
};

struct mount {
    const struct mount_ops *ops;
    const char *type, *source;
    uint32_t id; /* st_dev is makedev(0, id) */
    struct inode *root;
    struct inode *covered; /* directory it is mounted on; NULL: the root mount */
    bool read_only;
    uint32_t flags; /* MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, ... */
    bool stable; /* names and attributes change by messages only, and names_changed() tells of it */
    void *private_data; /* of the file system */
    struct mount *next;
};

struct inode {
    const struct inode_ops *ops;
    struct mount *mount;
    uint64_t ino;
    uint64_t rdev;
    uint64_t size;
    uint32_t refs;
    uint32_t mode, nlink, uid, gid;
    struct timespec atime, mtime, ctime, btime;
    struct mount *mounted_here;
    uint64_t rendezvous;      /* the number of it as a FIFO or socket; 0: it has none yet */
    struct hot *hot;          /* NULL: nobody reads its attributes from memory */
    struct lease *lease;      /* NULL: nobody appends to it without calls */
    bool mapped;              /* a program has had it mapped */
    struct watch *watches;    /* of inotify: watches.c */
    uint32_t writers;         /* struct files that may write it */
    uint32_t runners;         /* with FILE_EXEC: programs that run, or begin to */
    struct file_locks *locks; /* NULL: there are none */
    /*
     * A name of it, for paths: kept by file systems that can. A directory's only name. Removed:
     * name stays, linked is false.
     */
    struct inode *parent;
    char *name;
    bool linked;
};

static inline struct inode *inode_get(struct inode *inode)
{
    inode->refs++;
    return inode;
}
static inline void inode_put(struct inode *inode)
{
    if (inode && --inode->refs == 0)
        inode->ops->release(inode);
}

/* What an owner of locks holds and waits for (lock.h); zero at first. */
struct lock_set {
    struct lock *held, *wanted;
    uint32_t count;
    uint32_t seen; /* by the search of this number, for a deadlock */
    struct lock_set *to_see;
};

/* An open-file object: what a gate's badge leads to. */
struct file {
    struct inode *inode;
    /* Linux O_*: access mode, O_APPEND, O_PATH, O_NOATIME, O_DIRECTORY; FILE_EXEC */
    uint32_t flags;
    uint64_t badge;
    uint64_t offset;      /* of those who share it: see IO_AT_SHARED */
    uint32_t errors_seen; /* of write-back: ext4_fsync() */
    uint32_t reads;       /* beside other calls, not ended */
    struct fiber *closes; /* waits for them */
    struct lock_set locks;
    void *private_data; /* of the file system; freed by its close */
};
#define FILE_EXEC (1u << 31) /* opened by IO_EXEC: may be read and mapped for execution */
bool file_is_readable(const struct file *f);
bool file_is_writable(const struct file *f);

/* A call's status when it has been answered, or will be later. */
#define NO_REPLY INT64_MIN

/*
 * An error of walks and opens that is none: the path led to descriptor n of the caller itself; see
 * IO_OWN_FD in io.h.
 */
#define FS_OWN_FD(n) (-(int)(IO_OWN_FD + (n)))

/* ---- vfs.c ---- */

#define WALK_NOFOLLOW (1u << 0) /* a symlink as last component is the result */
#define WALK_PARENT   (1u << 1) /* stop at the last component: see struct walk */

struct walk {
    /*
     * result, with a reference; with WALK_PARENT: the last component's inode, NULL if it does not
     * exist
     */
    struct inode *inode;
    /* WALK_PARENT: the directory that holds, or would hold, the last component; with a reference */
    struct inode *parent;
    const char *name; /* WALK_PARENT: last component */
    size_t length;
    bool slash;  /* the path ended in '/' */
    bool stable; /* every directory on the way is of a stable mount */
    /* WALK_PARENT: why the last component could not be looked up; 0 when it only does not exist */
    int error;
    enum { LAST_NORMAL, LAST_DOT, LAST_DOTDOT, LAST_ROOT } last;
    char buffer[2 * IO_PATH_MAX];
};

extern struct mount *mounts; /* the root mount first */

int vfs_mount(struct mount *m, const char *path); /* "/": the first */
/* base: where relative paths start. 0, or an errno with nothing to release. */
int vfs_walk(struct walk *w, struct inode *base, const struct cred *who, const char *path,
             size_t size, uint32_t flags);
void walk_done(struct walk *w);
#define MAY_READ  4u
#define MAY_WRITE 2u
#define MAY_EXEC  1u
int vfs_permission(const struct inode *inode, const struct cred *who, uint32_t want);

/* Names. These take paths, check everything, and change the tree. */
int vfs_create(struct inode *base, const struct cred *who, const char *path, size_t size,
               struct create_args *args, struct inode **out);
int vfs_unlink(struct inode *base, const struct cred *who, const char *path, size_t size,
               bool directory);
int vfs_rename(struct inode *old_base, const char *old_path, size_t old_size,
               struct inode *new_base, const char *new_path, size_t new_size,
               const struct cred *who, uint32_t flags);
int vfs_link(struct inode *old_base, const char *old_path, size_t old_size, struct inode *new_base,
             const char *new_path, size_t new_size, const struct cred *who, uint32_t flags);
/*
 * O_* as in open(2): finds or makes the inode and checks permissions. created: it is new (no
 * further check, no truncation).
 */
int vfs_open(struct inode *base, const struct cred *who, const char *path, size_t size,
             uint32_t flags, uint32_t mode, struct inode **out, bool *created);
/* the same for an inode found already */
int vfs_open_check(struct inode *inode, const struct cred *who, uint32_t flags);
/*
 * Absolute path of an object into buffer; its length, -ENOENT if it was removed, -ENAMETOOLONG.
 * removed_too: with " (deleted)" then.
 */
int64_t vfs_path(const struct inode *inode, char *buffer, size_t size, bool removed_too);
/* The same as seen from a root (NULL: the machine's); -ENOENT: it does not lie under it. */
int64_t vfs_path_from(const struct inode *root, const struct inode *inode, char *buffer,
                      size_t size, bool removed_too);

/* owner or root; not read-only */
int vfs_setattr_check(const struct inode *inode, const struct cred *who);
/* "..", with a reference */
struct inode *vfs_parent(struct inode *dir, const struct cred *who);
/* its contents changed: set-id bits go, but for root */
void inode_drop_privileges(struct inode *inode, const struct cred *who);
void inode_stat(struct inode *inode, struct io_stat *out);
void inode_touch(struct inode *inode, bool data); /* ctime, and mtime when data changed: now */
void inode_accessed(struct inode *inode, uint32_t flags); /* relatime */
bool inode_access_is_noted(const struct inode *inode);    /* the next access would change nothing */
struct timespec fs_now(void);
uint64_t fs_time(uint64_t ns); /* the time of a file that is written at ns since 1970 */

/* ---- roots.c ---- */

/* What a label leads to: NULL for 0, the machine's own; -EIO: nothing any more. */
int root_find(uint32_t label, struct inode **out);
/* IO_CHROOT */
int root_change(const struct cred *who, struct inode *inode);
bool roots_in(const struct mount *m); /* is some process's root there? */

/* ---- mount.c ---- */

/* Into the tree, over a directory (takes its reference over); NULL: the root. */
int mount_attach(struct mount *m, struct inode *on);
int vfs_mount_call(struct inode *base, const struct cred *who, const struct mount_request *r);
int vfs_umount_call(struct inode *base, const struct cred *who, const char *path, size_t size,
                    uint32_t flags);
/* After a file was closed: what was detached and is not used any more goes. */
void mounts_settle(void);

/* ---- the file systems ---- */

int tmpfs_mount_type(const struct mount_request *r, struct mount **out);

void tmpfs_limits(uint64_t bytes, uint64_t inodes); /* of all tmpfs mounts together */
bool tmpfs_init(struct mount *m, const char *source, uint32_t mode);
/*
 * A regular file whose bytes are part of the bundle, in place until it is written; size is its
 * length.
 */
int tmpfs_add_bundle_file(struct inode *dir, const char *name, size_t length,
                          const struct create_args *args, uint64_t offset, uint64_t size,
                          uint64_t hash, struct inode **out);
uint64_t tmpfs_bytes_used(void); /* by all of them */
/* memfd_create: `name` is for those who look at its path. It can be sealed, or not. */
int tmpfs_memory_file(const char *name, bool sealable, const struct cred *who, struct inode **out);
bool tmpfs_is_memory_file(const struct inode *inode);
bool devfs_init(struct mount *m);
bool devpts_init(struct mount *m);
bool procfs_init(struct mount *m);
/* mount(2): the same tree once more */
int procfs_mount_type(const struct mount_request *r, struct mount **out);

/* ---- bundle.c ---- */

/*
 * Fills the tree from a bundle of `size` mapped bytes; every field is checked. Problems are logged;
 * result: entries added, or -EINVAL when nothing of it can be used.
 */
int64_t bundle_fill(const void *bundle, uint64_t size);
/* Finds one regular file of the bundle; NULL if there is none or its extent is wrong. */
const struct motor_bundle_entry *bundle_find(const void *bundle, uint64_t size, const char *path);

/* ---- file.c ---- */

/*
 * Opens an inode (its reference is taken over, also on failure) and answers with a gate and its
 * io_stat. Result: the answer with the gate of a new file, to which more may be added at once; NULL
 * if it is another.
 */
struct motor_reply *file_open_reply(struct engine *e, struct motor_event *ev,
                                    const struct cred *who, struct inode *inode, uint32_t flags,
                                    bool created);
/*
 * Answers with the rendezvous of a FIFO or socket, for `rights`, and with the file itself when
 * `file`; takes the reference over.
 */
void file_rendezvous_reply(struct engine *e, struct motor_event *ev, struct inode *inode,
                           uint64_t rights, bool file);
/* takes the reference over when it succeeds */
struct file *file_new(struct inode *inode, uint32_t flags);
void file_free(struct file *file);
int64_t file_readdir(struct file *file, const struct cred *who, uint64_t cookie,
                     struct motor_event *ev, uint64_t *next);

/* ---- hot.c ---- */

#define HOT_MAX 128u /* files; the one asked for longest ago makes room */

/* The page of attributes of an inode, made if need be; the handle stays here. Negative: errno. */
int hot_begin(struct inode *inode, motor_handle *page);
void hot_changed(struct inode *inode); /* an attribute has changed, or will before hot_publish() */
/*
 * A file that may write without calls, with the page for its times, whose handle stays here.
 * -EOPNOTSUPP: not now.
 */
int hot_write_begin(struct file *file, motor_handle *written);
/* It may no more: it goes, or somebody else (NULL: anybody) opens, reads or looks at the inode. */
void hot_write_end(struct file *file);
void hot_others(struct inode *inode, const struct file *file);
/* Times of writes without calls become the inode's: before anybody sees or sets its times. */
void hot_collect(struct inode *inode);
void hot_touched(struct inode *inode); /* the same, of what the file system did itself */
/* It was written at a time, which is not trusted, when its ctime was `before`. */
void hot_written_at(struct inode *inode, uint64_t time, struct timespec before);
void hot_publish(void); /* after each message: what has changed, before its sender hears of it */
/* A name, or who may use a directory, has changed. */
void names_changed(void);
/* The page that tells of it (struct io_names), made at the first call. Negative: errno. */
int names_page(motor_handle *page, uint64_t *changes);
void hot_end(struct inode *inode);        /* its bytes will be elsewhere, or the inode goes */
void hot_end_in(const struct inode *dir); /* all that are in a directory */

/* ---- append.c ---- */

/* A file that may append without calls: an object with its struct io_append, which stays here. */
int append_begin(struct file *file, motor_handle *vmo);
/* What has been appended becomes part of the files, before anybody looks: at each message. */
void appends_collect(void);
/* An inode's bytes or size are about to be changed by a call: nobody appends before
 * appends_go_on(). */
void append_pause(struct inode *inode, const struct file *file);
void append_end(struct inode *inode);                          /* or not at all any more */
void append_others(struct inode *inode, const struct file *f); /* as hot_others() */
void appends_end(bool idle);                                   /* all, or those that rest */
void appends_go_on(void);                                      /* after each message */

/* ---- devpts.c ---- */

/*
 * Opens terminal `number` (of a pty) through the tty engine, TTY_OPEN_*, for a file that is being
 * opened: 1, with the handle in the reply, or a negated errno.
 */
int device_open(uint32_t op, uint32_t number, const struct file *file, const struct cred *who,
                struct motor_reply *reply);
/* A new pty's master, likewise; its slave appears in /dev/pts, owned by who opens it. */
int device_open_master(const struct file *file, const struct cred *who, struct motor_reply *reply);

/* ---- proc/ ---- */

/* Whom to ask about the network: a connector gate of the net engine. Before the engine runs. */
void procfs_set_net(motor_handle connector);

/* ---- disk.c ---- */

/*
 * Mounts a device (device_find()) as "/", the first of all mounts. False: it cannot be, which is
 * logged. Before the engine runs.
 */
bool disk_mount_root(const char *what);
/* Mounts each disk and partition that has ext4, and is not "/", on /mnt/NAME. Likewise. */
void disks_init(void);
bool disks_mounted(void); /* calls may have to wait: they run in fibers */
void disks_publish(void); /* after each message: changed attributes go to their disks */
int disks_sync(void);
int disk_mount_type(const struct mount_request *r, struct mount **out);
/* unmounts all, in a fiber; nothing of them is used after */
void disks_finish(void);
void disks_finish_now(void); /* the same, with turns of the engine until it is done */

/* ---- work.c ---- */

/*
 * Calls that may wait: one after the other, in a fiber, in the order of their arrival. The event is
 * copied, and its handles are taken. False: no memory, which a caller has been told.
 */
bool work_add(struct motor_event *ev, void (*handle)(struct motor_event *ev));
/*
 * What changes nothing and uses nothing static: at once, in a fiber of its own. From the loop.
 * False: it cannot be, now.
 */
bool work_beside(struct motor_event *ev, void (*handle)(struct motor_event *ev));
/* All that runs so has ended; for_good: and nothing is begun so any more. For fibers. */
void work_settle(bool for_good);
/* to begin work that was added, from the loop */
void work_run(void);
/*
 * Runs function(arg), which may wait, to its end, with turns of the engine. Before the engine's
 * thread does, or when it has ended. False: no memory, nothing was done.
 */
bool work_now(void (*function)(void *), void *arg);

/* ---- engine.c ---- */

/*
 * All is written, and all disks are unmounted; calls that come later fail. From another thread,
 * when the engine runs in its own.
 */
void fs_finish(bool running);

extern struct engine fs_engine;
/* everything but the thread */
bool fs_init(const void *bundle, uint64_t bundle_size, motor_handle bundle_vmo);
/*
 * A handle to an open-file object, for the process that sysio starts. Before the engine's thread
 * runs.
 */
int64_t fs_open_handle(const char *path, uint32_t flags, bool exec);

#endif
