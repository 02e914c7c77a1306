/* SPDX-License-Identifier: MIT */
/*
 * An engine that writes nonsense into the slots: the runtime may give any result, but must not
 * crash, hang or read outside the arena (which is mapped exactly, so that the kernel would tell).
 */
#include "host.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) * 2 + 1 : 12345;
    static uint8_t buf[100000];
    int fds[40], count = 0;
    alarm(120);
    host_start();
    engine_hostile = true;
    int ep = (int)px_sys_epoll_create1(0);
    for (unsigned step = 0; step < 30000; step++) {
        int fd = count ? fds[next_random(&seed) % (unsigned)count] : -1;
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_port = htons(1 + next_random(&seed) % 2)};
        struct epoll_event e = {.events =
                                    (uint32_t)next_random(&seed) & (EPOLLIN | EPOLLOUT | EPOLLET),
                                .data.fd = fd},
                           out[8];
        struct pollfd p = {fd, POLLIN | POLLOUT, 0};
        size_t n = next_random(&seed) % sizeof buf;
        switch (next_random(&seed) % 12) {
        case 0:
            if (count < 40 &&
                (fd = (int)px_sys_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) >= 0)
                fds[count++] = fd;
            break;
        case 1:
            px_sys_bind(fd, &a, sizeof a);
            px_sys_listen(fd, 5);
            break;
        case 2:
            px_sys_connect(fd, &a, sizeof a);
            break;
        case 3:
            if (count < 40 && (fd = (int)px_sys_accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0)
                fds[count++] = fd;
            break;
        case 4:
            px_sys_read(fd, buf, n);
            break;
        case 5:
            px_sys_sendto(fd, buf, n, MSG_NOSIGNAL, NULL, 0);
            break;
        case 6:
            px_sys_recvfrom(fd, buf, n, MSG_PEEK, NULL, NULL);
            break;
        case 7:
            px_sys_poll(&p, 1, 0);
            break;
        case 8:
            px_sys_epoll_ctl(ep, 1 + (int)(next_random(&seed) % 3), fd, &e);
            break;
        case 9:
            CHECK(px_sys_epoll_wait(ep, out, 8, 0) >= 0);
            break;
        case 10:
            if (next_random(&seed) % 4 == 0 && count) {
                px_sys_close(fd);
                for (int i = 0; i < count; i++)
                    if (fds[i] == fd)
                        fds[i] = fds[--count];
            }
            break;
        default:
            engine_turn();
            break;
        }
    }
    _exit(0);
}
