// SPDX-License-Identifier: MIT
/*
 * Every control operation for which the hypervisor allocates, each done again until it succeeds: on a debug build with
 * failalloc=N, where one allocation in N fails. What failed left nothing behind.
 */
#include "control.h"

#define TRIES 100
#define DOMAINS 20 /* first, till caches of the hypervisor have what they need; then counted */

static unsigned long refused;
static struct vcpu_guest_context context;

/* Until it succeeds; anything but ENOMEM on the way ends it. */
static long insist(uint32_t cmd, domid_t id) {
    struct xen_domctl wanted = op;
    long rc = -XEN_ENOMEM;

    for (unsigned tries = 0; rc == -XEN_ENOMEM && tries < TRIES; tries++) {
        op = wanted;
        rc = domctl(cmd, id);
        refused += rc == -XEN_ENOMEM;
    }
    return rc;
}

static void give_context(void) {
    set_xen_guest_handle(clean()->u.vcpucontext.ctxt, &context);
}

/* What it is told, set and told again. */
static long policy(domid_t id) {
    static xen_cpuid_leaf_t leaves[256];
    static xen_msr_entry_t msrs[16];
    struct xen_domctl_cpu_policy *p = &clean()->u.cpu_policy;
    long rc;

    p->nr_leaves = ARRAY_SIZE(leaves);
    p->nr_msrs = ARRAY_SIZE(msrs);
    set_xen_guest_handle(p->leaves, leaves);
    set_xen_guest_handle(p->msrs, msrs);
    rc = insist(XEN_DOMCTL_get_cpu_policy, id);
    p->nr_msrs = 0;
    return rc ? rc : insist(XEN_DOMCTL_set_cpu_policy, id);
}

/* Nothing to do on a CPU without extended state. */
static long state(domid_t id) {
    static uint64_t area[1024];
    struct xen_domctl_vcpuextstate *s = &clean()->u.vcpuextstate;
    long rc = insist(XEN_DOMCTL_getvcpuextstate, id);

    if (rc || !s->size)
        return rc;
    set_xen_guest_handle(s->buffer, area);
    rc = s->size > sizeof(area) ? -XEN_E2BIG : insist(XEN_DOMCTL_getvcpuextstate, id);
    return rc ? rc : insist(XEN_DOMCTL_setvcpuextstate, id);
}

static long one_domain(long *set, long *get, long *other) {
    long rc;
    domid_t id;

    plain_domain(3);
    rc = insist(XEN_DOMCTL_createdomain, 0);
    if (rc)
        return rc;
    id = op.domain;
    clean()->u.max_vcpus.max = 3;
    rc = insist(XEN_DOMCTL_max_vcpus, id);
    give_context();
    *set |= insist(XEN_DOMCTL_setvcpucontext, id) + XEN_EINVAL; /* it has no root table */
    give_context();
    *get |= insist(XEN_DOMCTL_getvcpucontext, id) + XEN_ENODATA;
    other[0] |= policy(id);
    other[1] |= state(id);
    return rc ? rc : destroy_domain(id);
}

void check_failures(void) {
    long rc = 0, set = 0, get = 0, other[2] = {0};
    unsigned long before = 0;

    for (unsigned i = 0; i < 2 * DOMAINS; i++) {
        if (i == DOMAINS)
            before = free_pages();
        rc |= one_domain(&set, &get, other);
    }
    test_equal("failures.create", rc, 0);
    test_equal("failures.set_context", set, 0);
    test_equal("failures.get_context", get, 0);
    test_equal("failures.policy", other[0], 0);
    test_equal("failures.state", other[1], 0);
    if (cmdline_has("failures=1"))
        test_check("failures.refused", refused > DOMAINS / 2, "only %lu times", refused);
    for (unsigned i = 0; i < 1000 && free_pages() < before; i++)
        clock_sleep(MILLISECOND);
    test_check("failures.free_pages", free_pages() >= before, "%lu of %lu", free_pages(), before);
}
