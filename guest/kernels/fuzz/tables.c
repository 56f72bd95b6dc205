// SPDX-License-Identifier: MIT
/*
 * Page tables: the shared frames become tables of all levels, are linked, mapped, pinned, unpinned, and written by each
 * of the ways there are; several vCPUs do so with the same frames at once.
 */
#include "fuzz.h"

static domid_t mostly_self(struct fuzzer *f) {
    return one_in(f, 16) ? any_domid(f) : DOMID_SELF;
}

void make_mmu_update(struct fuzzer *f, multicall_entry_t *e) {
    unsigned n = one_in(f, 4) ? 1 + below(f, 32) : 1;
    struct mmu_update *u = room(f, n * sizeof(*u));
    unsigned *done = room(f, sizeof(*done));

    for (unsigned i = 0; i < n; i++) {
        u[i].ptr = any_entry(f) | (one_in(f, 8) ? below(f, 8) : MMU_NORMAL_PT_UPDATE);
        u[i].val = any_pte(f);
        if ((u[i].ptr & 3) == MMU_MACHPHYS_UPDATE)
            u[i] = (struct mmu_update){any_mfn(f) << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, below(f, 4096)};
    }
    call_set(e, __HYPERVISOR_mmu_update, 4, one_in(f, 32) ? any_va(f) : ARG(u), (unsigned long)n,
             one_in(f, 2) ? ARG(done) : 0UL, (unsigned long)mostly_self(f));
}

/* Roots this kernel could not live on are only offered where they can't be accepted: frames that are no L4. */
static unsigned long base_for(struct fuzzer *f) {
    unsigned long mfn;

    if (!one_in(f, 4))
        return live_root(f);
    mfn = any_mfn(f);
    for (unsigned n = 0; n < NR_FRAMES; n++)
        if (frames[n] == mfn)
            return virt_to_mfn(window_table());
    return mfn;
}

static void set_vcpumask(struct fuzzer *f, struct mmuext_op *op) {
    unsigned long *mask = room(f, sizeof(*mask));

    *mask = random_bits(f);
    set_xen_guest_handle(op->arg2.vcpumask, one_in(f, 8) ? (void *)any_va(f) : (void *)mask);
}

static void fill_mmuext(struct fuzzer *f, struct mmuext_op *op) {
    op->cmd = one_in(f, 2) ? below(f, 5) : below(f, 22);
    op->arg1.mfn = any_mfn(f);
    switch (op->cmd) {
    case MMUEXT_UNPIN_TABLE:
        if (one_in(f, 64))
            op->arg1.mfn = live_root(f);
        break;
    case MMUEXT_NEW_BASEPTR:
        op->arg1.mfn = base_for(f);
        break;
    case MMUEXT_NEW_USER_BASEPTR:
        op->arg1.mfn = one_in(f, 2) ? live_root(f) : one_in(f, 4) ? 0 : any_mfn(f);
        break;
    case MMUEXT_COPY_PAGE:
        op->arg2.src_mfn = any_mfn(f);
        break;
    case MMUEXT_SET_LDT:
        op->arg1.linear_addr = any_va(f) & PAGE_MASK;
        op->arg2.nr_ents = below(f, one_in(f, 4) ? 9000 : 520);
        break;
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
        set_vcpumask(f, op); /* fall through */
    case MMUEXT_INVLPG_LOCAL:
    case MMUEXT_INVLPG_ALL:
        op->arg1.linear_addr = any_va(f);
        break;
    default:
        break;
    }
}

void make_mmuext(struct fuzzer *f, multicall_entry_t *e) {
    unsigned n = one_in(f, 4) ? 1 + below(f, 16) : 1;
    struct mmuext_op *op = room(f, n * sizeof(*op));
    unsigned *done = room(f, sizeof(*done));

    for (unsigned i = 0; i < n; i++)
        fill_mmuext(f, &op[i]);
    call_set(e, __HYPERVISOR_mmuext_op, 4, one_in(f, 32) ? any_va(f) : ARG(op), (unsigned long)n,
             one_in(f, 2) ? ARG(done) : 0UL, (unsigned long)mostly_self(f));
}

static unsigned long uvm_flags(struct fuzzer *f) {
    unsigned long *mask = room(f, sizeof(*mask)), flags = below(f, 4);

    *mask = random_bits(f);
    if (flags && one_in(f, 2))
        flags |= one_in(f, 2) ? UVMF_ALL : ARG(mask);
    return one_in(f, 16) ? random_bits(f) : flags;
}

void make_va_mapping(struct fuzzer *f, multicall_entry_t *e) {
    unsigned long va = one_in(f, 6) ? any_va(f) : ARG(window_page(f));

    if (one_in(f, 8))
        call_set(e, __HYPERVISOR_update_va_mapping_otherdomain, 4, va, any_pte(f), uvm_flags(f),
                 (unsigned long)any_domid(f));
    else
        call_set(e, __HYPERVISOR_update_va_mapping, 3, va, any_pte(f), uvm_flags(f));
}

static void update(struct fuzzer *f) {
    call_made(f, make_mmu_update);
}
static void extended(struct fuzzer *f) {
    call_made(f, make_mmuext);
}
static void va_mapping(struct fuzzer *f) {
    call_made(f, make_va_mapping);
}

/* A write of a kernel that takes the entry for memory: trapped where it is one of a table. */
static void write_entry(struct fuzzer *f, uint64_t *entry) {
    uint64_t value = any_pte(f), old = READ_ONCE(*entry);
    unsigned bit = below(f, 12);

    switch (below(f, 9)) {
    case 0:
        __atomic_exchange_n(entry, value, __ATOMIC_SEQ_CST);
        break;
    case 1:
        __atomic_compare_exchange_n(entry, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        break;
    case 2:
        __atomic_fetch_or(entry, 1UL << bit, __ATOMIC_SEQ_CST);
        break;
    case 3:
        __atomic_fetch_and(entry, ~(1UL << bit), __ATOMIC_SEQ_CST);
        break;
    case 4:
        __asm__ volatile("lock btcq %1, %0" : "+m"(*entry) : "r"((unsigned long)bit));
        break;
    case 5:
        WRITE_ONCE(*(uint8_t *)entry, (uint8_t)value);
        break;
    case 6:
        WRITE_ONCE(*(uint32_t *)entry, (uint32_t)value);
        break;
    case 7:
        WRITE_ONCE(((uint8_t *)entry)[7], (uint8_t)(value >> 56));
        break;
    default:
        WRITE_ONCE(*entry, value);
    }
}

static void trapped_write(struct fuzzer *f) {
    write_entry(f, window_table() + (one_in(f, 4) ? below(f, 512) : below(f, 6)));
}

/* Whatever is mapped in the window: memory, a table (trapped then), or nothing. */
static void window_write(struct fuzzer *f) {
    uint64_t *page = window_page(f);

    if (one_in(f, 4)) {
        memset(page, 0, PAGE_SIZE);
        return;
    }
    for (unsigned n = 1 + below(f, 6); n; n--)
        write_entry(f, page + below(f, 6));
}

static void window_read(struct fuzzer *f) {
    const uint64_t *page = window_page(f);

    for (unsigned n = 0; n < 8; n++)
        READ_ONCE(page[below(f, 512)]);
}

/* A chain of tables as a kernel makes it, on fresh frames: what chance alone would hardly ever build. */
static void build_tree(struct fuzzer *f) {
    unsigned long mfn[4];
    unsigned va = below(f, WINDOW_PAGES);

    for (unsigned level = 0; level < 4; level++) {
        uint64_t *page = (uint64_t *)(WINDOW + va * PAGE_SIZE);

        mfn[level] = shared_mfn(f);
        count(f, hv_update_va_mapping(ARG(page), mfn[level] << PAGE_SHIFT | PTE_KERNEL, UVMF_INVLPG | UVMF_ALL));
        memset(page, 0, PAGE_SIZE);
        for (unsigned n = 0; n < 4; n++)
            page[below(f, 6)] = (level ? mfn[level - 1] : shared_mfn(f)) << PAGE_SHIFT | (level ? PTE_TABLE : PTE_USER);
        count(f, hv_update_va_mapping(ARG(page), 0, UVMF_INVLPG | UVMF_ALL));
    }
    count(f, mmuext(MMUEXT_PIN_L1_TABLE + below(f, 4), mfn[below(f, 4)]));
}

/* Gives most of the frames back their freedom, or everything would soon be pinned and mapped. */
static void undo(struct fuzzer *f) {
    for (unsigned n = 0; n < WINDOW_PAGES; n++)
        count(f, hv_update_va_mapping(WINDOW + n * PAGE_SIZE, 0, 0));
    for (unsigned n = 0; n < NR_FRAMES; n++)
        count(f, mmuext(MMUEXT_UNPIN_TABLE, READ_ONCE(frames[n])));
    for (unsigned slot = WILD_SLOT; slot < WILD_SLOT + 4; slot++)
        count(f, pt_write(pt_root() + slot, 0));
    count(f, mmuext(MMUEXT_TLB_FLUSH_ALL, 0));
}

const struct action table_actions[] = {
    {"mmu_update", 40, update},
    {"mmuext_op", 40, extended},
    {"update_va_mapping", 40, va_mapping},
    {"trapped write", 20, trapped_write},
    {"window write", 30, window_write},
    {"window read", 10, window_read},
    {"build tree", 10, build_tree},
    {"undo", 1, undo},
    {NULL, 0, NULL},
};
