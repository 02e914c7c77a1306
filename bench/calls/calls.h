/* SPDX-License-Identifier: MIT */
/*
 * calls: what single calls cost, one POSIX program for every system that is compared. A row is set
 * up, run some number of times, and taken down; main.c measures and answers on TCP port 7000.
 *
 * A row that cannot be done here ends in fail() from setup or run: ENOSYS and its relatives are
 * told as "unsupported", so a row appears by itself when its feature does.
 */
#ifndef CALLS_H
#define CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct row {
    const char *name;
    void (*setup)(void); /* may be NULL */
    void (*run)(uint64_t n);
    void (*teardown)(void); /* may be NULL */
    uint64_t per;           /* operations for each of n, 0: one */
};

/* A row of memory: how many bytes of the machine `n` of a thing take. hold() makes them. */
struct memory_row {
    const char *name;
    unsigned count;
    void (*hold)(unsigned n);
    void (*release)(void);
};

extern const struct row process_rows[], memory_rows[], file_rows[], stream_rows[], event_rows[],
    http_rows[], disk_rows[];
extern const struct memory_row holding_rows[];

/* Ends the row with errno, not to return. Only for the thread that runs rows. */
_Noreturn void fail(const char *what);

/* The value, or the end of the row if it is negative. */
static inline int must(long value, const char *what)
{
    if (value < 0)
        fail(what);
    return (int)value;
}

/* A thread of a row; joined by thread_end(). */
void thread_begin(void *(*start)(void *), void *argument);
void thread_end(void);

/* Where files of the rows are made, at first. */
#define CALLS_FOLDER "/tmp/calls"

/* Makes a folder, and files in it from now on; false: errno. */
bool files_folder(const char *path);

/* What `calls exit` is: a process that ends at once, for the exec and spawn rows. */
extern char *const calls_exit_argv[];

#endif
