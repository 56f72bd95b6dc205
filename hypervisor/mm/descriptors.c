// SPDX-License-Identifier: MIT
// Segment descriptors of guests: what a GDT or LDT may hold, and the frames they live in.
//
// Only plain code and data segments pass. Their DPL is 1 or 3 afterwards, so that none opens ring 0, and they are
// marked accessed, because the mapping the CPU reads them through is read-only. System descriptors and gates are
// refused: a call gate of ring 1 would have no stack to land on.
#include "internal.h"

#define DESC_ACCESSED BIT(40)
#define DESC_NOT_SYSTEM BIT(44)
#define DESC_DPL_SHIFT 45
#define DESC_PRESENT BIT(47)

bool descriptor_check(u64 *desc) {
    u64 d = *desc;

    if (!(d & DESC_PRESENT))
        return true;
    if (!(d & DESC_NOT_SYSTEM))
        return false;
    if ((d >> DESC_DPL_SHIFT & 3) != 3)
        d = (d & ~(3ul << DESC_DPL_SHIFT)) | 1ul << DESC_DPL_SHIFT;
    *desc = d | DESC_ACCESSED;
    return true;
}

int descriptors_get_page(struct page *pg) {
    u64 *desc = page_to_virt(pg);

    for (u32 i = 0; i < PAGE_SIZE / 8; i++) {
        u64 d = desc[i];

        if (!descriptor_check(&d))
            return -EINVAL;
        if (d != desc[i])
            desc[i] = d;
    }
    return 0;
}

static void put_frames(mfn_t *frames, u32 n) {
    for (u32 i = 0; i < n; i++) {
        if (!mfn_eq(frames[i], MFN_INVALID))
            page_put_with_type(mfn_to_page(frames[i]));
        frames[i] = MFN_INVALID;
    }
}

/* Tables on their way out may still hold the frames. (Without frames there is nothing to wait for: a dying domain gives
 * its tables up so.) */
static int get_frames(struct domain *d, mfn_t *frames, u32 n) {
    if (n && !mm_drain_locked(d))
        return -ERESTART;
    for (u32 i = 0; i < n; i++) {
        int rc = mfn_valid(frames[i]) ? page_get_with_type(mfn_to_page(frames[i]), d, PT_SEGDESC) : -EINVAL;

        if (rc) {
            put_frames(frames, i);
            return rc;
        }
    }
    return 0;
}

/* Replaces the frames of a table by new ones on which references and uses were taken; then the CPU shows them. */
static void install(struct vcpu *v, mfn_t *table, const mfn_t *frames, u32 n, u32 max) {
    mfn_t old[LDT_PAGES];

    memcpy(old, table, max * sizeof(*old));
    for (u32 i = 0; i < max; i++)
        table[i] = i < n ? frames[i] : MFN_INVALID;
    if (this_cpu()->current == v)
        this_cpu()->gate_dirty = true;
    put_frames(old, max);
}

int mm_set_gdt(struct vcpu *v, const u64 *list, u32 entries) {
    mfn_t frames[GDT_GUEST_PAGES];
    u32 n = (entries + 511) / 512;
    int rc;

    if (n > GDT_GUEST_PAGES)
        return -EINVAL;
    for (u32 i = 0; i < n; i++)
        frames[i] = mfn(list[i]);
    spin_lock(&v->domain->mm_lock);
    rc = get_frames(v->domain, frames, n);
    if (!rc) {
        install(v, v->gdt_frames, frames, n, GDT_GUEST_PAGES);
        v->gdt_ents = entries;
    }
    spin_unlock(&v->domain->mm_lock);
    return rc;
}

static int find_ldt_frames(struct vcpu *v, gva_t base, mfn_t *frames, u32 n) {
    for (u32 i = 0; i < n; i++) {
        u64 pte = mm_walk_vcpu(v, gva(base.a + i * PAGE_SIZE), NULL);

        if (!(pte & PTE_P))
            return -EINVAL;
        frames[i] = pte_mfn(pte);
    }
    return 0;
}

int mm_set_ldt(struct vcpu *v, gva_t base, u32 entries) {
    mfn_t frames[LDT_PAGES];
    u32 n = (entries + 511) / 512;
    int rc;

    if (n > LDT_PAGES || base.a & ~PAGE_MASK)
        return -EINVAL;
    spin_lock(&v->domain->mm_lock);
    rc = find_ldt_frames(v, base, frames, n);
    if (!rc)
        rc = get_frames(v->domain, frames, n);
    if (!rc) {
        install(v, v->ldt_frames, frames, n, LDT_PAGES);
        v->ldt_base = base.a;
        v->ldt_ents = entries;
    }
    spin_unlock(&v->domain->mm_lock);
    return rc;
}

static int write_descriptor(struct page *pg, maddr_t ma, u64 desc) {
    bool in_use = page_last_type(pg) == PT_SEGDESC && READ_ONCE(pg->type) & TYPE_USES;
    int rc = page_get_type(pg, in_use ? PT_SEGDESC : PT_WRITABLE);

    if (rc)
        return rc;
    WRITE_ONCE(*(u64 *)maddr_to_virt(ma), desc);
    page_put_type(pg);
    return 0;
}

int mm_update_descriptor(struct domain *d, maddr_t ma, u64 desc) {
    struct page *pg;
    int rc;

    if (ma.a & 7 || !mfn_valid(maddr_to_mfn(ma)) || !descriptor_check(&desc))
        return -EINVAL;
    pg = mfn_to_page(maddr_to_mfn(ma));
    if (!page_get(pg, d))
        return -EINVAL;
    spin_lock(&d->mm_lock);
    rc = mm_drain_locked(d) ? write_descriptor(pg, ma, desc) : -ERESTART;
    spin_unlock(&d->mm_lock);
    page_put(pg);
    return rc == -EBUSY ? -EINVAL : rc;
}
