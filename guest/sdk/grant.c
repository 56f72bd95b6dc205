// SPDX-License-Identifier: MIT
/*
 * Grant table, version 1: its frames mapped, and entries written in the order the ABI asks for.
 */
#include <sdk/grant.h>

#define GRANT_VA (SCRATCH_VA + 0x10000000)
#define MAX_FRAMES 8

static grant_entry_v1_t *table;

grant_entry_v1_t *grant_init(unsigned frames, int16_t *status) {
    unsigned long mfns[MAX_FRAMES];
    struct gnttab_setup_table op = {.dom = DOMID_SELF, .nr_frames = frames};
    long rc;

    set_xen_guest_handle(op.frame_list, mfns);
    rc = frames <= MAX_FRAMES ? hv_grant_table_op(GNTTABOP_setup_table, &op, 1) : -XEN_EINVAL;
    *status = rc ? (int16_t)rc : op.status;
    if (rc || op.status)
        return NULL;
    for (unsigned i = 0; i < frames; i++)
        if (pt_map(GRANT_VA + i * PAGE_SIZE, mfns[i], PTE_KERNEL))
            return NULL;
    table = (grant_entry_v1_t *)GRANT_VA;
    return table;
}

grant_entry_v1_t *grant_table(void) {
    return table;
}

void grant_access(grant_ref_t ref, domid_t dom, unsigned long mfn, bool read_only) {
    table[ref].frame = (uint32_t)mfn;
    table[ref].domid = dom;
    __atomic_store_n(&table[ref].flags, (uint16_t)(GTF_permit_access | (read_only ? GTF_readonly : 0)),
                     __ATOMIC_RELEASE);
}

bool grant_end(grant_ref_t ref) {
    uint16_t flags = READ_ONCE(table[ref].flags);

    if (flags & (GTF_reading | GTF_writing))
        return false;
    return __atomic_compare_exchange_n(&table[ref].flags, &flags, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
