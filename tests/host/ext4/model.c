/* SPDX-License-Identifier: MIT */
/* The model and the random operations: see model.h. */
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DIRS_MAX 64u

struct mover {
    uint8_t *bytes;
    uint64_t at;
};

static int64_t take(void *context, void *page, uint64_t size)
{
    struct mover *m = context;
    memcpy(m->bytes + m->at, page, size);
    m->at += size;
    return (int64_t)size;
}

static int64_t give(void *context, void *page, uint64_t size)
{
    struct mover *m = context;
    memcpy(page, m->bytes + m->at, size);
    m->at += size;
    return (int64_t)size;
}

uint8_t model_byte(uint32_t id, uint64_t at)
{
    return (uint8_t)(1 + (id * 31 + at * 7 + (at >> 9)) % 255);
}

static struct mnode *mnode_new(struct model *m, enum mtype type, struct mnode *parent)
{
    struct mnode *n = calloc(1, sizeof *n);
    n->type = type;
    n->id = m->next_id++;
    n->nlink = type == MODEL_DIR ? 2 : 1;
    n->parent = parent;
    return n;
}

void model_init(struct model *m)
{
    m->next_id = 1;
    m->root = mnode_new(m, MODEL_DIR, NULL);
    m->root->parent = m->root;
    m->names = m->names ? m->names : 40;
    m->file_max = m->file_max ? m->file_max : 200000;
    m->files = m->files ? m->files : 6;
    m->writes = m->writes ? m->writes : 4;
    if (!m->weights.create)
        m->weights = (struct model_weights){30, 12, 10, 5, 6, 37};
}

static void mnode_free(struct mnode *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (n->entries[i].node->type == MODEL_DIR || --n->entries[i].node->nlink == 0)
            mnode_free(n->entries[i].node);
    free(n->data);
    free(n->entries);
    free(n);
}

void model_free(struct model *m)
{
    mnode_free(m->root);
}

static struct mentry *find(struct mnode *dir, const char *name)
{
    for (uint32_t i = 0; i < dir->count; i++)
        if (!strcmp(dir->entries[i].name, name))
            return &dir->entries[i];
    return NULL;
}

static void add(struct mnode *dir, const char *name, struct mnode *n)
{
    if (dir->count == dir->room) {
        dir->room = dir->room ? dir->room * 2 : 16;
        dir->entries = realloc(dir->entries, dir->room * sizeof *dir->entries);
    }
    strcpy(dir->entries[dir->count].name, name);
    dir->entries[dir->count++].node = n;
    if (n->type == MODEL_DIR) {
        n->parent = dir;
        dir->nlink++;
    }
}

static void drop(struct mnode *dir, struct mentry *e)
{
    if (e->node->type == MODEL_DIR)
        dir->nlink--;
    *e = dir->entries[--dir->count];
}

static void unref(struct mnode *n)
{
    if (n->type == MODEL_DIR ? true : --n->nlink == 0) {
        free(n->data);
        free(n->entries);
        free(n);
    }
}

/* ---- choice ---- */

static uint32_t dirs_collect(struct mnode *n, struct mnode **out, uint32_t count)
{
    if (n->type != MODEL_DIR || count == DIRS_MAX)
        return count;
    out[count++] = n;
    for (uint32_t i = 0; i < n->count; i++)
        count = dirs_collect(n->entries[i].node, out, count);
    return count;
}

static struct mnode *random_dir(struct model *m)
{
    struct mnode *dirs[DIRS_MAX];
    uint32_t count = dirs_collect(m->root, dirs, 0);
    return random_below(2) ? m->root : dirs[random_below(count)];
}

static void random_name(struct model *m, char *name)
{
    uint32_t i = random_below(m->names);
    int n = sprintf(name, "n%u", i);
    if (i % 5 == 0) { /* long ones fill directories */
        memset(name + n, 'x', 60 + i % 100);
        n += 60 + (int)(i % 100);
    }
    name[n] = 0;
}

/* The node of a model's directory in the file system. */
static struct ext4_node *open_dir(struct ext4 *fs, const struct mnode *dir)
{
    struct ext4_node *n, *up;
    if (dir->parent == dir) {
        if (ext4_root(fs, &n))
            fail("no root");
        return n;
    }
    up = open_dir(fs, dir->parent);
    for (uint32_t i = 0; i < dir->parent->count; i++) {
        const struct mentry *e = &dir->parent->entries[i];
        if (e->node != dir)
            continue;
        int error = ext4_lookup(up, e->name, strlen(e->name), &n);
        if (error)
            fail("lookup of %s: %d", e->name, error);
        ext4_put(up);
        return n;
    }
    fail("a lost directory");
}

static void expect(const char *what, const char *name, int64_t got, int64_t wanted)
{
    if (got != wanted)
        fail("%s %s: %lld, not %lld (seed %llu)", what, name, (long long)got, (long long)wanted,
             (unsigned long long)test_seed);
}

/* ---- operations ---- */

static const char *step_create(struct model *m, struct ext4_node *dir, struct mnode *mdir,
                               const char *name)
{
    static const uint32_t modes[] = {S_IFREG | 0644, S_IFDIR | 0755, S_IFLNK | 0777};
    struct ext4_node *n = NULL;
    enum mtype type = random_below(m->files) ? MODEL_FILE : MODEL_DIR + random_below(2);
    char target[512];
    struct ext4_new new = {.mode = modes[type], .uid = m->next_id, .target = target};
    if (type == MODEL_LINK) {
        new.target_size = 1 + random_below(random_below(2) ? 59 : 500);
        memset(target, 'a' + (int)random_below(26), sizeof target);
    }
    int error = ext4_create(dir, name, strlen(name), &new, &n);
    if (error == -ENOSPC)
        return "create, full";
    expect("create", name, error, find(mdir, name) ? -EEXIST : 0);
    if (error)
        return "create, exists";
    ext4_put(n);
    struct mnode *made = mnode_new(m, type, mdir);
    if (type == MODEL_LINK) {
        made->size = new.target_size;
        made->data = malloc(made->size);
        memcpy(made->data, target, made->size);
    }
    add(mdir, name, made);
    return "create";
}

static const char *step_unlink(struct ext4_node *dir, struct mnode *mdir, const char *name)
{
    struct mentry *e = find(mdir, name);
    int wanted = !e ? -ENOENT : e->node->type == MODEL_DIR && e->node->count ? -ENOTEMPTY : 0;
    expect("unlink", name, ext4_unlink(dir, name, strlen(name)), wanted);
    if (!wanted) {
        struct mnode *n = e->node;
        drop(mdir, e);
        unref(n);
    }
    return "unlink";
}

static bool is_below(const struct mnode *n, const struct mnode *dir)
{
    for (;; n = n->parent) {
        if (n == dir)
            return true;
        if (n->parent == n)
            return false;
    }
}

static const char *step_rename(struct model *m, struct ext4 *fs, struct ext4_node *dir,
                               struct mnode *mdir, const char *name)
{
    char new_name[256];
    struct mnode *to = random_dir(m);
    bool swap = random_below(8) == 0;
    random_name(m, new_name);
    struct mentry *e = find(mdir, name), *t = find(to, new_name);
    if (e && (is_below(to, e->node) || (t && is_below(mdir, t->node))))
        return "rename, refused";
    int wanted = 0;
    if (!e || (swap && !t))
        wanted = -ENOENT;
    else if (t && t->node != e->node && !swap) {
        bool a = e->node->type == MODEL_DIR, b = t->node->type == MODEL_DIR;
        wanted = a && !b ? -ENOTDIR : !a && b ? -EISDIR : b && t->node->count ? -ENOTEMPTY : 0;
    }
    struct ext4_node *new_dir = open_dir(fs, to);
    int error = ext4_rename(dir, name, strlen(name), new_dir, new_name, strlen(new_name), swap);
    ext4_put(new_dir);
    if (error == -ENOSPC)
        return "rename, full";
    expect("rename", name, error, wanted);
    if (error || (t && t->node == e->node))
        return "rename, nothing";
    struct mnode *moved = e->node, *gone = t ? t->node : NULL;
    if (gone)
        drop(to, t);
    drop(mdir, find(mdir, name));
    add(to, new_name, moved);
    if (gone && swap)
        add(mdir, name, gone);
    else if (gone)
        unref(gone);
    return "rename";
}

static const char *step_link(struct model *m, struct ext4 *fs, struct ext4_node *dir,
                             struct mnode *mdir, const char *name)
{
    char new_name[256];
    struct mnode *to = random_dir(m);
    struct mentry *e = find(mdir, name);
    struct ext4_node *n;
    random_name(m, new_name);
    if (!e || e->node->type == MODEL_DIR)
        return "link, none";
    expect("lookup", name, ext4_lookup(dir, name, strlen(name), &n), 0);
    struct ext4_node *new_dir = open_dir(fs, to);
    int error = ext4_link(new_dir, new_name, strlen(new_name), n);
    ext4_put(new_dir);
    ext4_put(n);
    if (error == -ENOSPC)
        return "link, full";
    expect("link", new_name, error, find(to, new_name) ? -EEXIST : 0);
    if (!error) {
        e->node->nlink++;
        add(to, new_name, e->node);
    }
    return "link";
}

static void model_write(struct mnode *f, uint64_t offset, const uint8_t *bytes, uint64_t size)
{
    if (offset + size > f->size) {
        f->data = realloc(f->data, offset + size);
        memset(f->data + f->size, 0, offset + size - f->size);
        f->size = offset + size;
    }
    memcpy(f->data + offset, bytes, size);
}

static void model_resize(struct mnode *f, uint64_t size)
{
    f->data = realloc(f->data, size + 1);
    if (size > f->size)
        memset(f->data + f->size, 0, size - f->size);
    f->size = size;
}

static const char *step_write(struct model *m, struct ext4_node *n, struct mnode *f)
{
    uint64_t size = 1 + random_below(random_below(3) ? 3000 : 40000);
    uint64_t offset = m->append_only || random_below(2) ? f->size : random_below(m->file_max);
    if (offset + size > m->file_max)
        return "write, large";
    struct mover bytes = {malloc(size), 0};
    for (uint64_t i = 0; i < size; i++)
        bytes.bytes[i] =
            m->append_only ? model_byte(f->id, offset + i) : (uint8_t)random_below(256);
    bool kept = offset == f->size && random_below(2) && !ext4_reserve(n, size);
    int64_t written =
        kept ? ext4_append(n, size, give, &bytes) : ext4_write(n, offset, size, give, &bytes);
    if (kept && written != (int64_t)size)
        fail("space was kept for %llu bytes, but %lld were appended", (unsigned long long)size,
             (long long)written);
    if (kept && random_below(2))
        ext4_reserve(n, 0);
    if (written != -ENOSPC && (written <= 0 || (uint64_t)written > size))
        fail("write: %lld", (long long)written);
    if (written > 0)
        model_write(f, offset, bytes.bytes, (uint64_t)written);
    free(bytes.bytes);
    return "write";
}

static const char *step_size(struct model *m, struct ext4_node *n, struct mnode *f)
{
    uint64_t size = random_below(m->file_max), offset = random_below(m->file_max);
    uint32_t what = m->append_only ? 0 : random_below(3);
    if (m->append_only)
        size = f->size ? random_below((uint32_t)f->size + 1) : 0;
    if (what == 0) {
        int error = ext4_truncate(n, size);
        if (error != -ENOSPC) {
            expect("truncate", "", error, 0);
            model_resize(f, size);
        }
        return "truncate";
    }
    if (what == 1) {
        int error = ext4_punch(n, offset, size);
        if (error == -ENOSPC)
            fail("no space for a hole");
        expect("punch", "", error, 0);
        for (uint64_t i = offset; i < offset + size && i < f->size; i++)
            f->data[i] = 0;
        return "punch";
    }
    bool keep = random_below(2);
    int error = ext4_allocate(n, offset, size % 50000 + 1, keep);
    if (error != -ENOSPC) {
        expect("allocate", "", error, 0);
        if (!keep && offset + size % 50000 + 1 > f->size)
            model_resize(f, offset + size % 50000 + 1);
    }
    return "allocate";
}

static const char *step_file(struct model *m, struct ext4_node *dir, struct mnode *mdir,
                             const char *name)
{
    struct mentry *e = find(mdir, name);
    struct ext4_node *n;
    if (!e || e->node->type != MODEL_FILE)
        return "no file";
    expect("lookup", name, ext4_lookup(dir, name, strlen(name), &n), 0);
    const char *what =
        random_below(m->writes) ? step_write(m, n, e->node) : step_size(m, n, e->node);
    if (!random_below(16)) /* no byte changes by that */
        ext4_forget(n, random_below(m->file_max),
                    random_below(2) ? UINT64_MAX : random_below(m->file_max));
    ext4_put(n);
    return what;
}

/* ---- extended attributes: see model_attrs.c ---- */

static const char *step_attr(struct model *m, struct ext4_node *dir, struct mnode *mdir,
                             const char *name)
{
    struct mentry *e = find(mdir, name);
    struct ext4_node *n;
    if (!e)
        return "no attribute";
    expect("lookup", name, ext4_lookup(dir, name, strlen(name), &n), 0);
    model_attr_step(e->node, n, m->next_id++);
    ext4_put(n);
    return "attribute";
}

const char *model_step(struct model *m, struct ext4 *fs)
{
    struct mnode *mdir = random_dir(m);
    struct ext4_node *dir = open_dir(fs, mdir);
    const char *what;
    char name[256];
    random_name(m, name);
    const struct model_weights *w = &m->weights;
    uint32_t kind = random_below(100), limit = w->create;
    if (kind < limit)
        what = step_create(m, dir, mdir, name);
    else if (kind < (limit += w->unlink))
        what = step_unlink(dir, mdir, name);
    else if (kind < (limit += w->rename))
        what = step_rename(m, fs, dir, mdir, name);
    else if (kind < (limit += w->link))
        what = step_link(m, fs, dir, mdir, name);
    else if (kind < limit + w->attr)
        what = step_attr(m, dir, mdir, name);
    else
        what = step_file(m, dir, mdir, name);
    ext4_put(dir);
    if (ext4_broken(fs))
        fail("broken after %s", what);
    return what;
}

/* ---- comparison ---- */

struct names {
    char (*names)[256];
    uint32_t count;
    uint64_t stop; /* after so many, to go on with the cookie */
    uint64_t cookie;
};

static bool collect(void *context, uint64_t ino, uint64_t next, unsigned type, const char *name,
                    size_t length)
{
    struct names *n = context;
    (void)ino, (void)type;
    if (n->stop-- == 0)
        return false;
    n->names = realloc(n->names, (n->count + 1) * sizeof *n->names);
    memcpy(n->names[n->count], name, length);
    n->names[n->count++][length] = 0;
    n->cookie = next;
    return true;
}

static struct names list(struct ext4_node *dir)
{
    struct names n = {0};
    uint32_t before;
    do { /* in pieces, as clients do */
        n.stop = 1 + random_below(50);
        before = n.count;
        int error = ext4_list(dir, n.cookie, collect, &n);
        if (error)
            fail("list: %d", error);
    } while (n.count > before);
    return n;
}

static void compare_file(struct ext4_node *n, const struct mnode *f)
{
    struct mover bytes = {malloc(f->size + 1), 0};
    int64_t got = f->type == MODEL_LINK ? ext4_readlink(n, (char *)bytes.bytes, f->size + 1)
                                        : ext4_read(n, 0, f->size + 1, take, &bytes);
    expect("read", "", got, (int64_t)f->size);
    for (uint64_t i = 0; i < f->size; i++)
        if (bytes.bytes[i] != f->data[i])
            fail("byte %llu of file %u is %02x, not %02x", (unsigned long long)i, f->id,
                 bytes.bytes[i], f->data[i]);
    free(bytes.bytes);
}

static void compare(struct ext4_node *n, const struct mnode *m)
{
    static const uint32_t types[] = {S_IFREG, S_IFDIR, S_IFLNK};
    struct ext4_attributes a;
    ext4_attributes(n, &a);
    expect("type", "", a.mode & S_IFMT, types[m->type]);
    if (m->parent != m) {
        expect("nlink", "", a.nlink, m->nlink);
        expect("owner", "", a.uid, m->id);
        uint32_t tags[MODEL_ATTRS];
        model_attrs_read(n, tags);
        if (memcmp(tags, m->attrs, sizeof tags))
            fail("the attributes of %u", m->id);
    }
    if (m->type != MODEL_DIR) {
        expect("size", "", (int64_t)a.size, (int64_t)m->size);
        compare_file(n, m);
        return;
    }
    struct names names = list(n);
    expect("entries", "", names.count, m->count + (m->parent == m)); /* lost+found */
    for (uint32_t i = 0; i < names.count; i++)
        if (strcmp(names.names[i], "lost+found") && !find((struct mnode *)m, names.names[i]))
            fail("%s should not be there", names.names[i]);
    free(names.names);
    for (uint32_t i = 0; i < m->count; i++) {
        struct ext4_node *child;
        const char *name = m->entries[i].name;
        expect("lookup", name, ext4_lookup(n, name, strlen(name), &child), 0);
        compare(child, m->entries[i].node);
        ext4_put(child);
    }
}

void model_compare(const struct model *m, struct ext4 *fs)
{
    struct ext4_node *root;
    expect("root", "", ext4_root(fs, &root), 0);
    compare(root, m->root);
    ext4_put(root);
}

/* ---- hashes ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash ^= value;
    hash *= 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

static uint64_t mix_name(uint64_t hash, const char *name)
{
    for (; *name; name++)
        hash = mix(hash, (uint8_t)*name);
    return hash;
}

static uint64_t node_hash(uint64_t path, uint32_t type, uint64_t size, uint32_t nlink, uint32_t id,
                          const uint32_t *attrs)
{
    uint64_t hash = mix(mix(mix(mix(path, type), size), nlink), id);
    for (uint32_t k = 0; k < MODEL_ATTRS; k++)
        hash = mix(hash, attrs[k]);
    return hash;
}

static uint64_t hash_model(const struct mnode *n, uint64_t path)
{
    uint64_t sum =
        node_hash(path, n->type, n->type == MODEL_DIR ? 0 : n->size, n->nlink, n->id, n->attrs);
    for (uint32_t i = 0; i < n->count; i++)
        sum += hash_model(n->entries[i].node, mix_name(path, n->entries[i].name));
    return sum;
}

uint64_t model_hash(const struct model *m)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->root->count; i++)
        sum += hash_model(m->root->entries[i].node, mix_name(1, m->root->entries[i].name));
    return sum;
}

static void check_bytes(struct ext4_node *n, const struct ext4_attributes *a)
{
    struct mover bytes = {malloc(a->size + 1), 0};
    expect("read", "", ext4_read(n, 0, a->size + 1, take, &bytes), (int64_t)a->size);
    for (uint64_t i = 0; i < a->size; i++)
        if (bytes.bytes[i] != model_byte(a->uid, i))
            fail("byte %llu of %llu of file %u is %02x, not %02x", (unsigned long long)i,
                 (unsigned long long)a->size, a->uid, bytes.bytes[i], model_byte(a->uid, i));
    free(bytes.bytes);
}

static uint64_t hash_tree(struct ext4_node *n, uint64_t path, bool bytes_too, bool root)
{
    struct ext4_attributes a;
    uint64_t sum = 0;
    ext4_attributes(n, &a);
    enum mtype type = S_ISDIR(a.mode) ? MODEL_DIR : S_ISLNK(a.mode) ? MODEL_LINK : MODEL_FILE;
    if (!root) {
        uint32_t tags[MODEL_ATTRS];
        model_attrs_read(n, tags);
        sum = node_hash(path, type, type == MODEL_DIR ? 0 : a.size, a.nlink, a.uid, tags);
    }
    if (type == MODEL_FILE && bytes_too)
        check_bytes(n, &a);
    if (type != MODEL_DIR)
        return sum;
    struct names names = list(n);
    for (uint32_t i = 0; i < names.count; i++) {
        struct ext4_node *child;
        if (root && !strcmp(names.names[i], "lost+found"))
            continue;
        expect("lookup", names.names[i],
               ext4_lookup(n, names.names[i], strlen(names.names[i]), &child), 0);
        sum += hash_tree(child, mix_name(path, names.names[i]), bytes_too, false);
        ext4_put(child);
    }
    free(names.names);
    return sum;
}

uint64_t tree_hash(struct ext4 *fs, bool bytes_too)
{
    struct ext4_node *root;
    expect("root", "", ext4_root(fs, &root), 0);
    uint64_t sum = hash_tree(root, 1, bytes_too, true);
    ext4_put(root);
    return sum;
}
