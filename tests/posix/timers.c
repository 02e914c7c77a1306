/* SPDX-License-Identifier: MIT */
/* Interval timers, alarm, POSIX timers with each kind of notification, sleeping, clocks. */
#include "check.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* glibc */
#endif

static volatile sig_atomic_t count, last_code, last_value, last_overrun, most_overruns;

static void note(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    count++;
    last_code = info->si_code;
    last_value = info->si_value.sival_int;
    last_overrun = info->si_code == SI_TIMER ? info->si_overrun : 0;
    if (last_overrun > most_overruns)
        most_overruns = last_overrun;
}

static void handle(int sig)
{
    struct sigaction a = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(sig, &a, NULL) == 0);
}

static void wait_for(int n)
{
    double limit = seconds_now() + 10;
    while (count < n) {
        pause();
        CHECK(seconds_now() < limit);
    }
}

static void burn(int n)
{
    double limit = seconds_now() + 20;
    while (count < n)
        CHECK(seconds_now() < limit);
}

static void test_clocks(void)
{
    struct timespec a, b, r;
    for (int clock = 0; clock <= 7; clock++) {
        CHECK(clock_gettime(clock, &a) == 0);
        for (int i = 0; i < 1000; i++) {
            CHECK(clock_gettime(clock, &b) == 0);
            CHECK(b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec));
            CHECK(b.tv_nsec >= 0 && b.tv_nsec < 1000000000);
            a = b;
        }
        CHECK(clock_getres(clock, &r) == 0 && r.tv_sec == 0 && r.tv_nsec >= 1);
    }
    CHECK_ERRNO(clock_gettime(55, &a), EINVAL);
    CHECK_ERRNO(clock_getres(55, &a), EINVAL);
    CHECK(time(NULL) > 1600000000);
    struct timeval tv;
    CHECK(gettimeofday(&tv, NULL) == 0 && tv.tv_usec < 1000000 &&
          labs((long)(tv.tv_sec - time(NULL))) <= 1);
    clockid_t id;
    CHECK0(pthread_getcpuclockid(pthread_self(), &id));
    CHECK(clock_gettime(id, &a) == 0);
    CHECK0(clock_getcpuclockid(0, &id));
    CHECK(clock_gettime(id, &b) == 0);
    struct tms t;
    CHECK(times(&t) != (clock_t)-1);
    struct rusage u;
    CHECK(getrusage(RUSAGE_SELF, &u) == 0 && getrusage(RUSAGE_THREAD, &u) == 0);
    CHECK_ERRNO(getrusage(77, &u), EINVAL);
    /* CPU time grows while burning, not while sleeping */
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    for (double until = seconds_now() + 0.1; seconds_now() < until;)
        ;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    double used = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
    CHECK(used > 0.01);
    sleep_ms(100);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    used = (double)(a.tv_sec - b.tv_sec) + (double)(a.tv_nsec - b.tv_nsec) / 1e9;
    CHECK(used < 0.08);
}

static void test_sleep(void)
{
    struct timespec t = {0, 50000000}, bad = {0, -1}, now;
    double start = seconds_now();
    CHECK(nanosleep(&t, NULL) == 0);
    CHECK(seconds_now() - start >= 0.0499);
    CHECK_ERRNO(nanosleep(&bad, NULL), EINVAL);
    start = seconds_now();
    clock_gettime(CLOCK_MONOTONIC, &now);
    now.tv_nsec += 30000000;
    now.tv_sec += now.tv_nsec / 1000000000;
    now.tv_nsec %= 1000000000;
    CHECK0(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &now, NULL));
    CHECK(seconds_now() - start >= 0.0299);
    CHECK0(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &now, NULL)); /* past */
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_nsec += 30000000;
    now.tv_sec += now.tv_nsec / 1000000000;
    now.tv_nsec %= 1000000000;
    start = seconds_now();
    CHECK0(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &now, NULL));
    CHECK(seconds_now() - start >= 0.028);
    CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL) == EINVAL);
    CHECK(usleep(1000) == 0);
}

static void test_itimer(void)
{
    struct itimerval it = {{0, 0}, {0, 30000}}, now, old;
    handle(SIGALRM);
    count = 0;
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    CHECK(getitimer(ITIMER_REAL, &now) == 0 && now.it_value.tv_sec == 0 &&
          now.it_value.tv_usec <= 30000 && now.it_value.tv_usec > 0);
    wait_for(1);
    CHECK(last_code == SI_KERNEL);
    CHECK(getitimer(ITIMER_REAL, &now) == 0 && now.it_value.tv_usec == 0);
    it.it_interval.tv_usec = 5000;
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    wait_for(6);
    it = (struct itimerval){{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &it, &old) == 0 && old.it_interval.tv_usec == 5000);
    int after = count;
    sleep_ms(30);
    CHECK(count == after);
    CHECK(alarm(100) == 0);
    CHECK(alarm(1) == 100);
    count = 0;
    double start = seconds_now();
    wait_for(1);
    CHECK(seconds_now() - start > 0.9);
    CHECK_ERRNO(setitimer(7, &it, NULL), EINVAL);
    it.it_value.tv_usec = 1000000;
    CHECK_ERRNO(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
    /* CPU time */
    handle(SIGPROF);
    handle(SIGVTALRM);
    it = (struct itimerval){{0, 0}, {0, 30000}};
    count = 0;
    CHECK(setitimer(ITIMER_PROF, &it, NULL) == 0);
    burn(1);
    CHECK(setitimer(ITIMER_VIRTUAL, &it, NULL) == 0);
    burn(2);
}

static void arm(timer_t t, long value_ms, long interval_ms, int flags)
{
    struct itimerspec s = {{interval_ms / 1000, interval_ms % 1000 * 1000000},
                           {value_ms / 1000, value_ms % 1000 * 1000000}};
    CHECK(timer_settime(t, flags, &s, NULL) == 0);
}

static atomic_int called;
static pthread_t caller;

static void notify(union sigval v)
{
    CHECK(v.sival_int == 17);
    CHECK(!pthread_equal(pthread_self(), caller));
    atomic_fetch_add(&called, 1);
}

static void test_posix_timers(void)
{
    timer_t t;
    struct sigevent e = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2, .sigev_value.sival_int = 42};
    struct itimerspec s;
    handle(SIGRTMIN + 2);
    count = 0;
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
    arm(t, 20, 0, 0);
    CHECK(timer_gettime(t, &s) == 0 && s.it_value.tv_nsec > 0);
    wait_for(1);
    CHECK(last_code == SI_TIMER && last_value == 42);
    CHECK(timer_gettime(t, &s) == 0 && s.it_value.tv_nsec == 0 && s.it_value.tv_sec == 0);
    /* overruns: blocked for a while */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    arm(t, 5, 5, 0);
    sleep_ms(60);
    count = most_overruns = 0;
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK(count >= 1 && most_overruns >= 3);
    CHECK(timer_getoverrun(t) >= 0);
    arm(t, 0, 0, 0);
    CHECK(timer_delete(t) == 0);
    CHECK_ERRNO(syscall(SYS_timer_delete, 12345), EINVAL);
    e.sigev_signo = 99;
    CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, &e, &t), EINVAL);
    /* to this thread */
    e = (struct sigevent){
        .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 2, .sigev_value.sival_int = 43};
    e.sigev_notify_thread_id = (int)syscall(SYS_gettid);
    CHECK(timer_create(CLOCK_REALTIME, &e, &t) == 0);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    s = (struct itimerspec){.it_value = {now.tv_sec, now.tv_nsec + 20000000}};
    s.it_value.tv_sec += s.it_value.tv_nsec / 1000000000;
    s.it_value.tv_nsec %= 1000000000;
    count = 0;
    CHECK(timer_settime(t, TIMER_ABSTIME, &s, NULL) == 0);
    wait_for(1);
    CHECK(last_value == 43);
    CHECK(timer_delete(t) == 0);
    /* nothing */
    e = (struct sigevent){.sigev_notify = SIGEV_NONE};
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
    arm(t, 10, 0, 0);
    sleep_ms(20);
    CHECK(timer_gettime(t, &s) == 0 && s.it_value.tv_sec == 0 && s.it_value.tv_nsec == 0);
    CHECK(timer_delete(t) == 0);
    /* a thread */
    caller = pthread_self();
    e = (struct sigevent){
        .sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify, .sigev_value.sival_int = 17};
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
    arm(t, 5, 5, 0);
    double limit = seconds_now() + 10;
    while (atomic_load(&called) < 5) {
        sleep_ms(1);
        CHECK(seconds_now() < limit);
    }
    CHECK(timer_delete(t) == 0);
    /* CPU time of the process */
    e = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
    CHECK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &e, &t) == 0);
    count = 0;
    arm(t, 20, 0, 0);
    burn(1);
    CHECK(timer_delete(t) == 0);
    /* many at once */
    timer_t many[100];
    count = 0;
    e.sigev_value.sival_int = 1;
    for (int i = 0; i < 100; i++) {
        CHECK(timer_create(CLOCK_MONOTONIC, &e, &many[i]) == 0);
        arm(many[i], 1 + i % 20, 0, 0);
    }
    double until = seconds_now() + 10;
    while (count < 100) {
        sleep_ms(1);
        CHECK(seconds_now() < until);
    }
    for (int i = 0; i < 100; i++)
        CHECK(timer_delete(many[i]) == 0);
}

/*
 * Timers go on though the signal of one could not be told from another's, was ignored, or was
 * thrown away.
 */
static volatile sig_atomic_t of_timer[4];

static void note_timer(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    if (info->si_code == SI_TIMER)
        of_timer[info->si_value.sival_int]++;
}

static timer_t periodic(int sig, int value)
{
    timer_t t;
    struct sigevent e = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig, .sigev_value.sival_int = value};
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
    arm(t, 5, 5, 0);
    return t;
}

static void goes_on(int value)
{
    int before = of_timer[value];
    double limit = seconds_now() + 10;
    while (of_timer[value] < before + 5) {
        sleep_ms(1);
        CHECK(seconds_now() < limit);
    }
}

static void test_lost_signals(void)
{
    struct sigaction on = {.sa_sigaction = note_timer, .sa_flags = SA_SIGINFO},
                     off = {.sa_handler = SIG_IGN};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(sigaction(SIGUSR1, &on, NULL) == 0);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK(kill(getpid(), SIGUSR1) == 0); /* pending before both */
    timer_t a = periodic(SIGUSR1, 1), b = periodic(SIGUSR1, 2);
    sleep_ms(30);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    goes_on(1);
    goes_on(2);
    CHECK(sigaction(SIGUSR1, &off, NULL) == 0); /* dropped when sent */
    sleep_ms(30);
    CHECK(sigaction(SIGUSR1, &on, NULL) == 0);
    goes_on(1);
    sigprocmask(SIG_BLOCK, &set, NULL); /* dropped when queued */
    sleep_ms(30);
    CHECK(sigaction(SIGUSR1, &off, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &on, NULL) == 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    goes_on(1);
    goes_on(2);
    /* a deleted timer's signal is not taken for its successor's */
    sigprocmask(SIG_BLOCK, &set, NULL);
    sleep_ms(30);
    CHECK(timer_delete(a) == 0 && timer_delete(b) == 0);
    a = periodic(SIGUSR1, 3);
    arm(a, 1, 0, 0);
    sleep_ms(30);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK(of_timer[3] == 1);
    CHECK(timer_delete(a) == 0);
}

int main(void)
{
    test_clocks();
    test_sleep();
    test_itimer();
    test_posix_timers();
    test_lost_signals();
    return 0;
}
