/* SPDX-License-Identifier: MIT */
/*
 * Limits of POSIX message queues, as /proc/sys/fs/mqueue shows and sets them: mq_overview(7). The
 * fs engine writes them, the tty engine reads them: each is a word of its own [atomic].
 */
#ifndef SYSIO_MQUEUE_LIMITS_H
#define SYSIO_MQUEUE_LIMITS_H

#include <stdint.h>

/* What nobody gets more of, root included. */
#define MQUEUE_MESSAGES_MOST 65536u
#define MQUEUE_SIZE_MOST     (1u << 20) /* of a message: it is copied in one turn of the engine */
#define MQUEUE_QUEUES_MOST   65536u

struct mqueue_limits {
    uint32_t queues_max; /* the others are for who is not root, and where no attributes are given */
    uint32_t msg_max, msgsize_max;
    uint32_t msg_default, msgsize_default;
};
extern struct mqueue_limits mqueue_limits;

#endif
