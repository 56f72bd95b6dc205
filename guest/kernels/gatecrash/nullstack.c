// SPDX-License-Identifier: MIT
/*
 * A null stack segment, which a kernel in ring 1 may load if the selector's RPL is 1: it stays in ring 1, whichever way
 * it was loaded, and every entry from there comes back as from any other segment. QEMU 7.2 takes the kernel to ring 0
 * instead.
 */
#include "gatecrash.h"

struct load {
    const char *name;
    void (*run)(void *selector);
    const uint8_t *lldt; /* what it comes to if the selector loads */
    bool strict;
};

/* Of IRETQ the manuals say that it refuses a selector whose RPL is not CPL; Bochs takes any. */
static const struct load loads[] = {{"mov", stack_by_mov, lldt_at_mov, true},
                                    {"lss", stack_by_lss, lldt_at_lss, true},
                                    {"iretq", stack_by_iretq, lldt_at_iretq, false}};

static void check_load(const struct load *load, unsigned long selector) {
    bool right = selector == (SELECTOR(cs) & 3), loaded;
    struct probe p;
    char name[64];

    snprintf(name, sizeof(name), "null_stack.%s.%lu", load->name, selector);
    probe_run(&p, load->run, (void *)selector);
    loaded = p.regs.rip == ARG(load->lldt);
    test_check(name, probe_trapped(&p, TRAP_GP, 0) && (loaded == right || (loaded && !load->strict)), "%s at 0x%lx",
               probe_describe(&p), p.regs.rip);
}

static void check_user_load(unsigned long selector) {
    struct regs regs;
    struct probe p;

    user_data[0] = selector;
    fill_user(&regs, AT(user_load_ss));
    user_run(&p, &regs);
    test_check("null_stack.user_load",
               probe_trapped(&p, TRAP_GP, 0) && regs_from_user(&p.regs) && p.regs.rip == regs.rip, "%s",
               probe_describe(&p));
}

static bool stop_stepping(struct regs *regs) {
    regs->rflags &= ~RFLAGS_TF;
    last_trap = *regs;
    hv_set_debugreg(6, 0);
    return true;
}

static unsigned single_step(void) {
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop" ::: "memory", "cc");
    return 0;
}

static unsigned version(void) {
    return hv_xen_version(XENVER_version, NULL) >> 16 != 4;
}

static unsigned small_hypercall(void) {
    return hv_set_segment_base(SEGBASE_GS_USER_SEL, 0) != 0;
}

static unsigned slow_hypercall(void) {
    return hv_sched_op(SCHEDOP_yield, NULL) != 0;
}

static unsigned to_user(void) {
    struct regs regs;
    struct probe p;

    fill_user(&regs, AT(user_syscall));
    user_run(&p, &regs);
    return p.vector != TRAP_SYSCALL || !same_registers(&regs, &p.regs, true);
}

static unsigned iret_to_itself(void) {
    return !(iret_here(FLAT_KERNEL_CS & ~3U, RFLAGS_IF | 3) & 1);
}

static void check_entries(unsigned long selector) {
    static const struct {
        const char *name;
        unsigned (*enter)(void);
        unsigned vector;
    } entries[] = {
        {"int3", kernel_int3, TRAP_BP}, {"int80", kernel_int80, TRAP_INT80}, {"divide", kernel_divide, TRAP_DE},
        {"load", kernel_load, TRAP_PF}, {"step", single_step, TRAP_DB},      {"version", version, 0},
        {"small", small_hypercall, 0},  {"slow", slow_hypercall, 0},         {"event", event_is_missed, 0},
        {"iret", iret_to_itself, 0},    {"user", to_user, TRAP_SYSCALL}};
    struct state before;

    state_take(&before);
    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        unsigned wrong;
        char name[64];

        last_trap.vector = 0;
        wrong = with_stack_segment(selector, entries[i].enter);
        snprintf(name, sizeof(name), "null_stack.%s", entries[i].name);
        test_check(name, !wrong && last_trap.vector == entries[i].vector, "%u, vector %lu", wrong, last_trap.vector);
        state_check("null_stack", entries[i].name, &before);
    }
}

void group_null_stack(void) {
    for (unsigned long selector = 0; selector < 4; selector++) {
        for (unsigned i = 0; i < ARRAY_SIZE(loads); i++)
            check_load(&loads[i], selector);
        check_user_load(selector);
    }
    trap_set_handler(TRAP_DB, stop_stepping);
    resume_traps(true);
    check_entries(SELECTOR(cs) & 3);
    resume_traps(false);
    trap_set_handler(TRAP_DB, NULL);
}
