/* SPDX-License-Identifier: MIT */
/*
 * Random bytes: ChaCha20 with fast key erasure. Each request takes one block of the key's stream:
 * its first half becomes the next key, so what was given out cannot be computed from what is kept;
 * its second half is the key of the request's own stream, made without the lock. Entropy (the
 * machine's at boot, with every request a time stamp, and what the I/O server brings) is mixed into
 * the key by one more block. Small requests are served from one large one that was made ahead; what
 * is given out of it is wiped, and new entropy makes all of it void.
 */
#include "random.h"
#include "arch/x86_64/arch.h"
#include "frame.h"
#include "handle.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"

#define BLOCK      64u
#define KEY_WORDS  8u
#define PIECE      256u /* copied to the user at a time */
#define STOCK      64u  /* words made ahead */
#define SMALL      4u   /* words that a small request takes at most */
#define RANDOM_ADD 1u   /* flag of the system call: the buffer is entropy to add; drivers only */

static struct {
    struct spinlock lock; /* innermost */
    uint32_t key[KEY_WORDS];
} generator;

static struct {
    struct spinlock lock; /* outside of the generator's */
    uint64_t word[STOCK];
    uint32_t left;
} stock;

/* ---- ChaCha20 ---- */

static inline void quarter(uint32_t *x, int a, int b, int c, int d)
{
#define ROTATE(v, n) ((v) << (n) | (v) >> (32 - (n)))
    x[a] += x[b], x[d] = ROTATE(x[d] ^ x[a], 16);
    x[c] += x[d], x[b] = ROTATE(x[b] ^ x[c], 12);
    x[a] += x[b], x[d] = ROTATE(x[d] ^ x[a], 8);
    x[c] += x[d], x[b] = ROTATE(x[b] ^ x[c], 7);
#undef ROTATE
}

/* Block `counter` of the key's stream; `nonce` is the input mixed in. */
static void chacha_block(const uint32_t *key, uint64_t counter, uint64_t nonce, uint32_t *out)
{
    const uint32_t start[16] = {0x61707865,
                                0x3320646e,
                                0x79622d32,
                                0x6b206574,
                                key[0],
                                key[1],
                                key[2],
                                key[3],
                                key[4],
                                key[5],
                                key[6],
                                key[7],
                                (uint32_t)counter,
                                (uint32_t)(counter >> 32),
                                (uint32_t)nonce,
                                (uint32_t)(nonce >> 32)};
    uint32_t x[16];
    __builtin_memcpy(x, start, sizeof(x));
    for (int round = 0; round < 10; round++) {
        quarter(x, 0, 4, 8, 12), quarter(x, 1, 5, 9, 13), quarter(x, 2, 6, 10, 14),
            quarter(x, 3, 7, 11, 15);
        quarter(x, 0, 5, 10, 15), quarter(x, 1, 6, 11, 12), quarter(x, 2, 7, 8, 13),
            quarter(x, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++) {
        out[i] = x[i] + start[i];
    }
}

/* ---- the generator ---- */

static void mix(uint64_t input)
{
    uint32_t block[16];
    chacha_block(generator.key, 0, input, block);
    __builtin_memcpy(generator.key, block, sizeof(generator.key));
}

/* A key for one request. */
static void derive(uint32_t *key)
{
    uint32_t block[16];
    spin_lock(&generator.lock);
    chacha_block(generator.key, 0, __builtin_ia32_rdtsc(), block);
    __builtin_memcpy(generator.key, block, sizeof(generator.key));
    spin_unlock(&generator.lock);
    __builtin_memcpy(key, block + KEY_WORDS, KEY_WORDS * sizeof(*key));
}

static void add(const void *entropy, size_t n)
{
    const unsigned char *p = entropy;
    spin_lock(&generator.lock);
    for (; n; n -= n < 8 ? n : 8, p += 8) {
        uint64_t word = 0;
        __builtin_memcpy(&word, p, n < 8 ? n : 8);
        mix(word);
    }
    spin_unlock(&generator.lock);
    spin_lock(&stock.lock);
    stock.left = 0;
    spin_unlock(&stock.lock);
}

void random_init(void)
{
    for (int i = 0; i < 16; i++) {
        uint64_t word = arch_entropy();
        add(&word, sizeof(word));
    }
}

static void stream(void *buffer, size_t n)
{
    uint32_t key[KEY_WORDS], block[16];
    unsigned char *p = buffer;
    derive(key);
    for (uint64_t counter = 0; n; counter++) {
        size_t piece = n < BLOCK ? n : BLOCK;
        chacha_block(key, counter, 0, block);
        __builtin_memcpy(p, block, piece);
        p += piece;
        n -= piece;
    }
}

/* n words at most SMALL */
static void take_words(uint64_t *words, uint32_t n)
{
    spin_lock(&stock.lock);
    if (stock.left < n) {
        stream(stock.word, sizeof(stock.word));
        stock.left = STOCK;
    }
    while (n--) {
        words[n] = stock.word[--stock.left];
        stock.word[stock.left] = 0;
    }
    spin_unlock(&stock.lock);
}

void random_fill(void *buffer, size_t n)
{
    uint64_t words[SMALL];
    if (n > sizeof(words)) {
        stream(buffer, n);
        return;
    }
    take_words(words, (uint32_t)((n + sizeof(*words) - 1) / sizeof(*words)));
    __builtin_memcpy(buffer, words, n);
}

uint64_t random_u64(void)
{
    uint64_t word;
    take_words(&word, 1);
    return word;
}

static int64_t add_from_user(const unsigned char *user, size_t size)
{
    unsigned char piece[BLOCK];
    if (!process_is_driver(this_cpu()->current->process)) {
        return -MOTOR_EACCESS;
    }
    for (size_t done = 0; done < size && !thread_killed(); done += sizeof(piece)) {
        size_t n = size - done < sizeof(piece) ? size - done : sizeof(piece);
        if (copy_from_user(piece, user + done, n) < 0) {
            return -MOTOR_EFAULT;
        }
        add(piece, n);
        sched_preempt_point();
    }
    return 0;
}

int64_t sys_random(void *buffer, size_t size, uint32_t flags)
{
    unsigned char piece[PIECE];
    if (flags & ~RANDOM_ADD) {
        return -MOTOR_EINVAL;
    }
    if (flags & RANDOM_ADD) {
        return add_from_user(buffer, size);
    }
    for (size_t done = 0; done < size && !thread_killed();) {
        size_t n = size - done < PIECE ? size - done : PIECE;
        random_fill(piece, n);
        if (copy_to_user((unsigned char *)buffer + done, piece, n) < 0) {
            return -MOTOR_EFAULT;
        }
        done += n;
        sched_preempt_point();
    }
    return (int64_t)size;
}
