/* SPDX-License-Identifier: MIT */
/* FIFOs: fifo(7), open(2), mkfifo(3); what pipes have beside: capacity, packets (pipe(7)). */
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char directory[] = "/tmp/fifo-XXXXXX";
static char path[64];

static void on_signal(int signal)
{
    (void)signal;
}

static void test_make(void)
{
    struct stat st;
    umask(022);
    CHECK(mkfifo(path, 0666) == 0 && stat(path, &st) == 0);
    CHECK(S_ISFIFO(st.st_mode) && (st.st_mode & 0777) == 0644 && st.st_size == 0);
    CHECK_ERRNO(mkfifo(path, 0666), EEXIST);
    CHECK_ERRNO(mkfifo("/tmp/no/such/fifo", 0666), ENOENT);
    int fd = open(path, O_RDWR);
    struct stat same;
    CHECK(fd >= 0 && fstat(fd, &same) == 0 && same.st_ino == st.st_ino && same.st_dev == st.st_dev);
    CHECK(fchmod(fd, 0600) == 0 && stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK_ERRNO(lseek(fd, 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(ftruncate(fd, 0), EINVAL);
    close(fd);
    CHECK_ERRNO(open(path, O_RDONLY | O_DIRECTORY), ENOTDIR);
}

static void test_nonblocking(void)
{
    char bytes[8];
    CHECK_ERRNO(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
    int r = open(path, O_RDONLY | O_NONBLOCK);
    CHECK(r >= 0 && read(r, bytes, 8) == 0); /* no writer: the end */
    struct pollfd p = {r, POLLIN, 0};
    CHECK(poll(&p, 1, 0) == 0);
    int w = open(path, O_WRONLY | O_NONBLOCK);
    CHECK(w >= 0);
    CHECK_ERRNO(read(r, bytes, 8), EAGAIN);
    CHECK_ERRNO(write(r, bytes, 8), EBADF);
    CHECK_ERRNO(read(w, bytes, 8), EBADF);
    CHECK(write(w, "abc", 3) == 3 && poll(&p, 1, 1000) == 1 && p.revents == POLLIN);
    close(w);
    CHECK(read(r, bytes, 8) == 3 && read(r, bytes, 8) == 0);
    CHECK(poll(&p, 1, 1000) == 1 && p.revents == POLLHUP);
    w = open(path, O_WRONLY); /* does not wait: there is a reader */
    CHECK(w >= 0 && poll(&p, 1, 0) == 0);
    close(r);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(w, "x", 1), EPIPE);
    close(w);
    w = open(path, O_RDWR);
    CHECK(w >= 0 && write(w, "self", 4) == 4 && read(w, bytes, 8) == 4);
    close(w);
}

static void test_waiting(void)
{
    int status;
    char bytes[8];
    pid_t child = fork();
    if (child == 0) {
        int w = open(path, O_WRONLY);
        CHECK(w >= 0 && write(w, "hello", 5) == 5);
        close(w);
        w = open(path, O_RDONLY);
        CHECK(w >= 0 && read(w, bytes, 8) == 3 && read(w, bytes, 8) == 0);
        _exit(0);
    }
    int r = open(path, O_RDONLY);
    CHECK(r >= 0 && read(r, bytes, 8) == 5 && read(r, bytes, 8) == 0);
    close(r);
    r = open(path, O_WRONLY);
    CHECK(r >= 0 && write(r, "you", 3) == 3);
    close(r);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    /* a wait that a signal ends, or a death */
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGALRM, &act, NULL);
    ualarm(30000, 0);
    CHECK_ERRNO(open(path, O_RDONLY), EINTR);
    CHECK_ERRNO(open(path, O_WRONLY | O_NONBLOCK), ENXIO); /* no reader is left behind */
    child = fork();
    if (child == 0) {
        open(path, O_RDONLY);
        _exit(1);
    }
    int w;
    while ((w = open(path, O_WRONLY | O_NONBLOCK)) < 0)
        CHECK(errno == ENXIO);
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 1);
    close(w);
    child = fork();
    if (child == 0) {
        open(path, O_RDONLY);
        _exit(1);
    }
    sleep_ms(20);
    kill(child, SIGKILL);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_ERRNO(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
}

static void test_permission(void)
{
    int status;
    if (geteuid() != 0)
        return;
    CHECK(chmod(directory, 0755) == 0 && chmod(path, 0644) == 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK(setgid(99) == 0 && setuid(99) == 0);
        CHECK_ERRNO(open(path, O_RDWR), EACCES);
        CHECK_ERRNO(open(path, O_WRONLY | O_NONBLOCK), EACCES);
        CHECK(open(path, O_RDONLY | O_NONBLOCK) >= 0);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* Two names of one, a removed one, and one anew: what is open stays what it is. */
static void test_names(void)
{
    char other[80], bytes[8];
    snprintf(other, sizeof other, "%s-2", path);
    CHECK(link(path, other) == 0);
    int r = open(path, O_RDONLY | O_NONBLOCK), w = open(other, O_WRONLY | O_NONBLOCK);
    CHECK(r >= 0 && w >= 0 && write(w, "1", 1) == 1 && read(r, bytes, 8) == 1);
    CHECK(unlink(path) == 0 && unlink(other) == 0 && mkfifo(path, 0600) == 0);
    int r2 = open(path, O_RDONLY | O_NONBLOCK), w2 = open(path, O_WRONLY | O_NONBLOCK);
    CHECK(write(w, "22", 2) == 2 && write(w2, "333", 3) == 3);
    CHECK(read(r, bytes, 8) == 2 && read(r2, bytes, 8) == 3);
    close(r);
    close(r2);
    close(w);
    close(w2);
}

static void test_capacity(void)
{
    int p[2], n = 0;
    static char block[65536];
    CHECK(pipe2(p, O_NONBLOCK) == 0);
    CHECK(fcntl(p[0], F_GETPIPE_SZ) == 65536 && fcntl(p[1], F_SETPIPE_SZ, 5000) == 8192);
    CHECK(fcntl(p[0], F_GETPIPE_SZ) == 8192);
    CHECK(write(p[1], block, sizeof block) == 8192);
    CHECK_ERRNO(write(p[1], block, 1), EAGAIN);
    CHECK_ERRNO(fcntl(p[0], F_SETPIPE_SZ, 4096), EBUSY);
    CHECK(fcntl(p[0], F_SETPIPE_SZ, 131072) == 131072);
    CHECK(write(p[1], block, sizeof block) == sizeof block);
    CHECK(ioctl(p[0], FIONREAD, &n) == 0 && n == 8192 + 65536);
    CHECK(fcntl(0, F_GETFD) >= 0);
    int f = open(directory, O_RDONLY);
    CHECK_ERRNO(fcntl(f, F_GETPIPE_SZ), EBADF);
    close(f);
    close(p[0]);
    close(p[1]);
}

static void test_packets(void)
{
    int p[2], n = 0;
    char bytes[16];
    CHECK(pipe2(p, O_DIRECT | O_NONBLOCK) == 0);
    CHECK(write(p[1], "one", 3) == 3 && write(p[1], "second", 6) == 6 && write(p[1], "x", 1) == 1);
    CHECK(read(p[0], bytes, 16) == 3 && read(p[0], bytes, 2) == 2); /* the rest of it is lost */
    CHECK(read(p[0], bytes, 16) == 1);
    CHECK_ERRNO(read(p[0], bytes, 16), EAGAIN);
    static char block[3 * PIPE_BUF];
    CHECK(write(p[1], block, sizeof block) == sizeof block);
    while (read(p[0], block, sizeof block) == PIPE_BUF)
        n++;
    CHECK(n == 3);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    CHECK(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/f", directory);
    test_make();
    test_nonblocking();
    test_waiting();
    test_permission();
    test_names();
    test_capacity();
    test_packets();
    CHECK(unlink(path) == 0 && rmdir(directory) == 0);
    return 0;
}
