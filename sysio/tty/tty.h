/* SPDX-License-Identifier: MIT */
/*
 * The tty engine: streams that are read and written by calls. The serial console, pseudoterminals,
 * the channel to motor-run; pipes and UNIX sockets, which are in sysio/local/.
 *
 *   tty.c       messages, waiting calls, the end of the program
 *   terminal.h  what a terminal is: line discipline, output, ioctl, jobs
 *   console.c   16550: interrupt-driven output and input
 *   pty.c       masters and slaves
 *   channel.c   frames of <motor/channel.h>
 *   port.c      the port of a virtio-console that they go over
 *   session.c   readiness, told to clients
 *   kmsg.c      the kernel's log
 *   tracing.c   lines about a process's calls
 *
 * The console's and the channel's objects are fixed: their badges are numbers (IO_TTY_*) + 1, and
 * gates to them are made by any thread without a lock. Output that has no room yet leaves its
 * caller waiting; nothing is dropped.
 */
#ifndef SYSIO_TTY_H
#define SYSIO_TTY_H

#include "../base/engine.h"

#define TTY_OBJECTS     6u
#define TTY_CONNECTOR   6u /* badges beyond the objects: IO_TTY_OPEN, */
#define TTY_CONTROL     7u /* TTY_FINISH, for sysio itself, */
#define TTY_UART_IRQ    8u /* and notifications of devices */
#define TTY_CHANNEL_IRQ 9u
#define TTY_INOTIFY     10u /* and of the fs engine: there are events */

/*
 * On a TTY_CONTROL gate, answered when all output has reached the devices. w0: frame type for the
 * channel (MOTOR_FRAME_EXIT or MOTOR_FRAME_FAIL), in: its bytes; without a channel nothing is
 * written.
 */
#define TTY_FINISH 0x1000u

extern struct engine tty_engine;

/* finds the devices; does not start the thread. False: no memory */
bool tty_init(bool channel_wanted);
bool tty_has_channel(void); /* wanted and there */
/*
 * Who ends the machine when reboot(2) has asked for it and all output is out: `gate` is notified,
 * and tty_power_mode() tells how. Before any program runs.
 */
void tty_set_power(motor_handle gate);
uint32_t tty_power_mode(void); /* MOTOR_POWER_* */
/* Any thread: a new gate handle of object `kind`, or a negated errno. */
int64_t tty_open(uint32_t kind);

/* ---- inside ---- */

/* Bytes in a ring. */
struct bytes {
    uint8_t *at;
    uint32_t size; /* power of two */
    uint32_t head, tail;
};
static inline uint32_t bytes_used(const struct bytes *b)
{
    return b->head - b->tail;
}
static inline uint32_t bytes_free(const struct bytes *b)
{
    return b->size - bytes_used(b);
}
static inline void bytes_put(struct bytes *b, uint8_t byte)
{
    b->at[b->head++ & (b->size - 1)] = byte;
}
static inline uint8_t bytes_take(struct bytes *b)
{
    return b->at[b->tail++ & (b->size - 1)];
}

/* What a badge of the engine's table leads to begins with one of these. */
enum badge_kind { BADGE_SESSION, BADGE_OBJECT, BADGE_LEADER, BADGE_PARCEL, BADGE_PROCESS };

/*
 * An object. read and write move what they can now: bytes moved, 0: must wait (read: or end of file
 * when *eof), negative: errno. Nothing moved leaves our hands before the caller was told: undo()
 * takes back the last read or write, of which the caller heard nothing. *again: when a read that
 * must wait is to be tried again whatever happens; 0: never. ready: POLL* bits.
 */
struct tty_object;
struct tty_ops {
    int64_t (*read)(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since, bool *eof,
                    uint64_t *again);
    int64_t (*write)(struct tty_object *o, uint64_t token, uint64_t size);
    void (*undo)(struct tty_object *o, bool write);
    /* waited: it was put aside (CONTROL_DRAIN), and nothing is left in the ring. NULL: ENOTTY */
    int64_t (*control)(struct tty_object *o, struct motor_event *ev, bool waited);
    uint32_t (*ready)(struct tty_object *o);
    /* IO_STAT: what is not the same for all; and IO_CHMOD, IO_CHOWN. NULL: there is nothing */
    void (*stat)(struct tty_object *o, struct io_stat *st);
    int64_t (*change)(struct tty_object *o, const struct motor_event *ev);
    /*
     * Any other call (NULL: there are none): its status, CALL_WAIT or CALL_ANSWERED. *state: NULL
     * when it comes; kept while it waits. cancel: it waits no more; what *state stands for goes.
     */
    int64_t (*call)(struct tty_object *o, struct motor_event *ev, void **state);
    void (*cancel)(struct tty_object *o, struct motor_event *ev, void *state);
    /* The end that it shares a ring with, which is on loan now; NULL: none. The op NULL: it lends
     * nothing */
    struct tty_object *(*other_end)(struct tty_object *o);
    /* What it has lent comes back: somebody else is to be told when it becomes ready */
    void (*settle)(struct tty_object *o);
};
#define CALL_WAIT     INT64_MIN
#define CALL_ANSWERED (INT64_MIN + 1)

struct tty_object {
    enum badge_kind badge_kind;
    const struct tty_ops *ops;
    struct terminal *terminal; /* that it is, or NULL */
    uint32_t mode;             /* of IO_STAT */
    uint32_t number;           /* IO_TTY_*; of a pty */
    uint64_t rdev;
    uint32_t channel_frame; /* MOTOR_FRAME_* of what is written */
    bool no_read, no_write;
    const char *path, *label; /* its path, or the word before its number in one */
    void (*opened)(
        struct tty_object *o); /* another gate, or who counts as one. NULL: it is fixed */
    /* +1 with all that comes, also to what is ready already (EPOLLET); 0: it is not counted */
    uint32_t news;
    void (*closed)(struct tty_object *o); /* a gate has gone; may free it. NULL: it is fixed */
    uint64_t passed[2]; /* the last pass in which a reader, a writer had to go on waiting */
};

/* The object that a badge leads to; NULL: none. */
struct tty_object *object_of(uint64_t badge);

/* Transfers that wait for it are answered with -IO_ELENT. */
void tty_send_away(const struct tty_object *o);

/* Sends bytes of a ring to a waiting caller; bytes moved (and taken), or a negated errno. */
int64_t bytes_to_caller(struct bytes *b, uint64_t token, uint64_t size);

bool console_init(void);
void console_interrupt(void);
void console_turn_end(void);
bool console_drained(void);
struct terminal *console_terminal(void);

/* What is read and written through a terminal's object. */
extern const struct tty_ops terminal_ops;

bool channel_init(void);
void channel_interrupt(void);
void channel_turn_end(void);
bool channel_drained(void);
/* a whole frame; false: no room now */
bool channel_frame(uint32_t type, const void *data, uint32_t size);
extern const struct tty_ops channel_ops;

/* ---- the kernel's log ---- */

int64_t kmsg_open(bool writable); /* a gate to a new reader and writer of it, or a negated errno */

/* ---- tracing ---- */

/* Has a process tell of its calls: a gate to read that from, or a negated errno. */
int64_t tracing_open(uint32_t pid);

/* ---- ptys ---- */

/*
 * Calls on a TTY_CONTROL gate, from the fs engine, which has checked permissions; each answers with
 * a handle. w1: the pid of who opens it; w2: its session; w3: 1 for O_NOCTTY.
 *   OPEN_CONSOLE
 *   OPEN_MASTER       -> w0: the pty's number, w1: its generation
 *   OPEN_SLAVE        w0: number; -EIO: locked or gone
 *   OPEN_CONTROLLING  of the session; -ENXIO: it has no terminal
 *   OPEN_LOG          w0: it may be written to
 *   OPEN_TRACE        w0: the pid of who is to be traced; -ESRCH
 */
#define TTY_OPEN_CONSOLE     0x1001u
#define TTY_OPEN_MASTER      0x1002u
#define TTY_OPEN_SLAVE       0x1003u
#define TTY_OPEN_CONTROLLING 0x1004u
#define TTY_OPEN_LOG         0x1006u
#define TTY_OPEN_TRACE       0x1007u

/* w0: a session -> w0: the device number of its terminal, w1: its foreground group; -ENXIO: none */
#define TTY_SESSION 0x1005u

/* -> out: text, the lines of /proc/net/unix; status: its length */
#define TTY_UNIX_SOCKETS 0x1008u

struct tty_session {
    uint64_t rdev;
    uint32_t foreground;
};
/* A call on a TTY_CONTROL gate: its status, or an errno. Any thread but the engine's own. */
int64_t tty_ask(struct motor_msg *m);
/* Asks so; any thread but the engine's own. */
int64_t tty_of_session(uint32_t session, struct tty_session *out);

struct tty_opener {
    uint32_t pid, session;
    bool no_ctty; /* O_NOCTTY */
};
/* Makes such a call and waits for its answer; any thread but the engine's own. */
int64_t tty_open_device(uint32_t op, uint32_t number, const struct tty_opener *who,
                        uint64_t word[2]);

#define PTY_MAX 1024u
/* Any thread: the generation of pty `number`, never the same again; 0: there is none. */
uint32_t pty_generation(uint32_t number);
/* Results: a gate handle, or a negated errno. */
int64_t pty_open_master(uint32_t *number);
int64_t pty_open_slave(uint32_t number, struct terminal **t);
int64_t pty_reopen(struct terminal *t); /* another gate to its slave */

#endif
