/* SPDX-License-Identifier: MIT */
/*
 * mm_host: a small machine for the tests of mm: RAM as an array with a hole, its frame table and machine-to-physical
 * table, CPUs whose flushes are recorded, preemption on demand; domains with frames, and an address space to use them
 * by. In place of mm/machine.c.
 */
#ifndef TESTS_UNIT_MM_HOST_H
#define TESTS_UNIT_MM_HOST_H

#include "host.h"
#include <pv/mm.h>
#include <pv/pte.h>

#define MM_FRAMES 2048u
#define MM_OWN 16u /* frames below are the hypervisor's */
#define MM_CPUS 4u
#define MM_HOLE 1000u /* this frame is no RAM */
#define MM_RWP (PTE_P | PTE_W | PTE_U)
#define MM_MAP_BASE 0x40000000ul /* where mm_host_space() leads: 512 slots of one L1 */
#define MM_SLOT_VA(slot) (MM_MAP_BASE + (slot)*PAGE_SIZE)

/* How many looks at preempt_pending() say no before all say yes; -1: all say no. */
extern long mm_preempt_after;
/* Runs an operation till it is done, preempted after n looks each time. */
#define MM_RETRY(n, expr)                                                                                              \
    ({                                                                                                                 \
        int mm_rc_;                                                                                                    \
        do {                                                                                                           \
            mm_preempt_after = (n);                                                                                    \
            mm_rc_ = (int)(expr);                                                                                      \
        } while (mm_rc_ == -ERESTART);                                                                                 \
        mm_preempt_after = -1;                                                                                         \
        mm_rc_;                                                                                                        \
    })

extern u64 mm_flushed;                      /* CPUs that were made to come out of their guests */
extern void (*mm_on_flush)(void);           /* called in the middle of it */
extern void (*mm_on_return)(struct cpu *c); /* called when such a CPU goes in again */

/* The machine with its heap (once) and n CPUs out of guests. */
void mm_host_init(u32 cpus);
struct domain *mm_host_domain(domid_t id, u32 vcpus, u64 max_pages);
/* Takes the domain apart, preempted after n looks each time; false: something of it is left. */
bool mm_host_destroy(struct domain *d, long n);
/* Frees the structure of a domain that has nothing left. */
void mm_host_forget(struct domain *d);
/* A frame of the domain's. */
mfn_t mm_host_frame(struct domain *d);
u64 *mm_host_table(mfn_t m);
static inline u64 mm_pte(mfn_t m, u64 flags) {
    return pte_make(m, flags);
}
static inline u32 mm_refs(mfn_t m) {
    return (u32)(READ_ONCE(mfn_to_page(m)->count) & PAGE_REFS);
}
static inline u32 mm_uses(mfn_t m) {
    return (u32)(READ_ONCE(mfn_to_page(m)->type) & TYPE_USES);
}

/* An address space for vCPU 0, as kernel base and current on CPU 0; l[4] .. l[1] are its tables. */
struct mm_space {
    struct vcpu *v;
    mfn_t l[5];
};
struct mm_space mm_host_space(struct domain *d);
/* Empty roots for a CPU, composed for nobody. */
void mm_host_roots(struct cpu *c);
/* One entry of a table, as the domain's guest would ask for. */
int mm_host_set(struct domain *d, mfn_t table, u32 slot, u64 value);

/* What this CPU's remembered walks say about the vCPU's address space is what its tables say. False: it is not. */
bool mm_host_walks_agree(const struct vcpu *v);

#endif
