/* SPDX-License-Identifier: MIT */
/*
 * Signals reach their handlers here: on the way out of a call, after an upcall, for a fault. All of
 * it works on thread->regs, the program's registers, to which px_resume goes at the end.
 *
 * A call that ended with a restart code did not happen. What its handler sees is the context rolled
 * back to the call instruction with the argument registers (SA_RESTART: returning makes the call
 * again; and musl's cancellation looks whether the PC lies in its range), or the context after the
 * call with -EINTR. Call sites that cannot be rolled back are shown at px_entry itself, with the
 * return address on the stack: the same as if the call instruction had just been executed.
 */
#include "internal.h"

#define RED_ZONE    128u
#define RFLAGS_USER 0x244dd5ull /* CF PF AF ZF SF TF DF OF, RF, AC, ID */

#define FP_MAGIC1         0x46505853u
#define FP_MAGIC2         0x46505845u
#define FXSAVE_SIZE       512u
#define FP_SOFTWARE_BYTES 464u /* in the FXSAVE area: for the kernel's use */
#define XSAVE_HEADER      512u /* offset of the XSAVE header, 64 bytes */

#define SS_ONSTACK    1
#define SS_DISABLE    2
#define SS_AUTODISARM (1 << 31)
#define MINSIGSTKSZ   2048u

struct linux_sigcontext {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip,
        eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2;
    uint64_t fpstate;
    uint64_t reserved[8];
};

struct linux_ucontext {
    uint64_t flags, link;
    struct px_altstack stack;
    struct linux_sigcontext mc;
    uint64_t sigmask;
};

struct linux_frame {
    uint64_t pretcode;
    struct linux_ucontext uc;
    struct px_siginfo info;
    uint8_t info_rest[128 - sizeof(struct px_siginfo)];
};
_Static_assert(sizeof(struct linux_sigcontext) == 256 && sizeof(struct linux_ucontext) == 304,
               "Linux ABI");
_Static_assert(sizeof(struct linux_frame) == 440, "Linux ABI");

struct fp_software { /* Linux's struct _fpx_sw_bytes */
    uint32_t magic1, extended_size;
    uint64_t features;
    uint32_t xstate_size, padding[7];
};

#define UC_FP_XSTATE         1u
#define UC_SIGCONTEXT_SS     2u
#define UC_STRICT_RESTORE_SS 4u

/* ---- the state of a call ---- */

/*
 * The registers that a call by C convention loses get definite values; after this regs are a plain
 * context.
 */
static void complete(struct px_thread *t)
{
    if (t->kind == PX_ENTRY_CALL) {
        t->regs.rflags = 0x202;
        t->regs.r10 = t->regs.r11 = 0;
    } else if (t->kind == PX_ENTRY_RAW) {
        t->regs.rcx = t->regs.rip;
        t->regs.r11 = t->regs.rflags;
    }
    t->kind = PX_ENTRY_NONE;
}

static bool is_restart(long result)
{
    return result <= -PX_ERESTARTSYS && result >= -PX_ERESTART_RESTARTBLOCK;
}

/* regs, at the return of a C-convention call, go back to before it. */
static void roll_back_call(struct motor_context *r)
{
    uint8_t code[6];
    uint64_t target;
    r->rax = (uint64_t)px_entry;
    if (px_copy_in(code, (void *)(r->rip - 6), sizeof(code)) == 0) {
        if (code[4] == 0xff && code[5] == 0xd0) { /* call *%rax */
            r->rip -= 2;
            return;
        }
        int32_t offset;
        memcpy(&offset, code + 2, 4);
        if (code[0] == 0xff && code[1] == 0x15 && /* call *offset(%rip) */
            px_copy_in(&target, (void *)(r->rip + (uint64_t)(int64_t)offset), 8) == 0 &&
            target == (uint64_t)px_entry) {
            r->rip -= 6;
            return;
        }
    }
    r->rsp -= 8;
    px_copy_out((void *)r->rsp, &r->rip, 8);
    r->rip = (uint64_t)px_entry;
}

static void roll_back(struct px_thread *t, uint32_t kind, uint64_t number)
{
    if (kind == PX_ENTRY_CALL) {
        roll_back_call(&t->regs);
    } else {
        t->regs.rip -= 2;
        t->regs.rax = number;
    }
}

/* What the handler sees of the call. */
static void settle(struct px_thread *t, uint32_t kind, long result, const struct px_action *a)
{
    uint64_t number = t->regs.rax;
    bool again =
        result == -PX_ERESTARTNOINTR || (result == -PX_ERESTARTSYS && (a->flags & SA_RESTART));
    complete(t);
    if (!is_restart(result)) {
        t->regs.rax = (uint64_t)result;
    } else if (again) {
        roll_back(t, kind, number);
    } else {
        t->regs.rax = (uint64_t)-EINTR;
    }
}

/* ---- the frame ---- */

static bool on_stack(const struct px_altstack *s, uint64_t sp)
{
    return s->size && sp > s->sp && sp - s->sp <= s->size;
}

/* Bytes of the floating-point part of a frame. */
static uint64_t fp_size(void)
{
    const volatile struct motor_kinfo *k = px_kinfo();
    return k->xsave_mask ? k->xsave_size + 4 : FXSAVE_SIZE;
}

uint64_t px_frame_size(void) /* the most that a signal takes of its stack: AT_MINSIGSTKSZ */
{
    return sizeof(struct linux_frame) + fp_size() + 64 + 16 + RED_ZONE;
}

/*
 * Frames are written and read in place, after each of their pages has been touched under guard.
 * (Should another thread of the program take the page away meanwhile, the program dies of it, as it
 * would have a moment later.)
 */
static bool touch(uint64_t at, uint64_t size, bool write)
{
    for (uint64_t page = at; page < at + size; page = (page | (MOTOR_PAGE_SIZE - 1)) + 1) {
        uint8_t byte;
        if (write ? px_zero_out((void *)page, 1) < 0 : px_copy_in(&byte, (void *)page, 1) < 0) {
            return false;
        }
    }
    return true;
}

static void push_fp(uint64_t at)
{
    const volatile struct motor_kinfo *k = px_kinfo();
    uint64_t mask = k->xsave_mask, size = k->xsave_size;
    struct fp_software *software = (struct fp_software *)(at + FP_SOFTWARE_BYTES);
    uint64_t *header = (uint64_t *)(at + XSAVE_HEADER);
    if (mask) {
        header[0] = header[1] = header[2] = header[3] = header[4] = header[5] = header[6] =
            header[7] = 0;
    }
    px_fp_save((void *)at, mask);
    *software = (struct fp_software){0};
    if (mask) {
        *software = (struct fp_software){FP_MAGIC1, (uint32_t)size + 4, mask, (uint32_t)size, {0}};
        *(uint32_t *)(at + size) = FP_MAGIC2;
    }
}

/*
 * A handler begins as a function does: x87 empty, both control words as the ABI has them, whatever
 * was interrupted.
 */
static void reset_fp(void)
{
    static const uint32_t mxcsr = 0x1f80;
    __asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
}

/*
 * All but what the caller fills: field by field, since a compound literal would be built and
 * copied.
 */
static void fill_context(struct linux_sigcontext *m, const struct motor_context *r)
{
    __asm__("movw %%cs, %0" : "=r"(m->cs));
    __asm__("movw %%ss, %0" : "=r"(m->ss));
    m->gs = m->fs = 0;
    m->r8 = r->r8;
    m->r9 = r->r9;
    m->r10 = r->r10;
    m->r11 = r->r11;
    m->r12 = r->r12;
    m->r13 = r->r13;
    m->r14 = r->r14;
    m->r15 = r->r15;
    m->rdi = r->rdi;
    m->rsi = r->rsi;
    m->rbp = r->rbp;
    m->rbx = r->rbx;
    m->rdx = r->rdx;
    m->rax = r->rax;
    m->rcx = r->rcx;
    m->rsp = r->rsp;
    m->rip = r->rip;
    m->eflags = r->rflags;
    for (int k = 0; k < 8; k++) {
        m->reserved[k] = 0;
    }
}

static void from_context(struct motor_context *r, const struct linux_sigcontext *m)
{
    *r = (struct motor_context){
        .rax = m->rax,
        .rbx = m->rbx,
        .rcx = m->rcx,
        .rdx = m->rdx,
        .rsi = m->rsi,
        .rdi = m->rdi,
        .rbp = m->rbp,
        .rsp = m->rsp,
        .r8 = m->r8,
        .r9 = m->r9,
        .r10 = m->r10,
        .r11 = m->r11,
        .r12 = m->r12,
        .r13 = m->r13,
        .r14 = m->r14,
        .r15 = m->r15,
        .rip = m->rip,
        .rflags = (m->eflags & RFLAGS_USER) | 0x202,
    };
}

/*
 * Where the frame goes: the alternate stack if wanted, else below the red zone. 0: no room on the
 * alternate stack.
 */
static uint64_t frame_stack(struct px_thread *t, const struct px_action *a)
{
    uint64_t sp = t->regs.rsp - RED_ZONE;
    if ((a->flags & SA_ONSTACK) && t->altstack.size && !on_stack(&t->altstack, t->regs.rsp)) {
        sp = t->altstack.sp + t->altstack.size;
    }
    uint64_t end = sp - px_frame_size();
    bool overflow = on_stack(&t->altstack, sp) && end < t->altstack.sp;
    return overflow || sp < px_frame_size() ? 0 : sp;
}

static long push_frame(struct px_thread *t, int sig, const struct px_siginfo *info,
                       const struct px_action *a, uint64_t old_mask,
                       const struct motor_fault *fault)
{
    uint64_t sp = frame_stack(t, a);
    uint64_t fp = (sp - fp_size()) & ~63ull;
    struct linux_frame *f = (struct linux_frame *)(((fp - sizeof(*f)) & ~15ull) - 8);
    if (!sp || !touch((uint64_t)f, sp - (uint64_t)f, true)) {
        return -EFAULT;
    }
    push_fp(fp);
    reset_fp();
    f->pretcode = (uint64_t)px_signal_return;
    f->uc.flags =
        (px_kinfo()->xsave_mask ? UC_FP_XSTATE : 0) | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    f->uc.link = 0;
    f->uc.stack = t->altstack;
    f->uc.stack.flags = t->altstack.size ? t->altstack.flags & SS_AUTODISARM : SS_DISABLE;
    fill_context(&f->uc.mc, &t->regs);
    f->uc.mc.fpstate = fp;
    f->uc.mc.oldmask = old_mask;
    f->uc.mc.err = fault ? fault->error : 0;
    f->uc.mc.trapno = fault ? fault->vector : 0;
    f->uc.mc.cr2 = fault && fault->vector == 14 ? fault->address : 0;
    f->uc.sigmask = old_mask;
    f->info = *info;
    memset(f->info_rest, 0, sizeof(f->info_rest));
    if (t->altstack.flags & SS_AUTODISARM) {
        t->altstack = (struct px_altstack){0};
    }
    t->regs.rip = a->handler;
    t->regs.rsp = (uint64_t)f;
    t->regs.rdi = (uint64_t)sig;
    t->regs.rsi = (uint64_t)&f->info;
    t->regs.rdx = (uint64_t)&f->uc;
    t->regs.rax = 0;
    t->regs.rflags = 0x202;
    return 0;
}

/* ---- the actions ---- */

#define IGNORED (PX_BIT(SIGCHLD) | PX_BIT(SIGCONT) | PX_BIT(SIGURG) | PX_BIT(SIGWINCH))
#define STOPS   (PX_BIT(SIGSTOP) | PX_BIT(SIGTSTP) | PX_BIT(SIGTTIN) | PX_BIT(SIGTTOU))

static void run_handler(struct px_thread *t, int sig, const struct px_siginfo *info,
                        const struct px_action *a, uint64_t old_mask,
                        const struct motor_fault *fault)
{
    t->restart_deadline = 0;
    px_trace_signal(sig, info);
    if (push_frame(t, sig, info, a, old_mask, fault) == 0) {
        return;
    }
    struct px_siginfo bad = {.signo = SIGSEGV, .code = SI_KERNEL};
    struct px_action segv;
    if (sig != SIGSEGV && px_fault_action(t, SIGSEGV, &segv, &old_mask)) {
        if (push_frame(t, SIGSEGV, &bad, &segv, old_mask, NULL) == 0) {
            return;
        }
    }
    px_die(SIGSEGV, &bad, true);
}

static bool ignored(int sig, const struct px_action *a)
{
    return a->handler == SIG_IGN || (a->handler == SIG_DFL && (PX_BIT(sig) & IGNORED));
}

/*
 * Ends or stops the process; this thread stops when it next acknowledges. An orphaned group is not
 * stopped (the kernel refuses), and init is spared what it does not handle.
 */
static void default_action(struct px_thread *t, int sig, const struct px_siginfo *info)
{
    if (PX_BIT(sig) & STOPS) {
        motor_process_stop((uint32_t)sig);
    } else if (t->process->pid != 1) {
        px_die(sig, info, false);
    }
}

/*
 * Deliver what can be delivered. in_call: regs are those of a call with this result, else a plain
 * context. True: the program goes on where it was, no handler runs.
 */
static bool work(struct px_thread *t, bool in_call, long result)
{
    bool stays = true;
    struct px_siginfo info;
    struct px_action a;
    uint64_t mask;
    uint32_t kind = t->kind;
    for (;;) {
        if (__atomic_load_n(&t->tcb.pending, __ATOMIC_RELAXED)) {
            px_take_interruption();
        }
        int sig = t->work & PX_WORK_SIGNAL ? px_signal_next(t, &info, &a, &mask) : 0;
        if (sig) {
            t->work |= PX_WORK_SIGNAL; /* look for more */
            if (ignored(sig, &a)) {
                continue;
            }
            if (a.handler == SIG_DFL) {
                default_action(t, sig, &info);
                continue;
            }
            if (in_call) {
                settle(t, kind, result, &a);
                in_call = false;
            }
            if (t->work & PX_WORK_RESTORE) {
                mask = t->saved_mask;
                t->work &= ~PX_WORK_RESTORE;
            }
            run_handler(t, sig, &info, &a, mask, NULL);
            stays = false;
            continue;
        }
        if (!(t->work & PX_WORK_RESTORE)) {
            break;
        }
        t->work &= ~PX_WORK_RESTORE;
        px_set_mask(t, t->saved_mask);
    }
    if (in_call) {
        uint64_t number = t->regs.rax;
        complete(t);
        t->regs.rax = (uint64_t)result;
        if (is_restart(result)) {
            roll_back(t, kind, number);
            stays = false;
        }
    }
    return stays;
}

/*
 * Two ways to the program, in entry.S. Result, of both: it returns from a call by the C convention,
 * for which thread->regs are complete.
 */
uint32_t px_leave_call(long result);
uint32_t px_leave_call(long result)
{
    struct px_thread *t = px_self();
    bool by_call = t->kind == PX_ENTRY_CALL;
    if ((t->work & PX_WORK_RESTORE) && !is_restart(result) && result != -EINTR) {
        t->work &= ~PX_WORK_RESTORE;
        px_set_mask(t, t->saved_mask);
    }
    return work(t, true, result) && by_call;
}

uint32_t px_leave_context(void);
uint32_t px_leave_context(void)
{
    struct px_thread *t = px_self();
    bool by_call = t->kind == PX_ENTRY_CALL;
    complete(t);
    return work(t, false, 0) && by_call;
}

/* ---- upcalls ---- */

static bool in_window(uint64_t rip)
{
    return rip >= (uint64_t)px_window && rip < (uint64_t)px_window_end;
}

/* On the fault stack, where no guarded access may be made. */
void px_interrupt_begin(void);
void px_interrupt_begin(void)
{
    struct px_thread *t = px_self();
    if (in_window(t->tcb.context.rip)) {
        complete(t);
    } else {
        t->regs = t->tcb.context;
        t->kind = PX_ENTRY_NONE;
    }
}

/* A call that had not even begun is rolled back. */
static void normalise(struct motor_context *r)
{
    if (r->rip == (uint64_t)px_entry) {
        uint64_t back;
        if (px_copy_in(&back, (void *)r->rsp, 8) == 0) {
            r->rip = back;
            r->rsp += 8;
            roll_back_call(r);
        }
    } else if (r->rip == (uint64_t)px_linux_entry) {
        r->rip = r->rcx - 2;
        r->rflags = r->r11;
    }
}

void px_interrupt_deliver(void);
void px_interrupt_deliver(void)
{
    struct px_thread *t = px_self();
    normalise(&t->regs);
    work(t, false, 0);
}

static uint32_t fp_fault_code(uint32_t vector)
{
    uint32_t mxcsr = 0;
    uint16_t status = 0, control = 0;
    uint32_t raised;
    if (vector == 19) {
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
        raised = ~(mxcsr >> 7) & mxcsr;
    } else {
        __asm__ volatile("fnstsw %0" : "=m"(status));
        __asm__ volatile("fnstcw %0" : "=m"(control));
        raised = status & ~(uint32_t)control;
    }
    return raised & 1      ? 7
           : raised & 4    ? 3
           : raised & 8    ? 4
           : raised & 0x12 ? 5
           : raised & 0x20 ? 6
                           : 0;
}

static void describe(struct px_siginfo *info, const struct motor_fault *f, uint64_t rip)
{
    *info = (struct px_siginfo){.code = SI_KERNEL};
    info->signo = SIGSEGV;
    switch (f->vector) {
    case 0:
        *info = (struct px_siginfo){.signo = SIGFPE, .code = 1, .address = rip};
        break;
    case 1:
        *info = (struct px_siginfo){.signo = SIGTRAP, .code = 2, .address = rip};
        break;
    case 3:
        info->signo = SIGTRAP;
        break;
    case 6:
        *info = (struct px_siginfo){.signo = SIGILL, .code = 2, .address = rip};
        break;
    case 11:
    case 12:
        info->signo = SIGBUS;
        break;
    case 14:
        info->address = f->address;
        if (f->status == MOTOR_EGONE) {
            info->signo = SIGBUS;
            info->code = 2; /* BUS_ADRERR */
        } else {
            info->code = f->status == MOTOR_ENOENT ? 1 : 2; /* SEGV_MAPERR, SEGV_ACCERR */
        }
        break;
    case 16:
    case 19:
        *info = (struct px_siginfo){
            .signo = SIGFPE, .code = (int)fp_fault_code(f->vector), .address = rip};
        break;
    case 17:
        *info = (struct px_siginfo){.signo = SIGBUS, .code = 1};
        break;
    default:
        break;
    }
}

/* What the program executes of the runtime as if it were its own: clock.c. By the linker. */
extern const char __start_px_program_code[], __stop_px_program_code[];

static bool in_runtime(uint64_t rip)
{
    return rip >= (uint64_t)__ehdr_start && rip < (uint64_t)_end &&
           !(rip >= (uint64_t)__start_px_program_code && rip < (uint64_t)__stop_px_program_code);
}

/*
 * On the fault stack. The runtime's own faults outside guarded accesses end the process; so do
 * those of its entries.
 */
void px_fault_begin(void);
void px_fault_begin(void)
{
    struct px_thread *t = px_self();
    uint64_t rip = t->tcb.context.rip;
    if (in_window(rip)) {
        complete(t);
        t->tcb.busy = 1;
        return;
    }
    t->regs = t->tcb.context;
    t->kind = PX_ENTRY_NONE;
    t->tcb.busy = 1;
    if (in_runtime(rip)) {
        struct px_siginfo info;
        px_report_raw = true;
        t->tcb.upcall_stack -= 4096; /* guarded accesses below here may fault: not on our frames */
        describe(&info, &t->tcb.fault, rip);
        px_die(info.signo, &info, true);
    }
}

void px_fault_deliver(void);
void px_fault_deliver(void)
{
    struct px_thread *t = px_self();
    struct motor_fault fault = t->tcb.fault;
    struct px_siginfo info;
    if (fault.vector == 14 && fault.status == MOTOR_ENOMEM) {
        static const char text[] = "motor: out of memory\n";
        px_report(text, sizeof(text) - 1);
        px_process_end(SIGKILL);
    }
    describe(&info, &fault, t->regs.rip);
    struct px_action a;
    uint64_t mask;
    if (!px_fault_action(t, info.signo, &a, &mask)) {
        px_die(info.signo, &info, true);
    }
    run_handler(t, info.signo, &info, &a, mask, &fault);
    work(t, false, 0);
}

/* ---- back from a handler ---- */

static bool load_fp(uint64_t at)
{
    uint64_t mask = px_kinfo()->xsave_mask;
    struct fp_software software;
    uint32_t magic2;
    if (!at) {
        return true;
    }
    if (px_copy_in(&software, (void *)(at + FP_SOFTWARE_BYTES), sizeof(software)) < 0) {
        return false;
    }
    bool extended =
        mask && software.magic1 == FP_MAGIC1 && software.xstate_size <= px_kinfo()->xsave_size &&
        software.xstate_size >= XSAVE_HEADER + 64 &&
        px_copy_in(&magic2, (void *)(at + software.xstate_size), 4) == 0 && magic2 == FP_MAGIC2;
    return px_fp_load((void *)at, extended ? mask & software.features : 0) == 0;
}

static void bad_frame(void)
{
    struct px_siginfo info = {.signo = SIGSEGV, .code = SI_KERNEL};
    px_die(SIGSEGV, &info, true);
}

static void restore(uint64_t at)
{
    struct px_thread *t = px_self();
    const struct linux_ucontext *uc = (const struct linux_ucontext *)at;
    if (at % 8 || !touch(at, sizeof(*uc), false) || !load_fp(uc->mc.fpstate)) {
        bad_frame();
    }
    from_context(&t->regs, &uc->mc);
    t->kind = PX_ENTRY_NONE;
    if (!on_stack(&t->altstack, t->regs.rsp)) {
        t->altstack = uc->stack.flags & SS_DISABLE ? (struct px_altstack){0} : uc->stack;
    }
    uint64_t mask = uc->sigmask & ~PX_UNBLOCKABLE;
    if (mask != t->mask) {
        px_set_mask(t, mask);
    }
}

void px_sigreturn(uint64_t at);
void px_sigreturn(uint64_t at)
{
    restore(at);
    px_leave_context();
}

long px_sys_rt_sigreturn(void)
{
    restore(px_self()->regs.rsp);
    px_leave_to_context();
}

long px_sys_sigaltstack(const void *stack, void *old)
{
    struct px_thread *t = px_self();
    struct px_altstack new, before = t->altstack;
    bool inside = on_stack(&before, t->regs.rsp);
    if (stack && px_copy_in(&new, stack, sizeof(new)) < 0) {
        return -EFAULT;
    }
    if (old) {
        before.flags = !before.size ? SS_DISABLE : inside ? SS_ONSTACK : 0;
        before.flags |= t->altstack.flags & SS_AUTODISARM;
        before.pad = 0;
        if (px_copy_out(old, &before, sizeof(before)) < 0) {
            return -EFAULT;
        }
    }
    if (!stack) {
        return 0;
    }
    int mode = new.flags & ~SS_AUTODISARM;
    if (inside) {
        return -EPERM;
    }
    if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK) {
        return -EINVAL;
    }
    if (mode == SS_DISABLE) {
        new = (struct px_altstack){0};
    } else if (new.size < MINSIGSTKSZ) {
        return -ENOMEM;
    }
    t->altstack = new;
    return 0;
}

/* ---- death ---- */

_Noreturn void px_die(int sig, const struct px_siginfo *info, bool report)
{
    if (report) {
        px_fatal_report(sig, info, &px_self()->regs);
    }
    px_process_end((uint32_t)sig); /* no core file, so no core bit in the status */
}
