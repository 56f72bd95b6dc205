// SPDX-License-Identifier: MIT
// Where guests' exits arrive from the gate, and where they part: by vector.
#include "internal.h"

#include <pv/console.h>
#include <pv/dom0.h>
#include <pv/hypercall.h>
#include <pv/mm.h>
#include <pv/platform.h>
#include <pv/run.h>
#include <pv/x86.h>

void trap_set_mode(struct vcpu *v, bool kernel) {
    if (v->kernel_mode != kernel)
        x86_swapgs();
    v->kernel_mode = kernel;
}

/* Interrupts of our own. Work is only noted: the run loop does it. */
static bool handle_interrupt(struct cpu *c, u32 vector) {
    switch (vector) {
    case VEC_TIMER:
        apic_eoi();
        __atomic_fetch_or(&c->requests, CPU_REQ_TIMER, __ATOMIC_SEQ_CST);
        return true;
    case VEC_KICK:
        apic_eoi();
        return true;
    case CONSOLE_VECTOR:
        console_interrupt();
        apic_eoi();
        return true;
    case VEC_SPURIOUS:
        return true;
    default:
        if (vector < 0x20 || vector == 0x80)
            return false;
        dom0_interrupt(vector);
        apic_eoi();
        return true;
    }
}

static bool is_fault(u32 vector) {
    return vector < 32 && vector != VEC_DB && vector != VEC_BP && vector != VEC_OF;
}

/* Kernels written for ring 3 may IRETQ to themselves with RPL 3, past the hypervisor. They are still in kernel mode, so
 * they go on in ring 1. True: what they did is to be done again there. */
static bool promote_to_ring1(struct regs *r) {
    r->cs = SEL_KERNEL_CS;
    r->ss = SEL_KERNEL_DS;
    return is_fault(r->vector);
}

/* The mode flag of the gate page says kernel or user for ring 3; ring 1 is always the kernel. */
static void find_mode(struct vcpu *v, const struct regs *r) {
    v->kernel_mode = (r->vector < VEC_SYSCALL && (r->cs & 3) != 3) || v->gate->kernel_mode;
}

static void handle_syscall(struct vcpu *v, const struct regs *r) {
    const struct guest_entry *to = r->vector == VEC_SYSCALL     ? &v->syscall
                                   : r->vector == VEC_SYSCALL32 ? &v->syscall32
                                                                : &v->sysenter;

    v->count[COUNT_SYSCALL]++;
    trap_enter_callback(v, to, r->vector == VEC_SYSCALL);
}

static void handle_exception(struct vcpu *v, struct regs *r, u64 cr2) {
    switch (r->vector) {
    case VEC_PF:
        trap_page_fault(v, cr2);
        break;
    case VEC_NP:
    case VEC_SS:
    case VEC_GP:
        trap_general_protection(v);
        break;
    case VEC_UD:
        trap_invalid_opcode(v);
        break;
    case VEC_DB:
        trap_debug(v);
        break;
    case VEC_BP:
    case VEC_OF:
    case 0x80:
        trap_software_interrupt(v, (u8)r->vector);
        break;
    case VEC_NM:
        x86_set_ts(false);
        v->fpu_dirty_ts = false;
        __attribute__((fallthrough));
    default:
        v->count[COUNT_EXCEPTION]++;
        trap_inject(v, (u8)r->vector, r->error_code);
    }
}

static __attribute__((noinline)) void handle(struct cpu *c, struct vcpu *v, struct regs *r) {
    u64 cr2 = read_cr2(); /* a page fault's */

    if (r->vector < 256 && r->vector != VEC_PF && handle_interrupt(c, r->vector)) {
        v->count[COUNT_INTERRUPT]++;
        if ((r->cs & 3) == 3 && v->kernel_mode)
            promote_to_ring1(r);
        return;
    }
    if (r->vector >= VEC_SYSCALL)
        handle_syscall(v, r);
    else if (!((r->cs & 3) == 3 && v->kernel_mode && promote_to_ring1(r)))
        handle_exception(v, r, cr2);
}

static inline void come_in(struct cpu *c, struct vcpu *v) {
    __atomic_store_n(&c->in_guest, 0, __ATOMIC_SEQ_CST);
    c->entries++;
    c->tlb_clock = tlb_clock_now();
    x86_disarm_breakpoints(v);
    gate_take_kernel_sp(v);
}

/* Hypercalls are most of what comes. */
void trap_from_guest(void) {
    struct cpu *c = this_cpu();
    struct vcpu *v = c->current;
    struct regs *r = vcpu_regs(v);

    come_in(c, v);
    find_mode(v, r);
    if (likely(v->kernel_mode && r->vector == VEC_SYSCALL)) {
        v->count[COUNT_HYPERCALL]++;
        hypercall_dispatch(v);
    } else {
        handle(c, v, r);
    }
    run_loop();
}

void trap_iret_fault(struct regs *fault) {
    struct cpu *c = this_cpu();
    struct vcpu *v = c->current;
    struct regs *r = vcpu_regs(v), copy = *fault;

    come_in(c, v);
    /* The frame IRETQ refused is where it was; the other registers were loaded when it faulted. The CPU pushed just
     * below that frame, so the two blocks overlap: *fault is lost once the first word is written. */
    memcpy(r, &copy, offsetof(struct regs, error_code));
    v->kernel_mode = v->gate->kernel_mode;
    v->count[COUNT_EXCEPTION]++;
    trap_inject(v, (u8)copy.vector, copy.error_code);
    run_loop();
}
