// SPDX-License-Identifier: MIT
/*
 * Background: kernels run user code in ring 3, on a root of its own or on theirs.
 * Scenario: the same pieces of user code on each arrangement of roots: kernel and user base the same; a user
 *   base with the same low half (as Linux does); one whose low half differs; one with pages in its upper
 *   half. In each: system calls, interrupts, faults, events, and what user code must not reach.
 *   (Shows hv_iret, which is the SDK's way into user code and back.)
 * Good: PASS lines; SKIP where the hypervisor does not separate what shares a root. Bad: FAIL, or the end.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "usermode";

extern uint8_t user_code[], user_code_end[], user_syscall[], user_int80[], user_read[], user_write[], user_ud[],
    user_cli[], user_in[], user_hlt[], user_sysenter[], user_gs[], user_fs[], user_jump[], user_wait[], user_step[],
    user_compat[], user_icebp[], user_int14[], user_mf[], user_into[], user_bound[];
void sysret_enter(void *frame), direct_iretq(void *arg), direct_lretq(void *arg);

#define CODE_VA USER_VA
#define STACK_VA (USER_VA + 0x10000)
#define DATA_VA (USER_VA + 0x20000)
#define DEMAND_VA (USER_VA + 0x30000)
#define LOW_VA 0x10000000UL
#define VSYSCALL_VA 0xffffffffff600000UL
#define AT(piece) (CODE_VA + (unsigned long)((piece)-user_code))

static const char *setting;
static uint64_t *data;

static const char *name_of(const char *test) {
    static char name[64];

    snprintf(name, sizeof(name), "%s.%s", setting, test);
    return name;
}

static void run(struct probe *p, const uint8_t *piece, unsigned long rdi, unsigned long rsi) {
    struct regs regs;

    user_regs_init(&regs, AT(piece), STACK_VA + PAGE_SIZE);
    regs.rdi = rdi;
    regs.rsi = rsi;
    user_run(p, &regs);
}

static bool expect(const char *test, const struct probe *p, unsigned vector, uint64_t error) {
    return test_check(name_of(test), probe_trapped(p, vector, error) && regs_from_user(&p->regs),
                      "expected trap %u error 0x%lx from user, saw %s, cs 0x%x", vector, error, probe_describe(p),
                      p->regs.cs);
}

static void fill_pattern(struct regs *regs) {
    uint64_t *word = (uint64_t *)regs;

    for (unsigned i = 0; i < 15; i++)
        word[i] = 0x1111111111111111UL * (i + 1);
}

/* Index of the first general register that differs, or -1; rcx and r11 belong to SYSCALL. */
static int first_difference(const struct regs *a, const struct regs *b, bool by_syscall) {
    const uint64_t *x = (const uint64_t *)a, *y = (const uint64_t *)b;

    for (int i = 0; i < 15; i++)
        if (x[i] != y[i] && !(by_syscall && (i == 6 || i == 11)))
            return i;
    return -1;
}

static void check_registers(const char *test, const uint8_t *piece, unsigned vector) {
    struct regs regs;
    struct probe p;
    int differs;

    user_regs_init(&regs, AT(piece), STACK_VA + 0xff0);
    fill_pattern(&regs);
    user_run(&p, &regs);
    if (!probe_trapped(&p, vector, 0)) {
        expect(test, &p, vector, 0);
        return;
    }
    differs = first_difference(&regs, &p.regs, vector == TRAP_SYSCALL);
    test_check(name_of(test),
               differs < 0 && p.regs.rip == AT(piece) + 2 && p.regs.rsp == STACK_VA + 0xff0 &&
                   regs_from_user(&p.regs) && (p.regs.rflags & RFLAGS_IF),
               "register %d differs, rip 0x%lx rsp 0x%lx cs 0x%x", differs, p.regs.rip, p.regs.rsp, p.regs.cs);
}

static void check_sysret(void) {
    uint64_t frame[5] = {AT(user_syscall), FLAT_USER_CS64, RFLAGS_IF | 2, STACK_VA + PAGE_SIZE, FLAT_USER_SS64};
    struct probe p;

    probe_run(&p, sysret_enter, frame);
    if (expect("sysret", &p, TRAP_SYSCALL, 0) && p.regs.rip != AT(user_syscall) + 2)
        test_fail(name_of("sysret"), "rip 0x%lx", p.regs.rip);
}

static void check_entries(void) {
    check_registers("syscall", user_syscall, TRAP_SYSCALL);
    check_registers("int80", user_int80, TRAP_INT80);
    check_sysret();
}

static void check_refused(void) {
    struct probe p;

    run(&p, user_ud, 0, 0);
    expect("ud", &p, TRAP_UD, 0);
    run(&p, user_cli, 0, 0);
    expect("cli", &p, TRAP_GP, 0);
    run(&p, user_in, 0, 0);
    expect("in", &p, TRAP_GP, 0);
    run(&p, user_hlt, 0, 0);
    expect("hlt", &p, TRAP_GP, 0);
    /* With NT set, which SYSENTER leaves; nobody registered for it. Some CPUs have none in 64-bit mode. */
    run(&p, user_sysenter, 0, 0);
    expect("sysenter", &p, TRAP_UD, 0);
}

/* Return frames the CPU refuses; no register may be taken for the vector or the error code. */
static void check_refused_frames(void) {
    static const uint32_t selectors[] = {0x1233, FLAT_USER_SS64 & 0xffff};
    struct regs regs;
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++) {
        user_regs_init(&regs, AT(user_syscall), STACK_VA + PAGE_SIZE);
        fill_pattern(&regs);
        regs.cs = selectors[i];
        user_run(&p, &regs);
        expect("refused_frame", &p, TRAP_GP, selectors[i] & ~3U);
    }
}

static void expect_fault(const char *test, const struct probe *p, unsigned long va, uint64_t error) {
    if (expect(test, p, TRAP_PF, error) && p->cr2 != va)
        test_fail(name_of(test), "cr2 0x%lx, expected 0x%lx", p->cr2, va);
}

/* User code must not see this address; whether it is mapped for the kernel there does not matter. */
static void expect_hidden(const char *test, unsigned long va) {
    struct probe p;

    run(&p, user_read, va, 0);
    test_check(name_of(test), p.vector == TRAP_PF && (p.error & ~1UL) == PF_USER && p.cr2 == va, "%s, rax 0x%lx",
               probe_describe(&p), p.regs.rax);
}

static void check_faults(void) {
    struct probe p;

    run(&p, user_read, DEMAND_VA, 0);
    expect_fault("read_not_present", &p, DEMAND_VA, PF_USER);
    run(&p, user_write, DEMAND_VA + 8, 0);
    expect_fault("write_not_present", &p, DEMAND_VA + 8, PF_USER | PF_WRITE);
    run(&p, user_read, DATA_VA, 0);
    test_equal(name_of("read"), (long)p.regs.rax, (long)data[0]);
    run(&p, user_write, DATA_VA + 0x100, 0x77);
    test_equal(name_of("write"), (long)data[0x20], 0x77);
    run(&p, user_jump, DATA_VA, 0);
    expect_fault("execute_nx", &p, DATA_VA, PF_USER | PF_PRESENT | PF_FETCH);
    run(&p, user_read, 1UL << 63, 0);
    expect("noncanonical", &p, TRAP_GP, 0);
}

static bool demand_page(struct regs *regs) {
    unsigned long va = cpu_this()->info->arch.cr2;

    if (!regs_from_user(regs) || va != DEMAND_VA)
        return false;
    *(uint8_t *)user_map_data(pt_root(), DEMAND_VA) = 0x5e;
    return true;
}

static void check_demand(void) {
    struct probe p;

    trap_set_handler(TRAP_PF, demand_page);
    run(&p, user_read, DEMAND_VA, 0);
    trap_set_handler(TRAP_PF, NULL);
    expect("demand", &p, TRAP_SYSCALL, 0);
    test_equal(name_of("demand_value"), (long)(p.regs.rax & 0xff), 0x5e);
    hv_update_va_mapping(DEMAND_VA, 0, UVMF_INVLPG);
}

static void note_event(unsigned port) {
    (void)port;
    data[0x40] = 1;
}

static void wait_for_event(struct probe *p, uint64_t delay) {
    data[0x40] = data[0x41] = 0;
    hv_set_timer_op(clock_now() + delay);
    run(p, user_wait, DATA_VA + 0x200, 0);
}

/* The event comes while user code spins, and the code goes on afterwards. On a busy host the vCPU may have to wait so
 * long that the event is there before the user code: then once more, later. */
static void check_events(void) {
    struct probe p;

    event_set_handler(cpu_this()->timer_port, note_event);
    wait_for_event(&p, 20 * MILLISECOND);
    for (unsigned tries = 1; tries < 6 && data[0x41] <= 1; tries++)
        wait_for_event(&p, (20 * MILLISECOND) << tries);
    expect("event", &p, TRAP_SYSCALL, 0);
    test_check(name_of("event_ran"), data[0x40] == 1 && data[0x41] > 1, "flag %lu, %lu rounds", data[0x40], data[0x41]);
}

static void check_bases(void) {
    struct probe p;

    data[0] = 0xda7a;
    hv_set_segment_base(SEGBASE_GS_USER, DATA_VA);
    run(&p, user_gs, 0, 0);
    test_equal(name_of("gs_base"), (long)p.regs.rax, 0xda7a);
    hv_set_segment_base(SEGBASE_FS, DATA_VA);
    run(&p, user_fs, 0, 0);
    test_equal(name_of("fs_base"), (long)p.regs.rax, 0xda7a);
    hv_set_segment_base(SEGBASE_FS, 0);
}

static void check_step(void) {
    struct regs regs;
    struct probe p;

    user_regs_init(&regs, AT(user_step), STACK_VA + PAGE_SIZE);
    regs.rflags |= RFLAGS_TF;
    user_run(&p, &regs);
    expect("single_step", &p, TRAP_DB, 0);
    test_equal(name_of("single_step_rip"), (long)p.regs.rip, (long)AT(user_step) + 1);
}

static void run_compat(struct probe *p, const uint8_t *piece) {
    struct regs regs;

    user_regs_init(&regs, LOW_VA + (unsigned long)(piece - user_code), LOW_VA + PAGE_SIZE);
    regs.cs = FLAT_USER_CS32;
    regs.ss = FLAT_USER_SS32;
    regs.rax = 1;
    user_run(p, &regs);
}

static void check_compat(void) {
    struct probe p;

    run_compat(&p, user_compat);
    expect("compat", &p, TRAP_INT80, 0);
    test_check(name_of("compat_frame"), p.regs.rax == 0x33 && (p.regs.cs & 0xffff) == FLAT_USER_CS32,
               "rax 0x%lx cs 0x%x", p.regs.rax, p.regs.cs);
}

/* Exceptions by instructions that few programs have. */
static void check_rare(void) {
    struct probe p;

    run(&p, user_icebp, 0, 0);
    if (probe_trapped(&p, TRAP_UD, 0))
        test_skip(name_of("icebp"), "not an instruction of this CPU");
    else
        expect("icebp", &p, TRAP_DB, 0);
    run(&p, user_mf, 0, 0);
    expect("mf", &p, TRAP_MF, 0);
    __asm__ volatile("fninit");
    run(&p, user_int14, 0, 0);
    if (probe_trapped(&p, TRAP_GP, 16 * TRAP_PF + 2))
        test_skip(name_of("int14"), "this CPU reports a wrong error code for INT n");
    else
        expect("int14", &p, TRAP_GP, 8 * TRAP_PF + 2);
    run_compat(&p, user_into);
    expect("into", &p, TRAP_OF, 0);
    run_compat(&p, user_bound);
    expect("bound", &p, TRAP_BR, 0);
}

static void check_all(const char *name, uint64_t *root) {
    setting = name;
    if (!test_equal(name_of("base"), mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(root)), 0))
        return;
    data[0] = 0x1da7a;
    check_entries();
    check_refused();
    check_refused_frames();
    check_faults();
    check_demand();
    check_events();
    check_bases();
    check_step();
    check_compat();
    check_rare();
    expect_hidden("reserved_range", 0xffff828000000000);
}

static void map_user_pages(void) {
    size_t n = (size_t)(user_code_end - user_code);

    user_map_code(pt_root(), CODE_VA, user_code, n);
    user_map_code(pt_root(), LOW_VA, user_code, n);
    user_map_data(pt_root(), STACK_VA);
    data = user_map_data(pt_root(), DATA_VA);
    pt_write(pt_entry(DATA_VA, 1), virt_to_machine(data) | PTE_USER | PTE_NX);
}

/* A root with the low half of the kernel's. */
static uint64_t *new_low_root(void) {
    uint64_t *root = pt_new_root(false);

    for (unsigned slot = 0; slot < 256; slot++)
        if (pt_root()[slot] & PTE_P)
            pt_write(&root[slot], pt_root()[slot]);
    return root;
}

static void check_hidden_kernel(void) {
    expect_hidden("kernel_text", ARG(user_code));
    expect_hidden("kernel_data", ARG(&data));
    expect_hidden("direct_map", ARG(data));
}

static void check_same(void) {
    struct probe p;

    check_all("same", pt_root());
    run(&p, user_read, ARG(user_code), 0);
    if (p.vector == TRAP_SYSCALL)
        test_skip("same.hidden", "this hypervisor shows user code the whole of a root it shares");
    else
        check_hidden_kernel();
}

static void check_fused(void) {
    check_all("fused", new_low_root());
    check_hidden_kernel();
}

/* Slot 64 differs: what user code finds at its addresses is not what the kernel finds there. */
static void check_split(void) {
    uint64_t *root = new_low_root(), *kernel_data = data;
    struct probe p;

    pt_write(&root[pt_index(USER_VA, 4)], 0);
    user_map_code(root, CODE_VA, user_code, (size_t)(user_code_end - user_code));
    user_map_data(root, STACK_VA);
    data = user_map_data(root, DATA_VA);
    pt_write(pt_entry_in(root, DATA_VA, 1), virt_to_machine(data) | PTE_USER | PTE_NX);
    setting = "split";
    test_equal("split.base", mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(root)), 0);
    kernel_data[0] = 1;
    data[0] = 2;
    run(&p, user_read, DATA_VA, 0);
    test_equal("split.user_sees", (long)p.regs.rax, 2);
    test_equal("split.kernel_sees", *(volatile long *)DATA_VA, 1);
    check_entries();
    check_refused();
    check_events();
    check_bases();
    check_hidden_kernel();
    data = kernel_data;
}

static void check_upper(void) {
    uint64_t *root = new_low_root(), *page = user_map_data(root, VSYSCALL_VA);
    struct probe p;

    setting = "upper";
    page[0] = 0x0b5;
    test_equal("upper.base", mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(root)), 0);
    run(&p, user_read, VSYSCALL_VA, 0);
    test_check("upper.read", p.vector == TRAP_SYSCALL && p.regs.rax == 0x0b5, "%s, rax 0x%lx", probe_describe(&p),
               p.regs.rax);
    check_entries();
    check_events();
    check_hidden_kernel();
    pt_write(pt_entry_in(root, VSYSCALL_VA, 1), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    run(&p, user_read, VSYSCALL_VA, 0);
    test_check("upper.gone", p.vector == TRAP_PF, "%s", probe_describe(&p));
}

/* Small kernels return to themselves with the instruction, and the selectors they were given. */
static void check_direct(const char *name, void (*way)(void *)) {
    struct probe p;

    probe_run(&p, way, NULL);
    test_check(name, p.trapped && p.vector == TRAP_BP && !regs_from_user(&p.regs), "%s, cs 0x%x", probe_describe(&p),
               p.regs.cs);
}

void kernel_main(void) {
    map_user_pages();
    check_same();
    check_fused();
    check_split();
    check_upper();
    check_direct("direct.iretq", direct_iretq);
    check_direct("direct.lretq", direct_lretq);
}
