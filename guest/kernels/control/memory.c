// SPDX-License-Identifier: MIT
/* Memory of another domain: given, told of, mapped, and made page tables of. */
#include "control.h"

#define NR_PAGES 16
#define NOBODY 999
#define VA (SCRATCH_VA + (2UL << 30))

static domid_t id;
static xen_pfn_t mfns[NR_PAGES];

static long reserve(unsigned cmd, domid_t dom, unsigned long nr, xen_pfn_t *list) {
    struct xen_memory_reservation r = {.nr_extents = nr, .domid = dom};

    set_xen_guest_handle(r.extent_start, list);
    return hv_memory_op(cmd, &r);
}

static long map(unsigned long mfn, uint64_t flags, domid_t owner) {
    struct mmu_update req = {virt_to_machine(pt_make(VA)) | MMU_NORMAL_PT_UPDATE, mfn << PAGE_SHIFT | flags};
    long rc = hv_mmu_update(&req, 1, NULL, owner);

    mmuext_linear(MMUEXT_INVLPG_LOCAL, VA);
    return rc;
}

static long ext(unsigned cmd, unsigned long mfn, domid_t owner) {
    struct mmuext_op ext_op = {.cmd = cmd, .arg1.mfn = mfn};

    return hv_mmuext_op(&ext_op, 1, NULL, owner);
}

static long limit(unsigned cmd, domid_t dom) {
    return hv_memory_op(cmd, &dom);
}

static void check_populate(void) {
    struct multicall_entry call = {.op = __HYPERVISOR_memory_op, .args = {XENMEM_current_reservation}};
    struct xen_domctl_getdomaininfo info;
    domid_t dom = id;
    xen_pfn_t more[64];

    for (unsigned i = 0; i < NR_PAGES; i++)
        mfns[i] = i;
    test_equal("memory.populate", reserve(XENMEM_populate_physmap, id, NR_PAGES, mfns), NR_PAGES);
    get_info(id, &info);
    test_equal("memory.populate.count", (long)info.tot_pages, NR_PAGES);
    test_equal("memory.populate.m2p", (long)mfn_to_pfn(mfns[3]), 3);
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++)
        more[i] = NR_PAGES + i;
    test_equal("memory.populate_beyond", reserve(XENMEM_populate_physmap, id, 64, more), 48);
    test_equal("memory.decrease", reserve(XENMEM_decrease_reservation, id, 48, more), 48);
    test_equal("memory.decrease_not_its", reserve(XENMEM_decrease_reservation, id, 1, &p2m()[5]), 0);
    test_equal("memory.populate_nobody", reserve(XENMEM_populate_physmap, NOBODY, 1, more), 0);
    test_equal("memory.current", limit(XENMEM_current_reservation, id), NR_PAGES);
    test_equal("memory.maximum", limit(XENMEM_maximum_reservation, id), 64);
    test_equal("memory.current_nobody", limit(XENMEM_current_reservation, NOBODY), -XEN_ESRCH);
    test_equal("memory.gpfn", limit(XENMEM_maximum_gpfn, id), 0);
    call.args[1] = ARG(&dom);
    test_equal("memory.multicall", hypercall2(__HYPERVISOR_multicall, &call, 1), 0);
    test_equal("memory.multicall.result", (long)call.result, NR_PAGES);
    test_equal("memory.sharing", limit(XENMEM_get_sharing_shared_pages, id), 0);
}

static void check_map_told(void) {
    struct {
        uint64_t addr, size;
        uint32_t type;
    } __attribute__((packed)) ram[2] = {{0, NR_PAGES << PAGE_SHIFT, 1}};
    struct xen_foreign_memory_map f = {.domid = id, .map.nr_entries = 1};

    set_xen_guest_handle(f.map.buffer, ram);
    test_equal("memory.map_told", hv_memory_op(XENMEM_set_memory_map, &f), 0);
    f.map.nr_entries = 10000;
    test_equal("memory.map_long", hv_memory_op(XENMEM_set_memory_map, &f), -XEN_EINVAL);
    f.map.nr_entries = 1;
    f.domid = NOBODY;
    test_equal("memory.map_nobody", hv_memory_op(XENMEM_set_memory_map, &f), -XEN_ESRCH);
    f.domid = id;
    set_xen_guest_handle(f.map.buffer, (void *)SCRATCH_VA);
    test_equal("memory.map_unreadable", hv_memory_op(XENMEM_set_memory_map, &f), -XEN_EFAULT);
}

static long claim(domid_t dom, unsigned long nr) {
    return reserve(XENMEM_claim_pages, dom, nr, NULL);
}

static void check_claims(void) {
    struct xen_domctl_getdomaininfo info;
    xen_pfn_t pfns[4] = {20, 21, 22, 23};

    test_equal("memory.claim_less", claim(id, NR_PAGES), -XEN_EINVAL);
    test_equal("memory.claim_beyond", claim(id, 65), -XEN_EINVAL);
    test_equal("memory.claim_nobody", claim(NOBODY, 1), -XEN_EINVAL);
    test_equal("memory.claim_list", reserve(XENMEM_claim_pages, id, 40, pfns), -XEN_EINVAL);
    test_equal("memory.claim", claim(id, 40), 0);
    get_info(id, &info);
    test_equal("memory.claim.outstanding", (long)info.outstanding_pages, 40 - NR_PAGES);
    sclean();
    sysctl(XEN_SYSCTL_physinfo);
    test_equal("memory.claim.of_host", (long)sop.u.physinfo.outstanding_pages, 40 - NR_PAGES);
    test_equal("memory.claim_again", claim(id, 41), -XEN_EINVAL);
    test_equal("memory.claim_used", reserve(XENMEM_populate_physmap, id, 4, pfns), 4);
    get_info(id, &info);
    test_equal("memory.claim_used.left", (long)info.outstanding_pages, 40 - NR_PAGES - 4);
    test_equal("memory.claim_ended", claim(id, 0), 0);
    get_info(id, &info);
    test_equal("memory.claim_ended.left", (long)info.outstanding_pages, 0);
    reserve(XENMEM_decrease_reservation, id, 4, pfns);
    clean()->u.max_mem.max_memkb = 1UL << 30;
    domctl(XEN_DOMCTL_max_mem, id);
    test_equal("memory.claim_too_much", claim(id, 1UL << 27), -XEN_ENOMEM);
    clean()->u.max_mem.max_memkb = 64 * 4;
    domctl(XEN_DOMCTL_max_mem, id);
}

static void check_mappings(void) {
    volatile unsigned long *word = (void *)VA;

    test_equal("memory.foreign", map(mfns[0], PTE_KERNEL, id), 0);
    *word = 0x1234;
    test_equal("memory.foreign_other", map(mfns[1], PTE_KERNEL, id), 0);
    test_equal("memory.foreign_cleared", (long)*word, 0);
    test_equal("memory.foreign_again", map(mfns[0], PTE_KERNEL_RO, id), 0);
    test_equal("memory.foreign_content", (long)*word, 0x1234);
    test_equal("memory.as_own", map(mfns[0], PTE_KERNEL, DOMID_SELF), -XEN_EBUSY);
    test_equal("memory.own_as_foreign", map(virt_to_mfn(start_info), PTE_KERNEL_RO, id), -XEN_EBUSY);
    test_equal("memory.foreign_nobody", map(mfns[0], PTE_KERNEL, NOBODY), -XEN_ESRCH);
    test_equal("memory.foreign_cleared_entry", map(0, 0, id), 0);
    test_equal("memory.otherdomain",
               hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, VA, mfns[0] << PAGE_SHIFT | PTE_KERNEL_RO,
                          UVMF_INVLPG, id),
               0);
    test_equal("memory.otherdomain.content", (long)*word, 0x1234);
    pt_unmap(VA);
}

static long frame_type(unsigned long mfn) {
    static uint64_t word;

    word = mfn;
    clean()->u.getpageframeinfo3.num = 1;
    set_xen_guest_handle(op.u.getpageframeinfo3.array, &word);
    return domctl(XEN_DOMCTL_getpageframeinfo3, id) ? -1 : (long)word;
}

/* A frame is a table or writable, whoever maps it. */
static void check_tables(void) {
    map(mfns[1], PTE_KERNEL, id);
    test_equal("memory.pin_while_writable", ext(MMUEXT_PIN_L1_TABLE, mfns[1], id), -XEN_EINVAL);
    map(mfns[1], PTE_KERNEL_RO, id);
    test_equal("memory.pin", ext(MMUEXT_PIN_L1_TABLE, mfns[1], id), 0);
    test_equal("memory.type_l1", frame_type(mfns[1]), (long)(XEN_DOMCTL_PFINFO_L1TAB | XEN_DOMCTL_PFINFO_LPINTAB));
    test_equal("memory.type_none", frame_type(mfns[2]), 0);
    test_equal("memory.type_not_its", frame_type(p2m()[5]), (long)XEN_DOMCTL_PFINFO_XTAB);
    test_equal("memory.type_no_frame", frame_type(1UL << 40), (long)XEN_DOMCTL_PFINFO_XTAB);
    test_equal("memory.table_writable", map(mfns[1], PTE_KERNEL, id), -XEN_EBUSY);
    test_equal("memory.pin_again", ext(MMUEXT_PIN_L1_TABLE, mfns[1], id), -XEN_EINVAL);
    test_equal("memory.pin_not_its", ext(MMUEXT_PIN_L1_TABLE, p2m()[5], id), -XEN_EINVAL);
    test_equal("memory.base_of_other", ext(MMUEXT_NEW_BASEPTR, mfns[1], id), -XEN_EPERM);
    test_equal("memory.flush_of_other", ext(MMUEXT_TLB_FLUSH_ALL, 0, id), -XEN_EPERM);
    test_equal("memory.unpin", ext(MMUEXT_UNPIN_TABLE, mfns[1], id), 0);
    test_equal("memory.unpin_again", ext(MMUEXT_UNPIN_TABLE, mfns[1], id), -XEN_EINVAL);
    test_equal("memory.writable_again", map(mfns[1], PTE_KERNEL, id), 0);
    pt_unmap(VA);
    clean()->u.getpageframeinfo3.num = 1025;
    test_equal("memory.types_many", domctl(XEN_DOMCTL_getpageframeinfo3, id), -XEN_E2BIG);
}

/* An entry of another domain's table, and what it maps. */
static void check_other_tables(void) {
    unsigned long machine = mfns[1] << PAGE_SHIFT;
    struct mmu_update req = {machine | MMU_NORMAL_PT_UPDATE, mfns[2] << PAGE_SHIFT | PTE_KERNEL};

    ext(MMUEXT_PIN_L1_TABLE, mfns[1], id);
    test_equal("memory.update_other", hv_mmu_update(&req, 1, NULL, (domid_t)id), -XEN_EINVAL);
    test_equal("memory.update_in_other",
               hypercall4(__HYPERVISOR_mmu_update, &req, 1, NULL, (unsigned long)(id + 1) << 16 | id), 0);
    req.val = p2m()[5] << PAGE_SHIFT | PTE_KERNEL;
    test_equal("memory.own_in_other",
               hypercall4(__HYPERVISOR_mmu_update, &req, 1, NULL, (unsigned long)(id + 1) << 16 | id), -XEN_EBUSY);
    req.ptr = mfns[4] << PAGE_SHIFT | MMU_MACHPHYS_UPDATE;
    req.val = 77;
    test_equal("memory.m2p_of_other", hv_mmu_update(&req, 1, NULL, id), 0);
    test_equal("memory.m2p_of_other.value", (long)mfn_to_pfn(mfns[4]), 77);
    test_equal("memory.m2p_not_own", hv_mmu_update(&req, 1, NULL, DOMID_SELF), -XEN_EINVAL);
    ext(MMUEXT_UNPIN_TABLE, mfns[1], id);
}

static long acquire(unsigned type, unsigned res, unsigned long frame, unsigned nr, xen_pfn_t *list) {
    struct xen_mem_acquire_resource r = {
        .domid = id, .type = (uint16_t)type, .id = res, .nr_frames = nr, .frame = frame};
    long rc;

    set_xen_guest_handle(r.frame_list, list);
    rc = hv_memory_op(XENMEM_acquire_resource, &r);
    return !rc && !list ? (long)r.nr_frames : rc;
}

static void check_grant_frames(void) {
    struct mmu_update req = {virt_to_machine(pt_make(VA)) | MMU_PT_UPDATE_NO_TRANSLATE, 0};
    struct gnttab_query_size size = {.dom = id};
    struct gnttab_setup_table setup = {.dom = id, .nr_frames = 2};
    xen_pfn_t told[2] = {0};
    xen_pfn_t list[4] = {0};
    grant_entry_v1_t *entry = (void *)VA;

    test_equal("memory.acquire_size", acquire(XENMEM_resource_grant_table, 0, 0, 0, NULL), 64);
    test_equal("memory.acquire", acquire(XENMEM_resource_grant_table, 0, 0, 2, list), 0);
    test_equal("memory.acquire_beyond", acquire(XENMEM_resource_grant_table, 0, 64, 1, list), -XEN_EINVAL);
    test_equal("memory.acquire_type", acquire(77, 0, 0, 1, list), -XEN_EOPNOTSUPP);
    req.val = list[0] << PAGE_SHIFT | PTE_KERNEL;
    test_equal("memory.acquire_map", hv_mmu_update(&req, 1, NULL, id), 0);
    entry[1].domid = 0;
    entry[1].frame = (uint32_t)mfns[5];
    entry[1].flags = GTF_permit_access;
    pt_unmap(VA);
    test_equal("memory.grant_size", hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, &size, 1), 0);
    test_equal("memory.grant_size.frames", size.nr_frames, 2);
    set_xen_guest_handle(setup.frame_list, told);
    test_equal("memory.grant_setup", hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, &setup, 1), 0);
    test_equal("memory.grant_setup.status", setup.status, GNTST_okay);
    test_check("memory.grant_setup.frames", told[0] == list[0] && told[1] == list[1], "%lx %lx", told[0], told[1]);
}

static void check_hypercall_page(void) {
    clean()->u.hypercall_init.gmfn = p2m()[5];
    test_equal("memory.hypercall_page_not_its", domctl(XEN_DOMCTL_hypercall_init, id), -XEN_EINVAL);
    clean()->u.hypercall_init.gmfn = mfns[6];
    test_equal("memory.hypercall_page", domctl(XEN_DOMCTL_hypercall_init, id), 0);
    map(mfns[6], PTE_KERNEL_RO, id);
    test_check("memory.hypercall_page.filled", *(volatile unsigned *)VA != 0, "nothing");
    pt_unmap(VA);
}

static void check_events_of_other(void) {
    struct evtchn_status status = {.dom = id};
    long port = event_alloc_unbound(id, DOMID_SELF);

    test_check("memory.port_of_other", port > 0, "%ld", port);
    status.port = (evtchn_port_t)port;
    test_equal("memory.port_status", hypercall2(__HYPERVISOR_event_channel_op, EVTCHNOP_status, &status), 0);
    test_equal("memory.port_status.state", status.status, EVTCHNSTAT_unbound);
    status.port = 1024;
    test_equal("memory.port_beyond", hypercall2(__HYPERVISOR_event_channel_op, EVTCHNOP_status, &status), -XEN_EINVAL);
    status.port = 1;
    status.dom = NOBODY;
    test_equal("memory.port_nobody", hypercall2(__HYPERVISOR_event_channel_op, EVTCHNOP_status, &status), -XEN_ESRCH);
    for (unsigned i = 0; i < 1100 && port > 0; i++)
        port = event_alloc_unbound(id, DOMID_SELF);
    test_equal("memory.ports_limit", port, -XEN_ENOSPC);
}

/* One that is mapped outlives its domain. */
static void check_held(void) {
    struct xen_domctl_getdomaininfo info;

    map(mfns[0], PTE_KERNEL, id);
    test_equal("memory.destroy_held", destroy_domain(id), 0);
    test_check("memory.held", get_info(id, &info), "gone while a frame is mapped");
    test_equal("memory.held.flags", info.flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown), XEN_DOMINF_dying);
    test_equal("memory.held.pages", (long)info.tot_pages, 1);
    test_equal("memory.held.content", (long)*(volatile unsigned long *)VA, 0x1234);
    test_equal("memory.held_destroy", destroy_domain(id), 0);
    clean();
    test_check("memory.held_time", domctl(XEN_DOMCTL_settimeoffset, id) <= 0, "no domain");
    clean();
    test_check("memory.held_unpause", domctl(XEN_DOMCTL_unpausedomain, id) <= 0, "no domain");
    test_equal("memory.held_populate", reserve(XENMEM_populate_physmap, id, 1, mfns), 0);
    pt_unmap(VA);
    for (unsigned i = 0; i < 1000 && get_info(id, &info); i++)
        clock_sleep(MILLISECOND);
    test_check("memory.released", !get_info(id, &info), "still there, %lu pages", info.tot_pages);
}

void check_memory(void) {
    id = make_domain(1, 64);
    check_populate();
    check_map_told();
    check_claims();
    check_mappings();
    check_tables();
    check_other_tables();
    check_grant_frames();
    check_hypercall_page();
    check_events_of_other();
    check_held();
}

/* The machine-to-physical table, mapped as tools do: in pieces of 2 MiB, read-only. */
void check_m2p(void) {
    struct xen_machphys_mfn_list l = {.max_extents = 64};
    unsigned long own = virt_to_mfn(start_info), at = own * 8 % (2UL << 20);
    static xen_pfn_t list[64];
    long pages = hv_memory_op(XENMEM_maximum_ram_page, NULL);

    set_xen_guest_handle(l.extent_start, list);
    test_equal("m2p.list", hv_memory_op(XENMEM_machphys_mfn_list, &l), 0);
    test_check("m2p.list.count", l.nr_extents >= 1 && l.nr_extents <= (unsigned long)pages * 8 / (2UL << 20) + 1, "%u",
               l.nr_extents);
    test_equal("m2p.map", map(list[own * 8 / (2UL << 20)] + at / PAGE_SIZE, PTE_KERNEL_RO, DOMID_XEN), 0);
    test_equal("m2p.entry", *(volatile long *)(VA + at % PAGE_SIZE), (long)virt_to_pfn(start_info));
    test_equal("m2p.map_last", map(list[0] + 511, PTE_KERNEL_RO, DOMID_XEN), 0);
    test_equal("m2p.writable", map(list[0], PTE_KERNEL, DOMID_XEN), -XEN_EBUSY);
    test_equal("m2p.as_own", map(list[0], PTE_KERNEL_RO, DOMID_SELF), -XEN_EBUSY);
    test_equal("m2p.own_as_host", map(own, PTE_KERNEL_RO, DOMID_XEN), -XEN_EBUSY);
    pt_unmap(VA);
}
