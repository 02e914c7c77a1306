/* SPDX-License-Identifier: MIT */
/* Supplementary groups. The kernel has them, sorted, since others judge by them. */
#include "internal.h"

/* The entry at `at` goes down until none below it is larger: [0, count) is a heap but for it. */
static void sift(uint32_t *heap, uint32_t at, uint32_t count)
{
    uint32_t moved = heap[at];
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] > heap[child]) {
            child++;
        }
        if (heap[child] <= moved) {
            break;
        }
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static void sort(uint32_t *list, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;) {
        sift(list, i, count);
    }
    for (uint32_t end = count; end-- > 1;) {
        uint32_t largest = list[0];
        list[0] = list[end];
        list[end] = largest;
        sift(list, 0, end);
    }
}

long px_sys_getgroups(int size, void *list)
{
    struct motor_groups g = {.gid = list, .count = (uint32_t)size};
    if (size < 0) {
        return -EINVAL;
    }
    int64_t status = motor_process_info(px_proc_handle(), MOTOR_PINFO_GROUPS, &g, sizeof(g));
    if (status < 0) {
        return px_errno(status);
    }
    return size && g.count > (uint32_t)size ? -EINVAL : (long)g.count;
}

static long set(const uint32_t *list, uint32_t count)
{
    struct px_process *p = px_proc();
    const struct motor_groups g = {.gid = (uint32_t *)list, .count = count};
    int64_t id = motor_process_set(px_proc_handle(), MOTOR_PSET_GROUPS, (uint64_t)&g);
    if (id < 0) {
        return px_errno(id);
    }
    p->groups = (uint64_t)id + 1;
    return 0;
}

long px_sys_setgroups(size_t size, const void *user)
{
    if (px_proc()->euid != 0) {
        return -EPERM;
    }
    if (size > MOTOR_GROUPS_MAX) {
        return -EINVAL;
    }
    if (size == 0) {
        return set(NULL, 0);
    }
    uint32_t *list = px_alloc_raw(size * sizeof(*list));
    if (!list) {
        return -ENOMEM;
    }
    long status = px_copy_in(list, user, size * sizeof(*list));
    if (status == 0) {
        sort(list, (uint32_t)size);
        status = set(list, (uint32_t)size);
    }
    px_free(list);
    return status;
}
