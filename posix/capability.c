/* SPDX-License-Identifier: MIT */
/*
 * Capabilities as programs see them: by capabilities(7) for a system on which they always follow
 * the user. Root has all that there are, others have none, and nothing else can be had, so what
 * asks for something in between is refused with EPERM. A program that gives up what it does not
 * need must hear that it still has it.
 */
#include "file.h"

#define CAPABILITIES 41u
#define ALL          ((1ull << CAPABILITIES) - 1)

#define VERSION_1 0x19980330u
#define VERSION_2 0x20071026u
#define VERSION_3 0x20080522u

struct sets {
    uint64_t effective, permitted, inheritable;
};

struct linux_cap_word { /* 32 capabilities, from the lower ones on */
    uint32_t effective, permitted, inheritable;
};

struct linux_cap_header {
    uint32_t version;
    int32_t pid;
};

/* How many words the header's version has. */
static long take_header(struct linux_cap_header *h, void *user, uint32_t *words)
{
    if (px_copy_in(h, user, sizeof(*h)) < 0) {
        return -EFAULT;
    }
    *words = h->version == VERSION_1                              ? 1
             : h->version == VERSION_2 || h->version == VERSION_3 ? 2
                                                                  : 0;
    if (!*words) {
        return px_store32(user, VERSION_3) < 0 ? -EFAULT : -EINVAL;
    }
    return 0;
}

static bool is_own(int32_t pid)
{
    return pid == 0 || (uint32_t)pid == px_proc()->pid;
}

/* Who is root in one of his ids can be so in the effective one again: he keeps what is permitted.
 */
static struct sets own_sets(void)
{
    const struct px_process *p = px_proc();
    return (struct sets){.effective = p->euid == 0 ? ALL : 0,
                         .permitted = p->uid == 0 || p->euid == 0 || p->suid == 0 ? ALL : 0};
}

static long sets_of(int32_t pid, struct sets *s)
{
    char path[24] = "/proc/", digits[12];
    struct io_stat st;
    if (is_own(pid)) {
        *s = own_sets();
        return 0;
    }
    if (pid < 0) {
        return -EINVAL;
    }
    size_t n = 0, at = strlen(path);
    for (uint32_t left = (uint32_t)pid; left; left /= 10) {
        digits[n++] = (char)('0' + left % 10);
    }
    while (n) {
        path[at++] = digits[--n];
    }
    if (px_stat_at(AT_FDCWD, path, 0, &st) < 0) {
        return -ESRCH;
    }
    *s = (struct sets){.effective = st.uid == 0 ? ALL : 0, .permitted = st.uid == 0 ? ALL : 0};
    return 0;
}

long px_sys_capget(void *header, void *data)
{
    struct linux_cap_header h;
    struct linux_cap_word out[2];
    struct sets s;
    uint32_t words;
    long status = take_header(&h, header, &words);
    if (status < 0) {
        return status == -EINVAL && !data ? 0 : status;
    }
    status = sets_of(h.pid, &s);
    if (status < 0 || !data) {
        return status;
    }
    for (uint32_t i = 0; i < words; i++) {
        out[i] = (struct linux_cap_word){.effective = (uint32_t)(s.effective >> 32 * i),
                                         .permitted = (uint32_t)(s.permitted >> 32 * i),
                                         .inheritable = (uint32_t)(s.inheritable >> 32 * i)};
    }
    return px_copy_out(data, out, words * sizeof(out[0]));
}

long px_sys_capset(void *header, const void *data)
{
    struct linux_cap_header h;
    struct linux_cap_word in[2] = {{0}, {0}};
    const struct sets own = own_sets();
    uint32_t words;
    long status = take_header(&h, header, &words);
    if (status < 0) {
        return status;
    }
    if (!is_own(h.pid)) {
        return -EPERM;
    }
    if (px_copy_in(in, data, words * sizeof(in[0])) < 0) {
        return -EFAULT;
    }
    struct sets s = {.effective = in[0].effective | (uint64_t)in[1].effective << 32,
                     .permitted = in[0].permitted | (uint64_t)in[1].permitted << 32,
                     .inheritable = in[0].inheritable | (uint64_t)in[1].inheritable << 32};
    bool same = (s.effective & ALL) == own.effective && (s.permitted & ALL) == own.permitted &&
                (s.inheritable & ALL) == own.inheritable;
    return same ? 0 : -EPERM;
}

/* ---- prctl ---- */

#define PR_GET_KEEPCAPS          7
#define PR_SET_KEEPCAPS          8
#define PR_CAPBSET_READ          23
#define PR_CAPBSET_DROP          24
#define PR_GET_SECUREBITS        27
#define PR_SET_SECUREBITS        28
#define PR_CAP_AMBIENT           47
#define PR_CAP_AMBIENT_IS_SET    1
#define PR_CAP_AMBIENT_RAISE     2
#define PR_CAP_AMBIENT_LOWER     3
#define PR_CAP_AMBIENT_CLEAR_ALL 4

/* The ambient set is empty and stays so: nothing here gives a program more than its user has. */
static long ambient(unsigned long operation, unsigned long capability, unsigned long c,
                    unsigned long d)
{
    if (c || d || capability > (operation == PR_CAP_AMBIENT_CLEAR_ALL ? 0 : CAPABILITIES - 1)) {
        return -EINVAL;
    }
    switch (operation) {
    case PR_CAP_AMBIENT_IS_SET:
    case PR_CAP_AMBIENT_LOWER:
    case PR_CAP_AMBIENT_CLEAR_ALL:
        return 0;
    case PR_CAP_AMBIENT_RAISE:
        return -EPERM;
    default:
        return -EINVAL;
    }
}

static long keep(unsigned long value)
{
    if (value > 1) {
        return -EINVAL;
    }
    px_proc()->attributes.keep_caps = (uint8_t)value;
    return 0;
}

long px_capability_control(int option, unsigned long a, unsigned long b, unsigned long c,
                           unsigned long d)
{
    bool root = px_proc()->euid == 0;
    switch (option) {
    case PR_GET_KEEPCAPS:
        return px_proc()->attributes.keep_caps;
    case PR_SET_KEEPCAPS:
        return keep(a);
    case PR_CAPBSET_READ:
        return a < CAPABILITIES ? 1 : -EINVAL;
    case PR_CAPBSET_DROP:
        return root && a >= CAPABILITIES ? -EINVAL : -EPERM;
    case PR_GET_SECUREBITS:
        return 0;
    case PR_SET_SECUREBITS:
        return root && a == 0 ? 0 : -EPERM;
    case PR_CAP_AMBIENT:
        return ambient(a, b, c, d);
    default:
        return -EINVAL;
    }
}
