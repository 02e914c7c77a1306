/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log: /dev/kmsg gives a record for each read, waits or not, takes lines; klogctl(3)
 * shows it as one text. A host that keeps its log from us has nothing to compare with.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/klog.h>
#include <sys/wait.h>
#include <unistd.h>

static char mark[64];

/* One line: Linux shows what has no newline only when something follows. */
static void say(const char *text)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s\n", text), fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(write(fd, line, (size_t)n) == n);
    close(fd);
}

static int open_log(int flags)
{
    int fd = open("/dev/kmsg", O_RDONLY | O_CLOEXEC | flags);
    CHECK(fd >= 0);
    return fd;
}

/* The next record's text, after its header was found right. */
static const char *next(int fd, char record[8192], unsigned long long *sequence)
{
    unsigned priority;
    unsigned long long us;
    int at = 0;
    ssize_t n;
    while ((n = read(fd, record, 8191)) < 0 && errno == EPIPE)
        ;
    if (n < 0)
        return NULL;
    record[n] = 0;
    CHECK(sscanf(record, "%u,%llu,%llu,%*[^;];%n", &priority, sequence, &us, &at) == 3 && at > 0);
    CHECK(strchr(record, '\n') != NULL);
    return record + at;
}

static void test_records(void)
{
    static char record[8192];
    unsigned long long last = 0, sequence;
    const char *text;
    bool found = false;
    int fd = open_log(O_NONBLOCK);
    for (bool first = true; (text = next(fd, record, &sequence)) != NULL; first = false) {
        CHECK(first || sequence > last);
        last = sequence;
        found |= strncmp(text, mark, strlen(mark)) == 0 && text[strlen(mark)] == '\n';
    }
    CHECK(errno == EAGAIN);
    CHECK(found);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK(poll(&p, 1, 0) == 0);
    say("<6>one more");
    CHECK(poll(&p, 1, 10000) == 1);
    CHECK_ERRNO(read(fd, record, 4), EINVAL);
    close(fd);
}

static void test_waits(void)
{
    char record[8192];
    unsigned long long sequence;
    int fd = open_log(O_NONBLOCK);
    while (next(fd, record, &sequence))
        ;
    CHECK(fcntl(fd, F_SETFL, 0) == 0);
    pid_t child = fork();
    if (child == 0) {
        usleep(20000);
        say("a line that was waited for");
        _exit(0);
    }
    const char *text = next(fd, record, &sequence);
    CHECK(text != NULL && strncmp(text, "a line that was waited for", 26) == 0);
    CHECK(waitpid(child, NULL, 0) == child);
    close(fd);
}

static void test_klogctl(void)
{
    static char text[1 << 20];
    int n = klogctl(3, text, sizeof text - 1);
    CHECK(n > 0);
    text[n] = 0;
    CHECK(strstr(text, mark) != NULL);
    CHECK(text[0] == '<' && text[n - 1] == '\n');
    n = klogctl(3, text, 100);
    CHECK(n > 0 && n <= 100 && text[n - 1] == '\n');
    CHECK(klogctl(10, NULL, 0) > 0);
    CHECK_ERRNO(klogctl(3, NULL, 10), EINVAL);
    CHECK_ERRNO(klogctl(3, text, -1), EINVAL);
    CHECK_ERRNO(klogctl(11, text, 10), EINVAL);
}

static void test_others(void)
{
    pid_t child = fork();
    if (child == 0) {
        if (setuid(65534))
            _exit(1);
        _exit(open("/dev/kmsg", O_WRONLY) == -1 && errno == EACCES ? 0 : 2);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

int main(void)
{
    int fd = open("/dev/kmsg", O_RDWR | O_CLOEXEC);
    if (fd < 0 || klogctl(10, NULL, 0) < 0) {
        CHECK(fd >= 0 || errno == ENOENT || errno == EPERM || errno == EACCES);
        puts("no log here");
        return 0;
    }
    close(fd);
    snprintf(mark, sizeof mark, "kmsg test of %d", getpid());
    say(mark);
    test_records();
    test_waits();
    test_klogctl();
    test_others();
    puts("ok");
    return 0;
}
