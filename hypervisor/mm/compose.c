// SPDX-License-Identifier: MIT
// CPU roots: what CR3 points to while a guest runs. A root is composed from the guest's own L4 tables: its low half as
// it is, its kernel half without the U bit, so that user code cannot reach it; slots 256 and 257 are constant. The
// guest's L4 itself is never loaded.
//
// One root serves both rings of a vCPU (it is *fused*) when what its user base says is the same as what user code sees
// on the kernel's root. Else a second root is composed for user mode, from the user base as it is written.
//
// Each CPU keeps the roots it composed last, for fused vCPUs. One may be used again for the same bases while the
// domain's l4_epoch is what it was: no entry of any of its L4s changed since, none of them stopped being one, and no L3
// became empty or ceased to be. Epochs are the host's and never come again, so a root left by another domain matches
// nobody. Likewise the kernel half of a root is left as it is while its base and the domain's l4_high_epoch, of which
// only the kernel halves of L4s count, are what they were.
#include "internal.h"

#include <pv/cpu.h>

#define LOW_GROUPS 0xffffu
#define HIGH_GROUPS 0xfffe0000u
#define ALL_GROUPS (LOW_GROUPS | HIGH_GROUPS)

struct source {
    const u64 *table;
    u32 groups; /* those with present entries */
};

static struct source source_of(mfn_t m) {
    return (struct source){mfn_to_virt(m), READ_ONCE(mfn_to_page(m)->aux)};
}

static void copy_group(u64 *root, const u64 *table, u32 group, u64 clear) {
    root += group * 16;
    table += group * 16;
#pragma GCC unroll 16
    for (u32 i = 0; i < 16; i++)
        WRITE_ONCE(root[i], READ_ONCE(table[i]) & ~clear);
}

/* The lowest group of the set, which is taken out. */
static u32 next_group(u64 *set) {
    u32 g = (u32)__builtin_ctzl(*set);

    *set &= *set - 1;
    return g;
}

/* Those of the groups that the guest may have. */
static void fill_root(struct guest_root *r, const struct source *s, u32 groups, u64 clear_in_kernel_half) {
    u64 *root = r->table;
    u64 work = (s->groups | r->groups) & groups;

    while (work) {
        u32 g = next_group(&work);

        if (s->groups >> g & 1)
            copy_group(root, s->table, g, g > RESERVED_GROUP ? clear_in_kernel_half : 0);
        else
            memset(root + g * 16, 0, 16 * sizeof(u64));
    }
    r->groups = (r->groups & ~groups) | (s->groups & groups);
}

static bool low_halves_equal(const struct source *k, const struct source *u) {
    u64 work = k->groups & LOW_GROUPS, differ = 0;

    if ((k->groups ^ u->groups) & LOW_GROUPS)
        return false;
    while (work) {
        u32 first = next_group(&work) * 16;

        for (u32 i = first; i < first + 16; i++)
            differ |= (k->table[i] ^ u->table[i]) & ~PTE_A;
    }
    return !differ;
}

/* Every present slot of the kernel half leads to an L3 table with no present entry (its count of them is in aux). */
static bool kernel_half_empty(const struct source *u) {
    u64 work = u->groups & HIGH_GROUPS;

    while (work) {
        u32 first = next_group(&work) * 16;

        for (u32 i = first; i < first + 16; i++) {
            u64 entry = READ_ONCE(u->table[i]); /* another vCPU may change it, to anything that is not present */

            if (entry & PTE_P && READ_ONCE(mfn_to_page(pte_mfn(entry))->aux))
                return false;
        }
    }
    return true;
}

static bool is_fused(const struct vcpu *v, const struct source *k, const struct source *u) {
    if (mfn_eq(v->user_base, MFN_INVALID))
        return true;
    return (mfn_eq(v->base, v->user_base) || low_halves_equal(k, u)) && kernel_half_empty(u);
}

/* The kernel half is most of an L4, and seldom changes. */
static void fill_kernel_root(struct guest_root *r, const struct vcpu *v, const struct source *s, u64 high_epoch) {
    bool keeps_high = r->high_epoch == high_epoch && mfn_eq(r->base, v->base);

    fill_root(r, s, keeps_high ? LOW_GROUPS : ALL_GROUPS, PTE_U);
    r->high_epoch = high_epoch;
}

static bool compose(struct cpu *c, const struct vcpu *v, struct guest_root *r, u64 high_epoch) {
    struct source kernel = source_of(v->base), user = kernel;
    bool fused;

    if (!mfn_eq(v->user_base, MFN_INVALID))
        user = source_of(v->user_base);
    fill_kernel_root(r, v, &kernel, high_epoch);
    fused = is_fused(v, &kernel, &user);
    if (!fused)
        fill_root(&c->user_root, &user, ALL_GROUPS, 0);
    return fused;
}

/* The root that has this kernel base, or one to compose it in. (Linux has its L4s in pairs of frames.) */
static struct guest_root *choose_root(struct cpu *c, mfn_t base) {
    struct guest_root *way = c->root[base.n / 2 % ROOT_SETS];

    if (mfn_eq(way[0].base, base))
        return &way[0];
    if (mfn_eq(way[1].base, base))
        return &way[1];
    return &way[c->kernel_root == &way[0]];
}

/* The epochs are read before anything else: what changes later has another, and posts a request that is seen before the
 * guest goes on. */
void mm_compose(struct cpu *c, struct vcpu *v) {
    u64 epoch = __atomic_load_n(&v->domain->l4_epoch, __ATOMIC_SEQ_CST);
    u64 high_epoch = __atomic_load_n(&v->domain->l4_high_epoch, __ATOMIC_SEQ_CST);
    struct guest_root *r = choose_root(c, v->base);
    bool fused = r->epoch == epoch && mfn_eq(r->base, v->base) && mfn_eq(r->user_base, v->user_base);

    if (!fused) {
        tlb_drop(c);
        fused = compose(c, v, r, high_epoch);
        r->base = v->base;
        r->user_base = v->user_base;
        r->epoch = fused ? epoch : 0;
    }
    c->kernel_root = r;
    if (v->fused != fused)
        WRITE_ONCE(v->gate_stale, true);
    v->fused = fused;
}
