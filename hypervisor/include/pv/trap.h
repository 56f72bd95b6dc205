/* SPDX-License-Identifier: MIT */
/*
 * trap: what becomes of every exception, interrupt and system call: handled here, emulated, or delivered to the guest
 * kernel in the ABI's frame. All functions concern the current vCPU, whose registers are in its gate page.
 */
#ifndef PV_TRAP_H
#define PV_TRAP_H

#include <pv/domain.h>
#include <pv/gate.h>

/* Enters the guest kernel at its handler for an exception. The error code is dropped for vectors that have none. If
 * there is no handler, or its stack can't be written, the domain is crashed. */
void trap_inject(struct vcpu *v, u8 vector, u32 error_code);
void trap_inject_page_fault(struct vcpu *v, u64 address, u32 error_code);
/* Enters the guest kernel at its event callback / NMI callback. */
void trap_inject_event(struct vcpu *v);
void trap_inject_nmi(struct vcpu *v);
/* Data selectors that did not load are null now: the failsafe callback shows what they were. */
void trap_inject_failsafe(struct vcpu *v);

/* Enters the kernel at a system-call entry. With none: what an instruction the CPU lacks would do. */
void trap_enter_callback(struct vcpu *v, const struct guest_entry *to, bool fast_syscall);

/* Between kernel and user mode of the guest: GS bases change places. */
void trap_set_mode(struct vcpu *v, bool kernel);
/* What the guest may choose of RFLAGS, for a frame that is going to be loaded. */
static inline u64 trap_clean_rflags(u64 rflags) {
    const u64 allowed = 0xcd5 | RFLAGS_TF | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;

    return (rflags & allowed) | RFLAGS_MBS | RFLAGS_IF;
}

static inline struct regs *vcpu_regs(struct vcpu *v) {
    return &v->gate->regs;
}
/* CPUID as the processor says, or as a guest with one vCPU sees it. */
void trap_policy_cpuid(bool host, u32 leaf, u32 sub, u32 out[4]);

#endif
