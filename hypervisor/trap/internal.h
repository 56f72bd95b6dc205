/* SPDX-License-Identifier: MIT */
/* What the files of trap share. */
#ifndef TRAP_INTERNAL_H
#define TRAP_INTERNAL_H

#include <pv/emul.h>
#include <pv/trap.h>

/* faults.c: exceptions that the guest raised. cr2: as read at the entry. */
void trap_page_fault(struct vcpu *v, u64 cr2);
void trap_general_protection(struct vcpu *v);
void trap_invalid_opcode(struct vcpu *v);
void trap_debug(struct vcpu *v);
/* A software interrupt: INT n, int3, into. RIP is past the instruction. */
void trap_software_interrupt(struct vcpu *v, u8 vector);

/* ops.c: the emulator's view of the current vCPU. */
extern const struct emul_ops trap_emul_ops;

#endif
