/* SPDX-License-Identifier: MIT */
/*
 * What belongs to one vCPU, reached through the kernel's GS base, and bringing up further vCPUs.
 */
#ifndef SDK_CPU_H
#define SDK_CPU_H

#include <sdk/trap.h>

#define STACK_SIZE (16 * 1024UL)

struct cpu {
    struct cpu *self; /* at GS:0 */
    unsigned id;
    struct vcpu_info *info;
    struct probe *probe; /* innermost active one */
    uint8_t *stack_top;
    void (*main)(void *);
    void *arg;
    unsigned timer_port;
    volatile unsigned timer_fired;
    char text[96]; /* for probe_describe */
};

extern struct cpu cpus[MAX_CPUS];

static inline struct cpu *cpu_this(void) {
    struct cpu *cpu;

    __asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

void cpu_init_first(void);
/* Vcpus this domain may have (VCPUOP_is_up answers for them). */
unsigned cpu_count_possible(void);
/* Starts vCPU id in main(arg) on its own stack: 0 or a negative errno. When main returns, it goes down. */
long cpu_start(unsigned id, void (*main)(void *), void *arg);
/* The vCPU's record moves to a page of its own, from the shared one: once, for this vCPU or one that is down. */
long cpu_move_info(unsigned id);
/* FPU state that vCPUs start with: MXCSR as after reset but for a rounding mode, and in XMM0 this and the vCPU's
 * number. */
#define CPU_START_MXCSR 0x3f80U
#define CPU_START_XMM0 0x1122334455667700UL
/* The context cpu_start hands over, for tests that spoil it first. */
void cpu_fill_context(unsigned id, struct vcpu_guest_context *ctxt);

#endif
