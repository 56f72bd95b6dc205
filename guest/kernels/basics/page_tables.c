// SPDX-License-Identifier: MIT
/*
 * Page tables: changes by every hypercall that makes them, pinning, new roots, and writes by trap.
 */
#include "basics.h"

static void check_update(void) {
    uint64_t *page = page_alloc(), *other = page_alloc(), *entry;
    uint64_t pte = virt_to_machine(page) | PTE_KERNEL;
    struct mmu_update req[2];
    unsigned done = 99;

    pt_make(SCRATCH_VA);
    entry = pt_entry(SCRATCH_VA, 1);
    test_equal("pt.mmu_update", pt_write(entry, pte), 0);
    *page = 0x1234;
    test_equal("pt.mapped", *(long *)SCRATCH_VA, 0x1234);
    test_equal("pt.update_va_mapping",
               hv_update_va_mapping(SCRATCH_VA, virt_to_machine(other) | PTE_KERNEL, UVMF_INVLPG), 0);
    test_equal("pt.remapped", *(long *)SCRATCH_VA, 0);
    test_check("pt.dirty_seen", (WRITE_ONCE(*(long *)SCRATCH_VA, 1), *entry & PTE_D), "entry 0x%lx", *entry);
    req[0] = (struct mmu_update){virt_to_machine(entry) | MMU_PT_UPDATE_PRESERVE_AD, virt_to_machine(other) | PTE_P};
    test_equal("pt.preserve_ad", hv_mmu_update(req, 1, &done, DOMID_SELF), 0);
    test_check("pt.preserved", (*entry & (PTE_D | PTE_A)) == (PTE_D | PTE_A), "entry 0x%lx", *entry);
    test_equal("pt.done_count", done, 1);
    req[0] = (struct mmu_update){virt_to_machine(entry) | MMU_NORMAL_PT_UPDATE, 0};
    req[1] = (struct mmu_update){virt_to_machine(entry) | 5, 0};
    test_equal("pt.unknown_command", hv_mmu_update(req, 2, &done, DOMID_SELF), -XEN_ENOSYS);
    test_check("pt.partial", done == 1 && !*entry, "done %u entry 0x%lx", done, *entry);
    req[0] = (struct mmu_update){(pfn_to_mfn(5) << PAGE_SHIFT) | MMU_MACHPHYS_UPDATE, 5};
    test_equal("pt.machphys_update", hv_mmu_update(req, 1, &done, DOMID_SELF), 0);
    req[0] = (struct mmu_update){virt_to_machine(entry) | MMU_PT_UPDATE_NO_TRANSLATE, pte};
    test_equal("pt.no_translate", hv_mmu_update(req, 1, &done, DOMID_SELF), 0);
    test_equal("pt.no_translated", (long)(*entry & PTE_MFN_MASK), (long)(pte & PTE_MFN_MASK));
    test_equal("pt.none", hv_mmu_update(req, 0, &done, DOMID_SELF), 0);
    page_free(page);
    page_free(other);
}

/* What frames may not be mapped for, told apart. */
static void check_refused_frames(void) {
    uint64_t *l1 = page_alloc(), *l2 = page_alloc(), *page = page_alloc();
    const uint64_t hole = 0xffffffUL << PAGE_SHIFT, foreign = 0x100UL << PAGE_SHIFT; /* the first MiB is no guest's */

    page_protect(l1);
    page_protect(l2);
    mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(l1));
    mmuext(MMUEXT_PIN_L2_TABLE, virt_to_mfn(l2));
    test_equal("pt.table_writable", pt_write(&l1[0], virt_to_machine(l1) | PTE_KERNEL), -XEN_EBUSY);
    test_equal("pt.foreign", pt_write(&l1[0], foreign | PTE_KERNEL_RO), -XEN_EBUSY);
    test_equal("pt.writable_as_table", pt_write(&l2[0], virt_to_machine(page) | PTE_TABLE), -XEN_EINVAL);
    test_equal("pt.foreign_as_table", pt_write(&l2[0], foreign | PTE_TABLE), -XEN_EINVAL);
    test_equal("pt.table_of_other_level", mmuext(MMUEXT_PIN_L3_TABLE, virt_to_mfn(l1)), -XEN_EINVAL);
    test_equal("pt.upper", pt_write(&l2[0], virt_to_machine(l1) | PTE_TABLE), 0);
    test_equal("pt.upper_pse", pt_write(&l2[0], virt_to_machine(l1) | PTE_TABLE | PTE_PSE), -XEN_EINVAL);
    test_equal("pt.upper_global", pt_write(&l2[0], virt_to_machine(l1) | PTE_TABLE | PTE_G), -XEN_EINVAL);
    test_equal("pt.upper_uncached", pt_write(&l2[0], virt_to_machine(l1) | PTE_TABLE | PTE_PCD), -XEN_EINVAL);
    if (!is_privileged()) {
        test_equal("pt.hole", pt_write(&l1[0], hole | PTE_KERNEL), -XEN_EPERM);
        test_equal("pt.uncached", pt_write(&l1[0], virt_to_machine(page) | PTE_KERNEL | PTE_PCD), -XEN_EINVAL);
    }
    mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l2));
    mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l1));
}

static void check_other_domain(void) {
    void *page = page_alloc();
    const uint64_t pte = virt_to_machine(page) | PTE_KERNEL;

    test_equal("va_other.self",
               hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, SCRATCH_VA, pte, UVMF_INVLPG, DOMID_SELF), 0);
    test_equal("va_other.mapped", (long)(*pt_entry(SCRATCH_VA, 1) & PTE_MFN_MASK), (long)virt_to_machine(page));
    test_equal("va_other.nobody",
               hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, SCRATCH_VA, pte, UVMF_INVLPG, DOMID_COW),
               -XEN_ESRCH);
    pt_unmap(SCRATCH_VA);
    page_free(page);
}

static void check_pinning(void) {
    uint64_t *l1 = page_alloc(), *page = page_alloc();
    unsigned long mfn = virt_to_mfn(l1);

    l1[3] = virt_to_machine(page) | PTE_KERNEL;
    test_check("pin.writable", mmuext(MMUEXT_PIN_L1_TABLE, mfn) < 0, "a writable page became a table");
    test_equal("pin.protect", page_protect(l1), 0);
    test_equal("pin.l1", mmuext(MMUEXT_PIN_L1_TABLE, mfn), 0);
    test_check("pin.made_writable", page_unprotect(l1) < 0, "a table became writable");
    page_protect(l1);
    test_check("pin.twice", mmuext(MMUEXT_PIN_L1_TABLE, mfn) < 0, "pinned twice");
    test_equal("pin.update", pt_write(&l1[4], virt_to_machine(page) | PTE_KERNEL), 0);
    test_equal("pin.updated", (long)(l1[4] & PTE_MFN_MASK), (long)virt_to_machine(page));
    test_equal("pin.unpin", mmuext(MMUEXT_UNPIN_TABLE, mfn), 0);
    test_check("pin.unpin_twice", mmuext(MMUEXT_UNPIN_TABLE, mfn) < 0, "unpinned twice");
    test_equal("pin.writable_again", page_unprotect(l1), 0);
    l1[0] = 0;
    page_free(l1);
    page_free(page);
}

static void check_roots(void) {
    uint64_t *root = page_alloc();
    unsigned long old = virt_to_mfn(pt_root()), mfn = virt_to_mfn(root);

    for (unsigned slot = 0; slot < 512; slot++)
        root[slot] = slot < 256 || slot > 271 ? pt_root()[slot] : 0;
    page_protect(root);
    test_equal("root.pin", mmuext(MMUEXT_PIN_L4_TABLE, mfn), 0);
    test_equal("root.new_baseptr", mmuext(MMUEXT_NEW_BASEPTR, mfn), 0);
    test_equal("root.back", mmuext(MMUEXT_NEW_BASEPTR, old), 0);
    test_equal("root.user_baseptr", mmuext(MMUEXT_NEW_USER_BASEPTR, mfn), 0);
    test_equal("root.user_baseptr_none", mmuext(MMUEXT_NEW_USER_BASEPTR, 0), 0);
    test_equal("root.unpin", mmuext(MMUEXT_UNPIN_TABLE, mfn), 0);
    test_equal("root.free", page_unprotect(root), 0);
    test_check("root.not_a_table", mmuext(MMUEXT_NEW_BASEPTR, mfn) < 0, "a writable page became the root");
    page_free(root);
}

#define OTHER_VA (SCRATCH_VA + (41UL << 39)) /* a slot of the root nothing else uses */

/* The new root is in force whatever else the hypercall asked for: here, that others run. */
static void check_root_and_yield(void) {
    uint64_t *root = page_alloc(), *page = page_alloc(), seen = 0;
    struct mmuext_op op = {.cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = virt_to_mfn(root)};
    multicall_entry_t calls[2] = {{.op = __HYPERVISOR_mmuext_op, .args = {ARG(&op), 1, 0, DOMID_SELF}},
                                  {.op = __HYPERVISOR_sched_op, .args = {SCHEDOP_yield, 0}}};
    unsigned slot = pt_index(SCRATCH_VA, 4), other = pt_index(OTHER_VA, 4);
    struct probe p;

    *page = 7;
    pt_write(pt_make(SCRATCH_VA), virt_to_machine(page) | PTE_KERNEL);
    for (unsigned i = 272; i < 512; i++)
        root[i] = pt_root()[i == other ? slot : i];
    page_protect(root);
    hv_multicall(calls, 2);
    test_equal("root.in_multicall", (long)calls[0].result, 0);
    test_check("root.and_yield", probe_read(&p, (void *)OTHER_VA, &seen) && seen == 7, "read %lu: %s", seen,
               probe_describe(&p));
    mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(pt_root()));
    pt_unmap(SCRATCH_VA);
    page_unprotect(root);
    page_free(root);
    page_free(page);
}

static void check_pages(void) {
    uint64_t *page = page_alloc(), *other = page_alloc();
    struct mmuext_op copy = {
        .cmd = MMUEXT_COPY_PAGE, .arg1.mfn = virt_to_mfn(other), .arg2.src_mfn = virt_to_mfn(page)};

    page[511] = 7;
    test_equal("page.copy", hv_mmuext_op(&copy, 1, NULL, DOMID_SELF), 0);
    test_equal("page.copied", (long)other[511], 7);
    test_equal("page.clear", mmuext(MMUEXT_CLEAR_PAGE, virt_to_mfn(page)), 0);
    test_equal("page.cleared", (long)page[511], 0);
    page_free(page);
    page_free(other);
}

static unsigned long first_vcpu[1] = {1};
#define FIRST_VCPU 8ul

static long flush_multi(unsigned cmd) {
    struct mmuext_op op = {.cmd = cmd};

    if (cmd == MMUEXT_INVLPG_MULTI)
        op.arg1.linear_addr = SCRATCH_VA;
    set_xen_guest_handle(op.arg2.vcpumask, first_vcpu);
    return hv_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

/* For a set of vCPUs, the flags have its address. */
static long flush_with_update(unsigned long flags) {
    if (flags & FIRST_VCPU)
        flags += (unsigned long)first_vcpu - FIRST_VCPU;
    return hv_update_va_mapping(SCRATCH_VA, *pt_entry(SCRATCH_VA, 1), flags);
}

static void do_invlpg(void *va) {
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

static void do_load_cr3(void *cr3) {
    __asm__ volatile("mov %0, %%cr3" ::"r"(cr3) : "memory");
}

static long flush_by_instruction(void (*instruction)(void *), unsigned long operand) {
    struct probe p;

    probe_run(&p, instruction, (void *)operand);
    return p.trapped ? -XEN_ENOSYS : 0;
}

enum flush_way { EXT, EXT_LINEAR, EXT_MULTI, UPDATE, INVLPG, LOAD_CR3 };

static long flush_by(enum flush_way way, unsigned long how) {
    switch (way) {
    case EXT:
        return mmuext(how, 0);
    case EXT_LINEAR:
        return mmuext_linear(how, SCRATCH_VA);
    case EXT_MULTI:
        return flush_multi(how);
    case UPDATE:
        return flush_with_update(how);
    case INVLPG:
        return flush_by_instruction(do_invlpg, SCRATCH_VA);
    default:
        return flush_by_instruction(do_load_cr3, xen_pfn_to_cr3(virt_to_mfn(pt_root())));
    }
}

static const struct flush {
    const char *name;
    enum flush_way way;
    unsigned long how;
} flushes[] = {
    {"flush.local", EXT, MMUEXT_TLB_FLUSH_LOCAL},
    {"flush.all", EXT, MMUEXT_TLB_FLUSH_ALL},
    {"flush.multi", EXT_MULTI, MMUEXT_TLB_FLUSH_MULTI},
    {"flush.invlpg_local", EXT_LINEAR, MMUEXT_INVLPG_LOCAL},
    {"flush.invlpg_all", EXT_LINEAR, MMUEXT_INVLPG_ALL},
    {"flush.invlpg_multi", EXT_MULTI, MMUEXT_INVLPG_MULTI},
    {"flush.update_local", UPDATE, UVMF_TLB_FLUSH | UVMF_LOCAL},
    {"flush.update_invlpg_local", UPDATE, UVMF_INVLPG | UVMF_LOCAL},
    {"flush.update_all", UPDATE, UVMF_TLB_FLUSH | UVMF_ALL},
    {"flush.update_invlpg_all", UPDATE, UVMF_INVLPG | UVMF_ALL},
    {"flush.update_multi", UPDATE, UVMF_TLB_FLUSH | UVMF_MULTI | FIRST_VCPU},
    {"flush.invlpg", INVLPG, 0},
    {"flush.cr3", LOAD_CR3, 0},
};

/* Whatever the CPU kept of the old frame's mapping when the entry was changed, it is gone after the flush. */
static void check_flush(const struct flush *f, uint64_t *page[2]) {
    volatile long *p = (volatile long *)SCRATCH_VA;
    long rc, before, after;

    hv_update_va_mapping(SCRATCH_VA, virt_to_machine(page[0]) | PTE_KERNEL, UVMF_INVLPG | UVMF_ALL);
    before = *p;
    hv_update_va_mapping(SCRATCH_VA, virt_to_machine(page[1]) | PTE_KERNEL, UVMF_NONE);
    rc = flush_by(f->way, f->how);
    after = *p;
    if (rc == -XEN_ENOSYS)
        test_skip(f->name, "this hypervisor has no such instruction for guests");
    else
        test_check(f->name, rc == 0 && before == 1 && after == 2, "rc %ld, read %ld, then %ld", rc, before, after);
}

static void check_flushes(void) {
    uint64_t *page[2] = {page_alloc(), page_alloc()};

    pt_make(SCRATCH_VA);
    *page[0] = 1;
    *page[1] = 2;
    for (unsigned i = 0; i < ARRAY_SIZE(flushes); i++)
        check_flush(&flushes[i], page);
    hv_update_va_mapping(SCRATCH_VA, 0, UVMF_INVLPG | UVMF_ALL);
    page_free(page[0]);
    page_free(page[1]);
    test_equal("mmuext.unknown", mmuext(77, 0), -XEN_ENOSYS);
}

struct store {
    const char *name;
    uint64_t before, operand, after;
    void (*run)(uint64_t *entry, uint64_t operand);
};

static void store_mov(uint64_t *entry, uint64_t v) {
    __asm__ volatile("mov %1, %0" : "=m"(*entry) : "r"(v) : "memory");
}

static void store_mov_half(uint64_t *entry, uint64_t v) {
    __asm__ volatile("movl %k1, %0" : "+m"(*(uint32_t *)entry) : "r"(v) : "memory");
}

static void store_xchg(uint64_t *entry, uint64_t v) {
    __asm__ volatile("xchg %1, %0" : "+m"(*entry), "+r"(v)::"memory");
}

static void store_cmpxchg(uint64_t *entry, uint64_t v) {
    uint64_t old = *entry;

    __asm__ volatile("lock cmpxchg %2, %0" : "+m"(*entry), "+a"(old) : "r"(v) : "memory", "cc");
}

static void store_or(uint64_t *entry, uint64_t v) {
    __asm__ volatile("or %1, %0" : "+m"(*entry) : "r"(v) : "memory");
}

static void store_and(uint64_t *entry, uint64_t v) {
    __asm__ volatile("lock and %1, %0" : "+m"(*entry) : "r"(v) : "memory");
}

static void store_bts(uint64_t *entry, uint64_t v) {
    __asm__ volatile("lock bts %1, %0" : "+m"(*entry) : "r"(v) : "memory");
}

static void store_btr(uint64_t *entry, uint64_t v) {
    __asm__ volatile("lock btr %1, %0" : "+m"(*entry) : "r"(v) : "memory");
}

struct store_run {
    const struct store *store;
    uint64_t *entry, operand;
};

static void do_store(void *arg) {
    struct store_run *r = arg;

    r->store->run(r->entry, r->operand);
}

/* Values relative to one frame: its machine address is added to all but bit numbers and masks. */
static void check_store(const struct store *s, uint64_t *entry, uint64_t frame) {
    bool plain = s->operand < 64 || (s->operand >> 63);
    struct store_run run = {s, entry, plain ? s->operand : (s->operand & 0xfff) + frame};
    /* The hypervisor may set these, and the ignored bits above the frame number. */
    uint64_t flags = PTE_A | PTE_D | PTE_G | PTE_U | 0x7ffUL << 52;
    struct probe p;

    pt_write(entry, s->before + frame);
    if (!probe_run(&p, do_store, &run))
        test_fail(s->name, "%s", probe_describe(&p));
    else
        test_check(s->name, (*entry & ~flags) == ((s->after + frame) & ~flags), "entry 0x%lx, expected 0x%lx", *entry,
                   s->after + frame);
    pt_write(entry, 0);
}

/* An operand of 0x1000 and more is a page table entry of the frame; less than 64 a bit number or small mask. */
static const struct store stores[] = {
    {"ptwr.mov", PTE_P | PTE_RW, 0x1000 | PTE_P, PTE_P, store_mov},
    {"ptwr.mov_half", PTE_P | PTE_RW, 0x1000 | PTE_P, PTE_P, store_mov_half},
    {"ptwr.xchg", PTE_P, 0x1000 | PTE_P | PTE_RW, PTE_P | PTE_RW, store_xchg},
    {"ptwr.cmpxchg", PTE_P, 0x1000 | PTE_P | PTE_RW, PTE_P | PTE_RW, store_cmpxchg},
    {"ptwr.or", PTE_P, PTE_RW, PTE_P | PTE_RW, store_or},
    {"ptwr.and", PTE_P | PTE_RW, ~PTE_RW, PTE_P, store_and},
    {"ptwr.bts", PTE_P, 1, PTE_P | PTE_RW, store_bts},
    {"ptwr.btr", PTE_P | PTE_RW, 1, PTE_P, store_btr},
};

/* Entries of live tables, written as if they were memory; the tables are mapped read-only. */
static void check_writes_by_trap(void) {
    void *page = page_alloc();
    uint64_t *entry = pt_make(SCRATCH_VA);
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(stores); i++)
        check_store(&stores[i], entry, virt_to_machine(page));
    probe_write(&p, entry, (virt_to_machine(entry) & PAGE_MASK) | PTE_KERNEL);
    test_check("ptwr.table_writable", p.trapped && p.vector == TRAP_PF && !(*entry & PTE_P), "%s, entry 0x%lx",
               probe_describe(&p), *entry);
    page_free(page);
}

void check_page_tables(void) {
    check_update();
    check_refused_frames();
    check_other_domain();
    check_pinning();
    check_roots();
    check_root_and_yield();
    check_pages();
    check_flushes();
    check_writes_by_trap();
}
