/* SPDX-License-Identifier: MIT */
/*
 * The fs engine against nonsense: messages with any operation, words, bytes, handles and sizes; and
 * bundles with any byte changed. Nothing is expected but that every call is answered and the
 * sanitizers are silent.
 *
 *   fs_fuzz [SEED [ROUNDS]]
 */
#include "../../../sysio/fs/watches.h"
#include "../../../sysio/local/inotify_queue.h"
#include "../../../sysio/tty/tty.h"
#include "fs_client.h"

#include <motor/bundle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t state;

static uint64_t rnd64(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}

static uint32_t rnd(uint32_t n)
{
    return (uint32_t)(rnd64() >> 33) % n;
}

static uint64_t some_word(void)
{
    switch (rnd(6)) {
    case 0:
        return rnd(16);
    case 1:
        return rnd(65536);
    case 2:
        return 1ull << rnd(64);
    case 3:
        return (1ull << rnd(64)) - 1;
    case 4:
        return rnd64();
    default:
        return (uint64_t) - (int64_t)rnd(5000);
    }
}

static uint32_t some_bytes(char *to, uint32_t room)
{
    static const char *const words[] = {"/",    ".",       "..",      "a",     "b",        "proc",
                                        "dev",  "self",    "fd",      "0",     "null",     "zero",
                                        "full", "tmp",     "7",       "motor", "counters", "stat",
                                        "exe",  "urandom", "console", "shm",   "etc"};
    uint32_t n = 0;
    switch (rnd(4)) {
    case 0:
        for (n = 0; n < rnd(300) && n < room; n++)
            to[n] = (char)rnd(256);
        return n;
    case 1:
        n = rnd(room);
        memset(to, "/a."[rnd(3)], n);
        return n;
    default:
        for (uint32_t parts = rnd(8); parts; parts--) {
            const char *w = words[rnd(sizeof words / sizeof *words)];
            if (n + strlen(w) + 1 >= room)
                break;
            memcpy(to + n, w, strlen(w));
            n += (uint32_t)strlen(w);
            if (rnd(5))
                to[n++] = '/';
        }
        return n;
    }
}

#define HANDLES 40
static motor_handle handles[HANDLES];

static bool is_get(uint32_t op)
{
    return op == IO_SHM_GET || op == IO_SEM_GET || op == IO_MSG_GET;
}

/* mount or umount, with few places, so that they meet. */
static void mounting(struct motor_msg *m, char *in)
{
    static const char *const places[] = {"/a", "/a/b", "/dev/shm"};
    static const char *const options[] = {"", "mode=700", "mode=9", "size=1m,mode=1777"};
    const char *place = places[rnd(3)], *source = rnd(2) ? "none" : "";
    m->word[0] = rnd(2) ? 0 : rnd(8) ? 1u << rnd(12) : m->word[0];
    if (m->op == IO_UMOUNT) {
        m->in_size = (uint64_t)sprintf(in, "%s", place);
        return;
    }
    m->in_size = (uint64_t)sprintf(in, "%s%stmpfs%s", source, place, options[rnd(4)]);
    m->word[1] = strlen(source);
    m->word[2] = strlen(place);
    m->word[3] = 5;
}

/* ---- inotify ---- */

#define INSTANCES 3u
static motor_handle instances[INSTANCES];
static struct inotify_queue *queues[INSTANCES];

static void instance_renew(uint32_t i)
{
    static uint64_t badge = 1000;
    int error;
    if (queues[i]) {
        inotify_queue_close(queues[i]);
        fake_close(instances[i]);
        watches_closed();
    }
    queues[i] = inotify_queue_new(++badge, rnd(2), &error);
    if (!queues[i])
        abort();
    instances[i] = fake_gate(tty_engine.endpoint, badge);
}

static void watching(struct motor_msg *m)
{
    uint32_t i = rnd(INSTANCES);
    static _Alignas(8) char events[3000];
    m->word[0] = m->op == IO_INOTIFY_REMOVE ? rnd(40) : rnd(3) ? IN_ALL_EVENTS : rnd64();
    m->nhandles = 1;
    m->handle[0] = instances[i];
    if (!rnd(20))
        instance_renew(i);
    if (inotify_queue_give(queues[i], events, rnd(sizeof events)) > 0)
        inotify_queue_given(queues[i], rnd(2));
    m->handle[0] = instances[i];
}

static void message(void)
{
    static char in[12000], out[70000];
    struct motor_msg m = {.op = rnd(10) ? 1 + rnd(63) : rnd(200), .in = in, .out = out};
    static uint64_t ids[16]; /* of System V objects */
    for (unsigned i = 0; i < MOTOR_MSG_WORDS; i++)
        m.word[i] = some_word();
    if (m.op == IO_OPEN) { /* leave most opens sensible */
        m.word[0] &= rnd(3) ? 03703 : UINT64_MAX;
        m.word[1] &= 0777;
    }
    if (m.op >= IO_SHM_GET && m.op <= IO_MSG_CONTROL) {
        m.word[0] = is_get(m.op) ? rnd(8) : rnd(8) ? ids[rnd(16)] : m.word[0];
        m.word[1] = rnd(2) ? rnd(20) : m.word[1];
    }
    if (m.op == IO_LOCK) {
        m.word[0] = rnd(8) ? rnd(32) : m.word[0];
        m.word[1] = rnd(8) ? rnd(3) : m.word[1];
    }
    /* within the host's memory */
    if (m.op == IO_ALLOCATE || m.op == IO_TRUNCATE || m.op == IO_WRITE)
        m.word[0] &= rnd(2) ? 0xfffff : UINT64_MAX, m.word[1] &= 0xffffff;
    m.in_size = some_bytes(in, sizeof in);
    m.out_size = rnd(3) ? rnd(5000) : rnd(sizeof out);
    if (rnd(3) == 0)
        m.word[0] = rnd((uint32_t)m.in_size + 2);
    if (rnd(3) == 0)
        for (m.nhandles = rnd(MOTOR_MSG_HANDLES + 1); m.nhandles && !m.handle[m.nhandles - 1];)
            for (unsigned i = 0; i < m.nhandles; i++)
                m.handle[i] = handles[rnd(HANDLES)];
    if (m.op == IO_XATTR && rnd(8)) {
        static const char *const names[] = {"user.a", "user.b", "trusted.a", "security.a", "user."};
        const char *name = names[rnd(5)];
        m.word[0] = rnd(5);
        m.word[1] = strlen(name);
        memcpy(in, name, strlen(name));
        m.in_size = strlen(name) + rnd(5000);
    }
    if ((m.op == IO_MOUNT || m.op == IO_UMOUNT) && rnd(8))
        mounting(&m, in);
    if ((m.op == IO_INOTIFY_ADD || m.op == IO_INOTIFY_REMOVE) && rnd(8))
        watching(&m);
    client_uid = rnd(3) ? 0 : 100;
    if (rnd(50) == 0)
        fake_set_groups((const uint32_t[]){rnd(3) * 100, rnd(3) * 100}, rnd(3));
    uint32_t op = m.op;
    if (client_call(handles[rnd(HANDLES)], &m) >= 0 && is_get(op))
        ids[rnd(16)] = (uint64_t)m.status;
    for (unsigned i = 0; i < m.nhandles; i++) {
        unsigned slot = 1 + rnd(HANDLES - 1);
        struct motor_gate_info info = {.handle = m.handle[i], .endpoint = fs_engine.endpoint};
        if (motor_process_info(0, MOTOR_PINFO_GATE, &info, sizeof info) < 0) { /* not one of ours */
            fake_close(m.handle[i]);
            continue;
        }
        fake_close(handles[slot]);
        handles[slot] = m.handle[i];
    }
}

/* Reads what /proc makes of the process's word for itself. */
static void look_at_process(void)
{
    static const char *const names[] = {"stat", "status", "statm",    "cmdline",     "environ",
                                        "maps", "limits", "fdinfo/0", "task/7/stat", "fd",
                                        "fd/0", "exe",    "cwd",      "comm",        "task"};
    char path[64], bytes[4096];
    motor_handle h;
    snprintf(path, sizeof path, "/proc/7/%s", names[rnd(sizeof names / sizeof *names)]);
    client_out(client_root, IO_READLINK, path, 0, bytes, sizeof bytes);
    if (client_open(client_root, path, 0, 0, &h) != 0)
        return;
    client_read(h, 0, bytes, sizeof bytes);
    client_out(h, IO_READDIR, "", 0, bytes, sizeof bytes);
    fake_close(h);
}

static void messages(uint64_t rounds)
{
    client_start();
    static uint64_t memory[512];
    fake_process = (struct motor_process_info){
        .pid = 7, .state = 1, .start_ns = 1, .name = "prog", .about = FAKE_PROCESS_BASE + 512};
    fake_process_memory = memory;
    fake_process_size = sizeof memory;
    tty_engine.endpoint = (motor_handle)motor_endpoint_create();
    for (unsigned i = 0; i < INSTANCES; i++)
        instance_renew(i);
    for (unsigned i = 0; i < HANDLES; i++)
        handles[i] = fake_gate(fs_engine.endpoint, i % 2 ? rnd64() : 1);
    fake_close(handles[0]);
    handles[0] = client_root;
    for (uint64_t i = 0; i < rounds; i++) {
        /* what a hostile process tells about itself */
        uint64_t word = rnd64();
        memory[rnd64() % 512] = word % 3   ? FAKE_PROCESS_BASE + word / 3 % sizeof memory
                                : word % 2 ? word
                                           : word % 64;
        message();
        if (!rnd(4))
            look_at_process();
    }
    for (unsigned i = 0; i < HANDLES; i++)
        fake_close(handles[i]);
    for (unsigned i = 0; i < 10; i++)
        client_turn();
}

/* ---- bundles ---- */

static uint8_t bundle[5 * 4096] __attribute__((aligned(4096)));

static void bundle_make(void)
{
    static const char names[] = "/a\0/b/c\0/b\0/link\0";
    struct motor_bundle_header h = {.magic = MOTOR_BUNDLE_MAGIC,
                                    .version = 1,
                                    .entries = 4,
                                    .total_size = sizeof bundle,
                                    .entries_offset = 64,
                                    .names_offset = 64 + 4 * 56,
                                    .names_size = sizeof names};
    struct motor_bundle_entry *e = (void *)(bundle + 64);
    memset(bundle, 0, sizeof bundle);
    e[0] = (struct motor_bundle_entry){
        .name = 0, .type = MOTOR_BUNDLE_FILE, .mode = 0644, .offset = 4096, .size = 5000};
    e[1] = (struct motor_bundle_entry){
        .name = 3, .type = MOTOR_BUNDLE_FILE, .mode = 0755, .offset = 12288, .size = 100};
    e[2] = (struct motor_bundle_entry){.name = 8, .type = MOTOR_BUNDLE_DIRECTORY, .mode = 0755};
    e[3] = (struct motor_bundle_entry){
        .name = 11, .type = MOTOR_BUNDLE_SYMLINK, .mode = 0777, .offset = 16384, .size = 2};
    memcpy(bundle + 16384, "/a", 2);
    memcpy(bundle + h.names_offset, names, sizeof names);
    memcpy(bundle, &h, sizeof h);
}

/* In a process of its own, for the engine starts only once. */
static int one_bundle(void)
{
    bundle_make();
    struct motor_bundle_header *h = (void *)bundle;
    for (unsigned n = 1 + rnd(4); n; n--) {
        uint32_t at = rnd(4) ? rnd(64 + 4 * 56 + 32) : rnd(sizeof bundle);
        if (rnd(2))
            bundle[at] = (uint8_t)rnd64();
        else
            memcpy(bundle + (at & ~7u), &(uint64_t){some_word()}, 8);
    }
    uint64_t from = h->entries_offset, end = h->names_offset + h->names_size;
    /* mostly with the right hash, to get further */
    if (rnd(8) && from <= end && end <= sizeof bundle)
        h->hash = motor_bundle_hash(bundle + from, end - from);
    uint64_t size = rnd(8) ? sizeof bundle : rnd(sizeof bundle);
    void *exact = malloc(size ? size : 1); /* so that the sanitizer sees its end */
    memcpy(exact, bundle, size);
    bundle_find(exact, size, "/a");
    fake_quiet = true;
    if (size % 4096 == 0 && client_start_bundle(exact, size) > 0) {
        motor_handle file;
        static const char *const paths[] = {"/a", "/b/c", "/link", "/b"};
        char text[200];
        for (unsigned i = 0; i < 4; i++)
            if (client_open(client_root, paths[i], 0, 0, &file) == 0) {
                client_read(file, 0, text, sizeof text);
                fake_close(file);
            }
    }
    free(exact);
    return 0;
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0:exitcode=77";
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
             rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : 300000;
    state = seed * 0x9e3779b97f4a7c15ull + 1;
    for (uint64_t i = 0; i < rounds / 300; i++) {
        rnd64();
        pid_t child = fork();
        if (child == 0)
            _exit(one_bundle());
        int status;
        if (waitpid(child, &status, 0) != child || status) {
            fprintf(stderr, "fs_fuzz: bundle %llu of seed %llu: status %x\n", (unsigned long long)i,
                    (unsigned long long)seed, status);
            return 1;
        }
    }
    messages(rounds);
    printf("fs_fuzz: seed %llu: %llu bundles, %llu messages\n", (unsigned long long)seed,
           (unsigned long long)(rounds / 300), (unsigned long long)rounds);
    return 0;
}
