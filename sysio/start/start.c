/* SPDX-License-Identifier: MIT */
/* The first program: see start.h. */
#include "start.h"

#include "button.h"

#include "../fs/fs.h"
#include "../fs/program.h"
#include "../tty/tty.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <motor/bundle.h>
#include <motor/channel.h>
#include <motor/process.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BADGE_EXIT = 1, BADGE_ENTROPY = 2, BADGE_BUTTON = 3, BADGE_POWER = 4 };

static struct engine engine;
static bool fs_runs; /* the fs engine, in its thread */

/* Whoever is asked to end when the power button is pressed: process 1, or the only program. */
static uint32_t button_pid;
static int button_signal;

/* ---- what to run ---- */

const char *start_read(const void *bundle, uint64_t size, const char *name, struct start_run *run)
{
    const struct motor_bundle_entry *e = bundle_find(bundle, size, name);
    struct motor_run head;
    if (!e)
        return "no program: the bundle has no " MOTOR_BUNDLE_RUN;
    const char *at = (const char *)bundle + e->offset, *end = at + e->size;
    if (e->size < sizeof head || motor_bundle_hash(at, e->size) != e->hash)
        return "damaged: " MOTOR_BUNDLE_RUN;
    memcpy(&head, at, sizeof head);
    at += sizeof head;
    if (head.magic != MOTOR_RUN_MAGIC || head.argc > e->size || head.envc > e->size)
        return "damaged: " MOTOR_BUNDLE_RUN;
    *run =
        (struct start_run){.flags = head.flags, .argc = head.argc, .envc = head.envc, .path = at};
    for (uint64_t i = 0; i < 1ull + head.argc + head.envc; i++) {
        const char *nul = memchr(at, 0, (size_t)(end - at));
        if (!nul)
            return "damaged: " MOTOR_BUNDLE_RUN;
        at = nul + 1;
        if (i == 0)
            run->args = at;
    }
    run->args_size = (uint64_t)(at - run->args);
    return NULL;
}

/* ---- the end ---- */

/* All output out, the last frame sent, then the last line of the log, if any; the machine off. */
static _Noreturn void finish(uint32_t frame, const void *data, uint32_t size, bool failed,
                             const char *line)
{
    struct motor_msg m = {
        .op = TTY_FINISH, .word = {frame}, .in = data, .in_size = size, .deadline = MOTOR_NEVER};
    fs_finish(fs_runs);
    int64_t gate = engine_gate(&tty_engine, TTY_CONTROL + 1);
    if (gate >= 0)
        motor_call((motor_handle)gate, &m);
    if (line)
        log_info("sysio", "%s", line);
    motor_power(MOTOR_BOOT_HARDWARE, failed ? MOTOR_POWER_EXIT : MOTOR_POWER_OFF, failed);
    for (;;)
        motor_process_exit(0, 1 << 8);
}

void start_failed(uint32_t flags, const char *message)
{
    char text[256];
    bool prefixed = !strncmp(message, "12", 2) && message[3] == ':';
    int n = snprintf(text, sizeof text, "%s%s", prefixed ? "" : "125: ", message);
    if (n >= (int)sizeof text)
        n = sizeof text - 1;
    (void)flags;
    if (!tty_has_channel())
        log_error("sysio", "%s", text + 5);
    finish(MOTOR_FRAME_FAIL, text, (uint32_t)n, !tty_has_channel(), NULL);
}

static _Noreturn void program_ended(motor_handle process)
{
    struct motor_process_info info = {.status = 125 << 8};
    motor_process_info(process, MOTOR_PINFO_BASIC, &info, sizeof info);
    uint32_t status = info.status;
    char line[64];
    if (status & 127)
        snprintf(line, sizeof line, "the program was ended by signal %u", status & 127);
    else
        snprintf(line, sizeof line, "the program ended with status %u", status >> 8 & 255);
    finish(MOTOR_FRAME_EXIT, &status, sizeof status, !tty_has_channel() && status,
           tty_has_channel() ? NULL : line);
}

/*
 * The button asks. Process 1 has a signal for it; a program that is alone is told to end as any is,
 * and the machine ends with it.
 */
static void ask_for_end(void)
{
    struct motor_signal s = {.signo = button_signal, .code = SI_KERNEL};
    log_info("power", "the power button was pressed");
    motor_signal_send(MOTOR_TO_PROCESS, button_pid, &s);
}

static void listen_to_button(const struct start_run *run, motor_handle process)
{
    struct motor_process_info info = {0};
    motor_process_info(process, MOTOR_PINFO_BASIC, &info, sizeof info);
    button_pid = info.pid;
    button_signal = run->flags & MOTOR_RUN_INIT ? SIGPWR : SIGTERM;
    button_init(&engine, BADGE_BUTTON);
}

/* ---- the start block ---- */

struct block {
    uint8_t *bytes;
    uint64_t size;
    bool failed;
};

static uint32_t block_add(struct block *b, const void *data, uint64_t size, uint64_t align)
{
    uint64_t at = (b->size + align - 1) & ~(align - 1);
    uint8_t *bytes = b->failed || at + size > UINT32_MAX ? NULL : realloc(b->bytes, at + size);
    if (!bytes) {
        b->failed = true;
        return 0;
    }
    b->bytes = bytes;
    memset(b->bytes + b->size, 0, at - b->size);
    if (data)
        memcpy(b->bytes + at, data, size);
    else
        memset(b->bytes + at, 0, size);
    b->size = at + size;
    return (uint32_t)at;
}

static uint64_t strings_size(const char *strings, uint32_t count)
{
    const char *at = strings;
    while (count--)
        at += strlen(at) + 1;
    return (uint64_t)(at - strings);
}

/* Puts a handle of ours into the new process and drops ours. */
static motor_handle give(motor_handle process, int64_t h, uint32_t rights, int64_t *error)
{
    if (h < 0 || *error) {
        *error = *error ? *error : h;
        return 0;
    }
    int64_t theirs = motor_handle_install(process, (motor_handle)h, rights);
    motor_handle_close((motor_handle)h);
    if (theirs < 0)
        *error = to_errno(theirs);
    return theirs < 0 ? 0 : (motor_handle)theirs;
}

#define GATE_RIGHTS (MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP)

static int64_t standard_fds(motor_handle process, struct block *b)
{
    int64_t error = 0;
    struct motor_start_fd fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = (struct motor_start_fd){
            .fd = i,
            .protocol = MOTOR_FD_TTY,
            .flags = i == 0 && tty_has_channel() ? O_RDONLY
                     : i == 0                    ? O_RDWR
                                                 : O_WRONLY,
            .handle = give(process, tty_open(IO_TTY_STDIN + (uint32_t)i), GATE_RIGHTS, &error)};
    if (!tty_has_channel())
        fds[1].flags = fds[2].flags = O_RDWR;
    uint32_t at = block_add(b, fds, sizeof fds, 8);
    ((struct motor_start *)b->bytes)->fds = 3;
    ((struct motor_start *)b->bytes)->fd_table = at;
    return error;
}

static int64_t fill_block(struct block *b, motor_handle process, const struct start_run *run,
                          motor_handle net, motor_handle exec)
{
    static const char cwd[] = "/";
    int64_t error = 0;
    struct motor_process_info info = {0};
    block_add(b, NULL, sizeof(struct motor_start), 8);
    if (b->failed)
        return -ENOMEM;
    motor_process_info(process, MOTOR_PINFO_BASIC, &info, sizeof info);
    uint64_t argv_size = strings_size(run->args, run->argc);
    uint32_t argv = block_add(b, run->args, argv_size, 1);
    uint32_t envp = block_add(b, run->args + argv_size, run->args_size - argv_size, 1);
    uint32_t exec_path = block_add(b, run->path, strlen(run->path) + 1, 1);
    uint32_t cwd_path = block_add(b, cwd, sizeof cwd, 1);
    struct motor_start s = {
        .magic = MOTOR_START_MAGIC,
        .flags = run->flags & MOTOR_RUN_MISSING ? MOTOR_START_REPORT_MISSING : 0,
        .root =
            give(process, fs_open_handle("/", O_PATH | O_DIRECTORY, false), GATE_RIGHTS, &error),
        .cwd = give(process, fs_open_handle("/", O_PATH | O_DIRECTORY, false), GATE_RIGHTS, &error),
        .net = net ? give(process, motor_handle_dup(net, GATE_RIGHTS), GATE_RIGHTS, &error) : 0,
        .tty = give(process, engine_gate(&tty_engine, TTY_CONNECTOR + 1), GATE_RIGHTS, &error),
        .exec = give(process, exec, GATE_RIGHTS, &error),
        .trace = run->flags & MOTOR_RUN_TRACE
                     ? give(process, tty_open(IO_TTY_TRACE), GATE_RIGHTS, &error)
                     : 0,
        .argc = run->argc,
        .argv = argv,
        .envc = run->envc,
        .envp = envp,
        .exec_path = exec_path,
        .cwd_path = cwd_path,
        .pid = info.pid,
        .ppid = info.ppid,
        .pgid = info.pgid,
        .sid = info.sid,
        .umask = 022,
    };
    if (b->failed)
        return -ENOMEM;
    memcpy(b->bytes, &s, sizeof s);
    if (!error)
        error = standard_fds(process, b);
    ((struct motor_start *)b->bytes)->size = (uint32_t)b->size;
    return b->failed ? -ENOMEM : error;
}

/* ---- the program ---- */

struct check {
    const struct start_run *run;
    char message[512]; /* what is wrong with the program file; "": nothing */
};

/* The runtime checks all of it again. */
static void program_check(void *arg)
{
    struct check *check = arg;
    const struct start_run *run = check->run;
    static struct walk w;
    struct cred root = {0};
    int error = vfs_walk(&w, mounts->root, &root, run->path, strlen(run->path), 0);
    Elf64_Ehdr h = {0};
    const char *why = NULL;
    if (error) {
        snprintf(check->message, sizeof check->message, "127: %s: %s", run->path,
                 error == -ENOENT ? "not found" : strerror(-error));
        return;
    }
    motor_handle vmo;
    uint64_t offset;
    if ((w.inode->mode & 0170000) != 0100000)
        why = "not a regular file";
    else if (vfs_permission(w.inode, &root, MAY_EXEC))
        why = "not executable";
    else if (!w.inode->ops->map || w.inode->ops->map(w.inode, false, &vmo, &offset) ||
             (w.inode->ops->fetch && w.inode->ops->fetch(w.inode)) ||
             motor_vmo_control(vmo, MOTOR_VMO_READ, offset, sizeof h, &h) < 0)
        why = "cannot be read";
    else if (w.inode->size < sizeof h || memcmp(h.e_ident, ELFMAG, SELFMAG))
        why = memcmp(h.e_ident, "#!", 2) ? "not an ELF program" : NULL;
    else if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_machine != EM_X86_64)
        why = "a program for another machine (not x86-64)";
    else if (h.e_type != ET_EXEC && h.e_type != ET_DYN)
        why = "an ELF file, but not a program";
    walk_done(&w);
    if (why)
        snprintf(check->message, sizeof check->message, "126: %s: %s", run->path, why);
}

static int64_t runtime_open(const void *bundle, uint64_t bundle_size, uint64_t *size)
{
    const struct motor_bundle_entry *e = bundle_find(bundle, bundle_size, MOTOR_BUNDLE_RUNTIME);
    if (!e || !e->size)
        return -MOTOR_ENOENT;
    *size = e->size;
    uint64_t pages = (e->size + MOTOR_PAGE_SIZE - 1) & ~(uint64_t)(MOTOR_PAGE_SIZE - 1);
    return motor_vmo_clone(MOTOR_BOOT_BUNDLE, e->offset, pages);
}

static int64_t write_block(const struct block *b)
{
    uint64_t pages = (b->size + MOTOR_PAGE_SIZE - 1) & ~(uint64_t)(MOTOR_PAGE_SIZE - 1);
    int64_t vmo = motor_vmo_create(pages, 0);
    if (vmo < 0)
        return vmo;
    int64_t n = motor_vmo_control((motor_handle)vmo, MOTOR_VMO_WRITE, 0, b->size, b->bytes);
    return n < 0 ? n : vmo;
}

/* reboot(2): disks are unmounted whoever asked for it, as they are at the end of the program. */
static void power_end(void)
{
    fs_finish(fs_runs);
    motor_power(MOTOR_BOOT_HARDWARE, tty_power_mode(), 0);
}

static void start_event(struct engine *e, struct motor_event *ev)
{
    (void)e;
    if (ev->kind == MOTOR_EVENT_NOTIFY && ev->badge == BADGE_ENTROPY)
        entropy_ready();
    else if (ev->kind == MOTOR_EVENT_NOTIFY && ev->badge == BADGE_BUTTON && button_pressed())
        ask_for_end();
    else if (ev->kind == MOTOR_EVENT_NOTIFY && ev->badge == BADGE_POWER)
        power_end();
    else if (ev->kind == MOTOR_EVENT_NOTIFY && ev->badge == BADGE_EXIT)
        engine.again = true; /* start_program looks at the process itself */
}

static _Noreturn void no_start(const struct start_run *run, const char *what, int64_t status)
{
    char message[128];
    snprintf(message, sizeof message, "125: the program could not be started: %s (%s)", what,
             status == -MOTOR_ENOMEM || status == -ENOMEM ? "not enough memory"
                                                          : strerror((int)-to_errno(status)));
    start_failed(run->flags, message);
}

/* A program that is ready to run: all but its first thread. */
struct program {
    motor_handle process;
    struct motor_thread_start thread;
};

static void program_describe(const struct program *p, const struct start_run *run)
{
    const char *name = strrchr(run->path, '/');
    motor_process_set(p->process, MOTOR_PSET_NAME,
                      (uint64_t)(uintptr_t)(name ? name + 1 : run->path));
}

static struct program program_prepare(const struct start_run *run, motor_handle runtime,
                                      uint64_t runtime_size, motor_handle net)
{
    struct check check = {.run = run};
    struct program p;
    struct block b = {0};
    if (!work_now(program_check, &check))
        no_start(run, "a fiber", -ENOMEM);
    if (check.message[0])
        start_failed(run->flags, check.message);
    int64_t exec = fs_open_handle(run->path, O_RDONLY, true);
    int64_t process = motor_process_create(run->flags & MOTOR_RUN_INIT ? MOTOR_PROCESS_INIT : 0);
    if (exec < 0 || process < 0)
        no_start(run, "the process", exec < 0 ? exec : process);
    p.process = (motor_handle)process;
    int64_t status = fill_block(&b, p.process, run, net, (motor_handle)exec);
    if (status < 0)
        no_start(run, "its handles", status);
    int64_t block = write_block(&b);
    if (block < 0)
        no_start(run, "its start block", block);
    status = motor_process_prepare(p.process, runtime, runtime_size, 0, (motor_handle)block, b.size,
                                   &p.thread);
    if (status < 0)
        no_start(run, "its memory", status);
    program_describe(&p, run);
    free(b.bytes);
    motor_handle_close((motor_handle)block);
    return p;
}

/* No one of several programs may have all memory: what the others need is theirs. */
static void share_memory(const struct program *programs, uint32_t count)
{
    struct motor_memory_info memory = {0};
    motor_system_info(MOTOR_SINFO_MEMORY, &memory, sizeof memory);
    for (uint32_t i = 0; count > 1 && i < count; i++) {
        motor_process_set(programs[i].process, MOTOR_PSET_MEMORY_LIMIT, memory.total / 4 * 3);
        motor_process_set(programs[i].process, MOTOR_PSET_OBJECT_LIMIT, memory.total / 4);
    }
}

static void program_go(const struct start_run *run, const struct program *p)
{
    int64_t thread = motor_thread_create(p->process, &p->thread);
    if (thread < 0)
        no_start(run, "its first thread", thread);
    motor_handle_close((motor_handle)thread);
}

void start_program(const void *bundle, uint64_t bundle_size, const struct start_run *run,
                   motor_handle net)
{
    uint64_t runtime_size = 0;
    struct start_run runs[1 + MOTOR_RUN_COMPANIONS] = {*run};
    struct program programs[1 + MOTOR_RUN_COMPANIONS];
    uint32_t count = 1;
    if (!engine_init(&engine, "start", start_event))
        no_start(run, "an endpoint", -MOTOR_ENOMEM);
    entropy_init(&engine, BADGE_ENTROPY);
    int64_t power = engine_gate(&engine, BADGE_POWER);
    if (power < 0)
        no_start(run, "a gate", power);
    tty_set_power((motor_handle)power);
    int64_t runtime = runtime_open(bundle, bundle_size, &runtime_size);
    if (runtime < 0)
        no_start(run, MOTOR_BUNDLE_RUNTIME, runtime);
    for (char name[] = MOTOR_BUNDLE_RUN ".1"; count <= MOTOR_RUN_COMPANIONS;
         name[sizeof name - 2]++, count++)
        if (start_read(bundle, bundle_size, name, &runs[count]))
            break;
    for (uint32_t i = 0; i < count; i++)
        programs[i] = program_prepare(&runs[i], (motor_handle)runtime, runtime_size, net);
    motor_handle_close((motor_handle)runtime);
    share_memory(programs, count);
    int64_t status, gate = engine_gate(&engine, BADGE_EXIT);
    if (gate < 0 || (status = motor_bind(programs[0].process, (motor_handle)gate)) < 0)
        no_start(run, "a gate", gate < 0 ? gate : status);
    procfs_set_net(net);
    program_set_net(net);
    if (!engine_start(&fs_engine, 256 << 10)) /* from here on the fs engine belongs to its thread */
        no_start(run, "the fs engine", -MOTOR_ENOMEM);
    fs_runs = true;
    for (uint32_t i = 0; i < count; i++)
        program_go(&runs[i], &programs[i]);
    listen_to_button(&runs[0], programs[0].process);
    boot_trace("the program runs");
    for (;;) {
        struct motor_process_info info;
        engine_turn(&engine, true);
        if (motor_process_info(programs[0].process, MOTOR_PINFO_BASIC, &info, sizeof info) >= 0 &&
            info.state == 2)
            program_ended(programs[0].process);
    }
}
