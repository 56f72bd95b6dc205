// SPDX-License-Identifier: MIT
// What the fast path of the gate may rely on: constants of the vCPU that a CPU runs, checked by whoever set them in the
// vCPU and written here, where the guest can only read them.
#include <pv/domain.h>
#include <pv/gate.h>
#include <pv/mm.h>
#include <pv/trap.h>

_Static_assert(offsetof(struct gate_const, info) == GATE_CONST_INFO, "gate.h");
_Static_assert(offsetof(struct gate_const, sp_high) == GATE_CONST_SP_HIGH, "gate.h");
_Static_assert(offsetof(struct gate_const, hypercalls) == GATE_CONST_HYPERCALLS, "gate.h");
_Static_assert(offsetof(struct gate_const, iret) == GATE_CONST_IRET, "gate.h");
_Static_assert(offsetof(struct gate_const, mask) == GATE_CONST_MASK, "gate.h");
_Static_assert(offsetof(struct gate_const, entry) == GATE_CONST_ENTRY, "gate.h");
_Static_assert(offsetof(struct gate_vcpu, sp_low) == GATE_VCPU_SP_LOW, "gate.h");
_Static_assert(offsetof(struct gate_vcpu, scratch) == GATE_VCPU_SCRATCH, "gate.h");
_Static_assert(offsetof(struct vcpu_info, evtchn_upcall_pending) == INFO_PENDING, "gate.h");
_Static_assert(offsetof(struct vcpu_info, evtchn_upcall_mask) == INFO_MASK, "gate.h");
_Static_assert(offsetof(struct vcpu_info, arch.cr2) == INFO_CR2, "gate.h");

#define LOW_HALF 0xfffffffful

bool gate_fast_path_off;

static bool usable(const struct vcpu *v) {
    return !gate_fast_path_off && v->fused && !(v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl));
}

static void set_entry(struct gate_const *k, u32 n, const struct guest_entry *e, bool on) {
    k->entry[n] = on ? e->rip : 0;
    k->mask[n] = e->mask;
}

/* Software interrupts are for handlers that user mode may call. */
static void set_software_entry(struct gate_const *k, u32 n, const struct guest_entry *e, bool on) {
    set_entry(k, n, e, on && e->dpl == 3);
}

void gate_set_fast_path(struct cpu *c, struct vcpu *v) {
    struct gate_const *k = c->gate_const;
    bool on;

    /* First: a vm_assist of another vCPU that is not seen below has set it again. */
    __atomic_store_n(&v->gate_stale, false, __ATOMIC_SEQ_CST);
    on = usable(v);
    k->info = GATE_INFO + ((u64)v->info & (PAGE_SIZE - 1));
    k->sp_high = v->kernel_sp & ~LOW_HALF;
    v->gate->sp_low = (u32)v->kernel_sp & ~15u;
    k->hypercalls = !gate_fast_path_off;
    k->iret = on && !v->nmi_masked;
    set_entry(k, FAST_SYSCALL, &v->syscall, on);
    set_entry(k, FAST_SYSCALL32, &v->syscall32, on);
    set_entry(k, FAST_SYSENTER, &v->sysenter, on);
    set_entry(k, FAST_PF, &v->trap[VEC_PF], on);
    set_entry(k, FAST_DE, &v->trap[VEC_DE], on);
    set_software_entry(k, FAST_BP, &v->trap[VEC_BP], on);
    set_software_entry(k, FAST_80, &v->trap[0x80], on);
}

void gate_put_kernel_sp(struct vcpu *v, u64 sp) {
    if ((v->kernel_sp ^ sp) > LOW_HALF)
        WRITE_ONCE(v->gate_stale, true);
    v->kernel_sp = sp;
    v->gate->sp_low = (u32)sp & ~15u;
}

/* Any lower half makes an address of the guest's: the ranges that are not are multiples of 4 GiB. */
void gate_take_kernel_sp(struct vcpu *v) {
    v->kernel_sp = (v->kernel_sp & ~LOW_HALF) | READ_ONCE(v->gate->sp_low);
}
