// SPDX-License-Identifier: MIT
// Small settings of a domain: its clocks, width, rights to devices; and what is refused in the words that tools know.
#include "internal.h"

#include <pv/mm.h>

#define TSC_MODES 3 /* default, always emulated, never emulated: all see the host's TSC, which is constant */
#define WIDTH 64

long control_set_time_offset(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v;
    d->wallclock_offset_ns = (u64)op->u.settimeoffset.time_offset_seconds * TIME_SEC(1);
    time_update_wallclock(d);
    return 0;
}

long control_get_tsc(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    struct xen_domctl_tsc_info *t = &op->u.tsc_info;

    (void)v;
    memset(t, 0, sizeof(*t));
    t->tsc_mode = d->tsc_mode;
    t->gtsc_khz = time_scale()->khz;
    t->incarnation = d->tsc_incarnation;
    t->elapsed_nsec = time_now() - d->tsc_offset_ns;
    return 0;
}

/* elapsed_nsec is the guest's time so far, on another host maybe. */
long control_set_tsc(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    const struct xen_domctl_tsc_info *t = &op->u.tsc_info;

    (void)v;
    if (t->tsc_mode >= TSC_MODES)
        return -EINVAL;
    d->tsc_mode = (u8)t->tsc_mode;
    d->tsc_incarnation = t->incarnation;
    d->tsc_offset_ns = time_now() - t->elapsed_nsec;
    return 0;
}

long control_set_width(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v, (void)d;
    return op->u.address_size.size == WIDTH ? 0 : op->u.address_size.size == 32 ? -EOPNOTSUPP : -EINVAL;
}

long control_get_width(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v, (void)d;
    op->u.address_size.size = WIDTH;
    return 0;
}

long control_set_debugging(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v;
    d->debugged = op->u.setdebugging.enable;
    return 0;
}

/* Devices are the control domain's: nobody else gets any, so there is nothing to take away either. */
static long permission(u8 allow) {
    return allow ? -EPERM : 0;
}

long control_irq_permission(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v, (void)d;
    return permission(op->u.irq_permission.allow_access);
}

long control_iomem_permission(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    const struct xen_domctl_iomem_permission *p = &op->u.iomem_permission;

    (void)v, (void)d;
    return p->first_mfn + p->nr_mfns - 1 < p->first_mfn ? -EINVAL : permission(p->allow_access);
}

long control_ioport_permission(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    const struct xen_domctl_ioport_permission *p = &op->u.ioport_permission;

    (void)v, (void)d;
    return (u64)p->first_port + p->nr_ports > 65536 ? -EINVAL : permission(p->allow_access);
}

/* Without shadow paging there is nothing to be turned off, and no log of what was written: tools look at the latter. */
long control_shadow(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v, (void)d;
    return op->u.shadow_op.op == XEN_DOMCTL_SHADOW_OP_OFF ? -EINVAL : -EOPNOTSUPP;
}

long control_virq_handler(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v;
    return evtchn_set_global_handler(d, op->u.set_virq_handler.virq);
}

/* The port is the domain's own; what is wrong with it is found when it is used. */
long control_subscribe(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v;
    WRITE_ONCE(d->suspend_port, op->u.subscribe.port);
    return 0;
}

long control_unsupported(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    (void)v, (void)d, (void)op;
    return -EOPNOTSUPP;
}
