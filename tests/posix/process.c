/* SPDX-License-Identifier: MIT */
/*
 * Processes: vfork and exec, what goes along and what does not, exit and wait. The program execs
 * itself; its first argument then says what to do.
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/times.h>
#include <sys/wait.h>

static char self[512];
extern char **environ;

/* ---- roles after exec ---- */

static int role_show(int argc, char **argv)
{
    CHECK(argc == 4 && !strcmp(argv[2], "two words") && !argv[3][0]);
    CHECK(getenv("COLOUR") && !strcmp(getenv("COLOUR"), "green") && !getenv("HOME"));
    return 42;
}

/* 3: open, at offset 2; 4 and 5: one description; 6: was close-on-exec */
static int role_descriptors(void)
{
    char c = 0;
    CHECK(read(3, &c, 1) == 1 && c == 'c' && lseek(3, 0, SEEK_CUR) == 3);
    CHECK(lseek(4, 1, SEEK_SET) == 1 && lseek(5, 0, SEEK_CUR) == 1);
    CHECK_ERRNO(fcntl(6, F_GETFD), EBADF);
    CHECK(fcntl(3, F_GETFD) == 0);
    return 0;
}

static int role_inherits(void)
{
    sigset_t set;
    struct sigaction a;
    struct rlimit limit;
    CHECK(sigprocmask(SIG_SETMASK, NULL, &set) == 0 && sigismember(&set, SIGUSR2));
    CHECK(sigaction(SIGUSR1, NULL, &a) == 0 && a.sa_handler == SIG_DFL);
    CHECK(sigaction(SIGHUP, NULL, &a) == 0 && a.sa_handler == SIG_IGN);
    CHECK(umask(0) == 027);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 77);
    char cwd[64];
    CHECK(getcwd(cwd, sizeof cwd) && !strcmp(cwd, "/tmp"));
    CHECK(getppid() == atoi(getenv("PARENT")));
    return 0;
}

/* appends to what others append to, from one position */
static int role_append(char **argv)
{
    for (int i = 0; i < atoi(argv[3]); i++)
        CHECK(write(1, argv[2], strlen(argv[2])) == (ssize_t)strlen(argv[2]));
    return 0;
}

static int role(int argc, char **argv)
{
    const char *what = argv[1];
    if (!strcmp(what, "show"))
        return role_show(argc, argv);
    if (!strcmp(what, "descriptors"))
        return role_descriptors();
    if (!strcmp(what, "inherits"))
        return role_inherits();
    if (!strcmp(what, "append"))
        return role_append(argv);
    if (!strcmp(what, "status"))
        return atoi(argv[2]);
    if (!strcmp(what, "count"))
        return argc - 2 == atoi(getenv("COUNT")) ? 0 : 1;
    if (!strcmp(what, "die")) {
        raise(atoi(argv[2]));
        return 0;
    }
    if (!strcmp(what, "pending")) {
        sigset_t set;
        CHECK(sigpending(&set) == 0 && sigismember(&set, SIGUSR2));
        return 0;
    }
    return 99;
}

/* ---- helpers ---- */

static int reap(pid_t pid)
{
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

/* vfork, exec of this program, wait: its wait status */
static int run(char **argv, char **envp)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execve(self, argv, envp);
        _exit(120);
    }
    CHECK(pid > 0);
    return reap(pid);
}
#define RUN(...) run((char *[]){"process", __VA_ARGS__, NULL}, environ)

/* ---- tests ---- */

static void test_arguments(void)
{
    char *envp[] = {"COLOUR=green", NULL};
    CHECK(run((char *[]){"process", "show", "two words", "", NULL}, envp) == 42 << 8);
    CHECK(RUN("status", "0") == 0);
    CHECK(RUN("status", "255") == 255 << 8);
    CHECK(RUN("die", "6") == 6);
    CHECK(RUN("die", "9") == 9);
}

static void test_errors(void)
{
    CHECK_ERRNO(execl("/nonexistent/x", "x", NULL), ENOENT);
    CHECK_ERRNO(execl("", "x", NULL), ENOENT);
    CHECK_ERRNO(execl("/tmp", "x", NULL), EACCES);
    CHECK_ERRNO(execl("/dev/null", "x", NULL), EACCES);
    static char *volatile nowhere = (char *)8; /* the compiler need not know */
    CHECK_ERRNO(execve(nowhere, (char *[]){"x", NULL}, environ), EFAULT);
    CHECK_ERRNO(execve(self, (char **)nowhere, environ), EFAULT);
    CHECK_ERRNO(execve(self, (char *[]){nowhere, NULL}, environ), EFAULT);
    int fd = open("/tmp/process.text", O_CREAT | O_WRONLY | O_TRUNC, 0755);
    CHECK(fd >= 0 && write(fd, "neither\n", 8) == 8 && close(fd) == 0);
    CHECK_ERRNO(execl("/tmp/process.text", "x", NULL), ENOEXEC);
    CHECK_ERRNO(execl("/tmp/process.text/x", "x", NULL), ENOTDIR);
    CHECK(chmod("/tmp/process.text", 0644) == 0);
    CHECK_ERRNO(execl("/tmp/process.text", "x", NULL), EACCES);
    CHECK(unlink("/tmp/process.text") == 0);
}

static void script(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0755);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void test_scripts(void)
{
    char line[600];
    pid_t pid;
    /* the argument, the script's name, and what it is called with */
    snprintf(line, sizeof line, "#!%s count\nwhatever\n", self);
    script("/tmp/process.sh", line);
    setenv("COUNT", "3", 1);
    if ((pid = vfork()) == 0) {
        execl("/tmp/process.sh", "dropped", "a", "b", NULL);
        _exit(120);
    }
    CHECK(reap(pid) == 0);
    /* a script as interpreter of a script */
    script("/tmp/process.sh2", "#! /tmp/process.sh \t x\n");
    setenv("COUNT", "5", 1); /* process.sh, x, process.sh2, a, b */
    if ((pid = vfork()) == 0) {
        execl("/tmp/process.sh2", "dropped", "a", "b", NULL);
        _exit(120);
    }
    CHECK(reap(pid) == 0);
    script("/tmp/process.sh", "#!/tmp/process.sh\n");
    CHECK_ERRNO(execl("/tmp/process.sh", "x", NULL), ELOOP);
    script("/tmp/process.sh", "#!/nonexistent\n");
    CHECK_ERRNO(execl("/tmp/process.sh", "x", NULL), ENOENT);
    script("/tmp/process.sh", "#!   \n");
    CHECK_ERRNO(execl("/tmp/process.sh", "x", NULL), ENOEXEC);
    unlink("/tmp/process.sh");
    unlink("/tmp/process.sh2");
}

static void test_descriptors(void)
{
    int fd = open("/tmp/process.data", O_CREAT | O_RDWR | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, "abcdef", 6) == 6);
    pid_t pid = vfork();
    if (pid == 0) {
        /* from high numbers down, so that nothing is in the way */
        if (dup2(fd, 13) != 13 || fcntl(13, F_SETFD, FD_CLOEXEC) || dup2(fd, 14) != 14)
            _exit(1);
        int other = open("/tmp/process.data", O_RDONLY);
        if (other < 0 || dup2(other, 15) != 15 || lseek(14, 2, SEEK_SET) != 2)
            _exit(2);
        dup2(14, 3);
        dup2(15, 4);
        dup2(15, 5);
        if (dup3(13, 6, O_CLOEXEC) != 6)
            _exit(3);
        execl(self, "process", "descriptors", NULL);
        _exit(120);
    }
    int status = reap(pid);
    CHECK(status == 0);
    CHECK(fcntl(13, F_GETFD) < 0 && fcntl(fd, F_GETFD) == 0); /* the child's table was its own */
    close(fd);
    unlink("/tmp/process.data");
}

/* { a; b & c; } > file: one description, over exec */
static void test_shared_position(void)
{
    char got[400] = "", *texts[] = {"aa", "bb", "cc"};
    int fd = open("/tmp/process.data", O_CREAT | O_RDWR | O_TRUNC, 0600);
    pid_t pid[3];
    CHECK(fd >= 0 && write(fd, "start ", 6) == 6);
    for (int i = 0; i < 3; i++)
        if ((pid[i] = vfork()) == 0) {
            dup2(fd, 1);
            execl(self, "process", "append", texts[i], "50", NULL);
            _exit(120);
        }
    for (int i = 0; i < 3; i++)
        CHECK(reap(pid[i]) == 0);
    CHECK(lseek(fd, 0, SEEK_CUR) == 306 && write(fd, " end", 4) == 4);
    CHECK(lseek(fd, -4, SEEK_END) == 306 && lseek(fd, 0, SEEK_SET) == 0);
    CHECK(read(fd, got, sizeof got) == 310 && !memcmp(got, "start ", 6));
    int count[3] = {0};
    for (int i = 6; i < 306; i += 2) {
        CHECK(got[i] == got[i + 1] && got[i] >= 'a' && got[i] <= 'c');
        count[got[i] - 'a']++;
    }
    CHECK(count[0] == 50 && count[1] == 50 && count[2] == 50);
    CHECK(!memcmp(got + 306, " end", 4) && lseek(fd, 0, SEEK_CUR) == 310);
    close(fd);
    unlink("/tmp/process.data");
}

static void ignore(int sig)
{
    (void)sig;
}

static void test_inherits(void)
{
    char parent[32];
    snprintf(parent, sizeof parent, "%d", getpid());
    setenv("PARENT", parent, 1);
    mode_t before = umask(022);
    signal(SIGUSR1, ignore);
    pid_t pid = vfork();
    if (pid == 0) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGHUP, SIG_IGN);
        umask(027);
        struct rlimit limit = {77, 77};
        setrlimit(RLIMIT_NOFILE, &limit);
        if (chdir("/tmp"))
            _exit(119);
        execl(self, "process", "inherits", NULL);
        _exit(120);
    }
    CHECK(reap(pid) == 0);
    /* and nothing of that was done to the parent */
    struct sigaction a;
    sigset_t set;
    struct rlimit limit;
    CHECK(sigaction(SIGHUP, NULL, &a) == 0 && a.sa_handler == SIG_DFL);
    CHECK(sigaction(SIGUSR1, NULL, &a) == 0 && a.sa_handler == ignore);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &set) == 0 && !sigismember(&set, SIGUSR2));
    CHECK(umask(before) == 022);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 77);
    signal(SIGUSR1, SIG_DFL);
}

static void test_pending_over_exec(void)
{
    sigset_t set;
    pid_t pid = vfork();
    if (pid == 0) { /* a second exec, as a process of its own */
        execl(self, "process", "reexec", NULL);
        _exit(120);
    }
    (void)set;
    CHECK(reap(pid) == 0);
}

static int role_reexec(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGUSR2) == 0);
    execl(self, "process", "pending", NULL);
    return 120;
}

static void test_wait(void)
{
    int status;
    siginfo_t info;
    struct rusage usage;
    CHECK_ERRNO(wait(NULL), ECHILD);
    CHECK_ERRNO(waitpid(-1, NULL, 0x100), EINVAL);
    CHECK_ERRNO(waitpid(1, NULL, 0), ECHILD);
    CHECK_ERRNO(waitid(P_ALL, 0, &info, 0), EINVAL);
    CHECK_ERRNO(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
    pid_t pid = vfork();
    if (pid == 0) {
        execl(self, "process", "status", "3", NULL);
        _exit(120);
    }
    memset(&info, 0, sizeof info);
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
    CHECK(info.si_pid == pid && info.si_code == CLD_EXITED && info.si_status == 3);
    CHECK(info.si_signo == SIGCHLD && info.si_uid == getuid());
    CHECK(wait4(pid, &status, 0, &usage) == pid && status == 3 << 8);
    CHECK(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec < 10);
    CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
    CHECK(getrusage(RUSAGE_CHILDREN, &usage) == 0);
    pid = vfork();
    if (pid == 0)
        _exit(5);
    CHECK(waitpid(0, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
    pid = vfork();
    if (pid == 0) {
        execl(self, "process", "die", "15", NULL);
        _exit(120);
    }
    CHECK(waitid(P_ALL, 0, &info, WEXITED) == 0);
    CHECK(info.si_pid == pid && info.si_code == CLD_KILLED && info.si_status == SIGTERM);
    info.si_pid = -1;
}

static volatile sig_atomic_t children;

static void child_gone(int sig, siginfo_t *info, void *context)
{
    (void)context;
    if (sig == SIGCHLD && info->si_pid > 0 && info->si_code == CLD_EXITED && info->si_status == 11)
        children++;
}

static void test_sigchld(void)
{
    struct sigaction a = {.sa_sigaction = child_gone, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGCHLD, &a, NULL) == 0);
    CHECK(RUN("status", "11") == 11 << 8);
    CHECK(children == 1);
    /* nobody to wait for */
    a.sa_flags = SA_SIGINFO | SA_NOCLDWAIT;
    CHECK(sigaction(SIGCHLD, &a, NULL) == 0);
    pid_t pid = vfork();
    if (pid == 0) {
        execl(self, "process", "status", "11", NULL);
        _exit(120);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    CHECK(errno == ECHILD);
    signal(SIGCHLD, SIG_IGN);
    if ((pid = vfork()) == 0)
        _exit(1);
    CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD);
    signal(SIGCHLD, SIG_DFL);
    if ((pid = vfork()) == 0)
        _exit(1);
    CHECK(reap(pid) == 1 << 8);
}

static void test_long_arguments(void)
{
    enum { COUNT = 4000, SIZE = 200 };
    static char *argv[COUNT + 3], text[SIZE + 1];
    memset(text, 'x', SIZE);
    argv[0] = "process";
    argv[1] = "count";
    for (int i = 0; i < COUNT; i++)
        argv[i + 2] = text;
    setenv("COUNT", "4000", 1);
    CHECK(run(argv, environ) == 0);
    char *big = malloc(3 << 20);
    CHECK(big);
    memset(big, 'y', 3 << 20);
    big[(3 << 20) - 1] = 0;
    CHECK_ERRNO(execl(self, "process", "count", big, NULL), E2BIG);
    free(big);
}

static void test_execveat(void)
{
    int fd = open(self, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    pid_t pid = vfork();
    if (pid == 0) {
        fexecve(fd, (char *[]){"process", "status", "21", NULL}, environ);
        _exit(120);
    }
    CHECK(reap(pid) == 21 << 8);
    close(fd);
    CHECK_ERRNO(fexecve(fd, (char *[]){"process", NULL}, environ), EBADF);
}

static int read_counts(long long counts[8])
{
    static const char *const names[] = {"kernel.processes", "kernel.threads", "kernel.vmos",
                                        "kernel.endpoints", "kernel.gates",   "kernel.handles",
                                        "kernel.regions",   "fs.objects"};
    FILE *f = fopen("/proc/motor/counters", "r");
    char name[100];
    long long value;
    if (!f)
        return 0;
    while (fscanf(f, "%99s %lld", name, &value) == 2)
        for (int i = 0; i < 8; i++)
            if (!strcmp(name, names[i]))
                counts[i] = value;
    fclose(f);
    return 1;
}

static void start_one(int i)
{
    char *path = i % 5 ? self : "/nonexistent";
    pid_t pid = i & 1 ? vfork() : fork();
    if (pid == 0) {
        execl(path, "process", "status", "3", NULL);
        _exit(3);
    }
    CHECK(reap(pid) == 3 << 8);
}

/* The first counter that a thousand programs leave changed; -1: none. */
static int changed_by_programs(long long *before, long long *after)
{
    if (!read_counts(before))
        return -1;
    for (int i = 0; i < 1000; i++)
        start_one(i);
    for (int tries = 0; tries < 200; tries++) {
        read_counts(after);
        if (!memcmp(before, after, 8 * sizeof *before))
            return -1;
        sleep_ms(10); /* the last one's remains */
    }
    for (int i = 0; i < 8; i++)
        if (after[i] != before[i])
            return i;
    return -1;
}

/*
 * Programs, some that never begin, leave nothing behind. The I/O server may take memory for good
 * once, while they run; not each time.
 */
static void test_leaks(void)
{
    long long before[8] = {0}, after[8] = {0};
    int changed = 0;
    for (int i = 0; i < 100; i++) /* until all that is kept for later is there */
        start_one(i);
    for (int round = 0; changed >= 0 && round < 3; round++)
        changed = changed_by_programs(before, after);
    if (changed >= 0)
        FAILED("counter %d went from %lld to %lld", changed, before[changed], after[changed]);
}

int main(int argc, char **argv)
{
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0)
        self[n] = 0;
    else
        snprintf(self, sizeof self, "%s", getenv("SELF"));
    setenv("SELF", self, 1);
    if (argc > 1)
        return strcmp(argv[1], "reexec") ? role(argc, argv) : role_reexec();
    test_arguments();
    test_errors();
    test_scripts();
    test_descriptors();
    test_shared_position();
    test_inherits();
    test_pending_over_exec();
    test_wait();
    test_sigchld();
    test_long_arguments();
    test_execveat();
    test_leaks();
    return 0;
}
