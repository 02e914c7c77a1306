/* SPDX-License-Identifier: MIT */
/* A small formatter and the lines it makes; see log.h. */
#include "log.h"
#include "arch/x86_64/arch.h"
#include "bootinfo.h"
#include "log_ring.h"
#include "spinlock.h"

#include <stdarg.h>

#define LINE_MAX 512u

/* ---- the log ---- */

static struct spinlock ring_lock;
extern bool panicking; /* panic.c: the lock's holder may have been stopped */

/*
 * The serial line, which is slow. Lines of several CPUs do not mix, but a CPU that died holding it
 * stops nobody.
 */
static void serial_write(const char *text, size_t n)
{
    static bool busy;
    for (int i = 0; i < 1000000 && __atomic_exchange_n(&busy, true, __ATOMIC_ACQUIRE); i++) {
        arch_relax();
    }
    arch_log(text, n);
    __atomic_store_n(&busy, false, __ATOMIC_RELEASE);
}

void log_write(const char *text, size_t n)
{
    if (!panicking) {
        spin_lock(&ring_lock);
        log_ring_add(text, n);
        spin_unlock(&ring_lock);
    }
    serial_write(text, n);
}

bool log_read(struct motor_log_record *r)
{
    spin_lock(&ring_lock);
    bool found = log_ring_get(r);
    spin_unlock(&ring_lock);
    return found;
}

/* ---- formats ---- */

struct line {
    char text[LINE_MAX];
    size_t n;
};

static void put(struct line *l, char c)
{
    if (l->n < LINE_MAX) {
        l->text[l->n++] = c;
    }
}

static void put_number(struct line *l, uint64_t v, unsigned base, unsigned width, char pad)
{
    char digits[24];
    unsigned n = 0;
    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    for (unsigned i = n; i < width; i++) {
        put(l, pad);
    }
    while (n) {
        put(l, digits[--n]);
    }
}

static void put_signed(struct line *l, int64_t v, unsigned width, char pad)
{
    if (v < 0) {
        put(l, '-');
        v = -v;
    }
    put_number(l, (uint64_t)v, 10, width, pad);
}

static void put_string(struct line *l, const char *s)
{
    for (s = s ? s : "(null)"; *s; s++) {
        put(l, *s);
    }
}

/* One conversion after '%'; returns where the format goes on. */
static const char *convert(struct line *l, const char *f, va_list *args)
{
    char pad = *f == '0' ? '0' : ' ';
    unsigned width = 0;
    bool wide = false;
    for (; *f >= '0' && *f <= '9'; f++) {
        width = width * 10 + (unsigned)(*f - '0');
    }
    for (; *f == 'l' || *f == 'z'; f++) {
        wide = true;
    }
    switch (*f) {
    case 's':
        put_string(l, va_arg(*args, const char *));
        break;
    case 'c':
        put(l, (char)va_arg(*args, int));
        break;
    case 'd':
        put_signed(l, wide ? va_arg(*args, int64_t) : va_arg(*args, int), width, pad);
        break;
    case 'u':
    case 'x':
        put_number(l, wide ? va_arg(*args, uint64_t) : va_arg(*args, uint32_t), *f == 'x' ? 16 : 10,
                   width, pad);
        break;
    case 'p':
        put_number(l, (uint64_t)va_arg(*args, void *), 16, 16, '0');
        break;
    case 0:
        return f;
    default:
        put(l, *f);
    }
    return f + 1;
}

void klog_arguments(const char *f, va_list args)
{
    struct line l = {.n = 0};
    va_list copy;
    va_copy(copy, args);
    while (*f) {
        if (*f == '%') {
            f = convert(&l, f + 1, &copy);
        } else {
            put(&l, *f++);
        }
    }
    va_end(copy);
    log_write(l.text, l.n);
}

void klog(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    klog_arguments(format, args);
    va_end(args);
}

bool log_wanted(const char *word)
{
    size_t length = 0;
    while (word[length]) {
        length++;
    }
    const char *c = boot_params.cmdline;
    for (size_t i = 0; c[i]; i++) {
        bool start = i == 0 || c[i - 1] == ' ';
        if (start && !__builtin_memcmp(c + i, word, length) &&
            (c[i + length] == 0 || c[i + length] == ' ')) {
            return true;
        }
    }
    return false;
}

static bool debug_wanted(void)
{
    static int wanted = -1;
    if (wanted < 0) {
        wanted = log_wanted("debug");
    }
    return wanted;
}

void kdebug(const char *format, ...)
{
    va_list args;
    if (!debug_wanted()) {
        return;
    }
    va_start(args, format);
    klog_arguments(format, args);
    va_end(args);
}
