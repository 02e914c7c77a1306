/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueues. The driver's own state (free list, chain lengths, capacities) lives in memory
 * that the device cannot reach; descriptors are only written, never read back.
 */
#include "virtio_impl.h"
#include <stdlib.h>
#include <string.h>

#define DESC_NEXT          1u
#define DESC_WRITE         2u
#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY     1u

static inline void barrier_full(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void queue_break(struct virtq *q, const char *why)
{
    if (!q->broken)
        virtio_log("virtio: %s queue %u is broken: %s", virtio_name(q->device), q->index, why);
    q->broken = true;
}

static uint64_t align_up(uint64_t n, uint64_t a)
{
    return (n + a - 1) & ~(a - 1);
}

struct virtq *virtq_create(struct virtio_device *d, uint32_t index, uint32_t size)
{
    uint64_t avail = align_up(16ull * size, 16), used = align_up(avail + 6 + 2ull * size, 64);
    struct virtq *q = calloc(1, sizeof *q + size * sizeof q->chains[0]);
    if (!q || virtio_dma_alloc(&q->memory, used + 6 + 8ull * size) < 0) {
        free(q);
        return NULL;
    }
    q->device = d;
    q->index = index;
    q->size = size;
    q->desc = q->memory.va;
    q->avail = (void *)((char *)q->memory.va + avail);
    q->used = (void *)((char *)q->memory.va + used);
    q->desc_pa = q->memory.pa;
    q->avail_pa = q->memory.pa + avail;
    q->used_pa = q->memory.pa + used;
    q->avail_event = (volatile uint16_t *)((char *)q->used + 4 + 8ull * size);
    q->used_event = (volatile uint16_t *)((char *)q->avail + 4 + 2ull * size);
    q->free_count = size;
    for (uint32_t i = 0; i < size; i++)
        q->chains[i].next = (uint16_t)(i + 1);
    return q;
}

uint32_t virtq_size(const struct virtq *q)
{
    return q->size;
}

uint32_t virtq_free(const struct virtq *q)
{
    return q->broken ? 0 : q->free_count;
}

bool virtq_broken(const struct virtq *q)
{
    return q->broken;
}

int virtq_add(struct virtq *q, const struct virtio_buffer *buffers, uint32_t out, uint32_t in,
              void *token)
{
    uint32_t count = out + in;
    uint64_t capacity = 0;
    uint16_t head = q->free_head, i = head, last = head;
    if (q->broken || !count || count > q->free_count)
        return -MOTOR_EAGAIN;
    for (uint32_t n = 0; n < count; n++) {
        uint16_t next = q->chains[i].next,
                 flags = (uint16_t)((n + 1 < count ? DESC_NEXT : 0) | (n >= out ? DESC_WRITE : 0));
        q->desc[i] = (struct virtq_desc){buffers[n].pa, buffers[n].size, flags, next};
        if (n >= out)
            capacity += buffers[n].size;
        last = i;
        i = next;
    }
    q->free_head = i;
    q->free_count -= count;
    q->chains[head].token = token;
    q->chains[head].last = last;
    q->chains[head].count = (uint16_t)count;
    q->chains[head].capacity = capacity > UINT32_MAX ? UINT32_MAX : (uint32_t)capacity;
    q->avail->ring[q->avail_index & (q->size - 1)] = head;
    q->avail_index++;
    return 0;
}

void virtq_kick(struct virtq *q)
{
    uint16_t old = q->kicked_index, now = q->avail_index;
    if (old == now || q->broken)
        return;
    __atomic_store_n(&q->avail->index, now, __ATOMIC_RELEASE);
    q->kicked_index = now;
    barrier_full();
    if (q->event_idx) {
        uint16_t event = *q->avail_event;
        if ((uint16_t)(now - event - 1) >= (uint16_t)(now - old))
            return;
    } else if (q->used->flags & USED_NO_NOTIFY) {
        return;
    }
    virtio_notify(q);
}

/* Puts a finished chain back on the free list. */
static void *chain_release(struct virtq *q, uint16_t head)
{
    struct virtq_chain *c = &q->chains[head];
    void *token = c->token;
    c->token = NULL;
    q->chains[c->last].next = q->free_head;
    q->free_head = head;
    q->free_count += c->count;
    return token;
}

void *virtq_pop(struct virtq *q, uint32_t *written)
{
    uint16_t index = __atomic_load_n(&q->used->index, __ATOMIC_ACQUIRE);
    if (index == q->used_index || q->broken)
        return NULL;
    if ((uint16_t)(index - q->used_index) > q->size) {
        queue_break(q, "used index runs away");
        return NULL;
    }
    volatile struct virtq_used_element *e = &q->used->ring[q->used_index & (q->size - 1)];
    uint32_t id = e->id, length = e->length;
    if (id >= q->size || !q->chains[id].token) {
        queue_break(q, "used entry names no chain");
        return NULL;
    }
    if (length > q->chains[id].capacity)
        length = q->chains[id].capacity;
    q->used_index++;
    if (written)
        *written = length;
    return chain_release(q, (uint16_t)id);
}

bool virtq_ready(const struct virtq *q)
{
    return !q->broken && __atomic_load_n(&q->used->index, __ATOMIC_ACQUIRE) != q->used_index;
}

bool virtq_interrupt_after(struct virtq *q, uint32_t count)
{
    if (q->broken)
        return false;
    if (q->event_idx)
        *q->used_event = (uint16_t)(q->used_index + count - 1);
    else
        q->avail->flags = 0;
    barrier_full();
    return (uint16_t)(__atomic_load_n(&q->used->index, __ATOMIC_ACQUIRE) - q->used_index) >= count;
}

bool virtq_interrupts_on(struct virtq *q)
{
    return virtq_interrupt_after(q, 1);
}

void virtq_interrupts_off(struct virtq *q)
{
    if (q->event_idx)
        *q->used_event = (uint16_t)(q->used_index - 1); /* passed long ago: 65,535 entries away */
    else
        q->avail->flags = AVAIL_NO_INTERRUPT;
}

void *virtq_detach(struct virtq *q)
{
    for (; q->detach_next < q->size; q->detach_next++)
        if (q->chains[q->detach_next].token)
            return chain_release(q, (uint16_t)q->detach_next++);
    q->detach_next = 0;
    return NULL;
}
