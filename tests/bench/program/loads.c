// SPDX-License-Identifier: MIT
/*
 * Rows of real work, in which the hypervisor should not be seen: a loop, gzip and sort of generated text.
 */
#include "bench.h"

#define LINES 4000u

extern void spin(unsigned long rounds);

static void loop_run(unsigned count) {
    while (count--)
        spin(1000000);
}

/* Words of a small dictionary in an order of a linear congruential generator: text that packs as text does. */
static size_t line_make(char *line, uint32_t *state) {
    static const char *const words[] = {"guest", "frame", "event", "grant", "clock", "table", "entry", "queue"};
    size_t length = 0;

    for (unsigned w = 0; w < 6; w++) {
        *state = *state * 1664525 + 1013904223;
        for (const char *p = words[*state >> 29]; *p; p++)
            line[length++] = *p;
        line[length++] = (char)('0' + (*state >> 24) % 10);
        line[length++] = w == 5 ? '\n' : ' ';
    }
    return length;
}

static void data_setup(void) {
    char line[64];
    uint32_t state = 1;
    int fd = sys_open("/tmp/data", O_RDWR | O_CREAT | O_TRUNC);

    for (unsigned i = 0; i < LINES; i++)
        must("write", sys3(__NR_write, fd, (long)line, (long)line_make(line, &state)));
    sys_close(fd);
}

static void gzip_run(unsigned count) {
    static const char *const argv[] = {"/bin/busybox", "gzip", "-c", "/tmp/data", NULL};

    while (count--)
        process_spawn(argv);
}

static void sort_run(unsigned count) {
    static const char *const argv[] = {"/bin/busybox", "sort", "/tmp/data", NULL};

    while (count--)
        process_spawn(argv);
}

static const struct row rows[] = {
    {"loop_1m", 1, loop_run, NULL, NULL, false},
    {"gzip", 1, gzip_run, data_setup, NULL, false},
    {"sort", 1, sort_run, data_setup, NULL, false},
};

ROW_TABLE(loads_table, rows);
