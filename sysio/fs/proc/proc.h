/* SPDX-License-Identifier: MIT */
/*
 * /proc: texts made when they are read, as proc(5) describes them.
 *
 *   tree.c         the names: one table of rows, inodes while somebody uses them
 *   process.c      one process as the kernel and its own memory show it
 *   status.c       texts of a process or a thread
 *   memory.c       its mappings and strings
 *   descriptors.c  fd, fdinfo, and the links to files
 *   foreign.c      memory of one process for another: process_vm_readv, process_vm_writev
 *   adjust.c       scheduling and limits of one process, by another
 *   system.c counters.c locks.c net.c   texts of the system
 *
 * Labels, times, threads, mappings and the objects behind handles come from the kernel, so a
 * process cannot forge them. Strings and tables come from the process's memory, by addresses that
 * it has told (struct motor_about): each is bounded, and a wrong one yields nothing. Who may see
 * what is in docs/permissions.md.
 */
#ifndef SYSIO_FS_PROC_H
#define SYSIO_FS_PROC_H

#include "../fs.h"

#include <motor/start.h>

/* ---- texts ---- */

struct text {
    char *bytes;
    size_t size, room;
};

/* Appends; what does not fit in memory is left out. */
__attribute__((format(printf, 2, 3))) void put(struct text *t, const char *format, ...);
void put_bytes(struct text *t, const void *bytes, size_t size);
/* A name that a program chose, in a line of fields: control characters, \ and, if set, ) as '?'. */
void put_name(struct text *t, const char *name, size_t max);

/* ---- process.c ---- */

struct process {
    motor_handle handle;
    struct motor_process_info info;
    struct motor_about about; /* zero when it has told nothing */
    bool asks; /* it is the one who looks: it runs, though it waits for this answer */
};

/*
 * The process in whose memory who asks runs: its own, or its parent's, as long as it is a child
 * between vfork and exec. That is what /proc/self means.
 */
uint32_t process_of(const struct cred *who);

/* start: start_ns that it must have, 0: any. -ESRCH: there is none. */
int process_get(struct process *p, uint32_t pid, uint64_t start);
void process_put(struct process *p);
/* Bytes of its memory; how many could be read. */
size_t process_read(const struct process *p, uint64_t address, void *to, size_t size);
/* root, or the same user and group in every way */
bool process_is_same_user(const struct process *p, const struct cred *who);
/* -EACCES unless `who` may look inside it: itself, root, or the same user if it is not secret. */
int process_may_inspect(const struct process *p, const struct cred *who);

struct thread {
    uint32_t tid; /* as the process tells; the main thread's is the pid */
    struct motor_thread_info info;
    char name[17];
    int32_t nice;
};
/* Fills t with the first thread whose kernel id is at least `id`: false: none. */
bool thread_get(const struct process *p, uint32_t id, struct thread *t);
bool thread_find(const struct process *p, uint32_t tid, struct thread *t);
/* foreign.c: IO_PROCESS_MEMORY's status */
int64_t foreign_memory_call(const struct motor_event *ev, const struct cred *who);

/* adjust.c: IO_PROCESS_ADJUST: answers it */
int64_t adjust_call(const struct motor_event *ev, const struct cred *who);

uint32_t processes_list(uint32_t **pids); /* to be freed; how many */

/* ---- texts of a process; thread: of this one, NULL: of all of it ---- */

typedef void process_text(struct text *t, const struct process *p, const struct thread *thread);
process_text text_stat, text_statm, text_status, text_comm, text_limits, text_io, text_zero;
process_text text_cmdline, text_environ, text_maps, text_wchan, text_cgroup;

/* ---- descriptors.c ---- */

/* The file that a handle of the process names, if it is this engine's; NULL: it is not. */
struct file *process_file(const struct process *p, motor_handle h);
/* links of /proc/PID: a path's length, or a negated errno */
int64_t link_exe(const struct process *p, char *buffer, size_t size);
int64_t link_cwd(const struct process *p, char *buffer, size_t size);
int64_t link_root(const struct process *p, char *buffer, size_t size);
int64_t link_fd(const struct process *p, uint32_t fd, char *buffer, size_t size);
/* the inode that a link leads to, with a reference; NULL: it has none here */
struct inode *inode_of_exe(const struct process *p);
/* the first descriptor that is open, from `fd` on; -1: none */
int64_t fd_next(const struct process *p, uint32_t fd);
void text_fdinfo(struct text *t, const struct process *p, uint32_t fd);

/* ---- texts of the system ---- */

typedef void system_text(struct text *t);
system_text text_meminfo, text_cpuinfo, text_uptime, text_loadavg, text_system_stat, text_vmstat;
system_text text_counters, text_resolv_conf, text_uuid, text_boot_id, text_kernel_cmdline;
system_text text_mounts, text_mountinfo, text_locks, text_partitions;
system_text text_inotify_instances, text_inotify_watches, text_inotify_events;
system_text text_tcp, text_tcp6, text_udp, text_udp6, text_raw, text_raw6, text_unix, text_dev,
    text_route, text_snmp, text_arp, text_if_inet6;

uint64_t ticks(uint64_t ns); /* of 1/100 s, as USER_HZ */

#endif
