/* SPDX-License-Identifier: MIT */
/*
 * What only sockets have, between two processes that have already said much to each other: least
 * amounts, timeouts, descriptors, credentials, shutdown, SIGIO. unix(7), socket(7), recv(2).
 */
#include "warm_waits.h"

static void sends_descriptor(void)
{
    int p[2];
    CHECK0(pipe(p));
    CHECK(write(p[1], "inside", 6) == 6 && write(far.out, "ab", 2) == 2);
    send_fd(far.out, "c", p[0]);
    CHECK(write(far.out, "d", 1) == 1);
    close(p[0]);
    close(p[1]);
    warm(far, false);
}

/* A descriptor stays between the bytes that it was sent between. */
static void test_descriptor(void)
{
    int fd;
    pid_t pid = start(sends_descriptor);
    CHECK(receive_fd(near.in, block, 2, &fd) == 2 && fd == -1 && equal(block, "ab"));
    CHECK(receive_fd(near.in, block, 9, &fd) == 1 && fd >= 0 && block[0] == 'c');
    CHECK(read(fd, block, 9) == 6 && equal(block, "inside") && read(fd, block, 9) == 0);
    CHECK(read(near.in, block, 1) == 1 && block[0] == 'd');
    close(fd);
    warm(near, true);
    end(pid);
}

static void sends_signed(void)
{
    await(1);
    CHECK(write(far.out, "x", 1) == 1);
    await(2);
}

static void test_credentials(void)
{
    int on = 1;
    char byte;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } c = {0};
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
    m.msg_controllen = sizeof c;
    pid_t pid = start(sends_signed);
    CHECK0(setsockopt(near.in, SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    say(1);
    CHECK(recvmsg(near.in, &m, 0) == 1 && CMSG_FIRSTHDR(&m));
    struct ucred who;
    memcpy(&who, CMSG_DATA(&c.header), sizeof who);
    CHECK(c.header.cmsg_type == SCM_CREDENTIALS && who.pid == pid && who.uid == getuid());
    say(2);
    end(pid);
}

static void shuts(void)
{
    CHECK(write(far.out, "last", 4) == 4 && shutdown(far.out, SHUT_WR) == 0);
    say(1);
    CHECK_ERRNO(send(far.out, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(read(far.in, block, 9) == 4 && equal(block, "back"));
    CHECK0(shutdown(far.in, SHUT_RD));
    say(2);
    await(3);
}

static void test_shutdown(void)
{
    pid_t pid = start(shuts);
    await(1);
    CHECK(events(near.in, POLLIN | POLLOUT | POLLRDHUP, 0) == (POLLIN | POLLOUT | POLLRDHUP));
    CHECK(read(near.in, block, 9) == 4 && equal(block, "last") && read(near.in, block, 9) == 0);
    CHECK(write(near.out, "back", 4) == 4);
    await(2);
    CHECK_ERRNO(send(near.out, "x", 1, MSG_NOSIGNAL), EPIPE);
    say(3);
    end(pid);
}

static void test_async(void)
{
    int on = 1;
    pid_t pid = start(sends_signed);
    signal(SIGIO, on_signal);
    got = 0;
    CHECK(fcntl(near.in, F_SETOWN, getpid()) == 0 && ioctl(near.in, FIOASYNC, &on) == 0);
    say(1);
    for (int i = 0; i < 2000 && !got; i++)
        sleep_ms(2);
    CHECK(got == SIGIO && read(near.in, block, 9) == 1);
    on = 0;
    CHECK0(ioctl(near.in, FIOASYNC, &on));
    say(2);
    end(pid);
}

int main(void)
{
    prepare();
    for (kind = PAIR; kind < UNIX_KINDS; kind++) {
        test_least();
        test_timeouts();
        test_descriptor();
        test_credentials();
        test_shutdown();
        test_async();
    }
    CHECK0(rmdir(directory));
    return 0;
}
