/* SPDX-License-Identifier: MIT */
/*
 * The pump: one poll loop between our standard streams and the channel's frames
 * (<motor/channel.h>).
 *
 * Back-pressure: stdin is read only when the last frame of it has gone to the VM; the channel is
 * read only while less than BACKLOG_MAX bytes wait for each of stdout, stderr and the trace. Output
 * descriptors may be shared with others and stay blocking, so each write is at most PIPE_BUF bytes
 * after poll() said POLLOUT: that never blocks a pipe.
 *
 * The program's end is its EXIT frame; QEMU's end without one is a failure of the machine. Bytes
 * that came before the EXIT frame are written out before we end.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <motor/channel.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG_MAX (1u << 20)
#define SERIAL_KEPT 8192u /* the last bytes of the serial line, shown when the machine fails */

struct buffer {
    int fd;
    unsigned char *bytes;
    size_t start, end, capacity;
};

struct pump {
    struct vm *vm;
    const struct run_options *options;
    struct buffer out, err, trace;
    struct buffer to_vm; /* one STDIN frame at most, or the STDIN_EOF */
    unsigned char frame[sizeof(struct motor_frame) + MOTOR_FRAME_MAX];
    size_t frame_fill;
    char serial[SERIAL_KEPT];
    size_t serial_fill;
    bool hello, stdin_done, channel_done, serial_done, vm_gone;
    int vm_status;
    int status; /* -1 until known */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
    interrupted = signal;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- buffers ---- */

static size_t buffer_used(const struct buffer *b)
{
    return b->end - b->start;
}

static void buffer_add(struct buffer *b, const void *bytes, size_t n)
{
    if (b->start == b->end)
        b->start = b->end = 0;
    if (b->capacity - b->end < n) {
        memmove(b->bytes, b->bytes + b->start, buffer_used(b));
        b->end -= b->start;
        b->start = 0;
        if (b->capacity - b->end < n) {
            b->capacity = (b->end + n) * 2;
            b->bytes = realloc(b->bytes, b->capacity);
            if (!b->bytes)
                die(STATUS_MACHINE, "out of memory");
        }
    }
    memcpy(b->bytes + b->end, bytes, n);
    b->end += n;
}

/* Writes once; false when the reader is gone. */
static bool buffer_write(struct buffer *b, size_t limit)
{
    size_t n = buffer_used(b) < limit ? buffer_used(b) : limit;
    ssize_t written = write(b->fd, b->bytes + b->start, n);
    if (written < 0)
        return errno == EINTR || errno == EAGAIN;
    b->start += (size_t)written;
    return true;
}

/* ---- frames from the VM ---- */

static int exit_code(uint32_t wait_status)
{
    return WIFSIGNALED((int)wait_status) ? 128 + WTERMSIG((int)wait_status)
                                         : WEXITSTATUS((int)wait_status);
}

/*
 * "127: message" -> prints the message, gives 127; text without a known number is the machine's
 * failure.
 */
static int failure_report(const char *text, size_t n)
{
    int status = STATUS_MACHINE;
    char copy[1024];
    snprintf(copy, sizeof copy, "%.*s", (int)(n < 1000 ? n : 1000), text);
    char *message = copy;
    if (!strncmp(copy, "125: ", 5) || !strncmp(copy, "126: ", 5) || !strncmp(copy, "127: ", 5)) {
        status = atoi(copy);
        message = copy + 5;
    }
    fprintf(stderr, "motor-run: %s\n", message);
    return status;
}

static void frame_handle(struct pump *p, uint32_t type, const unsigned char *payload, uint32_t n)
{
    uint32_t value;
    switch (type) {
    case MOTOR_FRAME_HELLO:
        p->hello = true;
        break;
    case MOTOR_FRAME_STDOUT:
        buffer_add(&p->out, payload, n);
        break;
    case MOTOR_FRAME_STDERR:
        buffer_add(&p->err, payload, n);
        break;
    case MOTOR_FRAME_TRACE:
        buffer_add(&p->trace, payload, n);
        break;
    case MOTOR_FRAME_MISSING:
        buffer_add(&p->err, payload, n);
        break;
    case MOTOR_FRAME_EXIT:
        if (n != sizeof value)
            die(STATUS_MACHINE, "the VM sent a damaged EXIT frame");
        memcpy(&value, payload, sizeof value);
        p->status = exit_code(value);
        break;
    case MOTOR_FRAME_FAIL:
        p->status = failure_report((const char *)payload, n);
        break;
    default:
        die(STATUS_MACHINE, "the VM sent a frame of unknown type %u", type);
    }
}

/* Takes the whole frames at the front of p->frame. */
static void frames_parse(struct pump *p)
{
    size_t at = 0;
    while (p->frame_fill - at >= sizeof(struct motor_frame) && p->status < 0) {
        struct motor_frame header;
        memcpy(&header, p->frame + at, sizeof header);
        if (header.length > MOTOR_FRAME_MAX)
            die(STATUS_MACHINE, "the VM sent a frame of %u bytes", header.length);
        if (p->frame_fill - at < sizeof header + header.length)
            break;
        frame_handle(p, header.type, p->frame + at + sizeof header, header.length);
        at += sizeof header + header.length;
    }
    memmove(p->frame, p->frame + at, p->frame_fill - at);
    p->frame_fill -= at;
}

static void channel_read(struct pump *p)
{
    ssize_t n = read(p->vm->channel, p->frame + p->frame_fill, sizeof p->frame - p->frame_fill);
    if (n > 0) {
        p->frame_fill += (size_t)n;
        frames_parse(p);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        p->channel_done = true;
    }
}

/* ---- towards the VM ---- */

static void stdin_frame(struct pump *p)
{
    unsigned char bytes[MOTOR_FRAME_MAX];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    struct motor_frame header = {n > 0 ? MOTOR_FRAME_STDIN : MOTOR_FRAME_STDIN_EOF,
                                 n > 0 ? (uint32_t)n : 0};
    buffer_add(&p->to_vm, &header, sizeof header);
    if (n > 0)
        buffer_add(&p->to_vm, bytes, (size_t)n);
    else
        p->stdin_done = true; /* a closed or broken stdin is an empty one */
}

static void serial_read(struct pump *p)
{
    char bytes[1024];
    ssize_t n = read(p->vm->serial, bytes, sizeof bytes);
    if (n <= 0) {
        p->serial_done = n == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
    if (p->options->verbose)
        buffer_add(&p->err, bytes, (size_t)n);
    size_t keep =
        p->serial_fill + (size_t)n > SERIAL_KEPT ? SERIAL_KEPT - (size_t)n : p->serial_fill;
    memmove(p->serial, p->serial + p->serial_fill - keep, keep);
    memcpy(p->serial + keep, bytes, (size_t)n);
    p->serial_fill = keep + (size_t)n;
}

/* ---- the loop ---- */

static void vm_reap(struct pump *p)
{
    if (!p->vm_gone && waitpid(p->vm->pid, &p->vm_status, WNOHANG) == p->vm->pid) {
        p->vm_gone = true;
        p->vm->pid = -1;
    }
}

static int machine_failed(struct pump *p)
{
    fprintf(stderr, "motor-run: the machine stopped before the program ended");
    if (WIFEXITED(p->vm_status))
        fprintf(stderr, " (QEMU's status %d)", WEXITSTATUS(p->vm_status));
    else if (WIFSIGNALED(p->vm_status))
        fprintf(stderr, " (QEMU died of signal %d)", WTERMSIG(p->vm_status));
    fprintf(stderr, "%s\n", p->serial_fill && !p->options->verbose ? "; its last words:" : "");
    if (!p->options->verbose)
        fwrite(p->serial, 1, p->serial_fill, stderr);
    return STATUS_MACHINE;
}

enum { AT_CHANNEL, AT_SERIAL, AT_STDIN, AT_OUT, AT_ERR, AT_TRACE, AT_COUNT };

static bool backlog_full(const struct pump *p)
{
    return buffer_used(&p->out) > BACKLOG_MAX || buffer_used(&p->err) > BACKLOG_MAX ||
           buffer_used(&p->trace) > BACKLOG_MAX;
}

static void poll_prepare(struct pump *p, struct pollfd *set)
{
    bool read_channel = p->status < 0 && !p->channel_done && !backlog_full(p);
    bool write_channel = !p->channel_done && p->status < 0 && buffer_used(&p->to_vm);
    bool read_stdin = p->hello && !p->stdin_done && p->status < 0 && !buffer_used(&p->to_vm);
    set[AT_CHANNEL] =
        (struct pollfd){read_channel || write_channel ? p->vm->channel : -1,
                        (short)((read_channel ? POLLIN : 0) | (write_channel ? POLLOUT : 0)), 0};
    set[AT_SERIAL] = (struct pollfd){p->serial_done ? -1 : p->vm->serial, POLLIN, 0};
    set[AT_STDIN] = (struct pollfd){read_stdin ? STDIN_FILENO : -1, POLLIN, 0};
    set[AT_OUT] = (struct pollfd){buffer_used(&p->out) ? p->out.fd : -1, POLLOUT, 0};
    set[AT_ERR] = (struct pollfd){buffer_used(&p->err) ? p->err.fd : -1, POLLOUT, 0};
    set[AT_TRACE] = (struct pollfd){buffer_used(&p->trace) ? p->trace.fd : -1, POLLOUT, 0};
}

/* One round of input and output; false when a consumer of ours has gone. */
static bool poll_serve(struct pump *p, const struct pollfd *set)
{
    if (set[AT_CHANNEL].revents & POLLOUT)
        buffer_write(&p->to_vm, SIZE_MAX);
    if (set[AT_CHANNEL].revents & ~POLLOUT)
        channel_read(p);
    if (set[AT_SERIAL].revents)
        serial_read(p);
    if (set[AT_STDIN].revents)
        stdin_frame(p);
    if (set[AT_ERR].revents && !buffer_write(&p->err, PIPE_BUF))
        p->err.start = p->err.end;
    if (set[AT_TRACE].revents && !buffer_write(&p->trace, PIPE_BUF))
        p->trace.start = p->trace.end;
    return !set[AT_OUT].revents || buffer_write(&p->out, PIPE_BUF);
}

static bool drained(const struct pump *p)
{
    return !buffer_used(&p->out) && !buffer_used(&p->err) && !buffer_used(&p->trace);
}

static void pump_setup(struct pump *p)
{
    p->out.fd = STDOUT_FILENO;
    p->err.fd = STDERR_FILENO;
    p->trace.fd = STDERR_FILENO;
    p->to_vm.fd = p->vm->channel;
    p->status = -1;
    if (p->options->trace_path) {
        p->trace.fd = open(p->options->trace_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (p->trace.fd < 0)
            die(STATUS_MACHINE, "%s: %s", p->options->trace_path, strerror(errno));
    }
    fcntl(p->vm->channel, F_SETFL, O_NONBLOCK);
    fcntl(p->vm->serial, F_SETFL, O_NONBLOCK);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
}

static int poll_timeout_ms(const struct pump *p, double deadline)
{
    /* QEMU's end shows as the end of its sockets; the slice only covers a QEMU that dies oddly */
    int slice = 100;
    if (p->options->timeout > 0) {
        double left = (deadline - now()) * 1000;
        if (left < slice)
            slice = left > 0 ? (int)left + 1 : 0;
    }
    return slice;
}

int pump(struct vm *vm, const struct run_options *o)
{
    static struct pump p;
    struct pollfd set[AT_COUNT];
    double deadline = now() + o->timeout;

    p.vm = vm;
    p.options = o;
    pump_setup(&p);
    while (p.status < 0 || !drained(&p)) {
        poll_prepare(&p, set);
        poll(set, AT_COUNT, poll_timeout_ms(&p, deadline));
        if (interrupted)
            return 128 + interrupted;
        if (!poll_serve(&p, set))
            return 128 + SIGPIPE;
        if (p.status < 0 && o->timeout > 0 && now() >= deadline)
            die((vm_kill(vm), STATUS_TIMEOUT), "the program did not end within %g seconds",
                o->timeout);
        vm_reap(&p);
        if (p.status < 0 && p.vm_gone && p.channel_done && p.serial_done) {
            if (drained(&p))
                return machine_failed(&p);
        }
    }
    return p.status;
}
