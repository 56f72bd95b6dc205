// SPDX-License-Identifier: MIT
/*
 * What the gate lives on: breakpoints on what it touches, its addresses as user and kernel see them, and another vCPU
 * that writes to all it can reach while this one goes through every path.
 */
#include "gatecrash.h"

#define GATE 0xffff808000000000UL
#define GATE_PAGES 0x60
#define VCPU_PAGE 0x50
#define DR7_WRITE_8(n) (1UL << 2 * (n) | 9UL << (16 + 4 * (n)))
#define DR7_ACCESS_2(n) (1UL << 2 * (n) | 7UL << (16 + 4 * (n)))

bool refuses_wild_stacks(void) {
    xen_extraversion_t extra = "";

    hv_xen_version(XENVER_extraversion, &extra);
    return extra[0] == '.' && extra[3] == 'p' && extra[4] == 'a';
}

static volatile unsigned debug_traps;

static bool count_debug(struct regs *regs) {
    (void)regs;
    debug_traps++;
    hv_set_debugreg(6, 0);
    return true;
}

static void break_at(unsigned n, unsigned long va, unsigned long dr7) {
    test_equal("breakpoints.set", hv_set_debugreg((int)n, va), 0);
    test_equal("breakpoints.arm", hv_set_debugreg(7, dr7), 0);
}

/* Always from the same depth of the stack. */
static __attribute__((noinline)) bool user_piece_arrives(struct probe *p, const uint8_t *piece, unsigned vector) {
    struct regs regs;

    fill_user(&regs, AT(piece));
    user_run(p, &regs);
    return p->trapped && p->vector == vector && same_registers(&regs, &p->regs, vector == TRAP_SYSCALL);
}

static void check_user_piece(const char *name, const uint8_t *piece, unsigned vector) {
    struct probe p;
    bool ok = true;

    for (unsigned i = 0; i < 20 && ok; i++)
        ok = user_piece_arrives(&p, piece, vector);
    test_check(name, ok, "%s", probe_describe(&p));
}

static void break_on_stack(void) {
    check_user_piece("breakpoints.before", user_syscall, TRAP_SYSCALL);
    break_at(0, last_frame_end - 8, DR7_WRITE_8(0));
    check_user_piece("breakpoints.stack.syscall", user_syscall, TRAP_SYSCALL);
    check_user_piece("breakpoints.stack.int80", user_int80, TRAP_INT80);
    check_user_piece("breakpoints.stack.divide", user_divide, TRAP_DE);
    check_user_piece("breakpoints.stack.fault", user_code + (NOWHERE_VA - CODE_VA), TRAP_PF);
}

static void break_on_selector(void) {
    user_data[0] = FLAT_USER_SS64;
    break_at(0, DATA_VA, DR7_ACCESS_2(0));
    check_user_piece("breakpoints.ss.syscall", user_load_ss, TRAP_SYSCALL);
    check_user_piece("breakpoints.ss.int3", user_load_ss_int3, TRAP_BP);
    test_check("breakpoints.ss", debug_traps > 0, "no breakpoint was hit");
}

/* The stack slots that entries write to, and a stack selector's load just before an entry. */
void group_breakpoints(void) {
    struct state before;

    state_take(&before);
    if (refuses_wild_stacks())
        for (unsigned page = 0; page < GATE_PAGES; page++)
            if (hv_set_debugreg(0, GATE + page * PAGE_SIZE) != -XEN_EPERM)
                test_fail("breakpoints.gate", "page %u", page);
    trap_set_handler(TRAP_DB, count_debug);
    resume_traps(true);
    debug_traps = 0;
    break_on_stack();
    break_on_selector();
    resume_traps(false);
    hv_set_debugreg(7, 0);
    hv_set_debugreg(0, 0);
    hv_set_debugreg(6, before.word[9]);
    trap_set_handler(TRAP_DB, NULL);
    hv_set_debugreg(7, before.word[10]);
    state_check("breakpoints", "all", &before);
}

static bool user_sees(unsigned long va) {
    struct regs regs;
    struct probe p;

    fill_user(&regs, AT(user_load));
    regs.rdi = va;
    user_run(&p, &regs);
    return p.vector == TRAP_SYSCALL || p.cr2 != va;
}

/* User mode reaches nothing of the reserved range; the kernel writes nothing there but what is its vCPU's own. */
void group_reads(void) {
    unsigned seen = 0, written = 0;
    struct probe p;

    for (unsigned page = 0; page < GATE_PAGES; page++)
        seen += user_sees(GATE + page * PAGE_SIZE);
    for (unsigned slot = 256; slot < 272; slot++)
        seen += user_sees(0xffff000000000000UL | (unsigned long)slot << 39);
    test_equal("reads.user", seen, 0);
    if (!refuses_wild_stacks())
        return;
    for (unsigned page = 0; page < 0x40; page++)
        written += probe_write(&p, (void *)(GATE + page * PAGE_SIZE + 0x800), 0);
    test_equal("reads.kernel_writes", written, 0);
    for (unsigned page = 0x10; page < GATE_PAGES; page++) {
        probe_jump(&p, GATE + page * PAGE_SIZE + 0x800);
        if (p.vector != TRAP_PF)
            test_fail("reads.execute", "page %u: %s", page, probe_describe(&p));
    }
    probe_jump(&p, HYPERVISOR_VIRT_START);
    test_check("reads.execute_m2p", p.trapped && p.vector == TRAP_PF, "%s", probe_describe(&p));
}

static volatile unsigned tampering, tamper_rounds;

/* Its own register block, scratch area and stack half, the stacks of its CPU, and all vCPUs' information. No call to
 * the hypervisor in between. */
static void tamper(void *arg) {
    volatile uint64_t *block = (volatile uint64_t *)(GATE + VCPU_PAGE * PAGE_SIZE);
    uint64_t junk = 0xffff808000050000UL;

    (void)arg;
    events_disable();
    while (tampering) {
        for (unsigned i = 2; refuses_wild_stacks() && i < 512; i++)
            block[i] = junk + i * 8;
        for (unsigned page = 0x41; refuses_wild_stacks() && page < 0x48; page += 2)
            for (unsigned i = 0; i < 512; i++)
                ((volatile uint64_t *)(GATE + page * PAGE_SIZE))[i] = ~junk;
        /* Not more often, or the first would see nothing but upcalls. */
        shared_info->vcpu_info[0].evtchn_upcall_pending = 1;
        for (unsigned i = 0; i < 10000; i++)
            shared_info->vcpu_info[0].arch.cr2 = junk;
        junk ^= junk << 13 ^ junk >> 7;
        tamper_rounds++;
    }
    events_enable();
}

void group_tamper(void) {
    if (cpu_count_possible() < 2) {
        test_skip("tamper", "this domain has one vCPU");
        return;
    }
    tampering = 1;
    if (cpu_start(1, tamper, NULL) || !clock_wait_for(&tamper_rounds, 10 * SECOND)) {
        test_fail("tamper.start", "the second vCPU did not start");
        return;
    }
    for (unsigned i = 0; i < 30; i++)
        group_paths();
    tampering = 0;
    test_pass("tamper.survived");
}
