// SPDX-License-Identifier: MIT
/*
 * Frames and page tables: reaching memory of others, and making page tables writable.
 */
#include "hostile.h"

#define RAM 1

struct e820 {
    uint64_t addr, size;
    uint32_t type;
} __attribute__((packed));

static uint64_t *entry;

/* Frames that we share with the hypervisor: ours, and yet no part of our pseudo-physical memory. */
static struct {
    unsigned long frame[1 + 8];
    unsigned nr;
} shared;

static void list_shared_frames(void) {
    struct gnttab_query_size size = {.dom = DOMID_SELF};
    struct gnttab_setup_table setup = {.dom = DOMID_SELF};

    shared.frame[0] = start_info->shared_info >> PAGE_SHIFT;
    shared.nr = 1;
    hv_grant_table_op(GNTTABOP_query_size, &size, 1);
    setup.nr_frames = size.nr_frames;
    set_xen_guest_handle(setup.frame_list, shared.frame + 1);
    if (!test_check("map.own_grant_table", size.status == GNTST_okay && size.nr_frames < ARRAY_SIZE(shared.frame),
                    "status %d, %u frames", size.status, size.nr_frames) ||
        !size.nr_frames)
        return;
    hv_grant_table_op(GNTTABOP_setup_table, &setup, 1);
    if (setup.status == GNTST_okay)
        shared.nr += size.nr_frames;
}

static bool is_ours(unsigned long mfn) {
    unsigned long pfn;
    struct probe p;

    for (unsigned i = 0; i < shared.nr; i++)
        if (mfn == shared.frame[i])
            return true;
    return probe_read(&p, &machine_to_phys_mapping[mfn], &pfn) && pfn < start_info->nr_pages && pfn_to_mfn(pfn) == mfn;
}

/* How many frames that are not ours can be mapped writable, of one in `step` between two bounds. */
static unsigned sweep(unsigned long from, unsigned long to, unsigned long step, unsigned long *example) {
    unsigned hits = 0;

    for (unsigned long mfn = from; mfn < to; mfn += step) {
        if (is_ours(mfn) || pt_write(entry, mfn << PAGE_SHIFT | PTE_KERNEL))
            continue;
        hits++;
        *example = mfn;
        pt_write(entry, 0);
    }
    return hits;
}

/* The same frames, read by having them copied into a page of ours. */
static unsigned sweep_copies(unsigned long from, unsigned long to, unsigned long step, unsigned long *example) {
    void *page = page_alloc();
    struct mmuext_op op = {.cmd = MMUEXT_COPY_PAGE, .arg1.mfn = virt_to_mfn(page)};
    unsigned hits = 0;

    for (unsigned long mfn = from; mfn < to; mfn += step) {
        op.arg2.src_mfn = mfn;
        if (is_ours(mfn) || hv_mmuext_op(&op, 1, NULL, DOMID_SELF))
            continue;
        hits++;
        *example = mfn;
    }
    page_free(page);
    return hits;
}

/* A privileged domain may map device memory, so for it only RAM counts. */
static unsigned sweep_ram(unsigned long *example) {
    static struct e820 map[128];
    struct xen_memory_map op = {.nr_entries = ARRAY_SIZE(map)};
    unsigned hits = 0;

    set_xen_guest_handle(op.buffer, map);
    if (hv_memory_op(XENMEM_machine_memory_map, &op))
        return 0;
    for (unsigned i = 0; i < op.nr_entries; i++)
        if (map[i].type == RAM && map[i].addr >= 0x100000)
            hits += sweep((map[i].addr + PAGE_SIZE - 1) >> PAGE_SHIFT, (map[i].addr + map[i].size) >> PAGE_SHIFT, 61,
                          example);
    return hits;
}

static void attack_sweep(void) {
    unsigned long example = 0, top = (unsigned long)hv_memory_op(XENMEM_maximum_ram_page, NULL);
    unsigned hits;

    list_shared_frames();
    hits = is_control_domain() ? sweep_ram(&example) : sweep(0, top + 1024, 61, &example);
    test_check("map.foreign_sweep", !hits, "%u frames, such as 0x%lx", hits, example);
    hits = is_control_domain() ? 0 : sweep_copies(0, top + 1024, 61, &example);
    test_check("map.foreign_copies", !hits, "%u frames, such as 0x%lx", hits, example);
    refused("map.beyond_memory", pt_write(entry, 0xffffffffffUL << PAGE_SHIFT | PTE_KERNEL));
    refused("map.reserved_bits", pt_write(entry, 0x8000000000000UL | PTE_KERNEL));
}

static void attack_table_writable(void) {
    static const char *const names[] = {"", "map.l1_writable", "map.l2_writable", "map.l3_writable", "map.l4_writable"};

    for (unsigned level = 1; level <= 4; level++) {
        uint64_t table = virt_to_machine(pt_entry(SCRATCH_VA, level)) & PAGE_MASK;

        refused(names[level], pt_write(entry, table | PTE_KERNEL));
        test_check("map.table_read_only", !pt_write(entry, table | PTE_KERNEL_RO), "a read-only mapping was refused");
        refused("map.table_upgraded", pt_write(entry, table | PTE_KERNEL));
        pt_write(entry, 0);
    }
}

/* The same by writing to the table as if it were memory: refused means a fault, and nothing changed. */
static void attack_by_trap(void) {
    uint64_t wanted[] = {(virt_to_machine(entry) & PAGE_MASK) | PTE_KERNEL, virt_to_machine(pt_root()) | PTE_KERNEL,
                         0xffffffffffUL << PAGE_SHIFT | PTE_KERNEL, 0x8000000000000UL | PTE_KERNEL};
    uint64_t *l4 = pt_root();
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
        probe_write(&p, entry, wanted[i]);
        test_check("trap_write.l1", p.trapped && !(*entry & PTE_P), "%s, entry 0x%lx", probe_describe(&p), *entry);
        pt_write(entry, 0);
    }
    probe_write(&p, pt_entry(SCRATCH_VA, 2) + 9, virt_to_machine(l4) | PTE_TABLE);
    test_check("trap_write.l2", p.trapped, "accepted");
    probe_write(&p, &l4[300], virt_to_machine(l4) | PTE_TABLE);
    test_check("trap_write.l4", p.trapped, "accepted");
    probe_write(&p, &l4[256], l4[pt_index(DIRECT_MAP, 4)]);
    test_check("trap_write.l4_slot_256", p.trapped, "accepted");
}

/* Entries above the leaves: large pages, tables that are not tables, the hypervisor's own slots. */
static void attack_upper_levels(void) {
    uint64_t *data = page_alloc(), *fake = page_alloc();
    unsigned long free_va = SCRATCH_VA + (3UL << 30);
    uint64_t *l2, *l3 = pt_entry(free_va, 3), *l4 = pt_root();

    pt_make(SCRATCH_VA + (2UL << 30));
    l2 = pt_entry(SCRATCH_VA + (2UL << 30) + (4UL << 20), 2);
    fake[0] = virt_to_machine(pt_root()) | PTE_KERNEL;
    refused("map.l2_large", pt_write(l2, (virt_to_machine(data) & ~0x1fffffUL) | PTE_KERNEL | PTE_PSE));
    refused("map.l3_large", pt_write(l3, PTE_KERNEL | PTE_PSE));
    refused("map.l2_to_writable", pt_write(l2, virt_to_machine(data) | PTE_TABLE));
    page_protect(fake);
    refused("map.l2_to_bad_table", pt_write(l2, virt_to_machine(fake) | PTE_TABLE));
    refused("map.l2_to_l4", pt_write(l2, virt_to_machine(l4) | PTE_TABLE));
    refused("map.l3_to_l1", pt_write(l3, (virt_to_machine(entry) & PAGE_MASK) | PTE_TABLE));
    refused("map.l4_to_self_writable", pt_write(&l4[300], virt_to_machine(l4) | PTE_TABLE));
    refused("map.l4_slot_256", pt_write(&l4[256], l4[pt_index(DIRECT_MAP, 4)]));
    refused("map.l4_slot_257", pt_write(&l4[257], l4[pt_index(DIRECT_MAP, 4)]));
    refused("map.l4_slot_271_clear", pt_write(&l4[271], 0));
    refused("map.l4_large", pt_write(&l4[301], virt_to_machine(data) | PTE_KERNEL | PTE_PSE));
    page_unprotect(fake);
    page_free(fake);
    page_free(data);
}

static void attack_pins(void) {
    uint64_t *data = page_alloc(), *bad = page_alloc();
    unsigned long l4 = virt_to_mfn(pt_root()), l1 = virt_to_mfn(entry);

    for (unsigned cmd = MMUEXT_PIN_L1_TABLE; cmd <= MMUEXT_PIN_L4_TABLE; cmd++) {
        refused("pin.writable", mmuext(cmd, virt_to_mfn(data)));
        refused("pin.beyond_memory", mmuext(cmd, 0xffffffffff));
    }
    refused("pin.l4_as_l1", mmuext(MMUEXT_PIN_L1_TABLE, l4));
    refused("pin.l1_as_l4", mmuext(MMUEXT_PIN_L4_TABLE, l1));
    refused("pin.unpin_unpinned", mmuext(MMUEXT_UNPIN_TABLE, l1));
    refused("pin.unpin_data", mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(data)));
    bad[7] = virt_to_machine(pt_root()) | PTE_KERNEL;
    page_protect(bad);
    refused("pin.bad_content", mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(bad)));
    test_equal("pin.bad_released", page_unprotect(bad), 0);
    refused("root.l1", mmuext(MMUEXT_NEW_BASEPTR, l1));
    refused("root.data", mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(data)));
    refused("root.beyond_memory", mmuext(MMUEXT_NEW_BASEPTR, 0xffffffffff));
    refused("root.user_l1", mmuext(MMUEXT_NEW_USER_BASEPTR, l1));
    refused("root.user_data", mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(data)));
    refused("page.clear_table", mmuext(MMUEXT_CLEAR_PAGE, l4));
    bad[7] = 0;
    page_free(bad);
    page_free(data);
}

/* Through the window between a mapping's removal and the flush: the frame must not be a table meanwhile. */
static void attack_stale_tlb(void) {
    uint64_t *page = page_alloc();
    volatile uint64_t *alias = (void *)SCRATCH_VA;
    struct probe p;

    pt_map_page(SCRATCH_VA, page, PTE_KERNEL);
    *alias = 0;
    page_protect(page);
    hv_update_va_mapping(SCRATCH_VA, 0, UVMF_NONE);
    if (!test_equal("stale.pin", mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page)), 0))
        return;
    probe_write(&p, alias, virt_to_machine(pt_root()) | PTE_KERNEL);
    test_check("stale.write", page[0] == 0, "a page table was written through a stale mapping");
    mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page));
    page_unprotect(page);
    page_free(page);
}

void attack_maps(void) {
    entry = pt_make(SCRATCH_VA);
    attack_sweep();
    attack_table_writable();
    attack_by_trap();
    attack_upper_levels();
    attack_pins();
    attack_stale_tlb();
}
