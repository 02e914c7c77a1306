/* SPDX-License-Identifier: MIT */
/*
 * resize: tells the terminal driver how large the window is. A serial line does not carry that, so
 * the terminal is asked: the cursor is sent to the far corner, from where the terminal reports its
 * place. Programs in the foreground hear of a change by SIGWINCH.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ANSWER_MS 2000

static struct termios before;
static int terminal;

/* Reads "ESC [ rows ; columns R", whatever was typed before it; false: no answer came. */
static bool read_answer(unsigned *rows, unsigned *columns)
{
    char text[256];
    size_t n = 0;
    struct pollfd p = {.fd = terminal, .events = POLLIN};
    while (n < sizeof text - 1 && poll(&p, 1, ANSWER_MS) == 1 && read(terminal, text + n, 1) == 1) {
        text[++n] = 0;
        if (text[n - 1] != 'R')
            continue;
        const char *start = memrchr(text, 27, n);
        if (start && sscanf(start, "\033[%u;%uR", rows, columns) == 2)
            return true;
    }
    return false;
}

static bool ask(unsigned *rows, unsigned *columns)
{
    static const char question[] = "\0337\033[r\033[9999;9999H\033[6n\0338";
    return write(terminal, question, sizeof question - 1) == sizeof question - 1 &&
           read_answer(rows, columns);
}

int main(void)
{
    unsigned rows = 0, columns = 0;
    terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (terminal < 0 || tcgetattr(terminal, &before) < 0) {
        perror("resize: /dev/tty");
        return 1;
    }
    struct termios raw = before;
    cfmakeraw(&raw);
    raw.c_lflag |= ISIG;
    signal(SIGINT, SIG_IGN);
    signal(SIGTSTP, SIG_IGN);
    tcsetattr(terminal, TCSAFLUSH, &raw);
    bool answered = ask(&rows, &columns);
    tcsetattr(terminal, TCSADRAIN, &before);
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    if (!answered || !size.ws_row || !size.ws_col || size.ws_row != rows ||
        size.ws_col != columns) {
        fputs("resize: the terminal does not tell its size\n", stderr);
        return 1;
    }
    if (ioctl(terminal, TIOCSWINSZ, &size) < 0) {
        perror("resize");
        return 1;
    }
    printf("%u rows, %u columns\n", rows, columns);
    return 0;
}
