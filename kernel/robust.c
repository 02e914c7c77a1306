/* SPDX-License-Identifier: MIT */
/*
 * Robust locks, as set_robust_list(2) has them: a thread keeps a list of the locks in its memory
 * that it holds, and whoever ends it, the words that have its id are marked and a sleeper is woken,
 * so that others learn that the owner died. This is here because only the kernel is there when a
 * process is killed, and nobody else can reach its memory.
 *
 * Robust words are the same for a whole process: words in memory that it shares with others, who
 * learn from them at once, without asking anybody, that it has gone.
 *
 * The list is the program's and may be anything: every access is checked, and its length is
 * bounded. A lock that cannot be reached is left alone.
 */
#include "robust.h"
#include "log.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"
#include "thread.h"

#define LOCKS_MAX 2048u /* as Linux */
#define BATCH     64u
#define TRIES     1000u /* against somebody who changes the word all the time: only to harm himself */

#define TID_MASK   0x3fffffffu
#define OWNER_DIED 0x40000000u
#define WAITERS    0x80000000u

struct robust_head { /* Linux's struct robust_list_head */
    uint64_t next;   /* of an entry, or of this; bit 0: a lock with priority inheritance */
    int64_t offset;  /* from an entry to its lock's word */
    uint64_t pending;
};

struct owner { /* as its struct motor_tcb says */
    uint32_t tid;
    uint64_t list;
};

static void wake_one(uint32_t *word)
{
    if (sys_futex_wake(word, 1, MOTOR_FUTEX_SHARED) == 0) {
        sys_futex_wake(word, 1, 0);
    }
}

/* pending: it may have released the lock already, and died before it woke anybody. */
static void lock_died(uint32_t tid, uint64_t entry, int64_t offset, bool pending)
{
    uint32_t *word = (uint32_t *)((entry & ~1ull) + (uint64_t)offset), value;
    if (((uint64_t)word & 3) || user_load32(word, &value) < 0) {
        return;
    }
    if (pending && !value) {
        wake_one(word);
    }
    while ((value & TID_MASK) == tid) {
        uint32_t before = value;
        int64_t status = user_cas32(word, &value, (before & WAITERS) | OWNER_DIED);
        if (status < 0) {
            return;
        }
        if (value == before) {
            if (before & WAITERS) {
                wake_one(word);
            }
            return;
        }
    }
}

static void walk(const struct owner *owner)
{
    struct robust_head head;
    uint64_t next;
    if (copy_from_user(&head, (void *)owner->list, sizeof(head)) < 0) {
        return;
    }
    uint64_t entry = head.next;
    for (uint32_t i = 0; i < LOCKS_MAX && (entry & ~1ull) != owner->list; i++) {
        /* before the lock is let go: then its new owner may use the entry */
        bool readable = copy_from_user(&next, (void *)(entry & ~1ull), sizeof(next)) == 0;
        if (entry != head.pending) {
            lock_died(owner->tid, entry, head.offset, false);
        }
        if (!readable) {
            break;
        }
        entry = next;
        if (i % BATCH == BATCH - 1) {
            sched_preempt_point();
        }
    }
    if (head.pending) {
        lock_died(owner->tid, head.pending, head.offset, true);
    }
}

void robust_owner_died(struct thread *t)
{
    struct motor_tcb *tcb = (struct motor_tcb *)t->tcb;
    struct owner owner;
    if (!tcb || copy_from_user(&owner.list, &tcb->robust_list, sizeof(owner.list)) < 0 ||
        !owner.list || user_load32(&tcb->tid, &owner.tid) < 0 || !(owner.tid & TID_MASK)) {
        return;
    }
    walk(&owner);
}

static void word_of_dead(uint32_t *word)
{
    uint32_t value;
    if (((uint64_t)word & 3) || user_load32(word, &value) < 0) {
        return;
    }
    for (uint32_t i = 0; i < TRIES && !(value & MOTOR_ROBUST_GONE); i++) {
        uint32_t before = value;
        if (user_cas32(word, &value, before | MOTOR_ROBUST_GONE) < 0) {
            return;
        }
        if (value == before) {
            break;
        }
    }
    sys_futex_wake(word, UINT32_MAX, MOTOR_FUTEX_SHARED);
}

void robust_process_died(struct process *p)
{
    uint64_t list = __atomic_exchange_n(&p->robust_words, 0, __ATOMIC_RELAXED), count, word;
    const struct motor_robust_words *words = (const struct motor_robust_words *)list;
    if (!list || copy_from_user(&count, &words->count, sizeof(count)) < 0) {
        return;
    }
    for (uint64_t i = 0; i < count && i < MOTOR_ROBUST_WORDS_MAX; i++) {
        if (copy_from_user(&word, &words->word[i], sizeof(word)) < 0) {
            return;
        }
        if (word) {
            word_of_dead((uint32_t *)word);
        }
        if (i % BATCH == BATCH - 1) {
            sched_preempt_point();
        }
    }
}
