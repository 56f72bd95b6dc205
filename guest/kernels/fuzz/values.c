// SPDX-License-Identifier: MIT
/*
 * Random values of each kind an argument can be: mostly what a kernel would say, often nearly so, at times nonsense.
 * What is never made: a reference to a frame this kernel lives in, since a guest may well break itself with that.
 */
#include "fuzz.h"

unsigned long frames[NR_FRAMES];

static unsigned long highest_mfn;
static uint8_t is_shared[(128UL << 20) / PAGE_SIZE / 8]; /* by pfn, of at most 128 MiB */
static unsigned long roots[3];
static bool null_stacks; /* asked for: QEMU's emulation takes a kernel to ring 0 */

static void take_frame(unsigned n) {
    void *page = page_alloc();
    unsigned long pfn = virt_to_pfn(page);

    if (pfn / 8 >= sizeof(is_shared))
        panic("too much memory");
    is_shared[pfn / 8] |= (uint8_t)(1 << pfn % 8);
    frames[n] = pfn_to_mfn(pfn);
    if (hv_update_va_mapping(ARG(page), 0, UVMF_INVLPG | UVMF_ALL))
        panic("a frame can't be taken out of the direct map");
}

/* The window's table and the wild slot exist before the roots are copied. */
void values_init(void) {
    pt_make(WINDOW);
    roots[0] = virt_to_mfn(pt_root());
    for (unsigned i = 1; i < ARRAY_SIZE(roots); i++)
        roots[i] = virt_to_mfn(pt_new_root(true));
    for (unsigned n = 0; n < NR_FRAMES; n++)
        take_frame(n);
    highest_mfn = (unsigned long)hv_memory_op(XENMEM_maximum_ram_page, NULL);
    null_stacks = cmdline_has("null_stacks");
}

uint64_t random_bits(struct fuzzer *f) {
    f->random ^= f->random >> 12;
    f->random ^= f->random << 25;
    f->random ^= f->random >> 27;
    return f->random * 0x2545f4914f6cdd1dUL;
}

unsigned below(struct fuzzer *f, unsigned n) {
    return (unsigned)((random_bits(f) >> 32) * n >> 32);
}

bool one_in(struct fuzzer *f, unsigned n) {
    return !below(f, n);
}

uint64_t one_of(struct fuzzer *f, const uint64_t *values, unsigned n) {
    return values[below(f, n)];
}

void *room(struct fuzzer *f, size_t bytes) {
    size_t at = f->used;

    if (at + bytes > ARENA_PAGES * PAGE_SIZE)
        panic("no room for %lu bytes of arguments", bytes);
    f->used += (bytes + 15) & ~15UL;
    return memset(f->arena + at, 0, bytes);
}

static bool is_core(unsigned long mfn) {
    unsigned long pfn;

    if (mfn > highest_mfn)
        return false;
    pfn = mfn_to_pfn(mfn);
    return pfn < start_info->nr_pages && pfn_to_mfn(pfn) == mfn && !(is_shared[pfn / 8] >> pfn % 8 & 1);
}

unsigned long shared_mfn(struct fuzzer *f) {
    return READ_ONCE(frames[below(f, NR_FRAMES)]);
}

unsigned long any_mfn(struct fuzzer *f) {
    unsigned long mfn;

    switch (below(f, 16)) {
    case 0:
        mfn = below(f, (unsigned)highest_mfn + 1);
        break;
    case 1:
        mfn = highest_mfn + below(f, 1 << 20);
        break;
    case 2:
        mfn = random_bits(f) >> below(f, 52);
        break;
    default:
        return shared_mfn(f);
    }
    return is_core(mfn) ? shared_mfn(f) : mfn;
}

static uint64_t any_flags(struct fuzzer *f) {
    static const uint64_t usual[] = {PTE_TABLE, PTE_TABLE, PTE_KERNEL, PTE_KERNEL_RO, PTE_USER, PTE_USER | PTE_NX};

    if (one_in(f, 8))
        return random_bits(f) & (0xfffUL | PTE_NX | 0x7ffUL << 52);
    return one_of(f, usual, ARRAY_SIZE(usual)) ^ (one_in(f, 8) ? 1UL << below(f, 12) : 0);
}

uint64_t any_pte(struct fuzzer *f) {
    switch (below(f, 10)) {
    case 0:
        return 0;
    case 1:
        return random_bits(f) & ~PTE_P;
    case 2:
        return (any_mfn(f) << PAGE_SHIFT & PTE_MFN_MASK) | any_flags(f);
    default:
        return (shared_mfn(f) << PAGE_SHIFT & PTE_MFN_MASK) | any_flags(f);
    }
}

/* Flat code and data of each privilege, or with one bit changed, or a gate or system segment. */
uint64_t any_descriptor(struct fuzzer *f) {
    static const uint64_t usual[] = {
        0x00af9b000000ffff, 0x00cf93000000ffff, 0x00affb000000ffff, 0x00cff3000000ffff, 0x00cffb000000ffff,
        0x00cf9a000000ffff, 0x00008c0000080000, 0x0000890000000067, 0x00cf92000000ffff, 0};

    if (one_in(f, 10))
        return random_bits(f);
    return one_of(f, usual, ARRAY_SIZE(usual)) ^ (one_in(f, 3) ? 1UL << below(f, 64) : 0);
}

uint64_t any_word(struct fuzzer *f) {
    switch (below(f, 8)) {
    case 0:
        return random_bits(f);
    case 1:
        return any_pte(f);
    case 2:
        return any_va(f);
    case 3:
        return any_mfn(f);
    case 4:
        return ~0UL << below(f, 64);
    default:
        return below(f, 40);
    }
}

uint64_t *window_table(void) {
    return (uint64_t *)(ARG(pt_entry(WINDOW, 1)) & PAGE_MASK);
}

unsigned long live_root(struct fuzzer *f) {
    return roots[below(f, ARRAY_SIZE(roots))];
}

/* Of a live root: the low half but where user code lies, the hypervisor's slots, the wild ones. */
static unsigned any_live_slot(struct fuzzer *f) {
    switch (below(f, 4)) {
    case 0:
        return 256 + below(f, 16);
    case 1:
        return below(f, 60);
    default:
        return WILD_SLOT + below(f, 4);
    }
}

/* Tables are used at their beginning, so that chance meets what it made before. */
static uint64_t any_slot(struct fuzzer *f) {
    return (one_in(f, 4) ? below(f, 512) : below(f, 6)) * sizeof(uint64_t);
}

uint64_t any_entry(struct fuzzer *f) {
    switch (below(f, 8)) {
    case 0:
        return live_root(f) << PAGE_SHIFT | any_live_slot(f) * sizeof(uint64_t);
    case 1:
    case 2:
        return virt_to_machine(window_table()) + any_slot(f);
    case 3:
        return (any_mfn(f) << PAGE_SHIFT) + any_slot(f);
    default:
        return (shared_mfn(f) << PAGE_SHIFT) + any_slot(f);
    }
}

void *window_page(struct fuzzer *f) {
    return (void *)(WINDOW + (one_in(f, 4) ? below(f, WINDOW_PAGES) : below(f, 6)) * PAGE_SIZE);
}

/* The first three may be mapped at times, or are the gate's code, which run in ring 1 takes the stack away. */
static const uint64_t odd[] = {0,
                               USER_VA + 64 * PAGE_SIZE,
                               0xffff808000000000,
                               0x00007ffffffff000,
                               0x0000800000000000,
                               0xffff7fffffffffff,
                               0xffff800000000000,
                               0xffff87fffffffff8,
                               0xffff82d080200000,
                               0xfffffffffffffff8,
                               0x8000000000000000};

unsigned long any_va(struct fuzzer *f) {
    switch (below(f, 8)) {
    case 0:
        return one_of(f, odd, ARRAY_SIZE(odd));
    case 1:
        return WILD_VA + ((unsigned long)below(f, 1 << 14) << below(f, 24));
    case 2:
        return ARG(window_page(f)) + PAGE_SIZE - below(f, 32); /* the next page may not be there */
    default:
        return ARG(window_page(f)) + below(f, 512) * 8UL;
    }
}

unsigned long any_code(struct fuzzer *f) {
    return one_in(f, 2) ? ARG(code_ud) : one_of(f, odd + 3, ARRAY_SIZE(odd) - 3);
}

domid_t any_domid(struct fuzzer *f) {
    static const uint64_t usual[] = {DOMID_SELF, DOMID_SELF,    DOMID_SELF, DOMID_SELF, DOMID_IO,
                                     DOMID_XEN,  DOMID_INVALID, DOMID_COW,  0};

    switch (below(f, 4)) {
    case 0:
        return (domid_t)below(f, 12);
    case 1:
        return one_in(f, 4) ? (domid_t)random_bits(f) : DOMID_SELF;
    default:
        return (domid_t)one_of(f, usual, ARRAY_SIZE(usual));
    }
}

/* Never 0 to 3: QEMU's TCG gives a kernel that loads such a stack segment the rights of ring 0. */
uint16_t any_selector(struct fuzzer *f) {
    static const uint64_t flat[] = {FLAT_RING3_CS64, FLAT_RING3_SS32, FLAT_RING3_CS32, FLAT_KERNEL_CS & ~3,
                                    0xe008,          0xe010,          0xe018,          0xe040};
    uint16_t selector = (uint16_t)((below(f, 64) << 3) + below(f, 8));

    if (one_in(f, 4))
        selector = (uint16_t)one_of(f, flat, ARRAY_SIZE(flat));
    if (one_in(f, 16))
        selector = (uint16_t)random_bits(f);
    return selector < 4 && !null_stacks ? FLAT_RING3_SS32 : selector;
}

uint64_t any_time(struct fuzzer *f) {
    switch (below(f, 6)) {
    case 0:
        return 0;
    case 1:
        return random_bits(f);
    case 2:
        return 1;
    default:
        return clock_now() + (1UL << below(f, 28)) - (1UL << below(f, 20));
    }
}
