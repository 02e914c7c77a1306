/* SPDX-License-Identifier: MIT */
/*
 * Requests to the nginx on the same machine, over the loopback: what a request costs with its
 * client, where instructions are counted and nothing can come from outside.
 */
#include "calls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 16

static const char kept[] = "GET /1k.bin HTTP/1.1\r\nHost: bench\r\n\r\n";
static const char once[] = "GET /1k.bin HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
static int connections[CONNECTIONS];
static unsigned open_connections;
static size_t response_size; /* of a kept connection, header and body */
static char response[65536];

static int http_connect(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int one = 1, fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    must(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void http_send(int fd, const char *request, size_t size)
{
    if (write(fd, request, size) != (ssize_t)size)
        fail("write");
}

/* Reads a response whose size is not known yet: the first of a kept connection. */
static size_t http_first(int fd)
{
    size_t have = 0;
    for (;;) {
        have += (size_t)must(read(fd, response + have, sizeof response - 1 - have), "read");
        response[have] = 0;
        char *end = strstr(response, "\r\n\r\n"), *length = strstr(response, "Content-Length: ");
        if (!end || !length)
            continue;
        size_t size = (size_t)(end + 4 - response) + strtoul(length + 16, NULL, 10);
        if (have >= size)
            return size;
    }
}

static void setup_kept(void)
{
    while (open_connections < CONNECTIONS)
        connections[open_connections++] = http_connect();
    http_send(connections[0], kept, sizeof kept - 1);
    response_size = http_first(connections[0]);
    if (strncmp(response, "HTTP/1.1 200", 12) != 0) {
        errno = EPROTO;
        fail("not a 200");
    }
}

static void run_kept(uint64_t n)
{
    while (n) {
        unsigned some = n < CONNECTIONS ? (unsigned)n : CONNECTIONS;
        for (unsigned i = 0; i < some; i++)
            http_send(connections[i], kept, sizeof kept - 1);
        for (unsigned i = 0; i < some; i++)
            for (size_t left = response_size; left;) {
                ssize_t got = read(connections[i], response, left);
                if (got <= 0)
                    fail("read");
                left -= (size_t)got;
            }
        n -= some;
    }
}

static void teardown_kept(void)
{
    while (open_connections)
        close(connections[--open_connections]);
}

static void run_once(uint64_t n)
{
    while (n--) {
        int fd = http_connect();
        http_send(fd, once, sizeof once - 1);
        while (must(read(fd, response, sizeof response), "read") > 0)
            ;
        close(fd);
    }
}

const struct row http_rows[] = {
    {"http_keepalive", setup_kept, run_kept, teardown_kept, 0},
    {"http_connection", NULL, run_once, NULL, 0},
    {0},
};
