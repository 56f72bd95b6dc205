/* SPDX-License-Identifier: MIT */
/*
 * hypercall: the table of the ABI's hypercalls. A handler gets its arguments and the current vCPU; it returns the
 * guest's rax, or -ERESTART: then the guest executes the same hypercall again with the arguments as the handler left
 * them.
 */
#ifndef PV_HYPERCALL_H
#define PV_HYPERCALL_H

#include <pv/domain.h>

/* The guest kernel executed SYSCALL: number and arguments are in its registers. */
void hypercall_dispatch(struct vcpu *v);
/* One call by number; used for the entries of a multicall as well. arg: 6 arguments. */
long hypercall_call(struct vcpu *v, u64 number, u64 *arg);
/* An address where guests may have code or data: canonical, and not in the hypervisor's range. */
bool hc_guest_address_ok(u64 a);

#endif
