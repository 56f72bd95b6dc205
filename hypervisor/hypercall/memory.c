// SPDX-License-Identifier: MIT
// memory_op: a guest's own memory: giving frames up and getting them back, exchanging them, and what it may know of memory.
#include "internal.h"

#define MAX_GUEST_ORDER 9
#define OP_BITS 6 /* the ABI keeps the entries done by a preempted call above the command's bits */

static long release_one(struct domain *d, u64 frame, u32 order)
{
    for (u64 i = 0; i < 1ul << order; i++) {
        struct page *pg;

        if (!mfn_valid(mfn(frame + i)))
            return -EINVAL;
        pg = mfn_to_page(mfn(frame + i));
        if (!page_get(pg, d))
            return -EINVAL;
        domain_release_page(d, pg);
        page_put(pg);
    }
    return 0;
}

static long populate_one(struct domain *d, const struct xen_memory_reservation *r, u64 i, bool physmap)
{
    u64 at = (u64)r->extent_start.p + i * sizeof(u64), n, gfn = 0;
    struct page *pg;

    if (physmap && copy_from_guest(&gfn, gva(at), sizeof(gfn)))
        return -EFAULT;
    pg = domain_alloc_pages(d, r->extent_order);
    if (!pg)
        return -ENOMEM;
    n = page_to_mfn(pg).n;
    for (u64 k = 0; physmap && k < 1ul << r->extent_order; k++)
        m2p_set(mfn(n + k), pfn(gfn + k));
    return copy_to_guest(gva(at), &n, sizeof(n));
}

static long one_extent(struct domain *d, u64 cmd, const struct xen_memory_reservation *r, u64 i)
{
    u64 frame;

    if (cmd != XENMEM_decrease_reservation)
        return populate_one(d, r, i, cmd == XENMEM_populate_physmap);
    if (copy_from_guest(&frame, gva((u64)r->extent_start.p + i * sizeof(u64)), sizeof(frame)))
        return -EFAULT;
    return release_one(d, frame, r->extent_order);
}

/* Returns how many extents were done; a preempted call goes on at the count in the command's upper bits. */
static long reservation(struct vcpu *v, u64 cmd, u64 *arg)
{
    struct xen_memory_reservation r;
    u64 start = arg[0] >> OP_BITS;
    long rc = 0;

    if (copy_from_guest(&r, gva(arg[1]), sizeof(r)))
        return -EFAULT;
    if (r.domid != DOMID_SELF && r.domid != v->domain->id)
        return -EPERM;
    if (start > r.nr_extents || r.nr_extents > ~0ul >> OP_BITS)
        return -EINVAL;
    if (r.extent_order > MAX_GUEST_ORDER)
        return (long)start;
    for (u64 i = start; i < r.nr_extents; i++) {
        if (i > start && preempt_pending()) {
            arg[0] = cmd | i << OP_BITS;
            return -ERESTART;
        }
        rc = one_extent(v->domain, cmd, &r, i);
        if (rc)
            return (long)i;
    }
    return (long)r.nr_extents;
}

static long memory_map(struct vcpu *v, gva_t at)
{
    struct {
        u64 addr, size;
        u32 type;
    } __packed ram = {0, v->domain->nr_pfns << PAGE_SHIFT, 1};
    struct xen_memory_map m;

    if (copy_from_guest(&m, at, sizeof(m)))
        return -EFAULT;
    if (m.nr_entries < 1)
        return -EINVAL;
    m.nr_entries = 1;
    if (copy_to_guest(gva((u64)m.buffer.p), &ram, sizeof(ram)))
        return -EFAULT;
    return copy_to_guest(at, &m, sizeof(m));
}

static long machphys_mapping(gva_t at)
{
    struct xen_machphys_mapping m = {.v_start = 0xffff800000000000ul, .v_end = 0xffff804000000000ul,
                                     .max_mfn = 0x7ffffffff};

    return copy_to_guest(at, &m, sizeof(m));
}

static long domain_limit(struct vcpu *v, u64 cmd, gva_t at)
{
    domid_t id;

    if (copy_from_guest(&id, at, sizeof(id)))
        return -EFAULT;
    if (id != DOMID_SELF && id != v->domain->id)
        return -EPERM;
    if (cmd == XENMEM_maximum_gpfn)
        return (long)v->domain->nr_pfns - 1;
    return (long)(cmd == XENMEM_current_reservation ? v->domain->tot_pages : v->domain->max_pages);
}

/* arg: command, structure */
long hc_memory_op(struct vcpu *v, u64 *arg)
{
    u64 cmd = arg[0] & (BIT(OP_BITS) - 1);
    gva_t at = gva(arg[1]);

    switch (cmd) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap: return reservation(v, cmd, arg);
    case XENMEM_memory_map: return memory_map(v, at);
    case XENMEM_machphys_mapping: return machphys_mapping(at);
    case XENMEM_maximum_ram_page: return (long)frame_table_max - 1;
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn: return domain_limit(v, cmd, at);
    case XENMEM_machine_memory_map:
    case XENMEM_set_memory_map: return -EPERM;
    default: return -ENOSYS;
    }
}
