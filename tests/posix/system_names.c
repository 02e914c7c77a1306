/* SPDX-License-Identifier: MIT */
/* sethostname(2), setdomainname(2) and uname(2): names of the system, not of a process. */
#include "check.h"
#include "child.h"

#include <sched.h>
#include <sys/utsname.h>

/* On Linux in a name space of our own; false: we may not. */
static int is_ours(void)
{
    return geteuid() == 0 && (unshare(CLONE_NEWUTS) == 0 || errno == ENOSYS);
}

static void read_line(const char *path, char *line, int size)
{
    FILE *f = fopen(path, "r");
    CHECK(f && fgets(line, size, f));
    fclose(f);
    line[strcspn(line, "\n")] = 0;
}

static void expect(const char *host, const char *domain)
{
    struct utsname u;
    char line[128];
    CHECK(uname(&u) == 0 && !strcmp(u.nodename, host) && !strcmp(u.domainname, domain));
    CHECK(gethostname(line, sizeof line) == 0 && !strcmp(line, host));
    CHECK(getdomainname(line, sizeof line) == 0 && !strcmp(line, domain));
    read_line("/proc/sys/kernel/hostname", line, sizeof line);
    CHECK(!strcmp(line, host));
    read_line("/proc/sys/kernel/domainname", line, sizeof line);
    CHECK(!strcmp(line, domain));
}

static void test_names(void)
{
    static char *volatile nowhere = (char *)8; /* the compiler need not know */
    char longest[66];
    memset(longest, 'n', 65);
    longest[65] = 0;
    CHECK_ERRNO(sethostname(longest, 65), EINVAL);
    CHECK_ERRNO(setdomainname(longest, 65), EINVAL);
    CHECK_ERRNO(sethostname(nowhere, 4), EFAULT);
    CHECK(sethostname("one.two", 3) == 0 && setdomainname("three", 5) == 0);
    expect("one", "three");
    IN_CHILD(expect("one", "three"); CHECK(sethostname("four", 4) == 0));
    expect("four", "three");
    longest[64] = 0;
    CHECK(sethostname(longest, 64) == 0 && setdomainname(longest, 64) == 0);
    expect(longest, longest);
    CHECK(sethostname("", 0) == 0 && setdomainname("(none)", 6) == 0);
    expect("", "(none)");
    CHECK(sethostname("motor", 5) == 0);
}

static void test_rights(void)
{
    CHECK(setuid(1000) == 0);
    CHECK_ERRNO(sethostname("x", 1), EPERM);
    CHECK_ERRNO(setdomainname("x", 1), EPERM);
    expect("motor", "(none)");
}

int main(void)
{
    static char *volatile nowhere = (char *)8;
    struct utsname u;
    CHECK(uname(&u) == 0 && u.sysname[0] && u.release[0] && u.version[0] && u.machine[0]);
    CHECK_ERRNO(uname((struct utsname *)nowhere), EFAULT);
    if (is_ours()) {
        test_names();
        test_rights();
    }
    puts("ok");
    return 0;
}
