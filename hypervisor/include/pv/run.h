/* SPDX-License-Identifier: MIT */
/*
 * run: the loop each CPU is in whenever it is not in a guest: do what was requested, ask the scheduler, load the vCPU,
 * deliver what is pending, leave. There is no way back from it but into a guest, or to sleep.
 */
#ifndef PV_RUN_H
#define PV_RUN_H

#include <pv/domain.h>

void run_loop(void) __noreturn;

/* --- x86's part: what the loop can't say in C --- */
/* Saves what is live in the CPU of a vCPU's state, and loads another's. The gate slot and CR3 are the hypervisor's. */
void x86_save_vcpu(struct vcpu *v);
void x86_load_vcpu(struct cpu *c, struct vcpu *v);
/* Sleeps until an interrupt, unless a request is posted already. */
void x86_idle(struct cpu *c);
/* The guest's CR0.TS, for the current vCPU. */
void x86_set_ts(bool on);
void x86_swapgs(void);
/* Segment bases of the vCPU in the CPU: its kernel's GS base is the active one in kernel mode. */
u64 x86_get_segment_base(struct vcpu *v, unsigned which);
void x86_set_segment_base(struct vcpu *v, unsigned which, u64 base);
/* Loads the user GS selector, and with it its base; a bad selector counts as null. */
void x86_load_user_gs(u16 selector);
/* The current vCPU's debug registers, without DR7; its breakpoints are armed only while it runs. */
void x86_load_debug_registers(struct vcpu *v);
void x86_arm_breakpoints(const struct vcpu *v);
void x86_disarm_breakpoints(const struct vcpu *v);
/* Flushes the hypervisor root's view of the gate pages that show the vCPU. */
void x86_flush_own_tlb(void);
/* Makes the CPU read the LDT's descriptor again. */
void x86_reload_ldt(void);
/* The data selectors loaded now. */
void x86_read_data_selectors(u16 *ds, u16 *es, u16 *fs, u16 *gs);
/* LAR: the access rights of a descriptor the current tables show. */
bool x86_segment_rights(u16 selector, u32 *rights);
void x86_barrier_between_domains(void);

#endif
