/* SPDX-License-Identifier: MIT */
/*
 * Takes all there is of something, and then asks the system for more: `memory` by reads into fresh
 * pages, `objects` by open files and directories. The system must answer with errors and be itself
 * again when what was taken is given back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int eat_memory(void)
{
    size_t size = 1ul << 34, taken = 0;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    int zero = open("/dev/zero", O_RDONLY), failures = 0;
    while (taken < size && failures < 4) {
        ssize_t n = read(zero, p + taken, 4096);
        failures = n == 4096 ? 0 : failures + 1;
        taken += n == 4096 ? 4096 : 0;
    }
    for (int i = 0; i < 10000; i++) { /* now let the system work without memory */
        char name[40];
        snprintf(name, sizeof name, "/tmp/%d", i);
        int fd = open(name, O_CREAT | O_WRONLY, 0600);
        if (fd >= 0 && write(fd, "x", 1) == 1 && i % 2)
            close(fd);
    }
    munmap(p, size);
    int fd = open("/tmp/after", O_CREAT | O_WRONLY, 0600);
    return fd < 0 || write(fd, "x", 1) != 1;
}

static int eat_objects(void)
{
    struct rlimit all = {1 << 20, 1 << 20};
    int fd, last = 0;
    setrlimit(RLIMIT_NOFILE, &all);
    while ((fd = open("/etc/passwd", O_RDONLY)) >= 0)
        last = fd;
    fprintf(stderr, "%d files, then: %s\n", last, strerror(errno));
    for (fd = 3; fd <= last; fd++)
        close(fd);
    sleep(1);
    if (open("/etc/passwd", O_RDONLY) < 0)
        return 1;
    int made = 0;
    for (char name[40];; made++) {
        snprintf(name, sizeof name, "/tmp/%d", made);
        if (mkdir(name, 0755))
            break;
    }
    fprintf(stderr, "%d directories, then: %s\n", made, strerror(errno));
    return made < 100 || errno != ENOSPC;
}

int main(int argc, char **argv)
{
    return argc > 1 && !strcmp(argv[1], "objects") ? eat_objects() : eat_memory();
}
