/* SPDX-License-Identifier: MIT */
#include "fs_client.h"
#include "../../../sysio/tty/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <motor/bundle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t client_uid, client_gid;
motor_handle client_root;

/* The tty engine is not part of these tests. */
int64_t tty_open_device(uint32_t op, uint32_t number, const struct tty_opener *who,
                        uint64_t word[2])
{
    (void)op, (void)number, (void)who, (void)word;
    return -ENXIO;
}

int64_t tty_of_session(uint32_t session, struct tty_session *out)
{
    (void)session, (void)out;
    return -ENXIO;
}

int64_t tty_ask(struct motor_msg *m)
{
    (void)m;
    return -ENXIO;
}

struct engine tty_engine; /* has no endpoint: nobody gets a gate of it */

uint32_t pty_generation(uint32_t number)
{
    (void)number;
    return 0;
}

void client_turn(void)
{
    engine_turn(&fs_engine, false);
}

int64_t client_start_bundle(const void *bundle, uint64_t size)
{
    if (!fs_init(bundle, size, fake_vmo_of(bundle, size)))
        return -1;
    int64_t h = fs_open_handle("/", O_PATH | O_DIRECTORY, false);
    client_root = (motor_handle)h;
    return h;
}

void client_start(void)
{
    static struct motor_bundle_header header __attribute__((aligned(4096)));
    static uint8_t page[4096] __attribute__((aligned(4096)));
    header = (struct motor_bundle_header){.magic = MOTOR_BUNDLE_MAGIC,
                                          .version = MOTOR_BUNDLE_VERSION,
                                          .total_size = 4096,
                                          .entries_offset = 64,
                                          .names_offset = 64,
                                          .hash = motor_bundle_hash(page, 0)};
    memcpy(page, &header, sizeof header);
    if (client_start_bundle(page, sizeof page) < 0)
        abort();
}

int64_t client_call(motor_handle h, struct motor_msg *m)
{
    m->deadline = MOTOR_NEVER;
    fake_call(h, m, client_uid, client_gid, client_turn);
    return m->status;
}

int64_t client_path(motor_handle h, uint32_t op, const char *path, uint64_t w0, uint64_t w1,
                    uint64_t w2)
{
    struct motor_msg m = {.op = op, .word = {w0, w1, w2}, .in = path, .in_size = strlen(path)};
    int64_t status = client_call(h, &m);
    for (uint32_t i = 0; i < m.nhandles; i++)
        fake_close(m.handle[i]);
    return status;
}

int64_t client_open(motor_handle dir, const char *path, uint32_t flags, uint32_t mode,
                    motor_handle *out)
{
    struct io_stat st;
    struct motor_msg m = {.op = IO_OPEN,
                          .word = {flags, mode},
                          .in = path,
                          .in_size = strlen(path),
                          .out = &st,
                          .out_size = sizeof st};
    int64_t status = client_call(dir, &m);
    *out = status == 0 ? m.handle[0] : 0;
    return status;
}

int64_t client_two(motor_handle a, uint32_t op, const char *old, motor_handle b, const char *new,
                   uint32_t flags)
{
    char both[16384];
    size_t n = strlen(old), k = strlen(new);
    memcpy(both, old, n);
    memcpy(both + n, new, k);
    struct motor_msg m = {.op = op,
                          .word = {n, flags},
                          .in = both,
                          .in_size = n + k,
                          .nhandles = b != 0,
                          .handle = {b}};
    return client_call(a, &m);
}

int64_t client_out(motor_handle h, uint32_t op, const char *path, uint64_t w0, void *buffer,
                   uint64_t size)
{
    struct motor_msg m = {.op = op,
                          .word = {w0},
                          .in = path,
                          .in_size = strlen(path),
                          .out = buffer,
                          .out_size = size};
    return client_call(h, &m);
}

int64_t client_stat(motor_handle h, const char *path, uint32_t flags, struct io_stat *st)
{
    return client_out(h, IO_STAT, path, flags, st, sizeof *st);
}

int64_t client_read(motor_handle h, uint64_t offset, void *buffer, uint64_t size)
{
    return client_out(h, IO_READ, "", offset, buffer, size);
}

int64_t client_write(motor_handle h, uint64_t offset, const void *buffer, uint64_t size,
                     uint32_t flags)
{
    struct motor_msg m = {.op = IO_WRITE, .word = {offset, flags}, .in = buffer, .in_size = size};
    return client_call(h, &m);
}
