/* SPDX-License-Identifier: MIT */
/* The loop's parts: sessions, retries, timers, what happens before sleep. Calls are in calls.c. */
#include "engine.h"
#include "attach.h"
#include "config.h"
#include "heap.h"
#include "lent.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/init.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/prot/dhcp.h"
#include "netif.h"
#include "pcb.h"
#include "socket.h"
#include <stddef.h>
#include <string.h>

#define MS          1000000ull
#define TCP_TICK    (TCP_TMR_INTERVAL * MS)
#define RETRY_DELAY (10 * MS)
#define RETRIES     64u /* sockets tried again at a time: many of one client must not hold up all */
#define WATCH_TURNS 64u /* a session quiet for so many turns is left to its notifications */

struct net_counters net_counters;
uint32_t net_tcp_window = 262144, net_tcp_sndbuf = 262144, net_datagram_buffer = 212992;
static struct object connector = {.kind = OBJECT_CONNECTOR};
void *const net_connector = &connector;

static struct session *watched, *dead; /* by next; a session is in one of the lists or none */
static struct socket *later, **later_end = &later; /* oldest first */
static struct socket *retired;
static uint64_t retry_at = UINT64_MAX;

/* ---- sockets that wait for us ---- */

void net_retry_in(struct socket *s, uint64_t delay)
{
    uint64_t at = port_now() + delay;
    if (!s->later) {
        s->later = true;
        s->later_next = NULL;
        s->later_link = later_end;
        *later_end = s;
        later_end = &s->later_next;
    }
    retry_at = at < retry_at ? at : retry_at;
}

void net_retry_later(struct socket *s)
{
    net_retry_in(s, RETRY_DELAY);
}

/* Before all others: there are few, and lwIP waits for it. */
void net_break_later(struct socket *s)
{
    net_forget(s);
    s->break_later = s->later = true;
    s->later_next = later;
    s->later_link = &later;
    if (later)
        later->later_link = &s->later_next;
    else
        later_end = &s->later_next;
    later = s;
    retry_at = 0;
}

void net_forget(struct socket *s)
{
    if (!s->later)
        return;
    s->later = false;
    *s->later_link = s->later_next;
    if (s->later_next)
        s->later_next->later_link = s->later_link;
    else
        later_end = s->later_link;
}

static void run_retries(void)
{
    if (retry_at > port_now())
        return;
    retry_at = UINT64_MAX;
    /* those that fail again go to the end */
    for (uint32_t count = 0; count < RETRIES && later; count++) {
        struct socket *s = later;
        net_forget(s);
        if (s->break_later) {
            s->break_later = false;
            tcp_socket_break(s);
        } else {
            receive_push(s);
            if (s->type == 1 && s->state == SOCKET_CONNECTED)
                tcp_socket_resume(s);
        }
    }
    if (later && retry_at == UINT64_MAX)
        retry_at = port_now() + RETRY_DELAY;
}

/* ---- sockets that are gone, but for their rings ---- */

void net_retire(struct socket *s)
{
    s->session->objects[s->slot] = NULL;
    s->epoch = net_eth_epoch();
    s->retired_next = retired;
    retired = s;
}

static void reap_retired(void)
{
    if (!retired || !net_loop_idle())
        return;
    for (struct socket **link = &retired; *link;) {
        struct socket *s = *link;
        if (!net_eth_epoch_over(s->epoch)) {
            link = &s->retired_next;
            continue;
        }
        *link = s->retired_next;
        session_slot_free(s->session, s->slot);
        net_heap_free(s);
    }
}

/* ---- sessions ---- */

static void changed(void *object)
{
    socket_changed(object);
}

void net_notified(void *object)
{
    struct session *s = object;
    if (!s || s->object_kind != OBJECT_SESSION || s->dead)
        return;
    s->last_active = net_counters.turns;
    if (s->watched)
        return;
    session_watch(s);
    s->watched = true;
    s->watch_next = watched;
    watched = s;
}

/* The client's memory goes when no socket and no frame needs it. */
static void reap_sessions(void)
{
    for (struct session **link = &dead; *link;) {
        struct session *s = *link;
        if (s->slots_live || s->device_reads || !net_loop_idle()) {
            link = &s->watch_next;
            continue;
        }
        *link = s->watch_next;
        net_counters.sessions--;
        session_destroy(s);
    }
}

static void session_died(struct session *s)
{
    session_collect(s, changed); /* what it did last: its sockets may live on elsewhere */
    for (struct session **link = &watched; *link; link = &(*link)->watch_next) {
        if (*link == s) {
            *link = s->watch_next;
            break;
        }
    }
    s->watched = false;
    s->dead = true;
    attach_session_died(s);
    port_gate_forget(s->badge);
    s->watch_next = dead;
    dead = s;
}

void net_closed(void *object)
{
    struct object *o = object;
    if (!o)
        return;
    if (o->kind == OBJECT_SOCKET)
        socket_closed(object);
    else if (o->kind == OBJECT_SESSION)
        session_died(object);
}

/* What is marked after this look is found by net_before_sleep(). */
static void poll_sessions(void)
{
    for (struct session *s = watched, *next; s; s = next) {
        next = s->watch_next;
        if (session_collect(s, changed))
            s->last_active = net_counters.turns;
    }
}

/* ---- timers ---- */

static uint64_t tcp_at, second_at, dhcp_at, coarse_at;
static bool slow_tick;

static bool dhcp_waits(void)
{
    struct dhcp *d = net_eth.input ? netif_dhcp_data(&net_eth) : NULL;
    return d && d->state && d->state != DHCP_STATE_BOUND;
}

static void tick_tcp(uint64_t now)
{
    if (now < tcp_at)
        return;
    if (!net_pcb_timer_needed()) {
        tcp_at = 0;
        return;
    }
    tcp_at = !tcp_at || now - tcp_at > 10 * TCP_TICK ? now + TCP_TICK : tcp_at + TCP_TICK;
    tcp_tmr();
    slow_tick = !slow_tick;
    if (slow_tick) {
        net_pcb_keep_alive();
        net_pcb_park_idle();
    }
}

static void tick_second(uint64_t now)
{
    if (now < second_at)
        return;
    second_at = now + 1000 * MS;
    session_collect_all(changed); /* what was marked without a notification */
    session_age_all();
    lent_count_all();
    net_config_changed++; /* routers may have told name servers */
    etharp_tmr();
    ip_reass_tmr();
    nd6_tmr();
    ip6_reass_tmr();
    for (int i = 0; i < 10; i++) { /* they count in 100 ms */
        igmp_tmr();
        mld6_tmr();
    }
    if (!dhcp_waits()) {
        dhcp_fine_tmr();
        dhcp_fine_tmr();
    }
    if (now >= coarse_at) {
        coarse_at = now + DHCP_COARSE_TIMER_SECS * 1000 * MS;
        dhcp_coarse_tmr();
    }
}

static void run_timers(void)
{
    uint64_t now = port_now();
    tick_tcp(now);
    tick_second(now);
    if (dhcp_waits() && now >= dhcp_at) {
        dhcp_at = now + DHCP_FINE_TIMER_MSECS * MS;
        dhcp_fine_tmr();
    }
    net_pcb_reap(now);
    run_retries();
}

uint64_t net_deadline(void)
{
    uint64_t at = second_at;
    if (net_pcb_timer_needed()) {
        if (!tcp_at)
            tcp_at = port_now() + TCP_TICK;
        at = tcp_at < at ? tcp_at : at;
    }
    if (dhcp_waits())
        at = dhcp_at < at ? dhcp_at : at;
    return retry_at < at ? retry_at : at;
}

/* ---- turns ---- */

bool net_turn(void)
{
    bool more = false;
    net_counters.turns++;
    more |= net_eth_turn();
    more |= net_loop_turn();
    poll_sessions();
    more |= net_loop_turn();
    run_timers();
    more |= !net_loop_idle();
    net_eth_flush();
    reap_retired();
    session_flush_all();
    reap_sessions();
    return more;
}

bool net_marked(void)
{
    for (const struct session *s = watched; s; s = s->watch_next)
        if (session_marked(s))
            return true;
    return false;
}

void net_show_idle(bool idle)
{
    for (struct session *s = watched; s; s = s->watch_next)
        __atomic_store_n(&s->header->engine_idle, idle, __ATOMIC_RELAXED);
}

bool net_before_sleep(void)
{
    bool work = false;
    for (struct session **link = &watched; *link;) {
        struct session *s = *link;
        if (session_unwatch(s)) {
            session_watch(s);
            work = true;
        } else if (net_counters.turns - s->last_active > WATCH_TURNS) {
            s->watched = false;
            *link = s->watch_next;
            continue;
        }
        link = &s->watch_next;
    }
    return net_eth_before_sleep(dead || retired) || work;
}

void net_after_sleep(void)
{
    for (struct session *s = watched; s; s = s->watch_next)
        session_watch(s);
}

/* What one connection may hold, one way. */
static uint32_t share_of(uint64_t memory, uint32_t most)
{
    uint64_t share = memory / 512 & ~0xfffull;
    return share < 32768 ? 32768 : share > most ? most : (uint32_t)share;
}

bool net_init(const struct net_config *config)
{
    net_tcp_window = share_of(config->memory, 256u << 10);
    net_tcp_sndbuf = share_of(config->memory, 1u << 20); /* clients divide it when they are many */
    if (net_datagram_buffer > net_tcp_window)
        net_datagram_buffer = net_tcp_window;
    session_budget(config->memory / 2);
    if (!net_heap_init(config->memory / 2) || !net_pcb_init(config->memory))
        return false;
    lwip_init();
    net_loop_start();
    if (config->device && !net_eth_start(config->device, config->memory))
        port_log("eth0 does not start: no memory\n");
    else if (config->device)
        net_configure(config);
    second_at = port_now() + 1000 * MS;
    return true;
}
