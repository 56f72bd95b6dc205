// SPDX-License-Identifier: MIT
/* vCPUs and small settings of another domain: what is set is what is got, and what can't be is refused. */
#include "control.h"

#define NOBODY 999

static domid_t id;
static struct vcpu_guest_context context, got;

static long with_context(uint32_t cmd, unsigned vcpu, struct vcpu_guest_context *c) {
    clean()->u.vcpucontext.vcpu = vcpu;
    set_xen_guest_handle(op.u.vcpucontext.ctxt, c);
    return domctl(cmd, id);
}

static void check_contexts(void) {
    test_equal("vcpu.context_none", with_context(XEN_DOMCTL_getvcpucontext, 0, &got), -XEN_ENODATA);
    test_equal("vcpu.context_beyond", with_context(XEN_DOMCTL_getvcpucontext, 9, &got), -XEN_EINVAL);
    test_equal("vcpu.context_set_beyond", with_context(XEN_DOMCTL_setvcpucontext, 9, &context), -XEN_EINVAL);
    test_equal("vcpu.context_unreadable", with_context(XEN_DOMCTL_setvcpucontext, 0, (void *)SCRATCH_VA), -XEN_EFAULT);
    memset(&context, 0, sizeof(context));
    test_equal("vcpu.context_no_root", with_context(XEN_DOMCTL_setvcpucontext, 0, &context), -XEN_EINVAL);
    context.gdt_ents = 10000;
    test_equal("vcpu.context_gdt", with_context(XEN_DOMCTL_setvcpucontext, 0, &context), -XEN_EINVAL);
    context.gdt_ents = 0;
    context.fs_base = 1UL << 60;
    test_equal("vcpu.context_base", with_context(XEN_DOMCTL_setvcpucontext, 0, &context), -XEN_EINVAL);
}

static void affinity(unsigned flags, uint8_t *hard, uint8_t *soft) {
    clean()->u.vcpuaffinity.flags = flags;
    op.u.vcpuaffinity.cpumap_hard.nr_bits = op.u.vcpuaffinity.cpumap_soft.nr_bits = 16;
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, hard);
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_soft.bitmap, soft);
}

static void check_affinity(void) {
    uint8_t hard[2] = {2, 0}, soft[2] = {1, 0};

    affinity(XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT, hard, soft);
    test_equal("vcpu.affinity", domctl(XEN_DOMCTL_getvcpuaffinity, id), 0);
    test_equal("vcpu.affinity.hard", hard[0], 3);
    test_equal("vcpu.affinity.soft", soft[0], 3);
    test_equal("vcpu.affinity.beyond", hard[1], 0);
    hard[0] = 2, soft[0] = 3;
    affinity(XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT, hard, soft);
    test_equal("vcpu.affinity_set", domctl(XEN_DOMCTL_setvcpuaffinity, id), 0);
    test_equal("vcpu.affinity_set.hard", hard[0], 2);
    test_equal("vcpu.affinity_set.soft", soft[0], 2);
    affinity(XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT, hard, soft);
    domctl(XEN_DOMCTL_getvcpuaffinity, id);
    test_equal("vcpu.affinity_kept.hard", hard[0], 2);
    test_equal("vcpu.affinity_kept.soft", soft[0], 3);
    hard[0] = 0x80;
    affinity(XEN_VCPUAFFINITY_HARD, hard, soft);
    test_equal("vcpu.affinity_nowhere", domctl(XEN_DOMCTL_setvcpuaffinity, id), -XEN_EINVAL);
    affinity(0, hard, soft);
    test_equal("vcpu.affinity_nothing", domctl(XEN_DOMCTL_setvcpuaffinity, id), -XEN_EINVAL);
    affinity(XEN_VCPUAFFINITY_HARD, hard, soft);
    op.u.vcpuaffinity.vcpu = 5;
    test_equal("vcpu.affinity_beyond", domctl(XEN_DOMCTL_setvcpuaffinity, id), -XEN_EINVAL);
}

static void check_nodes(void) {
    uint8_t nodes[8] = {1};

    clean()->u.nodeaffinity.nodemap.nr_bits = 64;
    set_xen_guest_handle(op.u.nodeaffinity.nodemap.bitmap, nodes);
    test_equal("vcpu.nodes_set", domctl(XEN_DOMCTL_setnodeaffinity, id), 0);
    nodes[0] = 0;
    test_equal("vcpu.nodes", domctl(XEN_DOMCTL_getnodeaffinity, id), 0);
    test_equal("vcpu.nodes.map", nodes[0], 1);
    nodes[0] = 0;
    test_equal("vcpu.nodes_none", domctl(XEN_DOMCTL_setnodeaffinity, id), -XEN_EINVAL);
}

static long scheduler(unsigned sched, unsigned cmd, unsigned weight, unsigned cap) {
    struct xen_domctl_scheduler_op *s = &clean()->u.scheduler_op;

    s->sched_id = sched;
    s->cmd = cmd;
    s->u.credit2.weight = (uint16_t)weight;
    s->u.credit2.cap = (uint16_t)cap;
    return domctl(XEN_DOMCTL_scheduler_op, id);
}

static void check_scheduler(void) {
    const struct xen_domctl_sched_credit2 *p = &op.u.scheduler_op.u.credit2;

    test_equal("vcpu.sched", scheduler(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), 0);
    test_equal("vcpu.sched.weight", p->weight, 256);
    test_equal("vcpu.sched.cap", p->cap, 0);
    test_equal("vcpu.sched_put", scheduler(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_putinfo, 512, 50), 0);
    scheduler(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0);
    test_equal("vcpu.sched_put.weight", p->weight, 512);
    test_equal("vcpu.sched_put.cap", p->cap, 50);
    test_equal("vcpu.sched_keep", scheduler(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_putinfo, 0, 60), 0);
    scheduler(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0);
    test_equal("vcpu.sched_keep.weight", p->weight, 512);
    test_equal("vcpu.sched_keep.cap", p->cap, 60);
    test_equal("vcpu.sched_cap", scheduler(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_putinfo, 0, 5000), -XEN_EINVAL);
    test_equal("vcpu.sched_other", scheduler(XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), -XEN_EINVAL);
    test_equal("vcpu.sched_vcpu", scheduler(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getvcpuinfo, 0, 0), -XEN_EINVAL);
}

static void check_trigger(void) {
    clean()->u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_NMI;
    test_equal("vcpu.nmi", domctl(XEN_DOMCTL_sendtrigger, id), 0);
    op.u.sendtrigger.vcpu = 7;
    test_equal("vcpu.nmi_beyond", domctl(XEN_DOMCTL_sendtrigger, id), -XEN_ESRCH);
    clean()->u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_RESET;
    test_equal("vcpu.reset", domctl(XEN_DOMCTL_sendtrigger, id), -XEN_ENOSYS);
    clean()->u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_POWER;
    test_equal("vcpu.power", domctl(XEN_DOMCTL_sendtrigger, id), -XEN_EINVAL);
}

static void check_settings(void) {
    clean();
    test_equal("vcpu.width", domctl(XEN_DOMCTL_get_address_size, id), 0);
    test_equal("vcpu.width.bits", op.u.address_size.size, 64);
    clean()->u.address_size.size = 64;
    test_equal("vcpu.width_set", domctl(XEN_DOMCTL_set_address_size, id), 0);
    clean()->u.address_size.size = 48;
    test_equal("vcpu.width_odd", domctl(XEN_DOMCTL_set_address_size, id), -XEN_EINVAL);
    clean();
    test_equal("vcpu.tsc", domctl(XEN_DOMCTL_gettscinfo, id), 0);
    printf("INFO tsc mode %u khz %u incarnation %u elapsed %lu\n", op.u.tsc_info.tsc_mode, op.u.tsc_info.gtsc_khz,
           op.u.tsc_info.incarnation, op.u.tsc_info.elapsed_nsec);
    clean()->u.tsc_info.tsc_mode = 77;
    test_equal("vcpu.tsc_mode", domctl(XEN_DOMCTL_settscinfo, id), -XEN_EINVAL);
    clean();
    test_equal("vcpu.tsc_set", domctl(XEN_DOMCTL_settscinfo, id), 0);
    clean();
    test_equal("vcpu.tsc_own", domctl(XEN_DOMCTL_settscinfo, 0), -XEN_EINVAL);
    clean()->u.settimeoffset.time_offset_seconds = 3600;
    test_equal("vcpu.time_offset", domctl(XEN_DOMCTL_settimeoffset, id), 0);
    clean()->u.setdebugging.enable = 1;
    test_equal("vcpu.debugging", domctl(XEN_DOMCTL_setdebugging, id), 0);
    clean()->u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_OFF;
    test_equal("vcpu.shadow_off", domctl(XEN_DOMCTL_shadow_op, id), -XEN_EINVAL);
    clean()->u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;
    test_equal("vcpu.log_dirty", domctl(XEN_DOMCTL_shadow_op, id), -XEN_EOPNOTSUPP);
    clean()->u.ioport_permission.first_port = 0xffff;
    op.u.ioport_permission.nr_ports = 2;
    test_equal("vcpu.ports_beyond", domctl(XEN_DOMCTL_ioport_permission, id), -XEN_EINVAL);
}

static void check_saved(void) {
    struct xen_domctl_ext_vcpucontext *e = &op.u.ext_vcpucontext;
    uint64_t size;

    clean();
    test_equal("vcpu.ext", domctl(XEN_DOMCTL_get_ext_vcpucontext, id), 0);
    test_equal("vcpu.ext.size", e->size, sizeof(*e));
    e->sysenter_callback_eip = 0x1234000;
    e->sysenter_disables_events = 1;
    test_equal("vcpu.ext_set", domctl(XEN_DOMCTL_set_ext_vcpucontext, id), 0);
    clean();
    domctl(XEN_DOMCTL_get_ext_vcpucontext, id);
    test_equal("vcpu.ext_kept", (long)e->sysenter_callback_eip, 0x1234000);
    test_equal("vcpu.ext_kept.mask", e->sysenter_disables_events, 1);
    e->sysenter_callback_eip = 1UL << 60;
    test_equal("vcpu.ext_address", domctl(XEN_DOMCTL_set_ext_vcpucontext, id), -XEN_EINVAL);
    clean()->u.ext_vcpucontext.vcpu = 7;
    test_equal("vcpu.ext_beyond", domctl(XEN_DOMCTL_get_ext_vcpucontext, id), -XEN_ESRCH);
    clean();
    test_equal("vcpu.state", domctl(XEN_DOMCTL_getvcpuextstate, id), 0);
    size = op.u.vcpuextstate.size;
    printf("INFO state %lu features %lx\n", size, op.u.vcpuextstate.xfeature_mask);
    clean()->u.vcpuextstate.size = 7;
    test_equal("vcpu.state_size", domctl(XEN_DOMCTL_setvcpuextstate, id), -XEN_EINVAL);
    clean();
    test_equal("vcpu.msrs", domctl(XEN_DOMCTL_get_vcpu_msrs, id), 0);
    printf("INFO msrs %u\n", op.u.vcpu_msrs.msr_count);
}

static void check_policy(void) {
    static xen_cpuid_leaf_t leaves[256];
    static xen_msr_entry_t msrs[16];
    static uint32_t features[64];
    unsigned n;

    sclean()->u.cpu_policy.index = XEN_SYSCTL_cpu_policy_pv_default;
    test_equal("vcpu.policy_size", sysctl(XEN_SYSCTL_get_cpu_policy), 0);
    printf("INFO policy %u leaves %u msrs\n", sop.u.cpu_policy.nr_leaves, sop.u.cpu_policy.nr_msrs);
    sclean()->u.cpu_policy.index = XEN_SYSCTL_cpu_policy_pv_default;
    sop.u.cpu_policy.nr_leaves = ARRAY_SIZE(leaves);
    sop.u.cpu_policy.nr_msrs = ARRAY_SIZE(msrs);
    set_xen_guest_handle(sop.u.cpu_policy.leaves, leaves);
    set_xen_guest_handle(sop.u.cpu_policy.msrs, msrs);
    test_equal("vcpu.policy", sysctl(XEN_SYSCTL_get_cpu_policy), 0);
    n = sop.u.cpu_policy.nr_leaves;
    for (unsigned i = 0; i < n; i++)
        printf("INFO leaf %x %x: %x %x %x %x\n", leaves[i].leaf, leaves[i].subleaf, leaves[i].a, leaves[i].b,
               leaves[i].c, leaves[i].d);
    for (unsigned i = 0; i < sop.u.cpu_policy.nr_msrs; i++)
        printf("INFO msr %x: %lx\n", msrs[i].idx, msrs[i].val);
    clean()->u.cpu_policy.nr_leaves = n;
    set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
    test_equal("vcpu.policy_set", domctl(XEN_DOMCTL_set_cpu_policy, id), 0);
    leaves[0].leaf = 0x50;
    clean()->u.cpu_policy.nr_leaves = n;
    set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
    test_equal("vcpu.policy_leaf", domctl(XEN_DOMCTL_set_cpu_policy, id), -XEN_ERANGE);
    test_equal("vcpu.policy_leaf.reason", op.u.cpu_policy.err_leaf, 0x50);
    sclean()->u.cpu_featureset.index = XEN_SYSCTL_cpu_featureset_pv;
    test_equal("vcpu.features_size", sysctl(XEN_SYSCTL_get_cpu_featureset), 0);
    n = sop.u.cpu_featureset.nr_features;
    printf("INFO features %u\n", n);
    sclean()->u.cpu_featureset.index = XEN_SYSCTL_cpu_featureset_pv;
    sop.u.cpu_featureset.nr_features = n;
    set_xen_guest_handle(sop.u.cpu_featureset.features, features);
    test_equal("vcpu.features", sysctl(XEN_SYSCTL_get_cpu_featureset), 0);
    for (unsigned i = 0; i < n; i++)
        printf("INFO feature word %u: %x\n", i, features[i]);
    sclean()->u.cpu_featureset.nr_features = 1;
    set_xen_guest_handle(sop.u.cpu_featureset.features, features);
    test_equal("vcpu.features_few", sysctl(XEN_SYSCTL_get_cpu_featureset), -XEN_ENOBUFS);
}

void check_vcpus(void) {
    id = make_domain(2, 16);
    check_contexts();
    check_affinity();
    check_nodes();
    check_scheduler();
    check_trigger();
    check_settings();
    check_saved();
    check_policy();
    destroy_domain(id);
}
