/* SPDX-License-Identifier: MIT */
/*
 * --trace: each call as strace shows it, one line when it is over:
 *     [pid tid] name(arguments) = result ERRNO
 * With a trace handle every entry of px_dispatch leads here, and here the real handler is called.
 * Arguments are shown by their kind in calls.def; what a call fills is shown after it, when it
 * succeeded. Everything is read guarded.
 */
#include "internal.h"

enum kind {
    K_none,
#define KIND(name) K_##name,
#include "kinds.def"
#undef KIND
};

/* Per call: the kinds of its arguments. */
static const unsigned char kinds[][8] = {
#define KINDS_0()
#define KINDS_1(a, A)                  K_##A,
#define KINDS_2(a, A, ...)             K_##A, KINDS_1(__VA_ARGS__)
#define KINDS_3(a, A, ...)             K_##A, KINDS_2(__VA_ARGS__)
#define KINDS_4(a, A, ...)             K_##A, KINDS_3(__VA_ARGS__)
#define KINDS_5(a, A, ...)             K_##A, KINDS_4(__VA_ARGS__)
#define KINDS_6(a, A, ...)             K_##A, KINDS_5(__VA_ARGS__)
#define CALL(number, name, count, ...) [number] = {KINDS_##count(__VA_ARGS__)},
#define NONE(number, name, error)      [number] = {K_HEX, K_HEX, K_HEX},
#define GAP(from, to)
#include "calls.def"
#undef CALL
#undef NONE
#undef GAP
};

struct line {
    char text[1024];
    size_t used;
};

#define SAY(l, ...) \
    ((l)->used += px_format((l)->text + (l)->used, sizeof((l)->text) - 32 - (l)->used, __VA_ARGS__))

/* ---- flags by name ---- */

struct flag {
    uint32_t value;
    const char name[20];
};

static const struct flag open_flags[] = {
    {04010000, "O_SYNC"},     {020200000, "O_TMPFILE"}, {0100, "O_CREAT"},
    {0200, "O_EXCL"},         {0400, "O_NOCTTY"},       {01000, "O_TRUNC"},
    {02000, "O_APPEND"},      {04000, "O_NONBLOCK"},    {010000, "O_DSYNC"},
    {020000, "O_ASYNC"},      {040000, "O_DIRECT"},     {0100000, "O_LARGEFILE"},
    {0200000, "O_DIRECTORY"}, {0400000, "O_NOFOLLOW"},  {01000000, "O_NOATIME"},
    {02000000, "O_CLOEXEC"},  {010000000, "O_PATH"},    {0, ""}};
static const struct flag at_flags[] = {{0x100, "AT_SYMLINK_NOFOLLOW"}, {0x200, "AT_REMOVEDIR"},
                                       {0x400, "AT_SYMLINK_FOLLOW"},   {0x800, "AT_NO_AUTOMOUNT"},
                                       {0x1000, "AT_EMPTY_PATH"},      {0, ""}};
static const struct flag prot_flags[] = {
    {1, "PROT_READ"}, {2, "PROT_WRITE"}, {4, "PROT_EXEC"}, {0, ""}};
static const struct flag map_flags[] = {{3, "MAP_SHARED_VALIDATE"},
                                        {1, "MAP_SHARED"},
                                        {2, "MAP_PRIVATE"},
                                        {0x10, "MAP_FIXED"},
                                        {0x20, "MAP_ANONYMOUS"},
                                        {0x100, "MAP_GROWSDOWN"},
                                        {0x2000, "MAP_LOCKED"},
                                        {0x4000, "MAP_NORESERVE"},
                                        {0x8000, "MAP_POPULATE"},
                                        {0x20000, "MAP_STACK"},
                                        {0x100000, "MAP_FIXED_NOREPLACE"},
                                        {0, ""}};
static const struct flag clone_flags[] = {{0x100, "CLONE_VM"},
                                          {0x200, "CLONE_FS"},
                                          {0x400, "CLONE_FILES"},
                                          {0x800, "CLONE_SIGHAND"},
                                          {0x4000, "CLONE_VFORK"},
                                          {0x10000, "CLONE_THREAD"},
                                          {0x40000, "CLONE_SYSVSEM"},
                                          {0x80000, "CLONE_SETTLS"},
                                          {0x100000, "CLONE_PARENT_SETTID"},
                                          {0x200000, "CLONE_CHILD_CLEARTID"},
                                          {0x400000, "CLONE_DETACHED"},
                                          {0x1000000, "CLONE_CHILD_SETTID"},
                                          {0, ""}};
static const struct flag msg_flags[] = {{1, "MSG_OOB"},
                                        {2, "MSG_PEEK"},
                                        {4, "MSG_DONTROUTE"},
                                        {0x20, "MSG_TRUNC"},
                                        {0x40, "MSG_DONTWAIT"},
                                        {0x100, "MSG_WAITALL"},
                                        {0x4000, "MSG_NOSIGNAL"},
                                        {0x8000, "MSG_MORE"},
                                        {0x40000000, "MSG_CMSG_CLOEXEC"},
                                        {0, ""}};
static const struct flag epoll_flags[] = {{1, "EPOLLIN"},
                                          {2, "EPOLLPRI"},
                                          {4, "EPOLLOUT"},
                                          {8, "EPOLLERR"},
                                          {0x10, "EPOLLHUP"},
                                          {0x2000, "EPOLLRDHUP"},
                                          {1u << 28, "EPOLLEXCLUSIVE"},
                                          {1u << 30, "EPOLLONESHOT"},
                                          {1u << 31, "EPOLLET"},
                                          {0, ""}};
static const struct flag poll_flags[] = {
    {1, "POLLIN"},     {2, "POLLPRI"},     {4, "POLLOUT"},        {8, "POLLERR"},
    {0x10, "POLLHUP"}, {0x20, "POLLNVAL"}, {0x2000, "POLLRDHUP"}, {0, ""}};
static const struct flag access_flags[] = {{4, "R_OK"}, {2, "W_OK"}, {1, "X_OK"}, {0, ""}};

static const struct flag clocks[] = {
    {0, "CLOCK_REALTIME"},   {1, "CLOCK_MONOTONIC"},     {2, "CLOCK_PROCESS_CPU"},
    {3, "CLOCK_THREAD_CPU"}, {4, "CLOCK_MONOTONIC_RAW"}, {5, "REALTIME_COARSE"},
    {6, "MONOTONIC_COARSE"}, {7, "CLOCK_BOOTTIME"},      {0, ""}};
static const struct flag families[] = {{1, "AF_UNIX"},     {2, "AF_INET"},    {10, "AF_INET6"},
                                       {16, "AF_NETLINK"}, {17, "AF_PACKET"}, {0, ""}};
static const struct flag socket_types[] = {
    {1, "SOCK_STREAM"}, {2, "SOCK_DGRAM"}, {3, "SOCK_RAW"}, {5, "SOCK_SEQPACKET"}, {0, ""}};
static const struct flag levels[] = {{1, "SOL_SOCKET"},   {0, "IPPROTO_IP"},    {6, "IPPROTO_TCP"},
                                     {17, "IPPROTO_UDP"}, {41, "IPPROTO_IPV6"}, {0, ""}};
static const struct flag limits[] = {{0, "RLIMIT_CPU"},
                                     {1, "RLIMIT_FSIZE"},
                                     {2, "RLIMIT_DATA"},
                                     {3, "RLIMIT_STACK"},
                                     {4, "RLIMIT_CORE"},
                                     {5, "RLIMIT_RSS"},
                                     {6, "RLIMIT_NPROC"},
                                     {7, "RLIMIT_NOFILE"},
                                     {8, "RLIMIT_MEMLOCK"},
                                     {9, "RLIMIT_AS"},
                                     {10, "RLIMIT_LOCKS"},
                                     {11, "RLIMIT_SIGPENDING"},
                                     {12, "RLIMIT_MSGQUEUE"},
                                     {13, "RLIMIT_NICE"},
                                     {14, "RLIMIT_RTPRIO"},
                                     {15, "RLIMIT_RTTIME"},
                                     {0, ""}};
static const struct flag fcntls[] = {{0, "F_DUPFD"},
                                     {1, "F_GETFD"},
                                     {2, "F_SETFD"},
                                     {3, "F_GETFL"},
                                     {4, "F_SETFL"},
                                     {5, "F_GETLK"},
                                     {6, "F_SETLK"},
                                     {7, "F_SETLKW"},
                                     {8, "F_SETOWN"},
                                     {9, "F_GETOWN"},
                                     {1030, "F_DUPFD_CLOEXEC"},
                                     {1031, "F_SETPIPE_SZ"},
                                     {1032, "F_GETPIPE_SZ"},
                                     {0, ""}};
static const struct flag ioctls[] = {{0x5401, "TCGETS"},     {0x5402, "TCSETS"},
                                     {0x5403, "TCSETSW"},    {0x5404, "TCSETSF"},
                                     {0x540f, "TIOCGPGRP"},  {0x5410, "TIOCSPGRP"},
                                     {0x5413, "TIOCGWINSZ"}, {0x5414, "TIOCSWINSZ"},
                                     {0x541b, "FIONREAD"},   {0x5421, "FIONBIO"},
                                     {0x5451, "FIOCLEX"},    {0x5452, "FIOASYNC"},
                                     {0x5450, "FIONCLEX"},   {0, ""}};
static const struct flag whences[] = {{0, "SEEK_SET"},  {1, "SEEK_CUR"},  {2, "SEEK_END"},
                                      {3, "SEEK_DATA"}, {4, "SEEK_HOLE"}, {0, ""}};
static const struct flag hows[] = {
    {0, "SIG_BLOCK"}, {1, "SIG_UNBLOCK"}, {2, "SIG_SETMASK"}, {0, ""}};
static const struct flag shuts[] = {{0, "SHUT_RD"}, {1, "SHUT_WR"}, {2, "SHUT_RDWR"}, {0, ""}};
static const struct flag epoll_ops[] = {
    {1, "EPOLL_CTL_ADD"}, {2, "EPOLL_CTL_DEL"}, {3, "EPOLL_CTL_MOD"}, {0, ""}};
static const struct flag futexes[] = {{0, "FUTEX_WAIT"},
                                      {1, "FUTEX_WAKE"},
                                      {3, "FUTEX_REQUEUE"},
                                      {4, "FUTEX_CMP_REQUEUE"},
                                      {5, "FUTEX_WAKE_OP"},
                                      {6, "FUTEX_LOCK_PI"},
                                      {7, "FUTEX_UNLOCK_PI"},
                                      {8, "FUTEX_TRYLOCK_PI"},
                                      {9, "FUTEX_WAIT_BITSET"},
                                      {10, "FUTEX_WAKE_BITSET"},
                                      {0, ""}};
static const struct flag advices[] = {
    {0, "MADV_NORMAL"},    {1, "MADV_RANDOM"},      {2, "MADV_SEQUENTIAL"},
    {3, "MADV_WILLNEED"},  {4, "MADV_DONTNEED"},    {8, "MADV_FREE"},
    {14, "MADV_HUGEPAGE"}, {15, "MADV_NOHUGEPAGE"}, {0, ""}};

static void say_flags(struct line *l, uint32_t value, const struct flag *f, const char *none)
{
    const char *between = "";
    for (; f->name[0]; f++) {
        if (f->value && (value & f->value) == f->value) {
            SAY(l, "%s%s", between, f->name);
            value &= ~f->value;
            between = "|";
        }
    }
    if (value || !*between) {
        if (!value) {
            SAY(l, "%s", none);
        } else {
            SAY(l, "%s0x%x", between, value);
        }
    }
}

static void say_name(struct line *l, uint32_t value, const struct flag *f)
{
    for (; f->name[0]; f++) {
        if (f->value == value) {
            SAY(l, "%s", f->name);
            return;
        }
    }
    SAY(l, "0x%x", value);
}

/* ---- values ---- */

#define BYTES_SHOWN 32u

static void say_bytes(struct line *l, const char *s, size_t n, bool more)
{
    SAY(l, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\') {
            SAY(l, "\\%c", c);
        } else if (c == '\n') {
            SAY(l, "\\n");
        } else if (c == '\r') {
            SAY(l, "\\r");
        } else if (c == '\t') {
            SAY(l, "\\t");
        } else if (c < 32 || c > 126) {
            SAY(l, "\\%o", c);
        } else {
            SAY(l, "%c", c);
        }
    }
    SAY(l, more ? "\"..." : "\"");
}

static void say_pointer(struct line *l, uint64_t value)
{
    if (value) {
        SAY(l, "0x%lx", value);
    } else {
        SAY(l, "NULL");
    }
}

static void say_buffer(struct line *l, uint64_t at, uint64_t length)
{
    char bytes[BYTES_SHOWN];
    size_t n = PX_MIN(length, (uint64_t)BYTES_SHOWN);
    if (!at || px_copy_in(bytes, (void *)at, n) < 0) {
        say_pointer(l, at);
        return;
    }
    say_bytes(l, bytes, n, length > n);
}

static void say_string(struct line *l, uint64_t at, size_t most)
{
    char text[256];
    long n = at ? px_copy_string(text, (void *)at, PX_MIN(most, sizeof(text))) : -EFAULT;
    if (n == -EFAULT) {
        say_pointer(l, at);
    } else if (n < 0) {
        say_bytes(l, text, PX_MIN(most, sizeof(text)), true);
    } else {
        say_bytes(l, text, (size_t)n, false);
    }
}

static void say_signal(struct line *l, int sig)
{
    if (sig > SIGSYS) {
        SAY(l, "SIGRT_%d", sig - SIGRTMIN);
    } else if (sig > 0) {
        SAY(l, "SIG%s", px_signal_name(sig));
    } else {
        SAY(l, "%d", sig);
    }
}

static void say_set(struct line *l, uint64_t at)
{
    uint64_t set;
    if (!at || px_copy_in(&set, (void *)at, sizeof(set)) < 0) {
        say_pointer(l, at);
        return;
    }
    bool invert = __builtin_popcountll(set) > 40;
    const char *between = "";
    SAY(l, invert ? "~[" : "[");
    for (int sig = 1; sig <= NSIG; sig++) {
        if (((set >> (sig - 1)) & 1) != invert) {
            if (sig > SIGSYS) {
                SAY(l, "%sRT_%d", between, sig - SIGRTMIN);
            } else {
                SAY(l, "%s%s", between, px_signal_name(sig));
            }
            between = " ";
        }
    }
    SAY(l, "]");
}

static void say_action(struct line *l, uint64_t at)
{
    struct px_action a;
    if (!at || px_copy_in(&a, (void *)at, sizeof(a)) < 0) {
        say_pointer(l, at);
        return;
    }
    if (a.handler > SIG_IGN) {
        SAY(l, "{handler=0x%lx, flags=0x%lx}", a.handler, a.flags);
    } else {
        SAY(l, "{%s}", a.handler ? "SIG_IGN" : "SIG_DFL");
    }
}

static void say_time(struct line *l, uint64_t at, const char *unit)
{
    struct px_timespec t;
    if (!at || px_copy_in(&t, (void *)at, sizeof(t)) < 0) {
        say_pointer(l, at);
        return;
    }
    SAY(l, "{%ld s, %ld %s}", (long)t.sec, (long)t.nsec, unit);
}

static void say_sockaddr(struct line *l, uint64_t at, uint64_t length)
{
    unsigned char a[28];
    if (!at || length < 2 || px_copy_in(a, (void *)at, PX_MIN(length, sizeof(a))) < 0) {
        say_pointer(l, at);
        return;
    }
    unsigned family = a[0] | a[1] << 8;
    if (family == 2 && length >= 8) {
        SAY(l, "{AF_INET, %u.%u.%u.%u:%u}", a[4], a[5], a[6], a[7], a[2] << 8 | a[3]);
    } else if (family == 10 && length >= 24) {
        SAY(l, "{AF_INET6, [");
        for (int i = 0; i < 16; i += 2) {
            SAY(l, "%s%x", i ? ":" : "", a[8 + i] << 8 | a[9 + i]);
        }
        SAY(l, "]:%u}", a[2] << 8 | a[3]);
    } else if (family == 1) {
        SAY(l, "{AF_UNIX, ");
        say_string(l, at + 2, length - 2 ? length - 2 : 1);
        SAY(l, "}");
    } else {
        SAY(l, "{family %u}", family);
    }
}

static void say_iovec(struct line *l, uint64_t at, uint64_t count)
{
    SAY(l, "[");
    for (uint64_t i = 0; i < count && i < 4; i++) {
        uint64_t v[2];
        if (px_copy_in(v, (void *)(at + i * 16), sizeof(v)) < 0) {
            break;
        }
        SAY(l, i ? ", {" : "{");
        say_buffer(l, v[0], v[1]);
        SAY(l, ", %lu}", v[1]);
    }
    SAY(l, count > 4 ? ", ...]" : "]");
}

static void say_pollfds(struct line *l, uint64_t at, uint64_t count, bool after)
{
    SAY(l, "[");
    for (uint64_t i = 0; i < count && i < 6; i++) {
        struct {
            int32_t fd;
            uint16_t events, revents;
        } p;
        if (px_copy_in(&p, (void *)(at + i * 8), sizeof(p)) < 0) {
            break;
        }
        SAY(l, i ? ", {%d, " : "{%d, ", p.fd);
        say_flags(l, after ? p.revents : p.events, poll_flags, "0");
        SAY(l, "}");
    }
    SAY(l, count > 6 ? ", ...]" : "]");
}

static void say_epoll(struct line *l, uint64_t at, long count)
{
    SAY(l, "[");
    for (long i = 0; i < count && i < 6; i++) {
        unsigned char e[12];
        uint32_t events;
        uint64_t data;
        if (px_copy_in(e, (void *)(at + (uint64_t)i * 12), sizeof(e)) < 0) {
            break;
        }
        memcpy(&events, e, 4);
        memcpy(&data, e + 4, 8);
        SAY(l, i ? ", {" : "{");
        say_flags(l, events, epoll_flags, "0");
        SAY(l, ", data 0x%lx}", data);
    }
    SAY(l, count > 6 ? ", ...]" : "]");
}

static void say_stat(struct line *l, uint64_t at)
{
    struct { /* the start of Linux's struct stat */
        uint64_t dev, ino, nlink;
        uint32_t mode, uid, gid, pad;
        uint64_t rdev;
        int64_t size;
    } s;
    if (px_copy_in(&s, (void *)at, sizeof(s)) < 0) {
        say_pointer(l, at);
        return;
    }
    SAY(l, "{mode=0%o, uid=%u, gid=%u, size=%ld}", s.mode, s.uid, s.gid, (long)s.size);
}

/* ---- a line ---- */

/* Filled by the call: shown when it succeeded. */
static bool is_output(enum kind k)
{
    switch (k) {
    case K_OBUF:
    case K_OSTAT:
    case K_OTIMESPEC:
    case K_OTIMEVAL:
    case K_OSIGSET:
    case K_OSIGACTION:
    case K_OSOCKADDR:
    case K_OSOCKLEN:
    case K_OEPOLL:
    case K_OFDS:
    case K_OINT:
        return true;
    default:
        return false;
    }
}

static void say_argument(struct line *l, enum kind k, uint64_t v, uint64_t next, long result)
{
    uint32_t value32 = 0;
    if (is_output(k) && result < 0) {
        say_pointer(l, v);
        return;
    }
    switch (k) {
    case K_FD:
    case K_INT:
        SAY(l, "%d", (int)v);
        break;
    case K_UINT:
        SAY(l, "%u", (unsigned)v);
        break;
    case K_LONG:
    case K_OFF:
        SAY(l, "%ld", (long)v);
        break;
    case K_SIZE:
        SAY(l, "%lu", v);
        break;
    case K_ULONG:
    case K_HEX:
        SAY(l, "0x%lx", v);
        break;
    case K_DIRFD:
        if ((int)v == -100) {
            SAY(l, "AT_FDCWD");
        } else {
            SAY(l, "%d", (int)v);
        }
        break;
    case K_PATH:
    case K_STR:
        say_string(l, v, 256);
        break;
    case K_IBUF:
        say_buffer(l, v, next);
        break;
    case K_OBUF:
        say_buffer(l, v, (uint64_t)result);
        break;
    case K_MODE:
        SAY(l, "0%o", (unsigned)v);
        break;
    case K_OFLAGS:
        SAY(l, "%s", (v & 3) == 0 ? "O_RDONLY" : (v & 3) == 1 ? "O_WRONLY" : "O_RDWR");
        if (v & ~3ull) {
            SAY(l, "|");
            say_flags(l, (uint32_t)v & ~3u, open_flags, "");
        }
        break;
    case K_ATFLAGS:
        say_flags(l, (uint32_t)v, at_flags, "0");
        break;
    case K_PROT:
        say_flags(l, (uint32_t)v, prot_flags, "PROT_NONE");
        break;
    case K_MAPFLAGS:
        say_flags(l, (uint32_t)v, map_flags, "0");
        break;
    case K_CLONE:
        say_flags(l, (uint32_t)v, clone_flags, "0");
        break;
    case K_MSGFLAGS:
        say_flags(l, (uint32_t)v, msg_flags, "0");
        break;
    case K_ACCMODE:
        say_flags(l, (uint32_t)v, access_flags, "F_OK");
        break;
    case K_CLOCK:
        say_name(l, (uint32_t)v, clocks);
        break;
    case K_FAMILY:
        say_name(l, (uint32_t)v, families);
        break;
    case K_SOCKTYPE:
        say_name(l, (uint32_t)v & 15, socket_types);
        SAY(l, "%s%s", v & 04000 ? "|SOCK_NONBLOCK" : "", v & 02000000 ? "|SOCK_CLOEXEC" : "");
        break;
    case K_SOLEVEL:
        say_name(l, (uint32_t)v, levels);
        break;
    case K_RLIMIT:
        say_name(l, (uint32_t)v, limits);
        break;
    case K_FCNTL:
        say_name(l, (uint32_t)v, fcntls);
        break;
    case K_IOCTL:
        say_name(l, (uint32_t)v, ioctls);
        break;
    case K_WHENCE:
        say_name(l, (uint32_t)v, whences);
        break;
    case K_SIGHOW:
        say_name(l, (uint32_t)v, hows);
        break;
    case K_SHUT:
        say_name(l, (uint32_t)v, shuts);
        break;
    case K_EPOLLOP:
        say_name(l, (uint32_t)v, epoll_ops);
        break;
    case K_MADVICE:
        say_name(l, (uint32_t)v, advices);
        break;
    case K_FUTEX:
        say_name(l, (uint32_t)v & 127, futexes);
        SAY(l, "%s%s", v & 128 ? "_PRIVATE" : "", v & 256 ? "|FUTEX_CLOCK_REALTIME" : "");
        break;
    case K_SIG:
        say_signal(l, (int)v);
        break;
    case K_ISIGSET:
    case K_OSIGSET:
        say_set(l, v);
        break;
    case K_ISIGACTION:
    case K_OSIGACTION:
        say_action(l, v);
        break;
    case K_ITIMESPEC:
    case K_OTIMESPEC:
        say_time(l, v, "ns");
        break;
    case K_ITIMEVAL:
    case K_OTIMEVAL:
        say_time(l, v, "us");
        break;
    case K_ISOCKADDR:
        say_sockaddr(l, v, (uint32_t)next);
        break;
    case K_OSOCKADDR:
        if (v && px_load32((void *)next, &value32) == 0) {
            say_sockaddr(l, v, value32);
        } else {
            say_pointer(l, v);
        }
        break;
    case K_OSOCKLEN:
    case K_OINT:
        if (v && px_load32((void *)v, &value32) == 0) {
            SAY(l, "[%u]", value32);
        } else {
            say_pointer(l, v);
        }
        break;
    case K_OFDS: {
        int32_t fds[2];
        if (px_copy_in(fds, (void *)v, sizeof(fds)) == 0) {
            SAY(l, "[%d, %d]", fds[0], fds[1]);
        }
        break;
    }
    case K_IIOVEC:
        say_iovec(l, v, next);
        break;
    case K_IOPOLLFDS:
        say_pollfds(l, v, next, result > 0);
        break;
    case K_IEPOLL:
        say_epoll(l, v, v ? 1 : 0);
        break;
    case K_OEPOLL:
        say_epoll(l, v, result);
        break;
    case K_OSTAT:
        say_stat(l, v);
        break;
    default:
        say_pointer(l, v);
        break;
    }
}

static void say_result(struct line *l, long result)
{
    if (result >= 0 || result < -4095) {
        if ((unsigned long)result >= 1ul << 32) {
            SAY(l, " = 0x%lx", (unsigned long)result);
        } else {
            SAY(l, " = %ld", result);
        }
        return;
    }
    const char *name = px_errno_name(-result);
    switch (-result) {
    case PX_ERESTARTSYS:
        name = "ERESTARTSYS (interrupted)";
        break;
    case PX_ERESTARTNOINTR:
        name = "ERESTARTNOINTR (interrupted)";
        break;
    case PX_ERESTARTNOHAND:
        name = "ERESTARTNOHAND (interrupted)";
        break;
    case PX_ERESTART_RESTARTBLOCK:
        name = "ERESTART_RESTARTBLOCK (interrupted)";
        break;
    default:
        break;
    }
    if (name) {
        SAY(l, " = -1 %s", name);
    } else {
        SAY(l, " = %ld", result);
    }
}

/*
 * Who traces a running process has an end: nobody reads any more, and the process goes on without.
 * Its handle stays until the next one comes, since children between vfork and exec know it too.
 */
static struct px_mutex tracer; /* the handle is the one that `px_dispatch` speaks of */

static void flush(struct line *l)
{
    struct px_process *p = px_proc();
    l->text[l->used++] = '\n';
    struct motor_msg m = {.op = IO_WRITE,
                          .word = {~0ull},
                          .in = l->text,
                          .in_size = l->used,
                          .deadline = MOTOR_NEVER};
    px_lock(&tracer);
    if (px_dispatch == px_trace_table && px_call(p->trace, &m) == -EPIPE) {
        px_dispatch = px_table;
    }
    px_unlock(&tracer);
}

/* Does somebody read what the present handle is told? */
static bool is_traced(const struct px_process *p)
{
    struct motor_msg nothing = {.op = IO_WRITE, .word = {~0ull}, .deadline = MOTOR_NEVER};
    return px_dispatch == px_trace_table && px_call(p->trace, &nothing) != -EPIPE;
}

void px_trace_attach(motor_handle handle)
{
    struct px_process *p = px_home();
    px_lock(&tracer);
    motor_handle drop = is_traced(p) ? handle : p->trace;
    if (drop != handle) {
        p->trace = handle;
        px_dispatch = px_trace_table;
    }
    px_unlock(&tracer);
    if (drop) {
        motor_handle_close(drop);
    }
}

static void say_call(struct line *l, uint32_t n, const uint64_t *argument, long result, bool over)
{
    const char *name = px_call_name(n);
    struct px_thread *t = px_self();
    l->used = 0;
    if (t->tid != t->process->pid) {
        SAY(l, "[%u %u] ", t->process->pid, t->tid);
    } else {
        SAY(l, "[%u] ", t->process->pid);
    }
    if (!name) {
        SAY(l, "syscall_%u(0x%lx, 0x%lx)", n, argument[0], argument[1]);
    } else {
        SAY(l, "%s(", name);
        for (int i = 0; i < 6 && kinds[n][i]; i++) {
            SAY(l, i ? ", " : "");
            say_argument(l, (enum kind)kinds[n][i], argument[i], i < 5 ? argument[i + 1] : 0,
                         result);
        }
        SAY(l, ")");
    }
    if (over) {
        say_result(l, result);
    }
}

typedef long handler(long, long, long, long, long, long);

/* Calls that do not come back are shown before. */
static bool is_last(uint32_t n)
{
    return n == 60 || n == 231 || n == 15;
}

long px_trace_call(long a, long b, long c, long d, long e, long f)
{
    struct px_thread *t = px_self();
    uint32_t n = px_call_number(t);
    uint64_t argument[6] = {(uint64_t)a, (uint64_t)b, (uint64_t)c,
                            (uint64_t)d, (uint64_t)e, (uint64_t)f};
    struct line line;
    handler *real = (handler *)((const char *)px_table + px_table[n]);
    if (is_last(n)) {
        say_call(&line, n, argument, 0, false);
        SAY(&line, " = ?");
        flush(&line);
        return real(a, b, c, d, e, f);
    }
    long result = real(a, b, c, d, e, f);
    say_call(&line, n, argument, result, true);
    flush(&line);
    return result;
}

void px_trace_signal(int sig, const struct px_siginfo *info)
{
    struct line line;
    if (px_dispatch != px_trace_table) {
        return;
    }
    line.used = 0;
    SAY(&line, "[%u] --- ", px_proc()->pid);
    say_signal(&line, sig);
    SAY(&line, " {si_code=%d, si_addr=0x%lx} ---", info->code, info->address);
    flush(&line);
}

void px_trace_start(struct px_process *p)
{
    if (p->trace) {
        px_dispatch = px_trace_table;
    }
}

void px_trace_end(uint32_t status)
{
    struct line line;
    if (px_dispatch != px_trace_table) {
        return;
    }
    line.used = 0;
    if (status & 127) {
        SAY(&line, "[%u] +++ killed by SIG%s +++", px_proc()->pid,
            px_signal_name((int)status & 127));
    } else {
        SAY(&line, "[%u] +++ exited with %u +++", px_proc()->pid, status >> 8 & 255);
    }
    flush(&line);
}
