/* SPDX-License-Identifier: MIT */
/*
 * The engines' memcpy and memmove: each size at each end of what may be touched, each overlap, with
 * and without AVX.
 */
#include <motor/abi.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHECK(x) ((x) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), exit(1)))

enum { PAGE = 4096, MOST = 1100 };

void *engine_memcpy(void *to, const void *from, size_t size);
void *engine_memmove(void *to, const void *from, size_t size);

/* The last byte that is returned is followed by a page that nobody may touch, and so is the first
 * preceded by one. */
static uint8_t *bounded(void)
{
    uint8_t *map = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(map != MAP_FAILED);
    CHECK(mprotect(map, PAGE, PROT_NONE) == 0 && mprotect(map + 2 * PAGE, PAGE, PROT_NONE) == 0);
    return map + PAGE;
}

static uint8_t pattern(size_t i)
{
    return (uint8_t)(1 + i * 7 % 255);
}

static void fill(uint8_t *page)
{
    for (size_t i = 0; i < PAGE; i++)
        page[i] = pattern(i);
}

static void copies(uint8_t *to, uint8_t *from)
{
    fill(from);
    for (size_t size = 0; size <= MOST; size++) {
        for (int end = 0; end < 4; end++) {
            uint8_t *a = end & 1 ? to + PAGE - size : to, *b = end & 2 ? from + PAGE - size : from;
            memset(to, 0, PAGE);
            CHECK(engine_memcpy(a, b, size) == a);
            CHECK(memcmp(a, b, size) == 0);
            for (size_t i = 0; i < PAGE; i++)
                CHECK(to + i >= a && to + i < a + size ? 1 : to[i] == 0);
        }
    }
}

static void moves(uint8_t *page)
{
    static const size_t distances[] = {0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 100, 255, 256, 500};
    for (size_t size = 0; size <= MOST; size += size < 300 ? 1 : 37) {
        for (size_t d = 0; d < sizeof distances / sizeof *distances; d++) {
            for (int up = 0; up < 2; up++) {
                uint8_t *low = page + PAGE / 2, *high = low + distances[d];
                uint8_t *to = up ? high : low, *from = up ? low : high;
                size_t first = (size_t)(from - page);
                fill(page);
                CHECK(engine_memmove(to, from, size) == to);
                for (size_t i = 0; i < PAGE; i++) {
                    bool moved = page + i >= to && page + i < to + size;
                    CHECK(page[i] == pattern(moved ? first + i - (size_t)(to - page) : i));
                }
            }
        }
    }
}

int main(void)
{
    struct motor_kinfo *info = mmap((void *)MOTOR_KINFO_ADDRESS, PAGE, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(info == (void *)MOTOR_KINFO_ADDRESS);
    uint8_t *a = bounded(), *b = bounded();
    __builtin_cpu_init();
    for (int avx = 0; avx <= !!__builtin_cpu_supports("avx"); avx++) {
        info->xsave_mask = avx ? 7 : 3;
        copies(a, b);
        moves(a);
    }
    return 0;
}
