/* SPDX-License-Identifier: MIT */
/* What a connection that has both ends here has on loan: see lent.c. */
#ifndef NET_LENT_H
#define NET_LENT_H

#include "engine.h"
#include "socket.h"

/* IO_LOAN on a stream. */
int64_t lent_call(struct socket *s, const struct motor_event *ev, struct net_reply *r);
/* Whether the bytes of `s` and its twin go through a loan. */
bool lent_is_active(const struct socket *s);
/* They do not any more: those on their way are in the readers' rings, or wait for room there. */
void lent_end(struct socket *s);
/*
 * `s` and its twin part. What `s` has not read is left pending: it may be looked at by those who
 * let it go.
 */
void lent_part(struct socket *s);
/* A transfer of `s` went through the engine. */
void lent_passed(struct socket *s);
uint32_t lent_unread(const struct socket *s); /* bytes that lie there for `s` */
/* What has gone through loans is counted (direct.h), up to now. */
void lent_count_all(void);

#endif
