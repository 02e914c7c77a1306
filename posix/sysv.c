/* SPDX-License-Identifier: MIT */
/*
 * System V IPC: the fs engine keeps the objects (<motor/io.h>); here is what has to do with this
 * process's memory, time and signals.
 *
 * Attached segments are remembered with where they are, as shmdt only gets an address. What takes
 * such a mapping away by other means tells px_shm_forget().
 */
#include "sysv.h"
#include "filelock.h"
#include "internal.h"

#define SHM_RDONLY 010000
#define SHM_RND    020000
#define SHM_REMAP  040000
#define SHM_EXEC   0100000

#define IPC_SET 1
#define IPC_64  0x100
#define GETPID  11
#define GETALL  13
#define SETVAL  16
#define SETALL  17

#define SEM_OPS_MAX  500u
#define SEM_UNDO     0x1000
#define MSG_SIZE_MAX 8192u
#define STRUCT_MAX   128u /* any structure of these calls */

struct sembuf {
    uint16_t number;
    int16_t operation;
    int16_t flags;
};

/* Signals end the wait with EINTR, whatever SA_RESTART says: signal(7). */
static long call_waiting(struct motor_msg *msg)
{
    long result = px_call_intr(px_proc()->root, msg);
    return result == -PX_ERESTARTSYS ? -PX_ERESTARTNOHAND : result;
}

static long call(uint32_t op, uint64_t w0, uint64_t w1, uint64_t w2)
{
    struct motor_msg msg = {.op = op, .word = {w0, w1, w2}, .deadline = MOTOR_NEVER};
    return px_call(px_proc()->root, &msg);
}

/* A command with a structure: in for IPC_SET, else out, as large as the engine says. */
static long control(uint32_t op, int id, int command, void *user)
{
    struct motor_msg msg = {.op = op,
                            .word = {(uint32_t)id, (uint32_t)(command & ~IPC_64)},
                            .in = user,
                            .out = user,
                            .out_size = STRUCT_MAX,
                            .deadline = MOTOR_NEVER};
    if ((command & ~IPC_64) == IPC_SET)
        msg.in_size = op == IO_SHM_CONTROL ? 112 : op == IO_SEM_CONTROL ? 104 : 120;
    return id < 0 ? -EINVAL : px_call(px_proc()->root, &msg);
}

/* ---- shared memory ---- */

struct px_shm {
    struct px_shm *next;
    uint64_t start, end;
    uint32_t id;
};

void px_shm_forget(uint64_t start, uint64_t end)
{
    struct px_memory *m = px_proc()->memory;
    if (!__atomic_load_n(&m->attached, __ATOMIC_RELAXED))
        return;
    px_lock(&m->lock);
    for (struct px_shm **link = &m->attached, *s; (s = *link);) {
        if (s->start >= start && s->end <= end) {
            *link = s->next;
            px_free(s);
        } else {
            link = &s->next;
        }
    }
    px_unlock(&m->lock);
}

long px_sys_shmget(int key, size_t size, int flags)
{
    return call(IO_SHM_GET, (uint32_t)key, size, (uint32_t)flags);
}

static long map_segment(uint64_t address, int flags, const struct motor_msg *msg)
{
    uint32_t map = MOTOR_PROT_READ | (flags & SHM_RDONLY ? 0 : MOTOR_PROT_WRITE) |
                   (flags & SHM_EXEC ? MOTOR_PROT_EXEC : 0);
    if (address)
        map |= flags & SHM_REMAP ? MOTOR_MAP_FIXED : MOTOR_MAP_NOREPLACE;
    if (flags & SHM_REMAP)
        px_shm_forget(address, address + msg->word[0]);
    int64_t at = motor_map(0, msg->handle[0], 0, address, msg->word[0], map);
    return at == -MOTOR_EEXIST ? -EINVAL : at == -MOTOR_ELIMIT ? -ENOMEM : px_errno(at);
}

long px_sys_shmat(int id, const void *where, int flags)
{
    uint64_t address = (uint64_t)where, part = address % MOTOR_PAGE_SIZE;
    struct px_memory *m = px_proc()->memory;
    struct motor_msg msg = {.op = IO_SHM_ATTACH,
                            .word = {(uint32_t)id, (uint32_t)flags & (SHM_RDONLY | SHM_EXEC)},
                            .deadline = MOTOR_NEVER};
    if (id < 0 || (part && !(flags & SHM_RND)))
        return -EINVAL;
    address -= part;
    if (!address && (where || flags & SHM_REMAP))
        return -EINVAL;
    struct px_shm *s = px_alloc(sizeof *s);
    if (!s)
        return -ENOMEM;
    long at = px_call(px_proc()->root, &msg);
    if (at >= 0) {
        at = map_segment(address, flags, &msg);
        motor_handle_close(msg.handle[0]);
    }
    if (at < 0) {
        px_free(s);
        return at;
    }
    px_lock(&m->lock);
    *s = (struct px_shm){m->attached, (uint64_t)at, (uint64_t)at + msg.word[0], (uint32_t)id};
    __atomic_store_n(&m->attached, s, __ATOMIC_RELAXED);
    px_unlock(&m->lock);
    return at;
}

long px_sys_shmdt(const void *where)
{
    struct px_memory *m = px_proc()->memory;
    struct px_shm **link = &m->attached, *s;
    px_lock(&m->lock);
    while ((s = *link) && s->start != (uint64_t)where)
        link = &s->next;
    if (s)
        *link = s->next;
    px_unlock(&m->lock);
    if (!s)
        return -EINVAL;
    motor_unmap(0, s->start, s->end - s->start);
    call(IO_SHM_DETACHED, s->id, 0, 0);
    px_free(s);
    return 0;
}

long px_sys_shmctl(int id, int command, void *user)
{
    return control(IO_SHM_CONTROL, id, command, user);
}

/* ---- semaphores ---- */

long px_sys_semget(int key, int count, int flags)
{
    return count < 0 ? -EINVAL : call(IO_SEM_GET, (uint32_t)key, (uint32_t)count, (uint32_t)flags);
}

static long operate(int id, const void *user, size_t count, uint64_t deadline)
{
    struct sembuf op[SEM_OPS_MAX];
    struct motor_msg msg = {.op = IO_SEM_OPERATE,
                            .word = {(uint32_t)id, count, deadline},
                            .in = op,
                            .in_size = count * sizeof *op,
                            .deadline = MOTOR_NEVER};
    if (!count || id < 0)
        return -EINVAL;
    if (count > SEM_OPS_MAX)
        return -E2BIG;
    if (px_copy_in(op, user, msg.in_size) < 0)
        return -EFAULT;
    for (size_t i = 0; i < count && !msg.nhandles; i++)
        msg.nhandles = (op[i].flags & SEM_UNDO) != 0;
    long result = msg.nhandles ? px_presence(&msg.handle[0]) : 0;
    return result < 0 ? result : call_waiting(&msg);
}

long px_sys_semop(int id, const void *operations, size_t count)
{
    return operate(id, operations, count, MOTOR_NEVER);
}

long px_sys_semtimedop(int id, const void *operations, size_t count, const void *timeout)
{
    uint64_t deadline;
    long error = px_deadline_in(timeout, &deadline);
    return error < 0 ? error : operate(id, operations, count, deadline);
}

long px_sys_semctl(int id, int number, int command, unsigned long argument)
{
    int plain = command & ~IPC_64;
    struct motor_msg msg = {
        .op = IO_SEM_CONTROL,
        .word = {(uint32_t)id, (uint32_t)plain, (uint32_t)number, (uint32_t)argument},
        .deadline = MOTOR_NEVER};
    if (id < 0)
        return -EINVAL;
    if (plain == GETALL || plain == SETALL) {
        long n = call(IO_SEM_CONTROL, (uint32_t)id, IO_SEM_COUNT, 0);
        if (n < 0)
            return n;
        msg.in = (const void *)argument;
        msg.out = (void *)argument;
        msg.in_size = plain == SETALL ? (uint64_t)n * 2 : 0;
        msg.out_size = plain == GETALL ? (uint64_t)n * 2 : 0;
        return px_call(px_proc()->root, &msg);
    }
    return plain >= GETPID && plain <= SETVAL
               ? px_call(px_proc()->root, &msg)
               : control(IO_SEM_CONTROL, id, command, (void *)argument);
}

/* ---- messages ---- */

long px_sys_msgget(int key, int flags)
{
    return call(IO_MSG_GET, (uint32_t)key, (uint32_t)flags, 0);
}

long px_sys_msgsnd(int id, const void *message, size_t size, int flags)
{
    struct motor_msg msg = {.op = IO_MSG_SEND,
                            .word = {(uint32_t)id, (uint32_t)flags, size},
                            .in = message,
                            .in_size = sizeof(long) + size,
                            .deadline = MOTOR_NEVER};
    if (id < 0 || size > MSG_SIZE_MAX)
        return -EINVAL;
    return call_waiting(&msg);
}

long px_sys_msgrcv(int id, void *message, size_t size, long type, int flags)
{
    struct motor_msg msg = {.op = IO_MSG_RECEIVE,
                            .word = {(uint32_t)id, (uint64_t)type, (uint32_t)flags, size},
                            .out = message,
                            .out_size = sizeof(long) + PX_MIN(size, (size_t)MSG_SIZE_MAX),
                            .deadline = MOTOR_NEVER};
    if (id < 0 || (long)size < 0)
        return -EINVAL;
    return call_waiting(&msg);
}

long px_sys_msgctl(int id, int command, void *user)
{
    return control(IO_MSG_CONTROL, id, command, user);
}
