/* SPDX-License-Identifier: MIT */
/* The system's names, as sethostname(2) and setdomainname(2) set them for everybody. */
#include "system_name.h"

#include "proc/proc.h"

#include <errno.h>
#include <string.h>

static char names[IO_SYSTEM_NAMES][IO_SYSTEM_NAME_SIZE] = {
    [IO_SYSTEM_HOST] = "motor", [IO_SYSTEM_DOMAIN] = "(none)"};

static int64_t set(const struct motor_event *ev, const struct cred *who, char *name)
{
    char bytes[IO_SYSTEM_NAME_SIZE] = {0};
    if (who->uid)
        return -EPERM;
    if (ev->in_size >= sizeof bytes)
        return -EINVAL;
    int64_t n = event_read(ev, 0, bytes, ev->in_size);
    if (n < (int64_t)ev->in_size)
        return n < 0 ? n : -EFAULT;
    memcpy(name, bytes, sizeof bytes);
    return 0;
}

int64_t system_name_call(const struct motor_event *ev, const struct cred *who)
{
    uint64_t which = ev->word[0];
    if (which >= IO_SYSTEM_NAMES)
        return event_write(ev, 0, names, sizeof names) == sizeof names ? 0 : -EFAULT;
    return set(ev, who, names[which]);
}

void text_hostname(struct text *t)
{
    put(t, "%s\n", names[IO_SYSTEM_HOST]);
}

void text_domainname(struct text *t)
{
    put(t, "%s\n", names[IO_SYSTEM_DOMAIN]);
}
