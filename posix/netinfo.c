/* SPDX-License-Identifier: MIT */
/* ioctl(SIOCGIF*): what the net engine knows of its interfaces. */
#include "stream.h"

#define INTERFACES      16
#define ARPHRD_ETHER    1
#define ARPHRD_LOOPBACK 772
#define IFF_LOOPBACK    8u

struct linux_ifreq {
    char name[16];
    union {
        uint8_t bytes[24];
        int32_t number;
        int16_t flags;
        struct {
            uint16_t family, port;
            uint32_t address;
        } in;
    };
};
_Static_assert(sizeof(struct linux_ifreq) == 40, "Linux ABI");

static long interfaces(struct io_ifaddr list[INTERFACES])
{
    struct motor_msg msg = {.op = IO_NETINFO,
                            .out = list,
                            .out_size = INTERFACES * sizeof *list,
                            .deadline = MOTOR_NEVER};
    long size = px_proc()->net ? px_call(px_proc()->net, &msg) : 0;
    return size < 0 ? size : PX_MIN(size / (long)sizeof *list, INTERFACES);
}

static void put_address(struct linux_ifreq *r, uint32_t address)
{
    memset(r->bytes, 0, sizeof r->bytes);
    r->in.family = AF_INET;
    r->in.address = address;
}

static long get_list(void *user)
{
    struct {
        int32_t length, pad;
        uint8_t *list;
    } conf;
    struct io_ifaddr list[INTERFACES];
    int32_t stored = 0;
    if (px_copy_in(&conf, user, sizeof conf) < 0)
        return -EFAULT;
    long count = interfaces(list);
    for (long i = 0; i < count; i++) {
        struct linux_ifreq r;
        if (!list[i].address)
            continue;
        memcpy(r.name, list[i].name, sizeof r.name);
        put_address(&r, list[i].address);
        if (conf.list && conf.length - stored < (int32_t)sizeof r)
            break;
        if (conf.list && px_copy_out(conf.list + stored, &r, sizeof r) < 0)
            return -EFAULT;
        stored += (int32_t)sizeof r;
    }
    conf.length = stored;
    return count < 0 ? count : px_copy_out(user, &conf, sizeof conf);
}

static long answer(struct linux_ifreq *r, const struct io_ifaddr *i, unsigned request)
{
    switch (request) {
    case SIOCGIFFLAGS:
        r->flags = (int16_t)i->flags;
        return 0;
    case SIOCGIFMETRIC:
        r->number = 0;
        return 0;
    case SIOCGIFMTU:
        r->number = (int32_t)i->mtu;
        return 0;
    case SIOCGIFINDEX:
        r->number = (int32_t)i->index;
        return 0;
    case SIOCGIFTXQLEN:
        r->number = 1000;
        return 0;
    case SIOCGIFADDR:
        put_address(r, i->address);
        break;
    case SIOCGIFNETMASK:
        put_address(r, i->netmask);
        break;
    case SIOCGIFBRDADDR:
        put_address(r, i->broadcast);
        break;
    case SIOCGIFHWADDR:
        memset(r->bytes, 0, sizeof r->bytes);
        r->in.family = i->flags & IFF_LOOPBACK ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
        memcpy(r->bytes + 2, i->mac, 6);
        return 0;
    default:
        return -ENOTTY;
    }
    return i->address ? 0 : -EADDRNOTAVAIL;
}

long px_netinfo_control(unsigned request, unsigned long argument)
{
    struct linux_ifreq r;
    struct io_ifaddr list[INTERFACES];
    if (request == SIOCGIFCONF)
        return get_list((void *)argument);
    if ((request & 0xff00) != 0x8900)
        return -ENOTTY;
    if (px_copy_in(&r, (void *)argument, sizeof r) < 0)
        return -EFAULT;
    r.name[15] = 0;
    long count = interfaces(list);
    for (long i = 0; i < count; i++) {
        list[i].name[15] = 0;
        bool match = request == SIOCGIFNAME ? (int32_t)list[i].index == r.number
                                            : strcmp(list[i].name, r.name) == 0;
        if (!match)
            continue;
        long result = 0;
        if (request == SIOCGIFNAME)
            memcpy(r.name, list[i].name, sizeof r.name);
        else
            result = answer(&r, &list[i], request);
        return result < 0 ? result : px_copy_out((void *)argument, &r, sizeof r);
    }
    return count < 0 ? count : -ENODEV;
}
