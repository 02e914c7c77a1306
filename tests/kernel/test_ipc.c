/* SPDX-License-Identifier: MIT */
/* Endpoints, gates, notifications, calls. */
#include "ktest.h"
#include "tests.h"

enum { OP_ADD, OP_ECHO, OP_HANDLES, OP_STUCK, OP_QUIT, OP_GIVE, OP_FILL };

struct server {
    motor_handle endpoint, gate;
    struct worker worker;
    uint32_t cancels, closed; /* events seen */
    uint64_t cancelled_token, stuck_token;
    motor_handle given; /* handle that OP_HANDLES received */
    uint64_t own_badge;
};

static char big[256 * 1024], copy[256 * 1024];

static void answer(struct server *s, struct motor_event *e, struct motor_reply *r)
{
    *r = (struct motor_reply){.token = e->token};
    switch (e->op) {
    case OP_ADD:
        r->word[0] = e->word[0] + e->word[1];
        r->status = (int64_t)e->badge;
        break;
    case OP_ECHO: {
        struct motor_copy c = {.length = sizeof(big), .buffer = big};
        r->status = motor_msg_copy(e->token, &c, MOTOR_COPY_FROM_CALLER, 0);
        r->data = e->in_size <= MOTOR_MSG_INLINE ? (char *)e->data : big;
        r->size = e->in_size;
        break;
    }
    case OP_FILL: {
        struct motor_copy c = {.offset = e->word[0], .length = e->word[1], .buffer = big};
        r->status = motor_msg_copy(e->token, &c, MOTOR_COPY_TO_CALLER, 0);
        break;
    }
    case OP_HANDLES:
        s->given = e->handle[0];
        s->own_badge = e->handle[1] == MOTOR_HANDLE_OWN ? e->own_badge[1] : 0;
        r->status = e->nhandles;
        break;
    case OP_GIVE:
        r->nhandles = 2;
        r->flags = MOTOR_REPLY_MOVE;
        r->handle[0] = (motor_handle)CHECK_OK(motor_gate_create(s->endpoint, 77, 0));
        r->rights[0] = MOTOR_RIGHT_CALL | MOTOR_HANDLE_CLOEXEC;
        r->handle[1] = (motor_handle)CHECK_OK(motor_vmo_create(PAGE, 0));
        r->rights[1] = MOTOR_RIGHT_READ;
        break;
    }
}

static void serve_loop(void *argument)
{
    struct server *s = argument;
    static struct motor_event events[4];
    struct motor_reply replies[4];
    uint32_t nreplies = 0;
    for (;;) {
        int64_t n = motor_serve(s->endpoint, replies, nreplies, events, 4, NEVER);
        nreplies = 0;
        if (n < 0) {
            return;
        }
        for (int64_t i = 0; i < n; i++) {
            struct motor_event *e = &events[i];
            if (e->kind == MOTOR_EVENT_CANCEL) {
                s->cancelled_token = e->token;
                __atomic_fetch_add(&s->cancels, 1, __ATOMIC_SEQ_CST);
            } else if (e->kind == MOTOR_EVENT_CLOSED) {
                __atomic_fetch_add(&s->closed, (uint32_t)e->badge, __ATOMIC_SEQ_CST);
            } else if (e->kind == MOTOR_EVENT_CALL && e->op == OP_STUCK) {
                s->stuck_token = e->token;
            } else if (e->kind == MOTOR_EVENT_CALL) {
                answer(s, e, &replies[nreplies++]);
                if (e->op == OP_QUIT) {
                    motor_serve(s->endpoint, replies, nreplies, NULL, 0, 0);
                    return;
                }
            }
        }
    }
}

static void server_start(struct server *s, uint64_t badge)
{
    *s = (struct server){0};
    s->endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    s->gate = (motor_handle)CHECK_OK(motor_gate_create(s->endpoint, badge, 0));
    worker_start(&s->worker, serve_loop, s);
}

static void server_stop(struct server *s)
{
    struct motor_msg m = {.op = OP_QUIT, .deadline = NEVER};
    CHECK_EQ(motor_call(s->gate, &m), 0);
    worker_join(&s->worker);
    motor_handle_close(s->gate);
    motor_handle_close(s->endpoint);
}

void test_notify(void)
{
    struct motor_event e[4];
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle a = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 1, 0));
    motor_handle b = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 2, 0));
    CHECK_EQ(motor_serve(endpoint, NULL, 0, e, 4, 0), 0);
    CHECK_EQ(motor_serve(endpoint, NULL, 0, e, 4, now() + 5 * MS), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(motor_notify(a), 0);
    }
    CHECK_EQ(motor_notify(b), 0);
    CHECK_EQ(motor_serve(endpoint, NULL, 0, e, 4, NEVER), 2);
    CHECK(e[0].kind == MOTOR_EVENT_NOTIFY && e[0].badge == 1 && e[1].kind == MOTOR_EVENT_NOTIFY &&
          e[1].badge == 2);
    CHECK_EQ(motor_notify(a), 0);
    motor_handle_close(a);
    CHECK_EQ(motor_serve(endpoint, NULL, 0, e, 4, NEVER), 2);
    CHECK(e[0].kind == MOTOR_EVENT_NOTIFY && e[1].kind == MOTOR_EVENT_CLOSED && e[1].badge == 1);
    uint32_t w = 0;
    CHECK_EQ(motor_futex_wait(&w, 0, 0, now() + MS, b), -MOTOR_ETIMEOUT); /* notifies first */
    CHECK_EQ(motor_serve(endpoint, NULL, 0, e, 4, 0), 1);
    CHECK_EQ(e[0].badge, 2);
    CHECK_EQ(motor_serve(endpoint, NULL, 0, e, 65, 0), -MOTOR_EINVAL);
    motor_handle_close(b);
    motor_handle_close(endpoint);
}

void test_call(void)
{
    struct server s;
    server_start(&s, 42);
    for (uint64_t i = 0; i < 1000; i++) {
        struct motor_msg m = {.op = OP_ADD, .word = {i, 5}, .deadline = NEVER};
        CHECK_EQ(motor_call(s.gate, &m), 0);
        CHECK_EQ(m.word[0], i + 5);
        CHECK_EQ(m.status, 42);
        CHECK_EQ(m.nhandles, 0);
    }
    struct motor_msg bad = {.nhandles = 5, .deadline = NEVER};
    CHECK_EQ(motor_call(s.gate, &bad), -MOTOR_EINVAL);
    bad = (struct motor_msg){.in = (void *)0xffffffff80000000, .in_size = 8, .deadline = NEVER};
    CHECK_EQ(motor_call(s.gate, &bad), -MOTOR_EFAULT);
    bad = (struct motor_msg){.in = (void *)4096, .in_size = 8, .deadline = NEVER};
    CHECK_EQ(motor_call(s.gate, &bad), -MOTOR_EFAULT);
    bad = (struct motor_msg){.nhandles = 1, .handle = {12345}, .deadline = NEVER};
    CHECK_EQ(motor_call(s.gate, &bad), -MOTOR_EHANDLE);
    struct motor_copy c = {.length = 1, .buffer = big};
    CHECK_EQ(motor_msg_copy(0, &c, 0, 0), -MOTOR_EGONE);
    CHECK_EQ(motor_msg_copy(0x10001, &c, 0, 0), -MOTOR_EGONE);
    server_stop(&s);
}

void test_call_sizes(void)
{
    static const uint64_t sizes[] = {0, 1, 255, 256, 257, 4095, 4096, 4097, 65536, 200000};
    struct server s;
    static char in[200000], out[200000];
    server_start(&s, 1);
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t n = sizes[i];
        for (uint64_t k = 0; k < n; k++) {
            in[k] = (char)(k * 7 + i);
            out[k] = 0;
        }
        struct motor_msg m = {
            .op = OP_ECHO, .in = in, .in_size = n, .out = out, .out_size = n, .deadline = NEVER};
        CHECK_EQ(motor_call(s.gate, &m), 0);
        CHECK_EQ(m.status, n);
        CHECK_EQ(memcmp(in, out, n), 0);
    }
    big[0] = 'x';
    big[1] = 'y';
    struct motor_msg m = {
        .op = OP_FILL, .out = out, .out_size = 10, .word = {9, 100}, .deadline = NEVER};
    CHECK_EQ(motor_call(s.gate, &m), 0);
    CHECK_EQ(m.status, 1);
    CHECK_EQ(out[9], 'x');
    m = (struct motor_msg){
        .op = OP_FILL, .out = (void *)4096, .out_size = 10, .word = {0, 10}, .deadline = NEVER};
    CHECK_EQ(motor_call(s.gate, &m), 0);
    CHECK(m.status == -MOTOR_EFAULT); /* the server is told, the caller lives */
    (void)copy;
    server_stop(&s);
}

void test_call_handles(void)
{
    struct server s;
    server_start(&s, 9);
    motor_handle v = (motor_handle)CHECK_OK(motor_vmo_create(3 * PAGE, 0));
    motor_handle own = (motor_handle)CHECK_OK(motor_gate_create(s.endpoint, 1234, 0));
    struct motor_msg m = {.op = OP_HANDLES, .nhandles = 2, .handle = {v, own}, .deadline = NEVER};
    CHECK_EQ(motor_call(s.gate, &m), 0);
    CHECK_EQ(m.status, 2);
    CHECK_EQ(s.own_badge, 1234);
    CHECK_EQ(motor_vmo_control(s.given, MOTOR_VMO_GET_SIZE, 0, 0, NULL), 3 * PAGE);
    motor_handle_close(s.given);
    motor_handle_close(own);
    motor_handle_close(v);
    m = (struct motor_msg){.op = OP_GIVE, .deadline = NEVER};
    CHECK_EQ(motor_call(s.gate, &m), 0);
    CHECK_EQ(m.nhandles, 2);
    CHECK_EQ(motor_notify(m.handle[0]), 0);
    CHECK_EQ(motor_handle_dup(m.handle[0], MOTOR_RIGHT_CALL), -MOTOR_ERIGHTS);
    motor_handle_close(m.handle[0]);
    motor_handle_close(m.handle[1]);
    for (int i = 0; i < 1000 && s.closed != 1234 + 77; i++) {
        pause_ns(MS);
    }
    CHECK_EQ(s.closed, 1234 + 77);
    server_stop(&s);
}

static void stuck_caller(void *argument)
{
    struct server *s = argument;
    struct motor_msg m = {.op = OP_STUCK, .deadline = NEVER};
    CHECK_EQ(motor_call(s->gate, &m), -MOTOR_EINTR);
}

void test_call_gives_up(void)
{
    struct server s;
    server_start(&s, 3);
    struct motor_msg m = {.op = OP_STUCK, .deadline = now() + 200 * MS};
    CHECK_EQ(motor_call(s.gate, &m), -MOTOR_ETIMEOUT);
    for (int i = 0; i < 1000 && !s.cancels; i++) {
        pause_ns(MS);
    }
    CHECK_EQ(s.cancels, 1);
    CHECK_EQ(s.cancelled_token, s.stuck_token);
    struct worker w;
    worker_start(&w, stuck_caller, &s);
    while (*(volatile uint64_t *)&s.stuck_token == s.cancelled_token) {
        pause_ns(MS);
    }
    CHECK_EQ(motor_thread_control(w.handle, MOTOR_THREAD_INTERRUPT, 0), 0);
    worker_join(&w);
    struct motor_msg add = {.op = OP_ADD, .deadline = NEVER};
    CHECK_EQ(motor_call(s.gate, &add), 0);
    CHECK_EQ(s.cancels, 2);
    struct motor_reply late = {.token = s.cancelled_token}; /* no error, nobody hears it */
    CHECK_EQ(motor_serve(s.endpoint, &late, 1, NULL, 0, 0), 0);
    server_stop(&s);
}

struct client {
    struct server *server;
    uint32_t sum;
};

static void client_loop(void *argument)
{
    struct client *c = argument;
    for (uint64_t i = 0; i < 300; i++) {
        struct motor_msg m = {.op = OP_ADD, .word = {i, i}, .deadline = NEVER};
        if (motor_call(c->server->gate, &m) != 0 || m.word[0] != 2 * i) {
            return;
        }
        c->sum++;
    }
}

static void serve_adds(void *argument)
{
    struct server *s = argument;
    struct motor_event e;
    struct motor_reply r = {0};
    uint32_t nreplies = 0;
    while (motor_serve(s->endpoint, &r, nreplies, &e, 1, NEVER) == 1) {
        nreplies = e.kind == MOTOR_EVENT_CALL;
        r = (struct motor_reply){.token = e.token, .word = {e.word[0] + e.word[1]}};
    }
}

/* Several threads serve one endpoint, several call; closing the endpoint ends the servers. */
void test_call_servers(void)
{
    static struct worker server[3], client[6];
    static struct client state[6];
    struct server s = {.endpoint = (motor_handle)CHECK_OK(motor_endpoint_create())};
    s.gate = (motor_handle)CHECK_OK(motor_gate_create(s.endpoint, 1, 0));
    for (int i = 0; i < 3; i++) {
        worker_start(&server[i], serve_adds, &s);
    }
    for (int i = 0; i < 6; i++) {
        state[i] = (struct client){.server = &s};
        worker_start(&client[i], client_loop, &state[i]);
    }
    for (int i = 0; i < 6; i++) {
        worker_join(&client[i]);
        CHECK_EQ(state[i].sum, 300);
    }
    motor_handle_close(s.endpoint);
    for (int i = 0; i < 3; i++) {
        worker_join(&server[i]);
    }
    motor_handle_close(s.gate);
}

static void close_soon(void *argument)
{
    pause_ns(10 * MS);
    motor_handle_close(*(motor_handle *)argument);
}

void test_endpoint_closed(void)
{
    struct worker w;
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle gate = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 1, 0));
    struct motor_msg m = {.deadline = NEVER};
    worker_start(&w, close_soon, &endpoint);
    CHECK_EQ(motor_call(gate, &m), -MOTOR_EGONE); /* was queued */
    CHECK_EQ(motor_call(gate, &m), -MOTOR_EGONE);
    CHECK_EQ(motor_notify(gate), -MOTOR_EGONE);
    worker_join(&w);
    motor_handle_close(gate);
}
