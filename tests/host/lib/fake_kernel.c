/* SPDX-License-Identifier: MIT */
#include "fake_kernel.h"
#include "../../../sysio/base/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define CHECK(c) \
    ((c) ? (void)0 : (fprintf(stderr, "fake kernel: %s:%d: %s\n", __FILE__, __LINE__, #c), abort()))
#define PAGE 4096u

enum kind { VMO = 1, ENDPOINT, GATE, PROCESS, THREAD };

struct page {
    uint64_t index;
    struct page *next;
    uint8_t *bytes;
};

#define BUCKETS 256u
struct vmo {
    uint64_t size, committed;
    struct page *pages[BUCKETS];
    struct object *parent; /* clones */
    uint64_t parent_offset;
    const uint8_t *fixed; /* fake_vmo_of */
    uint8_t *mapped;      /* all of it, into the engine; NULL: not */
};

struct queued {
    struct queued *next;
    struct motor_event event;
};

struct endpoint {
    struct queued *first, **last;
};

struct gate {
    struct object *endpoint;
    uint64_t badge;
};

struct object {
    enum kind kind;
    unsigned refs;
    union {
        struct vmo vmo;
        struct endpoint endpoint;
        struct gate gate;
    };
};

struct handle {
    struct object *object;
    uint32_t rights;
};

static struct handle *handles;
static uint32_t handles_size;
static unsigned live;
static uint64_t committed;
uint64_t fake_memory_limit = UINT64_MAX, fake_clock_ns = 1000000000u;
bool fake_quiet;
int64_t (*fake_map)(motor_handle vmo, uint64_t offset, uint64_t address, uint64_t length,
                    uint32_t flags);

static struct {
    uint64_t token;
    struct motor_msg *msg;
    bool done;
} call;
static uint64_t next_token = 1;

/* ---- objects and handles ---- */

static void object_put(struct object *o);

static void post(struct object *endpoint, const struct motor_event *event)
{
    struct queued *q = calloc(1, sizeof *q);
    q->event = *event;
    *endpoint->endpoint.last = q;
    endpoint->endpoint.last = &q->next;
}

static void vmo_drop_page(struct vmo *v, struct page **link)
{
    struct page *p = *link;
    *link = p->next;
    if (!v->mapped)
        free(p->bytes);
    free(p);
    v->committed -= PAGE;
    committed -= PAGE;
}

static void vmo_decommit(struct vmo *v, uint64_t from, uint64_t to)
{
    for (unsigned b = 0; b < BUCKETS; b++)
        for (struct page **link = &v->pages[b]; *link;)
            if ((*link)->index >= from / PAGE && (*link)->index < to / PAGE)
                vmo_drop_page(v, link);
            else
                link = &(*link)->next;
}

static void object_put(struct object *o)
{
    CHECK(o->refs);
    if (--o->refs)
        return;
    if (o->kind == VMO) {
        vmo_decommit(&o->vmo, 0, UINT64_MAX / PAGE * PAGE);
        free(o->vmo.mapped);
        if (o->vmo.parent)
            object_put(o->vmo.parent);
    } else if (o->kind == GATE) {
        post(o->gate.endpoint,
             &(struct motor_event){.kind = MOTOR_EVENT_CLOSED, .badge = o->gate.badge});
        object_put(o->gate.endpoint);
    }
    live--;
    free(o);
}

static struct object *object_new(enum kind kind)
{
    struct object *o = calloc(1, sizeof *o);
    o->kind = kind;
    o->refs = 1;
    live++;
    return o;
}

static motor_handle handle_add(struct object *o, uint32_t rights)
{
    for (uint32_t i = 1;; i++) {
        if (i >= handles_size) {
            uint32_t size = handles_size ? handles_size * 2 : 64;
            handles = realloc(handles, size * sizeof *handles);
            memset(handles + handles_size, 0, (size - handles_size) * sizeof *handles);
            handles_size = size;
        }
        if (!handles[i].object) {
            handles[i] = (struct handle){o, rights};
            return i;
        }
    }
}

static struct object *get(motor_handle h, enum kind kind)
{
    CHECK(h && h < handles_size && handles[h].object);
    CHECK(handles[h].object->kind == kind);
    return handles[h].object;
}

void fake_close(motor_handle h)
{
    CHECK(h && h < handles_size && handles[h].object);
    struct object *o = handles[h].object;
    handles[h].object = NULL;
    object_put(o);
}

uint32_t fake_handle_rights(motor_handle h)
{
    return handles[h].rights;
}

unsigned fake_live_objects(void)
{
    return live;
}

/* ---- memory objects ---- */

static struct page *page_of(struct vmo *v, uint64_t index)
{
    struct page *p = v->pages[index % BUCKETS];
    while (p && p->index != index)
        p = p->next;
    return p;
}

static void vmo_get(struct vmo *v, uint64_t offset, uint8_t *to, uint64_t size)
{
    while (size) {
        uint64_t in_page = offset % PAGE, n = PAGE - in_page < size ? PAGE - in_page : size;
        struct page *p = page_of(v, offset / PAGE);
        if (p)
            memcpy(to, p->bytes + in_page, n);
        else if (v->fixed)
            memcpy(to, v->fixed + offset, n);
        else if (v->parent)
            vmo_get(&v->parent->vmo, v->parent_offset + offset, to, n);
        else
            memset(to, 0, n);
        offset += n, to += n, size -= n;
    }
}

static struct page *page_make(struct vmo *v, uint64_t index)
{
    struct page *p = page_of(v, index);
    if (p)
        return p;
    if (committed >= fake_memory_limit)
        return NULL;
    p = calloc(1, sizeof *p);
    p->bytes = v->mapped ? v->mapped + index * PAGE : calloc(1, PAGE);
    vmo_get(v, index * PAGE, p->bytes, PAGE);
    p->index = index;
    p->next = v->pages[index % BUCKETS];
    v->pages[index % BUCKETS] = p;
    v->committed += PAGE;
    committed += PAGE;
    return p;
}

static int64_t vmo_map(struct vmo *v)
{
    CHECK(!v->committed && !v->mapped);
    v->mapped = calloc(1, v->size);
    for (uint64_t at = 0; at < v->size; at += PAGE)
        if (!page_make(v, at / PAGE)) {
            vmo_decommit(v, 0, v->size);
            free(v->mapped);
            v->mapped = NULL;
            return -MOTOR_ENOMEM;
        }
    return (int64_t)v->mapped;
}

static int64_t vmo_put(struct vmo *v, uint64_t offset, const uint8_t *from, uint64_t size)
{
    uint64_t done = 0;
    CHECK(!v->fixed);
    while (done < size) {
        uint64_t in_page = (offset + done) % PAGE,
                 n = PAGE - in_page < size - done ? PAGE - in_page : size - done;
        struct page *p = page_make(v, (offset + done) / PAGE);
        if (!p)
            return done ? (int64_t)done : -MOTOR_ENOMEM;
        memcpy(p->bytes + in_page, from + done, n);
        done += n;
    }
    return (int64_t)done;
}

int64_t fake_vmo_read(motor_handle h, uint64_t offset, void *buffer, uint64_t size)
{
    struct vmo *v = &get(h, VMO)->vmo;
    if (offset >= v->size)
        return 0;
    if (size > v->size - offset)
        size = v->size - offset;
    vmo_get(v, offset, buffer, size);
    return (int64_t)size;
}

int64_t fake_vmo_write(motor_handle h, uint64_t offset, const void *buffer, uint64_t size)
{
    struct vmo *v = &get(h, VMO)->vmo;
    if (offset >= v->size)
        return 0;
    if (size > v->size - offset)
        size = v->size - offset;
    return vmo_put(v, offset, buffer, size);
}

uint64_t fake_vmo_size(motor_handle h)
{
    return get(h, VMO)->vmo.size;
}

motor_handle fake_vmo_of(const void *data, uint64_t size)
{
    struct object *o = object_new(VMO);
    CHECK(size % PAGE == 0);
    o->vmo.size = size;
    o->vmo.fixed = data;
    return handle_add(o, MOTOR_RIGHT_READ | MOTOR_RIGHT_EXEC | MOTOR_RIGHT_DUP);
}

/* What lies behind the end in its last page reads as zero. */
static int64_t vmo_clear_tail(struct vmo *v, uint64_t size)
{
    static const uint8_t zeros[PAGE];
    uint8_t bytes[PAGE];
    uint64_t n = PAGE - size % PAGE;
    vmo_get(v, size, bytes, n);
    return memcmp(bytes, zeros, n) ? vmo_put(v, size, zeros, n) : 0;
}

static int64_t vmo_control(struct vmo *v, uint32_t op, uint64_t offset, uint64_t length,
                           void *buffer, motor_handle h)
{
    switch (op) {
    case MOTOR_VMO_GET_SIZE:
        return (int64_t)v->size;
    case MOTOR_VMO_RESIZE:
        if (length < v->size && length % PAGE && vmo_clear_tail(v, length) < 0)
            return -MOTOR_ENOMEM;
        if (length < v->size)
            vmo_decommit(v, (length + PAGE - 1) / PAGE * PAGE, v->size);
        CHECK(!v->parent || length <= v->size || !v->size || true);
        v->size = length;
        return 0;
    case MOTOR_VMO_DECOMMIT:
        CHECK(offset % PAGE == 0 && length % PAGE == 0 && offset + length <= v->size);
        if (v->parent) /* the kernel zeroes what a clone would show again */
            for (uint64_t at = offset; at < offset + length; at += PAGE) {
                struct page *p = page_make(v, at / PAGE);
                if (!p)
                    return -MOTOR_ENOMEM;
                memset(p->bytes, 0, PAGE);
            }
        else
            vmo_decommit(v, offset, offset + length);
        return 0;
    case MOTOR_VMO_COMMIT:
        CHECK(offset % PAGE == 0 && length % PAGE == 0 && offset + length <= v->size);
        for (uint64_t at = offset; at < offset + length; at += PAGE)
            if (!page_make(v, at / PAGE))
                return -MOTOR_ENOMEM;
        return 0;
    case MOTOR_VMO_READ:
        return fake_vmo_read(h, offset, buffer, length);
    case MOTOR_VMO_WRITE:
        return fake_vmo_write(h, offset, buffer, length);
    case MOTOR_VMO_COMMITTED:
        return (int64_t)v->committed;
    case MOTOR_VMO_MAPPINGS: /* nothing is mapped here */
    case MOTOR_VMO_SEAL:
    case MOTOR_VMO_CHARGE:
        return 0;
    default:
        CHECK(!"vmo_control");
        return 0;
    }
}

/* ---- messages ---- */

static int64_t msg_copy(uint64_t token, const struct motor_copy *c, uint32_t direction)
{
    CHECK(token == call.token && !call.done);
    CHECK(!c->buffer != !c->vmo);
    bool from_caller = direction == MOTOR_COPY_FROM_CALLER;
    uint64_t size = from_caller ? call.msg->in_size : call.msg->out_size, n = c->length;
    uint8_t *theirs = from_caller ? (uint8_t *)(uintptr_t)call.msg->in : call.msg->out;
    if (c->offset >= size)
        return 0;
    if (n > size - c->offset)
        n = size - c->offset;
    theirs += c->offset;
    if (c->vmo && from_caller)
        return fake_vmo_write(c->vmo, c->vmo_offset, theirs, n);
    if (c->vmo)
        return fake_vmo_read(c->vmo, c->vmo_offset, theirs, n);
    memcpy(from_caller ? c->buffer : (void *)theirs, from_caller ? theirs : c->buffer, n);
    return (int64_t)n;
}

void fake_cancel(void)
{
    call.done = true;
    call.token = 0;
}

static int64_t reply(const struct motor_reply *r)
{
    int64_t status = r->token == call.token && !call.done ? 0 : -MOTOR_EGONE;
    if (r->token == call.token && !call.done) {
        struct motor_msg *m = call.msg;
        m->status = r->status;
        memcpy(m->word, r->word, sizeof m->word);
        if (r->size)
            memcpy(m->out, r->data, r->size < m->out_size ? r->size : m->out_size);
        m->nhandles = r->flags & MOTOR_REPLY_EXEC ? 0 : r->nhandles;
        for (uint32_t i = 0; i < m->nhandles; i++) {
            CHECK(r->handle[i] < handles_size && handles[r->handle[i]].object);
            CHECK(!(r->rights[i] & ~handles[r->handle[i]].rights));
            CHECK(handles[r->handle[i]].rights & MOTOR_RIGHT_DUP);
            handles[r->handle[i]].object->refs++;
            m->handle[i] = handle_add(handles[r->handle[i]].object, r->rights[i]);
        }
        call.done = true;
    }
    for (uint32_t i = 0; i < r->nhandles && (r->flags & MOTOR_REPLY_MOVE); i++)
        fake_close(r->handle[i]);
    return r->flags & MOTOR_REPLY_CHECK ? status : 0;
}

static int64_t serve(struct endpoint *e, const struct motor_reply *replies, uint32_t nreplies,
                     struct motor_event *events, uint32_t nevents)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < nreplies; i++)
        if (reply(&replies[i]) < 0)
            return -MOTOR_EGONE;
    while (n < nevents && e->first) {
        struct queued *q = e->first;
        events[n++] = q->event;
        e->first = q->next;
        if (!q->next)
            e->last = &e->first;
        free(q);
    }
    return n;
}

/* ---- the process ---- */

struct motor_process_info fake_process;
const void *fake_process_memory;
uint64_t fake_process_size;

static int64_t process_memory(void *buffer, uint64_t size)
{
    uint64_t address;
    memcpy(&address, buffer, sizeof address);
    if (address < FAKE_PROCESS_BASE || address - FAKE_PROCESS_BASE >= fake_process_size)
        return -MOTOR_EFAULT;
    uint64_t left = fake_process_size - (address - FAKE_PROCESS_BASE);
    size = size < left ? size : left;
    memcpy(buffer, (const char *)fake_process_memory + (address - FAKE_PROCESS_BASE), size);
    return (int64_t)size;
}

static int64_t process_gate(struct motor_gate_info *info)
{
    struct object *o = info->handle < handles_size ? handles[info->handle].object : NULL;
    if (!o || o->kind != GATE || o->gate.endpoint != get(info->endpoint, ENDPOINT))
        return -MOTOR_ETYPE;
    info->badge = o->gate.badge;
    return 0;
}

static int64_t pass(motor_handle h, motor_handle like)
{
    struct object *o = h < handles_size ? handles[h].object : NULL;
    return o && o->kind == GATE && o->gate.endpoint == get(like, GATE)->gate.endpoint
               ? (int64_t)h
               : -MOTOR_ETYPE;
}

static struct {
    uint64_t id; /* 0: none */
    uint32_t count, gid[8];
} groups;

void fake_set_groups(const uint32_t *gid, uint32_t count)
{
    static uint64_t lists;
    CHECK(count <= sizeof groups.gid / sizeof *groups.gid);
    groups.id = count ? ++lists : 0;
    groups.count = count;
    for (uint32_t i = 0; i < count; i++)
        groups.gid[i] = gid[i];
}

static int64_t in_group(uint64_t token, uint64_t list, uint32_t gid)
{
    if (token != call.token || call.done || !list || list != groups.id)
        return -MOTOR_EGONE;
    for (uint32_t i = 0; i < groups.count; i++)
        if (groups.gid[i] == gid)
            return 1;
    return 0;
}

static int64_t process_groups(struct motor_groups *to)
{
    bool fit = groups.count <= to->count;
    for (uint32_t i = 0; fit && i < groups.count; i++)
        to->gid[i] = groups.gid[i];
    to->id = groups.id;
    to->count = groups.count;
    return 0;
}

static int64_t process_info(uint32_t what, void *buffer, uint64_t size)
{
    struct motor_thread_info *thread = buffer;
    switch (what) {
    case MOTOR_PINFO_BASIC:
        memcpy(buffer, &fake_process, size);
        return 0;
    case MOTOR_PINFO_THREADS:
        if (thread->id > 1)
            return 0;
        *thread = (struct motor_thread_info){.id = 1, .tcb = FAKE_PROCESS_BASE};
        return 1;
    case MOTOR_PINFO_THREAD:
        return *(const uint32_t *)buffer == 1
                   ? (int64_t)handle_add(object_new(THREAD), MOTOR_RIGHTS_ALL)
                   : -MOTOR_ENOENT;
    case MOTOR_PINFO_MEMORY:
        return process_memory(buffer, size);
    case MOTOR_PINFO_GATE:
        return process_gate(buffer);
    case MOTOR_PINFO_GROUPS:
        return process_groups(buffer);
    default:
        return 0;
    }
}

motor_handle fake_gate(motor_handle endpoint, uint64_t badge)
{
    struct object *o = object_new(GATE);
    o->gate.endpoint = get(endpoint, ENDPOINT);
    o->gate.endpoint->refs++;
    o->gate.badge = badge;
    return handle_add(o, MOTOR_RIGHTS_ALL);
}

/* The call is in the endpoint's queue; the event of its cancellation. */
static struct motor_event call_begin(motor_handle gate, struct motor_msg *m, uint32_t uid,
                                     uint32_t gid)
{
    struct gate *g = &get(gate, GATE)->gate;
    struct motor_event ev = {.kind = MOTOR_EVENT_CALL,
                             .op = m->op,
                             .badge = g->badge,
                             .token = next_token++,
                             .in_size = m->in_size,
                             .out_size = m->out_size,
                             .pid = 7,
                             .uid = uid,
                             .gid = gid,
                             .fsuid = uid,
                             .fsgid = gid,
                             .groups = groups.id,
                             .nhandles = m->nhandles};
    memcpy(ev.word, m->word, sizeof ev.word);
    memset(ev.data, 0xa5, sizeof ev.data);
    if (m->in_size)
        memcpy(ev.data, m->in, m->in_size < sizeof ev.data ? m->in_size : sizeof ev.data);
    for (uint32_t i = 0; i < m->nhandles; i++) {
        struct object *o = handles[m->handle[i]].object;
        if (o->kind == GATE && o->gate.endpoint == g->endpoint) {
            ev.handle[i] = MOTOR_HANDLE_OWN;
            ev.own_badge[i] = o->gate.badge;
        } else {
            o->refs++;
            ev.handle[i] = handle_add(o, handles[m->handle[i]].rights);
        }
    }
    post(g->endpoint, &ev);
    call.token = ev.token;
    call.msg = m;
    call.done = false;
    m->nhandles = 0;
    return (struct motor_event){.kind = MOTOR_EVENT_CANCEL, .badge = ev.badge, .token = ev.token};
}

static bool call_wait(void (*turn)(void), int turns)
{
    for (int i = 0; !call.done && i < turns; i++)
        turn();
    return call.done;
}

int64_t fake_call_within(motor_handle gate, struct motor_msg *m, uint32_t uid, uint32_t gid,
                         void (*turn)(void), int turns)
{
    struct motor_event cancel = call_begin(gate, m, uid, gid);
    if (call_wait(turn, turns))
        return 0;
    fake_cancel();
    post(get(gate, GATE)->gate.endpoint, &cancel);
    turn();
    return -MOTOR_ETIMEOUT;
}

#define PATIENCE 50 /* turns, then the caller is interrupted (MOTOR_CALL_CONFIRM) */

int64_t fake_call(motor_handle gate, struct motor_msg *m, uint32_t uid, uint32_t gid,
                  void (*turn)(void))
{
    struct motor_event cancel = call_begin(gate, m, uid, gid);
    if (!call_wait(turn, PATIENCE))
        post(get(gate, GATE)->gate.endpoint, &cancel);
    CHECK(call_wait(turn, PATIENCE));
    return 0;
}

/* ---- the calls ---- */

int64_t motor_raw_syscall(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                          uint64_t f)
{
    struct object *o;
    switch (n) {
    case MOTOR_SYS_handle_close:
        fake_close((motor_handle)a);
        return 0;
    case MOTOR_SYS_handle_dup:
        CHECK(a && a < handles_size && handles[a].object);
        if (b & ~(uint64_t)handles[a].rights || !(handles[a].rights & MOTOR_RIGHT_DUP))
            return -MOTOR_ERIGHTS;
        handles[a].object->refs++;
        return handle_add(handles[a].object, (uint32_t)b);
    case MOTOR_SYS_signal_send:
        return 0;
    case MOTOR_SYS_vmo_create:
        CHECK(a % PAGE == 0);
        o = object_new(VMO);
        o->vmo.size = a;
        return handle_add(o, MOTOR_RIGHTS_ALL);
    case MOTOR_SYS_vmo_clone:
        CHECK(b % PAGE == 0 && c % PAGE == 0 && c && b + c <= get((motor_handle)a, VMO)->vmo.size);
        o = object_new(VMO);
        o->vmo.size = c;
        o->vmo.parent = get((motor_handle)a, VMO);
        o->vmo.parent->refs++;
        o->vmo.parent_offset = b;
        return handle_add(o, MOTOR_RIGHTS_ALL);
    case MOTOR_SYS_vmo_control:
        return vmo_control(&get((motor_handle)a, VMO)->vmo, (uint32_t)b, c, d, (void *)e,
                           (motor_handle)a);
    case MOTOR_SYS_process_create:
        return handle_add(object_new(PROCESS), MOTOR_RIGHTS_ALL);
    case MOTOR_SYS_handle_install: /* what a new process has is nobody's */
        CHECK(get((motor_handle)a, PROCESS) && b && b < handles_size && handles[b].object);
        return 1;
    case MOTOR_SYS_handle_pass: /* the caller's handles are ours */
        CHECK(a == call.token && !call.done && get((motor_handle)c, PROCESS));
        return pass((motor_handle)b, (motor_handle)d);
    case MOTOR_SYS_caller_in_group:
        return in_group(a, b, (uint32_t)c);
    case MOTOR_SYS_map:
        if (a && !fake_map) { /* into a process */
            CHECK(get((motor_handle)a, PROCESS) && c + e <= get((motor_handle)b, VMO)->vmo.size);
            return (int64_t)PAGE;
        }
        if (!a && b && !d && e == PAGE && !c) /* one page, into the engine itself */
            return (int64_t)page_make(&get((motor_handle)b, VMO)->vmo, 0)->bytes;
        if (!a && b && !d && !c && !fake_map && e == get((motor_handle)b, VMO)->vmo.size)
            return vmo_map(&get((motor_handle)b, VMO)->vmo);
        CHECK(fake_map && d % PAGE == 0 && e % PAGE == 0 && e && c % PAGE == 0);
        if (b)
            CHECK(c + e <= get((motor_handle)b, VMO)->vmo.size);
        return fake_map((motor_handle)b, c, d, e, (uint32_t)f);
    case MOTOR_SYS_notify: /* another engine */
        CHECK(get((motor_handle)a, GATE));
        return 0;
    case MOTOR_SYS_futex_wake: /* nobody sleeps here */
        return 0;
    case MOTOR_SYS_unmap:
        CHECK(!a && c % PAGE == 0);
        return 0;
    case MOTOR_SYS_endpoint_create:
        o = object_new(ENDPOINT);
        o->endpoint.last = &o->endpoint.first;
        return handle_add(o, MOTOR_RIGHTS_ALL);
    case MOTOR_SYS_gate_create:
        return a ? (int64_t)fake_gate((motor_handle)a, b) : -MOTOR_EHANDLE;
    case MOTOR_SYS_bind:
        if (a < handles_size && handles[a].object && handles[a].object->kind == PROCESS) {
            struct gate *g = &get((motor_handle)b, GATE)->gate;
            if (fake_process.state == 2) /* it has ended already */
                post(g->endpoint,
                     &(struct motor_event){.kind = MOTOR_EVENT_NOTIFY, .badge = g->badge});
            return 0;
        }
        return get((motor_handle)a, VMO) && get((motor_handle)b, GATE) ? 0 : -MOTOR_ETYPE;
    case MOTOR_SYS_serve:
        return serve(&get((motor_handle)a, ENDPOINT)->endpoint, (const void *)b, (uint32_t)c,
                     (void *)d, (uint32_t)e);
    case MOTOR_SYS_msg_copy:
        return msg_copy(a, (const struct motor_copy *)b, (uint32_t)c);
    case MOTOR_SYS_random:
        return c ? (int64_t)b : getrandom((void *)a, b, 0);
    case MOTOR_SYS_system_info:
        if (a == MOTOR_SINFO_PROCESSES) {
            if (fake_process.pid && c >= sizeof(uint32_t))
                memcpy((void *)b, &fake_process.pid, sizeof(uint32_t));
            return fake_process.pid != 0;
        }
        memset((void *)b, 0, c);
        if (a == MOTOR_SINFO_MEMORY)
            ((struct motor_memory_info *)b)->total = ((struct motor_memory_info *)b)->free = 256u
                                                                                             << 20;
        return 0;
    case MOTOR_SYS_process_open:
        if (!a || a != fake_process.pid)
            return -MOTOR_ENOENT;
        return handle_add(object_new(PROCESS), MOTOR_RIGHTS_ALL);
    case MOTOR_SYS_process_info:
        return process_info((uint32_t)b, (void *)c, d);
    case MOTOR_SYS_thread_control:
        CHECK(get((motor_handle)a, THREAD));
        return b == MOTOR_THREAD_GET_AFFINITY;
    case MOTOR_SYS_process_set: /* it takes everything, and changes nothing */
        return get((motor_handle)a, PROCESS) ? 0 : -MOTOR_EHANDLE;
    case MOTOR_SYS_debug_write:
        return fake_quiet ? 0 : (int64_t)fwrite((const void *)a, 1, b, stderr);
    default:
        fprintf(stderr, "fake kernel: call %llx\n", (unsigned long long)n);
        abort();
    }
}

/* ---- in place of sysio/base/clock.c ---- */

uint64_t clock_monotonic_ns(void)
{
    return fake_clock_ns;
}

uint64_t clock_realtime_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

const struct motor_kinfo *kernel_info(void)
{
    static const struct motor_kinfo info = {.cpus = 2, .tsc_hz = 2000000000u};
    return &info;
}
