// SPDX-License-Identifier: MIT
/* What is for other kinds of guests, other hypervisors' builds, or devices that nobody is given. */
#include "control.h"

static domid_t id;

static void check_permissions(void) {
    clean()->u.irq_permission.pirq = 5;
    op.u.irq_permission.allow_access = 1;
    test_equal("refused.irq_given", domctl(XEN_DOMCTL_irq_permission, id), -XEN_EPERM);
    clean()->u.iomem_permission.first_mfn = 0xfd000;
    op.u.iomem_permission.nr_mfns = 1;
    test_equal("refused.iomem_taken", domctl(XEN_DOMCTL_iomem_permission, id), 0);
    clean()->u.iomem_permission.first_mfn = ~0UL;
    op.u.iomem_permission.nr_mfns = 2;
    test_equal("refused.iomem_wraps", domctl(XEN_DOMCTL_iomem_permission, id), -XEN_EINVAL);
    clean()->u.ioport_permission.first_port = 0x80;
    op.u.ioport_permission.nr_ports = 1;
    test_equal("refused.ports_taken", domctl(XEN_DOMCTL_ioport_permission, id), 0);
}

static void check_handlers(void) {
    clean()->u.set_virq_handler.virq = NR_VIRQS;
    test_equal("refused.virq_beyond", domctl(XEN_DOMCTL_set_virq_handler, id), -XEN_EINVAL);
    clean()->u.set_virq_handler.virq = VIRQ_TIMER;
    test_equal("refused.virq_of_vcpus", domctl(XEN_DOMCTL_set_virq_handler, id), -XEN_EINVAL);
    clean()->u.set_virq_handler.virq = VIRQ_CON_RING;
    test_equal("refused.virq_handler", domctl(XEN_DOMCTL_set_virq_handler, 0), 0);
}

static void check_msrs(void) {
    static struct xen_domctl_vcpu_msr msr = {.index = 0xc0000080, .value = 1};

    clean()->u.vcpu_msrs.msr_count = 0;
    test_equal("refused.no_msr", domctl(XEN_DOMCTL_set_vcpu_msrs, id), 0);
    clean()->u.vcpu_msrs.msr_count = 1;
    set_xen_guest_handle(op.u.vcpu_msrs.msrs, &msr);
    test_equal("refused.msr", domctl(XEN_DOMCTL_set_vcpu_msrs, id), -XEN_EINVAL);
}

/* With nothing but a number: by which errno differs among hypervisors that have or have not the rest. */
static void domctl_refused(const char *name, uint32_t cmd) {
    long rc;

    clean();
    rc = domctl(cmd, id);
    test_check(name, rc < 0, "%ld", rc);
}

static void sysctl_refused(const char *name, uint32_t cmd) {
    long rc;

    sclean();
    rc = sysctl(cmd);
    test_check(name, rc < 0, "%ld", rc);
}

static void check_domctls(void) {
    domctl_refused("refused.target", XEN_DOMCTL_set_target);
    domctl_refused("refused.vm_event", XEN_DOMCTL_vm_event_op);
    domctl_refused("refused.sharing", XEN_DOMCTL_mem_sharing_op);
    domctl_refused("refused.vnuma", XEN_DOMCTL_setvnumainfo);
    domctl_refused("refused.monitor", XEN_DOMCTL_monitor_op);
    domctl_refused("refused.vmtrace", XEN_DOMCTL_vmtrace_op);
}

static void check_sysctls(void) {
    static physdev_pci_device_t dev;
    static uint32_t node;

    sysctl_refused("refused.hotplug", XEN_SYSCTL_cpu_hotplug);
    sysctl_refused("refused.offline", XEN_SYSCTL_page_offline_op);
    sysctl_refused("refused.livepatch", XEN_SYSCTL_livepatch_op);
    sclean();
    test_equal("refused.pcitopo", sysctl(XEN_SYSCTL_pcitopoinfo), -XEN_EINVAL);
    sclean()->u.pcitopoinfo.num_devs = 1;
    set_xen_guest_handle(sop.u.pcitopoinfo.devs, &dev);
    set_xen_guest_handle(sop.u.pcitopoinfo.nodes, &node);
    test_equal("refused.pcitopo_one", sysctl(XEN_SYSCTL_pcitopoinfo), 0);
    printf("INFO node %x\n", node);
}

void check_refused(void) {
    id = make_domain(1, 16);
    check_permissions();
    check_handlers();
    check_msrs();
    check_domctls();
    check_sysctls();
    destroy_domain(id);
}
