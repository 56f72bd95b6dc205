// SPDX-License-Identifier: MIT
/*
 * More than a grant gives: the backend has grants of the frontend's that are for reading, for a stranger, for a
 * transfer, over, or of a frame that is a page table. It takes each for more than that, and the frames for its own.
 * Then the frontend changes its entries, makes tables of its frames or gives them up while they are mapped.
 */
#include "feud.h"

#define PATTERN 0x6f776e65722773UL
#define DATA_SEGMENT 0x00cff3000000ffffUL /* of user mode: a good descriptor, so only the page is wrong */
#define STRANGER ((domid_t)0x7ee0)
#define OWN 4 /* slots of the window: 0 is the board's */

static uint64_t *page, *second; /* the frontend's */
static uint64_t *own;           /* the backend's */
static struct mapping mapping, other;

static volatile uint64_t *at(const struct mapping *m) {
    return (volatile uint64_t *)m->at;
}

/* --- rights --- */

static void offer_rights(void) {
    page = page_alloc();
    second = page_alloc();
    page[0] = second[0] = PATTERN;
    page[1] = DATA_SEGMENT;
    grant_access(REF_READ, ch.peer, virt_to_mfn(page), true);
    grant_access(REF_STRANGER, STRANGER, virt_to_mfn(page), false);
    grant_access(REF_NOTHING, ch.peer, virt_to_mfn(page), false);
    own_grants[REF_NOTHING].flags = 0;
    own_grants[REF_TRANSFER] = (grant_entry_v1_t){GTF_accept_transfer, STRANGER, 5};
    board->mfn[0] = virt_to_mfn(page);
    board->entry = virt_to_machine(pt_entry(ARG(second), 1));
    board->table = virt_to_mfn(pt_root());
    board->mfn[1] = *pt_entry(ARG(own_grants), 1) >> PAGE_SHIFT & 0xffffffffff;
}

/* Every reference there is and some more: only the board and the channel may be written. */
static void take_every_reference(void) {
    static const grant_ref_t wild[] = {512, 1000, 0x7fffffff, 0xffffffff};
    unsigned written = 0, read = 0;
    struct mapping m;

    for (grant_ref_t ref = 0; ref < 512 + ARRAY_SIZE(wild); ref++) {
        grant_ref_t r = ref < 512 ? ref : wild[ref - 512];

        if (r == REF_BOARD || r == ch.ref)
            continue;
        if (map_grant(OWN, r, 0, &m) == GNTST_okay)
            written++, unmap_grant(&m);
        if (r != REF_READ && map_grant(OWN, r, GNTMAP_readonly, &m) == GNTST_okay)
            read++, unmap_grant(&m);
    }
    test_equal("rights.written", written, 0);
    test_equal("rights.read", read, 0);
    test_check("rights.device", map_grant(OWN, REF_READ, GNTMAP_device_map, NULL) < 0, "writable for a device");
}

/* A page that may be read, by all the ways to change an entry. */
static void make_it_writable(void) {
    uint64_t value = board->mfn[0] << PAGE_SHIFT | PTE_KERNEL;
    uint64_t *entry;
    mmu_update_t u;
    struct probe p;

    test_equal("writable.map", map_grant(OWN, REF_READ, GNTMAP_readonly, &mapping), GNTST_okay);
    test_equal("writable.content", (long)*at(&mapping), PATTERN);
    entry = pt_entry(mapping.at, 1);
    u = (mmu_update_t){virt_to_machine(entry), value};
    trapped("writable.write", probe_write(&p, at(&mapping), 1));
    refused("writable.va_mapping", hv_update_va_mapping(mapping.at, value, UVMF_INVLPG));
    refused("writable.mmu_update", hv_mmu_update(&u, 1, NULL, DOMID_SELF));
    refused("writable.of_peer", hv_mmu_update(&u, 1, NULL, ch.peer));
    u.ptr |= MMU_PT_UPDATE_PRESERVE_AD;
    refused("writable.preserve", hv_mmu_update(&u, 1, NULL, DOMID_SELF));
    u.ptr = virt_to_machine(entry) | MMU_PT_UPDATE_NO_TRANSLATE;
    refused("writable.untranslated", hv_mmu_update(&u, 1, NULL, DOMID_SELF));
    probe_write(&p, entry, value);
    test_check("writable.by_trap", !(*entry & PTE_RW), "0x%lx", *entry);
    trapped("writable.write_again", probe_write(&p, at(&mapping), 1));
}

static int16_t copy(uint64_t from, bool is_ref, domid_t whose, unsigned long to) {
    struct gnttab_copy op = {.len = 64, .flags = is_ref ? GNTCOPY_source_gref : 0};

    if (is_ref)
        op.source.u.ref = (grant_ref_t)from;
    else
        op.source.u.gmfn = from;
    op.source.domid = whose;
    op.dest.u.gmfn = to;
    op.dest.domid = DOMID_SELF;
    hv_grant_table_op(GNTTABOP_copy, &op, 1);
    return op.status;
}

int16_t copy_to_ref(grant_ref_t ref, const void *from, uint16_t len) {
    struct gnttab_copy op = {.len = len, .flags = GNTCOPY_dest_gref};

    op.source.u.gmfn = virt_to_mfn(from);
    op.source.domid = DOMID_SELF;
    op.dest.u.ref = ref;
    op.dest.domid = ch.peer;
    hv_grant_table_op(GNTTABOP_copy, &op, 1);
    return op.status;
}

static void copy_it(void) {
    unsigned long mine = virt_to_mfn(own = page_alloc());

    test_equal("copy.granted", copy(REF_READ, true, ch.peer, mine), GNTST_okay);
    refused("copy.to_read_only", copy_to_ref(REF_READ, own, 64));
    refused("copy.of_stranger", copy(REF_STRANGER, true, ch.peer, mine));
    refused("copy.to_stranger", copy_to_ref(REF_STRANGER, own, 64));
    refused("copy.of_nothing", copy(REF_NOTHING, true, ch.peer, mine));
    refused("copy.to_transfer", copy_to_ref(REF_TRANSFER, own, 64));
    refused("copy.frame_of_peer", copy(board->mfn[0], false, ch.peer, mine));
    refused("copy.frame_as_own", copy(board->mfn[0], false, DOMID_SELF, mine));
    refused("copy.to_frame_as_own", copy(mine, false, DOMID_SELF, board->mfn[0]));
    refused("copy.to_grant_table", copy(mine, false, DOMID_SELF, board->mfn[1]));
    refused("copy.to_root", copy(mine, false, DOMID_SELF, board->table));
}

static long memory_op(unsigned cmd, unsigned long mfn) {
    static xen_pfn_t in, out;
    struct xen_memory_exchange x = {.in = {.nr_extents = 1, .domid = DOMID_SELF},
                                    .out = {.nr_extents = 1, .domid = DOMID_SELF}};

    in = mfn;
    out = start_info->nr_pages + 7;
    set_xen_guest_handle(x.in.extent_start, &in);
    set_xen_guest_handle(x.out.extent_start, &out);
    return cmd == XENMEM_exchange ? hv_memory_op(cmd, &x) : hv_memory_op(cmd, &x.in);
}

static int16_t transfer(unsigned long mfn, domid_t to, grant_ref_t ref) {
    struct gnttab_transfer op = {.mfn = mfn, .domid = to, .ref = ref, .status = 99};

    hv_grant_table_op(GNTTABOP_transfer, &op, 1);
    return op.status;
}

static long place_info(unsigned long mfn) {
    struct vcpu_register_vcpu_info info = {.mfn = mfn};

    return hv_vcpu_op(VCPUOP_register_vcpu_info, 1, &info);
}

/* The frame is mapped here, and all the same it is the other's. */
static void own_it(void) {
    static const struct {
        const char *name;
        unsigned cmd;
    } ops[] = {
        {"own.pin_l1", MMUEXT_PIN_L1_TABLE},
        {"own.pin_l2", MMUEXT_PIN_L2_TABLE},
        {"own.pin_l3", MMUEXT_PIN_L3_TABLE},
        {"own.pin_l4", MMUEXT_PIN_L4_TABLE},
        {"own.unpin", MMUEXT_UNPIN_TABLE},
        {"own.root", MMUEXT_NEW_BASEPTR},
        {"own.user_root", MMUEXT_NEW_USER_BASEPTR},
        {"own.clear", MMUEXT_CLEAR_PAGE},
        {"own.copy", MMUEXT_COPY_PAGE},
    };
    unsigned long mfn = board->mfn[0];
    mmu_update_t write = {mfn << PAGE_SHIFT, 1}, m2p = {mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 1};

    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
        refused(ops[i].name, mmuext(ops[i].cmd, mfn));
    refused("own.gdt", hv_set_gdt(&mfn, 512));
    refused("own.link_l1", pt_write(pt_entry(WINDOW, 2) + 7, mfn << PAGE_SHIFT | PTE_TABLE));
    refused("own.link_root", pt_write(&pt_root()[400], board->table << PAGE_SHIFT | PTE_TABLE));
    refused("own.write", hv_mmu_update(&write, 1, NULL, DOMID_SELF));
    refused("own.m2p", hv_mmu_update(&m2p, 1, NULL, DOMID_SELF));
    refused("own.exchange", memory_op(XENMEM_exchange, mfn));
    test_check("own.give_up", memory_op(XENMEM_decrease_reservation, mfn) <= 0, "given up");
    refused("own.transfer", transfer(mfn, ch.peer, REF_TRANSFER));
    refused("own.vcpu_info", place_info(mfn));
    refused("own.map_again", hv_update_va_mapping(WINDOW + 9 * PAGE_SIZE, mfn << PAGE_SHIFT | PTE_KERNEL_RO, 0));
    refused("own.grant_table",
            hv_update_va_mapping(WINDOW + 9 * PAGE_SIZE, board->mfn[1] << PAGE_SHIFT | PTE_KERNEL, 0));
    grant_access(REF_BACK, ch.peer, mfn, false);
}

static void load_es(void *selector) {
    __asm__ volatile("mov %k0, %%es\n\tmov %k1, %%es" ::"r"(selector), "r"(0));
}

/* The other could write descriptors that are in use. */
static void use_as_ldt(void) {
    struct mmuext_op op = {.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = mapping.at, .arg2.nr_ents = 512};
    struct probe p;

    if (!hv_mmuext_op(&op, 1, NULL, DOMID_SELF))
        trapped("own.ldt", probe_run(&p, load_es, (void *)0xf));
    op.arg2.nr_ents = 0;
    hv_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

/* Handles given back wrongly; entries that are not ours as places to map to. */
static void unmap_wrongly(void) {
    struct mapping wrong = mapping;
    struct gnttab_map_grant_ref op = {.host_addr = board->entry,
                                      .flags = GNTMAP_host_map | GNTMAP_readonly | GNTMAP_contains_pte,
                                      .ref = REF_READ,
                                      .dom = ch.peer};

    hv_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);
    refused("unmap.map_to_peers_entry", op.status);
    wrong.at = WINDOW;
    refused("unmap.at_the_board", unmap_grant(&wrong));
    wrong = mapping;
    for (wrong.handle = 0; wrong.handle < 600; wrong.handle++)
        if (wrong.handle != mapping.handle)
            test_check("unmap.other_handle", unmap_grant(&wrong) < 0, "handle %u", wrong.handle);
    test_equal("unmap.content", (long)*at(&mapping), PATTERN);
    test_equal("unmap.right", unmap_grant(&mapping), GNTST_okay);
    refused("unmap.twice", unmap_grant(&mapping));
}

/* What the other side granted of ours is not a grant of ours; and nothing was changed, nothing is left in use. */
static void judge_rights(void) {
    struct mapping m;

    refused("rights.second_hand", map_grant(OWN, REF_BACK, 0, &m));
    test_check("rights.untouched", page[0] == PATTERN && second[0] == PATTERN, "0x%lx 0x%lx", page[0], second[0]);
    test_check("rights.ended", grant_end(REF_READ) && grant_end(REF_STRANGER), "still in use");
    test_check("rights.unused", is_unused(page), "a use is left");
    test_equal("rights.transfer", own_grants[REF_TRANSFER].flags, GTF_accept_transfer);
    own_grants[REF_TRANSFER].flags = 0;
}

/* --- entries that change while they are in use --- */

static void offer_writing(void) {
    grant_access(REF_WRITE, ch.peer, virt_to_mfn(page), false);
    grant_access(REF_SECOND, ch.peer, virt_to_mfn(page), false);
}

static void map_writing(void) {
    test_equal("write.map", map_grant(OWN, REF_WRITE, 0, &mapping), GNTST_okay);
    *at(&mapping) = PATTERN + 1;
}

/* The frame changes under the mapping, and the grantee. */
static void change_frame(void) {
    test_equal("change.shared", (long)page[0], PATTERN + 1);
    test_check("change.in_use", !grant_end(REF_WRITE), "it ended");
    own_grants[REF_WRITE].frame = (uint32_t)virt_to_mfn(second);
}

static void map_changed(void) {
    test_equal("change.map_again", map_grant(OWN + 1, REF_WRITE, 0, &other), GNTST_okay);
    test_equal("change.same_frame", (long)*at(&other), PATTERN + 1);
    *at(&other) = PATTERN + 2;
    test_equal("change.unmap", unmap_grant(&other), GNTST_okay);
}

static void change_grantee(void) {
    test_check("change.frames", page[0] == PATTERN + 2 && second[0] == PATTERN, "0x%lx 0x%lx", page[0], second[0]);
    own_grants[REF_WRITE].domid = STRANGER;
    own_grants[REF_WRITE].flags = 0;
}

static void map_over(void) {
    refused("change.map_over", map_grant(OWN + 1, REF_WRITE, 0, &other));
    *at(&mapping) = PATTERN + 3;
    test_equal("change.unmap_first", unmap_grant(&mapping), GNTST_okay);
}

static void judge_change(void) {
    test_check("change.written", page[0] == PATTERN + 3 && second[0] == PATTERN, "0x%lx 0x%lx", page[0], second[0]);
    test_equal("change.flags", own_grants[REF_WRITE].flags, 0);
    test_check("change.unused", is_unused(page) && is_unused(second), "a use is left");
}

/* --- frames that become tables --- */

/* A table may be read by others. */
static void offer_table(void) {
    memset(page, 0, PAGE_SIZE);
    grant_access(REF_READ, ch.peer, virt_to_mfn(page), true);
    page_protect(page);
    test_equal("table.pin", mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page)), 0);
}

static void write_table(void) {
    own[0] = board->table << PAGE_SHIFT | PTE_KERNEL;
    test_equal("table.read", map_grant(OWN, REF_READ, GNTMAP_readonly, &mapping), GNTST_okay);
    refused("table.write", map_grant(OWN + 1, REF_SECOND, 0, &other));
    refused("table.device", map_grant(OWN + 1, REF_SECOND, GNTMAP_device_map, &other));
    refused("table.copy", copy_to_ref(REF_SECOND, own, 64));
    test_equal("table.content", (long)*at(&mapping), 0);
}

static void end_table(void) {
    test_equal("table.empty", (long)page[0], 0);
    test_equal("table.unpin", mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page)), 0);
}

static void map_before_table(void) {
    test_equal("table.map", map_grant(OWN + 1, REF_SECOND, 0, &other), GNTST_okay);
}

static void pin_mapped(void) {
    unsigned long mfn = virt_to_mfn(page);

    refused("table.pin_mapped", mmuext(MMUEXT_PIN_L1_TABLE, mfn));
    refused("table.pin_l4_mapped", mmuext(MMUEXT_PIN_L4_TABLE, mfn));
    refused("table.link_mapped", pt_write(pt_entry(WINDOW, 2) + 7, mfn << PAGE_SHIFT | PTE_TABLE));
    refused("table.gdt_mapped", hv_set_gdt(&mfn, 512));
    refused("table.exchange_mapped", memory_op(XENMEM_exchange, mfn));
    refused("table.transfer_mapped", transfer(mfn, ch.peer, 3));
}

static void unmap_both(void) {
    test_equal("table.unmap", unmap_grant(&other), GNTST_okay);
    test_equal("table.unmap_read", unmap_grant(&mapping), GNTST_okay);
}

static void judge_table(void) {
    test_check("table.over", grant_end(REF_READ) && grant_end(REF_SECOND), "still in use");
    page_unprotect(page);
    test_check("table.unused", is_unused(page), "a use is left");
}

/* --- frames given up while they are mapped --- */

static void give_up(void) {
    grant_access(REF_WRITE, ch.peer, board->mfn[2] = virt_to_mfn(second), false);
}

/* Mapped nowhere here any more, and given up: it stays ours, and nobody else's, as long as it is mapped there. */
static void give_up_mapped(void) {
    hv_update_va_mapping(ARG(second), 0, UVMF_INVLPG);
    test_equal("given.up", memory_op(XENMEM_decrease_reservation, board->mfn[2]), 1);
}

static void write_given(void) {
    *at(&mapping) = PATTERN + 4;
    test_equal("given.content", (long)*at(&mapping), PATTERN + 4);
    test_equal("given.unmap", unmap_grant(&mapping), GNTST_okay);
    refused("given.map_again", map_grant(OWN, REF_WRITE, 0, &mapping));
}

static void judge_given(void) {
    test_check("given.over", grant_end(REF_WRITE), "still in use");
    refused("given.not_ours", hv_update_va_mapping(ARG(second), board->mfn[2] << PAGE_SHIFT | PTE_KERNEL, UVMF_INVLPG));
}

const struct step grant_steps[] = {
    FRONT(offer_rights),    BACK(take_every_reference),
    BACK(make_it_writable), BACK(copy_it),
    BACK(own_it),           BACK(use_as_ldt),
    BACK(unmap_wrongly),    FRONT(judge_rights),
    FRONT(offer_writing),   BACK(map_writing),
    FRONT(change_frame),    BACK(map_changed),
    FRONT(change_grantee),  BACK(map_over),
    FRONT(judge_change),    FRONT(offer_table),
    BACK(write_table),      FRONT(end_table),
    BACK(map_before_table), FRONT(pin_mapped),
    BACK(unmap_both),       FRONT(judge_table),
    FRONT(give_up),         BACK(map_writing),
    FRONT(give_up_mapped),  BACK(write_given),
    FRONT(judge_given),     {false, NULL},
};
