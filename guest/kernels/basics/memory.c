// SPDX-License-Identifier: MIT
/*
 * The domain's memory: what it is told about it, and frames given back, asked for, and exchanged.
 */
#include "basics.h"

static void check_questions(void) {
    struct xen_machphys_mapping m2p = {0, 0, 0};
    domid_t self = DOMID_SELF;
    unsigned long bad = 0;

    for (unsigned long pfn = 0; pfn < start_info->nr_pages; pfn++)
        bad += pfn_to_mfn(pfn) != NO_MFN && mfn_to_pfn(pfn_to_mfn(pfn)) != pfn;
    test_equal("memory.p2m_m2p", (long)bad, 0);
    test_equal("memory.current", hv_memory_op(XENMEM_current_reservation, &self), (long)start_info->nr_pages);
    test_check("memory.maximum", hv_memory_op(XENMEM_maximum_reservation, &self) >= (long)start_info->nr_pages, "%ld",
               hv_memory_op(XENMEM_maximum_reservation, &self));
    test_check("memory.max_ram_page", hv_memory_op(XENMEM_maximum_ram_page, NULL) > 0x1000, "%ld",
               hv_memory_op(XENMEM_maximum_ram_page, NULL));
    test_equal("memory.machphys_mapping", hv_memory_op(XENMEM_machphys_mapping, &m2p), 0);
    test_equal("memory.machphys_start", (long)m2p.v_start, (long)MACH2PHYS_VIRT_START);
    test_equal("memory.unknown_op", hv_memory_op(63, NULL), -XEN_ENOSYS);
}

static void check_map(void) {
    static struct {
        uint64_t addr, size;
        uint32_t type;
    } __attribute__((packed)) entries[128];
    struct xen_memory_map map = {.nr_entries = ARRAY_SIZE(entries)};
    unsigned cmd = is_control_domain() ? XENMEM_machine_memory_map : XENMEM_memory_map;
    long rc;

    set_xen_guest_handle(map.buffer, entries);
    rc = hv_memory_op(cmd, &map);
    /* A domain nobody gave a map to has none; kernels then make one up from nr_pages. */
    if (!is_control_domain() && rc == -XEN_ENOSYS)
        test_skip("memory.map", "no map was set");
    else
        test_check("memory.map", !rc && map.nr_entries > 0 && entries[0].size, "rc %ld, %u entries", rc,
                   map.nr_entries);
}

static struct xen_memory_reservation reservation(xen_pfn_t *frame) {
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

    set_xen_guest_handle(r.extent_start, frame);
    return r;
}

/* The frame's only mapping goes first: a mapped frame stays the domain's until its last reference drops. */
static void check_reservation(void) {
    void *page = page_alloc();
    unsigned long pfn = virt_to_pfn(page);
    xen_pfn_t frame = pfn_to_mfn(pfn);
    struct xen_memory_reservation r = reservation(&frame);
    domid_t self = DOMID_SELF;
    long before = hv_memory_op(XENMEM_current_reservation, &self);

    test_equal("memory.unmap", hv_update_va_mapping(ARG(page), 0, UVMF_INVLPG | UVMF_ALL), 0);
    test_equal("memory.decrease", hv_memory_op(XENMEM_decrease_reservation, &r), 1);
    test_equal("memory.decreased", hv_memory_op(XENMEM_current_reservation, &self), before - 1);
    test_equal("memory.decrease_again", hv_memory_op(XENMEM_decrease_reservation, &r), 0);
    test_check("memory.map_given_back", pt_map(SCRATCH_VA, frame, PTE_KERNEL) < 0, "mapped a frame given back");
    frame = pfn;
    r = reservation(&frame);
    test_equal("memory.populate", hv_memory_op(XENMEM_populate_physmap, &r), 1);
    test_equal("memory.populated", hv_memory_op(XENMEM_current_reservation, &self), before);
    test_equal("memory.m2p_set", (long)mfn_to_pfn(frame), (long)pfn);
    p2m()[pfn] = frame;
    test_equal("memory.map_again", page_unprotect(page), 0);
    memset(page, 0x5a, PAGE_SIZE);
    page_free(page);
}

static void check_exchange(void) {
    void *page = page_alloc();
    unsigned long pfn = virt_to_pfn(page);
    xen_pfn_t in = pfn_to_mfn(pfn), out = pfn;
    struct xen_memory_exchange x = {.in = reservation(&in), .out = reservation(&out)};
    long rc;

    hv_update_va_mapping(ARG(page), 0, UVMF_INVLPG | UVMF_ALL);
    rc = hv_memory_op(XENMEM_exchange, &x);
    test_equal("memory.exchange", rc, 0);
    test_equal("memory.exchanged", (long)x.nr_exchanged, 1);
    test_check("memory.exchange_frame", !rc && out != pfn && mfn_to_pfn(out) == pfn, "mfn 0x%lx", out);
    p2m()[pfn] = rc ? in : out;
    test_equal("memory.exchange_map", page_unprotect(page), 0);
    page_free(page);
}

void check_memory(void) {
    check_questions();
    check_map();
    check_reservation();
    check_exchange();
}
