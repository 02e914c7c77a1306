/* SPDX-License-Identifier: MIT */
/*
 * init: process 1. Mounts what /etc/fstab names, starts the services of /etc/services.d and keeps
 * them running, waits for orphans, and ends the machine in order. docs/services.md is its manual.
 *
 * It does one thing after the other, in one loop that sleeps in sigtimedwait(): everything that
 * happens to it is a signal or a deadline.
 *
 *   SIGHUP                     reads /etc/services.d again
 *   SIGUSR2, SIGPWR            powers off; SIGPWR is the power button
 *   SIGUSR1                    halts, which is the same here
 *   SIGTERM, SIGINT            restarts
 */
#include "service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TERM_MS 3000u /* that processes have to end, once they were told */
#define KILL_MS 2000u

static sigset_t awaited;
static int power; /* of reboot(2), when the machine is to end; 0: it is not */

/* ---- events ---- */

static void reap(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        service_ended(pid, status);
}

static void end_machine(int how)
{
    if (!power)
        say(how == RB_AUTOBOOT ? "restarting" : "powering off");
    power = how;
    services_shut_down();
}

static void handle(int sig)
{
    switch (sig) {
    case SIGCHLD:
        reap();
        break;
    case SIGHUP:
        if (!power)
            services_load();
        break;
    case SIGUSR1:
        end_machine(RB_HALT_SYSTEM);
        break;
    case SIGUSR2:
    case SIGPWR:
        end_machine(RB_POWER_OFF);
        break;
    case SIGTERM:
    case SIGINT:
        end_machine(RB_AUTOBOOT);
        break;
    default:
        break;
    }
}

/* The next signal until then, or 0. */
static int next_signal(uint64_t until)
{
    uint64_t at = now(), left = at >= until ? 0 : until - at;
    struct timespec t = {(time_t)(left / 1000), (long)(left % 1000) * 1000000};
    int sig = sigtimedwait(&awaited, NULL, until == NEVER ? NULL : &t);
    return sig < 0 ? 0 : sig;
}

/* ---- the end ---- */

/* Until nobody is left, for a while; false: somebody is. */
static bool wait_for_all(uint64_t ms)
{
    uint64_t until = now() + ms;
    while (waitpid(-1, NULL, WNOHANG) >= 0) {
        if (now() >= until)
            return false;
        next_signal(until);
    }
    return true;
}

static void finish(void)
{
    kill(-1, SIGTERM);
    kill(-1, SIGCONT);
    if (!wait_for_all(TERM_MS)) {
        kill(-1, SIGKILL);
        wait_for_all(KILL_MS);
    }
    mounts_remove();
    reboot(power);
    say("the machine does not end: %s", strerror(errno));
    for (;;)
        pause();
}

/* ---- the beginning ---- */

static void set_host_name(void)
{
    char name[65] = "";
    FILE *f = fopen("/etc/hostname", "re");
    if (f && fgets(name, sizeof name, f)) {
        name[strcspn(name, " \t\r\n")] = 0;
        if (name[0])
            sethostname(name, strlen(name));
    }
    if (f)
        fclose(f);
}

int main(void)
{
    static const int signals[] = {SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2, SIGPWR, SIGTERM, SIGINT};
    if (getpid() != 1) {
        fputs("init: this is for process 1\n", stderr);
        return 1;
    }
    sigemptyset(&awaited);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&awaited, signals[i]);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    umask(022);
    reboot(RB_DISABLE_CAD);
    mounts_add();
    services_load();
    services_step();
    set_host_name();
    mkdir("/run/service", 0755);
    for (;;) {
        uint64_t next = services_step();
        if (power && !services_active())
            finish();
        int sig = next_signal(services_changed ? now() : next);
        if (sig)
            handle(sig);
        else if (services_changed)
            services_status();
    }
}
