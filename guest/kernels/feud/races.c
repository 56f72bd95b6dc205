// SPDX-License-Identifier: MIT
/*
 * Both at once: the backend maps and unmaps, or copies to, a page that the frontend grants for moments only and makes a
 * page table whenever the grant is over; and both end, with frames of the other's in their hands.
 */
#include "feud.h"

#define ROUNDS 150
#define SLOT 12
#define NR_HELD 16
#define PATIENCE (60 * SECOND)

static uint64_t *page;

static void offer_page(void) {
    page = page_alloc();
    page_protect(page);
    board->stop = 0;
    grant_access(REF_WRITE, ch.peer, virt_to_mfn(page), false);
}

static volatile unsigned ended;

/* Whatever the grant is at: mapped and written, or copied to. On vCPU 1 while vCPU 0 waits in meet(). */
static void take_without_end(void *arg) {
    uint64_t *evil = arg;
    struct mapping m;
    struct probe p;

    while (!board->stop) {
        copy_to_ref(REF_WRITE, evil, sizeof(*evil));
        if (map_grant(SLOT, REF_WRITE, 0, &m) != GNTST_okay)
            continue;
        probe_write(&p, (void *)m.at, *evil);
        if (unmap_grant(&m) != GNTST_okay)
            panic("a mapping does not end");
    }
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static void keep_writing(void *evil) {
    volatile uint64_t *at = (volatile uint64_t *)(WINDOW + SLOT * PAGE_SIZE);

    while (!board->stop)
        *at = *(const uint64_t *)evil;
}

/* On vCPU 2, which has no part in mapping and unmapping: as long as its translation lasts. */
static void write_without_end(void *evil) {
    struct probe p;

    while (!board->stop)
        probe_run(&p, keep_writing, evil);
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static void start_taking(void) {
    uint64_t *evil = page_alloc();

    *evil = board->table << PAGE_SHIFT | PTE_KERNEL;
    ended = 0;
    test_check("race.start", !cpu_start(1, take_without_end, evil), "no second vCPU");
    test_check("race.start", !cpu_start(2, write_without_end, evil), "no third vCPU");
}

static bool end_grant(void) {
    uint64_t end = clock_now() + PATIENCE;

    while (!grant_end(REF_WRITE))
        if (clock_now() > end)
            return false;
    return true;
}

/* Nobody can write what nobody was granted any more: not once it is a table, nor before. */
static void make_tables(void) {
    unsigned unended = 0, in_use = 0, written = 0;
    unsigned long mfn = virt_to_mfn(page);

    for (unsigned i = 0; i < ROUNDS && !unended; i++) {
        if (!end_grant()) {
            unended++;
            break;
        }
        page_unprotect(page);
        page[0] = 0;
        page_protect(page);
        if (mmuext(MMUEXT_PIN_L1_TABLE, mfn)) {
            in_use++;
        } else {
            grant_access(REF_WRITE, ch.peer, mfn, false); /* to be mapped in vain */
            for (volatile unsigned delay = 0; delay < 20000; delay++)
                written += READ_ONCE(page[0]) != 0;
            unended += !end_grant();
            mmuext(MMUEXT_UNPIN_TABLE, mfn);
        }
        grant_access(REF_WRITE, ch.peer, mfn, false);
        for (volatile unsigned delay = 0; delay < i * 97 % 5000; delay++)
            continue;
    }
    test_equal("race.unended", unended, 0);
    test_equal("race.in_use", in_use, 0);
    test_equal("race.written", written, 0);
    board->stop = 1;
}

static void wait_taker(void) {
    uint64_t end = clock_now() + PATIENCE;

    while (ended < 2 && clock_now() < end)
        clock_sleep(MILLISECOND);
    test_equal("race.ended", ended, 2);
}

static void judge(void) {
    test_check("race.over", end_grant(), "still in use");
    page_unprotect(page);
    test_check("race.unused", is_unused(page), "a use is left");
}

const struct step race_steps[] = {
    FRONT(offer_page), BACK(start_taking), FRONT(make_tables), BACK(wait_taker), FRONT(judge), {false, NULL},
};

/* --- ends --- */

static uint64_t *held[NR_HELD];
static struct mapping theirs[NR_HELD];

static void hold(void) {
    for (unsigned i = 0; i < NR_HELD; i++) {
        held[i] = page_alloc();
        held[i][0] = ch.is_frontend;
        grant_access(REF_HELD + i, ch.peer, virt_to_mfn(held[i]), i % 2);
    }
    meet();
    for (unsigned i = 0; i < NR_HELD; i++)
        test_equal("hold.map",
                   map_grant(SLOT + i, REF_HELD + i,
                             i % 2   ? GNTMAP_readonly
                             : i % 4 ? GNTMAP_device_map
                                     : 0,
                             &theirs[i]),
                   GNTST_okay);
    meet();
}

static bool all_ended(void) {
    for (unsigned i = 0; i < NR_HELD; i++)
        if (!grant_end(REF_HELD + i))
            return false;
    return true;
}

/* What the dead held is ours again; what we hold of it is there until we let go. */
static void outlive(void) {
    uint64_t end = clock_now() + PATIENCE;
    unsigned wrong = 0, used = 0;

    while (!all_ended() && clock_now() < end)
        clock_sleep(10 * MILLISECOND);
    test_check("hold.ended", all_ended(), "uses of the dead");
    for (unsigned i = 0; i < NR_HELD; i++) {
        struct gnttab_unmap_grant_ref op = {.host_addr = theirs[i].at, .handle = theirs[i].handle};

        used += !is_unused(held[i]);
        page_free(held[i]);
        wrong += *(volatile uint64_t *)theirs[i].at != 1;
        op.dev_bus_addr = *pt_entry(theirs[i].at, 1) & PTE_MFN_MASK;
        hv_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);
        test_equal("hold.unmap", op.status, GNTST_okay);
    }
    test_equal("hold.used", used, 0);
    test_equal("hold.content", wrong, 0);
}

void hold_and_end(void) {
    hold();
    if (ch.is_frontend)
        shutdown(SHUTDOWN_crash);
    outlive();
}
