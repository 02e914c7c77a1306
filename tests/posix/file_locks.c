/* SPDX-License-Identifier: MIT */
/*
 * Locks of files: fcntl's record locks and open-file-description locks, lockf, flock. By fcntl(2)
 * and flock(2): who excludes whom, ranges that join and split, what releases them, waiting, and
 * every errno that can be had.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

static char path[] = "/tmp/file_locks.XXXXXX";

static int open_it(void)
{
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    return fd;
}

static int lock(int fd, int command, short type, off_t start, off_t length)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &l);
}

/* What F_GETLK says about a write lock of this range. */
static struct flock probe(int fd, int command, off_t start, off_t length)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    CHECK(fcntl(fd, command, &l) == 0);
    return l;
}

/* A child that does `what` and has to succeed. */
static pid_t start(void (*what)(int), int argument)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        what(argument);
        _exit(0);
    }
    return pid;
}

static void finish(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status)
        FAILED("child: status %x", status);
}

static void in_child(void (*what)(int), int argument)
{
    finish(start(what, argument));
}

/* A child that holds a lock until it is told to end; it returns when the lock is there. */
struct holder {
    pid_t pid;
    int to;
};

static struct holder hold(short type, off_t from, off_t length)
{
    int ready[2], end[2];
    char c;
    CHECK(pipe(ready) == 0 && pipe(end) == 0);
    struct holder h = {fork(), end[1]};
    CHECK(h.pid >= 0);
    if (h.pid == 0) {
        int fd = open_it();
        close(end[1]);
        CHECK(lock(fd, F_SETLK, type, from, length) == 0);
        CHECK(write(ready[1], "r", 1) == 1);
        CHECK(read(end[0], &c, 1) == 0);
        _exit(0);
    }
    close(end[0]);
    close(ready[1]);
    CHECK(read(ready[0], &c, 1) == 1);
    close(ready[0]);
    return h;
}

static void let_go(struct holder h)
{
    close(h.to);
    finish(h.pid);
}

/* ---- errors ---- */

static void test_errors(void)
{
    int fd = open_it(), r = open(path, O_RDONLY), w = open(path, O_WRONLY),
        only = open(path, O_PATH);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CHECK_ERRNO(lock(-1, F_SETLK, F_WRLCK, 0, 1), EBADF);
    CHECK_ERRNO(lock(1000, F_GETLK, F_WRLCK, 0, 1), EBADF);
    CHECK_ERRNO(lock(only, F_SETLK, F_RDLCK, 0, 1), EBADF);
    CHECK_ERRNO(lock(r, F_SETLK, F_WRLCK, 0, 1), EBADF);
    CHECK_ERRNO(lock(w, F_SETLK, F_RDLCK, 0, 1), EBADF);
    CHECK_ERRNO(lock(r, F_OFD_SETLK, F_WRLCK, 0, 1), EBADF);
    CHECK_ERRNO(lock(w, F_OFD_SETLKW, F_RDLCK, 0, 1), EBADF);
    CHECK(lock(r, F_GETLK, F_WRLCK, 0, 1) == 0); /* asking needs nothing */
    CHECK(lock(r, F_SETLK, F_UNLCK, 0, 1) == 0);
    CHECK_ERRNO(lock(fd, F_SETLK, 3, 0, 1), EINVAL);
    CHECK_ERRNO(lock(fd, F_SETLK, -1, 0, 1), EINVAL);
    CHECK_ERRNO(lock(fd, F_GETLK, F_UNLCK, 0, 1), EINVAL);
    CHECK_ERRNO(lock(fd, F_GETLK, 7, 0, 1), EINVAL);
    CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, -1, 1), EINVAL);
    CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 5, -6), EINVAL);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 5, -5) == 0);
    CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, INT64_MAX, 2), EOVERFLOW);
    CHECK(lock(fd, F_SETLK, F_WRLCK, INT64_MAX, 1) == 0);
    CHECK(lseek(fd, 10, SEEK_SET) == 10);
    l.l_whence = SEEK_CUR;
    l.l_start = INT64_MAX;
    CHECK_ERRNO(fcntl(fd, F_SETLK, &l), EOVERFLOW);
    l.l_start = -11;
    CHECK_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
    l.l_whence = 4;
    CHECK_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
    l.l_whence = SEEK_SET;
    l.l_start = 0;
    l.l_pid = getpid(); /* open-file-description locks want 0 here */
    CHECK_ERRNO(fcntl(fd, F_OFD_SETLK, &l), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_OFD_SETLKW, &l), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_OFD_GETLK, &l), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_SETLK, (void *)8), EFAULT);
    CHECK_ERRNO(fcntl(fd, F_GETLK, (void *)8), EFAULT);
    CHECK_ERRNO(flock(-1, LOCK_EX), EBADF);
    CHECK_ERRNO(flock(only, LOCK_EX), EBADF);
    CHECK_ERRNO(flock(fd, 0), EINVAL);
    CHECK_ERRNO(flock(fd, LOCK_NB), EINVAL);
    CHECK_ERRNO(flock(fd, LOCK_EX | LOCK_UN), EINVAL);
    CHECK_ERRNO(lockf(fd, 17, 1), EINVAL);
    CHECK_ERRNO(lockf(r, F_LOCK, 1), EBADF);
    close(fd), close(r), close(w), close(only);
}

/* ---- record locks ---- */

static void others_view(int kind)
{
    int fd = open_it();
    pid_t parent = getppid();
    struct flock l;
    switch (kind) {
    case 0: /* the parent has a write lock of [100, 199] */
        l = probe(fd, F_GETLK, 0, 0);
        CHECK(l.l_type == F_WRLCK && l.l_pid == parent && l.l_whence == SEEK_SET);
        CHECK(l.l_start == 100 && l.l_len == 100);
        CHECK(probe(fd, F_GETLK, 0, 100).l_type == F_UNLCK);
        CHECK(probe(fd, F_GETLK, 200, 0).l_type == F_UNLCK);
        CHECK_ERRNO(lock(fd, F_SETLK, F_RDLCK, 199, 1), EAGAIN);
        CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 0, 101), EAGAIN);
        CHECK_ERRNO(lock(fd, F_OFD_SETLK, F_WRLCK, 150, 1), EAGAIN);
        l = probe(fd, F_OFD_GETLK, 0, 0);
        CHECK(l.l_type == F_WRLCK && l.l_pid == parent);
        CHECK(lseek(fd, 150, SEEK_SET) == 150);
        CHECK_ERRNO(lockf(fd, F_TEST, 1), EACCES);
        CHECK_ERRNO(lockf(fd, F_TLOCK, -10), EAGAIN);
        CHECK(lseek(fd, 200, SEEK_SET) == 200);
        CHECK(lockf(fd, F_TEST, 0) == 0);
        CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 100) == 0);
        break;
    case 1: /* a read lock of [0, 9] */
        l = probe(fd, F_GETLK, 0, 0);
        CHECK(l.l_type == F_RDLCK && l.l_pid == parent && l.l_start == 0 && l.l_len == 10);
        l.l_type = F_RDLCK;
        l.l_start = 0;
        l.l_len = 0;
        CHECK(fcntl(fd, F_GETLK, &l) == 0 && l.l_type == F_UNLCK);
        CHECK(l.l_start == 0 && l.l_len == 0); /* nothing else changes */
        CHECK(lock(fd, F_SETLK, F_RDLCK, 0, 0) == 0);
        CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 0, 0), EAGAIN);
        CHECK(lock(fd, F_SETLK, F_WRLCK, 10, 0) == 0);
        break;
    case 2: /* [0, 29] and [40, 49] and [60, end], but for [10, 19] which is read-locked */
        l = probe(fd, F_GETLK, 0, 0);
        CHECK(l.l_type == F_WRLCK && l.l_start == 0 && l.l_len == 10);
        l = probe(fd, F_GETLK, 10, 0);
        CHECK(l.l_type == F_RDLCK && l.l_start == 10 && l.l_len == 10);
        l = probe(fd, F_GETLK, 20, 0);
        CHECK(l.l_type == F_WRLCK && l.l_start == 20 && l.l_len == 10);
        CHECK(probe(fd, F_GETLK, 30, 10).l_type == F_UNLCK);
        l = probe(fd, F_GETLK, 30, 0);
        CHECK(l.l_start == 40 && l.l_len == 10);
        l = probe(fd, F_GETLK, 50, 0);
        CHECK(l.l_start == 60 && l.l_len == 0);
        break;
    case 3: /* nothing is locked */
        CHECK(probe(fd, F_GETLK, 0, 0).l_type == F_UNLCK);
        CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
        break;
    case 4: /* all of [0, end] */
        l = probe(fd, F_GETLK, 5, 1);
        CHECK(l.l_type == F_WRLCK && l.l_start == 0 && l.l_len == 0 && l.l_pid == parent);
        break;
    case 5: /* whole-file locks do not meet record locks */
        CHECK(probe(fd, F_GETLK, 0, 0).l_type == F_UNLCK);
        CHECK_ERRNO(flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
        break;
    }
}

static void test_records(void)
{
    int fd = open_it(), other = open_it();
    CHECK(lock(fd, F_SETLK, F_WRLCK, 100, 100) == 0);
    CHECK(probe(fd, F_GETLK, 0, 0).l_type == F_UNLCK); /* one's own are never in the way */
    CHECK(lock(other, F_SETLK, F_WRLCK, 100, 100) == 0);
    in_child(others_view, 0);
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
    in_child(others_view, 3);
    CHECK(lock(fd, F_SETLK, F_RDLCK, 0, 10) == 0);
    in_child(others_view, 1);
    /* join, cut and change */
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 5) == 0);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 5, 25) == 0);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 50, -10) == 0);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 60, 0) == 0);
    CHECK(lock(fd, F_SETLK, F_RDLCK, 10, 10) == 0);
    in_child(others_view, 2);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
    in_child(others_view, 4);
    CHECK(lock(fd, F_SETLK, F_UNLCK, 30, 10) == 0);
    CHECK(lock(fd, F_SETLK, F_UNLCK, 50, 10) == 0);
    CHECK(lock(fd, F_SETLK, F_RDLCK, 10, 10) == 0);
    in_child(others_view, 2);
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
    /* relative to the position, and to the end */
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = -50, .l_len = 100};
    CHECK(lseek(fd, 150, SEEK_SET) == 150);
    CHECK(fcntl(fd, F_SETLK, &l) == 0);
    in_child(others_view, 0);
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
    CHECK(ftruncate(fd, 300) == 0);
    l = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -100, .l_len = -100};
    CHECK(fcntl(fd, F_SETLK, &l) == 0);
    in_child(others_view, 0);
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
    CHECK(lseek(fd, 100, SEEK_SET) == 100);
    CHECK(lockf(fd, F_LOCK, 100) == 0);
    in_child(others_view, 0);
    CHECK(lockf(fd, F_TEST, 100) == 0);
    CHECK(lockf(fd, F_ULOCK, 0) == 0);
    in_child(others_view, 3);
    close(fd), close(other);
}

static void locks_nothing(int fd)
{
    CHECK(probe(fd, F_GETLK, 0, 1).l_type == F_WRLCK); /* the parent's stayed with the parent */
    CHECK_ERRNO(lock(fd, F_SETLK, F_RDLCK, 0, 1), EAGAIN);
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0); /* and cannot be released here */
    close(fd);
}

/* What releases record locks: the close of any descriptor of the file, and the process's end. */
static void test_release(void)
{
    int fd = open_it(), again, copy, null = open("/dev/null", O_RDWR);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 100, 100) == 0);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
    in_child(locks_nothing, fd);
    in_child(others_view, 4);
    again = open(path, O_RDONLY);
    close(null);
    in_child(others_view, 4);
    close(again);
    in_child(others_view, 3);
    copy = dup(fd);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
    close(copy);
    in_child(others_view, 3);
    copy = dup(fd);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
    null = open("/dev/null", O_RDWR);
    CHECK(dup2(null, copy) == copy);
    in_child(others_view, 3);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
    close(copy);
    in_child(others_view, 4);
    again = open(path, O_PATH); /* opens nothing, so its close means nothing */
    close(again);
    in_child(others_view, 4);
    close(fd), close(null);
    in_child(others_view, 3);
    for (int killed = 0; killed < 2; killed++) { /* at death */
        struct holder h = hold(F_WRLCK, 100, 100);
        fd = open_it();
        CHECK(probe(fd, F_GETLK, 0, 0).l_pid == h.pid);
        CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 0, 0), EAGAIN);
        if (killed) {
            kill(h.pid, SIGKILL);
            CHECK(waitpid(h.pid, NULL, 0) == h.pid);
            close(h.to);
        } else {
            let_go(h);
        }
        CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
        close(fd);
    }
}

/* ---- exec ---- */

static char *self;

/* The program that was exec'd: what the locks taken before are like, seen from a child of it. */
static int after_exec(const char *how)
{
    strcpy(path, getenv("LOCKED"));
    if (!strcmp(how, "kept"))
        in_child(others_view, 4);
    else if (!strcmp(how, "dropped"))
        in_child(others_view, 3);
    else
        CHECK(!strcmp(how, "spawned"));
    return 0;
}

static void exec_with(int cloexec)
{
    int fd = open(path, O_RDWR | (cloexec ? O_CLOEXEC : 0));
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
    setenv("LOCKED", path, 1);
    execl(self, self, cloexec ? "dropped" : "kept", (char *)NULL);
    FAILED("exec");
}

static void vfork_with(int unused)
{
    (void)unused;
    int fd = open_it(), status;
    setenv("LOCKED", path, 1);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
    pid_t pid = vfork();
    if (pid == 0) { /* a process of its own already; what it closes is the parent's still */
        close(fd);
        execl(self, self, "spawned", (char *)NULL);
        _exit(9);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    in_child(others_view, 4);
}

/* ---- open-file-description locks ---- */

static void child_of_ofd(int fd)
{
    CHECK(probe(fd, F_OFD_GETLK, 0, 0).l_type == F_UNLCK); /* it is ours as well */
    CHECK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 5) == 0);
    CHECK(probe(fd, F_GETLK, 0, 0).l_pid == -1);
    CHECK_ERRNO(lock(fd, F_SETLK, F_RDLCK, 0, 1), EAGAIN);
}

static void test_open_file(void)
{
    int a = open_it(), b = open_it(), c;
    struct flock l;
    CHECK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 10) == 0);
    CHECK_ERRNO(lock(b, F_OFD_SETLK, F_WRLCK, 9, 1), EAGAIN); /* the same process, another file */
    l = probe(b, F_OFD_GETLK, 0, 0);
    CHECK(l.l_type == F_WRLCK && l.l_pid == -1 && l.l_start == 0 && l.l_len == 10);
    CHECK_ERRNO(lock(a, F_SETLK, F_WRLCK, 0, 1), EAGAIN); /* record locks are someone else's */
    CHECK(lock(b, F_SETLK, F_WRLCK, 10, 1) == 0);
    CHECK_ERRNO(lock(a, F_OFD_SETLK, F_RDLCK, 10, 1), EAGAIN);
    CHECK(lock(b, F_SETLK, F_UNLCK, 0, 0) == 0);
    in_child(child_of_ofd, a);
    c = dup(a);
    close(a);
    CHECK_ERRNO(lock(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
    close(c); /* the last */
    CHECK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0) == 0);
    CHECK(lock(b, F_OFD_SETLK, F_RDLCK, 0, 0) == 0);
    a = open(path, O_RDONLY);
    CHECK(lock(a, F_OFD_SETLK, F_RDLCK, 3, 4) == 0);
    CHECK_ERRNO(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0), EAGAIN);
    CHECK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 3) == 0);
    CHECK(lock(b, F_OFD_SETLK, F_WRLCK, 7, 0) == 0);
    close(a);
    CHECK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0) == 0);
    close(b);
    in_child(others_view, 3);
}

/* ---- flock ---- */

static void child_of_flock(int fd)
{
    int other = open_it();
    CHECK_ERRNO(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK(flock(fd, LOCK_UN) == 0); /* the lock is the open file's, whoever has it */
    CHECK(flock(other, LOCK_EX | LOCK_NB) == 0);
}

static void test_flock(void)
{
    int a = open_it(), b = open(path, O_RDONLY), d = open("/tmp", O_RDONLY | O_DIRECTORY),
        e = open("/tmp", O_RDONLY);
    CHECK(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH) == 0);
    CHECK_ERRNO(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    /* what could not be changed is gone: flock(2) */
    CHECK(flock(b, LOCK_EX | LOCK_NB) == 0); /* the access mode does not matter */
    CHECK(flock(b, LOCK_UN) == 0);
    CHECK(flock(b, LOCK_UN) == 0);
    CHECK(flock(a, LOCK_EX) == 0);
    CHECK(flock(a, LOCK_EX) == 0);
    in_child(others_view, 5);
    in_child(child_of_flock, a);
    CHECK(flock(a, LOCK_EX | LOCK_NB) == 0);
    int copy = dup(a);
    close(a);
    CHECK_ERRNO(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    close(copy);
    CHECK(flock(b, LOCK_SH | LOCK_NB) == 0);
    close(b);
    CHECK(flock(d, LOCK_EX) == 0); /* directories as well */
    CHECK_ERRNO(flock(e, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    close(d);
    CHECK(flock(e, LOCK_SH | LOCK_NB) == 0);
    close(e);
}

/* ---- waiting ---- */

static volatile int *shared; /* [0]: the holder is done; [1]: signals */

static void wait_for_it(int how)
{
    int fd = open_it();
    CHECK(how == 0   ? lock(fd, F_SETLKW, F_WRLCK, 5, 1) == 0
          : how == 1 ? lock(fd, F_OFD_SETLKW, F_RDLCK, 0, 0) == 0
          : how == 2 ? flock(fd, LOCK_EX) == 0
                     : lockf(fd, F_LOCK, 0) == 0);
    CHECK(shared[0] == 1);
}

static void test_wait(void)
{
    for (int how = 0; how < 4; how++) {
        int fd = open_it();
        CHECK((how == 2 ? flock(fd, LOCK_SH) : lock(fd, F_SETLK, F_WRLCK, 0, 0)) == 0);
        shared[0] = 0;
        pid_t pid[3];
        for (int i = 0; i < 3; i++)
            pid[i] = start(wait_for_it, how);
        sleep_ms(20); /* so that they wait, most times: right either way */
        shared[0] = 1;
        if (how == 0)
            CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
        else if (how == 2)
            CHECK(flock(fd, LOCK_UN) == 0);
        else
            close(fd);
        for (int i = 0; i < 3; i++)
            finish(pid[i]);
        if (how == 0 || how == 2)
            close(fd);
    }
}

static void on_signal(int sig)
{
    (void)sig;
    shared[1]++;
}

static void interrupted(int how)
{
    int fd = open_it();
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = how & 4 ? SA_RESTART : 0};
    struct itimerval every = {{0, 5000}, {0, 5000}};
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    int result = (how & 3) == 0   ? lock(fd, F_SETLKW, F_RDLCK, 0, 0)
                 : (how & 3) == 1 ? lock(fd, F_OFD_SETLKW, F_WRLCK, 0, 0)
                                  : flock(fd, LOCK_SH);
    if (how & 4)
        CHECK(result == 0 && shared[0] == 1);
    else
        CHECK(result == -1 && errno == EINTR);
}

static void test_signals(void)
{
    for (int how = 0; how < 8; how++) {
        if ((how & 3) == 3)
            continue;
        int fd = open_it();
        CHECK(((how & 3) == 2 ? flock(fd, LOCK_EX) : lock(fd, F_SETLK, F_WRLCK, 0, 0)) == 0);
        shared[0] = shared[1] = 0;
        pid_t pid = start(interrupted, how);
        if (how & 4) {
            while (shared[1] < 3)
                sleep_ms(1);
            shared[0] = 1;
            CHECK(flock(fd, LOCK_UN) == 0); /* the child has this open file, too */
            close(fd);
            finish(pid);
        } else {
            finish(pid);
            close(fd);
        }
    }
}

/* Whoever waits and is killed does not get the lock, and is in nobody's way. */
static void test_killed_waiter(void)
{
    int fd = open_it();
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
    pid_t pid = start(wait_for_it, 0);
    sleep_ms(20);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    close(fd);
    fd = open_it();
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
    close(fd);
}

/* ---- deadlock ---- */

/* Locks its own byte, tells, waits for all, then wants the next one's: exits 1 for EDEADLK. */
static void in_a_ring(int i, int n, int ready, int go)
{
    int fd = open_it();
    char c;
    CHECK(lock(fd, F_SETLK, F_WRLCK, i, 1) == 0);
    CHECK(write(ready, "r", 1) == 1);
    CHECK(read(go, &c, 1) == 1);
    if (lock(fd, F_SETLKW, F_WRLCK, (i + 1) % n, 1) == 0)
        _exit(0);
    CHECK(errno == EDEADLK);
    _exit(1);
}

static void test_deadlock(void)
{
    for (int n = 2; n < 8; n += 3) {
        int ready[2], go[2], status, deadlocks = 0;
        char c[8];
        CHECK(pipe(ready) == 0 && pipe(go) == 0);
        for (int i = 0; i < n; i++) {
            pid_t pid = fork();
            CHECK(pid >= 0);
            if (pid == 0)
                in_a_ring(i, n, ready[1], go[0]);
        }
        for (int i = 0; i < n; i++)
            CHECK(read(ready[0], c, 1) == 1);
        CHECK(write(go[1], "12345678", (size_t)n) == n);
        for (int i = 0; i < n; i++) {
            CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) < 2);
            deadlocks += WEXITSTATUS(status);
        }
        CHECK(deadlocks == 1);
        close(ready[0]), close(ready[1]), close(go[0]), close(go[1]);
    }
}

/* ---- threads ---- */

static void *waiting_thread(void *argument)
{
    int fd = *(int *)argument;
    CHECK(lock(fd, F_SETLKW, F_WRLCK, 150, 1) == 0);
    return NULL;
}

/* A thread waits; the others of its process go on locking meanwhile. */
static void test_threads(void)
{
    struct holder h = hold(F_WRLCK, 100, 100);
    int fd = open_it();
    pthread_t t;
    CHECK0(pthread_create(&t, NULL, waiting_thread, &fd));
    for (int i = 0; i < 50; i++) {
        CHECK(lock(fd, F_SETLK, F_WRLCK, i, 1) == 0);
        CHECK_ERRNO(lock(fd, F_SETLK, F_RDLCK, 100 + i, 1), EAGAIN);
    }
    let_go(h);
    CHECK0(pthread_join(t, NULL));
    close(fd);
    in_child(others_view, 3);
}

/* ---- many ---- */

/* Random ranges against a model of them, a byte each; a child looks after each hundred. */
#define BYTES 64
static unsigned char model[BYTES];

static void compare(int unused)
{
    (void)unused;
    int fd = open_it();
    for (int i = 0; i < BYTES; i++) {
        struct flock l = probe(fd, F_GETLK, i, 1);
        int is = l.l_type == F_UNLCK ? 0 : l.l_type == F_RDLCK ? 1 : 2;
        if (is != model[i])
            FAILED("byte %d: %d, should be %d", i, is, model[i]);
    }
}

static void test_model(void)
{
    int fd = open_it();
    srandom(7);
    for (int i = 0; i < 600; i++) {
        int from = (int)(random() % BYTES), length = (int)(random() % (BYTES - from)) + 1,
            type = (int)(random() % 3);
        CHECK(lock(fd, F_SETLK,
                   (short)(type == 0   ? F_UNLCK
                           : type == 1 ? F_RDLCK
                                       : F_WRLCK),
                   from, length) == 0);
        memset(model + from, type, (size_t)length);
        if (i % 100 == 99)
            in_child(compare, 0);
    }
    close(fd);
    in_child(others_view, 3);
}

/* /proc/locks names the kind and the file of each. */
static void test_proc(void)
{
    int fd = open_it(), found = 0;
    char line[256], kind[16], type[16];
    unsigned long ino;
    long pid, start_at;
    char end[32];
    struct stat st;
    CHECK(lock(fd, F_SETLK, F_WRLCK, 3, 4) == 0 && flock(fd, LOCK_SH) == 0);
    CHECK(lock(fd, F_OFD_SETLK, F_RDLCK, 100, 0) == 0);
    CHECK(fstat(fd, &st) == 0);
    FILE *f = fopen("/proc/locks", "r");
    CHECK(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%*d: %15s ADVISORY %15s %ld %*x:%*x:%lu %ld %31s", kind, type, &pid, &ino,
                   &start_at, end) != 6 ||
            ino != st.st_ino)
            continue;
        if (!strcmp(kind, "POSIX") && !strcmp(type, "WRITE") && pid == getpid() && start_at == 3 &&
            !strcmp(end, "6"))
            found |= 1;
        if (!strcmp(kind, "FLOCK") && !strcmp(type, "READ") && pid == getpid() && start_at == 0 &&
            !strcmp(end, "EOF"))
            found |= 2;
        if (!strcmp(kind, "OFDLCK") && !strcmp(type, "READ") && pid == -1 && start_at == 100 &&
            !strcmp(end, "EOF"))
            found |= 4;
    }
    CHECK(found == 7);
    fclose(f);
    close(fd);
}

int main(int argc, char **argv)
{
    char name[256] = "";
    if (argc > 1)
        return after_exec(argv[1]);
    CHECK(readlink("/proc/self/exe", name, sizeof name - 1) > 0);
    self = name;
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    test_errors();
    test_records();
    test_release();
    in_child(exec_with, 0);
    in_child(exec_with, 1);
    in_child(vfork_with, 0);
    test_open_file();
    test_flock();
    test_wait();
    test_signals();
    test_killed_waiter();
    test_deadlock();
    test_threads();
    test_model();
    test_proc();
    unlink(path);
    puts("ok");
    return 0;
}
