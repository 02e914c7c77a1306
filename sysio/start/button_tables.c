/* SPDX-License-Identifier: MIT */
/* Where the power button is: what the FADT and the DSDT say, with every byte of them in doubt. */
#include "button.h"

#include <string.h>

/* FADT, ACPI 6.5 table 5.9: offsets */
#define FADT_SCI       46u
#define FADT_COMMAND   48u
#define FADT_ENABLE    52u
#define FADT_EVENT     56u
#define FADT_CONTROL   64u
#define FADT_EVENT_LEN 88u
#define FADT_FLAGS     112u
#define FADT_SIZE      116u

#define FLAG_BUTTON_IS_DEVICE (1u << 4)
#define FLAG_HARDWARE_REDUCED (1u << 20)

#define DEVICE_MAX 512u /* bytes of AML in which one is described */

static uint32_t read32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint32_t read16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* A block of `size` ports that may begin there. */
static uint16_t port(uint32_t at, uint32_t size)
{
    return at >= 0x100 && at <= 0x10000 - size ? (uint16_t)at : 0;
}

static bool parse_fixed(const uint8_t *fadt, struct button *b)
{
    uint32_t length = fadt[FADT_EVENT_LEN];
    b->line = read16(fadt + FADT_SCI);
    b->status = port(read32(fadt + FADT_EVENT), length);
    b->enable = (uint16_t)(b->status + length / 2);
    b->control = port(read32(fadt + FADT_CONTROL), 2);
    b->value = fadt[FADT_ENABLE];
    b->command = b->value && read32(fadt + FADT_COMMAND) < 0x10000
                     ? (uint16_t)read32(fadt + FADT_COMMAND)
                     : 0;
    return length >= 4 && length % 2 == 0 && b->status && b->line < 16;
}

/* The integer that an AML term encodes; false: it is none. */
static bool integer(const uint8_t *p, uint32_t n, uint64_t *value)
{
    uint32_t size = !n             ? 0
                    : p[0] == 0x0a ? 1
                    : p[0] == 0x0b ? 2
                    : p[0] == 0x0c ? 4
                    : p[0] == 0x0e ? 8
                                   : 0;
    *value = 0;
    if (!size || n < 1 + size)
        return false;
    memcpy(value, p + 1, size);
    return true;
}

/*
 * Not memmem(): what it does for speed is a lot of code to run once, and of that the start of a
 * machine is made where code is translated. Here memchr(), which has been used, passes nearly all.
 */
static const uint8_t *find(const uint8_t *p, uint32_t n, const char *what, uint32_t size)
{
    const uint8_t *end = p + n;
    for (; (uint32_t)(end - p) >= size; p++) {
        p = memchr(p, what[0], (size_t)(end - p) - size + 1);
        if (!p || !memcmp(p, what, size))
            return p;
    }
    return NULL;
}

/* The event device's interrupt, and its operation region in memory, which is the selector. */
static bool parse_device(const uint8_t *p, uint32_t n, struct button *b)
{
    const uint8_t *irq = find(p, n, "\x89\x06\x00", 3), *region = find(p, n,
                                                                       "\x5b\x80"
                                                                       "EREG\x00",
                                                                       7);
    const uint8_t *end = p + n;
    if (!irq || end - irq < 9 || irq[4] != 1 || !region)
        return false;
    b->edge = irq[3] & 2;
    b->line = read32(irq + 5);
    return integer(region + 7, (uint32_t)(end - region) - 7, &b->events) && b->events &&
           b->events % 4 == 0 && b->line < 256;
}

static bool parse_event_device(const uint8_t *dsdt, uint32_t size, struct button *b)
{
    static const char id[] = "ACPI0013";
    const uint8_t *at = find(dsdt, size, id, sizeof id);
    uint32_t left = at ? size - (uint32_t)(at - dsdt) : 0;
    return at && parse_device(at, left < DEVICE_MAX ? left : DEVICE_MAX, b);
}

bool button_parse(const uint8_t *fadt, uint32_t fadt_size, const uint8_t *dsdt, uint32_t dsdt_size,
                  struct button *b)
{
    *b = (struct button){0};
    if (fadt_size < FADT_SIZE)
        return false;
    uint32_t flags = read32(fadt + FADT_FLAGS);
    if (flags & FLAG_HARDWARE_REDUCED)
        return dsdt && parse_event_device(dsdt, dsdt_size, b);
    return !(flags & FLAG_BUTTON_IS_DEVICE) && parse_fixed(fadt, b);
}
