/* SPDX-License-Identifier: MIT */
/* A part of a test that changes what a process cannot change back runs in a child. */
#ifndef CHILD_H
#define CHILD_H

#include "check.h"

#include <stdbool.h>
#include <sys/syscall.h>
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

#define CAP_SYS_ADMIN    21
#define CAP_SYS_NICE     23
#define CAP_SYS_RESOURCE 24

/* Root of a container may lack what root of a machine has: capget(2). */
static inline bool may(unsigned capability)
{
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522u, 0};
    struct {
        uint32_t effective, permitted, inheritable;
    } set[2];
    CHECK(syscall(SYS_capget, &header, set) == 0);
    return set[capability / 32].effective >> capability % 32 & 1;
}

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
