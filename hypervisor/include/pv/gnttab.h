/* SPDX-License-Identifier: MIT */
/*
 * gnttab: grant tables, version 1 only: by writing an entry into its table a domain lets another one map, copy from
 * or copy to one of its frames. Stock kernels get along with version 1.
 *
 * Uses of one entry (struct gnttab_active counts them; the flags are what the granting guest sees):
 *
 *     unused --first use--> GTF_reading --first writing use--> GTF_reading|GTF_writing
 *        ^------last use-----/   ^-------last writing use------------/
 *
 * While an entry is in use its frame and its grantee are those of the first use, whatever the guest writes there.
 *
 * A mapping is a handle of the mapping domain. What keeps the frame alive is the page-table entry itself, which holds a
 * reference and a type like any other; so a guest that clears the entry by other means loses access at once, and a
 * handle without an entry harms nobody. Unmapping needs an entry of a validated L1 table that maps the handle's frame
 * with the handle's rights, clears it, flushes, and only then tells the granter: so there are never more entries than
 * handles.
 *
 * Locks: gnttab.lock of a domain (its frames, uses and handles) -> its mm_lock; never two of them at once. A short lock
 * guards finding the other domain and counting as its user, which keeps it until the operation is over.
 */
#ifndef PV_GNTTAB_H
#define PV_GNTTAB_H

#include <pv/abi.h>
#include <pv/lib.h>

struct domain;
struct vcpu;
struct gnttab_active;
struct gnttab_map;

#define GNTTAB_MAX_FRAMES 64 /* of one domain; 512 entries each */
#define GNTTAB_ENTRIES_PER_FRAME (PAGE_SIZE / sizeof(grant_entry_v1_t))
#define GNTTAB_MAP_CHUNK 128
#define GNTTAB_MAP_CHUNKS 256 /* up to 32768 handles */

struct gnttab {
    struct spinlock lock;
    bool dead;      /* set by gnttab_destroy(); lock: the finding lock */
    u32 users;      /* operations under way that use this table; atomic */
    u64 generation; /* tells this domain from a later one with its id */
    u32 nr_frames, max_frames;
    grant_entry_v1_t *frame[GNTTAB_MAX_FRAMES]; /* direct map; written by the guest at any time */
    mfn_t frame_mfn[GNTTAB_MAX_FRAMES];
    struct gnttab_active *active[GNTTAB_MAX_FRAMES]; /* uses of each entry, 512 a frame */
    struct gnttab_map *map[GNTTAB_MAP_CHUNKS];       /* this domain's mappings of others' frames, by handle */
    u32 nr_map_chunks, free_map;                     /* free handles are linked; ~0: none */
    u32 max_map_chunks;
};

/* With one frame of entries, if there is memory for it. max_frames 0: GNTTAB_MAX_FRAMES. */
int gnttab_init(struct domain *d, u32 max_frames);
/* At most so many mappings of others' frames at once from now on, rounded up to a chunk of them. */
void gnttab_limit_maps(struct domain *d, u64 max);
/* Ends all uses by and of this domain, whose vCPUs do not run any more. May be called again, and for a domain whose
 * init never ran. */
void gnttab_destroy(struct domain *d);
/* Between taking a domain out of domain_by_id()'s reach and freeing it: waits for those who found it before. */
void gnttab_quiesce(void);

/* Makes sure that there are at least nr frames. -EINVAL beyond the maximum, -ENOMEM; then none was added. */
int gnttab_grow(struct domain *d, u32 nr);
/* The machine frames [first, first + nr) of d's table, which grows to have them. -EINVAL, -ENOMEM, -ESRCH: d is dying.
 * The caller has a reference to d. */
int gnttab_frames(struct domain *d, u32 first, u32 nr, u64 *frame);
/* For the domain builder: d lets `peer` map `frame` under the given reference. */
int gnttab_seed(struct domain *d, u32 ref, domid_t peer, mfn_t frame);

/* Calls fn for each frame that a mapping of d holds a reference to by itself; use: and a use as writable memory. No
 * operation on grants may be under way. */
void gnttab_for_each_hold(struct domain *d, void (*fn)(mfn_t m, bool use, const void *arg), const void *arg);

/* The hypercall. arg: command, array, count; on -ERESTART array and count say where to go on. */
long gnttab_op(struct vcpu *v, u32 cmd, u64 *arg);

#endif
