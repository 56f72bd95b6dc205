// SPDX-License-Identifier: MIT
/*
 * Every path, and what it must leave as it was: all registers, selectors, segment bases, debug and FPU state.
 */
#include "gatecrash.h"

struct regs last_trap;
unsigned long last_frame_end;
uint8_t mask_in_handler;

static const char *const state_names[18] = {
    "ds",  "es",  "fs",    "gs",  "cs",  "ss",  "FS base", "GS base", "kernel GS base",
    "DR6", "DR7", "MXCSR", "FCW", "xmm", "CR0", "flags",   "EFER",    "mask"};

static uint64_t read_msr(uint32_t number) {
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

static void take_fpu(uint64_t *word) {
    uint32_t mxcsr;
    uint16_t fcw;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(fcw));
    __asm__ volatile("movq %%xmm3, %0" : "=m"(word[2]));
    word[0] = mxcsr;
    word[1] = fcw;
}

void state_take(struct state *s) {
    uint64_t flags, cr0;

    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    *s = (struct state){{SELECTOR(ds), SELECTOR(es), SELECTOR(fs), SELECTOR(gs), SELECTOR(cs), SELECTOR(ss),
                         read_msr(0xc0000100), read_msr(0xc0000101), read_msr(0xc0000102), (uint64_t)hv_get_debugreg(6),
                         (uint64_t)hv_get_debugreg(7), 0, 0, 0, cr0,
                         flags & (RFLAGS_IF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_VM | 0x40400), read_msr(0xc0000080),
                         cpu_this()->info->evtchn_upcall_mask}};
    take_fpu(&s->word[11]);
}

void state_check(const char *group, const char *path, const struct state *before) {
    struct state after;
    unsigned differs = 18;
    char name[64];

    state_take(&after);
    for (unsigned i = 0; i < 18; i++)
        if (after.word[i] != before->word[i])
            differs = i;
    snprintf(name, sizeof(name), "%s.%s.state", group, path);
    test_check(name, differs == 18, "%s was 0x%lx and is 0x%lx", state_names[differs % 18], before->word[differs % 18],
               after.word[differs % 18]);
}

void fill_user(struct regs *regs, unsigned long rip) {
    uint64_t *word = (uint64_t *)regs;
    bool low = rip < 1UL << 32;

    user_regs_init(regs, rip, low ? LOW_VA + PAGE_SIZE : STACK_VA + 0xff0);
    for (unsigned i = 0; i < 15; i++)
        word[i] = (low ? 0x11111111UL : 0x1111111111111111UL) * (i + 1);
    if (low)
        regs->cs = FLAT_USER_CS32;
    regs->rdi = DATA_VA;
}

/* rcx and r11 belong to SYSCALL. */
bool same_registers(const struct regs *a, const struct regs *b, bool by_syscall) {
    const uint64_t *x = (const uint64_t *)a, *y = (const uint64_t *)b;

    for (unsigned i = 0; i < 15; i++)
        if (x[i] != y[i] && !(by_syscall && (i == 6 || i == 11)))
            return false;
    return true;
}

static bool comes_back(struct regs *regs) {
    static const uint8_t length[] = {[TRAP_DE] = 6, [TRAP_PF] = 3};

    last_trap = *regs;
    last_frame_end = ARG(regs + 1);
    mask_in_handler = cpu_this()->info->evtchn_upcall_mask;
    if (regs_from_user(regs) || regs->vector == TRAP_UD)
        return false;
    regs->rip += regs->vector == TRAP_DE || regs->vector == TRAP_PF ? length[regs->vector] : 0;
    return true;
}

void resume_traps(bool on) {
    static const unsigned vectors[] = {TRAP_DE, TRAP_BP, TRAP_PF, TRAP_INT80, TRAP_SYSCALL, TRAP_UD};

    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++)
        trap_set_handler(vectors[i], on ? comes_back : NULL);
}

static void kernel_path(const char *path, unsigned (*trapping)(void), unsigned vector) {
    struct state before;
    unsigned changed;
    char name[64];

    state_take(&before);
    changed = trapping();
    snprintf(name, sizeof(name), "paths.%s", path);
    test_check(name,
               changed == 0 && last_trap.vector == vector && !regs_from_user(&last_trap) &&
                   last_trap.rflags & RFLAGS_IF && !last_trap.saved_upcall_mask,
               "%u registers changed, vector %lu cs 0x%x flags 0x%lx", changed, last_trap.vector, last_trap.cs,
               last_trap.rflags);
    state_check("paths", path, &before);
}

static void user_path(const char *path, unsigned long rip, unsigned vector, unsigned long next) {
    bool by_syscall = vector == TRAP_SYSCALL;
    struct state before;
    struct regs regs;
    struct probe p;
    char name[64];

    fill_user(&regs, rip);
    state_take(&before);
    user_run(&p, &regs);
    snprintf(name, sizeof(name), "paths.%s", path);
    test_check(name,
               p.trapped && p.vector == vector && same_registers(&regs, &p.regs, by_syscall) &&
                   (!next || (p.regs.rip == next && p.regs.rsp == regs.rsp)) && regs_from_user(&p.regs) &&
                   (p.regs.ss & 3) == 3 && p.regs.rflags & RFLAGS_IF && !p.regs.saved_upcall_mask,
               "%s, cs 0x%x ss 0x%lx rsp 0x%lx flags 0x%lx", probe_describe(&p), p.regs.cs, p.regs.ss, p.regs.rsp,
               p.regs.rflags);
    state_check("paths", path, &before);
}

static bool user_calls(unsigned long rip) {
    struct regs regs;
    struct probe p;

    fill_user(&regs, rip);
    user_run(&p, &regs);
    return p.vector == TRAP_SYSCALL || !regs_from_user(&p.regs);
}

/* A way that not every CPU has, and that the kernel asks for. Without, it is another trap of the user's. */
static void optional_path(const char *path, uint16_t type, unsigned long handler, unsigned long rip,
                          unsigned long next) {
    struct callback_register reg = {type, CALLBACKF_mask_events, handler};

    hv_callback_op(CALLBACKOP_register, &reg);
    if (user_calls(rip))
        user_path(path, rip, TRAP_SYSCALL, next);
    reg.address = 0;
    hv_callback_op(CALLBACKOP_register, &reg);
    test_check("paths.unregistered", !user_calls(rip), "%s arrived", path);
}

static void small_hypercalls(void) {
    struct state before;
    long rc[4];

    state_take(&before);
    rc[0] = hv_xen_version(XENVER_version, NULL);
    rc[1] = hv_stack_switch(FLAT_KERNEL_SS, ARG(cpus[0].stack_top));
    rc[2] = hv_set_segment_base(SEGBASE_GS_USER_SEL, 0);
    rc[3] = hv_set_segment_base(SEGBASE_GS_KERNEL, ARG(cpu_this()));
    test_check("paths.small_hypercalls", rc[0] >> 16 == 4 && !rc[1] && !rc[2] && !rc[3], "%lx %ld %ld %ld",
               (unsigned long)rc[0], rc[1], rc[2], rc[3]);
    state_check("paths", "small_hypercalls", &before);
    for (unsigned i = 0; i < 100; i++) {
        hv_set_segment_base(SEGBASE_FS, 0x123456789000UL + i);
        hv_set_segment_base(SEGBASE_GS_USER, 0xfffff00000000000UL + i);
    }
    test_equal("paths.fs_base", (long)read_msr(0xc0000100), 0x123456789000L + 99);
    test_equal("paths.user_gs_base", (long)read_msr(0xc0000102), (long)0xfffff00000000063UL);
    test_equal("paths.selector_refused", hv_set_segment_base(SEGBASE_GS_USER_SEL, 0x1230), 0);
    test_equal("paths.selector", hv_set_segment_base(SEGBASE_GS_USER_SEL, FLAT_USER_SS64 & ~3U), 0);
    test_equal("paths.selector_null", hv_set_segment_base(SEGBASE_GS_USER_SEL, 0), 0);
    hv_set_segment_base(SEGBASE_GS_USER, 0xfffff00000000063UL);
    test_equal("paths.base_refused", hv_set_segment_base(SEGBASE_GS_USER, 1UL << 47), -XEN_EINVAL);
    test_equal("paths.base_unknown", hv_set_segment_base(4, 0), -XEN_EINVAL);
    test_equal("paths.user_gs_base_kept", (long)read_msr(0xc0000102), (long)0xfffff00000000063UL);
    hv_set_segment_base(SEGBASE_FS, before.word[6]);
    hv_set_segment_base(SEGBASE_GS_USER, before.word[8]);
}

static const unsigned long flushed[] = {SCRATCH_VA, NOWHERE_VA, 1UL << 47, ~0UL, 0xffff808000000000UL};

/* Flushes of its own that a kernel asks for, one at a time. */
static void own_flushes(void) {
    struct mmuext_op op[2] = {{.cmd = MMUEXT_INVLPG_LOCAL}, {.cmd = 0x7f}};
    struct mmuext_op *edge = (struct mmuext_op *)(SCRATCH_VA + PAGE_SIZE - 8);
    unsigned done = 77;
    struct state before;

    state_take(&before);
    for (unsigned i = 0; i < ARRAY_SIZE(flushed); i++) {
        op[0].arg1.linear_addr = flushed[i];
        test_equal("paths.invlpg", hv_mmuext_op(op, 1, NULL, DOMID_SELF), 0);
    }
    test_equal("paths.flush", mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0), 0);
    state_check("paths", "flush", &before);
    test_equal("paths.flush_two", hv_mmuext_op(op, 2, NULL, DOMID_SELF), -XEN_ENOSYS);
    test_equal("paths.flush_none", hv_mmuext_op(op, 0, NULL, DOMID_SELF), 0);
    hv_mmuext_op(op, 1, &done, DOMID_SELF);
    test_equal("paths.flush_done", done, 1);
    test_equal("paths.flush_of_others", hv_mmuext_op(op, 1, NULL, 0x6fff), -XEN_ESRCH);
    test_equal("paths.flush_unknown", hv_mmuext_op(op + 1, 1, NULL, DOMID_SELF), -XEN_ENOSYS);
    test_equal("paths.flush_nowhere", hv_mmuext_op((void *)NOWHERE_VA, 1, NULL, DOMID_SELF), -XEN_EFAULT);
    test_equal("paths.flush_noncanonical", hv_mmuext_op((void *)(1UL << 47), 1, NULL, DOMID_SELF), -XEN_EFAULT);
    pt_map_page(SCRATCH_VA, page_alloc(), PTE_KERNEL);
    edge->cmd = MMUEXT_INVLPG_LOCAL;
    test_equal("paths.flush_cut", hv_mmuext_op(edge, 1, NULL, DOMID_SELF), -XEN_EFAULT);
}

void group_paths(void) {
    resume_traps(true);
    kernel_path("kernel_int3", kernel_int3, TRAP_BP);
    kernel_path("kernel_int80", kernel_int80, TRAP_INT80);
    kernel_path("kernel_divide", kernel_divide, TRAP_DE);
    *(volatile uint64_t *)user_data = 0;
    kernel_path("kernel_load", kernel_load, TRAP_PF);
    user_path("syscall", AT(user_syscall), TRAP_SYSCALL, AT(user_syscall) + 2);
    user_path("int80", AT(user_int80), TRAP_INT80, AT(user_int80) + 2);
    user_path("int3", AT(user_int3), TRAP_BP, AT(user_int3) + 1);
    user_path("divide", AT(user_divide), TRAP_DE, AT(user_divide));
    user_path("page_fault", NOWHERE_VA, TRAP_PF, NOWHERE_VA);
    user_path("int80_32", LOW_AT(user_int80_32), TRAP_INT80, LOW_AT(user_int80_32) + 2);
    optional_path("syscall32", CALLBACKTYPE_syscall32, ARG(noting_syscall32), LOW_AT(user_syscall32),
                  LOW_AT(user_syscall32) + 2);
    optional_path("sysenter", CALLBACKTYPE_sysenter, ARG(noting_sysenter), LOW_AT(user_sysenter), 0);
    small_hypercalls();
    own_flushes();
    resume_traps(false);
}
