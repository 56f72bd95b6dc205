// SPDX-License-Identifier: MIT
/*
 * Privileged instructions in the kernel: those the hypervisor carries out, and those it turns into #GP.
 */
#include "basics.h"

#include <xen/physdev.h>

#define CODE(name)                                                                                                     \
    void name(void *arg);                                                                                              \
    extern uint8_t name##_at[]
CODE(code_cli);
CODE(code_sti);
CODE(code_swapgs);
CODE(code_lidt);
CODE(code_ltr);
CODE(code_forced_nop);

#define MSR_EFER 0xc0000080
#define MSR_FS_BASE 0xc0000100

struct cpuid {
    uint32_t a, b, c, d;
};

static struct cpuid cpuid_forced(uint32_t leaf) {
    struct cpuid r;

    __asm__ volatile("ud2\n\t.ascii \"xen\"\n\tcpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "0"(leaf), "2"(0));
    return r;
}

static struct cpuid cpuid_plain(uint32_t leaf) {
    struct cpuid r;

    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "0"(leaf), "2"(0));
    return r;
}

static void check_cpuid(void) {
    struct cpuid r = cpuid_forced(0x40000000), vendor = cpuid_forced(0), plain = cpuid_plain(0);
    struct probe p;

    test_check("cpuid.signature", !memcmp(&r.b, "XenVMMXenVMM", 12) && r.a >= 0x40000002, "max 0x%x %x %x %x", r.a, r.b,
               r.c, r.d);
    r = cpuid_forced(0x40000001);
    test_equal("cpuid.version", r.a, hv_xen_version(XENVER_version, NULL));
    test_check("cpuid.vendor", vendor.b == plain.b && vendor.c == plain.c, "%x and %x", vendor.b, plain.b);
    r = cpuid_forced(1);
    test_check("cpuid.features", (r.d & 0x07808111) == 0x07808111, "edx 0x%x", r.d);
    r = cpuid_forced(0x80000001);
    test_check("cpuid.long_mode", r.d >> 29 & 1, "edx 0x%x", r.d);
    probe_run(&p, code_forced_nop, NULL);
    if (expect_trap("cpuid.prefix_on_other", &p, TRAP_UD, 0) && p.regs.rip != ARG(code_forced_nop_at))
        test_fail("cpuid.prefix_on_other", "rip 0x%lx, expected %p", p.regs.rip, code_forced_nop_at);
}

struct msr {
    uint32_t number;
    uint64_t value;
};

static void do_rdmsr(void *arg) {
    struct msr *m = arg;
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(m->number));
    m->value = (uint64_t)high << 32 | low;
}

static void do_wrmsr(void *arg) {
    const struct msr *m = arg;

    __asm__ volatile("wrmsr" ::"c"(m->number), "a"((uint32_t)m->value), "d"((uint32_t)(m->value >> 32)));
}

static void check_msrs(void) {
    struct msr efer = {MSR_EFER, 0}, fs = {MSR_FS_BASE, 0x123456789000}, back = {MSR_FS_BASE, 0}, bad = {0xdeadbeef, 0};
    struct probe p;

    probe_run(&p, do_rdmsr, &efer);
    test_check("msr.read_efer", !p.trapped && (efer.value & 0x500) == 0x500, "0x%lx, %s", efer.value,
               probe_describe(&p));
    probe_run(&p, do_wrmsr, &fs);
    expect_no_trap("msr.write_fs_base", &p);
    probe_run(&p, do_rdmsr, &back);
    test_check("msr.read_fs_base", !p.trapped && back.value == fs.value, "0x%lx, %s", back.value, probe_describe(&p));
    hv_set_segment_base(SEGBASE_FS, 0);
    probe_run(&p, do_rdmsr, &bad);
    expect_trap("msr.read_unknown", &p, TRAP_GP, 0);
    probe_run(&p, do_wrmsr, &bad);
    expect_trap("msr.write_unknown", &p, TRAP_GP, 0);
    fs.value = 1UL << 63;
    probe_run(&p, do_wrmsr, &fs);
    expect_trap("msr.write_noncanonical", &p, TRAP_GP, 0);
}

/* Kernels ask for an I/O privilege level of 1 before they use ports at all. */
static long set_iopl(unsigned iopl) {
    struct physdev_set_iopl op = {.iopl = iopl};

    return hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &op);
}

/* Domains without the right to ports read all ones; so does everybody where no device is. */
static void check_ports(void) {
    uint8_t byte = 0;
    uint16_t word = 0;
    uint32_t dword = 0;

    test_equal("port.set_iopl", set_iopl(1), 0);
    test_equal("port.set_iopl_bad", set_iopl(4), -XEN_EINVAL);
    __asm__ volatile("inb %w1, %0" : "+a"(byte) : "d"(0x1ff0));
    __asm__ volatile("inw %w1, %0" : "+a"(word) : "d"(0x1ff0));
    __asm__ volatile("inl %w1, %0" : "+a"(dword) : "d"(0x1ff0));
    test_check("port.in_nothing", byte == 0xff && word == 0xffff && dword == ~0U, "%x %x %x", byte, word, dword);
    __asm__ volatile("outb %0, $0x80" ::"a"((uint8_t)0));
    test_pass("port.out_ignored");
}

static void do_clear_pe(void *arg) {
    unsigned long cr0;

    (void)arg;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" ::"r"(cr0 & ~1UL));
}

static void check_control_registers(void) {
    unsigned long cr0, cr2, cr3, cr4;
    struct probe p;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    test_check("cr0.read", (cr0 & 0x80010001) == 0x80010001 && !(cr0 & 8), "0x%lx", cr0);
    probe_read(&p, (void *)(SCRATCH_VA + 0x7770), NULL);
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    test_equal("cr2.read", (long)cr2, (long)(SCRATCH_VA + 0x7770));
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    test_equal("cr3.read", (long)cr3, (long)xen_pfn_to_cr3(virt_to_mfn(pt_root())));
    __asm__ volatile("mov %0, %%cr3" ::"r"(cr3) : "memory");
    test_pass("cr3.write_same");
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    test_check("cr4.read", cr4 & 0x20, "0x%lx", cr4);
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
    test_pass("cr4.write_same");
    __asm__ volatile("mov %0, %%cr0" ::"r"(cr0 | 8));
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    test_check("cr0.write_ts", cr0 & 8, "0x%lx", cr0);
    __asm__ volatile("clts");
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    test_check("cr0.clts", !(cr0 & 8), "0x%lx", cr0);
    probe_run(&p, do_clear_pe, NULL);
    expect_trap("cr0.clear_pe", &p, TRAP_GP, 0);
}

/* CLI and STI are carried out as nothing: the upcall mask is the interrupt flag here. */
static void check_refused(void) {
    struct probe p;

    probe_run(&p, code_swapgs, NULL);
    expect_trap("refused.swapgs", &p, TRAP_GP, 0);
    probe_run(&p, code_lidt, NULL);
    expect_trap("refused.lidt", &p, TRAP_GP, 0);
    probe_run(&p, code_ltr, NULL);
    test_check("refused.ltr", p.trapped && p.vector == TRAP_GP, "%s", probe_describe(&p));
    probe_run(&p, code_cli, NULL);
    expect_no_trap("ignored.cli", &p);
    probe_run(&p, code_sti, NULL);
    expect_no_trap("ignored.sti", &p);
    test_equal("ignored.upcall_mask", cpu_this()->info->evtchn_upcall_mask, 0);
}

/* POPF cannot change IF here, silently: kernels use the upcall mask instead. */
static void check_popf(void) {
    unsigned long flags;

    __asm__ volatile("pushfq\n\tandq $~0x200, (%%rsp)\n\tpopfq\n\tpushfq\n\tpop %0" : "=r"(flags)::"memory", "cc");
    test_check("popf.keeps_if", flags & RFLAGS_IF, "flags 0x%lx", flags);
}

#define LONG_VA (SCRATCH_VA + (40UL << 39)) /* a slot of the root nothing else uses */
#define LONG_TABLES 128U

static void *protected_page(void) {
    void *page = page_alloc();

    if (page_protect(page))
        panic("a page stays writable");
    return page;
}

static uint64_t entry_of(const void *page, uint64_t flags) {
    return virt_to_machine(page) | flags;
}

static void *full_table(const void *page) {
    uint64_t *table = page_alloc();

    for (unsigned i = 0; i < 512; i++)
        table[i] = entry_of(page, PTE_KERNEL_RO);
    page_protect(table);
    return table;
}

/* A root whose tables take long to look at, and were never looked at yet: `tables` is an L2, an L3, and the L1s. */
static uint64_t *long_root(uint64_t **tables, const void *page) {
    uint64_t *root = page_alloc();

    tables[0] = page_alloc();
    tables[1] = page_alloc();
    for (unsigned i = 0; i < LONG_TABLES; i++)
        tables[0][i] = entry_of(tables[2 + i] = full_table(page), PTE_TABLE);
    tables[1][pt_index(LONG_VA, 3)] = entry_of(tables[0], PTE_TABLE);
    for (unsigned slot = 272; slot < 512; slot++)
        root[slot] = pt_root()[slot];
    root[pt_index(LONG_VA, 4)] = entry_of(tables[1], PTE_TABLE);
    page_protect(tables[0]);
    page_protect(tables[1]);
    page_protect(root);
    return root;
}

static void do_load_cr3(void *cr3) {
    __asm__ volatile("mov %0, %%cr3" ::"r"(cr3) : "memory");
}

static unsigned events_before, events_after;

static void do_load_cr3_counting(void *cr3) {
    events_before = event_count();
    do_load_cr3(cr3);
    events_after = event_count();
}

/* A timer ends the instruction in the middle of its work: it is executed again after the event. When its work begins is
 * not known, so later timers are tried until one has met it. */
static void check_long_cr3(void) {
    static uint64_t *tables[2 + LONG_TABLES];
    uint64_t *page = protected_page(), *root = long_root(tables, page);
    uint64_t wait = MILLISECOND / 50;
    bool freed = true;
    struct probe p;

    do {
        do_load_cr3((void *)xen_pfn_to_cr3(virt_to_mfn(pt_root())));
        hv_set_timer_op(clock_now() + wait);
        probe_run(&p, do_load_cr3_counting, (void *)xen_pfn_to_cr3(virt_to_mfn(root)));
        wait += wait / 4;
    } while (!p.trapped && events_before == events_after && wait < SECOND);
    expect_no_trap("cr3.long", &p);
    test_check("cr3.long_interrupted", events_before != events_after, "no timer met the instruction");
    test_equal("cr3.long_in_force", *(volatile long *)(LONG_VA + (LONG_TABLES * 512UL - 1) * PAGE_SIZE), 0);
    do_load_cr3((void *)xen_pfn_to_cr3(virt_to_mfn(pt_root())));
    freed = !page_unprotect(root) && !page_unprotect(page);
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++)
        freed = !page_unprotect(tables[i]) && freed;
    test_check("cr3.long_over", freed, "a table is still in use");
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++)
        page_free(memset(tables[i], 0, PAGE_SIZE));
    page_free(page);
    page_free(memset(root, 0, PAGE_SIZE));
}

void check_emulation(void) {
    check_cpuid();
    check_msrs();
    check_ports();
    check_control_registers();
    check_long_cr3();
    check_refused();
    check_popf();
}
