// SPDX-License-Identifier: MIT
/* Random operations on page tables against a slow and obvious model. */
#include "mm_model.h"

#define FRAMES MM_FRAMES
#define DOMS 2
#define VCPUS 2
#define HOLDS 4
#define LIMIT 40u
#define LINEAR_ID 2 /* this domain may have linear tables */

/* The slots that are ever written; all others stay zero. */
static const u32 slots[] = {0, 1, 2, 17, 255, 256, 271, 272, 300, 511};

struct hold {
    u64 frame; /* 0: none */
    bool writable;
};

static struct state {
    mm_choose choose;
    void *arg;
    struct mm_model_stats *stats;
    struct domain *d[DOMS];
    bool given[FRAMES];
    enum page_type pinned[FRAMES];
    struct hold hold[DOMS][HOLDS];
} st;

/* What the roots demand of each frame. */
static struct {
    u32 refs[FRAMES], uses[FRAMES];
    u32 links[FRAMES], linked[FRAMES]; /* linear entries of this table, and of others that map it */
    enum page_type type[FRAMES];
    bool whole[FRAMES]; /* all that the table's entries demand is in */
    bool legal;
} want;

static u32 choose(u32 n) {
    return st.choose(st.arg, n);
}
static bool owned(const struct domain *d, u64 f) {
    return f < FRAMES && frame_table[f].owner == d->id + 1u;
}
static bool is_table_type(enum page_type t) {
    return t >= PT_L1 && t <= PT_L4;
}

static void demand(struct domain *d, u64 f, enum page_type type);

static void demand_ref(struct domain *d, u64 f) {
    if (!owned(d, f))
        want.legal = false;
    else
        want.refs[f]++;
}

/* A use and a link of two tables, neither of which may be both ends of links; none of a table with itself. */
static void demand_link(struct domain *d, u64 f, enum page_type table, u64 e) {
    u64 target = pte_mfn(e).n;

    want.legal &= !(e & PTE_W);
    if (target == f)
        return;
    want.links[f]++;
    want.linked[target]++;
    want.legal &= !want.linked[f] && !want.links[target];
    demand(d, target, table);
}

/* What an upper entry means depends on what its target is when the entry is looked at, and keeps it so: in the machine,
 * or else by what was demanded so far, in the order in which tables are validated. */
static bool is_linear(struct domain *d, u64 f, enum page_type table, u64 e) {
    u64 target = pte_mfn(e).n;

    if (!d->linear_tables || !owned(d, target))
        return false;
    if (frame_table[target].type & TYPE_VALIDATED)
        return page_last_type(&frame_table[target]) == table;
    return target == f || (want.whole[target] && want.type[target] == table);
}

static void demand_leaf(struct domain *d, u64 e) {
    if (e & (PTE_PCD | PTE_PWT | PTE_PAT))
        want.legal = false;
    else if (e & PTE_W)
        demand(d, pte_mfn(e).n, PT_WRITABLE);
    else
        demand_ref(d, pte_mfn(e).n);
}

static void demand_entry(struct domain *d, u64 f, enum page_type table, u64 e) {
    if (!(e & PTE_P))
        return;
    if (table == PT_L1)
        demand_leaf(d, e);
    else if (e & (PTE_PSE | PTE_G | PTE_PCD | PTE_PWT))
        want.legal = false;
    else if (is_linear(d, f, table, e))
        demand_link(d, f, table, e);
    else
        demand(d, pte_mfn(e).n, table - 1);
}

static void demand_entries(struct domain *d, u64 f, enum page_type type, u32 end) {
    const u64 *table = mm_host_table(mfn(f));

    for (u32 i = 0; i < ARRAY_SIZE(slots); i++)
        if (slots[i] < end && !(type == PT_L4 && slots[i] >= 256 && slots[i] < 272))
            demand_entry(d, f, type, table[slots[i]]);
}

static void demand(struct domain *d, u64 f, enum page_type type) {
    demand_ref(d, f);
    if (!want.legal)
        return;
    if (want.uses[f]++) {
        want.legal &= want.type[f] == type;
        return;
    }
    want.type[f] = type;
    if (is_table_type(type))
        demand_entries(d, f, type, 512);
    want.whole[f] = true;
}

static void demand_vcpu(struct domain *d, const struct vcpu *v) {
    if (!mfn_eq(v->base, MFN_INVALID))
        demand(d, v->base.n, PT_L4);
    if (!mfn_eq(v->user_base, MFN_INVALID))
        demand(d, v->user_base.n, PT_L4);
    for (u32 i = 0; i < GDT_GUEST_PAGES; i++)
        if (!mfn_eq(v->gdt_frames[i], MFN_INVALID))
            demand(d, v->gdt_frames[i].n, PT_SEGDESC);
}

/* A validation that was begun holds its table, and what the entries it has seen refer to. */
static void demand_partial(struct domain *d, u64 f) {
    enum page_type type = page_last_type(&frame_table[f]);

    want.refs[f]++;
    if (want.uses[f]++)
        want.legal &= want.type[f] == type;
    else
        demand_entries(d, f, type, frame_table[f].aux);
    want.type[f] = type;
}

static void demand_all(struct domain *d) {
    u32 id = d->id - 1;

    for (u64 f = 0; f < FRAMES; f++) {
        if (owned(d, f) && st.given[f])
            want.refs[f]++;
        if (owned(d, f) && st.pinned[f])
            demand(d, f, st.pinned[f]);
    }
    for (u32 i = 0; i < VCPUS; i++)
        demand_vcpu(d, d->vcpu[i]);
    for (u32 i = 0; i < HOLDS; i++)
        if (st.hold[id][i].frame && st.hold[id][i].writable)
            demand(d, st.hold[id][i].frame, PT_WRITABLE);
        else if (st.hold[id][i].frame)
            demand_ref(d, st.hold[id][i].frame);
}

static void demand_partials(struct domain *d) {
    for (u64 f = 0; f < FRAMES; f++)
        if (owned(d, f) && frame_table[f].type & TYPE_PARTIAL)
            demand_partial(d, f);
}

static void start_demand(void) {
    memset(&want, 0, sizeof(want));
    want.legal = true;
}

/* Would one more demand agree with all there is? */
static bool would_do(struct domain *d, u64 f, enum page_type type) {
    start_demand();
    demand_all(d);
    demand(d, f, type);
    demand_partials(d);
    return want.legal;
}

static bool entry_would_do(struct domain *d, u64 f, enum page_type table, u64 e) {
    start_demand();
    demand_all(d);
    demand_entry(d, f, table, e);
    demand_partials(d);
    return want.legal;
}

/* --- machine against model --- */

#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            panic("step %lu, line %d: %s\n", st.stats->steps, __LINE__, #cond);                                        \
    } while (0)

static void check_summary(u64 f, const struct page *pg) {
    const u64 *table = mm_host_table(mfn(f));
    u32 n = 0, groups = 0;

    for (u32 i = 0; i < ARRAY_SIZE(slots); i++)
        if (table[slots[i]] & PTE_P) {
            n++;
            if (slots[i] / 16 != 16)
                groups |= 1u << slots[i] / 16;
        }
    MUST(want.type[f] != PT_L3 || pg->aux == n);
    MUST(want.type[f] != PT_L4 || pg->aux == groups);
}

static void check_frame(u64 f) {
    const struct page *pg = &frame_table[f];
    u32 uses = (u32)(pg->type & TYPE_USES);

    MUST((pg->count & PAGE_REFS) == want.refs[f]);
    MUST(want.refs[f] > 0);
    MUST(uses == want.uses[f]);
    MUST((pg->type & TYPE_LINKS) / TYPE_LINKS_ONE == want.links[f]);
    MUST((pg->type & TYPE_LINKED) / TYPE_LINKED_ONE == want.linked[f]);
    MUST(!(pg->type & TYPE_ZOMBIE));
    MUST(!(pg->count & PAGE_ALLOCATED) == !st.given[f]);
    MUST(!(pg->type & TYPE_PINNED) == !st.pinned[f]);
    if (!uses) {
        MUST(!(pg->type & (TYPE_VALIDATED | TYPE_PARTIAL)));
        return;
    }
    MUST(page_last_type(pg) == want.type[f]);
    MUST(!(pg->type & TYPE_VALIDATED) == !!(pg->type & TYPE_PARTIAL));
    if (pg->type & TYPE_VALIDATED)
        check_summary(f, pg);
}

static void check_domain(struct domain *d) {
    u64 n = 0;

    MUST(mm_drain(d));
    start_demand();
    demand_all(d);
    demand_partials(d);
    MUST(want.legal);
    for (u64 f = 0; f < FRAMES; f++)
        if (owned(d, f)) {
            check_frame(f);
            n++;
        }
    MUST(d->tot_pages == n && d->owned_pages == n && n <= d->max_pages);
    for (u32 i = 0; i < d->nr_vcpus; i++)
        MUST(mm_host_walks_agree(d->vcpu[i]));
    st.stats->most_pages = MAX(st.stats->most_pages, n);
}

/* --- choices --- */

static u64 a_frame(struct domain *d) {
    u32 k = choose(20), steps;
    u64 f = d->page_list;

    if (k == 0)
        return choose(2) ? MM_HOLE : choose(MM_OWN);
    if (k == 1)
        d = st.d[d == st.d[0]];
    f = d->page_list;
    for (steps = choose(LIMIT); steps && f != FRAME_NONE; steps--)
        f = frame_table[f].next == FRAME_NONE ? d->page_list : frame_table[f].next;
    return f == FRAME_NONE ? MM_HOLE : f;
}

static u64 an_entry(struct domain *d) {
    static const u64 flags[] = {
        PTE_P, PTE_P | PTE_W, PTE_P | PTE_W | PTE_U, PTE_P | PTE_U | PTE_A, PTE_P | PTE_NX,
        0,     PTE_W,         PTE_P | PTE_W | PTE_G, PTE_P | PTE_PSE,       PTE_P | PTE_PCD | PTE_PWT};
    u32 k = choose(16);

    return mm_pte(mfn(a_frame(d)), flags[k < ARRAY_SIZE(flags) ? k : k % 3]);
}

/* Did the outcome come as foretold? An operation that was given up half way changed nothing but partial states. */
static bool as_foretold(int rc, bool foretold) {
    if (rc == -ERESTART) {
        st.stats->abandoned++;
        return false;
    }
    MUST(!rc == foretold);
    *(rc ? &st.stats->refused : &st.stats->done) += 1;
    return !rc;
}

/* Runs an operation, preempted here and there, now and then not to its end. */
#define ATTEMPT(expr)                                                                                                  \
    ({                                                                                                                 \
        int attempt_rc_;                                                                                               \
        bool give_up_ = choose(3) == 0;                                                                                \
        mm_preempt_after = choose(2) ? -1 : (long)choose(6);                                                           \
        long again_ = mm_preempt_after;                                                                                \
        while (attempt_rc_ = (expr), attempt_rc_ == -ERESTART && !give_up_) {                                          \
            mm_preempt_after = again_;                                                                                 \
            st.stats->restarted++;                                                                                     \
        }                                                                                                              \
        mm_preempt_after = -1;                                                                                         \
        attempt_rc_;                                                                                                   \
    })

/* --- operations --- */

static void op_alloc(struct domain *d) {
    struct page *pg = domain_alloc_pages(d, 0);

    if (!pg) {
        MUST(d->tot_pages == d->max_pages);
        return;
    }
    MUST(page_to_mfn(pg).n < FRAMES);
    st.given[page_to_mfn(pg).n] = true;
    st.pinned[page_to_mfn(pg).n] = PT_NONE;
}

static void op_release(struct domain *d) {
    u64 f = a_frame(d);
    struct page *pg = &frame_table[f];

    if (f >= FRAMES || !page_get(pg, d))
        return;
    MUST(domain_release_page(d, pg) == st.given[f]);
    st.given[f] = false;
    page_put(pg);
}

static bool update_foretold(struct domain *d, u64 f, u32 slot, u64 value) {
    struct page *pg = &frame_table[f];
    enum page_type type = page_last_type(pg);
    u64 old, relevant = PTE_P | PTE_ADDR | (type == PT_L1 || d->linear_tables ? PTE_W : 0);

    if (!owned(d, f))
        return false;
    if (!(pg->type & TYPE_USES) || type == PT_WRITABLE)
        return true;
    if (!(pg->type & TYPE_VALIDATED) || type == PT_SEGDESC || (type == PT_L4 && slot / 16 == 16))
        return false;
    old = mm_host_table(mfn(f))[slot];
    if (old & value & PTE_P && !((old ^ value) & relevant))
        return !(value & (PTE_PSE | PTE_PCD | PTE_PWT | (type == PT_L1 ? 0 : PTE_G)));
    return entry_would_do(d, f, type, value);
}

static void op_update(struct domain *d) {
    u64 f = a_frame(d), value = an_entry(d), before;
    u32 slot = slots[choose(ARRAY_SIZE(slots))];
    struct mm_update u = {.entry = maddr((f << PAGE_SHIFT) + slot * 8), .value = value, .preserve_ad = choose(2)};
    bool foretold = update_foretold(d, f, slot, value);

    before = f < FRAMES ? mm_host_table(mfn(f))[slot] : 0;
    if (as_foretold(ATTEMPT(mm_update_entry(d, d, &u)), foretold))
        MUST(!((mm_host_table(mfn(f))[slot] ^ value) & (PTE_ADDR | PTE_P | PTE_W | PTE_U | PTE_NX)));
    else
        MUST(f >= FRAMES || mm_host_table(mfn(f))[slot] == before);
}

static void op_pin(struct domain *d) {
    enum page_type type = PT_L1 + choose(4);
    u64 f = a_frame(d);
    bool foretold = owned(d, f) && !st.pinned[f] && would_do(d, f, type);

    if (as_foretold(ATTEMPT(mm_pin(d, mfn(f), type)), foretold))
        st.pinned[f] = type;
}

/* A tree of frames that are nothing yet, to be validated as a whole. Frames may be met twice: then it is refused. */
static u64 plant(struct domain *d, enum page_type type) {
    u64 f = a_frame(d);

    for (u32 i = 0; i < 8 && (!owned(d, f) || frame_table[f].type & (TYPE_USES | TYPE_ZOMBIE)); i++)
        f = a_frame(d);
    if (!owned(d, f) || frame_table[f].type & (TYPE_USES | TYPE_ZOMBIE))
        return f;
    clear_page(mm_host_table(mfn(f)));
    for (u32 n = type == PT_L1 ? choose(2) : 1 + choose(2); n; n--) {
        u64 child = type == PT_L1 ? a_frame(d) : plant(d, type - 1);

        mm_host_set(d, mfn(f), slots[choose(ARRAY_SIZE(slots))], mm_pte(mfn(child), choose(2) ? MM_RWP : PTE_P));
    }
    return f;
}

static void op_tree(struct domain *d) {
    enum page_type type = PT_L2 + choose(3);
    u64 f = plant(d, type);
    bool foretold = owned(d, f) && !st.pinned[f] && would_do(d, f, type);

    if (as_foretold(ATTEMPT(mm_pin(d, mfn(f), type)), foretold))
        st.pinned[f] = type;
}

static void op_unpin(struct domain *d) {
    u64 f = a_frame(d);
    bool foretold = owned(d, f) && st.pinned[f];

    if (as_foretold(ATTEMPT(mm_unpin(d, mfn(f))), foretold))
        st.pinned[f] = PT_NONE;
}

static void op_base(struct domain *d) {
    struct vcpu *v = d->vcpu[choose(VCPUS)];
    bool user = choose(2), none = user && choose(4) == 0;
    mfn_t m = none ? MFN_INVALID : mfn(a_frame(d));
    bool foretold = none || would_do(d, m.n, PT_L4);

    as_foretold(ATTEMPT(user ? mm_set_user_base(v, m) : mm_set_base(v, m)), foretold);
}

static void op_gdt(struct domain *d) {
    u64 f = a_frame(d);
    u32 n = choose(3) ? 100 : 0;
    bool foretold = !n || would_do(d, f, PT_SEGDESC);

    as_foretold(ATTEMPT(mm_set_gdt(d->vcpu[choose(VCPUS)], &f, n)), foretold);
}

/* What other domains do through grants. */
static void op_hold(struct domain *d) {
    struct hold *h = &st.hold[d->id - 1][choose(HOLDS)];
    struct page *pg = &frame_table[h->frame];
    bool foretold;

    if (h->frame) {
        st.stats->done++;
        h->writable ? page_put_with_type(pg) : page_put(pg);
        h->frame = 0;
        return;
    }
    struct hold new = {.frame = a_frame(d), .writable = choose(2)};
    if (new.frame >= FRAMES)
        return;
    pg = &frame_table[new.frame];
    foretold = new.writable ? would_do(d, new.frame, PT_WRITABLE) : owned(d, new.frame);
    if (as_foretold(new.writable ? page_get_with_type(pg, d, PT_WRITABLE) : page_get(pg, d) ? 0 : -EINVAL, foretold))
        *h = new;
}

/* Half an exchange, undone or not. */
static void op_detach(struct domain *d) {
    u64 f = a_frame(d);
    struct page *pg = &frame_table[f];
    bool lone;

    if (f >= FRAMES || !page_get(pg, d))
        return;
    start_demand();
    demand_all(d);
    demand_partials(d);
    lone = st.given[f] && want.refs[f] == 1;
    MUST(domain_detach_page(d, pg) == lone);
    if (lone && choose(2))
        domain_attach_page(d, pg);
    else if (lone)
        st.given[f] = false;
    page_put(pg);
}

static void forget(u32 id) {
    for (u64 f = 0; f < FRAMES; f++)
        if (frame_table[f].owner == id + 1) {
            st.given[f] = false;
            st.pinned[f] = PT_NONE;
        }
    for (u32 i = 0; i < HOLDS; i++) {
        struct hold *h = &st.hold[id - 1][i];

        if (h->frame)
            h->writable ? page_put_with_type(&frame_table[h->frame]) : page_put(&frame_table[h->frame]);
        h->frame = 0;
    }
}

static void add_domain(domid_t id) {
    st.d[id - 1] = mm_host_domain(id, VCPUS, LIMIT);
    st.d[id - 1]->linear_tables = id == LINEAR_ID;
}

static void op_die(struct domain *d) {
    domid_t id = d->id;

    if (choose(40))
        return;
    forget(id);
    MUST(mm_host_destroy(d, (long)choose(4) - 1));
    for (u64 f = 0; f < FRAMES; f++)
        MUST(frame_table[f].owner != id + 1u);
    add_domain(id);
    st.stats->deaths++;
}

static void step(void) {
    static void (*const ops[])(struct domain * d) = {
        op_alloc,  op_alloc,  op_release, op_update, op_update, op_update, op_update, op_update,
        op_update, op_update, op_pin,     op_tree,   op_tree,   op_unpin,  op_unpin,  op_unpin,
        op_base,   op_base,   op_gdt,     op_hold,   op_detach, op_die,
    };
    struct domain *d = st.d[choose(DOMS)];

    st.stats->steps++;
    ops[choose(ARRAY_SIZE(ops))](d);
}

void mm_model_run(mm_choose pick, bool (*more)(void *arg), void *arg, struct mm_model_stats *stats) {
    u64 free_before;

    mm_host_init(2);
    free_before = heap_free_count();
    memset(&st, 0, sizeof(st));
    memset(stats, 0, sizeof(*stats));
    st.choose = pick;
    st.arg = arg;
    st.stats = stats;
    for (u32 i = 0; i < DOMS; i++)
        add_domain((domid_t)(i + 1));
    while (more(arg)) {
        step();
        for (u32 i = 0; i < DOMS; i++)
            check_domain(st.d[i]);
    }
    for (u32 i = 0; i < DOMS; i++) {
        forget(i + 1);
        MUST(mm_host_destroy(st.d[i], 1));
    }
    MUST(heap_free_count() == free_before);
}
