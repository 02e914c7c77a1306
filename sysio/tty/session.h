/* SPDX-License-Identifier: MIT */
/*
 * Who waits for a terminal in poll or epoll: a session (see <motor/io.h>) whose bits the client
 * gives out itself, and for each armed IO_POLL a note of which bit to set once. There are no slots
 * and no rings: bytes move by calls.
 */
#ifndef SYSIO_TTY_SESSION_H
#define SYSIO_TTY_SESSION_H

#include "tty.h"

/* IO_SESSION_OPEN; answers it. */
void session_open(struct motor_event *ev);
/* The gate of a session was closed; false: the badge is no session's. */
bool session_closed(uint64_t badge);
/*
 * Sets `bit` of the session when one of `mask` becomes ready at an object, or, if it is ready now,
 * there is something new; once. lent: who is told looks at a ring himself; so he is told by
 * session_tell_lent(), each time, and by session_fire() once. 0 or a negated errno.
 */
int64_t session_arm(uint64_t badge, uint64_t bit, struct tty_object *object, uint32_t mask,
                    bool lent);
void session_tell_lent(const struct tty_object *object);
/* The object goes: nobody is told of it any more. */
void session_forget(const struct tty_object *object);
/* Whoever is to be told of the object is told now, and looks. */
void session_fire(const struct tty_object *object);
/* Sets the bits of what has become ready: at the end of a turn, and before anybody is answered
 * within one. */
void session_tell(void);

#endif
