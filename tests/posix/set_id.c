/* SPDX-License-Identifier: MIT */
/*
 * Programs with set-user-ID and set-group-ID bits, by exec(3), credentials(7), getauxval(3),
 * chmod(2), chown(2), mount(2) and prctl(2): which ids such a program has, what it does not take
 * over from who starts it, who may look into it, and what takes the bits away from a file.
 */
#include "child.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define OWNER 1234 /* of the file */
#define GROUP 2345
#define USER  4321 /* who starts it */
#define OTHER 5432

static char directory[] = "/tmp/set-id-XXXXXX";
static char program[64], script[64];

/* ---- what the program says of itself ---- */

struct seen {
    uid_t uid[3];
    gid_t gid[3];
    pid_t pid;
    int secure, dumpable, death_signal, argc, sentinel;
    unsigned aux[4];
    rlim_t stack;
    long offset;
    unsigned open; /* bit n: descriptor n */
    unsigned mask, ignored;
    char cwd[64], argument[64], variable[64];
};

static int descriptor_of(char **argv, int i)
{
    return atoi(argv[i]);
}

/* PROGRAM report PIPE ARGUMENT */
static int report(int argc, char **argv)
{
    int to = descriptor_of(argv, 2);
    struct seen s = {.pid = getpid(), .argc = argc};
    struct rlimit r;
    sigset_t set;
    struct sigaction a;
    getresuid(&s.uid[0], &s.uid[1], &s.uid[2]);
    getresgid(&s.gid[0], &s.gid[1], &s.gid[2]);
    s.secure = (int)getauxval(AT_SECURE);
    s.aux[0] = (unsigned)getauxval(AT_UID);
    s.aux[1] = (unsigned)getauxval(AT_EUID);
    s.aux[2] = (unsigned)getauxval(AT_GID);
    s.aux[3] = (unsigned)getauxval(AT_EGID);
    s.dumpable = prctl(PR_GET_DUMPABLE);
    prctl(PR_GET_PDEATHSIG, &s.death_signal);
    getrlimit(RLIMIT_STACK, &r);
    s.stack = r.rlim_cur;
    for (int i = 0; i < 20; i++)
        s.open |= (unsigned)(fcntl(i, F_GETFD) >= 0) << i;
    sigprocmask(SIG_SETMASK, NULL, &set);
    s.mask = (unsigned)sigismember(&set, SIGUSR1);
    sigaction(SIGUSR2, NULL, &a);
    s.ignored = a.sa_handler == SIG_IGN;
    s.offset = lseek(10, 0, SEEK_CUR);
    if (!getcwd(s.cwd, sizeof s.cwd))
        s.cwd[0] = 0;
    snprintf(s.argument, sizeof s.argument, "%s", argc > 3 ? argv[3] : "");
    snprintf(s.variable, sizeof s.variable, "%s", getenv("SOMETHING") ? getenv("SOMETHING") : "");
    return write(to, &s, sizeof s) == sizeof s ? 0 : 9;
}

/* PROGRAM wait READY GO [drop]: until GO ends. It has a page that is worth something. */
static int wait_for(int argc, char **argv)
{
    char c;
    if (argc > 4) {
        uid_t r, e, s;
        CHECK(getresuid(&r, &e, &s) == 0 && setresuid(r, r, r) == 0);
    }
    CHECK(write(descriptor_of(argv, 2), "x", 1) == 1);
    return read(descriptor_of(argv, 3), &c, 1) == 0 ? 0 : 8;
}

/* PROGRAM again PIPE: it execs itself, without the bits, as what it has become. */
static int again(char **argv)
{
    execl("/proc/self/exe", argv[0], "report", argv[2], argv[3], NULL);
    return 7;
}

/* ---- running it ---- */

static pid_t start(const char *path, char *const argv[], char *const envp[], bool spawn)
{
    pid_t pid = 0;
    if (spawn) {
        int error = posix_spawn(&pid, path, NULL, NULL, argv, envp);
        errno = error;
        CHECK(error == 0);
    } else if ((pid = fork()) == 0) {
        execve(path, argv, envp);
        _exit(100 + (errno & 15));
    }
    return pid;
}

static char *const no_environment[] = {"SOMETHING=here", NULL};

static struct seen seen_of(const char *path, const char *what, bool spawn)
{
    int p[2];
    char to[16];
    struct seen s;
    CHECK(pipe(p) == 0);
    snprintf(to, sizeof to, "%d", p[1]);
    char *argv[] = {"name", (char *)what, to, "argument", NULL};
    pid_t pid = start(path, argv, no_environment, spawn);
    close(p[1]);
    CHECK(read(p[0], &s, sizeof s) == sizeof s);
    close(p[0]);
    finish(pid);
    CHECK(s.pid == pid && s.argc == 4);
    return s;
}

static void ids_are(const struct seen *s, uid_t r, uid_t e, gid_t rg, gid_t eg)
{
    if (s->uid[0] != r || s->uid[1] != e || s->uid[2] != e || s->gid[0] != rg || s->gid[1] != eg ||
        s->gid[2] != eg)
        FAILED("uids %u %u %u, gids %u %u %u", s->uid[0], s->uid[1], s->uid[2], s->gid[0],
               s->gid[1], s->gid[2]);
    CHECK(s->aux[0] == r && s->aux[1] == e && s->aux[2] == rg && s->aux[3] == eg);
    if (s->secure < (r != e || rg != eg))
        FAILED("uids %u %u, gids %u %u: AT_SECURE %d", r, e, rg, eg, s->secure);
}

static void bits(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
    CHECK(chown(path, uid, gid) == 0 && chmod(path, mode) == 0);
}

#define AS_USER(...) IN_CHILD(CHECK(setgid(USER) == 0 && setuid(USER) == 0); __VA_ARGS__)

/* ---- ids ---- */

static void test_ids(void)
{
    struct seen s;
    for (int spawn = 0; spawn < 2; spawn++) {
        bits(program, OWNER, GROUP, 04755);
        AS_USER(s = seen_of(program, "report", spawn); ids_are(&s, USER, OWNER, USER, USER));
        bits(program, OWNER, GROUP, 02755);
        AS_USER(s = seen_of(program, "report", spawn); ids_are(&s, USER, USER, USER, GROUP));
        bits(program, OWNER, GROUP, 06711);
        AS_USER(s = seen_of(program, "report", spawn); ids_are(&s, USER, OWNER, USER, GROUP));
        s = seen_of(program, "report", spawn); /* of root as well */
        ids_are(&s, 0, OWNER, 0, GROUP);
        bits(program, 0, 0, 04755);
        AS_USER(s = seen_of(program, "report", spawn); ids_are(&s, USER, 0, USER, USER);
                CHECK(!strcmp(s.argument, "argument") && !strcmp(s.variable, "here")));
        s = seen_of(program, "report", spawn);
        ids_are(&s, 0, 0, 0, 0);
        CHECK(!s.secure);                   /* nothing changes: nothing to be afraid of */
        bits(program, OWNER, GROUP, 02745); /* without x for the group: no set-id bit */
        AS_USER(s = seen_of(program, "report", spawn); ids_are(&s, USER, USER, USER, USER));
        bits(program, OWNER, GROUP, 0755);
        AS_USER(s = seen_of(program, "report", spawn); ids_are(&s, USER, USER, USER, USER));
    }
    /* one's own file: the effective id may have been another, and Linux calls that secure or not */
    bits(program, USER, GROUP, 04755);
    IN_CHILD(CHECK(setresuid(USER, OTHER, OTHER) == 0); s = seen_of(program, "report", false);
             ids_are(&s, USER, USER, 0, 0));
    /* and what it has become it hands on, without a bit */
    bits(program, OWNER, GROUP, 04755);
    AS_USER(s = seen_of(program, "again", false); ids_are(&s, USER, OWNER, USER, USER));
}

/* From a thread that is not the first: the others end, the process remains. */
static void *exec_there(void *argument)
{
    char *to = argument, *argv[] = {"name", "report", to, "argument", NULL};
    execve(program, argv, no_environment);
    _exit(6);
}

static void test_thread(void)
{
    int p[2];
    char to[16];
    pthread_t thread;
    struct seen s;
    bits(program, OWNER, GROUP, 06755);
    CHECK(pipe(p) == 0);
    snprintf(to, sizeof to, "%d", p[1]);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(setgid(USER) == 0 && setuid(USER) == 0);
        CHECK(pthread_create(&thread, NULL, exec_there, to) == 0);
        for (;;)
            pause();
    }
    CHECK(read(p[0], &s, sizeof s) == sizeof s && s.pid == pid);
    finish(pid);
    ids_are(&s, USER, OWNER, USER, GROUP);
    close(p[0]);
    close(p[1]);
}

static void test_script(void)
{
    struct seen s;
    char text[128];
    int n = snprintf(text, sizeof text, "#!%s report\n", program);
    int fd = open(script, O_CREAT | O_WRONLY | O_TRUNC, 0755);
    CHECK(write(fd, text, (size_t)n) == n && close(fd) == 0);
    /* a script's own bits are not looked at; its interpreter's are */
    int p[2];
    char to[16];
    for (int set = 0; set < 2; set++) {
        bits(script, OWNER, GROUP, 06755);
        bits(program, 0, 0, set ? 04755 : 0755);
        CHECK(pipe(p) == 0);
        CHECK(dup2(p[1], 15) == 15);
        snprintf(to, sizeof to, "%d", 15);
        /* "report" SCRIPT to: the script's name is where the descriptor is told, so it is a number
         */
        char link[64];
        snprintf(link, sizeof link, "%s/15", directory);
        CHECK(symlink(script, link) == 0 || errno == EEXIST);
        pid_t pid = fork();
        if (pid == 0) {
            CHECK(chdir(directory) == 0 && setgid(USER) == 0 && setuid(USER) == 0);
            execl("15", "15", NULL);
            _exit(5);
        }
        CHECK(read(p[0], &s, sizeof s) == sizeof s);
        finish(pid);
        ids_are(&s, USER, set ? 0 : USER, USER, USER);
        close(p[0]);
        close(p[1]);
        close(15);
        unlink(link);
    }
}

static void test_not_changed(void)
{
    struct seen s;
    bits(program, OWNER, GROUP, 06755);
    AS_USER(CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
            s = seen_of(program, "report", false); ids_are(&s, USER, USER, USER, USER);
            s = seen_of(program, "report", true); ids_are(&s, USER, USER, USER, USER));
    char path[64], copy[96];
    snprintf(path, sizeof path, "%s/mounted", directory);
    CHECK(mkdir(path, 0755) == 0);
    if (mount("none", path, "tmpfs", MS_NOSUID, "mode=755") == 0) {
        char bytes[65536];
        snprintf(copy, sizeof copy, "%s/program", path);
        int from = open(program, O_RDONLY), to = open(copy, O_CREAT | O_WRONLY, 0755);
        for (ssize_t n; (n = read(from, bytes, sizeof bytes)) > 0;)
            CHECK(write(to, bytes, (size_t)n) == n);
        CHECK(close(from) == 0 && close(to) == 0);
        bits(copy, OWNER, GROUP, 06755);
        AS_USER(s = seen_of(copy, "report", false); ids_are(&s, USER, USER, USER, USER));
        CHECK(mount("none", path, NULL, MS_REMOUNT, NULL) == 0);
        AS_USER(s = seen_of(copy, "report", false); ids_are(&s, USER, OWNER, USER, GROUP));
        CHECK(umount(path) == 0);
    }
    CHECK(rmdir(path) == 0);
}

static void test_errors(void)
{
    char *argv[] = {"name", NULL};
    bits(program, OWNER, GROUP, 06700);
    AS_USER(CHECK_ERRNO(execve(program, argv, NULL), EACCES));
    AS_USER(pid_t pid; CHECK(posix_spawn(&pid, program, NULL, NULL, argv, NULL) == EACCES));
    bits(program, OWNER, GROUP, 06755);
    AS_USER(CHECK_ERRNO(syscall(SYS_execve, program, (void *)8, NULL), EFAULT));
    char *many[] = {"x", malloc(200 << 10), NULL};
    memset(many[1], 'x', (200 << 10) - 1);
    many[1][(200 << 10) - 1] = 0;
    AS_USER(CHECK_ERRNO(execve(program, many, NULL), E2BIG));
    free(many[1]);
}

/* ---- what is taken along ---- */

static void test_inheritance(void)
{
    struct seen s;
    struct rlimit r;
    int q[2];
    bits(program, OWNER, GROUP, 06755);
    IN_CHILD({
        int fd = open(program, O_RDONLY), null = open("/dev/null", O_RDWR);
        CHECK(dup2(fd, 10) == 10 && dup2(10, 11) == 11 && dup2(null, 12) == 12);
        CHECK(dup3(fd, 13, O_CLOEXEC) == 13);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, q) == 0 && dup2(q[0], 14) == 14);
        int tcp = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(tcp < 0 || dup2(tcp, 15) == 15);
        CHECK(lseek(10, 77, SEEK_SET) == 77);
        CHECK(chdir(directory) == 0);
        CHECK(getrlimit(RLIMIT_STACK, &r) == 0);
        r.rlim_cur = r.rlim_max == RLIM_INFINITY ? 64 << 20 : r.rlim_max;
        CHECK(setrlimit(RLIMIT_STACK, &r) == 0);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
        CHECK(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
        CHECK(setgid(USER) == 0 && setuid(USER) == 0);
        CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
        CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
        for (int spawn = 0; spawn < 2; spawn++) {
            s = seen_of(program, "report", spawn);
            ids_are(&s, USER, OWNER, USER, GROUP);
            CHECK((s.open >> 10 & 7) == 7 && !(s.open >> 13 & 1) && (s.open >> 14 & 1));
            CHECK(tcp < 0 || s.open >> 15 & 1);
            CHECK(s.offset == 77); /* one description, here and there */
            CHECK(!strcmp(s.cwd, directory));
            CHECK(s.mask == 1 && s.ignored == 1);
            CHECK(s.death_signal == 0 && s.dumpable == 0);
            CHECK(s.stack <= 8 << 20);
        }
    });
    /* the first three descriptors are never free for what the program opens */
    IN_CHILD({
        CHECK(setgid(USER) == 0 && setuid(USER) == 0);
        int error = dup(2);
        CHECK(error > 2 && fcntl(error, F_SETFD, FD_CLOEXEC) == 0);
        close(0);
        close(1);
        close(2);
        int p[2];
        CHECK(pipe(p) == 0 && dup2(p[0], 8) == 8 && dup2(p[1], 9) == 9);
        close(0);
        close(1);
        pid_t pid = fork();
        if (pid == 0) {
            char *argv[] = {"name", "report", "9", NULL};
            execve(program, argv, no_environment);
            _exit(4);
        }
        bool whole = read(8, &s, sizeof s) == sizeof s;
        CHECK(dup2(error, 2) == 2);
        CHECK(whole && (s.open & 7) == 7);
        finish(pid);
    });
}

/* ---- who may look into it, and who may end it ---- */

struct waiting {
    pid_t pid;
    int go;
};

static struct waiting wait_start(bool spawn, bool drop)
{
    int ready[2], go[2];
    char a[16], b[16], c;
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    CHECK(fcntl(go[1], F_SETFD, FD_CLOEXEC) == 0);
    snprintf(a, sizeof a, "%d", ready[1]);
    snprintf(b, sizeof b, "%d", go[0]);
    char *argv[] = {"name", "wait", a, b, drop ? "drop" : NULL, NULL};
    struct waiting w = {.go = go[1]};
    w.pid = start(program, argv, no_environment, spawn);
    CHECK(read(ready[0], &c, 1) == 1);
    close(ready[0]);
    close(ready[1]);
    close(go[0]);
    return w;
}

static void cannot_look(pid_t pid)
{
    static const char *const names[] = {"environ", "maps", "mem", "exe", "cwd", "fd", "io"};
    char path[64], buffer[64];
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, names[i]);
        int fd = open(path, O_RDONLY);
        if (fd >= 0 && read(fd, buffer, sizeof buffer) > 0)
            FAILED("%s can be read", path);
        if (fd >= 0)
            close(fd);
    }
    struct iovec here = {buffer, 8}, there = {(void *)program, 8};
    CHECK_ERRNO(process_vm_readv(pid, &here, 1, &there, 1, 0), EPERM);
    CHECK_ERRNO(process_vm_writev(pid, &here, 1, &there, 1, 0), EPERM);
}

static void test_looking(void)
{
    int status;
    bits(program, OWNER, GROUP, 04755);
    for (int way = 0; way < 4; way++)
        AS_USER(struct waiting w = wait_start(way & 1, way & 2); cannot_look(w.pid);
                struct rlimit r = {1, 1};
                if (way & 2) CHECK(prlimit(w.pid, RLIMIT_NOFILE, &r, NULL) == 0);
                else CHECK_ERRNO(prlimit(w.pid, RLIMIT_NOFILE, &r, NULL), EPERM); close(w.go);
                finish(w.pid));
    /* who started it may end it */
    AS_USER(struct waiting w = wait_start(false, false); CHECK(kill(w.pid, SIGKILL) == 0);
            CHECK(waitpid(w.pid, &status, 0) == w.pid && status == SIGKILL));
}

/* ---- what takes the bits away ---- */

static mode_t mode_of(const char *path)
{
    struct stat st;
    CHECK(stat(path, &st) == 0);
    return st.st_mode & 07777;
}

static void test_bits_go(void)
{
    char file[64];
    snprintf(file, sizeof file, "%s/file", directory);
    int fd = open(file, O_CREAT | O_RDWR, 0777);
    CHECK(fd >= 0 && ftruncate(fd, 100) == 0);
    /* chown, also by root */
    bits(file, USER, USER, 06777);
    CHECK(chown(file, (uid_t)-1, (gid_t)-1) == 0);
    CHECK(mode_of(file) == 0777);
    bits(file, USER, USER, 06767);
    CHECK(chown(file, OWNER, GROUP) == 0);
    CHECK(mode_of(file) == 02767); /* without x for the group it is no set-id bit */
    /* writing, by who is not root; he must not, as root, lose them */
    bits(file, USER, USER, 06777);
    CHECK(write(fd, "x", 1) == 1 && mode_of(file) == 06777);
    AS_USER(int own = open(file, O_RDWR); CHECK(own >= 0 && write(own, "x", 1) == 1);
            CHECK(mode_of(file) == 0777));
    bits(file, USER, USER, 06777);
    AS_USER(CHECK(truncate(file, 50) == 0); CHECK(mode_of(file) == 0777));
    bits(file, USER, USER, 06777);
    AS_USER(int own = open(file, O_RDWR | O_TRUNC); CHECK(own >= 0); CHECK(mode_of(file) == 0777));
    bits(file, USER, USER, 06777);
    AS_USER(int own = open(file, O_RDWR); CHECK(own >= 0 && posix_fallocate(own, 0, 4096) == 0);
            CHECK(mode_of(file) == 0777));
    /* chmod by who is not in the group */
    bits(file, USER, GROUP, 0777);
    AS_USER(CHECK(chmod(file, 06777) == 0); CHECK(mode_of(file) == 04777));
    bits(file, USER, USER, 0777);
    AS_USER(CHECK(chmod(file, 06777) == 0); CHECK(mode_of(file) == 06777));
    close(fd);
    CHECK(unlink(file) == 0);
}

/* The program as a file that nobody else runs. */
static void copy_self(void)
{
    static char bytes[65536];
    CHECK(mkdtemp(directory) && chmod(directory, 0755) == 0);
    snprintf(program, sizeof program, "%s/program", directory);
    snprintf(script, sizeof script, "%s/script", directory);
    int from = open("/proc/self/exe", O_RDONLY), to = open(program, O_CREAT | O_WRONLY, 0755);
    CHECK(from >= 0 && to >= 0);
    for (ssize_t n; (n = read(from, bytes, sizeof bytes)) > 0;)
        CHECK(write(to, bytes, (size_t)n) == n);
    CHECK(close(from) == 0 && close(to) == 0);
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "report"))
        return report(argc, argv);
    if (argc > 3 && !strcmp(argv[1], "wait"))
        return wait_for(argc, argv);
    if (argc > 2 && !strcmp(argv[1], "again"))
        return again(argv);
    if (getuid()) {
        printf("skipped: not root\n");
        return 0;
    }
    copy_self();
    test_ids();
    test_thread();
    test_script();
    test_not_changed();
    test_errors();
    test_inheritance();
    test_looking();
    test_bits_go();
    unlink(script);
    CHECK(unlink(program) == 0 && rmdir(directory) == 0);
    return 0;
}
