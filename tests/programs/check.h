/* SPDX-License-Identifier: MIT */
/* For programs that a test runs on a disk and whose output it shows: what is false ends them. */
#ifndef PROGRAMS_CHECK_H
#define PROGRAMS_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("line %d: %s: %s\n", __LINE__, #condition, strerror(errno)); \
            exit(1); \
        } \
    } while (0)

#endif
