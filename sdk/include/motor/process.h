/* SPDX-License-Identifier: MIT */
/*
 * Starting a process: maps the runtime image, the start block and a stack into a process that has
 * nothing yet (see <motor/start.h>). For sysio, which starts the first programs; later ones begin
 * with the template that the runtime makes of the first. Freestanding; uses little stack; all
 * errors are negative MOTOR_E* statuses.
 */
#ifndef MOTOR_PROCESS_H
#define MOTOR_PROCESS_H

#include <motor/abi.h>
#include <motor/start.h>

/* bytes of the first thread's stack: lazy, guarded, and then the runtime's own */
#define MOTOR_START_STACK (256u << 10)

struct motor_image {
    uint64_t base;  /* load address of the ELF's address 0 */
    uint64_t entry; /* absolute */
    uint64_t end;   /* end of the last segment, page-aligned */
};

/*
 * Maps the segments of a static PIE whose file is the object `vmo` (`size` bytes) at the address
 * `where` if that is free, else, and with 0, at a random
 * place: read-only and executable parts shared, writable parts private, zero-filled beyond the
 * file's bytes. Every field of the file is checked. MOTOR_EINVAL: not a static PIE for x86-64, or
 * its segments are not page-congruent, overlap, or lie outside. The vmo handle needs READ and EXEC.
 */
int64_t motor_image_map(motor_handle process, motor_handle vmo, uint64_t size, uint64_t where,
                        struct motor_image *image);

/*
 * The whole of it: image (at `where`, see above), start block (`block`: a vmo of block_size
 * bytes, mapped private), stack. Fills *start for thread_create() or process_exec(). On failure the
 * process is left half filled: drop it.
 */
int64_t motor_process_prepare(motor_handle process, motor_handle runtime, uint64_t runtime_size,
                              uint64_t where, motor_handle block, uint64_t block_size,
                              struct motor_thread_start *start);

#endif
