// SPDX-License-Identifier: MIT
/*
 * The machine: the reserved address range, MSRs, ports, and the calls that control other domains.
 */
#include "hostile.h"

#include <xen/platform.h>

static void attack_reserved_range(void) {
    uint64_t value;
    struct probe p;

    test_check("range.m2p_read", probe_read(&p, &machine_to_phys_mapping[pfn_to_mfn(3)], &value) && value == 3,
               "failed");
    probe_write(&p, &machine_to_phys_mapping[pfn_to_mfn(3)], 4);
    trapped("range.m2p_write", &p);
    for (unsigned i = 0; i < ARRAY_SIZE(reserved_addresses); i++) {
        probe_read(&p, (void *)reserved_addresses[i], NULL);
        trapped("range.read", &p);
        probe_write(&p, (void *)reserved_addresses[i], 0);
        trapped("range.write", &p);
        probe_jump(&p, reserved_addresses[i]);
        trapped("range.execute", &p);
        refused("range.map", hv_update_va_mapping(reserved_addresses[i], virt_to_machine(cpus) | PTE_KERNEL, 0));
    }
    refused("range.map_m2p", hv_update_va_mapping(HYPERVISOR_VIRT_START, virt_to_machine(cpus) | PTE_KERNEL, 0));
    /* What lies here differs between hypervisors. Looking must do no harm. */
    for (unsigned long va = 0xffff808000000000; va < 0xffff808000400000; va += PAGE_SIZE)
        probe_read(&p, (void *)va, NULL);
    test_pass("range.look_around");
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

static const struct {
    uint32_t from, to;
} msr_ranges[] = {{0, 0x200},
                  {0x200, 0x300},
                  {0x300, 0x500},
                  {0x600, 0x6ff},
                  {0x770, 0x840},
                  {0xc80, 0xc90},
                  {0xd90, 0xda2},
                  {0x40000000, 0x40000010},
                  {0xc0000080, 0xc0000090},
                  {0xc0000100, 0xc0000104},
                  {0xc0010000, 0xc0010140},
                  {0xc0011000, 0xc0011040}};

static void attack_msr_reads(void) {
    unsigned readable = 0, faults = 0;
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(msr_ranges); i++)
        for (uint32_t n = msr_ranges[i].from; n < msr_ranges[i].to; n++) {
            struct msr m = {n, 0};

            if (probe_run(&p, do_rdmsr, &m))
                readable++;
            else
                faults += p.vector == TRAP_GP;
        }
    test_check("msr.reads", readable + faults > 0 && faults > readable, "%u readable, %u faults", readable, faults);
    printf("INFO %u MSRs can be read\n", readable);
}

/* The ones a hypervisor lives on. Ignored or refused, both are good, as long as they keep their value. */
static void attack_msr_writes(void) {
    static const uint32_t numbers[] = {
        0x10,       0x1b,       0x3a,       0x174,      0x175,      0x176,      0x1a0,      0x1d9,     0x200,
        0x250,      0x277,      0x2ff,      0x38f,      0x600,      0x802,      0x830,      0x832,     0xc0000080,
        0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000103, 0xc0010015, 0xc0010114, 0xc0010117};
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        struct msr before = {numbers[i], 0}, junk = {numbers[i], 0}, after = {numbers[i], 0};
        bool was_readable = probe_run(&p, do_rdmsr, &before);

        for (unsigned bit = 0; bit < 64; bit += 9) {
            junk.value = 1UL << bit;
            probe_run(&p, do_wrmsr, &junk);
        }
        junk.value = 0;
        probe_run(&p, do_wrmsr, &junk);
        if (was_readable && numbers[i] != 0x10 && probe_run(&p, do_rdmsr, &after) && after.value != before.value)
            test_fail("msr.writes", "MSR 0x%x changed from 0x%lx to 0x%lx", numbers[i], before.value, after.value);
    }
    test_check("msr.system_calls_work", hv_xen_version(XENVER_pagesize, NULL) == 4096, "hypercalls are broken");
}

static void do_in(void *arg) {
    uint32_t *port = arg;

    __asm__ volatile("inb %w1, %b0" : "=a"(*port) : "d"(*port));
}

static void do_out(void *arg) {
    __asm__ volatile("outb %b0, %w1" ::"a"(0xfe), "d"(arg));
}

static void do_out_long(void *arg) {
    __asm__ volatile("outl %0, %w1" ::"a"(0x80000000), "d"(arg));
}

/* A privileged domain has the ports, and would only break its own machine. */
static void attack_ports(void) {
    unsigned answers = 0;
    struct probe p;

    if (is_control_domain()) {
        test_skip("port.sweep", "this domain may use ports");
        return;
    }
    for (uint32_t port = 0; port < 0x10000; port += port < 0x1000 ? 1 : 37) {
        uint32_t value = port;

        /* The PCI address register is emulated for all. */
        if (probe_run(&p, do_in, &value) && (value & 0xff) != 0xff && (port & ~7U) != 0xcf8)
            answers++;
        probe_run(&p, do_out, (void *)(unsigned long)port);
        if (port % 4 == 0)
            probe_run(&p, do_out_long, (void *)(unsigned long)port);
    }
    test_equal("port.sweep", answers, 0);
}

static void attack_console(void) {
    static char text[] = "hostile: \x1b[2J\r\n\x00(XEN) forged line\n";

    refused("console.unknown_command", hv_console_io(77, 1, text));
    if (is_privileged())
        return;
    test_equal("console.unprivileged", hv_console_io(CONSOLEIO_write, sizeof(text), text), -XEN_EPERM);
    test_equal("console.unprivileged_huge", hv_console_io(CONSOLEIO_write, ~0UL, text), -XEN_EPERM);
}

/* Buffers large enough for any of these structures, with no valid interface version. */
static void attack_control(void) {
    static uint64_t op[64];
    static const unsigned calls[] = {__HYPERVISOR_domctl, __HYPERVISOR_sysctl, __HYPERVISOR_platform_op,
                                     __HYPERVISOR_dm_op};
    unsigned worked = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++)
        for (unsigned cmd = 0; cmd < 100; cmd++) {
            memset(op, 0, sizeof(op));
            op[0] = (uint64_t)cmd | 1UL << 63;
            worked += hypercall1(calls[i], op) >= 0;
            op[0] = cmd | (uint64_t)0x15 << 32;
            if (!is_control_domain())
                worked += hypercall1(calls[i], op) >= 0;
        }
    test_equal("control.sweep", worked, 0);
    if (!is_control_domain())
        for (unsigned cmd = 0; cmd < 40; cmd++) {
            memset(op, 0, sizeof(op));
            op[0] = cmd | (uint64_t)XENPF_INTERFACE_VERSION << 32;
            worked += hypercall1(__HYPERVISOR_platform_op, op) >= 0;
        }
    test_equal("control.platform_op", worked, 0);
}

void attack_machine(void) {
    attack_reserved_range();
    attack_msr_reads();
    attack_msr_writes();
    attack_ports();
    attack_console();
    attack_control();
}
