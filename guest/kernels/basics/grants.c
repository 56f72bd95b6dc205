// SPDX-License-Identifier: MIT
/*
 * Grants of a domain to itself: mapped, read, written, copied and revoked.
 */
#include "basics.h"

#define REF 20
#define MAP_VA (SCRATCH_VA + 0x200000)

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

void check_grants(void) {
    struct gnttab_query_size size = {.dom = DOMID_SELF};
    int16_t status;
    domid_t self;

    test_equal("grant.query_size", hv_grant_table_op(GNTTABOP_query_size, &size, 1), 0);
    test_check("grant.size", size.status == GNTST_okay && size.max_nr_frames >= 1, "%d, %u", size.status,
               size.max_nr_frames);
    if (!test_check("grant.setup", grant_init(1, &status), "status %d", status))
        return;
    pt_make(MAP_VA);
    page = page_alloc();
    self = find_self();
    if (!test_check("grant.to_self", self != DOMID_INVALID, "no number of ours found"))
        return;
    grant_access(REF, self, virt_to_mfn(page), false);
    check_map(self);
    check_copy(self);
    test_equal("grant.unknown_op", hv_grant_table_op(77, NULL, 1), -XEN_ENOSYS);
    page_free(page);
}
