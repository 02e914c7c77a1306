/* SPDX-License-Identifier: MIT */
/* A machine without motor-run's channel, for tests of terminals. */
#include "../../../sysio/tty/tty.h"

const struct tty_ops channel_ops;

bool channel_init(void)
{
    return false;
}

void channel_interrupt(void) {}

void channel_turn_end(void) {}

bool channel_drained(void)
{
    return true;
}

bool channel_frame(uint32_t type, const void *data, uint32_t size)
{
    (void)type, (void)data, (void)size;
    return true;
}
