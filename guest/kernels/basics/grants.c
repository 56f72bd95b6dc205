// SPDX-License-Identifier: MIT
/*
 * Grants of a domain to itself: mapped by address and by entry, read, written, copied, replaced, swapped and revoked;
 * frames given away, to itself as well.
 */
#include "basics.h"

#define REF 20
#define MAP_VA (SCRATCH_VA + 0x200000)
#define OTHER_VA (MAP_VA + PAGE_SIZE)

static uint8_t *page;

static struct gnttab_map_grant_ref map_op(domid_t self, unsigned flags) {
    struct gnttab_map_grant_ref op = {.host_addr = MAP_VA, .flags = flags, .ref = REF, .dom = self};

    hv_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);
    return op;
}

static int16_t unmap(uint64_t va, uint32_t handle) {
    struct gnttab_unmap_grant_ref op = {.host_addr = va, .handle = handle};

    hv_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);
    return op.status;
}

/* A domain is not told its number: offer the page to one after the other until the mapping is allowed. */
static domid_t find_self(void) {
    struct gnttab_map_grant_ref op;

    for (domid_t id = 0; id < 256; id++) {
        grant_access(REF, id, virt_to_mfn(page), false);
        op = map_op(id, GNTMAP_host_map);
        if (op.status == GNTST_okay) {
            unmap(MAP_VA, op.handle);
            return id;
        }
    }
    return DOMID_INVALID;
}

static void check_map(domid_t self) {
    struct gnttab_map_grant_ref op = map_op(self, GNTMAP_host_map);
    struct probe p;

    test_equal("grant.map", op.status, GNTST_okay);
    *(volatile uint8_t *)MAP_VA = 0x77;
    test_equal("grant.shared", page[0], 0x77);
    test_check("grant.in_use", !grant_end(REF), "revoked while mapped");
    test_equal("grant.unmap", unmap(MAP_VA, op.handle), GNTST_okay);
    probe_read(&p, (void *)MAP_VA, NULL);
    expect_trap("grant.unmapped", &p, TRAP_PF, 0);
    test_check("grant.end", grant_end(REF), "still in use");
    op = map_op(self, GNTMAP_host_map);
    test_check("grant.map_revoked", op.status < 0, "status %d", op.status);
    grant_access(REF, self, virt_to_mfn(page), true);
    op = map_op(self, GNTMAP_host_map);
    test_check("grant.write_read_only", op.status < 0, "status %d", op.status);
    op = map_op(self, GNTMAP_host_map | GNTMAP_readonly);
    test_equal("grant.map_read_only", op.status, GNTST_okay);
    probe_write(&p, (void *)MAP_VA, 1);
    expect_trap("grant.read_only", &p, TRAP_PF, PF_WRITE | PF_PRESENT);
    test_equal("grant.unmap_read_only", unmap(MAP_VA, op.handle), GNTST_okay);
    test_check("grant.unmap_twice", unmap(MAP_VA, op.handle) < 0, "accepted");
    test_check("grant.unmap_wild", unmap(MAP_VA, 0x7fffffff) < 0, "accepted");
    grant_end(REF);
}

static void check_copy(domid_t self) {
    uint8_t *to = page_alloc();
    struct gnttab_copy op = {.len = 100, .flags = GNTCOPY_source_gref};

    memset(page, 0x3c, PAGE_SIZE);
    grant_access(REF, self, virt_to_mfn(page), true);
    op.source.u.ref = REF;
    op.source.domid = DOMID_SELF;
    op.source.offset = 8;
    op.dest.u.gmfn = virt_to_mfn(to);
    op.dest.domid = DOMID_SELF;
    op.dest.offset = 16;
    hv_grant_table_op(GNTTABOP_copy, &op, 1);
    test_equal("grant.copy", op.status, GNTST_okay);
    test_check("grant.copied", to[15] == 0 && to[16] == 0x3c && to[115] == 0x3c && to[116] == 0, "%x %x %x %x", to[15],
               to[16], to[115], to[116]);
    /* A table that lost its last use is memory again at once. */
    page_protect(to);
    mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(to));
    mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(to));
    hv_grant_table_op(GNTTABOP_copy, &op, 1);
    test_equal("grant.copy_to_former_table", op.status, GNTST_okay);
    page_unprotect(to);
    op.dest.offset = PAGE_SIZE - 10;
    hv_grant_table_op(GNTTABOP_copy, &op, 1);
    test_equal("grant.copy_crosses_page", op.status, GNTST_bad_copy_arg);
    op.dest.offset = 0;
    op.source.u.ref = 0xffffff;
    hv_grant_table_op(GNTTABOP_copy, &op, 1);
    test_check("grant.copy_bad_ref", op.status < 0, "%d", op.status);
    grant_end(REF);
    page_free(to);
}

static void check_entries(domid_t self) {
    uint64_t *entry = pt_make(MAP_VA), at = virt_to_machine(entry);
    struct gnttab_map_grant_ref op = {.host_addr = at,
                                      .flags = GNTMAP_host_map | GNTMAP_contains_pte | GNTMAP_readonly | 5U << 16,
                                      .ref = REF,
                                      .dom = self};

    hv_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);
    test_equal("grant.map_entry", op.status, GNTST_okay);
    test_equal("grant.entry_bits", *entry & (PTE_P | PTE_RW | 7UL << 9), PTE_P | 5UL << 9);
    test_equal("grant.entry_frame", (long)(*entry & PTE_MFN_MASK), (long)virt_to_machine(page));
    test_equal("grant.unmap_by_address", unmap(MAP_VA, op.handle), GNTST_general_error);
    test_equal("grant.unmap_other_entry", unmap(at + 8, op.handle), GNTST_general_error);
    test_equal("grant.unmap_unaligned", unmap(at + 1, op.handle), GNTST_general_error);
    test_equal("grant.unmap_entry", unmap(at, op.handle), GNTST_okay);
    test_equal("grant.entry_gone", (long)*entry, 0);
    op.host_addr = virt_to_machine(page);
    hv_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);
    test_equal("grant.map_entry_of_no_table", op.status, GNTST_general_error);
}

static int16_t replace(uint64_t va, uint64_t by, uint32_t handle) {
    struct gnttab_unmap_and_replace op = {.host_addr = va, .new_addr = by, .handle = handle, .status = 99};

    hv_grant_table_op(GNTTABOP_unmap_and_replace, &op, 1);
    return op.status;
}

static void check_replace(domid_t self) {
    uint8_t *own = page_alloc();
    struct gnttab_map_grant_ref op = map_op(self, GNTMAP_host_map);

    own[0] = 0x42;
    test_equal("grant.replace_bad_handle", replace(MAP_VA, OTHER_VA, 77777), GNTST_bad_handle);
    test_equal("grant.replace_by_nothing", replace(MAP_VA, USER_VA, op.handle), GNTST_general_error);
    pt_map_page(OTHER_VA, own, PTE_KERNEL);
    test_equal("grant.replace_elsewhere", replace(MAP_VA + 2 * PAGE_SIZE, OTHER_VA, op.handle), GNTST_general_error);
    pt_map_page(OTHER_VA, own, PTE_KERNEL);
    test_equal("grant.replace", replace(MAP_VA, OTHER_VA, op.handle), GNTST_okay);
    test_equal("grant.replaced", *(volatile uint8_t *)MAP_VA, 0x42);
    test_equal("grant.moved", (long)*pt_entry(OTHER_VA, 1), 0);
    op = map_op(self, GNTMAP_host_map);
    test_equal("grant.replace_by_none", replace(MAP_VA, 0, op.handle), GNTST_okay);
    test_equal("grant.replaced_by_none", (long)*pt_entry(MAP_VA, 1), 0);
    page_free(own);
}

static int16_t swap(grant_ref_t a, grant_ref_t b) {
    struct gnttab_swap_grant_ref op = {.ref_a = a, .ref_b = b, .status = 99};

    hv_grant_table_op(GNTTABOP_swap_grant_ref, &op, 1);
    return op.status;
}

static void check_swap(domid_t self, grant_entry_v1_t *table) {
    struct gnttab_map_grant_ref op;

    table[30] = (grant_entry_v1_t){GTF_permit_access, 7, 8};
    table[31] = (grant_entry_v1_t){GTF_accept_transfer, 9, 10};
    test_equal("grant.swap", swap(30, 31), GNTST_okay);
    test_check("grant.swapped", table[30].domid == 9 && table[31].frame == 8, "%u %u", table[30].domid,
               table[31].frame);
    test_equal("grant.swap_same", swap(30, 30), GNTST_okay);
    test_equal("grant.swap_bad_ref", swap(30, 0xfffffff), GNTST_bad_gntref);
    op = map_op(self, GNTMAP_host_map);
    test_equal("grant.swap_in_use", swap(REF, 30), GNTST_eagain);
    unmap(MAP_VA, op.handle);
    table[30] = table[31] = (grant_entry_v1_t){0};
}

static long cache_flush(uint64_t at, unsigned offset, unsigned length, unsigned what) {
    struct gnttab_cache_flush op = {
        .a.dev_bus_addr = at, .offset = (uint16_t)offset, .length = (uint16_t)length, .op = what};

    return hv_grant_table_op(GNTTABOP_cache_flush, &op, 1);
}

static void check_caches(void) {
    uint64_t at = virt_to_machine(page);

    test_equal("grant.cache_clean", cache_flush(at, 0, 64, GNTTAB_CACHE_CLEAN), 0);
    test_equal("grant.cache_both", cache_flush(at, 0, PAGE_SIZE, GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL), 0);
    test_equal("grant.cache_inval", cache_flush(at, 0, 64, GNTTAB_CACHE_INVAL), -XEN_EOPNOTSUPP);
    test_equal("grant.cache_nothing", cache_flush(at, 0, 0, GNTTAB_CACHE_CLEAN), 0);
    test_equal("grant.cache_crosses", cache_flush(at, 4000, 200, GNTTAB_CACHE_CLEAN), -XEN_EINVAL);
    test_equal("grant.cache_by_ref", cache_flush(REF, 0, 64, GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_SOURCE_GREF),
               -XEN_EINVAL);
    test_equal("grant.cache_hole", cache_flush(0xffffff000UL, 0, 64, GNTTAB_CACHE_CLEAN), -XEN_EINVAL);
    test_equal("grant.cache_efault", hv_grant_table_op(GNTTABOP_cache_flush, (void *)USER_VA, 1), -XEN_EFAULT);
}

static int16_t transfer(unsigned long mfn, domid_t to, grant_ref_t ref) {
    struct gnttab_transfer op = {.mfn = mfn, .domid = to, .ref = ref, .status = 99};

    hv_grant_table_op(GNTTABOP_transfer, &op, 1);
    return op.status;
}

/* A page that is mapped nowhere. */
static unsigned long unmapped_page(uint8_t **va) {
    *va = page_alloc();
    **va = 0x5a;
    hv_update_va_mapping((unsigned long)*va, 0, UVMF_INVLPG);
    return virt_to_mfn(*va);
}

static void check_lost(const char *name, const char *gone, domid_t to, grant_ref_t ref, int16_t status) {
    uint8_t *va;
    unsigned long mfn = unmapped_page(&va);

    test_equal(name, transfer(mfn, to, ref), status);
    test_equal(gone, hv_update_va_mapping((unsigned long)va, mfn << PAGE_SHIFT | PTE_KERNEL, UVMF_INVLPG), -XEN_EBUSY);
}

static void check_transfer(domid_t self, grant_entry_v1_t *table) {
    uint8_t *gift;
    unsigned long mfn = unmapped_page(&gift), pfn = mfn_to_pfn(mfn);

    test_equal("grant.transfer_mapped", transfer(virt_to_mfn(page), self, 40), GNTST_bad_page);
    test_equal("grant.transfer_hole", transfer(0xffffff, self, 40), GNTST_bad_page);
    table[40] = (grant_entry_v1_t){GTF_accept_transfer, self, (uint32_t)pfn};
    test_equal("grant.transfer", transfer(mfn, self, 40), GNTST_okay);
    test_equal("grant.transfer_flags", table[40].flags,
               GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    test_check("grant.transfer_frame", table[40].frame == mfn && mfn_to_pfn(mfn) == pfn, "%x", table[40].frame);
    test_equal("grant.transfer_mine",
               hv_update_va_mapping((unsigned long)gift, mfn << PAGE_SHIFT | PTE_KERNEL, UVMF_INVLPG), 0);
    test_equal("grant.transfer_content", *gift, 0x5a);
    page_free(gift);
    table[41] = (grant_entry_v1_t){GTF_accept_transfer, (domid_t)(self + 1), 5};
    check_lost("grant.transfer_twice", "grant.transfer_twice_gone", self, 40, GNTST_general_error);
    check_lost("grant.transfer_unwanted", "grant.transfer_unwanted_gone", self, 41, GNTST_general_error);
    check_lost("grant.transfer_bad_ref", "grant.transfer_bad_ref_gone", self, 0xffffff, GNTST_general_error);
    check_lost("grant.transfer_nobody", "grant.transfer_nobody_gone", 999, 41, GNTST_bad_domain);
    check_lost("grant.transfer_dom_self", "grant.transfer_dom_self_gone", DOMID_SELF, 41, GNTST_bad_domain);
}

static void check_refusals(void) {
    struct gnttab_set_version version = {.version = 3};
    struct gnttab_get_version get = {.dom = DOMID_SELF};
    struct gnttab_get_status_frames frames = {.nr_frames = 1, .dom = DOMID_SELF};
    struct gnttab_dump_table dump = {.dom = DOMID_SELF};

    test_equal("grant.get_version", hv_grant_table_op(GNTTABOP_get_version, &get, 1), 0);
    test_equal("grant.version", (long)get.version, 1);
    test_equal("grant.set_version_3", hv_grant_table_op(GNTTABOP_set_version, &version, 1), -XEN_EINVAL);
    version.version = 1;
    test_equal("grant.set_version_1", hv_grant_table_op(GNTTABOP_set_version, &version, 1), 0);
    test_equal("grant.status_frames", hv_grant_table_op(GNTTABOP_get_status_frames, &frames, 1), 0);
    test_equal("grant.no_status_frames", frames.status, GNTST_general_error);
    test_equal("grant.dump_table", hv_grant_table_op(GNTTABOP_dump_table, &dump, 1), -XEN_ENOSYS);
    test_equal("grant.unknown_op", hv_grant_table_op(77, NULL, 1), -XEN_ENOSYS);
}

void check_grants(void) {
    struct gnttab_query_size size = {.dom = DOMID_SELF};
    grant_entry_v1_t *table;
    int16_t status;
    domid_t self;

    test_equal("grant.query_size", hv_grant_table_op(GNTTABOP_query_size, &size, 1), 0);
    test_check("grant.size", size.status == GNTST_okay && size.max_nr_frames >= 1, "%d, %u", size.status,
               size.max_nr_frames);
    table = grant_init(1, &status);
    if (!test_check("grant.setup", table, "status %d", status))
        return;
    pt_make(MAP_VA);
    page = page_alloc();
    self = find_self();
    if (!test_check("grant.to_self", self != DOMID_INVALID, "no number of ours found"))
        return;
    grant_access(REF, self, virt_to_mfn(page), false);
    check_map(self);
    check_copy(self);
    grant_access(REF, self, virt_to_mfn(page), false);
    check_entries(self);
    check_replace(self);
    check_swap(self, table);
    grant_end(REF);
    check_caches();
    check_transfer(self, table);
    check_refusals();
    page_free(page);
}
