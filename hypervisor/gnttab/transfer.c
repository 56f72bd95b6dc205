// SPDX-License-Identifier: MIT
/*
 * Giving a frame of one's own away, for good, to a domain that waits for one with an entry of its table. The giver may
 * not use the frame in any way; and once it is taken from the giver it is gone, even if the taker does not get it.
 */
#include "internal.h"

static s16 give(const struct domain *giver, struct domain *taker, u32 ref, struct page *pg) {
    s16 rc;

    if (READ_ONCE(taker->tot_pages) >= taker->max_pages)
        return GNTST_general_error;
    rc = gnttab_accept(taker, ref, giver->id);
    if (rc)
        return rc;
    if (!domain_adopt_page(taker, pg))
        return GNTST_general_error;
    gnttab_complete(taker, ref, page_to_mfn(pg));
    return GNTST_okay;
}

/* The frame, which is nobody's now, with the caller's reference. Translations of old may still lead there. */
static struct page *take(struct domain *d, u64 frame) {
    struct page *pg;

    if (!mfn_valid(mfn(frame)) || frame > UINT32_MAX)
        return NULL;
    pg = mfn_to_page(mfn(frame));
    if (!page_get(pg, d))
        return NULL;
    if (!domain_detach_page(d, pg)) {
        page_put(pg);
        return NULL;
    }
    m2p_set(mfn(frame), pfn(M2P_INVALID));
    tlb_flush_stale(tlb_clock_advance());
    return pg;
}

long gnttab_transfer_one(struct vcpu *v, struct gnttab_transfer *op) {
    struct domain *taker;
    struct page *pg;

    /* Tables on their way out may still refer to the frame. */
    if (!mm_drain(v->domain))
        return -ERESTART;
    op->status = GNTST_bad_page;
    pg = take(v->domain, op->mfn);
    if (!pg)
        return 0;
    op->status = GNTST_bad_domain;
    taker = op->domid == DOMID_SELF ? NULL : gnttab_get_domain(v->domain, op->domid);
    if (taker) {
        op->status = give(v->domain, taker, op->ref, pg);
        gnttab_put_domain(taker);
    }
    page_put(pg);
    return 0;
}
