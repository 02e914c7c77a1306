/* SPDX-License-Identifier: MIT */
/*
 * Rings on loan, as the runtime uses them: a stream socket whose other end is a thread of the test,
 * which has the rings and the engine in its hands. First an honest one, that ends loans at any
 * moment: each byte arrives once and in order. Then one that writes anything into the rings: the
 * runtime may give any result, but must not crash, hang or touch memory beyond them.
 *
 *   posix_io_lent [SEED]
 */
#include "host.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <motor/syscall.h>

#define RING 8192u
#define SIZE (IO_LOAN_BYTES + 2u * RING)

long px_sys_socketpair(int, int, int, void *);

/* ---- the engine: one pair, of which the runtime has end 0 ---- */

static int connector, ends[2];
void *engine_connector = &connector;
bool engine_hostile;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t queue[2][1 << 20]; /* [lock] of what end 0, 1 has sent */
static uint32_t queued[2];
static motor_handle object;
static struct io_loan *loan; /* [lock] NULL: none */
static bool granted;

void engine_closed(void *o)
{
    (void)o;
}

void engine_notify(void) {}

static uint8_t *ring_at(uint32_t ring, uint32_t index)
{
    return (uint8_t *)loan + IO_LOAN_BYTES + ring * RING + (index & (RING - 1));
}

static void loan_end(void)
{
    if (!loan)
        return;
    for (uint32_t r = 0; r < 2; r++) {
        uint32_t head = __atomic_fetch_or(&loan->ring[r].head, IO_LOAN_GONE, __ATOMIC_SEQ_CST);
        uint32_t tail = __atomic_fetch_or(&loan->ring[r].tail, IO_LOAN_GONE, __ATOMIC_SEQ_CST);
        uint32_t used = io_loan_used(head, tail);
        for (uint32_t i = 0; used <= RING && i < used; i++)
            queue[r][queued[r]++] = *ring_at(r, tail + i);
        kernel_wake(&loan->ring[r].head);
        kernel_wake(&loan->ring[r].tail);
    }
    munmap(loan, SIZE);
    loan = NULL;
    granted = false;
}

static int64_t loan_call(struct motor_msg *m)
{
    if (m->word[0]) {
        if (!granted || !loan)
            return -EAGAIN;
        if (queued[0] > RING || queued[1] > RING) {
            loan_end();
            return -EAGAIN;
        }
        for (uint32_t r = 0; r < 2; r++) {
            for (uint32_t i = 0; i < queued[r]; i++)
                *ring_at(r, i) = queue[r][i];
            __atomic_store_n(&loan->ring[r].head, queued[r], __ATOMIC_SEQ_CST);
            queued[r] = 0;
        }
        __atomic_store_n(&loan->active, 1, __ATOMIC_SEQ_CST);
        return 0;
    }
    loan_end();
    int64_t vmo = motor_raw_syscall(MOTOR_SYS_vmo_create, SIZE, 0, 0, 0, 0, 0);
    object = (motor_handle)vmo;
    loan = kernel_map_vmo(object, SIZE);
    granted = true;
    m->nhandles = 1;
    m->handle[0] = object; /* the runtime closes it */
    m->word[0] = 0;
    m->word[1] = RING;
    m->word[2] = m->word[4] = RING;
    m->word[3] = 0;
    return 0;
}

static int64_t send_call(struct motor_msg *m)
{
    loan_end();
    if (queued[0] + m->in_size > sizeof queue[0])
        return -EAGAIN;
    memcpy(queue[0] + queued[0], m->in, m->in_size);
    queued[0] += (uint32_t)m->in_size;
    return (int64_t)m->in_size;
}

static int64_t receive_call(struct motor_msg *m)
{
    loan_end();
    uint64_t n = queued[1] < m->out_size ? queued[1] : m->out_size;
    memcpy(m->out, queue[1], n);
    if (!(m->word[0] & MSG_PEEK)) {
        memmove(queue[1], queue[1] + n, queued[1] - n);
        queued[1] -= (uint32_t)n;
    }
    memset(m->word, 0, sizeof m->word);
    m->nhandles = 0;
    return n ? (int64_t)n : -EAGAIN; /* nobody waits here: the test looks again */
}

static int64_t answer(void *o, struct motor_msg *m)
{
    switch (m->op) {
    case IO_LOCAL_SOCKET:
        m->nhandles = 2;
        for (int i = 0; i < 2; i++)
            m->handle[i] = kernel_gate(&ends[i]);
        return 0;
    case IO_LOAN:
        return o == &ends[0] ? loan_call(m) : -EAGAIN;
    case IO_SEND:
        return send_call(m);
    case IO_RECEIVE:
        return receive_call(m);
    case IO_POLL:
        return (queued[1] ? POLLIN : 0) | POLLOUT;
    case IO_CONTROL:
        memcpy(m->out, &queued[m->word[0] == FIONREAD], sizeof *queued);
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

int64_t engine_call(void *o, struct motor_msg *m)
{
    pthread_mutex_lock(&lock);
    int64_t result = o ? answer(o, m) : -EBADF;
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- the other side ---- */

static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i * 0x9e3779b97f4a7c15u >> 56);
}

static uint64_t echoed;  /* [lock] */
static bool over;        /* [atomic] */
static uint64_t by_ring; /* [lock] bytes */

/* [lock] Takes what end 0 has sent, wherever it is; the same goes back. */
static void echo_some(uint64_t *seed)
{
    uint8_t bytes[512];
    uint32_t n = (uint32_t)(next_random(seed) % sizeof bytes) + 1;
    if (loan && __atomic_load_n(&loan->active, __ATOMIC_SEQ_CST)) {
        struct io_loan_ring *in = &loan->ring[0], *out = &loan->ring[1];
        uint32_t head = __atomic_load_n(&in->head, __ATOMIC_SEQ_CST), tail = in->tail;
        uint32_t used = io_loan_used(head, tail);
        uint32_t room =
            RING - io_loan_used(out->head, __atomic_load_n(&out->tail, __ATOMIC_SEQ_CST));
        n = n < used ? n : used;
        n = n < room ? n : room;
        for (uint32_t i = 0; i < n; i++) {
            bytes[i] = *ring_at(0, tail + i);
            CHECK(bytes[i] == byte_at(echoed + i));
            *ring_at(1, out->head + i) = bytes[i];
        }
        by_ring += n;
        __atomic_store_n(&out->head, (out->head + n) & ~IO_LOAN_GONE, __ATOMIC_SEQ_CST);
        __atomic_store_n(&in->tail, (tail + n) & ~IO_LOAN_GONE, __ATOMIC_SEQ_CST);
        kernel_wake(&out->head);
        kernel_wake(&in->tail);
    } else if (!loan || !granted) {
        n = n < queued[0] ? n : queued[0];
        for (uint32_t i = 0; i < n; i++)
            CHECK(queue[0][i] == byte_at(echoed + i));
        memcpy(queue[1] + queued[1], queue[0], n);
        queued[1] += n;
        memmove(queue[0], queue[0] + n, queued[0] - n);
        queued[0] -= n;
    } else {
        n = 0;
    }
    echoed += n;
}

static void *honest(void *argument)
{
    uint64_t seed = *(uint64_t *)argument;
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        pthread_mutex_lock(&lock);
        echo_some(&seed);
        if (next_random(&seed) % 200 == 0)
            loan_end();
        pthread_mutex_unlock(&lock);
        if (next_random(&seed) % 16 == 0)
            usleep(1);
    }
    return NULL;
}

static void *hostile(void *argument)
{
    uint64_t seed = *(uint64_t *)argument;
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        pthread_mutex_lock(&lock);
        uint64_t what = next_random(&seed);
        if (loan && what % 8) {
            uint32_t *word = what & 8    ? &loan->ring[what >> 4 & 1].head
                             : what & 16 ? &loan->ring[what >> 5 & 1].tail
                                         : (uint32_t *)loan + (what >> 8) % (sizeof *loan / 4);
            uint64_t value = next_random(&seed);
            uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
            __atomic_store_n(word,
                             value & 1   ? (uint32_t)(value >> 8)
                             : value & 2 ? old + (uint32_t)(value >> 8) % (2 * RING)
                                         : (uint32_t)(value >> 8) % RING,
                             __ATOMIC_SEQ_CST);
            for (uint32_t r = 0; r < 2; r++) {
                kernel_wake(&loan->ring[r].head);
                kernel_wake(&loan->ring[r].tail);
            }
        } else if (what % 64 == 0) {
            loan_end();
        }
        queued[0] = queued[1] = (uint32_t)(what >> 32) % 64;
        pthread_mutex_unlock(&lock);
        usleep(1);
    }
    return NULL;
}

/* ---- the program ---- */

/* All that it sends comes back. */
static void talk(int fd, uint64_t seed, uint64_t total)
{
    static uint8_t out[20000], in[20000];
    uint64_t sent = 0, had = 0;
    while (had < total) {
        uint64_t n = 1 + next_random(&seed) % (next_random(&seed) % 8 ? 300 : sizeof out);
        n = n < total - sent ? n : total - sent;
        if (sent + n > had + (next_random(&seed) % 8 ? RING * 3 / 4 : RING * 3 / 2))
            n = 0; /* what is on its way fits in a ring, but for now and then */
        for (uint64_t i = 0; i < n; i++)
            out[i] = byte_at(sent + i);
        long done = n ? px_sys_sendto(fd, out, n, MSG_DONTWAIT, NULL, 0) : 0;
        CHECK(done >= 0 || done == -EAGAIN);
        sent += done > 0 ? (uint64_t)done : 0;
        done =
            px_sys_recvfrom(fd, in, 1 + next_random(&seed) % sizeof in, MSG_DONTWAIT, NULL, NULL);
        CHECK(done > 0 || done == -EAGAIN);
        for (long i = 0; i < done; i++)
            CHECK(in[i] == byte_at(had + (uint64_t)i));
        had += done > 0 ? (uint64_t)done : 0;
        if (done < 0)
            usleep(1);
    }
}

static void provoke(int fd, uint64_t seed)
{
    static uint8_t bytes[20000];
    for (unsigned i = 0; i < 20000; i++) {
        struct pollfd p = {fd, POLLIN | POLLOUT, 0};
        uint64_t n = 1 + next_random(&seed) % sizeof bytes;
        switch (next_random(&seed) % 5) {
        case 0:
            px_sys_sendto(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
            break;
        case 1:
            CHECK(px_sys_recvfrom(fd, bytes, n, MSG_DONTWAIT, NULL, NULL) <= (long)n);
            break;
        case 2:
            CHECK(px_sys_recvfrom(fd, bytes, n, MSG_DONTWAIT | MSG_PEEK, NULL, NULL) <= (long)n);
            break;
        case 3:
            px_sys_poll(&p, 1, 0);
            break;
        default:
            px_sys_read(fd, bytes, n < 64 ? n : 64);
        }
    }
}

static void with(void *(*other)(void *), void (*what)(int, uint64_t), uint64_t seed)
{
    pthread_t thread;
    int fds[2];
    __atomic_store_n(&over, false, __ATOMIC_RELAXED);
    queued[0] = queued[1] = 0;
    echoed = 0;
    CHECK(px_sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    CHECK(pthread_create(&thread, NULL, other, &seed) == 0);
    what(fds[0], seed + 2);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    CHECK(pthread_join(thread, NULL) == 0);
    pthread_mutex_lock(&lock);
    loan_end();
    pthread_mutex_unlock(&lock);
    px_sys_close(fds[0]);
    px_sys_close(fds[1]);
}

static void talk_much(int fd, uint64_t seed)
{
    talk(fd, seed, 2000000);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) * 2 + 1 : 12345;
    alarm(120);
    host_start();
    with(honest, talk_much, seed);
    CHECK(by_ring > 100000);
    with(hostile, provoke, seed);
    return 0;
}
