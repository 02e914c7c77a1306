/* SPDX-License-Identifier: MIT */
/* The names in one memory directory: see directory.h. */
#include "directory.h"

#include <stdlib.h>
#include <string.h>

/* Seeded, so that nobody can choose names that all meet in one bucket. */
static uint64_t hash_seed;

static uint32_t name_hash(const char *name, size_t length)
{
    uint64_t h = hash_seed ^ length * 0x9e3779b97f4a7c15ull;
    for (; length >= 8; name += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, name, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdull;
        h ^= h >> 32;
    }
    uint64_t word = 0;
    memcpy(&word, name, length);
    h = (h ^ word) * 0xff51afd7ed558ccdull;
    return (uint32_t)(h >> 32 ^ h);
}

void directory_init(struct directory *d)
{
    if (!hash_seed)
        motor_random(&hash_seed, sizeof hash_seed, 0);
    memset(d, 0, sizeof *d);
    d->next_id = DIRECTORY_FIRST_ID;
}

void directory_free(struct directory *d)
{
    free(d->buckets);
    free(d->order);
    free(d->ids);
    memset(d, 0, sizeof *d);
}

struct entry *directory_find(const struct directory *d, const char *name, size_t length)
{
    if (!d->buckets)
        return NULL;
    uint32_t hash = name_hash(name, length);
    struct entry *e = d->buckets[hash & ((1u << d->bits) - 1)];
    while (e && (e->hash != hash || e->length != length || memcmp(e->name, name, length)))
        e = e->next;
    return e;
}

static bool buckets_grow(struct directory *d)
{
    uint32_t bits = d->buckets ? d->bits + 1 : 3;
    struct entry **buckets = calloc(1u << bits, sizeof *buckets);
    if (!buckets)
        return false;
    for (uint32_t i = 0; d->buckets && i < 1u << d->bits; i++) {
        for (struct entry *e = d->buckets[i], *next; e; e = next) {
            struct entry **to = &buckets[e->hash & ((1u << bits) - 1)];
            next = e->next;
            e->next = *to;
            *to = e;
        }
    }
    free(d->buckets);
    d->buckets = buckets;
    d->bits = bits;
    return true;
}

static void order_compact(struct directory *d)
{
    uint32_t to = 0;
    for (uint32_t i = 0; i < d->order_used; i++)
        if (d->order[i]) {
            d->order[to] = d->order[i];
            d->ids[to++] = d->ids[i];
        }
    d->order_used = to;
}

static bool order_room(struct directory *d)
{
    if (d->order_used < d->order_size)
        return true;
    if (d->count < d->order_used / 2) {
        order_compact(d);
        return true;
    }
    uint32_t size = d->order_size ? d->order_size * 2 : 8;
    struct entry **order = realloc(d->order, size * sizeof *order);
    if (!order)
        return false;
    d->order = order;
    uint64_t *ids = realloc(d->ids, size * sizeof *ids);
    if (!ids)
        return false;
    d->ids = ids;
    d->order_size = size;
    return true;
}

struct entry *directory_add(struct directory *d, const char *name, size_t length,
                            struct inode *inode)
{
    if (!order_room(d))
        return NULL;
    if ((!d->buckets || d->count >= 1u << d->bits) && !buckets_grow(d) && !d->buckets)
        return NULL;
    struct entry *e = malloc(sizeof *e + length);
    if (!e)
        return NULL;
    e->inode = inode;
    e->id = d->next_id++;
    e->hash = name_hash(name, length);
    e->length = (uint16_t)length;
    memcpy(e->name, name, length);
    struct entry **bucket = &d->buckets[e->hash & ((1u << d->bits) - 1)];
    e->next = *bucket;
    *bucket = e;
    d->order[d->order_used] = e;
    d->ids[d->order_used++] = e->id;
    d->count++;
    return e;
}

/* Index of the first position whose id is greater. */
static uint32_t order_after(const struct directory *d, uint64_t id)
{
    uint32_t low = 0, high = d->order_used;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (d->ids[middle] > id)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void directory_remove(struct directory *d, struct entry *entry)
{
    struct entry **link = &d->buckets[entry->hash & ((1u << d->bits) - 1)];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    d->order[order_after(d, entry->id) - 1] = NULL;
    d->count--;
    free(entry);
    if (!d->count)
        d->order_used = 0;
    else if (d->order_used > 64 && d->count < d->order_used / 4)
        order_compact(d);
}

struct entry *directory_after(const struct directory *d, uint64_t id, uint32_t *at)
{
    uint32_t i = *at;
    if (i == DIRECTORY_SEARCH)
        i = order_after(d, id);
    while (i < d->order_used && !d->order[i])
        i++;
    *at = i + 1;
    return i < d->order_used ? d->order[i] : NULL;
}
