/* SPDX-License-Identifier: MIT */
/* When services start and end: see service.h. */
#include "service.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define DELAY_LEAST_MS 50u
#define NICE_MOST      19
#define SETTLED_MS     10000u /* whoever has run as long is started again without a longer delay */

struct service *services;
bool services_changed;
static bool shutting_down;

uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void become(struct service *s, enum service_state state, uint64_t due)
{
    s->state = state;
    s->due = due;
    services_changed = true;
}

static bool runs(const struct service *s)
{
    return s->state == SERVICE_UP || s->state == SERVICE_STOPPING;
}

bool services_active(void)
{
    for (const struct service *s = services; s; s = s->next)
        if (runs(s))
            return true;
    return false;
}

/* ---- order ---- */

static struct service *find(const char *name)
{
    for (struct service *s = services; s; s = s->next)
        if (!strcmp(s->name, name))
            return s;
    return NULL;
}

static bool comes_after(const struct service *s, const struct service *other)
{
    for (char *const *name = s->config.after; *name; name++)
        if (!strcmp(*name, other->name))
            return true;
    return false;
}

/* A name that is no service holds up nobody: services_load() has told of it. */
static bool may_start(const struct service *s)
{
    for (char *const *name = s->config.after; *name; name++) {
        const struct service *other = find(*name);
        if (other && other->state != (other->config.task ? SERVICE_DONE : SERVICE_UP))
            return false;
    }
    return true;
}

static bool is_needed(const struct service *s)
{
    for (const struct service *other = services; other; other = other->next)
        if (other != s && runs(other) && comes_after(other, s))
            return true;
    return false;
}

/* ---- start and end ---- */

static bool starts_again(const struct service *s)
{
    if (shutting_down || s->held || !s->listed || s->config.restart == RESTART_NEVER)
        return false;
    return s->config.restart == RESTART_ALWAYS || s->status != 0;
}

/* again_ms: when it is started again; 0: it is not. */
static void tell_end(const struct service *s, uint32_t again_ms)
{
    char when[48] = "";
    if (again_ms)
        snprintf(when, sizeof when, "; again in %u.%02u s", again_ms / 1000, again_ms % 1000 / 10);
    if (WIFSIGNALED(s->status))
        say("%s was ended by signal %d%s", s->name, WTERMSIG(s->status), when);
    else if (s->status)
        say("%s ended with status %d%s", s->name, WEXITSTATUS(s->status), when);
}

/* Its process has ended, or could not be started. */
static void ended(struct service *s, int status)
{
    bool told = s->state == SERVICE_STOPPING; /* so its status says nothing */
    s->pid = 0;
    s->status = status;
    if (now() - s->started >= SETTLED_MS)
        s->delay_ms = s->config.delay_ms;
    bool again = starts_again(s);
    uint32_t delay = s->delay_ms > DELAY_LEAST_MS ? s->delay_ms : DELAY_LEAST_MS;
    if (!told)
        tell_end(s, again ? delay : 0);
    if (again) {
        become(s, SERVICE_DELAYED, now() + delay);
        s->delay_ms = delay * 2 > s->config.delay_max_ms ? s->config.delay_max_ms : delay * 2;
    } else {
        become(s, s->config.task && status == 0 ? SERVICE_DONE : SERVICE_DOWN, NEVER);
    }
}

/*
 * Behind all others that want the processor now, with whatever is started meanwhile: the scheduler
 * has each wait until the others have had their share, and a share of this one is small.
 */
static void stand_back(bool back)
{
    setpriority(PRIO_PROCESS, 0, back ? NICE_MOST : 0);
    if (back)
        sched_yield();
}

/*
 * At the system's start a shell would take about as long as a server, and from it if there is one
 * processor: so it is begun when the services have begun, or sleep.
 */
static void start(struct service *s)
{
    bool last = s->config.terminal && !s->starts;
    if (last)
        stand_back(true);
    s->started = now();
    s->starts++;
    bool begun = service_run(s);
    if (last)
        stand_back(false);
    if (begun)
        become(s, SERVICE_UP, NEVER);
    else
        ended(s, 127 << 8);
}

static void stop(struct service *s)
{
    if (s->state == SERVICE_UP) {
        kill(s->pid, s->config.stop_signal);
        kill(s->pid, SIGCONT);
        become(s, SERVICE_STOPPING, now() + s->config.stop_ms);
    } else if (s->state != SERVICE_STOPPING && s->state != SERVICE_DONE) {
        become(s, SERVICE_DOWN, NEVER);
    }
}

void service_ended(pid_t pid, int status)
{
    for (struct service *s = services; s; s = s->next)
        if (s->pid == pid) {
            kill(-pid, SIGKILL);
            ended(s, status);
            return;
        }
}

/* ---- what is due ---- */

/* terminals: those that have one may start, too; they come last. */
static void step(struct service *s, bool terminals)
{
    bool due = now() >= s->due;
    if (s->state == SERVICE_BLOCKED && may_start(s)) {
        if (terminals || !s->config.terminal)
            start(s);
    } else if (s->state == SERVICE_DELAYED && due) {
        start(s);
    } else if (s->state == SERVICE_STOPPING && due) {
        say("%s does not end; it is killed", s->name);
        kill(-s->pid, SIGKILL);
        s->due = NEVER;
    } else if (s->state == SERVICE_UP && (s->held || !s->listed)) {
        stop(s);
    } else if (s->state == SERVICE_UP && shutting_down && !is_needed(s)) {
        stop(s);
    }
}

/* Each service once; true: something has changed, for which another may have waited. */
static bool step_all(bool terminals)
{
    bool before = services_changed;
    services_changed = false;
    for (struct service *s = services; s; s = s->next)
        step(s, terminals);
    bool changed = services_changed;
    services_changed |= before;
    return changed;
}

uint64_t services_step(void)
{
    uint64_t next = NEVER;
    while (step_all(false) || step_all(true)) {
    }
    for (const struct service *s = services; s; s = s->next)
        next = s->due < next ? s->due : next;
    return next;
}

void services_shut_down(void)
{
    shutting_down = true;
    for (struct service *s = services; s; s = s->next)
        if (!runs(s))
            stop(s);
}

/* ---- what is to be seen ---- */

void services_status(void)
{
    static const char *const states[] = {"down", "waiting", "delayed", "up", "stopping", "done"};
    services_changed = false;
    FILE *f = fopen("/run/service/status.new", "we");
    if (!f)
        return;
    fprintf(f, "%-16s %-9s %6s %6s  %s\n", "NAME", "STATE", "PID", "STARTS", "LAST END");
    for (const struct service *s = services; s; s = s->next) {
        char end[32] = "-", pid[16] = "-";
        if (s->pid)
            snprintf(pid, sizeof pid, "%d", s->pid);
        if (s->status != -1 && WIFSIGNALED(s->status))
            snprintf(end, sizeof end, "signal %d", WTERMSIG(s->status));
        else if (s->status != -1)
            snprintf(end, sizeof end, "status %d", WEXITSTATUS(s->status));
        fprintf(f, "%-16s %-9s %6s %6u  %s\n", s->name, states[s->state], pid, s->starts, end);
    }
    if (!fclose(f))
        rename("/run/service/status.new", "/run/service/status");
}
