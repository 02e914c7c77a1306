/* SPDX-License-Identifier: MIT */
/*
 * /proc/net: the engines' sockets and interfaces, in Linux's columns. Asked for by a call, which
 * an engine answers at once; it never waits for this one.
 */
#include "../../tty/tty.h"
#include "proc.h"

#include <string.h>

#define ANSWER_MAX  65536u
#define DEADLINE_NS 1000000000u

static motor_handle net;

void procfs_set_net(motor_handle connector)
{
    net = connector;
}

/* what: of IO_NETINFO. Bytes of answer in a static buffer. */
static size_t ask(uint32_t what, void **answer)
{
    static char bytes[ANSWER_MAX];
    struct motor_msg m = {.op = IO_NETINFO,
                          .nhandles = MOTOR_CALL_NOINTR,
                          .word = {what},
                          .out = bytes,
                          .out_size = sizeof bytes,
                          .deadline = clock_monotonic_ns() + DEADLINE_NS};
    *answer = bytes;
    if (!net || motor_call(net, &m) < 0 || m.status < 0)
        return 0;
    return (uint64_t)m.status < sizeof bytes ? (size_t)m.status : sizeof bytes;
}

static void put_address(struct text *t, const struct io_sockinfo *s, const uint8_t *address,
                        uint16_t port)
{
    uint32_t words[4];
    memcpy(words, address, sizeof words);
    for (int i = 0; i < (s->family == 10 ? 4 : 1); i++)
        put(t, "%08X", words[i]);
    put(t, ":%04X", __builtin_bswap16(port));
}

static void put_sockets(struct text *t, uint32_t family, uint32_t type, const char *title)
{
    void *answer;
    size_t n = ask(2, &answer) / sizeof(struct io_sockinfo), line = 0;
    const struct io_sockinfo *s = answer;
    put(t, "%s", title);
    for (size_t i = 0; i < n; i++, s++) {
        if (s->family != family || s->type != type)
            continue;
        put(t, "%4zu: ", line++);
        put_address(t, s, s->own_address, s->own_port);
        put(t, " ");
        put_address(t, s, s->peer_address, s->peer_port);
        put(t, " %02X %08X:%08X 00:00000000 00000000 %5u        0 %zu 1 0000000000000000%s\n",
            s->state, s->tx_queue, s->rx_queue, s->uid, i + 1, type == 1 ? " 100 0 0 10 0" : " 0");
    }
}

#define TITLE4 \
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout " \
    "inode\n"
#define TITLE6 \
    "  sl  local_address                         remote_address                        st tx_queue " \
    "rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

void text_tcp(struct text *t)
{
    put_sockets(t, 2, 1, TITLE4);
}

void text_tcp6(struct text *t)
{
    put_sockets(t, 10, 1, TITLE6);
}

void text_udp(struct text *t)
{
    put_sockets(t, 2, 2, TITLE4);
}

void text_udp6(struct text *t)
{
    put_sockets(t, 10, 2, TITLE6);
}

void text_raw(struct text *t)
{
    put_sockets(t, 2, 3, TITLE4);
}

void text_raw6(struct text *t)
{
    put_sockets(t, 10, 3, TITLE6);
}

void text_unix(struct text *t)
{
    static char bytes[ANSWER_MAX];
    struct motor_msg m = {.op = TTY_UNIX_SOCKETS,
                          .out = bytes,
                          .out_size = sizeof bytes,
                          .deadline = clock_monotonic_ns() + DEADLINE_NS};
    put(t, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    int64_t n = tty_ask(&m);
    if (n > 0)
        put(t, "%.*s", (int)n, bytes);
}

static void put_text(struct text *t, uint32_t what)
{
    void *answer;
    size_t n = ask(what, &answer);
    put_bytes(t, answer, n);
}

void text_dev(struct text *t)
{
    put_text(t, IO_NETINFO_DEV);
}

void text_route(struct text *t)
{
    put_text(t, IO_NETINFO_ROUTE);
}

void text_snmp(struct text *t)
{
    put_text(t, IO_NETINFO_SNMP);
}

void text_arp(struct text *t)
{
    put_text(t, IO_NETINFO_ARP);
}

void text_if_inet6(struct text *t)
{
    put_text(t, IO_NETINFO_IF_INET6);
}
