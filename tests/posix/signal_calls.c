/* SPDX-License-Identifier: MIT */
/*
 * The signal calls by their man pages: every error, queued signals with values and their order, the
 * limit on them, SA_* flags, masks over fork, exec and threads, and which calls a handler
 * interrupts (signal(7)).
 */
#include "child.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define SIZE 8 /* of the kernel's signal set */

static volatile int count, last;

static void handler(int sig)
{
    count++;
    last = sig;
}

static sigset_t set_of(int sig)
{
    sigset_t set;
    sigemptyset(&set);
    if (sig)
        sigaddset(&set, sig);
    return set;
}

/* ---- errors ---- */

static void test_errors(void)
{
    struct sigaction sa = {.sa_handler = handler};
    sigset_t set = set_of(SIGUSR1);
    siginfo_t info;
    struct timespec bad = {0, -1}, worse = {0, 1000000000}, zero = {0, 0};
    union sigval value = {.sival_int = 1};
    CHECK_ERRNO(sigaction(0, &sa, NULL), EINVAL);
    CHECK_ERRNO(sigaction(65, &sa, NULL), EINVAL);
    CHECK_ERRNO(sigaction(-1, NULL, NULL), EINVAL);
    CHECK_ERRNO(sigaction(SIGKILL, &sa, NULL), EINVAL);
    CHECK_ERRNO(sigaction(SIGSTOP, &sa, NULL), EINVAL);
    CHECK(sigaction(SIGKILL, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, NULL, SIZE), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, (void *)8, SIZE), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
    CHECK_ERRNO(sigprocmask(3, &set, NULL), EINVAL);
    CHECK_ERRNO(sigprocmask(-1, &set, NULL), EINVAL);
    CHECK(sigprocmask(77, NULL, &set) == 0); /* without a set, how does not matter */
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, SIZE), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, (void *)8, SIZE), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigpending, (void *)8, SIZE), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigpending, &set, 16), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigsuspend, (void *)8, SIZE), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigsuspend, &set, 4), EINVAL);
    set = set_of(SIGUSR1);
    CHECK_ERRNO(sigtimedwait(&set, &info, &bad), EINVAL);
    CHECK_ERRNO(sigtimedwait(&set, &info, &worse), EINVAL);
    CHECK_ERRNO(sigtimedwait(&set, &info, &zero), EAGAIN);
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, (void *)8, NULL, &zero, SIZE), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &set, NULL, (void *)8, SIZE), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &set, NULL, &zero, 4), EINVAL);
    CHECK_ERRNO(kill(getpid(), -1), EINVAL);
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK(kill(getpid(), 0) == 0);
    CHECK_ERRNO(kill(0x3fffffff, 0), ESRCH);
    CHECK_ERRNO(kill(-0x3fffffff, SIGTERM), ESRCH);
    CHECK_ERRNO(sigqueue(getpid(), 65, value), EINVAL);
    CHECK_ERRNO(sigqueue(0x3fffffff, SIGUSR1, value), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0x3ffffff, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, 0, getpid(), 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), getpid(), 65), EINVAL);
    CHECK(syscall(SYS_tgkill, getpid(), getpid(), 0) == 0);
    CHECK_ERRNO(syscall(SYS_tkill, -1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_tkill, 0x3ffffff, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, (void *)8), EFAULT);
    pid_t parent = getpid();
    /* nobody pretends to be the kernel, or kill(), to another process */
    IN_CHILD({
        memset(&info, 0, sizeof info);
        info.si_code = SI_USER;
        CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, parent, 0, &info), EPERM);
        info.si_code = SI_TKILL;
        CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, parent, 0, &info), EPERM);
        info.si_code = SI_QUEUE;
        CHECK(syscall(SYS_rt_sigqueueinfo, parent, 0, &info) == 0);
    });
    if (geteuid() == 0)
        IN_CHILD({
            CHECK(setgid(65534) == 0 && setuid(65534) == 0);
            CHECK_ERRNO(kill(parent, SIGTERM), EPERM);
            CHECK_ERRNO(kill(parent, 0), EPERM);
            CHECK_ERRNO(sigqueue(parent, SIGUSR1, value), EPERM);
        });
}

static void test_altstack(void)
{
    static char memory[65536];
    stack_t s = {.ss_sp = memory, .ss_size = sizeof memory}, old;
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
    s.ss_flags = 4;
    CHECK_ERRNO(sigaltstack(&s, NULL), EINVAL);
    s.ss_flags = 0;
    s.ss_size = 100;
    CHECK_ERRNO(sigaltstack(&s, NULL), ENOMEM);
    s.ss_size = sizeof memory;
    CHECK_ERRNO(syscall(SYS_sigaltstack, (void *)8, NULL), EFAULT);
    CHECK(sigaltstack(&s, NULL) == 0);
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == memory && old.ss_flags == 0 &&
          old.ss_size == sizeof memory);
    CHECK_ERRNO(syscall(SYS_sigaltstack, NULL, (void *)8), EFAULT);
    s.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&s, NULL) == 0);
}

/* ---- the queue ---- */

static void test_queue(void)
{
    int low = SIGRTMIN + 1, high = SIGRTMIN + 2;
    sigset_t set = set_of(low), old, pending;
    siginfo_t info;
    struct timespec zero = {0, 0};
    sigaddset(&set, high);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    for (int i = 0; i < 20; i++) {
        union sigval v = {.sival_int = i};
        CHECK(sigqueue(getpid(), i % 2 ? low : high, v) == 0);
        CHECK(sigqueue(getpid(), SIGUSR1, v) == 0);
    }
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, low) && sigismember(&pending, high) &&
          sigismember(&pending, SIGUSR1) && !sigismember(&pending, SIGUSR2));
    IN_CHILD({ /* pending signals are not inherited, the mask is */
               CHECK(sigpending(&pending) == 0 && !sigismember(&pending, low));
               CHECK(sigprocmask(SIG_BLOCK, NULL, &pending) == 0 && sigismember(&pending, low));
    });
    /* standard ones first, once, with the first value; then the lowest number in order */
    CHECK(sigtimedwait(&set, &info, &zero) == SIGUSR1 && info.si_value.sival_int == 0);
    for (int i = 1; i < 20; i += 2) {
        CHECK(sigtimedwait(&set, &info, &zero) == low);
        CHECK(info.si_signo == low && info.si_code == SI_QUEUE && info.si_value.sival_int == i &&
              info.si_pid == getpid() && info.si_uid == getuid());
    }
    for (int i = 0; i < 20; i += 2)
        CHECK(sigwaitinfo(&set, &info) == high && info.si_value.sival_int == i);
    CHECK_ERRNO(sigtimedwait(&set, NULL, &zero), EAGAIN);
    /* from other calls */
    CHECK(kill(getpid(), low) == 0);
    CHECK(sigtimedwait(&set, &info, &zero) == low && info.si_code == SI_USER &&
          info.si_pid == getpid());
    CHECK(syscall(SYS_tgkill, getpid(), getpid(), low) == 0);
    CHECK(syscall(SYS_rt_sigtimedwait, &set, &info, &zero, SIZE) == low &&
          info.si_code == SI_TKILL); /* some libraries change the code */
    /* a limit: queued ones fail, standard ones by kill do not */
    IN_CHILD({
        struct rlimit limit = {5, 5};
        union sigval v = {.sival_int = 0};
        int n = 0;
        CHECK(setrlimit(RLIMIT_SIGPENDING, &limit) == 0);
        while (n < 100 && sigqueue(getpid(), low, v) == 0)
            n++;
        CHECK(n <= 5 && errno == EAGAIN);
        CHECK(kill(getpid(), SIGUSR1) == 0);
        CHECK(sigtimedwait(&set, NULL, &zero) == SIGUSR1);
        while (n-- > 0)
            CHECK(sigtimedwait(&set, NULL, &zero) == low);
    });
    sigprocmask(SIG_SETMASK, &old, NULL);
}

/* Handlers in the order of delivery: with values, lowest first, blocked while they run. */
static int order[16], orders;
static volatile int depth;

static void ordered(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(depth == 0);
    depth++;
    CHECK(orders < 16);
    order[orders++] = (sig - SIGRTMIN) * 100 + info->si_value.sival_int;
    depth--;
}

static void test_delivery(void)
{
    struct sigaction sa = {.sa_sigaction = ordered, .sa_flags = SA_SIGINFO};
    sigset_t set = set_of(0), old;
    sigfillset(&sa.sa_mask);
    for (int i = 0; i < 3; i++) {
        sigaction(SIGRTMIN + i, &sa, NULL);
        sigaddset(&set, SIGRTMIN + i);
    }
    sigprocmask(SIG_BLOCK, &set, &old);
    for (int v = 0; v < 2; v++)
        for (int i = 2; i >= 0; i--)
            CHECK(sigqueue(getpid(), SIGRTMIN + i, (union sigval){.sival_int = v}) == 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK(orders == 6);
    for (int i = 0; i < 3; i++) /* of each number by age */
        for (int a = 0, next = 0; a < 6; a++)
            if (order[a] / 100 == i)
                CHECK(order[a] % 100 == next++);
    for (int i = 0; i < 3; i++)
        signal(SIGRTMIN + i, SIG_DFL);
}

/* ---- flags ---- */

static void nested(int sig)
{
    if (++count < 3)
        raise(sig);
    last = count;
}

static void mask_inside(int sig)
{
    sigset_t now;
    (void)sig;
    sigprocmask(SIG_BLOCK, NULL, &now);
    last = sigismember(&now, SIGUSR1) | sigismember(&now, SIGUSR2) << 1;
}

static void test_flags(void)
{
    struct sigaction sa = {.sa_handler = nested, .sa_flags = SA_NODEFER}, now;
    sigset_t mask;
    count = 0;
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    CHECK(count == 3 && last == 3);
    sa.sa_flags = 0;
    count = 0;
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1); /* the second comes when the first has returned */
    CHECK(count == 3 && last == 3);
    sa.sa_handler = mask_inside;
    sa.sa_mask = set_of(SIGUSR2);
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    CHECK(last == 3);
    sa.sa_flags = SA_NODEFER;
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    CHECK(last == 2);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && !sigismember(&mask, SIGUSR1) &&
          !sigismember(&mask, SIGUSR2));
    sa.sa_handler = handler;
    sa.sa_flags = (int)SA_RESETHAND;
    count = 0;
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    CHECK(count == 1 && sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    /* what is asked is what was set */
    sa.sa_flags = SA_RESTART | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&sa.sa_mask);
    sigaddset(&sa.sa_mask, SIGTERM);
    sigaddset(&sa.sa_mask, SIGKILL); /* taken away silently */
    sigaction(SIGUSR2, &sa, NULL);
    CHECK(sigaction(SIGUSR2, NULL, &now) == 0 && now.sa_handler == handler);
    CHECK((now.sa_flags & (SA_RESTART | SA_ONSTACK | SA_NODEFER | SA_SIGINFO)) ==
          (SA_RESTART | SA_ONSTACK | SA_NODEFER));
    CHECK(sigismember(&now.sa_mask, SIGTERM) && !sigismember(&now.sa_mask, SIGHUP));
    signal(SIGUSR2, SIG_DFL);
    /* SIGKILL and SIGSTOP cannot be blocked, and that is no error */
    sigfillset(&mask);
    CHECK(sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && !sigismember(&mask, SIGKILL) &&
          !sigismember(&mask, SIGSTOP) && sigismember(&mask, SIGTERM));
    sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* Ignoring a pending signal drops it; so does a default that ignores. */
static void test_ignoring(void)
{
    sigset_t set = set_of(SIGUSR1), pending;
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
    signal(SIGUSR1, SIG_DFL);
    signal(SIGCHLD, handler);
    raise(SIGCHLD);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGCHLD));
    signal(SIGCHLD, SIG_DFL);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGCHLD));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    /* a stop signal takes a pending SIGCONT away, and the other way round */
    set = set_of(SIGCONT);
    sigaddset(&set, SIGTSTP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGCONT, handler);
    signal(SIGTSTP, handler);
    raise(SIGCONT);
    raise(SIGTSTP);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGTSTP) &&
          !sigismember(&pending, SIGCONT));
    raise(SIGCONT);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGTSTP) &&
          sigismember(&pending, SIGCONT));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    signal(SIGCONT, SIG_DFL);
    signal(SIGTSTP, SIG_DFL);
}

/* ---- threads ---- */

static pthread_t second;
static volatile int second_got, main_got;

static void who(int sig)
{
    (void)sig;
    if (pthread_equal(pthread_self(), second))
        second_got++;
    else
        main_got++;
}

static void *second_thread(void *unused)
{
    sigset_t none = set_of(0);
    while (second_got < 3)
        sigsuspend(&none);
    return unused;
}

static void test_threads(void)
{
    sigset_t set = set_of(SIGUSR1), old, pending;
    signal(SIGUSR1, who);
    sigprocmask(SIG_BLOCK, &set, &old);
    CHECK0(pthread_create(&second, NULL, second_thread, NULL));
    CHECK(kill(getpid(), SIGUSR1) == 0); /* to the process: the one that lets it in gets it */
    while (second_got < 1)
        sleep_ms(1);
    CHECK0(pthread_kill(second, SIGUSR1));
    while (second_got < 2)
        sleep_ms(1);
    CHECK0(pthread_kill(pthread_self(), SIGUSR1)); /* to this thread: it waits here */
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
    CHECK(second_got == 2 && main_got == 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK(main_got == 1);
    CHECK(pthread_kill(pthread_self(), 65) == EINVAL);
    CHECK0(pthread_kill(second, SIGUSR1));
    CHECK0(pthread_join(second, NULL));
    signal(SIGUSR1, SIG_DFL);
}

/* ---- exec ---- */

/* After exec: handlers are gone, what is ignored stays so, the mask and what is pending too. */
static int after_exec(void)
{
    struct sigaction sa;
    sigset_t set;
    CHECK(sigaction(SIGUSR1, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL);
    CHECK(sigaction(SIGUSR2, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGTERM) &&
          !sigismember(&set, SIGHUP));
    CHECK(sigpending(&set) == 0 && sigismember(&set, SIGTERM));
    stack_t s;
    CHECK(sigaltstack(NULL, &s) == 0 && s.ss_flags == SS_DISABLE);
    return 0;
}

static void test_exec(void)
{
    IN_CHILD({
        static char memory[65536];
        stack_t s = {.ss_sp = memory, .ss_size = sizeof memory};
        sigset_t set = set_of(SIGTERM);
        signal(SIGUSR1, handler);
        signal(SIGUSR2, SIG_IGN);
        sigaltstack(&s, NULL);
        sigprocmask(SIG_SETMASK, &set, NULL);
        raise(SIGTERM);
        execl("/proc/self/exe", "signal_calls", "after", (char *)NULL);
        FAILED("exec");
    });
}

/* ---- which calls end early ---- */

static int datagrams, pipes[2], epoll, idle;

static long do_read(void)
{
    char c;
    return read(pipes[0], &c, 1);
}
static long do_write(void)
{
    static char b[1 << 20];
    return write(pipes[1], b, sizeof b);
}
static long do_recv(void)
{
    char c;
    return recv(datagrams, &c, 1, 0);
}
static long do_accept(void)
{
    return accept(idle, NULL, NULL);
}
static long do_futex(void)
{
    int w = 0;
    return syscall(SYS_futex, &w, 0, 0, NULL);
}
static long do_pause(void)
{
    return pause();
}
static long do_poll(void)
{
    struct pollfd f = {pipes[0], POLLIN, 0};
    return poll(&f, 1, -1);
}
static long do_select(void)
{
    fd_set s;
    FD_ZERO(&s);
    FD_SET(pipes[0], &s);
    return select(pipes[0] + 1, &s, NULL, NULL, NULL);
}
static long do_epoll(void)
{
    struct epoll_event e;
    return epoll_wait(epoll, &e, 1, -1);
}
static long do_nanosleep(void)
{
    struct timespec t = {100, 0};
    return nanosleep(&t, &t);
}
static long do_sleep_until(void)
{
    struct timespec t = {1L << 40, 0};
    int e = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    errno = e;
    return e ? -1 : 0;
}
static long do_sigtimedwait(void)
{
    sigset_t s = set_of(SIGUSR2);
    struct timespec t = {100, 0};
    return syscall(SYS_rt_sigtimedwait, &s, NULL, &t, SIZE); /* some libraries repeat it */
}
static long do_sigsuspend(void)
{
    sigset_t s = set_of(0);
    return sigsuspend(&s);
}
static long do_wait(void)
{
    return wait(NULL);
}

static const struct {
    const char *name;
    long (*call)(void);
    int restarts; /* with SA_RESTART */
} calls[] = {
    {"read", do_read, 1},
    {"recv", do_recv, 1},
    {"accept", do_accept, 1},
    {"futex", do_futex, 1},
    {"wait", do_wait, 1},
    {"pause", do_pause, 0},
    {"poll", do_poll, 0},
    {"select", do_select, 0},
    {"epoll_wait", do_epoll, 0},
    {"nanosleep", do_nanosleep, 0},
    {"clock_nanosleep", do_sleep_until, 0},
    {"sigtimedwait", do_sigtimedwait, 0},
    {"sigsuspend", do_sigsuspend, 0},
};

static sigjmp_buf out;
static volatile int leave_after;

static void interrupts(int sig)
{
    (void)sig;
    if (++count >= leave_after)
        siglongjmp(out, 1);
}

/* In a child: the call under signals that keep coming. It must end with EINTR, or not end. */
static void interrupted(unsigned i, int restart)
{
    struct sigaction sa = {.sa_handler = interrupts, .sa_flags = restart ? SA_RESTART : 0};
    struct itimerval every = {{0, 3000}, {0, 3000}};
    int restarts = restart && calls[i].restarts;
    pid_t sleeper = fork(); /* for wait() */
    if (sleeper == 0)
        for (;;)
            pause();
    count = 0;
    leave_after = restarts ? 3 : 1000000;
    sigaction(SIGALRM, &sa, NULL);
    if (sigsetjmp(out, 1) == 0) {
        setitimer(ITIMER_REAL, &every, NULL);
        errno = 0;
        long result = calls[i].call();
        int error = errno;
        every.it_interval.tv_usec = every.it_value.tv_usec = 0;
        setitimer(ITIMER_REAL, &every, NULL);
        if (restarts || result != -1 || error != EINTR)
            FAILED("%s: %ld, error %d, restart %d", calls[i].name, result, error, restart);
    }
    kill(sleeper, SIGKILL);
    CHECK(count >= (restarts ? 3 : 1));
}

static void test_interruptions(void)
{
    struct epoll_event e = {.events = EPOLLIN};
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(pipe(pipes) == 0 && (datagrams = socket(AF_INET, SOCK_DGRAM, 0)) >= 0);
    CHECK(bind(datagrams, (struct sockaddr *)&local, sizeof local) == 0);
    CHECK((epoll = epoll_create1(0)) >= 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &e) == 0);
    CHECK((idle = socket(AF_INET, SOCK_STREAM, 0)) >= 0 && listen(idle, 1) == 0);
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        for (int restart = 0; restart < 2; restart++)
            IN_CHILD(interrupted(i, restart));
    /* a write that has moved something tells how much */
    IN_CHILD({
        struct sigaction sa = {.sa_handler = handler};
        struct itimerval every = {{0, 3000}, {0, 3000}};
        sigaction(SIGALRM, &sa, NULL);
        setitimer(ITIMER_REAL, &every, NULL);
        long n = do_write();
        CHECK(n >= 4096 && n < 1 << 20);
        CHECK_ERRNO(do_write(), EINTR);
    });
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return after_exec();
    test_errors();
    test_altstack();
    test_queue();
    test_delivery();
    test_flags();
    test_ignoring();
    test_threads();
    test_exec();
    test_interruptions();
    puts("ok");
    return 0;
}
