// SPDX-License-Identifier: MIT
/*
 * Interrupts that really come: by lines and messages of QEMU's device for education (edu: any number written to a
 * register is an interrupt till it is taken back by another), messages of a network card's table, and the battery
 * clock's edges.
 */
#include "devices.h"

#include <xen/errno.h>

#define EDU 0x11e81234U
#define EDU_VA SCRATCH_VA
#define EDU_STATUS 0x24
#define EDU_RAISE 0x60
#define EDU_LOWER 0x64
#define NIC 0x10d38086U /* e1000e */
#define NIC_VA (SCRATCH_VA + 0x100000)
#define CAP_MSI 0x05
#define CAP_MSIX 0x11
#define FIRST_LINE 16
#define END_LINE 24
#define WAIT (5 * SECOND)
#define A_WHILE (50 * MILLISECOND)

static volatile unsigned hits, hit_port, hit_cpu;

static void on_hit(unsigned port) {
    hit_port = port;
    hit_cpu = cpu_this()->id;
    __atomic_add_fetch(&hits, 1, __ATOMIC_SEQ_CST);
}

static bool wait_hit(void) {
    bool hit = clock_wait_for(&hits, WAIT);

    hits = 0;
    return hit;
}

/* None comes in a while. */
static bool quiet(void) {
    uint64_t end = clock_now() + A_WHILE;

    while (!hits && clock_now() < end)
        clock_sleep(MILLISECOND);
    return !hits;
}

/* What was still under way has come. */
static void settle(void) {
    while (!quiet())
        hits = 0;
}

static unsigned listen(long pirq) {
    long port = event_bind_pirq((unsigned)pirq);

    if (port <= 0)
        return 0;
    event_set_handler((unsigned)port, on_hit);
    event_unmask((unsigned)port);
    pirq_eoi((unsigned)pirq);
    return (unsigned)port;
}

/* --- edu --- */

static unsigned edu;

static uint32_t edu_read(unsigned reg) {
    return *(volatile uint32_t *)(EDU_VA + reg);
}
static void edu_write(unsigned reg, uint32_t value) {
    *(volatile uint32_t *)(EDU_VA + reg) = value;
}
static void edu_raise(void) {
    edu_write(EDU_RAISE, 1);
}
static void edu_lower(void) {
    edu_write(EDU_LOWER, edu_read(EDU_STATUS));
}

static bool find_edu(void) {
    edu = pci_find(EDU);
    if (edu == NONE)
        return false;
    pci_enable(edu);
    test_equal("edu.map", pt_map(EDU_VA, (pci_read(edu, 0x10) & ~0xfU) >> PAGE_SHIFT, PTE_KERNEL | PTE_PCD | PTE_PWT),
               0);
    test_equal("edu.identity", edu_read(0) & 0xffff, 0xed);
    return true;
}

/* --- lines --- */

static unsigned port_of[END_LINE];

#define Q35 0x29c08086U

/* Level-triggered; low on q35, whose lines from 16 on are PCI's alone. */
static void listen_to(unsigned line, uint8_t low) {
    struct physdev_setup_gsi s = {(int)line, 1, low};

    if (map_line((int)line, (int)line) == (long)line && !hv_physdev_op(PHYSDEVOP_setup_gsi, &s))
        port_of[line] = listen(line);
}

/* Which line it is, ACPI's code would tell: all that it can be are listened to. 0: none. */
static unsigned find_line(void) {
    if (pci_read(0, 0) == Q35) {
        for (unsigned line = FIRST_LINE; line < END_LINE; line++)
            listen_to(line, 1);
    } else {
        listen_to(pci_read(edu, 0x3c) & 15, 0); /* as the firmware set it up for the old interrupt controller */
    }
    edu_raise();
    if (wait_hit())
        for (unsigned line = 0; line < END_LINE; line++)
            if (port_of[line] == hit_port)
                return line;
    return 0;
}

static void check_level(unsigned line) {
    test_check("level.once", quiet(), "it came again without an EOI");
    test_check("level.wants_eoi", wants_eoi(line), "the map says that it wants none");
    test_equal("level.eoi", pirq_eoi(line), 0);
    test_check("level.still_up", wait_hit(), "the line is up, and nothing came");
    edu_lower();
    hits = 0; /* a hypervisor that brings it again without an EOI (level.once) may have done so until now */
    test_equal("level.eoi", pirq_eoi(line), 0);
    test_check("level.down", quiet(), "the line is down, and something came");
    for (unsigned i = 0; i < 100; i++) {
        edu_raise();
        if (!test_check("level.again", wait_hit(), "nothing came the %uth time", i))
            break;
        edu_lower();
        pirq_eoi(line);
    }
}

static void check_masked(unsigned line) {
    unsigned port = port_of[line];

    event_mask(port);
    edu_raise();
    test_check("masked", quiet(), "it came through the mask");
    test_check("masked.pending", event_is_pending(port), "no event waits");
    event_unmask(port);
    test_check("masked.unmask", wait_hit(), "nothing came after the mask");
    event_mask(port);
    hits = 0;       /* as above */
    pirq_eoi(line); /* up, and nobody looks: the CPU goes on */
    test_check("masked.eoi", quiet(), "it came through the mask");
    edu_lower();
    event_clear(port);
    event_unmask(port);
    pirq_eoi(line);
    hits = 0;
    test_check("masked.over", quiet(), "the line is down, and something came");
}

static void check_closed(unsigned line) {
    test_equal("closed", event_close(port_of[line]), 0);
    edu_raise();
    test_check("closed.quiet", quiet(), "it came to a closed port");
    port_of[line] = listen(line);
    test_check("closed.bound_again", wait_hit(), "the line is up, and nothing came");
    edu_lower();
    pirq_eoi(line);
    hits = 0;
}

static void check_line(void) {
    unsigned line = find_line();

    if (!test_check("line", line, "no line is edu's"))
        return;
    check_level(line);
    check_masked(line);
    check_closed(line);
    for (line = 0; line < END_LINE; line++)
        if (port_of[line])
            event_close(port_of[line]);
}

/* --- messages --- */

/* The bit of the control register that switches a capability on. Some hypervisors look at accesses of its size only. */
#define MESSAGE_ON 0x0001
#define TABLE_ON 0x8000

static void switch_messages(unsigned devfn, unsigned cap, unsigned bit, bool on) {
    unsigned control = pci_read(devfn, cap) >> 16;

    pci_write16(devfn, cap + 2, (uint16_t)(on ? control | bit : control & ~bit));
}

static void raise_many(const char *name) {
    for (unsigned i = 0; i < 100; i++) {
        edu_raise();
        if (!test_check(name, wait_hit(), "nothing came the %uth time", i))
            return;
        edu_lower();
    }
}

static void check_message(void) {
    unsigned cap = pci_capability(edu, CAP_MSI), port;
    long pirq;

    test_equal("message.unknown_device", map_message(edu, 0, 0), -XEN_ENODEV);
    test_equal("message.tell", tell_device(edu), 0);
    test_equal("message.no_table", map_message(edu, 0, 0x1000), -XEN_ENODEV);
    pirq = map_message(edu, 0, 0);
    if (!test_check("message.map", pirq > END_LINE, "%ld", pirq))
        return;
    test_check("message.address", pci_read(edu, cap + 4) >> 20 == 0xfee, "%x", pci_read(edu, cap + 4));
    switch_messages(edu, cap, MESSAGE_ON, true);
    port = listen(pirq);
    test_check("message.bind", port, "no port");
    raise_many("message.comes");
    event_mask(port);
    edu_raise();
    test_check("message.masked", quiet(), "it came through the mask");
    edu_lower();
    event_unmask(port);
    test_check("message.unmasked", wait_hit(), "it was lost");
    switch_messages(edu, cap, MESSAGE_ON, false);
    test_equal("message.close", event_close(port), 0);
    test_equal("message.unmap", unmap_pirq((int)pirq), 0);
    test_equal("message.unmap_again", unmap_pirq((int)pirq), -XEN_EINVAL);
}

static void check_several(void) {
    struct physdev_map_pirq m = {.domid = DOMID_SELF,
                                 .type = MAP_PIRQ_TYPE_MULTI_MSI,
                                 .index = -1,
                                 .pirq = -1,
                                 .devfn = (int)edu,
                                 .entry_nr = 2};

    test_equal("message.several", map_pirq(&m), -XEN_EOPNOTSUPP);
}

/* --- a table of messages --- */

enum nic_reg { NIC_CAUSE = 0xc0, NIC_SET_CAUSE = 0xc8, NIC_ALLOW = 0xd0, NIC_VECTORS = 0xe4 };
#define NIC_OTHER (1U << 24)
#define NIC_LINK (1U << 2)
#define NIC_OTHER_BY_1 (1U << 16 | 1U << 19)

static unsigned nic;

static void nic_write(enum nic_reg reg, uint32_t value) {
    *(volatile uint32_t *)(NIC_VA + reg) = value;
}

static void nic_raise(void) {
    nic_write(NIC_SET_CAUSE, NIC_OTHER | NIC_LINK);
}
static void nic_lower(void) {
    nic_write(NIC_CAUSE, NONE); /* ones clear it */
}

static void second(void *arg) {
    (void)arg;
    for (;;)
        clock_sleep(SECOND);
}

static void check_moved(unsigned port) {
    if (cpu_start(1, second, NULL)) {
        test_skip("table.moved", "one vCPU");
        return;
    }
    settle();
    test_equal("table.move", event_bind_vcpu(port, 1), 0);
    nic_raise();
    test_check("table.moved", wait_hit() && hit_cpu == 1, "it came to vCPU %u", hit_cpu);
    nic_lower();
    settle();
    test_equal("table.move_back", event_bind_vcpu(port, 0), 0);
    nic_raise();
    test_check("table.moved_back", wait_hit() && hit_cpu == 0, "it came to vCPU %u", hit_cpu);
    nic_lower();
}

static void check_table_events(unsigned cap, long pirq) {
    unsigned port = listen(pirq);

    test_check("table.bind", port, "no port");
    switch_messages(nic, cap, TABLE_ON, true);
    for (unsigned i = 0; i < 10; i++) {
        nic_raise();
        if (!test_check("table.comes", wait_hit(), "nothing came the %uth time", i))
            return;
        nic_lower();
    }
    check_moved(port);
    settle();
    test_equal("table.close", event_close(port), 0);
    nic_raise();
    test_check("table.closed", quiet(), "it came to a closed port");
    nic_lower();
}

static void check_table(void) {
    struct physdev_pci_device here = {.devfn = (uint8_t)nic};
    unsigned cap = pci_capability(nic, CAP_MSIX);
    uint64_t table = pci_read(nic, 0x1c) & ~0xfU;
    long pirq;

    pci_enable(nic);
    for (unsigned i = 0; i < 32; i++)
        test_equal("table.registers",
                   pt_map(NIC_VA + i * PAGE_SIZE, ((pci_read(nic, 0x10) & ~0xfU) >> PAGE_SHIFT) + i,
                          PTE_KERNEL | PTE_PCD | PTE_PWT),
                   0);
    test_equal("table.tell", tell_device(nic), 0);
    test_equal("table.prepare", hv_physdev_op(PHYSDEVOP_prepare_msix, &here), 0);
    test_equal("table.release", hv_physdev_op(PHYSDEVOP_release_msix, &here), 0);
    test_equal("table.entry_beyond", map_message(nic, 5, table), -XEN_EINVAL);
    pirq = map_message(nic, 1, table);
    if (!test_check("table.map", pirq > END_LINE, "%ld", pirq))
        return;
    nic_write(NIC_VECTORS, NIC_OTHER_BY_1);
    nic_write(NIC_ALLOW, NIC_OTHER | NIC_LINK);
    check_table_events(cap, pirq);
    test_equal("table.restore", hv_physdev_op(PHYSDEVOP_restore_msi_ext, &here), 0);
    switch_messages(nic, cap, TABLE_ON, false);
    test_equal("table.unmap", unmap_pirq((int)pirq), 0);
}

/* --- the battery clock: edges --- */

#define CLOCK_LINE 8
#define CLOCK_A 10
#define CLOCK_B 11
#define CLOCK_C 12
#define CLOCK_PERIODIC 0x40
#define CLOCK_64_HZ 0x2a

static uint8_t clock_reg(uint8_t reg) {
    port_out8(0x70, reg);
    return port_in8(0x71);
}
static void set_clock_reg(uint8_t reg, uint8_t value) {
    port_out8(0x70, reg);
    port_out8(0x71, value);
}

static void check_edges(void) {
    uint8_t a = clock_reg(CLOCK_A), b = clock_reg(CLOCK_B);
    unsigned port;

    test_equal("edge.map", map_line(CLOCK_LINE, CLOCK_LINE), CLOCK_LINE);
    port = listen(CLOCK_LINE);
    test_check("edge.bind", port, "no port");
    set_clock_reg(CLOCK_A, CLOCK_64_HZ);
    set_clock_reg(CLOCK_B, b | CLOCK_PERIODIC);
    clock_reg(CLOCK_C);
    for (unsigned i = 0; i < 20; i++) {
        if (!test_check("edge.comes", wait_hit(), "nothing came the %uth time", i))
            break;
        clock_reg(CLOCK_C);
    }
    test_check("edge.wants_no_eoi", !wants_eoi(CLOCK_LINE), "the map wants an EOI");
    set_clock_reg(CLOCK_B, b);
    set_clock_reg(CLOCK_A, a);
    clock_reg(CLOCK_C);
    test_equal("edge.close", event_close(port), 0);
}

void check_interrupts(void) {
    if (find_edu()) {
        check_line();
        check_message();
        check_several();
    } else {
        test_skip("line", "no edu device");
    }
    nic = pci_find(NIC);
    if (nic != NONE)
        check_table();
    else
        test_skip("table", "no e1000e card");
    check_edges();
}
