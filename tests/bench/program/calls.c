// SPDX-License-Identifier: MIT
/*
 * Rows that stay in one process: null system calls, signals, select.
 */
#include "bench.h"

/* What the kernel takes for rt_sigaction. */
struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

#define RESTORER 0x04000000ul
#define SIGNAL 10 /* SIGUSR1 */

extern void signal_return(void);

static int fd, fds[2];
static volatile unsigned handled;

static void getppid_run(unsigned count) {
    while (count--)
        sys0(__NR_getppid);
}

static void open_zero(void) {
    fd = sys_open("/dev/zero", O_RDONLY);
}

static void open_null(void) {
    fd = sys_open("/dev/null", O_WRONLY);
}

static void close_it(void) {
    sys_close(fd);
}

static void read_run(unsigned count) {
    char byte;

    while (count--)
        sys3(__NR_read, fd, (long)&byte, 1);
}

static void write_run(unsigned count) {
    char byte = 0;

    while (count--)
        sys3(__NR_write, fd, (long)&byte, 1);
}

static void on_signal(int which) {
    (void)which;
    handled++;
}

static void install(void) {
    struct kernel_action action = {on_signal, RESTORER, signal_return, 0};

    must("rt_sigaction", sys6(__NR_rt_sigaction, SIGNAL, (long)&action, 0, sizeof(action.mask), 0, 0));
}

static void install_run(unsigned count) {
    while (count--)
        install();
}

static void handle_run(unsigned count) {
    long self = sys0(__NR_getpid);

    handled = 0;
    for (unsigned i = 0; i < count; i++)
        sys3(__NR_kill, self, SIGNAL, 0);
    must("signals handled", handled == count ? 0 : -1);
}

/* One pipe with a byte in it, under many descriptors: each is looked at, all are ready. */
static void open_many(unsigned n) {
    sys_pipe(fds);
    token_give(fds[1]);
    for (unsigned i = 0; i < n; i++)
        must("dup2", sys3(__NR_dup2, fds[0], (long)(200 + i), 0));
}

static void close_many(void) {
    sys_close(fds[0]);
    sys_close(fds[1]);
    for (int i = 200; i < 300; i++)
        sys_close(i);
}

static void select_many(unsigned count, unsigned n) {
    while (count--) {
        uint64_t set[16] = {0};
        int64_t timeout[2] = {0, 0};

        for (unsigned i = 200; i < 200 + n; i++)
            set[i / 64] |= 1ul << i % 64;
        must("select", sys6(__NR_select, 200 + n, (long)set, 0, 0, (long)timeout, 0));
    }
}

static void open_10(void) {
    open_many(10);
}

static void open_100(void) {
    open_many(100);
}

static void select_10(unsigned count) {
    select_many(count, 10);
}

static void select_100(unsigned count) {
    select_many(count, 100);
}

static const struct row rows[] = {
    {"getppid", 2000, getppid_run, NULL, NULL, false},
    {"read_zero", 2000, read_run, open_zero, close_it, false},
    {"write_null", 2000, write_run, open_null, close_it, false},
    {"signal_install", 2000, install_run, NULL, NULL, false},
    {"signal_handle", 1000, handle_run, install, NULL, false},
    {"select_10", 500, select_10, open_10, close_many, false},
    {"select_100", 100, select_100, open_100, close_many, false},
};

ROW_TABLE(calls_table, rows);
