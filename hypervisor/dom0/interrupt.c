// SPDX-License-Identifier: MIT
/*
 * From a device's interrupt to the event channel, and back by the guest's end of interrupt (EOI).
 *
 * A line that is level-triggered stays up until its device was served, so it is masked from the interrupt to the EOI;
 * several devices may share it. Edges and messages are over when they came. But one that comes and comes while the
 * guest does not look at its port is masked after a while as well: its bit in the EOI map asks for an EOI then, which
 * unmasks it and raises the port once more, for what may have been lost meanwhile. So a device can take the guest's
 * time, and no more of the CPU than that.
 */
#include "internal.h"

#include <pv/mm.h>

#define UNSEEN_MAX 64   /* interrupts in a row for a port that is pending anyway */
#define ELSEWHERE_MAX 8 /* that come to a CPU where the vCPU is not, until they are moved */

static bool eoi_unmasks; /* an EOI unmasks the port as well */

static void wait_for_eoi(struct pirq *p) {
    pirq_mask(p);
    p->waits = true;
    pirq_mark_eoi(pirq_owner, p, true);
}

static void follow_vcpu(struct pirq *p) {
    const struct vcpu *v = pirq_owner->vcpu[p->vcpu];

    if (READ_ONCE(v->cpu) == this_cpu())
        p->elsewhere = 0;
    else if (++p->elsewhere >= ELSEWHERE_MAX)
        pirq_move(p, v);
}

static void deliver(struct pirq *p) {
    bool seen;

    if (p->level)
        wait_for_eoi(p);
    seen = evtchn_raise_pirq(pirq_owner, p->port, (u32)(p - pirqs));
    p->unseen = seen ? 0 : (u8)(p->unseen + 1);
    if (p->unseen >= UNSEEN_MAX && !p->waits)
        wait_for_eoi(p);
    follow_vcpu(p);
}

bool dom0_interrupt(u32 vector) {
    struct pirq *p;

    spin_lock(&pirq_lock);
    p = pirq_by_vector(vector);
    if (p && p->port)
        deliver(p);
    else if (p)
        pirq_mask(p);
    spin_unlock(&pirq_lock);
    return p;
}

/* --- the guest's end of interrupt --- */

void pirq_mark_eoi(struct domain *d, const struct pirq *p, bool wanted) {
    u32 n = (u32)(p - pirqs);

    if (mfn_eq(d->eoi_mfn, MFN_INVALID))
        return;
    if (wanted)
        bit_set(mfn_to_virt(d->eoi_mfn), n);
    else
        bit_clear(mfn_to_virt(d->eoi_mfn), n);
}

int pirq_eoi(struct domain *d, u32 n, u32 *unmask) {
    struct pirq *p = pirq_mapped(n);

    if (!p)
        return -EINVAL;
    *unmask = eoi_unmasks ? p->port : 0;
    if (!p->waits)
        return 0;
    p->waits = false;
    p->unseen = 0;
    pirq_unmask(p);
    if (!p->level) {
        pirq_mark_eoi(d, p, false);
        evtchn_raise_pirq(d, p->port, n);
    }
    return 0;
}

int pirq_set_eoi_map(struct domain *d, mfn_t m, bool unmasks) {
    u64 *map;

    if (!mfn_valid(m) || page_get_with_type(mfn_to_page(m), d, PT_WRITABLE))
        return -EINVAL;
    if (!mfn_eq(d->eoi_mfn, MFN_INVALID)) {
        page_put_with_type(mfn_to_page(m));
        return -EBUSY;
    }
    map = mfn_to_virt(m);
    d->eoi_mfn = m;
    eoi_unmasks = unmasks;
    for (u32 n = 0; n < NR_PIRQS; n++)
        if (pirqs[n].port && (pirqs[n].level || pirqs[n].waits))
            bit_set(map, n);
    return 0;
}

void pirq_drop_eoi_map(struct domain *d) {
    if (!mfn_eq(d->eoi_mfn, MFN_INVALID))
        page_put_with_type(mfn_to_page(d->eoi_mfn));
    d->eoi_mfn = MFN_INVALID;
    eoi_unmasks = false;
}
