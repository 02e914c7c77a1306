/* SPDX-License-Identifier: MIT */
/* Control messages of sendmsg and recvmsg, as cmsg(3) lays them out. */
#ifndef PX_CONTROL_H
#define PX_CONTROL_H

#include "socket.h"

struct px_control { /* struct cmsghdr */
    uint64_t length;
    int32_t level, type;
};

/*
 * The next one of a message that is sent. `at`: 0 at first, moved on. 1: *c is its header and *data
 * where the program has its bytes; 0: there are no more; or a negated errno.
 */
long px_control_next(const struct px_message *m, uint64_t *at, struct px_control *c,
                     const uint8_t **data);
/*
 * A header and its data into the receiver's buffer. What has no room is cut or left out, and
 * MSG_CTRUNC tells of it.
 */
void px_control_give(struct px_message *m, int level, int type, const void *data, uint64_t size);

#endif
