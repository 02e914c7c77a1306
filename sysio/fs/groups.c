/* SPDX-License-Identifier: MIT */
/*
 * Supplementary groups of who asks. The kernel has the lists, and a number for each list comes with
 * every call (0: an empty one). A list never changes and its number is never used again, so what
 * the kernel has said of a list and a group once remains true, whoever has the list: answers are
 * remembered by both. An answer that is lost, since another took its place, costs one kernel entry.
 */
#include "fs.h"

#define ANSWERS 256u

static struct answer {
    uint64_t list; /* 0: none */
    uint32_t gid;
    bool member;
} answers[ANSWERS];

static struct answer *place_of(uint64_t list, uint32_t gid)
{
    uint64_t hash = (list * 0x9e3779b97f4a7c15u ^ gid) * 0x9e3779b97f4a7c15u;
    return &answers[hash >> 32 & (ANSWERS - 1)];
}

bool groups_have(const struct cred *who, uint32_t gid)
{
    struct answer *a = place_of(who->groups, gid);
    if (a->list != who->groups || a->gid != gid) {
        int64_t member = motor_caller_in_group(who->token, who->groups, gid);
        if (member < 0) /* it changes its groups while it calls, or has given up */
            return false;
        *a = (struct answer){.list = who->groups, .gid = gid, .member = member};
    }
    return a->member;
}
