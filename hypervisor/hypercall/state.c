// SPDX-License-Identifier: MIT
// What a guest kernel tells about its vCPU: handlers, stacks, segment bases, debug registers; and the way back, iret.
#include "internal.h"

#include <pv/gate.h>
#include <pv/run.h>
#include <pv/trap.h>
#include <pv/x86.h>
#include <xen/arch-x86/xen.h>

static long set_one_trap(struct vcpu *v, const struct trap_info *t) {
    if (!hc_guest_address_ok(t->address))
        return -EINVAL;
    v->trap[t->vector] = (struct guest_entry){
        .rip = t->address, .cs = t->cs, .dpl = t->flags & TRAP_DPL, .mask = (t->flags & TRAP_MASK_EVENTS) != 0};
    return 0;
}

/* arg: table, ended by an entry with address 0; NULL: forget all. At most one entry for each vector is looked at. */
long hc_set_trap_table(struct vcpu *v, u64 *arg) {
    v->gate_stale = true;
    if (!arg[0]) {
        memset(v->trap, 0, sizeof(v->trap));
        return 0;
    }
    for (u32 i = 0; i <= NR_VECTORS; i++) {
        struct trap_info t;
        long rc;

        if (copy_from_guest(&t, gva(arg[0] + i * sizeof(t)), sizeof(t)))
            return -EFAULT;
        if (!t.address)
            return 0;
        rc = set_one_trap(v, &t);
        if (rc)
            return rc;
    }
    return -EINVAL;
}

/* arg: selector (always the flat one), stack pointer */
long hc_stack_switch(struct vcpu *v, u64 *arg) {
    if (!hc_guest_address_ok(arg[1]))
        return -EINVAL;
    gate_put_kernel_sp(v, arg[1]);
    return 0;
}

static struct guest_entry *callback_slot(struct vcpu *v, u32 type) {
    switch (type) {
    case CALLBACKTYPE_event:
        return &v->event;
    case CALLBACKTYPE_failsafe:
        return &v->failsafe;
    case CALLBACKTYPE_syscall:
        return &v->syscall;
    case CALLBACKTYPE_syscall32:
        return &v->syscall32;
    case CALLBACKTYPE_sysenter:
        return &v->sysenter;
    case CALLBACKTYPE_nmi:
        return &v->trap[VEC_NMI];
    default:
        return NULL;
    }
}

static long set_callback(struct vcpu *v, u32 type, u64 address, u32 flags) {
    struct guest_entry *e = callback_slot(v, type);

    if (!e)
        return -ENOSYS;
    if (!hc_guest_address_ok(address))
        return -EINVAL;
    *e = (struct guest_entry){.rip = address, .mask = (flags & CALLBACKF_mask_events) != 0};
    v->gate_stale = true;
    return 0;
}

/* arg: event, failsafe, syscall addresses */
long hc_set_callbacks(struct vcpu *v, u64 *arg) {
    long rc = set_callback(v, CALLBACKTYPE_event, arg[0], 0);

    if (!rc)
        rc = set_callback(v, CALLBACKTYPE_failsafe, arg[1], 0);
    return rc ? rc : set_callback(v, CALLBACKTYPE_syscall, arg[2], 0);
}

static long register_callback(struct vcpu *v, gva_t at) {
    struct callback_register r;

    if (copy_from_guest(&r, at, sizeof(r)))
        return -EFAULT;
    return set_callback(v, r.type, r.address, r.flags);
}

static long unregister_callback(struct vcpu *v, gva_t at) {
    struct callback_unregister u;

    if (copy_from_guest(&u, at, sizeof(u)))
        return -EFAULT;
    if (u.type == CALLBACKTYPE_event || u.type == CALLBACKTYPE_failsafe || u.type == CALLBACKTYPE_syscall)
        return -EINVAL;
    return set_callback(v, u.type, 0, 0);
}

/* arg: command, structure */
long hc_callback_op(struct vcpu *v, u64 *arg) {
    switch (arg[0]) {
    case CALLBACKOP_register:
        return register_callback(v, gva(arg[1]));
    case CALLBACKOP_unregister:
        return unregister_callback(v, gva(arg[1]));
    default:
        return -ENOSYS;
    }
}

/* arg: set */
long hc_fpu_taskswitch(struct vcpu *v, u64 *arg) {
    v->fpu_dirty_ts = arg[0] != 0;
    x86_set_ts(v->fpu_dirty_ts);
    return 0;
}

#define DR6_STATUS 0xe00ful
#define DR6_ONES 0xffff0ff0ul
#define DR7_CONTROL 0xffff03fful
#define DR7_ONES 0x400ul
#define DR7_GENERAL_DETECT (1ul << 13)
#define DR7_IO 2

/* General detect would fault in the hypervisor's own switches; breakpoints on ports need CR4.DE, which stays off. */
static bool dr7_ok(u64 value) {
    for (u32 i = 0; i < 4; i++)
        if ((value >> (16 + 4 * i) & 3) == DR7_IO)
            return false;
    return !(value & DR7_GENERAL_DETECT);
}

/* DR4 and DR5 are old names of DR6 and DR7, unless CR4.DE is on. -1: no such register. */
static int debugreg_index(const struct vcpu *v, u64 reg) {
    if (reg == 4 || reg == 5)
        return v->cr4 & CR4_DE ? -1 : (int)reg + 2;
    return reg > 7 ? -1 : (int)reg;
}

/* A breakpoint address must be the guest's own, or ring 0 would run into it for ever. */
long vcpu_set_debugreg(struct vcpu *v, u32 reg, u64 value) {
    int i = debugreg_index(v, reg);

    if (i < 0)
        return -ENODEV;
    if ((i == 6 || i == 7) && value >> 32)
        return -EINVAL;
    if ((i < 4 && !hc_guest_address_ok(value)) || (i == 7 && !dr7_ok(value)))
        return -EPERM;
    if (i == 6)
        value = (value & DR6_STATUS) | DR6_ONES;
    if (i == 7)
        value = (value & DR7_CONTROL) | DR7_ONES;
    v->debugreg[i] = value;
    if (v == current_vcpu())
        x86_load_debug_registers(v);
    return 0;
}

/* arg: register, value */
long hc_set_debugreg(struct vcpu *v, u64 *arg) {
    return vcpu_set_debugreg(v, (u32)arg[0], arg[1]);
}

/* arg: register */
long hc_get_debugreg(struct vcpu *v, u64 *arg) {
    int i = debugreg_index(v, (u32)arg[0]);

    return i < 0 ? -ENODEV : (long)v->debugreg[i];
}

/* arg: which, base or selector */
long hc_set_segment_base(struct vcpu *v, u64 *arg) {
    u32 which = (u32)arg[0];

    switch (which) {
    case SEGBASE_FS:
    case SEGBASE_GS_KERNEL:
    case SEGBASE_GS_USER:
        if (!is_canonical(arg[1]))
            return -EINVAL;
        x86_set_segment_base(v, which == SEGBASE_FS ? 0 : which == SEGBASE_GS_KERNEL ? 1 : 2, arg[1]);
        return 0;
    case SEGBASE_GS_USER_SEL:
        /* A descriptor table replaced by an earlier call of the same multicall is not to be read any more. */
        if (this_cpu()->gate_dirty)
            return -ERESTART;
        x86_load_user_gs((u16)arg[1]);
        return 0;
    default:
        return -EINVAL;
    }
}

/* arg: command, type */
long hc_vm_assist(struct vcpu *v, u64 *arg) {
    const u64 known = BIT(VMASST_TYPE_4gb_segments) | BIT(VMASST_TYPE_4gb_segments_notify) |
                      BIT(VMASST_TYPE_writable_pagetables) | BIT(VMASST_TYPE_pae_extended_cr3) |
                      BIT(VMASST_TYPE_architectural_iopl) | BIT(VMASST_TYPE_runstate_update_flag) |
                      BIT(VMASST_TYPE_m2p_strict);

    if (arg[1] > 63 || !(known >> arg[1] & 1))
        return -EINVAL;
    switch (arg[0]) {
    case VMASST_CMD_enable:
        __atomic_fetch_or(&v->domain->vm_assist, BIT(arg[1]), __ATOMIC_SEQ_CST);
        break;
    case VMASST_CMD_disable:
        __atomic_fetch_and(&v->domain->vm_assist, ~BIT(arg[1]), __ATOMIC_SEQ_CST);
        break;
    default:
        return -ENOSYS;
    }
    for (u32 i = 0; i < v->domain->nr_vcpus; i++)
        WRITE_ONCE(v->domain->vcpu[i]->gate_stale, true);
    return 0;
}

/* Kernel mode is 64-bit code: the flat segment, or one of the guest's own that is like it. */
static bool kernel_cs_ok(u16 cs) {
    const u32 present = 1 << 15, code = 3 << 11, long_mode = 1 << 21;
    u32 rights = 0;

    return (cs | 3) == FLAT_RING3_CS64 || (x86_segment_rights(cs | 1, &rights) &&
                                           (rights & (present | code | long_mode)) == (present | code | long_mode));
}

/* The frame on the guest's stack becomes the vCPU's state. Selectors of kernel mode are constants set on the way out;
 * what is wrong with a user frame shows when IRETQ refuses it. */
long hc_iret(struct vcpu *v, u64 *arg) {
    struct regs *r = vcpu_regs(v);
    struct iret_context f;

    (void)arg;
    if (copy_from_guest(&f, gva(r->rsp), sizeof(f))) {
        domain_crash(v->domain, "vCPU %u: iret with a stack at %lx that can't be read", v->id, r->rsp);
        return 0;
    }
    if ((f.cs & 3) == 3)
        trap_set_mode(v, false);
    if (!(f.flags & VGCF_in_syscall)) {
        r->r11 = f.r11;
        r->rcx = f.rcx;
    }
    r->rax = f.rax;
    if (v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl))
        v->iopl = f.rflags >> 12 & 3;
    r->rip = f.rip;
    r->cs = (u16)f.cs;
    r->rflags = trap_clean_rflags(f.rflags);
    r->rsp = f.rsp;
    r->ss = (u16)f.ss;
    if (v->nmi_masked)
        WRITE_ONCE(v->gate_stale, true);
    v->nmi_masked = false;
    WRITE_ONCE(v->info->evtchn_upcall_mask, !(f.rflags & RFLAGS_IF));
    if (v->kernel_mode && !kernel_cs_ok((u16)f.cs))
        trap_inject(v, VEC_GP, f.cs & 0xfffc);
    return 0;
}
