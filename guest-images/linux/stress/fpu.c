// SPDX-License-Identifier: MIT
/*
 * Vector and x87 state over context switches: several processes each keep a pattern of their own in all registers
 * through thousands of yields and signals.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#define PROCESSES 6
#define ROUNDS 3000

#ifdef __x86_64__
#define REGISTERS 16
#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define CLOBBERS                                                                                                       \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",         \
        "xmm13", "xmm14", "xmm15", "rcx", "r11", "memory"
#define SYSTEM_CALL "syscall"
#else
#define REGISTERS 8
#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define CLOBBERS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "memory"
#define SYSTEM_CALL "int $0x80"
#endif

#define LOAD_XMM(n) "movdqu " #n "*16(%[in]), %%xmm" #n "\n"
#define STORE_XMM(n) "movdqu %%xmm" #n ", " #n "*16(%[out])\n"
#define LOAD_YMM(n) "vmovdqu " #n "*32(%[in]), %%ymm" #n "\n"
#define STORE_YMM(n) "vmovdqu %%ymm" #n ", " #n "*32(%[out])\n"

/* Load all registers, make the call, store them: nothing between but the kernel may touch them. */
static void hold_xmm(const uint8_t *in, uint8_t *out, long call) {
    __asm__ volatile(EACH(LOAD_XMM) SYSTEM_CALL "\n" EACH(STORE_XMM)
                     : "+a"(call)
                     : [in] "S"(in), [out] "D"(out)
                     : CLOBBERS);
}

static void hold_ymm(const uint8_t *in, uint8_t *out, long call) {
    __asm__ volatile(EACH(LOAD_YMM) SYSTEM_CALL "\n" EACH(STORE_YMM) "vzeroupper\n"
                     : "+a"(call)
                     : [in] "S"(in), [out] "D"(out)
                     : CLOBBERS);
}

static bool has_avx(void) {
    unsigned int a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE) && (c & bit_AVX);
}

static int keep_pattern(int me, void (*hold)(const uint8_t *, uint8_t *, long), size_t len) {
    uint8_t in[REGISTERS * 32], out[REGISTERS * 32];
    const uint16_t control = (uint16_t)(me & 1 ? 0x037f : 0x0f7f);
    const uint32_t mxcsr = me & 1 ? 0x1f80 : 0x7f80;
    uint16_t control_now;
    uint32_t mxcsr_now;

    __asm__ volatile("fldcw %0; ldmxcsr %1" ::"m"(control), "m"(mxcsr));
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < len; i++)
            in[i] = (uint8_t)(i * 3 + (size_t)me * 41 + (size_t)round);
        memset(out, 0, sizeof(out));
        hold(in, out, SYS_sched_yield);
        if (memcmp(in, out, len) != 0)
            return 1;
        __asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(control_now), "=m"(mxcsr_now));
        if (control_now != control || (mxcsr_now & ~0x3fu) != mxcsr)
            return 2;
    }
    return 0;
}

static const char *keep_patterns(void (*hold)(const uint8_t *, uint8_t *, long), size_t len) {
    pid_t pids[PROCESSES];
    const char *text = NULL;

    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(keep_pattern(i, hold, len));
    }
    for (int i = 0; i < PROCESSES; i++) {
        const char *bad = wait_for(pids[i], 0);

        text = text ? text : bad;
    }
    return text;
}

const char *test_sse(void) {
    return keep_patterns(hold_xmm, REGISTERS * 16);
}

const char *test_avx(void) {
    return has_avx() ? keep_patterns(hold_ymm, REGISTERS * 32) : "skip: this CPU has no AVX";
}

static volatile int ticks;

static void spoil_registers(int sig) {
    uint8_t in[REGISTERS * 32], out[REGISTERS * 32];

    memset(in, 0xee, sizeof(in));
    (has_avx() ? hold_ymm : hold_xmm)(in, out, SYS_sched_yield);
    ticks += sig == SIGALRM;
}

/* A timer's handler spoils all registers while the main program computes with them. */
const char *test_fpu_signals(void) {
    struct itimerval every = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    double start = seconds_now(), sum = 0, expected = 0;

    signal(SIGALRM, spoil_registers);
    for (int i = 1; i <= 20000; i++)
        expected += 1.0 / i;
    setitimer(ITIMER_REAL, &every, NULL);
    while (ticks < 50 && seconds_now() - start < 60) {
        sum = 0;
        for (int i = 1; i <= 20000; i++)
            sum += 1.0 / i;
        if (sum != expected)
            break;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    if (sum != expected)
        return wrong("a sum came out as %.17g instead of %.17g", sum, expected);
    return ticks >= 50 ? NULL : wrong("only %d timer signals in 60 seconds", ticks);
}
