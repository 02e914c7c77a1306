/* SPDX-License-Identifier: MIT */
/* Starting a service's process: in a session of its own, as its user, with its files. */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define GROUPS_MAX 64
#define LOG_MAX    (1 << 20) /* a longer log is put aside when the service starts */
#define STANDARD   6         /* variables that all have, at most */

struct identity {
    uid_t uid;
    gid_t gid, groups[GROUPS_MAX];
    int group_count;
    char variables[4][280]; /* HOME and so on */
};

/* ---- who ---- */

static bool number(const char *word, unsigned *value)
{
    char *end;
    unsigned long n = strtoul(word, &end, 10);
    *value = (unsigned)n;
    return word[0] >= '0' && word[0] <= '9' && !*end && n < UINT32_MAX;
}

static bool find_group(const char *name, gid_t *gid)
{
    if (number(name, gid))
        return true;
    const struct group *g = getgrnam(name);
    if (g)
        *gid = g->gr_gid;
    return g != NULL;
}

static void set_variables(struct identity *who, const char *name, const char *home,
                          const char *shell)
{
    snprintf(who->variables[0], sizeof who->variables[0], "HOME=%s", home);
    snprintf(who->variables[1], sizeof who->variables[1], "USER=%s", name);
    snprintf(who->variables[2], sizeof who->variables[2], "LOGNAME=%s", name);
    snprintf(who->variables[3], sizeof who->variables[3], "SHELL=%s", shell);
}

/* NAME, NAME:GROUP, or numbers. False: unknown. */
static bool find_identity(struct identity *who, const char *user)
{
    char name[256];
    const char *colon = strchrnul(user, ':');
    snprintf(name, sizeof name, "%.*s", (int)(colon - user), user);
    const struct passwd *p = getpwnam(name);
    *who = (struct identity){.group_count = GROUPS_MAX};
    if (p) {
        who->uid = p->pw_uid;
        who->gid = p->pw_gid;
        set_variables(who, name, p->pw_dir, p->pw_shell);
    } else if (number(name, &who->uid)) {
        who->gid = who->uid;
        set_variables(who, name, "/", "/bin/sh");
    } else {
        return false;
    }
    if (*colon && !find_group(colon + 1, &who->gid))
        return false;
    if (!p || getgrouplist(name, who->gid, who->groups, &who->group_count) < 0) {
        who->groups[0] = who->gid;
        who->group_count = 1;
    }
    return true;
}

/* ---- environment ---- */

static bool names_same(const char *a, const char *b)
{
    size_t n = (size_t)(strchrnul(a, '=') - a);
    return !strncmp(a, b, n + 1);
}

/* Adds a variable, or changes it. */
static void put(char **environment, char *variable)
{
    while (*environment && !names_same(variable, *environment))
        environment++;
    *environment = variable;
}

static void make_environment(char **environment, const struct config *c, struct identity *who)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static char term[] = "TERM=vt100";
    put(environment, path);
    if (c->terminal)
        put(environment, term);
    if (c->user || c->terminal)
        for (int i = 0; i < 4; i++)
            put(environment, who->variables[i]);
    for (char *const *variable = c->environment; *variable; variable++)
        put(environment, *variable);
}

/* ---- files ---- */

/* A terminal may have been left in any mode by who used it before. */
static void make_sane(int fd)
{
    static const struct termios sane = {.c_iflag = ICRNL | IXON | IUTF8,
                                        .c_oflag = OPOST | ONLCR,
                                        .c_lflag = ISIG | ICANON | IEXTEN | ECHO | ECHOE | ECHOK |
                                                   ECHOCTL | ECHOKE,
                                        .c_cc = {[VINTR] = 3,
                                                 [VQUIT] = 28,
                                                 [VERASE] = 127,
                                                 [VKILL] = 21,
                                                 [VEOF] = 4,
                                                 [VMIN] = 1,
                                                 [VSTART] = 17,
                                                 [VSTOP] = 19,
                                                 [VSUSP] = 26,
                                                 [VREPRINT] = 18,
                                                 [VDISCARD] = 15,
                                                 [VWERASE] = 23,
                                                 [VLNEXT] = 22}};
    struct termios t;
    if (tcgetattr(fd, &t) < 0)
        return;
    t.c_iflag = sane.c_iflag;
    t.c_oflag = sane.c_oflag;
    t.c_cflag |= CREAD | CLOCAL;
    t.c_lflag = sane.c_lflag;
    memcpy(t.c_cc, sane.c_cc, sizeof t.c_cc);
    tcsetattr(fd, TCSANOW, &t);
}

static int open_terminal(const char *path)
{
    int fd = open(path, O_RDWR);
    if (fd >= 0 && ioctl(fd, TIOCSCTTY, 1) == 0)
        make_sane(fd);
    return fd;
}

static int open_log(const char *path)
{
    struct stat st;
    char old[4096];
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > LOG_MAX &&
        snprintf(old, sizeof old, "%s.old", path) < (int)sizeof old)
        rename(path, old);
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, 0640);
}

/* As descriptor `to`; false: errno says why not. */
static bool place(int fd, int to)
{
    if (fd < 0 || (fd != to && dup2(fd, to) < 0))
        return false;
    if (fd > 2)
        close(fd);
    return true;
}

static bool set_files(const struct config *c)
{
    if (c->terminal)
        return place(open_terminal(c->terminal), 0) && dup2(0, 1) == 1 && dup2(0, 2) == 2;
    return (!c->log || (place(open_log(c->log), 1) && dup2(1, 2) == 2)) &&
           place(open("/dev/null", O_RDONLY), 0);
}

/* ---- the process ---- */

static bool set_limits(const struct config *c)
{
    for (size_t i = 0; i < c->limit_count; i++)
        if (setrlimit(c->limits[i].resource, &c->limits[i].value) < 0)
            return false;
    /* init may have stood back for a terminal, with what it starts (service.c) */
    return (!c->nice && !c->terminal) || setpriority(PRIO_PROCESS, 0, c->nice) == 0;
}

static bool set_user(const struct identity *who)
{
    return setgroups((size_t)who->group_count, who->groups) == 0 && setgid(who->gid) == 0 &&
           setuid(who->uid) == 0;
}

/* In the new process, with init's memory if it came by vfork(): what it cannot do ends it. */
static _Noreturn void become(const struct service *s, const struct identity *who,
                             char **environment)
{
    const struct config *c = &s->config;
    const char *what = c->command[0];
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    if (!set_files(c))
        what = c->terminal ? c->terminal : c->log ? c->log : "/dev/null";
    else if (!set_limits(c)) /* as root still, who may raise them */
        what = "limits";
    else if (c->user && !set_user(who))
        what = c->user;
    else if (chdir(c->directory ? c->directory : "/") < 0)
        what = c->directory;
    else
        execve(c->command[0], c->command, environment);
    say("%s: %s: %s", s->name, what, strerror(errno));
    _exit(127);
}

/*
 * A terminal is given to the session that a process has when it opens it, for which the process
 * must be there; others begin without a copy of init.
 */
static pid_t start(const struct service *s, const struct identity *who, char **environment)
{
    pid_t pid = s->config.terminal ? fork() : vfork();
    if (pid == 0)
        become(s, who, environment);
    return pid;
}

bool service_run(struct service *s)
{
    const struct config *c = &s->config;
    const char *user = c->user ? c->user : c->terminal ? "root" : NULL;
    struct identity who;
    char *environment[STANDARD + 1 + CONFIG_LIST + 1] = {0};
    if (user && !find_identity(&who, user)) {
        say("%s: no user %s", s->name, user);
        return false;
    }
    make_environment(environment, c, &who);
    s->pid = start(s, &who, environment);
    if (s->pid < 0) {
        say("%s: %s", s->name, strerror(errno));
        s->pid = 0;
    }
    return s->pid != 0;
}
