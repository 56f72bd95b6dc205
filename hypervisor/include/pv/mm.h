/* SPDX-License-Identifier: MIT */
/*
 * mm: who owns a machine frame and what it is. The heart of the isolation argument; see docs/page-types.md.
 *
 * Every frame of RAM has a struct page with a reference count and one type at a time:
 *
 *              get WRITABLE                            get Ln / SEGDESC
 *   WRITABLE <-------------- NONE (no uses) --------------------------> Ln, not validated --entries ok--> Ln validated
 *       \---- last use put ---->  ^                                          | entry refused                 |
 *                                 |<-----------------------------------------/                               |
 *                                 |<---- entries dropped ----- ZOMBIE (no uses, entries still counted) <-----/
 *                                                                                        last use put
 *
 * A frame is never writable by its guest while it is a table: each writable mapping holds a WRITABLE use.
 * A zombie table waits in its domain's list until mm_drain() has dropped what its entries hold; no vCPU of the
 * domain returns to its guest before the list is empty, so to guests the change is immediate.
 *
 * Locks: a domain's mm_lock guards its tables' entries and all transitions to, from and among table types; WRITABLE
 * uses and references are counted atomically without it, because other domains (grants) take them.
 */
#ifndef PV_MM_H
#define PV_MM_H

#include <pv/cpu.h>
#include <pv/lib.h>
#include <pv/types.h>
#include <pv/heap.h>

struct domain;
struct vcpu;
struct walk;

enum page_type { PT_NONE, PT_WRITABLE, PT_L1, PT_L2, PT_L3, PT_L4, PT_SEGDESC };

struct page {
    u64 count; /* bits 0-31: references; PAGE_* flags above; atomic */
    u64 type;  /* bits 0-31: uses of the type; 32-34: enum page_type; TYPE_* flags above; atomic. Without uses the type
                  is  what the frame last was, and means nothing but that no flush is needed to make it that again. */
    u32 owner; /* domain id + 1, 0: the hypervisor's or free */
    u32 next, prev; /* frames: free list or the owner's page list; lock: heap's, or domain page_lock */
    u32 aux; /* by state: no uses, or WRITABLE: TLB clock of the last loss of use; partly validated: next slot; L4:
                present groups of 16 slots, a bit each; L3: present entries; ZOMBIE: next frame of the list; free: order
              */
};

#define PAGE_REFS 0xfffffffful
#define PAGE_ALLOCATED BIT(32) /* the owner holds a reference for having it */
#define PAGE_FREE BIT(33)      /* in the heap's free lists */
#define PAGE_SHARED BIT(34)    /* owned, but not part of the domain's memory: shared info, grant tables */
#define PAGE_TAKEN BIT(35)     /* the owner is dying, and what it held of the frame by itself was dropped */
/* Tables, from validation to the end: which 16ths of it may have present entries, a bit each. */
#define PAGE_PARTS_SHIFT 48
#define PAGE_PARTS (0xfffful << PAGE_PARTS_SHIFT)
#define TYPE_USES 0xfffffffful
#define TYPE_SHIFT 32
#define TYPE_MASK (7ul << TYPE_SHIFT)
#define TYPE_VALIDATED BIT(35)
#define TYPE_PINNED BIT(36)
#define TYPE_PARTIAL BIT(37)
#define TYPE_ZOMBIE BIT(38)
/* Linear tables: entries of this one that map others of its level, and such entries elsewhere that map this one. A
 * table has the one or the other, so there are no chains (docs/decisions/0007-linear-page-tables.md). */
#define TYPE_LINKS_ONE BIT(40)
#define TYPE_LINKS (0x3fful * TYPE_LINKS_ONE)
#define TYPE_LINKED_ONE BIT(50)
#define TYPE_LINKED (0x1ffful * TYPE_LINKED_ONE)
#define FRAME_NONE (~0u)

/* The frame table. On the hypervisor it lies at FRAMETABLE_BASE; host tests give an array. */
extern struct page *frame_table;
extern u64 frame_table_max; /* frames below this number may have an entry */
/* True for RAM that has an entry in the frame table. */
bool mfn_valid(mfn_t m);
/* Cheaper, and enough for whoever takes a reference next: the frame's struct page and its content can be read. What is
 * no RAM reads as zeros in both, without a reference to get. */
static inline bool mfn_readable(mfn_t m) {
    return m.n < frame_table_max;
}
/* Of any number; only where there is RAM it may be followed. (An index beyond the table's end would be undefined.) */
static inline struct page *mfn_to_page(mfn_t m) {
    return (struct page *)((u64)frame_table + m.n * sizeof(struct page));
}
static inline mfn_t page_to_mfn(const struct page *pg) {
    return mfn((u64)(pg - frame_table));
}
/* The direct map. */
void *maddr_to_virt(maddr_t ma);
maddr_t virt_to_maddr(const void *p);
static inline void *mfn_to_virt(mfn_t m) {
    return maddr_to_virt(mfn_to_maddr(m));
}
static inline void *page_to_virt(const struct page *pg) {
    return mfn_to_virt(page_to_mfn(pg));
}
static inline mfn_t virt_to_mfn(const void *p) {
    return maddr_to_mfn(virt_to_maddr(p));
}

/* --- the heap of frames: buddies of order 0..MAX_ORDER --- */
#define MAX_ORDER 18
/* Gives frames [start, end) of RAM to the heap. */
void heap_add_range(mfn_t start, mfn_t end);
/* 2^order contiguous frames, or NULL. Not cleared. No stale guest translation of them is left on any CPU. */
struct page *heap_alloc_pages(u32 order);
void heap_free_pages(struct page *pg, u32 order);
u64 heap_free_count(void);
/* Panics unless the free lists are whole, and hold as many frames as are said to be free. */
void heap_check(void);

/* --- references and uses --- */
/* Takes a reference if the frame is RAM of domain d. */
bool page_get(struct page *pg, struct domain *d);
void page_put(struct page *pg);
static inline enum page_type page_last_type(const struct page *pg) {
    return (enum page_type)((READ_ONCE(pg->type) & TYPE_MASK) >> TYPE_SHIFT);
}
/* Takes a use of the frame as `type`, validating its content first if it is new. 0, -EINVAL (refused, or in use as
 * another type), -EBUSY (not to be had as WRITABLE), -ERESTART (preempted: do the same again). Table types: owner's
 * mm_lock held. The caller holds a reference and keeps it as long as the use. */
int page_get_type(struct page *pg, enum page_type type);
void page_put_type(struct page *pg);
/* Both at once. */
int page_get_with_type(struct page *pg, struct domain *d, enum page_type type);
void page_put_with_type(struct page *pg);

/* --- a domain's memory --- */
/* Frames for a domain: cleared, owned, on its list, counted against max_pages. NULL: no memory or over the limit. */
struct page *domain_alloc_pages(struct domain *d, u32 order);
/* Sets frames aside, so that d will have `pages` in all; 0 ends that. -EINVAL: it has a claim, or as many frames, or
 * may not have so many; -ENOMEM. What was claimed and is not used yet, by all: */
int domain_claim_pages(struct domain *d, u64 pages);
u64 domain_claims(void);
/* The same with whatever is in them: for the control domain alone, which may see all memory, and may get most of it. */
struct page *domain_alloc_raw_pages(struct domain *d, u32 order);
/* A frame owned by d that is not part of its memory (shared info, grant tables): not counted. */
struct page *domain_alloc_shared_page(struct domain *d);
void domain_free_shared_page(struct domain *d, struct page *pg);
/* Gives up the owner's own reference: the frame is freed, and counted no more, when nothing else refers to it. The
 * caller has a reference. False: was given up before, or is not d's to give up. */
bool domain_release_page(struct domain *d, struct page *pg);
/* Takes a frame out of d's memory that nothing but the caller's reference uses: nobody gets at it any more, and the
 * last page_put() frees it. False: it is in use, or not d's memory. mm_lock and page_lock are taken. */
bool domain_detach_page(struct domain *d, struct page *pg);
/* Undoes that; the caller keeps its reference. */
void domain_attach_page(struct domain *d, struct page *pg);
/* The same for a frame that was another domain's. False: d is dying, or may not have more. */
bool domain_adopt_page(struct domain *d, struct page *pg);
/* Drops everything the dying domain's frames hold, bounded; true when no frame is left. */
bool mm_destroy(struct domain *d);
/* Finishes what zombie tables hold. False: preempted, call again before d's vCPU runs. mm_lock not held. */
bool mm_drain(struct domain *d);

/* --- what hypercalls do to page tables; mm_lock taken inside --- */
struct mm_update {
    maddr_t entry; /* machine address of the entry, 8-byte aligned */
    u64 value;
    bool preserve_ad;
    bool leaf;  /* only if it is an entry of an L1 table by then; else -EINVAL */
    bool exact; /* only if the entry is `expected`; else -ERESTART */
    u64 expected;
};
/* d: whose table; owner: whose frames leaf entries may map (another domain's if it granted them, NULL:
 * nobody's). What may not be mapped: -EPERM no RAM, -EBUSY another's frame, or one not to be had for writing. */
int mm_update_entry(struct domain *d, struct domain *owner, const struct mm_update *u);
/* Moves what the leaf entry `from` maps to the leaf entry `to`, which drops what it maps: that has to be the frame,
 * with the P and W, of `expected`. -EINVAL: it is not, or they are the same entry, or one is in no L1 table of d's. */
int mm_move_entry(struct domain *d, maddr_t from, maddr_t to, u64 expected);
int mm_update_va(struct vcpu *v, gva_t va, u64 value, struct domain *owner);
int mm_pin(struct domain *d, mfn_t m, enum page_type type);
int mm_unpin(struct domain *d, mfn_t m);
int mm_set_base(struct vcpu *v, mfn_t m);
int mm_set_user_base(struct vcpu *v, mfn_t m); /* MFN_INVALID: none */
/* Drops both bases (dying vCPU, VCPUOP_down does not). */
void mm_drop_bases(struct vcpu *v);
int mm_set_gdt(struct vcpu *v, const u64 *frames, u32 entries);
int mm_set_ldt(struct vcpu *v, gva_t base, u32 entries);
int mm_update_descriptor(struct domain *d, maddr_t ma, u64 desc);
/* Guest kernel's write to a read-only leaf entry: true if `va` maps an L1 table of its own; *entry is set. */
bool mm_find_pt_write(struct vcpu *v, gva_t va, maddr_t *entry, u64 *old);

/* May d's leaf entries map this frame, which is no RAM? Set by the dom0 room; without it nobody's may. */
extern bool (*mm_may_map_device)(const struct domain *d, mfn_t m);

/* --- software walk --- */
/* The leaf entry that maps va under L4 `base`, 0 if none. Entries are untrusted once the walk is over: take a reference
 * before using the frame. *level: 1 (there are no guest superpages). */
u64 mm_walk(mfn_t base, gva_t va, maddr_t *entry);
/* The same from the vCPU's base, and cheaper. */
u64 mm_walk_vcpu(const struct vcpu *v, gva_t va, maddr_t *entry);
/* For the audit: the tables say what is remembered. */
bool mm_walk_is_true(const struct walk *w);
/* Gives the domain a new walk_epoch: what CPUs remember of walks of its tables is forgotten. At birth, when a present
 * entry above the L1 tables has changed, and when an L4 ceases to be one: after the change and before what it drops is
 * dropped. */
void mm_new_walk_epoch(struct domain *d);

/* --- guest memory as the current kernel sees it: all or nothing per page, 0 or -EFAULT --- */
int copy_from_guest(void *dst, gva_t src, size_t n);
int copy_to_guest(gva_t dst, const void *src, size_t n);
int copy_from_vcpu(struct vcpu *v, void *dst, gva_t src, size_t n);
int copy_to_vcpu(struct vcpu *v, gva_t dst, const void *src, size_t n);
/* Like copy_to_vcpu, but all pages are checked before the first byte is written; *fault gets the address that failed.
 */
int copy_frame_to_vcpu(struct vcpu *v, gva_t dst, const void *src, size_t n, u64 *fault);

/* The page that has va, to be read and written directly, for as long as it is held: memory of the guest's, and no table
 * meanwhile. Other vCPUs may write it all the time. NULL: the guest may not write there. */
void *mm_hold_page(struct vcpu *v, gva_t va, struct page **held);
void mm_let_go(struct page *held); /* NULL: nothing */

/* --- machine to physical --- */
void m2p_set(mfn_t m, pfn_t p);
pfn_t m2p_get(mfn_t m);
/* The same for a frame of d's memory, and only as long as it is d's: a frame that d gave up meanwhile may have become
 * somebody else's. False: it is not d's. */
bool domain_set_m2p(struct domain *d, mfn_t m, pfn_t p);
#define M2P_INVALID (~0ul)

/* The frame that a piece of the M2P of 2 MiB begins with, as a reader of it sees it: that of an earlier one for a hole.
 */
mfn_t m2p_chunk(u64 n);
/* Frames of the hypervisor's own that the control domain may read: they are an imaginary domain's (DOMID_XEN), never
 * free and never writable by a guest. May be called again. */
void mm_show_frames(mfn_t first, u64 n);
struct domain *mm_shown(void);

/* --- the TLB clock: advances whenever a frame loses its last use, so that stale translations can be told --- */
u32 tlb_clock_now(void);
u32 tlb_clock_advance(void);
/* No CPU may use a guest translation older than `clock` when this returns. */
void tlb_flush_stale(u32 clock);
/* A guest asked for it: none of the CPUs uses a translation of its guest older than this call. */
void tlb_flush_guests(u64 cpu_mask);
/* The calling CPU forgets what it kept of its guest's translations. */
static inline void tlb_drop(struct cpu *c) {
    c->kept_root = 0;
}
/* For CR3, to go into a guest with this root; in_guest is set. On a CPU with tags, see mm/tlb.c. */
#define CR3_KEEP BIT(63) /* not in the register: what the CPU holds under the tag is left as it is */
#define GUEST_TAG 1ul    /* the hypervisor's own is 0 */
u64 tlb_tagged_root(struct cpu *c, u64 root);
static inline u64 tlb_guest_root(struct cpu *c, u64 root) {
    return likely(!c->guest_tag) ? root : tlb_tagged_root(c, root);
}

/* True when the running hypercall should stop and be restarted: the time slice ended or a timer is due. */
bool preempt_pending(void);

/* --- CPU roots (hypervisor/mm/compose.c) --- */
/* Gives the domain a new l4_epoch: no CPU root composed for it so far is used again. At birth, and with each change of
 * what roots are composed from, after the change and before what it drops is dropped. */
void mm_new_epoch(struct domain *d);
/* And a new l4_high_epoch: the kernel half of no such root is kept. */
void mm_new_high_epoch(struct domain *d);
/* Finds or fills the CPU's guest roots for the vCPU's bases and decides whether it is fused. */
void mm_compose(struct cpu *c, struct vcpu *v);

#endif
