/* SPDX-License-Identifier: MIT */
/*
 * A wire between a TAP device and QEMU's `-netdev socket,udp=`, one frame a datagram, that loses,
 * duplicates, delays and so reorders frames, from a seed. The kernel's own emulation of such wires
 * (netem) is not everywhere.
 *
 *   badwire TAP OWN_PORT QEMU_PORT SEED LOSS DUPLICATION REORDERING      (the latter in 1000)
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DELAY_MS 20 /* of a frame that is overtaken: up to this */

struct frame {
    struct frame *next;
    uint64_t at;
    int to;
    size_t size;
    uint8_t bytes[];
};

static struct frame *held; /* by time */
static unsigned random_state, loss, duplication, reordering;

static unsigned chance(unsigned n)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % n;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void put(int to, const uint8_t *bytes, size_t size)
{
    if (write(to, bytes, size) < 0)
        return; /* the other end is not there yet, or full: lost, like others */
}

static void hold(int to, const uint8_t *bytes, size_t size)
{
    struct frame *f = malloc(sizeof *f + size), **link = &held;
    if (!f)
        return;
    f->at = now_ms() + 1 + chance(DELAY_MS);
    f->to = to;
    f->size = size;
    memcpy(f->bytes, bytes, size);
    while (*link && (*link)->at <= f->at)
        link = &(*link)->next;
    f->next = *link;
    *link = f;
}

static void pass_on(int from, int to)
{
    uint8_t bytes[65536];
    ssize_t n = read(from, bytes, sizeof bytes);
    if (n <= 0 || chance(1000) < loss)
        return;
    if (chance(1000) < duplication)
        put(to, bytes, (size_t)n);
    if (chance(1000) < reordering)
        hold(to, bytes, (size_t)n);
    else
        put(to, bytes, (size_t)n);
}

static void release(void)
{
    while (held && held->at <= now_ms()) {
        struct frame *f = held;
        held = f->next;
        put(f->to, f->bytes, f->size);
        free(f);
    }
}

static int open_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
        perror("badwire: tap");
        exit(1);
    }
    return fd;
}

static int open_socket(uint16_t own, uint16_t peer)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(own)}, b = a;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    a.sin_addr.s_addr = b.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    b.sin_port = htons(peer);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        connect(fd, (struct sockaddr *)&b, sizeof b) < 0) {
        perror("badwire: socket");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 8)
        return 2;
    int tap = open_tap(argv[1]);
    int qemu = open_socket((uint16_t)atoi(argv[2]), (uint16_t)atoi(argv[3]));
    random_state = (unsigned)atoi(argv[4]);
    loss = (unsigned)atoi(argv[5]);
    duplication = (unsigned)atoi(argv[6]);
    reordering = (unsigned)atoi(argv[7]);
    for (;;) {
        struct pollfd p[2] = {{tap, POLLIN, 0}, {qemu, POLLIN, 0}};
        if (poll(p, 2, held ? 1 : -1) < 0)
            return 1;
        if (p[0].revents)
            pass_on(tap, qemu);
        if (p[1].revents)
            pass_on(qemu, tap);
        release();
    }
}
