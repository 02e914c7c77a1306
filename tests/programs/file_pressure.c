/* SPDX-License-Identifier: MIT */
/*
 * For tests/system/disk-maps.sh: file_pressure FOLDER FILE-MIB MEMORY-MIB. A file larger than the
 * machine's memory is written and read through a mapping, twice; then the program takes the memory
 * that the page cache has, page by page, and the file's bytes are still those that were written.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t value(uint64_t page, uint64_t round)
{
    return page * 0x9e3779b97f4a7c15ull + round;
}

static void write_all(uint8_t *map, uint64_t pages, uint64_t round)
{
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t v = value(i, round);
        memcpy(map + i * 4096 + i % 4000, &v, 8);
    }
}

static void check_all(const uint8_t *map, uint64_t pages, uint64_t round)
{
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t v = value(i, round);
        CHECK(!memcmp(map + i * 4096 + i % 4000, &v, 8));
    }
}

int main(int argc, char **argv)
{
    CHECK(argc == 4 && !chdir(argv[1]));
    uint64_t size = strtoull(argv[2], NULL, 10) << 20, memory = strtoull(argv[3], NULL, 10) << 20;
    int fd = open("large", O_CREAT | O_RDWR, 0600);
    CHECK(fd >= 0 && !ftruncate(fd, (off_t)size));
    uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    for (uint64_t round = 1; round <= 2; round++) {
        write_all(map, size / 4096, round);
        check_all(map, size / 4096, round);
    }
    uint8_t *own = mmap(NULL, memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(own != MAP_FAILED);
    memset(own, 0x5a, memory);
    check_all(map, size / 4096, 2);
    for (uint64_t i = 0; i < memory; i += 4096)
        CHECK(own[i] == 0x5a);
    CHECK(!fsync(fd));
    puts("ok");
    return 0;
}
