/* SPDX-License-Identifier: MIT */
/* What the memory code asks of the rest of the kernel. See host.h. */
#include "host.h"

#include "arch/x86_64/early.h"
#include "log.h"
#include "main.h"
#include "object.h"
#include "pager.h"
#include "process.h"
#include "random.h"
#include "sched.h"

#include <asm/prctl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RAM_START 0x100000ull

const char *host_doing = "start";
uint64_t host_round;
void (*host_preempt)(void);

static uint64_t ram_end, random_state, countdown;
static bool fired;
static struct cpu cpu0 = {.self = &cpu0, .online = true};

struct cpu *cpus[CPUS_MAX] = {&cpu0};
uint32_t cpu_count = 1;
struct process *first_process;
uint64_t kinfo_frame, arch_kernel_root;

noreturn void host_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\nround %lu: %s\n", file, line, what, (unsigned long)host_round,
            host_doing);
    abort();
}

void draw_seed(uint64_t seed)
{
    random_state = seed;
}

uint64_t draw(void) /* splitmix64 */
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

uint64_t random_u64(void)
{
    return draw();
}

/* ---- allocations ---- */

void inject(uint64_t n)
{
    countdown = n;
    fired = false;
}

bool injected(void)
{
    countdown = 0;
    return fired;
}

bool host_fails(void)
{
    if (countdown && --countdown == 0) {
        fired = true;
        return true;
    }
    return false;
}

uint64_t __real_frame_alloc(void), __real_frame_alloc_zeroed(void);
uint64_t __real_frame_alloc_order(unsigned order);
uint64_t __wrap_frame_alloc(void), __wrap_frame_alloc_zeroed(void);
uint64_t __wrap_frame_alloc_order(unsigned order);

uint64_t __wrap_frame_alloc(void)
{
    return host_fails() ? 0 : __real_frame_alloc();
}

uint64_t __wrap_frame_alloc_zeroed(void)
{
    return host_fails() ? 0 : __real_frame_alloc_zeroed();
}

uint64_t __wrap_frame_alloc_order(unsigned order)
{
    return host_fails() ? 0 : __real_frame_alloc_order(order);
}

void page_zero(void *page)
{
    memset(page, 0, PAGE_SIZE);
}

void page_copy(void *to, const void *from)
{
    memcpy(to, from, PAGE_SIZE);
}

/* ---- the kernel around ---- */

unsigned arch_boot_memory(struct boot_range *out, unsigned max)
{
    static const uint64_t holes[][2] = {{0x503000, 0x617000}, {0x1000000, 0x1800000}};
    uint64_t at = RAM_START;
    unsigned n = 0;
    for (; n < 2 && n + 1 < max; n++) { /* within a chunk of descriptors, and a whole one */
        out[n] = (struct boot_range){.start = at, .end = holes[n][0]};
        at = holes[n][1];
    }
    out[n] = (struct boot_range){.start = at, .end = ram_end};
    return n + 1;
}

void host_init(uint64_t bytes)
{
    ram_end = RAM_START + bytes;
    void *ram = mmap((void *)PHYSMAP_BASE, ram_end, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    REQUIRE(ram == (void *)PHYSMAP_BASE);
    REQUIRE(syscall(SYS_arch_prctl, ARCH_SET_GS, &cpu0) == 0);
    memset(ram, 0xa5, ram_end); /* nothing is zero that nobody made zero */
    frame_init();
    kinfo_frame = __real_frame_alloc_zeroed();
    arch_kernel_root = __real_frame_alloc_zeroed();
}

/* Nobody watches the last mapping. */
int64_t vmo_watch(struct vmo *v, struct gate *g)
{
    (void)v, (void)g;
    return -MOTOR_ETYPE;
}

void vmo_unmapped(struct vmo *v)
{
    (void)v;
}

void sched_preempt_point(void)
{
    static bool inside;
    if (host_preempt && !inside) {
        uint64_t left = countdown;
        bool was = fired;
        inside = true;
        inject(0);
        host_preempt();
        inside = false;
        countdown = left;
        fired = was;
    }
}

void sched_yield(void)
{
    host_fail(__FILE__, __LINE__, "one thread waits for itself");
}

void arch_relax(void)
{
    host_fail(__FILE__, __LINE__, "a lock is taken twice");
}

void klog(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

noreturn void panic(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    host_fail("kernel", 0, "panic");
}

noreturn void arch_power(uint32_t mode, uint32_t status)
{
    (void)mode;
    (void)status;
    host_fail("kernel", 0, "power");
}

void object_init(struct object *o, enum object_kind kind)
{
    *o = (struct object){.kind = kind, .refs = 1};
}

void object_get(struct object *o)
{
    REQUIRE(o->refs);
    o->refs++;
}

void object_put(struct object *o)
{
    REQUIRE(o->refs && o->kind == OBJECT_VMO);
    if (--o->refs == 0) {
        vmo_destroy(o);
    }
}

/* ---- pagers: there is none ---- */

int64_t pager_ask(struct vmo *v, uint64_t offset, bool write)
{
    (void)v, (void)offset, (void)write;
    return -MOTOR_EGONE;
}

int64_t pager_sync(struct vmo *v)
{
    (void)v;
    return 0;
}

int64_t pager_reclaim(void)
{
    return -MOTOR_ENOMEM;
}

void pager_check_memory(void) {}

int64_t copy_from_user(void *to, const void *from, size_t n)
{
    memcpy(to, from, n);
    return 0;
}

void object_handle_get(struct object *o)
{
    object_get(o);
}

void object_handle_put(struct object *o)
{
    object_put(o);
}

void gate_notify(struct gate *g)
{
    (void)g;
}
