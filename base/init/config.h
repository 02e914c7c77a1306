/* SPDX-License-Identifier: MIT */
/*
 * A service as its file describes it: docs/services.md has the language. Parsing allocates nothing:
 * the strings are those of the text that was parsed, which stays as long as the description is
 * used.
 */
#ifndef INIT_CONFIG_H
#define INIT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#define CONFIG_WORDS  64 /* of a command */
#define CONFIG_LIST   32 /* variables of the environment, services to come after */
#define CONFIG_LIMITS 16

enum config_restart { RESTART_UNSAID, RESTART_ALWAYS, RESTART_FAILURE, RESTART_NEVER };

struct config_limit {
    int resource; /* RLIMIT_... */
    struct rlimit value;
};

struct config {
    char *command[CONFIG_WORDS + 1];
    char *environment[CONFIG_LIST + 1];
    char *after[CONFIG_LIST + 1];
    const char *user;      /* NAME or NAME:GROUP; NULL: root */
    const char *directory; /* NULL: / */
    const char *log;       /* a file's path; NULL: the console */
    const char *terminal;  /* it is the session of this terminal; NULL: none */
    bool task;             /* it runs once, and those after it wait for its success */
    enum config_restart restart;
    uint32_t delay_ms, delay_max_ms; /* before it is started again */
    int stop_signal;
    uint32_t stop_ms;                          /* then it is killed */
    struct config_limit limits[CONFIG_LIMITS]; /* the later of two for the same resource holds */
    size_t limit_count;
    int nice;
};

struct config_error {
    unsigned line;
    const char *what;
};

/* Fills `c` from a text that ends with NUL and is changed on the way; false: *error says why not.
 */
bool config_parse(struct config *c, char *text, struct config_error *error);

#endif
