/* SPDX-License-Identifier: MIT */
/*
 * futex(2) over the kernel's futexes. Bit sets are not kept by the kernel: a wake for some bits
 * wakes everybody, which futex users must bear (a wake-up may always be spurious). Priority
 * inheritance has nothing to inherit, so the PI operations are the lock protocol alone: owner's tid
 * in the word, WAITERS while somebody may sleep.
 */
#include "internal.h"

#define FUTEX_WAIT            0
#define FUTEX_WAKE            1
#define FUTEX_REQUEUE         3
#define FUTEX_CMP_REQUEUE     4
#define FUTEX_WAKE_OP         5
#define FUTEX_LOCK_PI         6
#define FUTEX_UNLOCK_PI       7
#define FUTEX_TRYLOCK_PI      8
#define FUTEX_WAIT_BITSET     9
#define FUTEX_WAKE_BITSET     10
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_CMP_REQUEUE_PI  12
#define FUTEX_LOCK_PI2        13
#define FUTEX_PRIVATE         128
#define FUTEX_CLOCK_REALTIME  256

#define FUTEX_TID        0x3fffffffu
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_WAITERS    0x80000000u

static long absolute_deadline(const void *user, bool realtime, uint64_t *deadline)
{
    struct px_timespec t;
    if (!user) {
        *deadline = MOTOR_NEVER;
        return 0;
    }
    long status = px_timespec_in(user, &t);
    if (status == 0) {
        *deadline = realtime ? px_deadline_realtime(px_timespec_ns(&t)) : px_timespec_ns(&t);
    }
    return status;
}

static long wait(uint32_t *word, uint32_t value, uint32_t flags, uint64_t deadline)
{
    return px_wait(word, value, flags, deadline);
}

static long wait_relative(uint32_t *word, uint32_t value, uint32_t flags, const void *timeout)
{
    uint64_t deadline;
    if (!timeout) {
        return wait(word, value, flags, MOTOR_NEVER);
    }
    if (!px_restarted(&deadline)) {
        long status = px_deadline_in(timeout, &deadline);
        if (status < 0) {
            return status;
        }
    }
    long status = wait(word, value, flags, deadline);
    if (status == -PX_ERESTARTSYS) {
        px_restart_at(deadline);
        return -PX_ERESTART_RESTARTBLOCK;
    }
    return status;
}

static long requeue(uint32_t *word, uint32_t wake, uint32_t *to, uint32_t move, uint32_t flags)
{
    if ((int32_t)wake < 0 || (int32_t)move < 0) {
        return -EINVAL;
    }
    return px_errno(
        motor_futex_requeue(word, wake, to, move, flags & PX_WAIT_SHARED ? MOTOR_FUTEX_SHARED : 0));
}

/* ---- FUTEX_WAKE_OP ---- */

static bool compare(uint32_t kind, int32_t a, int32_t b)
{
    switch (kind) {
    case 0:
        return a == b;
    case 1:
        return a != b;
    case 2:
        return a < b;
    case 3:
        return a <= b;
    case 4:
        return a > b;
    default:
        return a >= b;
    }
}

static long wake_op(uint32_t *word, uint32_t count, uint32_t *word2, uint32_t count2, uint32_t code,
                    uint32_t flags)
{
    uint32_t op = code >> 28 & 7, kind = code >> 24 & 15, operand = code >> 12 & 0xfff, old, new;
    int32_t against = (int32_t)(code << 20) >> 20;
    operand = (uint32_t)((int32_t)(operand << 20) >> 20);
    if (code >> 31) {
        operand = 1u << (operand & 31);
    }
    if (op > 4 || kind > 5) {
        return -ENOSYS;
    }
    if (px_load32(word2, &old) < 0) {
        return -EFAULT;
    }
    long done;
    do {
        new = op == 0   ? operand
              : op == 1 ? old + operand
              : op == 2 ? old | operand
              : op == 3 ? old & ~operand
                        : old ^ operand;
        done = px_cas32(word2, &old, new);
    } while (done == 0);
    if (done < 0) {
        return done;
    }
    long woken = px_wake(word, count, flags);
    if (woken >= 0 && compare(kind, (int32_t)old, against)) {
        long more = px_wake(word2, count2, flags);
        woken = more < 0 ? more : woken + more;
    }
    return woken;
}

/* ---- locks with an owner ---- */

static bool owner_lives(uint32_t tid, uint32_t flags)
{
    struct px_process *p = px_proc();
    if (flags & PX_WAIT_SHARED) {
        return true; /* perhaps of another process */
    }
    px_lock(&p->signals->lock);
    bool lives = px_thread_find(p, tid) != NULL;
    px_unlock(&p->signals->lock);
    return lives;
}

/*
 * 0: its owner lives; ESRCH: died with it. 1: `*value` is new, for the owner had unlocked it before
 * it ended.
 */
static long check_owner(uint32_t *word, uint32_t *value, uint32_t flags)
{
    uint32_t seen = *value;
    if (owner_lives(seen & FUTEX_TID, flags)) {
        return 0;
    }
    if (px_load32(word, value) < 0) {
        return -EFAULT;
    }
    return *value == seen ? -ESRCH : 1;
}

static long lock_pi(uint32_t *word, uint32_t flags, uint64_t deadline, bool try)
{
    uint32_t self = px_self()->tid, value, waiters = 0;
    if (px_load32(word, &value) < 0) {
        return -EFAULT;
    }
    for (;;) {
        uint32_t owner = value & FUTEX_TID;
        long done;
        if (!owner) {
            done = px_cas32(word, &value,
                            self | waiters | (value & (FUTEX_WAITERS | FUTEX_OWNER_DIED)));
            if (done) {
                return done < 0 ? done : 0;
            }
            continue;
        }
        if (owner == self) {
            return -EDEADLK;
        }
        long status = check_owner(word, &value, flags);
        if (status < 0) {
            return status;
        }
        if (status) {
            continue;
        }
        if (try) {
            return -EAGAIN;
        }
        if (!(value & FUTEX_WAITERS)) {
            done = px_cas32(word, &value, value | FUTEX_WAITERS);
            if (done < 0) {
                return done;
            }
            if (!done) {
                continue;
            }
            value |= FUTEX_WAITERS;
        }
        waiters = FUTEX_WAITERS; /* there may be others beside us from now on */
        status = wait(word, value, flags, deadline);
        if (status == -PX_ERESTARTSYS) {
            return -PX_ERESTARTNOINTR;
        }
        if (status < 0 && status != -EAGAIN) {
            return status;
        }
        if (px_load32(word, &value) < 0) {
            return -EFAULT;
        }
    }
}

static long unlock_pi(uint32_t *word, uint32_t flags)
{
    uint32_t self = px_self()->tid, value;
    if (px_load32(word, &value) < 0) {
        return -EFAULT;
    }
    for (;;) {
        if ((value & FUTEX_TID) != self) {
            return -EPERM;
        }
        uint32_t waiters = value & FUTEX_WAITERS;
        long done = px_cas32(word, &value, 0);
        if (done < 0) {
            return done;
        }
        if (done) {
            return waiters ? PX_MIN(px_wake(word, 1, flags), 0) : 0;
        }
    }
}

/* ---- the call ---- */

long px_sys_futex(void *at, int operation, unsigned value, unsigned long argument, void *at2,
                  unsigned value3)
{
    uint32_t *word = at, *word2 = at2, now;
    uint32_t flags = operation & FUTEX_PRIVATE ? 0 : PX_WAIT_SHARED;
    bool realtime = operation & FUTEX_CLOCK_REALTIME;
    int op = operation & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);
    uint64_t deadline = MOTOR_NEVER;
    long status;
    if ((uint64_t)word & 3) {
        return -EINVAL;
    }
    switch (op) {
    case FUTEX_WAIT:
        if (!realtime) {
            return wait_relative(word, value, flags, (void *)argument);
        }
        value3 = UINT32_MAX;
        __attribute__((fallthrough));
    case FUTEX_WAIT_BITSET:
        if (!value3) {
            return -EINVAL;
        }
        status = absolute_deadline((void *)argument, realtime, &deadline);
        return status < 0 ? status : wait(word, value, flags, deadline);
    case FUTEX_WAKE_BITSET:
        if (!value3) {
            return -EINVAL;
        }
        if (value3 != UINT32_MAX) {
            value = INT32_MAX;
        }
        __attribute__((fallthrough));
    case FUTEX_WAKE:
        return px_wake(word, (int32_t)value < 1 ? 1 : value, flags);
    case FUTEX_CMP_REQUEUE:
        if (px_load32(word, &now) < 0) {
            return -EFAULT;
        }
        if (now != value3) {
            return -EAGAIN;
        }
        __attribute__((fallthrough));
    case FUTEX_REQUEUE:
        return requeue(word, value, word2, (uint32_t)argument, flags);
    case FUTEX_WAKE_OP:
        return wake_op(word, value, word2, (uint32_t)argument, value3, flags);
    case FUTEX_LOCK_PI:
        realtime = true;
        __attribute__((fallthrough));
    case FUTEX_LOCK_PI2:
        status = absolute_deadline((void *)argument, realtime, &deadline);
        return status < 0 ? status : lock_pi(word, flags, deadline, false);
    case FUTEX_TRYLOCK_PI:
        return lock_pi(word, flags, MOTOR_NEVER, true);
    case FUTEX_UNLOCK_PI:
        return unlock_pi(word, flags);
    default:
        return px_missing();
    }
}
