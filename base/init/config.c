/* SPDX-License-Identifier: MIT */
/* Lines of words: see config.h. */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define DELAY_MS     250u
#define DELAY_MAX_MS 60000u
#define STOP_MS      10000u
#define LONGEST_MS   86400000u

/* ---- words ---- */

struct words {
    char *at[CONFIG_WORDS + 1];
    size_t count;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/*
 * One word from *from on, unquoted in place; it ends at a blank or the end of the line, of which
 * *from is then the beginning. False: a quote is open.
 */
static bool take_word(char **from)
{
    char *in = *from, *out = in, quote = 0;
    for (; *in && *in != '\n' && (quote || !is_blank(*in)); in++) {
        if (quote ? *in == quote : *in == '"' || *in == '\'') {
            quote = quote ? 0 : *in;
            continue;
        }
        if (*in == '\\' && quote != '\'' && in[1] && in[1] != '\n')
            in++;
        *out++ = *in;
    }
    *from = in;
    if (out < in)
        *out = 0;
    return !quote;
}

/* The words of a line; *text: the next line, NULL after the last. NULL, or what is wrong. */
static const char *take_line(char **text, struct words *words)
{
    char *at = *text;
    words->count = 0;
    for (;;) {
        while (is_blank(*at))
            at++;
        if (!*at || *at == '\n' || *at == '#')
            break;
        if (words->count == CONFIG_WORDS)
            return "too many words";
        words->at[words->count++] = at;
        if (!take_word(&at))
            return "a quote is not closed";
        if (is_blank(*at))
            *at++ = 0;
    }
    char *end = strchrnul(at, '\n');
    *text = *end ? end + 1 : NULL;
    *at = 0;
    words->at[words->count] = NULL;
    return NULL;
}

/* ---- values ---- */

/* Seconds, with up to three decimals. */
static bool milliseconds(const char *word, uint32_t *ms)
{
    uint64_t value = 0;
    unsigned digits = 0, decimals = 0;
    for (bool point = false; *word; word++) {
        if (*word == '.' && !point && digits) {
            point = true;
            continue;
        }
        if (*word < '0' || *word > '9' || ++digits > 10 || (decimals += point) > 3)
            return false;
        value = value * 10 + (uint64_t)(*word - '0');
    }
    for (; decimals < 3; decimals++)
        value *= 10;
    *ms = (uint32_t)value;
    return digits && value <= LONGEST_MS;
}

static int signal_number(const char *word)
{
    static const struct {
        const char name[6];
        int number;
    } names[] = {{"HUP", SIGHUP},   {"INT", SIGINT},     {"QUIT", SIGQUIT},
                 {"KILL", SIGKILL}, {"USR1", SIGUSR1},   {"USR2", SIGUSR2},
                 {"TERM", SIGTERM}, {"WINCH", SIGWINCH}, {"PWR", SIGPWR}};
    if (!strncmp(word, "SIG", 3))
        word += 3;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(word, names[i].name))
            return names[i].number;
    char *end;
    long number = strtol(word, &end, 10);
    return *end || number < 1 || number >= NSIG ? 0 : (int)number;
}

/* "unlimited", or a number, with K, M, G or T behind it for powers of 1024. */
static bool amount(const char *word, rlim_t *value)
{
    static const char units[] = "KMGT";
    if (!strcmp(word, "unlimited")) {
        *value = RLIM_INFINITY;
        return true;
    }
    uint64_t n = 0;
    unsigned digits = 0, shift = 0;
    for (; *word >= '0' && *word <= '9' && digits < 18; word++, digits++)
        n = n * 10 + (uint64_t)(*word - '0');
    const char *unit = *word ? strchr(units, *word) : NULL;
    if (unit) {
        shift = 10 * (unsigned)(unit - units + 1);
        word++;
    }
    *value = n << shift;
    return digits && !*word && n <= UINT64_MAX >> 1 >> shift;
}

/* RLIMIT_..., or -1. */
static int resource_number(const char *word)
{
    static const struct {
        const char name[12];
        int number;
    } names[] = {{"as", RLIMIT_AS},
                 {"core", RLIMIT_CORE},
                 {"cpu", RLIMIT_CPU},
                 {"data", RLIMIT_DATA},
                 {"fsize", RLIMIT_FSIZE},
                 {"locks", RLIMIT_LOCKS},
                 {"memlock", RLIMIT_MEMLOCK},
                 {"msgqueue", RLIMIT_MSGQUEUE},
                 {"nice", RLIMIT_NICE},
                 {"nofile", RLIMIT_NOFILE},
                 {"nproc", RLIMIT_NPROC},
                 {"rss", RLIMIT_RSS},
                 {"rtprio", RLIMIT_RTPRIO},
                 {"rttime", RLIMIT_RTTIME},
                 {"sigpending", RLIMIT_SIGPENDING},
                 {"stack", RLIMIT_STACK}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(word, names[i].name))
            return names[i].number;
    return -1;
}

static const char *add(char **list, char *const *words)
{
    size_t n = 0;
    while (list[n])
        n++;
    for (; *words; words++) {
        if (n == CONFIG_LIST)
            return "too many of them";
        list[n++] = *words;
    }
    list[n] = NULL;
    return NULL;
}

/* ---- lines ---- */

static const char *set_restart(struct config *c, char *const *value)
{
    static const char *const names[] = {"always", "failure", "never"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(value[0], names[i])) {
            c->restart = (enum config_restart)(RESTART_ALWAYS + i);
            return NULL;
        }
    return "restart is always, failure or never";
}

static const char *set_delay(struct config *c, char *const *value)
{
    if (!milliseconds(value[0], &c->delay_ms))
        return "not a number of seconds";
    c->delay_max_ms = c->delay_ms > DELAY_MAX_MS ? c->delay_ms : DELAY_MAX_MS;
    if (value[1] && !milliseconds(value[1], &c->delay_max_ms))
        return "not a number of seconds";
    return c->delay_max_ms < c->delay_ms ? "the longest delay is shorter than the first" : NULL;
}

static const char *set_stop(struct config *c, char *const *value)
{
    c->stop_signal = signal_number(value[0]);
    if (!c->stop_signal)
        return "no such signal";
    return value[1] && !milliseconds(value[1], &c->stop_ms) ? "not a number of seconds" : NULL;
}

static const char *set_limit(struct config *c, char *const *value)
{
    struct config_limit limit = {.resource = resource_number(value[0])};
    if (limit.resource < 0)
        return "no such limit";
    if (!value[1])
        return "a value is missing";
    if (!amount(value[1], &limit.value.rlim_cur) ||
        !amount(value[2] ? value[2] : value[1], &limit.value.rlim_max))
        return "a limit is a number, with K, M, G or T for powers of 1024, or unlimited";
    if (limit.value.rlim_cur > limit.value.rlim_max)
        return "the limit is above the hard one";
    if (c->limit_count == CONFIG_LIMITS)
        return "too many of them";
    c->limits[c->limit_count++] = limit;
    return NULL;
}

static const char *set_nice(struct config *c, char *const *value)
{
    char *end;
    long n = strtol(value[0], &end, 10);
    c->nice = (int)n;
    return end == value[0] || *end || n < -20 || n > 19 ? "nice is a number from -20 to 19" : NULL;
}

static const char *set_environment(struct config *c, char *const *value)
{
    for (size_t i = 0; value[i]; i++)
        if (!strchr(value[i], '=') || value[i][0] == '=')
            return "not NAME=VALUE";
    return add(c->environment, value);
}

static const char *set_after(struct config *c, char *const *value)
{
    return add(c->after, value);
}

static const char *set_command(struct config *c, char *const *value)
{
    size_t n = 0;
    for (; value[n]; n++)
        c->command[n] = value[n];
    c->command[n] = NULL;
    return c->command[0][0] == '/' ? NULL : "the command's path does not begin at /";
}

static const char *set_kind(struct config *c, char *const *value)
{
    c->task = !strcmp(value[0], "task");
    return c->task || !strcmp(value[0], "daemon") ? NULL : "kind is daemon or task";
}

static const char *set_user(struct config *c, char *const *value)
{
    c->user = value[0];
    return NULL;
}

static const char *set_path(const char **path, char *const *value)
{
    *path = value[0];
    return value[0][0] == '/' ? NULL : "a path begins at /";
}

static const char *set_directory(struct config *c, char *const *value)
{
    return set_path(&c->directory, value);
}

static const char *set_log(struct config *c, char *const *value)
{
    return set_path(&c->log, value);
}

static const char *set_terminal(struct config *c, char *const *value)
{
    return set_path(&c->terminal, value);
}

static const char *set(struct config *c, char *const *words, size_t values)
{
    static const struct {
        const char name[12];
        size_t most;
        const char *(*set)(struct config *c, char *const *value);
    } lines[] = {{"command", CONFIG_WORDS, set_command},
                 {"environment", CONFIG_LIST, set_environment},
                 {"after", CONFIG_LIST, set_after},
                 {"kind", 1, set_kind},
                 {"restart", 1, set_restart},
                 {"delay", 2, set_delay},
                 {"stop", 2, set_stop},
                 {"user", 1, set_user},
                 {"directory", 1, set_directory},
                 {"log", 1, set_log},
                 {"terminal", 1, set_terminal},
                 {"limit", 3, set_limit},
                 {"nice", 1, set_nice}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strcmp(words[0], lines[i].name))
            return !values                  ? "a value is missing"
                   : values > lines[i].most ? "too many values"
                                            : lines[i].set(c, words + 1);
    return "unknown word";
}

bool config_parse(struct config *c, char *text, struct config_error *error)
{
    struct words words;
    *c = (struct config){.delay_ms = DELAY_MS,
                         .delay_max_ms = DELAY_MAX_MS,
                         .stop_signal = SIGTERM,
                         .stop_ms = STOP_MS};
    *error = (struct config_error){0, NULL};
    while (text && !error->what) {
        error->line++;
        error->what = take_line(&text, &words);
        if (!error->what && words.count)
            error->what = set(c, words.at, words.count - 1);
    }
    if (!error->what && !c->command[0])
        error->what = "it has no command";
    if (c->restart == RESTART_UNSAID)
        c->restart = c->task ? RESTART_NEVER : RESTART_ALWAYS;
    return !error->what;
}
