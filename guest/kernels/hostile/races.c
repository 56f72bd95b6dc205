// SPDX-License-Identifier: MIT
/*
 * Races: two vCPUs do two things at the same time that must not both succeed, or whose mixture would make a page table
 * writable. Each race runs a bounded number of rounds, from a barrier; what must not be is looked for after each.
 */
#include "hostile.h"

#define ALIAS (SCRATCH_VA + (1UL << 21)) /* where the frame under attack is mapped */
#define PATIENCE (60 * SECOND)

struct race {
    const char *name;
    long (*here)(void), (*there)(void);    /* on vCPU 0 and 1 */
    bool (*is_bad)(long here, long there); /* after both */
    void (*clean_up)(void);
};

static const struct race *volatile current;
static volatile unsigned begun, ended, stop;
static volatile long result;
static uint64_t *page, *other_page, *alias_entry;
static unsigned long frame;
static unsigned rounds; /* few where nobody is beside us */
static uint64_t evil;   /* an entry that no validated table may have */

/* A spin that lets others run when it takes long: the other side may wait for this CPU. */
static void wait_a_little(unsigned *turn) {
    if (++*turn % 2048)
        __builtin_ia32_pause();
    else
        hv_sched_op(SCHEDOP_yield, NULL);
}

static void second_cpu(void *arg) {
    unsigned round = 0, turn = 0;

    (void)arg;
    for (;;) {
        while (READ_ONCE(begun) == round && !stop)
            wait_a_little(&turn);
        if (stop)
            return;
        round = begun;
        result = current->there();
        __atomic_store_n(&ended, round, __ATOMIC_SEQ_CST);
    }
}

static void run(const struct race *race) {
    unsigned bad = 0, here_won = 0, there_won = 0, turn = 0;

    current = race;
    for (unsigned i = 0; i < rounds; i++) {
        long here;

        __atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
        for (volatile unsigned delay = 0; delay < i * 7 % 150; delay++)
            continue;
        here = race->here();
        while (READ_ONCE(ended) != begun)
            wait_a_little(&turn);
        bad += race->is_bad(here, result);
        here_won += here >= 0;
        there_won += result >= 0;
        race->clean_up();
    }
    test_check(race->name, !bad, "%u of %u rounds (%u and %u calls succeeded)", bad, rounds, here_won, there_won);
}

static long map_writable(void) {
    return pt_write(alias_entry, frame << PAGE_SHIFT | PTE_KERNEL);
}

/* The same call as the second of a multicall, after one that makes the entry read-only. */
static long map_in_multicall(void) {
    mmu_update_t u[2] = {{virt_to_machine(alias_entry), frame << PAGE_SHIFT | PTE_KERNEL_RO},
                         {virt_to_machine(alias_entry), frame << PAGE_SHIFT | PTE_KERNEL}};
    multicall_entry_t calls[2];

    for (unsigned i = 0; i < 2; i++)
        calls[i] = (multicall_entry_t){.op = __HYPERVISOR_mmu_update, .args = {ARG(&u[i]), 1, 0, DOMID_SELF}};
    hv_multicall(calls, 2);
    return (long)calls[1].result;
}

static long map_by_trap(void) {
    struct probe p;

    return probe_write(&p, alias_entry, frame << PAGE_SHIFT | PTE_KERNEL) ? 0 : -1;
}

static long pin(void) {
    return mmuext(MMUEXT_PIN_L1_TABLE, frame);
}

static long pin_as_l2(void) {
    return mmuext(MMUEXT_PIN_L2_TABLE, frame);
}

static long unpin(void) {
    return mmuext(MMUEXT_UNPIN_TABLE, frame);
}

/* An unused slot of a live L2: one more way to become a table. */
static uint64_t *spare_l2_slot(void) {
    return pt_entry(ALIAS, 2) + 7;
}

static long link_as_l1(void) {
    return pt_write(spare_l2_slot(), frame << PAGE_SHIFT | PTE_TABLE);
}

static bool both(long here, long there) {
    return here >= 0 && there >= 0;
}

/* Back to a frame with no uses at all, which the direct map may have writable again. */
static void undo_all(void) {
    pt_write(alias_entry, 0);
    pt_write(spare_l2_slot(), 0);
    unpin();
    unpin();
    memset(other_page, 0, PAGE_SIZE);
}

/* Two exchanges of a page's contents: by copy, and by a grant operation on our own frame. */
static long copy_page(void) {
    struct mmuext_op op = {.cmd = MMUEXT_COPY_PAGE, .arg1.mfn = frame, .arg2.src_mfn = virt_to_mfn(other_page)};

    other_page[0] = evil;
    return hv_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static long grant_copy(void) {
    struct gnttab_copy op = {.len = 64};

    other_page[0] = evil;
    op.source.domid = op.dest.domid = DOMID_SELF;
    op.source.u.gmfn = virt_to_mfn(other_page);
    op.dest.u.gmfn = frame;
    hv_grant_table_op(GNTTABOP_copy, &op, 1);
    return op.status;
}

static long write_as_memory(void) {
    mmu_update_t u = {frame << PAGE_SHIFT, evil};

    return hv_mmu_update(&u, 1, NULL, DOMID_SELF);
}

/* The table is valid only if it has what was there before the evil entry. */
static bool is_evil_table(long here, long there) {
    (void)here;
    return there >= 0 && READ_ONCE(page[0]) == evil;
}

static void undo_content(void) {
    undo_all();
    page_unprotect(page);
    page[0] = 0;
    page_protect(page);
}

static long exchange(void) {
    static xen_pfn_t in, out;
    struct xen_memory_exchange x = {.in = {.nr_extents = 1, .domid = DOMID_SELF},
                                    .out = {.nr_extents = 1, .domid = DOMID_SELF}};
    unsigned long pfn = virt_to_pfn(page);
    long rc;

    in = frame;
    out = pfn;
    set_xen_guest_handle(x.in.extent_start, &in);
    set_xen_guest_handle(x.out.extent_start, &out);
    hv_update_va_mapping(ARG(page), 0, UVMF_NONE);
    rc = hv_memory_op(XENMEM_exchange, &x);
    if (!rc) {
        p2m()[pfn] = out;
        frame = out;
    }
    hv_update_va_mapping(ARG(page), frame << PAGE_SHIFT | PTE_KERNEL_RO, UVMF_NONE);
    return rc;
}

static unsigned long mapped_before;

static long map_old_frame(void) {
    return pt_write(alias_entry, mapped_before << PAGE_SHIFT | PTE_KERNEL);
}

/* The exchanged frame is nobody's or somebody's, but not ours. */
static bool old_frame_is_mapped(long here, long there) {
    bool bad = here >= 0 && there >= 0 && mapped_before != frame;

    return bad;
}

static void undo_exchange(void) {
    pt_write(alias_entry, 0);
    mapped_before = frame;
}

static long write_entry_with_page(void) {
    return pt_write(alias_entry, frame << PAGE_SHIFT | PTE_KERNEL);
}
static long write_entry_with_other(void) {
    return pt_write(alias_entry, virt_to_machine(other_page) | PTE_KERNEL_RO);
}

/* Whoever wrote last, both frames are free of uses once the entry is empty: the first can become a table. */
static bool a_use_is_left(long here, long there) {
    bool bad;

    (void)here, (void)there;
    pt_write(alias_entry, 0);
    bad = pin() < 0;
    unpin();
    return bad;
}

/* A grant of a page of ours to ourselves, mapped once: its handle is given back once. */
#define REF 40
static domid_t self;
static uint32_t handle;

static int16_t map_grant(void) {
    struct gnttab_map_grant_ref op = {
        .host_addr = ALIAS + PAGE_SIZE, .flags = GNTMAP_host_map, .ref = REF, .dom = self};

    hv_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);
    handle = op.handle;
    return op.status;
}

static long unmap_grant(void) {
    struct gnttab_unmap_grant_ref op = {.host_addr = ALIAS + PAGE_SIZE, .handle = handle};

    hv_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);
    return op.status;
}

static void map_grant_again(void) {
    map_grant();
}

/* The granter takes back what is being mapped: it is told no, or the mapping is. */
static long end_grant(void) {
    return grant_end(REF) ? 0 : -1;
}

static long map_grant_at_once(void) {
    return map_grant();
}

static void offer_again(void) {
    unmap_grant();
    grant_end(REF);
    grant_access(REF, self, virt_to_mfn(other_page), false);
}

static const struct race grant_races[] = {
    {"race.unmap_grant_twice", unmap_grant, unmap_grant, both, map_grant_again},
    {"race.map_and_end_grant", map_grant_at_once, end_grant, both, offer_again},
};

static bool find_self(void) {
    for (self = 0; self < 256; self++) {
        grant_access(REF, self, virt_to_mfn(other_page), false);
        if (map_grant() == GNTST_okay)
            return true;
    }
    return false;
}

static void attack_grants_at_once(void) {
    int16_t status;

    if (!grant_init(1, &status) || !find_self()) {
        test_skip("race.grants", "no grant table");
        return;
    }
    run(&grant_races[0]);
    unmap_grant();
    run(&grant_races[1]);
    test_check("race.grant_over", grant_end(REF), "still in use");
}

static const struct race races[] = {
    {"race.map_and_pin", map_writable, pin, both, undo_all},
    {"race.map_and_link", map_writable, link_as_l1, both, undo_all},
    {"race.map_in_multicall_and_pin", map_in_multicall, pin, both, undo_all},
    {"race.map_by_trap_and_pin", map_by_trap, pin, both, undo_all},
    {"race.pin_two_types", pin_as_l2, pin, both, undo_all},
    {"race.pin_twice", pin, pin, both, undo_all},
    {"race.unpin_twice", unpin, unpin, both, undo_all},
    {"race.copy_and_pin", copy_page, pin, is_evil_table, undo_content},
    {"race.grant_copy_and_pin", grant_copy, pin, is_evil_table, undo_content},
    {"race.write_and_pin", write_as_memory, pin, is_evil_table, undo_content},
    {"race.entry_twice", write_entry_with_page, write_entry_with_other, a_use_is_left, undo_all},
    {"race.map_and_exchange", map_old_frame, exchange, old_frame_is_mapped, undo_exchange},
};

/* Two tables that map each other would never lose their last use: one of the two links is refused. */
static uint64_t *left, *right;

static long link_left(void) {
    return pt_write(&left[4], virt_to_machine(right) | PTE_KERNEL_RO);
}
static long link_right(void) {
    return pt_write(&right[4], virt_to_machine(left) | PTE_KERNEL_RO);
}
static void unlink_both(void) {
    pt_write(&left[4], 0);
    pt_write(&right[4], 0);
}

static void attack_links_at_once(void) {
    static const struct race links = {"race.linear_links", link_left, link_right, both, unlink_both};

    if (!linear_allowed()) {
        test_skip("linear.race", "no linear tables");
        return;
    }
    left = pt_new_root(false);
    right = pt_new_root(false);
    run(&links);
}

static volatile unsigned writer_runs, writer_ended;
static struct probe writer_probe;

static void keep_writing(void *arg) {
    volatile uint64_t *at = arg;

    for (;;) {
        *at = evil;
        *at = 0;
        writer_runs = 1;
    }
}

static long write_until_trapped(void) {
    probe_run(&writer_probe, keep_writing, (void *)ALIAS);
    writer_ended = 1;
    return 0;
}

/* The other vCPU writes through a mapping that is taken away without a flush. As soon as the frame is a table, such
 * writes are refused like any other; and what was written last before was looked at. True: it became a table. */
static bool stale_round(const struct race *stale, bool *bad) {
    long rc;

    map_writable();
    writer_runs = writer_ended = 0;
    current = stale;
    __atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
    *bad |= !clock_wait_for(&writer_runs, PATIENCE);
    hv_update_va_mapping(ALIAS, frame << PAGE_SHIFT | PTE_KERNEL_RO, UVMF_NONE);
    rc = pin();
    for (unsigned i = 0; !rc && i < 100000; i++)
        *bad |= READ_ONCE(page[0]) == evil;
    *bad |= !clock_wait_for(&writer_ended, PATIENCE) || !writer_probe.trapped;
    while (READ_ONCE(ended) != begun)
        __builtin_ia32_pause();
    undo_content();
    return !rc;
}

static void attack_stale_writer(void) {
    static const struct race stale = {"race.stale_writer", NULL, write_until_trapped, NULL, NULL};
    unsigned tables = 0;
    bool bad = false;

    for (unsigned i = 0; i < rounds / 4; i++)
        tables += stale_round(&stale, &bad);
    test_check(stale.name, !bad, "an unseen entry in a table; it was one %u times", tables);
}

/* A third vCPU's record, given two places at once: one is taken. Once for each start of this domain. */
static struct vcpu_register_vcpu_info places[2];

static long place_here(void) {
    return hv_vcpu_op(VCPUOP_register_vcpu_info, 2, &places[0]);
}
static long place_there(void) {
    return hv_vcpu_op(VCPUOP_register_vcpu_info, 2, &places[1]);
}
static void nothing(void) {}

static void attack_records_at_once(void) {
    static const struct race record = {"race.vcpu_info", place_here, place_there, both, nothing};

    if (hv_vcpu_op(VCPUOP_is_up, 2, NULL) != 0) {
        test_skip(record.name, "no third vCPU");
        return;
    }
    for (unsigned i = 0; i < 2; i++)
        places[i].mfn = virt_to_mfn(page_alloc());
    run(&record);
}

void attack_races(void) {
    if (hv_vcpu_op(VCPUOP_is_up, 1, NULL) != 0 || cpu_start(1, second_cpu, NULL)) {
        test_skip("race.all", "no second vCPU");
        return;
    }
    rounds = is_privileged() ? 16 : 80;
    page = page_alloc();
    other_page = page_alloc();
    frame = mapped_before = virt_to_mfn(page);
    alias_entry = pt_make(ALIAS);
    evil = virt_to_machine(pt_root()) | PTE_KERNEL;
    page_protect(page);
    for (unsigned i = 0; i < ARRAY_SIZE(races); i++)
        run(&races[i]);
    attack_stale_writer();
    attack_grants_at_once();
    attack_records_at_once();
    attack_links_at_once();
    stop = 1;
    page_unprotect(page);
}
