// SPDX-License-Identifier: MIT
// IDT, TSS and the reserved descriptors: constant data that the CPU reads while a guest runs.
#include <pv/gate_tables.h>

#include <pv/gate.h>
#include <pv/lib.h>
#include <pv/x86.h>

u64 gate_idt[512] __aligned(PAGE_SIZE);
extern const u64 gate_address_vectors;

enum { IDT_PRESENT = 0x80, IDT_INTERRUPT_GATE = 0x0e };

static void set_gate(u32 vector, u8 ist, u8 dpl) {
    u64 address = gate_address_vectors + vector * 16;

    gate_idt[vector * 2] = (address & 0xffff) | (u64)SEL_HYP_CS << 16 | (u64)ist << 32 |
                           (u64)(IDT_PRESENT | IDT_INTERRUPT_GATE | dpl << 5) << 40 | (address >> 16 & 0xffff) << 48;
    gate_idt[vector * 2 + 1] = address >> 32;
}

/* INT n by guests is refused by the gates' DPL and looked up in the guest's trap table (#GP handler); int3, into and
 * int 0x80 come straight. */
void gate_build_idt(void) {
    for (u32 i = 0; i < 256; i++)
        set_gate(i, 0, i == VEC_BP || i == VEC_OF || i == 0x80 ? 3 : 0);
    set_gate(VEC_DF, IST_DF, 0);
    set_gate(VEC_NMI, IST_NMI, 0);
    set_gate(VEC_MC, IST_MC, 0);
    set_gate(VEC_DB, IST_DB, 0);
}

struct tss {
    u32 reserved0;
    u64 rsp[3], reserved1, ist[7], reserved2;
    u16 reserved3, iomap;
} __packed;

void gate_build_tss(void *page) {
    struct tss *tss = page;

    tss->rsp[0] = GATE_VCPU + PAGE_SIZE;
    for (int i = 1; i <= 4; i++)
        tss->ist[i - 1] = GATE_IST(i - 1) + PAGE_SIZE;
    tss->iomap = sizeof(*tss); /* beyond the limit: every port faults outside ring 0 */
}

static u64 *descriptor(void *page, u32 selector) {
    return (u64 *)((char *)page + (selector & ~7u) - GDT_RESERVED_OFFSET);
}

static void set_system(void *page, u32 selector, u64 base, u32 limit, u8 type) {
    u64 *d = descriptor(page, selector);

    d[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | (u64)(0x80 | type) << 40 | (base >> 24 & 0xff) << 56;
    d[1] = base >> 32;
}

/* Descriptors are born accessed: the GDT is read-only in every root. */
void gate_build_gdt(void *page) {
    *descriptor(page, SEL_HYP_CS) = 0x00af9b000000ffff;
    *descriptor(page, SEL_HYP_DS) = 0x00cf93000000ffff;
    *descriptor(page, SEL_USER_CS32) = 0x00cffb000000ffff;
    *descriptor(page, SEL_USER_DS) = 0x00cff3000000ffff;
    *descriptor(page, SEL_USER_CS64) = 0x00affb000000ffff;
    *descriptor(page, SEL_KERNEL_CS) = 0x00afbb000000ffff;
    *descriptor(page, SEL_KERNEL_DS) = 0x00cfb3000000ffff;
    set_system(page, SEL_TSS, GATE_TSS, sizeof(struct tss) - 1, 9);
}

void gate_set_ldt(void *page, u32 entries) {
    if (entries)
        set_system(page, SEL_LDT, GATE_LDT, entries * 8 - 1, 2);
    else
        memset(descriptor(page, SEL_LDT), 0, 16);
}
