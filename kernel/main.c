/* SPDX-License-Identifier: MIT */
/*
 * From early machine set-up to the first process. The boot CPU brings the parts up in order of what
 * needs what, starts the other CPUs, then makes the first process from the bundle and becomes this
 * CPU's idle thread.
 *
 * The first process starts as a program does on Linux (argc, argv, environment, auxiliary vector on
 * its stack), with rdi = address of the kernel information page, and the handles MOTOR_BOOT_*.
 */
#include "main.h"
#include "arch/x86_64/arch.h"
#include "aspace.h"
#include "bootinfo.h"
#include "boottrace.h"
#include "bundle.h"
#include "elf.h"
#include "frame.h"
#include "futex.h"
#include "handle.h"
#include "log.h"
#include "process.h"
#include "random.h"
#include "sched.h"
#include "vmo.h"

#define FIRST_STACK (1ull << 20)

#define AT_NULL   0
#define AT_PHDR   3
#define AT_PHENT  4
#define AT_PHNUM  5
#define AT_PAGESZ 6
#define AT_BASE   7
#define AT_ENTRY  9
#define AT_RANDOM 25

struct motor_kinfo *kinfo;
uint64_t kinfo_frame;

static noreturn void fail(const char *what, const char *why)
{
    klog("motor: %s: %s\n", what, why);
    arch_power(MOTOR_POWER_EXIT, 1);
}

static void kinfo_init(void)
{
    kinfo_frame = frame_alloc_zeroed();
    if (!kinfo_frame) {
        fail("memory", "too little to start");
    }
    kinfo = phys_to_virt(kinfo_frame);
    kinfo->abi_version = MOTOR_ABI_VERSION;
    kinfo->memory_total = frame_total() * PAGE_SIZE;
}

/* ---- the first process ---- */

struct first_stack { /* what a program finds at its stack pointer */
    uint64_t argc, argv[2], envp[1];
    uint64_t auxv[8][2];
    char name[8];
    uint64_t random[2];
};

static int64_t make_stack(struct aspace *as, const struct elf_image *image, uint64_t *rsp)
{
    int64_t stack =
        aspace_map(as, NULL, 0, 0, FIRST_STACK,
                   MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE | MOTOR_MAP_STACK,
                   MOTOR_PROT_READ | MOTOR_PROT_WRITE);
    if (stack < 0) {
        return stack;
    }
    *rsp = ((uint64_t)stack + FIRST_STACK - sizeof(struct first_stack)) & ~15ull;
    struct first_stack s = {
        .argc = 1,
        .argv = {*rsp + offsetof(struct first_stack, name), 0},
        .auxv = {{AT_PHDR, image->phdr},
                 {AT_PHENT, 56},
                 {AT_PHNUM, image->phnum},
                 {AT_PAGESZ, PAGE_SIZE},
                 {AT_BASE, image->base},
                 {AT_ENTRY, image->entry},
                 {AT_RANDOM, *rsp + offsetof(struct first_stack, random)},
                 {AT_NULL, 0}},
        .name = "sysio",
        .random = {random_u64(), random_u64()},
    };
    return aspace_write(as, *rsp, &s, sizeof(s));
}

static void give_handle(struct process *p, struct object *o, uint32_t rights, motor_handle expected)
{
    int64_t h = o ? handle_insert(p, o, rights) : -MOTOR_ENOMEM;
    KASSERT(h == (int64_t)expected);
}

static void give_handles(struct process *p, struct vmo *bundle)
{
    struct object *hardware = kzalloc(sizeof(*hardware));
    if (!hardware) {
        fail("memory", "too little to start");
    }
    object_init(hardware, OBJECT_HARDWARE);
    give_handle(p, &p->object, MOTOR_RIGHTS_ALL, MOTOR_BOOT_SELF);
    give_handle(p, hardware, MOTOR_RIGHTS_ALL, MOTOR_BOOT_HARDWARE);
    give_handle(p, (struct object *)bundle, MOTOR_RIGHT_READ | MOTOR_RIGHT_EXEC | MOTOR_RIGHT_DUP,
                MOTOR_BOOT_BUNDLE);
    object_put(hardware);
}

static void start_first(struct process *p, const struct elf_image *image)
{
    struct motor_thread_start start = {.rip = image->entry, .arg = {MOTOR_KINFO_ADDRESS}};
    struct thread *t = NULL;
    if (make_stack(p->aspace, image, &start.rsp) < 0 || !(t = thread_alloc(p))) {
        fail("memory", "too little to start " MOTOR_BUNDLE_SYSIO);
    }
    arch_set_user_start(t, &start);
    thread_start(t);
    object_put(&t->object);
}

static void make_first(void)
{
    const char *error =
        bundle_open(phys_to_virt(boot_params.bundle_start), boot_params.bundle_size);
    if (error) {
        fail("the boot bundle cannot be used", error);
    }
    const struct motor_bundle_entry *file = bundle_file(MOTOR_BUNDLE_SYSIO, &error);
    if (!file) {
        fail("the boot bundle, asked for " MOTOR_BUNDLE_SYSIO, error);
    }
    struct vmo *v = vmo_create_fixed(boot_params.bundle_start, bundle_size(), false, 0);
    struct process *p = NULL;
    if (!v || process_create(NULL, 0, aspace_create(), &p) < 0) {
        fail("memory", "too little to start");
    }
    first_process = p;
    p->first = true;
    __builtin_memcpy(p->name, "sysio", 6);
    give_handles(p, v);
    struct elf_image image;
    error = elf_load(p->aspace, v, file->offset, bundle_data(file), file->size, &image);
    if (error) {
        fail(MOTOR_BUNDLE_SYSIO, error);
    }
    start_first(p, &image);
    object_put((struct object *)v);
    object_put(&p->object);
}

/* ---- CPUs ---- */

noreturn void kernel_main(void)
{
    boottrace("the kernel runs");
    frame_init();
    kinfo_init();
    boottrace("memory");
    random_init();
    futex_init();
    sched_init_cpu();
    arch_late_init();
    boottrace("clocks and processors");
    make_first();
    boottrace("the first process is made");
    boottrace_print();
    sched_idle_loop();
}

noreturn void kernel_secondary_main(void)
{
    sched_idle_loop();
}
