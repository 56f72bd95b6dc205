// SPDX-License-Identifier: MIT
/* I/O ports and PCI configuration space by ports, and the checks of both. */
#include "devices.h"

#define ADDRESS 0xcf8
#define DATA 0xcfc
#define ENABLE 0x80000000U

uint8_t port_in8(uint16_t port) {
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
    return value;
}

uint32_t port_in32(uint16_t port) {
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "d"(port));
    return value;
}

void port_out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" ::"a"(value), "d"(port));
}

void port_out32(uint16_t port, uint32_t value) {
    __asm__ volatile("outl %0, %1" ::"a"(value), "d"(port));
}

uint32_t pci_read(unsigned devfn, unsigned reg) {
    port_out32(ADDRESS, ENABLE | devfn << 8 | reg);
    return port_in32(DATA);
}

void pci_write(unsigned devfn, unsigned reg, uint32_t value) {
    port_out32(ADDRESS, ENABLE | devfn << 8 | reg);
    port_out32(DATA, value);
}

void pci_write16(unsigned devfn, unsigned reg, uint16_t value) {
    port_out32(ADDRESS, ENABLE | devfn << 8 | (reg & 0xfc));
    __asm__ volatile("outw %0, %1" ::"a"(value), "d"((uint16_t)(DATA + (reg & 2))));
}

unsigned pci_find(uint32_t id) {
    for (unsigned devfn = 0; devfn < 256; devfn++)
        if (pci_read(devfn, 0) == id)
            return devfn;
    return NONE;
}

unsigned pci_capability(unsigned devfn, uint8_t id) {
    unsigned at = pci_read(devfn, 0x34) & 0xfc;

    for (unsigned i = 0; at && i < 48; i++) {
        uint32_t head = pci_read(devfn, at);

        if ((head & 0xff) == id)
            return at;
        at = head >> 8 & 0xfc;
    }
    return 0;
}

/* Memory, and being the master of the bus, which a message needs. */
void pci_enable(unsigned devfn) {
    pci_write(devfn, 4, 0x7);
}

static void check_pci(void) {
    uint32_t id, low;

    port_out32(ADDRESS, ENABLE | 0x1234);
    test_equal("pci.address", port_in32(ADDRESS), ENABLE | 0x1234);
    id = pci_read(0, 0);
    test_equal("pci.host_bridge", id & 0xffff, 0x8086);
    low = port_in8(DATA);
    test_equal("pci.byte", low, 0x86);
    test_equal("pci.byte", port_in8(DATA + 1), 0x80);
    test_equal("pci.byte", port_in8(DATA + 3), id >> 24);
    port_out32(ADDRESS, 0);
    test_equal("pci.disabled", port_in32(DATA), 0xffffffff);
    test_equal("pci.nobody", pci_read(0xf0, 0), 0xffffffff);
}

void check_ports(void) {
    static const uint16_t refused[] = {0x20, 0x21, 0xa0, 0xa1, 0x3f8, 0x3fd};

    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++)
        test_check("ports.refused", port_in8(refused[i]) == 0xff, "port %x reads %x", refused[i], port_in8(refused[i]));
    port_out8(0x80, 0x5a); /* the port for delays: nothing happens */
    test_check("ports.keyboard", port_in8(0x64) != 0xff, "no keyboard controller at port 0x64");
    check_pci();
}
