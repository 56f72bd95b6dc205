// SPDX-License-Identifier: MIT
/*
 * Which I/O ports are the control domain's: all but those of devices that the hypervisor drives itself. The ports of
 * PCI configuration are its own in appearance: what it writes to the address port is kept, and put into the machine's
 * for the time of one access, so that the hypervisor can look at devices too.
 */
#include <pv/dom0.h>
#include <pv/console.h>
#include <pv/domain.h>
#include <pv/emul.h>
#include <pv/platform.h>

enum {
    PORT_PCI_ADDRESS = 0xcf8,
    PORT_PCI_DATA = 0xcfc,
    PORT_PCI_END = 0xd00,
};
#define PCI_ENABLE BIT(31)

static const struct {
    u16 first, last;
} refused[] = {
    {0x20, 0x21},   {0xa0, 0xa1}, /* 8259s: masked for good */
    {0x40, 0x43},   {0x61, 0x61}, /* PIT: guests calibrate by it, and emul_port_read() makes them give up at once */
    {0x4d0, 0x4d1},               /* how the 8259s' lines are triggered */
};

static bool is_refused(u16 port) {
    for (u32 i = 0; i < ARRAY_SIZE(refused); i++)
        if (port >= refused[i].first && port <= refused[i].last)
            return true;
    return console_owns_port(port);
}

static bool any_refused(u16 port, u32 size) {
    for (u32 i = 0; i < size; i++)
        if (is_refused((u16)(port + i)))
            return true;
    return false;
}

static bool is_pci_data(u16 port, u32 size) {
    return port >= PORT_PCI_DATA && port + size <= PORT_PCI_END;
}

static bool is_pci_address(u16 port, u32 size) {
    return port == PORT_PCI_ADDRESS && size == 4;
}

static bool touches_pci(u16 port, u32 size) {
    return port < PORT_PCI_END && port + size > PORT_PCI_ADDRESS;
}

bool dom0_port_forbidden(u16 port, u32 size) {
    return port + size > 0x10000 || any_refused(port, size) || touches_pci(port, size);
}

/* The function and register that an address means; bits 24-27 extend the register on some machines. */
static struct pci_address pci_function(u32 address) {
    return (struct pci_address){0, (u8)(address >> 16), (u8)(address >> 8)};
}
static u32 pci_register(u32 address, u16 port) {
    return (address >> 16 & 0xf00) | (address & 0xfc) | (port & 3);
}

static u32 *shadow(struct vcpu *v) {
    return &v->domain->pci_address;
}

static u32 pci_data_read(struct vcpu *v, u16 port, u32 size) {
    u32 address = *shadow(v);

    return address & PCI_ENABLE ? pci_read(pci_function(address), pci_register(address, port), size) : ~0u;
}

static void pci_data_write(struct vcpu *v, u16 port, u32 size, u32 value) {
    u32 address = *shadow(v);

    if (address & PCI_ENABLE)
        pci_write(pci_function(address), pci_register(address, port), size, value);
}

u32 dom0_port_read(struct vcpu *v, u16 port, u32 size) {
    if (is_pci_address(port, size))
        return *shadow(v);
    if (is_pci_data(port, size))
        return pci_data_read(v, port, size);
    if (port + size > 0x10000 || any_refused(port, size))
        return emul_port_read(port, size);
    return platform_port_read(port, size);
}

void dom0_port_write(struct vcpu *v, u16 port, u32 size, u32 value) {
    if (is_pci_address(port, size))
        *shadow(v) = value;
    else if (is_pci_data(port, size))
        pci_data_write(v, port, size, value);
    else if (port + size <= 0x10000 && !any_refused(port, size))
        platform_port_write(port, size, value);
}
