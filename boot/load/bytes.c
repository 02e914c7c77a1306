/* SPDX-License-Identifier: MIT */
/* What the compiler makes of assignments and of its own builtins, in loaders that have no library.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __x86_64__
#define WORD "q"
#else
#define WORD "l"
#endif

void *memcpy(void *to, const void *from, size_t size)
{
    void *result = to;
    size_t words = size / sizeof(uintptr_t);
    __asm__ volatile("rep movs" WORD : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    size %= sizeof(uintptr_t);
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void *memset(void *to, int byte, size_t size)
{
    void *result = to;
    size_t words = size / sizeof(uintptr_t);
    uintptr_t word = (uint8_t)byte * (UINTPTR_MAX / 255);
    __asm__ volatile("rep stos" WORD : "+D"(to), "+c"(words) : "a"(word) : "memory");
    size %= sizeof(uintptr_t);
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(word) : "memory");
    return result;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a, *y = b;
    for (; size; size--, x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}
