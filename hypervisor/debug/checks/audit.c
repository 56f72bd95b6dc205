// SPDX-License-Identifier: MIT
/*
 * The audit: every reference to a frame of a guest and every use of its type is counted anew, from what holds them
 * (entries of tables, pins, base pointers, descriptor tables, vcpu_info pages, rings, grants), and compared with what
 * the frame says. So is what mm keeps about tables and lists, and what CPUs remember of walks. All other CPUs wait at
 * the top of their run loops meanwhile, where no operation is half done but those with a named place to go on from.
 */
#include "checks.h"

#include <pv/boot.h>
#include <pv/domain.h>
#include <pv/mm.h>
#include <pv/pte.h>

#define DEFAULT_SECONDS 5

struct tally {
    u32 refs, uses;
    u16 links, linked; /* linear tables: TYPE_LINKS, TYPE_LINKED */
};

static struct tally *tallies; /* by frame */
static u32 owned[MAX_DOMAINS];
static u32 auditor; /* CPU number + 1, 0: nobody */
static u32 nr_parked;
static struct timer timer;
static u64 period;

/* --- the world stands still --- */

void audit_park(void) {
    u32 rounds = 0;

    if (likely(!READ_ONCE(auditor)) || READ_ONCE(auditor) == this_cpu()->id + 1)
        return;
    __atomic_add_fetch(&nr_parked, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&auditor, __ATOMIC_SEQ_CST)) {
        cpu_goes_on();
        cpu_wait(&rounds, NULL);
    }
    __atomic_sub_fetch(&nr_parked, 1, __ATOMIC_SEQ_CST);
}

static u32 nr_online(void) {
    u32 n = 0;

    for (u32 i = 0; i < nr_cpus; i++)
        n += READ_ONCE(cpus[i]->online);
    return n;
}

/* False: another CPU is at it. */
static bool stop_world(void) {
    u32 nobody = 0, rounds = 0;

    if (!__atomic_compare_exchange_n(&auditor, &nobody, this_cpu()->id + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return false;
    for (u32 i = 0; i < nr_cpus; i++)
        if (cpus[i] != this_cpu())
            cpu_request(cpus[i], CPU_REQ_WORK);
    while (__atomic_load_n(&nr_parked, __ATOMIC_SEQ_CST) != nr_online() - 1) {
        cpu_goes_on(); /* if it takes long, it is another one that is stuck */
        cpu_wait(&rounds, NULL);
    }
    return true;
}

/* All are gone before the next one can begin. */
static void resume_world(void) {
    u32 rounds = 0;

    __atomic_store_n(&auditor, 0, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&nr_parked, __ATOMIC_SEQ_CST))
        cpu_wait(&rounds, NULL);
}

/* --- counting --- */

static void count(mfn_t m, bool use, const void *arg) {
    (void)arg;
    if (!mfn_valid(m))
        panic("audit: a guest refers to frame %lx, which is no RAM", m.n);
    tallies[m.n].refs++;
    tallies[m.n].uses += use;
}

static void count_if(mfn_t m, mfn_t none) {
    if (!mfn_eq(m, MFN_INVALID) && !mfn_eq(m, none))
        count(m, true, NULL);
}

/* A table that maps itself, by a linear entry, holds nothing by it. */
static void count_entry(const struct page *pg, enum page_type type, u64 entry) {
    struct tally *own = &tallies[page_to_mfn(pg).n];
    mfn_t m = pte_mfn(entry);

    if (type != PT_L1 && mfn_eq(m, page_to_mfn(pg)))
        return;
    if (type == PT_L1 && mm_may_map_device && mm_may_map_device(domain_by_id((domid_t)(pg->owner - 1)), m))
        return;
    count(m, type != PT_L1 || entry & PTE_W, NULL);
    if (type != PT_L1 && page_last_type(mfn_to_page(m)) == type) {
        own->links++;
        tallies[m.n].linked++;
    }
}

static void count_entries(const struct page *pg, u32 end) {
    const u64 *table = page_to_virt(pg);
    enum page_type type = page_last_type(pg);

    for (u32 i = 0; i < end; i++)
        if (table[i] & PTE_P)
            count_entry(pg, type, table[i]);
}

/* What a table keeps of its entries for others to look at. */
static void check_summary(const struct page *pg) {
    const u64 *table = page_to_virt(pg);
    enum page_type type = page_last_type(pg);
    u32 groups = 0, present = 0;

    for (u32 i = 0; i < 512; i++)
        if (table[i] & PTE_P) {
            groups |= 1u << i / 16;
            present++;
        }
    if ((type == PT_L4 && groups != pg->aux) || (type == PT_L3 && present != pg->aux))
        panic("audit: table %lx (L%u) has %u present entries, in groups %x, and says %x", page_to_mfn(pg).n,
              type - PT_L1 + 1u, present, groups, pg->aux);
}

static void count_frame(const struct page *pg) {
    enum page_type type = page_last_type(pg);
    bool table = type >= PT_L1 && type <= PT_L4;

    if (pg->owner > MAX_DOMAINS) {
        tallies[page_to_mfn(pg).n].refs++;
        tallies[page_to_mfn(pg).n].uses++;
        return;
    }
    owned[pg->owner - 1]++;
    if (pg->count & PAGE_ALLOCATED)
        tallies[page_to_mfn(pg).n].refs++;
    if (pg->type & TYPE_PINNED)
        count(page_to_mfn(pg), true, NULL);
    if (pg->type & (TYPE_ZOMBIE | TYPE_PARTIAL))
        count(page_to_mfn(pg), pg->type & TYPE_PARTIAL, NULL);
    if (table && pg->type & (TYPE_ZOMBIE | TYPE_VALIDATED))
        count_entries(pg, 512);
    if (table && pg->type & TYPE_PARTIAL)
        count_entries(pg, pg->aux);
    if (table && pg->type & TYPE_VALIDATED)
        check_summary(pg);
}

static void count_vcpu(const struct vcpu *v) {
    count_if(v->base, MFN_INVALID);
    count_if(v->user_base, MFN_INVALID);
    count_if(v->info_mfn, v->domain->shared_info_mfn);
    for (u32 i = 0; i < GDT_GUEST_PAGES; i++)
        count_if(v->gdt_frames[i], MFN_INVALID);
    for (u32 i = 0; i < LDT_PAGES; i++)
        count_if(v->ldt_frames[i], MFN_INVALID);
}

static void count_domain(struct domain *d) {
    for (u32 i = 0; i < d->nr_vcpus; i++)
        if (d->vcpu[i])
            count_vcpu(d->vcpu[i]);
    count_if(d->eoi_mfn, MFN_INVALID);
    for (u32 i = 0; i < ARRAY_SIZE(d->ring_mfn); i++)
        count_if(d->ring_mfn[i], MFN_INVALID);
    if (d->shared_info)
        tallies[d->shared_info_mfn.n].uses++;
    for (u32 i = 0; i < d->gnttab.nr_frames; i++)
        tallies[d->gnttab.frame_mfn[i].n].uses++;
    gnttab_for_each_hold(d, count, NULL);
}

/* --- comparing --- */

static void compare_links(const struct page *pg, const struct tally *t) {
    u64 links = (pg->type & TYPE_LINKS) / TYPE_LINKS_ONE, linked = (pg->type & TYPE_LINKED) / TYPE_LINKED_ONE;

    if (links != t->links || linked != t->linked)
        panic("audit: table %lx: %lu linear entries, %u found; %lu lead to it, %u found", page_to_mfn(pg).n, links,
              t->links, linked, t->linked);
}

static void compare_frame(const struct page *pg, const struct tally *t) {
    u32 refs = (u32)(pg->count & PAGE_REFS), uses = (u32)(pg->type & TYPE_USES);

    if (!pg->owner && (t->refs || t->uses))
        panic("audit: frame %lx is no guest's (count %lx), and guests refer to it %u times", page_to_mfn(pg).n,
              pg->count, t->refs);
    if (pg->owner && (refs != t->refs || uses != t->uses))
        panic("audit: frame %lx of domain %u (count %lx, type %lx): %u references, %u found; %u uses, %u found",
              page_to_mfn(pg).n, pg->owner - 1, pg->count, pg->type, refs, t->refs, uses, t->uses);
}

static u64 check_list(const struct domain *d, u32 first) {
    u32 prev = FRAME_NONE;
    u64 n = 0;

    for (u32 frame = first; frame != FRAME_NONE; n++) {
        const struct page *pg = &frame_table[frame];

        if (pg->prev != prev || pg->owner != d->id + 1u)
            panic("audit: frame %x in the list of domain %u: owner %u, before it %x", frame, d->id, pg->owner - 1,
                  pg->prev);
        prev = frame;
        frame = pg->next;
    }
    return n;
}

static void check_domain(const struct domain *d) {
    u64 listed = check_list(d, d->page_list) + check_list(d, d->taken_list);

    if (listed != d->tot_pages || owned[d->id] != d->owned_pages)
        panic("audit: domain %u: %lu frames listed of %lu, %u owned of %lu", d->id, listed, d->tot_pages, owned[d->id],
              d->owned_pages);
}

static void for_each_frame(void (*fn)(struct page *pg)) {
    for (u64 m = 0; m < frame_table_max; m++) {
        if (!(m & 0xfff))
            cpu_goes_on();
        if (mfn_valid(mfn(m)))
            fn(mfn_to_page(mfn(m)));
    }
}

static void count_if_owned(struct page *pg) {
    if (pg->owner)
        count_frame(pg);
}

static void compare(struct page *pg) {
    compare_frame(pg, &tallies[page_to_mfn(pg).n]);
    if (pg->owner)
        compare_links(pg, &tallies[page_to_mfn(pg).n]);
}

static void check_walks(const struct domain *d, mfn_t base, const struct cpu *c) {
    for (u32 i = 0; i < NR_WALKS; i++) {
        const struct walk *w = &c->walks[i];

        if (w->epoch == d->walk_epoch && mfn_eq(w->base, base) && !mm_walk_is_true(w))
            panic("audit: CPU %u remembers table %p for region %lx under %lx of domain %u", c->id,
                  (const void *)w->table, w->region, base.n, d->id);
    }
}

/* What may be chosen: under a base of some vCPU, of this epoch. */
static void check_all_walks(const struct domain *d) {
    for (u32 i = 0; i < d->nr_vcpus; i++)
        for (u32 c = 0; c < nr_cpus && d->vcpu[i]; c++)
            check_walks(d, d->vcpu[i]->base, cpus[c]);
}

static void audit_all(void) {
    memset(tallies, 0, frame_table_max * sizeof(*tallies));
    memset(owned, 0, sizeof(owned));
    for_each_frame(count_if_owned);
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
        count_domain(d);
    for_each_frame(compare);
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
        check_domain(d);
        check_all_walks(d);
    }
    heap_check();
}

/* --- when --- */

void debug_audit(void) {
    if (!tallies || !stop_world())
        return;
    audit_all();
    resume_world();
}

static void audit_again(void *arg) {
    debug_audit();
    timer_set(arg, this_cpu()->id, time_now() + period);
}

void audit_start(void) {
    const char *value;
    u64 seconds = boot_option("audit", &value) > 0 ? strtoull(value, NULL, 10) : DEFAULT_SECONDS;

    tallies = heap_alloc(frame_table_max * sizeof(*tallies));
    period = TIME_SEC(seconds);
    timer_init(&timer, audit_again, &timer);
    if (seconds)
        timer_set(&timer, this_cpu()->id, time_now() + period);
}
