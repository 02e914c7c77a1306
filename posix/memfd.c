/* SPDX-License-Identifier: MIT */
/* memfd_create, and seals. */
#include "memfd.h"

#define MFD_CLOEXEC       1u
#define MFD_ALLOW_SEALING 2u
#define NAME_ROOM         250u /* with the NUL: a file's name less "memfd:" */

long px_sys_memfd_create(const char *user_name, unsigned flags)
{
    char name[NAME_ROOM];
    struct io_stat st;
    struct motor_msg msg = {.op = IO_MEMORY_FILE,
                            .in = name,
                            .out = &st,
                            .out_size = sizeof st,
                            .word = {(flags & MFD_ALLOW_SEALING) != 0},
                            .deadline = MOTOR_NEVER};
    if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING))
        return -EINVAL;
    long length = px_copy_string(name, user_name, sizeof name);
    if (length < 0)
        return length == -ENAMETOOLONG ? -EINVAL : length;
    msg.in_size = (uint64_t)length;
    long result = px_call(px_proc()->root, &msg);
    if (result < 0)
        return result;
    struct px_file *f =
        px_file_from_handle(msg.handle[0], MOTOR_FD_FILE, O_RDWR | O_LARGEFILE, &st);
    return f ? px_fd_install(f, flags & MFD_CLOEXEC) : -ENFILE;
}

long px_seal(struct px_file *f, bool change, unsigned long add)
{
    struct motor_msg msg = {.op = IO_SEAL, .word = {change, add}, .deadline = MOTOR_NEVER};
    if (!px_is_fs(f) || f->kind != PX_FILE)
        return -EINVAL;
    return px_call(f->handle, &msg);
}
