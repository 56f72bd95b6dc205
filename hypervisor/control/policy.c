// SPDX-License-Identifier: MIT
// CPU policies: what CPUID says, as lists of leaves that tools read, change and set for a domain. A domain's own can
// only take away from what its guest would see without one.
#include "internal.h"

#include <pv/heap.h>
#include <pv/mm.h>
#include <pv/trap.h>
#include <xen/arch-x86/cpuid.h>

enum { EAX, EBX, ECX, EDX };

#define MAX_BASIC 0xdu
#define MAX_EXTENDED 0x80000021u
#define NR_FEATURES 19u /* words that tools know; of the last ones nothing is offered */
#define OSXSAVE (1u << 27)
#define MAX_MSRS 2 /* those that the tools know: platform information, architectural capabilities */
/* What a guest's number of vCPUs and control registers decide, and no policy. */
#define KEPT_1C (OSXSAVE | 1u << 31 /* HYPERVISOR */)
#define KEPT_1D (1u << 28 /* HTT */)
#define KEPT_E1C (1u << 1 /* CMP_LEGACY */)

/* The words of features. kept: bits that no policy takes away. */
static const struct word {
    u32 leaf, sub;
    u8 reg;
    u32 kept;
} words[] = {
    /* In the order of the ABI's featuresets. */
    {0x1, XEN_CPUID_NO_SUBLEAF, EDX, KEPT_1D},
    {0x1, XEN_CPUID_NO_SUBLEAF, ECX, KEPT_1C},
    {0x80000001, XEN_CPUID_NO_SUBLEAF, EDX, 0},
    {0x80000001, XEN_CPUID_NO_SUBLEAF, ECX, KEPT_E1C},
    {0xd, 1, EAX, 0},
    {0x7, 0, EBX, 0},
    {0x7, 0, ECX, 0},
    {0x80000007, XEN_CPUID_NO_SUBLEAF, EDX, 0},
    {0x80000008, XEN_CPUID_NO_SUBLEAF, EBX, 0},
    {0x7, 0, EDX, 0},
    {0x7, 1, EAX, 0},
    {0x80000021, XEN_CPUID_NO_SUBLEAF, EAX, 0},
    {0x7, 1, EBX, 0},
    {0x7, 2, EDX, 0},
};

/* --- lists of leaves --- */

struct leaves {
    u32 n, room;
    xen_cpuid_leaf_t *leaf;
    bool host; /* as the CPU says, else as a guest sees it */
};

static void query(const struct leaves *l, u32 leaf, u32 sub, u32 r[4]) {
    trap_policy_cpuid(l->host, leaf, sub == XEN_CPUID_NO_SUBLEAF ? 0 : sub, r);
    if (leaf == 1 && !l->host)
        r[ECX] &= ~OSXSAVE;
}

static void add(struct leaves *l, u32 leaf, u32 sub) {
    u32 r[4];

    if (l->n == l->room)
        return;
    query(l, leaf, sub, r);
    l->leaf[l->n++] = (xen_cpuid_leaf_t){leaf, sub, r[EAX], r[EBX], r[ECX], r[EDX]};
}

/* Of a leaf that ends with a subleaf of type 0: that one included. */
static u32 subleaves_to_end(const struct leaves *l, u32 leaf, u32 max) {
    u32 r[4], n = 0;

    do
        query(l, leaf, n++, r);
    while (n < max && (leaf == 4 ? r[EAX] & 0x1f : r[ECX] >> 8 & 0xff));
    return n;
}

static u32 subleaves(const struct leaves *l, u32 leaf) {
    u32 r[4];

    if (leaf != 7)
        return subleaves_to_end(l, leaf, leaf == 4 ? 6 : 2);
    query(l, 7, 0, r);
    return MIN(r[EAX], 2u) + 1;
}

static void add_state_components(struct leaves *l) {
    u32 r[4];

    add(l, 0xd, 0);
    add(l, 0xd, 1);
    query(l, 0xd, 0, r);
    for (u32 i = 2; i < 63; i++)
        if (((u64)r[EDX] << 32 | r[EAX]) & BIT(i))
            add(l, 0xd, i);
}

static void add_leaf(struct leaves *l, u32 leaf) {
    if (leaf == 0xd)
        add_state_components(l);
    else if (leaf == 4 || leaf == 7 || leaf == 0xb)
        for (u32 i = 0, n = subleaves(l, leaf); i < n; i++)
            add(l, leaf, i);
    else
        add(l, leaf, XEN_CPUID_NO_SUBLEAF);
}

/* How many of the hypervisor's leaves a guest may see: no limit. */
static void add_limit(struct leaves *l, u32 leaf) {
    if (l->n < l->room)
        l->leaf[l->n++] = (xen_cpuid_leaf_t){.leaf = leaf, .subleaf = XEN_CPUID_NO_SUBLEAF};
}

/* Tools write a list of their own over one that they got here: it has each leaf that they know, in their order. */
static void make_list(struct leaves *l) {
    u32 r[4];

    query(l, 0, 0, r);
    for (u32 leaf = 0; leaf <= MIN(r[EAX], MAX_BASIC); leaf++)
        add_leaf(l, leaf);
    add_limit(l, XEN_CPUID_FIRST_LEAF);
    add_limit(l, XEN_CPUID_FIRST_LEAF + 0x100);
    query(l, 0x80000000, 0, r);
    for (u32 leaf = 0x80000000; leaf <= MIN(r[EAX], MAX_EXTENDED); leaf++)
        add_leaf(l, leaf);
}

/* --- narrowing --- */

static const xen_cpuid_leaf_t *find(const struct control_record *c, u32 leaf, u32 sub) {
    for (u32 i = 0; i < c->nr_leaves; i++)
        if (c->leaf[i].leaf == leaf && (c->leaf[i].subleaf == sub || c->leaf[i].subleaf == XEN_CPUID_NO_SUBLEAF))
            return &c->leaf[i];
    return NULL;
}

static u32 reg_of(const xen_cpuid_leaf_t *l, u32 reg) {
    return !l ? 0 : reg == EAX ? l->a : reg == EBX ? l->b : reg == ECX ? l->c : l->d;
}

static u32 limit_of(const struct control_record *c, u32 first) {
    const xen_cpuid_leaf_t *l = find(c, first, 0);

    return l ? l->a : first;
}

void control_narrow_cpuid(const struct domain *d, u32 leaf, u32 sub, u32 r[4]) {
    const struct control_record *c = d->control;
    u32 first = leaf & 0x80000000;

    if (!c || !c->nr_leaves || leaf >> 16 == XEN_CPUID_FIRST_LEAF >> 16)
        return;
    if (leaf > limit_of(c, first))
        r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
    if (leaf == first)
        r[EAX] = MIN(r[EAX], limit_of(c, first));
    for (u32 i = 0; i < ARRAY_SIZE(words); i++)
        if (words[i].leaf == leaf && (words[i].sub == sub || words[i].sub == XEN_CPUID_NO_SUBLEAF))
            r[words[i].reg] &= reg_of(find(c, leaf, sub), words[i].reg) | words[i].kept;
}

/* --- the operations --- */

static long put_msrs(u32 *nr, u64 list) {
    static const u32 known[MAX_MSRS] = {0xce, 0x10a};

    if (list && *nr < MAX_MSRS)
        return -ENOBUFS;
    for (u32 i = 0; list && i < MAX_MSRS; i++) {
        const xen_msr_entry_t m = {.idx = known[i]};

        if (copy_to_guest(gva(list + i * sizeof(m)), &m, sizeof(m)))
            return -EFAULT;
    }
    *nr = MAX_MSRS;
    return 0;
}

static long put_leaves(const struct leaves *l, u32 *nr, u64 to) {
    if (*nr < l->n)
        return -ENOBUFS;
    if (copy_to_guest(gva(to), l->leaf, l->n * sizeof(*l->leaf)))
        return -EFAULT;
    *nr = l->n;
    return 0;
}

static long put_list(bool host, const struct domain *d, u32 *nr, u64 to) {
    struct leaves l = {.room = CONTROL_LEAVES, .host = host};
    long rc;

    l.leaf = heap_alloc(CONTROL_LEAVES * sizeof(*l.leaf));
    if (!l.leaf)
        return -ENOMEM;
    make_list(&l);
    for (u32 i = 0; d && i < l.n; i++) {
        u32 r[4] = {l.leaf[i].a, l.leaf[i].b, l.leaf[i].c, l.leaf[i].d};

        control_narrow_cpuid(d, l.leaf[i].leaf, l.leaf[i].subleaf, r);
        l.leaf[i].a = r[EAX];
        l.leaf[i].b = r[EBX];
        l.leaf[i].c = r[ECX];
        l.leaf[i].d = r[EDX];
    }
    rc = put_leaves(&l, nr, to);
    heap_free(l.leaf);
    return rc;
}

/* Without room for either it is asked how much would do. */
long control_host_policy(struct vcpu *v, struct xen_sysctl *op) {
    struct xen_sysctl_cpu_policy *p = &op->u.cpu_policy;
    bool host = p->index == XEN_SYSCTL_cpu_policy_raw || p->index == XEN_SYSCTL_cpu_policy_host;
    long rc = 0;

    (void)v;
    if (p->_rsvd || p->index > XEN_SYSCTL_cpu_policy_hvm_default)
        return -EINVAL;
    if (p->index == XEN_SYSCTL_cpu_policy_hvm_max || p->index == XEN_SYSCTL_cpu_policy_hvm_default)
        return -EOPNOTSUPP;
    if (p->leaves.p)
        rc = put_list(host, NULL, &p->nr_leaves, (u64)p->leaves.p);
    else
        p->nr_leaves = CONTROL_LEAVES;
    return rc ? rc : put_msrs(&p->nr_msrs, (u64)p->msrs.p);
}

long control_get_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    struct xen_domctl_cpu_policy *p = &op->u.cpu_policy;
    long rc = put_list(false, d, &p->nr_leaves, (u64)p->leaves.p);

    (void)v;
    return rc ? rc : put_msrs(&p->nr_msrs, (u64)p->msrs.p);
}

/* A leaf that there can be: of a kind that has subleaves or has none, as it should. */
static bool leaf_ok(const xen_cpuid_leaf_t *l) {
    bool has_subleaves = l->leaf == 4 || l->leaf == 7 || l->leaf == 0xb || l->leaf == 0xd;

    if (has_subleaves != (l->subleaf != XEN_CPUID_NO_SUBLEAF) || (has_subleaves && l->subleaf > 62))
        return false;
    return l->leaf <= MAX_BASIC || l->leaf >> 16 == XEN_CPUID_FIRST_LEAF >> 16 ||
           (l->leaf >= 0x80000000 && l->leaf <= MAX_EXTENDED);
}

static long read_leaves(struct xen_domctl_cpu_policy *p, xen_cpuid_leaf_t *leaf) {
    if (copy_from_guest(leaf, gva((u64)p->leaves.p), p->nr_leaves * sizeof(*leaf)))
        return -EFAULT;
    for (u32 i = 0; i < p->nr_leaves; i++)
        if (!leaf_ok(&leaf[i])) {
            p->err_leaf = leaf[i].leaf;
            p->err_subleaf = leaf[i].subleaf;
            return -ERANGE;
        }
    return 0;
}

/* MSRs are looked at by nobody: what they could say, guests are not shown. */
long control_set_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    struct xen_domctl_cpu_policy *p = &op->u.cpu_policy;
    xen_cpuid_leaf_t *leaf;
    long rc;

    (void)v;
    p->err_leaf = p->err_subleaf = p->err_msr = ~0u;
    if (!d->control)
        return -EINVAL;
    if (p->nr_leaves > CONTROL_LEAVES || p->nr_msrs > MAX_MSRS)
        return -E2BIG;
    leaf = heap_alloc(CONTROL_LEAVES * sizeof(*leaf));
    if (!leaf)
        return -ENOMEM;
    rc = read_leaves(p, leaf);
    if (!rc) {
        memcpy(d->control->leaf, leaf, p->nr_leaves * sizeof(*leaf));
        d->control->nr_leaves = p->nr_leaves;
    }
    heap_free(leaf);
    return rc;
}

long control_featureset(struct vcpu *v, struct xen_sysctl *op) {
    struct xen_sysctl_cpu_featureset *f = &op->u.cpu_featureset;
    const struct leaves l = {.host = f->index == XEN_SYSCTL_cpu_featureset_raw ||
                                     f->index == XEN_SYSCTL_cpu_featureset_host};
    u32 n = MIN(f->nr_features, (u32)NR_FEATURES), asked = f->nr_features, r[4];
    const u32 none = 0;

    (void)v;
    if (f->index > XEN_SYSCTL_cpu_featureset_hvm_max)
        return -EINVAL;
    if (f->index == XEN_SYSCTL_cpu_featureset_hvm || f->index == XEN_SYSCTL_cpu_featureset_hvm_max)
        return -EOPNOTSUPP;
    f->nr_features = NR_FEATURES;
    if (!f->features.p)
        return 0;
    for (u32 i = 0; i < n; i++) {
        if (i < ARRAY_SIZE(words))
            query(&l, words[i].leaf, words[i].sub, r);
        if (copy_to_guest(gva((u64)(f->features.p + i)), i < ARRAY_SIZE(words) ? &r[words[i].reg] : &none, sizeof(u32)))
            return -EFAULT;
    }
    f->nr_features = n;
    return asked < NR_FEATURES ? -ENOBUFS : 0;
}
