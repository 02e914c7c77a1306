/* SPDX-License-Identifier: MIT */
/*
 * The tty engine: the serial console, and the channel to motor-run.
 *
 *   tty.c      messages, waiting calls, the end of the program
 *   console.c  16550: interrupt-driven output and input
 *   line.c     the line discipline of the console's input
 *   channel.c  frames of <motor/channel.h>
 *   port.c     the port of a virtio-console that they go over
 *
 * Its objects are few and fixed, so a gate's badge is the object's number (IO_TTY_*) + 1, and gates
 * are made by any thread without a lock. Output that has no room yet leaves its caller waiting;
 * nothing is dropped.
 */
#ifndef SYSIO_TTY_H
#define SYSIO_TTY_H

#include "../base/engine.h"

#define TTY_OBJECTS     6u
#define TTY_CONNECTOR   6u /* badges beyond the objects: IO_TTY_OPEN, */
#define TTY_CONTROL     7u /* TTY_FINISH, for sysio itself, */
#define TTY_UART_IRQ    8u /* and notifications of devices */
#define TTY_CHANNEL_IRQ 9u

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

/*
 * An object. read and write move what they can now: bytes moved, 0: must wait (read: or end of file
 * when *eof), negative: errno. Nothing moved leaves our hands before the caller was told: undo()
 * takes back the last read or write, of which the caller heard nothing. ready: POLL* bits.
 */
struct tty_object {
    int64_t (*read)(uint64_t token, uint64_t size, bool *eof);
    int64_t (*write)(struct tty_object *o, uint64_t token, uint64_t size);
    void (*undo)(struct tty_object *o, bool write);
    int64_t (*control)(struct motor_event *ev);
    uint32_t (*ready)(struct tty_object *o);
    uint32_t mode;          /* of IO_STAT */
    uint32_t channel_frame; /* MOTOR_FRAME_* of what is written */
    uint64_t rdev;
};

/* Sends bytes of a ring to a waiting caller; bytes moved (and taken), or a negated errno. */
int64_t bytes_to_caller(struct bytes *b, uint64_t token, uint64_t size);

bool console_init(void);
void console_interrupt(void);
void console_turn_end(void);
bool console_drained(void);
int64_t console_read(uint64_t token, uint64_t size, bool *eof);
int64_t console_write(struct tty_object *o, uint64_t token, uint64_t size);
void console_undo(struct tty_object *o, bool write);
int64_t console_control(struct motor_event *ev);
uint32_t console_ready(struct tty_object *o);

bool channel_init(void);
void channel_interrupt(void);
void channel_turn_end(void);
bool channel_drained(void);
/* a whole frame; false: no room now */
bool channel_frame(uint32_t type, const void *data, uint32_t size);
int64_t channel_read(uint64_t token, uint64_t size, bool *eof);
int64_t channel_write(struct tty_object *o, uint64_t token, uint64_t size);
void channel_undo(struct tty_object *o, bool write);
uint32_t channel_ready(struct tty_object *o);

#endif
