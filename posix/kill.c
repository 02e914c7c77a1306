/* SPDX-License-Identifier: MIT */
/*
 * Sending signals to processes, and taking those that came. A signal to this process is its own
 * affair (signal.c); others go through the kernel, which judges who may, and keeps them until the
 * target fetches them.
 */
#include "internal.h"

_Static_assert(sizeof(struct px_siginfo) == sizeof(struct motor_signal), "both are Linux's");

#define FETCH 8u

/* ---- what came ---- */

void px_signals_fetch(void)
{
    struct px_process *p = px_home();
    struct motor_signal batch[FETCH];
    int64_t n;
    do {
        n = motor_signal_fetch(batch, FETCH);
        for (int64_t i = 0; i < n; i++) {
            struct px_siginfo info;
            memcpy(&info, &batch[i], sizeof(info));
            uint32_t tid = batch[i].thread;
            if (info.code == IO_TRACE_CODE && batch[i].data[0] >> 32 == IO_TRACE_SENDER) {
                px_trace_attach((motor_handle)batch[i].data[0]);
                continue;
            }
            info.of_timer = 0;
            if (info.signo < 1 || info.signo > NSIG) {
                continue;
            }
            if (!tid || px_signal_send_tid(p, tid, &info) == -ESRCH) {
                px_signal_send(p, NULL, &info);
            }
        }
    } while (n == FETCH);
}

static void hand_over(const struct px_siginfo *info)
{
    struct motor_signal s;
    memcpy(&s, info, sizeof(s));
    s.thread = 0;
    if (!info->of_timer) { /* timers end with the program */
        motor_signal_send(MOTOR_TO_PROCESS, px_proc()->pid, &s);
    }
}

void px_signals_hand_over(struct px_thread *t)
{
    struct px_siginfo info;
    while (px_signal_take_pending(t, &info)) {
        hand_over(&info);
    }
}

/* ---- kill ---- */

static long send(uint32_t to, uint32_t id, const struct px_siginfo *info, uint32_t tid)
{
    struct motor_signal s;
    memcpy(&s, info, sizeof(s));
    s.thread = tid;
    int64_t status = motor_signal_send(to, id, &s);
    return status == -MOTOR_ENOENT ? -ESRCH : px_errno(status);
}

long px_sys_kill(int pid, int sig)
{
    struct px_process *p = px_proc();
    if (sig < 0 || sig > NSIG) {
        return -EINVAL;
    }
    struct px_siginfo info = px_info_self(sig, SI_USER);
    if (pid == (int)p->pid) {
        if (sig) {
            px_signal_send(p, NULL, &info);
            px_signalfd_poke(p);
        }
        return 0;
    }
    if (pid > 0) {
        return send(MOTOR_TO_PROCESS, (uint32_t)pid, &info, 0);
    }
    if (pid == -1) {
        return send(MOTOR_TO_ALL, 0, &info, 0);
    }
    if (pid == INT32_MIN) {
        return -ESRCH;
    }
    return send(MOTOR_TO_GROUP, pid ? (uint32_t)-pid : (uint32_t)px_sys_getpgrp(), &info, 0);
}

/* The low bits of a tid name its process: see thread.c. */
static uint32_t pid_of(uint32_t tid)
{
    return tid & 0xffff;
}

static long send_thread(uint32_t pid, uint32_t tid, const struct px_siginfo *info)
{
    struct px_process *p = px_proc();
    if (pid == p->pid) {
        long status = px_signal_send_tid(p, tid, info);
        px_signalfd_poke(p);
        return status;
    }
    if (pid_of(tid) != pid) {
        return -ESRCH;
    }
    return send(MOTOR_TO_PROCESS, pid, info, tid == pid ? 0 : tid);
}

long px_sys_tkill(int tid, int sig)
{
    if (tid <= 0 || sig < 0 || sig > NSIG) {
        return -EINVAL;
    }
    struct px_siginfo info = px_info_self(sig, SI_TKILL);
    long status = px_signal_send_tid(px_proc(), (uint32_t)tid, &info);
    uint32_t pid = pid_of((uint32_t)tid);
    px_signalfd_poke(px_proc());
    return status == -ESRCH && pid != px_proc()->pid ? send_thread(pid, (uint32_t)tid, &info)
                                                     : status;
}

long px_sys_tgkill(int pid, int tid, int sig)
{
    if (pid <= 0 || tid <= 0 || sig < 0 || sig > NSIG) {
        return -EINVAL;
    }
    struct px_siginfo info = px_info_self(sig, SI_TKILL);
    return send_thread((uint32_t)pid, (uint32_t)tid, &info);
}

static long info_in(int sig, const void *user, struct px_siginfo *info)
{
    if (px_copy_in(info, user, sizeof(*info)) < 0) {
        return -EFAULT;
    }
    info->signo = sig;
    info->of_timer = 0;
    return 0;
}

static bool forged(const struct px_siginfo *info)
{
    return info->code >= 0 || info->code == SI_TKILL;
}

long px_sys_rt_sigqueueinfo(int pid, int sig, const void *user)
{
    struct px_process *p = px_proc();
    struct px_siginfo info;
    long status = info_in(sig, user, &info);
    if (status < 0) {
        return status;
    }
    if (pid != (int)p->pid && forged(&info)) {
        return -EPERM;
    }
    if (sig < 0 || sig > NSIG) {
        return -EINVAL;
    }
    if (pid <= 0) {
        return -ESRCH;
    }
    if (pid == (int)p->pid) {
        status = sig ? px_signal_send(p, NULL, &info) : 0;
        px_signalfd_poke(p);
        return status;
    }
    return send(MOTOR_TO_PROCESS, (uint32_t)pid, &info, 0);
}

long px_sys_rt_tgsigqueueinfo(int pid, int tid, int sig, const void *user)
{
    struct px_siginfo info;
    if (pid <= 0 || tid <= 0) {
        return -EINVAL;
    }
    long status = info_in(sig, user, &info);
    if (status < 0) {
        return status;
    }
    if (pid != (int)px_proc()->pid && forged(&info)) {
        return -EPERM;
    }
    if (sig < 0 || sig > NSIG) {
        return -EINVAL;
    }
    return send_thread((uint32_t)pid, (uint32_t)tid, &info);
}
