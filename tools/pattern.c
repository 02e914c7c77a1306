/* SPDX-License-Identifier: MIT */
/* pattern SIZE: writes SIZE random-looking bytes, the same ones every time. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: pattern SIZE\n", stderr);
        return 2;
    }
    uint64_t state = 0x4d6f746f72; /* xorshift64 */
    for (unsigned long long n = strtoull(argv[1], NULL, 0); n; n--) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        putchar((int)(state >> 56));
    }
    return ferror(stdout) || fclose(stdout);
}
