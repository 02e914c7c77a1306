/* SPDX-License-Identifier: MIT */
/*
 * Families: birth, reparenting, zombies, waiting, groups and sessions. See family.h for who holds
 * whom, pid.h for the lock.
 */
#include "family.h"
#include "frame.h"
#include "log.h"
#include "main.h"
#include "pid.h"
#include "sched.h"
#include "signal.h"
#include "syscall.h"

#define RESERVED_PIDS 1024u /* the last ones are for root */
#define GROUPS_LOOKED 8u    /* groups that a death may orphan: of so many children */

#define CLD_EXITED    1u
#define CLD_KILLED    2u
#define CLD_STOPPED   5u
#define CLD_CONTINUED 6u

/* ---- birth ---- */

static void set_group(struct process *p, uint32_t pgid)
{
    pid_group_join(pgid);
    if (p->pgid) {
        pid_group_leave(p->pgid);
    }
    __atomic_store_n(&p->pgid, pgid, __ATOMIC_RELAXED);
}

static void set_session(struct process *p, uint32_t sid)
{
    pid_group_join(sid);
    if (p->sid) {
        pid_group_leave(p->sid);
    }
    __atomic_store_n(&p->sid, sid, __ATOMIC_RELAXED);
}

/* Init takes the pid of the first process, which is of no interest to programs. */
static void make_way(struct process *first)
{
    if (first->pid) {
        uint32_t pid = first->pid;
        pid_release(first);
        pid_group_leave(pid);
        pid_group_leave(pid);
        first->pid = first->pgid = first->sid = 0;
    }
}

static bool may_have_more(const struct process *creator)
{
    uint32_t limit = __atomic_load_n(&creator->process_limit, __ATOMIC_RELAXED);
    if (creator->uid != 0 && object_count(OBJECT_PROCESS) >= PIDS - RESERVED_PIDS) {
        return false;
    }
    return limit == UINT32_MAX || user_count(creator->ruid) < limit;
}

static void add_child(struct process *parent, struct process *p)
{
    object_get(&p->object);
    p->parent = parent;
    __atomic_store_n(&p->ppid, parent->pid, __ATOMIC_RELAXED);
    list_append(&parent->children, &p->sibling);
}

int64_t family_enlist(struct process *p, struct process *creator, uint32_t flags)
{
    int64_t status = -MOTOR_ENOMEM;
    bool child = flags & MOTOR_PROCESS_CHILD, init = flags & MOTOR_PROCESS_INIT;
    spin_lock(&processes_lock);
    if (init) {
        make_way(creator);
    }
    if (child && !may_have_more(creator)) {
        status = -MOTOR_ELIMIT;
    } else if (user_add(p->ruid)) {
        if (pid_assign(p, init ? 1 : 0)) {
            bool own = !creator || creator->first;
            set_group(p, own ? p->pid : creator->pgid);
            set_session(p, own ? p->pid : creator->sid);
            p->ppid = creator ? creator->pid : 0;
            status = 0;
        } else {
            user_remove(p->ruid);
        }
    }
    if (status == 0) {
        object_init(&p->object, OBJECT_PROCESS);
        if (child || init) {
            add_child(creator, p);
        }
    }
    spin_unlock(&processes_lock);
    return status;
}

/* Nobody finds it by its pid, its group or its user any more. [processes_lock] */
static void strike_out(struct process *p)
{
    if (!p->struck_out) {
        p->struck_out = true;
        pid_group_leave(p->pgid);
        pid_group_leave(p->sid);
        pid_release(p);
        user_remove(p->ruid);
    }
}

void family_forget(struct process *p)
{
    spin_lock(&processes_lock);
    strike_out(p);
    spin_unlock(&processes_lock);
}

/* ---- telling the parent ---- */

static uint64_t cpu_ns(struct process *p)
{
    sched_lock_acquire();
    uint64_t ns = p->cpu_ns;
    sched_lock_release();
    return ns;
}

static void describe(struct process *p, uint32_t event, struct motor_wait *w)
{
    *w = (struct motor_wait){.pid = p->pid,
                             .uid = p->ruid,
                             .user_ns = cpu_ns(p) + p->children_ns,
                             .memory_max = p->memory_max > p->children_memory_max
                                               ? p->memory_max
                                               : p->children_memory_max};
    if (event == MOTOR_WAIT_STOPPED) {
        w->code = CLD_STOPPED;
        w->status = p->stop_signal;
    } else if (event == MOTOR_WAIT_CONTINUED) {
        w->code = CLD_CONTINUED;
        w->status = SIGCONT;
    } else {
        bool killed = p->status & 127;
        w->code = killed ? CLD_KILLED : CLD_EXITED;
        w->status = killed ? p->status & 127 : p->status >> 8 & 255;
    }
}

static uint64_t ticks(uint64_t ns)
{
    return ns / 10000000u; /* siginfo has clock ticks of 1/100 s */
}

/* SIGCHLD and a wake-up for `parent`. [processes_lock] */
static void tell(struct process *parent, struct process *p, uint32_t event, bool quiet,
                 struct signal_entry **entry)
{
    struct motor_wait w;
    describe(p, event, &w);
    struct motor_signal info = {.signo = SIGCHLD, .code = (int32_t)w.code};
    info.data[0] = (uint64_t)w.uid << 32 | w.pid;
    info.data[1] = w.status;
    info.data[2] = ticks(w.user_ns);
    sched_lock_acquire();
    while (!list_empty(&parent->child_waiters)) {
        wait_end(container_of(parent->child_waiters.next, struct thread, wait_link), 0);
    }
    if (!quiet && !parent->first) {
        signal_post(parent, &info, entry);
    }
    sched_lock_release();
}

static void tell_event(struct process *p, uint32_t event)
{
    struct signal_entry *entry = signal_entry_new();
    spin_lock(&processes_lock);
    struct process *parent = p->parent;
    if (parent && p->state != PROCESS_DEAD) {
        parent->child_events += p->event == 0;
        p->event = event;
        tell(parent, p, event, parent->child_flags & MOTOR_CHILD_NO_STOP, &entry);
    }
    spin_unlock(&processes_lock);
    kfree(entry);
}

void family_stopped(struct process *p)
{
    tell_event(p, MOTOR_WAIT_STOPPED);
}

void family_continued(struct process *p)
{
    tell_event(p, MOTOR_WAIT_CONTINUED);
}

/* ---- death ---- */

static void forget_event(struct process *p)
{
    if (p->event && p->parent) {
        p->parent->child_events--;
    }
    p->event = 0;
}

/* p, of parent's family no more; the list's reference passes to the caller. [processes_lock] */
static void leave_family(struct process *p)
{
    forget_event(p);
    list_remove(&p->sibling);
    p->parent = NULL;
}

static bool reaps_by_itself(const struct process *parent)
{
    return parent->first || (parent->child_flags & MOTOR_CHILD_AUTO_REAP);
}

/* A dead child of `parent`. True: nobody will wait for it, and its reference is the caller's. */
static bool becomes_zombie(struct process *parent, struct process *p, struct signal_entry **entry)
{
    bool gone = reaps_by_itself(parent);
    if (gone) {
        leave_family(p);
    } else {
        forget_event(p);
        list_remove(&p->sibling);
        list_append(&parent->zombies, &p->sibling);
    }
    tell(parent, p, MOTOR_WAIT_EXITED, false, entry);
    if (gone) {
        strike_out(p);
    }
    return gone;
}

void family_disown(struct process *p)
{
    spin_lock(&processes_lock);
    bool child = p->parent != NULL;
    if (child) {
        leave_family(p);
    }
    spin_unlock(&processes_lock);
    if (child) {
        object_put(&p->object);
    }
}

/* Who takes the children of p. [processes_lock] */
static struct process *reaper_of(struct process *p)
{
    for (struct process *a = p->parent; a; a = a->parent) {
        if (a->subreaper && a->state == PROCESS_RUNNING) {
            return a;
        }
    }
    struct process *init = pid_find(1);
    return init && init != p && init->init && init->state == PROCESS_RUNNING ? init : first_process;
}

/* One child of p to its new parent. False: there is none left. */
static bool hand_over_one(struct process *p, uint32_t *group)
{
    struct signal_entry *entry = signal_entry_new();
    struct process *c = NULL, *kill = NULL;
    bool zombie = false, gone = false;
    uint32_t signal = 0;
    spin_lock(&processes_lock);
    zombie = list_empty(&p->children);
    struct list *from = zombie ? &p->zombies : &p->children;
    if (!list_empty(from)) {
        struct process *to = reaper_of(p);
        c = container_of(from->next, struct process, sibling);
        uint32_t event = c->event;
        leave_family(c);
        *group = c->pgid;
        c->parent = to;
        __atomic_store_n(&c->ppid, to->pid ? to->pid : 1, __ATOMIC_RELAXED);
        __atomic_store_n(&kinfo->adoptions, kinfo->adoptions + 1, __ATOMIC_RELEASE);
        list_append(&to->children, &c->sibling);
        if (zombie) {
            gone = becomes_zombie(to, c, &entry);
        } else {
            c->event = event;
            to->child_events += event != 0;
            signal = c->death_signal;
            if (c->state == PROCESS_EMBRYO) {
                kill = c; /* nobody is left to start it */
            }
            object_get(&c->object);
        }
    }
    spin_unlock(&processes_lock);
    kfree(entry);
    if (c && !zombie) {
        if (kill) {
            process_kill(kill, SIGKILL);
        } else if (signal) {
            signal_raise(c, signal);
        }
        object_put(&c->object);
    }
    if (gone) {
        object_put(&c->object);
    }
    return c != NULL;
}

static bool has_stopped_member(uint32_t group)
{
    for (struct process *p = pid_next(1); p; p = pid_next(p->pid + 1)) {
        if (p->pgid == group && p->stop_signal) {
            return true;
        }
    }
    return false;
}

/* POSIX: what stops in a group that nobody can continue any more gets SIGHUP, then SIGCONT. */
static void check_orphaned(uint32_t group)
{
    spin_lock(&processes_lock);
    bool wake = has_stopped_member(group) && family_group_is_orphaned(group);
    spin_unlock(&processes_lock);
    if (wake) {
        signal_raise_group(group, SIGHUP);
        signal_raise_group(group, SIGCONT);
    }
}

void family_died(struct process *p)
{
    uint32_t groups[1 + GROUPS_LOOKED], count = 0, group = 0;
    if (p->parent) {
        groups[count++] = p->pgid;
    }
    while (hand_over_one(p, &group)) {
        bool known = false;
        for (uint32_t i = 0; i < count; i++) {
            known |= groups[i] == group;
        }
        if (!known && count <= GROUPS_LOOKED) {
            groups[count++] = group;
        }
        sched_preempt_point();
    }
    struct signal_entry *entry = signal_entry_new();
    bool gone = false;
    spin_lock(&processes_lock);
    if (p->parent) {
        gone = becomes_zombie(p->parent, p, &entry);
    }
    spin_unlock(&processes_lock);
    kfree(entry);
    for (uint32_t i = 0; stop_any() && i < count; i++) {
        check_orphaned(groups[i]);
    }
    if (gone) {
        object_put(&p->object);
    }
}

/* ---- waiting ---- */

static bool matches(const struct process *c, uint32_t which, uint32_t id)
{
    return which == MOTOR_WAIT_ANY || (which == MOTOR_WAIT_PID ? c->pid : c->pgid) == id;
}

/* What there is to tell of a child, of what was asked; 0: nothing. */
static uint32_t news(const struct process *c, uint32_t options, bool zombie)
{
    return zombie ? options & MOTOR_WAIT_EXITED : c->event & options;
}

static struct process *search(struct list *head, uint32_t which, uint32_t id, uint32_t options,
                              bool zombie, bool *exists)
{
    for (struct list *l = head->next; l != head; l = l->next) {
        struct process *c = container_of(l, struct process, sibling);
        if (matches(c, which, id)) {
            *exists = true;
            if (news(c, options, zombie)) {
                return c;
            }
            if (which == MOTOR_WAIT_ANY && (zombie || !c->parent->child_events)) {
                break; /* the others have no more to tell than this one */
            }
        }
    }
    return NULL;
}

/* [processes_lock] A child with news; *exists: there is one that may have some. */
static struct process *look(struct process *p, uint32_t which, uint32_t id, uint32_t options,
                            bool *exists)
{
    *exists = false;
    if (which == MOTOR_WAIT_PID) { /* no search */
        struct process *c = pid_find(id);
        *exists = c && c->parent == p;
        return *exists && news(c, options, c->state == PROCESS_DEAD) ? c : NULL;
    }
    struct process *c = search(&p->zombies, which, id, options, true, exists);
    return c ? c : search(&p->children, which, id, options, false, exists);
}

/* Takes the news of c; true: it is reaped, and its reference is the caller's. */
static bool take_news(struct process *p, struct process *c, uint32_t options,
                      struct motor_wait *result)
{
    bool dead = c->state == PROCESS_DEAD;
    describe(c, dead ? MOTOR_WAIT_EXITED : c->event, result);
    if (options & MOTOR_WAIT_KEEP) {
        return false;
    }
    if (!dead) {
        forget_event(c);
        return false;
    }
    p->children_ns += result->user_ns;
    if (result->memory_max > p->children_memory_max) {
        p->children_memory_max = result->memory_max;
    }
    leave_family(c);
    strike_out(c);
    return true;
}

static int64_t wait_once(struct process *p, uint32_t which, uint32_t id, uint32_t options,
                         struct motor_wait *result)
{
    bool exists, reaped = false;
    spin_lock(&processes_lock);
    struct process *c = look(p, which, id, options, &exists);
    if (c) {
        reaped = take_news(p, c, options, result);
    } else if (exists && !(options & MOTOR_WAIT_NOHANG)) {
        sched_lock_acquire();
        wait_begin(WAIT_CHILD, true, &p->child_waiters);
        sched_lock_release();
    }
    spin_unlock(&processes_lock);
    if (reaped) {
        object_put(&c->object);
    }
    return c ? 1 : exists ? 0 : -MOTOR_ENOENT;
}

int64_t sys_process_wait(uint32_t which, uint32_t id, uint32_t options, struct motor_wait *result)
{
    struct process *p = this_cpu()->current->process;
    struct motor_wait w = {0};
    if (which > MOTOR_WAIT_GROUP || options >= MOTOR_WAIT_KEEP << 1 ||
        !(options & (MOTOR_WAIT_EXITED | MOTOR_WAIT_STOPPED | MOTOR_WAIT_CONTINUED))) {
        return -MOTOR_EINVAL;
    }
    int64_t status;
    while ((status = wait_once(p, which, id, options, &w)) == 0) {
        if (options & MOTOR_WAIT_NOHANG) {
            break;
        }
        sched_lock_acquire();
        status = wait_block(MOTOR_NEVER, NULL);
        sched_lock_release();
        if (status < 0) {
            return status;
        }
    }
    return status < 0 ? status : copy_to_user(result, &w, sizeof(w));
}

/* ---- groups and sessions ---- */

bool family_group_is_orphaned(uint32_t group)
{
    for (struct process *p = pid_next(1); p; p = pid_next(p->pid + 1)) {
        const struct process *q = p->parent;
        if (p->pgid == group && p->state != PROCESS_DEAD && q && !q->first && !q->init &&
            q->sid == p->sid && q->pgid != group) {
            return false;
        }
    }
    return true;
}

static int64_t group_session(uint32_t group)
{
    for (struct process *p = pid_next(1); p; p = pid_next(p->pid + 1)) {
        if (p->pgid == group) {
            return p->sid;
        }
    }
    return -MOTOR_ENOENT;
}

static bool group_in_session(uint32_t group, uint32_t sid)
{
    for (struct process *p = pid_next(1); p; p = pid_next(p->pid + 1)) {
        if (p->pgid == group && p->sid == sid) {
            return true;
        }
    }
    return false;
}

static int64_t change_group(struct process *self, struct process *p, uint32_t group)
{
    if (p != self && p->parent != self) {
        return -MOTOR_ENOENT;
    }
    if (p != self && p->execed) {
        return -MOTOR_EACCESS;
    }
    if (p->sid == p->pid || p->sid != self->sid) {
        return -MOTOR_EPERM;
    }
    group = group ? group : p->pid;
    if (group != p->pid && !group_in_session(group, self->sid)) {
        return -MOTOR_EPERM;
    }
    if (group != p->pgid) {
        set_group(p, group);
    }
    return group;
}

static int64_t new_session(struct process *self, struct process *p)
{
    if (p != self && (p->parent != self || p->state != PROCESS_EMBRYO)) {
        return -MOTOR_ENOENT;
    }
    if (p->sid == p->pid || pid_is_group(p->pid)) {
        return -MOTOR_EPERM;
    }
    set_group(p, p->pid);
    set_session(p, p->pid);
    return p->sid;
}

int64_t sys_process_label(uint32_t pid, uint32_t what, uint32_t value)
{
    struct process *self = this_cpu()->current->process;
    int64_t status = -MOTOR_ENOENT;
    spin_lock(&processes_lock);
    struct process *p = pid ? pid_find(pid) : self;
    if (what == MOTOR_LABEL_GROUP_SID) {
        status = group_session(pid);
    } else if (p) {
        switch (what) {
        case MOTOR_LABEL_ORPHANED:
            status = family_group_is_orphaned(p->pgid);
            break;
        case MOTOR_LABEL_ALIVE:
            status = p->state != PROCESS_DEAD;
            break;
        case MOTOR_LABEL_PPID:
            status = p->ppid;
            break;
        case MOTOR_LABEL_PGID:
            status = p->pgid;
            break;
        case MOTOR_LABEL_SID:
            status = p->sid;
            break;
        case MOTOR_LABEL_SET_PGID:
            status = change_group(self, p, value);
            break;
        case MOTOR_LABEL_SET_SID:
            status = new_session(self, p);
            break;
        default:
            status = -MOTOR_EINVAL;
        }
    }
    spin_unlock(&processes_lock);
    return status;
}

int64_t sys_process_open(uint32_t pid, uint32_t rights)
{
    struct process *self = this_cpu()->current->process;
    if (!self->first) {
        return -MOTOR_EPERM;
    }
    if (rights & ~MOTOR_RIGHTS_ALL) {
        return -MOTOR_EINVAL;
    }
    spin_lock(&processes_lock);
    struct process *p = pid_find(pid);
    bool found = p && object_try_get(&p->object);
    spin_unlock(&processes_lock);
    if (!found) {
        return -MOTOR_ENOENT;
    }
    int64_t h = handle_insert(self, &p->object, rights);
    object_put(&p->object);
    return h;
}
