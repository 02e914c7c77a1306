/* SPDX-License-Identifier: MIT */
/* mkbundle: makes a boot bundle; see usage() below. */
#include "bundle.h"

#include <fcntl.h>
#include <getopt.h>
#include <motor/start.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((noreturn)) static void usage(void)
{
    fputs(
        "usage: mkbundle [OPTION]... OUT [-- PROGRAM [ARG0 [ARG]...]]\n"
        "  -i BUNDLE                what another bundle holds\n"
        "  -f HOSTFILE:PATH[:MODE]  a file; its mode is the host's unless given (octal)\n"
        "  -d HOSTDIR:PATH          a folder and all that is in it\n"
        "  -m PATH[:MODE]           an empty directory\n"
        "  -l TARGET:PATH           a symbolic link\n"
        "  -e NAME=VALUE            environment of PROGRAM\n"
        "  -1                       PROGRAM is process 1: orphans become its children\n"
        "  -w 'PROGRAM [ARG]...'    a program that runs beside PROGRAM, split at blanks; up to nine\n"
        "PROGRAM is the guest's path of what is started; ARG0 is PROGRAM if not given.\n"
        "Later options replace what earlier ones put at the same path.\n",
        stderr);
    exit(2);
}

/* Splits "a:b" or "a:b:MODE" in place; returns b, and the mode if there is one. */
static char *split(char *argument, mode_t *mode)
{
    char *second = strchr(argument, ':');
    if (!second)
        usage();
    *second++ = 0;
    char *third = mode ? strrchr(second, ':') : NULL;
    if (third) {
        char *end;
        *mode = (mode_t)strtoul(third + 1, &end, 8);
        if (*end || end == third + 1)
            usage();
        *third = 0;
    }
    return second;
}

static bool apply(struct bundle *b, int option, char *argument)
{
    mode_t mode = BUNDLE_MODE_OF_FILE;
    char *second;
    switch (option) {
    case 'i':
        return bundle_add_bundle(b, argument);
    case 'f':
        second = split(argument, &mode);
        return bundle_add_file(b, second, argument, mode);
    case 'd':
        second = split(argument, NULL);
        return bundle_add_tree(b, second, argument);
    case 'm':
        mode = 0755;
        if (strchr(argument, ':'))
            mode = (mode_t)strtoul(split(argument, NULL), NULL, 8);
        return bundle_add_directory(b, argument, mode);
    case 'l':
        second = split(argument, NULL);
        return bundle_add_symlink(b, second, argument);
    }
    usage();
}

static void check(bool ok, struct bundle *b)
{
    if (!ok) {
        fprintf(stderr, "mkbundle: %s\n", bundle_error(b));
        exit(1);
    }
}

/* The n-th companion: its words, of which the first is its path. */
static bool add_companion(struct bundle *b, uint32_t n, char *words)
{
    char *args[64], *none[] = {NULL};
    size_t count = 0;
    for (char *word = strtok(words, " "); word && count < 63; word = strtok(NULL, " "))
        args[count++] = word;
    args[count] = NULL;
    if (!count || n > MOTOR_RUN_COMPANIONS)
        usage();
    return bundle_set_run(b, n, 0, args[0], args, none);
}

int main(int argc, char **argv)
{
    struct bundle *b = bundle_new();
    char *environment[argc + 1];
    size_t variables = 0;
    uint32_t companions = 0, flags = 0;
    for (int option; (option = getopt(argc, argv, "+i:f:d:m:l:e:w:1")) != -1;) {
        if (option == 'e')
            environment[variables++] = optarg;
        else if (option == '1')
            flags |= MOTOR_RUN_INIT;
        else if (option == 'w')
            check(add_companion(b, ++companions, optarg), b);
        else
            check(apply(b, option, optarg), b);
    }
    environment[variables] = NULL;
    if (optind >= argc)
        usage();
    const char *out = argv[optind++];
    if (optind < argc && !strcmp(argv[optind], "--"))
        optind++;
    if (optind < argc) {
        char *path = argv[optind];
        char **args = optind + 1 < argc ? &argv[optind + 1] : &argv[optind];
        check(bundle_set_run(b, 0, flags, path, args, environment), b);
    }

    int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        perror(out);
        return 1;
    }
    check(bundle_write(b, fd), b);
    if (close(fd)) {
        perror(out);
        return 1;
    }
    bundle_free(b);
    return 0;
}
