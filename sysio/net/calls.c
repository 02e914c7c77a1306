/* SPDX-License-Identifier: MIT */
/* IO_* calls on connectors, sessions and sockets. Everything is answered at once. */
#include "attach.h"
#include "engine.h"
#include "lent.h"
#include "netif.h"
#include "ports.h"
#include "socket.h"
#include <errno.h>
#include <string.h>

#define RIGHTS_GATE  (MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP)
#define RIGHTS_ARENA (MOTOR_RIGHT_READ | MOTOR_RIGHT_WRITE)

static void give(struct net_reply *r, motor_handle h, uint32_t rights)
{
    r->handle[r->handles] = h;
    r->rights[r->handles++] = rights;
}

static int64_t session_open(const struct motor_event *ev, struct net_reply *r)
{
    motor_handle process = ev->nhandles > 0 ? port_take_handle(ev, 0) : 0,
                 bell = ev->nhandles > 1 ? port_take_handle(ev, 1) : 0;
    if (!process || !bell) {
        port_handle_close(process);
        port_handle_close(bell);
        return -EINVAL;
    }
    struct session *s = session_create(process, bell);
    if (!s)
        return -ENOMEM;
    s->object_kind = OBJECT_SESSION;
    int64_t gate = port_gate_create(s, &s->badge);
    if (gate < 0) {
        session_destroy(s);
        return gate;
    }
    motor_handle arena = port_window_share(&s->arena);
    if (!arena) {
        port_gate_forget(s->badge);
        port_handle_close((motor_handle)gate);
        session_destroy(s);
        return -ENOMEM;
    }
    net_counters.sessions++;
    give(r, (motor_handle)gate, RIGHTS_GATE);
    give(r, arena, RIGHTS_ARENA);
    r->word[0] = IO_ARENA_SIZE;
    return 0;
}

static int read_address(struct socket *s, const struct motor_event *ev, ip_addr_t *address,
                        uint16_t *port, bool *unspecified)
{
    uint8_t bytes[128] = {0};
    uint64_t size = ev->in_size < sizeof bytes ? ev->in_size : sizeof bytes;
    int64_t n = port_call_read(ev, 0, bytes, size);
    if (n < 0)
        return (int)n;
    if (unspecified)
        *unspecified = n >= 2 && !bytes[0] && !bytes[1];
    if (unspecified && *unspecified)
        return 0;
    return address_read(s, bytes, (uint32_t)n, address, port);
}

/* An IPv6 socket takes an IPv4 address in IPv4's form only where datagrams go to. */
static int check_form(const struct socket *s, const struct motor_event *ev)
{
    uint16_t family;
    if (s->family != 10 || port_call_read(ev, 0, &family, sizeof family) != sizeof family ||
        family != 2)
        return 0;
    return ev->in_size < 24 ? -EINVAL : -EAFNOSUPPORT;
}

static int64_t bind_socket(struct socket *s, const struct motor_event *ev)
{
    ip_addr_t address;
    uint16_t port;
    int error = check_form(s, ev);
    if (!error)
        error = read_address(s, ev, &address, &port, NULL);
    if (error)
        return error;
    if (s->binding.protocol || s->state != SOCKET_NEW)
        return -EINVAL;
    bool group = ip_addr_ismulticast(&address), any = ip_addr_isany(&address);
    if (!any && !(group && s->type != 1) && !address_is_own(&address) && !s->free_bind &&
        !(s->type == 2 && IP_IS_V4_VAL(address) &&
          ip4_addr_isbroadcast(ip_2_ip4(&address), &net_eth)))
        return -EADDRNOTAVAIL;
    if (port && port < 1024 && s->uid)
        return -EACCES;
    if (any && s->family == 10 && IP_IS_V6_VAL(address))
        address_any(s, &address);
    if (s->type == 3) {
        s->binding.address = address;
        s->binding.explicit_address = !any;
        return datagram_bind(s);
    }
    error = port_bind(s, s->protocol, &address, port);
    if (!error && s->type != 1 && (error = datagram_bind(s)))
        port_unbind(s);
    return error;
}

static int64_t listen_socket(struct socket *s, const struct motor_event *ev)
{
    int error = tcp_socket_listen(s, (uint32_t)ev->word[0]);
    return error || !ev->word[1] ? error : listener_share(s, 0);
}

static int64_t disconnect(struct socket *s)
{
    if (s->type == 1)
        return s->state == SOCKET_NEW ? 0 : -EINVAL;
    s->peer_set = false;
    if (s->protocol == IP_PROTO_UDP && s->pcb) {
        udp_disconnect(s->udp);
        if (s->binding.protocol && !s->binding.explicit_address) {
            address_any(s, &s->binding.address);
            s->udp->local_ip = s->binding.address;
        }
    }
    socket_set_state(s, 0, IO_STATE_CONNECTED);
    return 0;
}

static int64_t connect_socket(struct socket *s, const struct motor_event *ev)
{
    ip_addr_t address;
    uint16_t port;
    bool unspecified = false;
    int error = s->type == 1 ? check_form(s, ev) : 0;
    if (!error)
        error = read_address(s, ev, &address, &port, &unspecified);
    if (error)
        return error;
    if (unspecified)
        return disconnect(s);
    return s->type == 1 ? tcp_socket_connect(s, &address, port)
                        : datagram_connect(s, &address, port);
}

static int64_t open_socket(struct session *session, const struct motor_event *ev,
                           struct net_reply *r)
{
    int error;
    struct socket *s = socket_create(session, (uint32_t)ev->word[0], (uint32_t)ev->word[1] & 0xf,
                                     (uint32_t)ev->word[2], &error);
    if (!s)
        return error;
    s->uid = ev->uid;
    s->pid = ev->pid;
    int64_t slot = socket_expose(s);
    if (slot >= 0 && s->type != 1)
        slot = (error = datagram_open(s)) ? error : slot;
    int64_t gate = slot < 0 ? slot : port_gate_create(s, &s->object.badge);
    if (gate < 0) {
        datagram_close(s);
        socket_free(s);
        return gate;
    }
    r->word[0] = (uint64_t)slot;
    give(r, (motor_handle)gate, RIGHTS_GATE);
    if (ev->word[3])
        r->word[1] = (uint64_t)(s->type == 1 ? connect_socket(s, ev) : -EOPNOTSUPP);
    return 0;
}

static int64_t shutdown_socket(struct socket *s, uint64_t how)
{
    if (how > 2)
        return -EINVAL;
    if (s->type == 1)
        return tcp_socket_shutdown(s, (int)how);
    if (!s->peer_set)
        return -ENOTCONN;
    uint32_t bits = (how != 1 ? IO_STATE_RX_EOF : 0) | (how != 0 ? IO_STATE_TX_CLOSED : 0);
    s->rx_shut |= how != 1;
    socket_set_state(s, bits, 0);
    socket_signal(s);
    return 0;
}

static int64_t get_name(struct socket *s, bool peer, struct net_reply *r)
{
    ip_addr_t address = s->binding.address;
    uint16_t port = s->binding.port;
    if (peer) {
        if (!s->peer_set ||
            (s->type == 1 && s->state != SOCKET_CONNECTED && s->state != SOCKET_ENDED))
            return -ENOTCONN;
        address = s->peer;
        port = s->peer_port;
    } else if (s->type == 1 && s->state >= SOCKET_CONNECTING && s->tcp) {
        address = s->tcp->local_ip;
    }
    r->size = address_write(s, &address, port, r->data);
    return r->size;
}

static int64_t set_option(struct socket *s, const struct motor_event *ev)
{
    uint8_t value[256] = {0};
    int64_t n =
        port_call_read(ev, 0, value, ev->in_size < sizeof value ? ev->in_size : sizeof value);
    return n < 0 ? n : option_set(s, (int)ev->word[0], (int)ev->word[1], value, (uint32_t)n);
}

static int64_t get_option(struct socket *s, const struct motor_event *ev, struct net_reply *r)
{
    int n = option_get(s, (int)ev->word[0], (int)ev->word[1], r->data,
                       ev->out_size > 240 ? 240 : (uint32_t)ev->out_size);
    if (n > 0)
        r->size = (uint32_t)n;
    return n;
}

/* The session whose gate came with the message. */
static struct session *sent_session(const struct motor_event *ev)
{
    struct session *to = ev->nhandles && ev->handle[0] == MOTOR_HANDLE_OWN
                             ? port_gate_object(ev->own_badge[0])
                             : NULL;
    return to && to->object_kind == OBJECT_SESSION && !to->dead ? to : NULL;
}

static int64_t attach_socket(struct socket *s, const struct motor_event *ev, struct net_reply *r)
{
    struct session *to = sent_session(ev);
    if (!to)
        return -EINVAL;
    int64_t slot = socket_attach(s, to, ev->word[0] & IO_ATTACH_HOME, &r->word[1]);
    if (slot < 0)
        return slot;
    r->word[0] = (uint64_t)slot;
    return 0;
}

static int64_t call_socket(struct socket *s, const struct motor_event *ev, struct net_reply *r)
{
    if (ev->op != IO_LOAN && ev->op != IO_GETNAME)
        lent_end(s);
    if (s->type != 1)
        datagram_flush(s);
    switch (ev->op) {
    case IO_LOAN:
        return lent_call(s, ev, r);
    case IO_BIND:
        return bind_socket(s, ev);
    case IO_LISTEN:
        return s->type == 1 ? listen_socket(s, ev) : -EOPNOTSUPP;
    case IO_CONNECT:
        return connect_socket(s, ev);
    case IO_SHUTDOWN:
        return shutdown_socket(s, ev->word[0]);
    case IO_GETNAME:
        return get_name(s, ev->word[0], r);
    case IO_SETSOCKOPT:
        return set_option(s, ev);
    case IO_GETSOCKOPT:
        return get_option(s, ev, r);
    case IO_ATTACH:
        return attach_socket(s, ev, r);
    case IO_SHARE:
        return listener_share(s, (uint32_t)ev->word[0]);
    case IO_ACCEPT: {
        struct session *to = sent_session(ev);
        return to ? listener_pull(s, to, r) : -EINVAL;
    }
    default:
        return -EOPNOTSUPP; /* IO_SENDFILE: the runtime copies */
    }
}

static int64_t info(const struct motor_event *ev)
{
    static char text[65536];
    uint64_t room = ev->out_size < sizeof text ? ev->out_size : sizeof text;
    if (ev->word[0] > IO_NETINFO_LAST)
        return -EINVAL;
    uint32_t size = net_info((uint32_t)ev->word[0], text, (uint32_t)room);
    return size ? port_call_write(ev, 0, text, size) : 0;
}

void net_call(void *object, const struct motor_event *ev, struct net_reply *r)
{
    struct object *o = object;
    r->handles = r->size = 0;
    memset(r->word, 0, sizeof r->word);
    if (!o)
        r->status = -EBADF;
    else if (ev->op == IO_NETINFO)
        r->status = info(ev);
    else if (o->kind == OBJECT_CONNECTOR)
        r->status = ev->op == IO_SESSION_OPEN ? session_open(ev, r) : -ENOTSOCK;
    else if (o->kind == OBJECT_SESSION)
        r->status = ev->op == IO_SOCKET ? open_socket(object, ev, r) : -ENOTSOCK;
    else
        r->status = call_socket(object, ev, r);
}
