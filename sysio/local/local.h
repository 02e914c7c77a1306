/* SPDX-License-Identifier: MIT */
/*
 * Pipes, FIFOs, UNIX sockets and counters of events: what processes of this machine say to each
 * other. They are objects of the tty engine, in its thread.
 *
 *   pipe.c        pipes and FIFOs
 *   rendezvous.c  how a name of the file system leads to a FIFO or a socket
 *   socket.c      UNIX sockets: life, names, and the calls
 *   connect.c     listening, connecting, accepting, pairs
 *   transfer.c    sending and receiving
 *   pair.c        what connected stream sockets have on loan
 *   option.c      options, /proc/net/unix
 *   message.c     what waits in a socket's queue
 *   parcel.c      descriptors on their way (SCM_RIGHTS)
 *   garbage.c     sockets that only each other's queues lead to
 *   event.c       eventfds, timerfds and signalfds that several processes have
 *   inotify.c     inotify instances
 *   mqueue*.c     POSIX message queues: see mqueue.h
 */
#ifndef SYSIO_LOCAL_H
#define SYSIO_LOCAL_H

#include "../base/lend.h"
#include "../tty/tty.h"

#include <motor/start.h>

/* ---- for the engine ---- */

void local_init(uint64_t memory); /* bytes that the machine has */
/* A call on the tty connector; false: it is none of ours. */
bool local_connector_call(struct motor_event *ev);
/* Puts the lines of /proc/net/unix into `out`: their length. */
int64_t unix_list(struct motor_event *ev);
/* tty.c: makes a call on an object, and puts it aside when it has to wait. */
void tty_call(struct motor_event *ev, struct tty_object *o);
/* Answers a side's IO_LOAN: CALL_ANSWERED, or -EAGAIN. */
int64_t local_lend(struct lend *l, uint32_t side, const struct motor_event *ev);

/* ---- rendezvous.c ---- */

/* Badges of rendezvous: no table has them. What the holder may do is part of it. */
#define RENDEZVOUS       (1ull << 63)
#define RENDEZVOUS_READ  (1ull << 62) /* open the FIFO for reading */
#define RENDEZVOUS_WRITE (1ull << 61) /* open it for writing; connect to the socket */
#define RENDEZVOUS_BIND  (1ull << 60) /* be the socket */
#define RENDEZVOUS_ID    (RENDEZVOUS_BIND - 1)

void rendezvous_call(struct motor_event *ev);

/* ---- pipe.c ---- */

void pipes_init(uint64_t memory);
void pipe_open(struct motor_event *ev);
/* The FIFO of a rendezvous, made if need be; NULL: no memory. fifo_settle() when done with it. */
struct pipe *fifo_find(uint64_t id);
void fifo_settle(struct pipe *p); /* goes unless somebody has opened it */
/* The object that waits for an open with these O_* flags. */
struct tty_object *fifo_opener(struct pipe *p, uint32_t flags);

/* ---- async.c ---- */

struct async { /* IO_ASYNC */
    bool on;
    int32_t owner, signal;
    uint32_t uid; /* of who set it */
};

int64_t async_set(struct async *a, const struct motor_event *ev);
void async_tell(const struct async *a);

/* ---- event.c ---- */

void events_init(void);
void event_open(struct motor_event *ev);

/* ---- inotify.c ---- */

void inotify_objects_init(void);
void inotify_open(struct motor_event *ev);
void inotify_told(void); /* there are events in some queue */

/* ---- pidfd.c ---- */

void pidfds_init(void);
void pidfd_open(struct motor_event *ev);
bool pidfd_process_ended(uint64_t badge); /* false: the badge is none of these */

/* ---- mqueue.c, mqueue_table.c ---- */

void mqueues_init(uint64_t memory);
void mqueue_open(struct motor_event *ev);
int64_t mqueue_unlink(const struct motor_event *ev);
bool mqueue_cancel(uint64_t token); /* a call that waits is given up; false: it is none of these */

/* ---- parcel.c ---- */

struct parcel;

void parcel_new(struct motor_event *ev);
bool parcel_call(struct motor_event *ev);   /* false: the badge is no parcel's */
void parcel_closed(uint64_t badge);         /* its gate has gone */
struct parcel *parcel_find(uint64_t badge); /* one that can be sent; NULL: there is none */
/* Takes it away from its gate, to go with a message. */
void parcel_detach(struct parcel *p);
/* A gate, by which a receiver takes what is in it; the parcel then is the gate's. */
int64_t parcel_attach(struct parcel *p);
void parcel_unattach(struct parcel *p);             /* nobody got that gate */
struct parcel *parcel_copy(const struct parcel *p); /* for MSG_PEEK; NULL: no memory */
void parcel_free(struct parcel *p);
uint32_t parcel_count(const struct parcel *p);

struct signature { /* who sends: SCM_CREDENTIALS */
    uint32_t pid, uid, gid;
};
static inline struct signature signature_of(const struct motor_event *ev)
{
    return (struct signature){ev->pid, ev->uid, ev->gid};
}
/* IO_PARCEL_SIGN's; false: there is none. */
bool parcel_signature(const struct parcel *p, struct signature *out);

/* ---- message.c ---- */

/* What a socket has sent and nobody has received: outlives it. */
struct account {
    uint32_t refs;
    uint64_t bytes;
};

struct name { /* immutable */
    uint32_t refs;
    uint32_t length; /* what follows sun_family */
    uint8_t bytes[IO_NAME_MAX];
};

#define MESSAGE_COST 256u /* charged to who sends, beside the bytes */

struct message {
    struct message *next;
    struct parcel *parcel;   /* or NULL */
    struct account *account; /* NULL: reserved, and charged to nobody yet */
    struct name *from;       /* of datagrams; NULL: the sender has none */
    struct signature signature;
    uint32_t start, end; /* of its bytes: those that nobody has received */
    uint32_t capacity;
    uint8_t data[];
};

void messages_init(uint64_t memory);
/* With room for `capacity` bytes, charged; NULL: too much waits in queues already. */
struct message *message_new(uint32_t capacity, struct account *account);
/* The same, charged to nobody yet. */
struct message *message_reserve(uint32_t capacity);
/* A reserved one has got so many bytes: it is charged now, and the rest given back. */
struct message *message_cut(struct message *m, uint32_t size, struct account *account);
void message_free(struct message *m);
static inline uint32_t message_size(const struct message *m)
{
    return m->end - m->start;
}
struct account *account_new(void);
void account_put(struct account *a);
struct name *name_new(const uint8_t *bytes, uint32_t length);
struct name *name_get(struct name *n);
void name_put(struct name *n);

/* ---- socket.c ---- */

#define SOCKET_BUFFER 212992u /* SO_SNDBUF as Linux has it */

struct unix_socket {
    struct tty_object object;
    uint64_t badge;
    struct unix_socket *next, *prev; /* all sockets */
    uint32_t refs;                   /* gates, and places in parcels: */
    uint32_t in_flight;              /* of these */
    uint32_t reached;                /* by the collection of this number */
    struct unix_socket *next_todo;
    uint32_t type; /* SOCK_* */
    enum { SOCKET_NEW, SOCKET_LISTENING, SOCKET_CONNECTED } state;

    struct name *name;
    bool named;          /* found by it, or by `rendezvous`: accepted ones only show it */
    uint64_t rendezvous; /* that leads to it; 0: none */
    motor_handle file;   /* of its path: keeps the inode */
    struct unix_socket *next_named;
    struct name *peer_name; /* of the peer that has gone */

    /*
     * Streams: the other one of a pair, until either goes. Datagrams: to whom it sends; `senders`
     * lists those who send to it.
     */
    struct unix_socket *peer;
    struct unix_socket *senders, *next_sender;
    uint32_t side;         /* of a pair, 0 or 1 */
    struct {               /* what a pair of streams has on loan, kept at side 0: pair.c */
        struct lend *lend; /* side s writes ring s. NULL: none */
        struct lend_habit habit;
        struct message *back[2]; /* what the bytes of a ring come back into */
        struct signature by[2];  /* who writes it */
    } loan;
    bool refused; /* the one that it sent to has gone: the next send says so */
    struct signature owner, peer_owner; /* SO_PEERCRED */

    struct message *first, *last; /* received */
    uint32_t messages;
    uint64_t bytes;
    struct account *account; /* sent */
    uint32_t send_buffer, receive_buffer;
    bool shut_read, shut_write, pass_credentials;
    int error;           /* SO_ERROR */
    uint32_t remembered; /* options without an effect: see option.c */
    int32_t peek_offset; /* SO_PEEK_OFF: where the next MSG_PEEK begins; negative: at the start */
    struct async async;

    /* Listening: connections that nobody has accepted; they have no gates yet. */
    struct unix_socket *listener, *waiting, *waiting_last, *next_waiting;
    uint32_t waiting_count, backlog;
};

extern struct unix_socket *unix_sockets; /* all */

static inline struct unix_socket *unix_of(struct tty_object *o)
{
    return (struct unix_socket *)((char *)o - offsetof(struct unix_socket, object));
}
static inline bool unix_is_stream(const struct unix_socket *s) /* connections, not addresses */
{
    return s->type != 2;
}
bool is_socket(const struct tty_object *o);

/* NULL: no memory, or too many. Has no references. */
struct unix_socket *unix_new(uint32_t type, const struct motor_event *ev);
int64_t unix_gate(struct unix_socket *s); /* another gate: a reference */
void unix_unref(struct unix_socket *s);
void unix_opened(struct tty_object *o);
void unix_closed(struct tty_object *o);
/* The last reference has gone, and nothing leads to it. */
void unix_end(struct unix_socket *s);
void unix_disconnect(struct unix_socket *s); /* a datagram socket's peer */
/*
 * Who is called so: by the abstract name at the start of a message (of `length` bytes, among those
 * of one type), or the rendezvous in handle[i].
 */
int64_t unix_lookup(struct motor_event *ev, uint32_t type, uint32_t length, uint32_t i,
                    struct unix_socket **out);
bool unix_autobind(struct unix_socket *s);

/* ---- connect.c ---- */

void unix_pair_up(struct unix_socket *a, struct unix_socket *b);
void unix_send_to(struct unix_socket *s, struct unix_socket *peer); /* a datagram socket's peer */
int64_t unix_listen(struct unix_socket *s, const struct motor_event *ev);
int64_t unix_connect(struct unix_socket *s, struct motor_event *ev);
int64_t unix_accept(struct unix_socket *s, struct motor_event *ev);
int64_t unix_shutdown(struct unix_socket *s, uint64_t how);
void unix_drop_waiting(struct unix_socket *s); /* connections that nobody will accept */

/* ---- transfer.c ---- */

int64_t unix_send(struct unix_socket *s, struct motor_event *ev);
int64_t unix_receive(struct unix_socket *s, struct motor_event *ev);
uint32_t unix_ready(struct tty_object *o);
void unix_drop_queue(struct unix_socket *s);
uint32_t unix_next_size(const struct unix_socket *s); /* FIONREAD */

/* It has come: bytes are to be read. */
void unix_queue(struct unix_socket *s, struct message *m);

/* ---- pair.c ---- */

int64_t unix_loan(struct unix_socket *s, const struct motor_event *ev); /* IO_LOAN */
/* A transfer by a call; size: of what is sent. Bytes that are lent come back first. */
void unix_by_call(struct unix_socket *s, uint64_t size);
/* The pair's loan ends, if it has one. */
void unix_loan_end(struct unix_socket *s);
struct tty_object *unix_other_end(struct tty_object *o); /* ops.other_end */
/* Bytes on loan that s can read, or has sent and nobody has read. */
uint32_t unix_lent_unread(const struct unix_socket *s);
uint32_t unix_lent_sent(const struct unix_socket *s);

/* ---- option.c ---- */

int64_t unix_async(struct unix_socket *s, const struct motor_event *ev);
void unix_news(struct unix_socket *s); /* something to read, or the end */
int64_t unix_set_option(struct unix_socket *s, struct motor_event *ev);
int64_t unix_get_option(struct unix_socket *s, struct motor_event *ev);
int64_t unix_control(struct tty_object *o, struct motor_event *ev, bool waited);

/* ---- garbage.c ---- */

extern uint32_t unix_in_flight;
void garbage_wanted(void);  /* a socket has lost a gate while some are in flight */
void garbage_collect(void); /* at the end of a turn */
/* parcel.c: calls visit() for each socket in it. */
void parcel_sockets(const struct parcel *p, void (*visit)(struct unix_socket *s));

#endif
