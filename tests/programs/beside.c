/* SPDX-License-Identifier: MIT */
/*
 * For tests/system/disk.sh, in a folder on a disk: threads that read files which are not in memory,
 * by calls and by mappings, while others close those files, write, cut, remove and look at them.
 * Every byte is what its place says, or zero. beside FOLDER
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES   4
#define SIZE    (3 << 20)
#define PIECE   (96 << 10)
#define READERS 5
#define ROUNDS  60

static char names[FILES][256];
static int stop, fds[READERS];

static char byte_at(int file, off_t at)
{
    return (char)(1 + (at * 7 + (at >> 12) * 13 + file * 50) % 255);
}

static unsigned next(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 8) % n;
}

static void right(int file, off_t at, const char *bytes, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++)
        CHECK(!bytes[i] || bytes[i] == byte_at(file, at + i));
}

static void put(int file, int fd, off_t at, size_t n)
{
    static __thread char bytes[PIECE];
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(file, at + (off_t)i);
    CHECK(pwrite(fd, bytes, n, at) == (ssize_t)n);
}

static void make(int file)
{
    int fd = open(names[file], O_RDWR | O_CREAT, 0644);
    CHECK(fd >= 0);
    for (off_t at = 0; at < SIZE; at += PIECE)
        put(file, fd, at, PIECE);
    CHECK(fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0 && close(fd) == 0);
}

/* Few calls for each open file, so that each is a call. One of the readers' files may be closed by
 * closer() at any time. */
static void *reader(void *arg)
{
    int me = (int)(long)arg;
    unsigned seed = (unsigned)me;
    static __thread char bytes[PIECE];
    for (int i = 0; i < ROUNDS; i++) {
        int file = (int)next(&seed, FILES), fd = open(names[file], O_RDONLY);
        if (fd < 0)
            continue;
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        off_t at = next(&seed, SIZE);
        if (i % 4 == 0) {
            struct stat s;
            CHECK(fstat(fd, &s) == 0);
            char *p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
            CHECK(p != MAP_FAILED);
            if (file == 0) /* which is never cut */
                right(file, at & ~4095, p + (at & ~4095), 4096);
            munmap(p, SIZE);
        }
        __atomic_store_n(&fds[me], fd, __ATOMIC_SEQ_CST);
        for (int k = 0; k < 3; k++, at += PIECE) {
            ssize_t n = pread(fd, bytes, PIECE, at);
            if (n <= 0 || __atomic_load_n(&fds[me], __ATOMIC_SEQ_CST) != fd)
                break;
            right(file, at, bytes, n);
        }
        fd = __atomic_exchange_n(&fds[me], -1, __ATOMIC_SEQ_CST);
        if (fd >= 0)
            close(fd);
    }
    return NULL;
}

/* What a reader reads from may be another file then: its bytes do not matter any more. */
static void *closer(void *arg)
{
    unsigned seed = 99;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        usleep(1000 + next(&seed, 3000));
        int other = (int)next(&seed, READERS);
        int fd = __atomic_exchange_n(&fds[other], -1, __ATOMIC_SEQ_CST);
        if (fd >= 0)
            close(fd);
    }
    return arg;
}

static void *writer(void *arg)
{
    unsigned seed = 7;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        int file = 1 + (int)next(&seed, FILES - 1);
        int fd = open(names[file], O_RDWR | O_CREAT, 0644);
        CHECK(fd >= 0);
        struct stat s;
        switch (next(&seed, 6)) {
        case 0:
            CHECK(ftruncate(fd, next(&seed, SIZE)) == 0);
            break;
        case 1:
            CHECK(unlink(names[file]) == 0);
            break;
        case 2:
            CHECK(stat(names[file], &s) == 0);
            break;
        default:
            put(file, fd, next(&seed, SIZE - PIECE), 1 + next(&seed, PIECE));
        }
        close(fd);
    }
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t threads[READERS + 2];
    CHECK(argc == 2);
    for (int i = 0; i < FILES; i++) {
        snprintf(names[i], sizeof names[i], "%s/beside-%d", argv[1], i);
        make(i);
    }
    for (int i = 0; i < READERS; i++) {
        fds[i] = -1;
        CHECK(!pthread_create(&threads[i], NULL, reader, (void *)(long)i));
    }
    CHECK(!pthread_create(&threads[READERS], NULL, writer, NULL));
    CHECK(!pthread_create(&threads[READERS + 1], NULL, closer, NULL));
    for (int i = 0; i < READERS + 2; i++) {
        if (i == READERS)
            __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
        CHECK(!pthread_join(threads[i], NULL));
    }
    puts("ok");
    return 0;
}
