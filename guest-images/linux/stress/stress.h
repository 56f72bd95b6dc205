/* SPDX-License-Identifier: MIT */
/*
 * Stress tests for a Linux guest: each is one function that exercises what a hypervisor can get wrong. A test returns
 * NULL when all was right, else what was wrong; a text that starts with "skip: " says why it could not run.
 */
#ifndef STRESS_H
#define STRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What was wrong, formatted into a static buffer. */
const char *wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Wait for a child; NULL when it exited with this status. */
const char *wait_for(pid_t pid, int status);

/*
 * Run fn and catch the first of SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP it gets. Returns the signal, or 0; *address is
 * its si_addr and may be NULL.
 */
int caught_signal(void (*fn)(void *arg), void *arg, void **address);

double seconds_now(void);

/* How much later than asked for a sleep may end; see main.c. */
extern unsigned late_limit;

const char *test_fork(void);
const char *test_exec(void);
const char *test_mmap(void);
const char *test_mprotect(void);
const char *test_cow(void);
const char *test_memory(void);
const char *test_signals(void);
const char *test_faults(void);
const char *test_altstack(void);
const char *test_threads(void);
const char *test_futex(void);
const char *test_sse(void);
const char *test_avx(void);
const char *test_fpu_signals(void);
const char *test_sleep(void);
const char *test_timers(void);
const char *test_clock(void);
const char *test_vsyscall(void);
const char *test_pipes(void);
const char *test_cpus(void);
const char *test_isolation(void);
const char *test_privileged(void);
const char *test_ptrace_step(void);
const char *test_ptrace_breakpoint(void);
const char *test_trap_flag(void);
const char *test_int80(void);
const char *test_vdso32(void);
const char *test_ldt(void);
const char *test_tls(void);
const char *test_modes(void);

#endif
