/* SPDX-License-Identifier: MIT */
/* Least amounts and timeouts of sockets of warm.h, UNIX and TCP: socket(7), recv(2). */
#ifndef WARM_WAITS_H
#define WARM_WAITS_H

#include "warm.h"

static inline void set(int fd, int level, int name, int value)
{
    CHECK0(setsockopt(fd, level, name, &value, sizeof value));
}

static inline void sends_slowly(void)
{
    for (uint32_t i = 1; i <= 2; i++) {
        await(i);
        CHECK(write(far.out, "1234", 4) == 4);
        sleep_ms(20);
        CHECK(write(far.out, "567890", 6) == 6);
    }
    await(3);
}

static inline void test_least(void)
{
    pid_t pid = start(sends_slowly);
    set(near.in, SOL_SOCKET, SO_RCVLOWAT, 10);
    say(1);
    CHECK(recv(near.in, block, 20, 0) == 10 && equal(block, "1234567890"));
    set(near.in, SOL_SOCKET, SO_RCVLOWAT, 1);
    say(2);
    CHECK(recv(near.in, block, 9, MSG_WAITALL) == 9 && recv(near.in, block, 9, 0) == 1);
    say(3);
    end(pid);
}

static inline void waits(void)
{
    await(1);
}

static inline void test_timeouts(void)
{
    struct timeval tv = {0, 50000};
    pid_t pid = start(waits);
    CHECK0(setsockopt(near.in, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    CHECK0(setsockopt(near.in, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv));
    for (int i = 0; i < 2; i++) {
        double begin = seconds_now();
        CHECK_ERRNO(recv(near.in, block, 1, 0), EAGAIN);
        CHECK(seconds_now() - begin >= 0.045);
    }
    CHECK_ERRNO(recv(near.in, block, 1, MSG_DONTWAIT), EAGAIN);
    ssize_t n, sent = 0;
    double begin = 0;
    do {
        begin = seconds_now();
        n = send(near.out, block, 100000, 0);
        sent += n > 0 ? n : 0;
    } while (n > 0 && sent < 40000000);
    CHECK(n == -1 && errno == EAGAIN && seconds_now() - begin >= 0.045);
    say(1);
    end(pid);
}

#endif
