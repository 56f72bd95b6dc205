// SPDX-License-Identifier: MIT
// The TLB clock: tells which CPUs may still hold a translation of a frame whose last use is gone.
//
// The clock advances at each such loss, and the frame notes the new value. A CPU notes the clock when it enters the
// hypervisor, that is, when its guest translations are dropped (a CR3 load, no global entries). So a CPU in a guest
// with a note older than the frame's may hold a stale translation, and no other can. A CPU outside guests uses none;
// it notes the clock anew when it goes into one. All comparisons are of ages: how far the clock has gone on since.
//
// A CPU with tags (PCID) keeps the translations of its guest while it is outside, under a tag that only guest roots
// have, and goes on with them if it returns to the same root, if that was not composed anew, if the guest did not ask
// for a flush and was not switched away, and if the clock stands where it stood when they were last dropped: then no
// frame at all lost a use since they were made. It looks at the clock after in_guest is set: who advances it later
// finds the CPU in its guest.
//
// Epochs, of which compose.c and walk.c tell, are drawn here as well: the other thing that says whether what a CPU
// keeps is still true.
#include <pv/cpu.h>
#include <pv/domain.h>
#include <pv/mm.h>

static u32 tlb_clock;

u32 tlb_clock_now(void) {
    return __atomic_load_n(&tlb_clock, __ATOMIC_SEQ_CST);
}

u32 tlb_clock_advance(void) {
    u32 now = __atomic_add_fetch(&tlb_clock, 1, __ATOMIC_SEQ_CST);

    /* Ages are modulo 2^32, so no CPU may be in a guest that long. Frames may: an old one that seems young costs a
     * flush. */
    if ((now & 0x3fffffff) == 0)
        cpu_flush_guests(~0ul);
    return now;
}

void tlb_flush_stale(u32 clock) {
    u32 now = tlb_clock_now();
    u64 mask = 0;

    for (u32 i = 0; i < nr_cpus; i++)
        if (READ_ONCE(cpus[i]->in_guest) && now - (u32)READ_ONCE(cpus[i]->tlb_clock) > now - clock)
            mask |= BIT(i);
    if (mask)
        cpu_flush_guests(mask);
}

/* The clock speaks to those outside, which would keep what they have. */
void tlb_flush_guests(u64 cpu_mask) {
    tlb_clock_advance();
    cpu_flush_guests(cpu_mask);
}

u64 tlb_tagged_root(struct cpu *c, u64 root) {
    u32 now = tlb_clock_now();

    if (c->kept_root == root && c->kept_clock == now)
        return root | c->guest_tag | CR3_KEEP;
    c->kept_root = root;
    c->kept_clock = now;
    return root | c->guest_tag;
}

static void new_epoch(u64 *epoch) {
    static u64 last;

    __atomic_store_n(epoch, __atomic_add_fetch(&last, 1, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
}

void mm_new_epoch(struct domain *d) {
    new_epoch(&d->l4_epoch);
}

void mm_new_high_epoch(struct domain *d) {
    new_epoch(&d->l4_high_epoch);
}

void mm_new_walk_epoch(struct domain *d) {
    new_epoch(&d->walk_epoch);
}
