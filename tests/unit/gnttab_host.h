/* SPDX-License-Identifier: MIT */
/*
 * gnttab_host: a toy memory for the tests of gnttab: frames with an owner and counts, one page-table frame for each of
 * two domains, and calls by the one that uses what the other grants. To be included by one file.
 */
#ifndef TESTS_UNIT_GNTTAB_HOST_H
#define TESTS_UNIT_GNTTAB_HOST_H

#include "host.h"
#include <pv/mm.h>
#include <pv/pte.h>
#include <pv/x86_vcpu.h>
#include <cmocka.h>

#define NR_FRAMES 64
static struct page pages[NR_FRAMES];
static u8 memory[NR_FRAMES][PAGE_SIZE] __aligned(4096);
struct page *frame_table = pages;
u64 frame_table_max = NR_FRAMES;
static u32 next_frame, flushes;
static size_t written_back;
static bool zombies;
static u64 m2p[NR_FRAMES];
static int update_result;

/* --- toy memory --- */
bool mfn_valid(mfn_t m) {
    return m.n < NR_FRAMES;
}
void *maddr_to_virt(maddr_t ma) {
    return &memory[ma.a / PAGE_SIZE][ma.a % PAGE_SIZE];
}
bool page_get(struct page *pg, struct domain *d) {
    if (pg->owner != d->id + 1u)
        return false;
    pg->count++;
    return true;
}
void page_put(struct page *pg) {
    assert_true(pg->count-- > 0);
}
int page_get_type(struct page *pg, enum page_type type) {
    if ((pg->type & TYPE_USES) && (pg->type & TYPE_MASK) >> TYPE_SHIFT != type)
        return -EBUSY;
    pg->type = ((pg->type & TYPE_USES) + 1) | (u64)type << TYPE_SHIFT;
    return 0;
}
void page_put_type(struct page *pg) {
    assert_true((pg->type-- & TYPE_USES) > 0);
}
int page_get_with_type(struct page *pg, struct domain *d, enum page_type type) {
    if (!page_get(pg, d))
        return -EINVAL;
    int rc = page_get_type(pg, type);
    if (rc)
        page_put(pg);
    return rc;
}
void page_put_with_type(struct page *pg) {
    page_put_type(pg);
    page_put(pg);
}
static inline struct page *frame_of(struct domain *d) {
    struct page *pg = &pages[next_frame++];
    assert_true(next_frame <= NR_FRAMES);
    *pg = (struct page){.owner = d->id + 1u};
    return pg;
}
struct page *domain_alloc_shared_page(struct domain *d) {
    return frame_of(d);
}
void domain_free_shared_page(struct domain *d, struct page *pg) {
    (void)d;
    pg->owner = 0;
}
u32 tlb_clock_advance(void) {
    return 1;
}
void tlb_flush_stale(u32 clock) {
    flushes += clock;
}
u64 mm_walk_vcpu(const struct vcpu *v, gva_t va, maddr_t *entry) { /* the base is the one L1; the address its slot */
    *entry = va.a / PAGE_SIZE < 512 ? maddr((v->base.n << PAGE_SHIFT) + va.a / PAGE_SIZE * 8) : maddr(0);
    return entry->a ? *(u64 *)maddr_to_virt(*entry) : 0;
}
static inline void entry_drop(u64 old) {
    if (!(old & PTE_P))
        return;
    if (old & PTE_W)
        page_put_with_type(&pages[(old & PTE_ADDR) >> PAGE_SHIFT]);
    else
        page_put(&pages[(old & PTE_ADDR) >> PAGE_SHIFT]);
}
int mm_update_entry(struct domain *d, struct domain *owner, const struct mm_update *u) {
    u64 *e = maddr_to_virt(u->entry), old = *e;
    struct page *pg = &pages[(u->value & PTE_ADDR) >> PAGE_SHIFT];
    assert_int_equal(pages[u->entry.a >> PAGE_SHIFT].owner, d->id + 1);
    assert_true(u->leaf); /* what find_entry() saw may be an upper table by now */
    if (update_result)
        return update_result;
    if ((u->value & PTE_P) && (u->value & PTE_W      ? page_get_with_type(pg, owner, PT_WRITABLE)
                               : page_get(pg, owner) ? 0
                                                     : -EINVAL))
        return -EINVAL;
    *e = u->value;
    entry_drop(old);
    return 0;
}

int mm_move_entry(struct domain *d, maddr_t from, maddr_t to, u64 expected) {
    u64 *a = maddr_to_virt(from), *b = maddr_to_virt(to), old = *b;
    assert_int_equal(pages[from.a >> PAGE_SHIFT].owner, d->id + 1);
    if (update_result)
        return update_result;
    if (a == b || (old ^ expected) & (PTE_P | PTE_W | PTE_ADDR))
        return -EINVAL;
    *b = *a;
    *a = 0;
    entry_drop(old);
    return 0;
}
bool mm_drain(struct domain *d) {
    (void)d;
    return !zombies;
}
bool domain_detach_page(struct domain *d, struct page *pg) {
    if (pg->owner != d->id + 1u || pg->count != 1)
        return false;
    pg->owner = 0;
    return true;
}
bool domain_adopt_page(struct domain *d, struct page *pg) {
    if (d->dying)
        return false;
    pg->owner = d->id + 1u;
    return true;
}
void m2p_set(mfn_t m, pfn_t p) {
    m2p[m.n] = p.n;
}
void cpu_write_back(const void *p, size_t n) {
    const u8 *all = (const u8 *)memory;
    assert_true((const u8 *)p >= all && (const u8 *)p + n <= all + sizeof(memory));
    written_back += n;
}

/* --- two domains --- */
static struct domain *granter, *user;
static struct page *data, *data2, *own, *l1;

static inline int setup(void **state) {
    (void)state;
    host_set_cpus(1);
    host_heap_budget = -1;
    next_frame = 1;
    flushes = 0;
    update_result = 0;
    host_preempt = zombies = false;
    written_back = 0;
    memset(memory, 0, sizeof(memory));
    granter = host_domain(1, 1);
    user = host_domain(2, 1);
    assert_int_equal(gnttab_init(granter, 4), 0);
    assert_int_equal(gnttab_init(user, 4), 0);
    data = frame_of(granter);
    data2 = frame_of(granter);
    own = frame_of(user);
    l1 = frame_of(user);
    l1->type = (u64)PT_L1 << TYPE_SHIFT | TYPE_VALIDATED | 1;
    user->vcpu[0]->base = page_to_mfn(l1);
    assert_int_equal(gnttab_seed(granter, 8, 2, page_to_mfn(data)), 0);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    for (u32 i = 0; i < 2; i++) {
        gnttab_destroy(granter);
        gnttab_destroy(user);
    }
    host_domain_free(granter);
    host_domain_free(user);
    return host_heap_live != 0;
}

static inline long call(struct domain *d, u32 cmd, void *args, u32 count) {
    u64 arg[6] = {cmd, (u64)args, count};
    return gnttab_op(d->vcpu[0], cmd, arg);
}

static inline struct gnttab_map_grant_ref map(u32 ref, u32 flags, u64 host_addr) {
    struct gnttab_map_grant_ref op = {.host_addr = host_addr, .flags = flags, .ref = ref, .dom = 1};
    assert_int_equal(call(user, GNTTABOP_map_grant_ref, &op, 1), 0);
    return op;
}

static inline s16 unmap(u32 handle, u64 host_addr, u64 dev) {
    struct gnttab_unmap_grant_ref op = {.host_addr = host_addr, .dev_bus_addr = dev, .handle = handle};
    assert_int_equal(call(user, GNTTABOP_unmap_grant_ref, &op, 1), 0);
    return op.status;
}

static inline u16 flags_of(u32 ref) {
    return granter->gnttab.frame[0][ref].flags;
}
static inline u64 *slot(u32 n) {
    return (u64 *)page_to_virt(l1) + n;
}
static inline u64 slot_pte(u32 n) {
    return (page_to_mfn(l1).n << PAGE_SHIFT) + n * 8;
}

#endif
