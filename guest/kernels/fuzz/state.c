// SPDX-License-Identifier: MIT
/*
 * What a kernel tells about its vCPU: tables of descriptors and traps, callbacks, stacks, segment bases, debug
 * registers, contexts and areas of vCPUs. What the kernel needs itself is put back at the end of each action, and by
 * repair().
 */
#include "fuzz.h"

void make_descriptor(struct fuzzer *f, multicall_entry_t *e) {
    call_set(e, __HYPERVISOR_update_descriptor, 2, (any_mfn(f) << PAGE_SHIFT) + below(f, 600) * 8UL, any_descriptor(f));
}

void make_segment_base(struct fuzzer *f, multicall_entry_t *e) {
    static const uint64_t which[] = {SEGBASE_FS, SEGBASE_FS, SEGBASE_GS_USER, SEGBASE_GS_USER_SEL, 4, 99};
    uint64_t base = one_in(f, 3) ? random_bits(f) : any_va(f), w = one_of(f, which, ARRAY_SIZE(which));

    call_set(e, __HYPERVISOR_set_segment_base, 2, w, w == SEGBASE_GS_USER_SEL ? any_selector(f) : base);
}

void make_debugreg(struct fuzzer *f, multicall_entry_t *e) {
    unsigned reg = below(f, 9);
    uint64_t value = any_va(f);

    if (reg > 3)
        value = one_in(f, 4) ? random_bits(f) : random_bits(f) & 0xffff03ff;
    if (one_in(f, 4))
        call_set(e, __HYPERVISOR_get_debugreg, 1, (unsigned long)reg);
    else
        call_set(e, __HYPERVISOR_set_debugreg, 2, (unsigned long)reg, value);
}

void make_version(struct fuzzer *f, multicall_entry_t *e) {
    void *buffer = room(f, PAGE_SIZE / 4);

    call_set(e, __HYPERVISOR_xen_version, 2, (unsigned long)below(f, 14), one_in(f, 6) ? any_va(f) : ARG(buffer));
}

static void descriptor(struct fuzzer *f) {
    call_made(f, make_descriptor);
}
static void segment_base(struct fuzzer *f) {
    call_made(f, make_segment_base);
}
static void debugreg(struct fuzzer *f) {
    call_made(f, make_debugreg);
}
static void version(struct fuzzer *f) {
    call_made(f, make_version);
}

/* A frame full of descriptors becomes the GDT, and its selectors are used. */
static void set_gdt(struct fuzzer *f) {
    unsigned long *list = room(f, 16 * sizeof(*list));
    uint64_t *page = window_page(f);

    for (unsigned i = 0; i < 16; i++)
        list[i] = any_mfn(f);
    if (one_in(f, 2)) {
        list[0] = shared_mfn(f);
        count(f, hv_update_va_mapping(ARG(page), list[0] << PAGE_SHIFT | PTE_KERNEL, UVMF_INVLPG | UVMF_ALL));
        for (unsigned i = 0; i < 512; i++)
            page[i] = i < 64 ? any_descriptor(f) : 0;
        count(f, hv_update_va_mapping(ARG(page), 0, UVMF_INVLPG | UVMF_ALL));
    }
    count(f, hv_set_gdt(one_in(f, 16) ? (void *)any_va(f) : list, below(f, one_in(f, 8) ? 8300 : 513)));
}

/* The faulting address, if a segment can't be loaded, is in code.S: the probe ends it. */
static void load_segments(struct fuzzer *f) {
    for (unsigned n = 0; n < 6; n++)
        code_load_segments(any_selector(f), below(f, 4));
}

/* Its base goes with it, on which everything in this kernel depends: no event may come in between. */
static void load_gs(struct fuzzer *f) {
    events_disable();
    code_load_gs(any_selector(f), ARG(cpu_this()));
}

static void trap_table_change(struct fuzzer *f) {
    struct trap_info *t = room(f, 8 * sizeof(*t));
    unsigned n = 1 + below(f, 6);

    for (unsigned i = 0; i < n; i++) {
        t[i].vector = (uint8_t)(0x20 + below(f, 0x60));
        t[i].flags = (uint8_t)below(f, one_in(f, 4) ? 256 : 8);
        t[i].cs = one_in(f, 2) ? FLAT_KERNEL_CS : any_selector(f);
        t[i].address = any_code(f);
    }
    count(f, hv_set_trap_table(one_in(f, 16) ? window_page(f) : t));
    __asm__ volatile("int $0x21\n\tint $0x2e\n\tint $0x80" ::: "memory");
}

static const uint16_t callback_types[] = {CALLBACKTYPE_event,    CALLBACKTYPE_failsafe,  CALLBACKTYPE_syscall,
                                          CALLBACKTYPE_sysenter, CALLBACKTYPE_syscall32, CALLBACKTYPE_nmi};

static void callbacks(struct fuzzer *f) {
    struct callback_register *r = room(f, sizeof(*r));

    r->type = one_in(f, 8) ? (uint16_t)random_bits(f) : callback_types[below(f, ARRAY_SIZE(callback_types))];
    r->flags = (uint16_t)(one_in(f, 8) ? random_bits(f) : below(f, 2));
    r->address = any_code(f);
    count(f, hv_callback_op(below(f, 3), r));
    if (one_in(f, 4))
        count(f, hv_set_callbacks(any_code(f), any_code(f), any_code(f)));
    count(f, hv_vcpu_op(VCPUOP_send_nmi, f->id, NULL));
    count(f, event_send(cpu_this()->timer_port)); /* refused; and the timer comes when it likes */
    nap(f, below(f, 100000));
}

static void stack_switch(struct fuzzer *f) {
    count(f, hv_stack_switch(any_selector(f), any_va(f)));
}

static void assists(struct fuzzer *f) {
    count(f, hv_vm_assist(below(f, 3), below(f, 8)));
    count(f, hypercall1(__HYPERVISOR_fpu_taskswitch, below(f, 3)));
    __asm__ volatile("movq %%rax, %%xmm3\n\tpxor %%xmm3, %%xmm4" ::: "memory");
}

static void fill_context(struct fuzzer *f, struct vcpu_guest_context *c) {
    uint64_t *words = (uint64_t *)c;

    cpu_fill_context(0, c);
    c->ctrlreg[3] = xen_pfn_to_cr3(any_mfn(f));
    c->ctrlreg[1] = one_in(f, 2) ? xen_pfn_to_cr3(any_mfn(f)) : 0;
    for (unsigned i = 0; i < 16; i++)
        c->gdt_frames[i] = any_mfn(f);
    c->gdt_ents = below(f, 1024);
    c->ldt_base = any_va(f) & PAGE_MASK;
    c->ldt_ents = below(f, 600);
    for (unsigned n = below(f, 6); n; n--)
        words[below(f, sizeof(*c) / 8)] = any_word(f);
}

/* The last vCPU is never started: any context may be given to it, as often as it is refused. */
static void initialise(struct fuzzer *f) {
    struct vcpu_guest_context *c = room(f, sizeof(*c));

    fill_context(f, c);
    count(f, hv_vcpu_op(VCPUOP_initialise, one_in(f, 4) ? below(f, 40) : nr_fuzzers, c));
}

static void areas(struct fuzzer *f) {
    static const uint64_t cmds[] = {VCPUOP_get_runstate_info,
                                    VCPUOP_register_runstate_memory_area,
                                    VCPUOP_register_vcpu_time_memory_area,
                                    VCPUOP_register_vcpu_info,
                                    VCPUOP_get_physid,
                                    VCPUOP_is_up,
                                    VCPUOP_send_nmi,
                                    99};
    uint64_t *words = room(f, 16 * sizeof(*words));

    words[0] = any_va(f);
    words[1] = one_in(f, 2) ? below(f, 4096) : any_word(f);
    if (one_in(f, 2))
        words[0] = any_mfn(f);
    count(f, hv_vcpu_op((unsigned)one_of(f, cmds, ARRAY_SIZE(cmds)), below(f, nr_fuzzers + 3),
                        one_in(f, 6) ? (void *)any_va(f) : words));
}

const struct action state_actions[] = {
    {"update_descriptor", 10, descriptor},
    {"segment base", 6, segment_base},
    {"debugreg", 6, debugreg},
    {"xen_version", 4, version},
    {"set_gdt", 10, set_gdt},
    {"load segments", 10, load_segments},
    {"load gs", 4, load_gs},
    {"trap table", 6, trap_table_change},
    {"callbacks", 6, callbacks},
    {"stack_switch", 3, stack_switch},
    {"assists", 4, assists},
    {"initialise", 3, initialise},
    {"areas", 6, areas},
    {NULL, 0, NULL},
};
