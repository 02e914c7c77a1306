/* SPDX-License-Identifier: MIT */
/*
 * What every family of sockets does in its own way: inet.c, unix.c. socket.c and socket_message.c
 * decode the program's calls.
 */
#ifndef PX_SOCKET_H
#define PX_SOCKET_H

#include "fd.h"

#define PX_SOCKADDR_MAX 128u

struct px_name { /* a sockaddr */
    uint32_t length;
    uint8_t bytes[PX_SOCKADDR_MAX];
};

/* One message of the program. Pointers are its own, but for io. */
struct px_message {
    struct px_io *io;
    uint32_t flags;   /* MSG_* */
    const void *name; /* sending: to whom; NULL: the peer. receiving: not NULL: it asks from whom */
    uint32_t namelen;
    void *control;
    uint64_t controllen;
    /* receiving: what came */
    uint32_t out_flags;
    uint64_t control_used;
    struct px_name from; /* length 0: nobody to tell */
};

struct px_socket_ops {
    long (*bind)(struct px_file *f, const void *address, unsigned length);
    long (*listen)(struct px_file *f, int backlog);
    long (*connect)(struct px_file *f, const void *address, unsigned length);
    /* A new descriptor. flags: SOCK_CLOEXEC, SOCK_NONBLOCK */
    long (*accept)(struct px_file *f, unsigned flags, struct px_name *peer);
    long (*shutdown)(struct px_file *f, int how);
    long (*name)(struct px_file *f, bool peer, struct px_name *out);
    long (*set_option)(struct px_file *f, int level, int name, const void *value, unsigned length);
    /* into `value`, of `room` bytes; its length */
    long (*get_option)(struct px_file *f, int level, int name, uint8_t *value, uint32_t room);
    long (*send)(struct px_file *f, struct px_message *m);    /* bytes */
    long (*receive)(struct px_file *f, struct px_message *m); /* bytes; MSG_TRUNC: all there were */
};
extern const struct px_socket_ops px_inet_ops, px_unix_socket_ops;

static inline bool px_is_socket(const struct px_file *f)
{
    return f->ops->socket;
}

/* ---- socket.c ---- */

/* A socket's file: NULL with -EBADF or -ENOTSOCK. */
struct px_file *px_socket_get(int fd, long *error);
/* SO_RCVTIMEO and SO_SNDTIMEO, in ns: -ENOTTY: another option. */
struct px_socket_waits {
    uint64_t *receive, *send;
    uint32_t *low_water; /* SO_RCVLOWAT */
};
long px_socket_set_waits(struct px_socket_waits w, int name, const void *value, unsigned length);
long px_socket_get_waits(struct px_socket_waits w, int name, uint8_t *value, uint32_t room);

/* ---- unix.c ---- */

long px_unix_socket(int type, int protocol, unsigned flags);
long px_unix_pair(int type, int protocol, unsigned flags, void *fds);
struct px_file *px_unix_from_record(const struct motor_start_fd *record);

/* ---- netlink.c ---- */

long px_netlink_socket(int type, int protocol, unsigned flags);
bool px_is_netlink(const struct px_file *f);
/* A socket of unix.c that is one, if the first word of its record says so, becomes it. */
void px_netlink_adopt(struct px_file *f, uint64_t word);

/* ---- rights.c: what goes beside the bytes ---- */

/*
 * A parcel of what the program's control data says; *parcel 0: nothing. The caller closes it, sent
 * or not.
 */
long px_rights_send(const struct px_message *m, motor_handle *parcel);

struct px_rights {       /* of a message that came */
    motor_handle parcel; /* 0: none; px_rights_receive() takes it */
    uint32_t count;
    uint32_t pid, uid, gid;
    bool credentials; /* the program wants to know who sends */
};
/* Into the program's control buffer; what does not fit is lost (MSG_CTRUNC). */
void px_rights_receive(struct px_message *m, struct px_rights *r);

#endif
