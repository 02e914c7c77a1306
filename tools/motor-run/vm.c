/* SPDX-License-Identifier: MIT */
/*
 * Starting QEMU for motor-run. The machine itself is described in one place for the whole project,
 * the script qemu.sh; here are only the channel, the forwarded ports and the disks.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <motor/channel.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

const char *sdk_file(const char *relative)
{
    static char path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    if (n <= 0)
        die(STATUS_MACHINE, "cannot find the SDK: /proc/self/exe: %s", strerror(errno));
    path[n] = 0;
    for (int up = 0; up < 2; up++) { /* bin/motor-run -> the SDK's top */
        char *slash = strrchr(path, '/');
        if (slash)
            *slash = 0;
    }
    if (strlen(path) + 1 + strlen(relative) >= sizeof path)
        die(STATUS_MACHINE, "the SDK's path is too long");
    strcat(path, "/");
    strcat(path, relative);
    return strdup(path);
}

struct words { /* argv under construction */
    char *word[LIST_MAX * 4];
    size_t count;
};

__attribute__((format(printf, 2, 3))) static void add(struct words *w, const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        die(STATUS_MACHINE, "out of memory");
    va_end(args);
    if (w->count + 1 == sizeof w->word / sizeof *w->word)
        die(STATUS_MACHINE, "too many options");
    w->word[w->count++] = text;
}

/* A comma inside a QEMU option value is written twice. */
static char *quote_commas(const char *text)
{
    char *quoted = malloc(strlen(text) * 2 + 1), *to = quoted;
    if (!quoted)
        die(STATUS_MACHINE, "out of memory");
    for (; *text; text++) {
        *to++ = *text;
        if (*text == ',')
            *to++ = ',';
    }
    *to = 0;
    return quoted;
}

/* The options of qemu.sh, which describes the machine. */
static void add_machine(struct words *w, const struct run_options *o, int bundle)
{
    char args[4096] = "quiet";
    size_t length = strlen(args);

    for (size_t i = 0; i < o->kernel_args.count; i++) {
        length +=
            (size_t)snprintf(args + length, sizeof args - length, " %s", o->kernel_args.item[i]);
        if (length >= sizeof args)
            die(STATUS_MACHINE, "the kernel command line is too long");
    }
    add(w, "-k%s", sdk_file("share/motor/motor.elf"));
    add(w, "-b/proc/self/fd/%d", bundle);
    add(w, "-A%s", args);
    add(w, "-M%s", o->machine ? o->machine : "microvm");
    add(w, "-m%s", o->memory ? o->memory : "128M");
    add(w, "-c%s", o->cpus ? o->cpus : "1");
    if (o->accel)
        add(w, "-a%s", o->accel);
    if (o->cpu_model)
        add(w, "-C%s", o->cpu_model);
    for (size_t i = 0; i < o->ports.count; i++)
        add(w, "-p%s", o->ports.item[i]);
    add(w, "--");
}

static void add_devices(struct words *w, const struct run_options *o, int channel)
{
    bool mmio = !o->machine || !strcmp(o->machine, "microvm");
    add(w, "-chardev");
    add(w, "socket,id=motor,fd=%d", channel);
    add(w, "-device");
    add(w, mmio ? "virtio-serial-device,max_ports=2"
                : "virtio-serial-pci,max_ports=2,disable-legacy=on");
    add(w, "-device");
    add(w, "virtserialport,nr=%u,chardev=motor", MOTOR_CHANNEL_PORT);
    for (size_t i = 0; i < o->disks.count; i++) {
        add(w, "-drive");
        add(w, "if=none,id=disk%zu,format=%s,file=%s", i,
            strstr(o->disks.item[i], ".qcow2") ? "qcow2" : "raw", quote_commas(o->disks.item[i]));
        add(w, "-device");
        add(w,
            mmio ? "virtio-blk-device,drive=disk%zu"
                 : "virtio-blk-pci,disable-legacy=on,drive=disk%zu",
            i);
    }
}

static void child_exec(const struct run_options *o, int bundle, int channel, int serial)
{
    struct words w = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a killed motor-run leaves no VM behind */
    setpgid(0, 0);                    /* the terminal's Ctrl-C is ours to handle */
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(serial, STDOUT_FILENO);
    dup2(serial, STDERR_FILENO);
    fcntl(bundle, F_SETFD, 0);
    fcntl(channel, F_SETFD, 0);
    add(&w, "%s", sdk_file("libexec/motor/qemu.sh"));
    add_machine(&w, o, bundle);
    add_devices(&w, o, channel);
    execv(w.word[0], w.word);
    fprintf(stderr, "motor-run: %s: %s\n", w.word[0], strerror(errno));
    _exit(STATUS_MACHINE);
}

void vm_start(struct vm *vm, const struct run_options *o, int bundle)
{
    int pair[2], serial[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) || pipe2(serial, O_CLOEXEC))
        die(STATUS_MACHINE, "cannot make a channel: %s", strerror(errno));
    vm->pid = fork();
    if (vm->pid < 0)
        die(STATUS_MACHINE, "cannot start QEMU: %s", strerror(errno));
    if (vm->pid == 0)
        child_exec(o, bundle, pair[1], serial[1]);
    close(pair[1]);
    close(serial[1]);
    vm->channel = pair[0];
    vm->serial = serial[0];
}

void vm_kill(struct vm *vm)
{
    if (vm->pid <= 0)
        return;
    kill(vm->pid, SIGKILL);
    waitpid(vm->pid, NULL, 0);
    vm->pid = -1;
}
