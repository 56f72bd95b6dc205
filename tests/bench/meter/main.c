// SPDX-License-Identifier: MIT
/*
 * The commands that need no file of their own, and what all share.
 *
 *     meter disk FILE read|write BLOCK COUNT seq|random    direct I/O: bytes a second, and each request's time
 *     meter serve                                          serves the three below, for ever
 *     meter run HOST COMMAND                               the output of a shell's command there
 *     meter stream HOST MIB                                a TCP stream to there, until all is counted there
 *     meter rtt HOST COUNT                                 one byte there and back, by TCP
 *     meter free                                           pages that the hypervisor has left (dom0 only)
 *     meter until FILE TEXT SECONDS                        waits until a file has a text
 *     meter begin | end                                    marks for a profiler of instructions
 */
#define _GNU_SOURCE
#include "meter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* With different texts, or the compiler makes one of them. */
void __attribute__((noinline)) meter_mark_begin(void) {
    __asm__ volatile("# begin");
}

void __attribute__((noinline)) meter_mark_end(void) {
    __asm__ volatile("# end");
}

void fail(const char *what) {
    fprintf(stderr, "meter: %s: %s\n", what, strerror(errno));
    exit(1);
}

uint64_t now_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double us(uint64_t ns) {
    return (double)ns / 1000;
}

void print_durations(const char *name, uint64_t *ns, size_t count) {
    uint64_t sum = 0;

    if (!count)
        return;
    qsort(ns, count, sizeof(*ns), compare);
    for (size_t i = 0; i < count; i++)
        sum += ns[i];
    printf("%s %zu %.1f %.1f %.1f %.1f %.1f\n", name, count, us(ns[0]), us(ns[count / 2]), us(sum / count),
           us(ns[count * 99 / 100]), us(ns[count - 1]));
}

void print_rate(const char *name, uint64_t bytes, uint64_t ns) {
    printf("%s %.3f MB/s\n", name, (double)bytes * 1000 / (double)ns);
}

/* Polls every 2 ms without starting a program, since that would be much of what is timed. */
static int until_main(char **argv) {
    static char text[1 << 20];
    uint64_t end = now_ns() + strtoull(argv[2], NULL, 10) * 1000000000;

    while (now_ns() < end) {
        int fd = open(argv[0], O_RDONLY);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));

        if (fd >= 0)
            close(fd);
        if (n > 0 && memmem(text, (size_t)n, argv[1], strlen(argv[1])))
            return 0;
        usleep(2000);
    }
    errno = ETIMEDOUT;
    fail(argv[0]);
}

static int begin_main(char **argv) {
    (void)argv;
    meter_mark_begin();
    return 0;
}

static int end_main(char **argv) {
    (void)argv;
    meter_mark_end();
    return 0;
}

static const struct command {
    const char *name;
    int arguments;
    int (*run)(char **argv);
} commands[] = {
    {"disk", 5, disk_main},     {"serve", 0, serve_main}, {"run", 2, run_main},
    {"stream", 2, stream_main}, {"rtt", 2, rtt_main},     {"free", 0, free_main},
    {"until", 3, until_main},   {"begin", 0, begin_main}, {"end", 0, end_main},
};

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (argc > 1 && !strcmp(argv[1], commands[i].name) && argc - 2 == commands[i].arguments)
            return commands[i].run(argv + 2);
    fprintf(stderr, "meter: the commands are listed in its main.c\n");
    return 2;
}
