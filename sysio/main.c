/* SPDX-License-Identifier: MIT */
/*
 * sysio: the I/O server, and the first process. Finds the devices, starts the engines (net, fs,
 * tty: one thread each), then the program that the bundle names; when that ends, the machine ends.
 */
#include "base/engine.h"
#include "fs/fs.h"
#include "start/start.h"
#include "tty/tty.h"
#include "virtio/virtio.h"

#include <motor/bundle.h>
#include <stdarg.h>
#include <stdio.h>

/* net: absent from a build without it. Result: a connector gate, or 0. */
__attribute__((weak)) motor_handle net_start(void);

static void device_log(const char *format, ...)
{
    char line[200];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_info("virtio", "%s", line);
}

int main(void)
{
    const struct motor_boot_info *boot = boot_info();
    struct start_run run = {0};
    uint64_t size = boot->bundle_size;
    int64_t at =
        motor_map(0, MOTOR_BOOT_BUNDLE, 0, 0,
                  (size + MOTOR_PAGE_SIZE - 1) & ~(uint64_t)(MOTOR_PAGE_SIZE - 1), MOTOR_PROT_READ);
    if (at < 0) {
        log_error("sysio", "the bundle cannot be mapped (%lld)", (long long)at);
        motor_power(MOTOR_BOOT_HARDWARE, MOTOR_POWER_EXIT, 1);
    }
    const void *bundle = (const void *)at;
    const char *problem = start_read(bundle, size, MOTOR_BUNDLE_RUN, &run);
    boot_trace("sysio runs");
    virtio_scan(boot->rsdp, boot->cmdline, device_log);
    boot_trace("devices");
    if (!tty_init(run.flags & MOTOR_RUN_CHANNEL) || !fs_init(bundle, size, MOTOR_BOOT_BUNDLE) ||
        !engine_start(&tty_engine, 128 << 10)) {
        log_error("sysio", "the system cannot start");
        motor_power(MOTOR_BOOT_HARDWARE, MOTOR_POWER_EXIT, 1);
    }
    if (problem)
        start_failed(0, problem);
    boot_trace("terminals and files");
    motor_handle net = net_start ? net_start() : 0;
    boot_trace("network");
    start_program(bundle, size, &run, net);
}
