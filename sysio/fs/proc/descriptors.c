/* SPDX-License-Identifier: MIT */
/*
 * What a process has open. Its table of descriptors is in its memory; what a handle in it names is
 * the kernel's word: the badge of a gate of this engine leads to the open file, and its path is
 * ours.
 */
#include "proc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FD_MAX (1u << 20)

struct file *process_file(const struct process *p, motor_handle h)
{
    struct motor_gate_info gate = {.handle = h, .endpoint = fs_engine.endpoint};
    if (!h || motor_process_info(p->handle, MOTOR_PINFO_GATE, &gate, sizeof gate) < 0)
        return NULL;
    return badge_get(&fs_engine.badges, gate.badge);
}

static uint64_t read_address(const struct process *p, uint64_t at)
{
    uint64_t word = 0;
    return process_read(p, at, &word, sizeof word) == sizeof word ? word : 0;
}

static uint32_t read_u32(const struct process *p, uint64_t at)
{
    uint32_t word = 0;
    return process_read(p, at, &word, sizeof word) == sizeof word ? word : 0;
}

static int64_t path_of(const struct file *f, char *buffer, size_t size)
{
    char path[2 * IO_PATH_MAX];
    int64_t n = f ? vfs_path(f->inode, path, sizeof path, true) : -ENOENT;
    if (n < 0)
        return n;
    n = (uint64_t)n < size ? n : (int64_t)size;
    memcpy(buffer, path, (size_t)n);
    return n;
}

/* ---- the links ---- */

int64_t link_exe(const struct process *p, char *buffer, size_t size)
{
    return path_of(process_file(p, p->about.exec), buffer, size);
}

struct inode *inode_of_exe(const struct process *p)
{
    struct file *f = process_file(p, p->about.exec);
    return f ? inode_get(f->inode) : NULL;
}

int64_t link_root(const struct process *p, char *buffer, size_t size)
{
    struct inode *root;
    int64_t n = root_find(p->info.root, &root);
    if (n || root) {
        n = n ? n : vfs_path(root, buffer, size, true);
        inode_put(root);
        return n;
    }
    return path_of(process_file(p, p->about.root), buffer, size);
}

int64_t link_cwd(const struct process *p, char *buffer, size_t size)
{
    uint64_t record = read_address(p, p->about.cwd);
    return path_of(process_file(p, record ? read_u32(p, record + p->about.file_handle) : 0), buffer,
                   size);
}

/* ---- descriptors ---- */

static uint64_t record_of(const struct process *p, uint32_t fd)
{
    uint64_t table = read_address(p, p->about.fd_table);
    if (!table || fd >= FD_MAX || fd >= read_u32(p, p->about.fd_end))
        return 0;
    return read_address(p, table + fd * sizeof(uint64_t));
}

int64_t fd_next(const struct process *p, uint32_t fd)
{
    uint64_t piece[512], table = read_address(p, p->about.fd_table);
    uint32_t end = read_u32(p, p->about.fd_end);
    if (!table)
        return -1;
    end = end < FD_MAX ? end : FD_MAX;
    while (fd < end) {
        size_t want = end - fd < 512 ? end - fd : 512;
        size_t got = process_read(p, table + fd * sizeof *piece, piece, want * sizeof *piece);
        for (size_t i = 0; i < got / sizeof *piece; i++)
            if (piece[i])
                return fd + (int64_t)i;
        if (got < want * sizeof *piece)
            return -1;
        fd += (uint32_t)want;
    }
    return -1;
}

int64_t link_fd(const struct process *p, uint32_t fd, char *buffer, size_t size)
{
    char kind[24] = "", text[64];
    uint64_t record = record_of(p, fd) & ~1ull;
    if (!record)
        return -ENOENT;
    motor_handle h = read_u32(p, record + p->about.file_handle);
    struct file *f = process_file(p, h);
    if (f)
        return path_of(f, buffer, size);
    uint64_t ops = read_address(p, record + p->about.file_kind);
    uint64_t name = ops ? read_address(p, ops + p->about.kind_name) : 0;
    process_read(p, name, kind, sizeof kind - 1);
    for (char *c = kind; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '[' || *c == ']')
            *c = 0;
    /* the description names a socket or a pipe as long as it is open */
    uint64_t description = read_address(p, record + p->about.file_description);
    bool anonymous = !h || !strcmp(kind, "eventfd") || !kind[0];
    int n = anonymous ? snprintf(text, sizeof text, "anon_inode:[%s]", kind)
                      : snprintf(text, sizeof text, "%s:[%llu]", kind,
                                 (unsigned long long)(description >> 6 & 0xffffff));
    size_t length = (size_t)n < size ? (size_t)n : size;
    memcpy(buffer, text, length);
    return (int64_t)length;
}

void text_fdinfo(struct text *t, const struct process *p, uint32_t fd)
{
    uint64_t record = record_of(p, fd), position = 0;
    uint64_t description =
        record ? read_address(p, (record & ~1ull) + p->about.file_description) : 0;
    if (!description)
        return;
    process_read(p, description + p->about.description_position, &position, sizeof position);
    uint32_t flags = read_u32(p, description + p->about.description_flags);
    put(t, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t1\n", (unsigned long long)position,
        flags | (record & 1 ? 02000000u : 0));
}
