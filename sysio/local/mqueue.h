/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues: mq_overview(7). A queue is found by its name as long as it has one, and is
 * there while it has a name or somebody has it open. An open one is a gate to one of its *ends*,
 * one for each access mode, so that who may only read has nothing by which he could write.
 *
 *   mqueue.c        messages, and who waits for them
 *   mqueue_table.c  names, permissions, limits
 *   mqueue_notice.c mq_notify
 *
 * Invariants. Who waits to receive finds the queue empty, who waits to send finds it full: whatever
 * changes that ends as many waits as it can at once. A message leaves the queue when its receiver
 * has been told, and enters it when it has been copied whole: whoever is killed while he waits, or
 * gives a wrong address, has changed nothing.
 */
#ifndef SYSIO_MQUEUE_H
#define SYSIO_MQUEUE_H

#include "local.h"

#define MQUEUE_NAME_MAX   255u
#define MQUEUE_PRIORITIES 32768u

struct mq_message {
    struct mq_message *next;  /* of the same priority */
    struct mq_message *lower; /* of the first of a priority: the first of the next lower one, */
    struct mq_message *last;  /* and the last of its own */
    uint32_t priority, size;
    uint8_t bytes[];
};

struct mq_end {
    struct tty_object object;
    uint64_t badge; /* 0: not made yet */
    uint32_t refs;  /* gates */
    struct mqueue *queue;
};

struct mqueue {
    struct mqueue *next; /* of its bucket, while it has its name */
    bool named;
    char path[MQUEUE_NAME_MAX + 2]; /* a slash, and the name */
    uint64_t number;
    uint32_t mode, uid, gid;
    struct mq_user *user;  /* whom it is charged to */
    int64_t made, changed; /* ns */
    uint32_t refs;         /* of all ends */
    struct mq_end end[3];  /* by O_RDONLY, O_WRONLY, O_RDWR */
    uint64_t messages_max, size_max;
    uint64_t count, bytes; /* of what is in it */
    struct mq_message *first;
    uint32_t senders, receivers; /* who wait */
    struct mq_notice *notice;    /* who wants to be told; NULL: nobody */
};

static inline struct mq_end *mq_end_of(struct tty_object *o)
{
    return (struct mq_end *)((char *)o - offsetof(struct mq_end, object));
}

/* ---- mqueue.c ---- */

extern const struct tty_ops mqueue_ops;
void mqueue_drop(struct mqueue *q); /* its messages, and its waits: nobody has it any more */

/* ---- mqueue_table.c ---- */

/* An end has got a gate more, or lost one. */
void mqueue_opened(struct tty_object *o);
void mqueue_closed(struct tty_object *o);

/* ---- mqueue_notice.c ---- */

int64_t mqueue_notify(struct mqueue *q, struct motor_event *ev); /* IO_MQ_NOTIFY */
/* A message of `sender` has come into the empty queue. */
void mqueue_notice_tell(struct mqueue *q, struct signature sender);
void mqueue_notice_end(struct mqueue *q); /* if there is one: it is to be told nothing */
/* Who is registered (0: nobody), how (SIGEV_*), and with which signal. */
uint32_t mqueue_notice_of(const struct mqueue *q, uint32_t *how, uint32_t *signal);

#endif
