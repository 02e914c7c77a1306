/* SPDX-License-Identifier: MIT */
/* Numbers of mount options: see quota.h. */
#include "quota.h"

#include <ctype.h>

bool quota_number(const char *text, size_t length, uint64_t whole, uint64_t *out)
{
    uint64_t value = 0;
    size_t at = 0;
    for (; at < length && isdigit((unsigned char)text[at]); at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[at] - '0'), &value))
            return false;
    if (!at || length - at > 1)
        return false;
    unsigned shift = 0;
    switch (at < length ? tolower((unsigned char)text[at]) : 0) {
    case 0:
        break;
    case 'k':
        shift = 10;
        break;
    case 'm':
        shift = 20;
        break;
    case 'g':
        shift = 30;
        break;
    case '%':
        if (!whole || __builtin_mul_overflow(value, whole / 100, &value))
            return false;
        break;
    default:
        return false;
    }
    if (value > UINT64_MAX >> shift)
        return false;
    *out = value << shift;
    return true;
}
