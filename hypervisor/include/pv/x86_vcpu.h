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
/* The feature words that tools show of the host: leaves 1 (EDX, ECX), 0x80000001 (EDX, ECX), 0xd.1 EAX, 7 (EBX, ECX),
 * 0x80000007 EDX. */
void x86_hw_cap(u32 word[8]);
/* Extended state as XSAVE writes it: its components, none without XSAVE, and the size of the area. */
u64 x86_vcpu_state_features(void);
u32 x86_vcpu_state_size(void);
/* Of a vCPU that does not run. False: nothing that XRSTOR would take. */
bool x86_vcpu_set_state(struct vcpu *v, const void *area, u64 size);
/* Writes the bytes' cache lines back to memory and drops them, on all CPUs. */
void cpu_write_back(const void *p, size_t n);
/* Makes another CPU come out of its guest, or of its sleep. */
void cpu_interrupt(struct cpu *c);

#endif
