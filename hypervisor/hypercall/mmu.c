// SPDX-License-Identifier: MIT
// mmu_update, update_va_mapping, mmuext_op, set_gdt, update_descriptor: the ABI's page-table calls, in terms of mm.
#include "internal.h"

#include <pv/cpu.h>

/* Set in a count by a restarted call: *done has what was done before. */
#define PREEMPTED (1ul << 31)

struct domain *hc_get_domain(struct vcpu *v, domid_t id, long *error) {
    struct domain *d = NULL;

    if (id == DOMID_SELF || id == v->domain->id)
        return v->domain;
    if (v->domain->is_control)
        d = domain_get(id);
    if (!d)
        *error = domain_by_id(id) || id == DOMID_IO || id == DOMID_XEN ? -EPERM : -ESRCH;
    return d;
}

bool hc_guest_address_ok(u64 a) {
    return is_canonical(a) && (a < 0xffff800000000000ul || a >= 0xffff880000000000ul);
}

/* Adds what this call did to *done, if the guest wants to know, and gives a place where that can be written. */
static void report_done(u64 done_at, u64 count, u32 before) {
    u32 done = (u32)count + before;

    if (done_at)
        (void)copy_to_guest(gva(done_at), &done, sizeof(done));
}

static u32 done_before(u64 *count, u64 done_at) {
    u32 before = 0;

    if (!(*count & PREEMPTED))
        return 0;
    *count &= ~(u64)PREEMPTED;
    return done_at && copy_from_guest(&before, gva(done_at), sizeof(before)) ? 0 : before;
}

/* mmu_update's last argument: whose tables are changed, and whose frames their entries may map. Those of devices are
 * nobody's here. */
struct parties {
    struct domain *tables, *frames;
};

static void put_parties(struct vcpu *v, struct parties *p) {
    hc_put_domain(v, p->tables);
    if (p->frames != mm_shown())
        hc_put_domain(v, p->frames);
}

static long get_parties(struct vcpu *v, u32 foreign, struct parties *p) {
    long rc = 0;

    if (likely(foreign == DOMID_SELF)) {
        *p = (struct parties){v->domain, v->domain};
        return 0;
    }
    *p = (struct parties){v->domain, NULL};
    if (foreign >> 16)
        p->tables = hc_get_domain(v, (domid_t)((foreign >> 16) - 1), &rc);
    if (p->tables && (domid_t)foreign == DOMID_XEN && v->domain->is_control)
        p->frames = mm_shown();
    else if (p->tables && (domid_t)foreign != DOMID_IO)
        p->frames = hc_get_domain(v, (domid_t)foreign, &rc);
    /* A domain that does not run leaves its zombies to whoever wants its frames. */
    if (!rc && p->frames && p->frames != v->domain && !mm_drain(p->frames))
        rc = -ERESTART;
    if (rc)
        put_parties(v, p);
    return rc;
}

static long set_m2p(struct domain *d, mfn_t m, pfn_t p) {
    return d && d != mm_shown() && domain_set_m2p(d, m, p) ? 0 : -EINVAL;
}

static long one_update(const struct parties *p, const struct mmu_update *req) {
    struct mm_update u = {.entry = maddr(req->ptr & ~7ul), .value = req->val};

    switch (req->ptr & 7) {
    case MMU_PT_UPDATE_PRESERVE_AD:
        u.preserve_ad = true;
        __attribute__((fallthrough));
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_NO_TRANSLATE:
        return mm_update_entry(p->tables, p->frames, &u);
    case MMU_MACHPHYS_UPDATE:
        return set_m2p(p->frames, maddr_to_mfn(u.entry), pfn(req->val));
    default:
        return -ENOSYS;
    }
}

#define BATCH 16

/* How many of n elements at `at` are copied at once: those in the same page, so that what can't be read is refused when
 * its turn comes. An element on two pages goes alone. */
static u64 batch_of(u64 at, u64 n, u64 size) {
    u64 here;

    if (likely(n <= BATCH && at % PAGE_SIZE + n * size <= PAGE_SIZE))
        return n;
    here = (PAGE_SIZE - at % PAGE_SIZE) / size;
    return MIN(MIN(n, BATCH), MAX(here, 1));
}

static long run_updates(const struct parties *p, u64 at, u64 count, u64 *done) {
    struct mmu_update req[BATCH];

    while (*done < count) {
        u64 from = at + *done * sizeof(req[0]), n = batch_of(from, count - *done, sizeof(req[0]));

        if (*done && preempt_pending())
            return -ERESTART;
        if (copy_from_guest(req, gva(from), n * sizeof(req[0])))
            return -EFAULT;
        for (u64 i = 0; i < n; i++, ++*done) {
            long rc = one_update(p, &req[i]);

            if (rc)
                return rc;
        }
    }
    return 0;
}

/* Most calls are this. */
static long own_update(struct vcpu *v, u64 *arg) {
    struct parties own = {v->domain, v->domain};
    struct mmu_update req;
    long rc = copy_from_vcpu(v, &req, gva(arg[0]), sizeof(req));

    if (!rc)
        rc = one_update(&own, &req);
    report_done(arg[2], !rc, 0);
    if (unlikely(rc == -ERESTART))
        arg[1] = 1 | PREEMPTED;
    return rc;
}

static __attribute__((noinline)) long update_list(struct vcpu *v, u64 *arg) {
    u64 count = (u32)arg[1], done = 0;
    u32 before = done_before(&count, arg[2]);
    struct parties p;
    long rc = get_parties(v, (u32)arg[3], &p);

    if (rc) {
        arg[1] = count | (before ? PREEMPTED : 0);
        return rc;
    }
    rc = run_updates(&p, arg[0], count, &done);
    put_parties(v, &p);
    report_done(arg[2], done, before);
    if (rc == -ERESTART) {
        arg[0] += done * sizeof(struct mmu_update);
        arg[1] = (count - done) | PREEMPTED;
    }
    return rc;
}

/* arg: updates, count, &done, foreign domain (low half: owner of frames, high half: owner of tables + 1) */
long hc_mmu_update(struct vcpu *v, u64 *arg) {
    return (u32)arg[1] == 1 && (u32)arg[3] == DOMID_SELF ? own_update(v, arg) : update_list(v, arg);
}

static u64 mask_of_all_vcpus(struct domain *d) {
    u64 mask = 0;

    for (u32 i = 0; i < d->nr_vcpus; i++) {
        struct cpu *c = READ_ONCE(d->vcpu[i]->cpu);

        if (c && READ_ONCE(c->current) == d->vcpu[i])
            mask |= BIT(c->id);
    }
    return mask;
}

/* A set of vCPUs in guest memory -> the CPUs that run them. */
static long mask_of_vcpus(struct domain *d, u64 at, u64 *mask) {
    u64 set = 0;

    if (copy_from_guest(&set, gva(at), ALIGN_UP(d->nr_vcpus, 8u) / 8))
        return -EFAULT;
    *mask = 0;
    for (u32 i = 0; i < d->nr_vcpus; i++) {
        struct cpu *c = READ_ONCE(d->vcpu[i]->cpu);

        if (set >> i & 1 && c && READ_ONCE(c->current) == d->vcpu[i])
            *mask |= BIT(c->id);
    }
    return 0;
}

static long flush_local(void) {
    tlb_drop(this_cpu());
    return 0;
}

/* One page is flushed with all others. */
static long flush(struct vcpu *v, u64 flags) {
    u64 target = flags & ~(u64)UVMF_FLUSHTYPE_MASK, mask;
    long rc;

    if (!(flags & UVMF_FLUSHTYPE_MASK))
        return 0;
    if (target == UVMF_LOCAL)
        return flush_local();
    if (target == UVMF_ALL) {
        tlb_flush_guests(mask_of_all_vcpus(v->domain));
        return 0;
    }
    rc = mask_of_vcpus(v->domain, target, &mask);
    if (!rc)
        tlb_flush_guests(mask);
    return rc;
}

/* arg: address, value, flush flags */
long hc_update_va_mapping(struct vcpu *v, u64 *arg) {
    long rc = mm_update_va(v, gva(arg[0]), arg[1], v->domain);

    return rc ? rc : flush(v, arg[2]);
}

/* arg: the same, and whose frame */
long hc_update_va_mapping_otherdomain(struct vcpu *v, u64 *arg) {
    struct parties p;
    long rc = get_parties(v, (domid_t)arg[3], &p);

    if (rc)
        return rc;
    rc = mm_update_va(v, gva(arg[0]), arg[1], p.frames);
    put_parties(v, &p);
    return rc ? rc : flush(v, arg[2]);
}

static long copy_page(struct domain *d, mfn_t to, mfn_t from) {
    struct page *src, *dst;
    long rc;

    if (!mfn_valid(to) || (from.n != ~0ul && !mfn_valid(from)))
        return -EINVAL;
    /* Tables on their way out may still hold the frames. */
    if (!mm_drain(d))
        return -ERESTART;
    dst = mfn_to_page(to);
    src = from.n == ~0ul ? NULL : mfn_to_page(from);
    if (src && !page_get(src, d))
        return -EINVAL;
    rc = page_get_with_type(dst, d, PT_WRITABLE);
    if (!rc) {
        if (src)
            memcpy(page_to_virt(dst), page_to_virt(src), PAGE_SIZE);
        else
            clear_page(page_to_virt(dst));
        page_put_with_type(dst);
    }
    if (src)
        page_put(src);
    return rc == -EBUSY ? -EINVAL : rc;
}

static long set_user_base(struct vcpu *v, u64 n) {
    return mm_set_user_base(v, n ? mfn(n) : MFN_INVALID);
}

static long flush_multi(struct vcpu *v, const struct mmuext_op *op) {
    u64 mask;
    long rc = mask_of_vcpus(v->domain, (u64)op->arg2.vcpumask.p, &mask);

    if (rc)
        return -EINVAL;
    tlb_flush_guests(mask);
    return 0;
}

static long set_ldt(struct vcpu *v, const struct mmuext_op *op) {
    if (!op->arg2.nr_ents)
        return mm_set_ldt(v, gva(0), 0);
    if (op->arg2.nr_ents > 8192 || !hc_guest_address_ok(op->arg1.linear_addr))
        return -EINVAL;
    return mm_set_ldt(v, gva(op->arg1.linear_addr), op->arg2.nr_ents);
}

static long one_own_ext(struct vcpu *v, const struct mmuext_op *op) {
    switch (op->cmd) {
    case MMUEXT_NEW_BASEPTR:
        return mm_set_base(v, mfn(op->arg1.mfn));
    case MMUEXT_NEW_USER_BASEPTR:
        return set_user_base(v, op->arg1.mfn);
    case MMUEXT_TLB_FLUSH_LOCAL:
    case MMUEXT_INVLPG_LOCAL:
        return flush_local();
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
        return flush_multi(v, op);
    case MMUEXT_TLB_FLUSH_ALL:
    case MMUEXT_INVLPG_ALL:
        tlb_flush_guests(mask_of_all_vcpus(v->domain));
        return 0;
    case MMUEXT_FLUSH_CACHE: /* both are for owners of devices */
        return -EACCES;
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        return -EINVAL;
    case MMUEXT_SET_LDT:
        return set_ldt(v, op);
    default:
        return -ENOSYS;
    }
}

/* What is about frames, which may be another domain's; the rest is about the caller. */
static long one_ext_on(struct vcpu *v, struct domain *d, const struct mmuext_op *op) {
    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE:
        return mm_pin(d, mfn(op->arg1.mfn), PT_L1 + (op->cmd - MMUEXT_PIN_L1_TABLE));
    case MMUEXT_UNPIN_TABLE:
        return mm_unpin(d, mfn(op->arg1.mfn));
    case MMUEXT_CLEAR_PAGE:
        return copy_page(d, mfn(op->arg1.mfn), mfn(~0ul));
    case MMUEXT_COPY_PAGE:
        return copy_page(d, mfn(op->arg1.mfn), mfn(op->arg2.src_mfn));
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
        return -EOPNOTSUPP;
    default:
        return d == v->domain ? one_own_ext(v, op) : op->cmd <= MMUEXT_UNMARK_SUPER ? -EPERM : -ENOSYS;
    }
}

static long run_exts(struct vcpu *v, struct domain *d, u64 at, u64 count, u64 *done) {
    struct mmuext_op op[BATCH];

    while (*done < count) {
        u64 from = at + *done * sizeof(op[0]), n = batch_of(from, count - *done, sizeof(op[0]));

        if (copy_from_guest(op, gva(from), n * sizeof(op[0])))
            return -EFAULT;
        for (u64 i = 0; i < n; i++, ++*done) {
            long rc = *done && preempt_pending() ? -ERESTART : one_ext_on(v, d, &op[i]);

            if (rc)
                return rc;
        }
    }
    return 0;
}

/* arg: operations, count, &done, foreign domain */
long hc_mmuext_op(struct vcpu *v, u64 *arg) {
    u64 count = (u32)arg[1], done = 0;
    u32 before = done_before(&count, arg[2]);
    long rc = -EPERM;
    struct domain *d = hc_get_domain(v, (domid_t)arg[3], &rc);

    if (!d)
        return rc;
    rc = run_exts(v, d, arg[0], count, &done);
    hc_put_domain(v, d);
    report_done(arg[2], done, before);
    if (rc == -ERESTART) {
        arg[0] += done * sizeof(struct mmuext_op);
        arg[1] = (count - done) | PREEMPTED;
    }
    return rc;
}

/* arg: frames, number of descriptors */
long hc_set_gdt(struct vcpu *v, u64 *arg) {
    u64 frames[GDT_GUEST_PAGES];
    u32 entries = (u32)arg[1], n = (entries + 511) / 512;

    if (arg[1] > GDT_GUEST_PAGES * 512)
        return -EINVAL;
    if (copy_from_guest(frames, gva(arg[0]), n * sizeof(frames[0])))
        return -EFAULT;
    return mm_set_gdt(v, frames, entries);
}

/* arg: machine address, descriptor */
long hc_update_descriptor(struct vcpu *v, u64 *arg) {
    return mm_update_descriptor(v->domain, maddr(arg[0]), arg[1]);
}
