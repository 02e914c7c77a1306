/* SPDX-License-Identifier: MIT */
/* SIGIO (F_SETOWN, F_SETSIG, O_ASYNC): who is told that an end of a pipe or a socket has news. */
#include "local.h"

#include <errno.h>
#include <signal.h>

int64_t async_set(struct async *a, const struct motor_event *ev)
{
    int32_t signal = (int32_t)ev->word[1];
    if (signal < 0 || signal > 64)
        return -EINVAL;
    *a = (struct async){.owner = (int32_t)ev->word[0],
                        .signal = signal ? signal : SIGIO,
                        .on = ev->word[2],
                        .uid = ev->uid};
    return 0;
}

/* May who asked for it send a signal there? The leader speaks for a group. */
static bool may_signal(const struct async *a)
{
    struct motor_process_info info;
    if (!a->uid)
        return true;
    uint32_t pid = a->owner < 0 ? 0u - (uint32_t)a->owner : (uint32_t)a->owner;
    int64_t h = motor_process_open(pid, MOTOR_RIGHT_READ);
    if (h < 0)
        return false;
    int64_t status = motor_process_info((motor_handle)h, MOTOR_PINFO_BASIC, &info, sizeof info);
    motor_handle_close((motor_handle)h);
    return status >= 0 && (info.ruid == a->uid || info.suid == a->uid);
}

void async_tell(const struct async *a)
{
    struct motor_signal signal = {.signo = a->signal, .code = SI_KERNEL};
    if (a->on && a->owner && may_signal(a))
        motor_signal_send(a->owner < 0 ? MOTOR_TO_GROUP : MOTOR_TO_PROCESS,
                          a->owner < 0 ? 0u - (uint32_t)a->owner : (uint32_t)a->owner, &signal);
}
