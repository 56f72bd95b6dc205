// SPDX-License-Identifier: MIT
/*
 * Grants: entries that come and go, mapped into the window and into tables, by this domain and by any that is there;
 * copies, transfers, and the table's own operations.
 */
#include "fuzz.h"

#define ENTRIES 64U
#define FIRST 8U /* those below are the hypervisor's own, for console and store */

static grant_entry_v1_t *entries;

/* Entries change in any way, as if the ABI's order were unknown. */
static void grant(struct fuzzer *f) {
    static const uint64_t flags[] = {
        GTF_permit_access, GTF_permit_access, GTF_permit_access | GTF_readonly, GTF_accept_transfer, 0, GTF_transitive};
    grant_entry_v1_t *e;
    int16_t status;

    if (!READ_ONCE(entries))
        WRITE_ONCE(entries, grant_init(1, &status));
    if (!entries)
        return;
    for (unsigned n = 1 + below(f, 6); n; n--) {
        e = &entries[FIRST + below(f, ENTRIES)];
        WRITE_ONCE(e->domid, any_domid(f));
        WRITE_ONCE(e->frame, (uint32_t)any_mfn(f));
        WRITE_ONCE(e->flags, (uint16_t)(one_in(f, 8) ? random_bits(f) : one_of(f, flags, ARRAY_SIZE(flags))));
    }
}

static grant_ref_t any_ref(struct fuzzer *f) {
    return one_in(f, 16) ? (grant_ref_t)random_bits(f) >> below(f, 32) : FIRST + below(f, ENTRIES);
}

/* For a mapping: an address, or with GNTMAP_contains_pte that of an entry. */
static uint64_t any_place(struct fuzzer *f, unsigned flags) {
    return flags & GNTMAP_contains_pte ? any_entry(f) : ARG(window_page(f));
}

static unsigned any_map_flags(struct fuzzer *f) {
    unsigned flags = GNTMAP_host_map | (one_in(f, 2) ? GNTMAP_readonly : 0) | (one_in(f, 4) ? GNTMAP_contains_pte : 0) |
                     (one_in(f, 8) ? GNTMAP_application_map : 0) | (one_in(f, 8) ? GNTMAP_device_map : 0);

    return one_in(f, 12) ? (unsigned)random_bits(f) : flags;
}

static void fill_map(struct fuzzer *f, struct gnttab_map_grant_ref *op) {
    op->flags = any_map_flags(f);
    op->host_addr = any_place(f, op->flags);
    op->ref = any_ref(f);
    op->dom = any_domid(f);
}

static void fill_unmap(struct fuzzer *f, struct gnttab_unmap_grant_ref *op) {
    op->host_addr = one_in(f, 8) ? 0 : any_place(f, one_in(f, 4) ? GNTMAP_contains_pte : 0);
    op->dev_bus_addr = one_in(f, 16) ? random_bits(f) : 0;
    op->handle = one_in(f, 16) ? (grant_handle_t)random_bits(f) : below(f, 32);
}

static void fill_copy(struct fuzzer *f, struct gnttab_copy *op) {
    op->flags = (uint16_t)(one_in(f, 16) ? random_bits(f) : below(f, 4));
    op->source.domid = op->flags & GNTCOPY_source_gref ? any_domid(f) : DOMID_SELF;
    op->dest.domid = op->flags & GNTCOPY_dest_gref ? any_domid(f) : DOMID_SELF;
    op->source.u.gmfn = op->flags & GNTCOPY_source_gref ? any_ref(f) : any_mfn(f);
    op->dest.u.gmfn = op->flags & GNTCOPY_dest_gref ? any_ref(f) : any_mfn(f);
    op->source.offset = (uint16_t)(below(f, 513) * 8);
    op->dest.offset = (uint16_t)(below(f, 513) * 8);
    op->len = (uint16_t)(below(f, one_in(f, 8) ? 1024 : 8) * 8);
}

union grant_op {
    struct gnttab_map_grant_ref map;
    struct gnttab_unmap_grant_ref unmap;
    struct gnttab_unmap_and_replace replace;
    struct gnttab_copy copy;
    struct gnttab_transfer transfer;
    struct gnttab_swap_grant_ref swap;
    struct gnttab_cache_flush flush;
    uint64_t words[8];
};

static size_t fill(struct fuzzer *f, unsigned cmd, void *at) {
    union grant_op *op = at;

    switch (cmd) {
    case GNTTABOP_map_grant_ref:
        fill_map(f, &op->map);
        return sizeof(op->map);
    case GNTTABOP_unmap_grant_ref:
        fill_unmap(f, &op->unmap);
        return sizeof(op->unmap);
    case GNTTABOP_unmap_and_replace:
        op->replace = (struct gnttab_unmap_and_replace){ARG(window_page(f)), ARG(window_page(f)), below(f, 32), 0};
        return sizeof(op->replace);
    case GNTTABOP_copy:
        fill_copy(f, &op->copy);
        return sizeof(op->copy);
    case GNTTABOP_transfer:
        op->transfer = (struct gnttab_transfer){shared_mfn(f), any_domid(f), any_ref(f), 0};
        return sizeof(op->transfer);
    case GNTTABOP_swap_grant_ref:
        op->swap = (struct gnttab_swap_grant_ref){any_ref(f), any_ref(f), 0};
        return sizeof(op->swap);
    default:
        for (unsigned i = 0; i < ARRAY_SIZE(op->words); i++)
            op->words[i] = any_word(f);
        return sizeof(op->words);
    }
}

void make_grant(struct fuzzer *f, multicall_entry_t *e) {
    static const uint64_t cmds[] = {GNTTABOP_map_grant_ref,
                                    GNTTABOP_map_grant_ref,
                                    GNTTABOP_map_grant_ref,
                                    GNTTABOP_unmap_grant_ref,
                                    GNTTABOP_unmap_grant_ref,
                                    GNTTABOP_copy,
                                    GNTTABOP_transfer,
                                    GNTTABOP_unmap_and_replace,
                                    GNTTABOP_swap_grant_ref,
                                    GNTTABOP_query_size,
                                    GNTTABOP_get_version,
                                    GNTTABOP_cache_flush,
                                    GNTTABOP_setup_table,
                                    GNTTABOP_set_version,
                                    GNTTABOP_get_status_frames,
                                    GNTTABOP_dump_table,
                                    99};
    unsigned cmd = (unsigned)one_of(f, cmds, ARRAY_SIZE(cmds)), n = cmd <= GNTTABOP_copy ? 1 + below(f, 8) : 1;
    uint8_t *list = room(f, 8 * sizeof(union grant_op));
    size_t size = 0;

    for (unsigned i = 0; i < n; i++)
        size += fill(f, cmd, list + size);
    /* A long list must be one whose results may be written anywhere behind it. */
    if (one_in(f, 32))
        call_set(e, __HYPERVISOR_grant_table_op, 3, (unsigned long)cmd, any_va(f), (unsigned long)below(f, 1 << 20));
    else
        call_set(e, __HYPERVISOR_grant_table_op, 3, (unsigned long)cmd, ARG(list), (unsigned long)n);
}

static void operation(struct fuzzer *f) {
    call_made(f, make_grant);
}

const struct action grant_actions[] = {
    {"grant", 10, grant},
    {"grant_table_op", 40, operation},
    {NULL, 0, NULL},
};
