// SPDX-License-Identifier: MIT
// Where vCPUs run and how much they get. To tools the scheduler is credit2: it has the same weights and caps.
#include "internal.h"

#include <pv/mm.h>

u64 control_online_cpus(void) {
    return nr_cpus < 64 ? BIT(nr_cpus) - 1 : ~0ul;
}

long control_set_affinity(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    struct vcpu *v = control_vcpu(d, a->vcpu);
    u64 hard = 0, soft = 0;
    long rc = 0;

    (void)caller;
    if (!v)
        return control_no_vcpu(d, a->vcpu);
    if (!a->flags || a->flags & ~(u32)(XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT | XEN_VCPUAFFINITY_FORCE))
        return -EINVAL;
    if (a->flags & XEN_VCPUAFFINITY_HARD)
        rc = control_read_bitmap(&a->cpumap_hard, &hard);
    if (!rc && a->flags & XEN_VCPUAFFINITY_SOFT)
        rc = control_read_bitmap(&a->cpumap_soft, &soft);
    if (rc)
        return rc;
    if (a->flags & XEN_VCPUAFFINITY_HARD && !(hard & control_online_cpus()))
        return -EINVAL;
    if (a->flags & XEN_VCPUAFFINITY_HARD)
        sched_set_affinity(&v->sched, hard, time_now());
    if (a->flags & XEN_VCPUAFFINITY_SOFT)
        sched_set_soft_affinity(&v->sched, soft);
    hard = v->sched.affinity & control_online_cpus();
    if (a->flags & XEN_VCPUAFFINITY_HARD)
        rc = control_write_bitmap(&a->cpumap_hard, hard);
    if (!rc && a->flags & XEN_VCPUAFFINITY_SOFT)
        rc = control_write_bitmap(&a->cpumap_soft, v->sched.soft & hard);
    return rc;
}

long control_get_affinity(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    const struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    const struct vcpu *v = control_vcpu(d, a->vcpu);
    long rc = 0;

    (void)caller;
    if (!v)
        return control_no_vcpu(d, a->vcpu);
    if (!a->flags || a->flags & ~(u32)(XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT))
        return -EINVAL;
    if (a->flags & XEN_VCPUAFFINITY_HARD)
        rc = control_write_bitmap(&a->cpumap_hard, v->sched.affinity & control_online_cpus());
    if (!rc && a->flags & XEN_VCPUAFFINITY_SOFT)
        rc = control_write_bitmap(&a->cpumap_soft, v->sched.soft & control_online_cpus());
    return rc;
}

long control_set_nodes(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    u64 nodes;
    long rc = control_read_bitmap(&op->u.nodeaffinity.nodemap, &nodes);

    (void)v, (void)d;
    return rc ? rc : nodes & 1 ? 0 : -EINVAL;
}

long control_get_nodes(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v, (void)d;
    return control_write_bitmap(&op->u.nodeaffinity.nodemap, 1);
}

static long put_params(struct domain *d, const struct xen_domctl_sched_credit2 *p) {
    if (p->cap > 100 * nr_cpus)
        return -EINVAL;
    for (u32 i = 0; i < d->nr_vcpus; i++) {
        if (p->weight)
            sched_set_weight(&d->vcpu[i]->sched, p->weight, time_now());
        sched_set_cap(&d->vcpu[i]->sched, MAX(p->cap / d->nr_vcpus, p->cap ? 1u : 0u), time_now());
    }
    if (p->weight)
        d->weight = p->weight;
    d->cap = p->cap;
    return 0;
}

long control_scheduler(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    struct xen_domctl_scheduler_op *s = &op->u.scheduler_op;

    (void)v;
    if (s->sched_id != XEN_SCHEDULER_CREDIT2)
        return -EINVAL;
    switch (s->cmd) {
    case XEN_DOMCTL_SCHEDOP_getinfo:
        s->u.credit2.weight = d->weight;
        s->u.credit2.cap = d->cap;
        return 0;
    case XEN_DOMCTL_SCHEDOP_putinfo:
        return put_params(d, &s->u.credit2);
    default:
        return -EINVAL;
    }
}

long control_trigger(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    struct vcpu *v = control_vcpu(d, op->u.sendtrigger.vcpu);
    u32 trigger = op->u.sendtrigger.trigger;

    (void)caller;
    if (!v)
        return -ESRCH;
    if (trigger == XEN_DOMCTL_SENDTRIGGER_POWER || trigger == XEN_DOMCTL_SENDTRIGGER_SLEEP)
        return -EINVAL; /* buttons are for guests of another kind */
    if (trigger != XEN_DOMCTL_SENDTRIGGER_NMI)
        return -ENOSYS;
    WRITE_ONCE(v->nmi_pending, true);
    vcpu_kick(v);
    return 0;
}
