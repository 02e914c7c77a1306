/* SPDX-License-Identifier: MIT */
/* Extended attributes in memory: a list, as there are few of a file. See xattr.h. */
#include "xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct xattr_entry {
    struct xattr_entry *next;
    uint32_t name_size, size; /* the name's with its NUL */
    char bytes[];             /* name, value */
};

static uint64_t takes(const struct xattr_entry *e)
{
    return sizeof *e + e->name_size + e->size;
}

static struct xattr_entry **find(struct xattr_list *list, const char *name)
{
    struct xattr_entry **link = &list->first;
    while (*link && strcmp((*link)->bytes, name))
        link = &(*link)->next;
    return link;
}

static void take_out(struct xattr_list *list, struct xattr_entry **link)
{
    struct xattr_entry *e = *link;
    *link = e->next;
    list->bytes -= takes(e);
    free(e);
}

static int64_t set(struct xattr_list *list, const struct xattr *x, uint64_t room)
{
    struct xattr_entry **link = find(list, x->name), *e;
    uint64_t before = *link ? takes(*link) : 0;
    struct xattr_entry new = {.name_size = (uint32_t)strlen(x->name) + 1,
                              .size = (uint32_t)x->size};
    if (*link && x->create)
        return -EEXIST;
    if (!*link && x->replace)
        return -ENODATA;
    if (takes(&new) > before + room || list->bytes - before + takes(&new) > XATTR_VALUE_MAX * 2 ||
        memory_low())
        return -ENOSPC;
    if (!(e = malloc(takes(&new))))
        return -ENOSPC;
    *e = new;
    memcpy(e->bytes, x->name, e->name_size);
    memcpy(e->bytes + e->name_size, x->value, e->size);
    if (*link)
        take_out(list, link);
    e->next = *link;
    *link = e;
    list->bytes += takes(e);
    return 0;
}

/* Those that do not fit are an error of who asks: -E2BIG. */
static int64_t names(const struct xattr_list *list, char *to)
{
    size_t size = 0;
    for (const struct xattr_entry *e = list->first; e; e = e->next) {
        if (e->name_size > XATTR_VALUE_MAX - size)
            return -E2BIG;
        memcpy(to + size, e->bytes, e->name_size);
        size += e->name_size;
    }
    return (int64_t)size;
}

int64_t xattr_list_do(struct xattr_list *list, uint32_t op, const struct xattr *x, uint64_t room)
{
    if (op == IO_XATTR_LIST)
        return names(list, x->value);
    if (op == IO_XATTR_SET)
        return set(list, x, room);
    struct xattr_entry **link = find(list, x->name), *e = *link;
    if (!e)
        return -ENODATA;
    if (op == IO_XATTR_REMOVE) {
        take_out(list, link);
        return 0;
    }
    memcpy(x->value, e->bytes + e->name_size, e->size);
    return e->size;
}

void xattr_list_free(struct xattr_list *list)
{
    while (list->first)
        take_out(list, &list->first);
}
