/* SPDX-License-Identifier: MIT */
/*
 * The I/O half of the runtime on the host. seam.c stands in for the other half (threads, memory,
 * time), kernel.c for the kernel, engine.c for the net engine: an unreliable one, which moves bytes
 * in random pieces with random delays. Handles are numbers of kernel.c.
 */
#ifndef POSIX_IO_HOST_H
#define POSIX_IO_HOST_H

#include <motor/abi.h>
#include <motor/io.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

/* seam.c */
void host_start(void);  /* the process and its first thread */
void host_thread(void); /* in each other thread, first of all */
void host_set_nofile(unsigned limit);
extern _Thread_local int host_signal; /* last signal this thread sent to itself */

/* kernel.c */
/* a handle the engine gives out; closing it calls engine_closed(object) */
motor_handle kernel_gate(void *object);
void *kernel_object(motor_handle h);
void *kernel_map_vmo(motor_handle vmo, uint64_t size);
extern unsigned kernel_handles, kernel_entries, kernel_notifies; /* live; counted */
void kernel_wake(uint32_t *word);
/*
 * Where a thread may lose its CPU at the worst time: between a look at a word and the kernel entry
 * that the look was for. Now and then it stays away for up to kernel_pause_us.
 */
void kernel_pause(void);
extern unsigned kernel_pause_us;

/* engine.c */
int64_t engine_call(void *object, struct motor_msg *msg);
void engine_closed(void *object);
void engine_notify(void);
extern void *engine_connector;
void engine_start(bool threaded);
void engine_turn(void);     /* one, when not threaded */
extern bool engine_hostile; /* writes nonsense into slots now and then */
extern unsigned engine_delay_us;

static inline uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* The calls under test: as the runtime's table has them. */
long px_sys_socket(int, int, int);
long px_sys_bind(int, const void *, unsigned);
long px_sys_listen(int, int);
long px_sys_connect(int, const void *, unsigned);
long px_sys_accept4(int, void *, void *, int);
long px_sys_close(int);
long px_sys_read(int, void *, size_t);
long px_sys_write(int, const void *, size_t);
long px_sys_shutdown(int, int);
long px_sys_sendto(int, const void *, size_t, int, const void *, unsigned);
long px_sys_recvfrom(int, void *, size_t, int, void *, void *);
long px_sys_poll(void *, size_t, int);
long px_sys_epoll_create1(int);
long px_sys_epoll_ctl(int, int, int, const void *);
long px_sys_epoll_wait(int, void *, int, int);
long px_sys_eventfd2(unsigned, int);
long px_sys_timerfd_create(int, int);
long px_sys_timerfd_settime(int, int, const void *, void *);
long px_sys_dup(int);
long px_sys_dup2(int, int);
long px_sys_fcntl(int, int, unsigned long);
long px_sys_close_range(unsigned, unsigned, unsigned);

#endif
