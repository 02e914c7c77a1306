/* SPDX-License-Identifier: MIT */
/* /proc/locks. */
#include "../lock.h"
#include "proc.h"

static uint32_t number; /* of the last lock shown */

static void show(struct text *t, const struct lock *l, bool waits)
{
    static const char *const kinds[] = {
        [LOCK_PROCESS] = "POSIX ", [LOCK_OPEN_FILE] = "OFDLCK", [LOCK_WHOLE] = "FLOCK "};
    const struct inode *inode = l->of->inode;
    put(t, "%u: %s%s ADVISORY  %s %d 00:%02x:%llu %llu ", waits ? number : ++number,
        waits ? "-> " : "", kinds[l->kind], l->exclusive ? "WRITE" : "READ ",
        l->kind == LOCK_OPEN_FILE ? -1 : (int)l->pid, inode->mount->id,
        (unsigned long long)inode->ino, (unsigned long long)l->start);
    if (l->end == LOCK_LAST_BYTE)
        put(t, "EOF\n");
    else
        put(t, "%llu\n", (unsigned long long)l->end);
}

void text_locks(struct text *t)
{
    number = 0;
    locks_each(show, t);
}
