// SPDX-License-Identifier: MIT
/* The model's memory_op, and the frames of descriptors: set_gdt, SET_LDT, update_descriptor. */
#include "hc_model.h"
#include <pv/abi.h>
#include <pv/hypercall.h>

#define MAX_EXTENTS 4
#define OUT_LIST (M_LIST + 1024)
#define CMD_BITS 6

/* --- giving up and getting back --- */

static bool model_release(const struct m_domain *o, u64 f) {
    if (!owns(o, f) || !m.frame[f].given || m.frame[f].shared)
        return false;
    m.frame[f].given = false;
    settle();
    return true;
}

/* An extent of which a later frame is refused has lost the earlier ones. */
static bool model_release_extent(const struct m_domain *o, u64 f, u32 order) {
    for (u64 i = 0; i < 1ul << order; i++)
        if (!model_release(o, f + i))
            return false;
    return true;
}

/* How many extents were done, finished or given up. */
static u64 extents_done(const u64 *arg, long rc) {
    return rc == -ERESTART ? arg[0] >> CMD_BITS : (u64)rc;
}

static void op_decrease(const struct actor *a) {
    struct xen_memory_reservation r = {.nr_extents = 1 + choose(MAX_EXTENTS), .domid = DOMID_SELF};
    u64 frame[MAX_EXTENTS], arg[6] = {XENMEM_decrease_reservation, M_ARGS}, done;
    long rc;

    r.extent_order = one_in(4) ? 1 : 0;
    r.extent_start.p = (xen_pfn_t *)M_LIST;
    for (u32 i = 0; i < r.nr_extents; i++)
        frame[i] = any_frame(a->o);
    put_args(a, M_ARGS, &r, sizeof(r));
    put_args(a, M_LIST, frame, sizeof(frame));
    rc = call(a, __HYPERVISOR_memory_op, arg);
    done = extents_done(arg, rc);
    MUST(done <= r.nr_extents);
    for (u64 i = 0; i < done; i++)
        outcome(true, model_release_extent(a->o, frame[i], r.extent_order));
    if (rc != -ERESTART && done < r.nr_extents)
        outcome(false, model_release_extent(a->o, frame[done], r.extent_order));
}

u64 pages_of(const struct m_domain *o) {
    u64 n = 0;

    for (u64 f = 0; f < M_FRAMES; f++)
        n += owns(o, f) && !m.frame[f].shared;
    return n;
}

/* The list of new extents names frames that were just taken into the books, in runs. */
static void check_extents(const struct actor *a, const struct xen_memory_reservation *r, u64 done, const u64 *pfn_in) {
    u64 first;

    for (u64 i = 0; i < done; i++) {
        get_args(a, M_LIST + i * 8, &first, sizeof(first));
        for (u64 k = 0; k < 1ul << r->extent_order; k++) {
            MUST(owns(a->o, first + k) && m.frame[first + k].m2p == M2P_INVALID);
            if (pfn_in)
                m.frame[first + k].m2p = pfn_in[i] + k;
        }
    }
}

static void op_increase(const struct actor *a) {
    bool physmap = choose(2);
    struct xen_memory_reservation r = {
        .nr_extents = 1 + choose(MAX_EXTENTS), .extent_order = choose(3), .domid = DOMID_SELF};
    u64 pfn_in[MAX_EXTENTS] = {1000, 2000, 3000, ~0ul - 100}, before = pages_of(a->o), done;
    u64 arg[6] = {physmap ? XENMEM_populate_physmap : XENMEM_increase_reservation, M_ARGS};
    bool no_list = !physmap && one_in(3);
    long rc;

    r.extent_start.p = no_list ? NULL : (xen_pfn_t *)M_LIST;
    put_args(a, M_ARGS, &r, sizeof(r));
    put_args(a, M_LIST, pfn_in, sizeof(pfn_in));
    rc = call(a, __HYPERVISOR_memory_op, arg);
    done = extents_done(arg, rc);
    MUST(adopt(a->o, false) == done << r.extent_order);
    if (!no_list)
        check_extents(a, &r, done, physmap ? pfn_in : NULL);
    for (u64 i = 0; i < done; i++, before += 1ul << r.extent_order)
        outcome(true, before + (1ul << r.extent_order) <= M_PAGES);
    if (rc != -ERESTART && done < r.nr_extents)
        outcome(false, before + (1ul << r.extent_order) <= M_PAGES);
}

/* --- exchange --- */

bool is_lone(const struct m_domain *o, u64 f) {
    return owns(o, f) && m.frame[f].given && !m.frame[f].shared && m.refs[f] == 1;
}

static bool model_take(const struct m_domain *o, const u64 *frame, u32 n, u32 order) {
    for (u32 i = 0; i < n; i++)
        for (u64 k = 0; k < 1ul << order; k++) {
            u64 f = frame[i] + k;

            for (u32 before = 0; before < i; before++)
                if (f - frame[before] < 1ul << order)
                    return false;
            if (!is_lone(o, f))
                return false;
        }
    return true;
}

static void model_give(const struct m_domain *o, const u64 *frame, u32 n, u32 order) {
    for (u32 i = 0; i < n; i++)
        for (u64 k = 0; k < 1ul << order; k++)
            MUST(model_release(o, frame[i] + k));
}

struct exchange {
    struct xen_memory_exchange x;
    u64 in[MAX_EXTENTS], out[MAX_EXTENTS];
    u32 in_a_chunk, out_of_a_chunk;
};

static struct exchange any_exchange(const struct m_domain *o) {
    u32 in_order = choose(2), out_order = choose(2), frames = 2 + 2 * choose(2);
    struct exchange e = {.x.in.domid = DOMID_SELF, .x.out.domid = DOMID_SELF};

    e.x.in.extent_order = in_order;
    e.x.out.extent_order = out_order;
    e.x.in.nr_extents = frames >> in_order;
    e.x.out.nr_extents = frames >> out_order;
    e.x.in.extent_start.p = (xen_pfn_t *)M_LIST;
    e.x.out.extent_start.p = (xen_pfn_t *)OUT_LIST;
    e.in_a_chunk = in_order < out_order ? 2 : 1;
    e.out_of_a_chunk = out_order < in_order ? 2 : 1;
    for (u32 i = 0; i < MAX_EXTENTS; i++) {
        e.in[i] = any_frame(o);
        e.out[i] = 5000 + i * 10;
    }
    return e;
}

/* The frames that a chunk's place in the list of new extents names. */
static void model_receive(const struct actor *a, const struct exchange *e, u32 chunk) {
    u32 order = e->x.out.extent_order, n = e->out_of_a_chunk;
    u64 first;

    for (u32 i = chunk * n; i < (chunk + 1) * n; i++) {
        get_args(a, OUT_LIST + i * 8, &first, sizeof(first));
        for (u64 k = 0; k < 1ul << order; k++) {
            MUST(is_ram(first + k) && !m.frame[first + k].owner);
            m.frame[first + k] = (struct m_frame){.owner = a->o->id, .given = true, .m2p = e->out[i] + k};
            memset(m.memory[first + k], 0, PAGE_SIZE);
        }
    }
}

static void model_exchange(const struct actor *a, const struct exchange *e, u32 chunks) {
    for (u32 c = 0; c < chunks; c++) {
        const u64 *in = e->in + c * e->in_a_chunk;

        outcome(true, model_take(a->o, in, e->in_a_chunk, e->x.in.extent_order));
        model_give(a->o, in, e->in_a_chunk, e->x.in.extent_order);
        model_receive(a, e, c);
        settle();
    }
}

static void op_exchange(const struct actor *a) {
    struct exchange e = any_exchange(a->o);
    u64 arg[6] = {XENMEM_exchange, M_ARGS};
    struct xen_memory_exchange after;
    u32 chunks;
    long rc;

    put_args(a, M_ARGS, &e.x, sizeof(e.x));
    put_args(a, M_LIST, e.in, sizeof(e.in));
    put_args(a, OUT_LIST, e.out, sizeof(e.out));
    rc = call(a, __HYPERVISOR_memory_op, arg);
    get_args(a, M_ARGS, &after, sizeof(after));
    MUST(after.nr_exchanged % e.in_a_chunk == 0 && after.nr_exchanged <= e.x.in.nr_extents);
    chunks = (u32)after.nr_exchanged / e.in_a_chunk;
    model_exchange(a, &e, chunks);
    MUST(rc || after.nr_exchanged == e.x.in.nr_extents);
    if (rc && rc != -ERESTART)
        outcome(false, model_take(a->o, e.in + after.nr_exchanged, e.in_a_chunk, e.x.in.extent_order));
}

void op_memory(const struct actor *a) {
    u32 k = choose(6);

    if (k < 2)
        op_decrease(a);
    else if (k < 4)
        op_increase(a);
    else
        op_exchange(a);
}

/* --- descriptors --- */

bool descriptor_after(u64 *desc) {
    const u64 present = BIT(47), dpl = BIT(45) | BIT(46), not_system = BIT(44), accessed = BIT(40);

    if (!(*desc & present))
        return true;
    if (!(*desc & not_system))
        return false;
    if ((*desc & dpl) != dpl)
        *desc = (*desc & ~dpl) | BIT(45);
    *desc |= accessed;
    return true;
}

static u64 any_descriptor(void) {
    static const u64 d[] = {0x00af9a000000ffff,
                            0x00cf92000000ffff,
                            0x00affa000000ffff,
                            0x00cff3000000ffff,
                            0x0000820000000000,
                            0x00008c0000080000,
                            0,
                            0x00209b0000000000};

    return d[choose(ARRAY_SIZE(d))];
}

bool model_table(const struct m_domain *o, u64 *table, u32 max, const u64 *frame, u32 n) {
    begin_question();
    for (u32 i = 0; i < n; i++)
        add_use(o, frame[i], PT_SEGDESC);
    if (!is_legal())
        return false;
    for (u32 i = 0; i < max; i++)
        table[i] = i < n ? frame[i] : ~0ul;
    settle();
    return true;
}

static u64 descriptor_frame(const struct m_domain *o) {
    u64 f = loose_frame(o);

    if (owns(o, f) && !m.uses[f] && m.frame[f].begun == PT_NONE) {
        for (u32 i = 0; i < 512; i++)
            poke(f, i, 0);
        poke(f, any_slot(o, f), any_descriptor());
    }
    return f;
}

static void op_gdt(const struct actor *a) {
    u64 frame[2] = {descriptor_frame(a->o), descriptor_frame(a->o)};
    u32 n = choose(3);
    u64 arg[6] = {M_ARGS, n * 512 - (n ? choose(512) : 0)};
    long rc;

    put_args(a, M_ARGS, frame, sizeof(frame));
    rc = call(a, __HYPERVISOR_set_gdt, arg);
    if (rc != -ERESTART)
        outcome(!rc, model_table(a->o, a->mv->gdt, GDT_GUEST_PAGES, frame, n));
}

static bool model_ldt(const struct actor *a, u64 va, u32 n) {
    u64 frame[2], table;
    u32 slot;

    for (u32 i = 0; i < n; i++) {
        if (!model_walk(a->mv->base, va + i * PAGE_SIZE, &table, &slot) || !(m.memory[table][slot] & PTE_P))
            return false;
        frame[i] = pte_mfn(m.memory[table][slot]).n;
    }
    return model_table(a->o, a->mv->ldt, LDT_PAGES, frame, n);
}

static void op_ldt(const struct actor *a) {
    u32 n = choose(3);
    struct mmuext_op op = {.cmd = MMUEXT_SET_LDT,
                           .arg1.linear_addr = MM_SLOT_VA(M_FIRST_SLOT + choose(M_LAST_SLOT - M_FIRST_SLOT)),
                           .arg2.nr_ents = n * 512};
    u64 arg[6] = {M_ARGS, 1, 0, DOMID_SELF};
    long rc;

    put_args(a, M_ARGS, &op, sizeof(op));
    rc = call(a, __HYPERVISOR_mmuext_op, arg);
    if (rc != -ERESTART)
        outcome(!rc, model_ldt(a, op.arg1.linear_addr, n));
}

bool model_descriptor(const struct m_domain *o, u64 ma, u64 desc) {
    u64 f = ma >> PAGE_SHIFT;

    if (!owns(o, f) || !descriptor_after(&desc))
        return false;
    if (!(m.uses[f] && m.type[f] == PT_SEGDESC) && !would_do(o, f, PT_WRITABLE))
        return false;
    m.memory[f][ma % PAGE_SIZE / 8] = desc;
    return true;
}

static void op_descriptor(const struct actor *a) {
    const struct m_vcpu *v = a->mv;
    u64 f = v->gdt[0] != ~0ul && choose(2) ? v->gdt[0] : any_frame(a->o);
    u64 arg[6] = {f << PAGE_SHIFT | any_slot(a->o, f) * 8, any_descriptor()}, desc = arg[1];
    long rc = call(a, __HYPERVISOR_update_descriptor, arg);

    if (rc != -ERESTART)
        outcome(!rc, model_descriptor(a->o, arg[0], desc));
}

void op_segments(const struct actor *a) {
    u32 k = choose(4);

    if (k < 2)
        op_gdt(a);
    else if (k == 2)
        op_ldt(a);
    else
        op_descriptor(a);
}
