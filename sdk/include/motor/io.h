/* SPDX-License-Identifier: MIT */
/*
 * The I/O protocol: what sysio's engines and the POSIX runtime say to each other. Two ways:
 *
 * 1. Calls (motor_call) on gates. Every open file, directory, socket and terminal is a gate of its
 * engine; the badge is the engine's own name for it. `op` is IO_*; msg.status in the reply is a
 * result >= 0 or a negated Linux errno. The engine knows when the last handle to an object goes
 * (MOTOR_EVENT_CLOSED): that is close().
 *
 * 2. Streams in a session's arena: shared memory between one process and one engine, so that bytes
 * move and readiness is seen without a call. See "Sessions" below. Sockets live there. Terminals
 * and files are used by calls.
 *
 * Nothing in shared memory is trusted by either side: indices are read once, bounded, and used from
 * the local copy.
 */
#ifndef MOTOR_IO_H
#define MOTOR_IO_H

#include <motor/abi.h>

/* ---- calls: files and directories (fs engine), terminals (tty engine) ---- */

/*
 * w0.. are msg.word[]. "path": msg.in holds the bytes without NUL, relative to the directory the
 * call is made on, or absolute (from the root); it is resolved by the engine, symlinks included.
 * Longer than IO_PATH_MAX-1: ENAMETOOLONG.
 */
#define IO_PATH_MAX 4096u

/*
 * path; w0 Linux O_* flags, w1 mode & ~umask -> handle[0]; out: struct io_stat; w0: MOTOR_FD_*
 * protocol of the new handle. Empty path: reopen the object itself
 */
#define IO_OPEN        1u
/* path; w0: AT_SYMLINK_NOFOLLOW or 0; empty path: the object itself -> out: struct io_stat */
#define IO_STAT        2u
/*
 * w0 offset (~0: a stream) -> out: bytes; status: count. Streams: blocks unless w1 has O_NONBLOCK;
 * w2 IO_READ_PEEK: the bytes stay
 */
#define IO_READ        3u
#define IO_READ_PEEK   2u
/*
 * w0 offset (~0: append at the end, or a stream), w1 O_APPEND|O_NONBLOCK; in: bytes -> status:
 * count, w0: offset after it, w1: size of the file
 */
#define IO_WRITE       4u
#define IO_TRUNCATE    5u /* w0 size; path or empty */
/*
 * w0 cookie (0: start) -> out: Linux linux_dirent64 records, d_off = next cookie; status: bytes, 0
 * at the end; w0: the last record's d_off
 */
#define IO_READDIR     6u
#define IO_MKDIR       7u /* path, w0 mode */
#define IO_UNLINK      8u /* path, w0 AT_REMOVEDIR or 0 */
/*
 * in: old path then new path; w0 length of the old one, w1 Linux RENAME_* flags; handle[0]:
 * directory the new one is relative to (0 handles: the same)
 */
#define IO_RENAME      9u
#define IO_LINK        10u /* like RENAME; w1 AT_SYMLINK_FOLLOW, AT_EMPTY_PATH */
#define IO_SYMLINK     11u /* in: target then link path; w0 length of the target */
#define IO_READLINK    12u /* path -> out: target; status: its length (may exceed out) */
#define IO_CHMOD       13u /* path or empty, w0 mode, w1 AT_SYMLINK_NOFOLLOW */
/* path or empty, w0 uid, w1 gid (~0 as 32 bits: keep), w2 AT_SYMLINK_NOFOLLOW */
#define IO_CHOWN       14u
/*
 * path or empty, w0,w1 atime sec,nsec; w2,w3 mtime (nsec may be UTIME_NOW/UTIME_OMIT); w4
 * AT_SYMLINK_NOFOLLOW
 */
#define IO_UTIMENS     15u
/*
 * path, w0 R_OK|W_OK|X_OK, w1 AT_EACCESS|AT_SYMLINK_NOFOLLOW, w2 1: the caller's real user or group
 * is not the effective one
 */
#define IO_ACCESS      16u
#define IO_STATFS      17u /* path or empty -> out: struct io_statfs */
/* w0 1: data only (fdatasync); IO_SYNC_ALL: of all files. Answered when the device has flushed */
#define IO_SYNC        18u
#define IO_SYNC_ALL    2u
/*
 * w0 PROT_* wanted (write: shared writable mapping), w1 1: for a shared mapping, with the right to
 * write if the file is open for that, as mprotect may want it -> handle[0]: vmo; w0: offset of the
 * file's byte 0 in it; w1: size
 */
#define IO_MAP         19u
#define IO_MKNOD       20u /* path, w0 mode, w1 dev */
#define IO_ALLOCATE    21u /* w0 offset, w1 length, w2 Linux FALLOC_FL_* */
/* ioctl: w0 request, w1 argument if by value; in/out: the structure by the request's own size */
#define IO_CONTROL     22u
/*
 * w0 mask, w1 0: just look; 1: also arm: when one of the mask becomes ready, bit w2 of the session
 * named by handle[0] (own gate) is set -> status: POLL* bits now; IO_POLL_LENT: the caller has a
 * ring of this end on loan: see struct io_loan_ring -> w0 1: so it is armed, and stays so while the
 * loan lasts; else as 1
 */
#define IO_POLL        23u
#define IO_POLL_LENT   2u
/*
 * w0 0: getcwd (-ENOENT when it was removed), 1: /proc/self/fd (then with " (deleted)") -> out:
 * absolute path of the object, no NUL; status: length
 */
#define IO_PATH        24u
#define IO_LOCK        25u /* flock and record locks: see below */
/*
 * copy_file_range: w0 offset here, w1 offset there, w2 length; handle[0]: the target -> status:
 * bytes
 */
#define IO_COPY        26u
/* path or empty -> handle[0]: directory handle for cwd use, needs search permission (chdir) */
#define IO_CHECK_DIR   27u
/*
 * path or empty, w0 AT_SYMLINK_NOFOLLOW or 0 -> handle[0] readable for exec, checks X permission,
 * out: struct io_stat; handle[1], unless it cannot be mapped: vmo with the file's bytes, as from
 * IO_MAP to be read and executed; w1: offset of byte 0 in it; w2: the file's size
 */
#define IO_EXEC        28u
/*
 * IO_EXEC: w3 1: the file has a set-id bit that would change an id of the caller. Then the program
 * is not the caller's to make: on handle[0], in: the start block, complete, as a call with
 * MOTOR_CALL_EXEC -> the answer is the program (MOTOR_REPLY_EXEC). Of the block the strings, the
 * descriptors that are gates of sysio, limits, signals, umask and times are taken; the rest is what
 * sysio knows itself. -EAGAIN: no id would change any more
 */
#define IO_EXEC_SET_ID 61u
/*
 * w0 offset, w1 SEEK_SET, SEEK_CUR or SEEK_END: moves the position that this open file has at the
 * server -> status: where it is. IO_READ and IO_WRITE with the offset IO_AT_SHARED use and move it
 * (with O_APPEND: to the end). For descriptions that unrelated processes share: after exec, or sent
 */
#define IO_SEEK        30u
#define IO_AT_SHARED   (~1ull)
/*
 * empty path, on a file open for reading -> handle[0]: vmo with one page, struct io_hot; handle[1]:
 * vmo of the file's bytes; w0: offset of byte 0 in it, w1: MOTOR_MAP_PRIVATE or 0, how handle[1]
 * must be mapped. path (the last symlink is followed) -> handle[0]: the same; handle[1]: vmo with
 * one page, struct io_names; w0: its `changes` when the path was looked up. Needs what IO_STAT
 * needs. All are to be mapped read-only. w0 IO_HOT_WRITE, empty path, on a file open for reading
 * and writing that is hot already -> handle[0]: vmo with one page, struct io_hot_written, and
 * handle[1]: vmo of the bytes, both to be mapped for writing; w0 as before. w0 IO_HOT_RING, empty
 * path, on a file open for writing -> handle[0]: vmo of a struct io_append, for writing.
 * -EOPNOTSUPP: not for this file, or not now. See "Hot files" below.
 */
#define IO_HOT         29u
#define IO_HOT_WRITE   1u
#define IO_HOT_RING    2u

/*
 * IO_LOCK: flock and record locks. w0 IO_LOCK_* kind, | IO_LOCK_WAIT or IO_LOCK_TEST; w1 F_RDLCK,
 * F_WRLCK or F_UNLCK; of records: w2 where l_start counts from (IO_LOCK_FROM_END: the file's end),
 * w3 l_start, w4 l_len. IO_LOCK_PROCESS and IO_LOCK_CLOSE: handle[0]: the caller's presence
 * (IO_PRESENCE). -EAGAIN: another has a lock there; with WAIT the answer comes when it can be had.
 * TEST (records):
 * -> w0: F_UNLCK, or the type of a lock that is in the way, w1 its start, w2 its length (0: to the
 * end), w3: the owner's pid (~0: an open file)
 */
#define IO_LOCK_KIND      7u
#define IO_LOCK_PROCESS   0u /* fcntl's record locks: they end with the process, or at CLOSE */
#define IO_LOCK_OPEN_FILE 1u /* open-file-description locks: they end with the last handle */
#define IO_LOCK_CLOSE     2u /* the process closes a descriptor: its locks of this file go */
#define IO_LOCK_WHOLE     3u /* flock */
#define IO_LOCK_WAIT      8u
#define IO_LOCK_TEST      16u
#define IO_LOCK_FROM_END  (~0ull)

/*
 * On any gate of the fs engine -> handle[0]: the presence of the caller, or of the process that
 * handle[0] names (one between vfork and exec): what it asks to be kept for it with this gate ends
 * when the last handle to it goes. It is kept over exec, and not given to a forked child.
 */
#define IO_PRESENCE 40u

/* in: a name; w0 1: it can be sealed -> handle[0]: a file without links, as memfd_create makes it
 */
#define IO_MEMORY_FILE 41u
/* On a file: w0 0 -> status: its seals (F_SEAL_*), 1: those of w1 are added */
#define IO_SEAL        42u

/*
 * Extended attributes of an object, O_PATH or not: w0 IO_XATTR_*; in: the name (w1 bytes), for SET
 * followed by the value; w2 XATTR_CREATE, XATTR_REPLACE -> out: the value, or names each with its
 * NUL; status: their size, also when out has no room at all (else -ERANGE)
 */
#define IO_XATTR        43u
#define IO_XATTR_GET    0u
#define IO_XATTR_SET    1u
#define IO_XATTR_LIST   2u
#define IO_XATTR_REMOVE 3u

/*
 * mount(2), for root: in: source, target (a path), type and options, one after the other, together
 * at most IO_MOUNT_MAX bytes; w0 MS_*, w1 to w3 the lengths of the first three
 */
#define IO_MOUNT     44u
#define IO_MOUNT_MAX (2 * IO_PATH_MAX + 4096u + 64u)
/* umount2(2), for root: path, w0 MNT_* and UMOUNT_NOFOLLOW */
#define IO_UMOUNT    45u
/* chroot(2), for root: path. From then on it is the root of the caller, and of its descendants */
#define IO_CHROOT    64u
/*
 * posix_fadvise: w0 offset, w1 length (0: to the end), w2 Linux POSIX_FADV_*. DONTNEED: pages that
 * are wholly in the range and need not be written leave the cache; all else changes nothing
 */
#define IO_ADVISE    47u

/*
 * On any gate of the fs engine: w0 IO_SYSTEM_HOST or IO_SYSTEM_DOMAIN; in: what that name of the
 * system is from now on, shorter than IO_SYSTEM_NAME_SIZE; for root. w0 IO_SYSTEM_NAMES: -> out:
 * both, each filled up with NULs
 */
#define IO_SYSTEM_NAME      46u
#define IO_SYSTEM_HOST      0u
#define IO_SYSTEM_DOMAIN    1u
#define IO_SYSTEM_NAMES     2u
#define IO_SYSTEM_NAME_SIZE 65u

/*
 * On any gate of the fs engine: w0 pid, w1 an address in that process's memory, w2 bytes, w3 0:
 * from there -> out, 1: in -> there. Status: bytes, at most IO_TRANSFER_MAX; for root, and for who
 * is the same user and group in every form (else -EPERM)
 */
#define IO_PROCESS_MEMORY 60u

/*
 * On any gate of the fs engine: scheduling and limits of another process. w0 IO_ADJUST_*,
 * | IO_ADJUST_SET; w1 its pid (a group, a real user); w2, w3 what is set; w4 RLIMIT_* -> w0, w1:
 * what it was. NICE: the value; AFFINITY: mask of processors; POLICY: SCHED_* << 8 | priority;
 * LIMIT: soft, hard
 */
#define IO_PROCESS_ADJUST    59u
#define IO_ADJUST_NICE       0u
#define IO_ADJUST_AFFINITY   1u
#define IO_ADJUST_POLICY     2u
#define IO_ADJUST_GROUP_NICE 3u
#define IO_ADJUST_USER_NICE  4u
#define IO_ADJUST_LIMIT      5u
#define IO_ADJUST_SET        16u

/*
 * System V IPC, on any gate of the fs engine; keys, identifiers, flags, commands and structures are
 * Linux's. Statuses are the calls' results.
 */
#define IO_SHM_GET      48u /* w0 key, w1 size, w2 flags */
/* w0 id, w1 SHM_RDONLY, SHM_EXEC -> handle[0]: vmo, w0: its size. Unmapping it detaches */
#define IO_SHM_ATTACH   49u
#define IO_SHM_DETACHED 50u /* w0 id: the caller has unmapped it */
#define IO_SHM_CONTROL  51u /* w0 id, w1 command; in and out: the structure */
#define IO_SEM_GET      52u /* w0 key, w1 semaphores, w2 flags */
/*
 * in: struct sembuf[]; w0 id, w1 how many, w2 deadline (ns), then -EAGAIN; handle[0]: the caller's
 * presence, when one of them has SEM_UNDO
 */
#define IO_SEM_OPERATE  53u
/*
 * w0 id, w1 command, w2 semaphore, w3 value; in and out: the structure or values. IO_SEM_COUNT is a
 * command of our own: how many there are
 */
#define IO_SEM_CONTROL  54u
#define IO_SEM_COUNT    0x10000u
#define IO_MSG_GET      55u /* w0 key, w1 flags */
#define IO_MSG_SEND     56u /* in: the type (8 bytes), then w2 bytes; w0 id, w1 flags */
#define IO_MSG_RECEIVE  57u /* w0 id, w1 type, w2 flags, w3 bytes at most -> out: as in SEND */
#define IO_MSG_CONTROL  58u /* w0 id, w1 command; in and out: the structure */

/*
 * A status of IO_OWN_FD + n, from any call with a path: the path led to /proc/self/fd/n (also by
 * /dev/stdin, /dev/fd/n), which only the runtime knows; it answers the call itself with its
 * descriptor n (for readlink and lstat: as the symlink that it looks like). The directory
 * /proc/self/fd itself can be opened; IO_READDIR on it answers IO_OWN_FD.
 */
#define IO_OWN_FD       (1u << 24)
#define IO_TRANSFER_MAX (1u << 20)
/*
 * A status -IO_EABSENT, of any call: the caller's buffer is in pages that are not in memory
 * (MOTOR_EABSENT), and nothing has been done. The runtime touches them and repeats the call.
 */
#define IO_EABSENT      4002

/*
 * Rules for the details. IO_READ and IO_WRITE on files give as many bytes as the file has or may
 * hold, but never more than IO_TRANSFER_MAX in one call, so that nobody has the engine to himself;
 * the runtime goes on. On terminals and the motor-run channel they may be short: IO_READ as
 * read(2), IO_WRITE answers as soon as some bytes are taken (at least one, or -EAGAIN with
 * O_NONBLOCK), so a blocking write loops. IO_OPEN of O_PATH objects, IO_CHECK_DIR: such handles
 * serve as a base for paths, for IO_STAT, IO_STATFS, IO_PATH and IO_POLL only. IO_OPEN keeps no
 * offset and no O_APPEND: the runtime does. IO_OPEN of a terminal device answers a handle of the
 * tty engine (w0: MOTOR_FD_TTY).
 */

struct io_stat {
    uint64_t dev, ino;
    uint32_t mode, nlink, uid, gid;
    uint64_t rdev;
    int64_t size;
    int64_t blocks;                     /* of 512 bytes */
    uint32_t blksize, flags;            /* IO_FILE_* */
    int64_t atime, mtime, ctime, btime; /* seconds */
    uint32_t atime_ns, mtime_ns, ctime_ns, btime_ns;
};
_Static_assert(sizeof(struct io_stat) == 112, "protocol");
#define IO_FILE_IN_MEMORY 1u /* there is no device: IO_SYNC of it has nothing to do */

/*
 * Hot files. A file that a process reads again and again is read from a mapping of its pages, and
 * its attributes from this page, without a call. The engine writes it, before it answers the call
 * that changed something. `seq` is odd while it does: copy `stat`, then look whether seq is still
 * the same even number; after a few tries, make the call instead.
 *
 * valid 0: never again; whoever has the page makes calls. read_calls not 0: a read has to be a
 * call, because it changes the access time (which is kept as relatime does, but not renewed daily).
 * Bytes are those of [0, stat.size); a page that is gone because the file was cut is a fault: make
 * the call.
 *
 * Writing. writer not 0: one open file, whoever has it, may write bytes of [0, stat.size) without a
 * call. It first stores the time in its struct io_hot_written, then looks whether writer still is
 * not 0, then writes; so the engine, which clears writer before it looks at the time, misses none.
 * `written` is the time that stat knows of already: another one is the file's mtime and ctime, and
 * to be noted by a read as above. All others have to make calls while writer is not 0.
 *
 * Appending. appender not 0: one open file, whoever has it, may append without a call: it has a
 * struct io_append, and `end` in it is the file's size. If that is not stat.size, and for all
 * others always, to look at the file takes a call.
 */
struct io_hot {
    uint32_t seq, valid, read_calls, writer;
    struct io_stat stat;
    uint64_t written;
    uint64_t appender;
};
_Static_assert(sizeof(struct io_hot) == 144, "protocol");

struct io_hot_written {
    uint64_t time; /* CLOCK_REALTIME, ns */
};

/*
 * What is appended without a call. The byte that shall be at x of the file is put at x %
 * IO_APPEND_ROOM of `bytes`, a write without a gap; then the time is stored, and `end` moved by
 * compare-and-exchange: after that the bytes have been written, before it nothing. No more than
 * IO_APPEND_ROOM bytes behind `taken`, to where the engine has taken them: there is space for so
 * many. Who holds the lock of the open file's description writes. `end` may also be
 *
 *   IO_APPEND_PAUSED  a call is changing the file: make another one
 *   IO_APPEND_GONE    never again: whoever wants to go on so has to ask anew
 */
#define IO_APPEND_ROOM   65536u
#define IO_APPEND_PAUSED (~1ull)
#define IO_APPEND_GONE   (~0ull)
struct io_append {
    uint64_t end, taken;
    uint64_t time; /* CLOCK_REALTIME, ns */
    uint8_t pad[4096 - 24];
    uint8_t bytes[IO_APPEND_ROOM];
};
_Static_assert(sizeof(struct io_append) == 4096 + IO_APPEND_ROOM, "protocol");

/*
 * Names. While `changes` stays the same, every absolute path that IO_HOT took leads where it led,
 * for a caller with the same uid and gid.
 */
struct io_names {
    uint64_t changes;
};

struct io_statfs {
    uint64_t type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, flags;
};

/* ---- calls: sockets (net engine) ---- */

/*
 * All answer at once; waiting is done on the stream. Addresses are Linux struct sockaddr_in /
 * sockaddr_in6 bytes in `in` and `out`.
 */
/*
 * on a connector gate; handle[0]: the caller's process with INSTALL; handle[1]: its doorbell vmo
 * (one page, struct io_doorbell) -> handle[0]: session gate, handle[1]: arena vmo; w0 arena size
 */
#define IO_SESSION_OPEN     64u
/*
 * on a session gate: w0 family, w1 type, w2 protocol -> handle[0]: socket; w0: slot. w3 1, of a
 * stream: in: an address, to which it is connected -> w1: what IO_CONNECT would have answered
 */
#define IO_SOCKET           65u
#define IO_BIND             66u /* in: address */
/*
 * w0 backlog. The slot becomes an accept queue; w1 1: connections wait for IO_ACCEPT at once, as after
 * IO_SHARE, since other processes have had the socket
 */
#define IO_LISTEN           67u
#define IO_CONNECT          68u /* in: address -> 0 done (datagram), -EINPROGRESS: watch the slot */
#define IO_SHUTDOWN         69u /* w0 SHUT_RD|SHUT_WR|SHUT_RDWR. Pending tx bytes go out before the FIN */
#define IO_GETNAME          70u /* w0 0: own, 1: peer -> out: address; status: its length */
#define IO_SETSOCKOPT       71u /* w0 level, w1 name; in: value */
#define IO_GETSOCKOPT       72u /* w0 level, w1 name -> out: value; status: length */
/*
 * on a socket; handle[0]: a session gate; w0 IO_ATTACH_HOME or 0 -> w0: slot in that session, w1:
 * IO_ATTACHED_*. For sockets that came by fork, exec or a message. A socket's bytes flow through
 * one slot, its home; the others are away: IO_STATE_AWAY, and `flags` has the POLL* bits that hold.
 * IO_ATTACH_HOME makes this one the home: unread bytes come along. EOPNOTSUPP: a listener that was
 * not shared.
 */
#define IO_ATTACH           73u
#define IO_ATTACH_HOME      1u
#define IO_ATTACHED_HOME    1u
/* the tx side goes on as it was; else all indices of a slot that became home are 0 */
#define IO_ATTACHED_TX      2u
/*
 * on a socket; handle[0]: file object (fs engine, resolved inside sysio); w0 offset, w1 length ->
 * status: bytes queued (0 < n <= length) or -EAGAIN
 */
#define IO_SENDFILE         74u
/*
 * on a connector: w0 0: interfaces (struct io_ifaddr[]), 1: resolv.conf text, 2: sockets (struct
 * io_sockinfo[]), 3: counters text, IO_NETINFO_*: a text of /proc/net
 */
#define IO_NETINFO          75u
#define IO_NETINFO_DEV      4u
#define IO_NETINFO_ROUTE    5u
#define IO_NETINFO_SNMP     6u
#define IO_NETINFO_ARP      7u
#define IO_NETINFO_IF_INET6 8u
#define IO_NETINFO_LAST     8u

/*
 * on a listener; handle[0]: a session gate -> handle[0]: the oldest connection that waits, in that
 * session; out: struct io_accept (without handle); -EAGAIN: none. For listeners that were shared
 */
#define IO_ACCEPT 76u
/*
 * on a listener; w0 rx_tail: from now on connections wait in the engine, for anybody's IO_ACCEPT;
 * those whose records from rx_tail on were not taken are among them (the client closes the handles
 * of these records). The slot is away. Before a listener goes to another process
 */
#define IO_SHARE  77u

/* ---- calls: terminals and the motor-run channel (tty engine) ---- */

/*
 * On the tty connector (motor_start.tty): w0 IO_TTY_* -> handle[0]. Terminals and channel objects
 * answer IO_READ, IO_WRITE, IO_STAT (empty path), IO_CONTROL, IO_POLL. IO_TTY_TRACE and
 * IO_TTY_MISSING take IO_WRITE only: whole text lines; they become TRACE and MISSING frames, or
 * lines of the serial console. For IO_TTY_MISSING each line is "name count"; the runtime writes
 * them when the program ends.
 */
#define IO_TTY_OPEN    80u
#define IO_TTY_CONSOLE 0u /* the serial console */
#define IO_TTY_STDIN   1u /* motor-run's streams; without a channel: the console */
#define IO_TTY_STDOUT  2u
#define IO_TTY_STDERR  3u
#define IO_TTY_TRACE   4u
#define IO_TTY_MISSING 5u
/* On the tty connector: w0 O_DIRECT or 0 -> handle[0]: reader, handle[1]: writer of a new pipe */
#define IO_PIPE        81u
/*
 * On the tty connector, for root only (-EPERM): ends the machine when all output has reached the
 * devices. w0 IO_POWER_*. No answer on success. Under motor-run the program has then ended with
 * status 0. Files are not synchronized first: that is the caller's part, as in reboot(2)
 */
#define IO_POWER       82u
#define IO_POWER_OFF   0u
#define IO_POWER_RESET 1u
/*
 * A status -IO_EBACKGROUND of IO_READ, IO_WRITE and IO_CONTROL on a terminal: the caller's process
 * group is in the background. The runtime stops it by SIGTTIN or SIGTTOU, or, when that is ignored
 * or blocked, repeats the call with w2 1 (but for reads, which then fail with EIO).
 */
#define IO_EBACKGROUND 4001

/*
 * Tracing of a running process: whoever may inspect it opens /proc/PID/trace and reads lines from
 * it. sysio puts the other end into the process and sends this signal, which is the runtime's and
 * not the program's: data[0] is IO_TRACE_SENDER << 32 | the handle, to which IO_WRITE takes whole
 * lines until it answers -EPIPE. The kernel signs what others send with their user, and no user has
 * this number.
 */
#define IO_TRACE_SIGNAL 64
#define IO_TRACE_CODE   (-1000)
#define IO_TRACE_SENDER 0xffffffffull

/* ---- calls: pipes, FIFOs and UNIX sockets (tty engine) ---- */

/*
 * What meets by a name of the file system meets at a *rendezvous*: a gate of the tty engine that
 * the fs engine gives out for a FIFO (IO_OPEN, w0: MOTOR_FD_FIFO, handle[0]: the rendezvous,
 * handle[1]: the file itself, as with O_PATH) or a socket (IO_RENDEZVOUS), to those who may use it.
 */

/*
 * fs engine: path; w0 1: make a socket of mode w1 there (-EADDRINUSE), 0: the one that is there,
 * for who may write it -> handle[0]: rendezvous; handle[1], when made: the file
 */
#define IO_RENDEZVOUS     31u
/*
 * on a FIFO's rendezvous: w0 O_* flags, handle[0]: the file -> handle[0]: an end, as of a pipe.
 * Waits for the other end, as open(2)
 */
#define IO_FIFO_OPEN      90u
/* on a pipe or socket -> handle[0]: the file that it has in the file system; -ENOENT: none */
#define IO_NAMED_FILE     91u
/* on a pipe: w0 its new capacity, 0: look -> status: the capacity */
#define IO_PIPE_SIZE      92u
/*
 * on a reader; handle[0]: a writer of another pipe; w0 bytes, w1 O_NONBLOCK, w2 1: they stay here,
 * too (tee) -> status: bytes moved
 */
#define IO_PIPE_SPLICE    93u
/*
 * on the tty connector: w0 SOCK_* type; w1 IO_SOCKET_PAIR: a connected pair, IO_SOCKET_SELF: of
 * datagrams, that sends to itself -> handle[0] (and handle[1])
 */
#define IO_LOCAL_SOCKET   94u
#define IO_SOCKET_PAIR    1u
#define IO_SOCKET_SELF    2u
/*
 * On a UNIX socket. Names are what follows sun_family in a sockaddr_un; a path has no NUL at its
 * end.
 *   IO_BIND        in: name (none: any abstract one); of a path: handle[0]: its rendezvous, new,
 *                  handle[1]: the file
 *   IO_LISTEN      w0 backlog
 *   IO_CONNECT     in: abstract name, or handle[0]: rendezvous; w0 O_NONBLOCK; w1 1: disconnect
 *   IO_SHUTDOWN, IO_GETNAME (out: name), IO_SETSOCKOPT, IO_GETSOCKOPT
 *   IO_SOCKET_ACCEPT  w0 O_NONBLOCK -> handle[0]: socket; out: name of the peer; w0: its length
 *   IO_SEND        w0 MSG_* flags; in: abstract name of w1 bytes (to whom; 0: the peer), then data;
 *                  handle[0]: parcel or rendezvous, handle[1]: rendezvous -> status: bytes
 *   IO_RECEIVE     w0 MSG_* flags; w1 1: out begins with a struct io_sender, 2: descriptors are
 *                  wanted -> out: data; status: bytes; w0: MSG_* flags; w1: the message's whole
 *                  length; w2, w3: pid, and uid | gid << 32 of the sender; w4: descriptors that
 *                  came along, if wanted in handle[0], a parcel; w5: 1 if SO_PASSCRED is set
 */
#define IO_SOCKET_ACCEPT  95u
#define IO_SEND           96u
#define IO_RECEIVE        97u
/*
 * A parcel carries descriptors. IO_PARCEL on the tty connector -> handle[0]: an empty one. On it:
 *   IO_PARCEL_PUT   in: struct motor_start_fd[n], n <= 4; handle[i]: of record i
 *   IO_PARCEL_TAKE  w0 from which on -> out: struct motor_start_fd[n], handle[i]; status: n, 0: no
 *                   more. Once it was received
 *   IO_PARCEL_SIGN  w0 pid, w1 uid | gid << 32: the sender of what it goes with (SCM_CREDENTIALS)
 */
#define IO_PARCEL         98u
#define IO_PARCEL_PUT     99u
#define IO_PARCEL_TAKE    100u
#define IO_PARCEL_SIGN    101u
/*
 * On a pipe or socket: who gets SIGIO (F_SETOWN; w0: pid, or negated group), w1: which signal
 * instead (0: SIGIO), w2 1: on
 */
#define IO_ASYNC          102u
/*
 * The state of an eventfd, timerfd or signalfd that several processes have. IO_EVENT on the tty
 * connector: w0 IO_EVENT_*, w1: COUNTER: 1: a semaphore; SIGNALS: the mask -> handle[0]. On it:
 * IO_READ and IO_WRITE, as the file's, and
 *   IO_EVENT_GET   -> TIMER: w0 when it expires (monotonic ns; MOTOR_NEVER: it does not), w1 its
 *                  interval, w2 expirations not read yet; COUNTER: w0 value; SIGNALS: w0 mask
 *   IO_EVENT_SET   TIMER and SIGNALS: the same words in -> as they were before
 */
#define IO_EVENT          103u
#define IO_EVENT_GET      104u
#define IO_EVENT_SET      105u
/*
 * An inotify instance. On the tty connector -> handle[0]: it. On it IO_READ, as inotify(7) says, or
 * -EINVAL when the buffer is too small. On the fs engine: path (on a directory), w0 IN_*;
 * handle[0]: the instance -> status: the watch's number. On any of its gates: w0 that number,
 * handle[0]
 */
#define IO_INOTIFY        107u
#define IO_INOTIFY_ADD    62u
#define IO_INOTIFY_REMOVE 63u
/*
 * A pidfd. On the tty connector: w0 a pid -> handle[0]: what is ready to be read (POLLIN) when that
 * process has ended. On it IO_PIDFD_PID -> w0: the pid, or -ESRCH: its parent has waited for it
 */
#define IO_PIDFD          114u
#define IO_PIDFD_PID      115u
#define IO_EVENT_COUNTER  0u
#define IO_EVENT_TIMER    1u
#define IO_EVENT_SIGNALS  2u
#define IO_EVENT_INOTIFY  3u /* in records of descriptors: an IO_INOTIFY */
#define IO_EVENT_MQUEUE   4u /* and one of IO_MQ_OPEN */
#define IO_EVENT_PIDFD    5u
/*
 * POSIX message queues, on the tty connector. IO_MQ_OPEN: in: the name, without its slash; w0 O_*
 * flags, w1 mode & ~umask, w4 1: w2 and w3 are mq_maxmsg and mq_msgsize of a new one, w5 the
 * caller's RLIMIT_MSGQUEUE -> handle[0]: it. IO_MQ_UNLINK: in: the name. On it:
 *   IO_MQ_SEND     w0 priority, w1 O_NONBLOCK, or IO_MQ_TIMED: the call has a deadline; in: the
 *                  message. Waits for room
 *   IO_MQ_RECEIVE  w0 as w1 there -> out: the oldest message of the highest priority; status: its
 *                  size | that priority << IO_MQ_PRIORITY. Waits for one
 *   IO_MQ_NOTIFY   w0 SIGEV_*, w1 signal, w2 value; of SIGEV_THREAD: handle[0]: a datagram socket,
 *                  in: IO_MQ_COOKIE bytes that go there, the last one 1: a message has come, 2: it
 *                  was taken back -> handle[0], with which the request goes. w0 IO_MQ_NOTIFY_NOT:
 *                  the caller's is taken back
 *   IO_MQ_LOOK     -> w0 mq_maxmsg, w1 mq_msgsize, w2 messages, w3 bytes in it, w4 the pid of who
 *                  is to be notified (0: nobody), w5 SIGEV_* | signal << 32
 */
#define IO_MQ_OPEN        108u
#define IO_MQ_UNLINK      109u
#define IO_MQ_SEND        110u
#define IO_MQ_RECEIVE     111u
#define IO_MQ_NOTIFY      112u
#define IO_MQ_LOOK        113u
#define IO_MQ_PRIORITY    32u
#define IO_MQ_COOKIE      32u
#define IO_MQ_TIMED       1u
#define IO_MQ_NOTIFY_NOT  (~0ull)
#define IO_MQ_TEXT        80u /* st_size */
/*
 * Loans: bytes without calls (docs/decisions/0023-bytes-without-a-call.md). On the reader or writer
 * of a pipe, or a connected stream socket (of TCP: with both ends on this machine). w0 0;
 * handle[0]: the caller's process, with INSTALL,
 * which pays for the memory -> handle[0]: an object that begins with a struct io_loan; w0: which
 * side the caller is, w1: bytes of each ring, w2: how many may be in use of the one that he writes,
 * w3: 1 when more room may be had there by calls, w4: how many of the one that he reads. (A pipe
 * has one ring: w2 and w4 are the same.) -EAGAIN: not now. Then w0 1: the caller has mapped it, and
 * seen to it that his death will show. It begins when both sides have said so, and goes on until
 * somebody else uses the same end, or anybody does by a call what a ring cannot do. Of TCP, w0 2:
 * it is over, if it was not; w1: bytes that the caller is about to send.
 */
#define IO_LOAN           106u
/*
 * A status -IO_ELENT of a transfer that waited: nothing was done, and the bytes have gone to the
 * rings that the ends have on loan.
 */
#define IO_ELENT          4003
#define IO_PARCEL_MAX     253u
#define IO_NAME_MAX       108u

/*
 * What two processes have on loan, or one that has both ends. A pipe has ring 0, written by side 1
 * and read by side 0; a pair of sockets two: side s writes ring s and reads the other. The bytes of
 * ring r are at IO_LOAN_BYTES + r * size.
 *
 * An index is moved by compare-and-exchange, by the side that owns it, after the bytes have been
 * copied; IO_LOAN_GONE in it means that it never moves again: set by its owner when he closes his
 * end, by the kernel when he dies (MOTOR_PSET_ROBUST_WORDS), and by the engine in both when it
 * takes the ring back. Whoever meets it makes calls from then on. The bytes in use are (head -
 * tail) modulo 2^31; more than `size` mean that somebody has scribbled.
 *
 * Who sleeps does so on the other one's index, after a wish. Who waits for more than this ring
 * (poll, epoll) has armed IO_POLL_LENT and leaves a wish of the other kind: whoever clears that
 * notifies the engine (motor_notify on his own end), which sets the bit in the session of the one
 * who waits.
 */
struct io_loan_ring {
    uint32_t head;         /* [writer] */
    uint32_t read_wanted;  /* 1: the reader sleeps on head. Whoever clears it wakes him */
    uint32_t read_watched; /* 1: the reader polls. Whoever clears it notifies the engine */
    uint32_t pieces;       /* [writer] transfers that there have been: for those who count */
    uint32_t pad0[12];
    uint32_t tail;          /* [reader] */
    uint32_t write_wanted;  /* a writer sleeps on tail until so many bytes are free; 0: none */
    uint32_t write_watched; /* a writer polls until so many are; 0: none */
    uint32_t pad1[13];
};
struct io_loan {
    uint32_t active; /* [engine] 0: the other side has not come yet: make calls */
    uint32_t pad[31];
    struct io_loan_ring ring[2];
};
_Static_assert(sizeof(struct io_loan) == 384, "protocol");
#define IO_LOAN_GONE  MOTOR_ROBUST_GONE
#define IO_LOAN_BYTES 4096u

/* Bytes between two indices without IO_LOAN_GONE. */
static inline uint32_t io_loan_used(uint32_t head, uint32_t tail)
{
    return (head - tail) & ~IO_LOAN_GONE;
}

struct io_sender {   /* 112 bytes */
    uint32_t length; /* 0: it has no name */
    uint8_t name[IO_NAME_MAX];
};
_Static_assert(sizeof(struct io_sender) == 112, "protocol");

struct io_ifaddr {
    char name[16];
    uint32_t index, flags;                /* Linux IFF_* */
    uint32_t address, netmask, broadcast; /* IPv4, network order */
    uint32_t mtu;
    uint8_t mac[8];
};

struct io_sockinfo {
    uint32_t family, type, protocol, state; /* state: Linux TCP_ESTABLISHED... numbers */
    uint8_t own_address[16], peer_address[16];
    uint16_t own_port, peer_port; /* network order */
    uint32_t rx_queue, tx_queue;
    uint32_t uid, pid;
};

/* ---- sessions and streams ---- */

/*
 * Doorbell: one page of the client's, shared with every engine it has a session with. `word` is a
 * count in steps of IO_DOORBELL_STEP, and IO_DOORBELL_WAITING, the client's wish to be woken. A
 * client thread that found nothing to do takes the word from before its look, sets WAITING in it by
 * compare-and-exchange, or looks again, and sleeps on it (MOTOR_FUTEX_SHARED). An engine that
 * changed something steps the count and clears WAITING in one exchange, and wakes the futex if
 * WAITING was set. Engines wake in batches, at the end of a turn.
 *
 * Count and wish are one word because a wish holds for one count only: were it cleared apart from
 * the step, an engine that has stepped could take the wish of a client that has seen this step and
 * is about to sleep, and nobody would wake it after the next.
 */
#define IO_DOORBELL_WAITING 1u
#define IO_DOORBELL_STEP    2u
struct io_doorbell {
    uint32_t word;
};

/* An engine's part; true: wake the futex. */
static inline int io_doorbell_ring(struct io_doorbell *bell)
{
    uint32_t word = __atomic_load_n(&bell->word, __ATOMIC_RELAXED);
    for (int i = 0; i < 16; i++)
        if (__atomic_compare_exchange_n(&bell->word, &word,
                                        (word & ~IO_DOORBELL_WAITING) + IO_DOORBELL_STEP, 0,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            return word & IO_DOORBELL_WAITING;
    /* a client that means harm never lets it be */
    __atomic_fetch_add(&bell->word, IO_DOORBELL_STEP, __ATOMIC_SEQ_CST);
    return 1;
}

/*
 * Arena: header page(s), slots, then two regions of ring memory: the engine's (rx rings, placed by
 * the engine) and the client's (tx rings, placed by the client). The object is sparse: only touched
 * pages exist.
 */
#define IO_SLOTS              65536u
/* offset of to_client, then to_engine: struct io_bitmap in 3 pages each */
#define IO_ARENA_BITMAPS      4096u
#define IO_ARENA_TO_CLIENT    IO_ARENA_BITMAPS
#define IO_ARENA_TO_ENGINE    (IO_ARENA_BITMAPS + 3u * 4096u)
#define IO_ARENA_SLOTS        (64u * 1024u) /* offset of struct io_slot[IO_SLOTS] */
#define IO_ARENA_ENGINE_RINGS (16ull << 20) /* offset; length: */
#define IO_ARENA_RINGS_SIZE   (8ull << 30)
#define IO_ARENA_CLIENT_RINGS (IO_ARENA_ENGINE_RINGS + IO_ARENA_RINGS_SIZE)
#define IO_ARENA_SIZE         (IO_ARENA_CLIENT_RINGS + IO_ARENA_RINGS_SIZE)

/*
 * A bitmap of slots with a summary: set the bit, then its word's bit in summary; take by exchanging
 * summary words and bit words for 0.
 */
struct io_bitmap {
    uint64_t summary[IO_SLOTS / 64 / 64]; /* 16 words */
    uint64_t pad[48];                     /* to 512 bytes */
    uint64_t bits[IO_SLOTS / 64];
};

/*
 * Session header, page 0. engine_asleep: set by the engine before it sleeps, if it leaves this
 * session unwatched; a client that set bits in to_engine exchanges it for 0, and if it was 1 calls
 * motor_notify(session gate). (Set the bit first, then exchange: full barriers on both sides.)
 */
struct io_session {
    uint32_t magic, version;
    uint32_t engine_asleep; /* [both] */
    uint32_t slots_used;    /* [engine] slots ever used: bound for scans */
    uint32_t engine_idle; /* [engine] awake, but with nothing to do: nothing will come of it soon */
    uint32_t pad[11];
};
#define IO_SESSION_MAGIC 0x53534553u

/*
 * A byte ring: [tail, head) are the bytes in it; both run freely (mod 2^32). `place` says where the
 * ring is: it changes only when the ring is empty, by the producer, who writes it before the head
 * that first uses it. Byte i is at offset + ((i - base) & (size - 1))    with offset = page * 4096,
 * size = 1 << order Packed so that it is read in one load: page:24 | order:8 | base:32.  place 0:
 * no ring yet. A reader checks that the ring lies in the producer's region of the arena and that
 * order is 12..IO_RING_ORDER_MAX, else the stream is broken (engine: reset it; client: EIO).
 */
#define IO_RING_ORDER_MIN 12u
/*
 * Barriers. Producer: bytes, place, then head with release. Consumer: head with acquire, then
 * place. Whoever sets a wish (the engine's WANT_SPACE, the client's IO_CLIENT_WANT_SPACE,
 * `sleepers`, `waiting`) executes a full barrier and looks again before it relies on being told;
 * whoever moves an index executes a full barrier before it looks at the other side's wish.
 *
 * Closing (the last handle goes). Bytes in tx still go out, so a tx ring that is not drained
 * (tx_tail != tx_head) stays the engine's until the slot's kind is IO_SLOT_FREE, which the engine
 * tells with the slot's to_client bit; only then may the client reuse that ring. A drained one may
 * be reused at once. The slot itself is given out again (generation + 1) only by the engine.
 */
#define IO_RING_ORDER_MAX 22u
static inline uint64_t io_place(uint64_t page, uint32_t order, uint32_t base)
{
    return page << 40 | (uint64_t)order << 32 | base;
}

/* Slot kinds */
#define IO_SLOT_FREE     0u
#define IO_SLOT_STREAM   1u /* bytes (TCP) */
#define IO_SLOT_DATAGRAM 2u /* records: struct io_datagram + data, padded to 16 */
#define IO_SLOT_ACCEPT   3u /* rx: records of struct io_accept */

/* state bits, by the engine */
#define IO_STATE_CONNECTED  (1u << 0)
#define IO_STATE_RX_EOF     (1u << 1) /* after the bytes in rx: end of file */
#define IO_STATE_TX_CLOSED  (1u << 2) /* write gives EPIPE (or `error` first) */
#define IO_STATE_ERROR      (1u << 3) /* `error` holds an errno; taken by exchanging it for 0 */
#define IO_STATE_CONNECTING (1u << 4)
/* the engine holds data or a small window back: set the to_engine bit after taking bytes from rx */
#define IO_STATE_WANT_SPACE (1u << 5)
/*
 * bytes flow through another process's slot: see IO_ATTACH. Set after rx_tail and tx_head were
 * exchanged for values outside of every ring: clients advance both by compare-and-exchange, so one
 * that loses has consumed and sent nothing
 */
#define IO_STATE_AWAY       (1u << 6)
#define IO_STATE_TX_WAIT    (1u << 7) /* bytes of the home before are on their way: no sending yet */
/*
 * bytes go through a ring on loan (IO_LOAN), both ways. Set after tx_head was exchanged for a value
 * outside of the ring, and cleared before it is as it was: so nothing can be sent here meanwhile
 */
#define IO_STATE_LENT       (1u << 8)

/* flags, by the client */
/* tx was full: set the to_client bit when at least a third of tx_limit is free */
#define IO_CLIENT_WANT_SPACE (1u << 0)
/*
 * TCP_CORK; after clearing it, set the to_engine bit. This and the next are also the engine's to
 * set, when the option is set by a call: change the word atomically
 */
#define IO_CLIENT_CORK       (1u << 1)
#define IO_CLIENT_NODELAY    (1u << 2) /* TCP_NODELAY */
/*
 * shutdown(SHUT_WR): nothing follows tx_head; after setting it, set the to_engine bit. Only at
 * home, connected, without IO_STATE_TX_WAIT; the engine's answer is IO_STATE_TX_CLOSED
 */
#define IO_CLIENT_SHUT       (1u << 3)
/*
 * Of datagrams: the options that ask for what goes beside each (struct io_datagram has it all).
 * Set and cleared by the engine only, when the option is.
 */
#define IO_CLIENT_TIME       (1u << 4) /* SO_TIMESTAMP */
#define IO_CLIENT_TIME_NS    (1u << 5) /* SO_TIMESTAMPNS */
#define IO_CLIENT_PKTINFO    (1u << 6) /* IP_* */
#define IO_CLIENT_TTL        (1u << 7)
#define IO_CLIENT_TOS        (1u << 8)
#define IO_CLIENT_PKTINFO6   (1u << 9) /* IPV6_RECV* */
#define IO_CLIENT_HOPLIMIT   (1u << 10)
#define IO_CLIENT_TCLASS     (1u << 11)
/* what stays with the socket when it moves to another slot */
#define IO_CLIENT_OPTIONS    (0xff0u | IO_CLIENT_CORK | IO_CLIENT_NODELAY)

struct io_slot { /* 128 bytes: a cache line for each writer */
    /* written by the engine */
    uint32_t rx_head;
    uint32_t tx_tail;
    uint64_t rx_place;
    /*
     * +1 with every change that a sleeper may wait for; futex word (MOTOR_FUTEX_SHARED). The client
     * may add to it as well (atomically), to turn its own threads back from sleeping
     */
    uint32_t seq;
    uint32_t state;
    uint32_t error;
    uint16_t kind;
    uint16_t flags;
    uint32_t tx_limit; /* bytes that may be in tx (SO_SNDBUF); datagrams: also the largest record */
    uint32_t rx_limit;
    uint32_t generation; /* +1 when the slot is used anew */
    uint32_t engine_pad[5];
    /* written by the client */
    uint32_t rx_tail;
    uint32_t tx_head;
    uint64_t tx_place;
    uint32_t sleepers;     /* threads sleeping on seq: the engine wakes it when not 0 */
    uint32_t client_flags; /* IO_CLIENT_* */
    uint32_t client_pad[10];
};
_Static_assert(sizeof(struct io_slot) == 128, "protocol");

/*
 * 64 bytes before each datagram in a ring. From the engine: from whom it came, and all of what
 * follows. To it: to whom it goes, and of what follows what `flags` names.
 */
struct io_datagram {
    uint32_t length; /* of the data; the record takes 64 + length rounded up to 16 */
    uint16_t family; /* AF_INET, AF_INET6; 0 on tx: the connected peer */
    uint16_t port;   /* network order, as are the addresses */
    uint8_t address[16];
    uint8_t own[16];  /* this machine's address, of the same family */
    uint32_t ifindex; /* the interface that it came by, or is to go out by */
    uint16_t flags;   /* tx: IO_DATAGRAM_* */
    uint8_t ttl, tos; /* hop limit and traffic class */
    uint64_t time;    /* rx: CLOCK_REALTIME of its arrival, ns */
    uint64_t reserved;
};
_Static_assert(sizeof(struct io_datagram) == 64, "protocol");
#define IO_DATAGRAM_OWN       (1u << 0) /* send from `own` */
#define IO_DATAGRAM_INTERFACE (1u << 1)
#define IO_DATAGRAM_TTL       (1u << 2)
#define IO_DATAGRAM_TOS       (1u << 3)
#define IO_DATAGRAM_NEAR      (1u << 4) /* MSG_DONTROUTE */

struct io_accept {         /* 64 bytes */
    uint32_t slot;         /* of the new stream, in the same arena */
    motor_handle handle;   /* already installed in the client */
    uint16_t family, port; /* peer; network order */
    uint8_t address[16];
    uint16_t own_port, reserved;
    uint8_t own_address[16];
    uint32_t pad[4];
};
_Static_assert(sizeof(struct io_accept) == 64, "protocol");

#endif
