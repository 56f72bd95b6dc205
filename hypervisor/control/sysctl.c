// SPDX-License-Identifier: MIT
// sysctl: the table of operations on the host, and what all of them have in common.
#include "internal.h"

#include <pv/mm.h>

static const struct {
    sysctl_fn fn;
    bool output; /* the structure goes back */
} table[] = {
    [XEN_SYSCTL_readconsole] = {control_read_log, true},
    [XEN_SYSCTL_tbuf_op] = {control_not_built, false},
    [XEN_SYSCTL_physinfo] = {control_physinfo, true},
    [XEN_SYSCTL_sched_id] = {control_sched_id, true},
    [XEN_SYSCTL_perfc_op] = {control_not_built, false},
    [XEN_SYSCTL_getdomaininfolist] = {control_list_domains, true},
    [XEN_SYSCTL_debug_keys] = {control_debug_keys, false},
    [XEN_SYSCTL_getcpuinfo] = {control_cpu_info, true},
    [XEN_SYSCTL_availheap] = {control_available, true},
    [XEN_SYSCTL_get_pmstat] = {control_no_power, false},
    [XEN_SYSCTL_cpu_hotplug] = {control_sysctl_unsupported, false},
    [XEN_SYSCTL_pm_op] = {control_not_built, false},
    [XEN_SYSCTL_page_offline_op] = {control_sysctl_unsupported, false},
    [XEN_SYSCTL_lockprof_op] = {control_not_built, false},
    [XEN_SYSCTL_cputopoinfo] = {control_cpu_topology, true},
    [XEN_SYSCTL_numainfo] = {control_numa, true},
    [XEN_SYSCTL_cpupool_op] = {control_pool, true},
    [XEN_SYSCTL_scheduler_op] = {control_scheduler_params, true},
    [XEN_SYSCTL_coverage_op] = {control_sysctl_unsupported, false},
    [XEN_SYSCTL_psr_cmt_op] = {control_no_power, false},
    [XEN_SYSCTL_pcitopoinfo] = {control_pci_topology, true},
    [XEN_SYSCTL_psr_alloc] = {control_no_power, false},
    [XEN_SYSCTL_get_cpu_levelling_caps] = {control_levelling, true},
    [XEN_SYSCTL_get_cpu_featureset] = {control_featureset, true},
    [XEN_SYSCTL_get_cpu_policy] = {control_host_policy, true},
    [XEN_SYSCTL_livepatch_op] = {control_sysctl_unsupported, false},
};

long control_sysctl(struct vcpu *v, gva_t at) {
    struct xen_sysctl op;
    long rc;

    if (copy_from_guest(&op, at, sizeof(op)))
        return -EFAULT;
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return -EACCES;
    if (op.cmd >= ARRAY_SIZE(table) || !table[op.cmd].fn)
        return -ENOSYS;
    rc = table[op.cmd].fn(v, &op);
    /* Part of a list, and how long it is, go back as well. */
    if ((!rc || rc == -ENOBUFS) && table[op.cmd].output && copy_to_guest(at, &op, sizeof(op)))
        return -EFAULT;
    return rc;
}
