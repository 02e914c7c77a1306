/* SPDX-License-Identifier: MIT */
/*
 * Memory for the pages of disks' files: a range of addresses that is as large as the cache may
 * become. What is freed goes back to the machine at once when memory is short, and else is used
 * again, the last one first.
 */
#include "disk.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PAGE       MOTOR_PAGE_SIZE
#define LOW_PART   8u /* the cache leaves a machine 1 / LOW_PART of its memory */
#define LOOK_EVERY 16u

static uint8_t *pool;
static uint32_t *free_pages, free_count, used, size; /* used: slots that have ever been given out */

void page_pool_init(uint64_t bytes)
{
    if (pool)
        return;
    size = (uint32_t)(bytes / PAGE);
    free_pages = malloc(size * sizeof *free_pages);
    pool =
        mmap(NULL, (size_t)size * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!free_pages || pool == MAP_FAILED)
        size = 0;
}

static bool low(void)
{
    static uint32_t calls;
    static bool is;
    if (is || calls++ % LOOK_EVERY == 0) {
        struct motor_memory_info m;
        is =
            motor_system_info(MOTOR_SINFO_MEMORY, &m, sizeof m) >= 0 && m.free < m.total / LOW_PART;
    }
    return is;
}

static void *page(void)
{
    if (!free_count && used == size)
        return NULL;
    return pool + (size_t)(free_count ? free_pages[--free_count] : used++) * PAGE;
}

static void page_free(void *p)
{
    if (low())
        motor_advise((uint64_t)p, PAGE, MOTOR_ADVISE_DONTNEED);
    free_pages[free_count++] = (uint32_t)(((uint8_t *)p - pool) / PAGE);
}

const struct ext4_memory page_pool = {.page = page, .page_free = page_free, .low = low};
