/* SPDX-License-Identifier: MIT */
/*
 * reboot(2), for tests/system/power.sh. Each argument is one step; the machine ends at the first
 * that it lets through:
 *   refused   every call that must fail, and how; those that do nothing
 *   others    as another user: all commands are refused, by the I/O server as well
 *   output    64 KiB of output, which must come out whole before the machine ends
 *   fill      the same from a child that goes on writing meanwhile
 *   off, halt, reset, reset2
 */
#include <errno.h>
#include <motor/io.h>
#include <motor/syscall.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAGIC1   0xfee1dead
#define MAGIC2   672274793
#define RESTART2 0xa1b2c3d4
#define KEXEC    0x45584543
#define SUSPEND  0xd000fce2

static int failures;

static long power(unsigned magic1, unsigned magic2, unsigned command, const void *argument)
{
    errno = 0;
    return syscall(SYS_reboot, magic1, magic2, command, argument);
}

static void fails(const char *what, long result, int error)
{
    if (result != -1 || errno != error) {
        printf("FAILED: %s: %ld, errno %d, wanted %d\n", what, result, errno, error);
        failures++;
    }
}

static void refused(void)
{
    fails("first magic", power(MAGIC1 + 1, MAGIC2, RB_POWER_OFF, NULL), EINVAL);
    fails("second magic", power(MAGIC1, MAGIC2 + 1, RB_POWER_OFF, NULL), EINVAL);
    fails("command", power(MAGIC1, MAGIC2, 12345, NULL), EINVAL);
    fails("kexec", power(MAGIC1, MAGIC2, KEXEC, NULL), EINVAL);
    fails("suspend", power(MAGIC1, MAGIC2, SUSPEND, NULL), EINVAL);
    fails("bad string", power(MAGIC1, MAGIC2, RESTART2, (void *)8), EFAULT);
    static const unsigned magics[] = {MAGIC2, 85072278, 369367448, 537993216};
    for (int i = 0; i < 4; i++)
        if (power(MAGIC1, magics[i], RB_DISABLE_CAD, NULL) ||
            power(MAGIC1, magics[i], RB_ENABLE_CAD, NULL)) {
            printf("FAILED: CAD with magic %d: errno %d\n", i, errno);
            failures++;
        }
}

/* Past the runtime, straight to the server: the tty connector is one of the first handles. */
static void ask_server(void)
{
    int connectors = 0;
    for (motor_handle h = 1; h < 256; h++) {
        struct motor_msg open = {.op = IO_TTY_OPEN, .deadline = MOTOR_NEVER};
        open.word[0] = IO_TTY_CONSOLE;
        if (motor_call(h, &open) < 0 || open.status < 0 || open.nhandles != 1)
            continue;
        motor_handle_close(open.handle[0]);
        connectors++;
        for (uint64_t mode = 0; mode < 4; mode++) {
            struct motor_msg off = {.op = IO_POWER, .deadline = MOTOR_NEVER};
            off.word[0] = mode;
            errno = (int)-(motor_call(h, &off) < 0 ? -EIO : off.status);
            fails("the server", -1, EPERM);
        }
    }
    if (!connectors) {
        printf("FAILED: no handle is the tty connector\n");
        failures++;
    }
}

static void others(void)
{
    static const unsigned commands[] = {RB_POWER_OFF, RB_HALT_SYSTEM, RB_AUTOBOOT,
                                        RESTART2,     RB_DISABLE_CAD, 12345};
    pid_t child = fork();
    if (child == 0) {
        if (setgid(65534) || setuid(65534))
            _exit(1);
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
            fails("another user", power(MAGIC1, MAGIC2, commands[i], "x"), EPERM);
        fails("another user's magic", power(0, 0, RB_POWER_OFF, NULL), EPERM);
        ask_server();
        fflush(stdout);
        _exit(failures != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    failures += status != 0;
}

static void output(void)
{
    char line[64];
    for (int i = 0; i < 1024; i++) {
        int n = snprintf(line, sizeof line, "line %04d %053d\n", i, i);
        if (write(1, line, (size_t)n) != n)
            failures++;
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "refused"))
            refused();
        else if (!strcmp(argv[i], "others"))
            others();
        else if (!strcmp(argv[i], "output"))
            output();
        else if (!strcmp(argv[i], "fill") && fork() == 0)
            for (;;)
                write(1, "more\n", 5);
        printf(failures ? "%s: failed\n" : "%s: ok\n", argv[i]);
        fflush(stdout);
        if (failures)
            return 1;
        if (!strcmp(argv[i], "off"))
            reboot(RB_POWER_OFF);
        else if (!strcmp(argv[i], "halt"))
            reboot(RB_HALT_SYSTEM);
        else if (!strcmp(argv[i], "reset"))
            reboot(RB_AUTOBOOT);
        else if (!strcmp(argv[i], "reset2"))
            power(MAGIC1, MAGIC2, RESTART2, "now");
    }
    return 7; /* nothing has ended the machine */
}
