/* SPDX-License-Identifier: MIT */
/*
 * The clock that AT_SYSINFO_EHDR leads to, looked up as C libraries do, agrees with the call, for
 * each clock; signals that interrupt it do no harm.
 */
#include "check.h"

#include <elf.h>
#include <signal.h>
#include <sys/auxv.h>
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
