/* SPDX-License-Identifier: MIT */
/*
 * timer_create(2) and its relatives, setitimer(2), alarm(2), the clocks and sleeping by their man
 * pages: what is told, what goes over fork and exec, and every error.
 */
#include "child.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>

static void test_errors(void)
{
    timer_t id;
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec t = {{0, 0}, {100, 0}}, was;
    CHECK_ERRNO(timer_create(77, &e, &id), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, (void *)8, &id), EFAULT);
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, (void *)8), EFAULT);
    e.sigev_signo = 65;
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id), EINVAL);
    e.sigev_signo = SIGUSR1;
    e.sigev_notify = 77;
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id), EINVAL);
    int raw;
    e.sigev_notify = SIGEV_NONE;
    CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &raw) == 0);
    CHECK_ERRNO(syscall(SYS_timer_settime, raw + 1000, 0, &t, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_settime, raw, 0, NULL, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_settime, raw, 0, (void *)8, NULL), EFAULT);
    t.it_value.tv_nsec = 1000000000;
    CHECK_ERRNO(syscall(SYS_timer_settime, raw, 0, &t, NULL), EINVAL);
    t.it_value = (struct timespec){-1, 0};
    CHECK_ERRNO(syscall(SYS_timer_settime, raw, 0, &t, NULL), EINVAL);
    t.it_value = (struct timespec){100, 0};
    t.it_interval.tv_nsec = -1;
    CHECK_ERRNO(syscall(SYS_timer_settime, raw, 0, &t, NULL), EINVAL);
    t.it_interval.tv_nsec = 5;
    CHECK(syscall(SYS_timer_gettime, raw, &was) == 0 && was.it_value.tv_sec == 0 &&
          was.it_value.tv_nsec == 0);
    CHECK(syscall(SYS_timer_settime, raw, 0, &t, NULL) == 0);
    CHECK(syscall(SYS_timer_gettime, raw, &was) == 0 && was.it_value.tv_sec >= 98 &&
          was.it_interval.tv_nsec == 5);
    memset(&t, 0, sizeof t);
    CHECK(syscall(SYS_timer_settime, raw, 0, &t, &was) == 0 && was.it_value.tv_sec >= 98);
    CHECK(syscall(SYS_timer_getoverrun, raw) == 0);
    CHECK_ERRNO(syscall(SYS_timer_gettime, raw, (void *)8), EFAULT);
    CHECK(syscall(SYS_timer_delete, raw) == 0);
    CHECK_ERRNO(syscall(SYS_timer_delete, raw), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_gettime, raw, &was), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_getoverrun, raw), EINVAL);
}

static void test_signals(void)
{
    timer_t id;
    sigset_t set;
    siginfo_t info;
    struct sigevent e = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 1234};
    struct itimerspec t = {{0, 0}, {0, 1}};
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &id) == 0);
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_code == SI_TIMER &&
          info.si_value.sival_int == 1234 && info.si_overrun == 0);
    /* one that comes again: what nobody took is counted */
    t.it_interval.tv_nsec = 1000000;
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    sleep_ms(30);
    CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_overrun >= 5);
    CHECK(timer_getoverrun(id) == info.si_overrun);
    /* in the past, by a clock */
    struct itimerspec past = {{0, 0}, {1, 0}};
    CHECK(timer_settime(id, TIMER_ABSTIME, &past, NULL) == 0);
    CHECK(sigwaitinfo(&set, &info) == SIGRTMIN);
    CHECK(timer_delete(id) == 0);
    /* without a sigevent: SIGALRM */
    CHECK(timer_create(CLOCK_REALTIME, NULL, &id) == 0);
    t.it_interval.tv_nsec = 0;
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    CHECK(sigwaitinfo(&set, &info) == SIGALRM && info.si_code == SI_TIMER);
    /* a child has no timers */
    t.it_value = (struct timespec){50, 0};
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    CHECK(timer_delete(id) == 0);
    CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &(int){0}) == 0);
    IN_CHILD(CHECK_ERRNO(syscall(SYS_timer_delete, 0), EINVAL));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static volatile int ran;
static pthread_t main_thread;

static void in_thread(union sigval v)
{
    ran = v.sival_int;
    CHECK(!pthread_equal(pthread_self(), main_thread));
}

static void test_thread(void)
{
    timer_t id;
    struct sigevent e = {.sigev_notify = SIGEV_THREAD,
                         .sigev_notify_function = in_thread,
                         .sigev_value.sival_int = 55};
    struct itimerspec t = {{0, 0}, {0, 1000000}};
    main_thread = pthread_self();
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &id) == 0);
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    while (ran != 55)
        sleep_ms(1);
    CHECK(timer_delete(id) == 0);
}

static volatile int alarms;

static void on_alarm(int sig)
{
    (void)sig;
    alarms++;
}

static void test_itimers(void)
{
    struct itimerval t = {{0, 0}, {100, 500000}}, was, off = {{0, 0}, {0, 0}};
    CHECK_ERRNO(setitimer(77, &t, NULL), EINVAL);
    CHECK_ERRNO(getitimer(-1, &was), EINVAL);
    CHECK_ERRNO(syscall(SYS_setitimer, ITIMER_REAL, (void *)8, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_getitimer, ITIMER_REAL, (void *)8), EFAULT);
    t.it_value.tv_usec = 1000000;
    CHECK_ERRNO(setitimer(ITIMER_REAL, &t, NULL), EINVAL);
    t.it_value.tv_usec = -1;
    CHECK_ERRNO(setitimer(ITIMER_REAL, &t, NULL), EINVAL);
    t.it_value.tv_usec = 500000;
    CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
    CHECK(getitimer(ITIMER_REAL, &was) == 0 && was.it_value.tv_sec >= 98 &&
          was.it_value.tv_sec <= 100 && was.it_interval.tv_sec == 0);
    IN_CHILD(CHECK(getitimer(ITIMER_REAL, &was) == 0 && was.it_value.tv_sec == 0 &&
                   was.it_value.tv_usec == 0)); /* not inherited */
    CHECK(alarm(50) >= 99);                     /* the same timer; rounded up */
    CHECK(setitimer(ITIMER_REAL, &off, &was) == 0 && was.it_value.tv_sec >= 48 &&
          was.it_value.tv_sec <= 50);
    CHECK(alarm(0) == 0);
    signal(SIGALRM, on_alarm);
    t = (struct itimerval){{0, 2000}, {0, 2000}};
    CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
    while (alarms < 3)
        pause();
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
    /* by the time that is used */
    signal(SIGVTALRM, on_alarm);
    signal(SIGPROF, on_alarm);
    alarms = 0;
    t = (struct itimerval){{0, 0}, {0, 10000}};
    CHECK(setitimer(ITIMER_VIRTUAL, &t, NULL) == 0);
    while (!alarms)
        ;
    alarms = 0;
    CHECK(setitimer(ITIMER_PROF, &t, NULL) == 0);
    while (!alarms)
        ;
    signal(SIGALRM, SIG_DFL), signal(SIGVTALRM, SIG_DFL), signal(SIGPROF, SIG_DFL);
}

static void test_clocks(void)
{
    struct timespec a, b, bad = {0, 1000000000}, negative = {-1, 0};
    static const clockid_t clocks[] = {CLOCK_REALTIME,           CLOCK_MONOTONIC,
                                       CLOCK_MONOTONIC_RAW,      CLOCK_BOOTTIME,
                                       CLOCK_REALTIME_COARSE,    CLOCK_MONOTONIC_COARSE,
                                       CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        CHECK(clock_gettime(clocks[i], &a) == 0 && clock_gettime(clocks[i], &b) == 0);
        CHECK(b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec));
        CHECK(clock_getres(clocks[i], &a) == 0 && a.tv_sec == 0 && a.tv_nsec > 0);
        CHECK(clock_getres(clocks[i], NULL) == 0);
    }
    CHECK_ERRNO(clock_gettime(77, &a), EINVAL);
    CHECK_ERRNO(clock_getres(77, &a), EINVAL);
    CHECK_ERRNO(clock_settime(CLOCK_MONOTONIC, &a), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, &bad), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_REALTIME, (void *)8), EFAULT);
    CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, (void *)8), EFAULT);
    IN_CHILD({
        if (geteuid() == 0)
            CHECK(setuid(65534) == 0);
        CHECK(clock_gettime(CLOCK_REALTIME, &a) == 0);
        CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &a), EPERM);
    });
    CHECK_ERRNO(nanosleep(&bad, NULL), EINVAL);
    CHECK_ERRNO(nanosleep(&negative, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_nanosleep, (void *)8, NULL), EFAULT);
    CHECK(clock_nanosleep(77, 0, &bad, NULL) == EINVAL);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL) == EINVAL);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){0, 0}, NULL) == 0);
    CHECK_ERRNO(syscall(SYS_times, (void *)8), EFAULT);
    CHECK_ERRNO(syscall(SYS_gettimeofday, (void *)8, NULL), EFAULT);
    struct tms t;
    CHECK(times(&t) != (clock_t)-1);
}

int main(void)
{
    test_errors();
    test_signals();
    test_thread();
    test_itimers();
    test_clocks();
    puts("ok");
    return 0;
}
