/* SPDX-License-Identifier: MIT */
/*
 * Rendezvous: gates that the fs engine gives out for an inode (IO_RENDEZVOUS, IO_OPEN of a FIFO),
 * whose badge is the inode's number and what the holder may do.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

void rendezvous_call(struct motor_event *ev)
{
    uint32_t access = (uint32_t)ev->word[0] & O_ACCMODE;
    uint64_t needs =
        (access == O_WRONLY ? 0 : RENDEZVOUS_READ) | (access == O_RDONLY ? 0 : RENDEZVOUS_WRITE);
    struct pipe *p = NULL;
    int64_t status = ev->op != IO_FIFO_OPEN         ? -ENOSYS
                     : access == O_ACCMODE          ? -EINVAL
                     : (ev->badge & needs) != needs ? -EACCES
                                                    : 0;
    if (status == 0 && !(p = fifo_find(ev->badge & RENDEZVOUS_ID)))
        status = -ENFILE;
    if (status < 0)
        engine_reply(&tty_engine, ev->token, status);
    else
        tty_call(ev, fifo_opener(p, access));
}
