/* SPDX-License-Identifier: MIT */
/*
 * Where the power button is, by tables that are right, and by tables that firmware has damaged:
 * what is found then is still within bounds, and nothing outside of the tables is read (ASan).
 *
 *   button_fuzz SEED ROUNDS
 */
#include "../../../sysio/start/button.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

#define FADT_SIZE 276u

static uint8_t fadt[FADT_SIZE], dsdt[512];
static uint32_t dsdt_size;

static void put(uint32_t at, uint32_t value, uint32_t size)
{
    memcpy(fadt + at, &value, size);
}

/* As QEMU's pc has it, or its microvm. */
static void make(bool reduced)
{
    static const uint8_t device[] =
        "\x5b\x82\x4a\x08GED_\x08_HID\x0d"
        "ACPI0013\0\x08_CRS\x11\x0e\x0a\x0b\x89\x06\x00\x03\x01\x09\x00\x00\x00\x79\x00"
        "\x5b\x80"
        "EREG\x00\x0c\x00\x00\xa0\xfe\x0a\x04\x5b\x81\x0b"
        "EREG\x03"
        "ESEL\x20";
    memset(fadt, 0, sizeof fadt);
    memset(dsdt, 0, sizeof dsdt);
    put(46, 9, 2);
    put(48, 0xb2, 4);
    put(52, 0xf1, 1);
    put(56, 0x600, 4);
    put(64, 0x604, 4);
    put(88, 4, 1);
    put(112, reduced ? 1u << 20 : 0, 4);
    memcpy(dsdt + 40, device, sizeof device);
    dsdt_size = 40 + sizeof device;
}

static bool parse(uint32_t fadt_size, uint32_t size, struct button *b)
{
    uint8_t *f = malloc(fadt_size ? fadt_size : 1), *d = malloc(size ? size : 1);
    memcpy(f, fadt, fadt_size);
    memcpy(d, dsdt, size);
    bool found = button_parse(f, fadt_size, size ? d : NULL, size, b);
    free(f);
    free(d);
    return found;
}

static void right(void)
{
    struct button b;
    make(false);
    CHECK(parse(FADT_SIZE, dsdt_size, &b) && b.line == 9 && b.status == 0x600 && b.enable == 0x602);
    CHECK(b.control == 0x604 && b.command == 0xb2 && b.value == 0xf1 && !b.events);
    put(112, 1u << 4, 4); /* the button is a device of its own */
    CHECK(!parse(FADT_SIZE, dsdt_size, &b));
    make(true);
    CHECK(parse(FADT_SIZE, dsdt_size, &b) && b.events == 0xfea00000 && b.line == 9 && b.edge &&
          !b.status);
    CHECK(!parse(FADT_SIZE, 0, &b) && !parse(100, dsdt_size, &b));
}

static void check(const struct button *b)
{
    if (b->events)
        CHECK(b->events % 4 == 0 && b->line < 256 && !b->status);
    else
        CHECK(b->status >= 0x100 && b->enable >= b->status + 2 && b->enable <= 0xfffe &&
              b->line < 16);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 200000;
    srand(argc > 1 ? (unsigned)atoi(argv[1]) : 1);
    right();
    while (rounds--) {
        struct button b;
        make(rand() & 1);
        for (int n = rand() % 8; n > 0; n--)
            fadt[(unsigned)rand() % 128] = (uint8_t)(rand() & 1 ? rand() : 255);
        for (int n = rand() % 8; n > 0; n--)
            dsdt[40 + (unsigned)rand() % (dsdt_size - 40)] = (uint8_t)rand();
        uint32_t fadt_size = rand() % 4 ? FADT_SIZE : (uint32_t)rand() % FADT_SIZE;
        if (parse(fadt_size, rand() % 4 ? dsdt_size : (uint32_t)rand() % dsdt_size, &b))
            check(&b);
    }
    puts("ok");
    return 0;
}
