/* SPDX-License-Identifier: MIT */
/*
 * Supplementary groups of processes: sorted lists that never change once they are made, and that
 * processes share. Whoever changes its groups takes another list; fork, spawn and exec pass on a
 * reference. Each list has a number that no other list ever has, so who judges by a list may
 * remember what it said by its number. The account of who made it pays for its bytes.
 */
#ifndef KERNEL_GROUPS_H
#define KERNEL_GROUPS_H

#include <motor/abi.h>
#include <stdbool.h>

struct account;
struct process;

struct groups {            /* immutable, but for refs */
    uint32_t refs;         /* [atomic] */
    uint32_t count;        /* never 0: who has no groups has no list */
    uint64_t id;           /* never 0 */
    struct account *payer; /* referenced; NULL: nobody */
    uint32_t *gid;         /* ascending */
};

/* One more reference; NULL is fine. */
static inline struct groups *groups_get(struct groups *g)
{
    if (g) {
        __atomic_fetch_add(&g->refs, 1, __ATOMIC_RELAXED);
    }
    return g;
}
void groups_put(struct groups *g); /* NULL is fine; no lock held */
/*
 * MOTOR_PSET_GROUPS: its number, 0: an empty list. EINVAL: too long, not ascending, or an id that
 * is none; EACCESS: p is closed to the current process
 */
int64_t groups_set(struct process *p, const struct motor_groups *user);
/* MOTOR_PINFO_GROUPS */
int64_t groups_info(struct process *p, struct motor_groups *user, size_t size);
uint64_t groups_live(void); /* lists that there are */

#endif
