/* SPDX-License-Identifier: MIT */
/*
 * Processes that share open files, of which one is killed in the midst of a transfer: the others go
 * on with the file.
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define NAME   "/tmp/killed-writer"
#define SIZE   (1 << 20)
#define ROUNDS 25

static char bytes[SIZE];

static void transfer_for_ever(int fd, int told)
{
    for (;;) {
        CHECK(lseek(fd, 0, SEEK_SET) == 0);
        CHECK(write(fd, bytes, SIZE) == SIZE);
        CHECK(pwrite(fd, bytes, 4096, 4096) == 4096);
        CHECK(pread(fd, bytes, 4096, 0) == 4096);
        CHECK(write(told, "", 1) == 1);
    }
}

int main(void)
{
    int fd = open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0644), ends[2], status;
    CHECK(fd >= 0);
    for (int i = 0; i < ROUNDS; i++) {
        char byte;
        CHECK0(pipe(ends));
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            transfer_for_ever(fd, ends[1]);
        CHECK(read(ends[0], &byte, 1) == 1);
        nanosleep(&(struct timespec){0, 100000 * i}, NULL);
        CHECK(kill(pid, SIGKILL) == 0);
        CHECK(lseek(fd, 0, SEEK_SET) == 0); /* before it was waited for */
        CHECK(write(fd, "x", 1) == 1);
        CHECK(pwrite(fd, "y", 1, 1) == 1 && pread(fd, bytes, 1, 0) == 1 && bytes[0] == 'x');
        bytes[0] = 0;
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        CHECK(lseek(fd, 0, SEEK_SET) == 0 && write(fd, "z", 1) == 1);
        close(ends[0]);
        close(ends[1]);
    }
    CHECK(unlink(NAME) == 0);
    return 0;
}
