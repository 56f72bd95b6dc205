// SPDX-License-Identifier: MIT
/*
 * Rows that make processes: fork, exec, a shell's script.
 */
#include "bench.h"

#define SCRIPT                                                                                                         \
    "i=0; while [ $i -lt 20 ]; do i=$((i+1)); done; for f in a b; do /bin/nothing; done; "                             \
    "x=$(echo hello); case $x in hello) exit 0;; esac; exit 1"

#define RESIDENT 104 /* pages more than this small program has: about those of one with a C library */

static const char *const no_environment[] = {NULL};
static char *resident;

static void resident_setup(void) {
    resident = sys_map_memory(RESIDENT * PAGE);
    for (unsigned i = 0; i < RESIDENT; i++)
        *(volatile char *)(resident + i * PAGE) = 1;
}

static void resident_finish(void) {
    sys_unmap(resident, RESIDENT * PAGE);
}

void process_spawn(const char *const argv[]) {
    long pid = sys_fork();

    if (pid == 0) {
        sys3(__NR_dup2, sys_open("/dev/null", O_RDWR), 1, 0);
        sys3(__NR_execve, (long)argv[0], (long)argv, (long)no_environment);
        sys_exit(127);
    }
    sys_wait(pid);
}

static void fork_run(unsigned count) {
    while (count--) {
        long pid = sys_fork();

        if (pid == 0)
            sys_exit(0);
        sys_wait(pid);
    }
}

static void exec_run(unsigned count) {
    static const char *const argv[] = {"/bin/nothing", NULL};

    while (count--) {
        long pid = sys_fork();

        if (pid == 0) {
            sys3(__NR_execve, (long)argv[0], (long)argv, (long)no_environment);
            sys_exit(127);
        }
        sys_wait(pid);
    }
}

static void shell_run(unsigned count) {
    static const char *const argv[] = {"/bin/sh", "-c", SCRIPT, NULL};

    while (count--)
        process_spawn(argv);
}

static const struct row rows[] = {
    {"fork", 20, fork_run, resident_setup, resident_finish, false},
    {"exec", 20, exec_run, resident_setup, resident_finish, false},
    {"shell", 3, shell_run, NULL, NULL, false},
};

ROW_TABLE(processes_table, rows);
