// SPDX-License-Identifier: MIT
/* Versions, birth, pausing and end of domains. */
#include "control.h"

#define NOBODY 999 /* a domain that does not exist */

void check_versions(void) {
    clean();
    op.cmd = XEN_DOMCTL_getdomaininfo;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION - 1;
    test_equal("versions.domctl", hypercall1(__HYPERVISOR_domctl, &op), -XEN_EACCES);
    sclean();
    sop.cmd = XEN_SYSCTL_physinfo;
    sop.interface_version = XEN_SYSCTL_INTERFACE_VERSION + 1;
    test_equal("versions.sysctl", hypercall1(__HYPERVISOR_sysctl, &sop), -XEN_EACCES);
    test_equal("versions.domctl_unreadable", hypercall1(__HYPERVISOR_domctl, SCRATCH_VA), -XEN_EFAULT);
    test_equal("versions.sysctl_unreadable", hypercall1(__HYPERVISOR_sysctl, SCRATCH_VA), -XEN_EFAULT);
    clean();
    test_equal("versions.nobody", domctl(XEN_DOMCTL_pausedomain, NOBODY), -XEN_ESRCH);
    clean();
    test_equal("versions.self", domctl(XEN_DOMCTL_max_mem, DOMID_SELF), -XEN_ESRCH);
    clean();
    test_equal("versions.unknown", domctl(99, 0), -XEN_ENOSYS);
    clean();
    test_equal("versions.unknown_nobody", domctl(99, NOBODY), -XEN_ESRCH);
    sclean();
    test_equal("versions.sysctl_unknown", sysctl(99), -XEN_ENOSYS);
}

static void refused(const char *name, long expected) {
    long rc = domctl(XEN_DOMCTL_createdomain, 0);

    test_equal(name, rc, expected);
    if (!rc)
        destroy_domain(op.domain);
}

static void check_bad_config(void) {
    plain_domain(0);
    refused("create.no_vcpus", -XEN_EINVAL);
    plain_domain(100000);
    refused("create.many_vcpus", -XEN_EINVAL);
    plain_domain(1)->flags = 1U << 20;
    refused("create.flags", -XEN_EINVAL);
    plain_domain(1)->flags = XEN_DOMCTL_CDF_iommu;
    refused("create.iommu", -XEN_EINVAL);
    plain_domain(1)->iommu_opts = 1;
    refused("create.iommu_opts", -XEN_EINVAL);
    plain_domain(1)->flags = XEN_DOMCTL_CDF_hap;
    refused("create.hap", -XEN_EINVAL);
    plain_domain(1)->flags = XEN_DOMCTL_CDF_nested_virt;
    refused("create.nested", -XEN_EINVAL);
    plain_domain(1)->grant_opts = 0;
    refused("create.grant_version_0", -XEN_EINVAL);
    plain_domain(1)->grant_opts = 3;
    refused("create.grant_version_3", -XEN_EINVAL);
    plain_domain(1)->grant_opts = 0x101;
    refused("create.grant_opts", -XEN_EINVAL);
    plain_domain(1)->max_grant_frames = 1 << 20;
    refused("create.grant_frames", -XEN_EINVAL);
    plain_domain(1)->max_maptrack_frames = 1 << 20;
    refused("create.maptrack_frames", -XEN_EINVAL);
    plain_domain(1)->arch.emulation_flags = 1U << 30;
    refused("create.emulation", -XEN_EINVAL);
    plain_domain(1)->arch.emulation_flags = XEN_X86_EMU_LAPIC;
    refused("create.lapic", -XEN_EOPNOTSUPP);
    plain_domain(1)->arch.misc_flags = 2;
    refused("create.misc", -XEN_EINVAL);
    plain_domain(1)->cpupool_id = 7;
    refused("create.pool", -XEN_ESRCH);
    plain_domain(1)->vmtrace_size = 4096;
    refused("create.vmtrace", -XEN_EINVAL);
}

/* What is shown of a domain before it has anything. */
static void check_newborn(domid_t id, const uint8_t *handle) {
    struct xen_domctl_getdomaininfo info;

    if (!test_check("create.info", get_info(id, &info), "no such domain"))
        return;
    test_equal("create.info.domain", info.domain, id);
    test_equal("create.info.flags", info.flags, XEN_DOMINF_paused | 0xffff0000U);
    test_equal("create.info.max_vcpu_id", info.max_vcpu_id, XEN_INVALID_MAX_VCPU_ID);
    test_equal("create.info.online", info.nr_online_vcpus, 0);
    test_equal("create.info.pages", (long)info.tot_pages, 0);
    test_equal("create.info.max_pages", (long)info.max_pages, 0);
    test_equal("create.info.time", (long)info.cpu_time, 0);
    test_equal("create.info.outstanding", (long)info.outstanding_pages, 0);
    test_equal("create.info.pool", info.cpupool, 0);
    test_equal("create.info.emulation", info.arch_config.emulation_flags, 0);
    test_check("create.info.handle", !memcmp(info.handle, handle, sizeof(info.handle)), "another one");
    test_check("create.info.shared_info", info.shared_info_frame != 0, "none");
}

static void check_new_vcpus(domid_t id) {
    struct xen_domctl_getdomaininfo info;

    clean()->u.getvcpuinfo.vcpu = 0;
    test_equal("create.vcpu_too_early", domctl(XEN_DOMCTL_getvcpuinfo, id), -XEN_ESRCH);
    clean()->u.max_vcpus.max = 2;
    test_equal("create.vcpus_too_few", domctl(XEN_DOMCTL_max_vcpus, id), -XEN_EINVAL);
    clean()->u.max_vcpus.max = 3;
    test_equal("create.vcpus", domctl(XEN_DOMCTL_max_vcpus, id), 0);
    clean()->u.max_vcpus.max = 3;
    test_equal("create.vcpus_again", domctl(XEN_DOMCTL_max_vcpus, id), 0);
    clean()->u.max_vcpus.max = 1;
    test_equal("create.vcpus_own", domctl(XEN_DOMCTL_max_vcpus, 0), -XEN_EINVAL);
    get_info(id, &info);
    test_equal("create.vcpus.max_id", info.max_vcpu_id, 2);
    test_equal("create.vcpus.online", info.nr_online_vcpus, 0);
    test_equal("create.vcpus.flags", info.flags, XEN_DOMINF_paused | 0xffff0000U);
    clean()->u.getvcpuinfo.vcpu = 2;
    test_equal("create.vcpu_info", domctl(XEN_DOMCTL_getvcpuinfo, id), 0);
    test_equal("create.vcpu_info.online", op.u.getvcpuinfo.online, 0);
    test_equal("create.vcpu_info.blocked", op.u.getvcpuinfo.blocked, 0);
    test_equal("create.vcpu_info.running", op.u.getvcpuinfo.running, 0);
    clean()->u.getvcpuinfo.vcpu = 3;
    test_equal("create.vcpu_info_beyond", domctl(XEN_DOMCTL_getvcpuinfo, id), -XEN_EINVAL);
}

void check_create(void) {
    struct xen_domctl_createdomain *create;
    struct xen_domctl_getdomaininfo info;
    uint8_t handle[16];
    domid_t id;

    check_bad_config();
    create = plain_domain(3);
    for (unsigned i = 0; i < sizeof(handle); i++)
        create->handle[i] = handle[i] = (uint8_t)(i * 7 + 1);
    if (!test_equal("create", domctl(XEN_DOMCTL_createdomain, 0), 0))
        return;
    id = op.domain;
    test_check("create.number", id > 0 && id < DOMID_FIRST_RESERVED, "%u", id);
    check_newborn(id, handle);
    plain_domain(1);
    test_equal("create.taken", domctl(XEN_DOMCTL_createdomain, id), -XEN_EEXIST);
    check_new_vcpus(id);
    clean()->u.max_mem.max_memkb = 4096;
    test_equal("create.max_mem", domctl(XEN_DOMCTL_max_mem, id), 0);
    get_info(id, &info);
    test_equal("create.max_mem.pages", (long)info.max_pages, 1024);
    memset(clean()->u.setdomainhandle.handle, 0x5a, 16);
    test_equal("create.set_handle", domctl(XEN_DOMCTL_setdomainhandle, id), 0);
    get_info(id, &info);
    test_equal("create.set_handle.first", info.handle[0], 0x5a);
    test_equal("create.destroy", destroy_domain(id), 0);
    test_check("create.gone", !get_info(id, &info), "flags %x", info.flags);
    test_equal("create.destroy_again", destroy_domain(id), -XEN_ESRCH);
    plain_domain(1);
    test_equal("create.by_number", domctl(XEN_DOMCTL_createdomain, 900), 0);
    test_equal("create.by_number.id", op.domain, 900);
    clean();
    test_equal("create.next", domctl(XEN_DOMCTL_getdomaininfo, 800), 0);
    test_equal("create.next.id", op.domain, 900);
    test_equal("create.by_number.destroy", destroy_domain(900), 0);
    clean();
    test_equal("create.next_none", domctl(XEN_DOMCTL_getdomaininfo, 800), -XEN_ESRCH);
    clean();
    test_equal("create.next_reserved", domctl(XEN_DOMCTL_getdomaininfo, DOMID_FIRST_RESERVED), -XEN_EINVAL);
}

static long paused(domid_t id) {
    struct xen_domctl_getdomaininfo info;

    return get_info(id, &info) && info.flags & XEN_DOMINF_paused;
}

static volatile unsigned exceptions;

static void on_exception(unsigned port) {
    (void)port;
    exceptions++;
}

void check_life(void) {
    domid_t id = make_domain(1, 16);
    long port = event_bind_virq(VIRQ_DOM_EXC, 0), rc = 0;
    unsigned before;

    test_check("life.virq", port > 0, "%ld", port);
    event_set_handler((unsigned)port, on_exception);
    event_unmask((unsigned)port);
    clean();
    test_equal("life.pause_own", domctl(XEN_DOMCTL_pausedomain, 0), -XEN_EINVAL);
    clean();
    test_equal("life.pause", domctl(XEN_DOMCTL_pausedomain, id), 0);
    clean();
    test_equal("life.unpause", domctl(XEN_DOMCTL_unpausedomain, id), 0);
    test_equal("life.paused_still", paused(id), 1);
    clean();
    test_equal("life.unpause_last", domctl(XEN_DOMCTL_unpausedomain, id), 0);
    test_equal("life.not_paused", paused(id), 0);
    clean();
    test_equal("life.unpause_too_many", domctl(XEN_DOMCTL_unpausedomain, id), -XEN_EINVAL);
    for (unsigned i = 0; i < 255; i++)
        rc |= domctl(XEN_DOMCTL_pausedomain, id);
    test_equal("life.pauses", rc, 0);
    test_equal("life.pause_too_many", domctl(XEN_DOMCTL_pausedomain, id), -XEN_EOVERFLOW);
    clean();
    test_equal("life.resume_own", domctl(XEN_DOMCTL_resumedomain, 0), -XEN_EINVAL);
    clean();
    test_equal("life.resume", domctl(XEN_DOMCTL_resumedomain, id), 0);
    clean();
    test_equal("life.destroy_own", domctl(XEN_DOMCTL_destroydomain, 0), -XEN_EINVAL);
    before = exceptions;
    test_equal("life.destroy", destroy_domain(id), 0);
    for (unsigned i = 0; i < 1000 && exceptions == before; i++)
        clock_sleep(MILLISECOND);
    test_check("life.destroy_told", exceptions != before, "no VIRQ_DOM_EXC");
    event_close((unsigned)port);
}

static void list(domid_t first, unsigned max, struct xen_domctl_getdomaininfo *buffer) {
    struct xen_sysctl_getdomaininfolist *l = &sclean()->u.getdomaininfolist;

    l->first_domain = first;
    l->max_domains = max;
    set_xen_guest_handle(l->buffer, buffer);
}

#define NR_WARM 50 /* till caches of the hypervisor have what they need */
#define NR_CYCLES 200

/* Whatever a domain takes is there again when it is gone. */
void check_cycles(void) {
    static struct xen_domctl_getdomaininfo infos[4];
    unsigned long before = 0;
    domid_t a, b;
    long rc = 0;

    a = make_domain(1, 16);
    b = make_domain(2, 16);
    list(1, 4, infos);
    test_equal("cycles.list", sysctl(XEN_SYSCTL_getdomaininfolist), 0);
    test_equal("cycles.list.count", sop.u.getdomaininfolist.num_domains, 2);
    test_check("cycles.list.order", infos[0].domain == a && infos[1].domain == b, "%u %u", infos[0].domain,
               infos[1].domain);
    list(0, 1, infos);
    test_equal("cycles.list_first", sysctl(XEN_SYSCTL_getdomaininfolist), 0);
    test_equal("cycles.list_first.own", infos[0].domain, 0);
    list(0, 4, (void *)SCRATCH_VA);
    test_equal("cycles.list_unwritable", sysctl(XEN_SYSCTL_getdomaininfolist), -XEN_EFAULT);
    destroy_domain(a);
    destroy_domain(b);
    clock_sleep(100 * MILLISECOND);
    for (unsigned i = 0; i < NR_WARM + NR_CYCLES; i++) {
        if (i == NR_WARM)
            before = free_pages();
        a = make_domain(1 + i % 3, 16);
        rc |= destroy_domain(a);
    }
    test_equal("cycles.destroy", rc, 0);
    for (unsigned i = 0; i < 30000 && free_pages() < before; i++)
        clock_sleep(MILLISECOND); /* the peer clears it when it has time */
    test_check("cycles.free_pages", free_pages() >= before, "%lu of %lu", free_pages(), before);
}
