/* SPDX-License-Identifier: MIT */
/*
 * dom0: the physical machine as the control domain sees it: its memory map, firmware, time and power, and what it has
 * of the devices: I/O ports, device memory, PCI configuration. Callers have seen to it that the domain is the one.
 *
 * The control domain drives the devices, and without an IOMMU a device can write anywhere: it is trusted not to. What
 * is kept from it here are the parts that the hypervisor runs on itself, so that two drivers do not fight over one
 * device.
 */
#ifndef PV_DOM0_H
#define PV_DOM0_H

#include <pv/types.h>

struct domain;
struct pci_address;
struct vcpu;

/* Once, before the control domain is built. */
void dom0_init(void);

/* platform_op. at: the guest's struct xen_platform_op. */
long dom0_platform_op(struct vcpu *v, gva_t at);
/* physdev_op, but for what every domain has: at: the argument of sub-operation cmd. */
long dom0_physdev_op(struct vcpu *v, u64 cmd, gva_t at);
/* XENMEM_machine_memory_map. at: the guest's struct xen_memory_map. */
long dom0_machine_memory_map(struct vcpu *v, gva_t at);

/* --- interrupts --- */
/* An interrupt of a device came to this CPU by this vector; false: it is nobody's. The EOI of the local APIC is the
 * caller's. No locks held. */
bool dom0_interrupt(u32 vector);

/* Has the control domain told of a device there? No locks held. */
bool dom0_knows_device(const struct pci_address *a);

/* --- I/O ports --- */
/* True unless each byte of the access is for the machine itself to answer. Whatever is not forbidden may be let through
 * to the machine; the rest has to go through the functions below, which refuse, or do what is meant. */
bool dom0_port_forbidden(u16 port, u32 size);
/* An access of 1, 2 or 4 bytes by the control domain. Refused ones read as emul_port_read() says, and write nothing. */
u32 dom0_port_read(struct vcpu *v, u16 port, u32 size);
void dom0_port_write(struct vcpu *v, u16 port, u32 size, u32 value);

/* --- device memory --- */
/* A frame that is not RAM and that the control domain may not map: interrupt controllers. */
bool dom0_mfn_forbidden(mfn_t m);

#endif
