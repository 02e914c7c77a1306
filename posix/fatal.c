/* SPDX-License-Identifier: MIT */
/*
 * The last words of a program that dies of a fault, on fd 2: signal, address, registers, and a
 * backtrace along the frame pointers with names from the program's own symbol table. Everything
 * that is followed may be garbage: reads are guarded and bounded.
 */
#include "internal.h"

#include "elf.h"

#define FRAMES          32
#define SYMBOLS_AT_ONCE 128

static const char signal_names[] =
    "0\0HUP\0INT\0QUIT\0ILL\0TRAP\0ABRT\0BUS\0FPE\0KILL\0USR1\0SEGV\0USR2\0PIPE\0ALRM\0TERM\0STKFLT\0CHLD\0CONT\0STOP\0"
    "TSTP\0TTIN\0TTOU\0URG\0XCPU\0XFSZ\0VTALRM\0PROF\0WINCH\0IO\0PWR\0SYS\0";

const char *px_signal_name(int sig)
{
    const char *s = signal_names;
    if (sig < 1 || sig > SIGSYS) {
        return "RT";
    }
    for (; sig; sig--) {
        s += strlen(s) + 1;
    }
    return s;
}

struct symbols {
    uint32_t count;
    uint64_t address[FRAMES]; /* in the file's terms */
    uint64_t value[FRAMES];   /* of the best symbol, 0: none */
    uint32_t name[FRAMES];
    uint64_t strings, strings_size;
};

static bool read_file(uint64_t offset, void *to, size_t size)
{
    struct motor_msg m = {
        .op = IO_READ, .word = {offset}, .out = to, .out_size = size, .deadline = MOTOR_NEVER};
    return px_proc()->exec && px_call(px_proc()->exec, &m) == (long)size;
}

static void match(struct symbols *s, const struct elf_symbol *symbol)
{
    if ((symbol->info & 15) != STT_FUNC || !symbol->section) {
        return;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        bool inside = s->address[i] >= symbol->value &&
                      (s->address[i] - symbol->value < symbol->size || !symbol->size);
        if (inside && symbol->value > s->value[i]) {
            s->value[i] = symbol->value;
            s->name[i] = symbol->name;
        }
    }
}

static void scan(struct symbols *s, const struct elf_section *table, struct elf_symbol *buffer)
{
    for (uint64_t n = table->size / sizeof(*buffer), at = 0; at < n;) {
        uint64_t some = PX_MIN(n - at, (uint64_t)SYMBOLS_AT_ONCE);
        if (!read_file(table->offset + at * sizeof(*buffer), buffer, some * sizeof(*buffer))) {
            return;
        }
        for (uint64_t i = 0; i < some; i++) {
            match(s, &buffer[i]);
        }
        at += some;
    }
}

static void look_up(struct symbols *s)
{
    struct elf_header h;
    struct elf_section section, strings;
    struct elf_symbol *buffer = px_alloc(SYMBOLS_AT_ONCE * sizeof(*buffer));
    if (buffer && read_file(0, &h, sizeof(h)) && h.shentsize == sizeof(section)) {
        for (unsigned i = 0; i < h.shnum && i < 256; i++) {
            if (!read_file(h.shoff + i * sizeof(section), &section, sizeof(section))) {
                break;
            }
            if (section.type == SHT_SYMTAB && section.link < h.shnum && section.size < 64u << 20 &&
                read_file(h.shoff + section.link * sizeof(section), &strings, sizeof(strings))) {
                s->strings = strings.offset;
                s->strings_size = strings.size;
                scan(s, &section, buffer);
                break;
            }
        }
    }
    px_free(buffer);
}

static void name_of(const struct symbols *s, uint32_t i, char *name, size_t size)
{
    name[0] = 0;
    if (!s->value[i] || s->name[i] >= s->strings_size) {
        return;
    }
    size_t n = PX_MIN(size - 1, s->strings_size - s->name[i]);
    if (!read_file(s->strings + s->name[i], name, n)) {
        n = 0;
    }
    name[n] = 0;
}

/*
 * A function without a frame: on top of the stack lies its return address, behind a call of (just
 * before) here.
 */
static bool frameless(const struct motor_context *c, uint64_t *caller)
{
    uint8_t code[5];
    int32_t distance;
    if (px_copy_in(caller, (void *)c->rsp, 8) < 0) {
        return false;
    }
    if (px_copy_in(code, (void *)c->rip, 1) < 0) {
        return true; /* a call to nowhere */
    }
    if (px_copy_in(code, (void *)(*caller - 5), sizeof(code)) < 0 || code[0] != 0xe8) {
        return false;
    }
    memcpy(&distance, code + 1, 4);
    uint64_t function = *caller + (uint64_t)(int64_t)distance;
    return c->rip >= function && c->rip - function < 4096;
}

static uint32_t walk(const struct motor_context *c, uint64_t *frame)
{
    uint32_t n = 0;
    uint64_t rbp = c->rbp, pair[2];
    frame[n++] = c->rip;
    if (frameless(c, &frame[n])) {
        n++;
    }
    while (n < FRAMES && rbp % 8 == 0 && px_copy_in(pair, (void *)rbp, sizeof(pair)) == 0 &&
           pair[1]) {
        frame[n++] = pair[1];
        if (pair[0] <= rbp) {
            break;
        }
        rbp = pair[0];
    }
    return n;
}

static void report_registers(const struct motor_context *c)
{
    char text[640];
    size_t n = px_format(text, sizeof(text),
                         "  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n"
                         "  rsi %016lx  rdi %016lx  rbp %016lx  rsp %016lx\n"
                         "  r8  %016lx  r9  %016lx  r10 %016lx  r11 %016lx\n"
                         "  r12 %016lx  r13 %016lx  r14 %016lx  r15 %016lx\n"
                         "  rip %016lx  flags %lx\n",
                         c->rax, c->rbx, c->rcx, c->rdx, c->rsi, c->rdi, c->rbp, c->rsp, c->r8,
                         c->r9, c->r10, c->r11, c->r12, c->r13, c->r14, c->r15, c->rip, c->rflags);
    px_report(text, n);
}

static void report_frame(const struct symbols *s, uint32_t i, uint64_t address)
{
    char name[128], text[256];
    size_t n;
    name_of(s, i, name, sizeof(name));
    if (name[0]) {
        n = px_format(text, sizeof(text), "  at %016lx %s+0x%lx\n", address, name,
                      s->address[i] - s->value[i] + (i ? 1 : 0));
    } else if (address >= (uint64_t)__ehdr_start && address < (uint64_t)_end) {
        n = px_format(text, sizeof(text), "  at %016lx (motor runtime + 0x%lx)\n", address,
                      address - (uint64_t)__ehdr_start);
    } else {
        n = px_format(text, sizeof(text), "  at %016lx\n", address);
    }
    px_report(text, n);
}

void px_fatal_report(int sig, const struct px_siginfo *info, const struct motor_context *c)
{
    struct px_process *p = px_proc();
    struct px_thread *t = px_self();
    uint64_t frame[FRAMES];
    char text[256];
    size_t n =
        px_format(text, sizeof(text), "motor: %s[%u] thread %u: SIG%s, address %p, code %d\n",
                  p->name, p->pid, t->tid, px_signal_name(sig), (void *)info->address, info->code);
    px_report(text, n);
    report_registers(c);
    uint32_t count = walk(c, frame);
    struct symbols *s = px_alloc(sizeof(*s));
    if (!s) {
        return;
    }
    /* a return address may lie behind its function: look at the call */
    for (uint32_t i = 0; i < count; i++) {
        s->address[i] = frame[i] - p->load_bias - (i ? 1 : 0);
    }
    s->count = count;
    look_up(s);
    for (uint32_t i = 0; i < count; i++) {
        report_frame(s, i, frame[i]);
    }
    px_free(s);
}
