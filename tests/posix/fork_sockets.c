/* SPDX-License-Identifier: MIT */
/*
 * TCP and UDP sockets of several processes: a child that serves a connection, several workers on
 * one listener, both ends used by two processes in turns, exec with sockets.
 */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

static char self[512];

static int reap(pid_t pid)
{
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static int listener(struct sockaddr_in *address, int backlog)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, sizeof *address) == 0);
    CHECK(listen(fd, backlog) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)address, &size) == 0);
    return fd;
}

static int client(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0);
    return fd;
}

static void read_exactly(int fd, char *to, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = read(fd, to + done, n - done);
        CHECK(got > 0);
        done += (size_t)got;
    }
}

static void expect(int fd, const char *text)
{
    char got[100];
    read_exactly(fd, got, strlen(text));
    CHECK(!memcmp(got, text, strlen(text)));
}

static void say(int fd, const char *text)
{
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void expect_end(int fd)
{
    char c;
    CHECK(read(fd, &c, 1) == 0);
}

/* The usual server: accept, fork, the child serves and the parent closes. */
static void test_child_serves(void)
{
    struct sockaddr_in address;
    int l = listener(&address, 8);
    for (int i = 0; i < 5; i++) {
        int c = client(&address), s = accept(l, NULL, NULL);
        CHECK(s >= 0);
        say(c, "before"); /* arrives before anybody looks */
        pid_t pid = fork();
        if (pid == 0) {
            close(l);
            expect(s, "before");
            say(s, "hello");
            expect(s, "again");
            say(s, "bye");
            _exit(0); /* closes it */
        }
        CHECK(close(s) == 0);
        expect(c, "hello");
        say(c, "again");
        expect(c, "bye");
        expect_end(c);
        CHECK(reap(pid) == 0);
        close(c);
    }
    /* connections that wait meanwhile are no child's: their ends are seen */
    int a = client(&address), b = client(&address);
    int s = accept(l, NULL, NULL);
    CHECK(s >= 0);
    pid_t pid = fork();
    if (pid == 0) {
        sleep(100);
        _exit(0);
    }
    int t = accept(l, NULL, NULL);
    CHECK(t >= 0 && close(t) == 0);
    expect_end(b);
    CHECK(kill(pid, SIGKILL) == 0 && reap(pid) == SIGKILL && close(s) == 0);
    expect_end(a);
    close(a);
    close(b);
    close(l);
}

/* Half-read, half-written, in both processes by turns; nothing is lost or doubled. */
static void test_turns(void)
{
    enum { ROUNDS = 40, SIZE = 3000 };
    struct sockaddr_in address;
    static char bytes[SIZE], got[SIZE];
    int l = listener(&address, 8), c = client(&address), s = accept(l, NULL, NULL);
    CHECK(s >= 0);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(write(c, bytes, SIZE) == SIZE);
        read_exactly(s, got, 100);
        pid_t pid = fork();
        if (pid == 0) {
            read_exactly(s, got + 100, 1000);
            CHECK(write(s, got, 1100) == 1100);
            _exit(memcmp(got, bytes, 1100) != 0);
        }
        CHECK(reap(pid) == 0);
        read_exactly(s, got + 1100, SIZE - 1100);
        CHECK(!memcmp(got + 1100, bytes + 1100, SIZE - 1100));
        CHECK(write(s, got + 1100, SIZE - 1100) == SIZE - 1100);
        read_exactly(c, got, SIZE);
        CHECK(!memcmp(got, bytes, SIZE));
    }
    close(s);
    expect_end(c);
    close(c);
    close(l);
}

/* Much data, written by a child that ends before it is out. */
static void test_child_leaves(void)
{
    enum { SIZE = 200000 };
    struct sockaddr_in address;
    static char bytes[SIZE], got[2 * SIZE];
    int l = listener(&address, 8), c = client(&address), s = accept(l, NULL, NULL);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i >> 3);
    pid_t reader = fork();
    if (reader == 0) {
        close(s);
        read_exactly(c, got, 2 * SIZE);
        _exit(memcmp(got, bytes, SIZE) || memcmp(got + SIZE, bytes, SIZE));
    }
    close(c);
    pid_t writer = fork();
    if (writer == 0) {
        CHECK(write(s, bytes, SIZE) == SIZE);
        _exit(0);
    }
    CHECK(reap(writer) == 0);
    CHECK(write(s, bytes, SIZE) == SIZE);
    CHECK(reap(reader) == 0);
    close(s);
    close(l);
}

struct shared {
    int served[4];
    int ready;
};

static void worker(int l, struct shared *shared, int index, int how)
{
    int ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN};
    if (how == 1)
        CHECK(fcntl(l, F_SETFL, O_NONBLOCK) == 0 && epoll_ctl(ep, EPOLL_CTL_ADD, l, &e) == 0);
    __atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        struct pollfd p = {.fd = l, .events = POLLIN};
        if (how == 1)
            CHECK(epoll_wait(ep, &e, 1, -1) == 1);
        else if (how == 2)
            CHECK(poll(&p, 1, -1) == 1);
        int s = accept4(l, NULL, NULL, 0);
        if (s < 0) {
            CHECK(errno == EAGAIN);
            continue;
        }
        char c;
        if (read(s, &c, 1) == 1 && write(s, &c, 1) == 1)
            __atomic_fetch_add(&shared->served[index], 1, __ATOMIC_SEQ_CST);
        close(s);
    }
}

/* Several workers on a listener that the parent made: blocking, with epoll, with poll. */
static void test_workers(void)
{
    struct shared *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    for (int how = 0; how < 3; how++) {
        struct sockaddr_in address;
        pid_t pid[3];
        memset(shared, 0, sizeof *shared);
        int l = listener(&address, 64);
        if (how == 2)
            CHECK(fcntl(l, F_SETFL, O_NONBLOCK) == 0);
        /* in the queue before there are workers: theirs, too */
        int early[3];
        for (int i = 0; i < 3; i++) {
            early[i] = client(&address);
            say(early[i], "e");
        }
        for (int i = 0; i < 3; i++)
            if ((pid[i] = fork()) == 0)
                worker(l, shared, i, how);
        for (int i = 0; i < 3; i++) {
            expect(early[i], "e");
            expect_end(early[i]);
            close(early[i]);
        }
        for (int i = 0; i < 60; i++) {
            int c = client(&address);
            say(c, "x");
            expect(c, "x");
            expect_end(c);
            close(c);
            if (i == 30) /* one dies, the others go on */
                CHECK(kill(pid[0], SIGKILL) == 0 && reap(pid[0]) == SIGKILL);
            int stopped;
            if (i == 40) /* one is stopped: connections are not its own, once it has stopped */
                CHECK(kill(pid[1], SIGSTOP) == 0 &&
                      waitpid(pid[1], &stopped, WUNTRACED) == pid[1] && WIFSTOPPED(stopped));
        }
        CHECK(shared->served[0] + shared->served[1] + shared->served[2] == 63);
        for (int i = 1; i < 3; i++)
            CHECK(kill(pid[i], SIGKILL) == 0 && reap(pid[i]) == SIGKILL);
        /* and the parent itself can accept now */
        int c = client(&address), s;
        while ((s = accept(l, NULL, NULL)) < 0)
            CHECK(errno == EAGAIN);
        say(s, "parent");
        expect(c, "parent");
        close(s);
        close(c);
        close(l);
        CHECK_ERRNO(
            connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address),
            ECONNREFUSED);
    }
    munmap(shared, 4096);
}

/* Two processes sleep on one connection; each message wakes one that gets it. */
static void test_two_readers(void)
{
    struct sockaddr_in address;
    struct shared *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int l = listener(&address, 8), c = client(&address), s = accept(l, NULL, NULL);
    pid_t pid[2];
    for (int i = 0; i < 2; i++)
        if ((pid[i] = fork()) == 0) {
            char m;
            while (read(s, &m, 1) == 1) {
                __atomic_fetch_add(&shared->served[i], 1, __ATOMIC_SEQ_CST);
                CHECK(write(s, &m, 1) == 1);
            }
            _exit(0);
        }
    close(s);
    for (int i = 0; i < 100; i++) {
        say(c, "m");
        expect(c, "m");
    }
    CHECK(shutdown(c, SHUT_WR) == 0);
    CHECK(reap(pid[0]) == 0 && reap(pid[1]) == 0);
    CHECK(shared->served[0] + shared->served[1] == 100);
    expect_end(c);
    close(c);
    close(l);
    munmap(shared, 4096);
}

static void test_udp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int s = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0);
    char got[10];
    CHECK(s >= 0 && c >= 0 && bind(s, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(getsockname(s, (struct sockaddr *)&address, &size) == 0);
    CHECK(connect(c, (struct sockaddr *)&address, sizeof address) == 0);
    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct sockaddr_in from;
            CHECK(recvfrom(s, got, sizeof got, 0, (struct sockaddr *)&from, &size) == 4);
            CHECK(sendto(s, "pong", 4, 0, (struct sockaddr *)&from, size) == 4);
            _exit(0);
        }
        say(c, "ping");
        CHECK(read(c, got, sizeof got) == 4 && !memcmp(got, "pong", 4));
        CHECK(reap(pid) == 0);
    }
    close(s);
    close(c);
}

/* Its own function, because a compiler may not keep what a caller's loop changes across vfork. */
static pid_t start_server(int connection, int fork_too)
{
    pid_t pid = fork_too ? fork() : vfork();
    if (pid == 0) {
        dup2(connection, 0);
        dup2(connection, 1);
        execl(self, "serve", "serve", NULL);
        _exit(120);
    }
    return pid;
}

/* inetd: the connection is standard input and output of a program */
static void test_exec(void)
{
    struct sockaddr_in address;
    int l = listener(&address, 8);
    for (int fork_too = 0; fork_too < 2; fork_too++) {
        int c = client(&address), s = accept(l, NULL, NULL);
        CHECK(s >= 0);
        say(c, "early ");
        pid_t pid = start_server(s, fork_too);
        close(s);
        say(c, "late\n");
        expect(c, "got early late\n");
        expect_end(c);
        CHECK(reap(pid) == 0);
        close(c);
    }
    /* a listener that goes over exec */
    pid_t pid = fork();
    if (pid == 0) {
        dup2(l, 5);
        execl(self, "listen", "listen", NULL);
        _exit(120);
    }
    close(l);
    int c = client(&address);
    expect(c, "listener");
    CHECK(reap(pid) == 0);
    close(c);
}

static int role_serve(void)
{
    char line[100] = "";
    size_t n = 0;
    while (n < sizeof line - 1 && !strchr(line, '\n')) {
        ssize_t got = read(0, line + n, 1);
        CHECK(got == 1);
        n++;
    }
    dprintf(1, "got %s", line);
    return 0;
}

static int role_listen(void)
{
    int s = accept(5, NULL, NULL);
    CHECK(s >= 0);
    say(s, "listener");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "serve") ? role_listen() : role_serve();
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(n > 0);
    self[n] = 0;
    signal(SIGPIPE, SIG_IGN);
    alarm(100);
    test_child_serves();
    test_turns();
    test_child_leaves();
    test_workers();
    test_two_readers();
    test_udp();
    test_exec();
    return 0;
}
