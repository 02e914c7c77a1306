/* SPDX-License-Identifier: MIT */
/*
 * Shared memory segments: memory objects that processes map. The kernel counts the mappings, and
 * tells when an object has lost its last; a segment that was removed goes then. All of a segment is
 * reserved when it is made.
 */
#include "../proc/proc.h"
#include "sysv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/shm.h>

#ifndef SHM_DEST
#define SHM_DEST   01000
#define SHM_LOCKED 02000
#endif
#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif
#define SHM_HUGETLB 04000

struct segment {
    struct ipc_object object;
    motor_handle vmo;
    uint64_t size;
    int64_t atime, dtime, ctime;
    uint32_t cpid, lpid;
    bool attached; /* the last time we looked */
};

static struct ipc_table segments;
static uint64_t bytes, bytes_limit;
static motor_handle gate; /* of SHM_BADGE */

void sysv_init(uint64_t memory)
{
    bytes_limit = memory / 2;
    counter_register("fs", "shm_bytes", &bytes);
}

static uint64_t page_up(uint64_t n)
{
    return (n + MOTOR_PAGE_SIZE - 1) & ~(uint64_t)(MOTOR_PAGE_SIZE - 1);
}

static uint64_t mappings(const struct segment *s)
{
    int64_t n = motor_vmo_control(s->vmo, MOTOR_VMO_MAPPINGS, 0, 0, NULL);
    return n < 0 ? 0 : (uint64_t)n;
}

static void segment_free(struct segment *s)
{
    ipc_remove(&segments, &s->object);
    bytes -= page_up(s->size);
    motor_handle_close(s->vmo);
    free(s);
}

void shm_unmapped(void)
{
    for (uint32_t i = 0; i < segments.end; i++) {
        struct segment *s = (struct segment *)segments.slot[i];
        if (!s || !s->attached || mappings(s))
            continue;
        s->attached = false;
        s->dtime = sysv_seconds();
        if (s->object.perm.mode & SHM_DEST)
            segment_free(s);
    }
}

static int fits(const struct ipc_object *o, uint64_t size)
{
    return size <= ((const struct segment *)o)->size ? 0 : -EINVAL;
}

static bool watch(motor_handle vmo)
{
    int64_t h = gate ? (int64_t)gate : engine_gate(&fs_engine, SHM_BADGE);
    if (h < 0)
        return false;
    gate = (motor_handle)h;
    return motor_bind(vmo, gate) >= 0;
}

static struct ipc_object *make(const struct ipc_get *get, int *error)
{
    struct segment *s;
    if (get->size < SHM_SIZE_MIN || get->size > bytes_limit || (get->flags & SHM_HUGETLB)) {
        *error = -EINVAL;
        return NULL;
    }
    if (page_up(get->size) > bytes_limit - bytes) {
        *error = -ENOSPC;
        return NULL;
    }
    int64_t vmo = (s = calloc(1, sizeof *s)) ? motor_vmo_create(page_up(get->size), 0) : -1;
    if (vmo < 0 || !watch((motor_handle)vmo)) {
        if (vmo >= 0)
            motor_handle_close((motor_handle)vmo);
        free(s);
        return NULL;
    }
    s->vmo = (motor_handle)vmo;
    s->size = get->size;
    s->cpid = get->who->pid;
    s->ctime = sysv_seconds();
    bytes += page_up(s->size);
    return &s->object;
}

/* w0 id, w1 SHM_RDONLY, SHM_EXEC */
static int64_t attach(const struct motor_event *ev, const struct cred *who)
{
    struct ipc_object *o;
    uint64_t flags = ev->word[1];
    bool write = !(flags & SHM_RDONLY);
    int error = ipc_find(&segments, ev->word[0], &o);
    if (!error)
        error = ipc_may(o, who, 4 | (write ? 2 : 0) | (flags & SHM_EXEC ? 1 : 0));
    if (error)
        return error;
    struct segment *s = (struct segment *)o;
    struct motor_reply *r = engine_reply(&fs_engine, ev->token, 0);
    r->nhandles = 1; /* a duplicate */
    r->handle[0] = s->vmo;
    r->rights[0] = MOTOR_RIGHT_READ | (write ? MOTOR_RIGHT_WRITE : 0) |
                   (flags & SHM_EXEC ? MOTOR_RIGHT_EXEC : 0);
    r->word[0] = page_up(s->size);
    s->attached = true;
    s->atime = sysv_seconds();
    s->lpid = who->pid;
    return NO_REPLY;
}

/* w0 id: the caller has unmapped it */
static int64_t detached(const struct motor_event *ev, const struct cred *who)
{
    struct ipc_object *o;
    if (ipc_find(&segments, ev->word[0], &o) || ipc_may(o, who, 4))
        return 0;
    struct segment *s = (struct segment *)o;
    s->lpid = who->pid;
    s->dtime = sysv_seconds();
    shm_unmapped();
    return 0;
}

/* ---- shmctl ---- */

static int64_t stat_segment(const struct motor_event *ev, const struct segment *s, int64_t status)
{
    struct shmid_ds ds = {.shm_perm = s->object.perm,
                          .shm_segsz = s->size,
                          .shm_atime = s->atime,
                          .shm_dtime = s->dtime,
                          .shm_ctime = s->ctime,
                          .shm_cpid = (int)s->cpid,
                          .shm_lpid = (int)s->lpid,
                          .shm_nattch = mappings(s)};
    int64_t n = event_write(ev, 0, &ds, sizeof ds);
    return n < (int64_t)sizeof ds ? -EFAULT : status;
}

static int64_t information(const struct motor_event *ev, bool info)
{
    int64_t n = 0, last = segments.end ? (int64_t)segments.end - 1 : 0;
    if (info) {
        struct shm_info i = {.used_ids = (int)segments.used,
                             .shm_tot = bytes / MOTOR_PAGE_SIZE,
                             .shm_rss = bytes / MOTOR_PAGE_SIZE};
        n = event_write(ev, 0, &i, sizeof i) - (int64_t)sizeof i;
    } else {
        struct shminfo i = {.shmmax = bytes_limit,
                            .shmmin = SHM_SIZE_MIN,
                            .shmmni = IPC_IDS,
                            .shmseg = IPC_IDS,
                            .shmall = bytes_limit / MOTOR_PAGE_SIZE};
        n = event_write(ev, 0, &i, sizeof i) - (int64_t)sizeof i;
    }
    return n < 0 ? -EFAULT : last;
}

static int64_t change(struct segment *s, const struct motor_event *ev)
{
    struct shmid_ds ds;
    if (event_read(ev, 0, &ds, sizeof ds) < (int64_t)sizeof ds)
        return -EFAULT;
    ipc_set(&s->object, &ds.shm_perm);
    s->ctime = sysv_seconds();
    return 0;
}

static int64_t remove_segment(struct segment *s)
{
    ipc_forget_key(&s->object);
    s->object.perm.mode |= SHM_DEST;
    if (!mappings(s))
        segment_free(s);
    return 0;
}

/* w0 id, w1 command; in, out: the structure */
static int64_t control(const struct motor_event *ev, const struct cred *who)
{
    uint64_t command = ev->word[1];
    struct ipc_object *o;
    bool index = command == SHM_STAT || command == SHM_STAT_ANY;
    if (command == IPC_INFO || command == SHM_INFO)
        return information(ev, command == SHM_INFO);
    int error = (index ? ipc_find_index : ipc_find)(&segments, ev->word[0], &o);
    if (error)
        return error;
    struct segment *s = (struct segment *)o;
    switch (command) {
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
        error = command == SHM_STAT_ANY ? 0 : ipc_may(o, who, 4);
        return error ? error : stat_segment(ev, s, index ? (int64_t)o->id : 0);
    case IPC_SET:
        error = ipc_owns(o, who);
        return error ? error : change(s, ev);
    case IPC_RMID:
        error = ipc_owns(o, who);
        return error ? error : remove_segment(s);
    case SHM_LOCK: /* nothing is ever paged out */
    case SHM_UNLOCK:
        error = ipc_owns(o, who);
        if (!error && command == SHM_LOCK)
            o->perm.mode |= SHM_LOCKED;
        else if (!error)
            o->perm.mode &= ~(unsigned)SHM_LOCKED;
        return error;
    default:
        return -EINVAL;
    }
}

int64_t shm_call(const struct motor_event *ev, const struct cred *who)
{
    switch (ev->op) {
    case IO_SHM_GET:
        return ipc_get(&segments, &(struct ipc_get){.who = who,
                                                    .key = (int32_t)ev->word[0],
                                                    .size = ev->word[1],
                                                    .flags = (int32_t)ev->word[2],
                                                    .fits = fits,
                                                    .make = make});
    case IO_SHM_ATTACH:
        return attach(ev, who);
    case IO_SHM_DETACHED:
        return detached(ev, who);
    default:
        return control(ev, who);
    }
}

void shm_text(struct text *t)
{
    put(t,
        "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  "
        "cgid      atime      dtime      ctime                   rss                  swap\n");
    for (uint32_t i = 0; i < segments.end; i++) {
        const struct segment *s = (const struct segment *)segments.slot[i];
        if (!s)
            continue;
        const struct ipc_perm *p = &s->object.perm;
        put(t,
            "%10d %10u  %4o %21llu %5u %5u  %5llu %5u %5u %5u %5u %10lld %10lld %10lld %21llu "
            "%21u\n",
            p->__key, s->object.id, p->mode, (unsigned long long)s->size, s->cpid, s->lpid,
            (unsigned long long)mappings(s), p->uid, p->gid, p->cuid, p->cgid, (long long)s->atime,
            (long long)s->dtime, (long long)s->ctime, (unsigned long long)page_up(s->size), 0u);
    }
}
