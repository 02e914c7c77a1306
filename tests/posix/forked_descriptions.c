/* SPDX-License-Identifier: MIT */
/*
 * What forked processes share of open files is given back when they end, by themselves or by a
 * signal, and when they become other programs: a server that forks for each connection, and a
 * shell, open many more files in their lives than a system has at a time. And a process whose exec
 * fails still has its files, and shares them.
 */
#include "check.h"
#include "child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#define FILES  1000
#define ROUNDS 36
#define SPARE \
    (512 << 10) /* bytes that may be gone: a third of what lost descriptions would take \
                 */

static int files[FILES];

static void child(const char *self, int round)
{
    char *arguments[] = {(char *)self, "leave", NULL};
    if (round % 3 == 1)
        execv(self, arguments);
    while (round % 3 == 2) /* until it is killed: by others, for its own runtime would see to it */
        pause();
    _exit(round % 3);
}

/* Each round's files are held by a child when the parent closes them. */
static void many(const char *self, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        int status;
        for (int i = 0; i < FILES; i++)
            CHECK((files[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
        pid_t pid = fork();
        if (pid == 0)
            child(self, round);
        CHECK(pid > 0);
        for (int i = 0; i < FILES; i++)
            close(files[i]);
        if (round % 3 == 2)
            CHECK(kill(pid, SIGKILL) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && status == (round % 3 == 2 ? SIGKILL : 0));
    }
}

#ifdef __motor__ /* elsewhere others take memory, too */
static long free_memory(void)
{
    struct sysinfo info;
    CHECK(sysinfo(&info) == 0);
    return (long)(info.freeram * info.mem_unit);
}
#else
static long free_memory(void)
{
    return 0;
}
#endif

static void test_many(const char *self)
{
    many(self, 3);
    long before = free_memory();
    many(self, ROUNDS);
    long lost = before - free_memory();
    if (lost > SPARE)
        fprintf(stderr, "%ld bytes of memory are gone\n", lost);
    CHECK(lost <= SPARE);
}

static void test_failed_exec(void)
{
    char path[] = "/tmp/forked_descriptions.XXXXXX", text[8] = {0}, *none[] = {NULL};
    int fd = mkstemp(path), status;
    CHECK(fd >= 0 && write(fd, "abcdef", 6) == 6 && lseek(fd, 0, SEEK_SET) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        execve("/nowhere", none, none);
        execve(path, none, none);
        if (read(fd, text, 2) != 2 || fcntl(fd, F_SETFL, O_APPEND) < 0)
            _exit(1);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(fcntl(fd, F_GETFL) & O_APPEND);
    CHECK(read(fd, text, 2) == 2 && memcmp(text, "cd", 2) == 0);
    close(fd), unlink(path);
}

int main(int argc, char **argv)
{
    static char self[4096];
    struct rlimit limit;
    if (argc > 1 && strcmp(argv[1], "leave") == 0)
        return 0;
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    test_failed_exec();
    test_many(self);
    puts("ok");
    return 0;
}
