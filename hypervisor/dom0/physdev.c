// SPDX-License-Identifier: MIT
/*
 * physdev_op of the control domain: what it tells of the machine's devices, and the interrupts it asks for. A table of
 * sub-operations, each working on a copy of its argument, with the lock of the pirqs held.
 */
#include "internal.h"

#include <pv/mm.h>

#include <xen/physdev.h>

union argument {
    struct physdev_eoi eoi;
    struct physdev_pirq_eoi_gmfn eoi_gmfn;
    struct physdev_irq_status_query status;
    struct physdev_apic apic;
    struct physdev_irq irq;
    struct physdev_map_pirq map;
    struct physdev_unmap_pirq unmap;
    struct physdev_manage_pci manage;
    struct physdev_manage_pci_ext manage_ext;
    struct physdev_restore_msi restore;
    struct physdev_setup_gsi setup;
    struct physdev_get_free_pirq get_free;
    struct physdev_pci_mmcfg_reserved mmcfg;
    struct physdev_pci_device_add add;
    struct physdev_pci_device device;
    struct physdev_dbgp_op dbgp;
};

static struct pci_address address_of(const struct physdev_pci_device *a) {
    return (struct pci_address){a->seg, a->bus, a->devfn};
}

/* --- numbers --- */

/* Devices of other domains are not there: they have none. */
static long check_domain(const struct domain *d, domid_t id) {
    if (id == DOMID_SELF || id == d->id)
        return 0;
    return domain_by_id(id) ? -EPERM : -ESRCH;
}

/* Bits 16-31 of `bus` are the segment, but for the oldest of the three kinds. */
static long map_message(union argument *a) {
    const struct physdev_map_pirq *m = &a->map;
    struct msi_request r = {
        .device = {m->type == MAP_PIRQ_TYPE_MSI ? 0 : (u16)((u32)m->bus >> 16), (u8)m->bus, (u8)m->devfn},
        .table = m->table_base && m->type != MAP_PIRQ_TYPE_MULTI_MSI,
        .table_base = m->table_base,
        .entry = m->entry_nr,
    };

    if (m->type == MAP_PIRQ_TYPE_MULTI_MSI && m->entry_nr != 1)
        return m->entry_nr <= 0 || m->entry_nr > 32 ? -EDOM : -EOPNOTSUPP; /* several would need vectors in a row */
    if (m->index != -1 && m->type != MAP_PIRQ_TYPE_MULTI_MSI)
        return -EPERM; /* a vector of its own choice */
    return pirq_map_message(&r, &a->map.pirq);
}

static long op_map_pirq(struct domain *d, union argument *a) {
    long rc = check_domain(d, a->map.domid);

    if (rc)
        return rc;
    switch (a->map.type) {
    case MAP_PIRQ_TYPE_GSI:
        return a->map.index < 0 ? -EINVAL : pirq_map_line((u32)a->map.index, &a->map.pirq);
    case MAP_PIRQ_TYPE_MSI:
    case MAP_PIRQ_TYPE_MSI_SEG:
    case MAP_PIRQ_TYPE_MULTI_MSI:
        return map_message(a);
    default:
        return -EINVAL;
    }
}

static long op_unmap_pirq(struct domain *d, union argument *a) {
    long rc = check_domain(d, a->unmap.domid);

    return rc ? rc : pirq_unmap(d, (u32)a->unmap.pirq);
}

static long op_get_free_pirq(struct domain *d, union argument *a) {
    int n = pirq_find_free();

    (void)d;
    if (n < 0)
        return n;
    pirqs[n].kind = PIRQ_RESERVED;
    a->get_free.pirq = (u32)n;
    return 0;
}

static long op_setup_gsi(struct domain *d, union argument *a) {
    (void)d;
    return a->setup.gsi < 0 ? -EINVAL : pirq_set_up_line((u32)a->setup.gsi, a->setup.triggering, a->setup.polarity);
}

/* Vectors are nobody's business but ours: any is as good. */
static long op_alloc_irq_vector(struct domain *d, union argument *a) {
    (void)d;
    a->irq.vector = a->irq.irq;
    return 0;
}

/* --- their end --- */

/* Any may need one, at times: whoever has no EOI map shall always say it. */
static long op_irq_status_query(struct domain *d, union argument *a) {
    (void)d;
    if (a->status.irq >= NR_PIRQS)
        return -EINVAL;
    a->status.flags = XENIRQSTAT_needs_eoi;
    return 0;
}

static long set_eoi_map(struct domain *d, u64 gmfn, bool unmasks) {
    return pirq_set_eoi_map(d, mfn(gmfn), unmasks);
}
static long op_pirq_eoi_gmfn_v1(struct domain *d, union argument *a) {
    return set_eoi_map(d, a->eoi_gmfn.gmfn, true);
}
static long op_pirq_eoi_gmfn_v2(struct domain *d, union argument *a) {
    return set_eoi_map(d, a->eoi_gmfn.gmfn, false);
}

/* --- IO-APICs, as Linux looks at them --- */

static long op_apic_read(struct domain *d, union argument *a) {
    (void)d;
    return platform_read_ioapic(a->apic.apic_physbase, a->apic.reg, &a->apic.value) ? 0 : -EINVAL;
}

/* Lines are set up by other calls, and all else of an IO-APIC is the hypervisor's. */
static long op_apic_write(struct domain *d, union argument *a) {
    u32 value;

    (void)d;
    return platform_read_ioapic(a->apic.apic_physbase, a->apic.reg, &value) ? 0 : -EINVAL;
}

/* --- devices --- */

/* A virtual function makes the one it belongs to known as well. */
static long op_pci_device_add(struct domain *d, union argument *a) {
    const struct physdev_pci_device_add *f = &a->add;
    long rc = 0;

    (void)d;
    if (f->flags & XEN_PCI_DEV_VIRTFN)
        rc = device_add((struct pci_address){f->seg, f->physfn.bus, f->physfn.devfn});
    return rc ? rc : device_add((struct pci_address){f->seg, f->bus, f->devfn});
}
static long op_manage_pci_add(struct domain *d, union argument *a) {
    (void)d;
    return device_add((struct pci_address){0, a->manage.bus, a->manage.devfn});
}
static long op_manage_pci_add_ext(struct domain *d, union argument *a) {
    (void)d;
    return device_add((struct pci_address){0, a->manage_ext.bus, a->manage_ext.devfn});
}
static long op_pci_device_remove(struct domain *d, union argument *a) {
    (void)d;
    return device_remove(address_of(&a->device));
}
static long op_manage_pci_remove(struct domain *d, union argument *a) {
    (void)d;
    return device_remove((struct pci_address){0, a->manage.bus, a->manage.devfn});
}

static long restore(struct pci_address a) {
    if (!device_known(a))
        return -ENODEV;
    pirq_restore(a);
    return 0;
}
static long op_restore_msi(struct domain *d, union argument *a) {
    (void)d;
    return restore((struct pci_address){0, a->restore.bus, a->restore.devfn});
}
static long op_restore_msi_ext(struct domain *d, union argument *a) {
    (void)d;
    return restore(address_of(&a->device));
}

/* Where a device's memory lies is looked up when it is wanted. */
static long check_msix(struct domain *d, union argument *a) {
    (void)d;
    return device_known(address_of(&a->device)) && msi_has_table(address_of(&a->device)) ? 0 : -ENODEV;
}
static long op_prepare_msix(struct domain *d, union argument *a) {
    return check_msix(d, a);
}
static long op_release_msix(struct domain *d, union argument *a) {
    return check_msix(d, a);
}

/* A window of configuration space lies where the firmware's table says. */
static long op_pci_mmcfg_reserved(struct domain *d, union argument *a) {
    const struct physdev_pci_mmcfg_reserved *w = &a->mmcfg;

    (void)d;
    if (w->flags & ~(u32)XEN_PCI_MMCFG_RESERVED)
        return -EINVAL;
    for (u32 i = 0; i < platform.nr_mmcfgs; i++) {
        const struct platform_mmcfg *m = &platform.mmcfg[i];

        if (m->segment == w->segment && m->start_bus == w->start_bus && m->end_bus == w->end_bus)
            return m->address == w->address ? 0 : -EIO;
    }
    return -ENODEV;
}

/* No debug port of a USB controller is in use here. */
static long op_dbgp_op(struct domain *d, union argument *a) {
    (void)d, (void)a;
    return 0;
}

/* --- the table --- */

static const struct {
    long (*fn)(struct domain *d, union argument *a);
    u8 size;
    bool output;
} ops[] = {
#define OP(op, type, out) [PHYSDEVOP_##op] = {op_##op, sizeof(struct physdev_##type), out}
    OP(irq_status_query, irq_status_query, true),
    OP(apic_read, apic, true),
    OP(apic_write, apic, false),
    OP(alloc_irq_vector, irq, true),
    OP(map_pirq, map_pirq, true),
    OP(unmap_pirq, unmap_pirq, false),
    OP(manage_pci_add, manage_pci, false),
    OP(manage_pci_remove, manage_pci, false),
    OP(pirq_eoi_gmfn_v1, pirq_eoi_gmfn, false),
    OP(restore_msi, restore_msi, false),
    OP(manage_pci_add_ext, manage_pci_ext, false),
    OP(setup_gsi, setup_gsi, false),
    OP(get_free_pirq, get_free_pirq, true),
    OP(pci_mmcfg_reserved, pci_mmcfg_reserved, false),
    OP(pci_device_add, pci_device_add, false),
    OP(pci_device_remove, pci_device, false),
    OP(restore_msi_ext, pci_device, false),
    OP(pirq_eoi_gmfn_v2, pirq_eoi_gmfn, false),
    OP(dbgp_op, dbgp_op, false),
    OP(prepare_msix, pci_device, false),
    OP(release_msix, pci_device, false),
#undef OP
};

/* Apart from the table, since it may have to unmask a port, for which the lock is the wrong way round. */
static long end_of_interrupt(struct vcpu *v, gva_t at) {
    struct physdev_eoi e;
    struct evtchn_unmask u = {0};
    long rc;

    if (copy_from_guest(&e, at, sizeof(e)))
        return -EFAULT;
    spin_lock(&pirq_lock);
    rc = pirq_eoi(v->domain, e.irq, &u.port);
    spin_unlock(&pirq_lock);
    if (u.port)
        evtchn_op(v, EVTCHNOP_unmask, &u);
    return rc;
}

long dom0_physdev_op(struct vcpu *v, u64 cmd, gva_t at) {
    union argument a = {0};
    long rc;

    if (cmd == PHYSDEVOP_eoi)
        return end_of_interrupt(v, at);
    if (cmd >= ARRAY_SIZE(ops) || !ops[cmd].fn)
        return -ENOSYS;
    if (copy_from_guest(&a, at, ops[cmd].size))
        return -EFAULT;
    spin_lock(&pirq_lock);
    rc = ops[cmd].fn(v->domain, &a);
    spin_unlock(&pirq_lock);
    if (!rc && ops[cmd].output && copy_to_guest(at, &a, ops[cmd].size))
        return -EFAULT;
    return rc;
}
