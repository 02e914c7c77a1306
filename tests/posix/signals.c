/* SPDX-License-Identifier: MIT */
/*
 * Signals within one process: actions, masks, queues, stacks, contexts, faults, waiting,
 * restarting.
 */
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile sig_atomic_t count, last_signal, last_code, last_value, order[32], ordered;
static void *volatile last_address;
static volatile pthread_t last_thread;

static void note(int sig, siginfo_t *info, void *context)
{
    (void)context;
    last_signal = sig;
    last_code = info->si_code;
    last_value = info->si_value.sival_int;
    last_address = info->si_addr;
    last_thread = pthread_self();
    if (ordered < 32)
        order[ordered++] = sig;
    count++; /* last: another thread may wait for it, and then reads the others */
}

static void handle(int sig, void (*f)(int, siginfo_t *, void *), int flags)
{
    struct sigaction a = {.sa_sigaction = f, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&a.sa_mask);
    CHECK(sigaction(sig, &a, NULL) == 0);
}

static void default_action(int sig)
{
    signal(sig, SIG_DFL);
}

static sigset_t set_of(int sig)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, sig);
    return s;
}

static void test_raise(void)
{
    handle(SIGUSR1, note, 0);
    count = 0;
    CHECK(raise(SIGUSR1) == 0);
    CHECK(count == 1 && last_signal == SIGUSR1 && last_code == SI_TKILL);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK(count == 2 && last_code == SI_USER);
    CHECK(kill(getpid(), 0) == 0);
    CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0 && count == 3);
    for (int i = 0; i < 10000; i++)
        raise(SIGUSR1);
    CHECK(count == 10003);
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK_ERRNO(kill(getpid(), -1), EINVAL);
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    CHECK(count == 10003);
    default_action(SIGUSR1);
    raise(SIGCHLD); /* ignored by default */
    raise(SIGURG);
    raise(SIGWINCH);
    raise(SIGCONT);
}

static void test_actions(void)
{
    struct sigaction a = {.sa_handler = SIG_IGN}, old;
    CHECK_ERRNO(sigaction(SIGKILL, &a, NULL), EINVAL);
    CHECK_ERRNO(sigaction(SIGSTOP, &a, NULL), EINVAL);
    CHECK_ERRNO(sigaction(0, &a, NULL), EINVAL);
    CHECK_ERRNO(sigaction(65, &a, NULL), EINVAL);
    handle(SIGUSR1, note, SA_RESTART | SA_NODEFER);
    CHECK(sigaction(SIGUSR1, NULL, &old) == 0);
    CHECK(old.sa_sigaction == note && (old.sa_flags & (SA_RESTART | SA_NODEFER | SA_SIGINFO)) ==
                                          (SA_RESTART | SA_NODEFER | SA_SIGINFO));
    handle(SIGUSR1, note, SA_RESETHAND);
    count = 0;
    raise(SIGUSR1);
    CHECK(count == 1);
    CHECK(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
}

static void test_masks(void)
{
    sigset_t set = set_of(SIGUSR1), old, pending;
    handle(SIGUSR1, note, 0);
    count = 0;
    CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0 && !sigismember(&old, SIGUSR1));
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK(count == 0);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) &&
          !sigismember(&pending, SIGUSR2));
    CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK(count == 1); /* a standard signal is kept once */
    CHECK_ERRNO(sigprocmask(99, &set, NULL), EINVAL);
    sigfillset(&set);
    CHECK(sigprocmask(SIG_SETMASK, &set, &old) == 0);
    CHECK(sigprocmask(SIG_SETMASK, &old, &set) == 0);
    CHECK(!sigismember(&set, SIGKILL) && !sigismember(&set, SIGSTOP) && sigismember(&set, SIGTERM));
    /* ignored while blocked: forgotten when the action becomes SIG_IGN */
    set = set_of(SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
    handle(SIGUSR1, note, 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK(count == 1);
}

static volatile int depth, max_depth, runs;

static void nest(int sig)
{
    depth++;
    if (depth > max_depth)
        max_depth = depth;
    if (runs++ < 3)
        raise(sig);
    depth--;
}

static void test_nesting(void)
{
    struct sigaction a = {.sa_handler = nest};
    sigaction(SIGUSR1, &a, NULL);
    depth = max_depth = runs = 0;
    raise(SIGUSR1);
    CHECK(max_depth == 1); /* the second one waits for the first handler to end */
    a.sa_flags = SA_NODEFER;
    sigaction(SIGUSR1, &a, NULL);
    depth = max_depth = runs = 0;
    raise(SIGUSR1);
    CHECK(max_depth == 4);
}

static void test_queue(void)
{
    int rt = SIGRTMIN + 3;
    sigset_t set, old;
    handle(rt, note, 0);
    handle(SIGRTMIN + 1, note, 0);
    handle(SIGUSR2, note, 0);
    sigemptyset(&set);
    sigaddset(&set, rt);
    sigaddset(&set, SIGRTMIN + 1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, &old);
    count = ordered = 0;
    for (int i = 0; i < 5; i++)
        CHECK(sigqueue(getpid(), rt, (union sigval){.sival_int = 100 + i}) == 0);
    CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 7}) == 0);
    raise(SIGUSR2);
    siginfo_t info;
    sigset_t one = set_of(rt);
    CHECK(sigwaitinfo(&one, &info) == rt && info.si_value.sival_int == 100 &&
          info.si_code == SI_QUEUE);
    CHECK(info.si_pid == getpid() && info.si_uid == getuid());
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK(count == 6);
    /*
     * Delivered lowest first, so the handlers run highest first (each interrupts the one before at
     * its start).
     */
    CHECK(last_signal == SIGUSR2 || last_signal == rt);
    int seen[3] = {0};
    for (int i = 0; i < ordered; i++)
        seen[order[i] == rt ? 0 : order[i] == SIGUSR2 ? 1 : 2]++;
    CHECK(seen[0] == 4 && seen[1] == 1 && seen[2] == 1);
}

static void test_wait(void)
{
    sigset_t set = set_of(SIGUSR1), old;
    struct timespec t = {0, 20000000}, bad = {0, 1000000000};
    siginfo_t info;
    sigprocmask(SIG_BLOCK, &set, &old);
    CHECK_ERRNO(sigtimedwait(&set, &info, &t), EAGAIN);
    CHECK_ERRNO(sigtimedwait(&set, &info, &bad), EINVAL);
    raise(SIGUSR1);
    CHECK(sigtimedwait(&set, &info, &t) == SIGUSR1 && info.si_signo == SIGUSR1);
    int sig;
    kill(getpid(), SIGUSR1);
    CHECK(sigwait(&set, &sig) == 0 && sig == SIGUSR1);
    /* a handler of another signal ends it */
    handle(SIGALRM, note, SA_RESTART);
    count = 0;
    struct itimerval it = {.it_value = {0, 20000}};
    setitimer(ITIMER_REAL, &it, NULL);
    struct timespec five = {5, 0};
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &set, &info, &five, 8), EINTR); /* musl calls again */
    CHECK(count == 1);
    /* sigsuspend: the handler runs, the mask comes back */
    raise(SIGUSR1);
    handle(SIGUSR1, note, 0);
    sigset_t none;
    sigemptyset(&none);
    count = 0;
    CHECK_ERRNO(sigsuspend(&none), EINTR);
    CHECK(count == 1 && last_signal == SIGUSR1);
    sigset_t now;
    sigprocmask(SIG_SETMASK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR1));
    sigprocmask(SIG_SETMASK, &old, NULL);
    setitimer(ITIMER_REAL, &it, NULL);
    CHECK_ERRNO(pause(), EINTR);
    CHECK(last_signal == SIGALRM);
    default_action(SIGALRM);
}

/* ---- stacks and contexts ---- */

static char alternate[65536];
static volatile bool on_alternate;

static void where(int sig, siginfo_t *info, void *context)
{
    char here;
    (void)sig;
    (void)info;
    ucontext_t *u = context;
    stack_t now;
    on_alternate = &here >= alternate && &here < alternate + sizeof alternate;
    CHECK(sigaltstack(NULL, &now) == 0);
    CHECK(!on_alternate || (now.ss_flags & SS_ONSTACK));
    CHECK(u->uc_stack.ss_sp == alternate);
    if (on_alternate) {
        stack_t off = {.ss_flags = SS_DISABLE};
        CHECK_ERRNO(sigaltstack(&off, NULL), EPERM);
    }
}

static void test_alternate_stack(void)
{
    stack_t s = {.ss_sp = alternate, .ss_size = sizeof alternate}, old;
    stack_t small = {.ss_sp = alternate, .ss_size = 100};
    CHECK_ERRNO(sigaltstack(&small, NULL), ENOMEM);
    CHECK(sigaltstack(&s, &old) == 0 && (old.ss_flags & SS_DISABLE));
    handle(SIGUSR1, where, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(on_alternate);
    handle(SIGUSR1, where, 0);
    raise(SIGUSR1);
    CHECK(!on_alternate);
    s.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&s, NULL) == 0);
}

static sigjmp_buf jump;

static void leap(int sig, siginfo_t *info, void *context)
{
    note(sig, info, context);
    siglongjmp(jump, 1);
}

/* Faults, each a hundred times, with a jump out of the handler. */
static void test_faults(void)
{
    char *none = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(none != MAP_FAILED && read_only != MAP_FAILED);
    munmap(none + 4096, 4096);
    handle(SIGSEGV, leap, 0);
    handle(SIGFPE, leap, 0);
    handle(SIGILL, leap, 0);
    handle(SIGTRAP, leap, 0);
    for (int i = 0; i < 100; i++) {
        if (!sigsetjmp(jump, 1)) {
            *(volatile char *)(none + 5) = 1;
            FAILED("no fault");
        }
        CHECK(last_signal == SIGSEGV && last_address == none + 5 && last_code == SEGV_ACCERR);
        if (!sigsetjmp(jump, 1)) {
            *(volatile char *)(none + 4097) = 1;
            FAILED("no fault");
        }
        CHECK(last_signal == SIGSEGV && last_address == none + 4097 && last_code == SEGV_MAPERR);
        if (!sigsetjmp(jump, 1)) {
            *(volatile char *)(read_only + 9) = 1;
            FAILED("no fault");
        }
        CHECK(last_signal == SIGSEGV && last_address == read_only + 9 && last_code == SEGV_ACCERR);
        if (!sigsetjmp(jump, 1)) {
            __asm__ volatile("xorl %%edx, %%edx; movl $1, %%eax; xorl %%ecx, %%ecx; divl %%ecx" ::
                                 : "eax", "ecx", "edx");
            FAILED("no fault");
        }
        CHECK(last_signal == SIGFPE && last_code == FPE_INTDIV);
        if (!sigsetjmp(jump, 1)) {
            __asm__ volatile("ud2");
            FAILED("no fault");
        }
        CHECK(last_signal == SIGILL && last_code == ILL_ILLOPN);
        if (!sigsetjmp(jump, 1)) {
            __asm__ volatile("int3");
            FAILED("no fault");
        }
        CHECK(last_signal == SIGTRAP);
        if (!sigsetjmp(jump, 1)) {
            *(volatile char *)0x8000000000000000ul = 1; /* not canonical */
            FAILED("no fault");
        }
        CHECK(last_signal == SIGSEGV);
        if (!sigsetjmp(jump, 1)) {
            __asm__ volatile("hlt");
            FAILED("no fault");
        }
        CHECK(last_signal == SIGSEGV);
        if (!sigsetjmp(jump, 1)) {
            ((void (*)(void))none)();
            FAILED("no fault");
        }
        CHECK(last_signal == SIGSEGV && last_address == none);
    }
    /* calls given bad addresses answer EFAULT instead */
    CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, none), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, none, NULL, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_getrandom, none, 16, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_uname, 0x8000000000000000ul), EFAULT);
    CHECK_ERRNO(syscall(SYS_nanosleep, none, NULL), EFAULT);
    munmap(none, 4096);
    munmap(read_only, 4096);
    default_action(SIGSEGV);
    default_action(SIGFPE);
    default_action(SIGILL);
    default_action(SIGTRAP);
}

/* A stack overflow is caught on the alternate stack. */
__attribute__((noinline)) static int recurse(int n)
{
    volatile char space[4096];
    space[0] = (char)n;
    return n < 1 << 30 ? recurse(n + 1) + space[0] : 0;
}

static void *overflow(void *argument)
{
    static char stack_space[65536];
    stack_t s = {.ss_sp = stack_space, .ss_size = sizeof stack_space};
    CHECK(sigaltstack(&s, NULL) == 0);
    if (!sigsetjmp(jump, 1))
        recurse(0);
    CHECK(last_signal == SIGSEGV);
    return argument;
}

static void test_overflow(void)
{
    pthread_t t;
    handle(SIGSEGV, leap, SA_ONSTACK);
    CHECK0(pthread_create(&t, NULL, overflow, NULL));
    CHECK0(pthread_join(t, NULL));
    default_action(SIGSEGV);
}

/*
 * The handler sees and may change every register; what it does not change survives, floating point
 * included.
 */
static void step_over(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    double a = 1;
    for (int i = 1; i < 20; i++)
        a = a / i + 3;
    last_value = (int)a;
    note(sig, info, context);
    CHECK(u->uc_mcontext.gregs[REG_RBX] == 0x1122334455667788ll);
    u->uc_mcontext.gregs[REG_RCX] = 99;
    u->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
    __asm__ volatile(
        "pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15; fninit" ::
            : "xmm0", "xmm7", "xmm15");
}

static void test_context(void)
{
    handle(SIGILL, step_over, 0);
    uint64_t in[2] = {0x0123456789abcdef, 0xfedcba9876543210}, out[3][2];
    uint64_t rbx, rcx, r15, flags;
    __asm__ volatile("movdqu %[in], %%xmm0; movdqa %%xmm0, %%xmm7; movdqa %%xmm0, %%xmm15\n\t"
                     "movabsq $0x1122334455667788, %%rbx; movq $5, %%rcx; movq $15, %%r15\n\t"
                     "stc; ud2; pushfq; popq %[flags]\n\t"
                     "movq %%rbx, %[rbx]; movq %%rcx, %[rcx]; movq %%r15, %[r15]\n\t"
                     "movdqu %%xmm0, %[o0]; movdqu %%xmm7, %[o1]; movdqu %%xmm15, %[o2]"
                     : [flags] "=&r"(flags), [rbx] "=m"(rbx), [rcx] "=m"(rcx), [r15] "=m"(r15),
                       [o0] "=m"(out[0]), [o1] "=m"(out[1]), [o2] "=m"(out[2])
                     : [in] "m"(in)
                     : "rbx", "rcx", "r15", "xmm0", "xmm7", "xmm15", "cc", "memory");
    CHECK(rbx == 0x1122334455667788 && rcx == 99 && r15 == 15 && (flags & 1));
    for (int i = 0; i < 3; i++)
        CHECK(memcmp(out[i], in, sizeof in) == 0);
    default_action(SIGILL);
}

/* A timer interrupts arithmetic at any instruction; nothing may change. */
static void test_asynchronous(void)
{
    struct itimerval it = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    handle(SIGALRM, note, SA_RESTART);
    count = 0;
    setitimer(ITIMER_REAL, &it, NULL);
    double until = seconds_now() + 0.5;
    unsigned long rounds = 0;
    while (seconds_now() < until) {
        uint64_t a = 88172645463325252ull;
        double d = 0;
        for (int i = 0; i < 1000; i++) {
            a ^= a << 13;
            a ^= a >> 7;
            a ^= a << 17;
            d += 1.0 / (i + 1);
        }
        static uint64_t expected;
        static double expected_d;
        if (!rounds) {
            expected = a;
            expected_d = d;
        }
        CHECK(a == expected && d == expected_d);
        rounds++;
        getppid();
        syscall(SYS_gettid);
    }
    setitimer(ITIMER_REAL, &off, NULL);
    CHECK(count > 5);
    default_action(SIGALRM);
}

/* ---- restarting ---- */

static void test_restart(void)
{
    struct itimerval it = {.it_value = {0, 30000}};
    handle(SIGALRM, note, SA_RESTART);
    count = 0;
    setitimer(ITIMER_REAL, &it, NULL);
    struct timespec t = {1, 0}, left = {9, 9};
    double start = seconds_now();
    CHECK_ERRNO(nanosleep(&t, &left), EINTR); /* never restarted */
    CHECK(count == 1 && left.tv_sec == 0 && left.tv_nsec > 0 && left.tv_nsec < 1000000000);
    CHECK(nanosleep(&left, NULL) == 0);
    CHECK(seconds_now() - start >= 0.999);
    setitimer(ITIMER_REAL, &it, NULL);
    t = (struct timespec){5, 0};
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &left) == EINTR);
    CHECK(left.tv_sec < 5 && (left.tv_sec || left.tv_nsec));
    /* a mutex that waits is not disturbed */
    static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&m);
    setitimer(ITIMER_REAL, &it, NULL);
    CHECK(pthread_mutex_timedlock(&m, &until) == ETIMEDOUT);
    CHECK(count == 3);
    pthread_mutex_unlock(&m);
    default_action(SIGALRM);
}

/* ---- threads ---- */

static pthread_barrier_t barrier;
static volatile bool stop;

static void *target(void *argument)
{
    sigset_t *mask = argument;
    if (mask)
        pthread_sigmask(SIG_BLOCK, mask, NULL);
    pthread_barrier_wait(&barrier);
    while (!stop)
        sleep_ms(1);
    return NULL;
}

static void test_threads(void)
{
    pthread_t t;
    sigset_t set = set_of(SIGUSR1);
    handle(SIGUSR1, note, 0);
    pthread_barrier_init(&barrier, NULL, 2);
    count = 0;
    stop = false;
    CHECK0(pthread_create(&t, NULL, target, NULL));
    pthread_barrier_wait(&barrier);
    for (int i = 1; i <= 50; i++) {
        CHECK0(pthread_kill(t, SIGUSR1));
        while (count < i)
            sched_yield();
        CHECK(pthread_equal(last_thread, t));
    }
    /* a process signal goes to the thread that does not block it */
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGUSR1);
    while (count < 51)
        sched_yield();
    CHECK(pthread_equal(last_thread, t));
    stop = true;
    CHECK0(pthread_join(t, NULL));
    kill(getpid(), SIGUSR1);
    sigset_t pending;
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    CHECK(count == 52 && pthread_equal(last_thread, pthread_self()));
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0x3ffffff0, SIGUSR1), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), -1, SIGUSR1), EINVAL);
}

static uint16_t handler_x87;
static uint32_t handler_mxcsr;

static void note_control(int sig)
{
    (void)sig;
    __asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(handler_x87), "=m"(handler_mxcsr));
}

/*
 * A handler gets the usual control words and an empty x87; what was interrupted gets its own back.
 */
static void test_floating_point(void)
{
    uint16_t usual_x87 = 0x37f, x87 = 0xc7f;
    uint32_t usual_mxcsr = 0x1f80, mxcsr = 0x7f80;
    long double top = 0;
    long result, pid = getpid();
    signal(SIGUSR1, note_control);
    __asm__ volatile("fldcw %[x]; ldmxcsr %[m]; fldpi" : : [x] "m"(x87), [m] "m"(mxcsr));
    result = kill((pid_t)pid, SIGUSR1);
    x87 = 0;
    mxcsr = 0;
    __asm__ volatile("fstpt %[t]; fnstcw %[x]; stmxcsr %[m]"
                     : [t] "=m"(top), [x] "=m"(x87), [m] "=m"(mxcsr));
    __asm__ volatile("fldcw %0; ldmxcsr %1" : : "m"(usual_x87), "m"(usual_mxcsr));
    CHECK(result == 0 && handler_x87 == 0x37f && handler_mxcsr == 0x1f80);
    CHECK(top > 3.14159L && top < 3.1416L && x87 == 0xc7f && mxcsr == 0x7f80);
}

int main(void)
{
    test_raise();
    test_actions();
    test_masks();
    test_nesting();
    test_queue();
    test_wait();
    test_alternate_stack();
    test_faults();
    test_overflow();
    test_context();
    test_floating_point();
    test_asynchronous();
    test_restart();
    test_threads();
    return 0;
}
