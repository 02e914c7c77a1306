/* SPDX-License-Identifier: MIT */
/* stat, status and their kin: the numbers of a process, or of one of its threads. */
#include "../../tty/tty.h"
#include "proc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LL(x) ((unsigned long long)(x))

#define MAIN_AMONG 64u /* threads that are looked at for the main one: it is the oldest, mostly */

/* Of the main thread: what the process is said to do. */
static struct thread main_thread(const struct process *p)
{
    struct thread t, first = {.tid = p->info.pid, .info.blocked = 1};
    uint32_t id = 1;
    for (uint32_t n = 0; n < MAIN_AMONG && thread_get(p, id, &t); n++) {
        if (t.tid == p->info.pid)
            return t;
        if (!n)
            first = t;
        id = t.info.id + 1;
    }
    return first;
}

static char state_letter(const struct process *p, const struct thread *t)
{
    if (p->info.state == 2)
        return 'Z';
    if (p->info.stopped)
        return 'T';
    return t->info.blocked && !(p->asks && t->tid == p->info.pid) ? 'S' : 'R';
}

static const char *state_word(char letter)
{
    return letter == 'Z'   ? "zombie"
           : letter == 'T' ? "stopped"
           : letter == 'R' ? "running"
                           : "sleeping";
}

/* The device number of the session's terminal, and its foreground group. */
static uint32_t terminal(const struct process *p, int32_t *group)
{
    struct tty_session s = {0};
    *group = -1;
    if (!p->info.sid || tty_of_session(p->info.sid, &s) < 0)
        return 0;
    *group = (int32_t)s.foreground;
    return (uint32_t)s.rdev;
}

static void put_comm(struct text *t, const struct process *p, const struct thread *thread)
{
    put_name(t, thread ? thread->name : p->info.name, 15);
}

static uint32_t read_word(const struct process *p, uint64_t address)
{
    uint32_t word = 0;
    return process_read(p, address, &word, sizeof word) == sizeof word ? word : 0;
}

static uint64_t stack_limit(const struct process *p)
{
    uint64_t limits[16][2];
    if (process_read(p, p->about.limits, limits, sizeof limits) != sizeof limits)
        return UINT64_MAX;
    return limits[5][0]; /* RLIMIT_RSS */
}

void text_stat(struct text *t, const struct process *p, const struct thread *thread)
{
    const struct motor_process_info *i = &p->info;
    const struct motor_about *a = &p->about;
    struct thread main = thread ? *thread : main_thread(p);
    int32_t group;
    uint32_t tty = terminal(p, &group);
    uint64_t used = thread ? thread->info.run_ns : i->user_ns;
    put(t, "%u (", thread ? thread->tid : i->pid);
    put_comm(t, p, thread);
    put(t, ") %c %u %u %u %u %d %u 0 0 0 0 %llu %llu %llu %llu %d %d %u 0 %llu %llu %llu %llu ",
        state_letter(p, &main), i->ppid, i->pgid, i->sid, tty, group, 0x400000u, LL(ticks(used)),
        LL(ticks(thread ? 0 : i->system_ns)), LL(ticks(i->children_user_ns)),
        LL(ticks(i->children_system_ns)), main.nice + 20, main.nice, i->threads,
        LL(ticks(i->start_ns)), LL(i->memory_virtual), LL(i->memory_private / MOTOR_PAGE_SIZE),
        LL(stack_limit(p)));
    put(t, "%llu %llu %llu 0 0 0 0 0 0 0 0 0 17 %u 0 0 0 0 0 0 0 %llu %llu %llu %llu %llu %u\n",
        LL(a->code_start), LL(a->code_end), LL(a->stack), main.info.cpu, LL(a->brk_start),
        LL(a->arg_start), LL(a->arg_end), LL(a->env_start), LL(a->env_end),
        i->state == 2 ? i->status : 0);
}

/* "Groups:" and the supplementary groups; a list that is changed meanwhile is asked for again. */
static void put_groups(struct text *t, const struct process *p)
{
    struct motor_groups g = {.count = 0};
    uint32_t *gid = NULL, room = 0;
    do {
        free(gid);
        room = g.count;
        gid = malloc((room + 1ul) * sizeof *gid);
        g.gid = gid;
        if (!gid || motor_process_info(p->handle, MOTOR_PINFO_GROUPS, &g, sizeof g) < 0)
            g.count = 0;
    } while (g.count > room);
    put(t, "Groups:\t");
    for (uint32_t i = 0; i < g.count; i++)
        put(t, "%u ", gid[i]);
    put(t, "\n");
    free(gid);
}

/* They follow the user: posix/capability.c. */
static void put_capabilities(struct text *t, const struct motor_process_info *i)
{
    uint64_t all = (1ull << 41) - 1, effective = i->uid ? 0 : all,
             permitted = i->ruid && i->uid && i->suid ? 0 : all;
    put(t, "CapInh:\t%016x\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016x\n",
        0, LL(permitted), LL(effective), LL(all), 0);
}

void text_status(struct text *t, const struct process *p, const struct thread *thread)
{
    const struct motor_process_info *i = &p->info;
    struct thread main = thread ? *thread : main_thread(p);
    char letter = state_letter(p, &main);
    uint64_t rss = i->memory_private / 1024, size = i->memory_virtual / 1024;
    put(t, "Name:\t");
    put_comm(t, p, thread);
    put(t,
        "\nUmask:\t%04o\nState:\t%c (%s)\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t0\n"
        "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\n",
        read_word(p, p->about.umask) & 0777, letter, state_word(letter), i->pid,
        thread ? thread->tid : i->pid, i->ppid, i->ruid, i->uid, i->suid, i->uid, i->rgid, i->gid,
        i->sgid, i->gid, i->handles);
    put_groups(t, p);
    if (i->state != 2)
        put(t,
            "VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\nVmLck:\t%8u kB\nVmHWM:\t%8llu kB\n"
            "VmRSS:\t%8llu kB\nRssAnon:\t%8llu kB\nVmData:\t%8llu kB\nVmSwap:\t%8u kB\n",
            LL(size), LL(size), 0u, LL(i->memory_max / 1024), LL(rss), LL(rss), LL(rss), 0u);
    put(t, "Threads:\t%u\n", i->threads);
    put_capabilities(t, i);
    put(t, "NoNewPrivs:\t%u\nSeccomp:\t0\nCpus_allowed_list:\t0-%u\n",
        !!(i->flags & MOTOR_PROCESS_NO_NEW_PRIVS), kernel_info()->cpus - 1);
}

void text_comm(struct text *t, const struct process *p, const struct thread *thread)
{
    const char *name = thread ? thread->name : p->info.name;
    put_bytes(t, name, strnlen(name, 15));
    put_bytes(t, "\n", 1);
}

void text_limits(struct text *t, const struct process *p, const struct thread *thread)
{
    static const struct {
        const char *name, *unit;
    } rows[16] = {{"Max cpu time", "seconds"},     {"Max file size", "bytes"},
                  {"Max data size", "bytes"},      {"Max stack size", "bytes"},
                  {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
                  {"Max processes", "processes"},  {"Max open files", "files"},
                  {"Max locked memory", "bytes"},  {"Max address space", "bytes"},
                  {"Max file locks", "locks"},     {"Max pending signals", "signals"},
                  {"Max msgqueue size", "bytes"},  {"Max nice priority", ""},
                  {"Max realtime priority", ""},   {"Max realtime timeout", "us"}};
    uint64_t limits[16][2];
    (void)thread;
    if (process_read(p, p->about.limits, limits, sizeof limits) != sizeof limits)
        return;
    put(t, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (int r = 0; r < 16; r++) {
        put(t, "%-25s ", rows[r].name);
        for (int hard = 0; hard < 2; hard++)
            if (limits[r][hard] == UINT64_MAX)
                put(t, "%-20s ", "unlimited");
            else
                put(t, "%-20llu ", LL(limits[r][hard]));
        put(t, "%-10s\n", rows[r].unit);
    }
}

/* Bytes are not counted by process: descriptors are shared memory, and calls go to many servers. */
void text_io(struct text *t, const struct process *p, const struct thread *thread)
{
    (void)p;
    (void)thread;
    put(t, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"
           "cancelled_write_bytes: 0\n");
}

void text_zero(struct text *t, const struct process *p, const struct thread *thread)
{
    (void)p;
    (void)thread;
    put(t, "0\n");
}
