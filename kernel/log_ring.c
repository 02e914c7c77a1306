/* SPDX-License-Identifier: MIT */
/*
 * The last lines of the log. Records of one size, so that a number leads to its record; a line that
 * is longer takes several.
 */
#include "log_ring.h"
#include "arch/x86_64/arch.h"

#define RECORDS 192u

static struct motor_log_record ring[RECORDS];
static uint64_t next; /* sequence of the record that is being filled */

static struct motor_log_record *record(uint64_t sequence)
{
    return &ring[sequence % RECORDS];
}

static void begin_next(void)
{
    next++;
    record(next)->length = 0;
}

void log_ring_add(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct motor_log_record *r = record(next);
        if (text[i] != '\n') {
            if (r->length == 0) {
                r->sequence = next;
                r->ns = arch_now();
            }
            r->text[r->length++ % MOTOR_LOG_TEXT] = text[i];
        }
        if (r->length == MOTOR_LOG_TEXT || (text[i] == '\n' && r->length)) {
            begin_next();
        }
    }
}

bool log_ring_get(struct motor_log_record *r)
{
    uint64_t oldest = next < RECORDS ? 0 : next - RECORDS + 1;
    uint64_t wanted = r->sequence < oldest ? oldest : r->sequence;
    if (wanted >= next) {
        return false;
    }
    *r = *record(wanted);
    return true;
}
