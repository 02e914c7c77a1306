/* SPDX-License-Identifier: MIT */
/* The descriptor table and epoll against simple models, with random operations on eventfds. */
#include "host.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FDS   200 /* and the limit */
#define FILES 400

static struct { /* what a descriptor leads to */
    int file;   /* 0: free */
    bool cloexec;
} table[FDS];
static struct {
    int descriptors;
    uint64_t value;
} files[FILES];

struct interest {
    bool used, off, queued; /* queued: for edges, there is something untold */
    uint32_t events;
    int file;
} interest[FDS];

static uint64_t seed;
static int epoll_fd;

static int lowest(int from)
{
    while (from < FDS && (table[from].file || from == epoll_fd))
        from++;
    return from < FDS ? from : -1;
}

static int new_file(uint64_t value)
{
    for (int i = 1; i < FILES; i++)
        if (!files[i].descriptors) {
            files[i].descriptors = 1;
            files[i].value = value;
            return i;
        }
    abort();
}

static void drop(int fd)
{
    int file = table[fd].file;
    table[fd].file = 0;
    if (file && --files[file].descriptors == 0)
        for (int i = 0; i < FDS; i++)
            if (interest[i].used && interest[i].file == file)
                interest[i].used = false;
}

static uint32_t ready(int file, uint32_t events)
{
    return ((files[file].value ? EPOLLIN : 0) |
            (files[file].value < UINT64_MAX - 1 ? EPOLLOUT : 0)) &
           events;
}

static void changed(int file)
{
    for (int i = 0; i < FDS; i++)
        if (interest[i].used && !interest[i].off && interest[i].file == file &&
            ready(file, interest[i].events))
            interest[i].queued = true;
}

static void check_wait(void)
{
    struct epoll_event out[FDS];
    bool told[FDS] = {0};
    int max = 1 + (int)(next_random(&seed) % FDS);
    long n = px_sys_epoll_wait(epoll_fd, out, max, 0);
    int expected = 0;
    CHECK(n >= 0);
    for (int i = 0; i < FDS; i++)
        if (interest[i].used && !interest[i].off && ready(interest[i].file, interest[i].events) &&
            (interest[i].queued || !(interest[i].events & EPOLLET)))
            expected++;
    CHECK(n == (expected < max ? expected : max));
    for (long k = 0; k < n; k++) {
        int i = (int)out[k].data.u32;
        CHECK(i < FDS && !told[i] && interest[i].used && !interest[i].off);
        CHECK(out[k].events == ready(interest[i].file, interest[i].events) && out[k].events);
        CHECK(!(interest[i].events & EPOLLET) || interest[i].queued);
        told[i] = true;
        interest[i].queued = false;
        if (interest[i].events & EPOLLONESHOT)
            interest[i].off = true;
    }
    for (int i = 0; i < FDS && n < max; i++) /* an edge that is no longer true is gone */
        interest[i].queued = false;
}

static void check_control(void)
{
    int fd = (int)(next_random(&seed) % FDS), op = 1 + (int)(next_random(&seed) % 3);
    uint32_t events = (uint32_t)next_random(&seed) & (EPOLLIN | EPOLLOUT | EPOLLET | EPOLLONESHOT);
    struct epoll_event e = {.events = events, .data.u32 = (uint32_t)fd};
    long result = px_sys_epoll_ctl(epoll_fd, op, fd, &e);
    if (fd == epoll_fd) {
        CHECK(result == -EINVAL);
        return;
    }
    if (!table[fd].file) {
        CHECK(result == -EBADF);
        return;
    }
    bool there = interest[fd].used && interest[fd].file == table[fd].file;
    /* of a file that another descriptor keeps alive: it stays; keep the model simple */
    if (interest[fd].used && !there) {
        if (result == 0 && op == EPOLL_CTL_ADD)
            CHECK(px_sys_epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL) == 0);
        return;
    }
    CHECK(result == (op == EPOLL_CTL_ADD ? (there ? -EEXIST : 0) : there ? 0 : -ENOENT));
    if (result < 0)
        return;
    interest[fd] = (struct interest){op != EPOLL_CTL_DEL, false, false, events, table[fd].file};
    if (op != EPOLL_CTL_DEL)
        interest[fd].queued = ready(table[fd].file, events);
}

static void step(void)
{
    int fd = (int)(next_random(&seed) % FDS), to = (int)(next_random(&seed) % (FDS + 3)) - 1;
    long result;
    uint64_t value = next_random(&seed) % 3;
    if (fd == epoll_fd || to == epoll_fd)
        return;
    switch (next_random(&seed) % 9) {
    case 0: {
        int want = lowest(0);
        result = px_sys_eventfd2((unsigned)value, O_NONBLOCK | (fd % 2 ? O_CLOEXEC : 0));
        CHECK(result == (want < 0 ? -EMFILE : want));
        if (want >= 0) {
            table[want].file = new_file(value);
            table[want].cloexec = fd % 2;
        }
        break;
    }
    case 1:
        result = px_sys_close(fd);
        CHECK(result == (table[fd].file ? 0 : -EBADF));
        drop(fd);
        break;
    case 2: {
        int want = to < 0 ? 0 : lowest(to);
        result = to < 0 ? px_sys_dup(fd) : px_sys_fcntl(fd, F_DUPFD_CLOEXEC, (unsigned long)to);
        want = to < 0 ? lowest(0) : want;
        if (to >= FDS)
            CHECK(result == -EINVAL || result == -EBADF);
        else
            CHECK(result == (!table[fd].file ? -EBADF : want < 0 ? -EMFILE : want));
        if (result >= 0) {
            table[result].file = table[fd].file;
            table[result].cloexec = to >= 0;
            files[table[fd].file].descriptors++;
        }
        break;
    }
    case 3:
        result = px_sys_dup2(fd, to);
        if (to < 0 || to >= FDS || !table[fd].file) {
            CHECK(result == -EBADF);
        } else {
            CHECK(result == to);
            if (fd != to) {
                files[table[fd].file].descriptors++;
                drop(to);
                table[to].file = table[fd].file;
                table[to].cloexec = false;
            }
        }
        break;
    case 4:
        result = px_sys_fcntl(fd, F_GETFD, 0);
        CHECK(result == (table[fd].file ? table[fd].cloexec : -EBADF));
        break;
    case 5: {
        uint64_t n = 0;
        result = px_sys_read(fd, &n, 8);
        int file = table[fd].file;
        CHECK(result == (!file ? -EBADF : files[file].value ? 8 : -EAGAIN));
        if (result == 8) {
            CHECK(n == files[file].value);
            files[file].value = 0;
            changed(file);
        }
        break;
    }
    case 6: {
        int file = table[fd].file;
        result = px_sys_write(fd, &value, 8);
        CHECK(result == (file ? 8 : -EBADF));
        if (file) {
            files[file].value += value;
            changed(file);
        }
        break;
    }
    case 7:
        check_control();
        break;
    case 8:
        check_wait();
        break;
    }
}

int main(int argc, char **argv)
{
    int last = argc > 1 ? atoi(argv[1]) + 1 : 6;
    alarm(120);
    host_start();
    host_set_nofile(FDS);
    epoll_fd = (int)px_sys_epoll_create1(0);
    CHECK(epoll_fd == 0);
    for (int round = argc > 1 ? last - 1 : 1; round < last; round++) {
        seed = (uint64_t)round * 7919 + 1;
        for (int i = 0; i < 100000; i++)
            step();
    }
    CHECK(px_sys_close_range(0, ~0u, 0) == 0);
    CHECK(px_sys_fcntl(0, F_GETFD, 0) == -EBADF);
    _exit(0);
}
