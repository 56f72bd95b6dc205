// SPDX-License-Identifier: MIT
// Life of the domains that the control domain makes: birth, limits, pausing, and the end, which other domains may put
// off by holding frames.
#include "internal.h"

#include <pv/heap.h>
#include <pv/mm.h>

#define KNOWN_FLAGS (XEN_DOMCTL_CDF_s3_integrity | XEN_DOMCTL_CDF_oos_off | XEN_DOMCTL_CDF_xs_domain)
#define MAX_PAUSES 255
#define MAX_MAPTRACK_FRAMES 1024 /* as Xen has it */
#define MAPS_PER_MAPTRACK_FRAME 256

static bool to_tell; /* atomic */

/* --- birth --- */

/* -1: as many as there may be. */
static bool grant_limits_ok(const struct xen_domctl_createdomain *c) {
    u32 version = c->grant_opts & XEN_DOMCTL_GRANT_version_mask;

    if (c->grant_opts & ~XEN_DOMCTL_GRANT_version_mask || version < 1 || version > 2)
        return false;
    return c->max_grant_frames != 0 && c->max_grant_frames <= GNTTAB_MAX_FRAMES &&
           c->max_maptrack_frames <= MAX_MAPTRACK_FRAMES;
}

static long check_config(const struct xen_domctl_createdomain *c) {
    if (c->flags & ~(u32)KNOWN_FLAGS || c->iommu_opts || c->vmtrace_size)
        return -EINVAL;
    if (c->max_vcpus < 1 || c->max_vcpus > MAX_VCPUS)
        return -EINVAL;
    if (c->arch.emulation_flags & ~XEN_X86_EMU_ALL || c->arch.misc_flags & ~XEN_X86_MSR_RELAXED)
        return -EINVAL;
    if (c->arch.emulation_flags)
        return -EOPNOTSUPP; /* devices are for guests of another kind */
    return grant_limits_ok(c) ? 0 : -EINVAL;
}

static void discard(struct domain *d) {
    domain_kill(d);
    while (!domain_destroy(d))
        continue;
}

static long set_up(struct domain *d, const struct xen_domctl_createdomain *c) {
    long rc;

    d->control = heap_alloc(sizeof(*d->control));
    if (!d->control)
        return -ENOMEM;
    d->control->max_vcpus = c->max_vcpus;
    d->control->arch = c->arch;
    memcpy(d->handle, c->handle, sizeof(d->handle));
    d->evtchn.nr_ports = (u32)MIN((u64)c->max_evtchn_port + 1, EVTCHN_NR_PORTS);
    snprintf(d->name, sizeof(d->name), "d%u", d->id);
    d->tool_pauses = 1;
    domain_pause(d);
    time_update_wallclock(d);
    rc = gnttab_init(d, c->max_grant_frames < 0 ? GNTTAB_MAX_FRAMES : (u32)c->max_grant_frames);
    if (!rc && c->max_maptrack_frames >= 0)
        gnttab_limit_maps(d, (u64)c->max_maptrack_frames * MAPS_PER_MAPTRACK_FRAME);
    return rc;
}

/* Numbers up to DOMID_FIRST_RESERVED may be asked for by name. */
long control_create(struct vcpu *v, struct domain *none, struct xen_domctl *op) {
    const struct xen_domctl_createdomain *c = &op->u.createdomain;
    bool by_name = op->domain > 0 && op->domain < DOMID_FIRST_RESERVED;
    long rc = check_config(c);
    struct domain *d;

    (void)v, (void)none;
    if (rc)
        return rc;
    if (by_name && (op->domain >= MAX_DOMAINS || domain_by_id(op->domain)))
        return op->domain >= MAX_DOMAINS ? -ENOSPC : -EEXIST;
    if (c->cpupool_id)
        return -ESRCH;
    d = domain_create("new", by_name ? op->domain : DOMID_ANY, 0, 0);
    if (!d)
        return -ENOMEM;
    rc = set_up(d, c);
    if (rc) {
        discard(d);
        return rc;
    }
    op->domain = d->id;
    return 0;
}

/* One for each that was allowed for, and no fewer: some that are there count when it is asked again. */
long control_max_vcpus(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v;
    if (!d->control || op->u.max_vcpus.max != d->control->max_vcpus || d->dying)
        return -EINVAL;
    while (d->nr_vcpus < d->control->max_vcpus) {
        if (!domain_add_vcpu(d))
            return -ENOMEM;
        if (d->nr_vcpus < d->control->max_vcpus && preempt_pending())
            return -ERESTART;
    }
    return 0;
}

/* What it has may be more; then it gets nothing until it has less. */
long control_max_mem(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v;
    WRITE_ONCE(d->max_pages, MIN(op->u.max_mem.max_memkb >> (PAGE_SHIFT - 10), (u64)UINT32_MAX));
    return 0;
}

long control_set_handle(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v;
    memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
    return 0;
}

/* --- pausing --- */

bool control_is_quiet(const struct domain *d) {
    for (u32 i = 0; i < d->nr_vcpus; i++) {
        const struct cpu *c = READ_ONCE(d->vcpu[i]->cpu);

        if (c && __atomic_load_n(&c->current, __ATOMIC_SEQ_CST) == d->vcpu[i])
            return false;
    }
    return true;
}

long control_pause(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v, (void)op;
    if (d->tool_pauses == MAX_PAUSES)
        return -EOVERFLOW;
    d->tool_pauses++;
    domain_pause(d);
    return 0;
}

long control_unpause(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v, (void)op;
    if (!d->tool_pauses)
        return -EINVAL;
    d->tool_pauses--;
    domain_unpause(d);
    return 0;
}

long control_resume(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v, (void)op;
    if (!d->control)
        return -EINVAL;
    domain_resume(d);
    return 0;
}

/* --- the end --- */

void control_domain_ended(void) {
    __atomic_store_n(&to_tell, true, __ATOMIC_SEQ_CST);
    cpu_request(this_cpu(), CPU_REQ_WORK);
}

void control_tell(void) {
    if (__atomic_exchange_n(&to_tell, false, __ATOMIC_SEQ_CST))
        evtchn_send_global_virq(VIRQ_DOM_EXC);
}

long control_destroy(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v, (void)op;
    if (!d->control)
        return -EPERM; /* a guest of the launch file, which keeps it */
    if (d->control->destroyed)
        return 0;
    domain_kill(d);
    if (!domain_destroy(d) && !domain_is_held(d))
        return -ERESTART;
    d->control->destroyed = true;
    control_domain_ended();
    return 0;
}

void control_bury(void) {
    for (struct domain *d = domain_get_from(0), *next; d; d = next) {
        if (d->control && d->control->destroyed && domain_by_id(d->id) == d && domain_destroy(d))
            control_domain_ended();
        next = domain_get_from(d->id + 1u);
        domain_put(d);
    }
}
