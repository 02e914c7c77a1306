/* SPDX-License-Identifier: MIT */
/*
 * Answers each connection to port 7777 with the system's counters: /proc/motor/counters, then
 * /proc/meminfo. For tests/system.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static void send_file(int to, const char *path)
{
    char bytes[4096];
    ssize_t n;
    int fd = open(path, O_RDONLY);
    while (fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0)
        if (write(to, bytes, (size_t)n) != n)
            break;
    close(fd);
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7777)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 8))
        return 1;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        send_file(fd, "/proc/motor/counters");
        send_file(fd, "/proc/meminfo");
        close(fd);
    }
}
