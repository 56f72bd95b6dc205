// SPDX-License-Identifier: MIT
// What memory_op does for the control domain alone: setting memory aside for a domain, telling a domain its map, and
// the frames that belong to domains without being their memory.
#include "internal.h"

#include <pv/gate.h>
#include <pv/mm.h>

#define FRAMES_AT_ONCE 32
#define MAX_FRAME_TYPES 1024

static long claim_pages(gva_t at) {
    struct xen_memory_reservation r;
    struct domain *d;
    long rc;

    if (copy_from_guest(&r, at, sizeof(r)))
        return -EFAULT;
    if (r.extent_start.p || r.extent_order || r.mem_flags)
        return -EINVAL;
    d = domain_get(r.domid);
    if (!d)
        return -EINVAL;
    rc = domain_claim_pages(d, r.nr_extents);
    domain_put(d);
    return rc;
}

static long read_map(struct domain *d, const struct xen_memory_map *m) {
    struct memory_range range[CONTROL_MAP_ENTRIES];

    if (!d->control)
        return -EPERM;
    if (copy_from_guest(range, gva((u64)m->buffer.p), m->nr_entries * sizeof(range[0])))
        return -EFAULT;
    memcpy(d->control->map, range, m->nr_entries * sizeof(range[0]));
    __atomic_store_n(&d->control->nr_map, m->nr_entries, __ATOMIC_RELEASE);
    return 0;
}

static long set_memory_map(gva_t at) {
    struct xen_foreign_memory_map f;
    struct domain *d;
    long rc;

    if (copy_from_guest(&f, at, sizeof(f)))
        return -EFAULT;
    if (f.map.nr_entries > CONTROL_MAP_ENTRIES)
        return -EINVAL;
    d = domain_get(f.domid);
    if (!d)
        return -ESRCH;
    rc = read_map(d, &f.map);
    domain_put(d);
    return rc;
}

u32 control_memory_map(const struct domain *d, const struct memory_range **range) {
    *range = d->control->map;
    return __atomic_load_n(&d->control->nr_map, __ATOMIC_ACQUIRE);
}

/* Grant frames are the only resource that guests of this kind have. */
static long acquire_frames(struct domain *d, const struct xen_mem_acquire_resource *r) {
    u64 frame[FRAMES_AT_ONCE];

    for (u32 done = 0; done < r->nr_frames; done += FRAMES_AT_ONCE) {
        u32 n = MIN(r->nr_frames - done, (u32)FRAMES_AT_ONCE);
        long rc = gnttab_frames(d, (u32)r->frame + done, n, frame);

        if (rc)
            return rc;
        if (copy_to_guest(gva((u64)(r->frame_list.p + done)), frame, n * sizeof(frame[0])))
            return -EFAULT;
    }
    return 0;
}

static long acquire(struct domain *d, struct xen_mem_acquire_resource *r, gva_t at) {
    if (r->type != XENMEM_resource_grant_table)
        return -EOPNOTSUPP;
    if (r->id != XENMEM_resource_grant_table_id_shared)
        return -EINVAL;
    if (r->frame_list.p)
        return r->frame + r->nr_frames > d->gnttab.max_frames ? -EINVAL : acquire_frames(d, r);
    r->nr_frames = d->gnttab.max_frames;
    return copy_to_guest(at, r, sizeof(*r)) ? -EFAULT : 0;
}

/* Without a list it is asked how many there may be. */
static long acquire_resource(struct vcpu *v, gva_t at) {
    struct xen_mem_acquire_resource r;
    struct domain *d;
    long rc;

    if (copy_from_guest(&r, at, sizeof(r)))
        return -EFAULT;
    if (r.pad || (!r.frame_list.p && r.nr_frames) || r.frame + r.nr_frames < r.frame)
        return -EINVAL;
    d = domain_get(r.domid == DOMID_SELF ? v->domain->id : r.domid);
    if (!d)
        return -ESRCH;
    rc = d == v->domain ? -EPERM : acquire(d, &r, at);
    domain_put(d);
    return rc;
}

long control_hypercall_page(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    mfn_t m = mfn(op->u.hypercall_init.gmfn);

    (void)v;
    if (!mfn_valid(m) || page_get_with_type(mfn_to_page(m), d, PT_WRITABLE))
        return -EINVAL;
    gate_write_hypercall_page(mfn_to_virt(m));
    page_put_with_type(mfn_to_page(m));
    return 0;
}

/* What a frame of d's memory is used as, in the ABI's words. */
static u64 frame_type(struct domain *d, mfn_t m) {
    static const u64 types[] = {[PT_L1] = XEN_DOMCTL_PFINFO_L1TAB,
                                [PT_L2] = XEN_DOMCTL_PFINFO_L2TAB,
                                [PT_L3] = XEN_DOMCTL_PFINFO_L3TAB,
                                [PT_L4] = XEN_DOMCTL_PFINFO_L4TAB};
    struct page *pg = mfn_to_page(m);
    u64 type = XEN_DOMCTL_PFINFO_NOTAB, word;

    if (!mfn_valid(m) || !page_get(pg, d))
        return XEN_DOMCTL_PFINFO_XTAB;
    word = READ_ONCE(pg->type);
    if (READ_ONCE(pg->count) & PAGE_SHARED)
        type = XEN_DOMCTL_PFINFO_XTAB;
    else if (word & TYPE_USES && page_last_type(pg) >= PT_L1 && page_last_type(pg) <= PT_L4)
        type = types[page_last_type(pg)] | (word & TYPE_PINNED ? XEN_DOMCTL_PFINFO_LPINTAB : 0);
    page_put(pg);
    return type;
}

long control_frame_types(struct vcpu *v, struct domain *d, struct xen_domctl *op) {
    struct xen_domctl_getpageframeinfo3 *p = &op->u.getpageframeinfo3;

    (void)v;
    if (p->num > MAX_FRAME_TYPES)
        return -E2BIG;
    for (u64 i = 0; i < p->num; i++) {
        gva_t at = gva((u64)(p->array.p + i));
        u64 word;

        if (copy_from_guest(&word, at, sizeof(word)))
            return -EFAULT;
        word = frame_type(d, mfn(word));
        if (copy_to_guest(at, &word, sizeof(word)))
            return -EFAULT;
    }
    return 0;
}

/* The M2P, in pieces of 2 MiB, for the tools to map. */
static long list_m2p(gva_t at) {
    struct xen_machphys_mfn_list l;
    u64 n = (frame_table_max * sizeof(u64) + MiB(2) - 1) / MiB(2);

    if (copy_from_guest(&l, at, sizeof(l)))
        return -EFAULT;
    l.nr_extents = (u32)MIN(n, (u64)l.max_extents);
    for (u32 i = 0; i < l.nr_extents; i++) {
        const u64 frame = m2p_chunk(i).n;

        if (copy_to_guest(gva((u64)(l.extent_start.p + i)), &frame, sizeof(frame)))
            return -EFAULT;
    }
    return copy_to_guest(at, &l, sizeof(l)) ? -EFAULT : 0;
}

bool control_memory_op(struct vcpu *v, u64 cmd, gva_t at, long *rc) {
    switch (cmd) {
    case XENMEM_claim_pages:
        *rc = claim_pages(at);
        return true;
    case XENMEM_set_memory_map:
        *rc = set_memory_map(at);
        return true;
    case XENMEM_machphys_mfn_list:
        *rc = list_m2p(at);
        return true;
    case XENMEM_acquire_resource:
        *rc = acquire_resource(v, at);
        return true;
    default:
        return false;
    }
}
