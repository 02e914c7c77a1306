/* SPDX-License-Identifier: MIT */
/* splice(2), tee(2), vmsplice(2). */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

static int unread(int fd)
{
    int n = -1;
    CHECK(ioctl(fd, FIONREAD, &n) == 0);
    return n;
}

static void test_pipes(void)
{
    int a[2], b[2];
    char bytes[32];
    CHECK(pipe(a) == 0 && pipe(b) == 0);
    CHECK(write(a[1], "0123456789", 10) == 10);
    CHECK(tee(a[0], b[1], 4, 0) == 4 && unread(a[0]) == 10 && unread(b[0]) == 4);
    CHECK(splice(a[0], NULL, b[1], NULL, 6, 0) == 6 && unread(a[0]) == 4 && unread(b[0]) == 10);
    CHECK(read(b[0], bytes, 32) == 10 && !memcmp(bytes, "0123012345", 10));
    CHECK(read(a[0], bytes, 32) == 4 && !memcmp(bytes, "6789", 4));
    CHECK_ERRNO(splice(a[0], NULL, b[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO(tee(a[0], b[1], 1, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK(splice(a[0], NULL, b[1], NULL, 0, 0) == 0);
    CHECK_ERRNO(splice(a[0], NULL, a[1], NULL, 1, 0), EINVAL);
    CHECK_ERRNO(splice(a[1], NULL, b[1], NULL, 1, 0), EBADF);
    CHECK_ERRNO(splice(a[0], NULL, b[0], NULL, 1, 0), EBADF);
    CHECK_ERRNO(splice(a[0], NULL, 999, NULL, 1, 0), EBADF);
    CHECK_ERRNO(splice(a[0], NULL, b[1], NULL, 1, 0x100), EINVAL);
    off_t offset = 0;
    CHECK_ERRNO(splice(a[0], &offset, b[1], NULL, 1, 0), ESPIPE);
    close(a[1]);
    CHECK(splice(a[0], NULL, b[1], NULL, 1, 0) == 0 && tee(a[0], b[1], 1, 0) == 0);
    close(a[0]);
    CHECK(pipe(a) == 0 && write(a[1], "x", 1) == 1);
    close(b[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(splice(a[0], NULL, b[1], NULL, 1, 0), EPIPE);
    close(a[0]);
    close(a[1]);
    close(b[1]);
}

static void test_files(void)
{
    char name[] = "/tmp/splice-XXXXXX", bytes[32];
    int p[2], fd = mkstemp(name);
    off_t from = 2, to = 20;
    CHECK(fd >= 0 && unlink(name) == 0 && pipe(p) == 0);
    CHECK(write(fd, "abcdefghij", 10) == 10 && lseek(fd, 7, SEEK_SET) == 7);
    CHECK(splice(fd, &from, p[1], NULL, 4, 0) == 4 && from == 6);
    CHECK(splice(fd, NULL, p[1], NULL, 10, 0) == 3 && lseek(fd, 0, SEEK_CUR) == 10);
    CHECK(splice(fd, NULL, p[1], NULL, 10, 0) == 0);
    CHECK(unread(p[0]) == 7 && splice(p[0], NULL, fd, &to, 5, 0) == 5 && to == 25);
    CHECK(pread(fd, bytes, 32, 20) == 5 && !memcmp(bytes, "cdefh", 5));
    CHECK(splice(p[0], NULL, fd, NULL, 5, 0) == 2 && lseek(fd, 0, SEEK_CUR) == 12);
    CHECK(fcntl(fd, F_SETFL, O_APPEND) == 0 && write(p[1], "z", 1) == 1);
    CHECK_ERRNO(splice(p[0], NULL, fd, NULL, 1, 0), EINVAL);
    CHECK_ERRNO(splice(fd, NULL, fd, NULL, 1, 0), EINVAL);
    CHECK_ERRNO(tee(fd, p[1], 1, 0), EINVAL);
    close(p[0]);
    close(p[1]);
    close(fd);
}

/* Half a megabyte from socket to socket by a pipe, while both are in use elsewhere. */
static void test_sockets(void)
{
    enum { TOTAL = 1 << 19 };
    static unsigned char block[TOTAL];
    int a[2], b[2], p[2], status;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0 &&
          socketpair(AF_UNIX, SOCK_STREAM, 0, b) == 0);
    CHECK(pipe(p) == 0);
    pid_t source = fork();
    if (source == 0) {
        for (int i = 0; i < TOTAL; i++)
            block[i] = (unsigned char)(i * 3 + i / 256);
        CHECK(write(a[0], block, TOTAL) == TOTAL);
        _exit(0);
    }
    pid_t sink = fork();
    if (sink == 0) {
        close(b[0]);
        CHECK(recv(b[1], block, TOTAL, MSG_WAITALL) == TOTAL);
        for (int i = 0; i < TOTAL; i++)
            CHECK(block[i] == (unsigned char)(i * 3 + i / 256));
        _exit(0);
    }
    for (long left = TOTAL; left > 0;) {
        long in = splice(a[1], NULL, p[1], NULL, TOTAL, SPLICE_F_MOVE | SPLICE_F_MORE);
        CHECK(in > 0);
        for (long n; in > 0; in -= n, left -= n)
            CHECK((n = splice(p[0], NULL, b[0], NULL, (size_t)in, 0)) > 0);
    }
    CHECK(waitpid(source, &status, 0) == source && status == 0);
    CHECK(waitpid(sink, &status, 0) == sink && status == 0);
    CHECK_ERRNO(splice(a[1], NULL, b[0], NULL, 1, 0), EINVAL);
}

static void test_memory(void)
{
    int p[2];
    char bytes[16];
    struct iovec out[2] = {{"ab", 2}, {"cde", 3}}, in[2] = {{bytes, 2}, {bytes + 8, 8}};
    CHECK(pipe(p) == 0);
    CHECK(vmsplice(p[1], out, 2, SPLICE_F_GIFT) == 5 && vmsplice(p[0], in, 2, 0) == 5);
    CHECK(!memcmp(bytes, "ab", 2) && !memcmp(bytes + 8, "cde", 3));
    CHECK_ERRNO(vmsplice(0, out, 2, 0x100), EINVAL);
    int fd = open("/dev/null", O_RDWR);
    CHECK_ERRNO(vmsplice(fd, out, 2, 0), EBADF);
    CHECK_ERRNO(vmsplice(999, out, 2, 0), EBADF);
    close(fd);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    test_pipes();
    test_files();
    test_sockets();
    test_memory();
    return 0;
}
