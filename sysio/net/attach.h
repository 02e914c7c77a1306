/* SPDX-License-Identifier: MIT */
/*
 * Sockets of several processes: see docs/decisions/0007-descriptors-over-fork.md and IO_ATTACH.
 *
 * A socket has a home, s->session and s->slot, where its bytes flow, and attachments: slots in
 * other sessions, which show readiness only. A listener that was shared (`pulled`) has no home: its
 * connections wait in the engine, without slots of their own, until somebody asks for one.
 */
#ifndef NET_ATTACH_H
#define NET_ATTACH_H

#include "engine.h"
#include "socket.h"

struct attachment {
    struct attachment *next;                         /* of the socket */
    struct attachment *session_next, **session_link; /* of the session */
    struct socket *socket;
    struct session *session;
    uint32_t slot;
};

/* IO_ATTACH: slot or negated errno; *bits: IO_ATTACHED_* */
int64_t socket_attach(struct socket *s, struct session *to, bool home, uint64_t *bits);
/* IO_SHARE: the listener's client has taken records up to `tail`. 0 or negated errno. */
int64_t listener_share(struct socket *s, uint32_t tail);
/* IO_ACCEPT: a connection for this session, with its gate in the reply. 0 or negated errno. */
int64_t listener_pull(struct socket *s, struct session *to, struct net_reply *r);

/* Something about s has changed: those who are away learn of it. */
void attach_signal(struct socket *s);
/* The tx ring is drained: if it was behind the home, it is so no more. */
void attach_tx_drained(struct socket *s);
/* Off the lists, but its slot stays taken. */
void attach_keep_slot(struct attachment *a);
void attach_drop(struct socket *s);                /* the socket goes */
void attach_session_died(struct session *session); /* its attachments go */

#endif
