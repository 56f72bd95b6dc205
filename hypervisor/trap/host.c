// SPDX-License-Identifier: MIT
// Interrupts and exceptions that hit the hypervisor itself: interrupts while idle; everything else is a bug of ours.
#include "internal.h"

#include <pv/console.h>
#include <pv/dom0.h>
#include <pv/debug.h>
#include <pv/platform.h>
#include <pv/x86.h>

static const char *exception_name(u32 vector) {
    static const char *const names[] = {
        [VEC_DE] = "division error",  [VEC_DB] = "debug exception",
        [VEC_BP] = "breakpoint",      [VEC_OF] = "overflow",
        [VEC_BR] = "bound exceeded",  [VEC_UD] = "invalid opcode",
        [VEC_NM] = "no FPU",          [VEC_DF] = "double fault",
        [VEC_TS] = "invalid TSS",     [VEC_NP] = "segment not present",
        [VEC_SS] = "stack fault",     [VEC_GP] = "general protection fault",
        [VEC_PF] = "page fault",      [VEC_MF] = "FPU error",
        [VEC_AC] = "alignment check", [VEC_MC] = "machine check",
        [VEC_XM] = "SIMD error",      [VEC_CP] = "control protection fault",
    };

    return vector < ARRAY_SIZE(names) && names[vector] ? names[vector] : "unknown exception";
}

void trap_from_host(struct regs *r) {
    struct cpu *c = this_cpu();

    switch (r->vector) {
    case VEC_TIMER:
        __atomic_fetch_or(&c->requests, CPU_REQ_TIMER, __ATOMIC_SEQ_CST);
        apic_eoi();
        return;
    case CONSOLE_VECTOR:
        console_interrupt();
        apic_eoi();
        return;
    case VEC_SPURIOUS:
        return;
    default:
        if (r->vector >= 32) {
            dom0_interrupt((u32)r->vector);
            apic_eoi();
            return;
        }
    }
    panic_at(r, "%s in the hypervisor", exception_name(r->vector));
}

/* An NMI that no CPU sent comes from outside, and is forgotten. */
void trap_nmi(struct regs *r, u64 cr3) {
    ASSERT(!(read_dr7() & DR7_ENABLES));
    if (r->vector == VEC_NMI)
        debug_nmi(r);
    else
        panic_at(r, "%s, on root %lx", exception_name(r->vector), cr3);
}
