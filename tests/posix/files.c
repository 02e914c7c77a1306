/* SPDX-License-Identifier: MIT */
/*
 * Regular files: open flags, offsets, vectors, append, holes, truncation, status, times, modes,
 * errors.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "check.h"

/* Not known to the compiler, which would complain. */
static void *volatile nowhere = (void *)1;
static volatile int negative = -1, too_many = 1025;

static char dir[] = "/tmp/filesXXXXXX";

static void open_flags(void)
{
    char buf[8];
    CHECK_ERRNO(open("a", O_RDONLY), ENOENT);
    int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0640);
    CHECK(fd >= 0);
    CHECK_ERRNO(open("a", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
    CHECK(write(fd, "hello", 5) == 5);
    CHECK(close(fd) == 0);
    CHECK_ERRNO(close(fd), EBADF);
    CHECK_ERRNO(read(fd, buf, 1), EBADF);
    fd = open("a", O_RDONLY);
    CHECK_ERRNO(write(fd, "x", 1), EBADF);
    CHECK(read(fd, buf, sizeof buf) == 5 && !memcmp(buf, "hello", 5));
    CHECK(read(fd, buf, sizeof buf) == 0);
    CHECK(fcntl(fd, F_GETFD) == 0);
    CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
    close(fd);
    fd = open("a", O_WRONLY | O_CLOEXEC);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(read(fd, buf, 1), EBADF);
    close(fd);
    fd = open("a", O_WRONLY | O_TRUNC);
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && st.st_size == 0 && S_ISREG(st.st_mode) &&
          (st.st_mode & 0777) == 0640 && st.st_nlink == 1);
    close(fd);
    CHECK_ERRNO(open(".", O_WRONLY), EISDIR);
    CHECK_ERRNO(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO(open("a/b", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    CHECK_ERRNO(open(nowhere, O_RDONLY), EFAULT);
    char longest[5000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    CHECK_ERRNO(open(longest, O_RDONLY), ENAMETOOLONG);
    longest[300] = 0;
    CHECK_ERRNO(open(longest, O_RDONLY), ENAMETOOLONG);
    fd = open(".", O_RDONLY);
    CHECK_ERRNO(read(fd, buf, 1), EISDIR);
    close(fd);
    mode_t old = umask(027);
    fd = open("masked", O_RDWR | O_CREAT, 0777);
    CHECK(fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0750);
    CHECK(umask(old) == 027);
    close(fd);
    fd = open("a", O_PATH);
    CHECK(fd >= 0);
    CHECK_ERRNO(read(fd, buf, 1), EBADF);
    CHECK(fstat(fd, &st) == 0);
    close(fd);
}

static void offsets(void)
{
    char buf[32];
    int fd = open("b", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(write(fd, "0123456789", 10) == 10);
    CHECK(lseek(fd, 0, SEEK_CUR) == 10);
    CHECK(lseek(fd, -3, SEEK_END) == 7);
    CHECK(read(fd, buf, 32) == 3 && !memcmp(buf, "789", 3));
    CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERRNO(lseek(fd, 0, 99), EINVAL);
    CHECK(pread(fd, buf, 4, 2) == 4 && !memcmp(buf, "2345", 4));
    CHECK(lseek(fd, 0, SEEK_CUR) == 10);
    CHECK_ERRNO(pread(fd, buf, 4, -1), EINVAL);
    CHECK(pwrite(fd, "AB", 2, 4) == 2);
    CHECK(lseek(fd, 0, SEEK_CUR) == 10);
    CHECK(pread(fd, buf, 10, 0) == 10 && !memcmp(buf, "0123AB6789", 10));
    CHECK(lseek(fd, 100, SEEK_SET) == 100);
    CHECK(read(fd, buf, 1) == 0);
    CHECK(write(fd, "z", 1) == 1);
    CHECK(pread(fd, buf, 32, 90) == 11 && buf[0] == 0 && buf[9] == 0 && buf[10] == 'z');
    int copy = dup(fd);
    CHECK(lseek(copy, 5, SEEK_SET) == 5 && lseek(fd, 0, SEEK_CUR) == 5);
    CHECK(lseek(fd, 0, SEEK_DATA) == 0);
    int bits = 0, random = open("/dev/random", O_RDONLY);
    CHECK(ioctl(random, 0x80045200 /* RNDGETENTCNT */, &bits) == 0 && bits > 0 && bits <= 4096);
    CHECK_ERRNO(ioctl(random, 0x80045200, 8), EFAULT);
    close(random);
    static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/full"};
    for (int i = 0; i < 3; i++) { /* anywhere is the start */
        int device = open(devices[i], O_RDWR);
        CHECK(lseek(device, -5, SEEK_CUR) == 0 && lseek(device, 7, SEEK_SET) == 0);
        CHECK(lseek(device, 0, SEEK_END) == 0 && lseek(device, 0, SEEK_CUR) == 0);
        close(device);
    }
    CHECK(lseek(fd, 0, SEEK_HOLE) >= 10);
    CHECK_ERRNO(lseek(fd, 101, SEEK_DATA), ENXIO);
    close(copy);
    lseek(fd, 0, SEEK_SET);
    CHECK_ERRNO(read(fd, nowhere, 1), EFAULT);
    CHECK_ERRNO(write(fd, nowhere, 1), EFAULT);
    CHECK(read(fd, buf, 0) == 0 && write(fd, buf, 0) == 0);
    close(fd);
    CHECK(open("b", O_WRONLY | O_APPEND) == fd);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(write(fd, "end", 3) == 3 && lseek(fd, 0, SEEK_CUR) == 104);
    CHECK(fcntl(fd, F_SETFL, 0) == 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && write(fd, "S", 1) == 1 && lseek(fd, 0, SEEK_CUR) == 1);
    close(fd);
}

static void vectors(void)
{
    char a[4], b[7], c[100];
    struct iovec out[] = {{"one", 3}, {"", 0}, {"two", 3}, {"three", 5}},
                 in[] = {{a, 4}, {b, 7}, {c, 100}};
    int fd = open("v", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(writev(fd, out, 4) == 11);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(readv(fd, in, 3) == 11 && !memcmp(a, "onet", 4) && !memcmp(b, "wothree", 7));
    CHECK(pwritev(fd, out, 2, 20) == 3 && preadv(fd, in, 1, 20) == 3 && !memcmp(a, "one", 3));
    CHECK_ERRNO(writev(fd, out, negative), EINVAL);
    CHECK_ERRNO(writev(fd, out, too_many), EINVAL);
    CHECK(writev(fd, out, 0) == 0);
    struct iovec bad = {c, (size_t)-1};
    CHECK_ERRNO(writev(fd, &bad, 1), EINVAL);
    CHECK_ERRNO(readv(fd, nowhere, 1), EFAULT);
    struct iovec many[100];
    for (int i = 0; i < 100; i++)
        many[i] = (struct iovec){"0123456789" + i % 10, 1};
    CHECK(pwritev(fd, many, 100, 0) == 100);
    CHECK(pread(fd, c, 100, 0) == 100 && !memcmp(c + 90, "0123456789", 10));
    close(fd);
}

static void big(void)
{
    enum { SIZE = 3 << 20 };
    uint32_t *data = malloc(SIZE), *back = malloc(SIZE);
    for (uint32_t i = 0; i < SIZE / 4; i++)
        data[i] = i * 2654435761u;
    int fd = open("big", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(write(fd, data, SIZE) == SIZE);
    CHECK(pread(fd, back, SIZE, 0) == SIZE && !memcmp(data, back, SIZE));
    for (int at = 0; at < SIZE; at += 100003)
        CHECK(pread(fd, back, 5000, at) == (SIZE - at < 5000 ? SIZE - at : 5000) &&
              !memcmp((char *)data + at, back, SIZE - at < 5000 ? SIZE - at : 5000));
    CHECK(ftruncate(fd, 1000) == 0);
    CHECK(ftruncate(fd, 9000) == 0);
    CHECK(pread(fd, back, 10000, 0) == 9000 && !memcmp(data, back, 1000) && back[250] == 0 &&
          back[2249] == 0);
    struct stat st;
    CHECK(stat("big", &st) == 0 && st.st_size == 9000);
    CHECK(truncate("big", 3) == 0 && stat("big", &st) == 0 && st.st_size == 3);
    CHECK_ERRNO(truncate("nothing", 3), ENOENT);
    CHECK_ERRNO(truncate(".", 3), EISDIR);
    CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
    CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
    sync();
    int err = posix_fallocate(fd, 0, 70000);
    CHECK(err == 0 && stat("big", &st) == 0 && st.st_size == 70000);
    CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED) == 0);
    close(fd);
    fd = open("big", O_RDONLY);
    CHECK_ERRNO(ftruncate(fd, 1), EINVAL);
    close(fd);
    free(data);
    free(back);
}

static void copies(void)
{
    char buf[100];
    int in = open("in", O_RDWR | O_CREAT | O_TRUNC, 0600),
        out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(write(in, "abcdefghij", 10) == 10);
    off_t at = 2;
    CHECK(sendfile(out, in, &at, 5) == 5 && at == 7 && lseek(in, 0, SEEK_CUR) == 10);
    CHECK(sendfile(out, in, &at, 100) == 3 && at == 10);
    CHECK(sendfile(out, in, &at, 100) == 0);
    CHECK(lseek(in, 0, SEEK_SET) == 0 && sendfile(out, in, NULL, 4) == 4 &&
          lseek(in, 0, SEEK_CUR) == 4);
    CHECK(pread(out, buf, 100, 0) == 12 && !memcmp(buf, "cdefghijabcd", 12));
    CHECK_ERRNO(sendfile(out, -1, NULL, 4), EBADF);
    off_t from = 1, to = 50;
    ssize_t n = copy_file_range(in, &from, out, &to, 3, 0);
    if (n < 0)
        CHECK(errno == ENOSYS || errno == EXDEV || errno == EOPNOTSUPP);
    else
        CHECK(n == 3 && from == 4 && to == 53 && pread(out, buf, 100, 50) == 3 &&
              !memcmp(buf, "bcd", 3));
    close(in);
    close(out);
}

static void attributes(void)
{
    struct stat st;
    int fd = open("t", O_RDWR | O_CREAT, 0600);
    struct timespec times[2] = {{1000000000, 123456789}, {1100000000, 5}};
    CHECK(futimens(fd, times) == 0 && fstat(fd, &st) == 0);
    CHECK(st.st_atim.tv_sec == 1000000000 && st.st_atim.tv_nsec == 123456789 &&
          st.st_mtim.tv_sec == 1100000000 && st.st_mtim.tv_nsec == 5);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = UTIME_NOW;
    CHECK(utimensat(AT_FDCWD, "t", times, 0) == 0 && stat("t", &st) == 0);
    CHECK(st.st_atim.tv_sec == 1000000000 && st.st_mtim.tv_sec > 1600000000);
    times[1].tv_nsec = 1000000000;
    CHECK_ERRNO(utimensat(AT_FDCWD, "t", times, 0), EINVAL);
    CHECK(chmod("t", 0444) == 0 && stat("t", &st) == 0 && (st.st_mode & 07777) == 0444);
    CHECK(fchmod(fd, 0604) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0604);
    CHECK(access("t", R_OK) == 0 && access("t", F_OK) == 0);
    CHECK_ERRNO(access("t", X_OK), EACCES);
    CHECK_ERRNO(access("none", F_OK), ENOENT);
    CHECK_ERRNO(access("t", 77), EINVAL);
    CHECK(fchown(fd, (uid_t)-1, (gid_t)-1) == 0);
    struct statfs fs;
    CHECK(statfs(".", &fs) == 0 && fs.f_bsize > 0 && fstatfs(fd, &fs) == 0);
    struct statx sx;
    if (statx(AT_FDCWD, "t", 0, STATX_BASIC_STATS, &sx) == 0)
        CHECK(sx.stx_mode == st.st_mode && sx.stx_size == 0);
    CHECK_ERRNO(fstat(-1, &st), EBADF);
    CHECK_ERRNO(syscall(SYS_stat, "t", nowhere), EFAULT); /* libc would copy */
    close(fd);
}

static volatile int got_xfsz;
static void on_xfsz(int sig)
{
    got_xfsz = sig;
}

static void size_limit(void)
{
    struct rlimit old, limit;
    char buf[200] = {0};
    signal(SIGXFSZ, on_xfsz);
    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    limit = old;
    limit.rlim_cur = 1000;
    int fd = open("limited", O_RDWR | O_CREAT, 0600);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK(pwrite(fd, buf, 200, 900) == 100 && !got_xfsz);
    CHECK_ERRNO(pwrite(fd, buf, 200, 1000), EFBIG);
    CHECK(got_xfsz == SIGXFSZ);
    CHECK_ERRNO(ftruncate(fd, 1001), EFBIG);
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    close(fd);
}

static void devices(void)
{
    char buf[100];
    int fd = open("/dev/zero", O_RDWR);
    memset(buf, 1, sizeof buf);
    CHECK(read(fd, buf, 100) == 100 && buf[0] == 0 && buf[99] == 0);
    CHECK(write(fd, buf, 100) == 100);
    close(fd);
    fd = open("/dev/null", O_RDWR);
    CHECK(read(fd, buf, 100) == 0 && write(fd, buf, 100) == 100);
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode));
    close(fd);
    fd = open("/dev/full", O_WRONLY);
    CHECK_ERRNO(write(fd, buf, 1), ENOSPC);
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    char other[100];
    CHECK(read(fd, buf, 100) == 100 && read(fd, other, 100) == 100 && memcmp(buf, other, 100));
    close(fd);
}

/* Each size, at the very end of what may be touched: not a byte more, not a byte less, either way.
 */
static void sizes(void)
{
    enum { MOST = 1100 };
    static unsigned char pattern[MOST];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *map =
        mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(map != MAP_FAILED && mprotect(map + page, page, PROT_NONE) == 0);
    int fd = open("sizes", O_RDWR | O_CREAT | O_EXCL, 0600);
    for (size_t i = 0; i < MOST; i++)
        pattern[i] = (unsigned char)(1 + i * 7 % 255);
    for (size_t size = 0; size <= MOST; size++) {
        unsigned char *to = map + page - size;
        CHECK(pwrite(fd, pattern, MOST, 0) == MOST);
        memset(map, 0, page);
        CHECK(pread(fd, to, size, 0) == (ssize_t)size && memcmp(to, pattern, size) == 0);
        CHECK(to[-1] == 0);
        memset(to, 0xff, size);
        CHECK(pwrite(fd, to, size, 1) == (ssize_t)size);
        unsigned char back[MOST + 2];
        CHECK(pread(fd, back, MOST, 0) == MOST);
        for (size_t i = 0; i < MOST; i++)
            CHECK(back[i] == (i >= 1 && i <= size ? 0xff : pattern[i]));
    }
    close(fd);
    munmap(map, 2 * page);
}

int main(void)
{
    CHECK(mkdtemp(dir));
    CHECK(chdir(dir) == 0);
    open_flags();
    offsets();
    vectors();
    big();
    copies();
    attributes();
    size_limit();
    devices();
    sizes();
    const char *names[] = {"a", "b", "v", "big", "in", "out", "t", "masked", "limited", "sizes"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        CHECK(unlink(names[i]) == 0);
    CHECK(chdir("/") == 0 && rmdir(dir) == 0);
    return 0;
}
