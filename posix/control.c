/* SPDX-License-Identifier: MIT */
/* Control messages: see control.h. */
#include "control.h"

static uint64_t aligned(uint64_t length)
{
    return (length + 7) & ~7ull;
}

long px_control_next(const struct px_message *m, uint64_t *at, struct px_control *c,
                     const uint8_t **data)
{
    const uint8_t *user = m->control;
    if (!user || *at > m->controllen || m->controllen - *at < sizeof *c)
        return 0;
    if (px_copy_in(c, user + *at, sizeof *c) < 0)
        return -EFAULT;
    if (c->length < sizeof *c || c->length > m->controllen - *at)
        return -EINVAL;
    *data = user + *at + sizeof *c;
    *at += aligned(c->length);
    return 1;
}

void px_control_give(struct px_message *m, int level, int type, const void *data, uint64_t size)
{
    uint64_t room = m->controllen - m->control_used;
    struct px_control c = {.length = sizeof c + size, .level = level, .type = type};
    if (room < sizeof c) {
        m->out_flags |= MSG_CTRUNC;
        return;
    }
    if (room < c.length) {
        m->out_flags |= MSG_CTRUNC;
        c.length = room;
    }
    uint8_t *to = (uint8_t *)m->control + m->control_used;
    if (px_copy_out(to, &c, sizeof c) < 0 ||
        px_copy_out(to + sizeof c, data, c.length - sizeof c) < 0)
        return;
    m->control_used += PX_MIN(aligned(c.length), room);
}
