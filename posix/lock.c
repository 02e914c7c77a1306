/* SPDX-License-Identifier: MIT */
/* The runtime's own locks, waits on words, calls to servers. */
#include "internal.h"

void px_lock(struct px_mutex *m)
{
    uint32_t seen = 0;
    if (__atomic_compare_exchange_n(&m->word, &seen, 1, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED)) {
        return;
    }
    while (__atomic_exchange_n(&m->word, 2, __ATOMIC_ACQUIRE) != 0) {
        motor_futex_wait(&m->word, 2, MOTOR_FUTEX_NOINTR, MOTOR_NEVER, 0);
    }
}

bool px_trylock(struct px_mutex *m)
{
    uint32_t seen = 0;
    return __atomic_compare_exchange_n(&m->word, &seen, 1, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

void px_unlock(struct px_mutex *m)
{
    if (__atomic_exchange_n(&m->word, 0, __ATOMIC_RELEASE) == 2) {
        motor_futex_wake(&m->word, 1, 0);
    }
}

/*
 * A signal can come before the first look (then px_interrupted() sees it), or later: then its
 * sender interrupts this thread, which the kernel remembers until it is acknowledged, so the wait
 * ends at once. An interruption that turns out to bring nothing deliverable (a timer for another
 * thread) only repeats the wait.
 */
long px_wait_notify(uint32_t *word, uint32_t expected, uint32_t flags, uint64_t deadline,
                    motor_handle gate)
{
    uint32_t kernel_flags = (flags & PX_WAIT_SHARED ? MOTOR_FUTEX_SHARED : 0) |
                            (flags & PX_WAIT_NOINTR ? MOTOR_FUTEX_NOINTR : 0);
    for (;;) {
        if (!(flags & PX_WAIT_NOINTR) && px_interrupted()) {
            if (gate) {
                motor_notify(gate);
            }
            return -PX_ERESTARTSYS;
        }
        int64_t status = motor_futex_wait(word, expected, kernel_flags, deadline, gate);
        if (status != -MOTOR_EINTR) {
            return status < 0 ? px_errno(status) : 0;
        }
        gate = 0;
        if (flags & PX_WAIT_NOINTR) {
            return 0;
        }
        px_take_interruption();
        if (px_self()->stop_ends && px_self()->was_stopped) {
            return -EINTR;
        }
    }
}

long px_wait(uint32_t *word, uint32_t expected, uint32_t flags, uint64_t deadline)
{
    return px_wait_notify(word, expected, flags, deadline, 0);
}

long px_wake(uint32_t *word, uint32_t count, uint32_t flags)
{
    return px_errno(motor_futex_wake(word, count, flags & PX_WAIT_SHARED ? MOTOR_FUTEX_SHARED : 0));
}

static const unsigned char errno_of[] = {
    [MOTOR_EINVAL] = EINVAL,      [MOTOR_EHANDLE] = EBADF, [MOTOR_ETYPE] = EBADF,
    [MOTOR_ERIGHTS] = EACCES,     [MOTOR_ENOMEM] = ENOMEM, [MOTOR_EFAULT] = EFAULT,
    [MOTOR_ETIMEOUT] = ETIMEDOUT, [MOTOR_EINTR] = EINTR,   [MOTOR_EAGAIN] = EAGAIN,
    [MOTOR_EGONE] = EIO,          [MOTOR_ELIMIT] = EAGAIN, [MOTOR_EBUSY] = EBUSY,
    [MOTOR_EEXIST] = EEXIST,      [MOTOR_ENOENT] = ENOMEM, [MOTOR_EACCESS] = EACCES,
    [MOTOR_ENOSYS] = ENOSYS,      [MOTOR_EPERM] = EPERM,
};

long px_errno(int64_t status)
{
    if (status >= 0) {
        return status;
    }
    uint64_t n = -(uint64_t)status;
    return n < sizeof(errno_of) && errno_of[n] ? -(long)errno_of[n] : -EIO;
}

#define TOUCHES_MAX 1000u /* of one call: memory is so short that pages go before they are used */

static void touch(const void *start, uint64_t size)
{
    uint64_t from = (uint64_t)start & ~(uint64_t)(MOTOR_PAGE_SIZE - 1);
    if (size) {
        motor_advise(from, (uint64_t)start + size - from, MOTOR_ADVISE_POPULATE);
    }
}

/*
 * motor_call(). The server cannot wait for pages of ours that a pager has to bring: when it finds
 * such it has done nothing, and we bring them and ask again.
 */
static int64_t call(motor_handle gate, struct motor_msg *msg)
{
    struct motor_msg before = *msg; /* a reply overwrites what another try must send */
    for (uint32_t touches = 0;; touches++) {
        int64_t status = motor_call(gate, msg);
        bool absent = status == -MOTOR_EABSENT || (status >= 0 && msg->status == -IO_EABSENT);
        if (!absent) {
            return status < 0 ? status : 0;
        }
        if (touches == TOUCHES_MAX) {
            return -MOTOR_ENOMEM;
        }
        *msg = before;
        touch(msg->in, msg->in_size);
        touch(msg->out, msg->out_size);
    }
}

long px_call(motor_handle gate, struct motor_msg *msg)
{
    msg->nhandles |= MOTOR_CALL_NOINTR;
    int64_t status = call(gate, msg);
    return status < 0 ? px_errno(status) : msg->status;
}

long px_call_intr(motor_handle gate, struct motor_msg *msg)
{
    struct motor_msg before = *msg; /* a reply overwrites what another try must send */
    for (;;) {
        if (px_interrupted()) {
            return -PX_ERESTARTSYS;
        }
        *msg = before;
        msg->nhandles |= MOTOR_CALL_CONFIRM;
        int64_t status = call(gate, msg);
        if (status != -MOTOR_EINTR && !(status >= 0 && msg->status == -EINTR)) {
            return status < 0 ? px_errno(status) : msg->status;
        }
        px_take_interruption();
    }
}
