// SPDX-License-Identifier: MIT
/*
 * Control operations. The header of these wants to be included the way tools do.
 */
#undef __XEN_INTERFACE_VERSION__
#define __XEN_TOOLS__
#include "builder.h"

#include <xen/domctl.h>

static struct xen_domctl op;

static long domctl(uint32_t cmd, domid_t id) {
    op.cmd = cmd;
    op.domain = id;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return hypercall1(__HYPERVISOR_domctl, &op);
}

static struct xen_domctl *clean(void) {
    return memset(&op, 0, sizeof(op));
}

long control_create(struct guest *guest, unsigned long max_pages) {
    struct xen_domctl_createdomain *create = &clean()->u.createdomain;
    long rc;

    create->max_vcpus = guest->vcpus;
    create->max_evtchn_port = ~0U;
    create->max_grant_frames = 8;
    create->max_maptrack_frames = 64;
    create->grant_opts = XEN_DOMCTL_GRANT_version(1);
    rc = domctl(XEN_DOMCTL_createdomain, 0);
    if (rc)
        return rc;
    guest->id = op.domain;
    clean()->u.max_vcpus.max = guest->vcpus;
    rc = domctl(XEN_DOMCTL_max_vcpus, guest->id);
    clean()->u.max_mem.max_memkb = max_pages * 4;
    return rc ? rc : domctl(XEN_DOMCTL_max_mem, guest->id);
}

long control_shared_info(const struct guest *guest, unsigned long *mfn) {
    long rc;

    clean();
    rc = domctl(XEN_DOMCTL_getdomaininfo, guest->id);
    *mfn = op.u.getdomaininfo.shared_info_frame;
    return rc;
}

long control_hypercall_page(const struct guest *guest, unsigned long mfn) {
    clean()->u.hypercall_init.gmfn = mfn;
    return domctl(XEN_DOMCTL_hypercall_init, guest->id);
}

long control_set_memory_map(const struct guest *guest) {
    struct {
        uint64_t addr, size;
        uint32_t type;
    } __attribute__((packed)) ram = {.size = guest->nr_pages << PAGE_SHIFT, .type = 1};
    struct xen_foreign_memory_map foreign = {.domid = guest->id, .map.nr_entries = 1};

    set_xen_guest_handle(foreign.map.buffer, &ram);
    return hv_memory_op(XENMEM_set_memory_map, &foreign);
}

long control_set_context(const struct guest *guest, struct vcpu_guest_context *ctxt) {
    set_xen_guest_handle(clean()->u.vcpucontext.ctxt, ctxt);
    return domctl(XEN_DOMCTL_setvcpucontext, guest->id);
}

long control_unpause(const struct guest *guest) {
    clean();
    return domctl(XEN_DOMCTL_unpausedomain, guest->id);
}

long control_set_weight(const struct guest *guest, unsigned weight) {
    struct xen_domctl_scheduler_op *sched = &clean()->u.scheduler_op;

    sched->sched_id = XEN_SCHEDULER_CREDIT2;
    sched->cmd = XEN_DOMCTL_SCHEDOP_putinfo;
    sched->u.credit2.weight = (uint16_t)weight;
    return domctl(XEN_DOMCTL_scheduler_op, guest->id);
}

uint64_t control_cpu_time(const struct guest *guest) {
    clean();
    return domctl(XEN_DOMCTL_getdomaininfo, guest->id) ? 0 : op.u.getdomaininfo.cpu_time;
}

long control_destroy(const struct guest *guest) {
    clean();
    return domctl(XEN_DOMCTL_destroydomain, guest->id);
}

bool control_has_ended(const struct guest *guest, unsigned *reason) {
    clean();
    if (domctl(XEN_DOMCTL_getdomaininfo, guest->id))
        return true;
    *reason = op.u.getdomaininfo.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
    return op.u.getdomaininfo.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying);
}
