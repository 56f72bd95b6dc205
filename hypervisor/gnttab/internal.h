/* SPDX-License-Identifier: MIT */
/*
 * What the files of the gnttab room share. table.c: entries and their uses; map.c: mapping; copy.c: copying;
 * transfer.c: giving frames away; op.c: the hypercall. Results are the ABI's GNTST_* values; long ones are those or
 * -ERESTART.
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
/* Two unused entries of one's own table change places. */
s16 gnttab_swap(struct domain *d, u32 a, u32 b);
/* A transfer from domain `giver`: the entry that accepts one is committed; then it is told the frame, whose number in
 * the taker's memory (M2P) is what it had written there. */
s16 gnttab_accept(struct domain *taker, u32 ref, domid_t giver);
void gnttab_complete(struct domain *taker, u32 ref, mfn_t m);

/* Returns 0 with the result in op->status, or -ERESTART with nothing changed. */
long gnttab_map_one(struct vcpu *v, struct gnttab_map_grant_ref *op);
long gnttab_unmap_one(struct vcpu *v, struct gnttab_unmap_grant_ref *op);
long gnttab_replace_one(struct vcpu *v, struct gnttab_unmap_and_replace *op);
long gnttab_transfer_one(struct vcpu *v, struct gnttab_transfer *op);
void gnttab_copy_one(struct vcpu *v, struct gnttab_copy *op);
/* Has d a mapping of another domain's frame by some handle? */
bool gnttab_has_mapped(struct domain *d, u64 frame);
/* 0, -EINVAL, -EPERM, -EOPNOTSUPP. */
long gnttab_cache_flush(struct vcpu *v, const struct gnttab_cache_flush *op);
/* Ends the uses that handles of a dying domain stand for. */
void gnttab_drop_maps(struct domain *d);

#endif
