/* SPDX-License-Identifier: MIT */
/*
 * What the files of the gnttab room share. table.c: entries and their uses; map.c: mapping; copy.c: copying; op.c: the
 * hypercall. Results are the ABI's GNTST_* values; long ones are those or -ERESTART.
 */
#ifndef GNTTAB_INTERNAL_H
#define GNTTAB_INTERNAL_H

#include <pv/domain.h>
#include <pv/gnttab.h>
#include <pv/heap.h>
#include <pv/mm.h>

struct gnttab_active {
    u32 reads, writes; /* uses */
    u32 frame;         /* while there are any */
    domid_t dom;
};

struct gnttab_map {
    u32 ref;
    u32 frame;
    u64 generation; /* of the granter */
    u32 next_free;
    u16 flags; /* GNTMAP_host_map, _device_map as long as they hold, _readonly; 0: free or in the making */
    domid_t dom;
};

/* The domain meant, as a user of its table, or NULL. Each is to be put back. */
struct domain *gnttab_get_domain(const struct domain *self, domid_t id);
void gnttab_put_domain(struct domain *d);

/* One use more of an entry by domain `user`; *frame is what it grants, not checked at all. */
s16 gnttab_pin(struct domain *granter, u32 ref, domid_t user, bool readonly, u32 *frame);
void gnttab_unpin(struct domain *granter, u32 ref, bool readonly);

/* Returns 0 with the result in op->status, or -ERESTART with nothing changed. */
long gnttab_map_one(struct vcpu *v, struct gnttab_map_grant_ref *op);
long gnttab_unmap_one(struct vcpu *v, struct gnttab_unmap_grant_ref *op);
void gnttab_copy_one(struct vcpu *v, struct gnttab_copy *op);
/* Ends the uses that handles of a dying domain stand for. */
void gnttab_drop_maps(struct domain *d);

#endif
