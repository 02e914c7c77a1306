/* SPDX-License-Identifier: MIT */
/*
 * Looking before sleeping. To sleep and to be woken costs an interrupt or a kernel entry, a message
 * between processors and two switches; a client on another processor, or the network, often wants
 * something again before that is done. So as long as another processor runs something and nobody
 * waits for ours, the engine looks at the memory by which clients and the network card would tell,
 * for a few tens of microseconds. When that was in vain it looks less and less often.
 */
#include "linger.h"
#include "../base/engine.h"
#include "engine.h"
#include "virtio_net.h"

#define LINGER_NS 50000u
#define PAUSES    8u /* between two looks */
#define SKIP_MOST 64u

static uint32_t skip, vain; /* times that we sleep at once; after as many the last time */

static bool is_wanted(struct net_device *card)
{
    return (card && virtio_net_arrived(card)) || net_marked();
}

static bool look(struct net_device *card)
{
    uint64_t end = clock_monotonic_ns() + LINGER_NS;
    const volatile struct motor_kinfo *k = kernel_info();
    while (k->unhurried_cpus >= 2 && clock_monotonic_ns() < end) {
        if (is_wanted(card))
            return true;
        for (uint32_t i = 0; i < PAUSES; i++)
            __builtin_ia32_pause();
    }
    return false;
}

bool linger(struct net_device *card)
{
    if (kernel_info()->unhurried_cpus < 2)
        return false;
    if (skip) {
        skip--;
        return false;
    }
    net_show_idle(true);
    bool found = look(card);
    net_show_idle(false);
    vain = found ? 0 : vain ? vain * 2 : 1;
    if (vain > SKIP_MOST)
        vain = SKIP_MOST;
    skip = vain / 2;
    return found;
}
