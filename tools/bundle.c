/* SPDX-License-Identifier: MIT */
/*
 * Boot bundles on the host: a table of guest paths, put in order and laid out when it is written.
 * In the order of strcmp a directory comes before what is in it, and a path that was added again
 * right behind its old self.
 */
#include "bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <motor/bundle.h>
#include <motor/start.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u

struct node {
    char *path;
    uint32_t type; /* MOTOR_BUNDLE_* */
    mode_t mode;
    uint32_t uid, gid;
    int64_t mtime;
    const void *data;
    size_t size;
    size_t serial; /* when it was added: of two with the same path the later one counts */
    void *owned;   /* memory to free, or NULL */
    void *mapped;  /* mapping of `mapped_size` bytes to undo, or NULL */
    size_t mapped_size;
};

struct bundle {
    struct node *node;
    size_t count, room;
    void *import; /* mapping of bundle_add_bundle() */
    size_t import_size;
    char error[512];
};

static void *must(void *memory)
{
    if (!memory) {
        fputs("bundle: out of memory\n", stderr);
        exit(125);
    }
    return memory;
}

__attribute__((format(printf, 2, 3))) static bool fail(struct bundle *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(b->error, sizeof b->error, format, args);
    va_end(args);
    return false;
}

struct bundle *bundle_new(void)
{
    return must(calloc(1, sizeof(struct bundle)));
}

static void node_release(struct node *n)
{
    free(n->path);
    free(n->owned);
    if (n->mapped)
        munmap(n->mapped, n->mapped_size);
}

void bundle_free(struct bundle *b)
{
    for (size_t i = 0; i < b->count; i++)
        node_release(&b->node[i]);
    if (b->import)
        munmap(b->import, b->import_size);
    free(b->node);
    free(b);
}

const char *bundle_error(const struct bundle *b)
{
    return b->error;
}

/* "/a//b/" becomes "/a/b". NULL if it is not absolute or has "." or ".." in it. */
static char *normalised(const char *path)
{
    if (*path != '/')
        return NULL;
    char *out = must(malloc(strlen(path) + 2)), *end = out;
    while (*path) {
        size_t slashes = strspn(path, "/"), length = strcspn(path + slashes, "/");
        const char *name = path + slashes;
        if (length && ((length == 1 && name[0] == '.') ||
                       (length == 2 && name[0] == '.' && name[1] == '.'))) {
            free(out);
            return NULL;
        }
        if (length) {
            *end++ = '/';
            memcpy(end, name, length);
            end += length;
        }
        path = name + length;
    }
    if (end == out)
        *end++ = '/';
    *end = 0;
    return out;
}

static struct node *add(struct bundle *b, const char *path, uint32_t type, mode_t mode)
{
    char *name = normalised(*path ? path : "/");
    if (!name) {
        fail(b, "%s: not an absolute path without . and ..", path);
        return NULL;
    }
    if (b->count == b->room) {
        b->room = b->room ? 2 * b->room : 64;
        b->node = must(realloc(b->node, b->room * sizeof *b->node));
    }
    struct node *n = &b->node[b->count];
    *n = (struct node){.path = name, .type = type, .mode = mode & 07777, .serial = b->count++};
    return n;
}

bool bundle_add_data(struct bundle *b, const char *path, const void *data, size_t size, mode_t mode)
{
    struct node *n = add(b, path, MOTOR_BUNDLE_FILE, mode);
    if (!n)
        return false;
    n->data = data;
    n->size = size;
    return true;
}

bool bundle_add_directory(struct bundle *b, const char *path, mode_t mode)
{
    return add(b, path, MOTOR_BUNDLE_DIRECTORY, mode) != NULL;
}

bool bundle_add_symlink(struct bundle *b, const char *path, const char *target)
{
    struct node *n = add(b, path, MOTOR_BUNDLE_SYMLINK, 0777);
    if (!n)
        return false;
    n->data = n->owned = must(strdup(target));
    n->size = strlen(target);
    return true;
}

/* The whole of a host file, mapped; an empty one as NULL. */
static bool map_file(struct bundle *b, const char *host, void **data, struct stat *st)
{
    int fd = open(host, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, st)) {
        if (fd >= 0)
            close(fd);
        return fail(b, "%s: %s", host, strerror(errno));
    }
    if (!S_ISREG(st->st_mode)) {
        close(fd);
        return fail(b, "%s: not a regular file", host);
    }
    *data = NULL;
    if (st->st_size) {
        *data = mmap(NULL, (size_t)st->st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (*data == MAP_FAILED) {
            close(fd);
            return fail(b, "%s: %s", host, strerror(errno));
        }
    }
    close(fd);
    return true;
}

bool bundle_add_file(struct bundle *b, const char *path, const char *host, mode_t mode)
{
    void *data;
    struct stat st;
    if (!map_file(b, host, &data, &st))
        return false;
    struct node *n =
        add(b, path, MOTOR_BUNDLE_FILE, mode == BUNDLE_MODE_OF_FILE ? st.st_mode : mode);
    if (!n) {
        if (data)
            munmap(data, (size_t)st.st_size);
        return false;
    }
    n->data = n->mapped = data;
    n->size = n->mapped_size = (size_t)st.st_size;
    n->mtime = st.st_mtime;
    return true;
}

static bool add_member(struct bundle *b, const char *path, const char *host)
{
    struct stat st;
    if (lstat(host, &st))
        return fail(b, "%s: %s", host, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return bundle_add_tree(b, path, host);
    if (S_ISREG(st.st_mode))
        return bundle_add_file(b, path, host, BUNDLE_MODE_OF_FILE);
    if (S_ISLNK(st.st_mode)) {
        char target[4096];
        ssize_t length = readlink(host, target, sizeof target - 1);
        if (length < 0)
            return fail(b, "%s: %s", host, strerror(errno));
        target[length] = 0;
        return bundle_add_symlink(b, path, target);
    }
    return fail(b, "%s: neither a file, a directory nor a symbolic link", host);
}

/* What is there already, by its last name; NULL, and an error, if nothing is. */
static struct node *find(struct bundle *b, const char *path)
{
    char *name = normalised(path);
    struct node *found = NULL;
    for (size_t i = b->count; name && i-- && !found;)
        if (!strcmp(b->node[i].path, name))
            found = &b->node[i];
    free(name);
    if (!found)
        fail(b, "%s: there is no such path", path);
    return found;
}

bool bundle_is_directory(struct bundle *b, const char *path)
{
    struct node *n = find(b, *path ? path : "/");
    return n && n->type == MOTOR_BUNDLE_DIRECTORY;
}

bool bundle_add_tree(struct bundle *b, const char *path, const char *host)
{
    struct stat st;
    DIR *dir = opendir(host);
    if (!dir || stat(host, &st)) {
        if (dir)
            closedir(dir);
        return fail(b, "%s: %s", host, strerror(errno));
    }
    /* a directory that is there keeps its mode when more is put into it */
    bool ok = bundle_is_directory(b, path) || bundle_add_directory(b, path, st.st_mode);
    for (struct dirent *entry; ok && (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        char *inner, *outer;
        if (asprintf(&inner, "%s/%s", path, entry->d_name) < 0 ||
            asprintf(&outer, "%s/%s", host, entry->d_name) < 0)
            must(NULL);
        ok = add_member(b, inner, outer);
        free(inner);
        free(outer);
    }
    closedir(dir);
    return ok;
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool inside(uint64_t offset, uint64_t size, uint64_t total)
{
    return offset <= total && size <= total - offset;
}

static bool import_entry(struct bundle *b, const char *base, const struct motor_bundle_header *h,
                         const struct motor_bundle_entry *e)
{
    if (e->name >= h->names_size ||
        !memchr(base + h->names_offset + e->name, 0, h->names_size - e->name) ||
        !inside(e->offset, e->size, h->total_size))
        return false;
    struct node *n = add(b, base + h->names_offset + e->name, e->type, e->mode);
    if (!n)
        return false;
    n->uid = e->uid;
    n->gid = e->gid;
    n->mtime = e->mtime;
    n->data = base + e->offset;
    n->size = e->size;
    return motor_bundle_hash(n->data, n->size) == e->hash;
}

bool bundle_add_bundle(struct bundle *b, const char *host)
{
    struct stat st;
    void *map;
    if (b->import)
        return fail(b, "%s: only one bundle can be added", host);
    if (!map_file(b, host, &map, &st))
        return false;
    b->import = map;
    b->import_size = (size_t)st.st_size;

    struct motor_bundle_header h = {0};
    const char *base = map;
    if (b->import_size >= sizeof h)
        memcpy(&h, base, sizeof h);
    bool ok =
        h.magic == MOTOR_BUNDLE_MAGIC && h.version == MOTOR_BUNDLE_VERSION &&
        h.total_size <= b->import_size && h.entries_offset % 8 == 0 &&
        h.entries_offset <= h.names_offset &&
        h.entries <= (h.names_offset - h.entries_offset) / sizeof(struct motor_bundle_entry) &&
        inside(h.names_offset, h.names_size, h.total_size) &&
        motor_bundle_hash(base + h.entries_offset,
                          h.names_offset + h.names_size - h.entries_offset) == h.hash;
    const struct motor_bundle_entry *entry = (const void *)(base + h.entries_offset);
    for (uint32_t i = 0; ok && i < h.entries; i++)
        ok = import_entry(b, base, &h, &entry[i]);
    return ok || fail(b, "%s: not a boot bundle, or a damaged one", host);
}

/* ---- what to start -------------------------------------------------------------------------- */

static uint32_t strings_count(char *const *strings)
{
    uint32_t n = 0;
    while (strings[n])
        n++;
    return n;
}

bool bundle_set_run(struct bundle *b, uint32_t index, uint32_t flags, const char *path,
                    char *const *argv, char *const *envp)
{
    char name[] = MOTOR_BUNDLE_RUN ".0";
    struct motor_run run = {.magic = MOTOR_RUN_MAGIC,
                            .flags = flags,
                            .argc = strings_count(argv),
                            .envc = strings_count(envp)};
    char *block;
    size_t size;
    FILE *out = must(open_memstream(&block, &size));
    fwrite(&run, sizeof run, 1, out);
    fwrite(path, strlen(path) + 1, 1, out);
    for (uint32_t i = 0; i < run.argc; i++)
        fwrite(argv[i], strlen(argv[i]) + 1, 1, out);
    for (uint32_t i = 0; i < run.envc; i++)
        fwrite(envp[i], strlen(envp[i]) + 1, 1, out);
    if (fclose(out))
        must(NULL);

    name[sizeof name - 2] = (char)('0' + index);
    if (index == 0)
        name[sizeof name - 3] = 0;
    struct node *n = add(b, name, MOTOR_BUNDLE_FILE, 0600);
    if (!n)
        return false;
    n->data = n->owned = block;
    n->size = size;
    return true;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    const struct node *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->serial > y->serial) - (x->serial < y->serial);
}

/* Adds the directories that files need and nobody named. */
static void add_parents(struct bundle *b)
{
    for (size_t i = 0, named = b->count; i < named; i++) {
        char *path = must(strdup(b->node[i].path));
        for (char *slash; (slash = strrchr(path, '/')) && slash != path;) {
            *slash = 0;
            bool known = false;
            for (size_t j = 0; j < b->count && !known; j++)
                known = !strcmp(b->node[j].path, path);
            if (known)
                break; /* and so are its own parents, or they will be when its turn comes */
            bundle_add_directory(b, path, 0755);
        }
        free(path);
    }
}

static bool order_nodes(struct bundle *b)
{
    add_parents(b);
    if (!b->count)
        return true;
    qsort(b->node, b->count, sizeof *b->node, by_path);
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++) {
        if (i + 1 < b->count && !strcmp(b->node[i].path, b->node[i + 1].path))
            node_release(&b->node[i]);
        else
            b->node[kept++] = b->node[i];
    }
    b->count = kept;
    return true;
}

static uint64_t page_up(uint64_t size)
{
    return (size + PAGE - 1) / PAGE * PAGE;
}

/* What lies in pages of its own, to be mapped: the targets of links are short and stay together. */
static uint64_t paged_size(const struct node *n)
{
    return n->type == MOTOR_BUNDLE_SYMLINK ? 0 : page_up(n->size);
}

/* The header, the entries, the names and the targets of links, up to the first file's data. */
static char *make_tables(const struct bundle *b, size_t *size)
{
    struct motor_bundle_header h = {.magic = MOTOR_BUNDLE_MAGIC,
                                    .version = MOTOR_BUNDLE_VERSION,
                                    .entries = (uint32_t)b->count,
                                    .entries_offset = sizeof h};
    h.names_offset = h.entries_offset + b->count * sizeof(struct motor_bundle_entry);
    for (size_t i = 0; i < b->count; i++)
        h.names_size += strlen(b->node[i].path) + 1;
    uint64_t target = h.names_offset + h.names_size, targets_end = target;
    for (size_t i = 0; i < b->count; i++)
        targets_end += b->node[i].type == MOTOR_BUNDLE_SYMLINK ? b->node[i].size : 0;

    *size = page_up(targets_end);
    char *tables = must(calloc(1, *size));
    struct motor_bundle_entry *entry = (void *)(tables + h.entries_offset);
    char *name = tables + h.names_offset;
    uint64_t offset = *size;
    for (size_t i = 0; i < b->count; i++) {
        const struct node *n = &b->node[i];
        bool link = n->type == MOTOR_BUNDLE_SYMLINK;
        entry[i] = (struct motor_bundle_entry){.name = (uint32_t)(name - (tables + h.names_offset)),
                                               .type = n->type,
                                               .mode = n->mode,
                                               .uid = n->uid,
                                               .gid = n->gid,
                                               .mtime = n->mtime,
                                               .offset = link ? target : offset,
                                               .size = n->size,
                                               .hash = motor_bundle_hash(n->data, n->size)};
        name = stpcpy(name, n->path) + 1;
        if (link) {
            memcpy(tables + target, n->data, n->size);
            target += n->size;
        }
        offset += paged_size(n);
    }
    h.total_size = offset;
    h.hash = motor_bundle_hash(tables + h.entries_offset,
                               h.names_offset + h.names_size - h.entries_offset);
    memcpy(tables, &h, sizeof h);
    return tables;
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

bool bundle_write(struct bundle *b, int fd)
{
    static const char zeros[PAGE];
    order_nodes(b);
    size_t size;
    char *tables = make_tables(b, &size);
    bool ok = write_all(fd, tables, size);
    free(tables);
    for (size_t i = 0; ok && i < b->count; i++) {
        const struct node *n = &b->node[i];
        if (paged_size(n))
            ok =
                write_all(fd, n->data, n->size) && write_all(fd, zeros, page_up(n->size) - n->size);
    }
    return ok || fail(b, "writing the bundle: %s", strerror(errno));
}

/* ---- looking and changing ------------------------------------------------------------------- */

bool bundle_set_owner(struct bundle *b, const char *path, uint32_t uid, uint32_t gid)
{
    struct node *n = find(b, path);
    if (n) {
        n->uid = uid;
        n->gid = gid;
    }
    return n;
}

bool bundle_set_mode(struct bundle *b, const char *path, mode_t mode)
{
    struct node *n = find(b, path);
    if (n)
        n->mode = mode & 07777;
    return n;
}

bool bundle_each(struct bundle *b, bool (*each)(void *context, const struct bundle_item *item),
                 void *context)
{
    order_nodes(b);
    for (size_t i = 0; i < b->count; i++) {
        const struct node *n = &b->node[i];
        struct bundle_item item = {n->path, n->type, n->mode, n->uid, n->gid, n->data, n->size};
        if (!each(context, &item))
            return false;
    }
    return true;
}
