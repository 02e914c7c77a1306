// SPDX-License-Identifier: MIT
/*
 * The one function of redis that is written in C++, in C: motor-cc has no C++ library. The
 * declaration and the grammar are those of redis (deps/fast_float): decimal numbers, infinities and
 * NaNs with an optional sign, neither blanks before them nor hexadecimal digits; what is no such
 * number, and what no double holds, is EINVAL.
 */
#include "fast_float_strtod.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* strtod() takes what fast_float does not: stops at, and gives the value of, the 0 of "0x1". */
static int is_hexadecimal(const char *digits)
{
    return digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
}

double fast_float_strtod(const char *text, char **end)
{
    const char *digits = text + (*text == '+' || *text == '-');
    char *stop = (char *)text;
    double value = 0;
    int saved = errno;

    errno = 0;
    if (is_hexadecimal(digits)) {
        value = *text == '-' ? -0.0 : 0.0;
        stop = (char *)digits + 1;
    } else if (*digits && !strchr(" \t\n\v\f\r+-", *digits)) {
        value = strtod(text, &stop);
    }
    errno = stop == text || errno == ERANGE ? EINVAL : saved;
    if (end)
        *end = stop;
    return value;
}
