/* SPDX-License-Identifier: MIT */
/*
 * A load for disks of VMs that are killed: several processes, each with a folder of its own and a
 * sequence of steps, each of which ends with a sync of some kind and a line "WORKER STEP" when it
 * is durable. What a step leaves follows from its number.
 *
 *   disk_load FOLDER check TOLD...   what must be there after the last steps that were told of (-1:
 *                                    none), one for each worker; prints the steps found
 *   disk_load FOLDER run FOUND...    goes on behind those steps until the machine is killed
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define AHEAD 200 /* steps that may have been done, but whose lines were lost with the machine */
#define SLOTS 20
#define FILES 12

static char buffer[65536], bytes[65536];

static void fill(long step, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buffer[i] = (char)(step * 31 + (long)i * 7 + (long)(i >> 8));
}

static void tell(int worker, long step)
{
    char line[32];
    int n = sprintf(line, "%d %ld\n", worker, step);
    CHECK(write(1, line, (size_t)n) == n);
}

/* By one of the ways: the file has a new size, or none before. */
static bool made_durable(int fd, long step)
{
    if (step % 3 == 0)
        return !fsync(fd);
    if (step % 3 == 1)
        return !fdatasync(fd);
    int folder = open(".", O_RDONLY | O_DIRECTORY);
    return folder >= 0 && !syncfs(folder) && !close(folder);
}

static void put(const char *name, int flags, long step, size_t size, int sync_it)
{
    int fd = open(name, O_WRONLY | O_CREAT | flags, 0644);
    CHECK(fd >= 0);
    fill(step, size);
    CHECK(write(fd, buffer, size) == (ssize_t)size && (!sync_it || made_durable(fd, step)) &&
          !close(fd));
}

/* -1: it is not there */
static ssize_t get(const char *name)
{
    int fd = open(name, O_RDONLY);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, bytes, sizeof bytes);
    CHECK(n >= 0 && !close(fd));
    return n;
}

/* ---- 0: a log that is appended to ---- */

static size_t record_size(long step)
{
    return 8 + (size_t)(step * 977 % 3000);
}

static void log_step(long step)
{
    put("log", step % 1000 ? O_APPEND : O_TRUNC, step, record_size(step), 1);
}

/* How many records there are from `first` on; -1: there is something else. */
static long log_count(int fd, long first)
{
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    for (long count = 0;; count++) {
        size_t size = record_size(first + count);
        ssize_t n = read(fd, bytes, size);
        fill(first + count, size);
        if (n <= 0)
            return n < 0 ? -1 : count;
        if ((size_t)n < size || memcmp(bytes, buffer, size))
            return -1;
    }
}

static long log_check(long told)
{
    int fd = open("log", O_RDONLY);
    CHECK(fd >= 0 || told < 0);
    if (fd < 0)
        return -1;
    for (long first = told < 0 ? 0 : told / 1000 * 1000; first <= told + AHEAD; first += 1000) {
        long last = first + log_count(fd, first) - 1;
        if (last < first - 1 || last < told || last > told + AHEAD)
            continue;
        CHECK(!close(fd));
        return last;
    }
    CHECK(!"the records of the log");
    return -1;
}

/* ---- 1: files that replace others ---- */

static size_t slot_size(long step)
{
    return 1 + (size_t)(step * 1499 % 30000);
}

static void rename_step(long step)
{
    char name[32];
    put("new", O_TRUNC, step, slot_size(step), 1);
    sprintf(name, "slot-%ld", step % SLOTS);
    CHECK(!rename("new", name));
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0 && !fsync(fd) && !close(fd));
}

static long rename_check(long told)
{
    long newest = -1;
    for (long slot = 0; slot < SLOTS; slot++) {
        char name[32];
        sprintf(name, "slot-%ld", slot);
        ssize_t size = get(name);
        CHECK(size >= 0 || told < slot);
        long step = told < slot ? slot : told - (told - slot) % SLOTS; /* the last one told of */
        if (size < 0)
            continue;
        for (;; step += SLOTS) {
            CHECK(step <= told + AHEAD);
            fill(step, slot_size(step));
            if ((size_t)size == slot_size(step) && !memcmp(bytes, buffer, (size_t)size))
                break;
        }
        newest = step > newest ? step : newest;
    }
    return newest;
}

/* ---- 2: trees of small files, of which the old ones are removed ---- */

static void tree_name(char *name, long step, int file)
{
    int n = sprintf(name, "tree-%ld", step);
    if (file >= 0)
        sprintf(name + n, "/%s/a-file-with-a-longer-name-%d", file % 2 ? "odd" : "even", file);
}

static void tree_remove(long step)
{
    char name[96];
    for (int i = 0; i < FILES; i++) {
        tree_name(name, step, i);
        CHECK(!unlink(name) || errno == ENOENT);
    }
    for (int i = 0; i < 3; i++) {
        sprintf(name, "tree-%ld%s", step, i == 0 ? "/odd" : i == 1 ? "/even" : "");
        CHECK(!rmdir(name) || errno == ENOENT);
    }
}

static void tree_step(long step)
{
    char name[96];
    tree_remove(step); /* what a step that was cut left */
    for (int i = 2; i >= 0; i--) {
        sprintf(name, "tree-%ld%s", step, i == 0 ? "/odd" : i == 1 ? "/even" : "");
        CHECK(!mkdir(name, 0755));
    }
    for (int i = 0; i < FILES; i++) {
        tree_name(name, step, i);
        put(name, O_EXCL, step + i, 100 + (size_t)i * 50, 0);
    }
    sync();
}

static int tree_whole(long step)
{
    for (int i = 0; i < FILES; i++) {
        char name[96];
        tree_name(name, step, i);
        fill(step + i, 100 + (size_t)i * 50);
        if (get(name) != 100 + i * 50 || memcmp(bytes, buffer, 100 + (size_t)i * 50))
            return 0;
    }
    return 1;
}

/* A tree goes when the second one behind it is durable. */
static long tree_check(long told)
{
    struct stat st;
    char name[96];
    long newest = -1;
    for (long step = told < 0 ? 0 : told; step <= told + AHEAD; step++)
        newest = tree_whole(step) ? step : newest;
    CHECK(newest >= told && (newest < 1 || tree_whole(newest - 1)));
    for (long step = newest > 40 ? newest - 40 : 0; step < newest - 2; step++) {
        tree_name(name, step, -1);
        CHECK(stat(name, &st) < 0 && errno == ENOENT);
    }
    return newest;
}

/* ---- 3: a file that grows and is cut, and says by an attribute how large it shall be ---- */

static size_t cut_size(long step)
{
    return (size_t)(step * 7919 % 50000);
}

static void cut_step(long step)
{
    struct stat st;
    char value[400];
    int fd = open("cut", O_RDWR | O_CREAT, 0644);
    CHECK(fd >= 0 && !fstat(fd, &st));
    size_t size = cut_size(step);
    if ((off_t)size < st.st_size)
        CHECK(!ftruncate(fd, (off_t)size));
    fill(0, size);
    for (size_t at = (size_t)st.st_size; at < size; at += 4096) {
        size_t n = size - at < 4096 ? size - at : 4096;
        CHECK(pwrite(fd, buffer + at, n, (off_t)at) == (ssize_t)n);
    }
    memset(value, 0, sizeof value);
    sprintf(value, "%ld", step);
    CHECK(!fsetxattr(fd, "user.step", value, step % 2 ? 20 : sizeof value, 0));
    CHECK(!fsync(fd) && !close(fd));
}

static long cut_check(long told)
{
    char value[400];
    ssize_t size = get("cut");
    CHECK(size >= 0 || told < 0);
    if (size < 0)
        return -1;
    fill(0, (size_t)size);
    CHECK(!memcmp(bytes, buffer, (size_t)size));
    ssize_t n = getxattr("cut", "user.step", value, sizeof value);
    CHECK(n > 0 || (n < 0 && errno == ENODATA && told < 0));
    if (n < 0)
        return -1;
    long step = atol(value);
    CHECK(n == (step % 2 ? 20 : (ssize_t)sizeof value));
    CHECK(step >= told && step <= told + AHEAD);
    /* the next step may have changed the size, but not the attribute */
    size_t low = cut_size(step), high = cut_size(step + 1);
    if (high < low) {
        size_t swap = low;
        low = high;
        high = swap;
    }
    CHECK((size_t)size >= low && (size_t)size <= high);
    return step;
}

static const struct worker {
    const char *folder;
    void (*step)(long step);
    long (*check)(long told);
} workers[] = {{"log", log_step, log_check},
               {"rename", rename_step, rename_check},
               {"tree", tree_step, tree_check},
               {"cut", cut_step, cut_check}};
#define WORKERS (int)(sizeof workers / sizeof *workers)

static void work(int which, long found)
{
    CHECK(!mkdir(workers[which].folder, 0755) || errno == EEXIST);
    CHECK(!chdir(workers[which].folder));
    if (which == 2 && found >= 2) /* this removal may have been cut */
        tree_remove(found - 2);
    for (long step = found + 1;; step++) {
        workers[which].step(step);
        tell(which, step);
        if (which == 2 && step >= 2)
            tree_remove(step - 2);
    }
}

int main(int argc, char **argv)
{
    CHECK(argc == 3 + WORKERS && !chdir(argv[1]));
    int run = !strcmp(argv[2], "run");
    for (int i = 0; i < WORKERS; i++) {
        long last = atol(argv[3 + i]);
        if (run) {
            pid_t pid = fork();
            CHECK(pid >= 0);
            if (!pid)
                work(i, last);
            continue;
        }
        int there = !chdir(workers[i].folder);
        CHECK(there || (errno == ENOENT && last < 0));
        printf("%ld%c", there ? workers[i].check(last) : -1, i + 1 < WORKERS ? ' ' : '\n');
        CHECK(!there || !chdir(".."));
    }
    for (int status; run && wait(&status) > 0;)
        CHECK(!status);
    return 0;
}
