// SPDX-License-Identifier: MIT
/* CPUs with tags: what they may hold under the tag of guests at worst, that is, every translation that the guest could
 * have made since they were last dropped. While a CPU is in its guest, none of it may do harm. */
#include "hc_model.h"

static struct held {
    bool frame[M_FRAMES][2]; /* readable, writable */
    bool must_drop;          /* the guest asked for it */
    u64 dropped;             /* the last step in which they were */
} held[M_CPUS];

static void hold_table(struct held *h, mfn_t table, int level, u64 rights) {
    const u64 *entries = mm_host_table(table);

    for (u32 i = 0; i < 512; i++) {
        u64 e = entries[i], all = rights & e, f = pte_mfn(e).n;

        if (!(e & PTE_P) || !mfn_readable(mfn(f)))
            continue;
        if (level > 1) {
            hold_table(h, mfn(f), level - 1, all);
            continue;
        }
        h->frame[f][0] = true;
        h->frame[f][1] |= !!(all & PTE_W);
    }
}

/* The guest uses all that it can. */
static void hold_all(const struct cpu *c) {
    const struct vcpu *v = c->current;

    hold_table(&held[c->id], v->base, 4, PTE_W);
    if (!mfn_eq(v->user_base, MFN_INVALID))
        hold_table(&held[c->id], v->user_base, 4, PTE_W);
}

void model_tlb_start(void) {
    memset(held, 0, sizeof(held));
    for (u32 c = 0; c < M_CPUS; c++)
        cpus[c]->guest_tag = GUEST_TAG;
}

/* Another vCPU is loaded. */
void model_tlb_switch(struct cpu *c) {
    tlb_drop(c);
}

void model_tlb_flush(const struct actor *a, bool all) {
    held[host_cpu].must_drop = true;
    for (u32 c = 0; all && c < M_CPUS; c++)
        MUST(c == host_cpu || !cpus[c]->current || cpus[c]->current->domain != a->d ||
             held[c].dropped == m.stats->steps);
}

void model_tlb_return(struct cpu *c) {
    struct held *h = &held[c->id];
    u64 root;

    if (!c->current)
        return;
    if (host_take_requests(c->id) & CPU_REQ_RECOMPOSE)
        mm_compose(c, c->current);
    root = (u64)c->kernel_root->table;
    if (tlb_guest_root(c, root) & CR3_KEEP) {
        MUST(!h->must_drop);
        m.stats->kept++;
    } else {
        *h = (struct held){.dropped = m.stats->steps};
    }
    hold_all(c);
}

static bool maps_by_grant(const struct m_domain *o, u64 f, bool write) {
    for (u32 i = 0; i < M_HANDLES; i++)
        if (o->handle[i].live && o->handle[i].frame == f && !(write && o->handle[i].flags & GNTMAP_readonly))
            return true;
    return false;
}

/* Free frames do no harm: before anybody gets one, stale translations are flushed. */
static void check_frame_held(const struct m_domain *o, u64 f, bool write) {
    const struct page *pg = &frame_table[f];
    enum page_type type = page_last_type(pg);

    if (!m.frame[f].owner)
        return;
    MUST(m.frame[f].owner == o->id || m.foreign[o->id - 1][f][write] || maps_by_grant(o, f, write));
    MUST(!write || !(pg->type & (TYPE_USES | TYPE_PARTIAL)) || type == PT_WRITABLE || type == PT_NONE);
}

void model_tlb_check(void) {
    for (u32 c = 0; c < M_CPUS; c++) {
        struct vcpu *v = cpus[c]->current;

        if (!v)
            continue;
        if (c == host_cpu)
            model_tlb_return(cpus[c]);
        hold_all(cpus[c]);
        for (u64 f = MM_OWN; f < M_FRAMES; f++)
            for (int write = 0; write < 2; write++)
                if (held[c].frame[f][write])
                    check_frame_held(&m.dom[v->domain->id - 1], f, write);
    }
}
