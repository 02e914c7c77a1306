/* SPDX-License-Identifier: MIT */
/* See template.h. There is one template at most, and once it is seen it never changes. */
#include "template.h"
#include "arch/x86_64/arch.h"
#include "frame.h"
#include "log.h"
#include "syscall.h"
#include "thread.h"

struct template
{
    struct aspace *aspace;
    struct motor_thread_start start;
    uint64_t upcall_entry, linux_entry, about;
};

static struct template *template; /* [atomic] set once */

static struct template *get(void)
{
    return __atomic_load_n(&template, __ATOMIC_ACQUIRE);
}

static void drop(struct template *t)
{
    if (t && t->aspace) {
        aspace_put(t->aspace);
    }
    kfree(t);
}

static int64_t fill(struct template *t, const struct motor_thread_start *user)
{
    const struct process *self = this_cpu()->current->process;
    int64_t status = copy_from_user(&t->start, user, sizeof(t->start));
    if (status < 0 || (status = thread_check_start(&t->start)) < 0) {
        return status;
    }
    t->upcall_entry = self->upcall_entry;
    t->linux_entry = self->linux_entry;
    t->about = self->about;
    t->aspace = aspace_create_empty();
    return t->aspace ? aspace_fork(self->aspace, t->aspace) : -MOTOR_ENOMEM;
}

int64_t template_set(const struct motor_thread_start *user)
{
    struct template *t = get() ? NULL : kzalloc(sizeof(*t)), *none = NULL;
    if (!t) {
        return get() ? -MOTOR_EEXIST : -MOTOR_ENOMEM;
    }
    int64_t status = fill(t, user);
    if (status == 0 && !__atomic_compare_exchange_n(&template, &none, t, false, __ATOMIC_ACQ_REL,
                                                    __ATOMIC_ACQUIRE)) {
        status = -MOTOR_EEXIST;
    }
    if (status < 0) {
        drop(t);
    }
    return status;
}

struct aspace *template_aspace(int64_t *status)
{
    struct template *t = get();
    struct aspace *as = t ? aspace_create_empty() : NULL;
    *status = t ? -MOTOR_ENOMEM : -MOTOR_ENOENT;
    if (as && aspace_fork(t->aspace, as) < 0) {
        aspace_put(as);
        return NULL;
    }
    if (as) {
        aspace_renew(as);
    }
    return as;
}

void template_entries(struct process *p)
{
    const struct template *t = get();
    p->upcall_entry = t->upcall_entry;
    p->linux_entry = t->linux_entry;
    p->about = t->about;
    p->from_template = true;
}

int64_t template_start(const struct process *p, struct motor_thread_start *s)
{
    const struct template *t = get();
    if (!p->from_template || s->flags != MOTOR_THREAD_FROM_TEMPLATE) {
        return -MOTOR_EINVAL;
    }
    uint64_t arg[3] = {s->arg[0], s->arg[1], s->arg[2]};
    *s = t->start;
    __builtin_memcpy(s->arg, arg, sizeof(arg));
    return 0;
}
