// SPDX-License-Identifier: MIT
/*
 * Frames given back, asked for and exchanged, one by one and in lists with wrong entries; and what memory_op tells.
 */
#include "fuzz.h"

/* A frame that came takes a place in the set; the one it displaces, by a race, goes back. */
static void put_frame(struct fuzzer *f, unsigned n, unsigned long mfn) {
    unsigned long old = __atomic_exchange_n(&frames[n], mfn, __ATOMIC_SEQ_CST);
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

    if (!old || old == mfn)
        return;
    set_xen_guest_handle(r.extent_start, &old);
    count(f, hv_memory_op(XENMEM_decrease_reservation, &r));
}

static void reserve(struct fuzzer *f, struct xen_memory_reservation *r, unsigned long *list, unsigned n) {
    *r = (struct xen_memory_reservation){.nr_extents = n, .domid = DOMID_SELF};
    set_xen_guest_handle(r->extent_start, list);
    if (one_in(f, 16))
        r->extent_order = below(f, 12);
    if (one_in(f, 16))
        r->mem_flags = (unsigned)random_bits(f);
    if (one_in(f, 16))
        r->domid = any_domid(f);
}

static void decrease(struct fuzzer *f) {
    unsigned n = 1 + below(f, one_in(f, 8) ? 64 : 4), at = below(f, NR_FRAMES);
    struct xen_memory_reservation *r = room(f, sizeof(*r));
    unsigned long *list = room(f, n * sizeof(*list));

    for (unsigned i = 0; i < n; i++)
        list[i] = one_in(f, 16) ? any_mfn(f) : READ_ONCE(frames[(at + i) % NR_FRAMES]);
    reserve(f, r, list, n);
    if (r->extent_order)
        list[0] = ~0UL - below(f, 100); /* a run of frames could be the kernel's */
    count(f, hv_memory_op(XENMEM_decrease_reservation, r));
}

/* The set's places are told apart by their frames: those no longer ours are found by asking for new ones. */
static void populate(struct fuzzer *f) {
    unsigned n = 1 + below(f, 4), at = below(f, NR_FRAMES);
    struct xen_memory_reservation *r = room(f, sizeof(*r));
    unsigned long *list = room(f, 64 * sizeof(*list));
    bool by_pfn = one_in(f, 2);
    long got;

    for (unsigned i = 0; i < n; i++)
        list[i] = mfn_to_pfn(READ_ONCE(frames[(at + i) % NR_FRAMES]));
    reserve(f, r, list, n);
    r->extent_order = r->extent_order > 4 ? r->extent_order : 0;
    got = count(f, hv_memory_op(by_pfn ? XENMEM_populate_physmap : XENMEM_increase_reservation, r));
    for (long i = 0; i < got && !r->extent_order && i < n; i++)
        put_frame(f, (unsigned)((at + (unsigned)i) % NR_FRAMES), list[i]);
}

static void exchange(struct fuzzer *f) {
    unsigned n = 1 + below(f, 4), at = below(f, NR_FRAMES);
    struct xen_memory_exchange *x = room(f, sizeof(*x));
    unsigned long *in = room(f, 64 * sizeof(*in)), *out = room(f, 64 * sizeof(*out));

    for (unsigned i = 0; i < n; i++) {
        in[i] = one_in(f, 24) ? any_mfn(f) : READ_ONCE(frames[(at + i) % NR_FRAMES]);
        out[i] = mfn_to_pfn(READ_ONCE(frames[(at + i) % NR_FRAMES]));
    }
    reserve(f, &x->in, in, n);
    reserve(f, &x->out, one_in(f, 32) ? (void *)any_va(f) : out, n);
    x->in.extent_order = x->in.extent_order > 8 ? x->in.extent_order : 0;
    x->nr_exchanged = one_in(f, 16) ? below(f, 6) : 0;
    count(f, hv_memory_op(XENMEM_exchange, x));
    for (unsigned i = 0; i < x->nr_exchanged && i < n && !x->out.extent_order; i++)
        if (in[i] == READ_ONCE(frames[(at + i) % NR_FRAMES]))
            put_frame(f, (at + i) % NR_FRAMES, out[i]);
}

/* Any command on words that may be numbers, frames or addresses; not those above, which would lose frames. */
void make_memory_query(struct fuzzer *f, multicall_entry_t *e) {
    uint64_t *words = room(f, 16 * sizeof(*words));
    unsigned cmd = 2 + below(f, 30);

    for (unsigned i = 0; i < 16; i++)
        words[i] = any_word(f);
    if (cmd == XENMEM_populate_physmap || cmd == XENMEM_exchange)
        cmd = XENMEM_current_reservation;
    call_set(e, __HYPERVISOR_memory_op, 2, (unsigned long)(cmd | (one_in(f, 16) ? below(f, 99) << 6 : 0)),
             one_in(f, 8) ? any_va(f) : ARG(words));
}

static void query(struct fuzzer *f) {
    call_made(f, make_memory_query);
}

const struct action memory_actions[] = {
    {"decrease", 6, decrease}, {"populate", 10, populate}, {"exchange", 10, exchange}, {"memory_op", 6, query},
    {NULL, 0, NULL},
};
