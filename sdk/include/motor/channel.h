/* SPDX-License-Identifier: MIT */
/*
 * The channel between motor-run and the VM: frames over one virtio-console port (a UNIX socket on
 * the host). Each frame: struct motor_frame, then `length` bytes. Little-endian. Both ends treat
 * the other as untrusted: unknown types and lengths over MOTOR_FRAME_MAX end the connection with a
 * message. The port is not port 0, whose bytes QEMU drops when its reader is slow.
 */
#ifndef MOTOR_CHANNEL_H
#define MOTOR_CHANNEL_H

#include <stdint.h>

#define MOTOR_CHANNEL_PORT 1u

struct motor_frame {
    uint32_t type;
    uint32_t length;
};
#define MOTOR_FRAME_MAX (64u * 1024u)

/* VM to host */
#define MOTOR_FRAME_HELLO     1u /* sysio is up: uint32_t protocol version 1 */
#define MOTOR_FRAME_STDOUT    2u
#define MOTOR_FRAME_STDERR    3u
#define MOTOR_FRAME_TRACE     4u /* text lines of --trace */
#define MOTOR_FRAME_MISSING   5u /* text lines: call name and count */
#define MOTOR_FRAME_EXIT      6u /* uint32_t wait status (Linux encoding) */
/*
 * text: why the program could not be run (not found, not an ELF, other machine, no memory);
 * motor-run ends with 125, or 126/127 as a shell would for the program's own fault
 */
#define MOTOR_FRAME_FAIL      7u
/* host to VM */
#define MOTOR_FRAME_STDIN     16u
#define MOTOR_FRAME_STDIN_EOF 17u

#endif
