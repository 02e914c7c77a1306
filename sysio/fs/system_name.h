/* SPDX-License-Identifier: MIT */
#ifndef SYSIO_FS_SYSTEM_NAME_H
#define SYSIO_FS_SYSTEM_NAME_H

#include "fs.h"

struct text;

/* IO_SYSTEM_NAME: its status. */
int64_t system_name_call(const struct motor_event *ev, const struct cred *who);
/* /proc/sys/kernel */
void text_hostname(struct text *t);
void text_domainname(struct text *t);

#endif
