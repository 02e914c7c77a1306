/* SPDX-License-Identifier: MIT */
/*
 * A program that uses what there is without end: nuisance MODE. Unlike hostile.c it makes no wrong
 * call; it only never stops. tests/system/nuisance.sh runs it beside nginx and a shell, and kills
 * it.
 *
 *   circles   UNIX sockets that carry each other in messages, and nobody else has
 *   ptys      as many terminals as can be had, with bytes in them; opened and closed, too
 *   locks     children that die with every kind of lock, and others that wait for these
 *   execs     threads that exec, fork, spawn and end, all at once
 *   storm     signals to itself and its children, queued and not, and timers
 *   parcels   descriptors in messages until no more fit, in sockets that nobody reads
 *
 * Each mode says "MODE begins" on standard output, and goes on until it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS 400 /* kept at a time */

extern char **environ;
static char *self;

/* ---- circles, parcels ---- */

/* Sends `fds` by a socket: 0, or -1. */
static int send_fds(int by, const int *fds, size_t count)
{
    char control[CMSG_SPACE(sizeof(int) * 64)] = {0}, byte = 'x';
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
    return sendmsg(by, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static int types(int i)
{
    static const int type[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    return type[i % 3];
}

/* Pairs in a ring, each carrying the next; then all descriptors of it go. */
static void circle(int length, int type)
{
    int pair[16][2], made = 0;
    while (made < length && socketpair(AF_UNIX, type, 0, pair[made]) == 0)
        made++;
    for (int i = 0; i < made; i++) {
        int next = (i + 1) % made;
        send_fds(pair[i][0], pair[next], 2);
        send_fds(pair[i][1], pair[i], 1);
    }
    for (int i = 0; i < made; i++)
        close(pair[i][0]), close(pair[i][1]);
}

static void circles(void)
{
    int kept[SOCKETS][2];
    for (int i = 0; i < SOCKETS; i++) /* what a collection has to look at */
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, kept[i]) || send_fds(kept[i][0], kept[i], 2))
            break;
    for (int i = 0;; i++)
        circle(i % 16 + 1, types(i));
}

static void parcels(void)
{
    int many[64], pair[2];
    for (int i = 0; i < 64; i++)
        many[i] = open("/dev/null", O_RDWR);
    for (;;) {
        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)) {
            usleep(1000);
            continue;
        }
        while (send_fds(pair[0], many, 64) == 0)
            ;
    }
}

/* ---- ptys ---- */

static void ptys(void)
{
    char bytes[512];
    memset(bytes, 'p', sizeof bytes);
    for (unsigned i = 0;; i++) {
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), slave = -1;
        if (master < 0) {
            for (int fd = 3 + (int)(i % 7); fd < 4096; fd += 7)
                close(fd);
            continue;
        }
        grantpt(master), unlockpt(master);
        if (ptsname(master))
            slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK);
        while (slave >= 0 && write(slave, bytes, sizeof bytes) > 0)
            ;
        while (write(master, bytes, sizeof bytes) > 0)
            ;
        if (i % 3 == 0)
            close(master);
    }
}

/* ---- locks ---- */

struct shared {
    pthread_mutex_t robust, plain;
};

static void take_all(struct shared *s, int fd, int semaphore)
{
    struct sembuf down = {0, -1, SEM_UNDO};
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (pthread_mutex_lock(&s->robust) == EOWNERDEAD)
        pthread_mutex_consistent(&s->robust);
    fcntl(fd, F_SETLKW, &whole);
    int own = open("/tmp/nuisance", O_RDWR | O_CLOEXEC);
    flock(own, LOCK_EX);
    semop(semaphore, &down, 1);
}

static void locks(void)
{
    struct shared *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attr;
    int fd = open("/tmp/nuisance", O_RDWR | O_CREAT, 0666),
        semaphore = semget(IPC_PRIVATE, 1, 0600);
    semctl(semaphore, 0, SETVAL, 1);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&s->plain, &attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&s->robust, &attr);
    for (;;) {
        pid_t pid[8];
        for (int i = 0; i < 8; i++)
            if ((pid[i] = fork()) == 0) {
                take_all(s, fd, semaphore);
                raise(SIGKILL);
            }
        usleep(2000);
        for (int i = 0; i < 8; i++)
            if (pid[i] > 0 && i % 2)
                kill(pid[i], SIGKILL);
        for (int i = 0; i < 8; i++)
            waitpid(pid[i], NULL, 0);
    }
}

/* ---- execs ---- */

static void *exec_again(void *i)
{
    char *argv[] = {self, "execs", "again", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    switch ((long)i % 4) {
    case 0:
        if ((pid = fork()) == 0)
            _exit(0);
        break;
    case 1:
        if (posix_spawn(&pid, "/bin/true", &actions, NULL, (char *[]){"true", NULL}, environ) == 0)
            waitpid(pid, NULL, 0);
        break;
    case 2:
        pthread_exit(NULL);
    }
    execve(self, argv, environ);
    return NULL;
}

static void execs(void)
{
    pthread_t t;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    for (long i = 0; i < 8; i++)
        pthread_create(&t, NULL, exec_again, (void *)i);
    for (;;)
        pause();
}

/* ---- storm ---- */

static void nothing(int sig)
{
    (void)sig;
}

static void storm(void)
{
    struct itimerspec soon = {{0, 1}, {0, 1}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL};
    timer_t timer;
    for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
        signal(sig, nothing);
    signal(SIGUSR1, nothing), signal(SIGALRM, nothing);
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 16; i++) {
        event.sigev_signo = SIGRTMIN + i;
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
            timer_settime(timer, 0, &soon, NULL);
    }
    for (int i = 0; i < 6; i++)
        if (fork() == 0)
            break;
    for (unsigned i = 0;; i++) {
        union sigval value = {.sival_int = (int)i};
        kill(0, i % 2 ? SIGUSR1 : SIGRTMIN + (int)(i % 20));
        sigqueue(getpid(), SIGRTMIN + (int)(i % 20), value);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"circles", circles}, {"parcels", parcels}, {"ptys", ptys},
                 {"locks", locks},     {"execs", execs},     {"storm", storm}};
    self = argv[0];
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(argv[1], modes[i].name)) {
            if (argc == 2)
                printf("%s begins\n", argv[1]);
            fflush(stdout);
            modes[i].run();
        }
    return 64;
}
