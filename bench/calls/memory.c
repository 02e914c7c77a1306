/* SPDX-License-Identifier: MIT */
/* Memory: mappings and page faults, and what things take while they exist. */
#include "calls.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB  (1ul << 20)
#define PAGE 4096ul

static void map_touch_unmap(size_t size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        fail("mmap");
    for (size_t i = 0; i < size; i += PAGE)
        p[i] = 1;
    must(munmap(p, size), "munmap");
}

static void run_map_1m(uint64_t n)
{
    while (n--)
        map_touch_unmap(MIB);
}

static void run_map_64m(uint64_t n)
{
    while (n--)
        map_touch_unmap(64 * MIB);
}

/*
 * A minor fault: the first touch of pages that lie apart (every 16th), so that what a system brings
 * in around a fault does not hide its cost. The mapping is made and removed outside of the figure
 * as far as can be: once for 1,024 faults.
 */
#define FAULTS 1024

static void run_fault(uint64_t n)
{
    size_t size = FAULTS * 16 * PAGE;
    while (n--) {
        char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            fail("mmap");
        for (size_t i = 0; i < size; i += 16 * PAGE)
            p[i] = 1;
        must(munmap(p, size), "munmap");
    }
}

const struct row memory_rows[] = {
    {"mmap_touch_munmap_1m", NULL, run_map_1m, NULL, 0},
    {"mmap_touch_munmap_64m", NULL, run_map_64m, NULL, 0},
    {"page_fault", NULL, run_fault, NULL, FAULTS},
    {0},
};

/* ---- things that are held ---- */

static pthread_t threads[1000];
static unsigned threads_used;
static int gate[2] = {-1, -1}; /* readers of gate[0] sleep until gate[1] is closed */

static void *sleep_at_gate(void *unused)
{
    char byte;
    while (read(gate[0], &byte, 1) < 0 && errno == EINTR)
        ;
    return unused;
}

/* A pair of connected sockets without socketpair(), which not everybody has. */
static void make_gate(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    must(listen(listener, 1), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    gate[1] = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    must(connect(gate[1], (struct sockaddr *)&address, sizeof address), "connect");
    gate[0] = must(accept(listener, NULL, NULL), "accept");
    close(listener);
}

static void hold_threads(unsigned n)
{
    if (gate[0] < 0)
        make_gate();
    while (n-- && threads_used < sizeof threads / sizeof *threads) {
        errno = pthread_create(&threads[threads_used], NULL, sleep_at_gate, NULL);
        if (errno)
            fail("pthread_create");
        threads_used++;
    }
    usleep(200000); /* until each of them sleeps */
}

static void release_threads(void)
{
    close(gate[1]);
    while (threads_used)
        pthread_join(threads[--threads_used], NULL);
    close(gate[0]);
    gate[0] = gate[1] = -1;
}

static pid_t processes[100];
static unsigned processes_used;

static void hold_processes(unsigned n)
{
    while (n-- && processes_used < sizeof processes / sizeof *processes) {
        pid_t pid = fork();
        if (pid == 0)
            for (;;)
                pause();
        processes[processes_used++] = must(pid, "fork");
    }
    usleep(200000);
}

static void release_processes(void)
{
    while (processes_used) {
        kill(processes[--processes_used], SIGKILL);
        waitpid(processes[processes_used], NULL, 0);
    }
}

const struct memory_row holding_rows[] = {
    {"thread", 500, hold_threads, release_threads},
    {"process", 50, hold_processes, release_processes},
    {0},
};
