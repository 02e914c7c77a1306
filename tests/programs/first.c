/* SPDX-License-Identifier: MIT */
/*
 * Process 1, for tests/system/first.sh: has the pid, gets every orphan, and with it its status;
 * nothing is left when all have ended. "companion" runs beside one that does nothing ("idle").
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORPHANS 100

static void check(int ok, const char *what)
{
    if (!ok) {
        printf("FAILED: %s (errno %d)\n", what, errno);
        fflush(stdout);
        exit(1);
    }
}

/* A child that leaves a grandchild behind, whose parent at its end is process 1. */
static void leave_orphan(int code)
{
    int ready[2];
    char byte;
    check(pipe(ready) == 0, "pipe");
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        if (fork() == 0) {
            close(ready[1]);
            read(ready[0], &byte, 1); /* until the child between has been waited for */
            _exit(getppid() == 1 ? code : 255);
        }
        _exit(0);
    }
    int status;
    check(waitpid(child, &status, 0) == child && status == 0, "the child between");
    close(ready[0]);
    close(ready[1]);
}

/* Beside it: an ordinary process, of whom it is not the parent. */
static void companion(void)
{
    check(getpid() > 1 && getppid() != 1, "a companion's pids");
    check(kill(1, 0) == 0, "process 1 is there");
}

static void reap(void)
{
    int seen[ORPHANS] = {0}, status;
    check(getpid() == 1 && getppid() == 0, "the pids");
    check(getpgrp() == 1 && getsid(0) == 1, "group and session");
    check(wait(&status) == -1 && errno == ECHILD, "no children at first");
    for (int i = 0; i < ORPHANS; i++)
        leave_orphan(i);
    for (int i = 0; i < ORPHANS; i++) {
        check(wait(&status) > 1, "an orphan");
        check(WIFEXITED(status) && WEXITSTATUS(status) < ORPHANS, "its parent is process 1");
        check(!seen[WEXITSTATUS(status)]++, "each comes once");
    }
    check(wait(&status) == -1 && errno == ECHILD, "none is left");
    pid_t child = fork();
    if (child == 0)
        _exit(getppid() == 1 && kill(1, 0) == 0 && getpid() != 1 ? 0 : 1);
    check(waitpid(child, &status, 0) == child && status == 0, "a child of its own");
}

int main(int argc, char **argv)
{
    if (argc == 1)
        reap();
    else if (!strcmp(argv[1], "companion"))
        companion();
    else
        for (;;)
            pause();
    puts("first: ok");
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    return 1;
}
