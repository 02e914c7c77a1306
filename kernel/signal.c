/* SPDX-License-Identifier: MIT */
/*
 * Signals between processes: queues, permission, sending. See signal.h. Masks and dispositions are
 * the runtime's: what is queued here waits for the runtime to fetch it, whatever it will mean.
 */
#include "signal.h"
#include "frame.h"
#include "log.h"
#include "pid.h"
#include "sched.h"
#include "syscall.h"

#define SEND_BATCH  32u
#define FETCH_BATCH 16u
#define STOPS       (bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU))

static uint64_t bit(uint32_t signal)
{
    return 1ull << (signal - 1);
}

/* ---- the queue [sched_lock] ---- */

struct signal_entry *signal_entry_new(void)
{
    return kmalloc(sizeof(struct signal_entry));
}

/* The entries of these signals are moved to `dropped`, to be freed without the lock. */
static void take_signals(struct process *p, uint64_t set, struct list *dropped)
{
    p->signal_bare &= ~set;
    for (struct list *l = p->signals.next, *next; l != &p->signals; l = next) {
        next = l->next;
        struct signal_entry *e = container_of(l, struct signal_entry, link);
        if (bit((uint32_t)e->info.signo) & set) {
            list_remove(l);
            list_append(dropped, l);
            p->signal_count--;
        }
    }
    p->signal_set &= ~set;
}

static void free_entries(struct list *entries)
{
    while (!list_empty(entries)) {
        struct signal_entry *e = container_of(entries->next, struct signal_entry, link);
        list_remove(&e->link);
        kfree(e);
    }
}

int64_t signal_post(struct process *p, const struct motor_signal *info, struct signal_entry **entry)
{
    uint32_t signal = (uint32_t)info->signo;
    if (p->dying || p->state == PROCESS_DEAD) {
        return 0;
    }
    if (signal < SIGRTMIN && (p->signal_set & bit(signal))) {
        return 0;
    }
    if (*entry && p->signal_count < p->signal_limit) {
        (*entry)->info = *info;
        list_append(&p->signals, &(*entry)->link);
        *entry = NULL;
        p->signal_count++;
    } else if (signal >= SIGRTMIN && info->code != 0) {
        return -MOTOR_EAGAIN;
    } else {
        p->signal_bare |= bit(signal);
    }
    if (signal < SIGRTMIN) {
        p->signal_set |= bit(signal);
    }
    process_interrupt(p, MOTOR_UPCALL_SIGNAL);
    return 0;
}

void signal_drop_all(struct process *p)
{
    struct list dropped = LIST_INIT(dropped);
    sched_lock_acquire();
    take_signals(p, ~0ull, &dropped);
    sched_lock_release();
    free_entries(&dropped);
}

/* ---- sending ---- */

/* What the kernel itself does for a signal, and the queue. */
static int64_t deliver(struct process *p, const struct motor_signal *info)
{
    uint32_t signal = (uint32_t)info->signo;
    struct list dropped = LIST_INIT(dropped);
    if (signal == SIGKILL) {
        process_kill(p, SIGKILL);
        return 0;
    }
    if (signal == SIGSTOP) {
        process_stop(p, SIGSTOP);
        return 0;
    }
    if (signal == SIGCONT) {
        process_continue(p);
    }
    struct signal_entry *entry = signal_entry_new();
    sched_lock_acquire();
    if (signal == SIGCONT) {
        take_signals(p, STOPS, &dropped);
    } else if (bit(signal) & STOPS) {
        take_signals(p, bit(SIGCONT), &dropped);
    }
    int64_t status = signal_post(p, info, &entry);
    sched_lock_release();
    kfree(entry);
    free_entries(&dropped);
    return status;
}

void signal_raise(struct process *p, uint32_t signal)
{
    struct motor_signal info = {.signo = (int32_t)signal, .code = 128}; /* SI_KERNEL */
    deliver(p, &info);
}

static bool same_user(const struct process *from, const struct process *to)
{
    return from->uid == 0 || from->uid == to->ruid || from->uid == to->suid ||
           from->ruid == to->ruid || from->ruid == to->suid;
}

/* 0, or why `from` may not send this signal to `to`. */
static int64_t permitted(const struct process *from, const struct process *to,
                         const struct motor_signal *info)
{
    if (from == to || from->first) {
        return 0;
    }
    if (to->first) {
        return -MOTOR_EPERM;
    }
    if (info->code >= 0 && info->code != 0) {
        return -MOTOR_EPERM; /* codes of the kernel are not to be forged */
    }
    bool session = info->signo == SIGCONT && from->sid == to->sid;
    return same_user(from, to) || session ? 0 : -MOTOR_EPERM;
}

/* Init does not die of what anybody sends, and does not stop. */
static bool harmless(const struct process *to, const struct motor_signal *info)
{
    return to->init && (info->signo == SIGKILL || info->signo == SIGSTOP);
}

static int64_t send_one(struct process *from, struct process *to, const struct motor_signal *info)
{
    int64_t status = permitted(from, to, info);
    if (status < 0 || info->signo == 0 || harmless(to, info)) {
        return status;
    }
    return deliver(to, info);
}

static int64_t send_to_process(struct process *self, uint32_t pid, const struct motor_signal *info)
{
    spin_lock(&processes_lock);
    struct process *p = pid ? pid_find(pid) : NULL;
    bool found = p && object_try_get(&p->object);
    spin_unlock(&processes_lock);
    if (!found) {
        return -MOTOR_ENOENT;
    }
    int64_t status = send_one(self, p, info);
    object_put(&p->object);
    return status;
}

static bool is_meant(const struct process *self, const struct process *p, uint32_t to, uint32_t id)
{
    return to == MOTOR_TO_GROUP ? p->pgid == id : p != self && !p->first && !p->init;
}

/* From pid `*from` on, up to SEND_BATCH of those meant. [none held] How many; *from: where to go on
 */
static uint32_t collect(struct process *self, uint32_t to, uint32_t id, uint32_t *from,
                        struct process **batch)
{
    uint32_t n = 0;
    struct process *p;
    spin_lock(&processes_lock);
    for (p = pid_next(*from); p && n < SEND_BATCH; p = pid_next(p->pid + 1)) {
        if (is_meant(self, p, to, id) && object_try_get(&p->object)) {
            batch[n++] = p;
        }
    }
    *from = p ? p->pid : PIDS;
    spin_unlock(&processes_lock);
    return n;
}

/*
 * To several: good if one of them got it. A process of this group that is among them comes last, so
 * that one who kills its own group gets through.
 */
static int64_t send_to_many(struct process *self, uint32_t to, uint32_t id,
                            const struct motor_signal *info)
{
    struct process *batch[SEND_BATCH];
    int64_t result = -MOTOR_ENOENT;
    bool myself = false;
    for (uint32_t from = 1; from < PIDS;) {
        uint32_t n = collect(self, to, id, &from, batch);
        for (uint32_t i = 0; i < n; i++) {
            if (batch[i] == self) {
                myself = true;
            } else {
                int64_t status = send_one(self, batch[i], info);
                result = status == 0 || result == 0 ? 0 : result == -MOTOR_ENOENT ? status : result;
            }
            object_put(&batch[i]->object);
        }
        sched_preempt_point();
    }
    return myself ? send_one(self, self, info) : result;
}

void signal_raise_group(uint32_t group, uint32_t signal)
{
    struct motor_signal info = {.signo = (int32_t)signal, .code = 128};
    send_to_many(first_process, MOTOR_TO_GROUP, group, &info);
}

/* Who sends is the kernel's to say, except to oneself. */
static void sign(struct process *self, uint32_t to, uint32_t id, struct motor_signal *info)
{
    if ((to != MOTOR_TO_PROCESS || id != self->pid) && !self->first) {
        info->data[0] = (uint64_t)self->ruid << 32 | self->pid;
    }
}

int64_t sys_signal_send(uint32_t to, uint32_t id, const struct motor_signal *user)
{
    struct process *self = thread_acts_for(this_cpu()->current);
    struct motor_signal info;
    if (to > MOTOR_TO_ALL) {
        return -MOTOR_EINVAL;
    }
    if (copy_from_user(&info, user, sizeof(info)) < 0) {
        return -MOTOR_EFAULT;
    }
    if (info.signo < 0 || info.signo > SIGMAX) {
        return -MOTOR_EINVAL;
    }
    sign(self, to, id, &info);
    if (to == MOTOR_TO_PROCESS) {
        return send_to_process(self, id, &info);
    }
    return send_to_many(self, to, id ? id : self->pgid, &info);
}

/* ---- fetching ---- */

static uint32_t fetch_some(struct process *p, struct motor_signal *to, uint32_t max)
{
    struct list taken = LIST_INIT(taken);
    uint32_t n = 0;
    sched_lock_acquire();
    for (; n < max && !list_empty(&p->signals); n++) {
        struct signal_entry *e = container_of(p->signals.next, struct signal_entry, link);
        to[n] = e->info;
        p->signal_set &= ~bit((uint32_t)e->info.signo);
        p->signal_count--;
        list_remove(&e->link);
        list_append(&taken, &e->link);
    }
    for (; n < max && p->signal_bare; n++) {
        uint32_t signal = (uint32_t)__builtin_ctzll(p->signal_bare) + 1;
        to[n] = (struct motor_signal){.signo = (int32_t)signal};
        p->signal_bare &= ~bit(signal);
        p->signal_set &= ~bit(signal);
    }
    sched_lock_release();
    free_entries(&taken);
    return n;
}

int64_t sys_signal_fetch(struct motor_signal *signals, uint32_t max)
{
    struct process *p = this_cpu()->current->process;
    struct motor_signal batch[FETCH_BATCH];
    uint32_t done = 0;
    while (done < max) {
        uint32_t n = fetch_some(p, batch, max - done < FETCH_BATCH ? max - done : FETCH_BATCH);
        if (n && copy_to_user(signals + done, batch, n * sizeof(*batch)) < 0) {
            return -MOTOR_EFAULT;
        }
        done += n;
        if (n < FETCH_BATCH) {
            break;
        }
    }
    return done;
}
