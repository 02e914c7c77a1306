/* SPDX-License-Identifier: MIT */
/* Messages in the queues of sockets, and what they are charged to. */
#include "local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t queued, limit; /* bytes of all messages */

void messages_init(uint64_t memory)
{
    limit = memory / 8;
    counter_register("tty", "message_bytes", &queued);
}

static void charge(struct message *m, struct account *account)
{
    m->account = account;
    account->refs++;
    account->bytes += MESSAGE_COST + m->capacity;
}

struct message *message_reserve(uint32_t capacity)
{
    uint64_t size = sizeof(struct message) + capacity;
    struct message *m = queued + size > limit || memory_low() ? NULL : malloc(size);
    if (!m)
        return NULL;
    *m = (struct message){.capacity = capacity};
    queued += size;
    return m;
}

struct message *message_new(uint32_t capacity, struct account *account)
{
    struct message *m = message_reserve(capacity);
    if (m)
        charge(m, account);
    return m;
}

struct message *message_cut(struct message *m, uint32_t size, struct account *account)
{
    struct message *less = realloc(m, sizeof *m + size);
    if (less) { /* else it stays as large as it is */
        m = less;
        queued -= m->capacity - size;
        m->capacity = size;
    }
    m->end = size;
    charge(m, account);
    return m;
}

void message_free(struct message *m)
{
    if (!m)
        return;
    if (m->account) {
        m->account->bytes -= MESSAGE_COST + m->capacity;
        account_put(m->account);
    }
    if (m->parcel)
        parcel_free(m->parcel);
    name_put(m->from);
    queued -= sizeof *m + m->capacity;
    free(m);
}

struct account *account_new(void)
{
    struct account *a = calloc(1, sizeof *a);
    if (a)
        a->refs = 1;
    return a;
}

void account_put(struct account *a)
{
    if (--a->refs == 0)
        free(a);
}

struct name *name_new(const uint8_t *bytes, uint32_t length)
{
    struct name *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->refs = 1;
    n->length = length;
    memcpy(n->bytes, bytes, length);
    return n;
}

struct name *name_get(struct name *n)
{
    if (n)
        n->refs++;
    return n;
}

void name_put(struct name *n)
{
    if (n && --n->refs == 0)
        free(n);
}
