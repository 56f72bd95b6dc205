// SPDX-License-Identifier: MIT
/*
 * I/O ports, and PCI configuration space: by the ports 0xcf8 and 0xcfc where they reach, else by the windows that
 * ACPI's MCFG table tells of.
 */
#include "internal.h"
#include <pv/mm.h>
#include <pv/x86.h>

enum { PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc };
#define PCI_ENABLE BIT(31)
#define PORTS_REACH 256 /* registers of a function */
#define MMCFG_FUNCTION 4096

/* Guards the pair of ports, and the mapping of windows. */
static struct spinlock pci_lock = SPINLOCK_INIT(LOCK_DEVICE);

u32 platform_port_read(u16 port, u32 size) {
    switch (size) {
    case 1:
        return inb(port);
    case 2:
        return inw(port);
    default:
        return inl(port);
    }
}

void platform_port_write(u16 port, u32 size, u32 value) {
    switch (size) {
    case 1:
        outb(port, (u8)value);
        break;
    case 2:
        outw(port, (u16)value);
        break;
    default:
        outl(port, value);
    }
}

static void select_register(struct pci_address a, u32 reg) {
    outl(PCI_ADDRESS, (u32)PCI_ENABLE | (u32)a.bus << 16 | (u32)a.devfn << 8 | (reg & 0xfc));
}

static bool ports_reach(struct pci_address a, u32 reg) {
    return !a.seg && reg < PORTS_REACH;
}

/* The window's registers of a function, NULL: none. */
static volatile u8 *window_of(struct pci_address a) {
    for (u32 i = 0; i < platform.nr_mmcfgs; i++) {
        const struct platform_mmcfg *m = &platform.mmcfg[i];
        u64 at = m->address + ((u64)a.bus << 20 | (u64)a.devfn << 12);

        if (m->segment == a.seg && a.bus >= m->start_bus && a.bus <= m->end_bus)
            return mmio_try_map(maddr(at), MMCFG_FUNCTION);
    }
    return NULL;
}

static u32 window_read(const volatile u8 *p, u32 size) {
    if (size == 1)
        return *p;
    return size == 2 ? *(const volatile u16 *)p : *(const volatile u32 *)p;
}

static void window_write(volatile u8 *p, u32 size, u32 value) {
    if (size == 1)
        *p = (u8)value;
    else if (size == 2)
        *(volatile u16 *)p = (u16)value;
    else
        *(volatile u32 *)p = value;
}

static bool is_register(u32 reg, u32 size) {
    return (size == 1 || size == 2 || size == 4) && reg % 4 + size <= 4 && reg + size <= MMCFG_FUNCTION;
}

u32 pci_read(struct pci_address a, u32 reg, u32 size) {
    volatile u8 *window;
    u32 value = ~0u;

    if (!is_register(reg, size))
        return value;
    spin_lock(&pci_lock);
    if (ports_reach(a, reg)) {
        select_register(a, reg);
        value = platform_port_read((u16)(PCI_DATA + (reg & 3)), size);
    } else if ((window = window_of(a))) {
        value = window_read(window + reg, size);
    }
    spin_unlock(&pci_lock);
    return size == 4 ? value : value & ((1u << size * 8) - 1);
}

void pci_write(struct pci_address a, u32 reg, u32 size, u32 value) {
    volatile u8 *window;

    if (!is_register(reg, size))
        return;
    spin_lock(&pci_lock);
    if (ports_reach(a, reg)) {
        select_register(a, reg);
        platform_port_write((u16)(PCI_DATA + (reg & 3)), size, value);
    } else if ((window = window_of(a))) {
        window_write(window + reg, size, value);
    }
    spin_unlock(&pci_lock);
}

void *pci_map_memory(u64 address, size_t size) {
    void *p;

    spin_lock(&pci_lock);
    p = mmio_try_map(maddr(address), size);
    spin_unlock(&pci_lock);
    return p;
}
