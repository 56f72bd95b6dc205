// SPDX-License-Identifier: MIT
// Software walks of guests' page tables, and copies from and to guest memory. The hypervisor never dereferences a guest
// pointer. Walks take no lock: tables may change under them, so the frame found counts for nothing until a reference,
// and for writes a WRITABLE use, shows that it is the guest's own memory.
#include "internal.h"

static bool is_canonical(u64 a) {
    return (s64)(a << 16) >> 16 == (s64)a;
}

u64 mm_walk(mfn_t base, gva_t va, maddr_t *entry) {
    u64 all = ~0ul, any = 0, e = pte_make(base, PTE_P);

    if (entry)
        entry->a = 0;
    if (!is_canonical(va.a) || slot_is_reserved(pt_slot(va.a, 4)))
        return 0;
#pragma GCC unroll 4
    for (int level = 4; level >= 1; level--) {
        mfn_t table = pte_mfn(e);

        if (!(e & PTE_P) || !mfn_readable(table))
            return 0;
        if (level < 4) {
            all &= e;
            any |= e;
        }
        if (level == 1 && entry)
            entry->a = mfn_to_maddr(table).a + pt_slot(va.a, 1) * 8;
        e = READ_ONCE(((const u64 *)mfn_to_virt(table))[pt_slot(va.a, level)]);
    }
    return e & PTE_P ? (e & (all | ~(PTE_W | PTE_U))) | (any & PTE_NX) : 0;
}

/* The frame behind a guest address, held for reading or writing; NULL if the guest may not. */
static struct page *hold(struct vcpu *v, gva_t va, bool write) {
    u64 pte = mm_walk(v->base, va, NULL);
    struct page *pg;

    if (!(pte & PTE_P) || (write && !(pte & PTE_W)) || !mfn_readable(pte_mfn(pte)))
        return NULL;
    pg = mfn_to_page(pte_mfn(pte));
    if (write)
        return ref_get_with_type(pg, v->domain, PT_WRITABLE) ? NULL : pg;
    return ref_get(pg, v->domain) ? pg : NULL;
}

static void let_go(struct page *pg, bool write) {
    if (write)
        type_put(pg);
    ref_put(pg);
}

static size_t chunk_of(gva_t va, size_t n) {
    return MIN(n, PAGE_SIZE - va.a % PAGE_SIZE);
}

int copy_from_vcpu(struct vcpu *v, void *dst, gva_t src, size_t n) {
    while (n) {
        size_t chunk = chunk_of(src, n);
        struct page *pg = hold(v, src, false);

        if (!pg)
            return -EFAULT;
        memcpy(dst, (char *)page_to_virt(pg) + src.a % PAGE_SIZE, chunk);
        let_go(pg, false);
        dst = (char *)dst + chunk;
        src.a += chunk;
        n -= chunk;
    }
    return 0;
}

int copy_to_vcpu(struct vcpu *v, gva_t dst, const void *src, size_t n) {
    while (n) {
        size_t chunk = chunk_of(dst, n);
        struct page *pg = hold(v, dst, true);

        if (!pg)
            return -EFAULT;
        memcpy((char *)page_to_virt(pg) + dst.a % PAGE_SIZE, src, chunk);
        let_go(pg, true);
        src = (const char *)src + chunk;
        dst.a += chunk;
        n -= chunk;
    }
    return 0;
}

int copy_frame_to_vcpu(struct vcpu *v, gva_t dst, const void *src, size_t n, u64 *fault) {
    size_t first = chunk_of(dst, n);
    struct page *low = hold(v, dst, true), *high = NULL;

    *fault = dst.a;
    if (!low)
        return -EFAULT;
    if (first < n) {
        *fault = dst.a + first;
        high = hold(v, gva(*fault), true);
        if (!high) {
            let_go(low, true);
            return -EFAULT;
        }
        memcpy(page_to_virt(high), (const char *)src + first, n - first);
        let_go(high, true);
    }
    memcpy((char *)page_to_virt(low) + dst.a % PAGE_SIZE, src, first);
    let_go(low, true);
    return 0;
}

int copy_from_guest(void *dst, gva_t src, size_t n) {
    return copy_from_vcpu(current_vcpu(), dst, src, n);
}

int copy_to_guest(gva_t dst, const void *src, size_t n) {
    return copy_to_vcpu(current_vcpu(), dst, src, n);
}

void *mm_hold_page(struct vcpu *v, gva_t va, struct page **held) {
    *held = hold(v, va, true);
    return *held ? (char *)page_to_virt(*held) + va.a % PAGE_SIZE : NULL;
}

void mm_let_go(struct page *held) {
    if (held)
        let_go(held, true);
}

bool mm_find_pt_write(struct vcpu *v, gva_t va, maddr_t *entry, u64 *old) {
    u64 pte = mm_walk(v->base, gva(va.a & ~7ul), NULL);
    struct page *pg;

    if (!(pte & PTE_P) || !mfn_readable(pte_mfn(pte)))
        return false;
    pg = mfn_to_page(pte_mfn(pte));
    if (!ref_get(pg, v->domain))
        return false;
    entry->a = mfn_to_maddr(pte_mfn(pte)).a + (va.a & (PAGE_SIZE - 8));
    *old = READ_ONCE(*(u64 *)maddr_to_virt(*entry));
    ref_put(pg);
    return READ_ONCE(pg->type) & TYPE_USES && page_last_type(pg) == PT_L1;
}
