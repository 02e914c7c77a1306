/* SPDX-License-Identifier: MIT */
/*
 * Futexes: sleeping on a word of memory. Sleepers are in hashed buckets by key: {address space,
 * address}, or for shared words {memory object, offset}. A thread enters its bucket first and loads
 * the word after, without a lock (so the load may fault its page in), then sleeps if the value is
 * as expected: a waker that changes the word later finds it there. All under sched_lock but for the
 * load.
 */
#include "futex.h"
#include "endpoint.h"
#include "handle.h"
#include "log.h"
#include "sched.h"
#include "syscall.h"

#define BUCKET_BITS 10u
#define WAKE_BATCH  64u
#define LIST_BATCH  32u

static struct list bucket[1u << BUCKET_BITS];
static uint64_t secret; /* odd; keeps programs from choosing their bucket */

void futex_init(void)
{
    for (uint32_t i = 0; i < 1u << BUCKET_BITS; i++) {
        list_init(&bucket[i]);
    }
    secret = arch_entropy() | 1;
}

static struct list *bucket_of(const struct futex_key *key)
{
    uint64_t hash = ((uint64_t)key->object ^ (key->offset >> 2)) * secret;
    hash ^= hash >> 32;
    return &bucket[(hash * secret) >> (64 - BUCKET_BITS)];
}

static int64_t make_key(const uint32_t *word, uint32_t flags, struct futex_key *key)
{
    struct aspace *as = this_cpu()->current->aspace;
    uint64_t address = (uint64_t)word;
    if ((flags & ~(MOTOR_FUTEX_SHARED | MOTOR_FUTEX_NOINTR)) || address % sizeof(*word)) {
        return -MOTOR_EINVAL;
    }
    if (address >= USER_END) {
        return -MOTOR_EFAULT;
    }
    if (flags & MOTOR_FUTEX_SHARED) {
        return aspace_futex_key(as, address, key);
    }
    *key = (struct futex_key){as, address};
    return 0;
}

static bool waits_for(const struct thread *t, const struct futex_key *key)
{
    return t->futex_offset == key->offset && t->futex_object == key->object;
}

/* ---- waiting ---- */

static struct thread *enter(const struct futex_key *key, uint32_t flags, struct gate *g)
{
    struct thread *t = this_cpu()->current;
    sched_lock_acquire();
    struct thread *handoff = g ? gate_post_handoff(g) : NULL;
    t->futex_object = key->object;
    t->futex_offset = key->offset;
    wait_begin(WAIT_FUTEX, !(flags & MOTOR_FUTEX_NOINTR), bucket_of(key));
    sched_lock_release();
    return handoff;
}

/*
 * Whoever woke us before we slept has spent a wake-up on us: then the answer is 0, whatever the
 * word holds.
 */
static int64_t sleep_if(bool as_expected, int64_t otherwise, uint64_t deadline,
                        struct thread *handoff)
{
    struct thread *t = this_cpu()->current;
    sched_lock_acquire();
    if (!as_expected && t->waiting) {
        wait_end(t, otherwise);
    } else {
        CPU_COUNT(futex_waits);
    }
    int64_t status = wait_block(deadline, handoff);
    sched_lock_release();
    return status;
}

static int64_t futex_wait(const uint32_t *word, uint32_t expected, uint32_t flags,
                          uint64_t deadline, struct gate *g)
{
    struct futex_key key;
    uint32_t value = 0;
    int64_t status = make_key(word, flags, &key);
    if (status < 0) {
        return status;
    }
    for (;;) {
        struct thread *handoff = enter(&key, flags, g);
        int64_t loaded = user_load32(word, &value);
        status = sleep_if(loaded == 0 && value == expected, loaded < 0 ? loaded : -MOTOR_EAGAIN,
                          deadline, handoff);
        /* a page that is not in memory is not fetched between wait_begin() and the sleep */
        if (loaded == 0 || status == 0 || user_load32(word, &value) < 0) {
            return status;
        }
        g = NULL;
    }
}

int64_t sys_futex_wait(uint32_t *word, uint32_t expected, uint32_t flags, uint64_t deadline,
                       motor_handle gate)
{
    struct object *g = NULL;
    int64_t status = 0;
    if (gate) {
        status = handle_lookup(gate, OBJECT_GATE, MOTOR_RIGHT_CALL, &g, NULL);
        if (status < 0) {
            return status;
        }
    }
    status = futex_wait(word, expected, flags, deadline, (struct gate *)g);
    if (g) {
        object_put(g);
    }
    return status;
}

/* ---- waking ---- */

/* Wake up to a batch; what is woken leaves the bucket. [sched_lock held] */
static uint32_t wake_batch(const struct futex_key *key, uint32_t count)
{
    struct list *head = bucket_of(key);
    uint32_t n = 0;
    for (struct list *l = head->next, *next; l != head && n < count; l = next) {
        struct thread *t = container_of(l, struct thread, wait_link);
        next = l->next;
        if (waits_for(t, key)) {
            wait_end(t, 0);
            n++;
        }
    }
    this_cpu()->counters.futex_wakes += n;
    return n;
}

static uint32_t wake(const struct futex_key *key, uint32_t count)
{
    uint32_t woken = 0;
    for (;;) {
        uint32_t want = count - woken < WAKE_BATCH ? count - woken : WAKE_BATCH;
        sched_lock_acquire();
        uint32_t n = wake_batch(key, want);
        sched_lock_release();
        woken += n;
        if (n < WAKE_BATCH || woken == count) {
            return woken;
        }
        sched_preempt_point();
    }
}

int64_t sys_futex_wake(uint32_t *word, uint32_t count, uint32_t flags)
{
    struct futex_key key;
    int64_t status = make_key(word, flags, &key);
    if (status < 0) {
        return status;
    }
    return count ? wake(&key, count) : 0;
}

/* [sched_lock held] */
static uint32_t move_batch(const struct futex_key *from, const struct futex_key *to, uint32_t count)
{
    struct list *head = bucket_of(from), *target = bucket_of(to);
    uint32_t n = 0;
    for (struct list *l = head->next, *next; l != head && n < count; l = next) {
        struct thread *t = container_of(l, struct thread, wait_link);
        next = l->next;
        if (waits_for(t, from)) {
            list_remove(l);
            list_append(target, l);
            t->futex_object = to->object;
            t->futex_offset = to->offset;
            n++;
        }
    }
    return n;
}

static uint32_t requeue(const struct futex_key *from, const struct futex_key *to, uint32_t count)
{
    uint32_t moved = 0, n;
    do {
        uint32_t want = count - moved < WAKE_BATCH ? count - moved : WAKE_BATCH;
        sched_lock_acquire();
        n = move_batch(from, to, want);
        sched_lock_release();
        moved += n;
        sched_preempt_point();
    } while (n == WAKE_BATCH && moved < count);
    return moved;
}

int64_t sys_futex_requeue(uint32_t *word, uint32_t wake_count, uint32_t *target, uint32_t move,
                          uint32_t flags)
{
    struct futex_key from, to;
    int64_t status = make_key(word, flags, &from);
    if (status < 0 || (status = make_key(target, flags, &to)) < 0) {
        return status;
    }
    uint32_t n = wake_count ? wake(&from, wake_count) : 0;
    bool same = from.object == to.object && from.offset == to.offset;
    return n + (same || !move ? 0 : requeue(&from, &to, move));
}

int64_t sys_futex_wake_list(uint32_t *const *words, uint32_t count, uint32_t flags)
{
    uint32_t *batch[LIST_BATCH];
    int64_t woken = 0;
    if (count > MOTOR_WAKE_LIST_MAX) {
        return -MOTOR_EINVAL;
    }
    for (uint32_t done = 0; done < count;) {
        uint32_t n = count - done < LIST_BATCH ? count - done : LIST_BATCH;
        if (copy_from_user(batch, words + done, n * sizeof(batch[0])) < 0) {
            return -MOTOR_EFAULT;
        }
        for (uint32_t i = 0; i < n; i++) {
            struct futex_key key;
            int64_t status = make_key(batch[i], flags, &key);
            if (status < 0) {
                return status;
            }
            woken += wake(&key, UINT32_MAX);
        }
        done += n;
    }
    return woken;
}
