/* SPDX-License-Identifier: MIT */
/* The command line of motor-image. */
#include "image.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: motor-image -o OUT [OPTION]...\n"
    "Makes a bootable disk of the base system and packages, without root: OUT, and a description of\n"
    "a machine for libvirt beside it. The same contents make the same image.\n"
    "\n"
    "  -o OUT            the image; a name that ends in .qcow2 makes it one of that format\n"
    "  -s SIZE           size of the disk, such as 512M or 2G (default: as the contents need,\n"
    "                    and as much again)\n"
    "  --package PATH    a package, a folder or an .mpk archive; repeatable\n"
    "  --init COMMAND    what process 1 runs, words split at blanks (default: /sbin/init)\n"
    "  --append WORDS    more words for the kernel's command line\n"
    "  --format NAME     raw or qcow2, whatever OUT is called\n"
    "  -h, --help        show this\n";

enum { OPT_PACKAGE = 256, OPT_INIT, OPT_APPEND, OPT_FORMAT };

static const struct option long_options[] = {
    {"package", required_argument, NULL, OPT_PACKAGE},
    {"init", required_argument, NULL, OPT_INIT},
    {"append", required_argument, NULL, OPT_APPEND},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"help", no_argument, NULL, 'h'},
    {0},
};

__attribute__((noreturn)) static void misused(const char *what)
{
    fprintf(stderr, "motor-image: %s\n%s", what, usage);
    exit(2);
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && !strcmp(text + n - m, end);
}

static void option_apply(struct options *o, int option, const char **format)
{
    switch (option) {
    case 'o':
        o->out = optarg;
        return;
    case 's':
        o->size = size_parse(optarg);
        if (!o->size || o->size % MIB)
            misused("-s wants a size in whole MiB, such as 512M");
        return;
    case OPT_PACKAGE:
        if (o->package_count == PACKAGES_MAX)
            misused("too many packages");
        o->packages[o->package_count++] = optarg;
        return;
    case OPT_INIT:
        o->init = optarg;
        return;
    case OPT_APPEND:
        o->cmdline = optarg;
        return;
    case OPT_FORMAT:
        if (strcmp(optarg, "raw") && strcmp(optarg, "qcow2"))
            misused("--format is raw or qcow2");
        *format = optarg;
        return;
    case 'h':
        fputs(usage, stdout);
        exit(0);
    default:
        fputs("motor-image: --help shows the options\n", stderr);
        exit(2);
    }
}

void options_parse(struct options *o, int argc, char **argv)
{
    const char *format = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "o:s:h", long_options, NULL)) != -1)
        option_apply(o, option, &format);
    if (optind < argc)
        misused("packages are given by --package");
    if (!o->out)
        misused("-o OUT is missing");
    o->qcow2 = format ? !strcmp(format, "qcow2") : ends_in(o->out, ".qcow2");
}
