// SPDX-License-Identifier: MIT
/*
 * Wild flags and frames: what iret takes and what it refuses, and that a refused one leaves all in order.
 */
#include "gatecrash.h"

#define AC 0x40000UL
#define DF 0x400UL
#define CF 0x1UL
#define VIRTUAL_INTERRUPTS 0x180000UL
#define NEVER (RFLAGS_TF | RFLAGS_NT | RFLAGS_VM | RFLAGS_IOPL | 0x10000UL | AC)

static void check_entry_flags(void) {
    static uint8_t *const pieces[] = {user_syscall, user_int80, user_int3, user_divide};
    struct trap_info table[] = {{TRAP_DE, 0, FLAT_KERNEL_CS, ARG(noting_de)},
                                {TRAP_BP, 3, FLAT_KERNEL_CS, ARG(noting_bp)},
                                {TRAP_INT80, 3, FLAT_KERNEL_CS, ARG(noting_int80)},
                                {0, 0, 0, 0}};
    struct callback_register reg = {CALLBACKTYPE_syscall, 0, ARG(noting_syscall)};
    struct regs regs;
    struct probe p;

    hv_set_trap_table(table);
    hv_callback_op(CALLBACKOP_register, &reg);
    for (unsigned i = 0; i < ARRAY_SIZE(pieces); i++) {
        fill_user(&regs, AT(pieces[i]));
        regs.rflags |= AC | DF | CF | RFLAGS_NT | RFLAGS_VM | RFLAGS_IOPL | VIRTUAL_INTERRUPTS;
        entry_flags = ~0UL;
        user_run(&p, &regs);
        test_check("flags.handler", p.trapped && !(entry_flags & NEVER), "entered with 0x%lx", entry_flags);
        test_check("flags.kept", (p.regs.rflags & (AC | DF | CF | RFLAGS_VM | RFLAGS_IOPL)) == (AC | DF | CF),
                   "frame has 0x%lx", p.regs.rflags);
    }
    hv_set_trap_table(trap_table());
    trap_install_callbacks();
}

/* User mode with AC set may not read across the alignment of what it reads; without, and in the kernel, it may. */
static void check_alignment(void) {
    struct regs regs;
    struct probe p;

    fill_user(&regs, AT(user_load));
    regs.rdi = DATA_VA + 1;
    user_run(&p, &regs);
    test_check("flags.unaligned", p.vector == TRAP_SYSCALL, "%s", probe_describe(&p));
    regs.rflags |= AC;
    user_run(&p, &regs);
    if (p.vector == TRAP_SYSCALL)
        test_skip("flags.alignment", "this processor checks none: an emulator");
    else
        test_check("flags.alignment",
                   probe_trapped(&p, TRAP_AC, 0) && p.regs.rip == regs.rip && regs_from_user(&p.regs), "%s",
                   probe_describe(&p));
}

void group_flags(void) {
    uint64_t kernel = FLAT_KERNEL_CS & ~3U, flags;
    struct state before;

    check_entry_flags();
    check_alignment();
    state_take(&before);
    flags = iret_here(kernel, ~0UL & ~(RFLAGS_TF | RFLAGS_NT | AC));
    test_check("flags.kernel", !(flags & (RFLAGS_VM | RFLAGS_IOPL)) && flags & CF, "0x%lx", flags);
    flags = iret_here(kernel, RFLAGS_IF | 2 | AC);
    test_check("flags.kernel_ac", flags & AC, "0x%lx", flags);
    flags = iret_here(kernel, RFLAGS_IF | 2);
    test_check("flags.kernel_plain", !(flags & (AC | CF | DF)), "0x%lx", flags);
    state_check("flags", "kernel", &before);
}

static uint64_t frame[5];

static void to_user(void *arg) {
    (void)arg;
    user_on_stack(ARG(cpus[0].stack_top) - 8192, frame);
}

/* True if the user code at rip ran up to its system call. */
static bool user_runs(struct probe *p, uint64_t rip, uint64_t cs, uint64_t rsp, uint64_t ss) {
    frame[0] = rip;
    frame[1] = cs;
    frame[2] = RFLAGS_IF | 2;
    frame[3] = rsp;
    frame[4] = ss;
    probe_run(p, to_user, NULL);
    return p->trapped && p->vector == TRAP_SYSCALL && p->regs.rip == rip + 2;
}

static void wild_user_selectors(uint64_t rip, uint64_t rsp) {
    static const uint16_t code[] = {3, 0x0b, 0x13, 0xe00b, 0xe013, 0xe02b, 0xe043, 0xe063, 0xe06b, 0xffff, 0x1233, 7};
    static const uint16_t stack[] = {3, 0x0b, 0xe00b, 0xe013, 0xe033, 0xe043, 0xe063, 0xe06b, 0xffff, 0x1233, 7};
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(code); i++) {
        bool ran = user_runs(&p, rip, code[i], rsp, FLAT_USER_SS64);

        test_check("frames.user_cs", p.trapped && !ran, "0x%x: %s", code[i], probe_describe(&p));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(stack); i++) {
        bool ran = user_runs(&p, rip, FLAT_USER_CS64, rsp, stack[i]);

        test_check("frames.user_ss", p.trapped && !ran, "0x%x: %s", stack[i], probe_describe(&p));
    }
}

/* SYSCALL neither looks at the stack pointer nor changes it. */
static void wild_user_stacks(uint64_t rip) {
    static const uint64_t stacks[] = {0,
                                      1,
                                      1UL << 63,
                                      0x800000000000,
                                      0xffff7fffffffffff,
                                      0xffff800000000000,
                                      0xffff808000000008,
                                      0xffff808000050fff,
                                      0xffff808000051000,
                                      0xffff87ffffffffff,
                                      0xffff880000000000,
                                      ~0UL};
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(stacks); i++) {
        bool ran = user_runs(&p, rip, FLAT_USER_CS64, stacks[i], FLAT_USER_SS64);

        test_check("frames.user_rsp", ran && p.regs.rsp == stacks[i], "0x%lx: %s, rsp 0x%lx", stacks[i],
                   probe_describe(&p), p.regs.rsp);
    }
}

static void wild_user_entries(uint64_t rsp) {
    static const uint64_t entries[] = {1UL << 63,          0x800000000000,     0xffff7ffffffffffe, 0xffff800000000000,
                                       0xffff808000000000, 0xffff808000001000, 0xffff808000050000, 0xffff808000051000,
                                       0xffff830000000000, 0xffff87fffffffffe};
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        bool ran = user_runs(&p, entries[i], FLAT_USER_CS64, rsp, FLAT_USER_SS64);

        test_check("frames.user_rip",
                   p.trapped && !ran && (p.vector == TRAP_GP || p.vector == TRAP_PF || p.vector == TRAP_FAILSAFE),
                   "0x%lx: %s", entries[i], probe_describe(&p));
    }
}

static void do_iret(void *arg) {
    iret_here(ARG(arg), RFLAGS_IF | 2);
    __asm__ volatile("ud2");
}

/* Level 0 in the selector means the kernel: the flat segment, no other. */
static void wild_kernel_selectors(void) {
    static const uint16_t code[] = {0,      8,      0x10,   0xe008, 0xe010, 0xe018, 0xe028,
                                    0xe040, 0xe050, 0xe068, 0xfff8, 0x1230, 4};
    struct probe p;

    probe_run(&p, do_iret, (void *)(unsigned long)(FLAT_KERNEL_CS & ~3U));
    test_check("frames.kernel", p.trapped && p.vector == TRAP_UD, "%s", probe_describe(&p));
    for (unsigned i = 0; i < ARRAY_SIZE(code); i++) {
        probe_run(&p, do_iret, (void *)(unsigned long)code[i]);
        test_check("frames.kernel_cs", p.trapped && p.vector != TRAP_UD, "0x%x: %s", code[i], probe_describe(&p));
    }
}

void group_frames(void) {
    uint64_t rip = AT(user_syscall), rsp = STACK_VA + 0xff0;
    struct state before;
    struct probe p;
    bool ran;

    state_take(&before);
    ran = user_runs(&p, rip, FLAT_USER_CS64, rsp, FLAT_USER_SS64);
    test_check("frames.user", ran, "%s", probe_describe(&p));
    ran = user_runs(&p, rip, FLAT_USER_CS64, rsp, FLAT_USER_SS64 & ~3U);
    test_check("frames.user_ss_rpl", ran, "%s", probe_describe(&p));
    wild_user_selectors(rip, rsp);
    wild_user_stacks(rip);
    wild_user_entries(rsp);
    wild_kernel_selectors();
    resume_traps(true);
    last_trap.vector = 0;
    ran = probe_run(&p, ring3_int3, NULL);
    resume_traps(false);
    test_check("frames.kernel_in_ring3", ran && last_trap.vector == TRAP_BP && !regs_from_user(&last_trap), "%s",
               probe_describe(&p));
    state_check("frames", "all", &before);
}
