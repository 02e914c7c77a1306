/* SPDX-License-Identifier: MIT */
/* Paths of the program, and calls on them. The fs engine resolves them; see <motor/io.h>. */
#include "names.h"

static long choose_base(struct px_path *p, int directory, bool relative)
{
    p->from = NULL;
    p->base = px_proc()->root;
    if (!relative)
        return 0;
    p->from = directory == AT_FDCWD ? px_cwd_get() : px_fd_get(directory);
    if (!p->from)
        return -EBADF;
    p->base = p->from->handle;
    if (px_is_fs(p->from) || !p->length) /* "" may mean any file: the caller looks */
        return 0;
    px_file_put(p->from);
    return -ENOTDIR;
}

long px_path_get(struct px_path *p, int directory, const char *user, bool empty_ok)
{
    p->text = p->small;
    p->small[0] = 0;
    p->hash = 0;
    long length = user || !empty_ok ? px_copy_string(p->small, user, sizeof p->small) : 0;
    if (length == -ENAMETOOLONG) {
        p->text = px_alloc(IO_PATH_MAX);
        length = p->text ? px_copy_string(p->text, user, IO_PATH_MAX) : -ENOMEM;
    }
    if (length == 0 && !empty_ok)
        length = -ENOENT;
    long error = length;
    if (length >= 0) {
        p->length = (size_t)length;
        error = choose_base(p, directory, p->text[0] != '/');
    }
    if (error < 0 && p->text != p->small)
        px_free(p->text);
    return PX_MIN(error, 0L);
}

void px_path_put(struct px_path *p)
{
    if (p->text != p->small)
        px_free(p->text);
    if (p->from)
        px_file_put(p->from);
}

long px_path_call(struct px_path *p, struct motor_msg *msg, int *own)
{
    struct motor_msg again = *msg;
    msg->in = p->text;
    msg->in_size = p->length;
    px_names_settle();
    long result = px_call(p->base, msg);
    px_names_settle();
    if (result < (long)IO_OWN_FD)
        return result;
    int fd = (int)(result - (long)IO_OWN_FD);
    struct px_file *f = px_fd_get(fd);
    if (!f)
        return -ENOENT;
    if (px_is_fs(f) || (px_is_of_tty_engine(f) && msg->op != IO_OPEN)) {
        *msg = again;
        msg->in_size = 0;
        result = px_inode_call(f, msg);
    } else if (own) {
        *own = fd;
        result = -PX_OWN_FD_ONLY;
    } else {
        result = -ENXIO;
    }
    px_file_put(f);
    return result;
}

long px_path_simple(int directory, const char *user, bool empty_ok, uint32_t op, uint64_t w0,
                    uint64_t w1, uint64_t w2)
{
    struct px_path p;
    long result = px_path_get(&p, directory, user, empty_ok);
    if (result < 0)
        return result;
    struct motor_msg msg = {.op = op, .deadline = MOTOR_NEVER};
    msg.word[0] = w0;
    msg.word[1] = w1;
    msg.word[2] = w2;
    if (p.from && !p.length && !px_is_fs(p.from))
        result = px_inode_call(p.from, &msg);
    else
        result = px_path_call(&p, &msg, NULL);
    px_path_put(&p);
    return PX_MIN(result, 0L);
}
