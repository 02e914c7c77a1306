/* SPDX-License-Identifier: MIT */
/*
 * Services: what each of /etc/services.d says, whether it runs, and when it does something next.
 *
 *   DOWN     not wanted now, or it was not to be started again
 *   BLOCKED  waits for those that it comes after
 *   DELAYED  is started again at `due`
 *   UP       runs
 *   STOPPING was told to end; is killed at `due`
 *   DONE     a task that ended with success, which is what others may wait for
 *
 * service_ended() and service_stop() change the state; service_step() does what is due. Who runs is
 * a session and a process group of its own: what is left of the group at its end is killed.
 */
#ifndef INIT_SERVICE_H
#define INIT_SERVICE_H

#include "config.h"

#include <sys/types.h>

enum service_state {
    SERVICE_DOWN,
    SERVICE_BLOCKED,
    SERVICE_DELAYED,
    SERVICE_UP,
    SERVICE_STOPPING,
    SERVICE_DONE
};

struct service {
    struct service *next; /* in the order of their names */
    char *name, *text;    /* the text that `config` points into */
    struct config config;
    enum service_state state;
    bool held;      /* stopped by hand: not wanted until started by hand */
    bool listed;    /* its file is still there */
    bool in_search; /* on the path of the search for circles */
    pid_t pid;
    uint64_t started, due; /* milliseconds of now() */
    uint32_t delay_ms;     /* of the next start, if it ends soon */
    unsigned starts;
    int status; /* wait status of its last end; -1: none yet */
};

extern struct service *services;
/* Something that service_status() shows has changed since it was last called. */
extern bool services_changed;

#define NEVER UINT64_MAX
uint64_t now(void); /* milliseconds that never jump */

/*
 * Reads the directory: new files become services, changed ones hold from the next start on, and
 * services whose file is gone end. /run/service/NAME.down holds NAME.
 */
void services_load(void);
/* All end, those that come after others before them; none starts again. */
void services_shut_down(void);
/* Does what is due now; when there will be something to do again, or NEVER. */
uint64_t services_step(void);
bool services_active(void); /* one runs */
/* A child has ended; it may be a service. */
void service_ended(pid_t pid, int status);
/* Writes /run/service/status. */
void services_status(void);

/* run.c: starts its process; false, and a message: it cannot be started. */
bool service_run(struct service *s);

/* say.c: a line of the system's log. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* mounts.c: what /etc/fstab names, and the end of all file systems. */
void mounts_add(void);
void mounts_remove(void);

#endif
