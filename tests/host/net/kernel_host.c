/* SPDX-License-Identifier: MIT */
/*
 * What rings on loan (sysio/base/lend.c) ask of the kernel, on the host: memory objects, which are
 * never given back, for who had one on loan may look at it for ever.
 */
#define _GNU_SOURCE
#include "../../../sysio/base/engine.h"
#include "host.h"
#include "port.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int64_t object_new(uint64_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    motor_handle h = memory == MAP_FAILED ? 0 : host_object(memory);
    return h ? (int64_t)h : -MOTOR_ENOMEM;
}

static int64_t control(uint8_t *memory, uint64_t op, uint64_t offset, uint64_t length, void *buffer)
{
    switch (op) {
    case MOTOR_VMO_CHARGE:
    case MOTOR_VMO_COMMIT:
        return 0;
    case MOTOR_VMO_READ:
        memcpy(buffer, memory + offset, length);
        return (int64_t)length;
    case MOTOR_VMO_WRITE:
        memcpy(memory + offset, buffer, length);
        return (int64_t)length;
    default:
        abort();
    }
}

int64_t motor_raw_syscall(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                          uint64_t f)
{
    (void)f;
    switch (n) {
    case MOTOR_SYS_vmo_create:
        return object_new(a);
    case MOTOR_SYS_vmo_control:
        return control(host_memory((motor_handle)a), b, c, d, (void *)e);
    case MOTOR_SYS_map: /* from its beginning */
        return (int64_t)host_memory((motor_handle)b);
    case MOTOR_SYS_unmap:
    case MOTOR_SYS_futex_wake: /* nobody sleeps here */
        return 0;
    case MOTOR_SYS_handle_dup: {
        motor_handle h = host_object(host_memory((motor_handle)a));
        return h ? (int64_t)h : -MOTOR_ENOMEM;
    }
    case MOTOR_SYS_handle_close:
        port_handle_close((motor_handle)a);
        return 0;
    default:
        fprintf(stderr, "kernel_host.c: call %llu\n", (unsigned long long)n);
        abort();
    }
}

bool memory_low(void)
{
    return false;
}

void counter_register(const char *engine, const char *name, const uint64_t *value)
{
    (void)engine, (void)name, (void)value;
}
