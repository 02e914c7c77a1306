/* SPDX-License-Identifier: MIT */
/*
 * Programs: what who execs is given. Usually that is the file and its bytes, and he does the rest
 * himself. A set-id program is made here, because it gets more than he has: see program_set_id()
 * and docs/decisions/0024-set-id-programs.md.
 */
#ifndef SYSIO_FS_PROGRAM_H
#define SYSIO_FS_PROGRAM_H

#include "fs.h"

/* Whom programs ask about the network, or 0: a connector gate. Before the engine runs. */
void program_set_net(motor_handle connector);

/* IO_EXEC of a file that may be executed; takes the reference over. */
void program_reply(struct motor_event *ev, const struct cred *who, struct inode *inode);
/* IO_EXEC_SET_ID: a status or NO_REPLY. */
int64_t program_set_id(struct motor_event *ev, const struct cred *who, const struct file *file);

#endif
