// SPDX-License-Identifier: MIT
// Interrupts and exceptions that hit the hypervisor itself: interrupts while idle; everything else is a bug of ours.
#include "internal.h"

#include <pv/console.h>
#include <pv/platform.h>
#include <pv/x86.h>

static void print_registers(const struct regs *r) {
    printk("  rip %016lx  rsp %016lx  rflags %lx  cs %lx ss %lx  error %x\n", r->rip, r->rsp, r->rflags, r->cs, r->ss,
           r->error_code);
    printk("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
    printk("  rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n", r->rsi, r->rdi, r->rbp, r->r8);
    printk("  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n", r->r9, r->r10, r->r11, r->r12);
    printk("  r13 %016lx  r14 %016lx  r15 %016lx  cr2 %016lx\n", r->r13, r->r14, r->r15, read_cr2());
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
            apic_eoi();
            return;
        }
    }
    console_force_unlock();
    printk("CPU %u: exception %u in the hypervisor\n", c->id, r->vector);
    print_registers(r);
    panic("exception %u at %lx", r->vector, r->rip);
}

void trap_nmi(struct regs *r, u64 cr3) {
    if (r->vector == VEC_NMI)
        return; /* nobody sends them yet: the NMI button */
    console_force_unlock();
    printk("CPU %u: exception %u, root %lx\n", this_cpu()->id, r->vector, cr3);
    print_registers(r);
    panic(r->vector == VEC_MC ? "machine check" : "double fault");
}
