// SPDX-License-Identifier: MIT
// physdev_op: the I/O privilege level and bitmap of user mode, which every domain has. The rest is about devices, and
// is the control domain's (room dom0); other domains are refused with the errors that such domains get.
#include "internal.h"

#include <pv/dom0.h>
#include <xen/physdev.h>

#define MAX_PORTS 65536

static long set_iopl(struct vcpu *v, gva_t at) {
    struct physdev_set_iopl p;

    if (copy_from_guest(&p, at, sizeof(p)))
        return -EFAULT;
    if (p.iopl > 3)
        return -EINVAL;
    v->iopl = p.iopl;
    return 0;
}

/* Ports that user mode may use. None is the guest's, so it reads ones there instead of faulting. */
static long set_iobitmap(struct vcpu *v, gva_t at) {
    struct physdev_set_iobitmap p;

    if (copy_from_guest(&p, at, sizeof(p)))
        return -EFAULT;
    if (p.nr_ports > MAX_PORTS || !hc_guest_address_ok((u64)p.bitmap.p))
        return -EINVAL;
    v->iobitmap = (u64)p.bitmap.p;
    v->iobitmap_ports = p.nr_ports;
    return 0;
}

/* Lines nobody routes to the guest need no end of interrupt. */
static long irq_status(gva_t at) {
    struct physdev_irq_status_query q;

    if (copy_from_guest(&q, at, sizeof(q)))
        return -EFAULT;
    q.flags = 0;
    return copy_to_guest(at, &q, sizeof(q)) ? -EFAULT : 0;
}

/* Refusals: what size the structure has that must be readable, and the error then. */
static const struct {
    u8 size;
    s8 error;
} refused[] = {
#define REFUSED(op, type, errno) [PHYSDEVOP_##op] = {sizeof(struct physdev_##type), -errno}
    REFUSED(apic_read, apic, EPERM),
    REFUSED(apic_write, apic, EPERM),
    REFUSED(alloc_irq_vector, irq, EPERM),
    REFUSED(eoi, eoi, EINVAL),
    REFUSED(map_pirq, map_pirq, EPERM),
    REFUSED(unmap_pirq, unmap_pirq, EPERM),
    REFUSED(manage_pci_add, manage_pci, EPERM),
    REFUSED(manage_pci_remove, manage_pci, EPERM),
    REFUSED(pirq_eoi_gmfn_v1, pirq_eoi_gmfn, EINVAL),
    REFUSED(restore_msi, restore_msi, ENODEV),
    REFUSED(manage_pci_add_ext, manage_pci_ext, EPERM),
    REFUSED(setup_gsi, setup_gsi, EPERM),
    REFUSED(get_free_pirq, get_free_pirq, ENOSPC),
    [PHYSDEVOP_pci_mmcfg_reserved] = {0, -EPERM},
    REFUSED(pci_device_add, pci_device_add, EPERM),
    REFUSED(pci_device_remove, pci_device, EPERM),
    REFUSED(restore_msi_ext, pci_device, ENODEV),
    REFUSED(pirq_eoi_gmfn_v2, pirq_eoi_gmfn, EINVAL),
    [PHYSDEVOP_dbgp_op] = {0, -EPERM},
    REFUSED(prepare_msix, pci_device, EPERM),
    REFUSED(release_msix, pci_device, EPERM),
#undef REFUSED
};

static long refuse(u64 cmd, gva_t at) {
    u8 arg[64];

    if (cmd >= ARRAY_SIZE(refused) || !refused[cmd].error)
        return -ENOSYS;
    return copy_from_guest(arg, at, refused[cmd].size) ? -EFAULT : refused[cmd].error;
}

/* arg: command, structure */
long hc_physdev_op(struct vcpu *v, u64 *arg) {
    switch (arg[0]) {
    case PHYSDEVOP_IRQ_UNMASK_NOTIFY:
        return 0;
    case PHYSDEVOP_set_iopl:
        return set_iopl(v, gva(arg[1]));
    case PHYSDEVOP_set_iobitmap:
        return set_iobitmap(v, gva(arg[1]));
    default:
        if (v->domain->is_control)
            return dom0_physdev_op(v, arg[0], gva(arg[1]));
        if (arg[0] == PHYSDEVOP_irq_status_query)
            return irq_status(gva(arg[1]));
        return refuse(arg[0], gva(arg[1]));
    }
}
