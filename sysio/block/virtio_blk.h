/* SPDX-License-Identifier: MIT */
/* virtio-blk: disks for a file system, see block.h and virtio_blk.c. */
#ifndef SYSIO_VIRTIO_BLK_H
#define SYSIO_VIRTIO_BLK_H

#include <motor/abi.h>

#include "block.h"

/*
 * Starts the index-th disk of the machine; its interrupts notify `gate`. NULL: there is none, or it
 * does not work, which is logged.
 */
struct block_device *virtio_blk_open(uint32_t index, motor_handle gate,
                                     void (*log)(const char *format, ...));
/*
 * Hands what was submitted to the device and ends what the device has done; calls done() of those
 * requests. For the engine's loop: when the gate was notified, with `interrupt`, and at the end of
 * a turn. True: there is more to do at once, no interrupt will come for it.
 */
bool virtio_blk_turn(struct block_device *d, bool interrupt);

#endif
