// SPDX-License-Identifier: MIT
// The start context of a vCPU: registers, tables and entry points, as VCPUOP_initialise and domain builders give them.
#include "internal.h"

#include <pv/trap.h>
#include <pv/x86_vcpu.h>

static long check(const struct vcpu_guest_context *c) {
    if (!hc_guest_address_ok(c->user_regs.rip) || !hc_guest_address_ok(c->kernel_sp) ||
        !hc_guest_address_ok(c->event_callback_eip) || !hc_guest_address_ok(c->failsafe_callback_eip) ||
        !hc_guest_address_ok(c->syscall_callback_eip))
        return -EINVAL;
    if (!is_canonical(c->fs_base) || !is_canonical(c->gs_base_kernel) || !is_canonical(c->gs_base_user))
        return -EINVAL;
    if (c->gdt_ents > GDT_GUEST_PAGES * 512 || c->ldt_ents > 8192 || (c->ldt_ents && !hc_guest_address_ok(c->ldt_base)))
        return -EINVAL;
    return 0;
}

static long set_tables(struct vcpu *v, const struct vcpu_guest_context *c) {
    u64 frames[GDT_GUEST_PAGES];
    long rc = mm_set_base(v, mfn(c->ctrlreg[3] >> PAGE_SHIFT));

    if (!rc && c->ctrlreg[1])
        rc = mm_set_user_base(v, mfn(c->ctrlreg[1] >> PAGE_SHIFT));
    if (rc)
        return rc;
    for (u32 i = 0; i < GDT_GUEST_PAGES; i++)
        frames[i] = c->gdt_frames[i];
    rc = mm_set_gdt(v, frames, (u32)c->gdt_ents);
    return rc ? rc : mm_set_ldt(v, gva(c->ldt_base), (u32)c->ldt_ents);
}

static void set_trap_table(struct vcpu *v, const struct trap_info *table) {
    for (u32 i = 0; i < NR_VECTORS; i++)
        if (table[i].address && hc_guest_address_ok(table[i].address))
            v->trap[table[i].vector] = (struct guest_entry){.rip = table[i].address,
                                                            .cs = table[i].cs,
                                                            .dpl = table[i].flags & TRAP_DPL,
                                                            .mask = (table[i].flags & TRAP_MASK_EVENTS) != 0};
}

static void set_callbacks(struct vcpu *v, const struct vcpu_guest_context *c) {
    v->event = (struct guest_entry){.rip = c->event_callback_eip};
    v->failsafe =
        (struct guest_entry){.rip = c->failsafe_callback_eip, .mask = (c->flags & VGCF_failsafe_disables_events) != 0};
    v->syscall =
        (struct guest_entry){.rip = c->syscall_callback_eip, .mask = (c->flags & VGCF_syscall_disables_events) != 0};
    v->kernel_sp = c->kernel_sp;
}

static void set_registers(struct vcpu *v, const struct cpu_user_regs *u) {
    *vcpu_regs(v) = (struct regs){.r15 = u->r15,
                                  .r14 = u->r14,
                                  .r13 = u->r13,
                                  .r12 = u->r12,
                                  .rbp = u->rbp,
                                  .rbx = u->rbx,
                                  .r11 = u->r11,
                                  .r10 = u->r10,
                                  .r9 = u->r9,
                                  .r8 = u->r8,
                                  .rax = u->rax,
                                  .rcx = u->rcx,
                                  .rdx = u->rdx,
                                  .rsi = u->rsi,
                                  .rdi = u->rdi,
                                  .rip = u->rip,
                                  .cs = u->cs,
                                  .rflags = trap_clean_rflags(u->rflags),
                                  .rsp = u->rsp,
                                  .ss = u->ss};
    v->iopl = u->rflags >> 12 & 3;
    v->ds = u->ds;
    v->es = u->es;
    v->fs = u->fs;
    v->gs = u->gs;
}

/* Registers the guest may not have are left out: the vCPU is not running, and nobody is there to be told. */
static void set_debug_registers(struct vcpu *v, const struct vcpu_guest_context *c) {
    for (u32 i = 0; i < 8; i++)
        if (i != 4 && i != 5)
            vcpu_set_debugreg(v, i, c->debugreg[i]);
}

long vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c) {
    long rc = check(c);

    if (!rc)
        rc = set_tables(v, c);
    if (rc)
        return rc;
    set_registers(v, &c->user_regs);
    set_trap_table(v, c->trap_ctxt);
    set_callbacks(v, c);
    set_debug_registers(v, c);
    x86_vcpu_set_fpu(v, c->flags & VGCF_I387_VALID ? &c->fpu_ctxt : NULL);
    v->fs_base = c->fs_base;
    v->gs_base_kernel = c->gs_base_kernel;
    v->gs_base_user = c->gs_base_user;
    v->fpu_dirty_ts = c->ctrlreg[0] >> 3 & 1;
    v->kernel_mode = (c->flags & VGCF_in_kernel) != 0;
    v->initialised = true;
    return 0;
}
