/* SPDX-License-Identifier: MIT */
/*
 * A kernel of its own for engines under test: the Motor calls that engines make, over the host's
 * memory, in one thread. Code under test is compiled with -DMOTOR_SYSCALL_EXTERN. Strict where the
 * kernel is lenient: a bad handle or a leak ends the test.
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include <motor/abi.h>
#include <stdbool.h>

/*
 * A client's call through a gate handle: queued, then turn() is run until it is answered; after
 * many turns the caller is interrupted. Result: as motor_call.
 */
int64_t fake_call(motor_handle gate, struct motor_msg *m, uint32_t uid, uint32_t gid,
                  void (*turn)(void));
/* The same for a call that may wait: after so many turns it is given up (MOTOR_ETIMEOUT). */
int64_t fake_call_within(motor_handle gate, struct motor_msg *m, uint32_t uid, uint32_t gid,
                         void (*turn)(void), int turns);
/* A gate handle as a client would hold one. */
motor_handle fake_gate(motor_handle endpoint, uint64_t badge);
void fake_close(motor_handle h);
/* Bytes of a vmo, for checks of mappings. */
int64_t fake_vmo_read(motor_handle h, uint64_t offset, void *buffer, uint64_t size);
int64_t fake_vmo_write(motor_handle h, uint64_t offset, const void *buffer, uint64_t size);
uint64_t fake_vmo_size(motor_handle h);
uint32_t fake_handle_rights(motor_handle h);
motor_handle fake_vmo_of(const void *data, uint64_t size); /* a read-only object with these bytes */
unsigned fake_live_objects(void);
extern uint64_t fake_memory_limit; /* bytes of committed pages; beyond: MOTOR_ENOMEM */
extern uint64_t fake_clock_ns;     /* monotonic; realtime is the host's unless frozen */
extern bool fake_quiet;
/* Asked for each map() of another process; NULL: there are none. Result: as motor_map. */
extern int64_t (*fake_map)(motor_handle vmo, uint64_t offset, uint64_t address, uint64_t length,
                           uint32_t flags);
/*
 * The one process there is, if pid is not 0: its labels, and its memory, which begins at
 * FAKE_PROCESS_BASE. Its handles are those of the test.
 */
#define FAKE_PROCESS_BASE 0x10000u
extern struct motor_process_info fake_process;
extern const void *fake_process_memory;
extern uint64_t fake_process_size;
/* The supplementary groups of all callers from now on, at most 8. */
void fake_set_groups(const uint32_t *gid, uint32_t count);
/* The caller of the call under way gives up: its token is dead. */
void fake_cancel(void);

#endif
