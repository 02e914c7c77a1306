/* SPDX-License-Identifier: MIT */
/*
 * sysio's virtio against hypervisors that lie: firmware tables, PCI configuration spaces and
 * registers made up from a seed, mostly sensible and then damaged, and devices that write nonsense
 * into their used rings. Whatever they do, discovery ends, memory that was not mapped is not
 * touched (ASan), and a queue gives back each token at most once, with no more bytes than it has
 * room for.
 *
 *   virtio_fuzz SEED ROUNDS
 */
#include "../../../sysio/virtio/virtio_impl.h"
#include <motor/syscall.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s is false (seed %u)\n", __FILE__, __LINE__, #condition, \
                    seed); \
            abort(); \
        } \
    } while (0)

static unsigned seed;
static uint64_t random_state;

static uint32_t any(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

static uint32_t below(uint32_t n)
{
    return any() % n;
}

static bool once_in(uint32_t n)
{
    return below(n) == 0;
}

static uint32_t edge(void)
{
    static const uint32_t values[] = {0,           1,           2,          3,          15,
                                      16,          0xff,        0x100,      0x7fff,     0x8000,
                                      0xffff,      0x10000,     0xfffffff,  0x7fffffff, 0x80000000u,
                                      0xfffff000u, 0xfffffff0u, 0xffffffffu};
    return once_in(4) ? any() : values[below(sizeof values / sizeof *values)];
}

/* ---- physical memory, and the kernel's part ---- */

#define PHYSICAL_SIZE (8u << 20)
static uint8_t physical[PHYSICAL_SIZE];

static struct {
    uint64_t start, size; /* physical; start ~0: of its own */
} objects[4096];
static uint32_t object_count;

static int64_t object_new(uint64_t start, uint64_t size)
{
    if (object_count == sizeof objects / sizeof *objects)
        return -MOTOR_ENOMEM;
    objects[object_count].start = start;
    objects[object_count].size = size;
    return ++object_count;
}

/* A copy, so that a byte beyond it is beyond what was mapped. Never unmapped: a round is short. */
static int64_t map_object(uint64_t handle, uint64_t size)
{
    CHECK(handle && handle <= object_count && size == objects[handle - 1].size);
    uint8_t *p = aligned_alloc(4096, size);
    uint64_t start = objects[handle - 1].start;
    memset(p, 0, size);
    for (uint64_t i = 0; start != ~0ull && i < size; i++)
        p[i] = start + i < PHYSICAL_SIZE ? physical[start + i] : 0xff;
    return (int64_t)p;
}

int64_t motor_raw_syscall(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                          uint64_t f)
{
    (void)f;
    switch (n) {
    case MOTOR_SYS_vmo_create_physical:
        CHECK(!(b & 4095) && !(c & 4095) && c);
        return c > 16u << 20 ? -MOTOR_ENOMEM : object_new(b, c);
    case MOTOR_SYS_vmo_create:
        return object_new(~0ull, a);
    case MOTOR_SYS_vmo_control:
        for (uint64_t i = 0; i < d / 4096; i++)
            ((uint64_t *)e)[i] = 0x100000000ull + i * 4096;
        return 0;
    case MOTOR_SYS_map:
        return map_object(b, e);
    case MOTOR_SYS_irq_create:
        if (d)
            *(struct motor_msi *)d = (struct motor_msi){.address = 0xfee00000, .data = 33};
        return once_in(20) ? -MOTOR_ENOMEM : 1000;
    case MOTOR_SYS_unmap:
    case MOTOR_SYS_handle_close:
    case MOTOR_SYS_bind:
    case MOTOR_SYS_irq_ack:
        return 0;
    default:
        CHECK(!"a system call that the harness does not have");
        return 0;
    }
}

/* ---- PCI, through ports ---- */

#define FUNCTIONS 6u
static struct function {
    uint32_t address;
    uint8_t space[256], ones[6 * 4]; /* ones: bits of the BARs that cannot be changed to 1 */
} functions[FUNCTIONS];
static uint32_t port_address;
static uint64_t port_accesses;

static struct function *selected(void)
{
    for (uint32_t i = 0; i < FUNCTIONS; i++)
        if (functions[i].address == (port_address >> 8 & 0xffff))
            return &functions[i];
    return NULL;
}

static void put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, 4);
}

void port_write32(uint16_t port, uint32_t value)
{
    CHECK(++port_accesses < 3000000); /* discovery ends */
    if (port == 0xcf8) {
        port_address = value;
        return;
    }
    struct function *f = selected();
    uint32_t at = port_address & 0xfc;
    if (!f)
        return;
    if (at >= 0x10 && at < 0x28) { /* a BAR keeps the bits below its size */
        uint32_t fixed, old;
        memcpy(&fixed, f->ones + at - 0x10, 4);
        memcpy(&old, f->space + at, 4);
        value = (value & ~fixed) | (old & 0xf);
    }
    put32(f->space + at, value);
}

uint32_t port_read32(uint16_t port)
{
    uint32_t value = 0xffffffffu;
    struct function *f = selected();
    CHECK(++port_accesses < 3000000 && port == 0xcfc);
    if (f)
        memcpy(&value, f->space + (port_address & 0xfc), 4);
    return value;
}

static uint32_t lie(uint32_t truth, uint32_t in)
{
    return once_in(in) ? edge() : truth;
}

static void make_capability(struct function *f, uint32_t at, uint32_t next, uint32_t kind)
{
    static const uint32_t sizes[] = {0, 56, 0x1000, 1, 0x100};
    uint8_t *c = f->space + at;
    if (kind == 5) { /* MSI-X */
        c[0] = 0x11;
        c[1] = (uint8_t)lie(next, 30);
        c[2] = (uint8_t)lie(2, 10);
        c[3] = (uint8_t)lie(0, 20);
        put32(c + 4, lie(0x3000 | 4, 10));
        return;
    }
    c[0] = 9;
    c[1] = (uint8_t)lie(next, 30);
    c[2] = (uint8_t)lie(20, 20);
    c[3] = (uint8_t)lie(kind, 20);
    c[4] = (uint8_t)lie(4, 20);
    put32(c + 8, lie(kind * 0x1000, 20));
    put32(c + 12, lie(sizes[kind], 10));
    put32(c + 16, lie(4, 10));
}

static void make_function(struct function *f, uint32_t index)
{
    memset(f, 0, sizeof *f);
    f->address = once_in(4) ? below(256) << 8 | below(256) : index << 3;
    put32(f->space, lie(0x10410000u + (below(4) << 16) + 0x1af4, 10));
    f->space[6] = (uint8_t)lie(0x10, 20);
    f->space[14] = (uint8_t)lie(once_in(4) ? 0x81 : 0x80, 8);
    f->space[0x19] = (uint8_t)any();
    f->space[0x34] = (uint8_t)lie(0x40, 20);
    put32(f->space + 0x20, lie((0x100000u + index * 0x8000) | 4, 20)); /* BAR 4, 64 bits, 32 KiB */
    put32(f->ones + 16, lie(0x7fff, 10));
    for (uint32_t kind = 1; kind <= 5; kind++)
        make_capability(f, 0x40 + (kind - 1) * 20, kind < 5 ? 0x40 + kind * 20 : 0, kind);
    if (once_in(6))
        for (uint32_t i = 0; i < 8; i++)
            f->space[below(256)] = (uint8_t)any();
}

/* ---- ACPI and MMIO ---- */

static void finish_table(uint8_t *t, const char *signature, uint32_t size)
{
    memcpy(t, signature, 4);
    put32(t + 4, lie(size, 15));
    t[9] = 0;
    uint8_t sum = 0;
    for (uint32_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + t[i]);
    t[9] = (uint8_t)(lie(0, 30) - sum);
}

#define RSDP 0x1000u
static uint32_t make_dsdt(uint8_t *t)
{
    uint32_t at = 36;
    for (uint32_t i = 0; i < 4; i++) {
        memcpy(t + at, "LNRO0005", 8);
        uint8_t *r = t + at + 8 + below(20);
        memcpy(r, "\x86\x09\0\1", 4);
        put32(r + 4, lie(0x200000 + i * 0x1000, 10));
        put32(r + 8, lie(0x200, 10));
        memcpy(r + 12, "\x89\x06\0\1\1", 5);
        put32(r + 17, lie(16 + i, 10));
        at += 8 + 20 + 12 + 9 + 8;
    }
    return at;
}

static void make_tables(void)
{
    uint8_t *rsdp = physical + RSDP, *rsdt = physical + 0x2000, *fadt = physical + 0x3000,
            *dsdt = physical + 0x4000, sum = 0;
    memset(physical, 0, 0x10000);
    memcpy(rsdp, "RSD PTR ", 8);
    put32(rsdp + 16, lie(0x2000, 15));
    for (uint32_t i = 0; i < 20; i++)
        sum = (uint8_t)(sum + rsdp[i]);
    rsdp[8] = (uint8_t)(lie(0, 30) - sum);
    put32(rsdt + 36, lie(0x3000, 10));
    put32(rsdt + 40, lie(0x3000, 3));
    finish_table(rsdt, "RSDT", 44);
    put32(fadt + 40, lie(0x4000, 10));
    finish_table(fadt, "FACP", 132);
    finish_table(dsdt, "DSDT", make_dsdt(dsdt));
    if (once_in(3))
        for (uint32_t i = 0; i < 10; i++)
            physical[0x1000 + below(0x4000)] = (uint8_t)any();
}

static void make_registers(void)
{
    for (uint32_t at = 0x100000; at < 0x100000 + FUNCTIONS * 0x8000; at += 4)
        put32(physical + at, once_in(3) ? edge() : 0);
    for (uint32_t i = 0; i < FUNCTIONS; i++) { /* a common configuration that agrees to all */
        uint8_t *c = physical + 0x100000 + i * 0x8000 + 0x1000;
        memset(c, 0, 56);
        put32(c + 4, lie(0xffffffffu, 8));
        c[18] = (uint8_t)lie(3, 8);
        c[24] = (uint8_t)lie(64, 8);
        c[25] = (uint8_t)lie(0, 8);
        c[30] = (uint8_t)lie(0, 8);
    }
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t *r = physical + 0x200000 + i * 0x1000;
        for (uint32_t at = 0; at < 0x200; at += 4)
            put32(r + at, once_in(3) ? edge() : 0);
        put32(r, lie(0x74726976, 20));
        put32(r + 4, lie(2, 10));
        put32(r + 8, lie(1 + below(4), 10));
        put32(r + 0x10, lie(0xffffffffu, 8));
        put32(r + 0x34, lie(64, 4));
        put32(r + 0x44, lie(0, 8));
        put32(r + 0x70, 0);
    }
}

/* ---- a driver, and its device ---- */

#define TOKENS 128u
struct chain {
    uint32_t capacity;
    bool in_flight;
};

/* What a device may do to its side of the queue, and what it must not. */
static void device_moves(struct virtq *q, uint16_t *used)
{
    volatile struct virtq_used_element *e = &q->used->ring[*used % q->size];
    switch (below(12)) {
    case 0:
        e->id = edge();
        break;
    case 1:
        q->used->index = (uint16_t)any();
        break;
    case 2:
        *q->avail_event = (uint16_t)any();
        break;
    case 3:
        q->used->flags = (uint16_t)any();
        break;
    case 4:
        q->desc[below(q->size)].next = (uint16_t)any();
        q->desc[below(q->size)].flags = (uint16_t)any();
        break;
    default: /* it finishes some chain, of those that it was given or not */
        e->id = once_in(30) ? below(q->size) : q->avail->ring[*used % q->size];
        e->length = once_in(4) ? edge() : below(2000);
        q->used->index = ++*used;
    }
}

static void drive(struct virtq *q)
{
    static struct chain chains[TOKENS];
    struct virtio_buffer buffers[8];
    uint16_t used = 0;
    memset(chains, 0, sizeof chains);
    for (uint32_t step = 0; step < 400; step++) {
        uint32_t out = below(4), in = below(5), i = below(TOKENS), written = 0, capacity = 0;
        for (uint32_t b = 0; b < out + in; b++) {
            buffers[b] = (struct virtio_buffer){any(), below(2000)};
            capacity += b >= out ? buffers[b].size : 0;
        }
        if (!chains[i].in_flight && virtq_add(q, buffers, out, in, &chains[i]) == 0) {
            CHECK(out + in);
            chains[i] = (struct chain){capacity, true};
        }
        if (once_in(3))
            virtq_kick(q);
        device_moves(q, &used);
        if (once_in(4))
            virtq_interrupts_off(q);
        if (once_in(4))
            virtq_interrupts_on(q);
        for (struct chain *c; once_in(2) && (c = virtq_pop(q, &written));) {
            CHECK(c >= chains && c < chains + TOKENS && c->in_flight && written <= c->capacity);
            c->in_flight = false;
        }
        CHECK(virtq_free(q) <= virtq_size(q));
    }
    uint32_t left = 0, found = 0;
    for (uint32_t i = 0; i < TOKENS; i++)
        left += chains[i].in_flight;
    for (struct chain *c; (c = virtq_detach(q)); found++)
        CHECK(c->in_flight);
    CHECK(left == found);
}

static void quiet(const char *format, ...)
{
    va_list args;
    char line[256];
    va_start(args, format);
    CHECK(vsnprintf(line, sizeof line, format, args) > 0);
    va_end(args);
}

/* -> how many queues were driven */
static uint32_t round_of(unsigned s)
{
    uint32_t driven = 0;
    uint64_t agreed;
    uint8_t bytes[16];
    seed = s;
    random_state = s * 2654435761u + 1;
    make_tables();
    for (uint32_t i = 0; i < FUNCTIONS; i++)
        make_function(&functions[i], i);
    make_registers();
    virtio_scan(lie(RSDP, 20), "virtio_mmio.device=512@0x200000:5", quiet);
    for (uint32_t type = 1; type <= 4; type++) {
        struct virtio_device *d;
        for (uint32_t n = 0; (d = virtio_find(type, n)); n++) {
            struct virtq *q;
            if (virtio_negotiate(d, ~0ull, 0, &agreed) < 0)
                continue;
            virtio_config_read(d, below(300), bytes, sizeof bytes);
            if (virtio_interrupts(d, 5) < 0)
                continue;
            for (uint32_t index = 0; index < 2; index++)
                if (virtio_queue(d, index, 1u << below(9), &q) == 0) {
                    virtio_start(d);
                    drive(q);
                    virtio_interrupt_begin(d);
                    virtio_interrupt_end(d);
                    driven++;
                }
        }
    }
    return driven;
}

int main(int argc, char **argv)
{
    unsigned first = argc > 1 ? (unsigned)atoi(argv[1]) : 1,
             rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 300;
    uint32_t driven = 0;
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    for (unsigned i = 0; i < rounds; i++) { /* a process each: discovery happens once in a life */
        uint32_t n = 0;
        int status;
        pid_t child = fork();
        CHECK(child >= 0);
        if (!child) {
            alarm(20);
            n = round_of(first + i);
            _exit(write(pipes[1], &n, sizeof n) == sizeof n ? 0 : 1);
        }
        CHECK(waitpid(child, &status, 0) == child);
        seed = first + i;
        CHECK(status == 0 && read(pipes[0], &n, sizeof n) == sizeof n);
        driven += n;
    }
    printf("%u rounds, %u queues driven\n", rounds, driven);
    CHECK(driven > rounds); /* or nothing has been looked at */
    return 0;
}
