/* SPDX-License-Identifier: MIT */
/*
 * The hashes of names in directory indexes: legacy, half MD4 and TEA, each over signed or unsigned
 * characters, as the super block says. The low bit of a hash is kept for the index, and the largest
 * one marks its end.
 */
#include "ext4_impl.h"

#include <string.h>

#define HASH_END 0x7fffffffu

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static int32_t character(const char *p, bool is_unsigned)
{
    return is_unsigned ? (int32_t)(uint8_t)*p : (int32_t)(int8_t)*p;
}

static uint32_t legacy(const char *name, size_t length, bool is_unsigned)
{
    uint32_t older = 0x37abe8f9, old = 0x12a3fe2d;
    for (; length; length--, name++) {
        uint32_t hash = older + (old ^ (uint32_t)character(name, is_unsigned) * 7152373u);
        if (hash & 0x80000000u)
            hash -= 0x7fffffff;
        older = old;
        old = hash;
    }
    return old << 1;
}

/* The same where characters may have a sign, which goes into those before: one by one. */
static void words_slowly(const char *name, size_t length, uint32_t *out, uint32_t count,
                         bool is_unsigned, uint32_t pad)
{
    uint32_t value = pad, n = 0;
    for (size_t i = 0; i < length && n < count; i++) {
        value = (uint32_t)character(name + i, is_unsigned) + (value << 8);
        if (i % 4 == 3) {
            out[n++] = value;
            value = pad;
        }
    }
    if (n < count)
        out[n++] = value;
    while (n < count)
        out[n++] = pad;
}

/* The name's bytes as `count` words, an even number, padded with its length. */
static inline void words(const char *name, size_t length, uint32_t *out, uint32_t count,
                         bool is_unsigned)
{
    uint32_t pad = (uint32_t)length * 0x101;
    pad |= pad << 16;
    uint64_t signs = 0, two;
    size_t room = count * 4, have = length < room ? length : room, i = 0;
    for (; have - i >= 8; i += 8) {
        memcpy(&two, name + i, 8);
        signs |= two;
        two = __builtin_bswap64(two);
        two = two << 32 | two >> 32; /* the first word first */
        memcpy((char *)out + i, &two, 8);
    }
    if (i < room) {
        uint32_t value = pad, *to = out + i / 4;
        for (uint32_t *end = out + count; to < end; to++)
            *to = pad;
        to = out + i / 4;
        for (; i < have; i++) {
            signs |= (uint8_t)name[i];
            value = value << 8 | (uint8_t)name[i];
            if (i % 4 == 3) {
                *to++ = value;
                value = pad;
            }
        }
        if (i < room)
            *to = value;
    }
    if (!is_unsigned && (signs & 0x8080808080808080u))
        words_slowly(name, length, out, count, false, pad);
}

static uint32_t md4_f(uint32_t x, uint32_t y, uint32_t z)
{
    return z ^ (x & (y ^ z));
}

static uint32_t md4_g(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) + ((x ^ y) & z);
}

static uint32_t md4_h(uint32_t x, uint32_t y, uint32_t z)
{
    return x ^ y ^ z;
}

/* One round of MD4 with half of its steps: eight, over the words in an order of their own. */
#define MD4_STEP(f, a, b, c, d, word, shift) (a = rotate(a + f(b, c, d) + (word), shift))
#define MD4_ROUND(f, k, s0, s1, s2, s3, i0, i1, i2, i3, i4, i5, i6, i7) \
    (MD4_STEP(f, a, b, c, d, in[i0] + (k), s0), MD4_STEP(f, d, a, b, c, in[i1] + (k), s1), \
     MD4_STEP(f, c, d, a, b, in[i2] + (k), s2), MD4_STEP(f, b, c, d, a, in[i3] + (k), s3), \
     MD4_STEP(f, a, b, c, d, in[i4] + (k), s0), MD4_STEP(f, d, a, b, c, in[i5] + (k), s1), \
     MD4_STEP(f, c, d, a, b, in[i6] + (k), s2), MD4_STEP(f, b, c, d, a, in[i7] + (k), s3))

static void half_md4(uint32_t state[4], const uint32_t in[8])
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    MD4_ROUND(md4_f, 0, 3, 7, 11, 19, 0, 1, 2, 3, 4, 5, 6, 7);
    MD4_ROUND(md4_g, 0x5a827999, 3, 5, 9, 13, 1, 3, 5, 7, 0, 2, 4, 6);
    MD4_ROUND(md4_h, 0x6ed9eba1, 3, 9, 11, 15, 3, 7, 2, 6, 1, 5, 0, 4);
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static void tea(uint32_t state[4], const uint32_t in[4])
{
    uint32_t sum = 0, x = state[0], y = state[1];
    for (int i = 0; i < 16; i++) {
        sum += 0x9e3779b9;
        x += ((y << 4) + in[0]) ^ (y + sum) ^ ((y >> 5) + in[1]);
        y += ((x << 4) + in[2]) ^ (x + sum) ^ ((x >> 5) + in[3]);
    }
    state[0] += x;
    state[1] += y;
}

bool dir_hash(const struct ext4 *fs, uint32_t version, const char *name, size_t length,
              struct dir_hash *out)
{
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}, in[8];
    const uint32_t *seed = fs->super->s_hash_seed;
    bool is_unsigned = fs->super->s_flags & FLAG_UNSIGNED_HASH;
    if (seed[0] | seed[1] | seed[2] | seed[3])
        memcpy(state, seed, sizeof state);
    switch (version) {
    case HASH_LEGACY:
        *out = (struct dir_hash){legacy(name, length, is_unsigned), 0};
        break;
    case HASH_HALF_MD4:
        for (size_t at = 0; at < length; at += 32) {
            words(name + at, length - at, in, 8, is_unsigned);
            half_md4(state, in);
        }
        *out = (struct dir_hash){state[1], state[2]};
        break;
    case HASH_TEA:
        for (size_t at = 0; at < length; at += 16) {
            words(name + at, length - at, in, 4, is_unsigned);
            tea(state, in);
        }
        *out = (struct dir_hash){state[0], state[1]};
        break;
    default:
        return false;
    }
    out->major &= ~1u;
    if (out->major == HASH_END << 1)
        out->major = (HASH_END - 1) << 1;
    return true;
}
