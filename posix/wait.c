/* SPDX-License-Identifier: MIT */
/* Waiting for children: wait4, waitid; what they have used. */
#include "fd.h"
#include "internal.h"
#include "pidfd.h"

#define WNOHANG    1
#define WUNTRACED  2 /* waitid: WSTOPPED */
#define WEXITED    4
#define WCONTINUED 8
#define WNOWAIT    0x1000000
#define W_CLONES \
    ((int)0xe0000000) /* __WNOTHREAD, __WALL, __WCLONE: all children are alike here \
                       */

#define P_ALL   0
#define P_PID   1
#define P_PGID  2
#define P_PIDFD 3

#define CLD_EXITED    1
#define CLD_KILLED    2
#define CLD_STOPPED   5
#define CLD_CONTINUED 6

#define NS 1000000000ull

static uint32_t kernel_options(int options)
{
    return (options & WEXITED ? MOTOR_WAIT_EXITED : 0) |
           (options & WUNTRACED ? MOTOR_WAIT_STOPPED : 0) |
           (options & WCONTINUED ? MOTOR_WAIT_CONTINUED : 0) |
           (options & WNOWAIT ? MOTOR_WAIT_KEEP : 0);
}

/* 1: w is filled; 0: none is ready and WNOHANG; -ECHILD, or a restart code. */
static long wait_child(uint32_t which, uint32_t id, int options, struct motor_wait *w)
{
    uint32_t what = kernel_options(options);
    if (px_proc()->vfork) {
        return -ECHILD;
    }
    for (;;) {
        bool interrupted = px_interrupted(), look = interrupted || (options & WNOHANG);
        int64_t status = motor_process_wait(which, id, what | (look ? MOTOR_WAIT_NOHANG : 0), w);
        if (status == -MOTOR_ENOENT) {
            return -ECHILD;
        }
        if (status < 0 && status != -MOTOR_EINTR) {
            return px_errno(status);
        }
        if (status >= 0 && w->pid) {
            if (w->code != CLD_EXITED && w->code < CLD_STOPPED && !(options & WNOWAIT)) {
                px_descs_child_killed(w->pid);
            }
            return 1;
        }
        if (options & WNOHANG) {
            return 0;
        }
        if (interrupted) {
            return -PX_ERESTARTSYS;
        }
        px_take_interruption();
    }
}

static int32_t status_word(const struct motor_wait *w)
{
    switch (w->code) {
    case CLD_EXITED:
        return (int32_t)(w->status << 8);
    case CLD_STOPPED:
        return (int32_t)(w->status << 8 | 0x7f);
    case CLD_CONTINUED:
        return 0xffff;
    default:
        return (int32_t)w->status;
    }
}

static long usage_out(void *user, const struct motor_wait *w)
{
    int64_t u[18] = {
        (int64_t)(w->user_ns / NS),      (int64_t)(w->user_ns % NS / 1000),
        (int64_t)(w->system_ns / NS),    (int64_t)(w->system_ns % NS / 1000),
        (int64_t)(w->memory_max / 1024),
    };
    return user ? px_copy_out(user, u, sizeof(u)) : 0;
}

long px_sys_wait4(int pid, void *status, int options, void *usage)
{
    struct motor_wait w = {0};
    if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | W_CLONES)) {
        return -EINVAL;
    }
    if (pid == INT32_MIN) {
        return -ESRCH;
    }
    uint32_t which = pid > 0 ? MOTOR_WAIT_PID : pid == -1 ? MOTOR_WAIT_ANY : MOTOR_WAIT_GROUP;
    uint32_t id = pid > 0 ? (uint32_t)pid : pid ? (uint32_t)-pid : (uint32_t)px_sys_getpgrp();
    long result = wait_child(which, id, options | WEXITED, &w);
    if (result <= 0) {
        return result;
    }
    if (status && px_store32(status, (uint32_t)status_word(&w)) < 0) {
        return -EFAULT;
    }
    return usage_out(usage, &w) < 0 ? -EFAULT : (long)w.pid;
}

long px_sys_waitid(int type, int id, void *user, int options, void *usage)
{
    struct motor_wait w = {0};
    struct px_siginfo info = {0};
    if ((options & ~(WNOHANG | WUNTRACED | WEXITED | WCONTINUED | WNOWAIT | W_CLONES)) ||
        !(options & (WUNTRACED | WEXITED | WCONTINUED)) || type < P_ALL || type > P_PIDFD ||
        (type == P_PID && id <= 0) || (type == P_PGID && id < 0)) {
        return -EINVAL;
    }
    bool nonblock = false;
    if (type == P_PIDFD && (id = (int)px_pidfd_pid(id, &nonblock)) < 0) {
        return id == -ESRCH ? -ECHILD : id;
    }
    bool asked = options & WNOHANG;
    options |= nonblock ? WNOHANG : 0;
    uint32_t which = type == P_ALL    ? MOTOR_WAIT_ANY
                     : type == P_PGID ? MOTOR_WAIT_GROUP
                                      : MOTOR_WAIT_PID;
    uint32_t number = type == P_PGID && !id ? (uint32_t)px_sys_getpgrp() : (uint32_t)id;
    long result = wait_child(which, number, options, &w);
    if (result < 0 || (nonblock && !result && !asked)) {
        return result < 0 ? result : -EAGAIN;
    }
    if (result) {
        info = (struct px_siginfo){.signo = SIGCHLD, .code = (int32_t)w.code};
        info.pid = (int32_t)w.pid;
        info.uid = w.uid;
        info.value = w.status;
    }
    if (usage_out(usage, &w) < 0 || (user && px_copy_out(user, &info, sizeof(info)) < 0)) {
        return -EFAULT;
    }
    return 0;
}
