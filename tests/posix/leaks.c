/* SPDX-License-Identifier: MIT */
/*
 * Nothing is left behind: processes forked, executed and spawned, threads, and terminals opened and
 * closed, by the hundred; afterwards the system's counts of the kernel's and of every engine's
 * objects, and its free memory, are where they were. On a system without such counters only the
 * work is done. `leaks FORKS SPAWNS TERMINALS` says how many; make soak asks for many.
 */
#include "check.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pty.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>

extern char **environ;

/* ---- the counts ---- */

/*
 * What may differ, however much was done: what caches hold on either side, such as the objects by
 * which a process knows names that it asked for again and again.
 */
#define BYTES_SLACK   (128l << 10)
#define OBJECTS_SLACK 8

static const char *const objects[] = {
    "kernel.processes", "kernel.threads", "kernel.vmos",    "kernel.endpoints", "kernel.gates",
    "kernel.handles",   "kernel.regions", "kernel.groups",  "fs.objects",       "tty.objects",
    "net.objects",      "start.objects",  "fs.tmpfs_bytes", "fs.tmpfs_inodes"};
#define OBJECTS (sizeof objects / sizeof *objects)

struct counts {
    long object[OBJECTS];
    long free; /* bytes */
};

static long value_of(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

static bool read_counts(struct counts *c)
{
    char text[8192];
    int fd = open("/proc/motor/counters", O_RDONLY);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    CHECK(n > 0);
    text[n] = 0;
    close(fd);
    for (size_t i = 0; i < OBJECTS; i++) {
        c->object[i] = value_of(text, objects[i]);
        CHECK(c->object[i] >= 0);
    }
    c->free = value_of(text, "kernel.free");
    return true;
}

/* The first difference, NULL: none. */
static const char *differs(const struct counts *a, const struct counts *b)
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (labs(b->object[i] - a->object[i]) > (strstr(objects[i], "bytes") ? 0 : OBJECTS_SLACK))
            return objects[i];
    return a->free - b->free > BYTES_SLACK ? "kernel.free" : NULL;
}

/* What goes goes soon, not at once: the last close of a handle is told to an engine's thread. */
static void same_as(const struct counts *before, const char *what)
{
    struct counts now;
    const char *name = NULL;
    for (int i = 0; i < 100; i++) {
        CHECK(read_counts(&now));
        if (!(name = differs(before, &now)))
            return;
        usleep(50000);
    }
    for (size_t i = 0; i < OBJECTS; i++)
        fprintf(stderr, "%s: %ld, now %ld\n", objects[i], before->object[i], now.object[i]);
    fprintf(stderr, "kernel.free: %ld, now %ld\n", before->free, now.free);
    FAILED("after %s: %s", what, name);
}

/* ---- the work ---- */

static void reap(pid_t pid, int wanted)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == wanted);
}

static char *const nothing[] = {"leaks", "exit", NULL};

static void fork_and_exec(long n)
{
    while (n-- > 0) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            CHECK(geteuid() != 0 || setgroups(2, (gid_t[]){1, 2}) == 0);
            execve("/proc/self/exe", nothing, environ);
            _exit(1);
        }
        reap(pid, 3);
    }
}

static void spawn(long n)
{
    while (n-- > 0) {
        pid_t pid;
        CHECK0(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, nothing, environ));
        reap(pid, 3);
        CHECK(posix_spawn(&pid, "/nowhere", NULL, NULL, nothing, environ) == ENOENT);
    }
}

static void *idle(void *unused)
{
    return unused;
}

static void threads(long n)
{
    while (n-- > 0) {
        pthread_t t;
        CHECK0(pthread_create(&t, NULL, idle, NULL));
        CHECK0(pthread_join(t, NULL));
    }
}

static void terminals(long n)
{
    while (n-- > 0) {
        char c;
        int master, slave;
        CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
        CHECK(write(master, "x\n", 2) == 2);
        CHECK(read(slave, &c, 1) == 1 && c == 'x');
        close(n % 2 ? master : slave);
        close(n % 2 ? slave : master);
    }
}

static const struct {
    const char *name;
    void (*run)(long n);
} work[] = {{"fork, exec and wait", fork_and_exec},
            {"posix_spawn and wait", spawn},
            {"terminals", terminals},
            {"threads", threads}};

int main(int argc, char **argv)
{
    struct counts before;
    long counts[] = {300, 300, 100, 300};
    if (argc == 2)
        return 3;
    for (int i = 1; i < argc && i <= 3; i++)
        counts[i - 1] = atol(argv[i]);
    for (size_t i = 0; i < sizeof work / sizeof *work; i++) {
        work[i].run(20); /* what is made once and kept */
        bool counted = true;
        for (int k = 0; k < 20; k++) /* what is read again and again is mapped */
            counted = read_counts(&before);
        work[i].run(counts[i]);
        if (counted)
            same_as(&before, work[i].name);
    }
    return 0;
}
