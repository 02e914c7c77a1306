/* SPDX-License-Identifier: MIT */
/* A memory object tells a gate when nobody maps it any more. */
#include "endpoint.h"
#include "sched.h"
#include "vmo_impl.h"

int64_t vmo_watch(struct vmo *v, struct gate *g)
{
    sched_lock_acquire();
    struct gate *old = v->watcher;
    bool taken = old && !old->dead;
    if (!taken) {
        object_get(&g->object);
        v->watcher = g;
    }
    sched_lock_release();
    if (old && !taken) {
        object_put(&old->object);
    }
    return taken ? -MOTOR_EEXIST : 0;
}

void vmo_unmapped(struct vmo *v)
{
    if (!__atomic_load_n(&v->watcher, __ATOMIC_RELAXED)) { /* bound before others have the object */
        return;
    }
    sched_lock_acquire();
    gate_post(v->watcher);
    sched_lock_release();
}
