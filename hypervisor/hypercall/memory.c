// SPDX-License-Identifier: MIT
// memory_op: a guest's own memory: giving frames up and getting them back, and what it may know of memory. Exchanging
// frames is memory_exchange.c's.
#include "internal.h"

#include <pv/control.h>
#include <pv/dom0.h>

#define OP_BITS 6 /* the ABI keeps the entries done by a preempted call above the command's bits */

bool hc_memory_in_reach(const struct page *pg, u32 order, u32 mem_flags) {
    u32 bits = XENMEMF_get_address_bits(mem_flags);
    u64 end = (page_to_mfn(pg).n + (1ul << order)) << PAGE_SHIFT;

    return !bits || bits >= 52 || end <= 1ul << bits;
}

static long release_one(struct domain *d, u64 frame, u32 order) {
    for (u64 i = 0; i < 1ul << order; i++) {
        struct page *pg;
        bool released;

        if (!mfn_valid(mfn(frame + i)))
            return -EINVAL;
        pg = mfn_to_page(mfn(frame + i));
        if (!page_get(pg, d))
            return -EINVAL;
        released = domain_release_page(d, pg);
        page_put(pg);
        if (!released)
            return -EINVAL;
    }
    return 0;
}

static void release_extent(struct domain *d, struct page *pg, u32 order) {
    for (u64 i = 0; i < 1ul << order; i++)
        release_one(d, page_to_mfn(pg + i).n, 0);
}

/* The guest learns of the frames after they are entered in the M2P. It may have guessed, and given them up again. */
static long hand_over(struct domain *d, struct page *pg, u32 order, const u64 *gfn, gva_t at) {
    u64 n = page_to_mfn(pg).n;

    for (u64 k = 0; gfn && k < 1ul << order; k++)
        (void)domain_set_m2p(d, mfn(n + k), pfn(*gfn + k));
    return at.a ? copy_to_guest(at, &n, sizeof(n)) : 0;
}

static long populate_one(struct domain *d, const struct xen_memory_reservation *r, u64 i, bool physmap) {
    u64 list = (u64)r->extent_start.p, gfn = 0;
    gva_t at = gva(list || physmap ? list + i * sizeof(u64) : 0);
    struct page *pg;
    long rc;

    if (physmap && copy_from_guest(&gfn, at, sizeof(gfn)))
        return -EFAULT;
    pg = domain_alloc_pages(d, r->extent_order);
    if (!pg)
        return -ENOMEM;
    rc = hc_memory_in_reach(pg, r->extent_order, r->mem_flags) ? 0 : -ENOMEM;
    if (!rc)
        rc = hand_over(d, pg, r->extent_order, physmap ? &gfn : NULL, at);
    if (rc)
        release_extent(d, pg, r->extent_order);
    return rc;
}

static long one_extent(struct domain *d, u64 cmd, const struct xen_memory_reservation *r, u64 i) {
    u64 frame;

    if (cmd != XENMEM_decrease_reservation)
        return populate_one(d, r, i, cmd == XENMEM_populate_physmap);
    if (copy_from_guest(&frame, gva((u64)r->extent_start.p + i * sizeof(u64)), sizeof(frame)))
        return -EFAULT;
    return release_one(d, frame, r->extent_order);
}

/* A preempted call goes on at the count in the command's upper bits. */
static long all_extents(struct domain *d, u64 cmd, const struct xen_memory_reservation *r, u64 *arg) {
    u64 start = arg[0] >> OP_BITS, i;

    for (i = start; i < r->nr_extents; i++) {
        if (i > start && preempt_pending()) {
            arg[0] = cmd | i << OP_BITS;
            return -ERESTART;
        }
        if (one_extent(d, cmd, r, i))
            break;
    }
    return (long)i;
}

/* Whatever is wrong, the answer is how many extents were done. */
static long reservation(struct vcpu *v, u64 cmd, u64 *arg) {
    struct xen_memory_reservation r;
    u64 start = arg[0] >> OP_BITS;
    struct domain *d;
    long rc;

    if (copy_from_guest(&r, gva(arg[1]), sizeof(r)) || r.nr_extents > ~0u >> OP_BITS || start >= r.nr_extents)
        return (long)start;
    if (r.extent_order > MAX_GUEST_ORDER || r.mem_flags & XENMEMF_populate_on_demand)
        return (long)start;
    d = hc_get_domain(v, r.domid, &rc);
    if (!d)
        return (long)start;
    rc = all_extents(d, cmd, &r, arg);
    hc_put_domain(v, d);
    return rc;
}

static long memory_map(struct vcpu *v, gva_t at) {
    struct memory_range ram = {0, v->domain->nr_pfns << PAGE_SHIFT, 1};
    const struct memory_range *range = &ram;
    struct xen_memory_map m;
    u32 n = 1;

    if (v->domain->control)
        n = control_memory_map(v->domain, &range);
    if (!n)
        return -ENOSYS;
    if (copy_from_guest(&m, at, sizeof(m)))
        return -EFAULT;
    m.nr_entries = MIN(m.nr_entries, n);
    if (copy_to_guest(gva((u64)m.buffer.p), range, m.nr_entries * sizeof(*range)))
        return -EFAULT;
    return copy_to_guest(at, &m, sizeof(m));
}

static long machphys_mapping(gva_t at) {
    struct xen_machphys_mapping m = {
        .v_start = 0xffff800000000000ul, .v_end = 0xffff804000000000ul, .max_mfn = 0x7ffffffff};

    return copy_to_guest(at, &m, sizeof(m));
}

/* How many frames a guest numbers; one that the control domain made tells it itself. */
static u64 domain_nr_pfns(struct domain *d) {
    struct page *pg = mfn_to_page(d->shared_info_mfn);
    u64 n = 0;

    if (!d->control)
        return d->nr_pfns;
    if (page_get(pg, d)) {
        n = READ_ONCE(((struct shared_info *)page_to_virt(pg))->arch.max_pfn);
        page_put(pg);
    }
    return n;
}

static long domain_limit(struct vcpu *v, u64 cmd, gva_t at) {
    struct domain *d;
    domid_t id;
    long rc;

    if (copy_from_guest(&id, at, sizeof(id)))
        return -EFAULT;
    d = hc_get_domain(v, id, &rc);
    if (!d)
        return rc;
    rc = (long)(cmd == XENMEM_maximum_gpfn          ? MAX(domain_nr_pfns(d), 1ul) - 1
                : cmd == XENMEM_current_reservation ? READ_ONCE(d->tot_pages)
                                                    : READ_ONCE(d->max_pages));
    hc_put_domain(v, d);
    return rc;
}

/* What the call's structure begins with must be readable, but for two that are not looked at. */
static long refuse(u64 cmd, gva_t at) {
    static const s8 refused[] = {
        /* For guests whose physical memory the hypervisor translates: */
        [XENMEM_add_to_physmap] = -EACCES,
        [XENMEM_add_to_physmap_batch] = -EACCES,
        [XENMEM_remove_from_physmap] = -EACCES,
        [XENMEM_set_pod_target] = -EINVAL,
        [XENMEM_get_pod_target] = -EINVAL,
        [XENMEM_access_op] = -EINVAL,
        [XENMEM_get_vnumainfo] = -EOPNOTSUPP,
        [XENMEM_machphys_compat_mfn_list] = -EOPNOTSUPP, /* 32-bit guests' */
        /* The control domain's: */
        [XENMEM_machphys_mfn_list] = -EPERM,
        [XENMEM_machine_memory_map] = -EPERM,
        [XENMEM_set_memory_map] = -EPERM,
        [XENMEM_claim_pages] = -EPERM,
        [XENMEM_reserved_device_memory_map] = -EPERM,
        [XENMEM_acquire_resource] = -EPERM,
    };
    bool unread = cmd == XENMEM_machine_memory_map || cmd == XENMEM_machphys_compat_mfn_list;
    u64 head;

    if (cmd >= ARRAY_SIZE(refused) || !refused[cmd])
        return -ENOSYS;
    if (!unread && copy_from_guest(&head, at, sizeof(head)))
        return -EFAULT;
    return refused[cmd];
}

/* arg: command, structure */
long hc_memory_op(struct vcpu *v, u64 *arg) {
    u64 cmd = arg[0] & (BIT(OP_BITS) - 1);
    gva_t at = gva(arg[1]);
    long rc;

    switch (cmd) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
        return reservation(v, cmd, arg);
    case XENMEM_exchange:
        return hc_memory_exchange(v, at);
    case XENMEM_memory_map:
        return memory_map(v, at);
    case XENMEM_machphys_mapping:
        return machphys_mapping(at);
    case XENMEM_machine_memory_map:
        return v->domain->is_control ? dom0_machine_memory_map(v, at) : refuse(cmd, at);
    case XENMEM_maximum_ram_page:
        return (long)frame_table_max - 1;
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
        return domain_limit(v, cmd, at);
    case XENMEM_get_sharing_freed_pages:
    case XENMEM_get_sharing_shared_pages:
        return 0;
    default:
        return v->domain->is_control && control_memory_op(v, cmd, at, &rc) ? rc : refuse(cmd, at);
    }
}
