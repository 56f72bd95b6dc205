// SPDX-License-Identifier: MIT
/* A small machine for the tests of mm. */
#include "mm_host.h"

extern void *aligned_alloc(size_t alignment, size_t size);
extern void *calloc(size_t n, size_t size);
extern void free(void *p);

struct page *frame_table;
u64 frame_table_max;
long mm_preempt_after = -1;
u64 mm_flushed;
void (*mm_on_flush)(void);
void (*mm_on_return)(struct cpu *c);

static u8 *ram;
static u64 m2p[MM_FRAMES];
static struct domain *known[8];

bool mfn_valid(mfn_t m) {
    return m.n < frame_table_max && m.n != MM_HOLE;
}

void *maddr_to_virt(maddr_t ma) {
    if (ma.a >= MM_FRAMES * PAGE_SIZE)
        panic("address %lx is outside the RAM", ma.a);
    return ram + ma.a;
}

maddr_t virt_to_maddr(const void *p) {
    return maddr((u64)((const u8 *)p - ram));
}

/* Only who holds the frame beside its owner knows whose entry it is. */
void m2p_set(mfn_t m, pfn_t p) {
    if (p.n != M2P_INVALID && mm_refs(m) < 2)
        panic("the M2P entry of a frame that is not held");
    if (mfn_valid(m))
        m2p[m.n] = p.n;
}

pfn_t m2p_get(mfn_t m) {
    return pfn(mfn_valid(m) ? m2p[m.n] : M2P_INVALID);
}

bool preempt_pending(void) {
    if (mm_preempt_after < 0)
        return false;
    if (!mm_preempt_after)
        return true;
    mm_preempt_after--;
    return false;
}

void cpu_flush_guests(u64 mask) {
    if (mm_on_flush)
        mm_on_flush();
    for (u32 i = 0; i < nr_cpus; i++)
        if (mask >> i & 1 && i != host_cpu && cpus[i]->in_guest) {
            __atomic_fetch_or(&mm_flushed, BIT(i), __ATOMIC_SEQ_CST);
            cpus[i]->tlb_clock = tlb_clock_now();
            cpus[i]->entries++;
            if (mm_on_return)
                mm_on_return(cpus[i]);
        }
}

struct domain *domain_by_id(domid_t id) {
    return id < ARRAY_SIZE(known) ? known[id] : NULL;
}

void mm_host_init(u32 n) {
    if (!ram) {
        ram = aligned_alloc(PAGE_SIZE, MM_FRAMES * PAGE_SIZE);
        memset(ram, 0xa5, MM_FRAMES * PAGE_SIZE);
        memset(ram + MM_HOLE * PAGE_SIZE, 0, PAGE_SIZE);
        frame_table = calloc(MM_FRAMES, sizeof(struct page));
        frame_table_max = MM_FRAMES;
        heap_add_range(mfn(MM_OWN), mfn(MM_HOLE));
        heap_add_range(mfn(MM_HOLE + 1), mfn(MM_FRAMES));
    }
    host_set_cpus(n);
    host_cpu = 0;
    mm_preempt_after = -1;
    mm_flushed = 0;
}

struct domain *mm_host_domain(domid_t id, u32 vcpus, u64 max_pages) {
    struct domain *d = host_domain(id, vcpus);

    d->max_pages = max_pages;
    d->page_list = d->taken_list = d->zombies = FRAME_NONE;
    spin_init(&d->page_lock, LOCK_PAGES);
    mm_new_epoch(d);
    mm_new_high_epoch(d);
    mm_new_walk_epoch(d);
    known[id] = d;
    for (u32 i = 0; i < vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        v->base = v->user_base = MFN_INVALID;
        for (u32 k = 0; k < GDT_GUEST_PAGES; k++)
            v->gdt_frames[k] = MFN_INVALID;
        for (u32 k = 0; k < LDT_PAGES; k++)
            v->ldt_frames[k] = MFN_INVALID;
    }
    return d;
}

void mm_host_forget(struct domain *d) {
    known[d->id] = NULL;
    host_domain_free(d);
}

bool mm_host_destroy(struct domain *d, long n) {
    bool done = false;

    d->dying = true;
    for (u32 i = 0; i < nr_cpus; i++)
        if (cpus[i]->current && cpus[i]->current->domain == d)
            cpus[i]->current = NULL;
    for (u32 i = 0; i < d->nr_vcpus; i++) {
        mm_drop_bases(d->vcpu[i]);
        mm_set_gdt(d->vcpu[i], NULL, 0);
        mm_set_ldt(d->vcpu[i], gva(0), 0);
    }
    for (u32 tries = 0; tries < 100000 && !done; tries++) {
        mm_preempt_after = n;
        done = mm_destroy(d);
    }
    mm_preempt_after = -1;
    if (done)
        mm_host_forget(d);
    return done;
}

mfn_t mm_host_frame(struct domain *d) {
    struct page *pg = domain_alloc_pages(d, 0);

    if (!pg)
        panic("no frame for domain %u", d->id);
    return page_to_mfn(pg);
}

u64 *mm_host_table(mfn_t m) {
    return mfn_to_virt(m);
}

struct mm_space mm_host_space(struct domain *d) {
    struct mm_space s = {.v = d->vcpu[0]};

    for (int level = 1; level <= 4; level++)
        s.l[level] = mm_host_frame(d);
    for (int level = 2; level <= 4; level++)
        mm_host_table(s.l[level])[pt_slot(MM_MAP_BASE, level)] = mm_pte(s.l[level - 1], MM_RWP);
    if (mm_set_base(s.v, s.l[4]))
        panic("the address space was refused");
    cpus[0]->current = s.v;
    s.v->cpu = cpus[0];
    return s;
}

int mm_host_set(struct domain *d, mfn_t table, u32 slot, u64 value) {
    struct mm_update u = {.entry = maddr(mfn_to_maddr(table).a + slot * 8), .value = value};

    return mm_update_entry(d, d, &u);
}

void mm_host_roots(struct cpu *c) {
    static u64 tables[MM_CPUS][ROOT_SETS * ROOT_WAYS + 1][512] __aligned(4096);

    if (c->id >= MM_CPUS)
        panic("CPU %u has no roots here", c->id);
    memset(tables[c->id], 0, sizeof(tables[c->id]));
    for (u32 i = 0; i < ROOT_SETS * ROOT_WAYS; i++)
        c->root[i / ROOT_WAYS][i % ROOT_WAYS] = (struct guest_root){.table = tables[c->id][i], .base = MFN_INVALID};
    c->user_root = (struct guest_root){.table = tables[c->id][ROOT_SETS * ROOT_WAYS]};
    c->kernel_root = &c->root[0][0];
}

static bool walk_agrees(const struct vcpu *v, u64 va) {
    maddr_t fresh, remembered;
    u64 pte = mm_walk(v->base, gva(va), &fresh);

    return mm_walk_vcpu(v, gva(va), &remembered) == pte && fresh.a == remembered.a;
}

/* The first leaf under each entry of each L2 table. Where the tables end earlier there is nothing to remember. */
static bool walks_agree_under(const struct vcpu *v, mfn_t table, int level, u64 va) {
    const u64 *entries = mm_host_table(table);

    for (u32 i = 0; i < 512; i++) {
        u64 at = va | (u64)i << (3 + 9 * level), canonical = (u64)((s64)(at << 16) >> 16);

        if (!(entries[i] & PTE_P) || !mfn_readable(pte_mfn(entries[i])))
            continue;
        if (level == 2 ? !walk_agrees(v, canonical) : !walks_agree_under(v, pte_mfn(entries[i]), level - 1, at))
            return false;
    }
    return true;
}

bool mm_host_walks_agree(const struct vcpu *v) {
    return mfn_eq(v->base, MFN_INVALID) || walks_agree_under(v, v->base, 4, 0);
}
