/* SPDX-License-Identifier: MIT */
/* Who a process is: pids, groups and sessions (the kernel has them), users. */
#include "internal.h"

/* ---- processes, groups, sessions ---- */

long px_sys_getpid(void)
{
    return px_proc()->pid;
}

static long label(uint32_t pid, uint32_t what, uint32_t value)
{
    struct px_process *p = px_proc();
    int64_t result = motor_process_label(pid ? pid : p->pid, what, value);
    return result == -MOTOR_ENOENT ? -ESRCH : px_errno(result);
}

/*
 * Asked once, and again when some process has got another parent. `parent` is the answer and, above
 * it, how many adoptions there had been before the question; 0: not asked yet.
 */
#define PARENT_BITS 24u

long px_sys_getppid(void)
{
    struct px_process *p = px_proc();
    uint64_t adoptions = __atomic_load_n(&px_kinfo()->adoptions, __ATOMIC_ACQUIRE);
    uint64_t known = __atomic_load_n(&p->parent, __ATOMIC_RELAXED);
    if (known && known >> PARENT_BITS == (adoptions & UINT64_MAX >> PARENT_BITS)) {
        return (long)(known & ((1u << PARENT_BITS) - 1));
    }
    long parent = label(0, MOTOR_LABEL_PPID, 0);
    if (parent > 0 && parent < 1l << PARENT_BITS) {
        __atomic_store_n(&p->parent, adoptions << PARENT_BITS | (uint64_t)parent, __ATOMIC_RELAXED);
    }
    return parent;
}

long px_sys_getpgrp(void)
{
    return label(0, MOTOR_LABEL_PGID, 0);
}

long px_sys_getpgid(int pid)
{
    return pid < 0 ? -ESRCH : label((uint32_t)pid, MOTOR_LABEL_PGID, 0);
}

long px_sys_getsid(int pid)
{
    return pid < 0 ? -ESRCH : label((uint32_t)pid, MOTOR_LABEL_SID, 0);
}

long px_sys_setpgid(int pid, int pgid)
{
    if (pgid < 0 || (pid < 0 && !pgid)) { /* 0: the pid itself is the group's */
        return -EINVAL;
    }
    if (pid < 0) {
        return -ESRCH;
    }
    return PX_MIN(label((uint32_t)pid, MOTOR_LABEL_SET_PGID, (uint32_t)pgid), 0L);
}

long px_sys_setsid(void)
{
    return label(0, MOTOR_LABEL_SET_SID, 0);
}

/* ---- users ---- */

#define KEEP UINT32_MAX

long px_sys_getuid(void)
{
    return px_proc()->uid;
}

long px_sys_geteuid(void)
{
    return px_proc()->euid;
}

long px_sys_getgid(void)
{
    return px_proc()->gid;
}

long px_sys_getegid(void)
{
    return px_proc()->egid;
}

static bool one_of(uint32_t id, uint32_t a, uint32_t b, uint32_t c)
{
    return id == KEEP || id == a || id == b || id == c;
}

/*
 * Servers see the effective ids as labels of the caller; signals are judged by all. In a vfork
 * child they are the embryo's, for which the thread acts.
 */
static long publish(uint32_t what, const uint32_t ids[3])
{
    return px_errno(motor_process_set(px_proc_handle(), what, (uint64_t)ids));
}

static long change(uint32_t what, uint32_t *real, uint32_t *effective, uint32_t *saved,
                   const uint32_t to[3])
{
    uint32_t ids[3] = {to[0] == KEEP ? *real : to[0], to[1] == KEEP ? *effective : to[1],
                       to[2] == KEEP ? *saved : to[2]};
    bool allowed = px_proc()->euid == 0;
    allowed |= one_of(to[0], *real, *effective, *saved) &&
               one_of(to[1], *real, *effective, *saved) && one_of(to[2], *real, *effective, *saved);
    long status = allowed ? publish(what, ids) : -EPERM;
    if (status < 0) {
        return status == -EACCES ? -EPERM : status;
    }
    *real = ids[0];
    *effective = ids[1];
    *saved = ids[2];
    return 0;
}

/*
 * The effective user or group is another one now. What was read as the old one is still in memory,
 * so the new one must not look (the kernel has seen to that), and the parent was the old one's.
 */
static void is_another(struct px_process *p)
{
    p->attributes.not_dumpable = 1;
    if (p->attributes.death_signal) {
        p->attributes.death_signal = 0;
        motor_process_set(px_proc_handle(), MOTOR_PSET_DEATH_SIGNAL, 0);
    }
}

static long set_uids(uint32_t r, uint32_t e, uint32_t s)
{
    struct px_process *p = px_proc();
    uint32_t before = p->euid;
    long status = change(MOTOR_PSET_UIDS, &p->uid, &p->euid, &p->suid, (uint32_t[]){r, e, s});
    if (p->euid != before) {
        is_another(p);
    }
    return status;
}

static long set_gids(uint32_t r, uint32_t e, uint32_t s)
{
    struct px_process *p = px_proc();
    uint32_t before = p->egid;
    long status = change(MOTOR_PSET_GIDS, &p->gid, &p->egid, &p->sgid, (uint32_t[]){r, e, s});
    if (p->egid != before) {
        is_another(p);
    }
    return status;
}

long px_sys_setuid(unsigned uid)
{
    if (uid == KEEP) {
        return -EINVAL;
    }
    return px_proc()->euid == 0 ? set_uids(uid, uid, uid) : set_uids(KEEP, uid, KEEP);
}

long px_sys_setgid(unsigned gid)
{
    if (gid == KEEP) {
        return -EINVAL;
    }
    return px_proc()->euid == 0 ? set_gids(gid, gid, gid) : set_gids(KEEP, gid, KEEP);
}

long px_sys_setreuid(unsigned r, unsigned e)
{
    struct px_process *p = px_proc();
    uint32_t effective = e == KEEP ? p->euid : e;
    bool saved = r != KEEP || (e != KEEP && e != p->uid);
    return set_uids(r, e, saved ? effective : KEEP);
}

long px_sys_setregid(unsigned r, unsigned e)
{
    struct px_process *p = px_proc();
    uint32_t effective = e == KEEP ? p->egid : e;
    bool saved = r != KEEP || (e != KEEP && e != p->gid);
    return set_gids(r, e, saved ? effective : KEEP);
}

long px_sys_setresuid(unsigned r, unsigned e, unsigned s)
{
    return set_uids(r, e, s);
}

long px_sys_setresgid(unsigned r, unsigned e, unsigned s)
{
    return set_gids(r, e, s);
}

static long three_out(void *a, void *b, void *c, uint32_t x, uint32_t y, uint32_t z)
{
    return px_store32(a, x) < 0 || px_store32(b, y) < 0 || px_store32(c, z) < 0 ? -EFAULT : 0;
}

long px_sys_getresuid(void *r, void *e, void *s)
{
    struct px_process *p = px_proc();
    return three_out(r, e, s, p->uid, p->euid, p->suid);
}

long px_sys_getresgid(void *r, void *e, void *s)
{
    struct px_process *p = px_proc();
    return three_out(r, e, s, p->gid, p->egid, p->sgid);
}

/*
 * Those of this thread, for files. The kernel answers with the one before, and says with ~0, which
 * is nobody's, what it is now.
 */
static long set_fs_id(uint32_t what, uint32_t id)
{
    int64_t before = motor_thread_control(0, what, id);
    if (before != id && motor_thread_control(0, what, UINT32_MAX) == id) {
        px_self()->has_fs_ids = true;
        is_another(px_proc());
    }
    return (long)before;
}

long px_sys_setfsuid(unsigned uid)
{
    return set_fs_id(MOTOR_THREAD_SET_FSUID, uid);
}

long px_sys_setfsgid(unsigned gid)
{
    return set_fs_id(MOTOR_THREAD_SET_FSGID, gid);
}
