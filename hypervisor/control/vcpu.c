// SPDX-License-Identifier: MIT
// vCPUs as tools see and set them: start contexts and what a saved guest consists of. The domain is held still, so what
// its vCPUs' structures say is all there is.
#include "internal.h"

#include <pv/gate.h>
#include <pv/heap.h>
#include <pv/mm.h>
#include <pv/x86_vcpu.h>

/* The ABI's selectors of a 64-bit kernel, whatever ring it is in. */
#define KERNEL_CS 0xe033
#define KERNEL_SS 0xe02b
#define TRAP_MASK_EVENTS 4
#define VM_ASSISTS                                                                                                     \
    (BIT(VMASST_TYPE_4gb_segments) | BIT(VMASST_TYPE_4gb_segments_notify) | BIT(VMASST_TYPE_writable_pagetables) |     \
     BIT(VMASST_TYPE_pae_extended_cr3) | BIT(VMASST_TYPE_architectural_iopl) | BIT(VMASST_TYPE_runstate_update_flag) | \
     BIT(VMASST_TYPE_m2p_strict))

/* --- setting --- */

static bool same_tables(const struct vcpu *v, const struct vcpu_guest_context *c) {
    mfn_t user = c->ctrlreg[1] ? mfn(c->ctrlreg[1] >> PAGE_SHIFT) : MFN_INVALID;

    if (!mfn_eq(v->base, mfn(c->ctrlreg[3] >> PAGE_SHIFT)) || !mfn_eq(v->user_base, user))
        return false;
    if (v->gdt_ents != c->gdt_ents || v->ldt_ents != c->ldt_ents || (c->ldt_ents && v->ldt_base != c->ldt_base))
        return false;
    for (u32 i = 0; i < (v->gdt_ents + 511) / 512; i++)
        if (v->gdt_frames[i].n != c->gdt_frames[i])
            return false;
    return true;
}

/* What memory a vCPU lives in can't be changed under it. */
static long set_context(struct vcpu *v, const struct vcpu_guest_context *c) {
    struct domain *d = v->domain;
    long rc;

    if (v->initialised && !same_tables(v, c))
        return -EOPNOTSUPP;
    spin_lock(&d->lock);
    rc = d->dying ? -EINVAL : vcpu_set_context(v, c);
    spin_unlock(&d->lock);
    if (rc)
        return rc;
    /* A builder has cleared shared_info meanwhile. */
    if (!v->id) {
        d->vm_assist = c->vm_assist & VM_ASSISTS;
        time_update_wallclock(d);
    }
    time_update_vcpu(v);
    if (c->flags & VGCF_online)
        vcpu_pause_clear(v, VCPU_DOWN);
    else
        vcpu_pause_set(v, VCPU_DOWN);
    return 0;
}

long control_set_context(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    struct vcpu *v = control_vcpu(d, op->u.vcpucontext.vcpu);
    struct vcpu_guest_context *c;
    long rc = -EFAULT;

    (void)caller;
    if (!v)
        return -EINVAL;
    if (!op->u.vcpucontext.ctxt.p)
        return -EOPNOTSUPP; /* back to the state of one that never ran */
    c = heap_alloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    if (!copy_from_guest(c, gva((u64)op->u.vcpucontext.ctxt.p), sizeof(*c)))
        rc = set_context(v, c);
    heap_free(c);
    return rc;
}

/* --- getting --- */

static void get_registers(const struct vcpu *v, struct cpu_user_regs *u) {
    const struct regs *r = &v->gate->regs;

    u->r15 = r->r15;
    u->r14 = r->r14;
    u->r13 = r->r13;
    u->r12 = r->r12;
    u->rbp = r->rbp;
    u->rbx = r->rbx;
    u->r11 = r->r11;
    u->r10 = r->r10;
    u->r9 = r->r9;
    u->r8 = r->r8;
    u->rax = r->rax;
    u->rcx = r->rcx;
    u->rdx = r->rdx;
    u->rsi = r->rsi;
    u->rdi = r->rdi;
    u->rip = r->rip;
    u->rsp = r->rsp;
    u->rflags = (r->rflags & ~(u64)RFLAGS_IOPL) | (u64)v->iopl << 12;
    u->cs = v->kernel_mode ? KERNEL_CS : (u16)(r->cs | 3);
    u->ss = v->kernel_mode ? KERNEL_SS : (u16)(r->ss | 3);
    u->ds = v->ds;
    u->es = v->es;
    u->fs = v->fs;
    u->gs = v->gs;
}

static void get_traps(const struct vcpu *v, struct trap_info *t) {
    for (u32 i = 0; i < NR_VECTORS; i++) {
        t[i].vector = (u8)i;
        t[i].flags = v->trap[i].dpl | (v->trap[i].mask ? TRAP_MASK_EVENTS : 0);
        t[i].cs = v->trap[i].cs;
        t[i].address = v->trap[i].rip;
    }
}

static void get_tables(const struct vcpu *v, struct vcpu_guest_context *c) {
    for (u32 i = 0; i < GDT_GUEST_PAGES; i++)
        c->gdt_frames[i] = mfn_eq(v->gdt_frames[i], MFN_INVALID) ? 0 : v->gdt_frames[i].n;
    c->gdt_ents = v->gdt_ents;
    c->ldt_base = v->ldt_base;
    c->ldt_ents = v->ldt_ents;
    if (!mfn_eq(v->base, MFN_INVALID))
        c->ctrlreg[3] = v->base.n << PAGE_SHIFT;
    if (!mfn_eq(v->user_base, MFN_INVALID))
        c->ctrlreg[1] = v->user_base.n << PAGE_SHIFT;
}

static void get_context(const struct vcpu *v, struct vcpu_guest_context *c) {
    memcpy(&c->fpu_ctxt, v->xsave_area, sizeof(c->fpu_ctxt));
    c->flags = VGCF_I387_VALID | (v->kernel_mode ? VGCF_in_kernel : 0) |
               (v->failsafe.mask ? VGCF_failsafe_disables_events : 0) |
               (v->syscall.mask ? VGCF_syscall_disables_events : 0) | (v->pause & VCPU_DOWN ? 0 : VGCF_online);
    get_registers(v, &c->user_regs);
    get_traps(v, c->trap_ctxt);
    get_tables(v, c);
    c->kernel_ss = KERNEL_SS;
    c->kernel_sp = v->kernel_sp;
    c->ctrlreg[0] = v->cr0 | (v->fpu_dirty_ts ? BIT(3) : 0);
    c->ctrlreg[2] = v->info->arch.cr2;
    c->ctrlreg[4] = v->cr4;
    memcpy(c->debugreg, v->debugreg, sizeof(c->debugreg));
    c->event_callback_eip = v->event.rip;
    c->failsafe_callback_eip = v->failsafe.rip;
    c->syscall_callback_eip = v->syscall.rip;
    c->vm_assist = v->domain->vm_assist;
    c->fs_base = v->fs_base;
    c->gs_base_kernel = v->gs_base_kernel;
    c->gs_base_user = v->gs_base_user;
}

long control_get_context(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    struct vcpu *v = control_vcpu(d, op->u.vcpucontext.vcpu);
    struct vcpu_guest_context *c;
    long rc;

    (void)caller;
    if (!v)
        return control_no_vcpu(d, op->u.vcpucontext.vcpu);
    if (!v->initialised)
        return -ENODATA;
    c = heap_alloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    get_context(v, c);
    rc = copy_to_guest(gva((u64)op->u.vcpucontext.ctxt.p), c, sizeof(*c)) ? -EFAULT : 0;
    heap_free(c);
    return rc;
}
