/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets, and the connections that nobody has accepted yet. Of most listeners each is
 * given out as soon as it stands: by a record in the listener's ring, with a gate that is the
 * client's already. Others (attach.h: pulled; TCP_DEFER_ACCEPT) keep them in a list. Connections
 * whose record has not been read are reset when the listener closes, as on Linux.
 */
#include "attach.h"
#include "direct.h"
#include "engine.h"
#include "lwip/priv/tcp_priv.h"
#include "pcb.h"
#include "ports.h"
#include "socket.h"
#include "tcp.h"
#include <errno.h>
#include <string.h>

/* ---- the list of those that wait ---- */

static void link_waiting(struct socket *listener, struct socket *s)
{
    s->listener = listener;
    s->waiting_next = NULL;
    *listener->waiting_last = s;
    listener->waiting_last = &s->waiting_next;
    listener->deferred_count++;
}

void listener_unlink(struct socket *s)
{
    struct socket *l = s->listener;
    if (!l)
        return;
    for (struct socket **link = &l->waiting; *link; link = &(*link)->waiting_next) {
        if (*link == s) {
            *link = s->waiting_next;
            if (l->waiting_last == &s->waiting_next)
                l->waiting_last = link;
            l->deferred_count--;
            break;
        }
    }
    s->listener = NULL;
}

/* ---- connections of a pulled listener: without a slot, in its list ---- */

static void become_ready(struct socket *s)
{
    if (!s->ready) {
        s->ready = true;
        attach_signal(s->listener);
    }
}

void listener_queue(struct socket *listener, struct socket *s)
{
    link_waiting(listener, s);
    if (!listener->defer_accept || s->rx_pending || s->rx_eof)
        become_ready(s);
}

void listener_queue_first(struct socket *listener, struct socket *s)
{
    s->listener = listener;
    s->waiting_next = listener->waiting;
    if (!listener->waiting)
        listener->waiting_last = &s->waiting_next;
    listener->waiting = s;
    listener->deferred_count++;
}

struct socket *listener_unqueue(struct socket *listener)
{
    struct socket *s = listener->waiting;
    while (s && !s->ready)
        s = s->waiting_next;
    if (s)
        listener_unlink(s);
    return s;
}

/*
 * Makes the connection the client's: a gate, installed in it, and a record in the listener's ring.
 */
static bool make_record(struct socket *listener, struct socket *s)
{
    struct io_accept record = {
        .slot = s->slot, .port = lwip_htons(s->peer_port), .own_port = lwip_htons(s->binding.port)};
    uint16_t family;
    int64_t handle = port_gate_install(listener->session->process, s, &s->object.badge);
    if (handle < 0)
        return false;
    record.handle = (motor_handle)handle;
    address_pack(s, &s->peer, record.address, &record.family);
    address_pack(s, &s->binding.address, record.own_address, &family);
    /*
     * Once installed the client owns it; when no record can be pushed it is lost to the client
     * until it exits.
     */
    s->accepted_by = listener;
    s->accept_at = listener->rx_head + listener->rx_pending_size;
    bool pushed = receive_record(listener, &record, sizeof record, NULL, 0, 0);
    if (pushed) {
        s->pushed_next = listener->pushed;
        s->pushed_link = &listener->pushed;
        if (s->pushed_next)
            s->pushed_next->pushed_link = &s->pushed_next;
        listener->pushed = s;
    }
    return pushed;
}

static void push_accept(struct socket *s)
{
    struct socket *listener = s->listener;
    listener_unlink(s);
    if (!make_record(listener, s))
        tcp_socket_break(s);
}

void listener_received(struct socket *s)
{
    if (s->listener && s->listener->pulled)
        become_ready(s);
    else if (s->listener && s->listener->defer_accept)
        push_accept(s);
}

/* ---- accepting ---- */

static void inherit(struct socket *s, const struct socket *listener)
{
    s->v6only = listener->v6only;
    s->reuse_address = listener->reuse_address;
    s->reuse_port = listener->reuse_port;
    s->keepalive = listener->keepalive;
    s->keep_idle = listener->keep_idle;
    s->keep_interval = listener->keep_interval;
    s->keep_count = listener->keep_count;
    s->window_clamp = listener->window_clamp;
    s->not_sent_low = listener->not_sent_low;
    s->priority = listener->priority;
    s->mark = listener->mark;
    s->client_flags = socket_client_flags(listener);
    s->linger_on = listener->linger_on;
    s->linger = listener->linger;
    s->send_buffer = listener->send_buffer;
    s->low_water = listener->low_water;
    s->user_timeout = listener->user_timeout;
    s->max_segment = listener->max_segment;
    s->priority = listener->priority;
    s->tos = listener->tos;
    s->traffic_class = listener->traffic_class;
    s->ttl = listener->ttl;
    s->hops = listener->hops;
    s->netif = listener->netif;
    s->uid = listener->uid;
    s->pid = listener->pid;
    memcpy(s->congestion, listener->congestion, sizeof s->congestion);
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct socket *listener = arg;
    int error;
    if (!pcb || err != ERR_OK || !listener)
        return ERR_VAL;
    if (listener->syn_pending)
        listener->syn_pending--;
    tcp_arg(pcb, NULL); /* so that it is not counted again */
    if (listener->closed || listener->rx_shut)
        return ERR_VAL;
    struct socket *s = socket_create(listener->session, listener->family, 1, IP_PROTO_TCP, &error);
    if (!s)
        return ERR_MEM;
    inherit(s, listener);
    if (!listener->pulled && socket_expose(s) < 0) {
        socket_free(s);
        return ERR_MEM;
    }
    tcp_pcb_attach(s, pcb);
    direct_pair(s);
    s->state = SOCKET_CONNECTED;
    s->accepted = true;
    s->peer = pcb->remote_ip;
    s->peer_port = pcb->remote_port;
    s->peer_set = true;
    s->binding.address = pcb->local_ip;
    s->binding.port = pcb->local_port;
    tcp_socket_options(s);
    socket_set_state(s, IO_STATE_CONNECTED, 0);
    net_counters.accepted++;
    if (listener->pulled) {
        listener_queue(listener, s);
        return ERR_OK;
    }
    if (listener->defer_accept) {
        link_waiting(listener, s);
        return ERR_OK;
    }
    if (!make_record(listener, s)) {
        tcp_pcb_detach(s);
        socket_free(s);
        return ERR_MEM; /* lwIP resets it */
    }
    return ERR_OK;
}

void tcp_listener_drain(struct socket *s)
{
    if (!s->shared)
        return;
    receive_push(s);
    receive_release(s);
}

/* ---- listening ---- */

static err_t on_passive_open(uint8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb)
{
    struct socket *s = listener->callback_arg;
    (void)id, (void)pcb;
    s->syn_pending++;
    return ERR_OK;
}
static const struct tcp_ext_arg_callbacks listen_callbacks = {.passive_open = on_passive_open};

int tcp_socket_listen(struct socket *s, uint32_t backlog)
{
    if (backlog > 4096)
        backlog = 4096;
    if (s->state == SOCKET_LISTENING) {
        s->backlog = backlog;
        return 0;
    }
    if (s->state != SOCKET_NEW)
        return -EINVAL;
    if (!s->binding.protocol) {
        ip_addr_t any;
        address_any(s, &any);
        int error = port_bind(s, IP_PROTO_TCP, &any, 0);
        if (error)
            return error;
    }
    int error = port_may_listen(s);
    if (error)
        return error;
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&s->binding.address));
    if (!pcb)
        return -ENOBUFS;
    pcb->local_ip = s->binding.address;
    pcb->local_port = s->binding.port;
    pcb->netif_idx = s->netif;
    tcp_arg(pcb, s);
    struct tcp_pcb *listener = tcp_listen(pcb);
    if (!listener) {
        tcp_abandon(pcb, 0);
        return -ENOBUFS;
    }
    s->listen = (struct tcp_pcb_listen *)listener;
    s->listen->ext_args[0].callbacks = &listen_callbacks;
    tcp_accept(listener, on_accept);
    s->state = SOCKET_LISTENING;
    s->backlog = backlog;
    s->receive_buffer = 1u << 20; /* of accept records: the backlog is the bound */
    tcp_socket_options(s);
    s->shared->kind = IO_SLOT_ACCEPT;
    return 0;
}

/* ---- closing ---- */

/* The client has not read the accept record of this connection. */
bool listener_never_took(const struct socket *s)
{
    struct socket *l = s->accepted_by;
    uint32_t consumed;
    if (!s->pushed_link || !l->shared) /* whose slot is gone is gone itself, and its handles */
        return false;
    return !receive_tail(l, &consumed) || (int32_t)(l->rx_tail - s->accept_at) <= 0;
}

/* As on Linux, connections that nobody has accepted are reset. Their gates are the client's. */
static void reset_untaken(struct socket *listener)
{
    for (struct socket *s = listener->pushed; s; s = s->pushed_next) {
        if (s->tcp && listener_never_took(s)) {
            tcp_socket_abort(s);
            tcp_socket_ended(s, ECONNRESET);
        }
    }
}

void listener_close(struct socket *s)
{
    struct tcp_pcb_listen *listen = s->listen;
    s->closed = true;
    for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
        next = pcb->next;
        if (pcb->state == SYN_RCVD && pcb->callback_arg == s) {
            pcb->callback_arg = NULL;
            tcp_abort(pcb);
        }
    }
    while (s->waiting) {
        struct socket *c = s->waiting;
        listener_unlink(c);
        tcp_socket_abort(c);
        socket_free(c);
    }
    reset_untaken(s);
    s->listen = NULL;
    s->state = SOCKET_ENDED;
    tcp_close((struct tcp_pcb *)listen);
    socket_free(s);
}
