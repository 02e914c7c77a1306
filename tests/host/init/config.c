/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of services: what each line means, what is refused and with which line's number, and
 * texts made at random, for which no byte outside of the text may be touched (ASan).
 *
 *   config SEED ROUNDS
 */
#include "../../../base/init/config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

/* In memory of just its size, kept for the strings that the description points to. */
static char *text;
static struct config config;
static struct config_error error;

static bool parse(const char *from)
{
    free(text);
    text = malloc(strlen(from) + 1);
    strcpy(text, from);
    return config_parse(&config, text, &error);
}

static void refused(const char *from, unsigned line, const char *what)
{
    CHECK(!parse(from));
    if (error.line != line || !strstr(error.what, what)) {
        fprintf(stderr, "%s: line %u: %s; wanted line %u: %s\n", from, error.line, error.what, line,
                what);
        abort();
    }
}

static void words(void)
{
    CHECK(parse("command /bin/a"));
    CHECK(!strcmp(config.command[0], "/bin/a") && !config.command[1]);
    CHECK(parse("# comment\n\n \t\ncommand\t/bin/a  b\r\n"));
    CHECK(!strcmp(config.command[1], "b") && !config.command[2]);
    CHECK(parse("command /bin/a 'b c' \"d 'e' \\\" \\\\\" f\\ g h#i '\\' '' # j"));
    CHECK(!strcmp(config.command[1], "b c") && !strcmp(config.command[2], "d 'e' \" \\"));
    CHECK(!strcmp(config.command[3], "f g") && !strcmp(config.command[4], "h#i"));
    CHECK(!strcmp(config.command[5], "\\") && !config.command[6][0] && !config.command[7]);
    CHECK(parse("command /a x\"y\"'z'\ncommand /b\n"));
    CHECK(!strcmp(config.command[0], "/b") && !config.command[1]);
}

static void values(void)
{
    CHECK(parse("command /a"));
    CHECK(!config.user && !config.directory && !config.log && !config.terminal && !config.task);
    CHECK(config.restart == RESTART_ALWAYS && config.delay_ms == 250 &&
          config.delay_max_ms == 60000);
    CHECK(config.stop_signal == SIGTERM && config.stop_ms == 10000);
    CHECK(parse(
        "command /a\nuser u:g\ndirectory /d\nlog /l\nterminal /t\nkind task\n"
        "delay 1.5 2\nstop SIGQUIT 0.25\nenvironment A=1 B=\nenvironment C=3\nafter x\nafter y z"));
    CHECK(!strcmp(config.user, "u:g") && !strcmp(config.directory, "/d") &&
          !strcmp(config.log, "/l"));
    CHECK(!strcmp(config.terminal, "/t") && config.task && config.restart == RESTART_NEVER);
    CHECK(config.delay_ms == 1500 && config.delay_max_ms == 2000);
    CHECK(config.stop_signal == SIGQUIT && config.stop_ms == 250);
    CHECK(!strcmp(config.environment[2], "C=3") && !config.environment[3]);
    CHECK(!strcmp(config.after[2], "z") && !config.after[3]);
    CHECK(parse("restart failure\nkind task\ncommand /a\nstop 15\ndelay 120") &&
          config.restart == RESTART_FAILURE);
    CHECK(config.stop_signal == 15 && config.delay_ms == 120000 && config.delay_max_ms == 120000);
}

/* The limit that holds for a resource. */
static struct rlimit limit_of(int resource)
{
    struct rlimit found = {1, 0};
    for (size_t i = 0; i < config.limit_count; i++)
        if (config.limits[i].resource == resource)
            found = config.limits[i].value;
    return found;
}

static void resources(void)
{
    CHECK(parse("command /a") && !config.limit_count && !config.nice);
    CHECK(parse("command /a\nlimit nofile 100 4K\nlimit as 64M\nlimit core unlimited\n"
                "limit nofile 5\nlimit cpu 0 8388607T\nnice -5"));
    CHECK(limit_of(RLIMIT_NOFILE).rlim_cur == 5 && limit_of(RLIMIT_NOFILE).rlim_max == 5);
    CHECK(limit_of(RLIMIT_AS).rlim_cur == 64 << 20 && limit_of(RLIMIT_AS).rlim_max == 64 << 20);
    CHECK(limit_of(RLIMIT_CORE).rlim_cur == RLIM_INFINITY);
    CHECK(limit_of(RLIMIT_CPU).rlim_cur == 0 && limit_of(RLIMIT_CPU).rlim_max == 8388607ull << 40);
    CHECK(config.nice == -5);
    CHECK(parse("command /a\nlimit nofile 100 4K") && limit_of(RLIMIT_NOFILE).rlim_cur == 100 &&
          limit_of(RLIMIT_NOFILE).rlim_max == 4096);
    refused("command /a\nlimit nofile", 2, "missing");
    refused("command /a\nlimit files 5", 2, "no such limit");
    refused("command /a\nlimit nofile 6 5", 2, "above");
    refused("command /a\nlimit nofile unlimited 5", 2, "above");
    refused("command /a\nlimit nofile 5 6 7", 2, "too many");
    refused("command /a\nlimit as 8388608T", 2, "number");
    refused("command /a\nlimit as 1234567890123456789", 2, "number");
    refused("command /a\nlimit as K", 2, "number");
    refused("command /a\nlimit as 1KB", 2, "number");
    refused("command /a\nlimit as -1", 2, "number");
    refused("command /a\nnice 20", 2, "-20 to 19");
    refused("command /a\nnice -21", 2, "-20 to 19");
    refused("command /a\nnice x", 2, "-20 to 19");
    refused("command /a\nnice ''", 2, "-20 to 19");
}

static void mistakes(void)
{
    refused("", 1, "no command");
    refused("command a", 1, "begin");
    refused("command ''", 1, "begin");
    refused("\ncommand", 2, "missing");
    refused("command /a\ncolour red", 2, "unknown");
    refused("command '/a\n'", 1, "quote");
    refused("command /a\nuser a b", 2, "too many");
    refused("command /a\nlog l", 2, "path");
    refused("command /a\nkind x", 2, "kind");
    refused("command /a\nrestart x", 2, "restart");
    refused("command /a\nstop NOTHING", 2, "signal");
    refused("command /a\nstop 0", 2, "signal");
    refused("command /a\nstop 65", 2, "signal");
    refused("command /a\nstop TERM x", 2, "seconds");
    refused("command /a\ndelay .5", 2, "seconds");
    refused("command /a\ndelay 1.0000", 2, "seconds");
    refused("command /a\ndelay 99999999999", 2, "seconds");
    refused("command /a\ndelay 86401", 2, "seconds");
    refused("command /a\ndelay 2 1", 2, "longest");
    refused("command /a\nenvironment =x", 2, "NAME");
    refused("command /a\nenvironment x", 2, "NAME");
}

/* So many values, each too many by one. */
static void limits(void)
{
    char many[1024] = "command /a";
    for (int i = 0; i < CONFIG_WORDS; i++)
        strcat(many, " x");
    refused(many, 1, "too many");
    strcpy(many, "command /a\nafter x");
    for (int i = 1; i < CONFIG_LIST; i++)
        strcat(many, " x");
    CHECK(parse(many));
    strcat(many, "\nafter y");
    refused(many, 3, "too many");
    strcpy(many, "command /a");
    for (int i = 0; i < CONFIG_LIMITS; i++)
        strcat(many, "\nlimit nofile 5");
    CHECK(parse(many));
    strcat(many, "\nlimit nofile 5");
    refused(many, CONFIG_LIMITS + 2, "too many");
}

static void random_texts(unsigned seed, unsigned rounds)
{
    static const char *const pieces[] = {
        "command", "/a",   "environment", "A=b", "after", "delay",   "stop",  "TERM",
        "kind",    "task", "1.5",         " ",   "\n",    "\"",      "'",     "\\",
        "#",       "\t",   "user",        "log", "\r\n",  "restart", "never", "terminal",
        "9999",    "\xff", "\x01",        "=",   "limit", "cpu",     "nice",  "7K"};
    srand(seed);
    while (rounds--) {
        char made[2048] = "";
        for (int n = rand() % 60; n > 0; n--)
            strcat(made, pieces[(unsigned)rand() % (sizeof pieces / sizeof *pieces)]);
        if (parse(made))
            CHECK(config.command[0] && config.delay_ms <= config.delay_max_ms &&
                  config.stop_signal);
        else
            CHECK(error.what && error.line);
    }
}

int main(int argc, char **argv)
{
    words();
    values();
    resources();
    mistakes();
    limits();
    random_texts(argc > 1 ? (unsigned)atoi(argv[1]) : 1,
                 argc > 2 ? (unsigned)atoi(argv[2]) : 200000);
    puts("ok");
    return 0;
}
