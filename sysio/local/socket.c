/* SPDX-License-Identifier: MIT */
/*
 * UNIX sockets: unix(7). Life, names, and the calls on a socket; what they do is in the files
 * beside.
 *
 * Life. A socket is there while it has references (gates, and parcels with it), or waits to be
 * accepted. Many may lose their last reference at once, each by the end of another: they are put on
 * a list, and ended one after the other.
 *
 * Names are found by a hash: abstract ones by their bytes, others by their rendezvous.
 */
#include "../tty/session.h"
#include "local.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define BUCKETS 256u

struct unix_socket *unix_sockets;
static struct unix_socket *buckets[BUCKETS]; /* by their names */
static uint64_t count;
static uint32_t last_number;
static struct unix_socket *ended; /* to be ended, by next_waiting */
static bool ending;

static const struct tty_ops ops;

bool is_socket(const struct tty_object *o)
{
    return o->ops == &ops;
}

/* ---- names ---- */

static uint32_t bucket_of(const struct unix_socket *s)
{
    uint32_t hash = (uint32_t)s->rendezvous;
    for (uint32_t i = 0; !s->rendezvous && i < s->name->length; i++)
        hash = hash * 31 + s->name->bytes[i];
    return hash % BUCKETS;
}

static void publish(struct unix_socket *s)
{
    struct unix_socket **bucket = &buckets[bucket_of(s)];
    s->next_named = *bucket;
    *bucket = s;
    s->named = true;
}

static void unpublish(struct unix_socket *s)
{
    if (!s->named)
        return;
    struct unix_socket **link = &buckets[bucket_of(s)];
    while (*link != s)
        link = &(*link)->next_named;
    *link = s->next_named;
    s->named = false;
}

/* Each type has names of its own. */
static struct unix_socket *find_abstract(uint32_t type, const uint8_t *bytes, uint32_t length)
{
    struct name key = {.length = length};
    struct unix_socket like = {.name = &key};
    memcpy(key.bytes, bytes, length);
    struct unix_socket *s = buckets[bucket_of(&like)];
    while (s && (s->rendezvous || s->type != type || s->name->length != length ||
                 memcmp(s->name->bytes, bytes, length) != 0))
        s = s->next_named;
    return s;
}

static struct unix_socket *find_rendezvous(uint64_t id)
{
    struct unix_socket *s = buckets[(uint32_t)id % BUCKETS];
    while (s && s->rendezvous != id)
        s = s->next_named;
    return s;
}

int64_t unix_lookup(struct motor_event *ev, uint32_t type, uint32_t length, uint32_t i,
                    struct unix_socket **out)
{
    uint8_t bytes[IO_NAME_MAX];
    *out = NULL;
    if (length > sizeof bytes)
        return -EINVAL;
    if (length) {
        int64_t n = event_read(ev, 0, bytes, length);
        if (n < (int64_t)length)
            return n < 0 ? n : -EFAULT;
        *out = bytes[0] ? NULL : find_abstract(type, bytes, length);
    } else {
        if (i >= ev->nhandles || ev->handle[i] != MOTOR_HANDLE_OWN ||
            !(ev->own_badge[i] & RENDEZVOUS) || !(ev->own_badge[i] & RENDEZVOUS_WRITE))
            return -EINVAL;
        *out = find_rendezvous(ev->own_badge[i] & RENDEZVOUS_ID);
    }
    return *out ? 0 : -ECONNREFUSED;
}

static int64_t set_name(struct unix_socket *s, const uint8_t *bytes, uint32_t length)
{
    if (!(s->name = name_new(bytes, length)))
        return -ENOMEM;
    publish(s);
    return 0;
}

bool unix_autobind(struct unix_socket *s)
{
    static uint32_t next;
    char text[8];
    for (uint32_t i = 0; i < 1u << 20; i++) {
        snprintf(text, sizeof text, "%c%05x", 0, next++ & 0xfffff);
        if (!find_abstract(s->type, (uint8_t *)text, 6))
            return set_name(s, (uint8_t *)text, 6) == 0;
    }
    return false;
}

static int64_t bind_name(struct unix_socket *s, struct motor_event *ev)
{
    uint8_t bytes[IO_NAME_MAX];
    if (ev->in_size > sizeof bytes)
        return -EINVAL;
    if (s->name)
        return ev->in_size ? -EINVAL : 0;
    if (!ev->in_size)
        return unix_autobind(s) ? 0 : -EADDRINUSE;
    int64_t n = event_read(ev, 0, bytes, ev->in_size);
    if (n < (int64_t)ev->in_size)
        return n < 0 ? n : -EFAULT;
    if (!bytes[0])
        return find_abstract(s->type, bytes, (uint32_t)n) ? -EADDRINUSE
                                                          : set_name(s, bytes, (uint32_t)n);
    if (ev->nhandles != 2 || ev->handle[0] != MOTOR_HANDLE_OWN ||
        !(ev->own_badge[0] & RENDEZVOUS) || !(ev->own_badge[0] & RENDEZVOUS_BIND) ||
        find_rendezvous(ev->own_badge[0] & RENDEZVOUS_ID))
        return -EINVAL;
    s->rendezvous = ev->own_badge[0] & RENDEZVOUS_ID;
    s->file = event_take_handle(ev, 1);
    return set_name(s, bytes, (uint32_t)n);
}

static int64_t get_name(struct unix_socket *s, struct motor_event *ev)
{
    const struct unix_socket *of = ev->word[0] ? s->peer : s;
    const struct name *n = of ? of->name : NULL;
    if (ev->word[0] && !of && !(unix_is_stream(s) && s->state == SOCKET_CONNECTED))
        return -ENOTCONN;
    if (ev->word[0] && !of)
        n = s->peer_name;
    if (!n)
        return 0;
    engine_reply_data(engine_reply(&tty_engine, ev->token, n->length), &tty_engine, n->bytes,
                      n->length);
    return CALL_ANSWERED;
}

/* ---- life ---- */

struct unix_socket *unix_new(uint32_t type, const struct motor_event *ev)
{
    struct unix_socket *s = memory_low() ? NULL : calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (struct unix_socket){.type = type,
                              .owner = signature_of(ev),
                              .peer_owner = {0, UINT32_MAX, UINT32_MAX},
                              .send_buffer = SOCKET_BUFFER,
                              .receive_buffer = SOCKET_BUFFER,
                              .peek_offset = -1,
                              .account = account_new()};
    s->object = (struct tty_object){.badge_kind = BADGE_OBJECT,
                                    .ops = &ops,
                                    .number = ++last_number,
                                    .mode = S_IFSOCK | 0777,
                                    .label = "socket",
                                    .news = 1,
                                    .no_read = true,
                                    .no_write = true};
    s->badge = s->account ? badge_add(&tty_engine.badges, &s->object) : 0;
    if (!s->badge) {
        if (s->account)
            account_put(s->account);
        free(s);
        return NULL;
    }
    s->object.opened = unix_opened;
    s->object.closed = unix_closed;
    if ((s->next = unix_sockets))
        unix_sockets->prev = s;
    unix_sockets = s;
    count++;
    return s;
}

int64_t unix_gate(struct unix_socket *s)
{
    int64_t gate = engine_gate(&tty_engine, s->badge);
    if (gate >= 0)
        s->refs++;
    return gate;
}

static void unix_free(struct unix_socket *s)
{
    session_forget(&s->object);
    badge_remove(&tty_engine.badges, s->badge);
    if (s->next)
        s->next->prev = s->prev;
    if (s->prev)
        s->prev->next = s->next;
    else
        unix_sockets = s->next;
    unpublish(s);
    name_put(s->name);
    name_put(s->peer_name);
    if (s->file)
        motor_handle_close(s->file);
    account_put(s->account);
    count--;
    free(s);
}

/* What a stream's end means to the other one. */
static void leave_peer(struct unix_socket *s)
{
    struct unix_socket *peer = s->peer;
    if (!peer)
        return;
    unix_loan_end(s);
    s->peer = peer->peer = NULL;
    peer->peer_name = name_get(s->name);
    peer->shut_read = peer->shut_write = true;
    if (s->first || s->listener) /* bytes that nobody read, or a connection nobody accepted */
        peer->error = ECONNRESET;
    unix_news(peer);
}

static void end_one(struct unix_socket *s)
{
    if (unix_is_stream(s))
        leave_peer(s);
    else
        unix_disconnect(s);
    while (s->senders) {
        struct unix_socket *sender = s->senders;
        unix_disconnect(sender);
        sender->refused = true;
    }
    unix_drop_waiting(s);
    unix_drop_queue(s);
    unix_free(s);
}

void unix_end(struct unix_socket *s)
{
    s->next_waiting = ended;
    ended = s;
    if (ending)
        return;
    ending = true;
    while ((s = ended)) {
        ended = s->next_waiting;
        end_one(s);
    }
    ending = false;
}

void unix_unref(struct unix_socket *s)
{
    if (--s->refs == 0)
        unix_end(s);
    else if (s->refs == s->in_flight)
        garbage_wanted();
}

void unix_opened(struct tty_object *o)
{
    unix_of(o)->refs++;
}

void unix_closed(struct tty_object *o)
{
    unix_unref(unix_of(o));
}

/* ---- calls ---- */

static int64_t give_file(struct unix_socket *s, struct motor_event *ev)
{
    int64_t h = s->file ? motor_handle_dup(s->file, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP) : 0;
    if (h <= 0)
        return h ? to_errno(h) : -ENOENT;
    engine_reply_handle(engine_reply(&tty_engine, ev->token, 0), (motor_handle)h,
                        MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    return CALL_ANSWERED;
}

static int64_t unix_call(struct tty_object *o, struct motor_event *ev, void **state)
{
    struct unix_socket *s = unix_of(o);
    (void)state;
    switch (ev->op) {
    case IO_BIND:
        return bind_name(s, ev);
    case IO_LISTEN:
        return unix_listen(s, ev);
    case IO_CONNECT:
        return unix_connect(s, ev);
    case IO_SOCKET_ACCEPT:
        return unix_accept(s, ev);
    case IO_SHUTDOWN:
        return unix_shutdown(s, ev->word[0]);
    case IO_GETNAME:
        return get_name(s, ev);
    case IO_SETSOCKOPT:
        return unix_set_option(s, ev);
    case IO_GETSOCKOPT:
        return unix_get_option(s, ev);
    case IO_SEND:
        return unix_send(s, ev);
    case IO_RECEIVE:
        return unix_receive(s, ev);
    case IO_NAMED_FILE:
        return give_file(s, ev);
    case IO_ASYNC:
        return unix_async(s, ev);
    case IO_LOAN:
        return unix_loan(s, ev);
    default:
        return -EOPNOTSUPP;
    }
}

static void unix_settle(struct tty_object *o)
{
    unix_loan_end(unix_of(o));
}

static const struct tty_ops ops = {
    .control = unix_control,
    .ready = unix_ready,
    .call = unix_call,
    .settle = unix_settle,
    .other_end = unix_other_end,
};

/* ---- new ones ---- */

static void open_one(struct motor_event *ev)
{
    struct unix_socket *s = unix_new((uint32_t)ev->word[0], ev);
    int64_t gate = s ? unix_gate(s) : -ENFILE;
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, gate < 0 ? gate : 0);
    if (gate >= 0) {
        if (ev->word[1] == IO_SOCKET_SELF)
            unix_send_to(s, s);
        engine_reply_handle(r, (motor_handle)gate, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    } else if (s) {
        unix_end(s);
    }
}

static void open_pair(struct motor_event *ev)
{
    struct unix_socket *a = unix_new((uint32_t)ev->word[0], ev);
    struct unix_socket *b = a ? unix_new((uint32_t)ev->word[0], ev) : NULL;
    int64_t one = b ? unix_gate(a) : -ENFILE, two = one < 0 ? one : unix_gate(b);
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, two < 0 ? two : 0);
    if (two >= 0) {
        unix_pair_up(a, b);
        engine_reply_handle(r, (motor_handle)one, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
        engine_reply_handle(r, (motor_handle)two, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
        return;
    }
    if (one >= 0)
        motor_handle_close((motor_handle)one); /* and with the socket its badge goes */
    if (b)
        unix_end(b);
    if (a)
        unix_end(a);
}

static void open_socket(struct motor_event *ev)
{
    uint64_t type = ev->word[0];
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        engine_reply(&tty_engine, ev->token, -ESOCKTNOSUPPORT);
    else if (ev->word[1] == IO_SOCKET_PAIR)
        open_pair(ev);
    else if (ev->word[1] == IO_SOCKET_SELF && type != SOCK_DGRAM)
        engine_reply(&tty_engine, ev->token, -EINVAL);
    else
        open_one(ev);
}

bool local_connector_call(struct motor_event *ev)
{
    switch (ev->op) {
    case IO_PIPE:
        pipe_open(ev);
        return true;
    case IO_LOCAL_SOCKET:
        open_socket(ev);
        return true;
    case IO_PARCEL:
        parcel_new(ev);
        return true;
    case IO_EVENT:
        event_open(ev);
        return true;
    case IO_INOTIFY:
        inotify_open(ev);
        return true;
    case IO_PIDFD:
        pidfd_open(ev);
        return true;
    case IO_MQ_OPEN:
        mqueue_open(ev);
        return true;
    case IO_MQ_UNLINK:
        engine_reply(&tty_engine, ev->token, mqueue_unlink(ev));
        return true;
    default:
        return false;
    }
}

void local_init(uint64_t memory)
{
    pipes_init(memory);
    messages_init(memory);
    events_init();
    inotify_objects_init();
    pidfds_init();
    mqueues_init(memory);
    counter_register("tty", "unix_sockets", &count);
}
