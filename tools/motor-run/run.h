/* SPDX-License-Identifier: MIT */
/*
 * motor-run: boots a VM with one program in it and joins its standard streams. Shared by its files.
 */
#ifndef MOTOR_RUN_RUN_H
#define MOTOR_RUN_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STATUS_TIMEOUT     124 /* -t expired */
#define STATUS_MACHINE     125 /* the VM or motor-run itself failed */
#define STATUS_NOT_PROGRAM 126 /* PROGRAM cannot be executed here */
#define STATUS_NOT_FOUND   127 /* PROGRAM does not exist */

#define LIST_MAX 256

struct list { /* repeated options, in the order given */
    const char *item[LIST_MAX];
    size_t count;
};

struct run_options {
    double timeout; /* seconds; 0: none */
    const char *memory, *cpus, *machine, *accel, *cpu_model;
    struct list ports; /* HOST:GUEST */
    struct list files; /* HOSTFILE:GUESTPATH */
    struct list disks;
    struct list kernel_args; /* words for the kernel command line */
    bool trace, missing, verbose;
    const char *trace_path; /* NULL: stderr */
    char **argv;            /* PROGRAM and its arguments */
};

struct vm {
    pid_t pid;
    int channel; /* our end of the channel's socket */
    int serial;  /* read end: what the VM says on its serial line */
};

/* options.c: fills *o or exits with a usage message (status 125; --help: 0). */
void options_parse(struct run_options *o, int argc, char **argv);

/*
 * package.c: the boot bundle with PROGRAM and the files in it, as an open memory file. Exits on
 * errors of the user.
 */
int package_build(const struct run_options *o);

/* vm.c */
void vm_start(struct vm *vm, const struct run_options *o, int bundle);
void vm_kill(struct vm *vm);
const char *sdk_file(const char *relative); /* a path below the SDK that this tool stands in */

/* pump.c: moves bytes until the program ends; returns motor-run's exit status. */
int pump(struct vm *vm, const struct run_options *o);

/* main.c: prints "motor-run: ..." on stderr and exits with `status`. */
__attribute__((noreturn, format(printf, 2, 3))) void die(int status, const char *format, ...);

#endif
