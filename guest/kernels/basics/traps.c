// SPDX-License-Identifier: MIT
/*
 * Exceptions raised by the kernel itself: vector, error code, address, and the frame the handler gets.
 */
#include "basics.h"

#define CODE(name)                                                                                                     \
    void name(void *arg);                                                                                              \
    extern uint8_t name##_at[]
CODE(code_ud);
CODE(code_de);
CODE(code_bp);
CODE(code_int80);
CODE(code_int81);
CODE(code_gp_noncanonical);
CODE(code_gp_selector);
CODE(code_step);
CODE(code_nm);
CODE(code_icebp);
CODE(code_into);
CODE(code_lock);
CODE(code_long);
CODE(code_ss);
CODE(code_mf);
CODE(code_xm);
void code_raw_iret(void *frame);

static const struct {
    const char *name;
    void (*code)(void *);
    unsigned vector;
    uint64_t error;
    const uint8_t *rip;
} cases[] = {
    {"trap.ud", code_ud, TRAP_UD, 0, code_ud_at},
    {"trap.de", code_de, TRAP_DE, 0, code_de_at},
    {"trap.bp", code_bp, TRAP_BP, 0, code_bp_at},
    {"trap.int80", code_int80, TRAP_INT80, 0, code_int80_at},
    {"trap.gp_noncanonical", code_gp_noncanonical, TRAP_GP, 0, code_gp_noncanonical_at},
    {"trap.gp_selector", code_gp_selector, TRAP_GP, 0xfff8, code_gp_selector_at},
    {"trap.db_single_step", code_step, TRAP_DB, 0, code_step_at},
    {"trap.ud_into", code_into, TRAP_UD, 0, code_into_at},
    {"trap.ud_lock", code_lock, TRAP_UD, 0, code_lock_at},
    {"trap.gp_too_long", code_long, TRAP_GP, 0, code_long_at},
    {"trap.mf", code_mf, TRAP_MF, 0, code_mf_at},
};

/* Which QEMU before 10 has not: it raises nothing, or something else. */
static const struct {
    const char *name;
    void (*code)(void *);
    unsigned vector;
    const uint8_t *rip;
    bool raises_another;
    unsigned other;
} strict_cases[] = {
    {"trap.ss", code_ss, TRAP_SS, code_ss_at, true, TRAP_GP},
    {"trap.db_icebp", code_icebp, TRAP_DB, code_icebp_at, true, TRAP_UD},
    {"trap.xm", code_xm, TRAP_XM, code_xm_at, false, 0},
};

static bool frame_is_sane(const struct probe *p, const uint8_t *rip) {
    return p->regs.rip == ARG(rip) && (p->regs.cs & 3) == 0 && (p->regs.rflags & RFLAGS_IF) &&
           !p->regs.saved_upcall_mask;
}

static void check_exceptions(void) {
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        probe_run(&p, cases[i].code, NULL);
        if (probe_trapped(&p, cases[i].vector, cases[i].error))
            test_check(cases[i].name, frame_is_sane(&p, cases[i].rip),
                       "frame: rip %lx (not %p) cs %x mask %x flags %lx", p.regs.rip, cases[i].rip, p.regs.cs,
                       p.regs.saved_upcall_mask, p.regs.rflags);
        else
            expect_trap(cases[i].name, &p, cases[i].vector, cases[i].error);
    }
}

static void check_strict_exceptions(void) {
    const uint32_t mxcsr = 0x1f80;
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(strict_cases); i++) {
        probe_run(&p, strict_cases[i].code, NULL);
        if (strict_cases[i].raises_another ? probe_trapped(&p, strict_cases[i].other, 0) : !p.trapped)
            test_skip(strict_cases[i].name, "this processor is an emulator that does otherwise");
        else if (expect_trap(strict_cases[i].name, &p, strict_cases[i].vector, 0) &&
                 !frame_is_sane(&p, strict_cases[i].rip))
            test_fail(strict_cases[i].name, "frame: rip 0x%lx, not %p", p.regs.rip, strict_cases[i].rip);
    }
    __asm__ volatile("fninit; ldmxcsr %0" ::"m"(mxcsr));
}

/* QEMU before 10 gives 16n+2 as the error code of a refused INT n, and hypervisors go by it. */
static void check_kernel_gate(void) {
    struct probe p;

    probe_run(&p, code_int81, NULL);
    if (p.vector == TRAP_GP && p.error == 16 * 0x81 + 2)
        test_skip("trap.int81", "this CPU reports a wrong error code for INT n");
    else
        expect_trap("trap.int81", &p, TRAP_INT81, 0);
}

static bool count_breakpoint(struct regs *regs) {
    regs->rax++;
    return true;
}

static void check_return(void) {
    unsigned long rax = 41, rcx = 1, r11 = 2;

    trap_set_handler(TRAP_BP, count_breakpoint);
    __asm__ volatile("mov %2, %%r11\n\tint3\n\tmov %%r11, %2" : "+a"(rax), "+c"(rcx), "+r"(r11)::"r11");
    trap_set_handler(TRAP_BP, NULL);
    test_check("trap.return_registers", rax == 42 && rcx == 1 && r11 == 2, "rax %lu rcx %lu r11 %lu", rax, rcx, r11);
}

static void expect_fault(const char *name, const struct probe *p, unsigned long va, uint64_t error) {
    if (expect_trap(name, p, TRAP_PF, error) && p->cr2 != va)
        test_fail(name, "cr2 0x%lx, expected 0x%lx", p->cr2, va);
}

static void check_page_faults(void) {
    struct probe p;
    uint64_t *page = page_alloc();

    pt_map_page(SCRATCH_VA, page, PTE_KERNEL_RO | PTE_NX);
    *page = 0xc3; /* ret */
    probe_read(&p, (void *)(SCRATCH_VA + 0x1238), NULL);
    expect_fault("pf.read_not_present", &p, SCRATCH_VA + 0x1238, 0);
    probe_write(&p, (void *)(SCRATCH_VA + 0x1238), 1);
    expect_fault("pf.write_not_present", &p, SCRATCH_VA + 0x1238, PF_WRITE);
    probe_write(&p, (void *)(SCRATCH_VA + 8), 1);
    expect_fault("pf.write_read_only", &p, SCRATCH_VA + 8, PF_WRITE | PF_PRESENT);
    probe_jump(&p, SCRATCH_VA);
    expect_fault("pf.execute_nx", &p, SCRATCH_VA, PF_FETCH | PF_PRESENT);
    pt_map_page(SCRATCH_VA, page, PTE_KERNEL_RO);
    probe_jump(&p, SCRATCH_VA);
    expect_no_trap("pf.execute_x", &p);
    pt_unmap(SCRATCH_VA);
    page_free(page);
}

static void check_debug_registers(void) {
    static uint64_t watched;
    struct probe p;

    test_equal("debugreg.set_address", hv_set_debugreg(0, ARG(&watched)), 0);
    test_equal("debugreg.set_control", hv_set_debugreg(7, 0x000d0101), 0);
    test_equal("debugreg.get", hv_get_debugreg(0), (long)ARG(&watched));
    hv_set_debugreg(6, 0);
    probe_write(&p, &watched, 1);
    hv_set_debugreg(7, 0);
    if (expect_trap("debugreg.watchpoint", &p, TRAP_DB, 0))
        test_check("debugreg.status", hv_get_debugreg(6) & 1, "dr6 0x%lx", hv_get_debugreg(6));
    test_equal("debugreg.bad_address", hv_set_debugreg(1, HYPERVISOR_VIRT_START), -XEN_EPERM);
    test_equal("debugreg.bad_number", hv_set_debugreg(9, 0), -XEN_ENODEV);
    hv_set_debugreg(0, 0);
}

static void check_fpu(void) {
    struct probe p;

    test_equal("fpu_taskswitch.set", hv_fpu_taskswitch(1), 0);
    probe_run(&p, code_nm, NULL);
    expect_trap("fpu_taskswitch.nm", &p, TRAP_NM, 0);
    test_equal("fpu_taskswitch.clear", hv_fpu_taskswitch(0), 0);
    probe_run(&p, code_nm, NULL);
    expect_no_trap("fpu_taskswitch.no_trap", &p);
}

static uint8_t other_stack[PAGE_SIZE] __attribute__((aligned(16)));

static void check_bad_iret(void) {
    uint64_t frame[5] = {ARG(code_ud), 0x1230, RFLAGS_IF | 2, ARG(other_stack + sizeof(other_stack)), FLAT_KERNEL_SS};
    uint64_t copy[16];
    struct probe p;

    memcpy(copy + 8, frame, sizeof(frame));
    probe_run(&p, code_raw_iret, copy + 8);
    expect_trap("iret.bad_selector", &p, TRAP_GP, 0x1230);
    memcpy(copy + 8, frame, sizeof(frame));
    copy[9] = FLAT_KERNEL_CS & ~3;
    probe_run(&p, code_raw_iret, copy + 8);
    expect_trap("iret.to_kernel", &p, TRAP_UD, 0);
}

void check_traps(void) {
    check_exceptions();
    check_strict_exceptions();
    check_kernel_gate();
    check_return();
    check_page_faults();
    check_debug_registers();
    check_fpu();
    check_bad_iret();
}
