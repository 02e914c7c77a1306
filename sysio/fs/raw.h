/* SPDX-License-Identifier: MIT */
/* The bytes of a block device, for /dev: at any offset, though the device has sectors. For fibers.
 */
#ifndef SYSIO_FS_RAW_H
#define SYSIO_FS_RAW_H

#include "devices.h"
#include "fs.h"

/* Bytes moved: fewer than asked for at the device's end; or a negated errno. */
int64_t raw_read(const struct device *d, struct transfer *t, uint64_t offset);
int64_t raw_write(const struct device *d, struct transfer *t, uint64_t offset);
/* BLKGETSIZE64 and other ioctls of block devices */
int64_t raw_control(const struct device *d, const struct motor_event *ev);

#endif
