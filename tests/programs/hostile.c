/* SPDX-License-Identifier: MIT */
/*
 * A program that means harm: hostile MODE SEED SECONDS. It may only ever harm itself;
 * tests/system/hostile.sh runs it beside nginx.
 *
 *   motor    random Motor system calls with random arguments, from several threads
 *   linux    random Linux calls, by function and by `syscall`, with random arguments
 *   rings    writes garbage over every shared mapping it has, while using sockets
 *   faults   jumps, reads, writes and privileged instructions anywhere, catching each fault
 *   memory   takes memory until there is none, and uses it
 *   forks    children without end, as root
 *   signals  another user: children that signal, stop, trace and wait for whoever there is
 *
 * It ends with 0 after SECONDS, or dies of what it did: both are fine. What it draws is decided by
 * SEED alone.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS      4
#define SANDBOX_SIZE (1u << 20)

/* the only memory that random mmap, munmap and mprotect calls may touch */
static unsigned char *sandbox;
static _Thread_local uint64_t state;
static _Thread_local sigjmp_buf recovery;

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}

static uint64_t draw_address(void)
{
    switch (draw() % 8) {
    case 0:
        return 0;
    case 1:
        return draw();
    case 2:
        return 0xffff800000000000ull | draw();
    case 3:
        return 0x00007ffffffff000ull - draw() % 16384;
    case 4:
        return (uint64_t)sandbox + SANDBOX_SIZE - draw() % 64;
    case 5:
        return (draw() & 0x00007fffffffffffull) & ~4095ull;
    default:
        return (uint64_t)sandbox + draw() % SANDBOX_SIZE;
    }
}

static uint64_t draw_argument(void)
{
    static const uint64_t edge[] = {0,          1,          2,           3,
                                    7,          8,          4095,        4096,
                                    4097,       65536,      0x7fffffff,  0x80000000,
                                    0xffffffff, 1ull << 32, 1ull << 47,  0x7fffffffffffffff,
                                    1ull << 63, ~0ull,      ~0ull - 4095};
    switch (draw() % 5) {
    case 0:
        return edge[draw() % (sizeof edge / sizeof *edge)];
    case 1:
        return draw() % 64;
    case 2:
        return draw() >> (draw() % 64);
    default:
        return draw_address();
    }
}

static long raw(uint64_t n, const uint64_t a[6])
{
    long result;
    register uint64_t r10 __asm__("r10") = a[3];
    register uint64_t r8 __asm__("r8") = a[4];
    register uint64_t r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static void on_fault(int signal)
{
    siglongjmp(recovery, signal);
}

static void catch_faults(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGTRAP,
                                 SIGSYS,  SIGALRM, SIGPIPE, SIGXFSZ, SIGUSR1};
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER | SA_ONSTACK};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigaction(faults[i], &action, NULL);
}

/* ---- motor ---- */

/* Ends of threads and of the process come too early to be useful, and sleeps must end. */
static int motor_call_skipped(uint64_t n)
{
    return n == 5 /* process_exec */ || n == 6 /* process_exit */ || n == 10 /* thread_exit */ ||
           n == 17 /* unmap */ || n == 18 /* protect */ || n == 40 /* process_fork */ ||
           n == 43 /* signal_send */ || n == 45 /* process_stop */;
}

static void motor_once(void)
{
    uint64_t n = draw() % 48, a[6];
    for (int i = 0; i < 6; i++)
        a[i] = draw_argument();
    if (motor_call_skipped(n))
        return;
    if (n == 16 || n == 19) /* map, remap: no fixed addresses outside the sandbox */
        a[5] &= ~(3ull << 4), a[4] &= n == 19 ? ~2ull : ~0ull;
    if (n == 28) /* futex_wait: a deadline that has passed, most of the time */
        a[3] = draw() % 8 ? 0 : 1000000 + draw() % 1000000;
    if (n == 26)
        a[5] = 0;
    if (n == 41) /* process_wait */
        a[2] |= 8;
    if (n == 11 && (a[1] == 2 || a[1] == 3)) /* its own fs and gs: sure death */
        a[1] = 6;
    if (n == 1 && a[0] < 64) /* closing the runtime's handles ends the fun early */
        a[0] += 64;
    raw(0x4d000000u + n, a);
}

/* ---- linux ---- */

static int linux_call_skipped(uint64_t n)
{
    static const uint16_t skipped[] = {SYS_exit,
                                       SYS_exit_group,
                                       SYS_kill,
                                       SYS_tkill,
                                       SYS_tgkill,
                                       SYS_pause,
                                       SYS_rt_sigsuspend,
                                       SYS_rt_sigtimedwait,
                                       SYS_rt_sigreturn,
                                       SYS_arch_prctl,
                                       SYS_execve,
                                       SYS_execveat,
                                       SYS_brk,
                                       SYS_rt_sigaction,
                                       SYS_rt_sigprocmask,
                                       SYS_rt_sigqueueinfo,
                                       SYS_rt_tgsigqueueinfo,
                                       SYS_sigaltstack,
                                       SYS_nanosleep,
                                       SYS_clock_nanosleep,
                                       SYS_futex,
                                       SYS_setrlimit,
                                       SYS_prlimit64,
                                       SYS_reboot,
                                       SYS_clone,
                                       SYS_fork,
                                       SYS_vfork,
                                       SYS_poll,
                                       SYS_select,
                                       SYS_pselect6,
                                       SYS_ppoll,
                                       SYS_epoll_wait,
                                       SYS_epoll_pwait,
                                       SYS_set_tid_address,
                                       SYS_set_robust_list};
    for (size_t i = 0; i < sizeof skipped / sizeof *skipped; i++)
        if (skipped[i] == n)
            return 1;
    return 0;
}

static void linux_once(void)
{
    uint64_t n = draw() % 452, a[6];
    for (int i = 0; i < 6; i++)
        a[i] = draw_argument();
    if (linux_call_skipped(n))
        return;
    if (n == SYS_mmap || n == SYS_munmap || n == SYS_mprotect || n == SYS_mremap ||
        n == SYS_madvise) {
        a[0] = (uint64_t)sandbox + (draw() % (SANDBOX_SIZE / 2) & ~4095ull);
        a[1] = draw() % (SANDBOX_SIZE / 2);
        if (n == SYS_mremap)
            a[2] = draw() % SANDBOX_SIZE, a[3] = draw() & 1;
        if (n == SYS_mmap)
            a[2] = 3, a[3] = draw() % 2 ? 0x32 : draw() & 0xfffff & ~0x100010ull,
            a[4] = draw() % 32;
    }
    if (n == SYS_wait4)
        a[2] |= 1;
    if (n == SYS_waitid)
        a[3] |= 1;
    if ((n == SYS_read || n == SYS_recvfrom || n == SYS_pread64) && draw() % 2)
        a[1] = draw_address(), a[2] = draw() % 100000;
    if (n == SYS_close && a[0] < 3)
        return;
    if (draw() % 4)
        syscall((long)n, a[0], a[1], a[2], a[3], a[4], a[5]);
    else
        raw(n, a);
    mprotect(sandbox, SANDBOX_SIZE, PROT_READ | PROT_WRITE);
}

/* ---- rings ---- */

struct range {
    uint64_t start, end;
};

/*
 * Shared writable mappings, as /proc/self/maps tells them. Without that file: guesses around a
 * socket's life are all there is.
 */
static size_t shared_ranges(struct range *ranges, size_t max)
{
    char line[256], modes[8];
    size_t n = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps)
        return 0;
    while (n < max && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %7s", &ranges[n].start, &ranges[n].end, modes) == 3 &&
            modes[1] == 'w' && modes[3] == 's')
            n++;
    fclose(maps);
    return n;
}

/*
 * A few sockets at a time: it is their rings that are to be harmed, not nginx by many connections,
 * as any client could.
 */
static void rings_once(void)
{
    static struct range ranges[64];
    static _Thread_local int sockets[16];
    char bytes[3000] = {0};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(80)};
    int *fd = &sockets[draw() % 16];
    if (*fd <= 0 || draw() % 8 == 0) {
        if (*fd > 0)
            close(*fd);
        *fd = socket(AF_INET, draw() % 4 ? SOCK_STREAM : SOCK_DGRAM, 0);
        connect(*fd, (struct sockaddr *)&address, sizeof address);
        usleep(2000);
    }
    send(*fd, bytes, draw() % sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    size_t n = shared_ranges(ranges, 64);
    for (int i = 0; n && i < 2000; i++) {
        struct range *r = &ranges[draw() % n];
        uint64_t size = r->end - r->start,
                 reach = draw() % 3 ? (size < 131072 ? size : 131072) : size;
        volatile uint32_t *word = (uint32_t *)(r->start + (draw() % reach & ~3ull));
        if (draw() % 4)
            *word = (uint32_t)draw_argument();
        else
            *word ^= 1u << draw() % 32;
    }
    recv(*fd, bytes, sizeof bytes, MSG_DONTWAIT);
}

/* ---- faults ---- */

static void faults_once(void)
{
    volatile uint64_t *p = (uint64_t *)draw_address();
    switch (draw() % 10) {
    case 0:
        *p = draw();
        break;
    case 1:
        state += *p;
        break;
    case 2:
        ((void (*)(void))draw_address())();
        break;
    case 3:
        __asm__ volatile("cli");
        break;
    case 4:
        __asm__ volatile("mov %0, %%cr3" : : "r"(draw()));
        break;
    case 5:
        __asm__ volatile("wrmsr" : : "a"(0), "d"(0), "c"(0xc0000080));
        break;
    case 6:
        __asm__ volatile("int $0x80");
        break;
    case 7:
        __asm__ volatile("outl %0, %1" : : "a"(0), "Nd"((uint16_t)0xf4));
        break;
    case 8:
        __asm__ volatile("xor %%edx, %%edx; div %0" : : "r"(0) : "eax", "edx");
        break;
    default:
        __asm__ volatile("push %0; popf" : : "r"(draw()) : "cc", "memory");
        __asm__ volatile("push $2; popf; cld" : : : "cc", "memory");
        break;
    }
}

/* ---- memory ---- */

static void memory_once(void)
{
    size_t size = (draw() % 64 + 1) << 16;
    unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        usleep(1000);
        return;
    }
    for (size_t i = 0; i < size; i += 4096)
        p[i] = (unsigned char)i;
}

/* ---- */

static void (*mode)(void);
static uint64_t seed;

static void *worker(void *argument)
{
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    state = seed * 0x9e3779b97f4a7c15ull + (uintptr_t)argument + 1;
    sigsetjmp(recovery, 1);
    for (;;)
        mode();
    return NULL;
}

/* ---- forks, signals ---- */

static void forks_once(void)
{
    if (fork() == 0)
        for (;;)
            if (fork() < 0)
                usleep(5000); /* the processors are to be shared, not only memory and pids */
}

/* Anybody: this program's own children, nginx, sysio, nobody. */
static pid_t draw_pid(void)
{
    pid_t some = (pid_t)(draw() % 300);
    return draw() % 3 ? some : draw() % 2 ? -some : 0;
}

static int draw_signal(void)
{
    static const int liked[] = {SIGSTOP, SIGCONT, SIGTSTP, SIGCHLD, SIGUSR1, SIGKILL, 0, 34, 64};
    return draw() % 4 ? liked[draw() % 9] : (int)(draw() % 70) - 2;
}

static void act(void)
{
    union sigval value = {.sival_int = 7};
    int status;
    switch (draw() % 12) {
    case 0:
    case 1:
        if (fork() == 0)
            state ^= (uint64_t)getpid() << 20;
        usleep(5000);
        break;
    case 2:
        kill(draw_pid(), draw_signal());
        break;
    case 3:
        sigqueue(draw_pid(), draw_signal(), value);
        break;
    case 4:
        setpgid(draw_pid(), draw_pid());
        break;
    case 5:
        setsid();
        break;
    case 6:
        waitpid(draw_pid(), &status, (int)(draw() & 11) | WNOHANG);
        break;
    case 7:
        prctl((int)(draw() % 60), draw() % 70, 0, 0, 0);
        break;
    case 8:
        syscall(SYS_tgkill, draw_pid(), draw_pid(), draw_signal());
        break;
    case 9:
        signal((int)(draw() % 65), draw() % 2 ? SIG_IGN : SIG_DFL);
        break;
    case 10:
        if (vfork() == 0) {
            execl(draw() % 2 ? "/dev/null" : "/nonexistent", "x", NULL);
            _exit((int)draw());
        }
        break;
    default:
        setresuid((uid_t)(draw() % 3), (uid_t)(draw() % 3), 0);
    }
}

static void signals_once(void)
{
    if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
        return;
    if (fork() == 0)
        for (;;)
            act();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*once)(void);
    } modes[] = {{"motor", motor_once},    {"linux", linux_once},   {"rings", rings_once},
                 {"faults", faults_once},  {"memory", memory_once}, {"forks", forks_once},
                 {"signals", signals_once}};

    if (argc != 4)
        return 64;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(argv[1], modes[i].name))
            mode = modes[i].once;
    if (!mode)
        return 64;
    seed = strtoull(argv[2], NULL, 0);
    sandbox = mmap(NULL, SANDBOX_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    catch_faults();
    for (uintptr_t i = 0; i < WORKERS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, (void *)i))
            break;
    }
    struct timespec left = {atoi(argv[3]), 0};
    while (nanosleep(&left, &left) < 0)
        ;
    _exit(0);
}
