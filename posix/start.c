/* SPDX-License-Identifier: MIT */
/*
 * How a process begins. The system's first program relocates this image and makes what is the same
 * in all processes, and leaves its memory to the kernel as the template; from there on all go the
 * same way, and those that exec makes begin there, on a copy of the template: take the start block,
 * map the program, build its initial stack as Linux does, go. See <motor/start.h>.
 */
#include <motor/process.h>

#include "internal.h"

#include "elf.h"

/* static PIE programs go near here, so that brk has room above them */
#define PIE_BASE         0x0000550000000000ull
#define PIE_RANDOM_PAGES 0x0fffffffull
#define BRK_RANDOM_PAGES 0x1fffull
#define STACK_DEFAULT    (8ull << 20)
#define STACK_MAX        (1ull << 30)
#define STACK_LEAST      (128ull << 10)

#define AT_NULL         0
#define AT_PHDR         3
#define AT_PHENT        4
#define AT_PHNUM        5
#define AT_PAGESZ       6
#define AT_BASE         7
#define AT_FLAGS        8
#define AT_ENTRY        9
#define AT_UID          11
#define AT_EUID         12
#define AT_GID          13
#define AT_EGID         14
#define AT_PLATFORM     15
#define AT_HWCAP        16
#define AT_CLKTCK       17
#define AT_SECURE       23
#define AT_RANDOM       25
#define AT_HWCAP2       26
#define AT_EXECFN       31
#define AT_SYSINFO      32
#define AT_SYSINFO_EHDR 33
#define AT_MINSIGSTKSZ  51

#define DT_RELA    7
#define DT_RELASZ  8
#define R_RELATIVE 8

uint64_t px_frame_size(void);

/* ---- this image ---- */

static void relocate(uint64_t base, const struct elf_dynamic *dynamic)
{
    const struct elf_rela *rela = NULL;
    uint64_t size = 0;
    for (; dynamic->tag; dynamic++) {
        if (dynamic->tag == DT_RELA) {
            rela = (const struct elf_rela *)(base + dynamic->value);
        } else if (dynamic->tag == DT_RELASZ) {
            size = dynamic->value;
        }
    }
    for (uint64_t n = size / sizeof(*rela); n; n--, rela++) {
        if ((uint32_t)rela->info == R_RELATIVE) {
            *(uint64_t *)(base + rela->offset) = base + rela->addend;
        }
    }
}

/* ---- the program ---- */

/* All that a program's beginning takes of chance, by one call. */
struct chance {
    uint64_t seed[2]; /* AT_RANDOM */
    uint64_t places;  /* where things go */
};

static _Noreturn void refuse(const struct px_process *p, const char *why)
{
    char text[512];
    size_t n = px_format(text, sizeof(text), "motor: %s: %s\n",
                         (const char *)p->start + p->start->exec_path, why);
    px_report(text, n);
    px_process_end(126 << 8);
}

struct image {
    motor_handle vmo;
    uint64_t base, size; /* of the file in the vmo */
};

/* Whoever execs has got it with the file, if it can be mapped. */
static const char *open_image(const struct px_process *p, struct image *image)
{
    struct motor_msg m = {.op = IO_MAP, .word = {PROT_READ | PROT_EXEC}, .deadline = MOTOR_NEVER};
    if (p->start->image) {
        *image = (struct image){p->start->image, p->start->image_base, p->start->image_size};
        return NULL;
    }
    if (px_call(p->exec, &m) < 0 || (m.nhandles & 15) != 1) {
        return "cannot be mapped";
    }
    *image = (struct image){m.handle[0], m.word[0], m.word[1]};
    return NULL;
}

/* Small parts come as a whole, so that the program does not fault for each of its first steps. */
#define POPULATE_TEXT (128u << 10)
#define POPULATE_DATA (16u << 10)

/* Where a segment lies: what of it comes from the file, and what is zeros behind. */
struct extent {
    uint64_t start, file_end, file_pages, end, pages;
    uint32_t prot;
};

static struct extent extent_of(const struct elf_segment *s, uint64_t bias)
{
    uint64_t mask = MOTOR_PAGE_SIZE - 1;
    struct extent x = {.start = (bias + s->vaddr) & ~mask,
                       .file_end = bias + s->vaddr + s->filesz,
                       .end = bias + s->vaddr + s->memsz,
                       .prot = (s->flags & PF_R ? MOTOR_PROT_READ : 0) |
                               (s->flags & PF_W ? MOTOR_PROT_WRITE : 0) |
                               (s->flags & PF_X ? MOTOR_PROT_EXEC : 0)};
    x.file_pages = s->filesz ? (x.file_end + mask) & ~mask : x.start;
    x.pages = PX_MAX((x.end + mask) & ~mask, x.file_pages);
    return x;
}

static int64_t map_segment(const struct image *image, const struct elf_segment *s,
                           const struct extent *x)
{
    uint64_t size = x->file_pages - x->start;
    uint32_t flags = x->prot | MOTOR_MAP_PRIVATE | MOTOR_MAP_NOREPLACE;
    int64_t status = 0;
    if (size) {
        bool small = size <= (x->prot & MOTOR_PROT_WRITE ? POPULATE_DATA : POPULATE_TEXT);
        status =
            motor_map(0, image->vmo, image->base + (s->offset & ~(uint64_t)(MOTOR_PAGE_SIZE - 1)),
                      x->start, size, flags | (small ? MOTOR_MAP_POPULATE : 0));
    }
    if (status >= 0 && x->pages > x->file_pages) {
        status = motor_map(0, 0, 0, x->file_pages, x->pages - x->file_pages, flags);
        if (status < 0 && size) {
            motor_unmap(0, x->start, size);
        }
    }
    /* To the end of the page, beyond the segment: glibc's ld.so has its first heap there. */
    if (status >= 0 && size && (x->prot & MOTOR_PROT_WRITE) && x->end > x->file_end) {
        uint64_t tail = x->file_pages - x->file_end;
        status = tail && px_zero_out((void *)x->file_end, tail) < 0 ? -MOTOR_ENOMEM : 0;
    }
    return PX_MIN(status, (int64_t)0);
}

/* All of them, or none. */
static int64_t map_segments(const struct image *image, const struct elf_program *e, uint64_t bias)
{
    int64_t status = 0;
    for (unsigned i = 0; i < e->segments && status == 0; i++) {
        struct extent x = extent_of(&e->segment[i], bias);
        status = map_segment(image, &e->segment[i], &x);
        for (unsigned k = i; status < 0 && k-- > 0;) {
            x = extent_of(&e->segment[k], bias);
            motor_unmap(0, x.start, x.pages - x.start);
        }
    }
    return status;
}

#define PLACES_TRIED 8

/* The program where it has to be, or where chance puts it: its load bias. */
static const char *map_program(const struct image *image, const struct elf_program *e,
                               uint64_t chance, uint64_t *bias)
{
    int64_t status = -MOTOR_EEXIST;
    for (unsigned i = 0; status == -MOTOR_EEXIST && i < (e->fixed ? 1 : PLACES_TRIED); i++) {
        uint64_t page = (chance + i * (PIE_RANDOM_PAGES / PLACES_TRIED)) & PIE_RANDOM_PAGES;
        *bias = e->fixed ? 0 : PIE_BASE + page * MOTOR_PAGE_SIZE - e->low;
        status = map_segments(image, e, *bias);
    }
    return status == 0               ? NULL
           : status == -MOTOR_ENOMEM ? "not enough memory"
           : status == -MOTOR_EEXIST ? "its addresses are taken"
                                     : "a segment cannot be mapped";
}

static const char *read_program(const struct px_process *p, const struct image *image,
                                struct elf_program *e)
{
    struct elf_file file;
    struct elf_header head;
    bool whole = image->size >= sizeof(head) && px_elf_open(&file, p->exec) == 0 &&
                 px_elf_read(&file, 0, &head, sizeof(head));
    return elf_parse(e, &head, whole ? sizeof(head) : 0, image->size, px_elf_read, &file);
}

/* Whoever execs has read the headers before, and passes on what they say. */
static const struct elf_program *passed_program(const struct motor_start *s)
{
    const struct elf_program *e = (const void *)((const char *)s + s->program);
    return s->program_size >= elf_program_size(0) && e->segments <= ELF_SEGMENTS_MAX &&
                   s->program_size == elf_program_size(e->segments)
               ? e
               : NULL;
}

/* *program stays where it is for good. */
static const char *find_program(const struct px_process *p, const struct image *image,
                                const struct elf_program **program)
{
    *program = passed_program(p->start);
    if (*program) {
        return NULL;
    }
    struct elf_program *e = px_alloc_raw(sizeof(*e));
    *program = e;
    return e ? read_program(p, image, e) : "not enough memory";
}

static const char *load(struct px_process *p, const struct elf_program **program, uint64_t chance,
                        uint64_t *bias)
{
    struct image image;
    const char *error = open_image(p, &image);
    if (error) {
        return error;
    }
    error = find_program(p, &image, program);
    if (!error && (*program)->interpreter) {
        error =
            "a dynamically linked program: its interpreter is not here, link it statically (motor-cc does)";
    }
    if (!error) {
        error = map_program(&image, *program, chance, bias);
    }
    motor_handle_close(image.vmo);
    return error;
}

/* ---- the initial stack ---- */

/* As large as its limit, but always with room beyond what the start block brings. */
static uint64_t map_stack(const struct px_process *p)
{
    uint64_t size = p->limit[RLIMIT_STACK].soft, least = STACK_LEAST + p->start->size * 2ull;
    size = size == RLIM_INFINITY ? STACK_DEFAULT : PX_MIN(size, STACK_MAX);
    size = PX_MAX(size, least);
    size = (size + MOTOR_PAGE_SIZE - 1) & ~(uint64_t)(MOTOR_PAGE_SIZE - 1);
    int64_t base = motor_map(
        0, 0, 0, 0, size, MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE | MOTOR_MAP_STACK);
    return base < 0 ? 0 : (uint64_t)base + size;
}

static uint64_t push_bytes(uint64_t *sp, const void *from, size_t size)
{
    *sp -= size;
    memcpy((void *)*sp, from, size);
    return *sp;
}

static size_t strings_size(const char *s, uint32_t count)
{
    const char *start = s;
    for (; count; count--) {
        s += strlen(s) + 1;
    }
    return (size_t)(s - start);
}

/* Pointers to `count` strings that lie one after the other, and a NULL. */
static uint64_t *point_to_strings(uint64_t *to, uint64_t strings, uint32_t count)
{
    for (; count; count--) {
        *to++ = strings;
        strings += strlen((const char *)strings) + 1;
    }
    *to++ = 0;
    return to;
}

static uint32_t hwcap(void)
{
    uint32_t a = 1, b, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return d;
}

static uint64_t build_stack(struct px_process *p, const struct elf_program *e, uint64_t bias,
                            uint64_t sp, const struct chance *chance)
{
    const struct motor_start *s = p->start;
    const char *block = (const char *)s;
    uint64_t zero = 0;
    push_bytes(&sp, &zero, sizeof(zero));
    uint64_t name = push_bytes(&sp, block + s->exec_path, strlen(block + s->exec_path) + 1);
    uint64_t env = push_bytes(&sp, block + s->envp, strings_size(block + s->envp, s->envc));
    uint64_t arg = push_bytes(&sp, block + s->argv, strings_size(block + s->argv, s->argc));
    p->about.arg_start = arg;
    p->about.arg_end = arg + strings_size(block + s->argv, s->argc);
    p->about.env_start = env;
    p->about.env_end = env + strings_size(block + s->envp, s->envc);
    uint64_t platform = push_bytes(&sp, "x86_64", 7);
    sp &= ~15ull;
    sp -= (chance->places >> 56) * 16;
    uint64_t bytes = push_bytes(&sp, chance->seed, sizeof(chance->seed));
    uint64_t aux[][2] = {
        {AT_SYSINFO, (uint64_t)px_entry},
        {AT_SYSINFO_EHDR, (uint64_t)px_vdso},
        {AT_HWCAP, hwcap()},
        {AT_PAGESZ, MOTOR_PAGE_SIZE},
        {AT_CLKTCK, 100},
        {AT_PHDR, e->phdr ? bias + e->phdr : 0},
        {AT_PHENT, sizeof(struct elf_segment)},
        {AT_PHNUM, e->phnum},
        {AT_BASE, 0},
        {AT_FLAGS, 0},
        {AT_ENTRY, bias + e->entry},
        {AT_UID, p->uid},
        {AT_EUID, p->euid},
        {AT_GID, p->gid},
        {AT_EGID, p->egid},
        {AT_SECURE, (s->flags & MOTOR_START_SET_ID) || p->uid != p->euid || p->gid != p->egid},
        {AT_RANDOM, bytes},
        {AT_HWCAP2, px_kinfo()->flags & MOTOR_KINFO_FSGSBASE ? 2 : 0},
        {AT_EXECFN, name},
        {AT_PLATFORM, platform},
        {AT_MINSIGSTKSZ, px_frame_size()},
        {AT_NULL, 0},
    };
    uint64_t words = 1 + s->argc + 1 + s->envc + 1 + sizeof(aux) / 8;
    sp = (sp - words * 8) & ~15ull;
    uint64_t *to = (uint64_t *)sp;
    *to++ = s->argc;
    to = point_to_strings(to, arg, s->argc);
    to = point_to_strings(to, env, s->envc);
    memcpy(to, aux, sizeof(aux));
    return sp;
}

/* ---- the process ---- */

static void default_limits(struct px_process *p)
{
    for (int i = 0; i < 16; i++) {
        p->limit[i] = (struct px_limits){RLIM_INFINITY, RLIM_INFINITY};
    }
    p->limit[RLIMIT_STACK].soft = STACK_DEFAULT;
    p->limit[RLIMIT_CORE].soft = 0;
    p->limit[RLIMIT_NOFILE] = (struct px_limits){65536, MOTOR_HANDLES_MAX};
    p->limit[RLIMIT_MEMLOCK] = (struct px_limits){8u << 20, RLIM_INFINITY};
    uint64_t processes = px_kinfo()->memory_total / (256u << 10); /* as the kernel's default */
    p->limit[RLIMIT_NPROC] = (struct px_limits){PX_MIN(processes, 16384u), RLIM_INFINITY};
    p->limit[RLIMIT_SIGPENDING] = (struct px_limits){16384, 16384};
    p->limit[12] = (struct px_limits){819200, 819200}; /* MSGQUEUE */
    p->limit[13] = (struct px_limits){0, 0};           /* NICE */
    p->limit[14] = (struct px_limits){0, 0};           /* RTPRIO */
}

/*
 * Of a set-id program. Whoever started it is not to be believed, and had the say over how large its
 * stack is.
 */
static void take_ids(struct px_process *p)
{
    struct motor_process_info info;
    if (motor_process_info(0, MOTOR_PINFO_BASIC, &info, sizeof(info)) < 0) {
        px_fatal("who am I");
    }
    p->pid = info.pid;
    p->uid = info.ruid;
    p->euid = p->suid = info.uid;
    p->gid = info.rgid;
    p->egid = p->sgid = info.gid;
    p->limit[RLIMIT_STACK].soft = PX_MIN(p->limit[RLIMIT_STACK].soft, (uint64_t)STACK_DEFAULT);
}

static void take_block(struct px_process *p, const struct motor_start *s)
{
    p->start = s;
    p->root = s->root;
    p->net = s->net;
    p->tty = s->tty;
    p->exec = s->exec;
    p->trace = s->trace;
    p->presence = s->presence;
    p->pid = s->pid;
    p->uid = s->uid;
    p->euid = p->suid = s->euid;
    p->gid = s->gid;
    p->egid = p->sgid = s->egid;
    p->umask = s->umask;
    const char *name = (const char *)s + s->exec_path;
    for (const char *slash; (slash = strchr(name, '/'));) {
        name = slash + 1;
    }
    for (size_t i = 0; i < sizeof(p->name) - 1 && name[i]; i++) {
        p->name[i] = name[i];
    }
    default_limits(p);
    if (s->flags & MOTOR_START_RLIMITS) {
        memcpy(p->limit, s->rlimit, sizeof(p->limit));
    }
    if (s->flags & MOTOR_START_SET_ID) {
        take_ids(p);
    }
    p->attributes = (struct px_attributes){.no_new_privs = s->no_new_privs,
                                           .not_dumpable = (s->flags & MOTOR_START_SET_ID) ||
                                                           p->uid != p->euid || p->gid != p->egid,
                                           .subreaper = s->subreaper,
                                           .death_signal = s->death_signal,
                                           .timer_slack = s->timer_slack};
}

/* What /proc shows of the process: see struct motor_about. */
static void tell_about(struct px_process *p, const struct elf_program *program)
{
    struct motor_about *a = &p->about;
    a->code_start = p->load_bias + program->low;
    a->code_end = p->load_bias + program->high;
    a->brk_start = p->memory->brk_start;
    a->brk = (uint64_t)&p->memory->brk;
    a->limits = (uint64_t)p->limit;
    a->umask = (uint64_t)&p->umask;
    a->exec = p->exec;
    a->root = p->root;
    px_files_about(p);
}

/* On the main thread's runtime stack. */
static void run(void *argument)
{
    struct px_process *p = &px_first_process;
    struct px_thread *t = px_self();
    const struct elf_program *program;
    struct chance chance = {0};
    uint64_t bias = 0;
    take_block(p, argument);
    px_signals_start(p);
    px_threads_start(p);
    px_timers_start(p);
    px_files_start(p);
    px_trace_start(p);
    motor_random(&chance, sizeof(chance), 0);
    const char *error = load(p, &program, chance.places, &bias);
    uint64_t stack = error ? 0 : map_stack(p);
    if (!error && !stack) {
        error = "not enough memory";
    }
    if (error) {
        refuse(p, error);
    }
    p->load_bias = bias;
    px_memory_start(p, bias + program->high +
                           (chance.places >> 32 & BRK_RANDOM_PAGES) * MOTOR_PAGE_SIZE);
    t->regs = (struct motor_context){.rip = bias + program->entry, .rflags = 0x202};
    t->regs.rsp = build_stack(p, program, bias, stack, &chance);
    p->about.stack = t->regs.rsp;
    t->kind = PX_ENTRY_NONE;
    tell_about(p, program);
    px_take_interruption(); /* signals that came before there was a thread block */
    px_timers_run();
    px_leave_to_context();
}

/*
 * What every process has: made here, and left to the kernel for all that come later, with the code
 * and constants (up to `writable`) in place. The start block and the boot stack are not in it.
 */
static void make_template(struct px_process *p, const struct motor_start *block, uint64_t stack_end,
                          uint64_t writable)
{
    const struct px_thread *t = p->threads->table[0];
    struct motor_thread_start start = {
        .rip = (uint64_t)run,
        .rsp = t->stack - 8, /* as after a call */
        .gs_base = (uint64_t)t,
    };
    uint64_t stack_start = stack_end - MOTOR_START_STACK;
    motor_advise((uint64_t)block, block->size, MOTOR_ADVISE_NOFORK);
    motor_advise(stack_start, MOTOR_START_STACK, MOTOR_ADVISE_NOFORK);
    motor_process_set(0, MOTOR_PSET_UPCALL_ENTRY, (uint64_t)px_upcall_entry);
    motor_process_set(0, MOTOR_PSET_LINUX_ENTRY, (uint64_t)px_linux_entry);
    motor_process_set(0, MOTOR_PSET_ABOUT, (uint64_t)&p->about);
    motor_advise((uint64_t)__ehdr_start, writable - (uint64_t)__ehdr_start, MOTOR_ADVISE_POPULATE);
    int64_t status = motor_process_set(0, MOTOR_PSET_TEMPLATE, (uint64_t)&start);
    if (status < 0 && status != -MOTOR_EEXIST) {
        px_fatal("no memory for the template");
    }
    motor_advise((uint64_t)block, block->size, MOTOR_ADVISE_FORK);
    motor_advise(stack_start, MOTOR_START_STACK, MOTOR_ADVISE_FORK);
}

_Noreturn void px_begin(const struct motor_start *start, uint64_t base,
                        const struct elf_dynamic *dynamic);
_Noreturn void px_begin(const struct motor_start *start, uint64_t base,
                        const struct elf_dynamic *dynamic)
{
    relocate(base, dynamic);
    struct px_process *p = &px_first_process;
    if (start->magic != MOTOR_START_MAGIC) {
        px_fatal("not a start block");
    }
    px_signals_prepare(p);
    px_threads_prepare(p);
    px_timers_prepare(p);
    px_memory_prepare(p);
    px_files_prepare(p);
    uint64_t mask = MOTOR_PAGE_SIZE - 1;
    make_template(p, start, ((uint64_t)__builtin_frame_address(0) + mask) & ~mask,
                  (uint64_t)dynamic & ~mask);
    motor_thread_control(0, MOTOR_THREAD_SET_GS, (uint64_t)p->threads->table[0]);
    px_enter_stack((void *)px_self()->stack, run, (void *)start);
}
