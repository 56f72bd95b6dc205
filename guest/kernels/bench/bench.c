// SPDX-License-Identifier: MIT
/*
 * Background: what guests pay for is hypercalls, traps, events and page-table changes.
 * Scenario: each operation many times in a row (`rounds=N`, 2000 by default), timed by system time and TSC;
 *   one line each: `BENCH name: <ns> ns, <cycles> cycles`. Emulated machines give numbers to compare only
 *   with others from the same machine.
 * Good: a line for every operation. Bad: a PANIC, or a number that has grown since the last change.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "bench";

extern uint8_t bench_user_syscall[], bench_user_end[];

static unsigned long rounds;
static uint64_t *entry, pte;
static unsigned port, masked_port;
static volatile unsigned seen;

static void null_hypercall(void) {
    hv_xen_version(XENVER_pagesize, NULL);
}
static void version_hypercall(void) {
    hv_xen_version(XENVER_version, NULL);
}
static void yield(void) {
    hv_sched_op(SCHEDOP_yield, NULL);
}
static void read_clock(void) {
    clock_now();
}
static void breakpoint(void) {
    __asm__ volatile("int3");
}
static void send_event(void) {
    event_send(port);
}
static void send_masked(void) {
    event_send(masked_port);
}
static void stack_switch(void) {
    hv_stack_switch(FLAT_KERNEL_SS, ARG(cpus[0].stack_top));
}
static void segment_base(void) {
    hv_set_segment_base(SEGBASE_FS, 0);
}
static void update_one(void) {
    pt_write(entry, pte);
}
static void update_va(void) {
    hv_update_va_mapping(SCRATCH_VA, pte, UVMF_INVLPG);
}
static void update_by_trap(void) {
    *(volatile uint64_t *)entry = pte;
}
static void switch_root(void) {
    mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(pt_root()));
}
static void flush(void) {
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
}
static void invlpg(void) {
    mmuext_linear(MMUEXT_INVLPG_LOCAL, SCRATCH_VA);
}
static void read_cr0(void) {
    __asm__ volatile("mov %%cr0, %%rax" ::: "rax");
}

static void forced_cpuid(void) {
    __asm__ volatile("ud2\n\t.ascii \"xen\"\n\tcpuid" ::"a"(0), "c"(0) : "rbx", "rdx");
}

static void update_batch(void) {
    struct mmu_update req[32];

    for (unsigned i = 0; i < ARRAY_SIZE(req); i++)
        req[i] = (struct mmu_update){virt_to_machine(entry) | MMU_NORMAL_PT_UPDATE, pte};
    hv_mmu_update(req, ARRAY_SIZE(req), NULL, DOMID_SELF);
}

static void multicall(void) {
    multicall_entry_t calls[32];

    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++)
        calls[i] = (multicall_entry_t){.op = __HYPERVISOR_xen_version, .args = {XENVER_pagesize, 0}};
    hv_multicall(calls, ARRAY_SIZE(calls));
}

static void pin_unpin(void) {
    static uint64_t *l1;

    if (!l1) {
        l1 = page_alloc();
        for (unsigned i = 0; i < 512; i++)
            l1[i] = pte;
        page_protect(l1);
    }
    mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(l1));
    mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l1));
}

static void page_fault(void) {
    struct probe p;

    probe_read(&p, (void *)(SCRATCH_VA + PAGE_SIZE), NULL);
}

static void user_syscall(void) {
    struct regs regs;
    struct probe p;

    user_regs_init(&regs, USER_VA, USER_VA + 0x800);
    user_run(&p, &regs);
}

static bool ignore(struct regs *regs) {
    (void)regs;
    return true;
}

static void count_event(unsigned which) {
    (void)which;
    seen++;
}

static const struct {
    const char *name;
    void (*run)(void);
    unsigned each; /* operations in one run */
} benches[] = {
    {"null_hypercall", null_hypercall, 1},
    {"xen_version", version_hypercall, 1},
    {"clock", read_clock, 1},
    {"multicall_entry", multicall, 32},
    {"stack_switch", stack_switch, 1},
    {"set_segment_base", segment_base, 1},
    {"yield", yield, 1},
    {"trap_return", breakpoint, 1},
    {"page_fault_probe", page_fault, 1},
    {"user_syscall", user_syscall, 1},
    {"event_self", send_event, 1},
    {"event_masked", send_masked, 1},
    {"mmu_update_1", update_one, 1},
    {"mmu_update_of_32", update_batch, 32},
    {"update_va_mapping", update_va, 1},
    {"pte_write_by_trap", update_by_trap, 1},
    {"pin_unpin_l1_full", pin_unpin, 1},
    {"new_baseptr", switch_root, 1},
    {"tlb_flush_local", flush, 1},
    {"invlpg_local", invlpg, 1},
    {"read_cr0", read_cr0, 1},
    {"forced_cpuid", forced_cpuid, 1},
};

static void measure(const char *name, void (*run)(void), unsigned each) {
    uint64_t tsc, start, ns;
    unsigned long n = rounds < each ? 1 : rounds / each;

    run();
    start = clock_now();
    tsc = rdtsc();
    for (unsigned long i = 0; i < n; i++)
        run();
    tsc = rdtsc() - tsc;
    ns = clock_now() - start;
    printf("BENCH %-18s %8lu ns %8lu cycles\n", name, ns / (n * each), tsc / (n * each));
}

static volatile unsigned ping, pong;
static unsigned ping_port, pong_port;

static void on_ping(unsigned which) {
    (void)which;
    ping++;
    event_send(pong_port);
}

static void on_pong(unsigned which) {
    (void)which;
    pong++;
}

static void sleeper(void *arg) {
    (void)arg;
    pong_port = (unsigned)event_bind_ipi(0);
    event_set_handler(pong_port, on_pong);
    event_unmask(pong_port);
    ping_port = (unsigned)event_bind_ipi(1);
    event_set_handler(ping_port, on_ping);
    event_unmask(ping_port);
    pong = 1;
    for (;;)
        hv_sched_op(SCHEDOP_block, NULL);
}

static void ping_pong(void) {
    unsigned before = pong;

    event_send(ping_port);
    while (pong == before)
        cpu_relax();
}

static void bench_two_vcpus(void) {
    if (cpu_count_possible() < 2) {
        test_skip("two_vcpus", "this domain has one vCPU");
        return;
    }
    if (cpu_start(1, sleeper, NULL) || !clock_wait_for(&pong, 5 * SECOND)) {
        test_fail("two_vcpus", "the second did not start");
        return;
    }
    measure("ping_pong_blocked", ping_pong, 1);
}

/* A root with the low half of the kernel's, as common kernels give their user mode. */
static uint64_t *user_root(void) {
    uint64_t *root = pt_new_root(false);

    for (unsigned slot = 0; slot < 256; slot++)
        if (pt_root()[slot] & PTE_P)
            pt_write(&root[slot], pt_root()[slot]);
    return root;
}

void kernel_main(void) {
    void *page = page_alloc();

    rounds = cmdline_number("rounds", 2000);
    entry = pt_make(SCRATCH_VA);
    pte = virt_to_machine(page) | PTE_KERNEL;
    pt_make(SCRATCH_VA + PAGE_SIZE);
    port = (unsigned)event_bind_ipi(0);
    masked_port = (unsigned)event_bind_ipi(0);
    event_set_handler(port, count_event);
    event_unmask(port);
    trap_set_handler(TRAP_BP, ignore);
    user_map_code(pt_root(), USER_VA, bench_user_syscall, (size_t)(bench_user_end - bench_user_syscall));
    mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(user_root()));
    for (unsigned i = 0; i < ARRAY_SIZE(benches); i++)
        measure(benches[i].name, benches[i].run, benches[i].each);
    bench_two_vcpus();
    test_check("bench.events", seen >= rounds, "%u of %lu", seen, rounds);
}
