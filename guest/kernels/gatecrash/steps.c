// SPDX-License-Identifier: MIT
/*
 * Debug exceptions around entries: each path is gone through in single steps, by kernel and user mode, and a breakpoint
 * on an instruction is passed with RFLAGS.RF. SYSENTER leaves TF set, so that the exception strikes within the gate.
 */
#include "gatecrash.h"

#define RFLAGS_RF 0x10000UL
#define MOST_STRIKES 5 /* of one breakpoint */

static volatile unsigned strikes;

static bool count_step(struct regs *regs) {
    (void)regs;
    strikes++;
    hv_set_debugreg(6, 0);
    return true;
}

static bool pass_breakpoint(struct regs *regs) {
    strikes++;
    regs->rflags |= RFLAGS_RF;
    hv_set_debugreg(6, 0);
    if (strikes == MOST_STRIKES)
        hv_set_debugreg(7, 0);
    return true;
}

static unsigned stepping(unsigned (*fn)(void)) {
    unsigned rc;

    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq" ::: "memory", "cc");
    rc = fn();
    __asm__ volatile("pushfq; andl $~0x100, (%%rsp); popfq" ::: "memory", "cc");
    return rc;
}

static unsigned calls(void) {
    return hv_xen_version(XENVER_version, NULL) >> 16 != 4 || hv_set_segment_base(SEGBASE_GS_USER_SEL, 0) ||
           hv_stack_switch(FLAT_KERNEL_SS, ARG(cpus[0].stack_top)) || mmuext_linear(MMUEXT_INVLPG_LOCAL, SCRATCH_VA) ||
           mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0) || hv_sched_op(SCHEDOP_yield, NULL);
}

static void check_kernel_steps(void) {
    static const struct {
        const char *name;
        unsigned (*fn)(void);
        unsigned vector;
    } ways[] = {{"int3", kernel_int3, TRAP_BP},
                {"int80", kernel_int80, TRAP_INT80},
                {"divide", kernel_divide, TRAP_DE},
                {"load", kernel_load, TRAP_PF},
                {"calls", calls, 0},
                {"event", event_is_missed, 0}};
    struct state before;

    state_take(&before);
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        unsigned wrong;
        char name[64];

        strikes = 0;
        wrong = stepping(ways[i].fn);
        snprintf(name, sizeof(name), "steps.kernel.%s", ways[i].name);
        test_check(name,
                   !wrong && strikes > 8 &&
                       (!ways[i].vector || (last_trap.vector == ways[i].vector && last_trap.rflags & RFLAGS_TF)),
                   "%u, %u steps, vector %lu flags 0x%lx", wrong, strikes, last_trap.vector, last_trap.rflags);
        state_check("steps.kernel", ways[i].name, &before);
    }
}

static void user_step(struct probe *p, unsigned long rip) {
    struct regs regs;

    fill_user(&regs, rip);
    regs.rflags |= RFLAGS_TF;
    user_run(p, &regs);
}

/* An instruction that enters the kernel takes its exception there, if at all, and none of single-stepping. */
static void check_user_steps(void) {
    static const struct {
        const char *name;
        uint8_t *piece;
        unsigned vector;
    } ways[] = {
        {"syscall", user_syscall, TRAP_SYSCALL}, {"int80", user_int80, TRAP_INT80}, {"int3", user_int3, TRAP_BP},
        {"divide", user_divide, TRAP_DE},        {"ud", user_ud, TRAP_UD},          {"load", user_load, TRAP_DB}};
    struct state before;
    struct probe p;
    char name[64];

    state_take(&before);
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        user_step(&p, AT(ways[i].piece));
        snprintf(name, sizeof(name), "steps.user.%s", ways[i].name);
        test_check(name, p.vector == ways[i].vector && regs_from_user(&p.regs) && p.regs.rflags & RFLAGS_TF,
                   "%s flags 0x%lx", probe_describe(&p), p.regs.rflags);
        hv_set_debugreg(6, 0);
        state_check("steps.user", ways[i].name, &before);
    }
}

/* Not on every processor, as in optional_path(). */
static void check_compatible_steps(const char *way, uint16_t type, uint8_t *piece) {
    struct callback_register reg = {type, CALLBACKF_mask_events, ARG(entry_syscall)};
    struct state before;
    struct regs regs;
    struct probe p;
    char name[64];

    snprintf(name, sizeof(name), "steps.%s", way);
    hv_callback_op(CALLBACKOP_register, &reg);
    fill_user(&regs, LOW_AT(piece));
    user_run(&p, &regs);
    state_take(&before);
    if (p.vector == TRAP_SYSCALL) {
        user_step(&p, LOW_AT(piece));
        test_check(name, p.vector == TRAP_SYSCALL && regs_from_user(&p.regs), "%s", probe_describe(&p));
        state_check("steps", way, &before);
    }
    reg.address = 0;
    hv_callback_op(CALLBACKOP_register, &reg);
}

static void check_breakpoint(const char *name, unsigned long va, unsigned (*fn)(void)) {
    unsigned wrong;

    strikes = 0;
    test_equal("steps.set", hv_set_debugreg(0, va), 0);
    test_equal("steps.arm", hv_set_debugreg(7, 1), 0);
    wrong = fn();
    hv_set_debugreg(7, 0);
    test_check(name, !wrong && strikes == 1, "%u, struck %u times", wrong, strikes);
}

static unsigned user_arrives(void) {
    struct regs regs;
    struct probe p;

    fill_user(&regs, AT(user_load));
    user_run(&p, &regs);
    return p.vector != TRAP_SYSCALL;
}

void group_steps(void) {
    struct state before;

    state_take(&before);
    resume_traps(true);
    trap_set_handler(TRAP_DB, count_step);
    check_kernel_steps();
    trap_set_handler(TRAP_DB, NULL);
    check_user_steps();
    check_compatible_steps("sysenter", CALLBACKTYPE_sysenter, user_sysenter);
    check_compatible_steps("syscall32", CALLBACKTYPE_syscall32, user_syscall32);
    trap_set_handler(TRAP_DB, pass_breakpoint);
    check_breakpoint("steps.breakpoint.kernel", ARG(kernel_int3), kernel_int3);
    check_breakpoint("steps.breakpoint.user", AT(user_load), user_arrives);
    trap_set_handler(TRAP_DB, NULL);
    resume_traps(false);
    hv_set_debugreg(0, 0);
    hv_set_debugreg(6, before.word[9]);
    hv_set_debugreg(7, before.word[10]);
    state_check("steps", "all", &before);
}
