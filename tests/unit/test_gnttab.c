// SPDX-License-Identifier: MIT
// sources: gnttab/table.c gnttab/map.c gnttab/copy.c gnttab/transfer.c gnttab/op.c
/*
 * Grant tables over a toy memory: frames with an owner and counts, and one page-table frame for each domain. Checks
 * statuses, what the granter sees in its flags, and that hostile arguments neither leak a use nor keep an entry.
 */
#include "gnttab_host.h"

static void queries(void **state) {
    (void)state;
    struct gnttab_query_size q = {.dom = DOMID_SELF};
    assert_int_equal(call(user, GNTTABOP_query_size, &q, 1), 0);
    assert_int_equal(q.status, GNTST_okay);
    assert_int_equal(q.nr_frames, 1);
    assert_int_equal(q.max_nr_frames, 4);
    q.dom = 1;
    assert_int_equal(call(user, GNTTABOP_query_size, &q, 1), 0);
    assert_int_equal(q.status, GNTST_permission_denied);
    q.dom = 7;
    assert_int_equal(call(user, GNTTABOP_query_size, &q, 1), 0);
    assert_int_equal(q.status, GNTST_bad_domain);
    assert_int_equal(call(user, GNTTABOP_query_size, &q, 2), -EINVAL);
    assert_int_equal(call(user, GNTTABOP_query_size, NULL, 1), -EFAULT);
    assert_int_equal(call(user, GNTTABOP_map_grant_ref, NULL, 0), 0);
    assert_int_equal(call(user, GNTTABOP_map_grant_ref, NULL, UINT32_MAX), -EINVAL);
    assert_int_equal(call(user, GNTTABOP_dump_table, NULL, 1), -ENOSYS);
    struct gnttab_get_status_frames f = {.dom = DOMID_SELF};
    assert_int_equal(call(user, GNTTABOP_get_status_frames, &f, 1), 0);
    assert_int_equal(f.status, GNTST_general_error);
    f.dom = 1;
    assert_int_equal(call(user, GNTTABOP_get_status_frames, &f, 1), 0);
    assert_int_equal(f.status, GNTST_permission_denied);
    assert_int_equal(call(user, GNTTABOP_get_status_frames, &f, 2), -EINVAL);
    assert_int_equal(call(user, 13, NULL, 1), -ENOSYS);
    assert_int_equal(call(user, UINT32_MAX, NULL, 1), -ENOSYS);
    struct gnttab_set_version s = {.version = 1};
    assert_int_equal(call(user, GNTTABOP_set_version, &s, 1), 0);
    s.version = 2;
    assert_int_equal(call(user, GNTTABOP_set_version, &s, 1), -ENOSYS);
    s.version = 3;
    assert_int_equal(call(user, GNTTABOP_set_version, &s, 1), -EINVAL);
    s.version = 1;
    assert_int_equal(call(user, GNTTABOP_set_version, &s, 0), 0); /* the count does not count */
    assert_int_equal(call(user, GNTTABOP_set_version, NULL, 0), -EFAULT);
    struct gnttab_get_version g = {.dom = DOMID_SELF};
    assert_int_equal(call(user, GNTTABOP_get_version, &g, 1), 0);
    assert_int_equal(g.version, 1);
    g.dom = 1;
    assert_int_equal(call(user, GNTTABOP_get_version, &g, 1), -EPERM);
    g.dom = 9;
    assert_int_equal(call(user, GNTTABOP_get_version, &g, 1), -ESRCH);
}

static void tables(void **state) {
    (void)state;
    xen_pfn_t list[4] = {0};
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 3, .frame_list.p = list};
    assert_int_equal(call(user, GNTTABOP_setup_table, &s, 1), 0);
    assert_int_equal(s.status, GNTST_okay);
    for (u32 i = 0; i < 3; i++)
        assert_int_equal(list[i], user->gnttab.frame_mfn[i].n);
    s.nr_frames = 5;
    assert_int_equal(call(user, GNTTABOP_setup_table, &s, 1), 0);
    assert_int_equal(s.status, GNTST_general_error);
    s.nr_frames = 2;
    s.frame_list.p = NULL;
    assert_int_equal(call(user, GNTTABOP_setup_table, &s, 1), 0);
    assert_int_equal(s.status, GNTST_bad_virt_addr);
    s.nr_frames = 4;
    s.frame_list.p = list;
    host_heap_budget = 0;
    assert_int_equal(call(user, GNTTABOP_setup_table, &s, 1), 0);
    assert_int_equal(s.status, GNTST_general_error);
    assert_int_equal(user->gnttab.nr_frames, 3);
}

static void maps(void **state) {
    (void)state;
    struct gnttab_map_grant_ref w = map(8, GNTMAP_host_map, 5 * PAGE_SIZE);
    assert_int_equal(w.status, GNTST_okay);
    assert_int_equal(w.dev_bus_addr, page_to_mfn(data).n << PAGE_SHIFT);
    assert_int_equal(*slot(5) & (PTE_P | PTE_W | PTE_U), PTE_P | PTE_W);
    assert_int_equal(flags_of(8), GTF_permit_access | GTF_reading | GTF_writing);
    struct gnttab_map_grant_ref r =
        map(8, GNTMAP_host_map | GNTMAP_readonly | GNTMAP_contains_pte | GNTMAP_application_map | 1 << 16, slot_pte(6));
    assert_int_equal(r.status, GNTST_okay);
    assert_int_equal(*slot(6) & (PTE_P | PTE_W | PTE_U | 7ul << 9), PTE_P | PTE_U | 1ul << 9);
    assert_int_equal(data->count, 2);
    assert_int_equal(unmap(w.handle, 600 * PAGE_SIZE, 0), GNTST_general_error); /* no table there */
    assert_int_equal(unmap(w.handle, 6 * PAGE_SIZE, 0), GNTST_general_error);   /* the read-only one's entry */
    assert_int_equal(unmap(r.handle, slot_pte(5), 0), GNTST_general_error);     /* and the other way round */
    assert_int_equal(unmap(w.handle, 7 * PAGE_SIZE, 0), GNTST_general_error);
    assert_int_equal(unmap(99, 5 * PAGE_SIZE, 0), GNTST_bad_handle);
    assert_int_equal(unmap(UINT32_MAX, 5 * PAGE_SIZE, 0), GNTST_bad_handle);
    assert_int_equal(flushes, 0);
    assert_int_equal(unmap(w.handle, 5 * PAGE_SIZE, 0), GNTST_okay);
    assert_int_equal(flushes, 1);
    assert_int_equal(*slot(5), 0);
    assert_int_equal(flags_of(8), GTF_permit_access | GTF_reading);
    assert_int_equal(unmap(w.handle, 5 * PAGE_SIZE, 0), GNTST_bad_handle);
    assert_int_equal(unmap(r.handle, slot_pte(6), 0), GNTST_okay);
    assert_int_equal(flags_of(8), GTF_permit_access);
    assert_int_equal(data->count, 0);
}

static void refused_maps(void **state) {
    (void)state;
    assert_int_equal(map(8, 0, 0).status, GNTST_bad_gntref);
    assert_int_equal(map(9, GNTMAP_host_map, 0).status, GNTST_general_error);
    assert_int_equal(map(512, GNTMAP_host_map, 0).status, GNTST_bad_gntref);
    assert_int_equal(map(UINT32_MAX, GNTMAP_host_map, 0).status, GNTST_bad_gntref);
    assert_int_equal(map(8, GNTMAP_host_map, 600 * PAGE_SIZE).status, GNTST_general_error);
    assert_int_equal(map(8, GNTMAP_host_map | GNTMAP_contains_pte, ~7ul).status, GNTST_general_error);
    assert_int_equal(map(8, GNTMAP_host_map | GNTMAP_contains_pte, slot_pte(1) + 1).status, GNTST_general_error);
    assert_int_equal(map(8, GNTMAP_host_map | GNTMAP_contains_pte, page_to_mfn(own).n << PAGE_SHIFT).status,
                     GNTST_general_error); /* plain memory: no entry */
    assert_int_equal(map(8, GNTMAP_host_map | GNTMAP_contains_pte, page_to_mfn(data).n << PAGE_SHIFT).status,
                     GNTST_general_error);
    assert_int_equal(flags_of(8), GTF_permit_access);
    granter->gnttab.frame[0][8].flags |= GTF_readonly;
    assert_int_equal(map(8, GNTMAP_host_map, PAGE_SIZE).status, GNTST_general_error);
    assert_int_equal(map(8, GNTMAP_host_map | GNTMAP_readonly, PAGE_SIZE).status, GNTST_okay);
    granter->gnttab.frame[0][10] = (grant_entry_v1_t){GTF_permit_access, 3, 1}; /* for somebody else */
    assert_int_equal(map(10, GNTMAP_host_map, 0).status, GNTST_general_error);
    granter->gnttab.frame[0][11] = (grant_entry_v1_t){GTF_permit_access, 2, (u32)page_to_mfn(own).n}; /* not its own */
    assert_int_equal(map(11, GNTMAP_host_map, 0).status, GNTST_general_error);
    granter->gnttab.frame[0][11].frame = NR_FRAMES;
    assert_int_equal(map(11, GNTMAP_host_map, 0).status, GNTST_bad_page);
    assert_int_equal(flags_of(11), GTF_permit_access);
    update_result = -ERESTART;
    struct gnttab_map_grant_ref op = {.host_addr = 0, .flags = GNTMAP_host_map | GNTMAP_readonly, .ref = 8, .dom = 1};
    u64 arg[6] = {0, (u64)&op, 1};
    assert_int_equal(gnttab_op(user->vcpu[0], GNTTABOP_map_grant_ref, arg), -ERESTART);
    assert_int_equal(arg[2], 1);
    assert_int_equal(data->count, 1);
    assert_int_equal(granter->gnttab.users, 0);
}

/* The granter cannot swap the frame of an entry in use; nor does taking the permission away end the use. */
static void granter_cheats(void **state) {
    (void)state;
    struct gnttab_map_grant_ref a = map(8, GNTMAP_host_map, 0);
    granter->gnttab.frame[0][8].frame = (u32)page_to_mfn(data2).n;
    struct gnttab_map_grant_ref b = map(8, GNTMAP_host_map, PAGE_SIZE);
    assert_int_equal(b.status, GNTST_okay);
    assert_int_equal(b.dev_bus_addr, a.dev_bus_addr);
    granter->gnttab.frame[0][8].flags = 0;
    granter->gnttab.frame[0][8].domid = 9;
    assert_int_equal(map(8, GNTMAP_host_map, PAGE_SIZE).status, GNTST_general_error);
    assert_int_equal(unmap(a.handle, 0 * PAGE_SIZE, 0), GNTST_okay); /* address 0: nothing asked for */
    assert_int_equal(unmap(a.handle, 3 * PAGE_SIZE, 0), GNTST_general_error);
    assert_int_equal(unmap(b.handle, PAGE_SIZE, 0), GNTST_okay);
    assert_int_equal(data->count, 1);
}

static void devices(void **state) {
    (void)state;
    struct gnttab_map_grant_ref a = map(8, GNTMAP_device_map, 0);
    assert_int_equal(a.status, GNTST_okay);
    assert_int_equal(data->count, 1);
    assert_int_equal(data->type & TYPE_USES, 1);
    assert_int_equal(unmap(a.handle, 0, PAGE_SIZE), GNTST_general_error);
    assert_int_equal(unmap(a.handle, 0, a.dev_bus_addr), GNTST_okay);
    assert_int_equal(data->count, 0);
    a = map(8, GNTMAP_device_map | GNTMAP_host_map | GNTMAP_readonly, PAGE_SIZE);
    assert_int_equal(unmap(a.handle, PAGE_SIZE, 0), GNTST_okay);
    assert_int_equal(flags_of(8), GTF_permit_access | GTF_reading);
    assert_int_equal(unmap(a.handle, 0, a.dev_bus_addr), GNTST_okay);
    assert_int_equal(flags_of(8), GTF_permit_access);
}

static void many_handles(void **state) {
    (void)state;
    static u32 handles[300];
    for (u32 i = 0; i < 300; i++) {
        struct gnttab_map_grant_ref a = map(8, GNTMAP_host_map, (i + 1) * PAGE_SIZE);
        assert_int_equal(a.status, GNTST_okay);
        handles[i] = a.handle;
    }
    for (u32 i = 0; i < 300; i += 2)
        assert_int_equal(unmap(handles[i], (i + 1) * PAGE_SIZE, 0), GNTST_okay);
    assert_int_equal(data->count, 150);
    host_heap_budget = 0; /* free ones are used again */
    assert_int_equal(map(8, GNTMAP_host_map, PAGE_SIZE).status, GNTST_okay);
    for (u32 i = 0; i < 512; i++)
        if (map(8, GNTMAP_host_map, 400 * PAGE_SIZE).status)
            return;
    fail();
}

/* The granter dies and another domain gets its id: unmapping touches only the entry. */
static void granter_dies(void **state) {
    (void)state;
    struct gnttab_map_grant_ref a = map(8, GNTMAP_host_map, PAGE_SIZE);
    gnttab_destroy(granter);
    assert_int_equal(map(8, GNTMAP_host_map, 2 * PAGE_SIZE).status, GNTST_bad_domain);
    assert_int_equal(gnttab_init(granter, 4), 0);
    assert_int_equal(unmap(a.handle, PAGE_SIZE, 0), GNTST_okay);
    assert_int_equal(data->count, 0);
}

static void user_dies(void **state) {
    (void)state;
    map(8, GNTMAP_host_map, PAGE_SIZE);
    map(8, GNTMAP_device_map, 0);
    gnttab_destroy(user);
    assert_int_equal(flags_of(8), GTF_permit_access);
    assert_int_equal(data->count, 1); /* by the entry */
}

static void copies(void **state) {
    (void)state;
    memset(page_to_virt(data), 'g', PAGE_SIZE);
    struct gnttab_copy c[3] = {
        {.source = {.u.ref = 8, .domid = 1, .offset = 4000},
         .dest = {.u.gmfn = page_to_mfn(own).n, .domid = DOMID_SELF, .offset = 4},
         .len = 96,
         .flags = GNTCOPY_source_gref},
        {.source = {.u.gmfn = page_to_mfn(own).n, .domid = DOMID_SELF},
         .dest = {.u.ref = 8, .domid = 1},
         .len = 8,
         .flags = GNTCOPY_dest_gref},
        {.source = {.u.ref = 8, .domid = 1, .offset = 4001},
         .dest = {.u.gmfn = page_to_mfn(own).n, .domid = DOMID_SELF},
         .len = 96,
         .flags = GNTCOPY_source_gref},
    };
    assert_int_equal(call(user, GNTTABOP_copy, c, 3), 0);
    assert_int_equal(c[0].status, GNTST_okay);
    assert_int_equal(c[1].status, GNTST_okay);
    assert_int_equal(c[2].status, GNTST_bad_copy_arg);
    assert_memory_equal((u8 *)page_to_virt(own), "\0\0\0\0gggg", 8);
    assert_memory_equal((u8 *)page_to_virt(data), "\0\0\0\0ggggg", 9);
    c[0].source.domid = 5;
    c[1].dest.u.ref = 20;
    c[2] = (struct gnttab_copy){.source = {.u.gmfn = page_to_mfn(data).n, .domid = 1},
                                .dest = {.u.gmfn = page_to_mfn(own).n, .domid = DOMID_SELF},
                                .len = 1};
    assert_int_equal(call(user, GNTTABOP_copy, c, 3), 0);
    assert_int_equal(c[0].status, GNTST_bad_domain);
    assert_int_equal(c[1].status, GNTST_general_error);
    assert_int_equal(c[2].status, GNTST_permission_denied);
    c[0] = (struct gnttab_copy){.source = {.u.gmfn = page_to_mfn(data).n, .domid = DOMID_SELF},
                                .dest = {.u.gmfn = page_to_mfn(own).n, .domid = DOMID_SELF},
                                .len = 1};
    c[1] = (struct gnttab_copy){.source = {.u.gmfn = page_to_mfn(own).n, .domid = DOMID_SELF},
                                .dest = {.u.gmfn = page_to_mfn(l1).n, .domid = DOMID_SELF},
                                .len = 8};
    assert_int_equal(call(user, GNTTABOP_copy, c, 2), 0);
    assert_int_equal(c[0].status, GNTST_bad_page); /* somebody else's */
    assert_int_equal(c[1].status, GNTST_bad_page); /* a page table */
    assert_int_equal(flags_of(8), GTF_permit_access);
    assert_int_equal(data->count + own->count + l1->count, 0);
    assert_int_equal(granter->gnttab.users + user->gnttab.users, 0);
}

static void preempted(void **state) {
    (void)state;
    struct gnttab_copy c[2] = {0};
    u64 arg[6] = {GNTTABOP_copy, (u64)c, 2};
    host_preempt = true;
    assert_int_equal(gnttab_op(user->vcpu[0], GNTTABOP_copy, arg), -ERESTART);
    assert_int_equal(arg[1], (u64)&c[1]);
    assert_int_equal(arg[2], 1);
    assert_int_equal(gnttab_op(user->vcpu[0], GNTTABOP_copy, arg), 0);
}

/* What only looks like an entry of a validated L1 table of the caller's. */
static void no_entries_to_map_to(void **state) {
    const u64 types[] = {(u64)PT_L1 << TYPE_SHIFT | 1, (u64)PT_L2 << TYPE_SHIFT | TYPE_VALIDATED | 1};
    struct gnttab_map_grant_ref a;
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
        own->type = types[i]; /* half seen; an upper one */
        a = map(8, GNTMAP_host_map | GNTMAP_contains_pte, page_to_mfn(own).n << PAGE_SHIFT);
        assert_int_equal(a.status, GNTST_general_error);
    }
    data2->type = (u64)PT_L1 << TYPE_SHIFT | TYPE_VALIDATED | 1; /* the granter's */
    a = map(8, GNTMAP_host_map | GNTMAP_contains_pte, page_to_mfn(data2).n << PAGE_SHIFT);
    assert_int_equal(a.status, GNTST_general_error);
    own->type = data2->type = 0;
    assert_int_equal(flags_of(8), GTF_permit_access);
}

static s16 map_for(struct domain *d, u32 ref, u64 host_addr) {
    struct gnttab_map_grant_ref op = {.host_addr = host_addr, .flags = GNTMAP_host_map, .ref = ref, .dom = 1};
    assert_int_equal(call(d, GNTTABOP_map_grant_ref, &op, 1), 0);
    return op.status;
}

/* Entries that grant nothing, or are in use by somebody else when their granter has them say another name. */
static void entries_of_another_kind(void **state) {
    static const u16 kinds[] = {GTF_invalid, GTF_accept_transfer, GTF_transitive};
    struct domain *third = host_domain(3, 1);
    struct page *table;
    (void)state;
    assert_int_equal(gnttab_init(third, 1), 0);
    for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
        granter->gnttab.frame[0][9] = (grant_entry_v1_t){kinds[i], 2, (u32)page_to_mfn(data).n};
        assert_int_equal(map(9, GNTMAP_host_map, PAGE_SIZE).status, GNTST_general_error);
    }
    table = frame_of(third);
    table->type = l1->type;
    third->vcpu[0]->base = page_to_mfn(table);
    assert_int_equal(map(8, GNTMAP_host_map, PAGE_SIZE).status, GNTST_okay);
    granter->gnttab.frame[0][8].domid = 3;
    assert_int_equal(map_for(third, 8, PAGE_SIZE), GNTST_general_error);
    assert_int_equal(data->count, 1);
    gnttab_destroy(third);
    host_domain_free(third);
}

/* As many as the domain is allowed, in chunks; those it has stay. */
static void handles_are_limited(void **state) {
    u64 at = page_to_mfn(own).n << PAGE_SHIFT;
    struct gnttab_map_grant_ref m;
    (void)state;
    gnttab_limit_maps(user, 0);
    assert_int_equal(map(8, GNTMAP_device_map | GNTMAP_readonly, at).status, GNTST_no_space);
    gnttab_limit_maps(user, GNTTAB_MAP_CHUNK + 1);
    for (u32 i = 0; i < 2 * GNTTAB_MAP_CHUNK; i++) {
        m = map(8, GNTMAP_device_map | GNTMAP_readonly, at);
        assert_int_equal(m.status, GNTST_okay);
    }
    assert_int_equal(map(8, GNTMAP_device_map | GNTMAP_readonly, at).status, GNTST_no_space);
}

/* There is an end to handles; and each that a failing call reserved, or whose hold it took, is free again. */
static void handles_have_an_end(void **state) {
    u64 bad = page_to_mfn(own).n << PAGE_SHIFT;
    u32 n = 0;
    (void)state;
    for (u32 i = 0; i <= GNTTAB_MAP_CHUNKS * GNTTAB_MAP_CHUNK; i++)
        assert_int_equal(
            map(8, GNTMAP_host_map | GNTMAP_device_map | GNTMAP_contains_pte | GNTMAP_readonly, bad).status,
            GNTST_general_error);
    assert_int_equal(data->count, 0);
    assert_int_equal(user->gnttab.nr_map_chunks, 1);
    while (map(8, GNTMAP_host_map, PAGE_SIZE).status == GNTST_okay && n <= GNTTAB_MAP_CHUNKS * GNTTAB_MAP_CHUNK)
        n++;
    assert_int_equal(n, GNTTAB_MAP_CHUNKS * GNTTAB_MAP_CHUNK);
    assert_int_equal(map(8, GNTMAP_host_map, PAGE_SIZE).status, GNTST_no_space);
}

static s16 copy_one(struct gnttab_copy c) {
    assert_int_equal(call(user, GNTTABOP_copy, &c, 1), 0);
    return c.status;
}

static void copies_stay_in_their_pages(void **state) {
    const struct gnttab_copy_ptr mine = {.u.gmfn = page_to_mfn(own).n, .domid = DOMID_SELF};
    struct gnttab_copy c = {.source = mine, .dest = mine, .len = 8};
    (void)state;
    c.dest.offset = PAGE_SIZE - 7;
    assert_int_equal(copy_one(c), GNTST_bad_copy_arg);
    c.dest.offset = PAGE_SIZE + 1;
    assert_int_equal(copy_one(c), GNTST_bad_copy_arg);
    c.dest.offset = 0;
    c.source.offset = UINT16_MAX;
    assert_int_equal(copy_one(c), GNTST_bad_copy_arg);
    c.source.offset = 0;
    c.source.u.gmfn = 1ul << 40;
    assert_int_equal(copy_one(c), GNTST_bad_page);
    granter->gnttab.frame[0][8].frame = NR_FRAMES;
    c.source = (struct gnttab_copy_ptr){.u.ref = 8, .domid = 1};
    c.flags = GNTCOPY_source_gref;
    assert_int_equal(copy_one(c), GNTST_bad_page);
    assert_int_equal(flags_of(8), GTF_permit_access);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
/* As the control domain's tools have them. Those of a domain that is gone are nobody's to map. */
static void frames_for_tools(void **state) {
    (void)state;
    u64 frame[3] = {0};
    assert_int_equal(gnttab_frames(user, 1, 2, frame), 0);
    assert_int_equal(user->gnttab.nr_frames, 3);
    assert_true(frame[0] == user->gnttab.frame_mfn[1].n && frame[1] == user->gnttab.frame_mfn[2].n && !frame[2]);
    assert_int_equal(gnttab_frames(user, 3, 2, frame), -EINVAL);
    assert_int_equal(user->gnttab.nr_frames, 3);
    assert_int_equal(user->gnttab.users, 0);
    gnttab_destroy(user);
    assert_int_equal(gnttab_frames(user, 0, 1, frame), -ESRCH);
    assert_int_equal(user->gnttab.users, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {T(queries),
                                       T(frames_for_tools),
                                       T(tables),
                                       T(maps),
                                       T(refused_maps),
                                       T(granter_cheats),
                                       T(devices),
                                       T(many_handles),
                                       T(granter_dies),
                                       T(user_dies),
                                       T(copies),
                                       T(preempted),
                                       T(no_entries_to_map_to),
                                       T(entries_of_another_kind),
                                       T(handles_are_limited),
                                       T(handles_have_an_end),
                                       T(copies_stay_in_their_pages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
