/* SPDX-License-Identifier: MIT */
/* x86_vcpu: what x86 keeps for a vCPU, and interrupting another CPU: the little that pure rooms need of x86. */
#ifndef PV_X86_VCPU_H
#define PV_X86_VCPU_H

#include <pv/types.h>

struct cpu;
struct vcpu;

/* Allocates the FPU area and sets the architectural start state. False: out of memory. */
bool x86_vcpu_init(struct vcpu *v);
void x86_vcpu_free(struct vcpu *v);
/* The state in FXSAVE's form that the vCPU, which does not run, starts with; NULL: as after reset. */
void x86_vcpu_set_fpu(struct vcpu *v, const void *fxsave);
/* Writes the bytes' cache lines back to memory and drops them, on all CPUs. */
void cpu_write_back(const void *p, size_t n);
/* Makes another CPU come out of its guest, or of its sleep. */
void cpu_interrupt(struct cpu *c);

#endif
