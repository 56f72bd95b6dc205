// SPDX-License-Identifier: MIT
// The gate's tables and pages: built once for each CPU, and filled anew for each vCPU the CPU runs.
#include <pv/gate.h>
#include <pv/domain.h>
#include <pv/mm.h>
#include <pv/x86.h>

#include <pv/gate_tables.h>

_Static_assert(sizeof(struct gate_vcpu) == PAGE_SIZE, "the gate page is one page");
_Static_assert(offsetof(struct gate_vcpu, regs) == GATE_VCPU_REGS, "gate.h");
_Static_assert(offsetof(struct gate_const, hyp_rsp) == GATE_CONST_HYP_RSP, "gate.h");
_Static_assert(offsetof(struct gate_const, nmi_rsp) == GATE_CONST_NMI_RSP, "gate.h");
_Static_assert(offsetof(struct gate_const, cpu) == GATE_CONST_CPU, "gate.h");

extern char gate_text_start[], gate_text_end[];

#define READ_ONLY (PTE_P | PTE_NX | PTE_A | PTE_D)
#define READ_WRITE (READ_ONLY | PTE_W)
#define EXECUTE (PTE_P | PTE_A)

static void set(struct cpu *c, u64 address, mfn_t m, u64 flags) {
    WRITE_ONCE(c->gate_l1[pt_slot(address, 1)], pte_make(m, flags));
}

static void *new_page(void) {
    struct page *pg = heap_alloc_pages(0);

    if (!pg)
        return NULL;
    clear_page(page_to_virt(pg));
    return page_to_virt(pg);
}

/* The three tables of the gate slot, entered into the CPU's hypervisor root. */
static bool build_tables(struct cpu *c) {
    u64 *l3 = new_page(), *l2 = new_page();

    c->gate_l1 = new_page();
    if (!l3 || !l2 || !c->gate_l1)
        return false;
    l3[0] = pte_make(virt_to_mfn(l2), PTE_P | PTE_W | PTE_A);
    l2[0] = pte_make(virt_to_mfn(c->gate_l1), PTE_P | PTE_W | PTE_A);
    c->hyp_root[GATE_SLOT] = pte_make(virt_to_mfn(l3), PTE_P | PTE_W | PTE_A);
    return true;
}

static bool map_ist_stacks(struct cpu *c) {
    for (int i = 0; i < 4; i++) {
        void *stack = new_page();

        if (!stack)
            return false;
        set(c, GATE_IST(i), virt_to_mfn(stack), READ_WRITE);
    }
    return true;
}

bool gate_init_cpu(struct cpu *c) {
    u64 text = (u64)gate_text_start - HYP_TEXT_BASE, size = (u64)(gate_text_end - gate_text_start);

    c->gate_const = new_page();
    c->gate_tss = new_page();
    c->gate_gdt = new_page();
    if (!c->gate_const || !c->gate_tss || !c->gate_gdt || !build_tables(c) || !map_ist_stacks(c))
        return false;
    for (u64 off = 0; off < size; off += PAGE_SIZE)
        set(c, GATE_TEXT + off, maddr_to_mfn(maddr(text + off)), EXECUTE);
    set(c, GATE_CONST, virt_to_mfn(c->gate_const), READ_ONLY);
    set(c, GATE_TSS, virt_to_mfn(c->gate_tss), READ_ONLY);
    set(c, GATE_IDT, maddr_to_mfn(maddr((u64)gate_idt - HYP_TEXT_BASE)), READ_ONLY);
    set(c, GATE_GDT + GDT_RESERVED_OFFSET, virt_to_mfn(c->gate_gdt), READ_ONLY);
    gate_map_vcpu(c, NULL);
    *c->gate_const = (struct gate_const){
        .hyp_cr3 = virt_to_maddr(c->hyp_root).a, .hyp_rsp = c->stack_top - 8, .nmi_rsp = c->nmi_stack_top, .cpu = c};
    gate_build_tss(c->gate_tss);
    gate_build_gdt(c->gate_gdt);
    return true;
}

/* Slots without a frame show a page of zeros: descriptors there are not present, and nothing faults in the CPU. */
static void map_frames(struct cpu *c, u64 base, const mfn_t *frames, u32 n) {
    static u8 zeros[PAGE_SIZE] __aligned(PAGE_SIZE);
    mfn_t empty = maddr_to_mfn(maddr((u64)zeros - HYP_TEXT_BASE));

    for (u32 i = 0; i < n; i++) {
        bool used = frames && !mfn_eq(frames[i], MFN_INVALID);

        set(c, base + i * PAGE_SIZE, used ? frames[i] : empty, READ_ONLY);
    }
}

void gate_map_vcpu(struct cpu *c, struct vcpu *v) {
    map_frames(c, GATE_GDT, v ? v->gdt_frames : NULL, GDT_GUEST_PAGES);
    map_frames(c, GATE_LDT, v ? v->ldt_frames : NULL, LDT_PAGES);
    WRITE_ONCE(c->gate_l1[pt_slot(GATE_VCPU, 1)], v ? pte_make(v->gate_mfn, READ_WRITE) : 0);
    WRITE_ONCE(c->gate_l1[pt_slot(GATE_INFO, 1)], v ? pte_make(v->info_mfn, READ_WRITE) : 0);
    gate_set_ldt(c->gate_gdt, v ? v->ldt_ents : 0);
}

void gate_write_hypercall_page(void *page) {
    static const u8 entry[] = {
        0x51,                /* push %rcx */
        0x41, 0x53,          /* push %r11 */
        0xb8, 0,    0, 0, 0, /* mov $number, %eax */
        0x0f, 0x05,          /* syscall */
        0x41, 0x5b,          /* pop %r11 */
        0x59,                /* pop %rcx */
        0xc3,                /* ret */
    };
    static const u8 iret_entry[] = {
        0x51,                /* push %rcx */
        0x41, 0x53,          /* push %r11 */
        0x50,                /* push %rax */
        0xb8, 23,   0, 0, 0, /* mov $__HYPERVISOR_iret, %eax */
        0x0f, 0x05,          /* syscall: does not come back */
    };

    memset(page, 0xcc, PAGE_SIZE);
    for (u32 i = 0; i < PAGE_SIZE / 32; i++) {
        u8 *slot = (u8 *)page + i * 32;
        bool iret = i == __HYPERVISOR_iret;

        memcpy(slot, iret ? iret_entry : entry, iret ? sizeof(iret_entry) : sizeof(entry));
        slot[iret ? 5 : 4] = (u8)i;
    }
}
