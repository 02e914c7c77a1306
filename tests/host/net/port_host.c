/* SPDX-License-Identifier: MIT */
/* The port for the host: windows are mmap, handles a table, the device a pair of queues. */
#define _GNU_SOURCE
#include "../../../sysio/base/lend.h"
#include "config.h"
#include "device.h"
#include "engine.h"
#include "heap.h"
#include "host.h"
#include "port.h"
#include "socket.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHECK(x) ((x) ? (void)0 : (fprintf(stderr, "port_host.c:%d: %s\n", __LINE__, #x), abort()))

static struct host_options options;
static uint64_t now;
static uint64_t random_state;
static uint32_t fail_one_in;

uint64_t port_now(void)
{
    return now;
}

uint64_t port_realtime(void)
{
    return port_now();
}

uint32_t port_random(void)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 32);
}

void port_log(const char *format, ...)
{
    va_list args;
    if (options.quiet)
        return;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

/* ---- windows ---- */

static bool memory_fails(void)
{
    return fail_one_in && port_random() % fail_one_in == 0;
}

int port_window_create(struct window *w, uint64_t size, uint64_t align)
{
    *w = (struct window){0};
    if (memory_fails())
        return -ENOMEM;
    uint8_t *base =
        mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return -ENOMEM;
    uint8_t *at = (uint8_t *)(((uintptr_t)base + align - 1) & ~(align - 1));
    if (at > base)
        munmap(base, (size_t)(at - base));
    munmap(at + size, (size_t)(base + align - at));
    *w = (struct window){.base = at, .size = size};
    return 0;
}

int port_window_charge(struct window *w, motor_handle process)
{
    (void)w, (void)process;
    return 0;
}

void port_window_destroy(struct window *w)
{
    munmap(w->base, w->size);
}

/*
 * The client's pages are there anyway: what the engine touches without asking faults on the
 * engine's own side only.
 */
int port_window_commit(struct window *w, uint64_t offset, uint64_t size)
{
    CHECK(offset % 4096 == 0 && size && offset + size <= w->size);
    if (memory_fails())
        return -ENOMEM;
    return mprotect(w->base + offset, size, PROT_READ | PROT_WRITE) ? -ENOMEM : 0;
}

void port_window_decommit(struct window *w, uint64_t offset, uint64_t size)
{
    CHECK(offset % 4096 == 0 && size % 4096 == 0 && offset + size <= w->size);
    madvise(w->base + offset, size, MADV_DONTNEED);
    mprotect(w->base + offset, size, PROT_NONE);
}

int port_window_pin(struct window *w, uint64_t offset, uint64_t size, uint64_t *physical)
{
    int error = port_window_commit(w, offset, size);
    for (uint64_t i = 0; i < (size + 4095) / 4096 && !error; i++)
        physical[i] = (uint64_t)(w->base + offset + i * 4096);
    return error;
}

/* ---- handles ---- */

enum { FREE, GATE, VMO, PROCESS };
static struct handle {
    int kind;
    uint64_t badge;
    void *memory;
} * handles;
static uint32_t handles_used;
static struct badge {
    void *object;
    uint32_t references;
    bool alive;
} * badges;
static uint32_t badges_used;

static motor_handle handle_new(int kind, uint64_t badge, void *memory)
{
    for (uint32_t i = handles_used > 64 ? handles_used - 64 : 1; i < handles_used; i++)
        if (handles[i].kind == FREE) {
            handles[i] = (struct handle){kind, badge, memory};
            return i;
        }
    if (handles_used % 1024 == 0)
        handles = realloc(handles, (handles_used + 1024) * sizeof *handles);
    if (!handles_used)
        handles[handles_used++] = (struct handle){0};
    handles[handles_used] = (struct handle){kind, badge, memory};
    return handles_used++;
}

int64_t port_gate_install(motor_handle process, void *object, uint64_t *badge)
{
    *badge = 0;
    CHECK(!process || (process < handles_used && handles[process].kind == PROCESS));
    if (memory_fails())
        return -ENOMEM;
    if (badges_used % 1024 == 0)
        badges = realloc(badges, (badges_used + 1024) * sizeof *badges);
    if (!badges_used)
        badges[badges_used++] = (struct badge){0};
    badges[badges_used] = (struct badge){object, 1, true};
    *badge = badges_used++;
    return handle_new(GATE, *badge, NULL);
}

int64_t port_gate_create(void *object, uint64_t *badge)
{
    return port_gate_install(0, object, badge);
}

void port_gate_forget(uint64_t badge)
{
    badges[badge].alive = false;
}

void *port_gate_object(uint64_t badge)
{
    return badge < badges_used && badges[badge].alive ? badges[badge].object : NULL;
}

void port_handle_close(motor_handle h)
{
    if (!h)
        return;
    CHECK(h < handles_used && handles[h].kind != FREE);
    struct handle old = handles[h];
    handles[h].kind = FREE;
    if (old.kind == GATE && !--badges[old.badge].references && badges[old.badge].alive)
        net_closed(badges[old.badge].object);
}

/* A memory object: see kernel_host.c. 0: none is to be had. */
motor_handle host_object(void *memory)
{
    return memory_fails() ? 0 : handle_new(VMO, 0, memory);
}

motor_handle port_take_handle(const struct motor_event *ev, uint32_t index)
{
    return ev->handle[index];
}

int port_window_adopt(struct window *w, motor_handle vmo)
{
    CHECK(handles[vmo].kind == VMO);
    void *copy = handles[vmo].memory;
    *w = (struct window){.base = copy, .size = 4096, .vmo = vmo};
    return 0;
}

motor_handle port_window_share(struct window *w)
{
    return handle_new(VMO, 0, w->base);
}

int64_t port_call_read(const struct motor_event *ev, uint64_t offset, void *buffer, uint64_t size)
{
    if (offset > ev->in_size)
        return 0;
    if (size > ev->in_size - offset)
        size = ev->in_size - offset;
    memcpy(buffer, ev->data + offset, size);
    return (int64_t)size;
}

int64_t port_call_write(const struct motor_event *ev, uint64_t offset, const void *buffer,
                        uint64_t size)
{
    (void)ev, (void)offset, (void)buffer;
    return (int64_t)size;
}

void port_wake(uint32_t *const *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        (void)__atomic_load_n(words[i], __ATOMIC_RELAXED);
}

uint64_t port_memory_total(void)
{
    return options.memory;
}

/* ---- the device ---- */

#define SLOTS 512u
struct slot {
    uint8_t *memory;
    uint32_t size;
    void *token;
};
static struct net_device device;
static struct slot offered[SLOTS], filled[SLOTS];
static uint32_t offered_head, offered_tail, filled_head, filled_tail;
static void *gone[SLOTS];
static uint32_t gone_head, gone_tail;
static uint64_t large_frames; /* that the device has cut up */

static bool device_link(struct net_device *d)
{
    (void)d;
    return true;
}

static uint32_t add(const uint8_t *p, uint32_t n)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    return sum;
}

static void complete_checksum(uint8_t *data, uint32_t size, const struct net_header *h)
{
    CHECK(h->checksum_start + h->checksum_offset + 2u <= size);
    uint32_t sum = add(data + h->checksum_start, size - h->checksum_start);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    sum = ~sum & 0xffff;
    data[h->checksum_start + h->checksum_offset] = (uint8_t)(sum >> 8);
    data[h->checksum_start + h->checksum_offset + 1] = (uint8_t)sum;
}

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* An IPv4 header whose length has changed from what it was correct for. */
static void shorten(uint8_t *ip, uint32_t length, uint32_t id)
{
    put16(ip + 2, length);
    put16(ip + 4, id);
    put16(ip + 10, 0);
    uint32_t sum = add(ip, (ip[0] & 15u) * 4);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    put16(ip + 10, ~sum & 0xffff);
}

/* As a device does: one large frame becomes those of the wire. */
static void device_segment(const uint8_t *data, uint32_t size, const struct net_header *h)
{
    static uint8_t out[2000];
    const uint8_t *ip = data + 14, *tcp = data + h->checksum_start;
    bool v6 = h->gso_type == NET_GSO_TCP6;
    uint32_t head = h->header_size, sequence, done = 0, number = 0;
    CHECK(head == h->checksum_start + (tcp[12] >> 4) * 4u && size > head + h->gso_size);
    CHECK(h->gso_size && head + h->gso_size <= 1514);
    CHECK(v6 ? get16(ip + 4) == size - 54 : get16(ip + 2) == size - 14);
    CHECK(v6 || ((add(ip, (ip[0] & 15u) * 4) % 0xffff) == 0)); /* the sum was made */
    memcpy(&sequence, tcp + 4, 4);
    for (uint32_t n; head + done < size; done += n, number++) {
        n = size - head - done < h->gso_size ? size - head - done : h->gso_size;
        memcpy(out, data, head);
        memcpy(out + head, data + head + done, n);
        uint8_t *t = out + h->checksum_start;
        uint32_t at = __builtin_bswap32(__builtin_bswap32(sequence) + done);
        memcpy(t + 4, &at, 4);
        if (head + done + n < size)
            t[13] &= (uint8_t)~9; /* PSH, FIN */
        if (v6)
            put16(out + 18, head + n - 54);
        else
            shorten(out + 14, head + n - 14, get16(ip + 4) + number);
        /* the pseudo header's sum was of the whole length */
        uint32_t sum = get16(tcp + 16) + 0xffff * 2u - (size - head - n) % 0xffff;
        while (sum >> 16)
            sum = (sum & 0xffff) + (sum >> 16);
        put16(t + 16, sum);
        complete_checksum(out, head + n, h);
        options.frame(options.context, out, head + n);
    }
    large_frames++;
}

static int device_send(struct net_device *d, const struct net_part *parts, uint32_t count,
                       void *token)
{
    static uint8_t frame[70000];
    uint32_t size = 0;
    /* sometimes full */
    if (gone_head - gone_tail == SLOTS / 2 || (gone_head != gone_tail && port_random() % 64 == 0))
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        CHECK(size + parts[i].size <= sizeof frame);
        memcpy(frame + size, (void *)parts[i].physical, parts[i].size);
        size += parts[i].size;
    }
    struct net_header header;
    CHECK(size > sizeof header && count <= d->parts_max);
    memcpy(&header, frame, sizeof header);
    uint8_t *data = frame + sizeof header;
    size -= (uint32_t)sizeof header;
    gone[gone_head++ % SLOTS] = token;
    if (header.gso_type && options.frame) {
        CHECK(header.flags & NET_HEADER_NEEDS_CHECKSUM && options.large);
        device_segment(data, size, &header);
        return 0;
    }
    CHECK(size <= 1514);
    if (header.flags & NET_HEADER_NEEDS_CHECKSUM)
        complete_checksum(data, size, &header);
    if (options.frame)
        options.frame(options.context, data, size);
    return 0;
}

static void *device_sent(struct net_device *d)
{
    (void)d;
    if (gone_head == gone_tail || port_random() % 8 == 0)
        return NULL;
    return gone[gone_tail++ % SLOTS];
}

static int device_offer(struct net_device *d, uint64_t physical, uint32_t size, void *token)
{
    (void)d;
    if (offered_head - offered_tail == SLOTS)
        return -1;
    offered[offered_head++ % SLOTS] = (struct slot){(uint8_t *)physical, size, token};
    return 0;
}

static void *device_received(struct net_device *d, uint32_t *size)
{
    (void)d;
    if (filled_head == filled_tail)
        return NULL;
    struct slot *s = &filled[filled_tail++ % SLOTS];
    *size = s->size;
    return s->token;
}

static void device_nothing(struct net_device *d)
{
    (void)d;
}

static bool device_rest(struct net_device *d, bool sending)
{
    (void)d;
    return filled_head != filled_tail || (sending && gone_head != gone_tail);
}

static bool host_inject(const uint8_t *frame, uint32_t size)
{
    struct net_header header = {.flags = options.checksums ? NET_HEADER_DATA_VALID : 0};
    uint32_t first = filled_head, at = 0, used = sizeof header, buffers = 0;
    static uint8_t all[70000];
    if (size + sizeof header > sizeof all)
        return true;
    memcpy(all + sizeof header, frame, size);
    uint32_t total = size + (uint32_t)sizeof header, tail = offered_tail;
    for (at = 0; at < total; buffers++) {
        if (tail == offered_head)
            return false;
        used = total - at < offered[tail % SLOTS].size ? total - at : offered[tail % SLOTS].size;
        at += used;
        tail++;
        if (at < total && !options.merge)
            return true; /* dropped */
    }
    if (filled_head - filled_tail + buffers > SLOTS)
        return false;
    header.buffers = (uint16_t)buffers;
    memcpy(all, &header, sizeof header);
    for (at = 0; at < total; filled_head++) {
        struct slot s = offered[offered_tail++ % SLOTS];
        used = total - at < s.size ? total - at : s.size;
        memcpy(s.memory, all + at, used);
        at += used;
        s.size = used;
        filled[filled_head % SLOTS] = s;
    }
    (void)first;
    return true;
}

/* ---- the table ---- */

static bool host_start(const struct host_options *o)
{
    struct net_config config = {.memory = o->memory};
    options = *o;
    now = o->start_ns;
    random_state = o->seed * 2654435761ull + 1;
    device = (struct net_device){.mtu = 1500,
                                 .tx_checksum = o->checksums,
                                 .rx_checksum = o->checksums,
                                 .merge = o->merge,
                                 .rx_large = o->large && o->merge,
                                 .tx_large4 = o->large && o->checksums,
                                 .tx_large6 = o->large && o->checksums,
                                 .parts_max = 64,
                                 .rx_slots = SLOTS,
                                 .link = device_link,
                                 .send = device_send,
                                 .sent = device_sent,
                                 .offer = device_offer,
                                 .received = device_received,
                                 .kick = device_nothing,
                                 .rest = device_rest,
                                 .busy = device_nothing};
    memcpy(device.mac, o->mac, 6);
    if (o->ip) {
        config.device = &device;
        if (strcmp(o->ip, "dhcp") && !net_config_parse(&config, o->ip))
            return false;
    }
    lends_init(o->memory);
    return net_init(&config);
}

static void host_set_time(uint64_t ns)
{
    now = ns;
}

static bool host_turn(void)
{
    bool any = false;
    net_after_sleep();
    for (int i = 0; i < 100; i++) {
        if (net_turn())
            any = true;
        else if (!net_before_sleep())
            break;
    }
    return any;
}

static motor_handle host_connector(void)
{
    uint64_t badge;
    return (motor_handle)port_gate_create(net_connector, &badge);
}

static motor_handle host_process(void)
{
    return handle_new(PROCESS, 0, NULL);
}

static motor_handle host_page(void **address)
{
    *address = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return handle_new(VMO, 0, *address);
}

static void host_call(motor_handle gate, struct motor_event *ev, const void *in, size_t in_size,
                      struct host_reply *r)
{
    struct net_reply reply;
    ev->kind = MOTOR_EVENT_CALL;
    ev->in_size = in_size < sizeof ev->data ? in_size : sizeof ev->data;
    if (ev->in_size)
        memcpy(ev->data, in, ev->in_size);
    ev->out_size = ev->out_size ? ev->out_size : 256;
    CHECK(gate < handles_used && handles[gate].kind == GATE);
    net_call(port_gate_object(handles[gate].badge), ev, &reply);
    r->status = reply.status;
    r->handles = reply.handles;
    r->size = reply.size;
    memcpy(r->word, reply.word, sizeof r->word);
    memcpy(r->handle, reply.handle, sizeof r->handle);
    memcpy(r->data, reply.data, reply.size);
}

static void host_notify(motor_handle gate)
{
    net_notified(port_gate_object(handles[gate].badge));
}

void *host_memory(motor_handle vmo)
{
    return handles[vmo].memory;
}

static uint64_t host_large_frames(void)
{
    return large_frames;
}

static void host_fail_memory(uint32_t one_in)
{
    fail_one_in = one_in;
}

const struct host_api *host_api(void)
{
    static const struct host_api api = {
        .start = host_start,
        .set_time = host_set_time,
        .deadline = net_deadline,
        .turn = host_turn,
        .inject = host_inject,
        .connector = host_connector,
        .process = host_process,
        .page = host_page,
        .call = host_call,
        .notify = host_notify,
        .close = port_handle_close,
        .memory = host_memory,
        .heap_used = net_heap_used,
        .fail_memory = host_fail_memory,
        .large_frames = host_large_frames,
        .info = net_info,
    };
    return &api;
}
