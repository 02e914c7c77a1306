/* SPDX-License-Identifier: MIT */
/*
 * setfsuid(2), setfsgid(2): a thread's own user and group for files, and for nothing else; who may
 * choose which, who inherits them, and what ends them.
 */
#include "child.h"

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define ALICE 4001
#define BOB   4002
#define TEAM  4100

static char folder[] = "/tmp/fs-ids-XXXXXX";

static uid_t fs_uid(void)
{
    return (uid_t)setfsuid((uid_t)-1);
}

static gid_t fs_gid(void)
{
    return (gid_t)setfsgid((gid_t)-1);
}

static void make(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && fchown(fd, uid, gid) == 0 && fchmod(fd, mode) == 0 && close(fd) == 0);
}

static bool can(const char *name, int flags)
{
    int fd = open(name, flags);
    CHECK(fd >= 0 || errno == EACCES);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* ---- which ---- */

static void test_choice(void)
{
    IN_CHILD({
        CHECK(setfsuid(ALICE) == 0 && fs_uid() == ALICE && geteuid() == 0);
        CHECK(setfsgid(TEAM) == 0 && fs_gid() == TEAM && getegid() == 0);
        CHECK(setfsuid(BOB) == ALICE && fs_uid() == BOB); /* the effective one is root still */
        CHECK(prctl(PR_GET_DUMPABLE) != 1);
        /* another effective one: that follows */
        CHECK(seteuid(0) == 0 && fs_uid() == 0 && fs_gid() == TEAM);
        CHECK(setfsuid(ALICE) == 0 && setegid(5) == 0 && fs_gid() == 5 && fs_uid() == ALICE);
    });
    IN_CHILD({
        CHECK(setresgid(1, 2, 3) == 0 && setresuid(ALICE, BOB, 0) == 0);
        CHECK(fs_uid() == BOB && fs_gid() == 2);
        CHECK(setfsuid(ALICE) == BOB && setfsuid(77) == ALICE && fs_uid() == ALICE);
        CHECK(setfsuid(0) == ALICE && fs_uid() == 0); /* the saved one */
        CHECK(setfsgid(3) == 2 && setfsgid(77) == 3 && setfsgid(1) == 3 && fs_gid() == 1);
        CHECK(setresuid(BOB, BOB, BOB) == 0 && fs_uid() == BOB);
        CHECK(setfsuid(0) == BOB && fs_uid() == BOB);
    });
}

/* ---- what for ---- */

static void test_files(void)
{
    struct stat st;
    make("roots", 0600, 0, 0);
    make("alices", 0600, ALICE, ALICE);
    make("teams", 0040, 0, TEAM);
    IN_CHILD({
        for (int i = 0; i < 50; i++) { /* names that are familiar */
            CHECK(can("roots", O_RDWR) && can("alices", O_RDWR) && can("teams", O_RDONLY));
            CHECK(stat("roots", &st) == 0);
        }
        setfsuid(ALICE);
        CHECK(!can("roots", O_RDONLY) && can("alices", O_RDWR) && !can("teams", O_RDONLY));
        CHECK(access("roots", R_OK) == 0); /* by the real ones */
        CHECK_ERRNO(faccessat(AT_FDCWD, "roots", R_OK, AT_EACCESS), EACCES);
        CHECK_ERRNO(chmod("roots", 0644), EPERM);
        CHECK_ERRNO(chown("alices", BOB, (gid_t)-1), EPERM);
        CHECK(chmod("alices", 0640) == 0);
        setfsgid(TEAM);
        CHECK(can("teams", O_RDONLY) && mkdir("made", 0700) == 0);
        CHECK(stat("made", &st) == 0 && st.st_uid == ALICE && st.st_gid == TEAM);
        CHECK(rmdir("made") == 0);
        setfsuid(0);
        CHECK(can("roots", O_RDWR));
    });
    IN_CHILD({ /* supplementary groups count beside the chosen one */
               CHECK(setgroups(1, (gid_t[]){TEAM}) == 0);
               setfsuid(BOB);
               setfsgid(BOB);
               CHECK(can("teams", O_RDONLY) && !can("teams", O_WRONLY));
    });
    IN_CHILD({ /* root for files alone */
               CHECK(setresuid(0, BOB, 0) == 0 && !can("roots", O_RDONLY));
               CHECK(setfsuid(0) == BOB && can("roots", O_RDWR));
    });
}

static void test_others(void)
{
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    a.sin_port = htons(82);
    IN_CHILD({
        int sem = semget(IPC_PRIVATE, 1, 0600);
        struct sembuf up = {0, 1, 0};
        setfsuid(ALICE);
        CHECK(semop(sem, &up, 1) == 0 && semctl(sem, 0, IPC_RMID) == 0);
        CHECK(s < 0 || bind(s, (void *)&a, sizeof a) == 0 || errno == EADDRINUSE);
        CHECK(setuid(BOB) == 0 && fs_uid() == BOB);
    });
    close(s);
}

/* ---- whose ---- */

static pthread_barrier_t barrier;

static void *other_thread(void *unused)
{
    (void)unused;
    CHECK(fs_uid() == 0);
    pthread_barrier_wait(&barrier); /* the first one is Alice now */
    pthread_barrier_wait(&barrier);
    CHECK(fs_uid() == 0 && can("roots", O_RDWR));
    setfsuid(BOB);
    CHECK(!can("roots", O_RDWR) && !can("alices", O_RDONLY));
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void *inheriting_thread(void *unused)
{
    (void)unused;
    CHECK(fs_uid() == ALICE && fs_gid() == TEAM && can("alices", O_RDWR) && !can("roots", O_RDWR));
    return NULL;
}

static void test_threads(void)
{
    pthread_t thread;
    CHECK(chown("alices", ALICE, ALICE) == 0 && chmod("alices", 0600) == 0);
    IN_CHILD({
        CHECK0(pthread_barrier_init(&barrier, NULL, 2));
        CHECK0(pthread_create(&thread, NULL, other_thread, NULL));
        pthread_barrier_wait(&barrier);
        setfsuid(ALICE);
        setfsgid(TEAM);
        CHECK(!can("roots", O_RDWR));
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        CHECK(fs_uid() == ALICE && can("alices", O_RDWR) && !can("roots", O_RDWR));
        pthread_barrier_wait(&barrier);
        CHECK0(pthread_join(thread, NULL));
        CHECK0(pthread_create(&thread, NULL, inheriting_thread, NULL));
        CHECK0(pthread_join(thread, NULL));
        IN_CHILD(CHECK(fs_uid() == ALICE && fs_gid() == TEAM && !can("roots", O_RDWR)));
        IN_CHILD(execl("/proc/self/exe", "fs_ids", "after-exec", NULL));
        pid_t pid = vfork();
        if (pid == 0) {
            execl("/proc/self/exe", "fs_ids", "after-exec", NULL);
            _exit(1);
        }
        finish(pid);
        CHECK(fs_uid() == ALICE);
    });
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) /* exec ends it */
        return !(fs_uid() == 0 && fs_gid() == 0);
    if (geteuid() != 0)
        return 0;
    CHECK(mkdtemp(folder) && chmod(folder, 0777) == 0 && chdir(folder) == 0);
    test_choice();
    test_files();
    test_others();
    test_threads();
    CHECK(unlink("roots") == 0 && unlink("alices") == 0 && unlink("teams") == 0);
    CHECK(chdir("/") == 0 && rmdir(folder) == 0);
    return 0;
}
