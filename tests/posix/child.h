/* SPDX-License-Identifier: MIT */
/* A part of a test that changes what a process cannot change back runs in a child. */
#ifndef CHILD_H
#define CHILD_H

#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

static inline void finish(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status)
        FAILED("child: status %x", status);
}

/* Runs the statements in a child, which must not fail in them. */
#define IN_CHILD(...) \
    do { \
        pid_t pid_ = fork(); \
        CHECK(pid_ >= 0); \
        if (pid_ == 0) { \
            __VA_ARGS__; \
            _exit(0); \
        } \
        finish(pid_); \
    } while (0)

/* A pid that nobody has any more. */
static inline pid_t gone_pid(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(0);
    finish(pid);
    return pid;
}

#endif
