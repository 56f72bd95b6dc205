// SPDX-License-Identifier: MIT
// XENMEM_exchange: frames given for others of another size or reach. The two lists are worked through in chunks, each
// as large as the larger of their extents; a chunk is exchanged as a whole or not at all.
#include "internal.h"

#define CHUNK_FRAMES (1ul << MAX_GUEST_ORDER)

/* A chunk at work. */
struct chunk {
    struct domain *d;
    struct xen_memory_reservation in, out;
    u64 nr_in, nr_out; /* extents of either list in a chunk */
    u64 first_in, first_out;
    u64 taken, made; /* frames detached, extents allocated */
    u64 gfn[CHUNK_FRAMES];
    struct page *old[CHUNK_FRAMES], *new[CHUNK_FRAMES];
};

static gva_t list_entry_at(const struct xen_memory_reservation *r, u64 i) {
    return gva((u64)r->extent_start.p + i * sizeof(u64));
}

static bool take_old(struct chunk *c, mfn_t m) {
    struct page *pg = mfn_to_page(m);

    if (!mfn_valid(m) || !page_get(pg, c->d))
        return false;
    if (!domain_detach_page(c->d, pg)) {
        page_put(pg);
        return false;
    }
    c->old[c->taken++] = pg;
    return true;
}

static long take_olds(struct chunk *c) {
    for (u64 i = 0; i < c->nr_in; i++) {
        u64 frame;

        if (copy_from_guest(&frame, list_entry_at(&c->in, c->first_in + i), sizeof(frame)))
            return -EFAULT;
        for (u64 k = 0; k < 1ul << c->in.extent_order; k++)
            if (!take_old(c, mfn(frame + k)))
                return -EINVAL;
    }
    return 0;
}

static long make_new(struct chunk *c, u64 i) {
    struct page *pg = domain_alloc_pages(c->d, c->out.extent_order);

    if (!pg)
        return -ENOMEM;
    c->new[c->made++] = pg;
    c->gfn[i] = 0;
    if (!hc_memory_in_reach(pg, c->out.extent_order, c->out.mem_flags))
        return -ENOMEM;
    return copy_from_guest(&c->gfn[i], list_entry_at(&c->out, c->first_out + i), sizeof(u64));
}

static long make_news(struct chunk *c) {
    long rc = 0;

    for (u64 i = 0; i < c->nr_out && !rc; i++)
        rc = make_new(c, i);
    return rc;
}

static long tell(struct chunk *c) {
    for (u64 i = 0; i < c->nr_out; i++) {
        u64 n = page_to_mfn(c->new[i]).n;

        for (u64 k = 0; k < 1ul << c->out.extent_order; k++)
            (void)domain_set_m2p(c->d, mfn(n + k), pfn(c->gfn[i] + k));
        if (copy_to_guest(list_entry_at(&c->out, c->first_out + i), &n, sizeof(n)))
            return -EFAULT;
    }
    return 0;
}

/* A frame the guest was told of may be in use already: it is the guest's until it lets go. */
static void drop_news(struct chunk *c) {
    for (u64 i = 0; i < c->made; i++)
        for (u64 k = 0; k < 1ul << c->out.extent_order; k++) {
            struct page *pg = c->new[i] + k;

            if (!page_get(pg, c->d))
                continue;
            domain_release_page(c->d, pg);
            page_put(pg);
        }
}

static void undo(struct chunk *c) {
    drop_news(c);
    for (u64 i = 0; i < c->taken; i++)
        domain_attach_page(c->d, c->old[i]);
}

static long exchange_chunk(struct chunk *c) {
    long rc;

    c->taken = c->made = 0;
    rc = take_olds(c);
    if (!rc)
        rc = make_news(c);
    if (!rc)
        rc = tell(c);
    if (rc)
        undo(c);
    for (u64 i = 0; i < c->taken; i++)
        page_put(c->old[i]);
    return rc;
}

static long check(const struct xen_memory_exchange *x) {
    u32 in = x->in.extent_order, out = x->out.extent_order;

    if (x->in.domid != x->out.domid)
        return -EINVAL;
    if (in > MAX_GUEST_ORDER || out > MAX_GUEST_ORDER)
        return -EPERM;
    if (x->in.nr_extents > ~0u || x->out.nr_extents > ~0u || x->in.nr_extents << in != x->out.nr_extents << out)
        return -EINVAL;
    if (x->nr_exchanged > x->in.nr_extents || x->nr_exchanged << in & ((1ul << MAX(in, out)) - 1))
        return -EINVAL;
    return 0;
}

static struct chunk *begin(struct domain *d, const struct xen_memory_exchange *x) {
    struct chunk *c = heap_alloc(sizeof(*c));
    u32 order = MAX(x->in.extent_order, x->out.extent_order);

    if (c) {
        c->d = d;
        c->in = x->in;
        c->out = x->out;
        c->nr_in = 1ul << (order - x->in.extent_order);
        c->nr_out = 1ul << (order - x->out.extent_order);
    }
    return c;
}

static long exchange_all(struct chunk *c, u64 *done) {
    long rc = 0;

    for (u64 start = *done; *done < c->in.nr_extents && !rc;) {
        if (*done > start && preempt_pending())
            return -ERESTART;
        c->first_in = *done;
        c->first_out = *done / c->nr_in * c->nr_out;
        rc = exchange_chunk(c);
        if (!rc)
            *done += c->nr_in;
    }
    return rc;
}

static long exchange(struct domain *d, struct xen_memory_exchange *x) {
    struct chunk *c;
    long rc;

    /* Tables on their way out may still refer to the frames. */
    if (!mm_drain(d))
        return -ERESTART;
    c = begin(d, x);
    if (!c)
        return -ENOMEM;
    rc = exchange_all(c, &x->nr_exchanged);
    heap_free(c);
    return rc;
}

/* The ABI's structure itself says where a preempted call goes on. */
long hc_memory_exchange(struct vcpu *v, gva_t at) {
    struct xen_memory_exchange x;
    struct domain *d;
    long rc;

    if (copy_from_guest(&x, at, sizeof(x)))
        return -EFAULT;
    rc = check(&x);
    if (rc)
        return rc;
    d = hc_get_domain(v, x.in.domid, &rc);
    if (!d)
        return rc;
    rc = exchange(d, &x);
    hc_put_domain(v, d);
    if (copy_to_guest(gva(at.a + offsetof(struct xen_memory_exchange, nr_exchanged)), &x.nr_exchanged,
                      sizeof(x.nr_exchanged)))
        return -EFAULT;
    return rc;
}
