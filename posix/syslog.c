/* SPDX-License-Identifier: MIT */
/*
 * syslog(2): the kernel's log as one text, made of the records of /dev/kmsg. What would change the
 * log for everybody (consuming, clearing, the console's level) is refused, as it is to whoever
 * lacks CAP_SYSLOG.
 */
#include "internal.h"

#include "linux_io.h"

#define SYSLOG_CLOSE       0
#define SYSLOG_OPEN        1
#define SYSLOG_READ_ALL    3
#define SYSLOG_SIZE_BUFFER 10
#define LOG_SIZE           32768 /* about what the kernel keeps */
#define RECORD_MAX         1024u

/* A handle to the device, or -errno. */
static long open_log(void)
{
    static const char path[] = "/dev/kmsg";
    struct io_stat st;
    struct motor_msg m = {.op = IO_OPEN,
                          .word = {O_RDONLY},
                          .in = path,
                          .in_size = sizeof(path) - 1,
                          .out = &st,
                          .out_size = sizeof(st),
                          .deadline = MOTOR_NEVER};
    long status = px_call(px_proc()->root, &m);
    return status < 0 ? status : (long)m.handle[0];
}

static long read_record(motor_handle log, char *record)
{
    long n;
    do {
        struct motor_msg m = {.op = IO_READ,
                              .word = {~0ull, O_NONBLOCK},
                              .out = record,
                              .out_size = RECORD_MAX,
                              .deadline = MOTOR_NEVER};
        n = px_call(log, &m);
    } while (n == -EPIPE); /* the oldest are lost */
    return n;
}

static uint64_t number(const char **at, const char *end)
{
    uint64_t n = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        n = n * 10 + (uint64_t)(**at - '0');
    }
    *at += *at < end;
    return n;
}

/* "6,seq,us,-;text" becomes "<6>[seconds] text"; its length. */
static size_t format(char *line, size_t size, const char *record, size_t length)
{
    const char *at = record, *end = record + length;
    unsigned priority = (unsigned)number(&at, end);
    number(&at, end);
    uint64_t us = number(&at, end);
    while (at < end && *at++ != ';') {
    }
    return px_format(line, size, "<%u>[%5lu.%06lu] %.*s", priority, us / 1000000, us % 1000000,
                     (int)(end - at), at);
}

/*
 * The log's text: its length with buffer NULL; else the last of `total` bytes that fit, as whole
 * lines, and how many bytes these are. Or -errno.
 */
static long text(char *buffer, size_t size, size_t total)
{
    char record[RECORD_MAX], line[RECORD_MAX + 64];
    long log = open_log(), n;
    size_t at = 0, stored = 0;
    if (log < 0) {
        return log == -EACCES ? -EPERM : log;
    }
    while ((n = read_record((motor_handle)log, record)) > 0) {
        size_t length = format(line, sizeof(line), record, (size_t)n);
        bool fits = at + size >= total && stored + length <= size;
        if (buffer && fits && px_copy_out(buffer + stored, line, length) < 0) {
            n = -EFAULT;
            break;
        }
        stored += buffer && !fits ? 0 : length;
        at += length;
    }
    motor_handle_close((motor_handle)log);
    return n < 0 && n != -EAGAIN ? n : (long)stored;
}

long px_sys_syslog(int type, void *buffer, int length)
{
    switch (type) {
    case SYSLOG_CLOSE:
    case SYSLOG_OPEN:
        return 0;
    case SYSLOG_SIZE_BUFFER:
        return LOG_SIZE;
    case SYSLOG_READ_ALL: {
        if (!buffer || length < 0) {
            return -EINVAL;
        }
        long total = text(NULL, 0, 0);
        return total < 0 ? total : text(buffer, (size_t)length, (size_t)total);
    }
    default:
        return type < 0 || type > SYSLOG_SIZE_BUFFER ? -EINVAL : -EPERM;
    }
}
