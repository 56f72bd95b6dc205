// SPDX-License-Identifier: MIT
// What domains and vCPUs are just now, as the tools want to know it. Nothing is locked: numbers may be a moment old,
// and each is true by itself.
#include "internal.h"

#include <pv/mm.h>

#define NO_SHUTDOWN_CODE 0xffffu

static bool is_running(const struct vcpu *v) {
    const struct cpu *c = READ_ONCE(v->cpu);

    return c && READ_ONCE(c->current) == v;
}

/* Blocked is a domain none of whose vCPUs has anything to do. */
static u32 flags_of_vcpus(struct domain *d, struct xen_domctl_getdomaininfo *info) {
    u32 flags = XEN_DOMINF_blocked;

    for (u32 i = 0; i < d->nr_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];
        u32 pause = READ_ONCE(v->pause);

        info->cpu_time += sched_cpu_time(&v->sched, time_now());
        if (pause & VCPU_DOWN)
            continue;
        info->nr_online_vcpus++;
        if (!(pause & VCPU_BLOCKED))
            flags &= ~XEN_DOMINF_blocked;
        if (is_running(v))
            flags |= XEN_DOMINF_running;
    }
    return info->nr_online_vcpus ? flags : 0;
}

static u32 flags_of(const struct domain *d) {
    u32 flags = (d->shut_down ? d->shutdown_code : NO_SHUTDOWN_CODE) << XEN_DOMINF_shutdownshift;

    if (d->control && READ_ONCE(d->control->destroyed))
        flags |= XEN_DOMINF_dying;
    if (d->shut_down)
        flags |= XEN_DOMINF_shutdown;
    if (d->tool_pauses)
        flags |= XEN_DOMINF_paused;
    if (d->debugged)
        flags |= XEN_DOMINF_debugged;
    return flags;
}

void control_fill_info(struct domain *d, struct xen_domctl_getdomaininfo *info) {
    memset(info, 0, sizeof(*info));
    info->domain = d->id;
    info->flags = flags_of_vcpus(d, info) | flags_of(d);
    info->tot_pages = d->tot_pages;
    info->max_pages = d->max_pages;
    info->outstanding_pages = READ_ONCE(d->claimed_pages);
    info->shared_info_frame = d->shared_info_mfn.n;
    info->max_vcpu_id = d->nr_vcpus ? d->nr_vcpus - 1 : XEN_INVALID_MAX_VCPU_ID;
    memcpy(info->handle, d->handle, sizeof(info->handle));
    if (d->control)
        info->arch_config = d->control->arch;
}

struct vcpu *control_vcpu(struct domain *d, u32 id) {
    return id < d->nr_vcpus ? d->vcpu[id] : NULL;
}

long control_no_vcpu(const struct domain *d, u32 id) {
    return d->control && id < d->control->max_vcpus ? -ESRCH : -EINVAL;
}

long control_list_domains(struct vcpu *v, struct xen_sysctl *op) {
    struct xen_sysctl_getdomaininfolist *l = &op->u.getdomaininfolist;
    struct xen_domctl_getdomaininfo info;
    struct domain *d;
    u32 n = 0, id = l->first_domain;

    (void)v;
    while (n < l->max_domains && (d = domain_get_from(id))) {
        control_fill_info(d, &info);
        id = d->id + 1u;
        domain_put(d);
        if (copy_to_guest(gva((u64)(l->buffer.p + n)), &info, sizeof(info)))
            return -EFAULT;
        n++;
    }
    l->num_domains = n;
    return 0;
}

long control_get_vcpu_info(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    struct xen_domctl_getvcpuinfo *i = &op->u.getvcpuinfo;
    const struct cpu *c;
    struct vcpu *v;

    (void)caller;
    v = control_vcpu(d, i->vcpu);
    if (!v)
        return control_no_vcpu(d, i->vcpu);
    c = READ_ONCE(v->cpu);
    i->online = !(READ_ONCE(v->pause) & VCPU_DOWN);
    i->blocked = (READ_ONCE(v->pause) & VCPU_BLOCKED) != 0;
    i->running = is_running(v);
    i->cpu_time = sched_cpu_time(&v->sched, time_now());
    i->cpu = c ? c->id : 0;
    return 0;
}
