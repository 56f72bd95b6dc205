// SPDX-License-Identifier: MIT
/* The model's grant tables: entries as guests write them, mapping, unmapping, copying, growing. */
#include "hc_model.h"
#include "../../hypervisor/gnttab/internal.h"
#include <pv/abi.h>
#include <pv/hypercall.h>

#define HOLDS (GNTMAP_host_map | GNTMAP_device_map)

/* What stopped half way counted a use and took it back: only finished calls are told apart. */
static void call_to_end(const struct actor *a, u64 *arg) {
    long rc;

    do
        rc = call(a, __HYPERVISOR_grant_table_op, arg);
    while (rc == -ERESTART);
    MUST(!rc);
}

/* --- entries, in the model's memory --- */

static grant_entry_v1_t *entry_of(const struct m_domain *o, u32 ref) {
    return (grant_entry_v1_t *)(void *)&m.memory[o->grant_frame[0]][ref];
}

/* A guest writes an entry: flags, grantee, frame; also while it is in use. */
static void op_grant(const struct actor *a) {
    static const u16 flags[] = {GTF_permit_access,  GTF_permit_access,
                                GTF_permit_access,  GTF_permit_access | GTF_readonly,
                                GTF_invalid,        GTF_permit_access | GTF_reading | GTF_writing,
                                GTF_accept_transfer};
    grant_entry_v1_t e = {.flags = flags[choose(ARRAY_SIZE(flags))],
                          .domid = (domid_t)(1 + choose(M_DOMS)),
                          .frame = (u32)(one_in(2) ? loose_frame(a->o) : any_frame(a->o))};
    u64 word;

    memcpy(&word, &e, sizeof(word));
    poke(a->o->grant_frame[0], choose(M_REFS), word);
}

/* --- uses --- */

/* One use more by `user`: GNTST_*, and the frame. */
static s16 model_pin(struct m_domain *granter, u32 ref, u32 user, bool readonly, u64 *frame) {
    struct m_active *act = &granter->active[ref];
    bool used = act->reads || act->writes;
    grant_entry_v1_t *e = entry_of(granter, ref);

    if ((used && act->user != user) || (e->flags & GTF_type_mask) != GTF_permit_access || e->domid != user ||
        (!readonly && e->flags & GTF_readonly))
        return GNTST_general_error;
    if (!used) {
        act->user = user;
        act->frame = e->frame;
    }
    e->flags |= readonly ? GTF_reading : GTF_reading | GTF_writing;
    *(readonly ? &act->reads : &act->writes) += 1;
    *frame = act->frame;
    return GNTST_okay;
}

static void model_unpin(struct m_domain *granter, u32 ref, bool readonly) {
    struct m_active *act = &granter->active[ref];
    grant_entry_v1_t *e = entry_of(granter, ref);

    *(readonly ? &act->reads : &act->writes) -= 1;
    if (!act->writes)
        e->flags &= (u16)~GTF_writing;
    if (!act->writes && !act->reads)
        e->flags &= (u16)~GTF_reading;
}

/* --- mapping --- */

static bool is_leaf_table(const struct m_domain *o, u64 f) {
    return owns(o, f) && m.frame[f].valid && m.type[f] == PT_L1;
}

/* The machine address of the entry that a host address means; 0: none. */
static u64 model_entry(const struct actor *a, u64 host_addr, bool is_pte) {
    u64 table, ma = host_addr;
    u32 slot;

    if (!is_pte)
        ma = model_walk(a->mv->base, host_addr, &table, &slot) ? table << PAGE_SHIFT | slot * 8 : 0;
    return ma && !(ma & 7) && is_leaf_table(a->o, ma >> PAGE_SHIFT) ? ma : 0;
}

static u64 entry_for(u64 frame, u32 flags) {
    return frame << PAGE_SHIFT | PTE_P | PTE_A | PTE_D | PTE_NX | (flags & GNTMAP_readonly ? 0 : PTE_W) |
           (flags & GNTMAP_application_map ? PTE_U : 0) | (u64)(flags >> 16 & 7) << 9;
}

static s16 model_make(const struct actor *a, const struct m_domain *granter, const struct gnttab_map_grant_ref *op,
                      u64 frame) {
    bool readonly = op->flags & GNTMAP_readonly;
    u64 ma;

    if (!is_ram(frame))
        return GNTST_bad_page;
    if (op->flags & GNTMAP_device_map && !would_do(granter, frame, readonly ? PT_NONE : PT_WRITABLE))
        return GNTST_general_error;
    if (!(op->flags & GNTMAP_host_map))
        return GNTST_okay;
    ma = model_entry(a, op->host_addr, op->flags & GNTMAP_contains_pte);
    if (!ma || !model_update(a->o, granter, ma, entry_for(frame, op->flags), false))
        return GNTST_general_error;
    return GNTST_okay;
}

static struct m_domain *granter_by_id(const struct actor *a, domid_t id) {
    struct m_domain *o = id == DOMID_SELF ? a->o : id >= 1 && id <= M_DOMS ? &m.dom[id - 1] : NULL;

    return o && !o->dead ? o : NULL;
}

/* The model's answer; the handle is the machine's. */
static s16 model_map(const struct actor *a, const struct gnttab_map_grant_ref *op) {
    struct m_domain *granter = granter_by_id(a, op->dom);
    u64 frame;
    s16 rc;

    if (!(op->flags & HOLDS))
        return GNTST_bad_gntref;
    if (!granter)
        return GNTST_bad_domain;
    if (op->ref >= granter->nr_grant_frames * 512)
        return GNTST_bad_gntref;
    rc = model_pin(granter, op->ref, a->o->id, op->flags & GNTMAP_readonly, &frame);
    if (rc)
        return rc;
    rc = model_make(a, granter, op, frame);
    if (rc) {
        model_unpin(granter, op->ref, op->flags & GNTMAP_readonly);
        return rc;
    }
    MUST(op->handle < M_HANDLES && !a->o->handle[op->handle].live);
    a->o->handle[op->handle] = (struct m_handle){true, granter->id, op->ref, op->flags, frame, granter->life};
    m.stats->mapped++;
    return rc;
}

/* An address of a slot for mappings, or of its entry; now and then of anything. */
static u64 any_host_addr(const struct actor *a, bool is_pte) {
    u32 slot = M_FIRST_SLOT + choose(M_LAST_SLOT - M_FIRST_SLOT + 1);

    if (one_in(12))
        return is_pte ? any_frame(a->o) << PAGE_SHIFT | 16 : any_address(a);
    return is_pte ? a->o->home[1] << PAGE_SHIFT | slot * 8 : MM_SLOT_VA(slot);
}

static u32 free_handles(const struct m_domain *o) {
    u32 n = 0;

    for (u32 i = 0; i < M_HANDLES; i++)
        n += !o->handle[i].live;
    return n;
}

/* A grant: mostly one made out to the domain. */
static void any_grant(const struct m_domain *o, domid_t *dom, u32 *ref) {
    for (u32 i = 0; i < 12; i++) {
        const struct m_domain *granter = &m.dom[choose(M_DOMS)];
        const grant_entry_v1_t *e;

        *dom = (domid_t)granter->id;
        *ref = choose(M_REFS);
        e = entry_of(granter, *ref);
        if (!granter->dead && (e->flags & GTF_type_mask) == GTF_permit_access && e->domid == o->id)
            return;
    }
}

static void op_map(const struct actor *a) {
    static const u32 flags[] = {GNTMAP_host_map, GNTMAP_host_map, GNTMAP_host_map, GNTMAP_device_map, HOLDS, 0};
    struct gnttab_map_grant_ref op = {.flags = flags[choose(ARRAY_SIZE(flags))], .handle = ~0u};
    u64 arg[6] = {GNTTABOP_map_grant_ref, M_ARGS, 1};

    if (free_handles(a->o) < 2)
        return;
    op.flags |= choose(2) ? GNTMAP_readonly : 0;
    op.flags |= one_in(3) ? GNTMAP_contains_pte : 0;
    op.flags |= one_in(3) ? GNTMAP_application_map | 5u << 16 : 0;
    any_grant(a->o, &op.dom, &op.ref);
    op.dom = one_in(20) ? 7 : op.dom;
    op.ref = one_in(20) ? 512 * M_GRANT_FRAMES : op.ref;
    op.host_addr = any_host_addr(a, op.flags & GNTMAP_contains_pte);
    put_args(a, M_ARGS, &op, sizeof(op));
    call_to_end(a, arg);
    get_args(a, M_ARGS, &op, sizeof(op));
    MUST(op.status == model_map(a, &op));
    *(op.status ? &m.stats->refused : &m.stats->done) += 1;
}

/* --- unmapping --- */

static void end_use(const struct m_handle *h) {
    struct m_domain *granter = &m.dom[h->dom - 1];

    if (!granter->dead && granter->life == h->life)
        model_unpin(granter, h->ref, h->flags & GNTMAP_readonly);
}

static s16 model_clear(const struct actor *a, const struct m_handle *h, u64 host_addr) {
    u64 ma = model_entry(a, host_addr, h->flags & GNTMAP_contains_pte), e;
    u64 expected = h->frame << PAGE_SHIFT | PTE_P | (h->flags & GNTMAP_readonly ? 0 : PTE_W);

    if (!ma)
        return GNTST_general_error;
    e = m.memory[ma >> PAGE_SHIFT][ma % PAGE_SIZE / 8];
    if ((e & (PTE_P | PTE_W | PTE_ADDR)) != expected || !model_update(a->o, a->o, ma, 0, false))
        return GNTST_general_error;
    return GNTST_okay;
}

/* The entry gets what is at another address, which is empty then: no use changes but that of the frame unmapped. */
static s16 model_replace(const struct actor *a, const struct m_handle *h, u64 host_addr, u64 new_addr) {
    u64 ma = model_entry(a, host_addr, h->flags & GNTMAP_contains_pte), from = model_entry(a, new_addr, false), *e, *f;
    u64 expected = h->frame << PAGE_SHIFT | PTE_P | (h->flags & GNTMAP_readonly ? 0 : PTE_W);

    if (!ma || h->flags & GNTMAP_contains_pte || !from || from == ma)
        return GNTST_general_error;
    e = &m.memory[ma >> PAGE_SHIFT][ma % PAGE_SIZE / 8];
    f = &m.memory[from >> PAGE_SHIFT][from % PAGE_SIZE / 8];
    if ((*e & (PTE_P | PTE_W | PTE_ADDR)) != expected)
        return GNTST_general_error;
    *e = *f;
    *f = 0;
    return GNTST_okay;
}

static s16 model_unmap(const struct actor *a, const struct gnttab_unmap_grant_ref *op, u64 new_addr) {
    struct m_handle *h = op->handle < M_HANDLES ? &a->o->handle[op->handle] : NULL;
    bool device;
    s16 rc;

    if (!h || !h->live)
        return GNTST_bad_handle;
    device = op->dev_bus_addr && h->flags & GNTMAP_device_map;
    if (device && op->dev_bus_addr >> PAGE_SHIFT != h->frame)
        return GNTST_general_error;
    if (op->host_addr && h->flags & GNTMAP_host_map) {
        rc = new_addr ? model_replace(a, h, op->host_addr, new_addr) : model_clear(a, h, op->host_addr);
        if (rc)
            return rc;
        h->flags &= ~(u32)GNTMAP_host_map;
    }
    if (device)
        h->flags &= ~(u32)GNTMAP_device_map;
    if (!(h->flags & HOLDS)) {
        end_use(h);
        h->live = false;
    }
    return GNTST_okay;
}

/* Where the handle's entry seems to be. */
static u64 likely_host_addr(const struct actor *a, const struct m_handle *h) {
    const struct m_domain *o = a->o;
    bool is_pte = h->flags & GNTMAP_contains_pte;

    for (u32 slot = M_FIRST_SLOT; slot <= M_LAST_SLOT; slot++)
        if (pte_mfn(m.memory[o->home[1]][slot]).n == h->frame)
            return is_pte ? o->home[1] << PAGE_SHIFT | slot * 8 : MM_SLOT_VA(slot);
    return any_host_addr(a, is_pte);
}

static u32 any_handle(const struct m_domain *o) {
    u32 h = choose(M_HANDLES);

    for (u32 i = 0; i < M_HANDLES && !o->handle[h].live; i++)
        h = (h + 1) % M_HANDLES;
    return one_in(16) ? choose(2) * 100000 : h;
}

static void op_unmap(const struct actor *a) {
    struct gnttab_unmap_grant_ref op = {.handle = any_handle(a->o)};
    const struct m_handle *h = &a->o->handle[op.handle < M_HANDLES ? op.handle : 0];
    u64 arg[6] = {GNTTABOP_unmap_grant_ref, M_ARGS, 1};

    op.host_addr = one_in(6) ? any_host_addr(a, choose(2)) : likely_host_addr(a, h);
    op.dev_bus_addr = h->flags & GNTMAP_device_map && !one_in(4) ? h->frame << PAGE_SHIFT : 0;
    put_args(a, M_ARGS, &op, sizeof(op));
    call_to_end(a, arg);
    get_args(a, M_ARGS, &op, sizeof(op));
    MUST(op.status == model_unmap(a, &op, 0));
    settle();
    *(op.status ? &m.stats->refused : &m.stats->done) += 1;
}

static void op_replace(const struct actor *a) {
    struct gnttab_unmap_and_replace op = {.handle = any_handle(a->o), .new_addr = any_host_addr(a, false)};
    const struct m_handle *h = &a->o->handle[op.handle < M_HANDLES ? op.handle : 0];
    u64 arg[6] = {GNTTABOP_unmap_and_replace, M_ARGS, 1};
    struct gnttab_unmap_grant_ref unmap;

    op.host_addr = one_in(6) ? any_host_addr(a, choose(2)) : likely_host_addr(a, h);
    op.new_addr = one_in(8) ? 0 : op.new_addr;
    put_args(a, M_ARGS, &op, sizeof(op));
    call_to_end(a, arg);
    get_args(a, M_ARGS, &op, sizeof(op));
    unmap = (struct gnttab_unmap_grant_ref){.host_addr = op.host_addr, .handle = op.handle};
    MUST(op.status == model_unmap(a, &unmap, op.new_addr));
    settle();
    *(op.status ? &m.stats->refused : &m.stats->done) += 1;
}

void grants_end(struct m_domain *o) {
    for (u32 i = 0; i < M_HANDLES; i++)
        if (o->handle[i].live && o->handle[i].dom != o->id)
            end_use(&o->handle[i]);
    memset(o->handle, 0, sizeof(o->handle));
    memset(o->active, 0, sizeof(o->active));
    o->nr_grant_frames = 0;
}

/* --- copying --- */

struct end {
    struct m_domain *d;
    u64 frame;
    u32 ref;
    bool granted, writable;
};

static s16 model_end(const struct actor *a, struct end *e, const struct gnttab_copy_ptr *p) {
    s16 rc;

    if (!e->granted && p->domid != DOMID_SELF && p->domid != a->o->id)
        return GNTST_permission_denied;
    e->d = granter_by_id(a, p->domid);
    if (!e->d)
        return GNTST_bad_domain;
    e->ref = p->u.ref;
    e->frame = p->u.gmfn;
    if (e->granted && (rc = model_pin(e->d, e->ref, a->o->id, !e->writable, &e->frame)))
        return rc;
    if (owns(e->d, e->frame) && (!e->writable || would_do(e->d, e->frame, PT_WRITABLE)))
        return GNTST_okay;
    if (e->granted)
        model_unpin(e->d, e->ref, !e->writable);
    return GNTST_bad_page;
}

static void end_done(const struct end *e) {
    if (e->granted)
        model_unpin(e->d, e->ref, !e->writable);
}

static s16 model_copy(const struct actor *a, const struct gnttab_copy *op) {
    struct end from = {.granted = op->flags & GNTCOPY_source_gref};
    struct end to = {.granted = op->flags & GNTCOPY_dest_gref, .writable = true};
    s16 rc;

    if (op->source.offset + op->len > PAGE_SIZE || op->dest.offset + op->len > PAGE_SIZE)
        return GNTST_bad_copy_arg;
    rc = model_end(a, &from, &op->source);
    if (rc)
        return rc;
    rc = model_end(a, &to, &op->dest);
    if (!rc) {
        memmove((u8 *)m.memory[to.frame] + op->dest.offset, (u8 *)m.memory[from.frame] + op->source.offset, op->len);
        end_done(&to);
    }
    end_done(&from);
    return rc;
}

static struct gnttab_copy_ptr any_end(const struct actor *a, bool granted) {
    struct gnttab_copy_ptr p = {.domid = DOMID_SELF, .offset = (u16)(choose(2) * 8 * choose(200))};

    if (granted)
        any_grant(a->o, &p.domid, &p.u.ref);
    else
        p.u.gmfn = any_frame(a->o);
    return p;
}

static void op_copy(const struct actor *a) {
    struct gnttab_copy op = {.flags = (u16)choose(4)};
    u64 arg[6] = {GNTTABOP_copy, M_ARGS, 1};

    op.len = (u16)(one_in(8) ? 4096 : choose(100));
    op.source = any_end(a, op.flags & GNTCOPY_source_gref);
    op.dest = any_end(a, op.flags & GNTCOPY_dest_gref);
    put_args(a, M_ARGS, &op, sizeof(op));
    call_to_end(a, arg);
    get_args(a, M_ARGS, &op, sizeof(op));
    MUST(op.status == model_copy(a, &op));
    *(op.status ? &m.stats->refused : &m.stats->done) += 1;
}

/* --- giving frames away, and exchanging entries --- */

/* The frame leaves its owner before the taker is looked at, and is lost if the taker does not get it. */
static s16 model_transfer(const struct actor *a, const struct gnttab_transfer *op) {
    struct m_domain *taker = op->domid == DOMID_SELF ? NULL : granter_by_id(a, op->domid);
    grant_entry_v1_t *e;

    if (!is_lone(a->o, op->mfn))
        return GNTST_bad_page;
    m.frame[op->mfn].given = false;
    settle();
    if (!taker)
        return GNTST_bad_domain;
    e = entry_of(taker, op->ref < M_REFS ? op->ref : 0);
    if (pages_of(taker) >= M_PAGES || op->ref >= M_REFS || e->flags != GTF_accept_transfer || e->domid != a->o->id)
        return GNTST_general_error;
    m.frame[op->mfn] = (struct m_frame){.owner = taker->id, .given = true, .m2p = e->frame};
    e->frame = (u32)op->mfn;
    e->flags |= GTF_transfer_committed | GTF_transfer_completed;
    return GNTST_okay;
}

static void op_transfer(const struct actor *a) {
    struct gnttab_transfer op = {.mfn = any_frame(a->o), .domid = (domid_t)(1 + choose(M_DOMS)), .ref = choose(M_REFS)};
    u64 arg[6] = {GNTTABOP_transfer, M_ARGS, 1};

    for (u32 i = 0; i < 8 && m.dom[op.domid - 1].nr_grant_frames &&
                    entry_of(&m.dom[op.domid - 1], op.ref)->flags != GTF_accept_transfer;
         i++)
        op.ref = (op.ref + 1) % M_REFS;
    if (one_in(12))
        op.domid = choose(2) ? DOMID_SELF : 9;
    if (one_in(12))
        op.ref = M_GRANT_FRAMES * 512;
    put_args(a, M_ARGS, &op, sizeof(op));
    call_to_end(a, arg);
    get_args(a, M_ARGS, &op, sizeof(op));
    MUST(op.status == model_transfer(a, &op));
    settle();
    *(op.status ? &m.stats->refused : &m.stats->done) += 1;
}

static bool is_used(const struct m_domain *o, u32 ref) {
    return o->active[ref].reads || o->active[ref].writes;
}

static void op_swap(const struct actor *a) {
    struct gnttab_swap_grant_ref op = {.ref_a = choose(M_REFS), .ref_b = choose(M_REFS)};
    u64 arg[6] = {GNTTABOP_swap_grant_ref, M_ARGS, 1};
    s16 foretold = op.ref_a != op.ref_b && (is_used(a->o, op.ref_a) || is_used(a->o, op.ref_b)) ? GNTST_eagain : 0;
    grant_entry_v1_t was = *entry_of(a->o, op.ref_a);

    if (one_in(8)) {
        op.ref_b = M_GRANT_FRAMES * 512;
        foretold = GNTST_bad_gntref;
    }
    put_args(a, M_ARGS, &op, sizeof(op));
    call_to_end(a, arg);
    get_args(a, M_ARGS, &op, sizeof(op));
    MUST(op.status == foretold);
    if (op.status == GNTST_okay) {
        *entry_of(a->o, op.ref_a) = *entry_of(a->o, op.ref_b);
        *entry_of(a->o, op.ref_b) = was;
    }
    *(op.status ? &m.stats->refused : &m.stats->done) += 1;
}

/* Caches: of frames that are the domain's, or that it has mapped. */
static long may_flush(const struct m_domain *o, u64 f) {
    if (!is_ram(f))
        return -EINVAL;
    if (owns(o, f))
        return 0;
    for (u32 i = 0; i < M_HANDLES; i++)
        if (o->handle[i].live && o->handle[i].frame == f)
            return 0;
    return f >= MM_OWN && m.frame[f].owner ? -EINVAL : -EPERM;
}

static void op_cache_flush(const struct actor *a) {
    u64 f = one_in(2) ? any_frame(a->o) : any_frame(&m.dom[choose(M_DOMS)]);
    struct gnttab_cache_flush op = {.a.dev_bus_addr = f << PAGE_SHIFT, .length = 64, .op = GNTTAB_CACHE_CLEAN};
    u64 arg[6] = {GNTTABOP_cache_flush, M_ARGS, 1};

    put_args(a, M_ARGS, &op, sizeof(op));
    MUST(call(a, __HYPERVISOR_grant_table_op, arg) == may_flush(a->o, f));
}

/* --- the table's own frames --- */

static void op_setup(const struct actor *a) {
    struct gnttab_setup_table op = {.dom = DOMID_SELF, .nr_frames = choose(M_GRANT_FRAMES + 2)};
    u64 arg[6] = {GNTTABOP_setup_table, M_ARGS, 1}, list[M_GRANT_FRAMES];
    bool ok = op.nr_frames <= M_GRANT_FRAMES;

    op.frame_list.p = (xen_pfn_t *)M_LIST;
    put_args(a, M_ARGS, &op, sizeof(op));
    call_to_end(a, arg);
    get_args(a, M_ARGS, &op, sizeof(op));
    get_args(a, M_LIST, list, sizeof(list));
    outcome(op.status == GNTST_okay, ok);
    if (ok && op.nr_frames > a->o->nr_grant_frames) {
        MUST(adopt(a->o, true) == 1);
        a->o->grant_frame[1] = list[1];
        a->o->nr_grant_frames = 2;
    }
    for (u32 i = 0; ok && i < op.nr_frames; i++)
        MUST(list[i] == a->o->grant_frame[i] && owns(a->o, list[i]) && m.frame[list[i]].shared);
}

void op_grants(const struct actor *a) {
    u32 k = choose(18);

    if (k < 3)
        op_grant(a);
    else if (k < 8)
        op_map(a);
    else if (k < 10)
        op_unmap(a);
    else if (k < 12)
        op_copy(a);
    else if (k < 14)
        op_transfer(a);
    else if (k == 14)
        op_swap(a);
    else if (k == 15)
        op_replace(a);
    else if (k == 16)
        op_cache_flush(a);
    else
        op_setup(a);
}

/* --- machine against books --- */

/* Uses are what handles stand for. */
static void check_uses(const struct m_domain *granter, u32 ref) {
    const struct gnttab_active *act = &granter->d->gnttab.active[0][ref];
    u32 reads = 0, writes = 0;

    for (u32 i = 0; i < M_DOMS; i++)
        for (u32 k = 0; k < M_HANDLES; k++) {
            const struct m_handle *h = &m.dom[i].handle[k];

            if (h->live && h->dom == granter->id && h->life == granter->life && h->ref == ref)
                *(h->flags & GNTMAP_readonly ? &reads : &writes) += 1;
        }
    MUST(granter->active[ref].reads == reads && granter->active[ref].writes == writes);
    MUST(act->reads == reads && act->writes == writes);
    MUST(!(reads | writes) || act->frame == granter->active[ref].frame);
}

static bool allows(const struct m_handle *h, u64 f, bool writable) {
    return h->live && h->frame == f && h->flags & GNTMAP_host_map && writable == !(h->flags & GNTMAP_readonly);
}

/* There are never more entries for others' frames than handles that allow them. */
static void check_entries(const struct m_domain *o) {
    for (u64 f = 0; f < M_FRAMES; f++)
        for (u32 writable = 0; writable < 2; writable++) {
            u32 handles = 0;

            if (!m.foreign[o->id - 1][f][writable])
                continue;
            for (u32 k = 0; k < M_HANDLES; k++)
                handles += allows(&o->handle[k], f, writable);
            MUST(m.foreign[o->id - 1][f][writable] <= handles);
        }
}

void check_grants(const struct m_domain *o) {
    MUST(o->d->gnttab.nr_frames == o->nr_grant_frames);
    for (u32 ref = 0; ref < M_REFS; ref++)
        check_uses(o, ref);
    check_entries(o);
}
