/* SPDX-License-Identifier: MIT */
/*
 * A plugin of QEMU's emulator: how many blocks of code it has translated, and of how many
 * instructions, in a file that the reader maps as well: blocks.so,out=FILE. That is what a start
 * under emulation costs, and unlike its time it is the same on a busy host.
 *
 * What is declared here is of QEMU's qemu-plugin.h, which is not packaged with it. A QEMU that
 * wants another version of that refuses to start.
 */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_info;

PUBLIC extern int qemu_plugin_version;
PUBLIC int qemu_plugin_version = 1;
PUBLIC int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc,
                               char **argv);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*translated)(qemu_plugin_id_t,
                                                              struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);

static struct {
    uint64_t blocks, instructions;
} * counts;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    __atomic_fetch_add(&counts->blocks, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&counts->instructions, qemu_plugin_tb_n_insns(tb), __ATOMIC_RELAXED);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    static const char out[] = "out=";
    (void)info;
    if (argc != 1 || strncmp(argv[0], out, sizeof out - 1) != 0)
        return 1;
    int fd = open(argv[0] + sizeof out - 1, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *counts) < 0)
        return 1;
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (counts == MAP_FAILED)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
