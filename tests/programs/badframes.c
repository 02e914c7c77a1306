/* SPDX-License-Identifier: MIT */
/*
 * Frames that no decent machine sends, from a raw socket on a TAP, to the VM at the other end:
 * noise, and frames of each protocol that it speaks with fields that lie, cut short or padded. Some
 * are sent in the name of this machine's own connections, so that they meet state. From a seed.
 *
 *   badframes INTERFACE SEED COUNT      (the VM is 10.0.2.15, this machine 10.0.2.2)
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_MOST 1514u
#define GUEST      0x0a00020fu
#define HOST       0x0a000202u

static uint8_t frame[FRAME_MOST], guest_mac[6], host_mac[6];
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

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

/* Values at which lengths and counters go wrong. */
static uint32_t edge(void)
{
    static const uint32_t values[] = {
        0,  1,  2,   3,    4,    7,    8,      19,     20,     21,     39,         40,
        59, 60, 576, 1459, 1460, 1500, 0x7fff, 0x8000, 0xffff, 0xfffe, 0x7fffffff, 0xffffffff};
    return once_in(3) ? any() : values[below(sizeof values / sizeof *values)];
}

static uint32_t sum(const uint8_t *p, uint32_t n, uint32_t start)
{
    uint64_t total = start;
    for (uint32_t i = 0; i < n; i++)
        total += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return (uint32_t)total;
}

static void noise(uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        p[i] = (uint8_t)any();
}

static uint32_t ethernet(uint32_t type)
{
    memcpy(frame, guest_mac, 6);
    memcpy(frame + 6, host_mac, 6);
    if (once_in(8))
        memset(frame, once_in(2) ? 0xff : 0x01, 6);
    put16(frame + 12, type);
    return 14;
}

/* An IPv4 header before `size` bytes; its checksum is right, or nobody would look further. */
static void ip4(uint32_t protocol, uint32_t options, uint32_t size)
{
    uint8_t *ip = frame + ethernet(0x0800);
    uint32_t header = 20 + options;
    noise(ip + 20, options);
    ip[0] = (uint8_t)(0x40 | header / 4);
    ip[1] = (uint8_t)any();
    put16(ip + 2, once_in(6) ? edge() : header + size);
    put16(ip + 4, below(4));
    put16(ip + 6, once_in(5) ? any() : 0);
    ip[8] = once_in(10) ? 0 : 64;
    ip[9] = (uint8_t)protocol;
    put32(ip + 12, once_in(10) ? any() : once_in(20) ? GUEST : HOST);
    put32(ip + 16, once_in(12) ? (once_in(2) ? 0xffffffffu : 0xe0000001u) : GUEST);
    if (once_in(10))
        ip[0] = (uint8_t)any();
    put16(ip + 10, 0);
    put16(ip + 10, ~sum(ip, header, 0) & 0xffff);
}

static void checksum_over(uint8_t *ip, uint8_t *at, uint8_t *field, uint32_t size,
                          uint32_t protocol)
{
    put16(field, 0);
    put16(field, ~sum(at, size, sum(ip + 12, 8, protocol + size)) & 0xffff);
}

static uint32_t tcp(void)
{
    uint32_t options = below(11) * 4, data = once_in(2) ? 0 : below(200),
             size = 20 + options + data;
    uint32_t ip_options = once_in(6) ? below(11) * 4 : 0;
    ip4(6, ip_options, size);
    uint8_t *ip = frame + 14, *t = ip + 20 + ip_options;
    noise(t, size);
    put16(t, once_in(2) ? 40000 + below(16) : any());
    put16(t + 2, once_in(8) ? any() : 80);
    if (once_in(2))
        put32(t + 4, below(4) * 1000);
    t[12] = (uint8_t)((5 + options / 4) << 4);
    if (once_in(6))
        t[12] = (uint8_t)any();
    t[13] = once_in(2) ? (uint8_t)any() : (uint8_t)(1u << below(6));
    if (options >= 12 && once_in(2)) { /* options with lengths that lie */
        t[20] = (uint8_t)below(9);
        t[21] = (uint8_t)edge();
    }
    if (!once_in(8))
        checksum_over(ip, t, t + 16, size, 6);
    return 14 + 20 + ip_options + size;
}

static uint32_t udp(void)
{
    static const uint16_t ports[] = {53, 67, 68, 123, 80, 5353, 7};
    uint32_t data = below(600), size = 8 + data;
    ip4(17, 0, size);
    uint8_t *ip = frame + 14, *u = ip + 20;
    noise(u, size);
    put16(u, ports[below(7)]);
    put16(u + 2, once_in(2) ? ports[below(7)] : any());
    put16(u + 4, once_in(3) ? edge() : size);
    if (once_in(2)) /* DHCP, an answer: after the ports and lengths a header with a cookie */
        memcpy(u + 8, "\x02\x01\x06\x00", 4);
    if (data > 244)
        memcpy(u + 8 + 236, "\x63\x82\x53\x63", 4);
    if (once_in(4))
        put16(u + 6, 0);
    else
        checksum_over(ip, u, u + 6, size, 17);
    return 14 + 20 + size;
}

static uint32_t icmp(void)
{
    static const uint8_t types[] = {0, 3, 4, 5, 8, 11, 12, 13};
    uint32_t size = 8 + below(200);
    ip4(1, 0, size);
    uint8_t *c = frame + 14 + 20;
    noise(c, size);
    c[0] = once_in(4) ? (uint8_t)any() : types[below(8)];
    c[1] = (uint8_t)below(16);
    if (size >= 8 + 28) { /* about a packet of ours, it says */
        c[8] = 0x45;
        c[17] = once_in(2) ? 6 : 17;
        put32(c + 20, GUEST);
        put32(c + 24, HOST);
        put16(c + 28, 80);
    }
    put16(c + 2, 0);
    put16(c + 2, ~sum(c, size, 0) & 0xffff);
    return 14 + 20 + size;
}

/* Pieces that overlap, lie beyond 64 KiB, or never become whole. */
static uint32_t fragment(void)
{
    uint32_t size = once_in(3) ? below(8) : 8 + below(1000);
    ip4(once_in(2) ? 17 : 6, 0, size);
    uint8_t *ip = frame + 14;
    noise(ip + 20, size);
    put16(ip + 2, 20 + size);
    put16(ip + 6, (once_in(2) ? 0x2000u : 0) | (once_in(3) ? below(0x2000) : below(64)));
    put16(ip + 10, 0);
    put16(ip + 10, ~sum(ip, 20, 0) & 0xffff);
    return 14 + 20 + size;
}

static uint32_t arp(void)
{
    uint8_t *a = frame + ethernet(0x0806);
    put16(a, once_in(5) ? edge() : 1);
    put16(a + 2, once_in(5) ? edge() : 0x0800);
    a[4] = once_in(5) ? (uint8_t)any() : 6;
    a[5] = once_in(5) ? (uint8_t)any() : 4;
    put16(a + 6, 1 + below(4));
    noise(a + 8, 6);
    /* of this machine only what is true, or it could not be heard afterwards */
    put32(a + 14, 0x0a000200u + 32 + below(200));
    noise(a + 18, 6);
    put32(a + 24, once_in(3) ? any() : GUEST);
    return 14 + 28;
}

static uint32_t ip6(void)
{
    uint8_t *ip = frame + ethernet(0x86dd);
    static const uint8_t next[] = {0, 6, 17, 43, 44, 50, 51, 58, 59, 60};
    uint32_t size = below(400);
    noise(ip, 40 + size);
    ip[0] = once_in(10) ? (uint8_t)any() : 0x60;
    put16(ip + 4, once_in(4) ? edge() : size);
    ip[6] = next[below(10)];
    ip[7] = once_in(3) ? 1 : 255;
    memset(ip + 8, 0, 32);
    ip[8] = ip[24] = 0xfe;
    ip[9] = ip[25] = 0x80;
    ip[23] = 2;
    ip[39] = (uint8_t)below(3);
    if (once_in(2)) /* ff02::1, all nodes */
        memcpy(ip + 24, "\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    if (size >= 8) {
        ip[40] = ip[6] == 58 ? (uint8_t)(once_in(3) ? any() : 128 + below(15)) : next[below(10)];
        ip[41] = (uint8_t)edge();
        if (ip[6] == 58) {
            put16(ip + 42, 0);
            put16(ip + 42, ~sum(ip + 40, size, sum(ip + 8, 32, 58 + size)) & 0xffff);
        }
    }
    return 14 + 40 + size;
}

static uint32_t rubbish(void)
{
    uint32_t size = 14 + below(FRAME_MOST - 13);
    noise(frame, size);
    if (!once_in(4))
        memcpy(frame, guest_mac, 6);
    return size;
}

static uint32_t make(void)
{
    static uint32_t (*const kinds[])(void) = {tcp,      tcp, tcp, udp,    icmp,
                                              fragment, arp, ip6, rubbish};
    uint32_t kind = below(sizeof kinds / sizeof *kinds), size = kinds[kind]();
    if (once_in(10))
        size = 14 + below(size - 13);                   /* cut short */
    if (once_in(10) && size > 20 && kinds[kind] != arp) /* which must not become this machine's */
        frame[14 + below(size - 14)] = (uint8_t)any();
    return size < 14 ? 14 : size > FRAME_MOST ? FRAME_MOST : size;
}

/* The VM's address on the link, from this machine's neighbour table. */
static bool find_guest(int fd, const char *interface)
{
    struct ifreq r = {0};
    char line[256], mac[32], address[64];
    FILE *f = fopen("/proc/net/arp", "r");
    bool found = false;
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", interface);
    if (ioctl(fd, SIOCGIFHWADDR, &r) < 0 || !f)
        return false;
    memcpy(host_mac, r.ifr_hwaddr.sa_data, 6);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%63s %*s %*s %31s", address, mac) == 2 && !strcmp(address, "10.0.2.15"))
            found = sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &guest_mac[0], &guest_mac[1],
                           &guest_mac[2], &guest_mac[3], &guest_mac[4], &guest_mac[5]) == 6;
    fclose(f);
    return found;
}

int main(int argc, char **argv)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    uint64_t sent = 0;
    if (argc < 4 || fd < 0 || !(to.sll_ifindex = (int)if_nametoindex(argv[1])) ||
        !find_guest(fd, argv[1])) {
        fprintf(stderr, "badframes: no interface, no right to it, or no VM\n");
        return 1;
    }
    random_state = strtoull(argv[2], NULL, 0) * 2654435761u + 1;
    for (uint64_t i = 0, n = strtoull(argv[3], NULL, 0); i < n; i++) {
        uint32_t size = make();
        memcpy(to.sll_addr, frame, 6);
        sent += sendto(fd, frame, size, 0, (struct sockaddr *)&to, sizeof to) > 0;
        if (i % 64 == 63)
            usleep(1000); /* so that most are taken: a full queue drops them before they are seen */
    }
    printf("%llu frames sent\n", (unsigned long long)sent);
    return 0;
}
