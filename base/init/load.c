/* SPDX-License-Identifier: MIT */
/* The services that there are: reads /etc/services.d. */
#include "service.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER   "/etc/services.d"
#define TEXT_MAX 65536u

/* A regular file whole, with a NUL after it; NULL, and errno. */
static char *read_file(int folder, const char *name)
{
    struct stat st;
    char *text = NULL;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        goto out;
    if (!S_ISREG(st.st_mode) || st.st_size > TEXT_MAX) {
        errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
        goto out;
    }
    text = calloc(1, (size_t)st.st_size + 1);
    if (text && read(fd, text, (size_t)st.st_size) < 0) {
        free(text);
        text = NULL;
    }
out:
    if (fd >= 0)
        close(fd);
    return text;
}

static struct service *named(const char *name)
{
    struct service *s = services;
    while (s && strcmp(s->name, name))
        s = s->next;
    return s;
}

/* NULL: no memory. */
static struct service *add(const char *name)
{
    struct service **link = &services, *s = calloc(1, sizeof *s);
    if (!s || !(s->name = strdup(name))) {
        free(s);
        return NULL;
    }
    while (*link && strcmp((*link)->name, name) < 0)
        link = &(*link)->next;
    s->state = SERVICE_BLOCKED;
    s->due = NEVER;
    s->status = -1;
    s->next = *link;
    return *link = s;
}

static bool is_held(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "/run/service/%s.down", name);
    return access(path, F_OK) == 0;
}

/* What is wrong with a file does not change the service that it described before. */
static void load(int folder, const char *name)
{
    struct config config;
    struct config_error error;
    struct service *s = named(name);
    char *text = read_file(folder, name);
    if (s)
        s->listed = true;
    if (!text) {
        say(FOLDER "/%s: %s", name, strerror(errno));
        return;
    }
    if (!config_parse(&config, text, &error)) {
        say(FOLDER "/%s, line %u: %s", name, error.line, error.what);
        free(text);
        return;
    }
    if (!s && !(s = add(name))) {
        free(text);
        return;
    }
    free(s->text);
    s->text = text;
    s->config = config;
    s->listed = true;
    if (!s->starts)
        s->delay_ms = config.delay_ms;
}

/* ---- circles ---- */

/* Looks along `after` for a way back; a link that closes a circle is left out. */
static void open_circles(struct service *s)
{
    s->in_search = true;
    for (char **name = s->config.after; *name;) {
        struct service *other = named(*name);
        if (!other)
            say("%s is to come after %s, which is no service", s->name, *name);
        if (!other || other->in_search) {
            if (other)
                say("%s cannot come after %s, which comes after it", s->name, *name);
            memmove(name, name + 1,
                    (CONFIG_LIST - (size_t)(name - s->config.after)) * sizeof *name);
            continue;
        }
        open_circles(other);
        name++;
    }
    s->in_search = false;
}

/* ---- all of them ---- */

static void drop_unlisted(void)
{
    for (struct service **link = &services, *s; (s = *link);) {
        if (s->listed || s->pid) {
            link = &s->next;
            continue;
        }
        *link = s->next;
        free(s->text);
        free(s->name);
        free(s);
    }
}

void services_load(void)
{
    DIR *d = opendir(FOLDER);
    struct dirent *e;
    for (struct service *s = services; s; s = s->next)
        s->listed = false;
    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            load(dirfd(d), e->d_name);
    if (d)
        closedir(d);
    drop_unlisted();
    for (struct service *s = services; s; s = s->next) {
        bool held = s->held;
        s->held = is_held(s->name);
        open_circles(s);
        if (held && !s->held && s->state == SERVICE_DOWN) {
            s->state = SERVICE_BLOCKED;
        } else if (s->held && !s->pid) {
            s->state = SERVICE_DOWN;
            s->due = NEVER;
        }
    }
    services_changed = true;
}
