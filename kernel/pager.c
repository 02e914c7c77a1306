/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own calls to servers, for threads that faulted. See pager.h.
 */
#include "pager.h"
#include "endpoint.h"
#include "frame.h"
#include "process.h"
#include "sched.h"
#include "vmo_impl.h"

#define LOW_PART      16u         /* memory is short when less than total / this is free */
#define TELL_EVERY    20000000ull /* ns between two notifications of it */
#define RECLAIM_PAGES 256u

static struct gate *reclaim_gate; /* [atomic, set once] */

/* A call with words only, as the current thread's. The reply's status, or why there was none. */
static int64_t ask(struct gate *g, uint32_t op, uint64_t w0, uint64_t w1)
{
    struct call c;
    __builtin_memset(&c.msg, 0, sizeof(c.msg));
    c.msg.op = op;
    c.msg.word[0] = w0;
    c.msg.word[1] = w1;
    c.msg.deadline = MOTOR_NEVER;
    c.msg.nhandles = MOTOR_CALL_NOINTR;
    c.gate = g;
    int64_t status = call_perform(&c);
    call_drop_handles(&c);
    return status == 0 ? c.msg.status : status;
}

int64_t pager_ask(struct vmo *v, uint64_t offset, bool write)
{
    struct thread *t = this_cpu()->current;
    if (!v->pager || t->waiting) { /* it looks at a word, ready to sleep: it must not do so here */
        return -MOTOR_EGONE;
    }
    CPU_COUNT(pager_calls);
    int64_t status = ask(v->pager, MOTOR_PAGER_FETCH, offset, write);
    return status > 0 || (status != 0 && status != -MOTOR_EINTR && status != -MOTOR_ENOMEM)
               ? -MOTOR_EGONE
               : status;
}

int64_t pager_sync(struct vmo *v)
{
    int64_t status = v->pager ? ask(v->pager, MOTOR_PAGER_SYNC, 0, 0) : 0;
    return status < 0 && status != -MOTOR_EINTR ? -MOTOR_EGONE : status;
}

/* ---- memory ---- */

int64_t pager_set_reclaim(struct gate *g)
{
    struct gate *none = NULL;
    object_handle_get(&g->object);
    if (__atomic_compare_exchange_n(&reclaim_gate, &none, g, false, __ATOMIC_RELEASE,
                                    __ATOMIC_RELAXED)) {
        return 0;
    }
    object_handle_put(&g->object);
    return -MOTOR_EEXIST;
}

int64_t pager_reclaim(void)
{
    struct gate *g = __atomic_load_n(&reclaim_gate, __ATOMIC_ACQUIRE);
    struct thread *t = this_cpu()->current;
    if (!g || t->waiting || t->process->first || frame_plenty()) {
        return -MOTOR_ENOMEM; /* a limit of the program itself, or nobody to ask */
    }
    int64_t got = ask(g, MOTOR_PAGER_RECLAIM, RECLAIM_PAGES, 0);
    return got > 0 ? 0 : got == -MOTOR_EINTR ? got : -MOTOR_ENOMEM;
}

void pager_check_memory(void)
{
    static uint64_t told; /* [atomic] */
    struct gate *g = __atomic_load_n(&reclaim_gate, __ATOMIC_ACQUIRE);
    if (!g || frame_free_count() >= frame_total() / LOW_PART) {
        return;
    }
    uint64_t now = arch_now(), last = __atomic_load_n(&told, __ATOMIC_RELAXED);
    if (now - last >= TELL_EVERY &&
        __atomic_compare_exchange_n(&told, &last, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        gate_notify(g);
    }
}
