/* SPDX-License-Identifier: MIT */
/* Running other programs, and files whole. */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 32

void *must(void *memory)
{
    if (!memory) {
        fputs("motor-image: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

char *path_of(const char *format, ...)
{
    char *path;
    va_list args;
    va_start(args, format);
    if (vasprintf(&path, format, args) < 0)
        must(NULL);
    va_end(args);
    return path;
}

/* mke2fs and debugfs are in sbin, where the PATH of users does not lead. */
__attribute__((noreturn)) static void child(char *const words[], int out)
{
    char *path = path_of("%s:/usr/sbin:/sbin", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    setenv("PATH", path, 1);
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execvp(words[0], words);
    dprintf(STDERR_FILENO, "%s: %s\n", words[0], strerror(errno));
    _exit(127);
}

static char *read_all(int fd)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = must(open_memstream(&text, &size));
    char bytes[4096];
    for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0;)
        fwrite(bytes, 1, (size_t)n, out);
    if (fclose(out))
        must(NULL);
    return text;
}

static char *run_words(char *const words[])
{
    int pipe_fds[2], status;
    if (pipe2(pipe_fds, O_CLOEXEC))
        die("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (!pid)
        child(words, pipe_fds[1]);
    close(pipe_fds[1]);
    char *text = read_all(pipe_fds[0]);
    close(pipe_fds[0]);
    if (waitpid(pid, &status, 0) != pid || status)
        die("%s failed:\n%s", words[0], text);
    return text;
}

static void collect(char *words[WORDS_MAX], const char *program, va_list args)
{
    size_t n = 0;
    for (const char *word = program; word; word = va_arg(args, const char *)) {
        if (n + 1 == WORDS_MAX)
            die("too many words for %s", program);
        words[n++] = (char *)word;
    }
    words[n] = NULL;
}

char *run_output(const char *program, ...)
{
    char *words[WORDS_MAX];
    va_list args;
    va_start(args, program);
    collect(words, program, args);
    va_end(args);
    return run_words(words);
}

void run(const char *program, ...)
{
    char *words[WORDS_MAX];
    va_list args;
    va_start(args, program);
    collect(words, program, args);
    va_end(args);
    free(run_words(words));
}

/* bin/motor-image -> the SDK's top */
char *sdk_file(const char *relative)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        die("cannot find the SDK: /proc/self/exe: %s", strerror(errno));
    path[n] = 0;
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(path, '/');
        if (slash)
            *slash = 0;
    }
    return path_of("%s/%s", path, relative);
}

char *file_load(const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        die("%s: %s", path, strerror(errno));
    char *bytes = must(malloc((size_t)st.st_size + 1));
    for (size_t at = 0; at < (size_t)st.st_size;) {
        ssize_t n = read(fd, bytes + at, (size_t)st.st_size - at);
        if (n <= 0)
            die("%s: %s", path, n ? strerror(errno) : "it became shorter");
        at += (size_t)n;
    }
    close(fd);
    bytes[st.st_size] = 0;
    *size = (size_t)st.st_size;
    return bytes;
}

void file_store(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "w");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f))
        die("%s: %s", path, strerror(errno));
}

void disk_write(const struct image *image, uint64_t at, const void *data, size_t size)
{
    const char *bytes = data;
    while (size) {
        ssize_t n = pwrite(image->disk, bytes, size, (off_t)at);
        if (n <= 0)
            die("%s: %s", image->disk_path, strerror(errno));
        bytes += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
}
