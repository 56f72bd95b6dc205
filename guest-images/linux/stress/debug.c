// SPDX-License-Identifier: MIT
/* Debugging: single steps, breakpoints in hardware and software, the trap flag. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

static volatile int watched;
static volatile int calls;

static __attribute__((noinline)) void called(void) {
    calls++;
    __asm__ volatile("");
}

/* A traced child that stops itself first, then calls, writes, and exits with 7. */
static pid_t start_traced(void) {
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        called();
        watched = 1;
        called();
        _exit(7);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        return -1;
    return pid;
}

const char *test_ptrace_step(void) {
    pid_t pid = start_traced();
    int status = 0, steps = 0;

    if (pid < 0)
        return wrong("cannot trace a child");
    while (steps < 100000) {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL))
            return wrong("PTRACE_SINGLESTEP: %s", strerror(errno));
        waitpid(pid, &status, 0);
        if (WIFEXITED(status))
            break;
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
            return wrong("a step ended with wait status 0x%x", status);
        steps++;
    }
    if (WEXITSTATUS(status) != 7)
        return wrong("the child ended with wait status 0x%x", status);
    return steps > 20 ? NULL : wrong("only %d steps", steps);
}

static long set_debug_register(pid_t pid, int n, unsigned long value) {
    return ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg) + (size_t)n * sizeof(long), value);
}

static unsigned long get_debug_register(pid_t pid, int n) {
    return (unsigned long)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg) + (size_t)n * sizeof(long),
                                 NULL);
}

/* Go on until the next stop; NULL when it was a hit of exactly these breakpoints. */
static const char *expect_hit(pid_t pid, unsigned long hits) {
    unsigned long dr6;
    int status;

    ptrace(PTRACE_CONT, pid, NULL, NULL);
    waitpid(pid, &status, 0);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
        return wrong("no breakpoint was hit: wait status 0x%x", status);
    dr6 = get_debug_register(pid, 6);
    set_debug_register(pid, 6, 0);
    return (dr6 & 0xf) == hits ? NULL : wrong("DR6 is 0x%lx", dr6);
}

/* DR0: execution of called(); DR1: a write of 4 bytes to watched. */
static const char *hit_breakpoints(pid_t pid) {
    const char *text;
    int status;

    if (set_debug_register(pid, 0, (unsigned long)called) || set_debug_register(pid, 1, (unsigned long)&watched) ||
        set_debug_register(pid, 7, 1 | 4 | 0xdul << 20))
        return wrong("skip: cannot set debug registers: %s", strerror(errno));
    text = expect_hit(pid, 1);
    if (!text)
        text = expect_hit(pid, 2);
    if (!text)
        text = expect_hit(pid, 1);
    if (text)
        return text;
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? NULL : wrong("the child did not end: 0x%x", status);
}

const char *test_ptrace_breakpoint(void) {
    const char *text = NULL;

    for (int i = 0; i < 10 && !text; i++) {
        pid_t pid = start_traced();

        text = pid < 0 ? wrong("cannot trace a child") : hit_breakpoints(pid);
    }
    return text;
}

static volatile int traps;

static void on_trap(int sig) {
    (void)sig;
    traps++;
}

/* The program sets its own trap flag, also over a system call: each instruction is one SIGTRAP. */
const char *test_trap_flag(void) {
    signal(SIGTRAP, on_trap);
#ifdef __x86_64__
    __asm__ volatile("sub $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq; nop; nop; mov $39, %%eax; syscall; nop\n"
                     "pushfq; andq $~0x100, (%%rsp); popfq; add $128, %%rsp" ::
                         : "rax", "rcx", "r11", "memory", "cc");
#else
    __asm__ volatile("pushfl; orl $0x100, (%%esp); popfl; nop; nop; mov $20, %%eax; int $0x80; nop\n"
                     "pushfl; andl $~0x100, (%%esp); popfl" ::
                         : "eax", "memory", "cc");
#endif
    /* 8 instructions follow the popf; one over a system call may be told of once or not at all, after it */
    return traps >= 6 && traps <= 9 ? NULL : wrong("%d traps over 8 instructions", traps);
}
