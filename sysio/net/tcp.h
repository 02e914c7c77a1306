/* SPDX-License-Identifier: MIT */
/*
 * What the files of a stream socket share: tcp.c (its PCB, its life, what it receives), tcp_send.c
 * and tcp_listen.c.
 */
#ifndef NET_TCP_H
#define NET_TCP_H

#include "socket.h"

/* Bytes of a full segment of the wire. */
static inline uint32_t tcp_segment_payload(const struct tcp_pcb *pcb)
{
    return pcb->mss - (pcb->flags & TF_TIMESTAMP ? LWIP_TCP_OPT_LEN_TS_OUT : 0u);
}

/* ---- tcp.c ---- */
void tcp_pcb_attach(struct socket *s, struct tcp_pcb *pcb);
struct tcp_pcb *tcp_pcb_detach(struct socket *s); /* from here on the PCB lives and dies alone */
/* There is no PCB any more: the client sees the end, and an error (errno) if there is one. */
void tcp_socket_ended(struct socket *s, int error);
void tcp_socket_finish(struct socket *s); /* a closed one whose ring nobody needs: frees it */
void tcp_socket_abort(struct socket *s);  /* resets the connection, if there is one */

/* ---- tcp_send.c ---- */
err_t tcp_on_sent(void *arg, struct tcp_pcb *pcb, uint16_t size); /* lwIP: acknowledged */
bool tcp_socket_is_through(const struct socket *s); /* closed, and all it sent is acknowledged */
/* Sending ends, with what is in the ring. false: the client broke the rules. */
bool tcp_socket_shut_sending(struct socket *s);

/* ---- tcp_listen.c ---- */
void listener_unlink(struct socket *s);   /* off its listener's list, if it is in one */
void listener_received(struct socket *s); /* its first bytes, or its end: it may be accepted now */
bool listener_never_took(const struct socket *s); /* its record has not been read */
void listener_close(struct socket *listener);     /* frees it */

#endif
