/* SPDX-License-Identifier: MIT */
/* mount(2) and umount2(2): the fs engine does the work, and judges who may. */
#include "file.h"

#define TYPE_MAX    64u
#define OPTIONS_MAX 4096u
#define MAGIC       0xc0ed0000u /* of old programs, in the flags */

static long take_string(char *to, const char *user, size_t size)
{
    long length = user ? px_copy_string(to, user, size) : 0;
    return length == -ENAMETOOLONG ? -EINVAL : length;
}

/* Source, target, type and options, one after the other. */
static long gather(char *strings, struct motor_msg *msg, const char *source,
                   const struct px_path *target, const char *type, void *data)
{
    long length = take_string(strings, source, IO_PATH_MAX), at = length;
    if (length < 0)
        return length;
    msg->word[1] = (uint64_t)length;
    msg->word[2] = target->length;
    memcpy(strings + at, target->text, target->length);
    at += (long)target->length;
    length = take_string(strings + at, type, TYPE_MAX);
    if (length < 0)
        return length;
    msg->word[3] = (uint64_t)length;
    at += length;
    length = take_string(strings + at, data, OPTIONS_MAX);
    return length < 0 ? length : at + length;
}

long px_sys_mount(const char *source, const char *target, const char *type, unsigned long flags,
                  void *data)
{
    struct px_path p;
    struct motor_msg msg = {.op = IO_MOUNT, .deadline = MOTOR_NEVER};
    long result = px_path_get(&p, AT_FDCWD, target, false);
    if (result < 0)
        return result;
    char *strings = px_alloc(IO_MOUNT_MAX);
    result = strings ? gather(strings, &msg, source, &p, type, data) : -ENOMEM;
    if (result >= 0) {
        msg.word[0] = (flags >> 16 == MAGIC >> 16 ? flags & 0xffff : flags);
        msg.in = strings;
        msg.in_size = (uint64_t)result;
        result = px_call(p.base, &msg);
    }
    px_free(strings);
    px_path_put(&p);
    return PX_MIN(result, 0L);
}

long px_sys_umount2(const char *target, int flags)
{
    return px_path_simple(AT_FDCWD, target, false, IO_UMOUNT, (uint64_t)(unsigned)flags, 0, 0);
}
