// SPDX-License-Identifier: MIT
// What the fast path of the gate may rely on: constants of the vCPU that a CPU runs, checked by whoever set them in the
// vCPU and written here, where the guest can only read them.
#include <pv/domain.h>
#include <pv/gate.h>
#include <pv/mm.h>
#include <pv/trap.h>

_Static_assert(offsetof(struct gate_const, info) == GATE_CONST_INFO, "gate.h");
_Static_assert(offsetof(struct gate_const, kernel_sp) == GATE_CONST_KERNEL_SP, "gate.h");
_Static_assert(offsetof(struct gate_const, syscall) == GATE_CONST_SYSCALL, "gate.h");
_Static_assert(offsetof(struct gate_const, iret) == GATE_CONST_IRET, "gate.h");
_Static_assert(offsetof(struct gate_const, trap_pf) == GATE_CONST_TRAP_PF, "gate.h");
_Static_assert(offsetof(struct gate_const, trap_bp) == GATE_CONST_TRAP_BP, "gate.h");
_Static_assert(offsetof(struct gate_const, trap_de) == GATE_CONST_TRAP_DE, "gate.h");
_Static_assert(offsetof(struct gate_const, trap_80) == GATE_CONST_TRAP_80, "gate.h");
_Static_assert(offsetof(struct gate_vcpu, scratch) == GATE_VCPU_SCRATCH, "gate.h");
_Static_assert(offsetof(struct vcpu_info, evtchn_upcall_pending) == INFO_PENDING, "gate.h");
_Static_assert(offsetof(struct vcpu_info, evtchn_upcall_mask) == INFO_MASK, "gate.h");
_Static_assert(offsetof(struct vcpu_info, arch.cr2) == INFO_CR2, "gate.h");

bool gate_fast_path_off;

/* The fast path masks upcalls at each entry, so it serves only handlers that want that. */
static u64 entry_of(const struct guest_entry *e) {
    return e->mask ? e->rip : 0;
}

/* Software interrupts are for handlers that user mode may call. */
static u64 software_entry_of(const struct guest_entry *e) {
    return e->dpl == 3 ? entry_of(e) : 0;
}

static bool usable(const struct vcpu *v) {
    return !gate_fast_path_off && v->fused && v->info && !(v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl));
}

void gate_set_fast_path(struct cpu *c, struct vcpu *v) {
    struct gate_const *k = c->gate_const;
    bool on = usable(v);

    k->info = GATE_INFO + ((u64)v->info & (PAGE_SIZE - 1));
    k->kernel_sp = v->kernel_sp & ~15ul;
    k->syscall = on ? entry_of(&v->syscall) : 0;
    k->iret = on && !v->nmi_masked;
    k->trap_pf = on ? entry_of(&v->trap[VEC_PF]) : 0;
    k->trap_de = on ? entry_of(&v->trap[VEC_DE]) : 0;
    k->trap_bp = on ? software_entry_of(&v->trap[VEC_BP]) : 0;
    k->trap_80 = on ? software_entry_of(&v->trap[0x80]) : 0;
}
