/* SPDX-License-Identifier: MIT */
/* Checks for test programs: silent while they hold; else one clear line and status 1. */
#ifndef TESTS_POSIX_CHECK_H
#define TESTS_POSIX_CHECK_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAILED(...) \
    do { \
        int saved_errno_ = errno; \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
        fprintf(stderr, __VA_ARGS__); \
        fprintf(stderr, " (errno %d: %s)\n", saved_errno_, strerror(saved_errno_)); \
        _exit(1); \
    } while (0)

/* The condition holds. */
#define CHECK(condition) \
    do { \
        if (!(condition)) \
            FAILED("%s is false", #condition); \
    } while (0)

/* A call that returns an error number (pthread style) returns 0. */
#define CHECK0(call) \
    do { \
        int result_ = (call); \
        if (result_) \
            FAILED("%s gave %d (%s)", #call, result_, strerror(result_)); \
    } while (0)

/* A call that returns -1 on error fails with exactly this errno. */
#define CHECK_ERRNO(call, expected) \
    do { \
        errno = 0; \
        long result_ = (long)(call); \
        if (result_ != -1 || errno != (expected)) \
            FAILED("%s gave %ld, wanted -1 with %s", #call, result_, strerror(expected)); \
    } while (0)

static inline double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

#endif
