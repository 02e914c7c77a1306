/* SPDX-License-Identifier: MIT */
/* What the compiler and the runtime need of <string.h>, and a small formatter. */
#include <stdarg.h>

#include "px.h"

typedef uint64_t __attribute__((may_alias, aligned(1))) word;

/* The last word is one that may overlap the one before: no bytes are left over. */
void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    if (n < 8) {
        for (; n; n--) {
            *d++ = *s++;
        }
        return to;
    }
    const word last = *(const word *)(s + n - 8);
    word *const end = (word *)(d + n - 8);
    for (; n > 32; n -= 32, d += 32, s += 32) {
        word a = ((const word *)s)[0], b = ((const word *)s)[1];
        word e = ((const word *)s)[2], f = ((const word *)s)[3];
        ((word *)d)[0] = a;
        ((word *)d)[1] = b;
        ((word *)d)[2] = e;
        ((word *)d)[3] = f;
    }
    for (; (word *)d < end; d += 8, s += 8) {
        *(word *)d = *(const word *)s;
    }
    *end = last;
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    if (d <= s) {
        for (; n >= 8; n -= 8, d += 8, s += 8) {
            *(word *)d = *(const word *)s;
        }
        for (; n; n--) {
            *d++ = *s++;
        }
        return to;
    }
    while (n >= 8) {
        n -= 8;
        *(word *)(d + n) = *(const word *)(s + n);
    }
    while (n) {
        n--;
        d[n] = s[n];
    }
    return to;
}

void *memset(void *to, int c, size_t n)
{
    unsigned char *d = to;
    uint64_t pattern = 0x0101010101010101ull * (unsigned char)c;
    for (; n >= 32; n -= 32, d += 32) {
        ((word *)d)[0] = ((word *)d)[1] = ((word *)d)[2] = ((word *)d)[3] = pattern;
    }
    for (; n >= 8; n -= 8, d += 8) {
        *(word *)d = pattern;
    }
    for (; n; n--) {
        *d++ = (unsigned char)c;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    uint64_t v, w;
    for (; n >= sizeof(v); n -= sizeof(v), x += sizeof(v), y += sizeof(v)) {
        __builtin_memcpy(&v, x, sizeof(v));
        __builtin_memcpy(&w, y, sizeof(w));
        if (v != w) {
            break;
        }
    }
    for (; n; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n]) {
        n++;
    }
    return n;
}

int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++) {
    }
    return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n && *a && *a == *b; n--, a++, b++) {
    }
    return n ? (unsigned char)*a - (unsigned char)*b : 0;
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++) {
        if (!*s) {
            return NULL;
        }
    }
    return (char *)s;
}

/* The compiler calls this for __builtin_popcountll(). */
int __popcountdi2(long value);
int __popcountdi2(long value)
{
    uint64_t v = (uint64_t)value;
    v -= v >> 1 & 0x5555555555555555ull;
    v = (v & 0x3333333333333333ull) + (v >> 2 & 0x3333333333333333ull);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
    return (int)(v * 0x0101010101010101ull >> 56);
}

/* ---- formatting ---- */

struct output {
    char *to;
    size_t size, used; /* one byte is kept for the NUL */
};

static void put(struct output *o, char c)
{
    if (o->used + 1 < o->size) {
        o->to[o->used++] = c;
    }
}

static void put_string(struct output *o, const char *s, size_t n, size_t width, bool left)
{
    for (; !left && width > n; width--) {
        put(o, ' ');
    }
    for (size_t i = 0; i < n; i++) {
        put(o, s[i]);
    }
    for (; left && width > n; width--) {
        put(o, ' ');
    }
}

static void put_number(struct output *o, uint64_t value, unsigned base, bool negative, size_t width,
                       bool zeros)
{
    char digits[24];
    size_t n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative && zeros) {
        put(o, '-');
    }
    for (size_t length = n + negative; width > length; width--) {
        put(o, zeros ? '0' : ' ');
    }
    if (negative && !zeros) {
        put(o, '-');
    }
    while (n) {
        put(o, digits[--n]);
    }
}

size_t px_format(char *to, size_t size, const char *format, ...)
{
    struct output o = {to, size, 0};
    va_list args;
    va_start(args, format);
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put(&o, *f);
            continue;
        }
        f++;
        bool left = *f == '-';
        f += left;
        bool zeros = *f == '0', is_long = false;
        size_t width = 0, precision = SIZE_MAX;
        for (; *f >= '0' && *f <= '9'; f++) {
            width = width * 10 + (size_t)(*f - '0');
        }
        if (f[0] == '.' && f[1] == '*') {
            int n = va_arg(args, int);
            precision = n < 0 ? 0 : (size_t)n;
            f += 2;
        }
        for (; *f == 'l' || *f == 'z'; f++) {
            is_long = true;
        }
        switch (*f) {
        case 's': {
            const char *s = va_arg(args, const char *);
            size_t n = 0;
            while (n < precision && s[n]) {
                n++;
            }
            put_string(&o, s, n, width, left);
            break;
        }
        case 'd': {
            int64_t v = is_long ? va_arg(args, long) : va_arg(args, int);
            put_number(&o, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, width, zeros);
            break;
        }
        case 'u':
            put_number(&o, is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned), 10,
                       false, width, zeros);
            break;
        case 'x':
            put_number(&o, is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned), 16,
                       false, width, zeros);
            break;
        case 'o':
            put_number(&o, is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned), 8, false,
                       width, zeros);
            break;
        case 'p':
            put(&o, '0');
            put(&o, 'x');
            put_number(&o, (uint64_t)va_arg(args, void *), 16, false, width, zeros);
            break;
        case 'c':
            put(&o, (char)va_arg(args, int));
            break;
        default:
            put(&o, *f);
            break;
        }
    }
    va_end(args);
    if (size) {
        to[o.used] = 0;
    }
    return o.used;
}
