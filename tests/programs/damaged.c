/* SPDX-License-Identifier: MIT */
/*
 * damaged FOLDER: uses all that is below a folder in every way, whatever the calls answer: reads,
 * maps, changes, renames, removes. That it ends is what counts.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static char buffer[65536];
static sigjmp_buf after_fault;
static unsigned budget = 1500;

static void fault(int number)
{
    siglongjmp(after_fault, number);
}

/* A page that cannot be read is a signal. */
static void map(int fd, off_t size)
{
    size_t length = size < 1 << 20 ? (size_t)size : 1 << 20;
    char *p = length ? mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    volatile char sum = 0;
    if (p == MAP_FAILED)
        return;
    if (!sigsetjmp(after_fault, 1))
        for (size_t at = 0; at < length; at += 4096)
            sum ^= p[at];
    munmap(p, length);
}

static void use_file(const char *name, unsigned kind)
{
    struct stat st;
    int fd = open(name, kind & 1 ? O_RDWR : O_RDONLY);
    if (fd < 0)
        return;
    if (!fstat(fd, &st))
        map(fd, st.st_size);
    for (int i = 0; i < 20 && read(fd, buffer, sizeof buffer) > 0; i++)
        ;
    if (kind & 1) {
        if (pwrite(fd, "changed", 7, kind * 577 % 90000) < 0 || ftruncate(fd, kind * 331 % 50000))
            errno = 0;
        fsetxattr(fd, "user.x", buffer, kind % 200, 0);
    }
    flistxattr(fd, buffer, sizeof buffer);
    if (kind % 5 == 0)
        fsync(fd);
    close(fd);
}

static void use(int depth)
{
    char other[32];
    struct stat st;
    DIR *d = opendir(".");
    if (!d)
        return;
    for (struct dirent *e; budget && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || lstat(e->d_name, &st))
            continue;
        budget--;
        if (S_ISDIR(st.st_mode) && depth < 8 && !chdir(e->d_name)) {
            use(depth + 1);
            if (chdir(".."))
                break;
        } else if (S_ISREG(st.st_mode)) {
            use_file(e->d_name, budget);
        } else if (readlink(e->d_name, buffer, sizeof buffer) < 0) {
            errno = 0;
        }
        sprintf(other, "new-%u", budget);
        if (budget % 7 == 0)
            rename(e->d_name, other);
        else if (budget % 7 == 1)
            unlink(e->d_name);
        else if (budget % 7 == 2)
            close(open(other, O_CREAT | O_WRONLY, 0644));
        else if (budget % 7 == 3)
            mkdir(other, 0755);
    }
    closedir(d);
}

int main(int argc, char **argv)
{
    signal(SIGBUS, fault);
    if (argc == 2 && !chdir(argv[1]))
        use(0);
    sync();
    puts("ok");
    return 0;
}
