/* SPDX-License-Identifier: MIT */
/*
 * Process 1 of tests/system/image.sh: starts nginx, and answers lines on TCP port 7.
 *
 *   append TEXT   a line more in /data/log, durable: "ok"
 *   show          /data/log
 *   reboot, poweroff
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG "/data/log"

static void must(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "image: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void start_nginx(void)
{
    static char *const args[] = {"nginx", NULL};
    signal(SIGCHLD, SIG_IGN);
    pid_t pid = fork();
    must(pid, "fork");
    if (!pid) {
        execv("/usr/sbin/nginx", args);
        must(-1, "/usr/sbin/nginx");
    }
}

static int append(const char *text)
{
    int fd = open(LOG, O_WRONLY | O_CREAT | O_APPEND, 0640);
    int failed = fd < 0 || dprintf(fd, "%s\n", text) < 0 || fsync(fd);
    close(fd);
    return failed;
}

static void show(FILE *to)
{
    char bytes[4096];
    size_t n;
    FILE *from = fopen(LOG, "r");
    while (from && (n = fread(bytes, 1, sizeof bytes, from)))
        fwrite(bytes, 1, n, to);
    if (from)
        fclose(from);
}

static void answer(FILE *f)
{
    char line[256];
    if (!fgets(line, sizeof line, f))
        return;
    line[strcspn(line, "\r\n")] = 0;
    fflush(f);
    if (!strncmp(line, "append ", 7))
        fprintf(f, "%s\n", append(line + 7) ? strerror(errno) : "ok");
    else if (!strcmp(line, "show"))
        show(f);
    else if (!strcmp(line, "reboot"))
        reboot(RB_AUTOBOOT);
    else if (!strcmp(line, "poweroff"))
        reboot(RB_POWER_OFF);
}

int main(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7)};
    int one = 1, listening = socket(AF_INET, SOCK_STREAM, 0);
    must(listening, "socket");
    must(setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), "SO_REUSEADDR");
    must(bind(listening, (struct sockaddr *)&at, sizeof at), "bind");
    must(listen(listening, 8), "listen");
    start_nginx();
    for (;;) {
        int fd = accept(listening, NULL, NULL);
        FILE *f = fd < 0 ? NULL : fdopen(fd, "r+");
        if (f) {
            answer(f);
            fclose(f);
        }
    }
}
