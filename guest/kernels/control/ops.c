// SPDX-License-Identifier: MIT
/* Control operations by hypercall, and the domain they are tried on. */
#include "control.h"

struct xen_domctl op;
struct xen_sysctl sop;

struct xen_domctl *clean(void) {
    return memset(&op, 0, sizeof(op));
}

struct xen_sysctl *sclean(void) {
    return memset(&sop, 0, sizeof(sop));
}

long domctl(uint32_t cmd, domid_t id) {
    op.cmd = cmd;
    op.domain = id;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return hypercall1(__HYPERVISOR_domctl, &op);
}

long sysctl(uint32_t cmd) {
    sop.cmd = cmd;
    sop.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall1(__HYPERVISOR_sysctl, &sop);
}

struct xen_domctl_createdomain *plain_domain(unsigned vcpus) {
    struct xen_domctl_createdomain *create = &clean()->u.createdomain;

    create->max_vcpus = vcpus;
    create->max_evtchn_port = 1023;
    create->max_grant_frames = -1;
    create->max_maptrack_frames = -1;
    create->grant_opts = XEN_DOMCTL_GRANT_version(2);
    return create;
}

static domid_t make(unsigned vcpus, unsigned long max_pages, int max_maptrack_frames) {
    domid_t id;
    long rc;

    plain_domain(vcpus)->max_maptrack_frames = max_maptrack_frames;
    rc = domctl(XEN_DOMCTL_createdomain, 0);
    if (rc)
        panic("createdomain: %ld", rc);
    id = op.domain;
    clean()->u.max_vcpus.max = vcpus;
    rc = domctl(XEN_DOMCTL_max_vcpus, id);
    if (rc)
        panic("max_vcpus: %ld", rc);
    clean()->u.max_mem.max_memkb = max_pages * 4;
    rc = domctl(XEN_DOMCTL_max_mem, id);
    if (rc)
        panic("max_mem: %ld", rc);
    return id;
}

domid_t make_domain(unsigned vcpus, unsigned long max_pages) {
    return make(vcpus, max_pages, -1);
}

domid_t make_domain_without_maps(unsigned vcpus, unsigned long max_pages) {
    return make(vcpus, max_pages, 0);
}

long destroy_domain(domid_t id) {
    clean();
    return domctl(XEN_DOMCTL_destroydomain, id);
}

bool get_info(domid_t id, struct xen_domctl_getdomaininfo *info) {
    clean();
    if (domctl(XEN_DOMCTL_getdomaininfo, id) || op.domain != id)
        return false;
    *info = op.u.getdomaininfo;
    return true;
}

unsigned long free_pages(void) {
    sclean();
    return sysctl(XEN_SYSCTL_physinfo) ? 0 : sop.u.physinfo.free_pages;
}
