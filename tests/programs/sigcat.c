/* SPDX-License-Identifier: MIT */
/*
 * cat under a storm of signals: every byte comes through once, whatever a signal interrupts and
 * SA_RESTART begins again.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

static volatile long signals;

static void on_alarm(int signal)
{
    (void)signal;
    signals++;
}

int main(void)
{
    static char buffer[777];
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 300}, {0, 300}};
    ssize_t n;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    while ((n = read(0, buffer, sizeof buffer)) > 0) {
        for (ssize_t done = 0; done < n;) {
            ssize_t written = write(1, buffer + done, (size_t)(n - done));
            if (written < 0)
                return 2;
            done += written;
        }
    }
    fprintf(stderr, "%ld signals\n", signals);
    return n < 0 || signals < 10;
}
