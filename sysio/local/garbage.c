/* SPDX-License-Identifier: MIT */
/*
 * Sockets in messages may lead to each other in circles, and nobody could ever receive them. When a
 * socket has lost its last gate but is in a parcel, what processes can still reach is marked, from
 * queue to queue; the queues of all others are dropped.
 */
#include "local.h"

uint32_t unix_in_flight;
static bool wanted;
static uint32_t collection;
static struct unix_socket *todo; /* reached, their queues not looked at, by next_todo */

void garbage_wanted(void)
{
    wanted = true;
}

static void reach(struct unix_socket *s)
{
    if (s->reached == collection)
        return;
    s->reached = collection;
    s->next_todo = todo;
    todo = s;
}

static void reach_queue(const struct unix_socket *s)
{
    for (const struct message *m = s->first; m; m = m->next)
        if (m->parcel)
            parcel_sockets(m->parcel, reach);
}

static void mark(void)
{
    for (struct unix_socket *s = unix_sockets; s; s = s->next)
        if (s->refs > s->in_flight)
            reach(s);
    while (todo) {
        struct unix_socket *s = todo;
        todo = s->next_todo;
        reach_queue(s);
        for (struct unix_socket *w = s->waiting; w; w = w->next_waiting)
            reach(w);
    }
}

static void drop_queue(struct unix_socket *s)
{
    unix_drop_waiting(s);
    unix_drop_queue(s);
}

void garbage_collect(void)
{
    if (!wanted || !unix_in_flight)
        return;
    wanted = false;
    collection++;
    mark();
    for (struct unix_socket *s = unix_sockets; s; s = s->next)
        if (s->reached != collection)
            s->refs++; /* none of them ends while the list is walked */
    for (struct unix_socket *s = unix_sockets; s; s = s->next)
        if (s->reached != collection)
            drop_queue(s);
    for (struct unix_socket *s = unix_sockets, *next; s; s = next) {
        next = s->next;
        if (s->reached != collection)
            unix_unref(s);
    }
}
