/* SPDX-License-Identifier: MIT */
/*
 * The clock that AT_SYSINFO_EHDR leads to, looked up as C libraries do, agrees with the call, for
 * each clock; signals that interrupt it do no harm.
 */
#include "check.h"

#include <elf.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

typedef int read_clock(clockid_t, struct timespec *);

static read_clock *find(void)
{
    const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
    if (!base)
        return NULL;
    const Elf64_Ehdr *h = (const void *)base;
    const Elf64_Phdr *p = (const void *)(base + h->e_phoff);
    const Elf64_Dyn *d = NULL;
    CHECK(memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_type == ET_DYN);
    for (int i = 0; i < h->e_phnum; i++)
        if (p[i].p_type == PT_DYNAMIC)
            d = (const void *)(base + p[i].p_offset);
    const char *strings = NULL;
    const Elf64_Sym *symbols = NULL;
    const uint32_t *hash = NULL;
    CHECK(d);
    for (; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_STRTAB)
            strings = base + d->d_un.d_ptr;
        else if (d->d_tag == DT_SYMTAB)
            symbols = (const void *)(base + d->d_un.d_ptr);
        else if (d->d_tag == DT_HASH)
            hash = (const void *)(base + d->d_un.d_ptr);
    }
    for (uint32_t i = 0; strings && symbols && hash && i < hash[1]; i++)
        if (!strcmp(strings + symbols[i].st_name, "__vdso_clock_gettime") && symbols[i].st_shndx)
            return (read_clock *)(base + symbols[i].st_value);
    return NULL;
}

static double seconds(struct timespec t)
{
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static volatile int signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

/* It is the program's code: a bad pointer is the program's fault, with a handler like any other. */
static sigjmp_buf after_fault;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    CHECK(info->si_code == SEGV_ACCERR);
    siglongjmp(after_fault, 1);
}

static void test_fault(read_clock *read)
{
    struct timespec *nowhere = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(nowhere != MAP_FAILED);
    sigaction(SIGSEGV, &(struct sigaction){.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, NULL);
    for (volatile int i = 0; i < 3; i++) {
        if (!sigsetjmp(after_fault, 1))
            FAILED("reading the clock gave %d", read(CLOCK_MONOTONIC, nowhere));
    }
    signal(SIGSEGV, SIG_DFL);
}

int main(void)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME,           CLOCK_MONOTONIC,
                                       CLOCK_MONOTONIC_RAW,      CLOCK_BOOTTIME,
                                       CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    read_clock *read = find();
    struct timespec before, now, after;
    if (!read)
        return 0; /* a Linux without one */
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        CHECK(syscall(SYS_clock_gettime, clocks[i], &before) == 0);
        CHECK(read(clocks[i], &now) == 0);
        CHECK(syscall(SYS_clock_gettime, clocks[i], &after) == 0);
        CHECK(seconds(before) <= seconds(now) && seconds(now) <= seconds(after));
        CHECK(now.tv_nsec >= 0 && now.tv_nsec < 1000000000);
    }
    CHECK(read(99, &now) == -EINVAL);
    test_fault(read);

    struct itimerval each = {{0, 1000}, {0, 1000}}, none = {0};
    struct timespec last = {0};
    signal(SIGALRM, on_signal);
    CHECK(setitimer(ITIMER_REAL, &each, NULL) == 0);
    while (signals < 100) {
        CHECK(read(CLOCK_MONOTONIC, &now) == 0);
        CHECK(seconds(now) >= seconds(last));
        last = now;
    }
    CHECK(setitimer(ITIMER_REAL, &none, NULL) == 0);
    return 0;
}
