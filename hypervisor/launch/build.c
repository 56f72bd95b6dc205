// SPDX-License-Identifier: MIT
// Builds a PV domain from a kernel image and a ramdisk: memory, the layout that xen/xen.h prescribes, first page
// tables, start info, and the state of vCPU 0.
//
//   virt_base ... kernel | ramdisk | p2m list | start info | store ring | console ring | page tables | stack | padding
//
// A kernel that names a place for its p2m list (INIT_P2M) gets it mapped there, from frames behind the mapped area; one
// that takes its ramdisk by frame number gets it there as well, unmapped.
#include "internal_host.h"

#include <pv/gate.h>
#include <pv/mm.h>
#include <pv/pte.h>

#define TABLE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)
#define PADDING KiB(512)
#define MAPPED_UNIT MiB(4)

struct builder {
    struct domain *d;
    struct build_request *req;
    struct kernel_image k;
    u64 *p2m;
    u64 nr_pages;
    /* The layout, in frames of the guest. */
    u64 ramdisk, p2m_list, start_info, store, console, tables, stack, mapped_end, behind;
    u64 p2m_frames, nr_tables, next_table;
    u64 l4; /* frame of the L4 table */
};

static void *frame_virt(struct builder *b, u64 n) {
    return mfn_to_virt(mfn(b->p2m[n]));
}

static u64 va_of(const struct builder *b, u64 n) {
    return b->k.virt_base + (n << PAGE_SHIFT);
}

static u64 pages(u64 bytes) {
    return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* Tables of the given level's entries needed to map [start, end): one for each unit the range touches. */
static u64 units(u64 start, u64 end, int level) {
    u64 shift = 12 + 9 * (u64)level;

    return ((end - 1) >> shift) - (start >> shift) + 1;
}

static u64 tables_for(u64 start, u64 end) {
    return units(start, end, 1) + units(start, end, 2) + units(start, end, 3);
}

/* The tables map the area they lie in, so their number is found by trying. */
static void place_tables(struct builder *b) {
    u64 base = b->k.virt_base, p2m_at = b->k.init_p2m;

    for (b->nr_tables = 4;; b->nr_tables++) {
        u64 needed = 1;

        b->stack = b->tables + b->nr_tables;
        b->mapped_end = ALIGN_UP(((b->stack + 1) << PAGE_SHIFT) + PADDING + base, MAPPED_UNIT) - base;
        needed += tables_for(base, base + b->mapped_end);
        if (p2m_at != UNSET)
            needed += tables_for(p2m_at, p2m_at + (b->p2m_frames << PAGE_SHIFT));
        if (needed <= b->nr_tables)
            break;
    }
    b->mapped_end >>= PAGE_SHIFT;
}

/* The range is page-aligned and does not wrap. */
static bool place_is_sane(u64 va, u64 frames) {
    return !(va & ~PAGE_MASK) && frames <= 1ul << 36 && va + (frames << PAGE_SHIFT) > va;
}

static const char *lay_out(struct builder *b) {
    u64 next = pages(b->k.virt_end - b->k.virt_base), ramdisk = pages(b->req->ramdisk.size);

    b->p2m_frames = pages(b->nr_pages * sizeof(u64));
    if (ramdisk > b->nr_pages || (b->k.init_p2m != UNSET && !place_is_sane(b->k.init_p2m, b->p2m_frames)) ||
        !place_is_sane(b->k.virt_base, next + ramdisk + b->p2m_frames + pages(MiB(64))))
        return "its kernel, ramdisk and p2m list do not fit into the address space where the kernel wants them";
    b->ramdisk = next;
    next += b->k.mod_start_pfn ? 0 : ramdisk;
    b->p2m_list = next;
    next += b->k.init_p2m == UNSET ? b->p2m_frames : 0;
    b->start_info = next++;
    b->store = next++;
    b->console = next++;
    b->tables = next;
    place_tables(b);
    b->behind = b->mapped_end;
    if (b->k.mod_start_pfn) {
        b->ramdisk = b->behind;
        b->behind += ramdisk;
    }
    if (b->k.init_p2m != UNSET) {
        b->p2m_list = b->behind;
        b->behind += b->p2m_frames;
    }
    return b->behind > b->nr_pages ? "its memory is too small for the kernel and the ramdisk" : NULL;
}

/* Of the control domain only what the builder writes is cleared: the rest may be most of the machine's memory. */
static struct page *alloc_block(struct builder *b, u64 n, u32 order) {
    struct page *pg = b->d->is_control ? domain_alloc_raw_pages(b->d, order) : domain_alloc_pages(b->d, order);

    for (u64 i = 0; pg && b->d->is_control && i < 1ul << order && n + i < b->behind; i++)
        clear_page(page_to_virt(pg + i));
    return pg;
}

/* Largest blocks first, so that most of the guest is contiguous. */
static const char *allocate(struct builder *b) {
    u64 n = 0;

    b->p2m = heap_alloc(b->nr_pages * sizeof(u64));
    if (!b->p2m)
        return "not enough memory for the host to build it";
    for (u32 order = 9; n < b->nr_pages;) {
        struct page *pg = b->nr_pages - n >= 1ul << order ? alloc_block(b, n, order) : NULL;

        if (!pg && !order--)
            return "not enough memory";
        cpu_goes_on();
        for (u64 i = 0; pg && i < 1ul << order; i++, n++) {
            b->p2m[n] = page_to_mfn(pg).n + i;
            m2p_set(mfn(b->p2m[n]), pfn(n));
        }
    }
    return NULL;
}

/* Copies into the guest by its frame numbers. */
static void put_at(struct builder *b, u64 offset, const void *bytes, u64 n) {
    while (n) {
        u64 chunk = MIN(n, PAGE_SIZE - offset % PAGE_SIZE);

        cpu_goes_on();
        memcpy((char *)frame_virt(b, offset >> PAGE_SHIFT) + offset % PAGE_SIZE, bytes, chunk);
        bytes = (const char *)bytes + chunk;
        offset += chunk;
        n -= chunk;
    }
}

static void put_segment(void *arg, u64 va, const void *bytes, u64 n) {
    struct builder *b = arg;

    put_at(b, va - b->k.virt_base, bytes, n);
}

static u64 *next_level(struct builder *b, u64 *entry) {
    if (!*entry)
        *entry = pte_make(mfn(b->p2m[b->next_table++]), TABLE_FLAGS);
    return mfn_to_virt(pte_mfn(*entry));
}

static void map(struct builder *b, u64 va, u64 frame) {
    u64 *table = frame_virt(b, b->l4), flags = TABLE_FLAGS;

    for (int level = 4; level > 1; level--)
        table = next_level(b, &table[pt_slot(va, level)]);
    if (frame >= b->tables && frame < b->tables + b->nr_tables)
        flags &= ~PTE_W;
    table[pt_slot(va, 1)] = pte_make(mfn(b->p2m[frame]), flags);
}

static void make_tables(struct builder *b) {
    b->l4 = b->tables;
    b->next_table = b->tables + 1;
    for (u64 n = 0; n < b->mapped_end; n++)
        map(b, va_of(b, n), n);
    for (u64 i = 0; b->k.init_p2m != UNSET && i < b->p2m_frames; i++)
        map(b, b->k.init_p2m + (i << PAGE_SHIFT), b->p2m_list + i);
}

static void fill_start_info(struct builder *b) {
    struct start_info *si = frame_virt(b, b->start_info);

    strlcpy(si->magic, "xen-3.0-x86_64", sizeof(si->magic));
    si->nr_pages = b->nr_pages;
    si->shared_info = mfn_to_maddr(b->d->shared_info_mfn).a;
    si->flags = b->req->flags;
    si->store_mfn = b->p2m[b->store];
    si->console.domU.mfn = b->p2m[b->console];
    si->pt_base = va_of(b, b->tables);
    si->nr_pt_frames = b->next_table - b->tables;
    si->mfn_list = b->k.init_p2m != UNSET ? b->k.init_p2m : va_of(b, b->p2m_list);
    if (b->req->ramdisk.size) {
        si->mod_start = b->k.mod_start_pfn ? b->ramdisk : va_of(b, b->ramdisk);
        si->mod_len = b->req->ramdisk.size;
        si->flags |= b->k.mod_start_pfn ? SIF_MOD_START_PFN : 0;
    }
    if (b->k.init_p2m != UNSET) {
        si->first_p2m_pfn = b->p2m_list;
        si->nr_p2m_frames = b->p2m_frames;
    }
    strlcpy((char *)si->cmd_line, b->req->command_line, sizeof(si->cmd_line));
    b->req->start_info = si;
}

static const char *fill(struct builder *b) {
    u64 page = b->k.hypercall_page - b->k.virt_base;

    image_load(&b->k, put_segment, b);
    put_at(b, b->ramdisk << PAGE_SHIFT, b->req->ramdisk.data, b->req->ramdisk.size);
    put_at(b, b->p2m_list << PAGE_SHIFT, b->p2m, b->nr_pages * sizeof(u64));
    if (b->k.hypercall_page != UNSET) {
        if (page & ~PAGE_MASK || page >> PAGE_SHIFT >= b->mapped_end)
            return "its hypercall page lies outside the kernel";
        gate_write_hypercall_page(frame_virt(b, page >> PAGE_SHIFT));
    }
    make_tables(b);
    fill_start_info(b);
    return NULL;
}

/* The rings are the hypervisor's to read and write for as long as it serves them. */
static const char *hold_rings(struct builder *b) {
    const u64 ring[2] = {b->p2m[b->console], b->p2m[b->store]};

    for (int i = 0; i < 2; i++) {
        if (page_get_with_type(mfn_to_page(mfn(ring[i])), b->d, PT_WRITABLE))
            return "its ring pages can't be held";
        b->d->ring_mfn[i] = mfn(ring[i]);
    }
    return NULL;
}

static const char *start_state(struct builder *b) {
    struct vcpu *v = b->d->vcpu[0];
    mfn_t l4 = mfn(b->p2m[b->l4]);
    int rc;

    while ((rc = mm_pin(b->d, l4, PT_L4)) == -ERESTART)
        continue;
    if (rc || mm_set_base(v, l4))
        return "its first page tables are not valid (a bug of the builder)";
    v->gate->regs = (struct regs){.rip = b->k.entry,
                                  .rsp = va_of(b, b->stack + 1),
                                  .rsi = va_of(b, b->start_info),
                                  .cs = SEL_KERNEL_CS,
                                  .ss = SEL_KERNEL_DS,
                                  .rflags = RFLAGS_IF | RFLAGS_MBS};
    v->initialised = true;
    return NULL;
}

const char *build_domain(struct domain *d, struct build_request *req) {
    struct builder b = {.d = d, .req = req, .nr_pages = req->nr_pages};
    const char *why = image_read(req->kernel, &b.k);

    d->nr_pfns = req->nr_pages;
    if (!why)
        why = lay_out(&b);
    if (!why)
        why = allocate(&b);
    if (!why)
        why = fill(&b);
    if (!why && !d->is_control)
        why = hold_rings(&b);
    if (!why)
        why = start_state(&b);
    heap_free(b.p2m);
    return why;
}
