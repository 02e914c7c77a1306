/* SPDX-License-Identifier: MIT */
/*
 * Supplementary groups by credentials(7), setgroups(2), path_resolution(7), chmod(2), chown(2),
 * inode(7), access(2), execve(2), sysvipc(7), mq_overview(7), unix(7) and proc(5): who may set
 * them, who inherits them, and that each check of a file's group counts them. groups [FOLDER]
 */
#include "child.h"

#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define OWNER 3001
#define USER  3002
#define TEAM  3100 /* the files' group */
#define OTHER 3200

extern char **environ;
static char folder[100] = "/tmp/groups-XXXXXX", program[120];

/* A user with these supplementary groups, in a child. */
static void become(uid_t uid, gid_t gid, size_t count, const gid_t *list)
{
    CHECK(setgroups(count, list) == 0 && setgid(gid) == 0 && setuid(uid) == 0);
}
#define LIST(...) \
    sizeof((gid_t[]){__VA_ARGS__}) / sizeof(gid_t), (gid_t[]) \
    { \
        __VA_ARGS__ \
    }
#define AS_MEMBER(...)   IN_CHILD(become(USER, USER, LIST(OTHER, TEAM, 7)); __VA_ARGS__)
#define AS_STRANGER(...) IN_CHILD(become(USER, USER, LIST(OTHER, 7)); __VA_ARGS__)
#define AS_OWNER(...)    IN_CHILD(become(OWNER, OWNER, LIST(7, TEAM)); __VA_ARGS__)

static void make(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, "data", 4) == 4);
    CHECK(fchown(fd, uid, gid) == 0 && fchmod(fd, mode) == 0 && close(fd) == 0);
}

static void make_dir(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    CHECK(mkdir(name, 0700) == 0 && chown(name, uid, gid) == 0 && chmod(name, mode) == 0);
}

static void opens(const char *name, int flags)
{
    int fd = open(name, flags);
    if (fd < 0)
        FAILED("open %s", name);
    CHECK(close(fd) == 0);
}

static struct stat stat_of(const char *name)
{
    struct stat st;
    CHECK(stat(name, &st) == 0);
    return st;
}

/* ---- the list ---- */

static void list_is(size_t count, const gid_t *list)
{
    gid_t got[64];
    CHECK(getgroups(0, NULL) == (int)count);
    CHECK(getgroups(64, got) == (int)count);
    for (size_t i = 0; i < count; i++)
        if (got[i] != list[i])
            FAILED("group %zu is %u, not %u", i, got[i], list[i]);
}

static void test_list(void)
{
    static gid_t many[65537], got[65536];
    gid_t list[] = {30, 10, 20, 10}, none[] = {1, (gid_t)-1};
    for (unsigned i = 0; i < 65537; i++)
        many[i] = 70000 - i;
    IN_CHILD({
        CHECK(setgroups(4, list) == 0);
        list_is(LIST(10, 10, 20, 30)); /* sorted, and all of them */
        CHECK_ERRNO(setgroups(2, none), EINVAL);
        CHECK_ERRNO(syscall(SYS_setgroups, 65537, many), EINVAL);
        CHECK_ERRNO(syscall(SYS_setgroups, -1, many), EINVAL);
        CHECK_ERRNO(syscall(SYS_setgroups, 2, (void *)8), EFAULT);
        CHECK_ERRNO(getgroups(3, got), EINVAL);
        CHECK_ERRNO(getgroups(-1, got), EINVAL);
        CHECK_ERRNO(syscall(SYS_getgroups, 4, (void *)8), EFAULT);
        CHECK_ERRNO(syscall(SYS_getgroups, 64, (void *)8), EFAULT);
        list_is(LIST(10, 10, 20, 30)); /* what fails changes nothing */
        CHECK(setgroups(65536, many) == 0 && getgroups(65536, got) == 65536);
        for (unsigned i = 0; i < 65536; i++)
            CHECK(got[i] == 70000 - 65535 + i);
        IN_CHILD(CHECK(getgroups(65536, got) == 65536); CHECK(setgroups(1, list) == 0));
        CHECK(getgroups(0, NULL) == 65536);
        CHECK(setgroups(0, NULL) == 0 && getgroups(64, got) == 0);
    });
    AS_MEMBER(CHECK_ERRNO(setgroups(0, NULL), EPERM); CHECK_ERRNO(setgroups(1, list), EPERM);
              CHECK_ERRNO(syscall(SYS_setgroups, 65537, list), EPERM);
              CHECK_ERRNO(syscall(SYS_setgroups, 1, (void *)8), EPERM);
              CHECK_ERRNO(setgid(TEAM), EPERM); CHECK_ERRNO(setegid(TEAM), EPERM);
              list_is(LIST(7, TEAM, OTHER)));
    /* the effective user decides, whatever it was and may be again */
    IN_CHILD(CHECK(seteuid(USER) == 0); CHECK_ERRNO(setgroups(1, list), EPERM);
             CHECK(seteuid(0) == 0 && setgroups(1, list) == 0); list_is(LIST(30)));
}

static void *of_thread(void *unused)
{
    (void)unused;
    list_is(LIST(11, 12));
    return NULL;
}

/* PROGRAM list COUNT GROUP...: has it these groups? */
static int list_check(int argc, char **argv)
{
    gid_t want[8], got[8];
    int n = atoi(argv[2]);
    for (int i = 0; i < n && i + 3 < argc; i++)
        want[i] = (gid_t)atoi(argv[i + 3]);
    return getgroups(8, got) == n && !memcmp(want, got, (size_t)n * sizeof *want) ? 0 : 9;
}

static void test_inherited(void)
{
    char *argv[] = {"groups", "list", "2", "11", "12", NULL}, text[4096];
    static int own;
    pthread_t thread;
    IN_CHILD({
        CHECK(setgroups(LIST(12, 11)) == 0);
        IN_CHILD(list_is(LIST(11, 12)));
        CHECK0(pthread_create(&thread, NULL, of_thread, NULL));
        CHECK0(pthread_join(thread, NULL));
        IN_CHILD(execv(program, argv));
        pid_t pid;
        CHECK0(posix_spawn(&pid, program, NULL, NULL, argv, environ));
        finish(pid);
        /* a child of vfork has its own: by the kernel, since the library changes all threads' */
        if ((pid = vfork()) == 0) {
            gid_t one[] = {5};
            own = syscall(SYS_setgroups, 1, one) == 0 && getgroups(0, NULL) == 1;
            char *of_child[] = {"groups", "list", "1", "5", NULL};
            execv(program, of_child);
            _exit(1);
        }
        finish(pid);
        CHECK(own);
        list_is(LIST(11, 12));
        int fd = open("/proc/self/status", O_RDONLY);
        ssize_t n = read(fd, text, sizeof text - 1);
        CHECK(n > 0);
        text[n] = 0;
        CHECK(strstr(text, "\nGroups:\t11 12 \n"));
        close(fd);
        CHECK(setgroups(0, NULL) == 0);
    });
}

/* ---- files ---- */

static void test_open(void)
{
    char *argv[] = {"groups", "list", "0", NULL};
    make("readable", 0640, OWNER, TEAM);
    make("writable", 0660, OWNER, TEAM);
    make("not-team", 0606, OWNER, TEAM);
    make("others", 0604, OWNER, OWNER);
    CHECK(chown(program, OWNER, TEAM) == 0 && chmod(program, 0750) == 0);
    AS_MEMBER(opens("readable", O_RDONLY); CHECK_ERRNO(open("readable", O_WRONLY), EACCES);
              opens("writable", O_RDWR); CHECK_ERRNO(open("not-team", O_RDONLY), EACCES);
              opens("others", O_RDONLY); CHECK(truncate("writable", 2) == 0);
              CHECK_ERRNO(truncate("readable", 2), EACCES);
              CHECK_ERRNO(open("none", O_RDWR), ENOENT);
              CHECK(utimensat(AT_FDCWD, "writable", NULL, 0) == 0);
              CHECK_ERRNO(utimensat(AT_FDCWD, "readable", NULL, 0), EACCES));
    AS_MEMBER(argv[2] = "3"; char *full[] = {"groups", "list", "3", "7", "3100", "3200", NULL};
              execv(program, full));
    AS_STRANGER(CHECK_ERRNO(open("readable", O_RDONLY), EACCES); opens("not-team", O_RDWR);
                CHECK_ERRNO(open("writable", O_RDWR), EACCES);
                CHECK_ERRNO(truncate("writable", 0), EACCES);
                CHECK_ERRNO(execv(program, argv), EACCES); pid_t pid;
                CHECK(posix_spawn(&pid, program, NULL, NULL, argv, environ) == EACCES));
    AS_OWNER(CHECK(chmod("not-team", 0060) == 0); CHECK_ERRNO(open("not-team", O_RDONLY), EACCES));
    CHECK(chmod(program, 0755) == 0);
}

static void test_access(void)
{
    AS_MEMBER(CHECK(access("readable", R_OK) == 0); CHECK_ERRNO(access("readable", W_OK), EACCES);
              CHECK(faccessat(AT_FDCWD, "writable", R_OK | W_OK, AT_EACCESS) == 0));
    AS_STRANGER(CHECK_ERRNO(access("readable", R_OK), EACCES);
                CHECK_ERRNO(faccessat(AT_FDCWD, "readable", R_OK, AT_EACCESS), EACCES));
    /* judged by the real ids, with the same supplementary groups */
    IN_CHILD(CHECK(setgroups(LIST(TEAM)) == 0); CHECK(setresgid(OTHER, USER, USER) == 0);
             CHECK(setresuid(USER, OTHER, OTHER) == 0); CHECK(access("readable", R_OK) == 0);
             CHECK_ERRNO(access("readable", W_OK), EACCES); opens("readable", O_RDONLY));
    IN_CHILD(CHECK(setgroups(LIST(7)) == 0); CHECK(setresgid(TEAM, USER, USER) == 0);
             CHECK(setresuid(USER, OTHER, OTHER) == 0); CHECK(access("readable", R_OK) == 0);
             CHECK_ERRNO(open("readable", O_RDONLY), EACCES));
}

static void test_directories(void)
{
    make_dir("team", 0770, OWNER, TEAM);
    make_dir("team/below", 0755, OWNER, OWNER);
    make("team/below/file", 0644, OWNER, OWNER);
    make_dir("listed", 0740, OWNER, TEAM);
    make_dir("sticky", 01770, OWNER, TEAM);
    make("sticky/owners", 0660, OWNER, TEAM);
    AS_MEMBER(opens("team/below/file", O_RDONLY); CHECK_ERRNO(open("team/below/none", 0), ENOENT);
              CHECK(mkdir("team/mine", 0700) == 0 && rename("team/mine", "team/moved") == 0);
              CHECK(rmdir("team/moved") == 0 && symlink("below", "team/link") == 0);
              opens("team/link/file", O_RDONLY); CHECK(unlink("team/link") == 0);
              opens("listed", O_RDONLY | O_DIRECTORY); CHECK_ERRNO(open("listed/x", 0), EACCES);
              CHECK(chdir("team/below") == 0 && chdir(folder) == 0);
              make("sticky/mine", 0600, USER, USER); CHECK(unlink("sticky/mine") == 0);
              CHECK_ERRNO(unlink("sticky/owners"), EPERM); opens("sticky/owners", O_RDWR);
              CHECK_ERRNO(rename("sticky/owners", "sticky/stolen"), EPERM));
    AS_STRANGER(CHECK_ERRNO(open("team/below/file", O_RDONLY), EACCES);
                CHECK_ERRNO(open("team/below/none", 0), EACCES);
                CHECK_ERRNO(mkdir("team/mine", 0700), EACCES); CHECK_ERRNO(chdir("team"), EACCES);
                CHECK_ERRNO(open("listed", O_RDONLY | O_DIRECTORY), EACCES);
                CHECK_ERRNO(rmdir("team/below"), EACCES);
                CHECK_ERRNO(unlink("sticky/owners"), EACCES));
}

/* ---- owners and the set-group-ID bit ---- */

static void test_owner(void)
{
    make("mine", 0644, OWNER, OWNER);
    AS_OWNER(CHECK(chown("mine", (uid_t)-1, TEAM) == 0 && stat_of("mine").st_gid == TEAM);
             CHECK_ERRNO(chown("mine", (uid_t)-1, OTHER), EPERM);
             CHECK_ERRNO(chown("mine", USER, TEAM), EPERM);
             CHECK(chown("mine", OWNER, 7) == 0 && stat_of("mine").st_gid == 7);
             CHECK(chown("mine", (uid_t)-1, OWNER) == 0));
    AS_MEMBER(CHECK_ERRNO(chown("mine", (uid_t)-1, TEAM), EPERM));
}

static mode_t mode_of(const char *name)
{
    return stat_of(name).st_mode & 07777;
}

static void test_set_gid(void)
{
    make("bit", 0775, OWNER, TEAM);
    make("foreign", 0775, OWNER, OTHER);
    AS_OWNER(CHECK(chmod("bit", 02755) == 0 && mode_of("bit") == 02755);
             CHECK(chmod("foreign", 02755) == 0 && mode_of("foreign") == 0755));
    make("bit", 02666, OWNER, TEAM); /* without x it is kept for the group's members */
    AS_MEMBER(int fd = open("bit", O_WRONLY); CHECK(write(fd, "x", 1) == 1 && close(fd) == 0);
              CHECK(mode_of("bit") == 02666));
    AS_STRANGER(int fd = open("bit", O_WRONLY); CHECK(write(fd, "x", 1) == 1 && close(fd) == 0);
                CHECK(mode_of("bit") == 0666));
    make("bit", 02676, OWNER, TEAM);
    AS_MEMBER(int fd = open("bit", O_WRONLY); CHECK(write(fd, "x", 1) == 1 && close(fd) == 0);
              CHECK(mode_of("bit") == 0676));
    make("bit", 02644, OWNER, TEAM);
    AS_OWNER(CHECK(chown("bit", (uid_t)-1, 7) == 0 && mode_of("bit") == 02644));
    make_dir("set", 02777, OWNER, TEAM);
    umask(0);
    AS_MEMBER(int fd = open("set/exec", O_CREAT | O_WRONLY, 02775);
              CHECK(fd >= 0 && close(fd) == 0);
              CHECK(mode_of("set/exec") == 02775 && stat_of("set/exec").st_gid == TEAM);
              CHECK(mkdir("set/dir", 0755) == 0 && mode_of("set/dir") == 02755);
              CHECK(stat_of("set/dir").st_gid == TEAM && mkdir("set/dir/below", 0700) == 0);
              CHECK(stat_of("set/dir/below").st_gid == TEAM && mode_of("set/dir/below") == 02700);
              CHECK(chmod("set/dir", 02700) == 0 && mode_of("set/dir") == 02700));
    AS_STRANGER(int fd = open("set/exec2", O_CREAT | O_WRONLY, 02775);
                CHECK(fd >= 0 && close(fd) == 0);
                CHECK(mode_of("set/exec2") == 0775 && stat_of("set/exec2").st_gid == TEAM));
    umask(022);
}

/* A program with a set-id bit has the groups of who starts it. */
static void test_set_id(void)
{
    char *argv[] = {"groups", "list", "3", "7", "3100", "3200", NULL};
    pid_t pid;
    CHECK(chown(program, OWNER, OTHER) == 0 && chmod(program, 06755) == 0);
    AS_MEMBER(execv(program, argv));
    AS_MEMBER(CHECK0(posix_spawn(&pid, program, NULL, NULL, argv, environ)); finish(pid));
    CHECK(chmod(program, 0755) == 0);
}

/* ---- what is not a file's bytes ---- */

static void test_meeting(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int s = socket(AF_UNIX, SOCK_STREAM, 0), q = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(s, (void *)&a, sizeof a) == 0 && listen(s, 5) == 0);
    CHECK(chown("socket", OWNER, TEAM) == 0 && chmod("socket", 0660) == 0);
    CHECK(mkfifo("fifo", 0600) == 0 && chown("fifo", OWNER, TEAM) == 0 && chmod("fifo", 0660) == 0);
    AS_MEMBER(opens("fifo", O_RDWR); CHECK(connect(q, (void *)&a, sizeof a) == 0));
    AS_STRANGER(CHECK_ERRNO(open("fifo", O_RDWR), EACCES);
                CHECK_ERRNO(connect(q, (void *)&a, sizeof a), EACCES));
    close(s);
    close(q);
    make("watched", 0640, OWNER, TEAM);
    AS_MEMBER(int w = inotify_init(); CHECK(inotify_add_watch(w, "watched", IN_MODIFY) > 0));
    AS_STRANGER(int w = inotify_init();
                CHECK_ERRNO(inotify_add_watch(w, "watched", IN_MODIFY), EACCES));
    if (setxattr("watched", "user.a", "1", 1, 0) == 0) {
        char c;
        AS_MEMBER(CHECK(getxattr("watched", "user.a", &c, 1) == 1);
                  CHECK_ERRNO(setxattr("watched", "user.a", "2", 1, 0), EACCES));
        AS_STRANGER(CHECK_ERRNO(getxattr("watched", "user.a", &c, 1), EACCES));
    }
}

/* Claimed credentials are judged by the ids of a process, not by its supplementary groups. */
static void test_credentials(void)
{
    union {
        char room[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr header;
    } c = {.room = {0}};
    int pair[2];
    struct iovec byte = {"x", 1};
    struct msghdr m = {
        .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    AS_MEMBER(struct ucred who = {getpid(), USER, TEAM}; c.header.cmsg_level = SOL_SOCKET;
              c.header.cmsg_type = SCM_CREDENTIALS; c.header.cmsg_len = CMSG_LEN(sizeof who);
              memcpy(CMSG_DATA(&c.header), &who, sizeof who);
              CHECK_ERRNO(sendmsg(pair[0], &m, 0), EPERM); who.gid = USER;
              memcpy(CMSG_DATA(&c.header), &who, sizeof who); CHECK(sendmsg(pair[0], &m, 0) == 1));
    close(pair[0]);
    close(pair[1]);
}

static void test_shared_memory(void)
{
    int fd = shm_open("/groups-test", O_CREAT | O_RDWR, 0600);
    CHECK(fd >= 0 && fchown(fd, OWNER, TEAM) == 0 && fchmod(fd, 0660) == 0);
    AS_MEMBER(CHECK(shm_open("/groups-test", O_RDWR, 0) >= 0));
    AS_STRANGER(CHECK_ERRNO(shm_open("/groups-test", O_RDWR, 0), EACCES));
    CHECK(close(fd) == 0 && shm_unlink("/groups-test") == 0);
}

static void test_sysv(void)
{
    int shm = shmget(IPC_PRIVATE, 4096, 0660), sem = semget(IPC_PRIVATE, 1, 0660),
        msg = msgget(IPC_PRIVATE, 0640);
    struct shmid_ds m;
    struct semid_ds s;
    struct msqid_ds q;
    struct {
        long type;
        char text[4];
    } message = {1, "abc"};
    struct sembuf up = {0, 1, 0};
    CHECK(shm >= 0 && sem >= 0 && msg >= 0);
    CHECK(shmctl(shm, IPC_STAT, &m) == 0 && semctl(sem, 0, IPC_STAT, &s) == 0 &&
          msgctl(msg, IPC_STAT, &q) == 0);
    m.shm_perm.gid = s.sem_perm.gid = q.msg_perm.gid = TEAM;
    CHECK(shmctl(shm, IPC_SET, &m) == 0 && semctl(sem, 0, IPC_SET, &s) == 0 &&
          msgctl(msg, IPC_SET, &q) == 0);
    CHECK(msgsnd(msg, &message, 4, 0) == 0);
    AS_MEMBER(CHECK(shmat(shm, NULL, 0) != (void *)-1 && semop(sem, &up, 1) == 0);
              CHECK_ERRNO(msgsnd(msg, &message, 4, 0), EACCES);
              CHECK(msgrcv(msg, &message, 4, 0, 0) == 4);
              CHECK_ERRNO(shmctl(shm, IPC_SET, &m), EPERM); /* for owners only */
              CHECK_ERRNO(msgctl(msg, IPC_RMID, NULL), EPERM));
    AS_STRANGER(CHECK_ERRNO(shmat(shm, NULL, 0), EACCES); CHECK_ERRNO(semop(sem, &up, 1), EACCES);
                CHECK_ERRNO(msgrcv(msg, &message, 4, 0, IPC_NOWAIT), EACCES);
                CHECK_ERRNO(shmctl(shm, IPC_STAT, &m), EACCES));
    /* the creator's group counts as the owner's */
    m.shm_perm.gid = OTHER + 1;
    CHECK(shmctl(shm, IPC_SET, &m) == 0);
    IN_CHILD(become(USER, USER, LIST(0)); CHECK(shmat(shm, NULL, 0) != (void *)-1));
    CHECK(shmctl(shm, IPC_RMID, NULL) == 0 && semctl(sem, 0, IPC_RMID) == 0 &&
          msgctl(msg, IPC_RMID, NULL) == 0);
}

static void test_message_queues(void)
{
    mqd_t q = mq_open("/groups-test", O_CREAT | O_RDWR, 0600, NULL);
    if (q == (mqd_t)-1 && errno == ENOSYS)
        return;
    CHECK(q != (mqd_t)-1 && fchown(q, OWNER, TEAM) == 0 && fchmod(q, 0640) == 0);
    AS_MEMBER(CHECK(mq_open("/groups-test", O_RDONLY) != (mqd_t)-1);
              CHECK_ERRNO(mq_open("/groups-test", O_WRONLY), EACCES));
    AS_STRANGER(CHECK_ERRNO(mq_open("/groups-test", O_RDONLY), EACCES));
    AS_OWNER(mqd_t mine = mq_open("/groups-test", O_RDWR);
             CHECK(mine != (mqd_t)-1 && fchown(mine, (uid_t)-1, 7) == 0);
             CHECK_ERRNO(fchown(mine, (uid_t)-1, OTHER), EPERM));
    CHECK(mq_close(q) == 0 && mq_unlink("/groups-test") == 0);
}

/* ---- changes of one's own groups, after names and files have become familiar ---- */

static void look(bool may)
{
    struct stat st;
    char byte;
    for (int i = 0; i < 50; i++) {
        int fd = open("hot/file", O_RDONLY);
        CHECK((fd >= 0) == may && (may || errno == EACCES));
        CHECK((stat("hot/file", &st) == 0) == may && (may || errno == EACCES));
        CHECK(!may || (read(fd, &byte, 1) == 1 && pread(fd, &byte, 1, 2) == 1 && close(fd) == 0));
    }
}

static void groups_of_user(size_t count, const gid_t *list)
{
    CHECK(seteuid(0) == 0 && setgroups(count, list) == 0 && seteuid(USER) == 0);
}

static void test_changes(void)
{
    char path[140];
    make_dir("hot", 0750, OWNER, TEAM);
    make("hot/file", 0640, OWNER, TEAM);
    snprintf(path, sizeof path, "%s/hot/file", folder);
    IN_CHILD({
        CHECK(setegid(USER) == 0);
        for (int i = 0; i < 4; i++) {
            groups_of_user(LIST(TEAM));
            look(true);
            groups_of_user(LIST(OTHER));
            look(false);
            groups_of_user(LIST(OTHER, TEAM));
            look(true);
            IN_CHILD(look(true); groups_of_user(0, NULL); look(false));
            look(true);
            groups_of_user(0, NULL);
            look(false);
            IN_CHILD(look(false); groups_of_user(LIST(TEAM)); look(true));
            look(false);
        }
        /* the same by an absolute path, which a program may remember */
        struct stat st;
        for (int i = 0; i < 60; i++) {
            groups_of_user(LIST(TEAM));
            for (int k = 0; k < i; k++) {
                int fd = open(path, O_RDONLY);
                CHECK(fd >= 0 && close(fd) == 0 && stat(path, &st) == 0);
            }
            groups_of_user(LIST(OTHER));
            CHECK_ERRNO(open(path, O_RDONLY), EACCES);
            CHECK_ERRNO(stat(path, &st), EACCES);
        }
        /* what is open stays open */
        groups_of_user(LIST(TEAM));
        int fd = open(path, O_RDONLY);
        groups_of_user(0, NULL);
        char byte;
        CHECK(fd >= 0 && pread(fd, &byte, 1, 0) == 1 && fstat(fd, &st) == 0);
    });
}

static void copy_program(void)
{
    char bytes[65536];
    snprintf(program, sizeof program, "%s/program", folder);
    int from = open("/proc/self/exe", O_RDONLY), to = open(program, O_CREAT | O_WRONLY, 0755);
    CHECK(from >= 0 && to >= 0);
    for (ssize_t n; (n = read(from, bytes, sizeof bytes)) > 0;)
        CHECK(write(to, bytes, (size_t)n) == n);
    CHECK(close(from) == 0 && close(to) == 0);
}

static void clean_up(void)
{
    static const char *const names[] = {
        "program",       "readable", "writable", "not-team", "others",   "team/below/file",
        "sticky/owners", "mine",     "bit",      "foreign",  "set/exec", "set/exec2",
        "socket",        "fifo",     "watched",  "hot/file"};
    static const char *const folders[] = {"team/below",    "team",    "listed", "sticky",
                                          "set/dir/below", "set/dir", "set",    "hot"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK(unlink(names[i]) == 0);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        CHECK(rmdir(folders[i]) == 0);
    CHECK(chdir("/") == 0 && rmdir(folder) == 0);
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "list"))
        return list_check(argc, argv);
    if (geteuid() != 0) /* on a host: only root can have groups */
        return 0;
    if (argc > 1)
        snprintf(folder, sizeof folder, "%s/groups-XXXXXX", argv[1]);
    umask(022);
    CHECK(mkdtemp(folder) && chmod(folder, 0755) == 0 && chdir(folder) == 0);
    copy_program();
    test_list();
    test_inherited();
    test_open();
    test_access();
    test_directories();
    test_owner();
    test_set_gid();
    test_set_id();
    test_meeting();
    test_credentials();
    test_shared_memory();
    test_sysv();
    test_message_queues();
    test_changes();
    clean_up();
    return 0;
}
