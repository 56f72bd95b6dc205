// SPDX-License-Identifier: MIT
/* The sub-operations of physdev_op: what is given, and with which error the rest is refused. */
#include "devices.h"

#include <xen/errno.h>

#define IOAPIC 0xfec00000UL
#define LINES 24
#define SERIAL 4 /* the hypervisor's own line: its console is at COM1 */

long map_pirq(struct physdev_map_pirq *m) {
    long rc = hv_physdev_op(PHYSDEVOP_map_pirq, m);

    return rc ? rc : m->pirq;
}

long map_line(int gsi, int pirq) {
    struct physdev_map_pirq m = {.domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = gsi, .pirq = pirq};

    return map_pirq(&m);
}

long map_message(unsigned devfn, int entry, uint64_t table) {
    struct physdev_map_pirq m = {.domid = DOMID_SELF,
                                 .type = MAP_PIRQ_TYPE_MSI_SEG,
                                 .index = -1,
                                 .pirq = -1,
                                 .devfn = (int)devfn,
                                 .entry_nr = entry,
                                 .table_base = table};

    return map_pirq(&m);
}

long unmap_pirq(int pirq) {
    struct physdev_unmap_pirq u = {.domid = DOMID_SELF, .pirq = pirq};

    return hv_physdev_op(PHYSDEVOP_unmap_pirq, &u);
}

long pirq_eoi(unsigned pirq) {
    struct physdev_eoi e = {pirq};

    return hv_physdev_op(PHYSDEVOP_eoi, &e);
}

long tell_device(unsigned devfn) {
    struct physdev_pci_device_add a = {.devfn = (uint8_t)devfn};

    return hv_physdev_op(PHYSDEVOP_pci_device_add, &a);
}

static long set_up(int gsi, uint8_t triggering, uint8_t polarity) {
    struct physdev_setup_gsi s = {gsi, triggering, polarity};

    return hv_physdev_op(PHYSDEVOP_setup_gsi, &s);
}

static long status(unsigned irq, uint32_t *flags) {
    struct physdev_irq_status_query q = {irq, 77};
    long rc = hv_physdev_op(PHYSDEVOP_irq_status_query, &q);

    *flags = q.flags;
    return rc;
}

static long apic_read(unsigned long base, unsigned reg, uint32_t *value) {
    struct physdev_apic a = {base, reg, 0};
    long rc = hv_physdev_op(PHYSDEVOP_apic_read, &a);

    *value = a.value;
    return rc;
}

static void check_lines(void) {
    struct physdev_irq irq = {.irq = 9};

    test_equal("lines.map", map_line(5, 5), 5);
    test_equal("lines.map_again", map_line(5, 5), 5);
    test_equal("lines.map_any", map_line(5, -1), 5);
    test_equal("lines.map_other", map_line(5, 6), -XEN_EEXIST);
    test_equal("lines.map_zero", map_line(0, 0), -XEN_EPERM);
    test_equal("lines.map_beyond", map_line(LINES, -1), -XEN_EINVAL);
    test_equal("lines.map_negative", map_line(-1, -1), -XEN_EINVAL);
    test_equal("lines.map_serial", map_line(SERIAL, SERIAL), SERIAL);
    test_equal("lines.set_up", set_up(5, 1, 1), 0);
    test_equal("lines.set_up_again", set_up(5, 1, 1), -XEN_EEXIST);
    test_equal("lines.set_up_other", set_up(5, 0, 0), -XEN_EEXIST);
    test_equal("lines.set_up_serial", set_up(SERIAL, 0, 0), -XEN_EEXIST);
    test_equal("lines.set_up_beyond", set_up(LINES, 0, 0), -XEN_EINVAL);
    test_equal("lines.set_up_negative", set_up(-1, 0, 0), -XEN_EINVAL);
    test_equal("lines.vector", hv_physdev_op(PHYSDEVOP_alloc_irq_vector, &irq), 0);
    test_equal("lines.vector", irq.vector, 9);
}

static void check_bind(void) {
    long port = event_bind_pirq(5);

    test_check("bind", port > 0, "%ld", port);
    test_equal("bind.again", event_bind_pirq(5), -XEN_EEXIST);
    test_equal("bind.serial", event_bind_pirq(SERIAL), -XEN_EBUSY);
    test_equal("bind.zero", event_bind_pirq(0), -XEN_EPERM);
    test_equal("bind.not_mapped", event_bind_pirq(200), -XEN_EPERM);
    test_equal("bind.beyond", event_bind_pirq(100000), -XEN_EINVAL);
    test_equal("eoi", pirq_eoi(5), 0);
    test_equal("eoi.not_mapped", pirq_eoi(200), -XEN_EINVAL);
    test_equal("eoi.beyond", pirq_eoi(100000), -XEN_EINVAL);
    test_equal("bind.close", event_close((unsigned)port), 0);
    test_equal("lines.unmap", unmap_pirq(5), 0);
    test_equal("lines.unmap_again", unmap_pirq(5), -XEN_EINVAL);
    test_equal("lines.unmap_beyond", unmap_pirq(100000), -XEN_EINVAL);
    test_equal("lines.unmap_negative", unmap_pirq(-1), -XEN_EINVAL);
    test_equal("eoi.unmapped", pirq_eoi(5), -XEN_EINVAL);
}

static void check_status(void) {
    struct physdev_get_free_pirq f = {.type = MAP_PIRQ_TYPE_MSI}, g = f;
    uint32_t value;

    test_equal("status", status(9, &value), 0);
    test_equal("status.flags", value, XENIRQSTAT_needs_eoi);
    test_equal("status.beyond", status(100000, &value), -XEN_EINVAL);
    test_equal("free_pirq", hv_physdev_op(PHYSDEVOP_get_free_pirq, &f), 0);
    test_equal("free_pirq", hv_physdev_op(PHYSDEVOP_get_free_pirq, &g), 0);
    test_check("free_pirq.differs", f.pirq != g.pirq && f.pirq >= LINES, "%u and %u", f.pirq, g.pirq);
    test_equal("apic", apic_read(IOAPIC, 1, &value), 0);
    test_equal("apic.lines", (value >> 16 & 0xff) + 1, LINES);
    test_equal("apic.elsewhere", apic_read(IOAPIC + 0x1000, 1, &value), -XEN_EINVAL);
    test_equal("apic.misaligned", apic_read(IOAPIC + 4, 1, &value), -XEN_EINVAL);
}

static long *eoi_map;

bool wants_eoi(unsigned pirq) {
    return eoi_map[pirq / 64] >> pirq % 64 & 1;
}

static void check_eoi_map(void) {
    struct physdev_pirq_eoi_gmfn nowhere = {~0UL >> 12}, device = {IOAPIC >> PAGE_SHIFT}, good;

    eoi_map = page_alloc();
    good.gmfn = virt_to_mfn(eoi_map);
    test_equal("eoi_map.nowhere", hv_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &nowhere), -XEN_EINVAL);
    test_equal("eoi_map.device", hv_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &device), -XEN_EINVAL);
    test_equal("eoi_map", hv_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &good), 0);
    test_equal("eoi_map.again", hv_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &good), -XEN_EBUSY);
    test_equal("eoi_map.again", hv_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v1, &good), -XEN_EBUSY);
}

static void check_devices(void) {
    struct physdev_pci_device gone = {.bus = 77, .devfn = 3};
    struct physdev_manage_pci old = {.bus = 78, .devfn = 3};
    struct physdev_pci_device_add new = {.bus = 77, .devfn = 3};
    struct physdev_dbgp_op debug = {.op = PHYSDEVOP_DBGP_RESET_PREPARE};

    test_equal("device.add", hv_physdev_op(PHYSDEVOP_pci_device_add, &new), 0);
    test_equal("device.add_again", hv_physdev_op(PHYSDEVOP_pci_device_add, &new), 0);
    test_equal("device.remove", hv_physdev_op(PHYSDEVOP_pci_device_remove, &gone), 0);
    test_equal("device.remove_again", hv_physdev_op(PHYSDEVOP_pci_device_remove, &gone), -XEN_ENODEV);
    test_equal("device.old_add", hv_physdev_op(PHYSDEVOP_manage_pci_add, &old), 0);
    test_equal("device.old_remove", hv_physdev_op(PHYSDEVOP_manage_pci_remove, &old), 0);
    test_equal("device.old_remove_again", hv_physdev_op(PHYSDEVOP_manage_pci_remove, &old), -XEN_ENODEV);
    test_equal("device.restore_none", hv_physdev_op(PHYSDEVOP_restore_msi_ext, &gone), -XEN_ENODEV);
    new.flags = XEN_PCI_DEV_VIRTFN; /* the function it belongs to is known with it */
    new.physfn.bus = gone.bus = 76;
    new.physfn.devfn = gone.devfn = 4;
    test_equal("device.add_virtual", hv_physdev_op(PHYSDEVOP_pci_device_add, &new), 0);
    test_equal("device.restore", hv_physdev_op(PHYSDEVOP_restore_msi_ext, &gone), 0);
    test_equal("device.debug_port", hv_physdev_op(PHYSDEVOP_dbgp_op, &debug), 0);
}

/* On QEMU's q35 the one window is where the chip set's register says. */
static void check_window(void) {
    struct physdev_pci_mmcfg_reserved w = {0xb0000000, 0, 0, 255, XEN_PCI_MMCFG_RESERVED};

    if (pci_read(0, 0) != 0x29c08086) {
        test_skip("window", "no q35 machine");
        return;
    }
    test_equal("window", hv_physdev_op(PHYSDEVOP_pci_mmcfg_reserved, &w), 0);
    w.flags = 9;
    test_equal("window.flags", hv_physdev_op(PHYSDEVOP_pci_mmcfg_reserved, &w), -XEN_EINVAL);
    w.flags = XEN_PCI_MMCFG_RESERVED;
    w.address = 0x1000;
    test_equal("window.elsewhere", hv_physdev_op(PHYSDEVOP_pci_mmcfg_reserved, &w), -XEN_EIO);
}

void check_calls(void) {
    check_lines();
    check_status();
    check_bind();
    check_eoi_map();
    check_devices();
    check_window();
    test_equal("calls.pointer", hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, 8), -XEN_EFAULT);
    test_equal("calls.unknown", hypercall2(__HYPERVISOR_physdev_op, 32, 8), -XEN_ENOSYS);
}
