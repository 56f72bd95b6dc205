// SPDX-License-Identifier: MIT
/* The model's comparison of the machine with its books, after each step. */
#include "hc_model.h"

static bool entry_may_be(u64 book, u64 is) {
    u64 desc = book;

    return (book & PTE_P && is == (book & ~(PTE_G | PTE_PAT | PTE_PCD | PTE_PWT))) ||
           (descriptor_after(&desc) && is == desc);
}

/* Validation drops bits of entries, corrects descriptors and clears an L4's reserved slots, also when it is refused
 * later; nothing else differs. */
static void check_memory(u64 f) {
    const u64 *is = mm_host_table(mfn(f));

    if (!memcmp(is, m.memory[f], PAGE_SIZE))
        return;
    for (u32 i = 0; i < 512; i++)
        MUST(is[i] == m.memory[f][i] ||
             (!m.frame[f].shared && (entry_may_be(m.memory[f][i], is[i]) || (is_reserved(i) && !is[i]))));
    memcpy(m.memory[f], is, PAGE_SIZE);
}

static void check_leaves(u64 f) {
    for (u32 i = 0; i < 512; i++)
        MUST(!(m.memory[f][i] & PTE_P) || !(m.memory[f][i] & (PTE_G | PTE_PAT | PTE_PCD | PTE_PWT)));
}

static void check_reserved_slots(u64 f) {
    for (u32 i = 0; i < 512; i++)
        MUST(!is_reserved(i) || !m.memory[f][i]);
}

static void check_type(u64 f) {
    const struct page *pg = &frame_table[f];

    MUST((pg->type & TYPE_USES) == m.uses[f]);
    MUST(!(pg->type & TYPE_ZOMBIE));
    MUST(!(pg->type & TYPE_PINNED) == !m.frame[f].pinned);
    MUST(!(pg->type & TYPE_PARTIAL) == !m.frame[f].begun);
    if (!m.uses[f])
        MUST(!(pg->type & TYPE_VALIDATED));
    else
        MUST(page_last_type(pg) == m.type[f] && !(pg->type & TYPE_VALIDATED) == !!(pg->type & TYPE_PARTIAL));
    if (m.frame[f].valid && m.type[f] == PT_L1)
        check_leaves(f);
    if (m.frame[f].valid && m.type[f] == PT_L4)
        check_reserved_slots(f);
}

static void check_frame(u64 f) {
    const struct page *pg = &frame_table[f];
    const struct m_frame *fr = &m.frame[f];

    MUST(pg->owner == (fr->owner ? fr->owner + 1 : 0));
    MUST(m2p_get(mfn(f)).n == fr->m2p);
    if (!fr->owner)
        return;
    MUST((pg->count & PAGE_REFS) == m.refs[f]);
    MUST(!(pg->count & PAGE_ALLOCATED) == !fr->given);
    MUST(!(pg->count & PAGE_SHARED) == !fr->shared);
    check_memory(f);
    check_type(f);
}

static u64 number_of(mfn_t x) {
    return mfn_eq(x, MFN_INVALID) ? ~0ul : x.n;
}

static void check_vcpu(const struct vcpu *v, const struct m_vcpu *mv) {
    MUST(number_of(v->base) == mv->base && number_of(v->user_base) == mv->user_base);
    for (u32 i = 0; i < GDT_GUEST_PAGES; i++)
        MUST(number_of(v->gdt_frames[i]) == mv->gdt[i]);
    for (u32 i = 0; i < LDT_PAGES; i++)
        MUST(number_of(v->ldt_frames[i]) == mv->ldt[i]);
    MUST(mm_host_walks_agree(v));
}

static void check_domain(const struct m_domain *o) {
    u64 own = 0, all = 0;

    for (u64 f = 0; f < M_FRAMES; f++)
        if (owns(o, f)) {
            own += !m.frame[f].shared;
            all++;
        }
    MUST(o->d->tot_pages == own && o->d->owned_pages == all && own <= M_PAGES);
    for (u32 i = 0; i < M_VCPUS; i++)
        check_vcpu(o->d->vcpu[i], &o->v[i]);
    if (!o->dead)
        check_grants(o);
    m.stats->most_pages = MAX(m.stats->most_pages, own);
}

/* --- CPU roots --- */

static void check_root(const u64 *root, const u64 *l4, u64 cleared_in_kernel_half) {
    for (u32 i = 0; i < 512; i++) {
        u64 e = l4[i] & (i >= 256 ? ~cleared_in_kernel_half : ~0ul);

        if (is_reserved(i))
            MUST(root[i] == 0);
        else
            MUST(e & PTE_P ? root[i] == e : !(root[i] & PTE_P));
    }
}

/* User mode sees on the kernel's root what it would see on its own. */
static void check_fused(const u64 *kernel, const u64 *user) {
    for (u32 i = 0; i < 256; i++)
        MUST(kernel[i] == user[i] || !((kernel[i] | user[i]) & PTE_P));
    for (u32 i = 272; i < 512; i++)
        for (u32 k = 0; user[i] & PTE_P && k < 512; k++)
            MUST(!(m.memory[pte_mfn(user[i]).n][k] & PTE_P));
}

static void check_cpu(u32 c) {
    struct vcpu *v = cpus[c]->current;
    const struct m_vcpu *mv;

    if (!v)
        return;
    if (host_take_requests(c) & CPU_REQ_RECOMPOSE)
        mm_compose(cpus[c], v);
    mv = &m.dom[v->domain->id - 1].v[v->id];
    check_root(cpus[c]->kernel_root->table, m.memory[mv->base], PTE_U);
    if (mv->user_base == ~0ul)
        return;
    if (v->fused)
        check_fused(m.memory[mv->base], m.memory[mv->user_base]);
    else
        check_root(cpus[c]->user_root.table, m.memory[mv->user_base], 0);
}

/* --- after each step --- */

static void note_begun(void) {
    for (u64 f = 0; f < M_FRAMES; f++) {
        struct m_frame *fr = &m.frame[f];
        const struct page *pg = &frame_table[f];
        bool begun = pg->owner && pg->type & TYPE_PARTIAL;

        MUST(!begun || fr->begun != PT_NONE || m.restarted);
        fr->begun = begun ? page_last_type(pg) : PT_NONE;
        fr->begun_end = begun ? pg->aux : 0;
    }
}

void check_all(void) {
    for (u32 i = 0; i < M_DOMS; i++)
        for (u32 k = 0; k < 2 && !m.dom[i].dead; k++)
            memcpy(m.memory[m.dom[i].args[k]], mm_host_table(mfn(m.dom[i].args[k])), PAGE_SIZE);
    note_begun();
    settle();
    for (u64 f = MM_OWN; f < M_FRAMES; f++)
        if (f != MM_HOLE)
            check_frame(f);
    for (u32 i = 0; i < M_DOMS; i++)
        check_domain(&m.dom[i]);
    for (u32 c = 0; c < M_CPUS; c++)
        check_cpu(c);
    model_tlb_check();
}
