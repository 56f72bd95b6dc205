// SPDX-License-Identifier: MIT
/*
 * Frames given up while something still refers to them, and counts driven up: a frame that is mapped, pinned or granted
 * stays this domain's until that ends, and is given to nobody.
 */
#include "hostile.h"

#define MAP (SCRATCH_VA + (5UL << 21))
#define TABLES 4 /* full of mappings of one frame */

static long decrease(unsigned long mfn) {
    static xen_pfn_t frame;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

    frame = mfn;
    set_xen_guest_handle(r.extent_start, &frame);
    return hv_memory_op(XENMEM_decrease_reservation, &r);
}

static long exchange(unsigned long mfn) {
    static xen_pfn_t in, out;
    struct xen_memory_exchange x = {.in = {.nr_extents = 1, .domid = DOMID_SELF},
                                    .out = {.nr_extents = 1, .domid = DOMID_SELF}};

    in = mfn;
    out = start_info->nr_pages + 99;
    set_xen_guest_handle(x.in.extent_start, &in);
    set_xen_guest_handle(x.out.extent_start, &out);
    return hv_memory_op(XENMEM_exchange, &x);
}

/* A frame's pages that were taken out of the direct map: nothing refers to it but what the attack adds. */
static unsigned long loose_frame(void) {
    void *page = page_alloc();
    unsigned long mfn = virt_to_mfn(page);

    hv_update_va_mapping(ARG(page), 0, UVMF_INVLPG);
    return mfn;
}

/* Once nothing refers to it any more, the frame is out of reach. */
static void expect_gone(const char *name, unsigned long mfn) {
    refused(name, pt_write(pt_make(MAP), mfn << PAGE_SHIFT | PTE_KERNEL));
}

static void attack_mapped(void) {
    unsigned long mfn = loose_frame();
    volatile uint64_t *at = (void *)MAP;

    pt_map(MAP, mfn, PTE_KERNEL);
    *at = 0x5ca1ab1e;
    refused("freed.exchange_mapped", exchange(mfn));
    test_equal("freed.mapped", decrease(mfn), 1);
    decrease(mfn); /* refused, or nothing is left to do */
    test_check("freed.mapped_content", *at == 0x5ca1ab1e, "0x%lx", *at);
    pt_unmap(MAP);
    expect_gone("freed.mapped_gone", mfn);
}

static void attack_pinned(void) {
    unsigned long mfn = loose_frame();

    test_equal("freed.pin", mmuext(MMUEXT_PIN_L1_TABLE, mfn), 0);
    refused("freed.exchange_pinned", exchange(mfn));
    test_equal("freed.pinned", decrease(mfn), 1);
    refused("freed.pinned_writable", pt_write(pt_make(MAP), mfn << PAGE_SHIFT | PTE_KERNEL));
    test_equal("freed.unpin", mmuext(MMUEXT_UNPIN_TABLE, mfn), 0);
    expect_gone("freed.pinned_gone", mfn);
}

static void attack_root(void) {
    uint64_t *root = pt_new_root(true);
    unsigned long mfn = virt_to_mfn(root), old = virt_to_mfn(pt_root());

    mmuext(MMUEXT_NEW_BASEPTR, mfn);
    test_equal("freed.root_unpin", mmuext(MMUEXT_UNPIN_TABLE, mfn), 0);
    refused("freed.exchange_root", exchange(mfn));
    hv_update_va_mapping(ARG(root), 0, UVMF_INVLPG);
    test_equal("freed.root", decrease(mfn), 1);
    mmuext(MMUEXT_NEW_BASEPTR, old);
    expect_gone("freed.root_gone", mfn);
}

static long gdt_of(unsigned long mfn) {
    return hv_set_gdt(&mfn, 512);
}

static void attack_gdt_frame(void) {
    unsigned long mfn = loose_frame();

    test_equal("freed.gdt_set", gdt_of(mfn), 0);
    refused("freed.exchange_gdt", exchange(mfn));
    test_equal("freed.gdt", decrease(mfn), 1);
    test_equal("freed.gdt_reset", hv_set_gdt(NULL, 0), 0);
    expect_gone("freed.gdt_gone", mfn);
}

/* One frame in every entry of several tables: thousands of references and uses, and none is left at the end. */
static void attack_counts(void) {
    unsigned long mfn = loose_frame(), done = 0;

    for (unsigned long i = 0; i < TABLES * 512UL; i++)
        done += !pt_map(MAP + (1UL << 30) + (i << PAGE_SHIFT), mfn, i % 2 ? PTE_KERNEL : PTE_KERNEL_RO);
    test_equal("count.mappings", (long)done, TABLES * 512L);
    refused("count.pin_mapped", mmuext(MMUEXT_PIN_L1_TABLE, mfn));
    for (unsigned long i = 0; i < TABLES * 512UL; i++)
        pt_unmap(MAP + (1UL << 30) + (i << PAGE_SHIFT));
    test_equal("count.pin_unmapped", mmuext(MMUEXT_PIN_L1_TABLE, mfn), 0);
    mmuext(MMUEXT_UNPIN_TABLE, mfn);
    test_equal("count.none_left", exchange(mfn), 0);
}

void attack_freed(void) {
    attack_mapped();
    attack_pinned();
    attack_root();
    attack_gdt_frame();
    attack_counts();
}
