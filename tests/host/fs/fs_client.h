/* SPDX-License-Identifier: MIT */
/*
 * The fs engine as a client sees it: one function a call, through the fake kernel. Paths with
 * length 0 name the object itself.
 */
#ifndef FS_CLIENT_H
#define FS_CLIENT_H

#include "../../../sysio/fs/fs.h"
#include "../lib/fake_kernel.h"

extern uint32_t client_uid, client_gid;
extern motor_handle client_root;

void client_start(void);                                        /* with an empty bundle */
int64_t client_start_bundle(const void *bundle, uint64_t size); /* with this one */
int64_t client_call(motor_handle h, struct motor_msg *m);       /* the status */
int64_t client_path(motor_handle h, uint32_t op, const char *path, uint64_t w0, uint64_t w1,
                    uint64_t w2);
int64_t client_open(motor_handle dir, const char *path, uint32_t flags, uint32_t mode,
                    motor_handle *out);
int64_t client_two(motor_handle a, uint32_t op, const char *old, motor_handle b, const char *new,
                   uint32_t flags);
int64_t client_stat(motor_handle h, const char *path, uint32_t flags, struct io_stat *st);
int64_t client_read(motor_handle h, uint64_t offset, void *buffer, uint64_t size);
int64_t client_write(motor_handle h, uint64_t offset, const void *buffer, uint64_t size,
                     uint32_t flags);
int64_t client_out(motor_handle h, uint32_t op, const char *path, uint64_t w0, void *buffer,
                   uint64_t size);
void client_turn(void);

#endif
