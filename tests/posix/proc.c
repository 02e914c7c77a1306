/* SPDX-License-Identifier: MIT */
/* /proc: what ps, top, free and servers read there, of the process itself and of others. */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"

static char text[65536];
static size_t size;

static bool try_read(const char *path)
{
    int fd = open(path, O_RDONLY);
    size = 0;
    if (fd < 0)
        return false;
    for (ssize_t n; (n = read(fd, text + size, sizeof text - 1 - size)) > 0;)
        size += (size_t)n;
    text[size] = 0;
    close(fd);
    return true;
}

__attribute__((format(printf, 1, 2))) static void read_text(const char *format, ...)
{
    char path[128];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    if (!try_read(path))
        FAILED("%s cannot be read", path);
}

/* Field n of stat, counted from 1 as in proc(5); beyond the name. */
static const char *stat_field(int n)
{
    char *at = strrchr(text, ')');
    CHECK(at && n > 2);
    at += 2;
    for (int i = 3; i < n; i++) {
        at = strchr(at, ' ');
        CHECK(at);
        at++;
    }
    return at;
}

static long long stat_number(int n)
{
    return strtoll(stat_field(n), NULL, 10);
}

static const char *status_line(const char *name)
{
    size_t length = strlen(name);
    for (char *at = text; at; at = strchr(at, '\n'), at += at != NULL)
        if (!strncmp(at, name, length) && at[length] == ':')
            return at + length + 1 + strspn(at + length + 1, " \t");
    FAILED("no line %s", name);
}

static pid_t start_child(void (*body)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (!pid) {
        if (body)
            body();
        for (;;)
            pause();
    }
    return pid;
}

static void end_child(pid_t pid)
{
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

static void await_state(pid_t pid, char state)
{
    for (;;) {
        read_text("/proc/%d/stat", pid);
        if (*stat_field(3) == state)
            return;
        sleep_ms(5);
    }
}

/* ---- labels and numbers ---- */

static void of_itself(void)
{
    char link[64] = "", own[32];
    CHECK(readlink("/proc/self", link, sizeof link - 1) > 0 && atoi(link) == getpid());
    read_text("/proc/self/stat");
    CHECK(atoi(text) == getpid());
    CHECK(*stat_field(3) == 'R');
    CHECK(stat_number(4) == getppid() && stat_number(5) == getpgrp() &&
          stat_number(6) == getsid(0));
    CHECK(stat_number(18) == 20 && stat_number(19) == 0 && stat_number(20) == 1);
    CHECK(stat_number(23) > 0 && stat_number(24) > 0);
    read_text("/proc/self/status");
    CHECK(atoi(status_line("Pid")) == getpid() && atoi(status_line("PPid")) == getppid());
    CHECK(atoi(status_line("Threads")) == 1 && atoi(status_line("VmRSS")) > 0);
    unsigned r, e, s;
    CHECK(sscanf(status_line("Uid"), "%u %u %u", &r, &e, &s) == 3 && r == getuid() &&
          e == geteuid());
    read_text("/proc/self/statm");
    CHECK(atoi(text) > 0);
    CHECK(prctl(PR_SET_NAME, "a (b) c") == 0);
    read_text("/proc/self/comm");
    CHECK(!strcmp(text, "a (b) c\n"));
    read_text("/proc/self/stat");
    CHECK(strstr(text, " (a (b) c) R "));
    snprintf(own, sizeof own, "/proc/%d/stat", getpid());
    CHECK(try_read(own) && atoi(text) == getpid());
}

static void states(void)
{
    pid_t pid = start_child(NULL);
    await_state(pid, 'S');
    CHECK(stat_number(4) == getpid());
    CHECK(kill(pid, SIGSTOP) == 0);
    await_state(pid, 'T');
    CHECK(kill(pid, SIGCONT) == 0);
    await_state(pid, 'S');
    CHECK(kill(pid, SIGKILL) == 0);
    await_state(pid, 'Z');
    read_text("/proc/%d/cmdline", pid);
    CHECK(size == 0);
    CHECK(waitpid(pid, NULL, 0) == pid);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", pid);
    CHECK_ERRNO(open(path, O_RDONLY), ENOENT);
}

/* What was opened of a process does not become another's. */
static void death(void)
{
    char path[64];
    pid_t pid = start_child(NULL);
    snprintf(path, sizeof path, "/proc/%d", pid);
    int dir = open(path, O_RDONLY | O_DIRECTORY), fd = openat(dir, "stat", O_RDONLY);
    CHECK(dir >= 0 && fd >= 0);
    end_child(pid);
    CHECK_ERRNO(read(fd, text, 100), ESRCH);
    CHECK(openat(dir, "stat", O_RDONLY) == -1 && (errno == ENOENT || errno == ESRCH));
    close(fd);
    close(dir);
}

static void times_grow(void)
{
    long long before, now;
    read_text("/proc/self/stat");
    before = stat_number(14) + stat_number(15);
    do
        read_text("/proc/self/stat");
    while ((now = stat_number(14) + stat_number(15)) < before + 5);
}

static void memory_grows(void)
{
    read_text("/proc/self/stat");
    long long rss = stat_number(24), virtual = stat_number(23);
    char *more = malloc(16 << 20);
    CHECK(more);
    memset(more, 1, 16 << 20);
    read_text("/proc/self/stat");
    CHECK(stat_number(24) >= rss + (16 << 20) / 4096 - 64);
    CHECK(stat_number(23) >= virtual + (16 << 20) - 65536);
    free(more);
}

/* ---- strings ---- */

static char **own_argv;

static void strings(int argc)
{
    size_t at = 0;
    read_text("/proc/self/cmdline");
    for (int i = 0; i < argc; i++) {
        CHECK(!strcmp(text + at, own_argv[i]));
        at += strlen(own_argv[i]) + 1;
    }
    CHECK(at == size);
    read_text("/proc/self/environ");
    CHECK(size > 0);
    CHECK(memmem(text, size, "PROC_TEST=here", 15));
}

/* A title that a program writes over its arguments, as servers do. */
static void title(void)
{
    pid_t pid = fork();
    if (!pid) {
        size_t room = strlen(own_argv[0]);
        memset(own_argv[0], 'x', room);
        for (;;)
            pause();
    }
    do /* the bytes come one after the other */
        read_text("/proc/%d/cmdline", pid);
    while (strspn(text, "x") != strlen(own_argv[0]));
    end_child(pid);
}

/* ---- files ---- */

static void links_and_descriptors(void)
{
    char path[64], link[256] = "", own[256] = "";
    int fd = open("/tmp/proc-test-file", O_RDWR | O_CREAT | O_APPEND, 0600);
    CHECK(fd >= 0 && write(fd, "12345", 5) == 5 && chdir("/tmp") == 0);
    pid_t pid = start_child(NULL);
    CHECK(readlink("/proc/self/exe", own, sizeof own - 1) > 0 && own[0] == '/');
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    CHECK(readlink(path, link, sizeof link - 1) > 0 && !strcmp(link, own));
    struct stat a, b;
    CHECK(stat(path, &a) == 0 && stat(own, &b) == 0 && a.st_ino == b.st_ino);
    memset(link, 0, sizeof link);
    snprintf(path, sizeof path, "/proc/%d/cwd", pid);
    CHECK(readlink(path, link, sizeof link - 1) == 4 && !strcmp(link, "/tmp"));
    memset(link, 0, sizeof link);
    snprintf(path, sizeof path, "/proc/%d/root", pid);
    CHECK(readlink(path, link, sizeof link - 1) == 1 && link[0] == '/');
    memset(link, 0, sizeof link);
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
    CHECK(readlink(path, link, sizeof link - 1) > 0 && !strcmp(link, "/tmp/proc-test-file"));
    read_text("/proc/%d/fd/%d", pid, fd);
    CHECK(!strcmp(text, "12345"));
    read_text("/proc/%d/fdinfo/%d", pid, fd);
    CHECK(atoi(status_line("pos")) == 5);
    CHECK((strtol(status_line("flags"), NULL, 8) & (O_APPEND | O_ACCMODE)) == (O_APPEND | O_RDWR));
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *d = opendir(path);
    bool found = false;
    CHECK(d);
    for (struct dirent *e; (e = readdir(d));)
        found |= e->d_name[0] != '.' && atoi(e->d_name) == fd;
    CHECK(found);
    closedir(d);
    snprintf(path, sizeof path, "/proc/%d/fd/999", pid);
    CHECK_ERRNO(readlink(path, link, sizeof link), ENOENT);
    end_child(pid);
    unlink("/tmp/proc-test-file");
    close(fd);
}

static void maps(void)
{
    static int here;
    unsigned long from, to,
        inside[3] = {(unsigned long)&here, (unsigned long)maps, (unsigned long)&from};
    char rights[3][5] = {"rw-p", "r-xp", "rw-p"}, mode[8];
    read_text("/proc/self/maps");
    for (int i = 0; i < 3; i++) {
        bool found = false;
        for (char *at = text; at && *at; at = strchr(at, '\n'), at += at != NULL)
            if (sscanf(at, "%lx-%lx %4s", &from, &to, mode) == 3 && inside[i] >= from &&
                inside[i] < to)
                found = !strncmp(mode, rights[i], 3);
        if (!found)
            FAILED("address %d is not in maps with %s", i, rights[i]);
    }
    CHECK(strstr(text, "[stack]"));
}

static void limits(void)
{
    struct rlimit l;
    unsigned long soft, hard;
    CHECK(getrlimit(RLIMIT_NOFILE, &l) == 0);
    l.rlim_cur = 200;
    CHECK(setrlimit(RLIMIT_NOFILE, &l) == 0);
    read_text("/proc/self/limits");
    char *line = strstr(text, "Max open files");
    CHECK(line && sscanf(line + 14, "%lu %lu", &soft, &hard) == 2);
    CHECK(soft == 200 && hard == l.rlim_max);
}

/* ---- threads ---- */

static pthread_barrier_t ready;

static void *named(void *name)
{
    pthread_setname_np(pthread_self(), name);
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&ready);
    return NULL;
}

static void threads(void)
{
    pthread_t one, two;
    pthread_barrier_init(&ready, NULL, 3);
    CHECK0(pthread_create(&one, NULL, named, "first"));
    CHECK0(pthread_create(&two, NULL, named, "second"));
    pthread_barrier_wait(&ready);
    read_text("/proc/self/stat");
    CHECK(stat_number(20) == 3);
    DIR *d = opendir("/proc/self/task");
    CHECK(d);
    int count = 0, names = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        count++;
        read_text("/proc/self/task/%s/comm", e->d_name);
        names += !strcmp(text, "first\n") ? 1 : !strcmp(text, "second\n") ? 2 : 0;
        read_text("/proc/self/task/%s/stat", e->d_name);
        CHECK(atoi(text) == atoi(e->d_name));
        read_text("/proc/self/task/%s/status", e->d_name);
        CHECK(atoi(status_line("Pid")) == atoi(e->d_name));
        CHECK(atoi(status_line("Tgid")) == getpid());
    }
    CHECK(count == 3 && names == 3);
    closedir(d);
    pthread_barrier_wait(&ready);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    CHECK_ERRNO(open("/proc/self/task/99999999", O_RDONLY), ENOENT);
}

/* ---- the system ---- */

static void every_process(void)
{
    pid_t child = start_child(NULL);
    DIR *d = opendir("/proc");
    bool found[2] = {false, false};
    CHECK(d);
    for (struct dirent *e; (e = readdir(d));) {
        found[0] |= atoi(e->d_name) == child;
        found[1] |= atoi(e->d_name) == getpid();
    }
    CHECK(found[0] && found[1]);
    closedir(d);
    end_child(child);
}

/* Of the two lines "Name: ..." of /proc/net/snmp: the number below a title. */
static long snmp(const char *protocol, const char *name)
{
    char *titles, *values, *title, *value, *in_titles, *in_values;
    read_text("/proc/net/snmp");
    titles = strstr(text, protocol);
    CHECK(titles && (values = strchr(titles, '\n')) &&
          !strncmp(values + 1, protocol, strlen(protocol)));
    *values++ = 0;
    values[strcspn(values, "\n")] = 0;
    title = strtok_r(titles, " ", &in_titles);
    value = strtok_r(values, " ", &in_values);
    while (title && value && strcmp(title, name)) {
        title = strtok_r(NULL, " ", &in_titles);
        value = strtok_r(NULL, " ", &in_values);
    }
    if (!title || !value)
        FAILED("/proc/net/snmp: %s has no %s", protocol, name);
    return atol(value);
}

static unsigned long long loopback_bytes(void)
{
    read_text("/proc/net/dev");
    char *line = strstr(text, "lo:");
    CHECK(line);
    return strtoull(line + 3, NULL, 10);
}

/* What a connection over the loopback with bytes in it leaves in the counters. */
static void network_counters(void)
{
    static char bytes[20000], back[sizeof bytes];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof a;
    long active = snmp("Tcp:", "ActiveOpens"), passive = snmp("Tcp:", "PassiveOpens"),
         in = snmp("Ip:", "InReceives");
    unsigned long long before = loopback_bytes();
    int listener = socket(AF_INET, SOCK_STREAM, 0), to = socket(AF_INET, SOCK_STREAM, 0), from;
    CHECK(bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&a, &length) == 0);
    CHECK(connect(to, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK((from = accept(listener, NULL, NULL)) >= 0);
    CHECK(write(to, bytes, sizeof bytes) == sizeof bytes);
    CHECK(recv(from, back, sizeof back, MSG_WAITALL) == sizeof back);
    CHECK(snmp("Tcp:", "ActiveOpens") > active && snmp("Tcp:", "PassiveOpens") > passive);
    CHECK(snmp("Ip:", "InReceives") > in && snmp("Tcp:", "CurrEstab") >= 2);
    CHECK(loopback_bytes() >= before + sizeof bytes);
    close(to);
    close(from);
    close(listener);
}

static void system_texts(void)
{
    static const char *const names[] = {"cpuinfo",
                                        "version",
                                        "filesystems",
                                        "mounts",
                                        "self/mounts",
                                        "self/mountinfo",
                                        "sys/kernel/hostname",
                                        "sys/kernel/osrelease",
                                        "sys/kernel/version",
                                        "sys/kernel/pid_max",
                                        "sys/kernel/random/uuid",
                                        "sys/kernel/random/boot_id",
                                        "sys/vm/overcommit_memory",
                                        "sys/net/core/somaxconn",
                                        "net/tcp",
                                        "net/udp",
                                        "net/unix",
                                        "net/dev",
                                        "net/route",
                                        "net/arp",
                                        "net/snmp",
                                        "self/oom_score_adj"};
    double load[3], up, idle;
    int running, total, last;
    unsigned long user, nice, system, spare;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        read_text("/proc/%s", names[i]);
        if (!size)
            FAILED("/proc/%s is empty", names[i]);
    }
    read_text("/proc/sys/kernel/ostype");
    CHECK(!strcmp(text, "Linux\n"));
    read_text("/proc/meminfo");
    CHECK(atol(status_line("MemTotal")) >= atol(status_line("MemFree")));
    CHECK(atol(status_line("MemFree")) > 0 && atol(status_line("MemAvailable")) > 0);
    read_text("/proc/loadavg");
    CHECK(sscanf(text, "%lf %lf %lf %d/%d %d", load, load + 1, load + 2, &running, &total, &last) ==
          6);
    CHECK(total >= 1);
    read_text("/proc/uptime");
    CHECK(sscanf(text, "%lf %lf", &up, &idle) == 2 && up > 0);
    read_text("/proc/stat");
    CHECK(sscanf(text, "cpu %lu %lu %lu %lu", &user, &nice, &system, &spare) == 4);
    CHECK(user + nice + system > 0);
}

/* ---- who may see what ---- */

static void others(void)
{
    static const char *const closed[] = {"environ", "maps", "fd", "fdinfo"};
    static const char *const links[] = {"exe", "cwd", "root"};
    char path[64], link[64];
    if (geteuid() != 0)
        return;
    pid_t root = start_child(NULL), pid = fork();
    if (!pid) {
        CHECK(setgid(1234) == 0 && setuid(1234) == 0);
        for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
            snprintf(path, sizeof path, "/proc/%d/%s", root, closed[i]);
            CHECK_ERRNO(open(path, O_RDONLY), EACCES);
        }
        for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
            snprintf(path, sizeof path, "/proc/%d/%s", root, links[i]);
            CHECK_ERRNO(readlink(path, link, sizeof link), EACCES);
        }
        read_text("/proc/%d/stat", root);
        read_text("/proc/%d/status", root);
        CHECK(atoi(status_line("Uid")) == 0);
        read_text("/proc/%d/cmdline", root);
        CHECK(size > 0);
        read_text("/proc/self/status");
        CHECK(atoi(status_line("Uid")) == 1234 && atoi(status_line("Gid")) == 1234);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    end_child(root);
}

/* The first process of a system without init is not traced: it would not survive it. */
static void first_is_not_traced(void)
{
    int fd = open("/proc/1/trace", O_RDONLY | O_NONBLOCK);
    CHECK(fd == -1 && (errno == EPERM || errno == EACCES || errno == ENOENT));
    sleep_ms(20);
    CHECK(access("/proc/1/stat", F_OK) == 0);
}

/* Programs read as many bytes as its size says. It may be empty at first, until the network is
 * configured. */
static void resolver_has_its_size(void)
{
    struct stat st = {0};
    ssize_t n = 0;
    for (int i = 0; i < 30 && (n == 0 || n != st.st_size); i++) { /* it may change in between */
        sleep_ms(i ? 100 : 0);
        int fd = open("/etc/resolv.conf", O_RDONLY);
        if (fd < 0)
            return;
        CHECK(fstat(fd, &st) == 0);
        n = read(fd, text, sizeof text);
        close(fd);
    }
    CHECK(n == st.st_size);
}

int main(int argc, char **argv)
{
    if (argc < 3) { /* again, with strings that are known */
        setenv("PROC_TEST", "here", 1);
        execl("/proc/self/exe", argv[0], "an argument", "", "last", NULL);
        FAILED("exec");
    }
    own_argv = argv;
    strings(argc);
    of_itself();
    states();
    death();
    times_grow();
    memory_grows();
    title();
    links_and_descriptors();
    maps();
    threads();
    every_process();
    system_texts();
    network_counters();
    others();
    limits();
    first_is_not_traced();
    resolver_has_its_size();
    return 0;
}
