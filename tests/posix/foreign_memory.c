/* SPDX-License-Identifier: MIT */
/* process_vm_readv(2) and process_vm_writev(2): memory of other processes, by ptrace's rules. */
#include "check.h"
#include "child.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define PAGE 4096

static char *memory; /* three pages: written, read-only, none */

static struct iovec vec(void *base, size_t length)
{
    return (struct iovec){base, length};
}

static ssize_t get(pid_t pid, void *to, void *from, size_t n)
{
    struct iovec a = vec(to, n), b = vec(from, n);
    return process_vm_readv(pid, &a, 1, &b, 1, 0);
}

static ssize_t put(pid_t pid, void *from, void *to, size_t n)
{
    struct iovec a = vec(from, n), b = vec(to, n);
    return process_vm_writev(pid, &a, 1, &b, 1, 0);
}

static pid_t sleeper(uid_t uid)
{
    int p[2];
    char byte;
    CHECK(pipe(p) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        strcpy(memory, "the child's");
        if (uid)
            CHECK(setgid(uid) == 0 && setuid(uid) == 0);
        CHECK(write(p[1], "x", 1) == 1);
        for (;;)
            pause();
    }
    CHECK(read(p[0], &byte, 1) == 1);
    close(p[0]), close(p[1]);
    return pid;
}

static void end(pid_t pid)
{
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

static void test_bytes(void)
{
    char buffer[64] = "";
    pid_t pid = sleeper(0);
    strcpy(memory, "the parent's");
    CHECK(get(pid, buffer, memory, 12) == 12 && !strcmp(buffer, "the child's"));
    CHECK(put(pid, "written", memory, 8) == 8);
    CHECK(!strcmp(memory, "the parent's"));
    CHECK(get(pid, buffer, memory, 12) == 12 && !strcmp(buffer, "written"));
    CHECK(get(getpid(), buffer, memory, 13) == 13 && !strcmp(buffer, "the parent's"));
    /* lists of different shapes */
    struct iovec a[] = {vec(buffer, 2), vec(buffer + 10, 0), vec(buffer + 20, 5)},
                 b[] = {vec(memory, 3), vec(memory + 4, 3), vec(memory + 1, 3)};
    memset(buffer, '.', sizeof buffer);
    CHECK(process_vm_readv(pid, a, 3, b, 3, 0) == 7);
    CHECK(!memcmp(buffer, "wr..", 4) && !memcmp(buffer + 20, "itenr.", 6)); /* wri ten rit */
    end(pid);
}

static void test_large(void)
{
    enum { SIZE = 3 << 20 };
    char *a = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
         *b = malloc(SIZE);
    CHECK(a != MAP_FAILED && b);
    for (int i = 0; i < SIZE; i++)
        a[i] = (char)(i * 7 >> 3);
    pid_t pid = sleeper(0);
    CHECK(get(pid, b, a, SIZE) == SIZE && !memcmp(a, b, SIZE));
    memset(b, 'b', SIZE);
    CHECK(put(pid, b, a + 1, SIZE - 2) == SIZE - 2);
    CHECK(get(pid, b, a, SIZE) == SIZE);
    CHECK(b[0] == a[0] && b[1] == 'b' && b[SIZE - 2] == 'b' && b[SIZE - 1] == a[SIZE - 1]);
    end(pid);
    munmap(a, SIZE);
    free(b);
}

/* What can be moved is, up to where it cannot. */
static void test_faults(void)
{
    static char buffer[3 * PAGE];
    pid_t pid = sleeper(0);
    char *none = memory + 2 * PAGE;
    CHECK(get(pid, buffer, memory, 3 * PAGE) == 2 * PAGE);
    CHECK_ERRNO(get(pid, buffer, none, 10), EFAULT);
    CHECK_ERRNO(get(pid, none, memory, 10), EFAULT);
    CHECK_ERRNO(put(pid, buffer, memory + PAGE, 10), EFAULT); /* read-only there */
    CHECK_ERRNO(put(pid, none, memory, 10), EFAULT);
    CHECK_ERRNO(get(pid, buffer, (void *)8, 10), EFAULT);
    CHECK_ERRNO(get(pid, buffer, (void *)-4096l, 10), EFAULT);
    struct iovec a = vec(buffer, 30), b[2] = {vec(memory, 10), vec(none, 20)};
    CHECK(process_vm_readv(pid, &a, 1, b, 2, 0) == 10);
    CHECK_ERRNO(process_vm_readv(pid, &a, 1, b, 2, 1), EINVAL);
    CHECK_ERRNO(process_vm_readv(pid, &a, 2000, b, 1, 0), EINVAL);
    CHECK_ERRNO(process_vm_readv(pid, &a, 1, b, 2000, 0), EINVAL);
    a.iov_len = (size_t)-1;
    CHECK_ERRNO(process_vm_readv(pid, &a, 1, b, 1, 0), EINVAL);
    CHECK_ERRNO(process_vm_readv(pid, (void *)8, 1, b, 1, 0), EFAULT);
    a.iov_len = 0;
    CHECK(process_vm_readv(pid, &a, 1, b, 1, 0) == 0);
    end(pid);
    CHECK_ERRNO(get(pid, buffer, memory, 10), ESRCH);
    CHECK_ERRNO(put(pid, buffer, memory, 10), ESRCH);
}

static void test_rights(void)
{
    char buffer[16];
    if (geteuid())
        return;
    pid_t root = sleeper(0), user = sleeper(1000), other = sleeper(1001);
    CHECK(get(user, buffer, memory, 4) == 4);
    IN_CHILD(CHECK(setgid(1000) == 0 && setuid(1000) == 0);
             CHECK_ERRNO(get(root, buffer, memory, 4), EPERM);
             CHECK_ERRNO(get(other, buffer, memory, 4), EPERM);
             CHECK_ERRNO(put(other, buffer, memory, 4), EPERM));
    end(root), end(user), end(other);
}

int main(void)
{
    memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    memset(memory, 'm', 2 * PAGE);
    CHECK(mprotect(memory + PAGE, PAGE, PROT_READ) == 0 && munmap(memory + 2 * PAGE, PAGE) == 0);
    test_bytes();
    test_large();
    test_faults();
    test_rights();
    puts("ok");
    return 0;
}
