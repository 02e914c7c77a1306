/* SPDX-License-Identifier: MIT */
/*
 * Descriptors. A process has a table of them (fd.c): each entry leads to a struct px_file, the
 * process's own end of an open file description, and says whether exec closes it. What processes
 * share after fork (offset, status flags) is the struct px_desc, in memory that a fork shares.
 *
 * Lifetimes. px_file.refs counts table entries, and calls that are using the file now. The memory
 * of a px_file is never used for anything else, so a reader takes a reference without a lock: add
 * if not 0, then look whether the entry still says so. When the last goes, ops->release runs: it
 * cannot run while a call uses the file.
 *
 * Locks, outer to inner: px_desc.lock, stream locks, px_files.lock, px_net.lock (watch.h), ring
 * lock.
 */
#ifndef PX_FD_H
#define PX_FD_H

#include "px.h"

#include "io.h"
#include "linux_io.h"

#define PX_FD_MAX (1u << 20)
#define PX_DESCS  (1u << 20)

enum px_kind {
    PX_FILE = 1,
    PX_DIRECTORY,
    PX_TTY,
    PX_PIPE,
    PX_UNIX,
    PX_STREAM,
    PX_DATAGRAM,
    PX_EVENTFD,
    PX_TIMERFD,
    PX_SIGNALFD,
    PX_INOTIFY,
    PX_MQUEUE,
    PX_PIDFD,
    PX_EPOLL
};

struct px_socket_ops; /* socket.h */

struct px_desc {
    uint32_t refs;      /* processes that have it; 0: free [atomic] */
    uint32_t flags;     /* O_* status flags and access mode [atomic] */
    uint64_t offset;    /* files: position; directories: cookie [lock] */
    uint32_t lock;      /* a mutex between processes */
    int32_t owner;      /* F_SETOWN [atomic] */
    uint64_t value;     /* eventfd: counter, or that it has moved [atomic] */
    uint32_t at_server; /* [lock] the position is in the server's open file: IO_AT_SHARED */
    int32_t signal;     /* F_SETSIG [atomic] */
    uint32_t serial;    /* how often it has been used */
    uint32_t holder[5]; /* [atomic] tags of processes that have it; 0: none */
};
_Static_assert(sizeof(struct px_desc) == 64, "a line each");

/*
 * What a kind of file can do. NULL: the call's usual error for files that cannot. Transfers may be
 * partial; -errno or a restart code.
 */
struct px_ops {
    const char *name; /* as /proc/self/fd shows it */
    long (*read)(struct px_file *f, struct px_io *io, uint32_t flags); /* flags: PX_IO_* */
    long (*write)(struct px_file *f, struct px_io *io, uint32_t flags);
    long (*read_at)(struct px_file *f, struct px_io *io, uint64_t offset, uint32_t flags);
    long (*write_at)(struct px_file *f, struct px_io *io, uint64_t offset, uint32_t flags);
    /*
     * POLL* bits of `events`, or of ERR and HUP, that hold now. arm: should one of `events` come
     * later, px_file_changed() must follow. Called with px_net.lock held; must not take locks
     * outside it. NULL: always ready to read and write, and not for epoll.
     */
    uint32_t (*ready)(struct px_file *f, uint32_t events, bool arm);
    long (*control)(struct px_file *f, unsigned request, unsigned long argument);
    long (*stat)(struct px_file *f, struct io_stat *out);
    void (*release)(struct px_file *f);
    /*
     * Fills a record from which another program makes the file again (px_file_from_record): its
     * protocol's part; fd and flags are filled in. -EOPNOTSUPP: it cannot be passed. NULL: handle
     * and offset are all.
     */
    long (*pass)(struct px_file *f, struct motor_start_fd *record);
    /*
     * Who gets SIGIO, which signal instead, or whether (O_ASYNC) is another now: of the
     * description. NULL: none is ever sent.
     */
    long (*async)(struct px_file *f);
    const struct px_socket_ops *socket; /* of sockets */
};

#define PX_IO_NONBLOCK (1u << 0) /* as if O_NONBLOCK */
#define PX_IO_NOSIGNAL (1u << 1) /* no SIGPIPE */
#define PX_IO_PEEK     (1u << 2)
#define PX_IO_WAITALL  (1u << 3)
#define PX_IO_DISCARD  (1u << 4) /* read, but copy nothing */
#define PX_IO_APPEND   (1u << 5)
#define PX_IO_SYNC     (1u << 6)
#define PX_IO_MORE     (1u << 7)

struct px_file {
    const struct px_ops *ops;
    struct px_desc *desc;
    uint32_t refs; /* [atomic] */
    uint8_t kind;
    uint8_t protocol; /* MOTOR_FD_* */
    bool path_only;   /* O_PATH */
    /* a socket that has no slot yet, an epoll with such: px_file_arrive() before it is used */
    bool remote;
    /* [atomic] an end of a pipe, or a socket, that the engine has not been asked for: px_make() */
    bool unmade;
    motor_handle handle;      /* 0: none */
    struct px_watch *watches; /* [px_net.lock] */
    uint32_t mark;            /* [px_files.lock] the last fork that has seen it */
    struct px_file *next_free;
    struct px_lent lent; /* of pipes, UNIX sockets and TCP */
    union {
        struct px_file_file { /* PX_FILE, PX_DIRECTORY */
            uint32_t mode;    /* st_mode: the type is what matters */
            uint64_t rdev;
            bool own_fds;   /* the directory /proc/self/fd */
            bool in_memory; /* IO_FILE_IN_MEMORY */
            /* of the name that it was opened by; stamp 0: none is known (names.c) */
            uint32_t place, stamp;
            uint32_t uses;             /* calls that a hot file would not have needed (hot.c) */
            struct px_hot *hot;        /* [atomic] */
            struct io_append *ring;    /* [desc lock, atomic] NULL: none yet (append.c) */
            struct px_mutex ring_lock; /* of who looks at the ring while another takes its place */
            uint32_t appends, ask_after; /* [desc lock] since the last question; until the next */
        } file;
        struct px_file_tty {
            uint32_t bit; /* 1 + its bit in the session; 0: never armed */
        } tty;
        struct px_file_local { /* PX_PIPE, PX_UNIX */
            uint32_t bit;      /* as of tty */
            uint8_t type;      /* SOCK_* */
            uint8_t
                netlink_type; /* of netlink.c: SOCK_*, and its number; 0: it is none, has none */
            uint32_t netlink_port;
            uint32_t low_water;
            uint64_t receive_timeout, send_timeout; /* ns; 0: none */
            struct px_unmade *unmade;               /* of a pipe made here; NULL: none */
        } local;
        struct px_stream stream;
        uint32_t event_bit; /* of the next four, when they have moved: as of tty */
        struct px_file_mqueue {
            uint32_t bit;
            motor_handle notice; /* [atomic] of the last mq_notify; 0: none */
        } mqueue;
        struct px_file_eventfd {
            uint32_t bit;
            bool semaphore;
        } eventfd;
        struct px_file_signalfd {
            uint32_t bit;
            uint64_t mask;
            struct px_file *next; /* [px_net.lock] all signalfds */
        } signalfd;
        struct px_file_timerfd {
            uint32_t bit;
            int clock;     /* all of it [px_net.lock] */
            uint64_t next; /* monotonic; MOTOR_NEVER: not armed */
            uint64_t interval;
            uint64_t due; /* expirations not yet read, up to `next` */
            bool listed;  /* on px_net.timers */
            struct px_file *later;
            uint64_t list_time;
        } timerfd;
        struct px_file_epoll {
            struct px_epoll_item *items; /* [px_net.lock] all of it */
            struct px_epoll_item *ready_first, *ready_last;
            struct px_waiter *waiters, *waiters_last;
        } epoll;
    };
};

/* What a process and its vfork child share of files: the descriptions, and memory for them. */
struct px_file_pool {
    struct px_desc *descs; /* the first one is desc.c's own */
    motor_handle desc_vmo; /* what they are in, once they are shared; 0: memory of this process */
    struct px_mutex lock;  /* free files */
    uint8_t *chunk, *chunk_end; /* [lock] what files are cut from */
    struct px_file *free;
    uint32_t events_here;   /* [atomic] files of event.h whose state is in this process */
    uint32_t unmade;        /* [atomic] ends of pipes, and sockets */
    struct px_files *spare; /* [atomic] a table that a vfork child has left */
    uint32_t tag;           /* by which descriptions know this process; of its next child: */
    uint32_t child_tag;     /* [px_files.lock] */
    struct px_desc_child {  /* [lock] the last ones, oldest overwritten: pid 0: none */
        uint32_t pid, tag;
    } children[64];
    uint32_t next_child;         /* [lock] */
    struct px_mutex bounce_lock; /* for whoever gets it with px_trylock() */
    uint8_t *bounce;
};

struct px_files {
    struct px_mutex lock; /* changes of the table */
    /*
     * struct px_file *, bit 0: close on exec. PX_FD_MAX entries; [atomic] for readers. In front of
     * it, from there down, a bit for each entry that is used: the first of both have one page.
     */
    uint64_t *table;
    uint32_t lowest; /* no free entry below */
    uint32_t end;    /* no used entry from here on */
    struct px_file *cwd;
    struct px_file_pool *pool;
    bool remotes; /* there have been sockets that came from elsewhere */
};
#define PX_BOUNCE_SIZE (64u << 10)

static inline struct px_files *px_files(void)
{
    return px_proc()->files;
}

static inline struct px_file_pool *px_file_pool(void)
{
    return px_files()->pool;
}

/* ---- what is made when it is first used: pipe.c, unmade.c ---- */

static inline bool px_is_unmade(const struct px_file *f)
{
    return __atomic_load_n(&f->unmade, __ATOMIC_ACQUIRE);
}
/* The engine makes it now. 0, or an error, and it is unmade as before. */
long px_pipe_make(struct px_file *f);
long px_socket_make(struct px_file *f);
static inline long px_make(struct px_file *f)
{
    return f->kind == PX_PIPE ? px_pipe_make(f) : px_socket_make(f);
}
void px_pipe_forked(struct px_file *f); /* in the child */

/* ---- fd.c ---- */

/*
 * For exec: the descriptors that stay open, as records (f->ops->pass). How many; more than max: the
 * others are missing. Records hold handles of this process, and no references.
 */
uint32_t px_fd_records(struct motor_start_fd *to, uint32_t max);
uint32_t px_fd_count(void); /* descriptors, those that exec closes among them */
/* And of those that exec closes: the process's record locks go. */
void px_fd_cloexec_unlock(void);

/*
 * fork. [px_files.lock] The handles of all descriptors to `keep` (NULL, or at most max), and with
 * `hold` a count more in each description for the child, or with `undo` one less. How many handles
 * there are, even if that is more than max.
 */
enum px_fork_step { PX_FORK_HOLD, PX_FORK_UNDO };
uint32_t px_files_fork(struct px_process *p, enum px_fork_step step, motor_handle *keep,
                       uint32_t max);
void px_files_forked(struct px_process *p); /* in the child */

/* A reference to what fd is; NULL: EBADF. O_PATH files come too: see px_fd_get_io(). */
struct px_file *px_fd_get(int fd);
/*
 * The same for calls that read or write or control: O_PATH files are EBADF for them. A socket that
 * came from another process gets its slot here.
 */
struct px_file *px_fd_get_io(int fd);
/*
 * The same for read() and connect(), of which a pipe or a socket that is unmade has an answer of
 * its own.
 */
struct px_file *px_fd_get_to_read(int fd);
struct px_file *px_fd_get_to_connect(int fd);
void px_file_get(struct px_file *f);
bool px_file_get_unless_closed(struct px_file *f); /* of one that px_net.lock keeps */
void px_file_arrive(struct px_file *f);            /* of a `remote` one */
void px_file_put(struct px_file *f);

/* A new file with one reference (and its description). NULL: no memory. */
struct px_file *px_file_new(const struct px_ops *ops, enum px_kind kind, uint32_t flags,
                            motor_handle handle);
/*
 * Gives the file the lowest free descriptor; the reference goes to the table, also on failure (then
 * it is dropped). -EMFILE.
 */
long px_fd_install(struct px_file *f, bool cloexec);
/*
 * Two new files get descriptors, which are stored for the program at `user`. NULL among them: no
 * memory (-ENFILE). The references go over, also on failure.
 */
long px_fd_install_pair(struct px_file *files[2], bool cloexec, void *user);
/*
 * In two steps, for those who must know before they change anything: an entry, then what it leads
 * to (or px_fd_unreserve).
 */
long px_fd_reserve(void);
void px_fd_fill(int fd, struct px_file *f, bool cloexec);
void px_fd_unreserve(int fd);
long px_fd_dup_from(int fd, unsigned long from, bool cloexec); /* F_DUPFD */
long px_fd_cloexec_get(int fd);
long px_fd_cloexec_set(int fd, bool on);
/* The working directory: a reference; and a new one, whose reference goes over. */
struct px_file *px_cwd_get(void);
void px_cwd_set(struct px_file *f);
/* For each descriptor from `first` on: the next that is in use, or -1. */
int px_fd_next(int first);

/* Each file of the table and the working directory, once. */
void px_files_each_locked(struct px_files *t, void (*visit)(struct px_file *f, void *context),
                          void *context);

/* ---- desc.c ---- */

struct px_desc *px_desc_new(uint32_t flags); /* counted once; NULL: no more */
void px_desc_put(struct px_desc *d);
/* A name for a process among those that share the table. */
uint32_t px_desc_tag(void);
/* A count more, and less, for the process with this tag. */
void px_desc_hold(struct px_desc *d, uint32_t tag);
void px_desc_drop(struct px_desc *d, uint32_t tag);
/* Where they are to be, near other memory that every process writes; false: no memory. */
bool px_descs_prepare(struct px_file_pool *t, const void *near);
/*
 * From now on they are in memory that a fork shares. Before a process has a second thread, or a
 * child: then nobody is at them meanwhile. 0, or -ENOMEM.
 */
long px_descs_share(struct px_process *p);
/* fork has made a child, with pool->child_tag; and it was killed: what it had is given back. */
void px_descs_child(uint32_t pid);
void px_descs_child_killed(uint32_t pid);
/* The process ends: nothing is done with its files any more. */
void px_descs_end(struct px_process *p);
/*
 * The process is about to become another program: its counts are given back. If it does not, they
 * must be taken again. NULL: nothing was given back.
 */
struct px_descs_left *px_descs_leave(struct px_process *p);
void px_descs_return(struct px_descs_left *left);
void px_desc_lock(struct px_desc *d);
void px_desc_unlock(struct px_desc *d);

/* Served by calls; watched through bits that IO_POLL arms. */
static inline bool px_is_of_tty_engine(const struct px_file *f)
{
    return f->kind == PX_TTY || f->kind == PX_PIPE || f->kind == PX_UNIX;
}

static inline bool px_is_event(const struct px_file *f) /* of event.h */
{
    return f->kind >= PX_EVENTFD && f->kind <= PX_PIDFD;
}

/* Whoever waits for it needs a session with the tty engine. */
static inline bool px_is_watched_there(const struct px_file *f)
{
    return px_is_of_tty_engine(f) || (px_is_event(f) && f->protocol == MOTOR_FD_EVENT);
}

static inline uint32_t px_flags(const struct px_file *f)
{
    return __atomic_load_n(&f->desc->flags, __ATOMIC_RELAXED);
}
static inline bool px_nonblock(const struct px_file *f, uint32_t flags)
{
    return flags & PX_IO_NONBLOCK || px_flags(f) & O_NONBLOCK;
}
static inline bool px_may_read(const struct px_file *f)
{
    return (px_flags(f) & O_ACCMODE) != O_WRONLY;
}
static inline bool px_may_write(const struct px_file *f)
{
    return (px_flags(f) & O_ACCMODE) != O_RDONLY;
}

/*
 * What hangs on the open file (locks) goes with its handle, so that must not outlive its
 * descriptors: see px_name_keep().
 */
static inline void px_file_not_kept(struct px_file *f)
{
    if (f->kind == PX_FILE)
        f->file.stamp = 0;
}

/*
 * An open file of the fs engine (or terminal), from its handle; takes the handle, also on failure.
 */
struct px_file *px_file_from_handle(motor_handle h, uint32_t protocol, uint32_t flags,
                                    const struct io_stat *st);
/* attach.c: sockets that came from elsewhere get a slot in our session, if that is possible... */
void px_socket_arrive(struct px_file *f);
struct px_file *px_socket_from_record(const struct motor_start_fd *record);
/*
 * ... and before they go elsewhere (exec: those that stay open), connections of our listeners wait
 * in the engine.
 */
void px_listeners_share(bool exec);
void px_listener_share(struct px_file *f); /* of one; of other files nothing */
/* event.c: [px_files.lock] before a fork, states of events move to where the child finds them. */
long px_events_share(struct px_process *p);
void px_mqueue_forked(struct px_file *f); /* in the child */
struct px_file *px_event_from_record(const struct motor_start_fd *record);
/*
 * The record of a file that goes to another program or process; its handle stays ours. false: it
 * cannot go.
 */
bool px_file_record(struct px_file *f, struct motor_start_fd *record);
/* The other side; takes the handles, also on failure. */
struct px_file *px_file_from_record(const struct motor_start_fd *record);
extern const struct px_ops px_file_ops, px_directory_ops, px_device_ops, px_path_ops, px_tty_ops,
    px_pipe_ops, px_unix_ops, px_stream_ops, px_listener_ops, px_datagram_ops, px_eventfd_ops,
    px_timerfd_ops, px_epoll_ops;

#endif
