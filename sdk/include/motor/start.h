/* SPDX-License-Identifier: MIT */
/*
 * How a POSIX process begins.
 *
 * The runtime image (MOTOR_BUNDLE_RUNTIME) is a static PIE without PT_INTERP. The system's first
 * programs are started by sysio: it creates a process, maps the image's segments into it at a
 * random base (text shared, data private), maps a start block (a vmo filled with struct motor_start
 * and what it points to by offsets) read-write private, installs the handles that the block names,
 * and starts one thread at the image's entry with rdi = address of the start block, rsi = base of
 * the runtime image, on a small stack of at least 64 KiB. The runtime relocates itself, makes what
 * is the same in every process, and leaves its memory to the kernel as the template
 * (MOTOR_PSET_TEMPLATE).
 *
 * All later programs begin in a process made from the template: whoever execs maps the start block
 * there and starts the thread with MOTOR_THREAD_FROM_TEMPLATE and the block's address as its first
 * argument. From there on all go the same way: the runtime maps the program's ELF from the `exec`
 * handle, builds the Linux initial stack (argc, argv, envp, auxv) and jumps to the program.
 */
#ifndef MOTOR_START_H
#define MOTOR_START_H

#include <motor/abi.h>

#define MOTOR_START_MAGIC 0x5452415453544f4dull /* "MOTSTART" */

/* Protocol a file descriptor's handle speaks; see <motor/io.h>. */
#define MOTOR_FD_FILE   1u /* fs engine: regular file, directory, device */
#define MOTOR_FD_TTY    2u /* tty engine: terminal, pipe or motor-run channel; call mode, see io.h */
#define MOTOR_FD_SOCKET 3u /* net engine */
#define MOTOR_FD_PIPE   4u /* tty engine: an end of a pipe or FIFO */
#define MOTOR_FD_UNIX   5u /* tty engine: UNIX socket; word[0]: its SOCK_* type */
/* tty engine: IO_EVENT; word[0]: IO_EVENT_*, word[1]: clock of a timer */
#define MOTOR_FD_EVENT  7u
#define MOTOR_FD_FIFO   6u /* of no descriptor: a rendezvous (<motor/io.h>), from IO_OPEN */

/*
 * A descriptor on its way to another program: in a start block, or in a message. Two with the same
 * handle are one description.
 */
struct motor_start_fd {
    int32_t fd;
    uint32_t protocol;
    motor_handle handle;
    uint32_t flags;      /* O_* status flags as for fcntl(F_GETFL), plus bit 31: FD_CLOEXEC */
    uint64_t offset;     /* file offset */
    motor_handle second; /* the protocol's: a memory object; 0: none */
    uint32_t reserved;
    uint64_t word[2]; /* the protocol's */
};
_Static_assert(sizeof(struct motor_start_fd) == 48, "ABI");

struct motor_start {
    uint64_t magic;
    uint32_t size;              /* of the whole block in bytes */
    uint32_t flags;             /* MOTOR_START_* */
    motor_handle reserved_self; /* 0: a process gets a handle to itself by motor_handle_dup(0) */
    motor_handle root;          /* fs engine: directory "/" */
    motor_handle cwd;           /* fs engine: working directory */
    motor_handle net;           /* net engine connector gate (IO_SESSION_OPEN, IO_SOCKET) */
    motor_handle tty;           /* tty engine connector gate */
    motor_handle exec;          /* fs engine: the program file, open for execution */
    motor_handle trace;         /* tty engine: where --trace lines go, 0: no tracing */
    uint32_t argc, argv; /* argv: offset of argc NUL-terminated strings, one after the other */
    uint32_t envc, envp; /* likewise */
    uint32_t exec_path;  /* offset of a string (AT_EXECFN) */
    /* offset and bytes of what the runtime has read in the program file's headers; 0: read them */
    uint32_t program, program_size;
    uint32_t cwd_path;      /* offset of a string */
    uint32_t fds, fd_table; /* count; offset of struct motor_start_fd[] */
    uint32_t pid, ppid, pgid, sid;
    uint32_t uid, euid, gid, egid;
    uint32_t umask;
    uint64_t signal_ignored; /* bit n-1: signal n is SIG_IGN */
    uint64_t signal_blocked;
    uint64_t rlimit[16][2]; /* soft and hard, by Linux RLIMIT_ numbers */
    int32_t nice;
    uint32_t policy; /* as in struct motor_tcb */
    uint8_t no_new_privs, subreaper, death_signal, reserved;
    uint64_t timer_slack;
    uint64_t alarm[2];               /* ITIMER_REAL: ns left (0: not armed) and interval */
    motor_handle presence;           /* fs engine: see IO_PRESENCE; 0: none yet */
    motor_handle image;              /* vmo with the program file's bytes; 0: by IO_MAP from exec */
    uint64_t image_base, image_size; /* offset of byte 0 in it; the file's size */
};

/*
 * What a process tells about itself, for /proc: the kernel keeps the address (MOTOR_PSET_ABOUT),
 * the fs engine reads it, and what it leads to, from the process's memory whenever somebody looks.
 * All of it is the process's own word; addresses are of its memory, 0: none.
 */
struct motor_about {
    uint64_t arg_start, arg_end, env_start, env_end; /* strings, one after the other */
    uint64_t code_start, code_end;                   /* of the program */
    uint64_t brk_start, brk;                         /* brk: address of a uint64_t, the break */
    uint64_t stack;                                  /* where the program's began */
    uint64_t limits;                                 /* address of uint64_t[16][2]: soft, hard */
    uint64_t umask;                                  /* address of a uint32_t */
    motor_handle exec, root;                         /* fs engine: the program file, "/" */
    /*
     * Descriptors: fd_table is the address of the address of an array of uint64_t, each the address
     * of a file's record (bit 0: close-on-exec) or 0; fd_end the address of a uint32_t, their
     * number; cwd the address of the address of the working directory's record.
     */
    uint64_t fd_table, fd_end, cwd;
    /* offsets in a record: of the handle (uint32_t), of the addresses of what follows */
    uint16_t file_handle, file_kind, file_description;
    uint16_t kind_name;                               /* in a kind: address of a string */
    uint16_t description_flags, description_position; /* uint32_t O_*, uint64_t */
    uint16_t reserved[2];
};

#define MOTOR_START_RLIMITS        (1u << 0) /* rlimit[] is meaningful */
/* at the end, report calls that were not implemented (motor-run --missing) */
#define MOTOR_START_REPORT_MISSING (1u << 1)
/* a set-id program: pid and ids are to be asked of the kernel, the strings are anybody's */
#define MOTOR_START_SET_ID         (1u << 2)

/*
 * MOTOR_BUNDLE_RUN: what sysio starts first. Then argc NUL-terminated strings, then envc. argv[0]
 * first; the program file is `path` (first string of all, before argv).
 */
/*
 * Files MOTOR_BUNDLE_RUN ".1" and so on, of the same form, name programs that are started beside
 * it; the machine ends with the first.
 */
#define MOTOR_RUN_COMPANIONS 9u
#define MOTOR_RUN_MAGIC      0x4e5552544f4dull
struct motor_run {
    uint64_t magic;
    uint32_t flags; /* MOTOR_RUN_* */
    uint32_t argc, envc;
    uint32_t reserved;
};
/* stdio goes over the virtio console channel (<motor/channel.h>), else over the serial console */
#define MOTOR_RUN_CHANNEL (1u << 0)
#define MOTOR_RUN_TRACE   (1u << 1)
#define MOTOR_RUN_MISSING (1u << 2)
/* it is process 1 (MOTOR_PROCESS_INIT), whose children orphans become; not for companions */
#define MOTOR_RUN_INIT    (1u << 3)
/*
 * When the program ends: with CHANNEL an EXIT frame is sent; then the VM powers off (status 0 of
 * QEMU when the program exited 0 or with CHANNEL).
 */

#endif
