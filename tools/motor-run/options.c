/* SPDX-License-Identifier: MIT */
/* The command line of motor-run. Options end at PROGRAM: what follows belongs to the program. */
#include "run.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: motor-run [OPTION]... PROGRAM [ARGUMENT]...\n"
    "Boots a Motor VM with PROGRAM (built by motor-cc) in it, joins stdin, stdout and stderr, and ends with\n"
    "the program's exit status: 128+N after signal N, 124 on timeout, 125 when the machine failed,\n"
    "126 when PROGRAM cannot be executed, 127 when it does not exist.\n"
    "\n"
    "  -t SECONDS             end the VM after this time\n"
    "  -m MEMORY              memory, as QEMU takes it (default 128M)\n"
    "  -c CPUS                number of CPUs (default 1)\n"
    "  -p HOST:GUEST          forward 127.0.0.1:HOST to the VM's TCP port GUEST; repeatable\n"
    "  -f HOSTFILE:GUESTPATH  put a file or folder into the VM; repeatable\n"
    "  -d DISK                attach a disk image; repeatable\n"
    "  -M, --machine NAME     microvm (default), q35 or pc\n"
    "      --accel NAME       kvm, tcg or auto (default)\n"
    "      --cpu MODEL        QEMU's CPU model (default: host with KVM, else max)\n"
    "      --kernel-arg WORD  a word for the kernel command line, such as ip=10.0.2.15/24:10.0.2.2; repeatable\n"
    "      --trace[=FILE]     print each POSIX call, decoded, to stderr or FILE\n"
    "      --missing          list the calls that the program made and Motor lacks, on stderr\n"
    "  -v, --verbose          show the VM's serial line on stderr\n"
    "  -h, --help             show this\n";

enum { OPT_ACCEL = 256, OPT_CPU, OPT_KERNEL_ARG, OPT_TRACE, OPT_MISSING };

static const struct option long_options[] = {
    {"accel", required_argument, NULL, OPT_ACCEL},
    {"cpu", required_argument, NULL, OPT_CPU},
    {"kernel-arg", required_argument, NULL, OPT_KERNEL_ARG},
    {"trace", optional_argument, NULL, OPT_TRACE},
    {"missing", no_argument, NULL, OPT_MISSING},
    {"machine", required_argument, NULL, 'M'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static void list_add(struct list *list, const char *item, const char *option)
{
    if (list->count == LIST_MAX)
        die(STATUS_MACHINE, "more than %d times %s", LIST_MAX, option);
    list->item[list->count++] = item;
}

static double parse_seconds(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds > 0))
        die(STATUS_MACHINE, "-t wants a number of seconds above 0, not '%s'", text);
    return seconds;
}

static const char *need_colon(const char *text, const char *form)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || !colon[1])
        die(STATUS_MACHINE, "'%s' should be %s", text, form);
    return text;
}

static const char *need_port_pair(const char *text)
{
    char *end;
    unsigned long host = strtoul(text, &end, 10);
    unsigned long guest = *end == ':' ? strtoul(end + 1, &end, 10) : 0;
    if (*end || host == 0 || host > 65535 || guest == 0 || guest > 65535)
        die(STATUS_MACHINE, "-p wants HOST:GUEST with ports from 1 to 65535, not '%s'", text);
    return text;
}

static void option_apply(struct run_options *o, int option)
{
    switch (option) {
    case 't':
        o->timeout = parse_seconds(optarg);
        break;
    case 'm':
        o->memory = optarg;
        break;
    case 'c':
        o->cpus = optarg;
        break;
    case 'p':
        list_add(&o->ports, need_port_pair(optarg), "-p");
        break;
    case 'f':
        list_add(&o->files, need_colon(optarg, "HOSTFILE:GUESTPATH"), "-f");
        break;
    case 'd':
        list_add(&o->disks, optarg, "-d");
        break;
    case 'M':
        o->machine = optarg;
        break;
    case OPT_ACCEL:
        o->accel = optarg;
        break;
    case OPT_CPU:
        o->cpu_model = optarg;
        break;
    case OPT_KERNEL_ARG:
        list_add(&o->kernel_args, optarg, "--kernel-arg");
        break;
    case OPT_TRACE:
        o->trace = true;
        o->trace_path = optarg;
        break;
    case OPT_MISSING:
        o->missing = true;
        break;
    case 'v':
        o->verbose = true;
        break;
    case 'h':
        fputs(usage, stdout);
        exit(0);
    default:
        fputs("motor-run: --help shows the options\n", stderr);
        exit(STATUS_MACHINE);
    }
}

void options_parse(struct run_options *o, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "+t:m:c:p:f:d:M:vh", long_options, NULL)) != -1)
        option_apply(o, option);
    if (optind == argc) {
        fputs(usage, stderr);
        exit(STATUS_MACHINE);
    }
    o->argv = argv + optind;
}
