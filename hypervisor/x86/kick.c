// SPDX-License-Identifier: MIT
// Requests and interrupts between processors.
#include <pv/cpu.h>
#include <pv/lib.h>
#include <pv/platform.h>
#include <pv/regs.h>
#include <pv/x86_vcpu.h>

void cpu_interrupt(struct cpu *c) {
    if (READ_ONCE(c->in_guest) || READ_ONCE(c->idle))
        apic_send_ipi(c->apic_id, VEC_KICK);
}

void cpu_request(struct cpu *c, u32 bits) {
    u32 old = __atomic_fetch_or(&c->requests, bits, __ATOMIC_SEQ_CST);

    if (c != this_cpu() && (old & bits) != bits)
        cpu_interrupt(c);
}

/* Waits without a lock order to respect: the others come out of their guests whatever locks the caller holds. */
void cpu_flush_guests(u64 mask) {
    u64 seen[MAX_CPUS], waiting = 0;
    struct cpu *self = this_cpu();
    u32 rounds = 0;

    mask &= ~BIT(self->id);
    if (!mask)
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (u32 i = 0; i < nr_cpus; i++) {
        struct cpu *c = cpus[i];

        if (!(mask >> i & 1) || !READ_ONCE(c->in_guest))
            continue;
        seen[i] = READ_ONCE(c->entries);
        waiting |= BIT(i);
        apic_send_ipi(c->apic_id, VEC_KICK);
    }
    for (u32 i = 0; i < nr_cpus; i++)
        while (waiting >> i & 1 && READ_ONCE(cpus[i]->in_guest) && READ_ONCE(cpus[i]->entries) == seen[i])
            cpu_wait(&rounds, cpus[i]);
}
