/* SPDX-License-Identifier: MIT */
/*
 * System V IPC: shared memory, semaphores, message queues, as sysvipc(7). They are not files, but
 * live here because they are, as files are, what unrelated processes find each other by.
 *
 * The three kinds share keys, identifiers and permissions (table.c). Limits are constants below,
 * and the machine's memory.
 */
#ifndef SYSIO_FS_SYSV_H
#define SYSIO_FS_SYSV_H

#include "../presence.h"

#include <sys/ipc.h>

#define IPC_IDS 4096u /* objects of each kind */

#define SHM_SIZE_MIN    1u
#define SEM_PER_SET     32000u
#define SEM_ALL         65536u /* semaphores in all sets */
#define SEM_OPS_MAX     500u
#define SEM_VALUE_MAX   32767
#define MSG_SIZE_MAX    8192u
#define MSG_QUEUE_BYTES 16384u

struct ipc_object {
    struct ipc_perm perm;
    uint32_t id; /* index + sequence number * IPC_ID_STEP */
};
#define IPC_ID_STEP 32768u

struct ipc_table {
    struct ipc_object *slot[IPC_IDS];
    uint32_t end; /* no used slot from here on */
    uint32_t used;
    uint32_t sequence; /* of the next object */
};

/* What xxxget() asks for. */
struct ipc_get {
    const struct cred *who;
    int32_t key;
    int32_t flags; /* IPC_CREAT, IPC_EXCL, mode */
    uint64_t size; /* bytes or semaphores */
    /* 0: this is large enough for `size` */
    int (*fits)(const struct ipc_object *o, uint64_t size);
    struct ipc_object *(*make)(const struct ipc_get *get, int *error);
};

int64_t ipc_get(struct ipc_table *t, const struct ipc_get *get); /* the id */
/* -EINVAL: there is none */
int ipc_find(const struct ipc_table *t, uint64_t id, struct ipc_object **out);
/* the same by its index, for ipcs: SHM_STAT and the like */
int ipc_find_index(const struct ipc_table *t, uint64_t index, struct ipc_object **out);
/* mode: bits as of `others`: 4 read, 2 change. -EACCES */
int ipc_may(const struct ipc_object *o, const struct cred *who, uint32_t mode);
int ipc_owns(const struct ipc_object *o, const struct cred *who); /* -EPERM */
/* IPC_SET: owner, group and mode */
void ipc_set(struct ipc_object *o, const struct ipc_perm *from);
void ipc_remove(struct ipc_table *t, struct ipc_object *o); /* from the table */
/* Its key leads to it no more, its id does: a segment that is removed and still attached. */
void ipc_forget_key(struct ipc_object *o);

int64_t sysv_seconds(void); /* now */

/* ---- the calls: a status, or NO_REPLY ---- */

int64_t shm_call(const struct motor_event *ev, const struct cred *who);
int64_t sem_call(const struct motor_event *ev, const struct cred *who, struct presence *presence);
int64_t msg_call(const struct motor_event *ev, const struct cred *who);
/* The process has ended: what it did with SEM_UNDO is taken back. */
void sem_presence_closed(struct presence *presence);
/* A call that waits is given up. */
void sem_cancel(uint64_t token);
void msg_cancel(uint64_t token);

void sysv_init(uint64_t memory);
/* A segment may have lost its last attachment. */
#define SHM_BADGE 1001u /* not an index of the table of badges */
void shm_unmapped(void);

/* /proc/sysvipc */
struct text;
void shm_text(struct text *t);
void sem_text(struct text *t);
void msg_text(struct text *t);

#endif
