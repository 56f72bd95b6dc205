// SPDX-License-Identifier: MIT
/*
 * Background: two guests that share pages and event channels are closer to each other than any others: what one may do
 *   with the other's frames ends where the grant does, and as soon as it does.
 * Scenario: two guests with one channel take steps in turn. One offers, the other takes more than it was offered, by
 *   every operation on grants and on page tables (grants.c); both at once, over and over (races.c); one floods the
 * other with events, or binds and closes its ports without end (storms.c). With `hold`, each maps pages of the other,
 *   and the frontend ends at once, by a crash; the backend then wants its own frames back, and goes on with the next.
 * Good: PASS for each; what is left when both are gone is for others to see. Bad: FAIL, a panic.
 */
#include "feud.h"

const char kernel_name[] = "feud";

#define PATIENCE (120 * SECOND)

struct board *board;
struct channel ch;
grant_entry_v1_t *own_grants;

static struct mapping board_mapping;

bool refused(const char *name, long rc) {
    return test_check(name, rc < 0, "not refused, gave %ld", rc);
}

void trapped(const char *name, bool went_through) {
    test_check(name, !went_through, "no trap");
}

int16_t map_grant(unsigned slot, grant_ref_t ref, unsigned flags, struct mapping *m) {
    struct gnttab_map_grant_ref op = {
        .host_addr = WINDOW + slot * PAGE_SIZE, .flags = GNTMAP_host_map | flags, .ref = ref, .dom = ch.peer};

    hv_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);
    if (m && op.status == GNTST_okay)
        *m = (struct mapping){op.host_addr, op.handle};
    return op.status;
}

int16_t unmap_grant(const struct mapping *m) {
    struct gnttab_unmap_grant_ref op = {.host_addr = m->at, .handle = m->handle};

    hv_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);
    return op.status;
}

bool is_unused(void *page) {
    bool unused;

    memset(page, 0, PAGE_SIZE);
    page_protect(page);
    unused = !mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page));
    if (unused)
        mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page));
    page_unprotect(page);
    return unused;
}

void meet(void) {
    unsigned me = !ch.is_frontend;
    uint64_t turn = ++board->turn[me], end = clock_now() + PATIENCE;

    while (board->turn[!me] < turn) {
        if (clock_now() > end)
            panic("the other side went, at step %lu", turn);
        clock_sleep(MILLISECOND / 2);
    }
}

static void take(const struct step *steps) {
    for (; steps->take; steps++) {
        if (steps->by_frontend == ch.is_frontend)
            steps->take();
        meet();
    }
}

static bool open_board(void) {
    uint8_t ready = 1;
    uint64_t end = clock_now() + PATIENCE;

    if (ch.is_frontend) {
        board = page_alloc();
        grant_access(REF_BOARD, ch.peer, virt_to_mfn(board), false);
        return channel_send(&ch, &ready, 1);
    }
    while (!channel_receive(&ch, &ready, 1)) {
        channel_block(&ch, SECOND);
        if (clock_now() > end)
            return false;
    }
    board = (struct board *)WINDOW;
    return map_grant(0, REF_BOARD, 0, &board_mapping) == GNTST_okay;
}

static void close_board(void) {
    if (!ch.is_frontend)
        test_equal("feud.board", unmap_grant(&board_mapping), GNTST_okay);
}

static bool session(void) {
    if (!test_check("feud.connected", channel_wait(&ch, PATIENCE), "nobody there"))
        return false;
    if (!test_check("feud.board", open_board(), "none"))
        return false;
    meet();
    if (cmdline_has("hold")) {
        hold_and_end();
    } else {
        take(grant_steps);
        take(race_steps);
        take(storm_steps);
    }
    close_board();
    channel_close(&ch);
    return true;
}

void kernel_main(void) {
    unsigned long sessions = cmdline_number("sessions", 1);

    if (channel_open(&ch, NULL)) {
        test_skip("feud", "this guest has no channel");
        return;
    }
    own_grants = grant_table();
    pt_make(WINDOW);
    while (sessions-- && session())
        continue;
}
