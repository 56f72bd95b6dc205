// SPDX-License-Identifier: MIT
/* Signals: queued ones in order, each CPU exception as its signal, and handlers on a stack of their own. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stress.h"

static volatile int handled, out_of_order;

static void on_plain(int sig) {
    (void)sig;
    handled++;
}

static void on_queued(int sig, siginfo_t *info, void *context) {
    (void)sig;
    (void)context;
    if (info->si_value.sival_int != handled)
        out_of_order++;
    handled++;
}

const char *test_signals(void) {
    struct sigaction queued = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO};
    sigset_t set;

    signal(SIGUSR1, on_plain);
    for (int i = 0; i < 3000; i++)
        kill(getpid(), SIGUSR1);
    if (handled != 3000)
        return wrong("%d of 3000 signals were handled", handled);
    handled = 0;
    sigaction(SIGRTMIN, &queued, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 100; i++)
        sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
    if (handled)
        return wrong("a blocked signal was delivered");
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    if (handled != 100 || out_of_order)
        return wrong("%d of 100 queued signals, %d out of order", handled, out_of_order);
    return NULL;
}

static void divide_by_zero(void *arg) {
    (void)arg;
    __asm__ volatile("xor %%ecx, %%ecx; mov $1, %%eax; cdq; idiv %%ecx" ::: "eax", "ecx", "edx", "cc");
}

static void undefined(void *arg) {
    (void)arg;
    __asm__ volatile("ud2");
}

static void breakpoint(void *arg) {
    (void)arg;
    __asm__ volatile("int3");
}

static void int_3(void *arg) {
    (void)arg;
    __asm__ volatile(".byte 0xcd, 3");
}

static void touch(void *arg) {
    *(volatile char *)arg = 1;
}

static void x87_fault(void *arg) {
    const uint16_t unmasked = 0x0360;
    const double zero = 0.0;

    (void)arg;
    __asm__ volatile("fldcw %0; fld1; fdivl %1; fwait" ::"m"(unmasked), "m"(zero));
}

static void simd_fault(void *arg) {
    const uint32_t unmasked = 0x1d00 & ~0x200u;
    const double zero = 0.0, one = 1.0;

    (void)arg;
    __asm__ volatile("ldmxcsr %0; movsd %1, %%xmm0; divsd %2, %%xmm0" ::"m"(unmasked), "m"(one), "m"(zero) : "xmm0");
}

static void reset_fpu(void) {
    const uint32_t mxcsr = 0x1f80;

    __asm__ volatile("fnclex; fninit; ldmxcsr %0" ::"m"(mxcsr));
}

static void *past_end_of_file(void) {
    int fd = (int)syscall(SYS_memfd_create, "stress", 0);

    return ftruncate(fd, 100) ? NULL : mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

const char *test_faults(void) {
    const struct {
        const char *what;
        void (*fn)(void *arg);
        void *arg;
        int sig;
        bool optional; /* QEMU's emulation raises none */
    } rows[] = {
        {"division by zero", divide_by_zero, NULL, SIGFPE, false},
        {"ud2", undefined, NULL, SIGILL, false},
        {"int3", breakpoint, NULL, SIGTRAP, false},
        {"int $3", int_3, NULL, SIGTRAP, false},
        {"a null pointer", touch, NULL, SIGSEGV, false},
        {"a page past the file's end", touch, (char *)past_end_of_file() + 4096, SIGBUS, false},
        {"an x87 fault", x87_fault, NULL, SIGFPE, false},
        {"a SIMD fault", simd_fault, NULL, SIGFPE, true},
    };

    for (int round = 0; round < 30; round++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            int got = caught_signal(rows[i].fn, rows[i].arg, NULL);

            reset_fpu();
            if (got != rows[i].sig && !(got == 0 && rows[i].optional))
                return wrong("%s gave signal %d instead of %d", rows[i].what, got, rows[i].sig);
        }
    }
    return NULL;
}

static char *alternate;
static volatile bool was_on_alternate;

static void on_overflow(int sig, siginfo_t *info, void *context) {
    char here;

    (void)info;
    (void)context;
    was_on_alternate = &here >= alternate && &here < alternate + 65536;
    _exit(sig == SIGSEGV && was_on_alternate ? 42 : 1);
}

static int overflow(volatile int depth) {
    volatile char room[1024];

    room[0] = (char)depth;
    return depth < 0 ? 0 : overflow(depth + 1) + room[0];
}

/* A stack that overflows in a child: only a handler with its own stack can tell. */
const char *test_altstack(void) {
    const char *text = NULL;

    for (int i = 0; i < 5 && !text; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            struct sigaction action = {.sa_sigaction = on_overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK};

            alternate = malloc(65536);
            sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = 65536}, NULL);
            sigaction(SIGSEGV, &action, NULL);
            _exit(overflow(0) ? 2 : 3);
        }
        text = wait_for(pid, 42);
    }
    return text;
}
