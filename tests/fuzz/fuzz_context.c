// SPDX-License-Identifier: MIT
// sources: tests/unit/hc_stubs.c tests/unit/mm_host.c tests/unit/host.c hypercall/*.c gnttab/*.c evtchn/*.c mm/[!ms]*.c
/*
 * Any start context: one that is good, with words of the input put over it. Either it is refused, or what the vCPU is
 * then started with is what a guest may have; and all that it holds of the domain's memory is accounted for.
 */
#include "mm_host.h"
#include <pv/gate.h>
#include <pv/hypercall.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern void *calloc(size_t n, size_t size);
extern void free(void *p);

static struct domain *d;
static struct mm_space s;
static mfn_t gdt;

static void require(bool ok, const char *what) {
    if (!ok)
        panic("a vCPU starts with %s", what);
}

static bool is_canonical(u64 a) {
    return (u64)((s64)(a << 16) >> 16) == a;
}

static struct vcpu_guest_context good_context(void) {
    return (struct vcpu_guest_context){
        .flags = VGCF_in_kernel | VGCF_online | VGCF_I387_VALID,
        .user_regs = {.rip = 0x1000, .rsp = 0x2000, .rflags = 0x202, .cs = 0xe033, .ss = 0xe02b},
        .kernel_ss = 0xe02b,
        .kernel_sp = 0x2000,
        .ctrlreg = {[3] = s.l[4].n << PAGE_SHIFT},
        .gdt_frames = {gdt.n},
        .gdt_ents = 8,
    };
}

/* Three bytes say where, the rest what: a word, or one that means something here. */
static void overlay(struct vcpu_guest_context *c, const u8 *data, size_t size) {
    const u64 known[] = {s.l[4].n << PAGE_SHIFT, s.l[1].n, gdt.n, MM_SLOT_VA(1), 0xffff830000000000, ~0ul, 8192, 1};

    for (; size >= 11; data += 11, size -= 11) {
        size_t at = ((size_t)data[0] << 8 | data[1]) * 4 % (sizeof(*c) - 8);
        u64 value;

        memcpy(&value, data + 3, sizeof(value));
        if (data[2] & 1)
            value = known[data[2] >> 1 & 7];
        memcpy((u8 *)c + at, &value, sizeof(value));
    }
}

static void check_entry(const struct guest_entry *e) {
    require(hc_guest_address_ok(e->rip), "an entry point of the hypervisor's");
}

static void check_vcpu(const struct vcpu *v) {
    for (u32 i = 0; i < NR_VECTORS; i++)
        check_entry(&v->trap[i]);
    check_entry(&v->event);
    check_entry(&v->failsafe);
    check_entry(&v->syscall);
    require(hc_guest_address_ok(v->kernel_sp) && hc_guest_address_ok(v->gate->regs.rip),
            "an address of the hypervisor's");
    require(!(v->gate->regs.rflags & (RFLAGS_IOPL | RFLAGS_NT | RFLAGS_VM)) && v->gate->regs.rflags & RFLAGS_IF,
            "flags that guests may not have");
    require(is_canonical(v->fs_base) && is_canonical(v->gs_base_kernel) && is_canonical(v->gs_base_user),
            "a base that is not canonical");
    require(v->iopl < 4 && v->gdt_ents <= GDT_GUEST_PAGES * 512 && v->ldt_ents <= LDT_PAGES * 512, "tables too large");
    for (u32 i = 0; i < 4; i++)
        require(hc_guest_address_ok(v->debugreg[i]), "a breakpoint in the hypervisor");
    require(page_last_type(mfn_to_page(v->base)) == PT_L4, "a root that is none");
    require(mfn_eq(v->user_base, MFN_INVALID) || page_last_type(mfn_to_page(v->user_base)) == PT_L4,
            "a root that is none");
}

static void start(void) {
    host_quiet = true;
    d = mm_host_domain(1, 2, 100);
    if (gnttab_init(d, 1))
        panic("no grant table");
    evtchn_init(d);
    s = mm_host_space(d);
    gdt = mm_host_frame(d);
    for (u32 i = 0; i < 2; i++)
        d->vcpu[i]->gate = calloc(1, sizeof(struct gate_vcpu));
}

static void finish(u64 free_before) {
    void *gates[] = {d->vcpu[0]->gate, d->vcpu[1]->gate};

    d->dying = true;
    gnttab_destroy(d);
    evtchn_destroy(d);
    if (!mm_host_destroy(d, 2) || heap_free_count() != free_before || host_heap_live)
        panic("something is left of the domain");
    free(gates[0]);
    free(gates[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct vcpu_guest_context c;
    u64 free_before;
    long rc;

    mm_host_init(1);
    free_before = heap_free_count();
    start();
    c = good_context();
    overlay(&c, data, size);
    spin_lock(&d->lock);
    do
        rc = vcpu_set_context(d->vcpu[1], &c);
    while (rc == -ERESTART);
    spin_unlock(&d->lock);
    require(rc || d->vcpu[1]->initialised, "nothing");
    require(size || !rc, "a refusal of a good context");
    if (!rc)
        check_vcpu(d->vcpu[1]);
    finish(free_before);
    return 0;
}
