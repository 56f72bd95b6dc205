// SPDX-License-Identifier: MIT
/*
 * Bytes of frames. Copying between them, each either the caller's own or granted to it. Both ends are held while the
 * bytes move; the destination as writable memory, so that it cannot be a page table. Writing them back from the caches.
 */
#include <pv/x86_vcpu.h>
#include "internal.h"

struct end {
    struct domain *d; /* counted as its user */
    struct page *pg;
    u32 ref;
    bool granted, writable;
};

/* Takes the frame. Nothing is held unless GNTST_okay. */
static s16 end_take_page(struct end *e, u64 frame) {
    if (!mfn_valid(mfn(frame)))
        return GNTST_bad_page;
    struct page *pg = mfn_to_page(mfn(frame));
    bool ok = e->writable ? !page_get_with_type(pg, e->d, PT_WRITABLE) : page_get(pg, e->d);
    if (ok)
        e->pg = pg;
    return ok ? GNTST_okay : GNTST_bad_page;
}

static s16 end_take_granted(struct end *e, domid_t user) {
    u32 frame;
    s16 rc = gnttab_pin(e->d, e->ref, user, !e->writable, &frame);
    if (rc)
        return rc;
    rc = end_take_page(e, frame);
    if (rc)
        gnttab_unpin(e->d, e->ref, !e->writable);
    return rc;
}

static s16 end_take(struct end *e, const struct vcpu *v, const struct gnttab_copy_ptr *p) {
    if (!e->granted && p->domid != DOMID_SELF && p->domid != v->domain->id)
        return GNTST_permission_denied;
    e->d = gnttab_get_domain(v->domain, p->domid);
    if (!e->d)
        return GNTST_bad_domain;
    e->ref = p->u.ref;
    s16 rc = e->granted ? end_take_granted(e, v->domain->id) : end_take_page(e, p->u.gmfn);
    if (rc)
        gnttab_put_domain(e->d);
    return rc;
}

static void end_release(struct end *e) {
    if (e->writable)
        page_put_with_type(e->pg);
    else
        page_put(e->pg);
    if (e->granted)
        gnttab_unpin(e->d, e->ref, !e->writable);
    gnttab_put_domain(e->d);
}

static bool within_page(const struct gnttab_copy_ptr *p, u16 len) {
    return p->offset <= PAGE_SIZE && len <= PAGE_SIZE - p->offset;
}

void gnttab_copy_one(struct vcpu *v, struct gnttab_copy *op) {
    struct end from = {.granted = op->flags & GNTCOPY_source_gref};
    struct end to = {.granted = op->flags & GNTCOPY_dest_gref, .writable = true};
    op->status = GNTST_bad_copy_arg;
    if (!within_page(&op->source, op->len) || !within_page(&op->dest, op->len))
        return;
    op->status = end_take(&from, v, &op->source);
    if (op->status)
        return;
    op->status = end_take(&to, v, &op->dest);
    if (!op->status) {
        memmove((char *)page_to_virt(to.pg) + op->dest.offset, (char *)page_to_virt(from.pg) + op->source.offset,
                op->len);
        end_release(&to);
    }
    end_release(&from);
}

/* The frame is the domain's own, or one it has mapped. */
static long may_flush(struct domain *d, u64 frame) {
    struct page *pg;

    if (!mfn_valid(mfn(frame)))
        return -EINVAL;
    pg = mfn_to_page(mfn(frame));
    if (page_get(pg, d)) {
        page_put(pg);
        return 0;
    }
    if (!READ_ONCE(pg->owner))
        return -EPERM;
    return gnttab_has_mapped(d, frame) ? 0 : -EINVAL;
}

/* No reference is kept: lines that are written back hold the same bytes, whosever those are by then. */
long gnttab_cache_flush(struct vcpu *v, const struct gnttab_cache_flush *op) {
    u64 frame = op->a.dev_bus_addr >> PAGE_SHIFT;
    long rc;

    if (op->offset >= PAGE_SIZE || op->length > PAGE_SIZE || op->offset + op->length > PAGE_SIZE ||
        op->op & ~(u32)(GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL))
        return -EINVAL;
    if (!op->length || !op->op)
        return 0;
    rc = may_flush(v->domain, frame);
    if (rc)
        return rc;
    if (op->op == GNTTAB_CACHE_INVAL)
        return -EOPNOTSUPP;
    cpu_write_back((char *)mfn_to_virt(mfn(frame)) + op->offset, op->length);
    return 0;
}
