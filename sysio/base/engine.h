/* SPDX-License-Identifier: MIT */
/*
 * What every engine of sysio is made of: one thread, one endpoint, one loop.
 *
 * A turn: take a batch of events (sending the replies of the turn before in the same kernel entry),
 * handle each, fire timers that are due, then `turn_end`. An engine never waits anywhere else; what
 * cannot be answered yet is remembered by its token and answered in a later turn.
 *
 * Badges. The badge of a gate is an index into the engine's badge table plus a generation, so that
 * what the kernel delivers is looked up, never dereferenced, and a late event for an object that is
 * gone finds nothing.
 *
 * All functions are for the engine's own thread, unless they say otherwise.
 */
#ifndef SYSIO_ENGINE_H
#define SYSIO_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <motor/abi.h>
#include <motor/io.h>
#include <motor/syscall.h>

#define ENGINE_BATCH      32u /* events taken in one turn */
#define ENGINE_REPLIES    64u /* replies sent with the next turn; more are sent at once */
/* bytes of `out` that a reply may carry without a copy of its own */
#define ENGINE_REPLY_DATA 256u

struct engine;

struct engine_timer {
    uint64_t at; /* monotonic ns; armed when `link` is set */
    void (*fire)(struct engine *e, struct engine_timer *t);
    struct engine_timer *next, **link;
};

struct badge_slot {
    void *object; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct badge_table {
    struct badge_slot *slots;
    uint32_t size, free; /* free: 1 + index of the first free slot */
    uint64_t used;       /* a counter, too */
};

/* The engine owns none of its objects: release what badge_get() finds yourself. 0: no memory. */
uint64_t badge_add(struct badge_table *t, void *object);
void *badge_get(const struct badge_table *t, uint64_t badge);
void badge_remove(struct badge_table *t, uint64_t badge);

struct engine {
    const char *name;
    motor_handle endpoint;
    /* received handles are closed after it, unless set to 0 */
    void (*event)(struct engine *e, struct motor_event *ev);
    void (*turn_end)(struct engine *e); /* may be NULL */
    /*
     * Before callers are answered in the middle of a turn: publishes what they, and whomever they
     * tell, may rely on (a written pipe is ready to be read). May be NULL.
     */
    void (*before_answer)(struct engine *e);
    struct badge_table badges;
    struct engine_timer *timers; /* by time */
    uint64_t now;                /* monotonic ns, read once a turn */
    bool again;                  /* set by a handler: the next turn must not sleep */
    uint32_t nreplies;
    struct motor_reply replies[ENGINE_REPLIES];
    uint8_t reply_data[ENGINE_REPLIES][ENGINE_REPLY_DATA];
    struct motor_event events[ENGINE_BATCH];
    uint64_t turns, handled; /* counters */
};

/* Creates the endpoint; false (and a log line) when there is no memory. */
bool engine_init(struct engine *e, const char *name,
                 void (*event)(struct engine *, struct motor_event *));
/* Runs the loop in a new thread, or in this one. */
bool engine_start(struct engine *e, size_t stack_size);
_Noreturn void engine_run(struct engine *e);
/* One turn; engine_run() repeats it. Tests call it by hand. */
void engine_turn(struct engine *e, bool may_sleep);

/*
 * The answer to a call. `status` is a result or a negated Linux errno. The reply may still be
 * filled (words, handles) until the next one is made or the turn ends. data: at most
 * ENGINE_REPLY_DATA bytes, copied here.
 */
struct motor_reply *engine_reply(struct engine *e, uint64_t token, int64_t status);
void engine_reply_data(struct motor_reply *r, struct engine *e, const void *data, size_t size);
/*
 * Adds a handle to a reply; it is closed here when sent (MOTOR_REPLY_MOVE for all handles of the
 * reply).
 */
void engine_reply_handle(struct motor_reply *r, motor_handle h, uint32_t rights);
/*
 * Answers at once. False: the caller has given up, and was told of nothing: undo what was done for
 * it.
 */
bool engine_reply_now(struct engine *e, uint64_t token, int64_t status);
/* Sends the replies collected so far. */
void engine_flush(struct engine *e);

/*
 * A gate of this engine for an object, already in the badge table. Negative: Linux errno. Result:
 * the handle.
 */
int64_t engine_gate(struct engine *e, uint64_t badge);
/* The same in another process, which must be installable: the handle is that one's. */
int64_t engine_gate_in(struct engine *e, uint64_t badge, motor_handle process);

/* Takes a handle out of an event so that it is not closed with it. */
motor_handle event_take_handle(struct motor_event *ev, unsigned i);
/*
 * Whether it is the caller's effective group or one of its supplementary ones; asks the kernel if
 * it is not the first. The fs engine, which has to know more often, remembers: sysio/fs/groups.c.
 */
static inline bool event_in_group(const struct motor_event *ev, uint32_t gid)
{
    return ev->gid == gid || (ev->groups && motor_caller_in_group(ev->token, ev->groups, gid) == 1);
}
/*
 * The caller's `in`: copies [offset, offset+size) to buffer. Bytes copied (short at the end of
 * `in`), or -EFAULT.
 */
int64_t event_read(const struct motor_event *ev, uint64_t offset, void *buffer, uint64_t size);
/* Writes to the caller's `out` now, before the reply. Bytes copied, or -EFAULT. */
int64_t event_write(const struct motor_event *ev, uint64_t offset, const void *buffer,
                    uint64_t size);
/* The same for a call that was put aside. */
int64_t token_read(uint64_t token, uint64_t offset, void *buffer, uint64_t size);
int64_t token_write(uint64_t token, uint64_t offset, const void *buffer, uint64_t size);

/* `fire` is set by the owner */
void engine_timer_set(struct engine *e, struct engine_timer *t, uint64_t at);
void engine_timer_clear(struct engine_timer *t);

/* Motor status (negative) to negated Linux errno; results pass unchanged. Any thread. */
int64_t to_errno(int64_t status);

/* ---- memory; any thread ---- */

/*
 * Memory is so short that nothing new should be made for clients: what is left keeps the engines
 * themselves alive (the kernel keeps a reserve for us: frame_plenty()). Looks at the machine every
 * few calls only: ask before each new object.
 */
bool memory_low(void);

/* ---- time; any thread ---- */

uint64_t clock_monotonic_ns(void);
uint64_t clock_realtime_ns(void);
const struct motor_kinfo *kernel_info(void);

/* ---- log; any thread ---- */

/* One line on the kernel's log. log_info is silent when the command line says `quiet`. */
__attribute__((format(printf, 2, 3))) void log_info(const char *engine, const char *format, ...);
__attribute__((format(printf, 2, 3))) void log_error(const char *engine, const char *format, ...);

/* With `boottrace` on the command line: a line with the time since the machine started. */
void boot_trace(const char *done);

/* ---- boot options; any thread ---- */

/*
 * The value of `name=value` on the kernel's command line, copied to buffer (cut at size - 1): true
 * if it is there. A bare word `name` gives "".
 */
bool boot_option(const char *name, char *buffer, size_t size);
const struct motor_boot_info *boot_info(void);

/* ---- counters; /proc/motor/counters shows them ---- */

/* `value` is read at any time by the fs engine; registered for good. Before the engines start. */
void counter_register(const char *engine, const char *name, const uint64_t *value);
/* Calls show(engine, name, value, context) for each. */
void counters_each(void (*show)(const char *engine, const char *name, uint64_t value,
                                void *context),
                   void *context);

#endif
