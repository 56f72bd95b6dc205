// SPDX-License-Identifier: MIT
// sources: gnttab/table.c gnttab/map.c gnttab/copy.c gnttab/transfer.c gnttab/op.c
/* Grants that change places: entries replaced and swapped, frames given away; and caches written back. */
#include "gnttab_host.h"

static s16 replace(u32 handle, u64 host_addr, u64 new_addr) {
    struct gnttab_unmap_and_replace op = {.host_addr = host_addr, .new_addr = new_addr, .handle = handle};
    assert_int_equal(call(user, GNTTABOP_unmap_and_replace, &op, 1), 0);
    return op.status;
}

static void replaced(void **state) {
    (void)state;
    u64 mine = page_to_mfn(own).n << PAGE_SHIFT | PTE_P | PTE_W;
    struct gnttab_map_grant_ref a = map(8, GNTMAP_host_map, 5 * PAGE_SIZE), b = map(8, GNTMAP_host_map, 6 * PAGE_SIZE);
    struct gnttab_map_grant_ref pte = map(8, GNTMAP_host_map | GNTMAP_contains_pte, slot_pte(7));
    assert_true(page_get(own, user) && !page_get_type(own, PT_WRITABLE));
    *slot(9) = mine;
    assert_int_equal(replace(99, 5 * PAGE_SIZE, 9 * PAGE_SIZE), GNTST_bad_handle);
    assert_int_equal(replace(a.handle, 5 * PAGE_SIZE, 600 * PAGE_SIZE), GNTST_general_error);
    assert_int_equal(replace(a.handle, 4 * PAGE_SIZE, 9 * PAGE_SIZE), GNTST_general_error);
    /* By itself: the entry would stay, and the handle not. */
    assert_int_equal(replace(a.handle, 5 * PAGE_SIZE, 5 * PAGE_SIZE), GNTST_general_error);
    assert_int_equal(replace(pte.handle, slot_pte(7), 9 * PAGE_SIZE), GNTST_general_error);
    assert_true(*slot(9) == mine && data->count == 3);
    assert_int_equal(replace(a.handle, 5 * PAGE_SIZE, 9 * PAGE_SIZE), GNTST_okay);
    assert_true(*slot(5) == mine && !*slot(9));
    assert_int_equal(data->count, 2);
    assert_int_equal(own->count, 1);
    assert_int_equal(replace(a.handle, 5 * PAGE_SIZE, 9 * PAGE_SIZE), GNTST_bad_handle);
    /* With what is mapped by another handle, which follows its entry. */
    a = map(8, GNTMAP_host_map | GNTMAP_readonly, 10 * PAGE_SIZE);
    assert_int_equal(replace(a.handle, 10 * PAGE_SIZE, 6 * PAGE_SIZE), GNTST_okay);
    assert_int_equal(unmap(b.handle, 6 * PAGE_SIZE, 0), GNTST_general_error);
    assert_int_equal(unmap(b.handle, 10 * PAGE_SIZE, 0), GNTST_okay);
    /* No new address: an ordinary unmapping. */
    assert_int_equal(replace(pte.handle, slot_pte(7), 0), GNTST_okay);
    assert_int_equal(flags_of(8), GTF_permit_access);
    assert_int_equal(data->count, 0);
}

static s16 swap(u32 a, u32 b) {
    struct gnttab_swap_grant_ref op = {.ref_a = a, .ref_b = b};
    assert_int_equal(call(granter, GNTTABOP_swap_grant_ref, &op, 1), 0);
    return op.status;
}

static void swapped(void **state) {
    (void)state;
    grant_entry_v1_t *t = granter->gnttab.frame[0], was = t[8];
    t[9] = (grant_entry_v1_t){GTF_permit_access, 3, 4};
    assert_int_equal(swap(8, 9), GNTST_okay);
    assert_true(t[8].domid == 3 && t[9].frame == was.frame && t[9].domid == 2);
    assert_int_equal(swap(9, 512), GNTST_bad_gntref);
    assert_int_equal(swap(UINT32_MAX, 9), GNTST_bad_gntref);
    struct gnttab_map_grant_ref a = map(9, GNTMAP_host_map, 0);
    assert_int_equal(swap(8, 9), GNTST_eagain);
    assert_int_equal(swap(9, 8), GNTST_eagain);
    assert_int_equal(swap(9, 9), GNTST_okay);
    assert_int_equal(a.status, GNTST_okay);
    assert_true(t[9].frame == was.frame);
}

static long flush(u64 address, u32 offset, u32 length, u32 what) {
    struct gnttab_cache_flush op = {
        .a.dev_bus_addr = address, .offset = (u16)offset, .length = (u16)length, .op = what};
    return call(user, GNTTABOP_cache_flush, &op, 1);
}

static void caches(void **state) {
    (void)state;
    u64 mine = page_to_mfn(own).n << PAGE_SHIFT, theirs = page_to_mfn(data).n << PAGE_SHIFT;
    const u32 both = GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL;
    assert_int_equal(flush(mine, 100, 64, GNTTAB_CACHE_CLEAN), 0);
    assert_int_equal(flush(mine + 8, 0, PAGE_SIZE, both), 0);
    assert_int_equal(written_back, 64 + PAGE_SIZE);
    assert_int_equal(flush(mine, 0, 0, GNTTAB_CACHE_CLEAN), 0);
    assert_int_equal(flush(theirs, 0, 64, 0), 0);
    assert_int_equal(flush(mine, PAGE_SIZE, 0, GNTTAB_CACHE_CLEAN), -EINVAL);
    assert_int_equal(flush(mine, 1, PAGE_SIZE, GNTTAB_CACHE_CLEAN), -EINVAL);
    assert_int_equal(flush(mine, 0, 64, 4), -EINVAL);
    assert_int_equal(flush(mine, 0, 64, GNTTAB_CACHE_SOURCE_GREF | GNTTAB_CACHE_CLEAN), -EINVAL);
    assert_int_equal(flush(NR_FRAMES * PAGE_SIZE, 0, 64, GNTTAB_CACHE_CLEAN), -EINVAL);
    assert_int_equal(flush(0, 0, 64, GNTTAB_CACHE_CLEAN), -EPERM); /* nobody's */
    assert_int_equal(flush(mine, 0, 64, GNTTAB_CACHE_INVAL), -EOPNOTSUPP);
    assert_int_equal(flush(theirs, 0, 64, GNTTAB_CACHE_CLEAN), -EINVAL);
    struct gnttab_map_grant_ref a = map(8, GNTMAP_host_map, 0);
    assert_int_equal(flush(theirs, 0, 64, GNTTAB_CACHE_CLEAN), 0);
    assert_int_equal(a.status, GNTST_okay);
    assert_int_equal(written_back, 64 + PAGE_SIZE + 64);
}

static s16 transfer(u64 frame, domid_t to, u32 ref) {
    struct gnttab_transfer op = {.mfn = frame, .domid = to, .ref = ref};
    assert_int_equal(call(user, GNTTABOP_transfer, &op, 1), 0);
    return op.status;
}

static void transfers(void **state) {
    (void)state;
    grant_entry_v1_t *t = granter->gnttab.frame[0];
    struct page *gift = frame_of(user), *lost = frame_of(user);
    u64 frame = page_to_mfn(gift).n;
    t[20] = (grant_entry_v1_t){GTF_accept_transfer, 2, 7};
    granter->max_pages = 1;
    assert_int_equal(transfer(NR_FRAMES, 1, 20), GNTST_bad_page);
    assert_int_equal(transfer(1ul << 40, 1, 20), GNTST_bad_page);
    assert_int_equal(transfer(page_to_mfn(data).n, 1, 20), GNTST_bad_page);
    gift->count = 1; /* mapped somewhere */
    assert_int_equal(transfer(frame, 1, 20), GNTST_bad_page);
    assert_int_equal(t[20].flags, GTF_accept_transfer);
    gift->count = 0;
    assert_int_equal(flushes, 0);
    assert_int_equal(transfer(frame, 1, 20), GNTST_okay);
    assert_int_equal(flushes, 1);
    assert_int_equal(gift->owner, 2);
    assert_int_equal(t[20].flags, GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    assert_int_equal(t[20].frame, frame);
    assert_int_equal(m2p[frame], 7);
    /* Refused, the frame is gone all the same. */
    assert_int_equal(transfer(page_to_mfn(lost).n, 1, 20), GNTST_general_error);
    assert_int_equal(lost->owner, 0);
    assert_true(m2p[page_to_mfn(lost).n] == M2P_INVALID);
    assert_int_equal(transfer(page_to_mfn(frame_of(user)).n, DOMID_SELF, 20), GNTST_bad_domain);
    assert_int_equal(transfer(page_to_mfn(frame_of(user)).n, 9, 20), GNTST_bad_domain);
    assert_int_equal(transfer(page_to_mfn(frame_of(user)).n, 1, 512), GNTST_general_error);
    assert_int_equal(granter->gnttab.users, 0);
}

static void transfers_not_accepted(void **state) {
    (void)state;
    grant_entry_v1_t *t = granter->gnttab.frame[0];
    granter->max_pages = 1;
    t[20] = (grant_entry_v1_t){GTF_accept_transfer, 3, 7}; /* from somebody else */
    t[21] = (grant_entry_v1_t){GTF_accept_transfer | GTF_reading, 2, 7};
    t[22] = (grant_entry_v1_t){GTF_permit_access, 2, 7};
    for (u32 ref = 20; ref < 23; ref++) {
        u16 flags = t[ref].flags;
        assert_int_equal(transfer(page_to_mfn(frame_of(user)).n, 1, ref), GNTST_general_error);
        assert_int_equal(t[ref].flags, flags);
    }
    t[20].domid = 2;
    granter->tot_pages = 1; /* as many as it may have */
    assert_int_equal(transfer(page_to_mfn(frame_of(user)).n, 1, 20), GNTST_general_error);
    assert_int_equal(t[20].flags, GTF_accept_transfer);
    granter->tot_pages = 0;
    granter->dying = true;
    assert_int_equal(transfer(page_to_mfn(frame_of(user)).n, 1, 20), GNTST_general_error);
    assert_int_equal(t[20].flags & GTF_transfer_completed, 0);
    granter->dying = false;
    zombies = true;
    struct gnttab_transfer op = {.mfn = page_to_mfn(own).n, .domid = 1, .ref = 20};
    assert_int_equal(call(user, GNTTABOP_transfer, &op, 1), -ERESTART);
    assert_int_equal(own->owner, 3);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {T(replaced), T(swapped), T(caches), T(transfers), T(transfers_not_accepted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
