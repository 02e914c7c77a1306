/* SPDX-License-Identifier: MIT */
/* select: poll with sets of bits. */
#include "poll.h"

#define READABLE  (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define WRITABLE  (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define SMALL     16
#define WORDS_MAX (PX_FD_MAX / 64)

struct sets { /* three bit sets, one after the other; user[i] NULL: not asked */
    uint64_t *bits[3];
    uint64_t *user[3];
    size_t words;
};

static const uint32_t asked[3] = {POLLIN | POLLRDNORM | POLLRDBAND,
                                  POLLOUT | POLLWRNORM | POLLWRBAND, POLLPRI};
static const uint32_t answered[3] = {READABLE, WRITABLE, POLLPRI};

static bool bit(const uint64_t *set, size_t fd)
{
    return set[fd / 64] >> fd % 64 & 1;
}

static size_t count_fds(const struct sets *s)
{
    size_t count = 0;
    for (size_t w = 0; w < s->words; w++)
        count += (size_t)__builtin_popcountll(s->bits[0][w] | s->bits[1][w] | s->bits[2][w]);
    return count;
}

static void make_list(const struct sets *s, struct linux_pollfd *fds)
{
    for (size_t w = 0; w < s->words; w++)
        for (uint64_t any = s->bits[0][w] | s->bits[1][w] | s->bits[2][w]; any; any &= any - 1) {
            size_t fd = w * 64 + (size_t)__builtin_ctzll(any);
            uint32_t events = 0;
            for (int i = 0; i < 3; i++)
                events |= bit(s->bits[i], fd) ? asked[i] : 0;
            *fds++ = (struct linux_pollfd){.fd = (int)fd, .events = (int16_t)events};
        }
}

/* Sets become what is ready of them; how many bits in all. */
static long take_list(struct sets *s, const struct linux_pollfd *fds, size_t count)
{
    long ready = 0;
    for (size_t i = 0; i < count; i++) {
        if ((uint32_t)fds[i].revents & POLLNVAL)
            return -EBADF;
        for (int k = 0; k < 3; k++) {
            uint64_t mask = 1ull << fds[i].fd % 64, *word = &s->bits[k][fds[i].fd / 64];
            if (!(*word & mask))
                continue;
            if ((uint16_t)fds[i].revents & answered[k])
                ready++;
            else
                *word &= ~mask;
        }
    }
    return ready;
}

static long run(struct sets *s, uint64_t deadline)
{
    struct linux_pollfd small[SMALL], *fds = small;
    size_t count = count_fds(s);
    if (count > SMALL && !(fds = px_alloc(count * sizeof *fds)))
        return -ENOMEM;
    make_list(s, fds);
    long result = px_poll(fds, count, deadline);
    if (result >= 0)
        result = take_list(s, fds, count);
    if (fds != small)
        px_free(fds);
    return result;
}

static long select_user(int count, void *read, void *write, void *except, uint64_t deadline)
{
    uint64_t small[3 * 16], *memory = small;
    struct sets s = {.user = {read, write, except}};
    if (count < 0)
        return -EINVAL;
    size_t limit = PX_MIN(px_limit(RLIMIT_NOFILE), (uint64_t)PX_FD_MAX);
    size_t bits = PX_MIN((size_t)count, (limit + 63) & ~63ul);
    s.words = (bits + 63) / 64;
    if (s.words > 16 && !(memory = px_alloc(3 * s.words * 8)))
        return -ENOMEM;
    long result = 0;
    memset(memory, 0, 3 * s.words * 8);
    for (int i = 0; i < 3; i++) {
        s.bits[i] = memory + (size_t)i * s.words;
        if (s.user[i] && px_copy_in(s.bits[i], s.user[i], s.words * 8) < 0)
            result = -EFAULT;
        if (bits % 64)
            s.bits[i][s.words - 1] &= (1ull << bits % 64) - 1;
    }
    if (result == 0)
        result = run(&s, deadline);
    for (int i = 0; i < 3 && result >= 0; i++)
        if (s.user[i] && px_copy_out(s.user[i], s.bits[i], s.words * 8) < 0)
            result = -EFAULT;
    if (memory != small)
        px_free(memory);
    return result;
}

long px_sys_select(int count, void *read, void *write, void *except, void *timeout)
{
    struct linux_timeval t;
    uint64_t deadline = MOTOR_NEVER;
    if (timeout) {
        if (px_copy_in(&t, timeout, sizeof t) < 0)
            return -EFAULT;
        if (t.sec < 0 || t.usec < 0)
            return -EINVAL;
        struct px_timespec ts = {t.sec + t.usec / 1000000, t.usec % 1000000 * 1000};
        deadline = ts.sec || ts.nsec ? px_deadline_after(&ts) : 0;
    }
    long result = select_user(count, read, write, except, deadline);
    if (timeout && (result >= 0 || result == -PX_ERESTARTNOHAND)) {
        uint64_t now = px_now(), left = deadline > now ? deadline - now : 0;
        t = (struct linux_timeval){(int64_t)(left / 1000000000u),
                                   (int64_t)(left % 1000000000u / 1000)};
        px_copy_out(timeout, &t, sizeof t);
    }
    return result;
}

long px_sys_pselect6(int count, void *read, void *write, void *except, void *timeout,
                     const void *mask)
{
    struct {
        const void *set;
        size_t size;
    } sigmask = {0};
    uint64_t deadline;
    if (mask && px_copy_in(&sigmask, mask, sizeof sigmask) < 0)
        return -EFAULT;
    long result = px_deadline_in(timeout, &deadline);
    if (result < 0 || (result = px_sigmask_temporary(sigmask.set, sigmask.size)) < 0)
        return result;
    result = select_user(count, read, write, except, deadline);
    if (timeout && (result >= 0 || result == -PX_ERESTARTNOHAND))
        px_time_left_out(timeout, deadline);
    return result;
}
