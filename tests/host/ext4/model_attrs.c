/* SPDX-License-Identifier: MIT */
/* The model's extended attributes: a value begins with its tag, from which all of it follows. */
#include "model.h"

#include <errno.h>
#include <string.h>

#define VALUE_MAX 1000u

static const char *const names[MODEL_ATTRS] = {"user.a", "trusted.a-name-that-is-longer",
                                               "security.\xfc", "user.d"};

static uint32_t size_of(uint32_t tag)
{
    return 4 + (tag & 3 ? (tag >> 8) % 80 : (tag >> 8) % (VALUE_MAX - 4));
}

static void fill(uint32_t tag, uint8_t *to)
{
    memcpy(to, &tag, 4);
    for (uint32_t i = 4; i < size_of(tag); i++)
        to[i] = (uint8_t)((tag >> i % 4 * 8) + i);
}

void model_attr_step(struct mnode *m, struct ext4_node *n, uint32_t serial)
{
    uint8_t value[VALUE_MAX];
    uint32_t k = random_below(MODEL_ATTRS), flags = random_below(3), *was = &m->attrs[k];
    uint32_t tag = random_below(3) ? (serial * 2654435761u) | 4 : 0;
    int wanted = 0;
    fill(tag, value);
    if (*was && tag && flags == EXT4_XATTR_CREATE)
        wanted = -EEXIST;
    else if (!*was && (!tag || flags == EXT4_XATTR_REPLACE))
        wanted = -ENODATA;
    int error = ext4_xattr_set(n, names[k], tag ? value : NULL, size_of(tag), flags);
    if (error == -ENOSPC && tag && !wanted)
        return; /* nothing has changed */
    if (error != wanted)
        fail("%s: %d, not %d", names[k], error, wanted);
    if (!error)
        *was = tag;
}

void model_attrs_read(struct ext4_node *n, uint32_t tags[MODEL_ATTRS])
{
    char list[256];
    uint8_t value[VALUE_MAX], right[VALUE_MAX];
    int64_t listed = ext4_xattr_list(n, list, sizeof list);
    for (uint32_t k = 0; k < MODEL_ATTRS; k++) {
        int64_t size = ext4_xattr_get(n, names[k], value, sizeof value);
        tags[k] = 0;
        if (size == -ENODATA)
            continue;
        if (size < 4)
            fail("%s: %lld", names[k], (long long)size);
        memcpy(&tags[k], value, 4);
        fill(tags[k], right);
        if ((uint64_t)size != size_of(tags[k]) || memcmp(value, right, (size_t)size))
            fail("the value of %s", names[k]);
        listed -= (int64_t)strlen(names[k]) + 1;
    }
    if (listed)
        fail("the list of attributes: %lld too many", (long long)listed);
}
