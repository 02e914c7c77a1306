/* SPDX-License-Identifier: MIT */
/*
 * execve(2) by its man page: scripts and their limits, what the auxiliary vector says, how long
 * arguments may be, busy programs, and exec from a thread. The program execs itself; its first
 * argument then says what to do.
 */
#include "check.h"
#include "child.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

extern char **environ;
extern char end[]; /* of the program, by the linker */

static char self[512], directory[64] = "/tmp/exec.XXXXXX";

static const char *path_of(const char *name) /* lasts: there are few */
{
    char *path;
    CHECK(asprintf(&path, "%s/%s", directory, name) > 0);
    return path;
}

/* ---- after exec ---- */

static int role_arguments(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        printf("[%s]", argv[i]);
    return 0;
}

/* Behind the program there are zeros, to the end of the page, whatever the file has there. */
static int role_behind(void)
{
    for (char *p = end; (uintptr_t)p % (uintptr_t)sysconf(_SC_PAGESIZE); p++)
        CHECK(*p == 0);
    printf("zeros");
    return 0;
}

/* The vector agrees with what other calls say, and with the program's own headers. */
static int role_auxv(const char *name)
{
    const Elf64_Phdr *p = (void *)getauxval(AT_PHDR);
    unsigned long loads = 0;
    CHECK(p && getauxval(AT_PHENT) == sizeof *p && getauxval(AT_PHNUM) > 0);
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
        loads += p[i].p_type == PT_LOAD;
    CHECK(loads > 0);
    CHECK(getauxval(AT_PAGESZ) == (unsigned long)sysconf(_SC_PAGESIZE));
    CHECK(getauxval(AT_CLKTCK) == 100 && getauxval(AT_FLAGS) == 0);
    CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid());
    CHECK(getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid());
    errno = 0;
    CHECK(getauxval(AT_SECURE) == 0 && errno == 0);
    CHECK(getauxval(AT_ENTRY) && getauxval(AT_RANDOM) && getauxval(AT_HWCAP));
    CHECK(!strcmp((char *)getauxval(AT_PLATFORM), "x86_64"));
    CHECK(!strcmp((char *)getauxval(AT_EXECFN), name));
    CHECK(getauxval(AT_SYSINFO_EHDR));
    CHECK(!memcmp((void *)getauxval(AT_SYSINFO_EHDR), ELFMAG, SELFMAG));
    errno = 0;
    CHECK(getauxval(0x7fff) == 0 && errno == ENOENT);
    printf("%016lx%016lx", ((unsigned long *)getauxval(AT_RANDOM))[0],
           ((unsigned long *)getauxval(AT_RANDOM))[1]);
    return 0;
}

/* The bytes of all arguments from the third on. */
static int role_length(int argc, char **argv)
{
    size_t length = 0;
    for (int i = 3; i < argc; i++)
        length += strlen(argv[i]);
    return length == strtoul(argv[2], NULL, 10) ? 77 : 177;
}

/* One thread, which is the process; the mask is that of the thread that called. */
static int role_thread(char **argv)
{
    sigset_t mask;
    struct stat st;
    CHECK(getpid() == atoi(argv[2]) && syscall(SYS_gettid) == getpid());
    CHECK(stat("/proc/self/task", &st) == 0);
    char task[64];
    snprintf(task, sizeof task, "/proc/self/task/%s", argv[3]);
    CHECK_ERRNO(stat(task, &st), ENOENT);
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    CHECK(sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGUSR2));
    return 23;
}

/* argv[2]: what was executed, argv[3]: what runs */
static int role_name(char **argv)
{
    char comm[32] = "", exe[512] = "", wanted[32];
    FILE *f = fopen("/proc/self/comm", "r");
    CHECK(f && fgets(comm, sizeof comm, f));
    fclose(f);
    CHECK(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    snprintf(wanted, sizeof wanted, "%.15s\n", strrchr(argv[2], '/') + 1);
    CHECK(!strcmp(comm, wanted));
    CHECK(!strcmp(exe, argv[3]));
    return 0;
}

static int role(int argc, char **argv)
{
    const char *what = argv[1];
    int status = !strcmp(what, "arguments") ? role_arguments(argc, argv)
                 : !strcmp(what, "auxv")    ? role_auxv(argv[2])
                 : !strcmp(what, "behind")  ? role_behind()
                 : !strcmp(what, "length")  ? role_length(argc, argv)
                 : !strcmp(what, "thread")  ? role_thread(argv)
                 : !strcmp(what, "name")    ? role_name(argv)
                 : !strcmp(what, "sleep")   ? (int)pause()
                                            : 99;
    fflush(stdout);
    return status;
}

/* ---- helpers ---- */

static int reap(pid_t pid)
{
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

/* What the program writes; it must end with status 0. */
static const char *said(const char *path, char **argv)
{
    static char text[4096];
    int p[2];
    size_t n = 0;
    ssize_t got;
    CHECK(pipe2(p, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(p[1], 1);
        execve(path, argv, environ);
        _exit(errno);
    }
    close(p[1]);
    while ((got = read(p[0], text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = 0;
    close(p[0]);
    int status = reap(pid);
    if (status)
        FAILED("%s: status %x, errno %s?", path, status, strerror(status >> 8));
    return text;
}
#define SAID(path, ...) said(path, (char *[]){__VA_ARGS__, NULL})

static void make(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0755);
    CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && close(fd) == 0);
}

static void make_script(const char *path, const char *format, const char *a, const char *b)
{
    char text[2048];
    int n = snprintf(text, sizeof text, format, a, b);
    make(path, text, (size_t)n);
}

static void copy_self(const char *to)
{
    char buffer[65536];
    ssize_t n;
    int in = open(self, O_RDONLY), out = open(to, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0755);
    CHECK(in >= 0 && out >= 0);
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        CHECK(write(out, buffer, (size_t)n) == n);
    CHECK(n == 0 && close(in) == 0 && close(out) == 0);
}

/* The errno of an exec in a child, which must fail. */
static int refused(const char *path, char **argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        execve(path, argv, environ);
        _exit(errno);
    }
    int status = reap(pid);
    CHECK((status & 255) == 0);
    return status >> 8;
}
#define REFUSED(path) refused(path, (char *[]){"x", NULL})

/* ---- #! ---- */

static void test_script_argument(void)
{
    char name[160], wanted[512];
    strcpy(name, path_of("program")); /* a name without blanks and short enough */
    CHECK(symlink(self, name) == 0);
    const char *s = path_of("script");
    /* all that follows the interpreter is one argument, without the blanks around it */
    make_script(s, "#! \t%s \t arguments \t \nsecond line\n", name, "");
    snprintf(wanted, sizeof wanted, "[%s][a][b c]", s);
    CHECK(!strcmp(SAID(s, "dropped", "a", "b c"), wanted));
    make_script(s, "#!%s arguments two  words\n", name, "");
    CHECK(refused(s, (char *[]){"x", NULL}) == 99); /* a role of that name is not there */
    /* a last line without its end */
    make_script(s, "#!%s arguments", name, "");
    CHECK(
        !strcmp(SAID(s, "dropped", "a"), (snprintf(wanted, sizeof wanted, "[%s][a]", s), wanted)));
    /* no argv[0] to drop */
    make_script(s, "#!%s arguments\n", name, "");
    snprintf(wanted, sizeof wanted, "[%s]", s);
    CHECK(!strcmp(said(s, (char *[]){"x", NULL}), wanted));
}

/* 256 bytes of the file are looked at: an argument may be cut there, a name may not. */
static void test_long_lines(void)
{
    char text[1024], *a, wanted[1024];
    const char *s = path_of("script"), *name = path_of("program");
    int n = snprintf(text, sizeof text, "#!%s ", name);
    memset(text + n, 'x', 600);
    strcpy(text + n + 600, "\n");
    make(s, text, strlen(text));
    CHECK(refused(s, (char *[]){"x", NULL}) == 99);
    memset(text, '/', 600);
    memcpy(text, "#!", 2);
    strcpy(text + 600, "\n");
    make(s, text, strlen(text));
    CHECK(REFUSED(s) == ENOEXEC);
    memset(text + 2, ' ', 598);
    make(s, text, strlen(text));
    CHECK(REFUSED(s) == ENOEXEC);
    /* just fits */
    n = snprintf(text, sizeof text, "#!%s", name);
    a = text + n;
    memset(a, ' ', (size_t)(254 - n));
    strcpy(text + 246, "arguments"); /* to byte 254 */
    make(s, text, 255);
    snprintf(wanted, sizeof wanted, "[%s]", s);
    CHECK(!strcmp(SAID(s, "x"), wanted));
    make(s, "#!\n", 3);
    CHECK(REFUSED(s) == ENOEXEC);
    make(s, "#", 1);
    CHECK(REFUSED(s) == ENOEXEC);
    make(s, "", 0);
    CHECK(REFUSED(s) == ENOEXEC);
}

/* Five scripts may be each other's interpreters, six not. Their names are all arguments. */
static void test_nested_scripts(void)
{
    char previous[160], path[160], wanted[2048] = "", part[400], pad[121];
    strcpy(previous, path_of("program"));
    memset(pad, 'p', 120);
    pad[120] = 0;
    for (int i = 1; i <= 6; i++) {
        snprintf(path, sizeof path, "%s/script%d", directory, i);
        make_script(path, i == 1 ? "#!%s arguments\n" : "#!%s %s\n", previous, pad);
        strcpy(previous, path);
    }
    for (int i = 1; i <= 5; i++) {
        snprintf(part, sizeof part, i < 5 ? "[%s/script%d][%s]" : "[%s/script%d]", directory, i,
                 pad);
        strcat(wanted, part);
    }
    strcat(wanted, "[end]");
    CHECK(!strcmp(SAID(path_of("script5"), "x", "end"), wanted));
    CHECK(REFUSED(path_of("script6")) == ELOOP);
}

static void test_script_errors(void)
{
    const char *s = path_of("script"), *other = path_of("other");
    make_script(s, "#!%s\n", directory, "");
    CHECK(REFUSED(s) == EACCES);
    make_script(s, "#!/nowhere/at/all\n", "", "");
    CHECK(REFUSED(s) == ENOENT);
    make(other, "neither", 7);
    make_script(s, "#!%s\n", other, "");
    CHECK(REFUSED(s) == ENOEXEC);
    CHECK(chmod(other, 0644) == 0);
    CHECK(REFUSED(s) == EACCES);
    unlink(other);
    unlink(s);
}

/* A script is known by its own name, and what runs is the interpreter. */
static void test_names(void)
{
    const char *s = path_of("script-with-a-long-name"), *program = path_of("program");
    IN_CHILD(execl(program, "x", "name", program, self, NULL));
    make_script(s, "#!%s name\n", path_of("program"), "");
    IN_CHILD(execl(s, "x", self, NULL));
    CHECK(unlink(s) == 0);
}

/* ---- the auxiliary vector ---- */

static void test_auxv(void)
{
    char first[64];
    const char *name = path_of("program");
    strcpy(first, SAID(name, "x", "auxv", (char *)name));
    CHECK(strlen(first) == 32);
    CHECK(strcmp(first, SAID(name, "x", "auxv", (char *)name)));
    CHECK(!strcmp(SAID(name, "x", "behind"), "zeros"));
}

/* ---- how long arguments may be ---- */

#define STRING_MAX (128u << 10) /* of one, with its NUL */

static int with_length(size_t each, size_t count)
{
    char **argv = calloc(count + 4, sizeof *argv), number[32];
    char *text = malloc(each + 1);
    CHECK(argv && text);
    memset(text, 'x', each);
    text[each] = 0;
    snprintf(number, sizeof number, "%zu", each * count);
    argv[0] = "exec", argv[1] = "length", argv[2] = number;
    for (size_t i = 0; i < count; i++)
        argv[3 + i] = text;
    pid_t pid = fork();
    if (pid == 0) {
        execve(self, argv, (char *[]){NULL});
        _exit(errno);
    }
    free(text);
    free(argv);
    int status = reap(pid);
    CHECK((status & 255) == 0);
    return status >> 8 == 77 ? 0 : status >> 8;
}

static void limit_stack(rlim_t bytes)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
}

static void test_lengths(void)
{
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_STACK, &before) == 0);
    limit_stack(8 << 20); /* a fourth of it: 2 MiB with the pointers */
    CHECK(with_length(STRING_MAX - 1, 1) == 0);
    CHECK(with_length(STRING_MAX, 1) == E2BIG);
    CHECK(with_length(STRING_MAX - 1, 15) == 0);
    CHECK(with_length(STRING_MAX - 1, 16) == E2BIG);
    CHECK(with_length(1, 200000) == 0);     /* 200,000 * (2 + 8) */
    CHECK(with_length(1, 220000) == E2BIG); /* 2.2 MB */
    limit_stack(16 << 20);
    CHECK(with_length(STRING_MAX - 1, 30) == 0);
    CHECK(with_length(STRING_MAX - 1, 32) == E2BIG);
    limit_stack(64 << 20); /* but never more than 6 MiB */
    CHECK(with_length(STRING_MAX - 1, 46) == 0);
    CHECK(with_length(STRING_MAX - 1, 48) == E2BIG);
    limit_stack(256 << 10); /* and 128 KiB always */
    CHECK(with_length(1000, 110) == 0);
    CHECK(with_length(1000, 140) == E2BIG);
    CHECK(setrlimit(RLIMIT_STACK, &before) == 0);
    /* the environment counts as well */
    static char big[STRING_MAX];
    memset(big, 'y', sizeof big - 1);
    char *envp[18] = {0};
    for (int i = 0; i < 17; i++)
        envp[i] = big;
    limit_stack(8 << 20);
    CHECK_ERRNO(execve(self, (char *[]){"x", NULL}, envp), E2BIG);
    CHECK(setrlimit(RLIMIT_STACK, &before) == 0);
}

/* ---- busy programs ---- */

static void test_busy(void)
{
    const char *copy = path_of("copy"), *link_name = path_of("link");
    copy_self(copy);
    int fd = open(copy, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(REFUSED(copy) == ETXTBSY);
    CHECK(close(fd) == 0);
    make_script(path_of("script"), "#!%s\n", copy, "");
    fd = open(path_of("script"), O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && REFUSED(path_of("script")) == ETXTBSY);
    close(fd);
    fd = open(copy, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && REFUSED(path_of("script")) == ETXTBSY); /* the interpreter is */
    close(fd);
    int p[2];
    char byte;
    CHECK(pipe2(p, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        execl(copy, "x", "sleep", NULL);
        _exit(errno);
    }
    close(p[1]);
    CHECK(read(p[0], &byte, 1) == 0); /* closed by its exec */
    close(p[0]);
    CHECK_ERRNO(open(copy, O_WRONLY), ETXTBSY);
    CHECK_ERRNO(open(copy, O_RDWR | O_APPEND), ETXTBSY);
    CHECK_ERRNO(open(copy, O_WRONLY | O_CREAT, 0755), ETXTBSY);
    CHECK_ERRNO(open(copy, O_RDONLY | O_TRUNC), ETXTBSY);
    CHECK_ERRNO(truncate(copy, 100), ETXTBSY);
    CHECK((fd = open(copy, O_RDONLY)) >= 0 && close(fd) == 0);
    CHECK(chmod(copy, 0700) == 0 && link(copy, link_name) == 0);
    CHECK_ERRNO(open(link_name, O_WRONLY), ETXTBSY);
    CHECK(rename(link_name, path_of("renamed")) == 0 && unlink(path_of("renamed")) == 0);
    /* a new file takes its name */
    make(path_of("new"), "new", 3);
    CHECK(rename(path_of("new"), copy) == 0);
    CHECK((fd = open(copy, O_WRONLY | O_CLOEXEC)) >= 0 && close(fd) == 0);
    CHECK(kill(pid, SIGKILL) == 0 && reap(pid) == SIGKILL);
    /* a running program's file can be written again once it has ended */
    copy_self(copy);
    CHECK((pid = fork()) >= 0);
    if (pid == 0) {
        execl(copy, "x", "none", NULL);
        _exit(errno);
    }
    CHECK(reap(pid) == 99 << 8);
    CHECK((fd = open(copy, O_WRONLY | O_CLOEXEC)) >= 0 && close(fd) == 0);
    CHECK(unlink(copy) == 0);
}

/* ---- exec from a thread ---- */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static int idle_pipe[2];

static void *reader(void *unused)
{
    char byte;
    (void)unused;
    return (void *)(long)read(idle_pipe[0], &byte, 1);
}

static void *spinner(void *unused)
{
    (void)unused;
    for (volatile unsigned i = 0;; i++)
        ;
    return NULL;
}

static void *locker(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&held);
    return NULL;
}

static void *execer(void *fails)
{
    char pid[16], tid[16];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    snprintf(pid, sizeof pid, "%d", getpid());
    snprintf(tid, sizeof tid, "%ld", syscall(SYS_gettid));
    if (fails) {
        CHECK_ERRNO(execl(path_of("nowhere"), "x", NULL), ENOENT);
        return NULL;
    }
    execl(self, "x", "thread", pid, tid, NULL);
    _exit(120);
}

static void start(pthread_t *t, void *(*what)(void *), void *argument)
{
    CHECK0(pthread_create(t, NULL, what, argument));
}

/* One that fails leaves the others; one that does not takes them with it, whatever they do. */
static void exec_from_thread(void)
{
    pthread_t t, r;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    CHECK(pipe2(idle_pipe, O_CLOEXEC) == 0);
    start(&r, reader, NULL);
    start(&t, execer, "fails");
    CHECK0(pthread_join(t, NULL));
    CHECK(write(idle_pipe[1], "x", 1) == 1);
    void *result;
    CHECK0(pthread_join(r, &result));
    CHECK((long)result == 1);
    start(&t, reader, NULL);
    start(&t, spinner, NULL);
    pthread_mutex_lock(&held);
    start(&t, locker, NULL);
    start(&t, execer, NULL);
    CHECK0(pthread_join(t, NULL));
    _exit(121);
}

static void test_threads(void)
{
    for (int i = 0; i < 10; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            exec_from_thread();
        CHECK(reap(pid) == 23 << 8);
    }
}

/* Whoever of them comes first is the one that happens. */
static void test_race(void)
{
    for (int i = 0; i < 10; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            pthread_t t;
            for (int n = 0; n < 8; n++) /* an exec that has begun may be in the way */
                pthread_create(&t, NULL, execer, NULL);
            for (;;)
                pause();
        }
        CHECK(reap(pid) == 23 << 8);
    }
}

/* ---- the path, and what fails ---- */

static void test_path(void)
{
    static char path[PATH_MAX + 1] __attribute__((aligned(8)));
    struct stat st;
    for (int i = 0; i < PATH_MAX; i++)
        path[i] = '/';
    CHECK_ERRNO(execl(path, "x", NULL), ENAMETOOLONG);
    CHECK_ERRNO(stat(path, &st), ENAMETOOLONG);
    path[PATH_MAX - 1] = 0;
    CHECK_ERRNO(execl(path, "x", NULL), EACCES);
    CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

/* What would be closed stays open when it fails. */
static void test_failed(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t set, now;
    CHECK(fd >= 0);
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    CHECK(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
    CHECK_ERRNO(execl(path_of("nowhere"), "x", NULL), ENOENT);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &now) == 0 && sigismember(&now, SIGHUP));
    sigemptyset(&set);
    CHECK(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return role(argc, argv);
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    CHECK(mkdtemp(directory));
    test_script_argument();
    test_long_lines();
    test_nested_scripts();
    test_script_errors();
    test_names();
    test_auxv();
    test_lengths();
    test_busy();
    test_threads();
    test_race();
    test_path();
    test_failed();
    static const char *const names[] = {"program", "script",  "script1", "script2",
                                        "script3", "script4", "script5", "script6"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_of(names[i]));
    CHECK(rmdir(directory) == 0);
    puts("ok");
    return 0;
}
