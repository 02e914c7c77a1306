/* SPDX-License-Identifier: MIT */
/*
 * Packages (docs/packages.md): a folder, or an archive of one, with a manifest, the files that go
 * into the root file system, and perhaps the description of a service. An archive is not trusted
 * with the host: tar unpacks it below a folder of ours, as us.
 */
#include "../../base/init/config.h"
#include "image.h"

#include <dirent.h>
#include <errno.h>
#include <motor/bundle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789.+-"

struct package {
    struct image *image;
    const char *folder;
    char *name;
    char *service; /* what init is told; NULL: nothing. The image's tree keeps it */
};

static void check(const struct package *p, bool ok)
{
    if (!ok)
        die("%s: %s", p->folder, bundle_error(p->image->root));
}

/* ---- files ---- */

static void add_tree(const struct package *p, const char *path, const char *host);

static void add_link(const struct package *p, const char *path, const char *host)
{
    char target[4096];
    ssize_t n = readlink(host, target, sizeof target - 1);
    if (n < 0)
        die("%s: %s", host, strerror(errno));
    target[n] = 0;
    check(p, bundle_add_symlink(p->image->root, path, target));
}

/* Modes do not depend on the umask of whoever made the package: only on who may execute it. */
static void add_entry(const struct package *p, const char *path, const char *host)
{
    struct stat st;
    if (lstat(host, &st))
        die("%s: %s", host, strerror(errno));
    if (S_ISDIR(st.st_mode))
        add_tree(p, path, host);
    else if (S_ISLNK(st.st_mode))
        add_link(p, path, host);
    else if (S_ISREG(st.st_mode))
        check(p, bundle_add_file(p->image->root, path, host, st.st_mode & 0100 ? 0755 : 0644));
    else
        die("%s: neither a file, a directory nor a symbolic link", host);
}

static void add_tree(const struct package *p, const char *path, const char *host)
{
    DIR *dir = opendir(host);
    if (!dir)
        die("%s: %s", host, strerror(errno));
    if (!bundle_is_directory(p->image->root, path))
        check(p, bundle_add_directory(p->image->root, path, 0755));
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        char *inner = path_of("%s/%s", path, entry->d_name),
             *outer = path_of("%s/%s", host, entry->d_name);
        add_entry(p, inner, outer);
        free(inner);
        free(outer);
    }
    closedir(dir);
}

/* ---- who owns what ---- */

struct search {
    const char *path;
    struct bundle_item item;
};

static bool look(void *context, const struct bundle_item *item)
{
    struct search *s = context;
    if (strcmp(item->path, s->path))
        return true;
    s->item = *item;
    return false;
}

/* The third field of the name's line in a file like /etc/passwd of the image. */
static bool look_up(struct bundle *root, const char *file, const char *name, uint32_t *id,
                    uint32_t *group)
{
    struct search s = {.path = file};
    size_t length = strlen(name);
    bundle_each(root, look, &s);
    const char *end = s.item.data ? (const char *)s.item.data + s.item.size : NULL;
    for (const char *line = s.item.data, *next; line && line < end; line = next) {
        next = memchr(line, '\n', (size_t)(end - line));
        next = next ? next + 1 : end;
        char text[256];
        snprintf(text, sizeof text, "%.*s", (int)(next - line), line);
        if (!strncmp(text, name, length) && text[length] == ':')
            return sscanf(text + length, ":%*[^:]:%u:%u", id, group) >= 1;
    }
    return false;
}

static bool number(const char *text, uint32_t *out)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    *out = (uint32_t)n;
    return *text >= '0' && *text <= '9' && !*end && n < UINT32_MAX;
}

/* "33", "33:33", "www", "www:www"; a user without a group has the group of /etc/passwd. */
static void set_owner(struct package *p, const struct manifest_line *line, const char *path,
                      char *owner)
{
    struct bundle *root = p->image->root;
    uint32_t uid = 0, gid = 0, unused;
    char *group = strchr(owner, ':');
    if (group)
        *group++ = 0;
    if (number(owner, &uid))
        gid = uid;
    else if (!look_up(root, "/etc/passwd", owner, &uid, &gid))
        manifest_error(line, "no such user in the image");
    if (group && !number(group, &gid) && !look_up(root, "/etc/group", group, &gid, &unused))
        manifest_error(line, "no such group in the image");
    if (!bundle_set_owner(root, path, uid, gid))
        manifest_error(line, bundle_error(root));
}

static mode_t mode_parse(const struct manifest_line *line, const char *text)
{
    char *end;
    unsigned long mode = strtoul(text, &end, 8);
    if (end == text || *end || mode > 07777)
        manifest_error(line, "a mode is an octal number, such as 750");
    return (mode_t)mode;
}

/* ---- the service ---- */

/* Exits if init would refuse the description; `line` 0: the mistake's own line is told. */
static void service_check(const struct package *p, const char *file, unsigned line)
{
    struct config config;
    struct config_error error;
    char *copy = must(strdup(p->service));
    if (!config_parse(&config, copy, &error))
        die("%s:%u: %s", file, line ? line : error.line, error.what);
    free(copy);
}

/* ---- the manifest ---- */

static void line_name(struct package *p, const struct manifest_line *line)
{
    const char *name = line->words[1];
    if (p->name)
        manifest_error(line, "it has a name already");
    if (strspn(name, NAME_CHARS) != strlen(name) || name[0] == '.' || strlen(name) > 64)
        manifest_error(line, "a name has lower-case letters, digits and . + - only");
    p->name = must(strdup(name));
}

static void line_nothing(struct package *p, const struct manifest_line *line)
{
    (void)p, (void)line; /* for people */
}

static void line_port(struct package *p, const struct manifest_line *line)
{
    struct image *image = p->image;
    char *end;
    unsigned long n = strtoul(line->words[1], &end, 10);
    bool udp = !strcmp(end, "/udp");
    if (!n || n > 65535 || (*end && !udp && strcmp(end, "/tcp")))
        manifest_error(line, "a port is a number, and /tcp or /udp");
    if (image->port_count == PORTS_MAX)
        manifest_error(line, "too many ports");
    image->ports[image->port_count++] = (struct port){(uint16_t)n, udp};
}

static void line_memory(struct package *p, const struct manifest_line *line)
{
    uint64_t size = size_parse(line->words[1]);
    if (!size || size > 1ull << 50)
        manifest_error(line, "not a size, such as 64M");
    p->image->memory += size;
}

static void line_directory(struct package *p, const struct manifest_line *line)
{
    mode_t mode = line->count > 2 ? mode_parse(line, line->words[2]) : 0755;
    if (!bundle_add_directory(p->image->root, line->words[1], mode))
        manifest_error(line, bundle_error(p->image->root));
    if (line->count > 3)
        set_owner(p, line, line->words[1], line->words[3]);
}

static void line_link(struct package *p, const struct manifest_line *line)
{
    if (!bundle_add_symlink(p->image->root, line->words[1], line->words[2]))
        manifest_error(line, bundle_error(p->image->root));
}

static void line_mode(struct package *p, const struct manifest_line *line)
{
    if (!bundle_set_mode(p->image->root, line->words[1], mode_parse(line, line->words[2])))
        manifest_error(line, bundle_error(p->image->root));
}

static void line_owner(struct package *p, const struct manifest_line *line)
{
    set_owner(p, line, line->words[1], line->words[2]);
}

/* For the service's description, which the manifest so tells the size of the machine it is for. */
static void line_limit(struct package *p, const struct manifest_line *line)
{
    if (!p->service)
        manifest_error(line, "it has no service to be limited");
    char *longer = path_of("%s\nlimit %s %s %s\n", p->service, line->words[1], line->words[2],
                           line->words[line->count > 3 ? 3 : 2]);
    free(p->service);
    p->service = longer;
    service_check(p, line->file, line->number);
}

static void each_line(void *context, const struct manifest_line *line)
{
    static const struct {
        const char *word;
        size_t least, most; /* words, with the first */
        void (*apply)(struct package *p, const struct manifest_line *line);
    } kinds[] = {
        {"name", 2, 2, line_name},        {"version", 2, 2, line_nothing},
        {"summary", 2, 64, line_nothing}, {"port", 2, 2, line_port},
        {"memory", 2, 2, line_memory},    {"directory", 2, 4, line_directory},
        {"link", 3, 3, line_link},        {"mode", 3, 3, line_mode},
        {"owner", 3, 3, line_owner},      {"limit", 3, 4, line_limit},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].word, line->words[0]))
            continue;
        if (line->count < kinds[i].least || line->count > kinds[i].most)
            manifest_error(line, "too few or too many words");
        kinds[i].apply(context, line);
        return;
    }
    manifest_error(line, "unknown word");
}

/* ---- packages ---- */

static bool exists(const char *path)
{
    return !access(path, F_OK);
}

/* Mistakes are told here rather than by the machine's init. */
static void load_service(struct package *p)
{
    char *file = path_of("%s/service", p->folder);
    size_t size;
    if (exists(file)) {
        p->service = file_load(file, &size);
        if (strlen(p->service) != size)
            die("%s: it is not text", file);
        service_check(p, file, 0);
    }
    free(file);
}

static void add_service(const struct package *p)
{
    char *to = path_of("/etc/services.d/%s", p->name);
    if (p->service) {
        if (!bundle_is_directory(p->image->root, "/etc/services.d"))
            check(p, bundle_add_directory(p->image->root, "/etc/services.d", 0755));
        check(p, bundle_add_data(p->image->root, to, p->service, strlen(p->service), 0644));
    }
    free(to);
}

static void add_folder(struct image *image, const char *folder)
{
    struct package p = {.image = image, .folder = folder};
    char *manifest = path_of("%s/manifest", folder), *files = path_of("%s/files", folder);
    size_t size;
    char *text = file_load(manifest, &size);
    if (strlen(text) != size)
        die("%s: it is not text", manifest);
    if (exists(files))
        add_tree(&p, "", files);
    load_service(&p);
    manifest_read(manifest, text, each_line, &p);
    if (!p.name)
        die("%s: it has no name", manifest);
    add_service(&p);
    free(p.name);
    free(text);
    free(manifest);
    free(files);
}

/* Files stay mapped until the image is made, and the folder with them. */
static void add_archive(struct image *image, const char *archive)
{
    static unsigned number;
    char *folder = path_of("%s/package%u", image->folder, number++);
    if (mkdir(folder, 0700))
        die("%s: %s", folder, strerror(errno));
    run("tar", "-x", "-f", archive, "-C", folder, "--no-same-owner", NULL);
    add_folder(image, folder);
    free(folder);
}

void package_add(struct image *image, const char *path)
{
    struct stat st;
    if (stat(path, &st))
        die("%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        add_folder(image, path);
    else
        add_archive(image, path);
}
