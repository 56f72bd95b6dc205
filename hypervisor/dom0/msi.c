// SPDX-License-Identifier: MIT
/*
 * Messages of PCI devices in place of interrupt lines: where a device keeps them (MSI: in its configuration space;
 * MSI-X: in a table in its memory), writing and masking them. Switching the whole capability on and off is the control
 * domain's. The vector is the same on all CPUs, so that moving a message to another one is one write.
 */
#include "internal.h"

#include <pv/mm.h>

enum pci_register {
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_BAR0 = 0x10,
    PCI_CAPABILITIES = 0x34,
};
#define PCI_COMMAND_MEMORY 0x2
#define PCI_STATUS_CAPABILITIES 0x10
#define PCI_CAP_FIRST 0x40
#define PCI_CAP_MSI 0x05
#define PCI_CAP_MSIX 0x11
#define NR_BARS 6

enum msi_control { MSI_ENABLE = 1 << 0, MSI_COUNT = 7 << 4, MSI_WIDE = 1 << 7, MSI_MASKABLE = 1 << 8 };
enum msi_register { MSI_CONTROL = 2, MSI_ADDRESS = 4, MSI_ADDRESS_HIGH = 8, MSI_DATA = 8, MSI_MASK = 12 };
#define MSI_WIDER 4 /* how much further the registers behind the address are if it has 64 bits */

#define MSIX_SIZE 0x7ff
#define MSIX_TABLE 4 /* the register: BAR in bits 0-2, offset above */
#define MSIX_ENTRY_BYTES 16
enum msix_word { MSIX_ADDRESS, MSIX_ADDRESS_HIGH, MSIX_DATA, MSIX_CONTROL };
#define MSIX_MASKED 1u

#define BAR_IO 0x1
#define BAR_TYPE 0x6
#define BAR_64 0x4
#define BAR_ADDRESS 0xfffffff0u

/* Fixed delivery, edge, to one CPU by its APIC number. */
static u32 message_address(u32 apic_id) {
    return 0xfee00000u | apic_id << 12;
}

/* A capability's register, 0: none. A list that runs in circles has an end here. */
static u16 find_capability(struct pci_address a, u8 id) {
    u32 at;

    if (pci_read(a, PCI_STATUS, 2) == 0xffff || !(pci_read(a, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
        return 0;
    at = pci_read(a, PCI_CAPABILITIES, 1) & 0xfc;
    for (u32 i = 0; at >= PCI_CAP_FIRST && i < 48; i++) {
        if (pci_read(a, at, 1) == id)
            return (u16)at;
        at = pci_read(a, at + 1, 1) & 0xfc;
    }
    return 0;
}

bool msi_has_table(struct pci_address a) {
    return find_capability(a, PCI_CAP_MSIX);
}

/* The machine address in a base address register, 0: none in memory. */
static u64 read_bar(struct pci_address a, u32 n) {
    u32 low = n < NR_BARS ? pci_read(a, PCI_BAR0 + 4 * n, 4) : 0;
    u64 high = 0;

    if (!low || low == ~0u || low & BAR_IO)
        return 0;
    if ((low & BAR_TYPE) == BAR_64 && n + 1 < NR_BARS)
        high = (u64)pci_read(a, PCI_BAR0 + 4 * n + 4, 4) << 32;
    return high | (low & BAR_ADDRESS);
}

static bool has_memory(struct pci_address a) {
    u32 command = pci_read(a, PCI_COMMAND, 2);

    return command != 0xffff && command & PCI_COMMAND_MEMORY;
}

/* A device's memory is where the control domain put it, and must be what it could map itself. */
static int map_entry(const struct msi_request *r, struct msi *m) {
    u32 table = pci_read(r->device, m->cap + MSIX_TABLE, 4);
    u64 bar = read_bar(r->device, table & 7), at = bar + (table & ~7u) + m->entry * MSIX_ENTRY_BYTES;

    if (!bar || bar != r->table_base || !has_memory(r->device) || !dom0_is_device(maddr_to_mfn(maddr(at))))
        return -ENXIO;
    m->regs = pci_map_memory(at, MSIX_ENTRY_BYTES);
    return m->regs ? 0 : -ENXIO;
}

int msi_find(const struct msi_request *r, struct msi *m) {
    u32 control;

    *m = (struct msi){.device = r->device, .cap = find_capability(r->device, r->table ? PCI_CAP_MSIX : PCI_CAP_MSI)};
    if (!m->cap)
        return -ENODEV;
    control = pci_read(m->device, m->cap + MSI_CONTROL, 2);
    if (!r->table) {
        m->wide = control & MSI_WIDE;
        m->maskable = control & MSI_MASKABLE;
        return 0;
    }
    if (r->entry < 0 || (u32)r->entry > (control & MSIX_SIZE))
        return -EINVAL;
    m->entry = (u16)r->entry;
    return map_entry(r, m);
}

static u32 msi_register(const struct msi *m, enum msi_register reg) {
    return m->cap + reg + (m->wide && reg > MSI_ADDRESS ? MSI_WIDER : 0u);
}

/* The memory may have been switched off since, and other things may lie where it was. */
static void write_entry(const struct msi *m, enum msix_word word, u32 value) {
    if (has_memory(m->device))
        m->regs[word] = value;
}

static void set_control(const struct msi *m, u32 clear, u32 set) {
    u32 control = pci_read(m->device, m->cap + MSI_CONTROL, 2);

    pci_write(m->device, m->cap + MSI_CONTROL, 2, (control & ~clear) | set);
}

void msi_set_message(const struct msi *m, u8 vector, u32 apic_id) {
    if (m->regs) {
        write_entry(m, MSIX_CONTROL, MSIX_MASKED);
        write_entry(m, MSIX_ADDRESS, message_address(apic_id));
        write_entry(m, MSIX_ADDRESS_HIGH, 0);
        write_entry(m, MSIX_DATA, vector);
        return;
    }
    set_control(m, MSI_COUNT, 0);
    pci_write(m->device, m->cap + MSI_ADDRESS, 4, message_address(apic_id));
    if (m->wide)
        pci_write(m->device, m->cap + MSI_ADDRESS_HIGH, 4, 0);
    pci_write(m->device, msi_register(m, MSI_DATA), 2, vector);
}

/* An entry of a table may change only while it is masked; what is due meanwhile comes afterwards. */
void msi_move(const struct msi *m, u32 apic_id) {
    u32 control;

    if (!m->regs) {
        pci_write(m->device, m->cap + MSI_ADDRESS, 4, message_address(apic_id));
        return;
    }
    control = has_memory(m->device) ? m->regs[MSIX_CONTROL] : MSIX_MASKED;
    write_entry(m, MSIX_CONTROL, MSIX_MASKED);
    write_entry(m, MSIX_ADDRESS, message_address(apic_id));
    write_entry(m, MSIX_CONTROL, control);
}

/* What has no mask bit is switched off. The driver has switched the line off with its own bit, so none takes over. */
void msi_mask(struct msi *m) {
    if (m->regs)
        write_entry(m, MSIX_CONTROL, MSIX_MASKED);
    else if (m->maskable)
        pci_write(m->device, msi_register(m, MSI_MASK), 4, 1);
    else if (pci_read(m->device, m->cap + MSI_CONTROL, 2) & MSI_ENABLE) {
        set_control(m, MSI_ENABLE, 0);
        m->cut = true;
    }
}

void msi_unmask(struct msi *m) {
    if (m->regs)
        write_entry(m, MSIX_CONTROL, 0);
    else if (m->maskable)
        pci_write(m->device, msi_register(m, MSI_MASK), 4, 0);
    else if (m->cut)
        set_control(m, 0, MSI_ENABLE);
    m->cut = false;
}

void msi_end(struct msi *m) {
    msi_mask(m);
    if (!m->regs)
        set_control(m, MSI_ENABLE, 0);
}
