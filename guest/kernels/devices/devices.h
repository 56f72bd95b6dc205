/* SPDX-License-Identifier: MIT */
/* What the files of the kernel `devices` share: I/O ports, PCI configuration space, and the calls for interrupts. */
#ifndef DEVICES_H
#define DEVICES_H

#include <sdk/sdk.h>
#include <xen/physdev.h>

#define NONE (~0U)

/* --- ports.c --- */
uint8_t port_in8(uint16_t port);
uint32_t port_in32(uint16_t port);
void port_out8(uint16_t port, uint8_t value);
void port_out32(uint16_t port, uint32_t value);
/* Of bus 0. */
uint32_t pci_read(unsigned devfn, unsigned reg);
void pci_write(unsigned devfn, unsigned reg, uint32_t value);
void pci_write16(unsigned devfn, unsigned reg, uint16_t value);
/* The function with these vendor and device numbers (device in the upper half), NONE: it is not there. */
unsigned pci_find(uint32_t id);
/* A capability's register, 0: none. */
unsigned pci_capability(unsigned devfn, uint8_t id);
void pci_enable(unsigned devfn);
void check_ports(void);

/* --- calls.c: errors, the same on every hypervisor --- */
long map_pirq(struct physdev_map_pirq *m);
/* A line: the pirq, or a negative errno. */
long map_line(int gsi, int pirq);
/* A message of a device on bus 0; table 0: MSI. */
long map_message(unsigned devfn, int entry, uint64_t table);
long unmap_pirq(int pirq);
long pirq_eoi(unsigned pirq);
long tell_device(unsigned devfn);
bool wants_eoi(unsigned pirq);
void check_calls(void);

/* --- interrupts.c --- */
void check_interrupts(void);

#endif
