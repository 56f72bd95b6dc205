/* SPDX-License-Identifier: MIT */
/*
 * gnttab: grant tables, version 1 only: by writing an entry into its table a domain lets another one map, copy from
 * or copy to one of its frames. Stock kernels ask for version 2 first and fall back.
 */
#ifndef PV_GNTTAB_H
#define PV_GNTTAB_H

#include <pv/abi.h>
#include <pv/lib.h>

struct domain;
struct vcpu;
struct gnttab_active;
struct gnttab_map;

#define GNTTAB_MAX_FRAMES 64       /* of one domain; 512 entries each */
#define GNTTAB_INITIAL_FRAMES 1
#define GNTTAB_ENTRIES_PER_FRAME (PAGE_SIZE / sizeof(grant_entry_v1_t))

struct gnttab {
    struct spinlock lock;
    u32 nr_frames, max_frames;
    grant_entry_v1_t *frame[GNTTAB_MAX_FRAMES];       /* direct map; written by the guest at any time */
    mfn_t frame_mfn[GNTTAB_MAX_FRAMES];
    struct gnttab_active *active[GNTTAB_MAX_FRAMES];  /* uses of each entry, 512 a frame */
    struct gnttab_map *map;                           /* this domain's mappings of others' frames, by handle */
    u32 nr_maps, free_map;
};

int gnttab_init(struct domain *d, u32 max_frames);
void gnttab_destroy(struct domain *d);

/* Makes sure there are at least nr frames. -EINVAL beyond the maximum, -ENOMEM. */
int gnttab_grow(struct domain *d, u32 nr);
/* For the domain builder: d lets `peer` map `frame` (console and store rings) under the given reference. */
int gnttab_seed(struct domain *d, u32 ref, domid_t peer, pfn_t frame);

#endif
