// SPDX-License-Identifier: MIT
/*
 * Rows in which processes or threads hand a token to each other on one CPU: pipes, futexes, rings of processes.
 */
#include "bench.h"

#define RING_MAX 16

extern long thread_start(unsigned long flags, void *stack_top, int *tid, void (*entry)(void));

static int to_child[2], to_parent[2];
static int ring[RING_MAX][2];
static long children[RING_MAX];
static unsigned ring_size;
static volatile int *turn; /* shared: whose turn it is, 0 or 1, or 2: stop */
static int thread_id;
static char stack[2 * PAGE] __attribute__((aligned(16)));

static void pipe_setup(void) {
    sys_pipe(to_child);
    sys_pipe(to_parent);
    children[0] = sys_fork();
    if (children[0] == 0) {
        sys_close(to_child[1]);
        while (token_take(to_child[0]))
            token_give(to_parent[1]);
        sys_exit(0);
    }
    sys_close(to_child[0]);
    sys_close(to_parent[1]);
}

static void pipe_run(unsigned count) {
    while (count--) {
        token_give(to_child[1]);
        token_take(to_parent[0]);
    }
}

static void pipe_finish(void) {
    sys_close(to_child[1]);
    sys_close(to_parent[0]);
    sys_wait(children[0]);
}

/* Process i of a ring takes from pipe i and gives to the next; the parent is process 0. */
static void ring_member(unsigned i) {
    for (unsigned k = 0; k < ring_size; k++) {
        if (k != i)
            sys_close(ring[k][0]);
        if (k != (i + 1) % ring_size)
            sys_close(ring[k][1]);
    }
    while (token_take(ring[i][0]))
        token_give(ring[(i + 1) % ring_size][1]);
    sys_exit(0);
}

static void ring_setup(unsigned n) {
    ring_size = n;
    for (unsigned i = 0; i < n; i++)
        sys_pipe(ring[i]);
    for (unsigned i = 1; i < n; i++) {
        children[i] = sys_fork();
        if (children[i] == 0)
            ring_member(i);
    }
}

/* One operation is one hop. */
static void ring_run(unsigned count) {
    for (unsigned i = 0; i < count / ring_size; i++) {
        token_give(ring[1][1]);
        token_take(ring[0][0]);
    }
}

static void ring_finish(void) {
    for (unsigned i = 0; i < ring_size; i++) {
        sys_close(ring[i][0]);
        sys_close(ring[i][1]);
    }
    for (unsigned i = 1; i < ring_size; i++)
        sys_wait(children[i]);
}

static void ring_setup_2(void) {
    ring_setup(2);
}

static void ring_setup_8(void) {
    ring_setup(8);
}

static void ring_setup_16(void) {
    ring_setup(16);
}

static void futex_wait(volatile int *word, int value) {
    sys6(__NR_futex, (long)word, FUTEX_WAIT, value, 0, 0, 0);
}

static void futex_wake(volatile int *word) {
    sys6(__NR_futex, (long)word, FUTEX_WAKE, 1, 0, 0, 0);
}

static void turn_pass(int to) {
    *turn = to;
    futex_wake(turn);
}

static void futex_setup(void) {
    turn = sys_map(PAGE, 0x01 /* MAP_SHARED */ | MAP_ANONYMOUS, -1);
    *turn = 0;
    children[0] = sys_fork();
    if (children[0])
        return;
    for (;;) {
        while (*turn == 0)
            futex_wait(turn, 0);
        if (*turn == 2)
            sys_exit(0);
        turn_pass(0);
    }
}

static void futex_run(unsigned count) {
    while (count--) {
        turn_pass(1);
        while (*turn == 1)
            futex_wait(turn, 1);
    }
}

static void futex_finish(void) {
    turn_pass(2);
    sys_wait(children[0]);
    sys_unmap((void *)turn, PAGE);
}

static void thread_entry(void) {
    for (;;)
        sys3(__NR_exit, 0, 0, 0);
}

static void thread_run(unsigned count) {
    const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                                CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;

    while (count--) {
        volatile int *tid = &thread_id;

        *tid = -1;
        must("clone", thread_start(flags, stack + sizeof(stack), &thread_id, thread_entry));
        for (int seen = *tid; seen != 0; seen = *tid)
            futex_wait(tid, seen);
    }
}

static const struct row rows[] = {
    {"pipe", 200, pipe_run, pipe_setup, pipe_finish, false},
    {"futex", 200, futex_run, futex_setup, futex_finish, false},
    {"switch_2", 480, ring_run, ring_setup_2, ring_finish, false},
    {"switch_8", 480, ring_run, ring_setup_8, ring_finish, false},
    {"switch_16", 480, ring_run, ring_setup_16, ring_finish, false},
    {"thread", 100, thread_run, NULL, NULL, false},
};

ROW_TABLE(switches_table, rows);
