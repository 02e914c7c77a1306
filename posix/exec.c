/* SPDX-License-Identifier: MIT */
/*
 * execve: a start block and an embryo for the new program, and then this process goes on there
 * (process_exec). For a child of vfork the embryo is its own, and gets a thread. What can fail
 * fails before: the file is opened and its headers are read here, though the new program's runtime
 * loads it. `#!` is followed here, too.
 */
#include "elf.h"
#include "fd.h"
#include "file.h"
#include "internal.h"

#define ARGS_LEAST  (128u << 10) /* what may always be passed: bytes of strings and pointers */
#define ARGS_MOST   (6u << 20)   /* and at most */
#define STRING_MAX  (128u << 10) /* of one */
#define SCRIPTS_MAX 5            /* scripts that are interpreters of scripts */
#define BLOCK_USUAL ((16u << 10) - 64) /* what room is made for at first, if that is enough */
#define PADDING     64u                /* for what begins at a multiple of 8 */
#define HEAD_SIZE   256u               /* of a script, that its first line must fit in */

struct strings {
    uint32_t count;
    uint64_t at; /* offset in the block */
};

struct exec {
    motor_handle file, embryo;
    motor_handle image; /* the file's bytes; 0: it cannot be mapped */
    uint64_t image_base, image_size;
    bool set_id;    /* its file has other ids for it: the fs engine makes it */
    uint8_t *block; /* here while it is filled */
    uint64_t size, limit;
    uint64_t args_left; /* bytes */
    struct strings argv, envp;
    uint64_t path;       /* offset: what was asked for */
    uint64_t program_at; /* offset of what the headers say */
    uint32_t fds;
    uint64_t fd_table;
    motor_handle *keep;
    uint32_t kept, keep_max;
    struct elf_file elf; /* it and what follows: filled before it is read */
    struct elf_program program;
    char head[HEAD_SIZE + 1]; /* the first bytes, if they are "#!" */
    char script[IO_PATH_MAX], interpreter[HEAD_SIZE], argument[HEAD_SIZE];
};

/* ---- the file ---- */

long px_elf_open(struct elf_file *f, uint32_t handle)
{
    struct motor_msg m = {
        .op = IO_READ, .out = f->head, .out_size = sizeof(f->head), .deadline = MOTOR_NEVER};
    long n = px_call(handle, &m);
    f->handle = handle;
    f->have = n < 0 ? 0 : (uint32_t)PX_MIN(n, (long)sizeof(f->head));
    return PX_MIN(n, 0L);
}

bool px_elf_read(void *file, uint64_t offset, void *to, size_t size)
{
    const struct elf_file *f = file;
    if (offset <= f->have && size <= f->have - offset) {
        memcpy(to, f->head + offset, size);
        return true;
    }
    struct motor_msg m = {
        .op = IO_READ, .word = {offset}, .out = to, .out_size = size, .deadline = MOTOR_NEVER};
    return px_call(f->handle, &m) == (long)size;
}

static void close_file(struct exec *x)
{
    if (x->file) {
        motor_handle_close(x->file);
    }
    if (x->image) {
        motor_handle_close(x->image);
    }
    x->file = x->image = 0;
}

/* The file's first bytes: from its object, if they are there, without a call. */
static long read_head(struct exec *x)
{
    uint64_t size = PX_MIN(x->image_size, (uint64_t)ELF_HEAD_SIZE);
    int64_t n = x->image
                    ? motor_vmo_control(x->image, MOTOR_VMO_READ, x->image_base, size, x->elf.head)
                    : -1;
    if (n != (int64_t)size) {
        return px_elf_open(&x->elf, x->file);
    }
    x->elf.handle = x->file;
    x->elf.have = (uint32_t)n;
    return 0;
}

/* The program file, checked for the right to execute it, in x->file; x->head: see there.
 */
static long open_file(struct exec *x, int directory, const char *path, int flags, uint64_t *size)
{
    struct px_path p;
    struct io_stat st;
    struct motor_msg m = {
        .op = IO_EXEC, .out = &st, .out_size = sizeof(st), .deadline = MOTOR_NEVER};
    bool empty = flags & AT_EMPTY_PATH;
    long status = px_path_get(&p, directory, path, empty);
    if (status < 0) {
        return status;
    }
    m.word[0] = (uint64_t)(flags & AT_SYMLINK_NOFOLLOW);
    if (empty && !p.length && !px_is_fs_base(&p)) {
        status = -EACCES;
    } else {
        int own;
        status = px_path_call(&p, &m, &own);
        status = status == -PX_OWN_FD_ONLY ? -EACCES : status;
    }
    px_path_put(&p);
    if (status < 0) {
        return status;
    }
    if (!m.nhandles) {
        return -EIO;
    }
    x->file = m.handle[0];
    x->set_id = m.word[3] && !px_proc()->attributes.no_new_privs;
    *size = (uint64_t)st.size;
    if (m.nhandles > 1) {
        x->image = m.handle[1];
        x->image_base = m.word[1];
        x->image_size = m.word[2];
    }
    status = read_head(x);
    memset(x->head, 0, 2);
    if (x->elf.have >= 2 && x->elf.head[0] == '#' && x->elf.head[1] == '!') {
        memset(x->head, 0, sizeof(x->head));
        memcpy(x->head, x->elf.head, PX_MIN(x->elf.have, HEAD_SIZE));
    }
    return status;
}

static long check_program(struct exec *x, uint64_t size)
{
    struct elf_header h;
    memcpy(&h, x->elf.head, sizeof(h));
    const char *error = elf_parse(&x->program, &h, PX_MIN((size_t)x->elf.have, sizeof(h)), size,
                                  px_elf_read, &x->elf);
    return error ? -ENOEXEC : 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* "#! interpreter [argument]": false if that is no line, or the interpreter's name may be cut. */
static bool parse_script(struct exec *x)
{
    char *end = strchr(x->head, '\n'), *at = x->head + 2;
    bool cut = !end && x->head[HEAD_SIZE - 1];
    x->head[HEAD_SIZE - 1] = 0; /* of a line without an end, Linux takes as much */
    end = end ? end : x->head + strlen(x->head);
    while (end > at && is_blank(end[-1])) {
        end--;
    }
    *end = 0;
    while (is_blank(*at)) {
        at++;
    }
    char *name = at;
    while (*at && !is_blank(*at)) {
        at++;
    }
    size_t length = (size_t)(at - name);
    if (cut && !*at) {
        return false;
    }
    while (is_blank(*at)) {
        *at++ = 0;
    }
    memcpy(x->interpreter, name, length);
    x->interpreter[length] = 0;
    memcpy(x->argument, at, strlen(at) + 1);
    return length != 0;
}

/* ---- the block ---- */

/* As Linux: a fourth of what the stack may have. */
static uint64_t args_most(void)
{
    return PX_MAX(PX_MIN(px_limit(RLIMIT_STACK) / 4, (uint64_t)ARGS_MOST), (uint64_t)ARGS_LEAST);
}

static long put_bytes(struct exec *x, const void *from, size_t size, uint64_t *at)
{
    x->size = (x->size + 7) & ~7ull;
    if (size > x->limit - x->size) {
        return -E2BIG;
    }
    *at = x->size;
    if (from) {
        memcpy(x->block + x->size, from, size);
    }
    x->size += size;
    return 0;
}

static long put_string(struct exec *x, const char *from)
{
    size_t room = PX_MIN(x->args_left, (uint64_t)STRING_MAX);
    long n = px_copy_string((char *)x->block + x->size, from, room);
    if (n < 0) {
        return n == -ENAMETOOLONG ? -E2BIG : n;
    }
    uint64_t bytes = (uint64_t)n + 1;
    x->size += bytes;
    x->args_left -= PX_MIN(x->args_left, bytes + sizeof(char *));
    return 0;
}

/* The strings of a program's array from its `skip`th on. */
static long put_list(struct exec *x, struct strings *to, const void *user, uint32_t skip)
{
    const char *string;
    for (uint64_t i = 0; user; i++) {
        if (px_copy_in(&string, (const char *const *)user + i, sizeof(string)) < 0) {
            return -EFAULT;
        }
        if (!string) {
            break;
        }
        if (i < skip) {
            continue;
        }
        long status = put_string(x, string);
        if (status < 0) {
            return status;
        }
        to->count++;
    }
    return 0;
}

static long put_one(struct exec *x, const char *string)
{
    x->argv.count++;
    return put_string(x, string);
}

/*
 * A block that can hold what may be asked for: args bytes of strings and pointers; 0: what the
 * usual size has room for.
 */
static long block_new(struct exec *x, uint64_t args)
{
    x->fds = px_fd_count();
    uint64_t others = sizeof(struct motor_start) + strlen(x->script) + 1 + sizeof(x->program) +
                      x->fds * sizeof(struct motor_start_fd) + PADDING;
    if (!args) {
        args = others < BLOCK_USUAL / 2 ? BLOCK_USUAL - others : BLOCK_USUAL;
    }
    x->limit = others + args;
    x->args_left = args;
    x->block = px_alloc_raw(x->limit);
    x->size = sizeof(struct motor_start);
    x->envp = (struct strings){0};
    return x->block ? 0 : -ENOMEM;
}

static void block_drop(struct exec *x)
{
    px_free(x->block);
    x->block = NULL;
}

/*
 * Opens the file, and the interpreter if it is a script, and puts the arguments. Each script is an
 * argument of the next interpreter, so the list grows at the front: it is put anew each time.
 */
static long put_program(struct exec *x, int directory, const char *path, int flags,
                        const void *argv)
{
    const char *script = x->script;
    uint64_t size, start = x->size, left = x->args_left;
    long status = open_file(x, directory, path, flags, &size);
    struct {
        char text[SCRIPTS_MAX * HEAD_SIZE]; /* interpreter, argument, ... of all scripts so far */
        size_t used;
        uint32_t count;
    } prefix = {.count = 0};
    uint32_t depth = 0;
    while (status == 0 && x->head[0] == '#' && x->head[1] == '!') {
        if (++depth > SCRIPTS_MAX) {
            return -ELOOP;
        }
        if (!parse_script(x)) {
            return -ENOEXEC;
        }
        size_t a = strlen(x->interpreter) + 1, b = x->argument[0] ? strlen(x->argument) + 1 : 0;
        /* a script's interpreter that is a script: its name is the argument after the new ones */
        memmove(prefix.text + a + b, prefix.text, prefix.used);
        memcpy(prefix.text, x->interpreter, a);
        memcpy(prefix.text + a, x->argument, b);
        prefix.used += a + b;
        prefix.count += 1 + (b != 0);
        close_file(x);
        status = open_file(x, AT_FDCWD, x->interpreter, 0, &size);
    }
    if (status == 0) {
        status = check_program(x, size);
    }
    if (status < 0) {
        return status;
    }
    x->size = start;
    x->args_left = left;
    x->argv = (struct strings){.at = x->size};
    const char *at = prefix.text;
    for (uint32_t i = 0; i < prefix.count && status == 0; i++) {
        status = put_one(x, at);
        at += strlen(at) + 1;
    }
    if (status == 0 && prefix.count) {
        status = put_one(x, script);
    }
    if (status == 0) {
        status = put_list(x, &x->argv, argv, prefix.count ? 1 : 0);
    }
    if (status == 0 && !x->argv.count) { /* as Linux: there is always one */
        status = put_one(x, "");
    }
    return status;
}

static long put_descriptors(struct exec *x)
{
    uint64_t size = x->fds * sizeof(struct motor_start_fd);
    long status = put_bytes(x, NULL, size, &x->fd_table);
    if (status == 0) {
        uint32_t n = px_fd_records((struct motor_start_fd *)(x->block + x->fd_table), x->fds);
        x->fds = PX_MIN(n, x->fds); /* other threads may open and close meanwhile */
    }
    return status;
}

/* ---- what goes along ---- */

static void keep(struct exec *x, motor_handle h)
{
    if (h && x->kept < x->keep_max) {
        x->keep[x->kept++] = h;
    }
}

static long choose_handles(struct exec *x, motor_handle cwd)
{
    const struct px_process *p = px_proc();
    const struct motor_start_fd *fd = (const struct motor_start_fd *)(x->block + x->fd_table);
    x->keep_max = 8 + 2 * x->fds;
    x->keep = px_alloc(x->keep_max * sizeof(*x->keep));
    if (!x->keep) {
        return -ENOMEM;
    }
    keep(x, p->root);
    keep(x, p->net);
    keep(x, p->tty);
    keep(x, p->trace);
    keep(x, p->presence);
    keep(x, cwd);
    keep(x, x->file);
    keep(x, x->image);
    for (uint32_t i = 0; i < x->fds; i++) {
        keep(x, fd[i].handle);
        keep(x, fd[i].second);
    }
    return 0;
}

static uint64_t ignored_signals(const struct px_process *p)
{
    uint64_t set = 0;
    for (int sig = 1; sig <= NSIG; sig++) {
        if (p->signals->action[sig].handler == SIG_IGN) {
            set |= PX_BIT(sig);
        }
    }
    return set;
}

static void fill_start(struct exec *x, motor_handle cwd)
{
    struct px_process *p = px_proc();
    const struct px_thread *t = px_self();
    struct motor_start *s = (struct motor_start *)x->block;
    *s = (struct motor_start){
        .magic = MOTOR_START_MAGIC,
        .size = (uint32_t)x->size,
        .flags = (p->start->flags & MOTOR_START_REPORT_MISSING) | MOTOR_START_RLIMITS,
        .root = p->root,
        .cwd = cwd,
        .net = p->net,
        .tty = p->tty,
        .exec = x->file,
        .trace = p->trace,
        .argc = x->argv.count,
        .argv = (uint32_t)x->argv.at,
        .envc = x->envp.count,
        .envp = (uint32_t)x->envp.at,
        .exec_path = (uint32_t)x->path,
        .program = (uint32_t)x->program_at,
        .program_size = (uint32_t)elf_program_size(x->program.segments),
        .fds = x->fds,
        .fd_table = (uint32_t)x->fd_table,
        .pid = p->pid,
        .uid = p->uid,
        .euid = p->euid,
        .gid = p->gid,
        .egid = p->egid,
        .umask = p->umask,
        .signal_ignored = ignored_signals(p),
        .signal_blocked = t->work & PX_WORK_RESTORE ? t->saved_mask : t->mask,
        .nice = t->tcb.nice,
        .policy = t->tcb.policy,
        .no_new_privs = p->attributes.no_new_privs,
        .subreaper = p->attributes.subreaper,
        .death_signal = p->attributes.death_signal,
        .timer_slack = p->attributes.timer_slack,
        .presence = p->presence,
        .image = x->image,
        .image_base = x->image_base,
        .image_size = x->image_size,
    };
    memcpy(s->rlimit, p->limit, sizeof(s->rlimit));
    s->alarm[0] = px_alarm_left(p, &s->alarm[1]);
}

/* ---- the program begins ---- */

/* The saved ids become the effective ones, as at every exec. */
static void save_ids(struct px_process *p, motor_handle process)
{
    if (p->suid != p->euid) {
        motor_process_set(process, MOTOR_PSET_UIDS,
                          (uint64_t)(uint32_t[]){p->uid, p->euid, p->euid});
    }
    if (p->sgid != p->egid) {
        motor_process_set(process, MOTOR_PSET_GIDS,
                          (uint64_t)(uint32_t[]){p->gid, p->egid, p->egid});
    }
}

static bool ids_differ(const struct px_process *p)
{
    return p->uid != p->euid || p->gid != p->egid;
}

static const char *last_part(const char *path)
{
    for (const char *slash; (slash = strchr(path, '/'));) {
        path = slash + 1;
    }
    return path;
}

/* The embryo of a vfork child becomes a process; its parent goes on. */
static long start_child(struct exec *x, const struct motor_thread_start *start)
{
    motor_handle embryo = px_vfork_embryo(px_proc()->vfork);
    int64_t status = motor_handle_give(embryo, x->keep, x->kept);
    if (status < 0 && status != -MOTOR_EBUSY && status != -MOTOR_EGONE) {
        return px_errno(status);
    }
    save_ids(px_proc(), embryo);
    if (px_proc()->attributes.not_dumpable) { /* the new program has other memory */
        motor_process_set(embryo, MOTOR_PSET_SECRET, ids_differ(px_proc()));
    }
    struct motor_thread_start unnamed = *start;
    unnamed.flags |= MOTOR_THREAD_NO_HANDLE;
    status = motor_thread_create(embryo, &unnamed);
    return status == -MOTOR_EGONE ? 0 : px_errno(status); /* killed: its parent will learn that */
}

static long replace(struct exec *x, const struct motor_thread_start *start)
{
    save_ids(px_proc(), 0);
    px_signals_hand_over(px_self());
    struct px_descs_left *left = px_descs_leave(px_proc());
    long status = px_errno(motor_process_exec(x->embryo, start, x->keep, x->kept));
    px_descs_return(left);
    return status;
}

/*
 * The answer to this call is the program; only a vfork child comes back, as its parent. What this
 * process has and another may not have (the tables of descriptors) is given up as at every exec.
 */
static long begin_set_id(struct exec *x)
{
    struct px_process *p = px_proc();
    struct motor_msg m = {.op = IO_EXEC_SET_ID,
                          .nhandles = MOTOR_CALL_EXEC,
                          .in = x->block,
                          .in_size = x->size,
                          .deadline = MOTOR_NEVER};
    px_fd_cloexec_unlock();
    if (p->vfork) {
        return px_call(x->file, &m);
    }
    px_signals_hand_over(px_self());
    struct px_descs_left *left = px_descs_leave(p);
    long status = px_call(x->file, &m);
    px_descs_return(left);
    return status;
}

static long begin(struct exec *x)
{
    struct px_process *p = px_proc();
    if (x->set_id) {
        return begin_set_id(x);
    }
    int64_t embryo = p->vfork ? (int64_t)px_vfork_embryo(p->vfork)
                              : motor_process_create(MOTOR_PROCESS_FROM_TEMPLATE);
    if (embryo < 0) {
        return -ENOMEM;
    }
    if (!p->vfork) {
        x->embryo = (motor_handle)embryo;
    }
    int64_t at = motor_map((motor_handle)embryo, 0, (uint64_t)x->block, 0, x->size,
                           MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE | MOTOR_MAP_COPY);
    if (at < 0) {
        return at == -MOTOR_EGONE && p->vfork ? 0 : px_errno(at);
    }
    struct motor_thread_start start = {.arg = {(uint64_t)at}, .flags = MOTOR_THREAD_FROM_TEMPLATE};
    motor_process_set((motor_handle)embryo, MOTOR_PSET_NAME,
                      (uint64_t)last_part((const char *)x->block + x->path));
    px_fd_cloexec_unlock();
    return p->vfork ? start_child(x, &start) : replace(x, &start);
}

static void done(struct exec *x)
{
    block_drop(x);
    close_file(x);
    if (x->embryo) {
        motor_handle_close(x->embryo);
    }
    px_free(x->keep);
    px_free(x);
}

/* The block's strings: what is executed, its arguments, the environment. */
static long put_strings(struct exec *x, uint64_t room, int directory, const char *path,
                        const void *argv, const void *envp, int flags)
{
    long status = block_new(x, room);
    if (status == 0) {
        status = put_bytes(x, x->script, strlen(x->script) + 1, &x->path);
    }
    if (status == 0) {
        status = put_program(x, directory, path, flags, argv);
    }
    x->envp.at = x->size;
    return status == 0 ? put_list(x, &x->envp, envp, 0) : status;
}

static long prepare(struct exec *x, int directory, const char *path, const void *argv,
                    const void *envp, int flags, motor_handle cwd)
{
    long status = px_copy_string(x->script, path, sizeof(x->script));
    if (status < 0) {
        return status;
    }
    if (!status && !(flags & AT_EMPTY_PATH)) {
        return -ENOENT;
    }
    if (!status) {
        px_format(x->script, sizeof(x->script), "/dev/fd/%d", directory);
    }
    status = put_strings(x, 0, directory, path, argv, envp, flags);
    if (status == -E2BIG) {
        block_drop(x);
        close_file(x);
        status = put_strings(x, args_most(), directory, path, argv, envp, flags);
    }
    if (status == 0) {
        status = put_bytes(x, &x->program, elf_program_size(x->program.segments), &x->program_at);
    }
    if (status == 0) {
        px_listeners_share(true);
        status = put_descriptors(x);
    }
    if (status == 0) {
        fill_start(x, cwd);
        status = choose_handles(x, cwd);
    }
    return status;
}

static long exec(int directory, const char *path, const void *argv, const void *envp, int flags)
{
    struct exec *x = px_alloc_raw(sizeof(*x));
    if (!x) {
        return -ENOMEM;
    }
    memset(x, 0, offsetof(struct exec, elf));
    struct px_file *cwd = px_cwd_get();
    long status = prepare(x, directory, path, argv, envp, flags, cwd->handle);
    if (status == 0) {
        status = begin(x);
    }
    px_file_put(cwd);
    done(x);
    if (status == 0) { /* only a vfork child comes back from its exec: as its parent */
        px_vfork_return();
    }
    return status;
}

long px_sys_execve(const char *path, const void *argv, const void *envp)
{
    return exec(AT_FDCWD, path, argv, envp, 0);
}

long px_sys_execveat(int directory, const char *path, const void *argv, const void *envp, int flags)
{
    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) {
        return -EINVAL;
    }
    return exec(directory, path, argv, envp, flags);
}
