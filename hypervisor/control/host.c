// SPDX-License-Identifier: MIT
// What the machine is: CPUs, memory, topology, log. One node, one pool of CPUs; a core for each CPU in one socket.
#include "internal.h"

#include <pv/boot_memory.h>
#include <pv/console.h>
#include <pv/dom0.h>
#include <pv/mm.h>
#include <pv/platform.h>
#include <pv/x86_vcpu.h>

long control_physinfo(struct vcpu *v, struct xen_sysctl *op) {
    struct xen_sysctl_physinfo *p = &op->u.physinfo;

    (void)v;
    memset(p, 0, sizeof(*p));
    p->threads_per_core = 1;
    p->cores_per_socket = nr_cpus;
    p->nr_cpus = nr_cpus;
    p->max_cpu_id = nr_cpus - 1;
    p->nr_nodes = 1;
    p->cpu_khz = time_scale()->khz;
    p->capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1;
    p->total_pages = boot_memory_total >> PAGE_SHIFT;
    p->free_pages = heap_free_count();
    p->outstanding_pages = domain_claims();
    p->max_mfn = frame_table_max - 1;
    x86_hw_cap(p->hw_cap);
    return 0;
}

long control_sched_id(struct vcpu *v, struct xen_sysctl *op) {
    (void)v;
    op->u.sched_id.sched_id = XEN_SCHEDULER_CREDIT2;
    return 0;
}

/* A list of which *nr entries fit, and `have` are there. NULL: only how many there are is asked for. */
static u32 entries_to_write(const void *list, u32 nr, u32 have) {
    return list ? MIN(nr, have) : 0;
}

long control_cpu_topology(struct vcpu *v, struct xen_sysctl *op) {
    struct xen_sysctl_cputopoinfo *t = &op->u.cputopoinfo;
    u32 n = entries_to_write(t->cputopo.p, t->num_cpus, nr_cpus);

    (void)v;
    for (u32 i = 0; i < n; i++) {
        const struct xen_sysctl_cputopo topo = {.core = i};

        if (copy_to_guest(gva((u64)(t->cputopo.p + i)), &topo, sizeof(topo)))
            return -EFAULT;
    }
    t->num_cpus = nr_cpus;
    return 0;
}

long control_numa(struct vcpu *v, struct xen_sysctl *op) {
    struct xen_sysctl_numainfo *n = &op->u.numainfo;
    const xen_sysctl_meminfo_t memory = {boot_memory_total, heap_free_count() << PAGE_SHIFT};
    const u32 distance = 10; /* what firmware says of a node and itself */

    (void)v;
    if (entries_to_write(n->meminfo.p, n->num_nodes, 1) &&
        copy_to_guest(gva((u64)n->meminfo.p), &memory, sizeof(memory)))
        return -EFAULT;
    if (entries_to_write(n->distance.p, n->num_nodes, 1) &&
        copy_to_guest(gva((u64)n->distance.p), &distance, sizeof(distance)))
        return -EFAULT;
    n->num_nodes = 1;
    return 0;
}

/* Every device is as near as any other: nothing is known of where they are. */
static u32 node_of(const physdev_pci_device_t *dev) {
    const struct pci_address a = {dev->seg, dev->bus, dev->devfn};

    return dom0_knows_device(&a) ? XEN_INVALID_NODE_ID : XEN_INVALID_DEV;
}

#define PCI_BATCH 64

/* Tools ask for the rest when they are told that fewer were done. */
long control_pci_topology(struct vcpu *v, struct xen_sysctl *op) {
    struct xen_sysctl_pcitopoinfo *t = &op->u.pcitopoinfo;
    u32 done = 0;

    (void)v;
    if (!t->devs.p || !t->nodes.p)
        return -EINVAL;
    while (done < t->num_devs && (done < PCI_BATCH || !preempt_pending())) {
        physdev_pci_device_t dev;
        u32 node;

        if (copy_from_guest(&dev, gva((u64)(t->devs.p + done)), sizeof(dev)))
            return -EFAULT;
        node = node_of(&dev);
        if (copy_to_guest(gva((u64)(t->nodes.p + done)), &node, sizeof(node)))
            return -EFAULT;
        done++;
    }
    t->num_devs = done;
    return 0;
}

static u32 count_domains(void) {
    struct domain *d;
    u32 n = 0;

    for (u32 id = 0; (d = domain_get_from(id)); n++) {
        id = d->id + 1u;
        domain_put(d);
    }
    return n;
}

/* There is pool 0, with all CPUs and domains. */
long control_pool(struct vcpu *v, struct xen_sysctl *op) {
    struct xen_sysctl_cpupool_op *p = &op->u.cpupool_op;

    (void)v;
    switch (p->op) {
    case XEN_SYSCTL_CPUPOOL_OP_INFO:
        if (p->cpupool_id)
            return -ENOENT; /* of those with this number or a higher one */
        p->sched_id = XEN_SCHEDULER_CREDIT2;
        p->n_dom = count_domains();
        return control_write_bitmap(&p->cpumap, control_online_cpus());
    case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
        return control_write_bitmap(&p->cpumap, 0);
    case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN:
        return p->cpupool_id ? -ENOENT : 0;
    default:
        return -EOPNOTSUPP;
    }
}

/* 0: none. */
static bool ratelimit_ok(u32 us) {
    return !us || (us >= XEN_SYSCTL_SCHED_RATELIMIT_MIN && us <= XEN_SYSCTL_SCHED_RATELIMIT_MAX);
}

long control_scheduler_params(struct vcpu *v, struct xen_sysctl *op) {
    struct xen_sysctl_scheduler_op *s = &op->u.scheduler_op;
    u32 *us = &s->u.sched_credit2.ratelimit_us;

    (void)v;
    if (s->cpupool_id)
        return -ESRCH;
    if (s->sched_id != XEN_SCHEDULER_CREDIT2)
        return -EINVAL;
    if (s->cmd == XEN_SYSCTL_SCHEDOP_putinfo && !ratelimit_ok(*us))
        return -EINVAL;
    if (s->cmd == XEN_SYSCTL_SCHEDOP_putinfo)
        sched_set_granularity(*us * 1000ull);
    else if (s->cmd != XEN_SYSCTL_SCHEDOP_getinfo)
        return -EINVAL;
    *us = (u32)(sched_granularity() / 1000);
    return 0;
}

/* The log, in pieces. The index is the low half of a position that never wraps in practice. */
long control_read_log(struct vcpu *v, struct xen_sysctl *op) {
    struct xen_sysctl_readconsole *r = &op->u.readconsole;
    u64 index = r->incremental ? r->index : 0;
    char buf[256];
    u32 done = 0;
    size_t n;

    (void)v;
    while (done < r->count && (n = console_ring_read(&index, buf, MIN(r->count - done, (u32)sizeof(buf))))) {
        if (copy_to_guest(gva((u64)(r->buffer.p + done)), buf, n))
            return -EFAULT;
        done += (u32)n;
    }
    if (r->clear)
        console_ring_clear();
    r->index = (u32)index;
    r->count = done;
    return 0;
}

#define MAX_KEYS 100

static void debug_key(char key) {
    if (key == 'q')
        console_print_guest_table();
    else
        printk("key %c: q shows the domains\n", key >= ' ' && key <= '~' ? key : '?');
}

long control_debug_keys(struct vcpu *v, struct xen_sysctl *op) {
    const struct xen_sysctl_debug_keys *k = &op->u.debug_keys;

    (void)v;
    for (u32 i = 0; i < k->nr_keys && i < MAX_KEYS; i++) {
        char key;

        if (copy_from_guest(&key, gva((u64)(k->keys.p + i)), 1))
            return -EFAULT;
        debug_key(key);
    }
    return 0;
}

long control_cpu_info(struct vcpu *v, struct xen_sysctl *op) {
    struct xen_sysctl_getcpuinfo *g = &op->u.getcpuinfo;
    u32 n = MIN(g->max_cpus, nr_cpus);

    (void)v;
    for (u32 i = 0; i < n; i++) {
        const xen_sysctl_cpuinfo_t info = {sched_idle_time(i, time_now())};

        if (copy_to_guest(gva((u64)(g->info.p + i)), &info, sizeof(info)))
            return -EFAULT;
    }
    g->nr_cpus = n;
    return 0;
}

long control_available(struct vcpu *v, struct xen_sysctl *op) {
    (void)v;
    op->u.availheap.avail_bytes = heap_free_count() << PAGE_SHIFT;
    return 0;
}

long control_levelling(struct vcpu *v, struct xen_sysctl *op) {
    (void)v;
    op->u.cpu_levelling_caps.caps = 0;
    return 0;
}

/* Nothing in the machine is steered: no frequencies, no sleep states but halting. */
long control_not_built(struct vcpu *v, struct xen_sysctl *op) {
    (void)v, (void)op;
    return -ENOSYS;
}

long control_no_power(struct vcpu *v, struct xen_sysctl *op) {
    (void)v, (void)op;
    return -ENODEV;
}

long control_sysctl_unsupported(struct vcpu *v, struct xen_sysctl *op) {
    (void)v, (void)op;
    return -EOPNOTSUPP;
}
