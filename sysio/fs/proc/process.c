/* SPDX-License-Identifier: MIT */
/*
 * One process, looked at: a handle by its pid for as long as a text is made, labels from the
 * kernel, and memory in bounded pieces.
 */
#include "proc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES_MAX 65536u

/* ---- texts ---- */

static bool make_room(struct text *t, size_t more)
{
    if (t->room - t->size > more)
        return true;
    size_t room = t->room * 2 + more + 256;
    char *bytes = realloc(t->bytes, room);
    if (!bytes)
        return false;
    t->bytes = bytes;
    t->room = room;
    return true;
}

void put(struct text *t, const char *format, ...)
{
    va_list args;
    for (int round = 0; round < 2; round++) {
        va_start(args, format);
        int n = vsnprintf(t->bytes ? t->bytes + t->size : NULL, t->room - t->size, format, args);
        va_end(args);
        if (n < 0)
            return;
        if ((size_t)n < t->room - t->size) {
            t->size += (size_t)n;
            return;
        }
        if (!make_room(t, (size_t)n))
            return;
    }
}

void put_bytes(struct text *t, const void *bytes, size_t size)
{
    if (!size || !make_room(t, size))
        return;
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

void put_name(struct text *t, const char *name, size_t max)
{
    char safe[64];
    size_t n = 0;
    for (; n < max && n < sizeof safe && name[n]; n++)
        safe[n] =
            (unsigned char)name[n] < ' ' || name[n] == 0x7f || name[n] == '\\' ? '?' : name[n];
    put_bytes(t, safe, n);
}

uint64_t ticks(uint64_t ns)
{
    return ns / 10000000u;
}

/* ---- processes ---- */

uint32_t process_of(const struct cred *who)
{
    struct motor_process_info info;
    int64_t h = motor_process_open(who->pid, MOTOR_RIGHT_READ);
    if (h < 0)
        return who->pid;
    int64_t status = motor_process_info((motor_handle)h, MOTOR_PINFO_BASIC, &info, sizeof info);
    motor_handle_close((motor_handle)h);
    return status >= 0 && info.state == 0 ? info.ppid : who->pid;
}

size_t process_read(const struct process *p, uint64_t address, void *to, size_t size)
{
    uint8_t piece[4096];
    size_t done = 0;
    while (address && done < size) {
        size_t want = size - done < sizeof piece ? size - done : sizeof piece;
        /* not beyond a page, so that what lies before an unmapped one can be read; at least 8 */
        size_t page = MOTOR_PAGE_SIZE - (address + done) % MOTOR_PAGE_SIZE, ask = want;
        if (ask > page && page >= sizeof address)
            ask = want = page;
        if (ask < sizeof address)
            ask = sizeof address;
        uint64_t from = address + done;
        memcpy(piece, &from, sizeof from);
        int64_t n = motor_process_info(p->handle, MOTOR_PINFO_MEMORY, piece, ask);
        if (n <= 0)
            break;
        size_t got = (size_t)n < want ? (size_t)n : want;
        memcpy((char *)to + done, piece, got);
        done += got;
    }
    return done;
}

int process_get(struct process *p, uint32_t pid, uint64_t start)
{
    int64_t h = motor_process_open(pid, MOTOR_RIGHT_READ | MOTOR_RIGHT_MANAGE);
    if (h < 0)
        return -ESRCH;
    *p = (struct process){.handle = (motor_handle)h};
    if (motor_process_info(p->handle, MOTOR_PINFO_BASIC, &p->info, sizeof p->info) < 0 ||
        (start && p->info.start_ns != start)) {
        process_put(p);
        return -ESRCH;
    }
    if (p->info.about &&
        process_read(p, p->info.about, &p->about, sizeof p->about) != sizeof p->about)
        memset(&p->about, 0, sizeof p->about);
    return 0;
}

void process_put(struct process *p)
{
    motor_handle_close(p->handle);
}

bool process_is_same_user(const struct process *p, const struct cred *who)
{
    const struct motor_process_info *i = &p->info;
    return who->uid == 0 || (who->uid == i->uid && who->uid == i->ruid && who->uid == i->suid &&
                             who->gid == i->gid && who->gid == i->rgid && who->gid == i->sgid);
}

int process_may_inspect(const struct process *p, const struct cred *who)
{
    const struct motor_process_info *i = &p->info;
    if (who->uid == 0 || who->pid == i->pid)
        return 0;
    bool may = !(i->flags & MOTOR_PROCESS_SECRET) && process_is_same_user(p, who);
    /* a child between vfork and exec is in its parent's memory, whoever it has become */
    return may || process_of(who) == i->pid ? 0 : -EACCES;
}

uint32_t processes_list(uint32_t **pids)
{
    int64_t n = motor_system_info(MOTOR_SINFO_PROCESSES, NULL, 0);
    uint64_t room = n > 0 ? (uint64_t)n + 16 : 16;
    if (room > PROCESSES_MAX)
        room = PROCESSES_MAX;
    *pids = malloc(room * sizeof **pids);
    n = *pids ? motor_system_info(MOTOR_SINFO_PROCESSES, *pids, room * sizeof **pids) : 0;
    return n < 0 ? 0 : (uint64_t)n < room ? (uint32_t)n : (uint32_t)room;
}

/* ---- threads ---- */

bool thread_get(const struct process *p, uint32_t id, struct thread *t)
{
    struct motor_tcb tcb;
    *t = (struct thread){.info = {.id = id}};
    if (motor_process_info(p->handle, MOTOR_PINFO_THREADS, &t->info, sizeof t->info) <= 0)
        return false;
    if (t->info.tcb && process_read(p, t->info.tcb, &tcb, sizeof tcb) == sizeof tcb) {
        t->tid = tcb.tid;
        t->nice = tcb.nice < -20 ? -20 : tcb.nice > 19 ? 19 : tcb.nice;
        memcpy(t->name, tcb.name, sizeof tcb.name);
    }
    if (!t->tid)
        t->tid = p->info.pid;
    if (!t->name[0])
        memcpy(t->name, p->info.name, 15);
    return true;
}

bool thread_find(const struct process *p, uint32_t tid, struct thread *t)
{
    for (uint32_t id = 1; thread_get(p, id, t); id = t->info.id + 1)
        if (t->tid == tid)
            return true;
    return false;
}
