/* SPDX-License-Identifier: MIT */
/*
 * What the VM starts from: the SDK's base bundle, PROGRAM, the files of -f, and the run description
 * with arguments and environment, written to a memory file that QEMU reads.
 *
 * PROGRAM is checked here as far as its ELF header tells, so that the usual mistakes need no VM to
 * be named.
 */
#include "run.h"

#include "../bundle.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <motor/start.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static void check(struct bundle *b, bool ok)
{
    if (!ok)
        die(STATUS_MACHINE, "%s", bundle_error(b));
}

static void program_check(const char *program)
{
    Elf64_Ehdr header;
    struct stat st;
    int fd = open(program, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die(errno == ENOENT || errno == ENOTDIR ? STATUS_NOT_FOUND : STATUS_NOT_PROGRAM, "%s: %s",
            program, strerror(errno));
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
        die(STATUS_NOT_PROGRAM, "%s: not a regular file", program);
    ssize_t n = read(fd, &header, sizeof header);
    close(fd);
    if (n < (ssize_t)SELFMAG || memcmp(header.e_ident, ELFMAG, SELFMAG))
        die(STATUS_NOT_PROGRAM, "%s: not an ELF program", program);
    if (n != (ssize_t)sizeof header || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_machine != EM_X86_64)
        die(STATUS_NOT_PROGRAM,
            "%s: an ELF file for another machine (Motor runs 64-bit x86-64 programs)", program);
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
        die(STATUS_NOT_PROGRAM, "%s: an ELF file, but not a program", program);
}

static void add_file(struct bundle *b, const char *pair)
{
    char host[PATH_MAX];
    struct stat st;
    const char *guest = strrchr(pair, ':') + 1;
    size_t n = (size_t)(guest - 1 - pair);
    if (n >= sizeof host)
        die(STATUS_MACHINE, "-f %s: the path is too long", pair);
    memcpy(host, pair, n);
    host[n] = 0;
    if (guest[0] != '/')
        die(STATUS_MACHINE, "-f %s: the path in the VM must begin with /", pair);
    if (stat(host, &st) < 0)
        die(STATUS_MACHINE, "-f %s: %s", pair, strerror(errno));
    check(b, S_ISDIR(st.st_mode) ? bundle_add_tree(b, guest, host)
                                 : bundle_add_file(b, guest, host, BUNDLE_MODE_OF_FILE));
}

int package_build(const struct run_options *o)
{
    char guest[PATH_MAX];
    const char *program = o->argv[0], *slash = strrchr(program, '/');
    struct bundle *b = bundle_new();
    uint32_t flags =
        MOTOR_RUN_CHANNEL | (o->trace ? MOTOR_RUN_TRACE : 0) | (o->missing ? MOTOR_RUN_MISSING : 0);

    program_check(program);
    if ((size_t)snprintf(guest, sizeof guest, "/usr/bin/%s", slash ? slash + 1 : program) >=
        sizeof guest)
        die(STATUS_NOT_PROGRAM, "%s: the name is too long", program);
    check(b, bundle_add_bundle(b, sdk_file("share/motor/base.bundle")));
    check(b, bundle_add_file(b, guest, program, 0755));
    for (size_t i = 0; i < o->files.count; i++)
        add_file(b, o->files.item[i]);
    check(b, bundle_set_run(b, 0, flags, guest, o->argv, environ));
    int fd = memfd_create("motor-bundle", MFD_CLOEXEC);
    if (fd < 0)
        die(STATUS_MACHINE, "cannot make a memory file: %s", strerror(errno));
    check(b, bundle_write(b, fd));
    bundle_free(b);
    return fd;
}
