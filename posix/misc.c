/* SPDX-License-Identifier: MIT */
/* Names, system information, prctl and other small calls. */
#include "internal.h"

#include <motor/io.h>

/* ---- names ---- */

struct linux_utsname {
    char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

static void set_string(char *to, size_t size, const char *from)
{
    size_t i = 0;
    for (; i + 1 < size && from[i]; i++) {
        to[i] = from[i];
    }
    to[i] = 0;
}

long px_sys_uname(void *user)
{
    struct linux_utsname u = {0};
    /* programs ask which calls there are, and these are Linux's */
    set_string(u.sysname, sizeof(u.sysname), "Linux");
    set_string(u.release, sizeof(u.release), "6.1.0-motor");
    set_string(u.version, sizeof(u.version), "#1 Motor");
    set_string(u.machine, sizeof(u.machine), "x86_64");
    char names[IO_SYSTEM_NAMES][IO_SYSTEM_NAME_SIZE];
    struct motor_msg msg = {.op = IO_SYSTEM_NAME,
                            .word = {IO_SYSTEM_NAMES},
                            .out = names,
                            .out_size = sizeof(names),
                            .deadline = MOTOR_NEVER};
    long status = px_call(px_proc()->root, &msg);
    if (status < 0) {
        return status;
    }
    memcpy(u.nodename, names[IO_SYSTEM_HOST], sizeof(u.nodename));
    memcpy(u.domainname, names[IO_SYSTEM_DOMAIN], sizeof(u.domainname));
    return px_copy_out(user, &u, sizeof(u));
}

static long set_name(uint64_t which, const void *user, size_t length)
{
    struct motor_msg msg = {.op = IO_SYSTEM_NAME,
                            .word = {which},
                            .in = user,
                            .in_size = length,
                            .deadline = MOTOR_NEVER};
    return px_call(px_proc()->root, &msg);
}

long px_sys_sethostname(const void *name, size_t length)
{
    return set_name(IO_SYSTEM_HOST, name, length);
}

long px_sys_setdomainname(const void *name, size_t length)
{
    return set_name(IO_SYSTEM_DOMAIN, name, length);
}

/* ---- the system ---- */

struct linux_sysinfo {
    int64_t uptime;
    uint64_t loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
    uint16_t procs, pad;
    uint32_t pad2;
    uint64_t totalhigh, freehigh;
    uint32_t mem_unit, pad3;
};
_Static_assert(sizeof(struct linux_sysinfo) == 112, "Linux ABI");

long px_sys_sysinfo(void *user)
{
    struct motor_memory_info memory = {0};
    motor_system_info(MOTOR_SINFO_MEMORY, &memory, sizeof(memory));
    struct linux_sysinfo s = {
        .uptime = (int64_t)(px_now() / 1000000000),
        .totalram = memory.total,
        .freeram = memory.free,
        .procs = (uint16_t)PX_MIN(memory.processes, 65535u),
        .mem_unit = 1,
    };
    return px_copy_out(user, &s, sizeof(s));
}

#define GRND_NONBLOCK 1u
#define GRND_RANDOM   2u
#define GRND_INSECURE 4u

long px_sys_getrandom(void *user, size_t size, unsigned flags)
{
    if ((flags & ~7u) || (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE)) {
        return -EINVAL;
    }
    size = PX_MIN(size, (size_t)INT32_MAX);
    uint8_t block[256];
    for (size_t done = 0; done < size;) {
        size_t n = PX_MIN(size - done, sizeof(block));
        motor_random(block, n, 0);
        if (px_copy_out((char *)user + done, block, n) < 0) {
            return -EFAULT;
        }
        done += n;
        if (done < size && px_interrupted()) {
            return (long)done;
        }
    }
    return (long)size;
}

/*
 * reboot(2). A machine that is halted would only cost its host: HALT is POWER_OFF. There is no
 * Ctrl-Alt-Del whose meaning could be set.
 */
#define REBOOT_MAGIC1  0xfee1deadu
#define REBOOT_MAGIC2  672274793u
#define REBOOT_MAGIC2A 85072278u
#define REBOOT_MAGIC2B 369367448u
#define REBOOT_MAGIC2C 537993216u

#define REBOOT_RESTART   0x01234567u
#define REBOOT_RESTART2  0xa1b2c3d4u
#define REBOOT_HALT      0xcdef0123u
#define REBOOT_POWER_OFF 0x4321fedcu
#define REBOOT_CAD_ON    0x89abcdefu
#define REBOOT_CAD_OFF   0u

static bool reboot_magic(unsigned magic1, unsigned magic2)
{
    return magic1 == REBOOT_MAGIC1 && (magic2 == REBOOT_MAGIC2 || magic2 == REBOOT_MAGIC2A ||
                                       magic2 == REBOOT_MAGIC2B || magic2 == REBOOT_MAGIC2C);
}

long px_sys_reboot(int magic1, int magic2, unsigned command, void *argument)
{
    struct motor_msg msg = {.op = IO_POWER, .deadline = MOTOR_NEVER};
    char text[256];
    if (px_proc()->euid != 0) {
        return -EPERM;
    }
    if (!reboot_magic((unsigned)magic1, (unsigned)magic2)) {
        return -EINVAL;
    }
    switch (command) {
    case REBOOT_CAD_ON:
    case REBOOT_CAD_OFF:
        return 0;
    case REBOOT_RESTART2: /* of a longer string Linux takes the beginning */
        if (px_copy_string(text, argument, sizeof(text)) == -EFAULT) {
            return -EFAULT;
        }
        /* fall through */
    case REBOOT_RESTART:
        msg.word[0] = IO_POWER_RESET;
        break;
    case REBOOT_HALT:
    case REBOOT_POWER_OFF:
        msg.word[0] = IO_POWER_OFF;
        break;
    default:
        return -EINVAL;
    }
    return px_call(px_proc()->tty, &msg);
}

long px_sys_personality(unsigned long persona)
{
    return persona == 0 || (uint32_t)persona == 0xffffffffu ? 0 : -EINVAL;
}

/* ---- prctl ---- */

#define PR_SET_PDEATHSIG       1
#define PR_GET_PDEATHSIG       2
#define PR_GET_DUMPABLE        3
#define PR_SET_DUMPABLE        4
#define PR_SET_NAME            15
#define PR_GET_NAME            16
#define PR_GET_SECCOMP         21
#define PR_SET_TIMERSLACK      29
#define PR_GET_TIMERSLACK      30
#define PR_SET_CHILD_SUBREAPER 36
#define PR_GET_CHILD_SUBREAPER 37
#define PR_SET_NO_NEW_PRIVS    38
#define PR_GET_NO_NEW_PRIVS    39
#define PR_SET_THP_DISABLE     41
#define PR_GET_THP_DISABLE     42

static long set_thread_name(const void *user)
{
    struct px_thread *t = px_self();
    char name[16] = {0};
    long status = px_copy_string(name, user, sizeof(name));
    if (status == -EFAULT) {
        return status;
    }
    name[15] = 0;
    memcpy(t->name, name, sizeof(name));
    if (!t->process->vfork) {
        px_thread_show(t);
    }
    if (t->tid == t->process->pid) {
        memcpy(t->process->name, name, sizeof(name));
        motor_process_set(px_proc_handle(), MOTOR_PSET_NAME, (uint64_t)name);
    }
    return 0;
}

long px_sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    struct px_attributes *flags = &px_proc()->attributes;
    switch (option) {
    case PR_SET_NAME:
        return set_thread_name((void *)a);
    case PR_GET_NAME:
        return px_copy_out((void *)a, px_self()->name, 16);
    case PR_SET_PDEATHSIG:
        if (a > NSIG) {
            return -EINVAL;
        }
        flags->death_signal = (uint8_t)a;
        motor_process_set(px_proc_handle(), MOTOR_PSET_DEATH_SIGNAL, a);
        return 0;
    case PR_GET_PDEATHSIG:
        return px_store32((void *)a, flags->death_signal);
    case PR_GET_DUMPABLE:
        return !flags->not_dumpable;
    case PR_SET_DUMPABLE:
        if (a > 1) {
            return -EINVAL;
        }
        flags->not_dumpable = !a;
        motor_process_set(px_proc_handle(), MOTOR_PSET_SECRET, !a);
        return 0;
    case PR_GET_SECCOMP:
        return 0;
    case PR_SET_TIMERSLACK:
        flags->timer_slack = a;
        return 0;
    case PR_GET_TIMERSLACK:
        return flags->timer_slack ? (long)flags->timer_slack : 50000;
    case PR_SET_CHILD_SUBREAPER:
        flags->subreaper = a != 0;
        motor_process_set(px_proc_handle(), MOTOR_PSET_SUBREAPER, a != 0);
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return px_store32((void *)a, flags->subreaper);
    case PR_SET_NO_NEW_PRIVS:
        if (a != 1 || b || c || d) {
            return -EINVAL;
        }
        flags->no_new_privs = 1;
        motor_process_set(px_proc_handle(), MOTOR_PSET_NO_NEW_PRIVS, 1);
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return flags->no_new_privs;
    case PR_SET_THP_DISABLE:
        return 0;
    case PR_GET_THP_DISABLE:
        return 0;
    default:
        return px_capability_control(option, a, b, c, d);
    }
}
