/* SPDX-License-Identifier: MIT */
/* What is in a process's memory: mappings, and the strings it was started with. */
#include "proc.h"

#include <string.h>

#define STRINGS_MAX (2u << 20) /* as execve() takes at most */
#define REGIONS_MAX 65536u     /* lines of maps */
#define LL(x)       ((unsigned long long)(x))

void text_statm(struct text *t, const struct process *p, const struct thread *thread)
{
    const struct motor_process_info *i = &p->info;
    uint64_t private = i->memory_private / MOTOR_PAGE_SIZE;
    uint64_t code = (p->about.code_end - p->about.code_start) / MOTOR_PAGE_SIZE;
    (void)thread;
    put(t, "%llu %llu 0 %llu 0 %llu 0\n", LL(i->memory_virtual / MOTOR_PAGE_SIZE), LL(private),
        LL(code), LL(private));
}

static size_t put_memory(struct text *t, const struct process *p, uint64_t from, uint64_t to)
{
    char piece[4096];
    size_t done = 0;
    if (to < from)
        return 0;
    uint64_t size = to - from < STRINGS_MAX ? to - from : STRINGS_MAX;
    while (done < size) {
        size_t want = size - done < sizeof piece ? size - done : sizeof piece;
        size_t n = process_read(p, from + done, piece, want);
        put_bytes(t, piece, n);
        done += n;
        if (n < want)
            break;
    }
    return done;
}

/*
 * Linux's rule for titles that programs write over their arguments: as long as the last byte is
 * NUL, these are the arguments; else one string, which may go on into the environment.
 */
void text_cmdline(struct text *t, const struct process *p, const struct thread *thread)
{
    const struct motor_about *a = &p->about;
    (void)thread;
    if (!put_memory(t, p, a->arg_start, a->arg_end) || !t->bytes[t->size - 1])
        return;
    size_t end = strnlen(t->bytes, t->size);
    if (end == t->size && a->env_start == a->arg_end) {
        put_memory(t, p, a->env_start, a->env_end);
        end = strnlen(t->bytes, t->size);
    }
    t->size = end < t->size ? end + 1 : end;
}

void text_environ(struct text *t, const struct process *p, const struct thread *thread)
{
    (void)thread;
    put_memory(t, p, p->about.env_start, p->about.env_end);
}

static const char *region_name(const struct process *p, const struct motor_region_info *r,
                               uint64_t brk, char *path, size_t size)
{
    const struct motor_about *a = &p->about;
    if (r->start >= a->code_start && r->end <= a->code_end && a->code_end) {
        int64_t n = link_exe(p, path, size - 1);
        path[n > 0 ? n : 0] = 0;
        return path;
    }
    if (a->stack >= r->start && a->stack < r->end)
        return "[stack]";
    if (a->brk_start && r->end > a->brk_start && r->start < brk)
        return "[heap]";
    return "";
}

void text_maps(struct text *t, const struct process *p, const struct thread *thread)
{
    struct motor_region_info regions[64];
    char path[IO_PATH_MAX];
    uint64_t brk = 0, from = 0;
    int64_t n;
    (void)thread;
    process_read(p, p->about.brk, &brk, sizeof brk);
    for (uint32_t lines = 0; lines < REGIONS_MAX; lines += (uint32_t)n) {
        regions[0].start = from;
        n = motor_process_info(p->handle, MOTOR_PINFO_REGIONS, regions, sizeof regions);
        if (n <= 0)
            return;
        for (int64_t i = 0; i < n; i++) {
            const struct motor_region_info *r = &regions[i];
            const char *name = region_name(p, r, brk, path, sizeof path);
            put(t, "%08llx-%08llx %c%c%c%c %08llx 00:00 0", LL(r->start), LL(r->end),
                r->flags & MOTOR_PROT_READ ? 'r' : '-', r->flags & MOTOR_PROT_WRITE ? 'w' : '-',
                r->flags & MOTOR_PROT_EXEC ? 'x' : '-',
                r->flags & MOTOR_MAP_PRIVATE || !r->object ? 'p' : 's', LL(r->offset));
            put(t, name[0] ? " %20s%s\n" : "\n", "", name);
        }
        from = regions[n - 1].end;
    }
}
