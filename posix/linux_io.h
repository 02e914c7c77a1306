/* SPDX-License-Identifier: MIT */
/* Linux x86-64 numbers and structures of the I/O calls. See linux.h. */
#ifndef PX_LINUX_IO_H
#define PX_LINUX_IO_H

#include <stdint.h>

/* open, fcntl */
#define O_ACCMODE     3u
#define O_RDONLY      0u
#define O_WRONLY      1u
#define O_RDWR        2u
#define O_CREAT       0100u
#define O_EXCL        0200u
#define O_NOCTTY      0400u
#define O_TRUNC       01000u
#define O_APPEND      02000u
#define O_NONBLOCK    04000u
#define O_DSYNC       010000u
#define O_ASYNC       020000u
#define O_DIRECT      040000u
#define O_LARGEFILE   0100000u
#define O_DIRECTORY   0200000u
#define O_NOFOLLOW    0400000u
#define O_NOATIME     01000000u
#define O_CLOEXEC     02000000u
#define O_SYNC        04010000u
#define O_PATH        010000000u
#define O_TMPFILE_BIT 020000000u

#define F_DUPFD         0
#define F_GETFD         1
#define F_SETFD         2
#define F_GETFL         3
#define F_SETFL         4
#define F_GETLK         5
#define F_SETLK         6
#define F_SETLKW        7
#define F_SETOWN        8
#define F_GETOWN        9
#define F_SETSIG        10
#define F_GETSIG        11
#define F_SETOWN_EX     15
#define F_GETOWN_EX     16
#define F_OFD_GETLK     36
#define F_OFD_SETLK     37
#define F_OFD_SETLKW    38
#define F_SETLEASE      1024
#define F_GETLEASE      1025
#define F_DUPFD_CLOEXEC 1030
#define F_SETPIPE_SZ    1031
#define F_GETPIPE_SZ    1032
#define F_ADD_SEALS     1033
#define F_GET_SEALS     1034
#define FD_CLOEXEC      1u
#define F_RDLCK         0
#define F_WRLCK         1
#define F_UNLCK         2
#define LOCK_SH         1
#define LOCK_EX         2
#define LOCK_NB         4
#define LOCK_UN         8
struct linux_flock {
    int16_t type, whence;
    int32_t pad;
    int64_t start, length;
    int32_t pid, pad2;
};

#define AT_FDCWD            (-100)
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_EACCESS          0x200
#define AT_REMOVEDIR        0x200
#define AT_SYMLINK_FOLLOW   0x400
#define AT_NO_AUTOMOUNT     0x800
#define AT_EMPTY_PATH       0x1000
#define AT_STATX_SYNC_TYPE  0x6000

#define R_OK 4
#define W_OK 2
#define X_OK 1

#define SEEK_SET  0
#define SEEK_CUR  1
#define SEEK_END  2
#define SEEK_DATA 3
#define SEEK_HOLE 4

#define S_IFMT   0170000u
#define S_IFSOCK 0140000u
#define S_IFLNK  0120000u
#define S_IFREG  0100000u
#define S_IFBLK  0060000u
#define S_IFDIR  0040000u
#define S_IFCHR  0020000u
#define S_IFIFO  0010000u
#define DT_LNK   10
#define DT_DIR   4

#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe

#define IOV_MAX      1024
#define MAX_RW_COUNT 0x7ffff000ul
#define RWF_HIPRI    1
#define RWF_DSYNC    2
#define RWF_SYNC     4
#define RWF_NOWAIT   8
#define RWF_APPEND   16

struct linux_stat {
    uint64_t dev, ino, nlink;
    uint32_t mode, uid, gid, pad;
    uint64_t rdev;
    int64_t size, blksize, blocks;
    int64_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
    int64_t reserved[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "Linux ABI");

struct linux_statx_time {
    int64_t sec;
    uint32_t nsec;
    int32_t reserved;
};
struct linux_statx {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, pad1;
    uint64_t ino, size, blocks, attributes_mask;
    struct linux_statx_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mnt_id;
    uint64_t spare[13];
};
_Static_assert(sizeof(struct linux_statx) == 256, "Linux ABI");

struct linux_statfs {
    uint64_t type, bsize, blocks, bfree, bavail, files, ffree;
    uint32_t fsid[2];
    uint64_t namelen, frsize, flags, spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "Linux ABI");

struct linux_dirent64 {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
} __attribute__((packed));

struct linux_timeval {
    int64_t sec, usec;
};

struct linux_pollfd {
    int32_t fd;
    int16_t events, revents;
};
#define POLLIN     1u
#define POLLPRI    2u
#define POLLOUT    4u
#define POLLERR    8u
#define POLLHUP    0x10u
#define POLLNVAL   0x20u
#define POLLRDNORM 0x40u
#define POLLRDBAND 0x80u
#define POLLWRNORM 0x100u
#define POLLWRBAND 0x200u
#define POLLRDHUP  0x2000u

struct linux_epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));
#define EPOLL_CTL_ADD  1
#define EPOLL_CTL_DEL  2
#define EPOLL_CTL_MOD  3
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP    (1u << 29)
#define EPOLLONESHOT   (1u << 30)
#define EPOLLET        (1u << 31)

#define EFD_SEMAPHORE           1
#define TFD_TIMER_ABSTIME       1
#define TFD_TIMER_CANCEL_ON_SET 2
struct linux_itimerspec {
    int64_t interval_sec, interval_nsec, value_sec, value_nsec;
};

/* ioctl */
#define TCGETS         0x5401u
#define FIONREAD       0x541bu
#define TIOCOUTQ       0x5411u
#define TIOCSIG        0x40045436u
#define FIONBIO        0x5421u
#define FIONCLEX       0x5450u
#define FIOCLEX        0x5451u
#define FIOASYNC       0x5452u
#define FIGETBSZ       2u
#define SIOCGIFNAME    0x8910u
#define SIOCGIFCONF    0x8912u
#define SIOCGIFFLAGS   0x8913u
#define SIOCGIFADDR    0x8915u
#define SIOCGIFBRDADDR 0x8919u
#define SIOCGIFNETMASK 0x891bu
#define SIOCGIFMETRIC  0x891du
#define SIOCGIFMTU     0x8921u
#define SIOCGIFHWADDR  0x8927u
#define SIOCGIFINDEX   0x8933u
#define SIOCGIFTXQLEN  0x8942u
#define SIOCATMARK     0x8905u
#define FIOSETOWN      0x8901u
#define SIOCSPGRP      0x8902u
#define FIOGETOWN      0x8903u
#define SIOCGPGRP      0x8904u

/* sockets */
#define AF_UNSPEC        0
#define AF_UNIX          1
#define AF_INET          2
#define AF_INET6         10
#define AF_NETLINK       16
#define SOCK_STREAM      1
#define SOCK_DGRAM       2
#define SOCK_RAW         3
#define SOCK_TYPE_MASK   0xf
#define SOCK_CLOEXEC     O_CLOEXEC
#define SOCK_NONBLOCK    O_NONBLOCK
#define SHUT_RD          0
#define SHUT_WR          1
#define SHUT_RDWR        2
#define SOL_SOCKET       1
#define SO_TYPE          3
#define SO_ERROR         4
#define SO_PASSCRED      16
#define SO_RCVLOWAT      18
#define SO_RCVTIMEO      20
#define SO_SNDTIMEO      21
#define SO_ACCEPTCONN    30
#define SO_PROTOCOL      38
#define SO_DOMAIN        39
#define SO_RCVTIMEO_NEW  66
#define SO_SNDTIMEO_NEW  67
#define SOL_IP           0
#define SOL_TCP          6
#define IPPROTO_IP       0
#define IPPROTO_TCP      6
#define IPPROTO_IPV6     41
#define TCP_NODELAY      1
#define TCP_CORK         3
#define MSG_OOB          1u
#define MSG_PEEK         2u
#define MSG_DONTROUTE    4u
#define MSG_CTRUNC       8u
#define MSG_TRUNC        0x20u
#define MSG_DONTWAIT     0x40u
#define MSG_EOR          0x80u
#define MSG_WAITALL      0x100u
#define MSG_ERRQUEUE     0x2000u
#define MSG_NOSIGNAL     0x4000u
#define MSG_MORE         0x8000u
#define MSG_WAITFORONE   0x10000u
#define MSG_CMSG_CLOEXEC 0x40000000u

struct linux_msghdr {
    void *name;
    uint32_t namelen, pad;
    void *iov;
    uint64_t iovlen;
    void *control;
    uint64_t controllen;
    uint32_t flags, pad2;
};
struct linux_mmsghdr {
    struct linux_msghdr header;
    uint32_t length, pad;
};
_Static_assert(sizeof(struct linux_msghdr) == 56 && sizeof(struct linux_mmsghdr) == 64,
               "Linux ABI");

#endif
