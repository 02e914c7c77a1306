/* SPDX-License-Identifier: MIT */
/*
 * calls: a server on TCP port 7000. One connection at a time sends lines:
 *
 *   list               -> the names of all rows, one line
 *   folder PATH        -> ok: files are made in PATH, on a disk, and the rows for disks are listed
 *   time ROW MS        -> ok ROW ns=… tsc=… n=…: of one operation, median of batches of about MS
 *                         milliseconds by this machine's clock (with instruction counting: millions
 *                         of instructions)
 *   count ROW N        -> ok ROW n=N NAME=delta…: what /proc/motor/counters grew by over N
 * operations memory ROW         -> ok ROW bytes=… n=…: memory of one of them
 *
 * or `unsupported ROW reason`, `failed ROW reason`. The reason is errno's text.
 */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 5

static jmp_buf failed;
static const char *failed_what;
static int failed_errno;
static FILE *client;

#define ALL_ROWS process_rows, memory_rows, file_rows, stream_rows, event_rows, http_rows
static const struct row *const in_memory[] = {ALL_ROWS, NULL};
static const struct row *const on_disk[] = {ALL_ROWS, disk_rows, NULL};
static const struct row *const *tables = in_memory;

void fail(const char *what)
{
    failed_errno = errno;
    failed_what = what;
    longjmp(failed, 1);
}

/* ---- threads ---- */

static pthread_t thread;
static bool thread_runs;

void thread_begin(void *(*start)(void *), void *argument)
{
    errno = pthread_create(&thread, NULL, start, argument);
    if (errno)
        fail("pthread_create");
    thread_runs = true;
}

void thread_end(void)
{
    if (thread_runs)
        pthread_join(thread, NULL);
    thread_runs = false;
}

/* ---- measuring ---- */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct cost {
    double ns, tsc;
};

static struct cost run_batch(const struct row *row, uint64_t n)
{
    uint64_t ns = now_ns(), tsc = __builtin_ia32_rdtsc();
    row->run(n);
    tsc = __builtin_ia32_rdtsc() - tsc;
    return (struct cost){(double)(now_ns() - ns), (double)tsc};
}

static void row_time(const struct row *row, double batch_ms)
{
    double ns[BATCHES], tsc[BATCHES];
    uint64_t n = 1;
    for (int enough = 0; enough < 2;) { /* also warms up; once alone may be a disturbance */
        struct cost c = run_batch(row, n);
        if (c.ns >= batch_ms * 1e6 / 2) {
            enough++;
            continue;
        }
        double grow = c.ns > 0 ? batch_ms * 1e6 / c.ns : 10;
        n = (uint64_t)((double)n * (grow > 10 ? 10 : grow < 1.5 ? 1.5 : grow)) + 1;
        enough = 0;
    }
    double each = (double)n * (double)(row->per ? row->per : 1);
    for (int i = 0; i < BATCHES; i++) {
        struct cost c = run_batch(row, n);
        ns[i] = c.ns / each;
        tsc[i] = c.tsc / each;
    }
    qsort(ns, BATCHES, sizeof *ns, by_value);
    qsort(tsc, BATCHES, sizeof *tsc, by_value);
    fprintf(client, "ok %s ns=%.2f tsc=%.2f n=%llu\n", row->name, ns[BATCHES / 2], tsc[BATCHES / 2],
            (unsigned long long)n);
}

/* ---- counters ---- */

struct counters {
    char text[4096];
};

static bool counters_read(struct counters *c)
{
    int fd = open("/proc/motor/counters", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, c->text, sizeof c->text - 1);
    if (fd >= 0)
        close(fd);
    c->text[n > 0 ? n : 0] = 0;
    return n > 0;
}

static unsigned long long counters_find(const struct counters *c, const char *name, size_t length)
{
    for (const char *line = c->text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return strtoull(line + length, NULL, 10);
    }
    return 0;
}

static void row_count(const struct row *row, uint64_t n)
{
    static struct counters before, after;
    row->run(n < 10 ? n : 10); /* what is allocated once is there */
    if (!counters_read(&before)) {
        errno = ENOSYS;
        fail("/proc/motor/counters");
    }
    row->run(n);
    counters_read(&after);
    fprintf(client, "ok %s n=%llu", row->name, (unsigned long long)(n * (row->per ? row->per : 1)));
    for (const char *line = after.text; *line;) {
        const char *space = strchr(line, ' '), *end = strchr(line, '\n');
        if (!space || !end)
            break;
        size_t length = (size_t)(space - line);
        long long grown =
            (long long)(counters_find(&after, line, length) - counters_find(&before, line, length));
        if (grown)
            fprintf(client, " %.*s=%lld", (int)length, line, grown);
        line = end + 1;
    }
    fputc('\n', client);
}

/* ---- memory ---- */

static long long memory_free(void)
{
    char line[128];
    long long left = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    if (!f)
        fail("/proc/meminfo");
    while (fgets(line, sizeof line, f))
        sscanf(line, "MemFree: %lld", &left);
    fclose(f);
    return left * 1024;
}

static void row_memory(const struct memory_row *row)
{
    row->hold(row->count / 10); /* what is there once */
    long long before = memory_free();
    row->hold(row->count);
    long long after = memory_free();
    row->release();
    fprintf(client, "ok %s bytes=%lld n=%u\n", row->name, (before - after) / row->count,
            row->count);
}

/* ---- lines ---- */

static bool unsupported(int error)
{
    return error == ENOSYS || error == EAFNOSUPPORT || error == EPROTONOSUPPORT ||
           error == EOPNOTSUPP || error == ESOCKTNOSUPPORT;
}

static const struct row *row_find(const char *name)
{
    for (const struct row *const *table = tables; *table; table++)
        for (const struct row *row = *table; row->name; row++)
            if (strcmp(row->name, name) == 0)
                return row;
    return NULL;
}

static void list(void)
{
    for (const struct row *const *table = tables; *table; table++)
        for (const struct row *row = *table; row->name; row++)
            fprintf(client, "%s ", row->name);
    fputc('\n', client);
}

static void set_folder(const char *path)
{
    if (files_folder(path)) {
        tables = on_disk;
        fprintf(client, "ok folder\n");
    } else {
        fprintf(client, "failed folder %s\n", strerror(errno));
    }
}

static const struct memory_row *holding_find(const char *name)
{
    for (const struct memory_row *row = holding_rows; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

/* Ends by longjmp to `failed` when a call fails. */
static void perform(const char *verb, const struct row *row, const struct memory_row *holding,
                    double value)
{
    if (strcmp(verb, "memory") == 0) {
        row_memory(holding);
        return;
    }
    if (row->setup)
        row->setup();
    if (strcmp(verb, "count") == 0)
        row_count(row, (uint64_t)value);
    else
        row_time(row, value);
}

/* Apart from its caller, whose variables a longjmp would leave as nobody knows. */
__attribute__((noinline)) static bool performed(const char *verb, const struct row *row,
                                                const struct memory_row *holding, double value)
{
    if (setjmp(failed))
        return false;
    perform(verb, row, holding, value);
    return true;
}

__attribute__((noinline)) static void tear_down(const struct row *row)
{
    if (!setjmp(failed))
        row->teardown();
}

static void measure(const char *verb, const char *name, double value)
{
    const struct row *row = row_find(name);
    const struct memory_row *holding = holding_find(name);
    if (strcmp(verb, "memory") == 0 ? !holding : !row) {
        fprintf(client, "failed %s there is no such row\n", name);
        return;
    }
    if (!performed(verb, row, holding, value))
        fprintf(client, "%s %s %s: %s\n", unsupported(failed_errno) ? "unsupported" : "failed",
                name, failed_what, strerror(failed_errno));
    if (row && row->teardown)
        tear_down(row);
}

static void show_counters(void)
{
    static struct counters all;
    fputs(counters_read(&all) ? "ok counters" : "unsupported counters", client);
    for (char *line = all.text; *line; line++)
        if (*line == ' ')
            *line = '=';
        else if (*line == '\n')
            *line = ' ';
    fprintf(client, " %s\n", all.text);
}

static void serve(int fd)
{
    char line[256], verb[16], name[64];
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    FILE *in = fdopen(fd, "r");
    client = fdopen(dup(fd), "w");
    while (fgets(line, sizeof line, in)) {
        double value = 0;
        int words = sscanf(line, "%15s %63s %lf", verb, name, &value);
        if (words == 2 && strcmp(verb, "folder") == 0)
            set_folder(name);
        else if (words >= 2)
            measure(verb, name, value);
        else if (strncmp(line, "list", 4) == 0)
            list();
        else if (strncmp(line, "free", 4) == 0)
            fprintf(client, "ok free bytes=%lld\n", memory_free());
        else if (strncmp(line, "counters", 8) == 0)
            show_counters();
        fflush(client);
    }
    fclose(in);
    fclose(client);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "exit") == 0)
        return 0;
    struct rlimit files = {8192, 8192};
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    files_folder(CALLS_FOLDER);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7000)};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4)) {
        perror("calls: port 7000");
        return 1;
    }
    puts("calls: ready");
    fflush(stdout);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve(fd);
    }
}
